"""
Every documented payload that a parser reads is read. The payloads lie outside the repository, in ../shared/data.

They are Microsoft's own examples and a few errors that people have met; where that folder is missing, the tests say so
by being skipped.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.clients import graph, odata
from services.clients.failures import Refusal, failure_of
from services.errors import LicenceMissing, NotFound, PermissionMissing, Rejected, Throttled
from tests.fakes.http import answered

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
