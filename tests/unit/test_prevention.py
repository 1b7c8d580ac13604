"""What keeps it from happening again: in place only when the tenant proves it."""

from datetime import timedelta
from typing import Any

import pytest

from cards.language import Words, languages
from services.cases import ActionKind, CaseKind, PreventionItem, PreventionState, Text, UnknownReason, say
from services.clients.exchange_models import CasMailbox, Mailbox, OrganizationConfig
from services.clients.graph_models import (
    AuthMethod,
    CaPolicy,
    DirectoryRole,
    MfaRegistration,
    ScoredControl,
    SecureScore,
    SecureScoreControl,
)
from services.errors import LicenceMissing, NotFound, PermissionMissing, Unavailable
from services.prevention import CATALOGUE, GLOBAL_ADMINISTRATOR, MANUAL, Prevention, Scope, due, merged
from tests.fakes.account import NOW, OID, FakeAccount, blocked, outbound
from tests.fakes.clock import FakeClock
from tests.fakes.people import MEGAN, actor

OK, OPEN, UNKNOWN = PreventionState.OK, PreventionState.OPEN, PreventionState.UNKNOWN


def item(item_id: str, state: PreventionState, summary: Text, **fields: Any) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=state, summary=summary, **fields)


async def checked(**values: Any) -> dict[str, PreventionItem]:
    account = FakeAccount(**values)
    return {item.item_id: item for item in await Prevention(account, account, FakeClock()).check(blocked())}


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


