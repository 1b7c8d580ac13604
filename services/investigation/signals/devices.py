"""Whether a device was registered in the account's name around the block, or after a suspicious sign-in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import RegisteredDevice
from services.errors import ServiceError
from services.investigation.evidence import SIGN_IN_DAYS, Evidence, attempted
from services.investigation.signals.sign_ins import TRIP_KINDS, odd_sign_ins
from services.investigation.table import SignalRow

_TOLD = 4


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Devices that were registered lately. A registered device keeps a token of its own, so an attacker may add one.

    The bot does not remove devices: they are told for a person to look at. One that the organisation manages counts
    for less, since it takes more than a password to get there.
    Source: "List registeredDevices", 2024.
    """
    devices, first_strange = await asyncio.gather(
        evidence.directory.registered_devices(evidence.subject.user_oid), attempted(_first_strange_sign_in(evidence))
    )
    strange_at = None if isinstance(first_strange, ServiceError) else first_strange
    rated = [(device, kind) for device in devices if (kind := _kind(device, strange_at, evidence, row))]
    if rated:
        texts = [_told(device, kind) for device, kind in rated[:_TOLD]]
        return row.found(
            row.points_for([kind for _, kind in rated]), say("finding.devices.registered", n=len(rated)), *texts
        )
    if not devices:
        return row.clear(say("finding.devices.none"))
    if any(device.registered_at is None for device in devices):
        return row.unknown(UnknownReason.FAULT, say("finding.devices.no_date"))
    if isinstance(first_strange, ServiceError) and _could_be_strange(devices, evidence):
        raise first_strange  # one of them may have followed on a sign-in that cannot be seen
    return row.clear(say("finding.devices.clear", n=len(devices)))


async def _first_strange_sign_in(evidence: Evidence) -> datetime | None:
    """The first one that is odd by more than being abroad, for travellers register devices as well."""
    odd = [oddity for oddity in await odd_sign_ins(evidence) if oddity.kind not in TRIP_KINDS]
    times = [s.at for oddity in odd for s in oddity.sign_ins if s.at is not None]
    return min(times, default=None)


def _kind(device: RegisteredDevice, strange_at: datetime | None, evidence: Evidence, row: SignalRow) -> str | None:
    """What is suspicious about a device: a name among the row's points."""
    at = device.registered_at
    if at is None:
        return None
    managed = device.is_managed is True or device.is_compliant is True
    if strange_at is not None and at >= strange_at and not managed:
        return "after_stranger"
    if evidence.is_near_start(at, row.days("days_around")):
        return "around_managed" if managed else "around"
    return None


def _could_be_strange(devices: Sequence[RegisteredDevice], evidence: Evidence) -> bool:
    return any(d.registered_at and (evidence.now - d.registered_at).days <= SIGN_IN_DAYS for d in devices)


def _told(device: RegisteredDevice, kind: str) -> Text:
    name, system = device.name or say("word.unnamed"), device.operating_system or "?"
    return say(f"finding.devices.{kind}", device=name, system=system, at=device.registered_at)
