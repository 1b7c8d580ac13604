"""
Who may decide, in time, exactly once.

A prompt is a row with a one-shot claim, stored before it is posted. A decision is one transaction that finds the prompt
pending or does not: of two clicks at the same moment, one decides and the other is shown what is true now. What was
approved is the hash of the exact action list; a case whose list has another hash cannot be approved by that prompt.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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
    CaseKind,
    CaseState,
    Vote,
    plan_hash,
    say,
    undo_hash,
)
from services.errors import AlreadyDecided, BadInput, NotAllowed, PlanChanged, PromptOutdated, StepUpNeeded
from services.policy import Policy, ProtectedKind, Requirement, Standing, required, schedule, standing
from services.ports import Clock
from services.store import Store

#: A reason is shown on cards and kept for good, so it is cut to what fits there.
MAX_REASON_LENGTH = 500

#: Of so many messages a case remembers that they were counted; Teams brings one again within minutes if at all.
MESSAGES_KEPT = 50

#: Questions that leave the case where it is, and have a workflow of their own.
ON_THEIR_OWN = frozenset({ApprovalPurpose.UNDO, ApprovalPurpose.FIX})


class Viewer(StrEnum):
    """Who looks at a question that is still open."""

    APPROVER = "approver"  # could answer it now
    REQUESTER = "requester"  # asked for it, and waits
    BYSTANDER = "bystander"  # may read it
    CROWD = "crowd"  # everybody in a conversation of very many: nothing to press but for a card of one's own


@dataclass(frozen=True)
class DecideApproval:
    """An on-call person pressed a button. `claim` comes from the card and is only a pointer; `by` from the token."""

    claim: str
    by: Actor
    granted: bool
    reason: str = ""
    #: Ids of the actions that were left ticked; None for a decision that shows no boxes, which takes the plan as it is.
    ticked: tuple[str, ...] | None = None
    #: Id of the message in which it was typed; "" for a click.
    message_id: str = ""


def new_approval(
    case: Case,
    purpose: ApprovalPurpose,
    policy: Policy,
    *,
    at: datetime,
    wait: timedelta | None = None,
    about: Sequence[Action] = (),
) -> Approval:
    """
    A prompt for the case's plan as it stands now, with what the policy asks of it at this moment.

    `about` are the actions when it is not the plan; `wait` is how long it stays open at least, by the hours of the
    policy as all its times.
    """
    actions = about or [action for action in case.actions if action.state is not ActionState.SKIPPED]
    needs = required(
        policy,
        impacts={action.impact for action in actions},
        verdict=case.verdict.label if case.verdict else None,
        purpose=purpose,
        protected=_protection_of(case),
        at=at,
    )
    times = schedule(policy, at, wait or timedelta())
    return Approval(
        prompt_id=uuid.uuid4().hex,
        claim=secrets.token_urlsafe(24),
        case_id=case.case_id,
        purpose=purpose,
        plan_hash=plan_hash(case.actions),
        asked_at=at,
        expires_at=times.expires_at,
        needed=needs.count,
        levels=needs.levels,
        self_allowed=needs.self_allowed,
        never=needs.never,
        why=needs.why,
        step_up_max_age_s=needs.step_up_max_age.total_seconds() if needs.step_up_max_age else None,
        remind_at=times.remind_at,
        escalate_at=times.escalate_at,
    )


def _protection_of(case: Case) -> tuple[str, ...]:
    """The kinds that count: all of them for an account that was never looked up; only accounts can be protected."""
    if case.kind is not CaseKind.ACCOUNT:
        return ()
    return tuple(kind.value for kind in ProtectedKind) if case.protected is None else case.protected


def by_policy_now(case: Case, prompt: Approval, policy: Policy) -> Approval:
    """
    The prompt as the policy in force wants it, for the time at which it was asked, where that is stricter than what is
    stored: the policy, the verdict, or what protects the account may be another since. Whom it does not name any more
    for this question is on none of the levels, and a level may be empty.
    """
    now = new_approval(case, prompt.purpose, policy, at=prompt.asked_at, about=case.actions_of(prompt.about))
    named = {entry for level in now.levels for entry in level}
    ages = [age for age in (prompt.step_up_max_age_s, now.step_up_max_age_s) if age is not None]
    stricter = {
        "needed": max(prompt.needed, now.needed),
        "why": now.why if now.needed > prompt.needed else prompt.why,
        "never": prompt.never or now.never,
        "self_allowed": prompt.self_allowed and now.self_allowed,
        "step_up_max_age_s": min(ages, default=None),
        "levels": tuple(tuple(entry for entry in level if entry in named) for level in prompt.levels),
    }
    return prompt.model_copy(update=stricter)


def standing_of(case: Case, prompt: Approval) -> Standing:
    """How a prompt stands after the answers so far."""
    needs = Requirement(
        count=prompt.needed, levels=prompt.levels, self_allowed=prompt.self_allowed, never=prompt.never, why=prompt.why
    )
    asked_by = {case.requester.user_oid} | ({prompt.asked_by.user_oid} if prompt.asked_by else set())
    subject_oid = case.subject.user_oid if case.subject else None
    return standing(needs, prompt.votes, requesters=asked_by, subject_oid=subject_oid)


def new_undo(
    case: Case, actions: tuple[Action, ...], by: Actor, policy: Policy, *, at: datetime, wait: timedelta
) -> Approval:
    """A prompt for taking back exactly these actions."""
    prompt = new_approval(case, ApprovalPurpose.UNDO, policy, at=at, wait=wait, about=actions)
    about = tuple(action.action_id for action in actions)
    asked = {"about": about, "asked_by": by, "plan_hash": undo_hash(case.actions_of(about))}
    return prompt.model_copy(update=asked)


def new_fix(case: Case, fix: Action, by: Actor, policy: Policy, *, at: datetime, wait: timedelta) -> Approval:
    """A prompt for exactly this change, which the case must hold already among its fixes."""
    prompt = new_approval(case, ApprovalPurpose.FIX, policy, at=at, wait=wait, about=(fix,))
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

        Raises NotAllowed (and records the refusal), AlreadyDecided, PromptOutdated, BadInput, CaseNotFound, and
        StepUpNeeded when nothing but a fresh sign-in is missing.
        """
        case, prompt = await self.prompt_of(order.claim)
        case, prompt = self._by_policy_now(case, prompt.prompt_id)
        try:
            account = await self._access.check_approver(order.by, case, prompt)
            _check_not_asker(order, prompt)
            _check_second_person(order, case, prompt)
            _check_not_never(order, prompt)
            fallen = await self._no_longer_counting(order, case, prompt)
        except NotAllowed as refusal:
            details = {"prompt_id": prompt.prompt_id, "reason": refusal.reason, "granted": order.granted}
            await self._store.record(note(Tag.CLICK_REFUSED, case.case_id, order.by, **details))
            raise
        now = self._clock.now()
        _, entries = decided(case, prompt.prompt_id, order, now, fallen)
        if not entries:  # said before, as most clicks of a crowd are: nobody has to wait in line for the case
            return case
        await self._check_sign_in(order, prompt, now)
        known = {"risk_unread": account.risk_unread, "on_call": await self._access.is_on_call(order.by, prompt)}

        def decide(case: Case) -> tuple[Case, list[NewEntry]]:
            case, _ = self._by_policy_now(case, prompt.prompt_id)
            return decided(case, prompt.prompt_id, order, now, fallen, **known)

        return await self._store.change_case(case.case_id, decide)

    def _by_policy_now(self, case: Case, prompt_id: str) -> tuple[Case, Approval]:
        """An open prompt as strict as the policy in force, and the case with it, which goes on asking whom it asked."""
        prompt = case.prompt(prompt_id)
        if prompt.state is not ApprovalState.PENDING:
            return case, prompt
        strict = by_policy_now(case, prompt, self._access.policy)
        return case.with_approval(strict.model_copy(update={"levels": prompt.levels})), strict

    async def _check_sign_in(self, order: DecideApproval, prompt: Approval, now: datetime) -> None:
        """
        Saying yes to the hardest actions takes a fresh sign-in of this person for this prompt; saying no never does.

        Comes after everything else: nobody is asked for it with a click that would not count anyway.
        """
        if not order.granted or prompt.step_up_max_age_s is None:
            return
        proofs = await self._store.sign_ins_of(order.by.user_oid, prompt.prompt_id)
        if not any(proof.counts(now) for proof in proofs):
            raise StepUpNeeded(case_id=prompt.case_id, prompt_id=prompt.prompt_id)

    async def _no_longer_counting(self, order: DecideApproval, case: Case, prompt: Approval) -> dict[str, str]:
        """
        Those whose approval was counted before and who may not approve any more, by object id, and why: taken out of
        the group, disabled, or held by an attacker. Raises NotAllowed when that cannot be told.
        """
        if not order.granted or prompt.state is not ApprovalState.PENDING:
            return {}
        reasons = await asyncio.gather(*(self._why_fallen(vote, case, prompt) for vote in prompt.votes))
        return {vote.by.user_oid: why for vote, why in zip(prompt.votes, reasons, strict=True) if why is not None}

    async def _why_fallen(self, vote: Vote, case: Case, prompt: Approval) -> str | None:
        try:
            await self._access.check_voter(vote, case, prompt)
        except NotAllowed as refusal:
            if refusal.reason == "cannot_check":
                raise
            return refusal.reason
        return None


