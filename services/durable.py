"""Starting and stopping DBOS, and every setting of it in one place."""

from __future__ import annotations

import asyncio
import importlib.metadata
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, DBOSConfig

from services.store.engine import sync_url

#: Workflows of one version are taken up by a program of the same version; changed steps need a patch or a new one.
WORKFLOW_VERSION = "3"


def set_up(database_url: str, replica_id: str) -> None:
    """Prepare DBOS on our database. Workflows must be registered and in charge before `launch`."""
    config: DBOSConfig = {
        "name": "unblock",
        "system_database_url": sync_url(database_url),
        "application_version": WORKFLOW_VERSION,
        # A replica takes up its own unfinished workflows under the same name.
        "executor_id": replica_id,
        # SQLite cannot notify, so DBOS polls there; PostgreSQL wakes by LISTEN and ignores this.
        "notification_listener_polling_interval_sec": 0.05,
        "log_level": "ERROR",
        "enable_otlp": False,
    }
    DBOS(config=config)


def launch() -> None:
    """
    Begin, and take up what was unfinished. To be called on the event loop's own thread: DBOS runs asynchronous
    workflows on the loop that launched it, and ours share HTTP sessions with the rest of the program.
    """
    DBOS.launch()


def shut_down() -> None:
    """Stop at once; unfinished workflows go on at the next start. To be called on the event loop, as `launch`."""
    DBOS.destroy(workflow_completion_timeout_sec=0)
    # DBOS made its threads those of the loop and has just ended them; what is closed after it may need some, too.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def version() -> str:
    """The version of DBOS, for `doctor`."""
    return importlib.metadata.version("dbos")
