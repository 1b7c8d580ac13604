"""
The three steps, durable, on both databases: real DBOS, real store, fakes for Microsoft and Teams.

Each test drives by orders and looks at the case, at what was asked of Microsoft, and at the audit trail.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from dbos import DBOS

from services import durable
from services.access import Access
from services.approvals import Approvals, DecideApproval
from services.audit import Tag, verify
from services.cases import (
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseState,
    PreventionState,
    plan_hash,
)
from services.casework import QUICK_CHECK_S, CancelCase, Casework, ChooseAccount, OpenCase, TickItems
from services.changes import ChangeJobs
from services.clients.exchange_models import BlockedConnector, BlockedSender
from services.errors import (
    AlreadyDecided,
    BadInput,
    NotAllowed,
    PermissionMissing,
    PromptOutdated,
    Rejected,
    Unavailable,
    WrongState,
)
from services.follow_up import FollowUps
from services.remediation import Remediation, Timing, Tools
from services.store import Store
from tests.fakes import given, tools
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, OLGA, SAM, TENANT, FakeDirectory, actor, person
from tests.fakes.policies import ONE_APPROVER, policy_for

#: Long enough for a slow machine, short enough to fail a test that would hang.
PATIENCE_S = 20.0


@dataclass
class World:
    """The services around fakes, as app.py joins them around real things."""

    store: Store
    clock: FakeClock
    directory: FakeDirectory
    exchange: tools.FakeExchange
    investigation: tools.FakeInvestigation
    containment: tools.FakeContainment
    notifier: tools.RecordingNotifier
    remediation: Remediation
    changes: ChangeJobs
    followers: FollowUps
    trace: tools.FakeTrace
    protection: tools.FakeProtection
    casework: Casework

    async def case_in(self, case_id: str, *states: CaseState) -> Case:
        """The case once it is in one of these states."""
        return await self.until(case_id, lambda case: case.state in states)

    async def until(self, case_id: str, holds: Callable[[Case], object]) -> Case:
        """The case once this holds for it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                case = await self.store.case(case_id)
                if holds(case):
                    return case
                # Asking more often would take the processor from what is waited for.
                await asyncio.sleep(0.04)

    async def ask(self, who=ALEX, query: str = "jane") -> Case:
        case = await self.casework.open_case(OpenCase(by=actor(who), query=query))
        await self.casework.begin(case.case_id)
        return case

    async def asked(self) -> Case:
        """A case about Jane whose prompt was posted."""
        case = await self.ask()
        async with asyncio.timeout(PATIENCE_S):
            while not self.notifier.prompts:
                await asyncio.sleep(0.01)
        return await self.case_in(case.case_id, CaseState.AWAITING_APPROVAL)

    async def decide(self, prompt: Approval, who=MEGAN, *, granted: bool = True, reason: str = "") -> Case:
        order = DecideApproval(claim=prompt.claim, by=actor(who), granted=granted, reason=reason)
        return await self.casework.decide_approval(order)

    async def tags(self, case_id: str) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries(case_id)]


@asynccontextmanager
async def built(
    store: Store,
    clock: FakeClock,
    database_url: str,
    *,
    investigation=None,
    propose=tools.propose,
    base_policy=ONE_APPROVER,
) -> AsyncIterator[World]:
    """The services around fakes, launched."""
    directory, exchange, notifier = FakeDirectory(), tools.blocked_jane(), tools.RecordingNotifier()
    policy = policy_for(MEGAN.oid, OLGA.oid, ALEX.oid, base=base_policy)
    access = Access(
        directory,
        tenant_id=TENANT,
        requesters=(ALEX.oid, JANE.oid),
        policy=policy,
        admins=(),
    )
    investigation, containment = investigation or tools.FakeInvestigation(), tools.FakeContainment()
    trace, prevention = tools.FakeTrace(clock), tools.FakePrevention()
    protection = tools.FakeProtection()
    followers = FollowUps(store, notifier, clock, trace)
    changes = ChangeJobs(store, notifier, clock, access, containment, prevention)
    remediation = Remediation(
        Tools(
            store=store,
            clock=clock,
            notifier=notifier,
            access=access,
            directory=directory,
            exchange=exchange,
            investigation=investigation,
            decide=tools.decide,
            propose=propose,
            containment=containment,
            prevention=prevention,
            diagnoses=tools.FakeDiagnoses(),
            followers=followers,
            protection=protection,
            policy=policy,
            timing=Timing(verify_interval_s=0.02, verify_timeout_s=0.2),
        )
    )
    casework = Casework(
        store=store,
        clock=clock,
        access=access,
        approvals=Approvals(store, access, clock),
        remediation=remediation,
        changes=changes,
        policy=policy,
        protection=protection,
        followers=followers,
        notifier=notifier,
        directory=directory,
        senders=exchange,
        tenant_id=TENANT,
    )
    jobs = (remediation, changes, followers)
    for job in jobs:
        job.take_charge()
    durable.set_up(database_url, "test")
    durable.launch()
    try:
        yield World(
            store=store,
            clock=clock,
            directory=directory,
            exchange=exchange,
            investigation=investigation,
            containment=containment,
            notifier=notifier,
            remediation=remediation,
            changes=changes,
            followers=followers,
            trace=trace,
            protection=protection,
            casework=casework,
        )
    finally:
        for job in jobs:
            await job.stop()
        durable.shut_down()


