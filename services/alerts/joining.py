"""Alerts and cases: which case deals with an alert, and whether it was one of ours that ended it."""

from __future__ import annotations

from collections.abc import Sequence

from services.alerts.merging import joined_entry
from services.alerts.model import Alert, AlertKind
from services.cases import LIFTING, ActionState, ApprovalPurpose, ApprovalState, Case, Text, say
from services.errors import CaseNotFound
from services.store import Store

#: States of the change that lifts a block in which it went out, or may have.
_SENT = frozenset({ActionState.RUNNING, ActionState.DONE, ActionState.PROVEN})
#: What no case is about.
_WITHOUT_CASE = frozenset({AlertKind.HEALTH, AlertKind.TENANT_RESTRICTED})


class Joining:
    """Keeps alerts and cases together."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def join(self, tenant_id: str, alerts: Sequence[Alert]) -> list[Alert]:
        """Give each of these open alerts the case that is at work on the same account; those that changed."""
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
        return await self._store.alerts.change_alerts(wanted, joined) if wanted else []

    async def endings(self, alerts: Sequence[Alert]) -> dict[str, Text]:
        """How those of the alerts ended that a case of ours has ended, by the ids of the alerts."""
        told: dict[str, Text] = {}
        for alert in alerts:
            case = await self._case_of(alert)
            if case is not None and has_lifted(case):
                told[alert.alert_id] = _ended_by(case)
        return told

    async def _case_of(self, alert: Alert) -> Case | None:
        try:
            if alert.case_id is not None:
                case = await self._store.case(alert.case_id)
                return await self._store.case(case.joined_to) if case.joined_to else case
        except CaseNotFound:
            return None
        last = await self._store.last_case_of(alert.tenant_id, alert.oid) if alert.oid else None
        return last if last is not None and last.changed_at >= alert.since else None


def has_lifted(case: Case) -> bool:
    """Whether the case has asked Microsoft to lift the block."""
    return any(action.kind in LIFTING and action.state in _SENT for action in case.actions)


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
