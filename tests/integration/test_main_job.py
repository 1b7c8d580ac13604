"""The main job over real HTTP: typed and pressed in Teams, done in the tenant, seen on the cards."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.sandbox.seed import ADELE_BERG, ALEX, INES, JANE, MEGAN
from services.sandbox.teams_cards import find_button
from services.sandbox.teams_history import card_of
from services.sandbox.teams_inbound import Composer
from tests.fakes.sandboxed import FAST
from tests.integration.world import PATIENCE_S, Card, Teams, words, world

#: The order to unblock, and what came of it.
UNBLOCKED = ["unblock requested", "sender unblocked"]
#: What secures Jane's account, in the order of the plan, and then unblocks it.
EVERYTHING_FOR_JANE = [
    "sign-in sessions revoked",
    "password reset",
    "sign-in method deleted",
    "inbox rule disabled",
    "inbox rule disabled",
    "mailbox changed",
    "delegated grant revoked",
    "app role assignment removed",
    "risk confirmedCompromised",
    *UNBLOCKED,
]
#: Exchange does this by itself when it changes a rule; nobody orders it.
SIDE_EFFECT = "client-side rules deleted"
#: Who may approve here, so that there is a second person where one is needed.
TWO_APPROVERS = f"{MEGAN},{INES}"
OTHER_TENANT = "99999999-0000-4000-8000-000000000009"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the sandbox's keys, which all tests share because making them is slow."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bot does not pace itself by Microsoft's limits; the sandbox of these tests has none."""
    monkeypatch.setattr("services.clients.http.LANES", FAST)


@asynccontextmanager
async def quick_world(keys: Path, folder: Path, **settings: Any) -> AsyncIterator[Teams]:
    """A world on SQLite whose tenant does not limit anybody's rate; to be used `in_a_hurry`."""
    async with world(keys, f"sqlite:///{folder}/unblock.db", **settings) as teams:
        await teams.switch(switches={"throttling": False})
        yield teams


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, in_a_hurry: None) -> AsyncIterator[Teams]:
    """A tenant and a bot of this test alone."""
    async with quick_world(keys, tmp_path, approvers=TWO_APPROVERS) as teams:
        yield teams


# --- what the tests say again and again ---


async def asked(teams: Teams, account: str = "jane", name: str = "Jane Doe") -> str:
    """Alex has asked, and the prompt stands in the approvals channel; its activity id."""
    await teams.say("alex", f"unblock {account}")
    return (await teams.card("approvals", f"Unblock {name}?"))["activity_id"]


def shown(reply: dict[str, Any]) -> str:
    """What the card says that a click was answered with."""
    assert reply["status"] == 200, reply
    return words(reply["body"]["value"])


async def press_as_posted(teams: Teams, who: str, verb: str, prompt: str) -> str:
    """Press a button on a screen that still shows the card as it was first posted; what the answer says."""
    relay = teams.sandbox.relay
    message = relay.history.by_id(prompt)
    assert message is not None
    button = find_button(card_of([*message.earlier, message.activity][0]), verb)
    assert button is not None
    person, place = relay.directory.person(who), relay.directory.place(message.conversation_id)
    pressed = composer(teams).invoke(person, place, message, button.execute({}), "manual", "en-US")
    return shown((await relay.door.deliver(pressed)).as_json())


def composer(teams: Teams) -> Composer:
    """Writes what Teams would deliver to the bot."""
    relay = teams.sandbox.relay
    return Composer(relay.directory, relay.history, relay.door)


async def done(teams: Teams) -> list[str]:
    """What was changed in the tenant, in order."""
    return [change["action"] for change in await teams.changes() if change["action"] != SIDE_EFFECT]


async def still_waits(teams: Teams, prompt: str) -> bool:
    """Whether the prompt can still be answered, and nothing was changed."""
    message = next(m for m in await teams.messages("approvals") if m["activity_id"] == prompt)
    return "Approve" in words(message["card"]) and await done(teams) == []


def case_id_of(message: Card) -> str:
    found = re.search(r"Case ([A-Z0-9]{6})", words(message["card"]))
    assert found is not None, words(message["card"])
    return found[1]


async def summary_of(teams: Teams, name: str) -> str:
    """Alex's checklist once it waits for the approval."""
    return words((await teams.card("alex", f"Waiting for approval: {name}"))["card"])


# --- the main path ---


