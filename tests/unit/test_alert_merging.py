"""Many reports become one alert, in whatever order and however often they come."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.alerts.merging import (
    GOOD_READINGS,
    LAG,
    MOST_REPORTS,
    READINGS_WITHOUT,
    UNNAMED_CONNECTOR,
    Facts,
    claimed,
    kinds_needed,
    learned,
    merged,
)
from services.alerts.model import Alert, AlertKind, AlertState, Report, Severity, SourceName
from services.alerts.ports import Reading
from services.audit import Tag
from services.cases import Finding, SignalState, Subject, say

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=2)
UPN, MAIL, OID = "jane@contoso.example", "jane.doe@contoso.example", "11111111-0000-4000-8000-000000000001"
LIST, DEFENDER = SourceName.RESTRICTED_LIST, SourceName.DEFENDER
RESTRICTED, SUSPECTED = AlertKind.SENDER_RESTRICTED, AlertKind.SENDER_SUSPECTED


def listed(since: datetime | None = BEGAN, about: str = UPN, **fields: object) -> Report:
    return Report(source=LIST, kind=RESTRICTED, about=about, since=since, severity=Severity.HIGH, **fields)


def told(external_id: str = "d1", kind: AlertKind = RESTRICTED, **fields: object) -> Report:
    values = {"source": DEFENDER, "about": UPN, "oid": OID, "also": (MAIL,), "since": BEGAN + timedelta(minutes=1)}
    return Report.model_validate({**values, "kind": kind, "external_id": external_id, **fields})


class Desk:
    """What is known, as the store would keep it."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}
        self.tags: list[Tag] = []
        self.now = NOW
        self._ids = (f"A{number}" for number in count(1))

    def facts(self, **fields: object) -> Facts:
        return Facts(tenant_id="t", now=self.now, new_id=lambda: next(self._ids), **fields)

    def take(
        self, *reports: Report, whole: Sequence[AlertKind] = (), of_all: bool = True, **fields: object
    ) -> list[Alert]:
        reading = Reading(reports=tuple(reports), whole=tuple(whole))
        known = list(self.alerts.values()) if of_all else self._needed(reading)
        return self.keep(merged(known, reading, self.facts(**fields)))

    def _needed(self, reading: Reading) -> list[Alert]:
        names, kinds = {name for report in reading.reports for name in report.names}, kinds_needed(reading)
        return [one for one in self.alerts.values() if one.names & names or (one.is_open and one.kind in kinds)]

    def lose(self, kind: AlertKind = RESTRICTED) -> list[Alert]:
        """Read the list of this kind as often as it takes until what it does not show is over."""
        return [self.take(whole=[kind]) for _ in range(READINGS_WITHOUT)][-1]

    def keep(self, changes: Iterable) -> list[Alert]:
        changed = []
        for alert, entries in changes:
            self.alerts[alert.alert_id] = alert
            self.tags += [entry.tag for entry in entries]
            changed.append(alert)
        return changed

    @property
    def open(self) -> list[Alert]:
        return [alert for alert in self.alerts.values() if alert.is_open]

    @property
    def one(self) -> Alert:
        (alert,) = self.open
        return alert


@pytest.fixture
def desk() -> Desk:
    return Desk()


# --- whatever the order ----------------------------------------------------------------------------------------------

SAME_BLOCK = (
    listed(),
    told("d1", name="Jane"),
    told("d2", SUSPECTED, severity=Severity.LOW, also=()),
    told("d3", SUSPECTED, about=MAIL, oid="", also=(), since=None),
    told("d1", source=SourceName.WEBHOOK, name="Jane"),
    told("d4", SUSPECTED, about=MAIL, oid=OID, also=(UPN,), told_at=NOW),
)


