"""The fields of a card's data. They come from the user: pointers at most, and they never say who somebody is."""

from __future__ import annotations

from bot.activities import Incoming
from services.errors import BadInput


def field_of(incoming: Incoming, name: str, *, required: bool = True) -> str:
    """A field of the card's data. Raises BadInput for a missing one, or one that is no text."""
    value = incoming.data.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value.strip()):
        raise BadInput(what=name)
    return value.strip()
