"""What is drawn of an account: from what the signals read anyway, hour by hour, and nothing where nothing was read."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from services.cases import Pictures, ScoreMark
from services.clients.graph_models import MessageTrace, SecureScore
from services.errors import LicenceMissing, Throttled
from services.investigation.evidence import TRACE_LIMIT, Evidence
from services.investigation.pictures import MOST_HOURS, MOST_SIGN_INS, draw, hours, marks, scores_after
from services.investigation.run import Investigation
from tests.fakes.account import NOW, FakeAccount, blocked, habits, sent, sign_in
from tests.fakes.clock import FakeClock

HOUR = timedelta(hours=1)
BLOCK = NOW - HOUR


async def drawn(account: FakeAccount) -> Pictures:
    evidence = Evidence(blocked(), account, account, NOW)
    try:
        return await draw(evidence)
    finally:
        await evidence.close()


def counted(traces: tuple[MessageTrace, ...], started_at: datetime = BLOCK, *, is_blocked: bool = True):
    return hours(traces, started_at, NOW, blocked=is_blocked)


async def test_the_pictures_make_one_call_of_their_own():
    """
    The signals read mail and sign-ins in any case; only the history of the Secure Score is asked for in addition.
    """
    account, pictures = FakeAccount(), []

    async def nothing(finding) -> None: ...

    async def keep(found: Pictures) -> None:
        pictures.append(found)

    await Investigation(account, account, FakeClock(NOW)).run(blocked(), nothing, keep)

    assert {1} == {account.calls[name] for name in ("message_traces", "sign_ins", "background_sign_ins")}
    assert 1 == account.calls["secure_scores"]
    assert [True] == [bool(found.sent and found.sign_ins and found.scores) for found in pictures]


async def test_a_case_that_has_its_pictures_is_not_drawn_again():
    """
    After a restart the reading goes on, and what was drawn at first is not drawn over.
    """
    account, case = FakeAccount(), blocked(pictures=Pictures())

    async def never(found) -> None:
        assert not isinstance(found, Pictures)

    await Investigation(account, account, FakeClock(NOW)).run(case, never, never)

    assert 0 == account.calls["secure_scores"]


def test_mail_is_counted_in_the_hour_in_which_it_was_sent():
    """
    A message to many is one message to many; an hour without mail is there as a zero.
    """
    burst = sent(*(f"{n}@outside.example" for n in range(40)), at=NOW - timedelta(minutes=50))
    found = counted((*burst, *sent("megan@contoso.com", at=NOW - timedelta(hours=3, minutes=10))))

    assert [(0, 0), (1, 1), (0, 0), (0, 0), (1, 40), (0, 0)] == [
        (hour.messages, hour.recipients) for hour in found[-6:]
    ]
    assert (BLOCK - timedelta(hours=24), NOW) == (found[0].at, found[-1].at)


def test_an_old_block_is_drawn_with_the_three_days_around_it():
    """
    A day before and two days since, not everything until today.
    """
    started_at = NOW - timedelta(days=5)
    found = counted(sent("megan@contoso.com"), started_at)

    assert MOST_HOURS == len(found)
    assert (started_at - timedelta(hours=24), started_at + timedelta(hours=47)) == (found[0].at, found[-1].at)


def test_a_trace_that_was_cut_off_is_drawn_from_its_oldest_row():
    """
    Before that nothing is known, and nothing known is never drawn as a calm hour.
    """
    row = sent("a@outside.example", at=NOW - timedelta(minutes=90))[0]
    found = counted(tuple(row.model_copy(update={"message_id": f"<{n}>"}) for n in range(TRACE_LIMIT)))

    assert NOW - timedelta(hours=2) == found[0].at
    assert TRACE_LIMIT == found[0].recipients


def test_an_empty_trace_of_a_blocked_account_is_no_picture_of_calm():
    """
    It was blocked for the mail that it sent, so a trace without any does not show it.
    """
    assert () == counted(())
    assert {0} == {hour.recipients for hour in counted((), NOW, is_blocked=False)}


def test_a_block_older_than_the_trace_is_not_drawn():
    """
    The trace goes back ten days; what is from before cannot be known.
    """
    assert () == counted(sent("megan@contoso.com"), NOW - timedelta(days=14))


def test_the_newest_sign_ins_are_drawn_with_country_and_outcome():
    """
    What has no time, no outcome or no usual country is not made up.
    """
    many = tuple(sign_in(NOW - n * timedelta(minutes=1)) for n in range(MOST_SIGN_INS + 50))
    odd = (
        sign_in(NOW + HOUR, "ng", 50126),
        sign_in(NOW + 2 * HOUR, "Atlantis"),
        sign_in(NOW, "SE").model_copy(update={"at": None}),
        sign_in(NOW, "SE").model_copy(update={"error_code": None}),
    )
    found = marks((*many, *odd))

    assert MOST_SIGN_INS == len(found)
    assert [("NG", False), ("", True)] == [(mark.country, mark.succeeded) for mark in found[-2:]]


async def test_sign_ins_of_programs_that_cannot_be_read_do_not_hide_those_of_the_person():
    """
    Their place in Graph is not certain, so they are an addition.
    """
    pictures = await drawn(FakeAccount(background_log=LicenceMissing("graph")))

    assert len(habits()) == len(pictures.sign_ins)


@pytest.mark.parametrize(("read", "part"), [("trace_log", "sent"), ("sign_in_log", "sign_ins"), ("scores", "scores")])
async def test_what_cannot_be_read_stays_empty_and_takes_nothing_with_it(read: str, part: str):
    """
    Each picture stands for itself.
    """
    pictures = await drawn(FakeAccount(**{read: Throttled("graph")}))

    empty = [name for name in ("sent", "sign_ins", "scores") if not getattr(pictures, name)]
    assert [part] == empty


async def test_scores_are_drawn_from_the_oldest_to_the_newest():
    """
    Graph gives the newest first; a day without numbers is left out.
    """
    days = [SecureScore(at=NOW - timedelta(days=n), current=47 - n, maximum=120) for n in range(3)]
    pictures = await drawn(FakeAccount(scores=(*days, SecureScore(at=NOW - timedelta(days=3)))))

    assert [45, 46, 47] == [mark.score for mark in pictures.scores]


async def test_later_the_newest_score_is_added():
    """
    So that "before" and "after" can be told apart when the case is looked at on another day.
    """
    before = ScoreMark(at=NOW - timedelta(days=9), score=45, maximum=120)
    account = FakeAccount(scores=(SecureScore(at=NOW, current=51, maximum=120),))

    once = await scores_after(Pictures(scores=(before,)), account)
    twice = await scores_after(once, account)

    assert [45, 51] == [mark.score for mark in twice.scores]


async def test_a_score_that_cannot_be_read_later_leaves_the_pictures_as_they_were():
    """
    Looking never makes them worse.
    """
    pictures = Pictures(scores=(ScoreMark(at=NOW, score=45, maximum=120),))

    assert pictures == await scores_after(pictures, FakeAccount(scores=Throttled("graph")))


async def test_a_fault_of_ours_in_a_picture_does_not_take_the_signals_with_it(monkeypatch: pytest.MonkeyPatch):
    """
    The findings are there all the same, and the picture is empty.
    """
    account, pictures, findings = FakeAccount(), [], []
    monkeypatch.setattr("services.investigation.run.draw", lambda evidence: 1 / 0)

    async def keep(found) -> None:
        (pictures if isinstance(found, Pictures) else findings).append(found)

    await Investigation(account, account, FakeClock(NOW)).run(blocked(), keep, keep)

    assert [Pictures()] == pictures
    assert findings
