"""Alerts and cases: which case deals with an alert, and whether it was one of ours that ended it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from services.alerts.merging import ended_alert, joined_entry
from services.alerts.model import WITHOUT_RESULT, Alert, AlertKind
from services.cases import LIFTING, ActionState, ApprovalPurpose, ApprovalState, Case, Text, say
from services.errors import CaseNotFound
from services.store import Store

#: States of the change that lifts a block in which it went out, or may have.
_SENT = frozenset({ActionState.RUNNING, ActionState.DONE, ActionState.PROVEN})
#: What no list shows: only who deals with it can say that it is over.
_ENDED_BY_CASE = frozenset({AlertKind.SENDER_SUSPECTED, AlertKind.EARLY_WARNING})
#: What no case is about.
_WITHOUT_CASE = frozenset({AlertKind.HEALTH, AlertKind.TENANT_RESTRICTED})


class Joining:
    """Keeps alerts and cases together."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def join(self, tenant_id: str, alerts: Sequence[Alert], now: datetime) -> list[Alert]:
        """
        Give each of these open alerts the case that is at work on the same account, and end those that a case has dealt
        with; those that changed.
        """
        cases = await self._store.names_at_work(tenant_id)
        at_work = frozenset(cases.values())

        def case_of(alert: Alert) -> str | None:
            if not alert.is_open or alert.kind in _WITHOUT_CASE or alert.case_id in at_work:
                return None
            return next((cases[name] for name in sorted(alert.names) if name in cases), None)

        def joined(alert: Alert) -> tuple[Alert, list]:
            case_id = case_of(alert)
            if case_id is None:
                return alert, []
            return alert.model_copy(update={"case_id": case_id}), [joined_entry(alert, case_id)]

        wanted = [alert.alert_id for alert in alerts if case_of(alert) is not None]
        changed = await self._store.alerts.change_alerts(wanted, joined) if wanted else []
        waiting = [alert for alert in alerts if alert.alert_id not in wanted and alert.case_id not in at_work]
        return changed + await self._settle(waiting, now)

    async def _settle(self, alerts: Sequence[Alert], now: datetime) -> list[Alert]:
        """
        End what no list shows, so that nobody else ends it, when its case has ended with a result. What comes after is
        a new alert.
        """
        mine = [alert for alert in alerts if alert.kind in _ENDED_BY_CASE and alert.is_open and alert.case_id]
        ended = {}
        for alert in mine:
            case = await self._case_of(alert)
            if case is not None and not case.is_at_work and case.state not in WITHOUT_RESULT:
                ended[alert.alert_id] = (case.case_id, alert.case_id)

        def settled(alert: Alert) -> tuple[Alert, list]:
            case_id, known_as = ended[alert.alert_id]
            if not alert.is_open or alert.case_id != known_as or alert.kind not in _ENDED_BY_CASE:
                return alert, []
            how = say("alert.ended.dealt_with", case_id=case_id)
            return ended_alert(alert, how, now)

        return await self._store.alerts.change_alerts(list(ended), settled) if ended else []

    async def endings(self, alerts: Sequence[Alert]) -> dict[str, Text]:
        """How those of the alerts ended that a case of ours has ended, by the ids of the alerts."""
        told: dict[str, Text] = {}
        for alert in alerts:
            case = await self._case_of(alert)
            if case is not None and has_lifted(case, alert.since):
                told[alert.alert_id] = _ended_by(case)
        return told

    async def _case_of(self, alert: Alert) -> Case | None:
        try:
            if alert.case_id is not None:
                case = await self._store.case(alert.case_id)
                return await self._store.case(case.joined_to) if case.joined_to else case
        except CaseNotFound:
            return None
        return await self._store.last_case_of(alert.tenant_id, alert.oid) if alert.oid else None


def has_lifted(case: Case, since: datetime) -> bool:
    """Whether the case has asked Microsoft to lift a block that began then: what it did before lifted an older one."""
    sent = [action for action in case.actions if action.kind in LIFTING and action.state in _SENT]
    moments = [action.done_at or case.closed_at for action in sent]
    return any(moment is None or moment >= since for moment in moments)


def _ended_by(case: Case) -> Text:
    names = approvers_of(case)
    if not names:
        return say("alert.ended.our_case", case_id=case.case_id)
    return say("alert.ended.our_case_approved", case_id=case.case_id, by=", ".join(names))


def approvers_of(case: Case) -> tuple[str, ...]:
    """The names of those who agreed to what the case has done, in the order of their answers."""
    names: dict[str, None] = {}
    for approval in case.approvals:
        if approval.state is ApprovalState.GRANTED and approval.purpose in _TO_LIFT:
            votes = [vote.by.name for vote in approval.votes if vote.granted]
            names.update(dict.fromkeys(votes or ([approval.decided_by.name] if approval.decided_by else [])))
    return tuple(names)


_TO_LIFT = frozenset({ApprovalPurpose.REMEDIATION, ApprovalPurpose.OVERRIDE})
