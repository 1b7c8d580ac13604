"""The part of OData that Graph callers use: `$filter`, `$search`, `$select` and pages."""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

Record = Mapping[str, Any]
Predicate = Callable[[Record], bool]

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>'(?:[^']|'')*')
  | (?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)?)
  | (?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<name>[A-Za-z_@$][\w.\-/]*)
  | (?P<mark>[(),:])
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": lambda left, right: left == right,
    "ne": lambda left, right: left != right,
    "ge": lambda left, right: left is not None and left >= right,
    "gt": lambda left, right: left is not None and left > right,
    "le": lambda left, right: left is not None and left <= right,
    "lt": lambda left, right: left is not None and left < right,
}
_TEXT_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": lambda text, part: part in text,
}


class BadQuery(Exception):
    """The query makes no sense to the service; the message says why, in the service's words."""


@dataclass(frozen=True)
class Filter:
    """A parsed `$filter`: what it lets through, which operators and which properties it uses."""

    matches: Predicate
    operators: frozenset[str]
    fields: frozenset[str]


def parse_filter(text: str) -> Filter:
    """A `$filter` expression made usable. Text is compared without regard to case. Raises: BadQuery."""
    parser = _Parser(_tokens(text))
    matches = parser.expression()
    parser.expect_end()
    return Filter(matches, frozenset(parser.operators), frozenset(parser.fields))


def parse_search(text: str) -> Predicate:
    """
    A `$search` over directory objects: quoted `"property:words"` clauses joined by AND / OR. Raises: BadQuery.

    Words match the beginnings of words, as Microsoft's tokenised search does ("Use the $search query parameter").
    """
    parts = re.findall(r'"([^":]+):((?:[^"\\]|\\.)*)"|\b(AND|OR)\b', text)
    rest = re.sub(r'"([^":]+):((?:[^"\\]|\\.)*)"|\b(AND|OR)\b|[\s()]', "", text)
    clauses = [_search_clause(name, words) for name, words, joint in parts if not joint]
    if rest or not clauses:
        raise BadQuery(f"Syntax error: character '{(rest or text or ' ')[0]}' is not valid at position 0 in '{text}'.")
    joints = [joint for _, _, joint in parts if joint]
    if "OR" in joints:
        return lambda record: any(clause(record) for clause in clauses)
    return lambda record: all(clause(record) for clause in clauses)


def _search_clause(name: str, words: str) -> Predicate:
    wanted = words.lower().split()

    def matches(record: Record) -> bool:
        value = read_path(record, name)
        found = [str(inner).lower() for inner in (value if isinstance(value, list) else [value]) if inner is not None]
        tokens = [token for text in found for token in [text, *re.split(r"[\s@.:]+", text)]]
        return all(any(token.startswith(word) for token in tokens) for word in wanted)

    return matches


def read_path(record: Any, path: str) -> Any:
    """The value at `a/b/c`, or None when something on the way is missing."""
    for step in path.split("/"):
        if not isinstance(record, Mapping):
            return None
        record = record.get(step)
    return record


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise BadQuery(f"Syntax error at position {position} in '{text}'.")
        found.append((match.lastgroup, match.group(match.lastgroup)))
        position = match.end()
    return found


