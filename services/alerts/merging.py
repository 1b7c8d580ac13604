"""
Many reports, one alert. Pure: from the alerts that are known and what a source said now, to the alerts that shall be.

What counts as one thing: the same names (address, object id) within a family of kinds, and the same start of the block.
The lists of Exchange are authoritative: a new start on a list is a new alert, and what is missing from a list that was
read whole is over. Everything else, such as Defender, joins what is known, comes late and comes twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from services.alerts.model import UNNAMED_CONNECTOR, Alert, AlertKind, AlertState, Report, SourceName
from services.alerts.ports import Reading
from services.audit import NewEntry, Tag, note
from services.cases import Finding, Subject, Text, say

#: Two starts that lie no further apart are one: sources round differently.
SAME_START = timedelta(minutes=1)
#: How long Defender may take to tell of something, and the list to show it. Alerts gather for 1 or 15 minutes, by
#: licence. Source: "Alert policies in Microsoft 365", 2025-03-21.
LAG = timedelta(minutes=15)
#: So many readings running have to show no trouble before it counts as mended.
GOOD_READINGS = 3
#: So many readings running have to leave an entry out before it counts as gone: one answer may be faulty.
READINGS_WITHOUT = 2
#: More reports of one thing than this are not kept; an alert that has so many is not over by what they say, since what
#: was cut off may say otherwise.
MOST_REPORTS = 50

_LISTS = frozenset({SourceName.RESTRICTED_LIST, SourceName.BLOCKED_CONNECTORS})
#: Sources that show all there is: what they show is there now, whatever was said before.
_SHOW_ALL = _LISTS | {SourceName.HEALTH}
#: What is one thing under several kinds; the later a kind stands in its family, the more it says. The organisation as a
#: whole is a sender too: it is warned of, and then restricted.
_FAMILIES: tuple[tuple[AlertKind, ...], ...] = (
    (
        AlertKind.EARLY_WARNING,
        AlertKind.SENDER_SUSPECTED,
        AlertKind.SENDER_RESTRICTED,
        AlertKind.TENANT_RESTRICTED,
    ),
    (AlertKind.CONNECTOR_BLOCKED,),
    (AlertKind.HEALTH,),
)
_FAMILY: Mapping[AlertKind, int] = {kind: n for n, family in enumerate(_FAMILIES) for kind in family}
_RANK: Mapping[AlertKind, int] = {kind: rank for family in _FAMILIES for rank, kind in enumerate(family)}
#: Kinds that no list shows, so that the source's own word ends them.
_ENDED_BY_WORD = frozenset({AlertKind.SENDER_SUSPECTED, AlertKind.EARLY_WARNING, AlertKind.TENANT_RESTRICTED})
_EARLIEST = datetime.min.replace(tzinfo=UTC)

Changed = tuple[Alert, Sequence[NewEntry]]


@dataclass(frozen=True)
class Facts:
    """What there is to know beside the alerts and the reports."""

    tenant_id: str
    now: datetime
    new_id: Callable[[], str]
    #: When the restricted list was last read, if it can be read at present.
    list_read_at: datetime | None = None
    #: Name in lower case -> id of the case that is at work on it; None when that was not looked up.
    cases: Mapping[str, str] | None = None
    #: How alerts end that end now, by their ids, as far as somebody knows better than `ending_of`.
    endings: Mapping[str, Text] = field(default_factory=dict)


def merged(known: Iterable[Alert], reading: Reading, facts: Facts) -> list[Changed]:
    """The alerts that are new or changed by this reading, each with what the auditors shall read."""
    desk = _Desk(known, facts)
    seen = {alert_id for report in reading.reports if (alert_id := desk.take(report)) is not None}
    for alert in desk.missing(reading, seen):
        desk.miss(alert)
    desk.join()
    return desk.changes()


def kinds_needed(reading: Reading) -> frozenset[AlertKind]:
    """
    The kinds of which `merged` has to know every open alert: those that the reading shows all of, and connectors where
    some are reported, since they may have no name. Of all others it needs those that bear a name of the reading.
    """
    connectors = {report.kind for report in reading.reports if report.kind is AlertKind.CONNECTOR_BLOCKED}
    return frozenset(reading.whole) | connectors


def learned(
    known: Iterable[Alert], alert_id: str, subject: Subject | None, findings: Sequence[Finding], facts: Facts
) -> list[Changed]:
    """
    An alert with its first impression, and with what the directory says about whom it is; alerts that turn out to be
    about the same account become one.
    """
    desk = _Desk(known, facts)
    desk.learn(alert_id, subject, findings)
    return desk.changes()


def claimed(report: Report) -> tuple[Report, ...]:
    """
    What a report is worth that somebody sent us: each address for itself. Which names are one account only Microsoft
    tells. Otherwise whoever sends could fold two accounts into one, or give somebody's alert to another account, and so
    keep it from the people who should see it.
    """
    names = tuple(name for name in (report.about, *report.also) if name != report.oid) or (report.about,)
    return tuple(report.model_copy(update={"about": name, "oid": "", "also": ()}) for name in names)


def missing_from(known: Iterable[Alert], reading: Reading, facts: Facts) -> list[Alert]:
    """The alerts that a list that was read whole does not show any more; `merged` ends those that are over by it."""
    desk = _Desk(known, facts)
    seen = {alert_id for report in reading.reports if (alert_id := desk.take(report)) is not None}
    before = {alert.alert_id for alert in known}
    return [alert for alert in desk.missing(reading, seen) if alert.alert_id in before]


def ending_of(alert: Alert, now: datetime) -> Text:
    """How an alert ended that no list shows any more, as far as the alert itself tells."""
    if alert.kind is AlertKind.HEALTH:
        return say("alert.ended.works_again")
    if alert.kind is AlertKind.EARLY_WARNING:
        return say("alert.ended.calm")
    if _list_report(alert) is None:
        is_connector = alert.kind is AlertKind.CONNECTOR_BLOCKED
        return say("alert.ended.connector_not_listed" if is_connector else "alert.ended.not_listed")
    if ended_by_itself(alert, now):
        return say("alert.ended.by_itself")
    return say("alert.ended.elsewhere")


def joined_entry(alert: Alert, case_id: str) -> NewEntry:
    """What the auditors read when a case turns out to deal with an alert."""
    about = {"alert_id": alert.alert_id, "about": alert.about, "noticed_at": alert.noticed_at.isoformat()}
    return note(Tag.ALERT_JOINED, case_id, None, **about)


def ended_alert(alert: Alert, how: Text, now: datetime) -> Changed:
    """The alert when it is over, with what the auditors read."""
    after = alert.model_copy(update={"state": AlertState.ENDED, "ended_at": now, "ended": how})
    return after, [_entry(Tag.ALERT_ENDED, after, how=how.key)]


def _entry(tag: Tag, alert: Alert, **details: object) -> NewEntry:
    about = {"alert_id": alert.alert_id, "kind": alert.kind.value, "about": alert.about}
    return note(tag, alert.case_id, None, **about, **details)


def ended_by_itself(alert: Alert, now: datetime) -> bool:
    """Whether it was a block for the day, and the next day (UTC) has begun."""
    shown = _list_report(alert)
    if shown is None or not shown.temporary:
        return False
    day = alert.since.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return now >= day + timedelta(days=1)


def _list_report(alert: Alert, about: str | None = None) -> Report | None:
    """What an authoritative list said of it; with `about` of this entry, since an account may stand there twice."""
    listed = (report for report in alert.reports if report.source in _LISTS)
    return next((report for report in listed if about in (None, report.about)), None)


class _Desk:
    """The alerts while reports come in; they are found by every name that they have."""

    def __init__(self, known: Iterable[Alert], facts: Facts) -> None:
        self._facts = facts
        self._before: dict[str, Alert] = {}
        self._alerts: dict[str, Alert] = {}
        self._ids: dict[tuple[int, str], dict[str, None]] = defaultdict(dict)
        self._entries: dict[str, list[NewEntry]] = defaultdict(list)
        for alert in known:
            self._before[alert.alert_id] = alert
            self._keep(alert)

    def changes(self) -> list[Changed]:
        return [
            (alert, self._entries[alert_id])
            for alert_id, alert in self._alerts.items()
            if alert != self._before.get(alert_id)
        ]

    # --- one report ---

    def take(self, report: Report) -> str | None:
        """Take a report in. The id of the alert that it is about now, if there is one."""
        about = self._about(report)
        opened = [alert for alert in about if alert.is_open]
        ended = sorted((alert for alert in about if not alert.is_open), key=_ended_at, reverse=True)
        if any(_holds(alert, report) for alert in ended) and not any(_holds(alert, report) for alert in opened):
            if not _is_reopened(ended, report) or self._is_off_the_list(report):
                return None
            return self._raise(report) if not opened else self._take_more(self._folded(opened), report)
        if opened:
            return self._take_for(self._folded(opened), ended[0] if ended else None, report)
        if report.is_over or self._is_off_the_list(report):
            return None
        return self._take_after(ended[0], report) if ended else self._raise(report)

    def _take_for(self, alert: Alert, last: Alert | None, report: Report) -> str | None:
        """A report about something that is open."""
        shown, began = _list_report(alert, report.about if report.source in _LISTS else None), report.since
        if report.source in _LISTS and shown is not None and shown.since is not None and began is not None:
            if began < shown.since - SAME_START:  # an older block, which is over
                return None
            if began > shown.since + SAME_START:
                self.end(alert, self._facts.endings.get(alert.alert_id) or say("alert.ended.again"))
                return self._raise(report, *self._unresolved(alert))
        if report.is_over and not _holds(alert, report):
            return alert.alert_id
        if shown is None and last is not None and self._belongs_to(last, report) and alert.since > _ended_at(last):
            return alert.alert_id
        return self._take_more(alert, report)

    def _take_more(self, alert: Alert, report: Report) -> str:
        after = _with_report(alert, report)
        if report.source in _SHOW_ALL:  # what others tell of it says nothing of whether it is still there
            after = after.model_copy(update={"missed": 0})
        self._change(alert, after, begins_again=_is_news(alert, report))
        return alert.alert_id

    def _take_after(self, last: Alert, report: Report) -> str | None:
        """A report about something of which the last alert has ended."""
        if report.source not in _SHOW_ALL:
            return None if self._belongs_to(last, report) else self._raise(report)
        shown = _list_report(last)
        if _is_same_block(last, report, self._facts.now):
            return self._reopen(last, report)
        if shown and shown.since and report.since and report.since < shown.since:
            return None
        return self._raise(report)

    def _belongs_to(self, ended: Alert, report: Report) -> bool:
        """
        Whether a late report tells of what has ended. Of one that is dated after it only a list knows better, and only
        while it can be read: it shows a new block by itself, and nothing else.
        """
        if report.source in _SHOW_ALL:
            return False
        list_tells = report.kind is AlertKind.SENDER_RESTRICTED and self._facts.list_read_at is not None
        lag = LAG if list_tells and _list_report(ended) is not None else timedelta(0)
        return (report.since or self._facts.now) <= _ended_at(ended) + lag

    def _is_off_the_list(self, report: Report) -> bool:
        """Whether it tells of a restriction that the list would show by now, and does not."""
        began, read_at = report.since, self._facts.list_read_at
        if report.kind is not AlertKind.SENDER_RESTRICTED or report.source in _LISTS:
            return False
        return began is not None and read_at is not None and began + LAG <= read_at

    def _about(self, report: Report) -> list[Alert]:
        family = _FAMILY[report.kind]
        ids = {alert_id: None for name in sorted(report.names) for alert_id in self._ids.get((family, name), ())}
        found = [self._alerts[alert_id] for alert_id in ids]
        if report.kind is not AlertKind.CONNECTOR_BLOCKED or any(alert.is_open for alert in found):
            return found
        return found + self._unnamed(report)

    def _unnamed(self, report: Report) -> list[Alert]:
        """Defender names no connector: what it reports is the one that is known, and the other way round."""
        connectors = [a for a in self._alerts.values() if a.is_open and a.kind is AlertKind.CONNECTOR_BLOCKED]
        if report.about != UNNAMED_CONNECTOR:
            connectors = [alert for alert in connectors if alert.about == UNNAMED_CONNECTOR]
        return sorted(connectors, key=lambda alert: alert.since)[-1:]

    # --- changes ---

    def _unresolved(self, alert: Alert) -> list[Report]:
        """
        What Microsoft still suspects when a block is over that no case of ours has ended: somebody else may be using
        the account all the same.
        """
        if alert.alert_id in self._facts.endings:
            return []
        return [r for r in alert.reports if r.kind is AlertKind.SENDER_SUSPECTED and r.external_id and not r.is_over]

    def _raise(self, report: Report, *more: Report) -> str:
        now = self._facts.now
        alert = Alert(
            alert_id=self._facts.new_id(),
            tenant_id=self._facts.tenant_id,
            kind=report.kind,
            about=report.about,
            since=report.since or now,
            is_since_known=report.since is not None,
            noticed_at=now,
            severity=report.severity,
        )
        for each in (report, *more):
            alert = _with_report(alert, each)
        self._keep(alert)
        self._note(Tag.ALERT_RAISED, alert, source=report.source.value, since=alert.since.isoformat())
        return alert.alert_id

    def _reopen(self, alert: Alert, report: Report) -> str:
        opened = {"state": AlertState.OPEN, "ended_at": None, "ended": None}
        after = _with_report(alert.model_copy(update={**opened, "missed": 0}), report)
        is_dealt_with = self._is_dealt_with(after)
        if self._facts.now - _ended_at(alert) >= LAG or (_is_worse(alert, after) and not is_dealt_with):
            again = {**_UNTOLD, "case_id": after.case_id if is_dealt_with else None, "waits_since": self._facts.now}
            after = after.model_copy(update=again)
        self._keep(after)
        self._note(Tag.ALERT_RAISED, after, source=report.source.value, again=True)
        return alert.alert_id

    def _change(self, before: Alert, after: Alert, *, begins_again: bool = False) -> None:
        """The changed alert; one that has become worse, or begins again, is told to people anew."""
        is_news = begins_again or _is_worse(before, after)
        if is_news and not self._is_dealt_with(after) and self._was_told_long_ago(before):
            after = after.model_copy(update={**_UNTOLD, "case_id": None, "waits_since": self._facts.now})
        self._keep(after)
        is_all = len(after.reports) < MOST_REPORTS
        if after.kind in _ENDED_BY_WORD and is_all and all(report.is_over for report in after.reports):
            self.end(after, say("alert.ended.resolved"))

    def _is_dealt_with(self, alert: Alert) -> bool:
        """Whether a case is at work on it: one that has ended does nothing about what comes after."""
        cases = self._facts.cases
        return alert.case_id is not None and (cases is None or alert.case_id in cases.values())

    def _was_told_long_ago(self, alert: Alert) -> bool:
        put_off = alert.set_aside_at is not None or alert.snoozed_until is not None
        return put_off or self._facts.now - (alert.posted_at or alert.noticed_at) >= LAG

    def miss(self, alert: Alert) -> None:
        """It is over once enough readings running have not shown it, or at once where it is known how it ended."""
        missed, how = alert.missed + 1, self._facts.endings.get(alert.alert_id)
        if how is None and not ended_by_itself(alert, self._facts.now) and missed < _readings_without(alert):
            self._keep(alert.model_copy(update={"missed": missed}))
            return
        self.end(alert, how or ending_of(alert, self._facts.now))
        if suspected := self._unresolved(alert):
            after = self._alerts[self._raise(*suspected)]
            self._keep(after.model_copy(update={name: getattr(alert, name) for name in _STAYS}))

    def end(self, alert: Alert, how: Text) -> None:
        after, entries = ended_alert(alert, how, self._facts.now)
        self._keep(after)
        self._entries[alert.alert_id] += entries

    def _folded(self, opened: Sequence[Alert]) -> Alert:
        """One alert of several that turn out to be about the same; the first one stays."""
        first, *others = sorted(opened, key=lambda alert: (alert.noticed_at, alert.alert_id))
        for other in others:
            self.end(other, say("alert.ended.same", name=first.name or first.about))
            after = first.model_copy(update=_in_common(first, other))
            for report in other.reports:
                after = _with_report(after, report)
            self._change(first, after)
            first = self._alerts[first.alert_id]
        return first

    def missing(self, reading: Reading, seen: Iterable[str]) -> list[Alert]:
        """
        The open alerts of the kinds that the reading shows all of, and does not show. One that no list has shown yet
        gets time to appear there.
        """
        seen, now = frozenset(seen), self._facts.now
        gone = [a for a in self._alerts.values() if a.is_open and a.kind in reading.whole and a.alert_id not in seen]
        if not _LISTS & {source for kind in reading.whole for source in _SOURCES_OF.get(kind, ())}:
            return gone
        return [alert for alert in gone if _list_report(alert) is not None or now - alert.since >= LAG]

    def join(self) -> None:
        """Every open alert gets the case that is at work on its account or connector."""
        cases = self._facts.cases or {}
        at_work = frozenset(cases.values())
        for alert in list(self._alerts.values()):
            if alert.is_open and alert.case_id not in at_work and alert.kind is not AlertKind.HEALTH:
                case_id = next((cases[name] for name in sorted(alert.names) if name in cases), None)
                if case_id is not None:
                    self._keep(alert.model_copy(update={"case_id": case_id}))
                    self._entries[alert.alert_id].append(joined_entry(alert, case_id))

    def learn(self, alert_id: str, subject: Subject | None, findings: Sequence[Finding]) -> None:
        before = self._alerts.get(alert_id)
        if before is None:
            return
        after = before.model_copy(update={"impression": tuple(findings)})
        if subject is not None:
            addresses = tuple(name.lower() for name in (subject.upn, subject.mail) if name)
            known = {"oid": subject.user_oid, "name": subject.display_name or before.name}
            after = after.model_copy(update={**known, "also": _distinct(before.also + addresses)})
        self._keep(after)
        same = [alert for alert in self._sharing(after) if alert.is_open]
        if after.is_open and len(same) > 1:
            self._folded(same)

    def _sharing(self, alert: Alert) -> list[Alert]:
        family = _FAMILY[alert.kind]
        ids = {alert_id: None for name in sorted(alert.names) for alert_id in self._ids.get((family, name), ())}
        return [self._alerts[alert_id] for alert_id in ids]

    def _keep(self, alert: Alert) -> None:
        self._alerts[alert.alert_id] = alert
        for name in alert.names:
            self._ids[_FAMILY[alert.kind], name][alert.alert_id] = None

    def _note(self, tag: Tag, alert: Alert, **details: object) -> None:
        self._entries[alert.alert_id].append(_entry(tag, alert, **details))


#: What people have done about an account, and what is known of it, when a block ends and a suspicion stays.
_STAYS = (
    "oid",
    "also",
    "name",
    "impression",
    "case_id",
    "set_aside_by",
    "set_aside_at",
    "snoozed_until",
    "snoozed_by",
)
#: What makes people hear of an alert again.
_UNTOLD: dict[str, object] = {
    "posted_at": None,
    "digest_id": None,
    "snoozed_until": None,
    "snoozed_by": None,
    "set_aside_by": None,
    "set_aside_at": None,
}
_SOURCES_OF: Mapping[AlertKind, tuple[SourceName, ...]] = {
    AlertKind.SENDER_RESTRICTED: (SourceName.RESTRICTED_LIST,),
    AlertKind.CONNECTOR_BLOCKED: (SourceName.BLOCKED_CONNECTORS,),
}


def _in_common(first: Alert, other: Alert) -> dict[str, object]:
    """What is known of one account from two alerts about it."""
    return {
        "case_id": first.case_id or other.case_id,
        "also": _distinct(first.also + other.also),
        "oid": first.oid or other.oid,
        "name": first.name or other.name,
        "impression": first.impression if first.impression is not None else other.impression,
        "missed": min(first.missed, other.missed),
    }


def _ended_at(alert: Alert) -> datetime:
    return alert.ended_at or _EARLIEST


def _holds(alert: Alert, report: Report) -> bool:
    """Whether it has heard of this alert of Microsoft's before, from whichever source."""
    if not report.external_id:
        return any(known.source is report.source for known in alert.reports) and alert.is_open
    return any(known.external_id == report.external_id for known in alert.reports)


