"""Whether the subjects of what the account sent read like a scam."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import MailItem, MessageTrace
from services.errors import ServiceError
from services.investigation import sent
from services.investigation.evidence import Evidence, attempted
from services.investigation.table import SignalRow, words

#: How many subjects are told.
_TOLD = 4


@dataclass(frozen=True)
class Subject:
    """A subject that the account sent, wherever it was seen."""

    text: str
    recipients: int
    first_at: datetime | None
    is_new: bool
    #: Which words stand in it.
    scam: tuple[str, ...]
    business: tuple[str, ...]


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Subjects with the words that scams are made of, in Sent Items, Deleted Items and the message trace.

    Words of business life, such as "invoice", count only when one new subject went to many. Bodies are not read: the
    bot's permission shows headers alone, and the finding says so. What is received and deleted is left out.
    Source: Responding to a compromised email account, 2024-06-10 (typical scam text in Sent or Deleted Items).
    """
    reads = await asyncio.gather(
        attempted(evidence.mail_items("sentitems")),
        attempted(evidence.mail_items("deleteditems")),
        attempted(evidence.traces()),
    )
    kept, deleted, traces = (() if isinstance(read, ServiceError) else read for read in reads)
    subjects = _subjects((*kept, *_by_the_account(deleted, evidence)), traces, evidence)
    kinds = _kinds(subjects, row)
    only_headers = say("finding.scam_text.only_subjects")
    if kinds:
        told = [s for s in subjects if s.scam or (s.business and _to_many(s, row))]
        summary = say(
            "finding.scam_text.found", n=len(told), words=list(dict.fromkeys(w for s in told for w in _of(s)))
        )
        return row.found(row.points_for(kinds), summary, *_told(told), only_headers)
    # The trace has every subject that was sent and the folders have the rest; one that cannot be read may hide it.
    for unread in reads:
        if isinstance(unread, ServiceError):
            raise unread
    gap = sent.gap(traces, evidence)
    if gap is not None and not subjects:
        return row.unknown(UnknownReason.NOT_APPLICABLE, gap, only_headers)
    return row.clear(say("finding.scam_text.clear", n=len(subjects)), only_headers)


def _by_the_account(deleted: Iterable[MailItem], evidence: Evidence) -> list[MailItem]:
    """Deleted Items hold what people received as well; a scam that somebody was sent and deleted is no evidence."""
    own = {name.casefold() for name in (evidence.subject.upn, evidence.subject.mail) if name}
    return [item for item in deleted if (item.sender_address or "").casefold() in own]


def _subjects(items: Sequence[MailItem], traces: Sequence[MessageTrace], evidence: Evidence) -> tuple[Subject, ...]:
    """Every subject once, those with the most recipients first."""
    recent_from = evidence.started_at - sent.RECENT
    seen: dict[str, list[tuple[str, datetime | None]]] = {}
    for text, at in _seen(items, traces):
        seen.setdefault(sent.bare_subject(text), []).append((text, at))
    recipients = _recipients(items, traces)
    found = [_subject(bare, places, recipients[bare], recent_from) for bare, places in seen.items() if bare]
    return tuple(sorted(found, key=lambda subject: -subject.recipients))


def _seen(items: Sequence[MailItem], traces: Sequence[MessageTrace]) -> list[tuple[str, datetime | None]]:
    return [
        *((item.subject or "", item.sent_at or item.received_at) for item in items),
        *((row.subject or "", row.received_at) for row in traces),
    ]


def _recipients(items: Sequence[MailItem], traces: Sequence[MessageTrace]) -> Counter[str]:
    """By subject: as the trace counts, or as the folders do where it has less."""
    in_folders: Counter[str] = Counter()
    for item in items:
        in_folders[sent.bare_subject(item.subject)] += len(item.recipients)
    return in_folders | sent.by_subject(sent.messages(traces))


def _subject(
    bare: str, places: Sequence[tuple[str, datetime | None]], recipients: int, recent_from: datetime
) -> Subject:
    times = [at for _, at in places if at is not None]
    return Subject(
        text=places[0][0],
        recipients=recipients,
        first_at=min(times, default=None),
        is_new=not times or min(times) >= recent_from,
        scam=words_in(bare, words().scam.scam),
        business=words_in(bare, words().scam.business),
    )


def words_in(subject: str, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the known words and phrases that begin a word of the subject, so that "invoice" finds "invoices"."""
    within = [
        word for word in known if word in subject
    ]  # fast, for there are hundreds of words and thousands of subjects
    return tuple(sorted(word for word in within if re.search(rf"(?<!\w){re.escape(word)}", subject)))


def _kinds(subjects: Iterable[Subject], row: SignalRow) -> list[str]:
    kinds = []
    for subject in subjects:
        if subject.scam:
            kinds += ["scam", *(["scam_to_many"] if _to_many(subject, row) else [])]
        elif subject.business and subject.is_new and _to_many(subject, row):
            kinds.append("business_to_many")
    return kinds


def _to_many(subject: Subject, row: SignalRow) -> bool:
    return subject.is_new and subject.recipients >= row.thresholds["recipients"]


def _of(subject: Subject) -> tuple[str, ...]:
    return subject.scam or subject.business


def _told(subjects: Sequence[Subject]) -> tuple[Text, ...]:
    return tuple(
        say("finding.scam_text.detail", subject=s.text, n=s.recipients, at=s.first_at) for s in subjects[:_TOLD]
    )
