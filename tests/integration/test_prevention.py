"""The prevention list against the tenant over HTTP: every item that is read is open, in place, or honestly unknown."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.cases import ActionKind, Case, CaseKind, CaseState, PreventionItem, PreventionState, UnknownReason
from services.prevention import CATALOGUE, GLOBAL_ADMINISTRATOR, Prevention, Scope, merged
from services.prevention.checks import CHECKS
from services.sandbox.seed_posture import make_strong, put_in_force, set_methods
from services.sandbox.state import COMPLIANCE, Mailbox, SignIn, Tenant
from tests.fakes.sandboxed import Bench, open_bench

OK, OPEN, UNKNOWN, TODO = PreventionState.OK, PreventionState.OPEN, PreventionState.UNKNOWN, PreventionState.TODO
CHECKED = frozenset(item_id for ids in CHECKS for item_id in ids)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def strong(keys: Path) -> AsyncIterator[Bench]:
    """A tenant with everything in place."""
    async with open_bench(keys) as bench:
        make_strong(bench.sandbox.tenant)
        yield bench


@pytest.fixture
async def weak(keys: Path) -> AsyncIterator[Bench]:
    """The tenant as it is at the start."""
    async with open_bench(keys) as bench:
        yield bench


async def tenants_case(bench: Bench) -> Case:
    case = await bench.case("jane")
    return case.model_copy(update={"kind": CaseKind.TENANT, "state": CaseState.TRACKING, "subject": None})


async def listed(bench: Bench, case: Case | None = None) -> dict[str, PreventionItem]:
    """Jane's list, or that of another case, by the ids of the items."""
    prevention = Prevention(bench.graph, bench.exchange, bench.clock)
    return {item.item_id: item for item in await prevention.check(case or await bench.case("jane"))}


def mailbox(tenant: Tenant) -> Mailbox:
    jane = tenant.recipient("jane@contoso.com")
    assert jane is not None and jane.mailbox is not None
    return jane.mailbox


def names(items: dict[str, PreventionItem], *states: PreventionState) -> set[str]:
    return {item_id for item_id, item in items.items() if item.state in states}


# --- as a whole ------------------------------------------------------------------------------------------------------


async def test_a_strong_tenant_has_everything_in_place_that_can_be_read(strong: Bench):
    """
    What is left is for people.
    """
    account, organisation = await listed(strong), await listed(strong, await tenants_case(strong))

    assert names(account, OK) == CHECKED
    assert names(organisation, OPEN, UNKNOWN) == set()
    assert names(organisation, TODO) == {
        i for i, row in CATALOGUE.items() if row.is_manual and row.scope is Scope.TENANT
    }


async def test_a_weak_tenant_is_told_what_is_open_and_what_that_would_bring(weak: Bench):
    """
    Points by the live list of controls; a fix where the bot has one; when it was looked at.
    """
    items = await listed(weak, await tenants_case(weak))
    forwarding = items["auto_forwarding"]

    assert {"mfa_everyone", "admin_mfa", "legacy_auth", "few_admins", "outbound_policy"} <= names(items, OPEN)
    assert (forwarding.points, forwarding.fix) == (9.0, ActionKind.BLOCK_AUTO_FORWARDING)
    assert items["legacy_auth"].points == 8.0 and items["data_loss"].points == 5.0
    assert (items["unified_audit"].points, items["unified_audit"].fix) == (None, None)
    assert all(item.checked_at for item in items.values())


async def test_what_is_shared_is_read_once(weak: Bench):
    """
    Microsoft answers one call about conditional access a second, so five checks share one.
    """
    await listed(weak)
    asked = [request.path for request in weak.sandbox.journal.requests()]

    assert sum("conditionalAccess" in path for path in asked) == 1
    assert sum("secureScores" in path for path in asked) == 1


