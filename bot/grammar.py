"""
What a person typed -> what they want. Pure, total, and in every shipped language at once.

The words are data: a language is one `Vocabulary` in `LANGUAGES`, and adding one is adding a table. Words are compared
without case and without diacritics, so that "arende" is understood as "ärende"; what was typed for the account is kept
as it was typed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Literal
from urllib.parse import unquote

from services.diagnosis import split_report

#: Nobody types more for an account: a UPN has at most 113 characters, a display name 256.
MAX_TARGET = 256
#: What is looked at of a message; a command is far shorter, and the work stays bounded.
MAX_TEXT = 1000
#: How much of a message may be a non-delivery report.
MAX_REPORT = 20_000


class Verb(StrEnum):
    """The commands by name."""

    UNBLOCK = "unblock"
    UNBLOCK_CONNECTOR = "unblock_connector"
    WHY = "why"
    CHECK = "check"
    STATUS = "status"
    CASES = "cases"
    CASE = "case"
    CANCEL = "cancel"
    REPORT = "report"
    DRY_RUN = "dry_run"
    CHARTS = "charts"
    UNDO = "undo"
    CONTAIN = "contain"
    CLOSE = "close"
    PREVENTION = "prevention"
    ACCESS_PASS = "access_pass"
    HELP = "help"
    APPROVALS_HERE = "approvals_here"
    ALERTS_HERE = "alerts_here"
    APPROVE = "approve"
    OVERRIDE = "override"
    DENY = "deny"
    REMIND = "remind"
    ON_CALL = "oncall"
    ALERTS = "alerts"
    SNOOZE = "snooze"
    RESTRICTED = "restricted"


@dataclass(frozen=True, slots=True)
class Unblock:
    """Get this account sending again."""

    #: A name, an address, an alias or an object id, as typed.
    target: str


@dataclass(frozen=True, slots=True)
class UnblockConnector:
    """Let this inbound connector send again."""

    #: Its id in Exchange, its name, or a part of either.
    target: str


@dataclass(frozen=True, slots=True)
class Why:
    """Say what keeps mail from leaving. One of both is there, or both are."""

    #: As of Unblock.
    target: str | None = None
    #: A non-delivery report as it was pasted, on one line.
    report: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Find out whether this account is compromised, and change nothing."""

    #: As of Unblock.
    target: str


@dataclass(frozen=True, slots=True)
class Contain:
    """Throw the attacker out of this account, blocked or not, and unblock nothing."""

    #: As of Unblock.
    target: str


@dataclass(frozen=True, slots=True)
class Status:
    """How it stands with an account; with none named, with everything that is open."""

    target: str | None = None


@dataclass(frozen=True, slots=True)
class Cases:
    """The open cases."""


@dataclass(frozen=True, slots=True)
class ShowCase:
    """One case."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Call a case off."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Approve:
    """Say yes to an open question of a case."""

    case_id: str
    #: As it was typed; "" for none.
    reason: str = ""
    #: Which question: the letters after the case ("K4P7Z9-3FX"), as its card shows them; "" when they were left out.
    code: str = ""


@dataclass(frozen=True, slots=True)
class Override:
    """Say yes to unblocking an account although securing it is not proven, and why."""

    case_id: str
    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Deny:
    """Say no to an open question of a case, and why."""

    case_id: str
    reason: str
    code: str = ""


@dataclass(frozen=True, slots=True)
class Remind:
    """Bring the open question of a case to the approvers' mind."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """The open alerts."""


@dataclass(frozen=True, slots=True)
class Snooze:
    """Be quiet about an open alert for a while."""

    #: A name, an address, a connector's id, as typed.
    target: str
    #: For how long, in minutes; as it was typed, however long that is.
    minutes: int


@dataclass(frozen=True, slots=True)
class Restricted:
    """Microsoft's restricted list as it is now."""


@dataclass(frozen=True, slots=True)
class WhoIsOnCall:
    """Who is on call now."""


ReportFormat = Literal["markdown", "json"]


@dataclass(frozen=True, slots=True)
class Report:
    """The whole evidence of a case, for people or for machines."""

    case_id: str
    format: ReportFormat = "markdown"


