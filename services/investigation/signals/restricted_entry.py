"""The entry on the restricted list, and what Microsoft's reason for it says."""

from __future__ import annotations

from collections.abc import Mapping

from services.cases import Block, BlockKind, Finding, Text, UnknownReason, say
from services.investigation.evidence import Evidence
from services.investigation.table import SignalRow

_REASONS = {
    "unreadable.permission": UnknownReason.PERMISSION,
    "unreadable.licence": UnknownReason.LICENCE,
    "unreadable.throttled": UnknownReason.THROTTLED,
}


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    What the case's block says; nothing is read anew.

    The reason's form is not documented. Seen are limits ("ExternalRecipientCountToday", "ExceedingLimitType") and spam
    ("OutboundSpamLast24Hours", "OutboundSpamPercent"); whatever is missing is left out of the text.
    """
    block = evidence.case.block
    if block is None or block.kind is BlockKind.UNKNOWN:
        return _unreadable(block, row)
    if block.kind is BlockKind.NONE:
        return row.clear(say("finding.restricted_entry.none"))
    kind, summary = _explained(block.reason, row)
    return row.found(row.points[kind], summary, *_since(block), *_details(block.reason))


def _unreadable(block: Block | None, row: SignalRow) -> Finding:
    told = block.unreadable if block else None
    reason = _REASONS.get(told.key, UnknownReason.FAULT) if told else UnknownReason.FAULT
    return row.unknown(reason, told or say("unreadable.fault"))


def _explained(reason: Mapping[str, str], row: SignalRow) -> tuple[str, Text]:
    """The kind of reason and a text for it."""
    percent = _number(reason, "OutboundSpamPercent")
    spam, mail = _number(reason, "OutboundSpamLast24Hours"), _number(reason, "OutboundMailLast24Hours")
    external, internal = _number(reason, "ExternalRecipientCountToday"), _number(reason, "InternalRecipientCountToday")
    kind = "spam" if percent is not None and percent >= row.thresholds["spam_percent"] else "limit"
    if spam is not None and mail is not None:
        return kind, say("finding.restricted_entry.spam", spam=spam, mail=mail)
    if percent is not None:
        return kind, say("finding.restricted_entry.percent", percent=percent)
    if external is not None or internal is not None:
        return "limit", say("finding.restricted_entry.limit", external=external or 0, internal=internal or 0)
    return "unexplained", say("finding.restricted_entry.unexplained")


def _since(block: Block) -> tuple[Text, ...]:
    return (say("finding.restricted_entry.since", at=block.since),) if block.since else ()


def _details(reason: Mapping[str, str]) -> tuple[Text, ...]:
    limit = reason.get("ExceedingLimitType", "").casefold()
    return (say(f"finding.restricted_entry.limit_{limit}"),) if limit in ("external", "internal") else ()


def _number(reason: Mapping[str, str], name: str) -> int | None:
    """A count in the reason, however it is spelled; None when it is not there or is no number."""
    spelled = next((value for key, value in reason.items() if key.casefold() == name.casefold()), "")
    digits = spelled.strip().rstrip("%").replace(",", "")
    whole, _, fraction = digits.partition(".")
    if not (whole.isascii() and whole.isdigit() and len(whole) <= 9 and (not fraction or fraction.isdigit())):
        return None
    return int(whole)
