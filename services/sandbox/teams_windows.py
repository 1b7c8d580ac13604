"""The Playground windows: what the bot posts is shown in each, under the ids that each Playground gives."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from services.sandbox.teams_directory import (
    Directory,
    Person,
    Place,
    base_conversation_id,
    thread_conversation_id,
    thread_root_id,
)
from services.sandbox.teams_history import BOT, Activity, History, Message

log = logging.getLogger(__name__)

WINDOW_ANSWER_LIMIT_S = 5.0
#: Parts of an activity that a Playground shows; addresses and people it fills in itself.
SHOWN_FIELDS = ("type", "text", "textFormat", "summary", "attachments", "attachmentLayout", "entities", "value")
DELETED_TEXT = "_This message has been deleted._"


class Window:
    """
    One Playground, looking at Teams as one person.

    Chats and channels have the same ids here and there (they are settable). Messages do not: a Playground numbers its
    own, also inside `..;messageid=N`, so both directions are kept.
    """

    def __init__(self, name: str, person: Person) -> None:
        self.name, self.person = name, person
        #: Where the Playground listens (`http://127.0.0.1:56150`); None while none is attached.
        self.address: str | None = None
        self._window_ids: dict[str, str] = {}
        self._relay_ids: dict[str, str] = {}

    def attach(self, address: str) -> None:
        """Show everything from now on in the Playground at this address, which is new and empty."""
        self.address = address.rstrip("/")
        self._window_ids.clear()
        self._relay_ids.clear()

    def shows(self, place: Place) -> bool:
        """Whether this person is in the conversation and a Playground is there to show it."""
        return self.address is not None and (place.person is None or place.person.object_id == self.person.object_id)

    def pair(self, relay_id: str, window_id: str) -> None:
        """Both ids mean the same message."""
        self._window_ids[relay_id] = window_id
        self._relay_ids[window_id] = relay_id

    def relay_activity(self, window_id: str) -> str:
        """Our id for a message of this window; an id never seen is passed on, so that the bot can refuse it."""
        return self._relay_ids.get(window_id, window_id)

    def window_activity(self, relay_id: str) -> str | None:
        """The window's id for a message, None if it was never shown there."""
        return self._window_ids.get(relay_id)

    def relay_conversation(self, conversation_id: str, new_activity_id: Callable[[], str]) -> str:
        """Our id for a conversation of this window; a thread begun in the window gets its root id now."""
        root = thread_root_id(conversation_id)
        if root is None:
            return conversation_id
        if root not in self._relay_ids:
            self.pair(new_activity_id(), root)
        return thread_conversation_id(base_conversation_id(conversation_id), self._relay_ids[root])

    def window_conversation(self, conversation_id: str) -> str:
        """The window's id for a conversation; a thread it never saw becomes a new post in the channel."""
        root = thread_root_id(conversation_id)
        channel_id = base_conversation_id(conversation_id)
        if root is None or root not in self._window_ids:
            return channel_id
        return thread_conversation_id(channel_id, self._window_ids[root])


class Windows:
    """All windows; nothing here can make the bot's own request fail, a broken window is only logged."""

    def __init__(self, directory: Directory, history: History, windows: list[Window]) -> None:
        self._directory, self._history = directory, history
        self._windows = {window.name: window for window in windows}
        self._session: aiohttp.ClientSession | None = None

    def named(self, name: str) -> Window:
        """The window of this name. Raises: KeyError."""
        return self._windows[name]

    async def show(self, message: Message, *, except_in: str = "") -> None:
        """Show a new message in every window of its conversation; people's words carry their name."""
        windows = [one for one in self._showing(message.conversation_id) if one.name != except_in]
        await asyncio.gather(*(self._post(window, message) for window in windows))

    async def update(self, message: Message) -> None:
        """Show the present version of a message."""
        await asyncio.gather(*(self._put(window, message) for window in self._showing(message.conversation_id)))

    async def show_typing(self, conversation_id: str) -> None:
        """Show that the bot is typing."""
        for window in self._showing(conversation_id):
            await self._send(window, "POST", window.window_conversation(conversation_id), "", {"type": "typing"})

    async def close(self) -> None:
        """Close the connections to the windows."""
        if self._session is not None:
            await self._session.close()

    def _showing(self, conversation_id: str) -> list[Window]:
        place = self._directory.place(conversation_id)
        return [window for window in self._windows.values() if window.shows(place)]

    async def _post(self, window: Window, message: Message) -> None:
        conversation_id = window.window_conversation(message.conversation_id)
        body = await self._send(window, "POST", conversation_id, "", self._shown(message))
        if isinstance(body, dict) and body.get("id"):
            window.pair(message.activity_id, body["id"])

    async def _put(self, window: Window, message: Message) -> None:
        window_id = window.window_activity(message.activity_id)
        if window_id is not None:
            conversation_id = window.window_conversation(message.conversation_id)
            await self._send(window, "PUT", conversation_id, window_id, self._shown(message))

    def _shown(self, message: Message) -> Activity:
        if message.deleted:
            return {"type": "message", "text": DELETED_TEXT, "textFormat": "markdown"}
        if message.sender != BOT:
            name = message.activity["from"].get("name", "Somebody")
            return {"type": "message", "text": f"**{name}:** {message.activity.get('text', '')}"}
        return {key: message.activity[key] for key in SHOWN_FIELDS if message.activity.get(key) is not None}

    async def _send(self, window: Window, method: str, conversation_id: str, activity_id: str, body: Activity) -> Any:
        path = f"/_connector/v3/conversations/{quote(conversation_id, safe='')}/activities"
        path += f"/{quote(activity_id, safe='')}" if activity_id else ""
        url = URL(f"{window.address}{path}", encoded=True)
        try:
            async with self._open_session().request(method, url, json=body) as response:
                if response.status >= 300:
                    log.warning("Window %s refused a message: %s %s", window.name, response.status, response.reason)
                    return None
                return await response.json() if response.status in {200, 201} else None
        except (aiohttp.ClientError, TimeoutError) as fault:
            log.warning("Window %s did not show a message: %s", window.name, fault)
            return None

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=WINDOW_ANSWER_LIMIT_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        return self._session
