"""What a source of on-call people says, and what is asked of one."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.cases import Value


class Duty(Value):
    """Who is on duty at a moment, by one source. Nobody at all is an answer too."""

    #: Entra object ids in lower case, the first to be asked first.
    people: tuple[str, ...] = ()
    #: People on duty whom the bot cannot ask, as the source names them: no account here, a guest, or switched off.
    unknown: tuple[str, ...] = ()
    #: Since when and until when it is these people; None when the source does not say, or it has no end.
    since: datetime | None = None
    until: datetime | None = None


class Source(Protocol):
    """One place that knows who is on call."""

    @property
    def name(self) -> str:
        """What people call it; no two sources have the same."""
        ...

    async def on_duty(self, at: datetime) -> Duty:
        """Who is on duty at `at`, which is aware. Raises: ServiceError when it cannot be read."""
        ...
