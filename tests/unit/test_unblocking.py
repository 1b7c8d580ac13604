"""An entry is looked for, removed once, and gone only when the list says so; for people and for connectors alike."""

from typing import Any

import pytest

from services.cases import Action, ActionKind, ActionState
from services.clients.exchange_models import BlockedConnector, BlockedSender
from services.containment import CATALOGUE, connector_plan, new_action
from services.errors import NotFound, PermissionMissing, Rejected, ServiceError, Throttled, Unavailable
from services.unblocking import Unblocking, find_connector, never_confirmed, unblock_action
from tests.fakes.account import NOW, UPN, blocked
from tests.fakes.clock import FakeClock

RELAY = BlockedConnector(connector_id="159eb7c4-75d7-43e2-95fe-ced44b3e0a56", name="Scanner relay")
BRANCH = BlockedConnector(connector_id="2c1f0e11-0000-4000-8000-000000000001", name="Branch relay")
NAMELESS = BlockedConnector(connector_id="2c1f0e11-0000-4000-8000-000000000002")
DONE, FAILED, PROPOSED = ActionState.DONE, ActionState.FAILED, ActionState.PROPOSED


class Lists:
    """Both lists, with Jane and a connector on them. `fault` is raised by each call."""

    def __init__(self, fault: ServiceError | None = None) -> None:
        self.senders = {UPN: BlockedSender(sender_address=UPN)}
        self.connectors = [RELAY, BRANCH]
        self.removed: list[str] = []
        self.fault = fault

    async def blocked_sender(self, address: str) -> BlockedSender | None:
        self._fail()
        return self.senders.get(address)

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]:
        self._fail()
        return tuple(self.connectors)

    async def remove_blocked_sender(self, address: str) -> None:
        self.removed.append(address)
        self._fail()
        del self.senders[address]

    async def remove_blocked_connector(self, connector_id: str) -> None:
        self.removed.append(connector_id)
        self._fail()
        self.connectors = [connector for connector in self.connectors if connector.connector_id != connector_id]

    def _fail(self) -> None:
        if self.fault is not None:
            raise self.fault


PERSON = new_action(ActionKind.UNBLOCK, {"sender_address": UPN}, UPN)
(CONNECTOR,) = connector_plan(RELAY)
either = pytest.mark.parametrize("action", [PERSON, CONNECTOR], ids=["person", "connector"])


def unblocking(lists: Lists) -> Unblocking:
    return Unblocking(lists, FakeClock(NOW))


def key(action: Action | None) -> str:
    assert action is not None and action.outcome is not None
    return action.outcome.key


# --- removing --------------------------------------------------------------------------------------------------------


@either
async def test_what_is_on_the_list_is_removed_and_then_gone(action: Action):
    """
    Exactly that entry, and only looking again proves it.
    """
    lists = Lists()
    work = unblocking(lists)
    before = (await work.look_first(action), await work.is_gone(action))
    done = await work.carry_out(action)

    assert (before, lists.removed) == ((None, False), [next(iter(action.target.values()))])
    assert (done.state, key(done), done.done_at) == (DONE, f"action.{action.kind.value}.accepted", NOW)
    assert await work.is_gone(action) and len(lists.connectors) + len(lists.senders) == 2


@either
async def test_what_is_gone_already_costs_no_unblock(action: Action):
    """
    Microsoft counts them.
    """
    lists = Lists()
    lists.senders, lists.connectors = {}, [BRANCH]

    assert key(await unblocking(lists).look_first(action)) == f"action.{action.kind.value}.gone_already"
    assert lists.removed == []


@either
@pytest.mark.parametrize("fault", [Unavailable("exchange"), PermissionMissing("exchange"), Throttled("exchange")])
async def test_a_list_that_cannot_be_read_is_no_proof_and_no_reason_to_send(action: Action, fault: ServiceError):
    """
    It waits, and says why.
    """
    lists = Lists(fault)
    looked = await unblocking(lists).look_first(action)

    assert (looked and looked.state, key(looked)) == (PROPOSED, f"action.{action.kind.value}.not_sent")
    assert not await unblocking(lists).is_gone(action) and lists.removed == []


