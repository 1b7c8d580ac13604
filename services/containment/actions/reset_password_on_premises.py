"""The password of a synced account, which only a person on-premises can change."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Work, nothing


async def prepare(work: Work) -> Change:
    """Nothing is attempted. Proven when the password was changed after the approval."""

    async def proof() -> Text | None:
        at = (await work.graph.get_user(work.oid)).password_changed_at
        return say("action.reset_password_on_premises.proven", at=at) if work.is_after_approval(at) else None

    return Change(perform=nothing, proof=proof, done_before=await proof())
