"""Graph's logs: sign-ins, directory audits, registration reports, message traces and unified audit queries."""

import json
import re
import uuid
from datetime import datetime, timedelta

from services.sandbox.graph.core import (
    MESSAGE_TRACE,
    REPORTS,
    SECURITY,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    filtered,
    narrowed,
    need_premium,
    not_found,
)
from services.sandbox.odata import BadQuery, parse_time
from services.sandbox.sending import UNKNOWN_RECIPIENT
from services.sandbox.state import (
    AuditQuery,
    AuditRecord,
    DirectoryAudit,
    Person,
    SignIn,
    Tenant,
    TraceRow,
    graph_time,
    stable_uuid,
)

reports = Routes(REPORTS, family="reports")
traces = Routes(MESSAGE_TRACE)
audit = Routes(SECURITY)

OFFICE_APP = "00000002-0000-0ff1-ce00-000000000000"
TRACE_WINDOW = timedelta(days=10)
TRACE_HISTORY = timedelta(days=90)
TRACE_FIELDS = frozenset(
    {
        "id",
        "receivedDateTime",
        "recipientAddress",
        "senderAddress",
        "subject",
        "status",
        "messageId",
        "fromIP",
        "toIP",
        "size",
    }
)
#: Degrees of the places that can be placed; of others Microsoft knows the name alone.
PLACES = {
    "Stockholm": (59.33, 18.06),
    "Göteborg": (57.71, 11.97),
    "London": (51.51, -0.13),
    "Lagos": (6.45, 3.39),
    "Bucharest": (44.43, 26.10),
}
AUDIT_ROLES = ("AuditLogsQuery.Read.All", "AuditLogsQuery-Exchange.Read.All", "AuditLogsQuery-Entra.Read.All")
AUDIT_LISTS = (
    "recordTypeFilters",
    "operationFilters",
    "userPrincipalNameFilters",
    "ipAddressFilters",
    "objectIdFilters",
    "administrativeUnitIdFilters",
)


@reports.add("GET", "auditLogs/signIns", "AuditLog.Read.All")
def sign_ins(call: Call) -> Answer:
    """
    Source: "List signIns"; newest first, 1,000 per page; v1.0 holds interactive sign-ins alone.

    Beta holds the others too, and shows them to those who filter by `signInEventTypes`, which v1.0 does not know.
    """
    need_premium(call)
    everything = "signInEventTypes" in call.query.get("$filter", "")
    if everything and call.version != "beta":
        text = "Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'."
        raise bad_request(f"Invalid filter clause: {text}")
    found = [sign_in for sign_in in call.tenant.sign_ins if everything or sign_in.interactive]
    found = narrowed(call, found, "userId", lambda sign_in: sign_in.person_oid)
    found = narrowed(call, found, "ipAddress", lambda sign_in: sign_in.ip)
    shown = [sign_in_json(call, sign_in) for sign_in in found]
    return collection(call, filtered(call, shown), "auditLogs/signIns", default=1000, most=1000, select=False)


@reports.add("GET", "auditLogs/signIns/{sign_in}", "AuditLog.Read.All")
def sign_in(call: Call) -> Answer:
    """Source: "Get signIn"."""
    need_premium(call)
    for found in call.tenant.sign_ins:
        if found.sign_in_id == call.names["sign_in"]:
            return Answer(
                200, {"@odata.context": call.context("auditLogs/signIns/$entity"), **sign_in_json(call, found)}
            )
    raise not_found(call.names["sign_in"])


def sign_in_json(call: Call, sign_in: SignIn) -> Json:
    """A sign-in; without Entra ID P2 what it says of risk is `hidden`."""
    person = _anyone(call.tenant, sign_in.person_oid)
    risk = _risk_fields(sign_in, hidden=not call.tenant.licences.p2)
    beta = {"signInEventTypes": ["interactiveUser" if sign_in.interactive else "nonInteractiveUser"]}
    return {
        "id": sign_in.sign_in_id,
        "createdDateTime": graph_time(sign_in.at),
        "userDisplayName": person.display_name,
        "userPrincipalName": person.upn.lower(),
        "userId": person.oid,
        "appId": OFFICE_APP,
        "appDisplayName": sign_in.app_name,
        "ipAddress": sign_in.ip,
        "clientAppUsed": sign_in.client_app,
        "userAgent": f"Mozilla/5.0 ({sign_in.system}) {sign_in.browser}",
        "correlationId": stable_uuid("correlation", sign_in.sign_in_id),
        "conditionalAccessStatus": "reportOnlySuccess" if sign_in.error_code else "notApplied",
        "isInteractive": sign_in.interactive,
        **risk,
        "resourceDisplayName": "Office 365 Exchange Online",
        "resourceId": OFFICE_APP,
        "homeTenantId": call.tenant.tenant_id,
        "resourceTenantId": call.tenant.tenant_id,
        "authenticationProtocol": "none",
        "status": {
            "errorCode": sign_in.error_code,
            "failureReason": sign_in.reason or "Other.",
            "additionalDetails": None if sign_in.error_code else "MFA requirement skipped due to remembered device",
        },
        "deviceDetail": _device(sign_in),
        "location": _location(sign_in.city, sign_in.country),
        "appliedConditionalAccessPolicies": [],
        **(beta if call.version == "beta" else {}),
    }


