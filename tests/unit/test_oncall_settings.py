"""The section `[oncall]`: what it may hold, and what is said about what it may not."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from services.errors import SettingsError
from services.oncall.settings import OncallSettings
from services.settings import load_settings

ROOT = Path(__file__).parents[2]
OID, GROUP = "aaaaaaaa-0000-4000-8000-000000000001", "cccccccc-0000-4000-8000-000000000001"
ROTA = {"kind": "rota", "time_zone": "Europe/Stockholm", "hand_over": "08:30", "starts": "2026-11-02", "turns": [OID]}
PAGER = {"kind": "pagerduty", "schedules": ["PI7DH85"], "key": "s3cret-key"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory without unblock.toml, and the least that is required."""
    for name, value in {"TENANT_ID": OID, "APP_ID": OID, "APP_SECRET": "s"}.items():
        monkeypatch.setenv(f"UNBLOCK_{name}", value)
    monkeypatch.delenv("UNBLOCK_ONCALL", raising=False)
    monkeypatch.delenv("UNBLOCK_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)


def section(*sources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"fallback_group": GROUP, "sources": list(sources), **more}


def test_without_the_section_nobody_is_asked() -> None:
    """
    No sources and no fallback group.
    """
    assert OncallSettings() == load_settings().oncall


def test_the_example_is_a_section_as_it_stands(tmp_path: Path) -> None:
    """
    `docs/oncall.toml` is read from the file, with one source of each kind.
    """
    (tmp_path / "unblock.toml").write_text((ROOT / "docs/oncall.toml").read_text(encoding="utf-8"), encoding="utf-8")

    kinds = [source.kind for source in load_settings().oncall.sources]

    assert ["rota", "group", "shifts", "pagerduty", "opsgenie"] == kinds


def test_the_environment_takes_the_section_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where there is no file, one variable holds it all.
    """
    monkeypatch.setenv("UNBLOCK_ONCALL", json.dumps(section(ROTA, PAGER)))

    assert ["Rota", "PagerDuty"] == [source.name for source in load_settings().oncall.sources]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (section({**ROTA, "kind": "calendar"}), "oncall.sources#1: kind must be one of: rota, group, shifts"),
        (section({**ROTA, "time_zone": "Stockholm"}), "oncall.sources#1.rota.time_zone: 'Stockholm' is no time zone"),
        (section({**ROTA, "hand_over": "8.30"}), "oncall.sources#1.rota.hand_over: must be a time of day"),
        (section({**ROTA, "turns": ["jane"]}), "oncall.sources#1.rota.turns#1: 'jane' is no Entra object id"),
        (section({**ROTA, "turns": [[]]}), "oncall.sources#1.rota.turns#1: must be an Entra object id"),
        (section({**ROTA, "turns": []}), "oncall.sources#1.rota: needs turns, or dates"),
        (section({**ROTA, "starts": None}), "oncall.sources#1.rota: needs starts"),
        (section({**ROTA, "turn_days": 0}), "oncall.sources#1.rota.turn_days: "),
        (
            section({**ROTA, "dates": [{"first": "2026-12-24", "last": "2026-12-23", "people": OID}]}),
            "oncall.sources#1.rota.dates#1: ends on 2026-12-23, before it begins",
        ),
        (
            section(
                {**ROTA, "dates": [{"first": f"2026-12-{d}", "last": "2026-12-26", "people": OID} for d in (24, 26)]}
            ),
            "oncall.sources#1.rota.dates: 2026-12-26 is in two of them",
        ),
        (section(ROTA, {"kind": "group", "group": "x"}), "oncall.sources#2.group.group: 'x' is no Entra object id"),
        (section({"kind": "shifts"}), "oncall.sources#1.shifts.team: is required"),
        (section({**PAGER, "schedules": ["Mail on call"]}), "oncall.sources#1.pagerduty.schedules: 'Mail on call' is"),
        (section({**PAGER, "key": " "}), "oncall.sources#1.pagerduty.key: must be an API key"),
        (section({**PAGER, "key": "s3cret\nkey"}), "oncall.sources#1.pagerduty.key: must be an API key"),
        (section({**PAGER, "url": "http://pager.example"}), "oncall.sources#1.pagerduty.url: must be an https"),
        (section(ROTA, ROTA), "oncall.sources: 2 of them are called 'rota'"),
        ({"sources": [ROTA]}, "oncall: needs fallback_group"),
        (section(ROTA, sorces=[]), "oncall.sorces: is not a setting"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_place(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any], said: str
) -> None:
    """
    The line begins with the place, and no key is part of it.
    """
    monkeypatch.setenv("UNBLOCK_ONCALL", json.dumps(wrong))

    with pytest.raises(SettingsError) as error:
        load_settings()

    assert str(error.value).startswith(said)
    assert "\n" not in str(error.value) and "s3cret" not in str(error.value)


def test_a_key_is_not_printed() -> None:
    """
    Neither as it is, nor in what the settings become as JSON.
    """
    settings = OncallSettings.model_validate(section(PAGER))

    assert "s3cret" not in repr(settings) + settings.model_dump_json()


@pytest.mark.parametrize(
    ("more", "address"),
    [
        ({}, "https://api.pagerduty.com"),
        ({"region": "eu"}, "https://api.eu.pagerduty.com"),
        ({"url": "https://proxy.contoso.com/pd/"}, "https://proxy.contoso.com/pd"),
    ],
)
def test_a_key_goes_to_the_service_of_its_region(more: dict[str, str], address: str) -> None:
    """
    Another address is only taken when it is set expressly.
    """
    (source,) = OncallSettings.model_validate(section({**PAGER, **more})).sources

    assert address == source.base_url


def test_the_example_names_every_key() -> None:
    """
    Whoever reads `docs/oncall.toml` knows all that can be set.
    """
    text = (ROOT / "docs/oncall.toml").read_text(encoding="utf-8")
    sources = OncallSettings.model_validate(tomllib.loads(text)["oncall"]).sources
    names = {name for source in sources for name in type(source).model_fields} | set(OncallSettings.model_fields)

    assert set() == {name for name in names if f"{name} =" not in text} - {"sources", "dates"}
