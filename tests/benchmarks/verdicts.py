"""
How good the verdicts are: the labelled stories of `tests/labelled`, each by the real investigation and verdict.

Told apart are the stories to which numbers were tuned and those that were held out: only the latter say what to
expect of an account that nobody has seen yet.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.cases import SignalState, VerdictLabel
from tests.benchmarks.figures import Figure, figure
from tests.labelled.judge import Judged, judge_all, with_label
from tests.labelled.story import Label

#: What is counted as "yes, somebody was in": the verdict alone, and with those that a person is asked to look at.
STRICT = frozenset({VerdictLabel.COMPROMISED})
WITH_SUSPECTED = STRICT | {VerdictLabel.SUSPECTED}


async def measure() -> list[Figure]:
    """Precision, recall and the confusion matrix of both parts. The same every time: nothing depends on the machine."""
    judged = await judge_all()
    tuned = [one for one in judged if not one.story.is_held_out]
    held_out = [one for one in judged if one.story.is_held_out]
    return [*_figures("tuned on", tuned), *_figures("held out, never tuned on", held_out)]


def _figures(which: str, judged: Sequence[Judged]) -> list[Figure]:
    group = f"Verdicts on {len(judged)} labelled accounts ({which})"
    return [
        figure(group, "precision of compromised", [precision(judged, STRICT)], ""),
        figure(group, "recall of compromised", [recall(judged, STRICT)], ""),
        figure(group, "precision when suspected counts too", [precision(judged, WITH_SUSPECTED)], ""),
        figure(group, "recall when suspected counts too", [recall(judged, WITH_SUSPECTED)], "", "1"),
        *(_cell(group, label, verdict, judged) for label in Label for verdict in VerdictLabel),
        _missed(group, judged),
    ]


def precision(judged: Sequence[Judged], positive: frozenset[VerdictLabel]) -> float:
    """The share of the compromised among those that were called so; 1 when nobody was."""
    called = [one for one in judged if one.verdict.label in positive]
    return len(with_label(called, Label.COMPROMISED)) / len(called) if called else 1.0


def recall(judged: Sequence[Judged], positive: frozenset[VerdictLabel]) -> float:
    """The share of the compromised that were called so."""
    compromised = with_label(judged, Label.COMPROMISED)
    return sum(one.verdict.label in positive for one in compromised) / len(compromised)


def _cell(group: str, label: Label, verdict: VerdictLabel, judged: Sequence[Judged]) -> Figure:
    """One cell of the confusion matrix."""
    number = sum(one.verdict.label is verdict for one in with_label(judged, label))
    return figure(group, f"truth {label.value}, verdict {verdict.value.replace('_', ' ')}", [number], "cases")


def _missed(group: str, judged: Sequence[Judged]) -> Figure:
    """What must never be: compromised, everything readable was read, and no evidence found."""
    return figure(group, "compromised, no evidence, nothing unread", [len(missed(judged))], "cases", "0")


def missed(judged: Sequence[Judged]) -> tuple[Judged, ...]:
    """Compromised accounts that came out as "no evidence" although every signal was read."""
    quiet = [one for one in judged if one.verdict.label is VerdictLabel.NO_EVIDENCE]
    return tuple(one for one in with_label(quiet, Label.COMPROMISED) if not one.ended(SignalState.UNKNOWN))
