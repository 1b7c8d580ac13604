"""Containment over HTTP: what was approved is done once, proven by reading, and recorded by the tenant."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.cases import Action, ActionKind, ActionState, Case
from services.containment import Containment, propose
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


async def carry_out_all(bench: Bench, case: Case) -> list[Action]:
    return [await containment(bench).carry_out(case, action) for action in case.containment]


async def test_jane_is_secured_each_action_once(bench: Bench):
    """
    Everything in the plan is proven, and the tenant's journal shows each change exactly once, in order.
    """
    case = await bench.approved("jane")
    done = await carry_out_all(bench, case)

    assert {action.state for action in done} == {PROVEN}
    assert [change for change in bench.changes() if change != "client-side rules deleted"] == [
        "sign-in sessions revoked",
        "password reset",
        "inbox rule disabled",
        "inbox rule disabled",
        "mailbox changed",
        "delegated grant revoked",
    ]


async def test_repeating_the_plan_changes_nothing_more(bench: Bench):
    """
    As after a restart: each action is looked at and found done.
    """
    case = await bench.approved("jane")
    for action in await carry_out_all(bench, case):
        case = case.with_action(action)
    changes = bench.changes()
    again = await carry_out_all(bench, case)

    assert {action.state for action in again} == {PROVEN}
    assert bench.changes() == changes


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
    case = await bench.approved("jane")
    kinds = (ActionKind.DISABLE_RULE, ActionKind.CLEAR_FORWARDING)
    done = [await containment(bench).carry_out(case, a) for a in case.containment if a.kind in kinds]

    assert {action.state for action in done} == {PROVEN}


async def test_a_mailbox_that_never_shows_the_change_is_not_proven(bench: Bench):
    """
    After a minute it is a failure with a plain text.
    """
    bench.sandbox.tenant.switches.mailbox_delay_s = 3600
    case = await bench.approved("jane")
    action = next(a for a in case.containment if a.kind is ActionKind.CLEAR_FORWARDING)
    done = await containment(bench).carry_out(case, action)

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


async def test_an_admin_is_left_to_a_person_and_proven_afterwards(bench: Bench):
    """
    Grace is a global administrator: the bot cannot reset her password, says who can, and notices when it was done.
    """
    case = (await bench.approved("grace")).model_copy(update={"verdict": None})
    case = case.model_copy(update={"actions": propose(case)})
    reset = next(a for a in case.actions if a.kind is ActionKind.RESET_PASSWORD)
    waiting = await containment(bench).carry_out(case, reset)
    bench.sandbox.tenant.clock.advance(60)
    bench.person("grace").last_password_change = bench.sandbox.tenant.clock.now()
    done = await containment(bench).carry_out(case, waiting)

    assert (waiting.state, done.state) == (WAITING, PROVEN)
    assert bench.changes() == []


async def test_a_synced_account_is_never_reset_from_here(bench: Bench):
    """
    Sven's password is on-premises: the bot waits, and the time of the change is the proof.
    """
    case = (await bench.investigated("sven")).model_copy(update={"verdict": None})
    case = case.model_copy(update={"actions": propose(case)})
    case = case.with_approval(granted(case, bench.clock.now()))
    reset = next(a for a in case.actions if a.kind is ActionKind.RESET_PASSWORD_ON_PREMISES)
    waiting = await containment(bench).carry_out(case, reset)
    bench.sandbox.tenant.clock.advance(60)
    bench.person("sven").last_password_change = bench.sandbox.tenant.clock.now()
    done = await containment(bench).carry_out(case, waiting)

    assert (waiting.state, done.state) == (WAITING, PROVEN)
    assert bench.changes() == []


async def test_a_permission_that_is_missing_fails_and_names_it(bench: Bench):
    """
    Nothing is changed, and the outcome says which permission to grant.
    """
    case = await bench.approved("jane")
    bench.sandbox.tenant.app.roles["https://graph.microsoft.com"].discard("User-PasswordProfile.ReadWrite.All")
    reset = next(a for a in case.actions if a.kind is ActionKind.RESET_PASSWORD)
    done = await containment(bench).carry_out(case, reset)

    assert done.state is FAILED
    assert "User-PasswordProfile.ReadWrite.All" in str(done.outcome)


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
    done = await carry_out_all(bench, case)

    told = [*(action.model_dump_json() for action in done), capsys.readouterr().out, *bench.journal()]
    assert len(sent) == 1
    assert not any(sent[0] in text for text in told)
