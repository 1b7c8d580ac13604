"""What stands in the conversations: every message, with its earlier versions and each viewer's own view."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.sandbox.teams_directory import base_conversation_id

Activity = dict[str, Any]
CARD_TYPE = "application/vnd.microsoft.card.adaptive"
BOT = "bot"


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def iso_time(moment: datetime) -> str:
    """A moment as Teams writes it: UTC, milliseconds, Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def card_of(activity: Activity) -> dict[str, Any] | None:
    """The first Adaptive Card attached to an activity."""
    for attachment in activity.get("attachments") or []:
        if attachment.get("contentType") == CARD_TYPE and isinstance(attachment.get("content"), dict):
            return attachment["content"]
    return None


@dataclass
class Message:
    """One message in a conversation, from its first version to what it is now."""

    activity_id: str
    #: The thread it stands in (`..;messageid=N`) for channels, else the chat.
    conversation_id: str
    #: BOT, or the object id of the person who wrote it.
    sender: str
    activity: Activity
    posted_at: datetime
    edited_at: datetime | None = None
    deleted: bool = False
    #: Every version but the current one, oldest first.
    earlier: list[Activity] = field(default_factory=list)
    #: The card that one viewer alone sees since a click, by object id; an edit takes everybody back to the base card.
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    #: The bot's body in answer to the last click on this message, and who clicked.
    last_reply: Any = None
    last_clicked_by: str | None = None

    @property
    def card(self) -> dict[str, Any] | None:
        """The card everybody sees."""
        return card_of(self.activity)

    def card_for(self, object_id: str) -> dict[str, Any] | None:
        """The card this viewer sees: their own view if there is one, else the base card."""
        return self.views.get(object_id) or self.card

    def edit(self, activity: Activity, at: datetime) -> None:
        """Replace the content; the old one stays on record."""
        self.earlier.append(self.activity)
        self.activity = copy.deepcopy(activity)
        self.edited_at = at
        self.views.clear()

    def remember_reply(self, object_id: str, body: Any) -> None:
        """Keep what a click was answered with; a card becomes the clicker's own view, never the base card."""
        self.last_reply, self.last_clicked_by = body, object_id
        if isinstance(body, dict) and body.get("type") == CARD_TYPE and isinstance(body.get("value"), dict):
            self.views[object_id] = body["value"]

    def as_json(self) -> dict[str, Any]:
        """The message for a reader of `/_sandbox/teams/..`."""
        return {
            "activity_id": self.activity_id,
            "conversation_id": self.conversation_id,
            "from": self.sender,
            "posted_at": iso_time(self.posted_at),
            "edited_at": iso_time(self.edited_at) if self.edited_at else None,
            "deleted": self.deleted,
            "versions": len(self.earlier) + 1,
            "text": self.activity.get("text"),
            "summary": self.activity.get("summary"),
            "card": self.card,
            "views": self.views,
            "last_reply": self.last_reply,
            "last_clicked_by": self.last_clicked_by,
            "activity": self.activity,
            "history": [*self.earlier, self.activity],
        }


class History:
    """All messages in order, and the numbers that become their ids."""

    def __init__(self, now: Callable[[], datetime] = utc_now) -> None:
        self.now = now
        self._messages: dict[str, Message] = {}
        self._last_number = 0

    def new_activity_id(self) -> str:
        """A fresh 13-digit id: milliseconds since 1970, moved on by one where two fall together."""
        self._last_number = max(self._last_number + 1, int(self.now().timestamp() * 1000))
        return str(self._last_number)

    def add(self, conversation_id: str, sender: str, activity: Activity, *, activity_id: str) -> Message:
        """Keep a new message."""
        message = Message(activity_id, conversation_id, sender, copy.deepcopy(activity), self.now())
        self._messages[activity_id] = message
        return message

    def find(self, conversation_id: str, activity_id: str) -> Message | None:
        """A message that is still there, asked for by its thread or by the thread's channel."""
        message = self._messages.get(activity_id)
        if message is None or message.deleted:
            return None
        same_place = base_conversation_id(message.conversation_id) == base_conversation_id(conversation_id)
        return message if same_place else None

    def by_id(self, activity_id: str) -> Message | None:
        """A message wherever it is, deleted ones too."""
        return self._messages.get(activity_id)

    def within(self, conversation_id: str) -> list[Message]:
        """The messages of one thread, or of a chat, or of a channel with all its threads; oldest first."""
        return [one for one in self._messages.values() if _stands_in(one.conversation_id, conversation_id)]

    def newest_first(self) -> Iterator[Message]:
        """All messages, the latest posted first."""
        return reversed(list(self._messages.values()))


def _stands_in(conversation_id: str, wanted: str) -> bool:
    return conversation_id == wanted or base_conversation_id(conversation_id) == wanted
