"""The words: catalogues, parameters, moments, and values of outsiders that must stay text."""

from __future__ import annotations

import ast
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cards.language import (
    DOMAINS,
    MAX_VALUE_LENGTH,
    MissingText,
    Words,
    best_language,
    card_text,
    domain_messages,
    languages,
    messages,
    plain_value,
)
from cards.lint import problems
from services.cases import say

ROOT = Path(__file__).parents[2]
EN, SV = Words("en", strict=True), Words("sv", strict=True)

PIECES = "** __ _ [a] (http://x) [a]: <at> </at> ${ } {{ <b> &lt; https:// www. mailto:a@b.c # - 1. > ``` ~~ \\ a é"
HOSTILE = st.one_of(
    st.text(),
    st.text(alphabet="*_[]()<>!#`~\\&;:/.@${}-+=|1 aé\n\t\u202e\u200b"),
    st.lists(st.sampled_from([*PIECES.split(), " ", "\n", "# ", "- ", "1. "])).map("".join),
)


# --- values ----------------------------------------------------------------------------------------------------------


@given(HOSTILE)
@example("[Pay now](https://evil.example)")
@example("<at>Megan Bowen</at>")
@example("é__b__")
@example("\\[a](b)")
def test_nothing_that_an_outsider_wrote_is_active_on_a_card(value):
    """Whatever a name holds, the lint for active markup finds nothing in it once it is card text."""
    card = {"version": "1.5", "lang": "en", "fallbackText": "x", "body": [_text_block(card_text(value))]}

    assert [] == [problem for problem in problems(card) if "may act on" in problem]


@given(HOSTILE)
def test_card_text_holds_no_construct_of_markdown_html_mentions_or_templates(value):
    """Said once more without the lint: the pairs that mean something to some client do not occur."""
    text = card_text(value)

    assert not re.search(r"\]\(|\]\[|\]:|</?[a-zA-Z!]|\$\{|\{\{|://|[*`~]|\\[!-/:-@\[-`{-~]", text)
    assert not re.search(r"(?<![A-Za-z0-9_])_|_(?![A-Za-z0-9_])", text)
    assert not re.match(r"[-+#>]|\d+[.)]", text)


@given(HOSTILE)
def test_a_value_is_one_visible_line_of_limited_length(value):
    """No line breaks, no control, bidirectional or invisible characters, at most 120 characters."""
    shown = plain_value(value)

    assert len(shown) <= MAX_VALUE_LENGTH
    assert shown == " ".join(shown.split())
    assert shown.isprintable()


@pytest.mark.parametrize(
    "name", ["Jane Doe", "jane_doe@contoso.com", "O'Neil-Smith, Åsa (Finance)", "王芳", "Rule #2 & co", "a.b+c@x.org"]
)
def test_usual_names_and_addresses_are_shown_unchanged(name):
    """Making values harmless costs nothing for the names that people have, so that they can be copied."""
    assert name == card_text(name)


def test_a_long_value_ends_in_an_ellipsis():
    """What was cut can be seen to be cut."""
    assert "a" * 119 + "…" == card_text("a" * 500)


def test_a_value_is_never_read_as_a_message():
    """Braces in a name stay braces; no parameter of the message can be reached through them."""
    shown = EN.plain("outcome.denied_because", who="{reason}{who}", reason="{0.__class__}")

    assert "{reason}{who} said no: {0.__class__}" == shown


# --- saying it -------------------------------------------------------------------------------------------------------


def test_moments_are_written_in_the_readers_language_and_in_utc():
    """A moment of any zone is shown in UTC, with the month as the language writes it."""
    at = datetime(2026, 11, 24, 4, 12, tzinfo=timezone(timedelta(hours=1)))

    assert "24 Nov 2026, 03:12 UTC" in EN.t(say("checklist.answer_by", until=at))
    assert "24 nov. 2026, 03:12 UTC" in SV.t(say("checklist.answer_by", until=at))


def test_numbers_and_lists_follow_the_language():
    """Thousands and the word before the last item are the language's own."""
    assert "2,871" in EN.t("finding.restricted_entry.limit", external=2871, internal=1)
    assert "2\xa0871" in SV.t("finding.restricted_entry.limit", external=2871, internal=1)
    assert "a, b, and c" == EN.t("word.listed", items=["a", "b", "c"])
    assert "a, b och c" == SV.t("word.listed", items=["a", "b", "c"])


def test_long_lists_are_cut_and_say_so():
    """A list of forty names tells eight and how many more there are."""
    assert EN.t("word.listed", items=[str(n) for n in range(40)]).endswith("and 32 more")