@given(st.permutations(SAME_BLOCK), st.lists(st.sampled_from(SAME_BLOCK), max_size=6), st.booleans())
def test_any_order_and_repetition_makes_the_same_alert(first: list, again: list, one_by_one: bool) -> None:
    """
    Six reports of three sources about one block are one alert, the same one whichever comes first.
    """
    desk, usual = Desk(), Desk()
    usual.take(*SAME_BLOCK)
    if one_by_one:
        for report in [*first, *again]:
            desk.take(report)
    else:
        desk.take(*first, *again)

    alike = {"alert_id": "A"}
    assert usual.one.model_copy(update=alike) == desk.one.model_copy(update=alike)
    assert (UPN, RESTRICTED, BEGAN, OID) == (desk.one.about, desk.one.kind, desk.one.since, desk.one.oid)
    assert [] == desk.take(*first)


CONNECTOR = AlertKind.CONNECTOR_BLOCKED
RELAY = Report(source=SourceName.BLOCKED_CONNECTORS, kind=CONNECTOR, about="c-1", since=BEGAN)
MANY_THINGS = (
    *SAME_BLOCK,
    listed(about="bob@contoso.example"),
    listed(BEGAN + timedelta(minutes=7), about="bob@contoso.example"),
    listed(NOW, about=MAIL),
    told("d5", about="bob@contoso.example", oid="22", also=(), since=None),
    told("d6", SUSPECTED, about="robert@contoso.example", oid="22", also=("bob@contoso.example",)),
    told("d6", SUSPECTED, about="robert@contoso.example", oid="22", also=(), is_over=True, told_at=NOW),
    told("d7", CONNECTOR, about=UNNAMED_CONNECTOR, oid="", also=()),
    RELAY,
    RELAY.model_copy(update={"about": "c-2", "since": NOW}),
)


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(MANY_THINGS), max_size=4),
            st.sampled_from([(), (RESTRICTED,), (CONNECTOR,), (AlertKind.EARLY_WARNING,)]),
        ),
        max_size=8,
    )
)
def test_what_bears_no_name_of_a_reading_makes_no_difference(readings: list) -> None:
    """
    Merging reads few of the alerts there are, and comes to what it would if it read all of them.
    """
    few, every = Desk(), Desk()
    for reports, whole in readings:
        for desk in (few, every):
            desk.now += timedelta(minutes=5)
        few.take(*reports, whole=whole, of_all=False)
        every.take(*reports, whole=whole)

    assert every.alerts == few.alerts


@given(st.permutations([told("d1", SUSPECTED, told_at=NOW, is_over=over) for over in (False, True)] * 2))
def test_a_replay_does_not_open_what_was_resolved(reports: list[Report]) -> None:
    """
    Once Defender has said that it is over, an older message that comes late changes nothing.
    """
    desk = Desk()
    desk.take(told("d1", SUSPECTED, told_at=NOW - timedelta(minutes=1)))
    for report in reports:
        desk.take(report)

    assert ([], "alert.ended.resolved") == (desk.open, desk.alerts["A1"].ended.key)


# --- how it begins ---------------------------------------------------------------------------------------------------


def test_a_list_entry_is_an_alert(desk: Desk) -> None:
    """
    It says since when, and how bad it is, and stands in the trail.
    """
    (alert,) = desk.take(listed(reason={"ExceedingLimitType": "External"}))

    assert (RESTRICTED, UPN, BEGAN, True, NOW) == (
        alert.kind,
        alert.about,
        alert.since,
        alert.is_since_known,
        alert.noticed_at,
    )
    assert [Tag.ALERT_RAISED] == desk.tags


def test_an_unknown_start_is_not_made_up(desk: Desk) -> None:
    """
    Without a start the moment of noticing stands in, and the alert says that it does.
    """
    desk.take(listed(since=None))

    assert (NOW, False) == (desk.one.since, desk.one.is_since_known)


def test_what_is_over_when_it_is_first_heard_of_is_no_alert(desk: Desk) -> None:
    """
    A Defender alert that somebody resolved before we looked concerns nobody any more.
    """
    assert [] == desk.take(told(is_over=True))


