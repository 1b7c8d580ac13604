"""Who must approve what, in time, exactly once: over real HTTP, pressed in Teams. The clock is the test's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app import running
from services import remediation
from services.audit import Tag, verify
from services.cases import ApprovalState, Case, CaseState
from services.sandbox.seed import ALEX, GUEST, INES, JANE, MAIL_RESPONDERS, MEGAN, ON_CALL_TEAM, SAM
from services.sandbox.state import GLOBAL_ADMINISTRATOR, Group, RiskyUser
from services.sandbox.teams import start_teams
from services.sandbox.teams_cards import find_button
from services.settings import Settings
from services.store import Store
from tests.databases import prepared_sqlite
from tests.fakes.sandboxed import FAST
from tests.integration.test_main_job import (
    EVERYTHING_FOR_JANE,
    OTHER_TENANT,
    asked,
    done,
    keys,
    press_as_posted,
    shown,
    still_waits,
)
from tests.integration.world import PATIENCE_S, Teams, free_port, settings_for, words

__all__ = ["keys"]

#: What applies when nobody wrote anything: high impact needs two different approvers. Jane's plan has high impact.
BY_DEFAULT: dict[str, Any] = {}
#: One approver for everything.
ONE = {"rules": [{"approvers": 1}], "override": {"approvers": 1}}
NIGHT_SHIFT = "9b200000-0000-4000-8000-0000000000aa"


class Here:
    """A tenant, Teams, and a bot that can be started again; all live by one clock."""

    def __init__(self, teams: Teams, settings: Settings) -> None:
        self.teams = teams
        self.tenant = teams.sandbox.sandbox.tenant
        self._settings = settings
        self._bot = AsyncExitStack()
        self.store = Store(settings.database_url.get_secret_value(), self.tenant.clock)

    async def start(self) -> None:
        await self._bot.enter_async_context(running(self._settings, self.tenant.clock))

    async def stop(self) -> None:
        await self._bot.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def later(self, minutes: float) -> None:
        """So much later the bot looks again, as it would by itself."""
        await self.teams.switch(advance_s=minutes * 60)
        assert remediation._in_charge is not None
        await remediation._in_charge.tell((await self.case()).case_id)

    async def case(self) -> Case:
        """The newest case, as it is stored."""
        return (await self.store.cases(limit=1))[0]

    async def until(self, holds: Callable[[Case], object]) -> Case:
        """The newest case, once this holds for it."""
        async with asyncio.timeout(PATIENCE_S):
            while not holds(case := await self.case()):
                await asyncio.sleep(0.02)
        return case

    async def tags(self) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries((await self.case()).case_id)]

    async def why_refused(self) -> list[str]:
        """The reasons of the clicks that were refused, by the audit trail."""
        entries = await self.store.audit_entries((await self.case()).case_id)
        return [json.loads(entry.details)["reason"] for entry in entries if entry.tag == Tag.CLICK_REFUSED]

    async def press(self, who: str, verb: str, prompt: str, **more: Any) -> str:
        return shown(await self.teams.click(who, verb, activity_id=prompt, **more))


@asynccontextmanager
async def _house(keys: Path, folder: Path, approvals: dict[str, Any], **more: Any) -> AsyncIterator[Here]:
    async with AsyncExitStack() as closing:
        port = free_port()
        sandbox = await start_teams(keys, bot_endpoint=f"http://127.0.0.1:{port}/api/messages")
        closing.push_async_callback(sandbox.close)
        session = await closing.enter_async_context(aiohttp.ClientSession())
        people = {"approvers": f"{MEGAN},{INES}", "approvals": json.dumps(approvals)} | more
        here = Here(
            Teams(session, sandbox), settings_for(sandbox, keys, prepared_sqlite(folder / "unblock.db"), port, **people)
        )
        await here.start()
        closing.push_async_callback(here.store.close)
        closing.push_async_callback(here.stop)
        await sandbox.relay.announce_when_up()
        await here.teams.switch(switches={"throttling": False, "audit_query_polls": 0})
        yield here


Open = Callable[..., Awaitable[Here]]


@pytest.fixture
async def house(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens a house with this policy: `await house(ONE)`. Megan and Ines approve unless it says otherwise."""
    monkeypatch.setattr("services.clients.http.LANES", FAST)
    async with AsyncExitStack() as closing:

        async def opened(approvals: dict[str, Any], **more: Any) -> Here:
            return await closing.enter_async_context(_house(keys, tmp_path, approvals, **more))

        yield opened


