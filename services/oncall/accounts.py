"""From ids and addresses to accounts that the bot can ask. Nobody is dropped: who has none is named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.clients.graph_models import DirectoryUser
from services.errors import NotFound, Rejected, ServiceError

#: How long Entra may take to confirm one account whose id is known already.
CONFIRM_TIMEOUT_S = 3.0


class Directory(Protocol):
    """What is asked of Entra; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def by_address(self, text: str) -> tuple[DirectoryUser, ...]: ...

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]: ...


@dataclass(frozen=True)
class Found:
    """Object ids in lower case, and the names of those who have no account that counts; each once, in order."""

    people: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


class Accounts:
    """Looks people up in Entra."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    async def with_ids(self, oids: Sequence[str]) -> Found:
        """
        The accounts with these object ids. An id that cannot be looked up now is kept: whoever uses it is checked
        again when they click, and a directory that is down must not hide who is on duty.
        """
        return _sorted(await asyncio.gather(*map(self._with_id, oids)))

    async def with_addresses(self, addresses: Sequence[str]) -> Found:
        """The accounts with these mail addresses. Raises: ServiceError when Entra cannot be asked."""
        return _sorted(await asyncio.gather(*map(self._with_address, addresses)))

    async def in_group(self, group_id: str) -> Found:
        """The members of a group, through other groups too. Raises: ServiceError, NotFound among them."""
        return _sorted([_either(user) for user in await self._directory.group_members(group_id)])

    async def _with_id(self, oid: str) -> Found:
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT_S):
                return _either(await self._directory.get_user(oid))
        except NotFound:
            return Found(unknown=(oid,))
        except (ServiceError, TimeoutError):
            return Found(people=(oid.lower(),))

    async def _with_address(self, address: str) -> Found:
        try:
            users = await self._directory.by_address(address)
        except Rejected as refusal:
            if refusal.params.get("status") == 400:  # nothing that Graph takes for an address
                return Found(unknown=(address,))
            raise
        user = owner_of(address, users)
        return Found(unknown=(address,)) if user is None or not counts(user) else Found(people=(user.oid.lower(),))


def owner_of(address: str, users: Iterable[DirectoryUser]) -> DirectoryUser | None:
    """
    The one user to whom this address belongs: by UPN, else by an address of their mailbox, else by their `mail`.

    Addresses that somebody noted down as "other" prove nothing, and two owners of one address are nobody.
    """
    users, wanted = tuple(users), address.strip().casefold()
    for names in (_upn, _aliases, _mail):
        if owners := [user for user in users if wanted in names(user)]:
            return owners[0] if len(owners) == 1 else None
    return None


def counts(user: DirectoryUser) -> bool:
    """Whether this account may be asked: guests and switched-off accounts never may."""
    return not user.is_guest and user.account_enabled is not False


def _upn(user: DirectoryUser) -> tuple[str, ...]:
    return (user.upn.casefold(),)


def _aliases(user: DirectoryUser) -> tuple[str, ...]:
    return tuple(alias.casefold() for alias in user.aliases)


def _mail(user: DirectoryUser) -> tuple[str, ...]:
    return ((user.mail or "").casefold(),)


def _either(user: DirectoryUser) -> Found:
    return Found(people=(user.oid.lower(),)) if counts(user) else Found(unknown=(user.display_name or user.upn,))


def _sorted(found: Iterable[Found]) -> Found:
    found = tuple(found)
    people = dict.fromkeys(oid for one in found for oid in one.people)
    unknown = dict.fromkeys(name for one in found for name in one.unknown)
    return Found(tuple(people), tuple(unknown))
