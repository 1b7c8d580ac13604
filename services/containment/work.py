"""What the files in `actions/` work with and what they give back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from services.cases import Action, ApprovalPurpose, ApprovalState, Case, Text
from services.containment.ports import AccountChanges, MailboxChanges

#: By how much Microsoft's clocks and ours may differ.
CLOCK_SKEW = timedelta(minutes=5)
#: How a mailbox is left that has its old protocols switched off, by the names of `CasMailbox`.
PROTOCOLS_OFF: Mapping[str, bool | None] = {"imap": False, "pop": False, "smtp_auth_disabled": True}


@dataclass(frozen=True)
class Work:
    """One action of a case, and the hands to do it with."""

    graph: AccountChanges
    exchange: MailboxChanges
    case: Case
    action: Action
    now: datetime

    @property
    def target(self) -> Mapping[str, Any]:
        return self.action.target

    @property
    def before(self) -> Mapping[str, Any]:
        """What was there before the action; empty when that is not known."""
        return self.action.before or {}

    @property
    def oid(self) -> str:
        return str(self.target["user_oid"])

    @property
    def upn(self) -> str:
        return str(self.target["upn"])

    @property
    def approved_at(self) -> datetime | None:
        """When somebody last agreed to the plan, to the second: Entra's moments have no fractions to compare with."""
        granted = (
            approval.decided_at
            for approval in self.case.approvals
            if approval.state is ApprovalState.GRANTED and approval.purpose is not ApprovalPurpose.UNDO
        )
        moments = [at for at in granted if at is not None]
        return max(moments).replace(microsecond=0) if moments else None

    def is_after_approval(self, at: datetime | None) -> bool:
        return at is not None and self.approved_at is not None and at >= self.approved_at


@dataclass(frozen=True)
class Change:
    """One change, ready to be made. `proof` reads: the text of the proof, or None when it does not hold (yet)."""

    perform: Callable[[], Awaitable[object]]
    proof: Callable[[], Awaitable[Text | None]]
    #: What was there before; None when it is not known, or when there is nothing to put back.
    before: dict[str, Any] | None = None
    #: The proof that it was done before, so that there is nothing to do.
    done_before: Text | None = None


class Standing(StrEnum):
    """How things are now, seen from somebody who wants to put something back."""

    AS_WE_LEFT_IT = "as_we_left_it"
    AS_BEFORE = "as_before"
    #: Neither: somebody has changed it since, and what they did is not ours to overwrite.
    CHANGED_SINCE = "changed_since"
    #: What could be put back no longer exists.
    GONE = "gone"


@dataclass(frozen=True)
class Undo:
    """A change to be taken back. `look` reads where things stand; it proves the undo when that is AS_BEFORE."""

    perform: Callable[[], Awaitable[object]]
    look: Callable[[], Awaitable[Standing]]


def standing(*, as_before: bool, as_we_left_it: bool) -> Standing:
    """Where things stand when each is either so or not."""
    if as_before:
        return Standing.AS_BEFORE
    return Standing.AS_WE_LEFT_IT if as_we_left_it else Standing.CHANGED_SINCE


async def nothing() -> None:
    """To perform what only a person can do."""
    return None
