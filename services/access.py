"""
Who may do what. Decided anew for every order, from the verified token and the directory, never from a card.

Nobody configured means nobody may. Guests, other tenants, disabled accounts and people that the directory does not know
never may. When the directory cannot be read, nobody may either: unknown is not allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from services.cases import Actor, Case
from services.clients.graph_models import DirectoryUser
from services.errors import NotAllowed, NotFound, Rejected, ServiceError

#: A click must be answered within seconds, so the directory gets no longer than this.
DIRECTORY_TIMEOUT_S = 5.0


class PeopleDirectory(Protocol):
    """What is asked of the directory; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def is_member(self, oid: str, group_ids: Sequence[str]) -> frozenset[str]: ...

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]: ...


class Access:
    """
    The lists of the settings, applied. Each `check_...` returns nothing or raises NotAllowed(reason), where reason is
    one of: nobody_configured, other_tenant, not_in_directory, guest, disabled, cannot_check, not_requester,
    not_approver, not_admin, own_request, subject, same_approver.
    """

    def __init__(
        self,
        directory: PeopleDirectory,
        *,
        tenant_id: str,
        requesters: Collection[str],
        approvers: Collection[str],
        admins: Collection[str],
    ) -> None:
        self._directory = directory
        self._tenant_id = tenant_id
        self._requesters = tuple(requesters)
        self._approvers = tuple(approvers)
        self._admins = tuple(admins)

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
        await self._check(who, self._approvers, "not_approver")

    async def check_approver(self, who: Actor, case: Case) -> None:
        """An approver is on the list, did not ask for this, and is not whom it is about."""
        if case.was_asked_by(who.user_oid):
            raise NotAllowed("own_request")
        if case.is_about(who.user_oid):
            raise NotAllowed("subject")
        await self.check_listed_approver(who)

    async def possible_approvers(self, case: Case) -> tuple[str, ...]:
        """Object ids, in lower case, of those who could approve this case; groups as far as they can be read."""
        found: dict[str, None] = {}
        for entry in self._approvers:
            for oid in await self._people_behind(entry):
                found.setdefault(oid.lower())
        return tuple(oid for oid in found if not case.was_asked_by(oid) and not case.is_about(oid))

    async def _people_behind(self, entry: str) -> tuple[str, ...]:
        """The person with this id, or the members of the group with this id; nobody when neither can be read."""
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                return ((await self._directory.get_user(entry)).oid,)
        except (NotFound, Rejected):
            pass
        except (ServiceError, TimeoutError):
            return (entry,)
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                members = await self._directory.group_members(entry)
                return tuple(user.oid for user in members if not user.is_guest and user.account_enabled is not False)
        except (ServiceError, TimeoutError):
            return ()

    async def _check(self, who: Actor, allowed: tuple[str, ...], refusal: str) -> None:
        if who.tenant_id.lower() != self._tenant_id.lower():
            raise NotAllowed("other_tenant")
        if not allowed:
            raise NotAllowed("nobody_configured")
        try:
            async with asyncio.timeout(DIRECTORY_TIMEOUT_S):
                _check_account(await self._directory.get_user(who.user_oid))
                listed = who.user_oid.lower() in allowed or await self._directory.is_member(who.user_oid, allowed)
        except NotFound as exc:
            raise NotAllowed("not_in_directory") from exc
        except (ServiceError, TimeoutError) as exc:
            raise NotAllowed("cannot_check") from exc
        if not listed:
            raise NotAllowed(refusal)


def _check_account(user: DirectoryUser) -> None:
    if user.is_guest:
        raise NotAllowed("guest")
    if user.account_enabled is False:
        raise NotAllowed("disabled")
