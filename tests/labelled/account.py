"""The verbs of the stories: what happened to an account, each put where Microsoft's services would show it."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

from services.cases import Block, BlockKind
from services.clients.exchange_models import (
    FolderPermission,
    Forwarding,
    InboxRule,
    MailboxPermission,
    MobileDevice,
    Recipient,
    SendAsPermission,
    graph_rule_id,
)
from services.clients.graph_models import (
    AlertUser,
    AppAssignment,
    AuditChange,
    AuditEvent,
    AuditRecord,
    AuditTarget,
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
from services.errors import ServiceError
from tests.labelled.places import STOCKHOLM
from tests.labelled.world import E5, Address, Licences, Place, World, somebody_else

MANAGED_LAPTOP: Mapping[str, Any] = {
    "device_name": "CONTOSO-LT-114",
    "operating_system": "Windows11",
    "browser": "Edge 131.0.0",
    "is_managed": True,
    "is_compliant": True,
}
OWN_PHONE: Mapping[str, Any] = {"operating_system": "Ios 18.1", "browser": "Mobile Safari", "is_managed": False}
STRANGE_PC: Mapping[str, Any] = {"operating_system": "Windows10", "browser": "Chrome 122.0.0", "is_managed": False}
SCRIPT: Mapping[str, Any] = {"user_agent": "python-requests/2.31.0", "is_managed": False}

DESKTOP = "Mobile Apps and Desktop clients"
SMTP, IMAP, POP = "Authenticated SMTP", "IMAP4", "POP3"
EWS, ACTIVESYNC = "Exchange Web Services", "Exchange ActiveSync"
#: Codes of Entra: a wrong password, a locked account, a second factor that was refused, one that is still to come.
WRONG_PASSWORD, LOCKED, FACTOR_REFUSED, FACTOR_WANTED = 50126, 50053, 500121, 50076

#: How Outlook names its folders.
FOLDERS: Mapping[str, Mapping[str, str]] = {
    "en": {"inbox": "Inbox", "sent": "Sent Items", "deleted": "Deleted Items", "archive": "Archive"},
    "sv": {"inbox": "Inkorgen", "sent": "Skickat", "deleted": "Borttaget", "archive": "Arkiv"},
    "de": {"inbox": "Posteingang", "sent": "Gesendete Elemente", "deleted": "Gelöschte Elemente", "archive": "Archiv"},
    "fr": {
        "inbox": "Boîte de réception",
        "sent": "Éléments envoyés",
        "deleted": "Éléments supprimés",
        "archive": "Archive",
    },
}


class Account(World):
    """
    A person's account, seen at a moment (UTC). Each verb takes how many hours ago it happened.

    Chance is seeded with the name, so that a story is told the same way every time.
    """

    def __init__(
        self, name: str, at: str, *, home: Place = STOCKHOLM, licences: Licences = E5, language: str = "en"
    ) -> None:
        now = datetime.fromisoformat(at).replace(tzinfo=UTC)
        upn = f"{_ascii(name)}@contoso.com"
        user = DirectoryUser(
            oid=str(uuid5(NAMESPACE_DNS, upn)),
            upn=upn,
            display_name=name,
            mail=upn,
            aliases=(upn, upn.replace("contoso.com", "contoso.onmicrosoft.com")),
            account_enabled=True,
            user_type="Member",
            password_changed_at=now - timedelta(days=95, hours=4),
            sessions_valid_from=now - timedelta(days=95, hours=4),
            created_at=now - timedelta(days=1200),
        )
        super().__init__(user, now, licences)
        self.home, self.language = home, language
        self.chance = random.Random(name)
        self._numbers = count(1)

    @property
    def folder(self) -> Mapping[str, str]:
        """Names of the default folders, in the language of the mailbox."""
        return FOLDERS[self.language]

    def ago(self, hours: float) -> datetime:
        return self.now - timedelta(hours=hours)

    def number(self) -> int:
        """A number that was not used before, for ids."""
        return next(self._numbers)

    def change_user(self, **fields: Any) -> None:
        self.user = self.user.model_copy(update=fields)

    def cannot_read(self, error: ServiceError, *methods: str) -> None:
        """Let these methods of the ports end with the error."""
        self.refusals.update(dict.fromkeys(methods, error))

    # --- the block ---

    def blocked(self, ago: float, **reason: str) -> None:
        """On the restricted list, with Microsoft's reason; Defender tells as well, where the tenant has it."""
        self.block = Block(
            kind=BlockKind.RESTRICTED, sender_address=self.user.upn, since=self.ago(ago), reason=dict(reason)
        )
        self.alerted("User restricted from sending email", ago - 0.05, severity="high")

    def over_the_limit(self, ago: float, external: int, internal: int = 0) -> None:
        kind = "External" if external >= internal else "Internal"
        counts = {"ExternalRecipientCountToday": str(external), "InternalRecipientCountToday": str(internal)}
        self.blocked(ago, **counts, ExceedingLimitType=kind)

    def held_to_be_spam(self, ago: float, spam: int, mail: int) -> None:
        counts = {"OutboundSpamLast24Hours": str(spam), "OutboundMailLast24Hours": str(mail)}
        self.blocked(ago, **counts, OutboundSpamPercent=str(100 * spam // mail))

    def alerted(self, title: str, ago: float, *, severity: str, status: str = "new", **fields: Any) -> None:
        user = AlertUser(oid=self.user.oid, upn=self.user.upn, address=self.user.mail)
        alert = SecurityAlert(
            alert_id=f"alert-{self.number()}",
            title=title,
            status=status,
            severity=severity,
            service_source="microsoftDefenderForOffice365",
            created_at=self.ago(ago),
            users=(user,),
            **fields,
        )
        self.alert_log.append(alert)

    # --- signing in ---

    def signs_in(
        self, where: Address, ago: float, *, client: str = "Browser", code: int = 0, device: Any = None, **fields: Any
    ) -> None:
        """One interactive sign-in, done (code 0) or tried."""
        self.sign_in_log.append(self._sign_in(where, ago, client, code, device or STRANGE_PC, True, fields))

    def guessed(
        self, where: Sequence[Address], ago: float, *, times: int, over: float, code: int = WRONG_PASSWORD
    ) -> None:
        """Failures, by turns from these addresses, spread over so many hours that end at `ago`."""
        for number in range(times):
            at = ago + over * (times - 1 - number) / max(times - 1, 1)
            self.signs_in(where[number % len(where)], at, code=code, device={"browser": "Unknown"})

    def works_in_background(
        self,
        where: Address,
        ago: float,
        *,
        times: int = 1,
        every: float = 1.0,
        client: str = DESKTOP,
        device: Any = None,
    ) -> None:
        """Tokens that were used without anybody typing anything, the oldest so many hours ago."""
        for number in range(times):
            one = self._sign_in(where, ago - number * every, client, 0, device or STRANGE_PC, False, {})
            self.background_log.append(one)

    def _sign_in(
        self, where: Address, ago: float, client: str, code: int, device: Any, interactive: bool, fields: Any
    ) -> SignIn:
        place = where.place
        located = (
            {}
            if place is None
            else {name: getattr(place, name) for name in ("city", "country", "latitude", "longitude")}
        )
        risk = {"risk_level": "none", "risk_level_aggregated": "none", "risk_state": "none"}
        return SignIn(
            sign_in_id=f"sign-in-{self.number()}",
            at=self.ago(ago),
            user_oid=self.user.oid,
            upn=self.user.upn,
            app_name="Office 365 Exchange Online",
            ip_address=where.ip,
            client_app=client,
            error_code=code,
            is_interactive=interactive,
            **(risk | located | dict(device) | fields),
        )

    def also_tried(self, where: Address, names: Sequence[str], ago: float, *, successes: int = 0) -> None:
        """Other accounts were tried from the same address, the first of them with success."""
        for number, name in enumerate(names):
            code = 0 if number < successes else WRONG_PASSWORD
            self.neighbours.append(somebody_else(name, where.ip, self.ago(ago + number / 10), code))

    def at_risk(
        self, level: str, *kinds: str, ago: float = 2.0, state: str = "atRisk", where: Address | None = None
    ) -> None:
        """What Entra ID Protection makes of it, and what it noticed."""
        self.risky = RiskyUser(
            user_oid=self.user.oid, upn=self.user.upn, risk_level=level, risk_state=state, updated_at=self.ago(ago)
        )
        place = where.place if where else None
        for kind in kinds:
            detection = RiskDetection(
                detection_id=f"detection-{self.number()}",
                kind=kind,
                risk_level=level,
                risk_state=state,
                ip_address=where.ip if where else None,
                city=place.city if place else None,
                country=place.country if place else None,
                at=self.ago(ago),
                detected_at=self.ago(ago),
            )
            self.detections.append(detection)

    # --- sending ---

    def sends(
        self,
        subject: str | Sequence[str],
        ago: float,
        *,
        messages: int,
        to_each: int = 1,
        over: float = 1.0,
        inside: float = 0.0,
        failed: float = 0.0,
        saved: bool = True,
        where: Address | None = None,
        known: int = 0,
    ) -> None:
        """
        Messages from `ago` hours ago on, spread over so many hours.

        Each goes to `to_each` people, a share of them `inside`; a share `failed`; `known` limits to how many different
        people at all. What is `saved` lies in Sent Items.
        """
        subjects = [subject] if isinstance(subject, str) else list(subject)
        for number in range(messages):
            at = self.ago(ago) + timedelta(hours=over * number / max(messages, 1))
            self._send(subjects[number % len(subjects)], at, to_each, inside, failed, saved, where, known)

    def _send(
        self,
        subject: str,
        at: datetime,
        to_each: int,
        inside: float,
        failed: float,
        saved: bool,
        where: Address | None,
        known: int,
    ) -> None:
        message_id = f"<{self.number()}.{int(at.timestamp())}@contoso.com>"
        people = tuple(self._somebody(inside, known) for _ in range(to_each))
        row = MessageTrace(
            message_id=message_id,
            sender_address=self.user.mail,
            subject=subject,
            received_at=at,
            size_bytes=self.chance.randint(4_000, 60_000),
            from_ip=where.ip if where else None,
        )
        for person in people:
            status = "failed" if self.chance.random() < failed else "delivered"
            self.trace_log.append(row.model_copy(update={"recipient_address": person, "status": status}))
        if saved:
            self.keeps("sentitems", subject, at, message_id, people)

    def keeps(
        self, folder: str, subject: str, at: datetime, message_id: str | None = None, people: Sequence[str] = ()
    ) -> None:
        """A message in Sent Items or Deleted Items."""
        number = self.number()
        item = MailItem(
            item_id=f"item-{number}",
            internet_message_id=message_id or f"<{number}@elsewhere.example>",
            subject=subject,
            sent_at=at,
            received_at=at,
            recipients=tuple(people),
        )
        self.folders[folder].append(item)

    def _somebody(self, inside: float, known: int) -> str:
        number = self.chance.randrange(known or 90_000)
        if self.chance.random() < inside:
            return f"colleague{number % 800}@contoso.com"
        return f"person{number}@{self.chance.choice(('fabrikam', 'northwind', 'adatum', 'litware'))}{number % 40}.com"

    # --- the mailbox ---

    def rule(
        self,
        name: str,
        *,
        forward_to: Sequence[str] = (),
        redirect_to: Sequence[str] = (),
        folder: str = "",
        words: Sequence[str] = (),
        senders: Sequence[str] = (),
        hidden: bool = False,
        enabled: bool = True,
        delete: bool = False,
        read: bool = False,
    ) -> None:
        """An inbox rule, as Exchange lists it; as Graph lists it too, unless it is hidden."""
        number = 7_310_000_000 + self.number()
        forwards, redirects = _recipients(forward_to), _recipients(redirect_to)
        rule = InboxRule(
            identity=f"{self.user.oid}\\{number}",
            rule_identity=number,
            name=name,
            enabled=enabled,
            hidden=hidden,
            supported=True,
            priority=len(self.rules) + 1,
            forward_to=forwards,
            redirect_to=redirects,
            move_to_folder=f"{self.user.display_name}:\\{folder}" if folder else None,
            delete_message=delete,
            mark_as_read=read,
            stop_processing=True,
            subject_or_body_words=tuple(words),
            from_words=tuple(senders),
        )
        self.rules.append(rule)
        if not hidden:
            self.visible_rules.append(_as_graph_shows(rule))

    def forwards(self, *, to: str | None = None, inside: str | None = None, keeps_copy: bool = True) -> None:
        """The whole mailbox is forwarded to any address, or to a recipient of the directory."""
        forwarding = Forwarding(smtp_address=to, address=inside, deliver_and_forward=keeps_copy)
        self.box = self.box.model_copy(update={"forwarding": forwarding})

    def lets_in(self, user: str, rights: str = "FullAccess") -> None:
        """Somebody may open the mailbox."""
        self.full_access.append(MailboxPermission(user=user, rights=(rights,), deny=False, inherited=False))

    def lets_send_as(self, user: str) -> None:
        self.send_as.append(SendAsPermission(trustee=user, rights=("SendAs",), control_type="Allow", inherited=False))

    def lets_send_for(self, *users: str) -> None:
        self.box = self.box.model_copy(update={"send_on_behalf": users})

    def shares(self, folder: str, user: str, rights: str) -> None:
        """Rights to the inbox or the calendar; `user` may be Default, which is everybody."""
        others = [one for one in self.shared_folders[folder] if one.user != user]
        self.shared_folders[folder] = [*others, FolderPermission(folder=folder, user=user, rights=(rights,))]

    def synchronises(self, model: str, ago: float, system: str = "iOS 18.1") -> None:
        """A phone that has fetched mail since so many hours ago."""
        device = MobileDevice(
            device_id=f"PHONE{self.number()}",
            model=model,
            operating_system=system,
            user_agent="Outlook-iOS-Android/1.0",
            first_sync_at=self.ago(ago),
            last_sync_at=self.ago(0.5),
            state="Allowed",
        )
        self.mobiles.append(device)

    # --- the unified audit log ---

    def record(
        self, operation: str, ago: float, where: Address, *, by: str = "", object_id: str = "", **data: Any
    ) -> None:
        """One entry. What Exchange's cmdlets log comes with a port behind the address."""
        cmdlet = "-" in operation
        entry = AuditRecord(
            record_id=f"record-{self.number()}",
            at=self.ago(ago),
            operation=operation,
            service="Exchange",
            user_upn=by or self.user.upn,
            ip_address=f"{where.ip}:50412" if cmdlet else where.ip,
            object_id=object_id or None,
            data={
                "Operation": operation,
                "UserId": by or self.user.upn,
                "MailboxOwnerUPN": self.user.upn,
                "ClientIP" if cmdlet else "ClientIPAddress": where.ip,
                "ResultStatus": "True" if cmdlet else "Succeeded",
                **data,
            },
        )
        self.record_log.append(entry)

    def ran(self, cmdlet: str, ago: float, where: Address, *, by: str = "", **parameters: str) -> None:
        """A cmdlet that Exchange has logged, or Outlook on the web in its name."""
        listed = [{"Name": name, "Value": value} for name, value in parameters.items()]
        self.record(cmdlet, ago, where, by=by, object_id=self.user.upn, Parameters=listed)

    def deletes(
        self,
        operation: str,
        ago: float,
        where: Address,
        *,
        times: int,
        over: float = 0.5,
        folder: str = "inbox",
        each: int = 1,
    ) -> None:
        """Mail deleted from a folder, in so many entries of so many messages each, spread over so many hours."""
        path = f"\\{self.folder[folder]}"
        items = [{"Subject": "Re: order", "ParentFolder": {"Path": path}} for _ in range(each)]
        for number in range(times):
            at = ago - over * number / times
            self.record(operation, at, where, Folder={"Path": path}, AffectedItems=items, LogonType=0)

    # --- the directory ---

    def audited(
        self,
        activity: str,
        ago: float,
        *,
        by: str = "",
        where: Address | None = None,
        target: str = "",
        changes: Sequence[AuditChange] = (),
    ) -> None:
        """An entry of the directory's audit log about the account, by itself unless another is named."""
        event = AuditEvent(
            audit_id=f"audit-{self.number()}",
            at=self.ago(ago),
            activity=activity,
            result="success",
            by_oid=self.user.oid if not by else f"oid-of-{by}",
            by_upn=by or self.user.upn,
            by_ip=where.ip if where else None,
            targets=(AuditTarget(oid=target or self.user.oid, upn=self.user.upn, kind="User", changes=tuple(changes)),),
        )
        self.audit_log.append(event)

    def synced(self, ago: float, **new: str) -> None:
        """A change of the profile that came from the directory on-premises: by an app, not by a person."""
        self.changes_profile(ago, by="Sync_DC01_4f1@contoso.onmicrosoft.com", **new)

    def changes_profile(self, ago: float, *, by: str = "", where: Address | None = None, **new: str) -> None:
        """Properties get new values, as Graph spells them; the old value is what everybody has."""
        old = {"DisplayName": self.user.display_name, "TelephoneNumber": "+46 8 123 45 67"}
        changes = [
            AuditChange(name=name, old=_listed(old.get(name, "")), new=_listed(value)) for name, value in new.items()
        ]
        included = AuditChange(name="Included Updated Properties", old=None, new=json.dumps(", ".join(new)))
        self.audited("Update user", ago, by=by, where=where, changes=[*changes, included])

    def changes_password(self, ago: float, activity: str = "Change password (self-service)", **how: Any) -> None:
        self.audited(activity, ago, **how)
        self.change_user(password_changed_at=max(self.ago(ago), self.user.password_changed_at or self.ago(ago)))

    def has_method(self, kind: str, days: float | None, label: str = "") -> None:
        """A way to sign in, since so many days; Graph does not say for how long of phones."""
        created = None if days is None else self.ago(24 * days)
        self.methods.append(
            AuthMethod(method_id=f"method-{self.number()}", kind=kind, created_at=created, label=label or None)
        )

    def adds_method(self, kind: str, ago: float, label: str, where: Address | None = None) -> None:
        """A way to sign in is added now, and the audit log says so."""
        self.has_method(kind, None if kind == "phone" else ago / 24, label)
        self.audited("User registered security info", ago, where=where)

    def registers_device(self, name: str, days: float, system: str = "Windows", **fields: Any) -> None:
        device = RegisteredDevice(
            device_oid=f"device-{self.number()}",
            name=name,
            operating_system=system,
            registered_at=self.ago(24 * days),
            enabled=True,
            **({"trust_type": "Workplace", "is_managed": False} | fields),
        )
        self.devices.append(device)

    def holds_role(
        self, name: str, assigned_ago: float | None = None, by: str = "", where: Address | None = None
    ) -> None:
        """An admin role, given long ago unless it is said when."""
        number = self.number()
        self.roles.append(
            DirectoryRole(assignment_id=f"role-{number}", role_id=f"definition-{name}", role_name=name, scope="/")
        )
        if assigned_ago is not None:
            named = AuditChange(name="Role.DisplayName", old=None, new=json.dumps(name))
            self.audited("Add member to role", assigned_ago, by=by, where=where, changes=[named])

    # --- apps ---

    def lets_app(
        self,
        name: str,
        scopes: str,
        days: float,
        *,
        publisher: str | None = None,
        age_days: float = 400,
        where: Address | None = None,
        owner: str = "22222222-2222-4222-8222-222222222222",
        app_id: str = "",
    ) -> None:
        """Consent to an app, so many days ago; `publisher` is the one whom Microsoft has verified."""
        sp_oid = self._app(name, publisher, age_days, owner, app_id)
        self.grants.append(
            OAuthGrant(
                grant_id=f"grant-{sp_oid}",
                client_sp_oid=sp_oid,
                consent_type="Principal",
                principal_oid=self.user.oid,
                resource_sp_oid="graph",
                scopes=tuple(scopes.split()),
            )
        )
        self.audited("Consent to application", 24 * days, where=where, target=sp_oid)

    def is_assigned(
        self, name: str, days: float, *, publisher: str | None = None, age_days: float = 400, app_id: str = ""
    ) -> None:
        """The account was given an app."""
        sp_oid = self._app(name, publisher, age_days, "22222222-2222-4222-8222-222222222222", app_id)
        self.assignments.append(
            AppAssignment(
                assignment_id=f"assignment-{sp_oid}",
                app_name=name,
                app_sp_oid=sp_oid,
                principal_oid=self.user.oid,
                principal_type="User",
                app_role_id="00000000-0000-0000-0000-000000000000",
                created_at=self.ago(24 * days),
            )
        )

    def _app(self, name: str, publisher: str | None, age_days: float, owner: str, app_id: str) -> str:
        sp_oid = f"app-{self.number()}"
        self.apps[sp_oid] = ServicePrincipal(
            sp_oid=sp_oid,
            app_id=app_id or str(uuid5(NAMESPACE_DNS, name)),
            name=name,
            publisher_name=publisher,
            verified_publisher=publisher,
            owner_tenant_id=owner,
            created_at=self.ago(24 * age_days),
            account_enabled=True,
        )
        return sp_oid


def _as_graph_shows(rule: InboxRule) -> MailRule:
    words = list(rule.subject_or_body_words)
    senders = list(rule.from_words)
    conditions = {"bodyOrSubjectContains": words, "senderContains": senders}
    return MailRule(
        rule_id=graph_rule_id(rule.rule_identity or 0),
        name=rule.name,
        sequence=rule.priority,
        enabled=rule.enabled,
        read_only=False,
        forward_to=tuple(one.shown for one in rule.forward_to),
        redirect_to=tuple(one.shown for one in rule.redirect_to),
        move_to_folder_id=f"AQMk{rule.rule_identity}" if rule.move_to_folder else None,
        delete=rule.delete_message,
        mark_as_read=rule.mark_as_read,
        stop_processing=rule.stop_processing,
        conditions={name: value for name, value in conditions.items() if value},
    )


def _recipients(addresses: Sequence[str]) -> tuple[Recipient, ...]:
    return tuple(
        Recipient(name=address.partition("@")[0], address=address, raw=f'"{address}" [SMTP:{address}]')
        for address in addresses
    )


def _listed(value: str) -> str:
    """As the audit log spells a property's value: JSON of a list."""
    return json.dumps([value] if value else [], ensure_ascii=False)


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return plain.casefold().replace(" ", ".")
