"""
Changes that are asked for one by one, beside a case: what the containment did is put back, or one setting is changed so
that it does not happen again.

Each question is a durable workflow: post it, wait for the answer, carry out exactly what was agreed to, each change
proven by reading again.
"""

from __future__ import annotations

from typing import Protocol

import structlog
from dbos import DBOS, SetWorkflowID

from services.access import Access
from services.approvals import ON_THEIR_OWN
from services.audit import NewEntry, Tag, note
from services.cases import (
    Action,
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    PreventionItem,
    Text,
    say,
    undo_hash,
)
from services.durable import WORKFLOW_VERSION
from services.errors import PlanChanged
from services.ports import Clock, Notifier
from services.prevention import merged
from services.store import Store
from services.workflows import LOOK_EVERY_S, Asking

log = structlog.get_logger()


class Hands(Protocol):
    """Carries out and takes back; fulfilled by `Containment`."""

    async def carry_out(self, case: Case, action: Action) -> Action: ...

    async def undo(self, case: Case, action: Action) -> Action: ...


class Checks(Protocol):
    async def check(self, case: Case) -> tuple[PreventionItem, ...]: ...


class ChangeJobs(Asking):
    """One per process. A change is begun with `start`; answers reach it with `tell`."""

    def __init__(
        self, store: Store, notifier: Notifier, clock: Clock, access: Access, hands: Hands, prevention: Checks
    ) -> None:
        super().__init__(store, notifier, clock, access)
        self._hands = hands
        self._prevention = prevention

    # --- the job ---

    async def ask_and_change(self, case_id: str, prompt_id: str) -> None:
        """Post the question, wait for its answer, and do what was agreed to."""
        try:
            await self.step("post", self.post, case_id, prompt_id)
            looks = 0
            while wait_s := await self.step("look", self._may_wait, case_id, prompt_id, looks):
                await self.wait_for_news(wait_s)
                looks += 1
            for action_id in await self.step("agreed", self._agreed, case_id, prompt_id):
                await self.step(f"change:{action_id}", self._change_one, case_id, prompt_id, action_id)
            await self.step("check_again", self._check_again, case_id, prompt_id)
        except Exception as error:  # the outermost loop: a question whose answer nobody hears must not stay open
            log.exception("change_failed", case_id=case_id, error=type(error).__name__)
            await self.step("give_up", self._give_up, case_id, prompt_id)

    # --- starting and telling ---

    def take_charge(self) -> None:
        global _in_charge
        super().take_charge()
        _in_charge = self

    async def start(self, case_id: str, prompt_id: str) -> None:
        """
        Ask, or hear of the answer. Safe to repeat: a question has one workflow, named like it. One that was left behind
        by an earlier version of the program is begun anew, and finds its answer in the case.
        """
        with SetWorkflowID(_workflow_id(case_id, prompt_id)):
            await DBOS.start_workflow_async(change, case_id, prompt_id)
        await self.send_news(_workflow_id(case_id, prompt_id))

    async def take_up(self) -> None:
        """
        After a start: questions that were never put, or that a program of another version has left behind. One that is
        answered is begun only within the time that it had; what was under way longer ago than that is said to have
        stopped.
        """
        for case_id in await self._store.cases_asked(ON_THEIR_OWN):
            case = await self._store.case(case_id)
            for prompt in case.approvals:
                if _is_unfinished(case, prompt):
                    in_time = prompt.state is ApprovalState.PENDING or prompt.expires_at > self.now()
                    await (self.start if in_time else self._give_up)(case_id, prompt.prompt_id)

    # --- the steps: each reads before it acts ---

    async def _may_wait(self, case_id: str, prompt_id: str, looks: int) -> float:
        """For how long the question may still wait, in seconds; 0 when it was answered, or when its time is up."""
        prompt = (await self._store.case(case_id)).prompt(prompt_id)
        if prompt.state is not ApprovalState.PENDING:
            return 0.0
        await self.nudge(case_id, prompt_id)
        left_s = (prompt.expires_at - self.now()).total_seconds()
        if left_s <= 0:
            await self.change(case_id, lambda case: self._expired(case, prompt_id))
        return max(0.0, min(left_s, LOOK_EVERY_S))

    def _expired(self, case: Case, prompt_id: str) -> tuple[Case, list[NewEntry]]:
        prompt = case.prompt(prompt_id)
        if prompt.state is not ApprovalState.PENDING:
            return case, []
        expired = prompt.model_copy(update={"state": ApprovalState.EXPIRED, "decided_at": self.now()})
        return case.with_approval(expired), [note(Tag.APPROVAL_EXPIRED, case.case_id, None, prompt_id=prompt_id)]

    async def _agreed(self, case_id: str, prompt_id: str) -> list[str]:
        """The ids of what was agreed to, the last change first when it is taken back."""
        case = await self._store.case(case_id)
        prompt = case.prompt(prompt_id)
        if prompt.state is not ApprovalState.GRANTED:
            return []
        agreed = case.actions_of(prompt.approved)
        left = [action.action_id for action in agreed if not _is_over(case, prompt, action)]
        if left and undo_hash(agreed) != prompt.approved_hash:
            raise PlanChanged(case_id=case_id)
        return left[::-1] if _is_undo(prompt) else left

    async def _change_one(self, case_id: str, prompt_id: str, action_id: str) -> None:
        """One change, written down before and after."""
        undo = _is_undo((await self._store.case(case_id)).prompt(prompt_id))
        begin, act = (_begin_undo, self._undone) if undo else (_begin_fix, self._fixed)

        def begin_what_was_agreed(case: Case) -> tuple[Case, list[NewEntry]]:
            """Not what was asked anew meanwhile, which has a question of its own."""
            return begin(case, action_id) if _is_agreed_still(case, case.prompt(prompt_id), action_id) else (case, [])

        case = await self.change(case_id, begin_what_was_agreed)
        if not _is_agreed_still(case, case.prompt(prompt_id), action_id):
            return
        action, entry = await act(case, case.action(action_id))
        await self.change(case_id, lambda case: (case.with_action(action), [entry]))

    async def _fixed(self, case: Case, action: Action) -> tuple[Action, NewEntry]:
        done = await self._hands.carry_out(case, action)
        tag = Tag.ACTION_PROVEN if done.state is ActionState.PROVEN else Tag.ACTION_FAILED
        return done, note(tag, case.case_id, None, action=done.action_id, outcome=_key(done.outcome))

    async def _undone(self, case: Case, action: Action) -> tuple[Action, NewEntry]:
        """Not while a newer case is at work on the account: it counts on what this would take back."""
        newer = await self._store.open_case_of(case.tenant_id, case.about_id or "")
        if newer is not None and newer.case_id != case.case_id:
            undone = _not_put_back(action, say("undo.failed.newer_case", case=newer.case_id))
        else:
            undone = await self._hands.undo(case, action)
        tag = Tag.UNDO_PROVEN if undone.undo_state is ActionState.PROVEN else Tag.UNDO_FAILED
        return undone, note(tag, case.case_id, None, action=undone.action_id, outcome=_key(undone.undo_outcome))

    async def _check_again(self, case_id: str, prompt_id: str) -> None:
        """What the change was made for, read again, so that the list shows it as it is now."""
        case = await self._store.case(case_id)
        if case.prompt(prompt_id).state is not ApprovalState.GRANTED or not case.prevention:
            return
        now = await self._prevention.check(case)
        states = {item.item_id: item.state.value for item in now}
        entry = note(Tag.PREVENTION_CHECKED, case_id, None, items=states)
        await self.change(
            case_id, lambda case: (case.model_copy(update={"prevention": merged(case.prevention, now)}), [entry])
        )

    async def _give_up(self, case_id: str, prompt_id: str) -> None:
        def settle(case: Case) -> tuple[Case, list[NewEntry]]:
            prompt = case.prompt(prompt_id)
            if prompt.state is ApprovalState.PENDING:
                over = {"state": ApprovalState.CANCELLED, "decided_at": self.now()}
                case = case.with_approval(prompt.model_copy(update=over))
            begun = [action for action in case.actions_of(prompt.about) if _is_begun(action, prompt)]
            for action in begun:
                case = case.with_action(_stopped(action, prompt))
            tag = Tag.UNDO_FAILED if _is_undo(prompt) else Tag.ACTION_FAILED
            return case, [note(tag, case_id, None, action=action.action_id) for action in begun]

        await self.change(case_id, settle)


