"""Fixes and the unblock of a connector over HTTP: proposed from the tenant, made once, proven, and taken back."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.cases import Action, ActionKind, ActionState, Case, CaseKind, CaseState
from services.clients.exchange import ExchangeClient
from services.clients.graph import GraphClient
from services.containment import Containment, DryRun, PlannedCall, connector_plan
from services.errors import NothingToFix, Rejected, ServiceError
from services.prevention.fixes import FIXES, proposed
from services.unblocking import Unblocking, find_connector
from tests.fakes.sandboxed import Bench, open_bench

PROVEN, DONE, FAILED = ActionState.PROVEN, ActionState.DONE, ActionState.FAILED
FORWARDING, AUDIT, SMTP = ActionKind.BLOCK_AUTO_FORWARDING, ActionKind.MAILBOX_AUDIT_ON, ActionKind.SMTP_AUTH_OFF
#: The cmdlet that each fix calls, for Jane's case in a tenant where everything is open.
CMDLETS = {FORWARDING: "Set-HostedOutboundSpamFilterPolicy", AUDIT: "Set-Mailbox", SMTP: "Set-CASMailbox"}
every_fix = pytest.mark.parametrize("kind", list(CMDLETS))


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def bench(keys: Path) -> AsyncIterator[Bench]:
    """A tenant in which Jane's mailbox is not audited and may use SMTP AUTH."""
    async with open_bench(keys) as bench:
        mailbox = bench.person("jane").mailbox
        assert mailbox is not None
        mailbox.audit_enabled, mailbox.smtp_auth_disabled = False, None
        yield bench


def containment(bench: Bench) -> Containment:
    async def sleep(seconds: float) -> None:
        """The tenant's time moves on, ours does not."""
        bench.sandbox.tenant.clock.advance(seconds)
        bench.sandbox.tenant.settle()

    return Containment(bench.graph, bench.exchange, bench.clock, sleep)


def dry_run(bench: Bench) -> DryRun:
    given = bench.sandbox.settings()
    return DryRun(
        bench.graph._send,
        lambda send: GraphClient(send, given["graph_url"]),
        lambda send: ExchangeClient(send, given["exchange_url"], given["tenant_id"]),
        bench.clock,
    )


async def fix(bench: Bench, kind: ActionKind, case: Case | None = None) -> tuple[Case, Action]:
    """A case that holds the fix as it is proposed now."""
    case = case or await bench.case("jane")
    action = await proposed(kind, case, bench.graph, bench.exchange)
    return case.model_copy(update={"fixes": (action,)}), action


async def tenant_case(bench: Bench) -> Case:
    case = await bench.case("jane")
    return case.model_copy(update={"kind": CaseKind.TENANT, "state": CaseState.TRACKING, "subject": None})


def two_policies(bench: Bench, **wanted: str) -> None:
    """Only the default policy and the one of Omar, with these modes."""
    policies = [policy for policy in bench.sandbox.tenant.outbound_policies if policy.name in wanted]
    for policy in policies:
        policy.auto_forwarding = wanted[policy.name]
    bench.sandbox.tenant.outbound_policies = policies


def modes(bench: Bench) -> dict[str, str]:
    return {policy.name: policy.auto_forwarding for policy in bench.sandbox.tenant.outbound_policies}


def settings(bench: Bench) -> list[object]:
    """Everything that a fix may touch."""
    mailbox, organisation = bench.person("jane").mailbox, bench.sandbox.tenant.organisation
    assert mailbox is not None
    return [modes(bench), mailbox.audit_enabled, mailbox.smtp_auth_disabled, organisation.audit_disabled]


# --- fixes -----------------------------------------------------------------------------------------------------------


def test_every_fix_is_tried_here():
    """
    Against the tenant, through the real client.
    """
    assert set(CMDLETS) == FIXES


@every_fix
async def test_each_is_made_proven_and_put_back_exactly(bench: Bench, kind: ActionKind):
    """
    The tenant holds what it held before, and each repetition finds nothing to do.
    """
    before = settings(bench)
    case, action = await fix(bench, kind)
    made = await containment(bench).carry_out(case, action)
    repeated, changed = await containment(bench).carry_out(case, made), settings(bench)
    back = await containment(bench).undo(case.with_action(made), made)
    twice = await containment(bench).undo(case.with_action(made), made)

    assert [made.state, repeated.state, back.undo_state, twice.undo_state] == [PROVEN] * 4
    assert changed != before == settings(bench) and len(bench.changes()) == 2


@every_fix
async def test_what_was_fixed_is_not_proposed_again(bench: Bench, kind: ActionKind):
    """
    There is nothing left to approve.
    """
    case, action = await fix(bench, kind)
    await containment(bench).carry_out(case, action)

    with pytest.raises(NothingToFix):
        await proposed(kind, case, bench.graph, bench.exchange)


