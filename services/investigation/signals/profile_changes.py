"""Whether the account's name, phones or addresses in the directory were changed around the time of the block."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import AuditChange, AuditEvent
from services.errors import ServiceError
from services.investigation.evidence import AUDIT_DAYS, AUDIT_LIMIT, Evidence, attempted
from services.investigation.records import plain_address
from services.investigation.strangers import Strangers, strangers_of
from services.investigation.table import SignalRow, words

#: How many changes are told one by one.
_TOLD = 5
#: Casefolded name of the property -> what people call it.
_NAMES: Mapping[str, Text] = {
    "displayname": say("finding.profile_changes.display_name"),
    "givenname": say("finding.profile_changes.given_name"),
    "surname": say("finding.profile_changes.surname"),
    "telephonenumber": say("finding.profile_changes.phone"),
    "mobile": say("finding.profile_changes.mobile"),
    "facsimiletelephonenumber": say("finding.profile_changes.fax"),
    "othermail": say("finding.profile_changes.other_mail"),
    "postalcode": say("finding.profile_changes.postal_code"),
    "streetaddress": say("finding.profile_changes.street"),
    "city": say("finding.profile_changes.city"),
    "state": say("finding.profile_changes.state"),
    "country": say("finding.profile_changes.country"),
}


@dataclass(frozen=True)
class Change:
    """One property that has another value than before."""

    property_name: str
    old: str
    new: str
    event: AuditEvent
    #: Otherwise by another person, or by an app such as a directory synchronisation.
    by_the_account: bool

    @property
    def from_ip(self) -> str | None:
        return plain_address(self.event.by_ip)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Changes of the profile within some days of the block's start that the account made itself.

    What an app writes (synchronisation, HR) and what an admin changes is routine: it is told and does not count, unless
    it came from an address that had suspicious sign-ins. A value that is written again unchanged is no change.
    Source: "List directoryAudits", 2023; Microsoft Entra audit log activities, 2025.
    """
    audits, strangers = await asyncio.gather(attempted(evidence.audits()), strangers_of(evidence))
    if isinstance(audits, ServiceError):
        raise audits
    start, end = evidence.started_at - row.days("days_around"), evidence.started_at + row.days("days_around")
    near = [
        change for change in _changes(audits, evidence) if change.event.at is None or start <= change.event.at <= end
    ]
    suspicious = [c for c in near if c.by_the_account or c.from_ip in strangers.suspicious]
    routine = [c for c in near if c not in suspicious]
    if suspicious:
        points = row.points_for(_kinds(suspicious, strangers))
        return row.found(points, _summary(suspicious), *_told(suspicious), *_told_of_others(routine))
    unread = _gap(audits, start, evidence.now)
    if unread is not None:
        return row.unknown(UnknownReason.NOT_APPLICABLE, unread, *_told_of_others(routine))
    return row.clear(say("finding.profile_changes.clear"), *_told_of_others(routine))


def _changes(audits: Iterable[AuditEvent], evidence: Evidence) -> list[Change]:
    updates = [a for a in audits if a.activity.casefold() in words().profile.changed_activities and _succeeded(a)]
    return [
        _change(change, event, evidence)
        for event in updates
        for target in event.targets
        if target.oid is None or target.oid.casefold() == evidence.subject.user_oid.casefold()
        for change in target.changes
        if (change.name or "").casefold() in _NAMES and plain_value(change.old) != plain_value(change.new)
    ]


def _change(change: AuditChange, event: AuditEvent, evidence: Evidence) -> Change:
    by_oid = (event.by_oid or "").casefold()
    return Change(
        property_name=(change.name or "").casefold(),
        old=plain_value(change.old),
        new=plain_value(change.new),
        event=event,
        by_the_account=by_oid == evidence.subject.user_oid.casefold(),
    )


def plain_value(spelled: str | None) -> str:
    """A value of the audit log, such as `["Jane"]`, as people would write it; "" for an empty one."""
    try:
        value = json.loads(spelled) if spelled else None
    except ValueError:
        return spelled or ""
    items = value if isinstance(value, list) else [value]
    return ", ".join(str(item).strip() for item in items if item is not None)


def _succeeded(event: AuditEvent) -> bool:
    return (event.result or "success").casefold() == "success"


def _kinds(changes: Sequence[Change], strangers: Strangers) -> list[str]:
    kinds = [kind for kind, names in words().profile.kinds.items() if any(c.property_name in names for c in changes)]
    where = strangers.kind_of(change.from_ip for change in changes)
    return [*kinds, where] if where else kinds


def _gap(audits: Sequence[AuditEvent], start: datetime, now: datetime) -> Text | None:
    """Why there may have been changes that were not read."""
    oldest = min((audit.at for audit in audits if audit.at), default=None)
    if len(audits) >= AUDIT_LIMIT and (oldest is None or oldest > start):
        return say("finding.profile_changes.cut_off", n=len(audits), at=oldest)
    return say("finding.profile_changes.too_old", n=AUDIT_DAYS) if (now - start).days > AUDIT_DAYS else None


def _summary(changes: Sequence[Change]) -> Text:
    names = list(dict.fromkeys(change.property_name for change in changes))
    at = min((change.event.at for change in changes if change.event.at), default=None)
    return say("finding.profile_changes.changed", n=len(names), what=[_NAMES[name] for name in names], at=at)


def _told(changes: Sequence[Change]) -> tuple[Text, ...]:
    return tuple(
        say(
            "finding.profile_changes.detail",
            what=_NAMES[c.property_name],
            old=c.old or None,
            new=c.new or None,
            at=c.event.at,
            ip=c.from_ip,
        )
        for c in changes[:_TOLD]
    )


def _told_of_others(changes: Sequence[Change]) -> tuple[Text, ...]:
    """Changes that somebody or something else made, for the reader to know."""
    return tuple(
        say(
            "finding.profile_changes.by_other",
            what=_NAMES[c.property_name],
            at=c.event.at,
            who=c.event.by_upn or c.event.by_app or c.event.by_oid,
        )
        for c in changes[:_TOLD]
    )
