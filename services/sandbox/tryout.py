"""
Everything on one machine: the sandbox tenant, the real bot against it, and two Teams-like windows to talk to it.

The bot is started exactly as in production, as a process of its own that knows the sandbox by its settings alone.
"""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Mapping
from pathlib import Path
from typing import Any

from services.sandbox.playground import OpenWindow, PlaygroundMissing, Playgrounds
from services.sandbox.teams import TeamsSandbox, start_teams

HOST = "127.0.0.1"
APP_FILE = Path(__file__).resolve().parents[2] / "app.py"
LAST_LINES_SHOWN = 15
BOT_STOP_LIMIT_S = 10.0
DATABASE = "unblock.db"
#: Shared by all who open windows here, the browser tests too: installing the Playground takes a while.
PLAYGROUND_FOLDER = APP_FILE.parent / ".cache" / "playground"
#: Who sends a mailing to many as soon as she may again.
MAILS_TO_MANY = "bella@contoso.com"
#: Exit codes of `try_out`.
STOPPED, BOT_DIED, PORT_TAKEN = 0, 1, 2
WHAT_TO_TYPE = (
    "Type in Alex's window:  unblock jane   - then approve as Megan in the channel Approvals. Ctrl-C ends it all."
)


async def try_out(
    folder: Path,
    *,
    bot_port: int = 3978,
    https_port: int = 3980,
    http_port: int = 3981,
    playground_folder: Path | None = None,
) -> int:
    """
    Run the sandbox, the bot and both windows until SIGINT or SIGTERM; the exit code for the process.

    0 after a signal, 1 if the bot ended by itself (its last lines are printed), 2 if a port is taken. `folder` keeps
    keys, settings, the log and the database of this run, which begins empty as the tenant does; `playground_folder`
    the installed Playground (by default `PLAYGROUND_FOLDER`).
    """
    folder = _private_folder(folder)
    if _a_port_is_taken(bot_port, https_port, http_port):
        return PORT_TAKEN
    async with contextlib.AsyncExitStack() as running:
        teams = await running.enter_async_context(_teams(folder, bot_port, https_port, http_port))
        _forget_cases(folder)
        bot = BotProcess(_write_settings(folder, teams, bot_port), folder / "bot.log")
        await bot.start()
        running.push_async_callback(bot.stop)
        playgrounds = Playgrounds(playground_folder or PLAYGROUND_FOLDER, teams.relay.directory, teams.relay.windows)
        running.push_async_callback(playgrounds.close)
        return await _run_until_end(bot, _open_up(teams, playgrounds))


async def serve_tenant(folder: Path, *, bot_port: int = 3978, https_port: int = 3980, http_port: int = 3981) -> int:
    """
    Run the sandbox alone until SIGINT or SIGTERM, for a bot that somebody starts by hand on `bot_port`; the exit code.

    The bot's settings are written to `unblock.toml` in `folder`; as soon as the bot listens it hears where it is
    installed. 0 after a signal, 2 if a port of the sandbox is taken.
    """
    folder = _private_folder(folder)
    if _a_port_is_taken(https_port, http_port):
        return PORT_TAKEN
    async with _teams(folder, bot_port, https_port, http_port) as teams:
        settings_file = _write_settings(folder, teams, bot_port)
        _say(f"Tenant at {teams.origin}, control routes at {teams.http_origin}/_sandbox/")
        _say(f"Start the bot with  UNBLOCK_CONFIG={settings_file} python app.py serve")
        announcing = asyncio.create_task(teams.relay.announce_when_up())
        async with _until_asked_to_stop() as stop_asked:
            await stop_asked.wait()
        announcing.cancel()
        await asyncio.gather(announcing, return_exceptions=True)
    return STOPPED


@contextlib.asynccontextmanager
async def _teams(folder: Path, bot_port: int, https_port: int, http_port: int) -> AsyncIterator[TeamsSandbox]:
    endpoint = f"http://{HOST}:{bot_port}/api/messages"
    teams = await start_teams(folder, host=HOST, https_port=https_port, http_port=http_port, bot_endpoint=endpoint)
    # Something is to be seen after an unblock without anybody sending anything.
    switches = teams.sandbox.tenant.switches
    switches.mail_after_unblock, switches.burst_after_unblock = True, MAILS_TO_MANY
    try:
        yield teams
    finally:
        await teams.close()


@contextlib.asynccontextmanager
async def _until_asked_to_stop() -> AsyncIterator[asyncio.Event]:
    """An event that is set by SIGINT or SIGTERM, which end nothing by themselves meanwhile."""
    stop_asked, loop = asyncio.Event(), asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stop_asked.set)
    try:
        yield stop_asked
    finally:
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(signal_number)


