"""
One account for each of the ten symptoms that Microsoft lists, all blocked; nothing else is odd there.

Source of S1 to S10: "Responding to a compromised email account", 2024-06-10. All that are not called honest were also
signed in to from Bucharest once, and then sent the same to three hundred strangers in an hour.

| name  |     | what is true                                                         | what should come out            |
| ----- | --- | -------------------------------------------------------------------- | ------------------------------- |
| dora  | S1  | 33 messages deleted in ten minutes, most of them from Sent Items     | deleted mail is found           |
| simon | S2  | what they got is neither in Sent Items nor in Deleted Items    | missing copies are found        |
| rune  | S3  | a rule moves mail to RSS-prenumerationer, a hidden rule ".." deletes | both rules found, turned off    |
| nora  | S4  | her display name was changed from another country                    | a profile change is found       |
| bella | S5  | blocked for a newsletter that she sends every week                   | honest: unblock alone           |
| tess  | S6  | payment, password and gift card subjects in Sent and Deleted Items   | scam subjects are found         |
| paul  | S7  | phone number and postal code were changed from another country       | a profile change is found       |
| petra | S8  | five password changes in a day, two of them resets                   | password changes are found      |
| frank | S9  | all mail forwarded outside since yesterday, no copy kept; an alert   | forwarding found, cleared       |
| signe | S10 | a payment link and another IBAN in her signature                     | a signature is found            |
| rolf  | S10 | roaming signatures, and a mailing that he sends every week           | honest; signature not checkable |
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sandbox.seed_basics import known, mailbox_of, rule_identity
from services.sandbox.seed_evidence import cmdlet_record, item_record, send, send_weekly
from services.sandbox.state import (
    Alert,
    DirectoryAudit,
    InboxRule,
    Message,
    Person,
    SignIn,
    Tenant,
    opaque_id,
    stable_uuid,
)

DORA = "a1e00000-0000-4000-8000-000000000011"
SIMON = "a1e00000-0000-4000-8000-000000000012"
RUNE = "a1e00000-0000-4000-8000-000000000013"
NORA = "a1e00000-0000-4000-8000-000000000014"
BELLA = "a1e00000-0000-4000-8000-000000000015"
TESS = "a1e00000-0000-4000-8000-000000000016"
PAUL = "a1e00000-0000-4000-8000-000000000017"
PETRA = "a1e00000-0000-4000-8000-000000000018"
FRANK = "a1e00000-0000-4000-8000-000000000019"
SIGNE = "a1e00000-0000-4000-8000-00000000001a"
ROLF = "a1e00000-0000-4000-8000-00000000001b"

DROP_ADDRESS = "collector.x91@mailbox-drop.example"
#: Address, for how many hours it has been blocked, and before how many hours somebody signed in from elsewhere.
SYMPTOM_BLOCKS: tuple[tuple[str, float, float | None], ...] = (
    ("dora@contoso.com", 3.0, 5.5),
    ("simon@contoso.com", 2.5, 5.0),
    ("rune@contoso.com", 6.0, 8.5),
    ("nora@contoso.com", 4.0, 6.5),
    ("bella@contoso.com", 1.5, None),
    ("tess@contoso.com", 3.5, 6.0),
    ("paul@contoso.com", 5.0, 7.5),
    ("petra@contoso.com", 4.5, 22.0),
    ("frank@contoso.com", 8.0, 27.0),
    ("signe@contoso.com", 10.0, 12.5),
    ("rolf@contoso.com", 12.0, None),
)


def add_symptom_people(add: Callable[..., Person]) -> None:
    """The accounts themselves."""
    for oid, name, language, job_title in (
        (DORA, "Dora Lund", "en-US", "Payroll"),
        (SIMON, "Simon Ray", "en-US", "Sales"),
        (RUNE, "Rune Ask", "sv-SE", "Warehouse"),
        (NORA, "Nora Lie", "sv-SE", "Reception"),
        (BELLA, "Bella Moss", "en-US", "Communications"),
        (TESS, "Tess Kent", "en-US", "Accounts receivable"),
        (PAUL, "Paul Frey", "en-US", "Procurement"),
        (PETRA, "Petra Sand", "sv-SE", "Logistics"),
        (FRANK, "Frank Olsen", "en-US", "Finance"),
        (SIGNE, "Signe Dahl", "sv-SE", "Sales"),
        (ROLF, "Rolf Hagen", "sv-SE", "Training"),
    ):
        add(oid, name, name.partition(" ")[0].lower(), language=language, job_title=job_title)


def add_symptom_stories(tenant: Tenant, now: datetime) -> None:
    """What has happened to them, each in a function of their own."""
    for address, hours, signed_in in SYMPTOM_BLOCKS:
        person = known(tenant, address)
        if signed_in is not None:
            tenant.sign_ins.append(from_elsewhere(person, now - timedelta(hours=signed_in)))
            subject, kept = ("Payment overdue" if person.oid == TESS else "Following up"), person.oid != SIMON
            send_to_strangers(tenant, person, now - timedelta(hours=hours + 1), subject, keep_copy=kept)
    for oid, story in (
        (DORA, _deleted_mail),
        (RUNE, _moving_rules),
        (NORA, _new_name),
        (BELLA, _weekly_newsletter),
        (TESS, _scam_subjects),
        (PAUL, _new_phone_number),
        (PETRA, _password_changes),
        (FRANK, _forwarding),
        (SIGNE, _payment_signature),
        (ROLF, _roaming_signature),
    ):
        story(tenant, known(tenant, oid), now)


def elsewhere_ip(person: Person) -> str:
    """The address of the attacker of this account, one for each, all in Bucharest."""
    return f"198.51.100.{100 + int(person.oid[-2:], 16)}"


def from_elsewhere(
    person: Person, at: datetime, client_app: str = "Browser", *, ip: str = "", error: int = 0
) -> SignIn:
    """A sign-in from Bucharest, with a browser or a protocol."""
    reasons = {
        50126: "Error validating credentials due to invalid username or password.",
        50074: "Strong Authentication is required.",
    }
    return SignIn(
        at,
        person.oid,
        ip or elsewhere_ip(person),
        "Bucharest",
        "RO",
        error_code=error,
        reason=reasons.get(error),
        client_app=client_app,
        browser="Chrome 141.0.0" if client_app == "Browser" else "",
        system="Linux",
    )


def send_to_strangers(
    tenant: Tenant, person: Person, start: datetime, subject: str, *, keep_copy: bool = True, from_ip: str = ""
) -> None:
    """Thirty messages with ten recipients each in not quite an hour, one subject for all."""
    more = {"from_ip": from_ip} if from_ip else {}
    for number in range(30):
        recipients = [f"stranger{10 * number + one}@northwind{one}.example" for one in range(10)]
        at = start + timedelta(seconds=110 * number)
        send(tenant, person, at, subject, recipients, keep_copy=keep_copy, **more)


def _deleted_mail(tenant: Tenant, dora: Person, now: datetime) -> None:
    start = now - timedelta(hours=3, minutes=10)
    for number in range(28):
        at, subjects = start + timedelta(seconds=20 * number), ["Following up"]
        tenant.audit_records.append(item_record(dora, at, "HardDelete", elsewhere_ip(dora), "sentitems", subjects))
    for number in range(5):
        at, subjects = start + timedelta(minutes=9, seconds=number), ["Is this really from you?"]
        tenant.audit_records.append(item_record(dora, at, "SoftDelete", elsewhere_ip(dora), "inbox", subjects))


def _moving_rules(tenant: Tenant, rune: Person, now: datetime) -> None:
    mailbox = mailbox_of(rune)
    mailbox.rules += [
        InboxRule(rule_identity(RUNE, 3), "Uppdatering", 3, move_to="rss", mark_read=True, stop=True),
        InboxRule(rule_identity(RUNE, 4), "..", 4, hidden=True, subject_contains=["faktura"], delete=True),
    ]
    for number, rule in enumerate(mailbox.rules[-2:]):
        parameters = {"Name": rule.name, "MoveToFolder": "RSS-prenumerationer" if rule.move_to else ""}
        if rule.delete:
            parameters = {"Name": rule.name, "SubjectContainsWords": "faktura", "DeleteMessage": "True"}
        at, target = now - timedelta(hours=7, minutes=-number), f"{rune.upn}\\{rule.rule_identity}"
        tenant.audit_records.append(cmdlet_record(rune, at, "New-InboxRule", elsewhere_ip(rune), target, parameters))


def _new_name(tenant: Tenant, nora: Person, now: datetime) -> None:
    nora.display_name = "Nora Lie - Payroll Team"
    changes: list[tuple[str, str | None, str | None]] = [("DisplayName", '["Nora Lie"]', f'["{nora.display_name}"]')]
    tenant.directory_audits.append(profile_change(nora, now - timedelta(hours=5, minutes=20), changes))


def profile_change(person: Person, at: datetime, changes: list[tuple[str, str | None, str | None]]) -> DirectoryAudit:
    """An "Update user" that an account has made to itself, from elsewhere; Entra names the changed ones once more."""
    names = ", ".join(name for name, _, _ in changes)
    return DirectoryAudit(
        at,
        "Update user",
        "UserManagement",
        person.oid,
        person.upn,
        person.oid,
        initiator_ip=elsewhere_ip(person),
        changes=[*changes, ("Included Updated Properties", None, f'"{names}"')],
        audit_id=f"Directory_{stable_uuid('profile', person.oid)}",
    )


def _weekly_newsletter(tenant: Tenant, bella: Person, now: datetime) -> None:
    send_weekly(tenant, bella, now - timedelta(hours=1, minutes=50), "Contoso weekly, issue", 120)


def _scam_subjects(tenant: Tenant, tess: Person, now: datetime) -> None:
    start = now - timedelta(hours=4)
    for number, subject in enumerate(
        ("Your password expires today", "Gift cards for the team, urgent", "Invoice with new bank details")
    ):
        send(tenant, tess, start + timedelta(minutes=number), subject, [f"partner{number}@fabrikam.example"])
    deleted = mailbox_of(tess).messages.setdefault("deleteditems", [])
    for number, subject in enumerate(("Re: Payment overdue", "Undeliverable: Invoice with new bank details")):
        message_id = opaque_id(tess.oid, "deleted", str(number))
        deleted.append(Message(message_id, start + timedelta(minutes=30 + number), subject, [tess.upn]))


def _new_phone_number(tenant: Tenant, paul: Person, now: datetime) -> None:
    paul.mobile_phone, paul.postal_code = "+40 21 555 0100", "010011"
    changes: list[tuple[str, str | None, str | None]] = [
        ("TelephoneNumber", '["+46 8 555 0142"]', '["+40 21 555 0100"]'),
        ("Mobile", "[]", '["+40 21 555 0100"]'),
        ("PostalCode", '["111 20"]', '["010011"]'),
    ]
    tenant.directory_audits.append(profile_change(paul, now - timedelta(hours=6, minutes=15), changes))


def _password_changes(tenant: Tenant, petra: Person, now: datetime) -> None:
    petra.last_password_change = now - timedelta(hours=5)
    for number, activity in enumerate(
        (
            "Change user password",
            "Reset password (self-service)",
            "Change user password",
            "Reset password (self-service)",
            "Change user password",
        )
    ):
        tenant.directory_audits.append(
            DirectoryAudit(
                now - timedelta(hours=5 + 4 * number),
                activity,
                "UserManagement",
                petra.oid,
                petra.upn,
                petra.oid,
                initiator_ip=elsewhere_ip(petra),
                audit_id=f"Directory_{stable_uuid('password', str(number))}",
            )
        )


def _forwarding(tenant: Tenant, frank: Person, now: datetime) -> None:
    mailbox, at = mailbox_of(frank), now - timedelta(hours=26)
    mailbox.forwarding_smtp, mailbox.deliver_and_forward = f"smtp:{DROP_ADDRESS}", False
    parameters = {
        "Identity": frank.upn,
        "ForwardingSmtpAddress": mailbox.forwarding_smtp,
        "DeliverToMailboxAndForward": "False",
    }
    tenant.audit_records.append(cmdlet_record(frank, at, "Set-Mailbox", elsewhere_ip(frank), frank.upn, parameters))
    tenant.alerts.append(
        Alert(
            f"da{stable_uuid('alert', frank.oid)}",
            "Suspicious email forwarding activity",
            "high",
            at + timedelta(minutes=40),
            frank.oid,
            status="inProgress",
            category="Exfiltration",
            classification="truePositive",
            determination="compromisedAccount",
        )
    )


def _payment_signature(tenant: Tenant, signe: Person, now: datetime) -> None:
    mailbox_of(signe).signature = (
        "<div>Signe Dahl<br>Sales, Contoso Ltd</div><div>Vi har nya bankuppgifter. Kontonummer: "
        'GB33BUKB20201555555555. <a href="https://pay-contoso.example/nytt-konto">Bekräfta betalningen</a></div>'
    )


def _roaming_signature(tenant: Tenant, rolf: Person, now: datetime) -> None:
    mailbox_of(rolf).roaming_signatures = True
    send_weekly(tenant, rolf, now - timedelta(hours=12, minutes=20), "Courses this week, number", 60)
