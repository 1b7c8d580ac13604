"""What was sent, what became of its copies, and what its subjects read like."""

from datetime import timedelta
from typing import Any

import pytest

from services.cases import Finding, SignalState, UnknownReason
from services.clients.exchange_models import MessageConfiguration
from services.clients.graph_models import MailItem, MessageTrace
from services.errors import PermissionMissing, ServiceError
from services.investigation.evidence import MAIL_LIMIT, TRACE_LIMIT
from services.investigation.sent import bare_subject, busiest_hour, messages
from services.investigation.signals.scam_text import words_in
from services.investigation.table import table, words
from tests.fakes.account import (
    NOW,
    STRANGER_IP,
    UPN,
    FakeAccount,
    blocked,
    copy_of,
    habits,
    look,
    sent,
    sign_in,
    strangers_sign_in,
)

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
SUSPECTED_FROM = table().verdict.suspected_from


def victims(n: int) -> list[str]:
    return [f"victim{number}@fabrikam.example" for number in range(n)]


def mailing(
    n: int = 200, subject: str = "Hello there", days_ago: float = 0.1, **fields: Any
) -> tuple[MessageTrace, ...]:
    """One message to many."""
    return sent(*victims(n), at=NOW - timedelta(days=days_ago), subject=subject, **fields)


def keys(finding: Finding) -> set[str]:
    return {text.key.rpartition(".")[2] for text in (finding.summary, *finding.evidence)}


# --- what was sent ---------------------------------------------------------------------------------------------------


async def test_mail_as_on_any_day_is_clear():
    """
    A little mail is nothing, and the reader still learns to whom it went.
    """
    finding = await look("sent_mail", FakeAccount())

    assert finding.state is CLEAR
    assert "outside" in keys(finding)


async def test_a_burst_that_is_new_for_the_account_is_found_and_alone_makes_nobody_suspected():
    """
    How many, from when on, how many at most before; with the block itself it is still no suspicion.
    """
    finding = await look("sent_mail", FakeAccount(trace_log=mailing(status="failed")))

    assert {"burst", "one_subject", "failed"} <= keys(finding)
    assert (finding.summary.params["n"], finding.summary.params["usual"]) == (200, 0)
    assert finding.weight + table().signals["restricted_entry"].weight < SUSPECTED_FROM


@pytest.mark.parametrize("days_ago", [4, 7])
async def test_a_newsletter_that_goes_out_every_week_is_no_burst(days_ago: int):
    """
    Whoever sends as much at other times is a bulk mailer.
    """
    finding = await look("sent_mail", FakeAccount(trace_log=(*mailing(220), *mailing(200, days_ago=days_ago))))

    assert finding.state is CLEAR


async def test_a_burst_from_the_address_of_a_suspicious_sign_in_makes_a_suspect():
    """
    Where the mail came from is stronger than how many got it; the address may carry a port.
    """
    trace = mailing(from_ip=f"{STRANGER_IP}:50123")

    finding = await look("sent_mail", FakeAccount(trace_log=trace, sign_in_log=strangers_sign_in()))

    assert finding.summary.key == "finding.sent_mail.stranger"
    assert finding.summary.params["ip"] == STRANGER_IP
    assert finding.weight >= SUSPECTED_FROM


@pytest.mark.parametrize(("risk_level", "weight"), [("high", 4), (None, 0)])
async def test_a_few_mails_from_elsewhere_are_what_travellers_write(risk_level: str | None, weight: int):
    """
    Told when the sign-in was suspicious, and nothing when only the country was new.
    """
    trace = sent("a@fabrikam.example", from_ip=STRANGER_IP)

    finding = await look("sent_mail", FakeAccount(trace_log=trace, sign_in_log=strangers_sign_in(risk_level)))

    assert finding.weight == weight


async def test_a_burst_from_a_new_place_weighs_more_than_one_from_home():
    """
    A first sign-in from a country is no proof, and neither is a burst; both together are more.
    """
    account = FakeAccount(trace_log=mailing(from_ip=STRANGER_IP), sign_in_log=strangers_sign_in(None))

    finding = await look("sent_mail", account)

    assert "new_place" in keys(finding)
    assert (await look("sent_mail", FakeAccount(trace_log=mailing()))).weight < finding.weight < SUSPECTED_FROM


