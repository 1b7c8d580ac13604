"""What was read of the tenant, judged: in place only when it was seen to be so, whatever odd things Graph says."""

from typing import Any

import pytest

from services.cases import PreventionItem, PreventionState, UnknownReason
from services.clients.graph_models import CaPolicy, Domain, MfaRegistration, ScoredControl, SecureScore, SignIn
from services.clients.graph_models import SecureScoreControl as Control
from services.clients.graph_tenant import parse_ca_policy
from services.errors import LicenceMissing, PermissionMissing, Unavailable
from services.prevention import GLOBAL_ADMINISTRATOR, mail, score, sign_in
from services.prevention.sign_in import SignInRules
from tests.fakes.account import NOW

OK, OPEN, UNKNOWN, TODO = PreventionState.OK, PreventionState.OPEN, PreventionState.UNKNOWN, PreventionState.TODO
NO_DEFAULTS, NO_POLICIES = PermissionMissing("graph"), Unavailable("graph")
REGISTERED = MfaRegistration(user_oid="a", upn="grace@contoso.com", is_mfa_registered=True)


def graph_policy(grant: str = "mfa", state: str = "enabled", **conditions: Any) -> dict[str, Any]:
    """A policy as Graph spells it, for everybody and every app unless told."""
    users = {"includeUsers": ["All"], "excludeUsers": [], **conditions.pop("users", {})}
    apps = {"includeApplications": ["All"], "excludeApplications": [], **conditions.pop("applications", {})}
    empty = {"clientAppTypes": ["all"], "locations": None, "platforms": None, "devices": None}
    return {
        "id": "1",
        "displayName": "P",
        "state": state,
        "conditions": {**empty, "users": users, "applications": apps, **conditions},
        "grantControls": {"operator": "OR", "builtInControls": [grant]},
    }


def policy(grant: str = "mfa", state: str = "enabled", **conditions: Any) -> CaPolicy:
    return parse_ca_policy(graph_policy(grant, state, **conditions))


def rules(*policies: CaPolicy) -> SignInRules:
    """Security defaults are off, and these policies are there."""
    return SignInRules(False, policies)


def told(item: PreventionItem) -> tuple[PreventionState, str]:
    return item.state, item.summary.key.removeprefix(f"prevention.{item.item_id}.")


# --- what narrows a policy -------------------------------------------------------------------------------------------

ANYWHERE = [
    {"locations": {"includeLocations": ["All"], "excludeLocations": []}},
    {"platforms": {"includePlatforms": ["all"], "excludePlatforms": None}},
    {"devices": {"deviceFilter": None}},
    {"insiderRiskLevels": None, "authenticationFlows": None, "servicePrincipalRiskLevels": []},
    {"locations": {"includeLocations@odata.type": "#Collection(String)", "includeLocations": ["All"]}},
]
SOMEWHERE = [
    {"locations": {"includeLocations": ["All"], "excludeLocations": ["AllTrusted"]}},
    {"locations": {"includeLocations": ["9d1c4b5e-named-location"], "excludeLocations": []}},
    {"platforms": {"includePlatforms": ["android", "iOS"]}},
    {"devices": {"deviceFilter": {"mode": "exclude", "rule": 'device.isCompliant -eq "True"'}}},
    {"authenticationFlows": {"transferMethods": "deviceCodeFlow"}},
    {"insiderRiskLevels": "elevated"},
    {"somethingNew": ["x"]},
    {"signInRiskLevels": ["high"]},
    {"clientAppTypes": ["browser"]},
    {"users": {"includeUsers": ["None"], "includeGroups": ["some"]}},
    {"applications": {"includeApplications": ["Office365"]}},
    {"applications": {"excludeApplications": ["Office365"]}},
    {"applications": {"excludeApplications": ["00000002-0000-0FF1-CE00-000000000000"]}},
]


@pytest.mark.parametrize("conditions", ANYWHERE)
def test_conditions_that_leave_nothing_out_do_not_narrow_a_policy(conditions: dict):
    """
    All places, all platforms, no filter.
    """
    assert told(sign_in.mfa_everyone(rules(policy(**conditions)))) == (OK, "policy")


