"""
What a non-delivery report says: codes, Microsoft's number, the server, the addresses. Pure, and never raises.

People paste whatever they have: one status line, the whole bounce out of Outlook, HTML, a Swedish sentence around the
code. The code stays English and in digits everywhere, so that is what is looked for; only when there is none do the
words of Microsoft's own messages stand in for it. Everything here takes time in proportion to the length of the text.
Sources: "Email non-delivery reports and SMTP errors in Exchange Online", 2023-01-29; RFC 3463 (the codes), 2003-01.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise

from services.cases import Value

#: What is looked at of a report. A bounce with its headers and the start of the message has a few thousand characters.
MAX_REPORT = 20_000
#: Reports quote the headers of the message, with everybody who ever saw it.
MAX_ADDRESSES = 10
_MAX_CODES = 10
_QUOTES = "'\"“”‘’`"
#: More words than this in front of a code are a sentence and no name.
_LONGEST_NAME_WORDS = 4

#: A status code of RFC 3463. Longer rows of numbers are the addresses and versions of servers.
_STATUS = r"(?<![\d.])[245]\.\d{1,3}\.\d{1,3}(?!\.?\d)"
_CODE = re.compile(_STATUS)
#: The same with the reply code of SMTP before it, by which a report begins.
_BEGINNING = re.compile(rf"(?:\b[245]\d\d[\s\-#;:]{{1,5}})?{_STATUS}")
_AS_NUMBER = re.compile(r"\bAS\s?\(?(\d{2,12})\b")
#: What Microsoft writes when the code itself was not pasted, and the code that it goes with.
_SAID_FOR: tuple[tuple[str, str], ...] = (
    ("bad outbound sender", "5.1.8"),
    ("bad inbound connector", "5.7.711"),
    ("daily limit for message recipients", "5.1.90"),
    ("tenant external recipient rate limit", "5.7.233"),
    ("tenant has exceeded threshold", "5.7.705"),
    ("not allow external forwarding", "5.7.520"),
)
_QUOTA = re.compile(r"submission ?quota ?exceeded", re.IGNORECASE)
_SAID = re.compile(
    r"(?:access denied,\s{0,3})?(?:" + "|".join(words for words, _ in _SAID_FOR) + rf"|{_QUOTA.pattern})", re.IGNORECASE
)
_TAG = re.compile(r"</?(?!\S{1,320}@)[A-Za-z!][^<>]{0,1000}>")
_BETWEEN = re.compile(r"[\s<>()\[\]{}\"“”,;:|=]+")
_ADDRESS = re.compile(r"[^@]{1,64}@[^@.]{1,63}(?:\.[^@.]{1,63}){1,8}")
_SENDER_LABELS = frozenset({"from", "sender", "från", "avsändare", "return-path", "x-sender"})
_OTHER_LABELS = frozenset({"to", "till", "cc", "subject", "ämne", "recipient", "mottagare", "sent", "skickat"})
#: How many words of a name may stand between a label and the address.
_NAME_WORDS = 5
_SERVER_ENDINGS = (".outlook.com", ".office365.com", ".protection.outlook.com")
_SERVER_LABELS = frozenset({"server", "servern", "dns", "mta"})
#: Words of a report, by which what stands before the code is no name.
_REPORT_WORDS = frozenset(
    "remote server returned returnerade fjärrservern error fel felet felkod status code kod smtp message meddelande "
    "meddelandet ditt your delivery leverans diagnostic information reported rapporterat rapporterade generated "
    "the my i jag mail mejl e-post bounce studs studsar kunde couldn't could".split()
)


class Ndr(Value):
    """A report, as far as it could be read."""

    #: Status codes such as "5.1.8", in the order in which they were found, each once.
    codes: tuple[str, ...] = ()
    #: The number of Microsoft's rule, as in AS(42004); "" when there is none.
    as_number: str = ""
    #: The server that refused or reported, "" when it is not named.
    server: str = ""
    #: Mail addresses, in the order in which they were found.
    addresses: tuple[str, ...] = ()
    #: The one that the report calls the sender, "" when it calls none so.
    sender: str = ""
    #: Whether it says that too much was submitted, whatever its code.
    quota_exceeded: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether nothing in it is of use."""
        return not (self.codes or self.addresses or self.quota_exceeded)


