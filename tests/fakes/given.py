"""Nouns for tests, with only what matters said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.approvals import new_approval
from services.cases import (
    Action,
    ActionKind,
    ApprovalPurpose,
    Block,
    BlockKind,
    Case,
    CaseState,
    Impact,
)
from tests.fakes.people import ALEX, JANE, MEGAN, OLGA, TENANT, actor
from tests.fakes.policies import policy_for

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)

PLAN = (
    Action(action_id="revoke_sessions", kind=ActionKind.REVOKE_SESSIONS, impact=Impact.LOW),
    Action(action_id="reset_password", kind=ActionKind.RESET_PASSWORD, impact=Impact.HIGH),
    Action(action_id="unblock", kind=ActionKind.UNBLOCK, target={"sender_address": JANE.upn}),
)


def case(case_id: str = "C1", **fields: Any) -> Case:
    """A case that Alex opened about nobody yet."""
    values: dict[str, Any] = {
        "tenant_id": TENANT,
        "state": CaseState.IDENTIFYING,
        "query": "jane",
        "requester": actor(ALEX),
        "opened_at": NOW,
        "changed_at": NOW,
    }
    return Case(case_id=case_id, **(values | fields))


def asked(case_id: str = "C1", *, minutes: float = 60, **fields: Any) -> Case:
    """A case about Jane that waits for the on-call."""
    waiting = case(
        case_id,
        state=CaseState.AWAITING_APPROVAL,
        subject=JANE.subject(),
        block=Block(kind=BlockKind.RESTRICTED, sender_address=JANE.upn),
        actions=PLAN,
        **fields,
    )
    prompt = new_approval(
        waiting, ApprovalPurpose.REMEDIATION, policy_for(MEGAN.oid, OLGA.oid), at=NOW, wait=timedelta(minutes=minutes)
    )
    return waiting.with_approval(prompt)


def locked(case_id: str = "C1", **fields: Any) -> Case:
    """A case whose containment is not proven, with the question whether to unblock all the same."""
    waiting = asked(case_id, **fields).model_copy(update={"state": CaseState.LOCKED})
    return waiting.with_approval(
        new_approval(
            waiting, ApprovalPurpose.OVERRIDE, policy_for(MEGAN.oid, OLGA.oid), at=NOW, wait=timedelta(hours=24)
        )
    )
