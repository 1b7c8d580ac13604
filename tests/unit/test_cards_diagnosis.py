"""The answer to `why`: what is on top, who can lift it, and what can be pressed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cards.diagnosis import MAX_CONNECTORS, cause_lines, diagnosis
from cards.language import Words
from cards.views import Tone
from services.cases import Cause, CauseKind, Certainty, Diagnosis, Lifter, Subject, say

JANE = Subject(user_oid="1", upn="jane@contoso.com", display_name="Jane Doe")
EN, SV = Words("en", strict=True), Words("sv", strict=True)
LISTED = Cause(kind=CauseKind.RESTRICTED, lifter=Lifter.ADMIN)
NOTHING = Cause(kind=CauseKind.NONE, lifter=Lifter.NOBODY)
MEANING = say("diagnosis.code.recipient")
BY_CODE = [Cause(kind=CauseKind.OTHER, lifter=lifter, code="5.1.10", evidence=(MEANING,)) for lifter in Lifter]
EVERY_CAUSE = [
    Cause(kind=kind, lifter=lifter, certainty=certainty, ends_at=ends_at)
    for kind in CauseKind
    if kind is not CauseKind.OTHER
    for lifter in Lifter
    for certainty in Certainty
    for ends_at in (None, datetime(2026, 11, 25, tzinfo=UTC))
]


def verbs(found: Diagnosis, subject: Subject | None = JANE) -> list[str]:
    form = diagnosis(found, subject).form
    return [button.verb for button in form.buttons] if form else []


@pytest.mark.parametrize("words", [EN, SV])
def test_every_cause_has_its_words(words):
    """
    Whatever the diagnosis comes to, there is a headline, somebody who can lift it, and a next step.
    """
    for cause in (*EVERY_CAUSE, *BY_CODE):
        for subject in (JANE, None):
            view = diagnosis(Diagnosis(causes=(cause,)), subject)
            part = view.causes[0]
            assert all(words.t(text) for text in (view.headline, view.about, part.lift, part.next_step))


def test_the_first_cause_is_the_headline_and_the_others_have_labels():
    """
    What matters most is read first, and once.
    """
    view = diagnosis(Diagnosis(causes=(LISTED, NOTHING)), JANE)

    assert "cause.restricted.seen" == view.headline.key
    assert [None, "cause.none.seen"] == [part.label.key if part.label else None for part in view.causes]


def test_a_code_that_is_no_block_is_explained_where_the_next_step_stands():
    """
    What it is about is all that there is to do something with.
    """
    part = diagnosis(Diagnosis(causes=(BY_CODE[-1],)), JANE).causes[0]

    assert (MEANING, "lifter.nobody.other", ()) == (part.next_step, part.lift.key, part.evidence)


def test_only_an_account_on_the_list_has_the_button_that_starts_the_job():
    """
    Not a report alone, and not one that was unblocked already.
    """
    waiting = LISTED.model_copy(update={"certainty": Certainty.POSSIBLE, "lifter": Lifter.TIME})

    assert ["start"] == verbs(Diagnosis(causes=(LISTED,)))
    assert [] == verbs(Diagnosis(causes=(LISTED,)), None)
    assert [] == verbs(Diagnosis(causes=(waiting,)))


def test_each_blocked_connector_has_a_button_with_its_id():
    """
    A few of them; the id is what the order needs.
    """
    ids = tuple(f"c0220000-0000-4000-8000-00000000000{n}" for n in range(5))
    cause = Cause(kind=CauseKind.CONNECTOR, lifter=Lifter.ADMIN, connectors=ids)
    form = diagnosis(Diagnosis(causes=(cause,)), None).form

    assert form is not None
    assert [{"connector": name} for name in ids[:MAX_CONNECTORS]] == [dict(button.data) for button in form.buttons]


def test_no_block_is_never_green():
    """
    That nothing was found is no proof; with something unread it is a warning.
    """
    unsure = NOTHING.model_copy(update={"certainty": Certainty.POSSIBLE})

    assert Tone.NEUTRAL is diagnosis(Diagnosis(causes=(NOTHING,)), JANE).tone
    assert Tone.WARNING is diagnosis(Diagnosis(causes=(unsure,)), JANE).tone


def test_a_checklist_tells_the_causes_and_what_was_not_read_in_lines():
    """
    One line for each, in both languages.
    """
    found = Diagnosis(causes=(LISTED,), unread=(say("diagnosis.unread.trace", why=say("unreadable.throttled")),))

    english, swedish = [[words.t(line) for line in cause_lines(found)] for words in (EN, SV)]
    assert english[0].startswith("Blocked for sending too much spam: on the restricted list. An admin can lift it")
    assert "What the account has sent (message trace)" in english[1]
    assert len(english) == len(swedish) == 2