def decided(
    case: Case,
    prompt_id: str,
    order: DecideApproval,
    now: datetime,
    fallen: Mapping[str, str] | None = None,
    *,
    risk_unread: bool = False,
    on_call: bool = False,
) -> tuple[Case, list[NewEntry]]:
    """
    The case with the decision in it. Pure. The approvals of `fallen` (object ids, each with why) do not count any more.
    `risk_unread` is whether the risk of the account of whoever decides could not be read, `on_call` whether they are on
    call; all of it goes on the record.

    Raises AlreadyDecided, PromptOutdated, BadInput: no reason where one is needed (an override, or a plan that rests on
    too little that could be read), or a box that is not on the card.
    """
    prompt = next(a for a in case.approvals if a.prompt_id == prompt_id)
    wanted = ApprovalState.GRANTED if order.granted else ApprovalState.DENIED
    if _is_said_already(prompt, order) or (order.message_id and order.message_id in case.heard):
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
    if order.granted:
        _check_boxes(case, prompt, order)
    if order.message_id:
        case = case.model_copy(update={"heard": (*case.heard, order.message_id)[-MESSAGES_KEPT:]})
    known = {"ticked": order.ticked, "risk_unread": risk_unread, "on_call": on_call}
    vote = Vote(by=order.by, granted=order.granted, at=now, reason=reason, **known)
    before = {earlier.by.user_oid for earlier in prompt.votes}
    gone = {oid: why for oid, why in (fallen or {}).items() if oid in before}
    prompt = _with_vote(_without(prompt, gone), vote)
    if order.granted and (standing_now := standing_of(case, prompt)).missing:
        return case.with_approval(prompt), [_partly(case, prompt, vote, standing_now, gone)]
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
        risk_unread=risk_unread,
        no_longer_counting=gone,
    )
    return _moved(case.with_approval(settled), prompt.purpose, order, reason, now), [entry]


