"""
Taking back, leaving out, and a plan that is not the one approved: on both databases, real DBOS, fakes for the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from dbos import DBOS

from services.approvals import DecideApproval, decided, new_fix
from services.audit import Tag
from services.cases import (
    Action,
    ActionKind,
    ActionState,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseState,
    plan_hash,
)
from services.casework import UNDO_TIMEOUT, AskUndo, CancelCase
from services.errors import BadInput, NotAllowed, NothingToUndo, WrongState
from services.store import Store
from tests.contract.test_remediation import PATIENCE_S, World, built
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, MEGAN, OLGA, SAM, actor
from tests.fakes.policies import policy_for

RULE = Action(
    action_id="disable_rule:1", kind=ActionKind.DISABLE_RULE, target={"identity": "1"}, optional=True, reversible=True
)
BLOCK = Action(action_id="block_sign_in", kind=ActionKind.BLOCK_SIGN_IN, optional=True, ticked=False, reversible=True)


def plan(case: Case) -> tuple[Action, ...]:
    return (BLOCK, *given.PLAN[:-1], RULE, given.PLAN[-1])


@pytest.fixture
async def world(store: Store, clock: FakeClock, database_url: str) -> AsyncIterator[World]:
    async with built(store, clock, database_url, propose=plan) as world:
        yield world


async def unblocked(world: World, ticked: tuple[str, ...] | None = None) -> Case:
    case = await world.asked()
    order = DecideApproval(case.pending_approval.claim, actor(MEGAN), True, ticked=ticked)
    await world.casework.decide_approval(order)
    return await world.case_in(case.case_id, CaseState.UNBLOCKED)


async def asked_to_undo(world: World) -> Case:
    case = await unblocked(world)
    await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))
    return await world.until(case.case_id, lambda case: len(world.notifier.prompts) == 2)


async def test_what_is_not_ticked_is_not_done_and_locks_nothing(world: World) -> None:
    """
    Nobody ticked to block the sign-in, so that is left out by itself; the rest runs, and the account is unblocked.
    """
    case = await unblocked(world)

    assert ["revoke_sessions", "reset_password", "disable_rule:1"] == world.containment.carried_out
    assert ActionState.SKIPPED is case.actions[0].state


async def test_the_approver_may_leave_out_and_take_in(world: World) -> None:
    """
    The boxes as they were when Approve was pressed are the plan.
    """
    case = await unblocked(world, ticked=("block_sign_in",))

    assert ["block_sign_in", "revoke_sessions", "reset_password"] == world.containment.carried_out
    (approval,) = case.approvals
    assert plan_hash(case.actions_of(approval.approved)) == approval.approved_hash
    assert "disable_rule:1" not in approval.approved


@pytest.mark.parametrize("strange", ["reset_password", "unblock", "nothing"])
async def test_a_box_that_is_not_on_the_card_is_refused(world: World, strange: str) -> None:
    """
    What is not open to choice is not open to a forged choice either; the question stays open.
    """
    case = await world.asked()
    order = DecideApproval(case.pending_approval.claim, actor(MEGAN), True, ticked=(strange,))

    with pytest.raises(BadInput):
        await world.casework.decide_approval(order)

    assert CaseState.AWAITING_APPROVAL is (await world.store.case(case.case_id)).state


async def test_a_plan_that_was_tampered_with_does_not_run(world: World) -> None:
    """
    Somebody changes a target in the database between the approval and the act: nothing of the plan is done.
    """
    case = await world.asked()
    world.containment.waits_for = asyncio.Event()
    await world.decide(case.pending_approval)
    await world.until(case.case_id, lambda case: bool(world.containment.carried_out))
    other = RULE.model_copy(update={"target": {"identity": "of somebody else"}})
    await world.store.change_case(case.case_id, lambda case: (case.with_action(other), []))

    world.containment.waits_for.set()
    case = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)

    assert ["revoke_sessions"] == world.containment.carried_out
    assert [] == world.exchange.removed


async def test_what_was_changed_is_put_back_with_approval(world: World) -> None:
    """
    Asked by the requester, approved by the on-call, done and on the record.
    """
    case = await asked_to_undo(world)
    prompt = case.pending_approval
    assert (ApprovalPurpose.UNDO, ("disable_rule:1",)) == (prompt.purpose, prompt.about)

    await world.decide(prompt)
    case = await world.until(case.case_id, lambda case: case.actions[3].undo_state is ActionState.PROVEN)

    assert ["disable_rule:1"] == world.containment.undone
    assert CaseState.UNBLOCKED is case.state
    assert {Tag.UNDO_STARTED, Tag.UNDO_PROVEN} <= set(await world.tags(case.case_id))


@pytest.mark.parametrize("ticked", [(), ("reset_password",)])
async def test_an_undo_of_nothing_or_of_something_else_is_refused(world: World, ticked: tuple[str, ...]) -> None:
    """
    Only what the question is about can be put back, and something of it has to be.
    """
    case = await asked_to_undo(world)

    with pytest.raises(BadInput):
        order = DecideApproval(case.pending_approval.claim, actor(MEGAN), True, ticked=ticked)
        await world.casework.decide_approval(order)

    assert ApprovalState.PENDING is (await world.store.case(case.case_id)).approvals[-1].state


async def test_whoever_asks_for_it_does_not_agree_to_it(world: World) -> None:
    """
    Also when it is another person than the one who opened the case.
    """
    case = await asked_to_undo(world)

    for who in (ALEX, SAM):
        with pytest.raises(NotAllowed):
            await world.decide(case.pending_approval, who)

    assert [] == world.containment.undone


async def test_an_expired_question_can_be_asked_again(world: World) -> None:
    """
    Also when nobody was there to let it expire: the workflow had died.
    """
    case = await asked_to_undo(world)
    world.clock.advance(seconds=UNDO_TIMEOUT.total_seconds() + 1)

    await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))
    again = await world.until(
        case.case_id, lambda case: case.pending_approval and case.pending_approval.posted_at is not None
    )

    assert case.pending_approval.prompt_id != again.pending_approval.prompt_id
    states = [a.state for a in again.approvals if a.purpose is ApprovalPurpose.UNDO]
    assert [ApprovalState.EXPIRED, ApprovalState.PENDING] == states


async def test_an_undo_that_breaks_off_says_so_and_can_be_asked_for_again(world: World) -> None:
    """
    What it had begun is not known to be put back, and nothing stays under way for ever.
    """
    case = await asked_to_undo(world)
    world.containment.undo_fault = ZeroDivisionError()
    await world.decide(case.pending_approval)
    case = await world.until(case.case_id, lambda case: case.actions[3].undo_state is ActionState.FAILED)

    assert "undo.failed.stopped" == case.actions[3].undo_outcome.key
    await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))
    await world.until(case.case_id, lambda case: case.pending_approval and case.pending_approval.posted_at)


async def test_nothing_is_put_back_while_a_newer_case_is_at_work(world: World) -> None:
    """
    The newer one counts on what the older one has changed: not asked, and if asked before, not done.
    """
    case = await asked_to_undo(world)
    world.exchange.removed.clear()
    newer = await world.ask()
    await world.case_in(newer.case_id, CaseState.AWAITING_APPROVAL)

    await world.decide(case.pending_approval)
    case = await world.until(case.case_id, lambda case: case.actions[3].undo_state is ActionState.FAILED)
    with pytest.raises(WrongState):
        await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))

    assert "undo.failed.newer_case" == case.actions[3].undo_outcome.key
    assert [] == world.containment.undone


async def test_after_an_undo_there_is_no_way_in_for_the_owner(world: World) -> None:
    """
    What kept the attacker out is not all in place any more.
    """
    case = await asked_to_undo(world)
    assert case.is_secured

    await world.decide(case.pending_approval)
    case = await world.until(case.case_id, lambda case: case.actions[3].undo_state is ActionState.PROVEN)

    assert not case.is_secured


async def test_an_undo_that_reaches_nobody_leaves_the_ending_as_it_is(world: World) -> None:
    """
    The card still says that the account is unblocked.
    """
    case = await unblocked(world)
    world.notifier.reachable = False
    await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))
    case = await world.until(case.case_id, lambda case: case.approvals[-1].posted_at is not None)

    assert "outcome.unblocked" == case.outcome.key
    assert Tag.PROMPT_UNDELIVERED in await world.tags(case.case_id)


async def test_a_cancelled_case_is_not_changed_any_more(world: World) -> None:
    """
    Called off while a retry was under way: what came after it in the plan is left alone.
    """
    world.containment.ends = {"revoke_sessions": [ActionState.FAILED], "reset_password": [ActionState.FAILED]}
    case = await world.asked()
    await world.decide(case.pending_approval)
    await world.case_in(case.case_id, CaseState.LOCKED)
    world.containment.waits_for = asyncio.Event()
    done = len(world.containment.carried_out)
    await world.remediation.tell(case.case_id)
    await world.until(case.case_id, lambda case: len(world.containment.carried_out) == done + 1)

    await world.casework.cancel_case(CancelCase(actor(ALEX), case.case_id))
    world.containment.waits_for.set()
    await world.case_in(case.case_id, CaseState.CANCELLED)
    async with asyncio.timeout(PATIENCE_S):
        while (await DBOS.get_workflow_status_async(case.case_id)).status != "SUCCESS":
            await asyncio.sleep(0.01)

    assert "reset_password" not in world.containment.carried_out[done:]


async def test_a_refused_undo_changes_nothing(world: World) -> None:
    """
    The case and its containment stay as they are, and it can be asked for again.
    """
    case = await asked_to_undo(world)

    await world.decide(case.pending_approval, OLGA, granted=False, reason="The attacker made that rule")
    await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))
    case = await world.until(
        case.case_id, lambda case: case.pending_approval and case.pending_approval.posted_at is not None
    )

    assert [] == world.containment.undone
    states = [a.state for a in case.approvals if a.purpose is ApprovalPurpose.UNDO]
    assert [ApprovalState.DENIED, ApprovalState.PENDING] == states


async def test_nobody_answers_and_the_question_ends(world: World) -> None:
    """
    After a day the card says so, and nothing was put back.
    """
    case = await asked_to_undo(world)
    prompt = case.pending_approval

    world.clock.advance(seconds=UNDO_TIMEOUT.total_seconds() + 1)
    await world.changes.start(case.case_id, prompt.prompt_id)
    case = await world.until(case.case_id, lambda case: case.pending_approval is None)

    assert ApprovalState.EXPIRED is case.approvals[-1].state
    assert [] == world.containment.undone


async def test_two_questions_at_once_are_one(world: World) -> None:
    """
    Asked twice, there is one prompt.
    """
    case = await asked_to_undo(world)

    again = await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))

    assert case.pending_approval.prompt_id == again.pending_approval.prompt_id
    assert 2 == len(world.notifier.prompts)


async def test_there_must_be_something_to_put_back(world: World) -> None:
    """
    A case under way is cancelled instead; one whose changes cannot be undone says so.
    """
    case = await world.asked()
    with pytest.raises(WrongState):
        await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))

    order = DecideApproval(case.pending_approval.claim, actor(MEGAN), True, ticked=())
    await world.casework.decide_approval(order)
    await world.case_in(case.case_id, CaseState.UNBLOCKED)

    with pytest.raises(NothingToUndo):
        await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))


async def test_an_answer_is_heard_by_a_program_of_another_version(
    store: Store, clock: FakeClock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Asked before an update, answered while nobody heard it: what was agreed to is done once by the new program.
    """
    async with built(store, clock, database_url, propose=plan) as world:
        asked = await asked_to_undo(world)
    (prompt,) = asked.pending(ApprovalPurpose.UNDO)
    order = DecideApproval(prompt.claim, actor(MEGAN), True)
    monkeypatch.setattr("services.changes.WORKFLOW_VERSION", "next")
    monkeypatch.setattr("services.durable.WORKFLOW_VERSION", "next")

    async with built(store, clock, database_url, propose=plan) as world:
        await store.change_case(asked.case_id, lambda case: decided(case, prompt.prompt_id, order, clock.now()))
        await world.changes.take_up()
        await world.until(asked.case_id, lambda case: not case.actions_of(prompt.about)[0].can_be_undone)
        await world.changes.take_up()

        assert ["disable_rule:1"] == world.containment.undone


