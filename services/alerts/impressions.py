"""
The first impression of an alert: risk state and the three cheapest signals, read behind it by the signals of the
investigation. It is a hint for whoever decides what to do first, not a verdict.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from services.alerts.merging import Facts, learned
from services.alerts.model import TENANT, Alert, AlertKind
from services.case_ids import new_case_id
from services.cases import Actor, Block, BlockKind, Case, CaseState, Finding, SignalState, Subject, Text, say
from services.cases import UnknownReason as Reason
from services.errors import BotError, ServiceError
from services.identification import SenderList, SubjectDirectory, identify
from services.investigation.unreadable import reason_of, why
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: Risk is one request; so are rules (two), forwarding and sign-ins. All others need the audit log or many requests.
SIGNALS = ("risk_state", "inbox_rules", "forwarding", "sign_ins")
#: How long one of them may take, in seconds.
SIGNAL_TIMEOUT_S = 60.0
#: How many accounts are looked at at once: few, since the cases that people work on read from the same services.
AT_ONCE = 2

#: After a fault of ours, and after one of the directory, without which it is not even known whose account it is.
TRY_AGAIN_AFTER = timedelta(minutes=5)

_ABOUT_ACCOUNTS = frozenset({AlertKind.SENDER_RESTRICTED, AlertKind.SENDER_SUSPECTED, AlertKind.EARLY_WARNING})
#: Nobody has asked for it, so nobody is the one who did.
_NOBODY = Actor(user_oid="", name="", tenant_id="")


class Investigation(Protocol):
    """One that reads the signals of `SIGNALS` alone."""

    async def run(self, case: Case, on_finding: Callable[[Finding], Awaitable[None]]) -> tuple[Finding, ...]: ...


class Impressions:
    """Reads impressions, a few at a time. `close` ends it; what was not read then is read after the next start."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        investigation: Investigation,
        directory: SubjectDirectory,
        senders: SenderList,
        tell: Callable[[Sequence[str]], Awaitable[None]],
        *,
        at_once: int = AT_ONCE,
    ) -> None:
        self._store = store
        self._clock = clock
        self._investigation = investigation
        self._directory = directory
        self._senders = senders
        self._tell = tell
        self._turn = asyncio.Semaphore(at_once)
        self._reading: dict[str, asyncio.Task[Any]] = {}
        self._failed_at: dict[str, datetime] = {}

    async def close(self) -> None:
        tasks = list(self._reading.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is being read."""
        while self._reading:
            await asyncio.gather(*self._reading.values(), return_exceptions=True)

    def want(self, alerts: Sequence[Alert], noticed_by: datetime) -> None:
        """Read those of open alerts about accounts that have none and were noticed by then. Returns at once."""
        for alert in alerts:
            if not _needs_one(alert) or alert.noticed_at > noticed_by or self._is_busy_with(alert.alert_id):
                continue
            task = asyncio.create_task(self._guarded(alert.alert_id))
            self._reading[alert.alert_id] = task
            task.add_done_callback(lambda _, alert_id=alert.alert_id: self._reading.pop(alert_id, None))

    def _is_busy_with(self, alert_id: str) -> bool:
        failed_at = self._failed_at.get(alert_id)
        return alert_id in self._reading or (failed_at is not None and self._clock.now() - failed_at < TRY_AGAIN_AFTER)

    async def _guarded(self, alert_id: str) -> None:
        try:
            async with self._turn:
                await self.read(alert_id)
        except Exception as error:  # the outermost level of a task: one bad account must not take the others with it
            self._failed_at[alert_id] = self._clock.now()
            log.exception("impression_failed", alert_id=alert_id, error=type(error).__name__)

    async def read(self, alert_id: str) -> None:
        """Read the impression of one alert now, and keep it; nothing for one that has ended meanwhile."""
        alert = await self._store.alerts.alert(alert_id)
        if not _needs_one(alert):
            return
        subject, findings = await self._look(alert)
        if subject is None:
            self._failed_at[alert_id] = self._clock.now()
        facts = Facts(tenant_id=alert.tenant_id, now=self._clock.now(), new_id=new_case_id)
        names = {name.lower() for name in (subject.user_oid, subject.upn, subject.mail) if name} if subject else set()
        changed = await self._store.alerts.merge(
            alert.tenant_id, {*alert.names, *names}, lambda known: learned(known, alert_id, subject, findings, facts)
        )
        await self._tell([alert.alert_id for alert in changed])

    async def _look(self, alert: Alert) -> tuple[Subject | None, tuple[Finding, ...]]:
        try:
            identified = await identify(alert.oid or alert.about, self._directory, self._senders)
        except ServiceError as error:
            return None, unread(reason_of(error), why(error))
        except BotError as error:  # somebody may have a name that no directory can be asked for
            return None, unread(Reason.FAULT, why(error))
        if identified.subject is None:
            return None, unread(Reason.NOT_APPLICABLE, identified.refusal or say("unreadable.not_there"))
        return identified.subject, await self._findings(alert, identified.subject)

    async def _findings(self, alert: Alert, subject: Subject) -> tuple[Finding, ...]:
        found = await self._investigation.run(self._as_case(alert, subject), _keep_nothing)
        order = {signal_id: place for place, signal_id in enumerate(SIGNALS)}
        return tuple(sorted(found, key=lambda finding: order.get(finding.signal_id, len(order))))

    def _as_case(self, alert: Alert, subject: Subject) -> Case:
        """What signals read from; never stored."""
        kind = BlockKind.RESTRICTED if alert.kind is AlertKind.SENDER_RESTRICTED else BlockKind.NONE
        since = alert.since if alert.is_since_known else None
        return Case(
            case_id="",
            tenant_id=alert.tenant_id,
            state=CaseState.INVESTIGATING,
            query=alert.about,
            requester=_NOBODY,
            opened_at=alert.noticed_at,
            changed_at=alert.noticed_at,
            subject=subject,
            block=Block(kind=kind, since=since, reason=alert.report.reason),
        )


def unread(reason: Reason, because: Text) -> tuple[Finding, ...]:
    """An impression of nothing: every signal is unknown, for the same reason."""
    return tuple(
        Finding(signal_id=signal_id, state=SignalState.UNKNOWN, summary=because, unknown_reason=reason)
        for signal_id in SIGNALS
    )


def _needs_one(alert: Alert) -> bool:
    lacks_one = alert.impression is None or _is_nobody_known(alert)
    return alert.is_open and alert.kind in _ABOUT_ACCOUNTS and lacks_one and alert.about != TENANT


def _is_nobody_known(alert: Alert) -> bool:
    """Whether the directory could not be read: not who it is, nor that there is no such account."""
    if alert.oid or not alert.impression:
        return False
    return all(one.unknown_reason not in (None, Reason.NOT_APPLICABLE) for one in alert.impression)


async def _keep_nothing(_: Finding) -> None:
    """The findings are kept together at the end."""
