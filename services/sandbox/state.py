"""What the sandbox tenant holds: small dataclasses, one clock, and the changes that come due by themselves."""

import base64
import hashlib
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from services.sandbox.journal import Journal
from services.sandbox.misbehave import Faults
from services.sandbox.on_call import OnCallPlans

GRAPH = "https://graph.microsoft.com"
EXCHANGE = "https://outlook.office365.com"
COMPLIANCE = "https://ps.compliance.protection.outlook.com"
BOT_FRAMEWORK = "https://api.botframework.com"

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
EXCHANGE_ADMINISTRATOR = "29232cdf-9323-42fd-ade2-1d097af3e4de"
#: Ids and names of directory roles; Microsoft's own roles have the same ids in every tenant.
ROLE_NAMES = {
    GLOBAL_ADMINISTRATOR: "Global Administrator",
    EXCHANGE_ADMINISTRATOR: "Exchange Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
    "fe930be7-5e62-47db-91af-98c3a49a38b1": "User Administrator",
}
#: The role of an assignment that gives access to an application and nothing more.
DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"


class Clock:
    """The tenant's clock: real time, plus whatever a test has pushed it ahead. Tokens live by real time alone."""

    def __init__(self, source: Callable[[], datetime] | None = None) -> None:
        self._source = source or (lambda: datetime.now(UTC))
        self._ahead = timedelta()

    def now(self) -> datetime:
        """The time in this tenant, aware UTC."""
        return self._source() + self._ahead

    def advance(self, seconds: float) -> None:
        """Push the clock ahead."""
        self._ahead += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Back to real time."""
        self._ahead = timedelta()


@dataclass
class AppRegistration:
    """The bot's app registration. `certificates` are DER bytes; `roles` are app permissions per resource."""

    app_id: str
    secret: str
    roles: dict[str, set[str]]
    certificates: list[bytes] = field(default_factory=list)
    #: The Entra role of the app's service principal, which decides what Exchange lets it do.
    exchange_role: str = "Exchange Administrator"
    #: A privileged Entra role on the app; without one, administrators cannot be changed through Graph.
    may_change_admins: bool = False
    #: Where people who signed in may be sent back to, and which optional claims their id tokens bear.
    redirect_uris: list[str] = field(default_factory=list)
    id_token_claims: list[str] = field(default_factory=list)
    #: For how many days the secret is still good; a number below 0 is only shown, the secret works on.
    secret_days: float = 365.0


@dataclass
class Licences:
    """What the tenant has paid for, and one thing it must have set up (`message_trace`)."""

    p1: bool = True
    p2: bool = True
    defender: bool = True
    purview_audit: bool = True
    message_trace: bool = True


@dataclass
class Switches:
    """How the tenant behaves where Microsoft leaves it open or lets it vary. Times count on the tenant's clock."""

    #: How long a removed entry still shows on the restricted list.
    unblock_delay_s: float = 0.0
    #: For how long after that mail of the account is still refused.
    sending_delay_s: float = 60.0
    #: Whether an unblocked account sends mail by itself: once while it is refused, then some every minute.
    mail_after_unblock: bool = False
    #: The user principal name of an account that then also sends a mailing to many.
    burst_after_unblock: str = ""
    #: How long it takes until the message trace shows a message.
    trace_delay_s: float = 0.0
    #: How long it takes until Graph shows an alert, which is dated as if it had been there all the time.
    alert_delay_s: float = 0.0
    #: For how long an event joins an older alert of the same title; Microsoft says a minute or 15, by licence.
    alert_aggregation_s: float = 0.0
    #: How long a change to a mailbox takes to show when read.
    mailbox_delay_s: float = 0.0
    #: How long a change to an outbound spam policy or to a setting of the organisation takes to show when read.
    organisation_delay_s: float = 0.0
    #: Unblocks left before Microsoft Support has to be called.
    remaining_unblocks: int = 10
    #: Whether removing an address that is not on the list is an error (unknown of the real service).
    unblock_of_unlisted_fails: bool = True
    #: Whether an entry that ends by itself can be removed; if not, the cmdlet succeeds and the entry stays.
    temporary_block_removable: bool = False
    #: How often a unified audit query must be read before it has succeeded.
    audit_query_polls: int = 2
    #: Whether every Graph collection begins with an empty page that has a next page.
    empty_first_page: bool = False
    #: Whether Graph and Exchange limit the request rate.
    throttling: bool = True
    #: Whether Get-ProtectionAlert also answers outside Security & Compliance.
    protection_alert_on_exchange: bool = False
    #: Artificial time per request, in real seconds, to see what runs at once.
    latency_s: float = 0.0
    #: Life of an access token, in real seconds.
    token_lifetime_s: int = 3599
    #: Who sits at the browser that signs in, by user principal name; "" shows everybody to choose from.
    browser_user: str = ""
    #: How long ago this person has signed in, whatever the app asked for; 0 lets Entra do what it is asked.
    sign_in_age_s: float = 0.0
    #: The authentication contexts of Conditional Access that a sign-in satisfies when it is asked to.
    auth_contexts: tuple[str, ...] = ("c1",)
    #: Whether a Temporary Access Pass may be created.
    temporary_access_pass: bool = True


