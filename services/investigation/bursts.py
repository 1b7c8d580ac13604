"""How much happened at once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

_WINDOW = timedelta(hours=1)


def busiest_hour(counted: Sequence[tuple[datetime, int]]) -> tuple[int, datetime | None]:
    """The most within sixty minutes, and when those began. Expects moments with a number each, the oldest first."""
    most, most_at, total, first = 0, None, 0, 0
    for at, count in counted:
        total += count
        while counted[first][0] < at - _WINDOW:
            total -= counted[first][1]
            first += 1
        if total > most:
            most, most_at = total, counted[first][0]
    return most, most_at