async def test_where_the_owner_usually_is_is_never_a_suspicious_place():
    """
    A hop has two ends, and one of them is home.
    """
    hop = (sign_in(NOW - timedelta(minutes=20), "NG", ip_address=STRANGER_IP), sign_in(NOW - timedelta(minutes=30)))
    account = FakeAccount(trace_log=mailing(from_ip="192.0.2.1"), sign_in_log=(*hop, *habits()))

    assert {"stranger", "new_place"} & keys(await look("sent_mail", account)) == set()


async def test_the_last_message_before_the_block_is_told():
    """
    What Microsoft saw last is the first thing to look at.
    """
    trace = (*sent("a@x.example", at=NOW, subject="After"), *mailing(subject="Prize", days_ago=0.05))

    told = (await look("sent_mail", FakeAccount(trace_log=trace))).evidence[-1]

    assert (told.params["subject"], told.params["n"]) == ("Prize", 200)


@pytest.mark.parametrize("signal_id", ["sent_mail", "sent_copies"])
@pytest.mark.parametrize(
    ("trace", "since", "text"),
    [
        ((), timedelta(hours=1), "unreadable.trace_empty"),
        (sent("megan@contoso.com"), timedelta(days=20), "unreadable.trace_too_old"),
        (mailing(2, days_ago=0.1) * (TRACE_LIMIT // 2), timedelta(hours=1), "unreadable.trace_cut_off"),
    ],
)
async def test_a_trace_that_does_not_reach_the_block_proves_nothing(
    signal_id: str, trace: Any, since: timedelta, text: str
):
    """
    An empty trace of a blocked account, one that begins too late, or one that was cut off is unknown.
    """
    block = blocked().block.model_copy(update={"since": NOW - since})

    finding = await look(signal_id, FakeAccount(trace_log=trace), blocked(block=block))

    assert (finding.state, finding.summary.key) == (UNKNOWN, text)


async def test_nothing_sent_by_an_account_that_is_not_blocked_is_clear():
    """
    Without a block, silence is silence.
    """
    finding = await look("sent_mail", FakeAccount(trace_log=()), blocked(block=None))

    assert finding.state is CLEAR


def test_the_rows_of_a_trace_are_put_together():
    """
    One message to three is one; without an id, the subject and the minute tell; rows without a time are left out.
    """
    rows = [*sent("a", "b", "c"), *sent("d", message_id=None), *sent("e", message_id=None), MessageTrace(subject="?")]

    assert [len(message.recipients) for message in messages(rows)] == [3, 2]


def test_the_busiest_hour_slides():
    """
    An hour may begin at any minute.
    """
    quiet = [sent(*victims(5), at=NOW - timedelta(minutes=minutes)) for minutes in (300, 200)]
    busy = [sent(*victims(5), at=NOW - timedelta(minutes=minutes)) for minutes in (50, 30, 10)]

    most, at = busiest_hour(messages(row for rows in (*quiet, *busy) for row in rows))

    assert (most, at) == (15, NOW - timedelta(minutes=50))


def test_subjects_are_compared_without_numbers_and_re():
    """
    "Invoice 17" and "Re: invoice 18" are one subject.
    """
    assert bare_subject("Re: SV: Invoice  17") == bare_subject("invoice 18")


# --- copies ----------------------------------------------------------------------------------------------------------


def usual_mail(n: int = 5, saved: bool = True) -> tuple[tuple[MessageTrace, ...], tuple[MailItem, ...]]:
    """Mail of the days before with and without its copies."""
    times = [NOW - timedelta(days=4 + number) for number in range(n)]
    trace = tuple(row for at in times for row in sent("megan@contoso.com", at=at))
    return trace, tuple(copy_of("megan@contoso.com", at=at) for at in times) if saved else ()


def hidden_mailing(saved: bool = True, **folders: Any) -> FakeAccount:
    trace, copies = usual_mail(saved=saved)
    return FakeAccount(
        trace_log=(*mailing(subject="Prize"), *trace), folders={"sentitems": copies, "deleteditems": (), **folders}
    )


async def test_copies_of_everything_are_clear():
    """
    What is in Sent Items or in Deleted Items was not hidden.
    """
    assert (await look("sent_copies", FakeAccount())).state is CLEAR
    moved = FakeAccount(folders={"sentitems": (), "deleteditems": (copy_of("megan@contoso.com"),)})
    assert (await look("sent_copies", moved)).state is CLEAR


async def test_a_mailing_without_a_copy_is_found():
    """
    Which message, to how many; the points stay below a suspicion, for people file mail elsewhere as well.
    """
    finding = await look("sent_copies", hidden_mailing())

    assert finding.summary.params["recipients"] == 200
    assert finding.evidence[0].params["subject"] == "Prize"
    assert finding.weight < SUSPECTED_FROM


async def test_it_weighs_more_when_older_mail_has_its_copies():
    """
    A mailing tool never saves any; an account that usually does has broken its habit.
    """
    without_history = FakeAccount(trace_log=mailing(), folders={"sentitems": (), "deleteditems": ()})

    assert (
        0 < (await look("sent_copies", without_history)).weight < (await look("sent_copies", hidden_mailing())).weight
    )


async def test_a_copy_is_recognised_without_an_id():
    """
    By its subject, at most a minute away.
    """
    at = NOW - timedelta(hours=2)
    copies = (copy_of("x", at=at + timedelta(seconds=50), subject="Prize", internet_message_id=None),)
    trace = sent(*victims(50), at=at, subject="PRIZE", message_id=None)
    account = FakeAccount(trace_log=trace, folders={"sentitems": copies, "deleteditems": ()})

    assert (await look("sent_copies", account)).state is CLEAR


async def test_an_account_that_never_saves_copies_cannot_be_judged_by_them():
    """
    Printers and apps: neither evidence nor good news.
    """
    finding = await look("sent_copies", hidden_mailing(saved=False))

    assert (finding.state, finding.summary.key) == (UNKNOWN, "finding.sent_copies.never_saved")
    assert finding.unknown_reason is UnknownReason.NOT_APPLICABLE


async def test_without_deleted_items_a_missing_copy_is_unknown_and_a_present_one_is_clear():
    """
    The mail may be there; only when nothing is missing does the folder not matter.
    """
    refusal = PermissionMissing("graph")

    with pytest.raises(PermissionMissing):
        await look("sent_copies", hidden_mailing(deleteditems=refusal))
    account = FakeAccount(folders={"sentitems": (copy_of("megan@contoso.com"),), "deleteditems": refusal})
    assert (await look("sent_copies", account)).state is CLEAR


async def test_what_was_sent_before_the_folder_was_read_is_not_called_missing():
    """
    A folder with more than we read says nothing about older mail; nothing to compare is unknown.
    """
    full = tuple(copy_of("x", at=NOW - timedelta(seconds=number)) for number in range(MAIL_LIMIT))

    finding = await look("sent_copies", hidden_mailing(sentitems=full))

    assert finding.state is UNKNOWN


@pytest.mark.parametrize("unread", ["trace_log", "sentitems"])
async def test_copies_need_both_the_trace_and_sent_items(unread: str):
    """
    Whoever runs the signal turns this into "could not be read".
    """
    account = FakeAccount(trace_log=PermissionMissing("graph")) if unread == "trace_log" else FakeAccount()
    account.folders[unread] = PermissionMissing("graph")

    with pytest.raises(PermissionMissing):
        await look("sent_copies", account)


# --- subjects --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Your mailbox is full 99%",
        "Du har vunnit!",
        "Ihr Passwort läuft ab",
        "Shared a document with you",
        "Vous avez gagné",
    ],
)
async def test_subjects_of_scams_are_found_in_several_languages(subject: str):
    """
    Wherever the mail was seen: the trace has it even when the copy is gone.
    """
    finding = await look("scam_text", FakeAccount(trace_log=mailing(subject=subject)))

    assert finding.summary.key == "finding.scam_text.found"
    assert finding.evidence[0].params["subject"] == subject
    assert "only_subjects" in keys(finding)


