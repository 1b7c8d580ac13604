"""The card with the pictures: charts where there are charts, the number in words, block characters for the rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cards.language import languages
from cards.pictures import pictures
from cards.render import MAX_CARD_BYTES, render, size_bytes
from cards.samples import NOW, drawn_cases
from services.cases import Case, Finding, HourCount, Pictures, ScoreMark, SignalState, SignInMark, say
from tests.unit.test_cards_render import elements, without_charts, words_of

CASES = drawn_cases()


def card(case: Case, language: str = "en") -> dict[str, Any]:
    return render(pictures(case), language, strict=True).card


def shown(case: Case, language: str = "en") -> str:
    return " ".join(words_of(card(case, language)))


def chart(case: Case, kind: str) -> dict[str, Any]:
    return next(element for element in elements(card(case)) if element["type"] == kind)


def with_pictures(**parts: Any) -> Case:
    drawn = CASES["jane"].pictures.model_copy(update=parts)
    return CASES["jane"].model_copy(update={"pictures": drawn})


def mark(day: int, country: str, succeeded: bool = True) -> SignInMark:
    return SignInMark(at=NOW - timedelta(days=day), country=country, succeeded=succeeded)


@pytest.mark.parametrize("language", languages())
def test_each_picture_is_a_chart_of_teams_with_something_for_clients_without_charts(language: str):
    """
    The newest clients draw; the others get rows of block characters.
    """
    drawn = card(CASES["full"], language)
    charts = [element for element in elements(drawn) if element["type"].startswith("Chart.")]

    assert ["Chart.Line", "Chart.VerticalBar.Grouped", "Chart.Gauge"] == [element["type"] for element in charts]
    assert "█" in str(without_charts(drawn))
    assert "Chart." not in str(without_charts(drawn))


@pytest.mark.parametrize("language", languages())
def test_three_days_of_mail_and_two_hundred_sign_ins_fit_on_a_card(language: str):
    """
    That is the most that is ever drawn.
    """
    full = CASES["full"].pictures

    assert (72, 200) == (len(full.sent), len(full.sign_ins))
    assert size_bytes(card(CASES["full"], language)) < MAX_CARD_BYTES / 2


def test_the_busiest_hour_is_said_in_words():
    """
    With what is usual, so that it means something.
    """
    assert "1,667 recipients in the hour from 24 Nov 2026, 01:00 UTC. Usual in an hour: 1." in shown(CASES["jane"])


def test_the_line_changes_its_colour_where_the_block_began():
    """
    Hour 0 is that of the block, and both parts have it, so that there is no gap.
    """
    before, since = chart(CASES["jane"], "Chart.Line")["data"]

    assert (("Before the block", 0), ("Since the block", 0)) == (
        (before["legend"], before["values"][-1]["x"]),
        (since["legend"], since["values"][0]["x"]),
    )


def test_the_axis_of_the_hours_has_whole_numbers():
    """
    Teams draws four steps; a calm hour or two at the beginning make room for that.
    """
    values = [value["x"] for series in chart(CASES["jane"], "Chart.Line")["data"] for value in series["values"]]

    assert 0 == (max(values) - min(values)) % 4


@pytest.mark.parametrize(("most", "top"), [(1, 4), (9, 12), (40, 40), (213, 400), (1667, 2000)])
def test_the_upright_axis_has_round_numbers(most: int, top: int):
    """
    Its end can be divided by four without odd remains.
    """
    sent = (HourCount(at=NOW, messages=1, recipients=most),)

    assert top == chart(with_pictures(sent=sent), "Chart.Line")["yMax"]


def test_a_trace_that_does_not_go_back_far_enough_says_so():
    """
    What was before the first hour is not known.
    """
    assert "The message trace does not go back before 23 Nov 2026, 18:00 UTC." in shown(CASES["unread"])
    assert "does not go back" not in shown(CASES["jane"])


def test_no_mail_at_all_is_a_sentence_and_no_chart():
    """
    A line along the bottom tells nothing.
    """
    calm = with_pictures(
        sent=tuple(HourCount(at=NOW - n * timedelta(hours=1), messages=0, recipients=0) for n in (1, 0))
    )

    assert "No outgoing mail in these 2 hours." in shown(calm)
    assert "Chart.Line" not in {element["type"] for element in elements(card(calm))}


def test_every_country_is_named_in_the_readers_language():
    """
    The newest first, with how often it was let in.
    """
    assert "Vietnam: 1 succeeded, 3 failed" in shown(CASES["jane"])
    assert "Sverige: 35 lyckades, 0 misslyckades" in shown(CASES["jane"], "sv")


def test_the_bars_show_the_usual_country_and_what_is_new():
    """
    Four colours at most: the country of most days, the two that came last, and all others together.
    """
    signs = (
        *(mark(day, "SE") for day in range(2, 10)),
        mark(9, "DK"),
        mark(8, "NO"),
        mark(1, "NG"),
        mark(0, "VN", False),
    )
    bars = chart(with_pictures(sign_ins=signs), "Chart.VerticalBar.Grouped")

    assert ["Sweden", "Vietnam", "Nigeria", "Other countries"] == [series["legend"] for series in bars["data"]]
    assert len(signs) == sum(value["y"] for series in bars["data"] for value in series["values"])


def test_no_day_of_the_month_is_there_twice():
    """
    Two weeks at most: the bars are told apart by the day alone.
    """
    days = [value["x"] for value in chart(CASES["full"], "Chart.VerticalBar.Grouped")["data"][0]["values"]]

    assert 14 == len(days) == len(set(days))


def test_a_sign_in_from_nobody_knows_where_has_a_name_too():
    """
    An empty legend would look like a mistake.
    """
    assert "Unknown country: 1 succeeded" in shown(with_pictures(sign_ins=(mark(1, ""),)))


def test_the_score_before_and_now_are_said_and_drawn():
    """
    The gauge has what there was, what came since, and what is left.
    """
    gauge = chart(CASES["jane"], "Chart.Gauge")

    assert "Before the block: 45.1 points on 2026-11-23. Now: 47.3 of 120 points on 2026-11-24." in shown(CASES["jane"])
    assert [45.1, 2.2, 72.7] == [segment["size"] for segment in gauge["segments"]]
    assert (47.3, 120) == (gauge["value"], gauge["max"])


def test_points_that_were_lost_are_shown_as_lost():
    """
    A score can also go down.
    """
    scores = tuple(ScoreMark(at=NOW - timedelta(days=n), score=40 + n, maximum=120) for n in (3, 0))

    assert "Lost since" in {part["legend"] for part in chart(with_pictures(scores=scores), "Chart.Gauge")["segments"]}


def test_what_was_not_read_is_said_with_its_reason():
    """
    An empty picture is never shown as calm.
    """
    why = say("unreadable.licence_named", licence="Entra ID P1")
    unread = Finding(signal_id="sign_ins", state=SignalState.UNKNOWN, summary=why)
    case = CASES["jane"].model_copy(update={"pictures": Pictures(), "findings": (unread,)})

    assert "Entra ID P1" in shown(case)
    assert 2 == shown(case).count("That does not mean that nothing happened.")
    assert not [element for element in elements(card(case)) if element["type"].startswith("Chart.")]


def test_when_only_people_could_be_read_the_programs_are_missing_in_words():
    """
    The picture then shows less than there was.
    """
    unread = Finding(signal_id="sign_ins_background", state=SignalState.UNKNOWN, summary=say("unreadable.throttled"))
    case = CASES["jane"].with_finding(unread)

    assert "Sign-ins by programs are missing here." in shown(case)


def test_a_case_without_pictures_says_why():
    """
    Either it is too early, or nothing was read.
    """
    early = CASES["none"].model_copy(update={"state": "investigating", "reading_since": NOW, "reading_ended_at": None})

    assert "still being read" in shown(early)
    assert "Nothing was drawn for this case" in shown(CASES["none"])
