"""One account with its mailbox, as the signals and the containment see it, from memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from services.cases import Actor, Block, BlockKind, Case, CaseState, Finding
from services.clients.exchange_models import Forwarding, InboxRule, Mailbox, OrganizationConfig, OutboundPolicy
from services.clients.graph_models import (
    AuditEvent,
    AuditTarget,
    AuthMethod,
    DirectoryUser,
    MfaRegistration,
    OAuthGrant,
    SecureScore,
    ServicePrincipal,
    SignIn,
)
from services.errors import NotFound
from services.investigation.evidence import Evidence
from services.investigation.run import SIGNALS
from services.investigation.table import table

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
TENANT = "11111111-1111-4111-8111-111111111111"
OID = "00000003-0000-4000-8000-000000000000"
UPN = "jane@contoso.com"


class FakeAccount:
    """
    Fulfils what is asked of Graph and of Exchange. Whatever is an exception is raised; `calls` counts by method.

    `on_call` is run before each answer, with the method's name: for faults that come and go.
    """

    def __init__(self, **values: Any) -> None:
        self.calls: Counter[str] = Counter()
        self.passwords: list[SecretStr] = []
        self.on_call: Callable[[str], None] = lambda name: None
        self.hold: dict[str, asyncio.Event] = {}
        self.user: Any = DirectoryUser(
            oid=OID,
            upn=UPN,
            display_name="Jane",
            mail=UPN,
            aliases=(UPN, "jane@contoso.onmicrosoft.com"),
            password_changed_at=NOW - timedelta(days=60),
            sessions_valid_from=NOW - timedelta(days=60),
        )
        self.risky: Any = None
        self.detections: Any = ()
        self.sign_in_log: Any = habits()
        self.visible_rules: Any = ()
        self.grants: Any = ()
        self.tenant_grants: Any = ()
        self.apps: dict[str, Any] = {}
        self.methods: Any = (AuthMethod(method_id="1", kind="password"),)
        self.audit_log: Any = ()
        self.rules: Any = ()
        self.box: Any = Mailbox(upn=UPN)
        self.roles: Any = ()
        self.mfa: Any = MfaRegistration(user_oid=OID, is_mfa_registered=True)
        self.defaults_on: Any = True
        self.policies: Any = ()
        self.score: Any = SecureScore(current=80, maximum=100)
        self.outbound: Any = (outbound(),)
        self.unified_audit: Any = True
        self.organisation: Any = OrganizationConfig(audit_disabled=False)
        self.__dict__.update(values)

    async def _answer(self, name: str, value: Any) -> Any:
        self.calls[name] += 1
        self.on_call(name)
        if name in self.hold:
            await self.hold[name].wait()
        if isinstance(value, Exception):
            raise value
        return value

    # Graph

    async def get_user(self, id_or_upn: str) -> Any:
        return await self._answer("get_user", self.user)

    async def risky_user(self, oid: str) -> Any:
        return await self._answer("risky_user", self.risky)

    async def risk_detections(self, oid: str) -> Any:
        return await self._answer("risk_detections", self.detections)

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> Any:
        return await self._answer("sign_ins", self.sign_in_log)

    async def message_rules(self, oid: str) -> Any:
        return await self._answer("message_rules", self.visible_rules)

    async def oauth_grants(self, oid: str) -> Any:
        return await self._answer("oauth_grants", self.grants)

    async def oauth_grants_for_everyone(self) -> Any:
        return await self._answer("oauth_grants_for_everyone", self.tenant_grants)

    async def service_principal(self, sp_oid: str) -> Any:
        return await self._answer("service_principal", self.apps.get(sp_oid, NotFound("graph")))

    async def auth_methods(self, oid: str) -> Any:
        return await self._answer("auth_methods", self.methods)

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> Any:
        log = await self._answer("directory_audits", self.audit_log)
        of_kind = [event for event in log if activity is None or event.activity == activity]
        return tuple(e for e in of_kind if oid is None or any(target.oid == oid for target in e.targets))

    async def directory_roles(self, oid: str) -> Any:
        return await self._answer("directory_roles", self.roles)

    async def revoke_sessions(self, oid: str) -> None:
        await self._answer("revoke_sessions", None)
        self.user = self.user.model_copy(update={"sessions_valid_from": NOW})

    async def reset_password(self, oid: str, password: SecretStr, *, force_change: bool = True) -> None:
        self.passwords.append(password)
        await self._answer("reset_password", None)
        self.user = self.user.model_copy(update={"password_changed_at": NOW})

    async def disable_message_rule(self, oid: str, rule_id: str) -> None:
        await self._answer("disable_message_rule", None)
        self.rules = tuple(
            r.model_copy(update={"enabled": False}) if r.graph_rule_id == rule_id else r for r in self.rules
        )
        self.visible_rules = tuple(
            r.model_copy(update={"enabled": False}) if r.rule_id == rule_id else r for r in self.visible_rules
        )

    async def revoke_grant(self, grant_id: str) -> None:
        await self._answer("revoke_grant", None)
        self.grants = tuple(grant for grant in self.grants if grant.grant_id != grant_id)

    async def registration(self, oid: str) -> Any:
        return await self._answer("registration", self.mfa)

    async def security_defaults_on(self) -> Any:
        return await self._answer("security_defaults_on", self.defaults_on)

    async def conditional_access_policies(self) -> Any:
        return await self._answer("conditional_access_policies", self.policies)

    async def secure_score(self) -> Any:
        return await self._answer("secure_score", self.score)

    # Exchange

    async def inbox_rules(self, upn: str) -> Any:
        return await self._answer("inbox_rules", self.rules)

    async def disable_inbox_rule(self, upn: str, rule_identity: int | str) -> None:
        await self._answer("disable_inbox_rule", None)
        self.rules = tuple(
            r.model_copy(update={"enabled": False}) if r.identity == rule_identity else r for r in self.rules
        )

    async def mailbox(self, upn: str) -> Any:
        return await self._answer("mailbox", self.box)

    async def clear_forwarding(self, upn: str) -> None:
        await self._answer("clear_forwarding", None)
        self.box = self.box.model_copy(update={"forwarding": Forwarding()})

    async def outbound_policies(self) -> Any:
        return await self._answer("outbound_policies", self.outbound)

    async def audit_config(self) -> Any:
        return await self._answer("audit_config", self.unified_audit)

    async def organization_config(self) -> Any:
        return await self._answer("organization_config", self.organisation)


def _off(rules: Any, field: str, value: Any) -> Any:
    return tuple(r.model_copy(update={"enabled": False}) if getattr(r, field) == value else r for r in rules)


def blocked(**fields: Any) -> Case:
    """Jane's case while it is being investigated: on the restricted list since an hour ago, for too many recipients."""
    block = Block(
        kind=BlockKind.RESTRICTED,
        sender_address=UPN,
        since=NOW - timedelta(hours=1),
        reason={"ExternalRecipientCountToday": "2,000", "InternalRecipientCountToday": "3"},
    )
    values = {
        "case_id": "C1",
        "tenant_id": TENANT,
        "state": CaseState.INVESTIGATING,
        "query": "jane",
        "requester": Actor(user_oid="a", name="Alex", tenant_id=TENANT),
        "opened_at": NOW,
        "changed_at": NOW,
        "subject": FakeAccount().user.subject(),
        "block": block,
    }
    return Case(**(values | fields))


