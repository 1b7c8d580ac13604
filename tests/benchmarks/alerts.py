"""
From a block in the tenant to the card in Teams, and what a peer needs that polls every 30 minutes.

The bot is `app.py serve` in a process of its own. Blocks fall evenly over the time between two readings of the
restricted list, which is what chance does to them. The peer is not run: it is reckoned as it describes itself, a look
every 30 minutes whose text is there at once, for blocks that fall into its interval at the same share of it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.sandbox.campaign import block_many, nothing_happened
from services.sandbox.teams import TeamsSandbox, start_teams
from services.sandbox.teams_history import Message
from tests.benchmarks.figures import Figure, figure, ratio
from tests.benchmarks.main_job import serve, stop
from tests.integration.world import free_port, words

INTERVAL_S = 4.0
GROUP = f"Alerts: the bot in a process of its own, lists read every {INTERVAL_S:.0f} s"
#: At which share of the time between two readings a block falls.
SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
#: How many are blocked at once in the end.
MANY = 100
#: How often the bot reads its lists unless told otherwise, and how often the peer does.
DEFAULT_INTERVAL_S, PEERS_INTERVAL_S = 60.0, 30 * 60.0
LOOK_EVERY_S = 0.01
PATIENCE_S = 60.0
PREFIX = "campaign"


@dataclass(frozen=True)
class Run:
    """One block: at which share of the interval, until the card, and how much of that after the list was read."""

    share: float
    card_s: float
    own_s: float


async def measure(folder: Path) -> list[Figure]:
    """Times of single blocks, the same against the peer, and of many blocks at once."""
    async with _bot(folder) as alerts:
        await alerts.run(0.5)  # The first one pays for templates and connections.
        runs = [await alerts.run(share) for share in SHARES]
        many_s = await alerts.many()
    ours = [DEFAULT_INTERVAL_S * (1 - run.share) + run.own_s for run in runs]
    theirs = [PEERS_INTERVAL_S * (1 - run.share) for run in runs]
    return [
        figure(GROUP, "block to card", [run.card_s for run in runs], "s", f"at most {INTERVAL_S + 2:.0f} s"),
        figure(GROUP, "of that, after the list was read", [run.own_s for run in runs], "s", "at most 2 s"),
        figure(GROUP, f"{MANY} blocks at once until all are on cards", [many_s], "s"),
        figure(GROUP, f"block to card, reckoned for the default of {DEFAULT_INTERVAL_S:.0f} s", ours, "s"),
        figure(GROUP, "block to text of a peer that polls every 30 minutes, reckoned", theirs, "s"),
        ratio(GROUP, "the peer's time / ours", theirs, ours),
    ]


class Blocks:
    """Blocks accounts that nobody knows yet, and waits for the cards about them."""

    def __init__(self, sandbox: TeamsSandbox) -> None:
        self._tenant, self._relay, self._journal = sandbox.sandbox.tenant, sandbox.relay, sandbox.sandbox.journal
        self._blocked = 0

    async def run(self, share: float) -> Run:
        """Block one account at this share of the interval."""
        await asyncio.sleep(max(0.0, await self._next_reading() + share * INTERVAL_S - time.time()))
        blocked_at, name = datetime.now(UTC), self._block(1)[0]
        card = await self._card(name)
        reading = min(at for at in self._readings() if at > blocked_at)
        return Run(share, (card - blocked_at).total_seconds(), (card - reading).total_seconds())

    async def many(self) -> float:
        """Seconds from many blocks at once until every one of them is on a card or counted by one."""
        started, messages = time.monotonic(), len(self._messages())
        self._block(MANY)
        async with asyncio.timeout(PATIENCE_S):
            while f"{MANY} " not in " ".join(words(one.card) for one in self._messages()[messages:]):
                await asyncio.sleep(LOOK_EVERY_S)
        return time.monotonic() - started

    def _block(self, count: int) -> list[str]:
        """Each time under other names, so that every block is news; Defender is silent, so the list has to tell."""
        self._blocked += 1
        return block_many(self._tenant, {"count": count, "prefix": f"{PREFIX}{self._blocked}x", "alerts": False})

    async def _next_reading(self) -> float:
        """When the list is read the next time after now; seconds since 1970."""
        known = len(self._readings())
        async with asyncio.timeout(PATIENCE_S):
            while len(self._readings()) == known:
                await asyncio.sleep(LOOK_EVERY_S)
        return self._readings()[-1].timestamp()

    def _readings(self) -> list[datetime]:
        """When the whole list was read."""
        return [
            one.at for one in self._journal.requests(cmdlet="Get-BlockedSenderAddress") if _is_whole(one.parameters)
        ]

    async def _card(self, address: str) -> datetime:
        """When the first card about this address was posted."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for message in self._messages():
                    if address in words(message.card):
                        return message.posted_at
                await asyncio.sleep(LOOK_EVERY_S)

    def _messages(self) -> list[Message]:
        return self._relay.history.within(self._relay.directory.general_id)


def _is_whole(parameters: Any) -> bool:
    return not (parameters or {}).get("SenderAddress")


@asynccontextmanager
async def _bot(folder: Path) -> AsyncIterator[Blocks]:
    async with AsyncExitStack() as closing:
        port = free_port()
        sandbox = await start_teams(folder, bot_endpoint=f"http://127.0.0.1:{port}/api/messages")
        closing.push_async_callback(sandbox.close)
        nothing_happened(sandbox.sandbox.tenant)
        more = {
            "port": port,
            "database_url": f"sqlite:///{folder}/alerts.db",
            "watch_interval_seconds": INTERVAL_S,
            "replica_id": "alerts",
            # The measured blocks come within a minute, and each is to have a card of its own.
            "alerts": json.dumps({"digest_from": 2 * len(SHARES)}),
        }
        process = await serve(sandbox.settings() | more, folder)
        closing.push_async_callback(stop, process)
        async with asyncio.timeout(PATIENCE_S):
            await sandbox.relay.announce_when_up()
        yield Blocks(sandbox)
