"""Entra ID Protection is told that the account was compromised."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Work

_CONFIRMED = "confirmedcompromised"


async def prepare(work: Work) -> Change:
    """
    Proven when the risk state is confirmedCompromised. The risk becomes high, which Conditional Access may act on.

    Dismissing the risk would not undo it: that says that the account was safe. Source: "riskyUser:
    confirmCompromised", 2025; it needs Microsoft Entra ID P2.
    """

    async def proof() -> Text | None:
        user = await work.graph.risky_user(work.oid)
        confirmed = user is not None and (user.risk_state or "").casefold() == _CONFIRMED
        return say("action.confirm_compromised.proven") if confirmed else None

    return Change(
        perform=lambda: work.graph.confirm_compromised(work.oid),
        proof=proof,
        done_before=await proof(),
    )
