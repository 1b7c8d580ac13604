"""Graph's identity protection: risky users and risk detections. One request a second, and never a Retry-After."""

import json

from services.sandbox.graph.core import (
    IDENTITY_PROTECTION,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    filtered,
    need_premium,
)
from services.sandbox.state import RiskDetection, RiskyUser, Tenant, graph_time, stable_uuid

routes = Routes(IDENTITY_PROTECTION)
READ_USERS = ("IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All")
WRITE_USERS = "IdentityRiskyUser.ReadWrite.All"


@routes.add("GET", "identityProtection/riskyUsers", READ_USERS)
def risky_users(call: Call) -> Answer:
    """Source: "List riskyUsers"; includes people whose risk is over."""
    need_premium(call, second_plan=True)
    shown = [_risky_user_json(call.tenant, risky) for risky in call.tenant.risky_users]
    return collection(call, filtered(call, shown), "identityProtection/riskyUsers", default=500, most=500)


@routes.add("GET", "identityProtection/riskyUsers/{user}", READ_USERS)
def risky_user(call: Call) -> Answer:
    """Source: "Get riskyUser"; 404 for somebody who never was at risk."""
    shown = _risky_user_json(call.tenant, _risky_or_404(call))
    return Answer(200, {"@odata.context": call.context("identityProtection/riskyUsers/$entity"), **shown})


@routes.add("GET", "identityProtection/riskyUsers/{user}/history", READ_USERS)
def risk_history(call: Call) -> Answer:
    """Source: "List history of riskyUser"."""
    risky = _risky_or_404(call)
    return collection(call, risky.history, f"identityProtection/riskyUsers('{risky.person_oid}')/history")


@routes.add("POST", "identityProtection/riskyUsers/confirmCompromised", WRITE_USERS)
def confirm_compromised(call: Call) -> Answer:
    """Source: "riskyUser: confirmCompromised"; 204, for at most 60 users."""
    return _judge(call, "high", "confirmedCompromised", "adminConfirmedUserCompromised")


@routes.add("POST", "identityProtection/riskyUsers/dismiss", WRITE_USERS)
def dismiss(call: Call) -> Answer:
    """Source: "riskyUser: dismiss"; 204, for at most 60 users."""
    return _judge(call, "none", "dismissed", "adminDismissedAllRiskForUser")


def _judge(call: Call, level: str, state: str, detail: str) -> Answer:
    need_premium(call, second_plan=True)
    oids = call.json_body().get("userIds")
    if not isinstance(oids, list) or not 1 <= len(oids) <= 60:
        raise bad_request("Invalid userIds.")
    for oid in oids:
        _set_risk(call.tenant, str(oid).lower(), level, state, detail)
    return Answer(204)


def _set_risk(tenant: Tenant, oid: str, level: str, state: str, detail: str) -> None:
    if tenant.person(oid) is None:
        raise bad_request(f"User {oid} does not exist.")
    now = tenant.clock.now()
    risky = next((risky for risky in tenant.risky_users if risky.person_oid == oid), None)
    if risky is None:
        risky = RiskyUser(oid, level, state, detail, now)
        tenant.risky_users.append(risky)
    risky.history.append(_history_item(tenant, risky))
    risky.level, risky.state, risky.detail, risky.updated_at = level, state, detail, now
    tenant.changed(f"risk {state}", oid)


def _history_item(tenant: Tenant, risky: RiskyUser) -> Json:
    return {
        **_risky_user_json(tenant, risky),
        "@odata.type": "#microsoft.graph.riskyUserHistoryItem",
        "id": stable_uuid("history", risky.person_oid, str(len(risky.history))),
        "userId": risky.person_oid,
        "initiatedBy": None,
        "activity": {"riskEventTypes": ["unfamiliarFeatures"], "detail": risky.detail},
    }


def _risky_or_404(call: Call) -> RiskyUser:
    need_premium(call, second_plan=True)
    for risky in call.tenant.risky_users:
        if risky.person_oid == call.names["user"].lower():
            return risky
    raise GraphError(404, "NotFound", f"Resource not found: {call.names['user']}")


def _risky_user_json(tenant: Tenant, risky: RiskyUser) -> Json:
    person = next(person for person in tenant.people if person.oid == risky.person_oid)
    return {
        "id": risky.person_oid,
        "isDeleted": person.deleted_at is not None,
        "isProcessing": False,
        "riskLastUpdatedDateTime": graph_time(risky.updated_at, digits=7),
        "riskLevel": risky.level,
        "riskState": risky.state,
        "riskDetail": risky.detail,
        "userDisplayName": person.display_name,
        "userPrincipalName": person.upn,
    }


@routes.add("GET", "identityProtection/riskDetections", "IdentityRiskEvent.Read.All")
def risk_detections(call: Call) -> Answer:
    """Source: "List riskDetections"; 20 per page, at most 500; with P1 alone the details are hidden."""
    need_premium(call)
    shown = [_detection_json(call.tenant, detection) for detection in call.tenant.risk_detections]
    return collection(call, filtered(call, shown), "identityProtection/riskDetections", default=20, most=500)


@routes.add("GET", "identityProtection/riskDetections/{detection}", "IdentityRiskEvent.Read.All")
def risk_detection(call: Call) -> Answer:
    """Source: "Get riskDetection"."""
    need_premium(call)
    for detection in call.tenant.risk_detections:
        if detection.detection_id == call.names["detection"]:
            shown = _detection_json(call.tenant, detection)
            return Answer(200, {"@odata.context": call.context("identityProtection/riskDetections/$entity"), **shown})
    raise GraphError(404, "NotFound", "Resource not found.")


def _detection_json(tenant: Tenant, detection: RiskDetection) -> Json:
    person = next(person for person in tenant.people if person.oid == detection.person_oid)
    hidden = not tenant.licences.p2
    location = {
        "city": detection.city,
        "state": detection.city,
        "countryOrRegion": detection.country,
        "geoCoordinates": None,
    }
    return {
        "id": detection.detection_id,
        "requestId": detection.detection_id,
        "correlationId": stable_uuid("correlation", detection.detection_id),
        "riskEventType": "generic" if hidden else detection.event_type,
        "riskState": detection.state,
        "riskLevel": "hidden" if hidden else detection.level,
        "riskDetail": "hidden" if hidden else detection.detail,
        "source": "IdentityProtection",
        "detectionTimingType": detection.timing,
        "activity": "signin",
        "tokenIssuerType": "AzureAD",
        "ipAddress": detection.ip or None,
        "location": location if detection.country else None,
        "activityDateTime": graph_time(detection.at, digits=7),
        "detectedDateTime": graph_time(detection.at, digits=6),
        "lastUpdatedDateTime": graph_time(detection.at, digits=3),
        "userId": person.oid,
        "userDisplayName": person.display_name,
        "userPrincipalName": person.upn,
        # A string that holds JSON, or nothing at all.
        "additionalInfo": json.dumps(detection.additional) if detection.additional else None,
    }
