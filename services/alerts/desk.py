"""
What people can order about alerts: start the remediation, put one off, leave it, and look at what there is.

*Who* is always an `Actor` from the verified token. Starting takes what `unblock` takes, everything else what looking at
cases takes; nobody handles or reads an alert about their own account. Every order is on the record.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from services.alerts.dealing import case_of, cases_of
from services.alerts.model import TENANT, Alert, AlertKind, SourceState, can_be_started, is_in_hand, needs_somebody
from services.alerts.ports import AlertPoster
from services.audit import NewEntry, Tag, note
from services.cases import Actor, Case, CaseKind, Text, say
from services.casework import CancelCase, OpenCase
from services.clients.exchange_models import BlockedConnector, BlockedSender
from services.clients.graph_models import DirectoryUser
from services.errors import (
    AlertNotFound,
    AlertOver,
    BadDuration,
    NoOpenAlert,
    NotAllowed,
    ServiceError,
    SeveralAlerts,
    UserError,
)
from services.investigation.unreadable import why
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: For how long an alert may be put off: over a weekend, and no longer.
LONGEST_SNOOZE = timedelta(hours=72)
#: How long Exchange may take to give the lists: somebody waits for the answer.
LIST_TIMEOUT_S = 8.0
#: How long what the directory calls somebody is taken for true.
NAMES_KEPT = timedelta(minutes=5)
#: How often orders that are not carried out are looked for, and how long they are left to whoever took them.
LOOK_EVERY_S = 30.0
LEFT_FOR = timedelta(minutes=2)

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: Reasons to refuse that a person is told in the words `alert.not_started.*`; every other one is said to be one.
REFUSALS = frozenset(
    {"other_tenant", "nobody_configured", "not_in_directory", "guest", "disabled", "not_requester", "subject"}
)
#: Refusals that only say that the directory did not answer: the order stands, and is tried again.
_PASSING = frozenset({"cannot_check", "subject_unread"})
_NO_ORDER: Mapping[str, None] = {"ordered_by": None, "ordered_at": None}
_NOT_REFUSED: Mapping[str, None] = {"not_started": None, "not_started_for": None}

_ABOUT_ACCOUNTS = frozenset({AlertKind.SENDER_RESTRICTED, AlertKind.SENDER_SUSPECTED, AlertKind.EARLY_WARNING})


class Cases(Protocol):
    """What is asked of the casework; fulfilled by `Casework`."""

    async def open_case(self, order: OpenCase) -> Case: ...

    async def begin(self, case_id: str) -> None: ...

    async def cancel_case(self, order: CancelCase) -> Case: ...

    async def may_read(self, who: Actor) -> None: ...

    async def may_request(self, who: Actor) -> None: ...


class Lists(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`."""

    async def blocked_senders(self) -> tuple[BlockedSender, ...]: ...

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]: ...


