"""
A way back in for the owner of an account whose password nobody knows any more: a Temporary Access Pass.

It is shown once, to the approver who asked for it, in the answer to their click, and is kept nowhere: not in the
database, not in a log, not in a message. That it was asked for and whether it was issued is on the record.
Source: "Configure Temporary Access Pass in Microsoft Entra ID", 2025; "Create temporaryAccessPassMethod", 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.access import Access
from services.approvals import new_approval
from services.audit import NewEntry, Tag, note
from services.cases import Actor, Approval, ApprovalPurpose, ApprovalState, Case, Subject
from services.clients.graph_models import AccessPass
from services.errors import NotAllowed, ServiceError, StepUpNeeded, WrongState
from services.policy import Policy
from services.ports import Clock
from services.protection import Protection
from services.store import Store

#: Long enough to telephone the user and let them register a new method.
LIFETIME_MINUTES = 60
#: Within this time a case gets one pass: whoever needs another one so soon is hardly the owner.
ONE_PASS_WITHIN = timedelta(hours=1)


class PassIssuer(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`."""

    async def issue_access_pass(self, oid: str, *, lifetime_minutes: int, usable_once: bool) -> AccessPass: ...


#: Questions whose answer is about the account as a whole; an undo or a fix is about one setting.
_OF_THE_CASE = frozenset({ApprovalPurpose.REMEDIATION, ApprovalPurpose.OVERRIDE})


@dataclass(frozen=True)
class IssueAccessPass:
    by: Actor
    case_id: str


class AccessPasses:
    """Issues them."""

    def __init__(
        self, store: Store, access: Access, issuer: PassIssuer, protection: Protection, policy: Policy, clock: Clock
    ) -> None:
        self._store = store
        self._access = access
        self._issuer = issuer
        self._protection = protection
        self._policy = policy
        self._clock = clock

    async def issue_access_pass(self, order: IssueAccessPass) -> tuple[Case, AccessPass]:
        """
        The case and a pass for its account, once the attacker is out.

        Raises NotAllowed for everybody but an approver who has approved this very case, when fewer have approved it
        than the policy asks for this account, and within an hour of the last pass; StepUpNeeded when the question took
        a fresh sign-in and theirs is over; WrongState before the containment is proven, CaseNotFound, and Graph's
        errors (policy, permission, an admin's account).
        """
        case = await self._store.case(order.case_id)
        await self._access.check_approver(order.by, case)
        prompt = _agreed_to(order.by, case)
        subject = _secured(case)
        await self._check_enough(case, prompt, subject)
        await self._check_sign_in(order.by, prompt)
        case = await self._claimed(order, subject)
        try:
            issued = await self._issuer.issue_access_pass(
                subject.user_oid, lifetime_minutes=LIFETIME_MINUTES, usable_once=True
            )
        except ServiceError as error:
            entry = note(Tag.ACCESS_PASS_FAILED, case.case_id, order.by, why=error.key)
            await self._store.change_case(case.case_id, lambda case: (_with_pass(case, None), [entry]))
            raise
        await self._store.record(note(Tag.ACCESS_PASS_ISSUED, case.case_id, order.by, **_details(subject)))
        return case, issued

    async def _check_enough(self, case: Case, prompt: Approval, subject: Subject) -> None:
        """As many as the question took then, and as many as it would take by what is known of the account now."""
        case = case.model_copy(update={"protected": await self._protection.kinds_of(subject)})
        needs = new_approval(case, prompt.purpose, self._policy, at=prompt.asked_at)
        if needs.never is not None:
            raise NotAllowed("never")
        if len(_people_of(prompt)) < max(prompt.needed, needs.needed):
            raise NotAllowed("too_few_approved")

    async def _check_sign_in(self, who: Actor, prompt: Approval) -> None:
        if prompt.step_up_max_age_s is None:
            return
        proofs = await self._store.sign_ins_of(who.user_oid, prompt.prompt_id)
        if not any(proof.counts(self._clock.now()) for proof in proofs):
            raise StepUpNeeded(case_id=prompt.case_id, prompt_id=prompt.prompt_id)

    async def _claimed(self, order: IssueAccessPass, subject: Subject) -> Case:
        """The case with the hour of this pass begun, so that two clicks at once get one."""
        now = self._clock.now()

        def claim(case: Case) -> tuple[Case, list[NewEntry]]:
            _secured(case)
            if case.access_pass_at is not None and now - case.access_pass_at < ONE_PASS_WITHIN:
                raise NotAllowed("pass_lately")
            return _with_pass(case, now), [note(Tag.ACCESS_PASS_ASKED, case.case_id, order.by, **_details(subject))]

        return await self._store.change_case(order.case_id, claim)


def _agreed_to(who: Actor, case: Case) -> Approval:
    """The last question about the account that was granted, if this person is one of those who did."""
    granted = [a for a in case.approvals if a.state is ApprovalState.GRANTED and a.purpose in _OF_THE_CASE]
    if not granted or who.user_oid.casefold() not in _people_of(granted[-1]):
        raise NotAllowed("not_this_approver")
    return granted[-1]


def _people_of(prompt: Approval) -> set[str]:
    """Object ids of those who have agreed."""
    last = {prompt.decided_by.user_oid.casefold()} if prompt.decided_by is not None else set()
    return last | {vote.by.user_oid.casefold() for vote in prompt.votes if vote.granted}


def _secured(case: Case) -> Subject:
    if not case.is_secured or case.subject is None:
        raise WrongState(case_id=case.case_id, state=case.state.value)
    return case.subject


def _with_pass(case: Case, at: datetime | None) -> Case:
    return case.model_copy(update={"access_pass_at": at})


def _details(subject: Subject) -> dict[str, object]:
    return {"user_oid": subject.user_oid, "lifetime_minutes": LIFETIME_MINUTES}
