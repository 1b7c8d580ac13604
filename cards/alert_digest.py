"""
Many alerts on one card: the digest of a campaign, everything that is open, and Microsoft's lists. Pure functions.

All three are tables with the same columns, ten rows a page: what waits for somebody comes first, the worst of it at the
top. Turning a page shows it to whoever pressed, alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from cards import faces
from cards.alerts import (
    ends_by_itself,
    is_about_everybody,
    is_good_news,
    mentions_of,
    reasons,
    since,
    state_lines,
    who,
)
from cards.views import AlertTableView, Button, Form, Mark, NoticeView, TableRow, Tone
from services.alerts.desk import ListedBlock, OpenAlerts, RestrictedNow
from services.alerts.model import (
    WITHOUT_RESULT,
    Alert,
    AlertKind,
    Severity,
    SourceName,
    SourceState,
    can_be_started,
    is_in_hand,
    needs_somebody,
)
from services.cases import Actor, Case, SignalState, Text, say
from services.diagnosis.causes import main_reasons

ROWS = 10
#: For how long a press puts off everything of a digest.
SNOOZE_ALL_HOURS = 4
#: What came within this time came "within minutes".
_MINUTES = timedelta(minutes=10)
#: Why there is an alert, in a row: the rest stands on the card of the case.
_REASONS_IN_A_ROW = 2

T = TypeVar("T")
Cases = Mapping[str, Case]
_COLUMNS = (say("digest.column.who"), say("digest.column.why"), say("digest.column.state"))
#: What nobody can do without, to say that there is nothing.
_LISTS = (SourceName.RESTRICTED_LIST, SourceName.BLOCKED_CONNECTORS)


# --- the digest ------------------------------------------------------------------------------------------------------


def digest(
    alerts: Sequence[Alert],
    cases: Cases,
    now: datetime,
    *,
    digest_id: str,
    page: int = 0,
    mentions: Sequence[Actor] = (),
) -> AlertTableView:
    """All alerts of a digest as they are at `now`; `cases` are those that deal with them, as far as they were read."""
    ordered = _what_waits_first(alerts, cases, now)
    waiting = [alert for alert in alerts if needs_somebody(alert, _case(alert, cases), now)]
    startable = [alert for alert in alerts if can_be_started(alert, _case(alert, cases))]
    called = mentions_of(mentions) if waiting else ()
    about = {"digest": digest_id}
    on = {"on": "digest", **about, "page": str(_within(len(alerts), page))}
    here = {**about, "page": on["page"]}
    snooze = say("button.alert_snooze_all", n=len(waiting), hours=SNOOZE_ALL_HOURS)
    of_all = [
        Button("alert_start_all", say("button.alert_start_all", n=len(startable)), here, style="positive"),
        Button("alert_snooze_all", snooze, here),
    ]
    offered = [button for button, count in zip(of_all, (len(startable), len(waiting)), strict=True) if count > 1]
    return AlertTableView(
        headline=_headline(alerts),
        tone=_tone(waiting, not all(is_good_news(alert, _case(alert, cases)) for alert in alerts)),
        needed=_counted(alerts, cases, waiting),
        calls=say("alert.calls") if called else None,
        mentions=called,
        columns=_COLUMNS,
        rows=tuple(_row(alert, _case(alert, cases), now, on) for alert in _page(ordered, page)),
        place=_place(len(ordered), page),
        form=_form(offered, len(ordered), page, "alert_page", about),
    )


def _headline(alerts: Sequence[Alert]) -> Text:
    """How many within which time: what could not be told at once may have come over hours."""
    moments = [alert.noticed_at for alert in alerts]
    first, last = min(moments), max(moments)
    if last - first <= _MINUTES:
        return say("digest.headline", n=len(alerts))
    return say("digest.headline_span", n=len(alerts), first=first, last=last)


def sure_to_start(count: int, digest_id: str) -> NoticeView:
    """The question before very many cases are opened at once."""
    about = {"digest": digest_id}
    return NoticeView(
        headline=say("digest.sure.headline", n=count),
        tone=Tone.WARNING,
        body=(say("digest.sure.body"),),
        form=Form(
            buttons=(
                Button(
                    "alert_start_all", say("button.start_all_sure", n=count), {**about, "sure": "yes"}, style="positive"
                ),
                Button("alert_page", say("button.back"), {**about, "page": "0"}),
            )
        ),
    )


def all_started(count: int, digest_id: str) -> NoticeView:
    """What somebody sees who has started them all; the digest follows behind it."""
    back = Button("alert_page", say("button.back"), {"digest": digest_id, "page": "0"})
    return NoticeView(
        headline=say("digest.started.headline", n=count),
        tone=Tone.ACCENT,
        body=(say("digest.started.body"),),
        form=Form(buttons=(back,)),
    )


def all_snoozed(count: int, until: datetime, digest_id: str) -> NoticeView:
    """What somebody sees who has put them all off."""
    back = Button("alert_page", say("button.back"), {"digest": digest_id, "page": "0"})
    return NoticeView(
        headline=say("digest.snoozed.headline", n=count),
        tone=Tone.ACCENT,
        body=(say("digest.snoozed.body", until=until),),
        form=Form(buttons=(back,)),
    )


def _counted(alerts: Sequence[Alert], cases: Cases, waiting: Sequence[Alert]) -> tuple[Text, ...]:
    """How many wait, are in hand, were put off, are over; a number that is nothing is not told."""
    in_hand = sum(alert.is_open and is_in_hand(alert, _case(alert, cases)) for alert in alerts)
    over = sum(not alert.is_open for alert in alerts)
    left = len(alerts) - len(waiting) - in_hand - over
    parts = (("waiting", len(waiting)), ("in_hand", in_hand), ("left", left), ("over", over))
    told = [say(f"digest.{name}", n=number) for name, number in parts if number]
    return (say("word.listed", items=told), *((say("digest.campaign"),) if waiting else ()))


def _tone(waiting: Sequence[Alert], any_left: bool) -> Tone:
    if not waiting:
        return Tone.NEUTRAL if any_left else Tone.GOOD
    return Tone.ATTENTION if max(alert.severity for alert in waiting) is Severity.HIGH else Tone.WARNING


# --- everything that is open -----------------------------------------------------------------------------------------


def alert_list(told: OpenAlerts, now: datetime, page: int = 0) -> AlertTableView:
    """What is open; when nothing is, how sure that is."""
    ordered = _what_waits_first(told.alerts, told.cases, now)
    waiting = [alert for alert in ordered if needs_somebody(alert, _case(alert, told.cases), now)]
    blind, on = _blind(told, now), {"on": "alerts", "page": str(_within(len(ordered), page))}
    headline = say("alert_list.headline", n=len(ordered)) if ordered else say("alert_list.none")
    if not ordered and blind:
        headline = say("alert_list.none_known")
    return AlertTableView(
        headline=headline,
        tone=Tone.WARNING if blind and not waiting else _tone(waiting, bool(ordered)),
        needed=(*blind, *(() if blind else _read_at(told.sources))),
        columns=_COLUMNS,
        rows=tuple(_row(alert, _case(alert, told.cases), now, on) for alert in _page(ordered, page)),
        place=_place(len(ordered), page),
        form=_form([], len(ordered), page, "alerts_page", {}),
    )


def _blind(told: OpenAlerts, now: datetime) -> tuple[Text, ...]:
    """What cannot be read now, is not read any more, or never was: nothing that it would show is in the list."""
    sources = [state for state in told.sources if state.source in list(SourceName)]
    failing = [state for state in sources if state.failures or state.is_failing(now)]
    # Whoever reads a list for the first time has made its row, and knows no more than anybody else.
    known = {state.source for state in sources if state.failures or state.last_read_at is not None}
    never = [name for name in _LISTS if told.watches(name) and name not in known]
    return (
        *(_unread(state) for state in failing),
        *(_off(state, state.off) for state in sources if state.off and state not in failing),
        *(say("alert_list.never_read", source=say(f"health.source.{name.value}")) for name in never),
    )


def _off(state: SourceState, why: Text) -> Text:
    return say("alert_list.off", source=say(f"health.source.{state.source}"), why=why)


def _unread(state: SourceState) -> Text:
    source, reason = say(f"health.source.{state.source}"), state.why or say("unreadable.fault")
    if not state.failures:
        return say("alert_list.not_read_since", source=source, at=state.last_read_at)
    if state.last_read_at is None:
        return say("alert_list.unread", source=source, why=reason)
    return say("alert_list.unread_since", source=source, why=reason, at=state.last_read_at)


def _read_at(sources: Sequence[SourceState]) -> tuple[Text, ...]:
    """How fresh it is: the older one of Microsoft's two lists."""
    read = [s.last_read_at for s in sources if s.source in _LISTS and s.last_read_at is not None]
    return (say("alert_list.read_at", at=min(read)),) if read else ()


