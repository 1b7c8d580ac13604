"""From people to the bot: activities as Teams writes them, signed as Azure Bot Service signs them."""

import asyncio
import copy
import json
import logging
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from services.sandbox.teams_directory import (
    APPROVALS,
    BOT_NAME,
    Directory,
    Person,
    Place,
    base_conversation_id,
    thread_root_id,
)
from services.sandbox.teams_history import Activity, History, Message, iso_time
from services.sandbox.teams_windows import Window

log = logging.getLogger(__name__)

#: After this time Teams gives up on a bot and shows an error (about 15 s; "Manage a long-running operation").
BOT_ANSWER_LIMIT_S = 15.0
#: Nobody waits longer than this for a bot that does not even accept the connection.
BOT_CONNECT_LIMIT_S = 2.0
TOKEN_LIFETIME_S = 3600
BOT_FRAMEWORK_ISSUER = "https://api.botframework.com"


@dataclass(frozen=True)
class BotReply:
    """What the bot answered over HTTP: the status, and the body read as JSON where it is JSON."""

    status: int
    body: Any

    def as_json(self) -> dict[str, Any]:
        """The reply for a reader of `/_sandbox/teams/..`."""
        return {"status": self.status, "body": self.body}


class BotDoor:
    """The bot's messaging endpoint as seen by Azure Bot Service; set `endpoint` whenever the bot is (re)started."""

    def __init__(
        self, sign: Callable[[dict[str, Any]], str], directory: Directory, service_url: str, endpoint: str
    ) -> None:
        self.endpoint = endpoint
        #: `serviceUrl` of every activity.
        self.service_url = service_url
        #: Channels and chats in which the bot has taken note that it is installed.
        self.installed_in: set[str] = set()
        self._sign, self._directory = sign, directory
        self._session: aiohttp.ClientSession | None = None

    async def deliver(self, activity: Activity) -> BotReply:
        """
        POST one activity with a fresh token. A bot that is down gives 502 at once, a bot too slow for Teams 504.

        The token is what "Authentication with the Bot Connector API" asks a bot to check: issuer, audience = app id,
        `serviceurl` = the activity's, not yet expired.
        """
        headers = {
            "Authorization": f"Bearer {self.token()}",
            "x-ms-conversation-id": activity["conversation"]["id"],
            "x-ms-tenant-id": self._directory.tenant_id,
        }
        try:
            async with self._open_session().post(self.endpoint, json=activity, headers=headers) as response:
                reply = BotReply(response.status, _json_or_text(await response.text()))
        except TimeoutError:
            log.warning("The bot at %s did not answer within %s s", self.endpoint, BOT_ANSWER_LIMIT_S)
            return BotReply(504, {"error": {"code": "GatewayTimeout", "message": "The bot did not answer in time"}})
        except aiohttp.ClientError as fault:
            log.warning("The bot at %s cannot be reached: %s", self.endpoint, fault)
            return BotReply(502, {"error": {"code": "BadGateway", "message": "The bot is not running"}})
        if reply.status < 300:
            self._note_installation(activity)
        return reply

    def told_before(self, activity: Activity) -> bool:
        """
        Whether this only tells the bot again that it is installed somewhere.

        Teams says so once, a Playground every time somebody opens a conversation in it.
        """
        added = _installs_bot(activity) or str(activity.get("action", "")).startswith("add")
        return added and base_conversation_id(activity["conversation"]["id"]) in self.installed_in

    def token(self, **changes: Any) -> str:
        """A token for the bot, valid for an hour; `changes` replaces claims, for tests of what the bot refuses."""
        now = int(time.time())
        claims = {
            "iss": BOT_FRAMEWORK_ISSUER,
            "aud": self._directory.app_id,
            "serviceurl": self.service_url,
            "nbf": now - 300,
            "iat": now,
            "exp": now + TOKEN_LIFETIME_S,
        }
        return self._sign(claims | changes)

    async def close(self) -> None:
        """Close the connections to the bot."""
        if self._session is not None:
            await self._session.close()

    def _note_installation(self, activity: Activity) -> None:
        conversation_id = base_conversation_id(activity["conversation"]["id"])
        if _installs_bot(activity):
            self.installed_in.add(conversation_id)
        elif activity["type"] == "installationUpdate" and activity.get("action", "").startswith("remove"):
            self.installed_in.discard(conversation_id)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=BOT_ANSWER_LIMIT_S, sock_connect=BOT_CONNECT_LIMIT_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session


