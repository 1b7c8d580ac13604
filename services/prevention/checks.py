"""The checks: each reads what it needs and has it judged. What cannot be read comes through as a ServiceError."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.cases import PreventionItem, PreventionState
from services.errors import LicenceMissing, NotFound, PermissionMissing, ServiceError
from services.prevention import mail, score, sign_in
from services.prevention.catalogue import CATALOGUE
from services.prevention.items import judged
from services.prevention.reading import Reading, attempted

Check = Callable[[Reading], Awaitable[Sequence[PreventionItem]]]


# --- the account -----------------------------------------------------------------------------------------------------


async def user_mfa(reading: Reading) -> list[PreventionItem]:
    """
    Whether the account has registered a second factor. When the report cannot be read, its methods are looked at.

    Source: "Get userRegistrationDetails", 2025; "List methods", 2024.
    """
    try:
        registered = (await reading.graph.registration(reading.subject.user_oid)).is_mfa_registered
    except (LicenceMissing, PermissionMissing, NotFound):
        registered = None
    if registered is not None:
        return [judged("user_mfa", registered)]
    return [sign_in.user_mfa(await reading.graph.auth_methods(reading.subject.user_oid))]


async def user_roles(reading: Reading) -> list[PreventionItem]:
    """Admin roles that the account holds directly, not those through groups or PIM."""
    roles = await reading.graph.directory_roles(reading.subject.user_oid)
    return [sign_in.user_roles([role.role_name or role.role_id for role in roles])]


async def user_mailbox_audit(reading: Reading) -> list[PreventionItem]:
    upn = reading.subject.upn
    mailbox, organisation, bypassed = await asyncio.gather(
        reading.exchange.mailbox(upn), reading.organisation(), reading.exchange.audit_bypassed(upn)
    )
    return [mail.user_mailbox_audit(mailbox.audit_enabled, organisation.audit_disabled, bypassed)]


async def user_smtp_auth(reading: Reading) -> list[PreventionItem]:
    own = (await reading.exchange.cas_mailbox(reading.subject.upn)).smtp_auth_disabled
    return [mail.user_smtp_auth(own, await reading.exchange.smtp_auth_off() if own is None else None)]


# --- the organisation: who gets in -----------------------------------------------------------------------------------


async def mfa_everyone(reading: Reading) -> list[PreventionItem]:
    return [sign_in.mfa_everyone(await reading.rules())]


async def admin_mfa(reading: Reading) -> list[PreventionItem]:
    rules, admins = await asyncio.gather(reading.rules(), attempted(reading.graph.admin_registrations()))
    return [sign_in.admin_mfa(rules, admins)]


async def legacy_auth(reading: Reading) -> list[PreventionItem]:
    """When nothing is known to block old clients, sign-ins tell whether they get in; those are for premium tenants."""
    found = sign_in.legacy_auth(await reading.rules())
    if found.state is PreventionState.OK:
        return [found]
    sign_ins = await attempted(reading.legacy_sign_ins())
    return [found if isinstance(sign_ins, ServiceError) else sign_in.legacy_auth_by_use(found, sign_ins)]


async def conditional_access(reading: Reading) -> list[PreventionItem]:
    return [sign_in.conditional_access(await reading.rules())]


async def identity_protection(reading: Reading) -> list[PreventionItem]:
    policies, missing = await asyncio.gather(reading.policies(), reading.missing_points())
    scored = score.all_scored(CATALOGUE["identity_protection"].controls, missing)
    return [sign_in.identity_protection(policies, scored)]


async def few_admins(reading: Reading) -> list[PreventionItem]:
    return [sign_in.few_admins(await reading.graph.role_holders(sign_in.GLOBAL_ADMINISTRATOR))]


async def federated_accounts(reading: Reading) -> list[PreventionItem]:
    is_synced, domains = await asyncio.gather(reading.graph.is_synced(), reading.graph.domains())
    return [sign_in.federated_accounts(is_synced, domains)]


# --- the organisation: mail and records ------------------------------------------------------------------------------


async def outbound_policies(reading: Reading) -> list[PreventionItem]:
    policies = await reading.exchange.outbound_policies()
    return [mail.outbound_policy(policies), mail.auto_forwarding(policies)]


async def unified_audit(reading: Reading) -> list[PreventionItem]:
    """Source: Get-AdminAuditLogConfig, 2026-08-21."""
    return [judged("unified_audit", await reading.exchange.audit_config())]


async def mailbox_audit(reading: Reading) -> list[PreventionItem]:
    return [mail.mailbox_audit((await reading.organisation()).audit_disabled)]


async def alert_policy(reading: Reading) -> list[PreventionItem]:
    return [mail.alert_policy(await reading.alerts())]


async def secure_score(reading: Reading) -> list[PreventionItem]:
    return [score.secure_score(await reading.score())]


#: The items that each check is about, which are unknown when it cannot be made.
CHECKS: Mapping[tuple[str, ...], Check] = {
    ("user_mfa",): user_mfa,
    ("user_roles",): user_roles,
    ("user_mailbox_audit",): user_mailbox_audit,
    ("user_smtp_auth",): user_smtp_auth,
    ("mfa_everyone",): mfa_everyone,
    ("admin_mfa",): admin_mfa,
    ("legacy_auth",): legacy_auth,
    ("conditional_access",): conditional_access,
    ("identity_protection",): identity_protection,
    ("few_admins",): few_admins,
    ("federated_accounts",): federated_accounts,
    ("outbound_policy", "auto_forwarding"): outbound_policies,
    ("unified_audit",): unified_audit,
    ("mailbox_audit",): mailbox_audit,
    ("alert_policy",): alert_policy,
    ("secure_score",): secure_score,
}
