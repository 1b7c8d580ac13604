"""Alerts on their way to people: once each, many together, and nothing lost whatever Teams says."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from bot.activities import Place
from bot.alert_poster import GIVEN_UP_AFTER, MAX_ROWS, AlertPoster, Subject
from bot.connector import CopyGone, PlaceGone, Uncertain
from cards.samples import sample_week
from services.alerts.health import DeliveryCheck
from services.alerts.model import Alert, AlertCopy, AlertKind, AlertState
from services.audit import Tag
from services.cases import Actor, CaseState, Finding, SignalState, say
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.errors import Rejected, ServiceError, Throttled, Unavailable
from services.store import Store
from tests.fakes import given
from tests.fakes.alerting import (
    APPROVALS,
    CHANNEL,
    FakeConnector,
    FakeOnCall,
    alert,
    campaign,
    installed,
    later,
    raised,
)
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW
from tests.fakes.people import MEGAN, TENANT, actor


async def at_once(seconds: float) -> None:
    """No time passes."""


class Alerting:
    """A poster with everything around it, and what the channel shows."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock, self.teams = store, clock, FakeConnector()
        self.poster = self.another()

    def another(self, **more: Any) -> AlertPoster:
        """A replica of its own, or the same one after a restart."""
        given = {"alerts_conversation": CHANNEL, "approvals_conversation": APPROVALS, "on_call": FakeOnCall()} | more
        return AlertPoster(
            store=self.store,
            connector=self.teams,  # type: ignore[arg-type]
            clock=self.clock,
            language="en",
            sleep=at_once,
            **given,
        )

    async def tell(self, *alerts: Alert) -> None:
        await self.poster.alerts_changed(await raised(self.store, *alerts))
        await self.poster.settled()

    async def swept(self) -> None:
        await self.poster.sweep()
        await self.poster.settled()

    async def changed(self, alert_id: str = "A1", **fields: Any) -> None:
        await self.store.alerts.change_alert(alert_id, lambda alert: (alert.model_copy(update=fields), []))
        await self.poster.alerts_changed([alert_id])
        await self.poster.settled()

    @property
    def shown(self) -> list[str]:
        return [json.dumps(card, ensure_ascii=False) for card in self.teams.cards]

    async def tags(self) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries()]


@pytest.fixture
async def here(store: Store, clock: FakeClock) -> Alerting:
    await installed(store, CHANNEL, APPROVALS)
    return Alerting(store, clock)


# --- one ---


async def test_an_alert_is_posted_once_in_the_conversation_for_alerts(here: Alerting) -> None:
    """Told of again, swept again, it stays one card; the on-call is called by name."""
    await here.tell(alert())
    await here.poster.alerts_changed(["A1"])
    await here.swept()

    assert [CHANNEL] == here.teams.places
    assert "<at>Megan</at>" in here.shown[0]
    assert {"id": MEGAN.oid, "name": "Megan"} == here.teams.cards[0]["msteams"]["entities"][0]["mentioned"]


async def test_of_two_replicas_one_posts(here: Alerting) -> None:
    """Both are told, and only one may claim it."""
    other = here.another()
    ids = await raised(here.store, alert())
    await here.poster.alerts_changed(ids)
    await other.alerts_changed(ids)
    await here.poster.settled()
    await other.settled()

    assert 1 == len(here.shown)


async def test_what_an_admin_chose_in_chat_wins(here: Alerting) -> None:
    """As `alerts here` says; without a conversation for alerts they go where the questions go."""
    await here.store.choose(ALERTS_CONVERSATION, "19:chosen@thread.tacv2")
    await here.tell(alert())
    here.poster = here.another(alerts_conversation="")
    await here.store.choose(ALERTS_CONVERSATION, "")
    await here.store.choose(APPROVALS_CONVERSATION, "19:asked@thread.tacv2")
    await here.tell(alert("A2", "omar@contoso.com"))

    assert ["19:chosen@thread.tacv2", "19:asked@thread.tacv2"] == here.teams.places


async def test_a_card_follows_its_alert_to_the_end(here: Alerting) -> None:
    """The first impression, then how it ended; the same message all the time, and no call for what looks the same."""
    await here.tell(alert())
    await here.changed(impression=given_findings())
    edits = len(here.teams.edits)
    await here.poster.alerts_changed(["A1"])
    await here.poster.settled()
    assert (edits, True) == (len(here.teams.edits), "Inbox rules" in here.shown[0])

    await here.changed(state=AlertState.ENDED, ended_at=NOW, ended=say("outcome.unblocked"))
    assert 1 == len(here.shown)
    assert "off the restricted list" in here.shown[0] and "alert_start" not in here.shown[0]


