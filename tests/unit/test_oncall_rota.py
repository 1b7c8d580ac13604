"""The rota: whose turn it is, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.oncall.rota import Rota
from services.oncall.settings import RotaSettings

STOCKHOLM = ZoneInfo("Europe/Stockholm")
ANNA, BERTIL, CECILIA = (f"aaaaaaaa-0000-4000-8000-00000000000{n}" for n in (1, 2, 3))
ZONES = ["Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC"]
MOMENTS = st.datetimes(datetime(2009, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))


def rota(**more: object) -> Rota:
    """Anna, Bertil and Cecilia by the week, from Monday 2 November 2026 at 08:30 in Stockholm."""
    given = {
        "kind": "rota",
        "time_zone": "Europe/Stockholm",
        "hand_over": "08:30",
        "starts": "2026-11-02",
        "turns": [ANNA, BERTIL, CECILIA],
    }
    return Rota(RotaSettings.model_validate({**given, **more}))


def stockholm(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=STOCKHOLM)


def people_at(wanted: Rota, at: datetime) -> tuple[str, ...]:
    turn = wanted.turn_at(at)
    return turn.people if turn else ()


@pytest.mark.parametrize(
    ("at", "person"),
    [
        (stockholm(2, 8, 30), ANNA),
        (stockholm(9, 8, 29), ANNA),
        (stockholm(9, 8, 30), BERTIL),
        (stockholm(16, 8, 30), CECILIA),
        (stockholm(23, 8, 30), ANNA),
    ],
)
def test_turns_change_at_the_hand_over_and_begin_anew(at: datetime, person: str) -> None:
    """
    The night before the hand-over still belongs to the day before.
    """
    assert (person,) == people_at(rota(), at)


def test_a_turn_tells_when_it_began_and_ends() -> None:
    """
    Both moments are hand-overs of the local day, in UTC.
    """
    turn = rota().turn_at(stockholm(12, 3))

    assert turn is not None
    assert (stockholm(9, 8, 30), stockholm(16, 8, 30)) == (turn.since, turn.until)


def test_before_the_first_turn_nobody_is_on_call() -> None:
    """
    A rota that begins next week says nothing about this one.
    """
    assert rota().turn_at(stockholm(2, 8, 29)) is None


def test_dates_win_over_turns_and_cut_them() -> None:
    """
    Cecilia takes two days of Anna's week; Anna's turn ends where they begin and goes on after them.
    """
    swapped = rota(dates=[{"first": "2026-11-04", "last": "2026-11-05", "people": CECILIA}])
    before, during, after = (swapped.turn_at(stockholm(day, 12)) for day in (3, 5, 7))

    assert before and during and after
    assert [(ANNA,), (CECILIA,), (ANNA,)] == [before.people, during.people, after.people]
    assert (stockholm(4, 8, 30), stockholm(6, 8, 30)) == (before.until, after.since)
    assert (before.until, after.since) == (during.since, during.until)


def test_a_rota_may_consist_of_dates_alone() -> None:
    """
    On days that it does not name, nobody is on call by it.
    """
    dated = Rota(
        RotaSettings.model_validate(
            {
                "kind": "rota",
                "time_zone": "Europe/Stockholm",
                "hand_over": "08:30",
                "dates": [{"first": "2026-12-24", "people": [ANNA, BERTIL]}],
            }
        )
    )

    assert (ANNA, BERTIL) == people_at(dated, stockholm(25, 8, 29, month=12))
    assert () == people_at(dated, stockholm(25, 8, 30, month=12))


@pytest.mark.parametrize(("month", "day", "hours"), [(3, 29, 23), (10, 25, 25)])
def test_a_day_is_an_hour_shorter_or_longer_when_the_clocks_change(month: int, day: int, hours: int) -> None:
    """
    The hand-over stays at 08:30 on the wall.
    """
    daily = rota(starts="2026-01-01", turn_days=1)
    turn = daily.turn_at(stockholm(day, 2, 59, month=month))

    assert turn is not None and turn.until is not None
    assert timedelta(hours=hours) == turn.until - turn.since
    assert (time(8, 30), time(8, 30)) == tuple(m.astimezone(STOCKHOLM).time() for m in (turn.since, turn.until))


def test_a_hand_over_that_the_clocks_skip_comes_right_after_the_change() -> None:
    """
    02:30 does not exist on 29 March 2026 in Stockholm; that day's hand-over is 03:30, and nobody is lost.
    """
    nightly = rota(starts="2026-01-01", turn_days=1, hand_over="02:30")

    assert stockholm(29, 3, 30, month=3) == nightly.hand_over(date(2026, 3, 29))


@given(MOMENTS, st.sampled_from(ZONES), st.times(), st.integers(1, 30), st.integers(1, 4))
def test_every_moment_lies_in_the_turn_that_it_is_given(
    at: datetime, zone: str, hand_over: time, turn_days: int, people: int
) -> None:
    """
    In any zone and at any hand-over, a turn holds the moment that it was asked for, and so do its ends agree.
    """
    turns = [f"aaaaaaaa-0000-4000-8000-{n:012}" for n in range(people)]
    wanted = rota(time_zone=zone, hand_over=hand_over, turn_days=turn_days, starts="2008-12-01", turns=turns)
    turn = wanted.turn_at(at)

    assert turn is not None and turn.until is not None
    assert turn.since <= at < turn.until
    assert turn == wanted.turn_at(turn.since) == wanted.turn_at(turn.until - timedelta(microseconds=1))


@given(st.dates(date(2010, 1, 1), date(2035, 1, 1)), st.sampled_from(ZONES), st.times(), st.integers(1, 9))
def test_turns_follow_each_other_without_a_gap(start: date, zone: str, hand_over: time, turn_days: int) -> None:
    """
    Where one ends the next begins, with the next person.
    """
    wanted = rota(time_zone=zone, hand_over=hand_over, turn_days=turn_days, starts=start)
    turns = [wanted.turn_at(wanted.hand_over(start + timedelta(days=turn_days * n))) for n in range(7)]

    assert [(ANNA,), (BERTIL,), (CECILIA,), (ANNA,)] == [turn.people for turn in turns[:4] if turn]
    assert all(one and other and one.until == other.since for one, other in pairwise(turns))
