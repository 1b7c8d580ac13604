"""The sandbox's Teams: what a bot meets on both sides of it, with no Playground attached."""

import asyncio
import contextlib
import tomllib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from aiohttp import web
from yarl import URL

from services.sandbox import tryout
from services.sandbox.playground import PlaygroundMissing, Playgrounds
from services.sandbox.teams import TeamsSandbox, start_teams
from services.sandbox.teams_cards import buttons_of, find_button
from services.sandbox.teams_inbound import Composer
from services.sandbox.teams_limits import Refusal, SlidingWindows
from services.sandbox.tryout import BOT_DIED, PORT_TAKEN, try_out

CARD = {
    "type": "AdaptiveCard",
    "version": "1.5",
    "refresh": {"userIds": [], "action": {"type": "Action.Execute", "verb": "look", "data": {"case": "7"}}},
    "body": [{"type": "Input.Text", "id": "reason", "label": "Reason"}],
    "actions": [
        {
            "type": "Action.Execute",
            "title": "Approve",
            "verb": "approve",
            "data": {"case": "7"},
            "fallback": {"type": "Action.Submit", "title": "Approve", "data": {"verb": "approve", "case": "7"}},
        }
    ],
}
OTHER_CARD = {"type": "AdaptiveCard", "version": "1.5", "body": [{"type": "TextBlock", "text": "Approved"}]}


def card_activity(card: dict[str, Any] = CARD, **more: Any) -> dict[str, Any]:
    """A message that is one card."""
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return {"type": "message", "attachments": [attachment], **more}


def card_reply(card: dict[str, Any]) -> dict[str, Any]:
    """An invoke's answer that shows a card."""
    return {"statusCode": 200, "type": "application/vnd.microsoft.card.adaptive", "value": card}


