"""
Who may do what. Decided anew for every order, from the verified token and the directory, never from a card.

Nobody configured means nobody may. Guests, other tenants, disabled accounts and people that the directory does not know
never may. When the directory cannot be read, nobody may either: unknown is not allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from time import monotonic
from typing import Protocol

from services.approver_health import AccountState
from services.cases import Actor, Approval, Case, Vote
from services.clients.graph_models import DirectoryUser
from services.errors import NotAllowed, NotFound, Rejected, ServiceError
from services.lately import Lately
from services.policy import ON_CALL, Policy

#: A click must be answered within seconds, so the directory gets no longer than this.
DIRECTORY_TIMEOUT_S = 5.0
#: How long the sources of the on-call get while a click waits; what they said last counts after that.
ON_CALL_PATIENCE_S = 5.0
#: How long a group membership that Entra told, and the state of an approver's account, are taken as true. Longer than
#: that, somebody who was taken out could still approve.
MEMBERSHIP_KEPT_S = 5.0


class PeopleDirectory(Protocol):
    """What is asked of the directory; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def is_member(self, oid: str, group_ids: Sequence[str]) -> frozenset[str]: ...

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]: ...


class Duty(Protocol):
    @property
    def people(self) -> tuple[str, ...]: ...


class OnCallNow(Protocol):
    """Who is on call; fulfilled by `OnCall`."""

    async def now(self, patience_s: float | None = None) -> Duty: ...


class AccountHealth(Protocol):
    """Whether an approver's own account is in trouble; fulfilled by `ApproverHealth`."""

    async def look(self, user: DirectoryUser) -> AccountState: ...