def parse_ndr(text: str) -> Ndr:
    """What the text says. A text without anything of a report gives an empty one."""
    readable = _readable(text)
    words = [word for word in _BETWEEN.split(readable) if word]
    return Ndr(
        codes=_codes(readable),
        as_number=next((found[1] for found in _AS_NUMBER.finditer(readable)), ""),
        server=_server(words),
        addresses=tuple(dict.fromkeys(_addresses(words)))[:MAX_ADDRESSES],
        sender=_sender(words),
        quota_exceeded=_QUOTA.search(readable) is not None,
    )


def split_report(text: str) -> tuple[str, str]:
    """
    (name, report) of what somebody typed: "jane 550 5.1.8 Access denied" names Jane, "Remote Server returned '550 5.1.8
    ...'" names nobody. Without a report the whole text is the name.
    """
    begins = _BEGINNING.search(text) or _SAID.search(text)
    if begins is None:
        return text.strip(), ""
    name = text[: begins.start()].strip(" \t\r\n:;,.–-<>()[]")
    # Quotes around a name belong to it, one that stands alone to the report.
    quoted = len(name) > 2 and name[0] in _QUOTES and name[-1] in _QUOTES
    name = name if quoted else name.strip(_QUOTES + " ")
    return (name, text[begins.start() :].strip()) if _may_be_name(name) else ("", text.strip())


def _may_be_name(text: str) -> bool:
    words = [word.strip(".,:;" + _QUOTES).casefold() for word in text.split()]
    return 0 < len(words) <= _LONGEST_NAME_WORDS and not _REPORT_WORDS.intersection(words)


# --- parts -----------------------------------------------------------------------------------------------------------


def _readable(text: str) -> str:
    """The text without markup and invisible characters; addresses in angle brackets stay."""
    plain = html.unescape(_TAG.sub(" ", unicodedata.normalize("NFC", text[:MAX_REPORT])))
    return "".join(" " if unicodedata.category(c) in ("Cc", "Zs") else c for c in plain if _is_visible(c))


def _is_visible(character: str) -> bool:
    return unicodedata.category(character) not in ("Cf", "Cs")


def _codes(text: str) -> tuple[str, ...]:
    """Failures and delays; successes only when there is nothing else, since a report quotes the way of the message."""
    found = [_without_zeros(match) for match in _CODE.findall(text)]
    failures = [code for code in found if not code.startswith("2.")] or found
    folded = text.casefold()
    failures += [code for words, code in _SAID_FOR if words in folded]
    return tuple(dict.fromkeys(failures))[:_MAX_CODES]


def _without_zeros(code: str) -> str:
    return ".".join(str(int(number)) for number in code.split("."))


def _server(words: Sequence[str]) -> str:
    """A host of Microsoft's, else the name after a word for server."""
    hosts = (word.strip("'.") for word in words if "@" not in word and "/" not in word)
    named = next((host for host in hosts if host.casefold().endswith(_SERVER_ENDINGS)), "")
    if named:
        return named[:255]
    after = (next_word for word, next_word in pairwise(words) if _is_server_label(word))
    return next((host.strip("'.")[:255] for host in after if "." in host.strip("'.") and "@" not in host), "")


def _is_server_label(word: str) -> bool:
    return word.casefold() in _SERVER_LABELS or word.casefold().endswith("server")


def _addresses(words: Sequence[str]) -> Iterator[str]:
    return filter(None, map(_address_in, words))


def _address_in(word: str) -> str:
    """The word as an address without what stands around it; "" when it is none."""
    bare = word.strip("'’‘`.!?")
    return bare if len(bare) <= 320 and bare.isprintable() and _ADDRESS.fullmatch(bare) else ""


def _sender(words: Sequence[str]) -> str:
    """The address after "From" or its like, with the person's name perhaps between them."""
    for place, word in enumerate(words):
        if word.casefold() in _SENDER_LABELS and (found := _first_address(words[place + 1 : place + 2 + _NAME_WORDS])):
            return found
    return ""


def _first_address(words: Sequence[str]) -> str:
    for word in words:
        if found := _address_in(word):
            return found
        if word.casefold() in _OTHER_LABELS:
            break
    return ""