def test_a_restriction_that_the_list_would_show_by_now_is_none(desk: Desk) -> None:
    """
    Defender keeps its alerts long after the account can send again; the list knows better.
    """
    old = told(since=NOW - LAG - timedelta(minutes=1))

    assert [] == desk.take(old, list_read_at=NOW)
    assert 1 == len(desk.take(old, list_read_at=None))


def test_people_are_told_again_when_a_suspicion_becomes_a_restriction(desk: Desk) -> None:
    """
    Whoever set a suspicion aside yesterday has to hear of the restriction.
    """
    desk.take(told("d1", SUSPECTED))
    seen = desk.one.model_copy(update={"posted_at": NOW, "set_aside_at": NOW})
    desk.alerts["A1"] = seen

    desk.take(listed())

    assert (RESTRICTED, None, None) == (desk.one.kind, desk.one.posted_at, desk.one.set_aside_at)


def test_what_two_sources_tell_at_once_is_told_once(desk: Desk) -> None:
    """
    The list that follows Defender within minutes changes the card that is there.
    """
    desk.take(told("d1", SUSPECTED))
    desk.alerts["A1"] = desk.one.model_copy(update={"posted_at": NOW})

    desk.take(listed())

    assert (RESTRICTED, NOW) == (desk.one.kind, desk.one.posted_at)


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_a_list_that_shows_it_no_more_ends_it(desk: Desk) -> None:
    """
    Whoever did that is not known from the list; the bot did not.
    """
    desk.take(listed(), whole=[RESTRICTED])
    desk.lose()

    ended = desk.alerts["A1"]
    assert (AlertState.ENDED, NOW, "alert.ended.elsewhere") == (ended.state, ended.ended_at, ended.ended.key)
    assert Tag.ALERT_ENDED == desk.tags[-1]


@pytest.mark.parametrize(
    ("temporary", "hours", "how"),
    [(True, 22, "by_itself"), (True, 20, "elsewhere"), (False, 22, "elsewhere"), (None, 22, "elsewhere")],
)
def test_a_block_for_the_day_ends_by_itself_after_midnight(
    desk: Desk, temporary: bool | None, hours: int, how: str
) -> None:
    """
    Only one that was temporary, and only when the next day (UTC) has begun; it is 03:00 now.
    """
    desk.take(listed(temporary=temporary))
    desk.now += timedelta(hours=hours)
    desk.take(whole=[RESTRICTED])
    assert (how == "by_itself") is not bool(desk.open)
    desk.take(whole=[RESTRICTED])

    assert f"alert.ended.{how}" == desk.alerts["A1"].ended.key


@pytest.mark.parametrize("between", [None, told("d1", told_at=NOW)], ids=["in_silence", "while_defender_speaks"])
def test_one_reading_alone_ends_nothing(desk: Desk, between: Report | None) -> None:
    """
    A list may leave somebody out for once; who is missing twice running is off it, whatever Defender says meanwhile.
    """
    bob = listed(about="bob@contoso.example")
    desk.take(listed(), bob, whole=[RESTRICTED])
    desk.take(bob, whole=[RESTRICTED])
    desk.take(listed(), bob, whole=[RESTRICTED])
    desk.take(bob, whole=[RESTRICTED])
    assert 2 == len(desk.open)

    desk.take(*([between] if between else []))
    desk.take(bob, whole=[RESTRICTED])
    assert "bob@contoso.example" == desk.one.about


def test_a_better_ending_is_taken(desk: Desk) -> None:
    """
    What the case knows about the end of a block is more than the list tells, and one reading is enough for it.
    """
    desk.take(listed())
    desk.take(whole=[RESTRICTED], endings={"A1": say("alert.ended.our_case", case="C1")})

    assert "alert.ended.our_case" == desk.alerts["A1"].ended.key