async def test_a_question_from_before_an_update_still_expires(
    store: Store, clock: FakeClock, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Nobody answers: it does not stay open for ever because the program that asked it is gone.
    """
    async with built(store, clock, database_url, propose=plan) as world:
        asked = await asked_to_undo(world)
    monkeypatch.setattr("services.changes.WORKFLOW_VERSION", "next")
    monkeypatch.setattr("services.durable.WORKFLOW_VERSION", "next")
    clock.advance(hours=25)

    async with built(store, clock, database_url, propose=plan) as world:
        await world.changes.take_up()

        await world.until(asked.case_id, lambda case: ApprovalState.EXPIRED is case.approvals[-1].state)


async def test_an_old_agreement_does_not_cover_what_was_asked_anew(world: World) -> None:
    """
    The same fix is asked for a second time and not agreed to yet: the first yes was for the first time.
    """
    case = await unblocked(world)
    fix = Action(action_id="smtp_auth_off:1", kind=ActionKind.SMTP_AUTH_OFF, target={"upn": "jane", "was": False})
    held = case.model_copy(update={"fixes": (fix,)})
    wait = {"at": world.clock.now(), "wait": UNDO_TIMEOUT}
    first, second = (new_fix(held, fix, actor(ALEX), policy_for(MEGAN.oid), **wait) for _ in range(2))
    order = DecideApproval(first.claim, actor(MEGAN), True)
    agreed, _ = decided(held.with_approval(first), first.prompt_id, order, world.clock.now())
    await world.store.change_case(case.case_id, lambda _: (agreed.with_approval(second), []))

    await world.changes.take_up()
    await world.changes.start(case.case_id, first.prompt_id)
    await world.until(case.case_id, lambda case: case.prompt(second.prompt_id).posted_at)
    await asyncio.sleep(0.3)

    assert "smtp_auth_off:1" not in world.containment.carried_out


async def test_a_fix_that_was_asked_anew_in_the_last_moment_is_not_made(world: World) -> None:
    """
    Agreed to, and replaced by another one of the same name before it was begun: the new one waits for its own answer.
    """
    case = await unblocked(world)
    fix = Action(action_id="smtp_auth_off:1", kind=ActionKind.SMTP_AUTH_OFF, target={"upn": "jane", "was": False})
    other = fix.model_copy(update={"target": {"upn": "ines", "was": False}})
    held = case.model_copy(update={"fixes": (fix,)})
    prompt = new_fix(held, fix, actor(ALEX), policy_for(MEGAN.oid), at=world.clock.now(), wait=UNDO_TIMEOUT)
    order = DecideApproval(prompt.claim, actor(MEGAN), True)
    agreed, _ = decided(held.with_approval(prompt), prompt.prompt_id, order, world.clock.now())
    replaced = agreed.model_copy(update={"fixes": (other,)})
    await world.store.change_case(case.case_id, lambda _: (replaced, []))

    await world.changes._change_one(case.case_id, prompt.prompt_id, fix.action_id)

    assert fix.action_id not in world.containment.carried_out


async def test_an_account_that_was_protected_since_is_asked_about_as_such(world: World) -> None:
    """
    It is looked up anew for each question: nobody may agree for a break-glass account.
    """
    case = await unblocked(world)
    world.protection.kinds = ("break_glass",)
    asked = await world.casework.ask_undo(AskUndo(actor(ALEX), case.case_id))

    assert ("break_glass",) == asked.protected
