"""What people are told after an unblock: the lines of the checklist, and the small cards of news."""

from __future__ import annotations

from typing import Any

import pytest

from bot.presenter import view_of
from cards.language import languages
from cards.news import follow_lines, news
from cards.render import render
from cards.samples import NOW, followed_cases, sample_cases
from cards.views import Tone, View
from services.cases import Case, CaseKind, CaseState, say
from services.conversations import CardCopy
from services.ports import Audience, News, NewsKind
from tests.unit.test_cards_render import words_of

CASES = followed_cases()
ABOUT_MAIL = [kind for kind in NewsKind if kind not in (NewsKind.REMINDER, NewsKind.DECIDED)]


def told(kind: NewsKind, case: Case) -> View:
    return news(case, News(news_id="n1", kind=kind, audience=Audience.ON_CALL))


def shown(view: View, language: str = "en") -> str:
    return " ".join(words_of(render(view, language, strict=True).card))


def lines(case: Case) -> list[str]:
    return [line.key for line in follow_lines(case)]


def seen(case: Case, **fields: Any) -> Case:
    """The case when this was seen as well."""
    assert case.follow_up is not None
    return case.model_copy(update={"follow_up": case.follow_up.model_copy(update=fields)})


def verbs(view: View) -> list[str]:
    return [button.verb for button in view.form.buttons] if view.form else []


# --- the checklist ---


def test_a_case_that_waits_for_mail_says_how_long_that_may_take():
    """And that nobody else watches the account for the rest of the day."""
    assert ["follow.entry_gone", "follow.unguarded", "follow.user_will_be_told"] == lines(CASES["waiting"])


def test_a_refusal_in_the_first_hour_is_to_be_expected():
    """Later it is told as what it is."""
    assert "follow.refused.expected" in lines(CASES["expected"])
    assert "follow.refused" in lines(CASES["refused"])


def test_mail_that_flows_ends_the_waiting():
    """What was refused before is no news any more; what is sent is still counted."""
    assert ["follow.first_delivered", "follow.unguarded.counted", "follow.user_told"] == lines(CASES["flows"])


def test_a_trace_that_was_not_read_is_never_silence():
    """Neither before the first look nor when it failed is it said that nothing was sent."""
    for case in (CASES["waiting"], CASES["a_day_unread"]):
        assert not {"follow.nothing_sent", "follow.none_delivered"} & {*lines(case)}
    assert "follow.unread" in lines(CASES["a_day_unread"])


def test_nobody_is_said_to_be_unguarded_after_midnight():
    """From then on Microsoft restricts the account as it does any other."""
    assert not [key for key in lines(CASES["a_day_silent"]) if key.startswith("follow.unguarded")]


def test_a_closed_case_keeps_what_was_proven():
    """And no longer says that anything is watched."""
    assert ["follow.first_delivered"] == lines(CASES["closed"])


def test_other_cases_have_no_such_lines():
    """Before the unblock, and for a connector, whose mail is not traced."""
    unwatched = CASES["flows"].model_copy(update={"follow_up": None})

    assert [] == lines(unwatched)
    assert [] == lines(CASES["flows"].model_copy(update={"kind": CaseKind.CONNECTOR}))


# --- the cards ---


@pytest.mark.parametrize("kind", ABOUT_MAIL)
@pytest.mark.parametrize("name", CASES)
def test_every_news_has_a_card_for_whatever_became_of_the_case(kind, name):
    """A live card may have been overtaken by anything."""
    for language in languages():
        assert shown(told(kind, CASES[name]), language)


@pytest.mark.parametrize("name", sample_cases())
def test_how_a_question_ended_can_be_shown_whatever_became_of_it(name):
    """For every question of every case, open or over, as the copy in the chat of whoever asked shows it."""
    case = sample_cases()[name]
    for prompt in case.approvals:
        told = News(news_id="n1", kind=NewsKind.DECIDED, audience=Audience.REQUESTER, prompt_id=prompt.prompt_id)
        copy = CardCopy(copy_id="c1", case_id=case.case_id, conversation_id="alex", news=told, posted_at=NOW)
        for language in languages():
            assert shown(view_of(case, copy), language)


