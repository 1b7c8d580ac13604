"""
What all calls to Microsoft Graph are made of: where Graph is, how a call is built, how odd members are read. Pure.

The graph_*.py modules beside this one hold a pair for each call, `build_*` and `parse_*`, by subject; graph.py joins
them with sending. Source of paths and permissions: Microsoft's permission reference for Graph, 2026-08-07, and its
metadata, 2026-08-20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from services.clients import odata
from services.clients.clouds import graph_root, graph_scope
from services.clients.http import Request, Response
from services.clients.reading import part, parts, to_loose_text, to_text
from services.errors import BrokenAnswer, Rejected

Item = TypeVar("Item")
Object = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where Graph is, and what a token for it is called."""

    root: str
    scope: str

    @classmethod
    def at(cls, graph_url: str) -> Place:
        return cls(root=graph_root(graph_url), scope=graph_scope(graph_url))


def build(
    place: Place,
    method: str,
    template: str,
    *,
    permission: str,
    version: str = "v1.0",
    names: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    **more: Any,
) -> Request:
    """A call: `names` fill the braces of the template, each quoted as one segment; `more` are fields of `Request`."""
    filled = template.format(**{name: odata.segment(value) for name, value in (names or {}).items()})
    url = f"{place.root}/{version}{filled}{odata.query(query or {})}"
    return Request("graph", method, url, template, place.scope, permission=permission, **more)


def leaf(convert: Callable[[Any], Item], data: Object, name: str) -> Item:
    try:
        return convert(data.get(name))
    except ValueError:
        raise BrokenAnswer("graph", what=name) from None


def as_object(response: Response) -> Object:
    data = response.json()
    if not isinstance(data, Mapping):
        raise BrokenAnswer("graph", action=response.request.action, what="object")
    return data


def addresses(holder: Object, name: str) -> tuple[str, ...]:
    """Addresses; a recipient without one keeps its name, so that it is never overlooked."""
    found = []
    for recipient in parts(holder, name, "graph"):
        inner = part(recipient, "emailAddress", "graph")
        found.append(leaf(to_text, inner, "address") or leaf(to_text, inner, "name") or "?")
    return tuple(found)


def pairs(items: Any) -> dict[str, str]:
    """[{"Key": ..., "Value": ...}], in any case, as a dict; whatever has another form is left out."""
    found: dict[str, str] = {}
    for item in items if isinstance(items, list) else []:
        if isinstance(item, Mapping):
            lower = {str(name).casefold(): value for name, value in item.items()}
            key = to_loose_text(lower.get("key"))
            if key is not None:
                found[key] = to_loose_text(lower.get("value")) or ""
    return found


def says_already_there(refusal: Rejected) -> bool:
    """
    Whether this refusal only says that what was to be made is there already, which is as good as having made it.

    Graph answers 400 or 409 in words that differ from object to object; they were seen, not documented. Whoever relies
    on this reads again afterwards.
    """
    words = f"{refusal.code} {refusal.detail}".casefold()
    return refusal.params.get("status") in (400, 409) and any(phrase in words for phrase in _ALREADY_THERE)


_ALREADY_THERE = ("conflicting object", "already exist", "roleassignmentexists", "same key value")
