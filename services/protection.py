"""Which kinds of protection an account has, by the lists of the policy and its directory roles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from services.cases import Subject
from services.clients.graph_models import DirectoryRole
from services.errors import LicenceMissing, ServiceError
from services.policy import Policy, ProtectedKind

log = structlog.get_logger()

#: The answer must not hold the first card; what takes longer counts as protected.
TIMEOUT_S = 10.0


class Directory(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`."""

    async def is_member(self, oid: str, group_ids: Sequence[str]) -> frozenset[str]: ...

    async def transitive_roles(self, oid: str) -> tuple[DirectoryRole, ...]: ...

    async def may_activate_role(self, oid: str) -> bool: ...


class Protection(Protocol):
    """Fulfilled by `ProtectedAccounts`."""

    async def kinds_of(self, subject: Subject) -> tuple[str, ...]: ...


class ProtectedAccounts:
    """Looks accounts up in the policy's lists."""

    def __init__(self, policy: Policy, directory: Directory) -> None:
        self._policy = policy
        self._directory = directory

    async def kinds_of(self, subject: Subject) -> tuple[str, ...]:
        """
        The `ProtectedKind`s that apply to this account. One that could not be looked up applies: unknown is not
        unprotected. Never raises ServiceError.
        """
        kinds = [kind for kind in ProtectedKind if self._policy.protected.of(kind) is not None]
        found = await asyncio.gather(*(self._applies(kind, subject) for kind in kinds))
        return tuple(kind.value for kind, applies in zip(kinds, found, strict=True) if applies)

    async def _applies(self, kind: ProtectedKind, subject: Subject) -> bool:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                return await self._is_of(kind, subject.user_oid)
        except (ServiceError, TimeoutError) as error:
            log.warning("protection_unread", kind=kind.value, failure=type(error).__name__)
            return True

    async def _is_of(self, kind: ProtectedKind, oid: str) -> bool:
        guard = self._policy.protected.of(kind)
        accounts = tuple(entry.lower() for entry in getattr(guard, "accounts", ()))
        if kind is ProtectedKind.ADMINS:
            return bool(await self._directory.transitive_roles(oid)) or await self._may_activate_role(oid)
        return oid.lower() in accounts or bool(await self._directory.is_member(oid, accounts))

    async def _may_activate_role(self, oid: str) -> bool:
        """Nobody may without the licence for that (Entra ID P2)."""
        try:
            return await self._directory.may_activate_role(oid)
        except LicenceMissing:
            return False