async def test_a_connectors_case_has_nothing_of_an_account(weak: Bench):
    """
    There is no account; what the organisation does is shown all the same.
    """
    case = (await weak.case("jane")).model_copy(update={"kind": CaseKind.CONNECTOR, "subject": None})

    assert {CATALOGUE[item_id].scope for item_id in await listed(weak, case)} == {Scope.TENANT}


# --- each item, opened by one thing ----------------------------------------------------------------------------------


def policies(*ready: str) -> Callable[[Tenant], None]:
    return lambda tenant: put_in_force(tenant, ready)


def setting(name: str, value: object) -> Callable[[Tenant], None]:
    return lambda tenant: setattr(tenant.organisation, name, value)


def outbound(**changes: object) -> Callable[[Tenant], None]:
    return lambda tenant: tenant.outbound_policies[0].__dict__.update(changes)


def of_jane(**changes: object) -> Callable[[Tenant], None]:
    return lambda tenant: mailbox(tenant).__dict__.update(changes)


def administrators(number: int) -> Callable[[Tenant], None]:
    def change(tenant: Tenant) -> None:
        for person in tenant.people:
            person.role_definition_ids = []
        for person in tenant.people[:number]:
            person.role_definition_ids = [GLOBAL_ADMINISTRATOR]

    return change


def without_method(upn: str) -> Callable[[Tenant], None]:
    def change(tenant: Tenant) -> None:
        person = tenant.person(upn)
        assert person is not None
        set_methods(tenant, person, [])

    return change


def old_client(tenant: Tenant) -> None:
    """Somebody reads mail by IMAP, which nothing forbids."""
    put_in_force(tenant, ["mfa_for_everyone"])
    tenant.sign_ins.insert(0, SignIn(tenant.clock.now(), tenant.people[0].oid, "192.0.2.9", "Oslo", "NO"))
    tenant.sign_ins[0].client_app = "IMAP4"


def jane_is_admin(tenant: Tenant) -> None:
    jane = tenant.recipient("jane@contoso.com")
    assert jane is not None
    jane.role_definition_ids = [GLOBAL_ADMINISTRATOR]


def low_score(tenant: Tenant) -> None:
    for control in tenant.score_controls:
        control.score = 0.0


def synced(tenant: Tenant) -> None:
    tenant.people[0].synced = True


OPENED: list[tuple[str, Callable[[Tenant], None], PreventionState, str]] = [
    ("user_mfa", without_method("jane@contoso.com"), OPEN, "open"),
    ("user_roles", jane_is_admin, OPEN, "open"),
    ("user_mailbox_audit", of_jane(audit_enabled=False), OPEN, "open"),
    ("user_mailbox_audit", of_jane(audit_bypass=True), OPEN, "bypassed"),
    ("user_mailbox_audit", setting("audit_disabled", True), OPEN, "organisation"),
    ("user_smtp_auth", of_jane(smtp_auth_disabled=False), OPEN, "open"),
    ("user_smtp_auth", of_jane(smtp_auth_disabled=True), OK, "ok"),
    ("user_smtp_auth", setting("smtp_auth_disabled", False), OPEN, "open.organisation"),
    ("mfa_everyone", policies(), OPEN, "open"),
    ("mfa_everyone", policies("mfa_trial"), OPEN, "report_only"),
    ("mfa_everyone", policies("mfa_outside_the_office"), OPEN, "open"),
    ("mfa_everyone", policies("mfa_for_admins"), OPEN, "open"),
    ("mfa_everyone", policies("mfa_with_exceptions"), OK, "policy_with_exceptions"),
    ("mfa_everyone", setting("security_defaults", True), OK, "defaults"),
    ("admin_mfa", policies("block_legacy"), OPEN, "open"),
    ("admin_mfa", policies("mfa_for_admins"), OK, "policy"),
    ("admin_mfa", without_method("grace@contoso.com"), OPEN, "without"),
    ("legacy_auth", policies("mfa_for_everyone"), OPEN, "used"),
    ("legacy_auth", policies("block_legacy_trial"), OPEN, "used"),
    ("legacy_auth", old_client, OPEN, "used"),
    ("legacy_auth", setting("security_defaults", True), OK, "defaults"),
    ("conditional_access", policies("mfa_trial", "for_nobody"), OPEN, "open"),
    ("conditional_access", policies("block_legacy"), OK, "ok"),
    ("few_admins", administrators(1), OPEN, "one"),
    ("few_admins", administrators(5), OPEN, "open"),
    ("few_admins", administrators(0), UNKNOWN, "none_seen"),
    ("federated_accounts", synced, TODO, "synced"),
    ("federated_accounts", setting("federated_domains", ["contoso.com"]), TODO, "federated"),
    ("outbound_policy", outbound(action="BlockUserForToday"), OPEN, "action"),
    ("outbound_policy", outbound(action="Alert"), OPEN, "action"),
    ("outbound_policy", outbound(per_day=0), OPEN, "no_limit"),
    ("auto_forwarding", outbound(auto_forwarding="Automatic"), OPEN, "open"),
    ("auto_forwarding", outbound(auto_forwarding="On"), OPEN, "allowed"),
    ("unified_audit", setting("unified_audit", False), OPEN, "open"),
    ("mailbox_audit", setting("audit_disabled", True), OPEN, "open"),
    ("alert_policy", lambda tenant: tenant.alerts.clear(), UNKNOWN, "unseen"),
    ("secure_score", low_score, OPEN, "value"),
    ("secure_score", lambda tenant: tenant.score_controls.clear(), UNKNOWN, "none"),
]


