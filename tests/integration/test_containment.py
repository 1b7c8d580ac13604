"""Containment over HTTP: what was approved is done once, proven by reading, recorded by the tenant, and taken back."""

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from pydantic import SecretStr

from services.cases import Action, ActionKind, ActionState, Case, VerdictLabel
from services.clients.exchange import ExchangeClient
from services.clients.graph import GraphClient
from services.containment import Containment, DryRun, PlannedCall, propose, undo_plan
from tests.fakes.attacked import found
from tests.fakes.sandboxed import Bench, granted, open_bench

PROVEN, FAILED, WAITING = ActionState.PROVEN, ActionState.FAILED, ActionState.WAITING_FOR_PERSON


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def bench(keys: Path) -> AsyncIterator[Bench]:
    async with open_bench(keys) as bench:
        yield bench


def containment(bench: Bench) -> Containment:
    async def sleep(seconds: float) -> None:
        """The tenant's time moves on, ours does not."""
        bench.sandbox.tenant.clock.advance(seconds)
        bench.sandbox.tenant.settle()

    return Containment(bench.graph, bench.exchange, bench.clock, sleep)


async def attacked(bench: Bench, name: str) -> Case:
    """The case of somebody with an approved plan for a compromised account, whatever the score came to."""
    case = await bench.investigated(name)
    assert case.verdict is not None
    certain = case.verdict.model_copy(update={"label": VerdictLabel.COMPROMISED})
    case = case.model_copy(update={"verdict": certain})
    case = case.model_copy(update={"actions": propose(case)})
    return case.with_approval(granted(case, bench.clock.now()))


async def carried_out(bench: Bench, case: Case, *kinds: ActionKind) -> Case:
    """The case after all of its containment was carried out, or the actions of these kinds."""
    for action in case.containment:
        if not kinds or action.kind in kinds:
            case = case.with_action(await containment(bench).carry_out(case, action))
    return case


async def taken_back(bench: Bench, case: Case) -> list[Action]:
    return [await containment(bench).undo(case, action) for action in undo_plan(case)]


def of(case: Case, kind: ActionKind) -> list[Action]:
    return [action for action in case.actions if action.kind is kind]


# --- the whole plan --------------------------------------------------------------------------------------------------


async def test_jane_is_secured_each_action_once(bench: Bench):
    """
    Everything in the plan is proven, and the tenant's journal shows each change exactly once, in order.
    """
    case = await carried_out(bench, await bench.approved("jane"))

    assert {action.state for action in case.containment} == {PROVEN}
    assert [change for change in bench.changes() if change != "client-side rules deleted"] == [
        "sign-in disabled",
        "sign-in sessions revoked",
        "password reset",
        "sign-in method deleted",
        "inbox rule disabled",
        "inbox rule disabled",
        "mailbox changed",
        "delegated grant revoked",
        "app role assignment removed",
        "protocols changed",
        "risk confirmedCompromised",
    ]


async def test_repeating_the_plan_changes_nothing_more(bench: Bench):
    """
    As after a restart: each action is looked at and found done.
    """
    case = await carried_out(bench, await bench.approved("jane"))
    changes = bench.changes()
    again = await carried_out(bench, case)

    assert {action.state for action in again.containment} == {PROVEN}
    assert bench.changes() == changes


async def test_jane_gets_everything_back_that_can_be_given_back(bench: Bench):
    """
    Each undo is proven, and a second one changes nothing.
    """
    case = await carried_out(bench, await bench.approved("jane"))
    done = await taken_back(bench, case)
    changes = bench.changes()
    again = await taken_back(bench, case)
    mailbox = bench.person("jane").mailbox

    assert {action.undo_state for action in (*done, *again)} == {PROVEN}
    assert bench.changes() == changes
    assert mailbox is not None and mailbox.forwarding_smtp is not None
    assert bench.person("jane").account_enabled


# --- a person for each action ----------------------------------------------------------------------------------------

EACH = [
    ("della", ActionKind.REMOVE_DELEGATE, 4),
    ("april", ActionKind.REMOVE_APP_ASSIGNMENT, 1),
    ("ada", ActionKind.REMOVE_ROLE, 1),
    ("lars", ActionKind.DISABLE_PROTOCOLS, 1),
    ("lars", ActionKind.CONFIRM_COMPROMISED, 1),
    ("lars", ActionKind.BLOCK_SIGN_IN, 1),
    ("jane", ActionKind.DISABLE_RULE, 2),
    ("jane", ActionKind.CLEAR_FORWARDING, 1),
    ("jane", ActionKind.REVOKE_GRANT, 1),
    ("jane", ActionKind.REMOVE_AUTH_METHOD, 1),
]


