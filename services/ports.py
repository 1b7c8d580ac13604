"""What the services ask of the outside, named by role. Implemented in `bot/`, joined in `app.py`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
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


class Notifier(Protocol):
    """How news of a case reaches people."""

    async def case_changed(self, case_id: str) -> None:
        """Every posted card of the case is to follow. Returns at once; the edits happen behind it."""
        ...

    async def post_prompt(self, case_id: str, prompt_id: str, people: Collection[str]) -> Sequence[Delivery]:
        """
        Post the approval prompt to the approvals conversation and to the own chats of `people` (Entra object ids).

        Safe to repeat: a conversation that already has its copy is skipped. Never raises for a place that cannot be
        reached; that is told in the answer.
        """
        ...
