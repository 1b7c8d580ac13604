"""
A way back in for the owner of an account whose password nobody knows any more: a Temporary Access Pass.

It is shown once, to the approver who asked for it, in the answer to their click, and is kept nowhere: not in the
database, not in a log, not in a message. That it was asked for and whether it was issued is on the record.
Source: "Configure Temporary Access Pass in Microsoft Entra ID", 2025; "Create temporaryAccessPassMethod", 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.access import Access
from services.audit import Tag, note
from services.cases import Actor, ApprovalPurpose, ApprovalState, Case
from services.clients.graph_models import AccessPass
from services.errors import NotAllowed, ServiceError, WrongState
from services.store import Store

#: Long enough to telephone the user and let them register a new method.
LIFETIME_MINUTES = 60


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

    def __init__(self, store: Store, access: Access, issuer: PassIssuer) -> None:
        self._store = store
        self._access = access
        self._issuer = issuer

    async def issue_access_pass(self, order: IssueAccessPass) -> tuple[Case, AccessPass]:
        """
        The case and a pass for its account, once the attacker is out.

        Raises NotAllowed for everybody but an approver who has approved this very case, WrongState before the
        containment is proven, CaseNotFound, and Graph's errors (policy, permission, an admin's account).
        """
        case = await self._store.case(order.case_id)
        await self._access.check_approver(order.by, case)
        if not _has_approved(order.by, case):
            raise NotAllowed("not_this_approver")
        if not case.is_secured or case.subject is None:
            raise WrongState(case_id=case.case_id, state=case.state.value)
        details = {"user_oid": case.subject.user_oid, "lifetime_minutes": LIFETIME_MINUTES}
        await self._store.record(note(Tag.ACCESS_PASS_ASKED, case.case_id, order.by, **details))
        try:
            issued = await self._issuer.issue_access_pass(
                case.subject.user_oid, lifetime_minutes=LIFETIME_MINUTES, usable_once=True
            )
        except ServiceError as error:
            await self._store.record(note(Tag.ACCESS_PASS_FAILED, case.case_id, order.by, why=error.key))
            raise
        await self._store.record(note(Tag.ACCESS_PASS_ISSUED, case.case_id, order.by, **details))
        return case, issued


def _has_approved(who: Actor, case: Case) -> bool:
    granted = (a for a in case.approvals if a.state is ApprovalState.GRANTED)
    return any(
        a.decided_by.user_oid.casefold() == who.user_oid.casefold()
        for a in granted
        if a.purpose in _OF_THE_CASE and a.decided_by is not None
    )