@pytest.mark.parametrize(("item_id", "change", "state", "text"), OPENED)
async def test_one_change_opens_one_item(
    strong: Bench, item_id: str, change: Callable[[Tenant], None], state: PreventionState, text: str
):
    """
    The tenant is strong but for this, through the real clients.
    """
    change(strong.sandbox.tenant)
    item = (await listed(strong))[item_id]

    assert (item.state, item.summary.key) == (state, f"prevention.{item_id}.{text}")


async def test_risk_is_acted_on_by_a_policy_or_by_the_older_ones_that_the_score_shows(strong: Bench):
    """
    Graph does not list the older ones; without either it is open, and P2 would be needed.
    """
    put_in_force(strong.sandbox.tenant, ["mfa_for_everyone"])
    by_score = (await listed(strong))["identity_protection"]
    low_score(strong.sandbox.tenant)
    neither = (await listed(strong))["identity_protection"]
    put_in_force(strong.sandbox.tenant, ["act_on_risk"])

    assert (by_score.state, neither.state, neither.points) == (OK, OPEN, 14.0)
    assert (await listed(strong))["identity_protection"].state is OK


def test_every_item_that_is_read_is_opened_here():
    """
    None is in place whatever the tenant does.
    """
    assert {item_id for item_id, _, state, _ in OPENED if state is not OK} | {"identity_protection"} == CHECKED


# --- what cannot be read ---------------------------------------------------------------------------------------------

UNREADABLE: list[tuple[str, dict[str, str]]] = [
    ("user_mfa", {"path_regex": "authentication"}),
    ("user_roles", {"path_regex": "roleAssignments"}),
    ("user_mailbox_audit", {"cmdlet": "Get-MailboxAuditBypassAssociation"}),
    ("user_mailbox_audit", {"cmdlet": "Get-Mailbox"}),
    ("user_smtp_auth", {"cmdlet": "Get-CASMailbox"}),
    ("user_smtp_auth", {"cmdlet": "Get-TransportConfig"}),
    ("mfa_everyone", {"path_regex": "identitySecurityDefaults|conditionalAccess"}),
    ("admin_mfa", {"path_regex": "userRegistrationDetails"}),
    ("legacy_auth", {"path_regex": "identitySecurityDefaults|conditionalAccess|auditLogs/signIns"}),
    ("conditional_access", {"path_regex": "conditionalAccess"}),
    ("identity_protection", {"path_regex": "conditionalAccess"}),
    ("few_admins", {"path_regex": "roleAssignments"}),
    ("federated_accounts", {"path_regex": "v1.0/domains"}),
    ("federated_accounts", {"path_regex": "v1.0/organization"}),
    ("outbound_policy", {"cmdlet": "Get-HostedOutboundSpamFilterPolicy"}),
    ("auto_forwarding", {"cmdlet": "Get-HostedOutboundSpamFilterPolicy"}),
    ("unified_audit", {"cmdlet": "Get-AdminAuditLogConfig"}),
    ("mailbox_audit", {"cmdlet": "Get-OrganizationConfig"}),
    ("alert_policy", {"path_regex": "alerts_v2"}),
    ("secure_score", {"path_regex": "secureScores"}),
]


