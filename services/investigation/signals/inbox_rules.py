"""Rules of the Inbox that send mail out or keep it from its owner, hidden ones included."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.cases import Finding, Text, say
from services.clients.exchange_models import InboxRule, Recipient
from services.clients.graph_models import MailRule
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted, domain_of
from services.investigation.table import SignalRow, words
from services.investigation.unreadable import why

#: How many rules are told in full.
_TOLD = 6
#: Graph's names of the conditions that hold words.
_GRAPH_WORDS = ("subjectContains", "bodyContains", "bodyOrSubjectContains", "headerContains", "senderContains")


@dataclass(frozen=True)
class Rule:
    """A rule, whoever it was read from."""

    name: str
    enabled: bool
    #: None when it cannot be told.
    hidden: bool | None
    #: Everybody whom mail goes out to.
    receivers: tuple[Recipient, ...]
    #: Last part of the folder's path, in the mailbox's language; "" when none, or when only its id is known.
    folder: str
    deletes: bool
    marks_read: bool
    #: As far as can be told, it has no condition.
    for_all_mail: bool
    words: tuple[str, ...]
    #: As Exchange takes it back; None when Exchange could not be asked.
    identity: str | None
    #: Under which Graph shows it and can change it; None for a rule that only Exchange can change.
    graph_rule_id: str | None

    @property
    def can_be_changed(self) -> bool:
        """Whether we can turn it off. Graph calls some rules read-only, and without Exchange no way is left."""
        return self.identity is not None or self.graph_rule_id is not None or not self.enabled


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Suspicious rules, with what is needed to turn each off.

    Exchange lists hidden rules and names folders; Graph lists visible rules only and names folders by id. A rule that
    both know is turned off through Graph, which leaves the user's Outlook-only rules alone. When Exchange cannot be
    read, what Graph shows still counts as evidence, but finding nothing there proves nothing.
    Source: Get-InboxRule (Exchange PowerShell reference, 2026-08-21), "List rules", 2025.
    """
    listed, visible, own_domains = await asyncio.gather(
        attempted(evidence.mailboxes.inbox_rules(evidence.subject.upn)),
        attempted(evidence.directory.message_rules(evidence.subject.user_oid)),
        evidence.own_domains(),
    )
    if isinstance(listed, ServiceError):
        if isinstance(visible, ServiceError):
            raise listed
        return _by_graph_alone(visible, listed, own_domains, row)
    shown = () if isinstance(visible, ServiceError) else visible
    rules = [_from_exchange(rule, shown) for rule in listed]
    found = _finding(rules, own_domains, row)
    return found or row.clear(say("finding.inbox_rules.clear", n=len([r for r in rules if not is_own(r.name)])))


def _by_graph_alone(
    visible: Sequence[MailRule], refusal: ServiceError, own_domains: frozenset[str], row: SignalRow
) -> Finding:
    found = _finding([_from_graph(rule) for rule in visible], own_domains, row)
    if found is None:
        raise refusal
    note = say("finding.inbox_rules.hidden_unread", why=why(refusal))
    return found.model_copy(update={"evidence": (*found.evidence, note)})


# --- judging: pure ---------------------------------------------------------------------------------------------------


def suspicions(rule: Rule, own_domains: frozenset[str]) -> tuple[str, ...]:
    """
    What is suspicious about a rule: names among the row's points, none for a rule that Exchange keeps itself.

    Words, "for all mail" and "marks as read" mean something only with an action that takes mail away from its owner.
    """
    outside, place = _outside(rule, own_domains), _place(rule.folder)
    if is_own(rule.name) and not outside and not rule.deletes and place != "hides":
        return ()
    takes_away = {
        "forwards_outside": bool(outside),
        "hides": place == "hides",
        "tidies": place == "tidies",
        "deletes": rule.deletes,
    }
    away = any(takes_away.values())
    more = {
        "hidden": rule.hidden is True,
        "odd_name": is_odd(rule.name),
        "everything": rule.for_all_mail and (away or rule.folder != ""),
        "words": away and _has_telling_words(rule),
        "marks_read": away and rule.marks_read,
    }
    return tuple(kind for kind, true in (takes_away | more).items() if true)


def is_own(name: str) -> bool:
    """Whether the name is that of a rule which Exchange or Outlook keeps; anybody may choose such a name."""
    return any(name == own or (own[-1] in ".-" and name.startswith(own)) for own in words().rules.own)


def is_odd(name: str) -> bool:
    """Names that nobody gives a rule who wants to find it again: empty, one letter, dots and the like."""
    letters = re.sub(r"[\W_]", "", name)
    return len(letters) <= 1


def _outside(rule: Rule, own_domains: frozenset[str]) -> list[str]:
    """Receivers outside the organisation, as shown."""
    return [receiver.shown for receiver in rule.receivers if _is_outside(receiver, own_domains)]


def _is_outside(receiver: Recipient, own_domains: frozenset[str]) -> bool:
    """A recipient without an address belongs to the organisation if Exchange names it its own way (EX)."""
    if receiver.address is None:
        return "[EX:" not in receiver.raw.upper()
    return domain_of(receiver.address) not in own_domains


def _place(folder: str) -> str:
    """ "hides" or "tidies" for a folder of the lists, else ""."""
    name, folders = folder.casefold().strip(), words().folders
    if name in folders.hides:
        return "hides"
    return "tidies" if name in folders.tidies else ""


