"""
The people of Contoso Ltd, their mailboxes and the restricted list. All times are relative to the start.

Ids are constants, so that tests and settings may name them. What has happened to these people is in `seed_evidence.py`,
the security settings of the tenant are in `seed_posture.py`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sandbox.journal import Journal
from services.sandbox.misbehave import Faults
from services.sandbox.seed_evidence import add_evidence
from services.sandbox.seed_posture import add_posture
from services.sandbox.state import (
    BOT_FRAMEWORK,
    COMPLIANCE,
    EXCHANGE,
    GLOBAL_ADMINISTRATOR,
    GRAPH,
    AppRegistration,
    AuthMethod,
    BlockedConnector,
    Clock,
    Group,
    InboxRule,
    Mailbox,
    MailFolder,
    Person,
    Tenant,
    opaque_id,
    stable_uuid,
)

TENANT_ID = "7a1c5d0e-3b64-4f4f-9d2a-0c5e8b1f6a10"
APP_ID = "4f0d1c9e-8a57-4d0b-b7a3-62c1e95d7b21"
ALEX = "a1e00000-0000-4000-8000-000000000001"
MEGAN = "a1e00000-0000-4000-8000-000000000002"
JANE = "a1e00000-0000-4000-8000-000000000003"
INES = "a1e00000-0000-4000-8000-000000000004"
OMAR = "a1e00000-0000-4000-8000-000000000005"
PIA = "a1e00000-0000-4000-8000-000000000006"
ADELE_VANCE = "a1e00000-0000-4000-8000-000000000007"
ADELE_BERG = "a1e00000-0000-4000-8000-000000000008"
GUEST = "a1e00000-0000-4000-8000-000000000009"
DAN = "a1e00000-0000-4000-8000-00000000000a"
SVEN = "a1e00000-0000-4000-8000-00000000000b"
GRACE = "a1e00000-0000-4000-8000-00000000000c"
NILS = "a1e00000-0000-4000-8000-00000000000d"
TOVE = "a1e00000-0000-4000-8000-00000000000e"
INFO = "a1e00000-0000-4000-8000-00000000000f"
SAM = "a1e00000-0000-4000-8000-000000000010"
MAIL_RESPONDERS = "9b200000-0000-4000-8000-000000000001"
ON_CALL_TEAM = "9b200000-0000-4000-8000-000000000002"
EVERYONE = "9b200000-0000-4000-8000-000000000003"
BLOCKED_CONNECTOR = "c0220000-0000-4000-8000-000000000001"
#: People who sign in with nothing but their password.
WITHOUT_SECOND_FACTOR = frozenset({ADELE_BERG, SAM, TOVE})
PASSWORD_METHOD = "28c10230-6103-485e-b985-444c60001490"

#: Every app permission that the facts name for the bot, granted by default.
GRAPH_ROLES = frozenset(
    {
        "Application.Read.All",
        "AppRoleAssignment.ReadWrite.All",
        "AuditLog.Read.All",
        "AuditLogsQuery-Exchange.Read.All",
        "AuditLogsQuery-Entra.Read.All",
        "AuditLogsQuery.Read.All",
        "DelegatedPermissionGrant.ReadWrite.All",
        "Directory.Read.All",
        "ExchangeMessageTrace.Read.All",
        "GroupMember.Read.All",
        "IdentityRiskEvent.Read.All",
        "IdentityRiskyUser.Read.All",
        "IdentityRiskyUser.ReadWrite.All",
        "LicenseAssignment.Read.All",
        "Mail.Read",
        "Mail.ReadBasic.All",
        "MailboxSettings.Read",
        "MailboxSettings.ReadWrite",
        "Organization.Read.All",
        "Policy.Read.All",
        "RoleManagement.Read.Directory",
        "SecurityAlert.Read.All",
        "SecurityAlert.ReadWrite.All",
        "SecurityEvents.Read.All",
        "User-PasswordProfile.ReadWrite.All",
        "User.EnableDisableAccount.All",
        "User.Read.All",
        "User.RevokeSessions.All",
        "UserAuthenticationMethod.Read.All",
        "UserAuthenticationMethod.ReadWrite.All",
    }
)
#: Folders of a mailbox: key, name Graph knows (empty: none), English and Swedish name. More than Graph's page of ten.
FOLDERS = (
    ("archive", "archive", "Archive", "Arkiv"),
    ("conversationhistory", "conversationhistory", "Conversation History", "Konversationshistorik"),
    ("deleteditems", "deleteditems", "Deleted Items", "Borttaget"),
    ("drafts", "drafts", "Drafts", "Utkast"),
    ("inbox", "inbox", "Inbox", "Inkorgen"),
    ("invoices", "", "Invoices", "Fakturor"),
    ("junkemail", "junkemail", "Junk Email", "Skräppost"),
    ("notes", "", "Notes", "Anteckningar"),
    ("outbox", "outbox", "Outbox", "Utkorgen"),
    ("projects", "", "Projects", "Projekt"),
    ("rss", "", "RSS Subscriptions", "RSS-prenumerationer"),
    ("sentitems", "sentitems", "Sent Items", "Skickat"),
)
PROTOCOLS = ("ActiveSync", "Ews", "Imap", "MAPI", "OWA", "Pop", "OutlookMobile", "UniversalOutlook")


def contoso(secret: str, clock: Clock, journal: Journal, faults: Faults) -> Tenant:
    """The tenant as it is when the sandbox starts."""
    app = AppRegistration(
        app_id=APP_ID,
        secret=secret,
        roles={
            GRAPH: set(GRAPH_ROLES),
            EXCHANGE: {"Exchange.ManageAsApp"},
            COMPLIANCE: {"Exchange.ManageAsApp"},
            BOT_FRAMEWORK: set(),
        },
    )
    tenant = Tenant(
        clock=clock,
        tenant_id=TENANT_ID,
        name="Contoso Ltd",
        default_domain="contoso.com",
        initial_domain="contoso.onmicrosoft.com",
        app=app,
        journal=journal,
        faults=faults,
    )
    now = clock.now()
    _add_people(tenant, now)
    _add_groups(tenant)
    _add_jane_mailbox(_known(tenant, JANE))
    _add_other_mailboxes(tenant, now)
    add_evidence(tenant, now)
    _add_blocks(tenant, now)
    add_posture(tenant)
    return tenant


def _add_people(tenant: Tenant, now: datetime) -> None:
    add = _adder(tenant, now)
    add(ALEX, "Alex Wilber", "alex", job_title="IT support")
    add(MEGAN, "Megan Bowen", "megan", job_title="IT security")
    add(JANE, "Jane Doe", "jane", language="sv-SE", job_title="Accounts payable", password_days=400)
    add(INES, "Ines Falk", "ines", job_title="Designer")
    add(OMAR, "Omar Said", "omar", job_title="Marketing")
    add(ADELE_VANCE, "Adele Vance", "adele.vance", job_title="Retail manager")
    add(ADELE_BERG, "Adele Berg", "adele.berg", language="sv-SE", job_title="Buyer")
    add(GRACE, "Grace Hopp", "grace", job_title="Head of IT").role_definition_ids = [GLOBAL_ADMINISTRATOR]
    add(SVEN, "Sven Lind", "sven", language="sv-SE", job_title="Sales").synced = True
    add(TOVE, "Tove Ek", "tove", language="sv-SE", job_title="Events")
    add(SAM, "Sam Stranger", "sam", job_title="Trainee")
    _add_pia(add)
    _add_info(add)
    _add_nils(add)
    _add_guest(tenant, now)
    _add_dan(tenant, now)


def _adder(tenant: Tenant, now: datetime) -> Callable[..., Person]:
    def add(
        oid: str,
        name: str,
        alias: str,
        *,
        language: str = "en-US",
        job_title: str | None = None,
        password_days: int = 60,
    ) -> Person:
        given_name, _, surname = name.partition(" ")
        address = f"{alias}@{tenant.default_domain}"
        person = Person(
            oid=oid,
            upn=address,
            display_name=name,
            given_name=given_name,
            surname=surname,
            mail=address,
            proxy_addresses=[f"SMTP:{address}", f"smtp:{alias}@{tenant.initial_domain}"],
            job_title=job_title,
            preferred_language=language,
            created_at=now - timedelta(days=1300),
            last_password_change=now - timedelta(days=password_days),
            sessions_valid_from=now - timedelta(days=password_days),
            methods=[AuthMethod(PASSWORD_METHOD, "password", now - timedelta(days=password_days))],
            mailbox=_mailbox(oid, alias, language),
        )
        if oid not in WITHOUT_SECOND_FACTOR:
            person.methods.append(_phone(oid))
        tenant.people.append(person)
        return person

    return add


def _mailbox(oid: str, alias: str, language: str) -> Mailbox:
    folders = [
        MailFolder(key, swedish if language == "sv-SE" else english, opaque_id(oid, key), well_known)
        for key, well_known, english, swedish in FOLDERS
    ]
    return Mailbox(
        guid=stable_uuid("mailbox", oid),
        alias=alias,
        language=language,
        folders=folders,
        protocols=dict.fromkeys(PROTOCOLS, True),
        rules=[
            InboxRule(_rule_identity(oid, 1), "Junk E-Mail Rule", 1, hidden=True, move_to="junkemail"),
            InboxRule(_rule_identity(oid, 2), "Microsoft.Exchange.OOF.KindExternal", 2, enabled=False, hidden=True),
        ],
        permissions=[("NT AUTHORITY\\SELF", ["FullAccess", "ReadPermission"], False)],
        send_as=["NT AUTHORITY\\SELF"],
        folder_permissions={"calendar": [("Default", ["AvailabilityOnly"]), ("Anonymous", ["None"])]},
    )


def _rule_identity(oid: str, number: int) -> int:
    """Above 2**63, so that whoever reads it as a signed number or a double gets it wrong."""
    return 0x9F67_0000_0000_0000 + (int(oid[-4:], 16) << 8) + number


def _phone(oid: str) -> AuthMethod:
    number = f"+46 70174060{int(oid[-1], 16) % 10}"
    extra = {"phoneNumber": number, "phoneType": "mobile", "smsSignInState": "notAllowedByPolicy"}
    return AuthMethod("3179e48a-750b-4051-897c-87b9720928f7", "phone", None, extra)


def _add_pia(add: Callable[..., Person]) -> None:
    pia = add(PIA, "Pia Öberg", "pia", language="sv-SE", job_title="Purchasing")
    pia.mail = "pia.oberg@contoso.com"
    pia.proxy_addresses = [
        "SMTP:pia.oberg@contoso.com",
        "smtp:p.oberg@contoso.com",
        "smtp:pia@contoso.onmicrosoft.com",
        "X500:/o=ExchangeLabs/ou=Exchange Administrative Group/cn=Recipients/cn=pia",
    ]


def _add_info(add: Callable[..., Person]) -> None:
    info = add(INFO, "Info", "info")
    info.account_enabled, info.licensed, info.surname = False, False, ""
    info.methods = info.methods[:1]
    if info.mailbox is not None:
        info.mailbox.kind = "SharedMailbox"
        info.mailbox.permissions.append((f"alex@{info.upn.partition('@')[2]}", ["FullAccess"], False))


def _add_nils(add: Callable[..., Person]) -> None:
    nils = add(NILS, "Nils Holm", "nils", language="sv-SE")
    nils.mail, nils.proxy_addresses, nils.mailbox, nils.licensed = None, [], None, False


def _add_guest(tenant: Tenant, now: datetime) -> None:
    tenant.people.append(
        Person(
            oid=GUEST,
            upn=f"rita_fabrikam.com#EXT#@{tenant.initial_domain}",
            display_name="Rita Guest",
            given_name="Rita",
            surname="Guest",
            mail="rita@fabrikam.com",
            proxy_addresses=["SMTP:rita@fabrikam.com"],
            user_type="Guest",
            created_at=now - timedelta(days=90),
            last_password_change=now - timedelta(days=90),
            sessions_valid_from=now - timedelta(days=90),
            licensed=False,
        )
    )


def _add_dan(tenant: Tenant, now: datetime) -> None:
    # Entra puts the object id before the name of a deleted account, to free the name for somebody else.
    tenant.people.append(
        Person(
            oid=DAN,
            upn=f"{DAN.replace('-', '')}dan@{tenant.default_domain}",
            display_name="Dan Rask",
            given_name="Dan",
            surname="Rask",
            mail=f"dan@{tenant.default_domain}",
            proxy_addresses=[f"SMTP:dan@{tenant.default_domain}"],
            deleted_at=now - timedelta(days=5),
            created_at=now - timedelta(days=700),
        )
    )


def _add_groups(tenant: Tenant) -> None:
    everyone = [person.oid for person in tenant.people if person.user_type == "Member" and not person.deleted_at]
    tenant.groups = [
        Group(MAIL_RESPONDERS, "Mail responders", [ON_CALL_TEAM]),
        Group(ON_CALL_TEAM, "On-call team", [MEGAN]),
        Group(EVERYONE, "All of Contoso", everyone, mail="everyone@contoso.com", security_enabled=False),
    ]


def _add_jane_mailbox(jane: Person) -> None:
    mailbox = _mailbox_of(jane)
    mailbox.forwarding_smtp = "smtp:collector.x91@mailbox-drop.example"
    mailbox.deliver_and_forward = True
    mailbox.client_side_rules = 2
    mailbox.signature = "<div>Jane Doe<br>Accounts payable, Contoso Ltd</div>"
    mailbox.rules += [
        InboxRule(_rule_identity(JANE, 3), "Team newsletter", 3, from_contains=["news@contoso.com"], mark_read=True),
        InboxRule(
            _rule_identity(JANE, 4),
            ".",
            4,
            forward_to=[("Collector", "collector.x91@mailbox-drop.example")],
            move_to="rss",
            mark_read=True,
            stop=True,
        ),
        InboxRule(_rule_identity(JANE, 5), "sync", 5, hidden=True, subject_contains=["invoice"], delete=True),
    ]


def _add_other_mailboxes(tenant: Tenant, now: datetime) -> None:
    ines = _mailbox_of(_known(tenant, INES))
    ines.rules.append(
        InboxRule(_rule_identity(INES, 3), "Receipts", 3, subject_contains=["receipt"], move_to="invoices")
    )
    grace = _mailbox_of(_known(tenant, GRACE))
    grace.rules.append(
        InboxRule(
            _rule_identity(GRACE, 3),
            "Delegate Rule -8069403",
            3,
            read_only=True,
            redirect_to=[("Alex Wilber", "alex@contoso.com")],
        )
    )
    _mailbox_of(_known(tenant, OMAR)).roaming_signatures = True
    _mailbox_of(_known(tenant, ALEX)).devices.append(_device("Alex's phone", now - timedelta(days=200), now))
    _mailbox_of(_known(tenant, JANE)).devices += [
        _device("Jane's phone", now - timedelta(days=500), now - timedelta(hours=20)),
        _device("Unknown device", now - timedelta(hours=3), now - timedelta(hours=1)),
    ]


def _device(name: str, first_sync: datetime, last_sync: datetime) -> dict[str, object]:
    return {
        "FirstSyncTime": first_sync,
        "LastSuccessSync": last_sync,
        "DeviceType": "Outlook",
        "DeviceID": stable_uuid("device", name).replace("-", ""),
        "DeviceFriendlyName": name,
        "DeviceOS": "iOS 19.1",
        "ClientType": "Outlook",
        "Status": "DeviceOk",
        "DeviceAccessState": "Allowed",
    }


def _add_blocks(tenant: Tenant, now: datetime) -> None:
    blocks = (
        ("jane@contoso.com", limit_reason(3, 1043), 2.1, False),
        ("omar@contoso.com", spam_reason(912, 1000), 5.0, False),
        ("pia@contoso.com", limit_reason(0, 640), 9.0, False),
        ("sven@contoso.com", limit_reason(11, 700), 26.0, False),
        ("grace@contoso.com", spam_reason(75, 120), 7.5, False),
        ("tove@contoso.com", limit_reason(0, 1200), 0.7, True),
        ("scanner@contoso.com", spam_reason(40, 51), 50.0, False),
    )
    start = len(tenant.alerts)
    for address, reason, hours_ago, temporary in blocks:
        entry = tenant.block(address, reason, temporary=temporary)
        entry.created_at = now - timedelta(hours=hours_ago)
        entry.changed_at = entry.created_at
        tenant.alerts[-1].created_at = entry.created_at + timedelta(minutes=4)
    tenant.alerts[start:] = sorted(tenant.alerts[start:], key=lambda alert: alert.created_at, reverse=True)
    tenant.blocked_connectors.append(
        BlockedConnector(BLOCKED_CONNECTOR, "SuspiciousActivity;OutboundSpamPercent=88", now - timedelta(days=2))
    )


def limit_reason(internal: int, external: int) -> str:
    """The reason text of an entry that exceeded a sending limit."""
    return (
        f"EmailSendingLimitExceeded;InternalRecipientCountToday={internal};ExternalRecipientCountToday={external};"
        f"ExceedingLimitType=External;Last MessagetraceId={stable_uuid('trace', str(external))};LastMessageRcptCount=5;"
    )


def spam_reason(spam: int, mail: int) -> str:
    """The reason text of an entry whose mail was found to be spam."""
    return (
        f"OutboundSpamLast24Hours={spam};OutboundMailLast24Hours={mail};OutboundSpamPercent={100 * spam // mail};"
        f"Last Spam Message MessagetraceId:{stable_uuid('spam', str(spam))}"
    )


def _known(tenant: Tenant, oid: str) -> Person:
    person = tenant.person(oid)
    if person is None:
        raise LookupError(oid)
    return person


def _mailbox_of(person: Person) -> Mailbox:
    if person.mailbox is None:
        raise LookupError(f"{person.upn} has no mailbox")
    return person.mailbox
