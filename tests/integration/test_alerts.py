"""What the bot notices by itself: from the tenant over HTTP to the card in the channel, and what people do with it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.alerts.model import AlertKind, SourceName
from services.alerts.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, signature
from services.audit import Tag
from services.cases import CaseState
from services.sandbox.defender import RESTRICTED
from services.sandbox.seed import ALEX, INES, JANE, MEGAN, OMAR
from tests.fakes.sandboxed import FAST
from tests.integration.test_main_job import keys
from tests.integration.watched import BLOCKED_LIST, CHANNEL, Watched, said_by, until, verbs, watched
from tests.integration.world import words

__all__ = ["keys"]

BLOCKED, FREE = "may no longer send mail", "is off the restricted list"
SECRET = "a secret that is long enough for a signature"
ACTIONS = {"alert_start", "alert_snooze", "alert_not_now"}
Open = Callable[..., Awaitable[Watched]]


@pytest.fixture
async def opened(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens a watched tenant with these settings: `await opened()`."""
    monkeypatch.setattr("services.clients.http.LANES", FAST)
    async with AsyncExitStack() as closing:

        async def open_one(**settings: Any) -> Watched:
            return await closing.enter_async_context(watched(keys, f"sqlite:///{tmp_path}/unblock.db", **settings))

        yield open_one


@pytest.fixture
async def here(opened: Open) -> Watched:
    return await opened()


# --- noticed ---


async def test_a_block_becomes_a_card_that_one_can_act_on(here: Watched) -> None:
    """Who, since when, why and by what it was noticed; the first impression follows; nothing was asked of anybody."""
    await here.block("omar@contoso.com", reason="OutboundSpamLast24Hours=912;OutboundMailLast24Hours=1000;Surprise=7;")

    card = await here.card("Omar", BLOCKED)
    assert verbs(card) >= ACTIONS
    complete = words((await here.card("Omar", "omar@contoso.com", "Surprise", "7", "Shown by"))["card"])
    assert "Since" in complete
    await until(lambda: _has_impression(here))
    assert "The quickest checks" not in words((await here.card("First impression"))["card"])
    assert [1, [], []] == [len(await here.cards("Omar")), await here.store.cases(), await here.teams.messages("alex")]


async def _has_impression(here: Watched) -> bool:
    return bool((await here.alert()).impression) and "The quickest checks" not in words(
        (await here.cards("Omar"))[-1]["card"]
    )


async def test_list_defender_and_webhook_about_one_block_make_one_card(opened: Open) -> None:
    """However often and in whatever order they say so; the card names all of them."""
    here = await opened(alerts={"webhook": {"secret": SECRET}})
    await here.block("omar@contoso.com")
    told = [await post_alert(here, defender_alert(here)) for _ in range(2)]
    await until(lambda: _sources(here, {SourceName.RESTRICTED_LIST, SourceName.DEFENDER, SourceName.WEBHOOK}))
    await here.quiet()

    assert [202, 202] == told
    assert (1, 1) == (len(await here.cards("Omar")), len(await here.alerts(open_only=False)))
    assert 1 == (await here.tags()).count(Tag.ALERT_RAISED)


async def _sources(here: Watched, wanted: set[SourceName]) -> bool:
    return any({report.source for report in alert.reports} >= wanted for alert in await here.alerts())


def defender_alert(here: Watched, **more: Any) -> dict[str, Any]:
    """As a logic app passes on what Defender says of Omar."""
    now = here.tenant.clock.now().isoformat()
    user = {"userPrincipalName": "omar@contoso.com", "azureAdUserId": OMAR}
    evidence = [{"@odata.type": "#microsoft.graph.security.userEvidence", "userAccount": user}]
    alert = {"id": "fa-from-outside", "title": RESTRICTED, "status": "new", "severity": "high"}
    return alert | {"createdDateTime": now, "lastUpdateDateTime": now, "evidence": evidence} | more


