"""Answers that are shared and kept for a moment."""

from __future__ import annotations

import asyncio

import pytest

from services.errors import Unavailable
from services.lately import Lately


class Source:
    """Counts how often it was asked; answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.fault: Exception | None = None
        self.moment = 0.0

    async def __call__(self) -> int:
        self.asked += 1
        await self.may_answer.wait()
        if self.fault is not None:
            raise self.fault
        return self.asked

    def time(self) -> float:
        return self.moment


async def test_many_who_ask_at_once_are_one_question() -> None:
    """
    Also when nothing is kept; another key is another question.
    """
    source = Source()
    lately = Lately[int](0.0, source.time)

    answers = await asyncio.gather(*(lately.ask("a", source) for _ in range(10)), lately.ask("b", source))

    assert ([1] * 10, 2) == (answers[:10], source.asked)


@pytest.mark.parametrize(("kept_s", "later_s", "asked"), [(5.0, 4.9, 1), (5.0, 5.0, 2), (0.0, 0.0, 2)])
async def test_an_answer_is_good_for_its_time(kept_s: float, later_s: float, asked: int) -> None:
    """
    Counted from the question; with nothing kept, not even for the next one.
    """
    source = Source()
    lately = Lately[int](kept_s, source.time)

    await lately.ask("a", source)
    source.moment = later_s
    await lately.ask("a", source)

    assert asked == source.asked


async def test_what_failed_is_asked_again() -> None:
    """
    All who waited are told of the failure; the next one gets an answer.
    """
    source = Source()
    source.fault = Unavailable("graph")
    lately = Lately[int](5.0, source.time)
    failed = await asyncio.gather(*(lately.ask("a", source) for _ in range(3)), return_exceptions=True)
    source.fault = None

    assert [Unavailable] * 3 == [type(failure) for failure in failed]
    assert 2 == await lately.ask("a", source)


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    """
    The first loses patience; the second, who shares the question, is answered.
    """
    source = Source()
    source.may_answer.clear()
    lately = Lately[int](5.0, source.time)
    first = asyncio.create_task(lately.ask("a", source))
    second = asyncio.create_task(lately.ask("a", source))
    await asyncio.sleep(0)

    first.cancel()
    source.may_answer.set()

    assert 1 == await second
    assert first.cancelled() or first.cancelling()
