"""Graph's Outlook part: folders, messages, mailbox settings and the inbox rules it shows (never the hidden ones)."""

import re

from services.sandbox.graph.core import (
    MAILBOX,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    filtered,
    not_found,
)
from services.sandbox.state import InboxRule, Mailbox, MailFolder, Message, graph_time

routes = Routes(MAILBOX, family="outlook")
READ_SETTINGS = ("MailboxSettings.Read", "MailboxSettings.ReadWrite")
READ_MAIL = ("Mail.ReadBasic.All", "Mail.ReadBasic", "Mail.Read", "Mail.ReadWrite")
#: Folders that hold what the owner of the mailbox has written.
FROM_OWNER = ("drafts", "outbox", "sentitems")
LANGUAGES = {"en-US": "English (United States)", "sv-SE": "Swedish (Sweden)"}


def _mailbox_or_404(call: Call) -> Mailbox:
    person = call.tenant.person(call.names["user"])
    if person is None:
        raise not_found(call.names["user"])
    if person.mailbox is None:
        raise GraphError(404, "ErrorNonExistentMailbox", "The SMTP address has no mailbox associated with it.")
    return person.mailbox


def _folder_or_404(call: Call, mailbox: Mailbox) -> MailFolder:
    wanted = call.names["folder"]
    for folder in mailbox.folders:
        # Graph takes an id or a well-known name; "notes" and "rss" are neither.
        if wanted == folder.folder_id or (folder.well_known and wanted.lower() == folder.well_known):
            return folder
    raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")


@routes.add("GET", "users/{user}/mailFolders", READ_MAIL)
def folders(call: Call) -> Answer:
    """Source: "List mailFolders"; ten per page, names in the language of the mailbox."""
    mailbox = _mailbox_or_404(call)
    shown = [_folder_json(mailbox, folder) for folder in mailbox.folders]
    return collection(call, filtered(call, shown), _context(call, "mailFolders"), default=10, most=1000)


@routes.add("GET", "users/{user}/mailFolders/{folder}", READ_MAIL)
def folder(call: Call) -> Answer:
    """Source: "Get mailFolder"; by id or well-known name."""
    mailbox = _mailbox_or_404(call)
    shown = _folder_json(mailbox, _folder_or_404(call, mailbox))
    return Answer(200, {"@odata.context": call.context(_context(call, "mailFolders/$entity")), **shown})


@routes.add("GET", "users/{user}/mailFolders/{folder}/messages", READ_MAIL)
def messages(call: Call) -> Answer:
    """
    Source: "List messages"; ten per page, newest first; bodies need more than Mail.ReadBasic.

    What is sorted by must stand in the filter too, and first there; otherwise the query is too complex.
    """
    mailbox = _mailbox_or_404(call)
    found_in = _folder_or_404(call, mailbox)
    found = sorted(mailbox.messages.get(found_in.key, []), key=lambda message: message.at, reverse=_newest_first(call))
    shown = [_message_json(call, found_in, message) for message in found]
    return collection(call, filtered(call, shown), _context(call, "messages"), default=10, most=1000)


def _newest_first(call: Call) -> bool:
    """Whether `$orderby` leaves the newest on top. Raises: GraphError 400."""
    name, _, direction = call.query.get("$orderby", "receivedDateTime desc").partition(" ")
    if name not in ("receivedDateTime", "sentDateTime"):
        raise bad_request(f"The sandbox does not sort by '{name}'.", "ErrorInvalidRequest")
    conditions = re.sub(r"^[\s(]+", "", call.query.get("$filter", name))
    if "$orderby" in call.query and not conditions.startswith(name):
        text = "The restriction or sort order is too complex for this operation."
        raise bad_request(text, "InefficientFilter")
    return direction.strip().lower() == "desc"


