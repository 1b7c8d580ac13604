"""The kinds of values in `[approvals]`, each read from TOML or JSON with one plain sentence when it is wrong."""

from __future__ import annotations

import re
from datetime import time
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import PlainValidator

from services.cases import Impact, VerdictLabel

#: What an Entra object id of a person or a group looks like.
OBJECT_ID = re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
#: Stands for whoever is on call at that moment.
ON_CALL = "oncall"
NEVER: Literal["never"] = "never"
MOST_APPROVERS = 5
#: The longest that a question may wait, in minutes; that of the setting `approval_timeout_minutes`.
MOST_MINUTES = 7 * 24 * 60
#: More moments than this would be a nuisance, not a reminder.
MOST_MOMENTS = 10

_CONTEXT = re.compile(r"c[1-9]\d?")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


class Weekday(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @property
    def number(self) -> int:
        """As `date.weekday()` has it: Monday is 0."""
        return list(Weekday).index(self)


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MOST_APPROVERS:
        raise ValueError(f"must be a number from 1 to {MOST_APPROVERS}")
    return value


def _count_or_never(value: Any) -> int | Literal["never"]:
    if value == NEVER:
        return NEVER
    if type(value) is not int or not 1 <= value <= MOST_APPROVERS:
        raise ValueError(f'must be a number from 1 to {MOST_APPROVERS}, or "never"')
    return value


def _list(value: Any) -> list[Any]:
    """A list; one word alone is a list of one."""
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)):
        raise ValueError("must be a list")
    return list(value)


def _people(value: Any) -> tuple[str, ...]:
    entries = _list(value)
    for entry in entries:
        if entry != ON_CALL and not _is_object_id(entry):
            raise ValueError(f'{entry!r} is neither "{ON_CALL}" nor an Entra object id of a person or a group')
    return tuple(dict.fromkeys(entry.lower() for entry in entries))


def _accounts(value: Any) -> tuple[str, ...]:
    entries = _list(value)
    for entry in entries:
        if not _is_object_id(entry):
            raise ValueError(f"{entry!r} is no Entra object id of an account or a group")
    if not entries:
        raise ValueError("must name at least one account or group")
    return tuple(dict.fromkeys(entry.lower() for entry in entries))


def _is_object_id(entry: Any) -> bool:
    return isinstance(entry, str) and OBJECT_ID.fullmatch(entry) is not None


def _chain(value: Any) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f'must be a list of lists, such as [["{ON_CALL}"]]')
    return tuple(_level(number, level) for number, level in enumerate(value, start=1))


def _level(number: int, level: Any) -> tuple[str, ...]:
    try:
        return _people(level)
    except ValueError as exc:
        raise ValueError(f"level {number}: {exc}") from None


def _some_of(kind: type[StrEnum], value: Any) -> tuple[Any, ...]:
    entries, known = _list(value), [member.value for member in kind]
    for entry in entries:
        if entry not in known:
            raise ValueError(f"{entry!r} is none of: {', '.join(known)}")
    if not entries:
        raise ValueError(f"must name at least one of: {', '.join(known)}")
    return tuple(member for member in kind if member.value in entries)


def _minutes(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MOST_MINUTES:
        raise ValueError(f"must be a number of minutes, more than 0 and at most {MOST_MINUTES}")
    return float(value)


def _moments(value: Any) -> tuple[float, ...]:
    entries = value if isinstance(value, (list, tuple)) else [value]
    moments = tuple(_minutes(entry) for entry in entries)
    if len(moments) > MOST_MOMENTS:
        raise ValueError(f"must be at most {MOST_MOMENTS} moments")
    for earlier, later in pairwise(moments):
        if later <= earlier:
            raise ValueError(f"must increase, and {later:g} does not come after {earlier:g}")
    return moments


def _clock(value: Any) -> time:
    """TOML has times of its own (08:00:00); as text it is 08:00, and 24:00 is the midnight at the end of the day."""
    if isinstance(value, time):
        return value
    found = _CLOCK.fullmatch(value) if isinstance(value, str) else None
    if value == "24:00":
        return time(0)
    if found is None:
        raise ValueError("must be a time of day such as 08:00")
    return time(int(found[1]), int(found[2]))


def _authentication_context(value: Any) -> str:
    """Source: "Conditional Access: Cloud apps, actions, and authentication context", 2025: c1 to c99."""
    if not isinstance(value, str) or not _CONTEXT.fullmatch(value):
        raise ValueError(f"{value!r} is no id of an authentication context; those are c1 to c99")
    return value


def _time_zone(value: Any) -> str:
    if not isinstance(value, str) or value not in available_timezones():
        raise ValueError(f"{value!r} is no time zone; write one such as Europe/Stockholm")
    return value


Count = Annotated[int, PlainValidator(_count)]
CountOrNever = Annotated[int | Literal["never"], PlainValidator(_count_or_never)]
#: Entra object ids of people or groups, in lower case, or "oncall".
People = Annotated[tuple[str, ...], PlainValidator(_people)]
#: Entra object ids of accounts or groups, in lower case.
Accounts = Annotated[tuple[str, ...], PlainValidator(_accounts)]
Chain = Annotated[tuple[tuple[str, ...], ...], PlainValidator(_chain)]
Impacts = Annotated[tuple[Impact, ...], PlainValidator(lambda value: _some_of(Impact, value))]
Verdicts = Annotated[tuple[VerdictLabel, ...], PlainValidator(lambda value: _some_of(VerdictLabel, value))]
Days = Annotated[tuple[Weekday, ...], PlainValidator(lambda value: _some_of(Weekday, value))]
Minutes = Annotated[float, PlainValidator(_minutes)]
#: One number of minutes after the question, or several that increase.
Moments = Annotated[tuple[float, ...], PlainValidator(_moments)]
TimeOfDay = Annotated[time, PlainValidator(_clock)]
AuthenticationContext = Annotated[str, PlainValidator(_authentication_context)]
TimeZone = Annotated[str, PlainValidator(_time_zone)]