def _has_telling_words(rule: Rule) -> bool:
    telling = words().rules.words
    return any(word in text.casefold() for text in rule.words for word in telling)


# --- the finding -----------------------------------------------------------------------------------------------------


def _finding(rules: Iterable[Rule], own_domains: frozenset[str], row: SignalRow) -> Finding | None:
    """The suspicious ones among the rules, the worst first; None when there are none."""
    rated = [(rule, suspicions(rule, own_domains)) for rule in rules]
    bad = [(rule, kinds) for rule, kinds in rated if row.points_for(kinds) >= row.thresholds["suspicious_from"]]
    if not bad:
        return None
    bad.sort(key=lambda one: -_points(*one, row))
    return row.found(
        sum(_points(rule, kinds, row) for rule, kinds in bad),
        say("finding.inbox_rules.suspicious", n=len(bad)),
        *(_told(rule, kinds, own_domains) for rule, kinds in bad[:_TOLD]),
        *(say("finding.inbox_rules.by_hand", rule=_shown(rule)) for rule, _ in bad if not rule.can_be_changed),
        targets=[_target(rule, kinds) for rule, kinds in bad],
    )


def _points(rule: Rule, kinds: Sequence[str], row: SignalRow) -> int:
    """A rule that is off tells of the past: half."""
    points = row.points_for(kinds)
    return points if rule.enabled else points // 2


def _told(rule: Rule, kinds: Sequence[str], own_domains: frozenset[str]) -> Text:
    does = [text for kind in kinds if (text := _phrase(kind, rule, own_domains)) is not None]
    state = [] if rule.enabled else [say("finding.inbox_rules.is_off")]
    return say("finding.inbox_rules.rule", rule=_shown(rule), does=[*does, *state])


def _shown(rule: Rule) -> str | Text:
    return rule.name or say("word.unnamed")


def _phrase(kind: str, rule: Rule, own_domains: frozenset[str]) -> Text | None:
    if kind == "forwards_outside":
        return say("finding.inbox_rules.forwards_to", targets=_outside(rule, own_domains))
    if kind in ("hides", "tidies"):
        return say("finding.inbox_rules.moves_to", folder=rule.folder)
    if kind == "words":
        return say("finding.inbox_rules.looks_for", words=list(rule.words))
    return None if kind == "odd_name" else say(f"finding.inbox_rules.{kind}")


def _target(rule: Rule, kinds: Sequence[str]) -> dict[str, Any]:
    return {
        "name": rule.name,
        "identity": rule.identity,
        "graph_rule_id": rule.graph_rule_id,
        "enabled": rule.enabled,
        "hidden": rule.hidden,
        "suspicions": list(kinds),
    }


# --- reading ---------------------------------------------------------------------------------------------------------


def _from_exchange(rule: InboxRule, visible: Sequence[MailRule]) -> Rule:
    same = None if rule.hidden else _same_rule(rule, visible)
    return Rule(
        name=rule.name,
        enabled=rule.enabled is not False,
        hidden=rule.hidden,
        receivers=rule.forwards_to,
        folder=_last_part(rule.move_to_folder),
        deletes=rule.delete_message is True or rule.soft_delete_message is True,
        marks_read=rule.mark_as_read is True,
        for_all_mail=_has_no_condition(rule) if same is None else not same.conditions,
        words=_exchange_words(rule),
        identity=rule.identity,
        graph_rule_id=None if same is None or same.read_only else same.rule_id,
    )


def _same_rule(rule: InboxRule, visible: Sequence[MailRule]) -> MailRule | None:
    """This rule as Graph shows it: by identity, or by a name and place that no other rule there has."""
    by_identity = next((shown for shown in visible if shown.rule_id == rule.graph_rule_id), None)
    alike = [shown for shown in visible if (shown.name, shown.sequence) == (rule.name, rule.priority)]
    return by_identity or (alike[0] if len(alike) == 1 else None)


def _exchange_words(rule: InboxRule) -> tuple[str, ...]:
    return (
        *rule.subject_words,
        *rule.body_words,
        *rule.subject_or_body_words,
        *rule.header_words,
        *rule.from_words,
    )


def _has_no_condition(rule: InboxRule) -> bool:
    """Exchange has dozens of conditions and prints those that are set in its description, after these words."""
    named = bool(_exchange_words(rule)) or bool(rule.from_conditions)
    return not named and "if the message" not in (rule.description or "").casefold()


def _last_part(path: str | None) -> str:
    """Exchange prints `jane@contoso.com:\\RSS Subscriptions` or a name alone."""
    return re.split(r"[\\/:]", path or "")[-1]


def _from_graph(rule: MailRule) -> Rule:
    return Rule(
        name=rule.name,
        enabled=rule.enabled is not False,
        hidden=False,
        receivers=tuple(_graph_receiver(address) for address in rule.forwards_to),
        folder="",
        deletes=rule.delete is True or rule.permanent_delete is True,
        marks_read=rule.mark_as_read is True,
        for_all_mail=not rule.conditions,
        words=_graph_words(rule.conditions),
        identity=None,
        graph_rule_id=None if rule.read_only else rule.rule_id,
    )


def _graph_receiver(address: str) -> Recipient:
    return Recipient(address=address if "@" in address else None, raw=address)


def _graph_words(conditions: Mapping[str, Any]) -> tuple[str, ...]:
    found = (conditions.get(name) for name in _GRAPH_WORDS)
    return tuple(str(word) for value in found if isinstance(value, list) for word in value)
