"""Everybody who is signed in has to sign in again."""

from __future__ import annotations

from datetime import datetime

from services.cases import Text, say
from services.containment.work import CLOCK_SKEW, Change, Work


async def prepare(work: Work) -> Change:
    """
    Every session ends. Proven when Entra counts sessions only from a moment after the approval.

    Source: "user: revokeSignInSessions", 2023: it sets signInSessionsValidFromDateTime.
    """
    before = await _valid_from(work)

    async def proof() -> Text | None:
        at = await _valid_from(work)
        moved = at is not None and at != before and at >= work.now - CLOCK_SKEW
        return say("action.revoke_sessions.proven", at=at) if moved else None

    return Change(
        perform=lambda: work.graph.revoke_sessions(work.oid),
        proof=proof,
        done_before=say("action.revoke_sessions.proven", at=before) if work.is_after_approval(before) else None,
    )


async def _valid_from(work: Work) -> datetime | None:
    return (await work.graph.get_user(work.oid)).sessions_valid_from
