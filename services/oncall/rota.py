"""The rota in the settings file: whose turn it is, in local days from hand-over to hand-over. Pure but for accounts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from services.oncall.accounts import Accounts
from services.oncall.duty import Duty
from services.oncall.settings import RotaSettings

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Turn:
    """Who is on call, and from when to when: aware moments in UTC, the first in it and the last not."""

    people: tuple[str, ...]
    since: datetime
    until: datetime | None = None


class Rota:
    """The turns of one rota, computed for any moment."""

    def __init__(self, settings: RotaSettings) -> None:
        self._settings = settings

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self._settings.time_zone)

    def hand_over(self, day: date) -> datetime:
        """
        When this local day's hand-over is, in UTC.

        A time that the clocks skip counts as the same distance after the change, one that comes twice as the first.
        So a day of the rota has 23 or 25 hours when the clocks change, and the hand-over stays where people expect it.
        """
        return datetime.combine(day, self._settings.hand_over, self._zone).astimezone(UTC)

    def day_of(self, at: datetime) -> date:
        """The local day whose turn a moment belongs to: before the hand-over it is still the day before."""
        day = at.astimezone(self._zone).date()
        while at < self.hand_over(day):
            day -= _DAY
        while at >= self.hand_over(day + _DAY):
            day += _DAY
        return day

    def turn_at(self, at: datetime) -> Turn | None:
        """Whose turn it is; None when the rota says nothing about that day."""
        day = self.day_of(at)
        for dates in self._settings.dates:
            if dates.first <= day <= dates.last:
                return self._turn(dates.people, dates.first, dates.last)
        return self._in_rotation(day)

    def _in_rotation(self, day: date) -> Turn | None:
        starts, turns = self._settings.starts, self._settings.turns
        if not turns or starts is None or day < starts:
            return None
        number = (day - starts).days // self._settings.turn_days
        first = starts + timedelta(days=number * self._settings.turn_days)
        last = first + timedelta(days=self._settings.turn_days - 1)
        return self._turn(turns[number % len(turns)], *self._without_dates(day, first, last))

    def _without_dates(self, day: date, first: date, last: date) -> tuple[date, date]:
        """The part of a turn around this day that no entry of the dates has taken away."""
        before = [dates.last + _DAY for dates in self._settings.dates if dates.last < day]
        after = [dates.first - _DAY for dates in self._settings.dates if dates.first > day]
        return max([first, *before]), min([last, *after])

    def _turn(self, people: tuple[str, ...], first: date, last: date) -> Turn:
        return Turn(people, self.hand_over(first), self.hand_over(last + _DAY))


class RotaSource:
    """Fulfils `Source` from the settings alone; Entra is only asked whether the accounts still count."""

    def __init__(self, settings: RotaSettings, accounts: Accounts) -> None:
        self.name = settings.name
        self._rota = Rota(settings)
        self._accounts = accounts

    async def on_duty(self, at: datetime) -> Duty:
        turn = self._rota.turn_at(at)
        if turn is None:
            return Duty()
        found = await self._accounts.with_ids(turn.people)
        return Duty(people=found.people, unknown=found.unknown, since=turn.since, until=turn.until)