def test_a_burst_can_be_answered_on_its_card():
    """With the numbers, and why nobody else will do anything."""
    view = told(NewsKind.BURST, CASES["burst"])

    assert (Tone.ATTENTION, ["contain_again", "refresh"]) == (view.tone, verbs(view))
    assert "206 recipients within an hour" in shown(view)
    assert "25 Nov 2026, 00:00 UTC" in shown(view)


@pytest.mark.parametrize("kind", [NewsKind.BURST, NewsKind.STILL_REFUSED, NewsKind.NOTHING_DELIVERED])
def test_a_case_that_has_moved_on_has_no_buttons_on_its_news(kind):
    """It says where it is now, and why."""
    case = CASES["a_day_refused"].moved(CaseState.CLOSED, CASES["burst"].changed_at, outcome=say("outcome.unblocked"))
    view = told(kind, case)

    assert (Tone.NEUTRAL, []) == (view.tone, verbs(view))
    assert ["news.moved_on", "outcome.unblocked"] == [line.key for line in view.body[:2]]


def test_what_microsoft_support_has_to_know_is_on_the_card():
    """The account, since when it is off the list, the last refusal and its code."""
    text = shown(told(NewsKind.NOTHING_DELIVERED, CASES["a_day_refused"]))

    for fact in ("Microsoft Support", "jane@contoso.com", "24 Nov 2026, 03:17 UTC", "24 Nov 2026, 05:12 UTC", "5.1.8"):
        assert fact in text


@pytest.mark.parametrize("name", ["a_day_silent", "a_day_unproven", "a_day_unread"])
def test_without_a_refusal_support_is_not_the_answer(name):
    """A test message settles it."""
    text = shown(told(NewsKind.NOTHING_DELIVERED, CASES[name]))

    assert "test message" in text
    assert "Microsoft Support" not in text


def test_an_unread_trace_is_told_before_anything_else():
    """That nothing was delivered is then not known."""
    first = told(NewsKind.NOTHING_DELIVERED, CASES["a_day_unread"]).body

    assert ["follow.unread", "news.nothing_delivered.unknown"] == [line.key for line in first[:2]]


@pytest.mark.parametrize("kind", [NewsKind.STILL_REFUSED, NewsKind.NOTHING_DELIVERED])
def test_bad_news_becomes_good_news_when_mail_flows(kind):
    """The card that is there already says so."""
    view = told(kind, seen(CASES["a_day_refused"], first_delivered_at=CASES["flows"].follow_up.first_delivered_at))

    assert ("news.mail_flows.headline", Tone.GOOD) == (view.headline.key, view.tone)


def test_a_refusal_that_was_none_of_the_account_is_corrected():
    """Its reason could be read only later."""
    view = told(NewsKind.STILL_REFUSED, seen(CASES["refused"], refused_at=None, refused_code=""))

    assert "news.still_refused.corrected" == view.headline.key


def test_the_user_learns_nothing_of_the_case():
    """Only that sending works again, whatever else is going on."""
    for name in ("flows", "burst", "closed"):
        view = told(NewsKind.USER_CAN_SEND, CASES[name])

        assert (Tone.GOOD, None, None) == (view.tone, view.form, view.refresh)
        assert "jane@contoso.com" in shown(view)
        for secret in ("K4P7Z9", "Alex", "Megan", "attacker", "ompromised"):
            assert secret not in shown(view)


def test_telling_the_user_is_offered_once():
    """Whoever has asked for it need not ask again."""
    assert "tell_user" in verbs(told(NewsKind.MAIL_FLOWS, seen(CASES["flows"], tell_user_by=None, user_told=None)))
    assert "tell_user" not in verbs(told(NewsKind.MAIL_FLOWS, CASES["flows"]))
