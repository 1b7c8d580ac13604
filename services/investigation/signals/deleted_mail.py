"""Whether mail was deleted in a way that hides what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import AuditRecord
from services.errors import ServiceError
from services.investigation import records
from services.investigation.bursts import busiest_hour
from services.investigation.evidence import RECORD_DAYS, Evidence, attempted
from services.investigation.strangers import Strangers, strangers_of
from services.investigation.table import SignalRow, words

#: How many groups of deletions are told.
_TOLD = 4


@dataclass(frozen=True)
class Deletion:
    """One entry of the audit log: so many messages, deleted at once."""

    at: datetime
    count: int
    #: In the mailbox's language; "" when the log does not say.
    folder: str
    from_ip: str | None
    subject: str


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Deletions from Sent Items, many at once, or from an address that had suspicious sign-ins.

    People clear out their mailbox as well, so an amount alone weighs little. What retention policies and other people
    delete is left out, unless it came from such an address. No entry at all proves nothing: see `records.gap`.
    Source: Manage mailbox auditing, 2025 (SoftDelete, HardDelete, MoveToDeletedItems); folder names as in `words.toml`.
    """
    log, strangers = await asyncio.gather(attempted(evidence.records()), strangers_of(evidence))
    if isinstance(log, ServiceError):
        raise log
    deletions = _deletions(log, evidence, strangers)
    kinds = _kinds(deletions, strangers, row)
    if kinds:
        texts = [kinds[kind] for kind in sorted(kinds, key=lambda kind: -row.points[kind])]
        return row.found(row.points_for(list(kinds)), *texts, *_told(deletions, strangers))
    unread = await records.gap(log, evidence)
    if unread is not None:
        return row.unknown(UnknownReason.NOT_APPLICABLE, unread)
    return row.clear(say("finding.deleted_mail.clear", n=_count(deletions), days=RECORD_DAYS), records.lag())


def _deletions(log: Iterable[AuditRecord], evidence: Evidence, strangers: Strangers) -> list[Deletion]:
    """Oldest first."""
    kinds = words().mailbox_audit.deletes
    deletes = [record for record in log if record.operation.casefold() in kinds and record.at is not None]
    meant = [
        r for r in deletes if records.is_by_the_account(r, evidence) or records.address_of(r) in strangers.suspicious
    ]
    return sorted((_deletion(record) for record in meant), key=lambda deletion: deletion.at)


def _deletion(record: AuditRecord) -> Deletion:
    assert record.at is not None, "entries without a time are left out before"
    touched = records.items(record)
    return Deletion(
        at=record.at,
        count=max(1, len(touched)),
        folder=records.folder_of(record),
        from_ip=records.address_of(record),
        subject=next((str(item["Subject"]) for item in touched if item.get("Subject")), ""),
    )


def _kinds(deletions: Sequence[Deletion], strangers: Strangers, row: SignalRow) -> dict[str, Text]:
    """Kinds of evidence with a text for each."""
    found: dict[str, Text] = {}
    by_strangers = [d for d in deletions if d.from_ip in strangers.suspicious]
    if by_strangers:
        # The owner may be the one with the odd sign-in, and deletes mail from there as from anywhere.
        kind = "stranger" if any(is_sent_folder(d.folder) for d in by_strangers) else "used"
        ip, at = by_strangers[0].from_ip, by_strangers[0].at
        found[kind] = say("finding.deleted_mail.stranger", n=_count(by_strangers), ip=ip, at=at)
    from_sent = [d for d in deletions if is_sent_folder(d.folder)]
    most, at = _busiest_hour(from_sent)
    if most >= row.thresholds["from_sent"]:
        found["from_sent"] = say("finding.deleted_mail.from_sent", n=most, at=at)
        found |= _from_new_place(from_sent, strangers)
    most, at = _busiest_hour(deletions)
    if most >= row.thresholds["many"]:
        found["many"] = say("finding.deleted_mail.many", n=most, at=at)
    return found


def _from_new_place(deletions: Iterable[Deletion], strangers: Strangers) -> dict[str, Text]:
    places = sorted({d.from_ip for d in deletions if d.from_ip in strangers.new_places and d.from_ip})
    return {"new_place": say("finding.deleted_mail.new_place", ips=places)} if places else {}


def is_sent_folder(folder: str) -> bool:
    """Whether this is what Outlook calls Sent Items in one of the languages that we know."""
    return folder.casefold() in words().mailbox_audit.sent_folders


def _busiest_hour(deletions: Sequence[Deletion]) -> tuple[int, datetime | None]:
    return busiest_hour([(deletion.at, deletion.count) for deletion in deletions])


def _count(deletions: Iterable[Deletion]) -> int:
    return sum(deletion.count for deletion in deletions)


def _told(deletions: Sequence[Deletion], strangers: Strangers) -> tuple[Text, ...]:
    """What was deleted, by folder and address; what matters most first."""
    grouped: dict[tuple[str, str | None], list[Deletion]] = {}
    for deletion in deletions:
        grouped.setdefault((deletion.folder, deletion.from_ip), []).append(deletion)
    weighty = sorted(
        grouped.items(),
        key=lambda group: (group[0][1] in strangers.suspicious, is_sent_folder(group[0][0]), _count(group[1])),
        reverse=True,
    )
    return tuple(
        say(
            "finding.deleted_mail.detail",
            n=_count(group),
            folder=folder or "?",
            ip=ip,
            at=group[0].at,
            subject=next((d.subject for d in group if d.subject), None),
        )
        for (folder, ip), group in weighty[:_TOLD]
    )
