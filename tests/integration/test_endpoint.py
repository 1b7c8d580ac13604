"""From an HTTP request to the hook and back, through the real token check, botbuilder and connector."""

import asyncio
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from bot.activities import Incoming
from bot.adapter import Reply, TeamsAdapter, invoke_card, invoke_message
from bot.connector import Connector, ServiceHosts
from bot.endpoint import MAX_BODY_BYTES, MessagesEndpoint
from bot.identity import BotTokenValidator
from services.errors import WrongState
from tests.fakes.bot_service import APP_ID, TENANT_ID, FakeBotService, FakeClock
from tests.fakes.teams import FakeTeams

CARD = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "Hello"}]}
WORKING = invoke_message("Still working on it.")


@dataclass
class FakeTurns:
    """Writes down what it is called with and does as it is told."""

    calls: list[tuple[str, Incoming]] = field(default_factory=list)
    answer: dict[str, Any] | None = None
    fault: Exception | None = None
    #: When set, a turn waits for it.
    gate: asyncio.Event | None = None
    ended: int = 0

    async def on_message(self, incoming: Incoming, reply: Reply) -> None:
        await self._do("message", incoming)
        sent = await reply.send(CARD, summary="Hello")
        await reply.update(sent.activity_id, CARD, summary="Hello again")
        await reply.say("That was all.")

    async def on_card_action(self, incoming: Incoming, reply: Reply) -> dict[str, Any] | None:
        await self._do("card_action", incoming)
        return self.answer

    async def on_installed(self, incoming: Incoming) -> None:
        await self._do("installed", incoming)

    async def on_removed(self, incoming: Incoming) -> None:
        await self._do("removed", incoming)

    async def _do(self, what: str, incoming: Incoming) -> None:
        self.calls.append((what, incoming))
        if self.gate:
            await self.gate.wait()
        self.ended += 1
        if self.fault:
            raise self.fault


@dataclass
class House:
    """The front door with everything behind it."""

    client: TestClient
    service: FakeBotService
    teams: FakeTeams
    turns: FakeTurns
    endpoint: MessagesEndpoint

    def activity(self, **changed: Any) -> dict[str, Any]:
        """A message of Alex in the personal chat; a field changed to None is left out."""
        good = {
            "type": "message",
            "id": "1700000000000",
            "channelId": "msteams",
            "serviceUrl": self.teams.service_url,
            "from": {"id": "29:alex", "name": "Alex", "aadObjectId": "oid-alex"},
            "recipient": {"id": f"28:{APP_ID}", "name": "Unblock"},
            "conversation": {"id": "a:alex", "conversationType": "personal", "tenantId": TENANT_ID},
            "channelData": {"tenant": {"id": TENANT_ID}},
            "text": "unblock jane",
        }
        return {name: value for name, value in (good | changed).items() if value is not None}

    def click(self, **changed: Any) -> dict[str, Any]:
        value = {"action": {"type": "Action.Execute", "verb": "approve", "data": {"claim": "c1"}}, "trigger": "manual"}
        return self.activity(type="invoke", name="adaptiveCard/action", value=value, **changed)

    async def post(self, activity: Any, **header_claims: Any) -> tuple[int, Any]:
        """Status and JSON body (None when empty) of the answer to an activity with a token."""
        header = self.service.header(**{"serviceurl": self.teams.service_url} | header_claims)
        return await self.post_raw(json.dumps(activity), Authorization=header)

    async def post_raw(self, body: Any, **headers: str) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): v for name, v in headers.items()}
        async with self.client.post("/api/messages", data=body, headers=headers) as response:
            text = await response.text()
            return response.status, json.loads(text) if text else None


@pytest.fixture
async def house():
    service, teams, turns = FakeBotService(FakeClock()), FakeTeams(), FakeTurns()
    await service.start()
    await teams.start()

    async def token() -> str:
        return "the-token"

    hosts = ServiceHosts([teams.host, "smba.trafficmanager.net"])
    endpoint = MessagesEndpoint(
        adapter=TeamsAdapter(Connector(teams.session, token, hosts), turns, lambda incoming: WORKING),
        validator=BotTokenValidator(service.openid_url, APP_ID, service.session, service.clock),
        tenant_id=TENANT_ID.upper(),
        service_hosts=hosts,
        fallback=lambda incoming: WORKING,
        deadline_s=5.0,
    )
    app = web.Application()
    app.router.add_post("/api/messages", endpoint.handle)
    async with TestClient(TestServer(app, host="127.0.0.1")) as client:
        yield House(client, service, teams, turns, endpoint)
    await endpoint.close()
    await service.stop()
    await teams.stop()


