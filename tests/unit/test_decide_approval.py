"""One decision on a prompt: recorded once, by the right person, for exactly the list that was shown."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from services.access import Access
from services.approvals import Approvals, DecideApproval, decided, settled_without_decision
from services.audit import Tag
from services.cases import Action, ActionKind, ActionState, ApprovalState, Case, CaseState, Verdict, VerdictLabel
from services.errors import AlreadyDecided, BadInput, NotAllowed, PromptOutdated
from services.store import Store
from tests.databases import prepared_sqlite
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, OLGA, SAM, TENANT, FakeDirectory, actor
from tests.fakes.policies import policy_for


def order(case: Case, who=MEGAN, *, granted: bool = True, reason: str = "") -> DecideApproval:
    return DecideApproval(claim=case.approvals[-1].claim, by=actor(who), granted=granted, reason=reason)


def decide(case: Case, who=MEGAN, *, at=given.NOW, **kwargs) -> Case:
    return decided(case, case.approvals[-1].prompt_id, order(case, who, **kwargs), at)[0]


def test_an_approval_lets_the_containment_begin() -> None:
    """
    Granted: the case moves on and the prompt says by whom and when.
    """
    case = decide(given.asked())

    assert (CaseState.CONTAINING, ApprovalState.GRANTED) == (case.state, case.approvals[0].state)
    assert (actor(MEGAN), given.NOW) == (case.approvals[0].decided_by, case.approvals[0].decided_at)


def test_a_denial_ends_the_case_with_its_reason() -> None:
    """
    Denied: nothing runs, and the requester is told why.
    """
    case = decide(given.asked(), granted=False, reason="  not before we have called her  ")

    assert CaseState.DENIED == case.state
    assert "not before we have called her" == case.approvals[0].reason == case.outcome.params["reason"]


def test_the_same_decision_again_is_the_same_decision() -> None:
    """
    A double click changes nothing and is no error.
    """
    once = decide(given.asked())

    again, entries = decided(once, once.approvals[0].prompt_id, order(once), given.NOW)

    assert (once, []) == (again, entries)


def test_a_message_that_was_counted_is_not_counted_again() -> None:
    """
    Teams brings it twice; meanwhile another approver has ticked other boxes, so that the count began anew.
    """
    case = given.asked()
    prompt = case.approvals[0].model_copy(update={"needed": 2})
    typed = replace(order(case), message_id="chat 17")
    case, _ = decided(case.with_approval(prompt), prompt.prompt_id, typed, given.NOW)
    anew = case.with_approval(prompt)

    assert (anew, []) == decided(anew, prompt.prompt_id, typed, given.NOW)
    assert decided(anew, prompt.prompt_id, replace(typed, message_id="chat 18"), given.NOW)[1]


@pytest.mark.parametrize(("who", "granted"), [(OLGA, True), (MEGAN, False), (OLGA, False)])
def test_a_second_decision_is_refused(who, granted: bool) -> None:
    """
    Once decided, a prompt keeps its decision, whoever comes and whatever they say.
    """
    once = decide(given.asked())

    with pytest.raises(AlreadyDecided):
        decide(once, who, granted=granted)


@pytest.mark.parametrize("state", [ApprovalState.EXPIRED, ApprovalState.CANCELLED, ApprovalState.SUPERSEDED])
def test_a_prompt_that_is_over_cannot_be_decided(state: ApprovalState) -> None:
    """
    An old card has no power.
    """
    over = settled_without_decision(given.asked(), state, given.NOW)

    with pytest.raises(PromptOutdated):
        decide(over)


def test_a_prompt_cannot_be_decided_after_its_time() -> None:
    """
    The clock decides, even when nobody has marked the prompt as expired yet.
    """
    with pytest.raises(PromptOutdated):
        decide(given.asked(minutes=60), at=given.NOW + timedelta(minutes=60))


def test_another_plan_is_not_what_was_approved() -> None:
    """
    A list that changed behind the card is refused: the hash of kinds and targets no longer fits.
    """
    more = Action(action_id="x", kind=ActionKind.REVOKE_GRANT, target={"grant_id": "g"})
    case = given.asked()
    changed = case.model_copy(update={"actions": (more, *case.actions)})

    with pytest.raises(PromptOutdated):
        decide(changed)


def test_progress_is_no_other_plan() -> None:
    """
    The hash is over what is done to what, not over how far it got.
    """
    case = given.asked()

    further = case.with_action(case.actions[0].model_copy(update={"state": ActionState.RUNNING}))

    assert CaseState.CONTAINING == decide(further).state


def test_an_override_opens_the_lock_and_a_refusal_leaves_it() -> None:
    """
    Override: step 2 goes on without proof. Denied: the lock stays as it was.
    """
    assert CaseState.UNBLOCKING == decide(given.locked(), OLGA, reason="verified by telephone").state
    assert CaseState.LOCKED == decide(given.locked(), OLGA, granted=False).state


@pytest.fixture
async def approvals(store: Store, clock: FakeClock) -> Approvals:
    listed = (MEGAN.oid, OLGA.oid, ALEX.oid, JANE.oid)
    access = Access(FakeDirectory(), tenant_id=TENANT, requesters=(), policy=policy_for(*listed), admins=())
    return Approvals(store, access, clock)


async def test_a_decision_is_stored_before_it_is_answered(store: Store, approvals: Approvals) -> None:
    """
    What the clicker is told is what the database says, and the auditors read who it was.
    """
    case = given.asked()
    await store.open_case(case)

    answered = await approvals.decide(order(case, reason="go"))

    assert answered == await store.case("C1")
    entry = (await store.audit_entries("C1"))[-1]
    assert (Tag.APPROVAL_GRANTED, MEGAN.oid) == (entry.tag, entry.actor_oid)


@pytest.mark.parametrize("who", [ALEX, JANE, SAM], ids=["requester", "subject", "stranger"])
async def test_a_refused_click_is_on_the_record(store: Store, approvals: Approvals, who) -> None:
    """
    Who tried and may not leaves a trace, and nothing else.
    """
    case = given.asked()
    await store.open_case(case)

    with pytest.raises(NotAllowed):
        await approvals.decide(order(case, who))

    assert case == await store.case("C1")
    assert [(Tag.CLICK_REFUSED, who.oid)] == [(e.tag, e.actor_oid) for e in await store.audit_entries("C1")]


async def test_who_approved_the_plan_cannot_lift_its_lock(store: Store, approvals: Approvals) -> None:
    """
    The override needs a second person.
    """
    approved = decide(given.asked())
    prompt = given.locked().approvals[-1]
    case = approved.model_copy(update={"state": CaseState.LOCKED}).with_approval(prompt)
    await store.open_case(case)

    with pytest.raises(NotAllowed) as refusal:
        await approvals.decide(order(case, MEGAN, reason="me again"))

    assert "same_approver" == refusal.value.reason
    assert CaseState.UNBLOCKING == (await approvals.decide(order(case, OLGA, reason="called her"))).state


async def test_of_many_clicks_at_once_one_decides(store: Store, approvals: Approvals) -> None:
    """
    Forty clicks of two approvers at the same moment make one decision; the others learn that it was made.
    """
    case = given.asked()
    await store.open_case(case)

    clicks = [approvals.decide(order(case, who, granted=True)) for who in (MEGAN, OLGA) * 20]
    results = await asyncio.gather(*clicks, return_exceptions=True)

    decider = (await store.case("C1")).approvals[0].decided_by.user_oid
    assert {Case, AlreadyDecided} == {type(result) for result in results}
    assert 1 == sum(entry.tag == Tag.APPROVAL_GRANTED for entry in await store.audit_entries("C1"))
    assert decider in (MEGAN.oid, OLGA.oid)


@pytest.fixture
def database_url(tmp_path) -> str:
    """Concurrency on PostgreSQL is the contract tests' business; here one database will do."""
    return prepared_sqlite(tmp_path / "unblock.db")


