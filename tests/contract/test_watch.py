"""Every source is read by one replica at a time, and nothing that it said is lost, doubled or made up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import pytest

from services.alerts.joining import Joining
from services.alerts.merging import READINGS_WITHOUT
from services.alerts.model import Alert, AlertKind, Report, Severity, SourceName, SourceState
from services.alerts.ports import Reading
from services.alerts.watch import LEASE_S, TELL_AGAIN_AFTER, Watch
from services.audit import Tag
from services.cases import ActionState, ApprovalState, Case, CaseState, say
from services.errors import PermissionMissing, Throttled, Unavailable
from services.report import milestones
from services.store import Store
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import JANE, MEGAN, TENANT

RESTRICTED = AlertKind.SENDER_RESTRICTED
INTERVAL_S = 60.0


class FakeSource:
    """A source that says what the test wants, and counts how often it is asked."""

    interval_s = INTERVAL_S

    def __init__(self, name: SourceName = SourceName.RESTRICTED_LIST, whole: Sequence[AlertKind] = (RESTRICTED,)):
        self.name = name
        self.whole = tuple(whole)
        self.reports: list[Report] = []
        self.asked: list[datetime | None] = []
        self.error: Exception | None = None
        self.goes_on: asyncio.Event | None = None
        self.read_until: datetime | None = None

    async def read(self, since: datetime | None) -> Reading:
        self.asked.append(since)
        if self.goes_on is not None:
            await self.goes_on.wait()
        if self.error is not None:
            raise self.error
        return Reading(reports=tuple(self.reports), whole=self.whole, read_until=self.read_until)

    def show(self, *names: str) -> None:
        self.reports = [_entry(name) for name in names]


def _entry(name: str, since: datetime = given.NOW) -> Report:
    return Report(source=SourceName.RESTRICTED_LIST, kind=RESTRICTED, about=name, since=since, severity=Severity.HIGH)


class FakePoster:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def alerts_changed(self, alert_ids: Sequence[str]) -> None:
        self.told += alert_ids


Watching = Callable[..., tuple[Watch, FakePoster]]


@pytest.fixture
def watching(store: Store, clock: FakeClock) -> Watching:
    """A replica that watches these sources."""

    def build(*sources: FakeSource, holder: str = "r1", **fields: object) -> tuple[Watch, FakePoster]:
        poster = FakePoster()
        joining = Joining(store)
        return Watch(store, poster, clock, sources, joining, tenant_id=TENANT, holder=holder, **fields), poster

    return build


@pytest.fixture
def blocked() -> FakeSource:
    return FakeSource()


async def posted(store: Store, *alerts: Alert) -> None:
    ids = [alert.alert_id for alert in alerts]
    await store.alerts.change_alerts(ids, lambda one: (one.model_copy(update={"posted_at": given.NOW}), []))


async def state_of(store: Store, source: FakeSource) -> SourceState:
    return next(state for state in await store.alerts.source_states() if state.source == source.name)


async def test_what_is_blocked_becomes_an_alert_that_is_told(
    store: Store, watching: Watching, blocked: FakeSource
) -> None:
    """
    One reading is enough, and a second one of the same says nothing new.
    """
    blocked.show("jane@x", "joe@x")
    watch, poster = watching(blocked)

    changed = await watch.one_round()

    assert {"jane@x", "joe@x"} == {alert.about for alert in await store.alerts.alerts()}
    assert sorted(alert.alert_id for alert in changed) == sorted(poster.told)


async def test_a_source_is_not_read_before_it_is_due(watching: Watching, blocked: FakeSource, clock: FakeClock) -> None:
    """
    It is due an interval after the last reading began, however long that took.
    """
    watch, _ = watching(blocked)
    await watch.one_round()
    clock.advance(seconds=INTERVAL_S - 1)
    await watch.one_round()
    assert 1 == len(blocked.asked)

    clock.advance(seconds=1)
    await watch.one_round()
    assert 2 == len(blocked.asked)


async def test_two_replicas_read_once(watching: Watching, blocked: FakeSource, clock: FakeClock) -> None:
    """
    Over three intervals with both looking, each interval has one reading.
    """
    (one, _), (other, _) = watching(blocked), watching(blocked, holder="r2")
    for _ in range(3):
        await asyncio.gather(one.one_round(), other.one_round())
        clock.advance(seconds=INTERVAL_S)

    assert 3 == len(blocked.asked)


async def test_a_reading_of_a_dead_replica_is_done_by_another(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    The lease of who died runs out; if it was only slow, what it read comes too late and counts nothing.
    """
    blocked.show("jane@x")
    slow = FakeSource()
    slow.goes_on = asyncio.Event()
    (one, told_late), (other, _) = watching(slow), watching(blocked, holder="r2")
    await one.tidy()
    late = asyncio.create_task(one.one_round())
    while not slow.asked:
        await asyncio.sleep(0)

    await other.one_round()
    assert [] == blocked.asked
    clock.advance(seconds=LEASE_S)
    await other.one_round()
    slow.goes_on.set()
    await late

    assert (1, []) == (len(blocked.asked), told_late.told)
    assert ["jane@x"] == [alert.about for alert in await store.alerts.alerts()]