# --- Microsoft's lists -----------------------------------------------------------------------------------------------


def restricted(told: RestrictedNow, page: int = 0) -> AlertTableView:
    """Who may not send, read from Microsoft at this moment. What could not be read is never nobody."""
    count = len(told.entries)
    on = {"on": "restricted", "page": str(_within(count, page))}
    headline = say("restricted.headline", n=count) if count else say("restricted.none")
    if told.unread and not count:
        headline = say("restricted.unknown")
    return AlertTableView(
        headline=headline,
        tone=Tone.WARNING if told.unread or count else Tone.GOOD,
        needed=(*told.unread, say("restricted.asked_at" if told.unread else "restricted.read_at", at=told.at)),
        columns=_COLUMNS,
        rows=tuple(_listed_row(entry, told.at, on) for entry in _page(told.entries, page)),
        place=_place(count, page),
        form=_form([], count, page, "restricted_page", {}),
    )


def _listed_row(entry: ListedBlock, now: datetime, on: Mapping[str, str]) -> TableRow:
    named = entry.name and entry.name != entry.about
    began = say("alert.since", at=entry.since) if entry.since else say("restricted.since_unknown")
    ends = (say("restricted.temporary"),) if entry.temporary else ()
    alert, case = entry.alert, entry.case
    return TableRow(
        who=_lines(entry.name if named else entry.about, entry.about if named else ""),
        said=(began, *ends, *main_reasons(entry.reason, _REASONS_IN_A_ROW)),
        mark=_mark(alert, case, now) if alert else Mark("!", say("digest.row.waits"), "attention"),
        button=_listed_button(entry, on),
    )


