"""
What the Adaptive Card schema does not check and Teams minds.

Source: Microsoft Teams documentation, "User Specific Views" and "Designing Adaptive Cards for your Teams app", read
2026-11-23.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from cards.render import MAX_CARD_BYTES, size_bytes

#: Bot-sent cards may use this version of the schema, or a lower one.
VERSION = "1.5"
#: Teams refreshes a card for this many people at most.
MAX_REFRESH_USERS = 60
#: More buttons than this in one set are not shown.
MAX_ACTIONS = 6

#: What a client would act on. Our own words use none of it, so wherever it stands, a value got through.
_ACTIVE_MARKUP = re.compile(
    r"\]\(|</?\w|\$\{|\{\{|https?://|\bwww\.|\bmailto:|\*|`|~~|(?<!\w)_+\S|^\s*(?:[-+#>]\s|\d+[.)]\s)|[\u202a-\u202e\u2066-\u2069]",
    re.IGNORECASE,
)
_SHOWN_TEXT = ("text", "title", "label", "placeholder", "errorMessage", "altText", "fallbackText")

Element = dict[str, Any]


def problems(card: Element) -> list[str]:
    """What is wrong with the card, one sentence each; empty when nothing is."""
    found = [*_card_problems(card), *_repeated_ids(card)]
    called = [entity["text"] for entity in card.get("msteams", {}).get("entities", ())]
    for element in _elements(_without(called, card)):
        for check in _CHECKS:
            found.extend(check(element))
    return found


def _without(called: list[str], node: Any) -> Any:
    """The card without the mentions that it declares: what looks like one and is none stays."""
    if isinstance(node, list):
        return [_without(called, item) for item in node]
    if isinstance(node, dict):
        return {name: _without(called, value) for name, value in node.items()} if called else node
    for text in called if isinstance(node, str) else ():
        node = node.replace(text, "@")
    return node


def _card_problems(card: Element) -> Iterator[str]:
    if card.get("version") != VERSION:
        yield f"The version is {card.get('version')!r}, not {VERSION!r}."
    for name in ("lang", "fallbackText", "body"):
        if not card.get(name):
            yield f"The card has no {name}."
    if (size := size_bytes(card)) > MAX_CARD_BYTES:
        yield f"The card has {size} bytes, more than {MAX_CARD_BYTES}."
    for row in _rows_of_buttons(card):
        if len(row) > MAX_ACTIONS:
            yield f"The card has {len(row)} buttons in a row, more than {MAX_ACTIONS}."
    yield from _refresh_problems(card.get("refresh"))


def _rows_of_buttons(card: Element) -> Iterator[list[Element]]:
    """The buttons of each set; those of the card itself are a set too."""
    yield card.get("actions", [])
    yield from (element.get("actions", []) for element in _elements(card) if element.get("type") == "ActionSet")


def _refresh_problems(refresh: Element | None) -> Iterator[str]:
    if refresh is None:
        return
    if "userIds" not in refresh:
        yield "The refresh names no userIds, and sources disagree about what that means."
    elif len(refresh["userIds"]) > MAX_REFRESH_USERS:
        yield f"The refresh names {len(refresh['userIds'])} people, more than {MAX_REFRESH_USERS}."


def _elements(node: Any, parent: str = "") -> Iterator[Element]:
    """Every object with a type, fallbacks and the refresh action left out: nobody sees those as a button."""
    if isinstance(node, list):
        for item in node:
            yield from _elements(item, parent)
    elif isinstance(node, dict):
        if "type" in node or {"title", "value"} <= node.keys():
            yield node
        for name, value in node.items():
            if name not in ("fallback", "refresh", "data", "msteams"):
                yield from _elements(value, name)


def _is_button(element: Element) -> bool:
    return str(element.get("type", "")).startswith("Action.")


def _repeated_ids(card: Element) -> Iterator[str]:
    counted = Counter(element["id"] for element in _elements(card) if "id" in element)
    yield from (f"The id {name!r} is used {times} times." for name, times in counted.items() if times > 1)


def _image_problems(element: Element) -> Iterator[str]:
    if element.get("type") == "Image" and not element.get("altText"):
        yield "An image has no altText."


def _input_problems(element: Element) -> Iterator[str]:
    if not str(element.get("type", "")).startswith("Input."):
        return
    for name in ("id", "label"):
        if not element.get(name):
            yield f"An input has no {name}."
    if element.get("isRequired") and not element.get("errorMessage"):
        yield f"The required input {element.get('id')!r} has no errorMessage."


def _button_problems(element: Element) -> Iterator[str]:
    if not _is_button(element):
        return
    if not element.get("title"):
        yield f"A button of type {element['type']} has no title."
    if element["type"] == "Action.Execute":
        yield from _execute_problems(element)


def _execute_problems(button: Element) -> Iterator[str]:
    name, verb, data = button.get("title"), button.get("verb"), button.get("data")
    if not verb:
        yield f"The button {name!r} has no verb."
    if not isinstance(data, dict) or data.get("verb") != verb:
        yield f"The button {name!r} does not repeat its verb in the data."
    fallback = button.get("fallback")
    if not isinstance(fallback, dict) or fallback.get("type") != "Action.Submit":
        yield f"The button {name!r} has no Action.Submit as fallback."
    elif fallback.get("data") != data or fallback.get("title") != name:
        yield f"The fallback of the button {name!r} is another button."
    elif fallback.get("associatedInputs") != button.get("associatedInputs"):
        yield f"The fallback of the button {name!r} sends other inputs."


def _text_problems(element: Element) -> Iterator[str]:
    if element.get("type") == "TextBlock" and len(str(element.get("text", ""))) > 2 and not element.get("wrap"):
        yield f"The text {element['text'][:40]!r} does not wrap."
    for name in _SHOWN_TEXT:
        value = element.get(name)
        if isinstance(value, str) and (match := _ACTIVE_MARKUP.search(value)):
            yield f"The {name} {value[:40]!r} holds {match.group()!r}, which a client may act on."


def _blank_problems(element: Element) -> Iterator[str]:
    if element.get("type") in ("TextBlock", "TextRun") and not str(element.get("text", "")).strip():
        yield "A text is empty."


_CHECKS: tuple[Callable[[Element], Iterator[str]], ...] = (
    _image_problems,
    _input_problems,
    _button_problems,
    _text_problems,
    _blank_problems,
)