@every_fix
async def test_a_change_that_shows_late_is_waited_for(bench: Bench, kind: ActionKind):
    """
    Exchange shows it after ten seconds: proven then, not before.
    """
    bench.sandbox.tenant.switches.mailbox_delay_s = bench.sandbox.tenant.switches.organisation_delay_s = 10
    case, action = await fix(bench, kind)

    assert (await containment(bench).carry_out(case, action)).state is PROVEN


@every_fix
async def test_a_change_that_never_shows_is_not_proven(bench: Bench, kind: ActionKind):
    """
    After a minute it is a failure.
    """
    bench.sandbox.tenant.switches.mailbox_delay_s = bench.sandbox.tenant.switches.organisation_delay_s = 3600
    case, action = await fix(bench, kind)
    made = await containment(bench).carry_out(case, action)

    assert (made.state, made.outcome and made.outcome.key) == (FAILED, "action.failed.not_proven")


@every_fix
async def test_a_lost_answer_does_not_lose_the_proof(bench: Bench, kind: ActionKind):
    """
    It was done and the connection broke each time: reading shows it.
    """
    case, action = await fix(bench, kind)
    bench.sandbox.tenant.faults.add(
        {"match": {"cmdlet": CMDLETS[kind]}, "kind": "drop_connection", "after": True, "times": -1}
    )

    assert (await containment(bench).carry_out(case, action)).state is PROVEN


@every_fix
async def test_a_cmdlet_that_the_app_may_not_run_fails_plainly(bench: Bench, kind: ActionKind):
    """
    Nothing is changed.
    """
    case, action = await fix(bench, kind)
    bench.fault("forbidden", cmdlet=CMDLETS[kind])
    made = await containment(bench).carry_out(case, action)

    assert (made.state, made.outcome and made.outcome.key) == (FAILED, "action.failed.refused")
    assert bench.changes() == []


@every_fix
async def test_without_being_able_to_read_nothing_is_proposed(bench: Bench, kind: ActionKind):
    """
    Unknown is no reason to change anything.
    """
    case = await bench.case("jane")
    bench.sandbox.tenant.app.exchange_role = ""

    with pytest.raises(ServiceError):
        await proposed(kind, case, bench.graph, bench.exchange)


@every_fix
async def test_the_dry_run_names_the_call_and_makes_none(bench: Bench, kind: ActionKind):
    """
    The cmdlet as it is written in PowerShell, of the fix and of its undo.
    """
    case, action = await fix(bench, kind)
    (call,) = await dry_run(bench).calls(case, [action])
    untouched = bench.changes()
    made = await containment(bench).carry_out(case, action)
    (back,) = await dry_run(bench).undo_calls(case.with_action(made), [made])

    assert (call.address.split()[0], back.address.split()[0], untouched) == (CMDLETS[kind], CMDLETS[kind], [])
    assert len(bench.changes()) == 1


async def test_smtp_auth_is_given_back_to_the_organisation(bench: Bench):
    """
    The undo writes null, which PowerShell calls $null.
    """
    case, action = await fix(bench, SMTP)
    made = await containment(bench).carry_out(case, action)
    (back,) = await dry_run(bench).undo_calls(case, [made])

    assert back.address == "Set-CASMailbox -Identity 'jane@contoso.com' -SmtpClientAuthenticationDisabled $null"


async def test_the_policy_of_somebody_else_stays_when_it_is_about_an_account(bench: Bench):
    """
    Omar has a policy of his own; Jane's is the default one.
    """
    two_policies(bench, Default="On", Marketing="On")
    case, action = await fix(bench, FORWARDING)
    await containment(bench).carry_out(case, action)
    _, omars = await fix(bench, FORWARDING, await bench.case("omar"))

    assert (action.target_name, omars.target_name) == ("Default", "Marketing")
    assert modes(bench) == {"Default": "Off", "Marketing": "On"}


async def test_for_the_tenant_all_policies_are_changed_and_each_is_put_back(bench: Bench):
    """
    In one action with one approval.
    """
    two_policies(bench, Default="Automatic", Marketing="On")
    case, action = await fix(bench, FORWARDING, await tenant_case(bench))
    made = await containment(bench).carry_out(case, action)
    off = modes(bench)
    back = await containment(bench).undo(case.with_action(made), made)

    assert off == {"Default": "Off", "Marketing": "Off"}
    assert (back.undo_state, modes(bench)) == (PROVEN, {"Default": "Automatic", "Marketing": "On"})


async def test_the_approver_reads_who_forwards_now(bench: Bench):
    """
    Asked of Exchange in one call.
    """
    _, action = await fix(bench, FORWARDING)

    assert action.warning is not None and action.warning.key == "action.block_auto_forwarding.forwarding_now"
    assert "jane@contoso.com" in action.warning.params["names"]


async def test_a_filter_that_exchange_does_not_understand_is_an_error(bench: Bench):
    """
    Taken for no filter at all, it would name everybody.
    """
    everybody = await bench.exchange.invoke("Get-Mailbox", {"ResultSize": "Unlimited"})

    with pytest.raises(Rejected):
        await bench.exchange.invoke("Get-Mailbox", {"Filter": "Forwarding -is on", "ResultSize": "Unlimited"})
    assert 1 <= len(await bench.exchange.forwarding_mailboxes()) < len(everybody.rows)


