"""
An activity of the Bot Framework -> plain values. Nothing in here knows botbuilder, and nothing in here raises.

What may be believed (after the token was accepted): the ids of people, conversations and tenants are set by Teams.
Names are for display. `text`, `verb` and `data` come from the user and are pointers at most.
Source: "Activity schema", "Universal Actions for Adaptive Cards", "Conversation events" on Microsoft Learn, 2026-11-23.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from services.cases import Actor
from services.conversations import Conversation

Kind = Literal["message", "card_action", "installed", "removed", "channel_deleted", "other"]
ConversationKind = Literal["personal", "groupChat", "channel"]
Json = Mapping[str, Any]

#: Longer messages hold no command; what follows is not looked at.
MAX_TEXT = 4000
#: Card data is flat; deeper values are not ours.
MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A conversation that the bot can post to."""

    #: Base address of the connector for this conversation, such as https://smba.trafficmanager.net/emea/.
    service_url: str
    #: A thread of a channel ends in ";messageid=<root>"; without that it is the channel itself.
    conversation_id: str
    tenant_id: str
    kind: ConversationKind
    #: The bot as the channel knows it: "28:<app id>".
    bot_id: str
    bot_name: str = ""

    @property
    def channel_root(self) -> Place:
        """The channel of a thread; any other place is its own root."""
        return replace(self, conversation_id=self.conversation_id.partition(";messageid=")[0])


def place_of(conversation: Conversation) -> Place:
    """A conversation that was stored earlier, as a place to post to."""
    return Place(
        conversation.service_url,
        conversation.conversation_id,
        conversation.tenant_id,
        conversation.kind.value,
        conversation.bot_id,
        conversation.bot_name,
    )


@dataclass(frozen=True, slots=True)
class SentCopy:
    """Where a posted message is, so that it can be edited later. Both ids are needed."""

    conversation_id: str
    activity_id: str


@dataclass(frozen=True, slots=True)
class Incoming:
    """One activity. Fields that are missing or of a wrong type are None (text: "", data: {})."""

    #: "installed" and "removed" may arrive twice for one installation, from two kinds of activity. With a `team_id`
    #: they are about all of the team, whichever of its channels they name as their conversation.
    kind: Kind
    activity_id: str | None = None
    service_url: str | None = None
    conversation_id: str | None = None
    conversation_kind: ConversationKind = "personal"
    channel_id: str | None = None
    team_id: str | None = None
    tenant_id: str | None = None
    bot_id: str | None = None
    bot_name: str | None = None
    #: None when Teams names no Entra account: another bot, an anonymous guest. Such a sender may do nothing.
    actor: Actor | None = None
    #: The sender as the channel knows them ("29:..."); different for every bot.
    mri: str | None = None
    #: The sender's Teams language, such as "sv-SE"; a hint.
    locale: str | None = None
    #: What was typed, without the mention of the bot and without markup.
    text: str = ""
    verb: str | None = None
    #: The button's data merged with the card's inputs, as Teams sends them. From the user: never says who somebody is.
    data: dict[str, Any] = field(default_factory=dict)
    #: The message that holds the card that was pressed.
    reply_to_id: str | None = None
    #: "automatic" is Teams refreshing a card by itself; its answer must never edit the message.
    trigger: Literal["manual", "automatic"] = "manual"
    via: Literal["execute", "submit"] | None = None

    @property
    def place(self) -> Place:
        """Where this came from. Raises ValueError when the activity does not say so completely."""
        if not (self.service_url and self.conversation_id and self.tenant_id and self.bot_id):
            raise ValueError("the activity does not name its conversation")
        return Place(
            self.service_url,
            self.conversation_id,
            self.tenant_id,
            self.conversation_kind,
            self.bot_id,
            self.bot_name or "",
        )


def incoming(activity: Mapping[str, Any]) -> Incoming:
    """The plain values of an activity. Never raises, whatever the fields hold."""
    conversation, channel_data = _object(activity, "conversation"), _object(activity, "channelData")
    sender, bot = _object(activity, "from"), _object(activity, "recipient")
    tenant_id = next(iter(tenant_ids(activity)), None)
    bot_id = _string(bot, "id")
    pressed = _pressed(activity)
    return Incoming(
        kind=_kind(activity, bot_id, pressed),
        activity_id=_string(activity, "id"),
        service_url=_string(activity, "serviceUrl"),
        conversation_id=_string(conversation, "id"),
        conversation_kind=_conversation_kind(conversation, channel_data),
        channel_id=_channel_id(channel_data),
        team_id=_string(_object(channel_data, "team"), "id"),
        tenant_id=tenant_id,
        bot_id=bot_id,
        bot_name=_string(bot, "name"),
        actor=_actor(sender, tenant_id),
        mri=_string(sender, "id"),
        locale=_string(activity, "locale"),
        text=_text(activity, bot_id),
        reply_to_id=_string(activity, "replyToId"),
        **pressed,
    )


def tenant_ids(activity: Mapping[str, Any]) -> list[str]:
    """Every tenant id that the activity carries, in lower case: they must all be ours. A wrong type reads as ""."""
    holders = (
        (_object(_object(activity, "channelData"), "tenant"), "id"),
        (_object(activity, "conversation"), "tenantId"),
    )
    return [(_string(holder, name) or "").lower() for holder, name in holders if holder.get(name) is not None]