async def test_a_restart_tells_what_was_not_posted(store: Store, watching: Watching, blocked: FakeSource) -> None:
    """
    An alert that was raised and not posted is told again by whoever comes next; a posted one is not.
    """
    blocked.show("jane@x", "joe@x")
    before, _ = watching(blocked)
    jane, joe = sorted(await before.one_round(), key=lambda alert: alert.about)
    await posted(store, jane)

    after, poster = watching(blocked, holder="r2")
    await after.one_round()
    await after.one_round()

    assert [joe.alert_id] == poster.told


async def test_an_alert_that_is_not_posted_for_long_is_told_again(
    watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    Nothing is lost because it was said once to somebody who was busy.
    """
    blocked.show("jane@x")
    watch, poster = watching(blocked)
    await watch.one_round()
    clock.advance(seconds=TELL_AGAIN_AFTER.total_seconds())
    await watch.tidy()
    await watch.tidy()

    assert 2 == len(poster.told)


@pytest.mark.parametrize(
    "error",
    [Unavailable("exchange"), PermissionMissing("exchange"), ValueError("a fault of ours")],
    ids=["away", "forbidden", "our_fault"],
)
async def test_what_cannot_be_read_changes_nothing(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock, error: Exception
) -> None:
    """
    Nobody is said to be free because the list could not be read; that it could not is counted, with the reason.
    """
    blocked.show("jane@x")
    watch, poster = watching(blocked)
    await watch.one_round()
    before, told = await store.alerts.alerts(), list(poster.told)

    blocked.error = error
    for _ in range(3):
        clock.advance(seconds=INTERVAL_S)
        await watch.one_round()

    state = await state_of(store, blocked)
    assert (before, 3, clock.now()) == (await store.alerts.alerts(), state.failures, state.last_failed_at)
    assert (given.NOW, True) == (state.last_read_at, state.why is not None)
    assert set(told) == set(poster.told)
    assert Tag.SOURCE_FAILING in [entry.tag for entry in await store.audit_entries()]


async def test_what_cannot_be_written_down_was_not_read(store: Store, watching: Watching, clock: FakeClock) -> None:
    """
    A report that no database takes is counted as a failure and told; where to go on stays where it was.
    """
    defender = FakeSource(SourceName.DEFENDER, whole=())
    defender.read_until = given.NOW
    defender.reports = [_entry("\ud800@x").model_copy(update={"source": SourceName.DEFENDER})]
    watch, _ = watching(defender)
    for _ in range(3):
        clock.advance(seconds=INTERVAL_S)
        await watch.one_round()

    state = await state_of(store, defender)
    assert (3, None, None) == (state.failures, state.last_read_at, state.read_until)
    assert ([], [Tag.SOURCE_FAILING]) == (await store.alerts.alerts(), [e.tag for e in await store.audit_entries()])


async def test_an_organisation_that_is_warned_of_and_then_restricted_is_one_alert(
    store: Store, watching: Watching, clock: FakeClock
) -> None:
    """
    The warning becomes the restriction, and what else was read at that time is noticed as well.
    """
    defender = FakeSource(SourceName.DEFENDER, whole=())
    watch, _ = watching(defender)
    for kind in (AlertKind.EARLY_WARNING, AlertKind.TENANT_RESTRICTED):
        told = {"source": SourceName.DEFENDER, "kind": kind, "about": "tenant", "external_id": kind.value}
        defender.reports.append(_entry("tenant").model_copy(update=told))
        await watch.one_round()
        clock.advance(seconds=INTERVAL_S)

    (alert,) = await store.alerts.alerts()
    assert (AlertKind.TENANT_RESTRICTED, 2, 0) == (
        alert.kind,
        len(alert.reports),
        (await state_of(store, defender)).failures,
    )


async def test_a_source_that_works_again_begins_anew(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    The count starts at nothing, and the trail says that we see again.
    """
    watch, _ = watching(blocked)
    blocked.error = Unavailable("exchange")
    for _ in range(3):
        await watch.one_round()
        clock.advance(seconds=INTERVAL_S)
    blocked.error = None
    await watch.one_round()

    assert (0, None) == ((await state_of(store, blocked)).failures, (await state_of(store, blocked)).why)
    tags = [entry.tag for entry in await store.audit_entries()]
    assert [Tag.SOURCE_FAILING, Tag.SOURCE_WORKS_AGAIN] == tags


async def test_a_service_that_asks_for_time_gets_it(watching: Watching, blocked: FakeSource, clock: FakeClock) -> None:
    """
    The next reading waits for as long as the service said.
    """
    blocked.error = Throttled("exchange", retry_after_s=150)
    watch, _ = watching(blocked)
    await watch.one_round()
    clock.advance(seconds=149)
    await watch.one_round()
    assert 1 == len(blocked.asked)

    clock.advance(seconds=1)
    await watch.one_round()
    assert 2 == len(blocked.asked)


async def test_nobody_is_blind_for_hours_because_a_service_asks_for_them(
    watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    Five minutes is the longest that a reading is put off.
    """
    blocked.error = Throttled("exchange", retry_after_s=7200)
    watch, _ = watching(blocked)
    for _ in range(2):
        await watch.one_round()
        clock.advance(minutes=5)

    assert 2 == len(blocked.asked)


async def test_a_reading_that_hangs_is_given_up(store: Store, watching: Watching, blocked: FakeSource) -> None:
    """
    It counts as one that could not be read.
    """
    blocked.goes_on = asyncio.Event()
    watch, _ = watching(blocked, read_within_s=0.01)
    await watch.one_round()

    state = await state_of(store, blocked)
    assert (1, "unreadable.timeout") == (state.failures, state.why and state.why.key)


async def test_one_that_vanishes_from_the_list_is_over(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    It is told, so that its card can say so.
    """
    blocked.show("jane@x")
    watch, poster = watching(blocked)
    await watch.one_round()
    blocked.show()
    for _ in range(READINGS_WITHOUT):
        clock.advance(seconds=INTERVAL_S)
        poster.told.clear()
        (ended,) = await watch.one_round()

    assert ([], [ended.alert_id], clock.now()) == (await store.alerts.alerts(), poster.told, ended.ended_at)


@pytest.mark.parametrize("left", [(), ("a@x",)], ids=["empty", "short"])
async def test_a_list_that_is_suddenly_short_is_believed_at_the_second_reading(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock, left: tuple[str, ...]
) -> None:
    """
    One faulty answer frees nobody; a reading that failed in between says nothing either way.
    """
    blocked.show("a@x", "b@x")
    watch, _ = watching(blocked)
    await watch.one_round()
    blocked.show(*left)

    open_after = []
    for error in (None, Unavailable("exchange"), None):
        blocked.error = error
        clock.advance(seconds=INTERVAL_S)
        await watch.one_round()
        open_after.append(len(await store.alerts.alerts()))

    assert [2, 2, len(left)] == open_after


async def test_a_source_goes_on_from_where_it_was(watching: Watching, clock: FakeClock) -> None:
    """
    Where it had come to is kept for whichever replica reads next, and a failure does not move it.
    """
    defender = FakeSource(SourceName.DEFENDER, whole=())
    defender.read_until = given.NOW
    one, _ = watching(defender)
    await one.one_round()
    defender.error = Unavailable("graph")
    for holder in ("r2", "r3"):
        clock.advance(seconds=INTERVAL_S)
        other, _ = watching(defender, holder=holder)
        await other.one_round()

    assert [None, given.NOW, given.NOW] == defender.asked


async def test_reports_that_come_by_themselves_are_merged(store: Store, watching: Watching) -> None:
    """
    The same one twice is one alert, told once; two that come at the same moment are one as well.
    """
    watch, poster = watching()
    report = _entry("jane@x").model_copy(update={"source": SourceName.WEBHOOK, "external_id": "d1"})

    await asyncio.gather(*(watch.take([report, report]) for _ in range(5)))

    assert (1, 1) == (len(await store.alerts.alerts()), len(poster.told))


async def test_an_alert_is_joined_to_the_case_that_is_at_work(
    store: Store, watching: Watching, blocked: FakeSource
) -> None:
    """
    Whether the case was there first or is opened later.
    """
    await store.open_case(given.asked("C1"))
    blocked.show(JANE.upn, "joe@x")
    watch, poster = watching(blocked)
    await watch.one_round()
    assert {JANE.upn: "C1", "joe@x": None} == {one.about: one.case_id for one in await store.alerts.alerts()}

    joe = JANE.subject().model_copy(update={"user_oid": "joe", "upn": "Joe@X"})
    await store.open_case(given.asked("C2").model_copy(update={"subject": joe}))
    (changed,) = await watch.tidy()
    assert ("C2", changed.alert_id) == (changed.case_id, poster.told[-1])
    times = [milestones(await store.case(case), await store.audit_entries(case))["alert"] for case in ("C1", "C2")]
    assert [given.NOW.isoformat()] * 2 == [moment["at"] for moment in times]


async def test_an_alert_says_that_our_case_ended_it(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    It names the case and who approved; nobody else gets the credit or the blame.
    """
    await store.open_case(given.asked("C1"))
    blocked.show(JANE.upn)
    watch, _ = watching(blocked)
    await watch.one_round()

    def lifted(case: Case) -> tuple[Case, list]:
        prompt = case.approvals[0].model_copy(update={"state": ApprovalState.GRANTED, "decided_by": MEGAN_AS_ACTOR})
        done = [one.model_copy(update={"state": ActionState.PROVEN}) for one in case.actions]
        changes = {"approvals": (prompt,), "actions": tuple(done), "state": CaseState.VERIFYING}
        return case.model_copy(update=changes), []

    await store.change_case("C1", lifted)
    blocked.show()
    clock.advance(seconds=INTERVAL_S)
    (ended,) = await watch.one_round()

    assert say("alert.ended.our_case_approved", case_id="C1", by=MEGAN_AS_ACTOR.name) == ended.ended


MEGAN_AS_ACTOR = given.actor(MEGAN)


async def test_a_case_gets_no_credit_for_a_later_block(
    store: Store, watching: Watching, blocked: FakeSource, clock: FakeClock
) -> None:
    """
    What it lifted was over before this one began, however lately somebody ticked something in it.
    """
    await store.open_case(given.asked("C1"))

    def closed(case: Case) -> tuple[Case, list]:
        done = [one.model_copy(update={"state": ActionState.PROVEN}) for one in case.actions]
        changes = {"actions": tuple(done), "state": CaseState.CLOSED, "closed_at": clock.now()}
        return case.model_copy(update=changes), []

    await store.change_case("C1", closed)
    clock.advance(days=10)
    blocked.reports = [_entry(JANE.upn, clock.now()).model_copy(update={"oid": JANE.oid})]
    watch, _ = watching(blocked)
    await watch.one_round()
    await store.change_case("C1", lambda case: (case.model_copy(update={"again_in": "C9"}), []))
    blocked.show()
    for _ in range(READINGS_WITHOUT):
        clock.advance(seconds=INTERVAL_S)
        (ended,) = await watch.one_round()

    assert say("alert.ended.elsewhere") == ended.ended


@pytest.mark.parametrize(
    ("result", "is_over"), [(CaseState.CONTAINED, True), (CaseState.DENIED, False)], ids=["contained", "denied"]
)
async def test_a_suspicion_ends_with_the_case_that_dealt_with_it(
    store: Store, watching: Watching, clock: FakeClock, result: CaseState, is_over: bool
) -> None:
    """
    No list shows suspicions, so nothing else would end it; one that nothing was done about stays.
    """
    await store.open_case(given.asked("C1"))
    defender = FakeSource(SourceName.DEFENDER, whole=())
    told = {"source": SourceName.DEFENDER, "kind": AlertKind.SENDER_SUSPECTED, "external_id": "d1"}
    defender.reports = [_entry(JANE.upn).model_copy(update=told)]
    watch, _ = watching(defender)
    await watch.one_round()
    await store.change_case("C1", lambda case: (case.model_copy(update={"state": result}), []))
    for _ in range(2):
        clock.advance(seconds=INTERVAL_S)
        await watch.one_round()

    (alert,) = await store.alerts.alerts(open_only=False)
    assert (is_over, say("alert.ended.dealt_with", case_id="C1") if is_over else None) == (
        not alert.is_open,
        alert.ended,
    )


async def test_the_loop_survives_whatever_happens(watching: Watching, blocked: FakeSource, clock: FakeClock) -> None:
    """
    A source with a fault is read again and again, each interval once; the others go on.
    """
    broken = FakeSource(SourceName.DEFENDER, whole=())
    broken.error = ValueError("a fault of ours")
    watch, _ = watching(blocked, broken)

    async def pass_time(seconds: float) -> None:
        clock.advance(seconds=seconds / 10)
        await asyncio.sleep(0)

    running = asyncio.create_task(watch.run(pass_time))
    while len(broken.asked) < 4 or len(blocked.asked) < 4:
        await asyncio.sleep(0.001)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    elapsed = (clock.now() - given.NOW) / timedelta(seconds=INTERVAL_S)
    assert max(len(broken.asked), len(blocked.asked)) <= elapsed + 1


async def test_what_is_no_longer_looked_at_ends_and_says_so(store: Store, watching: Watching) -> None:
    """
    A source that was switched off neither works again nor has seen an account calm down.
    """
    early, health = SourceName.EARLY_WARNING, SourceName.HEALTH
    reports = [
        _entry("jane@x").model_copy(update={"source": early, "kind": AlertKind.EARLY_WARNING, "external_id": "e1"}),
        _entry("source:defender").model_copy(update={"source": health, "kind": AlertKind.HEALTH}),
        _entry("secret:app").model_copy(update={"source": health, "kind": AlertKind.HEALTH}),
    ]
    before, _ = watching()
    await before.take(reports)

    after, _ = watching(reads={SourceName.RESTRICTED_LIST, SourceName.HEALTH})
    await after.tidy()

    ended = {one.about: one.ended for one in await store.alerts.alerts(open_only=False) if not one.is_open}
    assert dict.fromkeys(("jane@x", "source:defender"), say("alert.ended.switched_off")) == ended
