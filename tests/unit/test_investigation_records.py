"""What the unified audit log says about the mailbox: deletions, and changes of rules, forwarding and permissions."""

from datetime import timedelta
from typing import Any

import pytest

from services.cases import Finding, SignalState
from services.clients.exchange_models import Mailbox
from services.clients.graph_models import AuditRecord
from services.errors import LicenceMissing, Unavailable
from services.investigation.evidence import RECORD_LIMIT
from services.investigation.records import address_of, folder_of, parameters, plain_address
from services.investigation.table import table
from tests.fakes.account import NOW, STRANGER_IP, UPN, FakeAccount, blocked, look, record, strangers_sign_in

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
SUSPECTED_FROM = table().verdict.suspected_from
BOTH = pytest.mark.parametrize("signal_id", ["deleted_mail", "mailbox_audit"])


def deletions(n: int, folder: str = "\\Inbox", operation: str = "HardDelete", **fields: Any) -> tuple[AuditRecord, ...]:
    """So many, ten seconds apart."""
    values = {"Folder": {"Path": folder}, "AffectedItems": [{"Subject": "Prize"}], **fields}
    return tuple(
        record(operation, NOW - timedelta(hours=2, seconds=10 * number), number, **values) for number in range(n)
    )


def cmdlet(operation: str, number: int = 0, **given: str) -> AuditRecord:
    """A change by the account; names that begin in lower case are columns of the entry."""
    columns = {name: given.pop(name) for name in tuple(given) if name[0].islower()}
    pairs = [{"Name": name, "Value": value} for name, value in given.items()]
    return record(operation, number=number, Parameters=pairs, **columns)


async def looked(signal_id: str, *log: AuditRecord, strangers: bool = False, **account: Any) -> Finding:
    if strangers:
        account["sign_in_log"] = strangers_sign_in()
    return await look(signal_id, FakeAccount(records=log, **account))


def keys(finding: Finding) -> set[str]:
    return {text.key.rpartition(".")[2] for text in (finding.summary, *finding.evidence)}


# --- deletions -------------------------------------------------------------------------------------------------------


async def test_a_few_deletions_are_clear():
    """
    Everybody deletes mail, now and then some that they sent.
    """
    finding = await looked("deleted_mail", *deletions(20), *deletions(2, "\\Sent Items"))

    assert (finding.state, finding.summary.params["n"]) == (CLEAR, 22)


@pytest.mark.parametrize("folder", ["\\Sent Items", "\\Skickat", "/Éléments envoyés", "\\Top\\Gesendete Elemente\\"])
@pytest.mark.parametrize("operation", ["HardDelete", "SoftDelete", "MoveToDeletedItems"])
async def test_deletions_from_sent_items_are_found_in_any_language(folder: str, operation: str):
    """
    How many, when, from where; alone it stays below a suspicion, for owners clear out that folder as well.
    """
    finding = await looked("deleted_mail", *deletions(9, folder, operation))

    assert finding.summary.key == "finding.deleted_mail.from_sent"
    assert (finding.evidence[0].params["n"], finding.evidence[0].params["ip"]) == (9, "192.0.2.1")
    assert finding.weight < SUSPECTED_FROM


@pytest.mark.parametrize(("folder", "suspected"), [("\\Sent Items", True), ("\\Inbox", False)])
async def test_one_deletion_from_the_address_of_a_suspicious_sign_in_is_found(folder: str, suspected: bool):
    """
    Whoever clears Sent Items from there is hardly the owner; other mail is told and weighs little.
    """
    finding = await looked("deleted_mail", *deletions(1, folder, ip_address=f"[{STRANGER_IP}]:443"), strangers=True)

    assert (finding.state, finding.summary.params["ip"]) == (FOUND, STRANGER_IP)
    assert (finding.weight >= SUSPECTED_FROM) is suspected


async def test_clearing_sent_items_from_a_new_place_weighs_more():
    """
    Travellers do what they always do; this is not what people do on a trip.
    """
    log = deletions(9, "\\Sent Items", ip_address=STRANGER_IP)
    finding = await look("deleted_mail", FakeAccount(records=log, sign_in_log=strangers_sign_in(None)))

    assert "new_place" in keys(finding)
    assert finding.weight > (await looked("deleted_mail", *deletions(9, "\\Sent Items"))).weight


async def test_many_at_once_count_by_message():
    """
    One entry may hold many messages.
    """
    finding = await looked("deleted_mail", *deletions(2, AffectedItems=[{"Subject": "x"}] * 60))

    assert finding.summary.params["n"] == 120


