"""Nobody can sign in to the account any more, whatever they know."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing


async def prepare(work: Work) -> Change:
    """
    `accountEnabled` becomes false. Proven when Entra shows it so.

    It takes effect for new sign-ins at once; running sessions end with the next action. Source: "Update user",
    2026-07-04.
    """
    enabled = await _is_enabled(work)

    async def proof() -> Text | None:
        return say("action.block_sign_in.proven") if await _is_enabled(work) is False else None

    # Blocked already: either by us before a restart or by somebody else. The plan knows how it was when it was made.
    was_enabled = work.target.get("was_enabled") if enabled is False else enabled
    return Change(
        perform=lambda: work.graph.set_sign_in(work.oid, False),
        proof=proof,
        before={"enabled": True} if was_enabled else None,
        done_before=say("action.block_sign_in.proven") if enabled is False else None,
    )


def undo(work: Work) -> Undo:
    """Sign-in is allowed again."""

    async def look() -> Standing:
        enabled = await _is_enabled(work)
        return standing(as_before=enabled is True, as_we_left_it=enabled is False)

    return Undo(perform=lambda: work.graph.set_sign_in(work.oid, True), look=look)


async def _is_enabled(work: Work) -> bool | None:
    return (await work.graph.get_user(work.oid)).account_enabled
