"""The cards of alerts: what they say, what can be pressed, and that nothing unknown looks like good news."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bot.replies import which_alert
from cards import compose
from cards.alert_digest import ROWS, alert_list, digest, restricted, sure_to_start
from cards.alerts import alert_card
from cards.language import Words, languages
from cards.lint import problems
from cards.render import render
from cards.samples import campaign as mixed_campaign
from cards.samples import sample_week
from cards.views import AlertView, Tone, View
from cards.weekly import weekly
from services.alerts.desk import REFUSALS, ListedBlock, OpenAlerts, RestrictedNow
from services.alerts.impressions import SIGNALS
from services.alerts.model import AlertKind, AlertState, Severity, SourceName, SourceState
from services.cases import CaseState, Finding, SignalState, Verdict, VerdictLabel, say
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.errors import SeveralAlerts
from tests.fakes import given
from tests.fakes.alerting import alert, campaign, later
from tests.fakes.given import NOW
from tests.fakes.people import MEGAN, actor
from tests.unit.test_cards_render import words_of

MEGANS = (actor(MEGAN),)
EXAMINED = Verdict(label=VerdictLabel.NO_EVIDENCE, score=0, completeness=1, checked=8, total=8)


def shown(view: View, language: str = "en") -> str:
    return " | ".join(words_of(render(view, language, strict=True).card))


def verbs(view: View) -> list[str]:
    return [button.verb for button in view.form.buttons] if view.form else []


def card(**fields: Any) -> AlertView:
    case = fields.pop("case", None)
    return alert_card(alert(**fields), NOW, case, MEGANS)


# --- one alert ---


def test_a_new_alert_says_who_since_when_and_why():
    """And offers everything there is to do, with the on-call called by name."""
    view = card(name="Jane Doe", reason={"ExternalRecipientCountToday": "2871"})

    assert ["alert_start", "alert_snooze", "alert_not_now", "portal"] == verbs(view)
    for said in (
        "Jane Doe may no longer send mail",
        "jane@contoso.com",
        "Since 24 Nov 2026",
        "2,871 external",
        "Megan",
    ):
        assert said in shown(view)


def test_a_block_that_no_list_shows_is_no_fact():
    """Microsoft's alert says so, and its list does not: the card says both."""
    said = shown(card(name="Jane Doe", source=SourceName.DEFENDER, title="User restricted from sending email"))

    assert "Microsoft reports that Jane Doe may no longer send mail" in said
    assert "The list of restricted users has not shown it so far" in said and "stopped it" not in said


def test_an_impression_that_was_not_read_yet_or_not_at_all_is_no_good_news():
    """Being read, not readable and clear are three different things."""
    unknown = Finding(signal_id="risk_state", state=SignalState.UNKNOWN, summary=say("unreadable.permission"))

    assert "The quickest checks" in shown(card()) and "Clear" not in shown(card())
    assert "Not readable" in shown(card(impression=(unknown,)))


def test_since_when_is_not_made_up():
    """Where no source says, the card says when it was noticed."""
    assert "since when is not known" in shown(card(is_since_known=False))


@pytest.mark.parametrize("kind", AlertKind)
@pytest.mark.parametrize("state", AlertState)
@pytest.mark.parametrize("language", languages())
def test_every_kind_has_words_open_and_over(kind, state, language):
    """What is over can no longer be pressed, and calls nobody."""
    view = card(kind=kind, state=state, what=say("weekly.no_case"), severity=Severity.LOW)

    assert shown(view, language)
    assert (state is AlertState.OPEN) == bool(view.form) == bool(view.mentions)


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({"kind": AlertKind.TENANT_RESTRICTED, "about": "tenant"}, False),
        ({"kind": AlertKind.EARLY_WARNING, "about": "tenant"}, False),
        ({"kind": AlertKind.HEALTH, "what": say("weekly.no_case")}, False),
        ({"kind": AlertKind.CONNECTOR_BLOCKED, "about": "connector"}, False),
        ({"kind": AlertKind.CONNECTOR_BLOCKED, "about": "3f1c"}, True),
        ({"kind": AlertKind.SENDER_SUSPECTED}, True),
        ({"kind": AlertKind.EARLY_WARNING}, True),
    ],
)
def test_a_case_is_offered_where_one_can_help(fields, offered):
    """Not for what only Microsoft, or whoever runs the bot, can do something about."""
    assert offered == ("alert_start" in verbs(card(**fields)))


