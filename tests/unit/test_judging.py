"""From findings to a question, and what a late finding does to it. Pure."""

from __future__ import annotations

import pytest

from services.audit import Tag
from services.cases import (
    Action,
    ActionKind,
    ActionState,
    ApprovalState,
    Case,
    CaseState,
    Finding,
    SignalState,
    Verdict,
    VerdictLabel,
    say,
)
from services.judging import Judge
from services.policy import Policy
from tests.fakes import given
from tests.fakes.people import MEGAN
from tests.fakes.policies import policy_for

RULE = Action(action_id="disable_rule:1", kind=ActionKind.DISABLE_RULE, target={"identity": "1"})


def found(signal_id: str, weight: int = 40) -> Finding:
    return Finding(signal_id=signal_id, state=SignalState.FOUND, summary=say("x"), weight=weight)


def decide(findings) -> Verdict:
    score = sum(finding.weight for finding in findings)
    label = VerdictLabel.COMPROMISED if score >= 60 else VerdictLabel.SUSPECTED
    return Verdict(label=label, score=score, completeness=1.0, checked=1, total=2, pending=("slow",))


def propose(case: Case) -> tuple[Action, ...]:
    rule = [RULE] if any(finding.signal_id == "inbox_rules" for finding in case.findings) else []
    return (*given.PLAN[:-1], *rule, given.PLAN[-1])


JUDGE = Judge(decide, propose, policy_for())


def asked() -> Case:
    """A case with a first verdict and an open question."""
    investigating = given.case(state=CaseState.INVESTIGATING, findings=(found("sign_ins"),))
    return JUDGE.conclude(investigating, given.NOW)[0]


def test_a_worse_verdict_asks_anew_when_the_policy_wants_more_for_it():
    """
    The plan is the same, but three must agree to it now: one approval of the old question must not do.
    """
    rules = [{"verdict": "compromised", "approvers": 3}, {"approvers": 1}]
    judge = Judge(decide, lambda case: given.PLAN, policy_for(MEGAN.oid, base=Policy.model_validate({"rules": rules})))
    investigating = given.case(state=CaseState.INVESTIGATING, findings=(found("sign_ins"),))
    case, _ = judge.conclude(investigating, given.NOW)

    worse, _ = judge.add(case, found("forwarding"), given.NOW)

    assert [ApprovalState.SUPERSEDED, ApprovalState.PENDING] == [prompt.state for prompt in worse.approvals]
    assert (1, 3) == (worse.approvals[0].needed, worse.approvals[1].needed)


def approved(state: CaseState) -> Case:
    case = asked()
    granted = case.approvals[0].model_copy(update={"state": ApprovalState.GRANTED})
    return case.with_approval(granted).model_copy(update={"state": state})


def test_a_conclusion_is_a_verdict_a_plan_and_a_question():
    """
    All three at once, and on the record.
    """
    case = given.case(state=CaseState.INVESTIGATING, findings=(found("sign_ins"),))
    judged, entries = JUDGE.conclude(case, given.NOW)

    assert CaseState.AWAITING_APPROVAL is judged.state
    assert (VerdictLabel.SUSPECTED, given.PLAN) == (judged.verdict.label, judged.actions)
    assert [Tag.VERDICT_REACHED, Tag.PROMPT_POSTED] == [entry.tag for entry in entries]


def test_a_finding_that_adds_an_action_withdraws_the_question():
    """
    The old prompt is superseded, the new one is for the new list.
    """
    case, entries = JUDGE.add(asked(), found("inbox_rules"), given.NOW)

    assert [ApprovalState.SUPERSEDED, ApprovalState.PENDING] == [a.state for a in case.approvals]
    assert RULE in case.actions
    assert VerdictLabel.COMPROMISED is case.verdict.label
    assert Tag.PROMPT_POSTED in [entry.tag for entry in entries]


def test_a_finding_that_adds_none_leaves_it():
    """
    The verdict follows, the question stays.
    """
    case, _ = JUDGE.add(asked(), found("forwarding"), given.NOW)

    assert 80 == case.verdict.score
    assert [ApprovalState.PENDING] == [a.state for a in case.approvals]


@pytest.mark.parametrize("state", [CaseState.CONTAINING, CaseState.VERIFYING, CaseState.UNBLOCKED])
def test_what_comes_after_the_approval_is_said_to_be_late(state: CaseState):
    """
    Also when the case is closed: somebody has to look at it.
    """
    case, _ = JUDGE.add(approved(state), found("inbox_rules"), given.NOW)

    assert ("inbox_rules",) == case.found_late
    assert state is case.state


def test_a_locked_case_is_asked_about_what_was_found_meanwhile():
    """
    Whether the lock opens by itself or by an override, the attacker's rule would stay on otherwise.
    """
    case, _ = JUDGE.add(approved(CaseState.LOCKED), found("inbox_rules"), given.NOW)

    assert CaseState.AWAITING_APPROVAL is case.state
    assert RULE in case.actions


def test_the_first_reading_of_a_signal_counts():
    """
    A second one may have come after the containment, and would look better than it was.
    """
    case = asked()
    clear = Finding(signal_id="sign_ins", state=SignalState.CLEAR, summary=say("x"))

    assert (case, []) == JUDGE.add(case, clear, given.NOW)


@pytest.mark.parametrize("state", [CaseState.DENIED, CaseState.CANCELLED, CaseState.EXPIRED])
def test_where_nothing_was_approved_nothing_is_late(state: CaseState):
    """
    The evidence is kept with the case all the same.
    """
    case, _ = JUDGE.add(asked().model_copy(update={"state": state}), found("inbox_rules"), given.NOW)

    assert () == case.found_late
    assert 2 == len(case.findings)


def test_after_the_containment_the_rest_is_asked_about():
    """
    What was proven stays proven and keeps its place; what was left out is not asked about again.
    """
    case = approved(CaseState.CONTAINING)
    case = case.with_action(case.actions[0].model_copy(update={"state": ActionState.PROVEN}))
    case = case.with_action(case.actions[1].model_copy(update={"state": ActionState.SKIPPED}))
    case, _ = JUDGE.add(case, found("inbox_rules"), given.NOW)

    asked_again, _ = JUDGE.ask_about_more(case, given.NOW)

    assert CaseState.AWAITING_APPROVAL is asked_again.state
    states = [action.state for action in asked_again.actions]
    assert [ActionState.PROVEN, ActionState.SKIPPED, ActionState.PROPOSED, ActionState.PROPOSED] == states
    assert JUDGE.ask_about_more(approved(CaseState.CONTAINING), given.NOW) is None


def test_once_all_was_looked_at_nothing_is_pending():
    """
    What has no finding then is unread, and the card stops promising it.
    """
    case, _ = JUDGE.end_reading(asked(), given.NOW)

    assert () == case.verdict.pending
    assert given.NOW == case.reading_ended_at
    assert JUDGE.end_reading(case, given.NOW) == (case, [])