# --- what kind of activity -------------------------------------------------------------------------------------------

_INSTALLED = frozenset({"add", "upgrade", "add-upgrade"})
_REMOVED = frozenset({"remove", "remove-upgrade"})
#: What may happen to a team or a channel that the bot is in, by `channelData.eventType`.
_EVENTS: Mapping[str | None, Kind] = {
    "channelDeleted": "channel_deleted",
    "teamDeleted": "removed",
    "teamRestored": "installed",
}


def _kind(activity: Json, bot_id: str | None, pressed: Json) -> Kind:
    if pressed:
        return "card_action"
    match activity.get("type"):
        case "message":
            return "message"
        case "installationUpdate":
            return _installation(activity.get("action"))
        case "conversationUpdate":
            return _membership(activity, bot_id)
    return "other"


def _installation(action: object) -> Kind:
    if not isinstance(action, str):
        return "other"
    return "installed" if action in _INSTALLED else "removed" if action in _REMOVED else "other"


def _membership(activity: Json, bot_id: str | None) -> Kind:
    """
    Whether the bot itself was added or removed, or what it is in; other people coming and going are not our business.
    """
    if bot_id and bot_id in _member_ids(activity, "membersAdded"):
        return "installed"
    if bot_id and bot_id in _member_ids(activity, "membersRemoved"):
        return "removed"
    return _EVENTS.get(_string(_object(activity, "channelData"), "eventType"), "other")


def _member_ids(activity: Json, name: str) -> list[str | None]:
    return [_string(member, "id") for member in _objects(activity, name)]


def _pressed(activity: Json) -> dict[str, Any]:
    """The fields of a card action, {} when it is none. Execute comes as an invoke, Submit as a message with a value."""
    value = _object(activity, "value")
    if activity.get("type") == "invoke" and activity.get("name") == "adaptiveCard/action":
        return _executed(value)
    if activity.get("type") == "message" and (verb := _string(value, "verb")):
        return {"via": "submit", "verb": verb, "data": _clean(value), "trigger": "manual"}
    return {}


def _executed(value: Json) -> dict[str, Any]:
    action = _object(value, "action")
    data = _object(action, "data")
    return {
        "via": "execute",
        "verb": _string(action, "verb") or _string(data, "verb"),
        "data": _clean(data),
        "trigger": "automatic" if value.get("trigger") == "automatic" else "manual",
    }


# --- who and where ---------------------------------------------------------------------------------------------------


def _actor(sender: Json, tenant_id: str | None) -> Actor | None:
    """The person behind `from`. Someone whose home is named as another tenant keeps that one, so that it is refused."""
    user_oid, home = _string(sender, "aadObjectId"), _string(sender, "tenantId") or tenant_id
    if not user_oid or not home:
        return None
    return Actor(user_oid=user_oid.lower(), name=_string(sender, "name") or "", tenant_id=home.lower())


def _conversation_kind(conversation: Json, channel_data: Json) -> ConversationKind:
    kind = conversation.get("conversationType")
    if isinstance(kind, str) and kind in get_args(ConversationKind):
        return kind
    if _channel_id(channel_data):
        return "channel"
    return "groupChat" if conversation.get("isGroup") is True else "personal"


def _channel_id(channel_data: Json) -> str | None:
    """The channel; an installation names the one that was selected."""
    selected = _object(_object(channel_data, "settings"), "selectedChannel")
    return _string(_object(channel_data, "channel"), "id") or _string(selected, "id")


# --- what was typed --------------------------------------------------------------------------------------------------

#: Markup that Teams leaves in `text`. Links stay: the grammar reads addresses out of them.
_TAG = re.compile(r"</?(?:at|p|div|span|br|strong|em|b|i)\b[^<>]*>", re.IGNORECASE)


def _text(activity: Json, bot_id: str | None) -> str:
    """The text without the bot's mention; of other mentions ("unblock @Jane") the name stays."""
    text = (_string(activity, "text") or "")[:MAX_TEXT]
    for mention in _mentions_of(activity, bot_id):
        text = text.replace(mention, " ")
    return html.unescape(_TAG.sub(" ", text)).replace("\xa0", " ").replace("\x00", "").strip()


def _mentions_of(activity: Json, bot_id: str | None) -> Iterator[str]:
    for entity in _objects(activity, "entities"):
        mentioned, text = _string(_object(entity, "mentioned"), "id"), _string(entity, "text")
        if entity.get("type") == "mention" and bot_id and mentioned == bot_id and text:
            yield text


# --- reading what may be anything ------------------------------------------------------------------------------------


def _object(holder: Json, name: str) -> Json:
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def _objects(holder: Json, name: str) -> list[Json]:
    values = holder.get(name)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []


def _string(holder: Json, name: str) -> str | None:
    value = holder.get(name)
    return _storable(value) or None if isinstance(value, str) else None


def _storable(text: str) -> str:
    """Without NUL and lone surrogates, which JSON can carry and neither database can store."""
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "").encode("utf-8", "ignore").decode()


def _clean(value: Any, depth: int = 0) -> Any:
    """The JSON value with storable strings; what is nested too deep becomes None."""
    if isinstance(value, str):
        return _storable(value)
    if not isinstance(value, (dict, list)):
        return value
    if depth >= MAX_DEPTH:
        return None
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    return {_storable(str(name)): _clean(item, depth + 1) for name, item in value.items()}