@dataclass
class AuthMethod:
    """One sign-in method. `kind` is Graph's type without `AuthenticationMethod`; `extra` holds its further fields."""

    method_id: str
    kind: str
    created_at: datetime | None = None
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass
class MailFolder:
    """A folder, named in the language of the mailbox. `well_known` is empty for folders Graph knows no name for."""

    key: str
    name: str
    folder_id: str
    well_known: str = ""
    items: int = 0


@dataclass
class InboxRule:
    """One inbox rule; `rule_identity` is an unsigned 64-bit number. Addresses are (name, address); folders are keys."""

    rule_identity: int
    name: str
    sequence: int
    enabled: bool = True
    hidden: bool = False
    read_only: bool = False
    has_error: bool = False
    subject_contains: list[str] = field(default_factory=list)
    from_contains: list[str] = field(default_factory=list)
    forward_to: list[tuple[str, str]] = field(default_factory=list)
    redirect_to: list[tuple[str, str]] = field(default_factory=list)
    forward_as_attachment_to: list[tuple[str, str]] = field(default_factory=list)
    move_to: str = ""
    delete: bool = False
    mark_read: bool = False
    stop: bool = False

    @property
    def graph_id(self) -> str:
        """The id Graph gives this rule: base64 of the eight little-endian bytes (an inference from observed ids)."""
        return base64.b64encode(self.rule_identity.to_bytes(8, "little")).decode()


@dataclass
class Message:
    """One message in a mail folder."""

    message_id: str
    at: datetime
    subject: str
    recipients: list[str]
    body: str = ""
    cc: list[str] = field(default_factory=list)
    bcc: list[str] = field(default_factory=list)
    #: The Message-ID of the mail itself, the same here and in the message trace; empty: one of its own.
    internet_id: str = ""


@dataclass
class Mailbox:
    """One hosted mailbox and all that hangs on it."""

    guid: str
    alias: str
    kind: str = "UserMailbox"
    language: str = "en-US"
    folders: list[MailFolder] = field(default_factory=list)
    messages: dict[str, list[Message]] = field(default_factory=dict)
    rules: list[InboxRule] = field(default_factory=list)
    forwarding_smtp: str = ""
    forwarding_address: str = ""
    deliver_and_forward: bool = False
    audit_enabled: bool = True
    #: Nothing that the owner does is recorded, here or in other mailboxes.
    audit_bypass: bool = False
    protocols: dict[str, bool] = field(default_factory=dict)
    #: None leaves authenticated SMTP to the setting of the organisation.
    smtp_auth_disabled: bool | None = None
    #: (user, rights, denied) of mailbox permissions.
    permissions: list[tuple[str, list[str], bool]] = field(default_factory=list)
    #: (trustee) of SendAs permissions.
    send_as: list[str] = field(default_factory=list)
    #: Display names of those who may send on behalf of it.
    send_on_behalf: list[str] = field(default_factory=list)
    #: Key of a folder -> [(user, rights)]; people by display name, "Default" and "Anonymous" for everybody.
    folder_permissions: dict[str, list[tuple[str, list[str]]]] = field(default_factory=dict)
    signature: str = ""
    roaming_signatures: bool = False
    devices: list[dict[str, Any]] = field(default_factory=list)
    #: Rules that live in Outlook on somebody's computer; Exchange cmdlets that touch rules delete them.
    client_side_rules: int = 0
    client_side_rules_deleted: bool = False
    auto_reply: str = "disabled"

    def folder(self, key_or_id: str) -> MailFolder | None:
        """The folder of this key, well-known name (any case) or id."""
        wanted = key_or_id.lower()
        for folder in self.folders:
            if key_or_id == folder.folder_id or wanted in (folder.key, folder.well_known):
                return folder
        return None

    def rule(self, graph_id: str) -> InboxRule | None:
        """The visible rule with this Graph id."""
        return next((rule for rule in self.rules if rule.graph_id == graph_id and not rule.hidden), None)