@pytest.mark.parametrize(("name", "kind", "n"), EACH)
async def test_each_action_is_proposed_from_the_evidence_and_proven(bench: Bench, name: str, kind: ActionKind, n: int):
    """
    From the signals to the tenant and back, for somebody to whom just that was done.
    """
    case = await carried_out(bench, await attacked(bench, name), kind)

    assert [action.state for action in of(case, kind)] == [PROVEN] * n
    assert all((action.before is not None) == action.reversible for action in of(case, kind))


@pytest.mark.parametrize(
    ("name", "kind"), [("april", ActionKind.REMOVE_APP_ASSIGNMENT), ("ada", ActionKind.REMOVE_ROLE)]
)
async def test_what_gets_a_new_id_is_given_back_all_the_same(bench: Bench, name: str, kind: ActionKind):
    """
    Roles and apps are recognised by what they are, not by the number of their assignment.
    """
    case = await carried_out(bench, await attacked(bench, name), kind)

    assert [action.undo_state for action in await taken_back(bench, case)] == [PROVEN]


async def test_delegates_get_their_access_back_and_strangers_do_not(bench: Bench):
    """
    Exchange gives no folder entry to an address that it does not know; the undo says so and does the rest.
    """
    case = await carried_out(bench, await attacked(bench, "della"), ActionKind.REMOVE_DELEGATE)
    done = {str(a.target["kind"]): a for a in await taken_back(bench, case)}

    assert [done[kind].undo_state for kind in ("full_access", "send_as", "send_on_behalf")] == [PROVEN] * 3
    assert done["folder"].undo_outcome and done["folder"].undo_outcome.key == "undo.failed.refused"


async def test_what_everybody_may_do_in_a_folder_is_closed_and_opened_again(bench: Bench):
    """
    The entry of everybody cannot be removed, only set to nothing.
    """
    await bench.exchange.add_folder_permission("della@contoso.com", "Inbox", "Default", ["Editor"])
    everybody = {"kind": "folder", "user": "Default", "rights": ["Editor"], "folder": "Inbox"}
    case = (await bench.investigated("della")).with_finding(found("delegates", everybody))
    case = case.model_copy(update={"actions": propose(case)})
    case = await carried_out(bench, case.with_approval(granted(case, bench.clock.now())), ActionKind.REMOVE_DELEGATE)
    closed = await bench.exchange.folder_permissions("della@contoso.com", "Inbox")
    (undone,) = await taken_back(bench, case)

    assert ("None",) in [entry.rights for entry in closed if entry.user == "Default"]
    assert (of(case, ActionKind.REMOVE_DELEGATE)[0].state, undone.undo_state) == (PROVEN, PROVEN)


async def test_protocols_are_put_back_exactly(bench: Bench):
    """
    SMTP AUTH was left to the organisation, and is again.
    """
    case = await carried_out(bench, await attacked(bench, "lars"), ActionKind.DISABLE_PROTOCOLS)
    off = await bench.exchange.cas_mailbox("lars@contoso.com")
    await taken_back(bench, case)
    after = await bench.exchange.cas_mailbox("lars@contoso.com")

    assert (off.imap, off.pop, off.smtp_auth_disabled) == (False, False, True)
    assert (after.imap, after.pop, after.smtp_auth_disabled) == (True, True, None)


async def test_what_was_changed_since_is_not_overwritten(bench: Bench):
    """
    Jane forwards to her own address by now.
    """
    case = await carried_out(bench, await bench.approved("jane"), ActionKind.CLEAR_FORWARDING)
    mailbox = bench.person("jane").mailbox
    assert mailbox is not None
    mailbox.forwarding_smtp = "smtp:jane@home.example"
    (done,) = await taken_back(bench, case)

    assert done.undo_state is FAILED
    assert done.undo_outcome and done.undo_outcome.key == "undo.failed.changed_since"
    assert mailbox.forwarding_smtp == "smtp:jane@home.example"


# --- admins, synced accounts, licences, faults -----------------------------------------------------------------------


async def test_an_admin_is_left_to_a_person_and_proven_afterwards(bench: Bench):
    """
    Grace is a global administrator: the bot cannot change her, says who can, and notices when it was done.
    """
    case = await carried_out(bench, await attacked(bench, "grace"), ActionKind.BLOCK_SIGN_IN, ActionKind.RESET_PASSWORD)
    waiting = [*of(case, ActionKind.BLOCK_SIGN_IN), *of(case, ActionKind.RESET_PASSWORD)]
    bench.sandbox.tenant.clock.advance(60)
    grace = bench.person("grace")
    grace.last_password_change, grace.account_enabled = bench.sandbox.tenant.clock.now(), False
    done = [await containment(bench).carry_out(case, action) for action in waiting]

    assert {action.state for action in waiting} == {WAITING}
    assert {action.state for action in done} == {PROVEN}
    assert bench.changes() == []