def test_only_a_proven_containment_counts() -> None:
    """
    Done is not proven: the lock opens for what was proven, and for what the approver has left out.
    """
    case = given.asked()
    for state in ActionState:
        done = case
        for action in case.containment:
            done = done.with_action(action.model_copy(update={"state": state}))
        assert (state in (ActionState.PROVEN, ActionState.SKIPPED)) == done.containment_proven


@pytest.mark.parametrize("reason", ["", "   "])
def test_an_override_wants_a_reason_whatever_button_it_comes_by(reason: str) -> None:
    """
    Which verb a click carries is the sender's word, so the reason is asked for where the decision is made.
    """
    with pytest.raises(BadInput):
        decide(given.locked(), OLGA, reason=reason)


def _on_little_evidence() -> Case:
    little = Verdict(
        label=VerdictLabel.SUSPECTED, score=0, completeness=0.4, checked=9, total=24, low_completeness=True
    )
    return given.asked().model_copy(update={"verdict": little})


def test_a_yes_on_little_evidence_wants_a_reason() -> None:
    """
    Without one the question stays open; a no needs none.
    """
    case = _on_little_evidence()
    claim, prompt_id = case.pending_approval.claim, case.pending_approval.prompt_id

    with pytest.raises(BadInput):
        decided(case, prompt_id, DecideApproval(claim, actor(MEGAN), True), given.NOW)
    agreed, _ = decided(case, prompt_id, DecideApproval(claim, actor(MEGAN), True, "I spoke to Jane"), given.NOW)
    refused, _ = decided(case, prompt_id, DecideApproval(claim, actor(MEGAN), False), given.NOW)

    assert (CaseState.CONTAINING, CaseState.DENIED) == (agreed.state, refused.state)