@dataclass
class RegisteredDevice:
    """A device in the directory that somebody has registered or joined."""

    oid: str
    name: str
    system: str
    registered_at: datetime
    trust_type: str = "Workplace"
    managed: bool | None = None
    compliant: bool | None = None


@dataclass
class Person:
    """An account of the tenant. Times are aware UTC; `proxy_addresses` start with `SMTP:` (primary) or `smtp:`."""

    oid: str
    upn: str
    display_name: str
    given_name: str = ""
    surname: str = ""
    mail: str | None = None
    proxy_addresses: list[str] = field(default_factory=list)
    account_enabled: bool = True
    user_type: str = "Member"
    job_title: str | None = None
    mobile_phone: str | None = None
    postal_code: str | None = None
    preferred_language: str | None = None
    synced: bool = False
    created_at: datetime = datetime(2021, 3, 1, tzinfo=UTC)
    deleted_at: datetime | None = None
    last_password_change: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    force_password_change: bool = False
    sessions_valid_from: datetime = datetime(2021, 3, 1, tzinfo=UTC)
    licensed: bool = True
    role_definition_ids: list[str] = field(default_factory=list)
    #: Where a role holds, when that is not the whole directory.
    role_scopes: dict[str, str] = field(default_factory=dict)
    #: Roles that can be activated with Privileged Identity Management.
    eligible_role_ids: list[str] = field(default_factory=list)
    devices: list[RegisteredDevice] = field(default_factory=list)
    methods: list[AuthMethod] = field(default_factory=list)
    mailbox: Mailbox | None = None

    @property
    def smtp_addresses(self) -> list[str]:
        """All SMTP addresses in lower case, the primary one first."""
        ordered = sorted(self.proxy_addresses, key=lambda address: not address.startswith("SMTP:"))
        return [address.partition(":")[2].lower() for address in ordered]


@dataclass
class Group:
    """A group; members are object ids of people or groups."""

    oid: str
    display_name: str
    members: list[str]
    mail: str | None = None
    security_enabled: bool = True
    #: Roles that its members hold, and those that they can activate.
    role_definition_ids: list[str] = field(default_factory=list)
    eligible_role_ids: list[str] = field(default_factory=list)


@dataclass
class BlockedSender:
    """An entry of the restricted list. `ends_at` is set for entries that end by themselves."""

    address: str
    reason: str
    created_at: datetime
    changed_at: datetime
    temporary: bool = False
    ends_at: datetime | None = None
    #: Which of the date spellings this entry shows.
    date_style: int = 0


@dataclass
class BlockedConnector:
    """An inbound connector that may not send. `name` is what Get-InboundConnector calls it."""

    connector_id: str
    reason: str
    created_at: datetime
    name: str = ""


@dataclass
class ServicePrincipal:
    """An application as this tenant sees it."""

    oid: str
    app_id: str
    name: str
    publisher: str | None = None
    homepage: str | None = None
    created_at: datetime | None = None


@dataclass
class Grant:
    """A delegated permission grant; `principal_oid` is None when it holds for everybody."""

    grant_id: str
    client_oid: str
    resource_oid: str
    scope: str
    principal_oid: str | None = None


@dataclass
class AppRoleAssignment:
    """A person's assignment to an application."""

    assignment_id: str
    principal_oid: str
    resource_oid: str
    created_at: datetime
    app_role_id: str = DEFAULT_ACCESS


