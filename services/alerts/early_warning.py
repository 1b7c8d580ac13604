"""
Early warning as a source of alerts: an account that something points at sends so much that Microsoft may restrict it.

Nobody's mail is counted without a reason. Looked at are people whom Identity Protection sees at risk, accounts that
Defender suspects, and accounts of cases that were closed within a week. Each look is one request to the message trace,
which allows 100 in five minutes to everything that the app does; those looked at longest ago come first, and what was
looked at when is kept in the database, so that no replica and no restart begins anew.

The trace lags by minutes, and what is sent from another address of the account is not seen: a warning is a hint that
somebody should look, and no warning means nothing.

Sources: "List messageTraces" (Microsoft Graph, 2025-12), "List riskyUsers" (2025).
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog
from pydantic import Field

from services.alerts.model import Alert, AlertKind, Report, Severity, SourceName
from services.alerts.ports import Reading
from services.alerts.sections import EarlyWarningSettings
from services.alerts.volume import (
    HABIT,
    TODAY,
    TRACE_LIMIT,
    Limits,
    Volume,
    limits_of,
    reasons_of,
    severity_of,
    volume_of,
)
from services.cases import Case, Text, Value, say
from services.clients.exchange_models import OutboundPolicy, OutboundRule
from services.clients.graph_models import DirectoryUser, Domain, MessageTrace, RiskyUser
from services.errors import (
    BrokenAnswer,
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    ServiceError,
    Throttled,
    Unavailable,
)
from services.investigation.unreadable import why
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: An hour that began this long ago is no warning any more. It is longer than the trace may lag and a look may wait.
RECENT = timedelta(hours=2)
#: The window in which Microsoft counts requests to the trace.
BUDGET_WINDOW = timedelta(minutes=5)
#: For so long after its case an account is looked at.
AFTER_CASE = timedelta(days=7)
#: How many cases are gone through to find those.
MOST_CASES = 200
#: More accounts than this are not taken turns over: each would come up too seldom to be warned of in time.
MOST_ACCOUNTS = 1000
#: How long people at risk, and policies and domains, are believed.
RISK_LASTS, AROUND_LASTS = timedelta(minutes=5), timedelta(hours=1)
#: A source that could not be read for want of a licence or permission is tried again this much later.
OFF_FOR = timedelta(hours=1)
#: A warning is told again when the hour has grown by this much.
GROWN = 1.5
#: The time within which a reading ends; the watch gives it 30 seconds.
LOOK_FOR_S = 20.0
#: The name under which it is kept who was looked at when.
MEMORY = "early_warning"


class Graph(Protocol):
    """Fulfilled by `GraphClient`."""

    async def risky_users(self) -> tuple[RiskyUser, ...]: ...

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int
    ) -> tuple[MessageTrace, ...]: ...

    async def domains(self) -> tuple[Domain, ...]: ...


class Exchange(Protocol):
    """Fulfilled by `ExchangeClient`."""

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]: ...

    async def outbound_rules(self) -> tuple[OutboundRule, ...]: ...


# --- whose turn it is: pure ------------------------------------------------------------------------------------------


class Look(Value):
    """When an account was last looked at, and the warning that is out about it."""

    looked_at: datetime | None = None
    #: When the busy hour began that was warned of; None while there is no warning.
    since: datetime | None = None
    #: What was told of that hour: recipients, and how pressing it was.
    told: int = 0
    severity: Severity = Severity.LOW


class Memory(Value):
    """The looks at every account that something points at, by object id or address in lower case."""

    looks: dict[str, Look] = Field(default_factory=dict)

    def within(self, window: timedelta, now: datetime) -> int:
        """How many looks there were in this time."""
        return sum(now - look.looked_at < window for look in self.looks.values() if look.looked_at)

    def pruned(self, candidates: Collection[str], restricted: Collection[str], now: datetime) -> Memory:
        """
        Without those whom nothing points at any more, unless a warning is out or the look still counts. Of an account
        that is restricted by now nobody needs to be warned.
        """
        looks = {
            who: look.model_copy(update={"since": None}) if who in restricted else look
            for who, look in self.looks.items()
        }
        return Memory(looks={who: look for who, look in looks.items() if who in candidates or _counts(look, now)})


def _counts(look: Look, now: datetime) -> bool:
    return look.since is not None or (look.looked_at is not None and now - look.looked_at < BUDGET_WINDOW)


def turns(candidates: Iterable[str], memory: Memory, number: int) -> list[str]:
    """
    Who is looked at now: those with a warning out, but by at most half of the looks, so that however many they are
    nobody else waits for good; then who was never looked at, then whoever was the longest ago.
    """
    never = datetime.min.replace(tzinfo=UTC)

    def place(who: str) -> tuple[datetime, str]:
        return memory.looks.get(who, Look()).looked_at or never, who

    number = max(number, 0)
    warned = [who for who, look in memory.looks.items() if look.since]
    first = sorted(warned, key=place)[: number // 2]
    return [*first, *sorted({*candidates, *warned} - {*first}, key=place)][:number]


@dataclass(frozen=True)
class Observed:
    """What one look has shown."""

    person: DirectoryUser
    volume: Volume
    limits: Limits
    at: datetime


def judged(
    who: str, before: Look, seen: Observed, because: Text | None, settings: EarlyWarningSettings
) -> tuple[Look, Report | None]:
    """The look to remember, and the report when there is news: a warning, one that has grown, or its end."""
    look = before.model_copy(update={"looked_at": seen.at})
    reasons, severity = reasons_of(seen.volume, seen.limits, settings), severity_of(seen.volume, seen.limits)
    if not reasons:
        if before.since is None:
            return look, None
        return look.model_copy(update={"since": None, "told": 0}), _report(who, seen, before.since, is_over=True)
    if before.since is not None and seen.volume.hour < GROWN * before.told and severity <= before.severity:
        return look, None
    since = before.since or seen.volume.hour_at or seen.at
    what = say(
        "early_warning.sends_much", reasons=list(reasons), because=because or say("early_warning.because.before")
    )
    look = look.model_copy(update={"since": since, "told": max(seen.volume.hour, 1), "severity": severity})
    return look, _report(who, seen, since, severity=severity, what=what)


def looked_through(before: Look, now: datetime) -> timedelta:
    """
    How far back a busy hour is looked for: to the last look, however long ago that was, so that none is missed; of an
    account that is warned of already only lately, so that the warning ends.
    """
    if before.looked_at is None or before.since is not None:
        return RECENT
    return min(max(RECENT, now - before.looked_at + timedelta(hours=1)), TODAY)


def _report(who: str, seen: Observed, since: datetime, **more: object) -> Report:
    person = seen.person
    return Report(
        source=SourceName.EARLY_WARNING,
        kind=AlertKind.EARLY_WARNING,
        about=(person.mail or person.upn).lower(),
        oid=person.oid.lower(),
        also=tuple(sorted(person.addresses)),
        name=person.display_name or "",
        since=since,
        external_id=_external_id(who, since),
        told_at=seen.at,
        **more,
    )


def _gone(who: str, since: datetime, now: datetime) -> Report:
    """The end of a warning about somebody who cannot be found any more."""
    return Report(
        source=SourceName.EARLY_WARNING,
        kind=AlertKind.EARLY_WARNING,
        about=who,
        since=since,
        external_id=_external_id(who, since),
        told_at=now,
        is_over=True,
    )


def _external_id(who: str, since: datetime) -> str:
    return f"early_warning:{who}:{since:%Y%m%dT%H%M%SZ}"


def pointed_at(
    risky: Iterable[RiskyUser], alerts: Iterable[Alert], cases: Iterable[Case], now: datetime
) -> dict[str, Text]:
    """
    Whom to look at, by object id or (where an alert gives none) address in lower case, and why; the riskiest news last
    seen first. Somebody who is named twice is looked at for the first reason.
    """
    found: dict[str, Text] = {}
    for alert in alerts:
        if alert.kind is AlertKind.SENDER_SUSPECTED:
            found.setdefault((alert.oid or alert.about).lower(), say("early_warning.because.suspected"))
    for case in cases:
        if case.subject is not None and case.closed_at is not None and now - case.closed_at < AFTER_CASE:
            found.setdefault(case.subject.user_oid.lower(), say("early_warning.because.case", case_id=case.case_id))
    earliest = datetime.min.replace(tzinfo=UTC)
    for person in sorted(risky, key=lambda person: person.updated_at or earliest, reverse=True):
        if not person.is_deleted:
            found.setdefault(person.user_oid.lower(), say("early_warning.because.risk"))
    return dict(list(found.items())[:MOST_ACCOUNTS])


def names_of_restricted(alerts: Iterable[Alert]) -> frozenset[str]:
    """Everything that accounts are known by which are restricted by now."""
    restricted = (alert.names for alert in alerts if alert.kind is AlertKind.SENDER_RESTRICTED)
    return frozenset[str]().union(*restricted)


# --- looking ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Around:
    """What is the same for every account."""

    policies: tuple[OutboundPolicy, ...]
    rules: tuple[OutboundRule, ...]
    domains: frozenset[str]
    read_at: datetime


@dataclass
class _Round:
    """One reading while it goes on."""

    now: datetime
    looks: dict[str, Look]
    because: Mapping[str, Text]
    reports: list[Report] = field(default_factory=list)
    seen: int = 0
    problem: ServiceError | None = None


class EarlyWarning:
    """Fulfils the port `Source`. It tells news: what it does not say is not over."""

    name = SourceName.EARLY_WARNING

    def __init__(
        self, store: Store, graph: Graph, exchange: Exchange, clock: Clock, settings: EarlyWarningSettings
    ) -> None:
        self._store = store
        self._graph = graph
        self._exchange = exchange
        self._clock = clock
        self._settings = settings
        self.interval_s = 60.0
        #: Why it is off although it is switched on: the tenant lacks what it needs. None while it works.
        self.off_because: Text | None = None
        self._off_at: datetime | None = None
        self._risky: tuple[RiskyUser, ...] = ()
        self._risky_at: datetime | None = None
        self._known_around: _Around | None = None

    async def read(self, since: datetime | None) -> Reading:
        """
        The warnings that are new, have grown, or are over.

        Without the permission for the trace, or a licence of any of those looked at, it is off: it fails at nothing,
        and the reading says why it is off.
        Raises ServiceError when none of the accounts whose turn it was could be looked at.
        """
        now = self._clock.now()
        if self._off_at is not None and now - self._off_at < OFF_FOR:
            return Reading(off=self.off_because)
        try:
            reports = await self._look_at_some(now)
        except (LicenceMissing, PermissionMissing) as error:
            log.warning("early_warning_off", error=str(error))
            self.off_because, self._off_at = why(error), now
            return Reading(off=self.off_because)
        self.off_because = self._off_at = None
        return Reading(reports=tuple(reports), read_until=now)

    async def _look_at_some(self, now: datetime) -> list[Report]:
        alerts = await self._store.alerts.alerts()
        restricted = names_of_restricted(alerts)
        pointed = pointed_at(await self._at_risk(now), alerts, await self._store.cases(limit=MOST_CASES), now)
        because = {who: reason for who, reason in pointed.items() if who not in restricted}
        memory = (await self._memory()).pruned(because, restricted, now)
        chosen = turns(because, memory, self._share(memory, now))
        if not chosen:
            return []
        ongoing = _Round(now, dict(memory.looks), because)
        await self._go_through(chosen, ongoing, await self._around(now))
        await self._store.choose(MEMORY, Memory(looks=ongoing.looks).model_dump_json())
        if ongoing.problem is not None and not ongoing.seen:
            raise ongoing.problem
        return ongoing.reports

    def _share(self, memory: Memory, now: datetime) -> int:
        """How many looks this reading has: its part of five minutes, and what other readings have left of them."""
        part = math.ceil(self._settings.requests * self.interval_s / BUDGET_WINDOW.total_seconds())
        return min(part, self._settings.requests - memory.within(BUDGET_WINDOW, now))

    async def _go_through(self, chosen: Iterable[str], ongoing: _Round, around: _Around) -> None:
        """Look at one after the other, until the time is over or the service asks to wait: the rest comes next."""
        try:
            async with asyncio.timeout(LOOK_FOR_S):
                for who in chosen:
                    await self._look(who, ongoing, around)
        except (Throttled, Unavailable) as error:
            ongoing.problem = error
        except TimeoutError:
            ongoing.problem = Unavailable("graph", reason="slow")

    async def _look(self, who: str, ongoing: _Round, around: _Around) -> None:
        before = ongoing.looks.get(who, Look())
        # Written down before it is done, since a look that is cut off has cost its request all the same.
        ongoing.looks[who] = before.model_copy(update={"looked_at": ongoing.now})
        try:
            seen = await self._observed(who, before, ongoing.now, around)
        except NotFound:  # such as an account that was deleted meanwhile
            ongoing.seen += 1
            ongoing.looks[who] = Look(looked_at=ongoing.now)
            ongoing.reports += [_gone(who, before.since, ongoing.now)] if before.since else []
            return
        except (Rejected, BrokenAnswer, LicenceMissing) as error:
            ongoing.problem = error  # the others may be readable, or have the licence
            return
        ongoing.seen += 1
        ongoing.looks[who], report = judged(who, before, seen, ongoing.because.get(who), self._settings)
        ongoing.reports += [report] if report is not None else []

    async def _observed(self, who: str, before: Look, now: datetime, around: _Around) -> Observed:
        """What an account has sent."""
        person = await self._graph.get_user(who)
        address = person.mail or person.upn
        rows = await self._graph.message_traces(address, since=now - HABIT, until=now, limit=TRACE_LIMIT)
        return Observed(
            person=person,
            volume=volume_of(rows, now, around.domains, looked_through(before, now)),
            limits=limits_of(around.policies, around.rules, person.addresses),
            at=now,
        )

    # --- what it goes by ---

    async def _memory(self) -> Memory:
        kept = await self._store.chosen(MEMORY)
        return Memory.model_validate(json.loads(kept)) if kept else Memory()

    async def _at_risk(self, now: datetime) -> tuple[RiskyUser, ...]:
        """Nobody without a licence for it, or a permission: others are pointed at all the same."""
        if self._risky_at is None or now - self._risky_at >= RISK_LASTS:
            try:
                self._risky = await self._graph.risky_users()
            except (LicenceMissing, PermissionMissing):
                self._risky = ()
            self._risky_at = now
        return self._risky

    async def _around(self, now: datetime) -> _Around:
        """Policies and domains; those of before when they cannot be read now."""
        known = self._known_around
        if known is not None and now - known.read_at < AROUND_LASTS:
            return known
        try:
            policies, rules, domains = await asyncio.gather(
                self._exchange.outbound_policies(), self._exchange.outbound_rules(), self._graph.domains()
            )
        except ServiceError:
            if known is None:
                raise
            return known
        names = frozenset(domain.name.casefold() for domain in domains)
        self._known_around = _Around(policies, rules, names, now)
        return self._known_around