def given_findings() -> tuple[Finding, ...]:
    return (Finding(signal_id="inbox_rules", state=SignalState.CLEAR, summary=say("finding.inbox_rules.none")),)


async def test_a_card_says_how_its_case_stands(here: Alerting) -> None:
    """And follows it, though nothing changes about the alert."""
    await here.store.open_case(given.case(state=CaseState.AWAITING_APPROVAL))
    await here.tell(alert(case_id="C1"))
    assert "Waiting for approval" in here.shown[0] and "alert_start" not in here.shown[0]

    denied = {"state": CaseState.DENIED}
    await here.store.change_case("C1", lambda case: (case.model_copy(update=denied), []))
    await here.poster.case_changed("C1")
    await here.poster.settled()
    assert "Nobody deals with it now" in here.shown[0] and "alert_start" in here.shown[0]


async def test_nobody_on_call_is_no_mention(here: Alerting) -> None:
    """The card goes out all the same."""

    class Nobody:
        async def people(self) -> tuple[()]:
            return ()

    here.poster = here.another(on_call=Nobody())
    await here.tell(alert())

    assert "<at>" not in here.shown[0] and "entities" not in here.teams.cards[0]["msteams"]


# --- many ---


async def test_five_at_once_are_one_digest(here: Alerting) -> None:
    """A table of all; four are a card each."""
    await here.tell(*campaign(4))
    assert 4 == len(here.shown)
    here.clock.advance(minutes=2)
    await here.tell(*campaign(5, first=5))

    assert 5 == len(here.shown)
    assert "5 alerts within minutes" in here.shown[4]
    assert all(f"person{n}@contoso.com" in here.shown[4] for n in range(5, 10))


async def test_the_fifth_within_a_minute_begins_a_digest(here: Alerting) -> None:
    """One after the other counts as well; the four have their cards, the rest stands in the digest."""
    for one in campaign(4):
        await here.tell(one)
        here.clock.advance(seconds=10)
    await here.tell(*campaign(2, first=5))

    assert 5 == len(here.shown)
    assert "person5@contoso.com" in here.shown[4] and "person1@contoso.com" not in here.shown[4]


async def test_what_comes_within_a_minute_joins_the_digest(here: Alerting) -> None:
    """By an edit; after a quiet minute a single one has a card of its own again."""
    await here.tell(*campaign(5))
    here.clock.advance(seconds=50)
    await here.tell(*campaign(2, first=6))
    assert 1 == len(here.shown)
    assert "7 alerts within minutes" in here.shown[0]

    here.clock.advance(seconds=61)
    await here.tell(*campaign(1, first=8))
    assert 2 == len(here.shown)


async def test_a_campaign_that_goes_on_calls_again(here: Alerting) -> None:
    """An edit calls nobody, so after five minutes there is a new digest, and not a card for each."""
    await here.tell(*campaign(5))
    for n in range(6, 66):
        here.clock.advance(seconds=59)
        await here.tell(*(one.model_copy(update={"noticed_at": here.clock.now()}) for one in campaign(1, first=n)))

    assert 10 <= len(here.shown) <= 13
    assert all("<at>Megan</at>" in card for card in here.shown)
    assert "person65@contoso.com" in here.shown[-1]


async def test_nothing_joins_a_digest_in_which_nothing_waits(here: Alerting) -> None:
    """Whoever dealt with it has no reason to look at it again."""
    await here.tell(*campaign(5))
    for n in range(1, 6):
        await here.changed(f"A{n}", set_aside_by=actor(MEGAN), set_aside_at=NOW)
    here.clock.advance(seconds=20)
    await here.tell(*campaign(1, first=6))

    assert 2 == len(here.shown)
    assert "person6@contoso.com" in here.shown[1] and "person1@contoso.com" not in here.shown[1]


async def test_a_digest_of_what_waited_long_says_from_when_to_when(here: Alerting) -> None:
    """Nobody could be told for hours; "within minutes" would be wrong."""
    old, new = campaign(4), campaign(4, first=5)
    at = NOW + timedelta(hours=3)
    here.clock.advance(hours=3)
    await here.tell(*old, *(one.model_copy(update={"noticed_at": at}) for one in new))

    assert 1 == len(here.shown)
    assert "8 alerts from " in here.shown[0] and "within minutes" not in here.shown[0]


