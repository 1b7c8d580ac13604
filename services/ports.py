"""What the services ask of the outside, named by role. Implemented in `bot/`, joined in `app.py`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from services.cases import Text, Value


class Clock(Protocol):
    """The time, so that tests can own it."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...


class Delivery(Value):
    """Where one copy of a prompt went, or why it could not be delivered there."""

    #: "channel" or "chat".
    place: str
    conversation_id: str
    delivered: bool
    problem: Text | None = None


class NewsKind(StrEnum):
    """What people are told in a message of its own, beside the cards that follow the case."""

    MAIL_FLOWS = "mail_flows"
    STILL_REFUSED = "still_refused"
    NOTHING_DELIVERED = "nothing_delivered"  # for 24 hours: somebody has to look
    BURST = "burst"  # much mail from an account that Microsoft does not restrict again that day
    USER_CAN_SEND = "user_can_send"  # to the user
    REMINDER = "reminder"  # open prevention items, to their owner
    DECIDED = "decided"  # how a question ended, to whoever asked for it


class Audience(StrEnum):
    REQUESTER = "requester"
    ON_CALL = "on_call"  # the alerts conversation, else that for approvals
    USER = "user"  # the subject of the case
    OWNER = "owner"  # whoever takes care of a prevention item


class News(Value):
    """One message of news. `news_id` is its own within the case, so that it is never posted twice."""

    news_id: str
    kind: NewsKind
    audience: Audience
    #: Entra object id of the person, for OWNER.
    person: str = ""
    #: The question that it is about, for DECIDED.
    prompt_id: str = ""


class Notifier(Protocol):
    """How news of a case reaches people."""

    async def case_changed(self, case_id: str) -> None:
        """Every posted card of the case is to follow. Returns at once; the edits happen behind it."""
        ...

    async def post_prompt(
        self, case_id: str, prompt_id: str, people: Collection[str], *, again: bool = False
    ) -> Sequence[Delivery]:
        """
        Post the approval prompt to the approvals conversation and to the own chats of `people` (Entra object ids).

        Safe to repeat: a conversation that already has its copy is skipped, unless it is to be brought back to mind
        with one more copy (`again`). Never raises for a place that cannot be
        reached; that is told in the answer.
        """
        ...

    async def post_news(self, case_id: str, news: News) -> Sequence[Delivery]:
        """
        Post news of the case as a small live card. Safe to repeat: what was posted already is skipped. Never raises
        for a place that cannot be reached; that is told in the answer.
        """
        ...