@dataclass(frozen=True, slots=True)
class DryRun:
    """The calls that a case's plan would make, without making any."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Charts:
    """What a case looks like, drawn: mail, sign-ins and Secure Score."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Undo:
    """Put back what the containment of a case has changed."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """Stop following a case that is done."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Prevention:
    """What keeps it from happening again to an account; with none named, what the organisation does."""

    target: str | None = None


@dataclass(frozen=True, slots=True)
class AccessPass:
    """A Temporary Access Pass for the account of a case."""

    case_id: str


@dataclass(frozen=True, slots=True)
class Help:
    """What can be typed."""


@dataclass(frozen=True, slots=True)
class ApprovalsHere:
    """Post approval prompts into this conversation from now on."""


@dataclass(frozen=True, slots=True)
class AlertsHere:
    """Post alerts into this conversation from now on."""


@dataclass(frozen=True, slots=True)
class Incomplete:
    """A known command whose argument is missing or cannot be one."""

    command: Verb
    what: Literal["target", "target_too_long", "case_id", "format", "reason", "duration"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """None of our commands; `suggestion` is the whole line that may have been meant."""

    text: str
    suggestion: str | None = None


AboutCase = (
    ShowCase | Cancel | Report | DryRun | Charts | Undo | Close | AccessPass | Approve | Override | Deny | Remind
)
AboutAccount = Unblock | UnblockConnector | Check | Contain
Command = (
    AboutAccount
    | Why
    | Status
    | Prevention
    | Cases
    | AboutCase
    | Help
    | ApprovalsHere
    | AlertsHere
    | WhoIsOnCall
    | Alerts
    | Snooze
    | Restricted
    | Incomplete
    | Unknown
)


@dataclass(frozen=True)
class Vocabulary:
    """One language. The first phrase of a verb is the one that we print."""

    phrases: Mapping[Verb, tuple[str, ...]]
    #: Said around a command, and no part of it.
    polite: tuple[str, ...]
    #: Look like a command and mean the opposite: never "did you mean".
    false_friends: tuple[str, ...] = ()
    #: How a person says that they mean themselves.
    me: tuple[str, ...] = ()
    #: May stand before and after the name when somebody asks why: "why is jane blocked".
    before_why: tuple[str, ...] = ()
    after_why: tuple[str, ...] = ()


LANGUAGES: Mapping[str, Vocabulary] = {
    "en": Vocabulary(
        phrases={
            Verb.UNBLOCK: ("unblock",),
            Verb.UNBLOCK_CONNECTOR: ("unblock connector", "unblock the connector"),
            Verb.WHY: ("why", "diagnose"),
            Verb.CHECK: ("check", "check on", "investigate"),
            Verb.STATUS: ("status", "status of", "status for"),
            Verb.CASES: ("cases", "open cases", "list cases", "show cases"),
            Verb.CASE: ("case", "show case"),
            Verb.CANCEL: ("cancel", "cancel case"),
            Verb.REPORT: ("report", "report on", "report for", "show report"),
            Verb.DRY_RUN: ("dry run", "dry run of", "dryrun", "dry-run"),
            Verb.CHARTS: ("charts", "charts of", "charts for", "chart", "pictures", "show charts"),
            Verb.UNDO: ("undo", "undo case"),
            Verb.CONTAIN: ("contain", "secure"),
            Verb.CLOSE: ("close", "close case"),
            Verb.PREVENTION: ("prevention", "prevention of", "prevention for", "show prevention", "prevent"),
            Verb.ACCESS_PASS: (
                "access pass",
                "access pass for",
                "temporary access pass",
                "temporary access pass for",
                "tap",
                "tap for",
            ),
            Verb.HELP: ("help", "?"),
            Verb.APPROVALS_HERE: ("approvals here",),
            Verb.ALERTS_HERE: ("alerts here",),
            Verb.ALERTS: ("alerts", "open alerts", "list alerts", "show alerts"),
            Verb.SNOOZE: ("snooze", "snooze alert"),
            Verb.RESTRICTED: ("restricted", "restricted list", "show restricted", "who is restricted"),
            Verb.APPROVE: ("approve", "approve case"),
            Verb.OVERRIDE: ("override", "override case"),
            Verb.DENY: ("deny", "deny case", "reject", "reject case"),
            Verb.REMIND: ("remind", "remind case", "remind about"),
            Verb.ON_CALL: ("oncall", "on call", "on-call", "who is on call", "who's on call", "who is oncall"),
        },
        polite=("please", "pls", "thanks", "thank you", "can you", "could you", "hi", "hello", "hey"),
        false_friends=("block", "lock"),
        me=("me", "myself", "i"),
        before_why=("is", "does", "did", "can", "can't", "can’t", "cannot", "has"),
        after_why=("blocked", "restricted", "not send", "send", "send mail", "get", "got", "gets", "with"),
    ),
    "sv": Vocabulary(
        phrases={
            Verb.UNBLOCK: (
                "avblockera",
                "häv blockeringen för",
                "häv blockeringen av",
                "häv blockering för",
                "häv blockering av",
            ),
            Verb.UNBLOCK_CONNECTOR: ("avblockera anslutning", "avblockera anslutningen", "avblockera koppling"),
            Verb.WHY: ("varför", "diagnosticera"),
            Verb.CHECK: ("kontrollera", "undersök"),
            Verb.STATUS: ("status", "status för"),
            Verb.CASES: ("ärenden", "öppna ärenden", "lista ärenden", "visa ärenden"),
            Verb.CASE: ("ärende", "visa ärende"),
            Verb.CANCEL: ("avbryt", "avbryt ärende"),
            Verb.REPORT: ("rapport", "rapport för", "rapport om", "visa rapport"),
            Verb.DRY_RUN: ("torrkör", "torrkör ärende", "testkör", "testkör ärende"),
            Verb.CHARTS: ("diagram", "diagram för", "diagram över", "visa diagram", "bilder"),
            Verb.UNDO: ("ångra", "ångra ärende"),
            Verb.CONTAIN: ("säkra",),
            Verb.CLOSE: ("stäng", "stäng ärende"),
            Verb.PREVENTION: ("förebyggande", "förebyggande för", "förebygg", "visa förebyggande"),
            Verb.ACCESS_PASS: (
                "åtkomstpass",
                "åtkomstpass för",
                "tillfälligt åtkomstpass",
                "tillfälligt åtkomstpass för",
            ),
            Verb.HELP: ("hjälp",),
            Verb.APPROVALS_HERE: ("godkännanden här",),
            Verb.ALERTS_HERE: ("aviseringar här", "larm här"),
            Verb.ALERTS: ("larm", "aviseringar", "öppna larm", "visa larm", "visa aviseringar"),
            Verb.SNOOZE: ("pausa", "pausa larm", "snooza"),
            Verb.RESTRICTED: ("spärrade", "begränsade", "visa spärrade", "vem är spärrad"),
            Verb.APPROVE: ("godkänn", "godkänn ärende"),
            Verb.OVERRIDE: ("åsidosätt", "åsidosätt ärende"),
            Verb.DENY: ("neka", "neka ärende", "avslå", "avslå ärende"),
            Verb.REMIND: ("påminn", "påminn ärende", "påminn om"),
            Verb.ON_CALL: ("jour", "jouren", "vem har jour", "vem har jouren"),
        },
        polite=("tack", "tack så mycket", "snälla", "är du snäll", "kan du", "hej", "hallå"),
        false_friends=("blockera", "spärra"),
        me=("mig", "mig själv", "jag"),
        before_why=("är", "får", "fick", "kan", "har"),
        after_why=("blockerad", "blockerat", "begränsad", "spärrad", "inte skicka", "skicka", "får", "fick", "med"),
    ),
}


def parse(text: str) -> Command:
    """
    The command that a person typed, in any shipped language. Never raises; empty text asks for help.

    Polite words, a leading @mention, quotes, trailing punctuation, zero-width characters and the links that Teams
    makes of addresses are no part of the account's name. A capitalised polite word after a capitalised name is taken
    for a surname ("unblock Anna Tack"); quotes keep everything as it is.
    """
    readable = _readable(text)
    words = readable.split()
    if not words:
        return Help()
    readings = _without_lead(words)
    for rest in readings:
        head = _head(rest)
        if head and head.verb is Verb.WHY:
            return _why(rest[head.length :], text[MAX_TEXT:MAX_REPORT])
        if head and (command := _command(head, rest[head.length :])):
            return command
    suggestion = next(filter(None, map(_suggestion, readings)), None)
    return Unknown(" ".join(words)[:MAX_TARGET], suggestion)


def spell(command: Command, language: str = "en") -> str:
    """
    What to type for this command in this language, such that `parse` gives the command back.

    Raises KeyError for Incomplete and Unknown, which nobody types on purpose.
    """
    verb = _VERB_OF[type(command)]
    phrase = LANGUAGES[language].phrases[verb][0]
    argument = getattr(command, "target", None) or getattr(command, "case_id", None)
    if code := getattr(command, "code", ""):
        argument = f"{argument}-{code}"
    if reason := getattr(command, "reason", ""):
        return _spell_decision(command, f"{phrase} {argument} {reason}", f'{phrase} #{argument} "{reason}"')
    if isinstance(command, Snooze):
        return _spell_snooze(command, phrase)
    if not argument:
        return " ".join(filter(None, (phrase, getattr(command, "report", None))))
    ending = " json" if getattr(command, "format", "") == "json" else ""
    ending = f" {report}" if (report := getattr(command, "report", None)) else ending
    plain = f"{phrase} {argument}{ending}"
    if parse(plain) == command:
        return plain
    return f"{phrase} #{argument}{ending}" if verb in _NEEDS_CASE else f'{phrase} "{argument}"{ending}'


def _spell_snooze(command: Snooze, phrase: str) -> str:
    hours, rest = divmod(command.minutes, 60)
    lasts = f"{command.minutes}m" if rest or not hours else f"{hours}h"
    return _spell_decision(command, f"{phrase} {command.target} {lasts}", f'{phrase} "{command.target}" {lasts}')


def _spell_decision(command: Command, plain: str, careful: str) -> str:
    return plain if parse(plain) == command else careful


def means_me(text: str) -> bool:
    """Whether a person who was asked for a name means themselves, or said nothing."""
    return not text.strip() or _key(text) in _ME


# --- from characters to words ----------------------------------------------------------------------------------------

_MAIL_LINK = re.compile(r"\[[^\[\]]*\]\(\s*mailto:([^()\s?]*)[^()]*\)", re.IGNORECASE)
_OTHER_LINK = re.compile(r"\[([^\[\]]*)\]\([^()]*\)")
_HTML_MAIL_LINK = re.compile(r"<a\b[^<>]*\bmailto:([^<>\s\"'?]*)[^<>]*>[^<>]*</a\s*>", re.IGNORECASE)
_HTML_OTHER_LINK = re.compile(r"<a\b[^<>]*>([^<>]*)</a\s*>", re.IGNORECASE)
_LEADING_MENTION = re.compile(r"^\s*(?:<at\b[^<>]*>[^<>]*</at\s*>\s*)+", re.IGNORECASE)
_MENTION_TAG = re.compile(r"</?at\b[^<>]*>", re.IGNORECASE)
_ADDRESS_IN_ANGLES = re.compile(r"<\s*(?:mailto:)?([^<>\s@]+@[^<>\s@]+)\s*>", re.IGNORECASE)
_MAILTO = re.compile(r"^mailto:", re.IGNORECASE)


def _readable(text: str) -> str:
    """The text without markup and invisible characters, in composed form (NFC)."""
    text = unicodedata.normalize("NFC", text[:MAX_TEXT])
    text = _LEADING_MENTION.sub("", text)
    text = _MAIL_LINK.sub(lambda link: unquote(link[1]), text)
    text = _HTML_MAIL_LINK.sub(lambda link: unquote(link[1]), text)
    text = _OTHER_LINK.sub(r"\1", _HTML_OTHER_LINK.sub(r"\1", text))
    return "".join(map(_visible, _MENTION_TAG.sub("", text)))


def _visible(character: str) -> str:
    """The character, a space for a control, nothing for what cannot be seen (zero-width, bidi, lone surrogates)."""
    category = unicodedata.category(character)
    if category == "Cc":
        return " "
    return "" if category in ("Cf", "Cs") else character


def _folded(word: str) -> str:
    """The word for comparing: no case, no diacritics, no punctuation at its ends ("?" alone stays)."""
    letters = unicodedata.normalize("NFD", word.casefold())
    bare = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return bare.strip(_PUNCTUATION + "/") or bare[:1]


#: May follow a command or a name and belongs to neither.
_PUNCTUATION = ".,;:!?…"
_QUOTES = {'"': '"', "'": "'", "“": "”", "”": "”", "„": "“”", "‘": "’", "’": "’", "»": "»«", "«": "»", "`": "`"}


# --- from words to a command -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Head:
    """A phrase of the tables: what it asks for, how it is printed, how many words it has."""

    verb: Verb
    phrase: str
    length: int


def _key(phrase: str) -> tuple[str, ...]:
    return tuple(_folded(word) for word in phrase.split())


_HEADS: Mapping[tuple[str, ...], _Head] = {
    _key(phrase): _Head(verb, phrase, len(phrase.split()))
    for language in LANGUAGES.values()
    for verb, phrases in language.phrases.items()
    for phrase in phrases
}
_LONGEST_HEAD = max(map(len, _HEADS))
_POLITE = sorted((_key(phrase) for language in LANGUAGES.values() for phrase in language.polite), key=len, reverse=True)
_FALSE_FRIENDS = frozenset(_folded(word) for language in LANGUAGES.values() for word in language.false_friends)
_ME = frozenset(_key(phrase) for language in LANGUAGES.values() for phrase in language.me)
_NEEDS_ACCOUNT: Mapping[Verb, type[AboutAccount]] = {
    Verb.UNBLOCK: Unblock,
    Verb.UNBLOCK_CONNECTOR: UnblockConnector,
    Verb.CHECK: Check,
    Verb.CONTAIN: Contain,
}
_NEEDS_CASE: Mapping[Verb, type[AboutCase]] = {
    Verb.CASE: ShowCase,
    Verb.CANCEL: Cancel,
    Verb.REPORT: Report,
    Verb.DRY_RUN: DryRun,
    Verb.CHARTS: Charts,
    Verb.UNDO: Undo,
    Verb.CLOSE: Close,
    Verb.ACCESS_PASS: AccessPass,
    Verb.APPROVE: Approve,
    Verb.OVERRIDE: Override,
    Verb.DENY: Deny,
    Verb.REMIND: Remind,
}
_NEEDS_NOTHING: Mapping[Verb, Command] = {
    Verb.CASES: Cases(),
    Verb.HELP: Help(),
    Verb.APPROVALS_HERE: ApprovalsHere(),
    Verb.ALERTS_HERE: AlertsHere(),
    Verb.ON_CALL: WhoIsOnCall(),
    Verb.ALERTS: Alerts(),
    Verb.RESTRICTED: Restricted(),
}
_VERB_OF: Mapping[type, Verb] = {
    Status: Verb.STATUS,
    Prevention: Verb.PREVENTION,
    Why: Verb.WHY,
    Snooze: Verb.SNOOZE,
    **{command: verb for needs in (_NEEDS_ACCOUNT, _NEEDS_CASE) for verb, command in needs.items()},
    **{type(command): verb for verb, command in _NEEDS_NOTHING.items()},
}
#: How many minutes a unit of time has, by what people call it in any language.
_MINUTES: Mapping[str, int] = {
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes", "minut", "minuter"), 1),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "t", "tim", "timme", "timmar"), 60),
    **dict.fromkeys(("d", "day", "days", "dag", "dagar", "dygn"), 24 * 60),
}
_DURATION = re.compile(r"(\d{1,6})\s?([a-z]+)")
#: May stand before it: "snooze jane for 4h".
_FOR = frozenset({"for", "i", "in"})
_BEFORE_WHY = frozenset(_folded(word) for language in LANGUAGES.values() for word in language.before_why)
_AFTER_WHY = sorted((_key(phrase) for language in LANGUAGES.values() for phrase in language.after_why), key=len)
_CASE_ID = re.compile(r"#?([A-Za-z0-9]{4,12})")
#: The same with the letters of one of its questions; Teams likes to make a longer dash of a hyphen.
_QUESTION = re.compile(r"#?([A-Za-z0-9]{4,12})(?:[-‐-―]([A-Za-z0-9]{3}))?")
#: What a report may be asked for as, in any language.
_FORMATS: Mapping[str, ReportFormat] = {"json": "json", "markdown": "markdown", "md": "markdown"}
#: May stand before it: "report K4P7Z9 as json".
_AS = frozenset({"as", "in", "som", "i"})


def _head(words: Sequence[str]) -> _Head | None:
    """The longest phrase that the words begin with."""
    key = tuple(map(_folded, words[:_LONGEST_HEAD]))
    return next((_HEADS[key[:n]] for n in range(len(key), 0, -1) if key[:n] in _HEADS), None)


def _command(head: _Head, words: Sequence[str]) -> Command | None:
    """The command of a phrase and the words after it; None when there are words that it has no use for."""
    if head.verb in _NEEDS_NOTHING:
        return None if _without_trail(words) else _NEEDS_NOTHING[head.verb]
    if head.verb in _NEEDS_CASE:
        return _about_case(head.verb, words)
    if head.verb is Verb.SNOOZE:
        return _snooze(_without_trail(words))
    return _about_account(head.verb, words)


def _snooze(words: Sequence[str]) -> Command:
    """Whom, and at the end for how long: one word ("4h") or two ("4 hours"); "for" may stand between."""
    for length in (1, 2):
        minutes = _minutes(words[-length:]) if len(words) >= length else None
        if minutes is None:
            continue
        named = words[:-length]
        named = named[:-1] if len(named) > 1 and _folded(named[-1]) in _FOR else named
        target = _target(named)
        if len(target) > MAX_TARGET:
            return Incomplete(Verb.SNOOZE, "target_too_long")
        return Snooze(target, minutes) if target else Incomplete(Verb.SNOOZE, "target")
    return Incomplete(Verb.SNOOZE, "duration" if words else "target")


def _minutes(words: Sequence[str]) -> int | None:
    """How many minutes the words say, None when they say no time."""
    found = _DURATION.fullmatch(" ".join(map(_folded, words)))
    return int(found[1]) * _MINUTES[found[2]] if found and found[2] in _MINUTES else None


def _about_case(verb: Verb, words: Sequence[str]) -> Command:
    if verb is Verb.REPORT:
        return _report(_without_trail(words))
    if verb in (Verb.APPROVE, Verb.OVERRIDE, Verb.DENY):
        return _decision(verb, words)
    case_id = _case_id(words)
    return _NEEDS_CASE[verb](case_id) if case_id else Incomplete(verb, "case_id")


def _case_id(words: Sequence[str]) -> str | None:
    match = _CASE_ID.fullmatch(_target(words))
    return match[1].upper() if match else None


def _decision(verb: Verb, words: Sequence[str]) -> Command:
    """The question is one word, and the reason all that follows."""
    named, reason = _QUESTION.fullmatch(_target(words[:1])), _target(words[1:])
    if not named:
        return Incomplete(verb, "case_id")
    case_id, code = named[1].upper(), (named[2] or "").upper()
    if verb is Verb.APPROVE:
        return Approve(case_id, reason, code)
    decision = Override if verb is Verb.OVERRIDE else Deny
    return decision(case_id, reason, code) if reason else Incomplete(verb, "reason")


def _report(words: Sequence[str]) -> Command:
    """The report as what the words end in. A format alone names no case, unless it is written as one (#JSON)."""
    form = _FORMATS.get(_folded(words[-1])) if words else None
    named = _without_format(words) if form else words
    if case_id := _case_id(named):
        return Report(case_id, form or "markdown")
    in_another_format = len(named) > 1 and any(map(str.isdigit, named[0])) and _case_id(named[:1])
    return Incomplete(Verb.REPORT, "format" if in_another_format else "case_id")


def _without_format(words: Sequence[str]) -> Sequence[str]:
    return words[:-2] if len(words) > 2 and _folded(words[-2]) in _AS else words[:-1]


def _about_account(verb: Verb, words: Sequence[str]) -> Command:
    target = _target(words)
    if len(target) > MAX_TARGET:
        return Incomplete(verb, "target_too_long")
    if verb is Verb.STATUS:
        return Status(target or None)
    if verb is Verb.PREVENTION:
        return Prevention(target or None)
    return _NEEDS_ACCOUNT[verb](target) if target else Incomplete(verb, "target")


def _why(words: Sequence[str], more: str) -> Command:
    """Whom and what somebody asks about: a name, a pasted report, or a name and the report after it."""
    name, report = split_report(" ".join([*words, *more.split()]))
    target = _target(_without_question(name.split()))
    if len(target) > MAX_TARGET:
        return Incomplete(Verb.WHY, "target_too_long")
    if report:
        return Why(target or None, report)
    return Why(target) if target else Incomplete(Verb.WHY, "target")


def _without_question(words: Sequence[str]) -> Sequence[str]:
    """The name without what belongs to the question: "is jane blocked" is about jane."""
    words = _without_trail(words)
    words = words[1:] if len(words) > 1 and _folded(words[0]) in _BEFORE_WHY else words
    for phrase in reversed(_AFTER_WHY):
        if len(words) > len(phrase) and tuple(map(_folded, words[-len(phrase) :])) == phrase:
            return _without_trail(words[: -len(phrase)])
    return words


def _target(words: Sequence[str]) -> str:
    """The account or the case id that the words name, "" for none."""
    text = " ".join(_without_trail(words))
    if (quoted := _unquoted(text)) is not None:
        return quoted
    addresses = _ADDRESS_IN_ANGLES.findall(text)
    return addresses[0] if len(addresses) == 1 else _MAILTO.sub("", text)


def _unquoted(text: str) -> str | None:
    """What stands between a pair of quotes around the whole text; None when there is no such pair."""
    if len(text) >= 2 and text[-1] in _QUOTES.get(text[0], ""):
        return text[1:-1].strip()
    return None


def _without_trail(words: Sequence[str]) -> Sequence[str]:
    """The words without polite words and punctuation at the end. A closing quote ends the search."""
    while words:
        last = words[-1].rstrip(_PUNCTUATION)
        polite = next((phrase for phrase in _POLITE if _ends_politely(words, phrase)), None)
        if polite:
            words = words[: -len(polite)]
        elif last != words[-1]:
            words = [*words[:-1], last] if last else words[:-1]
        else:
            break
    return words


def _ends_politely(words: Sequence[str], phrase: tuple[str, ...]) -> bool:
    if tuple(map(_folded, words[-len(phrase) :])) != phrase:
        return False
    if len(phrase) > 1 or len(words) < 2:
        return True
    # "Anna Tack" is a name, "Anna, Tack" and "anna tack" are not.
    return not (words[-1].istitle() and words[-2].istitle() and words[-2][-1].isalpha())


def _without_lead(words: Sequence[str]) -> list[Sequence[str]]:
    """
    The words without a mention and polite words in front, most likely reading first.

    A mention that arrives as plain text ("@Unblock Bot unblock jane") does not say how many words the name has.
    """
    if not words[0].startswith("@") or len(words) == 1:
        return [_without_politeness(words)]
    return [_without_politeness(words[n:]) for n in (1, 2, 3) if len(words) > n]


def _without_politeness(words: Sequence[str]) -> Sequence[str]:
    while polite := next(
        (p for p in _POLITE if tuple(map(_folded, words[: len(p)])) == p and len(words) > len(p)), None
    ):
        words = words[len(polite) :]
    return words


# --- did you mean ----------------------------------------------------------------------------------------------------

#: How alike two phrases must be (difflib ratio, 0 to 1): "unblok" is 0.92 of "unblock", "hlep" 0.75 of "help",
#: "clock" 0.67 of "unblock".
_ALIKE = 0.75


def _suggestion(words: Sequence[str]) -> str | None:
    """The whole line that may have been meant, in the language of the phrase that comes nearest."""
    folded = [_folded(word)[:20] for word in words[:_LONGEST_HEAD]]
    if folded[0] in _FALSE_FRIENDS:
        return None
    scores = ((_alikeness(folded, key), key) for key in _HEADS)
    score, key = max(scores)
    if score < _ALIKE:
        return None
    head = _HEADS[key]
    return " ".join([head.phrase, *([] if head.verb in _NEEDS_NOTHING else words[len(key) :])])[:MAX_TARGET]


def _alikeness(words: Sequence[str], key: tuple[str, ...]) -> float:
    if len(words) < len(key):
        return 0.0
    typed, known = " ".join(words[: len(key)]), " ".join(key)
    # The ratio is 2 * matches / total length, so lengths alone rule most phrases out.
    if 2 * min(len(typed), len(known)) < _ALIKE * (len(typed) + len(known)):
        return 0.0
    return SequenceMatcher(None, typed, known, autojunk=False).ratio()