def test_only_microsoft_can_lift_what_stops_the_whole_organisation():
    """The card says so, in words."""
    said = shown(card(kind=AlertKind.TENANT_RESTRICTED, about="tenant"))

    assert "Only Microsoft can lift this" in said and "tenant |" not in said


def test_a_case_takes_the_buttons_and_an_ended_one_gives_them_back():
    """Denied, and so on: somebody has to begin again."""
    at_work = card(case_id="C1", case=given.case(state=CaseState.AWAITING_APPROVAL))
    denied = card(case_id="C1", case=given.case(state=CaseState.DENIED))

    assert (["alert_case", "portal"], Tone.NEUTRAL, ()) == (verbs(at_work), at_work.tone, at_work.mentions)
    assert "alert_start" in verbs(denied) and denied.mentions
    assert "Nobody deals with it now" in shown(denied)


@pytest.mark.parametrize("why", ["unread", "refused", *sorted(REFUSALS)])
@pytest.mark.parametrize("language", languages())
def test_an_order_that_was_not_carried_out_is_told_and_still_waits(why, language):
    """On the card and in the digest, with whose order it was."""
    fields = {"not_started": say(f"alert.not_started.{why}"), "not_started_for": actor(MEGAN)}
    views = card(**fields), digest([alert(**fields), *campaign(4, 2)], {}, NOW, digest_id="D1")
    said = Words(language, strict=True).t(f"alert.not_started.{why}")

    assert all(said in shown(view, language) and "Megan" in shown(view, language) for view in views)
    assert "alert_start" in verbs(views[0]) and views[0].mentions
    assert said not in shown(card(**fields, case_id="C1", case=given.case()), language)


def test_put_off_it_calls_nobody_and_can_still_be_started():
    """Until its time is over; not now has a name to it."""
    snoozed = card(**later(NOW + timedelta(hours=1)))
    left = card(set_aside_by=actor(MEGAN), set_aside_at=NOW)

    assert "Snoozed until 24 Nov 2026, 04:00 UTC by Megan" in shown(snoozed)
    assert "Megan has seen it" in shown(left)
    assert all("alert_start" in verbs(view) and not view.mentions for view in (snoozed, left))
    assert card(**later(NOW)).mentions


@pytest.mark.parametrize(
    ("ended", "verdict", "tone", "is_said"),
    [
        ("elsewhere", None, Tone.NEUTRAL, True),
        ("by_itself", None, Tone.NEUTRAL, True),
        ("by_itself", EXAMINED, Tone.GOOD, False),
        ("again", None, Tone.NEUTRAL, False),
        ("our_case", None, Tone.GOOD, False),
    ],
)
def test_the_end_of_a_block_is_no_news_about_the_account(ended, verdict, tone, is_said):
    """Green when our case has ended it or has looked into the account; else the card says what to type."""
    case = given.case(state=CaseState.DENIED, verdict=verdict) if verdict else None
    how = say(f"alert.ended.{ended}", case_id="C1")
    view = card(state=AlertState.ENDED, ended=how, ended_at=NOW, case_id="C1" if case else None, case=case)

    assert (tone, is_said) == (view.tone, "type “check jane@contoso.com”" in shown(view))


@pytest.mark.parametrize("language", languages())
@pytest.mark.parametrize(
    ("about", "said"),
    [
        *[(f"source:{name.value}", say(f"health.source.{name.value}")) for name in SourceName],
        ("source:weekly_summary", say("health.source.weekly_summary")),
        *[(f"{name}:app", say(f"alert.part.{name}")) for name in ("certificate", "secret", "delivery", "unchecked")],
        *[
            (f"conversation:{name}", say(f"alert.part.{name}"))
            for name in (ALERTS_CONVERSATION, APPROVALS_CONVERSATION)
        ],
        ("permission:1", say("alert.part.permission", names="User.Read.All")),
    ],
)
def test_what_works_again_is_named(about, said, language):
    """Whoever reads the end of an alert need not look for its beginning."""
    what = say("health.permission_gone", permission="User.Read.All", resource="Microsoft Graph")
    ended = {"state": AlertState.ENDED, "ended": say("alert.ended.works_again"), "ended_at": NOW}

    assert Words(language).t(said) in shown(card(kind=AlertKind.HEALTH, about=about, what=what, **ended), language)


