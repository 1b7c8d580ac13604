"""The summary of a week says what is known of it, and is posted once, whoever is restarted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from cards.language import Words
from services.alerts.model import Alert, AlertKind, AlertState, Report, Severity, SourceName, SourceState
from services.alerts.sections import WeeklySettings
from services.alerts.summary import (
    LEASE_S,
    WEEKLY_SUMMARY,
    WeeklySummaries,
    WeeklySummary,
    blocks_by_day,
    owners_of,
    stretches,
    unread_of,
    verdicts_of,
)
from services.audit import Tag, note
from services.cases import (
    Block,
    BlockKind,
    Case,
    PreventionItem,
    PreventionState,
    Text,
    Verdict,
    VerdictLabel,
    say,
)
from services.errors import Unavailable
from services.prevention.catalogue import CATALOGUE, Scope
from services.store import Store, migrate
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW, case
from tests.fakes.people import ALEX, JANE, SAM, TENANT, actor

#: Tuesday 24 November 2026, 03:00 UTC.
MONDAY = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
STOCKHOLM = WeeklySettings(time_zone="Europe/Stockholm")


@pytest.fixture
async def plain_store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/unblock.db"
    migrate(url)
    store = Store(url, clock)
    yield store
    await store.close()


# --- when ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "after", "due"),
    [
        (WeeklySettings(), NOW, datetime(2026, 11, 30, 8, tzinfo=UTC)),
        (STOCKHOLM, NOW, datetime(2026, 11, 30, 7, tzinfo=UTC)),
        (STOCKHOLM, MONDAY - timedelta(seconds=1), MONDAY),
        (STOCKHOLM, MONDAY, MONDAY + timedelta(days=7)),
        (WeeklySettings(day="friday", at=time(16, 30)), NOW, datetime(2026, 11, 27, 16, 30, tzinfo=UTC)),
        # The clocks go forward on 29 March 2026: the same hour by the wall is an hour earlier in UTC.
        (STOCKHOLM, datetime(2026, 3, 24, tzinfo=UTC), datetime(2026, 3, 30, 6, tzinfo=UTC)),
    ],
)
def test_it_is_due_once_a_week_by_the_clock_on_the_wall(
    settings: WeeklySettings, after: datetime, due: datetime
) -> None:
    """Mondays at eight unless the settings say otherwise, in their time zone."""
    assert due == settings.next_after(after)


@pytest.mark.parametrize("wrong", [{"day": "someday"}, {"at": "8 o'clock"}, {"time_zone": "Mars"}, {"hour": 8}])
def test_what_is_no_time_is_no_setting(wrong: dict[str, str]) -> None:
    """And is refused at the start."""
    with pytest.raises(ValidationError):
        WeeklySettings(**wrong)


# --- what ------------------------------------------------------------------------------------------------------------


def alert(number: int, since: datetime, **fields: object) -> Alert:
    about = f"user{number}@contoso.com"
    kind = fields.pop("kind", AlertKind.SENDER_RESTRICTED)
    return Alert(
        **{
            "alert_id": f"A{number}",
            "tenant_id": TENANT,
            "kind": kind,
            "about": about,
            "since": since,
            "noticed_at": since + timedelta(seconds=30),
            "severity": Severity.HIGH,
            "reports": (Report(source=SourceName.RESTRICTED_LIST, kind=kind, about=about, since=since),),
            **fields,
        }
    )


def blocked_case(case_id: str, since: datetime | None, opened_at: datetime) -> Case:
    block = Block(kind=BlockKind.RESTRICTED, sender_address=JANE.upn, since=since)
    return case(case_id, block=block, opened_at=opened_at)


def test_a_block_counts_on_the_day_it_began_and_once() -> None:
    """By the zone's midnight; an alert and the case that it led to are one, an early warning is none."""
    since, until = MONDAY - timedelta(days=7), MONDAY
    late = datetime(2026, 11, 17, 23, 30, tzinfo=UTC)  # the 18th in Stockholm
    alerts = [
        alert(1, late, case_id="C1"),
        alert(2, since - timedelta(days=30), noticed_at=since),
        alert(3, since, is_since_known=False, noticed_at=until - timedelta(hours=9)),
        alert(4, late, kind=AlertKind.EARLY_WARNING),
        alert(5, late, kind=AlertKind.HEALTH),
    ]
    cases = [blocked_case("C1", late, late), blocked_case("C2", None, until - timedelta(hours=1)), case("C3")]

    days = blocks_by_day(alerts, cases, since, until, STOCKHOLM.zone)

    assert [16, 17, 18, 19, 20, 21, 22, 23] == [day.day.day for day in days]
    assert [1, 0, 1, 0, 0, 0, 1, 1] == [day.blocks for day in days]


