"""
The card of a check: posted at once, edited while the signals come in, and left alone when the verdict is on it.

Nothing of it is stored. A check that the program did not outlive stays as it is, and its card says to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.activities import Place
from bot.connector import Connector
from cards import compose
from cards.render import render
from services.cases import Case, Subject
from services.checking import CheckAccount, Checks
from services.errors import ServiceError

log = structlog.get_logger()

#: Findings that come in within this time become one edit.
GATHER_S = 0.5


class CheckCards:
    """Posts and edits them. `close` ends what is under way."""

    def __init__(
        self, connector: Connector, checks: Checks, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._connector = connector
        self._checks = checks
        self._sleep = sleep
        self._running: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def follow(self, order: CheckAccount, subject: Subject, place: Place, language: str) -> None:
        """Check the account behind this turn, with a card in the place. Nothing of it reaches the caller."""
        task = asyncio.create_task(self._follow(order, subject, place, language))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _follow(self, order: CheckAccount, subject: Subject, place: Place, language: str) -> None:
        card = _LiveCard(self._connector, place, language, self._sleep)
        editing = asyncio.create_task(card.edit_for_ever())
        try:
            await self._checks.check_account(order, subject, card.changed)
            settled = asyncio.ensure_future(card.settled())
            await asyncio.wait({settled, editing}, return_when=asyncio.FIRST_COMPLETED)
            if settled.cancel():  # the editing ended first, which it only does by a fault
                await editing
        except Exception as error:  # the outermost loop: the card says what to do when it stops moving
            log.exception("check_failed", upn=subject.upn, error=type(error).__name__)
        finally:
            editing.cancel()
            await asyncio.gather(editing, return_exceptions=True)


class _LiveCard:
    """One card that follows a value; what changes while an edit is on its way becomes the next edit."""

    def __init__(
        self, connector: Connector, place: Place, language: str, sleep: Callable[[float], Awaitable[None]]
    ) -> None:
        self._connector = connector
        self._place = place
        self._language = language
        self._sleep = sleep
        self._news = asyncio.Event()
        self._quiet = asyncio.Event()
        self._latest: Case | None = None
        self._activity_id: str | None = None

    async def changed(self, case: Case) -> None:
        self._latest = case
        self._quiet.clear()
        self._news.set()

    async def settled(self) -> None:
        """Until the last change is on the card, or could not be put there."""
        await self._quiet.wait()

    async def edit_for_ever(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            await self._show()
            if not self._news.is_set():
                self._quiet.set()
            await self._sleep(GATHER_S)

    async def _show(self) -> None:
        assert self._latest is not None, "news come with a case"
        shown = render(compose.check(self._latest), self._language)
        try:
            if self._activity_id is None:
                sent = await self._connector.send(self._place, shown.card, summary=shown.summary)
                self._activity_id = sent.activity_id
            else:
                await self._connector.update(self._place, self._activity_id, shown.card, summary=shown.summary)
        except ServiceError as error:
            log.warning("check_card_failed", error=str(error))
