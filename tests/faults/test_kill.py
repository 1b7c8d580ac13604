"""The bot is killed while the approval waits, and started again: nothing is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from services.sandbox.state import Tenant
from services.sandbox.teams import start_teams
from tests.databases import FreshPostgres
from tests.integration.world import PATIENCE_S, Teams, free_port, words

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.faults


class Bot:
    """`python app.py serve` as a process of its own, as in production."""

    def __init__(self, environment: dict[str, str], log: Path, port: int) -> None:
        self._environment = environment
        self._log = log
        self._port = port
        self._process: asyncio.subprocess.Process | None = None

    def another(self, **settings: str) -> Bot:
        """One more process with the same settings, but for its port and these."""
        port = free_port()
        changed = {f"UNBLOCK_{name.upper()}": value for name, value in (settings | {"port": str(port)}).items()}
        return Bot(self._environment | changed, self._log.with_suffix(f".{port}.log"), port)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._port}/api/messages"

    async def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, str(ROOT / "app.py"), "serve", env=self._environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
            while not await self._is_ready(session):
                assert self._process.returncode is None, self._log.read_text()
                await asyncio.sleep(0.1)

    async def _is_ready(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"http://127.0.0.1:{self._port}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def ended_by_itself(self) -> int:
        """Start a program that is not expected to stay; its exit code."""
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, str(ROOT / "app.py"), "serve", env=self._environment, stdout=log, stderr=log
            )
        return await asyncio.wait_for(process.wait(), PATIENCE_S)

    @property
    def last_line(self) -> str:
        return self._log.read_text().strip().splitlines()[-1]

    async def end(self, number: signal.Signals) -> int:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(number)
        return await asyncio.wait_for(self._process.wait(), PATIENCE_S)


@asynccontextmanager
async def tenant_and_bot(
    folder: Path, database_url: str, before: Callable[[Tenant], None] = lambda tenant: None, **more: str
) -> AsyncIterator[tuple[Teams, Bot]]:
    async with AsyncExitStack() as closing:
        port = free_port()
        sandbox = await start_teams(folder, bot_endpoint=f"http://127.0.0.1:{port}/api/messages")
        closing.push_async_callback(sandbox.close)
        before(sandbox.sandbox.tenant)
        settings = sandbox.settings() | {"port": port, "database_url": database_url, "verify_interval_seconds": 0.2}
        settings |= more
        plain = {name: value if isinstance(value, str) else json.dumps(value) for name, value in settings.items()}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UNBLOCK_")}
        environment |= {f"UNBLOCK_{name.upper()}": value for name, value in plain.items()}
        bot = Bot(environment, folder / "bot.log", port)
        await bot.start()
        closing.push_async_callback(bot.end, signal.SIGKILL)
        await sandbox.relay.announce_when_up()
        session = await closing.enter_async_context(aiohttp.ClientSession())
        yield Teams(session, sandbox), bot


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_an_old_card_works_after_a_restart(tmp_path: Path, database_url: str, number: signal.Signals) -> None:
    """
    Megan's click on the card from before is obeyed, every card is brought up to date, each action runs once.
    """
    async with tenant_and_bot(tmp_path, database_url) as (teams, bot):
        await teams.say("alex", "unblock jane")
        prompt = await teams.card("approvals", "Approve")
        await teams.card("alex", "Waiting")

        await bot.end(number)
        await bot.start()

        answer = await teams.click("megan", "approve", activity_id=prompt["activity_id"])
        assert (200, 200) == (answer["status"], answer["body"]["statusCode"])
        await teams.card("alex", "is unblocked")
        await teams.card("approvals", "Approved")
        changes = [change["action"] for change in await teams.changes()]
        assert {"inbox rule disabled": 2} == {name: n for name, n in Counter(changes).items() if n > 1}  # Jane has two
        assert changes.index("sign-in sessions revoked") < changes.index("unblock requested")


async def test_a_kill_in_the_middle_of_the_containment_loses_nothing(tmp_path: Path, database_url: str) -> None:
    """
    Killed while the mailbox is being changed: the next start goes on, unblocks once, and every card follows.
    """
    async with tenant_and_bot(tmp_path, database_url) as (teams, bot):
        await teams.say("alex", "unblock jane")
        prompt = await teams.card("approvals", "Approve")
        await teams.fault(match={"cmdlet": "Set-Mailbox"}, kind="slow", seconds=3, times=1)
        await teams.click("megan", "approve", activity_id=prompt["activity_id"])
        async with asyncio.timeout(PATIENCE_S):
            while "inbox rule disabled" not in [change["action"] for change in await teams.changes()]:
                await asyncio.sleep(0.05)

        await bot.end(signal.SIGKILL)
        await bot.start()

        done = await teams.card("alex", "is unblocked")
        assert "Reset the password" in words(done["card"])
        changes = [change["action"] for change in await teams.changes()]
        assert (1, 1) == (changes.count("unblock requested"), changes.count("password reset"))


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with FreshPostgres() as url:
        yield url


@pytest.mark.postgres
async def test_a_second_replica_takes_the_cases_of_a_dead_one_over(tmp_path: Path, postgres_url: str) -> None:
    """
    Two replicas on PostgreSQL: the one that waits for the approval is killed, the other obeys the click and finishes.
    """
    async with tenant_and_bot(tmp_path, postgres_url) as (teams, first):
        second = first.another(replica_id="second")
        await second.start()
        try:
            await teams.say("alex", "unblock jane")
            prompt = await teams.card("approvals", "Approve")
            await first.end(signal.SIGKILL)
            teams.sandbox.relay.door.endpoint = second.endpoint

            await teams.click("megan", "approve", activity_id=prompt["activity_id"])

            await teams.card("alex", "is unblocked")
            changes = [change["action"] for change in await teams.changes()]
            assert (1, 1) == (changes.count("unblock requested"), changes.count("password reset"))
        finally:
            await second.end(signal.SIGKILL)


async def test_two_programs_cannot_run_under_one_name(tmp_path: Path, database_url: str) -> None:
    """
    A second replica with the name of a living one would run its cases twice, so it refuses to start.
    """
    async with tenant_and_bot(tmp_path, database_url) as (_, first):
        second = first.another()

        assert 2 == await second.ended_by_itself()
        assert second.last_line.startswith("replica_id: a replica called 'unblock' is running")
