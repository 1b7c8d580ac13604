"""The nouns of speaking with people: a conversation that the bot may post into, and a posted copy of a card."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from services.cases import Value
from services.ports import News


class ConversationKind(StrEnum):
    PERSONAL = "personal"
    GROUP_CHAT = "groupChat"
    CHANNEL = "channel"


class Conversation(Value):
    """Where the bot may post, as learned from the last activity that came from there."""

    conversation_id: str
    kind: ConversationKind
    #: Regional address of the Teams connector; may change, so it is overwritten by every activity.
    service_url: str
    tenant_id: str
    bot_id: str
    bot_name: str = ""
    #: Entra object id of the person, for personal chats only.
    user_oid: str | None = None
    #: Teams' own id of the person (`29:...`), for personal chats only.
    member_id: str | None = None
    locale: str | None = None
    team_id: str | None = None
    #: False once Teams said that the bot is no longer in there.
    active: bool = True
    seen_at: datetime


class CopyState(StrEnum):
    """POSTING is written down before the post, so that a restart knows that one may be out there."""

    POSTING = "posting"
    LIVE = "live"
    GONE = "gone"


class CardCopy(Value):
    """One posted card: a view of the case at some moment, to be edited whenever the case moves."""

    copy_id: str
    case_id: str
    #: The prompt that it shows; None for a checklist.
    prompt_id: str | None = None
    #: The news that it tells, for a card that is neither checklist nor prompt.
    news: News | None = None
    conversation_id: str
    activity_id: str | None = None
    language: str = "en"
    state: CopyState = CopyState.POSTING
    #: SHA-256 of the card as last posted; an equal one is not posted again.
    shown_hash: str = ""
    #: Version of the case that it shows.
    shown_version: int = 0
    posted_at: datetime
    #: Whether so many may read along (or nobody can tell how many) that it has nothing to press.
    crowded: bool = False
    #: Teams' ids of those who see a card of their own, as far as they are known.
    viewers: tuple[str, ...] = ()
    #: Entra object ids of those who are asked, while it could not be read who is in the conversation; else None.
    readers_unread_for: tuple[str, ...] | None = None
