"""What Entra ID Protection makes of the account."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import RiskDetection, RiskyUser
from services.errors import NotFound, ServiceError
from services.investigation.evidence import Evidence, attempted
from services.investigation.table import SignalRow, words

_LEVELS = ("high", "medium", "low")
#: How many detections are told.
_TOLD = 3


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    The risk state, with the detections behind it.

    A level that is "hidden" or that we do not know says nothing, and so is no good news. Without Entra ID P2 there is
    no risk state, yet detections may be readable with P1: those that are at risk count, none of them proves nothing.
    Source: "riskyUser resource type" and "List riskDetections", 2024-10.
    """
    oid = evidence.subject.user_oid
    state, detections = await asyncio.gather(
        attempted(evidence.directory.risky_user(oid)), attempted(evidence.directory.risk_detections(oid))
    )
    if state is None and isinstance(detections, NotFound):
        raise detections  # a list is never "not found" where the service is: not knowing the user says nothing then
    # Detections explain the state and do not replace it, so not being able to read them is no reason to stop.
    open_detections = _still_open(() if isinstance(detections, ServiceError) else detections, evidence, row)
    if isinstance(state, ServiceError):
        if not open_detections:
            raise state
        return _found_by_detections(open_detections, row)
    return _judge(state, open_detections, row)


def _still_open(detections: Iterable[RiskDetection], evidence: Evidence, row: SignalRow) -> list[RiskDetection]:
    oldest = evidence.now - row.days("days")
    mine = [d for d in detections if _fold(d.risk_state) in ("atrisk", "confirmedcompromised")]
    recent = [d for d in mine if d.at is None or d.at >= oldest]
    return sorted(recent, key=lambda d: (_fold(d.risk_level) == "high", d.at or oldest), reverse=True)


def _judge(user: RiskyUser | None, detections: Sequence[RiskDetection], row: SignalRow) -> Finding:
    if user is not None and user.risk_state is None and user.risk_level is None and not detections:
        return row.unknown(UnknownReason.FAULT, say("finding.risk_state.not_understood", state="?"))
    state, level = (_fold(user.risk_state), _fold(user.risk_level)) if user else ("none", "none")
    if state == "confirmedcompromised":
        return row.found(row.points["confirmed"], say("finding.risk_state.confirmed"), *_told(detections))
    if state in words().sign_ins.settled_states:
        return row.clear(say(f"finding.risk_state.{state}"))
    if level in _LEVELS:
        return row.found(row.points[level], say(f"finding.risk_state.{level}"), *_told(detections))
    if detections:
        return _found_by_detections(detections, row)
    if level == "hidden":
        return row.unknown(UnknownReason.LICENCE, say("unreadable.licence_named", licence=row.licence or ""))
    if state == "atrisk":
        return row.found(row.points["level_unknown"], say("finding.risk_state.level_unknown"))
    if (state, level) == ("none", "none"):
        return row.clear(say("finding.risk_state.none"))
    return row.unknown(UnknownReason.FAULT, say("finding.risk_state.not_understood", state=f"{state}, {level}"))


def _found_by_detections(detections: Sequence[RiskDetection], row: SignalRow) -> Finding:
    levels = [_fold(d.risk_level) for d in detections]
    points = max(row.points.get(level, row.points["level_unknown"]) for level in levels)
    return row.found(points, say("finding.risk_state.detections", n=len(detections)), *_told(detections))


def _told(detections: Sequence[RiskDetection]) -> tuple[Text, ...]:
    return tuple(
        say(
            "finding.risk_state.detection",
            kind=d.kind or "?",
            at=d.at or d.detected_at,
            ip=d.ip_address,
            country=d.country,
        )
        for d in detections[:_TOLD]
    )


def _fold(value: str | None) -> str:
    return (value or "none").casefold()
