"""
Which replicas are alive, and what becomes of the work of one that is not.

A replica holds a lock under its own name for as long as it lives: an advisory lock on PostgreSQL, a locked file beside
an SQLite database. So no two programs can run under one name, which would make DBOS run the same case twice, and
whoever gets another replica's lock knows that it is dead and takes its unfinished cases over.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO

import psycopg
import structlog
from dbos import DBOS

from services.errors import SettingsError

log = structlog.get_logger()

#: How often a replica looks for dead ones and makes sure of its own lock.
LOOK_EVERY_S = 10.0

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"
#: Any query: it shows whether the connection that holds our lock is still there.
_STILL_THERE = "SELECT true"


class Replica:
    """This program among its replicas. `claim` before DBOS is set up, `watch` while it runs, `release` at the end."""

    def __init__(
        self,
        database_url: str,
        replica_id: str,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = database_url
        self._replica_id = replica_id
        self._sleep = sleep
        self._connection: psycopg.AsyncConnection | None = None
        self._file: IO[str] | None = None

    async def claim(self) -> None:
        """Take the lock of our own name. Raises SettingsError when a program with this name is running."""
        taken = self._claim_file() if self._url.startswith("sqlite") else await self._claim_postgres()
        if not taken:
            problem = f"a replica called {self._replica_id!r} is running on this database; give each its own name"
            raise SettingsError(("replica_id", problem))

    async def release(self) -> None:
        if self._connection is not None:
            await self._connection.close()
        if self._file is not None:
            self._file.close()

    async def watch(self, lost: Callable[[], None]) -> None:
        """
        Look for dead replicas for ever, and call `lost` once when our own lock is gone and somebody else has it: our
        cases are then being taken over, so we must stop. Does nothing on SQLite, where there is one program only.
        """
        while self._connection is not None:
            try:
                await self._take_over()
            except psycopg.OperationalError as error:
                log.warning("replica_connection_lost", error=str(error).strip())
                if await self._is_lost():
                    lost()
                    return
            except Exception as error:  # the outermost loop: one bad round must not end all that follow
                log.exception("replica_watch_failed", error=type(error).__name__)
            await self._sleep(LOOK_EVERY_S)

    def _claim_file(self) -> bool:
        path = self._url.removeprefix("sqlite:///")
        if path in ("", ":memory:"):
            return True
        self._file = Path(f"{path}.lock").open("w")  # Held open until release.
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    async def _claim_postgres(self) -> bool:
        self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        return await self._got(_LOCK, self._replica_id)

    async def _is_lost(self) -> bool:
        """Whether our lock went to somebody else while the connection was away. Unknown is not lost: try again."""
        try:
            return not await self._claim_postgres()
        except psycopg.OperationalError:
            return False

    async def _take_over(self) -> None:
        pending = await DBOS.list_workflows_async(status="PENDING", load_input=False, load_output=False)
        cases: dict[str, list[str]] = {}
        for workflow in pending:
            if workflow.executor_id and workflow.executor_id != self._replica_id:
                cases.setdefault(workflow.executor_id, []).append(workflow.workflow_id)
        await self._got(_STILL_THERE)
        for other, case_ids in cases.items():
            if await self._got(_LOCK, other):
                await self._resume(other, case_ids)

    async def _resume(self, other: str, case_ids: list[str]) -> None:
        try:
            for case_id in case_ids:
                await DBOS.resume_workflow_async(case_id)
            log.warning("replica_taken_over", replica=other, cases=case_ids)
        finally:
            await self._got(_UNLOCK, other)

    async def _got(self, statement: str, name: str | None = None) -> bool:
        assert self._connection is not None
        cursor = await self._connection.execute(statement, (f"unblock:{name}",) if name else None)
        row = await cursor.fetchone()
        return bool(row and row[0])
