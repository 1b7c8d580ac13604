"""
The two windows: Microsoft 365 Agents Playground, once as Alex and once as Megan, both in front of the sandbox's Teams.

The Playground is Microsoft's own Teams-like client (npm `@microsoft/m365agentsplayground`), installed into a folder of
the sandbox on first use; Node.js has to be there. Nothing else of the sandbox depends on it.
"""

import asyncio
import contextlib
import json
import logging
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.sandbox.teams_directory import APPROVALS, TEAM_NAME, Directory, Person
from services.sandbox.teams_headless import INSTALLED_FOR
from services.sandbox.teams_windows import Windows

log = logging.getLogger(__name__)

PACKAGE = "@microsoft/m365agentsplayground"
PACKAGE_VERSION = "^0.2.28"
#: The first window's port, the second takes the next; a Playground picks another one by itself if it is busy.
FIRST_PORT = 56150
INSTALL_LIMIT_S = 300.0
START_LIMIT_S = 60.0
STOP_LIMIT_S = 5.0
#: The Playground insists on exactly five people besides the one who looks; these come first, others fill up.
OTHERS_SHOWN = ("megan", "jane", "sam", "alex")
OTHERS_COUNT = 5

#: Loaded into the Playground's process: it listens on all interfaces and has no option for that, while whoever reaches
#: it may act as Alex or Megan.
LOOPBACK_ONLY = """\
const { Server } = require("net");
const listen = Server.prototype.listen;
Server.prototype.listen = function (first, ...rest) {
  if (typeof first !== "number") return listen.call(this, first, ...rest);
  return listen.call(this, { port: first, host: "127.0.0.1" }, ...rest.filter((one) => typeof one === "function"));
};
"""


class PlaygroundMissing(Exception):
    """The Playground cannot be started here; the message is one line and says what to do."""


@dataclass(frozen=True)
class OpenWindow:
    """A running Playground and where to look at it."""

    name: str
    person: Person
    address: str


