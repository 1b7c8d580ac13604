"""What keeps it from happening again: in place only when the tenant proves it."""

from typing import Any

import pytest

from services.cases import PreventionItem, PreventionState, UnknownReason
from services.clients.exchange_models import OrganizationConfig
from services.clients.graph_models import AuthMethod, CaPolicy, MfaRegistration, SecureScore
from services.errors import LicenceMissing, NotFound, PermissionMissing, Unavailable
from services.prevention import MANUAL, Prevention
from tests.fakes.account import OID, FakeAccount, blocked, outbound

OK, OPEN, UNKNOWN = PreventionState.OK, PreventionState.OPEN, PreventionState.UNKNOWN


async def checked(**values: Any) -> dict[str, PreventionItem]:
    account = FakeAccount(**values)
    return {item.item_id: item for item in await Prevention(account, account).check(blocked())}


def policy(**fields: Any) -> CaPolicy:
    values = {
        "policy_id": "1",
        "name": "MFA",
        "state": "enabled",
        "include_users": ("All",),
        "include_applications": ("All",),
        "client_app_types": ("all",),
        "grant_controls": ("mfa",),
        "grant_operator": "OR",
    }
    return CaPolicy(**(values | fields))


async def test_a_tenant_in_order_has_only_manual_items_left():
    """
    Everything that can be read is in place; what only people can do is to do.
    """
    items = await checked()

    assert tuple(name for name, item in items.items() if item.state is PreventionState.TODO) == MANUAL
    assert {item.state for name, item in items.items() if name not in MANUAL} == {OK}


READS = ("mfa", "methods", "defaults_on", "policies", "score", "outbound", "unified_audit", "organisation")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionMissing("graph"), UnknownReason.PERMISSION),
        (LicenceMissing("graph"), UnknownReason.LICENCE),
        (Unavailable("graph"), UnknownReason.FAULT),
    ],
)
async def test_what_cannot_be_read_is_unknown_with_its_reason(error: Exception, reason: UnknownReason):
    """
    Never in place by default, never an exception.
    """
    items = await checked(**dict.fromkeys(READS, error))

    assert {item.state for name, item in items.items() if name not in MANUAL} == {UNKNOWN}
    assert {item.unknown_reason for name, item in items.items() if name not in MANUAL} == {reason}


async def test_a_fault_of_ours_is_unknown_too():
    """
    One check that breaks leaves the others alone.
    """
    items = await checked(organisation=ZeroDivisionError())

    assert items["mailbox_audit"].summary.key == "unreadable.our_fault"
    assert items["unified_audit"].state is OK


@pytest.mark.parametrize(
    ("registered", "methods", "state"),
    [
        (MfaRegistration(user_oid=OID, is_mfa_registered=True), (), OK),
        (MfaRegistration(user_oid=OID, is_mfa_registered=False), ("phone",), OPEN),
        (LicenceMissing("graph"), ("password", "phone"), OK),
        (NotFound("graph"), ("password", "email"), OPEN),
        (MfaRegistration(user_oid=OID), ("fido2",), OK),
    ],
)
async def test_mfa_of_the_user_is_read_from_the_report_or_from_their_methods(registered, methods, state):
    """
    Without the report a second factor among the methods counts; a password and an address are none.
    """
    kinds = tuple(AuthMethod(method_id=kind, kind=kind) for kind in methods)

    assert (await checked(mfa=registered, methods=kinds))["user_mfa"].state is state


