"""What the account sent, as the message trace tells it: one message instead of one row for each recipient. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cases import Text, say
from services.clients.graph_models import MessageTrace
from services.investigation import bursts
from services.investigation.evidence import TRACE_DAYS, TRACE_LIMIT, Evidence
from services.investigation.records import plain_address
from services.investigation.table import words

#: What happened in this time before the block, and since, is compared with what was usual before. A weekly newsletter
#: still has its last issue among what was usual.
RECENT = timedelta(days=3)
#: From when on the trace must have been read for its silence to mean something.
_NEEDED = timedelta(days=1)


@dataclass(frozen=True)
class SentMessage:
    """One message to all of its recipients."""

    #: With angle brackets, casefolded; "" when the trace does not say.
    message_id: str
    subject: str
    at: datetime
    recipients: tuple[str, ...]
    #: How many of them did not get it into their inbox, as far as the trace knows.
    failed: int
    from_ip: str | None


def messages(traces: Iterable[MessageTrace]) -> tuple[SentMessage, ...]:
    """The messages behind these rows, oldest first; rows without a time are left out."""
    grouped: dict[tuple[str, ...], list[MessageTrace]] = {}
    for row in traces:
        if row.received_at is not None:
            grouped.setdefault(_key(row), []).append(row)
    return tuple(sorted((_message(rows) for rows in grouped.values()), key=lambda message: message.at))


def split(sent: Sequence[SentMessage], evidence: Evidence) -> tuple[list[SentMessage], list[SentMessage]]:
    """(what was usual, what was sent around the start of the block and since)."""
    recent_from = evidence.started_at - RECENT
    return [m for m in sent if m.at < recent_from], [m for m in sent if m.at >= recent_from]


def gap(traces: Sequence[MessageTrace], evidence: Evidence) -> Text | None:
    """Why finding nothing in this trace would prove nothing; None when it covers the time around the block."""
    blocked = evidence.case.block is not None and evidence.case.block.since is not None
    if blocked and not traces:
        return say("unreadable.trace_empty", n=TRACE_DAYS, address=evidence.subject.mail or evidence.subject.upn)
    if evidence.started_at - _NEEDED < evidence.now - timedelta(days=TRACE_DAYS):
        return say("unreadable.trace_too_old", n=TRACE_DAYS)
    oldest = min((row.received_at for row in traces if row.received_at), default=None)
    if len(traces) >= TRACE_LIMIT and (oldest is None or oldest > evidence.started_at - _NEEDED):
        return say("unreadable.trace_cut_off", n=len(traces), at=oldest)
    return None


def busiest_hour(sent: Sequence[SentMessage]) -> tuple[int, datetime | None]:
    """The most recipients within sixty minutes, and when those began. Expects the oldest first."""
    return bursts.busiest_hour([(message.at, len(message.recipients)) for message in sent])


def by_subject(sent: Iterable[SentMessage]) -> Counter[str]:
    """Recipients by subject, without regard to case, numbers, and "Re:"."""
    counted: Counter[str] = Counter()
    for message in sent:
        counted[bare_subject(message.subject)] += len(message.recipients)
    return counted


def bare_subject(subject: str | None) -> str:
    """A subject to compare by: casefolded, numbers alike, without "Re:" and "Fw:" in front."""
    text = " ".join((subject or "").casefold().split())
    text = re.sub(r"^((re|sv|aw|fw|fwd|vb|wg|tr|rv)\s*:\s*)+", "", text)
    return re.sub(r"\d+", "#", text)


def recipients_of(sent: Iterable[SentMessage]) -> int:
    return sum(len(message.recipients) for message in sent)


def _key(row: MessageTrace) -> tuple[str, ...]:
    if row.message_id:
        return (row.message_id.casefold(),)
    return (row.subject or "", f"{row.received_at:%Y-%m-%dT%H:%M}")


def _message(rows: Sequence[MessageTrace]) -> SentMessage:
    first = min(rows, key=_at)
    return SentMessage(
        message_id=(first.message_id or "").casefold(),
        subject=first.subject or "",
        at=_at(first),
        recipients=tuple(sorted({(row.recipient_address or "?").casefold() for row in rows})),
        failed=sum((row.status or "").casefold() in words().sent.failed_statuses for row in rows),
        from_ip=plain_address(first.from_ip),
    )


def _at(row: MessageTrace) -> datetime:
    assert row.received_at is not None, "rows without a time are left out before"
    return row.received_at
