"""
Microsoft's list of restricted senders as a source of alerts. It is the one place that tells for sure who is blocked.

An entry means that the account may not send; an account without an entry is not blocked, once the list was read whole.
Source: "Remove blocked users from the Restricted entities page", 2026-08-24; Get-BlockedSenderAddress, 2026-08-21.
"""

from __future__ import annotations

from typing import Protocol

from services.alerts.model import AlertKind, Report, Severity, SourceName
from services.alerts.ports import Reading
from services.clients.exchange_models import BlockedSender


class SenderList(Protocol):
    """Fulfilled by `ExchangeClient`."""

    async def blocked_senders(self) -> tuple[BlockedSender, ...]: ...


class RestrictedList:
    """Fulfils the port `Source`."""

    name = SourceName.RESTRICTED_LIST

    def __init__(self, exchange: SenderList, interval_s: float) -> None:
        self._exchange = exchange
        self.interval_s = interval_s

    async def read(self, since: object = None) -> Reading:
        """
        Every entry; what is missing is over. An answer without a list, which would look like an empty one, raises
        BrokenAnswer in the client.
        """
        entries = await self._exchange.blocked_senders()
        return Reading(reports=tuple(map(report_of, entries)), whole=(AlertKind.SENDER_RESTRICTED,))


def report_of(entry: BlockedSender) -> Report:
    """What an entry of the list reports."""
    return Report(
        source=SourceName.RESTRICTED_LIST,
        kind=AlertKind.SENDER_RESTRICTED,
        about=entry.sender_address.strip().lower(),
        since=entry.created_at,
        title=entry.reason_raw,
        reason=dict(entry.reason),
        temporary=entry.temporary,
        severity=Severity.HIGH,
        told_at=entry.changed_at,
    )