@pytest.mark.parametrize(
    ("fields", "state", "text"),
    [
        ({}, OK, "policy"),
        ({"exclude_users": ("break-glass",)}, OK, "policy_with_exceptions"),
        ({"grant_controls": ("mfa", "compliantDevice"), "grant_operator": "AND"}, OK, "policy"),
        ({"grant_controls": (), "authentication_strength": "Phishing-resistant"}, OK, "policy"),
        ({"client_app_types": ("browser", "mobileAppsAndDesktopClients")}, OK, "policy"),
        ({"state": "enabledForReportingButNotEnforced"}, OPEN, "report_only"),
        ({"state": "disabled"}, OPEN, "open"),
        ({"include_users": ("somebody",)}, OPEN, "open"),
        ({"include_applications": ("one-app",)}, OPEN, "open"),
        ({"client_app_types": ("browser",)}, OPEN, "open"),
        ({"sign_in_risk_levels": ("high",)}, OPEN, "open"),
        ({"grant_controls": ("mfa", "compliantDevice")}, OPEN, "open"),
        ({"grant_controls": ("block",)}, OPEN, "open"),
    ],
)
async def test_only_a_policy_that_asks_everybody_for_mfa_is_proof(fields: dict, state, text: str):
    """
    Enforced, for all users and apps, without conditions and without another way around it.
    """
    item = (await checked(defaults_on=False, policies=(policy(**fields),)))["mfa_everyone"]

    assert (item.state, item.summary.key) == (state, f"prevention.mfa_everyone.{text}")


async def test_policies_that_cannot_be_read_are_unknown_though_defaults_are_off():
    """
    The text tells what is known: security defaults are off.
    """
    item = (await checked(defaults_on=False, policies=LicenceMissing("graph")))["mfa_everyone"]

    assert (item.state, item.summary.key) == (UNKNOWN, "prevention.mfa_everyone.defaults_off")


@pytest.mark.parametrize(
    ("policies", "state"),
    [
        ((outbound(),), OK),
        ((outbound(action="BlockUserForToday"),), OPEN),
        ((outbound(action="Alert"),), OPEN),
        ((outbound(action=None),), OPEN),
        ((outbound(recipients_per_day=0),), OPEN),
        ((outbound(external_per_hour=None),), OPEN),
        ((outbound(), outbound(name="Lax", is_default=False, action="Alert", enabled=True)), OPEN),
        ((outbound(), outbound(name="Lax", is_default=False, action="Alert", enabled=False)), OK),
        ((outbound(enabled=False, action="Alert"),), OPEN),  # the default policy cannot be off
        ((), UNKNOWN),
    ],
)
async def test_outbound_policies_must_restrict_with_limits_of_their_own(policies: tuple, state):
    """
    Every policy in force counts; the default one always is.
    """
    assert (await checked(outbound=policies))["outbound_policy"].state is state


@pytest.mark.parametrize(
    ("modes", "state"),
    [
        (("Off",), OK),
        (("off", "Off"), OK),
        (("Automatic",), OPEN),
        (("Off", "Automatic"), OPEN),
        (("On", "Off"), OPEN),
        (("Off", None), UNKNOWN),
        (("SomethingNew",), UNKNOWN),
        ((), UNKNOWN),
    ],
)
async def test_only_off_proves_that_nothing_is_forwarded(modes: tuple, state):
    """
    Automatic is off in most tenants, but not provably in this one.
    """
    policies = tuple(outbound(name=str(n), auto_forwarding_mode=mode) for n, mode in enumerate(modes))

    assert (await checked(outbound=policies))["auto_forwarding"].state is state


@pytest.mark.parametrize(("said", "state"), [(True, OK), (False, OPEN), (None, UNKNOWN)])
async def test_auditing_is_on_off_or_not_said(said: bool | None, state):
    """
    What Exchange does not say is unknown, for both logs.
    """
    disabled = None if said is None else not said
    items = await checked(unified_audit=said, organisation=OrganizationConfig(audit_disabled=disabled))

    assert items["unified_audit"].state is items["mailbox_audit"].state is state


@pytest.mark.parametrize(
    ("score", "state"),
    [
        (SecureScore(current=70, maximum=100), OK),
        (SecureScore(current=69.9, maximum=100), OPEN),
        (SecureScore(current=None, maximum=100), UNKNOWN),
        (SecureScore(current=5, maximum=0), UNKNOWN),
        (None, UNKNOWN),
    ],
)
async def test_the_secure_score_is_in_place_only_from_its_line_on(score: SecureScore | None, state):
    """
    It is for information: points are shown, and a low score stays open.
    """
    assert (await checked(score=score))["secure_score"].state is state