@pytest.fixture
async def world(store: Store, clock: FakeClock, database_url: str) -> AsyncIterator[World]:
    async with built(store, clock, database_url) as world:
        yield world


async def test_the_whole_job_from_the_request_to_the_proof(world: World) -> None:
    """
    Asked, investigated, approved, contained, unblocked, proven, prevention listed: in this order, each once.
    """
    case = await world.asked()
    await world.decide(case.approvals[0])

    done = await world.case_in(case.case_id, CaseState.UNBLOCKED)
    done = await world.until(case.case_id, lambda case: case.prevention)

    assert ["revoke_sessions", "reset_password"] == world.containment.carried_out
    assert [JANE.upn] == world.exchange.removed
    assert {ActionState.PROVEN} == {action.state for action in done.actions}
    tags = await world.tags(case.case_id)
    assert tags.index(Tag.APPROVAL_GRANTED) < tags.index(Tag.ACTION_PROVEN) < tags.index(Tag.UNBLOCK_VERIFIED)
    assert verify(*await world.store.audit_trail()) == len(tags)


async def test_the_prompt_goes_to_those_who_may_answer_it(world: World) -> None:
    """
    The requester is on the list of approvers and is not asked all the same.
    """
    await world.asked()

    ((_, people),) = world.notifier.prompts
    assert {MEGAN.oid, OLGA.oid} == set(people)


async def test_nothing_runs_before_the_approval_and_nothing_after_a_denial(world: World) -> None:
    """
    Denied: the account stays as it is, the case says by whom and why.
    """
    case = await world.asked()
    assert ([], []) == (world.containment.carried_out, world.exchange.removed)

    await world.decide(case.approvals[0], granted=False, reason="call her first")

    denied = await world.case_in(case.case_id, CaseState.DENIED)
    assert ([], []) == (world.containment.carried_out, world.exchange.removed)
    assert "call her first" == denied.outcome.params["reason"]


async def test_second_clicks_change_nothing(world: World) -> None:
    """
    Twenty clicks of two people at once: one decision, each action once.
    """
    case = await world.asked()

    clicks = [world.decide(case.approvals[0], who) for who in (MEGAN, OLGA) * 10]
    results = await asyncio.gather(*clicks, return_exceptions=True)
    await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert {Case, AlreadyDecided} == {type(result) for result in results}
    assert ["revoke_sessions", "reset_password"] == world.containment.carried_out
    assert [JANE.upn] == world.exchange.removed


@pytest.mark.parametrize("who", [ALEX, JANE, SAM], ids=["requester", "subject", "stranger"])
async def test_the_wrong_person_cannot_decide(world: World, who) -> None:
    """
    Refused clicks are on the record, and the prompt still waits.
    """
    case = await world.asked()

    with pytest.raises(NotAllowed):
        await world.decide(case.approvals[0], who)

    assert CaseState.AWAITING_APPROVAL == (await world.store.case(case.case_id)).state
    assert Tag.CLICK_REFUSED in await world.tags(case.case_id)