async def test_the_role_of_a_global_administrator_is_left_to_a_person(bench: Bench):
    """
    Only a Privileged Role Administrator may take it away.
    """
    case = await carried_out(bench, await attacked(bench, "grace"), ActionKind.REMOVE_ROLE)

    assert WAITING in {action.state for action in of(case, ActionKind.REMOVE_ROLE)}


async def test_once_the_attackers_role_is_gone_the_password_is_reset(bench: Bench):
    """
    Ada was made an administrator yesterday. The role goes first, so Microsoft no longer protects her from the bot.
    """
    case = await carried_out(bench, await attacked(bench, "ada"))

    assert of(case, ActionKind.RESET_PASSWORD)[0].state is PROVEN


async def test_a_synced_account_is_never_changed_from_here(bench: Bench):
    """
    Sven is mastered on-premises: the bot waits, and what Entra shows later is the proof.
    """
    kinds = (ActionKind.RESET_PASSWORD_ON_PREMISES, ActionKind.BLOCK_SIGN_IN)
    waiting = await carried_out(bench, await attacked(bench, "sven"), *kinds)
    bench.sandbox.tenant.clock.advance(60)
    sven = bench.person("sven")
    sven.last_password_change, sven.account_enabled = bench.sandbox.tenant.clock.now(), False
    done = await carried_out(bench, waiting, *kinds)

    assert {of(waiting, kind)[0].state for kind in kinds} == {WAITING}
    assert {of(done, kind)[0].state for kind in kinds} == {PROVEN}
    assert bench.changes() == []


async def test_without_a_mailbox_the_account_alone_is_secured(bench: Bench):
    """
    Nils has none: nothing is proposed for it, and the rest is proven.
    """
    case = await carried_out(bench, await attacked(bench, "nils"))

    assert {action.state for action in case.containment} == {PROVEN}
    assert {a.kind for a in case.containment} == {
        ActionKind.BLOCK_SIGN_IN,
        ActionKind.REVOKE_SESSIONS,
        ActionKind.RESET_PASSWORD,
        ActionKind.CONFIRM_COMPROMISED,
    }


async def test_a_permission_that_is_missing_fails_and_names_it(bench: Bench):
    """
    Nothing is changed, and the outcome says which permission to grant.
    """
    case = await bench.approved("jane")
    bench.sandbox.tenant.app.roles["https://graph.microsoft.com"].discard("User-PasswordProfile.ReadWrite.All")
    done = of(await carried_out(bench, case, ActionKind.RESET_PASSWORD), ActionKind.RESET_PASSWORD)[0]

    assert done.state is FAILED
    assert "User-PasswordProfile.ReadWrite.All" in str(done.outcome)


async def test_a_plan_without_hidden_rules_leaves_the_rules_of_outlook_alone(bench: Bench):
    """
    A visible rule is turned off through Graph, so that what Outlook keeps on the computer survives.
    """
    case = await bench.approved("jane")
    visible = next(a for a in case.containment if a.target.get("through") == "graph")

    assert (await containment(bench).carry_out(case, visible)).state is PROVEN
    mailbox = bench.person("jane").mailbox
    assert mailbox is not None and mailbox.client_side_rules == 2


async def test_a_mailbox_that_shows_changes_late_is_waited_for(bench: Bench):
    """
    Exchange shows the change after ten seconds: proven then, not before.
    """
    bench.sandbox.tenant.switches.mailbox_delay_s = 10
    kinds = (ActionKind.DISABLE_RULE, ActionKind.CLEAR_FORWARDING)
    case = await carried_out(bench, await bench.approved("jane"), *kinds)

    assert {action.state for action in case.containment if action.kind in kinds} == {PROVEN}


async def test_a_mailbox_that_never_shows_the_change_is_not_proven(bench: Bench):
    """
    After a minute it is a failure with a plain text.
    """
    bench.sandbox.tenant.switches.mailbox_delay_s = 3600
    case = await carried_out(bench, await bench.approved("jane"), ActionKind.CLEAR_FORWARDING)
    done = of(case, ActionKind.CLEAR_FORWARDING)[0]

    assert done.state is FAILED
    assert done.outcome is not None and done.outcome.key == "action.failed.not_proven"


async def test_a_lost_answer_does_not_lose_the_proof(bench: Bench):
    """
    The rule was turned off and the connection broke: reading shows it.
    """
    case = await bench.approved("jane")
    hidden = next(a for a in case.containment if a.target.get("through") == "exchange")
    bench.sandbox.tenant.faults.add(
        {"match": {"cmdlet": "Disable-InboxRule"}, "kind": "drop_connection", "after": True, "times": -1}
    )

    assert (await containment(bench).carry_out(case, hidden)).state is PROVEN


