"""Teams Shifts: who is on shift now in a team, and not on time off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.clients.graph_shifts import PlannedTime
from services.oncall.accounts import Accounts
from services.oncall.duty import Duty
from services.oncall.settings import ShiftsSettings

#: Graph only finds what lies wholly in a window, so the window must be longer than any shift and any time off.
LONGEST_SHIFT = timedelta(days=3)
LONGEST_TIME_OFF = timedelta(days=200)


class Schedules(Protocol):
    """What is asked of Teams Shifts; fulfilled by `GraphClient`."""

    async def shifts(self, team_id: str, since: datetime, until: datetime) -> tuple[PlannedTime, ...]: ...

    async def times_off(self, team_id: str, since: datetime, until: datetime) -> tuple[PlannedTime, ...]: ...


class ShiftsSource:
    """Fulfils `Source`. A shift longer than three days, or a time off longer than 200 days, is not seen."""

    def __init__(self, settings: ShiftsSettings, graph: Schedules, accounts: Accounts) -> None:
        self.name = settings.name
        self._settings = settings
        self._graph = graph
        self._accounts = accounts

    async def on_duty(self, at: datetime) -> Duty:
        graph, team = self._graph, self._settings.team
        shifts, times_off = await asyncio.gather(
            graph.shifts(team, at - LONGEST_SHIFT, at + LONGEST_SHIFT),
            graph.times_off(team, at - LONGEST_TIME_OFF, at + LONGEST_TIME_OFF),
        )
        shifts = tuple(shift for shift in shifts if self._counts(shift))
        working = on_shift(shifts, times_off, at)
        found = await self._accounts.with_ids([shift.user_oid for shift in working])
        since = max((shift.starts_at for shift in working), default=None)
        return Duty(people=found.people, unknown=found.unknown, since=since, until=_next_change(shifts, at))

    def _counts(self, shift: PlannedTime) -> bool:
        return self._settings.scheduling_group in ("", shift.scheduling_group_id)


def _next_change(shifts: Sequence[PlannedTime], at: datetime) -> datetime | None:
    """When the first of them goes, or another one comes."""
    moments = [shift.ends_at if shift.covers(at) else shift.starts_at for shift in shifts if shift.ends_at > at]
    return min(moments, default=None)


def on_shift(shifts: Sequence[PlannedTime], times_off: Sequence[PlannedTime], at: datetime) -> list[PlannedTime]:
    """The shifts at a moment whose people are not on time off then; who has been on shift longest comes first."""
    away = {off.user_oid for off in times_off if off.covers(at)}
    working = [shift for shift in shifts if shift.covers(at) and shift.user_oid not in away]
    return sorted(working, key=lambda shift: (shift.starts_at, shift.user_oid))
