"""Alerts of Microsoft Defender and of other products that name the account."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import AlertUser, SecurityAlert
from services.investigation.evidence import Evidence
from services.investigation.table import SignalRow, words

#: How many alerts are told one by one.
_TOLD = 6
_SEVERITIES: Mapping[str, Text] = {
    "high": say("finding.alerts.high"),
    "medium": say("finding.alerts.medium"),
    "low": say("finding.alerts.low"),
    "informational": say("finding.alerts.informational"),
}
_STATES: Mapping[str, Text] = {
    "new": say("finding.alerts.new"),
    "inprogress": say("finding.alerts.in_progress"),
    "resolved": say("finding.alerts.resolved"),
}


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Alerts about the account, of any product, by severity.

    "User restricted from sending email" is the block itself and counts nothing; alerts about amounts follow from what
    got the account blocked and count little. What somebody judged to be harmless, or settled well before the block,
    does not count. A tenant without any alert may have no product that looks, so silence of all is unknown.
    Source: "List alerts_v2", 2025; "alert resource type" (classification, determination), 2026; Alert policies, 2025.
    """
    days, limit = row.thresholds["days"], row.thresholds["limit"]
    read = await evidence.directory.alerts(since=evidence.now - row.days("days"), limit=limit)
    about = [alert for alert in read if any(_is(user, evidence) for user in alert.users)]
    kinds = {alert.alert_id: _kind(alert, evidence.started_at - row.days("settled_days")) for alert in about}
    counted = [alert for alert in about if row.points.get(kinds[alert.alert_id], 0) > 0]
    counted.sort(key=lambda alert: -row.points[kinds[alert.alert_id]])
    others = [alert for alert in about if alert not in counted]
    points = row.points_for([kinds[alert.alert_id] for alert in counted])
    if points:
        return row.found(points, say("finding.alerts.found", n=len(counted), days=days), *_told([*counted, *others]))
    if not read:
        return row.unknown(UnknownReason.NOT_APPLICABLE, say("finding.alerts.nobody", n=days))
    if len(read) >= limit:
        return row.unknown(UnknownReason.FAULT, say("finding.alerts.cut_off", n=limit))
    return row.clear(say("finding.alerts.clear", n=days), *_told([*counted, *others]))


def _is(user: AlertUser, evidence: Evidence) -> bool:
    subject = evidence.subject
    if user.oid and user.oid.casefold() == subject.user_oid.casefold():
        return True
    names = {name.casefold() for name in (subject.upn, subject.mail) if name}
    return any(name is not None and name.casefold() in names for name in (user.upn, user.address))


def _kind(alert: SecurityAlert, settled_before: datetime) -> str:
    """A name among the row's points, or "not_counted"."""
    title, severity, table = alert.title.casefold().strip(), _fold(alert.severity), words().alerts
    if _fold(alert.classification) in table.harmless:
        return "not_counted"
    if _fold(alert.status) == "resolved" and alert.updated_at is not None and alert.updated_at < settled_before:
        return "not_counted"
    if _fold(alert.determination) in table.confirmed:
        return "confirmed"
    if any(title.startswith(own) for own in table.block_titles):
        return "the_block"
    if any(title.startswith(volume) for volume in table.volume_titles):
        return "volume"
    return severity if severity in _SEVERITIES else "severity_unknown"


def _told(alerts: Sequence[SecurityAlert]) -> tuple[Text, ...]:
    return tuple(
        say(
            "finding.alerts.detail",
            title=alert.title,
            severity=_SEVERITIES.get(_fold(alert.severity), alert.severity),
            at=alert.created_at,
            state=_state(alert),
        )
        for alert in alerts[:_TOLD]
    )


def _state(alert: SecurityAlert) -> Text | str | None:
    if _fold(alert.classification) in words().alerts.harmless:
        return say("finding.alerts.harmless")
    return _STATES.get(_fold(alert.status), alert.status)


def _fold(value: str | None) -> str:
    return (value or "").casefold()
