"""
Everything real on loopback: the sandbox tenant, its Azure Bot Service and Teams, and the bot in this process.

People speak and press through the sandbox's control routes, as a browser would; what they see is read from there too.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from app import running
from services.alerts.model import SourceName
from services.sandbox.state import Tenant
from services.sandbox.teams import TeamsSandbox, start_teams
from services.settings import Settings, load_settings
from tests.databases import prepared_sqlite

#: Long enough for a slow machine, short enough to fail a test that would hang.
PATIENCE_S = 60.0

Card = dict[str, Any]


class Teams:
    """What people do and see, by the sandbox's control routes."""

    def __init__(self, session: aiohttp.ClientSession, sandbox: TeamsSandbox) -> None:
        self.sandbox = sandbox
        self._session = session
        self._base = f"{sandbox.http_origin}/_sandbox"

    async def say(self, who: str, text: str, conversation: str = "personal", **more: Any) -> Any:
        return await self._post("teams/say", {"as": who, "conversation": conversation, "text": text, **more})

    async def click(self, who: str, verb: str, **more: Any) -> Any:
        return await self._post("teams/click", {"as": who, "verb": verb, **more})

    async def messages(self, place: str) -> list[dict[str, Any]]:
        """Everything in a channel ("approvals", "general") or in somebody's chat ("alex"), oldest first."""
        async with self._session.get(f"{self._base}/teams/conversations/{place}/activities") as got:
            assert got.status == 200, await got.text()
            return (await got.json())["value"]

    async def card(self, place: str, wanted: Callable[[str], bool] | str) -> Card:
        """The newest message there whose card says so, once there is one."""
        fits = (lambda text: wanted in text) if isinstance(wanted, str) else wanted
        last = ""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    for message in reversed(await self.messages(place)):
                        last = words(message.get("card")) or last
                        if message.get("card") and fits(words(message["card"])):
                            return message
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"no card in {place} says {wanted!r}; one of them says: {last}") from None

    async def journal(self, **filters: str) -> list[dict[str, Any]]:
        async with self._session.get(f"{self._base}/journal", params=filters) as got:
            assert got.status == 200, await got.text()
            return await got.json()

    async def changes(self) -> list[dict[str, Any]]:
        """What was changed in the tenant, in order."""
        return (await self.journal())["changes"]

    async def fault(self, kind: str, match: dict[str, str] | None = None, **more: Any) -> None:
        """Let Graph, Exchange or the login misbehave, once unless `times` says how often (-1: for ever)."""
        await self._post("faults", {"kind": kind, "match": match or {}, **more})

    async def mend(self) -> None:
        """Graph, Exchange and the login work again."""
        async with self._session.delete(f"{self._base}/faults") as got:
            assert got.status == 204, await got.text()

    async def teams_fault(self, status: int, operation: str, **more: Any) -> None:
        """Let the Bot Connector refuse calls, once unless `times` says how often."""
        await self._post("teams/faults", {"status": status, "operation": operation, **more})

    async def mend_teams(self) -> None:
        """The Bot Connector works again."""
        async with self._session.delete(f"{self._base}/teams/faults") as got:
            assert got.status == 200, await got.text()

    async def remove(self, conversation: str, **more: Any) -> None:
        """Take the bot out of a conversation; `back` puts it back, `silently` does not tell it."""
        await self._post("teams/remove", {"conversation": conversation, **more})

    async def switch(self, **order: Any) -> None:
        """Change the tenant; the keys are those of the sandbox's control route `state`."""
        await self._post("state", order)

    async def send(self, upn: str, **order: Any) -> dict[str, int]:
        """Let an account send mail now: `recipients` (a number or addresses), `subject`, `messages`."""
        return await self._post("send", {"upn": upn, **order})

    async def knock(self, activity: dict[str, Any], token: str | None) -> int:
        """Send an activity to the bot past Azure Bot Service; the HTTP status of its answer."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.post(self.sandbox.relay.door.endpoint, json=activity, headers=headers) as got:
            return got.status

    async def _post(self, route: str, body: dict[str, Any]) -> Any:
        async with self._session.post(f"{self._base}/{route}", json=body) as got:
            assert got.status < 300, f"{route}: {got.status} {await got.text()}"
            return await got.json()


def words(card: Any) -> str:
    """Every text of a card, in reading order."""
    if isinstance(card, dict):
        own = [card[key] for key in ("text", "title", "label", "value") if isinstance(card.get(key), str)]
        return " | ".join(own + [said for value in card.values() if (said := words(value))])
    if isinstance(card, list):
        return " | ".join(said for value in card if (said := words(value)))
    return ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


#: Most tests are about one case: nobody is to look into the thirty other accounts that are blocked in the tenant.
UNWATCHED: dict[str, Any] = {"off": [name.value for name in SourceName]}


def settings_for(sandbox: TeamsSandbox, folder: Path, database_url: str, port: int, **more: Any) -> Settings:
    """The settings of a bot beside this sandbox; nothing is watched unless `alerts` says otherwise."""
    plain = dict(sandbox.settings())
    plain |= {"host": "127.0.0.1", "port": port, "public_url": f"http://127.0.0.1:{port}"}
    plain |= {"database_url": database_url, "verify_interval_seconds": 0.2, "alerts": UNWATCHED} | more
    return load_settings(**plain)


@asynccontextmanager
async def world(
    folder: Path,
    database_url: str,
    *,
    one_clock: bool = False,
    before: Callable[[Tenant], None] = lambda tenant: None,
    **more: Any,
) -> AsyncIterator[Teams]:
    """
    Sandbox and bot, joined, with the bot installed in the team and in the chats.

    With `one_clock` the bot's cases live by the clock of the tenant, which `switch(advance_s=...)` pushes ahead. What
    is to be so in the tenant before the bot first looks at it, `before` does.
    """
    async with AsyncExitStack() as closing:
        port = free_port()
        sandbox = await start_teams(folder, bot_endpoint=f"http://127.0.0.1:{port}/api/messages")
        closing.push_async_callback(sandbox.close)
        before(sandbox.sandbox.tenant)
        session = await closing.enter_async_context(aiohttp.ClientSession())
        clock = sandbox.sandbox.tenant.clock if one_clock else None
        database = Path(database_url.removeprefix("sqlite:///"))
        if database_url.startswith("sqlite") and not database.exists():
            prepared_sqlite(database)
        settings = settings_for(sandbox, folder, database_url, port, **more)
        await closing.enter_async_context(running(settings, clock))
        await sandbox.relay.announce_when_up()
        yield Teams(session, sandbox)
