"""Mail that the sandbox's accounts send, as our own client reads it from the trace over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.cases import Case, CaseState, FollowUp
from services.clients.graph_models import MessageTrace
from services.follow_up import new_follow_up
from services.sent_since import SentSince
from tests.fakes.sandboxed import Bench, open_bench

JANE = "jane@contoso.com"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def tenant(keys: Path) -> AsyncIterator[Bench]:
    async with open_bench(keys) as running:
        yield running


async def order(tenant: Bench, route: str, **body: Any) -> dict[str, Any]:
    """One call of a control route."""
    url = f"{tenant.sandbox.http_origin}/_sandbox/{route}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def unblocked(tenant: Bench, **switches: Any) -> FollowUp:
    """The watch of Jane's mail, from her unblock on."""
    await order(tenant, "state", switches=switches)
    await tenant.exchange.remove_blocked_sender(JANE)
    return new_follow_up(tenant.sandbox.tenant.clock.now())


async def look(tenant: Bench, follow: FollowUp) -> FollowUp:
    """A look some seconds later: Graph is asked for whole ones."""
    tenant.sandbox.tenant.clock.advance(2)
    case: Case = (await tenant.case("jane")).model_copy(update={"state": CaseState.UNBLOCKED, "follow_up": follow})
    return await SentSince(tenant.graph, tenant.sandbox.tenant.clock).look(case)


async def trace(tenant: Bench, follow: FollowUp) -> tuple[MessageTrace, ...]:
    tenant.sandbox.tenant.clock.advance(2)
    now = tenant.sandbox.tenant.clock.now()
    return await tenant.graph.message_traces(JANE, since=follow.unblocked_at, until=now)


async def test_mail_is_refused_while_the_account_is_on_the_list(tenant: Bench) -> None:
    """And so the trace has nothing delivered."""
    follow = new_follow_up(tenant.sandbox.tenant.clock.now())

    assert {"sent": 0, "refused": 2} == await order(tenant, "send", upn=JANE, messages=2)
    assert {"failed"} == {row.status.lower() for row in await trace(tenant, follow)}


async def test_after_the_unblock_mail_is_refused_for_a_while_and_then_flows(tenant: Bench) -> None:
    """The refusal is read with its code, the first delivered message with its time."""
    follow = await unblocked(tenant, sending_delay_s=600)
    await order(tenant, "send", upn=JANE)
    refused = await look(tenant, follow)
    await order(tenant, "state", advance_s=601)
    await order(tenant, "send", upn=JANE, subject="At last")
    flowing = await look(tenant, refused)

    assert ("5.1.8", None) == (refused.refused_code, refused.first_delivered_at)
    assert (2, "5.1.8") == (flowing.messages, flowing.refused_code)
    assert flowing.first_delivered_at - refused.refused_at >= timedelta(seconds=600)


async def test_a_wrong_address_is_no_refusal_of_the_account(tenant: Bench) -> None:
    """What failed for its recipient is counted as sent, and no more."""
    follow = await unblocked(tenant, sending_delay_s=0)
    await order(tenant, "send", upn=JANE, recipients=["nobody@fabrikam.example"])
    now = await look(tenant, follow)

    assert (1, None, None) == (now.messages, now.refused_at, now.first_delivered_at)


async def test_a_refusal_whose_reason_is_withheld_has_none(tenant: Bench) -> None:
    """Microsoft may fail to say why; that it was refused stays known."""
    follow = await unblocked(tenant, sending_delay_s=600)
    tenant.fault("forbidden", path_regex="getDetailsByRecipient")
    await order(tenant, "send", upn=JANE)
    now = await look(tenant, follow)

    assert ("", None) == (now.refused_code, now.unread)
    assert now.refused_at is not None


async def test_a_trace_that_is_refused_is_not_silence(tenant: Bench) -> None:
    """The follow-up says that it could not be read."""
    follow = await unblocked(tenant, sending_delay_s=0)
    await order(tenant, "send", upn=JANE)
    tenant.fault("forbidden", path_regex="messageTraces")
    now = await look(tenant, follow)

    assert "unreadable.permission_named" == now.unread.key
    assert (None, None) == (now.first_delivered_at, now.looked_at)


async def test_a_burst_after_the_unblock_is_seen(tenant: Bench) -> None:
    """One message to many is enough; the burst that led to the block does not count."""
    follow = await unblocked(tenant, sending_delay_s=0)
    before = await look(tenant, follow)
    await order(tenant, "send", upn=JANE, recipients=150, subject="Payment overdue")
    now = await look(tenant, before)

    assert (0, None) == (before.burst_recipients, before.burst_at)
    assert (150, 1) == (now.burst_recipients, now.messages)


async def test_a_message_may_show_late_in_the_trace(tenant: Bench) -> None:
    """By as much as the tenant is told."""
    follow = await unblocked(tenant, sending_delay_s=0, trace_delay_s=300)
    await order(tenant, "send", upn=JANE)
    at_once = await trace(tenant, follow)
    await order(tenant, "state", advance_s=301)

    assert (0, 1) == (len(at_once), len(await trace(tenant, follow)))


async def test_people_who_waited_write_by_themselves_when_that_is_wanted(tenant: Bench) -> None:
    """Once too early, and then every minute."""
    follow = await unblocked(tenant, mail_after_unblock=True, burst_after_unblock=JANE, sending_delay_s=60)
    await order(tenant, "state", advance_s=3600)
    now = await look(tenant, follow)

    assert timedelta(seconds=59) < now.first_delivered_at - follow.unblocked_at < timedelta(seconds=61)
    assert ("5.1.8", 6, 155) == (now.refused_code, now.messages, now.burst_recipients)


async def test_an_address_may_have_a_quote_in_it(tenant: Bench) -> None:
    """The events of a message to O'Brien are found."""
    follow = await unblocked(tenant, sending_delay_s=600)
    await order(tenant, "send", upn=JANE, recipients=["o'brien@fabrikam.example"])

    assert "5.1.8" == (await look(tenant, follow)).refused_code
