"""
Lanes: how many calls of one kind Microsoft takes at once and in a time, so that we wait here instead of being refused.

A lane lets a burst through up to its limit and then makes later calls wait for their turn, in order of arrival; it adds
no delay below the limit. Microsoft counts per app and tenant and each replica for itself; Retry-After settles the rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class LaneLimits:
    """At most `calls` started in any `per_s` seconds (None: as many as one likes), and `at_once` under way."""

    at_once: int = 16
    calls: int | None = None
    per_s: float = 1.0


#: Source: "Microsoft Graph service-specific throttling limits" (2023) and "List messageTraces" (2025). Times are a bit
#: longer than documented, because the service counts when calls arrive and not when we send them.
LANES: Mapping[str, LaneLimits] = {
    "directory": LaneLimits(),
    "reports": LaneLimits(at_once=5, calls=5, per_s=10.2),  # sign-ins, directory audits, authentication reports
    # Identity protection and conditional access, no Retry-After. One after the other: the second starts when the first
    # is answered and a second has gone by since it started. The rest is for the first call of a fresh connection, which
    # arrives late; should it arrive later still, the second call is refused once and repeated.
    "risk": LaneLimits(at_once=1, calls=1, per_s=1.05),
    "mailbox": LaneLimits(at_once=4),  # inbox rules and other Outlook resources
    "alerts": LaneLimits(at_once=4, calls=150, per_s=60.0),  # alerts and secure score
    "traces": LaneLimits(at_once=2, calls=100, per_s=300.0),
    # Microsoft gives no numbers for this route. An investigation asks Exchange about ten things, each taking seconds;
    # public clients of the route send ten in one batch, so eight at once are not more than it sees anyway.
    "exchange": LaneLimits(at_once=8),
}


class Turns:
    """Hands out the moments at which calls may start; a sliding window over the last `calls` starts."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._starts: deque[float] = deque(maxlen=limits.calls)
        self._not_before = float("-inf")

    def next_start(self, now: float) -> float:
        """When a call that comes now could start, in seconds on the same clock; nothing is taken yet."""
        full = self._limits.calls is not None and len(self._starts) == self._limits.calls
        window_opens = self._starts[0] + self._limits.per_s if full else now
        return max(now, window_opens, self._not_before)

    def take(self, now: float) -> float:
        """Take the next turn; its start, which is not before `now`."""
        start = self.next_start(now)
        if self._limits.calls is not None:
            self._starts.append(start)
        return start

    def hold(self, until: float) -> None:
        """The service asked to wait: nobody in this lane starts before then."""
        self._not_before = max(self._not_before, until)


class Lane:
    """The turns of one kind of call, and its places."""

    def __init__(self, limits: LaneLimits) -> None:
        self._places = asyncio.Semaphore(limits.at_once)
        self.turns = Turns(limits)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """One of the places of this lane, for as long as a call and its repetitions take."""
        async with self._places:
            yield
