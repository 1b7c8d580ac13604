"""
Step 3: what keeps it from happening again, as read from the tenant, and what only people can do.

Nothing is changed here. What cannot be read is unknown and never "in place".
Source: "Security roadmap", 2018-10-08, and "Top 10 ways to secure your business data", 2025-08-14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Protocol

import structlog

from services.cases import Case, PreventionItem, PreventionState, Text, UnknownReason, say
from services.clients.exchange_models import OrganizationConfig, OutboundPolicy
from services.clients.graph_models import AuthMethod, CaPolicy, MfaRegistration, SecureScore
from services.errors import LicenceMissing, NotFound, PermissionMissing, ServiceError
from services.investigation.unreadable import reason_of, why

log = structlog.get_logger()

#: Share of the Secure Score's maximum below which the item stays open. Our judgement: Microsoft names no such line.
GOOD_SCORE_SHARE = 0.7
#: The longest that one check may take, in seconds.
TIMEOUT_S = 45.0
#: What only a person can do, in the order in which it is shown.
MANUAL = (
    "warn_contacts",
    "check_sent_items",
    "scan_devices",
    "review_contact_info",
    "dedicated_admins",
    "phishing_training",
)
#: Ways to sign in that are no second factor.
_FIRST_FACTORS = frozenset({"password", "email"})


class Posture(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`. Every method may raise any ServiceError."""

    async def registration(self, oid: str) -> MfaRegistration: ...

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]: ...

    async def security_defaults_on(self) -> bool: ...

    async def conditional_access_policies(self) -> tuple[CaPolicy, ...]: ...

    async def secure_score(self) -> SecureScore | None: ...