def test_every_verdict_is_counted_and_so_is_having_none() -> None:
    """A verdict that nobody reached is told as 0."""
    verdict = Verdict(label=VerdictLabel.COMPROMISED, score=9, completeness=1, checked=3, total=3)

    counts, undecided = verdicts_of([case("C1", verdict=verdict), case("C2", verdict=verdict), case("C3")])

    assert {VerdictLabel.COMPROMISED: 2, VerdictLabel.SUSPECTED: 0, VerdictLabel.NO_EVIDENCE: 0} == counts
    assert 1 == undecided


def test_times_are_medians_of_what_is_known() -> None:
    """A moment that lies before the other, or is not known, is no duration."""
    moments = [
        {"block": NOW, "alert": NOW + timedelta(seconds=s), "unblock": NOW - timedelta(hours=1)} for s in (10, 20, 90)
    ]

    told = {(one.start, one.end): one for one in stretches([*moments, {"block": None, "alert": NOW}])}

    assert (3, 20.0) == (told["block", "alert"].n, told["block", "alert"].median_s)
    assert (0, None) == (told["block", "unblock"].n, told["block", "unblock"].median_s)


def item(owner: object = None, due_at: datetime | None = None, state: PreventionState = PreventionState.TODO):
    item_id = next(name for name, known in CATALOGUE.items() if known.scope is Scope.ACCOUNT)
    return PreventionItem(item_id=item_id, state=state, summary=say("x"), owner=owner, due_at=due_at)


def test_open_items_are_counted_for_their_owners() -> None:
    """What is overdue apart, what is done not at all, and what nobody has taken on last."""
    cases = [
        case("C1", prevention=(item(),)),
        case("C2", prevention=(item(actor(ALEX), NOW - timedelta(days=1)),)),
        case("C3", prevention=(item(actor(ALEX), NOW + timedelta(days=1)),)),
        case("C4", prevention=(item(actor(SAM)),)),
        case("C5", prevention=(item(actor(SAM), state=PreventionState.OK),)),
    ]

    told = [(o.owner.name if o.owner else None, o.open_items, o.overdue) for o in owners_of(cases, NOW)]

    assert [("Alex", 2, 1), ("Sam", 1, 0), (None, 1, 0)] == told


def test_a_source_that_cannot_be_read_is_said() -> None:
    """Or few blocks would read as a quiet week."""
    states = [
        SourceState(source="restricted_list", due_at=NOW, failures=3, last_read_at=NOW),
        SourceState(source="defender", due_at=NOW, failures=9),
        SourceState(source="blocked_connectors", due_at=NOW, failures=2),
        SourceState(source="health", due_at=NOW, last_read_at=NOW - timedelta(hours=5), interval_s=60),
        SourceState(source=WEEKLY_SUMMARY, due_at=NOW, failures=9),
    ]

    states.append(SourceState(source="switched_off", due_at=NOW, failures=9))
    said = unread_of(states, {*SourceName, WEEKLY_SUMMARY}, NOW)

    keys = ["weekly.unread_source", "weekly.unread_source_never", "weekly.unread_source"]
    assert keys == [text.key for text in said]
    assert all("{" not in Words(language).t(text) for text in said for language in ("en", "sv"))


