"""
`python -m tests.labelled [NAME ...]`: what comes out for the stories, one line each, for whoever tunes numbers.

Without names, those that are held out are left out: tuning to them would make them worthless. With names, every finding
of these stories is printed as well.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

from cards.language import Words
from services.cases import Finding, SignalState
from tests.labelled.judge import STORIES, Judged, judge_all


def line(judged: Judged) -> str:
    """Truth, verdict, score, completeness, and what the score is made of."""
    story, verdict = judged.story, judged.verdict
    parts = " ".join(f"{part.signal_id}:{part.points}" for part in verdict.breakdown)
    numbers = f"{verdict.score:4} {verdict.completeness:.2f}"
    return f"{story.label.value:12}{verdict.label.value:12}{numbers}  {story.name:44}{parts}"


def told(finding: Finding, words: Words) -> Iterator[str]:
    """A finding as people read it."""
    points = f" {finding.weight}" if finding.state is SignalState.FOUND else ""
    yield f"    {finding.signal_id}: {finding.state.value}{points}, {words.plain(finding.summary)}"
    yield from (f"        {words.plain(text)}" for text in finding.evidence)


def main() -> None:
    names = sys.argv[1:]
    words = Words("en")
    for judged in asyncio.run(judge_all(s for s in STORIES if (s.name in names if names else not s.is_held_out))):
        print(line(judged))
        if names:
            print(f"  {judged.story.what_happened}")
            print("\n".join(text for finding in judged.findings for text in told(finding, words)))


if __name__ == "__main__":
    main()
