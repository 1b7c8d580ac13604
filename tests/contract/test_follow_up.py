"""
After the unblock, durable, on both databases: mail is watched, people are told, nothing is lost by restarts.

The clock is the test's, so a day passes in a moment; the workflow, the store and DBOS are real.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from services.audit import Tag, verify
from services.cases import Case, CaseState, PreventionItem, PreventionState, say
from services.casework import CloseCase, ContainAgain, OpenCase, TellUser, TickItems
from services.clients.exchange_models import BlockedSender
from services.errors import NotAllowed, WrongState
from services.ports import Audience, NewsKind
from services.store import Store
from tests.contract.test_remediation import World, built, world
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, SAM, actor

__all__ = ["world"]

REQUESTER, ON_CALL = Audience.REQUESTER, Audience.ON_CALL


async def unblocked(world: World) -> Case:
    """Jane's case, just unblocked and looked at for the first time."""
    case = await world.asked()
    await world.decide(case.approvals[0])
    return await world.until(case.case_id, lambda case: case.follow_up and case.follow_up.looked_at)


async def later(world: World, case: Case, **time: float) -> Case:
    """The case after the watch has looked at this later moment."""
    now = world.clock.advance(**time)
    await world.followers.tell(case.case_id)
    return await world.until(
        case.case_id,
        lambda case: not case.is_open or (case.follow_up.looked_at == now) or case.follow_up.next_look_at > now,
    )


async def test_an_unblocked_case_stays_open_until_mail_flows_and_the_day_is_over(world: World) -> None:
    """
    The first delivered message is told to the requester at once; the case closes after midnight UTC, when the trace has
    caught up, not before.
    """
    case = await unblocked(world)
    assert CaseState.UNBLOCKED is case.state and case.is_open and not case.is_at_work

    world.trace.shows = {"first_delivered_at": world.clock.now() + timedelta(minutes=9)}
    case = await later(world, case, minutes=10)
    case = await world.until(case.case_id, lambda case: case.told)
    assert [(NewsKind.MAIL_FLOWS, REQUESTER)] == world.notifier.told()
    assert CaseState.UNBLOCKED is case.state

    world.clock.advance(hours=21, minutes=15)
    await world.followers.tell(case.case_id)

    closed = await world.case_in(case.case_id, CaseState.CLOSED)
    assert "outcome.closed_flowing" == closed.outcome.key
    assert {Tag.MAIL_FLOWS, Tag.CASE_CLOSED} <= set(await world.tags(case.case_id))


async def test_a_day_without_a_delivered_message_is_escalated_once(world: World) -> None:
    """
    The on-call and the requester are told after 24 hours, and not again after 25.
    """
    case = await unblocked(world)

    await later(world, case, hours=23, minutes=59)
    assert [] == world.notifier.told()
    await later(world, case, minutes=1)
    await world.until(case.case_id, lambda case: len(case.told) == 2)
    await later(world, case, hours=1)

    assert [(NewsKind.NOTHING_DELIVERED, ON_CALL), (NewsKind.NOTHING_DELIVERED, REQUESTER)] == world.notifier.told()
    assert 1 == (await world.tags(case.case_id)).count(Tag.CASE_ESCALATED)


async def test_refusals_in_the_first_hour_are_expected_and_later_ones_are_told(world: World) -> None:
    """
    Microsoft needs up to an hour: only what is refused after that is news.
    """
    case = await unblocked(world)
    began = world.clock.now()

    world.trace.shows = {"refused_at": began + timedelta(minutes=20), "refused_code": "5.1.8"}
    await later(world, case, minutes=30)
    assert [] == world.notifier.told()
    world.trace.shows = {"refused_at": began + timedelta(minutes=65), "refused_code": "5.1.8"}
    await later(world, case, minutes=40)
    await world.until(case.case_id, lambda case: case.told)

    assert [(NewsKind.STILL_REFUSED, REQUESTER)] == world.notifier.told()