def _listed_button(entry: ListedBlock, on: Mapping[str, str]) -> Button | None:
    if entry.alert is not None:
        return _row_button(entry.alert, entry.case, on)
    if entry.is_connector:
        return Button("unblock_connector", say("button.row_start"), {"connector": entry.about})
    return Button("start", say("button.row_start"), {"query": entry.about})


# --- rows and pages --------------------------------------------------------------------------------------------------


def _row(alert: Alert, case: Case | None, now: datetime, on: Mapping[str, str]) -> TableRow:
    """`on` tells the card and the page that the button is on, so that the answer is that page again."""
    name = who(alert)
    title = _title(alert)
    first = say(f"digest.row.{title}") if title else say("word.listed", items=[name])
    address = () if title or name == alert.about else (say("word.listed", items=[alert.about]),)
    why = reasons(alert, _REASONS_IN_A_ROW)[:_REASONS_IN_A_ROW]
    return TableRow(
        who=(first, *address),
        said=(since(alert), *(_ends(alert) if alert.is_open else ()), *why, *_found_line(alert)),
        mark=_mark(alert, case, now),
        button=_row_button(alert, case, on),
    )


def _ends(alert: Alert) -> tuple[Text, ...]:
    return (say("restricted.temporary"),) if ends_by_itself(alert) else ()