@routes.add("GET", "users/{user}/mailboxSettings", READ_SETTINGS)
def mailbox_settings(call: Call) -> Answer:
    """Source: "Get user mailbox settings"; says nothing about forwarding."""
    mailbox = _mailbox_or_404(call)
    moment = {"dateTime": "2026-01-01T08:00:00.0000000", "timeZone": "UTC"}
    return Answer(
        200,
        {
            "@odata.context": call.context(_context(call, "mailboxSettings")),
            "archiveFolder": next(folder.folder_id for folder in mailbox.folders if folder.key == "archive"),
            "timeZone": "W. Europe Standard Time",
            "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly",
            "dateFormat": "yyyy-MM-dd",
            "timeFormat": "HH:mm",
            "userPurpose": "shared" if mailbox.kind == "SharedMailbox" else "user",
            "automaticRepliesSetting": {
                "status": mailbox.auto_reply,
                "externalAudience": "all",
                "internalReplyMessage": "",
                "externalReplyMessage": "",
                "scheduledStartDateTime": moment,
                "scheduledEndDateTime": moment,
            },
            "language": {"locale": mailbox.language, "displayName": LANGUAGES.get(mailbox.language, mailbox.language)},
            "workingHours": {
                "daysOfWeek": ["monday", "tuesday", "wednesday", "thursday", "friday"],
                "startTime": "08:00:00.0000000",
                "endTime": "17:00:00.0000000",
                "timeZone": {"name": "W. Europe Standard Time"},
            },
        },
    )


@routes.add("GET", "users/{user}/mailFolders/{folder}/messageRules", READ_SETTINGS)
def rules(call: Call) -> Answer:
    """Source: "List rules"; the Inbox has them, and hidden rules are not shown."""
    mailbox = _inbox_of(call)
    shown = [_rule_json(mailbox, rule) for rule in mailbox.rules if not rule.hidden]
    return collection(call, filtered(call, shown), _context(call, "mailFolders('inbox')/messageRules"))


@routes.add("GET", "users/{user}/mailFolders/{folder}/messageRules/{rule}", READ_SETTINGS)
def rule(call: Call) -> Answer:
    """Source: "Get rule"."""
    mailbox = _inbox_of(call)
    shown = _rule_json(mailbox, _rule_or_404(call, mailbox))
    context = call.context(_context(call, "mailFolders('inbox')/messageRules/$entity"))
    return Answer(200, {"@odata.context": context, **shown})


@routes.add("PATCH", "users/{user}/mailFolders/{folder}/messageRules/{rule}", "MailboxSettings.ReadWrite")
def update_rule(call: Call) -> Answer:
    """Source: "Update rule"; 200 with the rule. The sandbox keeps `isEnabled` and `displayName`."""
    mailbox = _inbox_of(call)
    changed, body = _rule_or_404(call, mailbox), call.json_body()
    _check_writable(changed)
    unknown = set(body) - {"isEnabled", "displayName"}
    if unknown:
        raise bad_request(f"The sandbox does not keep changes of '{sorted(unknown)[0]}'.", "ErrorInvalidRequest")
    enabled, name = bool(body.get("isEnabled", changed.enabled)), str(body.get("displayName", changed.name))

    def apply() -> None:
        changed.enabled, changed.name = enabled, name

    call.tenant.after(call.tenant.switches.mailbox_delay_s, apply)
    call.tenant.changed("inbox rule enabled" if enabled else "inbox rule disabled", f"{call.names['user']}: {name}")
    answer = {**_rule_json(mailbox, changed), "isEnabled": enabled, "displayName": name}
    return Answer(200, {"@odata.context": call.context(_context(call, "messageRules/$entity")), **answer})


@routes.add("DELETE", "users/{user}/mailFolders/{folder}/messageRules/{rule}", "MailboxSettings.ReadWrite")
def delete_rule(call: Call) -> Answer:
    """Source: "Delete messageRule"; 204."""
    mailbox = _inbox_of(call)
    doomed = _rule_or_404(call, mailbox)
    _check_writable(doomed)

    def remove() -> None:
        mailbox.rules = [rule for rule in mailbox.rules if rule is not doomed]

    call.tenant.after(call.tenant.switches.mailbox_delay_s, remove)
    call.tenant.changed("inbox rule deleted", f"{call.names['user']}: {doomed.name}")
    return Answer(204)