async def test_a_prompt_expires(world: World) -> None:
    """
    Nobody answers in time: the case says so and a late click has no effect.
    """
    case = await world.asked()
    world.clock.advance(minutes=61)
    await world.remediation.tell(case.case_id)

    expired = await world.case_in(case.case_id, CaseState.EXPIRED)

    assert ApprovalState.EXPIRED == expired.approvals[0].state
    with pytest.raises(PromptOutdated):
        await world.decide(case.approvals[0])


async def test_the_requester_can_call_it_off(world: World) -> None:
    """
    Cancelled before the approval: the prompt is over. After the approval it is too late.
    """
    case = await world.asked()

    await world.casework.cancel_case(CancelCase(by=actor(ALEX), case_id=case.case_id))

    assert ApprovalState.CANCELLED == (await world.store.case(case.case_id)).approvals[0].state
    with pytest.raises(PromptOutdated):
        await world.decide(case.approvals[0])


async def test_what_has_begun_cannot_be_called_off(world: World) -> None:
    """
    An order that comes too late is refused.
    """
    case = await world.asked()
    await world.decide(case.approvals[0])

    with pytest.raises(WrongState):
        await world.casework.cancel_case(CancelCase(by=actor(ALEX), case_id=case.case_id))


async def test_a_stranger_opens_no_case(world: World) -> None:
    """
    Who is not on the list of requesters is refused, on the record.
    """
    with pytest.raises(NotAllowed):
        await world.ask(SAM)

    assert [Tag.REQUEST_REFUSED] == [entry.tag for entry in await world.store.audit_entries()]


async def test_nobody_asks_for_their_own_account(world: World) -> None:
    """
    Jane is a requester, but not for herself.
    """
    case = await world.ask(JANE)

    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO)
    assert "outcome.own_account" == ended.outcome.key


async def test_the_second_request_for_an_account_joins_the_first(world: World) -> None:
    """
    One account, one open case, however often it is asked for.
    """
    first = await world.asked()

    second = await world.ask()
    joined = await world.case_in(second.case_id, CaseState.NOTHING_TO_DO)

    assert first.case_id == joined.joined_to
    assert 1 == len(world.notifier.prompts)


async def test_requests_at_the_same_moment_make_one_case(world: World) -> None:
    """
    Five requests at once: one case goes on, four join it.
    """
    cases = await asyncio.gather(*(world.ask() for _ in range(5)))

    ended = [await world.case_in(c.case_id, CaseState.AWAITING_APPROVAL, CaseState.NOTHING_TO_DO) for c in cases]

    (going_on,) = [case for case in ended if case.state is CaseState.AWAITING_APPROVAL]
    assert {going_on.case_id} == {case.joined_to for case in ended if case is not going_on}


async def test_of_several_accounts_the_requester_chooses(world: World) -> None:
    """
    Two people called Adele: a choice, and then the case goes on with the chosen one.
    """
    adeles = [person(11, "AdeleVance", display_name="Adele Vance"), person(12, "AdeleBerg", display_name="Adele Berg")]
    world.directory.users |= {adele.oid: adele for adele in adeles}
    world.exchange.entries[adeles[1].upn] = BlockedSender(sender_address=adeles[1].upn, reason_raw="")
    case = await world.ask(query="adele")
    choosing = await world.case_in(case.case_id, CaseState.CHOOSING)
    assert 2 == len(choosing.candidates)

    with pytest.raises(BadInput):
        await world.casework.choose_account(ChooseAccount(actor(ALEX), case.case_id, MEGAN.oid))
    await world.casework.choose_account(ChooseAccount(actor(ALEX), case.case_id, adeles[1].oid))

    assert adeles[1].oid == (await world.case_in(case.case_id, CaseState.AWAITING_APPROVAL)).subject.user_oid


@pytest.mark.parametrize(
    ("query", "said"),
    [("zorro", "outcome.nobody"), ("gary", "outcome.guest"), ("sam", "outcome.no_block")],
)
async def test_what_cannot_be_unblocked_is_said(world: World, query: str, said: str) -> None:
    """
    Nobody, a guest, no block: each ends with its own sentence, never with a silent success.
    """
    case = await world.ask(query=query)

    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO)
    assert said == ended.outcome.key