def _risk_fields(sign_in: SignIn, *, hidden: bool) -> Json:
    return {
        "riskDetail": "hidden" if hidden else "none",
        "riskLevelAggregated": "hidden" if hidden else sign_in.risk_level,
        "riskLevelDuringSignIn": "hidden" if hidden else sign_in.risk_level,
        "riskState": sign_in.risk_state,
        "riskEventTypes": [] if hidden else sign_in.risk_events,
        "riskEventTypes_v2": [] if hidden else sign_in.risk_events,
    }


def _device(sign_in: SignIn) -> Json:
    """A device that the directory does not know has no id, no name, and neither yes nor no in its flags."""
    known = bool(sign_in.device_name)
    return {
        "deviceId": stable_uuid("device", sign_in.device_name) if known else "",
        "displayName": sign_in.device_name or None,
        "operatingSystem": sign_in.system,
        "browser": sign_in.browser,
        "isCompliant": sign_in.managed if known else None,
        "isManaged": sign_in.managed if known else None,
        "trustType": ("Azure AD joined" if sign_in.managed else "Azure AD registered") if known else None,
    }


def _location(city: str, country: str) -> Json:
    latitude, longitude = PLACES.get(city, (None, None))
    coordinates = {"altitude": None, "latitude": latitude, "longitude": longitude}
    # Addresses of anonymisers often have no place at all.
    return {"city": city, "state": city, "countryOrRegion": country, "geoCoordinates": coordinates if country else {}}


def _anyone(tenant: Tenant, oid: str) -> Person:
    return next(person for person in tenant.people if person.oid == oid)


@reports.add("GET", "auditLogs/directoryAudits", "AuditLog.Read.All")
def directory_audits(call: Call) -> Answer:
    """Source: "List directoryAudits"; newest first. The type of a target is spelled `type` or `Type`."""
    shown = [directory_audit_json(call.tenant, entry) for entry in call.tenant.directory_audits]
    return collection(call, filtered(call, shown), "auditLogs/directoryAudits", default=1000, most=1000, select=False)


def directory_audit_json(tenant: Tenant, entry: DirectoryAudit) -> Json:
    """One entry of the directory audit log; old and new values are JSON inside strings."""
    spelling = "Type" if entry.initiator_app else "type"
    return {
        "id": entry.audit_id,
        "category": entry.category,
        "correlationId": stable_uuid("correlation", entry.audit_id),
        "result": "success",
        "resultReason": "",
        "activityDisplayName": entry.activity,
        "activityDateTime": graph_time(entry.at, digits=7),
        "loggedByService": "Core Directory",
        "operationType": "Update",
        "initiatedBy": _initiator(tenant, entry),
        "targetResources": [
            {
                "id": entry.target_oid,
                "displayName": entry.target_name if entry.target_kind != "User" else None,
                spelling: entry.target_kind,
                "userPrincipalName": entry.target_name if entry.target_kind == "User" else None,
                "groupType": None,
                "modifiedProperties": [
                    {"displayName": name, "oldValue": old, "newValue": new} for name, old, new in entry.changes
                ],
            },
            *[_further_target(*target) for target in entry.more_targets],
        ],
        "additionalDetails": [{"key": key, "value": value} for key, value in entry.details],
    }


def _further_target(oid: str, name: str, kind: str) -> Json:
    user = kind == "User"
    return {
        "id": oid,
        "displayName": None if user else name,
        "type": kind,
        "userPrincipalName": name if user else None,
        "groupType": None,
        "modifiedProperties": [],
    }


