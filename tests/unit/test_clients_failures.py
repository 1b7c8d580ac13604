"""What refusals mean: the bodies that Graph and Exchange were seen to send, and bodies that nobody should send."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.clients.failures import Refusal, failure_of
from services.errors import (
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    ServiceError,
    Throttled,
    Unavailable,
)

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def failure(status: int, body: object, service: str = "graph", **headers: str) -> ServiceError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failure_of(Refusal(service, "/x", status, headers, raw, permission="Some.Permission"), NOW)


def error(code: str, message: str = "") -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, error("Authentication_RequestFromNonPremiumTenantOrB2CTenant", "Neither tenant is B2C or ...")),
        (403, error("Forbidden", "Your tenant is not licensed for this feature.")),
        (403, error("AccessDenied", "Your tenant is not licensed for this feature. Please upgrade.")),
        (403, error("", "Neither tenant is B2C or tenant doesn't have premium license")),
        (401, error("Unauthorized", "Account is not provisioned.")),
        (400, error("BadRequest", "Request not applicable to target tenant.")),
        (400, error("AadPremiumLicenseRequired", "The tenant needs to have ...")),
    ],
)
def test_a_missing_licence_is_told_from_a_missing_permission(status, body):
    """
    Every way in which Graph says "not bought" is a licence matter: asking for consent would not help.
    """
    assert isinstance(failure(status, body), LicenceMissing)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, error("Authorization_RequestDenied"), PermissionMissing),
        (403, b"", PermissionMissing),
        (403, {"error": "odd"}, PermissionMissing),
        (401, error("Unauthorized", "Service principal-less Authentication failed: ..."), PermissionMissing),
        (404, error("Request_ResourceNotFound"), NotFound),
        (404, b"<html>", NotFound),
        (400, error("ErrorNonExistentMailbox", "The SMTP address has no mailbox."), NotFound),
        (429, error("UnknownError"), Throttled),
        (500, error("generalException"), Unavailable),
        (503, b"", Unavailable),
        (400, error("Request_BadRequest", "Unable to update."), Rejected),
        (409, [], Rejected),
    ],
)
def test_graph_refusals(status, body, kind):
    """
    Each refusal leads to the error by which the reader knows what to do.
    """
    assert type(failure(status, body)) is kind


def test_error_members_are_read_in_any_case():
    """
    Services do not agree on how to spell error, code and innerError.
    """
    refusal = failure(400, {"Error": {"Code": "Odd", "MESSAGE": "Words."}})

    assert ("Odd", "Words.") == (refusal.code, refusal.detail)


def cmdlet_error(kind: str, words: str, status: int = 404) -> ServiceError:
    body = {
        "error": {
            "code": "NotFound",
            "message": "Error executing cmdlet",
            "details": [{"code": "Client", "target": "", "message": f"Ex6F9304|Microsoft.Exchange.{kind}|{words}"}],
            "innererror": {"stacktrace": "at Secret.Method()", "internalexception": {"message": "inner"}},
        }
    }
    return failure(status, body, "exchange")


def test_exchange_says_not_found_only_by_its_exception():
    """
    Everything that a cmdlet complains of comes as 404; one .NET type alone means "no such object".
    """
    assert isinstance(cmdlet_error("Tasks.ManagementObjectNotFoundException", "couldn't be found"), NotFound)
    assert isinstance(cmdlet_error("Data.DataValidationException", "too many"), Rejected)
    assert isinstance(failure(404, {"error": {"code": "NotFound"}}, "exchange"), Rejected)


def test_exchange_details_hold_no_servers_and_no_stack():
    """
    What is shown to people is the sentence alone, with the name of the mailbox server struck out.
    """
    refusal = cmdlet_error("Data.QuotaException", "Limit reached on 'YQB01DC007.CAN01A012.PROD.OUTLOOK.COM'. | Wait.")

    assert "QuotaException" == refusal.code
    assert "Limit reached on 'a server'. | Wait." == refusal.detail


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b"\x00" * 40),
        (401, b""),
        (400, error("BadRequest", "The term 'X' is not present in the role definition of the current user.")),
    ],
)
def test_exchange_without_a_role_is_a_missing_permission(status, body):
    """
    NUL bytes, an empty 401 and a sentence about role definitions: the app has no role for this cmdlet.
    """
    assert isinstance(failure(status, body, "exchange"), PermissionMissing)


def test_detail_has_an_end():
    """
    A complaint of any length becomes one that fits a card.
    """
    assert 300 == len(failure(400, error("X", "long " * 100_000)).detail)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(["error", "code", "message", "details", "innerError"]) | st.text(max_size=3), children
        )
    ),
    max_leaves=12,
)


@given(
    st.integers(300, 599), JSON | st.binary(max_size=30), st.sampled_from(["graph", "exchange"]), st.text(max_size=9)
)
def test_no_body_breaks_the_reading(status, body, service, header):
    """
    Whatever is sent with a refusal, it becomes one of our errors.
    """
    assert isinstance(failure(status, body, service, **{"Retry-After": header}), ServiceError)
