"""A case as plain text, for a terminal: what the checklist says, then the audit trail entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cards import compose
from cards.language import Words
from cards.views import Line, Step
from services.audit import AuditEntry
from services.cases import Case


def as_text(case: Case, entries: Sequence[AuditEntry], language: str) -> str:
    """
    The whole case in the reader's language. The trail's tags and details stay as they are stored, since they are what
    `audit verify` has checked.
    """
    words, view = Words(language), compose.checklist(case)
    lines = [words.plain(view.headline), *(words.plain(text) for text in (*view.needed, *view.facts)), ""]
    for step in view.steps:
        lines += [*_step(step, words), ""]
    return "\n".join([*lines, *map(_entry, entries)])


def _step(step: Step, words: Words) -> Iterator[str]:
    yield f"{words.plain(step.title)} - {words.plain(step.mark.word)}"
    if step.note is not None:
        yield f"  {words.plain(step.note)}"
    if step.verdict is not None:
        yield f"  {words.plain(step.verdict.label)}. {words.plain(step.verdict.completeness)}"
        yield from (f"    {words.plain(reason)}" for reason in step.verdict.reasons)
    for group in step.groups:
        if group.title is not None:
            yield f"  {words.plain(group.title)}"
        for line in group.lines:
            yield from _line(line, words)


def _line(line: Line, words: Words) -> Iterator[str]:
    said = f": {words.plain(line.said)}" if line.said else ""
    yield f"  {line.mark.symbol} {words.plain(line.label)} - {words.plain(line.mark.word)}{said}"
    yield from (f"      {words.plain(text)}" for text in (*line.warnings, *line.details))


def _entry(entry: AuditEntry) -> str:
    actor = f"  {entry.actor_name}" if entry.actor_name else ""
    return f"{entry.seq:5} {entry.at[:19]}Z  {entry.tag}{actor}  {entry.details}"
