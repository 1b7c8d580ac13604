"""
From findings to what is asked: verdict, plan and prompt of a case, the first time and again when a late finding changes
them. Pure: a case in, a case and its audit entries out.

A slow signal holds nothing up. The verdict is given on what could be read in time and says what is still being read; a
finding that comes in later is judged with the rest. When that changes the plan, an open question is withdrawn and asked
anew, so that nobody approves a list which is not what runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.approvals import by_policy_now, new_approval, settled_without_decision
from services.audit import NewEntry, Tag, note
from services.cases import (
    Action,
    ActionKind,
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseKind,
    CaseState,
    Finding,
    SignalState,
    Verdict,
    plan_hash,
    say,
)
from services.policy import Policy

Changed = tuple[Case, list[NewEntry]]

_BEFORE_VERDICT = frozenset({CaseState.IDENTIFYING, CaseState.CHOOSING, CaseState.INVESTIGATING})


@dataclass(frozen=True)
class Judge:
    """Decides and proposes. `policy` says what a question needs, and how long it stays open."""

    decide: Callable[[Sequence[Finding]], Verdict]
    propose: Callable[[Case], tuple[Action, ...]]
    policy: Policy

    def conclude(self, case: Case, at: datetime) -> Changed:
        """The first verdict, its plan and a prompt that is ready to be posted."""
        if case.state is not CaseState.INVESTIGATING:
            return case, []
        judged = self._judged(case)
        planned = judged.model_copy(update={"actions": self.plan(judged)})
        return self._asked(planned, at, [verdict_entry(planned)])

    def ask(self, case: Case, at: datetime) -> Changed:
        """The case at the question for the plan that it holds; for one that needs no investigation."""
        return self._asked(case, at, [])

    def add(self, case: Case, finding: Finding, at: datetime) -> Changed:
        """
        The case with one more finding, and with all that follows from it. The first of a signal counts: a second
        reading, by a replica that took over too early, may come after the containment and look better than it was.
        """
        if any(f.signal_id == finding.signal_id and f.state is not SignalState.PENDING for f in case.findings):
            return case, []
        case = case.with_finding(finding)
        if case.state in _BEFORE_VERDICT or case.verdict is None:
            return case, []
        return self._judged_again(self._noted_as_late(case, finding), at, [])

    def end_reading(self, case: Case, at: datetime) -> Changed:
        """Every signal was looked at: what has no finding now is unread and no longer pending."""
        if case.reading_ended_at is not None:
            return case, []
        ended = case.model_copy(update={"reading_ended_at": at})
        return (ended, []) if ended.verdict is None else self._judged_again(ended, at, [])

    def ask_about_more(self, case: Case, at: datetime) -> Changed | None:
        """The case back at the question, when the findings ask for more than was approved; None when they do not."""
        plan = self.plan(case)
        known = {action.action_id for action in case.actions}
        if all(action.action_id in known for action in plan):
            return None
        return self._asked(
            case.model_copy(update={"actions": plan, "outcome": say("outcome.found_more")}),
            at,
            [],
        )

    def plan(self, case: Case) -> tuple[Action, ...]:
        """
        What is proposed now; actions that were begun or left out stay as they are, whatever is proposed. Only the plan
        of an account follows from findings.
        """
        if case.kind is not CaseKind.ACCOUNT:
            return case.actions
        settled = {a.action_id: a for a in case.actions if a.state is not ActionState.PROPOSED}
        proposed = [settled.pop(action.action_id, action) for action in self.propose(case)]
        order = list(ActionKind)
        return tuple(sorted((*proposed, *settled.values()), key=lambda action: order.index(action.kind)))

    # --- inside ---

    def _judged(self, case: Case) -> Case:
        verdict = self.decide(case.findings)
        if case.reading_ended_at is not None:
            verdict = verdict.model_copy(update={"pending": ()})
        return case.model_copy(update={"verdict": verdict})

    def _judged_again(self, case: Case, at: datetime, entries: list[NewEntry]) -> Changed:
        judged = self._judged(case)
        if _differs(judged, case):
            entries.append(verdict_entry(judged))
        if judged.state is CaseState.LOCKED:
            withdrawn = settled_without_decision(judged, ApprovalState.SUPERSEDED, at)
            more = self.ask_about_more(withdrawn, at)
            return (judged, entries) if more is None else (more[0], [*entries, *more[1]])
        if judged.state is not CaseState.AWAITING_APPROVAL:
            return judged, entries
        plan = self.plan(judged)
        if plan_hash(plan) == plan_hash(judged.actions) and not self._wants_more(judged):
            return judged, entries
        withdrawn = settled_without_decision(judged, ApprovalState.SUPERSEDED, at)
        return self._asked(withdrawn.model_copy(update={"actions": plan}), at, entries)

    def _wants_more(self, case: Case) -> bool:
        """Whether the policy is stricter with this verdict than the open question, which was put with another."""
        prompt = case.pending_approval
        return prompt is not None and by_policy_now(case, prompt, self.policy) != prompt

    def _noted_as_late(self, case: Case, finding: Finding) -> Case:
        weighs = finding.state is SignalState.FOUND and finding.weight > 0
        approved = any(a.state is ApprovalState.GRANTED for a in case.approvals)
        if not (weighs and approved) or finding.signal_id in case.found_late:
            return case
        return case.model_copy(update={"found_late": (*case.found_late, finding.signal_id)})

    def _asked(self, case: Case, at: datetime, entries: list[NewEntry]) -> Changed:
        prompt = new_approval(case, ApprovalPurpose.REMEDIATION, self.policy, at=at)
        asked = case.with_approval(prompt)
        if asked.state is not CaseState.AWAITING_APPROVAL:
            asked = asked.moved(CaseState.AWAITING_APPROVAL, at)
        return asked, [*entries, prompt_entry(asked, prompt)]


def _differs(judged: Case, before: Case) -> bool:
    new, old = judged.verdict, before.verdict
    assert new is not None and old is not None
    return (new.label, new.score, new.completeness) != (old.label, old.score, old.completeness)


def verdict_entry(case: Case) -> NewEntry:
    verdict = case.verdict
    assert verdict is not None
    details = {
        "label": verdict.label.value,
        "score": verdict.score,
        "completeness": verdict.completeness,
        "pending": list(verdict.pending),
    }
    return note(Tag.VERDICT_REACHED, case.case_id, None, **details)


def prompt_entry(case: Case, prompt: Approval) -> NewEntry:
    asked = case.actions_of(prompt.about) if prompt.about else case.actions
    return note(
        Tag.PROMPT_POSTED,
        case.case_id,
        prompt.asked_by,
        prompt_id=prompt.prompt_id,
        purpose=prompt.purpose.value,
        plan_hash=prompt.plan_hash,
        actions=[{"action": a.action_id, "kind": a.kind.value, "target": a.target} for a in asked],
    )
