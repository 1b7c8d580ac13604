"""Mailboxes: forwarding, sending on behalf, protocols, folders, signatures and devices."""

import uuid
from collections.abc import Callable
from typing import Any

from services.sandbox.exchange.core import BAD_ARGUMENT, CmdletCall, CmdletError, Cmdlets, Row, object_not_found
from services.sandbox.state import Mailbox, Person

cmdlets = Cmdlets()
#: Key of a folder -> what Exchange calls folders of its kind, in every language.
FOLDER_TYPES = {
    "archive": "Archive",
    "calendar": "Calendar",
    "conversationhistory": "ConversationHistory",
    "deleteditems": "DeletedItems",
    "drafts": "Drafts",
    "inbox": "Inbox",
    "junkemail": "JunkEmail",
    "notes": "Notes",
    "outbox": "Outbox",
    "rss": "RssSubscription",
    "sentitems": "SentItems",
}
CAS_FLAGS = {
    "ActiveSyncEnabled": "ActiveSync",
    "EwsEnabled": "Ews",
    "ImapEnabled": "Imap",
    "MAPIEnabled": "MAPI",
    "OWAEnabled": "OWA",
    "PopEnabled": "Pop",
    "OutlookMobileEnabled": "OutlookMobile",
    "UniversalOutlookEnabled": "UniversalOutlook",
}


@cmdlets.add("Get-Mailbox", "Identity", "ResultSize", "Filter", "RecipientTypeDetails", "Anr")
def get_mailboxes(call: CmdletCall) -> list[Row]:
    """One mailbox by any of its names, or all. Without `ResultSize` the first page of all holds one row."""
    if call.text("Identity"):
        return [_mailbox_row(*call.mailbox())]
    if call.text("ResultSize").lower() != "unlimited":
        call.warnings.append(
            "By default, only the first 1000 items are returned. Use the ResultSize parameter to specify the number of "
            'items returned. To return all items, specify "-ResultSize Unlimited".'
        )
    people = [person for person in call.tenant.people if person.deleted_at is None]
    wanted = _filter(call)
    return [_mailbox_row(p, p.mailbox) for p in people if p.mailbox is not None and wanted(p.mailbox)]


def _filter(call: CmdletCall) -> Callable[[Mailbox], bool]:
    """Whether a mailbox passes the filter, of which only one is known here. Raises: CmdletError for any other."""
    text = " ".join(call.text("Filter").lower().split())
    if text == "forwardingsmtpaddress -ne $null":
        return lambda mailbox: bool(mailbox.forwarding_smtp)
    if text:
        raise CmdletError(BAD_ARGUMENT, f"Cannot bind parameter 'Filter': \"{call.text('Filter')}\" is not understood.")
    return lambda mailbox: True


def _mailbox_row(person: Person, mailbox: Mailbox) -> Row:
    return {
        "ExternalDirectoryObjectId": person.oid,
        "UserPrincipalName": person.upn,
        "Alias": mailbox.alias,
        "DisplayName": person.display_name,
        "EmailAddresses": person.proxy_addresses,
        "PrimarySmtpAddress": person.smtp_addresses[0],
        "RecipientType": "UserMailbox",
        "RecipientTypeDetails": mailbox.kind,
        "Identity": person.oid,
        "Id": person.oid,
        "ExchangeGuid": uuid.UUID(mailbox.guid),
        "ExchangeVersion": "0.20 (15.0.0.0)",
        "Name": person.oid,
        "DistinguishedName": f"CN={person.oid},OU=contoso.onmicrosoft.com,OU=Microsoft Exchange Hosted Organizations",
        "ForwardingSmtpAddress": mailbox.forwarding_smtp or None,
        "ForwardingAddress": mailbox.forwarding_address or None,
        "DeliverToMailboxAndForward": mailbox.deliver_and_forward,
        "AuditEnabled": mailbox.audit_enabled,
        "IsMailboxEnabled": True,
        "AccountDisabled": not person.account_enabled,
        "IsShared": mailbox.kind == "SharedMailbox",
        "Languages": [mailbox.language],
        "GrantSendOnBehalfTo": mailbox.send_on_behalf,
        "WhenCreatedUTC": person.created_at,
    }