async def said_by_cards(here: Here, part: str, *places: str) -> None:
    """Every card in these places comes to say so."""
    for place in places:
        await here.teams.card(place, part)


# --- how many ---


async def test_high_impact_needs_two_different_approvers(house: Open) -> None:
    """
    After Megan nothing has happened yet; after Ines everything has, once.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    await here.press("megan", "approve", prompt)
    assert await still_waits(here.teams, prompt)
    await here.press("ines", "approve", prompt)
    await here.teams.card("alex", "Jane Doe is unblocked")

    assert EVERYTHING_FOR_JANE == await done(here.teams)
    tags = await here.tags()
    assert tags.index(Tag.APPROVAL_VOTED) < tags.index(Tag.APPROVAL_GRANTED) < tags.index(Tag.ACTION_STARTED)
    assert [MEGAN, INES] == [vote.by.user_oid for vote in (await here.case()).approvals[0].votes]


async def test_one_person_is_one_approver_however_often_they_press(house: Open) -> None:
    """
    Megan presses three times: one approval, and the question is still open.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    for _ in range(3):
        await press_as_posted(here.teams, "megan", "approve", prompt)

    assert await still_waits(here.teams, prompt)
    assert 1 == (await here.tags()).count(Tag.APPROVAL_VOTED)


async def test_who_ticks_other_boxes_starts_the_count_anew(house: Open) -> None:
    """
    Both must agree to the same list: Ines leaves everything out that can be, so Megan is asked for that too.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    await here.press("megan", "approve", prompt)
    await here.press("ines", "approve", prompt, inputs={"actions": ""})
    assert await still_waits(here.teams, prompt)
    await here.press("megan", "approve", prompt, inputs={"actions": ""})
    await here.teams.card("alex", "Jane Doe is unblocked")

    assert "inbox rule disabled" not in await done(here.teams)


async def test_the_second_approver_can_say_no(house: Open) -> None:
    """
    One denial is enough, whoever agreed before. Alex is told who and why in a message of its own.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    await here.press("megan", "approve", prompt)
    await here.press("ines", "deny", prompt, inputs={"reason": "Call her first"})

    await said_by_cards(here, "Denied: Jane Doe", "alex", "approvals", "megan")
    assert "Call her first" in words((await here.teams.card("alex", "Ines Falk said no: Call her first"))["card"])
    assert [] == await done(here.teams)


async def test_the_first_approver_can_change_their_mind(house: Open) -> None:
    """
    Megan approved and then denies before anybody else has answered: it is over.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    await here.press("megan", "approve", prompt)
    await here.press("megan", "deny", prompt, inputs={"reason": "Wrong Jane"})

    case = await here.until(lambda case: case.state is CaseState.DENIED)
    assert (MEGAN, "Wrong Jane") == (case.approvals[0].decided_by.user_oid, case.approvals[0].reason)


# --- who ---


async def ask_for_audit_to_be_switched_on(here: Here) -> str:
    """Alex asks for a change of low impact; the prompt's activity id."""
    await here.teams.switch(organisation={"audit_disabled": True})
    await here.teams.say("alex", "prevention")
    board = await here.teams.card("alex", lambda said: "Prevention for" in said and "Checked " in said)
    item = {"value": {"action": {"data": {"item": "mailbox_audit"}}}}
    await here.press("alex", "fix", board["activity_id"], changes=item)
    return (await here.teams.card("approvals", "change one setting?"))["activity_id"]


async def test_who_asks_may_approve_what_has_low_impact_where_the_policy_says_so(house: Open) -> None:
    """
    Alex switches mailbox auditing on, alone.
    """
    rules = {"rules": [{"impact": "low", "self_approval": True}]}
    here = await house(rules, approvers=f"{ALEX},{MEGAN}")
    prompt = await ask_for_audit_to_be_switched_on(here)

    await here.press("alex", "approve", prompt)

    await here.teams.card("alex", lambda said: "Prevention for" in said and "Proven" in said)
    assert ["organisation changed"] == await done(here.teams)