async def test_other_blocks_are_told_apart(world: World) -> None:
    """
    Until tomorrow, a blocked connector, an unreadable list: none of them is "no block".
    """
    world.exchange.entries[SAM.upn] = BlockedSender(sender_address=SAM.upn, reason_raw="", temporary=True)
    case = await world.ask(query="sam")
    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO)
    assert "outcome.until_tomorrow" == ended.outcome.key

    world.exchange.connectors = (BlockedConnector(connector_id="c-1", reason_raw=""),)
    case = await world.ask(query="olga")
    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO)
    assert "outcome.connector" == ended.outcome.key

    world.exchange.read_fault = PermissionMissing("exchange")
    case = await world.ask(query="olga")
    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO)
    assert "outcome.list_unreadable" == ended.outcome.key


async def test_an_unproven_containment_locks_step_2(world: World) -> None:
    """
    A failed action does not stop the others, and nothing is unblocked.
    """
    world.containment.ends["revoke_sessions"] = [ActionState.FAILED]
    case = await world.asked()
    await world.decide(case.approvals[0])

    locked = await world.case_in(case.case_id, CaseState.LOCKED)

    assert ["revoke_sessions", "reset_password"] == world.containment.carried_out
    assert [] == world.exchange.removed
    assert ApprovalPurpose.OVERRIDE is locked.pending_approval.purpose


async def test_the_lock_opens_by_itself_when_all_is_proven(world: World) -> None:
    """
    A person does on-premises what the bot cannot; once re-read, the case goes on and the override prompt is over.
    """
    world.containment.ends["reset_password"] = [ActionState.WAITING_FOR_PERSON]
    case = await world.asked()
    await world.decide(case.approvals[0])
    locked = await world.case_in(case.case_id, CaseState.LOCKED)

    await world.remediation.tell(case.case_id)

    done = await world.case_in(case.case_id, CaseState.UNBLOCKED)
    override = next(a for a in done.approvals if a.prompt_id == locked.pending_approval.prompt_id)
    assert ApprovalState.SUPERSEDED == override.state


async def test_a_second_approver_can_override_the_lock(world: World) -> None:
    """
    Megan approved the plan, so only Olga can lift the lock; both stand in the audit.
    """
    world.containment.ends["revoke_sessions"] = [ActionState.FAILED] * 5
    case = await world.asked()
    await world.decide(case.approvals[0], MEGAN)
    locked = await world.case_in(case.case_id, CaseState.LOCKED)

    with pytest.raises(NotAllowed):
        await world.decide(locked.pending_approval, MEGAN, reason="it is fine")
    await world.decide(locked.pending_approval, OLGA, reason="verified by telephone")

    await world.case_in(case.case_id, CaseState.UNBLOCKED)
    entries = await world.store.audit_entries(case.case_id)
    overridden = next(entry for entry in entries if entry.tag == Tag.CASE_OVERRIDDEN)
    assert (OLGA.oid, True) == (overridden.actor_oid, "verified by telephone" in overridden.details)


async def test_the_list_is_read_until_the_entry_is_gone(world: World) -> None:
    """
    Exchange takes its time: unblocked is said only after the entry was seen to be gone, and it is removed once.
    """
    world.exchange.vanishes_after = 4
    case = await world.asked()
    await world.decide(case.approvals[0])

    await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert ([JANE.upn], 0) == (world.exchange.removed, world.exchange.vanishes_after)


async def test_an_entry_that_remains_is_no_success(world: World) -> None:
    """
    The entry never goes away: the case says so, and the unblock was not sent again.
    """
    world.exchange.vanishes_after = 10**6
    case = await world.asked()
    await world.decide(case.approvals[0])

    ended = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)

    assert ([JANE.upn], "outcome.entry_remains_verifying") == (world.exchange.removed, ended.outcome.key)


async def test_a_removal_that_never_arrived_is_sent_once_more(world: World) -> None:
    """
    No answer, and the list shows the entry all the time: sent again, once, and then it is gone.
    """
    world.exchange.remove_fault, world.exchange.fails_once = Unavailable("exchange"), True
    case = await world.asked()
    await world.decide(case.approvals[0])

    await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert [JANE.upn, JANE.upn] == world.exchange.removed


async def test_a_removal_is_sent_twice_at_most(world: World) -> None:
    """
    Exchange never answers and the entry stays: after the second time it is left to people.
    """
    world.exchange.remove_fault = Unavailable("exchange")
    case = await world.asked()
    await world.decide(case.approvals[0])

    ended = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)

    assert ([JANE.upn, JANE.upn], "outcome.entry_remains_verifying") == (world.exchange.removed, ended.outcome.key)