async def post_alert(here: Watched, alert: dict[str, Any], secret: str = SECRET) -> int:
    """Send it to the bot as somebody who knows this secret; the HTTP status."""
    body, sent_at = json.dumps(alert).encode(), str(int(here.tenant.clock.now().timestamp()))
    signed = {TIMESTAMP_HEADER: sent_at, SIGNATURE_HEADER: f"v1={signature(secret.encode(), sent_at, body)}"}
    url = f"{here.settings.public_url}/api/alerts"
    headers = {"Content-Type": "application/json", **signed}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


async def test_a_webhook_alone_is_enough_to_notice(opened: Open) -> None:
    """What only the webhook says is a suspicion until the list shows it; a forged one is refused."""
    here = await opened(alerts={"webhook": {"secret": SECRET}, "off": ["defender"]})

    forged = await post_alert(here, defender_alert(here, id="forged"), secret=SECRET.upper())
    taken = await post_alert(here, defender_alert(here))

    assert (401, 202) == (forged, taken)
    await here.card("Omar")


DEFENDER_SAYS = [
    (RESTRICTED, ["omar"], AlertKind.SENDER_RESTRICTED),
    ("Email sending limit exceeded", ["omar"], AlertKind.SENDER_SUSPECTED),
    ("Suspicious email sending patterns detected", ["omar"], AlertKind.SENDER_SUSPECTED),
    ("Suspicious email forwarding activity", ["omar"], AlertKind.SENDER_SUSPECTED),
    ("Tenant restricted from sending email", [], AlertKind.TENANT_RESTRICTED),
]


@pytest.mark.parametrize(("title", "people", "kind"), DEFENDER_SAYS)
async def test_defender_alone_is_enough_to_notice(
    here: Watched, title: str, people: list[str], kind: AlertKind
) -> None:
    """Each of its titles that concern sending becomes a card with Microsoft's own words."""
    await here.teams.switch(alert={"title": title, "people": people})

    await here.card("Omar" if people else "whole organisation", title)
    assert kind in {AlertKind.SENDER_SUSPECTED, (await here.alert()).kind}
    assert people or "alert_start" not in verbs((await here.cards())[-1])


async def test_what_is_not_ours_or_names_nobody_makes_no_card(here: Watched) -> None:
    """Other titles, other products, broken evidence: passed over, and what comes after them is still noticed."""
    nothing = {"evidence": None, "createdDateTime": None, "severity": None}
    await here.teams.switch(alert={"title": "Malware found on a computer", "service_source": "microsoftSentinel"})
    await here.teams.switch(alert={"title": RESTRICTED, "fields": nothing})
    await here.teams.switch(alert={"title": RESTRICTED, "fields": {"evidence": [None, {"userAccount": 7}]}})
    await here.quiet()
    await here.teams.switch(alert={"title": RESTRICTED, "people": ["jane"]})

    await here.card("Jane Doe")
    assert [{JANE}] == [alert.names & {JANE} for alert in await here.alerts()]


async def test_defenders_alert_that_shows_late_is_still_noticed(here: Watched) -> None:
    """It is dated before the last look, and found all the same, once."""
    await here.quiet()
    await here.teams.switch(alert={"title": RESTRICTED, "people": ["omar"], "seconds_ago": 240})

    await here.card("Omar")
    await here.quiet()
    assert 1 == len(await here.cards("Omar"))


async def test_a_block_that_joins_anothers_alert_at_defender_has_its_own_card(here: Watched) -> None:
    """Microsoft makes one alert of two events; here each account has its own."""
    await here.teams.switch(switches={"alert_aggregation_s": 900})
    await here.block("omar@contoso.com")
    await here.card("Omar", BLOCKED)
    await here.block("jane@contoso.com")

    await here.card("Jane Doe", BLOCKED)
    await here.quiet()
    assert [1, 1] == [len(await here.cards("Omar")), len(await here.cards("Jane Doe"))]


async def test_a_blocked_connector_has_a_card_too(here: Watched) -> None:
    """By its name, and gone from its list the card says so."""
    await here.teams.switch(block_connector={"name": "Scanner relay"})
    card = await here.card("is blocked")
    assert "alert_start" in verbs(card)

    await here.teams.switch(unblock_connector="Scanner relay")
    await here.card("is no longer blocked")


# --- how it ends ---


