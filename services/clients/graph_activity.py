"""What happened, as Microsoft Graph tells it: risk, sign-ins, audit logs, alerts and the message trace. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.clients import odata
from services.clients.graph_calls import Object, Place, build, leaf, pairs
from services.clients.graph_models import (
    AlertUser,
    AuditChange,
    AuditEvent,
    AuditRecord,
    AuditSearch,
    AuditTarget,
    MessageTrace,
    RiskDetection,
    RiskyUser,
    SecurityAlert,
    SignIn,
    TraceEvent,
)
from services.clients.http import Request, Response
from services.clients.reading import part, parts, plain, read, to_loose_text, to_text
from services.errors import BrokenAnswer


def build_risky_user(place: Place, oid: str) -> Request:
    path, permission = "/identityProtection/riskyUsers/{user}", "IdentityRiskyUser.Read.All"
    return build(place, "GET", path, names={"user": oid}, lane="risk", permission=permission)


def parse_risky_user(response: Response) -> RiskyUser:
    """One risky user; the documentation prints a list of one, so that is read too. Source: "Get riskyUser", 2022."""
    data = response.json()
    if isinstance(data, Mapping) and isinstance(data.get("value"), list):
        data = next(iter(parts(data, "value", "graph")), None)
    return read(RiskyUser, data, "graph")


def build_risky_users(place: Place) -> Request:
    """
    People who are at risk now; the list without a filter also has everybody whose risk is over.

    Source: "List riskyUsers", 2025, which allows $filter; that riskState may be compared was seen, not documented.
    """
    query = {"$filter": "riskState eq 'atRisk' or riskState eq 'confirmedCompromised'", "$top": "500"}
    path, permission = "/identityProtection/riskyUsers", "IdentityRiskyUser.Read.All"
    return build(place, "GET", path, query=query, lane="risk", permission=permission)


def parse_one_risky_user(data: Object) -> RiskyUser:
    """One of the list. Source: "List riskyUsers", 2025."""
    return read(RiskyUser, data, "graph")


def build_confirm_compromised(place: Place, oid: str) -> Request:
    """Safe to repeat: it writes a fixed state. Source: "riskyUser: confirmCompromised", 2025."""
    path, permission = "/identityProtection/riskyUsers/confirmCompromised", "IdentityRiskyUser.ReadWrite.All"
    return build(place, "POST", path, body={"userIds": [oid]}, lane="risk", permission=permission)


def build_risk_detections(place: Place, oid: str) -> Request:
    query = {"$filter": f"userId eq {odata.literal(oid)}", "$top": "500"}
    path, permission = "/identityProtection/riskDetections", "IdentityRiskEvent.Read.All"
    return build(place, "GET", path, query=query, lane="risk", permission=permission)


def parse_risk_detection(data: Object) -> RiskDetection:
    """One detection. Its additionalInfo is a text that holds JSON. Source: "List riskDetections", 2024-10."""
    return read(RiskDetection, data, "graph", info=_additional_info(data.get("additionalInfo")))


def _additional_info(text: Any) -> dict[str, str]:
    try:
        return pairs(json.loads(text) if isinstance(text, str) else text)
    except (ValueError, RecursionError):
        return {}


def build_sign_ins(place: Place, oid: str, since: datetime, limit: int) -> Request:
    condition = f"userId eq {odata.literal(oid)} and createdDateTime ge {odata.moment(since)}"
    return _sign_ins(place, condition, limit)


def build_background_sign_ins(place: Place, oid: str, since: datetime, limit: int) -> Request:
    """
    Sign-ins without a person: tokens that apps renew. Only beta tells of them, and beta may change: not verified.

    Source: "List signIns" of beta, 2023, and "signIn resource type" of beta for signInEventTypes.
    """
    condition = (
        "signInEventTypes/any(t: t eq 'nonInteractiveUser')"
        f" and userId eq {odata.literal(oid)} and createdDateTime ge {odata.moment(since)}"
    )
    return _sign_ins(place, condition, limit, version="beta")


def build_sign_ins_from(place: Place, ip_address: str, since: datetime, limit: int) -> Request:
    """Anybody's sign-ins from one address. Source: "List signIns", 2023: ipAddress can be filtered by."""
    condition = f"ipAddress eq {odata.literal(ip_address)} and createdDateTime ge {odata.moment(since)}"
    return _sign_ins(place, condition, limit)


#: Names of clients that know no second factor, as sign-ins have them. Source: "Sign-in log activity details", 2025.
LEGACY_CLIENTS = (
    "Authenticated SMTP",
    "IMAP4",
    "POP3",
    "Exchange ActiveSync",
    "Exchange Web Services",
    "Other clients",
)


