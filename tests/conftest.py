"""What all tests share: both databases, and a clock that the test owns."""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest

from services.store import Store, migrate
from tests.fakes.clock import FakeClock

# How long an example takes says something about the machine and nothing about the program.
hypothesis.settings.register_profile("unblock", deadline=None)
hypothesis.settings.load_profile("unblock")

POSTGRES_URL = os.environ.get("UNBLOCK_TEST_POSTGRES_URL")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind. PostgreSQL is skipped, visibly, where none is named."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/unblock.db"
        return
    with FreshPostgres() as url:
        yield url


class FreshPostgres:
    """A database of its own on the server of UNBLOCK_TEST_POSTGRES_URL, dropped at the end."""

    def __enter__(self) -> str:
        if not POSTGRES_URL:
            if os.environ.get("UNBLOCK_TEST_REQUIRE_ALL"):
                pytest.fail("UNBLOCK_TEST_POSTGRES_URL is not set, and PostgreSQL tests are required here")
            pytest.skip("UNBLOCK_TEST_POSTGRES_URL is not set")
        self._name = f"unblock_{uuid.uuid4().hex[:12]}"
        self._run(f'CREATE DATABASE "{self._name}"')
        base, _, _ = POSTGRES_URL.rpartition("/")
        return f"{base}/{self._name}"

    def __exit__(self, *_: object) -> None:
        """
        Our own connections are ended first. Not by WITH (FORCE): that one also wants to end a passing autovacuum
        worker, which only a superuser may, while a plain DROP DATABASE makes such a worker stop by itself.
        """
        self._run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self._name}' AND usename = current_user"
        )
        self._run(f'DROP DATABASE "{self._name}"')

    def _run(self, statement: str) -> None:
        with psycopg.connect(POSTGRES_URL, autocommit=True) as connection:
            connection.execute(statement)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(database_url: str, clock: FakeClock) -> AsyncIterator[Store]:
    """A migrated, empty store on each database."""
    migrate(database_url)
    store = Store(database_url, clock)
    yield store
    await store.close()