def test_news_of_another_kind_ends_nothing(desk: Desk) -> None:
    """
    The list of connectors says nothing about people, and Defender's silence says nothing at all.
    """
    desk.take(listed())

    assert [] == desk.take(whole=[AlertKind.CONNECTOR_BLOCKED])
    assert [] == desk.take()


def test_what_only_defender_reports_gets_time_to_appear_on_the_list(desk: Desk) -> None:
    """
    The list may be read a moment before the entry is there; after a quarter of an hour it is believed.
    """
    desk.take(told(since=NOW))
    assert [] == desk.take(whole=[RESTRICTED])

    desk.now += LAG
    (ended,) = desk.lose()
    assert "alert.ended.not_listed" == ended.ended.key


def test_resolved_does_not_end_a_restriction(desk: Desk) -> None:
    """
    Somebody who closes the alert in the portal has not unblocked the account.
    """
    desk.take(listed(), told())
    desk.take(told(is_over=True, told_at=NOW))

    assert RESTRICTED == desk.one.kind


def test_a_suspicion_ends_when_every_alert_about_it_is_resolved(desk: Desk) -> None:
    """
    One of two that is resolved leaves the other.
    """
    desk.take(told("d1", SUSPECTED), told("d2", SUSPECTED))
    desk.take(told("d1", SUSPECTED, is_over=True, told_at=NOW))
    assert 1 == len(desk.open)

    desk.take(told("d2", SUSPECTED, is_over=True, told_at=NOW))
    assert [] == desk.open


# --- again -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"set_aside_at": NOW}])
def test_a_suspicion_outlives_the_block(desk: Desk, how: dict) -> None:
    """
    The block is over, and Microsoft still suspects the account: people are told so, but for what they have set aside.
    """
    (before, *_) = desk.take(told("d1", SUSPECTED), listed())
    desk.alerts[before.alert_id] = desk.one.model_copy(update=how)
    desk.now += timedelta(hours=1)
    desk.lose()

    assert AlertState.ENDED is desk.alerts[before.alert_id].state
    assert (SUSPECTED, ("d1",), None) == (
        desk.one.kind,
        tuple(r.external_id for r in desk.one.reports),
        desk.one.posted_at,
    )
    assert how.get("set_aside_at") == desk.one.set_aside_at
    assert [] == desk.take(told("d1", SUSPECTED))
    desk.take(told("d1", SUSPECTED, is_over=True, told_at=desk.now))
    assert [] == desk.open


def test_what_a_case_of_ours_has_ended_leaves_no_suspicion(desk: Desk) -> None:
    """
    The account is secured: that nobody has resolved the alert in Defender is no news.
    """
    (alert, *_) = desk.take(told("d1", SUSPECTED), listed())
    desk.now += timedelta(hours=1)
    desk.take(whole=[RESTRICTED], endings={alert.alert_id: say("outcome.unblocked")})

    assert [] == desk.open
    assert [] == desk.take(told("d1", SUSPECTED))


def test_a_suspicion_that_is_opened_again_is_told_again(desk: Desk) -> None:
    """
    Somebody resolved it in Defender by mistake, or it has begun anew there.
    """
    desk.take(told("d1", SUSPECTED, told_at=NOW))
    desk.take(told("d1", SUSPECTED, told_at=NOW + timedelta(minutes=5), is_over=True))
    assert [] == desk.open
    again = told("d1", SUSPECTED, told_at=NOW + timedelta(minutes=9))
    desk.take(again)

    assert (SUSPECTED, None) == (desk.one.kind, desk.one.posted_at)
    assert [] == desk.take(again)


def test_what_was_cut_off_may_still_be_open(desk: Desk) -> None:
    """
    So many alerts about one account that not all are kept: those that were resolved go first, and nothing is over.
    """
    every = [told(f"d{n:03}", SUSPECTED) for n in range(MOST_REPORTS + 1)]
    desk.take(*every)
    desk.take(*(report.model_copy(update={"is_over": True, "told_at": NOW}) for report in every[:-1]), every[-1])

    assert every[-1] in desk.one.reports


