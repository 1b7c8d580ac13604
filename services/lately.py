"""Answers that are shared by all who ask at the same moment, and kept for a moment more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class _Asked(Generic[Answer]):
    task: asyncio.Task[Answer]
    asked_at: float

    def serves(self, now: float, kept_s: float) -> bool:
        return not self.task.done() or (now - self.asked_at < kept_s and _succeeded(self.task))


class Lately(Generic[Answer]):
    """
    Many clicks on one card ask the same at once; that is one question, since services limit how often they are asked.

    An answer is good for `kept_s` seconds from when it was asked for; 0 shares a question under way and keeps nothing.
    What failed is asked again.
    """

    def __init__(self, kept_s: float, time: Callable[[], float] = monotonic) -> None:
        self._kept_s = kept_s
        self._time = time
        self._asked: dict[Hashable, _Asked[Answer]] = {}

    async def ask(self, key: Hashable, question: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer to what has this key; raises what `question` raises."""
        now = self._time()
        self._asked = {key: asked for key, asked in self._asked.items() if asked.serves(now, self._kept_s)}
        if key not in self._asked:
            task = asyncio.ensure_future(_answer(question))
            task.add_done_callback(_succeeded)  # also looks at a failure that nobody waits for any more
            self._asked[key] = _Asked(task, now)
        # Who gives up waiting must not take the answer from the others.
        return await asyncio.shield(self._asked[key].task)


async def _answer(question: Callable[[], Awaitable[Answer]]) -> Answer:
    return await question()


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None
