"""From the kind of an action to its file in `actions/`, and what is left to a person."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from types import ModuleType

from services.cases import LIFTING, ActionKind, ActionState, Text, say
from services.containment.catalogue import CATALOGUE
from services.containment.work import Change, Undo, Work

_FILES: Mapping[ActionKind, ModuleType] = {
    kind: import_module(f"services.containment.actions.{kind.value}") for kind in ActionKind if kind not in LIFTING
}
_PREPARE: Mapping[ActionKind, Callable[[Work], Awaitable[Change]]] = {
    kind: file.prepare for kind, file in _FILES.items()
}
_UNDO: Mapping[ActionKind, Callable[[Work], Undo]] = {
    kind: file.undo for kind, file in _FILES.items() if CATALOGUE[kind].reversible
}


async def prepare(work: Work) -> Change:
    """How to make the change and how to prove it, after looking. Raises: any ServiceError, when the look fails."""
    return await _PREPARE[work.action.kind](work)


def undoing(work: Work) -> Undo:
    """How to take the change back. Only for kinds that the catalogue calls reversible. Reads nothing yet."""
    return _UNDO[work.action.kind](work)


def by_hand(work: Work) -> Text | None:
    """What a person has to do, when the bot does not even try; None when it does."""
    if was_refused_for_admin(work):
        return say(f"action.{work.action.kind.value}.by_hand")
    return _never_ours(work)


def was_refused_for_admin(work: Work) -> bool:
    """Whether it waits for a person because Microsoft protects admins from apps."""
    waits = work.action.state is ActionState.WAITING_FOR_PERSON
    return waits and CATALOGUE[work.action.kind].admins == "person" and _never_ours(work) is None


def _never_ours(work: Work) -> Text | None:
    """What a person has to do because no app can: on-premises, or to a rule that neither Graph nor Exchange changes."""
    action, subject = work.action, work.case.subject
    if action.kind is ActionKind.RESET_PASSWORD_ON_PREMISES:
        return say("action.reset_password_on_premises.by_hand")
    if action.kind is ActionKind.BLOCK_SIGN_IN and subject is not None and subject.is_synced:
        return say("action.block_sign_in.synced")
    if action.kind is ActionKind.DISABLE_RULE and action.target["through"] == "person":
        return say("action.disable_rule.by_hand")
    return None
