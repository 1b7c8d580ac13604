"""A way to sign in that the attacker has added is taken away."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Work


async def prepare(work: Work) -> Change:
    """
    The method is deleted. Proven when Entra no longer lists it.

    It cannot be put back: who registers a method proves to have it.
    Source: "Delete phoneAuthenticationMethod" and its siblings, 2025.
    """
    kind, method_id = str(work.target["kind"]), str(work.target["method_id"])

    async def proof() -> Text | None:
        left = await work.graph.auth_methods(work.oid)
        gone = all(method.method_id != method_id for method in left)
        return say("action.remove_auth_method.proven") if gone else None

    return Change(
        perform=lambda: work.graph.remove_auth_method(work.oid, kind, method_id),
        proof=proof,
        done_before=await proof(),
    )
