"""
The card of one alert: who, since when, why, what the quickest checks show, and what to do about it. Pure functions.

A posted card follows its alert and the case that deals with it; once the alert is over there is nothing to press.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from cards import faces
from cards.views import AlertView, Button, Choice, Choices, Form, Line, Mention, Tone
from services.alerts.model import (
    TENANT,
    UNNAMED_CONNECTOR,
    WITHOUT_RESULT,
    Alert,
    AlertKind,
    Report,
    Severity,
    SourceName,
    can_be_started,
    is_in_hand,
    is_snoozed,
    needs_somebody,
)
from services.cases import Actor, Case, Finding, SignalState, Text, say
from services.diagnosis.causes import main_reasons, reason_lines

#: Where Microsoft lists who may not send, and everything that Defender has noticed.
RESTRICTED_ENTITIES = "https://security.microsoft.com/restrictedentities"
DEFENDER_ALERTS = "https://security.microsoft.com/alerts"
#: Addresses of Microsoft's portals end in one of these; nothing else is put behind a button.
_PORTALS = (".microsoft.com", ".microsoft.us", ".azure.com", ".azure.us")
#: For how many hours an alert can be put off by a press.
SNOOZE_HOURS = (1, 4, 24)
#: How many parts of Microsoft's reason are shown: the rest stands in the case.
MAX_REASONS = 3
#: How an alert ended when a case of ours has ended it, and when another alert goes on about the same account.
_ENDED_BY_CASE = frozenset(f"alert.ended.{how}" for how in ("our_case", "our_case_approved", "dealt_with"))
_GOES_ON = frozenset({"alert.ended.again", "alert.ended.same"})
#: What can be wrong with the bot itself, beside its sources and permissions.
_PARTS = frozenset({"certificate", "secret", "approvals_conversation", "alerts_conversation", "delivery", "unchecked"})
#: Nobody needs more people than this called to one alert.
MAX_MENTIONS = 5


#: Where the portal shows an alert of a kind when its sources do not say; nothing for what only the bot knows.
_PORTAL_OF: Mapping[AlertKind, str] = {
    AlertKind.SENDER_RESTRICTED: RESTRICTED_ENTITIES,
    AlertKind.SENDER_SUSPECTED: DEFENDER_ALERTS,
    AlertKind.CONNECTOR_BLOCKED: RESTRICTED_ENTITIES,
    AlertKind.TENANT_RESTRICTED: DEFENDER_ALERTS,
}

_TONES: Mapping[Severity, Tone] = {
    Severity.LOW: Tone.ACCENT,
    Severity.MEDIUM: Tone.WARNING,
    Severity.HIGH: Tone.ATTENTION,
}


def alert_card(alert: Alert, now: datetime, case: Case | None = None, mentions: Sequence[Actor] = ()) -> AlertView:
    """
    The alert as it is at `now`. `case` is the one that deals with it, if there is one and it was read; `mentions` are
    called while nobody has done anything about it.
    """
    called = mentions_of(mentions) if needs_somebody(alert, case, now) else ()
    return AlertView(
        headline=headline(alert),
        tone=_tone(alert, case, now),
        needed=(*state_lines(alert, case, now), *_meaning(alert)),
        calls=say("alert.calls") if called else None,
        mentions=called,
        facts=_facts(alert),
        impression_title=say("alert.impression"),
        impression=_impression(alert),
        form=_form(alert, case),
    )


# --- what the digest and the lists say as well -----------------------------------------------------------------------


def who(alert: Alert) -> str:
    """What people call it; the address or id where nobody knows a name."""
    return alert.name or alert.report.name or alert.about


def headline(alert: Alert) -> Text:
    over = "" if alert.is_open else ".over"
    if alert.about == UNNAMED_CONNECTOR:
        return say(f"alert.headline.connector_unnamed{over}")
    if is_about_everybody(alert):
        return say("alert.headline.tenant_restricted.over" if over else _of_everybody("headline", alert))
    return say(f"alert.headline.{_as_known(alert)}{over}", who=who(alert))


def _as_known(alert: Alert) -> str:
    """What kind of words it takes: only Microsoft's list shows that somebody is restricted, all else reports it."""
    listed = any(report.source is SourceName.RESTRICTED_LIST for report in alert.reports)
    return alert.kind.value if listed or alert.kind is not AlertKind.SENDER_RESTRICTED else "sender_reported"


