"""The tenant's security settings at the start: weak in the ways that small tenants are weak."""

from datetime import timedelta

from services.sandbox.state import OutboundPolicy, ScoreControl, Tenant, TransportRule, stable_uuid

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
    tenant.organisation.conditional_access = [_report_only_policy()]


def _action_url(category: str) -> str:
    return "https://entra.microsoft.com/" if category == "Identity" else "https://security.microsoft.com/"


def _report_only_policy() -> dict[str, object]:
    return {
        "id": stable_uuid("policy", "mfa"),
        "templateId": None,
        "displayName": "Require MFA for everyone (trial)",
        "createdDateTime": "2025-02-11T08:30:12.4471123Z",
        "modifiedDateTime": None,
        "state": "enabledForReportingButNotEnforced",
        "sessionControls": None,
        "conditions": {
            "userRiskLevels": [],
            "signInRiskLevels": [],
            "clientAppTypes": ["all"],
            "platforms": None,
            "locations": None,
            "insiderRiskLevels": None,
            "applications": {"includeApplications": ["All"], "excludeApplications": [], "includeUserActions": []},
            "users": {
                "includeUsers": ["All"],
                "excludeUsers": [],
                "includeGroups": [],
                "excludeGroups": [],
                "includeRoles": [],
                "excludeRoles": [],
            },
        },
        "grantControls": {
            "operator": "OR",
            "builtInControls": ["mfa"],
            "customAuthenticationFactors": [],
            "termsOfUse": [],
        },
    }
