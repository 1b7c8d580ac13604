"""Brings the database to the schema of this program, with Alembic."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from services.errors import SettingsError
from services.store.engine import sync_url

#: Any fixed number; two replicas that start at once migrate one after the other.
_MIGRATION_LOCK = 0x6D696772617465


def migrate(database_url: str) -> None:
    """
    Create or upgrade our tables. Blocking; called once, before anything runs.

    Raises SettingsError when the database cannot be reached, or was made by a newer version of this program.
    """
    try:
        engine = sa.create_engine(sync_url(database_url))
        with engine.connect() as connection:
            _upgrade(connection)
        engine.dispose()
    except sa.exc.OperationalError as exc:
        reason = str(exc.orig).strip().splitlines()[0] if exc.orig else "no answer"
        raise SettingsError(("database_url", f"the database cannot be used: {reason}")) from exc
    except CommandError as exc:
        raise SettingsError(
            ("database_url", f"the database belongs to another version of this program: {exc}")
        ) from exc


def _upgrade(connection: sa.Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
    else:
        # Kept in the file. Set here alone: it needs the database to itself for a moment, and fails instead of waiting.
        connection.exec_driver_sql("PRAGMA journal_mode=WAL")
    command.upgrade(config, "head")
    connection.commit()
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
        connection.commit()
