"""
What the codes of non-delivery reports mean: which are blocks for sending too much, and what the others are about. Pure.

Sources: "Email non-delivery reports and SMTP errors in Exchange Online", 2023-01-29 (and of 2026-01-07 for 5.7.232 and
5.7.233); "Alert policies in Microsoft 365", 2025-03-21; "Remove blocked connectors", 2023-06-14; RFC 3463, 2003-01.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.cases import CauseKind, Lifter, Text, say
from services.diagnosis.ndr import Ndr

#: The codes by which somebody is kept from sending for having sent too much, or from sending in a forbidden way.
BLOCKS: Mapping[str, CauseKind] = {
    "5.1.8": CauseKind.RESTRICTED,
    "5.1.90": CauseKind.RECIPIENT_RATE,
    "5.7.711": CauseKind.CONNECTOR,
    "5.7.232": CauseKind.TENANT_LIMIT,  # a trial tenant
    "5.7.233": CauseKind.TENANT_LIMIT,
    "5.7.705": CauseKind.TENANT_RESTRICTED,
    "5.7.708": CauseKind.TENANT_RESTRICTED,
    "5.7.750": CauseKind.TENANT_RESTRICTED,  # for mail of domains that the tenant has not registered
    "5.7.520": CauseKind.FORWARDING_FORBIDDEN,
}


def blocks_of(ndr: Ndr) -> dict[CauseKind, str]:
    """
    The blocks that the report tells of, each with its code, "" when it has none of its own.

    "Submission quota exceeded" is the recipient rate under several codes (5.2.0, 5.2.2), which alone mean other things.
    """
    found = {BLOCKS[code]: code for code in reversed(ndr.codes) if code in BLOCKS}
    if ndr.quota_exceeded and CauseKind.RECIPIENT_RATE not in found:
        found[CauseKind.RECIPIENT_RATE] = next((code for code in ndr.codes if code.startswith("5.2.")), "")
    return found


#: (first, last, meaning, who can lift it) of codes whose meaning Microsoft tells; the first that fits is taken.
_MEANINGS: Sequence[tuple[str, str, Text, Lifter]] = (
    ("5.7.501", "5.7.503", say("diagnosis.code.banned_sender"), Lifter.MICROSOFT),
    ("5.7.504", "5.7.505", say("diagnosis.code.recipient"), Lifter.NOBODY),
    ("5.7.506", "5.7.508", say("diagnosis.code.server"), Lifter.NOBODY),
    ("5.7.511", "5.7.511", say("diagnosis.code.server"), Lifter.NOBODY),
    ("5.7.513", "5.7.513", say("diagnosis.code.server"), Lifter.NOBODY),
    ("5.7.606", "5.7.649", say("diagnosis.code.server"), Lifter.NOBODY),
    ("5.7.509", "5.7.509", say("diagnosis.code.domain"), Lifter.NOBODY),
    ("5.7.23", "5.7.26", say("diagnosis.code.domain"), Lifter.NOBODY),
    ("5.7.3", "5.7.3", say("diagnosis.code.signed_out"), Lifter.NOBODY),
    ("5.7.57", "5.7.57", say("diagnosis.code.signed_out"), Lifter.NOBODY),
    ("5.7.64", "5.7.64", say("diagnosis.code.signed_out"), Lifter.NOBODY),
    ("5.7.703", "5.7.703", say("diagnosis.code.own_list"), Lifter.SETTING),
    ("5.7.1", "5.7.1", say("diagnosis.code.not_allowed"), Lifter.NOBODY),
    ("5.7.12", "5.7.13", say("diagnosis.code.not_allowed"), Lifter.NOBODY),
    ("5.7.124", "5.7.136", say("diagnosis.code.not_allowed"), Lifter.NOBODY),
    ("5.4.1", "5.4.1", say("diagnosis.code.recipient"), Lifter.NOBODY),
    ("5.2.121", "5.2.122", say("diagnosis.code.recipient_busy"), Lifter.TIME),
    ("4.7.500", "4.7.699", say("diagnosis.code.looked_into"), Lifter.TIME),
    ("4.7.850", "4.7.899", say("diagnosis.code.looked_into"), Lifter.TIME),
    # Whole families, as RFC 3463 has them.
    ("2.0.0", "2.999.999", say("diagnosis.code.delivered"), Lifter.NOBODY),
    ("4.0.0", "4.999.999", say("diagnosis.code.later"), Lifter.TIME),
    ("5.1.0", "5.1.999", say("diagnosis.code.recipient"), Lifter.NOBODY),
    ("5.2.0", "5.2.999", say("diagnosis.code.mailbox"), Lifter.NOBODY),
    ("5.3.0", "5.3.999", say("diagnosis.code.system"), Lifter.NOBODY),
    ("5.4.0", "5.4.999", say("diagnosis.code.route"), Lifter.NOBODY),
    ("5.5.0", "5.5.999", say("diagnosis.code.protocol"), Lifter.NOBODY),
    ("5.6.0", "5.6.999", say("diagnosis.code.content"), Lifter.NOBODY),
    ("5.7.0", "5.7.999", say("diagnosis.code.policy"), Lifter.NOBODY),
)
_UNKNOWN = say("diagnosis.code.unknown")


def meaning_of(code: str) -> tuple[Text, Lifter]:
    """What a code is about that is in none of BLOCKS, and who can lift it. One that nobody knows is said to be so."""
    wanted = _numbers(code)
    for first, last, meaning, lifter in _MEANINGS:
        if _numbers(first) <= wanted <= _numbers(last):
            return meaning, lifter
    return _UNKNOWN, Lifter.NOBODY


def _numbers(code: str) -> tuple[int, ...]:
    return tuple(map(int, code.split(".")))
