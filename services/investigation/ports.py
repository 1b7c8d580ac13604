"""What an investigation asks of the outside, named by role. Fulfilled by `GraphClient` and `ExchangeClient`."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from services.clients.exchange_models import InboxRule, Mailbox
from services.clients.graph_models import (
    AuditEvent,
    AuthMethod,
    DirectoryUser,
    MailRule,
    OAuthGrant,
    RiskDetection,
    RiskyUser,
    ServicePrincipal,
    SignIn,
)


class Directory(Protocol):
    """The account and what has happened to it. Every method may raise any ServiceError."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def risky_user(self, oid: str) -> RiskyUser | None: ...

    async def risk_detections(self, oid: str) -> tuple[RiskDetection, ...]: ...

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]: ...

    async def message_rules(self, oid: str) -> tuple[MailRule, ...]: ...

    async def oauth_grants(self, oid: str) -> tuple[OAuthGrant, ...]: ...

    async def oauth_grants_for_everyone(self) -> tuple[OAuthGrant, ...]: ...

    async def service_principal(self, sp_oid: str) -> ServicePrincipal: ...

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]: ...

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> tuple[AuditEvent, ...]: ...


class Mailboxes(Protocol):
    """The mailbox of the account. Every method may raise any ServiceError."""

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]: ...

    async def mailbox(self, upn: str) -> Mailbox: ...