class _Parser:
    """Recursive descent over the tokens: or, and, not, comparison."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self._variable = ""
        self.operators: set[str] = set()
        self.fields: set[str] = set()

    def expression(self) -> Predicate:
        terms = [self._conjunction()]
        while self._take_word("or"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else lambda record: any(term(record) for term in terms)

    def expect_end(self) -> None:
        if self._position != len(self._tokens):
            raise BadQuery(f"Syntax error: unexpected '{self._tokens[self._position][1]}'.")

    def _conjunction(self) -> Predicate:
        terms = [self._term()]
        while self._take_word("and"):
            terms.append(self._term())
        return terms[0] if len(terms) == 1 else lambda record: all(term(record) for term in terms)

    def _term(self) -> Predicate:
        if self._take_word("not"):
            self.operators.add("not")
            inner = self._term()
            return lambda record: not inner(record)
        if self._take_mark("("):
            inner = self.expression()
            self._need_mark(")")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        name = self._need("name")
        if name.lower() in _TEXT_FUNCTIONS and self._take_mark("("):
            return self._text_function(name.lower())
        if name.endswith(("/any", "/all")) and self._take_mark("("):
            return self._lambda(name)
        operator = self._need("name").lower()
        self.operators.add(operator)
        read = self._reader(name)
        if operator == "in":
            return self._membership(name, read)
        if operator not in _COMPARISONS:
            raise BadQuery(f"Invalid filter clause: unknown operator '{operator}'.")
        compare, value = _COMPARISONS[operator], self._literal(name)
        return lambda record: compare(_comparable(read(record), value), value)

    def _membership(self, name: str, read: Callable[[Record], Any]) -> Predicate:
        self._need_mark("(")
        values = [self._literal(name)]
        while self._take_mark(","):
            values.append(self._literal(name))
        self._need_mark(")")
        return lambda record: any(_comparable(read(record), value) == value for value in values)

    def _text_function(self, function: str) -> Predicate:
        self.operators.add(function)
        name = self._need("name")
        read = self._reader(name)
        self._need_mark(",")
        value = self._literal(name)
        self._need_mark(")")
        apply = _TEXT_FUNCTIONS[function]
        return lambda record: apply(str(read(record) or "").lower(), str(value))

    def _lambda(self, name: str) -> Predicate:
        path, _, quantifier = name.rpartition("/")
        read_list = self._reader(path)
        self._variable = self._need("name")
        self._need_mark(":")
        inner = self.expression()
        self._need_mark(")")
        variable, self._variable = self._variable, ""
        choose = any if quantifier == "any" else all
        return lambda record: choose(inner({variable: item}) for item in (read_list(record) or []))

    def _reader(self, name: str) -> Callable[[Record], Any]:
        if not self._variable or name.split("/")[0] != self._variable:
            self.fields.add(name)
        return lambda record: read_path(record, name)

    def _literal(self, field: str) -> Any:
        if self._position >= len(self._tokens):
            raise BadQuery("Invalid filter clause: a value is missing.")
        kind, text = self._tokens[self._position]
        self._position += 1
        if kind == "string" and field.endswith("DateTime"):
            raise BadQuery(
                "A binary operator with incompatible types was detected. Found operand types "
                "'Edm.DateTimeOffset' and 'Edm.String' for operator kind 'GreaterThanOrEqual'."
            )
        return _value(kind, text)

    def _peek(self, kind: str, text: str) -> bool:
        if self._position >= len(self._tokens):
            return False
        found_kind, found = self._tokens[self._position]
        return found_kind == kind and found.lower() == text

    def _take_word(self, word: str) -> bool:
        found = self._peek("name", word)
        self._position += found
        return found

    def _take_mark(self, mark: str) -> bool:
        found = self._peek("mark", mark)
        self._position += found
        return found

    def _need_mark(self, mark: str) -> None:
        if not self._take_mark(mark):
            raise BadQuery(f"Syntax error: '{mark}' expected.")

    def _need(self, kind: str) -> str:
        if self._position >= len(self._tokens) or self._tokens[self._position][0] != kind:
            raise BadQuery("Invalid filter clause.")
        self._position += 1
        return self._tokens[self._position - 1][1]


def _value(kind: str, text: str) -> Any:
    if kind == "string":
        return text[1:-1].replace("''", "'").lower()
    if kind == "time":
        return parse_time(text)
    if kind == "number":
        return float(text)
    words = {"true": True, "false": False, "null": None}
    if kind == "name" and text.lower() not in words:
        raise BadQuery(f"Invalid filter clause: '{text}' is not a value.")
    return words[text.lower()] if kind == "name" else text.lower()


def parse_time(text: str) -> datetime:
    """An aware UTC time from Graph's spelling, with up to seven fraction digits. Raises: BadQuery."""
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", text)
    try:
        moment = datetime.fromisoformat(shortened)
    except ValueError as exc:
        raise BadQuery(f"Invalid filter clause: '{text}' is not a time.") from exc
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _comparable(found: Any, wanted: Any) -> Any:
    if isinstance(wanted, datetime):
        return None if found is None else parse_time(str(found))
    if isinstance(wanted, str):
        return str(found).lower() if found is not None else None
    return found


def page(items: list[Any], skip_token: str | None, size: int) -> tuple[list[Any], str | None]:
    """The page a skip token points at (None: the first), and the token of the next page if there is one."""
    start = read_token(skip_token) if skip_token else 0
    end = start + size
    return items[start:end], (write_token(end) if end < len(items) else None)


def write_token(position: int) -> str:
    """An opaque token for a position."""
    return base64.urlsafe_b64encode(f"RFNwdAoAAQ:{position}".encode()).decode()


def read_token(token: str) -> int:
    """The position an opaque token stands for. Raises: BadQuery."""
    try:
        return int(base64.urlsafe_b64decode(token.encode()).decode().rpartition(":")[2])
    except ValueError as exc:
        raise BadQuery("Skip token is invalid.") from exc


def query_text(query: Mapping[str, str]) -> str:
    """A query string, names left readable and values quoted, as in Graph's next links."""
    return "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