#: DBOS finds a workflow by its name, so the entry is a function of the module; what it works with is set at start-up.
_in_charge: ChangeJobs | None = None


@DBOS.workflow(name="change")
async def change(case_id: str, prompt_id: str) -> None:
    """Asks whether to change something, and changes it."""
    assert _in_charge is not None, "take_charge() comes before DBOS.launch()"
    await _in_charge.run(_in_charge.ask_and_change, case_id, prompt_id)


def _workflow_id(case_id: str, prompt_id: str) -> str:
    return f"{case_id}-change-{prompt_id}-{WORKFLOW_VERSION}"


def _begin_undo(case: Case, action_id: str) -> tuple[Case, list[NewEntry]]:
    running = case.action(action_id).model_copy(update={"undo_state": ActionState.RUNNING})
    return case.with_action(running), [note(Tag.UNDO_STARTED, case.case_id, None, action=action_id)]


def _begin_fix(case: Case, action_id: str) -> tuple[Case, list[NewEntry]]:
    action = case.action(action_id)
    running = action.model_copy(update={"state": ActionState.RUNNING})
    entry = note(Tag.ACTION_STARTED, case.case_id, None, action=action_id, kind=action.kind.value, target=action.target)
    return case.with_action(running), [entry]


def _is_undo(prompt: Approval) -> bool:
    return prompt.purpose is ApprovalPurpose.UNDO


