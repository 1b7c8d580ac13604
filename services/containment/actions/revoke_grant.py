"""The consent that was given to an app is deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.cases import Text, say
from services.clients.graph_models import OAuthGrant
from services.containment.work import Change, Standing, Undo, Work, standing

_KEPT = {"client_sp_oid", "consent_type", "principal_oid", "resource_sp_oid", "scopes"}


async def prepare(work: Work) -> Change:
    """
    Proven when the account's consents no longer hold it. The whole grant is kept, so that it can be given again.

    Source: "Delete oAuth2PermissionGrant", 2025.
    """
    grant_id = str(work.target["grant_id"])
    grant = _with_id(await work.graph.oauth_grants(work.oid), grant_id)

    async def proof() -> Text | None:
        left = _with_id(await work.graph.oauth_grants(work.oid), grant_id)
        return say("action.revoke_grant.proven") if left is None else None

    return Change(
        perform=lambda: work.graph.revoke_grant(grant_id),
        proof=proof,
        before=_as_approved(work) if grant is None else grant.model_dump(mode="json", include=_KEPT),
        done_before=say("action.revoke_grant.proven") if grant is None else None,
    )


def undo(work: Work) -> Undo:
    """The same consent again. If the user has consented anew meanwhile, that stays as it is."""
    grant = OAuthGrant.model_validate({"grant_id": str(work.target["grant_id"]), **work.before})

    async def look() -> Standing:
        of_app = [other for other in await work.graph.oauth_grants(work.oid) if _same_place(other, grant)]
        same = [other for other in of_app if set(other.scopes) == set(grant.scopes)]
        return standing(as_before=bool(same), as_we_left_it=not of_app)

    return Undo(perform=lambda: work.graph.restore_grant(grant), look=look)


def _with_id(grants: Sequence[OAuthGrant], grant_id: str) -> OAuthGrant | None:
    return next((grant for grant in grants if grant.grant_id == grant_id), None)


def _same_place(one: OAuthGrant, other: OAuthGrant) -> bool:
    """Of the same app, to the same resource: Entra keeps one grant for each such pair and person."""
    return (one.client_sp_oid, one.resource_sp_oid) == (other.client_sp_oid, other.resource_sp_oid)


def _as_approved(work: Work) -> dict[str, Any] | None:
    """What was approved is what was there, if the plan knows all of it: we may have been stopped after deleting it."""
    if work.target.get("resource_sp_oid") is None:
        return None
    return {"consent_type": "Principal", "principal_oid": work.oid} | {
        name: work.target[name] for name in ("client_sp_oid", "resource_sp_oid", "scopes")
    }