class Composer:
    """Writes activities the way Teams does."""

    def __init__(self, directory: Directory, history: History, door: BotDoor) -> None:
        self._directory, self._history, self._door = directory, history, door

    def message(self, person: Person, place: Place, conversation_id: str, text: str, locale: str) -> Activity:
        """Something typed; in a channel Teams delivers it only with a mention of the bot, so the mention is there."""
        activity = self._envelope("message", person, place, conversation_id, locale)
        activity |= {"id": self._history.new_activity_id(), "text": text, "textFormat": "plain"}
        if place.kind == "channel":
            mention = f"<at>{BOT_NAME}</at>"
            entity = {"type": "mention", "text": mention, "mentioned": self._directory.bot_account}
            activity |= {"text": f"{mention} {text}", "textFormat": "xml"}
            activity["entities"].insert(0, entity)
        return activity

    def invoke(
        self, person: Person, place: Place, message: Message, action: dict[str, Any], trigger: str, locale: str
    ) -> Activity:
        """A click on an Action.Execute (`trigger` manual), or the client's own refresh (automatic)."""
        activity = self._envelope("invoke", person, place, message.conversation_id, locale)
        activity |= {
            "id": f"f:{uuid.uuid4()}",
            "name": "adaptiveCard/action",
            "replyToId": message.activity_id,
            "value": {"action": action, "trigger": trigger},
        }
        activity["channelData"]["source"] = {"name": "message"}
        return activity

    def submit(self, person: Person, place: Place, message: Message, value: dict[str, Any], locale: str) -> Activity:
        """A click on an Action.Submit: a message without text that carries data and inputs as its value."""
        activity = self._envelope("message", person, place, message.conversation_id, locale)
        activity |= {"id": f"f:{uuid.uuid4()}", "replyToId": message.activity_id, "value": value}
        activity["channelData"]["source"] = {"name": "message"}
        return activity

    def installation(self, installed_by: Person, place: Place, action: str = "add") -> list[Activity]:
        """What Teams sends when the app comes to a chat or team: `installationUpdate`, then `conversationUpdate`."""
        update = self._envelope("installationUpdate", installed_by, place, place.conversation_id, "en-US")
        update |= {"id": f"f:{uuid.uuid4()}", "action": action}
        joined = self._envelope("conversationUpdate", installed_by, place, place.conversation_id, "en-US")
        changed = "membersRemoved" if action.startswith("remove") else "membersAdded"
        joined |= {"id": f"f:{uuid.uuid4()}", changed: [{"id": self._directory.bot_account["id"]}]}
        if place.kind == "channel":
            update["channelData"]["settings"] = {"selectedChannel": {"id": place.conversation_id}}
            event = "teamMemberRemoved" if action.startswith("remove") else "teamMemberAdded"
            joined["channelData"] |= {"eventType": event, "settings": update["channelData"]["settings"]}
        return [update, joined]

    def channel_deleted(self, deleted_by: Person, place: Place) -> Activity:
        """What Teams sends when a channel is deleted; it comes from the General one, which nobody can delete."""
        general = self._directory.place(self._directory.general_id)
        told = self._envelope("conversationUpdate", deleted_by, general, general.conversation_id, "en-US")
        told["channelData"] |= {"eventType": "channelDeleted", "channel": {"id": place.conversation_id}}
        return told | {"id": f"f:{uuid.uuid4()}"}

    def _envelope(self, kind: str, person: Person, place: Place, conversation_id: str, locale: str) -> Activity:
        now = iso_time(self._history.now())
        return {
            "type": kind,
            "timestamp": now,
            "localTimestamp": now,
            "channelId": "msteams",
            "serviceUrl": self._door.service_url,
            "from": self._directory.user_account(person),
            "conversation": self._directory.conversation_account(place, conversation_id),
            "recipient": self._directory.bot_account,
            "entities": [{"type": "clientInfo", "locale": locale, "country": locale[-2:], "platform": "Web"}],
            "channelData": self._directory.channel_data(place),
            "locale": locale,
        }