async def test_a_scam_in_deleted_items_counts_only_when_the_account_sent_it():
    """
    People get scams and delete them.
    """
    own, received = copy_of("a@x.example", subject="You have won"), copy_of(UPN, subject="You have won")
    received = received.model_copy(update={"sender_address": "winner@lottery.example"})

    account = FakeAccount(folders={"sentitems": (), "deleteditems": (received,)})
    assert (await look("scam_text", account)).state is CLEAR
    account = FakeAccount(folders={"sentitems": (), "deleteditems": (own, received)})
    assert (await look("scam_text", account)).state is FOUND


async def test_invoices_are_nothing_but_when_a_new_subject_goes_to_many():
    """
    Business words weigh little, and nothing in a small or a usual mailing.
    """
    few, usual = mailing(3, "Invoice 1"), (*mailing(100, "Invoice 2"), *mailing(100, "Invoice 1", days_ago=6))

    assert (await look("scam_text", FakeAccount(trace_log=few))).state is CLEAR
    assert (await look("scam_text", FakeAccount(trace_log=usual))).state is CLEAR
    assert (await look("scam_text", FakeAccount(trace_log=mailing(100, "Invoice 1")))).weight == 3


@pytest.mark.parametrize("folder", ["sentitems", "deleteditems", "trace_log"])
async def test_subjects_that_could_not_be_read_are_not_clear(folder: str):
    """
    Any of the three places may hide the one subject; what the others show still counts.
    """
    refusal: ServiceError = PermissionMissing("graph")
    account = FakeAccount()
    account.folders[folder] = refusal
    account.trace_log = refusal if folder == "trace_log" else account.trace_log

    with pytest.raises(PermissionMissing):
        await look("scam_text", account)


