"""
Each action of a plan carried out until it is proven by reading again, and taken back when that is approved.

Steps run at least once, so every change is looked at before it is made, and each is safe to make twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from services.cases import Action, ActionState, Case, Text, say
from services.containment.catalogue import CATALOGUE
from services.containment.hands import by_hand, prepare, undoing, was_refused_for_admin
from services.containment.ports import AccountChanges, MailboxChanges
from services.containment.work import Change, Standing, Undo, Work
from services.errors import LicenceMissing, NotFound, PermissionMissing, ServiceError, Unavailable
from services.investigation.unreadable import why
from services.ports import Clock

Seen = TypeVar("Seen")

#: How long to wait before each further look, in seconds; a minute in all.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


def undo_plan(case: Case) -> tuple[Action, ...]:
    """The actions and fixes of a case that can be taken back, the last one first."""
    return tuple(action for action in reversed((*case.actions, *case.fixes)) if action.can_be_undone)


class Containment:
    """Carries out the actions of a plan, but for the unblock itself, which `services.unblocking` does."""

    def __init__(
        self,
        graph: AccountChanges,
        exchange: MailboxChanges,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._graph = graph
        self._exchange = exchange
        self._clock = clock
        self._sleep = sleep

    # --- carrying out ------------------------------------------------------------------------------------------------

    async def carry_out(self, case: Case, action: Action) -> Action:
        """
        The action after it was made and read again: PROVEN, FAILED, WAITING_FOR_PERSON or, for want of a licence,
        SKIPPED; each with its outcome.

        Safe to repeat. An action that waits for a person is only looked at, unless it waits because the account was an
        admin's and it no longer is. Proofs are read for up to a minute, because Microsoft takes its time to show a
        change. Never raises ServiceError.
        """
        work = self._work(case, action)
        waits_for = by_hand(work)
        try:
            change = await prepare(work)
        except ServiceError as error:
            return _could_not_look(action, error, waiting=waits_for is not None)
        if change.done_before is not None:
            # What a person has done is not ours to take back, so nothing is kept for that.
            before = None if waits_for else change.before
            return self._proven(action, before, change.done_before)
        if waits_for is None:
            return await self._make(work, change)
        return await self._make_after_all(work, change) or _waiting(action, waits_for)

    async def _make_after_all(self, work: Work, change: Change) -> Action | None:
        """The action when it could be made now that the account holds no admin role; None when it goes on waiting."""
        if not was_refused_for_admin(work) or await self._is_admin(work.oid) is not False:
            return None
        made = await self._make(work, change)
        return made if made.state is ActionState.PROVEN else None

    def _work(self, case: Case, action: Action) -> Work:
        return Work(self._graph, self._exchange, case, action, self._clock.now())

    async def _make(self, work: Work, change: Change) -> Action:
        """An earlier try may have changed some of it, so what was there before the first one is what counts."""
        before = work.action.before or change.before
        started = work.action.model_copy(update={"before": before, "done_at": self._clock.now()})
        try:
            await change.perform()
        except (Unavailable, NotFound):
            pass  # it may have happened, or there is nothing left to change: reading tells
        except ServiceError as error:
            return await self._refused(work.action, error)
        proof, last_error = await self._read_until(change.proof, lambda proof: proof is not None)
        if proof is not None:
            return self._proven(started, before, proof)
        return _failed(started, say("action.failed.not_proven", why=_why_unproven(last_error)))

    async def _read_until(
        self, look: Callable[[], Awaitable[Seen]], is_it: Callable[[Seen], bool]
    ) -> tuple[Seen | None, ServiceError | None]:
        """What was seen last, and why nothing could be seen in the end. Looks for up to a minute, until `is_it`."""
        seen: Seen | None = None
        last_error: ServiceError | None = None
        for wait_s in (0.0, *WAITS_S):
            if wait_s:
                await self._sleep(wait_s)
            try:
                seen, last_error = await look(), None
            except ServiceError as error:  # being unable to look is no proof, and no failure of the change
                seen, last_error = None, error
                continue
            if is_it(seen):
                break
        return seen, last_error

    async def _refused(self, action: Action, error: ServiceError) -> Action:
        """Graph protects admins from apps with one and the same refusal as for a missing permission."""
        if isinstance(error, LicenceMissing) and CATALOGUE[action.kind].licence:
            return _unlicensed(action)
        if isinstance(error, PermissionMissing) and CATALOGUE[action.kind].admins == "person":
            is_admin = await self._is_admin(str(action.target["user_oid"]))
            if is_admin:
                return _waiting(action, say(f"action.{action.kind.value}.by_hand"))
            if is_admin is None:
                return _failed(action, say("action.failed.refused_perhaps_admin", why=why(error)))
        return _failed(action, say("action.failed.refused", why=why(error)))

    async def _is_admin(self, user_oid: str) -> bool | None:
        """Whether the account holds an admin role itself; None when that cannot be read."""
        try:
            return bool(await self._graph.directory_roles(user_oid))
        except ServiceError:
            return None

    def _proven(self, action: Action, before: dict[str, object] | None, proof: Text) -> Action:
        done = {"state": ActionState.PROVEN, "outcome": proof, "done_at": action.done_at or self._clock.now()}
        return action.model_copy(update={"before": action.before or before, **done})

    # --- taking back -------------------------------------------------------------------------------------------------

    async def undo(self, case: Case, action: Action) -> Action:
        """
        The action after what was there before was put back: undo_state PROVEN, FAILED or WAITING_FOR_PERSON, each with
        its undo_outcome.

        Safe to repeat. Looks first: what somebody has changed since is not overwritten. Never raises ServiceError.
        """
        if action.undo_state is ActionState.PROVEN:
            return action
        if not action.can_be_undone:
            return _undone(action, ActionState.FAILED, say("undo.failed.impossible"))
        undo = undoing(self._work(case, action))
        try:
            found = await undo.look()
        except ServiceError as error:
            return _undone(action, ActionState.FAILED, say("undo.failed.unreadable", why=why(error)))
        if found is Standing.AS_WE_LEFT_IT:
            return await self._put_back(action, undo)
        return _found_otherwise(action, found)

    async def _put_back(self, action: Action, undo: Undo) -> Action:
        try:
            await undo.perform()
        except Unavailable:
            pass  # it may have happened: reading tells
        except ServiceError as error:
            return await self._undo_refused(action, error)
        found, last_error = await self._read_until(undo.look, lambda found: found is Standing.AS_BEFORE)
        if found is Standing.AS_BEFORE:
            return _found_otherwise(action, found)
        return _undone(action, ActionState.FAILED, say("undo.failed.not_proven", why=_why_unproven(last_error)))

    async def _undo_refused(self, action: Action, error: ServiceError) -> Action:
        protected = isinstance(error, PermissionMissing) and CATALOGUE[action.kind].admins == "person"
        if protected and await self._is_admin(str(action.target["user_oid"])):
            return _undone(action, ActionState.WAITING_FOR_PERSON, say(f"undo.{action.kind.value}.by_hand"))
        return _undone(action, ActionState.FAILED, say("undo.failed.refused", why=why(error)))


# --- how it ended ----------------------------------------------------------------------------------------------------


def _could_not_look(action: Action, error: ServiceError, *, waiting: bool) -> Action:
    if isinstance(error, LicenceMissing) and CATALOGUE[action.kind].licence:
        return _unlicensed(action)
    if isinstance(error, NotFound) and error.service == "exchange" and "upn" in action.target:
        missing = "folder" if action.target.get("folder") else "mailbox"
        return _failed(action, say(f"action.failed.no_{missing}"))
    outcome = say("action.failed.unreadable", why=why(error))
    return _waiting(action, outcome) if waiting else _failed(action, outcome)


def _why_unproven(last_error: ServiceError | None) -> Text:
    return why(last_error) if last_error else say("action.no_change_seen")


def _failed(action: Action, outcome: Text) -> Action:
    return action.model_copy(update={"state": ActionState.FAILED, "outcome": outcome})


def _waiting(action: Action, outcome: Text) -> Action:
    return action.model_copy(update={"state": ActionState.WAITING_FOR_PERSON, "outcome": outcome})


def _unlicensed(action: Action) -> Action:
    outcome = say("action.skipped.licence", licence=CATALOGUE[action.kind].licence)
    return action.model_copy(update={"state": ActionState.SKIPPED, "outcome": outcome})


_ENDS = {
    Standing.AS_BEFORE: (ActionState.PROVEN, "undo.{kind}.proven"),
    Standing.CHANGED_SINCE: (ActionState.FAILED, "undo.failed.changed_since"),
    Standing.GONE: (ActionState.FAILED, "undo.failed.gone"),
}


def _found_otherwise(action: Action, found: Standing) -> Action:
    """The end of an undo that has nothing to put back (any more)."""
    state, key = _ENDS[found]
    return _undone(action, state, say(key.format(kind=action.kind.value)))


def _undone(action: Action, state: ActionState, outcome: Text) -> Action:
    return action.model_copy(update={"undo_state": state, "undo_outcome": outcome})