def _inbox_of(call: Call) -> Mailbox:
    mailbox = _mailbox_or_404(call)
    if _folder_or_404(call, mailbox).key != "inbox":
        raise bad_request("Rules are supported for the Inbox only.", "ErrorInvalidRequest")
    return mailbox


def _rule_or_404(call: Call, mailbox: Mailbox) -> InboxRule:
    found = mailbox.rule(call.names["rule"])
    if found is None:
        raise GraphError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    return found


def _check_writable(rule: InboxRule) -> None:
    if rule.read_only:
        raise bad_request("The rule is read-only and cannot be changed.", "ErrorInvalidRequest")


def _context(call: Call, what: str) -> str:
    return f"users('{call.names['user']}')/{what}"


def _folder_json(mailbox: Mailbox, folder: MailFolder) -> Json:
    return {
        "id": folder.folder_id,
        "displayName": folder.name,
        "parentFolderId": f"{mailbox.folders[0].folder_id[:40]}root",
        "childFolderCount": 0,
        "unreadItemCount": 0,
        "totalItemCount": len(mailbox.messages.get(folder.key, [])),
        "sizeInBytes": 0,
        "isHidden": False,
    }


def _message_json(call: Call, folder: MailFolder, message: Message) -> Json:
    # Mail that came in from elsewhere has another sender, which the sandbox does not keep.
    owner = call.tenant.person(call.names["user"])
    sender = _recipient(owner.display_name, owner.mail or owner.upn) if owner and folder.key in FROM_OWNER else None
    basic = {
        "@odata.etag": f'W/"{message.message_id[-24:]}"',
        "id": message.message_id,
        "createdDateTime": graph_time(message.at),
        "receivedDateTime": graph_time(message.at),
        "sentDateTime": graph_time(message.at),
        "internetMessageId": message.internet_id or f"<{message.message_id[-24:]}@contoso.com>",
        "parentFolderId": folder.folder_id,
        "subject": message.subject,
        "hasAttachments": False,
        "isDraft": False,
        "isRead": True,
        "sender": sender,
        "from": sender,
        "toRecipients": [_recipient("", address) for address in message.recipients],
        "ccRecipients": [_recipient("", address) for address in message.cc],
        "bccRecipients": [_recipient("", address) for address in message.bcc],
        "replyTo": [],
    }
    if not call.any_role("Mail.Read", "Mail.ReadWrite"):
        return basic
    body = {"contentType": "text", "content": message.body}
    return {**basic, "bodyPreview": message.body[:255], "body": body}


def _recipient(name: str, address: str) -> Json:
    return {"emailAddress": {"name": name or address, "address": address}}


def _rule_json(mailbox: Mailbox, rule: InboxRule) -> Json:
    """A rule as Graph shows it: conditions and actions hold what is set and nothing else; folders are ids."""
    moved_to = mailbox.folder(rule.move_to) if rule.move_to else None
    conditions = {"subjectContains": rule.subject_contains, "senderContains": rule.from_contains}
    actions = {
        "moveToFolder": moved_to.folder_id if moved_to else None,
        "delete": rule.delete,
        "markAsRead": rule.mark_read,
        "stopProcessingRules": rule.stop,
        "forwardTo": [_recipient(*receiver) for receiver in rule.forward_to],
        "redirectTo": [_recipient(*receiver) for receiver in rule.redirect_to],
        "forwardAsAttachmentTo": [_recipient(*receiver) for receiver in rule.forward_as_attachment_to],
    }
    shown: Json = {
        "id": rule.graph_id,
        "displayName": rule.name,
        "sequence": rule.sequence,
        "isEnabled": rule.enabled,
        "hasError": rule.has_error,
        "isReadOnly": rule.read_only,
        "actions": {name: value for name, value in actions.items() if value},
    }
    set_conditions = {name: value for name, value in conditions.items() if value}
    # A rule without conditions has no `conditions` at all.
    return {**shown, "conditions": set_conditions} if set_conditions else shown