async def test_a_digest_has_room_for_two_thousand(here: Alerting) -> None:
    """Those beyond it stand in another one, and every card stays small enough for Teams."""
    await here.tell(*campaign(MAX_ROWS + 7))

    assert ["2,000 alerts", "7 alerts"] == [
        "2,000 alerts" if "2,000 alerts within" in card else "7 alerts" for card in here.shown
    ]
    assert all(len(card.encode()) < 28 * 1024 for card in here.shown)


async def test_a_digest_follows_its_alerts(here: Alerting) -> None:
    """How many wait, are in a case, were put off, are over."""
    await here.tell(*campaign(5))
    await here.changed("A1", state=AlertState.ENDED, ended_at=NOW)
    await here.changed("A2", case_id="C9")
    await here.changed("A3", set_aside_by=actor(MEGAN), set_aside_at=NOW)

    assert "2 wait for somebody, 1 in a case, 1 put off, and 1 over" in here.shown[0]


async def test_the_bots_own_trouble_stands_alone(here: Alerting) -> None:
    """A campaign does not hide that the bot is blind, nor that the whole organisation is stopped."""
    blind = alert("H1", "source:defender", kind=AlertKind.HEALTH, what=say("weekly.no_case"))
    everybody = alert("T1", "tenant", kind=AlertKind.TENANT_RESTRICTED)
    await here.tell(*campaign(5), blind, everybody)

    assert 3 == len(here.shown)
    assert any("cannot do all of its work" in card for card in here.shown)


# --- when Teams says no ---


@pytest.mark.parametrize("fault", [Throttled("teams", 1.0), Unavailable("teams", maybe_done=False)])
async def test_what_teams_refused_is_tried_again(here: Alerting, fault: ServiceError) -> None:
    """It waits as if nobody had seen it, is on the record once, and is posted by the next sweep."""
    here.teams.post_faults = [fault, fault]
    await here.tell(alert())
    here.clock.advance(seconds=6)
    await here.swept()
    assert ["A1"] == [one.alert_id for one in await here.store.alerts.unposted()]
    assert [Tag.ALERT_UNDELIVERED] == await here.tags()

    here.clock.advance(seconds=11)
    await here.swept()
    assert 1 == len(here.shown)
    assert [] == await here.store.alerts.unposted()


async def test_a_digest_that_was_refused_comes_back_whole(here: Alerting) -> None:
    """All of it, in one card."""
    here.teams.post_faults = [Throttled("teams")]
    await here.tell(*campaign(6))
    here.clock.advance(seconds=6)
    await here.swept()

    assert 1 == len(here.shown)
    assert "6 alerts within minutes" in here.shown[0]


async def test_what_is_refused_for_an_hour_burdens_nobody(here: Alerting) -> None:
    """The pauses grow to five minutes, one row is used again and again, and the on-call is asked once."""
    asked = []

    class Asked(FakeOnCall):
        async def people(self) -> tuple[Actor, ...]:
            asked.append(1)
            return await super().people()

    here.poster = here.another(on_call=Asked())
    here.teams.post_faults = [Rejected("teams", "BadArgument") for _ in range(1000)]
    await here.tell(alert())
    for _ in range(120):
        here.clock.advance(seconds=30)
        await here.swept()

    assert 10 <= 1000 - len(here.teams.post_faults) <= 20
    assert (1, 1) == (len(await here.store.alerts.copies_of_alert("A1")), len(asked))
    here.teams.post_faults = []
    here.clock.advance(minutes=5)
    await here.swept()
    assert 1 == len(here.shown) and "<at>Megan</at>" in here.shown[0]


async def test_a_pause_that_teams_asks_for_is_granted(here: Alerting) -> None:
    """Ours would be over sooner."""
    here.teams.post_faults = [Throttled("teams", 60.0)]
    await here.tell(alert())
    here.clock.advance(seconds=59)
    await here.swept()
    assert [] == here.shown

    here.clock.advance(seconds=2)
    await here.swept()
    assert 1 == len(here.shown)


@pytest.mark.parametrize("count", [1, 6])
async def test_what_nobody_knows_the_end_of_is_repeated_ever_more_seldom(here: Alerting, count: int) -> None:
    """Every half an hour in the end, and the bot's own health tells of it meanwhile; also after a restart."""
    here.teams.lose_answers = True
    await here.tell(*campaign(count))
    posts = []
    for minute in range(90):
        here.clock.advance(minutes=1)
        if minute == 30:
            here.poster = here.another()
        await here.swept()
        posts.append(len(here.teams.posts))

    assert (2, 4, 6) == (posts[0], posts[30], posts[-1])
    check = DeliveryCheck(here.store, here.clock)
    await check.look()
    assert ["delivery:alerts"] == [report.about for report in await check.look()]


