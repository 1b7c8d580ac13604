"""What a Teams client does with a card's buttons: it finds the action and gathers the inputs around it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Card = dict[str, Any]


@dataclass(frozen=True)
class Button:
    """An action of a card, with the values that the inputs around it have before anybody touches them."""

    action: dict[str, Any]
    untouched_inputs: dict[str, str]

    def execute(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The `action` of the invoke: type, id and verb of the card, data merged with the inputs by input id."""
        sent = {key: self.action[key] for key in ("type", "id", "verb", "title") if key in self.action}
        return sent | {"data": self._data(self.action, inputs)}

    def submit(self, inputs: dict[str, Any]) -> dict[str, Any] | None:
        """The `value` of an old client's message: the Action.Submit's data with inputs; None if there is none."""
        action = self.action if self.action.get("type") == "Action.Submit" else self.action.get("fallback")
        if not isinstance(action, dict) or action.get("type") != "Action.Submit":
            return None
        return self._data(action, inputs)

    def _data(self, action: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        data = action.get("data")
        gathered = {} if action.get("associatedInputs") == "none" else self.untouched_inputs | inputs
        return (data if isinstance(data, dict) else {}) | gathered


def find_button(card: Card | None, verb: str) -> Button | None:
    """The button with this verb (an Action.Submit carries its verb in `data`), in the card or in a card it unfolds."""
    if card is None:
        return None
    return next((button for button in buttons_of(card) if _verb_of(button.action) == verb), None)


def refresh_button(card: Card | None) -> Button | None:
    """What the client sends by itself when the card comes into view."""
    action = ((card or {}).get("refresh") or {}).get("action")
    return Button(action, {}) if isinstance(action, dict) else None


def buttons_of(card: Card, inherited: dict[str, str] | None = None) -> Iterator[Button]:
    """Every action of a card; inside a ShowCard the inputs of the cards around it count as well, as in Teams."""
    elements = list(_elements(card))
    inputs = {**(inherited or {}), **_untouched_inputs(elements)}
    for element in elements:
        if not str(element.get("type", "")).startswith("Action."):
            continue
        yield Button(element, inputs)
        if isinstance(element.get("card"), dict):
            yield from buttons_of(element["card"], inputs)


def _elements(node: Any) -> Iterator[dict[str, Any]]:
    """Every object with a type, down to but not into unfolding cards, data and fallbacks."""
    if isinstance(node, list):
        for item in node:
            yield from _elements(item)
    elif isinstance(node, dict):
        if "type" in node:
            yield node
        for key, value in node.items():
            if key not in {"card", "data", "fallback", "refresh"}:
                yield from _elements(value)


def _is_input(element: dict[str, Any]) -> bool:
    return str(element.get("type", "")).startswith("Input.") and "id" in element


def _untouched_inputs(elements: list[dict[str, Any]]) -> dict[str, str]:
    """Values by input id; an empty input is not sent at all, as seen in Microsoft 365 Agents Playground 0.2.28."""
    values = {one["id"]: _untouched(one) for one in elements if _is_input(one)}
    return {input_id: value for input_id, value in values.items() if value}


def _untouched(element: dict[str, Any]) -> str:
    if element["type"] == "Input.Toggle":
        return str(element.get("value", element.get("valueOff", "false")))
    return str(element.get("value", ""))


def _verb_of(action: dict[str, Any]) -> str | None:
    if "verb" in action:
        return action["verb"]
    data = action.get("data")
    return data.get("verb") if isinstance(data, dict) else None
