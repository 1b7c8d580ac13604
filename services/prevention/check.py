"""
Step 3: what keeps it from happening again, as read from the tenant, and what only people can do.

Nothing is changed here. What cannot be read is unknown and never "in place".
Source: "Security roadmap", 2018-10-08, and "Top 10 ways to secure your business data", 2025-08-14.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import structlog

from services.cases import Case, CaseKind, PreventionItem, PreventionState, UnknownReason, say
from services.errors import ServiceError
from services.ports import Clock
from services.prevention.catalogue import CATALOGUE, Item, Scope
from services.prevention.checks import CHECKS, Check
from services.prevention.items import item, unknown, unread
from services.prevention.reading import MailPosture, Posture, Reading
from services.prevention.score import points

log = structlog.get_logger()

#: The longest that one check may take, in seconds.
TIMEOUT_S = 45.0
#: What only a person can do for an account, in the order in which it is shown.
MANUAL = tuple(one.item_id for one in CATALOGUE.values() if one.is_manual and one.scope is Scope.ACCOUNT)
#: Summaries of open items that the change of their row does not help against.
_NOT_FIXED = frozenset({"prevention.user_mailbox_audit.bypassed"})


class Prevention:
    """Checks the list of prevention items."""

    def __init__(self, graph: Posture, exchange: MailPosture, clock: Clock, *, timeout_s: float = TIMEOUT_S) -> None:
        self._graph = graph
        self._exchange = exchange
        self._clock = clock
        self._timeout_s = timeout_s

    async def check(self, case: Case) -> tuple[PreventionItem, ...]:
        """
        The items of the case, those that can be read first. All are read at once; none raises for what cannot be read.

        For an account: its own items, and those of the organisation that can be read. For a connector: the latter. For
        the tenant: all of the organisation's items.
        """
        now = self._clock.now()
        reading = Reading(case, self._graph, self._exchange, now)
        checks = [(ids, check) for ids, check in CHECKS.items() if _concerns(case, CATALOGUE[ids[0]])]
        try:
            found, missing = await asyncio.gather(
                asyncio.gather(*(self._settled(ids, check, reading) for ids, check in checks)), self._missing(reading)
            )
        finally:
            await reading.close()
        todo = [_to_do(row) for row in CATALOGUE.values() if row.is_manual and _concerns(case, row)]
        return tuple(_dressed(one, missing, now) for one in (*(one for items in found for one in items), *todo))

    async def _settled(self, item_ids: Sequence[str], check: Check, reading: Reading) -> Sequence[PreventionItem]:
        """What the check says; when it cannot be made, why."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await check(reading)
        except ServiceError as error:
            return [unread(item_id, error) for item_id in item_ids]
        except TimeoutError:
            told = say("unreadable.timeout", n=round(self._timeout_s))
            return [unknown(item_id, UnknownReason.FAULT, told) for item_id in item_ids]
        except Exception as error:  # a fault of ours in one check must not take the others with it
            log.exception("prevention_failed", case_id=reading.case.case_id, items=item_ids, error=type(error).__name__)
            return [unknown(item_id, UnknownReason.FAULT, say("unreadable.our_fault")) for item_id in item_ids]

    async def _missing(self, reading: Reading) -> Mapping[str, float]:
        """Points are worth knowing, but their lack must not take anything else with it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reading.missing_points()
        except Exception as error:  # too late, or a fault of ours
            log.warning("points_unread", case_id=reading.case.case_id, error=type(error).__name__)
            return {}


def _concerns(case: Case, row: Item) -> bool:
    if case.kind is CaseKind.TENANT:
        return row.scope is Scope.TENANT
    if row.scope is Scope.ACCOUNT:
        return case.kind is CaseKind.ACCOUNT
    return not row.is_manual


def _to_do(row: Item) -> PreventionItem:
    return item(row.item_id, PreventionState.TODO, say("prevention.todo"))


def _dressed(one: PreventionItem, missing: Mapping[str, float], now: datetime) -> PreventionItem:
    """With what doing it would bring, and with the change that the bot could make."""
    row = CATALOGUE[one.item_id]
    can_fix = one.state is PreventionState.OPEN and one.summary.key not in _NOT_FIXED
    worth = None if one.is_done else points(row.controls, missing)
    return one.model_copy(update={"points": worth, "fix": row.fix if can_fix else None, "checked_at": now})
