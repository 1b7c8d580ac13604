"""The hours after an unblock over real HTTP: mail in the tenant's trace, news in Teams. The clock is the test's."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services import follow_up
from services.sandbox.seed import MEGAN
from tests.fakes.sandboxed import FAST
from tests.integration.world import Teams, words, world

HOUR_S = 3600
JANE_UPN = "jane@contoso.com"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Teams]:
    """A tenant in which mail of an unblocked account is refused for ten minutes, and a bot with the same clock."""
    monkeypatch.setattr("services.clients.http.LANES", FAST)
    async with world(keys, f"sqlite:///{tmp_path}/unblock.db", one_clock=True, approvers=MEGAN) as teams:
        await teams.switch(switches={"throttling": False, "sending_delay_s": 600})
        await teams.say("alex", "alerts here", conversation="general")
        yield teams


async def unblocked(teams: Teams) -> str:
    """Jane is unblocked; the id of her case."""
    await teams.say("alex", "unblock jane")
    asked = await teams.card("approvals", "Unblock Jane Doe?")
    await teams.click("megan", "approve", activity_id=asked["activity_id"])
    card = await teams.card("alex", "Jane Doe is unblocked")
    found = re.search(r"Case ([A-Z0-9]{6})", words(card["card"]))
    assert found is not None
    return found[1]


async def later(teams: Teams, case_id: str, **duration: float) -> None:
    """So much later the bot looks again, as it would by itself."""
    await teams.switch(advance_s=duration.get("hours", 0) * HOUR_S + duration.get("minutes", 0) * 60)
    assert follow_up._in_charge is not None
    await follow_up._in_charge.tell(case_id)


def said(card: dict[str, Any]) -> str:
    return words(card["card"])


async def test_the_first_delivered_message_is_told_to_who_asked_and_to_the_user(teams: Teams) -> None:
    """After a refusal that was to be expected; the user is told because somebody wished it."""
    case_id = await unblocked(teams)
    checklist = await teams.card("alex", "Jane Doe is unblocked")
    await teams.click("alex", "tell_user", activity_id=checklist["activity_id"])
    await teams.send(JANE_UPN)
    await later(teams, case_id, minutes=3)
    await teams.card("alex", "expected in the first hour")

    await later(teams, case_id, minutes=10)
    await teams.send(JANE_UPN, subject="At last")
    await later(teams, case_id, minutes=3)

    assert "First delivered message" in said(await teams.card("alex", "Jane Doe can send again"))
    assert case_id not in said(await teams.card("jane", "You can send email again"))
    await teams.card("alex", lambda text: "Step 2" in text and "Jane Doe has been told that mail flows again" in text)


async def test_the_case_closes_when_mail_flows_and_the_unguarded_day_is_over(teams: Teams) -> None:
    """Nobody is asked, and the news that are there say so."""
    case_id = await unblocked(teams)
    await later(teams, case_id, minutes=11)
    await teams.send(JANE_UPN)
    await later(teams, case_id, minutes=3)
    await teams.card("alex", "Jane Doe can send again")
    await later(teams, case_id, hours=24)

    assert "Mail flows again since" in said(await teams.card("alex", "Jane Doe: case closed"))


async def test_the_case_is_shown_from_the_news(teams: Teams) -> None:
    """In a message of its own: the on-call, who has no card of the case, sees it, and the alert stays."""
    case_id = await unblocked(teams)
    await later(teams, case_id, minutes=11)
    await teams.send(JANE_UPN, recipients=150, subject="Payment overdue")
    await later(teams, case_id, minutes=3)
    alert = await teams.card("general", "Jane Doe is sending a lot of mail again")

    await teams.click("megan", "refresh", activity_id=alert["activity_id"])

    shown = await teams.card("general", "Step 2")
    assert case_id in said(shown) and shown["activity_id"] != alert["activity_id"]
    still = await teams.card("general", "Jane Doe is sending a lot of mail again")
    assert alert["activity_id"] == still["activity_id"] and "Contain again" in said(still)


async def test_a_burst_is_answered_from_the_alert(teams: Teams) -> None:
    """Alert in the channel, "Contain again" on it, and a new case that secures the account once more."""
    case_id = await unblocked(teams)
    await later(teams, case_id, minutes=11)
    await teams.send(JANE_UPN, recipients=150, subject="Payment overdue")
    await later(teams, case_id, minutes=3)
    alert = await teams.card("general", "Jane Doe is sending a lot of mail again")
    assert "150 recipients within an hour" in said(alert)

    await teams.click("alex", "contain_again", activity_id=alert["activity_id"])
    asked = await teams.card("approvals", lambda text: "Approve" in text and "Jane Doe" in text)
    assert asked["activity_id"] != alert["activity_id"]
    await teams.card("general", lambda text: "sending a lot of mail again" in text and "Contain again" not in text)


async def test_mail_that_is_refused_for_a_day_needs_microsoft(teams: Teams) -> None:
    """Told after an hour, and to the on-call after 24, with what Microsoft Support has to know."""
    await teams.switch(switches={"sending_delay_s": 48 * HOUR_S})
    case_id = await unblocked(teams)
    await later(teams, case_id, hours=2)
    await teams.send(JANE_UPN)
    await later(teams, case_id, minutes=11)
    assert "5.1.8" in said(await teams.card("alex", "Mail from Jane Doe is still refused"))
    await later(teams, case_id, hours=22)

    told = said(await teams.card("general", "no mail from Jane Doe is proven to get out"))
    assert "Only Microsoft Support can help now" in told
    assert f"{JANE_UPN} was removed from the restricted list" in told


async def test_a_day_without_mail_asks_for_a_test_message(teams: Teams) -> None:
    """Silence is no proof, and no case for Microsoft either."""
    case_id = await unblocked(teams)
    await later(teams, case_id, hours=24.1)
    told = said(await teams.card("general", "no mail from Jane Doe is proven to get out"))

    assert "The message trace shows no mail from the account" in told
    assert "send a test message" in told


async def test_a_trace_that_nobody_may_read_is_not_silence(teams: Teams) -> None:
    """The card says what could not be read, and that nothing is known."""
    case_id = await unblocked(teams)
    await teams.fault("forbidden", {"path_regex": "messageTraces"}, times=-1)
    await later(teams, case_id, hours=24.1)
    told = said(await teams.card("general", "no mail from Jane Doe is proven to get out"))

    assert "The bot lacks the permission ExchangeMessageTrace.Read.All" in told
    assert "whether mail flows is not known" in told