async def test_who_asks_never_approves_otherwise(house: Open) -> None:
    """
    Alex is an approver, and the impact is low; without a word in the policy somebody else must decide.
    """
    here = await house(BY_DEFAULT, approvers=f"{ALEX},{MEGAN}")
    prompt = await ask_for_audit_to_be_switched_on(here)

    refused = await here.press("alex", "approve", prompt)

    assert "You asked for this, so somebody else must decide." in refused
    assert [] == await done(here.teams)


async def test_who_asks_is_no_second_approver(house: Open) -> None:
    """
    Self-approval for low impact does not reach a plan of high impact.
    """
    rules = {"rules": [{"impact": "low", "self_approval": True}]}
    here = await house(rules, approvers=f"{ALEX},{MEGAN}")
    prompt = await asked(here.teams)

    await here.press("megan", "approve", prompt)
    assert "You asked for this" in await here.press("alex", "approve", prompt)

    assert await still_waits(here.teams, prompt)


@pytest.mark.parametrize(
    ("who", "reason", "said"),
    [
        ("jane", "subject", "This case is about your own account"),
        ("sam", "not_approver", "You are not on the list of approvers."),
        (GUEST, "guest", "Guests may not do this."),
    ],
    ids=["subject", "stranger", "guest"],
)
async def test_these_never_count_and_are_told_why(house: Open, who: str, reason: str, said: str) -> None:
    """
    Subject and guest stand on the list of approvers, and it does not help them. A vote that is there stays.
    """
    here = await house(BY_DEFAULT, approvers=f"{MEGAN},{INES},{JANE},{GUEST}")
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)

    assert said in await here.press(who, "approve", prompt)

    assert [reason] == await here.why_refused()
    assert await still_waits(here.teams, prompt)


async def test_people_of_other_tenants_never_count(house: Open) -> None:
    """
    The object id of an approver does not help: neither somebody from elsewhere nor an activity from elsewhere.
    """
    here = await house(ONE)
    prompt = await asked(here.teams)
    from_elsewhere = {"from": {"tenantId": OTHER_TENANT}}
    elsewhere = {"conversation": {"tenantId": OTHER_TENANT}, "channelData": {"tenant": {"id": OTHER_TENANT}}}

    assert "Only people of this organization" in await here.press("megan", "approve", prompt, changes=from_elsewhere)
    refused = await here.teams.click("megan", "approve", activity_id=prompt, changes=elsewhere)

    assert 403 == refused["status"]
    assert await still_waits(here.teams, prompt)


def _risky(here: Here) -> None:
    now = here.tenant.clock.now()
    here.tenant.risky_users.append(RiskyUser(MEGAN, "high", "atRisk", "none", now))


def _disabled(here: Here) -> None:
    here.tenant.recipient("megan@contoso.com").account_enabled = False


def _restricted(here: Here) -> None:
    here.tenant.block("megan@contoso.com", "OutboundSpamLast24Hours=801", temporary=False)


@pytest.mark.parametrize(("falls", "reason"), [(_risky, "risky"), (_disabled, "disabled"), (_restricted, "restricted")])
async def test_an_approver_in_trouble_does_not_count(house: Open, falls: Callable[[Here], None], reason: str) -> None:
    """
    Looked up when Megan clicks: when the card was sent there was nothing wrong with her account.
    """
    here = await house(ONE)
    prompt = await asked(here.teams)
    falls(here)

    await here.press("megan", "approve", prompt)

    assert [reason] == await here.why_refused()
    assert await still_waits(here.teams, prompt)


