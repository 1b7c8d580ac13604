"""
One account for each thing that an attacker leaves behind, and honest people who look a little like it.

All are blocked. Those that are not honest were signed in to from Bucharest and sent the same to three hundred
strangers, as in `seed_symptoms.py`; nothing else about them is odd but what the table says.

| name    | what is true                                                            | what should come out             |
| ------- | ----------------------------------------------------------------------- | -------------------------------- |
| della   | full access, send as, on behalf, and an Inbox entry for others, all new | four delegates found, removed    |
| april   | given an app whose publisher nobody has verified, created today         | app found, assignment removed    |
| ada     | Exchange Administrator since yesterday                                  | role found, removed; reset waits |
| phil    | a second phone number for signing in, added from elsewhere              | method found, removed            |
| lars    | signed in to by IMAP, POP and authenticated SMTP, all open              | sign-ins found, protocols off    |
| support | a shared mailbox with sign-in enabled, used from the office too         | sign-ins found; sign-in blocked  |
| mona    | a phone that synchronises since two hours, beside her old one           | partnership found                |
| devi    | a computer registered this morning, beside the managed one              | device found                     |
| bea     | background sign-ins from an address that tried three other accounts     | sign-ins and address found       |
| viggo   | Stockholm, then London six hours later, on the same managed laptop      | honest: unblock alone            |
| eva     | assistant: old delegates, rules to a project folder, a false alert      | honest: unblock alone            |
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sandbox.graph.methods import ALTERNATE_MOBILE_PHONE
from services.sandbox.seed_basics import known, mailbox_of, phone_partnership, rule_identity
from services.sandbox.seed_evidence import cmdlet_record, item_record, send_weekly
from services.sandbox.seed_symptoms import DROP_ADDRESS, elsewhere_ip, from_elsewhere, send_to_strangers
from services.sandbox.state import (
    EXCHANGE_ADMINISTRATOR,
    ROLE_NAMES,
    Alert,
    AppRoleAssignment,
    AuthMethod,
    DirectoryAudit,
    InboxRule,
    Person,
    RegisteredDevice,
    ServicePrincipal,
    SignIn,
    Tenant,
    opaque_id,
    stable_uuid,
)

DELLA = "a1e00000-0000-4000-8000-000000000021"
APRIL = "a1e00000-0000-4000-8000-000000000022"
ADA = "a1e00000-0000-4000-8000-000000000023"
PHIL = "a1e00000-0000-4000-8000-000000000024"
LARS = "a1e00000-0000-4000-8000-000000000025"
SUPPORT = "a1e00000-0000-4000-8000-000000000026"
MONA = "a1e00000-0000-4000-8000-000000000027"
DEVI = "a1e00000-0000-4000-8000-000000000028"
BEA = "a1e00000-0000-4000-8000-000000000029"
VIGGO = "a1e00000-0000-4000-8000-00000000002a"
EVA = "a1e00000-0000-4000-8000-00000000002b"
PDF_READER_PLUS = "d0000000-0000-4000-8000-000000000005"

#: From where Bea's account, and others, are tried: another computer of the same attacker.
SPRAYING_IP = "198.51.100.93"
LONDON_IP = "192.0.2.180"
#: Address, for how many hours it has been blocked, and before how many hours somebody signed in from elsewhere.
ATTACK_BLOCKS: tuple[tuple[str, float, float | None], ...] = (
    ("della@contoso.com", 3.0, 5.5),
    ("april@contoso.com", 2.0, 4.5),
    ("ada@contoso.com", 6.0, 25.5),
    ("phil@contoso.com", 2.2, 4.7),
    ("lars@contoso.com", 1.8, None),
    ("support@contoso.com", 4.2, None),
    ("mona@contoso.com", 1.0, 3.5),
    ("devi@contoso.com", 2.8, 7.0),
    ("bea@contoso.com", 3.2, None),
    ("viggo@contoso.com", 1.2, None),
    ("eva@contoso.com", 7.0, None),
)


def add_attacked_people(add: Callable[..., Person]) -> None:
    """The accounts themselves."""
    for oid, name, language, job_title in (
        (DELLA, "Della Hart", "en-US", "Legal"),
        (APRIL, "April Ness", "en-US", "Design"),
        (ADA, "Ada Quist", "sv-SE", "IT operations"),
        (PHIL, "Phil Dorr", "en-US", "Sales"),
        (LARS, "Lars Ek", "sv-SE", "Maintenance"),
        (MONA, "Mona Falk", "sv-SE", "Field service"),
        (DEVI, "Devi Rao", "en-US", "Controlling"),
        (BEA, "Bea Holt", "en-US", "Customer care"),
        (VIGGO, "Viggo Strand", "sv-SE", "Key accounts"),
        (EVA, "Eva Brandt", "en-US", "Assistant to the management"),
    ):
        add(oid, name, name.partition(" ")[0].lower(), language=language, job_title=job_title)
    support = add(SUPPORT, "Support", "support", second_factor=False)
    support.surname = ""
    mailbox_of(support).kind = "SharedMailbox"
    mailbox_of(support).permissions.append(("bea@contoso.com", ["FullAccess"], False))


def add_attack_stories(tenant: Tenant, now: datetime) -> None:
    """What has happened to them, each in a function of their own."""
    for address, hours, signed_in in ATTACK_BLOCKS:
        person = known(tenant, address)
        if signed_in is not None:
            tenant.sign_ins.append(from_elsewhere(person, now - timedelta(hours=signed_in)))
        if person.oid not in (VIGGO, EVA):
            from_ip = elsewhere_ip(person) if person.oid == LARS else ""
            send_to_strangers(tenant, person, now - timedelta(hours=hours + 1), "Following up", from_ip=from_ip)
    for oid, story in (
        (DELLA, _delegates),
        (APRIL, _unverified_app),
        (ADA, _new_role),
        (PHIL, _second_phone_number),
        (LARS, _old_protocols),
        (SUPPORT, _shared_mailbox),
        (MONA, _new_partnership),
        (DEVI, _new_device),
        (BEA, _background_sign_ins),
        (VIGGO, _travel),
        (EVA, _assistant),
    ):
        story(tenant, known(tenant, oid), now)


def _delegates(tenant: Tenant, della: Person, now: datetime) -> None:
    mailbox, at = mailbox_of(della), now - timedelta(hours=5)
    guest = next(person for person in tenant.people if person.user_type == "Guest")
    mailbox.permissions.append((guest.upn, ["FullAccess"], False))
    mailbox.send_as.append(guest.upn)
    mailbox.send_on_behalf.append("Sam Stranger")
    # Outside users who never were in the directory show by address.
    mailbox.folder_permissions["inbox"] = [("Default", ["None"]), ("Anonymous", ["None"]), (DROP_ADDRESS, ["Editor"])]
    cmdlets = (
        ("Add-MailboxPermission", {"Identity": della.upn, "User": guest.upn, "AccessRights": "FullAccess"}),
        ("Add-RecipientPermission", {"Identity": della.upn, "Trustee": guest.upn, "AccessRights": "SendAs"}),
        ("Set-Mailbox", {"Identity": della.upn, "GrantSendOnBehalfTo": "Sam Stranger"}),
    )
    for number, (cmdlet, parameters) in enumerate(cmdlets):
        later = at + timedelta(minutes=number)
        tenant.audit_records.append(cmdlet_record(della, later, cmdlet, elsewhere_ip(della), della.upn, parameters))
    opened = item_record(della, at + timedelta(minutes=4), "AddFolderPermissions", elsewhere_ip(della), "inbox", [""])
    opened.data["Item"]["ParentFolder"] |= {"MemberUpn": DROP_ADDRESS, "MemberRights": "ReadAny, Create, EditAny"}
    tenant.audit_records.append(opened)


def _unverified_app(tenant: Tenant, april: Person, now: datetime) -> None:
    at = now - timedelta(hours=3, minutes=30)
    app = ServicePrincipal(
        PDF_READER_PLUS, stable_uuid("app", "pdf reader"), "PDF Reader Plus", None, "https://pdf-plus.example", at
    )
    tenant.service_principals.append(app)
    assignment_id = opaque_id("assignment", app.oid, april.oid)[6:49]
    tenant.app_role_assignments.append(AppRoleAssignment(assignment_id, april.oid, app.oid, at))
    tenant.directory_audits.append(
        DirectoryAudit(
            at,
            "Add app role assignment grant to user",
            "UserManagement",
            app.oid,
            app.name,
            april.oid,
            initiator_ip=elsewhere_ip(april),
            target_kind="ServicePrincipal",
            more_targets=[(april.oid, april.upn, "User")],
        )
    )


def _new_role(tenant: Tenant, ada: Person, now: datetime) -> None:
    ada.role_definition_ids.append(EXCHANGE_ADMINISTRATOR)
    name = ROLE_NAMES[EXCHANGE_ADMINISTRATOR]
    tenant.directory_audits.append(
        DirectoryAudit(
            now - timedelta(hours=25),
            "Add member to role",
            "RoleManagement",
            ada.oid,
            ada.upn,
            initiator_app="MS-PIM",
            more_targets=[(EXCHANGE_ADMINISTRATOR, name, "Role")],
            changes=[
                ("Role.ObjectID", None, f'"{EXCHANGE_ADMINISTRATOR}"'),
                ("Role.DisplayName", None, f'"{name}"'),
                ("Role.TemplateId", None, f'"{EXCHANGE_ADMINISTRATOR}"'),
            ],
        )
    )


def _second_phone_number(tenant: Tenant, phil: Person, now: datetime) -> None:
    extra = {"phoneNumber": "+40 721555010", "phoneType": "alternateMobile", "smsSignInState": "notSupported"}
    phil.methods.append(AuthMethod(ALTERNATE_MOBILE_PHONE, "phone", None, extra))
    tenant.directory_audits.append(
        DirectoryAudit(
            now - timedelta(hours=4),
            "User registered security info",
            "UserManagement",
            phil.oid,
            phil.upn,
            phil.oid,
            initiator_ip=elsewhere_ip(phil),
            details=[("AuthenticationMethod", "Alternate mobile phone")],
        )
    )


def _old_protocols(tenant: Tenant, lars: Person, now: datetime) -> None:
    start = now - timedelta(hours=4)
    tenant.sign_ins += [
        from_elsewhere(lars, start + timedelta(minutes=number), "IMAP4", error=50126) for number in range(4)
    ]
    for minutes, protocol in ((6, "IMAP4"), (9, "POP3"), (31, "Authenticated SMTP"), (70, "Authenticated SMTP")):
        tenant.sign_ins.append(from_elsewhere(lars, start + timedelta(minutes=minutes), protocol))


def _shared_mailbox(tenant: Tenant, support: Person, now: datetime) -> None:
    start = now - timedelta(hours=6)
    for minutes in (0, 25, 50):
        tenant.sign_ins.append(from_elsewhere(support, start + timedelta(minutes=minutes), "Browser"))


def _new_partnership(tenant: Tenant, mona: Person, now: datetime) -> None:
    old = phone_partnership("Mona's iPhone", now - timedelta(days=380), now - timedelta(hours=3))
    new = phone_partnership("Pixel 4a", now - timedelta(hours=2, minutes=10), now - timedelta(minutes=70))
    mailbox_of(mona).devices += [old, {**new, "DeviceOS": "Android 13", "DeviceType": "Android"}]


def _new_device(tenant: Tenant, devi: Person, now: datetime) -> None:
    at = now - timedelta(hours=6, minutes=30)
    strange = RegisteredDevice(stable_uuid("device", "DESKTOP-7Q2K"), "DESKTOP-7Q2K", "Windows", at)
    devi.devices += [_managed_laptop("DEVI-LT02", now - timedelta(days=290)), strange]
    tenant.directory_audits.append(
        DirectoryAudit(
            at,
            "Add registered owner to device",
            "Device",
            devi.oid,
            devi.upn,
            devi.oid,
            initiator_ip=elsewhere_ip(devi),
            more_targets=[(strange.oid, strange.name, "Device")],
        )
    )


def _managed_laptop(name: str, since: datetime) -> RegisteredDevice:
    return RegisteredDevice(
        stable_uuid("device", name), name, "Windows", since, "AzureAd", managed=True, compliant=True
    )


def _background_sign_ins(tenant: Tenant, bea: Person, now: datetime) -> None:
    start = now - timedelta(hours=6)
    # Three others were tried in vain, and her own sign-in was stopped once; a stolen token needs no password.
    tried = [known(tenant, name) for name in ("alex@contoso.com", "megan@contoso.com", "sam@contoso.com")]
    for number, person in enumerate(tried):
        at = start - timedelta(minutes=20 - number)
        tenant.sign_ins.append(from_elsewhere(person, at, "Browser", ip=SPRAYING_IP, error=50126))
    tenant.sign_ins.append(from_elsewhere(bea, start, "Browser", ip=SPRAYING_IP, error=50074))
    for number in range(6):
        sign_in = from_elsewhere(bea, start + timedelta(minutes=10 + 20 * number), "Browser", ip=SPRAYING_IP)
        sign_in.interactive = False
        tenant.sign_ins.append(sign_in)


def _travel(tenant: Tenant, viggo: Person, now: datetime) -> None:
    laptop = "VIGGO-LT01"
    viggo.devices.append(_managed_laptop(laptop, now - timedelta(days=500)))
    for sign_in in tenant.sign_ins:
        if sign_in.person_oid == viggo.oid:
            sign_in.device_name, sign_in.managed = laptop, True
    # The last one at home is nine hours old. Microsoft cannot say where in Slough his second address is.
    for hours, city in ((3.0, "London"), (1.6, "Slough"), (0.5, "London")):
        at = now - timedelta(hours=hours)
        tenant.sign_ins.append(SignIn(at, viggo.oid, LONDON_IP, city, "GB", device_name=laptop, managed=True))
    send_weekly(tenant, viggo, now - timedelta(hours=1, minutes=40), "Price list, week", 40)


def _assistant(tenant: Tenant, eva: Person, now: datetime) -> None:
    mailbox = mailbox_of(eva)
    mailbox.permissions.append(("alex@contoso.com", ["FullAccess"], False))
    mailbox.send_on_behalf.append("Grace Hopp")
    mailbox.folder_permissions["calendar"].append(("Grace Hopp", ["Editor"]))
    mailbox.rules += [
        InboxRule(rule_identity(EVA, 3), "Board papers", 3, subject_contains=["board"], move_to="projects"),
        InboxRule(rule_identity(EVA, 4), "Invoices of the board", 4, subject_contains=["invoice"], move_to="projects"),
        InboxRule(
            rule_identity(EVA, 5),
            "Travel",
            5,
            from_contains=["travel@contoso.com"],
            forward_to=[("Grace Hopp", "grace@contoso.com")],
        ),
    ]
    send_weekly(tenant, eva, now - timedelta(hours=7, minutes=25), "Agenda, week", 45)
    tenant.alerts.append(
        Alert(
            f"da{stable_uuid('alert', eva.oid)}",
            "Creation of forwarding/redirect rule",
            "informational",
            now - timedelta(days=9),
            eva.oid,
            status="resolved",
            category="Exfiltration",
            classification="falsePositive",
            determination="notMalicious",
        )
    )
