"""
The people of Contoso Ltd, their mailboxes and the restricted list. All times are relative to the start.

Ids are constants, so that tests and settings may name them. What has happened to these people is in `seed_evidence.py`,
the security settings of the tenant are in `seed_posture.py`. The people who each stand for one symptom or one action
are in `seed_symptoms.py` and `seed_attacks.py`, those whose mail is blocked in another way in `seed_blocks.py`.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sandbox.journal import Journal
from services.sandbox.misbehave import Faults
from services.sandbox.on_call import plans_of
from services.sandbox.seed_attacks import ATTACK_BLOCKS, add_attack_stories, add_attacked_people
from services.sandbox.seed_basics import (
    adder,
    known,
    limit_reason,
    mailbox_of,
    phone_partnership,
    rule_identity,
    spam_reason,
)
from services.sandbox.seed_blocks import ODD_BLOCKS, add_block_settings, add_block_stories, add_blocked_people
from services.sandbox.seed_evidence import add_evidence, sort_by_time
from services.sandbox.seed_posture import add_posture
from services.sandbox.seed_symptoms import SYMPTOM_BLOCKS, add_symptom_people, add_symptom_stories
from services.sandbox.state import (
    BOT_FRAMEWORK,
    COMPLIANCE,
    EXCHANGE,
    GLOBAL_ADMINISTRATOR,
    GRAPH,
    AppRegistration,
    BlockedConnector,
    Clock,
    Group,
    InboxRule,
    Person,
    Tenant,
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

#: Every app permission that the facts name for the bot, granted by default.
GRAPH_ROLES = frozenset(
    {
        "Application.Read.All",
        "AppRoleAssignment.ReadWrite.All",
        "AuditLog.Read.All",
        "AuditLogsQuery-Exchange.Read.All",
        "AuditLogsQuery-Entra.Read.All",
        "AuditLogsQuery.Read.All",
        "Device.Read.All",
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
        "RoleManagement.ReadWrite.Directory",
        "Schedule.Read.All",
        "SecurityAlert.Read.All",
        "SecurityAlert.ReadWrite.All",
        "SecurityEvents.Read.All",
        "User-PasswordProfile.ReadWrite.All",
        "User.EnableDisableAccount.All",
        "User.Read.All",
        "User.RevokeSessions.All",
        "UserAuthMethod-TAP.ReadWrite.All",
        "UserAuthenticationMethod.Read.All",
        "UserAuthenticationMethod.ReadWrite.All",
    }
)


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
    _add_on_call(tenant, now)
    _add_jane_mailbox(known(tenant, JANE))
    _add_other_mailboxes(tenant, now)
    add_evidence(tenant, now)
    add_symptom_stories(tenant, now)
    add_attack_stories(tenant, now)
    add_block_stories(tenant, now)
    sort_by_time(tenant)
    _add_blocks(tenant, now)
    add_posture(tenant)
    add_block_settings(tenant)
    return tenant


def _add_people(tenant: Tenant, now: datetime) -> None:
    add = adder(tenant, now)
    add(ALEX, "Alex Wilber", "alex", job_title="IT support")
    add(MEGAN, "Megan Bowen", "megan", job_title="IT security")
    add(JANE, "Jane Doe", "jane", language="sv-SE", job_title="Accounts payable", password_days=400)
    add(INES, "Ines Falk", "ines", job_title="Designer")
    add(OMAR, "Omar Said", "omar", job_title="Marketing")
    add(ADELE_VANCE, "Adele Vance", "adele.vance", job_title="Retail manager")
    add(ADELE_BERG, "Adele Berg", "adele.berg", language="sv-SE", job_title="Buyer", second_factor=False)
    add(GRACE, "Grace Hopp", "grace", job_title="Head of IT").role_definition_ids = [GLOBAL_ADMINISTRATOR]
    add(SVEN, "Sven Lind", "sven", language="sv-SE", job_title="Sales").synced = True
    add(TOVE, "Tove Ek", "tove", language="sv-SE", job_title="Events", second_factor=False)
    add(SAM, "Sam Stranger", "sam", job_title="Trainee", second_factor=False)
    _add_pia(add)
    _add_info(add)
    _add_nils(add)
    _add_guest(tenant, now)
    _add_dan(tenant, now)
    add_symptom_people(add)
    add_attacked_people(add)
    add_blocked_people(add)


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


def _add_on_call(tenant: Tenant, now: datetime) -> None:
    """The team that has shifts is the on-call group: a team and its group have one id."""
    people = [(name, known(tenant, f"{name}@contoso.com")) for name in ("megan", "alex", "grace", "sam", "ines")]
    tenant.on_call = plans_of(ON_CALL_TEAM, {name: (person.oid, person.upn) for name, person in people}, now)


def _add_jane_mailbox(jane: Person) -> None:
    mailbox = mailbox_of(jane)
    mailbox.forwarding_smtp = "smtp:collector.x91@mailbox-drop.example"
    mailbox.deliver_and_forward = True
    mailbox.client_side_rules = 2
    mailbox.rules += [
        InboxRule(rule_identity(JANE, 3), "Team newsletter", 3, from_contains=["news@contoso.com"], mark_read=True),
        InboxRule(
            rule_identity(JANE, 4),
            ".",
            4,
            forward_to=[("Collector", "collector.x91@mailbox-drop.example")],
            move_to="rss",
            mark_read=True,
            stop=True,
        ),
        InboxRule(rule_identity(JANE, 5), "sync", 5, hidden=True, subject_contains=["invoice"], delete=True),
    ]


def _add_other_mailboxes(tenant: Tenant, now: datetime) -> None:
    ines = mailbox_of(known(tenant, INES))
    ines.rules.append(
        InboxRule(rule_identity(INES, 3), "Receipts", 3, subject_contains=["receipt"], move_to="invoices")
    )
    grace = mailbox_of(known(tenant, GRACE))
    grace.rules.append(
        InboxRule(
            rule_identity(GRACE, 3),
            "Delegate Rule -8069403",
            3,
            read_only=True,
            redirect_to=[("Alex Wilber", "alex@contoso.com")],
        )
    )
    mailbox_of(known(tenant, ALEX)).devices.append(phone_partnership("Alex's phone", now - timedelta(days=200), now))
    mailbox_of(known(tenant, JANE)).devices += [
        phone_partnership("Jane's phone", now - timedelta(days=500), now - timedelta(hours=20)),
        phone_partnership("Unknown device", now - timedelta(hours=3), now - timedelta(hours=1)),
    ]


def _add_blocks(tenant: Tenant, now: datetime) -> None:
    blocks = (
        ("jane@contoso.com", limit_reason(3, 1043), 2.1, False),
        ("omar@contoso.com", spam_reason(912, 1000), 5.0, False),
        ("pia@contoso.com", limit_reason(0, 640), 9.0, False),
        ("sven@contoso.com", limit_reason(11, 700), 26.0, False),
        ("grace@contoso.com", spam_reason(75, 120), 7.5, False),
        ("tove@contoso.com", limit_reason(0, 1200), 0.7, True),
        ("scanner@contoso.com", spam_reason(40, 51), 50.0, False),
        *((address, reason, hours, False) for address, reason, hours in ODD_BLOCKS),
        *((address, limit_reason(2, 640), hours, False) for address, hours, _ in (*SYMPTOM_BLOCKS, *ATTACK_BLOCKS)),
    )
    start = len(tenant.alerts)
    for address, reason, hours_ago, temporary in blocks:
        entry = tenant.block(address, reason, temporary=temporary)
        entry.created_at = now - timedelta(hours=hours_ago)
        entry.changed_at = entry.created_at
        tenant.alerts[-1].created_at = entry.created_at + timedelta(minutes=4)
    tenant.alerts[start:] = sorted(tenant.alerts[start:], key=lambda alert: alert.created_at, reverse=True)
    tenant.blocked_connectors.append(
        BlockedConnector(
            BLOCKED_CONNECTOR, "SuspiciousActivity;OutboundSpamPercent=88", now - timedelta(days=2), "Scanner relay"
        )
    )
