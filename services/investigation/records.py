"""
Reading entries of the unified audit log, whose form differs from kind to kind.

Source: "auditLogRecord resource type" and "exchangeMailboxAuditRecord resource type" (Microsoft Graph, 2026); the
fields of the Exchange kinds: Office 365 Management Activity API schema, 2025.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from services.cases import Text, say
from services.clients.exchange_models import Mailbox
from services.clients.graph_models import AuditRecord
from services.investigation.evidence import RECORD_DAYS, RECORD_LIMIT, Evidence, attempted


def fields(record: AuditRecord) -> Mapping[str, Any]:
    """The entry's own fields. Graph documents a form in which they stand among `dynamicProperties`."""
    inner = record.data.get("dynamicProperties")
    return {**record.data, **inner} if isinstance(inner, Mapping) else record.data


def parameters(record: AuditRecord) -> dict[str, str]:
    """What a cmdlet was given, or what the client asked the mailbox for: casefolded name -> value."""
    found = fields(record)
    pairs = [*_mappings(found.get("Parameters")), *_mappings(found.get("OperationProperties"))]
    return {str(pair.get("Name", "")).casefold(): str(pair.get("Value") or "") for pair in pairs}


def items(record: AuditRecord) -> list[Mapping[str, Any]]:
    """The messages that were touched; none when the entry does not list them."""
    found = fields(record)
    return [*_mappings(found.get("AffectedItems")), *_mappings([found.get("Item")])]


def folder_of(record: AuditRecord) -> str:
    """Last part of the path of the folder, in the mailbox's language; "" when it is not said."""
    places = [fields(record).get("Folder"), *(item.get("ParentFolder") for item in items(record))]
    paths = [str(place.get("Path") or "") for place in _mappings(places)]
    path = next((path for path in paths if path), "")
    return path.replace("/", "\\").rstrip("\\").rpartition("\\")[2]


def address_of(record: AuditRecord) -> str | None:
    """The IP address that it was done from, without the port that Exchange may add."""
    found = fields(record)
    return plain_address(record.ip_address or found.get("ClientIPAddress") or found.get("ClientIP"))


def plain_address(text: Any) -> str | None:
    """An IP address in its usual form, without brackets and port; as it came when it is none; None for nothing."""
    if not isinstance(text, str) or not text.strip():
        return None
    bare = text.strip()
    for candidate in (bare, bare.partition("]")[0].lstrip("["), bare.rpartition(":")[0]):
        try:
            return str(ipaddress.ip_address(candidate))
        except ValueError:
            continue
    return bare


def is_by_the_account(record: AuditRecord, evidence: Evidence) -> bool:
    """Whether the account itself did it; also when the entry does not say who."""
    subject = evidence.subject
    own = {name.casefold() for name in (subject.upn, subject.mail) if name}
    return record.user_upn is None or record.user_upn.casefold() in own


async def gap(records: Sequence[AuditRecord], evidence: Evidence) -> Text | None:
    """
    Why finding nothing in these entries would prove nothing; None when they cover the time around the block.

    A mailbox in use leaves entries, so none at all means that nobody keeps them rather than that nothing was done. A
    mailbox that says "not audited" may be audited all the same, where auditing is on by default: entries decide.
    Source: Manage mailbox auditing, 2025.
    """
    if not records:
        mailbox = await attempted(evidence.mailbox())
        off = isinstance(mailbox, Mailbox) and mailbox.audit_enabled is False
        return say("unreadable.audit_off") if off else say("unreadable.audit_empty", n=RECORD_DAYS)
    needed_from = evidence.started_at - timedelta(days=1)
    if needed_from < evidence.now - timedelta(days=RECORD_DAYS):
        return say("unreadable.audit_too_old", n=RECORD_DAYS)
    # In which order a search gives its entries back is not documented, so those that are missing may be of any time.
    return say("unreadable.audit_cut_off", n=len(records)) if len(records) >= RECORD_LIMIT else None


def lag() -> Text:
    """What the reader of good news from this log must know. Source: Search the audit log, 2025."""
    return say("unreadable.audit_lag")


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    listed = value if isinstance(value, (list, tuple)) else ()
    return (item for item in listed if isinstance(item, Mapping))
