"""One account with its mailbox, as the signals and the containment see it, from memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from services.cases import Actor, Block, BlockKind, Case, CaseState, Finding
from services.clients.exchange_models import (
    CasMailbox,
    FolderPermission,
    Forwarding,
    InboxRule,
    Mailbox,
    MailboxPermission,
    MessageConfiguration,
    OrganizationConfig,
    OutboundPolicy,
    SendAsPermission,
)
from services.clients.graph_models import (
    AlertUser,
    AppAssignment,
    AuditEvent,
    AuditRecord,
    AuditTarget,
    AuthMethod,
    CaPolicy,
    DirectoryRole,
    DirectoryUser,
    Domain,
    MailItem,
    MessageTrace,
    MfaRegistration,
    OAuthGrant,
    RiskyUser,
    SecureScore,
    SecurityAlert,
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
#: From where nobody of the organisation signs in.
STRANGER_IP = "203.0.113.9"


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
            account_enabled=True,
            password_changed_at=NOW - timedelta(days=60),
            sessions_valid_from=NOW - timedelta(days=60),
        )
        self.risky: Any = None
        self.detections: Any = ()
        #: Other people of the directory, by the name under which they are asked for.
        self.people: dict[str, Any] = {}
        self.sign_in_log: Any = habits()
        self.background_log: Any = habits()
        #: Address -> everybody's sign-ins from there.
        self.address_log: dict[str, Any] = {}
        self.visible_rules: Any = ()
        self.grants: Any = ()
        self.tenant_grants: Any = ()
        self.apps: dict[str, Any] = {}
        self.assignments: Any = ()
        self.devices: Any = ()
        self.methods: Any = (AuthMethod(method_id="1", kind="password"),)
        self.audit_log: Any = ()
        self.rules: Any = ()
        self.box: Any = Mailbox(upn=UPN, audit_enabled=True)
        self.protocols: Any = CasMailbox(
            upn=UPN, pop=False, imap=False, ews=False, activesync=False, smtp_auth_disabled=True
        )
        self.mailbox_rights: Any = ()
        self.send_as_rights: Any = ()
        self.folder_rights: dict[str, Any] = {"Inbox": (), "Calendar": ()}
        self.partnerships: Any = ()
        self.trace_log: Any = sent("megan@contoso.com")
        self.folders: dict[str, Any] = {"sentitems": (copy_of("megan@contoso.com"),), "deleteditems": ()}
        self.records: Any = (record("Send"),)
        somebody_else = (AlertUser(oid="other"),)
        self.alert_log: Any = (
            SecurityAlert(alert_id="1", title="Of somebody else", users=somebody_else),
            SecurityAlert(
                alert_id="2", title="User restricted from sending email", users=somebody_else, created_at=NOW
            ),
        )
        self.signature: Any = MessageConfiguration(signature_text="Jane Doe, Contoso")
        self.roles: Any = ()
        self.mfa: Any = MfaRegistration(user_oid=OID, is_mfa_registered=True)
        self.defaults_on: Any = True
        self.policies: Any = (
            CaPolicy(
                policy_id="r",
                state="enabled",
                include_users=("All",),
                include_applications=("All",),
                sign_in_risk_levels=("high",),
                grant_controls=("mfa",),
            ),
        )
        self.admins: Any = (MfaRegistration(user_oid="admin", is_admin=True, is_mfa_registered=True),)
        self.holders: Any = ("admin", "another admin")
        self.controls: Any = ()
        self.organisation_smtp_auth_off: Any = True
        #: Whether nothing that the account does is recorded.
        self.bypassed: Any = False
        #: Anybody's sign-ins without a second factor.
        self.legacy_log: Any = ()
        self.synced: Any = False
        self.domain_list: Any = (Domain(name="contoso.com", authentication="Managed"),)
        self.score: Any = SecureScore(current=80, maximum=100)
        #: The history of it, newest first.
        self.scores: Any = (SecureScore(at=NOW, current=80, maximum=100),)
        self.outbound: Any = (outbound(),)
        self.unified_audit: Any = True
        self.organisation: Any = OrganizationConfig(audit_disabled=False)
        self.outbound_rule_list: Any = ()
        #: Mailboxes of the organisation that forward.
        self.forwarding: Any = ()
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
        return await self._answer("get_user", self.people.get(id_or_upn, self.user))

    async def risky_user(self, oid: str) -> Any:
        return await self._answer("risky_user", self.risky)

    async def risk_detections(self, oid: str) -> Any:
        return await self._answer("risk_detections", self.detections)

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> Any:
        return await self._answer("sign_ins", self.sign_in_log)

    async def background_sign_ins(self, oid: str, since: datetime, limit: int = 200) -> Any:
        return await self._answer("background_sign_ins", self.background_log)

    async def sign_ins_from(self, ip_address: str, since: datetime, limit: int = 200) -> Any:
        return await self._answer("sign_ins_from", self.address_log.get(ip_address, ()))

    async def message_rules(self, oid: str) -> Any:
        return await self._answer("message_rules", self.visible_rules)

    async def oauth_grants(self, oid: str) -> Any:
        return await self._answer("oauth_grants", self.grants)

    async def oauth_grants_for_everyone(self) -> Any:
        return await self._answer("oauth_grants_for_everyone", self.tenant_grants)

    async def service_principal(self, sp_oid: str) -> Any:
        return await self._answer("service_principal", self.apps.get(sp_oid, NotFound("graph")))

    async def app_assignments(self, oid: str) -> Any:
        return await self._answer("app_assignments", self.assignments)

    async def registered_devices(self, oid: str) -> Any:
        return await self._answer("registered_devices", self.devices)

    async def auth_methods(self, oid: str) -> Any:
        return await self._answer("auth_methods", self.methods)

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> Any:
        log = await self._answer("directory_audits", self.audit_log)
        of_kind = [event for event in log if activity is None or event.activity == activity]
        return tuple(e for e in of_kind if oid is None or any(target.oid == oid for target in e.targets))

    async def message_traces(self, sender_address: str, *, since: datetime, until: datetime, limit: int = 1000) -> Any:
        return await self._answer("message_traces", self.trace_log)

    async def mail_items(self, oid: str, folder: str, since: datetime, limit: int = 200) -> Any:
        return await self._answer("mail_items", self.folders[folder])

    async def audit_records(self, upn: str, *, since: datetime, until: datetime, limit: int = 1000) -> Any:
        return await self._answer("audit_records", self.records)

    async def alerts(self, *, since: datetime, service_source: str | None = None, limit: int = 200) -> Any:
        return await self._answer("alerts", self.alert_log)

    async def directory_roles(self, oid: str) -> Any:
        return await self._answer("directory_roles", self.roles)

    async def revoke_sessions(self, oid: str) -> None:
        await self._answer("revoke_sessions", None)
        self.user = self.user.model_copy(update={"sessions_valid_from": NOW})

    async def reset_password(self, oid: str, password: SecretStr, *, force_change: bool = True) -> None:
        self.passwords.append(password)
        await self._answer("reset_password", None)
        self.user = self.user.model_copy(update={"password_changed_at": NOW})

    async def set_sign_in(self, oid: str, enabled: bool) -> None:
        await self._answer("set_sign_in", None)
        self.user = self.user.model_copy(update={"account_enabled": enabled})

    async def remove_auth_method(self, oid: str, kind: str, method_id: str) -> None:
        await self._answer("remove_auth_method", None)
        self.methods = tuple(method for method in self.methods if method.method_id != method_id)

    async def remove_role(self, assignment_id: str) -> None:
        await self._answer("remove_role", None)
        self.roles = tuple(role for role in self.roles if role.assignment_id != assignment_id)

    async def add_role(self, oid: str, role_id: str, scope: str = "/") -> None:
        await self._answer("add_role", None)
        self.roles = (*self.roles, DirectoryRole(assignment_id=self._new_id(), role_id=role_id, scope=scope))

    async def restore_grant(self, grant: OAuthGrant) -> None:
        await self._answer("restore_grant", None)
        self.grants = (*self.grants, grant.model_copy(update={"grant_id": self._new_id()}))

    async def remove_app_assignment(self, oid: str, assignment_id: str) -> None:
        await self._answer("remove_app_assignment", None)
        self.assignments = tuple(a for a in self.assignments if a.assignment_id != assignment_id)

    async def restore_app_assignment(self, oid: str, app_sp_oid: str, app_role_id: str) -> None:
        await self._answer("restore_app_assignment", None)
        given = AppAssignment(assignment_id=self._new_id(), app_sp_oid=app_sp_oid, app_role_id=app_role_id)
        self.assignments = (*self.assignments, given)

    async def confirm_compromised(self, oid: str) -> None:
        await self._answer("confirm_compromised", None)
        self.risky = RiskyUser(user_oid=OID, risk_level="high", risk_state="confirmedCompromised")

    def _new_id(self) -> str:
        """What is put back gets an id of its own."""
        return f"new-{sum(self.calls.values())}"

    async def enable_message_rule(self, oid: str, rule_id: str) -> None:
        await self._answer("enable_message_rule", None)
        self.rules = _set(self.rules, True, graph_rule_id=rule_id)
        self.visible_rules = _set(self.visible_rules, True, rule_id=rule_id)

    async def disable_message_rule(self, oid: str, rule_id: str) -> None:
        await self._answer("disable_message_rule", None)
        self.rules = _set(self.rules, False, graph_rule_id=rule_id)
        self.visible_rules = _set(self.visible_rules, False, rule_id=rule_id)

    async def revoke_grant(self, grant_id: str) -> None:
        await self._answer("revoke_grant", None)
        self.grants = tuple(grant for grant in self.grants if grant.grant_id != grant_id)

    async def registration(self, oid: str) -> Any:
        return await self._answer("registration", self.mfa)

    async def admin_registrations(self) -> Any:
        return await self._answer("admin_registrations", self.admins)

    async def role_holders(self, role_id: str) -> Any:
        return await self._answer("role_holders", self.holders)

    async def legacy_sign_ins(self, since: datetime, limit: int = 200) -> Any:
        return await self._answer("legacy_sign_ins", self.legacy_log)

    async def is_synced(self) -> Any:
        return await self._answer("is_synced", self.synced)

    async def domains(self) -> Any:
        return await self._answer("domains", self.domain_list)

    async def audit_bypassed(self, upn: str) -> Any:
        return await self._answer("audit_bypassed", self.bypassed)

    async def secure_score_controls(self) -> Any:
        return await self._answer("secure_score_controls", self.controls)

    async def smtp_auth_off(self) -> Any:
        return await self._answer("smtp_auth_off", self.organisation_smtp_auth_off)

    async def security_defaults_on(self) -> Any:
        return await self._answer("security_defaults_on", self.defaults_on)

    async def conditional_access_policies(self) -> Any:
        return await self._answer("conditional_access_policies", self.policies)

    async def secure_score(self) -> Any:
        return await self._answer("secure_score", self.score)

    async def secure_scores(self, limit: int) -> Any:
        return await self._answer("secure_scores", self.scores)

    # Exchange

    async def inbox_rules(self, upn: str) -> Any:
        return await self._answer("inbox_rules", self.rules)

    async def disable_inbox_rule(self, upn: str, rule_identity: int | str) -> None:
        await self._answer("disable_inbox_rule", None)
        self.rules = _set(self.rules, False, identity=rule_identity)

    async def mailbox(self, upn: str) -> Any:
        return await self._answer("mailbox", self.box)

    async def message_configuration(self, upn: str) -> Any:
        return await self._answer("message_configuration", self.signature)

    async def cas_mailbox(self, upn: str) -> Any:
        return await self._answer("cas_mailbox", self.protocols)

    async def mailbox_permissions(self, upn: str) -> Any:
        return await self._answer("mailbox_permissions", self.mailbox_rights)

    async def send_as_permissions(self, upn: str) -> Any:
        return await self._answer("send_as_permissions", self.send_as_rights)

    async def folder_permissions(self, upn: str, folder: str) -> Any:
        return await self._answer("folder_permissions", self.folder_rights[folder])

    async def mobile_devices(self, upn: str) -> Any:
        return await self._answer("mobile_devices", self.partnerships)

    async def enable_inbox_rule(self, upn: str, rule_identity: int | str) -> None:
        await self._answer("enable_inbox_rule", None)
        self.rules = _set(self.rules, True, identity=rule_identity)

    async def set_forwarding(self, upn: str, before: Forwarding) -> None:
        await self._answer("set_forwarding", None)
        self.box = self.box.model_copy(update={"forwarding": before})

    async def set_protocols(self, upn: str, protocols: Mapping[str, bool | None]) -> None:
        await self._answer("set_protocols", None)
        self.protocols = self.protocols.model_copy(update=dict(protocols))

    async def remove_mailbox_permission(self, upn: str, user: str, rights: Sequence[str]) -> None:
        await self._answer("remove_mailbox_permission", None)
        self.mailbox_rights = tuple(p for p in self.mailbox_rights if p.user != user)

    async def add_mailbox_permission(self, upn: str, user: str, rights: Sequence[str]) -> None:
        await self._answer("add_mailbox_permission", None)
        self.mailbox_rights = (*self.mailbox_rights, MailboxPermission(user=user, rights=tuple(rights)))

    async def remove_send_as(self, upn: str, trustee: str) -> None:
        await self._answer("remove_send_as", None)
        self.send_as_rights = tuple(p for p in self.send_as_rights if p.trustee != trustee)

    async def add_send_as(self, upn: str, trustee: str) -> None:
        await self._answer("add_send_as", None)
        allowed = SendAsPermission(trustee=trustee, rights=("SendAs",), control_type="Allow")
        self.send_as_rights = (*self.send_as_rights, allowed)

    async def set_send_on_behalf(self, upn: str, names: Sequence[str]) -> None:
        await self._answer("set_send_on_behalf", None)
        self.box = self.box.model_copy(update={"send_on_behalf": tuple(names)})

    async def remove_folder_permission(self, upn: str, folder: str, user: str, rights: Sequence[str]) -> None:
        await self._answer("remove_folder_permission", None)
        self.folder_rights[folder] = tuple(p for p in self.folder_rights[folder] if p.user != user)

    async def add_folder_permission(self, upn: str, folder: str, user: str, rights: Sequence[str]) -> None:
        await self._answer("add_folder_permission", None)
        given = FolderPermission(folder=folder, user=user, rights=tuple(rights))
        self.folder_rights[folder] = (*self.folder_rights[folder], given)

    async def clear_forwarding(self, upn: str) -> None:
        await self._answer("clear_forwarding", None)
        self.box = self.box.model_copy(update={"forwarding": Forwarding()})

    async def outbound_policies(self) -> Any:
        return await self._answer("outbound_policies", self.outbound)

    async def audit_config(self) -> Any:
        return await self._answer("audit_config", self.unified_audit)

    async def organization_config(self) -> Any:
        return await self._answer("organization_config", self.organisation)

    async def outbound_rules(self) -> Any:
        return await self._answer("outbound_rules", self.outbound_rule_list)

    async def set_auto_forwarding(self, policy: str, mode: str) -> None:
        await self._answer("set_auto_forwarding", None)
        changed = {"auto_forwarding_mode": mode}
        self.outbound = tuple(p.model_copy(update=changed) if p.identity == policy else p for p in self.outbound)

    async def set_organization_audit(self, enabled: bool) -> None:
        await self._answer("set_organization_audit", None)
        self.organisation = self.organisation.model_copy(update={"audit_disabled": not enabled})

    async def set_mailbox_audit(self, upn: str, enabled: bool) -> None:
        await self._answer("set_mailbox_audit", None)
        self.box = self.box.model_copy(update={"audit_enabled": enabled})

    async def forwarding_mailboxes(self) -> Any:
        return await self._answer("forwarding_mailboxes", self.forwarding)


def _set(rules: Any, enabled: bool, **which: Any) -> Any:
    """The rules, with the one of that id switched; anything else, such as an error to be raised, as it is."""
    if not isinstance(rules, tuple):
        return rules
    ((field, value),) = which.items()
    return tuple(r.model_copy(update={"enabled": enabled}) if getattr(r, field) == value else r for r in rules)


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


def sent(
    *recipients: str, at: datetime = NOW - timedelta(hours=2), subject: str = "Lunch", **fields: Any
) -> tuple[MessageTrace, ...]:
    """The rows of the message trace for one message."""
    values = {"message_id": f"<{subject}-{at.isoformat()}@contoso.com>", "status": "delivered", **fields}
    return tuple(
        MessageTrace(recipient_address=address, received_at=at, subject=subject, **values) for address in recipients
    )


def strangers_sign_in(risk_level: str | None = "high") -> tuple[SignIn, ...]:
    """Habits, and then somebody from a country and an address that are new for this account, and risky unless told."""
    stranger = sign_in(NOW - timedelta(hours=3), "NG", ip_address=STRANGER_IP, risk_level=risk_level)
    return (stranger, *habits())


def copy_of(
    *recipients: str, at: datetime = NOW - timedelta(hours=2), subject: str = "Lunch", **fields: Any
) -> MailItem:
    """The copy that Outlook saves of what `sent` gives."""
    message_id = f"<{subject}-{at.isoformat()}@contoso.com>"
    values = {"internet_message_id": message_id, "sender_address": UPN, "sent_at": at, "recipients": recipients}
    return MailItem(item_id=message_id, subject=subject, **(values | fields))


def record(operation: str, at: datetime = NOW - timedelta(hours=2), number: int = 0, **fields: Any) -> AuditRecord:
    """An entry of the unified audit log; what has no column of its own goes into `data`."""
    columns = {"user_upn": UPN, "ip_address": "192.0.2.1", "object_id": UPN}
    named = {name: fields.pop(name) for name in tuple(fields) if name in columns}
    record_id = f"{operation}-{at.isoformat()}-{number}"
    return AuditRecord(record_id=record_id, operation=operation, at=at, data=fields, **(columns | named))


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
    return OutboundPolicy(**({"identity": fields.get("name", "Default")} | values | fields))


async def look(signal_id: str, account: FakeAccount, case: Case | None = None) -> Finding:
    """What one signal makes of an account. ServiceErrors come through."""
    evidence = Evidence(case or blocked(), account, account, NOW)
    try:
        return await SIGNALS[signal_id](evidence, table().signals[signal_id])
    finally:
        await evidence.close()
