"""What the tenant's accounts are made of: people with mailboxes, folders and phones; devices; reasons of blocks."""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sandbox.graph.methods import MOBILE_PHONE
from services.sandbox.state import AuthMethod, InboxRule, Mailbox, MailFolder, Person, Tenant, opaque_id, stable_uuid

PASSWORD_METHOD = "28c10230-6103-485e-b985-444c60001490"
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


def adder(tenant: Tenant, now: datetime) -> Callable[..., Person]:
    """A function that adds a person with a mailbox to the tenant and gives them back."""

    def add(
        oid: str,
        name: str,
        alias: str,
        *,
        language: str = "en-US",
        job_title: str | None = None,
        password_days: int = 60,
        second_factor: bool = True,
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
        mailbox_of(person).signature = f"<div>{name}<br>{job_title or 'Contoso'}, Contoso Ltd</div>"
        if second_factor:
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
            InboxRule(rule_identity(oid, 1), "Junk E-Mail Rule", 1, hidden=True, move_to="junkemail"),
            InboxRule(rule_identity(oid, 2), "Microsoft.Exchange.OOF.KindExternal", 2, enabled=False, hidden=True),
        ],
        permissions=[("NT AUTHORITY\\SELF", ["FullAccess", "ReadPermission"], False)],
        send_as=["NT AUTHORITY\\SELF"],
        folder_permissions={"calendar": [("Default", ["AvailabilityOnly"]), ("Anonymous", ["None"])]},
    )


def rule_identity(oid: str, number: int) -> int:
    """The identity of a rule: above 2**63, so that reading it as a signed number or a double goes wrong."""
    return 0x9F67_0000_0000_0000 + (int(oid[-4:], 16) << 8) + number


def _phone(oid: str) -> AuthMethod:
    number = f"+46 70174060{int(oid[-1], 16) % 10}"
    extra = {"phoneNumber": number, "phoneType": "mobile", "smsSignInState": "notAllowedByPolicy"}
    return AuthMethod(MOBILE_PHONE, "phone", None, extra)


def phone_partnership(name: str, first_sync: datetime, last_sync: datetime) -> dict[str, object]:
    """A phone that synchronises a mailbox, as Exchange keeps it."""
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


def known(tenant: Tenant, key: str) -> Person:
    """The person with this object id or user principal name, who must be there."""
    person = tenant.person(key)
    if person is None:
        raise LookupError(key)
    return person


def mailbox_of(person: Person) -> Mailbox:
    """A person's mailbox, which must be there."""
    if person.mailbox is None:
        raise LookupError(f"{person.upn} has no mailbox")
    return person.mailbox
