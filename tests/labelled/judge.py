"""What the real investigation and the real verdict make of every story."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.cases import Finding, SignalState, Verdict
from services.investigation.run import Investigation
from services.investigation.verdict import decide
from tests.fakes.clock import FakeClock
from tests.labelled.compromised import COMPROMISED
from tests.labelled.honest import HONEST
from tests.labelled.story import Label, Story

STORIES: tuple[Story, ...] = (*COMPROMISED, *HONEST)


@dataclass(frozen=True)
class Judged:
    """A story, with what was found and concluded."""

    story: Story
    findings: tuple[Finding, ...]
    verdict: Verdict

    def ended(self, state: SignalState) -> set[str]:
        """The signals that ended so."""
        return {finding.signal_id for finding in self.findings if finding.state is state}


async def judge(story: Story) -> Judged:
    """One story, investigated at the moment at which it takes place."""
    account = story.build()
    investigation = Investigation(account, account, FakeClock(account.now))
    findings = await investigation.run(account.case(), _told)
    return Judged(story, findings, decide(findings))


async def judge_all(stories: Iterable[Story] = STORIES) -> tuple[Judged, ...]:
    """All of them, one after the other."""
    return tuple([await judge(story) for story in stories])


def with_label(judged: Iterable[Judged], label: Label) -> tuple[Judged, ...]:
    return tuple(one for one in judged if one.story.label is label)


async def _told(finding: Finding) -> None:
    """Nobody listens while a story is judged."""