def test_plurals_follow_n():
    """One and many have their own forms."""
    assert "1 account fits" in EN.t("choose_account.question", n=1, query="x")
    assert "2 accounts fit" in EN.t("choose_account.question", n=2, query="x")


def test_texts_in_texts_are_said_in_the_same_language():
    """A parameter may be a text itself."""
    assert SV.t(say("approval_prompt.now", headline=say("verdict.suspected"))) == "Nu: Misstänkt"


def test_a_missing_text_is_an_error_in_tests_and_the_key_in_production():
    """Nobody is left without a card because of a forgotten text."""
    with pytest.raises(MissingText):
        EN.t("no.such.text")

    assert "no.such.text" == Words("sv").t("no.such.text")


def test_a_missing_parameter_is_an_error_in_tests_and_a_dash_in_production():
    """The same holds for parameters."""
    with pytest.raises(MissingText):
        EN.t("checklist.joined")

    assert Words("en").t("checklist.joined") == "It goes on in case –."


@pytest.mark.parametrize(
    ("candidates", "language"),
    [
        (("sv-SE",), "sv"),
        (("sv_FI", "en"), "sv"),
        ((None, "", "SV"), "sv"),
        (("de-DE", "sv"), "sv"),
        (("xx",), "en"),
        ((), "en"),
    ],
)
def test_the_best_language_is_the_first_that_we_have(candidates, language):
    """The viewer's locale counts first, then the setting, then English."""
    assert language == best_language(*candidates)


# --- completeness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", languages())
def test_every_language_has_every_text_with_the_same_parameters(language, domain):
    """Keys, placeholders and plural texts are the same in all languages, and nothing is empty."""
    english, other = domain_messages("en", domain), domain_messages(language, domain)

    assert english.keys() == other.keys()
    for key, message in other.items():
        assert message.placeholders == english[key].placeholders, key
        assert (len(message.forms) > 1) == (len(english[key].forms) > 1), key
        assert all(form.strip() for form in message.forms), key


def test_no_text_is_in_two_catalogues():
    """A key belongs to one file, so that a change of it is a change of what is said."""
    counted = Counter(key for domain in DOMAINS for key in domain_messages("en", domain))

    assert [] == [key for key, times in counted.items() if times > 1]


def test_our_own_words_hold_no_markup():
    """Texts of the catalogues are plain words, so that whatever looks like markup on a card is a mistake."""
    for language in languages():
        for key, message in messages(language).items():
            for form in message.forms:
                assert not re.search(r"[*`<>\[\]~]|_\w+_|https?:|www\.", form), key


def test_every_text_that_the_services_and_cards_name_exists():
    """Each key in the code, as `say("key")`, as an error's `key` or as a reason of NotAllowed, has its words."""
    named = {key for path in _our_modules() for key in _named_keys(ast.parse(path.read_text(encoding="utf-8")))}

    assert set() == named - messages("en").keys()


def test_every_text_gets_its_parameters():
    """Wherever a key stands in the code as `say("key", ...)`, each placeholder of its text is among the arguments."""
    lacking = {}
    for path in _our_modules():
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "say":
                lacking.update(_lacking_parameters(call))

    assert {} == lacking


def _lacking_parameters(call: ast.Call) -> dict[str, set[str]]:
    given_names = {keyword.arg for keyword in call.keywords}
    if None in given_names:  # **values: cannot be told from the code alone
        return {}
    known = messages("en")
    lacking = {key: known[key].placeholders - given_names for key in _constants(call.args[0]) if key in known}
    return {key: names for key, names in lacking.items() if names}


def _our_modules() -> list[Path]:
    folders = ("services", "cards", "bot")
    paths = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return [path for path in paths if "sandbox" not in path.parts]


def _named_keys(tree: ast.AST) -> set[str]:
    keys = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args:
            keys |= _keys_of_call(node)
        if isinstance(node, ast.ClassDef):
            keys |= {_value(item) for item in node.body if _is_key(item)}
    return keys


def _keys_of_call(call: ast.Call) -> set[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    prefix = {"say": "", "NotAllowed": "refusal."}.get(name)
    if prefix is None:
        return set()
    return {prefix + text for text in _constants(call.args[0])}


def _constants(node: ast.expr) -> list[str]:
    """The strings that an expression can be: a literal, or either side of a condition."""
    if isinstance(node, ast.IfExp):
        return _constants(node.body) + _constants(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _is_key(item: ast.stmt) -> bool:
    return isinstance(item, ast.Assign) and getattr(item.targets[0], "id", "") == "key"


def _value(item: ast.Assign) -> str:
    return item.value.value


def _text_block(text: str) -> dict:
    return {"type": "TextBlock", "text": text, "wrap": True}
