"""
Alerts of Microsoft Defender as a source of ours. They come a minute to a quarter of an hour late, a second block may
join the first alert, and closing one in the portal unblocks nobody: the lists of Exchange know better.

Sources: "Alert policies in the Microsoft Defender portal", 2025-03-21 (titles, severities, how events are joined);
"List alerts_v2" and "alert resource type" (Microsoft Graph, 2025). How a title is spelled when it is delivered, and
which product is named as its source, was not verified, so titles are known by their words and the product is not asked.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from services.alerts.model import TENANT, UNNAMED_CONNECTOR, AlertKind, Report, Severity, SourceName
from services.alerts.ports import Reading
from services.cases import say
from services.clients.graph_models import AlertUser, SecurityAlert
from services.errors import BrokenAnswer
from services.ports import Clock

log = structlog.get_logger()

#: How far the first reading goes back, and by how much every later one overlaps the one before it: an alert may become
#: visible later than it is dated.
FIRST_LOOK, OVERLAP = timedelta(hours=24), timedelta(hours=1)
#: No reading takes less time than this.
SHORTEST_SLICE = timedelta(seconds=1)
#: More alerts than this at once cannot be told apart from an answer that was cut off.
MOST_ALERTS = 5000
#: One alert counts for no more accounts than this: every one of them gets a card of its own.
MOST_PEOPLE = 500


@dataclass(frozen=True)
class _Title:
    """An alert policy that is ours, by the words that its title has whatever else is in it."""

    words: frozenset[str]
    kind: AlertKind
    severity: Severity
    #: What it is about when that is not a person.
    about: str = ""


def _title(title: str, kind: AlertKind, severity: Severity, about: str = "") -> _Title:
    return _Title(frozenset(title.split()), kind, severity, about)


#: The first that fits counts.
TITLES: tuple[_Title, ...] = (
    _title("tenant restricted sending", AlertKind.TENANT_RESTRICTED, Severity.HIGH, TENANT),
    _title("suspicious tenant sending patterns", AlertKind.EARLY_WARNING, Severity.HIGH, TENANT),
    _title("user restricted sending", AlertKind.SENDER_RESTRICTED, Severity.HIGH),
    _title("sending limit exceeded", AlertKind.SENDER_SUSPECTED, Severity.MEDIUM),
    _title("suspicious sending patterns", AlertKind.SENDER_SUSPECTED, Severity.MEDIUM),
    _title("suspicious email forwarding", AlertKind.SENDER_SUSPECTED, Severity.HIGH),
    _title("suspicious connector activity", AlertKind.CONNECTOR_BLOCKED, Severity.HIGH, UNNAMED_CONNECTOR),
)
_SEVERITIES: Mapping[str, Severity] = {
    "high": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "informational": Severity.LOW,
}


def reports_of(alert: SecurityAlert, source: SourceName = SourceName.DEFENDER) -> tuple[Report, ...] | None:
    """
    What an alert reports, for each account that it is about; None when its title is none of ours. Empty when it is ours
    and names nobody; one more than MOST_PEOPLE when it names too many.
    """
    words = frozenset(re.findall(r"\w+", alert.title.casefold()))
    title = next((title for title in TITLES if title.words <= words), None)
    if title is None:
        return None
    if title.about:
        return (_report(alert, source, title, about=title.about),)
    people = [person for person in _people(alert.users) if person.addresses or person.oid]
    return tuple(_report(alert, source, title, **person.fields) for person in people[: MOST_PEOPLE + 1])


def _report(alert: SecurityAlert, source: SourceName, title: _Title, **whom: object) -> Report:
    said = _SEVERITIES.get((alert.severity or "").casefold(), title.severity)
    fields: dict[str, object] = {
        "source": source,
        "kind": title.kind,
        "since": alert.created_at,
        "external_id": alert.alert_id,
        "title": alert.title,
        "severity": max(said, title.severity),
        "web_url": _link(alert.web_url),
        "told_at": alert.updated_at or alert.created_at,
        "is_over": (alert.status or "").casefold() == "resolved",
        "what": say("early_warning.tenant") if title.kind is AlertKind.EARLY_WARNING else None,
    }
    return Report.model_validate({**fields, **whom})


def is_of_the_future(moment: datetime | None, now: datetime) -> bool:
    """Whether nothing can be dated so: clocks differ, but not by more than a day."""
    return moment is not None and moment > now + timedelta(days=1)


def _soberly_dated(alert: SecurityAlert, now: datetime) -> SecurityAlert:
    """The alert, with moments that cannot be right as unknown ones."""
    moments = {"created_at": alert.created_at, "updated_at": alert.updated_at}
    wrong = {name: None for name, moment in moments.items() if is_of_the_future(moment, now)}
    if wrong:
        log.warning("alert_of_the_future", alert=alert.alert_id, fields=sorted(wrong))
    return alert.model_copy(update=wrong) if wrong else alert


def _link(url: str | None) -> str:
    """The portal's address of the alert; anything that is no address of a page is left out."""
    return url if url and url.startswith("https://") else ""


