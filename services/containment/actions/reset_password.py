"""
A password that nobody knows.

It exists inside one function only: it is never returned, logged or stored, because nobody needs to know it.
"""

from __future__ import annotations

import secrets
import string
from datetime import datetime

from pydantic import SecretStr

from services.cases import ActionState, Text, say
from services.containment.work import CLOCK_SKEW, Change, Work

_LENGTH = 32
_LETTERS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!#%+-=?@_")


async def prepare(work: Work) -> Change:
    """
    Proven when the time of the last change has moved.

    A change since the approval is taken for ours only if we made one at that moment, or wait for a person who is to
    make it: anything else may be the attacker's. Source: "Update user", 2026-07-04.
    """
    before = await _changed_at(work)

    async def proof() -> Text | None:
        at = await _changed_at(work)
        moved = at is not None and at != before and at >= work.now - CLOCK_SKEW
        return say("action.reset_password.proven", at=at) if moved else None

    return Change(
        perform=lambda: _reset(work),
        proof=proof,
        done_before=say("action.reset_password.proven", at=before) if _is_awaited(before, work) else None,
    )


async def _reset(work: Work) -> None:
    await work.graph.reset_password(work.oid, _random_password(), force_change=True)


async def _changed_at(work: Work) -> datetime | None:
    return (await work.graph.get_user(work.oid)).password_changed_at


def _is_awaited(changed_at: datetime | None, work: Work) -> bool:
    """Whether a password change at this moment is the one that this action made or waits for."""
    if changed_at is None:
        return False
    if work.action.state is ActionState.WAITING_FOR_PERSON:
        return work.is_after_approval(changed_at)
    return work.action.done_at is not None and abs(changed_at - work.action.done_at) <= CLOCK_SKEW


def _random_password() -> SecretStr:
    """32 characters, of every kind that a password policy may ask for."""
    letters = [secrets.choice(kind) for kind in _LETTERS]
    letters += [secrets.choice("".join(_LETTERS)) for _ in range(_LENGTH - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return SecretStr("".join(letters))