async def test_what_retention_deletes_is_left_out():
    """
    Only what the account itself did counts.
    """
    log = deletions(300, "\\Sent Items", user_upn="NT AUTHORITY\\SYSTEM")

    assert (await looked("deleted_mail", *log)).state is CLEAR


# --- changes ---------------------------------------------------------------------------------------------------------


async def test_mail_as_usual_is_no_change():
    """
    Sending and deleting are other signals' business.
    """
    assert (await looked("mailbox_audit", record("Send"), *deletions(3))).state is CLEAR


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (cmdlet("New-InboxRule", Name=".", ForwardTo="smtp:x@evil.example"), "rule_sends_out"),
        (cmdlet("Set-InboxRule", Name=".", DeleteMessage="True"), "rule_hides"),
        (cmdlet("New-InboxRule", Name=".", MoveToFolder="jane:\\RSS-prenumerationer"), "rule_hides"),
        (cmdlet("New-InboxRule", Name="Boss", MoveToFolder="jane:\\Boss"), "rule"),
        (cmdlet("Set-Mailbox", ForwardingSmtpAddress="smtp:x@evil.example"), "forwarding"),
        (cmdlet("Set-Mailbox", ForwardingAddress="collector"), "forwarding"),
        (cmdlet("Set-Mailbox", GrantSendOnBehalfTo="eve"), "permission"),
        (cmdlet("Set-Mailbox", AuditEnabled="False"), "auditing"),
        (cmdlet("Set-MailboxAuditBypassAssociation", AuditBypassEnabled="True"), "auditing"),
        (cmdlet("Add-MailboxPermission", User="eve", AccessRights="FullAccess"), "permission"),
        (cmdlet("Add-RecipientPermission", Trustee="eve", AccessRights="SendAs"), "permission"),
        (record("AddFolderPermissions", Item={"ParentFolder": {"MemberUpn": "eve@evil.example"}}), "permission"),
        (cmdlet("New-TransportRule", Name="Copy"), "transport"),
        (cmdlet("Set-CASMailbox", ImapEnabled="True"), "protocols"),
        (cmdlet("Set-CASMailbox", SmtpClientAuthenticationDisabled="False"), "protocols"),
    ],
)
async def test_changes_by_the_account_are_found(change: AuditRecord, key: str):
    """
    What was changed, when and from where; a single one is no suspicion yet.
    """
    finding = await looked("mailbox_audit", change)

    detail = finding.evidence[0].params
    assert (finding.state, detail["what"].key) == (FOUND, f"finding.mailbox_audit.{key}")
    assert (detail["at"].at, detail["ip"]) == (change.at, "192.0.2.1")
    assert finding.weight < SUSPECTED_FROM


async def test_a_rule_that_outlook_made_is_read_from_its_own_form():
    """
    The mailbox's client leaves the rule among OperationProperties.
    """
    pairs = {"RuleName": "..", "RuleActions": '[{"ActionType":"Forward","Recipients":["x@evil.example"]}]'}
    change = record("UpdateInboxRules", OperationProperties=[{"Name": n, "Value": v} for n, v in pairs.items()])

    what = (await looked("mailbox_audit", change)).evidence[0].params["what"]

    assert what.params == {"name": "..", "targets": ["x@evil.example"]}


@pytest.mark.parametrize(
    "change",
    [
        cmdlet("Set-Mailbox", ForwardingSmtpAddress=""),
        cmdlet("Set-Mailbox", ForwardingSmtpAddress="$null", DeliverToMailboxAndForward="False"),
        cmdlet("Set-Mailbox", ForwardingSmtpAddress="smtp:megan@contoso.com"),
        cmdlet("Set-Mailbox", Languages="sv-SE"),
        cmdlet("Set-CASMailbox", ImapEnabled="False"),
        record("New-InboxRule", ResultStatus="False"),
        record("New-InboxRule", user_upn="NT AUTHORITY\\SYSTEM (w3wp)"),
        record("Remove-InboxRule"),
    ],
)
async def test_what_opens_nothing_is_no_change(change: AuditRecord):
    """
    Clearing, closing, failing, the organisation's own addresses, and what Exchange itself does.
    """
    assert (await looked("mailbox_audit", change)).state is CLEAR


