"""Whether an approver's own account is in trouble: whoever holds it may be the attacker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from services.clients.exchange_models import BlockedSender
from services.clients.graph_models import DirectoryUser, RiskyUser
from services.errors import NotFound, ServiceError

#: States in which Microsoft takes an account for an attacker's. Source: "riskyUser resource type", 2025.
_AT_RISK = frozenset({"atrisk", "confirmedcompromised"})
#: States in which Microsoft sees no risk, or none any more. Any other, also one that is not told, is unknown.
_NOT_AT_RISK = frozenset({"none", "remediated", "dismissed", "confirmedsafe"})
#: How long the risk may take to be told; a click must be answered within seconds.
RISK_TIMEOUT_S = 3.0


@dataclass(frozen=True)
class AccountState:
    """What is known of an approver's own account."""

    #: Why it must not approve: "risky" or "restricted"; None when nothing speaks against it.
    trouble: str | None = None
    #: Whether its risk could not be read. It counts all the same, and that is on the record.
    risk_unread: bool = False


class RiskReader(Protocol):
    async def risky_user(self, oid: str) -> RiskyUser | None: ...


class ListReader(Protocol):
    async def blocked_sender(self, address: str) -> BlockedSender | None: ...


class ApproverHealth:
    """Fulfils the port `AccountHealth` of `services.access`."""

    def __init__(self, graph: RiskReader, exchange: ListReader) -> None:
        self._graph = graph
        self._exchange = exchange

    async def look(self, user: DirectoryUser) -> AccountState:
        """
        Risk that cannot be read (no licence, no permission, a fault that passes) is unknown, which is never clean, and
        still no reason to let nobody approve. Every tenant has the restricted list: when that is not read, it raises.

        Raises: ServiceError.
        """
        # The restricted list names some accounts by another address than the UPN.
        names = sorted(user.addresses)
        risky, *entries = await asyncio.gather(self._is_risky(user.oid), *map(self._exchange.blocked_sender, names))
        trouble = "risky" if risky else "restricted" if any(entry is not None for entry in entries) else None
        return AccountState(trouble, risk_unread=risky is None)

    async def _is_risky(self, oid: str) -> bool | None:
        """None when it could not be read. Microsoft knows no risk of whoever was never at any: not found."""
        try:
            async with asyncio.timeout(RISK_TIMEOUT_S):
                found = await self._graph.risky_user(oid)
        except NotFound:
            return False
        except (ServiceError, TimeoutError):
            return None
        if found is None:
            return False
        state = (found.risk_state or "").casefold()
        return True if state in _AT_RISK else False if state in _NOT_AT_RISK else None
