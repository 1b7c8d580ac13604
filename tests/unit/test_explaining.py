"""Who may ask why, whose bounce it is, and what goes on the record."""

from __future__ import annotations

from typing import Any

import pytest

from services.audit import NewEntry, Tag
from services.cases import Actor, CauseKind
from services.diagnosis import Diagnoses
from services.errors import NotAllowed, Unavailable
from services.explaining import ExplainBlock, Explanation, Explanations
from tests.fakes.clock import FakeClock
from tests.fakes.mail_flow import FakeMailFlow
from tests.fakes.people import ALEX, JANE, OLGA, SAM, FakeDirectory, actor
from tests.fakes.tools import FakeExchange

BOUNCE = "550 5.1.8 Access denied From: Jane <jane@contoso.com> To: olga@contoso.com"


class Desk:
    """The service with everything around it in memory."""

    def __init__(self, **values: Any) -> None:
        self.record_: list[NewEntry] = []
        self.directory = FakeDirectory()
        flow = FakeMailFlow(**values)
        self.explanations = Explanations(
            store=self,
            readers=self,
            directory=self.directory,
            exchange=FakeExchange(JANE.upn),
            diagnoses=Diagnoses(flow, flow, FakeClock()),
        )

    async def record(self, entry: NewEntry) -> None:
        self.record_.append(entry)

    async def may_read(self, who: Actor) -> None:
        if who.user_oid == SAM.oid:
            raise NotAllowed("requester")

    async def why(self, query: str = "", report: str = "", who: Any = ALEX) -> Explanation:
        return await self.explanations.explain_block(ExplainBlock(by=actor(who), query=query, report=report))


async def test_the_account_that_is_named_is_diagnosed_and_the_asking_is_recorded():
    """
    Who asked about whom, and what came out; not what was pasted.
    """
    desk = Desk()
    explained = await desk.why("jane", BOUNCE)

    assert explained.subject is not None and explained.diagnosis is not None
    assert CauseKind.RESTRICTED is explained.diagnosis.causes[0].kind
    entry = desk.record_[0]
    assert (Tag.DIAGNOSIS_MADE, ALEX.oid) == (entry.tag, entry.actor.user_oid if entry.actor else None)
    assert {
        "user_oid": JANE.oid,
        "upn": JANE.upn,
        "causes": ["restricted:seen"],
        "unread": [],
        "codes": ["5.1.8"],
    } == entry.details


async def test_a_bounce_is_its_senders_and_not_its_receivers():
    """
    Both are ours; the one after "From" it is.
    """
    explained = await Desk().why(report=BOUNCE)

    assert explained.subject is not None and JANE.upn == explained.subject.upn


async def test_a_bounce_that_does_not_say_who_sent_it_may_be_of_one_or_of_several():
    """
    One of ours is it, several are a question, none is the report alone.
    """
    desk = Desk()
    one = await desk.why(report="550 5.1.8 olga@contoso.com bob@fabrikam.example")
    several = await desk.why(report="550 5.1.8 olga@contoso.com jane@contoso.com")
    nobody = await desk.why(report="550 5.7.705 bob@fabrikam.example")

    assert one.subject is not None and OLGA.upn == one.subject.upn
    assert {JANE.upn, OLGA.upn} == {candidate.upn for candidate in several.identified.candidates}
    assert several.diagnosis is None
    assert nobody.subject is None and nobody.diagnosis is not None


async def test_a_guest_or_nobody_is_refused_in_words():
    """
    There is nothing to diagnose, and nothing goes on the record.
    """
    desk = Desk()

    assert "outcome.guest" == (await desk.why("gary")).identified.refusal.key
    assert "outcome.nobody" == (await desk.why("zorro")).identified.refusal.key
    assert [] == desk.record_


@pytest.mark.parametrize(
    ("who", "query", "report"), [(SAM, "jane", ""), (JANE, "jane", ""), (JANE, "", BOUNCE), (SAM, "", "550 5.1.8")]
)
async def test_only_readers_ask_and_nobody_about_themselves(who, query, report):
    """
    By name or by bounce: whoever has taken the account over would see what we know.
    """
    with pytest.raises(NotAllowed):
        await Desk().why(query, report, who)


async def test_a_bounce_is_explained_even_when_the_directory_is_down():
    """
    Whose it is, is then said to be unread; an account that was named is an error.
    """
    desk = Desk()
    desk.directory.fault = Unavailable("graph")
    explained = await desk.why(report=BOUNCE)

    assert explained.diagnosis is not None
    assert CauseKind.RESTRICTED is explained.diagnosis.causes[0].kind
    assert ["diagnosis.unread.whose"] == [text.key for text in explained.diagnosis.unread]
    with pytest.raises(Unavailable):
        await desk.why("jane")