class Access:
    """
    The lists of the settings and the policy, applied. Each `check_...` returns or raises NotAllowed(reason), where the
    reason is one of: nobody_configured, other_tenant, not_in_directory, guest, disabled, cannot_check, not_requester,
    not_approver, not_asked, not_admin, own_request, subject, same_approver, never, risky, restricted.
    """

    def __init__(
        self,
        directory: PeopleDirectory,
        *,
        tenant_id: str,
        requesters: Collection[str],
        policy: Policy,
        admins: Collection[str],
        on_call: OnCallNow | None = None,
        health: AccountHealth | None = None,
        time: Callable[[], float] = monotonic,
    ) -> None:
        self._directory = directory
        self._tenant_id = tenant_id
        self._requesters = tuple(requesters)
        self._policy = policy
        self._on_call = on_call
        self._health = health
        self._admins = tuple(admins)
        # Clicks of many at once are few questions; whether an account is enabled is asked for each moment anew.
        self._accounts = Lately[DirectoryUser](0.0, time)
        self._memberships = Lately[frozenset[str]](MEMBERSHIP_KEPT_S, time)
        self._health_lately = Lately[AccountState](MEMBERSHIP_KEPT_S, time)

    @property
    def policy(self) -> Policy:
        """The one in force."""
        return self._policy

    async def check_requester(self, who: Actor) -> None:
        await self._check(who, self._requesters, "not_requester")

    def lists_requester(self, who: Actor) -> bool:
        """
        Whether this very person is on the list of requesters, as the verified token names them. Says nothing about
        their account: `check_requester` does.
        """
        return who.tenant_id.lower() == self._tenant_id.lower() and who.user_oid.lower() in self._requesters

    async def check_admin(self, who: Actor) -> None:
        await self._check(who, self._admins, "not_admin")

    async def check_listed_approver(self, who: Actor) -> None:
        """Whether this person is an approver at all, of whatever case."""
        await self._check_among(who, everybody_in(self._policy))

    async def check_approver(self, who: Actor, case: Case, prompt: Approval | None = None) -> AccountState:
        """
        An approver was asked, did not ask for this themselves unless the policy lets them, is not whom it is about, and
        has an account that is not in trouble. Looked up anew for every click, not taken from when the card was sent.
        What is known of their account, for the record.

        Without a prompt: whoever could answer any question about the case.
        """
        if case.is_about(who.user_oid):
            raise NotAllowed("subject")
        if case.was_asked_by(who.user_oid) and not (prompt is not None and prompt.self_allowed):
            raise NotAllowed("own_request")
        if prompt is None or not prompt.levels:
            account = await self._check_among(who, everybody_in(self._policy))
        else:
            account = await self._check_asked(who, prompt)
        return await self._check_health(account)

    async def check_voter(self, vote: Vote, case: Case, prompt: Approval) -> None:
        """
        Whether an approval that was counted counts still. Who was on call when they gave it need not be on call now: a
        hand-over takes nothing away. Raises NotAllowed as `check_approver` does.
        """
        if not vote.on_call or ON_CALL not in everybody_in(self._policy):
            await self.check_approver(vote.by, case, prompt)
            return
        account = await self._check(vote.by, (vote.by.user_oid.lower(),), "not_approver")
        await self._check_health(account)

    async def is_on_call(self, who: Actor, prompt: Approval) -> bool:
        """
        Whether somebody who may answer this question is on call, where it goes to whoever is. For the record, right
        after they were checked, so that it waits for no source again.
        """
        asked = {entry for level in prompt.levels[: prompt.level + 1] for entry in level}
        if ON_CALL not in (asked or everybody_in(self._policy)):
            return False
        return who.user_oid.lower() in await self._people_on_call(0.0)

    async def _check_among(self, who: Actor, entries: Collection[str]) -> DirectoryUser:
        people = await self._resolved(entries, ON_CALL_PATIENCE_S)
        if entries and not people:  # whoever is on call is not known, which is not the same as nobody
            raise NotAllowed("cannot_check")
        return await self._check(who, people, "not_approver")

    async def _check_asked(self, who: Actor, prompt: Approval) -> DirectoryUser:
        """
        Somebody of the levels that were asked so far; an approver of a later level learns that it is not time. Whom the
        policy does not name any more does not count, although the question was put before them.
        """
        named = everybody_in(self._policy)
        asked = [entry for level in prompt.levels[: prompt.level + 1] for entry in level if entry in named]
        if not asked:
            raise NotAllowed("not_approver")
        try:
            return await self._check_among(who, asked)
        except NotAllowed as refusal:
            if refusal.reason != "not_approver":
                raise
            await self.check_listed_approver(who)
            raise NotAllowed("not_asked") from refusal

    async def _check_health(self, account: DirectoryUser) -> AccountState:
        health = self._health
        if health is None:
            return AccountState(risk_unread=True)
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                state = await self._health_lately.ask(account.oid.lower(), lambda: health.look(account))
        except (ServiceError, TimeoutError) as exc:
            raise NotAllowed("cannot_check") from exc
        if state.trouble is not None:
            raise NotAllowed(state.trouble)
        return state

    async def possible_approvers(self, case: Case, prompt: Approval | None = None) -> tuple[str, ...]:
        """
        Object ids, in lower case, of those who could answer this prompt at the level that is asked now, or any prompt
        of the case; groups as far as they can be read.
        """
        return tuple(await self.named_approvers(case, prompt))

    async def named_approvers(self, case: Case, prompt: Approval | None = None) -> dict[str, str]:
        """The same with the name of each, "" for one that the directory did not tell."""
        levels = prompt.levels if prompt is not None else ()
        entries = levels[min(prompt.level, len(levels) - 1)] if prompt and levels else everybody_in(self._policy)
        found: dict[str, str] = {}
        for entry in await self._resolved(entries):
            for oid, name in await self._people_behind(entry):
                found.setdefault(oid.lower(), name)
        return {oid: name for oid, name in found.items() if _may_be_asked(oid, case, prompt)}

    async def is_handed_over(self, case: Case, prompt: Approval) -> bool:
        """
        Whether others are on call now than those whom this question was put before at its level. An on-call of nobody
        is a source that is down, and no hand-over.
        """
        level = prompt.levels[min(prompt.level, len(prompt.levels) - 1)] if prompt.levels else ()
        if ON_CALL not in level:
            return False
        people = {oid.lower() for oid in await self._people_on_call(None)}
        now, asked = {oid for oid in people if _may_be_asked(oid, case, prompt)}, set(prompt.asked)
        return bool(now) and (now != asked if set(level) == {ON_CALL} else not now <= asked)

    async def _resolved(self, entries: Iterable[str], patience_s: float | None = None) -> tuple[str, ...]:
        """The entries with whoever is on call in place of "oncall"; each once, in lower case."""
        found: dict[str, None] = {}
        for entry in entries:
            people = (entry,) if entry != ON_CALL else await self._people_on_call(patience_s)
            found.update(dict.fromkeys(oid.lower() for oid in people))
        return tuple(found)

    async def _people_on_call(self, patience_s: float | None) -> tuple[str, ...]:
        return (await self._on_call.now(patience_s)).people if self._on_call is not None else ()

    async def _people_behind(self, entry: str) -> tuple[tuple[str, str], ...]:
        """
        Id and name of the person with this id, or of the members of the group with this id; nobody when neither can be
        read.
        """
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                person = await self._directory.get_user(entry)
                return ((person.oid, person.display_name or person.upn),)
        except (NotFound, Rejected):
            pass
        except (ServiceError, TimeoutError):
            return ((entry, ""),)
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                members = await self._directory.group_members(entry)
                usable = (user for user in members if not user.is_guest and user.account_enabled is not False)
                return tuple((user.oid, user.display_name or user.upn) for user in usable)
        except (ServiceError, TimeoutError):
            return ()

    async def _is_member(self, oid: str, groups: tuple[str, ...]) -> bool:
        """Transitively."""
        found = await self._memberships.ask((oid.lower(), groups), lambda: self._directory.is_member(oid, groups))
        return bool(found)

    async def _account(self, oid: str) -> DirectoryUser:
        return await self._accounts.ask(oid.lower(), lambda: self._directory.get_user(oid))

    async def _check(self, who: Actor, allowed: Collection[str], refusal: str) -> DirectoryUser:
        if who.tenant_id.lower() != self._tenant_id.lower():
            raise NotAllowed("other_tenant")
        if not allowed:
            raise NotAllowed("nobody_configured")
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                account = await self._account(who.user_oid)
                _check_account(account)
                listed = who.user_oid.lower() in allowed or await self._is_member(who.user_oid, tuple(allowed))
        except NotFound as exc:
            raise NotAllowed("not_in_directory") from exc
        except (ServiceError, TimeoutError) as exc:
            raise NotAllowed("cannot_check") from exc
        if not listed:
            raise NotAllowed(refusal)
        return account


def everybody_in(policy: Policy) -> tuple[str, ...]:
    """Every person, group and "oncall" that the policy names anywhere, each once."""
    outside = policy.hours.outside if policy.hours else None
    lists = [policy.who, *policy.chain, *(rule.who or () for rule in policy.rules), policy.override.who or ()]
    if outside is not None:
        lists += [outside.who or (), *(outside.chain or ())]
    return tuple(dict.fromkeys(entry for entries in lists for entry in entries))


def _may_be_asked(oid: str, case: Case, prompt: Approval | None) -> bool:
    own = prompt is not None and prompt.self_allowed
    return (own or not case.was_asked_by(oid)) and not case.is_about(oid)


def _check_account(user: DirectoryUser) -> None:
    if user.is_guest:
        raise NotAllowed("guest")
    if user.account_enabled is False:
        raise NotAllowed("disabled")
    if user.account_enabled is None:
        raise NotAllowed("cannot_check")
