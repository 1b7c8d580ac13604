"""
What is written down for the auditors: tags, entries, and the chain that shows any later change.

Each entry carries the hash of the one before it, so an entry that is changed, removed, put in or moved breaks the chain
from there on. The number and hash of the last entry are kept apart, so that a trail cut off at its end is found too.
The trail is append-only: nothing in this program updates or deletes an entry.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from services.cases import Actor, Value
from services.errors import AuditBroken

#: What the first entry names as the hash before it.
GENESIS = "0" * 64


class Tag(StrEnum):
    """Every kind of entry, `source:subject:action`."""

    CASE_OPENED = "requester:case:opened"
    CASE_IDENTIFIED = "case:account:identified"
    CASE_CHOSEN = "requester:account:chosen"
    CASE_JOINED = "case:case:joined"
    CASE_CANCELLED = "requester:case:cancelled"
    CASE_ENDED = "case:case:ended"
    VERDICT_REACHED = "case:verdict:reached"
    PROMPT_POSTED = "approval:prompt:posted"
    PROMPT_UNDELIVERED = "approval:prompt:undelivered"
    PROMPT_REMINDED = "approval:prompt:reminded"
    PROMPT_ESCALATED = "approval:prompt:escalated"
    PROMPT_CANCELLED = "approval:prompt:cancelled"
    APPROVAL_VOTED = "approval:decision:partly"
    APPROVAL_GRANTED = "approval:decision:granted"
    APPROVAL_DENIED = "approval:decision:denied"
    APPROVAL_EXPIRED = "approval:prompt:expired"
    CLICK_REFUSED = "approval:click:refused"
    SIGN_IN_ASKED = "approver:sign_in:asked"
    SIGN_IN_PROVEN = "approver:sign_in:proven"
    SIGN_IN_REFUSED = "approver:sign_in:refused"
    REQUEST_REFUSED = "requester:case:refused"
    ACTION_STARTED = "containment:action:started"
    ACTION_PROVEN = "containment:action:proven"
    ACTION_DONE = "containment:action:done"
    ACTION_FAILED = "containment:action:failed"
    ACTION_WAITS = "containment:action:waits"
    ACTION_SKIPPED = "containment:action:skipped"
    CASE_LOCKED = "containment:case:locked"
    CASE_OVERRIDDEN = "approval:lock:overridden"
    UNBLOCK_VERIFIED = "unblock:entry:gone"
    UNBLOCK_UNVERIFIED = "unblock:entry:remains"
    UNDO_STARTED = "undo:action:started"
    UNDO_PROVEN = "undo:action:proven"
    UNDO_FAILED = "undo:action:failed"
    CHECK_ASKED = "requester:check:asked"
    CHECK_MADE = "requester:account:checked"
    ACCESS_PASS_ASKED = "approver:access_pass:asked"
    ACCESS_PASS_ISSUED = "approver:access_pass:issued"
    ACCESS_PASS_FAILED = "approver:access_pass:failed"
    DRY_RUN_SHOWN = "approver:plan:rehearsed"
    REPORT_MADE = "reader:report:made"
    PREVENTION_CHECKED = "prevention:items:checked"
    PREVENTION_TICKED = "prevention:item:ticked"
    PREVENTION_UNTICKED = "prevention:item:unticked"
    PREVENTION_ASSIGNED = "prevention:item:assigned"
    PREVENTION_REMINDED = "prevention:owner:reminded"
    FIX_ASKED = "prevention:fix:asked"
    DIAGNOSIS_MADE = "requester:account:diagnosed"
    MAIL_FLOWS = "follow_up:mail:delivered"
    MAIL_REFUSED = "follow_up:mail:refused"
    BURST_SEEN = "follow_up:mail:burst"
    CASE_ESCALATED = "follow_up:case:escalated"
    CASE_CLOSED = "follow_up:case:closed"
    CASE_REPLACED = "follow_up:case:replaced"
    USER_TO_BE_TOLD = "requester:user:to_be_told"
    NEWS_SENT = "follow_up:news:sent"
    NEWS_UNDELIVERED = "follow_up:news:undelivered"
    CONVERSATION_SET = "admin:conversation:set"
    ALERT_RAISED = "watch:alert:raised"
    ALERT_ENDED = "watch:alert:ended"
    ALERT_JOINED = "watch:alert:joined"
    ALERT_SNOOZED = "reader:alert:snoozed"
    ALERT_SET_ASIDE = "reader:alert:set_aside"
    ALERT_STARTED = "requester:alert:started"
    ALERT_NOT_STARTED = "requester:alert:not_started"
    ALERT_UNDELIVERED = "watch:alert:undelivered"
    SOURCE_FAILING = "watch:source:failing"
    SOURCE_WORKS_AGAIN = "watch:source:works_again"


class NewEntry(Value):
    """An entry before it has its place in the chain. `details` holds plain values, never a secret."""

    tag: Tag
    case_id: str | None = None
    actor: Actor | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class AuditEntry(Value):
    """An entry in its place. `at` is ISO 8601 in UTC, `details` canonical JSON: exactly what was hashed."""

    seq: int
    at: str
    case_id: str | None
    tag: str
    actor_oid: str | None
    actor_name: str | None
    details: str
    previous_hash: str
    hash: str


def note(tag: Tag, case_id: str | None = None, actor: Actor | None = None, **details: Any) -> NewEntry:
    return NewEntry(tag=tag, case_id=case_id, actor=actor, details=details)


def chained(entry: NewEntry, *, seq: int, at: datetime, previous_hash: str) -> AuditEntry:
    """The entry with its number, moment and hash."""
    fields: dict[str, Any] = {
        "seq": seq,
        "at": at.isoformat(),
        "case_id": entry.case_id,
        "tag": entry.tag.value,
        "actor_oid": entry.actor.user_oid if entry.actor else None,
        "actor_name": entry.actor.name if entry.actor else None,
        "details": _canonical(entry.details),
        "previous_hash": previous_hash,
    }
    return AuditEntry(**fields, hash=_digest(fields))


def verify(entries: Iterable[AuditEntry], head: tuple[int, str] | None) -> int:
    """
    The number of entries, when the chain holds from the first to `head` (number and hash of the last one).

    Raises AuditBroken(seq=...) with the number of the first entry that does not hold.
    """
    seq, previous_hash = 0, GENESIS
    for entry in entries:
        fields = entry.model_dump(exclude={"hash"})
        if entry.seq != seq + 1 or entry.previous_hash != previous_hash or entry.hash != _digest(fields):
            raise AuditBroken(seq=seq + 1)
        seq, previous_hash = entry.seq, entry.hash
    if (seq, previous_hash) != (head or (0, GENESIS)):
        raise AuditBroken(seq=seq + 1)
    return seq


def _canonical(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=str)


def _digest(fields: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields).encode()).hexdigest()