@either
@pytest.mark.parametrize(
    ("fault", "state", "how"),
    [
        (NotFound("exchange"), DONE, "gone_already"),
        (Throttled("exchange"), PROPOSED, "not_sent"),
        (Unavailable("exchange", reached=False), PROPOSED, "not_sent"),
        (Unavailable("exchange"), DONE, "answer_lost"),
        (Rejected("exchange", "X", "The limit was exceeded."), FAILED, "limit_exceeded"),
        (Rejected("exchange", "X", "No."), FAILED, "refused"),
        (PermissionMissing("exchange"), FAILED, "refused"),
    ],
)
async def test_each_answer_is_told_plainly(action: Action, fault: ServiceError, state: ActionState, how: str):
    """
    Whatever it is, it is sent once.
    """
    lists = Lists(fault)
    done = await unblocking(lists).carry_out(action, "tenant")

    assert (done.state, key(done)) == (state, f"action.{action.kind.value}.{how}")
    assert len(lists.removed) == 1
    assert never_confirmed(done) == (how == "answer_lost")


@either
async def test_one_that_was_under_way_before_a_restart_is_not_sent_again(action: Action):
    """
    It may have been sent: the list decides.
    """
    lists = Lists()
    done = await unblocking(lists).carry_out(action.model_copy(update={"state": ActionState.RUNNING}))

    assert (done.state, key(done)) == (DONE, f"action.{action.kind.value}.sent_before_restart")
    assert lists.removed == [] and never_confirmed(done)


@pytest.mark.parametrize(("action", "what"), [(PERSON, UPN), (CONNECTOR, f"Scanner relay ({RELAY.connector_id})")])
async def test_support_is_told_what_it_needs(action: Action, what: str):
    """
    The entry, the tenant, when it was refused and in which words.
    """
    lists = Lists(Rejected("exchange", "X", "The limit was exceeded."))
    outcome = (await unblocking(lists).carry_out(action, "the-tenant")).outcome

    assert outcome is not None
    told: dict[str, Any] = outcome.params
    assert (told["what"], told["tenant"], told["detail"]) == (what, "the-tenant", "The limit was exceeded.")
    assert told["at"].at == NOW


# --- which connector -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (RELAY.connector_id, RELAY),
        (f" {{{RELAY.connector_id.upper()}}} ", RELAY),
        ("scanner relay", RELAY),
        ("Scanner", RELAY),
        ("159eb7c4", RELAY),
        ("000000000002", NAMELESS),
        ("relay", None),
        ("2c1f0e11", None),
        ("printer", None),
        ("  ", None),
    ],
)
def test_a_connector_is_found_by_id_or_by_what_only_it_is_called(text: str, found: BlockedConnector | None):
    """
    What fits two is no answer: a guess could open the wrong door.
    """
    assert find_connector(text, (RELAY, BRANCH, NAMELESS)) == found


def test_a_whole_name_wins_over_a_part_of_another():
    """
    Otherwise "Relay" could never be named while "Relay 2" is blocked too.
    """
    one = BlockedConnector(connector_id="a", name="Relay")
    two = BlockedConnector(connector_id="b", name="Relay 2")

    assert find_connector("relay", (two, one)) == one


def test_the_plan_for_a_connector_is_its_unblock_with_a_warning():
    """
    Whoever controls the server behind it can send again. Without a name it goes by its id.
    """
    (nameless,) = connector_plan(NAMELESS)

    assert (CONNECTOR.target, CONNECTOR.target_name) == ({"connector_id": RELAY.connector_id}, "Scanner relay")
    assert CONNECTOR.warning and CONNECTOR.warning.key == CATALOGUE[ActionKind.UNBLOCK_CONNECTOR].warning
    assert nameless.target_name == NAMELESS.connector_id and nameless.action_id != CONNECTOR.action_id


@either
def test_the_unblock_of_a_case_is_found_of_whichever_kind(action: Action):
    """
    A plan has at most one.
    """
    assert unblock_action(blocked(actions=(action,))) == action
    assert unblock_action(blocked()) is None
