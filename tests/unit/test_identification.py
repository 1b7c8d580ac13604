"""Who was meant, and what is said when nobody was."""

from __future__ import annotations

import pytest

from services.errors import NotFound, Rejected, Unavailable
from services.identification import identify
from tests.fakes.people import JANE, FakeDirectory
from tests.fakes.tools import FakeExchange


async def refuses(_: str) -> object:
    raise Rejected("graph", code="Request_UnsupportedQuery", status=400)


async def test_a_way_of_looking_that_is_not_supported_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Not every directory understands every filter.
    """
    directory = FakeDirectory()
    monkeypatch.setattr(directory, "by_address", refuses)

    assert JANE.subject() == (await identify("jane", directory, FakeExchange())).subject


async def test_nobody_is_not_said_when_a_way_of_looking_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Not having been able to look is not the same as having found nobody.
    """
    directory = FakeDirectory()
    monkeypatch.setattr(directory, "by_address", refuses)

    with pytest.raises(Rejected):
        await identify("zorro", directory, FakeExchange())


async def test_a_directory_without_a_recycle_bin_still_knows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Looking among the deleted only makes the answer better.
    """
    directory = FakeDirectory()

    async def missing(_: str) -> object:
        raise NotFound("graph")

    monkeypatch.setattr(directory, "deleted_users", missing)

    assert "outcome.nobody" == (await identify("zorro", directory, FakeExchange())).refusal.key


async def test_a_directory_that_is_down_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A fault that passes is no missing filter: the next way might find somebody else.
    """
    directory = FakeDirectory()

    async def down(_: str) -> object:
        raise Unavailable("graph")

    monkeypatch.setattr(directory, "by_address", down)

    with pytest.raises(Unavailable):
        await identify("jane", directory, FakeExchange())