async def test_a_tenant_that_was_never_customised_says_what_to_run_first(bench: Bench):
    """
    Exchange's own words reach the on-call.
    """
    bench.sandbox.tenant.organisation.dehydrated = True
    case, action = await fix(bench, FORWARDING)
    made = await containment(bench).carry_out(case, action)

    assert made.state is FAILED and "Enable-OrganizationCustomization" in str(made.outcome)


async def test_auditing_that_is_off_for_everybody_is_switched_on_for_everybody(bench: Bench):
    """
    For an account with its mailbox, for the tenant alone; both come back off when that is undone.
    """
    bench.sandbox.tenant.organisation.audit_disabled = True
    case, action = await fix(bench, AUDIT)
    made = await containment(bench).carry_out(case, action)
    on = settings(bench)
    back = await containment(bench).undo(case.with_action(made), made)
    _, for_all = await fix(bench, AUDIT, await tenant_case(bench))

    assert (made.state, on[1], on[3], back.undo_state) == (PROVEN, True, False, PROVEN)
    assert settings(bench)[1:] == [False, None, True]
    assert for_all.target == {"was": {"organisation": False}}


# --- a connector -----------------------------------------------------------------------------------------------------


async def blocked_relay(bench: Bench) -> Action:
    """The unblock of the connector that people call the scanner relay."""
    found = find_connector("scanner", await bench.exchange.blocked_connectors())
    assert found is not None
    (action,) = connector_plan(found)
    return action


async def test_a_connector_is_found_removed_once_and_proven(bench: Bench):
    """
    By its name; what Exchange gets is its id.
    """
    unblocking, action = Unblocking(bench.exchange, bench.clock), await blocked_relay(bench)
    listed = (await unblocking.look_first(action), await unblocking.is_gone(action))
    done = await unblocking.carry_out(action)
    again = await unblocking.look_first(action)

    assert (listed, done.state, await unblocking.is_gone(action)) == ((None, False), DONE, True)
    assert again is not None and again.outcome and again.outcome.key == "action.unblock_connector.gone_already"
    assert bench.changes() == ["connector unblock requested", "connector unblocked"]


async def test_a_connector_that_still_shows_is_not_gone(bench: Bench):
    """
    The call went through; the list decides.
    """
    bench.sandbox.tenant.switches.unblock_delay_s = 30
    unblocking, action = Unblocking(bench.exchange, bench.clock), await blocked_relay(bench)
    await unblocking.carry_out(action)
    early = await unblocking.is_gone(action)
    bench.sandbox.tenant.clock.advance(31)

    assert (early, await unblocking.is_gone(action)) == (False, True)


async def test_a_lost_answer_is_not_followed_by_a_second_removal(bench: Bench):
    """
    It worked, and nobody heard of it.
    """
    unblocking, action = Unblocking(bench.exchange, bench.clock), await blocked_relay(bench)
    bench.sandbox.tenant.faults.add(
        {"match": {"cmdlet": "Remove-BlockedConnector"}, "kind": "drop_connection", "after": True, "times": -1}
    )
    done = await unblocking.carry_out(action)

    assert done.outcome and done.outcome.key == "action.unblock_connector.answer_lost"
    assert await unblocking.is_gone(action) and bench.changes().count("connector unblock requested") == 1


async def test_when_the_unblocks_are_used_up_only_support_can_help(bench: Bench):
    """
    The text says so, with what to tell them.
    """
    bench.sandbox.tenant.switches.remaining_unblocks = 0
    action = await blocked_relay(bench)
    done = await Unblocking(bench.exchange, bench.clock).carry_out(action, "the-tenant")

    assert done.state is FAILED and done.outcome is not None
    assert done.outcome.key == "action.unblock_connector.limit_exceeded"
    assert str(action.target["connector_id"]) in str(done.outcome.params["what"])


async def test_a_connector_that_was_never_blocked_is_an_error_of_exchange(bench: Bench):
    """
    So is an id that is none; neither changes anything.
    """
    for connector_id in ("00000000-0000-4000-8000-00000000dead", "Scanner relay"):
        with pytest.raises(ServiceError) as refusal:
            await bench.exchange.remove_blocked_connector(connector_id)
    assert isinstance(refusal.value, Rejected) and bench.changes() == []


async def test_the_dry_run_shows_the_removal_and_makes_none(bench: Bench):
    """
    The connector stays blocked.
    """
    action = await blocked_relay(bench)
    calls: tuple[PlannedCall, ...] = await dry_run(bench).calls(await bench.case("jane"), [action])

    assert [call.address for call in calls] == [
        f"Remove-BlockedConnector -ConnectorId '{action.target['connector_id']}'"
    ]
    assert bench.changes() == [] and len(await bench.exchange.blocked_connectors()) == 1
