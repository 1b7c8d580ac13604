"""What has happened to Contoso's people lately: sign-ins, risk, audit logs, consents, sent mail, alerts."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from services.sandbox.state import (
    Alert,
    AppRoleAssignment,
    AuditRecord,
    AuthMethod,
    DirectoryAudit,
    Grant,
    Message,
    Person,
    RiskDetection,
    RiskyUser,
    ServicePrincipal,
    SignIn,
    Tenant,
    TraceRow,
    opaque_id,
    stable_uuid,
)

MICROSOFT_GRAPH = "d0000000-0000-4000-8000-000000000001"
CONTOSO_INTRANET = "d0000000-0000-4000-8000-000000000002"
MAIL_MERGE_PRO = "d0000000-0000-4000-8000-000000000003"
TRAVEL_PLANNER = "d0000000-0000-4000-8000-000000000004"

HOME_IP = "192.0.2.44"
ATTACKER_IP = "203.0.113.66"
SCAM_SUBJECT = "Payment overdue - see attached"


def add_evidence(tenant: Tenant, now: datetime) -> None:
    """Add the whole story, everything relative to `now`."""
    people = {person.upn.partition("@")[0]: person for person in tenant.people}
    _add_applications(tenant)
    _add_grants(tenant, people, now)
    _add_everyday_sign_ins(tenant, now)
    _add_attack_sign_ins(tenant, people["jane"], now)
    _add_risk(tenant, people, now)
    _add_jane_methods(people["jane"], now)
    _add_directory_audits(tenant, people, now)
    _add_unified_audit(tenant, people["jane"], now)
    _add_mail(tenant, people, now)
    _add_other_alerts(tenant, people, now)
    _add_everyday_records(tenant, now)


def sort_by_time(tenant: Tenant) -> None:
    """Put all logs in the order in which they are read: the newest first."""
    for log in (tenant.sign_ins, tenant.directory_audits, tenant.audit_records, tenant.trace):
        log.sort(key=lambda entry: entry.at, reverse=True)


def send(
    tenant: Tenant,
    person: Person,
    at: datetime,
    subject: str,
    recipients: list[str],
    *,
    bcc: Sequence[str] = (),
    keep_copy: bool = True,
    from_ip: str = "198.51.100.23",
) -> None:
    """Let somebody send a message: a row of the message trace for each recipient, and a copy in Sent Items."""
    if person.mailbox is None:
        raise LookupError(f"{person.upn} has no mailbox")
    trace_id = stable_uuid("sent", person.oid, subject, str(at))
    # Exchange gives Message-IDs of its own form, under which both logs show the message.
    internet_id = f"<{trace_id.replace('-', '').upper()}@EURP193MB0815.EURP193.PROD.OUTLOOK.COM>"
    sender = person.mail or person.upn
    for recipient in (*recipients, *bcc):
        row = TraceRow(at, sender, recipient, subject, "Delivered", trace_id=trace_id, internet_id=internet_id)
        row.from_ip = from_ip
        tenant.trace.append(row)
    if keep_copy:
        message_id = opaque_id(person.oid, subject, str(at))
        body = f"{subject}, best wishes"
        copy = Message(message_id, at, subject, recipients, body, bcc=list(bcc), internet_id=internet_id)
        person.mailbox.messages.setdefault("sentitems", []).append(copy)


def _add_applications(tenant: Tenant) -> None:
    tenant.service_principals = [
        ServicePrincipal(
            MICROSOFT_GRAPH, "00000003-0000-0000-c000-000000000000", "Microsoft Graph", "Microsoft Services"
        ),
        ServicePrincipal(CONTOSO_INTRANET, stable_uuid("app", "intranet"), "Contoso Intranet", "Contoso Ltd"),
        # Nobody has verified who publishes this one.
        ServicePrincipal(
            MAIL_MERGE_PRO, stable_uuid("app", "mail merge"), "Mail Merge Pro", None, "https://mmpro.example"
        ),
        ServicePrincipal(TRAVEL_PLANNER, stable_uuid("app", "travel"), "Travel Planner", "Fabrikam Inc."),
    ]


def _add_grants(tenant: Tenant, people: dict[str, Person], now: datetime) -> None:
    jane = people["jane"].oid
    # Graph often begins the scope with a space.
    for client, scope, principal in (
        (CONTOSO_INTRANET, "User.Read openid profile", None),
        (MAIL_MERGE_PRO, " Mail.ReadWrite offline_access", jane),
        (TRAVEL_PLANNER, " Calendars.Read User.Read", jane),
        (TRAVEL_PLANNER, " User.Read", people["ines"].oid),
    ):
        grant_id = opaque_id("grant", client, principal or "everybody")[6:49]
        tenant.grants.append(Grant(grant_id, client, MICROSOFT_GRAPH, scope, principal))
    for client, person, days in (
        (CONTOSO_INTRANET, "jane", 600),
        (CONTOSO_INTRANET, "ines", 600),
        (MAIL_MERGE_PRO, "jane", 0.125),
    ):
        assignment_id = opaque_id("assignment", client, person)[6:49]
        assigned_at = now - timedelta(days=days)
        tenant.app_role_assignments.append(AppRoleAssignment(assignment_id, people[person].oid, client, assigned_at))


def _add_everyday_sign_ins(tenant: Tenant, now: datetime) -> None:
    workers = [person for person in tenant.people if person.licensed and person.deleted_at is None]
    for number, person in enumerate(workers):
        for day in range(28):
            at = now - timedelta(days=day, hours=5, minutes=7 * number)
            client_app = "Mobile Apps and Desktop clients" if day % 3 else "Browser"
            tenant.sign_ins.append(SignIn(at, person.oid, HOME_IP, "Stockholm", "SE", client_app=client_app))
        for day in range(0, 28, 4):
            at = now - timedelta(days=day, hours=6)
            tenant.sign_ins.append(SignIn(at, person.oid, HOME_IP, "Stockholm", "SE", interactive=False))


def _add_attack_sign_ins(tenant: Tenant, jane: Person, now: datetime) -> None:
    start = now - timedelta(hours=4)
    for number in range(14):
        tenant.sign_ins.append(
            SignIn(
                start + timedelta(seconds=40 * number),
                jane.oid,
                f"203.0.113.{60 + number % 4}",
                "Lagos" if number % 2 else "",
                "NG" if number % 2 else "",
                error_code=50126,
                reason="Error validating credentials due to invalid username or password.",
                client_app="IMAP4" if number % 3 else "Authenticated SMTP",
                risk_level="medium",
                risk_state="atRisk",
            )
        )
    for minutes, app_name, events in (
        (12, "Office 365 Exchange Online", ["anonymizedIPAddress", "unfamiliarFeatures"]),
        (30, "Office 365 Exchange Online", ["anonymizedIPAddress"]),
        (58, "Mail Merge Pro", ["unknownFutureValue"]),
    ):
        tenant.sign_ins.append(
            SignIn(
                start + timedelta(minutes=minutes),
                jane.oid,
                ATTACKER_IP,
                "Lagos",
                "NG",
                app_name=app_name,
                browser="Firefox 115.0",
                system="Linux",
                risk_level="high",
                risk_state="atRisk",
                risk_events=events,
            )
        )
    tenant.sign_ins.sort(key=lambda sign_in: sign_in.at, reverse=True)


def _add_risk(tenant: Tenant, people: dict[str, Person], now: datetime) -> None:
    jane, adele = people["jane"], people["adele.vance"]
    at = now - timedelta(hours=3, minutes=48)
    agent = [
        {"Key": "userAgent", "Value": "Mozilla/5.0 (X11; Linux x86_64; rv:115.0)"},
        {"Key": "riskReasons", "Value": "[]"},
    ]
    tenant.risky_users = [
        RiskyUser(jane.oid, "high", "atRisk", "none", now - timedelta(hours=3)),
        RiskyUser(adele.oid, "none", "remediated", "userPerformedSecuredPasswordReset", now - timedelta(days=40)),
    ]
    kinds = [
        "anonymizedIPAddress",
        "unfamiliarFeatures",
        "passwordSpray",
        "mcasSuspiciousInboxManipulationRules",
        "unlikelyTravel",
    ]
    # More than the default page of 20, and one kind that no list names yet.
    for number in range(23):
        tenant.risk_detections.append(
            RiskDetection(
                at + timedelta(minutes=number),
                jane.oid,
                kinds[number % len(kinds)] if number else "tokenWeatherAnomaly",
                "high" if number % 3 == 0 else "medium",
                ATTACKER_IP,
                "Lagos",
                "NG",
                timing="offline" if number % 2 else "realtime",
                additional=agent,
            )
        )
    tenant.risk_detections.append(
        RiskDetection(
            now - timedelta(days=40),
            adele.oid,
            "leakedCredentials",
            "medium",
            "",
            "",
            "",
            state="remediated",
            detail="userPerformedSecuredPasswordReset",
            timing="offline",
        )
    )


def _add_jane_methods(jane: Person, now: datetime) -> None:
    jane.methods += [
        AuthMethod(
            stable_uuid("method", "new"),
            "microsoftAuthenticator",
            now - timedelta(hours=3),
            {"displayName": "SM-A155F", "deviceTag": "SoftwareTokenActivated", "phoneAppVersion": "6.2509.6118"},
        ),
        AuthMethod(
            "-2_GTRag2-QYz6_1YG4YRAQ2",
            "fido2",
            now - timedelta(days=300),
            {
                "displayName": "Blue key",
                "aaGuid": "cb69481e-8ff7-4039-93ec-0a2729a154a8",
                "model": "YubiKey 5 Series",
                "attestationCertificates": [],
                "attestationLevel": "attested",
            },
        ),
    ]


def _add_directory_audits(tenant: Tenant, people: dict[str, Person], now: datetime) -> None:
    jane = people["jane"]
    theft = now - timedelta(hours=3)
    consent = DirectoryAudit(
        theft,
        "Consent to application",
        "ApplicationManagement",
        MAIL_MERGE_PRO,
        "Mail Merge Pro",
        jane.oid,
        initiator_ip=ATTACKER_IP,
        target_kind="ServicePrincipal",
        changes=[
            ("ConsentContext.IsAdminConsent", None, '"False"'),
            ("ConsentAction.Permissions", None, '"[] => [[Scope: Mail.ReadWrite offline_access]]"'),
        ],
    )
    tenant.directory_audits = [
        consent,
        DirectoryAudit(
            theft + timedelta(minutes=2),
            "User registered security info",
            "UserManagement",
            jane.oid,
            jane.upn,
            jane.oid,
            initiator_ip=ATTACKER_IP,
            details=[("AuthenticationMethod", "Microsoft Authenticator App with Push Notification")],
        ),
        DirectoryAudit(
            theft + timedelta(minutes=4),
            "Update user",
            "UserManagement",
            jane.oid,
            jane.upn,
            jane.oid,
            initiator_ip=ATTACKER_IP,
            changes=[("DisplayName", '["Jane Doe"]', '["Jane  Doe"]'), ("TelephoneNumber", "[]", '["+234 1 555 01"]')],
        ),
    ]
    for day in range(30):
        tenant.directory_audits.append(
            DirectoryAudit(
                now - timedelta(days=day, hours=2),
                "Update user",
                "UserManagement",
                people["ines"].oid,
                people["ines"].upn,
                initiator_app="Microsoft Substrate Management",
                changes=[("JobTitle", '["Designer"]', '["Designer"]')],
            )
        )
    tenant.directory_audits.sort(key=lambda audit: audit.at, reverse=True)


def _add_unified_audit(tenant: Tenant, jane: Person, now: datetime) -> None:
    mailbox = jane.mailbox
    suspicious = [rule for rule in mailbox.rules if rule.name in (".", "sync")] if mailbox else []
    start = now - timedelta(hours=3, minutes=20)
    for number, rule in enumerate(suspicious):
        parameters = [{"Name": "Name", "Value": rule.name}, {"Name": "AlwaysDeleteOutlookRulesBlob", "Value": "False"}]
        tenant.audit_records.append(
            AuditRecord(
                start + timedelta(minutes=number),
                "New-InboxRule",
                "ExchangeAdmin",
                "Exchange",
                jane.upn,
                ATTACKER_IP,
                f"{jane.upn}\\{rule.rule_identity}",
                {"Parameters": parameters, "ResultStatus": "True"},
            )
        )
    tenant.audit_records.append(
        AuditRecord(
            start + timedelta(minutes=4),
            "Set-Mailbox",
            "ExchangeAdmin",
            "Exchange",
            jane.upn,
            ATTACKER_IP,
            jane.upn,
            {"Parameters": [{"Name": "ForwardingSmtpAddress", "Value": "smtp:collector.x91@mailbox-drop.example"}]},
        )
    )
    for number in range(9):
        tenant.audit_records.append(
            AuditRecord(
                start + timedelta(minutes=10 + number),
                "HardDelete",
                "ExchangeItemGroup",
                "Exchange",
                jane.upn,
                ATTACKER_IP,
                "",
                {"Folder": {"Path": "\\Skickat"}, "AffectedItems": [{"Subject": SCAM_SUBJECT}]},
            )
        )
    for number in range(110):
        tenant.audit_records.append(
            AuditRecord(
                now - timedelta(days=1, minutes=number),
                "MailItemsAccessed",
                "ExchangeItemAggregated",
                "Exchange",
                jane.upn,
                HOME_IP,
                "",
                {"OperationCount": 1},
            )
        )
    tenant.audit_records.sort(key=lambda record: record.at, reverse=True)


def send_weekly(tenant: Tenant, person: Person, last: datetime, subject: str, readers: int) -> None:
    """The same mailing for five weeks, the readers hidden from each other."""
    receivers = [f"reader{number}@subscribers.example" for number in range(readers)]
    for week in range(5):
        at = last - timedelta(days=7 * week)
        send(tenant, person, at, f"{subject} {52 - week}", [person.mail or person.upn], bcc=receivers)


def _add_mail(tenant: Tenant, people: dict[str, Person], now: datetime) -> None:
    jane, omar, ines = people["jane"], people["omar"], people["ines"]
    burst = now - timedelta(hours=2, minutes=50)
    for number in range(240):
        status = (
            "failed" if number > 230 else ("Delivered", "delivered", "Pending")[number % 3 if number % 29 == 0 else 0]
        )
        at = burst + timedelta(seconds=9 * number)
        tenant.trace.append(
            TraceRow(at, jane.upn, f"victim{number}@fabrikam{number % 7}.example", SCAM_SUBJECT, status)
        )
    tenant.trace.sort(key=lambda row: row.at, reverse=True)
    # The scam is gone from Jane's sent items: whoever sent it has deleted it.
    send(tenant, jane, now - timedelta(hours=7), "Re: lunch", ["megan@contoso.com"])
    for subject, minutes in (("Sketches", 0), ("Sketches, second try", 25)):
        send(tenant, ines, now - timedelta(hours=7, minutes=-minutes), subject, ["megan@contoso.com"])
    for name, hours, readers in (("pia", 9.3, 80), ("sven", 26.4, 70), ("grace", 7.8, 50), ("tove", 1.1, 90)):
        send_weekly(tenant, people[name], now - timedelta(hours=hours), "News for our partners, week", readers)
    for week in range(3):
        for number in range(12):
            readers = [f"reader{5 * number + reader}@subscribers.example" for reader in range(5)]
            at = now - timedelta(days=7 * week, hours=5, minutes=20 - number)
            send(tenant, omar, at, "Contoso newsletter", readers)


def _add_everyday_records(tenant: Tenant, now: datetime) -> None:
    """What the audit log says of a mailbox in ordinary use: some mail sent, some thrown away."""
    for number, person in enumerate(person for person in tenant.people if person.mailbox is not None):
        for day in range(7):
            at = now - timedelta(days=day, hours=5, minutes=11 + 7 * number)
            tenant.audit_records += [
                item_record(person, at, "Send", HOME_IP, "", ["Notes of today"]),
                item_record(person, at + timedelta(minutes=3), "MoveToDeletedItems", HOME_IP, "inbox", ["Old news"]),
            ]
    tenant.audit_records.sort(key=lambda record: record.at, reverse=True)


def item_record(
    person: Person, at: datetime, operation: str, ip: str, folder_key: str, subjects: Sequence[str]
) -> AuditRecord:
    """Messages of a mailbox that its owner has handled; the folder is named in the language of the mailbox."""
    folder = person.mailbox.folder(folder_key) if person.mailbox and folder_key else None
    path = {"Path": f"\\{folder.name}"} if folder else {}
    items = [{"Subject": subject, **({"ParentFolder": path} if path else {})} for subject in subjects]
    several = operation in ("HardDelete", "SoftDelete", "MoveToDeletedItems", "Move")
    data = {
        "MailboxOwnerUPN": person.upn,
        "LogonType": 0,
        "ExternalAccess": False,
        "ClientInfoString": "Client=OWA;Action=ViaProxy",
        "ClientIPAddress": ip,
        "ResultStatus": "Succeeded",
        **({"Folder": path} if path else {}),
        **({"AffectedItems": items} if several else {"Item": items[0]}),
    }
    kind = "ExchangeItemGroup" if several else "ExchangeItem"
    record_id = stable_uuid("record", person.oid, operation, str(at))
    return AuditRecord(at, operation, kind, "Exchange", person.upn, ip, "", data, record_id)


def cmdlet_record(
    person: Person, at: datetime, cmdlet: str, ip: str, target: str, parameters: Mapping[str, str]
) -> AuditRecord:
    """A cmdlet that somebody has run; Exchange adds the port to the address here."""
    given = [{"Name": name, "Value": value} for name, value in parameters.items()]
    data = {"Parameters": given, "ResultStatus": "True", "ExternalAccess": False, "AppId": "", "SessionId": ""}
    record_id = stable_uuid("record", person.oid, cmdlet, str(at))
    return AuditRecord(at, cmdlet, "ExchangeAdmin", "Exchange", person.upn, f"{ip}:54812", target, data, record_id)


def _add_other_alerts(tenant: Tenant, people: dict[str, Person], now: datetime) -> None:
    jane = people["jane"]
    for title, severity, hours, source, category in (
        (
            "Suspicious email sending patterns detected",
            "medium",
            2.4,
            "microsoftDefenderForOffice365",
            "SuspiciousActivity",
        ),
        ("Creation of forwarding/redirect rule", "informational", 3.3, "microsoftDefenderForOffice365", "Exfiltration"),
        # A source and a severity that no published list has.
        ("Unusual spelling of greetings", "unknownFutureValue", 30, "microsoftGreetingProtection", "Other"),
        ("Malware found on a computer", "low", 200, "microsoftDefenderForEndpoint", "Malware"),
    ):
        person_oid = jane.oid if "email" in title or "rule" in title else None
        alert_id = f"da{stable_uuid('alert', title)}"
        tenant.alerts.append(
            Alert(
                alert_id,
                title,
                severity,
                now - timedelta(hours=hours),
                person_oid,
                service_source=source,
                category=category,
            )
        )