class Directory(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


@dataclass(frozen=True)
class StartAlert:
    """Open a case for what an alert is about."""

    by: Actor
    alert_id: str


@dataclass(frozen=True)
class StartAll:
    """Open a case for everything of a digest that waits for somebody."""

    by: Actor
    digest_id: str


@dataclass(frozen=True)
class SnoozeAlert:
    """Be quiet about an alert for a while. One of `alert_id` and `target` (a name, an address, an id) is given."""

    by: Actor
    lasts: timedelta
    alert_id: str = ""
    target: str = ""


@dataclass(frozen=True)
class SnoozeAll:
    """Be quiet for a while about everything of a digest that waits for somebody."""

    by: Actor
    digest_id: str
    lasts: timedelta


@dataclass(frozen=True)
class SetAside:
    """Somebody has seen it, and leaves it."""

    by: Actor
    alert_id: str


@dataclass(frozen=True)
class Started:
    """The alert and its case. A case that is new has no card yet and is not begun."""

    alert: Alert
    case: Case
    is_new: bool


@dataclass(frozen=True)
class OpenAlerts:
    """What is open, the worst first, with the cases by id; and what may be missing in it."""

    alerts: tuple[Alert, ...]
    cases: Mapping[str, Case] = field(default_factory=dict)
    #: How the sources are doing that were ever read and are not switched off.
    sources: tuple[SourceState, ...] = ()
    #: The names of those that are switched on; None when nothing was ever switched off.
    reads: Collection[str] | None = None

    def watches(self, name: str) -> bool:
        """Whether this source is to be read."""
        return self.reads is None or name in self.reads


@dataclass(frozen=True)
class ListedBlock:
    """One entry of Microsoft's lists, with our alert and case about it."""

    #: The address of a sender, or the id of a connector.
    about: str
    name: str = ""
    is_connector: bool = False
    since: datetime | None = None
    reason: Mapping[str, str] = field(default_factory=dict)
    temporary: bool | None = None
    alert: Alert | None = None
    case: Case | None = None


@dataclass(frozen=True)
class RestrictedNow:
    """Both lists as they were read at `at`, the newest entry first; `unread` says which could not be read, and why."""

    at: datetime
    entries: tuple[ListedBlock, ...] = ()
    unread: tuple[Text, ...] = ()


class AlertDesk:
    """The handlers. Every one raises UserErrors that name a text. `close` ends what is started behind the clicks."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        casework: Cases,
        poster: AlertPoster,
        lists: Lists,
        directory: Directory,
        tenant_id: str,
        sources: Collection[str] | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """`sources` are the names of those that are read here; None when all that the database knows are."""
        self._sources = sources
        self._store = store
        self._clock = clock
        self._casework = casework
        self._poster = poster
        self._lists = lists
        self._directory = directory
        self._sleep = sleep
        self._names: dict[str, tuple[datetime, frozenset[str]]] = {}
        self._looking: asyncio.Task[None] | None = None
        self._tenant_id = tenant_id
        self._one_at_a_time = asyncio.Lock()
        self._running: set[asyncio.Task[None]] = set()

    def start_looking(self) -> None:
        """Carry out, from now on, what was ordered before a restart or could not be carried out."""
        self._looking = asyncio.create_task(self._look_for_ever())

    async def close(self) -> None:
        tasks = [*self._running, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is being started behind a click."""
        while self._running:
            await asyncio.gather(*self._running, return_exceptions=True)

    # --- orders ---

    async def start(self, order: StartAlert) -> Started:
        """
        A case about what the alert is about, stored and not begun, with whoever asks as its requester; the one that is
        there, when a case deals with it already.

        Raises NotAllowed (recorded) for whoever is no requester and for one's own account, AlertNotFound, AlertOver.
        """
        async with self._one_at_a_time:
            alert = await self._store.alerts.alert(order.alert_id)
            await self._not_the_subject(order.by, alert)
            case = await case_of(self._store, alert)
            if case is not None and is_in_hand(alert, case):
                await self._casework.may_read(order.by)
                return Started(alert, case, is_new=False)
            if not can_be_started(alert, case):
                raise AlertOver(alert_id=alert.alert_id)
            return await self._kept(alert, await self._casework.open_case(_order_for(alert, order.by)), order.by)

    async def _kept(self, seen: Alert, case: Case, by: Actor) -> Started:
        """The case as that of the alert. When another replica was first, its case stays and ours is called off."""

        def keep(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if alert.case_id != seen.case_id:
                return alert, []
            about = {"about": alert.about, "noticed_at": alert.noticed_at.isoformat()}
            entry = note(Tag.ALERT_STARTED, case.case_id, by, alert_id=alert.alert_id, **about)
            changes = {"case_id": case.case_id, "snoozed_until": None, "set_aside_by": None, "set_aside_at": None}
            return alert.model_copy(update={**changes, **_NOT_REFUSED}), [entry]

        alert = await self._store.alerts.change_alert(seen.alert_id, keep)
        await self._poster.alerts_changed([alert.alert_id])
        if alert.case_id in (None, case.case_id):
            return Started(alert, case, is_new=True)
        await self._casework.cancel_case(CancelCase(by=by, case_id=case.case_id))
        first = await self._store.case(str(alert.case_id))
        return Started(alert, first, is_new=False)

    async def startable(self, who: Actor, digest_id: str) -> tuple[Alert, ...]:
        """
        What of a digest could be started now by this person, the worst first. Raises NotAllowed (recorded), and
        AlertNotFound for a digest of nothing.
        """
        await self._casework.may_request(who)
        alerts = await self._store.alerts.alerts_of_digest(digest_id)
        if not alerts:
            raise AlertNotFound(digest_id=digest_id)
        cases = await cases_of(self._store, alerts)
        free = [alert for alert in alerts if can_be_started(alert, cases.get(alert.case_id or ""))]
        own = await self._names_of(who, free)
        return tuple(alert for alert in free if alert.ordered_by is None and not own & alert.names)

    async def start_all(self, order: StartAll) -> int:
        """
        Start everything of a digest that waits for somebody, each with a case of its own; how many that are. The first
        is started at once, so that a refusal is told; the order for the others is stored, and carried out behind it.

        Raises NotAllowed (recorded), AlertNotFound, AlertOver when nothing waits.
        """
        alerts = await self.startable(order.by, order.digest_id)
        if not alerts:
            raise AlertOver(digest_id=order.digest_id)
        started = await self.start(StartAlert(order.by, alerts[0].alert_id))
        ordered = {"ordered_by": order.by, "ordered_at": self._clock.now(), **_NOT_REFUSED}
        others = await self._store.alerts.change_alerts(
            [alert.alert_id for alert in alerts[1:]],
            lambda alert: (alert.model_copy(update=ordered) if alert.is_open else alert, []),
        )
        if started.is_new:
            await self._casework.begin(started.case.case_id)
        task = asyncio.create_task(self._carry_out_each(others))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return len(alerts)

    async def carry_out_orders(self) -> None:
        """Start what was ordered and which nobody seems to have in hand: after a restart, or after a fault."""
        now = self._clock.now()
        alerts = await self._store.alerts.alerts()
        await self._carry_out_each([a for a in alerts if a.ordered_at is not None and now - a.ordered_at >= LEFT_FOR])

    async def _look_for_ever(self) -> None:
        while True:
            try:
                await self.carry_out_orders()
            except Exception as error:  # the outermost loop: one bad round must not end all that follow
                log.exception("orders_not_carried_out", error=type(error).__name__)
            await self._sleep(LOOK_EVERY_S)

    async def _carry_out_each(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            try:
                await self._carry_out_or_say_why(alert)
            except Exception as error:  # the outermost level of each order: a fault in one must not stop the others
                log.exception("alert_not_started", alert_id=alert.alert_id, error=type(error).__name__)

    async def _carry_out_or_say_why(self, alert: Alert) -> None:
        try:
            await self._carry_out(alert)
        except AlertOver:  # nobody waits for it any more, and its card says so
            await self._forget_order(alert)
        except UserError as error:
            log.warning("alert_not_started", alert_id=alert.alert_id, error=str(error))
            await self._say_why(alert, error.reason if isinstance(error, NotAllowed) else error.key)

    async def _say_why(self, seen: Alert, reason: str) -> None:
        """
        On the alert, for everybody who reads its card. The order is given up, on the record, unless it was the
        directory that did not answer: then it is tried again.
        """
        stands = reason in _PASSING
        word = "unread" if stands else reason if reason in REFUSALS else "refused"
        told = {"not_started": say(f"alert.not_started.{word}"), "not_started_for": seen.ordered_by}

        def tell(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if seen.ordered_by is None or alert.ordered_by != seen.ordered_by:  # carried out meanwhile, or not ours
                return alert, []
            if stands:
                return alert.model_copy(update=told), []
            entry = _note(Tag.ALERT_NOT_STARTED, alert, seen.ordered_by, reason=reason)
            return alert.model_copy(update={**told, **_NO_ORDER}), [entry]

        if await self._store.alerts.change_alerts([seen.alert_id], tell):
            await self._poster.alerts_changed([seen.alert_id])

    async def _carry_out(self, seen: Alert) -> None:
        """Start one, unless somebody else has taken the order since. It stays ordered until its case is begun."""
        now, by = self._clock.now(), seen.ordered_by
        if by is None or seen.ordered_at is None:
            return
        if now - seen.ordered_at >= LEFT_FOR / 2:

            def take(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
                is_free = alert.ordered_at == seen.ordered_at
                return alert.model_copy(update={"ordered_at": now}) if is_free else alert, []

            if not await self._store.alerts.change_alerts([seen.alert_id], take):
                return
        started = await self.start(StartAlert(by, seen.alert_id))
        await self._casework.begin(started.case.case_id)
        await self._forget_order(seen)

    async def _forget_order(self, alert: Alert) -> None:
        await self._store.alerts.change_alerts([alert.alert_id], lambda alert: (alert.model_copy(update=_NO_ORDER), []))

    async def snooze(self, order: SnoozeAlert) -> tuple[Alert, ...]:
        """
        The alerts that are put off until then; a second time counts from now on.

        Raises NotAllowed, BadDuration, AlertNotFound, AlertOver; for a target NoOpenAlert and SeveralAlerts.
        """
        await self._casework.may_read(order.by)
        put_off = _put_off(order.by, order.lasts, self._clock.now())
        ids = [order.alert_id] if order.alert_id else await self._open_about(order.target)
        return tuple([await self._changed(order.by, alert_id, put_off) for alert_id in ids])

    async def snooze_all(self, order: SnoozeAll) -> tuple[Alert, ...]:
        """
        The alerts of a digest that are put off: what nobody has done anything about, and is not about who asks.

        Raises NotAllowed, BadDuration, AlertNotFound, AlertOver when nothing waits.
        """
        await self._casework.may_read(order.by)
        now = self._clock.now()
        put_off = _put_off(order.by, order.lasts, now)
        alerts = await self._store.alerts.alerts_of_digest(order.digest_id)
        if not alerts:
            raise AlertNotFound(digest_id=order.digest_id)
        cases = await cases_of(self._store, alerts)
        own = await self._names_of(order.by, alerts)

        def waits(alert: Alert) -> bool:
            return needs_somebody(alert, cases.get(alert.case_id or ""), now) and not own & alert.names

        changed = await self._store.alerts.change_alerts(
            [alert.alert_id for alert in alerts if waits(alert)],
            lambda alert: put_off(alert) if waits(alert) else (alert, []),
        )
        if not changed:
            raise AlertOver(digest_id=order.digest_id)
        await self._poster.alerts_changed([alert.alert_id for alert in changed])
        return tuple(changed)

    async def set_aside(self, order: SetAside) -> Alert:
        """Leave it, with a name to it. Raises NotAllowed, AlertNotFound, AlertOver."""
        await self._casework.may_read(order.by)
        left = {"set_aside_by": order.by, "set_aside_at": self._clock.now(), "snoozed_until": None, "snoozed_by": None}

        def leave(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if alert.set_aside_by is not None:
                return alert, []
            return alert.model_copy(update=left), [_note(Tag.ALERT_SET_ASIDE, alert, order.by)]

        return await self._changed(order.by, order.alert_id, leave)

    async def _changed(
        self, by: Actor, alert_id: str, change: Callable[[Alert], tuple[Alert, Sequence[NewEntry]]]
    ) -> Alert:
        await self._not_the_subject(by, await self._store.alerts.alert(alert_id))

        def checked(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if _is_own(by, alert):
                raise NotAllowed("subject")
            if not alert.is_open:
                raise AlertOver(alert_id=alert.alert_id)
            return change(alert)

        alert = await self._store.alerts.change_alert(alert_id, checked)
        await self._poster.alerts_changed([alert_id])
        return alert

    async def _open_about(self, target: str) -> list[str]:
        """
        Ids of the open alerts about one thing: by its address or id, or else by a part of what it is called. A part of
        an id is nothing that anybody means.
        """
        wanted = target.strip().casefold()
        alerts = [alert for alert in await self._store.alerts.alerts() if alert.tenant_id == self._tenant_id]
        found = [alert for alert in alerts if wanted in _called(alert)]
        found = found or [alert for alert in alerts if any(wanted in name for name in _called(alert) - _ids(alert))]
        if not found or not wanted:
            raise NoOpenAlert(query=target)
        names = dict.fromkeys(alert.about for alert in found)
        if len(names) > 1:
            raise SeveralAlerts(query=target, names=tuple(names))
        return [alert.alert_id for alert in found]

    # --- questions ---

    async def alert_for(self, who: Actor, alert_id: str) -> tuple[Alert, Case | None]:
        """The alert and the case that deals with it. Raises NotAllowed, AlertNotFound."""
        await self._casework.may_read(who)
        alert = await self._store.alerts.alert(alert_id)
        await self._not_the_subject(who, alert)
        return alert, await case_of(self._store, alert)

    async def digest_for(self, who: Actor, digest_id: str) -> tuple[Alert, ...]:
        """The alerts of a digest, the worst first. Raises NotAllowed, AlertNotFound for a digest of nothing."""
        await self._casework.may_read(who)
        alerts = await self._store.alerts.alerts_of_digest(digest_id)
        if not alerts:
            raise AlertNotFound(digest_id=digest_id)
        own = await self._known_names_of(who, alerts)
        return tuple(alert for alert in alerts if not own & alert.names)

    async def list_open(self, who: Actor) -> OpenAlerts:
        """Every open alert that this person may see. Raises NotAllowed."""
        await self._casework.may_read(who)
        alerts = [alert for alert in await self._store.alerts.alerts() if alert.tenant_id == self._tenant_id]
        own = await self._known_names_of(who, alerts)
        seen = tuple(alert for alert in alerts if not own & alert.names)
        states = await self._store.alerts.source_states()
        sources = tuple(state for state in states if self._sources is None or state.source in self._sources)
        return OpenAlerts(seen, await cases_of(self._store, seen), sources, self._sources)

    async def restricted_list(self, who: Actor) -> RestrictedNow:
        """
        Microsoft's lists as they are now. One that cannot be read says so, and is never taken for an empty one.

        Raises NotAllowed.
        """
        await self._casework.may_read(who)
        unread: list[Text] = []
        senders, connectors = await asyncio.gather(
            _read("restricted.unread", self._lists.blocked_senders, unread),
            _read("restricted.unread_connectors", self._lists.blocked_connectors, unread),
        )
        entries = [_sender(entry) for entry in senders] + [_connector(entry) for entry in connectors]
        told = await self.list_open(who)
        # The worst of those that bear a name comes first, and is the one that counts.
        named = {name: alert for alert in reversed(told.alerts) for name in alert.names}
        known = [_with_alert(entry, named.get(entry.about.casefold()), told.cases) for entry in entries]
        known.sort(key=lambda entry: entry.since.timestamp() if entry.since else 0.0, reverse=True)
        return RestrictedNow(self._clock.now(), tuple(known), tuple(unread))

    # --- inside ---

    async def _not_the_subject(self, who: Actor, alert: Alert) -> None:
        if await self._names_of(who, [alert]) & alert.names:
            raise NotAllowed("subject")

    async def _known_names_of(self, who: Actor, alerts: Collection[Alert]) -> frozenset[str]:
        """For a list, which is to be complete rather than nothing when the directory is silent."""
        try:
            return await self._names_of(who, alerts)
        except NotAllowed:
            return frozenset({who.user_oid.casefold()})

    async def _names_of(self, who: Actor, alerts: Collection[Alert]) -> frozenset[str]:
        """
        What this person is known by, as far as it takes to tell whether one of the alerts is about them: an alert about
        a bare address knows no object id yet. Raises NotAllowed when the directory does not say.
        """
        own = who.user_oid.casefold()
        if not any(_is_bare(alert) for alert in alerts):
            return frozenset({own})
        now = self._clock.now()
        kept = self._names.get(own)
        if kept is None or now - kept[0] >= NAMES_KEPT:
            try:
                user = await self._directory.get_user(who.user_oid)
            except ServiceError as error:
                log.warning("presser_unread", error=str(error))
                raise NotAllowed("subject_unread") from error
            names = (own, user.upn, user.mail or "", *user.aliases)
            kept = self._names[own] = (now, frozenset(name.casefold() for name in names if name))
        return kept[1]


def _order_for(alert: Alert, by: Actor) -> OpenCase:
    """
    The case that this alert asks for. An account that still sends is not on the list, and one that is stopped for the
    day needs nobody to lift that, but either may be taken over.
    """
    if alert.kind is AlertKind.CONNECTOR_BLOCKED:
        return OpenCase(by=by, query=alert.about, kind=CaseKind.CONNECTOR)
    query = alert.about if "@" in alert.about or not alert.oid else alert.oid
    if alert.kind is AlertKind.SENDER_RESTRICTED and not alert.report.temporary:
        return OpenCase(by=by, query=query)
    return OpenCase(by=by, query=query, contain_only=True, because=_because(alert))


def _because(alert: Alert) -> Text:
    """What whoever approves has to know, since no check of the case may show it."""
    report = alert.report
    if report.temporary:
        return say("case.because_until_tomorrow", at=alert.since)
    if report.what is not None:
        return say("case.because_warning", at=alert.since, what=report.what)
    return say("case.because_alert", at=alert.since, title=report.title)


def _called(alert: Alert) -> frozenset[str]:
    """Everything that people may call it, casefolded; the part of an address before the @ too."""
    names = {name.casefold() for name in (*alert.names, alert.name, *alert.name.split()) if name}
    return frozenset(names | {name.partition("@")[0] for name in names})


def _ids(alert: Alert) -> frozenset[str]:
    """Those of its names that are ids, which stand for it as a whole or not at all."""
    oids = {oid.casefold() for oid in (alert.oid, *(report.oid for report in alert.reports)) if oid}
    return frozenset(oids.union(name for name in _called(alert) if _GUID.fullmatch(name)))


def _is_bare(alert: Alert) -> bool:
    """Whether it is about an account of which nothing but addresses is known."""
    return alert.kind in _ABOUT_ACCOUNTS and alert.about != TENANT and not alert.oid


def _with_alert(entry: ListedBlock, alert: Alert | None, cases: Mapping[str, Case]) -> ListedBlock:
    if alert is None:
        return entry
    return replace(entry, name=entry.name or alert.name, alert=alert, case=cases.get(alert.case_id or ""))


def _put_off(by: Actor, lasts: timedelta, now: datetime) -> Callable[[Alert], tuple[Alert, Sequence[NewEntry]]]:
    """The change that makes an alert quiet for so long. Raises BadDuration."""
    if not timedelta() < lasts <= LONGEST_SNOOZE:
        raise BadDuration(hours=lasts / timedelta(hours=1))
    until = now + lasts
    quiet = {"snoozed_until": until, "snoozed_by": by, "set_aside_by": None, "set_aside_at": None}

    def put_off(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
        return alert.model_copy(update=quiet), [_note(Tag.ALERT_SNOOZED, alert, by, until=until.isoformat())]

    return put_off


def _is_own(who: Actor, alert: Alert) -> bool:
    return who.user_oid.casefold() in alert.names


def _note(tag: Tag, alert: Alert, by: Actor, **details: str) -> NewEntry:
    return note(tag, alert.case_id, by, alert_id=alert.alert_id, about=alert.about, **details)


async def _read(key: str, read: Callable, unread: list[Text]) -> tuple:
    """One of the lists; when it cannot be read, it is empty and `unread` says why."""
    try:
        async with asyncio.timeout(LIST_TIMEOUT_S):
            return await read()
    except ServiceError as error:
        unread.append(say(key, why=why(error)))
    except TimeoutError:
        unread.append(say(key, why=say("unreadable.fault")))
    return ()


def _sender(entry: BlockedSender) -> ListedBlock:
    return ListedBlock(
        about=entry.sender_address, since=entry.created_at, reason=entry.reason, temporary=entry.temporary
    )


def _connector(entry: BlockedConnector) -> ListedBlock:
    return ListedBlock(
        about=entry.connector_id,
        name=entry.name or "",
        is_connector=True,
        since=entry.created_at,
        reason=entry.reason,
    )
