"""The chart elements of Teams, drawn by Microsoft's own client: lines and bars where others show block characters."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import Desk

pytestmark = pytest.mark.browser


async def test_the_playground_draws_all_three_pictures(desk: Desk, tmp_path: Path):
    """
    Alex presses the button on the checklist, and sees a line, bars and a gauge in a message of their own.
    """
    await desk.alex.type_message("unblock jane")
    await desk.alex.press("Charts")
    await desk.alex.see("Jane Doe in pictures")

    card = desk.alex.page.locator(".ac-adaptiveCard").filter(has_text="Jane Doe in pictures").last
    await expect(card.get_by_text("Hours before (−) and after the block")).to_be_visible()
    await expect(card.get_by_text("Not reached")).to_be_visible()
    await expect(card.locator("svg path").first).to_be_attached()
    await expect(card.get_by_text("▁")).to_have_count(0)
    await card.screenshot(path=tmp_path / "pictures.png", animations="disabled")