def _is_said_already(prompt: Approval, order: DecideApproval) -> bool:
    """Whether this person has given this very answer before: a double click, or Teams saying it again."""
    ticked = None if order.ticked is None else tuple(order.ticked)
    mine = [vote for vote in prompt.votes if vote.by.user_oid.casefold() == order.by.user_oid.casefold()]
    if not mine or mine[-1].granted is not order.granted:
        return False
    return prompt.state is not ApprovalState.PENDING or mine[-1].ticked == ticked


def _without(prompt: Approval, fallen: Collection[str]) -> Approval:
    return prompt.model_copy(update={"votes": tuple(vote for vote in prompt.votes if vote.by.user_oid not in fallen)})


def _with_vote(prompt: Approval, vote: Vote) -> Approval:
    """
    The prompt with one more answer. An approval of other boxes starts the count anew: all must agree to the same list.
    """
    before = [
        earlier
        for earlier in prompt.votes
        if earlier.by.user_oid.casefold() != vote.by.user_oid.casefold()
        and (not vote.granted or earlier.ticked == vote.ticked)
    ]
    return prompt.model_copy(update={"votes": (*before, vote)})


def _partly(case: Case, prompt: Approval, vote: Vote, now: Standing, gone: Mapping[str, str]) -> NewEntry:
    return note(
        Tag.APPROVAL_VOTED,
        case.case_id,
        vote.by,
        prompt_id=prompt.prompt_id,
        purpose=prompt.purpose.value,
        plan_hash=prompt.plan_hash,
        approved_by=[actor.user_oid for actor in now.approved_by],
        missing=now.missing,
        risk_unread=vote.risk_unread,
        no_longer_counting=dict(gone),
    )


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
    """The prompt with what is to be changed: all of it, or what was left ticked."""
    agreed = case.actions_of(prompt.about if order.ticked is None else order.ticked)
    kept = tuple(action.action_id for action in agreed)
    left_out = tuple(action_id for action_id in prompt.about if action_id not in kept)
    return prompt.model_copy(update={"approved": kept, "approved_hash": undo_hash(agreed)}), left_out


