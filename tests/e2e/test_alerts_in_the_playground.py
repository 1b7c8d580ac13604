"""What the bot notices by itself, as the on-call sees it in Microsoft's own client and acts on it there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.sandbox.campaign import nothing_happened
from tests.e2e.conftest import Desk, open_desk
from tests.e2e.playground import APPROVALS, GENERAL

pytestmark = pytest.mark.browser

INTERVAL_S = 1.0


@pytest.fixture
async def quiet_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """In front of a tenant where nothing has happened yet."""
    async with open_desk(tmp_path, before=nothing_happened, watch_interval_seconds=INTERVAL_S, alerts={}) as desk:
        yield desk


async def test_a_block_is_seen_and_its_remediation_started_from_the_card(quiet_desk: Desk, tmp_path: Path):
    """
    Alex reads that Jane may not send, presses Start, Megan approves, and the card in the channel says that it is over.
    """
    await quiet_desk.alex.open_conversation(GENERAL)
    await quiet_desk.teams.switch(block={"address": "jane@contoso.com"})
    await quiet_desk.alex.see("Jane Doe may no longer send mail", conversation=GENERAL, within_s=INTERVAL_S + 5)
    await quiet_desk.alex.take_screenshot(tmp_path / "alert.png")

    await quiet_desk.alex.press("Start remediation", conversation=GENERAL)
    await quiet_desk.megan.press("Approve", conversation=APPROVALS, card_with="Jane Doe")

    await quiet_desk.megan.see("Jane Doe is off the restricted list", conversation=GENERAL)
    await quiet_desk.megan.take_screenshot(tmp_path / "over.png")


async def test_a_campaign_is_one_table_that_can_be_paged(quiet_desk: Desk, tmp_path: Path):
    """
    Twelve at once are one card; the second page shows the rest to whoever turns it.
    """
    await quiet_desk.alex.open_conversation(GENERAL)
    await quiet_desk.teams.switch(block_many={"count": 12})
    await quiet_desk.alex.see("12 alerts within minutes", conversation=GENERAL)
    await quiet_desk.alex.take_screenshot(tmp_path / "digest.png")

    await quiet_desk.alex.press("Next page", conversation=GENERAL)

    await quiet_desk.alex.see("11 to 12 of 12", conversation=GENERAL)
    await quiet_desk.alex.take_screenshot(tmp_path / "second_page.png")