@pytest.mark.parametrize(("item_id", "match"), UNREADABLE)
async def test_what_cannot_be_read_is_unknown_and_takes_nothing_else_with_it(
    strong: Bench, item_id: str, match: dict[str, str]
):
    """
    A source that is down: the item says so, and most others are as they were.
    """
    strong.fault("unavailable", **match)
    items = await listed(strong)

    assert (items[item_id].state, items[item_id].unknown_reason) == (UNKNOWN, UnknownReason.FAULT)
    assert len(names(items, OK)) > len(CHECKED) / 2


def test_every_item_that_is_read_is_made_unreadable_here():
    """
    Each with the source that it is read from.
    """
    assert {item_id for item_id, _ in UNREADABLE} == CHECKED


async def test_points_that_cannot_be_read_are_left_out_and_nothing_else(weak: Bench):
    """
    The items are open as before.
    """
    weak.fault("unavailable", path_regex="secureScoreControlProfiles")
    items = await listed(weak)

    assert items["auto_forwarding"].state is OPEN
    assert {item.points for item in items.values()} == {None}


@pytest.mark.parametrize(
    ("permission", "unread"),
    [
        ("Policy.Read.All", {"mfa_everyone", "admin_mfa", "conditional_access", "identity_protection"}),
        ("SecurityEvents.Read.All", {"secure_score"}),
        ("SecurityAlert.Read.All", {"alert_policy"}),
    ],
)
async def test_a_missing_permission_is_said(strong: Bench, permission: str, unread: set[str]):
    """
    Also with it missing, sign-ins by old clients show that nothing keeps them out.
    """
    for roles in strong.sandbox.tenant.app.roles.values():
        roles.difference_update({permission, permission.replace(".Read.", ".ReadWrite.")})
    items = await listed(strong)

    assert names(items, UNKNOWN) == unread
    assert {items[item_id].unknown_reason for item_id in unread} == {UnknownReason.PERMISSION}


async def test_the_alert_policy_itself_is_never_asked_for(strong: Bench):
    """
    Security & Compliance PowerShell alone has it, and nothing is sent there.
    """
    await listed(strong)

    assert strong.sandbox.journal.requests(cmdlet="Get-ProtectionAlert") == []
    assert not any(COMPLIANCE in str(request) for request in strong.sandbox.journal.requests())


# --- again -----------------------------------------------------------------------------------------------------------


async def test_read_again_it_keeps_what_people_said(strong: Bench):
    """
    An owner stays when the item can no longer be read, and the item says that it is unknown.
    """
    case = await strong.case("jane")
    before = tuple((await listed(strong, case)).values())
    owned = tuple(item.model_copy(update={"owner": case.requester}) for item in before)
    strong.fault("unavailable", cmdlet="Get-CASMailbox")
    now = {item.item_id: item for item in merged(owned, tuple((await listed(strong, case)).values()))}

    assert (now["user_smtp_auth"].state, now["user_smtp_auth"].owner) == (UNKNOWN, case.requester)
    assert now["user_mfa"].state is OK
