"""Databases for tests: an empty one, and a copy of one that has all tables."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from dbos import DBOS

from services.store import migrate
from services.store.engine import sync_url

POSTGRES_URL = os.environ.get("UNBLOCK_TEST_POSTGRES_URL")


def prepared_sqlite(path: Path) -> str:
    """A SQLite database with all tables in a new file; its URL."""
    shutil.copyfile(_sqlite_pattern(), path)
    return f"sqlite:///{path}"


@contextmanager
def prepared_postgres() -> Iterator[str]:
    """The name of a PostgreSQL database with all tables, to copy others from."""
    with FreshPostgres() as url:
        _make_tables(url)
        yield url.rpartition("/")[2]


class FreshPostgres:
    """
    A database of its own on the server of UNBLOCK_TEST_POSTGRES_URL, dropped at the end; empty, or `like` another one
    that nobody is connected to.
    """

    def __init__(self, like: str = "template1") -> None:
        self._like = like

    def __enter__(self) -> str:
        if not POSTGRES_URL:
            if os.environ.get("UNBLOCK_TEST_REQUIRE_ALL"):
                pytest.fail("UNBLOCK_TEST_POSTGRES_URL is not set, and PostgreSQL tests are required here")
            pytest.skip("UNBLOCK_TEST_POSTGRES_URL is not set")
        self._name = f"unblock_{uuid.uuid4().hex[:12]}"
        self._run(f'CREATE DATABASE "{self._name}" TEMPLATE "{self._like}"')
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


@functools.cache
def _sqlite_pattern() -> Path:
    """Made once by each test program, in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="unblock-tests-"))
    atexit.register(shutil.rmtree, folder)
    _make_tables(f"sqlite:///{folder}/pattern.db")
    return folder / "pattern.db"


def _make_tables(url: str) -> None:
    migrate(url)
    DBOS.migrate(sync_url(url))
