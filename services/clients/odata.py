"""The grammar that Graph and Exchange share: quoting, addresses of calls, pages. Pure but for `pages`, which sends."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from services.clients.http import Request, Response, Send
from services.clients.reading import parts
from services.errors import BrokenAnswer, Rejected

Item = TypeVar("Item")

#: No answer that we ask for has so many pages; more means a loop or a mistake, and stopping short would hide things.
MAX_PAGES = 200


def segment(value: str) -> str:
    """
    A value as one segment of a path: `/`, `+`, `%`, `#` and the like are encoded, so that it stays one segment.

    Raises: Rejected (code bad_id) for an empty value and for the two that are a step in a path rather than a name.
    """
    if value.strip() in ("", ".", ".."):
        raise Rejected("graph", code="bad_id", detail="An empty name or a path step is no id.")
    return quote(value, safe="", errors="replace")


def literal(value: str) -> str:
    """A text in a filter: in single quotes, those inside doubled. Not URL-encoded; `query` does that."""
    return "'" + value.replace("'", "''") + "'"


def moment(at: datetime) -> str:
    """A moment in a filter: UTC, whole seconds, no quotes."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def words(text: str) -> list[str]:
    """The words of a text, as `$search` takes them: letters, digits, hyphens and apostrophes only, ten at most."""
    return re.findall(r"[\w'’-]+", text)[:10]


def query(options: Mapping[str, str]) -> str:
    """Options as a query string with its question mark; empty when there are none."""
    pairs = [f"{quote(name, safe='$')}={quote(value, safe='', errors='replace')}" for name, value in options.items()]
    return "?" + "&".join(pairs) if pairs else ""


def parse_page(response: Response) -> tuple[list[Mapping[str, Any]], str | None]:
    """
    The objects of one page and the address of the next one (None on the last).

    Expects {"value": [{...}], "@odata.nextLink": str}. An empty list is an answer. Raises: BrokenAnswer.
    Source: "Paging Microsoft Graph data in your app", 2025.
    """
    service, data = response.request.service, response.json()
    if not isinstance(data, Mapping) or "value" not in data or data["value"] is None:
        raise BrokenAnswer(service, action=response.request.action, what="value")
    items, link = parts(data, "value", service), data.get("@odata.nextLink")
    if link is not None and not isinstance(link, str):
        raise BrokenAnswer(service, action=response.request.action, what="nextLink")
    return items, link or None


async def pages(
    send: Send,
    first: Request,
    parse: Callable[[Response], tuple[Sequence[Item], str | None]] = parse_page,
    max_pages: int = MAX_PAGES,
) -> AsyncIterator[Sequence[Item]]:
    """
    Page after page, each fetched when it is asked for; the same method, headers and body go to every link.

    Raises: BrokenAnswer for a link to another origin (our token would go with it), one that was followed before, or too
    many pages; and whatever sending and parsing raise.
    """
    request, seen = first, {first.url}
    for _ in range(max_pages):
        items, link = parse(await send(request))
        yield items
        if link is None:
            return
        if link in seen or not same_origin(link, first.url):
            raise BrokenAnswer(first.service, action=first.action, what="nextLink")
        seen.add(link)
        request = replace(request, url=link)
    raise BrokenAnswer(first.service, action=first.action, what="too_many_pages")


def same_origin(one: str, other: str) -> bool:
    """Whether two addresses have the same scheme, host and port."""
    try:
        return _origin(one) == _origin(other)
    except ValueError:
        return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    split = urlsplit(url)
    if split.username is not None:
        raise ValueError("an address with credentials in it")
    return split.scheme, split.hostname, split.port or {"https": 443, "http": 80}.get(split.scheme)
