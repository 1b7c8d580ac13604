"""When the password was last changed."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from services.cases import Finding, Text, UnknownReason, say
from services.errors import ServiceError
from services.investigation.evidence import AUDIT_DAYS, Evidence, attempted
from services.investigation.table import SignalRow, words


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    A password that was changed right around the block, changed again and again, or is old.

    The number of changes is from the audit log; when that cannot be read, the age is judged alone.
    Source: user resource type (lastPasswordChangeDateTime), 2025; Microsoft Entra audit log activities, 2025.
    """
    user, changes = await asyncio.gather(attempted(evidence.user()), _changes(evidence))
    if isinstance(user, ServiceError):
        raise user
    changed_at = user.password_changed_at
    if changed_at is None:
        return row.unknown(UnknownReason.FAULT, say("finding.password_age.not_said"))
    kinds = _kinds(changed_at, changes, evidence, row)
    notes = (say("finding.password_age.changes", n=changes, days=AUDIT_DAYS),) if "many_changes" in kinds else ()
    summary = _summary(kinds, changed_at, evidence.now)
    return row.found(row.points_for(kinds), summary, *notes) if kinds else row.clear(summary)


async def _changes(evidence: Evidence) -> int:
    known = words().passwords.changed_activities
    audits = await attempted(evidence.audits())
    return 0 if isinstance(audits, ServiceError) else sum(audit.activity.casefold() in known for audit in audits)


def _kinds(changed_at: datetime, changes: int, evidence: Evidence, row: SignalRow) -> list[str]:
    around = timedelta(hours=row.thresholds["hours_around"])
    blocked = evidence.case.block is not None and evidence.case.block.since is not None
    tests = {
        "around_block": blocked and abs(changed_at - evidence.started_at) <= around,
        "old": evidence.now - changed_at >= row.days("old_days"),
        "many_changes": changes >= row.thresholds["many"],
    }
    return [kind for kind, true in tests.items() if true]


def _summary(kinds: list[str], changed_at: datetime, now: datetime) -> Text:
    if "around_block" in kinds:
        return say("finding.password_age.around_block", at=changed_at)
    return say("finding.password_age.days", n=max(0, (now - changed_at).days))