async def test_another_entry_of_the_account_is_no_success(world: World) -> None:
    """
    The entry under the UPN is gone, one under an alias is still there: not unblocked, and the card says which.
    """
    alias = "jane.doe@contoso.com"
    world.directory.users[JANE.oid] = JANE.model_copy(update={"aliases": (alias,)})
    world.exchange.entries[alias] = BlockedSender(sender_address=alias, reason_raw="")
    case = await world.asked()
    await world.decide(case.approvals[0])

    ended = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)

    assert ("outcome.another_entry_restricted", alias) == (ended.outcome.key, ended.outcome.params["address"])


async def test_a_lost_answer_is_followed_by_looking(world: World) -> None:
    """
    The unblock worked and its answer was lost: it is not sent twice.
    """
    world.exchange.remove_fault, world.exchange.removes_all_the_same = Unavailable("exchange"), True
    case = await world.asked()
    await world.decide(case.approvals[0])

    await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert [JANE.upn] == world.exchange.removed


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (Rejected("exchange", detail="The unblock limit was exceeded."), "action.unblock.limit_exceeded"),
        (Rejected("exchange", detail="No."), "action.unblock.refused"),
        (PermissionMissing("exchange"), "action.unblock.refused"),
    ],
)
async def test_a_refused_unblock_says_why(world: World, fault, said: str) -> None:
    """
    Microsoft's refusal ends the case in words, with the limit told apart from the rest.
    """
    world.exchange.remove_fault = fault
    case = await world.asked()
    await world.decide(case.approvals[0])

    ended = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)

    assert said == ended.outcome.key
    assert [JANE.upn] == world.exchange.removed


