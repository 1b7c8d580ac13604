"""
Where the bot posts, and what every posted card has in common, whatever it shows: its conversation, its place in a
channel, and the hash by which an equal one is known.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from bot.activities import Place, SentCopy
from bot.connector import Connector, PlaceGone
from cards.render import Rendered
from services.conversations import ConversationKind
from services.errors import ServiceError
from services.store import Store

_CHANNEL_SUFFIXES = ("@thread.tacv2", "@thread.skype")


class Places:
    """The conversations that are known."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def place(self, conversation_id: str) -> Place | None:
        """
        Where to post for this conversation. One that never spoke to the bot borrows the connector address of the one
        that spoke last: the address is the tenant's region, not the conversation's.
        """
        known = await self._store.conversation(root_of(conversation_id))
        spoke_last = known or await self._store.newest_conversation()
        if spoke_last is None:
            return None
        kind = known.kind.value if known else _guessed_kind(conversation_id)
        return Place(
            spoke_last.service_url, conversation_id, spoke_last.tenant_id, kind, spoke_last.bot_id, spoke_last.bot_name
        )

    async def is_open(self, conversation_id: str) -> bool:
        """Whether nobody has said yet that the bot is not in there any more."""
        known = await self._store.conversation(root_of(conversation_id))
        return known is None or known.active

    async def mark_gone(self, place: Place, error: ServiceError) -> None:
        """Teams says that the bot is not in there any more; an installation makes it active again."""
        if not isinstance(error, PlaceGone):
            return
        known = await self._store.conversation(root_of(place.conversation_id))
        if known is not None:
            await self._store.remember_conversation(known.model_copy(update={"active": False}))


async def post(connector: Connector, place: Place, shown: Rendered) -> SentCopy:
    """Post a card: in a channel as a thread of its own, elsewhere as a message. Raises what the connector raises."""
    is_channel_root = place.kind == "channel" and place == place.channel_root
    send = connector.start_thread if is_channel_root else connector.send
    return await send(place, shown.card, summary=shown.summary)


def root_of(conversation_id: str) -> str:
    """The channel of a thread; any other conversation is its own root."""
    return conversation_id.partition(";messageid=")[0]


def hash_of(shown: Rendered) -> str:
    """By this an equal card is known."""
    return hashlib.sha256(json.dumps(shown.card, sort_keys=True).encode()).hexdigest()


def _guessed_kind(conversation_id: str) -> Any:
    if root_of(conversation_id).endswith(_CHANNEL_SUFFIXES):
        return ConversationKind.CHANNEL.value
    return ConversationKind.GROUP_CHAT.value if conversation_id.startswith("19:") else ConversationKind.PERSONAL.value