async def test_what_an_admin_did_is_told_and_does_not_count():
    """
    An assistant's rights are set up by admins; from a suspicious address they count all the same.
    """
    change = cmdlet("Add-MailboxPermission", user_upn="admin@contoso.com", User="assistant")
    finding = await looked("mailbox_audit", change)
    assert (finding.state, keys(finding)) == (CLEAR, {"clear", "by_other", "audit_lag"})

    stolen = change.model_copy(update={"ip_address": STRANGER_IP})
    assert (await looked("mailbox_audit", stolen, strangers=True)).weight >= SUSPECTED_FROM


@pytest.mark.parametrize(
    ("operation", "key"), [("MailItemsAccessed", "read_by_stranger"), ("Send", "sent_by_stranger")]
)
async def test_mail_that_was_read_or_sent_from_a_suspicious_address_is_found(operation: str, key: str):
    """
    Even when nothing was changed, somebody was in the mailbox; it may have been the owner, so it weighs little.
    """
    finding = await looked("mailbox_audit", record(operation, ip_address=STRANGER_IP), strangers=True)

    assert (finding.summary.key, finding.summary.params["n"]) == (f"finding.mailbox_audit.{key}", 1)
    assert 0 < finding.weight < SUSPECTED_FROM


# --- what is not known -----------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(("enabled", "text"), [(False, "audit_off"), (True, "audit_empty"), (None, "audit_empty")])
async def test_an_empty_log_is_unknown(signal_id: str, enabled: bool | None, text: str):
    """
    A mailbox in use leaves entries, so none means that nobody keeps them.
    """
    finding = await looked(signal_id, box=Mailbox(upn=UPN, audit_enabled=enabled))

    assert (finding.state, finding.summary.key) == (UNKNOWN, f"unreadable.{text}")


@BOTH
async def test_entries_prove_that_a_mailbox_is_audited_whatever_it_says(signal_id: str):
    """
    Where auditing is on by default, mailboxes may still say that it is off.
    """
    assert (await looked(signal_id, record("Send"), box=Mailbox(upn=UPN, audit_enabled=False))).state is CLEAR
    assert (await looked(signal_id, record("Send"), box=Unavailable("exchange"))).state is CLEAR


@BOTH
async def test_a_log_that_was_cut_off_or_begins_after_the_block_proves_nothing(signal_id: str):
    """
    What was not read may be what matters.
    """
    log = tuple(record("Send", number=number) for number in range(RECORD_LIMIT))
    assert (await looked(signal_id, *log)).summary.key == "unreadable.audit_cut_off"

    old = blocked(block=blocked().block.model_copy(update={"since": NOW - timedelta(days=9)}))
    assert (await look(signal_id, FakeAccount(), old)).summary.key == "unreadable.audit_too_old"


@BOTH
async def test_a_search_that_has_no_licence_or_still_runs_comes_through(signal_id: str):
    """
    Whoever runs the signal turns this into "could not be read".
    """
    for refusal in (LicenceMissing("graph"), Unavailable("graph", reason="still_running")):
        with pytest.raises(type(refusal)):
            await look(signal_id, FakeAccount(records=refusal))


@BOTH
async def test_without_sign_ins_the_rest_is_still_judged(signal_id: str):
    """
    No address is suspicious then, and what was done counts by itself.
    """
    log = (*deletions(9, "\\Sent Items"), cmdlet("New-InboxRule", Name="."))

    assert (await looked(signal_id, *log, sign_in_log=LicenceMissing("graph"))).state is FOUND


# --- reading entries -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:50123", "203.0.113.9"),
        ("[203.0.113.9]:443", "203.0.113.9"),
        ("[2001:DB8::1]:443", "2001:db8::1"),
        ("2001:db8:0::1", "2001:db8::1"),
        ("somewhere", "somewhere"),
        ("  ", None),
        (None, None),
        (7, None),
    ],
)
def test_addresses_are_compared_in_one_form(text: Any, address: str | None):
    """
    Exchange adds ports and brackets.
    """
    assert plain_address(text) == address


def test_odd_forms_of_entries_are_read_as_far_as_they_go():
    """
    Lists that are none, pairs without a name, folders without a path, and fields among the dynamic ones.
    """
    odd = record("X", Parameters="none", AffectedItems=[1, {"ParentFolder": None}], Folder=7)
    inner = record("X", ip_address=None, dynamicProperties={"ClientIPAddress": "::1", "Folder": {"Path": "\\A\\B"}})

    assert (parameters(odd), folder_of(odd)) == ({}, "")
    assert (address_of(inner), folder_of(inner)) == ("::1", "B")
