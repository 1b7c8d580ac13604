"""Who may send us alerts, and what a delivery says."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from services.alerts.defender import MOST_PEOPLE, reports_of
from services.alerts.model import TENANT as WHOLE_TENANT
from services.alerts.model import AlertKind, SourceName
from services.alerts.sections import WebhookSettings
from services.alerts.webhook import (
    APP_ROLE,
    MOST_REPORTS,
    BadAlerts,
    Delivery,
    Door,
    Ignored,
    NotAdmitted,
    check_claims,
    issuer_v1,
    permitted_caller,
    read_delivery,
    signature,
)
from services.clients.openid import SignedClaims
from services.errors import BrokenAnswer, Unavailable
from tests.fakes.clock import FakeClock
from tests.fakes.people import JANE, TENANT

APP = "22222222-2222-4222-8222-222222222222"
LOGIC_APP = "33333333-3333-4333-8333-333333333333"
LOGIN = "https://login.microsoftonline.com"
ISSUER_V2 = f"{LOGIN}/{TENANT}/v2.0"
SECRET = SecretStr("s" * 32)
NOW = FakeClock().now()
NOW_S = int(NOW.timestamp())


# --- tokens ----------------------------------------------------------------------------------------------------------


def claims(**changes: Any) -> dict[str, Any]:
    """What a token of version 2 says; None takes a claim out."""
    whole = {
        "iss": ISSUER_V2,
        "tid": TENANT,
        "aud": APP,
        "exp": NOW_S + 3600,
        "nbf": NOW_S - 5,
        "azp": LOGIC_APP,
        "roles": [APP_ROLE],
        **changes,
    }
    return {name: value for name, value in whole.items() if value is not None}


def check(said: dict[str, Any]) -> None:
    check_claims(SignedClaims(ISSUER_V2, said), now=NOW, tenant_id=TENANT, app_id=APP, login=LOGIN)


@pytest.mark.parametrize(
    "said",
    [
        claims(),
        claims(iss=f"https://sts.windows.net/{TENANT}/", azp=None, appid=LOGIC_APP, aud=f"api://{APP}", ver="1.0"),
        claims(aud=f"API://{APP.upper()}", idtyp="app", nbf=None),
        claims(exp=NOW_S - 299),
    ],
    ids=["version 2", "version 1", "says that it is an app's", "our clock is ahead"],
)
def test_a_token_of_our_tenant_for_this_app_is_taken(said: dict[str, Any]) -> None:
    """Entra writes issuer and audience in two ways, by the version that the app registration accepts."""
    check(said)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (claims(iss="https://login.microsoftonline.com/other/v2.0"), "wrong issuer"),
        (claims(tid="99999999-9999-4999-8999-999999999999"), "wrong tenant"),
        (claims(tid=None), "wrong tenant"),
        (claims(aud="https://graph.microsoft.com"), "wrong audience"),
        (claims(aud=[APP]), "wrong audience"),
        (claims(exp=NOW_S - 300), "expired"),
        (claims(exp=None), "no usable exp"),
        (claims(exp=True), "no usable exp"),
        (claims(nbf=NOW_S + 301), "not valid yet"),
        (claims(scp="user_impersonation"), "a person's token"),
        (claims(idtyp="user"), "a person's token"),
    ],
)
def test_any_other_token_is_refused(said: dict[str, Any], reason: str) -> None:
    """Each for a reason of its own, which only our log learns."""
    with pytest.raises(NotAdmitted, match=reason):
        check(said)


def test_the_older_issuer_of_china_has_another_name() -> None:
    """The clouds have login services of their own."""
    assert f"https://sts.chinacloudapi.cn/{TENANT}/" == issuer_v1("https://login.partner.microsoftonline.cn", TENANT)


@pytest.mark.parametrize("name", ["azp", "appid"])
def test_an_app_that_the_settings_name_may_send(name: str) -> None:
    """By its application id, whatever roles it has."""
    sender = permitted_caller({name: LOGIC_APP.upper()}, WebhookSettings(callers=(LOGIC_APP,)))

    assert LOGIC_APP == sender


def test_the_app_role_does_where_the_settings_say_so() -> None:
    """And nowhere else: a role is given to apps by others than those who write the settings."""
    assert LOGIC_APP == permitted_caller(claims(), WebhookSettings(app_role=True))
    with pytest.raises(NotAdmitted):
        permitted_caller(claims(), WebhookSettings(callers=(APP,)))


@pytest.mark.parametrize("roles", [None, [], ["Alerts.Read"], APP_ROLE, {"Alerts.Write": 1}])
def test_an_app_without_the_role_may_not(roles: Any) -> None:
    """The claim is a list of names."""
    with pytest.raises(NotAdmitted):
        permitted_caller(claims(roles=roles), WebhookSettings(app_role=True))


# --- the door --------------------------------------------------------------------------------------------------------


class Keys:
    """Fulfils what the door asks of Entra's keys, with an answer of the test's."""

    def __init__(self, answer: Any = None, *, unread: bool = False) -> None:
        self.answer, self.unread = answer, unread

    async def load(self) -> None:
        if self.unread:
            raise Unavailable("entra")

    async def signed(self, token: str) -> SignedClaims:
        if isinstance(self.answer, Exception):
            raise self.answer
        return SignedClaims(ISSUER_V2, self.answer)


def door(keys: Keys | None = None, **settings: Any) -> Door:
    return Door(WebhookSettings(**settings), keys or Keys(claims()), FakeClock(), TENANT, APP, LOGIN)


def signed_headers(body: bytes, *, at: str = str(NOW_S), key: bytes = b"s" * 32) -> dict[str, str]:
    return {"X-Unblock-Timestamp": at, "X-Unblock-Signature": f"v1={signature(key, at, body)}"}


async def test_whoever_signs_with_the_secret_may_send() -> None:
    """With the one in force, or the one before it while it is being changed."""
    both = door(secret=SecretStr("n" * 40), old_secret=SECRET)

    assert "signed" == await both.admit(signed_headers(b"{}"), b"{}")
    assert "signed" == await both.admit(signed_headers(b"{}", key=b"n" * 40), b"{}")


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "no timestamp"),
        ({"X-Unblock-Timestamp": str(NOW_S)}, "no signature"),
        (signed_headers(b"[]"), "does not hold"),
        (signed_headers(b"{}", key=b"t" * 32), "does not hold"),
        ({**signed_headers(b"{}"), "X-Unblock-Timestamp": str(NOW_S + 1)}, "does not hold"),
        (signed_headers(b"{}", at=str(NOW_S - 301)), "not of now"),
        (signed_headers(b"{}", at=str(NOW_S + 301)), "not of now"),
        (signed_headers(b"{}", at="soon"), "no timestamp"),
        (signed_headers(b"{}", at="9" * 40), "no timestamp"),
        ({**signed_headers(b"{}"), "X-Unblock-Signature": "v2=" + "0" * 64}, "no signature"),
        ({**signed_headers(b"{}"), "X-Unblock-Signature": "v1=é" + "0" * 63}, "no signature"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_signature_that_proves_nothing_is_refused(headers: dict[str, str], reason: str) -> None:
    """One of another body, key or moment, an old one, and none at all."""
    with pytest.raises(NotAdmitted, match=reason):
        await door(secret=SECRET).admit(headers, b"{}")


async def test_a_token_is_no_use_where_only_signatures_are_taken_and_the_reverse() -> None:
    """The settings name the ways; another one opens nothing."""
    token = {"Authorization": "Bearer a.b.c"}

    with pytest.raises(NotAdmitted):
        await door(secret=SECRET).admit(token, b"{}")
    with pytest.raises(NotAdmitted):
        await door(app_role=True).admit(signed_headers(b"{}"), b"{}")
    assert LOGIC_APP == await door(app_role=True).admit(token, b"{}")


async def test_a_token_is_not_refused_for_want_of_keys() -> None:
    """The sender is told to come back, as its token may be good."""
    with pytest.raises(Unavailable):
        await door(Keys(unread=True), app_role=True).admit({"Authorization": "Bearer a.b.c"}, b"{}")


@pytest.mark.parametrize("header", ["Basic abc", "Bearer", "Bearer " + "a" * 20_000])
async def test_what_is_no_bearer_token_is_refused(header: str) -> None:
    """Before any key is looked for."""
    with pytest.raises(NotAdmitted):
        await door(Keys(unread=True), app_role=True).admit({"Authorization": header}, b"{}")


async def test_a_forged_token_is_refused() -> None:
    """One that no key of the tenant's Entra has signed."""
    with pytest.raises(NotAdmitted, match="signature"):
        forged = Keys(BrokenAnswer("entra", what="signature of the id token"))
        await door(forged, app_role=True).admit({"Authorization": "Bearer a.b.c"}, b"{}")