@dataclass
class SignIn:
    """One sign-in. `error_code` 0 is a success; `device_name` is empty for a device nobody registered."""

    at: datetime
    person_oid: str
    ip: str
    city: str
    country: str
    error_code: int = 0
    reason: str | None = None
    client_app: str = "Browser"
    app_name: str = "Office 365 Exchange Online"
    browser: str = "Edge 141.0.0"
    system: str = "Windows10"
    interactive: bool = True
    device_name: str = ""
    managed: bool = False
    risk_level: str = "none"
    risk_state: str = "none"
    risk_events: list[str] = field(default_factory=list)
    sign_in_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class RiskyUser:
    """What identity protection thinks of somebody."""

    person_oid: str
    level: str
    state: str
    detail: str
    updated_at: datetime
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class RiskDetection:
    """One detection of identity protection; `event_type` is an open set."""

    at: datetime
    person_oid: str
    event_type: str
    level: str
    ip: str
    city: str
    country: str
    state: str = "atRisk"
    detail: str = "none"
    timing: str = "realtime"
    additional: list[dict[str, str]] = field(default_factory=list)
    detection_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class DirectoryAudit:
    """One entry of the directory audit log. `changes` are (property, old, new); `target_kind` is Graph's type."""

    at: datetime
    activity: str
    category: str
    target_oid: str
    target_name: str | None
    initiator_oid: str | None = None
    initiator_app: str | None = None
    initiator_ip: str | None = None
    target_kind: str = "User"
    #: Further targets as (object id, name, Graph's type), such as the role that a user was added to.
    more_targets: list[tuple[str, str, str]] = field(default_factory=list)
    changes: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    details: list[tuple[str, str]] = field(default_factory=list)
    audit_id: str = field(default_factory=lambda: f"Directory_{uuid.uuid4()}")


@dataclass
class AuditRecord:
    """One record of the unified audit log."""

    at: datetime
    operation: str
    record_type: str
    service: str
    upn: str
    ip: str | None
    object_id: str
    data: dict[str, Any] = field(default_factory=dict)
    record_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class AuditQuery:
    """A running search of the unified audit log."""

    query_id: str
    body: dict[str, Any]
    created_at: datetime
    polls: int = 0


@dataclass
class Alert:
    """One security alert. `person_oid` names the account in its evidence, `oids` further ones."""

    alert_id: str
    title: str
    severity: str
    created_at: datetime
    person_oid: str | None = None
    status: str = "new"
    service_source: str = "microsoftDefenderForOffice365"
    detection_source: str = "microsoftDefenderForOffice365"
    category: str = "InitialAccess"
    classification: str | None = None
    determination: str | None = None
    assigned_to: str | None = None
    updated_at: datetime | None = None
    comments: list[dict[str, Any]] = field(default_factory=list)
    oids: list[str] = field(default_factory=list)
    #: What stands in the JSON instead of the fields of these names.
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass
class TraceRow:
    """
    One recipient of one message in the message trace.

    All recipients of a message share `trace_id` and `internet_id`; empty, the latter is made of the former.
    """

    at: datetime
    sender: str
    recipient: str
    subject: str
    status: str
    size: int = 24_118
    from_ip: str = "198.51.100.23"
    trace_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    internet_id: str = ""
    #: What the server said that refused it, for one that failed.
    refusal: str = ""

    @property
    def message_id(self) -> str:
        """The Message-ID with its angle brackets."""
        return self.internet_id or f"<{self.trace_id}@contoso.com>"


@dataclass
class OutboundPolicy:
    """An outbound spam policy; limits of 0 mean the default of the service."""

    name: str
    is_default: bool
    action: str = "BlockUserForToday"
    auto_forwarding: str = "Automatic"
    external_per_hour: int = 0
    internal_per_hour: int = 0
    per_day: int = 0
    notify: bool = False
    notify_to: list[str] = field(default_factory=list)
    #: (priority, enabled, addresses) of the rule that applies it; None for the default policy.
    rule: tuple[int, bool, list[str]] | None = None


@dataclass
class TransportRule:
    """A mail flow rule of the organisation."""

    name: str
    priority: int
    changed_at: datetime
    enabled: bool = True
    redirect_to: list[str] = field(default_factory=list)
    blind_copy_to: list[str] = field(default_factory=list)
    disclaimer: str = ""


@dataclass
class ScoreControl:
    """One control of the secure score."""

    name: str
    title: str
    category: str
    service: str
    score: float
    max_score: float
    action_url: str
    rank: int


