"""
Microsoft Defender's alerts as they reach a tenant: by title, late, joined into older ones, with fields missing.

What this stands on: "Alert policies in the Microsoft Defender portal", 2025-03-21 (titles, severities, aggregation) and
"alert resource type" of Microsoft Graph (fields). The category and the exact spelling of a title as Graph delivers it
are documented nowhere, so an order may replace any field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.sandbox.state import Alert, Tenant

Json = dict[str, Any]
RESTRICTED = "User restricted from sending email"


@dataclass(frozen=True)
class Policy:
    """An alert policy that is there by default."""

    severity: str
    category: str


#: Title -> policy.
POLICIES: dict[str, Policy] = {
    RESTRICTED: Policy("high", "SuspiciousActivity"),
    "Email sending limit exceeded": Policy("medium", "SuspiciousActivity"),
    "Suspicious email sending patterns detected": Policy("medium", "SuspiciousActivity"),
    "Suspicious email forwarding activity": Policy("high", "Exfiltration"),
    "Creation of forwarding/redirect rule": Policy("informational", "Exfiltration"),
    "Suspicious connector activity": Policy("high", "SuspiciousActivity"),
    "Suspicious tenant sending patterns observed": Policy("high", "SuspiciousActivity"),
    "Tenant restricted from sending email": Policy("high", "SuspiciousActivity"),
    "Tenant restricted from sending unprovisioned email": Policy("high", "SuspiciousActivity"),
}
_UNKNOWN = Policy("high", "InitialAccess")


def shown_alerts(tenant: Tenant) -> list[Alert]:
    """The alerts that Graph shows by now, newest first: they appear later than they are dated."""
    newest = tenant.clock.now() - timedelta(seconds=tenant.switches.alert_delay_s)
    shown = [alert for alert in tenant.alerts if alert.created_at <= newest]
    return sorted(shown, key=lambda alert: alert.created_at, reverse=True)


def raise_alert(tenant: Tenant, title: str, oids: Sequence[str] = ()) -> Alert:
    """The alert that Defender raises under this title about these accounts, or about nobody in particular."""
    policy = POLICIES.get(title, _UNKNOWN)
    return tenant.raise_alert(title, policy.severity, policy.category, list(oids))


def raise_ordered(tenant: Tenant, wanted: Json) -> Alert:
    """
    The alert of an order: `title`; `people` [names or addresses] it is about; `status`, `severity`, `service_source`;
    `seconds_ago`; `id`; `fields` {name: value} that replace fields of the JSON as Graph would send it, null included.

    Raises: ValueError for somebody who is not there.
    """
    alert = raise_alert(tenant, str(wanted["title"]), [_oid(tenant, name) for name in wanted.get("people", ())])
    alert.created_at -= timedelta(seconds=float(wanted.get("seconds_ago", 0)))
    alert.alert_id = str(wanted.get("id", alert.alert_id))
    for name in ("status", "severity", "service_source"):
        setattr(alert, name, str(wanted.get(name, getattr(alert, name))))
    alert.fields |= wanted.get("fields", {})
    tenant.changed("alert raised", alert.title, by="service")
    return alert


def update_ordered(tenant: Tenant, wanted: Json) -> None:
    """
    Change alerts as an analyst or the service would: those of this `id`, or this `title`; `status` and `fields`.

    Raises: ValueError when there is none.
    """
    key = str(wanted.get("id") or wanted.get("title"))
    fitting = [alert for alert in tenant.alerts if key in (alert.alert_id, alert.title)]
    if not fitting:
        raise ValueError(f"there is no alert {key}")
    for alert in fitting:
        alert.status = str(wanted.get("status", alert.status))
        alert.fields |= wanted.get("fields", {})
        alert.updated_at = tenant.clock.now()
        tenant.changed(f"alert {alert.status}", alert.title, by="service")


def _oid(tenant: Tenant, name: str) -> str:
    person = tenant.recipient(name) or tenant.recipient(f"{name}@{tenant.default_domain}")
    if person is None:
        raise ValueError(f"nobody is called {name}")
    return person.oid
