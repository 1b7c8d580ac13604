"""What the signals of one investigation read from: the case, the sources, and the reads that several of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, TypeVar

from services.cases import Case, Subject
from services.clients.exchange_models import Mailbox
from services.clients.graph_models import (
    AuditEvent,
    AuditRecord,
    DirectoryUser,
    MailItem,
    MessageTrace,
    ServicePrincipal,
    SignIn,
)
from services.errors import ServiceError, WrongState
from services.investigation.ports import Directory, Mailboxes

Read = TypeVar("Read")

#: How far back the directory's audit log is read. Entra keeps it for 30 days, and for 7 without a premium licence.
AUDIT_DAYS = 30
AUDIT_LIMIT = 200
#: How far back sign-ins are read, and how many of them.
SIGN_IN_DAYS = 30
SIGN_IN_LIMIT = 1000
#: How far back the unified audit log is read. Shorter than it is kept, because a long search takes minutes.
RECORD_DAYS = 7
RECORD_LIMIT = 1000
#: The message trace answers for ten days at a time.
TRACE_DAYS = 10
TRACE_LIMIT = 5000
#: How many messages of a folder are read.
MAIL_LIMIT = 1000


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

    def is_near_start(self, at: datetime | None, within: timedelta) -> bool:
        """Whether this was around the time when it began, before or after. False for a time that nobody knows."""
        return at is not None and abs(at - self.started_at) <= within

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

    async def sign_ins(self) -> tuple[SignIn, ...]:
        """Interactive sign-ins, newest first."""
        since, oid = self.now - timedelta(days=SIGN_IN_DAYS), self.subject.user_oid
        return await self._once("sign_ins", lambda: self.directory.sign_ins(oid, since, limit=SIGN_IN_LIMIT))

    async def background_sign_ins(self) -> tuple[SignIn, ...]:
        """Sign-ins that programs did without the person, newest first. Their place in Graph is not verified."""
        since, oid = self.now - timedelta(days=SIGN_IN_DAYS), self.subject.user_oid
        return await self._once(
            "background_sign_ins", lambda: self.directory.background_sign_ins(oid, since, limit=SIGN_IN_LIMIT)
        )

    async def records(self) -> tuple[AuditRecord, ...]:
        """What the account did and what was done to its mailbox, by the unified audit log. Slow: a search runs."""
        since, upn = self.now - timedelta(days=RECORD_DAYS), self.subject.upn
        return await self._once(
            "records",
            lambda: self.directory.audit_records(upn, since=since, until=self.now, limit=RECORD_LIMIT),
        )

    async def traces(self) -> tuple[MessageTrace, ...]:
        """What the account sent, one row for each recipient, newest first. Under its address, not its name."""
        since, sender = self.now - timedelta(days=TRACE_DAYS), self.subject.mail or self.subject.upn
        return await self._once(
            "traces",
            lambda: self.directory.message_traces(sender, since=since, until=self.now, limit=TRACE_LIMIT),
        )

    async def mail_items(self, folder: str) -> tuple[MailItem, ...]:
        """Messages of a folder (sentitems, deleteditems) for as long as the trace goes back, newest first."""
        since, oid = self.now - timedelta(days=TRACE_DAYS), self.subject.user_oid
        return await self._once(
            f"mail:{folder}", lambda: self.directory.mail_items(oid, folder, since, limit=MAIL_LIMIT)
        )

    async def mailbox(self) -> Mailbox:
        """The mailbox with its forwarding and who may send on behalf of it."""
        return await self._once("mailbox", lambda: self.mailboxes.mailbox(self.subject.upn))

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


def attempted(reading: Awaitable[Read]) -> asyncio.Task[Read | ServiceError]:
    """
    What was read, or why it could not be, for signals that can make do without.

    The reading begins at once: one that was handed over and is cancelled before anybody waits for it would otherwise be
    a coroutine that never ran, of which Python warns.
    """
    begun = asyncio.ensure_future(reading)
    outcome = asyncio.ensure_future(_outcome(begun))
    outcome.add_done_callback(lambda _: begun.cancel())
    return outcome


async def _outcome(begun: asyncio.Future[Read]) -> Read | ServiceError:
    try:
        return await begun
    except ServiceError as error:
        return error


def domain_of(address: str) -> str:
    """What stands after the last @, casefolded; "" when there is none."""
    return address.rpartition("@")[2].casefold() if "@" in address else ""
