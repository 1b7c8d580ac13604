"""
What Exchange Online says, in our words. Times are aware, in UTC; None means that Exchange did not say.

Nobody has documented the JSON of these cmdlets over REST: field names come from the cmdlets' help and from what public
code reads, and their forms are read generously (lists or single texts, flags or words, dates in several forms).
Sources: Microsoft's reference of the Exchange Online cmdlets, 2026-08-21; forms that were seen in public code, 2026.
"""

from __future__ import annotations

import base64
import re
from typing import Any

from pydantic import AliasChoices, Field

from services.cases import Value
from services.clients.reading import (
    Id,
    LooseText,
    LooseTexts,
    MaybeFlag,
    MaybeMoment,
    MaybeText,
    MaybeWhole,
    Name,
    SmtpAddresses,
    Texts,
    Wire,
    to_loose_text,
)


def _field(*names: str, default: Any = None) -> Any:
    """A field that Exchange knows under one of these names."""
    return Field(default=default, validation_alias=AliasChoices(*names))


def _must_have(name: str) -> Any:
    return Field(validation_alias=name)


class CmdletAnswer(Value):
    """What a cmdlet gave back. Cmdlets that write usually give no rows."""

    rows: tuple[dict[str, Any], ...] = ()
    #: Exchange's own words, such as that a result was cut off.
    warnings: tuple[str, ...] = ()


class BlockedSender(Wire):
    """An entry of the restricted list."""

    #: The UPN of a mailbox that Exchange Online hosts, the SMTP address of any other sender.
    sender_address: Id = _must_have("SenderAddress")
    reason_raw: Name = _field("Reason", default="")
    #: The parts of the reason, unknown ones included, such as ExceedingLimitType: External.
    reason: dict[str, str] = Field(default_factory=dict)
    created_at: MaybeMoment = _field("CreatedDatetime", "CreatedDateTime")
    changed_at: MaybeMoment = _field("ChangedDatetime", "ChangedDateTime")
    #: Whether it ends by itself the next day (UTC).
    temporary: MaybeFlag = _field("TemporaryBlock")


class BlockedConnector(Wire):
    """An inbound connector that may not send; unblocking a person does not help it."""

    connector_id: Id = _must_have("ConnectorId")
    #: What the organisation calls it; None when that could not be read.
    name: MaybeText = None
    reason_raw: Name = _field("Reason", default="")
    reason: dict[str, str] = Field(default_factory=dict)
    created_at: MaybeMoment = _field("CreatedDatetime", "CreatedDateTime")


class Recipient(Value):
    """Somebody whom a rule sends mail to."""

    name: str | None = None
    #: The SMTP address; None for a recipient of the own organisation that Exchange names by another kind of address.
    address: str | None = None
    #: As Exchange wrote it.
    raw: str

    @property
    def shown(self) -> str:
        return self.address or self.name or self.raw


class InboxRule(Wire):
    """A rule of a mailbox, hidden ones included. Rules carry no times: nobody can say from here when one was made."""

    #: As Exchange takes it back, mailbox and number; the number alone is `rule_identity`.
    identity: Id = _must_have("Identity")
    rule_identity: MaybeWhole = _field("RuleIdentity")
    name: Name = _field("Name", default="")
    enabled: MaybeFlag = _field("Enabled")
    #: Whether the rule shows only when hidden ones are asked for; None when that was not compared.
    hidden: MaybeFlag = None
    #: Whether cmdlets can handle it at all; client-side rules are False.
    supported: MaybeFlag = _field("SupportedByTask")
    in_error: MaybeFlag = _field("InError")
    priority: MaybeWhole = _field("Priority")
    forward_to: tuple[Recipient, ...] = ()
    forward_as_attachment_to: tuple[Recipient, ...] = ()
    redirect_to: tuple[Recipient, ...] = ()
    #: The path of the folder in the mailbox's language.
    move_to_folder: LooseText = _field("MoveToFolder")
    copy_to_folder: LooseText = _field("CopyToFolder")
    delete_message: MaybeFlag = _field("DeleteMessage")
    soft_delete_message: MaybeFlag = _field("SoftDeleteMessage")
    mark_as_read: MaybeFlag = _field("MarkAsRead")
    stop_processing: MaybeFlag = _field("StopProcessingRules")
    subject_words: LooseTexts = _field("SubjectContainsWords", default=())
    body_words: LooseTexts = _field("BodyContainsWords", default=())
    subject_or_body_words: LooseTexts = _field("SubjectOrBodyContainsWords", default=())
    header_words: LooseTexts = _field("HeaderContainsWords", default=())
    from_conditions: LooseTexts = _field("From", default=())
    from_words: LooseTexts = _field("FromAddressContainsWords", default=())
    #: What it does, in a sentence of Exchange's.
    description: LooseText = _field("Description")

    @property
    def forwards_to(self) -> tuple[Recipient, ...]:
        """Everybody whom mail goes out to."""
        return (*self.forward_to, *self.forward_as_attachment_to, *self.redirect_to)

    @property
    def is_system(self) -> bool:
        """Whether Exchange itself keeps it: junk mail and automatic replies. The name alone says so, so look on."""
        return self.name == "Junk E-Mail Rule" or self.name.startswith("Microsoft.Exchange.OOF.")

    @property
    def graph_rule_id(self) -> str | None:
        return None if self.rule_identity is None else graph_rule_id(self.rule_identity)


