"""
The words of the bot: catalogues per language, and values made harmless before they stand among the words.

A catalogue is a `.po` file whose message ids are keys ("checklist.step.1"). Parameters are written `{name}` and are put
in by one pass over the message, so that a value is never read as a format string, whatever braces it holds.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from babel import Locale
from babel.dates import format_datetime
from babel.lists import format_list
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

from services.cases import Moment, Text
from services.errors import BotError

LOCALES = Path(__file__).parent / "locales"
#: One file for the words of the cards, one for short answers, and those that services put into what they report: about
#: what the signals found, about the actions, and the rest.
DOMAINS = ("cards", "services", "signals", "actions", "replies")
#: The language of last resort; every key exists in it.
DEFAULT_LANGUAGE = "en"
#: The longest value shown, in characters; what is cut ends in an ellipsis.
MAX_VALUE_LENGTH = 120
#: The longest list that is told in full inside a sentence.
MAX_LIST_LENGTH = 8

_PARAMETER = re.compile(r"\{(\w+)\}")


class MissingText(BotError):
    """A key that no catalogue has, or a message whose parameter was not given."""

    key = "error.missing_text"


# --- values that outsiders write -------------------------------------------------------------------------------------

#: Takes no room, is no space and no punctuation: between two characters it keeps them from meaning something together.
JOINER = "\u2060"
#: Combining marks that may follow one letter; more of them would paint over the lines above and below.
MAX_COMBINING_MARKS = 3


def plain_value(value: str, longest: int = MAX_VALUE_LENGTH) -> str:
    """
    What somebody wrote, on one line, without control, bidirectional and invisible characters, cut to `longest`.

    For places that show text as it is, such as the title of a choice or a notification.
    """
    visible = "".join(_visible_characters(unicodedata.normalize("NFC", value)))
    line = " ".join(visible.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


def _visible_characters(value: str) -> list[str]:
    kept: list[str] = []
    marks = 0
    for character in value:
        category = unicodedata.category(character)
        marks = marks + 1 if category[0] == "M" else 0
        if category[0] == "Z" or character.isspace():
            kept.append(" ")
        elif category[0] != "C" and marks <= MAX_COMBINING_MARKS:
            kept.append(character)
    return kept


# Why no backslashes and no entities: the desktop client reads Markdown as CommonMark does, but the parser that the
# phone clients share knows neither escape, shows the backslash and follows `\[a](b)` all the same. An invisible joiner
# between the two characters of a construct, or a twin of the character, works in every client and reads the same.
_NEUTRALISED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\\"), f"\\\\{JOINER}"),  # an escape, which would swallow the next character
    (re.compile(r"\]"), f"]{JOINER}"),  # [text](link), [text][link], [link]: address
    (re.compile(r"<"), f"<{JOINER}"),  # <at>, html, <address>
    (re.compile(r"&(?=#|\w+;)"), f"&{JOINER}"),  # &lt; and its kind
    (re.compile(r"\$(?=\{)"), f"${JOINER}"),  # ${expression} of card templating
    (re.compile(r"\{(?=\{)"), f"{{{JOINER}"),  # {{DATE(...)}}
    (re.compile(r":(?=//)"), f":{JOINER}"),  # addresses that a client turns into links by itself
    (re.compile(r"\b(www)(?=\.)", re.IGNORECASE), rf"\1{JOINER}"),
    (re.compile(r"\b(mailto|tel|javascript|data)(?=:)", re.IGNORECASE), rf"\1{JOINER}"),
    (re.compile(r"\*"), "∗"),  # emphasis, lists, rules
    (re.compile(r"`"), "ˋ"),  # code
    (re.compile(r"~"), "∼"),  # struck out
    (re.compile(r"^(?=[-+#>=|:]|\d+[.)])"), JOINER),  # what means something at the start of a line only
)
# An underscore inside a word is no emphasis in any client, and addresses are full of them: those stay.
_LOOSE_UNDERSCORES = re.compile(r"(?<![A-Za-z0-9_])_+|_+(?![A-Za-z0-9_])")


def card_text(value: str, longest: int = MAX_VALUE_LENGTH) -> str:
    """
    What somebody wrote, for the text of a card: shown as text, with nothing in it that a client would act on.

    No emphasis, list, link, mention, html or template expression can come out of it. An address without a scheme
    (jane@contoso.com) is left as it is, so that it can be copied.
    Source: Microsoft Teams documentation, "Format cards in Teams", read 2026-11-23.
    """
    text = plain_value(value, longest)
    for pattern, replacement in _NEUTRALISED:
        text = pattern.sub(replacement, text)
    return _LOOSE_UNDERSCORES.sub(lambda run: "ˍ" * len(run.group()), text)


# --- catalogues ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Message:
    """One text of a catalogue: a single form, or one per plural category of the language, in CLDR's order."""

    forms: tuple[str, ...]

    def form(self, index: int) -> str:
        return self.forms[min(index, len(self.forms) - 1)]

    @property
    def placeholders(self) -> frozenset[str]:
        return frozenset(name for form in self.forms for name in _PARAMETER.findall(form))


def languages() -> tuple[str, ...]:
    """The languages that have catalogues, the default one first."""
    found = sorted(folder.name for folder in LOCALES.iterdir() if (folder / "LC_MESSAGES").is_dir())
    return (DEFAULT_LANGUAGE, *(name for name in found if name != DEFAULT_LANGUAGE))


