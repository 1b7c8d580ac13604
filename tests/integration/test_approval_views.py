"""
What each viewer sees of a question, and what can be answered without its card, over HTTP.

Bot and tenant run as in `test_main_job.py`; a card's own refresh is what Teams sends for those in `userIds`.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.seed import ALEX, INES, MEGAN, SAM
from services.sandbox.teams_directory import Person
from tests.integration.test_main_job import (
    asked,
    case_id_of,
    done,
    in_a_hurry,
    keys,
    press_as_posted,
    quick_world,
    shown,
    still_waits,
    summary_of,
)
from tests.integration.world import PATIENCE_S, Card, Teams, words

__all__ = ["in_a_hurry", "keys"]

#: Two of three must agree; Ines and Megan are asked first, Sam when they do not answer.
TWO_OF_THREE = {
    "approvers": f"{MEGAN},{INES}",
    "approvals": json.dumps({"chain": [[SAM]], "escalate_after_minutes": [10], "rules": [{"approvers": 2}]}),
}


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, in_a_hurry: None) -> AsyncIterator[Teams]:
    async with quick_world(keys, tmp_path, one_clock=True, **TWO_OF_THREE) as teams:
        yield teams


async def view_of(teams: Teams, who: str, prompt: str) -> Card:
    """The card that Teams shows this person after its own refresh."""
    reply = await teams.click(who, "refresh", refresh=True, activity_id=prompt)
    assert reply["status"] == 200, reply
    return reply["body"]["value"]


def verbs(card: Any) -> list[str]:
    """What can be pressed on a card, in order; its refresh is no button."""
    if isinstance(card, list):
        return [verb for each in card for verb in verbs(each)]
    if not isinstance(card, dict):
        return []
    own = [card["verb"]] if card.get("type") == "Action.Execute" else []
    return own + [verb for name, value in card.items() if name != "refresh" for verb in verbs(value)]


async def base_card(teams: Teams, prompt: str) -> Card:
    return next(m["card"] for m in await teams.messages("approvals") if m["activity_id"] == prompt)


async def edits_of(teams: Teams, prompt: str) -> int:
    message = teams.sandbox.relay.history.by_id(prompt)
    assert message is not None
    return len(message.earlier)


# --- the three views ---


async def test_approver_requester_and_bystander_each_see_a_card_of_their_own(teams: Teams):
    """
    Buttons for Megan, waiting with Cancel and Remind for Alex, the bare state for Sam, who is not asked yet.
    """
    prompt = await asked(teams)
    megan, alex, sam = [await view_of(teams, who, prompt) for who in ("megan", "alex", "sam")]

    assert ["approve", "deny", "dry_run", "remind"] == verbs(megan)
    assert ["cancel", "remind"] == verbs(alex)
    assert "Waiting for Megan Bowen and Ines" in words(alex)
    assert [] == verbs(sam)
    assert "2 different people must approve. Nobody has yet." in words(sam)


async def test_a_refresh_by_teams_itself_edits_nothing(teams: Teams):
    """
    Otherwise each edit would make every client ask again.
    """
    prompt = await asked(teams)
    await summary_of(teams, "Jane Doe")
    before = await edits_of(teams, prompt)
    for who in ("megan", "alex", "ines"):
        await view_of(teams, who, prompt)

    assert before == await edits_of(teams, prompt)


async def test_teams_is_told_for_whom_to_ask(teams: Teams):
    """
    The approvers who are asked, and the requester; nobody else, and never more than 60.
    """
    prompt = await asked(teams)
    directory = teams.sandbox.relay.directory
    wanted = {directory.user_id(directory.person(who)) for who in ("alex", "megan", "ines")}

    assert wanted == set((await base_card(teams, prompt))["refresh"]["userIds"])


async def test_in_a_channel_of_more_than_sixty_the_card_for_all_is_harmless(teams: Teams):
    """
    There is nothing to press on it but for a card of one's own, and that has the buttons.
    """
    directory = teams.sandbox.relay.directory
    people = [*directory.people(), *(Person(f"more-{n}", f"More {n}", f"more{n}@contoso.com") for n in range(61))]
    directory.list_people = lambda: people
    prompt = await asked(teams)

    assert ["refresh"] == verbs(await base_card(teams, prompt))
    own = (await teams.click("megan", "refresh", activity_id=prompt))["body"]["value"]
    assert "approve" in verbs(own)


async def test_where_nobody_can_tell_how_many_there_are_the_card_is_harmless_too(teams: Teams):
    """
    Unknown is not few; in Megan's own chat the buttons stand all the same.
    """
    await teams.teams_fault(500, "read", times=-1)
    prompt = await asked(teams)

    assert ["refresh"] == verbs(await base_card(teams, prompt))
    assert "approve" in verbs((await teams.card("megan", "Unblock Jane Doe?"))["card"])


async def test_who_reads_along_is_asked_again_once_it_can_be_told(teams: Teams):
    """
    The harmless card becomes the one with buttons at the next change.
    """
    await teams.teams_fault(500, "read", times=-1)
    await asked(teams)
    await teams.mend_teams()
    in_chat = await teams.card("megan", "Unblock Jane Doe?")
    await teams.click("megan", "approve", activity_id=in_chat["activity_id"])
    base = (await teams.card("approvals", "1 of 2 approved: Megan Bowen."))["card"]

    assert "approve" in verbs(base) and 3 == len(base["refresh"]["userIds"])


# --- counting ---


async def test_after_the_first_of_two_every_card_says_who_it_was(teams: Teams):
    """
    Megan sees her own answer, the channel and the checklist who has approved, and nothing is done yet.
    """
    prompt = await asked(teams)
    own = shown(await teams.click("megan", "approve", activity_id=prompt))
    base = words((await teams.card("approvals", "1 of 2 approved: Megan Bowen."))["card"])
    checklist = words((await teams.card("alex", "1 of 2 have approved: Megan Bowen."))["card"])

    assert "You approved this" in own and "Somebody else must approve it too." in own
    assert "The boxes are ticked as Megan Bowen left them." in base
    assert "Waiting for Ines" in checklist
    assert [] == await done(teams)


async def test_the_boxes_stay_as_the_first_approver_left_them(teams: Teams):
    """
    Ines finds what Megan ticked, agrees by pressing Approve alone, and what Megan left out stays out.
    """
    prompt = await asked(teams)
    await teams.click("megan", "approve", activity_id=prompt, inputs={"actions": ""})
    await teams.card("approvals", "1 of 2 approved")
    ines = await view_of(teams, "ines", prompt)
    await teams.click("ines", "approve", activity_id=prompt, inputs={"actions": ""})
    await teams.card("alex", "Jane Doe is unblocked")

    assert "" == _ticked(ines)
    assert "inbox rule disabled" not in await done(teams)


def _inputs(node: Any) -> list[Card]:
    if isinstance(node, list):
        return [each for item in node for each in _inputs(item)]
    if not isinstance(node, dict):
        return []
    own = [node] if str(node.get("type", "")).startswith("Input.") else []
    return own + [each for value in node.values() for each in _inputs(value)]


async def test_an_escalated_question_says_to_whom_and_asks_teams_for_them_too(teams: Teams):
    """
    Ten minutes without an answer: Sam is asked, and the first two may still answer. He has no chat with the bot, and an
    edit makes no sound, so the question is posted anew.
    """
    prompt = await asked(teams)
    await teams.switch(advance_s=11 * 60)
    await teams.say("alex", "cases")
    base = (await teams.card("approvals", "Escalated to Sam"))["card"]
    async with asyncio.timeout(PATIENCE_S):
        while prompt == (await teams.card("approvals", "Escalated to Sam"))["activity_id"]:
            await asyncio.sleep(0.05)

    assert "Those who were asked before can still answer." in words(base)
    assert "approve" in verbs(await view_of(teams, "megan", prompt))
    assert "approve" in verbs(await view_of(teams, "sam", prompt))


# --- a copy that is out of date ---


async def test_a_click_on_an_old_copy_shows_what_is_true_now(teams: Teams):
    """
    The requester cancels on their own view; whoever presses the old card learns that, and by whom.
    """
    prompt = await asked(teams)
    await view_of(teams, "alex", prompt)
    cancelled = shown(await teams.click("alex", "cancel", activity_id=prompt))
    late = await press_as_posted(teams, "megan", "approve", prompt)

    assert "Cancelled" in cancelled and "Called off by Alex Wilber." in cancelled
    assert "Cancelled" in late and "Approve" not in late


# --- reminding ---


async def test_the_requester_can_have_the_approvers_reminded_once_in_five_minutes(teams: Teams):
    """
    A second copy makes a sound; a third one within five minutes is refused in words.
    """
    prompt = await asked(teams)
    await view_of(teams, "alex", prompt)
    await teams.click("alex", "remind", activity_id=prompt)
    again = shown(await teams.click("alex", "remind", activity_id=prompt))

    prompts = [m for m in await teams.messages("approvals") if "Unblock Jane Doe?" in words(m.get("card"))]
    assert 2 == len(prompts)
    assert "less than five minutes ago" in again


async def test_a_bystander_cannot_have_anybody_reminded(teams: Teams):
    """
    Sam has not been asked, and did not ask.
    """
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?")) if await asked(teams) else ""
    await teams.say("sam", f"remind {case_id}")

    assert await teams.card("sam", "you have not been asked yet")


async def test_a_stranger_learns_nothing_of_a_question_by_reminding(teams: Teams):
    """
    Omar is on no list: he is told the same whether the case asks something or not.
    """
    prompt = await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.say("omar", f"remind {case_id}")
    await teams.card("omar", "may neither ask for an unblock")
    await teams.click("alex", "cancel")
    await teams.card("alex", "Cancelled")
    await teams.say("omar", f"remind {case_id}")

    said = [words(m["card"]) for m in await teams.messages("omar") if m["card"]]
    assert prompt and 2 == len(said) and said[0] == said[1]


# --- without the card ---


async def test_two_approvers_can_answer_by_text(teams: Teams):
    """
    The same checks and the same count as on the card: the plan as it is ticked there, done after the second.
    """
    prompt = await asked(teams)
    typed = typed_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.click(
        "megan", "approve", activity_id=prompt, inputs={"actions": _ticked(await base_card(teams, prompt))}
    )
    await teams.say("ines", f"godkänn {typed} stämmer", locale="sv-SE")

    assert await teams.card("ines", "Godkänt: avblockera Jane Doe")
    assert await teams.card("alex", "Jane Doe is unblocked")


def typed_id_of(message: Card) -> str:
    """What the card says to type for its very question, such as "K4P7Z9-3FX"."""
    found = re.search(r"type “(?:approve|override) (\w+-\w+)”", words(message["card"]))
    assert found is not None, words(message["card"])
    return found[1]


async def test_a_yes_that_names_no_question_is_answered_with_the_question(teams: Teams):
    """
    Megan may never have seen this plan: she gets its card, live, and nothing is counted.
    """
    prompt = await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    typed = typed_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.say("ines", f"approve {case_id} fine with me")
    hint = words((await teams.card("ines", "Nothing was decided."))["card"])
    shown_to_ines = words((await teams.card("ines", "Unblock Jane Doe?"))["card"])
    assert await still_waits(teams, prompt)
    await teams.click("alex", "cancel")

    assert typed in hint and typed in shown_to_ines
    assert await teams.card("ines", "Cancelled")


def _ticked(card: Card) -> str:
    return next(e.get("value", "") for e in _inputs(card) if e["id"] == "actions")


async def test_a_denial_by_text_needs_its_reason(teams: Teams):
    """
    Without one the bot asks why; with one the case ends, and the requester reads it.
    """
    prompt = await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.say("megan", f"deny {case_id}")
    assert await teams.card("megan", "Say why as well.")
    assert await still_waits(teams, prompt)
    await teams.say("megan", f"deny {case_id} Call Jane first")

    assert "Call Jane first" in words((await teams.card("alex", "Denied"))["card"])


@pytest.mark.parametrize(
    ("who", "said"),
    [("alex", "somebody else must decide"), ("jane", "may neither ask"), ("sam", "have not been asked yet")],
)
async def test_text_is_refused_as_a_click_would_be(teams: Teams, who: str, said: str):
    """
    The requester, the subject (who learns nothing of the case), and somebody who is not asked yet: nothing is done, and
    the reason is said.
    """
    prompt = await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.say(who, f"approve {case_id}")

    assert await teams.card(who, said)
    assert await still_waits(teams, prompt)


async def test_a_case_without_a_question_says_so(teams: Teams):
    """
    Denied once, it cannot be answered again.
    """
    await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.say("megan", f"deny {case_id} no")
    await teams.card("alex", "Denied")
    await teams.say("ines", f"approve {case_id}")

    assert await teams.card("ines", "no open question")


# --- who is on call ---


async def test_oncall_names_people_source_and_problem(keys: Path, tmp_path: Path, in_a_hurry: None):
    """
    The rota names Megan; who may not read cases learns nothing.
    """
    rota = {"kind": "rota", "time_zone": "Europe/Stockholm", "hand_over": "08:30", "starts": "2020-01-06"}
    section = {"fallback_group": ALEX, "sources": [rota | {"turns": [MEGAN]}]}
    async with quick_world(keys, tmp_path, oncall=json.dumps(section)) as teams:
        await teams.say("alex", "oncall")
        answer = words((await teams.card("alex", "On call now: Megan Bowen"))["card"])
        await teams.say("omar", "vem har jour?", locale="sv-SE")

        assert "From Rota." in answer
        assert await teams.card("omar", "Du får varken begära eller godkänna avblockering")


async def test_oncall_says_that_nothing_is_set_up(teams: Teams):
    """
    Nobody is not an answer: what to do about it is.
    """
    await teams.say("alex", "oncall")

    assert "No on-call source is set up" in words((await teams.card("alex", "Nobody is known to be on call"))["card"])