class Forwarding(Value):
    """The forwarding of a whole mailbox. When both addresses are set, Exchange uses `address` and ignores the other."""

    #: Any address, without "smtp:".
    smtp_address: str | None = None
    #: A recipient of the own directory.
    address: str | None = None
    #: Whether the mailbox keeps a copy.
    deliver_and_forward: bool | None = None

    @property
    def is_on(self) -> bool:
        return self.smtp_address is not None or self.address is not None


class Mailbox(Wire):
    """A mailbox."""

    upn: MaybeText = _field("UserPrincipalName")
    primary_smtp_address: LooseText = _field("PrimarySmtpAddress", "WindowsEmailAddress")
    display_name: Name = _field("DisplayName", default="")
    aliases: SmtpAddresses = _field("EmailAddresses", default=())
    forwarding: Forwarding = Field(default_factory=Forwarding)
    #: UserMailbox, SharedMailbox, RoomMailbox, ...
    recipient_type: MaybeText = _field("RecipientTypeDetails", "RecipientType")
    audit_enabled: MaybeFlag = _field("AuditEnabled")
    litigation_hold: MaybeFlag = _field("LitigationHoldEnabled")
    external_directory_oid: MaybeText = _field("ExternalDirectoryObjectId")
    exchange_guid: MaybeText = _field("ExchangeGuid", "Guid")
    #: Who may send on behalf of it, as Exchange names them.
    send_on_behalf: LooseTexts = _field("GrantSendOnBehalfTo", default=())

    @property
    def is_forwarding(self) -> bool:
        return self.forwarding.is_on


class OutboundPolicy(Wire):
    """An outbound spam policy: what happens to people who send too much. A limit of 0 is the service's own."""

    identity: Id = _must_have("Identity")
    name: Name = _field("Name", default="")
    is_default: MaybeFlag = _field("IsDefault")
    enabled: MaybeFlag = _field("Enabled")
    #: BlockUser, BlockUserForToday or Alert.
    action: MaybeText = _field("ActionWhenThresholdReached")
    recipients_per_day: MaybeWhole = _field("RecipientLimitPerDay")
    external_per_hour: MaybeWhole = _field("RecipientLimitExternalPerHour")
    internal_per_hour: MaybeWhole = _field("RecipientLimitInternalPerHour")
    #: Off, On or Automatic; Automatic is off in most tenants, but not provably in this one.
    auto_forwarding_mode: MaybeText = _field("AutoForwardingMode")


class OutboundRule(Wire):
    """To whom an outbound spam policy applies. The default policy has none: it is for everybody else."""

    #: Name of the policy.
    policy: LooseText = _field("HostedOutboundSpamFilterPolicy")
    #: Enabled or Disabled.
    state: LooseText = _field("State")
    #: 0 comes first.
    priority: MaybeWhole = _field("Priority")
    senders: LooseTexts = _field("From", default=())
    sender_groups: LooseTexts = _field("FromMemberOf", default=())
    sender_domains: LooseTexts = _field("SenderDomainIs", default=())
    except_senders: LooseTexts = _field("ExceptIfFrom", default=())
    except_groups: LooseTexts = _field("ExceptIfFromMemberOf", default=())
    except_domains: LooseTexts = _field("ExceptIfSenderDomainIs", default=())


class OrganizationConfig(Wire):
    """Settings of the whole organisation."""

    name: Name = _field("Name", default="")
    #: True switches mailbox auditing off for everybody.
    audit_disabled: MaybeFlag = _field("AuditDisabled")


class CasMailbox(Wire):
    """Which protocols a mailbox may be reached by."""

    upn: MaybeText = _field("UserPrincipalName")
    owa: MaybeFlag = _field("OWAEnabled")
    mapi: MaybeFlag = _field("MAPIEnabled")
    imap: MaybeFlag = _field("ImapEnabled")
    pop: MaybeFlag = _field("PopEnabled")
    ews: MaybeFlag = _field("EwsEnabled")
    activesync: MaybeFlag = _field("ActiveSyncEnabled")
    #: None leaves it to the organisation.
    smtp_auth_disabled: MaybeFlag = _field("SmtpClientAuthenticationDisabled")


