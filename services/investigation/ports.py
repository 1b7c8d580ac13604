"""What an investigation asks of the outside, named by role. Fulfilled by `GraphClient` and `ExchangeClient`."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.clients.exchange_models import (
    CasMailbox,
    FolderPermission,
    InboxRule,
    Mailbox,
    MailboxPermission,
    MessageConfiguration,
    MobileDevice,
    SendAsPermission,
)
from services.clients.graph_models import (
    AppAssignment,
    AuditEvent,
    AuditRecord,
    AuthMethod,
    DirectoryRole,
    DirectoryUser,
    MailItem,
    MailRule,
    MessageTrace,
    OAuthGrant,
    RegisteredDevice,
    RiskDetection,
    RiskyUser,
    SecureScore,
    SecurityAlert,
    ServicePrincipal,
    SignIn,
)


class Directory(Protocol):
    """The account and what has happened to it. Every method may raise any ServiceError."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def risky_user(self, oid: str) -> RiskyUser | None: ...

    async def risk_detections(self, oid: str) -> tuple[RiskDetection, ...]: ...

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]: ...

    async def background_sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]: ...

    async def sign_ins_from(self, ip_address: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]: ...

    async def message_rules(self, oid: str) -> tuple[MailRule, ...]: ...

    async def oauth_grants(self, oid: str) -> tuple[OAuthGrant, ...]: ...

    async def oauth_grants_for_everyone(self) -> tuple[OAuthGrant, ...]: ...

    async def service_principal(self, sp_oid: str) -> ServicePrincipal: ...

    async def app_assignments(self, oid: str) -> tuple[AppAssignment, ...]: ...

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]: ...

    async def registered_devices(self, oid: str) -> tuple[RegisteredDevice, ...]: ...

    async def directory_roles(self, oid: str) -> tuple[DirectoryRole, ...]: ...

    async def alerts(
        self, *, since: datetime, service_source: str | None = None, limit: int = 200
    ) -> tuple[SecurityAlert, ...]: ...

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[MessageTrace, ...]: ...

    async def mail_items(self, oid: str, folder: str, since: datetime, limit: int = 200) -> tuple[MailItem, ...]: ...

    async def audit_records(
        self, upn: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[AuditRecord, ...]: ...

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> tuple[AuditEvent, ...]: ...

    async def secure_scores(self, limit: int) -> tuple[SecureScore, ...]: ...


class Mailboxes(Protocol):
    """The mailbox of the account. Every method may raise any ServiceError."""

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]: ...

    async def mailbox(self, upn: str) -> Mailbox: ...

    async def cas_mailbox(self, upn: str) -> CasMailbox: ...

    async def mailbox_permissions(self, upn: str) -> tuple[MailboxPermission, ...]: ...

    async def send_as_permissions(self, upn: str) -> tuple[SendAsPermission, ...]: ...

    async def folder_permissions(self, upn: str, folder: str) -> tuple[FolderPermission, ...]: ...

    async def mobile_devices(self, upn: str) -> tuple[MobileDevice, ...]: ...

    async def message_configuration(self, upn: str) -> MessageConfiguration: ...