def test_whoever_sends_alerts_cannot_make_two_accounts_one(desk: Desk) -> None:
    """
    Each address is believed for itself, and no object id: else Jane's alert could be kept from those who should see it.
    """
    desk.take(listed(), listed(about="bob@contoso.example"))
    sent = told("x1", SUSPECTED, source=SourceName.WEBHOOK, oid=OID, also=("bob@contoso.example",))
    desk.take(*claimed(sent))

    assert {UPN: "", "bob@contoso.example": ""} == {alert.about: alert.oid for alert in desk.open}
    assert all(2 == len(alert.reports) for alert in desk.open)
    (by_id,) = claimed(told(about=OID, oid=OID, also=()))
    assert (OID, "") == (by_id.about, by_id.oid)


def test_the_same_start_is_the_same_alert(desk: Desk) -> None:
    """
    A list that left an entry out for once shows it again: it is open again, and nothing is posted anew.
    """
    desk.take(listed())
    desk.alerts["A1"] = desk.one.model_copy(update={"posted_at": NOW})
    desk.lose()
    desk.take(listed(BEGAN + timedelta(seconds=1)))

    assert ("A1", NOW, None) == (desk.one.alert_id, desk.one.posted_at, desk.one.ended)


def test_a_new_start_is_a_new_alert(desk: Desk) -> None:
    """
    Blocked, lifted and blocked again between two readings: the first is over and the second is told.
    """
    desk.take(listed())
    desk.now += timedelta(hours=1)
    desk.take(listed(NOW + timedelta(minutes=50)))

    assert (2, "alert.ended.again") == (len(desk.alerts), desk.alerts["A1"].ended.key)
    assert ("A2", None) == (desk.one.alert_id, desk.one.posted_at)


def test_an_older_start_is_no_news(desk: Desk) -> None:
    """
    A reading that was on its way for long does not bring back what is over.
    """
    desk.take(listed(NOW))

    assert [] == desk.take(listed(NOW - timedelta(hours=3)))


def test_late_alerts_belong_to_the_block_that_is_over(desk: Desk) -> None:
    """
    Defender tells of a block minutes after it was lifted; a new one much later is news.
    """
    desk.take(listed())
    desk.lose()

    assert [] == desk.take(told("d8", SUSPECTED, since=NOW - timedelta(minutes=1)), list_read_at=NOW)
    assert [] == desk.take(told("d9", since=NOW + timedelta(minutes=10)), list_read_at=NOW)
    assert 1 == len(desk.take(told("d10", since=NOW + timedelta(minutes=20)), list_read_at=NOW))


@pytest.mark.parametrize(
    ("kind", "can_read"), [(SUSPECTED, True), (RESTRICTED, False)], ids=["no_list_shows_it", "the_list_is_unreadable"]
)
def test_a_new_danger_right_after_an_unblock_is_news(desk: Desk, kind: AlertKind, can_read: bool) -> None:
    """
    What no list would show begins again minutes after the block, and is not taken for the end of the old one.
    """
    desk.take(listed())
    desk.lose()
    desk.now += timedelta(minutes=12)
    read_at = desk.now if can_read else None
    desk.take(told("d9", kind, since=NOW + timedelta(minutes=10)), list_read_at=read_at)

    assert (kind, ("d9",)) == (desk.one.kind, tuple(report.external_id for report in desk.one.reports))


def test_an_ended_alert_is_not_opened_by_what_it_knows(desk: Desk) -> None:
    """
    Defender's alert is read again and again while it is young.
    """
    desk.take(listed(), told())
    desk.lose()

    assert [] == desk.take(told())
    assert [] == desk.take(told(told_at=NOW + timedelta(hours=3), since=NOW + timedelta(hours=2)))


# --- one thing, several names ----------------------------------------------------------------------------------------


