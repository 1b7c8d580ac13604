"""How a database stands to this program, on each kind of database."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from services.errors import SettingsError
from services.store import migrate, tables
from services.store.engine import sync_url
from services.store.schema import VERSION_TABLE, SchemaState, schema_state


def claim_revision(empty_database_url: str, revision: str) -> None:
    """Make the database say that it is of this revision."""
    engine = sa.create_engine(sync_url(empty_database_url))
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = :revision"), {"revision": revision})
    engine.dispose()


def test_an_empty_database_has_no_schema(empty_database_url: str) -> None:
    """
    Before the first start there is nothing of ours, and looking does not change that.
    """
    assert SchemaState.ABSENT is schema_state(empty_database_url)
    assert SchemaState.ABSENT is schema_state(empty_database_url)


def test_a_migrated_database_is_current(empty_database_url: str) -> None:
    """
    What `migrate` leaves is what this program wants.
    """
    migrate(empty_database_url)

    assert SchemaState.CURRENT is schema_state(empty_database_url)


def test_an_unknown_revision_is_foreign(empty_database_url: str) -> None:
    """
    A database that a newer program has changed is not taken for ours.
    """
    migrate(empty_database_url)

    claim_revision(empty_database_url, "9999")

    assert SchemaState.FOREIGN is schema_state(empty_database_url)


def test_a_server_that_does_not_answer_is_named() -> None:
    """
    The setting is named, and the password in it is not shown.
    """
    with pytest.raises(SettingsError) as error:
        schema_state("postgresql://unblock:hush@127.0.0.1:9/unblock")

    assert str(error.value).startswith("database_url: the database cannot be used: ")
    assert "hush" not in str(error.value)


def test_cases_that_ended_as_unblocked_are_closed_by_the_update(empty_database_url: str) -> None:
    """
    An earlier version ended a case with its unblock; nobody follows it now, and no message is sent about it.
    """
    migrate(empty_database_url)
    claim_revision(empty_database_url, "0001")
    engine = sa.create_engine(sync_url(empty_database_url))
    later = (tables.sign_ins, tables.alert_names, tables.alert_copies, tables.alert_sources, tables.alerts)
    for table in later:  # They came later than that revision.
        table.drop(engine)
    moment = datetime(2026, 11, 24, tzinfo=UTC)
    row = {"case_id": "C1", "tenant_id": "t", "state": "unblocked", "requester_oid": "r", "opened_at": moment}
    row |= {"changed_at": moment, "version": 1, "document": {"case_id": "C1", "state": "unblocked", "query": "jane"}}
    with engine.begin() as connection:
        connection.execute(tables.cases.insert().values(**row))

    migrate(empty_database_url)

    with engine.connect() as connection:
        (after,) = connection.execute(sa.select(tables.cases.c.state, tables.cases.c.document)).all()
    engine.dispose()
    assert ("closed", "closed", "jane") == (after.state, after.document["state"], after.document["query"])
