"""
The one place that knows botbuilder: a turn of the SDK around our plain hooks.

Kept of it are TurnContext, middleware and TeamsActivityHandler. Its authentication, credentials and connector clients
are not used at run time: they rebuild HTTP clients and MSAL apps on every turn. Its CloudAdapter is not used either: it
serialises the answer to an invoke twice (every card click becomes a 500) and swallows exceptions of a turn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from botbuilder.core import BotAdapter, InvokeResponse, TurnContext
from botbuilder.core.teams import TeamsActivityHandler
from botbuilder.schema import (
    Activity,
    ActivityTypes,
    Attachment,
    ChannelAccount,
    ConversationAccount,
    ConversationReference,
    ResourceResponse,
)

from bot.activities import Incoming, SentCopy, incoming
from bot.connector import CARD_TYPE, Card, Connector
from bot.identity import Claims

_INCOMING = "unblock.incoming"


@dataclass(frozen=True, slots=True)
class InvokeOutcome:
    """The answer to an invoke: HTTP status and JSON body, as they go out."""

    status: int
    body: dict[str, Any]


def invoke_card(card: Card) -> dict[str, Any]:
    """The body that shows this card to the one who clicked. Source: "Universal Action Model", Adaptive Cards docs."""
    return {"statusCode": 200, "type": CARD_TYPE, "value": card}


def invoke_message(text: str) -> dict[str, Any]:
    """The body that shows a short notice to the one who clicked."""
    return {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": text}


class Reply:
    """Speaks in the conversation of the turn."""

    def __init__(self, context: TurnContext) -> None:
        self._context = context

    async def send(self, card: Card, *, summary: str) -> SentCopy:
        """Post a card. Raises what the connector raises."""
        return await self._post(_card_activity(card, summary))

    async def say(self, text: str) -> SentCopy:
        """Post a text that was written as Markdown, with everything in it that outsiders wrote made harmless."""
        return await self._post(Activity(type=ActivityTypes.message, text=text, text_format="markdown"))

    async def update(self, activity_id: str, card: Card, *, summary: str) -> None:
        """Replace one of the bot's own messages in this conversation."""
        activity = _card_activity(card, summary)
        activity.id = activity_id
        await self._context.update_activity(activity)

    async def _post(self, activity: Activity) -> SentCopy:
        response = await self._context.send_activity(activity)
        return SentCopy(_incoming_of(self._context).place.conversation_id, response.id)


class Turns(Protocol):
    """What the bot does, in plain types. Exceptions reach the caller of `process`."""

    async def on_message(self, incoming: Incoming, reply: Reply) -> None:
        """Somebody typed something."""
        ...

    async def on_card_action(self, incoming: Incoming, reply: Reply) -> dict[str, Any] | None:
        """
        Somebody pressed a button, or Teams refreshes a card (trigger "automatic").

        The answer is an invoke body (`invoke_card`, `invoke_message`). It is shown only for via "execute"; a click that
        came by "submit" has no answer, so edit the message instead.
        """
        ...

    async def on_installed(self, incoming: Incoming) -> None:
        """The bot was added here, or upgraded. May come twice for one installation."""
        ...

    async def on_removed(self, incoming: Incoming) -> None:
        """The bot was removed from here. May come twice."""
        ...