def _is_unfinished(case: Case, prompt: Approval) -> bool:
    """Whether a question of ours waits for its answer, or its answer to be carried out."""
    if prompt.purpose not in ON_THEIR_OWN:
        return False
    if prompt.state is not ApprovalState.GRANTED:
        return prompt.state is ApprovalState.PENDING
    to_do = (None, ActionState.PROPOSED, ActionState.RUNNING)
    left = (action for action in case.actions_of(prompt.approved) if not _is_over(case, prompt, action))
    return any((action.undo_state if _is_undo(prompt) else action.state) in to_do for action in left)


def _is_over(case: Case, prompt: Approval, action: Action) -> bool:
    """Whether this was done, or asked about anew: an agreement is about the change as it was asked for then."""
    asked = [a.prompt_id for a in case.approvals if a.purpose is prompt.purpose and action.action_id in a.about]
    done = action.undo_state if _is_undo(prompt) else action.state
    return done is ActionState.PROVEN or asked[-1:] != [prompt.prompt_id]


def _is_agreed_still(case: Case, prompt: Approval, action_id: str) -> bool:
    """Whether this is still to be done, to the letter as it was agreed to."""
    action = case.action(action_id)
    as_agreed = undo_hash(case.actions_of(prompt.approved)) == prompt.approved_hash
    return _is_begun(action, prompt) or (as_agreed and not _is_over(case, prompt, action))


def _is_begun(action: Action, prompt: Approval) -> bool:
    return (action.undo_state if _is_undo(prompt) else action.state) is ActionState.RUNNING


def _stopped(action: Action, prompt: Approval) -> Action:
    if _is_undo(prompt):
        return _not_put_back(action, say("undo.failed.stopped"))
    return action.model_copy(update={"state": ActionState.FAILED, "outcome": say("action.failed.stopped")})


def _not_put_back(action: Action, why: Text) -> Action:
    return action.model_copy(update={"undo_state": ActionState.FAILED, "undo_outcome": why})


def _key(text: Text | None) -> str:
    return text.key if text else ""
