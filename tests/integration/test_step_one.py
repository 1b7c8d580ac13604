"""
Step 1 in depth, over HTTP: looking without a case, leaving out, rehearsing, taking back, letting the owner in again.

Bot and tenant run as in `test_main_job.py`; people type and press through the sandbox's relay.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_main_job import (
    asked,
    case_id_of,
    done,
    in_a_hurry,
    keys,
    quick_world,
    shown,
)
from tests.integration.world import Teams, words

__all__ = ["in_a_hurry", "keys"]


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, in_a_hurry: None) -> AsyncIterator[Teams]:
    async with quick_world(keys, tmp_path) as teams:
        yield teams


async def said_in(teams: Teams, place: str, part: str) -> str:
    """All texts there, once one of them says so."""
    async with asyncio.timeout(30):
        while True:
            texts = [message["activity"].get("text") or "" for message in await teams.messages(place)]
            if any(part in text for text in texts):
                return "\n".join(texts)
            await asyncio.sleep(0.05)


async def unblocked(teams: Teams) -> str:
    """Jane's case, approved by Megan and done; its id."""
    prompt = await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.click("megan", "approve", activity_id=prompt)
    await teams.card("alex", "Jane Doe is unblocked")
    return case_id


# --- looking without a case ---


async def test_a_check_needs_no_case_and_no_approval_and_changes_nothing(teams: Teams):
    """
    Alex checks Jane: a verdict with its reasons, no prompt, no case, no change.
    """
    await teams.say("alex", "check jane")
    checked = words((await teams.card("alex", "Check of Jane Doe"))["card"])

    assert "Compromised | Checked " in checked and "Nothing was changed" in checked
    assert [] == await done(teams)
    assert not [m for m in await teams.messages("approvals") if "Unblock Jane" in words(m.get("card"))]
    await teams.say("alex", "cases")
    assert await teams.card("alex", "There are none.")


async def test_an_account_that_is_not_blocked_can_be_checked(teams: Teams):
    """
    Ines is on no list; she is looked at all the same.
    """
    await teams.say("alex", "kontrollera ines", locale="sv-SE")

    checked = words((await teams.card("alex", "Kontroll av Ines"))["card"])
    assert "Inga tecken" in checked
    assert [] == await done(teams)


@pytest.mark.parametrize("who", ["sam", "jane"])
async def test_strangers_and_the_account_itself_may_not_check(teams: Teams, who: str):
    """
    Whoever has taken Jane's account over does not learn from us what we know.
    """
    await teams.say(who, "check jane")
    refused = words((await teams.card(who, "Not possible"))["card"])

    assert "Compromised" not in refused


# --- a source that takes its time ---


async def test_one_slow_source_does_not_hold_the_question(keys: Path, tmp_path: Path, in_a_hurry: None):
    """
    The audit log takes long; the prompt is there without it and says so, and the card fills in afterwards.
    """
    async with quick_world(keys, tmp_path, reading_wait_seconds=2) as teams:
        slow = {"service": "graph", "path_regex": "/security/auditLog/queries$"}
        await teams.fault("slow", slow, seconds=10, times=3)
        await asked(teams)
        prompt = words((await teams.card("approvals", "Unblock Jane Doe?"))["card"])

        assert "Still being read:" in prompt and "Deleted mail" in prompt
        filled = await teams.card("alex", lambda said: "Waiting for approval" in said and "Pending" not in said)
        assert "Deleted mail" in words(filled["card"])


# --- what exactly is approved ---


async def test_the_approver_leaves_an_action_out(teams: Teams):
    """
    Megan unticks one rule: it is not changed, everything else is, and the card says who left it out.
    """
    prompt = await asked(teams)
    boxes = _boxes((await teams.card("approvals", "Unblock Jane Doe?"))["card"])
    kept = [value for value in boxes["value"].split(",") if not value.startswith("disable_rule")]
    await teams.click("megan", "approve", activity_id=prompt, inputs={"actions": ",".join(kept)})
    card = words((await teams.card("alex", "Jane Doe is unblocked"))["card"])

    assert "inbox rule disabled" not in await done(teams)
    assert "Left out by Megan Bowen." in card


async def test_a_dry_run_shows_the_exact_calls_and_makes_none(teams: Teams):
    """
    Path, cmdlet and body stand there, the password does not, and the tenant is as it was.
    """
    await asked(teams)
    case_id = case_id_of(await teams.card("approvals", "Unblock Jane Doe?"))
    await teams.say("megan", f"dry run {case_id}")
    calls = words((await teams.card("megan", "Dry run for Jane Doe"))["card"])

    for exact in ("/revokeSignInSessions", "(random)", "Set-Mailbox", "Remove-BlockedSenderAddress", "DELETE "):
        assert exact in calls
    assert [] == await done(teams)