async def test_an_alert_is_not_as_old_as_the_digest_that_it_was_added_to(here: Alerting) -> None:
    """What others in it have been through says nothing about how often this one was tried."""
    here.teams.lose_answers = True
    await raised(here.store, *(each.model_copy(update={"uncertain": 3}) for each in campaign(5)))
    await here.tell(alert("N1", "new@contoso.com"))
    here.clock.advance(seconds=GIVEN_UP_AFTER.total_seconds())
    await here.swept()

    assert 2 == len(here.shown)


@pytest.mark.parametrize("lost", ["answer", "process"])
@pytest.mark.parametrize("digest_id", [None, "D1"])
async def test_what_is_to_be_told_again_is_told_though_a_card_of_before_is_there(
    here: Alerting, lost: str, digest_id: str | None
) -> None:
    """The old card, or the row of a digest, told of something else: that nobody knows of the new one is not enough."""
    first = campaign(6) if digest_id else [alert()]
    await here.tell(*first)
    again = first[0].alert_id
    kept = (await here.store.alerts.alert(again)).digest_id
    here.clock.advance(minutes=30)
    posted = len(here.teams.posts)
    if lost == "answer":
        here.teams.post_faults = [Uncertain(status=504)]
    else:
        here.clock.advance(seconds=-1)
        await here.store.alerts.change_alert(again, lambda a: (a.model_copy(update={"is_alone": True}), []))
    put = {"posted_at": here.clock.now() if lost == "process" else None, "waits_since": here.clock.now()}
    await here.changed(again, **put)
    here.poster = here.another() if lost == "process" else here.poster
    assert posted == len(here.teams.posts)

    here.clock.advance(seconds=GIVEN_UP_AFTER.total_seconds())
    await here.swept()
    assert posted + 1 == len(here.teams.posts)
    assert kept == (await here.store.alerts.alert(again)).digest_id
    await here.swept()
    assert posted + 1 == len(here.teams.posts)


async def test_a_post_of_which_nobody_knows_the_end_is_not_repeated_at_once(here: Alerting) -> None:
    """It may be there; only after a while, with nobody having pressed it, it is posted again."""
    here.teams.post_faults = [Uncertain(status=504)]
    await here.tell(alert())
    await here.swept()
    assert [] == here.shown

    here.clock.advance(seconds=GIVEN_UP_AFTER.total_seconds())
    await here.swept()
    assert 1 == len(here.shown)


async def test_a_card_that_was_lost_and_is_pressed_becomes_ours_again(here: Alerting) -> None:
    """It follows from then on, and no second one is posted."""
    here.teams.post_faults = [Uncertain(status=504)]
    await here.tell(alert())
    here.teams.posts["77"] = (CHANNEL, {})
    place = Place("https://teams.example/", f"{CHANNEL};messageid=77", TENANT, "channel", "28:bot")
    await here.poster.adopt(Subject(alert_id="A1"), place, "77", "en")
    await here.poster.settled()
    here.clock.advance(seconds=GIVEN_UP_AFTER.total_seconds())
    await here.swept()

    assert ["77"] == list(here.teams.posts)
    assert "may no longer send mail" in here.shown[0]


async def test_a_restart_between_claim_and_post_loses_nothing(here: Alerting) -> None:
    """Claimed by a replica that died, with no card written down: the next one posts it after a while."""
    in_a_digest = alert("A2", "omar@contoso.com", posted_at=NOW, digest_id="D1")
    await raised(here.store, alert(posted_at=NOW), in_a_digest)
    await here.swept()
    assert [] == here.shown  # somebody may be posting them just now

    here.clock.advance(seconds=GIVEN_UP_AFTER.total_seconds())
    await here.swept()
    assert 2 == len(here.shown)
    await here.swept()
    assert 2 == len(here.shown)


async def test_two_replicas_do_not_give_back_what_the_other_claimed(here: Alerting) -> None:
    """A dead one claimed it; while the first is about to give it back, the second does so and posts."""
    other = here.another()
    await raised(here.store, alert(posted_at=NOW))
    here.clock.advance(seconds=50)
    copies_posting = here.store.alerts.copies_of_alert

    async def slowly(alert_id: str) -> list[AlertCopy]:
        here.store.alerts.copies_of_alert = copies_posting  # type: ignore[method-assign]
        found = await copies_posting(alert_id)
        await other.sweep()
        await other.settled()
        return found

    here.store.alerts.copies_of_alert = slowly  # type: ignore[method-assign]
    await here.swept()

    assert 1 == len(here.shown)


