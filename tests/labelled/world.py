"""
One account and everything that Microsoft's services would answer about it, in memory: no tenant and no network.

`World` fulfils the ports of an investigation. It answers as the services do: newest first, cut off at the limit, with
the licences that the tenant has, and with an error where a story says that something cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from services.cases import Actor, Block, BlockKind, Case, CaseState
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
    SecurityAlert,
    ServicePrincipal,
    SignIn,
)
from services.errors import LicenceMissing, NotFound, ServiceError
from services.investigation.ports import Directory, Mailboxes

#: Every read of an investigation, by the names of the ports' methods.
EVERY_READ = tuple(name for port in (Directory, Mailboxes) for name in vars(port) if not name.startswith("_"))
TENANT_ID = "11111111-1111-4111-8111-111111111111"

Row = TypeVar("Row")


@dataclass(frozen=True)
class Licences:
    """What the tenant has bought, as far as it decides what can be read."""

    p1: bool = True
    p2: bool = True
    #: Whether the unified audit log can be searched.
    audit: bool = True
    defender: bool = True


E5 = Licences()
E3 = Licences(p2=False)
BUSINESS_BASIC = Licences(p1=False, p2=False, defender=False)
NONE_AT_ALL = Licences(p1=False, p2=False, audit=False, defender=False)


@dataclass(frozen=True)
class Place:
    """A city, and how far its clocks are ahead of UTC in winter."""

    city: str
    country: str
    latitude: float
    longitude: float
    hours_east: int


@dataclass(frozen=True)
class Address:
    """Where somebody signs in from. Without a place, nobody can say where it is."""

    ip: str
    place: Place | None = None


class World:
    """Fulfils `Directory` and `Mailboxes` for one account. What it answers is filled in by `Account`."""

    def __init__(self, user: DirectoryUser, now: datetime, licences: Licences) -> None:
        self.user, self.now, self.licences = user, now, licences
        self.block = Block(kind=BlockKind.NONE)
        #: Method of a port -> what it raises.
        self.refusals: dict[str, ServiceError] = {}
        self.risky: RiskyUser | None = None
        self.detections: list[RiskDetection] = []
        self.sign_in_log: list[SignIn] = []
        self.background_log: list[SignIn] = []
        #: Sign-ins of other accounts.
        self.neighbours: list[SignIn] = []
        #: Address of an office -> how many other people sign in from there every day.
        self.offices: dict[str, int] = {}
        self.visible_rules: list[MailRule] = []
        self.rules: list[InboxRule] = []
        self.grants: list[OAuthGrant] = []
        self.tenant_grants: list[OAuthGrant] = []
        self.apps: dict[str, ServicePrincipal] = {}
        self.assignments: list[AppAssignment] = []
        self.methods: list[AuthMethod] = []
        self.devices: list[RegisteredDevice] = []
        self.roles: list[DirectoryRole] = []
        self.alert_log: list[SecurityAlert] = []
        self.trace_log: list[MessageTrace] = []
        #: Well-known name of a folder -> what lies in it.
        self.folders: dict[str, list[MailItem]] = {"sentitems": [], "deleteditems": []}
        self.record_log: list[AuditRecord] = []
        self.audit_log: list[AuditEvent] = []
        self.box = Mailbox(upn=user.upn)
        self.cas = CasMailbox(upn=user.upn)
        self.full_access: list[MailboxPermission] = []
        self.send_as: list[SendAsPermission] = []
        self.shared_folders: dict[str, list[FolderPermission]] = {"inbox": [], "calendar": []}
        self.mobiles: list[MobileDevice] = []
        self.messages = MessageConfiguration()

    def case(self) -> Case:
        """The case in which the account is looked at."""
        return Case(
            case_id="C1",
            tenant_id=TENANT_ID,
            state=CaseState.INVESTIGATING,
            query=self.user.upn,
            requester=Actor(user_oid="the-admin", name="Alex", tenant_id=TENANT_ID),
            opened_at=self.now,
            changed_at=self.now,
            subject=self.user.subject(),
            block=self.block,
        )

    def _readable(self, method: str, licensed: bool = True) -> None:
        if method in self.refusals:
            raise self.refusals[method]
        if not licensed:
            raise LicenceMissing("graph")

    # Graph

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        self._readable("get_user")
        return self.user

    async def risky_user(self, oid: str) -> RiskyUser | None:
        self._readable("risky_user", self.licences.p2)
        return self.risky

    async def risk_detections(self, oid: str) -> tuple[RiskDetection, ...]:
        self._readable("risk_detections", self.licences.p2)
        return tuple(self.detections)

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        self._readable("sign_ins", self.licences.p1)
        return _newest([self._as_licensed(one) for one in self.sign_in_log], since, limit)

    async def background_sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        self._readable("background_sign_ins", self.licences.p1)
        return _newest(self.background_log, since, limit)

    async def sign_ins_from(self, ip_address: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        self._readable("sign_ins_from", self.licences.p1)
        everybody = [*self.sign_in_log, *self.neighbours, *self._colleagues(ip_address)]
        return _newest([one for one in everybody if one.ip_address == ip_address], since, limit)

    async def message_rules(self, oid: str) -> tuple[MailRule, ...]:
        self._readable("message_rules")
        return tuple(self.visible_rules)

    async def oauth_grants(self, oid: str) -> tuple[OAuthGrant, ...]:
        self._readable("oauth_grants")
        return tuple(self.grants)

    async def oauth_grants_for_everyone(self) -> tuple[OAuthGrant, ...]:
        self._readable("oauth_grants_for_everyone")
        return tuple(self.tenant_grants)

    async def service_principal(self, sp_oid: str) -> ServicePrincipal:
        self._readable("service_principal")
        if sp_oid not in self.apps:
            raise NotFound("graph")
        return self.apps[sp_oid]

    async def app_assignments(self, oid: str) -> tuple[AppAssignment, ...]:
        self._readable("app_assignments")
        return tuple(self.assignments)

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]:
        self._readable("auth_methods")
        return tuple(self.methods)

    async def registered_devices(self, oid: str) -> tuple[RegisteredDevice, ...]:
        self._readable("registered_devices")
        return tuple(self.devices)

    async def directory_roles(self, oid: str) -> tuple[DirectoryRole, ...]:
        self._readable("directory_roles")
        return tuple(self.roles)

    async def alerts(
        self, *, since: datetime, service_source: str | None = None, limit: int = 200
    ) -> tuple[SecurityAlert, ...]:
        self._readable("alerts", self.licences.defender)
        of_source = [a for a in self.alert_log if service_source in (None, a.service_source)]
        return _newest(of_source, since, limit, lambda alert: alert.created_at)

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[MessageTrace, ...]:
        self._readable("message_traces")
        sender = sender_address.casefold()
        sent = [t for t in self.trace_log if (t.sender_address or "").casefold() == sender and _before(t, until)]
        return _newest(sent, since, limit, lambda trace: trace.received_at)

    async def mail_items(self, oid: str, folder: str, since: datetime, limit: int = 200) -> tuple[MailItem, ...]:
        self._readable("mail_items")
        items = self.folders.get(folder.casefold().replace(" ", ""))
        if items is None:
            raise NotFound("graph")
        return _newest(items, since, limit, lambda item: item.sent_at or item.received_at)

    async def audit_records(
        self, upn: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[AuditRecord, ...]:
        self._readable("audit_records", self.licences.audit)
        return _newest(self.record_log, since, limit)

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> tuple[AuditEvent, ...]:
        """Without a premium licence the log is kept for seven days."""
        self._readable("directory_audits")
        kept_since = since if self.licences.p1 else max(since, self.now - timedelta(days=7))
        of_kind = [event for event in self.audit_log if activity in (None, event.activity)]
        about = [e for e in of_kind if oid is None or any(target.oid == oid for target in e.targets)]
        return _newest(about, kept_since, limit)

    # Exchange

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]:
        self._readable("inbox_rules")
        return tuple(self.rules)

    async def mailbox(self, upn: str) -> Mailbox:
        self._readable("mailbox")
        return self.box

    async def cas_mailbox(self, upn: str) -> CasMailbox:
        self._readable("cas_mailbox")
        return self.cas

    async def mailbox_permissions(self, upn: str) -> tuple[MailboxPermission, ...]:
        self._readable("mailbox_permissions")
        return tuple(self.full_access)

    async def send_as_permissions(self, upn: str) -> tuple[SendAsPermission, ...]:
        self._readable("send_as_permissions")
        return tuple(self.send_as)

    async def folder_permissions(self, upn: str, folder: str) -> tuple[FolderPermission, ...]:
        self._readable("folder_permissions")
        name = folder.strip("\\").casefold()
        if name not in self.shared_folders:
            raise NotFound("exchange")
        return tuple(self.shared_folders[name])

    async def mobile_devices(self, upn: str) -> tuple[MobileDevice, ...]:
        self._readable("mobile_devices")
        return tuple(self.mobiles)

    async def message_configuration(self, upn: str) -> MessageConfiguration:
        self._readable("message_configuration")
        return self.messages

    # What the services make of it

    def _as_licensed(self, one: SignIn) -> SignIn:
        """Without Entra ID P2 a sign-in's risk is there, and hidden."""
        if self.licences.p2:
            return one
        return one.model_copy(update={"risk_level": "hidden", "risk_level_aggregated": "hidden", "risk_events": ()})

    def _colleagues(self, ip_address: str) -> Iterable[SignIn]:
        """Those who sign in from the same office: each of them every morning of the last two weeks."""
        for number in range(self.offices.get(ip_address, 0)):
            for day in range(14):
                at = self.now - timedelta(days=day, minutes=7 * number)
                yield somebody_else(f"colleague{number}", ip_address, at, day=day)


def somebody_else(name: str, ip_address: str, at: datetime, error_code: int = 0, day: int = 0) -> SignIn:
    """A sign-in of another account of the tenant."""
    return SignIn(
        sign_in_id=f"{name}-{ip_address}-{day}",
        at=at,
        user_oid=f"oid-of-{name}",
        upn=f"{name}@contoso.com",
        ip_address=ip_address,
        client_app="Browser",
        error_code=error_code,
        is_interactive=True,
    )


def _before(trace: MessageTrace, until: datetime) -> bool:
    return trace.received_at is not None and trace.received_at <= until


def _newest(rows: Sequence[Row], since: datetime, limit: int, at: Any = lambda row: row.at) -> tuple[Row, ...]:
    """The newest rows since then, as many as were asked for."""
    never = datetime(1, 1, 1, tzinfo=UTC)
    recent = [row for row in rows if (at(row) or never) >= since]
    return tuple(sorted(recent, key=at, reverse=True)[:limit])
