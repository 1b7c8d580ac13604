"""The account no longer has an app that it was given, or gave itself."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing

#: The id of the default access, for an app that defines no roles.
_DEFAULT_ACCESS = "00000000-0000-0000-0000-000000000000"


async def prepare(work: Work) -> Change:
    """
    The assignment is deleted. Proven when Entra no longer lists it.

    One that comes through a group cannot be deleted here. Source: "Delete appRoleAssignment", 2025.
    """
    assignment_id = str(work.target["assignment_id"])

    async def proof() -> Text | None:
        left = await work.graph.app_assignments(work.oid)
        gone = all(assignment.assignment_id != assignment_id for assignment in left)
        return say("action.remove_app_assignment.proven") if gone else None

    return Change(
        perform=lambda: work.graph.remove_app_assignment(work.oid, assignment_id),
        proof=proof,
        before={"app_sp_oid": work.target["app_sp_oid"], "app_role_id": _role(work)},
        done_before=await proof(),
    )


def undo(work: Work) -> Undo:
    """The app is given again, with the same role in it; the assignment gets a new id."""
    app, role = str(work.before["app_sp_oid"]), str(work.before["app_role_id"])

    async def look() -> Standing:
        assignments = await work.graph.app_assignments(work.oid)
        there = any((a.app_sp_oid, a.app_role_id or _DEFAULT_ACCESS) == (app, role) for a in assignments)
        return standing(as_before=there, as_we_left_it=not there)

    return Undo(perform=lambda: work.graph.restore_app_assignment(work.oid, app, role), look=look)


def _role(work: Work) -> str:
    return str(work.target.get("app_role_id") or _DEFAULT_ACCESS)