async def test_a_message_reaches_the_bot_and_is_answered(house):
    """
    A message is handed on as plain values, and the bot posts, edits and speaks in its conversation.
    """
    assert (200, None) == await house.post(house.activity())

    ((what, incoming),) = house.turns.calls
    assert ("message", "unblock jane", "oid-alex") == (what, incoming.text, incoming.actor.user_oid)
    assert ["POST", "PUT", "POST"] == [heard.method for heard in house.teams.heard]
    card, edit, text = (heard.body for heard in house.teams.heard)
    assert CARD == card["attachments"][0]["content"] == edit["attachments"][0]["content"]
    assert ("Hello", "Hello again", "That was all.") == (card["summary"], edit["summary"], text["text"])
    assert house.teams.heard[1].path.endswith("/a%3Aalex/activities/1700000000001")


async def test_a_click_is_answered_with_the_bots_body(house):
    """
    What a hook returns for a click is the body of the answer, unbroken.
    """
    house.turns.answer = invoke_card(CARD)

    assert (200, invoke_card(CARD)) == await house.post(house.click())
    assert ("approve", {"claim": "c1"}) == (house.turns.calls[0][1].verb, house.turns.calls[0][1].data)


async def test_a_click_by_submit_is_the_same_order(house):
    """
    The fallback button of old clients arrives as a message and reaches the same hook.
    """
    assert (200, None) == await house.post(house.activity(text="", value={"verb": "approve", "claim": "c1"}))

    assert ("card_action", "submit") == (house.turns.calls[0][0], house.turns.calls[0][1].via)


async def test_a_click_always_gets_a_body(house):
    """
    Without a body Teams would show an error and send the click again.
    """
    assert (200, WORKING) == await house.post(house.click())


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"type": "installationUpdate", "action": "add"}, ["installed"]),
        ({"type": "installationUpdate", "action": "remove"}, ["removed"]),
        ({"type": "conversationUpdate", "membersAdded": [{"id": f"28:{APP_ID}"}]}, ["installed"]),
        ({"type": "conversationUpdate", "membersAdded": [{"id": "29:megan"}]}, []),
        ({"type": "typing"}, []),
        ({"type": "event", "name": "application/vnd.microsoft.meetingStart", "value": 5}, []),
    ],
)
async def test_coming_and_going(house, changed, what):
    """
    The bot learns of its own installation; other events are accepted and are nothing to it.
    """
    assert (200, None) == await house.post(house.activity(**changed))

    assert what == [name for name, _ in house.turns.calls]


async def test_an_invoke_that_we_do_not_know_is_said_to_be_unknown(house):
    """
    An unknown invoke is not silently accepted.
    """
    status, body = await house.post(house.activity(type="invoke", name="task/fetch"))

    assert (501, {"error": "not_supported"}) == (status, body)


# --- the deadline ----------------------------------------------------------------------------------------------------


async def test_a_slow_click_is_answered_in_time_and_done_all_the_same(house):
    """
    The answer goes out at the deadline, and the work ends behind it.
    """
    house.turns.gate = asyncio.Event()
    house.endpoint._deadline_s = 0.05

    assert (200, WORKING) == await house.post(house.click())
    assert 0 == house.turns.ended

    house.turns.gate.set()
    await house.endpoint.close()
    assert 1 == house.turns.ended


async def test_a_slow_message_is_accepted(house):
    """
    A message that is still being worked on is accepted without a body.
    """
    house.turns.gate = asyncio.Event()
    house.endpoint._deadline_s = 0.05

    assert (202, None) == await house.post(house.activity())
    house.turns.gate.set()


async def test_a_turn_that_never_ends_is_cancelled_at_the_end(house):
    """
    Stopping the bot does not wait for ever.
    """
    house.turns.gate = asyncio.Event()
    house.endpoint._deadline_s = 0.05
    await house.post(house.click())

    await house.endpoint.close(patience_s=0.01)

    assert (0, set()) == (house.turns.ended, house.endpoint._turns)


# --- who and what does not get in ------------------------------------------------------------------------------------


async def test_without_a_token_nobody_gets_in(house):
    """
    A missing, foreign or expired token is refused alike, and the caller does not learn why.
    """
    activity = json.dumps(house.activity())

    assert (401, {"error": "unauthenticated"}) == await house.post_raw(activity)
    assert (401, {"error": "unauthenticated"}) == await house.post_raw(activity, Authorization="Bearer x.y.z")
    assert (401, {"error": "unauthenticated"}) == await house.post(house.activity(), aud="another")
    assert (401, {"error": "unauthenticated"}) == await house.post(house.activity(), exp=1)
    assert [] == house.turns.calls


async def test_a_token_for_another_service_url_does_not_get_in(house):
    """
    The body may not send the bot's answers elsewhere, not even to another host of the list.
    """
    moved = house.activity(serviceUrl="https://smba.trafficmanager.net/emea/")

    assert (401, {"error": "unauthenticated"}) == await house.post(moved)