def test_alerts_that_turn_out_to_be_about_one_account_become_one(desk: Desk) -> None:
    """
    Defender gave the mail address and the list the name of the account; the directory knows both.
    """
    desk.take(told("d1", about=MAIL, oid="", also=()), listed())
    assert 2 == len(desk.open)
    jane = Subject(user_oid=OID, upn=UPN, mail=MAIL, display_name="Jane Doe")
    risk = Finding(signal_id="risk_state", state=SignalState.CLEAR, summary=say("finding.x"))

    desk.keep(learned(list(desk.alerts.values()), "A2", jane, [risk], desk.facts()))

    assert (UPN, 2, {UPN, MAIL, OID}) == (desk.one.about, len(desk.one.reports), desk.one.names)
    assert "alert.ended.same" == desk.alerts["A2"].ended.key


def test_two_entries_of_one_account_are_one_alert_until_both_are_gone(desk: Desk) -> None:
    """
    The list may name an account and one of its addresses; one that is lifted leaves the other.
    """
    later = listed(NOW, about=MAIL)
    desk.take(listed(), told(), later, whole=[RESTRICTED])
    assert [] == desk.take(later, listed(), whole=[RESTRICTED])

    desk.take(later, whole=[RESTRICTED])
    assert 1 == len(desk.open)
    desk.lose()
    assert [] == desk.open


def test_defenders_connector_is_the_one_on_the_list(desk: Desk) -> None:
    """
    Defender does not name the connector, so what it tells joins the one that is known, or is later known by its id.
    """
    unnamed = Report(
        source=DEFENDER, kind=AlertKind.CONNECTOR_BLOCKED, about=UNNAMED_CONNECTOR, external_id="d1", since=BEGAN
    )
    by_id = Report(source=SourceName.BLOCKED_CONNECTORS, kind=AlertKind.CONNECTOR_BLOCKED, about="c-1", since=BEGAN)
    for reports in ([unnamed, by_id], [by_id, unnamed]):
        desk = Desk()
        for report in reports:
            desk.take(report)
        assert ("c-1", 2) == (desk.one.about, len(desk.one.reports))
        desk.lose(AlertKind.CONNECTOR_BLOCKED)
        assert ([], []) == (desk.open, desk.take(unnamed))


def test_an_alert_has_the_case_that_is_at_work(desk: Desk) -> None:
    """
    Whichever was first, under whichever name; a case that has taken over from another replaces it.
    """
    desk.take(listed(), told(), cases={OID: "C1"})
    assert "C1" == desk.one.case_id

    desk.take(cases={MAIL: "C2"})
    assert "C2" == desk.one.case_id
    assert [] == desk.take(cases={})


def test_a_thousand_reports_are_a_thousand_alerts(desk: Desk) -> None:
    """
    Each account has its own, and a second reading changes none.
    """
    reports = [listed(about=f"user{number}@contoso.example") for number in range(1000)]

    assert 1000 == len(desk.take(*reports, whole=[RESTRICTED]))
    assert [] == desk.take(*reversed(reports), whole=[RESTRICTED])


def test_the_bots_own_health_is_followed_by_its_newest_words(desk: Desk) -> None:
    """
    What it says now replaces what it said; what it says no more works again.
    """
    health = Report(source=SourceName.HEALTH, kind=AlertKind.HEALTH, about="source:defender", what=say("health.x", n=1))
    desk.take(health, whole=[AlertKind.HEALTH])
    desk.take(health.model_copy(update={"what": say("health.x", n=2)}), whole=[AlertKind.HEALTH])
    assert say("health.x", n=2) == desk.one.report.what

    for _ in range(GOOD_READINGS):
        assert desk.one.is_open
        desk.take(whole=[AlertKind.HEALTH])
    assert "alert.ended.works_again" == desk.alerts["A1"].ended.key
    desk.now += timedelta(hours=1)
    assert 1 == len(desk.take(health, whole=[AlertKind.HEALTH]))