async def test_jane_is_secured_then_unblocked_and_every_card_says_so(keys: Path, database_url: str):
    """
    Everything is done once, containment before the unblock, under the limits of Microsoft and Teams, on each database.
    """
    async with world(keys, database_url) as teams:
        prompt = await asked(teams)
        await teams.click("megan", "approve", activity_id=prompt)
        checklist = await teams.card("alex", "Jane Doe is unblocked")
        approved = await teams.card("approvals", "Now: Jane Doe is unblocked")
        prevention = await teams.card("alex", "MFA")

        assert await done(teams) == EVERYTHING_FOR_JANE
        assert [c["target"] for c in await teams.changes()][-1] == "jane@contoso.com"
        assert checklist["activity_id"] == prevention["activity_id"]
        assert "Approved: unblock Jane Doe | By Megan Bowen" in words(approved["card"])
        assert "By Megan Bowen" in words((await teams.card("megan", "Now: Jane Doe is unblocked"))["card"])


async def test_the_prompt_names_who_asks_for_whom_why_and_exactly_what(teams: Teams):
    """
    The approver reads the verdict, its reasons and completeness, and every action with its target.
    """
    await asked(teams)
    prompt = words((await teams.card("approvals", "Unblock Jane Doe?"))["card"])

    for said in (
        "Alex Wilber asks to secure and unblock Jane Doe (jane@contoso.com)",
        "Compromised | Checked 24 of 24",
        "14 wrong passwords, then a sign-in that worked",
        "Disable the inbox rule “sync”",
        "Stop forwarding to collector.x91@mailbox-drop.example",
        "Remove the access of the app “Mail Merge Pro”",
        "Unblock jane@contoso.com",
    ):
        assert said in prompt


async def test_the_checklist_is_there_within_a_second_while_the_investigation_is_slow(teams: Teams):
    """
    Whatever is asked about the account takes five seconds, and still the three steps are shown at once.
    """
    await teams.fault("slow", {"service": "graph", "path_regex": f"^(?!.*{ALEX})"}, seconds=5, times=-1)
    started = asyncio.get_running_loop().time()
    await teams.say("alex", "unblock jane")
    checklist = words((await teams.card("alex", "Step 3"))["card"])

    assert asyncio.get_running_loop().time() - started < 1
    assert "Step 1" in checklist and "Step 2" in checklist and "Looking up jane" in checklist


async def test_swedish_is_answered_in_swedish_and_the_channel_keeps_its_language(teams: Teams):
    """
    Alex reads Swedish; the approvals channel is read by many and speaks the language of the settings.
    """
    await teams.say("alex", "avblockera jane", locale="sv-SE")
    await teams.card("approvals", "Unblock Jane Doe?")

    assert "Avbryt" in words((await teams.card("alex", "Jane Doe"))["card"])
    assert "Avbryt" not in words((await teams.card("approvals", "Jane Doe"))["card"])


async def test_a_mention_in_a_channel_is_answered_in_its_thread(teams: Teams):
    """
    The checklist stands under the message that asked for it, and follows the case there.
    """
    asking = await teams.say("alex", "unblock jane@contoso.com", conversation="general")
    prompt = (await teams.card("approvals", "Unblock Jane Doe?"))["activity_id"]
    await teams.click("megan", "approve", activity_id=prompt)

    checklist = await teams.card("general", "Jane Doe is unblocked")
    assert checklist["conversation_id"] == asking["conversation_id"]


async def test_manual_prevention_items_are_ticked_with_a_name(teams: Teams):
    """
    What only a person can do is ticked on the card, and the card says by whom.
    """
    await teams.click("megan", "approve", activity_id=await asked(teams))
    checklist = await teams.card("alex", "Tick off")
    boxes = [one["id"] for one in _elements(checklist["card"]) if one.get("type") == "Input.ChoiceSet"]
    choices = next(one["choices"] for one in _elements(checklist["card"]) if one.get("id") == boxes[0])
    await teams.click("alex", "tick", activity_id=checklist["activity_id"], inputs={boxes[0]: choices[0]["value"]})

    assert await teams.card("alex", "Done.  | Alex Wilber")


