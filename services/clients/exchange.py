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
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from services.clients import odata
from services.clients.clouds import exchange_scope
from services.clients.exchange_models import (
    BlockedConnector,
    BlockedSender,
    CasMailbox,
    CmdletAnswer,
    Forwarding,
    InboxRule,
    Mailbox,
    MailboxPermission,
    OrganizationConfig,
    OutboundPolicy,
    parse_reason,
    parse_recipients,
)
from services.clients.http import Request, Response, Send
from services.clients.reading import Model, read, smtp_address, to_flag, to_loose_text
from services.errors import BrokenAnswer, NotFound, Rejected

Row = Mapping[str, Any]

#: The mailbox of the organisation, by which calls of an app that concern nobody in particular find their server.
_SYSTEM_MAILBOX = "SystemMailbox{bb558c35-97f1-4cb9-8ff7-d53741dc928c}"
#: Cmdlets run on a mailbox server and take their time, in seconds.
_TIMEOUT_S = 30.0


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

    Expects {"value": [{...}], "@adminapi.warnings": [str], "@odata.nextLink": str}; nothing at all is an answer too, as
    is a null value. Keys with "@odata" in them describe others and are left out. Raises: Rejected, BrokenAnswer.
    """
    request, data = response.request, response.json()
    if data is None:
        return [CmdletAnswer()], None
    if not isinstance(data, Mapping):
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
        """Inbound connectors that may not send."""
        answer = await self.invoke("Get-BlockedConnector")
        return tuple(parse_blocked_connector(row) for row in answer.rows)

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

    # the organisation

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]:
        """The outbound spam policies; the default one is among them."""
        return _each(OutboundPolicy, await self.invoke("Get-HostedOutboundSpamFilterPolicy"))

    async def audit_config(self) -> bool | None:
        """Whether the unified audit log takes entries in; None when Exchange does not say."""
        row = _the_one(await self.invoke("Get-AdminAuditLogConfig"), "Get-AdminAuditLogConfig")
        try:
            return to_flag(row.get("UnifiedAuditLogIngestionEnabled"))
        except ValueError:
            raise BrokenAnswer("exchange", what="UnifiedAuditLogIngestionEnabled") from None

    async def organization_config(self) -> OrganizationConfig:
        """Settings of the organisation."""
        answer = await self.invoke("Get-OrganizationConfig")
        return read(OrganizationConfig, _the_one(answer, "Get-OrganizationConfig"), "exchange")


def _the_one(answer: CmdletAnswer, cmdlet: str) -> Row:
    """The only row. Raises: NotFound for none, Rejected (code ambiguous) for several."""
    if not answer.rows:
        raise NotFound("exchange", action=cmdlet)
    if len(answer.rows) > 1:
        raise Rejected("exchange", code="ambiguous", detail="Several objects bear this name.", action=cmdlet)
    return answer.rows[0]


def _each(model: type[Model], answer: CmdletAnswer) -> tuple[Model, ...]:
    return tuple(read(model, row, "exchange") for row in answer.rows)
