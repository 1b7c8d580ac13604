"""
Microsoft's list of blocked inbound connectors as a source of alerts. It tells for sure which ones may not send.

Source: "Remove blocked connectors from the Restricted entities page", 2026; Get-BlockedConnector, 2026-08-21.
"""

from __future__ import annotations

from typing import Protocol

from services.alerts.model import AlertKind, Report, Severity, SourceName
from services.alerts.ports import Reading
from services.clients.exchange_models import BlockedConnector


class ConnectorList(Protocol):
    """Fulfilled by `ExchangeClient`."""

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]: ...


class BlockedConnectors:
    """Fulfils the port `Source`."""

    name = SourceName.BLOCKED_CONNECTORS

    def __init__(self, exchange: ConnectorList, interval_s: float) -> None:
        self._exchange = exchange
        self.interval_s = interval_s

    async def read(self, since: object = None) -> Reading:
        """Every blocked connector; what is missing is over."""
        entries = await self._exchange.blocked_connectors()
        return Reading(reports=tuple(map(report_of, entries)), whole=(AlertKind.CONNECTOR_BLOCKED,))


def report_of(entry: BlockedConnector) -> Report:
    """What an entry of the list reports."""
    return Report(
        source=SourceName.BLOCKED_CONNECTORS,
        kind=AlertKind.CONNECTOR_BLOCKED,
        about=entry.connector_id.strip().lower(),
        name=entry.name or "",
        since=entry.created_at,
        title=entry.reason_raw,
        reason=dict(entry.reason),
        severity=Severity.HIGH,
    )
