"""
A campaign takes many accounts within a minute, Teams is short of breath, and the bot is killed in the middle: every
account is told of, none twice, and each can be started.
"""

from __future__ import annotations

import json
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.alerts.model import Alert
from services.clock import SystemClock
from services.sandbox.campaign import nothing_happened
from services.store import Store
from tests.conftest import FreshPostgres
from tests.faults.test_kill import Bot, tenant_and_bot
from tests.integration.watched import Watched, until
from tests.integration.world import Card, Teams, words

pytestmark = pytest.mark.faults

#: What Teams says to calls along the way: status, how many fitting calls go through first, how often, and more.
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 412, "operation": "create", "times": 1},
    {"status": 429, "operation": "create", "times": 2, "retry_after_s": 1},
    {"status": 412, "operation": "put", "skip": 1, "times": 2},
    {"status": 429, "operation": "put", "skip": 3, "times": 2, "retry_after_s": 2},
    {"status": 502, "operation": "put", "skip": 5, "times": 2},
    {"status": 504, "operation": "put", "skip": 7, "times": 1, "lost_answer": True},
)
#: Accounts blocked, within how many seconds, and how often the lists are read: a minute is usual, this is quicker.
SIZES = [(100, 10.0, "1"), pytest.param((1000, 50.0, "10"), marks=pytest.mark.slow)]
_ADDRESS = re.compile(r"sender\d{4}@contoso\.com")
#: How long all of it may take.
PATIENCE_S = 300.0


class Flooded(Watched):
    """The same view of things, with a bot that is a process of its own."""

    def __init__(self, teams: Teams, store: Store) -> None:
        self.teams, self.store, self.tenant = teams, store, teams.sandbox.sandbox.tenant

    async def everybody_is_told_of(self, count: int) -> bool:
        """Whether there are so many alerts, each on a card that is out there and shows how things stand now."""
        alerts = await self.alerts()
        if len(alerts) != count or await self.store.alerts.outdated_copies():
            return False
        out = [await self._is_out(digest_id, alert_id) for digest_id, alert_id in _places(alerts)]
        return all(out) and all(alert.posted_at for alert in alerts)

    async def _is_out(self, digest_id: str | None, alert_id: str) -> bool:
        store = self.store.alerts
        copies = await (store.copies_of_digest(digest_id) if digest_id else store.copies_of_alert(alert_id))
        return any(copy.activity_id for copy in copies)

    async def shown(self) -> Counter[str]:
        """How often each account stands on a card, all pages turned."""
        pages = [page for card in await self.cards() for page in await self.pages(card)]
        # A name may be an address as well, so a row counts once.
        return Counter(address for page in pages for address in set(_ADDRESS.findall(page)))

    async def start_alert(self, alert_id: str) -> str:
        """Press the button in the row of this account, whichever page of whichever digest it stands on."""
        alert = await self.store.alerts.alert(alert_id)
        card = await self._card_of(alert.digest_id, alert.about)
        changes = {"value": {"action": {"data": {"alert": alert_id}}}}
        return await self.press("alex", "alert_start", card, changes=changes)

    async def _card_of(self, digest_id: str | None, about: str) -> Card:
        cards = await self.cards()
        return next(
            card for card in cards if (digest_id and digest_id in json.dumps(card["card"])) or about in words(card)
        )

    def refused(self) -> list[int]:
        """The status of every call to Teams that was not taken."""
        calls = self.teams.sandbox.sandbox.journal.requests(service="teams")
        return [call.status for call in calls if call.status >= 400]


@pytest.fixture
def postgres_url() -> Iterator[str]:
    with FreshPostgres() as url:
        yield url


@asynccontextmanager
async def flooded(folder: Path, database_url: str, interval_s: str = "1") -> AsyncIterator[tuple[Flooded, Bot]]:
    more = {"watch_interval_seconds": interval_s}
    async with tenant_and_bot(folder, database_url, before=nothing_happened, **more) as (teams, bot):
        store = Store(database_url, SystemClock())
        try:
            yield Flooded(teams, store), bot
        finally:
            await store.close()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: str(size[0]))