def test_words_are_found_at_the_beginning_of_words_only():
    """
    "lön" is in "löner" and not in "belöning".
    """
    assert words_in("nya löner", words().scam.business) == ("lön",)
    assert words_in("en belöning", words().scam.business) == ()


# --- signature -------------------------------------------------------------------------------------------------------


def signed(text: str | None = None, markup: str | None = None) -> FakeAccount:
    return FakeAccount(signature=MessageConfiguration(signature_text=text, signature_html=markup))


async def test_a_signature_with_usual_links_is_clear_and_tells_them():
    """
    Links elsewhere are usual; those of the own organisation are not even told.
    """
    finding = await look("signature", signed("Jane, https://www.contoso.com and https://linkedin.com/in/jane"))

    assert finding.state is CLEAR
    assert finding.evidence[0].params["hosts"] == ["linkedin.com"]
    assert "maybe_old" in keys(finding)


@pytest.mark.parametrize(
    ("text", "markup", "key"),
    [
        ("Pay by Western Union", None, "money"),
        (None, "<p>Send <b>Bitcoin</b></p><style>p {color: red}</style>", "money"),
        ("See https://bit.ly/x1", None, "hidden_link"),
        (None, '<a href="http://203.0.113.9/login">Contoso</a>', "hidden_link"),
    ],
)
async def test_signatures_that_ask_for_money_or_hide_their_links_are_found(text: str, markup: str, key: str):
    """
    In plain text or in HTML, where a link says one thing and leads to another.
    """
    finding = await look("signature", signed(text, markup))

    assert finding.summary.key == f"finding.signature.{key}"


@pytest.mark.parametrize("markup", [None, "<div></div>"])
async def test_an_empty_signature_is_unknown(markup: str | None):
    """
    With roaming signatures it stands elsewhere.
    """
    finding = await look("signature", signed("", markup))

    assert (finding.state, finding.unknown_reason) == (UNKNOWN, UnknownReason.NOT_APPLICABLE)


async def test_an_honest_bulk_mailer_is_not_suspected_by_all_of_these_together():
    """
    The first big mailing of a tool that saves no copies, about invoices, a third of it undelivered, and so blocked.
    """
    trace = (*mailing(900, "Invoice 1"), *sent(*victims(500), subject="Invoice 1", message_id="<2@x>", status="failed"))
    account = FakeAccount(trace_log=trace, folders={"sentitems": (), "deleteditems": ()})

    findings = [await look(name, account) for name in ("restricted_entry", "sent_mail", "sent_copies", "scam_text")]

    assert {finding.state for finding in findings} == {FOUND}
    assert sum(finding.weight for finding in findings) < SUSPECTED_FROM
