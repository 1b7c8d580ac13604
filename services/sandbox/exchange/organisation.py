"""Settings of the organisation: outbound spam policies, auditing, domains, transport, alert policies."""

import uuid
from collections.abc import Mapping
from typing import Any

from services.sandbox.exchange.core import BAD_ARGUMENT, CmdletCall, CmdletError, Cmdlets, Row, object_not_found
from services.sandbox.state import COMPLIANCE, OrganisationSettings, OutboundPolicy, stable_uuid

cmdlets = Cmdlets()
ACTIONS = ("Alert", "BlockUser", "BlockUserForToday")
FORWARDING_MODES = ("Automatic", "On", "Off")
LIMITS = {
    "RecipientLimitExternalPerHour": "external_per_hour",
    "RecipientLimitInternalPerHour": "internal_per_hour",
    "RecipientLimitPerDay": "per_day",
}
#: Name, severity, whether it is on.
ALERT_POLICIES = (
    ("User restricted from sending email", "High", True),
    ("Email sending limit exceeded", "Medium", True),
    ("Suspicious email sending patterns detected", "Medium", True),
    ("Suspicious email forwarding activity", "High", False),
    ("Creation of forwarding/redirect rule", "Informational", True),
    ("Suspicious connector activity", "High", True),
)


@cmdlets.add("Get-HostedOutboundSpamFilterPolicy", "Identity")
def get_outbound_policies(call: CmdletCall) -> list[Row]:
    """The outbound spam policies."""
    wanted = call.text("Identity")
    policies = [_policy(call, wanted)] if wanted else call.tenant.outbound_policies
    return [_policy_row(policy) for policy in policies]


def _policy(call: CmdletCall, name: str) -> OutboundPolicy:
    for policy in call.tenant.outbound_policies:
        if policy.name.lower() == name.lower():
            return policy
    raise object_not_found(name)


def _policy_row(policy: OutboundPolicy) -> Row:
    return {
        "Identity": policy.name,
        "Id": policy.name,
        "Name": policy.name,
        "IsDefault": policy.is_default,
        "Enabled": True,
        "ActionWhenThresholdReached": policy.action,
        "AutoForwardingMode": policy.auto_forwarding,
        "RecipientLimitExternalPerHour": policy.external_per_hour,
        "RecipientLimitInternalPerHour": policy.internal_per_hour,
        "RecipientLimitPerDay": policy.per_day,
        "NotifyOutboundSpam": policy.notify,
        "NotifyOutboundSpamRecipients": policy.notify_to,
        "BccSuspiciousOutboundMail": False,
        "BccSuspiciousOutboundAdditionalRecipients": [],
        "ConfigurationType": "Default" if policy.is_default else "Custom",
        "RecommendedPolicyType": "Custom",
        "ExchangeVersion": "0.20 (15.0.0.0)",
    }


@cmdlets.add("Get-HostedOutboundSpamFilterRule", "Identity", "State")
def get_outbound_rules(call: CmdletCall) -> list[Row]:
    """To whom the policies apply; the default policy has no rule."""
    return [
        {
            "Identity": policy.name,
            "Name": policy.name,
            "HostedOutboundSpamFilterPolicy": policy.name,
            "State": "Enabled" if policy.rule[1] else "Disabled",
            "Priority": policy.rule[0],
            "From": policy.rule[2],
            "FromMemberOf": None,
            "SenderDomainIs": None,
            "ExceptIfFrom": None,
            "ExceptIfFromMemberOf": None,
            "ExceptIfSenderDomainIs": None,
        }
        for policy in call.tenant.outbound_policies
        if policy.rule is not None
    ]


@cmdlets.add(
    "Set-HostedOutboundSpamFilterPolicy", "Identity", "ActionWhenThresholdReached", "AutoForwardingMode", *LIMITS
)
def set_outbound_policy(call: CmdletCall) -> list[Row]:
    """Change a policy; limits are 0 (default of the service) to 10,000."""
    policy = _policy(call, call.required("Identity"))
    changes = _policy_changes(call)
    _check_customised(call)
    _later(call, policy, changes)
    call.tenant.changed("outbound policy changed", f"{policy.name}: {', '.join(sorted(changes))}")
    return []


def _check_customised(call: CmdletCall) -> None:
    """Raises: CmdletError for an organisation that shares its settings with others still."""
    if call.tenant.organisation.dehydrated:
        raise CmdletError(
            "Microsoft.Exchange.Configuration.Tasks.InvalidOperationInDehydratedContextException",
            "The command you tried to run isn't currently allowed in your organization. To run this command, you first "
            "need to run the command: Enable-OrganizationCustomization.",
        )


def _later(call: CmdletCall, settings: OutboundPolicy | OrganisationSettings, changes: Mapping[str, Any]) -> None:
    def apply() -> None:
        for name, value in changes.items():
            setattr(settings, name, value)

    call.tenant.after(call.tenant.switches.organisation_delay_s, apply)


def _policy_changes(call: CmdletCall) -> dict[str, str | int]:
    changes: dict[str, str | int] = {}
    if call.given("ActionWhenThresholdReached"):
        changes["action"] = _one_of(call, "ActionWhenThresholdReached", ACTIONS)
    if call.given("AutoForwardingMode"):
        changes["auto_forwarding"] = _one_of(call, "AutoForwardingMode", FORWARDING_MODES)
    for parameter, name in LIMITS.items():
        if call.given(parameter):
            changes[name] = _limit(call, parameter)
    return changes