@dataclass
class RecordingBot:
    """A bot that keeps what it is sent and answers invokes with `reply`."""

    endpoint: str = ""
    reply: dict[str, Any] = field(default_factory=lambda: card_reply(OTHER_CARD))
    activities: list[dict[str, Any]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        """The messaging endpoint."""
        self.tokens.append(request.headers["Authorization"].removeprefix("Bearer "))
        self.activities.append(await request.json())
        if self.activities[-1]["type"] == "invoke":
            return web.json_response(self.reply)
        return web.Response(status=201)


class Client:
    """Talks to the sandbox as the bot (connector, with a token of its login) and as the people (control routes)."""

    def __init__(self, teams: TeamsSandbox, session: aiohttp.ClientSession) -> None:
        self.teams, self.session = teams, session
        self.approvals = teams.settings()["approvals_conversation"]
        self.headers: dict[str, str] = {}

    async def log_in(self) -> None:
        """Get a connector token, as a bot does."""
        settings = self.teams.settings()
        form = {
            "grant_type": "client_credentials",
            "client_id": settings["app_id"],
            "client_secret": settings["app_secret"],
            "scope": "https://api.botframework.com/.default",
        }
        url = f"{settings['login_url']}/{settings['tenant_id']}/oauth2/v2.0/token"
        ssl_context = self.teams.sandbox.keys.client_ssl()
        async with self.session.post(url, data=form, ssl=ssl_context) as response:
            self.headers = {"Authorization": f"Bearer {(await response.json())['access_token']}"}

    async def connector(self, method: str, path: str, body: Any = None) -> tuple[int, Any, dict[str, str]]:
        """A request to the connector; status, body, headers."""
        url = URL(f"{self.teams.origin}/teams/v3/{path}".replace(";", "%3B"), encoded=True)
        ssl_context = self.teams.sandbox.keys.client_ssl()
        async with self.session.request(method, url, json=body, headers=self.headers, ssl=ssl_context) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else None, dict(response.headers)

    async def post(self, conversation_id: str, activity: dict[str, Any]) -> Any:
        """Post an activity that is expected to be taken; the body of the answer."""
        status, body, _ = await self.connector("POST", f"conversations/{conversation_id}/activities", activity)
        assert status in {201, 202}, body
        return body

    async def order(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """A control request."""
        async with self.session.post(f"{self.teams.http_origin}/_sandbox/teams/{path}", json=body) as response:
            return await response.json()

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        """What stands in a conversation."""
        url = f"{self.teams.http_origin}/_sandbox/teams/conversations/{conversation}/activities"
        async with self.session.get(url) as response:
            return (await response.json())["value"]


@pytest.fixture(scope="session")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are slow to make, so all tests share them."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def bot() -> AsyncIterator[RecordingBot]:
    recording = RecordingBot()
    application = web.Application()
    application.router.add_post("/api/messages", recording.receive)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    recording.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}/api/messages"
    yield recording
    await runner.cleanup()


@pytest.fixture
async def client(keys_folder: Path, bot: RecordingBot) -> AsyncIterator[Client]:
    teams = await start_teams(keys_folder, bot_endpoint=bot.endpoint)
    async with aiohttp.ClientSession() as session:
        talking = Client(teams, session)
        await talking.log_in()
        yield talking
    await teams.close()


async def test_what_people_type_reaches_the_bot_as_from_teams(client: Client, bot: RecordingBot) -> None:
    """
    A typed message carries Teams' channel, tenant, service address and the sender's object id.
    """
    said = await client.order("say", {"as": "alex", "conversation": "personal", "text": "unblock jane"})

    activity = bot.activities[0]
    assert (201, "unblock jane", "msteams") == (said["status"], activity["text"], activity["channelId"])
    assert f"{client.teams.origin}/teams/" == activity["serviceUrl"]
    assert client.teams.settings()["tenant_id"] == activity["channelData"]["tenant"]["id"]
    assert client.teams.relay.directory.person("alex").object_id == activity["from"]["aadObjectId"]


async def test_every_activity_is_signed_as_by_azure_bot_service(client: Client, bot: RecordingBot) -> None:
    """
    The token names issuer, app and service address, and a key that the sandbox's key document publishes for msteams.
    """
    await client.order("say", {"as": "alex", "text": "hello"})

    url = client.teams.settings()["bot_openid_url"]
    ssl_context = client.teams.sandbox.keys.client_ssl()
    async with client.session.get(url, ssl=ssl_context) as response:
        keys_url = (await response.json())["jwks_uri"]
    async with client.session.get(keys_url, ssl=ssl_context) as response:
        published = {key["kid"]: key for key in (await response.json())["keys"]}
    key = published[jwt.get_unverified_header(bot.tokens[0])["kid"]]
    claims = jwt.decode(
        bot.tokens[0],
        jwt.PyJWK(key, algorithm="RS256").key,
        algorithms=["RS256"],
        audience=client.teams.settings()["app_id"],
        issuer="https://api.botframework.com",
    )
    assert bot.activities[0]["serviceUrl"] == claims["serviceurl"]
    assert "msteams" in key["endorsements"]


async def test_an_activity_can_be_bent_on_its_way(client: Client, bot: RecordingBot) -> None:
    """
    Changes are laid over what the bot gets, so that tests can send what Teams should not.
    """
    changes = {"channelData": {"tenant": {"id": "other"}}, "from": {"aadObjectId": None}}
    await client.order("say", {"as": "alex", "text": "hello", "changes": changes})

    [activity] = bot.activities
    assert "other" == activity["channelData"]["tenant"]["id"]
    assert {"id", "name"} == set(activity["from"])


async def test_channel_messages_mention_the_bot_in_a_thread(client: Client, bot: RecordingBot) -> None:
    """
    Typed in a channel, a message is the root of its thread and mentions the bot.
    """
    said = await client.order("say", {"as": "megan", "conversation": "approvals", "text": "status"})

    activity = bot.activities[0]
    assert f"{client.approvals};messageid={said['activity_id']}" == activity["conversation"]["id"]
    assert "<at>Unblock</at> status" == activity["text"]
    assert activity["recipient"]["id"] == activity["entities"][0]["mentioned"]["id"]


async def test_the_connector_wants_the_bots_token(client: Client) -> None:
    """
    Without a token, or with the token Azure Bot Service sends to the bot, the connector answers 401.
    """
    statuses = []
    for header in ({}, {"Authorization": f"Bearer {client.teams.relay.door.token()}"}):
        client.headers = header
        statuses.append((await client.connector("GET", f"conversations/{client.approvals}/members"))[0])

    assert [401, 401] == statuses


async def test_a_card_in_a_channel_is_a_new_thread_that_can_be_edited(client: Client) -> None:
    """
    A post to a channel begins a thread; an edit replaces the card and keeps the older version on record.
    """
    status, created, _ = await client.connector(
        "POST",
        "conversations",
        {"isGroup": True, "channelData": {"channel": {"id": client.approvals}}, "activity": card_activity()},
    )
    edit_path = f"conversations/{created['id']}/activities/{created['activityId']}"
    edited, _, _ = await client.connector("PUT", edit_path, card_activity(OTHER_CARD))

    [message] = await client.messages("approvals")
    assert (201, 200, 2) == (status, edited, message["versions"])
    assert f"{client.approvals};messageid={created['activityId']}" == created["id"] == message["conversation_id"]
    assert (OTHER_CARD, CARD) == (message["card"], message["history"][0]["attachments"][0]["content"])


async def test_text_beside_a_card_gives_no_id(client: Client) -> None:
    """
    Teams makes two messages of text and card, and tells no id; an edit to text and card is refused.
    """
    body = await client.post(client.approvals, card_activity(text="Please decide"))
    posted = await client.post(client.approvals, card_activity())
    path = f"conversations/{client.approvals}/activities/{posted['id']}"
    status, error, _ = await client.connector("PUT", path, card_activity(text="Please decide"))

    assert body is None
    assert ["Please decide", None, None] == [one["text"] for one in await client.messages("approvals")]
    assert (400, "BadSyntax") == (status, error["error"]["code"])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "conversations/19:nowhere@thread.tacv2/activities", 404, "ConversationNotFound"),
        ("POST", "conversations/{approvals};messageid=1/activities", 404, "ConversationNotFound"),
        ("PUT", "conversations/{approvals}/activities/1", 404, "ActivityNotFoundInConversation"),
        ("DELETE", "conversations/{approvals}/activities/1", 404, "ActivityNotFoundInConversation"),
        ("GET", "conversations/{approvals}/members/29:nobody", 404, "MemberNotFoundInConversation"),
        ("POST", "conversations", 400, "BadArgument"),
    ],
)
async def test_unknown_things_are_refused_in_teams_words(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    """
    Each refusal has Teams' status and code.
    """
    body = None if method == "GET" else {"type": "message", "text": "hello"}
    answered, error, _ = await client.connector(method, path.format(approvals=client.approvals), body)

    assert (status, code) == (answered, error["error"]["code"])


async def test_the_bot_may_edit_only_its_own_messages(client: Client) -> None:
    """
    Somebody else's message cannot be edited or deleted.
    """
    said = await client.order("say", {"as": "alex", "conversation": "approvals", "text": "hello"})
    path = f"conversations/{said['conversation_id']}/activities/{said['activity_id']}"

    status, error, _ = await client.connector("PUT", path, {"type": "message", "text": "changed"})

    assert (403, "NotEnoughPermissions") == (status, error["error"]["code"])


async def test_a_deleted_message_is_gone(client: Client) -> None:
    """
    After a deletion an edit finds nothing.
    """
    posted = await client.post(client.approvals, card_activity())
    path = f"conversations/{client.approvals}/activities/{posted['id']}"
    await client.connector("DELETE", path)

    status, error, _ = await client.connector("PUT", path, card_activity())

    assert (404, "ActivityNotFoundInConversation") == (status, error["error"]["code"])


async def test_the_eighth_message_in_a_second_is_throttled(client: Client) -> None:
    """
    Seven messages a second go through to one conversation, the next is a 429 with Retry-After.
    """
    path = f"conversations/{client.approvals}/activities"
    sent = [client.connector("POST", path, {"type": "message", "text": str(number)}) for number in range(8)]

    answers = await asyncio.gather(*sent)

    refused = [headers for status, _, headers in answers if status == 429]
    assert (7, 1) == (len(await client.messages("approvals")), len(refused))
    assert int(refused[0]["Retry-After"]) >= 1


def test_rate_windows_open_again_with_time() -> None:
    """
    A full window says how long to wait, and takes the next request when that time has passed.
    """
    now = [0.0]
    windows = SlidingWindows(((2, 1.0),), lambda: now[0])
    taken = [windows.take("c"), windows.take("c")]
    wait_s = windows.take("c")
    now[0] += wait_s

    assert ([0.0, 0.0], 1.0, 0.0) == (taken, wait_s, windows.take("c"))


async def test_a_message_over_100_kb_is_too_big(client: Client) -> None:
    """
    The size is counted in UTF-16, so 60,000 letters are too many.
    """
    path = f"conversations/{client.approvals}/activities"
    status, error, _ = await client.connector("POST", path, {"type": "message", "text": "x" * 60_000})

    assert (413, "MessageSizeTooBig") == (status, error["error"]["code"])


async def test_a_fault_can_be_ordered_before_or_after_the_work(client: Client) -> None:
    """
    An ordered 412 leaves nothing behind; a lost answer leaves the message behind that the bot believes unsent.
    """
    path = f"conversations/{client.approvals}/activities"
    await client.order("faults", {"status": 412, "operation": "post"})
    await client.order("faults", {"status": 502, "operation": "post", "lost_answer": True})

    statuses = [(await client.connector("POST", path, {"type": "message", "text": word}))[0] for word in ("a", "b")]

    assert [412, 502] == statuses
    assert ["b"] == [message["text"] for message in await client.messages("approvals")]


async def test_a_bot_that_was_removed_from_a_channel_can_post_there_no_more(client: Client, bot: RecordingBot) -> None:
    """
    It is told so, unless that gets lost; other places still take its messages, and put back it may post again.
    """
    path = f"conversations/{client.approvals}/activities"
    told = await client.order("remove", {"conversation": "approvals"})
    status, body, _ = await client.connector("POST", path, {"type": "message", "text": "a"})
    await client.post(client.teams.relay.directory.general_id, {"type": "message", "text": "b"})
    await client.order("remove", {"conversation": "approvals", "back": True, "silently": True})

    assert (403, "BotNotInConversationRoster") == (status, body["error"]["code"])
    assert (2, "remove") == (told["told"], bot.activities[0]["action"])
    assert 2 == len(bot.activities)
    assert (await client.post(client.approvals, {"type": "message", "text": "c"}))["id"]


async def test_a_click_sends_the_cards_data_with_the_inputs(client: Client, bot: RecordingBot) -> None:
    """
    The invoke names verb, card data and inputs, the clicker, and the message that holds the card.
    """
    posted = await client.post(client.approvals, card_activity())
    click = {"as": "megan", "conversation": "approvals", "verb": "approve", "inputs": {"reason": "seen"}}
    await client.order("click", click)

    invoke = bot.activities[0]
    action = {"type": "Action.Execute", "verb": "approve", "title": "Approve", "data": {"case": "7", "reason": "seen"}}
    assert ("adaptiveCard/action", posted["id"]) == (invoke["name"], invoke["replyToId"])
    assert {"action": action, "trigger": "manual"} == invoke["value"]
    assert client.teams.relay.directory.person("megan").object_id == invoke["from"]["aadObjectId"]


async def test_a_card_in_reply_is_shown_to_the_clicker_alone(client: Client) -> None:
    """
    The reply is the clicker's own view; everybody else still sees the base card.
    """
    await client.post(client.approvals, card_activity())
    clicked = await client.order("click", {"as": "megan", "conversation": "approvals", "verb": "approve"})

    [message] = await client.messages("approvals")
    megan = client.teams.relay.directory.person("megan").object_id
    assert card_reply(OTHER_CARD) == clicked["body"] == message["last_reply"]
    assert (CARD, {megan: OTHER_CARD}) == (message["card"], message["views"])


async def test_the_submit_fallback_arrives_as_a_message(client: Client, bot: RecordingBot) -> None:
    """
    An old client sends no invoke but a message without text whose value has data and inputs.
    """
    await client.post(client.approvals, card_activity())
    await client.order("click", {"as": "megan", "conversation": "approvals", "verb": "approve", "submit": True})

    [activity] = bot.activities
    assert "message" == activity["type"]
    assert "text" not in activity
    assert {"verb": "approve", "case": "7"} == activity["value"]


@pytest.mark.parametrize(("new_ids", "different"), [(False, 1), (True, 2)])
async def test_a_click_can_be_delivered_twice(client: Client, bot: RecordingBot, new_ids: bool, different: int) -> None:
    """
    As Teams does: the same invoke again, under the same id or under a new one.
    """
    await client.post(client.approvals, card_activity())
    order = {"as": "megan", "conversation": "approvals", "verb": "approve", "repeat": 2, "new_ids": new_ids}
    clicked = await client.order("click", order)

    assert (2, 2) == (len(bot.activities), len(clicked["deliveries"]))
    assert different == len({activity["id"] for activity in bot.activities})


async def test_a_refresh_is_told_from_a_click(client: Client, bot: RecordingBot) -> None:
    """
    The card's own refresh arrives with trigger `automatic`.
    """
    await client.post(client.approvals, card_activity())
    await client.order("click", {"as": "alex", "conversation": "approvals", "refresh": True})

    value = bot.activities[0]["value"]
    assert ("automatic", "look") == (value["trigger"], value["action"]["verb"])


async def test_a_bot_that_is_down_gives_502(client: Client, unused_tcp_port: int) -> None:
    """
    Nobody waits for a bot that does not run.
    """
    client.teams.relay.door.endpoint = f"http://127.0.0.1:{unused_tcp_port}/api/messages"

    said = await client.order("say", {"as": "alex", "text": "hello"})

    assert 502 == said["status"]


async def test_the_bot_learns_where_it_is_installed(client: Client, bot: RecordingBot) -> None:
    """
    After the start the bot hears of the team, with Approvals selected, and of the chats of Alex and Megan.
    """
    accepted = await client.teams.relay.announce_when_up()

    directory = client.teams.relay.directory
    chats = {directory.personal_chat(directory.person(name)).conversation_id for name in ("alex", "megan")}
    installs = [one for one in bot.activities if one["type"] == "installationUpdate"]
    assert len(bot.activities) == accepted
    assert {client.approvals} | chats == {one["conversation"]["id"] for one in installs}
    assert client.approvals == installs[0]["channelData"]["settings"]["selectedChannel"]["id"]


async def test_the_bot_is_told_only_once_that_it_is_installed(client: Client, bot: RecordingBot) -> None:
    """
    A Playground reports the installation at every opening of a chat; the bot hears it again only after a removal.
    """
    directory = client.teams.relay.directory
    alex = directory.person("alex")
    update, joined = Composer(directory, client.teams.relay.history, client.teams.relay.door).installation(
        alex, directory.personal_chat(alex)
    )
    removed = update | {"action": "remove"}
    url = f"{client.teams.http_origin}/playground/alex/api/messages"
    for activity in (update, joined, update, joined, removed, update, joined):
        async with client.session.post(url, json=activity) as response:
            assert response.status < 300

    heard = [(one["type"], one.get("action")) for one in bot.activities]
    both = [("installationUpdate", "add"), ("conversationUpdate", None)]
    assert [*both, ("installationUpdate", "remove"), *both] == heard


async def test_a_personal_chat_is_opened_by_object_id(client: Client) -> None:
    """
    The bot can reach somebody by object id, and gets the same conversation each time.
    """
    directory = client.teams.relay.directory
    jane = directory.person("jane")
    body = {"members": [{"id": jane.object_id}], "tenantId": directory.tenant_id, "isGroup": False}

    status, created, _ = await client.connector("POST", "conversations", body)

    assert (201, directory.personal_chat(jane).conversation_id) == (status, created["id"])


async def test_members_are_listed_in_teams_shape(client: Client) -> None:
    """
    The paged list names `aadObjectId`, the unpaged one `objectId`; a personal chat has one member.
    """
    _, paged, _ = await client.connector("GET", f"conversations/{client.approvals}/pagedmembers")
    directory = client.teams.relay.directory
    chat = directory.personal_chat(directory.person("sam"))
    _, unpaged, _ = await client.connector("GET", f"conversations/{chat.conversation_id}/members")

    assert paged["totalCount"] == len(paged["members"]) > 5
    assert "aadObjectId" in paged["members"][0]
    assert ["Sam"] == [member["givenName"] for member in unpaged]
    assert "objectId" in unpaged[0]


async def test_a_playground_window_speaks_as_teams(client: Client, bot: RecordingBot) -> None:
    """
    What a Playground sends without a token arrives signed, with Teams' address, ids and trigger; the reply goes back.
    """
    posted = await client.post(client.approvals, card_activity())
    window, directory = client.teams.relay.windows.named("megan"), client.teams.relay.directory
    window.pair(posted["id"], "42")
    invoke = {
        "type": "invoke",
        "id": "1",
        "name": "adaptiveCard/action",
        "serviceUrl": "http://localhost:56151/_connector",
        "from": {"id": directory.user_id(directory.person("megan"))},
        "conversation": {"id": f"{client.approvals};messageid=42"},
        "replyToId": "42",
        "value": {"action": {"type": "Action.Execute", "verb": "approve"}},
    }

    url = f"{client.teams.http_origin}/playground/megan/api/messages"
    async with client.session.post(url, json=invoke) as response:
        shown = await response.json()

    [activity] = bot.activities
    assert card_reply(OTHER_CARD) == shown
    assert (posted["id"], "manual") == (activity["replyToId"], activity["value"]["trigger"])
    assert f"{client.approvals};messageid={posted['id']}" == activity["conversation"]["id"]
    assert directory.person("megan").object_id == activity["from"]["aadObjectId"]


async def test_windows_show_what_is_posted(client: Client) -> None:
    """
    A card in a channel appears in both windows under each one's own number, and an edit reaches both.
    """
    async with recording_window("100") as alex, recording_window("200") as megan:
        client.teams.relay.windows.named("alex").attach(alex.address)
        client.teams.relay.windows.named("megan").attach(megan.address)
        posted = await client.post(client.approvals, card_activity())
        path = f"conversations/{client.approvals}/activities/{posted['id']}"
        await client.connector("PUT", path, card_activity(OTHER_CARD))

    assert [("POST", ""), ("PUT", "100")] == alex.requests
    assert [("POST", ""), ("PUT", "200")] == megan.requests


async def test_a_broken_window_does_not_disturb_the_bot(client: Client, unused_tcp_port: int) -> None:
    """
    A window that was closed is passed over; the message is posted all the same.
    """
    client.teams.relay.windows.named("alex").attach(f"http://127.0.0.1:{unused_tcp_port}")

    posted = await client.post(client.approvals, card_activity())

    assert posted["id"]


def test_unfolding_cards_inherit_inputs() -> None:
    """
    A button in a ShowCard sends the inputs of its own card and of the cards around it; empty ones are left out.
    """
    inner = {
        "type": "AdaptiveCard",
        "body": [{"type": "Input.Toggle", "id": "sure", "title": "Sure"}],
        "actions": [{"type": "Action.Execute", "verb": "override", "data": {"case": "7"}}],
    }
    card = CARD | {"actions": [*CARD["actions"], {"type": "Action.ShowCard", "card": inner}]}

    button = find_button(card, "override")

    assert 3 == len(list(buttons_of(card)))
    assert button is not None
    assert {"case": "7", "sure": "false"} == button.execute({})["data"]
    assert {"case": "7", "sure": "true", "reason": "seen"} == button.execute({"sure": "true", "reason": "seen"})["data"]


async def test_windows_without_node_say_what_to_install(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Where Node.js is missing there are no windows, and one line says what to do.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    relay = client.teams.relay

    with pytest.raises(PlaygroundMissing, match=r"node was not found: install Node\.js"):
        await Playgrounds(tmp_path, relay.directory, relay.windows).start(client.teams.http_origin)


async def test_a_windows_configuration_has_five_others(client: Client, tmp_path: Path) -> None:
    """
    The Playground wants exactly five people besides the one who looks, all ids different.
    """
    relay = client.teams.relay
    playgrounds = Playgrounds(tmp_path, relay.directory, relay.windows)

    configuration = playgrounds.configuration(relay.directory.person("alex"))

    others = configuration["users"]
    assert "Alex" == configuration["currentUser"]["givenName"]
    assert {"Megan", "Jane", "Sam"} < {one["givenName"] for one in others}
    assert 5 == len({one["id"] for one in others} - {configuration["currentUser"]["id"]})


async def test_trying_out_names_a_port_that_is_taken(
    bot: RecordingBot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    Where another program has the bot's port, one line says so, nothing is started, and the exit code is 2.
    """
    port = URL(bot.endpoint).port
    assert port is not None

    exit_code = await try_out(tmp_path, bot_port=port, https_port=0, http_port=0)

    assert PORT_TAKEN == exit_code
    assert f"Port {port} is taken" in capsys.readouterr().out
    assert [] == list(tmp_path.iterdir())


async def test_the_bots_settings_are_readable_by_the_owner_alone(
    bot: RecordingBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """
    The settings file holds the bot's secret; a bot that ends at once is reported with its last lines and exit code 1.
    """
    fails = tmp_path / "app.py"
    fails.write_text("raise SystemExit('no such setting')")
    monkeypatch.setattr(tryout, "APP_FILE", fails)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "sandbox"

    exit_code = await try_out(folder, bot_port=0, https_port=0, http_port=0)

    settings_file = folder / "unblock.toml"
    assert BOT_DIED == exit_code
    assert "no such setting" in capsys.readouterr().out
    assert 0o600 == settings_file.stat().st_mode & 0o777
    assert "approvals_conversation" in tomllib.loads(settings_file.read_text())


async def test_a_new_try_knows_nothing_of_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The tenant begins anew, so the bot must too: a case of before would wait for a click on a card that is nowhere.
    """
    ends_at_once = tmp_path / "app.py"
    ends_at_once.write_text("raise SystemExit(1)")
    monkeypatch.setattr(tryout, "APP_FILE", ends_at_once)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder = tmp_path / "sandbox"
    folder.mkdir()
    for name in ("unblock.db", "unblock.db-wal"):
        (folder / name).write_text("an open case")

    await try_out(folder, bot_port=0, https_port=0, http_port=0)

    assert [] == list(folder.glob("unblock.db*"))


def test_every_refusal_has_a_status() -> None:
    """
    A code that Teams does not know cannot be used by mistake.
    """
    with pytest.raises(KeyError):
        Refusal("NoSuchCode")


@dataclass
class RecordingWindow:
    """What stands at a Playground's address in these tests."""

    address: str
    requests: list[tuple[str, str]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def recording_window(number: str) -> AsyncIterator[RecordingWindow]:
    """A Playground that answers each post with the same number."""
    window = RecordingWindow("")

    async def take(request: web.Request) -> web.Response:
        window.requests.append((request.method, request.match_info.get("activity", "")))
        return web.json_response({"id": number}, status=201 if request.method == "POST" else 200)

    application = web.Application()
    path = "/_connector/v3/conversations/{conversation}/activities"
    application.add_routes([web.post(path, take), web.put(path + "/{activity}", take)])
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    window.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield window
    await runner.cleanup()
