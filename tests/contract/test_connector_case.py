"""A blocked connector is unblocked with an approval of its own, on both databases; nothing is investigated."""

from __future__ import annotations

import pytest

from services.audit import Tag
from services.cases import ActionKind, ActionState, Case, CaseKind, CaseState
from services.casework import OpenCase
from services.clients.exchange_models import BlockedConnector
from services.errors import NotAllowed, Rejected
from tests.contract.test_remediation import World, world
from tests.fakes.people import ALEX, MEGAN, SAM, actor

__all__ = ["world"]

CONNECTOR = BlockedConnector(connector_id="6f0a1c1e-8a3b-4f7e-9f0d-0d9be1f8a111", reason_raw="Suspicious activity")


async def asked(world: World, query: str = CONNECTOR.connector_id) -> Case:
    world.exchange.connectors = (CONNECTOR,)
    order = OpenCase(by=actor(ALEX), query=query, kind=CaseKind.CONNECTOR)
    case = await world.casework.open_case(order)
    await world.casework.begin(case.case_id)
    return await world.case_in(case.case_id, CaseState.AWAITING_APPROVAL, CaseState.NOTHING_TO_DO)


async def test_a_connector_is_unblocked_once_it_is_approved(world: World) -> None:
    """
    Asked at once, removed, read again until it is gone, closed.
    """
    case = await asked(world)
    assert [ActionKind.UNBLOCK_CONNECTOR] == [action.kind for action in case.actions]
    assert 0 == world.investigation.runs and [] == world.exchange.removed

    await world.decide(case.approvals[0])

    closed = await world.case_in(case.case_id, CaseState.CLOSED)
    assert [CONNECTOR.connector_id] == world.exchange.removed
    assert {ActionState.PROVEN} == {action.state for action in closed.actions}
    assert Tag.UNBLOCK_VERIFIED in await world.tags(case.case_id)


async def test_the_requester_cannot_approve_it(world: World) -> None:
    """
    Four eyes for a connector as well.
    """
    case = await asked(world)

    with pytest.raises(NotAllowed):
        await world.decide(case.approvals[0], ALEX)
    with pytest.raises(NotAllowed):
        await world.decide(case.approvals[0], SAM)


async def test_one_connector_has_one_case(world: World) -> None:
    """
    Asked twice: the second request names the first.
    """
    first = await asked(world)

    second = await asked(world)

    assert ("outcome.connector_asked", first.case_id) == (second.outcome.key, second.outcome.params["case"])


async def test_what_is_not_blocked_is_said(world: World) -> None:
    """
    No such entry: nothing is asked of anybody.
    """
    case = await asked(world, "6f0a1c1e-0000-0000-0000-000000000000")

    assert "outcome.no_such_connector" == case.outcome.key
    assert [] == world.notifier.prompts


async def test_a_refused_removal_ends_the_case_with_its_reason(world: World) -> None:
    """
    Exchange says no: not tried again, and said.
    """
    case = await asked(world)
    world.exchange.remove_fault = Rejected("exchange", detail="The limit was exceeded.")

    await world.decide(case.approvals[0], MEGAN)

    ended = await world.case_in(case.case_id, CaseState.NOT_UNBLOCKED)
    assert 1 == len(world.exchange.removed)
    assert ended.outcome == ended.actions[0].outcome
