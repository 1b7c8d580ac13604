"""
Why mail does not leave, over HTTP: each kind of block asked for by account and by pasted bounce, and nothing changed.

Bot and tenant run as in `test_main_job.py`; who stands for which block is told in `services/sandbox/seed_blocks.py`.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.audit import Tag
from services.clock import SystemClock
from services.sandbox.seed import TENANT_ID
from services.store import Store
from tests.integration.test_main_job import asked, done, in_a_hurry, keys, quick_world
from tests.integration.world import Teams, words

__all__ = ["in_a_hurry", "keys"]

BOUNCE = """Your message to bob@fabrikam.example couldn't be delivered.
Generating server: VI1PR08MB0815.eurprd08.prod.outlook.com
Remote Server returned '550 5.1.8 Access denied, bad outbound sender AS(42004)'
From: Jane Doe <jane@contoso.com>
To: Bob <bob@fabrikam.example>"""


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, in_a_hurry: None) -> AsyncIterator[Teams]:
    async with quick_world(keys, tmp_path) as teams:
        yield teams


async def why(teams: Teams, question: str, headline: str, *, locale: str = "en-US") -> str:
    """What the answer says, once there is one with this headline."""
    await teams.say("alex", question, locale=locale)
    return words((await teams.card("alex", headline))["card"])


# --- an account ---


async def test_the_restricted_list_with_the_reason_as_microsoft_spells_it(teams: Teams):
    """
    Known parts have words, unknown ones stand as they are; an admin can lift it.
    """
    said = await why(teams, "why ulf", "on the restricted list")

    assert "Ulf Nord (ulf@contoso.com)" in said and "An admin can lift it" in said
    assert "1,043 external recipients that day." in said
    assert "Microsoft also says: ReputationBand = Low" in said and "Microsoft also says: Escalated" in said
    assert "Microsoft gives no reason." in await why(teams, "why olga", "Olga Lind")
    assert [] == await done(teams)


async def test_the_button_on_the_answer_starts_the_job_like_typing_it(teams: Teams):
    """
    Alex presses it; the case has a card of its own, and the on-call is asked.
    """
    await why(teams, "why ulf", "on the restricted list")

    await teams.click("alex", "start")
    assert await teams.card("approvals", "Unblock Ulf Nord?")
    assert await teams.card("alex", "Waiting for approval: Ulf Nord")
    assert [] == await done(teams)


async def test_a_block_until_tomorrow_whether_listed_or_only_likely(teams: Teams):
    """
    Tove has an entry that ends by itself, Hugo has passed the limit of his policy.
    """
    listed = await why(teams, "varför tove", "Blockerad till i morgon", locale="sv-SE")
    likely = await why(teams, "why is hugo blocked?", "Perhaps blocked until tomorrow")

    assert "Ingen behöver häva den: den upphör av sig själv" in listed and "00:00 UTC" in listed
    assert "600 recipients today; the policy “Events” allows 500." in likely and "00:00 UTC" in likely


async def test_too_many_recipients_and_until_when(teams: Teams):
    """
    The trace alone makes it likely, the bounce makes it certain.
    """
    likely = await why(teams, "why maud", "Probably too many recipients")
    certain = await why(teams, "varför maud 550 5.1.90 Your message can't be sent", "För många mottagare", locale="sv")

    assert "10,400 recipients in the last 24 hours" in likely and "it ends by itself at" in likely
    assert "Rapporten säger" in certain and "5.1.90." in certain


async def test_forwarding_that_the_policy_may_forbid(teams: Teams):
    """
    Fiona's own mail is not blocked; what her mailbox forwards may be, and with 5.7.520 is.
    """
    beside = await why(teams, "why fiona", "Nothing that the bot can read blocks this account")
    bounced = await why(teams, "why fiona Error: 550 5.7.520 Access denied AS(7555)", "Forwarding to outside")

    assert "Mail is forwarded outside, which may not be allowed" in beside
    assert "fiona.hart@oldmail.example" in beside and "leaves it to Microsoft" in beside
    assert "An admin can allow it in the outbound spam policy" in bounced and "AS(7555)" in bounced


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("maud", "Probably too many recipients"),
        ("hugo", "Perhaps blocked until tomorrow"),
        ("fiona", "Mail is forwarded outside, which may not be allowed"),
    ],
)
async def test_to_unblock_who_is_not_restricted_says_what_else_it_can_be(teams: Teams, name: str, cause: str):
    """
    Never a silent success: the case ends with the cause, and nothing was changed.
    """
    await teams.say("alex", f"unblock {name}")

    assert "Nothing to unblock for" in words((await teams.card("alex", cause))["card"])
    assert [] == await done(teams)


async def test_a_connector_is_unblocked_by_typing_its_name(teams: Teams):
    """
    With its own approval; what it is called is enough.
    """
    await teams.say("alex", "unblock connector Scanner relay")
    await teams.card("approvals", "Scanner relay")
    await teams.click("megan", "approve", conversation="approvals")

    await teams.card("alex", lambda said: "Scanner relay" in said and "unblocked" in said.casefold())
    assert ["connector unblock requested", "connector unblocked"] == await done(teams)


async def test_no_block_and_a_code_that_is_none(teams: Teams):
    """
    Ines is on no list; an address that does not exist is no block either.
    """
    nothing = await why(teams, "why ines", "Nothing that the bot can read blocks this account")
    other = await why(teams, "why ines 550 5.1.10 RESOLVER.ADR.RecipientNotFound", "5.1.10 is not a block")

    assert "There is no block to lift." in nothing and "Could not be read" not in nothing
    assert "About the recipient's address" in other and "an unblock would not change it." in other


async def test_what_cannot_be_read_is_said_and_nothing_is_called_certain(teams: Teams):
    """
    Without the message trace it is not known whether Ines has sent too much.
    """
    await teams.fault("forbidden", {"path_regex": "messageTraces"}, times=-1)
    said = await why(teams, "why ines", "No block found, but not everything could be read")

    assert "Could not be read, so it is not ruled out" in said
    assert "What the account has sent (message trace)." in said


async def test_a_tenant_that_never_set_up_the_message_trace_is_told_how(teams: Teams):
    """
    A new tenant answers like one whose app lacks the permission; granting it would change nothing.
    """
    await teams.switch(licences={"message_trace": False})
    said = await why(teams, "why ines", "No block found, but not everything could be read")

    assert "The message trace was never set up in this tenant." in said
    assert "New-MgServicePrincipal -AppId 8bd644d1-64a1-4d4b-ae52-2e0cbf64e373" in said
    assert "lacks the permission" not in said


# --- the tenant ---


async def test_a_blocked_connector_is_asked_about_and_unblocked_from_the_answer(teams: Teams):
    """
    5.7.711 is no matter of a person; the button opens a case for the connector.
    """
    said = await why(teams, "why 550;5.7.711 Access denied, bad inbound connector. AS(2204)", "A connector is blocked")
    assert "88 percent of the mail was spam." in said and "Since " in said

    await teams.click("alex", "unblock_connector")
    assert await teams.card("approvals", lambda text: "connector" in text.casefold() and "Approve" in text)
    assert [] == await done(teams)


async def test_limits_and_restrictions_of_the_whole_tenant(teams: Teams):
    """
    One passes by itself, the other only Microsoft lifts: by its code, or by an open alert whoever is asked about.
    """
    limit = await why(teams, "why 550 5.7.233 Your message can't be sent", "its limit for external recipients")
    report = "550 5.7.705 Access denied, tenant has exceeded threshold"
    stopped = await why(teams, f"varför {report}", "Microsoft har stoppat", locale="sv-SE")
    await teams.switch(alert={"title": "Tenant restricted from sending email"})
    alert = await why(teams, "why ines", "Microsoft has stopped mail from the whole tenant")

    assert "as the mail gets older than 24 hours" in limit
    assert "Only Microsoft Support can lift it." in alert and "Tenant restricted from sending email" in alert
    assert "Bara Microsofts support kan häva den." in stopped


# --- whose bounce it is ---


async def test_a_bounce_names_its_sender(teams: Teams):
    """
    Nobody is typed, and it is Jane's: she is diagnosed.
    """
    said = await why(teams, f"why {BOUNCE}", "on the restricted list")

    assert "Jane Doe (jane@contoso.com)" in said
    assert "Server in the report: VI1PR08MB0815.eurprd08.prod.outlook.com." in said


async def test_a_bounce_with_several_of_ours_asks_whose_it_is(teams: Teams):
    """
    Nobody is guessed.
    """
    said = await why(teams, "why 550 5.1.8 omar@contoso.com ines@contoso.com", "several of your accounts")

    assert "omar@contoso.com" in said and "ines@contoso.com" in said


async def test_several_accounts_and_nobody_are_said(teams: Teams):
    """
    As with every command that takes a name.
    """
    assert "adele.vance@contoso.com" in await why(teams, "why adele", "Several accounts fit")
    assert "xyzzy" in await why(teams, "why xyzzy", "No account to explain")
    codeless = await why(teams, "why your message could not be delivered", "your message could not")
    assert "paste the part with its code as well" in codeless


# --- who may ask ---


async def test_nobody_asks_about_their_own_account_and_strangers_not_at_all(teams: Teams):
    """
    Whoever has taken an account over would see what we know.
    """
    await teams.say("alex", "why alex")
    assert await teams.card("alex", "your own account")
    await teams.say("sam", "why jane")
    assert await teams.card("sam", "Not possible")


async def test_the_audit_trail_says_who_has_asked_about_whom(keys: Path, tmp_path: Path, in_a_hurry: None):
    """
    With what came out, and without the text of the bounce.
    """
    async with quick_world(keys, tmp_path) as teams:
        await why(teams, f"why {BOUNCE}", "on the restricted list")
    store = Store(f"sqlite:///{tmp_path}/unblock.db", SystemClock())
    entries = await store.audit_entries()
    await store.close()
    kept = [entry.details for entry in entries if entry.tag == Tag.DIAGNOSIS_MADE]

    assert 1 == len(kept) and "fabrikam" not in kept[0]
    assert ("jane@contoso.com", ["restricted:seen"]) == (json.loads(kept[0])["upn"], json.loads(kept[0])["causes"])


# --- when Microsoft allows no more unblocks ---


async def test_the_last_unblock_was_used_up_and_people_are_told_what_to_tell_microsoft(teams: Teams):
    """
    Tenant, address, time and Microsoft's own words stand on the card.
    """
    await teams.switch(switches={"remaining_unblocks": 0})
    prompt = await asked(teams, "omar", "Omar Said")
    await teams.click("megan", "approve", activity_id=prompt)
    said = words((await teams.card("alex", "Only Microsoft Support can lift the block"))["card"])

    assert f"tenant {TENANT_ID}, address omar@contoso.com, refused at" in said
    assert "reached the limit" in said