async def test_a_week_is_gathered_from_what_the_store_knows(plain_store: Store, clock: FakeClock) -> None:
    """Of this tenant and this week alone."""
    began = MONDAY - timedelta(days=2)
    in_week = [alert(1, began, case_id="C1"), alert(2, began)]
    outside = [alert(3, MONDAY), alert(4, began - timedelta(days=7)), alert(5, began, tenant_id="other")]
    for one in (*in_week, *outside):
        await plain_store.alerts.merge(one.tenant_id, one.names, lambda known, one=one: [(one, ())])
    opened_at = began + timedelta(minutes=5)
    await plain_store.open_case(blocked_case("C1", began, opened_at), [note(Tag.CASE_OPENED, "C1")])
    await plain_store.open_case(case("C9", opened_at=MONDAY))

    summary = await weekly(plain_store, Poster(), clock).gather(MONDAY - timedelta(days=7), MONDAY)

    assert (2, 1, 1, 5) == (summary.blocks, summary.cases, summary.undecided, summary.alerts_open)
    assert "weekly-2026-11-23" == summary.summary_id and () == summary.unread
    assert (date(2026, 11, 16), date(2026, 11, 23)) == (summary.days[0].day, summary.days[-1].day)
    block_to_alert = next(one for one in summary.times if ("block", "alert") == (one.start, one.end))
    assert (2, 30.0) == (block_to_alert.n, block_to_alert.median_s)


async def test_what_was_suspected_before_counts_in_the_week_in_which_it_was_blocked(
    plain_store: Store, clock: FakeClock
) -> None:
    """Every block in one week alone: that of its start, or of its noticing if that came later."""
    last_week = MONDAY - timedelta(days=3)
    suspected_before = alert(1, MONDAY + timedelta(days=1), noticed_at=last_week)
    noticed_late = alert(2, MONDAY - timedelta(seconds=9), noticed_at=MONDAY + timedelta(seconds=9), case_id="C1")
    for one in (suspected_before, noticed_late, alert(3, last_week, case_id="C2")):
        await plain_store.alerts.merge(TENANT, one.names, lambda known, one=one: [(one, ())])
    for number, opened_at in enumerate((MONDAY + timedelta(minutes=1), MONDAY + timedelta(hours=1)), 1):
        await plain_store.open_case(blocked_case(f"C{number}", None, opened_at), [note(Tag.CASE_OPENED, f"C{number}")])
    summaries, week = weekly(plain_store, Poster(), clock), timedelta(days=7)

    blocks = [(await summaries.gather(at - week, at)).blocks for at in (MONDAY, MONDAY + week, MONDAY + 2 * week)]

    assert [1, 2, 0] == blocks


@pytest.mark.parametrize(
    ("ended", "blocks"),
    [
        (say("alert.ended.same", name="Jane"), 0),
        (say("alert.ended.not_listed"), 0),
        (say("alert.ended.connector_not_listed"), 0),
        (say("alert.ended.elsewhere"), 1),
    ],
)
async def test_what_turned_out_to_be_no_block_of_its_own_is_none(
    plain_store: Store, clock: FakeClock, ended: Text, blocks: int
) -> None:
    """One account that was known by two names, or what no list ever showed."""
    one = alert(1, MONDAY - timedelta(days=1), ended=ended, state=AlertState.ENDED, ended_at=MONDAY)
    await plain_store.alerts.merge(TENANT, one.names, lambda known: [(one, ())])

    assert blocks == (await weekly(plain_store, Poster(), clock).gather(MONDAY - timedelta(days=7), MONDAY)).blocks