async def test_an_approval_does_not_count_any_more_when_its_giver_has_fallen(house: Open) -> None:
    """
    Megan agreed and was disabled before Ines did: whoever held her account may have been the attacker.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)
    _disabled(here)

    await here.press("ines", "approve", prompt)

    assert await still_waits(here.teams, prompt)
    assert [INES] == [vote.by.user_oid for vote in (await here.case()).approvals[0].votes]


async def test_an_account_that_cannot_be_checked_does_not_count(house: Open) -> None:
    """
    Whether Megan is restricted is not known, and unknown is not clean.
    """
    here = await house(ONE)
    prompt = await asked(here.teams)
    await here.teams.fault("forbidden", {"cmdlet": "Get-BlockedSenderAddress"}, times=-1)

    assert "could not be checked" in await here.press("megan", "approve", prompt)

    assert ["cannot_check"] == await here.why_refused()
    assert await still_waits(here.teams, prompt)


async def test_membership_counts_when_the_button_is_pressed(house: Open) -> None:
    """
    The group is inside another. Ines came in after the card was sent and may; Megan went out and may not.
    """
    here = await house(ONE, approvers=MAIL_RESPONDERS)
    prompt = await asked(here.teams)
    (team,) = [group for group in here.tenant.groups if group.oid == ON_CALL_TEAM]
    team.members = [INES]

    assert "You are not on the list of approvers." in await here.press("megan", "approve", prompt)
    await here.press("ines", "approve", prompt)

    await here.teams.card("alex", "Jane Doe is unblocked")


# --- accounts that need more care ---


async def test_a_vip_needs_two_where_one_would_do(house: Open) -> None:
    """
    Omar's plan is of medium impact, and he is in a group of accounts that need two.
    """
    here = await house(ONE | {"protected": {"vip": {"accounts": [NIGHT_SHIFT], "approvers": 2}}})
    omar = here.tenant.recipient("omar@contoso.com").oid
    here.tenant.groups.append(Group(NIGHT_SHIFT, "Board of directors", [omar]))
    prompt = await asked(here.teams, "omar", "Omar Said")

    await here.press("megan", "approve", prompt)
    assert await still_waits(here.teams, prompt)
    await here.press("ines", "approve", prompt)

    await here.teams.card("alex", "Omar Said is unblocked")


async def test_an_emergency_account_is_never_changed(house: Open) -> None:
    """
    Nobody can approve it, whoever presses and whatever button there is; saying no is possible.
    """
    here = await house(ONE | {"protected": {"break_glass": {"accounts": [JANE], "approvers": "never"}}})
    await here.teams.say("alex", "unblock jane")
    prompt = (await here.teams.card("approvals", "Jane Doe"))["activity_id"]
    (question,) = (await here.case()).approvals

    for who in ("megan", "ines"):
        order = {"value": {"action": {"verb": "approve"}}}  # the card may have no such button, and it must not help
        await here.press(who, "deny", prompt, changes=order)

    assert question.never is not None
    assert ["never", "never"] == await here.why_refused()
    await here.press("megan", "deny", prompt)
    await here.until(lambda case: case.state is CaseState.DENIED)
    assert [] == await done(here.teams)


async def test_admins_need_two(house: Open) -> None:
    """
    Grace holds a directory role, which is read when her case begins.
    """
    here = await house(ONE | {"protected": {"admins": {"approvers": 2}}})
    prompt = await asked(here.teams, "grace", "Grace Hopp")

    await here.press("megan", "approve", prompt)

    assert await still_waits(here.teams, prompt)
    assert 2 == (await here.case()).approvals[0].needed


async def test_who_is_an_admin_through_a_group_needs_two(house: Open) -> None:
    """
    Omar holds no role himself; who has his account could use those of his group.
    """
    here = await house(ONE | {"protected": {"admins": {"approvers": 2}}})
    omar = here.tenant.recipient("omar@contoso.com").oid
    here.tenant.groups.append(Group(NIGHT_SHIFT, "Helpers", [omar], eligible_role_ids=[GLOBAL_ADMINISTRATOR]))
    prompt = await asked(here.teams, "omar", "Omar Said")

    await here.press("megan", "approve", prompt)

    assert await still_waits(here.teams, prompt)
    assert ("admins",) == (await here.case()).protected


# --- in time ---


def timed(**moments: Any) -> dict[str, Any]:
    """Megan is asked first, after a quarter of an hour Ines too, then Sam; over after an hour."""
    return ONE | {
        "from": [MEGAN],
        "chain": [[INES], [SAM]],
        "escalate_after_minutes": [15, 30],
        "expire_after_minutes": 60,
        **moments,
    }


async def test_a_question_that_nobody_answers_expires(house: Open) -> None:
    """
    All copies say so, Alex is told, and a click on an old screen does nothing.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)
    await here.later(minutes=61)

    await said_by_cards(here, "Expired: nobody answered for Jane Doe", "approvals", "megan", "alex")
    assert "Expired" in await press_as_posted(here.teams, "ines", "approve", prompt)
    assert [] == await done(here.teams)


