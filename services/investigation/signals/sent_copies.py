"""Whether mail was sent of which the mailbox has no copy: somebody deleted it, or sent it past the owner's eyes."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import MailItem, MessageTrace
from services.errors import ServiceError
from services.investigation import sent
from services.investigation.evidence import MAIL_LIMIT, Evidence, attempted
from services.investigation.sent import SentMessage
from services.investigation.table import SignalRow

#: How many messages are told one by one.
_TOLD = 4
#: A copy may be saved a moment after its message was sent.
_JUST_SENT = timedelta(minutes=5)


@dataclass(frozen=True)
class Copies:
    """The messages of a folder, by what they can be recognised by."""

    ids: frozenset[str]
    #: Subject and minute, for messages that are known by no id.
    moments: frozenset[tuple[str, str]]
    #: Everything that was sent since then and is in the folder, is here; None when the folder was read in full.
    complete_from: datetime | None

    def hold(self, message: SentMessage) -> bool:
        if message.message_id:
            return message.message_id in self.ids
        minutes = (message.at + timedelta(minutes=n) for n in (-1, 0, 1))
        return any((sent.bare_subject(message.subject), _minute(at)) in self.moments for at in minutes)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Recent messages of the trace that are neither in Sent Items nor in Deleted Items.

    Apps, printers and clients that send by SMTP save no copies: when the account's older mail has none either, that is
    its habit, and nothing can be told from this. What somebody filed elsewhere looks the same as what was deleted, so
    the points are few.
    Source: Responding to a compromised email account, 2024-06-10 (mail not in Sent Items); "List messages", 2025.
    """
    traces, kept, deleted = await asyncio.gather(
        attempted(evidence.traces()),
        attempted(evidence.mail_items("sentitems")),
        attempted(evidence.mail_items("deleteditems")),
    )
    for unread in (traces, kept):
        if isinstance(unread, ServiceError):
            raise unread
    folders = [copies_of(items) for items in (kept, deleted) if not isinstance(items, ServiceError)]
    messages = [m for m in sent.messages(traces) if m.at <= evidence.now - _JUST_SENT and _comparable(m, folders)]
    before, recent = sent.split(messages, evidence)
    missing = _missing(recent, folders)
    if missing and _saves_no_copies(before, folders, row):
        return row.unknown(UnknownReason.NOT_APPLICABLE, say("finding.sent_copies.never_saved", n=len(before)))
    if missing and isinstance(deleted, ServiceError):
        raise deleted
    kinds = _kinds(missing, before, row)
    if kinds:
        n, recipients = len(missing), sent.recipients_of(missing)
        summary = say("finding.sent_copies.missing", n=n, total=len(recent), recipients=recipients)
        return row.found(row.points_for(kinds), summary, *_told(missing))
    gap = _gap(traces, recent, evidence)
    if gap is not None:
        return row.unknown(UnknownReason.NOT_APPLICABLE, gap)
    return row.clear(say("finding.sent_copies.clear", n=len(recent)), *_told(missing))


def _gap(traces: Sequence[MessageTrace], recent: Sequence[SentMessage], evidence: Evidence) -> Text | None:
    """Why nothing missing would prove nothing."""
    gap = sent.gap(traces, evidence)
    if gap is None and traces and not recent:
        return say("finding.sent_copies.nothing_to_compare", n=MAIL_LIMIT)
    return gap


def copies_of(items: Collection[MailItem]) -> Copies:
    """What is in a folder. Expects the newest messages when the folder holds more than were read."""
    times = [at for item in items if (at := item.sent_at or item.received_at) is not None]
    return Copies(
        ids=frozenset(item.internet_message_id.casefold() for item in items if item.internet_message_id),
        moments=frozenset(
            (sent.bare_subject(item.subject), _minute(at)) for item in items if (at := item.sent_at or item.received_at)
        ),
        complete_from=min(times, default=None) if len(items) >= MAIL_LIMIT else None,
    )


def _comparable(message: SentMessage, folders: Sequence[Copies]) -> bool:
    """Whether a copy would have been among what was read."""
    return all(folder.complete_from is None or message.at > folder.complete_from for folder in folders)


def _missing(messages: Sequence[SentMessage], folders: Sequence[Copies]) -> list[SentMessage]:
    return [message for message in messages if not any(folder.hold(message) for folder in folders)]


def _saves_no_copies(before: Sequence[SentMessage], folders: Sequence[Copies], row: SignalRow) -> bool:
    """Whether the account's older mail lacks its copies as well."""
    enough = len(before) >= row.thresholds["least_history"]
    return enough and 100 * len(_missing(before, folders)) >= row.thresholds["habit_percent"] * len(before)


def _kinds(missing: Sequence[SentMessage], before: Sequence[SentMessage], row: SignalRow) -> list[str]:
    """Expects an account that either keeps its copies or has too little older mail to tell."""
    tests = {
        "missing": len(missing) >= row.thresholds["missing"],
        "to_many": sent.recipients_of(missing) >= row.thresholds["recipients"],
    }
    kinds = [kind for kind, true in tests.items() if true]
    return [*kinds, "habit_broken"] if kinds and len(before) >= row.thresholds["least_history"] else kinds


def _told(missing: Sequence[SentMessage]) -> tuple[Text, ...]:
    """By subject, those with the most recipients; the oldest first."""
    grouped: dict[str, list[SentMessage]] = {}
    for message in missing:
        grouped.setdefault(sent.bare_subject(message.subject), []).append(message)
    weighty = sorted(grouped.values(), key=lambda group: -sent.recipients_of(group))
    return tuple(
        say("finding.sent_copies.detail", subject=g[0].subject or None, n=sent.recipients_of(g), at=g[0].at)
        for g in weighty[:_TOLD]
    )


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M}"
