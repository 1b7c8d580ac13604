"""
From a view and a language to the Adaptive Card that is sent. Pure: the same view gives the same card.

Templates write JSON, and whatever stands in `{{ }}` becomes a JSON literal: no value can break out of its place.
Source: Adaptive Cards documentation, "Universal Action Model" (Action.Execute, refresh, fallback), read 2026-11-23.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Undefined
from markupsafe import Markup

from cards.fit import LIMITS, Limits, fitted
from cards.language import Words, card_text
from cards.views import Mention, View

TEMPLATES = Path(__file__).parent / "templates"
#: The largest card that is sent, in bytes as JSON with everything beyond ASCII escaped, which is its largest form.
MAX_CARD_BYTES = 20_000


@dataclass(frozen=True)
class Rendered:
    """A card, and the line that a notification shows for it."""

    card: dict[str, Any]
    summary: str


def render(view: View, language: str, *, strict: bool = False) -> Rendered:
    """
    The card in this language, at most MAX_CARD_BYTES large: one that is larger loses details, never the decision.

    With `strict`, a text that is missing raises MissingText; see `cards.language.Words`.
    """
    for limits in LIMITS:
        rendered = _render(fitted(view, limits), limits, language, strict)
        if size_bytes(rendered.card) <= MAX_CARD_BYTES:
            break
    return rendered


def mention(person: Mention) -> str:
    """The text that Teams makes a mention of. What the person is called cannot end it before its end."""
    return f"<at>{card_text(person.name)}</at>"


def size_bytes(card: dict[str, Any]) -> int:
    """How large the card is on the wire."""
    return len(json.dumps(card))


def _render(view: View, limits: Limits, language: str, strict: bool) -> Rendered:
    words = Words(language, strict=strict, longest=limits.value_length)
    values = {
        "view": view,
        "t": words.t,
        "plain": words.plain,
        "country": words.country,
        "mention": mention,
        "called": lambda people: ", ".join(map(mention, people)),
        "language": words.language,
    }
    card = _card_templates().get_template(f"{view.template}/card.json.j2").render(values)
    summary = _text_templates().get_template(f"{view.template}/summary.txt.j2").render(values)
    return Rendered(card=json.loads(card), summary=" ".join(summary.split()))


class _Commas:
    """Nothing the first time, a comma every time after: what stands before each element of a JSON list."""

    def __init__(self) -> None:
        self._first = True

    def __call__(self) -> Markup:
        first, self._first = self._first, False
        return Markup("" if first else ",")


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def _json_literal(value: Any) -> Markup:
    """
    Every value of a template as a JSON literal. The output of a macro is JSON already and comes as Markup; nothing else
    in a template is, because the filters that make Markup are taken away below.
    """
    if isinstance(value, Markup):
        return value
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises, and names what is undefined.
    return Markup(_ENCODER.encode(value))


@lru_cache(maxsize=1)
def _card_templates() -> Environment:
    environment = _environment(autoescape=True, finalize=_json_literal)
    environment.globals["commas"] = _Commas
    return environment


@lru_cache(maxsize=1)
def _text_templates() -> Environment:
    return _environment(autoescape=False)


def _environment(**options: Any) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, auto_reload=False, cache_size=-1, **options
    )
    environment.filters.clear()
    environment.globals.clear()
    return environment
