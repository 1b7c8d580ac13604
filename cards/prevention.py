"""
What keeps it from happening again, as people meet it: the list with owners and dates, the few lines of it in a
checklist, and the weekly reminder. Pure.

A date is shown as ISO 8601 (2026-12-24), which reads the same in every language. A card has no clock: what is overdue
is told as of the last change of the case, and the weekly reminder is one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from cards import faces
from cards.views import (
    Button,
    Choice,
    Choices,
    Field,
    Form,
    Line,
    ListedItem,
    ListedPart,
    Mark,
    NoticeView,
    PreventionView,
    Tone,
)
from services.cases import Action, ActionKind, ActionState, Case, CaseKind, PreventionItem, PreventionState, Text, say
from services.prevention.catalogue import CATALOGUE, Phase
from services.tracking import is_overdue, is_tracked, items_of, open_items, open_question, tracked

#: How many open items a checklist shows: the first that come due.
MAX_STEP_LINES = 5
#: How many boxes a checklist shows; the rest are on the list.
MAX_STEP_BOXES = 6
#: How many items a reminder names.
MAX_REMINDED = 7
#: How many changes are offered at a time.
MAX_FIXES = 3


# --- the list --------------------------------------------------------------------------------------------------------


def board(case: Case) -> PreventionView:
    """The list of an account or of the organisation: what is open first, by phase, then what is in place."""
    left = open_items(case)
    return PreventionView(
        headline=_headline(case, len(left)),
        tone=_tone(case, left),
        needed=_needed(case, left),
        facts=_facts(case),
        parts=tuple(part for part in (*_open_parts(case), _fixes_part(case), _done_part(case)) if part),
        fixes=_fix_buttons(case),
        form=_form(case),
        refresh=_check_button(case),
    )


def _headline(case: Case, n: int) -> Text:
    about = "tenant" if case.kind is CaseKind.TENANT else "account"
    how = "unread" if not case.prevention else "open" if n else "done"
    return say(f"prevention_board.{about}.{how}", who=_who(case), n=n)


def _who(case: Case) -> str:
    return (case.subject.display_name or case.subject.upn) if case.subject else case.query


def _tone(case: Case, left: Sequence[PreventionItem]) -> Tone:
    if not case.prevention:
        return Tone.ACCENT
    if not left:
        return Tone.GOOD
    return Tone.ATTENTION if any(_overdue(case, item) for item in left) else Tone.WARNING


def _needed(case: Case, left: Sequence[PreventionItem]) -> tuple[Text, ...]:
    if not case.prevention:
        return (say("prevention_board.reading"),)
    overdue = sum(_overdue(case, item) for item in left)
    nobodys = sum(item.owner is None for item in left)
    lines = []
    if overdue:
        lines.append(say("prevention_board.overdue", n=overdue))
    if nobodys:
        lines.append(say("prevention_board.nobodys", n=nobodys))
    return tuple(lines)


def _facts(case: Case) -> tuple[Text, ...]:
    account = (say("fact.account", upn=case.subject.upn),) if case.subject else ()
    read = max((item.checked_at for item in case.prevention if item.checked_at), default=None)
    return (*account, say("prevention_board.checked", at=read, case=case.case_id)) if read else account


def _overdue(case: Case, item: PreventionItem) -> bool:
    return is_overdue(item, case.changed_at)


def _open_parts(case: Case) -> list[ListedPart]:
    """The case's own items by phase, then those of the organisation that were open when they were read."""
    own = tracked(case)
    parts = []
    for phase in Phase:
        items = [item for item in own if not item.is_done and _phase(item) is phase]
        if items:
            parts.append(_phase_part(case, phase, items))
    others = [item for item in case.prevention if not item.is_done and not is_tracked(case, item.item_id)]
    if others:
        parts.append(ListedPart(say("prevention_board.organisation"), tuple(_listed(case, i) for i in others)))
    return parts


