"""
Who lifted a block that we did not: the unified audit log names whoever ran the cmdlet, in the portal or in PowerShell.

The log lags by half an hour to a day, so it is looked into from time to time while the end of a block is young. Until
then, and when it cannot be read, the alert says that it is not known who did it.
Source: "Search the audit log", 2025 (when records are there).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from services.alerts.model import Alert, AlertKind
from services.audit import Tag, note
from services.cases import say
from services.clients.graph_models import AuditRecord
from services.errors import ServiceError
from services.investigation.records import fields
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: The name of its row among the sources: one replica looks at a time.
WHO_LIFTED = "who_lifted"
LOOK_EVERY = timedelta(minutes=30)
#: How long one replica may take, in seconds; a search takes minutes.
LEASE_S = 400.0
#: How long after the end of a block its record may still come.
YOUNG_FOR = timedelta(hours=25)
#: How far what the log and the list call the moment of the end may be apart.
LEEWAY = timedelta(minutes=15)

#: Cmdlet -> the parameter that names what it lifts.
_CMDLETS: Mapping[str, str] = {
    "Remove-BlockedSenderAddress": "SenderAddress",
    "Remove-BlockedConnector": "ConnectorId",
}
#: What a record says of a cmdlet that did what it was told to.
_DONE = frozenset({"", "true", "succeeded"})
UNKNOWN_HOW = "alert.ended.elsewhere"


class AuditLog(Protocol):
    """Fulfilled by `GraphClient`."""

    async def cmdlets_run(
        self, cmdlets: Sequence[str], *, since: datetime, until: datetime
    ) -> tuple[AuditRecord, ...]: ...


class Lifters:
    """Finds out who ended what we did not."""

    def __init__(self, store: Store, audit_log: AuditLog, clock: Clock) -> None:
        self._store = store
        self._audit_log = audit_log
        self._clock = clock

    async def look(self, holder: str) -> list[Alert]:
        """Look if it is time and there is something to find out; the alerts that say more now."""
        now = self._clock.now()
        state = await self._store.alerts.claim_source(WHO_LIFTED, now, holder, LEASE_S)
        if state is None:
            return []
        try:
            return await self._look(now)
        finally:
            looked = {"due_at": now + LOOK_EVERY, "last_read_at": now}
            await self._store.alerts.release_source(state.model_copy(update=looked))

    async def _look(self, now: datetime) -> list[Alert]:
        alerts = [a for a in await self._store.alerts.alerts_ended(now - YOUNG_FOR) if _is_open_question(a)]
        if not alerts:
            return []
        began = min(alert.noticed_at for alert in alerts)
        since = max(began, now - 2 * YOUNG_FOR)
        try:
            records = await self._audit_log.cmdlets_run(tuple(_CMDLETS), since=since, until=now)
        except ServiceError as error:  # it stays unknown, and the alert says so
            log.warning("lifters_unreadable", error=str(error))
            return []
        names = {alert.alert_id: name for alert in alerts if (name := who_lifted(alert, records))}

        def told(alert: Alert) -> tuple[Alert, list]:
            if not _is_open_question(alert):
                return alert, []
            ended = say("alert.ended.by_person", name=names[alert.alert_id])
            entry = note(Tag.ALERT_ENDED, alert.case_id, None, alert_id=alert.alert_id, by=names[alert.alert_id])
            return alert.model_copy(update={"ended": ended}), [entry]

        return await self._store.alerts.change_alerts(names, told) if names else []


def who_lifted(alert: Alert, records: Iterable[AuditRecord]) -> str | None:
    """
    The name of whoever lifted this block: by the newest record before its end, or else by the first one shortly after
    it, since what comes later may be about a later block. None when no record fits.
    """
    if alert.ended_at is None:
        return None
    latest = alert.ended_at + LEEWAY
    fitting = sorted(
        (record.at, record.user_upn)
        for record in records
        if record.at and record.user_upn and alert.since <= record.at <= latest and _has_lifted(record, alert)
    )
    before = [name for at, name in fitting if at <= alert.ended_at]
    after = [name for at, name in fitting if at > alert.ended_at]
    return next(iter(before[-1:] + after), None)


def _has_lifted(record: AuditRecord, alert: Alert) -> bool:
    """Whether it tells of a cmdlet that was about this and did not fail."""
    data = fields(record)
    result = data.get("ResultStatus")
    if result is not None and str(result).strip().lower() not in _DONE:
        return False
    parameter = _CMDLETS.get(record.operation)
    names = {record.object_id, _parameter(data, parameter)} if parameter else set()
    return any(name is not None and name.strip().lower() in alert.names for name in names)


def _parameter(data: Mapping[str, Any], name: str) -> str | None:
    """The value of a parameter, as records of cmdlets list them: [{"Name": ..., "Value": ...}]."""
    listed = data.get("Parameters")
    pairs = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list) else []
    found = next((one.get("Value") for one in pairs if one.get("Name") == name), None)
    return found if isinstance(found, str) else None


def _is_open_question(alert: Alert) -> bool:
    asked = alert.kind in (AlertKind.SENDER_RESTRICTED, AlertKind.CONNECTOR_BLOCKED)
    return asked and alert.ended is not None and alert.ended.key == UNKNOWN_HOW
