"""What happened in the sandbox: every request and every change of the tenant's state, secrets struck out."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

STRUCK_OUT = "***"
SECRET_WORDS = ("password", "secret", "assertion", "authorization", "access_token", "temporaryaccesspass")
#: Enough for any test, small enough to leave running for days.
KEPT_ENTRIES = 20_000


@dataclass(frozen=True)
class Entry:
    """One request. `at` is aware UTC; `cmdlet` is empty outside Exchange; `in_batch` marks one inside a `$batch`."""

    at: datetime
    service: str
    method: str
    path: str
    status: int
    cmdlet: str = ""
    parameters: Any = None
    in_batch: bool = False
    fault: str = ""


@dataclass(frozen=True)
class Change:
    """One change of the tenant: what was done, to whom or what, and by which application or person."""

    at: datetime
    action: str
    target: str
    by: str


class Journal:
    """The requests and the changes, oldest first."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT_ENTRIES)
        self.changes: deque[Change] = deque(maxlen=KEPT_ENTRIES)

    def add(self, entry: Entry) -> None:
        """Keep one request."""
        self.entries.append(entry)

    def changed(self, at: datetime, action: str, target: str, by: str) -> None:
        """Keep one change."""
        self.changes.append(Change(at, action, target, by))

    def clear(self) -> None:
        """Forget everything."""
        self.entries.clear()
        self.changes.clear()

    def requests(
        self, *, service: str = "", method: str = "", path: str = "", cmdlet: str = "", status: int | None = None
    ) -> list[Entry]:
        """The requests that match every given filter; `path` matches any part of the path and query."""
        return [
            entry
            for entry in self.entries
            if (not service or entry.service == service)
            and (not method or entry.method == method.upper())
            and (not path or path.lower() in entry.path.lower())
            and (not cmdlet or entry.cmdlet.lower() == cmdlet.lower())
            and (status is None or entry.status == status)
        ]


def without_secrets(value: Any) -> Any:
    """A copy of a parsed JSON value in which everything that is named like a secret is struck out."""
    if isinstance(value, Mapping):
        return {key: _struck(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return value


def _struck(key: str, value: Any) -> Any:
    if isinstance(value, str) and any(word in key.lower() for word in SECRET_WORDS):
        return STRUCK_OUT
    return without_secrets(value)