@dataclass
class OrganisationSettings:
    """Security settings of the whole tenant."""

    security_defaults: bool = False
    unified_audit: bool = True
    smtp_auth_disabled: bool = False
    audit_disabled: bool = False
    #: A tenant that was never customised shares its policies with others and may not change them.
    dehydrated: bool = False
    #: Domains of which another service checks the passwords; each must be one of the tenant's.
    federated_domains: list[str] = field(default_factory=list)
    conditional_access: list[dict[str, Any]] = field(default_factory=list)


class RateLimiter:
    """Sliding windows: at most `most` requests in `window_s` seconds per name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, deque[datetime]] = {}

    def wait_s(self, name: str, most: int, window_s: float) -> float:
        """0 if the request may go on (and is counted), otherwise the seconds until it could."""
        now = self._clock.now()
        seen = self._seen.setdefault(name, deque())
        while seen and (now - seen[0]).total_seconds() >= window_s:
            seen.popleft()
        if len(seen) < most:
            seen.append(now)
            return 0.0
        return window_s - (now - seen[0]).total_seconds()

    def clear(self) -> None:
        """Forget all requests."""
        self._seen.clear()


@dataclass
class _Due:
    at: datetime
    action: Callable[[], None]


@dataclass
class Tenant:
    """The whole tenant. `people` includes the deleted; look people up with `person` and `recipient`."""

    clock: Clock
    tenant_id: str
    name: str
    default_domain: str
    initial_domain: str
    app: AppRegistration
    journal: Journal
    faults: Faults
    licences: Licences = field(default_factory=Licences)
    switches: Switches = field(default_factory=Switches)
    people: list[Person] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    blocked: list[BlockedSender] = field(default_factory=list)
    blocked_connectors: list[BlockedConnector] = field(default_factory=list)
    service_principals: list[ServicePrincipal] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    app_role_assignments: list[AppRoleAssignment] = field(default_factory=list)
    sign_ins: list[SignIn] = field(default_factory=list)
    risky_users: list[RiskyUser] = field(default_factory=list)
    risk_detections: list[RiskDetection] = field(default_factory=list)
    directory_audits: list[DirectoryAudit] = field(default_factory=list)
    audit_records: list[AuditRecord] = field(default_factory=list)
    audit_queries: dict[str, AuditQuery] = field(default_factory=dict)
    alerts: list[Alert] = field(default_factory=list)
    trace: list[TraceRow] = field(default_factory=list)
    outbound_policies: list[OutboundPolicy] = field(default_factory=list)
    transport_rules: list[TransportRule] = field(default_factory=list)
    score_controls: list[ScoreControl] = field(default_factory=list)
    organisation: OrganisationSettings = field(default_factory=OrganisationSettings)
    on_call: OnCallPlans = field(default_factory=OnCallPlans)
    #: Until when mail of an unblocked address is still refused, by the address in lower case.
    sending_again_at: dict[str, datetime] = field(default_factory=dict)
    #: Access tokens of an older generation are refused as expired.
    token_generation: int = 0
    _due: list[_Due] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limiter = RateLimiter(self.clock)

    def become(self, other: "Tenant") -> None:
        """Hold what `other` holds, so that everybody who knows this tenant sees the new contents."""
        self.__dict__.update(other.__dict__)

    def person(self, key: str) -> Person | None:
        """The account with this object id or user principal name, unless deleted."""
        wanted = key.lower()
        for person in self.people:
            if person.deleted_at is None and wanted in (person.oid, person.upn.lower()):
                return person
        return None

    def recipient(self, key: str) -> Person | None:
        """The account Exchange finds under this id, name, alias, mailbox GUID or any of its addresses."""
        wanted = key.lower().removeprefix("smtp:")
        for person in self.people:
            if person.deleted_at is None and wanted in _recipient_names(person):
                return person
        return None

    def group(self, oid: str) -> Group | None:
        """The group with this object id."""
        return next((group for group in self.groups if group.oid == oid.lower()), None)

    def groups_of(self, member_oid: str, *, transitive: bool) -> list[Group]:
        """The groups that hold a member; with `transitive` also the groups that hold those groups."""
        found: list[Group] = []
        waiting = [member_oid]
        while waiting:
            current = waiting.pop()
            direct = [group for group in self.groups if current in group.members and group not in found]
            found += direct
            waiting += [group.oid for group in direct] if transitive else []
        return found

    def service_principal(self, oid: str) -> ServicePrincipal | None:
        """The service principal with this object id."""
        return next((principal for principal in self.service_principals if principal.oid == oid.lower()), None)

    def blocked_sender(self, address: str) -> BlockedSender | None:
        """The entry of the restricted list for exactly this address."""
        return next((entry for entry in self.blocked if entry.address.lower() == address.lower()), None)

    def block(self, address: str, reason: str, *, temporary: bool = False) -> BlockedSender:
        """Put an address on the restricted list, with the alert that goes with it. An older entry is replaced."""
        now, person = self.clock.now(), self.recipient(address)
        if person is not None and person.mailbox is not None:
            # Hosted mailboxes are listed under the user principal name, everybody else under the sending address.
            address = person.upn
        self.blocked = [entry for entry in self.blocked if entry.address.lower() != address.lower()]
        ends_at = next_midnight(now) if temporary else None
        entry = BlockedSender(address, reason, now, now, temporary, ends_at, len(self.blocked) % 3)
        self.blocked.append(entry)
        self.raise_alert(
            "User restricted from sending email", "high", "SuspiciousActivity", [person.oid] if person else []
        )
        return entry

    def raise_alert(self, title: str, severity: str, category: str, oids: list[str]) -> Alert:
        """
        An alert about these accounts, or about nobody in particular.

        With the switch `alert_aggregation_s` an event so soon after another of the same title joins that one's alert,
        which then names more people and says that it was updated; there is no second alert.
        """
        now, window = self.clock.now(), timedelta(seconds=self.switches.alert_aggregation_s)
        older = next((one for one in self.alerts if one.title == title and now - one.created_at < window), None)
        if older is not None:
            older.oids += [oid for oid in oids if oid not in (older.person_oid, *older.oids)]
            older.updated_at = now
            return older
        alert = Alert(f"fa{uuid.uuid4()}", title, severity, now, person_oid=oids[0] if oids else None)
        alert.oids, alert.category = oids[1:], category
        self.alerts.append(alert)
        return alert

    def shown_trace(self) -> list[TraceRow]:
        """The message trace as far as it has come; messages show late in it."""
        newest = self.clock.now() - timedelta(seconds=self.switches.trace_delay_s)
        return [row for row in self.trace if row.at <= newest]

    def changed(self, action: str, target: str, by: str = "") -> None:
        """Write a change of state into the journal; without `by` it was the bot's application."""
        self.journal.changed(self.clock.now(), action, target, by or f"app:{self.app.app_id}")

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something `seconds` from now on the tenant's clock; at once when that is zero."""
        if seconds <= 0:
            action()
            return
        self._due.append(_Due(self.clock.now() + timedelta(seconds=seconds), action))

    def settle(self) -> None:
        """Carry out what has come due: delayed changes, blocks that end by themselves. Called before every request."""
        now = self.clock.now()
        if self._due:
            for due in sorted((due for due in self._due if due.at <= now), key=lambda due: due.at):
                self._due.remove(due)
                due.action()
        for entry in [entry for entry in self.blocked if entry.ends_at is not None and entry.ends_at <= now]:
            self.blocked.remove(entry)
            self.changed("block ended by itself", entry.address, by="service")


def _recipient_names(person: Person) -> set[str]:
    names = {person.oid, person.upn.lower(), person.display_name.lower(), *person.smtp_addresses}
    if person.mailbox is not None:
        names |= {person.mailbox.guid, person.mailbox.alias.lower()}
    return names


def next_midnight(now: datetime) -> datetime:
    """The coming midnight in UTC."""
    return (now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)


def graph_time(moment: datetime | None, *, digits: int = 0) -> str | None:
    """
    A time as Graph writes it, UTC with `Z`. How many fraction digits there are (0 to 7) differs between resources.
    """
    if moment is None:
        return None
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}7"[:digits]
    return f"{text}.{fraction}Z" if digits else f"{text}Z"


def stable_uuid(*words: str) -> str:
    """A GUID that is the same for the same words."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "/".join(words)))


def opaque_id(*words: str) -> str:
    """A long id as Outlook's: URL-safe base64, the same for the same words."""
    digest = hashlib.sha512("/".join(words).encode()).digest()
    return "AAMkAG" + base64.urlsafe_b64encode(digest).decode().rstrip("=")