async def test_after_a_restart_nothing_is_posted_twice(here: Alerting) -> None:
    """What was told stays told, and cards that fell behind are brought up to date."""
    await here.tell(alert())
    ended = {"state": AlertState.ENDED, "ended_at": NOW}
    await here.store.alerts.change_alert("A1", lambda alert: (alert.model_copy(update=ended), []))
    here.clock.advance(minutes=5)
    here.poster = here.another()
    await here.swept()

    assert 1 == len(here.shown)
    assert "off the restricted list" in here.shown[0]


async def test_a_post_on_its_way_is_waited_for_at_the_end(here: Alerting) -> None:
    """Else nobody would know whether it arrived, and the next start would post it again after a while."""
    here.teams.gate = asyncio.Event()
    await here.poster.alerts_changed(await raised(here.store, alert()))
    async with asyncio.timeout(5):
        while not here.shown:
            await asyncio.sleep(0)
    ending = asyncio.create_task(here.poster.close())
    await asyncio.sleep(0.05)
    assert not ending.done()

    here.teams.gate.set()
    await ending
    [copy] = await here.store.alerts.copies_of_alert("A1")
    assert ("live", "1") == (copy.state, copy.activity_id)


async def test_removed_from_the_channel_it_goes_where_the_questions_go(here: Alerting) -> None:
    """Rather than to nobody."""
    here.teams.post_faults = [PlaceGone("BotNotInConversationRoster")]
    await here.tell(alert())

    assert [APPROVALS] == here.teams.places
    known = await here.store.conversation(CHANNEL)
    assert known is not None and not known.active


async def test_with_no_place_left_it_waits_and_is_on_the_record(here: Alerting) -> None:
    """Once, however often it is tried; put back, the bot posts it."""
    here.teams.post_faults = [PlaceGone("BotNotInConversationRoster")] * 2
    await here.tell(alert())
    await here.swept()
    await here.swept()
    assert ([], [Tag.ALERT_UNDELIVERED]) == (here.shown, await here.tags())

    await installed(here.store, CHANNEL)
    await here.swept()
    assert [CHANNEL] == here.teams.places


async def test_an_edit_that_failed_is_made_up_for(here: Alerting) -> None:
    """Also one that only the case was the reason for; a message that was deleted is given up."""
    await here.store.open_case(given.case(state=CaseState.AWAITING_APPROVAL))
    await here.tell(alert(case_id="C1"))
    here.teams.edit_faults = [Unavailable("teams")]
    denied = {"state": CaseState.DENIED}
    await here.store.change_case("C1", lambda case: (case.model_copy(update=denied), []))
    await here.poster.case_changed("C1")
    await here.poster.settled()
    assert "Waiting for approval" in here.shown[0]
    here.clock.advance(seconds=5)
    await here.swept()
    assert "Nobody deals with it now" in here.shown[0]

    here.teams.edit_faults = [CopyGone("ActivityNotFoundInConversation")]
    await here.changed(name="Jane Doe")
    here.clock.advance(minutes=5)
    await here.swept()
    assert 1 == len(here.shown)


async def test_a_card_outlives_a_secret_that_has_ended(here: Alerting) -> None:
    """That Entra, or Teams, refuses us for a while is no word about the message: it still stands there."""
    await here.tell(alert())
    here.teams.edit_faults = [Rejected("entra", "invalid_client"), Rejected("teams", "", "HTTP 401", status=401)]
    await here.changed(state=AlertState.ENDED, ended_at=NOW, ended=say("outcome.unblocked"))
    await here.swept()
    assert "off the restricted list" not in here.shown[0] and 1 == len(here.teams.edit_faults)

    for _ in range(2):
        here.clock.advance(seconds=10)
        await here.swept()
    assert "off the restricted list" in here.shown[0]


