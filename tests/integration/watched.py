"""A tenant on a good day, Teams, and a bot that keeps an eye on it: for tests of what it notices by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from app import running
from services.alerts.model import Alert, AlertKind, SourceName
from services.audit import Tag
from services.sandbox.campaign import nothing_happened
from services.sandbox.teams import start_teams
from services.sandbox.teams_cards import buttons_of
from services.settings import Settings
from services.store import Store
from tests.integration.world import PATIENCE_S, Card, Teams, free_port, settings_for, words

#: Seconds between two readings.
EVERY_S = 0.3
#: Where alerts go in the sandbox.
CHANNEL = "general"
BLOCKED_LIST, DEFENDER = "Get-BlockedSenderAddress", "security/alerts_v2"
_PAGE = re.compile(r"(\d+) to (\d+) of (\d+)")


class Watched:
    """What people see and do about alerts, the tenant, and what is stored. The bot can be started again."""

    def __init__(self, teams: Teams, settings: Settings) -> None:
        self.teams = teams
        self.tenant = teams.sandbox.sandbox.tenant
        self.settings = settings
        self._bot = AsyncExitStack()
        self.store = Store(settings.database_url.get_secret_value(), self.tenant.clock)

    async def start(self) -> None:
        await self._bot.enter_async_context(running(self.settings, self.tenant.clock))

    async def stop(self) -> None:
        await self._bot.aclose()

    # --- what happens in the tenant ---

    async def block(self, address: str, **more: Any) -> None:
        await self.teams.switch(block={"address": address, **more})

    async def listed(self, address: str, name: str) -> Card:
        """Somebody is blocked, and the card is there, after the list itself has said so and not only Defender."""
        await self.block(address)
        await until(lambda: self._is_listed(address))
        return await self.card(name, "may no longer send mail")

    async def _is_listed(self, address: str) -> bool:
        alerts = [alert for alert in await self.alerts() if address in alert.names]
        return any(report.source is SourceName.RESTRICTED_LIST for alert in alerts for report in alert.reports)

    async def quiet(self, times: int = 2) -> None:
        """Wait until both the restricted list and Defender were read so often again: what was to come has come."""
        for wanted in ({"cmdlet": BLOCKED_LIST}, {"path": DEFENDER}):
            before = len((await self.teams.journal(**wanted))["requests"])
            await until(lambda wanted=wanted, n=before + times: self._was_read(wanted, n))

    async def _was_read(self, wanted: dict[str, str], times: int) -> bool:
        return len((await self.teams.journal(**wanted))["requests"]) >= times

    # --- what stands in the channel ---

    async def card(self, *wanted: str) -> Card:
        """The newest card in the channel that says all of this, once there is one."""
        return await self.teams.card(CHANNEL, lambda text: all(each in text for each in wanted))

    async def cards(self, name: str = "") -> list[Card]:
        """Every card in the channel that names somebody, oldest first."""
        messages = await self.teams.messages(CHANNEL)
        return [message for message in messages if message["card"] and name in words(message["card"])]

    async def press(self, who: str, verb: str, card: Card, **more: Any) -> str:
        """Press a button; what the answer says."""
        reply = await self.teams.click(who, verb, activity_id=card["activity_id"], **more)
        assert reply["status"] == 200, reply
        value = reply["body"]["value"]
        return value if isinstance(value, str) else words(value)

    async def ask(self, who: str, text: str, wanted: str, **more: Any) -> str:
        """Type something in one's own chat; the whole answer that says what is wanted."""
        before = len(await self.teams.messages(who))
        await self.teams.say(who, text, **more)
        said = ""
        async with asyncio.timeout(PATIENCE_S):
            while wanted not in said:
                await asyncio.sleep(0.02)
                messages = (await self.teams.messages(who))[before:]
                said = " | ".join(said_by(message) for message in messages if message["from"] == "bot")
        return said

    async def pages(self, digest: Card, viewer: str = "megan") -> list[str]:
        """All the pages of a digest, as somebody who turns them sees them."""
        first = words(digest["card"])
        place = _PAGE.search(first)
        if place is None:
            return [first]
        count = -(-int(place[3]) // int(place[2]))
        turned = [await self._turned(digest, viewer, page) for page in range(1, count)]
        return [first, *turned]

    async def _turned(self, digest: Card, viewer: str, page: int) -> str:
        changes = {"value": {"action": {"data": {"page": str(page)}}}}
        return await self.press(viewer, "alert_page", digest, changes=changes)

    # --- what is stored ---

    async def alerts(self, *kinds: AlertKind, open_only: bool = True) -> list[Alert]:
        """Alerts as they are stored; without kinds all but what the bot says of itself."""
        alerts = await self.store.alerts.alerts(open_only=open_only)
        return [a for a in alerts if a.kind in kinds or (not kinds and a.kind is not AlertKind.HEALTH)]

    async def alert(self, *kinds: AlertKind, open_only: bool = False) -> Alert:
        """The only one there is."""
        (alert,) = await self.alerts(*kinds, open_only=open_only)
        return alert

    async def tags(self) -> list[Tag]:
        return [entry.tag for entry in await self.store.audit_entries()]


def said_by(message: Card) -> str:
    return words(message["card"]) if message["card"] else str(message["text"])


def verbs(card: Card) -> set[str]:
    """What can be pressed on a card that Teams shows to everybody."""
    return {str(button.action["verb"]) for button in buttons_of(card["card"]) if "verb" in button.action}


async def until(holds: Callable[[], Awaitable[bool]], *, within_s: float = PATIENCE_S) -> None:
    """Look until something is so."""
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.02)


@asynccontextmanager
async def watched(keys: Path, database_url: str, *, started: bool = True, **settings: Any) -> AsyncIterator[Watched]:
    """The whole of it. With `started` false the bot waits for `start`, and nobody has told it where it is installed."""
    async with AsyncExitStack() as closing:
        port = free_port()
        sandbox = await start_teams(keys, bot_endpoint=f"http://127.0.0.1:{port}/api/messages")
        closing.push_async_callback(sandbox.close)
        nothing_happened(sandbox.sandbox.tenant)
        sandbox.sandbox.tenant.switches.throttling = False
        session = await closing.enter_async_context(aiohttp.ClientSession())
        given = {"watch_interval_seconds": EVERY_S, "alerts": {}} | settings
        here = Watched(Teams(session, sandbox), settings_for(sandbox, keys, database_url, port, **given))
        closing.push_async_callback(here.store.close)
        closing.push_async_callback(here.stop)
        if started:
            await here.start()
            await sandbox.relay.announce_when_up()
        yield here
