"""Everything that a person has after `make run`, in one process and with windows of a headless browser."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.playground import PlaygroundMissing, Playgrounds
from services.sandbox.tryout import PLAYGROUND_FOLDER
from tests.e2e.playground import NoBrowser, PlaygroundWindow, chromium_path, open_browser, open_window
from tests.integration.world import Teams, free_port, world


@dataclass(frozen=True)
class Desk:
    """Alex the requester and Megan the on-call, each in front of a window, and the tenant behind it all."""

    alex: PlaygroundWindow
    megan: PlaygroundWindow
    teams: Teams


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """As after `make run`."""
    async with open_desk(tmp_path) as desk:
        yield desk


@asynccontextmanager
async def open_desk(folder: Path, **wanted: Any) -> AsyncIterator[Desk]:
    """Sandbox, bot, both Playgrounds and both browser windows, all closed at the end; `wanted` is for `world`."""
    try:
        chromium_path()
    except NoBrowser as missing:
        _do_without(str(missing))
    async with AsyncExitStack() as closing:
        teams = await closing.enter_async_context(world(folder, f"sqlite:///{folder}/unblock.db", **wanted))
        relay = teams.sandbox.relay
        playgrounds = Playgrounds(PLAYGROUND_FOLDER, relay.directory, relay.windows)
        closing.push_async_callback(playgrounds.close)
        try:
            windows = await playgrounds.start(teams.sandbox.http_origin, first_port=free_port())
        except PlaygroundMissing as missing:
            _do_without(str(missing))
        browser = await closing.enter_async_context(open_browser())
        alex, megan = [await open_window(browser, window.address) for window in windows]
        yield Desk(alex, megan, teams)


def _do_without(missing: str) -> None:
    """Skip the test, or fail it where nothing may be missing."""
    if os.environ.get("UNBLOCK_TEST_REQUIRE_ALL"):
        pytest.fail(f"{missing}; browser tests are required here")
    pytest.skip(missing)
