"""
Markdown that cannot be broken by what stands in it: cells, tables, and a long text in messages that each hold by
themselves. Pure.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cards.language import JOINER

#: What a message may weigh, as JSON with everything beyond ASCII escaped, which is its largest form. Teams refuses
#: messages from 28 KB on in its older parts, names and addresses around the text included.
#: Source: Microsoft Teams documentation, "Format your bot messages" and "Rate limiting for bots", read 2026-11-23.
MAX_MESSAGE_BYTES = 18_000
#: Looks like the bar that ends a cell of a table, and is none.
_BAR = "∣"
_HEADING = re.compile(r"#{1,6} ")
_JOINED_NUMBER = re.compile(rf"(?<=.){JOINER}(?=\d+[.)])")
_FENCE = "```"
_ELLIPSIS = "…"


def cell(text: str) -> str:
    """
    A text that was made harmless already (`cards.language.card_text`), for anywhere in Markdown, tables too.

    Numbers, such as addresses, are kept as they can be copied: they mean a list only where a line begins.
    """
    return " ".join(_JOINED_NUMBER.sub("", text.replace("|", _BAR)).split())


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table, with an empty one before and after it. Cells are as `cell` makes them."""
    lines = [_row(headers), _row(["---"] * len(headers)), *(_row(row) for row in rows)]
    return ["", *lines, ""]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def size_bytes(text: str) -> int:
    """How large the text is on the wire, its quotes included. A line weighs as much with the break after it."""
    return len(json.dumps(text))


# --- a long text in several messages ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """One line, the headings that it stands under, and for the row of a table the two lines above its first row."""

    text: str
    headings: tuple[str, ...] = ()
    head: tuple[str, ...] = ()


def parts(markdown: str, limit_bytes: int = MAX_MESSAGE_BYTES) -> list[str]:
    """
    The text in as few messages as fit, in order; each is Markdown by itself and at most `limit_bytes` large.

    A section stays whole where it can. What goes on in the next message has its headings there again, a table its head,
    and a line that is larger than a message an ellipsis. Headings must be far smaller than a message.
    """
    pages = _Pages(limit_bytes)
    for section in _sections(_lines(markdown.split("\n"))):
        pages.make_room(section)
        for line in section:
            pages.add(line)
    return pages.done()


def fenced(text: str, limit_bytes: int = MAX_MESSAGE_BYTES) -> list[str]:
    """
    The lines of a text without backticks in code blocks, as few as fit, each at most `limit_bytes` large.

    A line that is larger than a message is cut anywhere, so that what is copied from all blocks is what was written.
    """
    room = limit_bytes - _weight((_FENCE, _FENCE))
    blocks: list[list[str]] = [[]]
    weight = 0
    for piece in (piece for line in text.split("\n") for piece in _chopped(line, room)):
        weight += size_bytes(piece)
        if weight > room:
            blocks.append([])
            weight = size_bytes(piece)
        blocks[-1].append(piece)
    return ["\n".join((_FENCE, *block, _FENCE)) for block in blocks]


def _chopped(text: str, room: int) -> Iterator[str]:
    while size_bytes(text) > room:
        end = _how_much_fits(text, room)
        yield text[:end]
        text = text[end:]
    yield text


def _lines(texts: Sequence[str]) -> Iterator[_Line]:
    headings: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    skip = 0  # the head of a table goes with its rows
    for place, text in enumerate(texts):
        if _HEADING.match(text):
            headings = tuple(above for above in headings if _level(above) < _level(text))
        if not text.startswith("|"):
            head = ()
        elif not head and texts[place + 1 : place + 2] == [_rule_below(text)]:
            head, skip = (text, texts[place + 1]), 2
        if not skip:
            yield _Line(text, headings, head)
        skip = max(0, skip - 1)
        headings = (*headings, text) if _HEADING.match(text) else headings


def _level(heading: str) -> int:
    return len(heading) - len(heading.lstrip("#"))


def _rule_below(head: str) -> str:
    return _row(["---"] * (head.count("|") - 1))


def _sections(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """The lines from each heading to the next."""
    section: list[_Line] = []
    for line in lines:
        if _HEADING.match(line.text) and section:
            yield section
            section = []
        section.append(line)
    yield section


class _Pages:
    """Fills one page after the other."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._done: list[str] = []
        self._page: list[str] = []

    def make_room(self, section: Sequence[_Line]) -> None:
        """A new page for a section that does not fit on what is left of this one, and does on a whole one."""
        heads = {line.head for line in section}
        texts = [*(line.text for line in section), *(text for head in heads for text in head)]
        above = section[0].headings
        if not self._fits(self._page, texts) and self._fits(above, texts):
            self._turn(above)

    def add(self, line: _Line) -> None:
        room = self._limit_bytes - _weight((*line.headings, *line.head))
        for text in _cut(line.text, room):
            if not self._fits(self._page, self._with_head(text, line.head)):
                self._turn(line.headings)
            self._page += self._with_head(text, line.head)

    def done(self) -> list[str]:
        self._turn(())
        return self._done

    def _with_head(self, text: str, head: tuple[str, ...]) -> list[str]:
        goes_on = bool(self._page) and self._page[-1].startswith("|")
        return [text] if goes_on else [*head, text]

    def _fits(self, page: Sequence[str], texts: Sequence[str]) -> bool:
        return _weight(page) + _weight(texts) <= self._limit_bytes

    def _turn(self, headings: tuple[str, ...]) -> None:
        """The page is full. Headings at its end go to the next one, which begins with those that it is under."""
        page = self._page
        while page and (not page[-1] or page[-1] in headings):
            page = page[:-1]
        if page:
            self._done.append("\n".join(page))
        self._page = list(headings)


def _weight(texts: Iterable[str]) -> int:
    return sum(map(size_bytes, texts))


def _cut(text: str, room: int) -> Iterator[str]:
    """The line in pieces that have room; of the row of a table its largest cells are cut instead."""
    if text.startswith("|") and size_bytes(text) > room:
        yield _narrowed(text, room)
        return
    while size_bytes(text) > room:
        end = _longest_start(text, room)
        yield text[:end].rstrip()
        text = f"{_ELLIPSIS} {text[end:].lstrip()}"
    yield text


def _how_much_fits(text: str, room: int) -> int:
    return bisect_right(range(len(text)), room, key=lambda n: size_bytes(text[: n + 1]))


def _longest_start(text: str, room: int) -> int:
    """How many characters have room, up to the last space among them when there is one."""
    end = _how_much_fits(text, room)
    space = text.rfind(" ", end // 2, end)
    return space if space > 2 else max(end, 3)


def _narrowed(row: str, room: int) -> str:
    cells = [part.strip() for part in row.strip("|").split("|")]
    while size_bytes(_row(cells)) > room and any(len(text) > 1 for text in cells):
        longest = max(range(len(cells)), key=lambda n: len(cells[n]))
        cells[longest] = cells[longest][: len(cells[longest]) // 2] + _ELLIPSIS
    return _row(cells)