@cmdlets.add(
    "Set-Mailbox",
    "Identity",
    "ForwardingSmtpAddress",
    "ForwardingAddress",
    "DeliverToMailboxAndForward",
    "AuditEnabled",
    "GrantSendOnBehalfTo",
)
def set_mailbox(call: CmdletCall) -> list[Row]:
    """Change forwarding, auditing or who may send on behalf; null clears an address and a list."""
    person, mailbox = call.mailbox()
    changes: dict[str, Any] = {}
    if call.given("ForwardingSmtpAddress"):
        address = call.text("ForwardingSmtpAddress").removeprefix("smtp:")
        changes["forwarding_smtp"] = f"smtp:{address}" if address else ""
    if call.given("ForwardingAddress"):
        changes["forwarding_address"] = _forwarding_recipient(call)
    if call.given("DeliverToMailboxAndForward"):
        changes["deliver_and_forward"] = call.switch("DeliverToMailboxAndForward")
    if call.given("AuditEnabled"):
        changes["audit_enabled"] = call.switch("AuditEnabled")
    if call.given("GrantSendOnBehalfTo"):
        changes["send_on_behalf"] = _senders_on_behalf(call, mailbox)
    if not changes or all(getattr(mailbox, name) == value for name, value in changes.items()):
        call.warnings.append(
            f"The command completed successfully but no settings of '{person.upn}' have been modified."
        )
        return []
    _later(call, mailbox, changes)
    call.tenant.changed("mailbox changed", f"{person.upn}: {', '.join(sorted(changes))}")
    return []


def _forwarding_recipient(call: CmdletCall) -> str:
    address = call.text("ForwardingAddress")
    if not address:
        return ""
    recipient = call.tenant.recipient(address)
    if recipient is None:
        raise object_not_found(address)
    return recipient.display_name


def _senders_on_behalf(call: CmdletCall, mailbox: Mailbox) -> list[str]:
    """The new list: names that replace it, or a table that adds to it and removes from it (`@{Add=...;Remove=...}`)."""
    asked = call.get("GrantSendOnBehalfTo")
    if not isinstance(asked, dict):
        return _display_names(call, asked)
    added, removed = (_display_names(call, asked.get(name)) for name in ("Add", "Remove"))
    kept = [name for name in mailbox.send_on_behalf if name not in removed]
    return kept + [name for name in added if name not in kept]


def _display_names(call: CmdletCall, asked: Any) -> list[str]:
    names = asked if isinstance(asked, list) else [asked] if asked else []
    found = [(name, call.tenant.recipient(str(name))) for name in names]
    missing = [name for name, recipient in found if recipient is None]
    if missing:
        raise object_not_found(str(missing[0]))
    return [recipient.display_name for _, recipient in found if recipient is not None]


def _later(call: CmdletCall, mailbox: Mailbox, changes: dict[str, Any]) -> None:
    def apply() -> None:
        for name, value in changes.items():
            setattr(mailbox, name, value)

    call.tenant.after(call.tenant.switches.mailbox_delay_s, apply)


@cmdlets.add("Get-MailboxAuditBypassAssociation", "Identity", "ResultSize")
def get_audit_bypass(call: CmdletCall) -> list[Row]:
    """Whether what the owner of a mailbox does is left out of the records."""
    person, mailbox = call.mailbox()
    return [
        {
            "Identity": person.oid,
            "Name": person.oid,
            "ObjectId": person.oid,
            "AuditBypassEnabled": mailbox.audit_bypass,
            "WhenChangedUTC": person.created_at,
        }
    ]


@cmdlets.add("Get-CASMailbox", "Identity", "ResultSize")
def get_cas_mailbox(call: CmdletCall) -> list[Row]:
    """Which ways in are open to a mailbox."""
    person, mailbox = call.mailbox()
    flags = {flag: mailbox.protocols[protocol] for flag, protocol in CAS_FLAGS.items()}
    # Null means that the setting of the organisation holds.
    common = {
        "Identity": person.oid,
        "PrimarySmtpAddress": person.smtp_addresses[0],
        "SmtpClientAuthenticationDisabled": mailbox.smtp_auth_disabled,
    }
    return [{**common, "DisplayName": person.display_name, **flags}]