async def test_a_question_is_brought_back_to_mind(house: Open) -> None:
    """
    Once, when its time has come: it stands there anew, and either copy can be answered.
    """
    here = await house(ONE | {"remind_after_minutes": 10})
    prompt = await asked(here.teams)
    await here.later(minutes=11)
    await here.until(lambda case: case.approvals[0].reminded == 1)
    await here.later(minutes=1)

    copies = [m for m in await here.teams.messages("approvals") if "Unblock Jane Doe?" in words(m["card"])]
    assert 2 == len(copies) and 1 == (await here.tags()).count(Tag.PROMPT_REMINDED)
    await here.press("ines", "approve", prompt)
    await here.teams.card("alex", "Jane Doe is unblocked")


async def test_the_next_level_may_answer_only_when_it_is_asked(house: Open) -> None:
    """
    Ines is too early at first, and Sam even when Ines is not. Megan may still answer.
    """
    here = await house(timed())
    await here.teams.say("ines", "hello")
    prompt = await asked(here.teams)
    await here.press("ines", "approve", prompt)
    await here.later(minutes=16)
    await here.until(lambda case: case.approvals[0].level == 1)
    await here.teams.card("ines", "Unblock Jane Doe?")
    await here.press("sam", "approve", prompt)

    assert ["not_asked", "not_asked"] == await here.why_refused()
    assert 1 == (await here.tags()).count(Tag.PROMPT_ESCALATED)
    await here.press("megan", "approve", prompt)
    await here.teams.card("alex", "Jane Doe is unblocked")


async def test_who_was_asked_later_may_answer(house: Open) -> None:
    """
    The chain is at its end: Sam answers, whom nobody asked at first.
    """
    here = await house(timed())
    prompt = await asked(here.teams)
    await here.later(minutes=31)
    await here.later(minutes=0)
    await here.until(lambda case: case.approvals[0].level == 2)

    await here.press("sam", "approve", prompt)

    await here.teams.card("alex", "Jane Doe is unblocked")


def hours_that_are_over(now: datetime, **outside: Any) -> dict[str, Any]:
    """People are at work in three days, for an hour."""
    day = (now + timedelta(days=3)).strftime("%a").lower()
    return {"hours": {"days": [day], "from": "08:00", "to": "09:00", "time_zone": "UTC", "outside": outside}}


async def test_outside_the_hours_more_must_agree(house: Open) -> None:
    """
    One is enough at work; at night it is two.
    """
    here = await house(ONE | hours_that_are_over(datetime.now().astimezone(), approvers=2))
    prompt = await asked(here.teams, "omar", "Omar Said")

    await here.press("megan", "approve", prompt)
    assert await still_waits(here.teams, prompt)
    await here.press("ines", "approve", prompt)

    await here.teams.card("alex", "Omar Said is unblocked")


async def test_outside_the_hours_the_time_can_stand_still(house: Open) -> None:
    """
    After five hours the question is still open, since nobody was at work.
    """
    here = await house(ONE | hours_that_are_over(datetime.now().astimezone(), wait=True))
    prompt = await asked(here.teams, "omar", "Omar Said")
    await here.later(minutes=300)

    await here.press("megan", "approve", prompt)

    await here.teams.card("alex", "Omar Said is unblocked")
    assert "unblock requested" in await done(here.teams)


# --- once ---