def _phase_part(case: Case, phase: Phase, items: Sequence[PreventionItem]) -> ListedPart:
    """The organisation's items have one date for a phase, so its title says it instead of each line."""
    title, dates = say(f"prevention.phase.{phase.value}"), {_day(item) for item in items if item.due_at}
    if case.kind is not CaseKind.TENANT or len(dates) != 1 or any(_overdue(case, item) for item in items):
        return ListedPart(title, tuple(_listed(case, item) for item in items))
    dated = say("prevention_board.phase_until", phase=title, due=dates.pop())
    return ListedPart(dated, tuple(_listed(case, item, dated=False) for item in items))


def _day(item: PreventionItem) -> str:
    return item.due_at.date().isoformat() if item.due_at else ""


def _phase(item: PreventionItem) -> Phase:
    known = CATALOGUE.get(item.item_id)
    return known.phase if known else Phase.NOW


def _listed(case: Case, item: PreventionItem, *, dated: bool = True) -> ListedItem:
    """A line of the list; with `dated=False` its date stands elsewhere."""
    known = CATALOGUE.get(item.item_id)
    late, care = _overdue(case, item), _care(case, item, dated=dated)
    return ListedItem(
        item_id=item.item_id,
        line=Line(
            mark=_mark(case, item),
            label=_label(item),
            said=_said(item),
            details=() if late else care,
            warnings=care if late else (),
        ),
        why=(say(f"prevention.{item.item_id}.why"), say(f"prevention.{item.item_id}.how")) if known else (),
        link=known.link if known else "",
    )


def _said(item: PreventionItem) -> Text | None:
    """What was read, or who says that it is done; nothing where that would only be that it is to be done."""
    if item.state is PreventionState.TICKED:
        by = item.ticked_by.name if item.ticked_by else say("word.somebody")
        return say("prevention.ticked_by", by=by, at=item.ticked_at)
    return None if item.summary.key == "prevention.todo" else item.summary


def _mark(case: Case, item: PreventionItem) -> Mark:
    """How it stands, and whether nobody takes care of it."""
    mark = faces.prevention_mark(item.state)
    if item.owner is not None or not is_tracked(case, item.item_id):
        return mark
    return replace(mark, word=say("prevention_board.no_owner", state=mark.word))


def _care(case: Case, item: PreventionItem, *, dated: bool) -> tuple[Text, ...]:
    """Who takes care of it until when, and what it brings, in one line; nothing for what this case does not track."""
    told = []
    if is_tracked(case, item.item_id):
        told += _owner_and_date(case, item, dated=dated)
    if item.points:
        points = round(item.points, 1)
        # "1 point", but "0.5 points": the form goes by a whole number.
        told.append(say("prevention_board.points", n=1 if points == 1 else 2, points=points))
    return (say("prevention_board.care", first=told[0], second=told[1]),) if len(told) == 2 else tuple(told)


def _owner_and_date(case: Case, item: PreventionItem, *, dated: bool = True) -> list[Text]:
    due = _day(item) if dated else ""
    if item.owner is None:
        key = "prevention_board.overdue_since" if _overdue(case, item) else "prevention_board.until"
        return [say(key, due=due)] if due else []
    if not due:
        return [say("prevention_board.owner", owner=item.owner.name)]
    key = "prevention_board.owner_overdue" if _overdue(case, item) else "prevention_board.owner_until"
    return [say(key, owner=item.owner.name, due=due)]


def _done_part(case: Case) -> ListedPart | None:
    """What people have ticked, a line each, and what is in place in one line."""
    ticked = tuple(
        ListedItem(item.item_id, _ticked_line(item)) for item in case.prevention if item.state is PreventionState.TICKED
    )
    in_place = _in_place_line(case.prevention)
    if not ticked and in_place is None:
        return None
    return ListedPart(say("prevention_board.in_place"), (*ticked, *((ListedItem("", in_place),) if in_place else ())))


def _ticked_line(item: PreventionItem) -> Line:
    return Line(mark=faces.prevention_mark(item.state), label=_label(item), said=_said(item))


def _in_place_line(items: Iterable[PreventionItem]) -> Line | None:
    labels = tuple(_label(item) for item in items if item.state is PreventionState.OK)
    if not labels:
        return None
    mark = faces.prevention_mark(PreventionState.OK)
    return Line(replace(mark, word=say("prevention_board.all_listed", items=labels)), mark.word)


