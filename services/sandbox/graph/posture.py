"""Graph's view of the tenant's security: alerts, secure score, conditional access, licences, the organisation."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from services.sandbox.defender import shown_alerts
from services.sandbox.graph.core import (
    DIRECTORY,
    IDENTITY_PROTECTION,
    SECURITY,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    filtered,
)
from services.sandbox.state import Alert, Person, ScoreControl, Tenant, graph_time, stable_uuid

security = Routes(SECURITY)
access = Routes(IDENTITY_PROTECTION)
directory = Routes(DIRECTORY)

ALERT_FIELDS = frozenset(
    {
        "assignedTo",
        "classification",
        "determination",
        "createdDateTime",
        "lastUpdateDateTime",
        "severity",
        "serviceSource",
        "status",
    }
)
READ_ALERTS = ("SecurityAlert.Read.All", "SecurityAlert.ReadWrite.All")
VENDOR = {"provider": "SecureScore", "providerVersion": None, "subProvider": None, "vendor": "Microsoft"}


@security.add("GET", "security/alerts_v2", READ_ALERTS)
def alerts(call: Call) -> Answer:
    """Source: "List alerts_v2"; newest first; the title cannot be filtered."""
    _need_defender(call.tenant)
    people = {person.oid: person for person in call.tenant.people}
    shown = [_alert_json(call.tenant, alert, people) for alert in shown_alerts(call.tenant)]
    return collection(call, filtered(call, shown, allowed=ALERT_FIELDS), "security/alerts_v2", most=1000, select=False)


@security.add("GET", "security/alerts_v2/{alert}", READ_ALERTS)
def alert(call: Call) -> Answer:
    """Source: "Get alert"."""
    body = _alert_json(call.tenant, _alert_or_404(call), {person.oid: person for person in call.tenant.people})
    return Answer(200, {"@odata.context": call.context("security/alerts_v2/$entity"), **body})


@security.add("PATCH", "security/alerts_v2/{alert}", "SecurityAlert.ReadWrite.All")
def update_alert(call: Call) -> Answer:
    """Source: "Update alert"; 200 with the alert."""
    changed, body = _alert_or_404(call), call.json_body()
    names = {
        "status": "status",
        "assignedTo": "assigned_to",
        "classification": "classification",
        "determination": "determination",
    }
    for name, value in body.items():
        if name not in names:
            raise bad_request(f"Property '{name}' cannot be updated.")
        setattr(changed, names[name], value)
    changed.updated_at = call.tenant.clock.now()
    call.tenant.changed("alert updated", f"{changed.title} ({', '.join(sorted(body))})")
    return alert(call)


@security.add("POST", "security/alerts_v2/{alert}/comments", "SecurityAlert.ReadWrite.All")
def comment_alert(call: Call) -> Answer:
    """Source: "Create comment for alert"; 200 with all comments."""
    commented = _alert_or_404(call)
    comment = {
        "@odata.type": "microsoft.graph.security.alertComment",
        "comment": str(call.json_body().get("comment", "")),
        "createdByDisplayName": f"API-App:{call.tenant.app.app_id}",
        "createdDateTime": graph_time(call.tenant.clock.now(), digits=7),
    }
    commented.comments.append(comment)
    call.tenant.changed("alert commented", commented.title)
    return Answer(200, {"@odata.context": call.context("security/alerts_v2/comments"), "value": commented.comments})


def _need_defender(tenant: Tenant) -> None:
    if not tenant.licences.defender:
        raise GraphError(401, "Unauthorized", "Account is not provisioned.")


def _alert_or_404(call: Call) -> Alert:
    _need_defender(call.tenant)
    for found in shown_alerts(call.tenant):
        if found.alert_id == call.names["alert"]:
            return found
    raise GraphError(404, "NotFound", "Alert was not found.")


def _alert_json(tenant: Tenant, alert: Alert, people: Mapping[str, Person]) -> Json:
    named = [people[oid] for oid in (alert.person_oid, *alert.oids) if oid in people]
    incident = str(int(stable_uuid("incident", alert.alert_id)[:6], 16))
    return {
        "id": alert.alert_id,
        "providerAlertId": alert.alert_id[2:],
        "incidentId": incident,
        "status": alert.status,
        "severity": alert.severity,
        "classification": alert.classification,
        "determination": alert.determination,
        "serviceSource": alert.service_source,
        "detectionSource": alert.detection_source,
        "productName": "Microsoft Defender for Office 365",
        "detectorId": stable_uuid("detector", alert.title),
        "tenantId": tenant.tenant_id,
        "title": alert.title,
        "description": f"{alert.title}. -V1.0.0.1",
        "recommendedActions": "",
        "category": alert.category,
        "assignedTo": alert.assigned_to,
        "alertWebUrl": f"https://security.microsoft.com/alerts/{alert.alert_id}?tid={tenant.tenant_id}",
        "incidentWebUrl": f"https://security.microsoft.com/incidents/{incident}?tid={tenant.tenant_id}",
        "actorDisplayName": None,
        "threatDisplayName": None,
        "threatFamilyName": None,
        "mitreTechniques": [],
        "alertPolicyId": stable_uuid("policy", alert.title),
        "createdDateTime": graph_time(alert.created_at, digits=7),
        "lastUpdateDateTime": graph_time(_updated_at(tenant, alert), digits=7),
        "resolvedDateTime": graph_time(alert.updated_at, digits=7) if alert.status == "resolved" else None,
        "firstActivityDateTime": graph_time(alert.created_at - timedelta(minutes=4)),
        "lastActivityDateTime": graph_time(alert.created_at),
        "systemTags": [],
        "additionalData": None,
        "comments": alert.comments,
        "evidence": [evidence for person in named for evidence in _evidence(alert, person)],
        **alert.fields,
    }


def _updated_at(tenant: Tenant, alert: Alert) -> datetime:
    """Defender adds something to an alert after two minutes, if nobody touches it."""
    later = alert.created_at + timedelta(minutes=2)
    return alert.updated_at or (later if later <= tenant.clock.now() else alert.created_at)


def _evidence(alert: Alert, person: Person) -> list[Json]:
    common = {
        "createdDateTime": graph_time(alert.created_at, digits=7),
        "verdict": "suspicious",
        "remediationStatus": "none",
        "remediationStatusDetails": None,
        "roles": [],
        "detailedRoles": [],
        "tags": [],
    }
    account = {
        "accountName": person.upn.partition("@")[0],
        "domainName": None,
        "userSid": None,
        "azureAdUserId": person.oid,
        "userPrincipalName": person.upn,
        "displayName": person.display_name,
    }
    return [
        {"@odata.type": "#microsoft.graph.security.userEvidence", **common, "stream": None, "userAccount": account},
        {
            "@odata.type": "#microsoft.graph.security.mailboxEvidence",
            **common,
            "primaryAddress": person.mail or "",
            "displayName": person.display_name,
            "upn": person.upn,
            "userAccount": account,
        },
        # A kind of evidence that nobody has described yet.
        {"@odata.type": "#microsoft.graph.security.moodEvidence", **common, "mood": "unknownFutureValue"},
    ]


@security.add("GET", "security/secureScores", "SecurityEvents.Read.All")
def secure_scores(call: Call) -> Answer:
    """Source: "List secureScores"; one per day, newest first."""
    shown = [_score_json(call.tenant, days_ago) for days_ago in range(7)]
    return collection(call, filtered(call, shown), "security/secureScores", select=False)


def _score_json(tenant: Tenant, days_ago: int) -> Json:
    day = (tenant.clock.now() - timedelta(days=days_ago)).replace(hour=0, minute=0, second=0, microsecond=0)
    controls = tenant.score_controls
    return {
        "id": f"{tenant.tenant_id}_{day:%Y-%m-%d}",
        "azureTenantId": tenant.tenant_id,
        "activeUserCount": 11,
        "createdDateTime": graph_time(day),
        "currentScore": sum(control.score for control in controls) - days_ago * 0.27,
        "enabledServices": ["HasExchange", "HasEXOP1", "HasEXOP2"],
        "licensedUserCount": 14,
        "maxScore": sum(control.max_score for control in controls),
        "vendorInformation": VENDOR,
        "averageComparativeScores": [
            {"basis": "AllTenants", "averageScore": 44.66},
            {"basis": "TotalSeats", "averageScore": 51.02},
        ],
        "controlScores": [_control_score(control) for control in controls],
    }


def _control_score(control: ScoreControl) -> Json:
    # The extra fields are real and come as strings, in no fixed set.
    return {
        "controlCategory": control.category,
        "controlName": control.name,
        "description": control.title,
        "score": control.score,
        "implementationStatus": "",
        "scoreInPercentage": round(100 * control.score / control.max_score, 2),
        "on": "true" if control.score else "false",
    }


@security.add("GET", "security/secureScoreControlProfiles", "SecurityEvents.Read.All")
def control_profiles(call: Call) -> Answer:
    """Source: "List secureScoreControlProfiles"; some are deprecated."""
    profiles = [_profile_json(call.tenant, control) for control in call.tenant.score_controls]
    shown = [*profiles, {**profiles[0], "id": "AdminMFA", "deprecated": True}]
    return collection(call, filtered(call, shown), "security/secureScoreControlProfiles", select=False)


def _profile_json(tenant: Tenant, control: ScoreControl) -> Json:
    update = {"assignedTo": None, "comment": None, "state": "Default", "updatedBy": None, "updatedDateTime": None}
    return {
        "id": control.name,
        "azureTenantId": tenant.tenant_id,
        "actionType": "Config",
        "actionUrl": control.action_url,
        "controlCategory": control.category,
        "title": control.title,
        "deprecated": False,
        "implementationCost": "Low",
        "lastModifiedDateTime": None,
        "maxScore": control.max_score,
        "rank": control.rank,
        "remediation": f"<p>{control.title}.</p>",
        "remediationImpact": "People may notice a change.",
        "service": control.service,
        "threats": ["accountBreach"],
        "tier": "Core",
        "userImpact": "Low",
        "complianceInformation": [],
        "controlStateUpdates": [update],
        "vendorInformation": VENDOR,
    }


@access.add("GET", "identity/conditionalAccess/policies", "Policy.Read.All")
def conditional_access(call: Call) -> Answer:
    """Source: "List policies"; reading works without a licence, but then there is nothing to read."""
    licences = call.tenant.licences
    policies = call.tenant.organisation.conditional_access if licences.p1 or licences.p2 else []
    return collection(call, filtered(call, policies), "identity/conditionalAccess/policies")


@directory.add("GET", "policies/identitySecurityDefaultsEnforcementPolicy", "Policy.Read.All")
def security_defaults(call: Call) -> Answer:
    """Source: "Get identitySecurityDefaultsEnforcementPolicy"."""
    return Answer(
        200,
        {
            "@odata.context": call.context("policies/identitySecurityDefaultsEnforcementPolicy/$entity"),
            "description": "A basic set of protections that Microsoft recommends for everybody.",
            "displayName": "Security Defaults",
            "id": "00000000-0000-0000-0000-000000000005",
            "isEnabled": call.tenant.organisation.security_defaults,
        },
    )


@directory.add("GET", "subscribedSkus", ("LicenseAssignment.Read.All", "Organization.Read.All", "Directory.Read.All"))
def subscribed_skus(call: Call) -> Answer:
    """Source: "List subscribedSkus"; query options are ignored here (known issue of 2026-02)."""
    body = {"@odata.context": call.context("subscribedSkus"), "value": [_sku_json(call.tenant)]}
    return Answer(200, body)


def _sku_json(tenant: Tenant) -> Json:
    licences, sku_id = tenant.licences, "05e9a617-0261-4cee-bb44-138d3ef5d965"
    plans = {
        "EXCHANGE_S_ENTERPRISE": True,
        "AAD_PREMIUM": licences.p1,
        "AAD_PREMIUM_P2": licences.p2,
        "THREAT_INTELLIGENCE": licences.defender,
        "M365_ADVANCED_AUDITING": licences.purview_audit,
    }
    return {
        "accountId": tenant.tenant_id,
        "accountName": tenant.initial_domain.partition(".")[0],
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": 14,
        "id": f"{tenant.tenant_id}_{sku_id}",
        "prepaidUnits": {"enabled": 25, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": [
            {
                "servicePlanId": stable_uuid("plan", name),
                "servicePlanName": name,
                "provisioningStatus": "Success",
                "appliesTo": "User",
            }
            for name, paid in plans.items()
            if paid
        ],
        "skuId": sku_id,
        "skuPartNumber": "SPE_E3",
        "subscriptionIds": [stable_uuid("subscription", sku_id)],
    }


@directory.add("GET", "organization", ("Organization.Read.All", "Directory.Read.All"))
def organisation(call: Call) -> Answer:
    """Source: "List organizations"; always one."""
    tenant = call.tenant
    domains = [
        {
            "capabilities": "Email, OfficeCommunicationsOnline",
            "isDefault": default,
            "isInitial": not default,
            "name": name,
            "type": _authentication(tenant, name),
        }
        for name, default in ((tenant.initial_domain, False), (tenant.default_domain, True))
    ]
    body: Json = {
        "id": tenant.tenant_id,
        "deletedDateTime": None,
        "businessPhones": [],
        "countryLetterCode": "SE",
        "createdDateTime": "2021-03-01T08:00:00Z",
        "displayName": tenant.name,
        "onPremisesSyncEnabled": True if any(person.synced for person in tenant.people) else None,
        "preferredLanguage": "en",
        "securityComplianceNotificationMails": [],
        "technicalNotificationMails": [f"alex@{tenant.default_domain}"],
        "tenantType": "AAD",
        "verifiedDomains": domains,
        "assignedPlans": [],
    }
    return collection(call, [body], "organization")


@directory.add("GET", "domains", ("Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All"))
def domains(call: Call) -> Answer:
    """Source: "List domains"; without paging."""
    names = (call.tenant.initial_domain, call.tenant.default_domain)
    return collection(call, [_domain_json(call.tenant, name) for name in names], "domains")


def _domain_json(tenant: Tenant, name: str) -> Json:
    return {
        "id": name,
        "authenticationType": _authentication(tenant, name),
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": name == tenant.default_domain,
        "isInitial": name == tenant.initial_domain,
        "isRoot": True,
        "isVerified": True,
        "manufacturer": None,
        "model": None,
        "passwordNotificationWindowInDays": None,
        "passwordValidityPeriodInDays": None,
        "state": None,
        "supportedServices": ["Email", "OfficeCommunicationsOnline"],
    }


def _authentication(tenant: Tenant, domain: str) -> str:
    return "Federated" if domain in tenant.organisation.federated_domains else "Managed"