async def test_a_case_that_is_called_off_asks_nobody_any_more(house: Open) -> None:
    """
    With one approval there already: all copies say who called it off, and the second approval does nothing.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)
    await here.teams.click("alex", "cancel")

    await said_by_cards(here, "Cancelled: no answer needed for Jane Doe", "approvals", "megan")
    assert "Cancelled" in await press_as_posted(here.teams, "ines", "approve", prompt)
    assert [] == await done(here.teams)


async def test_a_plan_that_changes_is_asked_anew(house: Open) -> None:
    """
    The inbox rules are read late and add to the plan. Megan's approval was for another list, so both are asked again.
    """
    here = await house(BY_DEFAULT, reading_wait_seconds=0.3)
    await here.teams.fault("slow", {"cmdlet": "Get-InboxRule"}, seconds=3, times=-1)
    old = await asked(here.teams)
    await here.press("megan", "approve", old)
    await here.until(lambda case: case.reading_ended_at and len(case.approvals) > 1)
    new = await here.teams.card("approvals", lambda said: "Unblock Jane Doe?" in said and "sync" in said)
    await here.teams.mend()

    assert "Replaced: answer the newer request" in await press_as_posted(here.teams, "ines", "approve", old)
    assert [] == await done(here.teams)
    for who in ("megan", "ines"):
        await here.press(who, "approve", new["activity_id"])
    await here.teams.card("alex", "Jane Doe is unblocked")
    *earlier, last = (await here.case()).approvals
    assert {ApprovalState.SUPERSEDED} == {prompt.state for prompt in earlier}
    assert (ApprovalState.GRANTED, 2) == (last.state, len(last.votes))


async def test_clicks_that_come_again_are_one_click(house: Open) -> None:
    """
    Both approvers press twice, Teams delivers each click four times at once under new ids: two approvals, one decision.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    def storm(who: str) -> Awaitable[Any]:
        return here.teams.click(who, "approve", activity_id=prompt, repeat=4, at_once=True, new_ids=True)

    answers = await asyncio.gather(*map(storm, ["megan", "megan", "ines", "ines"]))
    await here.teams.card("alex", "Jane Doe is unblocked")

    assert {200} == {reply["status"] for answer in answers for reply in answer["deliveries"]}
    assert EVERYTHING_FOR_JANE == await done(here.teams)
    tags = await here.tags()
    assert (1, 1) == (tags.count(Tag.APPROVAL_VOTED), tags.count(Tag.APPROVAL_GRANTED))
    assert verify(*await here.store.audit_trail())


async def test_a_click_from_before_is_replayed_after_the_end(house: Open) -> None:
    """
    The same invoke under a new id, when all is done: the answer is the card as it is, and nothing is done again.
    """
    here = await house(ONE)
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)
    await here.teams.card("alex", "Jane Doe is unblocked")
    before = await done(here.teams)

    answer = await press_as_posted(here.teams, "megan", "approve", prompt)

    assert "Approved: unblock Jane Doe" in answer
    assert before == await done(here.teams)


