"""
Exchange Online through its admin route: cmdlets over HTTP. Each call is built, sent and parsed.

The route `adminapi/beta/{tenant}/InvokeCommand` is what Microsoft's own PowerShell module speaks; it is not documented
and may change, which is why everything about it is in this file and exchange_models.py. There is no documented way to
unblock a sender over HTTP. Every method may raise any ServiceError with service "exchange".
Sources: Microsoft's reference of the Exchange Online cmdlets, 2026-08-21 (what they do); public clients of the route,
2026-08 (how it is spoken to).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from services.clients import odata
from services.clients.clouds import exchange_scope
from services.clients.exchange_models import (
    BlockedConnector,
    BlockedSender,
    CasMailbox,
    CmdletAnswer,
    FolderPermission,
    Forwarding,
    InboxRule,
    Mailbox,
    MailboxPermission,
    MessageConfiguration,
    MobileDevice,
    OrganizationConfig,
    OutboundPolicy,
    OutboundRule,
    SendAsPermission,
    parse_reason,
    parse_recipients,
)
from services.clients.http import Request, Response, Send
from services.clients.reading import Model, read, smtp_address, to_flag, to_loose_text
from services.errors import BrokenAnswer, NotFound, Rejected, ServiceError

Row = Mapping[str, Any]

#: The mailbox of the organisation, by which calls of an app that concern nobody in particular find their server.
_SYSTEM_MAILBOX = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
#: Cmdlets run on a mailbox server and take their time, in seconds.
_TIMEOUT_S = 30.0
#: Field of CasMailbox -> parameter of Set-CASMailbox.
_PROTOCOLS = {
    "owa": "OWAEnabled",
    "mapi": "MAPIEnabled",
    "imap": "ImapEnabled",
    "pop": "PopEnabled",
    "ews": "EwsEnabled",
    "activesync": "ActiveSyncEnabled",
    "smtp_auth_disabled": "SmtpClientAuthenticationDisabled",
}
#: How cmdlets complain that there is nothing to remove, and that there is nothing to add. Seen, not documented.
_GONE = ("no existing permission entry", "isn't present", "already absent", "usernotfoundinpermissionentry")
_THERE = ("existing permission entry was found", "already present", "useralreadyexistsinpermissionentry")
#: Users of folder permissions who stand for everybody.
_EVERYBODY = frozenset({"default", "anonymous"})


# --- build -----------------------------------------------------------------------------------------------------------


def build_cmdlet(
    base_url: str,
    tenant_id: str,
    cmdlet: str,
    parameters: Mapping[str, Any],
    *,
    anchor: str | None = None,
    safe_to_repeat: bool | None = None,
) -> Request:
    """
    A cmdlet as a call. `anchor` is the UPN of the mailbox that it is about; None for the organisation.

    Unless said otherwise, only `Get-` cmdlets are safe to repeat: they change nothing.
    Raises: Rejected (code bad_anchor) for a name that cannot stand in a header.
    """
    return Request(
        service="exchange",
        method="POST",
        url=f"{base_url.rstrip('/')}/adminapi/beta/{quote(tenant_id, safe='')}/InvokeCommand",
        action=cmdlet,
        scope=exchange_scope(base_url),
        lane="exchange",
        permission="Exchange.ManageAsApp",
        safe_to_repeat=cmdlet.startswith("Get-") if safe_to_repeat is None else safe_to_repeat,
        headers={"X-AnchorMailbox": _anchor(anchor, tenant_id), "Prefer": "odata.maxpagesize=1000"},
        body={"CmdletInput": {"CmdletName": cmdlet, "Parameters": dict(parameters)}},
        timeout_s=_TIMEOUT_S,
    )


def _anchor(upn: str | None, tenant_id: str) -> str:
    if upn is None:
        return f"APP:{_SYSTEM_MAILBOX}@{tenant_id}"
    if not upn.isprintable():
        raise Rejected("exchange", code="bad_anchor", detail="A name with control characters is no mailbox.")
    return f"UPN:{upn}"


# --- parse -----------------------------------------------------------------------------------------------------------


def parse_cmdlet_page(response: Response) -> tuple[list[CmdletAnswer], str | None]:
    """
    One page of a cmdlet's answer and the address of the next one (None on the last).

    Expects {"value": [{...}], "@adminapi.warnings": [str], "@odata.nextLink": str}. A null value is an answer too, and
    so is nothing at all for a cmdlet that writes; for one that reads it would look like an empty list, such as that
    nobody is blocked. Keys with "@odata" in them describe others and are left out. Raises: Rejected, BrokenAnswer.
    """
    request, data = response.request, response.json()
    reads = request.action.startswith("Get-")
    if data is None and not reads:
        return [CmdletAnswer()], None
    if not isinstance(data, Mapping) or (reads and "value" not in data and not data.get("error")):
        raise BrokenAnswer("exchange", action=request.action, what="object")
    if data.get("error"):
        raise Rejected("exchange", code="error", detail="An error inside a good answer.", action=request.action)
    link = data.get("@odata.nextLink")
    if link is not None and not isinstance(link, str):
        raise BrokenAnswer("exchange", action=request.action, what="nextLink")
    return [CmdletAnswer(rows=_rows(request, data.get("value")), warnings=_warnings(data))], link or None


def _rows(request: Request, value: Any) -> tuple[dict[str, Any], ...]:
    rows = [] if value is None else value
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise BrokenAnswer("exchange", action=request.action, what="value")
    return tuple({key: item for key, item in row.items() if "@odata" not in key} for row in rows)


def _warnings(data: Row) -> tuple[str, ...]:
    value = data.get("@adminapi.warnings")
    items = value if isinstance(value, list) else [value]
    return tuple(text for item in items if (text := to_loose_text(item)) is not None)


def parse_blocked_sender(row: Row) -> BlockedSender:
    """One entry of the list. Source: Get-BlockedSenderAddress, 2026-08-21; its fields were seen in public code."""
    reason = to_loose_text(row.get("Reason")) or ""
    return read(BlockedSender, {**row, "Reason": reason}, "exchange", reason=parse_reason(reason))


def parse_blocked_connector(row: Row) -> BlockedConnector:
    """One blocked connector. Source: Get-BlockedConnector, 2026-08-21."""
    reason = to_loose_text(row.get("Reason")) or ""
    return read(BlockedConnector, {**row, "Reason": reason}, "exchange", reason=parse_reason(reason))


def parse_connector_names(answer: CmdletAnswer) -> dict[str, str]:
    """
    Id in lower case -> name, of inbound connectors. Source: Get-InboundConnector, 2026-08-21.

    That ConnectorId of Get-BlockedConnector is the Guid here is our inference; an id without a name is left out.
    """
    pairs = ((to_loose_text(row.get("Guid")), to_loose_text(row.get("Name"))) for row in answer.rows)
    return {guid.strip("{}").casefold(): name for guid, name in pairs if guid and name}


def parse_inbox_rule(row: Row, visible: frozenset[str] | None = None) -> InboxRule:
    """One rule; `visible` are the identities of those that show without asking for hidden ones, None if unknown."""
    rule = read(
        InboxRule,
        row,
        "exchange",
        forward_to=parse_recipients(row.get("ForwardTo")),
        forward_as_attachment_to=parse_recipients(row.get("ForwardAsAttachmentTo")),
        redirect_to=parse_recipients(row.get("RedirectTo")),
    )
    return rule if visible is None else rule.model_copy(update={"hidden": rule.identity not in visible})


def parse_mailbox(row: Row) -> Mailbox:
    """One mailbox. Source: Get-Mailbox and Set-Mailbox, 2026-08-21."""
    addresses = row.get("EmailAddresses")
    known = addresses if isinstance(addresses, list) else _words(addresses)
    return read(Mailbox, {**row, "EmailAddresses": known}, "exchange", forwarding=_forwarding(row))


_FORWARDING_FIELDS = frozenset({"ForwardingSmtpAddress", "ForwardingAddress", "DeliverToMailboxAndForward"})


def _forwarding(row: Row) -> Forwarding:
    """
    Forwarding decides whether an account looks harmless, so whatever stands there is kept, odd forms too.

    Raises: BrokenAnswer for a row without any of its fields, which says nothing.
    """
    if not _FORWARDING_FIELDS & row.keys():
        raise BrokenAnswer("exchange", what="ForwardingSmtpAddress")
    smtp = to_loose_text(row.get("ForwardingSmtpAddress"))
    try:
        deliver = to_flag(row.get("DeliverToMailboxAndForward"))
    except ValueError:
        raise BrokenAnswer("exchange", what="DeliverToMailboxAndForward") from None
    return Forwarding(
        smtp_address=(smtp_address(smtp) or smtp) if smtp else None,
        address=to_loose_text(row.get("ForwardingAddress")),
        deliver_and_forward=deliver,
    )


def parse_folder_permission(row: Row) -> FolderPermission:
    """
    Somebody's rights to a folder. Source: Get-MailboxFolderPermission, 2026-08-21.

    Exchange may spell the user as a text or as an object, whose address is then worth more than its name.
    """
    user = row.get("User")
    if isinstance(user, Mapping):
        recipient = user.get("ADRecipient")
        inner = recipient if isinstance(recipient, Mapping) else {}
        user = inner.get("PrimarySmtpAddress") or user.get("DisplayName") or user
    return read(FolderPermission, {**row, "User": user}, "exchange")


def parse_message_configuration(answer: CmdletAnswer) -> MessageConfiguration:
    """Signature settings. Source: Get-MailboxMessageConfiguration, 2026-08-21."""
    roaming = any("roaming signature" in warning.casefold() for warning in answer.warnings)
    row = _the_one(answer, "Get-MailboxMessageConfiguration")
    return read(MessageConfiguration, row, "exchange", roaming_signatures=roaming)


def parse_folder_path(answer: CmdletAnswer, scope: str) -> str | None:
    """
    The path of the folder of this type in the mailbox's language, as cmdlets take it; None when there is none.

    Expects rows with FolderPath ("/Inkorgen") and FolderType ("Inbox").
    Source: Get-MailboxFolderStatistics, 2026-08-21.
    """
    for row in answer.rows:
        path = to_loose_text(row.get("FolderPath"))
        if path is not None and (to_loose_text(row.get("FolderType")) or "").casefold() == scope.casefold():
            return path.strip("/").replace("/", "\\")
    return None


def _words(value: Any) -> list[str]:
    """Addresses that came as one text, as PowerShell joins them."""
    return re.split(r"[\s,;]+", value.strip("{} ")) if isinstance(value, str) else []


# --- the client ------------------------------------------------------------------------------------------------------


class ExchangeClient:
    """Exchange Online for the app itself. It needs the permission Exchange.ManageAsApp and a role of Exchange."""

    def __init__(self, send: Send, base_url: str, tenant_id: str) -> None:
        self._send = send
        self._base_url = base_url
        self._tenant_id = tenant_id

    async def invoke(
        self,
        cmdlet: str,
        parameters: Mapping[str, Any] | None = None,
        anchor: str | None = None,
        *,
        safe_to_repeat: bool | None = None,
    ) -> CmdletAnswer:
        """Run a cmdlet; all pages, and the warnings, since one may say that the rows are not all there are."""
        request = build_cmdlet(
            self._base_url,
            self._tenant_id,
            cmdlet,
            parameters or {},
            anchor=anchor,
            safe_to_repeat=safe_to_repeat,
        )
        rows: list[dict[str, Any]] = []
        warnings: dict[str, None] = {}
        async for page in odata.pages(self._send, request, parse_cmdlet_page):
            for answer in page:
                rows.extend(answer.rows)
                warnings.update(dict.fromkeys(answer.warnings))
        return CmdletAnswer(rows=tuple(rows), warnings=tuple(warnings))

    # the restricted list

    async def blocked_senders(self) -> tuple[BlockedSender, ...]:
        """The whole restricted list."""
        answer = await self.invoke("Get-BlockedSenderAddress")
        return tuple(parse_blocked_sender(row) for row in answer.rows)

    async def blocked_sender(self, address: str) -> BlockedSender | None:
        """The entry of one sender (the UPN for a hosted mailbox); None when it is not on the list."""
        try:
            answer = await self.invoke("Get-BlockedSenderAddress", {"SenderAddress": address})
        except NotFound:
            return None
        except (
            Rejected
        ):  # how Exchange answers for an address that is not on it is not documented; the whole list tells
            entries = await self.blocked_senders()
        else:
            entries = tuple(parse_blocked_sender(row) for row in answer.rows)
        return next((entry for entry in entries if entry.sender_address.casefold() == address.casefold()), None)

    async def remove_blocked_sender(self, address: str) -> CmdletAnswer:
        """
        Take a sender off the list; mail flows again within an hour, usually.

        Never repeated after a lost answer: Microsoft counts unblocks and allows only so many, so after Unavailable look
        at the list before trying again. Raises: NotFound (not on it), Rejected (such as too many unblocks).
        """
        return await self.invoke("Remove-BlockedSenderAddress", {"SenderAddress": address}, safe_to_repeat=False)

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]:
        """Inbound connectors that may not send, with their names as far as those can be read."""
        answer = await self.invoke("Get-BlockedConnector")
        blocked = [parse_blocked_connector(row) for row in answer.rows]
        if not blocked:
            return ()
        names = await self._connector_names()
        return tuple(c.model_copy(update={"name": names.get(c.connector_id.casefold())}) for c in blocked)

    async def _connector_names(self) -> Mapping[str, str]:
        """Id in lower case -> name. The id alone is enough to unblock, so names that cannot be read are left out."""
        try:
            return parse_connector_names(await self.invoke("Get-InboundConnector"))
        except ServiceError:
            return {}

    async def remove_blocked_connector(self, connector_id: str) -> CmdletAnswer:
        """Let a connector send again. Not repeated after a lost answer, for the same reason as above."""
        return await self.invoke("Remove-BlockedConnector", {"ConnectorId": connector_id}, safe_to_repeat=False)

    # mailboxes

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]:
        """All rules of a mailbox. They are listed twice, since only the difference tells which ones are hidden."""
        everything, shown = await asyncio.gather(
            self.invoke("Get-InboxRule", {"Mailbox": upn, "IncludeHidden": True}, upn),
            self.invoke("Get-InboxRule", {"Mailbox": upn}, upn),
        )
        visible = frozenset(parse_inbox_rule(row).identity for row in shown.rows)
        return tuple(parse_inbox_rule(row, visible) for row in everything.rows)

    async def disable_inbox_rule(self, upn: str, rule_identity: int | str) -> CmdletAnswer:
        """
        Switch a rule off. Safe to repeat: it writes a fixed state.

        Exchange deletes the client-side rules of the mailbox whenever a cmdlet changes any rule; warn people before.
        """
        return await self._set_inbox_rule("Disable-InboxRule", upn, rule_identity)

    async def enable_inbox_rule(self, upn: str, rule_identity: int | str) -> CmdletAnswer:
        """Switch a rule on again. The same cost to client-side rules."""
        return await self._set_inbox_rule("Enable-InboxRule", upn, rule_identity)

    async def _set_inbox_rule(self, cmdlet: str, upn: str, rule_identity: int | str) -> CmdletAnswer:
        parameters = {"Mailbox": upn, "Identity": str(rule_identity), "Confirm": False, "Force": True}
        return await self.invoke(cmdlet, parameters, upn, safe_to_repeat=True)

    async def mailbox(self, upn: str) -> Mailbox:
        """The mailbox of this UPN or address. Raises: NotFound."""
        answer = await self.invoke("Get-Mailbox", {"Identity": upn}, upn)
        return parse_mailbox(_the_one(answer, "Get-Mailbox"))

    async def forwarding_mailboxes(self) -> tuple[Mailbox, ...]:
        """The mailboxes that send their mail on to an SMTP address. Inbox rules that do so are not among them."""
        parameters = {"Filter": "ForwardingSmtpAddress -ne $null", "ResultSize": "Unlimited"}
        answer = await self.invoke("Get-Mailbox", parameters)
        return tuple(box for box in map(parse_mailbox, answer.rows) if box.forwarding.smtp_address is not None)

    async def audit_bypassed(self, upn: str) -> bool | None:
        """
        Whether nothing that this account does is recorded, in its own mailbox or in others; None when Exchange does not
        say. Raises: NotFound. Source: Get-MailboxAuditBypassAssociation, 2026-08-21.
        """
        answer = await self.invoke("Get-MailboxAuditBypassAssociation", {"Identity": upn}, upn)
        row = _the_one(answer, "Get-MailboxAuditBypassAssociation")
        return _flag(row, "AuditBypassEnabled")

    async def set_mailbox_audit(self, upn: str, enabled: bool) -> CmdletAnswer:
        """
        Record what is done in the mailbox, or no longer. Safe to repeat: it writes a fixed state.

        Exchange ignores it while the organisation has auditing off, and records the usual things anyway while it has it
        on. Source: "Manage mailbox auditing", 2024.
        """
        return await self._write("Set-Mailbox", upn, {"AuditEnabled": enabled})

    async def clear_forwarding(self, upn: str) -> CmdletAnswer:
        """Switch forwarding off, in both of its forms. Safe to repeat."""
        return await self.set_forwarding(upn, Forwarding(deliver_and_forward=False))

    async def set_forwarding(self, upn: str, before: Forwarding) -> CmdletAnswer:
        """Set forwarding to what it was, exactly. Safe to repeat: it writes a fixed state."""
        parameters = {
            "Identity": upn,
            "ForwardingSmtpAddress": before.smtp_address,
            "ForwardingAddress": before.address,
            "DeliverToMailboxAndForward": bool(before.deliver_and_forward),
        }
        return await self.invoke("Set-Mailbox", parameters, upn, safe_to_repeat=True)

    async def cas_mailbox(self, upn: str) -> CasMailbox:
        """The protocols that the mailbox is open to. Raises: NotFound."""
        answer = await self.invoke("Get-CASMailbox", {"Identity": upn}, upn)
        return read(CasMailbox, _the_one(answer, "Get-CASMailbox"), "exchange")

    async def mailbox_permissions(self, upn: str) -> tuple[MailboxPermission, ...]:
        """Everybody's rights to the mailbox, its owner's own ("NT AUTHORITY\\SELF") included."""
        answer = await self.invoke("Get-MailboxPermission", {"Identity": upn}, upn)
        return _each(MailboxPermission, answer)

    async def set_protocols(self, upn: str, protocols: Mapping[str, bool | None]) -> CmdletAnswer:
        """
        Open and close ways into the mailbox, by the names of `CasMailbox`. Safe to repeat: it writes a fixed state.

        None leaves `smtp_auth_disabled` to the organisation. Raises: Rejected (code unknown_protocol).
        """
        if unknown := protocols.keys() - _PROTOCOLS.keys():
            raise Rejected("exchange", code="unknown_protocol", detail=f"There is no protocol {min(unknown)}.")
        parameters = {_PROTOCOLS[name]: value for name, value in protocols.items()}
        return await self._write("Set-CASMailbox", upn, parameters)

    # who else may use a mailbox

    async def remove_mailbox_permission(self, upn: str, user: str, rights: Sequence[str]) -> None:
        """Take rights to the whole mailbox away; those that are gone already count as done."""
        parameters = {"User": user, "AccessRights": list(rights), "Confirm": False}
        await self._unless(_GONE, self._write, "Remove-MailboxPermission", upn, parameters)

    async def add_mailbox_permission(self, upn: str, user: str, rights: Sequence[str]) -> None:
        """Give rights to the whole mailbox; those that are there already count as done."""
        parameters = {"User": user, "AccessRights": list(rights)}
        await self._unless(_THERE, self._write, "Add-MailboxPermission", upn, parameters)

    async def send_as_permissions(self, upn: str) -> tuple[SendAsPermission, ...]:
        """Everybody who may send as the mailbox, its owner ("NT AUTHORITY\\SELF") included."""
        return _each(SendAsPermission, await self.invoke("Get-RecipientPermission", {"Identity": upn}, upn))

    async def remove_send_as(self, upn: str, trustee: str) -> None:
        """No longer let somebody send as the mailbox; counts as done when they may not anyway."""
        parameters = {"Trustee": trustee, "AccessRights": ["SendAs"], "Confirm": False}
        await self._unless(_GONE, self._write, "Remove-RecipientPermission", upn, parameters)

    async def add_send_as(self, upn: str, trustee: str) -> None:
        """Let somebody send as the mailbox; counts as done when they may already."""
        parameters = {"Trustee": trustee, "AccessRights": ["SendAs"], "Confirm": False}
        await self._unless(_THERE, self._write, "Add-RecipientPermission", upn, parameters)

    async def set_send_on_behalf(self, upn: str, names: Sequence[str]) -> CmdletAnswer:
        """Let these, and nobody else, send on behalf of the mailbox. Safe to repeat: it writes a fixed state."""
        return await self._write("Set-Mailbox", upn, {"GrantSendOnBehalfTo": list(names) or None})

    async def folder_permissions(self, upn: str, folder: str) -> tuple[FolderPermission, ...]:
        """
        Everybody's rights to a folder, those of everybody ("Default", "Anonymous") included.

        `folder` is a path such as Inbox or Calendar, or "" for the root. Exchange knows folders by the names of the
        mailbox's language, so for a well-known folder that it does not find, its own name is looked up (how cmdlets
        spell it is documented, that the route gives the same is not verified). Raises: NotFound.
        """

        async def permissions(identity: str) -> CmdletAnswer:
            return await self.invoke("Get-MailboxFolderPermission", {"Identity": identity}, upn)

        answer = await self._in_folder(upn, folder, permissions)
        return tuple(parse_folder_permission(row) for row in answer.rows)

    async def remove_folder_permission(self, upn: str, folder: str, user: str, rights: Sequence[str]) -> None:
        """
        Take all rights to a folder away: Exchange removes whole entries. Gone already counts as done.

        The entries of everybody ("Default", "Anonymous") cannot be removed, so they are set to None.
        """
        if user.casefold() in _EVERYBODY:
            return await self._set_folder_permission(upn, folder, user, ["None"])
        await self._change_folder(
            _GONE, "Remove-MailboxFolderPermission", upn, folder, {"User": user, "Confirm": False}
        )

    async def add_folder_permission(self, upn: str, folder: str, user: str, rights: Sequence[str]) -> None:
        """Give rights to a folder; an entry that is there already counts as done, whatever it holds: read again."""
        if user.casefold() in _EVERYBODY:  # their entry is always there
            return await self._set_folder_permission(upn, folder, user, rights)
        parameters = {"User": user, "AccessRights": list(rights)}
        await self._change_folder(_THERE, "Add-MailboxFolderPermission", upn, folder, parameters)

    async def _set_folder_permission(self, upn: str, folder: str, user: str, rights: Sequence[str]) -> None:
        parameters = {"User": user, "AccessRights": list(rights)}
        await self._change_folder((), "Set-MailboxFolderPermission", upn, folder, parameters)

    async def _change_folder(
        self, done: tuple[str, ...], cmdlet: str, upn: str, folder: str, parameters: Mapping[str, Any]
    ) -> None:
        async def change(identity: str) -> CmdletAnswer:
            return await self.invoke(cmdlet, {"Identity": identity, **parameters}, upn, safe_to_repeat=True)

        await self._unless(done, self._in_folder, upn, folder, change)

    async def _in_folder(self, upn: str, folder: str, run: Callable[[str], Awaitable[CmdletAnswer]]) -> CmdletAnswer:
        """Run something for a folder: by the name that was given, else by the one that it has in this mailbox."""
        try:
            return await run(f"{upn}:\\{folder}")
        except NotFound:
            path = await self._folder_path(upn, folder)
            if path is None or path.casefold() == folder.casefold():
                raise
            return await run(f"{upn}:\\{path}")

    async def _folder_path(self, upn: str, folder: str) -> str | None:
        if folder.casefold() not in ("inbox", "calendar"):
            return None
        parameters = {"Identity": upn, "FolderScope": folder.capitalize()}
        return parse_folder_path(await self.invoke("Get-MailboxFolderStatistics", parameters, upn), folder)

    async def _write(self, cmdlet: str, upn: str, parameters: Mapping[str, Any]) -> CmdletAnswer:
        """Write a fixed state, which may be done twice."""
        return await self.invoke(cmdlet, {"Identity": upn, **parameters}, upn, safe_to_repeat=True)

    async def _unless(
        self, done: tuple[str, ...], run: Callable[..., Awaitable[CmdletAnswer]], *arguments: Any
    ) -> None:
        """Run it; a refusal in these words means that things are as they should be. Callers read again afterwards."""
        try:
            await run(*arguments)
        except Rejected as refusal:
            words = f"{refusal.code} {refusal.detail}".casefold()
            if not any(phrase in words for phrase in done):
                raise

    # what is set up in a mailbox

    async def mobile_devices(self, upn: str) -> tuple[MobileDevice, ...]:
        """The devices that synchronise the mailbox. Raises: NotFound."""
        return _each(MobileDevice, await self.invoke("Get-MobileDeviceStatistics", {"Mailbox": upn}, upn))

    async def message_configuration(self, upn: str) -> MessageConfiguration:
        """The signature, as far as Exchange keeps it. Raises: NotFound."""
        answer = await self.invoke("Get-MailboxMessageConfiguration", {"Identity": upn}, upn)
        return parse_message_configuration(answer)

    # the organisation

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]:
        """The outbound spam policies. Raises: BrokenAnswer for none, since the default one is always among them."""
        found = _each(OutboundPolicy, await self.invoke("Get-HostedOutboundSpamFilterPolicy"))
        if not found:
            raise BrokenAnswer("exchange", what="outbound policies")
        return found

    async def set_auto_forwarding(self, policy: str, mode: str) -> CmdletAnswer:
        """
        Let people under an outbound spam policy forward mail to outside automatically, or not: Automatic, On or Off.

        Safe to repeat: it writes a fixed state. Raises: Rejected, also for an organisation that was never customised.
        Source: Set-HostedOutboundSpamFilterPolicy, 2026-08-21.
        """
        return await self._write_settings(
            "Set-HostedOutboundSpamFilterPolicy", {"Identity": policy, "AutoForwardingMode": mode}
        )

    async def outbound_rules(self) -> tuple[OutboundRule, ...]:
        """
        To whom the outbound spam policies apply. Raises: BrokenAnswer for a rule that does not name its policy.

        Source: Get-HostedOutboundSpamFilterRule, 2026-08-21.
        """
        found = _each(OutboundRule, await self.invoke("Get-HostedOutboundSpamFilterRule"))
        if any(rule.policy is None for rule in found):
            raise BrokenAnswer("exchange", what="HostedOutboundSpamFilterPolicy")
        return found

    async def audit_config(self) -> bool | None:
        """Whether the unified audit log takes entries in; None when Exchange does not say."""
        row = _the_one(await self.invoke("Get-AdminAuditLogConfig"), "Get-AdminAuditLogConfig")
        return _flag(row, "UnifiedAuditLogIngestionEnabled")

    async def organization_config(self) -> OrganizationConfig:
        """Settings of the organisation."""
        answer = await self.invoke("Get-OrganizationConfig")
        return read(OrganizationConfig, _the_one(answer, "Get-OrganizationConfig"), "exchange")

    async def smtp_auth_off(self) -> bool | None:
        """
        Whether SMTP AUTH is off for every mailbox that does not say otherwise; None when Exchange does not say.

        Source: Get-TransportConfig, 2026-08-21.
        """
        row = _the_one(await self.invoke("Get-TransportConfig"), "Get-TransportConfig")
        return _flag(row, "SmtpClientAuthenticationDisabled")

    async def set_organization_audit(self, enabled: bool) -> CmdletAnswer:
        """
        Mailbox auditing for everybody, which no mailbox can then be left out of by its own setting; or for nobody.

        Safe to repeat: it writes a fixed state. Source: Set-OrganizationConfig, 2026-08-21.
        """
        return await self._write_settings("Set-OrganizationConfig", {"AuditDisabled": not enabled})

    async def _write_settings(self, cmdlet: str, parameters: Mapping[str, Any]) -> CmdletAnswer:
        """Write a fixed state of the organisation, which may be done twice."""
        return await self.invoke(cmdlet, parameters, safe_to_repeat=True)


def _the_one(answer: CmdletAnswer, cmdlet: str) -> Row:
    """The only row. Raises: NotFound for none, Rejected (code ambiguous) for several."""
    if not answer.rows:
        raise NotFound("exchange", action=cmdlet)
    if len(answer.rows) > 1:
        raise Rejected("exchange", code="ambiguous", detail="Several objects bear this name.", action=cmdlet)
    return answer.rows[0]


def _flag(row: Row, name: str) -> bool | None:
    """Raises: BrokenAnswer for a container."""
    try:
        return to_flag(row.get(name))
    except ValueError:
        raise BrokenAnswer("exchange", what=name) from None


def _each(model: type[Model], answer: CmdletAnswer) -> tuple[Model, ...]:
    return tuple(read(model, row, "exchange") for row in answer.rows)