@pytest.mark.parametrize("conditions", SOMEWHERE)
def test_mfa_that_is_asked_only_sometimes_is_no_mfa_for_everybody(conditions: dict):
    """
    At home, on a phone, from a risky place, from nowhere that we know: the attacker chooses where to come from.
    """
    assert told(sign_in.mfa_everyone(rules(policy(**conditions)))) == (OPEN, "open")


def test_exceptions_are_counted_and_the_strictest_policy_is_told():
    """
    Users, groups, roles and apps that are left out.
    """
    lax = policy(users={"excludeUsers": ["a", "b"], "excludeRoles": ["c"]}, applications={"excludeApplications": ["d"]})
    less_lax = policy(users={"excludeGroups": ["a"]})
    item = sign_in.mfa_everyone(rules(lax, less_lax))

    assert (lax.exceptions, item.summary.params["n"]) == (4, 1)
    assert told(item) == (OK, "policy_with_exceptions")


# --- security defaults and policies ----------------------------------------------------------------------------------


@pytest.mark.parametrize("judge", [sign_in.mfa_everyone, sign_in.legacy_auth, sign_in.conditional_access])
def test_security_defaults_are_proof_even_when_policies_cannot_be_read(judge):
    """
    They ask everybody for MFA and shut out legacy authentication.
    """
    assert told(judge(SignInRules(True, NO_POLICIES))) == (OK, "defaults")


def test_a_policy_is_proof_even_when_security_defaults_cannot_be_read():
    """
    But without one the defaults might be on, so nothing is known.
    """
    proven = sign_in.mfa_everyone(SignInRules(NO_DEFAULTS, (policy(),)))
    open_or_not = sign_in.mfa_everyone(SignInRules(NO_DEFAULTS, ()))

    assert told(proven) == (OK, "policy")
    assert (open_or_not.state, open_or_not.unknown_reason) == (UNKNOWN, UnknownReason.PERMISSION)


@pytest.mark.parametrize(
    ("defaults_on", "key"), [(False, "prevention.defaults_off"), (NO_DEFAULTS, "unreadable.fault")]
)
def test_without_the_policies_nothing_is_known(defaults_on, key: str):
    """
    What is known is told: the defaults are off.
    """
    item = sign_in.conditional_access(SignInRules(defaults_on, NO_POLICIES))

    assert (item.state, item.summary.key) == (UNKNOWN, key)


@pytest.mark.parametrize(
    ("given", "state"),
    [
        ((), OPEN),
        ((policy(state="disabled"),), OPEN),
        ((policy(state="enabledForReportingButNotEnforced"),), OPEN),
        ((policy(users={"includeUsers": ["None"]}),), OPEN),
        ((policy(applications={"includeApplications": ["None"]}),), OPEN),
        ((policy(users={"includeUsers": ["somebody"]}),), OK),
        ((policy(), policy(state="disabled")), OK),
    ],
)
def test_conditional_access_is_in_use_when_a_policy_asks_somebody_for_something(given: tuple, state):
    """
    Disabled ones, trials, and templates for nobody do not count.
    """
    assert sign_in.conditional_access(rules(*given)).state is state


# --- legacy authentication -------------------------------------------------------------------------------------------

BLOCKING = policy("block", clientAppTypes=["exchangeActiveSync", "other"])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (BLOCKING, (OK, "policy")),
        (policy("block", clientAppTypes=["other"]), (OPEN, "open")),
        (policy("block", clientAppTypes=["exchangeActiveSync"]), (OPEN, "open")),
        (policy("mfa", clientAppTypes=["exchangeActiveSync", "other"]), (OPEN, "open")),
        (
            policy("block", "enabledForReportingButNotEnforced", clientAppTypes=["ExchangeActiveSync", "Other"]),
            (OPEN, "report_only"),
        ),
        (policy("block", clientAppTypes=["exchangeActiveSync", "other"], **SOMEWHERE[0]), (OPEN, "open")),
        (
            policy("block", clientAppTypes=["exchangeActiveSync", "other"], users={"excludeUsers": ["printer"]}),
            (OK, "policy_with_exceptions"),
        ),
    ],
)
def test_legacy_authentication_is_blocked_by_a_policy_for_both_kinds_of_client(given: CaPolicy, expected):
    """
    "other" are IMAP, POP and SMTP; Exchange ActiveSync is a kind of its own.
    """
    assert told(sign_in.legacy_auth(rules(given))) == expected


