"""
The changes that the bot can make so that it does not happen again, each built from how things are now.

They are actions like those of the containment, carried out, proven and taken back by `services.containment`; here is
decided what exactly one of them would change.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from services.cases import Action, ActionKind, Case, CaseKind, Subject, Text, say
from services.clients.exchange_models import CasMailbox, Mailbox, OrganizationConfig, OutboundPolicy, OutboundRule
from services.clients.graph_models import DirectoryUser
from services.containment import new_action
from services.diagnosis.policies import policies_that_may_apply
from services.errors import BadInput, BrokenAnswer, NothingToFix, ServiceError


class Directory(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`. May raise any ServiceError."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


class MailSettings(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`. Every method may raise any ServiceError."""

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]: ...

    async def outbound_rules(self) -> tuple[OutboundRule, ...]: ...

    async def forwarding_mailboxes(self) -> tuple[Mailbox, ...]: ...

    async def organization_config(self) -> OrganizationConfig: ...

    async def mailbox(self, upn: str) -> Mailbox: ...

    async def cas_mailbox(self, upn: str) -> CasMailbox: ...


async def proposed(kind: ActionKind, case: Case, graph: Directory, exchange: MailSettings) -> Action:
    """
    The change as it would be made for this case now: its target names what each setting was. Changes nothing.

    For an account's case it is about that account and what applies to it, for the tenant's about everybody.
    Raises: NothingToFix when it is so already, BadInput for a kind that is no fix or that the case has no account for,
    and any ServiceError when it cannot be read how it is now.
    """
    if kind not in _FIXES:
        raise BadInput(what=kind.value)
    return await _FIXES[kind](case, graph, exchange)


# --- automatic forwarding --------------------------------------------------------------------------------------------


async def _block_auto_forwarding(case: Case, graph: Directory, exchange: MailSettings) -> Action:
    """Every policy in force that does not say Off; Automatic is on in some old tenants."""
    policies = [policy for policy in await _policies(case, graph, exchange) if not _is_off(policy)]
    if not policies:
        raise NothingToFix()
    changes = [{"identity": p.identity, "name": p.name or p.identity, "was": p.auto_forwarding_mode} for p in policies]
    return new_action(
        ActionKind.BLOCK_AUTO_FORWARDING,
        {"policies": changes},
        ", ".join(str(change["name"]) for change in changes),
        *sorted(policy.identity for policy in policies),
        warning=await _whose_forwarding_stops(exchange),
    )


async def _policies(case: Case, graph: Directory, exchange: MailSettings) -> Sequence[OutboundPolicy]:
    """
    Those in force: for an account the ones that may apply to it, in their order; for the tenant all.

    The default policy cannot be deleted or switched off, so without any policy nothing is known.
    """
    if case.kind is CaseKind.TENANT:
        policies = await exchange.outbound_policies()
        found = [policy for policy in policies if policy.is_default or policy.enabled is not False]
    else:
        policies, rules, user = await asyncio.gather(
            exchange.outbound_policies(), exchange.outbound_rules(), graph.get_user(_subject(case).user_oid)
        )
        found = list(policies_that_may_apply(policies, rules, user.addresses))
    if not found:
        raise BrokenAnswer("exchange", what="outbound policies")
    return found


def _is_off(policy: OutboundPolicy) -> bool:
    """Raises: BrokenAnswer for a policy without a mode, since what was there could not be put back."""
    if not policy.auto_forwarding_mode:
        raise BrokenAnswer("exchange", what="AutoForwardingMode")
    return policy.auto_forwarding_mode.casefold() == "off"


async def _whose_forwarding_stops(exchange: MailSettings) -> Text:
    """By name where it is a setting of the mailbox; inbox rules that forward cannot be listed for everybody."""
    try:
        mailboxes = await exchange.forwarding_mailboxes()
    except ServiceError:
        mailboxes = ()
    if not mailboxes:
        return say("action.block_auto_forwarding.warning")
    names = [box.upn or box.primary_smtp_address or box.display_name for box in mailboxes]
    return say("action.block_auto_forwarding.forwarding_now", n=len(names), names=names)


# --- mailbox auditing ------------------------------------------------------------------------------------------------


async def _mailbox_audit_on(case: Case, _: Directory, exchange: MailSettings) -> Action:
    """
    For the tenant the setting of the organisation. For an account its mailbox, and the organisation too when that has
    auditing off: Exchange would ignore the mailbox alone. Source: "Manage mailbox auditing", 2024.
    """
    organisation = await exchange.organization_config()
    was = {} if _said(not organisation.audit_disabled, organisation.audit_disabled) else {"organisation": False}
    if case.kind is CaseKind.TENANT:
        return _audit_action(was, organisation.name, None)
    upn = _subject(case).upn
    audited = (await exchange.mailbox(upn)).audit_enabled
    return _audit_action(was if _said(audited, audited) else {**was, "mailbox": False}, organisation.name, upn)


def _said(holds: bool | None, known: bool | None) -> bool:
    if known is None or holds is None:
        raise BrokenAnswer("exchange", what="AuditEnabled")
    return holds


def _audit_action(was: Mapping[str, bool], organisation: str, upn: str | None) -> Action:
    if not was:
        raise NothingToFix()
    target = {"was": dict(was), **({"upn": upn} if upn else {})}
    names = {"organisation": organisation, "mailbox": upn or ""}
    for_everybody = upn is not None and "organisation" in was
    return new_action(
        ActionKind.MAILBOX_AUDIT_ON,
        target,
        ", ".join(names[part] for part in was if names[part]),
        *sorted(was),
        upn or "",
        warning=say("action.mailbox_audit_on.organisation") if for_everybody else None,
    )


# --- SMTP AUTH -------------------------------------------------------------------------------------------------------


async def _smtp_auth_off(case: Case, _: Directory, exchange: MailSettings) -> Action:
    """For the account's mailbox, whatever the organisation says: that may change."""
    upn = _subject(case).upn
    was = (await exchange.cas_mailbox(upn)).smtp_auth_disabled
    if was:
        raise NothingToFix()
    return new_action(ActionKind.SMTP_AUTH_OFF, {"upn": upn, "was": was}, upn, upn)


# --- shared ----------------------------------------------------------------------------------------------------------


def _subject(case: Case) -> Subject:
    if case.subject is None:
        raise BadInput(what="account")
    return case.subject


_FIXES: Mapping[ActionKind, Callable[[Case, Directory, MailSettings], Awaitable[Action]]] = {
    ActionKind.BLOCK_AUTO_FORWARDING: _block_auto_forwarding,
    ActionKind.MAILBOX_AUDIT_ON: _mailbox_audit_on,
    ActionKind.SMTP_AUTH_OFF: _smtp_auth_off,
}
#: The changes that can be asked for.
FIXES = frozenset(_FIXES)
