"""What the sandbox does when many are blocked, and how Defender tells it: met over HTTP, without code of the bot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.defender import POLICIES, RESTRICTED
from services.sandbox.seed import JANE, OMAR
from services.sandbox.teams_limits import Fault, Faults, RateLimits, Refusal
from tests.integration.stranger import Stranger, a_stranger_at

BLOCKED, ALERTS = "Get-BlockedSenderAddress", "security/alerts_v2"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def stranger(keys: Path) -> AsyncIterator[Stranger]:
    """In a tenant where nothing has happened yet."""
    async with a_stranger_at(keys) as stranger:
        await order(stranger, nothing_happened=True)
        yield stranger


async def order(stranger: Stranger, **wanted: Any) -> dict[str, Any]:
    answer = await stranger.control("state", body=wanted)
    assert answer.status == 200, answer.raw
    return answer.json


async def listed(stranger: Stranger) -> list[str]:
    """The addresses on the restricted list, all its pages."""
    answer = await stranger.cmdlet(BLOCKED)
    rows = answer.value
    while following := answer.json.get("@odata.nextLink"):
        answer = await stranger.cmdlet(BLOCKED, url=following)
        rows += answer.value
    return [row["SenderAddress"] for row in rows]


def named(alert: dict[str, Any]) -> set[str]:
    """The object ids of those whom an alert names."""
    accounts = [item.get("userAccount") for item in alert["evidence"]]
    return {account["azureAdUserId"] for account in accounts if account}


async def test_a_thousand_accounts_are_blocked_with_an_alert_each(stranger: Stranger) -> None:
    """They exist as accounts with mailboxes, stand on the list and among Defender's alerts, none twice."""
    await order(stranger, block_many={"count": 1000})

    addresses = await listed(stranger)
    assert ("sender0001@contoso.com", "sender1000@contoso.com", 1000) == (addresses[0], addresses[-1], len(addresses))
    alerts = (await stranger.graph(f"{ALERTS}?$top=1000")).value
    assert 1000 == len({oid for alert in alerts for oid in named(alert)})
    user = (await stranger.graph("users/sender0500@contoso.com?$select=id,mail")).json
    assert "sender0500@contoso.com" == user["mail"]


async def test_a_campaign_takes_its_accounts_one_after_the_other(stranger: Stranger) -> None:
    """Half of them in half of the time; those who were blocked before are blocked again, not made anew."""
    await order(stranger, block_many={"count": 10, "over_s": 60, "alerts": False})
    first = await listed(stranger)
    await order(stranger, advance_s=31)
    half = await listed(stranger)
    await order(stranger, advance_s=30, unblock="sender0001@contoso.com")
    await order(stranger, block_many={"count": 1, "alerts": False})

    assert (1, 6, 10) == (len(first), len(half), len(await listed(stranger)))
    assert [] == (await stranger.graph(ALERTS)).value


async def test_blocks_of_today_end_together_at_midnight(stranger: Stranger) -> None:
    """Temporary ones are gone with the day in UTC."""
    await order(stranger, block_many={"count": 3, "temporary": True})
    now = stranger.sandbox.tenant.clock.now()
    await order(stranger, advance_s=(now.replace(hour=0, minute=0, second=1) + timedelta(days=1) - now).total_seconds())

    assert [] == await listed(stranger)
    journal = (await stranger.control("journal?action=ended by itself", "GET")).json
    assert 3 == len(journal["changes"])


async def test_who_unblocked_somebody_in_the_portal_stands_in_the_audit_log(stranger: Stranger) -> None:
    """The portal runs the cmdlet in that person's name."""
    await order(stranger, block={"address": "jane@contoso.com"})
    await order(stranger, unblock={"address": "jane@contoso.com", "by": "grace@contoso.com"})

    record = stranger.sandbox.tenant.audit_records[-1]
    assert ("Remove-BlockedSenderAddress", "grace@contoso.com") == (record.operation, record.upn)
    assert [] == await listed(stranger)


@pytest.mark.parametrize("title", POLICIES)
async def test_defender_raises_alerts_under_every_title_that_concerns_sending(stranger: Stranger, title: str) -> None:
    """With the severity of the default policy, about somebody or about nobody."""
    await order(stranger, alert={"title": title, "people": ["jane"]})
    await order(stranger, alert={"title": title})

    about_jane, about_nobody = (await stranger.graph(ALERTS)).value
    assert {title} == {about_jane["title"], about_nobody["title"]}
    assert POLICIES[title].severity == about_jane["severity"]
    assert {frozenset({JANE}), frozenset()} == {frozenset(named(about_jane)), frozenset(named(about_nobody))}


