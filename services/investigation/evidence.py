"""What the signals of one investigation read from: the case, the sources, and the reads that several of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from services.cases import Case, Subject
from services.clients.graph_models import AuditEvent, DirectoryUser, ServicePrincipal
from services.errors import ServiceError, WrongState
from services.investigation.ports import Directory, Mailboxes

Read = TypeVar("Read")

#: How far back the directory's audit log is read. Entra keeps it for 30 days, and for 7 without a premium licence.
AUDIT_DAYS = 30
AUDIT_LIMIT = 200


class Evidence:
    """
    One investigation's sources. A shared read goes out once, however many signals wait for it, and a signal that gives
    up waiting does not take it away from the others.

    Raises WrongState for a case whose account is not known yet.
    """

    def __init__(self, case: Case, directory: Directory, mailboxes: Mailboxes, now: datetime) -> None:
        if case.subject is None:
            raise WrongState(case_id=case.case_id, state=case.state.value)
        self.case = case
        self.subject: Subject = case.subject
        self.directory = directory
        self.mailboxes = mailboxes
        self.now = now
        self._reads: dict[str, asyncio.Task[Any]] = {}

    @property
    def started_at(self) -> datetime:
        """When it began to show: the start of the block; now for an account that is not blocked."""
        since = self.case.block.since if self.case.block else None
        return since or self.now

    async def user(self) -> DirectoryUser:
        """The account as the directory has it now."""
        return await self._once("user", lambda: self.directory.get_user(self.subject.user_oid))

    async def audits(self) -> tuple[AuditEvent, ...]:
        """What was changed about the account, newest first."""
        since, oid = self.now - timedelta(days=AUDIT_DAYS), self.subject.user_oid
        return await self._once(
            "audits", lambda: self.directory.directory_audits(since=since, oid=oid, limit=AUDIT_LIMIT)
        )

    async def consents(self) -> tuple[AuditEvent, ...]:
        """Consents to apps that anybody gave, newest first. Their target is the app, so they are not among `audits`."""
        since = self.now - timedelta(days=AUDIT_DAYS)
        activity = "Consent to application"
        return await self._once(
            "consents", lambda: self.directory.directory_audits(since=since, activity=activity, limit=AUDIT_LIMIT)
        )

    async def app(self, sp_oid: str) -> ServicePrincipal:
        """The app behind a grant; several grants may be of one app."""
        return await self._once(f"app:{sp_oid}", lambda: self.directory.service_principal(sp_oid))

    async def own_domains(self) -> frozenset[str]:
        """
        Domains of the account's own addresses, casefolded: everything else is outside.

        When the directory cannot be read, those of the case must do: too few make a forward look worse, never better.
        """
        subject = self.subject
        names = {name for name in (subject.upn, subject.mail) if name}
        with suppress(ServiceError):
            names |= (await self.user()).addresses
        return frozenset(domain_of(name) for name in names) - {""}

    async def _once(self, name: str, read: Callable[[], Awaitable[Read]]) -> Read:
        if name not in self._reads:
            self._reads[name] = asyncio.ensure_future(read())
        return await asyncio.shield(self._reads[name])

    async def close(self) -> None:
        """Stop the reads that nobody waits for any more."""
        for task in self._reads.values():
            task.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)


async def attempted(reading: Awaitable[Read]) -> Read | ServiceError:
    """What was read, or why it could not be, for signals that can make do without."""
    try:
        return await reading
    except ServiceError as error:
        return error


def domain_of(address: str) -> str:
    """What stands after the last @, casefolded; "" when there is none."""
    return address.rpartition("@")[2].casefold() if "@" in address else ""
