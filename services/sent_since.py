"""
What an account has sent since it was unblocked, by the message trace: whether mail flows again, whether it is refused
again, and whether it is a burst.

Nothing in Microsoft's services tells that a restriction is fully lifted, so a message that got out is the only proof.
The trace lags by minutes; its silence means nothing by itself. It is asked for one sender address, so what is sent from
a shared mailbox or another address of the account is not seen.

Sources: "List messageTraces" (Microsoft Graph, 2025-12), "exchangeMessageTrace resource type" (2026-08-20), "Remove
blocked users from the Restricted entities page" (2026-08-24).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.cases import USUAL_DELAY, WATCHED_FOR, Case, CauseKind, FollowUp, Subject
from services.clients.graph_models import Domain, MessageTrace, TraceEvent
from services.diagnosis.codes import blocks_of
from services.diagnosis.ndr import parse_ndr
from services.errors import ServiceError
from services.investigation import sent
from services.investigation.evidence import domain_of
from services.investigation.table import table
from services.investigation.unreadable import why
from services.ports import Clock

#: One page of the trace, the most that Microsoft gives at once: one request for each look.
TRACE_LIMIT = 5000
#: How many refused messages are asked about at each look: the newest say how it stands now.
ASKED_ABOUT = 3

#: While sending is expected to begin; while a burst would be unguarded; while it may still take; and after all that.
_OFTEN, _GUARDING = timedelta(minutes=2), timedelta(minutes=10)
_WAITING, _SELDOM = timedelta(minutes=30), timedelta(hours=6)

#: By how much the trace may lag behind.
TRACE_LAG = timedelta(minutes=15)

_BY_ANOTHER_SERVER = re.compile(r'"IsSmtpResponseFromExternalServer"[^>]*"True"', re.IGNORECASE)


class Traces(Protocol):
    """Fulfilled by `GraphClient`."""

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int
    ) -> tuple[MessageTrace, ...]: ...

    async def message_trace_events(self, trace_id: str, recipient: str) -> tuple[TraceEvent, ...]: ...

    async def domains(self) -> tuple[Domain, ...]: ...


class SentSince:
    """Looks at the trace of unblocked accounts."""

    def __init__(self, graph: Traces, clock: Clock) -> None:
        self._graph = graph
        self._clock = clock

    async def look(self, case: Case) -> FollowUp:
        """
        The follow-up after one look, for a case with an account. Never raises ServiceError.

        One request, one more for each refused message that is new, three at most, and one for the domains of the tenant
        when it looks as if mail flows. A trace that cannot be read leaves everything as it was, says why in `unread`,
        and is tried again at the usual time.
        """
        follow, subject = case.follow_up, case.subject
        assert follow is not None and subject is not None, "only unblocked accounts are followed"
        now, sender = self._clock.now(), subject.mail or subject.upn
        try:
            rows = await self._graph.message_traces(sender, since=follow.unblocked_at, until=now, limit=TRACE_LIMIT)
        except ServiceError as error:
            return follow.model_copy(update={"unread": why(error), "next_look_at": next_look(follow, now)})
        codes = {name: await self._code(row) for name, row in to_ask_about(follow, rows).items()}
        return seen(follow, rows, now, inside=await self._inside(subject, follow, rows), codes=codes)

    async def _inside(self, subject: Subject, follow: FollowUp, rows: Sequence[MessageTrace]) -> Collection[str]:
        """
        The mail domains of the organisation; those of the account alone while nothing hangs on the others, or when they
        cannot be read.
        """
        own = frozenset({domain_of(subject.upn), domain_of(subject.mail or "")}) - {""}
        since = [row for row in rows if row.received_at is not None and row.received_at >= follow.unblocked_at]
        if follow.first_delivered_at or _first_delivered_at(follow, since, own) is None:
            return own
        try:
            return own | {domain.name.casefold() for domain in await self._graph.domains()}
        except ServiceError:
            return own

    async def _code(self, row: MessageTrace) -> str | None:
        """Why Microsoft refused this message, as `refusal_code` says it."""
        if not row.trace_id or not row.recipient_address:
            return ""
        try:
            return refusal_code(await self._graph.message_trace_events(row.trace_id, row.recipient_address))
        except ServiceError:
            # That it was refused is known; only the reason is not, and "" says so.
            return ""


# --- pure from here on -----------------------------------------------------------------------------------------------


def seen(
    follow: FollowUp,
    rows: Sequence[MessageTrace],
    now: datetime,
    *,
    inside: Collection[str] = (),
    codes: Mapping[str, str | None] | None = None,
) -> FollowUp:
    """
    What these rows of the trace tell, added to what was known before.

    `inside` are the organisation's mail domains: a message to somebody there proves nothing, because a restricted
    account may only be kept from sending outside ("Removing a user from the Restricted Users portal", 2021). `codes`
    has the answer of `refusal_code` for each of `to_ask_about`.
    """
    since = [row for row in rows if row.received_at is not None and row.received_at >= follow.unblocked_at]
    messages = sent.messages(since)
    known = follow.model_copy(
        update={
            "first_delivered_at": _first_delivered_at(follow, since, inside),
            # A trace that was cut off shows fewer than were counted before.
            "messages": max(follow.messages, len(messages)),
            "recipients": max(follow.recipients, sent.recipients_of(messages)),
            **_refusal(follow, since, codes or {}),
            **_burst(follow, messages),
            "unread": None,
            "looked_at": now,
        }
    )
    return known.model_copy(update={"next_look_at": next_look(known, now)})


def next_look(follow: FollowUp, now: datetime) -> datetime:
    """
    When to look again: every 2 minutes in the first hour, every 10 until the trace shows all of the unguarded day,
    every 30 while the first message may still take or that day was not seen to its end, then every 6 hours to the end
    of a week. There is a look at the end of each of these times.
    """
    shown = last_of_day(follow)
    ends = [follow.unguarded_until, shown, follow.unblocked_at + WATCHED_FOR]
    if follow.first_delivered_at is None:
        ends.append(follow.escalate_at)
    return min([now + _step(follow, now, shown), *(end for end in ends if end > now)])


def last_of_day(follow: FollowUp) -> datetime:
    """From when on the trace shows all of the day on which Microsoft does not guard the account."""
    return follow.unguarded_until + TRACE_LAG


def _step(follow: FollowUp, now: datetime, shown: datetime) -> timedelta:
    if now < follow.unblocked_at + USUAL_DELAY:
        return _OFTEN
    if now < shown:
        return _GUARDING
    is_awaited = follow.first_delivered_at is None and now < follow.escalate_at
    return _WAITING if is_awaited or follow.looked_at is None or follow.looked_at < shown else _SELDOM


def to_ask_about(follow: FollowUp, rows: Sequence[MessageTrace]) -> dict[str, MessageTrace]:
    """
    A row of each of the newest refused messages whose reason is not known yet, by the name that `codes` has for it.

    Those older than a refusal whose reason is known would tell nothing new.
    """
    explained = follow.refused_at if follow.refused_code else None
    after = max(follow.unblocked_at, explained or follow.unblocked_at)
    failed = [row for row in rows if _is_failed(row) and row.received_at is not None and row.received_at >= after]
    found: dict[str, MessageTrace] = {}
    for row in sorted(failed, key=_at, reverse=True):
        if not (explained and _at(row) == explained):
            found.setdefault(_name(row), row)
    return dict(list(found.items())[:ASKED_ABOUT])


def refusal_code(events: Sequence[TraceEvent]) -> str | None:
    """
    Why a message failed: the code of a block such as "5.1.8", None for another reason, "" when nothing tells.

    Another reason is one about the recipient, or the word of a mail server elsewhere: then the message had got out.
    """
    failures = [event for event in events if (event.event or "").casefold() == "fail"]
    codes = [_code_of(event.description or "", event.data or "") for event in failures]
    return next((code for code in codes if code), "" if "" in codes or not codes else None)


def _code_of(description: str, data: str) -> str | None:
    report = parse_ndr(description)
    if not report.codes:
        return ""
    # Some servers use the same codes for a sender whom they do not like.
    if _BY_ANOTHER_SERVER.search(data) and "bad outbound sender" not in description.casefold():
        return None
    blocks = blocks_of(report)
    blocks.pop(CauseKind.FORWARDING_FORBIDDEN, None)  # what a rule forwards is no mail of the account itself
    return next((code for code in blocks.values() if code), None)


def _first_delivered_at(follow: FollowUp, rows: Sequence[MessageTrace], inside: Collection[str]) -> datetime | None:
    """
    The first message that somebody outside got.

    Not one that was only "expanded": that tells that a list was resolved, not that its members got anything; they have
    rows of their own. Nor one that is pending, quarantined, or taken for spam.
    """
    delivered = [
        _at(row)
        for row in rows
        if (row.status or "").strip().casefold() == "delivered"
        and row.recipient_address
        and domain_of(row.recipient_address) not in inside
    ]
    return min([*delivered, *([follow.first_delivered_at] if follow.first_delivered_at else [])], default=None)


def _refusal(
    follow: FollowUp, rows: Sequence[MessageTrace], codes: Mapping[str, str | None]
) -> dict[str, datetime | str | None]:
    """The newest refusal that is about the account; one whose reason is known goes before one whose reason is not."""
    answers = [(codes.get(name, ""), _at(row)) for name, row in to_ask_about(follow, rows).items()]
    explained = [(code, at) for code, at in answers if code]
    unexplained = [] if follow.refused_code else [(code, at) for code, at in answers if code == ""]
    for code, at in [*explained, *unexplained]:
        return {"refused_at": at, "refused_code": code}
    # What was taken for a refusal of the account may turn out to be about a recipient, once the reason can be read.
    return {"refused_at": None} if answers and not follow.refused_code else {}


def _burst(follow: FollowUp, messages: Sequence[sent.SentMessage]) -> dict[str, datetime | int | None]:
    """
    The busiest hour since the unblock, once it has as many recipients as the burst that is evidence of an attacker.

    What the account sent before the unblock does not count: that is why it was blocked.
    """
    most, at = sent.busiest_hour(messages)
    is_burst = most >= table().signals["sent_mail"].thresholds["burst"]
    return {"burst_recipients": most, "burst_at": at} if is_burst and most > follow.burst_recipients else {}


def _is_failed(row: MessageTrace) -> bool:
    return (row.status or "").strip().casefold() == "failed"


def _name(row: MessageTrace) -> str:
    return row.trace_id or f"{row.message_id or row.subject}:{_at(row).isoformat()}"


def _at(row: MessageTrace) -> datetime:
    assert row.received_at is not None, "rows without a time are left out before"
    return row.received_at
