"""What must hold for every labelled account, however the numbers are tuned."""

import asyncio

import pytest

from services.cases import SignalState, VerdictLabel
from services.investigation.run import signal_ids
from services.investigation.table import table
from tests.labelled.held_out import HELD_OUT
from tests.labelled.judge import STORIES, Judged, judge, judge_all, with_label
from tests.labelled.story import Label, Story


@pytest.fixture(scope="module")
def judged() -> tuple[Judged, ...]:
    return asyncio.run(judge_all())


def named(judged: tuple[Judged, ...], name: str) -> Judged:
    return next(one for one in judged if one.story.name == name)


def is_full(one: Judged) -> bool:
    """Whether nothing was left unread for want of an answer; what a mailbox has not got cannot be read."""
    return not one.ended(SignalState.UNKNOWN)


def test_there_are_enough_accounts_of_both_kinds():
    """
    At least sixty accounts, half of them compromised, each with a name of its own and a sentence on what happened.
    """
    assert len(STORIES) >= 60
    assert all(len([s for s in STORIES if s.label is label]) >= 30 for label in Label)
    assert len({story.name for story in STORIES}) == len(STORIES)
    assert all(story.what_happened.endswith(".") for story in STORIES)


def test_a_third_of_both_kinds_is_held_out():
    """
    The names that numbers are not tuned to are those of stories, and there are enough of either label.
    """
    held = [story for story in STORIES if story.is_held_out]

    assert {story.name for story in held} == HELD_OUT
    for label in Label:
        share = len([s for s in held if s.label is label]) / len([s for s in STORIES if s.label is label])
        assert 0.25 <= share <= 0.45


def test_no_compromised_account_is_let_off(judged):
    """
    Whatever an attacker did and whatever could be read, "no evidence" is never said of a compromised account.
    """
    let_off = [one.story.name for one in with_label(judged, Label.COMPROMISED) if _is_quiet(one)]

    assert let_off == []


def test_no_honest_account_that_was_read_in_full_is_called_compromised(judged):
    """
    A bulk mailer, a traveller or an assistant may be asked about; nobody honest has sessions and password taken away.
    """
    accused = [one.story.name for one in with_label(judged, Label.HONEST) if _is_accused(one)]

    assert [name for name in accused if is_full(named(judged, name))] == []


def test_most_honest_accounts_are_let_go(judged):
    """
    Somebody must look at a few of them, or the verdict would be of no use to whoever is woken at night.
    """
    honest = with_label(judged, Label.HONEST)

    assert sum(_is_quiet(one) for one in honest) >= 0.75 * len(honest)


def test_too_little_is_never_called_no_evidence(judged):
    """
    Below the least completeness nobody is let off; the half-readable stories are there to show it.
    """
    little = [one for one in judged if one.verdict.completeness < table().verdict.least_completeness]

    assert any(one.story.label is Label.HONEST for one in little)
    assert [one.story.name for one in little if _is_quiet(one)] == []


@pytest.mark.parametrize("signal_id", signal_ids())
def test_every_signal_is_found_in_one_story_and_clear_in_another(judged, signal_id: str):
    """
    No signal is dead, and none cries at everybody.
    """
    states = {finding.state for one in judged for finding in one.findings if finding.signal_id == signal_id}

    assert {SignalState.FOUND, SignalState.CLEAR} <= states


@pytest.mark.parametrize("story", STORIES[::15], ids=lambda story: story.name)
async def test_a_story_comes_out_the_same_every_time(judged, story: Story):
    """
    Clock and chance are fixed, so that figures can be compared from one day to the next.
    """
    again = await judge(story)

    assert again.findings == named(judged, story.name).findings


def _is_quiet(one: Judged) -> bool:
    return one.verdict.label is VerdictLabel.NO_EVIDENCE


def _is_accused(one: Judged) -> bool:
    return one.verdict.label is VerdictLabel.COMPROMISED