async def test_a_second_event_may_join_the_alert_of_the_first(stranger: Stranger) -> None:
    """Then one alert names both people, and was updated later than it was made."""
    await order(stranger, switches={"alert_aggregation_s": 900}, block={"address": "jane@contoso.com"})
    await order(stranger, advance_s=300)
    await order(stranger, block={"address": "omar@contoso.com"})
    (alert,) = (await stranger.graph(ALERTS)).value
    await order(stranger, advance_s=601)
    await order(stranger, block={"address": "pia@contoso.com"})

    assert {JANE, OMAR} == named(alert)
    assert alert["lastUpdateDateTime"] > alert["createdDateTime"]
    assert 2 == len((await stranger.graph(ALERTS)).value)


async def test_alerts_show_late_and_are_dated_as_if_they_had_not(stranger: Stranger) -> None:
    """Who asks only for what is newer than the last look misses them."""
    await order(stranger, switches={"alert_delay_s": 240}, block={"address": "jane@contoso.com"})
    before = (await stranger.graph(ALERTS)).value
    blocked_at = stranger.sandbox.tenant.clock.now()
    await order(stranger, advance_s=241)

    (alert,) = (await stranger.graph(ALERTS)).value
    assert [] == before
    assert alert["createdDateTime"] <= blocked_at.isoformat()


async def test_an_alert_is_resolved_and_says_when(stranger: Stranger) -> None:
    """By an analyst or by an automatic investigation."""
    await order(stranger, block={"address": "jane@contoso.com"})
    await order(stranger, alert_update={"title": RESTRICTED, "status": "resolved"})

    (alert,) = (await stranger.graph(ALERTS)).value
    assert "resolved" == alert["status"]
    assert alert["resolvedDateTime"] == alert["lastUpdateDateTime"]


async def test_any_field_of_an_alert_can_be_missing_or_strange(stranger: Stranger) -> None:
    """As Graph leaves it out: null, another product, an unknown value."""
    fields = {"evidence": None, "alertWebUrl": None, "status": "unknownFutureValue", "title": RESTRICTED.upper()}
    await order(stranger, alert={"title": RESTRICTED, "service_source": "microsoftSentinel", "fields": fields})

    (alert,) = (await stranger.graph(ALERTS)).value
    assert fields == {name: alert[name] for name in fields}
    assert "microsoftSentinel" == alert["serviceSource"]


async def test_a_connector_is_blocked_and_set_free_by_its_name(stranger: Stranger) -> None:
    """The list has its id, and Exchange knows it by name."""
    await order(stranger, block_connector={"name": "Scanner relay"})
    blocked = (await stranger.cmdlet("Get-BlockedConnector")).value
    await order(stranger, unblock_connector="Scanner relay")

    assert 1 == len(blocked)
    assert [] == (await stranger.cmdlet("Get-BlockedConnector")).value


@pytest.mark.parametrize("count", [0, -1, 5001])
async def test_an_order_out_of_reach_is_refused(stranger: Stranger, count: int) -> None:
    """In one line, and nobody is blocked."""
    answer = await stranger.control("state", body={"block_many": {"count": count}})

    assert (400, []) == (answer.status, await listed(stranger))


# --- Teams' limits ------------------------------------------------------------------------------------------------


def taken(limits: RateLimits, operation: str, places: list[str]) -> int:
    """How many of these requests are let through."""
    through = 0
    for place in places:
        try:
            limits.check(operation, place)
        except Refusal as refusal:
            assert (429, True) == (refusal.status, (refusal.retry_after_s or 0) >= 1)
        else:
            through += 1
    return through


def test_one_conversation_takes_seven_messages_a_second_and_eight_in_two() -> None:
    """Then 60 in half a minute and 1,800 in an hour, whatever pace somebody keeps."""
    seconds = [0.0]
    limits = RateLimits(lambda: seconds[0])
    first = taken(limits, "post", ["a"] * 20)
    seconds[0] = 1.001
    second = taken(limits, "post", ["a"] * 20)
    for _ in range(100):
        seconds[0] += 2.0
        second += taken(limits, "put", ["a"] * 20)

    assert (7, 8) == (first, first + 1)
    assert second + first <= 60 * (201 / 30 + 1)


def test_the_whole_app_makes_fifty_calls_a_second() -> None:
    """In however many conversations."""
    limits = RateLimits(lambda: 0.0)

    assert 50 == taken(limits, "post", [f"chat {number}" for number in range(80)])


async def test_a_fault_may_strike_only_later() -> None:
    """So many requests go through before it; other kinds of requests do not count."""
    faults = Faults()
    faults.order(Fault.from_json({"status": 429, "operation": "post", "skip": 2, "retry_after_s": 3}))
    faults.order(Fault.from_json({"status": 504, "operation": "put"}))

    met = [await faults.take(operation, "a") for operation in ("post", "put", "post", "post", "post", "put")]
    assert [None, 504, None, 429, None, None] == [fault and fault.status for fault in met]