def test_trouble_that_comes_and_goes_is_one_alert(desk: Desk) -> None:
    """
    What comes back within a quarter of an hour goes on, and nobody is called for it again.
    """
    health = Report(source=SourceName.HEALTH, kind=AlertKind.HEALTH, about="source:defender", what=say("health.x"))
    for number in range(5):
        since = desk.now - timedelta(minutes=number)
        desk.take(health.model_copy(update={"since": since}), whole=[AlertKind.HEALTH])
        told_and_put_off(desk, set_aside_at=None)
        for _ in range(GOOD_READINGS + 1):
            desk.now += timedelta(minutes=1)
            desk.take(whole=[AlertKind.HEALTH])
    desk.take(health.model_copy(update={"since": desk.now}), whole=[AlertKind.HEALTH])

    assert (["A1"], True) == (list(desk.alerts), desk.one.posted_at is not None)


def told_and_put_off(desk: Desk, **fields: object) -> None:
    """People have seen what is open, and leave it."""
    seen = {"posted_at": desk.now, "set_aside_at": desk.now, **fields}
    desk.keep([(desk.one.model_copy(update=seen), [])])


@pytest.mark.parametrize("cases", [{}, {UPN: "C1"}], ids=["its_case_has_ended", "its_case_is_at_work"])
@pytest.mark.parametrize(
    "after",
    [listed(NOW + timedelta(days=1)), told("d2", SUSPECTED, since=NOW + timedelta(days=1))],
    ids=["restricted", "suspected_again"],
)
def test_a_case_that_has_ended_swallows_nothing(desk: Desk, after: Report, cases: dict) -> None:
    """
    What begins after it is told anew and can be started, unless a case is at work on it.
    """
    desk.take(told("d1", SUSPECTED))
    told_and_put_off(desk, set_aside_at=None, case_id="C1")
    desk.now += timedelta(days=1, minutes=1)
    desk.take(after, cases=cases)

    assert (bool(cases), "C1" if cases else None) == (desk.one.posted_at is not None, desk.one.case_id)


@pytest.mark.parametrize(("severity", "is_told"), [(Severity.MEDIUM, False), (Severity.HIGH, True)])
def test_not_now_holds_for_as_long_as_it_is_no_worse(desk: Desk, severity: Severity, is_told: bool) -> None:
    """
    The same again is left alone; more of it comes before people again.
    """
    desk.take(told("d1", SUSPECTED, severity=Severity.MEDIUM))
    told_and_put_off(desk)
    desk.take(told("d1", SUSPECTED, severity=severity, told_at=NOW + timedelta(minutes=5)))

    assert (is_told, is_told) == (desk.one.posted_at is None, desk.one.set_aside_at is None)


def test_other_trouble_with_the_bot_is_told_again(desk: Desk) -> None:
    """
    A secret that was to end is one thing; one that has ended is another.
    """
    ends = Report(source=SourceName.HEALTH, kind=AlertKind.HEALTH, about="secret:app", what=say("health.secret_ends"))
    desk.take(ends, whole=[AlertKind.HEALTH])
    told_and_put_off(desk)
    desk.take(ends, whole=[AlertKind.HEALTH])
    assert desk.one.posted_at is not None

    desk.take(ends.model_copy(update={"what": say("health.secret_ended")}), whole=[AlertKind.HEALTH])
    assert (None, None) == (desk.one.posted_at, desk.one.set_aside_at)


def test_a_connector_that_no_list_shows_is_not_called_an_account(desk: Desk) -> None:
    """
    Defender names no connector, so the list may never show one that it means.
    """
    desk.take(told(kind=AlertKind.CONNECTOR_BLOCKED, about=UNNAMED_CONNECTOR, oid="", also=()))
    desk.now += LAG
    (ended,) = desk.lose(AlertKind.CONNECTOR_BLOCKED)

    assert say("alert.ended.connector_not_listed") == ended.ended
