"""An admin role is taken from the account."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing

_WHOLE_DIRECTORY = "/"


async def prepare(work: Work) -> Change:
    """
    The assignment is deleted. Proven when the account no longer holds the role there, by this or another assignment.

    Roles that come through a group or are only eligible are not seen. Source: "Delete unifiedRoleAssignment", 2025.
    """

    async def proof() -> Text | None:
        return None if await _is_held(work) else say("action.remove_role.proven")

    return Change(
        perform=lambda: work.graph.remove_role(str(work.target["assignment_id"])),
        proof=proof,
        before={"role_id": work.target["role_id"], "scope": _scope(work)},
        done_before=await proof(),
    )


def undo(work: Work) -> Undo:
    """The role is assigned again, to the same scope; the assignment gets a new id."""

    async def look() -> Standing:
        held = await _is_held(work)
        return standing(as_before=held, as_we_left_it=not held)

    return Undo(perform=lambda: work.graph.add_role(work.oid, str(work.before["role_id"]), _scope(work)), look=look)


async def _is_held(work: Work) -> bool:
    wanted = (str(work.target["role_id"]).casefold(), _scope(work))
    roles = await work.graph.directory_roles(work.oid)
    return any((role.role_id.casefold(), role.scope or _WHOLE_DIRECTORY) == wanted for role in roles)


def _scope(work: Work) -> str:
    return str(work.target.get("scope") or _WHOLE_DIRECTORY)
