"""
The pictures of a case as a card: mail per hour around the block, sign-ins by country and day, the Secure Score. Pure.

Each picture says in words what matters in it, then draws it with a chart element of Teams, and for clients that do not
know the element with block characters. What could not be read says so in place of its picture.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from statistics import median

from cards.views import (
    BarChart,
    GaugeChart,
    LineChart,
    NoticeView,
    PicturePart,
    PicturesView,
    Place,
    Segment,
    Series,
    Tone,
    View,
)
from services.cases import Case, Finding, HourCount, ScoreMark, SignalState, SignInMark, Text, say
from services.investigation.pictures import BEFORE, MOST_SIGN_INS

#: Bars of one day each: as many as have room for their labels on a phone, and no day of the month twice.
MOST_DAYS = 14
#: Teams takes four series at most; the last is that of all other countries.
MOST_COUNTRIES = 3
#: How many countries are told in words.
MOST_COUNTRY_LINES = 6
#: How many characters a row of block characters has room for on a phone.
MOST_BLOCKS = 30

_BLUE = "categoricalBlue"
_COLOURS = (_BLUE, "categoricalRed", "categoricalMarigold")
_BLOCKS = "▁▂▃▄▅▆▇█"
_HOUR = timedelta(hours=1)


def pictures(case: Case) -> View:
    """The pictures of a case, or that there are none yet."""
    if case.pictures is None:
        reading = case.reading_since is not None and case.reading_ended_at is None and case.is_at_work
        why = say("pictures.not_yet" if reading else "pictures.none")
        return NoticeView(headline=say("pictures.headline", who=_who(case)), body=(why,))
    return PicturesView(
        headline=say("pictures.headline", who=_who(case)),
        tone=Tone.NEUTRAL,
        about=_about(case),
        parts=(_mail(case, case.pictures.sent), _sign_ins(case, case.pictures.sign_ins), _score(case)),
    )


def _who(case: Case) -> str:
    return (case.subject.display_name or case.subject.upn) if case.subject else case.query


def _about(case: Case) -> Text:
    started_at = _started_at(case)
    if started_at is None:
        return say("pictures.about", case=case.case_id)
    return say("pictures.about_block", case=case.case_id, at=started_at)


def _started_at(case: Case) -> datetime | None:
    return case.block.since if case.block else None


def _centre(case: Case) -> datetime:
    """The moment that the pictures are about: the start of the block, else when the account was looked at."""
    return _started_at(case) or case.reading_since or case.opened_at


def _unread(case: Case, signal_id: str) -> Text:
    """Why there is no picture, as the check says that reads the same."""
    finding = _finding(case, signal_id)
    known = finding is not None and finding.state is SignalState.UNKNOWN
    return finding.summary if known else say("pictures.unread")


def _finding(case: Case, signal_id: str) -> Finding | None:
    return next((finding for finding in case.findings if finding.signal_id == signal_id), None)


# --- mail ------------------------------------------------------------------------------------------------------------


def _mail(case: Case, sent: Sequence[HourCount]) -> PicturePart:
    title = say("pictures.mail")
    if not sent:
        return PicturePart(title=title, unread=_unread(case, "sent_mail"))
    quiet = not any(hour.recipients for hour in sent)
    return PicturePart(
        title=title,
        lines=(_busiest(case, sent), *_gap(case, sent)),
        line_chart=None if quiet else _mail_chart(case, sent),
    )


def _busiest(case: Case, sent: Sequence[HourCount]) -> Text:
    """The number that matters, in words."""
    top = max(sent, key=lambda hour: hour.recipients)
    if not top.recipients:
        return say("pictures.mail.quiet", n=len(sent))
    others = [hour.recipients for hour in sent if hour.at <= _centre(case) and hour is not top]
    if not others:
        return say("pictures.mail.busiest_alone", n=top.recipients, at=top.at)
    return say("pictures.mail.busiest", n=top.recipients, at=top.at, usual=round(median(others)))


def _gap(case: Case, sent: Sequence[HourCount]) -> tuple[Text, ...]:
    """Said when the trace did not go back as far as it was asked to: what was before is not known."""
    missing = sent[0].at > _hour(_centre(case) - BEFORE) + _HOUR
    return (say("pictures.mail.gap", at=sent[0].at),) if missing else ()


def _mail_chart(case: Case, sent: Sequence[HourCount]) -> LineChart:
    zero = _hour(_centre(case))
    points = [(round((hour.at - zero) / _HOUR), hour.recipients) for hour in _in_quarters(sent)]
    blocked = _started_at(case) is not None
    return LineChart(
        x_title=say("pictures.mail.hours" if blocked else "pictures.mail.hours_ago"),
        y_title=say("pictures.mail.recipients"),
        series=_around_block(points) if blocked else (Series(say("pictures.mail.recipients"), _BLUE, tuple(points)),),
        highest=_round_top(max(hour.recipients for hour in sent)),
        rows=(_mail_blocks(sent, zero if blocked else None),),
        span=say("pictures.span" if blocked else "pictures.span_unblocked", first=sent[0].at, last=sent[-1].at + _HOUR),
    )


def _around_block(points: Sequence[tuple[int, int]]) -> tuple[Series, ...]:
    """The line changes its colour where the block began; both parts have that point, so that they meet."""
    before = Series(say("pictures.mail.before"), _BLUE, tuple(p for p in points if p[0] <= 0))
    since = Series(say("pictures.mail.since"), "attention", tuple(p for p in points if p[0] >= 0))
    return tuple(series for series in (before, since) if series.points)


def _in_quarters(sent: Sequence[HourCount]) -> Sequence[HourCount]:
    """Without up to three calm hours at the beginning: the axis has four steps, which then are whole hours."""
    spare, top = (len(sent) - 1) % 4, max(hour.recipients for hour in sent)
    return sent if any(hour.recipients > top / 10 for hour in sent[:spare]) else sent[spare:]


def _mail_blocks(sent: Sequence[HourCount], block_at: datetime | None) -> str:
    """A row of blocks, each the busiest of some hours; a bar stands before the hour in which the block began."""
    each = -(-len(sent) // MOST_BLOCKS)
    groups = [sent[n : n + each] for n in range(0, len(sent), each)]
    row = list(block_row([max(hour.recipients for hour in group) for group in groups]))
    place = next((n for n, group in enumerate(groups) if block_at and group[-1].at >= block_at), None)
    return "".join([*row[:place], "│", *row[place:]] if place is not None else row)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


# --- sign-ins --------------------------------------------------------------------------------------------------------


def _sign_ins(case: Case, marks: Sequence[SignInMark]) -> PicturePart:
    title = say("pictures.sign_ins")
    if not marks:
        return PicturePart(title=title, unread=_unread(case, "sign_ins"))
    cut = (say("pictures.sign_ins.newest", n=len(marks)),) if len(marks) >= MOST_SIGN_INS else ()
    return PicturePart(
        title=title, places=_places(marks), lines=(*cut, *_programs(case)), bar_chart=_sign_in_chart(marks)
    )


def _programs(case: Case) -> tuple[Text, ...]:
    """Said when only the sign-ins of the person could be read."""
    finding = _finding(case, "sign_ins_background")
    unread = finding is not None and finding.state is SignalState.UNKNOWN
    return (say("pictures.sign_ins.no_programs", why=finding.summary),) if unread else ()


def _places(marks: Sequence[SignInMark]) -> tuple[Place, ...]:
    """What happened from each country; those that showed up last come first, since they are news."""
    newest_first = sorted(_by_country(marks).values(), key=lambda found: found[0].at, reverse=True)
    return tuple(_place(found) for found in newest_first[:MOST_COUNTRY_LINES])


def _place(found: Sequence[SignInMark]) -> Place:
    succeeded = sum(mark.succeeded for mark in found)
    said = say("pictures.sign_ins.place", succeeded=succeeded, failed=len(found) - succeeded, first=found[0].at)
    return Place(found[0].country, said)


def _by_country(marks: Sequence[SignInMark]) -> dict[str, list[SignInMark]]:
    """Oldest first, in each country as well."""
    grouped: dict[str, list[SignInMark]] = {}
    for mark in sorted(marks, key=lambda mark: mark.at):
        grouped.setdefault(mark.country, []).append(mark)
    return grouped


def _sign_in_chart(marks: Sequence[SignInMark]) -> BarChart:
    days = _days(marks)
    shown = _countries(marks)
    everything = [Series(None, colour, _daily(marks, days, {country}), country) for country, colour in shown]
    rest = {mark.country for mark in marks} - {country for country, _ in shown}
    if rest:
        everything.append(Series(say("pictures.sign_ins.others"), "neutral", _daily(marks, days, rest)))
    highest = max((y for series in everything for _, y in series.points), default=0)
    return BarChart(
        x_title=say("pictures.sign_ins.days", first=days[0].isoformat(), last=days[-1].isoformat()),
        y_title=say("pictures.sign_ins.number"),
        series=tuple(everything),
        rows=tuple(block_row([y for _, y in series.points], highest) for series in everything),
    )


def _days(marks: Sequence[SignInMark]) -> list[date]:
    """Every day (UTC) from the first to the last sign-in, the last MOST_DAYS of them."""
    last = max(mark.at for mark in marks).date()
    first = max(min(mark.at for mark in marks).date(), last - timedelta(days=MOST_DAYS - 1))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _countries(marks: Sequence[SignInMark]) -> list[tuple[str, str]]:
    """The country with most sign-ins, then those that showed up last, each with its colour."""
    grouped = _by_country(marks)
    home = max(grouped, key=lambda country: len(grouped[country]))
    news = sorted((c for c in grouped if c != home), key=lambda country: grouped[country][0].at, reverse=True)
    return list(zip((home, *news), _COLOURS, strict=False))[:MOST_COUNTRIES]


def _daily(marks: Sequence[SignInMark], days: Sequence[date], countries: set[str]) -> tuple[tuple[str, int], ...]:
    counted = Counter(mark.at.date() for mark in marks if mark.country in countries)
    return tuple((str(day.day), counted[day]) for day in days)


# --- Secure Score ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Change:
    """The score when it began, if it was kept, and now."""

    before: ScoreMark | None
    now: ScoreMark


def _score(case: Case) -> PicturePart:
    title = say("pictures.score")
    change = _change(case)
    if change is None:
        return PicturePart(title=title, unread=say("pictures.unread"))
    return PicturePart(title=title, lines=(_score_said(change),), gauge=_gauge(change))


def _change(case: Case) -> _Change | None:
    marks = case.pictures.scores if case.pictures else ()
    if not marks:
        return None
    before = [mark for mark in marks[:-1] if mark.at <= _centre(case)]
    return _Change(before[-1] if before else None, marks[-1])


def _score_said(change: _Change) -> Text:
    now = {"score": _points(change.now.score), "maximum": _points(change.now.maximum), "day": _day(change.now)}
    if change.before is None:
        return say("pictures.score.now", **now)
    return say("pictures.score.both", **now, before=_points(change.before.score), before_day=_day(change.before))


def _gauge(change: _Change) -> GaugeChart:
    now, highest = _points(change.now.score), _points(change.now.maximum)
    before = now if change.before is None else _points(change.before.score)
    reached = say("pictures.score.reached_now" if change.before is None else "pictures.score.reached")
    parts = (
        (reached, min(now, before), _BLUE),
        (say("pictures.score.gained"), now - before, "good"),
        (say("pictures.score.lost"), before - now, "attention"),
        (say("pictures.score.left"), highest - max(now, before), "neutral"),
    )
    return GaugeChart(
        value=now,
        highest=highest,
        segments=tuple(Segment(legend, round(size, 1), colour) for legend, size, colour in parts if size > 0),
        row=_filled(now / highest),
    )


def _filled(share: float) -> str:
    full = round(min(1.0, share) * MOST_BLOCKS)
    return "█" * full + "░" * (MOST_BLOCKS - full)


def _points(value: float) -> float:
    return round(value, 1)


def _day(mark: ScoreMark) -> str:
    return mark.at.date().isoformat()


# --- block characters ------------------------------------------------------------------------------------------------


def block_row(values: Sequence[int], highest: int | None = None) -> str:
    """One character for each value, from the lowest block to the full one; whatever is not zero is above the lowest."""
    top = max(values, default=0) if highest is None else highest
    return "".join(_block(value, top) for value in values)


def _block(value: int, top: int) -> str:
    if value <= 0 or top <= 0:
        return _BLOCKS[0]
    return _BLOCKS[max(1, round(value / top * (len(_BLOCKS) - 1)))]


def _round_top(highest: int) -> int:
    """The end of an axis that four steps divide into round numbers: 12 for 9, 2,000 for 1,670."""
    return next(4 * step for step in _steps() if 4 * step >= highest)


def _steps() -> Iterable[int]:
    scale = 1
    while True:
        yield from (scale, 2 * scale, 3 * scale, 5 * scale)
        scale *= 10