def _label(item: PreventionItem) -> Text:
    return say(f"prevention.{item.item_id}.label")


def explained(case: Case, item_ids: Collection[str]) -> PreventionView:
    """Some items of the list with everything that there is to say about them."""
    items = [item for item in case.prevention if item.item_id in item_ids]
    return PreventionView(
        headline=say("prevention_board.explained"),
        needed=(),
        facts=(),
        parts=(ListedPart(_headline(case, len(open_items(case))), tuple(_listed(case, item) for item in items)),),
        unfolded=True,
    )


# --- changes that the bot can make -----------------------------------------------------------------------------------


def _fixes_part(case: Case) -> ListedPart | None:
    lines = tuple(ListedItem("", _fix_line(case, fix)) for fix in case.fixes)
    return ListedPart(say("prevention_board.fixes"), lines) if lines else None


def _fix_line(case: Case, fix: Action) -> Line:
    mark = faces.action_mark(fix.state)
    if fix.undo_state is not None:
        word = say(f"undo_state.{fix.undo_state.value}")
        mark = Mark("↶", word, faces.action_mark(fix.undo_state).colour)
    elif fix.state is ActionState.PROPOSED:
        waits = open_question(case, fix.kind, case.changed_at)
        mark = replace(mark, word=say("prevention_board.fix_asked" if waits else "action_state.not_done"))
    label = say(f"action.{fix.kind.value}.label", target=fix.target_name or say("word.unnamed"))
    return Line(mark=mark, label=label, said=fix.undo_outcome if fix.undo_state else fix.outcome)


def _fix_buttons(case: Case) -> tuple[Button, ...]:
    """One for each change that an open item needs, unless it is asked for or being made; each kind once."""
    if case.is_at_work:
        return ()
    offered: dict[ActionKind, PreventionItem] = {}
    for item in open_items(case):
        if item.fix and not open_question(case, item.fix, case.changed_at) and not _is_running(case, item.fix):
            offered.setdefault(item.fix, item)
    return tuple(
        Button("fix", say(f"button.fix.{kind.value}"), {"case": case.case_id, "item": item.item_id})
        for kind, item in list(offered.items())[:MAX_FIXES]
    )


def _is_running(case: Case, kind: ActionKind) -> bool:
    return any(fix.kind is kind and fix.state is ActionState.RUNNING for fix in case.fixes)


# --- the form --------------------------------------------------------------------------------------------------------


def _form(case: Case) -> Form | None:
    """Boxes for whatever is not proven to be in place, an owner and a date; what is pressed says what they are for."""
    boxes = [item for item in tracked(case) if item.state is not PreventionState.OK]
    if not boxes:
        return Form(buttons=(_check_button(case),))
    about = {"case": case.case_id}
    done = Button("tick", say("button.tick_done"), about, "positive", True)
    own = Button("own", say("button.own"), about, sends_inputs=True)
    undone = Button("untick", say("button.untick"), about, sends_inputs=True)
    explain = Button("explain", say("button.explain"), about, sends_inputs=True)
    has_ticked = any(item.state is PreventionState.TICKED for item in boxes)
    buttons = (done, own, *((undone,) if has_ticked else ()), explain, _check_button(case))
    return Form(fields=_fields(), choices=_boxes(boxes), buttons=buttons)


def _boxes(items: Sequence[PreventionItem]) -> Choices:
    return Choices(
        input_id="item",
        label=say("prevention_board.boxes"),
        choices=tuple(Choice(item.item_id, _box(item)) for item in items),
        error=say("tick.error"),
        several=True,
    )


def _box(item: PreventionItem) -> Text:
    ticked = item.state is PreventionState.TICKED
    return say("prevention_board.box.ticked", label=_label(item)) if ticked else _label(item)


def _fields() -> tuple[Field, ...]:
    owner = Field(
        "owner", say("prevention_board.owner_field"), say("prevention_board.owner_placeholder"), multiline=False
    )
    return (owner, Field("due_on", say("prevention_board.date_field"), is_date=True))


def _check_button(case: Case) -> Button:
    return Button("prevention_check", say("button.prevention_check"), {"case": case.case_id})