def _check_boxes(case: Case, prompt: Approval, order: DecideApproval) -> None:
    """Before the vote is stored, since one that could never be carried out would stand in the way of those after it."""
    if prompt.purpose is ApprovalPurpose.REMEDIATION:
        _left_out(case, order)
    elif prompt.purpose in ON_THEIR_OWN:
        ticked = prompt.about if order.ticked is None else order.ticked
        if not ticked or set(ticked) - set(prompt.about):  # nothing at all is no agreement
            raise BadInput(what="actions")


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
    if prompt.self_allowed:
        return
    if prompt.asked_by is not None and prompt.asked_by.user_oid.casefold() == order.by.user_oid.casefold():
        raise NotAllowed("own_request")


def _check_second_person(order: DecideApproval, case: Case, prompt: Approval) -> None:
    """
    Who approved the plan cannot alone lift the lock that the plan's outcome has put on; where two must agree to that,
    they may be one of the two.
    """
    if prompt.purpose is not ApprovalPurpose.OVERRIDE or not order.granted or prompt.needed > 1:
        return
    granted = [a for a in case.approvals if a.state is ApprovalState.GRANTED]
    approvers = {a.decided_by.user_oid for a in granted if a.decided_by}
    approvers |= {vote.by.user_oid for a in granted for vote in a.votes if vote.granted}
    if prompt.state is ApprovalState.PENDING and order.by.user_oid in approvers:
        raise NotAllowed("same_approver")


def _check_not_never(order: DecideApproval, prompt: Approval) -> None:
    if order.granted and prompt.never is not None:
        raise NotAllowed("never")


def settled_without_decision(case: Case, state: ApprovalState, now: datetime, *purposes: ApprovalPurpose) -> Case:
    """The case with its pending prompts, or those of these purposes, expired, cancelled or superseded."""
    for prompt in case.pending(*purposes):
        case = case.with_approval(prompt.model_copy(update={"state": state, "decided_at": now}))
    return case