async def test_what_somebody_unblocks_in_the_portal_ends_on_the_card(here: Watched) -> None:
    """The card says that it is over, and there is nothing left to press."""
    card = await here.listed("omar@contoso.com", "Omar")
    await here.teams.switch(unblock={"address": "omar@contoso.com", "by": "grace@contoso.com"})

    over = await here.card("Omar", FREE)
    assert (card["activity_id"], set()) == (over["activity_id"], verbs(over))
    alert = await here.alert()
    assert alert.ended is not None and alert.ended_at is not None
    assert Tag.ALERT_ENDED in await here.tags()


async def test_a_block_of_today_ends_by_itself_at_midnight(here: Watched) -> None:
    """Midnight in UTC, by the tenant's clock; the card said so before."""
    await here.block("omar@contoso.com", temporary=True)
    await here.card("Omar", "until midnight UTC")
    await here.teams.switch(advance_s=24 * 3600)

    over = words((await here.card("Omar", FREE))["card"])
    assert "by itself" in over


async def test_blocked_again_is_news_again(here: Watched) -> None:
    """Another start of the block is another alert with a card of its own; the first one stays over."""
    first = await here.listed("omar@contoso.com", "Omar")
    await here.teams.switch(unblock="omar@contoso.com")
    await here.card("Omar", FREE)
    await here.teams.switch(advance_s=7200)
    await here.block("omar@contoso.com")

    second = await here.card("Omar", BLOCKED)
    assert first["activity_id"] != second["activity_id"]
    assert (2, 1) == (len(await here.alerts(open_only=False)), len(await here.alerts()))


async def test_resolved_at_defender_ends_a_suspicion_and_no_block(here: Watched) -> None:
    """Who is on the restricted list stays blocked whatever an analyst makes of the alert."""
    title = "Suspicious email sending patterns detected"
    await here.block("omar@contoso.com")
    await here.teams.switch(alert={"title": title, "people": ["ines"]})
    await here.card("Ines")
    for each in (title, RESTRICTED):
        await here.teams.switch(alert_update={"title": each, "status": "resolved"})

    await here.card("The suspicion about the mail of Ines")
    await here.quiet()
    assert [OMAR] == [alert.oid for alert in await here.alerts()]


async def test_a_suspicion_becomes_a_block_on_the_same_card(here: Watched) -> None:
    """Defender first, the list later: one alert that got worse."""
    await here.teams.switch(alert={"title": "Email sending limit exceeded", "people": ["omar"]})
    suspected = await here.card("suspects the mail of Omar")
    await here.block("omar@contoso.com")

    blocked = await here.card("Omar", BLOCKED)
    assert suspected["activity_id"] == blocked["activity_id"]
    assert 1 == len(await here.alerts(open_only=False))


# --- acted upon ---


async def test_start_opens_the_case_with_whoever_pressed_as_requester(here: Watched) -> None:
    """Under the policy as always: Megan approves, the account is unblocked, and the card says by which case."""
    card = await here.listed("omar@contoso.com", "Omar")
    await here.press("alex", "alert_start", card)
    prompt = await here.teams.card("approvals", "Unblock Omar")
    (case,) = await here.store.cases()
    assert (ALEX, OMAR) == (case.requester.user_oid, case.subject.user_oid if case.subject else None)
    assert "alert_start" not in verbs(await here.card(case.case_id, "Waiting for approval"))

    await here.teams.click("megan", "approve", activity_id=prompt["activity_id"])
    over = words((await here.card("Omar", FREE))["card"])
    assert case.case_id in over
    assert ["unblock requested", "sender unblocked"] == [
        change["action"] for change in await here.teams.changes() if "unblock" in change["action"]
    ]


async def test_pressing_start_twice_shows_the_same_case(here: Watched) -> None:
    """Two who press at once, and one who presses again later, all see one case."""
    await here.block("omar@contoso.com")
    card = await here.card("Omar", BLOCKED)
    pressed = [here.press("alex", "alert_start", card, repeat=3, new_ids=True) for _ in range(2)]
    await asyncio.gather(*pressed, return_exceptions=True)

    await here.teams.card("approvals", "Unblock Omar")
    assert 1 == len(await here.store.cases())