class MailboxPermission(Wire):
    """Somebody else's rights to a mailbox."""

    user: LooseText = _field("User")
    rights: Texts = _field("AccessRights", default=())
    deny: MaybeFlag = _field("Deny")
    inherited: MaybeFlag = _field("IsInherited")


class SendAsPermission(Wire):
    """Who may send as this mailbox."""

    trustee: LooseText = _field("Trustee")
    rights: LooseTexts = _field("AccessRights", default=())
    #: Allow or Deny.
    control_type: LooseText = _field("AccessControlType")
    inherited: MaybeFlag = _field("IsInherited")


class FolderPermission(Wire):
    """Somebody's rights to one folder; "Default" and "Anonymous" stand for everybody."""

    folder: LooseText = _field("FolderName")
    user: LooseText = _field("User")
    rights: LooseTexts = _field("AccessRights", default=())


class MobileDevice(Wire):
    """A device that synchronises the mailbox."""

    device_id: LooseText = _field("DeviceId", "DeviceID")
    identity: LooseText = _field("Identity", "Guid")
    #: What people call it: model, friendly name or type, whichever Exchange knows.
    model: LooseText = _field("DeviceModel", "DeviceFriendlyName", "DeviceType")
    operating_system: LooseText = _field("DeviceOS")
    user_agent: LooseText = _field("DeviceUserAgent")
    first_sync_at: MaybeMoment = _field("FirstSyncTime")
    last_sync_at: MaybeMoment = _field("LastSuccessSync", "LastSyncAttemptTime")
    state: LooseText = _field("DeviceAccessState", "Status")


class MessageConfiguration(Wire):
    """The signature in Outlook on the web. With roaming signatures it stands elsewhere, and this says nothing."""

    #: Whether Exchange warned that it uses roaming signatures; False does not prove that it does not.
    roaming_signatures: bool = False

    signature_text: LooseText = _field("SignatureText")
    signature_html: LooseText = _field("SignatureHtml")
    adds_signature: MaybeFlag = _field("AutoAddSignature")


def graph_rule_id(rule_identity: int) -> str:
    """
    The id under which Graph shows the rule with this RuleIdentity: its eight bytes, little end first, in base64.

    Our inference from the form of both, not documented: a match may be trusted, a missing match means nothing.
    """
    return base64.b64encode((rule_identity % 2**64).to_bytes(8, "little")).decode()


def parse_reason(text: str) -> dict[str, str]:
    """
    The parts of a reason: split at semicolons, each at its first `=` or `:`; a part with neither is kept as a key.

    Both forms that were seen are read, and any key that is new: "EmailSendingLimitExceeded;ExceedingLimitType=External"
    and "OutboundSpamPercent=80;Last Spam Message MessagetraceId:4d5e...".
    """
    found: dict[str, str] = {}
    for piece in text.split(";"):
        key, _, value = _split_once(piece.strip())
        if key:
            found[key] = value
    return found


def _split_once(piece: str) -> tuple[str, str, str]:
    split = re.split(r"([=:])", piece, maxsplit=1)
    return (split[0].strip(), split[1], split[2].strip()) if len(split) == 3 else (piece, "", "")


_BRACKETED = re.compile(r"\[\s*([A-Za-z0-9]{2,12})\s*:\s*([^\]]{0,1100})\]")
_PLAIN_ADDRESS = re.compile(r"[^\s<>\[\]\"';,:@]{1,320}@[^\s<>\[\]\"';,]{1,320}")


def parse_recipients(value: Any) -> tuple[Recipient, ...]:
    """
    Recipients of a rule, from a list or one text, as `"Name" [SMTP:a@b]`, `"Name" [EX:/o=...]` or plain addresses.

    Names are whatever their owner chose and may imitate this notation, so every address in a text counts: one too many
    is looked at by a person, one too few would hide where mail goes. What holds no address is kept raw.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(recipient for item in items for recipient in _recipients_in(_spelled(item)))


def _spelled(item: Any) -> str:
    return (to_loose_text(item) or "").strip()


def _recipients_in(text: str) -> list[Recipient]:
    if not text:
        return []
    bracketed = [_bracketed(text, found) for found in _BRACKETED.finditer(text)]
    if bracketed:
        return bracketed
    plain = [Recipient(address=found.group(0), raw=text) for found in _PLAIN_ADDRESS.finditer(text)]
    return plain or [Recipient(name=text.strip('"'), raw=text)]


def _bracketed(text: str, found: re.Match[str]) -> Recipient:
    kind, address = found.group(1).casefold(), found.group(2).strip()
    before = re.split(r"\]\s*[;,]?", text[: found.start()])[-1].strip().strip('"').strip()
    return Recipient(name=before or None, address=address if kind == "smtp" and address else None, raw=text)