READS = (
    *("mfa", "methods", "roles", "admins", "holders", "defaults_on", "policies", "score", "alert_log"),
    *("outbound", "unified_audit", "organisation", "box", "protocols", "bypassed", "legacy_log", "synced"),
    *("domain_list", "controls"),
)


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
        (LicenceMissing("graph"), ("password", "temporaryAccessPass"), OPEN),
        (LicenceMissing("graph"), ("password", "somethingNew"), UNKNOWN),
        (MfaRegistration(user_oid=OID), ("fido2",), OK),
    ],
)
async def test_mfa_of_the_user_is_read_from_the_report_or_from_their_methods(registered, methods, state):
    """
    Without the report a second factor among the methods counts. A password, an address and a pass for a few hours are
    none, and of a method that is not known nobody can tell.
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

    assert (item.state, item.summary.key) == (UNKNOWN, "prevention.defaults_off")


@pytest.mark.parametrize(
    ("policies", "state"),
    [
        ((outbound(),), OK),
        ((outbound(action="BlockUserForToday"),), OPEN),
        ((outbound(action="Alert"),), OPEN),
        ((outbound(action=None),), UNKNOWN),
        ((outbound(action=None), outbound(name="Lax", action="Alert")), OPEN),
        ((outbound(recipients_per_day=0),), OPEN),
        ((outbound(external_per_hour=None),), UNKNOWN),
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
        (("On", None), OPEN),
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


# --- the wider list ---


DEFAULTS_OFF = {"defaults_on": False}
RISK = {"user_risk_levels": ("high",), "grant_controls": ("passwordChange",)}
LEGACY = {"client_app_types": ("exchangeActiveSync", "other"), "grant_controls": ("block",)}


@pytest.mark.parametrize(
    ("item_id", "values", "state", "text"),
    [
        ("user_roles", {"roles": (DirectoryRole(assignment_id="1", role_id="r", role_name="Helpdesk"),)}, OPEN, "open"),
        ("user_mailbox_audit", {"box": Mailbox(upn="jane", audit_enabled=False)}, OPEN, "open"),
        ("user_smtp_auth", {"protocols": CasMailbox(smtp_auth_disabled=False)}, OPEN, "open"),
        ("user_smtp_auth", {"protocols": CasMailbox()}, OK, "ok.organisation"),
        (
            "user_smtp_auth",
            {"protocols": CasMailbox(), "organisation_smtp_auth_off": False},
            OPEN,
            "open.organisation",
        ),
        ("admin_mfa", {"admins": (MfaRegistration(user_oid="a", is_mfa_registered=False),)}, OPEN, "without"),
        ("admin_mfa", {**DEFAULTS_OFF, "policies": ()}, OPEN, "open"),
        ("admin_mfa", {**DEFAULTS_OFF, "policies": (policy(),)}, OK, "policy"),
        (
            "admin_mfa",
            {**DEFAULTS_OFF, "policies": (policy(include_users=(), include_roles=(GLOBAL_ADMINISTRATOR,)),)},
            OK,
            "policy",
        ),
        ("legacy_auth", {}, OK, "defaults"),
        ("legacy_auth", {**DEFAULTS_OFF, "policies": (policy(),)}, OPEN, "open"),
        ("legacy_auth", {**DEFAULTS_OFF, "policies": (policy(**LEGACY),)}, OK, "policy"),
        (
            "legacy_auth",
            {**DEFAULTS_OFF, "policies": (policy(**LEGACY, state="enabledForReportingButNotEnforced"),)},
            OPEN,
            "report_only",
        ),
        ("legacy_auth", {**DEFAULTS_OFF, "policies": (policy(**LEGACY, include_users=("one",)),)}, OPEN, "open"),
        ("conditional_access", {**DEFAULTS_OFF, "policies": (policy(state="disabled"),)}, OPEN, "open"),
        ("conditional_access", {**DEFAULTS_OFF, "policies": (policy(),)}, OK, "ok"),
        ("identity_protection", {"policies": (policy(),)}, OPEN, "open"),
        ("identity_protection", {"policies": (policy(**RISK),)}, OK, "ok"),
        ("few_admins", {"holders": ("one", "one")}, OPEN, "one"),
        ("few_admins", {"holders": ()}, UNKNOWN, "none_seen"),
        ("few_admins", {"holders": tuple("abcde")}, OPEN, "open"),
        ("few_admins", {"holders": tuple("abcd")}, OK, "ok"),
        ("alert_policy", {"alert_log": ()}, UNKNOWN, "unseen"),
    ],
)
async def test_each_item_is_in_place_only_when_it_was_seen_to_be(item_id: str, values: dict, state, text: str):
    """
    Report-only, conditions, exceptions for most, silence: none of them is proof.
    """
    item = (await checked(**values))[item_id]

    assert (state, f"prevention.{item_id}.{text}") == (item.state, item.summary.key)


async def test_smtp_auth_that_nobody_says_is_unknown():
    """
    Neither the mailbox nor the organisation says: not off.
    """
    item = (await checked(protocols=CasMailbox(), organisation_smtp_auth_off=None))["user_smtp_auth"]

    assert UNKNOWN is item.state


async def test_an_open_item_says_what_it_would_bring_and_what_the_bot_could_do():
    """
    Points come from the live list of controls; ids that it does not know bring none.
    """
    score = SecureScore(current=1, maximum=9, controls=(ScoredControl(name="MDO_AutoForwardingMode", score=1.0),))
    profile = SecureScoreControl(control_id="mdo_autoforwardingmode", max_score=5.0)
    items = await checked(outbound=(outbound(auto_forwarding_mode="On"),), score=score, controls=(profile,))

    assert (4.0, ActionKind.BLOCK_AUTO_FORWARDING) == (items["auto_forwarding"].points, items["auto_forwarding"].fix)
    assert (None, None) == (items["outbound_policy"].points, items["outbound_policy"].fix)


async def test_the_tenants_own_list_has_what_the_organisation_does():
    """
    Every item of the organisation, manual ones too, and none of an account.
    """
    account = FakeAccount()
    case = blocked().model_copy(update={"kind": CaseKind.TENANT, "subject": None})

    items = await Prevention(account, account, FakeClock()).check(case)

    assert {i for i, row in CATALOGUE.items() if row.scope is Scope.TENANT} == {item.item_id for item in items}


def test_a_new_reading_keeps_owner_due_date_and_ticks():
    """
    What was in place and can no longer be read is unknown; what nobody read now stays.
    """
    before = (
        item("auto_forwarding", OK, say("x"), owner=actor(MEGAN), due_at=NOW),
        item("warn_contacts", PreventionState.TICKED, say("x"), ticked_by=actor(MEGAN)),
        item("user_mfa", OPEN, say("x")),
    )
    now = (item("auto_forwarding", UNKNOWN, say("y")), item("warn_contacts", PreventionState.TODO, say("y")))

    kept = {one.item_id: one for one in merged(before, now)}

    assert (UNKNOWN, "y", MEGAN.oid) == (
        kept["auto_forwarding"].state,
        kept["auto_forwarding"].summary.key,
        kept["auto_forwarding"].owner.user_oid,
    )
    assert (PreventionState.TICKED, MEGAN.oid) == (
        kept["warn_contacts"].state,
        kept["warn_contacts"].ticked_by.user_oid,
    )
    assert before[2] == kept["user_mfa"]


@pytest.mark.parametrize(
    ("now", "state"),
    [(UNKNOWN, PreventionState.TICKED), (OPEN, OPEN), (OK, OK), (PreventionState.TODO, PreventionState.TICKED)],
)
def test_a_tick_stands_until_the_item_can_be_read(now: PreventionState, state: PreventionState):
    """
    Then the tenant decides, and the tick is no longer told.
    """
    before = item("alert_policy", PreventionState.TICKED, say("x"), ticked_by=actor(MEGAN), ticked_at=NOW)

    (kept,) = merged((before,), (item("alert_policy", now, say("y")),))

    assert (kept.state, kept.summary.key) == (state, "y")
    assert (kept.ticked_by is not None) is (state is PreventionState.TICKED)


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize("item_id", CATALOGUE)
def test_every_item_says_what_why_and_how(item_id: str, language: str):
    """
    In every language, for every row of the catalogue; so do the phases.
    """
    words = Words(language, strict=True)

    for part in ("label", "why", "how"):
        assert words.t(f"prevention.{item_id}.{part}")
    assert words.t(f"prevention.phase.{CATALOGUE[item_id].phase.value}")


@pytest.mark.parametrize(
    ("item_id", "days"), [("warn_contacts", 7), ("legacy_auth", 30), ("mfa_everyone", 90), ("data_loss", 365)]
)
def test_an_item_is_due_by_its_phase(item_id: str, days: int):
    """
    As the roadmap has it; what belongs to the case within a week.
    """
    assert NOW + timedelta(days=days) == due(item_id, NOW)
    assert due("of another version", NOW) is None