@pytest.mark.parametrize("verb", ["alert_start", "alert_snooze", "alert_not_now"])
async def test_a_stranger_can_do_nothing(here: Watched, verb: str) -> None:
    """Who may not ask for an unblock is refused, and the alert waits as before."""
    await here.block("omar@contoso.com")
    card = await here.card("Omar", BLOCKED)
    await here.press("pia@contoso.com", verb, card)

    alert = await here.alert()
    assert [] == await here.store.cases()
    assert (None, None, None) == (alert.case_id, alert.snoozed_until, alert.set_aside_by)


async def test_who_may_not_start_it_may_still_put_it_off(here: Watched) -> None:
    """Megan approves and may not ask: the card says so, and leaves her what she may press."""
    await here.block("omar@contoso.com")
    card = await here.card("Omar", BLOCKED)
    refused = await here.press("megan", "alert_start", card)
    assert "may request" in refused and "Snooze" in refused and "Not now" in refused
    await here.press("megan", "alert_not_now", card)

    assert (await here.alert()).set_aside_by is not None


async def test_what_ends_by_itself_is_looked_into_all_the_same(here: Watched) -> None:
    """The block for the day needs nobody; the account is examined, and securing it is what approvers are asked for."""
    await here.block("jane@contoso.com", temporary=True)
    card = await here.card("Jane", "ends by itself")
    await here.press("alex", "alert_start", card)
    prompt = await here.teams.card("approvals", "until midnight UTC")
    await here.teams.click("megan", "approve", activity_id=prompt["activity_id"])

    await until(lambda: _is_contained(here))
    assert "alert_start" not in verbs((await here.cards("Jane"))[-1])


async def _is_contained(here: Watched) -> bool:
    return [CaseState.CONTAINED] == [case.state for case in await here.store.cases()]


async def test_nobody_starts_the_case_of_their_own_account(here: Watched) -> None:
    """Alex is blocked himself and may not handle it."""
    await here.block("alex@contoso.com")
    await here.press("alex", "alert_start", await here.card("Alex", BLOCKED))

    assert [] == await here.store.cases()


async def test_a_block_joins_the_case_that_is_there_already(opened: Open) -> None:
    """Somebody had asked before the bot noticed: the card says which case deals with it and offers no second one."""
    here = await opened(watch_interval_seconds=3)
    await here.block("omar@contoso.com")
    await here.teams.say("alex", "unblock omar")
    await here.teams.card("approvals", "Unblock Omar")

    (case,) = await here.store.cases()
    card = await here.card("Omar", case.case_id)
    assert "alert_start" not in verbs(card)
    assert case.case_id == (await here.alert()).case_id


async def test_a_case_that_is_opened_later_is_joined_as_well(here: Watched) -> None:
    """Typed, not pressed; when it ends without result the alert waits for somebody again."""
    await here.block("omar@contoso.com")
    await here.card("Omar", BLOCKED)
    await here.teams.say("alex", "unblock omar")
    prompt = await here.teams.card("approvals", "Unblock Omar")
    assert "alert_start" not in verbs(await here.card("deals with it"))
    await here.teams.click("megan", "deny", activity_id=prompt["activity_id"], inputs={"reason": "call her first"})

    (case,) = await here.store.cases()
    assert "alert_start" in verbs(await here.card(case.case_id, "Nobody deals with it now"))
    assert CaseState.DENIED is (await here.store.case(case.case_id)).state


async def test_snoozed_it_is_quiet_and_then_comes_back(here: Watched) -> None:
    """By the button or by typing; the card says until when and by whom."""
    await here.block("omar@contoso.com")
    card = await here.card("Omar", BLOCKED)
    await here.press("megan", "alert_snooze", card, inputs={"hours": "1"})
    await here.card("Snoozed until", "Megan")
    await here.ask("alex", "snooze omar 4h", "Omar")

    await here.card("Snoozed until", "Alex")
    alert = await here.alert()
    assert alert.snoozed_until is not None
    assert 3.9 < (alert.snoozed_until - here.tenant.clock.now()).total_seconds() / 3600 <= 4
    assert [Tag.ALERT_SNOOZED] * 2 == [tag for tag in await here.tags() if tag == Tag.ALERT_SNOOZED]


