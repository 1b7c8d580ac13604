"""Mailboxes: forwarding, protocols, permissions, signatures and devices."""

import uuid

from services.sandbox.exchange.core import CmdletCall, CmdletError, Cmdlets, Row, object_not_found
from services.sandbox.state import Mailbox, Person

cmdlets = Cmdlets()
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
    return [_mailbox_row(person, person.mailbox) for person in people if person.mailbox is not None]


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
        "GrantSendOnBehalfTo": [],
        "WhenCreatedUTC": person.created_at,
    }


@cmdlets.add(
    "Set-Mailbox",
    "Identity",
    "ForwardingSmtpAddress",
    "ForwardingAddress",
    "DeliverToMailboxAndForward",
    "AuditEnabled",
)
def set_mailbox(call: CmdletCall) -> list[Row]:
    """Change forwarding or auditing; null clears an address."""
    person, mailbox = call.mailbox()
    changes: dict[str, str | bool] = {}
    if call.given("ForwardingSmtpAddress"):
        address = call.text("ForwardingSmtpAddress").removeprefix("smtp:")
        changes["forwarding_smtp"] = f"smtp:{address}" if address else ""
    if call.given("ForwardingAddress"):
        changes["forwarding_address"] = _forwarding_recipient(call)
    if call.given("DeliverToMailboxAndForward"):
        changes["deliver_and_forward"] = call.switch("DeliverToMailboxAndForward")
    if call.given("AuditEnabled"):
        changes["audit_enabled"] = call.switch("AuditEnabled")
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


def _later(call: CmdletCall, mailbox: Mailbox, changes: dict[str, str | bool]) -> None:
    def apply() -> None:
        for name, value in changes.items():
            setattr(mailbox, name, value)

    call.tenant.after(call.tenant.switches.mailbox_delay_s, apply)


@cmdlets.add("Get-CASMailbox", "Identity", "ResultSize")
def get_cas_mailbox(call: CmdletCall) -> list[Row]:
    """Which ways in are open to a mailbox."""
    person, mailbox = call.mailbox()
    flags = {flag: mailbox.protocols[protocol] for flag, protocol in CAS_FLAGS.items()}
    # Null means that the setting of the organisation holds.
    common = {
        "Identity": person.oid,
        "PrimarySmtpAddress": person.smtp_addresses[0],
        "SmtpClientAuthenticationDisabled": None,
    }
    return [{**common, "DisplayName": person.display_name, **flags}]


@cmdlets.add("Set-CASMailbox", "Identity", "SmtpClientAuthenticationDisabled", *CAS_FLAGS)
def set_cas_mailbox(call: CmdletCall) -> list[Row]:
    """Open or close ways into a mailbox."""
    person, mailbox = call.mailbox()
    wanted = {protocol: call.switch(flag) for flag, protocol in CAS_FLAGS.items() if call.given(flag)}
    call.tenant.after(call.tenant.switches.mailbox_delay_s, lambda: mailbox.protocols.update(wanted))
    call.tenant.changed("protocols changed", f"{person.upn}: {', '.join(sorted(wanted))}")
    return []


@cmdlets.add("Get-MailboxPermission", "Identity", "User", "ResultSize")
def get_mailbox_permission(call: CmdletCall) -> list[Row]:
    """Who may open a mailbox; the owner's own entry included."""
    person, mailbox = call.mailbox()
    return [
        {
            "Identity": person.oid,
            "User": user,
            "AccessRights": rights,
            "IsInherited": user.startswith("NT AUTHORITY"),
            "Deny": denied,
            "InheritanceType": "All",
        }
        for user, rights, denied in mailbox.permissions
        if call.text("User").lower() in ("", user.lower())
    ]


@cmdlets.add("Add-MailboxPermission", "Identity", "User", "AccessRights", "AutoMapping", "InheritanceType")
def add_mailbox_permission(call: CmdletCall) -> list[Row]:
    """Let somebody open a mailbox."""
    person, mailbox = call.mailbox()
    user = _trustee(call, "User")
    mailbox.permissions.append((user, _rights(call), False))
    call.tenant.changed("mailbox permission added", f"{person.upn}: {user}")
    return []


@cmdlets.add("Remove-MailboxPermission", "Identity", "User", "AccessRights", "InheritanceType")
def remove_mailbox_permission(call: CmdletCall) -> list[Row]:
    """Stop somebody from opening a mailbox."""
    person, mailbox = call.mailbox()
    user = _trustee(call, "User")
    kept = [entry for entry in mailbox.permissions if entry[0].lower() != user.lower()]
    if len(kept) == len(mailbox.permissions):
        call.warnings.append(
            f"Can't remove the access control entry on the object for account {user}: it isn't present."
        )
    mailbox.permissions = kept
    call.tenant.changed("mailbox permission removed", f"{person.upn}: {user}")
    return []


def _trustee(call: CmdletCall, name: str) -> str:
    wanted = call.required(name)
    recipient = call.tenant.recipient(wanted)
    if recipient is None:
        raise object_not_found(wanted)
    return recipient.upn


def _rights(call: CmdletCall) -> list[str]:
    rights = call.get("AccessRights")
    if not rights:
        raise CmdletError("System.Management.Automation.ParameterBindingException", "AccessRights is missing.")
    return [str(right) for right in rights] if isinstance(rights, list) else [str(rights)]


@cmdlets.add("Get-RecipientPermission", "Identity", "Trustee", "AccessRights", "ResultSize")
def get_recipient_permission(call: CmdletCall) -> list[Row]:
    """Who may send as a mailbox."""
    person, mailbox = call.mailbox()
    return [
        {
            "Identity": person.oid,
            "Trustee": trustee,
            "AccessControlType": "Allow",
            "AccessRights": ["SendAs"],
            "IsInherited": False,
        }
        for trustee in mailbox.send_as
    ]


@cmdlets.add("Get-MailboxFolderPermission", "Identity", "User", "ResultSize")
def get_folder_permission(call: CmdletCall) -> list[Row]:
    r"""Who may open a folder, given as `mailbox:\folder` in the language of the mailbox."""
    owner, _, path = call.required("Identity").partition(":\\")
    person = call.tenant.recipient(owner)
    if person is None or person.mailbox is None:
        raise object_not_found(owner)
    folder = {"kalender": "calendar"}.get(path.lower(), path.lower())
    if folder and folder not in person.mailbox.folder_permissions:
        raise object_not_found(f"{owner}:\\{path}")
    entries = person.mailbox.folder_permissions.get(folder, [("Default", ["None"])])
    return [
        {"Identity": f"{owner}:\\{path}", "FolderName": path, "User": user, "AccessRights": rights}
        for user, rights in entries
    ]


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
    return [
        {**device, "Identity": f"{person.oid}\\ExchangeActiveSyncDevices\\{device['DeviceID']}"}
        for device in mailbox.devices
    ]
