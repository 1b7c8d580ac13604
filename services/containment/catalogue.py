"""What is true of every action of a kind, from `catalogue.toml`: read and checked once."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from services.cases import Action, ActionKind, Impact, say


class Entry(BaseModel):
    """One kind of action. An unknown name in its row is a slip of the pen and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    impact: Impact
    #: Whether what was there before is kept, so that it can be put back.
    reversible: bool
    #: What our app needs for it: permissions of Graph, or the right to cmdlets.
    permission: str = Field(min_length=1)
    source: str = Field(min_length=1)
    #: Whether the approver may leave it out, and whether it is in unless they do.
    optional: bool = False
    ticked: bool = True
    #: Key of a text that the approver must see.
    warning: str | None = None
    #: "person" when Graph refuses it to apps for an account that holds an admin role.
    admins: Literal["app", "person"] = "app"
    #: What the tenant must have bought, as Microsoft names it; without it the action is left out.
    licence: str | None = None

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not self.ticked and not self.optional:
            raise ValueError("an action that is not optional is always in")
        return self


def parse_catalogue(text: str) -> Mapping[ActionKind, Entry]:
    """The entries of a TOML text. Raises: tomllib.TOMLDecodeError, pydantic.ValidationError, ValueError for a gap."""
    entries = TypeAdapter(dict[ActionKind, Entry]).validate_python(tomllib.loads(text))
    missing = [kind.value for kind in ActionKind if kind not in entries]
    if missing:
        raise ValueError(f"no row for {', '.join(missing)}")
    return entries


#: What is in `catalogue.toml`, a row for each kind.
CATALOGUE: Mapping[ActionKind, Entry] = parse_catalogue(
    Path(__file__).with_name("catalogue.toml").read_text(encoding="utf-8")
)


def new_action(kind: ActionKind, target: Mapping[str, Any], name: str, *identity: object, **changes: Any) -> Action:
    """An action as the catalogue has it. `identity` tells its target from others of the kind, whatever their names."""
    entry = CATALOGUE[kind]
    action = Action(
        action_id=f"{kind.value}:{_short_hash(identity)}" if identity else kind.value,
        kind=kind,
        target=dict(target),
        target_name=name,
        impact=entry.impact,
        reversible=entry.reversible,
        optional=entry.optional,
        ticked=entry.ticked,
        warning=say(entry.warning) if entry.warning else None,
    )
    return action.model_copy(update=changes)


def _short_hash(identity: Sequence[object]) -> str:
    return hashlib.sha256("\x1f".join(map(str, identity)).encode()).hexdigest()[:8]