def test_sign_ins_show_that_legacy_authentication_gets_in():
    """
    Where no block is proven they make it open, also when the policies could not be read; a proven block stays.
    """
    used = (SignIn(sign_in_id="1", client_app="IMAP4"), SignIn(sign_in_id="2", client_app=None))
    unread, blocked = sign_in.legacy_auth(SignInRules(False, NO_POLICIES)), sign_in.legacy_auth(rules(BLOCKING))
    item = sign_in.legacy_auth_by_use(unread, used)

    assert told(item) == (OPEN, "used")
    assert item.summary.params == {"n": 2, "clients": ["?", "IMAP4"]}
    assert sign_in.legacy_auth_by_use(unread, ()) == unread
    assert sign_in.legacy_auth_by_use(blocked, used) == blocked


# --- risk ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "scored", "state"),
    [
        (policy("passwordChange", userRiskLevels=["high"]), False, OK),
        (policy("mfa", signInRiskLevels=["high", "medium"]), False, OK),
        (policy("mfa", "enabledForReportingButNotEnforced", signInRiskLevels=["high"]), False, OPEN),
        (policy("mfa", users={"includeUsers": ["one"]}, signInRiskLevels=["high"]), False, OPEN),
        (policy("mfa", signInRiskLevels=["high"], applications={"includeApplications": ["one"]}), False, OPEN),
        (policy("mfa"), False, OPEN),
        (policy("mfa"), True, OK),
    ],
)
def test_risk_has_consequences_by_a_policy_or_by_the_score(given: CaPolicy, scored: bool, state):
    """
    The older risk policies are not listed by Graph, but the Secure Score counts them.
    """
    assert sign_in.identity_protection((given,), scored).state is state


# --- administrators --------------------------------------------------------------------------------------------------

NOT_REGISTERED = MfaRegistration(user_oid="b", is_mfa_registered=False)
NOT_SAID = MfaRegistration(user_oid="c")
FOR_ADMINS = policy(users={"includeUsers": [], "includeRoles": [GLOBAL_ADMINISTRATOR.upper()]})


@pytest.mark.parametrize(
    ("asked", "admins", "expected"),
    [
        (SignInRules(True, ()), (REGISTERED,), (OK, "defaults")),
        (rules(policy()), (REGISTERED, REGISTERED), (OK, "policy")),
        (rules(FOR_ADMINS), (REGISTERED,), (OK, "policy")),
        (rules(policy(users={"includeUsers": [], "includeRoles": ["helpdesk"]})), (REGISTERED,), (OPEN, "open")),
        (rules(FOR_ADMINS.model_copy(update={"narrowed_by": ("locations",)})), (REGISTERED,), (OPEN, "open")),
        (rules(policy()), (REGISTERED, NOT_REGISTERED), (OPEN, "without")),
        (SignInRules(False, NO_POLICIES), (NOT_REGISTERED,), (OPEN, "without")),
        (rules(policy()), (REGISTERED, NOT_SAID), (UNKNOWN, "unreadable.fault")),
        (rules(policy()), (), (UNKNOWN, "unreadable.fault")),
        (rules(policy()), LicenceMissing("graph"), (UNKNOWN, "asked")),
        (rules(), LicenceMissing("graph"), (OPEN, "open")),
        (rules(), (), (OPEN, "open")),
    ],
)
def test_administrators_must_be_asked_for_mfa_and_all_have_registered(asked: SignInRules, admins, expected):
    """
    An empty report, a row without an answer and a report that cannot be read prove nothing.
    """
    assert told(sign_in.admin_mfa(asked, admins)) == expected


def test_a_few_of_the_administrators_without_mfa_are_named():
    """
    Five names and the number of all of them.
    """
    admins = [NOT_REGISTERED.model_copy(update={"user_oid": str(n)}) for n in range(7)]
    summary = sign_in.admin_mfa(rules(policy()), admins).summary

    assert (summary.params["n"], len(summary.params["names"])) == (7, 5)