async def test_what_is_new_does_not_wait_behind_edits(here: Alerting) -> None:
    """However slowly Teams takes many edits."""
    here.poster = here.another(digest_from=50)
    await here.tell(*campaign(20))
    here.teams.edit_gate = asyncio.Event()
    ids = [each.alert_id for each in campaign(20)]
    for alert_id in ids:
        ended = {"state": AlertState.ENDED, "ended_at": NOW, "ended": say("outcome.unblocked")}
        await here.store.alerts.change_alert(alert_id, lambda a, ended=ended: (a.model_copy(update=ended), []))
    await here.poster.alerts_changed(ids)
    await here.poster.alerts_changed(await raised(here.store, alert("N1", "new@contoso.com")))
    async with asyncio.timeout(5):
        while 21 > len(here.shown):
            await asyncio.sleep(0.01)

    here.teams.edit_gate.set()
    await here.poster.settled()
    assert 20 == len(here.teams.edits)


async def test_what_joined_a_digest_that_was_deleted_is_told_elsewhere(here: Alerting) -> None:
    """What had been on it has been seen; what had not is lost with no message, nor by a restart."""
    await here.tell(*campaign(6))
    here.teams.edit_faults = [CopyGone("ActivityNotFoundInConversation")]
    here.clock.advance(seconds=30)
    await here.tell(*campaign(20, first=7))
    for _ in range(3):
        here.clock.advance(minutes=1)
        await here.swept()

    assert 2 == len(here.shown)
    assert "20 alerts within minutes" in here.shown[1]
    assert [] == await here.store.alerts.unposted()


async def test_what_a_restart_left_in_a_deleted_digest_is_told(here: Alerting) -> None:
    """The replica died between learning that the message is gone and giving back what was never on it."""
    await here.tell(*campaign(5))
    (copy,) = await here.store.alerts.copies_of_digest(str((await here.store.alerts.alert("A1")).digest_id))
    here.clock.advance(seconds=10)
    joined = {"posted_at": here.clock.now(), "digest_id": copy.digest_id}
    await raised(here.store, alert("A9", "late@contoso.com", **joined))
    await here.store.alerts.save_copy(copy.model_copy(update={"state": "gone"}))
    here.clock.advance(minutes=1)
    here.poster = here.another()
    await here.swept()

    assert 2 == len(here.shown)
    assert "late@contoso.com" in here.shown[1] and "person1@contoso.com" not in here.shown[1]


async def test_a_thousand_in_a_digest_are_one_question(here: Alerting, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every five seconds, for as long as they are open."""
    await here.tell(*campaign(200))
    here.clock.advance(minutes=1)
    asked: list[str] = []
    for name in ("copies_of_alert", "copies_of_digest"):
        monkeypatch.setattr(here.store.alerts, name, counted(getattr(here.store.alerts, name), asked))
    await here.swept()

    assert 1 == len(asked)


def counted(ask: Any, asked: list[str]) -> Any:
    async def and_count(name: str) -> Any:
        asked.append(name)
        return await ask(name)

    return and_count


# --- put off ---


async def test_snoozed_it_is_quiet_and_then_told_again(here: Alerting) -> None:
    """The card says until when; afterwards there is a new one, so that somebody hears of it."""
    await here.tell(alert())
    await here.changed(**later(NOW + timedelta(hours=1)))
    await here.swept()
    assert "Snoozed until" in here.shown[0] and 1 == len(here.shown)

    here.clock.advance(hours=1)
    await here.swept()
    assert 2 == len(here.shown)
    assert not any("Snoozed until" in card for card in here.shown)
    await here.swept()
    assert 2 == len(here.shown)


async def test_what_a_case_deals_with_is_not_told_again(here: Alerting) -> None:
    """Its time is over, and somebody is at work."""
    await here.store.open_case(given.case(state=CaseState.AWAITING_APPROVAL))
    await here.tell(alert())
    await here.changed(**later(NOW + timedelta(hours=1), case_id="C1"))
    here.clock.advance(hours=2)
    await here.swept()

    assert 1 == len(here.shown)


# --- the week ---


async def test_the_week_is_posted_once(here: Alerting) -> None:
    """The same summary again is skipped; one that Teams refused is for the caller to try again."""
    here.teams.post_faults = [Throttled("teams")]
    with pytest.raises(Throttled):
        await here.poster.post_weekly(sample_week())
    await here.poster.post_weekly(sample_week())
    await here.poster.post_weekly(sample_week())

    assert 1 == len(here.shown)
    assert "The week: 47 blocks" in here.shown[0]


async def test_a_week_that_nobody_can_be_told_of_is_no_fault(store: Store, clock: FakeClock) -> None:
    """There is no place yet."""
    here = Alerting(store, clock)
    await here.poster.post_weekly(sample_week())

    assert [] == here.shown