async def test_the_dry_run_button_leaves_the_question_open(teams: Teams):
    """
    The calls come in a message of their own, below the prompt.
    """
    prompt = await asked(teams)
    reply = await teams.click("megan", "dry_run", activity_id=prompt)

    assert "Approve" in shown(reply)
    assert await teams.card("approvals", "Dry run for Jane Doe")
    assert [] == await done(teams)


# --- afterwards ---


async def test_what_was_changed_is_put_back_after_a_second_approval(teams: Teams):
    """
    Alex asks, Megan agrees, and rules, forwarding and access are as they were, read again.
    """
    case_id = await unblocked(teams)
    before = len(await done(teams))
    await teams.say("alex", f"undo {case_id}")
    question = await teams.card("approvals", "Put back what was changed for Jane Doe?")
    await teams.click("megan", "dry_run", activity_id=question["activity_id"])
    calls = words((await teams.card("approvals", "Dry run for Jane Doe"))["card"])
    assert "Set-Mailbox" in calls and "collector.x91" in calls
    refused = await teams.click("alex", "approve", activity_id=question["activity_id"])
    assert "You asked for this" in shown(refused)

    await teams.click("megan", "approve", activity_id=question["activity_id"])
    card = words((await teams.card("alex", lambda said: said.count("Put back") >= 4))["card"])

    assert "Read again: mail is forwarded as before." in card
    assert {"inbox rule enabled", "mailbox changed"} <= set((await done(teams))[before:])


async def test_who_asked_for_an_undo_can_call_the_question_off(teams: Teams):
    """
    Alex presses Cancel on his own view; every copy says by whom, the case stays as it is, and he may ask again.
    """
    case_id = await unblocked(teams)
    await teams.say("alex", f"undo {case_id}")
    question = await teams.card("approvals", "Put back what was changed for Jane Doe?")
    await teams.click("alex", "refresh", refresh=True, activity_id=question["activity_id"])
    await teams.click("alex", "cancel", activity_id=question["activity_id"])

    said = words((await teams.card("approvals", "Called off by Alex Wilber."))["card"])
    assert "Cancelled" in said and "Approve |" not in said
    assert await teams.card("alex", "Jane Doe is unblocked")
    await teams.say("alex", f"undo {case_id}")
    await teams.card("approvals", "Put back what was changed for Jane Doe?")


async def test_the_access_pass_is_shown_once_to_the_approver_alone(teams: Teams):
    """
    It stands in the answer to Megan's click, in her own chat, and in no message, log or table.
    """
    case_id = await unblocked(teams)
    await teams.say("megan", f"access pass {case_id}")
    offer = await teams.card("megan", "Ready to let Jane Doe back in")
    reply = await teams.click("megan", "access_pass", activity_id=offer["activity_id"])
    value = _pass_of(reply["body"]["value"])

    assert value and "Shown once" in shown(reply)
    for place in ("megan", "alex", "approvals"):
        kept = [message["activity"] for message in await teams.messages(place)]
        assert value not in json.dumps(kept)
    assert value not in json.dumps(await teams.journal())
    again = shown(await teams.click("megan", "access_pass", activity_id=offer["activity_id"]))
    assert "less than an hour ago" in again and value not in again


async def test_nobody_else_gets_an_access_pass(teams: Teams):
    """
    Not the requester, not a stranger, and nobody in a channel.
    """
    case_id = await unblocked(teams)
    granted = (await teams.card("approvals", "Approved: unblock Jane Doe"))["activity_id"]

    assert "own chat" in shown(await teams.click("megan", "access_pass", activity_id=granted))
    await teams.say("alex", f"access pass {case_id}")
    offer = await teams.card("alex", "Ready to let Jane Doe back in")
    assert "You asked for this" in shown(await teams.click("alex", "access_pass", activity_id=offer["activity_id"]))
    assert "temporary access pass created" not in await done(teams)


async def test_the_report_has_the_whole_evidence_in_both_forms(teams: Teams):
    """
    Markdown for people, JSON for machines; both name the verdict, every signal and what was done.
    """
    case_id = await unblocked(teams)
    await teams.say("alex", f"report {case_id}")
    markdown = await said_in(teams, "alex", "The last line above")
    await teams.say("alex", f"report {case_id} json")
    machine = await said_in(teams, "alex", '"timeline"')

    assert "Compromised" in markdown and "Checked " in markdown
    assert '"compromised"' in machine and '"completeness"' in machine


async def test_the_report_is_not_for_the_account_itself(teams: Teams):
    """
    Jane's account reads nothing of the case about it.
    """
    case_id = await unblocked(teams)
    await teams.say("jane", f"report {case_id}")

    assert await teams.card("jane", "Not possible")


def _boxes(card: Any) -> dict[str, Any]:
    return next(one for one in _objects(card) if one.get("id") == "actions")


def _pass_of(card: Any) -> str:
    return next(run["text"] for run in _objects(card) if run.get("fontType") == "Monospace")


def _objects(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [one for item in node for one in _objects(item)]
    if isinstance(node, dict):
        return [node] + [one for value in node.values() for one in _objects(value)]
    return []
