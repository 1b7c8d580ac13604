"""The section `[oncall]` as it is written, with its defaults and its checks. See `docs/oncall.toml`."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainValidator,
    SecretStr,
    StringConstraints,
    Tag,
    field_validator,
    model_validator,
)

from services.policy.fields import OBJECT_ID, TimeOfDay, TimeZone
from services.urls import is_private

_PAGERDUTY_ID = re.compile(r"[A-Z0-9]{1,32}")
_PAGERDUTY_URLS = {"us": "https://api.pagerduty.com", "eu": "https://api.eu.pagerduty.com"}
_OPSGENIE_URLS = {"us": "https://api.opsgenie.com", "eu": "https://api.eu.opsgenie.com"}


def _object_id(value: Any) -> str:
    if not isinstance(value, str) or not OBJECT_ID.fullmatch(value):
        raise ValueError(f"{value!r} is no Entra object id; names and addresses are not accepted here")
    return value.lower()


def _people(value: Any) -> tuple[str, ...]:
    """A list of object ids; one alone is a list of one."""
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)) or not entries:
        raise ValueError("must be an Entra object id of a person, or a list of them")
    return tuple(dict.fromkeys(map(_object_id, entries)))


def _key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value().strip()
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("must be an API key: plain characters, not empty")
    return SecretStr(text)


ObjectId = Annotated[str, PlainValidator(_object_id)]
#: Entra object ids of people, in lower case.
PeopleIds = Annotated[tuple[str, ...], PlainValidator(_people)]
Key = Annotated[SecretStr, AfterValidator(_key)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)]


class _Section(BaseModel):
    """Fixed once read, and a key that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Dates(_Section):
    """Who is on call from the hand-over of `first` to the one that ends `last`, whoever's turn it is."""

    first: date
    last: date
    people: PeopleIds

    @model_validator(mode="before")
    @classmethod
    def _one_day(cls, value: Any) -> Any:
        return {"last": value["first"], **value} if isinstance(value, dict) and "first" in value else value

    @model_validator(mode="after")
    def _must_end_after_it_begins(self) -> Dates:
        if self.last < self.first:
            raise ValueError(f"ends on {self.last}, before it begins on {self.first}")
        return self


class RotaSettings(_Section):
    """A rota that takes turns, or has people for dates, or both; then the dates win."""

    kind: Literal["rota"]
    name: Name = "Rota"
    time_zone: TimeZone
    #: The local time of day at which one turn ends and the next begins.
    hand_over: TimeOfDay
    #: The day on which the first turn begins.
    starts: date | None = None
    #: Length of a turn in days.
    turn_days: int = Field(default=7, ge=1, le=366)
    turns: tuple[PeopleIds, ...] = ()
    dates: tuple[Dates, ...] = ()

    @field_validator("dates")
    @classmethod
    def _must_not_overlap(cls, value: tuple[Dates, ...]) -> tuple[Dates, ...]:
        ordered = tuple(sorted(value, key=lambda dates: dates.first))
        for earlier, later in pairwise(ordered):
            if later.first <= earlier.last:
                raise ValueError(f"{later.first} is in two of them")
        return ordered

    @model_validator(mode="after")
    def _must_name_somebody(self) -> RotaSettings:
        if not self.turns and not self.dates:
            raise ValueError("needs turns, or dates, or both")
        if self.turns and self.starts is None:
            raise ValueError("needs starts, the day on which the first turn begins")
        return self


class GroupSettings(_Section):
    """Everybody in an Entra group, through other groups too."""

    kind: Literal["group"]
    name: Name = "On-call group"
    group: ObjectId


class ShiftsSettings(_Section):
    """Who is on shift in a team, by Teams Shifts."""

    kind: Literal["shifts"]
    name: Name = "Teams Shifts"
    team: ObjectId
    #: Only shifts of this scheduling group (its id, TAG_...); "" for all.
    scheduling_group: str = ""


class _Paging(_Section):
    """A paging service outside Microsoft."""

    key: Key
    region: Literal["us", "eu"] = "us"
    #: Another address of the service, for proxies and tests; the key goes there and nowhere else.
    url: str | None = None

    @field_validator("url")
    @classmethod
    def _must_be_private(cls, value: str | None) -> str | None:
        if value is not None and not is_private(value):
            raise ValueError("must be an https:// address (http:// only on this machine)")
        return value and value.rstrip("/")


class PagerDutySettings(_Paging):
    """Everybody whom these schedules of PagerDuty put on call now."""

    kind: Literal["pagerduty"]
    name: Name = "PagerDuty"
    schedules: tuple[str, ...] = Field(min_length=1)

    @field_validator("schedules")
    @classmethod
    def _must_be_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not _PAGERDUTY_ID.fullmatch(entry):
                raise ValueError(f"{entry!r} is no id of a schedule; it stands at the end of the schedule's address")
        return value

    @property
    def base_url(self) -> str:
        return self.url or _PAGERDUTY_URLS[self.region]


class OpsgenieSettings(_Paging):
    """Everybody whom this schedule of Opsgenie puts on call now."""

    kind: Literal["opsgenie"]
    name: Name = "Opsgenie"
    schedule: Name
    #: Whether `schedule` is its name or its id.
    schedule_by: Literal["name", "id"] = "name"

    @property
    def base_url(self) -> str:
        return self.url or _OPSGENIE_URLS[self.region]


def _kind(value: Any) -> str | None:
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return kind if isinstance(kind, str) else None


SourceSettings = Annotated[
    Annotated[RotaSettings, Tag("rota")]
    | Annotated[GroupSettings, Tag("group")]
    | Annotated[ShiftsSettings, Tag("shifts")]
    | Annotated[PagerDutySettings, Tag("pagerduty")]
    | Annotated[OpsgenieSettings, Tag("opsgenie")],
    Discriminator(
        _kind,
        custom_error_type="kind",
        custom_error_message="kind must be one of: rota, group, shifts, pagerduty, opsgenie",
    ),
]


class OncallSettings(_Section):
    """Where the bot learns who is on call; the sources are asked in this order."""

    sources: tuple[SourceSettings, ...] = ()
    #: Entra group that is asked when no source has an answer.
    fallback_group: ObjectId | None = None

    @field_validator("sources")
    @classmethod
    def _must_have_names_of_their_own(cls, value: tuple[SourceSettings, ...]) -> tuple[SourceSettings, ...]:
        for name, times in Counter(source.name.casefold() for source in value).items():
            if times > 1:
                raise ValueError(f"{times} of them are called {name!r}; give each a name of its own")
        return value

    @model_validator(mode="after")
    def _must_have_a_fallback(self) -> OncallSettings:
        if self.sources and self.fallback_group is None:
            raise ValueError("needs fallback_group, the Entra group that is asked when no source has an answer")
        return self