class TeamsAdapter(BotAdapter):
    """
    Runs one activity through botbuilder's pipeline and our hooks.

    `fallback` gives the invoke body for a card action that the hooks have no answer to: Teams shows an error to the
    person, and sends the click again, when there is no body.
    """

    def __init__(self, connector: Connector, turns: Turns, fallback: Callable[[Incoming], dict[str, Any]]) -> None:
        super().__init__()
        self._connector = connector
        self._handler = _Handler(turns, fallback)

    async def process(self, activity: Mapping[str, Any], claims: Claims) -> InvokeOutcome | None:
        """
        Do what the activity asks for. The answer to an invoke, None for everything else.

        Raises whatever a hook raises. `claims` are the proof that the activity came from the Bot Connector.
        """
        received = incoming(activity)
        is_invoke = activity.get("type") == ActivityTypes.invoke
        if received.kind == "other":
            return InvokeOutcome(501, {"error": "not_supported"}) if is_invoke else None
        context = TurnContext(self, _sdk_activity(activity, received))
        context.turn_state[_INCOMING] = received
        context.turn_state[BotAdapter.BOT_IDENTITY_KEY] = claims
        await self.run_pipeline(context, self._handler.on_turn)
        return _outcome(context) if is_invoke else None

    async def send_activities(self, context: TurnContext, activities: Sequence[Activity]) -> list[ResourceResponse]:
        """Post each activity by our connector; the answer to an invoke is kept for `process`."""
        return [await self._send(context, activity) for activity in activities]

    async def _send(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        if activity.type == ActivityTypes.invoke_response:
            context.turn_state[self._INVOKE_RESPONSE_KEY] = activity
            return ResourceResponse()
        place = _incoming_of(context).place
        card = _card_of(activity)
        text = activity.text if card is None else None
        markdown = activity.text_format == "markdown"
        sent = await self._connector.send(
            place, card, summary=activity.summary or "", text=text, markdown=markdown and text is not None
        )
        return ResourceResponse(id=sent.activity_id)

    async def update_activity(self, context: TurnContext, activity: Activity) -> ResourceResponse:
        """Replace a message by a card."""
        place, card = _incoming_of(context).place, _card_of(activity)
        if card is None:
            raise ValueError("only a card can replace a message")
        await self._connector.update(place, activity.id, card, summary=activity.summary or "")
        return ResourceResponse(id=activity.id)

    async def delete_activity(self, context: TurnContext, reference: ConversationReference) -> None:
        """Not supported: what was said stays readable, it is edited instead."""
        raise NotImplementedError("messages are edited, never deleted")


class _Handler(TeamsActivityHandler):
    """
    From botbuilder's hooks to ours.

    The base class asks Teams for the profile of everybody who is added to a team, and turns answers to invokes into
    models; both are left out by overriding the hook above them.
    """

    def __init__(self, turns: Turns, fallback: Callable[[Incoming], dict[str, Any]]) -> None:
        super().__init__()
        self._turns = turns
        self._fallback = fallback

    async def on_message_activity(self, turn_context: TurnContext) -> None:
        received = _incoming_of(turn_context)
        if received.kind == "card_action":
            await self._turns.on_card_action(received, Reply(turn_context))
        else:
            await self._turns.on_message(received, Reply(turn_context))

    async def on_invoke_activity(self, turn_context: TurnContext) -> InvokeResponse:
        received = _incoming_of(turn_context)
        body = await self._turns.on_card_action(received, Reply(turn_context))
        return InvokeResponse(status=200, body=self._fallback(received) if body is None else body)

    async def on_conversation_update_activity(self, turn_context: TurnContext) -> None:
        await self._membership_changed(_incoming_of(turn_context))

    async def on_installation_update(self, turn_context: TurnContext) -> None:
        await self._membership_changed(_incoming_of(turn_context))

    async def _membership_changed(self, received: Incoming) -> None:
        if received.kind == "installed":
            await self._turns.on_installed(received)
        else:
            await self._turns.on_removed(received)


# --- between plain values and the SDK's ------------------------------------------------------------------------------


def _sdk_activity(activity: Mapping[str, Any], received: Incoming) -> Activity:
    """
    The activity as the SDK wants it, from values that were read already.

    The SDK's own deserialiser is slow and raises for a single field of a wrong type.
    """
    return Activity(
        type=activity.get("type"),
        id=received.activity_id,
        name=activity.get("name"),
        action=activity.get("action"),
        service_url=received.service_url,
        channel_id=activity.get("channelId"),
        from_property=ChannelAccount(id=received.mri),
        recipient=ChannelAccount(id=received.bot_id, name=received.bot_name),
        conversation=ConversationAccount(id=received.conversation_id, conversation_type=received.conversation_kind),
        text=received.text,
        value=activity.get("value"),
        channel_data=activity.get("channelData"),
        locale=received.locale,
        reply_to_id=received.reply_to_id,
    )


def _incoming_of(context: TurnContext) -> Incoming:
    return context.turn_state[_INCOMING]


def _card_activity(card: Card, summary: str) -> Activity:
    attachment = Attachment(content_type=CARD_TYPE, content=card)
    return Activity(type=ActivityTypes.message, attachments=[attachment], summary=summary)


def _card_of(activity: Activity) -> Card | None:
    return activity.attachments[0].content if activity.attachments else None


def _outcome(context: TurnContext) -> InvokeOutcome:
    response: InvokeResponse = context.turn_state[BotAdapter._INVOKE_RESPONSE_KEY].value
    return InvokeOutcome(response.status, response.body)