class BotProcess:
    """`app.py serve` as a child that knows one settings file and no `UNBLOCK_` variable from outside; it has a log."""

    def __init__(self, settings_file: Path, log_file: Path) -> None:
        self._settings_file, self._log_file = settings_file, log_file
        self._process: asyncio.subprocess.Process

    async def start(self) -> None:
        """Start the bot; its log begins anew."""
        with self._log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(APP_FILE), "serve"),
                cwd=APP_FILE.parent,
                env=_environment(self._settings_file),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    async def wait(self) -> int:
        """Wait until the bot ends; its exit code."""
        return await self._process.wait()

    async def stop(self) -> None:
        """End the bot in order, and by force if it does not."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), BOT_STOP_LIMIT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def last_lines(self) -> str:
        """The end of the bot's output."""
        lines = self._log_file.read_text(errors="replace").splitlines()
        return "\n".join(lines[-LAST_LINES_SHOWN:])


async def _run_until_end(bot: BotProcess, opening: Coroutine[Any, Any, None]) -> int:
    """Let everything run until a signal comes, the bot dies or a part fails to start."""
    async with _until_asked_to_stop() as stop_asked:
        opened, died = asyncio.create_task(opening), asyncio.create_task(bot.wait())
        asked = asyncio.create_task(stop_asked.wait())
        try:
            await asyncio.wait({died, asked, opened}, return_when=asyncio.FIRST_COMPLETED)
            if opened.done():
                opened.result()
                await asyncio.wait({died, asked}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return STOPPED
            _say(f"The bot ended with exit code {died.result()}. Its last lines:\n{bot.last_lines()}")
            return BOT_DIED
        finally:
            for task in (opened, died, asked):
                task.cancel()
            await asyncio.gather(opened, died, asked, return_exceptions=True)


async def _open_up(teams: TeamsSandbox, playgrounds: Playgrounds) -> None:
    """Introduce the bot to Teams, open the windows, and say where they are."""
    if await teams.relay.announce_when_up() == 0:
        _say("The bot took none of the events that Teams sent it; bot.log says why.")
    try:
        windows = await playgrounds.start(teams.http_origin)
    except PlaygroundMissing as missing:
        _say(f"No windows: {missing}")
        _say("The sandbox and the bot are running all the same. Speak to the bot by a POST of this JSON:")
        _say(f'{teams.http_origin}/_sandbox/teams/say  {{"as": "alex", "text": "unblock jane"}}')
        return
    for line in [*map(_window_line, windows), WHAT_TO_TYPE]:
        _say(line)


def _window_line(window: OpenWindow) -> str:
    return f"{window.person.name}: {window.address}"


def _write_settings(folder: Path, teams: TeamsSandbox, bot_port: int) -> Path:
    """Write `unblock.toml`, readable by the owner alone because it holds the bot's secret."""
    settings = teams.settings() | {
        "host": HOST,
        "port": bot_port,
        "public_url": f"http://{HOST}:{bot_port}",
        "database_url": f"sqlite:///{folder / DATABASE}",
    }
    path = folder / "unblock.toml"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(_as_toml(settings))
    # The mode given to open() counts only for a new file.
    path.chmod(0o600)
    return path


def _as_toml(settings: Mapping[str, Any]) -> str:
    """Flat settings as TOML; JSON writes strings and numbers as TOML does."""
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def _environment(settings_file: Path) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith("UNBLOCK_")}
    return kept | {"UNBLOCK_CONFIG": str(settings_file), "PYTHONUNBUFFERED": "1"}


def _private_folder(folder: Path) -> Path:
    """The folder, made if need be; absolute, because the bot has another working directory than the caller."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


def _forget_cases(folder: Path) -> None:
    """
    Remove the bot's database of the last run.

    Tenant and Teams live in memory and begin anew: a case that was open would wait for an answer on a card that is
    nowhere any more, and would stand in the way of a new one for the same account.
    """
    for path in folder.glob(f"{DATABASE}*"):
        path.unlink()


def _a_port_is_taken(*ports: int) -> bool:
    """Whether one of the ports is taken; says which."""
    taken = _taken_port(*ports)
    if taken is not None:
        _say(f"Port {taken} is taken: stop what listens there (perhaps another sandbox) or choose another port.")
    return taken is not None


def _taken_port(*ports: int) -> int | None:
    """The first of these ports on which somebody listens already; 0 stands for any free port and is never taken."""
    for port in ports:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as fault:
                if fault.errno != errno.EADDRINUSE:
                    raise
                return port
    return None


def _say(line: str) -> None:
    print(line, flush=True)
