"""When a question is reminded of, escalated and over, in working hours and across the change of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.policy import Policy, is_open, policy_of, schedule

STOCKHOLM = ZoneInfo("Europe/Stockholm")
WEEK = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def policy(outside: dict[str, Any] | None = None, **changes: Any) -> Policy:
    """Reminders after 10 and 20 minutes, escalation after 15 and 30, an hour in all; Monday to Friday, 8 to 17."""
    hours = {"days": WEEK[:5], "from": "08:00", "to": "17:00", "time_zone": "Europe/Stockholm", **changes}
    section = {
        "remind_after_minutes": [10, 20],
        "escalate_after_minutes": [15, 30],
        "hours": {**hours, "outside": outside or {"wait": True}},
    }
    return policy_of(Policy.model_validate(section), approvers=(), timeout_minutes=60)


def local(*moment: int, fold: int = 0) -> datetime:
    """A moment on a wall in Stockholm."""
    return datetime(*moment, tzinfo=STOCKHOLM, fold=fold)


def test_without_hours_the_clock_starts_at_once() -> None:
    """
    Minutes are counted from the question, at any hour, and told in UTC.
    """
    at_night = local(2026, 11, 22, 3, 0)
    plan = schedule(policy().model_copy(update={"hours": None}), at_night)

    assert tuple(at_night + timedelta(minutes=n) for n in (10, 20)) == plan.remind_at
    assert tuple(at_night + timedelta(minutes=n) for n in (15, 30)) == plan.escalate_at
    assert (at_night, at_night + timedelta(hours=1)) == (plan.starts_at, plan.expires_at)
    assert UTC is plan.expires_at.tzinfo


def test_hours_that_do_not_wait_leave_the_clock_alone() -> None:
    """
    Where others are asked at night, the night is as long as the day.
    """
    at_night = local(2026, 11, 22, 3, 0)

    assert at_night + timedelta(hours=1) == schedule(policy({"approvers": 2}), at_night).expires_at


def test_out_of_hours_the_clock_starts_at_the_next_opening() -> None:
    """
    Asked on Friday evening, a question is first brought to mind on Monday morning.
    """
    plan = schedule(policy(), local(2026, 11, 20, 18, 0))

    assert local(2026, 11, 23, 8, 0) == plan.starts_at
    assert (local(2026, 11, 23, 8, 10), local(2026, 11, 23, 9, 0)) == (plan.remind_at[0], plan.expires_at)


def test_what_stays_open_longer_waits_for_the_opening_too() -> None:
    """
    An override has a day. Asked on Friday evening, that is 24 hours of work, and each reminder comes before its end.
    """
    plan = schedule(policy(), local(2026, 11, 20, 18, 0), timedelta(hours=24))

    assert (local(2026, 11, 23, 8, 10), local(2026, 11, 25, 14, 0)) == (plan.remind_at[0], plan.expires_at)


def test_no_question_is_over_before_the_policy_says() -> None:
    """
    A policy that gives people three days gives them three days for an undo as well.
    """
    patient = policy().model_copy(update={"hours": None, "expire_after_minutes": 3 * 24 * 60})
    asked_at = local(2026, 11, 20, 18, 0)

    assert asked_at + timedelta(days=3) == schedule(patient, asked_at, timedelta(hours=24)).expires_at


def test_minutes_count_only_while_it_is_open() -> None:
    """
    What is asked a quarter of an hour before the closing has 45 minutes left in the morning.
    """
    plan = schedule(policy(), local(2026, 11, 23, 16, 45))

    assert (local(2026, 11, 23, 16, 55), local(2026, 11, 24, 8, 5)) == plan.remind_at
    assert (local(2026, 11, 23, 17, 0), local(2026, 11, 24, 8, 15)) == plan.escalate_at
    assert local(2026, 11, 24, 8, 45) == plan.expires_at


@pytest.mark.parametrize(
    ("asked_at", "starts_at"),
    [
        # The weekend on which summer time begins is an hour shorter, and that on which it ends an hour longer.
        (local(2026, 3, 27, 18, 0), datetime(2026, 3, 30, 6, 0, tzinfo=UTC)),
        (local(2026, 10, 23, 18, 0), datetime(2026, 10, 26, 7, 0, tzinfo=UTC)),
    ],
)
def test_eight_in_the_morning_stays_eight_when_the_clocks_change(asked_at: datetime, starts_at: datetime) -> None:
    """
    The opening is what the wall says, whatever that is in UTC.
    """
    plan = schedule(policy(), asked_at)

    assert (starts_at, local(starts_at.year, starts_at.month, starts_at.day, 8, 0)) == (plan.starts_at, plan.starts_at)


@pytest.mark.parametrize(
    ("asked_at", "expires_at"),
    [
        # Open all night: 01:30 and an hour more are 03:30 in spring, and 02:30, shown the first time, in autumn.
        (local(2026, 3, 29, 1, 30), local(2026, 3, 29, 3, 30)),
        (local(2026, 10, 25, 1, 30), local(2026, 10, 25, 2, 30)),
        (local(2026, 10, 25, 2, 30), local(2026, 10, 25, 2, 30, fold=1)),
    ],
)
def test_an_hour_is_an_hour_in_the_night_of_the_change(asked_at: datetime, expires_at: datetime) -> None:
    """
    Sixty minutes pass, whatever the wall shows meanwhile.
    """
    nights = policy(days=WEEK, **{"from": "22:00", "to": "06:00"})

    assert expires_at.astimezone(UTC) == schedule(nights, asked_at).expires_at


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        (local(2026, 11, 23, 7, 59), False),
        (local(2026, 11, 23, 8, 0), True),
        (local(2026, 11, 23, 16, 59), True),
        (local(2026, 11, 23, 17, 0), False),
        (local(2026, 11, 22, 12, 0), False),
    ],
)
def test_it_is_open_from_the_first_minute_to_before_the_last(at: datetime, opened: bool) -> None:
    """
    The opening belongs to the hours, the closing does not, and neither does Sunday.
    """
    assert opened is is_open(policy().hours, at)


@pytest.mark.parametrize(
    ("at", "opened"),
    [
        (local(2026, 11, 27, 23, 0), True),
        (local(2026, 11, 28, 5, 0), True),
        (local(2026, 11, 28, 23, 0), False),
    ],
)
def test_a_shift_over_midnight_belongs_to_the_day_on_which_it_begins(at: datetime, opened: bool) -> None:
    """
    Friday's night shift goes on into Saturday, and Saturday has none.
    """
    assert opened is is_open(policy(**{"from": "22:00", "to": "06:00"}).hours, at)


@pytest.mark.parametrize("to", ["00:00", "24:00"])
def test_from_midnight_to_midnight_is_all_day(to: str) -> None:
    """
    A whole week of whole days is never closed.
    """
    always = policy(days=WEEK, **{"from": "00:00", "to": to})
    asked_at = local(2026, 11, 22, 23, 45)

    assert (asked_at, asked_at + timedelta(hours=1)) == (
        schedule(always, asked_at).starts_at,
        schedule(always, asked_at).expires_at,
    )


def test_without_hours_it_is_always_open() -> None:
    """
    No hours, no night.
    """
    assert is_open(None, local(2026, 11, 22, 3, 0))


def test_an_opening_that_the_change_of_clocks_swallows_is_left_out() -> None:
    """
    From 02:30 to 03:00 there is nothing in the night that goes from 02:00 to 03:00 at once; the next one counts.
    """
    short = policy(days=["sun"], **{"from": "02:30", "to": "03:00"})

    assert local(2026, 4, 5, 2, 30) == schedule(short, local(2026, 3, 28, 12, 0)).starts_at


moments = st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))
clocks = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
zones = st.sampled_from(["Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"])
several = st.lists(st.integers(1, 200), min_size=1, max_size=4, unique=True).map(sorted)


@st.composite
def waiting(draw: st.DrawFn) -> Policy:
    """A policy that stands still outside whatever hours it has."""
    remind, escalate = draw(several), draw(several)
    hours = {"days": draw(st.lists(st.sampled_from(WEEK), min_size=1)), "from": draw(clocks), "to": draw(clocks)}
    section = {
        "remind_after_minutes": remind,
        "escalate_after_minutes": [remind[0] + minutes for minutes in escalate],
        "expire_after_minutes": 400 + draw(st.integers(1, 3000)),
        "hours": {**hours, "time_zone": draw(zones), "outside": {"wait": True}},
    }
    return policy_of(Policy.model_validate(section), approvers=(), timeout_minutes=60)


@given(waiting(), moments)
def test_a_schedule_is_in_order(own: Policy, asked_at: datetime) -> None:
    """
    Nothing comes before the question or its start, each list increases, and the end is the end.
    """
    plan = schedule(own, asked_at)

    assert asked_at <= plan.starts_at
    assert plan.remind_at[0] < plan.escalate_at[0]
    for moments in (plan.remind_at, plan.escalate_at):
        assert all(earlier < later for earlier, later in pairwise((plan.starts_at, *moments, plan.expires_at)))


@given(waiting(), moments)
def test_nothing_happens_while_it_is_closed(own: Policy, asked_at: datetime) -> None:
    """
    Each moment is in the hours, or exactly at their end.
    """
    plan = schedule(own, asked_at)
    just_before = [at - timedelta(microseconds=1) for at in (*plan.remind_at, *plan.escalate_at, plan.expires_at)]

    assert all(is_open(own.hours, at) for at in (plan.starts_at, *just_before))


@given(waiting(), moments, moments)
def test_who_asks_later_is_never_answered_for_earlier(own: Policy, one: datetime, other: datetime) -> None:
    """
    Of two questions, the later one does not start or expire before the earlier one.
    """
    earlier, later = (schedule(own, asked_at) for asked_at in sorted((one, other)))

    assert earlier.starts_at <= later.starts_at
    assert earlier.expires_at <= later.expires_at
