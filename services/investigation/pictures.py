"""
What is drawn of an account: its outbound mail hour by hour around the block, its sign-ins, and the Secure Score.

All of it comes from reads that the signals make anyway, but for the history of the score. What could not be read stays
empty: an empty part never means that nothing happened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from services.cases import HourCount, Pictures, ScoreMark, SignInMark
from services.clients.graph_models import MessageTrace, SecureScore, SignIn
from services.errors import ServiceError
from services.investigation.evidence import TRACE_DAYS, TRACE_LIMIT, Evidence, attempted
from services.investigation.sent import messages

log = structlog.get_logger()

Mark = TypeVar("Mark")

#: Mail is drawn from this long before it began to show, for this long in all at most.
BEFORE = timedelta(hours=24)
MOST_HOURS = 72
#: The newest sign-ins that are drawn.
MOST_SIGN_INS = 200
#: Microsoft keeps one score a day.
SCORE_DAYS = 30

_HOUR = timedelta(hours=1)


class Scores(Protocol):
    """Fulfilled by `GraphClient`."""

    async def secure_scores(self, limit: int) -> tuple[SecureScore, ...]: ...


async def draw(evidence: Evidence) -> Pictures:
    """The three pictures of this account. What cannot be read leaves its part empty; raises no ServiceError."""
    sent, sign_ins, scores = await asyncio.gather(
        _or_nothing("sent", _sent(evidence)),
        _or_nothing("sign_ins", _sign_ins(evidence)),
        _or_nothing("scores", _scores(evidence.directory)),
    )
    return Pictures(sent=sent, sign_ins=sign_ins, scores=scores)


async def scores_after(pictures: Pictures, scores: Scores) -> Pictures:
    """The same pictures with the newest Secure Score in them, or as they were when that cannot be read now."""
    newest = await _or_nothing("scores", _scores(scores, days=1))
    known = {mark.at for mark in pictures.scores}
    new = [mark for mark in newest if mark.at not in known]
    return pictures.model_copy(update={"scores": tuple(sorted((*pictures.scores, *new), key=lambda mark: mark.at))})


async def _or_nothing(part: str, reading: Awaitable[tuple[Mark, ...]]) -> tuple[Mark, ...]:
    try:
        return await reading
    except ServiceError as error:
        log.warning("picture_not_drawn", part=part, error=str(error))
        return ()


# --- mail ------------------------------------------------------------------------------------------------------------


async def _sent(evidence: Evidence) -> tuple[HourCount, ...]:
    return hours(await evidence.traces(), evidence.started_at, evidence.now, blocked=_is_blocked(evidence))


def _is_blocked(evidence: Evidence) -> bool:
    return evidence.case.block is not None and evidence.case.block.since is not None


def hours(
    traces: Sequence[MessageTrace], started_at: datetime, now: datetime, *, blocked: bool
) -> tuple[HourCount, ...]:
    """
    Messages and recipients in each hour (UTC) from BEFORE the start until now, oldest first, at most MOST_HOURS.

    Hours without mail are there as zeros as far back as the trace goes; the first hour of a trace that was cut off may
    be incomplete. Empty for a blocked account of which the trace shows nothing: then it shows the wrong sender, or
    nothing yet, for mail is what it was blocked for.
    """
    if blocked and not traces:
        return ()
    first = _hour(max(started_at - BEFORE, _covered_from(traces, now)))
    last = min(_hour(now), _hour(started_at - BEFORE) + (MOST_HOURS - 1) * _HOUR)
    counts: dict[datetime, list[int]] = {}
    for message in messages(traces):
        counts.setdefault(_hour(message.at), []).append(len(message.recipients))
    every = (first + n * _HOUR for n in range(max(0, round((last - first) / _HOUR) + 1)))
    return tuple(HourCount(at=at, messages=len(counts.get(at, ())), recipients=sum(counts.get(at, ()))) for at in every)


def _covered_from(traces: Sequence[MessageTrace], now: datetime) -> datetime:
    """From when on the trace shows everything: it goes back some days, and only to its oldest row when it was cut."""
    rows = [row.received_at for row in traces if row.received_at is not None]
    kept_from = now - timedelta(days=TRACE_DAYS)
    return max(kept_from, min(rows)) if rows and len(traces) >= TRACE_LIMIT else kept_from


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


# --- sign-ins --------------------------------------------------------------------------------------------------------


async def _sign_ins(evidence: Evidence) -> tuple[SignInMark, ...]:
    """Those of the person; with them those of programs, unless these cannot be read."""
    background = attempted(evidence.background_sign_ins())
    own = await evidence.sign_ins()
    others = await background
    return marks((*own, *(() if isinstance(others, ServiceError) else others)))


def marks(sign_ins: Sequence[SignIn]) -> tuple[SignInMark, ...]:
    """The newest MOST_SIGN_INS, oldest first; without those of which the time or the outcome is not known."""
    drawn = [
        SignInMark(at=sign_in.at, country=_code(sign_in.country), succeeded=sign_in.succeeded)
        for sign_in in sign_ins
        if sign_in.at is not None and sign_in.succeeded is not None
    ]
    return tuple(sorted(drawn, key=lambda mark: mark.at)[-MOST_SIGN_INS:])


def _code(country: str | None) -> str:
    """Two letters as they are usual; whatever else Microsoft says stands as "", unknown."""
    code = (country or "").strip().upper()
    return code if len(code) == 2 and code.isalpha() else ""


# --- Secure Score ----------------------------------------------------------------------------------------------------


async def _scores(scores: Scores, days: int = SCORE_DAYS) -> tuple[ScoreMark, ...]:
    """One mark a day, oldest first. Source: "List secureScores", 2025: one score a day, the newest first."""
    read = await scores.secure_scores(days)
    complete = [s for s in read if s.at is not None and s.current is not None and s.maximum]
    marked = (ScoreMark(at=s.at, score=s.current, maximum=s.maximum) for s in complete)
    return tuple(sorted(marked, key=lambda mark: mark.at))
