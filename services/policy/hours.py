"""When a question is asked, brought back to mind, passed on and over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from services.cases import Value
from services.policy.model import Hours, Policy

_DAY = timedelta(days=1)


class Schedule(Value):
    """The moments of one question, in UTC, each list in order and all of it before `expires_at`."""

    #: When the clock starts: when it was asked, or at the next opening.
    starts_at: datetime
    remind_at: tuple[datetime, ...] = ()
    #: The n-th is when the n-th level of the chain is asked as well.
    escalate_at: tuple[datetime, ...] = ()
    expires_at: datetime


def schedule(policy: Policy, asked_at: datetime, wait: timedelta = timedelta()) -> Schedule:
    """
    When to remind, escalate and expire, for a question that is asked at `asked_at` (aware) and waits at least `wait`.

    Where the policy waits outside the hours, minutes count only while it is open: asked on Friday evening, a question
    starts on Monday morning, and what is left on Friday afternoon goes on then.
    """
    hours = policy.hours if policy.hours and policy.hours.outside.wait else None

    def after(minutes: float) -> datetime:
        return _after(hours, asked_at, timedelta(minutes=minutes))

    return Schedule(
        starts_at=after(0),
        remind_at=tuple(map(after, policy.remind_after_minutes)),
        escalate_at=tuple(map(after, policy.escalate_after_minutes)),
        expires_at=after(max(policy.expire_after_minutes, wait.total_seconds() / 60)),
    )


def is_open(hours: Hours | None, at: datetime) -> bool:
    """Whether people are at work at that moment; without hours, always."""
    return hours is None or next(_openings(hours, at))[0] <= at


def _after(hours: Hours | None, asked_at: datetime, wait: timedelta) -> datetime:
    if hours is None:
        return asked_at.astimezone(UTC) + wait
    for opens, closes in _openings(hours, asked_at):
        start = max(opens, asked_at.astimezone(UTC))
        # What is over exactly at the closing falls before it, so that no moment stands still until the next day.
        if wait <= closes - start:
            return start + wait
        wait -= closes - start
    raise AssertionError("openings never end")


def _openings(hours: Hours, at: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The opening that is under way at that moment, if any, and all that follow, as (from, to) in UTC."""
    # One that began yesterday may go on past midnight.
    day = at.astimezone(hours.zone).date() - _DAY
    numbers = {weekday.number for weekday in hours.days}
    while True:
        if day.weekday() in numbers:
            opens, closes = _opening(hours, day)
            # A short one falls out on the night on which its hour does not exist.
            if max(opens, at) < closes:
                yield opens, closes
        day += _DAY


def _opening(hours: Hours, day: date) -> tuple[datetime, datetime]:
    """
    From and to in UTC of the opening that begins on this day.

    Counted on the wall and only then brought to UTC, so that 08:00 stays 08:00 when summer time begins or ends. An hour
    that the wall shows twice is its first showing; one that it leaves out is taken as if the change came later.
    """
    ends_on = day + _DAY if hours.closes <= hours.opens else day
    return _in_utc(hours, day, hours.opens), _in_utc(hours, ends_on, hours.closes)


def _in_utc(hours: Hours, day: date, clock: time) -> datetime:
    return datetime.combine(day, clock, hours.zone).astimezone(UTC)
