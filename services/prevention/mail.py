"""What may leave the organisation by mail, and what is recorded: what was read of Exchange, judged. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.cases import PreventionItem, UnknownReason, say
from services.clients.exchange_models import OutboundPolicy
from services.clients.graph_models import SecurityAlert
from services.prevention.items import in_place, judged, not_in_place, unknown, unsaid

#: An alert of this title proves that its policy is on; the policy itself is read by Security & Compliance PowerShell
#: alone. Source: "Alert policies in the Microsoft Defender portal", 2025-03-21.
RESTRICTED_ALERT = "user restricted from sending email"


def outbound_policy(policies: Sequence[OutboundPolicy]) -> PreventionItem:
    """
    Whether every policy in force restricts who sends too much, with limits of its own (0 is the service's default).

    Source: "Configure outbound spam filtering", 2025-02-05; Set-HostedOutboundSpamFilterPolicy, 2026-08-21.
    """
    in_force = _in_force(policies)
    for policy in in_force:
        if policy.action and policy.action.casefold() != "blockuser":
            return not_in_place("outbound_policy", "action", policy=policy.name, action=policy.action)
        if 0 in _limits(policy):
            return not_in_place("outbound_policy", "no_limit", policy=policy.name)
    if not in_force or not all(policy.action and None not in _limits(policy) for policy in in_force):
        return unsaid("outbound_policy")
    return in_place("outbound_policy", n=max(policy.recipients_per_day or 0 for policy in in_force))


def _limits(policy: OutboundPolicy) -> tuple[int | None, ...]:
    return (policy.recipients_per_day, policy.external_per_hour, policy.internal_per_hour)


def auto_forwarding(policies: Sequence[OutboundPolicy]) -> PreventionItem:
    """
    Whether every policy in force forbids automatic forwarding to outside.

    Automatic means off in most tenants and on in some old ones, so it is no proof.
    Source: "Configure outbound spam filtering", 2025-02-05.
    """
    modes = [(policy, (policy.auto_forwarding_mode or "").casefold()) for policy in _in_force(policies)]
    allowed = next((policy for policy, mode in modes if mode == "on"), None)
    if allowed is not None:
        return not_in_place("auto_forwarding", "allowed", policy=allowed.name)
    if not modes or any(mode not in ("off", "automatic") for _, mode in modes):
        return unsaid("auto_forwarding")
    return judged("auto_forwarding", all(mode == "off" for _, mode in modes))


def _in_force(policies: Sequence[OutboundPolicy]) -> list[OutboundPolicy]:
    """The default policy cannot be switched off, whatever its flag says."""
    return [policy for policy in policies if policy.is_default or policy.enabled is not False]


def mailbox_audit(organisation_disabled: bool | None) -> PreventionItem:
    """On for all mailboxes unless the organisation switched it off. Source: Set-OrganizationConfig, 2026-08-21."""
    return judged("mailbox_audit", None if organisation_disabled is None else not organisation_disabled)


def user_mailbox_audit(
    mailbox_on: bool | None, organisation_disabled: bool | None, bypassed: bool | None
) -> PreventionItem:
    """
    Whether what is done in this mailbox is recorded. An organisation that has it off overrides what the mailbox says,
    and so does an account that is exempt.

    Source: "Manage mailbox auditing", 2024; Get-MailboxAuditBypassAssociation, 2026-08-21.
    """
    if organisation_disabled:
        return not_in_place("user_mailbox_audit", "organisation")
    if mailbox_on is False:
        return not_in_place("user_mailbox_audit")
    if bypassed:
        return not_in_place("user_mailbox_audit", "bypassed")
    said = None not in (mailbox_on, organisation_disabled, bypassed)
    return judged("user_mailbox_audit", True if said else None)


def user_smtp_auth(mailbox_off: bool | None, organisation_off: bool | None) -> PreventionItem:
    """
    Whether the mailbox can be sent from with a password alone; a mailbox without a word of its own follows the
    organisation. Source: "Enable or disable authenticated client SMTP submission", 2025.
    """
    if mailbox_off is not None:
        return judged("user_smtp_auth", mailbox_off)
    if organisation_off is None:
        return unsaid("user_smtp_auth")
    if organisation_off:
        return in_place("user_smtp_auth", "ok.organisation")
    return not_in_place("user_smtp_auth", "open.organisation")


def alert_policy(alerts: Sequence[SecurityAlert]) -> PreventionItem:
    """
    Whether Microsoft tells when a user is restricted, which an alert that came proves.

    That none came proves nothing: there may have been nothing to tell.
    """
    seen = [alert.created_at for alert in alerts if alert.title.strip().casefold() == RESTRICTED_ALERT]
    dated = [moment for moment in seen if moment is not None]
    if not dated:
        return unknown("alert_policy", UnknownReason.NOT_APPLICABLE, say("prevention.alert_policy.unseen"))
    return in_place("alert_policy", at=max(dated))
