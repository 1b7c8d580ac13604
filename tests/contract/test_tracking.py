"""Prevention, tracked until done: lists, owners, dates, ticks, reminders and fixes, on both databases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from services.access import Access
from services.approvals import Approvals, DecideApproval
from services.audit import Tag
from services.cases import (
    Action,
    ActionKind,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseKind,
    CaseState,
    PreventionItem,
    PreventionState,
    UnknownReason,
    say,
)
from services.casework import Casework, TickItems
from services.errors import (
    BadDate,
    BadInput,
    BadOwner,
    CheckedByBot,
    NotAllowed,
    NothingToFix,
    PermissionMissing,
    WrongState,
)
from services.ports import Audience
from services.prevention import due
from services.store import Store
from services.tracking import (
    AskFix,
    AssignItems,
    CheckAgain,
    ShowPrevention,
    Tracking,
    end_of_day,
    next_reminder,
    reminders,
    with_defaults,
)
from tests.fakes import given, tools
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, DORA, GARY, JANE, MEGAN, OLGA, SAM, TENANT, FakeDirectory, actor, person
from tests.fakes.policies import policy_for

OPEN, TODO, OK, UNKNOWN = PreventionState.OPEN, PreventionState.TODO, PreventionState.OK, PreventionState.UNKNOWN
FIX = Action(action_id="block_auto_forwarding:1", kind=ActionKind.BLOCK_AUTO_FORWARDING, target={"Default": "On"})


def item(item_id: str, state: PreventionState = OPEN, **fields: object) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=state, summary=say("x"), **fields)


#: The first two concern an account, the others the whole organisation.
ITEMS = (
    item("user_mfa"),
    item("warn_contacts", TODO),
    item("auto_forwarding", fix=ActionKind.BLOCK_AUTO_FORWARDING),
    item("mfa_everyone", UNKNOWN, unknown_reason=UnknownReason.PERMISSION),
    item("unified_audit", OK),
)


@dataclass
class Jobs:
    """Remembers what the services want the durable jobs to do."""

    started: list[str] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)

    async def start(self, case_id: str, prompt_id: str = "") -> None:
        self.started.append(prompt_id or case_id)

    async def begin(self, case_id: str) -> None:
        self.begun.append(case_id)

    async def tell(self, case_id: str) -> None:
        return None


@dataclass
class ScriptedChecks:
    items: tuple[PreventionItem, ...] = ITEMS

    async def check(self, case: Case) -> tuple[PreventionItem, ...]:
        return self.items


@dataclass
class ScriptedFix:
    fault: Exception | None = None

    async def __call__(self, kind: ActionKind, case: Case) -> Action:
        if self.fault is not None:
            raise self.fault
        return FIX.model_copy(update={"kind": kind})


@dataclass
class Desk:
    """The tracking around fakes."""

    store: Store
    clock: FakeClock
    tracking: Tracking
    casework: Casework
    approvals: Approvals
    directory: FakeDirectory
    checks: ScriptedChecks
    fix: ScriptedFix
    jobs: Jobs
    notifier: tools.RecordingNotifier

    async def given(self, **fields: object) -> Case:
        """A case about Jane that Alex asked for, unblocked, with its items read."""
        values = {"state": CaseState.CLOSED, "subject": JANE.subject(), **fields}
        case = given.case(opened_at=self.clock.now(), changed_at=self.clock.now(), **values)
        dressed = case.model_copy(update={"prevention": with_defaults(case, ITEMS)})
        return await self.store.open_case(dressed)

    async def organisation(self, who=ALEX) -> Case:
        case, _ = await self.tracking.show_prevention(ShowPrevention(actor(who)))
        return await self.tracking.check_again(CheckAgain(actor(who), case.case_id))

    async def assign(self, case: Case, *item_ids: str, by=ALEX, **fields: object) -> Case:
        return await self.tracking.assign_items(AssignItems(actor(by), case.case_id, item_ids, **fields))

    async def tick(self, case: Case, *item_ids: str, by=ALEX, done: bool = True) -> Case:
        return await self.casework.tick_items(TickItems(actor(by), case.case_id, item_ids, done))

    async def tags(self, case: Case) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries(case.case_id)]


def of(case: Case, item_id: str) -> PreventionItem:
    return next(one for one in case.prevention if one.item_id == item_id)


@pytest.fixture
def desk(store: Store, clock: FakeClock) -> Desk:
    directory, exchange, notifier = FakeDirectory(), tools.FakeExchange(), tools.RecordingNotifier()
    policy = policy_for(MEGAN.oid, ALEX.oid)
    lists = {"requesters": (ALEX.oid, JANE.oid), "policy": policy, "admins": (OLGA.oid,)}
    access = Access(directory, tenant_id=TENANT, **lists)
    approvals, jobs, checks, fix = Approvals(store, access, clock), Jobs(), ScriptedChecks(), ScriptedFix()
    shared = {"store": store, "clock": clock, "access": access, "notifier": notifier, "tenant_id": TENANT}
    people = {"directory": directory, "senders": exchange, "changes": jobs, "followers": jobs, "policy": policy}
    people["protection"] = tools.FakeProtection()
    casework = Casework(**shared, **people, approvals=approvals, remediation=jobs)
    tracking = Tracking(**shared, **people, readers=casework, prevention=checks, propose=fix)
    return Desk(store, clock, tracking, casework, approvals, directory, checks, fix, jobs, notifier)


# --- lists -----------------------------------------------------------------------------------------------------------


async def test_an_accounts_open_items_belong_to_the_requester_until_their_phase_is_over(desk: Desk) -> None:
    """
    What concerns the account has an owner and a date from the first check on; the organisation's items have neither.
    """
    case = await desk.given()

    assert (actor(ALEX), due("user_mfa", case.opened_at)) == (of(case, "user_mfa").owner, of(case, "user_mfa").due_at)
    assert (None, None) == (of(case, "auto_forwarding").owner, of(case, "auto_forwarding").due_at)


async def test_an_account_has_the_list_of_its_newest_case(desk: Desk) -> None:
    """
    Asked for by name; somebody who has no case has no list.
    """
    case = await desk.given()

    shown, _ = await desk.tracking.show_prevention(ShowPrevention(actor(MEGAN), "jane@contoso.com"))
    nobody, identified = await desk.tracking.show_prevention(ShowPrevention(actor(MEGAN), "sam@contoso.com"))

    assert case.case_id == shown.case_id
    assert (None, SAM.oid) == (nobody, identified.subject.user_oid)


async def test_the_organisation_has_one_list_however_many_ask_at_once(desk: Desk) -> None:
    """
    Made on first use; of ten that ask at the same moment all get the same case.
    """
    asked = (desk.tracking.show_prevention(ShowPrevention(actor(who))) for who in (ALEX, MEGAN) * 5)
    cases = [case for case, _ in await asyncio.gather(*asked)]

    assert 1 == len({case.case_id for case in cases})
    assert (CaseKind.TENANT, CaseState.TRACKING) == (cases[0].kind, cases[0].state)


async def test_checking_again_keeps_who_does_what(desk: Desk) -> None:
    """
    The state is what was read now; owner, date and ticks are those of before.
    """
    case = await desk.tick(await desk.given(), "warn_contacts")
    case = await desk.assign(case, "user_mfa", by=MEGAN)
    desk.checks.items = (item("user_mfa", UNKNOWN, unknown_reason=UnknownReason.FAULT), *ITEMS[1:])

    again = await desk.tracking.check_again(CheckAgain(actor(ALEX), case.case_id))

    assert (UNKNOWN, actor(MEGAN)) == (of(again, "user_mfa").state, of(again, "user_mfa").owner)
    assert PreventionState.TICKED is of(again, "warn_contacts").state
    assert Tag.PREVENTION_CHECKED in await desk.tags(case)


async def test_a_list_that_was_looked_at_is_followed(desk: Desk) -> None:
    """
    From the first check on somebody is reminded; not while a case is at work, which is followed when it is done.
    """
    case = await desk.organisation()
    at_work = await desk.given(state=CaseState.AWAITING_APPROVAL)

    await desk.tracking.check_again(CheckAgain(actor(ALEX), at_work.case_id))

    assert [case.case_id] == desk.jobs.begun


@pytest.mark.parametrize("query", [None, "jane@contoso.com"])
async def test_a_stranger_sees_no_list(desk: Desk, query: str | None) -> None:
    """
    Neither that of an account nor that of the organisation.
    """
    await desk.given()

    with pytest.raises(NotAllowed):
        await desk.tracking.show_prevention(ShowPrevention(actor(SAM), query))


async def test_the_subject_sees_the_organisations_list_and_not_their_own(desk: Desk) -> None:
    """
    Jane may read cases, but whoever has taken her account over must not learn what is open on it.
    """
    case = await desk.given()

    with pytest.raises(NotAllowed):
        await desk.tracking.show_prevention(ShowPrevention(actor(JANE), "jane@contoso.com"))
    with pytest.raises(NotAllowed):
        await desk.assign(case, "user_mfa", by=JANE)


# --- taking care -----------------------------------------------------------------------------------------------------


async def test_whoever_reads_the_list_takes_an_item_on(desk: Desk) -> None:
    """
    An on-call person takes one of the organisation's items, with the date of its phase, on the record, once.
    """
    case = await desk.organisation()

    await desk.assign(case, "auto_forwarding", by=MEGAN)
    case = await desk.assign(case, "auto_forwarding", by=MEGAN)

    taken = of(case, "auto_forwarding")
    assert (actor(MEGAN), due("auto_forwarding", case.opened_at)) == (taken.owner, taken.due_at)
    assert 1 == (await desk.tags(case)).count(Tag.PREVENTION_ASSIGNED)


async def test_an_item_is_given_to_somebody_until_a_day(desk: Desk) -> None:
    """
    Named by address; the day lasts until its end.
    """
    case = await desk.given()
    megan = await desk.tracking.owner_named(actor(ALEX), "megan@contoso.com")

    case = await desk.assign(case, "user_mfa", owner=megan, due_at=end_of_day("2027-01-15"))

    given_away = of(case, "user_mfa")
    assert (MEGAN.oid, datetime(2027, 1, 15, 23, 59, 59, tzinfo=UTC)) == (given_away.owner.user_oid, given_away.due_at)


async def test_an_overdue_item_gets_new_time_with_its_new_owner(desk: Desk) -> None:
    """
    Nobody takes on something that is late already.
    """
    case = await desk.given()
    desk.clock.advance(days=60)

    case = await desk.assign(case, "user_mfa", by=MEGAN)

    assert of(case, "user_mfa").due_at > desk.clock.now()


@pytest.mark.parametrize("text", ["24.12.2026", "tomorrow", "2026-13-01", "2020-01-01", "2062-01-15"])
async def test_a_day_that_is_none_or_over_or_far_off_is_refused(desk: Desk, text: str) -> None:
    """
    Nothing is assigned then.
    """
    case = await desk.given()

    with pytest.raises(BadDate):
        await desk.assign(case, "user_mfa", due_at=end_of_day(text))

    assert Tag.PREVENTION_ASSIGNED not in await desk.tags(case)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nobody@contoso.com", "nobody"),
        ("Mega", "several"),
        (GARY.upn, "cannot_sign_in"),
        (DORA.upn, "cannot_sign_in"),
        (SAM.upn, "may_not_read"),
        (JANE.upn, "subject"),
    ],
)
async def test_not_everybody_can_be_an_owner(desk: Desk, text: str, reason: str) -> None:
    """
    It has to be one person, who can sign in, may see the case and is not whom it is about.
    """
    case, namesake = await desk.given(), person(20, "Megan-Two")
    desk.directory.users[namesake.oid] = namesake

    with pytest.raises(BadOwner) as refusal:
        await desk.assign(case, "user_mfa", owner=await desk.tracking.owner_named(actor(ALEX), text))

    assert reason == refusal.value.reason


@pytest.mark.parametrize("item_ids", [(), ("no_such_item",), ("user_mfa", "auto_forwarding")])
async def test_only_what_the_case_tracks_is_assigned(desk: Desk, item_ids: tuple[str, ...]) -> None:
    """
    The organisation's items are shown with an account, and tracked elsewhere.
    """
    case = await desk.given()

    with pytest.raises(BadInput):
        await desk.assign(case, *item_ids)


async def test_what_was_done_meanwhile_is_left_alone(desk: Desk) -> None:
    """
    Somebody assigns from a card that is a moment old.
    """
    case = await desk.tick(await desk.given(), "warn_contacts")

    after = await desk.assign(case, "warn_contacts", by=MEGAN)

    assert of(case, "warn_contacts") == of(after, "warn_contacts")


# --- ticking ---------------------------------------------------------------------------------------------------------


async def test_a_tick_remembers_who_and_when_and_leaves_the_others(desk: Desk) -> None:
    """
    Two people tick two things one after the other: both stay ticked. One is taken back.
    """
    desk.checks.items = (item("warn_contacts", TODO), item("scan_devices", TODO))
    case = await desk.given()
    case = await desk.tracking.check_again(CheckAgain(actor(ALEX), case.case_id))

    await desk.tick(case, "warn_contacts", by=MEGAN)
    case = await desk.tick(case, "scan_devices")
    assert (actor(MEGAN), desk.clock.now()) == (
        of(case, "warn_contacts").ticked_by,
        of(case, "warn_contacts").ticked_at,
    )

    case = await desk.tick(case, "scan_devices", done=False)
    assert [PreventionState.TICKED, TODO] == [one.state for one in case.prevention[:2]]


async def test_what_the_bot_reads_cannot_be_ticked_and_what_it_cannot_read_can(desk: Desk) -> None:
    """
    Somebody looked in the portal and says so; taken back, it is unknown again and not something to do.
    """
    case = await desk.organisation()

    with pytest.raises(CheckedByBot):
        await desk.tick(case, "auto_forwarding")
    case = await desk.tick(case, "mfa_everyone", by=MEGAN)
    assert (PreventionState.TICKED, actor(MEGAN)) == (
        of(case, "mfa_everyone").state,
        of(case, "mfa_everyone").ticked_by,
    )
    assert UNKNOWN is of(await desk.tick(case, "mfa_everyone", done=False), "mfa_everyone").state


# --- reminders -------------------------------------------------------------------------------------------------------


async def test_each_owner_is_reminded_once_a_week(desk: Desk) -> None:
    """
    Every Monday at seven in the morning, under an id that names the week and the person.
    """
    case = await desk.assign(await desk.given(), "user_mfa", by=MEGAN)

    assert [(Audience.OWNER, ALEX.oid), (Audience.OWNER, MEGAN.oid)] == sorted(
        (news.audience, news.person) for news in reminders(case, desk.clock.now())
    )
    ids = {news.news_id for day in (0, 3, 7) for news in reminders(case, datetime(2026, 11, 23 + day, tzinfo=UTC))}
    assert {f"reminder:2026-W{week}:{oid}" for week in (48, 49) for oid in (ALEX.oid, MEGAN.oid)} == ids


async def test_what_nobody_takes_on_is_told_to_the_on_call(desk: Desk) -> None:
    """
    The organisation's list has no requester to remind.
    """
    case = await desk.organisation()

    (news,) = reminders(case, desk.clock.now())

    assert (Audience.ON_CALL, "") == (news.audience, news.person)


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ((2026, 11, 24, 3), (2026, 11, 30, 7)),
        ((2026, 11, 30, 6), (2026, 11, 30, 7)),
        ((2026, 11, 30, 7), (2026, 12, 7, 7)),
        ((2026, 12, 27, 23), (2026, 12, 28, 7)),
    ],
)
async def test_the_next_reminder_is_on_a_monday_morning(
    desk: Desk, now: tuple[int, ...], then: tuple[int, ...]
) -> None:
    """
    The first one after the moment that is asked about.
    """
    case = await desk.given()

    assert datetime(*then, tzinfo=UTC) == next_reminder(case, datetime(*now, tzinfo=UTC))


async def test_there_is_no_reminder_when_all_is_done(desk: Desk) -> None:
    """
    Items of the organisation do not keep an account's case alive.
    """
    case = await desk.given()
    desk.checks.items = (item("user_mfa", OK), *ITEMS[1:])
    await desk.tracking.check_again(CheckAgain(actor(ALEX), case.case_id))

    case = await desk.tick(case, "warn_contacts")

    assert (None, ()) == (next_reminder(case, desk.clock.now()), reminders(case, desk.clock.now()))


# --- fixes -----------------------------------------------------------------------------------------------------------


async def test_a_fix_is_asked_for_once_and_decided_by_another(desk: Desk) -> None:
    """
    Two clicks are one question, about exactly this change; who asked does not approve, although on the list.
    """
    case = await desk.organisation()
    order = AskFix(actor(ALEX), case.case_id, "auto_forwarding")

    await desk.tracking.ask_fix(order)
    case = await desk.tracking.ask_fix(order)

    (prompt,) = case.pending(ApprovalPurpose.FIX)
    assert ((FIX.action_id,), (FIX,)) == (prompt.about, case.fixes)
    assert {prompt.prompt_id} == set(desk.jobs.started)
    with pytest.raises(NotAllowed):
        await desk.approvals.decide(DecideApproval(prompt.claim, actor(ALEX), True))
    case = await desk.approvals.decide(DecideApproval(prompt.claim, actor(MEGAN), True))
    assert ApprovalState.GRANTED is case.prompt(prompt.prompt_id).state
    assert 1 == (await desk.tags(case)).count(Tag.FIX_ASKED)


@pytest.mark.parametrize(("who", "allowed"), [(ALEX, True), (OLGA, True), (MEGAN, False), (SAM, False)])
async def test_requesters_and_admins_ask_for_fixes(desk: Desk, who, allowed: bool) -> None:
    """
    Whoever only approves, or is nobody, is refused on the record.
    """
    case = await desk.organisation()
    order = AskFix(actor(who), case.case_id, "auto_forwarding")

    if allowed:
        assert (await desk.tracking.ask_fix(order)).fixes
        return
    with pytest.raises(NotAllowed):
        await desk.tracking.ask_fix(order)
    assert Tag.REQUEST_REFUSED in await desk.tags(case)


@pytest.mark.parametrize("item_id", ["mfa_everyone", "unified_audit", "no_such_item"])
async def test_there_is_no_fix_for_what_is_in_place_or_takes_people(desk: Desk, item_id: str) -> None:
    """
    A forged button asks for nothing.
    """
    case = await desk.organisation()

    with pytest.raises(BadInput):
        await desk.tracking.ask_fix(AskFix(actor(ALEX), case.case_id, item_id))


@pytest.mark.parametrize("fault", [NothingToFix(), PermissionMissing("exchange")])
async def test_a_fix_that_cannot_be_built_is_not_asked_for(desk: Desk, fault: Exception) -> None:
    """
    It is so already, or cannot be read: whoever asked learns which, and the on-call is not bothered.
    """
    case, desk.fix.fault = await desk.organisation(), fault

    with pytest.raises(type(fault)):
        await desk.tracking.ask_fix(AskFix(actor(ALEX), case.case_id, "auto_forwarding"))

    assert () == (await desk.store.case(case.case_id)).approvals


async def test_no_setting_is_changed_under_a_case_at_work(desk: Desk) -> None:
    """
    The containment may be changing the same thing at that moment.
    """
    case = await desk.given(state=CaseState.AWAITING_APPROVAL)

    with pytest.raises(WrongState):
        await desk.tracking.ask_fix(AskFix(actor(ALEX), case.case_id, "user_mfa"))
