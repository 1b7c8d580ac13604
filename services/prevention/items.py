"""How an item is spelled: in place, open, or unknown. Pure."""

from __future__ import annotations

from services.cases import PreventionItem, PreventionState, Text, UnknownReason, say
from services.errors import ServiceError
from services.investigation.unreadable import reason_of, why


def item(item_id: str, state: PreventionState, summary: Text) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=state, summary=summary)


def in_place(item_id: str, how: str = "ok", **params: object) -> PreventionItem:
    """An item that was seen to be so. `how` is the last part of the key of its text."""
    return item(item_id, PreventionState.OK, say(f"prevention.{item_id}.{how}", **params))


def not_in_place(item_id: str, how: str = "open", **params: object) -> PreventionItem:
    """An item that was seen not to be so. `how` is the last part of the key of its text."""
    return item(item_id, PreventionState.OPEN, say(f"prevention.{item_id}.{how}", **params))


def unknown(item_id: str, reason: UnknownReason, summary: Text) -> PreventionItem:
    return PreventionItem(item_id=item_id, state=PreventionState.UNKNOWN, summary=summary, unknown_reason=reason)


def unread(item_id: str, error: ServiceError) -> PreventionItem:
    """An item that could not be read, and why."""
    return unknown(item_id, reason_of(error), why(error))


def unsaid(item_id: str) -> PreventionItem:
    """An item of which the service says nothing, or nothing that we know."""
    return unknown(item_id, UnknownReason.FAULT, say("unreadable.fault"))


def judged(item_id: str, holds: bool | None) -> PreventionItem:
    """An item that is simply so or not; None means that the service did not say."""
    if holds is None:
        return unsaid(item_id)
    return in_place(item_id) if holds else not_in_place(item_id)
