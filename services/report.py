"""
A case for machines: the JSON of `app.py cases show --json`, in the words of the contract.

`verdict` (compromised | suspected | no_evidence), `score`, `completeness` (0 to 1), `signals[]`, `actions[]`,
`approvals[]`, `timeline[]`. Texts are keys with parameters, so that the report does not depend on a language; moments
are ISO 8601 in UTC.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from services.audit import AuditEntry
from services.cases import Action, Approval, Case, Finding


def case_report(case: Case, entries: Sequence[AuditEntry]) -> dict[str, Any]:
    """The whole case as plain JSON values. Approvals carry no claim: that is what a button proves itself with."""
    verdict = case.verdict
    return {
        "case_id": case.case_id,
        "state": case.state.value,
        "open": case.is_open,
        "requester": case.requester.model_dump(mode="json"),
        "subject": case.subject.model_dump(mode="json") if case.subject else None,
        "block": case.block.model_dump(mode="json") if case.block else None,
        "opened_at": case.opened_at.isoformat(),
        "closed_at": case.closed_at.isoformat() if case.closed_at else None,
        "outcome": case.outcome.model_dump(mode="json") if case.outcome else None,
        "verdict": verdict.label.value if verdict else None,
        "score": verdict.score if verdict else None,
        "completeness": verdict.completeness if verdict else None,
        "signals": [_signal(finding) for finding in case.findings],
        "actions": [_action(action) for action in case.actions],
        "approvals": [_approval(approval) for approval in case.approvals],
        "prevention": [item.model_dump(mode="json") for item in case.prevention],
        "timeline": [_timeline(entry) for entry in entries],
    }


def _signal(finding: Finding) -> dict[str, Any]:
    plain = finding.model_dump(mode="json")
    return {
        "id": finding.signal_id,
        "state": finding.state.value,
        "weight": finding.weight,
        "summary": plain["summary"],
        "evidence": plain["evidence"],
        "reason": finding.unknown_reason.value if finding.unknown_reason else None,
    }


def _action(action: Action) -> dict[str, Any]:
    plain = action.model_dump(mode="json")
    return {
        "id": action.action_id,
        "kind": action.kind.value,
        "target": action.target,
        "target_name": action.target_name,
        "impact": action.impact.value,
        "reversible": action.reversible,
        "state": action.state.value,
        "outcome": plain["outcome"],
        "done_at": plain["done_at"],
    }


def _approval(approval: Approval) -> dict[str, Any]:
    plain = approval.model_dump(mode="json", exclude={"claim", "case_id"})
    return {"id": plain.pop("prompt_id"), **plain}


def _timeline(entry: AuditEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": entry.at,
        "tag": entry.tag,
        "actor": entry.actor_name,
        "actor_oid": entry.actor_oid,
        "details": json.loads(entry.details),
    }
