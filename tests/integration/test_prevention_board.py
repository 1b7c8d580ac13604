"""Prevention over real HTTP: the lists, owners, dates, ticks, fixes and reminders, as people meet them in Teams."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services import follow_up
from services.sandbox.seed import ALEX, JANE, MEGAN
from tests.fakes.sandboxed import FAST
from tests.integration.world import Teams, words, world

WEEK_S = 7 * 24 * 3600


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Teams]:
    """A tenant and a bot with one clock. Jane is a requester too, so that she may read cases, but not her own."""
    monkeypatch.setattr("services.clients.http.LANES", FAST)
    people = {"approvers": MEGAN, "requesters": f"{ALEX},{JANE}"}
    async with world(keys, f"sqlite:///{tmp_path}/unblock.db", one_clock=True, **people) as teams:
        await teams.switch(switches={"throttling": False})
        await teams.say("megan", "alerts here", conversation="general")
        yield teams


async def the_list(teams: Teams, who: str = "alex", about: str = "") -> dict[str, Any]:
    """Somebody asks for a list; the card once everything on it was read."""
    await teams.say(who, f"prevention {about}")
    return await teams.card(who, lambda said: "Prevention for" in said and "Checked " in said)


async def unblocked(teams: Teams) -> dict[str, Any]:
    """Alex's checklist of Jane, who is unblocked, with step 3 read."""
    await teams.say("alex", "unblock jane")
    asked = await teams.card("approvals", "Unblock Jane Doe?")
    await teams.click("megan", "approve", activity_id=asked["activity_id"])
    return await teams.card("alex", lambda said: "Jane Doe is unblocked" in said and "Show the whole list" in said)


async def press(teams: Teams, who: str, verb: str, card: dict[str, Any], **inputs: str) -> str:
    """What the card says that the click was answered with."""
    reply = await teams.click(who, verb, activity_id=card["activity_id"], inputs=inputs)
    assert reply["status"] == 200, reply
    return words(reply["body"]["value"])


def line(said: str, label: str) -> str:
    """What a card says about one item: from its name to the next but two."""
    return said[said.index(label) :][: len(label) + 400]


async def weeks_later(teams: Teams, card: dict[str, Any], weeks: int = 1) -> None:
    """So much later the bot looks again, as it would by itself."""
    found = re.search(r"Case ([A-Z0-9]{6})", words(card["card"]))
    assert found is not None and follow_up._in_charge is not None
    await teams.switch(advance_s=weeks * WEEK_S)
    await follow_up._in_charge.tell(found[1])


async def test_the_organisations_list_is_read_and_posted_live(teams: Teams) -> None:
    """
    Typed by an on-call person: what is open, what is in place, what could not be read, and what the bot could change.
    """
    said = words((await the_list(teams, "megan"))["card"])

    assert "Prevention for the organization" in said
    assert "No automatic forwarding to outside" in said
    assert "no owner" in said
    assert "Block automatic forwarding" in said


async def test_swedish_is_answered_in_swedish(teams: Teams) -> None:
    """
    The command and the list.
    """
    await teams.say("alex", "förebyggande", locale="sv-SE")

    assert await teams.card("alex", "Förebyggande åtgärder för organisationen")


async def test_an_accounts_list_is_opened_from_its_checklist(teams: Teams) -> None:
    """
    The checklist keeps to a few lines and stays what it is; the list comes below it, with Alex as owner.
    """
    checklist = await unblocked(teams)

    assert "Jane Doe is unblocked" in await press(teams, "alex", "prevention", checklist)
    said = words((await teams.card("alex", "Prevention for Jane Doe"))["card"])
    assert re.search(r"Alex Wilber, by \d{4}-\d\d-\d\d", said)
    assert "The whole organization" in said


async def test_an_item_is_taken_on_and_every_copy_says_so(teams: Teams) -> None:
    """
    Megan takes one on in her own chat; the copy in Alex's chat follows.
    """
    await the_list(teams, "alex")
    card = await the_list(teams, "megan")

    told = await press(teams, "megan", "own", card, item="auto_forwarding")

    assert "Megan Bowen" in line(told, "No automatic forwarding to outside")
    assert await teams.card("alex", "Megan Bowen")


