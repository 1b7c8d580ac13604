"""
Drives Microsoft 365 Agents Playground windows in headless Chromium, by what a person sees: names, titles, texts.

How the page (0.2.28) is laid out:

- On the left a list: tree item "Personal Chat", a group chat that the sandbox does not connect, and below "Teams
  Channel" one tree item per channel, "General" and "Approvals", each with the team's name in small. Only the open
  conversation is in the page.
- In a chat the newest message is at the bottom, and one composer below it (an editable `div`, attribute
  `data-lexical-editor`) with the button "Send Message".
- In a channel the newest post is on top. Above it the composer of a new post with the button "Post"; every post has
  its replies under it, then a composer of its own. `@` opens the menu "Typeahead menu", where the bot must be chosen: a
  channel message that does not mention the bot is never sent to it.
- A card is a `div.ac-adaptiveCard` with ordinary buttons and text boxes. An answer that is a text stands in a grey bar
  under the card and empties the card's inputs. A card given in answer to a click replaces it in this window alone.
- On the right is a log, closed here so that its text is not taken for the conversation's.
"""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

PERSONAL_CHAT = "Personal Chat"
APPROVALS = "Approvals"
GENERAL = "General"
BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WINDOW_SIZE = {"width": 1280, "height": 1000}
WAIT_LIMIT_S = 20.0


class NoBrowser(Exception):
    """Chromium is not installed here."""


@dataclass(frozen=True)
class PlaygroundWindow:
    """One open window. Every method names the conversation it means and opens it if another one is open."""

    page: Page

    async def type_message(self, text: str, *, conversation: str = PERSONAL_CHAT) -> None:
        """Type a message and send it; in a channel as a new post that mentions the bot."""
        await self.open_conversation(conversation)
        composer = self.page.locator("[data-lexical-editor=true]").first
        await composer.click()
        if conversation == PERSONAL_CHAT:
            await self.page.keyboard.type(text)
            await self.page.get_by_role("button", name="Send Message").last.click()
            return
        await self.page.keyboard.type("@")
        await self.page.get_by_role("menuitem", name="Unblock").click()
        await self.page.keyboard.type(f" {text}")
        await self.page.get_by_role("button", name="Post", exact=True).click()

    async def see(self, text: str, *, conversation: str = PERSONAL_CHAT, within_s: float = WAIT_LIMIT_S) -> None:
        """Wait until a text is visible in a conversation. Raises: AssertionError after `within_s` seconds."""
        await self.open_conversation(conversation)
        await expect(self.page.get_by_text(text).first).to_be_visible(timeout=within_s * 1000)

    async def see_no_longer(self, text: str, *, conversation: str, within_s: float = WAIT_LIMIT_S) -> None:
        """Wait until a text is nowhere in a conversation. Raises: AssertionError after `within_s` seconds."""
        await self.open_conversation(conversation)
        await expect(self.page.get_by_text(text)).to_have_count(0, timeout=within_s * 1000)

    async def fill_in(self, label: str, value: str, *, conversation: str = PERSONAL_CHAT, card_with: str = "") -> None:
        """Fill in a text box of the newest card (that has the text `card_with`)."""
        card = await self._newest_card(conversation, card_with, has=self.page.get_by_label(label))
        await card.get_by_label(label).fill(value)

    async def press(self, title: str, *, conversation: str = PERSONAL_CHAT, card_with: str = "") -> None:
        """Press a button by its title on the newest card that has it (and has the text `card_with`)."""
        button = self.page.get_by_role("button", name=title, exact=True)
        card = await self._newest_card(conversation, card_with, has=button)
        await card.get_by_role("button", name=title, exact=True).click(timeout=WAIT_LIMIT_S * 1000)

    async def take_screenshot(self, path: Path) -> None:
        """Save what the window shows as PNG."""
        await self.page.screenshot(path=path, animations="disabled")

    async def open_conversation(self, conversation: str) -> None:
        """Open a chat or channel, unless it is open already."""
        item = self.page.get_by_role("treeitem", name=conversation)
        if await item.get_attribute("data-driver-open") == "yes":
            return
        await item.click()
        await self.page.evaluate(_MARK_OPEN, conversation)
        await expect(self.page.locator("[data-lexical-editor=true]").first).to_be_visible(timeout=WAIT_LIMIT_S * 1000)

    async def _newest_card(self, conversation: str, text: str, *, has: Locator) -> Locator:
        await self.open_conversation(conversation)
        cards = self.page.locator(".ac-adaptiveCard").filter(has_text=text, has=has)
        newest = cards.last if conversation == PERSONAL_CHAT else cards.first
        await newest.wait_for(timeout=WAIT_LIMIT_S * 1000)
        return newest


#: Remembers in the page which conversation the driver opened last, as the page itself does not say.
_MARK_OPEN = """
(name) => document.querySelectorAll('[role=treeitem]').forEach((item) => {
  item.dataset.driverOpen = item.textContent.includes(name) ? 'yes' : 'no';
})
"""


def chromium_path() -> str:
    """Where Chromium is. Raises: NoBrowser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise NoBrowser("Install Chromium to run the browser tests")
    return path


@asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Headless Chromium, closed at the end."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=BROWSER_OPTIONS, headless=True)
        try:
            yield browser
        finally:
            await browser.close()


async def open_window(browser: Browser, address: str) -> PlaygroundWindow:
    """Open a Playground at its address (`OpenWindow.address`) and wait until it is ready, with its log put away."""
    page = await browser.new_page(viewport=WINDOW_SIZE)
    await page.goto(address)
    await page.get_by_role("treeitem", name=PERSONAL_CHAT).wait_for(timeout=WAIT_LIMIT_S * 1000)
    await page.get_by_role("button", name="Hide log panel").click()
    return PlaygroundWindow(page)