def list_button(case: Case) -> Button:
    """Opens the list; for cards that show a part of it."""
    return Button("prevention", say("button.prevention"), {"case": case.case_id})


# --- step 3 of a checklist -------------------------------------------------------------------------------------------


def step_lines(case: Case) -> tuple[Line, ...]:
    """
    Step 3 in a few lines: the account's open items, the first to come due first, then one line each for what is in
    place and for the organisation. What only people can do stands in the boxes below. Empty while nothing was read.
    """
    left = [item for item in open_items(case) if item.state is not PreventionState.TODO]
    shown = [_step_line(case, item) for item in left[:MAX_STEP_LINES]]
    if hidden := len(left) - len(shown):
        shown.append(Line(Mark("⋯", say("word.not_shown")), say("word.others", n=hidden)))
    shown += [_ticked_line(item) for item in tracked(case) if item.state is PreventionState.TICKED]
    in_place = _in_place_line(tracked(case))
    return (*shown, *((in_place,) if in_place else ()), *_organisation_line(case))


def _step_line(case: Case, item: PreventionItem) -> Line:
    late = _overdue(case, item)
    care, mark = tuple(_owner_and_date(case, item)), _mark(case, item)
    return Line(mark, _label(item), item.summary, details=() if late else care, warnings=care if late else ())


def _dated_box(case: Case, item: PreventionItem) -> Text:
    if item.due_at is None:
        return _label(item)
    key = "prevention_board.box.overdue" if _overdue(case, item) else "prevention_board.box.until"
    return say(key, label=_label(item), due=_day(item))


def _organisation_line(case: Case) -> tuple[Line, ...]:
    others = [item for item in case.prevention if not is_tracked(case, item.item_id)]
    if not others:
        return ()
    left = sum(not item.is_done for item in others)
    mark = faces.prevention_mark(PreventionState.OPEN if left else PreventionState.OK)
    n = say("prevention_board.organisation_open", n=left, m=len(others))
    return (Line(replace(mark, word=n), say("prevention_board.organisation")),)


def step_form(case: Case) -> Form | None:
    """Boxes for what only a person can do, and the way to the whole list."""
    if not case.prevention:
        return None
    todo = [item for item in open_items(case) if item.state is PreventionState.TODO][:MAX_STEP_BOXES]
    about = {"case": case.case_id}
    if not todo:
        return Form(buttons=(list_button(case),))
    choices = tuple(Choice(item.item_id, _dated_box(case, item)) for item in todo)
    boxes = replace(_boxes(todo), label=say("tick.label"), choices=choices)
    tick = Button("tick", say("button.tick"), about, sends_inputs=True)
    return Form(choices=boxes, buttons=(tick, list_button(case)))


# --- the weekly reminder ---------------------------------------------------------------------------------------------


def reminder(case: Case, person_oid: str) -> NoticeView:
    """What is still open in this person's care, overdue first; with "" what is in nobody's."""
    left = items_of(case, person_oid)
    about = say("word.organisation") if case.kind is CaseKind.TENANT else _who(case)
    if not left:
        return NoticeView(headline=say("reminder.done", about=about), tone=Tone.GOOD)
    late = any(_overdue(case, item) for item in left)
    owner = left[0].owner
    key = "reminder.headline" if owner else "reminder.nobodys"
    return NoticeView(
        headline=say(key, n=len(left), about=about, owner=owner.name if owner else None),
        tone=Tone.ATTENTION if late else Tone.WARNING,
        body=_reminded(case, left),
        form=Form(buttons=(list_button(case),)),
    )


def _reminded(case: Case, left: Sequence[PreventionItem]) -> tuple[Text, ...]:
    shown = [_reminded_item(case, item) for item in left[:MAX_REMINDED]]
    if hidden := len(left) - len(shown):
        shown.append(say("word.others", n=hidden))
    return tuple(shown)


def _reminded_item(case: Case, item: PreventionItem) -> Text:
    if item.due_at is None:
        return say("reminder.item", what=_label(item))
    key = "reminder.item_overdue" if _overdue(case, item) else "reminder.item_until"
    return say(key, what=_label(item), due=_day(item))