def best_language(*candidates: str | None) -> str:
    """The first candidate that we have words for ("sv-SE" is "sv"), else the default language."""
    known = _known_languages()
    primary = (candidate.replace("_", "-").split("-")[0].lower() for candidate in candidates if candidate)
    return next((language for language in primary if language in known), DEFAULT_LANGUAGE)


@lru_cache(maxsize=1)
def _known_languages() -> frozenset[str]:
    return frozenset(languages())


@lru_cache
def domain_messages(language: str, domain: str) -> Mapping[str, Message]:
    """The messages of one file, by key. Read once. Fuzzy entries count as missing, as gettext has it."""
    with (LOCALES / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as file:
        catalogue = read_po(file, locale=language)
    return {_key(entry.id): Message(_forms(entry.string)) for entry in catalogue if entry.id and not entry.fuzzy}


@lru_cache
def messages(language: str) -> Mapping[str, Message]:
    """Every message of a language, by key."""
    return {key: message for domain in DOMAINS for key, message in domain_messages(language, domain).items()}


def _key(message_id: str | list[str] | tuple[str, ...]) -> str:
    return message_id if isinstance(message_id, str) else message_id[0]


def _forms(strings: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (strings,) if isinstance(strings, str) else tuple(strings)


_PLURAL_ORDER = ("zero", "one", "two", "few", "many", "other")


@lru_cache
def _locale(language: str) -> Locale:
    return Locale.parse(language)


def _plural_index(language: str, n: object) -> int:
    """Which form of a message says `n`; a message with one form has only that."""
    if isinstance(n, bool) or not isinstance(n, (int, float)):
        return 0
    rule = _locale(language).plural_form
    categories = [category for category in _PLURAL_ORDER if category in rule.tags or category == "other"]
    return categories.index(rule(n))


# --- saying it -------------------------------------------------------------------------------------------------------


class Words:
    """
    Texts in one language.

    With `strict`, a missing key or parameter raises MissingText; without, the English text is taken, then the key, so
    that a card appears in any case. `longest` is the length that a value is cut to, `most` how much of a list is told.
    """

    def __init__(
        self, language: str, *, strict: bool = False, longest: int = MAX_VALUE_LENGTH, most: int = MAX_LIST_LENGTH
    ) -> None:
        self.language = language if language in _known_languages() else DEFAULT_LANGUAGE
        self._strict = strict
        self._longest = longest
        self._most = most

    def t(self, text: Text | str, **params: Any) -> str:
        """The text for an Adaptive Card: every value in it is shown as text, see `card_text`."""
        return self._say(text, params, card_text)

    def plain(self, text: Text | str, **params: Any) -> str:
        """The text for places without Markdown: notifications, titles of buttons and choices, labels of inputs."""
        return self._say(text, params, plain_value)

    def country(self, code: str) -> str:
        """The name of a country by its ISO 3166 code; the code itself for one without a name, a word for none."""
        return _locale(self.language).territories.get(code, code) if code else self.plain("word.unknown_country")

    def _say(self, text: Text | str, params: Mapping[str, Any], clean: Callable[[str, int], str]) -> str:
        key, values = (text, params) if isinstance(text, str) else (text.key, {**text.params, **params})
        template = self._message(key, values)
        return _PARAMETER.sub(lambda match: self._parameter(key, match.group(1), values, clean), template)

    def _message(self, key: str, values: Mapping[str, Any]) -> str:
        own = messages(self.language).get(key)
        if own is not None:
            return own.form(_plural_index(self.language, values.get("n")))
        if self._strict:
            raise MissingText(text=key, language=self.language)
        english = messages(DEFAULT_LANGUAGE).get(key)
        return key if english is None else english.form(_plural_index(DEFAULT_LANGUAGE, values.get("n")))

    def _parameter(self, key: str, name: str, values: Mapping[str, Any], clean: Callable[[str, int], str]) -> str:
        if name not in values and self._strict:
            raise MissingText(text=key, parameter=name, language=self.language)
        return self._value(values.get(name), clean)

    def _value(self, value: Any, clean: Callable[[str, int], str]) -> str:
        if isinstance(value, Text):
            return self._say(value, {}, clean)
        if isinstance(value, Moment):
            return self._moment(value.at)
        if isinstance(value, (list, tuple)):
            return self._list(value, clean)
        if isinstance(value, bool):
            return self._say("word.yes" if value else "word.no", {}, clean)
        if isinstance(value, (int, float)):
            return format_decimal(value, locale=_locale(self.language))
        return "–" if value is None else clean(str(value), self._longest)

    def _list(self, values: list[Any] | tuple[Any, ...], clean: Callable[[str, int], str]) -> str:
        shown = [self._value(value, clean) for value in values[: self._most]]
        if hidden := len(values) - len(shown):
            shown.append(self._say("word.others", {"n": hidden}, clean))
        return format_list(shown, locale=_locale(self.language)) if shown else "–"

    def _moment(self, at: datetime) -> str:
        return _moment(self.language, self._message("format.moment", {}), at)


@lru_cache(maxsize=4096)
def _moment(language: str, pattern: str, at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), pattern, locale=_locale(language))