async def test_without_keys_the_door_stays_shut(house):
    """
    When no token can be checked, the caller is asked to come back, and nothing is done.
    """
    house.service.status = 500

    assert (503, {"error": "keys_unavailable"}) == await house.post(house.activity())
    assert [] == house.turns.calls


@pytest.mark.parametrize(
    "changed",
    [
        {"channelData": None, "conversation": {"id": "a:alex"}},
        {"channelData": {"tenant": {"id": "elsewhere"}}},
        {"conversation": {"id": "a:alex", "tenantId": "elsewhere"}},
        {"channelData": {"tenant": {"id": 5}}},
        {"channelData": {"tenant": {"id": [TENANT_ID]}}},
    ],
    ids=str,
)
async def test_another_tenant_does_not_get_in(house, changed):
    """
    The token does not name a tenant, so the activity must, and everything it names must be ours.
    """
    assert (403, {"error": "wrong_tenant"}) == await house.post(house.activity(**changed))
    assert [] == house.turns.calls


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({"channelId": "directline"}, 403, "wrong_channel"),
        ({"serviceUrl": "https://evil.example/"}, 403, "service_url_not_allowed"),
        ({"serviceUrl": "http://smba.trafficmanager.net/"}, 403, "service_url_not_allowed"),
        ({"serviceUrl": None}, 400, "bad_activity"),
        ({"serviceUrl": 5}, 400, "bad_activity"),
        ({"channelId": None}, 400, "bad_activity"),
        ({"type": None}, 400, "bad_activity"),
        ({"type": ["message"]}, 400, "bad_activity"),
    ],
    ids=str,
)
async def test_what_is_not_from_teams_does_not_get_in(house, changed, status, code):
    """
    Channel and service URL are needed, and looked at before the token.
    """
    assert (status, {"error": code}) == await house.post(house.activity(**changed))


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "not_json"),
        (b"{", 400, "not_json"),
        (b"[]", 400, "not_an_object"),
        (b'"x"', 400, "not_an_object"),
        (b'{"a": NaN}', 400, "not_json"),
        (b'{"a": "\xff"}', 400, "not_json"),
        (b'{"a": ' + b"9" * 5000 + b"}", 400, "not_json"),
        (b"[" * 100_000, 400, "not_json"),
        (b" " * (MAX_BODY_BYTES + 1), 413, "too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
async def test_what_is_no_activity_does_not_get_in(house, body, status, code):
    """
    Broken bodies are refused in a word, without a stack trace.
    """
    assert (status, {"error": code}) == await house.post_raw(body)


async def test_only_json_gets_in(house):
    """
    Another content type is refused before the body is read.
    """
    assert (415, {"error": "not_json"}) == await house.post_raw("{}", Content_Type="text/plain")


async def test_a_large_body_without_a_length_does_not_get_in(house):
    """
    A body that does not say how long it is, is counted while it is read.
    """

    async def body():
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    assert (413, {"error": "too_large"}) == await house.post_raw(body())


@pytest.mark.parametrize(
    "field_name", ["from", "recipient", "conversation", "channelData", "entities", "text", "value"]
)
async def test_odd_fields_do_no_harm(house, field_name):
    """
    A field of a wrong type is refused or ignored, but is never an error of ours.
    """
    for odd in (5, "x", [], [5], {"id": {}}, True):
        status, _ = await house.post(house.activity(type="event", **{field_name: odd}))
        assert status in (200, 403)


async def test_a_fault_of_ours_is_logged_and_told_in_a_word(house):
    """
    An exception of a turn is written down with its trace; the caller learns nothing of it.
    """
    house.turns.fault = WrongState(case_id="AB12")

    with capture_logs() as logs:
        assert (500, {"error": "internal"}) == await house.post(house.click())

    (entry,) = [entry for entry in logs if entry["event"] == "turn_failed"]
    assert house.turns.fault is entry["exc_info"]


async def test_a_refusal_says_why_in_the_log_and_shows_no_token(house):
    """
    An operator can find out why a caller was refused; the token itself is never written down.
    """
    with capture_logs() as logs:
        await house.post(house.activity(), aud="another")

    (entry,) = [entry for entry in logs if entry["event"] == "activity_refused"]
    assert ("unauthenticated", "wrong audience") == (entry["code"], entry["reason"])
    assert "eyJ" not in str(logs)


def test_only_the_adapter_knows_botbuilder():
    """
    The archived SDK can be replaced in one file: nothing else in bot/ imports it.
    """
    files = (Path(__file__).parents[2] / "bot").rglob("*.py")
    importing = re.compile(r"^\s*(from|import) bot(builder|framework)", re.MULTILINE)

    assert ["adapter.py"] == [file.name for file in files if importing.search(file.read_text(encoding="utf-8"))]