def build_legacy_sign_ins(place: Place, since: datetime, limit: int) -> Request:
    """Anybody's successful sign-ins by such clients. Source: "List signIns", 2023: clientAppUsed can be filtered by."""
    clients = " or ".join(f"clientAppUsed eq {odata.literal(client)}" for client in LEGACY_CLIENTS)
    condition = f"createdDateTime ge {odata.moment(since)} and status/errorCode eq 0 and ({clients})"
    return _sign_ins(place, condition, limit)


def _sign_ins(place: Place, condition: str, limit: int, version: str = "v1.0") -> Request:
    query = {"$filter": condition, "$top": str(min(limit, 1000))}
    path, permission = "/auditLogs/signIns", "AuditLog.Read.All"
    return build(place, "GET", path, query=query, lane="reports", permission=permission, version=version)


def parse_sign_in(data: Object) -> SignIn:
    """One sign-in. Source: "List signIns", 2023, and "signIn resource type"."""
    return read(SignIn, data, "graph")


def build_directory_audits(
    place: Place, *, since: datetime, oid: str | None, activity: str | None, limit: int
) -> Request:
    conditions = [f"activityDateTime ge {odata.moment(since)}"]
    if oid is not None:
        conditions.append(f"targetResources/any(t:t/id eq {odata.literal(oid)})")
    if activity is not None:
        conditions.append(f"activityDisplayName eq {odata.literal(activity)}")
    query = {"$filter": " and ".join(conditions), "$top": str(min(limit, 1000))}
    path = "/auditLogs/directoryAudits"
    return build(place, "GET", path, query=query, lane="reports", permission="AuditLog.Read.All")


def parse_audit_event(data: Object) -> AuditEvent:
    """One audit entry, with what was changed from what to what. Source: "List directoryAudits", 2023."""
    targets = tuple(_audit_target(target) for target in parts(data, "targetResources", "graph"))
    return read(AuditEvent, data, "graph", targets=targets, details=pairs(data.get("additionalDetails")))


def _audit_target(data: Object) -> AuditTarget:
    changes = parts(data, "modifiedProperties", "graph")
    return read(AuditTarget, data, "graph", changes=tuple(read(AuditChange, change, "graph") for change in changes))


#: What Exchange writes down: cmdlets, and what was done to messages. Opening messages is left out, there is too much.
_EXCHANGE_RECORDS = ("exchangeAdmin", "exchangeItem", "exchangeItemGroup")
_AUDIT_SEARCHES = "/security/auditLog/queries"


def build_audit_search(place: Place, since: datetime, until: datetime, **filters: Any) -> Request:
    """
    Start a search of the unified audit log; `filters` are properties of auditLogQuery.

    Safe to repeat: a second search finds the same and changes nothing. Its body never says `serviceFilter`, which is
    `serviceFilters` in newer documentation. Source: "Create auditLogQuery", 2024-10, and its resource type, 2026-09.
    """
    body = {
        "@odata.type": "#microsoft.graph.security.auditLogQuery",
        "displayName": "Unblock",
        "filterStartDateTime": odata.moment(since),
        "filterEndDateTime": odata.moment(until),
        "recordTypeFilters": list(_EXCHANGE_RECORDS),
        **filters,
    }
    permission = "AuditLogsQuery-Exchange.Read.All"
    return build(place, "POST", _AUDIT_SEARCHES, body=body, lane="alerts", permission=permission)


def build_audit_search_state(place: Place, search_id: str) -> Request:
    path, permission = f"{_AUDIT_SEARCHES}/{{search}}", "AuditLogsQuery-Exchange.Read.All"
    return build(place, "GET", path, names={"search": search_id}, lane="alerts", permission=permission)


def parse_audit_search(response: Response) -> AuditSearch:
    """A search and how far it is. Source: "auditLogQuery resource type", 2026-09."""
    return read(AuditSearch, response.json(), "graph")


def build_audit_search_records(place: Place, search_id: str, limit: int) -> Request:
    path, permission = f"{_AUDIT_SEARCHES}/{{search}}/records", "AuditLogsQuery-Exchange.Read.All"
    names, query = {"search": search_id}, {"$top": str(min(limit, 999))}
    return build(place, "GET", path, names=names, query=query, lane="alerts", permission=permission)


def parse_audit_record(data: Object) -> AuditRecord:
    """
    One record, with what is in it in the form of its kind; the columns that are empty are filled from there.

    Addresses lose the port that Exchange adds. Source: "auditLogRecord resource type", 2025; for the inner names
    "Detailed properties in the audit log", 2025.
    """
    inner = plain(part(data, "auditData", "graph"))
    user = leaf(to_text, data, "userPrincipalName") or leaf(to_text, data, "userId") or _inner(inner, "UserId")
    address = leaf(to_text, data, "clientIp") or _inner(inner, "ClientIP", "ClientIPAddress")
    columns = {"userPrincipalName": user, "clientIp": without_port(address) if address else None}
    return read(AuditRecord, {**data, **columns}, "graph", data=inner)