class Trouble:
    """The restricted list fails and works again, as the watch writes it down."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock = store, clock

    async def is_seen(self, *, working: bool, written: bool = True) -> None:
        alerts = self.store.alerts
        self.clock.advance(hours=1)
        now, tag = self.clock.now(), Tag.SOURCE_WORKS_AGAIN if working else Tag.SOURCE_FAILING
        claimed = await alerts.claim_source(SourceName.RESTRICTED_LIST, now, "r1", 60)
        told = {"last_read_at": now, "failures": 0} if working else {"last_failed_at": now, "failures": 3}
        entries = [note(tag, source=SourceName.RESTRICTED_LIST.value)] if written else []
        await alerts.release_source(claimed.model_copy(update=told), *entries)

    async def told(self, since: datetime, until: datetime) -> tuple[Text, ...]:
        return (await weekly(self.store, Poster(), self.clock).gather(since, until)).unread


async def test_a_list_that_was_unread_for_days_is_said_though_it_is_readable_now(
    plain_store: Store, clock: FakeClock
) -> None:
    """From when to when, in that week alone; or few blocks would read as a quiet week."""
    began, trouble = clock.now(), Trouble(plain_store, clock)
    await trouble.is_seen(working=False)
    clock.advance(days=5)
    await trouble.is_seen(working=True)
    week = timedelta(days=7)

    (text,) = await trouble.told(began, began + week)

    assert {"n": 1, "since": began + timedelta(hours=1), "until": began + timedelta(days=5, hours=2)} == {
        name: getattr(text.params[name], "at", text.params[name]) for name in ("n", "since", "until")
    }
    assert all(
        "{" not in Words(language).t(text) and "weekly" not in Words(language).t(text) for language in ("en", "sv")
    )
    assert () == await trouble.told(began + week, began + 2 * week) == await trouble.told(began - week, began)


async def test_trouble_whose_end_was_not_written_down_ends_all_the_same(plain_store: Store, clock: FakeClock) -> None:
    """At the last failure; while it goes on it is said once, as trouble of now."""
    began, trouble = clock.now(), Trouble(plain_store, clock)
    await trouble.is_seen(working=False)
    span = began, began + timedelta(days=7)
    assert ["weekly.unread_source_never"] == [text.key for text in await trouble.told(*span)]

    await trouble.is_seen(working=True, written=False)
    await trouble.is_seen(working=False)
    await trouble.is_seen(working=True)

    assert ["weekly.unread_during"] == [text.key for text in await trouble.told(*span)]
    assert () == await trouble.told(clock.now(), clock.now() + timedelta(days=7))


# --- once ------------------------------------------------------------------------------------------------------------


class Poster:
    """Remembers what it was to post."""

    def __init__(self) -> None:
        self.posted: list[WeeklySummary] = []
        self.fault: Exception | None = None

    async def post_weekly(self, summary: WeeklySummary) -> None:
        if self.fault is not None:
            raise self.fault
        self.posted.append(summary)

    @property
    def ids(self) -> list[str]:
        return [summary.summary_id for summary in self.posted]


def weekly(
    store: Store, poster: Poster, clock: FakeClock, holder: str = "r1", settings: WeeklySettings = STOCKHOLM
) -> WeeklySummaries:
    return WeeklySummaries(
        store, poster, clock, settings, tenant_id=TENANT, holder=holder, sources=frozenset(SourceName)
    )


async def set_up(store: Store, poster: Poster, clock: FakeClock) -> None:
    """The bot starts for the first time; then the next Monday comes."""
    assert not await weekly(store, poster, clock).post_if_due()
    clock.advance(seconds=(MONDAY + timedelta(days=7) - clock.now()).total_seconds())


async def test_the_first_start_tells_of_no_week(plain_store: Store, clock: FakeClock) -> None:
    """There was no bot that could have seen one; the next Monday is awaited."""
    poster = Poster()

    await set_up(plain_store, poster, clock)

    assert [] == poster.posted
    assert await weekly(plain_store, poster, clock).post_if_due()
    assert ["weekly-2026-11-30"] == poster.ids
    assert (MONDAY, MONDAY + timedelta(days=7)) == (poster.posted[0].since, poster.posted[0].until)


async def test_two_replicas_post_it_once(plain_store: Store, clock: FakeClock) -> None:
    """And the next one a week later."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    replicas = [weekly(plain_store, poster, clock, holder) for holder in ("r1", "r2")]

    for _ in range(3):
        assert [] == [None for replica in replicas if await replica.post_if_due() and len(poster.ids) > 1]
        clock.advance(minutes=1)
    assert ["weekly-2026-11-30"] == poster.ids

    clock.advance(days=7)
    for replica in replicas:
        await replica.post_if_due()
    assert ["weekly-2026-11-30", "weekly-2026-12-07"] == poster.ids