class MailPosture(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`. Every method may raise any ServiceError."""

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]: ...

    async def audit_config(self) -> bool | None: ...

    async def organization_config(self) -> OrganizationConfig: ...


class Prevention:
    """Checks the list of prevention items."""

    def __init__(self, graph: Posture, exchange: MailPosture, *, timeout_s: float = TIMEOUT_S) -> None:
        self._graph = graph
        self._exchange = exchange
        self._timeout_s = timeout_s

    async def check(self, case: Case) -> tuple[PreventionItem, ...]:
        """Every item, those that can be read first. All are read at once; none raises for what cannot be read."""
        checks: tuple[tuple[tuple[str, ...], Callable[[Case], Awaitable[Sequence[PreventionItem]]]], ...] = (
            (("user_mfa",), self._user_mfa),
            (("mfa_everyone",), self._mfa_everyone),
            (("outbound_policy", "auto_forwarding"), self._outbound_policies),
            (("unified_audit",), self._unified_audit),
            (("mailbox_audit",), self._mailbox_audit),
            (("secure_score",), self._secure_score),
        )
        read = await asyncio.gather(*(self._settled(item_ids, one, case) for item_ids, one in checks))
        manual = (_item(item_id, PreventionState.TODO, say("prevention.todo")) for item_id in MANUAL)
        return (*(item for items in read for item in items), *manual)

    async def _settled(
        self, item_ids: Iterable[str], check: Callable[[Case], Awaitable[Sequence[PreventionItem]]], case: Case
    ) -> Sequence[PreventionItem]:
        """What the check says; when it cannot be made, why."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await check(case)
        except ServiceError as error:
            return [_unknown(item_id, reason_of(error), why(error)) for item_id in item_ids]
        except TimeoutError:
            told = say("unreadable.timeout", n=round(self._timeout_s))
            return [_unknown(item_id, UnknownReason.FAULT, told) for item_id in item_ids]
        except Exception as error:  # a fault of ours in one check must not take the others with it
            log.exception("prevention_failed", case_id=case.case_id, items=item_ids, error=type(error).__name__)
            return [_unknown(item_id, UnknownReason.FAULT, say("unreadable.our_fault")) for item_id in item_ids]

    # --- one function for each read ---

    async def _user_mfa(self, case: Case) -> list[PreventionItem]:
        """
        Whether the account has registered a second factor. When the report cannot be read, its methods are looked at.

        Source: "Get userRegistrationDetails", 2025; "List methods", 2024.
        """
        if case.subject is None:
            return [_unknown("user_mfa", UnknownReason.NOT_APPLICABLE, say("unreadable.not_there"))]
        try:
            registered = (await self._graph.registration(case.subject.user_oid)).is_mfa_registered
        except (LicenceMissing, PermissionMissing, NotFound):
            registered = None
        if registered is None:
            methods = await self._graph.auth_methods(case.subject.user_oid)
            registered = any(method.kind not in _FIRST_FACTORS for method in methods)
        return [_judged("user_mfa", registered)]

    async def _mfa_everyone(self, _: Case) -> list[PreventionItem]:
        """Security defaults, or a conditional access policy that asks everybody for a second factor."""
        if await self._graph.security_defaults_on():
            return [_item("mfa_everyone", PreventionState.OK, say("prevention.mfa_everyone.ok"))]
        try:
            return [mfa_by_policy(await self._graph.conditional_access_policies())]
        except ServiceError as error:
            told = say("prevention.mfa_everyone.defaults_off", why=why(error))
            return [_unknown("mfa_everyone", reason_of(error), told)]

    async def _outbound_policies(self, _: Case) -> list[PreventionItem]:
        policies = await self._exchange.outbound_policies()
        return [outbound_policy(policies), auto_forwarding(policies)]

    async def _unified_audit(self, _: Case) -> list[PreventionItem]:
        """Source: Get-AdminAuditLogConfig, 2026-08-21."""
        return [_judged("unified_audit", await self._exchange.audit_config())]

    async def _mailbox_audit(self, _: Case) -> list[PreventionItem]:
        """On for all mailboxes unless the organisation switched it off. Source: Set-OrganizationConfig, 2026-08-21."""
        disabled = (await self._exchange.organization_config()).audit_disabled
        return [_judged("mailbox_audit", None if disabled is None else not disabled)]

    async def _secure_score(self, _: Case) -> list[PreventionItem]:
        return [secure_score(await self._graph.secure_score())]


# --- judging: pure ---------------------------------------------------------------------------------------------------


def mfa_by_policy(policies: Iterable[CaPolicy]) -> PreventionItem:
    """
    MFA for everyone by conditional access. A policy that only reports proves nothing, nor does one with conditions.

    Source: "conditionalAccessPolicy resource type", 2025.
    """
    asking = [policy for policy in policies if _asks_everybody(policy)]
    enforced = next((policy for policy in asking if policy.enforced), None)
    if enforced is not None:
        exempt = len(enforced.exclude_users) + len(enforced.exclude_groups)
        key = "policy_with_exceptions" if exempt else "policy"
        told = say(f"prevention.mfa_everyone.{key}", policy=enforced.name, n=exempt)
        return _item("mfa_everyone", PreventionState.OK, told)
    reporting = next((policy for policy in asking if policy.report_only), None)
    if reporting is not None:
        told = say("prevention.mfa_everyone.report_only", policy=reporting.name)
        return _item("mfa_everyone", PreventionState.OPEN, told)
    return _item("mfa_everyone", PreventionState.OPEN, say("prevention.mfa_everyone.open"))


def _asks_everybody(policy: CaPolicy) -> bool:
    """Everybody, for every app, from every client, whatever the risk; and nothing else will do instead of MFA."""
    apps = {name.casefold() for name in policy.include_applications}
    clients = {kind.casefold() for kind in policy.client_app_types}
    unconditional = not policy.user_risk_levels and not policy.sign_in_risk_levels
    alternatives = len(policy.grant_controls) > 1 and (policy.grant_operator or "").casefold() != "and"
    return (
        policy.for_everyone
        and policy.requires_mfa
        and not alternatives
        and unconditional
        and "all" in apps
        and (not clients or "all" in clients or {"browser", "mobileappsanddesktopclients"} <= clients)
    )


def outbound_policy(policies: Sequence[OutboundPolicy]) -> PreventionItem:
    """
    Whether every policy in force restricts who sends too much, with limits of its own (0 is the service's default).

    Source: "Configure outbound spam filtering", 2025-02-05; Set-HostedOutboundSpamFilterPolicy, 2026-08-21.
    """
    in_force = _in_force(policies)
    if not in_force:
        return _unknown("outbound_policy", UnknownReason.FAULT, say("unreadable.fault"))
    for policy in in_force:
        if (policy.action or "").casefold() != "blockuser":
            told = say("prevention.outbound_policy.action", policy=policy.name, action=policy.action or "?")
            return _item("outbound_policy", PreventionState.OPEN, told)
        if not all((policy.recipients_per_day, policy.external_per_hour, policy.internal_per_hour)):
            told = say("prevention.outbound_policy.no_limit", policy=policy.name)
            return _item("outbound_policy", PreventionState.OPEN, told)
    most = max(policy.recipients_per_day or 0 for policy in in_force)
    return _item("outbound_policy", PreventionState.OK, say("prevention.outbound_policy.ok", n=most))


def auto_forwarding(policies: Sequence[OutboundPolicy]) -> PreventionItem:
    """
    Whether every policy in force forbids automatic forwarding to outside.

    Automatic means off in most tenants and on in some old ones, so it is no proof. Source: "Configure outbound spam
    filtering", 2025-02-05.
    """
    in_force = _in_force(policies)
    modes = [(policy, (policy.auto_forwarding_mode or "").casefold()) for policy in in_force]
    if not modes or any(mode not in ("on", "off", "automatic") for _, mode in modes):
        return _unknown("auto_forwarding", UnknownReason.FAULT, say("unreadable.fault"))
    allowed = next((policy for policy, mode in modes if mode == "on"), None)
    if allowed is not None:
        told = say("prevention.auto_forwarding.allowed", policy=allowed.name)
        return _item("auto_forwarding", PreventionState.OPEN, told)
    if any(mode == "automatic" for _, mode in modes):
        return _item("auto_forwarding", PreventionState.OPEN, say("prevention.auto_forwarding.open"))
    return _item("auto_forwarding", PreventionState.OK, say("prevention.auto_forwarding.ok"))


def _in_force(policies: Sequence[OutboundPolicy]) -> list[OutboundPolicy]:
    """The default policy cannot be switched off, whatever its flag says."""
    return [policy for policy in policies if policy.is_default or policy.enabled is not False]


def secure_score(score: SecureScore | None) -> PreventionItem:
    """The latest score; "in place" from GOOD_SCORE_SHARE on. Source: "secureScore resource type", 2025."""
    if score is None or score.current is None or not score.maximum:
        return _unknown("secure_score", UnknownReason.NOT_APPLICABLE, say("prevention.secure_score.none"))
    state = PreventionState.OK if score.current / score.maximum >= GOOD_SCORE_SHARE else PreventionState.OPEN
    told = say("prevention.secure_score.value", score=round(score.current, 1), max=round(score.maximum, 1))
    return _item("secure_score", state, told)


def _judged(item_id: str, holds: bool | None) -> PreventionItem:
    """An item that is simply so or not; None means that the service did not say."""
    if holds is None:
        return _unknown(item_id, UnknownReason.FAULT, say("unreadable.fault"))
    state = PreventionState.OK if holds else PreventionState.OPEN
    return _item(item_id, state, say(f"prevention.{item_id}.{state.value}"))


def _item(item_id: str, state: PreventionState, summary: Text) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=state, summary=summary)


def _unknown(item_id: str, reason: UnknownReason, summary: Text) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=PreventionState.UNKNOWN, summary=summary, unknown_reason=reason)
