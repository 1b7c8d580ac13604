"""
Who may decide, in time, exactly once.

A prompt is a row with a one-shot claim, stored before it is posted. A decision is one transaction that finds the prompt
pending or does not: of two clicks at the same moment, one decides and the other is shown what is true now. What was
approved is the hash of the exact action list; a case whose list has another hash cannot be approved by that prompt.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.access import Access
from services.audit import NewEntry, Tag, note
from services.cases import (
    Action,
    ActionState,
    Actor,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseState,
    plan_hash,
    say,
    undo_hash,
)
from services.errors import AlreadyDecided, BadInput, NotAllowed, PlanChanged, PromptOutdated
from services.ports import Clock
from services.store import Store

#: A reason is shown on cards and kept for good, so it is cut to what fits there.
MAX_REASON_LENGTH = 500

#: Questions that leave the case where it is, and have a workflow of their own.
ON_THEIR_OWN = frozenset({ApprovalPurpose.UNDO, ApprovalPurpose.FIX})


@dataclass(frozen=True)
class DecideApproval:
    """An on-call person pressed a button. `claim` comes from the card and is only a pointer; `by` from the token."""

    claim: str
    by: Actor
    granted: bool
    reason: str = ""
    #: Ids of the actions that were left ticked; None for a decision that shows no boxes, which takes the plan as it is.
    ticked: tuple[str, ...] | None = None


def new_approval(case: Case, purpose: ApprovalPurpose, *, at: datetime, wait: timedelta) -> Approval:
    """A prompt for the case's plan as it stands now."""
    return Approval(
        prompt_id=uuid.uuid4().hex,
        claim=secrets.token_urlsafe(24),
        case_id=case.case_id,
        purpose=purpose,
        plan_hash=plan_hash(case.actions),
        asked_at=at,
        expires_at=at + wait,
    )


def new_undo(case: Case, actions: tuple[Action, ...], by: Actor, *, at: datetime, wait: timedelta) -> Approval:
    """A prompt for taking back exactly these actions."""
    prompt = new_approval(case, ApprovalPurpose.UNDO, at=at, wait=wait)
    about = tuple(action.action_id for action in actions)
    asked = {"about": about, "asked_by": by, "plan_hash": undo_hash(case.actions_of(about))}
    return prompt.model_copy(update=asked)


def new_fix(case: Case, fix: Action, by: Actor, *, at: datetime, wait: timedelta) -> Approval:
    """A prompt for exactly this change, which the case must hold already among its fixes."""
    prompt = new_approval(case, ApprovalPurpose.FIX, at=at, wait=wait)
    asked = {"about": (fix.action_id,), "asked_by": by, "plan_hash": undo_hash(case.actions_of((fix.action_id,)))}
    return prompt.model_copy(update=asked)


