"""The policy at work, on both databases: real DBOS, real store, the test's clock; fakes for Microsoft and Teams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.approvals import new_fix
from services.audit import Tag, verify
from services.cases import (
    Action,
    ActionKind,
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseState,
    Impact,
)
from services.casework import AskUndo
from services.errors import AlreadyDecided, NotAllowed
from services.policy import Policy
from services.store import Store
from tests.contract.test_remediation import World, built
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, OLGA, actor
from tests.fakes.policies import BY_DEFAULT, policy_for

#: Megan first, Olga after a quarter of an hour; a reminder after ten minutes; over after an hour.
TIMED = Policy.model_validate(
    {
        "rules": [{"approvers": 1}],
        "from": [MEGAN.oid],
        "chain": [[OLGA.oid]],
        "remind_after_minutes": 10,
        "escalate_after_minutes": 15,
        "expire_after_minutes": 60,
    }
)


@pytest.fixture
async def world(store: Store, clock: FakeClock, database_url: str) -> AsyncIterator[World]:
    """What applies when nobody wrote a policy; Megan, Olga and Alex are the approvers."""
    async with built(store, clock, database_url, base_policy=BY_DEFAULT) as world:
        yield world


@pytest.fixture
async def timed(store: Store, clock: FakeClock, database_url: str) -> AsyncIterator[World]:
    async with built(store, clock, database_url, base_policy=TIMED) as world:
        yield world


def prompt_of(case: Case) -> Approval:
    return case.approvals[-1]


async def unblocked(world: World) -> Case:
    """Jane's case at its end, approved by two."""
    case = await world.asked()
    for who in (MEGAN, OLGA):
        await world.decide(prompt_of(case), who)
    return await world.case_in(case.case_id, CaseState.UNBLOCKED)


async def test_two_approvers_at_the_same_moment_are_two_approvals(world: World) -> None:
    """
    Neither vote overwrites the other, and the second of the two sets the work going, once.
    """
    case = await world.asked()

    await asyncio.gather(*(world.decide(prompt_of(case), who) for who in (MEGAN, OLGA)))
    done = await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert {MEGAN.oid, OLGA.oid} == {vote.by.user_oid for vote in prompt_of(done).votes}
    assert (["revoke_sessions", "reset_password"], [JANE.upn]) == (
        world.containment.carried_out,
        world.exchange.removed,
    )
    tags = await world.tags(case.case_id)
    assert (1, 1) == (tags.count(Tag.APPROVAL_VOTED), tags.count(Tag.APPROVAL_GRANTED))
    assert verify(*await world.store.audit_trail())


async def test_a_crowd_of_clicks_is_two_approvals(world: World) -> None:
    """
    Forty clicks of two people: all get the case, or hear that it is decided.
    """
    case = await world.asked()

    clicks = [world.decide(prompt_of(case), who) for who in (MEGAN, OLGA) * 20]
    results = await asyncio.gather(*clicks, return_exceptions=True)
    await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert {Case, AlreadyDecided} >= {type(result) for result in results}
    assert ["revoke_sessions", "reset_password"] == world.containment.carried_out


async def test_of_an_approval_and_a_denial_at_the_same_moment_the_denial_stands(world: World) -> None:
    """
    One approval is not enough, so whichever comes first the case is denied and nothing runs.
    """
    case = await world.asked()

    await asyncio.gather(
        world.decide(prompt_of(case), MEGAN),
        world.decide(prompt_of(case), OLGA, granted=False),
        return_exceptions=True,
    )
    denied = await world.case_in(case.case_id, CaseState.DENIED)

    assert actor(OLGA) == prompt_of(denied).decided_by
    assert [] == world.containment.carried_out


async def test_votes_survive_a_restart(store: Store, clock: FakeClock, database_url: str) -> None:
    """
    Megan agreed before, Olga afterwards; the workflow that waited goes on.
    """
    async with built(store, clock, database_url, base_policy=BY_DEFAULT) as before:
        case = await before.asked()
        await before.decide(prompt_of(case), MEGAN)

    async with built(store, clock, database_url, base_policy=BY_DEFAULT) as after:
        assert [actor(MEGAN)] == [v.by for v in prompt_of(await after.store.case(case.case_id)).votes]
        await after.decide(prompt_of(case), OLGA)
        await after.case_in(case.case_id, CaseState.UNBLOCKED)
        assert ["revoke_sessions", "reset_password"] == after.containment.carried_out


