"""Whether a phone or tablet began to synchronise the mailbox around the block."""

from __future__ import annotations

from services.cases import Finding, Text, UnknownReason, say
from services.clients.exchange_models import MobileDevice
from services.investigation.evidence import Evidence
from services.investigation.table import SignalRow

_TOLD = 4
#: States in which Exchange gives a device nothing.
_KEPT_OUT = frozenset({"blocked", "quarantined"})


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Partnerships whose first synchronisation was around the block. They are told; the bot does not remove them.

    A device that Exchange keeps out gets no mail and so does not count.
    Source: Get-MobileDeviceStatistics (Exchange PowerShell reference, 2026-08-21).
    """
    devices = await evidence.mailboxes.mobile_devices(evidence.subject.upn)
    in_use = [device for device in devices if (device.state or "").casefold() not in _KEPT_OUT]
    added = [d for d in in_use if evidence.is_near_start(d.first_sync_at, row.days("days_around"))]
    if added:
        summary = say("finding.mobile_devices.added", n=len(added))
        return row.found(row.points["added"], summary, *(_told(device) for device in added[:_TOLD]))
    if not in_use:
        return row.clear(say("finding.mobile_devices.none"))
    if any(device.first_sync_at is None for device in in_use):
        return row.unknown(UnknownReason.FAULT, say("finding.mobile_devices.no_date"))
    return row.clear(say("finding.mobile_devices.clear", n=len(in_use)))


def _told(device: MobileDevice) -> Text:
    name = device.model or device.user_agent or device.device_id or say("word.unnamed")
    return say("finding.mobile_devices.detail", device=name, at=device.first_sync_at)