async def test_a_flood_arrives_complete_whatever_teams_says(
    tmp_path: Path, database_url: str, size: tuple[int, float, str]
) -> None:
    """
    Within Teams' limits, with its refusals waited out and a kill in between: everybody once, and each can be started.
    """
    count, over_s, interval_s = size
    async with flooded(tmp_path, database_url, interval_s) as (here, bot):
        for fault in FAULTS:
            await here.teams.teams_fault(**fault)
        started = time.monotonic()
        await here.teams.switch(block_many={"count": count, "over_s": over_s})
        await until(lambda: _half_is_known(here, count))
        await bot.end(signal.SIGKILL)
        await bot.start()
        await until(lambda: here.everybody_is_told_of(count), within_s=PATIENCE_S)
        took_s = time.monotonic() - started

        await here.quiet()  # The start that the list tells takes the place of Defender's, and rows change their places.
        shown = await here.shown()
        cards = await here.cards()
        largest = max(len(json.dumps(card["card"]).encode()) for card in cards)
        print(
            f"{count} blocks within {over_s:.0f} s: all told after {took_s:.1f} s, {len(cards)} cards, {largest} bytes"
        )
        assert {f"sender{number:04}@contoso.com" for number in range(1, count + 1)} == set(shown)
        assert {1} == set(shown.values())
        assert largest <= 28 * 1024
        # Teams refused what it was ordered to refuse, and never because of the pace.
        ordered = Counter({status: sum(f["times"] for f in FAULTS if f["status"] == status) for status in (412, 429)})
        assert all(Counter(here.refused())[status] <= ordered[status] for status in ordered)
        await _each_can_be_started(here, count)


def _places(alerts: Iterable[Alert]) -> set[tuple[str | None, str]]:
    """Every digest once, and every alert that stands in none."""
    return {(alert.digest_id, "" if alert.digest_id else alert.alert_id) for alert in alerts}


async def _half_is_known(here: Flooded, count: int) -> bool:
    return len(await here.alerts()) >= count // 2


async def _each_can_be_started(here: Flooded, count: int) -> None:
    """Each alert is one that a press would start; some of them, from everywhere in the list, are started."""
    alerts = await here.alerts()
    assert len(alerts) == len({alert.about for alert in alerts}) == count
    chosen = sorted(alerts, key=lambda alert: alert.about)[:: max(1, count // 4)]
    for alert in chosen:
        await here.start_alert(alert.alert_id)
        # On a machine that is short of time the answer may be that the card will follow.
        await until(lambda alert=alert: _has_a_case(here, alert.alert_id))
    started = [await here.store.alerts.alert(alert.alert_id) for alert in chosen]
    cases = [await here.store.case(str(alert.case_id)) for alert in started]
    assert len(chosen) == len({case.case_id for case in cases})
    assert [alert.about for alert in chosen] == [case.query.lower() for case in cases]


async def _has_a_case(here: Flooded, alert_id: str) -> bool:
    return (await here.store.alerts.alert(alert_id)).case_id is not None


async def test_a_post_whose_answer_was_lost_is_not_made_again_at_once(tmp_path: Path, database_url: str) -> None:
    """
    Teams took the card and said 504, and the bot was killed: the next start does not post it anew, and goes on.
    """
    async with flooded(tmp_path, database_url) as (here, bot):
        await here.teams.teams_fault(504, "create", lost_answer=True)
        await here.block("omar@contoso.com")
        await here.card("Omar")
        await bot.end(signal.SIGKILL)
        await bot.start()
        await here.block("ines@contoso.com")

        await here.card("Ines")
        assert 1 == len(await here.cards("Omar"))


async def test_a_kill_between_noticing_and_posting_loses_nothing(tmp_path: Path, database_url: str) -> None:
    """
    Killed while Teams let nothing through: the next start posts what waits, once, and says nothing twice.
    """
    async with flooded(tmp_path, database_url) as (here, bot):
        await here.teams.teams_fault(429, "create", times=-1, retry_after_s=1)
        await here.block("omar@contoso.com")
        await until(lambda: _half_is_known(here, 1))
        await bot.end(signal.SIGKILL)
        await here.teams.mend_teams()
        await bot.start()

        await here.card("Omar")
        await here.quiet()
        assert 1 == len(await here.cards("Omar"))


@pytest.mark.postgres
async def test_two_replicas_tell_of_a_block_once(tmp_path: Path, postgres_url: str) -> None:
    """
    Each source is read by one of them; the one that dies is replaced by the other.
    """
    async with flooded(tmp_path, postgres_url) as (here, first):
        second = first.another(replica_id="second")
        await second.start()
        try:
            await here.block("omar@contoso.com")
            await here.card("Omar")
            await first.end(signal.SIGKILL)
            here.teams.sandbox.relay.door.endpoint = second.endpoint
            await here.block("ines@contoso.com")

            await here.card("Ines")
            await here.quiet()
            assert [1, 1] == [len(await here.cards(name)) for name in ("Omar", "Ines")]
        finally:
            await second.end(signal.SIGKILL)