def _initiator(tenant: Tenant, entry: DirectoryAudit) -> Json:
    if entry.initiator_oid is None:
        app = {
            "appId": None,
            "displayName": entry.initiator_app,
            "servicePrincipalId": None,
            "servicePrincipalName": None,
        }
        return {"user": None, "app": app}
    person = _anyone(tenant, entry.initiator_oid)
    user = {"id": person.oid, "displayName": None, "userPrincipalName": person.upn, "ipAddress": entry.initiator_ip}
    return {"user": user, "app": None}


@reports.add("GET", "reports/authenticationMethods/userRegistrationDetails", "AuditLog.Read.All")
def registration_details(call: Call) -> Answer:
    """Source: "List userRegistrationDetails"; `$filter` and `$orderBy` alone."""
    need_premium(call)
    people = [person for person in call.tenant.people if person.deleted_at is None]
    shown = [_registration(call.tenant, person) for person in people]
    context = "reports/authenticationMethods/userRegistrationDetails"
    return collection(call, filtered(call, shown), context, default=1000, most=1000, select=False)


@reports.add("GET", "reports/authenticationMethods/userRegistrationDetails/{user}", "AuditLog.Read.All")
def registration_detail(call: Call) -> Answer:
    """Source: "Get userRegistrationDetails"; by object id alone."""
    need_premium(call)
    for person in call.tenant.people:
        if person.oid == call.names["user"].lower() and person.deleted_at is None:
            context = call.context("reports/authenticationMethods/userRegistrationDetails/$entity")
            return Answer(200, {"@odata.context": context, **_registration(call.tenant, person)})
    raise not_found(call.names["user"])


def _registration(tenant: Tenant, person: Person) -> Json:
    names = {
        "phone": "mobilePhone",
        "microsoftAuthenticator": "microsoftAuthenticatorPush",
        "fido2": "fido2SecurityKey",
        "softwareOath": "softwareOneTimePasscode",
    }
    methods = [names[method.kind] for method in person.methods if method.kind in names]
    preferred = "" if not methods else "voiceMobile" if methods == ["mobilePhone"] else "push"
    return {
        "id": person.oid,
        "userPrincipalName": person.upn,
        "userDisplayName": person.display_name,
        "isAdmin": bool(person.role_definition_ids),
        "isSsprRegistered": bool(methods),
        "isSsprEnabled": False,
        "isSsprCapable": False,
        "isMfaRegistered": bool(methods),
        "isMfaCapable": bool(methods),
        "isPasswordlessCapable": "fido2SecurityKey" in methods,
        "lastUpdatedDateTime": graph_time(tenant.clock.now() - timedelta(hours=9), digits=7),
        "methodsRegistered": methods,
        "isSystemPreferredAuthenticationMethodEnabled": True,
        "systemPreferredAuthenticationMethods": [preferred] if preferred else [],
        "userPreferredMethodForSecondaryAuthentication": preferred,
        "userType": person.user_type.lower(),
    }


@traces.add("GET", "admin/exchange/tracing/messageTraces", "ExchangeMessageTrace.Read.All")
def message_traces(call: Call) -> Answer:
    """
    Source: "List messageTraces"; newest first, 1,000 per page, at most 5,000; the last 48 hours unless filtered.

    A window of more than ten days, or a start more than 90 days back, is refused; the spelling of `status` varies.
    """
    _need_trace_set_up(call.tenant)
    start, end = _trace_window(call)
    rows = [row for row in call.tenant.shown_trace() if start <= row.at <= end]
    rows = narrowed(call, rows, "senderAddress", lambda row: row.sender)
    shown = filtered(call, [_trace_json(row) for row in rows], allowed=TRACE_FIELDS)
    return collection(call, shown, "admin/exchange/tracing/messageTraces", default=1000, most=5000)


def _need_trace_set_up(tenant: Tenant) -> None:
    if not tenant.licences.message_trace:
        text = (
            "Service principal-less Authentication failed: the service principal for App ID "
            "8bd644d1-64a1-4d4b-ae52-2e0cbf64e373 was not found."
        )
        raise GraphError(401, "Unauthorized", text)