class Approvals:
    """Decides prompts. Telling the waiting workflow is the caller's business, after the decision is stored."""

    def __init__(self, store: Store, access: Access, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._clock = clock

    async def prompt_of(self, claim: str) -> tuple[Case, Approval]:
        """The case and prompt behind a button. Raises CaseNotFound."""
        case, prompt_id = await self._store.case_of_claim(claim)
        return case, next(a for a in case.approvals if a.prompt_id == prompt_id)

    async def decide(self, order: DecideApproval) -> Case:
        """
        Record one decision; the case as it is afterwards. The same person's repeated decision is that decision.

        Raises NotAllowed (and records the refusal), AlreadyDecided, PromptOutdated, BadInput, CaseNotFound.
        """
        case, prompt = await self.prompt_of(order.claim)
        try:
            await self._access.check_approver(order.by, case)
            _check_not_asker(order, prompt)
            _check_second_person(order, case, prompt)
        except NotAllowed as refusal:
            details = {"prompt_id": prompt.prompt_id, "reason": refusal.reason, "granted": order.granted}
            await self._store.record(note(Tag.CLICK_REFUSED, case.case_id, order.by, **details))
            raise
        now = self._clock.now()
        return await self._store.change_case(case.case_id, lambda case: decided(case, prompt.prompt_id, order, now))


def decided(case: Case, prompt_id: str, order: DecideApproval, now: datetime) -> tuple[Case, list[NewEntry]]:
    """
    The case with the decision in it. Pure.

    Raises AlreadyDecided, PromptOutdated, BadInput: no reason where one is needed (an override, or a plan that rests on
    too little that could be read), or a box that is not on the card.
    """
    prompt = next(a for a in case.approvals if a.prompt_id == prompt_id)
    wanted = ApprovalState.GRANTED if order.granted else ApprovalState.DENIED
    if prompt.state is wanted and prompt.decided_by is not None and prompt.decided_by.user_oid == order.by.user_oid:
        return case, []
    if prompt.state in (ApprovalState.GRANTED, ApprovalState.DENIED):
        raise AlreadyDecided(case_id=case.case_id)
    if prompt.state is not ApprovalState.PENDING or prompt.expires_at <= now:
        raise PromptOutdated(case_id=case.case_id)
    if prompt.plan_hash != _hash_now(case, prompt):
        raise PromptOutdated(case_id=case.case_id)
    reason = order.reason.strip()[:MAX_REASON_LENGTH]
    if order.granted and not reason and case.needs_reason(prompt):
        raise BadInput(what="reason")
    settled = prompt.model_copy(update={"state": wanted, "decided_by": order.by, "decided_at": now, "reason": reason})
    left_out: tuple[str, ...] = ()
    if order.granted:
        case, settled, left_out = _agreed(case, settled, order)
    entry = note(
        _tag(prompt.purpose, order.granted),
        case.case_id,
        order.by,
        prompt_id=prompt_id,
        purpose=prompt.purpose.value,
        plan_hash=prompt.plan_hash,
        approved=list(settled.approved),
        approved_hash=settled.approved_hash,
        left_out=list(left_out),
        reason=reason,
    )
    return _moved(case.with_approval(settled), prompt.purpose, order, reason, now), [entry]


def _hash_now(case: Case, prompt: Approval) -> str:
    if prompt.purpose in ON_THEIR_OWN:
        return undo_hash(case.actions_of(prompt.about))
    return plan_hash(case.actions)


def _agreed(case: Case, prompt: Approval, order: DecideApproval) -> tuple[Case, Approval, tuple[str, ...]]:
    """Case and prompt with what was agreed to, and the ids of the actions that were left out."""
    if prompt.purpose in ON_THEIR_OWN:
        return (case, *_agreed_in_part(case, prompt, order))
    left_out = _left_out(case, order) if prompt.purpose is ApprovalPurpose.REMEDIATION else ()
    for action in case.actions_of(left_out):
        why = say("action.left_out", by=order.by.name) if action.ticked else say("action.not_chosen")
        skipped = {"state": ActionState.SKIPPED, "outcome": why}
        case = case.with_action(action.model_copy(update=skipped))
    if prompt.purpose is ApprovalPurpose.REMEDIATION:
        case = case.model_copy(update={"found_late": ()})  # it was on the card that was agreed to
    approved = tuple(action for action in case.actions if action.state is not ActionState.SKIPPED)
    agreed = {"approved": tuple(a.action_id for a in approved), "approved_hash": plan_hash(approved)}
    return case, prompt.model_copy(update=agreed), left_out


def _agreed_in_part(case: Case, prompt: Approval, order: DecideApproval) -> tuple[Approval, tuple[str, ...]]:
    """The prompt with what is to be changed: all of it, or what was left ticked. Nothing at all is no agreement."""
    ticked = prompt.about if order.ticked is None else order.ticked
    if not ticked or set(ticked) - set(prompt.about):
        raise BadInput(what="actions")
    agreed = case.actions_of(ticked)
    kept = tuple(action.action_id for action in agreed)
    left_out = tuple(action_id for action_id in prompt.about if action_id not in kept)
    return prompt.model_copy(update={"approved": kept, "approved_hash": undo_hash(agreed)}), left_out


def _left_out(case: Case, order: DecideApproval) -> tuple[str, ...]:
    """Only what may be left out can be; an id that is not on the card comes from another card."""
    open_to_choice = [a for a in case.actions if a.optional and a.state is ActionState.PROPOSED]
    if order.ticked is None:
        return tuple(a.action_id for a in open_to_choice if not a.ticked)
    if strange := set(order.ticked) - {a.action_id for a in open_to_choice}:
        raise BadInput(what=", ".join(sorted(strange)))
    return tuple(a.action_id for a in open_to_choice if a.action_id not in order.ticked)


def check_still_approved(case: Case, action_id: str | None = None) -> None:
    """
    What runs is what was approved, to the letter.

    Raises PlanChanged when the stored plan is another one, or when this action is not among what was agreed to.
    """
    granted = [a for a in case.approvals if a.purpose is ApprovalPurpose.REMEDIATION]
    last = next((a for a in reversed(granted) if a.state is ApprovalState.GRANTED), None)
    if last is None or plan_hash(case.actions_of(last.approved)) != last.approved_hash:
        raise PlanChanged(case_id=case.case_id)
    if action_id is not None and action_id not in last.approved:
        raise PlanChanged(case_id=case.case_id)


def _moved(case: Case, purpose: ApprovalPurpose, order: DecideApproval, reason: str, now: datetime) -> Case:
    """Where the decision takes the case. A refused override leaves the lock as it was; an undo or fix, the case."""
    if purpose in ON_THEIR_OWN:
        return case
    if purpose is ApprovalPurpose.OVERRIDE:
        return case.moved(CaseState.UNBLOCKING, now, outcome=None) if order.granted else case
    if order.granted:
        return case.moved(CaseState.CONTAINING, now, outcome=None)
    why = (
        say("outcome.denied_because", who=order.by.name, reason=reason)
        if reason
        else say("outcome.denied", who=order.by.name)
    )
    return case.moved(CaseState.DENIED, now, outcome=why)


def _tag(purpose: ApprovalPurpose, granted: bool) -> Tag:
    if not granted:
        return Tag.APPROVAL_DENIED
    return Tag.CASE_OVERRIDDEN if purpose is ApprovalPurpose.OVERRIDE else Tag.APPROVAL_GRANTED


def _check_not_asker(order: DecideApproval, prompt: Approval) -> None:
    if prompt.asked_by is not None and prompt.asked_by.user_oid.casefold() == order.by.user_oid.casefold():
        raise NotAllowed("own_request")


def _check_second_person(order: DecideApproval, case: Case, prompt: Approval) -> None:
    """Who approved the plan cannot also lift the lock that the plan's outcome has put on."""
    if prompt.purpose is not ApprovalPurpose.OVERRIDE or not order.granted:
        return
    approvers = {a.decided_by.user_oid for a in case.approvals if a.decided_by and a.state is ApprovalState.GRANTED}
    if prompt.state is ApprovalState.PENDING and order.by.user_oid in approvers:
        raise NotAllowed("same_approver")


def settled_without_decision(case: Case, state: ApprovalState, now: datetime, *purposes: ApprovalPurpose) -> Case:
    """The case with its pending prompts, or those of these purposes, expired, cancelled or superseded."""
    for prompt in case.pending(*purposes):
        case = case.with_approval(prompt.model_copy(update={"state": state, "decided_at": now}))
    return case