async def later(world: World, case: Case, minutes: float) -> None:
    """So much later the waiting workflow looks."""
    world.clock.advance(minutes=minutes)
    await world.remediation.tell(case.case_id)


async def test_a_question_is_reminded_of_passed_on_and_over_in_its_time(timed: World) -> None:
    """
    Each once and to the right people, however often the workflow looks.
    """
    case = await timed.asked()
    for minutes in (11, 1):
        await later(timed, case, minutes)
        await timed.until(case.case_id, lambda case: prompt_of(case).reminded == 1)
    for minutes in (4, 1):
        await later(timed, case, minutes)
        await timed.until(case.case_id, lambda case: prompt_of(case).level == 1)

    asked = [people for _, people in timed.notifier.prompts]
    assert [(MEGAN.oid,), (MEGAN.oid,), (OLGA.oid,)] == asked
    await later(timed, case, 45)
    await timed.case_in(case.case_id, CaseState.EXPIRED)
    tags = await timed.tags(case.case_id)
    times = [Tag.PROMPT_REMINDED, Tag.PROMPT_ESCALATED, Tag.APPROVAL_EXPIRED]
    assert times == [tag for tag in tags if tag in times]


async def test_a_level_that_was_not_asked_yet_is_refused(timed: World) -> None:
    """
    Olga is too early, and in time a quarter of an hour later.
    """
    case = await timed.asked()

    with pytest.raises(NotAllowed) as refusal:
        await timed.decide(prompt_of(case), OLGA)
    assert "not_asked" == refusal.value.reason
    await later(timed, case, 16)
    await timed.until(case.case_id, lambda case: prompt_of(case).level == 1)
    await timed.decide(prompt_of(case), OLGA)

    await timed.case_in(case.case_id, CaseState.UNBLOCKED)


async def test_what_came_due_while_nobody_was_there_is_done_once(
    store: Store, clock: FakeClock, database_url: str
) -> None:
    """
    Stopped before the escalation, started after it.
    """
    async with built(store, clock, database_url, base_policy=TIMED) as before:
        case = await before.asked()
    clock.advance(minutes=20)

    async with built(store, clock, database_url, base_policy=TIMED) as after:
        await after.remediation.tell(case.case_id)
        await after.until(case.case_id, lambda case: prompt_of(case).level == 1 and prompt_of(case).reminded == 1)
        tags = await after.tags(case.case_id)

    assert (1, 1) == (tags.count(Tag.PROMPT_REMINDED), tags.count(Tag.PROMPT_ESCALATED))


async def test_a_level_that_was_raised_before_a_kill_is_asked_after_it(
    store: Store, clock: FakeClock, database_url: str
) -> None:
    """
    It was written down that Olga's turn has come, and then the program ended before she was told.
    """
    async with built(store, clock, database_url, base_policy=TIMED) as before:
        case = await before.asked()
        await before.until(case.case_id, lambda case: prompt_of(case).posted_at)
        before.notifier.waits_for = asyncio.Event()
        await later(before, case, 16)
        await before.until(case.case_id, lambda case: prompt_of(case).level == 1)
    assert [(MEGAN.oid,)] == [people for _, people in before.notifier.prompts]

    async with built(store, clock, database_url, base_policy=TIMED) as after:
        await after.remediation.tell(case.case_id)
        await after.until(case.case_id, lambda case: prompt_of(case).asked_level == 1)
        assert (OLGA.oid,) == after.notifier.prompts[0][1]
        assert 1 == (await after.tags(case.case_id)).count(Tag.PROMPT_ESCALATED)


