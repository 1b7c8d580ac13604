"""What it costs to build the checklist card, against the same template without our safety and against ready JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cards.fit import LIMITS, fitted
from cards.language import Words
from cards.render import TEMPLATES, render
from cards.samples import samples
from cards.views import View
from tests.benchmarks.figures import Figure, figure, ratio

GROUP = "Cards: the checklist of a case that waits for approval, in English"
LANGUAGE = "en"
REPETITIONS = 7
SECONDS = 0.15


class _Commas:
    """What stands before each element of a list: nothing, then commas."""

    def __init__(self) -> None:
        self._before = ""

    def __call__(self) -> str:
        before, self._before = self._before, ","
        return before


def measure() -> list[Figure]:
    """Microseconds of processor time for one card, and how many times as long ours takes as its peers."""
    view = samples()["checklist_awaiting_approval"]
    ready = render(view, LANGUAGE).card
    builders: dict[str, Callable[[], object]] = {
        "ours": lambda: render(view, LANGUAGE),
        "jinja2": _without_safety(view),
        "ready": lambda: json.dumps(ready),
    }
    runs: dict[str, list[float]] = {name: [] for name in builders}
    for build in builders.values():
        _microseconds(build)
    for _ in range(REPETITIONS):
        for name, build in builders.items():
            runs[name].append(_microseconds(build))
    return [
        figure(GROUP, "render: fit, build, parse, measure, summary", runs["ours"], "us"),
        figure(GROUP, "jinja2 alone: same templates and words, values put in as they are", runs["jinja2"], "us"),
        figure(GROUP, "json.dumps of the ready card", runs["ready"], "us"),
        ratio(GROUP, "render / jinja2 alone", runs["ours"], runs["jinja2"]),
        ratio(GROUP, "render / json.dumps", runs["ours"], runs["ready"]),
    ]


def _without_safety(view: View) -> Callable[[], str]:
    """Our templates with a plain environment: no value becomes a JSON literal, and nothing is read back."""
    environment = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, auto_reload=False)
    environment.globals["commas"] = _Commas
    shown = fitted(view, LIMITS[0])

    def build() -> str:
        words = Words(LANGUAGE)
        values = {"view": shown, "t": words.t, "plain": words.plain, "language": words.language}
        return environment.get_template(f"{view.template}/card.json.j2").render(values)

    return build


def _microseconds(build: Callable[[], object]) -> float:
    """Of processor time for one call, from as many as fit into the time; what else the machine does is not counted."""
    started, calls = time.process_time(), 0
    while (passed_s := time.process_time() - started) < SECONDS:
        build()
        calls += 1
    return passed_s / calls * 1e6