def _one_of(call: CmdletCall, name: str, allowed: tuple[str, ...]) -> str:
    value = call.text(name)
    for spelling in allowed:
        if value.lower() == spelling.lower():
            return spelling
    text = f"Cannot process argument transformation on parameter '{name}'. Possible values: {', '.join(allowed)}."
    raise CmdletError("System.Management.Automation.ParameterBindingException", text)


def _limit(call: CmdletCall, name: str) -> int:
    text = call.text(name)
    if not text.isdigit() or int(text) > 10_000:
        raise CmdletError(BAD_ARGUMENT, f"The value of {name} must be between 0 and 10000.")
    return int(text)


@cmdlets.add("Get-AdminAuditLogConfig")
def get_audit_config(call: CmdletCall) -> list[Row]:
    """Whether unified auditing is on. Asked of Security & Compliance, the answer is always no."""
    recorded = call.tenant.organisation.unified_audit and call.audience != COMPLIANCE
    return [
        {
            "Identity": "Admin Audit Log Settings",
            "Name": "Admin Audit Log Settings",
            "AdminAuditLogEnabled": True,
            "UnifiedAuditLogIngestionEnabled": recorded,
            "AdminAuditLogAgeLimit": "90.00:00:00",
            "LogLevel": "Verbose",
        }
    ]


@cmdlets.add("Get-OrganizationConfig")
def get_organisation_config(call: CmdletCall) -> list[Row]:
    """Settings of the whole organisation."""
    tenant = call.tenant
    return [
        {
            "Identity": tenant.initial_domain,
            "Name": tenant.initial_domain,
            "DisplayName": tenant.name,
            "Guid": uuid.UUID(stable_uuid("organisation", tenant.tenant_id)),
            "AuditDisabled": tenant.organisation.audit_disabled,
            "OAuth2ClientProfileEnabled": True,
            "IsDehydrated": tenant.organisation.dehydrated,
            "CustomerLockboxEnabled": False,
        }
    ]


@cmdlets.add("Set-OrganizationConfig", "AuditDisabled")
def set_organisation_config(call: CmdletCall) -> list[Row]:
    """Switch mailbox auditing off or on for everybody."""
    if not call.given("AuditDisabled"):
        return []
    disabled = call.switch("AuditDisabled")
    _later(call, call.tenant.organisation, {"audit_disabled": disabled})
    call.tenant.changed("organisation changed", f"mailbox auditing {'off' if disabled else 'on'}")
    return []


@cmdlets.add("Get-TransportConfig")
def get_transport_config(call: CmdletCall) -> list[Row]:
    """Whether old-fashioned authenticated SMTP is switched off for everybody."""
    return [
        {
            "Identity": "Transport Settings",
            "Name": "Transport Settings",
            "SmtpClientAuthenticationDisabled": call.tenant.organisation.smtp_auth_disabled,
            "ExternalPostmasterAddress": None,
            "MaxRecipientEnvelopeLimit": "Unlimited",
        }
    ]


@cmdlets.add("Get-TransportRule", "Identity", "State", "ResultSize")
def get_transport_rules(call: CmdletCall) -> list[Row]:
    """The mail flow rules of the organisation. Raises: CmdletError (404) for one that is not there."""
    wanted = call.text("Identity").lower()
    rules = [rule for rule in call.tenant.transport_rules if wanted in ("", rule.name.lower())]
    if wanted and not rules:
        raise object_not_found(call.text("Identity"))
    return [
        {
            "Identity": rule.name,
            "Name": rule.name,
            "Guid": uuid.UUID(stable_uuid("transport rule", rule.name)),
            "State": "Enabled" if rule.enabled else "Disabled",
            "Mode": "Enforce",
            "Priority": rule.priority,
            "RedirectMessageTo": rule.redirect_to or None,
            "BlindCopyTo": rule.blind_copy_to or None,
            "ApplyHtmlDisclaimerText": rule.disclaimer or None,
            "WhenChanged": rule.changed_at,
            "RuleVersion": "15.0.5.2",
        }
        for rule in rules
    ]


@cmdlets.add("Get-AcceptedDomain", "Identity")
def get_accepted_domains(call: CmdletCall) -> list[Row]:
    """The domains of the organisation."""
    tenant = call.tenant
    return [
        {
            "Identity": domain,
            "Name": domain,
            "DomainName": domain,
            "DomainType": "Authoritative",
            "Default": domain == tenant.default_domain,
            "InitialDomain": domain == tenant.initial_domain,
        }
        for domain in (tenant.default_domain, tenant.initial_domain)
    ]


@cmdlets.add("Get-ProtectionAlert", "Identity", audience=COMPLIANCE)
def get_protection_alerts(call: CmdletCall) -> list[Row]:
    """The alert policies; Security & Compliance has this cmdlet, Exchange has not."""
    wanted = call.text("Identity").lower()
    return [
        {
            "Name": name,
            "Identity": name,
            "Severity": severity,
            "Disabled": not enabled,
            "IsSystemRule": True,
            "NotificationEnabled": enabled,
            "NotifyUser": ["TenantAdmins"],
            "AggregationType": "SimpleAggregation",
        }
        for name, severity, enabled in ALERT_POLICIES
        if wanted in ("", name.lower())
    ]
