"""
A case for machines, in the words of the contract, and without the secrets that somebody may have put into it.

`verdict` (compromised | suspected | no_evidence), `score`, `completeness` (0 to 1), `signals[]`, `actions[]`,
`approvals[]`, `times`, `timeline[]`. Texts are keys with parameters, so that the report does not depend on a
language; moments are ISO 8601 in UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.audit import AuditEntry, Tag
from services.cases import (
    Action,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    Finding,
    ScorePart,
    SignalState,
    Text,
    Value,
    say,
)
from services.investigation.table import table

#: What stands where a secret was.
REDACTED = "[redacted]"
#: Why a signal has no finding: nobody has heard of it yet, or the case ended before.
PENDING = "pending"
NOT_READ = "not_read"
#: How the trail names everything at once, when a lock was opened because all of it was found in place.
_ALL_ACTIONS = "all"


# --- the report ------------------------------------------------------------------------------------------------------


def case_report(case: Case, entries: Sequence[AuditEntry]) -> dict[str, Any]:
    """
    The whole case as plain JSON values, redacted. `entries` are those of the audit trail about this case.

    A signal that has no finding is "unknown", with the reason "pending" while it is still being read and "not_read"
    when nobody will read it any more. `weight` is what a signal added to the score, `max_weight` the most it can add.
    Approvals carry no claim: that is what a button proves itself with.
    """
    case, verdict = redacted_case(case), case.verdict
    return {
        "case_id": case.case_id,
        "state": case.state.value,
        "open": case.is_open,
        "query": case.query,
        "requester": case.requester.model_dump(mode="json"),
        "subject": case.subject.model_dump(mode="json") if case.subject else None,
        "block": case.block.model_dump(mode="json") if case.block else None,
        "opened_at": case.opened_at.isoformat(),
        "closed_at": case.closed_at.isoformat() if case.closed_at else None,
        "outcome": _plain(case.outcome),
        "joined_to": case.joined_to,
        "verdict": verdict.label.value if verdict else None,
        "score": verdict.score if verdict else None,
        "compromised_from": verdict.compromised_from if verdict else None,
        "completeness": verdict.completeness if verdict else None,
        "checked": verdict.checked if verdict else None,
        "total": verdict.total if verdict else None,
        "verdict_breakdown": [_part(part) for part in verdict.breakdown] if verdict else [],
        "signals": [_signal(finding, case) for finding in findings_of(case)],
        "pending": list(pending_signals(case)),
        "found_late": list(case.found_late),
        "actions": [_action(action) for action in case.actions],
        "approvals": [_approval(approval) for approval in case.approvals],
        "prevention": [item.model_dump(mode="json") for item in case.prevention],
        "fixes": [_action(action) for action in case.fixes],
        "diagnosis": _value(case.diagnosis),
        "follow_up": _value(case.follow_up),
        "pictures": _value(case.pictures),
        "times": milestones(case, entries),
        "timeline": [_timeline(entry) for entry in entries],
    }


def pending_signals(case: Case) -> tuple[str, ...]:
    """The signals that are still being read, in reading order."""
    if case.verdict is not None:
        return case.verdict.pending
    if case.reading_since is None or case.reading_ended_at is not None or not case.is_at_work:
        return ()
    ended = {finding.signal_id for finding in case.findings if finding.state is not SignalState.PENDING}
    return tuple(signal_id for signal_id in table().signals if signal_id not in ended)


def findings_of(case: Case) -> tuple[Finding, ...]:
    """
    One finding for every signal that there is or was, in reading order: none is left out because nobody read it.

    Those without a finding are PENDING while they are being read, else UNKNOWN; empty before anything is read.
    """
    known = {f.signal_id: f for f in case.findings if f.state is not SignalState.PENDING}
    if not known and case.verdict is None and case.reading_since is None:
        return ()
    pending = pending_signals(case)
    missing = case.verdict.missing if case.verdict else tuple(table().signals)
    order = {signal_id: place for place, signal_id in enumerate(table().signals)}
    everything = dict.fromkeys((*known, *missing, *pending))
    found = [known.get(signal_id) or _without_finding(signal_id, signal_id in pending) for signal_id in everything]
    return tuple(sorted(found, key=lambda finding: order.get(finding.signal_id, len(order))))


def _without_finding(signal_id: str, pending: bool) -> Finding:
    state = SignalState.PENDING if pending else SignalState.UNKNOWN
    return Finding(signal_id=signal_id, state=state, summary=say("report.pending" if pending else "report.not_read"))


def points_of(finding: Finding, case: Case) -> tuple[int, int]:
    """What a finding added to the score of its case, and the most that its signal can add."""
    parts = case.verdict.breakdown if case.verdict else ()
    for part in parts:
        if part.signal_id == finding.signal_id:
            return part.points, part.weight
    row = table().signals.get(finding.signal_id)
    points = max(0, finding.weight) if finding.state is SignalState.FOUND else 0
    return points, row.weight if row else points


def _value(value: Value | None) -> dict[str, Any] | None:
    return value.model_dump(mode="json") if value else None


def _plain(text: Text | None) -> dict[str, Any] | None:
    return text.model_dump(mode="json") if text else None


def _part(part: ScorePart) -> dict[str, Any]:
    return {"id": part.signal_id, "weight": part.points, "max_weight": part.weight}


def _signal(finding: Finding, case: Case) -> dict[str, Any]:
    plain = finding.model_dump(mode="json")
    points, most = points_of(finding, case)
    state = SignalState.UNKNOWN if finding.state is SignalState.PENDING else finding.state
    return {
        "id": finding.signal_id,
        "state": state.value,
        "weight": points,
        "max_weight": most,
        "summary": plain["summary"],
        "evidence": plain["evidence"],
        "reason": _reason(finding),
        "targets": plain["targets"],
        "read_at": plain["read_at"],
    }


def _reason(finding: Finding) -> str | None:
    if finding.unknown_reason is not None:
        return finding.unknown_reason.value
    if finding.state is SignalState.PENDING:
        return PENDING
    return NOT_READ if finding.state is SignalState.UNKNOWN else None


def _action(action: Action) -> dict[str, Any]:
    plain = action.model_dump(mode="json", exclude={"action_id"})
    return {"id": action.action_id, **plain, "can_be_undone": action.can_be_undone}


def _approval(approval: Approval) -> dict[str, Any]:
    plain = approval.model_dump(mode="json", exclude={"claim", "case_id"})
    return {"id": plain.pop("prompt_id"), **plain}


def _timeline(entry: AuditEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": entry.at,
        "tag": entry.tag,
        "actor": redacted(entry.actor_name),
        "actor_oid": entry.actor_oid,
        "details": redacted(json.loads(entry.details)),
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }


# --- how long it took ------------------------------------------------------------------------------------------------


def milestones(case: Case, entries: Sequence[AuditEntry]) -> dict[str, dict[str, Any]]:
    """
    When the account was blocked, and when what came of it: `at` (ISO 8601, UTC) and whole `seconds` since the block
    began, each None when it is not known or did not happen; seconds may be negative.

    `alert` is when the bot noticed it by itself, `request` the case, `approval` the agreement to the plan,
    `containment` the last action of it that was proven once all were, `unblock` the moment from which the entry was
    seen to be gone, `first_delivered` the first message that arrived after that.
    """
    started_at = case.block.since if case.block else None
    moments = {
        "block": started_at,
        "alert": _noticed_at(entries),
        "request": case.opened_at,
        "approval": _approved_at(case),
        "containment": _contained_at(case, entries),
        "unblock": _unblocked_at(case, entries),
        "first_delivered": case.follow_up.first_delivered_at if case.follow_up else None,
    }
    return {name: _milestone(at, started_at) for name, at in moments.items()}


def _milestone(at: datetime | None, started_at: datetime | None) -> dict[str, Any]:
    seconds = round((at - started_at).total_seconds()) if at and started_at else None
    return {"at": at.isoformat() if at else None, "seconds": seconds}


def _noticed_at(entries: Sequence[AuditEntry]) -> datetime | None:
    """When the first alert was noticed that the case deals with; None when people were first."""
    about = (json.loads(e.details) for e in entries if e.tag in (Tag.ALERT_STARTED, Tag.ALERT_JOINED))
    return min((datetime.fromisoformat(d["noticed_at"]) for d in about if "noticed_at" in d), default=None)


def _approved_at(case: Case) -> datetime | None:
    granted = (a for a in case.approvals if a.state is ApprovalState.GRANTED)
    return next((a.decided_at for a in granted if a.purpose is ApprovalPurpose.REMEDIATION), None)


def _contained_at(case: Case, entries: Sequence[AuditEntry]) -> datetime | None:
    """None as well when there was nothing to contain."""
    if not case.containment or not case.containment_proven:
        return None
    known = {action.action_id for action in case.containment} | {_ALL_ACTIONS}
    proven = [e for e in entries if e.tag == Tag.ACTION_PROVEN and json.loads(e.details).get("action") in known]
    return max((datetime.fromisoformat(entry.at) for entry in proven), default=None)


def _unblocked_at(case: Case, entries: Sequence[AuditEntry]) -> datetime | None:
    seen = next((entry for entry in entries if entry.tag == Tag.UNBLOCK_VERIFIED), None)
    if seen is not None:
        return datetime.fromisoformat(seen.at)
    return case.follow_up.unblocked_at if case.follow_up else None


# --- without secrets -------------------------------------------------------------------------------------------------


def redacted_case(case: Case) -> Case:
    """The same case with every secret in it replaced, the claims of its approvals included."""
    return Case.model_validate(redacted(case.model_dump(mode="json")))


def redacted(value: Any, key: str = "") -> Any:
    """
    The same plain JSON value without secrets; `key` is the name that it stands under.

    A secret is whatever stands under a key that names one (but for numbers, moments and nothing at all), and in any
    string a JSON Web Token, what follows "Bearer" or "password=", and a long run of characters that nobody would write
    as words. Ids, hashes (by their key), GUIDs, addresses and numbers stay.
    """
    if key and _names_secret(key) and not _is_harmless(value):
        return REDACTED
    if isinstance(value, Mapping):
        return {_without_secrets(str(name), ""): redacted(item, str(name)) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(item, key) for item in value]
    return _without_secrets(value, key) if isinstance(value, str) else value


_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
#: These name a secret wherever they stand in a key ("clientSecret", "accesstoken"),
_SECRET_PARTS = ("password", "passwd", "secret", "token", "authorization", "cookie")
#: and these as words of their own ("access_pass").
_SECRET_WORDS = frozenset({"pass", "pwd", "claim", "claims", "credential", "credentials"})
#: The last word of a key whose value is long, opaque and no secret.
_ID_WORDS = frozenset({"id", "ids", "oid", "oids", "hash"})
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")

_KNOWN_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    # A JSON Web Token, signed or not: a JSON object in Base64 begins with "ey" or "ew".
    (re.compile(r"\be[yw][A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)*"), REDACTED),
    (re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE), rf"\1 {REDACTED}"),
    # The password in an address such as https://user:password@host.
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"), rf"\1{REDACTED}"),
    # A client secret as Entra makes them.
    (re.compile(r"[A-Za-z0-9_~.-]{3}\dQ~[A-Za-z0-9_~.-]{20,}"), REDACTED),
    (
        re.compile(
            r"((?:password|passwd|pwd|secret|token|cookie|authorization|api[_-]?key)[\w-]{0,40}\s*=\s*)[^\s&;,]+",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
    # With a colon it may be a heading ("Your password: act now"), so only what has a digit or a sign in it.
    (
        re.compile(
            r"((?:password|passwd|pwd|secret|token|cookie|authorization)\"?'?\s*:\s*)(?=\S{0,80}[\d!#$%&*^])(?!\[)\S+",
            re.IGNORECASE,
        ),
        rf"\1{REDACTED}",
    ),
)
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
#: A long run without a space that is no part of an address.
_RUN = re.compile(r"(?<![A-Za-z0-9@_~+/=-])[A-Za-z0-9_~+/=-]{24,}+(?![A-Za-z0-9_~+/=.-]*@)")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]{24,}+")
#: Words have more letters than this on average, random characters about two between changes of case or to a digit.
_LEAST_WORD_LENGTH = 3.6
#: In a longer run that little divides, by chance some letters look like words: those have to be longer.
_LONG_RUN, _LEAST_LENGTH_IN_IT = 40, 4.5


def _names_secret(key: str) -> bool:
    return any(part in key.casefold() for part in _SECRET_PARTS) or not _SECRET_WORDS.isdisjoint(_words(key))


def _names_id(key: str) -> bool:
    """Only a name that a program gave counts, not a key that somebody may have written."""
    return key.isidentifier() and len(key) <= 40 and not _ID_WORDS.isdisjoint(_words(key)[-1:])


def _words(key: str) -> list[str]:
    return [word.casefold() for word in _WORDS.findall(key)]


def _is_harmless(value: Any) -> bool:
    """What cannot be a secret whatever it is called, such as `password_changed_at` and a number of tokens."""
    if isinstance(value, str):
        return not value or _MOMENT.fullmatch(value) is not None
    return value is None or isinstance(value, (bool, int, float)) or value in ([], {})


def _without_secrets(text: str, key: str) -> str:
    for shape, replacement in _KNOWN_SHAPES:
        text = shape.sub(replacement, text)
    return text if _names_id(key) else _RUN.sub(_unless_words, text)


def _unless_words(run: re.Match[str]) -> str:
    return REDACTED if _is_opaque(_GUID.sub("-", run[0])) else run[0]


def _is_opaque(run: str) -> bool:
    """Whether it is long and does not read as words, such as a token and unlike "Purchase-Order-2026-Confirmation"."""
    pieces = _WORDS.findall(run)
    if len(run) < 24 or not pieces:
        return False
    keys = (digits for digits in _HEXADECIMAL.findall(run) if not digits.isdigit() and not digits.isalpha())
    is_dense = len(run) >= _LONG_RUN and 20 * sum(not char.isalnum() for char in run) <= len(run)
    least = _LEAST_LENGTH_IN_IT if is_dense else _LEAST_WORD_LENGTH
    return sum(map(len, pieces)) / len(pieces) < least or any(keys)
