"""What people have said about the items outlives a new reading of the tenant. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.cases import PreventionItem, PreventionState

#: States against which a person's word stands: nobody else can tell.
_UNTOLD = frozenset({PreventionState.TODO, PreventionState.UNKNOWN})


def merged(before: Sequence[PreventionItem], now: Sequence[PreventionItem]) -> tuple[PreventionItem, ...]:
    """
    The items as read now, with the owners, due dates and ticks of before.

    What is read replaces what was read: an item that was in place and cannot be read any more is unknown and says so. A
    tick stays until the item can be read. An item that is not read now at all stays as it was.
    """
    known = {item.item_id: item for item in before}
    read = tuple(_kept(known.pop(item.item_id, None), item) for item in now)
    return (*read, *known.values())


def _kept(before: PreventionItem | None, now: PreventionItem) -> PreventionItem:
    if before is None:
        return now
    said: dict[str, object] = {"owner": before.owner, "due_at": before.due_at}
    if before.state is PreventionState.TICKED and now.state in _UNTOLD:
        said |= {"state": before.state, "ticked_by": before.ticked_by, "ticked_at": before.ticked_at}
    return now.model_copy(update=said)
