"""Which admin roles the account holds, and whether one was assigned around the block."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from services.cases import Finding, Text, say
from services.clients.graph_models import AuditEvent, DirectoryRole
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted
from services.investigation.habits import fold
from services.investigation.table import SignalRow, words
from services.investigation.unreadable import reason_of, why

_TOLD = 5


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Roles are told, because they raise the stakes; one that was assigned lately is evidence.

    Every role is a target, `recent` for those that were assigned around the block. Roles that come through a group, and
    those of Exchange and of Defender, are not read. When roles are held and the audit log cannot be read, nobody can
    say since when, and the finding is unknown.
    Source: "List unifiedRoleAssignments", 2025; Microsoft Entra audit log activities, 2025.
    """
    roles, audits = await asyncio.gather(
        evidence.directory.directory_roles(evidence.subject.user_oid), attempted(evidence.audits())
    )
    added = [] if isinstance(audits, ServiceError) else _added(audits, evidence, row)
    targets = [_target(role, added) for role in roles]
    told = tuple(_told(role, added) for role in roles[:_TOLD])
    if added:
        kinds = ["added_by_itself" if _by_itself(event, evidence) else "added_by_another" for event in added]
        texts = (*(_event(event) for event in added[:_TOLD]), *told)
        return row.found(row.points_for(kinds), say("finding.admin_roles.added", n=len(added)), *texts, targets=targets)
    if isinstance(audits, ServiceError):
        return _undated(audits, roles, told, targets, row)
    if not roles:
        return row.clear(say("finding.admin_roles.none"))
    return row.found(row.points["held"], say("finding.admin_roles.held", n=len(roles)), *told, targets=targets)


def _undated(
    refusal: ServiceError,
    roles: Sequence[DirectoryRole],
    told: tuple[Text, ...],
    targets: list[dict[str, Any]],
    row: SignalRow,
) -> Finding:
    """What can be said without the audit log. A role may have been assigned and taken back, so nothing is clear."""
    if not roles:
        raise refusal
    summary = say("finding.admin_roles.undated", n=len(roles), why=why(refusal, row.licence))
    return row.unknown(reason_of(refusal), summary, *told).model_copy(update={"targets": tuple(targets)})


def _added(audits: Sequence[AuditEvent], evidence: Evidence, row: SignalRow) -> list[AuditEvent]:
    known = words().admin_roles.added_activities
    succeeded = [a for a in audits if a.activity.casefold() in known and fold(a.result or "success") == "success"]
    return [a for a in succeeded if evidence.is_near_start(a.at, row.days("days_around"))]


def _by_itself(event: AuditEvent, evidence: Evidence) -> bool:
    return fold(event.by_oid) == fold(evidence.subject.user_oid)


def _names_role(event: AuditEvent, role: DirectoryRole) -> bool:
    """Whether an entry of the log is about this role: by its name or id, which stand among the changed values."""
    said = {fold((change.new or "").strip('"')) for target in event.targets for change in target.changes}
    said |= {fold(name) for target in event.targets for name in (target.oid, target.name)}
    return bool(({fold(role.role_id), fold(role.role_name)} - {""}) & said)


def _recent(role: DirectoryRole, added: Sequence[AuditEvent]) -> AuditEvent | None:
    return next((event for event in added if _names_role(event, role)), None)


def _target(role: DirectoryRole, added: Sequence[AuditEvent]) -> dict[str, Any]:
    return {
        "assignment_id": role.assignment_id,
        "role_id": role.role_id,
        "role_name": role.role_name or role.role_id,
        "scope": role.scope or "/",
        "recent": _recent(role, added) is not None,
    }


def _told(role: DirectoryRole, added: Sequence[AuditEvent]) -> Text:
    event, name = _recent(role, added), role.role_name or role.role_id
    if event is not None:
        return say("finding.admin_roles.recent", role=name, at=event.at)
    return say("finding.admin_roles.role", role=name)


def _event(event: AuditEvent) -> Text:
    by = event.by_upn or event.by_app or "?"
    return say("finding.admin_roles.event", activity=event.activity, at=event.at, by=by, ip=event.by_ip or "?")