class PlaygroundMail:
    """Turns what a Playground window sends into what Teams would send, and keeps it in the conversations."""

    def __init__(self, directory: Directory, history: History, door: BotDoor) -> None:
        self._directory, self._history, self._door = directory, history, door

    def translate(self, window: Window, activity: Activity) -> Activity:
        """
        The same activity with Teams' ids, service address and sender.

        Raises: NotThere if it belongs to a conversation that Teams does not have, as the Playground's group chat.
        """
        translated = copy.deepcopy(activity)
        conversation_id = window.relay_conversation(activity["conversation"]["id"], self._history.new_activity_id)
        place = self._directory.place(conversation_id)
        translated |= {
            "channelId": "msteams",
            "serviceUrl": self._door.service_url,
            "id": self._new_id(activity, conversation_id),
            "recipient": self._directory.bot_account,
        }
        translated["conversation"] = activity["conversation"] | self._directory.conversation_account(
            place, conversation_id
        )
        translated["channelData"] = (activity.get("channelData") or {}) | self._directory.channel_data(place)
        self._complete_sender(translated)
        self._complete_click(window, translated)
        return translated

    def keep(self, activity: Activity) -> Message | None:
        """Record a typed message; clicks, events and form answers leave no message in a conversation."""
        if activity["type"] != "message" or not activity.get("text"):
            return None
        sender = activity["from"].get("aadObjectId", activity["from"]["id"])
        return self._history.add(activity["conversation"]["id"], sender, activity, activity_id=activity["id"])

    def _new_id(self, activity: Activity, conversation_id: str) -> str:
        if activity["type"] != "message" or activity.get("value") is not None:
            return f"f:{uuid.uuid4()}"
        root = thread_root_id(conversation_id)
        return root if root and self._history.by_id(root) is None else self._history.new_activity_id()

    def _complete_sender(self, activity: Activity) -> None:
        """The Playground leaves out the name, and the object id in activities that were written by hand."""
        sender = activity["from"]
        known = {self._directory.user_id(one): one for one in self._directory.people()}
        if sender["id"] in known:
            activity["from"] = sender | self._directory.user_account(known[sender["id"]])

    def _complete_click(self, window: Window, activity: Activity) -> None:
        if activity.get("replyToId"):
            activity["replyToId"] = window.relay_activity(activity["replyToId"])
        if activity.get("name") == "adaptiveCard/action":
            activity["value"].setdefault("trigger", "manual")


async def announce_installation(directory: Directory, composer: Composer, door: BotDoor, people: list[Person]) -> int:
    """Tell the bot that it is in Approvals, in General and in these people's chats; how many of the events it took."""
    installer = people[0]
    approvals, general = directory.place(APPROVALS.casefold()), directory.place(directory.general_id)
    activities = [*composer.installation(installer, approvals), composer.installation(installer, general)[1]]
    for person in people:
        activities += composer.installation(person, directory.personal_chat(person))
    replies = [await door.deliver(activity) for activity in activities]
    return sum(1 for reply in replies if reply.status < 300)


async def wait_until_up(door: BotDoor, *, every_s: float = 0.2) -> None:
    """Wait until something accepts connections at the bot's address."""
    url = URL(door.endpoint)
    while True:
        try:
            _, writer = await asyncio.open_connection(url.host, url.port)
        except OSError:
            await asyncio.sleep(every_s)
        else:
            writer.close()
            return


def _installs_bot(activity: Activity) -> bool:
    """Whether the bot itself joins here, which is the last of the events of an installation."""
    joined = [account.get("id") for account in activity.get("membersAdded") or []]
    return activity["type"] == "conversationUpdate" and activity["recipient"]["id"] in joined


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except json.JSONDecodeError:
        return text