def _found_in(alert: Alert) -> tuple[str, ...]:
    """The quick checks that found something; what was not read yet, or could not be, is nothing found."""
    return tuple(finding.signal_id for finding in alert.impression or () if finding.state is SignalState.FOUND)


def _found_line(alert: Alert) -> tuple[Text, ...]:
    found = _found_in(alert)
    return (say("digest.row.found", signals=[say(f"digest.found.{name}") for name in found]),) if found else ()


def _title(alert: Alert) -> str:
    """What stands in place of a name for what has none; "" for everything else."""
    if alert.kind is AlertKind.HEALTH:
        return "health"
    if is_about_everybody(alert):
        return "tenant_restricted"
    return "" if alert.is_named else "connector_unnamed"


def _row_button(alert: Alert, case: Case | None, on: Mapping[str, str]) -> Button | None:
    about = {"alert": alert.alert_id, **on}
    if can_be_started(alert, case):
        return Button("alert_start", say("button.row_start"), about)
    if alert.is_open and alert.case_id is not None:
        return Button("alert_case", say("button.row_case"), about)
    return None


def _lines(*values: str) -> tuple[Text, ...]:
    return tuple(say("word.listed", items=[value]) for value in values if value)


def _mark(alert: Alert, case: Case | None, now: datetime) -> Mark:
    """How it stands, in a few words."""
    if not alert.is_open:
        is_good = is_good_news(alert, case)
        return Mark("✓", say("digest.row.over"), "good" if is_good else "default")
    if case is not None and case.state not in WITHOUT_RESULT:
        return Mark(faces.CASES[case.state].symbol, say("digest.row.case", case=case.case_id, state=_short(case)))
    told = state_lines(alert, case, now)
    if told and alert.not_started is not None and needs_somebody(alert, case, now):
        return Mark("!", told[-1], "attention")
    return Mark("–", told[0]) if told else Mark("!", say("digest.row.waits"), "attention")


def _short(case: Case) -> Text:
    return say(f"case_state.{case.state.value}.short")


def _case(alert: Alert, cases: Cases) -> Case | None:
    return cases.get(alert.case_id) if alert.case_id is not None else None


def _what_waits_first(alerts: Sequence[Alert], cases: Cases, now: datetime) -> list[Alert]:
    """
    What waits for somebody, then what is in hand or was put off, then what is over. In each the worst comes first: as
    bad, what does not end by itself, of that the accounts in which most was found, and then the newest.
    """

    def place(alert: Alert) -> tuple[int, int, bool, int, float]:
        group = 0 if needs_somebody(alert, _case(alert, cases), now) else 1 if alert.is_open else 2
        ends = ends_by_itself(alert)
        return group, -alert.severity, ends, -len(_found_in(alert)), -alert.since.timestamp()

    return sorted(alerts, key=place)


def _page(rows: Sequence[T], page: int) -> Sequence[T]:
    start = _within(len(rows), page) * ROWS
    return rows[start : start + ROWS]


def _within(count: int, page: int) -> int:
    """The page that is asked for, or the last one when there are no longer so many."""
    return max(0, min(page, (count - 1) // ROWS))


def _place(count: int, page: int) -> Text | None:
    """Which rows these are; nothing when all of them are there."""
    first = _within(count, page) * ROWS
    if count <= ROWS:
        return None
    return say("digest.page", first=first + 1, last=min(count, first + ROWS), total=count)


def _form(first: list[Button], count: int, page: int, verb: str, about: Mapping[str, str]) -> Form | None:
    """Buttons to turn the page by, after the more important ones."""
    page = _within(count, page)
    turns = [("button.page_back", page - 1)] if page > 0 else []
    turns += [("button.page_on", page + 1)] if (page + 1) * ROWS < count else []
    buttons = [*first, *(Button(verb, say(title), {**about, "page": str(number)}) for title, number in turns)]
    return Form(buttons=tuple(buttons)) if buttons else None
