"""The summary of a week as a card: blocks by day, what they turned out to be, times, and what is still open. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from cards.pictures import block_row
from cards.report import duration
from cards.views import BarChart, PicturePart, Series, Tone, WeeklyView
from services.alerts.summary import DayCount, OwnerCount, Stretch, WeeklySummary
from services.cases import Text, VerdictLabel, say

#: How many people the open items are counted for, one line each.
MOST_OWNERS = 8


def weekly(summary: WeeklySummary) -> WeeklyView:
    """What the week has brought. What is not known about it is said at the top, before any number."""
    parts = (_unread(summary), _blocks(summary), _verdicts(summary), _times(summary), _open_items(summary))
    return WeeklyView(
        headline=say("weekly.headline", n=summary.blocks),
        tone=Tone.WARNING if summary.unread or summary.alerts_open else Tone.NEUTRAL,
        about=say("weekly.about", first=summary.days[0].day.isoformat(), last=summary.days[-1].day.isoformat()),
        parts=tuple(part for part in parts if part is not None),
    )


def _unread(summary: WeeklySummary) -> PicturePart | None:
    return PicturePart(title=say("weekly.unread"), lines=summary.unread) if summary.unread else None


# --- blocks ----------------------------------------------------------------------------------------------------------


def _blocks(summary: WeeklySummary) -> PicturePart:
    still_open = (say("weekly.alerts_open", n=summary.alerts_open),) if summary.alerts_open else ()
    if not summary.blocks:
        none = say("weekly.no_block_known" if summary.unread else "weekly.no_block")
        return PicturePart(title=say("weekly.blocks"), lines=(none, *still_open))
    return PicturePart(
        title=say("weekly.blocks"),
        lines=(_busiest(summary.days), *still_open),
        bar_chart=_chart(summary.days, summary.time_zone),
    )


def _busiest(days: Sequence[DayCount]) -> Text:
    top = max(days, key=lambda day: day.blocks)
    return say("weekly.busiest", n=top.blocks, day=top.day.isoformat())


def _chart(days: Sequence[DayCount], time_zone: str) -> BarChart:
    counts = tuple(day.blocks for day in days)
    points = tuple((str(day.day.day), day.blocks) for day in days)
    first, last = days[0].day.isoformat(), days[-1].day.isoformat()
    return BarChart(
        x_title=say("weekly.days", first=first, last=last, zone=time_zone),
        y_title=say("weekly.blocks"),
        series=(Series(say("weekly.blocks"), "categoricalBlue", points),),
        rows=(block_row(counts),),
    )


# --- what came of them -----------------------------------------------------------------------------------------------


def _verdicts(summary: WeeklySummary) -> PicturePart:
    title = say("weekly.verdicts")
    if not summary.cases:
        return PicturePart(title=title, lines=(say("weekly.no_case"),))
    told = [
        say("weekly.verdict", verdict=say(f"verdict.{label.value}"), count=summary.verdicts.get(label, 0))
        for label in VerdictLabel
    ]
    without = [say("weekly.undecided", n=summary.undecided)] if summary.undecided else []
    return PicturePart(
        title=title, lines=(say("weekly.cases", n=summary.cases), say("word.listed", items=[*told, *without]))
    )


def _times(summary: WeeklySummary) -> PicturePart:
    known = [stretch for stretch in summary.times if stretch.n and stretch.median_s is not None]
    lines = tuple(map(_time, known)) or (say("weekly.no_time"),)
    return PicturePart(title=say("weekly.times"), lines=lines)


def _time(stretch: Stretch) -> Text:
    took = duration(int(stretch.median_s or 0))
    return say(f"weekly.time.{stretch.start}_{stretch.end}", took=took, n=stretch.n)


# --- what is still to be done ----------------------------------------------------------------------------------------


def _open_items(summary: WeeklySummary) -> PicturePart:
    title = say("weekly.open_items")
    if not summary.open_items:
        return PicturePart(title=title, lines=(say("weekly.nothing_open"),))
    shown = summary.owners[:MOST_OWNERS]
    hidden = sum(owner.open_items for owner in summary.owners[MOST_OWNERS:])
    more = (say("weekly.others_have", n=hidden),) if hidden else ()
    return PicturePart(title=title, lines=(*map(_owner, shown), *more))


def _owner(count: OwnerCount) -> Text:
    name = count.owner.name if count.owner else say("weekly.nobody")
    late = ".overdue" if count.overdue else ""
    return say(f"weekly.owner{late}", who=name, n=count.open_items, overdue=count.overdue)