async def test_an_item_is_given_to_somebody_until_a_day(teams: Teams) -> None:
    """
    By address, with a date from the calendar.
    """
    await unblocked(teams)
    card = await the_list(teams, "alex", "jane")
    due_on = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    inputs = {"item": "warn_contacts", "owner": "megan@contoso.com", "due_on": due_on}

    assert f"Megan Bowen, by {due_on}" in await press(teams, "alex", "own", card, **inputs)


@pytest.mark.parametrize(
    ("inputs", "complaint"),
    [
        ({"owner": "nobody@contoso.com"}, "Nobody fits"),
        ({"owner": "sam@contoso.com"}, "may not see cases"),
        ({"owner": "adele"}, "Several people fit"),
        ({"due_on": "2001-01-01"}, "no date within"),
    ],
)
async def test_a_wrong_owner_or_date_is_said_on_the_list(teams: Teams, inputs: dict[str, str], complaint: str) -> None:
    """
    The list with its boxes stays, so that only the name or the date has to be typed again.
    """
    card = await the_list(teams)

    told = await press(teams, "alex", "own", card, item="auto_forwarding", **inputs)

    assert complaint in told and "Assign" in told


async def test_a_tick_names_who_and_can_be_taken_back(teams: Teams) -> None:
    """
    What the bot reads itself cannot be ticked, and the answer says what to do instead.
    """
    await unblocked(teams)
    card = await the_list(teams, "alex", "jane")

    assert re.search(r"Done\. Alex Wilber", await press(teams, "alex", "tick", card, item="warn_contacts"))
    assert "Done. Alex Wilber" not in await press(teams, "alex", "untick", card, item="warn_contacts")
    assert "a tick proves nothing" in await press(teams, "alex", "tick", card, item="user_mfa")


async def test_what_is_ticked_is_explained_in_a_message_of_its_own(teams: Teams) -> None:
    """
    Why it matters, how it is checked, and where to read on; without a tick the list asks for one.
    """
    card = await the_list(teams)

    assert "Nothing was ticked" in await press(teams, "alex", "explain", card)
    assert "Assign" in await press(teams, "alex", "explain", card, item="auto_forwarding")
    answer = await teams.card("alex", "Why, and how it is checked | Prevention for the organization")
    assert "No automatic forwarding to outside" in words(answer["card"])


async def test_a_fix_is_approved_by_another_made_and_read_again(teams: Teams) -> None:
    """
    Alex asks, Megan approves; the setting is changed once, and the list shows it as it is now.
    """
    card = await the_list(teams)
    assert "Waits for the on-call" in await press(teams, "alex", "fix", card)
    prompt = await teams.card("approvals", "change one setting?")

    await teams.click("megan", "approve", activity_id=prompt["activity_id"])

    changed = await teams.card("alex", lambda said: "Prevention for" in said and "Proven" in said)
    assert "Waits for the on-call" not in words(changed["card"])
    assert {"outbound policy changed"} == {change["action"] for change in await teams.changes()}


async def test_owners_are_reminded_every_week_and_the_on_call_of_what_nobody_owns(teams: Teams) -> None:
    """
    A week later: Alex in his chat, the organisation's list in the alerts channel. Done, the posted reminder says so.
    """
    organisation = await the_list(teams)
    await unblocked(teams)
    account = await the_list(teams, "alex", "jane")

    await weeks_later(teams, account)
    await weeks_later(teams, organisation, weeks=0)

    assert "overdue since" in words((await teams.card("alex", "waiting for Alex Wilber"))["card"])
    assert "The organization" in words((await teams.card("general", "have no owner"))["card"])


async def test_strangers_see_no_list(teams: Teams) -> None:
    """
    Sam may not read cases, neither by text nor by somebody else's card.
    """
    await the_list(teams)
    await teams.say("sam", "prevention")

    assert await teams.card("sam", "Not possible")
    assert "Prevention for" not in "".join(words(m["card"]) for m in await teams.messages("sam") if m["card"])


async def test_the_subject_does_not_see_what_is_open_on_their_account(teams: Teams) -> None:
    """
    Jane may ask for the organisation's list, but whoever has taken her account over must not read on.
    """
    await unblocked(teams)
    await teams.say("jane", "prevention jane")

    assert await teams.card("jane", "about your own account")
    assert "Prevention for the organization" in words((await the_list(teams, "jane"))["card"])


async def test_an_account_without_a_case_has_no_list(teams: Teams) -> None:
    """
    And is told what to type instead.
    """
    await teams.say("alex", "prevention omar")

    assert await teams.card("alex", "unblock omar")
