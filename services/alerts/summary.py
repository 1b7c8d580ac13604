"""
What a week was like: how many blocks, what they turned out to be, how long everything took, and what is still open.

It is posted once a week. When it is due next stands in the database, beside the sources of alerts: one replica claims
it as it would claim a source, and a restart neither forgets it nor sends it twice.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from statistics import median
from typing import Protocol

import structlog

from services.alerts.model import Alert, AlertKind, SourceState
from services.alerts.sections import WeeklySettings
from services.audit import AuditEntry, Tag
from services.cases import Actor, Case, Text, Value, VerdictLabel, say
from services.errors import ServiceError
from services.investigation.unreadable import why
from services.ports import Clock
from services.report import milestones
from services.store import Store
from services.tracking import open_items

log = structlog.get_logger()

#: The name of its row among the sources.
WEEKLY_SUMMARY = "weekly_summary"
#: How long one replica may take to gather and post it before another one tries.
LEASE_S = 300.0
#: How often it is looked whether it is due.
LOOK_EVERY_S = 60.0
TRY_AGAIN_AFTER = timedelta(minutes=5)
#: How late it may be and still be of use, such as after a weekend without the bot; then the next week's is awaited.
USELESS_AFTER = timedelta(days=6)
#: More cases than this in one week are not gone through; the summary says so.
MOST_CASES = 1000
_WEEK = timedelta(days=7)

#: What is called a block here: an early warning or a mere suspicion is none.
BLOCKS = frozenset({AlertKind.SENDER_RESTRICTED, AlertKind.CONNECTOR_BLOCKED, AlertKind.TENANT_RESTRICTED})

#: Endings of what was no block of its own: another alert tells of the same, or no list ever showed it.
_NO_BLOCK = frozenset({"alert.ended.same", "alert.ended.not_listed", "alert.ended.connector_not_listed"})

#: Which times are told, each from one milestone to another (`services.report.milestones`).
STRETCHES: tuple[tuple[str, str], ...] = (
    ("block", "alert"),
    ("request", "approval"),
    ("approval", "unblock"),
    ("block", "unblock"),
    ("unblock", "first_delivered"),
)


class DayCount(Value):
    """One calendar day in the time zone of the summary."""

    day: date
    blocks: int


class Stretch(Value):
    """How long it took from one milestone to another, half of the times less than this."""

    start: str
    end: str
    #: Of so many cases or alerts of which both moments are known.
    n: int
    #: None when n is 0.
    median_s: float | None = None


class OwnerCount(Value):
    """What one person has in their care; `owner` is None for what nobody has taken on."""

    owner: Actor | None
    open_items: int
    overdue: int = 0


class WeeklySummary(Value):
    """One week. `summary_id` names it, so that it is posted once."""

    summary_id: str
    #: From this moment on, and before that one.
    since: datetime
    until: datetime
    time_zone: str
    #: Every day that the week touches, oldest first.
    days: tuple[DayCount, ...]
    cases: int
    verdicts: dict[VerdictLabel, int]
    #: Cases without a verdict: under way, called off, or about something that has none.
    undecided: int
    times: tuple[Stretch, ...]
    #: Most open items first; what nobody has taken on comes last.
    owners: tuple[OwnerCount, ...]
    alerts_open: int
    #: What cannot be known about this week, such as a source that was not readable for some of it.
    unread: tuple[Text, ...] = ()

    @property
    def blocks(self) -> int:
        return sum(day.blocks for day in self.days)

    @property
    def open_items(self) -> int:
        return sum(owner.open_items for owner in self.owners)


# --- what is in it: pure ---------------------------------------------------------------------------------------------


def summary_id(until: datetime) -> str:
    return f"weekly-{until:%Y-%m-%d}"


def blocks_by_day(
    alerts: Iterable[Alert], cases: Iterable[Case], since: datetime, until: datetime, zone: tzinfo
) -> tuple[DayCount, ...]:
    """
    Blocks by the day on which they began, or were noticed when they had begun before the week or nobody knows when.

    A case that somebody opened before an alert came counts as well; one that an alert led to counts once.
    """

    def moment(began: datetime | None, noticed: datetime) -> datetime:
        return began if began is not None and since <= began < until else noticed

    counted = [alert for alert in alerts if alert.kind in BLOCKS]
    with_alert = {alert.case_id for alert in counted}
    moments = [moment(alert.since if alert.is_since_known else None, alert.noticed_at) for alert in counted]
    moments += [moment(c.block.since, c.opened_at) for c in cases if c.block and c.case_id not in with_alert]
    found = Counter(at.astimezone(zone).date() for at in moments)
    first, last = since.astimezone(zone).date(), (until - timedelta(microseconds=1)).astimezone(zone).date()
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return tuple(DayCount(day=day, blocks=found[day]) for day in days)


def was_block(alert: Alert) -> bool:
    """Whether it tells of a block, and of one that no other alert tells of."""
    return alert.kind in BLOCKS and (alert.ended is None or alert.ended.key not in _NO_BLOCK)


def verdicts_of(cases: Iterable[Case]) -> tuple[dict[VerdictLabel, int], int]:
    """(how many cases with each verdict, all three of them named; how many without any)."""
    found = Counter(case.verdict.label if case.verdict else None for case in cases)
    return {label: found[label] for label in VerdictLabel}, found[None]


def stretches(moments: Sequence[Mapping[str, datetime | None]]) -> tuple[Stretch, ...]:
    """The medians over all that have both moments; one that lies before the other is no duration and left out."""
    told = []
    for start, end in STRETCHES:
        both = [(m.get(start), m.get(end)) for m in moments]
        lengths = [(b - a).total_seconds() for a, b in both if a is not None and b is not None and b >= a]
        told.append(Stretch(start=start, end=end, n=len(lengths), median_s=median(lengths) if lengths else None))
    return tuple(told)


def moments_of(case: Case, entries: Sequence[AuditEntry], alert: Alert | None) -> dict[str, datetime | None]:
    """When the milestones of a case were, with the alert that it came from."""
    found = milestones(case, entries)
    moments = {name: datetime.fromisoformat(m["at"]) if m["at"] else None for name, m in found.items()}
    return {**moments, **_moments_of_alert(alert)} if alert is not None else moments


def _moments_of_alert(alert: Alert) -> dict[str, datetime | None]:
    return {"block": alert.since if alert.is_since_known else None, "alert": alert.noticed_at}


def owners_of(cases: Iterable[Case], now: datetime) -> tuple[OwnerCount, ...]:
    """Who has how many open prevention items."""
    people: dict[str, Actor | None] = {}
    items: Counter[str] = Counter()
    overdue: Counter[str] = Counter()
    for item in (item for case in cases for item in open_items(case)):
        oid = item.owner.user_oid.casefold() if item.owner else ""
        people.setdefault(oid, item.owner if oid else None)
        items[oid] += 1
        overdue[oid] += item.due_at is not None and item.due_at < now
    counts = [OwnerCount(owner=people[oid], open_items=n, overdue=overdue[oid]) for oid, n in items.items()]
    return tuple(sorted(counts, key=lambda c: (c.owner is None, -c.open_items, c.owner.name if c.owner else "")))


def unread_of(states: Iterable[SourceState], names: Collection[str], now: datetime) -> tuple[Text, ...]:
    """
    A sentence for each source of these names that is not read now: blocks that it would have shown are missing.
    """
    failing = [s for s in states if s.is_failing(now) and s.source in names and s.source != WEEKLY_SUMMARY]
    return tuple(
        say("weekly.unread_source", source=say(f"health.source.{s.source}"), since=s.last_read_at)
        if s.last_read_at
        else say("weekly.unread_source_never", source=say(f"health.source.{s.source}"))
        for s in failing
    )


def unread_during(
    entries: Iterable[AuditEntry],
    states: Iterable[SourceState],
    names: Collection[str],
    since: datetime,
    until: datetime,
) -> tuple[Text, ...]:
    """
    A sentence for each source of these names that could not be read for some of this time and can be again: what was
    blocked and let go meanwhile is missing. `entries` are those of sources that fail and work again, in order.
    """
    known = {state.source: state for state in states}
    told = []
    for source, times in _blind_times(entries).items():
        over = [(start, end or _last_failure(known.get(source), start)) for start, end in times]
        within = [(start, end) for start, end in over if end is not None and start < until and end > since]
        if source in names and source != WEEKLY_SUMMARY and within:
            span = {"since": within[0][0], "until": within[-1][1]}
            told.append(say("weekly.unread_during", n=len(within), source=say(f"health.source.{source}"), **span))
    return tuple(told)


def _blind_times(entries: Iterable[AuditEntry]) -> Mapping[str, list[tuple[datetime, datetime | None]]]:
    """From when to when each source failed; the end is None where none is written down."""
    times: dict[str, list[tuple[datetime, datetime | None]]] = defaultdict(list)
    for entry in entries:
        source, at = json.loads(entry.details)["source"], datetime.fromisoformat(entry.at)
        is_failing = bool(times[source]) and times[source][-1][1] is None
        if entry.tag == Tag.SOURCE_FAILING and not is_failing:
            times[source].append((at, None))
        elif entry.tag == Tag.SOURCE_WORKS_AGAIN and is_failing:
            times[source][-1] = (times[source][-1][0], at)
    return times


def _last_failure(state: SourceState | None, start: datetime) -> datetime | None:
    """When it ended for a source whose end was not written down, as after a crash; None while it still fails."""
    if state is None or state.failures or state.last_failed_at is None:
        return None
    return max(state.last_failed_at, start)


# --- gathering and sending -------------------------------------------------------------------------------------------


class Poster(Protocol):
    """Fulfilled in `bot/`."""

    async def post_weekly(self, summary: WeeklySummary) -> None:
        """
        Post the summary where alerts go. Safe to repeat: one of the same `summary_id` that is there already is skipped.
        Raises ServiceError when it cannot be posted now; having no place to post to is none.
        """
        ...


class WeeklySummaries:
    """Gathers the summary of a week and has it posted when it is due, by one replica alone."""

    def __init__(
        self,
        store: Store,
        poster: Poster,
        clock: Clock,
        settings: WeeklySettings,
        *,
        tenant_id: str,
        holder: str,
        sources: Collection[str],
    ) -> None:
        """`sources` are the names of those that are read here; others that the database knows do not count."""
        self._sources = sources
        self._store = store
        self._poster = poster
        self._clock = clock
        self._settings = settings
        self._tenant_id = tenant_id
        self._holder = holder

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Look again and again, until cancelled."""
        while self._settings.on:
            try:
                await self.post_if_due()
            except Exception as error:  # the outermost loop: one bad look must not be the last one
                log.exception("weekly_summary_failed", error=type(error).__name__)
            await sleep(LOOK_EVERY_S)

    async def post_if_due(self) -> bool:
        """Whether it was due and was posted."""
        now = self._clock.now()
        await self._bring_forward(now)
        state = await self._store.alerts.claim_source(WEEKLY_SUMMARY, now, self._holder, LEASE_S)
        if state is None:
            return False
        if state.last_read_at is None and state.failures == 0 and state.read_until is None:
            # Never before: a bot that was set up today has no week to tell of.
            await self._released(state, due_at=self._settings.next_after(now), read_until=now)
            return False
        if now - state.due_at >= USELESS_AFTER or not self._is_the_hour(state):
            await self._released(state, due_at=self._settings.next_after(now))
            return False
        return await self._post(state, now)

    async def _bring_forward(self, now: datetime) -> None:
        """Somebody may have chosen an earlier time in the settings than the one that was written down."""
        due_at = self._settings.next_after(now)
        states = await self._store.alerts.source_states()
        state = next((state for state in states if state.source == WEEKLY_SUMMARY), None)
        if state is None or state.failures or state.due_at <= due_at:
            return
        lease = await self._store.alerts.claim_source(WEEKLY_SUMMARY, state.due_at, self._holder, LEASE_S)
        if lease is not None:
            await self._released(lease, due_at=due_at)

    def _is_the_hour(self, state: SourceState) -> bool:
        """Somebody may have changed the settings since the time was written down; a retry is later than the hour."""
        return state.failures > 0 or self._settings.next_after(state.due_at - timedelta(seconds=1)) == state.due_at

    async def _post(self, state: SourceState, now: datetime) -> bool:
        until = self._settings.next_after(now) - _WEEK
        try:
            await self._poster.post_weekly(await self.gather(until - _WEEK, until))
        except ServiceError as error:
            failed = {"last_failed_at": now, "failures": state.failures + 1, "why": why(error)}
            await self._released(state, due_at=now + TRY_AGAIN_AFTER, **failed)
            return False
        done = {"last_read_at": now, "failures": 0, "why": None}
        await self._released(state, due_at=self._settings.next_after(now), **done)
        return True

    async def _released(self, state: SourceState, **changes: object) -> None:
        await self._store.alerts.release_source(state.model_copy(update=changes))

    async def gather(self, since: datetime, until: datetime) -> WeeklySummary:
        """The week between these moments, as the store knows it now. Nothing is asked of Microsoft."""
        zone = self._settings.zone
        begun = await self._store.alerts.alerts_begun(since, until)
        alerts = [alert for alert in begun if alert.tenant_id == self._tenant_id and was_block(alert)]
        newest = await self._store.cases(limit=MOST_CASES)
        cases = [case for case in newest if since <= case.opened_at < until]
        verdicts, undecided = verdicts_of(cases)
        return WeeklySummary(
            summary_id=summary_id(until.astimezone(zone)),
            since=since,
            until=until,
            time_zone=self._settings.time_zone,
            days=blocks_by_day(alerts, await self._without_alert(cases), since, until, zone),
            cases=len(cases),
            verdicts=verdicts,
            undecided=undecided,
            times=stretches(await self._moments(alerts, cases)),
            owners=owners_of(await self._followed(), self._clock.now()),
            alerts_open=sum((await self._store.alerts.counts()).values()),
            unread=(*await self._unread(since, until), *_cut_off(newest, since)),
        )

    async def _without_alert(self, cases: Sequence[Case]) -> list[Case]:
        """Those whose block no alert tells of: an alert may be of the week before that of its case."""
        return [c for c in cases if not any(map(was_block, await self._store.alerts.alerts_of_case(c.case_id)))]

    async def _moments(self, alerts: Sequence[Alert], cases: Sequence[Case]) -> list[dict[str, datetime | None]]:
        """Of every case of the week, and of every block that no case deals with."""
        by_case = {alert.case_id: alert for alert in reversed(alerts) if alert.case_id}
        known = {case.case_id for case in cases}
        of_cases = [
            moments_of(case, await self._store.audit_entries(case.case_id), by_case.get(case.case_id)) for case in cases
        ]
        return of_cases + [_moments_of_alert(alert) for alert in alerts if alert.case_id not in known]

    async def _unread(self, since: datetime, until: datetime) -> tuple[Text, ...]:
        states = await self._store.alerts.source_states()
        entries = await self._store.audit_tagged((Tag.SOURCE_FAILING, Tag.SOURCE_WORKS_AGAIN))
        before = unread_during(entries, states, self._sources, since, until)
        return (*unread_of(states, self._sources, self._clock.now()), *before)

    async def _followed(self) -> list[Case]:
        return [await self._store.case(case_id) for case_id in await self._store.cases_to_follow()]


def _cut_off(newest: Sequence[Case], since: datetime) -> tuple[Text, ...]:
    return (say("weekly.cut_off", n=MOST_CASES),) if len(newest) >= MOST_CASES and newest[-1].opened_at >= since else ()
