"""
Making a card smaller without losing what has to be decided: details go first, then long lists, then long values.

Headlines, what is needed, the verdict, warnings and buttons always stay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from cards.compose import more_line
from cards.language import MAX_VALUE_LENGTH
from cards.views import (
    ApprovalView,
    Call,
    CaseListView,
    ChecklistView,
    DiagnosisView,
    DryRunView,
    Group,
    Line,
    ListedItem,
    NoticeView,
    PreventionView,
    Step,
    View,
)
from services.cases import Text, say


@dataclass(frozen=True)
class Limits:
    """How much of everything is shown."""

    #: Lines of one list.
    lines: int
    #: Small lines below one line.
    details: int
    #: Texts of a list such as reasons.
    texts: int
    #: Characters of a value that somebody wrote.
    value_length: int


#: From everything to the least; a card takes the first that it fits with.
LIMITS = (
    Limits(lines=14, details=3, texts=8, value_length=MAX_VALUE_LENGTH),
    Limits(lines=14, details=0, texts=8, value_length=MAX_VALUE_LENGTH),
    Limits(lines=8, details=0, texts=5, value_length=60),
    Limits(lines=5, details=0, texts=3, value_length=24),
)


def fitted(view: View, limits: Limits) -> View:
    """The same view with no more than the limits allow."""
    reduce = _REDUCERS.get(type(view))
    return reduce(view, limits) if reduce else view


def _checklist(view: ChecklistView, limits: Limits) -> View:
    return replace(view, steps=tuple(_step(step, limits) for step in view.steps))


def _step(step: Step, limits: Limits) -> Step:
    return replace(step, groups=tuple(_group(group, limits) for group in step.groups))


def _group(group: Group, limits: Limits) -> Group:
    return replace(group, lines=_lines(group.lines, limits))


def _approval(view: ApprovalView, limits: Limits) -> View:
    return replace(
        view,
        cautions=view.cautions[: limits.texts],
        # The last action is the unblock itself, which is what is asked.
        actions=_lines(view.actions, limits, keep_last=True),
        unreadable=_texts(view.unreadable, limits),
    )


def _case_list(view: CaseListView, limits: Limits) -> View:
    return replace(view, lines=_lines(view.lines, replace(limits, lines=limits.lines * 2)))


def _notice(view: NoticeView, limits: Limits) -> View:
    return replace(view, body=view.body[: limits.texts])


def _dry_run(view: DryRunView, limits: Limits) -> View:
    """Calls are shown whole or not at all: half a call is none."""
    shown = view.calls[: limits.lines]
    hidden = len(view.calls) - len(shown)
    more = (Call(say("word.others", n=hidden)),) if hidden else ()
    return replace(view, calls=(*shown, *more))


def _diagnosis(view: DiagnosisView, limits: Limits) -> View:
    return replace(
        view, causes=tuple(replace(c, evidence=c.evidence[: limits.texts + limits.details]) for c in view.causes)
    )


def _prevention(view: PreventionView, limits: Limits) -> View:
    """Explanations go first, which a button still gives; then lines, which the boxes still name."""
    parts, left = [], limits.lines * 3
    for part in view.parts:
        items = part.items[:left]
        hidden = len(part.items) - len(items)
        left -= len(items)
        kept = items if limits.details or view.unfolded else tuple(replace(item, why=()) for item in items)
        more = (ListedItem("", more_line(hidden)),) if hidden else ()
        parts.append(replace(part, items=(*kept, *more)))
    return replace(view, parts=tuple(parts))


_REDUCERS: dict[type[View], Callable[..., View]] = {
    ChecklistView: _checklist,
    ApprovalView: _approval,
    CaseListView: _case_list,
    NoticeView: _notice,
    DryRunView: _dry_run,
    DiagnosisView: _diagnosis,
    PreventionView: _prevention,
}


def _lines(lines: Sequence[Line], limits: Limits, *, keep_last: bool = False) -> tuple[Line, ...]:
    shown = [replace(line, details=_details(line, limits)) for line in lines]
    hidden = len(shown) - limits.lines
    if hidden <= 0:
        return tuple(shown)
    last = [shown[-1]] if keep_last else []
    first = shown[: limits.lines - len(last)]
    return (*first, more_line(hidden), *last)


def _details(line: Line, limits: Limits) -> tuple[Text, ...]:
    hidden = len(line.details) - limits.details
    if hidden <= 0 or limits.details == 0:
        return line.details[: limits.details]
    return (*line.details[: limits.details], say("word.others", n=hidden))


def _texts(texts: Sequence[Text], limits: Limits) -> tuple[Text, ...]:
    hidden = len(texts) - limits.texts
    return tuple(texts) if hidden <= 0 else (*texts[: limits.texts], say("word.others", n=hidden))
