"""What people paste when mail bounces is understood, in any shape, and nothing that they paste does harm."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cases import CauseKind, Lifter
from services.diagnosis import Ndr, parse_ndr, split_report
from services.diagnosis.codes import blocks_of, meaning_of
from services.diagnosis.ndr import MAX_ADDRESSES, MAX_REPORT

OUTLOOK = """
Din e-post till bob@fabrikam.example kunde inte levereras.
Diagnostikinformation för administratörer:
Genererande server: VI1PR08MB0815.eurprd08.prod.outlook.com
bob@fabrikam.example
Remote Server returned '550 5.1.8 Access denied, bad outbound sender AS(42004)
[VI1PR08MB0815.eurprd08.prod.outlook.com]'
Ursprungliga brevhuvuden:
Från: Jane Doe <jane@contoso.com>
Till: Bob <bob@fabrikam.example>
"""
HTML = (
    '<p>Your message to <a href="mailto:bob@fabrikam.example">bob@fabrikam.example</a> couldn&#39;t be delivered.</p>'
    "<div>Status&nbsp;code:<b>&nbsp;550 5.7.520</b><br>Access denied, Your organization does not allow external "
    "forwarding.&nbsp;AS(7555)</div>From: &lt;jane@contoso.com&gt;"
)


def test_a_status_line_gives_its_code_and_microsofts_number():
    """
    What the documentation prints is read.
    """
    ndr = parse_ndr("550 5.1.8 Access denied, bad outbound sender AS(42004)")

    assert ("5.1.8",) == ndr.codes
    assert "42004" == ndr.as_number


def test_a_swedish_bounce_of_several_lines_is_read():
    """
    Code, number, server, sender and addresses are found wherever they stand.
    """
    ndr = parse_ndr(OUTLOOK)

    assert (("5.1.8",), "42004") == (ndr.codes, ndr.as_number)
    assert "VI1PR08MB0815.eurprd08.prod.outlook.com" == ndr.server
    assert "jane@contoso.com" == ndr.sender
    assert ("bob@fabrikam.example", "jane@contoso.com") == ndr.addresses


def test_html_around_the_words_is_no_part_of_them():
    """
    Tags, entities and links go; addresses in angle brackets stay.
    """
    ndr = parse_ndr(HTML)

    assert (("5.7.520",), "7555") == (ndr.codes, ndr.as_number)
    assert "jane@contoso.com" == ndr.sender
    assert ("bob@fabrikam.example", "jane@contoso.com") == ndr.addresses


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("smtp;550-5.1.90 too many", ("5.1.90",)),
        ("#550 5.7.711 Access denied, bad inbound connector. AS(2204)", ("5.7.711",)),
        ("Mail refused, code 5.1.8.", ("5.1.8",)),
        ("550 5.01.08", ("5.1.8",)),
        ("5.1.8 then 5.1.8 and 5.7.1", ("5.1.8", "5.7.1")),
        ("250 2.6.0 Queued, then 550 5.1.8", ("5.1.8",)),
        ("250 2.1.5 Recipient OK", ("2.1.5",)),
        ("Access denied, BAD OUTBOUND SENDER", ("5.1.8",)),
        ("tenant has exceeded threshold", ("5.7.705",)),
        ("from 5.1.8.20 by 15.20.5.1.8", ()),
        ("version 15.20.7452.39", ()),
        ("5.1 and 5.1.", ()),
        ("hello", ()),
    ],
)
def test_codes_are_told_from_other_numbers(text, codes):
    """
    Addresses and versions of servers look like codes and are none; words stand in for a code that was left out.
    """
    assert codes == parse_ndr(text).codes


@pytest.mark.parametrize(
    ("text", "name", "report"),
    [
        ("jane 550 5.1.90 too many", "jane", "550 5.1.90 too many"),
        ("Jane Doe: 5.1.8", "Jane Doe", "5.1.8"),
        ("jane@contoso.com '550 5.1.8'", "jane@contoso.com", "550 5.1.8'"),
        ('"Anna Got" 550 5.1.8', '"Anna Got"', "550 5.1.8"),
        ("jane Access denied, bad outbound sender", "jane", "Access denied, bad outbound sender"),
        ("Remote Server returned '550 5.1.8'", "", "Remote Server returned '550 5.1.8'"),
        ("Felkod: 550 5.1.8", "", "Felkod: 550 5.1.8"),
        ("I sent a mail to bob and got 5.1.8", "", "I sent a mail to bob and got 5.1.8"),
        ("jane", "jane", ""),
        ("", "", ""),
    ],
)
def test_a_name_before_the_report_is_told_from_its_words(text, name, report):
    """
    A short name in front is whom it is about; a sentence is part of the report.
    """
    assert (name, report) == split_report(text)


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("550 5.1.8", {CauseKind.RESTRICTED: "5.1.8"}),
        ("550 5.1.90", {CauseKind.RECIPIENT_RATE: "5.1.90"}),
        ("550 5.2.0 STOREDRV; SubmissionQuotaExceededException", {CauseKind.RECIPIENT_RATE: "5.2.0"}),
        ("Submission quota exceeded", {CauseKind.RECIPIENT_RATE: ""}),
        ("554 5.2.0 mailbox gone", {}),
        ("550 5.7.711", {CauseKind.CONNECTOR: "5.7.711"}),
        ("550 5.7.232", {CauseKind.TENANT_LIMIT: "5.7.232"}),
        ("550 5.7.233", {CauseKind.TENANT_LIMIT: "5.7.233"}),
        ("550 5.7.705", {CauseKind.TENANT_RESTRICTED: "5.7.705"}),
        ("550 5.7.750", {CauseKind.TENANT_RESTRICTED: "5.7.750"}),
        ("550 5.7.520", {CauseKind.FORWARDING_FORBIDDEN: "5.7.520"}),
        ("550 5.1.10", {}),
    ],
)
def test_each_block_has_its_code(text, kinds):
    """
    Codes that are no block for sending too much are none here.
    """
    assert kinds == blocks_of(parse_ndr(text))


@pytest.mark.parametrize(
    ("code", "key", "lifter"),
    [
        ("5.1.10", "recipient", Lifter.NOBODY),
        ("5.7.502", "banned_sender", Lifter.MICROSOFT),
        ("5.7.606", "server", Lifter.NOBODY),
        ("5.7.9", "policy", Lifter.NOBODY),
        ("5.7.703", "own_list", Lifter.SETTING),
        ("4.7.500", "looked_into", Lifter.TIME),
        ("4.4.7", "later", Lifter.TIME),
        ("2.6.0", "delivered", Lifter.NOBODY),
        ("5.9.1", "unknown", Lifter.NOBODY),
    ],
)
def test_another_code_is_explained_as_far_as_it_is_known(code, key, lifter):
    """
    By what Microsoft says of it, else by its family; a code that nobody knows is said to be unknown.
    """
    meaning, who = meaning_of(code)

    assert (f"diagnosis.code.{key}", lifter) == (meaning.key, who)


# --- properties ------------------------------------------------------------------------------------------------------

PIECES = ["550 ", "5.1.8", ".", "AS(", "42004", ")", "<", ">", "<a href=", "@", "jane@contoso.com", "From:", "&nbsp;"]
PIECES += [
    "'",
    '"',
    "\u200b",
    "\ud800",
    "\x00",
    "\n",
    "https://",
    "[",
    "]",
    "5.",
    "access denied, ",
    "bad outbound sender",
]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map("".join)))
def test_reading_a_report_never_raises_and_keeps_only_what_can_be_stored(text):
    """
    Whatever is pasted gives a report, perhaps an empty one.
    """
    ndr = parse_ndr(text)

    assert len(ndr.addresses) <= MAX_ADDRESSES
    for value in (*ndr.codes, *ndr.addresses, ndr.sender, ndr.server, ndr.as_number):
        assert value.encode("utf-8", "strict") or value == ""
        assert value.isprintable()
    assert all(isinstance(meaning_of(code)[0].key, str) for code in ndr.codes)


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map(" ".join)))
def test_splitting_never_raises_and_loses_no_report(text):
    """
    Either there is a report, or all of the text is a name.
    """
    name, report = split_report(text)

    assert report or name == text.strip()


@pytest.mark.parametrize(
    "piece", ["<a ", "5.1.", "a@", "a.", "From: ", "AS(", "access denied, ", "<!--", "x" * 50 + "@"]
)
def test_a_long_text_takes_no_longer_than_its_length(piece):
    """
    Text that repeats the beginning of something does not make the search go round in circles.
    """
    began = time.perf_counter()

    assert isinstance(parse_ndr(piece * (MAX_REPORT // len(piece) + 1)), Ndr)
    split_report(piece * (MAX_REPORT // len(piece) + 1))
    assert time.perf_counter() - began < 2.0