def sign_in(at: datetime = NOW, country: str | None = "SE", error_code: int = 0, **fields: Any) -> SignIn:
    values = {"ip_address": "192.0.2.1", "client_app": "Browser", **fields}
    name = f"{at.isoformat()}-{country}-{error_code}-{values['ip_address']}"
    return SignIn(sign_in_id=name, at=at, country=country, error_code=error_code, **values)


def habits(days: int = 12) -> tuple[SignIn, ...]:
    """A sign-in a day from Sweden, the last one a day ago."""
    return tuple(sign_in(NOW - timedelta(days=day)) for day in range(1, days + 1))


def rule(name: str = "Team", number: int = 1, **fields: Any) -> InboxRule:
    values = {"hidden": False, "enabled": True, "priority": number, "from_words": ("news@contoso.com",), **fields}
    return InboxRule(identity=f"{OID}\\{number}", rule_identity=number, name=name, **values)


def grant(app: str = "app-1", *scopes: str, **fields: Any) -> OAuthGrant:
    values = {"consent_type": "Principal", "principal_oid": OID, **fields}
    return OAuthGrant(
        grant_id=f"grant-{app}", client_sp_oid=app, scopes=scopes or ("Mail.Read", "offline_access"), **values
    )


def app(sp_oid: str = "app-1", **fields: Any) -> ServicePrincipal:
    return ServicePrincipal(sp_oid=sp_oid, **({"name": "Mail Merge", "owner_tenant_id": "elsewhere"} | fields))


def audit(activity: str, at: datetime, target: str = OID, **fields: Any) -> AuditEvent:
    values = {"result": "success", "by_oid": OID, **fields}
    return AuditEvent(
        audit_id=f"{activity}-{at}", activity=activity, at=at, targets=(AuditTarget(oid=target),), **values
    )


def outbound(**fields: Any) -> OutboundPolicy:
    values = {
        "name": "Default",
        "is_default": True,
        "action": "BlockUser",
        "recipients_per_day": 500,
        "external_per_hour": 100,
        "internal_per_hour": 200,
        "auto_forwarding_mode": "Off",
    }
    return OutboundPolicy(identity="Default", **(values | fields))


async def look(signal_id: str, account: FakeAccount, case: Case | None = None) -> Finding:
    """What one signal makes of an account. ServiceErrors come through."""
    evidence = Evidence(case or blocked(), account, account, NOW)
    try:
        return await SIGNALS[signal_id](evidence, table().signals[signal_id])
    finally:
        await evidence.close()
