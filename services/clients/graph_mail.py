"""Mailboxes in Microsoft Graph: the visible inbox rules and the messages of a folder. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.clients import odata
from services.clients.graph_calls import Object, Place, addresses, build, leaf
from services.clients.graph_models import MailItem, MailRule
from services.clients.http import Request
from services.clients.reading import part, read, to_flag, to_text

_RULES = "/users/{user}/mailFolders/inbox/messageRules"


def build_message_rules(place: Place, oid: str) -> Request:
    return build(place, "GET", _RULES, names={"user": oid}, lane="mailbox", permission="MailboxSettings.Read")


def build_set_message_rule(place: Place, oid: str, rule_id: str, enabled: bool) -> Request:
    """Safe to repeat: it writes a fixed state. Source: "Update messageRule", 2025."""
    names, permission = {"user": oid, "rule": rule_id}, "MailboxSettings.ReadWrite"
    path, body = f"{_RULES}/{{rule}}", {"isEnabled": enabled}
    return build(place, "PATCH", path, names=names, body=body, lane="mailbox", permission=permission)


def parse_message_rule(data: Object) -> MailRule:
    """One rule. Actions decide whether it looks harmless, so an odd form of them is refused. Source: "List rules"."""
    actions = part(data, "actions", "graph")
    return read(
        MailRule,
        data,
        "graph",
        forward_to=addresses(actions, "forwardTo"),
        forward_as_attachment_to=addresses(actions, "forwardAsAttachmentTo"),
        redirect_to=addresses(actions, "redirectTo"),
        move_to_folder_id=leaf(to_text, actions, "moveToFolder"),
        copy_to_folder_id=leaf(to_text, actions, "copyToFolder"),
        delete=leaf(to_flag, actions, "delete"),
        permanent_delete=leaf(to_flag, actions, "permanentDelete"),
        mark_as_read=leaf(to_flag, actions, "markAsRead"),
        stop_processing=leaf(to_flag, actions, "stopProcessingRules"),
        conditions=_said(part(data, "conditions", "graph")),
        exceptions=_said(part(data, "exceptions", "graph")),
    )


def _said(conditions: Object) -> dict[str, Any]:
    """Conditions that say something; Graph sends the others as null, false or empty lists."""
    said = ((name, value) for name, value in conditions.items() if not name.startswith("@"))
    return {name: value for name, value in said if value not in (None, False, [], {}, "")}


#: Well-known folders whose messages the owner wrote; elsewhere a message counts from when it arrived.
_WRITTEN_HERE = frozenset({"sentitems", "drafts", "outbox"})
_MESSAGE_FIELDS = (
    "id,internetMessageId,subject,from,sentDateTime,receivedDateTime,toRecipients,ccRecipients,bccRecipients"
)


def build_mail_items(place: Place, oid: str, folder: str, since: datetime, limit: int) -> Request:
    """
    The messages of a folder, newest first; `folder` is a well-known name (sentitems, deleteditems, inbox) or an id.

    The property that is sorted by is the one that is filtered by, as Graph demands for messages.
    Source: "List messages", 2025, for $filter with $orderby; Mail.ReadBasic.All shows no body.
    """
    moment = "sentDateTime" if folder.casefold() in _WRITTEN_HERE else "receivedDateTime"
    query = {
        "$select": _MESSAGE_FIELDS,
        "$filter": f"{moment} ge {odata.moment(since)}",
        "$orderby": f"{moment} desc",
        "$top": str(min(limit, 1000)),
    }
    names, path = {"user": oid, "folder": folder}, "/users/{user}/mailFolders/{folder}/messages"
    return build(place, "GET", path, names=names, query=query, lane="mailbox", permission="Mail.ReadBasic.All")


def parse_mail_item(data: Object) -> MailItem:
    """One message. Source: "message resource type", 2025."""
    kinds = ("toRecipients", "ccRecipients", "bccRecipients")
    recipients = tuple(address for kind in kinds for address in addresses(data, kind))
    return read(MailItem, data, "graph", recipients=recipients)
