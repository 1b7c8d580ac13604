"""
Every documented payload that a parser reads is read. The payloads lie outside the repository, in ../shared/data.

They are Microsoft's own examples and a few errors that people have met; where that folder is missing, the tests say so
by being skipped. Each file has its place in one of the tables below, those that no call of ours has to do with as well.
There are no examples of devices, messages, audit records and Temporary Access Passes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from services.clients import graph, odata
from services.clients.batch import build_batch, parse_batch
from services.clients.failures import Refusal, failure_of
from services.clients.graph import GraphClient, Place
from services.errors import BrokenAnswer, LicenceMissing, NotFound, PermissionMissing, Rejected, Throttled
from tests.fakes.http import Script, answered

EXAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "graph-examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="../shared/data/graph-examples is not here")

Parse = Callable[[Any], Any]

#: Start of a file's name -> the parser of one item in its list.
LISTS: dict[str, Parse] = {
    "signins-": graph.parse_sign_in,
    "signin-get": graph.parse_sign_in,
    "riskdetection": graph.parse_risk_detection,
    "messagerules-list": graph.parse_message_rule,
    "authentication-": graph.parse_auth_method,
    "oauth2permissiongrants": graph.parse_oauth_grant,
    "user-oauth2permissiongrants": graph.parse_oauth_grant,
    "user-approleassignments": graph.parse_app_assignment,
    "directoryaudits": graph.parse_audit_event,
    "conditionalaccess": graph.parse_ca_policy,
    "securescores-list": graph.parse_secure_score,
    "securescorecontrolprofiles": graph.parse_secure_score_control,
    "roleassignments": graph.parse_directory_role,
    "alerts_v2": graph.parse_alert,
    "messagetraces": graph.parse_message_trace,
    "userregistrationdetails": lambda item: graph.parse_registration(answered(item)),
}
#: The same for files that hold one object.
OBJECTS: dict[str, Parse] = {
    "messagerule-get": lambda data: graph.parse_message_rule(data),
    "messagerule-update-v1-2": lambda data: graph.parse_message_rule(data),
    "securescore-get": lambda data: graph.parse_secure_score(data),
    "securitydefaults": lambda data: graph.parse_security_defaults(answered(data)),
    "riskyuser": lambda data: graph.parse_risky_user(answered(data)),
    "auditlogquery-create-v1-2": lambda data: graph.parse_audit_search(answered(data)),
    "user-get-v1-1": lambda data: graph.parse_user(answered(data)),
    "user-get-v1-2": lambda data: graph.parse_user(answered(data)),
}
ERRORS = {
    "observed-error-signins-unlicensed-403": (403, LicenceMissing),
    "observed-error-riskyusers-unlicensed-403": (403, LicenceMissing),
    "observed-error-conditionalaccess-unlicensed-403": (403, LicenceMissing),
    "observed-error-notprovisioned-401": (401, LicenceMissing),
    "observed-error-messagetraces-missing-sp-401": (401, PermissionMissing),
    "observed-error-messagetraces-throttled-429": (429, Throttled),
    "error-throttled-429-body": (429, Throttled),
    "error-nonexistentmailbox": (404, NotFound),
    "error-generic-v1": (416, Rejected),
}
#: Files that a test of its own reads.
BY_THEMSELVES = frozenset(
    {
        "auditlogquery-create-v1-1-request",
        "batch-request-v1",
        "batch-response-v1",
        "messagerule-update-v1-1-request",
        "observed-exo-invokecommand-error-404",
        "user-get-v1-3-response",
        "user-memberof-v1-1-response",
        "user-memberof-v1-2-response",
        "user-memberof-v1-3-response",
        "user-revokesigninsessions-v1",
        "user-update-password-v1-request",
    }
)
#: Start of a file's name -> why nothing of ours reads or writes it. As an answer it is never taken for an empty list.
OTHERS = {
    "changenotification-": "we poll and take no notifications",
    "passwordreset-": "works for a signed-in administrator alone, and we are an app",
    "subscribedskus-": "licences show by what can be read",
    "subscription-": "we poll and take no notifications",
    "user-mailboxsettings-": "automatic replies; forwarding is not in there",
}
OID, UPN = "11111111-2222-3333-4444-555555555555", "jane@contoso.com"
PLACE = Place.at("https://graph.microsoft.com")


def _example(name: str) -> Any:
    return json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))


def _read_by(name: str, parsers: dict[str, Parse]) -> Parse | None:
    return next((parse for start, parse in parsers.items() if name.startswith(start)), None)


def _files(parsers: dict[str, Parse]) -> list[Path]:
    files = sorted(EXAMPLES.glob("*.json")) if EXAMPLES.is_dir() else []
    return [file for file in files if _read_by(file.name, parsers)]


@pytest.mark.parametrize("file", _files(LISTS), ids=lambda file: file.stem)
def test_every_item_of_a_documented_list_is_read(file):
    """
    Each example is one page, and each of its items parses into something with an identity.
    """
    parse = _read_by(file.name, LISTS)

    items, _ = odata.parse_page(answered(file.read_bytes()))

    assert items
    assert all(parse(item) is not None for item in items)


@pytest.mark.parametrize("file", _files(OBJECTS), ids=lambda file: file.stem)
def test_every_documented_object_is_read(file):
    """
    The same for single objects, also where the documentation prints placeholders for values.
    """
    assert _read_by(file.name, OBJECTS)(json.loads(file.read_text("utf-8"))) is not None


@pytest.mark.parametrize(("name", "status", "kind"), [(name, *expected) for name, expected in ERRORS.items()])
def test_every_known_error_means_what_it_should(name, status, kind):
    """
    Bodies that people have met, each leading to the error by which one knows what to do.
    """
    body = (EXAMPLES / f"{name}.json").read_bytes()

    assert type(failure_of(Refusal("graph", "/x", status, {}, body), datetime.now(UTC))) is kind


def test_every_file_has_its_place():
    """
    A payload that is new is either read by something or named as nothing of ours.
    """
    named = {*BY_THEMSELVES, *ERRORS}
    files = {file.stem for file in EXAMPLES.glob("*.json")} - {"INDEX"}
    placed = {name for name in files if name in named or any(_read_by(name, table) for table in (LISTS, OBJECTS))}
    others = {name for name in files if name.startswith(tuple(OTHERS))}

    assert files == placed | others
    assert set() == placed & others
    assert named <= files


@pytest.mark.parametrize("file", _files({start: str for start in OTHERS}), ids=lambda file: file.stem)
def test_other_payloads_are_never_an_empty_list(file):
    """
    Should one of them come as an answer, it is broken or has items.
    """
    try:
        items, _ = odata.parse_page(answered(file.read_bytes()))
    except BrokenAnswer as trouble:
        assert "value" == trouble.params["what"]
    else:
        assert items


def test_a_part_of_a_user_is_no_user():
    """
    Without an id nobody can be told from others.
    """
    with pytest.raises(BrokenAnswer):
        graph.parse_user(answered(_example("user-get-v1-3-response")))


@pytest.mark.parametrize(("number", "found"), [(1, set()), (2, {OID}), (3, set())])
async def test_documented_memberships_are_read(number, found):
    """
    A group that comes without its id is none that we could have asked for.
    """
    client = GraphClient(Script(_example(f"user-memberof-v1-{number}-response")))

    assert found == await client.is_member(OID, [OID])


async def test_the_documented_answer_to_revoking_sessions_is_a_good_one():
    """
    Any good answer is, whatever it holds.
    """
    script = Script(_example("user-revokesigninsessions-v1"))

    await GraphClient(script).revoke_sessions(OID)

    assert 1 == len(script.requests)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("messagerule-update-v1-1-request", graph.build_set_message_rule(PLACE, OID, "r", True)),
        ("user-update-password-v1-request", graph.build_reset_password(PLACE, OID, SecretStr("x"), True)),
        (
            "auditlogquery-create-v1-1-request",
            graph.build_audit_search(PLACE, datetime.now(UTC), datetime.now(UTC), keywordFilter=UPN),
        ),
    ],
)
def test_what_we_send_has_only_documented_names(name, request_):
    """
    A property that Graph does not know would be refused.
    """
    documented = _example(name)

    assert _names(request_.body) & {"isEnabled", "passwordProfile", "keywordFilter"}
    assert _names(request_.body) <= _names(documented) | {"isEnabled"}


def _names(data: Any) -> set[str]:
    """The names of the properties of an object, and of those within it."""
    if isinstance(data, dict):
        return set(data).union(*(_names(value) for value in data.values()))
    return set()


def test_the_documented_batch_is_like_ours():
    """
    Our calls have the same members, and addresses that begin with a slash.
    """
    documented = {name for call in _example("batch-request-v1")["requests"] for name in call}
    ours = build_batch(f"{PLACE.root}/v1.0", [graph.build_get_user(PLACE, OID)]).body["requests"]

    assert set(ours[0]) <= documented
    assert ours[0]["url"].startswith(f"/users/{OID}?")


def test_the_documented_batch_answer_is_read():
    """
    Five answers in one, each with its own meaning.
    """
    answers = parse_batch(answered(_example("batch-response-v1")))

    failures = {
        number: type(failure_of(Refusal("graph", "/x", one.status, one.headers, one.body), datetime.now(UTC)))
        for number, one in answers.items()
        if one.status >= 400
    }
    assert {"1": 200, "2": 403, "3": 403, "4": 405, "5": 200} == {number: one.status for number, one in answers.items()}
    assert {"2": PermissionMissing, "3": PermissionMissing, "4": Rejected} == failures
    assert json.loads(answers["5"].body)["value"]


def test_the_known_error_of_exchange_is_not_found():
    """
    The one body of a failed cmdlet that was ever published.
    """
    body = (EXAMPLES / "observed-exo-invokecommand-error-404.json").read_bytes()

    assert isinstance(failure_of(Refusal("exchange", "Get-Mailbox", 404, {}, body), datetime.now(UTC)), NotFound)


def test_sign_in_fields_come_through():
    """
    Nested fields are found where the documentation has them.
    """
    items, _ = odata.parse_page(answered((EXAMPLES / "signins-list-v1-1-response.json").read_bytes()))

    sign_in = graph.parse_sign_in(items[0])

    assert (True, "US", "Redmond", "Edge 80.0.361") == (
        sign_in.succeeded,
        sign_in.country,
        sign_in.city,
        sign_in.browser,
    )


def test_audit_fields_come_through():
    """
    Who did what to whom, with the capital T that the documentation has in one place.
    """
    items, _ = odata.parse_page(answered((EXAMPLES / "directoryaudits-list-v1.json").read_bytes()))

    event = graph.parse_audit_event(items[0])

    assert "bob@wingtiptoysonline.com" == event.by_upn
    assert ["Group", "User"] == [target.kind for target in event.targets]
    assert "DirectorySync" == event.targets[0].changes[0].new
    assert {"Additional Detail Name": "Additional Detail Value"} == event.details


def test_policy_fields_come_through():
    """
    Three levels down.
    """
    items, _ = odata.parse_page(answered((EXAMPLES / "conditionalaccess-policies-list-v1.json").read_bytes()))

    policy = graph.parse_ca_policy(items[0])

    assert (("None",), ("all",), ("block",), "OR") == (
        policy.include_users,
        policy.client_app_types,
        policy.grant_controls,
        policy.grant_operator,
    )