async def test_an_approval_survives_a_restart(house: Open) -> None:
    """
    Megan agreed before the bot was stopped and Ines after it was started again.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)
    await here.restart()

    assert await still_waits(here.teams, prompt)
    await here.press("ines", "approve", prompt)

    await here.teams.card("alex", "Jane Doe is unblocked")
    assert EVERYTHING_FOR_JANE == await done(here.teams)


async def test_what_came_due_while_the_bot_was_down_is_done_at_its_start(house: Open) -> None:
    """
    The question expired meanwhile.
    """
    here = await house(ONE)
    await asked(here.teams)
    await here.stop()
    await here.teams.switch(advance_s=61 * 60)
    await here.start()

    await said_by_cards(here, "Expired: nobody answered for Jane Doe", "approvals", "alex")


# --- when somebody is away ---


def on_shift(**more: Any) -> dict[str, str]:
    source = {"kind": "shifts", "team": ON_CALL_TEAM, "scheduling_group": "TAG_mail"}
    return {"oncall": json.dumps({"sources": [source], "fallback_group": NIGHT_SHIFT})}


async def test_when_the_source_of_the_on_call_is_down_the_last_known_answer_counts(house: Open) -> None:
    """
    Megan is on shift when the question is asked; when she presses, Shifts cannot be read any more.
    """
    here = await house(ONE | {"from": ["oncall"]}, **on_shift())
    prompt = await asked(here.teams)
    await here.teams.fault("forbidden", {"path_regex": "/schedule/"}, times=-1)
    await here.teams.switch(advance_s=300)

    await here.press("megan", "approve", prompt)

    await here.teams.card("alex", "Jane Doe is unblocked")


async def test_who_comes_on_call_is_asked_and_who_goes_has_approved(house: Open) -> None:
    """
    Megan approves and hands over to Ines, who finds the question in her own chat. Two have agreed, one after the other.
    """
    source = {"kind": "group", "group": ON_CALL_TEAM}
    team = {"oncall": json.dumps({"sources": [source], "fallback_group": NIGHT_SHIFT})}
    here = await house({"from": ["oncall"]}, **team)
    (group,) = [group for group in here.tenant.groups if group.oid == ON_CALL_TEAM]
    group.members = [MEGAN]
    await here.teams.say("ines", "hello")
    prompt = await asked(here.teams)
    await here.press("megan", "approve", prompt)
    group.members = [INES]
    await here.later(minutes=2)

    await here.teams.card("ines", "Unblock Jane Doe?")
    case = await here.until(lambda case: case.approvals[0].asked == (INES,))
    assert ("Ines Falk",) == case.approvals[0].asked_names
    await here.press("ines", "approve", prompt)
    await here.teams.card("alex", "Jane Doe is unblocked")


async def test_when_nothing_was_ever_known_the_fallback_group_is_asked(house: Open) -> None:
    """
    Shifts is down from the start: Ines of the fallback group may approve, and Megan, on shift, may not.
    """
    here = await house(ONE | {"from": ["oncall"]}, **on_shift())
    here.tenant.groups.append(Group(NIGHT_SHIFT, "Night shift", [INES]))
    await here.teams.fault("forbidden", {"path_regex": "/schedule/"}, times=-1)
    prompt = await asked(here.teams)

    assert "You are not on the list of approvers." in await here.press("megan", "approve", prompt)
    await here.press("ines", "approve", prompt)

    await here.teams.card("alex", "Jane Doe is unblocked")


async def test_when_nobody_is_known_nobody_may_and_it_is_not_called_a_setting(house: Open) -> None:
    """
    Shifts is down and the fallback group is gone: that is a fault that passes, and the click is refused as such.
    """
    here = await house(ONE | {"from": ["oncall"]}, **on_shift())
    await here.teams.fault("forbidden", {"path_regex": "/schedule/"}, times=-1)
    prompt = await asked(here.teams)

    await here.press("megan", "approve", prompt)

    assert ["cannot_check"] == await here.why_refused()


async def test_who_is_on_no_list_sees_the_state_without_buttons(house: Open) -> None:
    """
    Sam reads along in the channel: Teams asks for his own view, and it is the card that stands there, with nothing to
    press.
    """
    here = await house(BY_DEFAULT)
    prompt = await asked(here.teams)

    reply = await here.teams.click("sam", "refresh", refresh=True, activity_id=prompt)

    assert "Unblock Jane Doe?" in shown(reply) and "may neither ask" not in shown(reply)
    assert find_button(reply["body"]["value"], "approve") is None


async def test_a_yes_to_a_question_that_was_replaced_is_no_yes_to_the_new_one(house: Open) -> None:
    """
    Megan has read the first plan and types what stood on its card, or no letters at all; meanwhile a slow signal has
    made it another plan.
    """
    here = await house(ONE, reading_wait_seconds=0.3)
    await here.teams.fault("slow", {"cmdlet": "Get-InboxRule"}, seconds=3, times=-1)
    await asked(here.teams)
    seen = (await here.case()).approvals[0]
    await here.until(lambda case: case.reading_ended_at and len(case.approvals) > 1)

    await here.teams.say("megan", f"approve {seen.typed_id}")
    await here.teams.card("megan", "Replaced: answer the newer request")
    await here.teams.say("megan", f"approve {seen.case_id}")
    await here.teams.card("megan", "Nothing was decided.")

    assert ApprovalState.PENDING is (await here.case()).approvals[-1].state


async def test_a_lock_is_lifted_by_the_word_override_alone(house: Open) -> None:
    """
    What each has typed for the plan comes again, and so does "approve" with the letters of the new question: it counts
    nothing. "override" with those letters and a reason does.
    """
    here = await house(BY_DEFAULT)
    await here.teams.fault("forbidden", {"cmdlet": "Disable-InboxRule"}, times=-1)
    await asked(here.teams)
    plan = (await here.case()).approvals[0]
    for who in ("megan", "ines"):
        await here.teams.say(who, f"approve {plan.typed_id} looks right")
    case = await here.until(lambda case: case.state is CaseState.LOCKED and len(case.approvals) > 1)
    lock = case.approvals[-1]

    for who in ("megan", "ines"):
        await here.teams.say(who, f"approve {plan.typed_id} looks right")
        await here.teams.say(who, f"approve {lock.typed_id} looks right")
        await here.teams.card(who, "Nothing was decided.")
    assert () == (await here.case()).prompt(lock.prompt_id).votes
    await here.teams.say("megan", f"override {lock.typed_id} reset by telephone")
    await here.teams.say("ines", f"åsidosätt {lock.typed_id} återställt per telefon", locale="sv-SE")

    await here.teams.card("alex", "Jane Doe is unblocked")


async def test_a_card_that_teams_refuses_becomes_a_text(house: Open) -> None:
    """
    The channel takes no card: the question stands there in words, and can be answered by typing.
    """
    here = await house(ONE, approvers=INES)
    await here.teams.teams_fault(400, "create", times=100)
    await here.teams.say("alex", "unblock omar")
    case = await here.until(lambda case: case.approvals and case.approvals[0].posted_at)
    said = [m["activity"].get("text", "") for m in await here.teams.messages("approvals") if not m["card"]]

    assert any(f"approve {case.approvals[0].typed_id}" in text for text in said), said
    assert Tag.PROMPT_UNDELIVERED not in await here.tags()


async def test_who_cannot_be_reached_is_passed_over(house: Open) -> None:
    """
    Neither the channel nor Megan's chat takes anything: Ines is asked at once, and the audit trail says why.
    """
    here = await house(timed())
    await here.teams.say("ines", "hello")
    directory = here.teams.sandbox.relay.directory
    unreachable = (directory.approvals_id, directory.personal_chat(directory.person("megan")).conversation_id)
    for place in unreachable:
        await here.teams.teams_fault(403, "", times=1000, conversation=place, code="MessageWritesBlocked")
    await here.teams.say("alex", "unblock omar")
    prompt = (await here.teams.card("ines", "Unblock Omar Said?"))["activity_id"]

    await here.press("ines", "approve", prompt)

    await here.teams.card("alex", "Omar Said is unblocked")
    entries = await here.store.audit_entries((await here.case()).case_id)
    whys = [json.loads(entry.details)["why"] for entry in entries if entry.tag == Tag.PROMPT_ESCALATED]
    assert ["undeliverable"] == whys


async def test_a_level_that_cannot_be_reached_later_on_is_passed_over_too(house: Open) -> None:
    """
    Megan has the question. When it is passed on, neither the channel nor Ines takes anything, and Sam has no chat.
    """
    here = await house(timed())
    await here.teams.say("ines", "hello")
    await asked(here.teams)
    directory = here.teams.sandbox.relay.directory
    for place in (directory.approvals_id, directory.personal_chat(directory.person("ines")).conversation_id):
        await here.teams.teams_fault(403, "", times=1000, conversation=place, code="MessageWritesBlocked")
    await here.later(minutes=16)
    case = await here.until(lambda case: case.approvals[0].asked_level == 2)

    assert 1 == (await here.tags()).count(Tag.PROMPT_UNDELIVERED)
    assert case.outcome is None or "outcome.prompt_undelivered" != case.outcome.key
    entries = await here.store.audit_entries(case.case_id)
    whys = [json.loads(entry.details)["why"] for entry in entries if entry.tag == Tag.PROMPT_ESCALATED]
    assert ["no_answer", "undeliverable"] == whys


async def test_a_question_that_reaches_nobody_is_on_the_record(house: Open) -> None:
    """
    No level can be reached: Alex reads that on his card, and so does whoever reads the audit trail.
    """
    here = await house(timed())
    for place in ("create", ""):
        directory = here.teams.sandbox.relay.directory
        megan = directory.personal_chat(directory.person("megan")).conversation_id
        where = {"conversation": directory.approvals_id if place else megan}
        await here.teams.teams_fault(403, "", times=1000, code="MessageWritesBlocked", **where)
    await here.teams.say("alex", "unblock omar")

    await here.teams.card("alex", "The question could not be delivered to anybody who may approve")
    assert Tag.PROMPT_UNDELIVERED in await here.tags()