def _elements(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [one for item in node for one in _elements(item)]
    if isinstance(node, dict):
        return [node] + [one for value in node.values() for one in _elements(value)]
    return []


# --- who "jane" is, and what blocks the account ---


async def test_an_address_that_is_not_the_sign_in_name_is_understood(teams: Teams):
    """
    Pia's mail is not her UPN; the entry of her mailbox is named by the UPN, and that one is removed.
    """
    await teams.click("megan", "approve", activity_id=await asked(teams, "pia.oberg@contoso.com", "Pia Öberg"))
    await teams.card("alex", "Pia Öberg is unblocked")

    removed = next(c for c in await teams.changes() if c["action"] == "sender unblocked")
    assert removed["target"] == "pia@contoso.com"


async def test_two_people_of_one_name_are_a_question(teams: Teams):
    """
    Alex chooses on the card which Adele is meant, and the case is about that one.
    """
    await teams.switch(block={"address": "adele.berg@contoso.com"})
    await teams.say("alex", "unblock adele")
    question = await teams.card("alex", "2 accounts fit “adele”")
    await teams.click("alex", "choose", activity_id=question["activity_id"], inputs={"account": ADELE_BERG})

    prompt = await teams.card("approvals", "Unblock Adele Berg?")
    assert "adele.berg@contoso.com" in words(prompt["card"])


async def test_an_account_that_looks_clean_is_unblocked_and_nothing_else(teams: Teams):
    """
    Omar sent a newsletter. No evidence of an attacker, so the plan is the unblock alone.
    """
    prompt = await asked(teams, "omar", "Omar Said")
    assert "No evidence found" in words((await teams.card("approvals", "Unblock Omar Said?"))["card"])
    await teams.click("megan", "approve", activity_id=prompt)
    await teams.card("alex", "Omar Said is unblocked")

    assert await done(teams) == UNBLOCKED


async def suspected(teams: Teams, account: str) -> None:
    """Something outside receives this person's mail, so that there is something to contain."""
    await teams.switch(mailbox={"upn": f"{account}@contoso.com", "forwarding_smtp": "smtp:drop@elsewhere.example"})


async def test_a_synced_account_stays_locked_until_a_second_approver_overrides(teams: Teams):
    """
    Sven's password can only be changed on-premises. Until then step 2 is locked; the first approver cannot lift that.
    """
    await suspected(teams, "sven")
    await teams.click("megan", "approve", activity_id=await asked(teams, "sven", "Sven Lind"))
    await teams.card("alex", "Stopped: the account of Sven Lind is not proven secure")
    lock = (await teams.card("approvals", "Unblock Sven Lind without proof?"))["activity_id"]
    before = await done(teams)
    reason = {"reason": "Reset by telephone"}
    refused = await teams.click("megan", "override", activity_id=lock, inputs=reason)
    await teams.click("ines", "override", activity_id=lock, inputs=reason)
    overridden = await teams.card("alex", "Sven Lind is unblocked")

    assert "You approved the plan, so somebody else must lift the lock." in shown(refused)
    assert "sender unblocked" not in before
    assert await done(teams) == [*before, *UNBLOCKED]
    assert "Overridden by Ines Falk" in words(overridden["card"]) and "Reset by telephone" in words(overridden["card"])


async def test_an_override_without_a_reason_is_no_override(teams: Teams):
    """
    The reason goes on the record, so there must be one.
    """
    await suspected(teams, "sven")
    await teams.click("megan", "approve", activity_id=await asked(teams, "sven", "Sven Lind"))
    lock = (await teams.card("approvals", "Unblock Sven Lind without proof?"))["activity_id"]
    await teams.click("ines", "override", activity_id=lock, inputs={"reason": "  "})

    assert "sender unblocked" not in await done(teams)
    assert await teams.card("alex", "Stopped: the account of Sven Lind")


async def test_an_admin_must_be_secured_by_a_person(teams: Teams):
    """
    Microsoft lets no app reset an admin's password: the card says who must, and the unblock stays locked.
    """
    await suspected(teams, "grace")
    await teams.click("megan", "approve", activity_id=await asked(teams, "grace", "Grace Hopp"))
    locked = words((await teams.card("alex", "Stopped: the account of Grace Hopp"))["card"])

    assert "Microsoft lets no app reset the password of an admin." in locked
    assert not {"password reset", "sender unblocked"} & set(await done(teams))


# --- clicks ---


async def test_a_denial_names_who_and_why(teams: Teams):
    """
    Megan's reason reaches Alex, and nothing is changed.
    """
    prompt = await asked(teams)
    await teams.click("megan", "deny", activity_id=prompt, inputs={"reason": "Wait for the police"})

    assert "Megan Bowen said no: Wait for the police" in words((await teams.card("alex", "Denied: Jane Doe"))["card"])
    assert "Reason: Wait for the police" in words((await teams.card("approvals", "Denied: Jane Doe"))["card"])
    assert await done(teams) == []


async def test_a_repeated_click_is_the_same_click(teams: Teams):
    """
    Teams delivers a click again with new ids, at once or later: the current card is the answer, each action runs once.
    """
    prompt = await asked(teams)
    clicks = await teams.click("megan", "approve", activity_id=prompt, repeat=4, at_once=True, new_ids=True)
    later = await press_as_posted(teams, "megan", "approve", prompt)
    await teams.card("alex", "Jane Doe is unblocked")

    for answer in [*map(shown, clicks["deliveries"]), later]:
        assert "Approved: unblock Jane Doe" in answer
    assert await done(teams) == EVERYTHING_FOR_JANE


async def test_of_two_opposite_clicks_at_once_one_decides(teams: Teams):
    """
    Megan approves while Ines denies: both see the same decision, and it is what happens.
    """
    prompt = await asked(teams)
    answers = await asyncio.gather(
        press_as_posted(teams, "megan", "approve", prompt), press_as_posted(teams, "ines", "deny", prompt)
    )
    headlines = {answer.partition(":")[0] for answer in answers}
    granted = headlines == {"Approved"}
    await teams.card("alex", "Jane Doe is unblocked" if granted else "Denied: Jane Doe")

    assert granted or headlines == {"Denied"}
    assert await done(teams) == (EVERYTHING_FOR_JANE if granted else [])


async def test_a_late_click_gets_the_card_as_it_is(teams: Teams):
    """
    Ines presses Deny on a card that Megan has approved: nothing changes, and she reads who was first.
    """
    prompt = await asked(teams, "omar", "Omar Said")
    await teams.click("megan", "approve", activity_id=prompt)
    late = await press_as_posted(teams, "ines", "deny", prompt)

    assert "Approved: unblock Omar Said | By Megan Bowen" in late
    assert await teams.card("alex", "Omar Said is unblocked")


async def test_an_old_client_approves_by_submit(teams: Teams):
    """
    A client without Action.Execute sends a message instead; it counts the same and leaves no extra card.
    """
    prompt = await asked(teams)
    before = len(await teams.messages("approvals"))
    await teams.click("megan", "approve", activity_id=prompt, submit=True)
    await teams.card("approvals", "Now: Jane Doe is unblocked")

    assert await done(teams) == EVERYTHING_FOR_JANE
    assert len(await teams.messages("approvals")) == before


async def test_an_old_client_is_told_why_not_in_a_message(teams: Teams):
    """
    A refused Action.Submit has no card to answer with, so the reason is posted.
    """
    prompt = await asked(teams)
    await teams.click("alex", "approve", activity_id=prompt, submit=True)

    assert await teams.card("approvals", "You asked for this, so somebody else must decide.")
    assert await still_waits(teams, prompt)


async def test_a_card_of_a_cancelled_case_cannot_be_approved(teams: Teams):
    """
    Alex has called it off; a click on the card that Megan still has says so and does nothing.
    """
    prompt = await asked(teams)
    await teams.click("alex", "cancel")
    await teams.card("alex", "Cancelled: Jane Doe stays blocked")
    old = await press_as_posted(teams, "megan", "approve", prompt)

    assert "Cancelled: no answer needed for Jane Doe" in old
    assert await done(teams) == []


async def test_a_prompt_that_nobody_answers_expires(keys: Path, tmp_path: Path, in_a_hurry: None):
    """
    After the time of the settings the account stays blocked, both cards say so, and a late click does nothing.
    """
    async with quick_world(keys, tmp_path, approval_timeout_minutes=0.01) as teams:
        await teams.say("alex", "unblock jane")
        await teams.card("alex", "No answer in time: Jane Doe stays blocked")
        expired = await teams.card("approvals", "Expired: nobody answered for Jane Doe")

        assert "Approve |" not in words(expired["card"])
        assert await done(teams) == []


async def test_without_approvers_nobody_may_approve(keys: Path, tmp_path: Path, in_a_hurry: None):
    """
    An empty list means nobody, not everybody: the card has no Approve and says why, and so does the refusal by text.
    """
    async with quick_world(keys, tmp_path, approvers="") as teams:
        await asked(teams)
        prompt = await teams.card("approvals", "Unblock Jane Doe?")
        await teams.say("megan", f"approve {case_id_of(prompt)}")

        assert "Nobody is set up who could be asked" in words(prompt["card"])
        assert find_button(prompt["card"], "approve") is None
        assert await teams.card("megan", "Nobody is configured for this yet.")
        assert [] == await done(teams)


# --- when Microsoft misbehaves ---


async def test_passing_faults_are_waited_out(teams: Teams):
    """
    A 429 with and without Retry-After and a 503, once each: everything is read all the same.
    """
    await teams.fault("throttle", {"path_regex": "auditLogs/signIns"}, retry_after_s=1)
    await teams.fault("throttle_without_retry_after", {"path_regex": "riskyUsers"})
    await teams.fault("unavailable", {"cmdlet": "Get-InboxRule"})
    await asked(teams)

    assert "Compromised | Checked 24 of 24" in await summary_of(teams, "Jane Doe")


@pytest.mark.parametrize(
    ("kind", "match", "said"),
    [
        ("licence", {"path_regex": "identityProtection"}, "Entra risk state |  – Not readable"),
        ("broken_json", {"path_regex": "oauth2PermissionGrants"}, "Apps with access |  – Not readable"),
        ("forbidden", {"cmdlet": "Get-Mailbox"}, "Forwarding |  – Not readable"),
    ],
)
async def test_what_could_not_be_read_is_said_and_never_counts_as_clean(
    teams: Teams, kind: str, match: dict[str, str], said: str
):
    """
    A licence, a broken answer, a missing role: the line says why, completeness is lower, there is still a verdict.
    """
    await teams.fault(kind, match, times=-1)
    await asked(teams)
    checklist = await summary_of(teams, "Jane Doe")

    assert said in checklist
    assert re.search(r"Compromised \| Checked (1[5-9]|2[0-3]) of 24", checklist)


async def test_a_list_that_cannot_be_read_is_no_block_and_no_success(teams: Teams):
    """
    Exchange refuses the restricted list, so nothing is known, nothing is done, and the card says so.
    """
    await teams.fault("forbidden", {"cmdlet": "Get-BlockedSenderAddress"}, times=-1)
    await teams.say("alex", "unblock jane")
    checklist = await teams.card("alex", "Whether the account is blocked could not be read, so nothing was done.")

    assert "The bot lacks the permission" in words(checklist["card"])
    assert await done(teams) == []


async def test_an_unblock_whose_answer_was_lost_is_not_sent_again(teams: Teams):
    """
    Unblocks are limited in number: after a lost answer the list is read, and it shows that the first one worked.
    """
    prompt = await asked(teams, "omar", "Omar Said")
    await teams.fault("drop_connection", {"cmdlet": "Remove-BlockedSenderAddress"}, after=True)
    await teams.click("megan", "approve", activity_id=prompt)
    await teams.card("alex", "Omar Said is unblocked")

    assert await done(teams) == UNBLOCKED
    assert len((await teams.journal(cmdlet="Remove-BlockedSenderAddress"))["requests"]) == 1


# --- when Teams misbehaves ---


async def test_edits_that_teams_throttles_are_made_later(teams: Teams):
    """
    Teams asks for a pause between edits; the cards are up to date in the end.
    """
    prompt = await asked(teams, "omar", "Omar Said")
    await teams.teams_fault(429, "put", times=3, retry_after_s=1)
    await teams.click("megan", "approve", activity_id=prompt)

    assert await teams.card("alex", "Omar Said is unblocked")
    assert await teams.card("approvals", "Now: Omar Said is unblocked")


async def test_a_checklist_whose_answer_was_lost_is_not_posted_twice(teams: Teams):
    """
    It may have been posted, so it is not posted again. The case goes on, and Alex is told how to see it.
    """
    await teams.teams_fault(503, "post", lost_answer=True)
    prompt = await asked(teams)
    checklists = [m for m in await teams.messages("alex") if "Step 1" in words(m["card"])]
    await teams.click("megan", "approve", activity_id=prompt)
    await teams.card("approvals", "Now: Jane Doe is unblocked")
    await teams.say("alex", "status jane")

    assert len(checklists) == 1
    assert await done(teams) == EVERYTHING_FOR_JANE
    assert await teams.card("alex", "Jane Doe is unblocked")


async def test_a_prompt_whose_answer_was_lost_stands_once_and_can_be_answered_elsewhere(teams: Teams):
    """
    The channel's prompt may be there, so it is not repeated; Megan answers the copy in her own chat.
    """
    await teams.teams_fault(503, "create", lost_answer=True)
    await asked(teams)
    await teams.card("megan", "Unblock Jane Doe?")
    prompts = [m for m in await teams.messages("approvals") if m["card"]]
    await teams.click("megan", "approve", conversation="personal")
    await teams.card("alex", "Jane Doe is unblocked")

    assert len(prompts) == 1
    assert await done(teams) == EVERYTHING_FOR_JANE


async def test_cards_that_could_not_be_edited_are_mended_by_the_sweep(teams_that_sweep: Teams):
    """
    While Teams fails the cards show an old state; once it works again they catch up without anybody doing anything.
    """
    teams = teams_that_sweep
    prompt = await asked(teams, "omar", "Omar Said")
    await teams.card("alex", "Waiting for approval: Omar Said")
    await teams.teams_fault(500, "put", times=10_000)
    await teams.click("megan", "approve", activity_id=prompt)
    await _changed(teams, "sender unblocked")
    stale = words((await teams.card("alex", "Step 1"))["card"])
    await teams.mend_teams()

    assert "Waiting for approval" in stale
    assert await teams.card("alex", "Omar Said is unblocked")
    assert await teams.card("approvals", "Now: Omar Said is unblocked")


async def test_an_outcome_that_could_not_be_told_is_told_later(teams_that_sweep: Teams):
    """
    Alex's chat takes nothing for some time after Megan says no; once it does, he reads it, once.
    """
    teams = teams_that_sweep
    prompt = await asked(teams, "omar", "Omar Said")
    directory = teams.sandbox.relay.directory
    chat = directory.personal_chat(directory.person("alex")).conversation_id
    await teams.teams_fault(500, "post", times=6, conversation=chat)
    await teams.click("megan", "deny", activity_id=prompt, inputs={"reason": "Call him first"})

    def is_the_outcome(said: str) -> bool:
        return "Denied: Omar Said" in said and "Step 1" not in said  # which the checklist has

    assert "Call him first" in words((await teams.card("alex", is_the_outcome))["card"])
    assert [True] == [True for m in await teams.messages("alex") if m["card"] and is_the_outcome(words(m["card"]))]


@pytest.fixture
async def teams_that_sweep(
    keys: Path, tmp_path: Path, in_a_hurry: None, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Teams]:
    """A bot that looks for outdated cards several times a second instead of twice a minute."""
    monkeypatch.setattr("bot.presenter.SWEEP_EVERY_S", 0.3)
    async with quick_world(keys, tmp_path) as teams:
        yield teams


async def _changed(teams: Teams, action: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while action not in await done(teams):
            await asyncio.sleep(0.05)


# --- one world for everything that changes nothing ---


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def calm(keys: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Teams]:
    """A tenant and a bot that several tests look at, and Alex's request for Jane that waits for an answer."""
    folder = tmp_path_factory.mktemp("calm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.clients.http.LANES", FAST)
        async with quick_world(keys, folder) as teams:
            await asked(teams)
            yield teams


def _prompt_of(teams: Teams) -> str:
    """Jane's prompt in the approvals channel."""
    messages = teams.sandbox.relay.history.within(teams.sandbox.relay.directory.approvals_id)
    return next(m.activity_id for m in messages if m.card and "Jane Doe?" in words(m.card))


@pytest.mark.asyncio(loop_scope="class")
class TestWhatChangesNothing:
    """Refusals, questions and accounts with nothing to unblock, while Jane's prompt waits."""

    @pytest.mark.parametrize(
        ("who", "why"),
        [
            ("alex", "You asked for this, so somebody else must decide."),
            ("jane", "This case is about your own account, so you may neither decide nor follow it."),
            ("rita", "Guests may not do this."),
            ("sam", "You are not on the list of approvers."),
        ],
    )
    @pytest.mark.parametrize("verb", ["approve", "deny"])
    async def test_nobody_but_an_approver_decides(self, calm: Teams, who: str, why: str, verb: str):
        """
        The requester, the subject, a guest and a stranger are refused, and the card says why.
        """
        prompt = _prompt_of(calm)
        assert why in shown(await calm.click(who, verb, activity_id=prompt))
        assert await still_waits(calm, prompt)

    async def test_another_tenants_click_does_not_get_in(self, calm: Teams):
        """
        An activity that names another tenant is refused at the door, whoever it says it is from.
        """
        prompt = _prompt_of(calm)
        elsewhere = {"conversation": {"tenantId": OTHER_TENANT}, "channelData": {"tenant": {"id": OTHER_TENANT}}}
        reply = await calm.click("megan", "approve", activity_id=prompt, changes=elsewhere)

        assert reply["status"] == 403
        assert await still_waits(calm, prompt)

    async def test_somebody_whose_home_is_another_tenant_is_refused(self, calm: Teams):
        """
        The object id of an approver does not help somebody who belongs elsewhere.
        """
        prompt = _prompt_of(calm)
        changes = {"from": {"tenantId": OTHER_TENANT}}
        reply = await calm.click("megan", "approve", activity_id=prompt, changes=changes)

        assert "Only people of this organization may do this." in shown(reply)
        assert await still_waits(calm, prompt)

    async def test_a_click_without_an_object_id_is_refused(self, calm: Teams):
        """
        Teams did not say who pressed, so nobody did.
        """
        prompt = _prompt_of(calm)
        reply = await calm.click("megan", "approve", activity_id=prompt, changes={"from": {"aadObjectId": None}})

        assert "Teams did not say who you are, so you may not do this." in shown(reply)
        assert await still_waits(calm, prompt)

    async def test_card_data_does_not_say_who_somebody_is(self, calm: Teams):
        """
        Sam puts Megan's object id into the card's data and stays Sam.
        """
        prompt = _prompt_of(calm)
        claimed = {"user": MEGAN, "aadObjectId": MEGAN, "by": MEGAN}
        reply = await calm.click("sam", "approve", activity_id=prompt, inputs=claimed)

        assert "You are not on the list of approvers." in shown(reply)
        assert await still_waits(calm, prompt)

    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({"aud": "11111111-2222-4333-8444-555555555555"}, 401),
            ({"iss": "https://sts.windows.net/somebody/"}, 401),
            ({"exp": 1_000_000_000, "nbf": 999_990_000}, 401),
            ({"serviceurl": "https://elsewhere.example/"}, 401),
        ],
    )
    async def test_the_bot_believes_only_tokens_of_the_bot_service(
        self, calm: Teams, changes: dict[str, Any], status: int
    ):
        """
        Another audience, issuer, time or service URL: refused at the door, nothing is done.
        """
        assert await calm.knock(_typed(calm), calm.sandbox.relay.door.token(**changes)) == status

    async def test_the_bot_believes_nobody_without_a_token(self, calm: Teams):
        """
        No token, or something that is none: refused at the door.
        """
        assert await calm.knock(_typed(calm), None) == 401
        assert await calm.knock(_typed(calm), "not.a.token") == 401
        assert await calm.knock(_typed(calm), calm.sandbox.relay.door.token()) == 200

    @pytest.mark.parametrize(
        ("account", "said"),
        [
            ("rita@fabrikam.com", "Rita Guest (rita_fabrikam.com#EXT#@contoso.onmicrosoft.com) is a guest."),
            ("dan", "was deleted. Restore the account first"),
            ("zebedee", "Nobody in the directory has the name or address “zebedee”."),
            ("scanner@contoso.com", "is on the restricted list but has no account here"),
            ("tove", "is blocked by the outbound spam policy until tomorrow 00:00 UTC."),
            ("ines", "ines@contoso.com is not on the restricted list"),
            ("nils", "nils@contoso.com is not on the restricted list"),
            ("alex", "This is your own account. Somebody else must ask for it."),
        ],
    )
    async def test_an_account_with_nothing_to_unblock_is_told_plainly(self, calm: Teams, account: str, said: str):
        """
        The card says what it is instead, never a silent success, and nothing is changed.
        """
        await calm.say("alex", f"unblock {account}", conversation="general")
        assert "Nothing to unblock" in words((await calm.card("general", said))["card"])
        assert await done(calm) == []

    async def test_a_second_request_joins_the_first(self, calm: Teams):
        """
        Asking for Jane again shows the open case and posts no second prompt.
        """
        before = len(await calm.messages("approvals"))
        await calm.say("alex", f"unblock {JANE}")
        await calm.card("alex", lambda said: said.count("Waiting for approval: Jane Doe") > 0)

        assert len(await calm.messages("approvals")) == before

    async def test_a_requester_who_is_not_on_the_list_is_refused(self, calm: Teams):
        """
        Sam may not ask, and is told so.
        """
        await calm.say("sam", "unblock omar")
        assert await calm.card("sam", "You are not on the list of people who may request this.")
        assert await done(calm) == []

    async def test_status_and_cases_and_case_show_how_it_stands(self, calm: Teams):
        """
        By account, as a list, by id: each is answered with a card.
        """
        await calm.say("megan", "status jane")
        status = await calm.card("megan", "Waiting for approval: Jane Doe")
        await calm.say("megan", "cases")
        listed = await calm.card("megan", f"Jane Doe · {case_id_of(status)}")
        seen = {m["activity_id"] for m in await calm.messages("megan")}
        await calm.say("megan", f"case {case_id_of(status)}")
        again = [words(m["card"]) for m in await calm.messages("megan") if m["card"] and m["activity_id"] not in seen]

        assert "Cases" in words(listed["card"])
        assert any("Waiting for approval: Jane Doe" in said for said in again)

    async def test_the_subject_does_not_follow_the_case(self, calm: Teams):
        """
        Whoever has taken Jane's account over does not learn what is known about it.
        """
        await calm.say("jane", "status jane")
        answer = words((await calm.messages("jane"))[-1]["card"])
        assert "Not possible" in answer and "sign-in" not in answer.casefold()

    async def test_help_and_unknown_words_are_answered(self, calm: Teams):
        """
        Help lists what can be typed; what is not understood gets a suggestion or the same list, never silence.
        """
        await calm.say("alex", "help")
        assert await calm.card("alex", "What you can ask")
        await calm.say("alex", "unblok jane")
        assert await calm.card("alex", "Did you mean “unblock jane”?")
        before = len(await calm.messages("alex"))
        await calm.say("alex", "the weather is fine")
        answers = (await calm.messages("alex"))[before + 1 :]
        assert ["What you can ask" in words(m["card"]) for m in answers] == [True]

    async def test_a_case_that_does_not_exist_is_said(self, calm: Teams):
        """
        An id that belongs to no case is no fault, and no silence.
        """
        await calm.say("alex", "case ZZZZZZ")
        assert await calm.card("alex", "There is no such case.")

    async def test_only_an_admin_moves_the_prompts(self, calm: Teams):
        """
        Megan is refused in the channel; Alex, who is an admin, is told when he is in no channel.
        """
        await calm.say("megan", "approvals here", conversation="general")
        assert await calm.card("general", "Only the bot's administrators may do this.")
        await calm.say("alex", "approvals here")
        assert await calm.card("alex", "This is a private chat")