async def test_a_burst_is_told_at_once_and_contained_again_by_a_new_case(world: World) -> None:
    """
    The new case has nothing to unblock: it ends in containment. Only then is the followed case closed in its favour.
    """
    case = await unblocked(world)
    world.trace.shows = {"burst_at": world.clock.now(), "burst_recipients": 900}
    await later(world, case, minutes=10)
    await world.until(case.case_id, lambda case: len(case.told) == 2)
    assert [(NewsKind.BURST, ON_CALL), (NewsKind.BURST, REQUESTER)] == world.notifier.told()

    again = await world.casework.contain_again(ContainAgain(actor(ALEX), case.case_id))
    await world.casework.begin(again.case_id)
    asked = await world.case_in(again.case_id, CaseState.AWAITING_APPROVAL)
    assert CaseState.UNBLOCKED is (await world.store.case(case.case_id)).state
    await world.decide(asked.approvals[0])

    contained = await world.case_in(again.case_id, CaseState.CONTAINED)
    assert contained.containment_proven and 1 == len(world.exchange.removed)
    replaced = await world.case_in(case.case_id, CaseState.CLOSED)
    assert ("outcome.replaced", again.case_id) == (replaced.outcome.key, replaced.outcome.params["case"])


async def test_the_user_is_told_when_somebody_wished_it(world: World) -> None:
    """
    Only on request, once mail flows; whether it worked stands in the case.
    """
    case = await unblocked(world)
    await world.casework.tell_user(TellUser(actor(ALEX), case.case_id))
    world.notifier.out_of_reach = {Audience.USER}
    world.trace.shows = {"first_delivered_at": world.clock.now()}

    await later(world, case, minutes=10)

    told = await world.until(case.case_id, lambda case: len(case.told) == 2)
    assert told.follow_up.user_told is False
    assert Tag.NEWS_UNDELIVERED in await world.tags(case.case_id)


async def test_who_cannot_be_reached_is_told_through_the_on_call(world: World) -> None:
    """
    News for a requester without a chat goes to the channel.
    """
    case = await unblocked(world)
    world.notifier.out_of_reach = {REQUESTER}
    world.trace.shows = {"first_delivered_at": world.clock.now()}

    await later(world, case, minutes=10)
    await world.until(case.case_id, lambda case: case.told)

    assert [(NewsKind.MAIL_FLOWS, ON_CALL)] == world.notifier.told()


async def test_an_alert_that_reached_nobody_is_tried_again(world: World) -> None:
    """
    Teams was away at the moment of the burst: told a look later, once.
    """
    case = await unblocked(world)
    world.notifier.out_of_reach = {REQUESTER, ON_CALL}
    world.trace.shows = {"burst_at": world.clock.now(), "burst_recipients": 900}
    await later(world, case, minutes=10)
    await world.until(case.case_id, lambda case: "burst:on_call:unreached" in case.told)
    assert [] == world.notifier.told()

    world.notifier.out_of_reach = set()
    await later(world, case, minutes=2)
    await world.until(case.case_id, lambda case: {"burst:on_call", "burst:requester"} <= set(case.told))

    assert [(NewsKind.BURST, ON_CALL), (NewsKind.BURST, REQUESTER)] == world.notifier.told()


async def test_a_trace_that_cannot_be_read_after_midnight_is_asked_again_and_nothing_is_concluded(world: World) -> None:
    """
    Looked at when a look is due and not before, and open until the day was seen to its end.
    """
    case = await unblocked(world)
    world.trace.shows = {"first_delivered_at": world.clock.now()}
    await later(world, case, minutes=10)
    world.trace.unread = say("unreadable.throttled")
    await later(world, case, hours=22)
    looks = world.trace.looks

    for _ in range(3):
        await world.followers.tell(case.case_id)
    open_still = await later(world, case, minutes=29)
    assert (CaseState.UNBLOCKED, looks) == (open_still.state, world.trace.looks)

    world.trace.unread = None
    await later(world, case, minutes=1)
    await world.case_in(case.case_id, CaseState.CLOSED)


async def test_what_the_last_look_shows_is_told_before_the_case_is_closed(world: World) -> None:
    """
    Nobody could be reached at that moment: the case stays open until somebody was told.
    """
    case = await unblocked(world)
    world.notifier.out_of_reach = {REQUESTER, ON_CALL}
    world.trace.shows = {"first_delivered_at": world.clock.now()}
    await later(world, case, hours=22)
    await world.until(case.case_id, lambda case: "mail_flows:unreached" in case.told)
    assert CaseState.UNBLOCKED is (await world.store.case(case.case_id)).state

    world.notifier.out_of_reach = set()
    await later(world, case, minutes=2)

    await world.case_in(case.case_id, CaseState.CLOSED)
    assert [(NewsKind.MAIL_FLOWS, REQUESTER)] == world.notifier.told()


async def test_a_request_for_a_followed_account_joins_while_nothing_blocks_it(world: World) -> None:
    """
    The list shows no entry any more: the running watch is the answer.
    """
    case = await unblocked(world)

    second = await world.ask()

    joined = await world.case_in(second.case_id, CaseState.NOTHING_TO_DO)
    assert case.case_id == joined.joined_to