async def test_a_level_that_cannot_be_reached_is_passed_over(timed: World) -> None:
    """
    Without waiting for a quarter of an hour; and when no level can be reached, that is on the record.
    """
    timed.notifier.reachable = False
    case = await timed.ask()
    case = await timed.until(case.case_id, lambda case: case.approvals and prompt_of(case).posted_at)

    assert [(MEGAN.oid,), (OLGA.oid,)] == [people for _, people in timed.notifier.prompts]
    assert [Tag.PROMPT_ESCALATED, Tag.PROMPT_UNDELIVERED] == (await timed.tags(case.case_id))[-2:]
    assert case.outcome is not None and "outcome.prompt_undelivered" == case.outcome.key


async def test_a_reminder_that_reaches_nobody_asks_the_next_level_at_once(timed: World) -> None:
    """
    Megan's reminder is due after ten minutes; Olga need not wait for the other five.
    """
    case = await timed.asked()
    await timed.until(case.case_id, lambda case: prompt_of(case).posted_at)
    timed.notifier.reachable = False
    await later(timed, case, 11)
    await timed.until(case.case_id, lambda case: prompt_of(case).reminded == 1)

    assert [(MEGAN.oid,), (MEGAN.oid,), (OLGA.oid,)] == [people for _, people in timed.notifier.prompts]
    assert [Tag.PROMPT_ESCALATED, Tag.PROMPT_UNDELIVERED, Tag.PROMPT_REMINDED] == (await timed.tags(case.case_id))[-3:]


async def test_an_undo_needs_what_the_policy_says(world: World) -> None:
    """
    It takes back a change of high impact, so it needs two, and neither of them is who asked for it.
    """
    case = await unblocked(world)
    changed = case.action("reset_password").model_copy(
        update={"reversible": True, "before": {"enabled": True}, "state": ActionState.PROVEN}
    )
    await world.store.change_case(case.case_id, lambda case: (case.with_action(changed), []))

    asked = await world.casework.ask_undo(AskUndo(by=actor(ALEX), case_id=case.case_id))
    prompt = asked.pending(ApprovalPurpose.UNDO)[0]
    await world.decide(prompt, MEGAN)

    with pytest.raises(NotAllowed):
        await world.decide(prompt, ALEX)
    assert (2, []) == (prompt.needed, world.containment.undone)
    await world.decide(prompt, OLGA)
    await world.until(case.case_id, lambda case: case.action("reset_password").undo_state is ActionState.PROVEN)


async def test_a_fix_needs_what_the_policy_says(world: World) -> None:
    """
    A change of high impact that keeps it from happening again: made when the second approver has agreed.
    """
    case, policy = await unblocked(world), policy_for(MEGAN.oid, OLGA.oid, base=BY_DEFAULT)
    fix = Action(action_id="fix", kind=ActionKind.BLOCK_AUTO_FORWARDING, impact=Impact.HIGH)
    held = case.model_copy(update={"fixes": (fix,)})
    prompt = new_fix(held, fix, actor(ALEX), policy, at=world.clock.now(), wait=timedelta(hours=1))
    await world.store.change_case(
        case.case_id, lambda case: (case.model_copy(update={"fixes": (fix,)}).with_approval(prompt), [])
    )
    await world.changes.start(case.case_id, prompt.prompt_id)

    await world.decide(prompt, MEGAN)
    assert "fix" not in world.containment.carried_out
    await world.decide(prompt, OLGA)

    await world.until(case.case_id, lambda case: case.action("fix").state is ActionState.PROVEN)
    assert 1 == world.containment.carried_out.count("fix")


async def test_an_override_needs_two_who_may_have_approved_the_plan(world: World) -> None:
    """
    Not everything was proven. Megan alone is not enough; with Olga's word it is unblocked.
    """
    world.containment.ends["reset_password"] = [ActionState.FAILED] * 50
    case = await world.asked()
    for who in (MEGAN, OLGA):
        await world.decide(prompt_of(case), who)
    locked = await world.case_in(case.case_id, CaseState.LOCKED)
    await world.decide(prompt_of(locked), MEGAN, reason="She was here")

    assert [] == world.exchange.removed
    await world.decide(prompt_of(locked), OLGA, reason="I saw her too")
    done = await world.case_in(case.case_id, CaseState.UNBLOCKED)

    assert (ApprovalState.GRANTED, "I saw her too") == (prompt_of(done).state, prompt_of(done).reason)