def _is_reopened(ended: Sequence[Alert], report: Report) -> bool:
    """Whether Microsoft has opened an alert again that was resolved when it ended."""
    known = [each for alert in ended for each in alert.reports if each.external_id == report.external_id]
    newest = max(known, key=_newness, default=None) if report.external_id else None
    return newest is not None and newest.is_over and not report.is_over and _newness(report) > _newness(newest)


def _is_news(alert: Alert, report: Report) -> bool:
    """Whether it tells of what has begun since people were told, where no list knows better what is one block."""
    if report.source in _SHOW_ALL or not report.external_id or report.is_over or _holds(alert, report):
        return False
    is_as_bad = _RANK[report.kind] >= _RANK[alert.kind] and _list_report(alert) is None
    return is_as_bad and report.since is not None and report.since > (alert.posted_at or alert.noticed_at)


def _is_worse(before: Alert, after: Alert) -> bool:
    """Whether what people have seen, or put off, is no longer all of it."""
    if _RANK[after.kind] > _RANK[before.kind] or after.severity > before.severity:
        return True
    return after.kind is AlertKind.HEALTH and _what(before) != _what(after)


def _readings_without(alert: Alert) -> int:
    """How many readings running must not have shown it before it is over."""
    if alert.kind is AlertKind.HEALTH:
        return GOOD_READINGS
    return READINGS_WITHOUT if alert.kind in _SOURCES_OF else 1


