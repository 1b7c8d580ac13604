"""Cards that went astray: a question whose post is out of reach, and a post whose answer was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.world import Teams, words, world


@pytest.fixture
async def teams(tmp_path: Path) -> AsyncIterator[Teams]:
    async with world(tmp_path, f"sqlite:///{tmp_path}/unblock.db") as teams:
        yield teams


async def test_an_approver_can_call_the_open_question_up(teams: Teams) -> None:
    """
    The post in the channel is out of reach: `status jane` gives Megan the question with buttons, Alex the list alone.
    """
    await teams.say("alex", "unblock jane")
    await teams.card("approvals", "Approve")

    await teams.say("alex", "status jane")
    assert not [m for m in await teams.messages("alex") if "Unblock Jane Doe?" in words(m.get("card"))]
    await teams.say("megan", "status jane")
    question = [m for m in await teams.messages("megan") if "Unblock Jane Doe?" in words(m.get("card"))][-1]
    await teams.click("megan", "approve", activity_id=question["activity_id"])

    await teams.card("alex", "is unblocked")


async def test_a_card_whose_posting_was_never_confirmed_follows_again(teams: Teams) -> None:
    """
    Teams took the prompt and its answer was lost: the click on it counts, and from then on it is edited like any other.
    """
    await teams.teams_fault(operation="create", status=502, lost_answer=True, times=1)
    await teams.say("alex", "unblock jane")
    prompt = await teams.card("approvals", "Approve")

    await teams.click("megan", "approve", activity_id=prompt["activity_id"])

    await teams.card("alex", "is unblocked")
    await teams.card("approvals", "Approved")