def _typed(teams: Teams) -> dict[str, Any]:
    """Alex's "help" as Teams would deliver it."""
    directory = teams.sandbox.relay.directory
    alex = directory.person("alex")
    place = directory.personal_chat(alex)
    return composer(teams).message(alex, place, place.conversation_id, "help", "en-US")


# --- cancelling, and where prompts go ---


async def test_a_case_is_called_off_by_text(teams: Teams):
    """
    Alex types the id; the cards say who called it off, and nothing is changed.
    """
    await asked(teams)
    case_id = case_id_of(await teams.card("alex", "Waiting for approval: Jane Doe"))
    await teams.say("alex", f"cancel {case_id}")

    cancelled = await teams.card("alex", "Cancelled: Jane Doe stays blocked")
    assert "Called off by Alex Wilber." in words(cancelled["card"])
    assert await teams.card("approvals", "Cancelled: no answer needed for Jane Doe")
    assert await done(teams) == []


async def test_prompts_go_where_an_admin_has_said(teams: Teams):
    """
    "approvals here" in General moves the prompts there.
    """
    await teams.say("alex", "approvals here", conversation="general")
    await teams.card("general", "Approval prompts will be posted in this channel.")
    await teams.say("alex", "unblock omar")

    assert await teams.card("general", "Unblock Omar Said?")
    assert [m for m in await teams.messages("approvals") if m["card"]] == []


async def test_only_the_requester_chooses_the_account(teams: Teams):
    """
    Sam, who may not request, cannot answer Alex's question.
    """
    await teams.say("alex", "unblock adele", conversation="general")
    question = await teams.card("general", "2 accounts fit “adele”")
    choice = {"account": ADELE_BERG}
    refused = await teams.click("sam", "choose", activity_id=question["activity_id"], inputs=choice)

    assert "You are not on the list of people who may request this." in shown(refused)
    assert "2 accounts fit" in words((await teams.card("general", "Which account?"))["card"])
