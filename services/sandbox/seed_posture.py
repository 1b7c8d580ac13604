"""The tenant's security settings at the start, weak in the ways that small tenants are weak; and as strong ones are."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from services.sandbox.state import (
    GLOBAL_ADMINISTRATOR,
    AuthMethod,
    OutboundPolicy,
    Person,
    ScoreControl,
    Tenant,
    TransportRule,
    stable_uuid,
)

#: name, title, category, service, score, maximum.
CONTROLS = (
    ("AdminMFAV2", "Ensure multifactor authentication is enabled for administrators", "Identity", "AzureAD", 0, 10),
    ("MFARegistrationV2", "Ensure multifactor authentication is enabled for everyone", "Identity", "AzureAD", 3, 9),
    ("BlockLegacyAuthentication", "Block legacy authentication", "Identity", "AzureAD", 0, 8),
    ("UserRiskPolicy", "Turn on user risk policy", "Identity", "AzureAD", 0, 7),
    ("SigninRiskPolicy", "Turn on sign-in risk policy", "Identity", "AzureAD", 0, 7),
    ("OneAdmin", "Designate more than one global administrator", "Identity", "AzureAD", 0, 1),
    ("RoleOverlap", "Use least privileged administrative roles", "Identity", "AzureAD", 1, 1),
    ("PWAgePolicyNew", "Do not expire passwords", "Identity", "AzureAD", 8, 8),
    ("mip_search_auditlog", "Turn on audit log search", "Data", "MIP", 3, 3),
    ("dlp_datalossprevention", "Turn on data loss prevention policies", "Data", "MIP", 0, 5),
    ("exo_mailboxaudit", "Mailbox auditing is on for all users", "Apps", "EXO", 4, 4),
    ("exo_storageproviderrestricted", "Restrict storage providers in Outlook", "Apps", "EXO", 3, 3),
    ("mdo_thresholdreachedaction", "Restrict users who reach a sending limit", "Apps", "MDO", 0, 4),
    ("mdo_recipientlimitperday", "Set the daily recipient limit", "Apps", "MDO", 0, 4),
    ("mdo_autoforwardingmode", "Forbid automatic external forwarding", "Apps", "MDO", 0, 4),
    ("mdo_blockmailforward", "Block mail forwarding by rule", "Apps", "MDO", 0, 5),
    ("mdo_safelinksforemail", "Check links in mail when clicked", "Apps", "MDO", 9, 9),
    ("mdo_safeattachments", "Open attachments in isolation first", "Apps", "MDO", 8, 8),
    ("mdo_phisspolicy", "Set up anti-phishing policies", "Apps", "MDO", 8, 12),
    ("spo_idle_session_timeout", "Sign out idle sessions", "Apps", "SPO", 0, 8),
)


def add_posture(tenant: Tenant) -> None:
    """Give the tenant its outbound policies, its secure score and its one conditional access policy."""
    tenant.outbound_policies = [
        OutboundPolicy("Default", is_default=True, notify=True, notify_to=["alex@contoso.com"]),
        OutboundPolicy(
            "Marketing",
            is_default=False,
            action="BlockUser",
            auto_forwarding="Off",
            external_per_hour=500,
            internal_per_hour=1000,
            per_day=1000,
            rule=(0, True, ["omar@contoso.com"]),
        ),
    ]
    changed_at = tenant.clock.now() - timedelta(days=410)
    disclaimer = "<p>This message comes from Contoso Ltd.</p>"
    tenant.transport_rules = [TransportRule("Footer for external mail", 0, changed_at, disclaimer=disclaimer)]
    tenant.score_controls = [
        ScoreControl(name, title, category, service, float(score), float(most), _action_url(category), rank)
        for rank, (name, title, category, service, score, most) in enumerate(CONTROLS, start=1)
    ]
    tenant.organisation.conditional_access = [READY_POLICIES["mfa_trial"]()]


def _action_url(category: str) -> str:
    return "https://entra.microsoft.com/" if category == "Identity" else "https://security.microsoft.com/"


# --- conditional access: policies that are ready to be put in force ---------------------------------------------------

EVERYBODY = {"includeUsers": ["All"]}
LEGACY_CLIENTS = {"clientAppTypes": ["exchangeActiveSync", "other"]}


def _policy(name: str, grant: str, state: str = "enabled", **conditions: Any) -> dict[str, Any]:
    """A policy as Graph spells it, for every app; `conditions` are what it has beside that."""
    people = {"includeUsers": [], "excludeUsers": [], "includeGroups": [], "excludeGroups": [], "includeRoles": []}
    users = {**people, "excludeRoles": [], **conditions.pop("users", EVERYBODY)}
    applications = {"includeApplications": ["All"], "excludeApplications": [], "includeUserActions": []}
    usual = {
        "userRiskLevels": [],
        "signInRiskLevels": [],
        "clientAppTypes": ["all"],
        "platforms": None,
        "locations": None,
        "insiderRiskLevels": None,
        "applications": applications,
    }
    return {
        "id": stable_uuid("policy", name),
        "templateId": None,
        "displayName": name,
        "createdDateTime": "2025-02-11T08:30:12.4471123Z",
        "modifiedDateTime": None,
        "state": state,
        "sessionControls": None,
        "conditions": {**usual, "users": users, **conditions},
        "grantControls": {
            "operator": "OR",
            "builtInControls": [grant],
            "customAuthenticationFactors": [],
            "termsOfUse": [],
        },
    }


def _by_strength() -> dict[str, Any]:
    """Newer policies ask for a strength instead of a control."""
    policy = _policy("Phishing-resistant MFA for administrators", "mfa", users={"includeRoles": [GLOBAL_ADMINISTRATOR]})
    strength = {"id": "00000000-0000-0000-0000-000000000004", "displayName": "Phishing-resistant MFA"}
    policy["grantControls"] |= {"builtInControls": [], "authenticationStrength": strength}
    return policy


#: Names for the control route. Only "mfa_trial" is there at the start.
READY_POLICIES: Mapping[str, Callable[[], dict[str, Any]]] = {
    "mfa_trial": lambda: _policy("Require MFA for everyone (trial)", "mfa", "enabledForReportingButNotEnforced"),
    "mfa_for_everyone": lambda: _policy("Require MFA for everyone", "mfa"),
    "mfa_with_exceptions": lambda: _policy(
        "Require MFA, almost", "mfa", users={**EVERYBODY, "excludeUsers": [stable_uuid("break glass")]}
    ),
    "mfa_outside_the_office": lambda: _policy(
        "MFA outside the office",
        "mfa",
        locations={"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]},
    ),
    "mfa_for_admins": _by_strength,
    "block_legacy": lambda: _policy("Block legacy authentication", "block", **LEGACY_CLIENTS),
    "block_legacy_trial": lambda: _policy(
        "Block legacy authentication (trial)", "block", "enabledForReportingButNotEnforced", **LEGACY_CLIENTS
    ),
    "act_on_risk": lambda: _policy("Change password when at risk", "passwordChange", userRiskLevels=["high"]),
    "for_nobody": lambda: _policy("Template", "block", users={"includeUsers": ["None"]}),
}


# --- both states of everything ---------------------------------------------------------------------------------------


def put_in_force(tenant: Tenant, names: Iterable[str]) -> None:
    """These policies and no others. Raises: KeyError for a name that is not in READY_POLICIES."""
    tenant.organisation.conditional_access = [READY_POLICIES[name]() for name in names]


def set_methods(tenant: Tenant, person: Person, kinds: Iterable[str]) -> None:
    """The person has these second factors and no others, such as "phone" or "microsoftAuthenticator"."""
    added = [AuthMethod(stable_uuid("method", person.oid, kind), kind, tenant.clock.now()) for kind in kinds]
    person.methods = [method for method in person.methods if method.kind == "password"] + added


def make_strong(tenant: Tenant) -> None:
    """Everything in place that an API can tell of: for everybody, and for every mailbox."""
    organisation = tenant.organisation
    organisation.security_defaults, organisation.unified_audit, organisation.audit_disabled = False, True, False
    organisation.smtp_auth_disabled, organisation.federated_domains = True, []
    put_in_force(tenant, ("mfa_for_everyone", "mfa_for_admins", "block_legacy", "act_on_risk"))
    for policy in tenant.outbound_policies:
        policy.action, policy.auto_forwarding = "BlockUser", "Off"
        policy.external_per_hour, policy.internal_per_hour, policy.per_day = 400, 800, 800
    for control in tenant.score_controls:
        control.score = control.max_score
    for person in tenant.people:
        person.synced = False
        set_methods(tenant, person, ["microsoftAuthenticator"])
        if person.mailbox is not None:
            person.mailbox.audit_enabled, person.mailbox.audit_bypass = True, False
            person.mailbox.smtp_auth_disabled = None
    _second_administrator(tenant)


def _second_administrator(tenant: Tenant) -> None:
    """One who is there only to be that, with no mailbox."""
    oid = stable_uuid("person", "second administrator")
    if tenant.person(oid) is None:
        admin = Person(oid, f"admin2@{tenant.initial_domain}", "Second Administrator", licensed=False)
        admin.role_definition_ids = [GLOBAL_ADMINISTRATOR]
        tenant.people.append(admin)
        set_methods(tenant, admin, ["fido2"])
