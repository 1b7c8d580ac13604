"""What alerts ask of the rest of the program, named by role."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.alerts.model import AlertKind, Report, SourceName
from services.cases import Text, Value


class Reading(Value):
    """
    What a source said at one reading. For a source that shows a whole list, `whole` names the kinds of which everything
    there is stands in `reports`: what is missing from it is over. A source that only tells news leaves it empty.
    """

    reports: tuple[Report, ...] = ()
    whole: tuple[AlertKind, ...] = ()
    #: Where to go on next time, for a source that reads on from a moment.
    read_until: datetime | None = None
    #: Why the source sees nothing although it is switched on and did not fail: the tenant lacks what it needs.
    off: Text | None = None


class Source(Protocol):
    """One way to notice something. Its module says what it reads, and how sure that is."""

    name: SourceName
    #: Seconds between two readings.
    interval_s: float

    async def read(self, since: datetime | None) -> Reading:
        """
        What there is now, or since that moment (`Reading.read_until` of the last time; None the first time).

        Raises ServiceError when it could not be read: then nothing is concluded from it.
        """
        ...


class AlertPoster(Protocol):
    """How alerts reach people; fulfilled in `bot/`."""

    async def alerts_changed(self, alert_ids: Sequence[str]) -> None:
        """New ones are to be posted, cards of known ones are to follow. Returns at once; Teams is called behind it."""
        ...