async def test_not_now_leaves_it_with_a_name_to_it(here: Watched) -> None:
    """Seen, left, and still to be started by anybody."""
    await here.block("omar@contoso.com")
    await here.press("megan", "alert_not_now", await here.card("Omar", BLOCKED))

    card = await here.card("has seen it and left it", "Megan")
    assert "alert_start" in verbs(card)
    alert = await here.alert()
    assert alert.set_aside_by is not None and alert.set_aside_by.user_oid == MEGAN


# --- asked for ---


@pytest.mark.parametrize(("text", "locale"), [("alerts", "en-US"), ("larm", "sv-SE")])
async def test_open_alerts_can_be_listed(here: Watched, text: str, locale: str) -> None:
    """In both languages, with what can be done about each."""
    await here.block("omar@contoso.com")
    await here.card("Omar", BLOCKED)

    assert "omar@contoso.com" in await here.ask("alex", text, "Omar", locale=locale)


async def test_an_empty_list_says_when_it_was_read(here: Watched) -> None:
    """Nothing is open, and how fresh that is."""
    await here.quiet()

    assert "last read" in await here.ask("alex", "alerts", "No open alerts")


async def test_the_restricted_list_is_read_when_it_is_asked_for(here: Watched) -> None:
    """Who is on it, with alert or case; an account that the bot was not told of yet can be started from there."""
    await here.block("omar@contoso.com")
    await here.teams.switch(block_connector={"name": "Scanner relay"})
    said = await here.ask("alex", "restricted", "omar@contoso.com")

    assert "Read from Microsoft" in said
    await here.teams.switch(unblock="omar@contoso.com", unblock_connector="Scanner relay")
    assert "omar" not in (await here.ask("alex", "restricted", "Nobody is on the restricted list")).split("Nobody")[-1]


async def test_a_list_that_cannot_be_read_is_never_nobody(here: Watched) -> None:
    """It says why, and what is on the other list all the same."""
    await here.teams.fault("forbidden", {"cmdlet": BLOCKED_LIST}, times=-1)
    said = await here.ask("alex", "restricted", "could not be read")

    assert "Nobody" not in said


async def test_strangers_are_told_nothing(here: Watched) -> None:
    """Neither what is open nor who is restricted."""
    await here.block("omar@contoso.com")
    await here.card("Omar", BLOCKED)
    for text in ("alerts", "restricted", "snooze omar 4h"):
        await here.teams.say("pia@contoso.com", text)

    await until(lambda: _answered(here, "pia@contoso.com", 3))
    assert "Omar" not in " ".join(map(said_by, await here.teams.messages("pia@contoso.com")))


async def _answered(here: Watched, who: str, times: int) -> bool:
    return sum(message["from"] == "bot" for message in await here.teams.messages(who)) >= times


# --- many at once ---


async def test_five_within_a_minute_are_one_digest_from_which_all_are_started(here: Watched) -> None:
    """A table in place of five cards; each account gets its own case, with whoever pressed as requester."""
    await here.teams.switch(block_many={"count": 6})
    digest = await here.card("6 alerts within minutes")
    rows = [f"sender000{number}@contoso.com" for number in range(1, 7)]
    assert all(row in words(digest["card"]) for row in rows)

    assert "Open 6 cases?" in await here.press("alex", "alert_start_all", digest)
    assert [] == await here.store.cases()
    # An edit of the digest takes the question away again, so it may come more than once.
    while "are being opened" not in await here.press("alex", "alert_start_all", digest):
        pass
    await here.card("6 in cases")
    cases = await here.store.cases()
    assert {ALEX} == {case.requester.user_oid for case in cases}
    assert sorted(rows) == sorted(case.query for case in cases)
    assert 1 == len(await here.cards())


async def test_all_of_a_digest_are_snoozed_at_once(here: Watched) -> None:
    """By who may not start them; the card says that they are put off."""
    await here.teams.switch(block_many={"count": 5})
    digest = await here.card("5 alerts within minutes")
    # A refusal takes no button away, and is told before any question.
    refused = await here.press("megan", "alert_start_all", digest)
    assert "may request" in refused and "Open 5 cases" not in refused and "Snooze all 5" in refused

    assert "5 alerts are snoozed" in await here.press("megan", "alert_snooze_all", digest)
    assert "alert_snooze_all" not in verbs(await here.card("5 put off"))


