"""Inbox rules as Exchange sees them: hidden ones on request, folders by localised path, and no dates."""

from services.sandbox.exchange.core import CmdletCall, CmdletError, Cmdlets, Row
from services.sandbox.state import InboxRule, Mailbox, Person

cmdlets = Cmdlets()


# A read-only role cannot list rules ("Get-InboxRule", notes).
@cmdlets.add(
    "Get-InboxRule", "Mailbox", "Identity", "IncludeHidden", "ResultSize", "DescriptionTimeZone", view_only=False
)
def get_rules(call: CmdletCall) -> list[Row]:
    """The rules of a mailbox; with `IncludeHidden` also the system's rules and those that Outlook does not show."""
    person, mailbox = call.mailbox("Mailbox")
    hidden_too = call.switch("IncludeHidden")
    found = [rule for rule in mailbox.rules if hidden_too or not rule.hidden]
    if call.text("Identity"):
        found = [_named_rule(call, mailbox)]
    return [_rule_row(person, mailbox, rule) for rule in found]


def _rule_row(person: Person, mailbox: Mailbox, rule: InboxRule) -> Row:
    folder = mailbox.folder(rule.move_to) if rule.move_to else None
    path = f"{person.upn}:\\{folder.name}" if folder else None
    return {
        "Identity": f"{person.oid}\\{rule.rule_identity}",
        "RuleIdentity": rule.rule_identity,
        "Name": rule.name,
        "Enabled": rule.enabled,
        "Priority": rule.sequence,
        "InError": rule.has_error,
        "ErrorType": "None",
        "SupportedByTask": not rule.read_only,
        "IsValid": True,
        "Description": _description(rule, path),
        "From": None,
        "FromAddressContainsWords": rule.from_contains or None,
        "SubjectContainsWords": rule.subject_contains or None,
        "SubjectOrBodyContainsWords": None,
        "BodyContainsWords": None,
        "ForwardTo": _receivers(rule.forward_to),
        "ForwardAsAttachmentTo": _receivers(rule.forward_as_attachment_to),
        "RedirectTo": _receivers(rule.redirect_to),
        "MoveToFolder": path,
        "CopyToFolder": None,
        "DeleteMessage": rule.delete,
        "SoftDeleteMessage": False,
        "MarkAsRead": rule.mark_read,
        "StopProcessingRules": rule.stop,
        "MailboxOwnerId": person.oid,
        "ObjectState": "Unchanged",
    }


def _receivers(receivers: list[tuple[str, str]]) -> list[str] | None:
    return [f'"{name}" [SMTP:{address}]' for name, address in receivers] or None


def _description(rule: InboxRule, path: str | None) -> str:
    words = [f"If the message:\r\n\tthe subject contains '{word}'\r\n" for word in rule.subject_contains]
    words += [f"Take the following actions:\r\n\tmove the message to folder '{path}'\r\n"] if path else []
    words += ["\tdelete the message\r\n"] if rule.delete else []
    return "".join(words)


def _named_rule(call: CmdletCall, mailbox: Mailbox) -> InboxRule:
    """A rule by name, by RuleIdentity, or by either after `mailbox\\`."""
    wanted = call.required("Identity")
    last = wanted.rpartition("\\")[2]
    for rule in mailbox.rules:
        if last == str(rule.rule_identity) or last.lower() == rule.name.lower():
            return rule
    text = f"The Inbox rule '{wanted}' couldn't be found. Verify the name of the rule and try again."
    raise CmdletError("Microsoft.Exchange.Data.Storage.Management.InboxRuleNotFoundException", text, 404)


def _changeable(call: CmdletCall) -> tuple[Person, Mailbox, InboxRule]:
    """
    The rule to change. Raises: CmdletError for a rule that only Outlook can change.

    Touching rules this way deletes the rules that live in the user's Outlook, which Exchange says beforehand unless
    `Force` or `AlwaysDeleteOutlookRulesBlob` is given; over HTTP nobody is asked.
    """
    person, mailbox = call.mailbox("Mailbox")
    rule = _named_rule(call, mailbox)
    if rule.read_only:
        text = f"The Inbox rule '{rule.name}' can't be changed here because it was made by another program."
        raise CmdletError("Microsoft.Exchange.Data.Storage.Management.RuleNotSupportedByTaskException", text)
    if mailbox.client_side_rules:
        mailbox.client_side_rules, mailbox.client_side_rules_deleted = 0, True
        call.warnings.append("The rules that Outlook created for this mailbox and keeps on the computer were deleted.")
        call.tenant.changed("client-side rules deleted", person.upn)
    return person, mailbox, rule


def _switch_rule(call: CmdletCall, enabled: bool) -> list[Row]:
    person, _, rule = _changeable(call)

    def apply() -> None:
        rule.enabled = enabled

    call.tenant.after(call.tenant.switches.mailbox_delay_s, apply)
    call.tenant.changed("inbox rule enabled" if enabled else "inbox rule disabled", f"{person.upn}: {rule.name}")
    return []


@cmdlets.add("Disable-InboxRule", "Mailbox", "Identity", "Force", "AlwaysDeleteOutlookRulesBlob")
def disable_rule(call: CmdletCall) -> list[Row]:
    """Switch a rule off."""
    return _switch_rule(call, enabled=False)


@cmdlets.add("Enable-InboxRule", "Mailbox", "Identity", "Force", "AlwaysDeleteOutlookRulesBlob")
def enable_rule(call: CmdletCall) -> list[Row]:
    """Switch a rule on."""
    return _switch_rule(call, enabled=True)


@cmdlets.add("Remove-InboxRule", "Mailbox", "Identity", "Force", "AlwaysDeleteOutlookRulesBlob")
def remove_rule(call: CmdletCall) -> list[Row]:
    """Delete a rule."""
    person, mailbox, rule = _changeable(call)

    def remove() -> None:
        mailbox.rules = [kept for kept in mailbox.rules if kept is not rule]

    call.tenant.after(call.tenant.switches.mailbox_delay_s, remove)
    call.tenant.changed("inbox rule deleted", f"{person.upn}: {rule.name}")
    return []
