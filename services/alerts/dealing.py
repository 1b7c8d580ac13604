"""Which cases deal with alerts, for whoever shows them."""

from __future__ import annotations

from collections.abc import Iterable

from services.alerts.model import WITHOUT_RESULT, Alert
from services.cases import Case
from services.errors import CaseNotFound
from services.store import Store

#: More cases than this are not read to be shown: that there is one has to do for those.
MOST_CASES = 50


async def case_of(store: Store, alert: Alert) -> Case | None:
    """The case that deals with it, or the one with which that was joined; None when there is none."""
    return await _followed(store, alert.case_id) if alert.case_id is not None else None


async def cases_of(store: Store, alerts: Iterable[Alert]) -> dict[str, Case]:
    """
    The cases of these alerts, by the id that the alert has. Of very many only those that ended without a result, since
    their alerts wait for somebody again.
    """
    wanted = list(dict.fromkeys(alert.case_id for alert in alerts if alert.case_id is not None))
    if len(wanted) > MOST_CASES:
        wanted = await store.cases_in(wanted, WITHOUT_RESULT)
    found = {case_id: await _followed(store, case_id) for case_id in wanted}
    return {case_id: case for case_id, case in found.items() if case is not None}


async def _followed(store: Store, case_id: str) -> Case | None:
    try:
        case = await store.case(case_id)
        return await store.case(case.joined_to) if case.joined_to else case
    except CaseNotFound:
        return None
