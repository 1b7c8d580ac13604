"""When the password was last changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import AuditEvent
from services.errors import ServiceError
from services.investigation.evidence import AUDIT_DAYS, Evidence, attempted
from services.investigation.table import SignalRow, words
from services.investigation.unreadable import reason_of, why

#: One change leaves several entries, this close to each other.
_SAME_CHANGE = timedelta(minutes=5)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    A password that was changed right around the block, changed again and again, or is old.

    The number of changes is from the audit log. When that cannot be read and the age alone is no evidence, the finding
    is unknown: a password that was changed five times in a month may look just as young.
    Source: user resource type (lastPasswordChangeDateTime), 2025; Microsoft Entra audit log activities, 2025.
    """
    user, audits = await asyncio.gather(attempted(evidence.user()), attempted(evidence.audits()))
    if isinstance(user, ServiceError):
        raise user
    changed_at = user.password_changed_at
    if changed_at is None:
        return row.unknown(UnknownReason.FAULT, say("finding.password_age.not_said"))
    changes = 0 if isinstance(audits, ServiceError) else count_changes(audits)
    kinds = _kinds(changed_at, changes, evidence, row)
    summary = _summary(kinds, changed_at, evidence.now)
    if isinstance(audits, ServiceError):
        return _uncounted(kinds, summary, audits, row)
    notes = (say("finding.password_age.changes", n=changes, days=AUDIT_DAYS),) if "many_changes" in kinds else ()
    return row.found(row.points_for(kinds), summary, *notes) if kinds else row.clear(summary)


def _uncounted(kinds: list[str], summary: Text, refusal: ServiceError, row: SignalRow) -> Finding:
    note = say("finding.password_age.changes_unread", why=why(refusal))
    if kinds:
        return row.found(row.points_for(kinds), summary, note)
    return row.unknown(reason_of(refusal), note, summary)


def count_changes(audits: Iterable[AuditEvent]) -> int:
    """How often the password was changed or reset. Entries that belong to one change count once."""
    known = words().passwords.changed_activities
    changes = [a for a in audits if a.activity.casefold() in known and (a.result or "success").casefold() == "success"]
    times = sorted(a.at for a in changes if a.at is not None)
    distinct = [at for last, at in zip([None, *times], times, strict=False) if last is None or at - last > _SAME_CHANGE]
    return len(distinct) + sum(a.at is None for a in changes)


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