def test_a_short_secret_is_no_setting() -> None:
    """And its value is no part of the complaint."""
    with pytest.raises(ValidationError, match="at least 32 bytes") as refused:
        WebhookSettings(secret=SecretStr("hunter2"))

    assert "hunter2" not in str(refused.value)


def test_nobody_may_send_while_nothing_is_set() -> None:
    """The section may be left out."""
    assert not WebhookSettings().is_on
    assert WebhookSettings(secret=SECRET).is_on and WebhookSettings(app_role=True).is_on


# --- what it says ----------------------------------------------------------------------------------------------------


def defender_alert(**changes: Any) -> dict[str, Any]:
    """An alert as Graph spells it."""
    return {
        "id": "da-1",
        "title": "User restricted from sending email",
        "status": "new",
        "createdDateTime": "2026-11-24T02:58:00Z",
        "evidence": [{"userAccount": {"userPrincipalName": JANE.upn, "azureAdUserId": JANE.oid}}],
        **changes,
    }


def delivered(*alerts: Any, body: bytes | None = None) -> Delivery:
    content = body if body is not None else json.dumps({"value": list(alerts)}).encode()
    ours = partial(reports_of, source=SourceName.WEBHOOK)
    return read_delivery(content, tenant_id=TENANT, now=NOW, reports_of=ours)