def _trace_window(call: Call) -> tuple[datetime, datetime]:
    now = call.tenant.clock.now()
    bounds = dict(
        (operator.lower(), time)
        for operator, time in re.findall(
            r"receivedDateTime\s+(g[et]|l[et])\s+([\d\-T:.Z+]+)", call.query.get("$filter", ""), re.I
        )
    )
    try:
        end = next((parse_time(bounds[name]) for name in ("le", "lt") if name in bounds), now)
        start = next((parse_time(bounds[name]) for name in ("ge", "gt") if name in bounds), end - timedelta(hours=48))
    except BadQuery as exc:
        raise bad_request(str(exc)) from exc
    if end - start > TRACE_WINDOW:
        raise bad_request("The date range must not exceed 10 days.", "InvalidRequest")
    if start < now - TRACE_HISTORY:
        raise bad_request("The start date must be within the last 90 days.", "InvalidRequest")
    return start, end


def _trace_json(row: TraceRow) -> Json:
    return {
        "@odata.type": "#microsoft.graph.exchangeMessageTrace",
        "id": row.trace_id,
        "senderAddress": row.sender,
        "recipientAddress": row.recipient,
        "messageId": row.message_id,
        "receivedDateTime": graph_time(row.at, digits=7),
        "subject": row.subject,
        "size": row.size,
        "fromIP": row.from_ip,
        "toIP": "",
        "status": row.status,
    }


@traces.add(
    "GET",
    "admin/exchange/tracing/messageTraces/{trace}/getDetailsByRecipient(recipientAddress='{recipient}')",
    "ExchangeMessageTrace.Read.All",
)
def message_trace_details(call: Call) -> Answer:
    """
    Source: "exchangeMessageTrace: getDetailsByRecipient"; the events of a message on its way to one recipient.

    How a failure is described is seen in public code. A message that the trace does not show has no events.
    """
    _need_trace_set_up(call.tenant)
    recipient = call.names["recipient"].replace("''", "'").lower()
    rows = [row for row in call.tenant.shown_trace() if row.trace_id == call.names["trace"]]
    events = [event for row in rows if row.recipient.lower() == recipient for event in _trace_events(row)]
    return collection(call, events, "Collection(microsoft.graph.exchangeMessageTraceDetail)", default=1000, most=5000)


def _trace_events(row: TraceRow) -> list[Json]:
    ends = {
        "delivered": ("Send external", "Message sent to mx.fabrikam.example at 203.0.113.25 using TLS1.3"),
        "failed": ("Fail", f"Reason: [{{LED={row.refusal or UNKNOWN_RECIPIENT}}};{{MSG=}};{{FQDN=}};{{IP=}};{{LRT=}}]"),
        "pending": ("Defer", "Reason: [{LED=450 4.4.317 Cannot connect to remote server};{MSG=};{FQDN=};{IP=};{LRT=}]"),
    }
    described = [("Receive", "Message received by: DB9PR01MB1234"), ("Submit", "The message was submitted.")]
    if row.status.lower() in ends:
        described.append(ends[row.status.lower()])
    return [
        {
            "@odata.type": "#microsoft.graph.exchangeMessageTraceDetail",
            "id": row.trace_id,
            "messageId": row.message_id,
            "dateTime": graph_time(row.at + timedelta(seconds=second), digits=7),
            "event": event,
            "action": "",
            "description": description,
            "data": '<root><MEP Name="ServerHostName" String="DB9PR01MB1234" /></root>',
        }
        for second, (event, description) in enumerate(described)
    ]


@audit.add("POST", "security/auditLog/queries", AUDIT_ROLES)
def start_audit_query(call: Call) -> Answer:
    """Source: "Create auditLogQuery"; 201, and the search goes on by itself."""
    _need_purview(call.tenant)
    body = call.json_body()
    for name in ("filterStartDateTime", "filterEndDateTime"):
        if name not in body:
            raise bad_request(f"The property '{name}' is required.")
    for name in AUDIT_LISTS:
        if not isinstance(body.get(name, []), list):
            raise bad_request(f"Cannot convert the value of '{name}' to the expected type 'Collection(Edm.String)'.")
    query = AuditQuery(str(uuid.uuid4()), body, call.tenant.clock.now())
    call.tenant.audit_queries[query.query_id] = query
    shown = _query_json(call, query)
    return Answer(201, {"@odata.context": call.context("security/auditLog/queries/$entity"), **shown})


@audit.add("GET", "security/auditLog/queries", AUDIT_ROLES)
def list_audit_queries(call: Call) -> Answer:
    """Source: "List auditLogQueries"."""
    _need_purview(call.tenant)
    shown = [_query_json(call, query) for query in call.tenant.audit_queries.values()]
    return collection(call, shown, "security/auditLog/queries")