async def test_a_row_of_a_digest_is_started_alone(here: Watched) -> None:
    """The others wait on."""
    await here.teams.switch(block_many={"count": 5})
    digest = await here.card("5 alerts within minutes")
    await here.press("alex", "alert_start", digest)

    await here.card("1 in a case", "4 wait for somebody")
    assert 1 == len(await here.store.cases())


async def test_a_long_digest_is_paged_and_shows_everybody_once(here: Watched) -> None:
    """Ten rows a page; turning it changes nothing for the others."""
    await here.teams.switch(block_many={"count": 23, "alerts": False})
    digest = await here.card("23 alerts within minutes")
    pages = await here.pages(digest)

    shown = [f"sender{number:04}@contoso.com" for number in range(1, 24)]
    assert [1] * 23 == [" ".join(pages).count(address) for address in shown]
    assert 3 == len(pages)
    assert "1 to 10 of 23" in words((await here.cards())[-1]["card"])


async def test_what_follows_a_digest_joins_it(here: Watched) -> None:
    """The card is edited; the channel is not flooded."""
    await here.teams.switch(block_many={"count": 5})
    digest = await here.card("5 alerts within minutes")
    await here.teams.switch(block_many={"count": 2, "prefix": "later"})

    longer = await here.card("7 alerts within minutes")
    assert digest["activity_id"] == longer["activity_id"]


# --- blind ---


async def test_a_source_that_fails_three_times_is_said_loudly_and_so_is_its_end(here: Watched) -> None:
    """What cannot be seen, why, and what to do; nothing is concluded from it; then that it works again."""
    await here.block("omar@contoso.com")
    await here.card("Omar", BLOCKED)
    await here.teams.fault("forbidden", {"cmdlet": BLOCKED_LIST}, times=-1)
    blind = await here.card("Unblock cannot do all of its work", "the list of restricted users")
    assert [OMAR] == [alert.oid for alert in await here.alerts()]
    assert "not readable now" in (await here.ask("alex", "alerts", "Omar")).lower()
    await here.teams.mend()

    seeing = await here.card("Unblock does this part of its work again")
    assert blind["activity_id"] == seeing["activity_id"]
    assert {Tag.SOURCE_FAILING, Tag.SOURCE_WORKS_AGAIN} <= set(await here.tags())


async def test_health_and_metrics_say_the_same(here: Watched) -> None:
    """While a source fails /readyz says "degraded", with its name, and /metrics how often it has."""
    await here.teams.fault("forbidden", {"cmdlet": BLOCKED_LIST}, times=-1)
    await here.card("Unblock cannot do all of its work")

    ready, measured = await fetched(here, "readyz"), await fetched(here, "metrics")
    assert ("degraded", False) == (json.loads(ready)["status"], json.loads(ready)["checks"]["sources"])
    assert ["source:restricted_list"] == json.loads(ready)["wrong"]
    assert 'unblock_health_alert{about="source:restricted_list"} 1.0' in measured
    failures = [line for line in measured.splitlines() if line.startswith("unblock_source_failures{")]
    assert any('source="restricted_list"' in line and float(line.split()[-1]) >= 3 for line in failures)


async def fetched(here: Watched, path: str) -> str:
    url = f"{here.settings.public_url}/{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_removed_from_the_channel_alerts_go_where_approvals_are_asked_for(here: Watched) -> None:
    """And it is said there that the channel for alerts is gone; put back, what comes next stands in it again."""
    await here.teams.remove(CHANNEL, silently=True)
    await here.block("omar@contoso.com")
    await here.teams.card("approvals", "omar@contoso.com")
    await here.teams.card("approvals", "removed from the conversation for alerts")
    await here.teams.remove(CHANNEL, back=True)
    await here.block("ines@contoso.com")

    await here.card("Ines", BLOCKED)
    assert [] == await here.cards("omar@contoso.com")


