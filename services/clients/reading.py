"""
Reading what services send: lenient leaves, strict shapes. Pure.

A leaf that cannot be understood (a date that is none, "Boolean" where a flag should be) is unknown and becomes None, so
that the rest of the answer stays of use. A container where a leaf belongs, or the reverse, or a missing identity, is no
answer that we understand: BrokenAnswer. Text loses what no database or card can hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, ValidationError

from services.cases import Value
from services.errors import BrokenAnswer

Model = TypeVar("Model", bound="Wire")


class Wire(Value):
    """A value that is read from a service's field names (and those alone, see `read`) and built in code by ours."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)


def read(model: type[Model], data: Any, service: str, /, **more: Any) -> Model:
    """`data` as a model; `more` are its fields that have no name in the service. Raises: BrokenAnswer."""
    if not isinstance(data, Mapping):
        raise BrokenAnswer(service, what=model.__name__)
    try:
        return model.model_validate({**data, **more}, by_alias=True, by_name=False)
    except ValidationError as exc:
        field = ".".join(str(part) for part in exc.errors(include_input=False)[0]["loc"])
        raise BrokenAnswer(service, what=f"{model.__name__}.{field}"[:100]) from None  # the cause would show the input


def part(data: Mapping[str, Any], name: str, service: str) -> Mapping[str, Any]:
    """A member that is an object; empty when it is absent or null. Raises: BrokenAnswer for anything else."""
    value = data.get(name)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise BrokenAnswer(service, what=name)
    return value


def parts(data: Mapping[str, Any], name: str, service: str) -> list[Mapping[str, Any]]:
    """A member that is a list of objects; empty when it is absent or null. Raises: BrokenAnswer for anything else."""
    value = data.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise BrokenAnswer(service, what=name)
    return value


# --- leaves ----------------------------------------------------------------------------------------------------------


def clean(text: str) -> str:
    """Text without NUL and half surrogates, which outsiders may put in a name and PostgreSQL refuses to store."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "\ufffd")


def plain(value: Any) -> Any:
    """Anything out of JSON, with all its texts as `clean` leaves them."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(name)): plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def to_text(value: Any) -> str | None:
    """Text, or a number spelled out; None when it is absent or blank. Raises: ValueError for a container."""
    _must_be_leaf(value)
    if value is None or isinstance(value, bool):
        return None if value is None else str(value)
    text = clean(value if isinstance(value, str) else _number_text(value))
    return text if text.strip() else None


def to_loose_text(value: Any) -> str | None:
    """As `to_text`, but containers are spelled as JSON: for fields whose form over REST nobody has documented."""
    if isinstance(value, (Mapping, list)):
        return clean(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return to_text(value)


def to_flag(value: Any) -> bool | None:
    """True or False, also when spelled as text; None for anything else. Raises: ValueError for a container."""
    _must_be_leaf(value)
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.strip().casefold()) if isinstance(value, str) else None


def to_whole(value: Any) -> int | None:
    """A whole number, also when spelled as text ("10,000" too); None for anything else. ValueError for a container."""
    _must_be_leaf(value)
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    digits = str(value).strip().replace(",", "") if isinstance(value, str) else _number_text(value)
    return int(digits) if re.fullmatch(r"-?\d{1,25}", digits, re.ASCII) else None


def to_number(value: Any) -> float | None:
    """A finite number; None for anything else. Raises: ValueError for a container."""
    _must_be_leaf(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if abs(value) < 1e15 else None  # also false for NaN


def to_moment(value: Any) -> datetime | None:
    """
    A moment in UTC; None when it cannot be read, or is .NET's year 1 for "never". Raises: ValueError for a container.

    Reads ISO 8601 with any number of decimals (without an offset it is UTC), `/Date(milliseconds)/`, US dates with
    times as Exchange prints them, and the dates of HTTP headers. Exchange's own form over REST is not documented.
    """
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    _must_be_leaf(value)
    moment = _read_moment(value.strip()) if isinstance(value, str) else None
    return _in_utc(moment) if moment is not None else None


def to_texts(value: Any) -> tuple[str, ...]:
    """A list of texts; a single text counts as a list of one, null as none. Raises: ValueError for other containers."""
    if isinstance(value, Mapping):
        raise ValueError("an object where a list belongs")
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(text for item in items if (text := to_text(item)) is not None)


def to_loose_texts(value: Any) -> tuple[str, ...]:
    """As `to_texts`, with containers in the list spelled as JSON."""
    items = value if isinstance(value, (list, tuple)) else [value]
    return tuple(text for item in items if (text := to_loose_text(item)) is not None)


def to_smtp_addresses(value: Any) -> tuple[str, ...]:
    """The mail addresses among proxy addresses such as "SMTP:jane@contoso.com" or "X500:/o=..."."""
    return tuple(bare for text in to_texts(value) if (bare := smtp_address(text)) is not None)


def smtp_address(text: str) -> str | None:
    """The address without its "smtp:"; None when it is of another kind, such as "X500:" or "SIP:"."""
    kind, colon, rest = text.strip().partition(":")
    if not colon:
        return kind or None
    return rest.strip() or None if kind.casefold() == "smtp" else None


def to_id(value: Any) -> str:
    """A text that must be there. Raises: ValueError."""
    text = to_text(value)
    if text is None:
        raise ValueError("missing")
    return text


MaybeText = Annotated[str | None, BeforeValidator(to_text)]
LooseText = Annotated[str | None, BeforeValidator(to_loose_text)]
Name = Annotated[str, BeforeValidator(lambda value: to_text(value) or "")]
Id = Annotated[str, BeforeValidator(to_id)]
MaybeFlag = Annotated[bool | None, BeforeValidator(to_flag)]
MaybeWhole = Annotated[int | None, BeforeValidator(to_whole)]
MaybeNumber = Annotated[float | None, BeforeValidator(to_number)]
MaybeMoment = Annotated[datetime | None, BeforeValidator(to_moment)]
Texts = Annotated[tuple[str, ...], BeforeValidator(to_texts)]
LooseTexts = Annotated[tuple[str, ...], BeforeValidator(to_loose_texts)]
SmtpAddresses = Annotated[tuple[str, ...], BeforeValidator(to_smtp_addresses)]


def _must_be_leaf(value: Any) -> None:
    if isinstance(value, (Mapping, list, tuple)):
        raise ValueError("a container where a single value belongs")


def _number_text(value: float) -> str:
    try:
        return str(value)
    except ValueError:  # Python refuses to spell out numbers of thousands of digits
        return ""


_US_FORMATS = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S", "%m/%d/%Y %I:%M %p", "%m/%d/%Y")


def _read_moment(text: str) -> datetime | None:
    milliseconds = re.fullmatch(r"\\?/Date\((-?\d{1,15})(?:[+-]\d{4})?\)\\?/", text, re.ASCII)
    if milliseconds:
        return _since_epoch(int(milliseconds.group(1)))
    for attempt in (datetime.fromisoformat, _us_moment, parsedate_to_datetime):
        try:
            return attempt(text)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _us_moment(text: str) -> datetime:
    for form in _US_FORMATS:
        try:
            return datetime.strptime(text, form)
        except ValueError:
            continue
    raise ValueError("no US date")


def _since_epoch(milliseconds: int) -> datetime | None:
    try:
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _in_utc(moment: datetime) -> datetime | None:
    try:
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        return None
    return moment if moment.year > 1900 else None
