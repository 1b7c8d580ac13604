"""
The watch: every source is read when it is due, by one replica at a time, and what it says becomes alerts.

When a source is due, who reads it and how that went stands in the database. A replica that dies while it reads loses
its lease after a while, and somebody else reads on. A source that cannot be read leaves every alert as it is: nothing
is concluded from it but that we are blind there, which is an alert of its own after three times running (see
`services.alerts.health`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from services.alerts.health import SOURCE
from services.alerts.joining import Joining
from services.alerts.merging import Facts, claimed, ended_alert, kinds_needed, merged, missing_from
from services.alerts.model import FAILING_AFTER, LONGEST_PAUSE, Alert, AlertKind, Report, SourceName, SourceState
from services.alerts.ports import AlertPoster, Reading, Source
from services.audit import NewEntry, Tag, note
from services.case_ids import new_case_id
from services.cases import Text, say
from services.errors import ServiceError, StaleVersion, Throttled
from services.investigation.unreadable import why
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: The longest that one reading may take, in seconds.
READ_WITHIN_S = 30.0
#: How long a replica has a source to itself: the reading, and the time to write down what it said.
LEASE_S = READ_WITHIN_S + 15.0
#: How long an alert may wait for its post before the poster hears of it again.
TELL_AGAIN_AFTER = timedelta(seconds=60)
#: When the first impression of an alert counts as left behind by a replica that died.
LEFT_BEHIND_AFTER = timedelta(minutes=2)
#: How often the watch looks after what belongs to no single source.
TIDY_EVERY_S = 5.0
#: How often it is looked whether it is time to ask who lifted a block.
ASK_WHO_EVERY_S = 60.0
#: The longest that the loop sleeps without looking at the clock.
_NAP_S = 1.0


class FirstImpressions(Protocol):
    """Fulfilled by `Impressions`."""

    def want(self, alerts: Sequence[Alert], noticed_by: datetime) -> None:
        """Read the first impression of those that have none and were noticed by then. Returns at once."""
        ...


class LiftedBlocks(Protocol):
    """Fulfilled by `Lifters`."""

    async def look(self, holder: str) -> list[Alert]:
        """Find out, from time to time, who ended what we did not; the alerts that say so now."""
        ...


class Watch:
    """
    `run` watches until it is cancelled; `one_round` reads once whatever is due. `take` is for reports that come by
    themselves.
    """

    def __init__(
        self,
        store: Store,
        poster: AlertPoster,
        clock: Clock,
        sources: Sequence[Source],
        joining: Joining,
        *,
        tenant_id: str,
        holder: str,
        impressions: FirstImpressions | None = None,
        lifters: LiftedBlocks | None = None,
        reads: Collection[str] | None = None,
        read_within_s: float = READ_WITHIN_S,
    ) -> None:
        """`reads` are the names of all that is switched on; None when nothing was ever switched off."""
        self._store = store
        self._poster = poster
        self._clock = clock
        # Lists first: what they show settles much of what others say.
        self._sources = sorted(sources, key=lambda source: list(SourceName).index(source.name))
        self._joining = joining
        self._tenant_id = tenant_id
        self._holder = holder
        self._impressions = impressions
        self._lifters = lifters
        self._reads = reads
        self._read_within_s = read_within_s
        self._reading: set[SourceName] = set()
        self._told: dict[str, datetime] = {}
        self._has_looked = False

    # --- the loop ---

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Watch until cancelled. Each source has a loop of its own, so that a slow one keeps nobody waiting."""
        await self._safely("first_round", self.one_round)
        loops = [asyncio.create_task(self._follow(source, sleep)) for source in self._sources]
        loops.append(asyncio.create_task(self._again_and_again("tidying", self.tidy, TIDY_EVERY_S, sleep)))
        loops.append(asyncio.create_task(self._again_and_again("asking_who", self.ask_who, ASK_WHO_EVERY_S, sleep)))
        try:
            await asyncio.gather(*loops)
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)

    async def _follow(self, source: Source, sleep: Callable[[float], Awaitable[None]]) -> None:
        while True:
            next_at = self._clock.now() + timedelta(seconds=source.interval_s)
            await self._safely(f"reading_{source.name}", lambda: self._read_if_due(source))
            try:
                next_at = await self._next_at(source)
            except Exception as error:  # the outermost loop: a database that is away comes back
                log.exception("watch_failed", at="looking", error=type(error).__name__)
            while (left := (next_at - self._clock.now()).total_seconds()) > 0:
                await sleep(min(left, _NAP_S))

    async def _next_at(self, source: Source) -> datetime:
        """When to look at this source next: when it is due, or when the lease of whoever reads it runs out."""
        now = self._clock.now()
        state = next((one for one in await self._store.alerts.source_states() if one.source == source.name), None)
        soonest = now + timedelta(seconds=min(source.interval_s, _NAP_S) / 10)
        if state is None:
            return soonest
        latest = now + timedelta(seconds=source.interval_s)
        due_at = state.due_at if state.leased_until is None else max(state.due_at, state.leased_until)
        return max(soonest, min(due_at, latest))

    async def _again_and_again(
        self,
        what: str,
        work: Callable[[], Awaitable[object]],
        every_s: float,
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        while True:
            await self._safely(what, work)
            await sleep(every_s)

    async def _safely(self, what: str, work: Callable[[], Awaitable[object]]) -> None:
        try:
            await work()
        except Exception as error:  # the outermost loop: one bad round must not end all that follow
            log.exception("watch_failed", at=what, error=type(error).__name__)

    async def one_round(self) -> list[Alert]:
        """Read every source that is due and free, the lists first; the alerts that are new or changed by it."""
        changed: list[Alert] = []
        for source in self._sources:
            changed += await self._read_if_due(source)
        return changed + await self.tidy()

    async def tidy(self) -> list[Alert]:
        """
        Join alerts and cases, end what is no longer looked at, and tell the poster of alerts that wait for their post:
        those that a replica left behind which died, and those whose time of rest is over. The alerts that changed.
        """
        alerts = await self._store.alerts.alerts()
        changed = await self._end_unwatched(alerts)
        changed += await self._joining.join(self._tenant_id, alerts, self._clock.now())
        await self._tell([alert.alert_id for alert in changed])
        await self._tell_waiting()
        if self._impressions is not None:
            self._impressions.want(alerts, self._clock.now() - LEFT_BEHIND_AFTER)
        return changed

    async def _end_unwatched(self, alerts: Sequence[Alert]) -> list[Alert]:
        """End what only a source could end that was switched off; that is not the same as that all is well."""
        reads, now = self._reads, self._clock.now()
        if reads is None:
            return []
        wanted = [alert.alert_id for alert in alerts if _is_unwatched(alert, reads)]

        def ended(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if not alert.is_open or not _is_unwatched(alert, reads):
                return alert, []
            return ended_alert(alert, say("alert.ended.switched_off"), now)

        return await self._store.alerts.change_alerts(wanted, ended) if wanted else []

    async def ask_who(self) -> list[Alert]:
        """Find out who ended what we did not; the alerts that say so now. It may take minutes."""
        changed = await self._lifters.look(self._holder) if self._lifters is not None else []
        await self._tell([alert.alert_id for alert in changed])
        return changed

    # --- one reading ---

    async def _read_if_due(self, source: Source) -> list[Alert]:
        if source.name in self._reading:
            return []
        self._reading.add(source.name)
        try:
            return await self._read(source)
        finally:
            self._reading.discard(source.name)

    async def _read(self, source: Source) -> list[Alert]:
        """Read one source if nobody else does. What it says counts only if our lease held until it was written down."""
        began = self._clock.now()
        lease = await self._store.alerts.claim_source(source.name, began, self._holder, LEASE_S)
        if lease is None:
            return []
        due_at = began + timedelta(seconds=source.interval_s)
        due = lease.model_copy(update={"due_at": due_at, "interval_s": source.interval_s})
        try:
            async with asyncio.timeout(self._read_within_s):
                reading = await source.read(lease.read_until)
        except ServiceError as error:
            await self._failed(due, why(error), error)
        except TimeoutError:
            await self._failed(due, say("unreadable.timeout", n=round(self._read_within_s)))
        except Exception as error:  # a fault of ours in one source is blindness too, and must not end the watch
            await self._our_fault(due, error)
        else:
            return await self._written(due, reading)
        return []

    async def _written(self, due: SourceState, reading: Reading) -> list[Alert]:
        """What was read, as alerts. What cannot be written down was as good as not read, and is counted so."""
        try:
            return await self._succeeded(due, reading)
        except StaleVersion:  # the lease ran out, and somebody else reads
            log.warning("reading_came_too_late", source=due.source)
        except Exception as error:  # one report that nobody foresaw must not make the source blind in silence
            await self._our_fault(due, error)
        return []

    async def _our_fault(self, due: SourceState, error: Exception) -> None:
        log.exception("source_failed", source=due.source, error=type(error).__name__)
        await self._failed(due, say("unreadable.our_fault"))

    async def _succeeded(self, due: SourceState, reading: Reading) -> list[Alert]:
        now = self._clock.now()
        done = due.model_copy(
            update={
                "last_read_at": now,
                "failures": 0,
                "why": None,
                "off": reading.off,
                "read_until": reading.read_until or due.read_until,
            }
        )
        changed = await self._merge(reading, done)
        if due.failures >= FAILING_AFTER:
            await self._store.record(note(Tag.SOURCE_WORKS_AGAIN, None, None, source=due.source))
        return changed

    async def _failed(self, due: SourceState, reason: Text, error: ServiceError | None = None) -> None:
        """Nothing is concluded. The next reading is due as ever, unless the service asked for a little more time."""
        now = self._clock.now()
        wait_s = error.retry_after_s if isinstance(error, Throttled) and error.retry_after_s else 0.0
        wait_s = min(wait_s, LONGEST_PAUSE.total_seconds())
        state = due.model_copy(
            update={
                "due_at": max(due.due_at, now + timedelta(seconds=wait_s)),
                "failures": due.failures + 1,
                "last_failed_at": now,
                "why": reason,
            }
        )
        log.warning("source_unreadable", source=due.source, failures=state.failures, error=str(error or reason.key))
        entries = []
        if state.failures == FAILING_AFTER:
            entries = [note(Tag.SOURCE_FAILING, None, None, source=due.source, why=reason.key)]
        await self._store.alerts.release_source(state, *entries)

    # --- reports ---

    async def take(self, reports: Sequence[Report]) -> list[Alert]:
        """Reports that somebody sent us; returns when they are written down. The alerts that are new or changed."""
        believed = tuple(part for report in reports for part in claimed(report))
        return await self._merge(Reading(reports=believed), None)

    async def _merge(self, reading: Reading, done: SourceState | None) -> list[Alert]:
        names = frozenset(name for report in reading.reports for name in report.names)
        facts = await self._facts()
        gone = await self._about_to_end(reading, facts) if reading.whole else []
        if gone:
            endings = await self._joining.endings(gone)
            facts = replace(facts, endings=endings)
        changed = await self._store.alerts.merge(
            self._tenant_id, names, lambda known: merged(known, reading, facts), kinds=kinds_needed(reading), done=done
        )
        if changed:
            log.info("alerts_changed", n=len(changed), open=sum(alert.is_open for alert in changed))
        await self._tell([alert.alert_id for alert in changed])
        if self._impressions is not None:
            self._impressions.want(changed, self._clock.now())
        return changed

    async def _facts(self) -> Facts:
        states = {state.source: state for state in await self._store.alerts.source_states()}
        shown = states.get(SourceName.RESTRICTED_LIST)
        return Facts(
            tenant_id=self._tenant_id,
            now=self._clock.now(),
            new_id=new_case_id,
            list_read_at=shown.last_read_at if shown and not shown.failures else None,
            cases=await self._store.names_at_work(self._tenant_id),
        )

    async def _about_to_end(self, reading: Reading, facts: Facts) -> list[Alert]:
        return missing_from(await self._store.alerts.alerts(), reading, facts)

    # --- telling ---

    async def _tell(self, alert_ids: Sequence[str]) -> None:
        if alert_ids:
            now = self._clock.now()
            self._told.update(dict.fromkeys(alert_ids, now))
            await self._poster.alerts_changed(alert_ids)

    async def _tell_waiting(self) -> None:
        now = self._clock.now()
        waiting = {alert.alert_id: alert for alert in await self._store.alerts.unposted()}
        self._told = {alert_id: at for alert_id, at in self._told.items() if alert_id in waiting}
        await self._tell([alert_id for alert_id, alert in waiting.items() if self._is_to_be_told(alert, now)])
        self._has_looked = True

    def _is_to_be_told(self, alert: Alert, now: datetime) -> bool:
        """What another replica has noticed is its to tell, unless it does not; after a start nobody may be there."""
        told_at = self._told.get(alert.alert_id)
        if told_at is None and not self._has_looked:
            return True
        said_at = told_at or alert.noticed_at
        woke = alert.snoozed_until is not None and said_at < alert.snoozed_until <= now
        return woke or now - said_at >= TELL_AGAIN_AFTER


def _is_unwatched(alert: Alert, reads: Collection[str]) -> bool:
    if alert.kind is AlertKind.HEALTH:
        kind, _, name = alert.about.partition(":")
        return SourceName.HEALTH not in reads or (f"{kind}:" == SOURCE and name not in reads)
    return alert.kind is AlertKind.EARLY_WARNING and all(
        report.source is SourceName.EARLY_WARNING and report.source not in reads for report in alert.reports
    )