def about(*names: str) -> list[dict[str, Any]]:
    """Evidence that names these accounts."""
    return [{"userAccount": {"userPrincipalName": name}} for name in names]


def test_one_alert_needs_no_list_around_it() -> None:
    """A logic app sends what one of its triggers gave it."""
    delivery = delivered(body=json.dumps(defender_alert()).encode())

    (report,) = delivery.reports
    assert (1, 1) == (delivery.received, delivery.accepted)
    assert (SourceName.WEBHOOK, AlertKind.SENDER_RESTRICTED, JANE.upn, "da-1") == (
        report.source,
        report.kind,
        report.about,
        report.external_id,
    )


def test_what_is_none_of_ours_is_counted_as_ignored() -> None:
    """Another title, another tenant, and evidence that is no account."""
    delivery = delivered(
        defender_alert(),
        defender_alert(id="da-2", title="Malware was detected"),
        defender_alert(id="da-3", tenantId="99999999-9999-4999-8999-999999999999"),
        defender_alert(id="da-4", evidence=[{"url": "https://contoso.example"}]),
    )

    assert 1 == delivery.accepted and 1 == len(delivery.reports)
    assert {Ignored.OTHER_TITLE: 1, Ignored.OTHER_TENANT: 1, Ignored.NOBODY_NAMED: 1} == delivery.ignored


def test_an_alert_about_the_whole_tenant_needs_nobody() -> None:
    """Its title says enough."""
    (report,) = delivered({"id": "da-5", "title": "Tenant restricted from sending email"}).reports

    assert (AlertKind.TENANT_RESTRICTED, WHOLE_TENANT) == (report.kind, report.about)


def test_fields_may_be_missing_or_null_or_odd() -> None:
    """Only what it is and whom it is about is needed."""
    bare = {"id": "da-6", "title": "User restricted from sending email", "evidence": [{"primaryAddress": JANE.upn}]}
    odd = {**bare, "createdDateTime": "yesterday", "severity": None, "status": 4, "tenantId": None, "alertWebUrl": None}

    assert [None, None] == [report.since for alert in (bare, odd) for report in delivered(alert).reports]