@pytest.mark.parametrize(
    ("address", "used"),
    [
        ("https://security.microsoft.com/alerts/da1?tid=1", True),
        ("http://security.microsoft.com/alerts/da1", False),
        ("https://security.microsoft.com.evil.example/x", False),
        ("https://evil.example/security.microsoft.com", False),
        ("https://user@security.microsoft.com/x", False),
        ("https://security.microsoft.com:8443/x", False),
        ("https://[", False),
        ("javascript:alert(1)", False),
        ("", False),
    ],
)
def test_only_microsofts_portals_stand_behind_the_button(address, used):
    """What a webhook sends is not trusted with a link on a card."""
    view = card(web_url=address)
    assert view.form is not None
    (opens,) = [button.opens for button in view.form.buttons if button.opens]

    assert used == (opens == address)
    assert opens.startswith("https://security.microsoft.com/")


def test_a_mention_holds_whatever_a_person_is_called():
    """The text and its entity are the same, and nothing else in the card becomes a mention."""
    people = (actor(MEGAN).model_copy(update={"name": "</at><at>Eve [x](https://evil.example)"}),)
    rendered = render(alert_card(alert(name="<at>Bob</at>"), NOW, None, people), "en", strict=True).card
    (entity,) = rendered["msteams"]["entities"]

    assert [] == problems(rendered)
    assert 1 == json.dumps(rendered["body"], ensure_ascii=False).count(entity["text"])
    assert 1 == entity["text"].count("</at>")


def test_a_mention_that_the_card_does_not_declare_is_found():
    """The lint lets pass exactly what was meant."""
    rendered = render(card(), "en", strict=True).card
    del rendered["msteams"]["entities"]

    assert any("<at" in problem for problem in problems(rendered))


# --- many ---


def test_a_digest_shows_the_worst_that_waits_first():
    """What is in a case or over comes after what waits, whatever its severity."""
    mild = alert("A1", "mild@contoso.com", severity=Severity.LOW)
    worst = alert("A2", "worst@contoso.com")
    older = alert("A3", "older@contoso.com", since=NOW - timedelta(hours=1))
    in_case = alert("A4", "case@contoso.com", case_id="C1")
    over = alert("A5", "over@contoso.com", state=AlertState.ENDED)
    view = digest((over, in_case, mild, older, worst), {}, NOW, digest_id="D1")

    first = [row.who[0].params["items"][0].partition("@")[0] for row in view.rows]
    assert ["worst", "older", "mild", "case", "over"] == first
    assert [*["alert_start"] * 3, "alert_case", None] == [row.button.verb if row.button else None for row in view.rows]


def found(*names: str) -> tuple[Finding, ...]:
    """A first impression in which these found something, and another one nothing."""
    states = {**dict.fromkeys(SIGNALS, SignalState.CLEAR), **dict.fromkeys(names, SignalState.FOUND)}
    return tuple(Finding(signal_id=name, state=state, summary=say("word.yes")) for name, state in states.items())


def test_of_what_is_as_bad_the_account_in_which_more_was_found_comes_first():
    """What ends by itself comes after what does not; each row says in a line what there is to know."""
    newest = alert("A1", "newest@contoso.com", since=NOW + timedelta(hours=1), impression=found())
    unread = alert("A2", "unread@contoso.com")
    rules = alert("A3", "rules@contoso.com", impression=found("inbox_rules"))
    both = alert("A4", "both@contoso.com", impression=found("inbox_rules", "forwarding"))
    ends = alert("A5", "ends@contoso.com", impression=found(*SIGNALS), temporary=True)
    view = alert_list(OpenAlerts((newest, unread, ends, rules, both)), NOW)

    told = {row.who[0].params["items"][0].partition("@")[0]: row.said for row in view.rows}
    assert ["both", "rules", "newest", "unread", "ends"] == [*told]
    assert "Found: inbox rules, forwarding" in [Words("en").t(line).replace(" and", ",") for line in told["both"]]
    assert all("Found" not in Words("en").t(line) for name in ("newest", "unread") for line in told[name])
    assert "Ends by itself at midnight UTC" in [Words("en").t(line) for line in told["ends"]]


