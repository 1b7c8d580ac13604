"""Where things are kept. `Store` is the way in; SQL and what differs between databases stay in this package."""

from services.store.migrate import migrate
from services.store.store import Store

__all__ = ["Store", "migrate"]
