"""A clock that stands still until the test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class FakeClock:
    """Fulfils the port `Clock`."""

    def __init__(self, at: datetime = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)) -> None:
        self._at = at

    def now(self) -> datetime:
        return self._at

    def advance(self, **duration: float) -> datetime:
        """Move on by a timedelta's worth; the new moment."""
        self._at += timedelta(**duration)
        return self._at
