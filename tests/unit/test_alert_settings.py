"""The section `[alerts]`: what stands in the example is all that there is, and it can be read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from services.alerts.model import SourceName
from services.alerts.settings import AlertSettings

ROOT = Path(__file__).parents[2]


def example() -> dict[str, Any]:
    return tomllib.loads((ROOT / "docs/alerts.toml").read_text(encoding="utf-8"))["alerts"]


def keys_of(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in section.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from keys_of(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def written(section: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in section.items():
        yield from written(value, f"{prefix}{name}.") if isinstance(value, dict) else [f"{prefix}{name}"]


def test_the_example_has_every_key_that_there_is() -> None:
    """
    Whoever reads `docs/alerts.toml` knows all that can be set, and can paste it.
    """
    assert set(keys_of(AlertSettings)) == set(written(example()))
    assert AlertSettings.model_validate(example()).early_warning.on


def test_what_the_example_calls_a_default_is_one() -> None:
    """
    Everything but what a comment says otherwise of.
    """
    given, default = AlertSettings.model_validate(example()), AlertSettings()
    same = {"share_of_limit", "times_usual", "least_recipients", "requests"}
    assert given.digest_from == default.digest_from
    assert given.early_warning.model_dump(include=same) == default.early_warning.model_dump(include=same)
    assert (given.weekly.on, given.weekly.day, given.weekly.at) == (
        default.weekly.on,
        default.weekly.day,
        default.weekly.at,
    )


def test_nothing_is_switched_off_and_nobody_may_send_unless_told() -> None:
    """
    All sources are watched; the webhook is closed.
    """
    assert all(AlertSettings().watches(name) for name in SourceName)
    assert not AlertSettings().webhook.is_on


@pytest.mark.parametrize(
    "section",
    [
        {"off": ["the weather"]},
        {"digest_from": 1},
        {"webhook": {"secret": "too short"}},
        {"webhook": {"callers": ["a logic app"]}},
        {"early_warning": {"requests": 101}},
        {"weekly": {"time_zone": "Europe/Atlantis"}},
        {"wekly": {}},
    ],
)
def test_what_makes_no_sense_is_refused(section: dict[str, Any]) -> None:
    """
    Before anything starts.
    """
    with pytest.raises(ValidationError):
        AlertSettings.model_validate(section)
