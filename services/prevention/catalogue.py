"""What is true of every prevention item, from `catalogue.toml`: read and checked once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from services.cases import ActionKind


class Scope(StrEnum):
    ACCOUNT = "account"
    TENANT = "tenant"


class Phase(StrEnum):
    """When it is to be done, by Microsoft's roadmap; NOW belongs to the case itself."""

    NOW = "now"
    DAYS_30 = "days_30"
    DAYS_90 = "days_90"
    BEYOND = "beyond"


#: How long an item has from the day on which it was found open.
_TIME: Mapping[Phase, timedelta] = {
    Phase.NOW: timedelta(days=7),
    Phase.DAYS_30: timedelta(days=30),
    Phase.DAYS_90: timedelta(days=90),
    Phase.BEYOND: timedelta(days=365),
}


class Item(BaseModel):
    """One row. An unknown name in it is a slip of the pen and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item_id: str
    scope: Scope
    phase: Phase
    checked_by: Literal["graph", "exchange", "person"]
    link: str = Field(pattern=r"^https://learn\.microsoft\.com/\S+$")
    source: str = Field(min_length=1)
    fix: ActionKind | None = None
    #: Ids of Secure Score controls.
    controls: tuple[str, ...] = ()

    @property
    def is_manual(self) -> bool:
        """Whether only a person can tell that it is done."""
        return self.checked_by == "person"


def parse_catalogue(text: str) -> Mapping[str, Item]:
    """The items of a TOML text, in its order. Raises: tomllib.TOMLDecodeError, pydantic.ValidationError."""
    rows = {item_id: {"item_id": item_id, **row} for item_id, row in tomllib.loads(text).items()}
    return TypeAdapter(dict[str, Item]).validate_python(rows)


CATALOGUE: Mapping[str, Item] = parse_catalogue(Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8"))


def due(item_id: str, opened_at: datetime) -> datetime | None:
    """Until when an item that was found open at this moment should be done; None for one that we do not know."""
    item = CATALOGUE.get(item_id)
    return opened_at + _TIME[item.phase] if item else None
