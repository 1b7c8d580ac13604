"""The calls by which Graph throws an attacker out, and those that put things back: each may be done twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from services.clients import graph
from services.clients.graph_methods import REMOVABLE_METHODS
from services.clients.graph_models import OAuthGrant
from services.errors import BrokenAnswer, NotFound, PermissionMissing, Rejected
from tests.fakes.http import answered
from tests.unit.test_clients_graph import OID, client, path_of

GRANT = OAuthGrant(
    grant_id="g", client_sp_oid="c", consent_type="Principal", principal_oid=OID, resource_sp_oid="r", scopes=("A", "B")
)
REMOVALS = {
    "app assignment": lambda it: it.remove_app_assignment(OID, "a1"),
    "sign-in method": lambda it: it.remove_auth_method(OID, "phone", "m1"),
    "role": lambda it: it.remove_role("r1"),
    "grant": lambda it: it.revoke_grant("g1"),
}
RESTORATIONS = {
    "app assignment": lambda it: it.restore_app_assignment(OID, "sp", "0"),
    "role": lambda it: it.add_role(OID, "r1", "/"),
    "grant": lambda it: it.restore_grant(GRANT),
}
PRESENT = (
    Rejected(
        "graph", code="Request_BadRequest", detail="A conflicting object with these values is present.", status=400
    ),
    Rejected("graph", code="Request_BadRequest", detail="Permission entry already exists.", status=400),
    Rejected("graph", code="RoleAssignmentExists", detail="", status=400),
    Rejected("graph", code="Conflict", detail="Another object with the same key value exists.", status=409),
)


@pytest.mark.parametrize("remove", REMOVALS.values(), ids=REMOVALS)
async def test_what_is_gone_already_counts_as_removed(remove):
    """
    A step that is repeated finds its work done.
    """
    changes, script = client(NotFound("graph"))

    await remove(changes)

    assert ("DELETE", True) == (script.requests[0].method, script.requests[0].safe_to_repeat)


@pytest.mark.parametrize("change", [*REMOVALS.values(), *RESTORATIONS.values()])
@pytest.mark.parametrize("refusal", [Rejected("graph", code="X", status=400), PermissionMissing("graph", status=403)])
async def test_any_other_refusal_is_told(change, refusal):
    """
    An admin above the app, a policy against it: nothing was changed.
    """
    changes, _ = client(refusal)

    with pytest.raises(type(refusal)):
        await change(changes)


@pytest.mark.parametrize("restore", RESTORATIONS.values(), ids=RESTORATIONS)
@pytest.mark.parametrize("refusal", PRESENT, ids=lambda refusal: refusal.code)
async def test_what_is_there_already_counts_as_restored(restore, refusal):
    """
    Graph has several words for it.
    """
    changes, script = client(refusal)

    await restore(changes)

    assert ("POST", True) == (script.requests[0].method, script.requests[0].safe_to_repeat)


def test_an_existing_thing_elsewhere_is_not_mistaken_for_ours():
    """
    The same words with another status are about something else.
    """
    refusal = Rejected("graph", code="X", detail="It already exists.", status=412)

    assert not graph.says_already_there(refusal)


@pytest.mark.parametrize("kind", sorted(REMOVABLE_METHODS))
def test_each_kind_of_method_has_its_path(kind):
    """
    `phone` lies in phoneMethods, and so on.
    """
    request = graph.build_remove_auth_method(graph.Place.at("https://graph.microsoft.com"), OID, kind, "a/b")

    assert path_of(request.url).endswith(f"/authentication/{kind}Methods/a%2Fb")


@pytest.mark.parametrize("kind", ["password", "unknown", "external", "../methods", ""])
async def test_methods_without_a_path_are_refused_before_any_call(kind):
    """
    The password is reset, never removed; a kind that is new needs a person.
    """
    changes, script = client()

    with pytest.raises(Rejected) as refusal:
        await changes.remove_auth_method(OID, kind, "m1")

    assert "no_segment" == refusal.value.code
    assert [] == script.requests


async def test_a_pass_is_given_once_and_shown_nowhere():
    """
    Its request is never repeated, and what came back hides it.
    """
    answer = {"temporaryAccessPass": "TAPRocks!", "startDateTime": "2026-11-24T09:00:00Z", "lifetimeInMinutes": 60}
    changes, script = client(answer)

    issued = await changes.issue_access_pass(OID, lifetime_minutes=60, usable_once=True)

    assert "TAPRocks!" == issued.value.get_secret_value()
    assert datetime(2026, 11, 24, 10, 0, tzinfo=UTC) == issued.valid_until
    assert "TAPRocks" not in repr(issued) + issued.model_dump_json() + repr(answered(answer))
    assert script.requests[0].safe_to_repeat is False


@pytest.mark.parametrize("odd", [{"startDateTime": None}, {"lifetimeInMinutes": "soon"}, {"lifetimeInMinutes": 10**9}])
def test_a_pass_without_an_end_is_a_pass(odd):
    """
    Losing it would lose it for good.
    """
    answer = {"temporaryAccessPass": "x", "startDateTime": "2026-11-24T09:00:00Z", "lifetimeInMinutes": 60, **odd}

    assert graph.parse_access_pass(answered(answer)).valid_until is None


@pytest.mark.parametrize(
    "body", [None, [], {}, {"temporaryAccessPass": None}, {"temporaryAccessPass": {"a": "secret"}}]
)
def test_an_answer_without_a_pass_is_broken(body):
    """
    And the error does not show what was there instead.
    """
    with pytest.raises(BrokenAnswer) as trouble:
        graph.parse_access_pass(answered(body))

    assert "secret" not in str(trouble.value)


async def test_a_grant_goes_back_as_it_was():
    """
    For one person, or for everybody and then for nobody in particular.
    """
    changes, script = client({}, {})

    await changes.restore_grant(GRANT)
    await changes.restore_grant(GRANT.model_copy(update={"consent_type": "AllPrincipals", "principal_oid": None}))

    bodies = [request.body for request in script.requests]
    assert [("Principal", OID), ("AllPrincipals", None)] == [(one["consentType"], one["principalId"]) for one in bodies]
    assert {"A B"} == {one["scope"] for one in bodies}


async def test_microsoft_is_told_of_a_compromise_in_the_lane_of_its_limit():
    """
    Identity protection takes one call a second.
    """
    changes, script = client(None)

    await changes.confirm_compromised(OID)

    assert ({"userIds": [OID]}, "risk") == (script.requests[0].body, script.requests[0].lane)
