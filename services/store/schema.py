"""Which schema a database has. Looks only; `migrate` is what changes it."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from services.errors import SettingsError
from services.store.engine import sync_url

#: Where the migrations keep the revision; see `migrations/env.py`.
VERSION_TABLE = "unblock_schema"


class SchemaState(StrEnum):
    """How a database stands to this program."""

    #: Nothing of ours is there yet.
    ABSENT = "absent"
    #: Made by an earlier version; the next start brings it up to date.
    OLDER = "older"
    CURRENT = "current"
    #: Made by a version that this program does not know.
    FOREIGN = "foreign"


def schema_state(database_url: str) -> SchemaState:
    """
    How the database stands to this program. Blocking; creates and changes nothing, not even the file of SQLite.

    Raises SettingsError when the database cannot be reached, or could not be created there.
    """
    url = sa.make_url(sync_url(database_url))
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        _check_folder(Path(url.database or "").parent)
        return SchemaState.ABSENT
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            return _state(context.get_current_revision())
    except sa.exc.DatabaseError as exc:
        reason = (str(exc.orig).strip().splitlines() or ["no answer"])[0]
        raise SettingsError(("database_url", f"the database cannot be used: {reason}")) from exc
    finally:
        engine.dispose()


def _state(revision: str | None) -> SchemaState:
    if revision is None:
        return SchemaState.ABSENT
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    if revision == scripts.get_current_head():
        return SchemaState.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaState.OLDER if revision in known else SchemaState.FOREIGN


def _check_folder(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise SettingsError(("database_url", f"no file can be written in the folder {folder}"))