async def test_a_replica_that_dies_while_it_posts_leaves_it_to_another(plain_store: Store, clock: FakeClock) -> None:
    """As soon as its lease is over; nothing is lost."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    await plain_store.alerts.claim_source(WEEKLY_SUMMARY, clock.now(), "dead", LEASE_S)
    survivor = weekly(plain_store, poster, clock, "r2")

    assert not await survivor.post_if_due()
    clock.advance(seconds=LEASE_S)

    assert await survivor.post_if_due()
    assert ["weekly-2026-11-30"] == poster.ids


async def test_a_bot_that_was_off_on_monday_tells_when_it_is_back(plain_store: Store, clock: FakeClock) -> None:
    """Of the same week; after nearly another week only the next one is of use."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    clock.advance(days=2)
    await weekly(plain_store, poster, clock).post_if_due()
    assert [MONDAY + timedelta(days=7)] == [summary.until for summary in poster.posted]

    clock.advance(days=5 + 6)
    assert not await weekly(plain_store, poster, clock).post_if_due()
    assert 1 == len(poster.posted)


async def test_a_summary_that_could_not_be_posted_is_tried_again(plain_store: Store, clock: FakeClock) -> None:
    """Every five minutes, and counted as a source that fails."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    poster.fault = Unavailable("teams")
    summaries = weekly(plain_store, poster, clock)
    for _ in range(3):
        await summaries.post_if_due()
        await summaries.post_if_due()
        clock.advance(minutes=5)
    (state,) = await plain_store.alerts.source_states()
    assert 3 == state.failures and isinstance(state.why, Text)

    poster.fault = None
    assert await summaries.post_if_due()
    assert ["weekly-2026-11-30"] == poster.ids
    (state,) = await plain_store.alerts.source_states()
    assert (0, MONDAY + timedelta(days=14)) == (state.failures, state.due_at)


async def test_another_day_in_the_settings_moves_the_next_one(plain_store: Store, clock: FakeClock) -> None:
    """What was written down under the old settings does not come on top."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    on_fridays = weekly(plain_store, poster, clock, settings=WeeklySettings(day="fri"))

    assert not await on_fridays.post_if_due()

    clock.advance(days=5)
    assert await on_fridays.post_if_due()
    assert ["weekly-2026-12-04"] == poster.ids


async def test_an_earlier_day_in_the_settings_counts_at_once(plain_store: Store, clock: FakeClock) -> None:
    """It does not wait for the day that was written down before."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    assert await weekly(plain_store, poster, clock).post_if_due()
    on_thursdays = weekly(plain_store, poster, clock, settings=WeeklySettings(day="thu"))

    assert not await on_thursdays.post_if_due()
    clock.advance(days=3, hours=1)
    assert await on_thursdays.post_if_due()
    assert ["weekly-2026-11-30", "weekly-2026-12-03"] == poster.ids


async def test_it_can_be_switched_off(plain_store: Store, clock: FakeClock) -> None:
    """Then nobody looks whether it is due."""
    await weekly(plain_store, Poster(), clock, settings=WeeklySettings(on=False)).run()

    assert [] == await plain_store.alerts.source_states()


async def test_a_fault_does_not_end_the_loop(plain_store: Store, clock: FakeClock) -> None:
    """The next look may work."""
    poster = Poster()
    await set_up(plain_store, poster, clock)
    poster.fault = RuntimeError("a fault of ours")
    naps: list[float] = []

    async def nap(seconds: float) -> None:
        naps.append(seconds)
        clock.advance(seconds=max(seconds, LEASE_S))
        poster.fault = None
        if len(naps) == 3:
            raise EndOfTest

    with pytest.raises(EndOfTest):
        await weekly(plain_store, poster, clock).run(nap)

    assert ["weekly-2026-11-30"] == poster.ids


class EndOfTest(Exception):
    """Ends an endless loop."""