@pytest.mark.parametrize(
    ("synced", "kinds", "expected"),
    [
        (False, ("Managed", "managed"), (OK, "ok")),
        (True, ("Managed",), (TODO, "synced")),
        (False, ("Managed", "Federated"), (TODO, "federated")),
        (True, ("Federated",), (TODO, "federated")),
        (False, ("SomethingNew",), (TODO, "federated")),
        (False, (None,), (UNKNOWN, "unreadable.fault")),
        (False, (), (UNKNOWN, "unreadable.fault")),
    ],
)
def test_another_directory_is_for_a_person_to_look_at(synced: bool, kinds: tuple, expected):
    """
    Only when Entra alone keeps the passwords is there nothing to look at.
    """
    domains = [Domain(name=f"{n}.example", authentication=kind) for n, kind in enumerate(kinds)]

    assert told(sign_in.federated_accounts(synced, domains)) == expected


# --- mail ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mailbox_on", "organisation_disabled", "bypassed", "expected"),
    [
        (True, False, False, (OK, "ok")),
        (False, False, False, (OPEN, "open")),
        (True, True, False, (OPEN, "organisation")),
        (True, False, True, (OPEN, "bypassed")),
        (None, False, False, (UNKNOWN, "unreadable.fault")),
        (True, None, False, (UNKNOWN, "unreadable.fault")),
        (True, False, None, (UNKNOWN, "unreadable.fault")),
        (None, True, None, (OPEN, "organisation")),
    ],
)
def test_a_mailbox_is_audited_when_nothing_overrides_it(mailbox_on, organisation_disabled, bypassed, expected):
    """
    The organisation and an exempt account win over what the mailbox says; silence is not yes.
    """
    assert told(mail.user_mailbox_audit(mailbox_on, organisation_disabled, bypassed)) == expected


@pytest.mark.parametrize(
    ("own", "organisation", "expected"),
    [
        (True, None, (OK, "ok")),
        (False, True, (OPEN, "open")),
        (None, True, (OK, "ok.organisation")),
        (None, False, (OPEN, "open.organisation")),
        (None, None, (UNKNOWN, "unreadable.fault")),
    ],
)
def test_smtp_auth_of_a_mailbox_follows_the_organisation_unless_it_says_itself(own, organisation, expected):
    """
    Null is not off.
    """
    assert told(mail.user_smtp_auth(own, organisation)) == expected


# --- secure score ----------------------------------------------------------------------------------------------------


def scored(**controls: float | None) -> SecureScore:
    return SecureScore(at=NOW, controls=tuple(ScoredControl(name=n, score=s) for n, s in controls.items()))


@pytest.mark.parametrize(
    ("controls", "expected"),
    [
        ((Control(control_id="adminmfav2", max_score=10),), 7.5),
        ((Control(control_id="AdminMFAV2", max_score=1),), 0.0),
        ((Control(control_id="AdminMFAV2", max_score=10, deprecated=True),), None),
        ((Control(control_id="AdminMFAV2"),), None),
        ((Control(control_id="Unscored", max_score=10),), None),
        ((Control(control_id="Nothing", max_score=10),), None),
        ((), None),
    ],
)
def test_points_are_those_of_the_live_list_or_none(controls: tuple, expected: float | None):
    """
    Ids change and tenants differ: deprecated, unknown and unscored controls bring nothing.
    """
    missing = score.missing_points(scored(AdminMFAV2=2.5, Nothing=None), controls)

    assert score.points(("AdminMFAV2", "Nothing"), missing) == expected


def test_without_a_score_there_are_no_points():
    """
    A tenant may have none yet.
    """
    assert score.missing_points(None, (Control(control_id="a", max_score=1),)) == {}


@pytest.mark.parametrize(("missing", "done"), [({"a": 0.0, "b": 0.0}, True), ({"a": 0.0}, False), ({"a": 1.0}, False)])
def test_controls_are_all_done_only_when_the_tenant_has_them_all(missing: dict[str, float], done: bool):
    """
    One that is not counted proves nothing.
    """
    assert score.all_scored(("A", "B"), missing) is done
