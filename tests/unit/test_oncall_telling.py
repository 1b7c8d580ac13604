"""Who is on call, told with names, to whoever may read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from bot.replies import on_call
from cards.language import Words
from cards.views import Tone, View
from services.cases import Actor, say
from services.errors import NotAllowed, Unavailable
from services.oncall.on_call import Basis, OnDuty
from services.oncall.telling import OnCallAnswers
from tests.fakes.people import ALEX, MEGAN, actor

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
MEGAN_ON_DUTY = OnDuty(basis=Basis.SOURCE, people=(MEGAN.oid,), source="Rota", as_of=NOW, until=NOW.replace(hour=7))


class Desk:
    """Everybody may read but whom `refused` names; the directory knows Megan unless it is down."""

    def __init__(self, duty: OnDuty, *, down: bool = False, refused: bool = False) -> None:
        self.duty, self.down, self.refused = duty, down, refused

    async def may_read(self, who: Actor) -> None:
        if self.refused:
            raise NotAllowed("not_approver")

    async def now(self) -> OnDuty:
        return self.duty

    async def get_user(self, id_or_upn: str):
        if self.down:
            raise Unavailable("graph")
        return MEGAN

    async def answer(self) -> View:
        return on_call(await OnCallAnswers(self, self, self).tell(actor(ALEX)))


def english(view) -> str:
    return " | ".join(Words("en", strict=True).plain(text) for text in (view.headline, *view.body))


async def test_the_answer_names_people_and_says_until_when_and_where_from():
    """
    Short, and nothing to worry about.
    """
    view = await Desk(MEGAN_ON_DUTY).answer()

    assert "On call now: Megan | Until 24 Nov 2026, 07:00 UTC. | From Rota." == english(view)
    assert view.tone is Tone.NEUTRAL


async def test_a_name_that_cannot_be_read_is_replaced_by_the_id():
    """
    An id can be looked up; nobody is left out.
    """
    assert MEGAN.oid in english(await Desk(MEGAN_ON_DUTY, down=True).answer())


async def test_who_is_missing_and_what_is_wrong_is_said_as_a_warning():
    """
    The last known answer, with its age, and somebody without an account.
    """
    problem = say("oncall.problem.last_known", reasons=["PagerDuty is silent"], source="PagerDuty", at=NOW)
    known = {"basis": Basis.LAST_KNOWN, "source": "PagerDuty", "unknown": ("Kim",), "problem": problem}
    view = await Desk(MEGAN_ON_DUTY.model_copy(update=known)).answer()

    assert "may be out of date" in english(view) and "Kim" in english(view)
    assert view.tone is Tone.WARNING


async def test_nobody_is_said_in_so_many_words():
    """
    With what to do about it.
    """
    nobody = OnDuty(basis=Basis.NOBODY, as_of=NOW, problem=say("oncall.problem.not_set_up"))

    assert "Nobody is known to be on call | No on-call source is set up." in english(await Desk(nobody).answer())


async def test_who_may_not_read_cases_is_not_told():
    """
    Whom to wake up is of use to an attacker too.
    """
    with pytest.raises(NotAllowed):
        await Desk(MEGAN_ON_DUTY, refused=True).answer()