@dataclass
class _Person:
    """One account among the evidence, from all entries that share a name: the user, its mailbox, ..."""

    oid: str
    addresses: dict[str, None]

    @property
    def names(self) -> frozenset[str]:
        return frozenset({*self.addresses, *([self.oid] if self.oid else [])})

    @property
    def fields(self) -> dict[str, object]:
        first, *others = self.addresses or (self.oid,)
        return {"about": first, "oid": self.oid, "also": tuple(others)}


def _people(users: Iterable[AlertUser]) -> list[_Person]:
    """
    Whom an alert is about, in the order in which they are named. The name of the account comes first, since that is
    what the restricted list uses.
    """
    entries = [_entry(user) for user in users]
    named: dict[str, list[int]] = defaultdict(list)
    for place, entry in enumerate(entries):
        for name in entry.names:
            named[name].append(place)
    people: list[_Person] = []
    seen: set[int] = set()
    for place in range(len(entries)):
        if place not in seen:
            same = _linked(place, entries, named)
            seen.update(same)
            people.append(_one_of([entries[one] for one in same]))
    return people


def _entry(user: AlertUser) -> _Person:
    addresses = [name.strip().lower() for name in (user.upn, user.address) if name and name.strip()]
    return _Person((user.oid or "").strip().lower(), dict.fromkeys(addresses))


def _linked(first: int, entries: Sequence[_Person], named: dict[str, list[int]]) -> list[int]:
    """Which entries share a name with this one, or with one that does; the names are taken out, so each counts once."""
    found, left = {first}, [first]
    while left:
        for name in entries[left.pop()].names:
            others = set(named.pop(name, ())) - found
            found |= others
            left += others
    return sorted(found)


def _one_of(entries: Sequence[_Person]) -> _Person:
    oid = next((entry.oid for entry in entries if entry.oid), "")
    return _Person(oid, {address: None for entry in entries for address in entry.addresses})


class AlertList(Protocol):
    """Fulfilled by `GraphClient`."""

    async def changed_alerts(
        self, *, since: datetime, until: datetime | None = None, limit: int
    ) -> tuple[SecurityAlert | None, ...]: ...


class Defender:
    """Fulfils the port `Source`. It tells news: what it does not say is not over."""

    name = SourceName.DEFENDER

    def __init__(self, graph: AlertList, clock: Clock, interval_s: float) -> None:
        self._graph = graph
        self._clock = clock
        self.interval_s = interval_s
        #: How much time one reading may cover; None while that was never too much.
        self._slice: timedelta | None = None

    async def read(self, since: datetime | None) -> Reading:
        """
        Alerts that were made or changed since the last reading, with an overlap; those that are known change nothing.

        Raises BrokenAnswer when there are so many that some may be missing. The next readings then take half of that
        time each, until they have caught up.
        """
        now = self._clock.now()
        start = since - OVERLAP if since is not None else now - FIRST_LOOK
        end = now if self._slice is None else min(now, start + self._slice)
        until = end if end < now else None
        read = await self._graph.changed_alerts(since=start, until=until, limit=MOST_ALERTS)
        if len(read) >= MOST_ALERTS:
            self._slice = max((end - start) / 2, SHORTEST_SLICE)
            raise BrokenAnswer("graph", action="alerts", what="too_many")
        readable = [alert for alert in read if alert is not None]
        if len(readable) < len(read):
            log.warning("alerts_unreadable", n=len(read) - len(readable))
        # What overlaps once all is read would lead a slice that is shorter back to where it began.
        return Reading(reports=tuple(self._reports(readable)), read_until=now if until is None else end + OVERLAP)

    def _reports(self, alerts: Sequence[SecurityAlert]) -> list[Report]:
        """Oldest change first, so that the last word on each counts."""
        found: list[Report] = []
        for alert in alerts:
            reports = reports_of(_soberly_dated(alert, self._clock.now()))
            if reports is not None and not reports:
                log.warning("alert_names_nobody", alert=alert.alert_id, title=alert.title)
            if reports is not None and len(reports) > MOST_PEOPLE:
                log.warning("alert_names_too_many", alert=alert.alert_id, title=alert.title, taken=MOST_PEOPLE)
            found += (reports or ())[:MOST_PEOPLE]
        return sorted(found, key=lambda report: report.told_at or report.since or self._clock.now())