@audit.add("GET", "security/auditLog/queries/{query}", AUDIT_ROLES)
def get_audit_query(call: Call) -> Answer:
    """Source: "Get auditLogQuery"; notStarted, then running, then succeeded."""
    query = _query_or_404(call)
    query.polls += 1
    return Answer(
        200, {"@odata.context": call.context("security/auditLog/queries/$entity"), **_query_json(call, query)}
    )


@audit.add("GET", "security/auditLog/queries/{query}/records", AUDIT_ROLES)
def audit_records(call: Call) -> Answer:
    """Source: "List auditLogRecords"; nothing before the query has succeeded."""
    query = _query_or_404(call)
    done = _query_status(call.tenant, query) == "succeeded"
    shown = [_record_json(call.tenant, record) for record in matching_records(call.tenant, query.body)] if done else []
    return collection(call, shown, f"security/auditLog/queries('{query.query_id}')/records", default=150)


def _need_purview(tenant: Tenant) -> None:
    # The real refusal is not documented; this one follows the other features of the same service.
    if not tenant.licences.purview_audit:
        raise GraphError(403, "Forbidden", "Your tenant is not licensed for this feature.")


def _query_or_404(call: Call) -> AuditQuery:
    _need_purview(call.tenant)
    query = call.tenant.audit_queries.get(call.names["query"])
    if query is None:
        raise GraphError(404, "NotFound", "The audit log query was not found.")
    return query


def _query_status(tenant: Tenant, query: AuditQuery) -> str:
    if query.polls >= tenant.switches.audit_query_polls:
        return "succeeded"
    return "running" if query.polls else "notStarted"


def _query_json(call: Call, query: AuditQuery) -> Json:
    return {
        "@odata.type": "#microsoft.graph.security.auditLogQuery",
        "id": query.query_id,
        "displayName": query.body.get("displayName", ""),
        "filterStartDateTime": query.body["filterStartDateTime"],
        "filterEndDateTime": query.body["filterEndDateTime"],
        "keywordFilter": query.body.get("keywordFilter", ""),
        "serviceFilter": query.body.get("serviceFilter", ""),
        **{name: query.body.get(name, []) for name in AUDIT_LISTS},
        "status": _query_status(call.tenant, query),
    }


def matching_records(tenant: Tenant, body: Json) -> list[AuditRecord]:
    """The unified audit records within the query's times that pass its filters; none while auditing is off."""
    if not tenant.organisation.unified_audit:
        return []
    try:
        start, end = parse_time(body["filterStartDateTime"]), parse_time(body["filterEndDateTime"])
    except BadQuery as exc:
        raise bad_request(str(exc)) from exc
    return [
        record
        for record in tenant.audit_records
        if start <= record.at <= end
        and _listed(body.get("operationFilters"), record.operation)
        and _listed(body.get("userPrincipalNameFilters"), record.upn)
        and _listed(body.get("ipAddressFilters"), record.ip or "")
        and _listed(body.get("recordTypeFilters"), record.record_type)
        and _listed(body.get("objectIdFilters"), record.object_id)
        and _listed([body["serviceFilter"]] if body.get("serviceFilter") else None, record.service)
        and str(body.get("keywordFilter") or "").lower() in json.dumps(record.data).lower()
    ]


def _listed(wanted: list[str] | None, value: str) -> bool:
    return not wanted or value.lower() in [str(item).lower() for item in wanted]


def audit_data(tenant: Tenant, record: AuditRecord) -> Json:
    """The inner record, as every way of reading the unified audit log shows it."""
    return {
        "CreationTime": str(graph_time(record.at)).removesuffix("Z"),
        "Id": record.record_id,
        "Operation": record.operation,
        "OrganizationId": tenant.tenant_id,
        "UserId": record.upn,
        "UserType": 0,
        "Workload": record.service,
        "ClientIP": record.ip,
        "ObjectId": record.object_id,
        "Version": 1,
        **json.loads(json.dumps(record.data)),
    }


def _record_json(tenant: Tenant, record: AuditRecord) -> Json:
    return {
        "id": record.record_id,
        "createdDateTime": graph_time(record.at),
        "auditLogRecordType": record.record_type,
        "operation": record.operation,
        "organizationId": tenant.tenant_id,
        "userType": "Regular",
        "userId": record.upn,
        "service": record.service,
        "objectId": record.object_id,
        "userPrincipalName": record.upn,
        "clientIp": record.ip,
        "administrativeUnits": [""],
        "auditData": {"@odata.type": "#microsoft.graph.security.defaultAuditData", **audit_data(tenant, record)},
    }