@cmdlets.add("Set-CASMailbox", "Identity", "SmtpClientAuthenticationDisabled", *CAS_FLAGS)
def set_cas_mailbox(call: CmdletCall) -> list[Row]:
    """Open or close ways into a mailbox."""
    person, mailbox = call.mailbox()
    wanted = {protocol: call.switch(flag) for flag, protocol in CAS_FLAGS.items() if call.given(flag)}
    smtp = "SmtpClientAuthenticationDisabled"
    # Null gives the matter back to the organisation.
    smtp_auth_disabled = call.switch(smtp) if call.get(smtp) is not None else None

    def apply() -> None:
        mailbox.protocols.update(wanted)
        if call.given(smtp):
            mailbox.smtp_auth_disabled = smtp_auth_disabled

    call.tenant.after(call.tenant.switches.mailbox_delay_s, apply)
    names = sorted([*wanted, "SMTP AUTH"] if call.given(smtp) else wanted)
    call.tenant.changed("protocols changed", f"{person.upn}: {', '.join(names)}")
    return []


@cmdlets.add("Get-MailboxFolderStatistics", "Identity", "FolderScope", "ResultSize")
def get_folder_statistics(call: CmdletCall) -> list[Row]:
    """The folders of a mailbox in its language; `FolderScope` takes one kind of folder by its English name."""
    person, mailbox = call.mailbox()
    wanted = call.text("FolderScope").lower()
    folders = [(folder.key, folder.name) for folder in mailbox.folders] + [("calendar", calendar_name(mailbox))]
    return [
        {
            "Identity": f"{person.upn}\\{name}",
            "Name": name,
            "FolderPath": f"/{name}",
            "FolderType": FOLDER_TYPES.get(key, "User Created"),
            "ItemsInFolder": len(mailbox.messages.get(key, [])),
            "FolderSize": "0 B (0 bytes)",
        }
        for key, name in folders
        if wanted in ("", "all", FOLDER_TYPES.get(key, "").lower())
    ]


def calendar_name(mailbox: Mailbox) -> str:
    """What the calendar is called in the language of the mailbox; it is no mail folder and so not among those."""
    return "Kalender" if mailbox.language == "sv-SE" else "Calendar"


@cmdlets.add("Get-MailboxMessageConfiguration", "Identity")
def get_message_configuration(call: CmdletCall) -> list[Row]:
    """Signatures; useless once roaming signatures are on, and it says so."""
    person, mailbox = call.mailbox()
    if mailbox.roaming_signatures:
        call.warnings.append("The mailbox uses roaming signatures; the signature settings shown here are not used.")
    signature = "" if mailbox.roaming_signatures else mailbox.signature
    return [
        {
            "Identity": person.oid,
            "SignatureHtml": signature,
            "SignatureText": "",
            "AutoAddSignature": bool(signature),
            "AutoAddSignatureOnReply": bool(signature),
        }
    ]


@cmdlets.add("Get-MobileDeviceStatistics", "Mailbox", "Identity", "ActiveSync", "OWAforDevices")
def get_mobile_devices(call: CmdletCall) -> list[Row]:
    """The phones that synchronise with a mailbox."""
    person, mailbox = call.mailbox("Mailbox" if call.given("Mailbox") else "Identity")
    return [{**device, "Identity": _device_identity(person, device)} for device in mailbox.devices]


def _device_identity(person: Person, device: dict[str, Any]) -> str:
    return f"{person.oid}\\ExchangeActiveSyncDevices\\{device['DeviceID']}"


@cmdlets.add("Remove-MobileDevice", "Identity")
def remove_mobile_device(call: CmdletCall) -> list[Row]:
    """End a partnership with a phone. One that still knows the password makes a new one."""
    identity = call.required("Identity")
    for person in call.tenant.people:
        devices = person.mailbox.devices if person.mailbox else []
        for device in devices:
            if identity.lower() == _device_identity(person, device).lower():
                devices.remove(device)
                call.tenant.changed("mobile device removed", f"{person.upn}: {device['DeviceFriendlyName']}")
                return []
    raise object_not_found(identity)