async def test_an_unexpected_fault_ends_the_case_in_words(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A fault of our own leaves no case hanging and shows nobody a stack trace.
    """

    async def broken(case: Case, action: object) -> object:
        raise ZeroDivisionError

    case = await world.asked()
    monkeypatch.setattr(world.containment, "carry_out", broken)
    await world.decide(case.approvals[0])

    ended = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)

    assert ("outcome.fault", []) == (ended.outcome.key, world.exchange.removed)


async def test_an_undeliverable_prompt_is_said_on_the_card(world: World) -> None:
    """
    Nobody could be asked: the requester sees it instead of waiting in vain.
    """
    world.notifier.reachable = False
    case = await world.asked()

    async with asyncio.timeout(PATIENCE_S):
        while (await world.store.case(case.case_id)).outcome is None:
            await asyncio.sleep(0.01)

    assert "outcome.prompt_undelivered" == (await world.store.case(case.case_id)).outcome.key
    assert Tag.PROMPT_UNDELIVERED in await world.tags(case.case_id)


async def test_manual_items_are_ticked_and_unticked_on_the_record(world: World) -> None:
    """
    Who ticked what is kept; what the bot checks itself cannot be ticked.
    """
    case = await world.asked()
    await world.decide(case.approvals[0])
    await world.until(case.case_id, lambda case: case.prevention)

    ticked = await world.casework.tick_items(TickItems(actor(MEGAN), case.case_id, ("warn_contacts",)))
    assert (PreventionState.TICKED, actor(MEGAN)) == (ticked.prevention[1].state, ticked.prevention[1].ticked_by)

    unticked = await world.casework.tick_items(TickItems(actor(ALEX), case.case_id, ("warn_contacts",), done=False))
    assert PreventionState.TODO == unticked.prevention[1].state
    with pytest.raises(BadInput):
        await world.casework.tick_items(TickItems(actor(ALEX), case.case_id, ("user_mfa",)))


async def test_the_subject_does_not_read_along(world: World) -> None:
    """
    Jane may request, so she may read cases, but not her own: an attacker would.
    """
    case = await world.asked()

    assert [] == await world.casework.cases_for(actor(JANE))
    for question in (
        world.casework.case_for(actor(JANE), case.case_id),
        world.casework.last_case_of(actor(JANE), "jane"),
    ):
        with pytest.raises(NotAllowed):
            await question
    assert [case.case_id] == [c.case_id for c in await world.casework.cases_for(actor(MEGAN))]


async def test_an_unfinished_case_goes_on_after_a_stop(world: World, database_url: str) -> None:
    """
    The program stops while the approval waits; the decision falls meanwhile; after the start the case goes on.
    """
    case = await world.asked()
    await world.remediation.stop()
    durable.shut_down()

    await Approvals(world.store, world.casework._access, world.clock).decide(
        DecideApproval(claim=case.approvals[0].claim, by=actor(MEGAN), granted=True)
    )
    world.remediation.take_charge()
    durable.set_up(database_url, "test")
    durable.launch()
    await world.remediation.take_up_open_cases("test")

    await world.case_in(case.case_id, CaseState.UNBLOCKED)
    assert [JANE.upn] == world.exchange.removed
    assert 1 == world.investigation.runs


async def test_a_case_whose_workflow_never_began_is_begun(world: World) -> None:
    """
    Stored, and then killed: the next start takes it up.
    """
    case = await world.casework.open_case(OpenCase(by=actor(ALEX), query="jane"))

    await world.remediation.take_up_open_cases("test")

    await world.case_in(case.case_id, CaseState.AWAITING_APPROVAL)


async def test_a_case_whose_workflow_has_died_is_ended_at_the_start(world: World, monkeypatch) -> None:
    """
    The database was away while the fault was to be written down: the case does not stay open and hold its account.
    """

    async def broken(*_: object) -> object:
        raise ZeroDivisionError

    case = await world.asked()
    with monkeypatch.context() as patched:
        patched.setattr(world.remediation, "_give_up", broken)
        patched.setattr(world.remediation, "_containment_ids", broken)
        await world.decide(case.approvals[0])
        async with asyncio.timeout(PATIENCE_S):
            while (await DBOS.get_workflow_status_async(case.case_id)).status != "ERROR":
                await asyncio.sleep(0.01)

    await world.remediation.take_up_open_cases("test")

    ended = await world.store.case(case.case_id)
    assert (CaseState.NOT_UNBLOCKED, "outcome.fault") == (ended.state, ended.outcome.key)


async def test_a_case_of_the_program_before_an_update_is_ended_and_says_so(
    world: World, database_url: str, monkeypatch
) -> None:
    """
    Other steps cannot take up where the old ones stopped: the case ends, nothing is done, and the account is free.
    """
    case = await world.asked()
    await world.remediation.stop()
    durable.shut_down()

    with monkeypatch.context() as patched:
        patched.setattr(durable, "WORKFLOW_VERSION", "later")
        patched.setattr("services.remediation.WORKFLOW_VERSION", "later")
        durable.set_up(database_url, "test")
        durable.launch()
        await world.remediation.take_up_open_cases("test")

    ended = await world.store.case(case.case_id)
    assert (CaseState.NOT_UNBLOCKED, "outcome.updated") == (ended.state, ended.outcome.key)
    assert [] == world.containment.carried_out


async def test_an_address_that_could_not_be_looked_up_leaves_the_block_unknown(world: World, monkeypatch) -> None:
    """
    The entry may stand under an alias; without the aliases "not on the list" would be a guess.
    """
    world.exchange.entries = {"jd@contoso.com": BlockedSender(sender_address="jd@contoso.com", reason_raw="")}

    async def down(_: str) -> object:
        raise Unavailable("graph")

    case = await world.casework.open_case(OpenCase(by=actor(ALEX), query=JANE.oid))
    found = world.directory.users[JANE.oid]

    async def once(_: str) -> object:
        monkeypatch.setattr(world.directory, "get_user", down)
        return found

    monkeypatch.setattr(world.directory, "by_id_or_upn", once)
    await world.casework.begin(case.case_id)

    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO, CaseState.AWAITING_APPROVAL)
    assert "outcome.list_unreadable" == ended.outcome.key


async def test_what_is_tried_again_behind_the_lock_is_on_the_record(world: World) -> None:
    """
    Every change is written down before and after, the repeated ones too.
    """
    world.containment.ends["revoke_sessions"] = [ActionState.FAILED]
    case = await world.asked()
    await world.decide(case.approvals[0])
    await world.case_in(case.case_id, CaseState.LOCKED)

    await world.remediation.tell(case.case_id)

    await world.case_in(case.case_id, CaseState.UNBLOCKED)
    assert ["revoke_sessions", "reset_password", "revoke_sessions"] == world.containment.carried_out
    started = [tag for tag in await world.tags(case.case_id) if tag == Tag.ACTION_STARTED]
    assert 3 + 1 == len(started)


async def test_an_unblock_that_never_left_is_sent_when_the_line_is_back(world: World) -> None:
    """
    No connection, so certainly nothing was sent: that is no lost answer.
    """
    world.exchange.remove_fault = Unavailable("exchange", reached=False)
    case = await world.asked()
    await world.decide(case.approvals[0])
    async with asyncio.timeout(PATIENCE_S):
        while not world.exchange.removed:
            await asyncio.sleep(0.005)
    world.exchange.remove_fault, world.exchange.vanishes_after = None, 1

    await world.case_in(case.case_id, CaseState.UNBLOCKED)
    assert [JANE.upn] * 2 == world.exchange.removed


async def test_two_runs_of_one_step_send_one_unblock(world: World, monkeypatch) -> None:
    """
    A survivor takes over while the former replica still lives: the entry is removed once and the case goes on.
    """
    case = await world.asked()
    monkeypatch.setattr(world.remediation, "_remove_entry", world.remediation._state)
    monkeypatch.setattr(world.remediation, "_look_for_entry", world.remediation._state)
    (prompt,) = (await world.store.case(case.case_id)).approvals
    agreed = {"approved": tuple(a.action_id for a in given.PLAN), "approved_hash": plan_hash(given.PLAN)}
    granted = prompt.model_copy(update={"state": ApprovalState.GRANTED, "decided_by": actor(MEGAN), **agreed})
    await world.store.change_case(
        case.case_id,
        lambda case: (case.with_approval(granted).model_copy(update={"state": CaseState.UNBLOCKING}), []),
    )

    states = await asyncio.gather(*(Remediation._remove_entry(world.remediation, case.case_id) for _ in range(3)))

    assert {CaseState.VERIFYING} == set(states)
    assert [JANE.upn] == world.exchange.removed


async def test_choosing_an_account_with_an_open_case_joins_it(world: World) -> None:
    """
    The second case for an account becomes the first one, also when it was found by a choice.
    """
    first = await world.asked()
    others = person(11, "Jane2", display_name="Jane Two")
    world.directory.users[others.oid] = others
    second = await world.ask(query="jan")
    await world.case_in(second.case_id, CaseState.CHOOSING)

    joined = await world.casework.choose_account(ChooseAccount(actor(ALEX), second.case_id, JANE.oid))

    assert (CaseState.NOTHING_TO_DO, first.case_id) == (joined.state, joined.joined_to)


async def test_nobody_chooses_their_own_account(world: World) -> None:
    """
    Jane is a requester and one of the candidates: another one has to choose her.
    """
    others = person(11, "Jane2", display_name="Jane Two")
    world.directory.users[others.oid] = others
    case = await world.ask(query="jan")
    await world.case_in(case.case_id, CaseState.CHOOSING)

    with pytest.raises(NotAllowed):
        await world.casework.choose_account(ChooseAccount(actor(JANE), case.case_id, JANE.oid))


async def test_a_case_can_be_called_off_before_its_workflow_began(world: World) -> None:
    """
    The card is posted first, and somebody may be quick.
    """
    case = await world.casework.open_case(OpenCase(by=actor(ALEX), query="jane"))

    await world.casework.cancel_case(CancelCase(by=actor(ALEX), case_id=case.case_id))

    await world.casework.begin(case.case_id)
    await world.case_in(case.case_id, CaseState.CANCELLED)


async def test_a_listed_requester_need_not_wait_for_a_slow_directory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The first card comes at once; whether the account may ask is checked before anything else is done.
    """
    answered = asyncio.Event()
    ask = world.directory.get_user

    async def slow(id_or_upn: str):
        await answered.wait()
        return await ask(id_or_upn)

    monkeypatch.setattr(world.directory, "get_user", slow)
    world.directory.users[ALEX.oid] = ALEX.model_copy(update={"account_enabled": False})

    async with asyncio.timeout(QUICK_CHECK_S * 4):
        case = await world.ask()
    assert CaseState.IDENTIFYING == case.state
    answered.set()

    ended = await world.case_in(case.case_id, CaseState.NOTHING_TO_DO)
    assert ("refusal.disabled", 0) == (ended.outcome.key, world.investigation.runs)