async def test_an_account_that_is_restricted_again_gets_a_new_case(world: World) -> None:
    """
    The followed case gives way to the new one, which runs like the first.
    """
    case = await unblocked(world)
    world.exchange.removed.clear()
    world.exchange.entries[JANE.upn] = BlockedSender(sender_address=JANE.upn, reason_raw="")

    again = await world.ask()

    await world.case_in(again.case_id, CaseState.AWAITING_APPROVAL)
    await world.case_in(case.case_id, CaseState.CLOSED)


async def test_a_case_that_was_killed_while_it_took_over_does_so_after_the_restart(world: World) -> None:
    """
    Restricted again, written down as identified, and stopped before the followed case was closed.
    """
    case = await unblocked(world)
    world.exchange.removed.clear()
    world.exchange.entries[JANE.upn] = BlockedSender(sender_address=JANE.upn, reason_raw="")
    again = await world.casework.open_case(OpenCase(by=actor(ALEX), query="jane"))
    found = {"subject": case.subject, "block": case.block, "reading_since": world.clock.now()}
    await world.store.change_case(
        again.case_id, lambda case: (case.moved(CaseState.INVESTIGATING, world.clock.now(), **found), [])
    )

    await world.casework.begin(again.case_id)

    await world.case_in(again.case_id, CaseState.AWAITING_APPROVAL)
    assert CaseState.CLOSED is (await world.store.case(case.case_id)).state


async def test_an_item_that_is_open_again_is_reminded_of_again(world: World) -> None:
    """
    All was done and nothing was left to remind of; then somebody took a tick back.
    """
    case = await unblocked(world)
    done = PreventionItem(item_id="warn_contacts", state=PreventionState.TICKED, summary=say("x"), owner=actor(ALEX))
    await world.store.change_case(
        case.case_id, lambda case: (case.model_copy(update={"prevention": (done,), "remind_at": None}), [])
    )

    order = TickItems(by=actor(ALEX), case_id=case.case_id, item_ids=("warn_contacts",), done=False)
    await world.casework.tick_items(order)

    open_again = await world.until(case.case_id, lambda case: case.remind_at)
    assert open_again.remind_at > world.clock.now()


async def test_a_followed_case_can_be_closed_by_those_who_asked_or_decide(world: World) -> None:
    """
    Not by a stranger; and open prevention items stand on the record.
    """
    case = await unblocked(world)
    with pytest.raises(NotAllowed):
        await world.casework.close_case(CloseCase(actor(SAM), case.case_id))

    await world.casework.close_case(CloseCase(actor(MEGAN), case.case_id))

    closed = await world.case_in(case.case_id, CaseState.CLOSED)
    assert "outcome.closed_by" == closed.outcome.key
    with pytest.raises(WrongState):
        await world.casework.tell_user(TellUser(actor(ALEX), case.case_id))


@asynccontextmanager
async def running(store: Store, clock: FakeClock, database_url: str, shows: dict) -> AsyncIterator[World]:
    """The services, started (again) on the same database."""
    async with built(store, clock, database_url) as world:
        world.trace.shows = shows
        await world.remediation.take_up_open_cases("test")
        await world.followers.take_up()
        yield world


async def test_a_case_goes_through_24_hours_with_restarts_in_between(
    store: Store, clock: FakeClock, database_url: str
) -> None:
    """
    Started anew every four hours: looked at, escalated once, told once when mail flows at last, closed.
    """
    async with built(store, clock, database_url) as world:
        case_id = (await unblocked(world)).case_id
    told = []
    for _ in range(6):
        clock.advance(hours=4)
        async with running(store, clock, database_url, {}) as world:
            await world.until(case_id, lambda case: case.follow_up.looked_at == clock.now())
            if clock.now() >= (await store.case(case_id)).follow_up.escalate_at:
                await world.until(case_id, lambda case: len(case.told) == 2)
            told += world.notifier.told()
    assert [NewsKind.NOTHING_DELIVERED] * 2 == [kind for kind, _ in told]

    clock.advance(hours=6)
    async with running(store, clock, database_url, {"first_delivered_at": clock.now()}) as world:
        closed = await world.case_in(case_id, CaseState.CLOSED)
        assert [(NewsKind.MAIL_FLOWS, REQUESTER)] == world.notifier.told()

    assert "outcome.closed_flowing" == closed.outcome.key
    assert verify(*await store.audit_trail())