def _inner(data: Object, *names: str) -> str | None:
    found = (to_loose_text(data.get(name)) for name in names)
    return next((text for text in found if text is not None), None)


_PORT = re.compile(r"^(?:\[([^\]]+)\]|([^:\s]+))(?::\d{1,5})?$")


def without_port(address: str) -> str:
    """`203.0.113.5:4711` -> `203.0.113.5`, `[2001:db8::1]:443` -> `2001:db8::1`; anything else stays as it is."""
    found = _PORT.match(address.strip())
    return (found.group(1) or found.group(2)) if found else address


def build_alerts(
    place: Place,
    since: datetime,
    service_source: str | None,
    limit: int,
    *,
    changed: bool = False,
    until: datetime | None = None,
) -> Request:
    """Alerts by time (of creation, or of the last change) and product; Graph cannot filter them by title."""
    moment = "lastUpdateDateTime" if changed else "createdDateTime"
    condition = f"{moment} ge {odata.moment(since)}"
    if until is not None:
        condition += f" and {moment} le {odata.moment(until)}"
    if service_source is not None:
        condition += f" and serviceSource eq {odata.literal(service_source)}"
    query = {"$filter": condition, "$top": str(min(limit, 100))}
    return build(place, "GET", "/security/alerts_v2", query=query, lane="alerts", permission="SecurityAlert.Read.All")


def parse_alert(data: Object) -> SecurityAlert:
    """One alert with the people among its evidence. Source: "List alerts_v2", 2025."""
    users = (_alert_user(evidence) for evidence in parts(data, "evidence", "graph"))
    return read(SecurityAlert, data, "graph", users=tuple(user for user in users if user is not None))


def parse_alert_loosely(data: Object) -> SecurityAlert | None:
    """
    The same, as far as it can be read: whoever is told of news by it must not miss an alert, nor all others, because of
    one piece of evidence. None when not even its id can be read.
    """
    evidence = data.get("evidence")
    readable = [piece for piece in evidence if _is_readable(piece)] if isinstance(evidence, list) else []
    try:
        return parse_alert({**data, "evidence": readable})
    except BrokenAnswer:
        return None


def _is_readable(evidence: Any) -> bool:
    if not isinstance(evidence, Mapping):
        return False
    try:
        _alert_user(evidence)
    except BrokenAnswer:
        return False
    return True


def _alert_user(evidence: Object) -> AlertUser | None:
    account = part(evidence, "userAccount", "graph")
    upn = leaf(to_text, account, "userPrincipalName") or leaf(to_text, evidence, "upn")
    address = leaf(to_text, evidence, "primaryAddress")
    oid = leaf(to_text, account, "azureAdUserId")
    return AlertUser(oid=oid, upn=upn, address=address) if oid or upn or address else None


def build_message_traces(place: Place, sender: str, since: datetime, until: datetime, limit: int) -> Request:
    condition = (
        f"senderAddress eq {odata.literal(sender)}"
        f" and receivedDateTime ge {odata.moment(since)} and receivedDateTime le {odata.moment(until)}"
    )
    query = {"$filter": condition, "$top": str(min(limit, 5000))}
    path, permission = "/admin/exchange/tracing/messageTraces", "ExchangeMessageTrace.Read.All"
    return build(place, "GET", path, query=query, lane="traces", permission=permission, timeout_s=30.0)


def parse_message_trace(data: Object) -> MessageTrace:
    """
    One row. Everything is counted by its time, so a row without one would read as mail that was never sent.

    Raises: BrokenAnswer. Source: "List messageTraces", 2025-12, and its metadata, 2026-08-20: the time is never null.
    """
    row = read(MessageTrace, data, "graph")
    if row.received_at is None:
        raise BrokenAnswer("graph", what="receivedDateTime")
    return row


def build_message_trace_events(place: Place, trace_id: str, recipient: str) -> Request:
    path = "/admin/exchange/tracing/messageTraces/{trace}/getDetailsByRecipient(recipientAddress={recipient})"
    names, permission = {"trace": trace_id, "recipient": odata.literal(recipient)}, "ExchangeMessageTrace.Read.All"
    return build(place, "GET", path, names=names, lane="traces", permission=permission, timeout_s=30.0)


def parse_trace_event(data: Object) -> TraceEvent:
    """
    One event on the way of a message. Source: "exchangeMessageTraceDetail resource type", read in 2026.

    That a failure's description holds the refusing server's answer is seen in public code, not documented.
    """
    return read(TraceEvent, data, "graph")
