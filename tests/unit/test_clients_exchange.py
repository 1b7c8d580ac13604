"""The Exchange client: how cmdlets go out, how their many forms are read, and what is never repeated."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clients import exchange
from services.clients.exchange import ExchangeClient, build_cmdlet
from services.clients.exchange_models import Forwarding, graph_rule_id, parse_reason, parse_recipients
from services.clients.reading import to_moment
from services.errors import BotError, BrokenAnswer, NotFound, PermissionMissing, Rejected
from tests.fakes.http import Script, answered

TENANT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
LIMIT_REASON = (
    "EmailSendingLimitExceeded;InternalRecipientCountToday=12;ExternalRecipientCountToday=1045;"
    "ExceedingLimitType=External;Last MessagetraceId=4d5e;LastMessageRcptCount=90;"
)
SPAM_REASON = "OutboundSpamLast24Hours=80;OutboundSpamPercent=93;Last Spam Message MessagetraceId:4d5e"


def client(*answers: object) -> tuple[ExchangeClient, Script]:
    script = Script(*answers)
    return ExchangeClient(script, "https://outlook.office365.com/", TENANT), script


def rows(*found: dict[str, object], **more: object) -> dict[str, object]:
    return {"@adminapi.warnings": [], "value": list(found), **more}


def cmdlet(script: Script, number: int = 0) -> dict[str, object]:
    return script.requests[number].body["CmdletInput"]


# --- how cmdlets go out ---


async def test_a_cmdlet_is_one_post():
    """
    The tenant is in the path, the cmdlet in the body, and the organisation's mailbox shows the way.
    """
    mail, script = client(rows())

    await mail.blocked_senders()

    (request,) = script.requests
    assert f"https://outlook.office365.com/adminapi/beta/{TENANT}/InvokeCommand" == request.url
    assert {"CmdletName": "Get-BlockedSenderAddress", "Parameters": {}} == cmdlet(script)
    assert request.headers["X-AnchorMailbox"].startswith("APP:SystemMailbox{")


async def test_a_cmdlet_about_somebody_goes_to_their_mailbox():
    """
    The anchor is the person's UPN.
    """
    mail, script = client(rows({"UserPrincipalName": "jane@contoso.com", "ForwardingAddress": None}))

    await mail.mailbox("jane@contoso.com")

    assert "UPN:jane@contoso.com" == script.requests[0].headers["X-AnchorMailbox"]


def test_a_name_cannot_write_headers_of_its_own():
    """
    A line break in a UPN would end the header and begin another.
    """
    with pytest.raises(Rejected):
        build_cmdlet("https://x", TENANT, "Get-Mailbox", {}, anchor="a@b\r\nX-Evil: 1")


async def test_only_what_changes_nothing_twice_is_repeated():
    """
    Reading and setting a fixed state may be sent again; an unblock may not, for there is a limited number of them.
    """
    mail, script = client(rows(), rows(), rows(), rows())

    await mail.remove_blocked_sender("jane@contoso.com")
    await mail.blocked_senders()
    await mail.disable_inbox_rule("jane@contoso.com", 5)
    await mail.invoke("New-Something")

    assert [False, True, True, False] == [request.safe_to_repeat for request in script.requests]


async def test_pages_are_fetched_with_the_same_cmdlet():
    """
    The body goes to every link again, and all warnings come back.
    """
    link = f"https://outlook.office365.com/adminapi/beta/{TENANT}/InvokeCommand?$skiptoken=2"
    first = rows({"a": 1, "a@odata.type": "#Int32"}, **{"@odata.nextLink": link, "@adminapi.warnings": ["cut off"]})
    mail, script = client(first, rows({"a": 2}))

    answer = await mail.invoke("Get-Mailbox", {"ResultSize": "Unlimited"})

    assert ({"a": 1}, {"a": 2}) == answer.rows
    assert ("cut off",) == answer.warnings
    assert cmdlet(script, 0) == cmdlet(script, 1)


@pytest.mark.parametrize("body", [None, {"value": None}, {"value": []}, {}])
async def test_nothing_is_an_answer(body):
    """
    Cmdlets that write give no rows, in several ways.
    """
    mail, _ = client(body)

    assert () == (await mail.invoke("Set-Mailbox")).rows


async def test_an_error_in_a_good_answer_is_an_error():
    """
    Success is a good status and no error beside it.
    """
    mail, _ = client({"error": {"code": "X"}})

    with pytest.raises(Rejected):
        await mail.invoke("Set-Mailbox")


# --- the restricted list ---


@pytest.mark.parametrize(
    "date",
    [
        "2026-11-24T07:30:00Z",
        "2026-11-24T07:30:00",
        "2026-11-24T08:30:00.0000000+01:00",
        "/Date(1795505400000)/",
        "11/24/2026 7:30:00 AM",
        "11/24/2026 07:30:00",
        "Tue, 24 Nov 2026 07:30:00 GMT",
    ],
)
def test_dates_are_read_in_every_form_that_is_likely(date):
    """
    Nobody has documented which one Exchange uses; without an offset it is UTC.
    """
    assert datetime(2026, 11, 24, 7, 30, tzinfo=UTC) == to_moment(date)


@pytest.mark.parametrize("date", ["", "yesterday", "0001-01-01T00:00:00Z", "/Date(99999999999999999)/", True, 5, None])
def test_what_is_no_date_is_unknown(date):
    """
    .NET's year 1 means "never"; a date that cannot be read costs only itself.
    """
    assert to_moment(date) is None


def test_both_forms_of_a_reason_are_read():
    """
    One uses `=` throughout, the other `:` in places; keys that nobody knows yet survive.
    """
    assert "External" == parse_reason(LIMIT_REASON)["ExceedingLimitType"]
    assert "4d5e" == parse_reason(SPAM_REASON)["Last Spam Message MessagetraceId"]
    assert {"BrandNew": "1=2", "Flag": ""} == parse_reason("BrandNew=1=2; Flag ;;")


@pytest.mark.parametrize(
    ("sent", "read"), [(True, True), ("True", True), ("false", False), ("", None), (None, None), ("x", None)]
)
def test_temporary_blocks_are_read_from_flags_and_words(sent, read):
    """
    Its type over REST is not known; what cannot be read is unknown and not "no".
    """
    assert exchange.parse_blocked_sender({"SenderAddress": "a@b", "TemporaryBlock": sent}).temporary is read


@pytest.mark.parametrize("answer", [NotFound("exchange"), rows(), rows({"SenderAddress": "other@contoso.com"})])
async def test_somebody_who_is_not_on_the_list_is_none(answer):
    """
    An error, an empty answer, and one about somebody else all say that the entry is not there.
    """
    mail, _ = client(answer)

    assert await mail.blocked_sender("jane@contoso.com") is None


async def test_an_odd_refusal_for_one_address_is_settled_by_the_whole_list():
    """
    How Exchange answers for an address that is not on the list is not documented.
    """
    entry = {"SenderAddress": "JANE@contoso.com"}
    for rows, found in (([entry], True), ([], False)):
        mail, script = client(Rejected("exchange", code="NotFound", detail="Error executing cmdlet"), {"value": rows})

        assert found is (await mail.blocked_sender("jane@contoso.com") is not None)
        assert {} == script.requests[1].body["CmdletInput"]["Parameters"]


async def test_a_list_that_cannot_be_read_either_way_stays_unread():
    """
    Being refused is no proof that nobody is on the list.
    """
    mail, _ = client(Rejected("exchange", code="400"), Rejected("exchange", code="400"))

    with pytest.raises(Rejected):
        await mail.blocked_sender("jane@contoso.com")


@pytest.mark.parametrize("answer", [b"", b"{}", b"null"])
def test_an_empty_body_is_no_empty_list(answer: bytes):
    """
    It would say that nobody is blocked, and prove an unblock; of a cmdlet that writes it is a usual answer.
    """
    reading, writing = (build_cmdlet("https://x", TENANT, name, {}) for name in ("Get-BlockedConnector", "Set-Mailbox"))

    with pytest.raises(BrokenAnswer):
        exchange.parse_cmdlet_page(answered(answer, reading))
    assert exchange.parse_cmdlet_page(answered(answer, writing))[0][0].rows == ()


def test_a_mailbox_that_says_nothing_about_forwarding_is_no_good_news():
    """
    Null is "none"; fields that are not there at all are not an answer.
    """
    with pytest.raises(BrokenAnswer):
        exchange.parse_mailbox({"UserPrincipalName": "jane@contoso.com"})
    assert not exchange.parse_mailbox({"ForwardingSmtpAddress": None}).is_forwarding


async def test_an_entry_is_found_in_any_case():
    """
    Addresses have no case.
    """
    mail, _ = client(rows({"SenderAddress": "Jane@Contoso.com", "Reason": LIMIT_REASON}))

    entry = await mail.blocked_sender("jane@contoso.com")

    assert "1045" == entry.reason["ExternalRecipientCountToday"]
    assert LIMIT_REASON == entry.reason_raw


# --- rules ---


@pytest.mark.parametrize(
    ("sent", "addresses"),
    [
        (['"Eve" [SMTP:eve@evil.example]'], ["eve@evil.example"]),
        ('"Eve" [SMTP:eve@evil.example]', ["eve@evil.example"]),
        (["eve@evil.example"], ["eve@evil.example"]),
        ("a@b.example; c@d.example", ["a@b.example", "c@d.example"]),
        (['"Jane" [EX:/o=ExchangeLabs/cn=jane]'], [None]),
        (["Just A Name"], [None]),
        ([{"Address": "eve@evil.example"}], ["eve@evil.example"]),
        (None, []),
        ([], []),
        ("", []),
    ],
)
def test_recipients_are_read_in_every_notation(sent, addresses):
    """
    Lists or single texts, with names or without; a recipient of the house has no SMTP address here.
    """
    assert addresses == [recipient.address for recipient in parse_recipients(sent)]


def test_a_name_cannot_hide_an_address():
    """
    Names may imitate the notation; every address in the text counts, the real one included.
    """
    found = parse_recipients('"x" [SMTP:good@contoso.com]" [SMTP:eve@evil.example]')

    assert "eve@evil.example" in [recipient.address for recipient in found]


async def test_rules_that_show_only_on_request_are_hidden():
    """
    The list is read with and without hidden rules: the difference is what somebody has hidden.
    """
    shown = {"Identity": "jane\\1", "RuleIdentity": "1", "Name": "Newsletters", "Enabled": True}
    secret = {"Identity": "jane\\2", "RuleIdentity": 2, "Name": ".", "Enabled": "True", "DeleteMessage": True}
    mail, script = client(rows(shown, secret), rows(shown))

    first, second = await mail.inbox_rules("jane@contoso.com")

    assert (False, True) == (first.hidden, second.hidden)
    assert (1, 2) == (first.rule_identity, second.rule_identity)
    assert [True, None] == [cmdlet(script, n)["Parameters"].get("IncludeHidden") for n in (0, 1)]


def test_a_rule_is_read_whatever_form_its_parts_have():
    """
    Words come as a list or as one text, folders as a path in any language.
    """
    rule = exchange.parse_inbox_rule(
        {
            "Identity": "jane\\18446744073709551615",
            "RuleIdentity": 18446744073709551615,
            "Name": "Microsoft.Exchange.OOF.KeywordRule",
            "MoveToFolder": "Jane Doe:\\RSS-flöden",
            "SubjectContainsWords": "faktura",
            "BodyContainsWords": ["a", "b"],
            "Description": {"Text": "If ..."},
        }
    )

    assert ("faktura",) == rule.subject_words
    assert 18446744073709551615 == rule.rule_identity
    assert rule.is_system
    assert rule.hidden is None


def test_a_rule_has_one_id_in_both_services():
    """
    Graph shows the eight bytes of the identity in base64, little end first.
    """
    assert "AQAAAJ5dZp8=" == graph_rule_id(int.from_bytes(bytes.fromhex("010000009e5d669f"), "little"))


# --- mailboxes ---


def test_forwarding_is_read_and_never_lost():
    """
    The kind before the address goes, an odd form stays: an account that forwards must not look harmless.
    """
    usual = exchange.parse_mailbox(
        {"ForwardingSmtpAddress": "smtp:eve@evil.example", "DeliverToMailboxAndForward": True}
    )
    odd = exchange.parse_mailbox({"ForwardingSmtpAddress": {"Address": "eve@evil.example"}})

    assert Forwarding(smtp_address="eve@evil.example", deliver_and_forward=True) == usual.forwarding
    assert odd.is_forwarding


async def test_forwarding_is_cleared_in_both_forms():
    """
    When both addresses are set, clearing one leaves the other at work.
    """
    mail, script = client(rows())

    await mail.clear_forwarding("jane@contoso.com")

    assert {
        "Identity": "jane@contoso.com",
        "ForwardingSmtpAddress": None,
        "ForwardingAddress": None,
        "DeliverToMailboxAndForward": False,
    } == cmdlet(script)["Parameters"]


async def test_forwarding_is_put_back_as_it_was():
    """
    What was cleared can be undone.
    """
    mail, script = client(rows())

    await mail.set_forwarding("jane@contoso.com", Forwarding(smtp_address="a@b.example", deliver_and_forward=True))

    assert "a@b.example" == cmdlet(script)["Parameters"]["ForwardingSmtpAddress"]
    assert cmdlet(script)["Parameters"]["DeliverToMailboxAndForward"] is True


async def test_no_mailbox_is_not_found_and_two_are_refused():
    """
    An empty answer is no mailbox; two for one name are nobody that we may change.
    """
    mail, _ = client(rows(), rows({"Name": "a"}, {"Name": "b"}))

    with pytest.raises(NotFound):
        await mail.mailbox("x@contoso.com")
    with pytest.raises(Rejected):
        await mail.mailbox("x@contoso.com")


@pytest.mark.parametrize(("sent", "read"), [(True, True), ("False", False), (None, None)])
async def test_auditing_is_on_off_or_unknown(sent, read):
    """
    Exchange may not say.
    """
    mail, _ = client(rows({"UnifiedAuditLogIngestionEnabled": sent}))

    assert await mail.audit_config() is read


async def test_limits_of_a_policy_are_numbers():
    """
    They come as numbers or as words.
    """
    row = {
        "Identity": "Default",
        "IsDefault": True,
        "RecipientLimitPerDay": "10,000",
        "AutoForwardingMode": "Automatic",
    }
    mail, _ = client(rows(row))

    (policy,) = await mail.outbound_policies()

    assert (10_000, "Automatic", None) == (policy.recipients_per_day, policy.auto_forwarding_mode, policy.action)


@pytest.mark.parametrize("answer", [rows(), {"value": None}, None])
async def test_no_outbound_policy_at_all_is_no_answer(answer: dict | None):
    """
    The default policy cannot be deleted, and without it nobody could say which limits there are.
    """
    mail, _ = client(answer)

    with pytest.raises(BrokenAnswer):
        await mail.outbound_policies()


async def test_a_rule_that_names_no_policy_is_no_answer():
    """
    Left out, it would look as if the default policy were for everybody.
    """
    mail, _ = client(rows({"State": "Enabled", "From": ["jane@contoso.com"]}))

    with pytest.raises(BrokenAnswer):
        await mail.outbound_rules()


# --- who else may use a mailbox, and what is set up in it ---

GONE = Rejected(
    "exchange", code="UserNotFoundInPermissionEntryException", detail="There is no existing permission entry."
)
NO_ENTRY = Rejected("exchange", code="X", detail="Can't remove the entry for account a@b: it isn't present.")
THERE = Rejected("exchange", code="X", detail="An existing permission entry was found for user: Otto.")
PRESENT = Rejected("exchange", code="X", detail="The appropriate access control entry is already present.")
JANE = "jane@contoso.com"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda it: it.remove_mailbox_permission(JANE, "otto", ["FullAccess"]), NO_ENTRY),
        (lambda it: it.add_mailbox_permission(JANE, "otto", ["FullAccess"]), PRESENT),
        (lambda it: it.remove_send_as(JANE, "otto"), NO_ENTRY),
        (lambda it: it.add_send_as(JANE, "otto"), PRESENT),
        (lambda it: it.remove_folder_permission(JANE, "Inbox", "otto", ["Editor"]), GONE),
        (lambda it: it.add_folder_permission(JANE, "Inbox", "otto", ["Editor"]), THERE),
    ],
)
async def test_rights_may_be_given_and_taken_twice(change, complaint):
    """
    What Exchange complains of is that all is as it should be; any other complaint is one.
    """
    mail, script = client(complaint, Rejected("exchange", code="X", detail="Something else."))

    await change(mail)
    with pytest.raises(Rejected):
        await change(mail)

    assert [True, True] == [request.safe_to_repeat for request in script.requests]


async def test_protocols_are_set_by_our_names():
    """
    Null gives SMTP AUTH back to the organisation; a name that is none is refused before any call.
    """
    mail, script = client(rows())

    await mail.set_protocols(JANE, {"imap": False, "pop": True, "smtp_auth_disabled": None})
    with pytest.raises(Rejected):
        await mail.set_protocols(JANE, {"telnet": False})

    wanted = {"Identity": JANE, "ImapEnabled": False, "PopEnabled": True, "SmtpClientAuthenticationDisabled": None}
    assert {"CmdletName": "Set-CASMailbox", "Parameters": wanted} == cmdlet(script)
    assert 1 == len(script.requests)


async def test_nobody_on_behalf_is_null():
    """
    An empty list of names is not how Exchange empties a list.
    """
    mail, script = client(rows(), rows())

    await mail.set_send_on_behalf(JANE, ["Otto"])
    await mail.set_send_on_behalf(JANE, [])

    assert [["Otto"], None] == [cmdlet(script, number)["Parameters"]["GrantSendOnBehalfTo"] for number in (0, 1)]


async def test_folders_are_found_in_the_language_of_the_mailbox():
    """
    A Swedish mailbox has no Inbox; its own name is looked up by its kind.
    """
    folders = rows(
        {"FolderType": "User Created", "FolderPath": "/Inbox"}, {"FolderType": "Inbox", "FolderPath": "/Inkorgen"}
    )
    mail, script = client(NotFound("exchange"), folders, rows({"User": "Otto", "AccessRights": ["Editor"]}))

    assert ["Otto"] == [entry.user for entry in await mail.folder_permissions(JANE, "Inbox")]
    assert f"{JANE}:\\Inkorgen" == cmdlet(script, 2)["Parameters"]["Identity"]


@pytest.mark.parametrize(
    "found", [rows(), rows({"FolderType": "Inbox", "FolderPath": "/Inbox"}), rows({"FolderType": {}})]
)
async def test_a_folder_that_is_not_there_is_not_found(found):
    """
    By no name that Exchange tells either.
    """
    mail, _ = client(NotFound("exchange"), found)

    with pytest.raises(NotFound):
        await mail.folder_permissions(JANE, "Inbox")


@pytest.mark.parametrize(
    ("user", "read"),
    [
        ("Otto", "Otto"),
        ({"DisplayName": "Otto", "ADRecipient": {"PrimarySmtpAddress": "otto@x.example"}}, "otto@x.example"),
        ({"DisplayName": "Otto", "ADRecipient": None}, "Otto"),
        ({"Else": 1}, '{"Else":1}'),
        (None, None),
    ],
)
async def test_the_user_of_a_folder_permission_comes_in_several_forms(user, read):
    """
    One that we cannot read is kept as it came, so that it is never overlooked.
    """
    mail, _ = client(rows({"FolderName": "Inbox", "User": user, "AccessRights": "Editor"}))

    (entry,) = await mail.folder_permissions(JANE, "Inbox")

    assert (read, ("Editor",)) == (entry.user, entry.rights)


async def test_a_signature_elsewhere_is_no_empty_signature():
    """
    Exchange warns of roaming signatures; otherwise what stands here is what is used.
    """
    warned = rows({"SignatureHtml": ""}, **{"@adminapi.warnings": ["The mailbox uses Roaming Signatures."]})
    mail, _ = client(warned, rows({"SignatureHtml": "<b>Jane</b>"}))

    assert (await mail.message_configuration(JANE)).roaming_signatures
    assert not (await mail.message_configuration(JANE)).roaming_signatures


async def test_devices_and_senders_are_read_whatever_their_form():
    """
    Single texts stand for lists, dates come as Exchange prints them, odd ones are unknown.
    """
    device = {
        "DeviceID": "D1",
        "DeviceModel": None,
        "FirstSyncTime": "11/20/2026 9:00:00 AM",
        "LastSuccessSync": "never",
    }
    mail, _ = client(rows(device), rows({"Trustee": "Otto", "AccessRights": "SendAs", "IsInherited": "False"}))

    (phone,), (sender,) = await mail.mobile_devices(JANE), await mail.send_as_permissions(JANE)

    assert (datetime(2026, 11, 20, 9, 0, tzinfo=UTC), None) == (phone.first_sync_at, phone.last_sync_at)
    assert (("SendAs",), False) == (sender.rights, sender.inherited)


# --- settings of the organisation, and what is changed of them ---


async def test_fixes_write_a_fixed_state_and_so_may_be_repeated():
    """
    Each cmdlet with exactly what was meant; the organisation's own go to its mailbox.
    """
    mail, script = client(rows(), rows(), rows())

    await mail.set_auto_forwarding("Default", "Off")
    await mail.set_organization_audit(True)
    await mail.set_mailbox_audit(JANE, True)

    assert [cmdlet(script, number) for number in range(3)] == [
        {
            "CmdletName": "Set-HostedOutboundSpamFilterPolicy",
            "Parameters": {"Identity": "Default", "AutoForwardingMode": "Off"},
        },
        {"CmdletName": "Set-OrganizationConfig", "Parameters": {"AuditDisabled": False}},
        {"CmdletName": "Set-Mailbox", "Parameters": {"Identity": JANE, "AuditEnabled": True}},
    ]
    assert [request.safe_to_repeat for request in script.requests] == [True] * 3
    assert [request.headers["X-AnchorMailbox"][:4] for request in script.requests] == ["APP:", "APP:", "UPN:"]


async def test_mailboxes_that_forward_are_asked_for_and_looked_at():
    """
    A service that ignores the filter makes nobody look as if they forwarded.
    """
    away = {"UserPrincipalName": "viggo@contoso.com", "ForwardingSmtpAddress": "smtp:viggo@home.example"}
    mail, script = client(rows(away, {"UserPrincipalName": JANE, "ForwardingSmtpAddress": None}))

    assert ["viggo@contoso.com"] == [box.upn for box in await mail.forwarding_mailboxes()]
    assert {"Filter": "ForwardingSmtpAddress -ne $null", "ResultSize": "Unlimited"} == cmdlet(script)["Parameters"]


async def test_blocked_connectors_have_the_names_that_people_gave_them():
    """
    Ids are compared in any case; one without a name is known by its id alone.
    """
    blocked = rows({"ConnectorId": "AAAA"}, {"ConnectorId": "bbbb", "Reason": "OutboundSpamPercent=88"})
    mail, _ = client(blocked, rows({"Guid": "aaaa", "Name": "Scanner relay"}, {"Guid": None, "Name": "x"}))

    assert [("AAAA", "Scanner relay"), ("bbbb", None)] == [
        (connector.connector_id, connector.name) for connector in await mail.blocked_connectors()
    ]


@pytest.mark.parametrize("answer", [Rejected("exchange"), PermissionMissing("exchange")])
async def test_names_that_cannot_be_read_keep_no_connector_back(answer):
    """
    The id is enough to unblock it. Without any blocked connector nobody asks for names.
    """
    mail, script = client(rows({"ConnectorId": "a"}), answer, rows())

    assert [None] == [connector.name for connector in await mail.blocked_connectors()]
    assert () == await mail.blocked_connectors()
    assert len(script.requests) == 3


# --- hostile input ---

LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
NAMES = [
    "Identity", "SenderAddress", "ConnectorId", "Reason", "CreatedDatetime", "TemporaryBlock", "RuleIdentity", "Name",
    "ForwardTo", "RedirectTo", "MoveToFolder", "SubjectContainsWords", "EmailAddresses", "ForwardingSmtpAddress",
    "DeliverToMailboxAndForward", "User", "AccessRights", "value", "@odata.nextLink", "@adminapi.warnings", "error",
]  # fmt: skip
ROWS = st.dictionaries(
    st.sampled_from(NAMES),
    LEAF | st.lists(LEAF | st.dictionaries(st.text(max_size=3), LEAF, max_size=2), max_size=3)
    | st.dictionaries(st.text(max_size=3), LEAF, max_size=2),
    max_size=7,
)  # fmt: skip
PARSERS = [
    exchange.parse_blocked_sender, exchange.parse_blocked_connector, exchange.parse_inbox_rule, exchange.parse_mailbox,
    exchange.parse_folder_permission,
]  # fmt: skip


@given(ROWS)
def test_no_row_breaks_a_parser(row):
    """
    Any row is read or refused with one of our errors, and what is read can be stored.
    """
    for parse in PARSERS:
        try:
            parse(row).model_dump_json()
        except BotError as exc:
            assert isinstance(exc, BrokenAnswer)


@given(ROWS | LEAF | st.lists(ROWS, max_size=2))
def test_no_body_breaks_a_page(body):
    """
    The same for whole answers.
    """
    try:
        exchange.parse_cmdlet_page(answered(json.dumps(body).encode()))
    except BotError as exc:
        assert isinstance(exc, (BrokenAnswer, Rejected))


@given(st.text())
def test_no_text_breaks_the_small_readers(text):
    """
    Reasons, recipients and dates are whatever somebody wrote.
    """
    parse_reason(text)
    parse_recipients(text)
    to_moment(text)
