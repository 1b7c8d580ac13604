"""What people type is understood, in every language at once, and never raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.grammar import (
    LANGUAGES,
    MAX_TARGET,
    AccessPass,
    Alerts,
    AlertsHere,
    ApprovalsHere,
    Approve,
    Cancel,
    Cases,
    Charts,
    Check,
    Command,
    Deny,
    DryRun,
    Help,
    Incomplete,
    Override,
    Prevention,
    Remind,
    Report,
    Restricted,
    ShowCase,
    Snooze,
    Status,
    Unblock,
    UnblockConnector,
    Undo,
    Unknown,
    Verb,
    WhoIsOnCall,
    Why,
    means_me,
    parse,
    spell,
)

MAIL = "jane@contoso.com"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("unblock jane", Unblock("jane")),
        ("  UnBlock \t Jane   Doe\n", Unblock("Jane Doe")),
        ("avblockera jane", Unblock("jane")),
        ("häv blockeringen för jane", Unblock("jane")),
        ("HÄV BLOCKERINGEN FÖR Jane", Unblock("Jane")),
        ("ha\u0308v blockeringen av jane", Unblock("jane")),
        ("unblock 7d3f0c58-0b4e-4b0a-9f44-0c5d2b1c7a11", Unblock("7d3f0c58-0b4e-4b0a-9f44-0c5d2b1c7a11")),
        ("unblock jane@contoso.com", Unblock(MAIL)),
        ("/unblock jane", Unblock("jane")),
        ("unblock: jane", Unblock("jane")),
        ("why jane", Why("jane")),
        ("Why is Jane Doe blocked?", Why("Jane Doe")),
        ("varför kan jane inte skicka", Why("jane")),
        ("why 550 5.1.8 Access denied", Why(None, "550 5.1.8 Access denied")),
        ("varför jane 550 5.1.90", Why("jane", "550 5.1.90")),
        ("why jane gets '550 5.1.8'", Why("jane", "550 5.1.8'")),
        ("varför Fjärrservern returnerade 550 5.7.520", Why(None, "Fjärrservern returnerade 550 5.7.520")),
        ("unblock connector Scanner relay", UnblockConnector("Scanner relay")),
        ("avblockera anslutning 3f1c9a52", UnblockConnector("3f1c9a52")),
        ("status", Status()),
        ("status?", Status()),
        ("status jane?", Status("jane")),
        ("status för jane", Status("jane")),
        ("prevention", Prevention()),
        ("prevention, please", Prevention()),
        ("Prevention for Jane Doe", Prevention("Jane Doe")),
        ("förebyggande jane", Prevention("jane")),
        ("forebygg", Prevention()),
        ("cases", Cases()),
        ("ärenden", Cases()),
        ("arenden", Cases()),
        ("case ab12", ShowCase("AB12")),
        ("ärende #ab12.", ShowCase("AB12")),
        ("cancel ab12cd", Cancel("AB12CD")),
        ("cancel case ab12cd", Cancel("AB12CD")),
        ("avbryt AB12", Cancel("AB12")),
        ("check jane", Check("jane")),
        ("check on Jane Doe, please", Check("Jane Doe")),
        ("kontrollera jane@contoso.com", Check(MAIL)),
        ("undersok jane", Check("jane")),
        ("report k7q2m4", Report("K7Q2M4")),
        ("rapport för #K7Q2M4, tack!", Report("K7Q2M4")),
        ("charts K7Q2M4", Charts("K7Q2M4")),
        ("show charts #k7q2m4, please", Charts("K7Q2M4")),
        ("diagram K7Q2M4", Charts("K7Q2M4")),
        ("visa diagram K7Q2M4", Charts("K7Q2M4")),
        ("dry run K7Q2M4", DryRun("K7Q2M4")),
        ("DryRun k7q2m4", DryRun("K7Q2M4")),
        ("dry-run K7Q2M4", DryRun("K7Q2M4")),
        ("torrkör K7Q2M4", DryRun("K7Q2M4")),
        ("testkor K7Q2M4", DryRun("K7Q2M4")),
        ("undo K7Q2M4", Undo("K7Q2M4")),
        ("ångra ärende K7Q2M4", Undo("K7Q2M4")),
        ("access pass K7Q2M4", AccessPass("K7Q2M4")),
        ("temporary access pass for K7Q2M4", AccessPass("K7Q2M4")),
        ("TAP K7Q2M4", AccessPass("K7Q2M4")),
        ("tillfälligt åtkomstpass K7Q2M4", AccessPass("K7Q2M4")),
        ("help", Help()),
        ("hjälp!", Help()),
        ("?", Help()),
        ("", Help()),
        ("\u200b \n", Help()),
        ("approvals here", ApprovalsHere()),
        ("Godkännanden här, tack!", ApprovalsHere()),
        ("alerts here", AlertsHere()),
        ("aviseringar här", AlertsHere()),
        ("approve K7Q2M4", Approve("K7Q2M4")),
        ("Approve case #k7q2m4 I called Jane, thanks", Approve("K7Q2M4", "I called Jane")),
        ("godkänn K7Q2M4 ringde Jane", Approve("K7Q2M4", "ringde Jane")),
        ("approve k7q2m4-3fx", Approve("K7Q2M4", "", "3FX")),
        ("godkänn K7Q2M4–3FX, ringde Jane", Approve("K7Q2M4", "ringde Jane", "3FX")),
        ("override K7Q2M4-3FX reset by telephone", Override("K7Q2M4", "reset by telephone", "3FX")),
        ("åsidosätt ärende #k7q2m4 ringde Jane", Override("K7Q2M4", "ringde Jane")),
        ("override K7Q2M4-3FX", Incomplete(Verb.OVERRIDE, "reason")),
        ("deny K7Q2M4-3FX no", Deny("K7Q2M4", "no", "3FX")),
        ("deny K7Q2M4: call Jane first", Deny("K7Q2M4", "call Jane first")),
        ("neka ärende K7Q2M4 ring först, tack", Deny("K7Q2M4", "ring först")),
        ("remind K7Q2M4", Remind("K7Q2M4")),
        ("påminn om K7Q2M4!", Remind("K7Q2M4")),
        ("oncall", WhoIsOnCall()),
        ("Who is on call?", WhoIsOnCall()),
        ("jour", WhoIsOnCall()),
        ("vem har jour?", WhoIsOnCall()),
        ("alerts", Alerts()),
        ("Show alerts, please", Alerts()),
        ("larm", Alerts()),
        ("aviseringar", Alerts()),
        ("larm här", AlertsHere()),
        ("snooze jane 4h", Snooze("jane", 240)),
        ("Snooze Jane Doe for 30 minutes, please", Snooze("Jane Doe", 30)),
        ("snooze jane@contoso.com 2d", Snooze(MAIL, 2880)),
        ('snooze "Room 4 h" 1 hour', Snooze("Room 4 h", 60)),
        ("snooze jane 999999d", Snooze("jane", 999999 * 1440)),
        ("pausa jane 4h", Snooze("jane", 240)),
        ("pausa larm jane i 2 timmar", Snooze("jane", 120)),
        ("restricted", Restricted()),
        ("Who is restricted?", Restricted()),
        ("spärrade", Restricted()),
        ("sparrade", Restricted()),
    ],
)
def test_every_command_is_understood_in_both_languages(text, command):
    """
    Case, white space and composed or decomposed letters make no difference.
    """
    assert command == parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "unblock [jane@contoso.com](mailto:jane@contoso.com)",
        "unblock [Jane](mailto:jane%40contoso.com?subject=hi)",
        'unblock <a href="mailto:jane@contoso.com">jane@contoso.com</a>',
        "unblock <a href='mailto:jane@contoso.com' title=\"x\">Jane</a>",
        "unblock mailto:jane@contoso.com",
        "unblock jane@contoso.com<mailto:jane@contoso.com>",
        "unblock Jane Doe <jane@contoso.com>",
        'unblock "jane@contoso.com"',
        "unblock jane@contoso.com, please.",
        "unblock ja\u200bne@con\u00adtoso.com\u200e",
        "<at>Unblock</at> unblock jane@contoso.com",
        "@Unblock unblock jane@contoso.com",
        "@Unblock Bot unblock jane@contoso.com",
        "unblock <at>jane@contoso.com</at>",
    ],
)
def test_an_address_is_read_however_teams_dresses_it(text):
    """
    Links, mentions, angle brackets and invisible characters around an address are not part of it.
    """
    assert Unblock(MAIL) == parse(text)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("unblock jane please!", "jane"),
        ("please unblock jane", "jane"),
        ("can you unblock jane? thank you!!", "jane"),
        ("kan du avblockera jane, tack så mycket", "jane"),
        ("hej, snälla avblockera jane", "jane"),
        ("UNBLOCK JANE PLEASE", "JANE"),
        ("unblock Jane, Please", "Jane"),
        ("avblockera Anna Tack", "Anna Tack"),
        ('avblockera "anna tack" tack', "anna tack"),
        ("unblock “Dr. No.”", "Dr. No."),
        ("unblock 'jane'", "jane"),
        ("unblock O'Brien", "O'Brien"),
        ("unblock @Jane Doe", "@Jane Doe"),
    ],
)
def test_polite_words_are_not_part_of_the_name(text, target):
    """
    They are left out unless they look like a surname or stand in quotes.
    """
    assert Unblock(target) == parse(text)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("report K7Q2M4 json", Report("K7Q2M4", "json")),
        ("rapport K7Q2M4 som JSON, tack", Report("K7Q2M4", "json")),
        ("report #K7Q2M4 as markdown", Report("K7Q2M4", "markdown")),
        ("report K7Q2M4 md.", Report("K7Q2M4", "markdown")),
        ("report #JSON", Report("JSON", "markdown")),
        ("report #JSON json", Report("JSON", "json")),
        ("report as json", Incomplete(Verb.REPORT, "case_id")),
        ("report json", Incomplete(Verb.REPORT, "case_id")),
        ("report K7Q2M4 pdf", Incomplete(Verb.REPORT, "format")),
        ("report about jane", Incomplete(Verb.REPORT, "case_id")),
    ],
)
def test_a_report_may_be_asked_for_in_a_format(text, command):
    """
    Markdown unless JSON is asked for; the name of a format is not taken for a case, nor the other way round.
    """
    assert command == parse(text)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("unblock", Incomplete(Verb.UNBLOCK, "target")),
        ("avblockera tack", Incomplete(Verb.UNBLOCK, "target")),
        ('unblock ""', Incomplete(Verb.UNBLOCK, "target")),
        ("unblock " + "x" * (MAX_TARGET + 1), Incomplete(Verb.UNBLOCK, "target_too_long")),
        ("status " + "x" * (MAX_TARGET + 1), Incomplete(Verb.STATUS, "target_too_long")),
        ("case", Incomplete(Verb.CASE, "case_id")),
        ("case x1", Incomplete(Verb.CASE, "case_id")),
        ("avbryt ärende", Incomplete(Verb.CANCEL, "case_id")),
        ("cancel the second one", Incomplete(Verb.CANCEL, "case_id")),
        ("why", Incomplete(Verb.WHY, "target")),
        ("varför " + "x" * (MAX_TARGET + 1), Incomplete(Verb.WHY, "target_too_long")),
        ("unblock connector", Incomplete(Verb.UNBLOCK_CONNECTOR, "target")),
        ("check", Incomplete(Verb.CHECK, "target")),
        ("kontrollera " + "x" * (MAX_TARGET + 1), Incomplete(Verb.CHECK, "target_too_long")),
        ("report", Incomplete(Verb.REPORT, "case_id")),
        ("dry run", Incomplete(Verb.DRY_RUN, "case_id")),
        ("charts", Incomplete(Verb.CHARTS, "case_id")),
        ("approve", Incomplete(Verb.APPROVE, "case_id")),
        ("deny jane@contoso.com no", Incomplete(Verb.DENY, "case_id")),
        ("deny K7Q2M4", Incomplete(Verb.DENY, "reason")),
        ("neka K7Q2M4 tack", Incomplete(Verb.DENY, "reason")),
        ("remind", Incomplete(Verb.REMIND, "case_id")),
        ("snooze", Incomplete(Verb.SNOOZE, "target")),
        ("snooze 4h", Incomplete(Verb.SNOOZE, "target")),
        ("snooze jane", Incomplete(Verb.SNOOZE, "duration")),
        ("snooze jane for ages", Incomplete(Verb.SNOOZE, "duration")),
        ("pausa " + "x" * (MAX_TARGET + 1) + " 4h", Incomplete(Verb.SNOOZE, "target_too_long")),
        ("undo the rules", Incomplete(Verb.UNDO, "case_id")),
        ("åtkomstpass jane@contoso.com", Incomplete(Verb.ACCESS_PASS, "case_id")),
    ],
)
def test_a_command_without_its_argument_says_what_is_missing(text, command):
    """
    Half a command is answered with what is needed, not with silence or a guess.
    """
    assert command == parse(text)


def test_a_report_may_be_longer_than_any_command():
    """
    A whole bounce is pasted with its headers, and the code stands far down.
    """
    command = parse("why Your message could not be delivered. " + "x " * 2000 + "550 5.1.8 From: jane@contoso.com")

    assert isinstance(command, Why) and command.target is None
    assert command.report is not None and command.report.endswith("550 5.1.8 From: jane@contoso.com")


@pytest.mark.parametrize(
    ("text", "suggestion"),
    [
        ("unblok jane", "unblock jane"),
        ("unlbock jane doe", "unblock jane doe"),
        ("avblokera jane", "avblockera jane"),
        ("caes", "cases"),
        ("hlep", "help"),
        ("approval here", "approvals here"),
        ("chek jane", "check jane"),
        ("reprot K7Q2M4 json", "report K7Q2M4 json"),
        ("dryrnu K7Q2M4", "dryrun K7Q2M4"),
        ("acess pass K7Q2M4", "access pass K7Q2M4"),
        ("@Unblock unblok jane", "unblock jane"),
        ("block jane", None),
        ("blockera jane", None),
        ("what is going on", None),
        ("xyzzy", None),
        ("@", None),
    ],
)
def test_a_near_miss_suggests_the_whole_line(text, suggestion):
    """
    A slip of the finger is recognised, but never acted on; the opposite of a command is no slip.
    """
    command = parse(text)

    assert isinstance(command, Unknown)
    assert suggestion == command.suggestion


@pytest.mark.parametrize(("text", "me"), [("", True), ("Me", True), ("mig själv", True), ("jag", True), ("Mia", False)])
def test_a_person_may_name_themselves(text, me):
    """
    Where a name is asked for, nothing and "me" are oneself, in every language.
    """
    assert me == means_me(text)


# --- properties ------------------------------------------------------------------------------------------------------

PIECES = [
    "unblock",
    "häv",
    "blockeringen",
    "för",
    "case",
    "#ab12",
    "tack",
    "please",
    "@",
    "<at>",
    "</at>",
    "<a href=",
    "<",
    ">",
]
PIECES += [
    "mailto:",
    "[a](mailto:b)",
    "(",
    ")",
    "[",
    "]",
    '"',
    "“",
    "”",
    "?",
    ".",
    "\u200b",
    "\ud800",
    "\x00",
    " ",
    "\n",
    "ä",
    "a\u0308",
]
LETTER = st.characters(categories=["Lu", "Ll", "Lo"], exclude_characters="ªº")
NAME_PART = st.from_regex(r"[A-ZÅÄÖØÉ][a-zåäöøé]{1,12}([-'][A-Z][a-z]{1,8})?", fullmatch=True)
NAMES = st.lists(NAME_PART, min_size=1, max_size=4).map(" ".join)
ALIASES = st.from_regex(r"[a-z][a-z0-9._+-]{0,20}[a-z0-9](@[a-z0-9-]{1,20}\.(com|se))?", fullmatch=True)
CASE_IDS = st.from_regex(r"[A-Z0-9]{4,12}", fullmatch=True)
CODES = st.just("") | st.from_regex(r"[A-Z0-9]{3}", fullmatch=True)
POLITE = {phrase for vocabulary in LANGUAGES.values() for phrase in vocabulary.polite}


def whole(target: str) -> bool:
    """Whether a name cannot be taken for words around it."""
    return not any(target.casefold().split()[-1] == phrase.split()[-1] for phrase in POLITE)


TARGETS = st.one_of(NAMES, ALIASES, st.uuids().map(str)).filter(whole)
COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Unblock, TARGETS),
    st.builds(Status, st.none() | TARGETS),
    st.builds(Prevention, st.none() | TARGETS),
    st.builds(Check, TARGETS),
    st.builds(UnblockConnector, TARGETS),
    st.builds(Why, TARGETS, st.none() | st.just("550 5.1.8 Access denied")),
    st.just(Why(None, "550 5.1.8 Access denied")),
    *(st.builds(about_case, CASE_IDS) for about_case in (ShowCase, Cancel, DryRun, Charts, Undo, AccessPass, Remind)),
    st.builds(Approve, CASE_IDS, st.just("") | TARGETS, CODES),
    st.builds(Override, CASE_IDS, TARGETS, CODES),
    st.builds(Deny, CASE_IDS, TARGETS, CODES),
    st.just(WhoIsOnCall()),
    st.builds(Report, CASE_IDS | st.sampled_from(["JSON", "MARKDOWN"]), st.sampled_from(["markdown", "json"])),
    st.sampled_from([Cases(), Help(), ApprovalsHere(), AlertsHere(), Alerts(), Restricted()]),
    st.builds(Snooze, TARGETS, st.integers(1, 100_000)),
)


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from(PIECES)).map("".join), st.lists(st.sampled_from(PIECES)).map(" ".join)
    )
)
def test_parse_never_raises(text):
    """
    Whatever is typed is some command, and what it carries is short, visible and storable.
    """
    command = parse(text)

    target = getattr(command, "target", None) or ""
    assert len(target) <= MAX_TARGET
    assert target.encode() == target.encode("utf-8", "strict") and target.isprintable()


@given(COMMANDS, st.sampled_from(sorted(LANGUAGES)))
def test_what_we_say_to_type_is_understood(command, language):
    """
    Every command in every language comes back as itself.
    """
    assert command == parse(spell(command, language))


@given(TARGETS, st.sampled_from(sorted(LANGUAGES)), st.sampled_from(["", "!", " please", ", tack!", " ", "\n"]))
def test_a_sane_name_is_kept_exactly(target, language, ending):
    """
    Names, aliases, addresses and object ids reach the directory as they were typed.
    """
    for phrase in LANGUAGES[language].phrases[Verb.UNBLOCK]:
        assert Unblock(target) == parse(f"{phrase} {target}{ending}")


@given(st.text(LETTER, min_size=1, max_size=40).filter(whole))
def test_a_name_may_be_in_any_script(name):
    """
    Letters of every script survive, in composed form.
    """
    command = parse(f'unblock "{name}"')

    assert isinstance(command, Unblock)
    assert len(command.target) <= len(name) * 4 and command.target.strip()


def test_every_language_has_every_command():
    """
    A language that lacks a command would leave its speakers without it.
    """
    for vocabulary in LANGUAGES.values():
        assert set(Verb) == set(vocabulary.phrases)
        assert all(phrases and vocabulary.polite for phrases in vocabulary.phrases.values())