class Playgrounds:
    """The windows' processes. `folder` holds the installed package and one folder per window."""

    def __init__(self, folder: Path, directory: Directory, windows: Windows) -> None:
        self._folder, self._directory, self._windows = folder, directory, windows
        self._processes: list[asyncio.subprocess.Process] = []
        self._readers: list[asyncio.Task[None]] = []

    async def start(self, http_origin: str, *, first_port: int = FIRST_PORT) -> list[OpenWindow]:
        """
        Install the Playground if it is not there yet, start both windows and wait until they can be opened.

        Raises: PlaygroundMissing; then nothing is left running.
        """
        node = _found("node", "Node.js 20 or newer")
        await self._install()
        try:
            return [
                await self._start(node, name, http_origin, first_port + number)
                for number, name in enumerate(INSTALLED_FOR)
            ]
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop the windows."""
        for process in self._processes:
            await _stop(process)
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)
        self._processes.clear()
        self._readers.clear()

    @property
    def _command_file(self) -> Path:
        return self._folder / "node_modules" / PACKAGE / "cli.js"

    async def _install(self) -> None:
        if self._command_file.exists():
            return
        npm = _found("npm", "npm (it comes with Node.js)")
        self._folder.mkdir(parents=True, exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-package-lock", "--loglevel", "error"]
        log.info("Installing the Microsoft 365 Agents Playground, once")
        process = await asyncio.create_subprocess_exec(
            *(npm, "install", "--prefix", str(self._folder), *options, f"{PACKAGE}@{PACKAGE_VERSION}"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), INSTALL_LIMIT_S)
        except TimeoutError as late:
            raise PlaygroundMissing(f"npm did not install {PACKAGE} within {INSTALL_LIMIT_S:.0f} s") from late
        finally:
            await _stop(process)
        if process.returncode != 0:
            raise PlaygroundMissing(f"npm could not install {PACKAGE}: {_first_error(output.decode(errors='replace'))}")

    async def _start(self, node: str, name: str, http_origin: str, port: int) -> OpenWindow:
        window = self._windows.named(name)
        home = self._prepare(name, window.person)
        process = await asyncio.create_subprocess_exec(
            *(node, "--require", str(home / "loopback.cjs"), str(self._command_file), "start"),
            *("-e", f"{http_origin}/playground/{name}/api/messages", "-p", str(port), "--disable-telemetry"),
            cwd=home,
            env=_environment(),
            # Ctrl-C in the terminal is for the sandbox, which then stops its windows in order.
            start_new_session=True,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._processes.append(process)
        address = f"http://127.0.0.1:{await self._port_of(process, name)}"
        window.attach(address)
        return OpenWindow(name, window.person, address)

    async def _port_of(self, process: asyncio.subprocess.Process, name: str) -> int:
        """The port the Playground says it listens on; reading goes on afterwards, so that its pipe never fills up."""
        if process.stdout is None:
            raise RuntimeError("The Playground was started without a pipe")
        seen: list[str] = []
        try:
            async with asyncio.timeout(START_LIMIT_S):
                async for line in process.stdout:
                    seen.append(line.decode(errors="replace").strip())
                    listening = re.search(r"Listening on (\d+)", seen[-1])
                    if listening:
                        self._readers.append(asyncio.create_task(_drain(process.stdout)))
                        return int(listening.group(1))
        except TimeoutError as late:
            raise PlaygroundMissing(f"The Playground for {name} did not start within {START_LIMIT_S:.0f} s") from late
        raise PlaygroundMissing(f"The Playground for {name} ended at once: {_first_error(chr(10).join(seen))}")

    def _prepare(self, name: str, person: Person) -> Path:
        home = self._folder / f"window-{name}"
        home.mkdir(parents=True, exist_ok=True)
        (home / "loopback.cjs").write_text(LOOPBACK_ONLY)
        # YAML reads JSON, so no YAML library is needed to write the Playground's configuration.
        (home / ".m365agentsplayground.yml").write_text(json.dumps(self.configuration(person), indent=2) + "\n")
        return home

    def configuration(self, person: Person) -> dict[str, Any]:
        """The Playground's configuration with `person` looking, under the sandbox's own ids."""
        directory = self._directory
        return {
            "version": "0.1.1",
            "tenantId": directory.tenant_id,
            "bot": directory.bot_account,
            "currentUser": self._account(person),
            "users": [self._account(other) for other in _others(person, directory.people())],
            "personalChat": {"id": directory.personal_chat(person).conversation_id},
            "groupChat": {"id": f"19:{directory.team_group_id}@thread.v2", "name": "Group chat (not connected)"},
            "team": {
                "id": directory.team_id,
                "name": TEAM_NAME,
                "aadGroupId": directory.team_group_id,
                "channels": [{"id": directory.approvals_id, "name": APPROVALS}],
            },
        }

    def _account(self, person: Person) -> dict[str, str]:
        return {
            "id": self._directory.user_id(person),
            "name": person.name,
            "userPrincipleName": person.user_principal_name,
            "aadObjectId": person.object_id,
            "givenName": person.given_name,
            "surname": person.surname,
            "email": person.mail or person.user_principal_name,
        }


def _others(person: Person, people: Iterable[Person]) -> list[Person]:
    """The five others: the named ones, a guest, then whoever comes next."""
    rest = [one for one in people if one.object_id != person.object_id]

    def place_in_line(other: Person) -> int:
        name = other.given_name.casefold()
        if name in OTHERS_SHOWN:
            return 0
        return 1 if other.is_guest else 2

    return sorted(rest, key=place_in_line)[:OTHERS_COUNT]


def _environment() -> dict[str, str]:
    """The environment without anything that steers the Playground from outside; no browser is opened."""
    steering = ("TEAMSAPPTESTER_", "M365_AGENTS_", "AUTH_", "BOT_ENDPOINT", "DEFAULT_CHANNEL_ID", "SEND_INSTALLATION")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
    # Its calls go to loopback alone; a proxy from the environment would be asked for those otherwise.
    return kept | {"TEAMSAPPTESTER_BROWSER": "none", "NO_PROXY": "127.0.0.1,localhost"}


def _found(command: str, what: str) -> str:
    path = shutil.which(command)
    if path is None:
        raise PlaygroundMissing(f"{command} was not found: install {what} to open the Playground windows")
    return path


def _first_error(output: str) -> str:
    """The most telling line of what a command printed."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.casefold()]
    return (errors or lines or ["it said nothing"])[0][:300]


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        pass


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