@pytest.mark.parametrize("language", languages())
def test_everything_that_a_first_impression_may_find_has_a_short_word(language):
    """Also what is added to it later."""
    assert shown(digest([alert(impression=found(*SIGNALS))], {}, NOW, digest_id="D1"), language)


def test_every_account_stands_on_exactly_one_page():
    """Ten rows each; a page that is no longer there is the last one."""
    alerts = campaign(23)
    pages = [digest(alerts, {}, NOW, digest_id="D1", page=page) for page in range(3)]

    who = [row.who[0].params["items"][0] for view in pages for row in view.rows]
    assert ([10, 10, 3], 23) == ([len(view.rows) for view in pages], len({*who}))
    assert pages[2].rows == digest(alerts, {}, NOW, digest_id="D1", page=99).rows
    assert [["alert_page"], ["alert_page", "alert_page"], ["alert_page"]] == [verbs(view)[2:] for view in pages]


@pytest.mark.parametrize("language", languages())
def test_a_digest_of_two_thousand_fits_into_teams(language):
    """Under 28 KB, which is the least that any source says."""
    reason = {"ExceedingLimitType": "External", "ExternalRecipientCountToday": "2871"}
    (report,) = alert(temporary=True, reason=reason).reports
    told = {"impression": found(*SIGNALS), "reports": (report,)}
    everybody = [one.model_copy(update=told) for one in mixed_campaign(2000)]
    rendered = render(digest(everybody, {}, NOW, digest_id="D1", mentions=MEGANS), language, strict=True)

    assert ROWS + 1 == str(rendered.card).count("'TableRow'")
    assert len(str(rendered.card).encode()) < 28 * 1024


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({}, ["alert_start_all", "alert_snooze_all"]),
        ({"kind": AlertKind.HEALTH, "what": say("weekly.no_case")}, ["alert_snooze_all"]),
        ({"set_aside_by": actor(MEGAN), "set_aside_at": NOW}, ["alert_start_all"]),
        ({"state": AlertState.ENDED}, []),
    ],
)
def test_a_digest_offers_for_all_what_can_be_done_about_each(fields, offered):
    """Also what no case can help with can be put off."""
    view = digest([alert("A1", **fields), alert("A2", "omar@contoso.com", **fields)], {}, NOW, digest_id="D1")

    assert offered == verbs(view)


def test_everybody_is_started_after_a_question_alone():
    """The first press carries no consent; the button of the question does."""
    first = digest(campaign(6), {}, NOW, digest_id="D1").form
    sure = sure_to_start(6, "D1").form
    assert first is not None and sure is not None

    assert "sure" not in first.buttons[0].data
    assert "yes" == sure.buttons[0].data["sure"]


@pytest.mark.parametrize("before", [digest(campaign(6), {}, NOW, digest_id="D1"), card()])
def test_a_refusal_takes_nothing_away(before):
    """Who may not start it may still put it off; the reason stands below the headline, where it is seen."""
    view = compose.refusal(say("refusal.not_requester"), before)
    headline, reason, *_ = render(view, "en", strict=True).card["body"]

    assert verbs(before) == verbs(view) and getattr(before, "rows", ()) == getattr(view, "rows", ())
    assert "You are not on the list" in " ".join(words_of(reason))
    assert "You are not on the list" not in " ".join(words_of(headline))


# --- lists ---

WELL = SourceState(source=SourceName.RESTRICTED_LIST, due_at=NOW, last_read_at=NOW)
CONNECTORS = WELL.model_copy(update={"source": SourceName.BLOCKED_CONNECTORS})


def test_no_open_alerts_says_how_fresh_that_is():
    """Both of Microsoft's lists were read."""
    view = alert_list(OpenAlerts((), {}, (WELL, CONNECTORS)), NOW)

    assert "No open alerts |" in shown(view) and "last read 24 Nov 2026" in shown(view)
    assert Tone.GOOD is view.tone