def is_about_everybody(alert: Alert) -> bool:
    """Whether it concerns the organisation as a whole."""
    return alert.kind is AlertKind.TENANT_RESTRICTED or alert.about == TENANT


def _of_everybody(what: str, alert: Alert) -> str:
    restricted = alert.kind is AlertKind.TENANT_RESTRICTED
    return f"alert.{what}.{'tenant_restricted' if restricted else 'tenant_warning'}"


def ends_by_itself(alert: Alert) -> bool:
    """Whether Microsoft has stopped it for the day only."""
    return alert.kind is AlertKind.SENDER_RESTRICTED and bool(alert.report.temporary)


def since(alert: Alert) -> Text:
    if alert.is_since_known:
        return say("alert.since", at=alert.since)
    return say("alert.since_unknown", at=alert.noticed_at)


def reasons(alert: Alert, most: int = MAX_REASONS) -> tuple[Text, ...]:
    """Why, by the report that tells most, the main reasons of the list; nothing for what needs no reason."""
    report = alert.report
    if report.what is not None:
        return (report.what,)
    if alert.kind is AlertKind.HEALTH:
        return ()
    told = main_reasons(report.reason, most) if report.reason else ()
    titles = dict.fromkeys(each.title for each in alert.reports if _is_microsofts_alert(each) and each.title)
    return (*told, *(say("alert.microsoft_says", title=title) for title in titles)) or reason_lines({})


def _is_microsofts_alert(report: Report) -> bool:
    return report.source in (SourceName.DEFENDER, SourceName.WEBHOOK)


def state_lines(alert: Alert, case: Case | None, now: datetime) -> tuple[Text, ...]:
    """What became of it; nothing while it waits for somebody and nobody has tried."""
    if not alert.is_open:
        over = say("alert.over", at=alert.ended_at) if alert.ended_at else None
        return tuple(line for line in (_how_it_ended(alert), over, _unexamined(alert, case)) if line)
    if alert.case_id is not None:
        return (_case_line(alert.case_id, case), *(() if is_in_hand(alert, case) else _not_started(alert)))
    if is_snoozed(alert, now):
        return (say("alert.snoozed", until=alert.snoozed_until, by=_name(alert.snoozed_by)),)
    if alert.set_aside_by is not None:
        return (say("alert.set_aside", by=alert.set_aside_by.name, at=alert.set_aside_at),)
    return _not_started(alert)


def _not_started(alert: Alert) -> tuple[Text, ...]:
    """That somebody has ordered it in vain; it waits for somebody all the same."""
    if alert.not_started is None:
        return ()
    return (say("alert.not_started", by=_name(alert.not_started_for), why=alert.not_started),)


def _how_it_ended(alert: Alert) -> Text | None:
    """How, and of the bot itself which part it was about."""
    part = _part_of_us(alert) if _ended(alert) == "alert.ended.works_again" else None
    return say("alert.works_again", part=part) if part else alert.ended


def _part_of_us(alert: Alert) -> Text | None:
    """The part of the bot that a health alert is about; None for one that has no name."""
    what, _, name = alert.about.partition(":")
    if what == "source":
        return say(f"health.source.{name}")
    if what == "permission" and alert.report.what is not None:
        told = alert.report.what.params
        return say("alert.part.permission", names=told.get("permissions") or told.get("permission"))
    part = name if what == "conversation" else what
    return say(f"alert.part.{part}") if part in _PARTS else None


def is_good_news(alert: Alert, case: Case | None) -> bool:
    """
    Whether it is over and there is nothing left to do. A block that no case of ours has ended says nothing about who is
    in the account, unless a case has looked into that.
    """
    if alert.is_open or alert.kind is not AlertKind.SENDER_RESTRICTED or is_about_everybody(alert):
        return not alert.is_open
    return _ended(alert) in _ENDED_BY_CASE or (case is not None and case.verdict is not None)


def _unexamined(alert: Alert, case: Case | None) -> Text | None:
    """What to type to have the account looked into; nothing where another alert about it goes on."""
    is_unread = alert.case_id is not None and case is None
    if is_good_news(alert, case) or is_unread or _ended(alert) in _GOES_ON:
        return None
    return say("alert.unexamined", address=alert.about)


def _ended(alert: Alert) -> str:
    return alert.ended.key if alert.ended else ""


def _case_line(case_id: str, case: Case | None) -> Text:
    if case is None:
        return say("alert.in_hand", case=case_id)
    state = say(f"case_state.{case.state.value}.short")
    return say("alert.without_result" if case.state in WITHOUT_RESULT else "alert.in_case", case=case_id, state=state)


