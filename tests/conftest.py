"""What all tests share: both databases, and a clock that the test owns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import pytest

from services.store import Store
from tests.databases import FreshPostgres, prepared_postgres, prepared_sqlite
from tests.fakes.clock import FakeClock

# How long an example takes says something about the machine and nothing about the program.
hypothesis.settings.register_profile("unblock", deadline=None)
hypothesis.settings.load_profile("unblock")

KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind. PostgreSQL is skipped, visibly, where none is named."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/unblock.db"
        return
    with FreshPostgres() as url:
        yield url


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database of each kind with our tables and those of DBOS, and nothing in them."""
    if request.param == "sqlite":
        yield prepared_sqlite(tmp_path / "unblock.db")
        return
    with FreshPostgres(like=request.getfixturevalue("postgres_pattern")) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_pattern() -> Iterator[str]:
    """The name of a database with all tables, to be copied: that takes a tenth of making them."""
    with prepared_postgres() as name:
        yield name


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(database_url: str, clock: FakeClock) -> AsyncIterator[Store]:
    """A migrated, empty store on each database."""
    store = Store(database_url, clock)
    yield store
    await store.close()
