"""The first impression of an alert, when the directory is silent at first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from services.alerts.impressions import SIGNALS, TRY_AGAIN_AFTER, Impressions
from services.cases import Case, Finding, SignalState, say
from services.clients.graph_models import DirectoryUser
from services.errors import ServiceError, Unavailable
from services.store import Store
from tests.fakes.alerting import alert, raised
from tests.fakes.clock import FakeClock
from tests.fakes.people import JANE


class Directory:
    """Jane alone; a fault is raised in place of an answer."""

    def __init__(self) -> None:
        self.fault: ServiceError | None = Unavailable("graph")
        self.asked = 0

    async def by_id_or_upn(self, text: str) -> DirectoryUser | None:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return DirectoryUser.model_validate({"id": JANE.oid, "userPrincipalName": JANE.upn, "displayName": "Jane Doe"})

    def __getattr__(self, name: str) -> Any:
        async def nobody(*_: object) -> tuple[()]:
            return ()

        return nobody


class AllClear:
    async def run(self, case: Case, on_finding: Callable[[Finding], Awaitable[None]]) -> tuple[Finding, ...]:
        summary = say("finding.inbox_rules.none")
        return tuple(Finding(signal_id=signal, state=SignalState.CLEAR, summary=summary) for signal in SIGNALS)


async def test_what_a_silent_directory_left_open_is_read_again(store: Store, clock: FakeClock) -> None:
    """The card says meanwhile that it is not known; without the account nobody knows whose alert it is."""

    async def tell(alert_ids: object) -> None:
        """Nobody listens."""

    directory = Directory()
    impressions = Impressions(store, clock, AllClear(), directory, directory, tell)  # type: ignore[arg-type]
    await raised(store, alert(about=JANE.upn.lower()))

    async def look(after: timedelta = timedelta()) -> tuple[str, set[SignalState]]:
        clock.advance(seconds=after.total_seconds())
        impressions.want(await store.alerts.alerts(), clock.now())
        await impressions.settled()
        (known,) = await store.alerts.alerts()
        return known.oid, {finding.state for finding in known.impression or ()}

    assert ("", {SignalState.UNKNOWN}) == await look()
    directory.fault = None
    assert ("", {SignalState.UNKNOWN}) == await look()  # it is not asked again and again
    assert (JANE.oid, {SignalState.CLEAR}) == await look(TRY_AGAIN_AFTER)
    asked = directory.asked
    assert (JANE.oid, {SignalState.CLEAR}) == await look(TRY_AGAIN_AFTER)
    assert asked == directory.asked