def _name(actor: Actor | None) -> str | Text:
    return actor.name if actor else say("word.somebody")


# --- parts of the card -----------------------------------------------------------------------------------------------


def _tone(alert: Alert, case: Case | None, now: datetime) -> Tone:
    if not alert.is_open:
        return Tone.GOOD if is_good_news(alert, case) else Tone.NEUTRAL
    return _TONES[alert.severity] if needs_somebody(alert, case, now) else Tone.NEUTRAL


def _meaning(alert: Alert) -> tuple[Text, ...]:
    """What it means for whoever reads it at night; what is over needs no explanation."""
    if not alert.is_open:
        return ()
    if alert.kind is AlertKind.HEALTH:
        return reasons(alert)
    if ends_by_itself(alert):
        return (say("alert.means.until_tomorrow"),)
    if is_about_everybody(alert):
        return (say(_of_everybody("means", alert)),)
    return (say(f"alert.means.{_as_known(alert)}"),)


def _facts(alert: Alert) -> tuple[Text, ...]:
    if alert.kind is AlertKind.HEALTH:
        return (since(alert),)
    noticed_by = say("alert.noticed_by", sources=_sources(alert))
    about = () if not alert.is_named or who(alert) == alert.about else (alert.about,)
    return (*(say("fact.account", upn=each) for each in about), since(alert), *reasons(alert), noticed_by)


def _sources(alert: Alert) -> list[Text]:
    sources = sorted({report.source for report in alert.reports}, key=list(SourceName).index)
    return [say(f"health.source.{source.value}") for source in sources]


def _impression(alert: Alert) -> tuple[Line, ...]:
    """What the quickest checks show; only accounts have any."""
    if alert.kind in (AlertKind.CONNECTOR_BLOCKED, AlertKind.HEALTH) or is_about_everybody(alert):
        return ()
    if alert.impression is None:
        if not alert.is_open:
            return ()
        return (Line(faces.signal_mark(SignalState.PENDING), say("alert.impression.pending")),)
    return tuple(_finding_line(finding) for finding in alert.impression)


def _finding_line(finding: Finding) -> Line:
    return Line(faces.signal_mark(finding.state), say(f"signal.{finding.signal_id}.label"), finding.summary)


def _form(alert: Alert, case: Case | None) -> Form | None:
    """Nothing to press once it is over; once a case deals with it, nothing but ways to look at it."""
    if not alert.is_open:
        return None
    about, waits = {"alert": alert.alert_id, "on": "alert"}, not is_in_hand(alert, case)
    portal = _portal(alert) if alert.case_id is None or not waits else ""  # five buttons are too many for a row
    offered = (
        Button("alert_start", say("button.alert_start"), about, "positive") if can_be_started(alert, case) else None,
        Button("alert_snooze", say("button.alert_snooze"), about, sends_inputs=True) if waits else None,
        Button("alert_not_now", say("button.alert_not_now"), about) if waits and alert.set_aside_by is None else None,
        Button("alert_case", say("button.alert_case"), about) if alert.case_id is not None else None,
        Button("portal", say("button.portal"), opens=portal) if portal else None,
    )
    buttons = tuple(button for button in offered if button)
    return Form(choices=_hours() if waits else None, buttons=buttons) if buttons else None


def _hours() -> Choices:
    return Choices(
        input_id="hours",
        label=say("alert.snooze_for"),
        choices=tuple(Choice(str(hours), say("alert.hours", n=hours)) for hours in SNOOZE_HOURS),
        error=say("alert.snooze_for"),
        selected=("4",),
        required=False,
        compact=True,
    )


def _portal(alert: Alert) -> str:
    """Where Microsoft shows it. An address that a source gave counts only when it is one of Microsoft's portals."""
    given = next((report.web_url for report in alert.reports if _is_a_portal(report.web_url)), "")
    return given or _PORTAL_OF.get(alert.kind, "")


def _is_a_portal(address: str) -> bool:
    try:
        parts = urlsplit(address)
        host, plain = (parts.hostname or "").lower(), parts.port is None and parts.username is None
    except ValueError:
        return False
    return parts.scheme == "https" and plain and host.endswith(_PORTALS)


def mentions_of(people: Sequence[Actor]) -> tuple[Mention, ...]:
    """Who is called, as a card has it."""
    return tuple(Mention(each.user_oid, each.name) for each in people[:MAX_MENTIONS])