async def test_the_new_password_goes_to_entra_and_nowhere_else(
    bench: Bench, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    """
    Neither an answer nor the log nor what the tenant wrote down holds it.
    """
    case, sent, send = await bench.approved("jane"), [], bench.graph.reset_password

    async def overheard(oid: str, password: SecretStr, *, force_change: bool = True) -> None:
        sent.append(password.get_secret_value())
        await send(oid, password, force_change=force_change)

    monkeypatch.setattr(bench.graph, "reset_password", overheard)
    case = await carried_out(bench, case)

    told = [*(action.model_dump_json() for action in case.actions), capsys.readouterr().out, *bench.journal()]
    assert len(sent) == 1
    assert not any(sent[0] in text for text in told)


# --- the dry run -----------------------------------------------------------------------------------------------------


def dry_run(bench: Bench) -> DryRun:
    given = bench.sandbox.settings()
    return DryRun(
        bench.graph._send,
        lambda send: GraphClient(send, given["graph_url"]),
        lambda send: ExchangeClient(send, given["exchange_url"], given["tenant_id"]),
        bench.clock,
    )


def writes(bench: Bench, since: int) -> list[tuple[str, str]]:
    """What the tenant was really asked to write since then: method and path of Graph, or the cmdlet."""
    asked = [(entry.method, entry.cmdlet or entry.path) for entry in bench.sandbox.journal.requests()[since:]]
    return [(method, what) for method, what in asked if method != "GET" and not what.startswith("Get-")]


def shown(call: PlannedCall) -> tuple[str, str]:
    return call.method, unquote(call.address.split(" ")[0])


async def test_the_dry_run_names_exactly_the_calls_that_are_made(bench: Bench):
    """
    Calls, order and all, and not one of them is made by the dry run itself.
    """
    case = await bench.approved("jane")
    calls = await dry_run(bench).calls(case, case.containment)
    untouched, since = bench.changes(), len(bench.sandbox.journal.requests())
    await carried_out(bench, case)

    assert untouched == []
    assert [shown(call) for call in calls] == writes(bench, since)


async def test_the_dry_run_of_an_undo_names_the_calls_too(bench: Bench):
    """
    The same for taking it all back.
    """
    case = await carried_out(bench, await bench.approved("jane"))
    calls = await dry_run(bench).undo_calls(case, undo_plan(case))
    since = len(bench.sandbox.journal.requests())
    await taken_back(bench, case)

    assert [shown(call) for call in calls] == writes(bench, since)


async def test_the_unblock_is_among_the_calls_and_jane_stays_blocked(bench: Bench):
    """
    The cmdlet as it is written in PowerShell, and as it goes over the wire.
    """
    case = await bench.approved("jane")
    (call,) = await dry_run(bench).calls(case, of(case, ActionKind.UNBLOCK))

    assert call.address == "Remove-BlockedSenderAddress -SenderAddress 'jane@contoso.com'"
    assert call.body is not None and call.body["CmdletInput"]["Parameters"] == {"SenderAddress": "jane@contoso.com"}
    assert await bench.exchange.blocked_sender("jane@contoso.com") is not None


async def test_after_all_is_done_a_dry_run_finds_nothing_to_do(bench: Bench):
    """
    Each action says so, by its id.
    """
    case = await carried_out(bench, await bench.approved("jane"))
    calls = await dry_run(bench).calls(case, case.containment)

    assert [call.action_id for call in calls] == [action.action_id for action in case.containment]
    assert {call.note.key for call in calls if call.note} == {"dry_run.nothing_to_do"}
    assert not any(call.method for call in calls)


async def test_what_cannot_be_read_is_said_and_the_rest_is_shown(bench: Bench):
    """
    Exchange is away, Graph is not.
    """
    case = await bench.approved("jane")
    bench.fault("forbidden", cmdlet="Get-Mailbox")
    calls = {call.action_id: call for call in await dry_run(bench).calls(case, case.containment)}

    assert calls["clear_forwarding"].note and calls["clear_forwarding"].note.key == "dry_run.unreadable"
    assert calls["revoke_sessions"].method == "POST"


async def test_what_is_left_to_a_person_has_no_call(bench: Bench):
    """
    The note says what they have to do.
    """
    case = await attacked(bench, "sven")
    (call,) = await dry_run(bench).calls(case, of(case, ActionKind.RESET_PASSWORD_ON_PREMISES))

    assert (call.method, call.note and call.note.key) == ("", "action.reset_password_on_premises.by_hand")
