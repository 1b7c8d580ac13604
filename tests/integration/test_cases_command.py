"""`app.py cases`: a stored case for people and for machines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from app import main
from services.audit import Tag, note
from services.clock import SystemClock
from services.store import Store, migrate
from tests.fakes.given import asked
from tests.fakes.people import ALEX, TENANT, actor


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with the case C1, and settings that name it."""
    url = f"sqlite:///{tmp_path / 'unblock.db'}"
    named = {"DATABASE_URL": url, "TENANT_ID": TENANT, "APP_ID": TENANT, "APP_SECRET": "x", "LANGUAGE": "sv"}
    for name, value in named.items():
        monkeypatch.setenv(f"UNBLOCK_{name}", value)
    migrate(url)
    asyncio.run(store_case(url))
    return tmp_path


async def store_case(url: str) -> None:
    store = Store(url, SystemClock())
    await store.open_case(asked(), [note(Tag.CASE_OPENED, "C1", actor(ALEX), query="jane")])
    await store.close()


def cases(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["cases", *arguments])


def test_a_report_is_markdown_in_the_language_of_the_settings(stored: Path):
    """Or in the one that is asked for."""
    assert cases("report", "c1").output.startswith("# Rapport om ärende C1: ")
    assert cases("report", "#C1", "--language", "en").output.startswith("# Report on case C1: ")


def test_a_report_for_machines_can_go_to_a_file(stored: Path):
    """With the trail in it, and the same as `cases show --json` prints."""
    told = cases("report", "C1", "--format", "json", "--output", str(stored / "C1.json"))
    report = json.loads((stored / "C1.json").read_text(encoding="utf-8"))

    assert (0, "") == (told.exit_code, told.output)
    assert ["requester:case:opened"] == [entry["tag"] for entry in report["timeline"]]
    assert report == json.loads(cases("show", "C1", "--json").output)


def test_a_case_that_does_not_exist_is_said_so(stored: Path):
    """With exit code 1, for scripts."""
    told = cases("report", "NOPE")

    assert 1 == told.exit_code and "there is no case NOPE" in told.output