def _what(alert: Alert) -> str:
    return next((report.what.key for report in alert.reports if report.what is not None), "")


def _is_same_block(ended: Alert, report: Report, now: datetime) -> bool:
    if ended.kind is AlertKind.HEALTH and now - _ended_at(ended) < LAG:
        return True
    shown = _list_report(ended) or (ended.reports[0] if ended.kind is AlertKind.HEALTH and ended.reports else None)
    if report.since is None or (shown is not None and shown.since is None):
        return now - _ended_at(ended) < LAG
    if shown is None or shown.since is None:
        return report.since <= _ended_at(ended)
    return abs(report.since - shown.since) <= SAME_START


def _with_report(alert: Alert, report: Report) -> Alert:
    """The alert with one more report, or a newer one in place of what the same source said of the same."""
    reports = {_key(known): known for known in alert.reports}
    known = reports.get(_key(report))
    reports[_key(report)] = report if known is None or not report.external_id else max(known, report, key=_newness)
    kept = sorted(reports.values(), key=lambda report: (report.is_over, _worth(report)))[:MOST_REPORTS]
    best = sorted(kept, key=_worth)
    if tuple(best) == alert.reports:
        return alert
    since = _since(best)
    return alert.model_copy(
        update={
            "reports": tuple(best),
            "kind": max((alert.kind, *(one.kind for one in best)), key=_RANK.__getitem__),
            "severity": max(alert.severity, *(one.severity for one in best)),
            "about": best[0].about,
            "oid": next((one.oid for one in best if one.oid), alert.oid),
            "name": next((one.name for one in best if one.name), alert.name),
            "since": since or alert.since,
            "is_since_known": since is not None,
        }
    )


def _since(reports: Sequence[Report]) -> datetime | None:
    """The start as the list has it, else the earliest that anybody says."""
    listed = [report.since for report in reports if report.source in _LISTS and report.since]
    said = [report.since for report in reports if report.since]
    return min(listed or said, default=None)


def _key(report: Report) -> tuple[SourceName, str]:
    return report.source, report.about if report.source in _LISTS else report.external_id


def _newness(report: Report) -> tuple[datetime, bool, str]:
    return report.told_at or report.since or _EARLIEST, report.is_over, report.model_dump_json()


def _worth(report: Report) -> tuple[int, int, str, str]:
    """Lists before Defender, and within a source what says most; in an order that nothing else depends on."""
    return list(SourceName).index(report.source), -_RANK[report.kind], report.external_id, report.about


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