def test_one_alert_about_two_accounts_is_two_reports() -> None:
    """Each account has an alert of its own."""
    delivery = delivered(defender_alert(evidence=about("a@contoso.com", "b@contoso.com")))

    assert 1 == delivery.accepted and ["a@contoso.com", "b@contoso.com"] == [r.about for r in delivery.reports]


@pytest.mark.parametrize(
    ("alert", "field", "problem"),
    [
        ({"title": "x"}, "value[1].id", "is required"),
        (defender_alert(id=None), "value[1].id", "is required"),
        (defender_alert(title=""), "value[1].title", "is required"),
        (defender_alert(id={"a": 1}), "value[1].id", "cannot be read"),
        (defender_alert(evidence="none"), "value[1].evidence", "cannot be read"),
        (defender_alert(evidence=[{"userAccount": JANE.upn}]), "value[1].evidence", "cannot be read"),
        (defender_alert(evidence=None), "value[1].evidence", "is required"),
        (defender_alert(evidence=[], Entities=[{"Name": "jane"}]), "value[1].evidence", "is required"),
        (defender_alert(createdDateTime="9999-12-31T23:59:59Z"), "value[1].createdDateTime", "is in the future"),
        (defender_alert(lastUpdateDateTime="2026-12-24T00:00Z"), "value[1].lastUpdateDateTime", "is in the future"),
        (defender_alert(title=["x"]), "value[1].title", "cannot be read"),
        ("text", "value[1]", "must be an object"),
        (None, "value[1]", "must be an object"),
    ],
)
def test_an_alert_that_cannot_be_read_is_named_and_the_others_count(alert: Any, field: str, problem: str) -> None:
    """The sender learns which field of which alert it is."""
    delivery = delivered(defender_alert(), alert)

    (found,) = delivery.problems
    assert (field, problem) == (found.field, found.problem)
    assert 1 == delivery.accepted


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"\xff\xfe", "body"),
        (b'{"value": {}}', "value"),
        (b'{"value": null}', "value"),
        (b'{"id": NaN}', "body"),
        (b"[" * 100_000, "body"),
    ],
)
def test_a_body_that_cannot_be_read_says_where(body: bytes, field: str) -> None:
    """Nothing of it is taken."""
    with pytest.raises(BadAlerts) as refused:
        delivered(body=body)

    assert field == refused.value.field


def test_evidence_that_cannot_be_read_takes_nobody_with_it() -> None:
    """Whoever else the alert names is told all the same."""
    delivery = delivered(defender_alert(evidence=[7, {"userAccount": "jane"}, *about("bob@contoso.com")]))

    assert ((), ["bob@contoso.com"]) == (delivery.problems, [report.about for report in delivery.reports])


def test_an_alert_about_more_accounts_than_anybody_can_handle_is_refused() -> None:
    """It says so, and the others count."""
    many = about(*(f"person{n}@contoso.com" for n in range(MOST_PEOPLE + 1)))
    delivery = delivered(defender_alert(evidence=many[1:]), defender_alert(id="da-2", evidence=many))

    (problem,) = delivery.problems
    assert ("value[1].evidence", "names more than 500 accounts") == (problem.field, problem.problem)
    assert (1, MOST_PEOPLE) == (delivery.accepted, len(delivery.reports))


def test_one_request_counts_for_so_many_accounts_and_no_more() -> None:
    """What is beyond is named, so that it can be sent in another request."""
    alerts = [
        defender_alert(id=f"da-{n}", evidence=about(*(f"p{n}.{m}@contoso.com" for m in range(MOST_PEOPLE))))
        for n in range(5)
    ]
    delivery = delivered(*alerts)

    assert (["value[4]"], MOST_REPORTS) == ([each.field for each in delivery.problems], len(delivery.reports))


def test_an_empty_list_is_no_mistake() -> None:
    """A poller may have had nothing to tell."""
    assert Delivery(0, (), {}, ()) == delivered()
