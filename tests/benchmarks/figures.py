"""What a measurement says: one line of the table, with the runs that it is the median of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True)
class Figure:
    """The median over all repetitions, with the smallest and the largest of them."""

    group: str
    what: str
    value: float
    #: "x" for a ratio, "" for a share, else what is counted: "1/s", "s", "us", "cases".
    unit: str
    lowest: float
    highest: float
    repetitions: int
    #: What is aimed for, in words; "" where nothing is.
    target: str = ""


def figure(group: str, what: str, runs: Sequence[float], unit: str, target: str = "") -> Figure:
    """The figure of these repetitions. Raises statistics.StatisticsError when there are none."""
    return Figure(group, what, median(runs), unit, min(runs), max(runs), len(runs), target)


def ratio(group: str, what: str, ours: Sequence[float], theirs: Sequence[float], target: str = "") -> Figure:
    """The median of the ratios of repetitions that ran next to each other, so that a slow minute slows both."""
    return figure(group, what, [a / b for a, b in zip(ours, theirs, strict=True)], "x", target)


def as_data(figures: Sequence[Figure]) -> list[dict[str, Any]]:
    """The figures for machines."""
    return [asdict(one) for one in figures]


def as_lines(figures: Sequence[Figure]) -> list[str]:
    """The figures as a table for people, a heading before each group."""
    width = max(len(one.what) for one in figures)
    lines: list[str] = []
    for index, one in enumerate(figures):
        if index == 0 or figures[index - 1].group != one.group:
            lines += ["", one.group]
        aim = f"  aim: {one.target}" if one.target else ""
        line = f"  {one.what:{width}}  {_value(one):>8} {one.unit:5} {_spread(one)}{aim}"
        lines.append(line.rstrip())
    return lines[1:]


def _value(one: Figure) -> str:
    return f"{one.value:,.0f}" if one.unit == "cases" else _number(one.value)


def _spread(one: Figure) -> str:
    """Nothing for what comes out the same every time, and so is measured once."""
    if one.repetitions == 1:
        return ""
    return f"({_number(one.lowest)} to {_number(one.highest)}, {one.repetitions} runs)"


def _number(value: float) -> str:
    """Three digits that mean something, never an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
