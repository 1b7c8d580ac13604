"""Apps that were given to the account lately and that nobody vouches for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from services.cases import Finding, Text, say
from services.clients.graph_models import AppAssignment, ServicePrincipal
from services.errors import NotFound, ServiceError
from services.investigation.apps import is_odd_name, is_trusted, is_unverified, known_as, known_text
from services.investigation.evidence import Evidence, attempted
from services.investigation.table import SignalRow

_TOLD = 4
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Assigned:
    """An assignment and the app behind it."""

    assignment: AppAssignment
    #: None when the app is gone, or could not be read: `refusal` tells which.
    principal: ServicePrincipal | None
    refusal: ServiceError | None

    @property
    def name(self) -> str:
        shown = self.principal.name if self.principal else ""
        return shown or self.assignment.app_name or self.assignment.app_sp_oid or "?"


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Assignments that were made around the block for an app whose publisher nobody has verified, and known-bad apps.

    What came through a group was not given to this account and is left alone. The newest are looked at; when there are
    more than that, the finding says so.
    Source: "List appRoleAssignments", 2024; "Detect and remediate illicit consent grants", 2023-06-14.
    """
    read = await evidence.directory.app_assignments(evidence.subject.user_oid)
    own = [a for a in read if (a.principal_type or "User").casefold() == "user"]
    newest = sorted(own, key=lambda a: a.created_at or _LONG_AGO, reverse=True)[: row.thresholds["most"]]
    apps = await asyncio.gather(*(_assigned(assignment, evidence) for assignment in newest))
    notes = (say("finding.app_assignments.cut_off", n=len(newest)),) if len(own) > len(newest) else ()
    rated = [(app, kinds_of(app, evidence, row)) for app in apps]
    bad = [(app, kinds) for app, kinds in rated if row.points_for(kinds) >= row.thresholds["suspicious_from"]]
    if not bad:
        return _nothing_bad(apps, notes, row)
    return row.found(
        sum(row.points_for(kinds) for _, kinds in bad),
        say("finding.app_assignments.suspicious", n=len(bad)),
        *(text for app, kinds in bad[:_TOLD] for text in _told(app, kinds)),
        *notes,
        targets=[_target(app, kinds) for app, kinds in bad],
    )


def _nothing_bad(apps: Sequence[Assigned], notes: tuple[Text, ...], row: SignalRow) -> Finding:
    refusal = next((app.refusal for app in apps if app.refusal and not isinstance(app.refusal, NotFound)), None)
    if refusal is not None:
        raise refusal
    if not apps:
        return row.clear(say("finding.app_assignments.none"))
    return row.clear(say("finding.app_assignments.clear", n=len(apps)), *notes)


def kinds_of(app: Assigned, evidence: Evidence, row: SignalRow) -> tuple[str, ...]:
    """What speaks against it: names among the row's points; none for Microsoft's and the tenant's own apps."""
    if app.principal is not None and is_trusted(app.principal, evidence.case.tenant_id):
        return ()
    known = known_as(app.principal, app.name)
    recent = evidence.is_near_start(app.assignment.created_at, row.days("days_around"))
    tests = {
        "recent": recent,
        "unverified": is_unverified(app.principal, evidence.case.tenant_id),
        # A name that says nothing is odd only on an app that is new.
        "odd_name": recent and is_odd_name(app.name, evidence.subject),
    }
    return tuple([*(kind for kind, true in tests.items() if true), *([known[0]] if known else [])])


async def _assigned(assignment: AppAssignment, evidence: Evidence) -> Assigned:
    if not assignment.app_sp_oid:
        return Assigned(assignment, None, NotFound("graph"))
    read = await attempted(evidence.app(assignment.app_sp_oid))
    refused = isinstance(read, ServiceError)
    return Assigned(assignment, None if refused else read, read if refused else None)


def _told(app: Assigned, kinds: Iterable[str]) -> tuple[Text, ...]:
    at = app.assignment.created_at
    dated = say("finding.app_assignments.detail", app=app.name, at=at)
    lines = [dated if at else say("finding.app_assignments.undated", app=app.name)]
    if "unverified" in kinds:
        lines.append(say("finding.oauth_grants.unverified", app=app.name))
    return (*lines, *known_text(app.principal, app.name))


def _target(app: Assigned, kinds: Iterable[str]) -> dict[str, Any]:
    return {
        "assignment_id": app.assignment.assignment_id,
        "app_sp_oid": app.assignment.app_sp_oid,
        "app_role_id": app.assignment.app_role_id,
        "name": app.name,
        "suspicions": list(kinds),
    }