async def test_removed_from_the_team_it_is_in_none_of_its_channels(here: Watched) -> None:
    """Teams names one of them only, which need not be that of the alerts; an installation brings them all back."""
    await here.teams.remove("approvals")
    await until(lambda: _is_wrong(here, "conversation:alerts_conversation"))
    await here.ask("alex", "alerts", "removed from the conversation for alerts")

    await here.teams.remove("approvals", back=True)
    await here.block("omar@contoso.com")
    await here.card("Omar", BLOCKED)


async def _is_wrong(here: Watched, name: str) -> bool:
    return name in await fetched(here, "readyz")


async def test_a_channel_that_was_deleted_is_told_in_the_one_that_is_left(here: Watched) -> None:
    """The bot is still in the team."""
    await here.teams.remove("approvals", deleted=True)

    await here.card("removed from the conversation for approvals")


async def test_removed_from_everywhere_the_alert_is_not_lost(here: Watched) -> None:
    """It is open, listed, and on the record as undelivered; put back, the bot posts it, once."""
    await here.teams.remove(CHANNEL)
    await here.teams.remove("approvals", silently=True)
    await here.block("omar@contoso.com")
    await until(lambda: _is_undelivered(here))
    assert "omar@contoso.com" in await here.ask("alex", "alerts", "omar")

    await here.teams.remove(CHANNEL, back=True)
    await here.card("Omar", BLOCKED)
    await here.quiet()
    assert 1 == len(await here.cards("Omar"))


async def _is_undelivered(here: Watched) -> bool:
    return Tag.ALERT_UNDELIVERED in await here.tags()


async def test_a_card_whose_post_was_never_confirmed_is_found_by_whoever_presses_it(here: Watched) -> None:
    """Teams took it and its answer was lost: the press counts, the card follows, and none is posted beside it."""
    await here.teams.teams_fault(504, "create", lost_answer=True)
    await here.block("omar@contoso.com")
    card = await here.card(BLOCKED)
    await here.press("megan", "alert_not_now", card)
    await here.teams.switch(advance_s=120)
    await here.card("has seen it and left it", "Megan")
    await here.quiet()

    assert [card["activity_id"]] == [one["activity_id"] for one in await here.cards()]


async def test_a_card_that_nobody_pressed_is_posted_again_rather_than_lost(here: Watched) -> None:
    """A 502 that did not deliver looks the same: after a while the bot posts what nobody may have seen."""
    await here.teams.teams_fault(502, "create")
    await here.block("omar@contoso.com")
    await until(lambda: _is_stored(here))
    await here.quiet()
    before = await here.cards()
    await here.teams.switch(advance_s=60)

    await here.card("omar@contoso.com")
    assert [] == before
    assert 1 == len(await here.cards())


# --- begun again ---


async def test_what_was_blocked_while_the_bot_was_down_is_told_when_it_is_back(here: Watched) -> None:
    """And what was told before is not told again."""
    await here.block("omar@contoso.com")
    before = await here.card("Omar", BLOCKED)
    await here.stop()
    await here.block("ines@contoso.com")
    await here.start()

    await here.card("Ines", BLOCKED)
    await here.quiet()
    assert [before["activity_id"]] == [card["activity_id"] for card in await here.cards("Omar")]
    assert [INES, OMAR] == sorted((alert.oid for alert in await here.alerts()), key=[INES, OMAR].index)


async def test_noticed_and_not_yet_posted_survives_a_restart(here: Watched) -> None:
    """Teams let nothing through; the next start posts it, once."""
    await here.teams.teams_fault(429, "", times=-1, retry_after_s=1)
    await here.block("omar@contoso.com")
    await until(lambda: _is_stored(here))
    await here.stop()
    await here.teams.mend_teams()
    await here.start()
    await here.teams.switch(advance_s=60)

    await here.card("Omar", BLOCKED)
    await here.quiet()
    assert 1 == len(await here.cards("Omar"))


async def _is_stored(here: Watched) -> bool:
    return bool(await here.alerts())


async def test_what_ended_while_the_bot_was_down_ends_on_its_card(here: Watched) -> None:
    """The card from before follows."""
    card = await here.listed("omar@contoso.com", "Omar")
    await here.stop()
    await here.teams.switch(unblock="omar@contoso.com")
    await here.start()

    assert card["activity_id"] == (await here.card("Omar", FREE))["activity_id"]
