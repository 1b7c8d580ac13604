"""
One engine for both databases; what differs between them stands here and nowhere else.

SQLite: every transaction that writes takes the lock at its start (BEGIN IMMEDIATE), since a reader that turns writer
would fail with "database is locked" instead of waiting; WAL lets readers go on meanwhile. Our own writers queue up on
an asyncio lock before that, because SQLite waits for its lock by sleeping and looking again, which is slow.
PostgreSQL: rows are locked with FOR UPDATE, the audit trail with an advisory lock.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

#: Any fixed number; it names the lock that makes appending to the audit trail one at a time.
_AUDIT_LOCK = 0x756E626C6F636B

_BUSY_TIMEOUT_MS = 30_000

#: The same for putting together what different sources report.
_ALERTS_LOCK = 0x616C65727473

#: Connections of a replica to PostgreSQL. All of them are kept: in a crowd of clicks, opening one for a moment costs
#: more than waiting for the next that is free.
_POOL = {"pool_size": 15, "max_overflow": 0}

T = TypeVar("T")


def async_url(database_url: str) -> str:
    """The same database for SQLAlchemy's asynchronous engine."""
    _, _, rest = database_url.partition("://")
    return f"sqlite+aiosqlite://{rest}" if _is_sqlite(database_url) else f"postgresql+psycopg://{rest}"


def sync_url(database_url: str) -> str:
    """The same database for Alembic and DBOS."""
    _, _, rest = database_url.partition("://")
    return f"sqlite://{rest}" if _is_sqlite(database_url) else f"postgresql+psycopg://{rest}"


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see the module docstring
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    reads_only = connection.get_execution_options().get("reads_only")
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


class Database:
    """The way to the database: `reading()` and `writing()` are its two kinds of transaction."""

    def __init__(self, database_url: str) -> None:
        kept: dict[str, Any] = {} if _is_sqlite(database_url) else {"pool_pre_ping": True, **_POOL}
        self._engine = create_async_engine(async_url(database_url), **kept)
        self._under_way: set[asyncio.Task[Any]] = set()
        self._is_closed = False
        self._one_writer: Any = nullcontext()
        if _is_sqlite(database_url):
            self._one_writer = asyncio.Lock()
            sa.event.listen(self._engine.sync_engine, "connect", _set_up_sqlite)
            sa.event.listen(self._engine.sync_engine, "begin", _begin_sqlite)

    async def close(self) -> None:
        """Close every connection, after what is under way has ended; nothing can be asked any more."""
        self._is_closed = True
        await self.settle()
        await self._engine.dispose()

    @asynccontextmanager
    async def reading(self, *, at_one_moment: bool = False) -> AsyncIterator[AsyncConnection]:
        """
        A transaction that only reads, and so never waits for a writer. With `at_one_moment` several reads in it see the
        same state, whatever is written meanwhile; on SQLite they always do.
        """
        async with self._connected() as connection:
            await connection.execution_options(reads_only=True)
            if at_one_moment and self._engine.dialect.name != "sqlite":
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with connection.begin():
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes; it commits at the end of the block and rolls back on an exception."""
        async with self._one_writer, self._connected() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection

    async def to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Transactions that end, by commit or rollback, whatever becomes of whoever asked: who is cancelled does not wait
        for the end, and `close` does.

        A statement must not be cut off in its middle. On SQLite its connection would be closed with the statement still
        alive, which keeps the connection's lock until the garbage collector comes by: nobody could write until then.

        After `close` whoever asks is cancelled: a connection that is opened then would never be closed.
        """
        if self._is_closed:
            work.close()
            raise asyncio.CancelledError
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, since whoever asked may be gone

    async def settle(self) -> None:
        """Wait until no transaction is under way."""
        while self._under_way:
            await asyncio.wait(self._under_way)


def whole(method: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """The method of something with a `_database`, seen through to its end when whoever called it is cancelled."""

    @functools.wraps(method)
    async def run(self: Any, *arguments: Any, **named: Any) -> T:
        return await self._database.to_the_end(method(self, *arguments, **named))

    return run


def _is_sqlite(database_url: str) -> bool:
    return database_url.startswith("sqlite")


async def lock_audit(connection: AsyncConnection) -> None:
    """Appending is one at a time until the transaction ends. SQLite's writers are one at a time already."""
    await _lock(connection, _AUDIT_LOCK)


async def lock_alerts(connection: AsyncConnection) -> None:
    """Reports are put together one batch at a time, since two about the same thing must become one alert."""
    await _lock(connection, _ALERTS_LOCK)


async def _lock(connection: AsyncConnection, key: int) -> None:
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def put(connection: AsyncConnection, table: sa.Table, row: Mapping[str, Any]) -> sa.Executable:
    """
    The statement that writes the row, new or in place of the one with its primary key.

    One statement, since between looking and inserting somebody else may insert the same row. Both databases know it.
    """
    return (
        _dialect(connection)
        .insert(table)
        .values(**row)
        .on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=dict(row))
    )


async def put_all(connection: AsyncConnection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows in this order, each new or in place of the one with its primary key. All have the same columns."""
    if rows:
        insert = _dialect(connection).insert(table)
        keys = list(table.primary_key.columns)
        values = {name: insert.excluded[name] for name in rows[0] if name not in table.primary_key.columns}
        kept = insert.on_conflict_do_update(index_elements=keys, set_=values) if values else None
        await connection.execute(
            kept if kept is not None else insert.on_conflict_do_nothing(), [dict(row) for row in rows]
        )


def insert_once(connection: AsyncConnection, table: sa.Table, row: Mapping[str, Any]) -> sa.Executable:
    """The statement that writes the row unless one with its primary key is there."""
    return _dialect(connection).insert(table).values(**row).on_conflict_do_nothing()


def _dialect(connection: AsyncConnection) -> Any:
    return postgresql if connection.dialect.name == "postgresql" else sqlite