@pytest.mark.parametrize(
    "sources",
    [
        (),
        (WELL,),
        (WELL.model_copy(update={"failures": 1, "why": say("unreadable.permission")}), CONNECTORS),
        (WELL.model_copy(update={"failures": 3, "last_read_at": None}), CONNECTORS),
        (WELL.model_copy(update={"last_read_at": None, "leased_by": "r1"}), CONNECTORS),
        (WELL.model_copy(update={"last_read_at": NOW - timedelta(hours=5), "interval_s": 60.0}), CONNECTORS),
    ],
)
def test_no_open_alerts_is_no_good_news_while_a_list_is_unread(sources):
    """Never read, being read for the first time, not readable now, or read by nobody any more: the card says which."""
    view = alert_list(OpenAlerts((), {}, sources), NOW)

    assert "not everything can be read" in shown(view) and "the list of" in shown(view)
    assert Tone.WARNING is view.tone


def test_an_early_warning_that_cannot_work_is_no_calm():
    """Switched on, read without a fault, and blind: the card says why."""
    off = WELL.model_copy(update={"source": SourceName.EARLY_WARNING, "off": say("unreadable.licence")})
    view = alert_list(OpenAlerts((), {}, (WELL, CONNECTORS, off)), NOW)

    assert "the early warning" in shown(view) and "licence" in shown(view)
    assert Tone.WARNING is view.tone


def test_a_list_that_is_switched_off_is_not_missed():
    """Nobody waits for it; one that is switched on is missed all the same."""
    of_one, of_both = (
        OpenAlerts((), {}, (WELL,), reads) for reads in ({WELL.source}, {WELL.source, CONNECTORS.source})
    )

    assert Tone.GOOD is alert_list(of_one, NOW).tone
    assert "the list of blocked connectors" in shown(alert_list(of_both, NOW))


def test_an_unread_restricted_list_is_never_nobody():
    """With nothing on the other one it is not known; with something that is shown."""
    unread = say("restricted.unread", why=say("unreadable.permission"))
    nothing = shown(restricted(RestrictedNow(NOW, unread=(unread,))))
    something = restricted(RestrictedNow(NOW, (ListedBlock("3f1c", "Scanner", is_connector=True),), (unread,)))

    assert "cannot be read" in nothing and "Nobody" not in nothing
    assert "could not be read" in shown(something) and "Scanner" in shown(something)


def test_the_restricted_list_can_be_acted_on():
    """By its alert, by the case that is there, or without either."""
    known = ListedBlock("a@contoso.com", alert=alert())
    in_case = ListedBlock("b@contoso.com", alert=alert(case_id="C1"), case=given.case(state=CaseState.CONTAINING))
    plain = (ListedBlock("c@contoso.com"), ListedBlock("3f1c", is_connector=True))
    view = restricted(RestrictedNow(NOW, (known, in_case, *plain)))

    pressed = [row.button.verb if row.button else None for row in view.rows]
    assert ["alert_start", "alert_case", "start", "unblock_connector"] == pressed


# --- the week ---


@pytest.mark.parametrize("language", languages())
def test_the_week_is_drawn_and_said(language):
    """Blocks by day, verdicts, times, and what is open with whom."""
    view = weekly(sample_week())

    assert [37] == [max(y for _, y in part.bar_chart.series[0].points) for part in view.parts if part.bar_chart]
    assert "Megan Bowen" in shown(view, language)


def test_a_week_of_which_something_is_not_known_says_so_first():
    """No block is known, which is not the same as nobody was blocked."""
    quiet = {"days": tuple(day.model_copy(update={"blocks": 0}) for day in sample_week().days)}
    week = sample_week().model_copy(update={**quiet, "unread": (say("weekly.cut_off", n=1000),)})
    view = weekly(week)

    assert "weekly.unread" == view.parts[0].title.key
    assert "No block is known" in shown(view) and "Nobody was blocked" not in shown(view)


@pytest.mark.parametrize("language", languages())
def test_which_alert_is_meant_is_asked_with_the_addresses(language):
    """Several fit what was typed: the answer names them."""
    several = SeveralAlerts(query="jan", names=("jane@contoso.com", "janet@contoso.com"))

    assert "jane@contoso.com" in shown(which_alert(several), language)
