"""
A source that takes its time, on both databases: the verdict does not wait for it, and what it brings is not lost.

Real DBOS and a real store; the investigation is a fake whose second signal answers when the test says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.audit import Tag, verify
from services.cases import Action, ActionKind, ActionState, ApprovalState, Case, CaseState, Finding, SignalState, say
from services.judging import Judge
from services.store import Store
from tests.contract.test_remediation import World, built
from tests.fakes import given
from tests.fakes.clock import FakeClock

LATE_RULE = Action(action_id="disable_rule:late", kind=ActionKind.DISABLE_RULE, target={"identity": "7"})


class SlowInvestigation:
    """One signal at once, one when `answers` is set."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.fault: Exception | None = None

    async def run(self, case: Case, on_finding, on_pictures=None) -> tuple[Finding, ...]:
        known = {finding.signal_id for finding in case.findings}
        quick = Finding(signal_id="sign_ins", state=SignalState.FOUND, summary=say("finding.x"), weight=30)
        slow = Finding(signal_id="inbox_rules", state=SignalState.FOUND, summary=say("finding.y"), weight=40)
        if "sign_ins" not in known:
            await on_finding(quick)
        await self.answers.wait()
        if self.fault is not None:
            raise self.fault
        if "inbox_rules" not in known:
            await on_finding(slow)
        return (quick, slow)


def plan_by_findings(case: Case) -> tuple[Action, ...]:
    """The bad rule is in the plan once it was found."""
    late = [LATE_RULE] if any(finding.signal_id == "inbox_rules" for finding in case.findings) else []
    return (*given.PLAN[:-1], *late, given.PLAN[-1])


@pytest.fixture
async def world(store: Store, clock: FakeClock, database_url: str) -> AsyncIterator[World]:
    async with built(store, clock, database_url, investigation=SlowInvestigation(), propose=plan_by_findings) as world:
        yield world
        world.investigation.answers.set()


async def asked_without_the_slow_one(world: World) -> Case:
    """A case whose question was posted although one source has not answered."""
    case = await world.ask()
    await world.case_in(case.case_id, CaseState.INVESTIGATING)
    await world.until(case.case_id, lambda case: len(case.findings) == 1)
    world.clock.advance(seconds=13)
    await world.remediation.tell(case.case_id)
    return await world.until(case.case_id, lambda case: case.pending_approval and case.pending_approval.posted_at)


async def test_a_slow_source_does_not_hold_the_question(world: World) -> None:
    """
    After the time that a verdict waits, the on-call is asked with what there is.
    """
    case = await asked_without_the_slow_one(world)

    assert ["sign_ins"] == [finding.signal_id for finding in case.findings]
    assert (CaseState.AWAITING_APPROVAL, None) == (case.state, case.reading_ended_at)


async def test_what_changes_the_plan_withdraws_the_question_and_asks_anew(world: World) -> None:
    """
    The first card cannot be approved any more; the new one has the rule that was found late.
    """
    case = await asked_without_the_slow_one(world)
    first = case.pending_approval

    world.investigation.answers.set()
    case = await world.until(case.case_id, lambda case: len(case.approvals) == 2 and case.approvals[1].posted_at)

    assert ApprovalState.SUPERSEDED is case.approvals[0].state
    assert first.plan_hash != case.pending_approval.plan_hash
    assert LATE_RULE.action_id in [action.action_id for action in case.actions]
    assert [case.approvals[0].prompt_id, case.approvals[1].prompt_id] == [p for p, _ in world.notifier.prompts]


async def test_a_question_that_was_asked_anew_in_the_last_moment_is_not_over(world: World) -> None:
    """
    The job saw that the time of the first was up; when it writes that down, the case has another question.
    """
    await asked_without_the_slow_one(world)
    world.clock.advance(minutes=59)
    world.investigation.answers.set()
    (case,) = await world.store.cases(limit=1)
    case = await world.until(case.case_id, lambda case: len(case.approvals) == 2)
    world.clock.advance(minutes=2)

    assert (case, []) == world.remediation._expire(case)


async def test_what_is_found_after_the_approval_is_asked_about_before_the_unblock(world: World) -> None:
    """
    The containment that was approved goes through; the unblock waits for the answer about the rest.
    """
    case = await asked_without_the_slow_one(world)
    await world.until(case.case_id, lambda case: case.pending_approval.posted_at is not None)
    world.containment.waits_for = world.investigation.answers
    await world.decide(case.pending_approval)
    await world.case_in(case.case_id, CaseState.CONTAINING)

    world.investigation.answers.set()
    case = await world.case_in(case.case_id, CaseState.AWAITING_APPROVAL)
    assert [] == world.exchange.removed
    assert ("inbox_rules",) == case.found_late
    assert ActionState.PROVEN is case.actions[0].state

    await world.decide(case.pending_approval)
    case = await world.case_in(case.case_id, CaseState.UNBLOCKED)
    assert ["revoke_sessions", "reset_password", LATE_RULE.action_id] == world.containment.carried_out
    assert Tag.APPROVAL_GRANTED in await world.tags(case.case_id)
    verify(*await world.store.audit_trail())


async def test_a_reading_that_breaks_off_promises_nothing_more(world: World) -> None:
    """
    A fault of ours ends it: the question is asked with what there is, and nothing stays "still being read".
    """
    world.investigation.fault = ZeroDivisionError()
    world.investigation.answers.set()
    case = await world.ask()

    case = await world.case_in(case.case_id, CaseState.AWAITING_APPROVAL)

    assert case.reading_ended_at is not None
    assert () == case.verdict.pending


async def test_a_finding_that_changes_nothing_leaves_the_question_open(world: World, monkeypatch) -> None:
    """
    The verdict is judged again, and nobody has to decide twice.
    """
    monkeypatch.setattr(world.remediation, "_judge", _with_fixed_plan(world))
    case = await asked_without_the_slow_one(world)

    world.investigation.answers.set()
    case = await world.until(case.case_id, lambda case: case.reading_ended_at is not None)

    assert 1 == len(case.approvals)
    assert 2 == len(case.findings)


def _with_fixed_plan(world: World) -> Judge:
    return replace(world.remediation._judge, propose=lambda case: given.PLAN)
