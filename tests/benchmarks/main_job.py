"""
The whole job as people see it: from `unblock jane` to the cards, and from the approval to the account that may send.

The bot is `app.py serve` in a process of its own; the tenant and Teams are here. In one kind of repetition Microsoft's
services answer at once, in the other each answer takes a fixed time, which is what the bot's own time is compared with.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from services.audit import Tag
from services.clock import SystemClock
from services.sandbox.journal import Entry
from services.sandbox.teams import TeamsSandbox, start_teams
from services.sandbox.teams_history import Message
from services.store import Store
from tests.benchmarks.figures import Figure, figure
from tests.integration.world import UNWATCHED, Teams, free_port, words

GROUP = "The job: the bot in a process of its own, `unblock jane`, three steps"
#: Cases with and without delays, taken in turn.
DELAYED, AT_ONCE = 3, 2
#: What each answer takes while the bot investigates, and while it acts; in seconds.
INVESTIGATING_S = 0.4
ACTING_S = 0.1
#: Entra ID Protection takes one call a second, and the investigation makes two; see `services/clients/lanes.py`.
RISK_PAUSE_S = 1.0
#: Reports (sign-ins, audits) are paced too: at most so many in so many seconds. A case begins when the last ones are
#: that long ago, or it would be measured how long it waits for the one before.
REPORTS, REPORTS_PERIOD_S = 5, 10.0
#: The pauses between the looks at a search of the audit log, as `GraphClient.audit_records` makes them; in seconds.
LOOK_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0)
_SEARCH = re.compile(r"/security/auditLog/queries/([^/?]+)(/records)?")
LOOK_EVERY_S = 0.01
PATIENCE_S = 40.0

#: Words on the cards that say how far the case is.
ASKED, UNBLOCKED = "Approve", "is unblocked"


@dataclass(frozen=True)
class Run:
    """One case. Everything in seconds."""

    first_card_s: float
    prompt_s: float
    unblocked_s: float
    #: From the account being known to the verdict.
    investigation_s: float
    #: The slowest chain of calls that need each other's answers, and the same kept to Microsoft's pace.
    chain_s: float
    paced_chain_s: float
    #: How long, between the click and the end, at least one answer of Microsoft's was awaited.
    awaited_s: float


async def measure(folder: Path, meanwhile: Callable[[], Awaitable[None]]) -> list[Figure]:
    """
    Times without any delay, and with delays the bot's time against the time that the answers took.

    Cases need some seconds between them; `meanwhile` runs before each of them, while the bot is idle.
    """
    at_once: list[Run] = []
    delayed: list[Run] = []
    async with _bot(folder) as job:
        await job.warm_up()
        for number in range(DELAYED + AT_ONCE):
            await meanwhile()
            if number % 2:
                at_once.append(await job.run(0.0, 0.0))
            else:
                delayed.append(await job.run(INVESTIGATING_S, ACTING_S))
    slow = f"each answer takes {INVESTIGATING_S} s"
    chains = [run.investigation_s / run.chain_s for run in delayed]
    paced = [run.investigation_s / run.paced_chain_s for run in delayed]
    waits = [run.unblocked_s / run.awaited_s for run in delayed]
    return [
        figure(GROUP, "message to first card", [run.first_card_s for run in at_once], "s"),
        figure(GROUP, "message to approval prompt", [run.prompt_s for run in at_once], "s"),
        figure(GROUP, "approval click to unblocked", [run.unblocked_s for run in at_once], "s"),
        figure(GROUP, f"message to first card, {slow}", [run.first_card_s for run in delayed], "s"),
        figure(GROUP, f"message to approval prompt, {slow}", [run.prompt_s for run in delayed], "s"),
        figure(GROUP, f"investigation, {slow}", [run.investigation_s for run in delayed], "s"),
        figure(GROUP, "slowest chain of calls that need each other", [run.chain_s for run in delayed], "s"),
        figure(GROUP, "slowest chain kept to Microsoft's pace", [run.paced_chain_s for run in delayed], "s"),
        figure(GROUP, "investigation / slowest chain", chains, "x", "at most 1.25"),
        figure(GROUP, "investigation / slowest chain kept to Microsoft's pace", paced, "x"),
        figure(GROUP, f"click to unblocked, each answer takes {ACTING_S} s", [run.unblocked_s for run in delayed], "s"),
        figure(GROUP, "click to unblocked / time that answers were awaited", waits, "x"),
    ]


class Job:
    """Does one case after the other with the same bot, in a tenant that is set back in between."""

    def __init__(self, teams: Teams, sandbox: TeamsSandbox, session: aiohttp.ClientSession, store: Store) -> None:
        self._teams, self._sandbox, self._session, self._store = teams, sandbox, session, store
        directory = sandbox.relay.directory
        self._alex = directory.personal_chat(directory.person("alex")).conversation_id
        self._approvals = directory.approvals_id

    async def warm_up(self) -> None:
        """Tokens, connections and templates: nobody is called that, so there is no case."""
        since = datetime.now(UTC)
        await self._teams.say("alex", "unblock nobody-is-called-that")
        await self._card(self._alex, since, "nobody-is-called-that")

    async def run(self, investigating_s: float, acting_s: float) -> Run:
        """One case from the message to the proof, with these delays of every answer."""
        await self._start_over(investigating_s)
        loop, said_at = asyncio.get_running_loop(), datetime.now(UTC)
        started = loop.time()
        saying = asyncio.create_task(self._teams.say("alex", "unblock jane"))
        checklist = await self._card(self._alex, said_at, "")
        first_card_s = loop.time() - started
        prompt = await self._card(self._approvals, said_at, ASKED)
        prompt_s = loop.time() - started
        await saying

        await self._delay(acting_s)
        clicked_at, started = datetime.now(UTC), loop.time()
        clicking = asyncio.create_task(self._teams.click("megan", "approve", activity_id=prompt.activity_id))
        await self._says(checklist, UNBLOCKED)
        unblocked_s = loop.time() - started
        await clicking
        ended_at = datetime.now(UTC)
        awaited_s = _covered_s(self._calls(clicked_at, ended_at), acting_s)
        await self._ended(said_at)
        identified_at, judged_at = await self._investigation(said_at)
        asked = [call for call in self._calls(identified_at, judged_at) if call.status < 400]
        return Run(
            first_card_s=first_card_s,
            prompt_s=prompt_s,
            unblocked_s=unblocked_s,
            investigation_s=(judged_at - identified_at).total_seconds(),
            chain_s=chain_s(asked, investigating_s),
            paced_chain_s=paced_chain_s(asked, investigating_s),
            awaited_s=awaited_s,
        )

    async def _start_over(self, delay_s: float) -> None:
        await self._room_for_reports()
        async with self._session.post(f"{self._sandbox.http_origin}/_sandbox/reset") as response:
            assert response.status == 204, await response.text()
        await self._delay(delay_s)

    async def _room_for_reports(self) -> None:
        """Wait until no report was read for so long that another case may read as many as Microsoft takes."""
        read = [one.at for one in self._sandbox.sandbox.journal.requests(service="graph") if _is_report(one.path)]
        if read:
            free_at = max(read) + timedelta(seconds=REPORTS_PERIOD_S + 0.5)
            await asyncio.sleep(max((free_at - datetime.now(UTC)).total_seconds(), 0.0))

    async def _delay(self, seconds: float) -> None:
        """Let every answer of Graph and Exchange take this long from now on."""
        async with self._session.delete(f"{self._sandbox.http_origin}/_sandbox/faults") as response:
            assert response.status == 204, await response.text()
        for service in ("graph", "exchange"):
            await self._teams.fault(match={"service": service}, kind="slow", seconds=seconds, times=-1)

    def _calls(self, start: datetime, end: datetime) -> list[Entry]:
        """The calls to Graph and Exchange that were answered in this time."""
        requests = self._sandbox.sandbox.journal.requests()
        return [one for one in requests if one.service in ("graph", "exchange") and start <= one.at <= end]

    async def _card(self, conversation_id: str, since: datetime, wanted: str) -> Message:
        """The first message there since then whose card says so."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for message in self._sandbox.relay.history.within(conversation_id):
                    if message.posted_at >= since and message.card and wanted in words(message.card):
                        return message
                await asyncio.sleep(LOOK_EVERY_S)

    async def _says(self, message: Message, wanted: str) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while wanted not in words(message.card):
                await asyncio.sleep(LOOK_EVERY_S)

    async def _ended(self, since: datetime) -> None:
        """Wait until the case's last entry is written, so that nothing of it runs into the next one."""
        async with asyncio.timeout(PATIENCE_S):
            while Tag.PREVENTION_CHECKED not in await self._moments(since):
                await asyncio.sleep(0.05)

    async def _investigation(self, since: datetime) -> tuple[datetime, datetime]:
        """From the account being known to the verdict."""
        moments = await self._moments(since)
        return moments[Tag.CASE_IDENTIFIED], moments[Tag.VERDICT_REACHED]

    async def _moments(self, since: datetime) -> dict[str, datetime]:
        """When what was entered in the audit trail, for the case that was opened since then."""
        entries = [(entry.tag, datetime.fromisoformat(entry.at)) for entry in await self._store.audit_entries()]
        return {tag: at for tag, at in entries if at >= since}


# --- what the answers took -------------------------------------------------------------------------------------------


def chain_s(calls: Sequence[Entry], delay_s: float) -> float:
    """
    The least time that these calls need when each answer takes `delay_s`, however many are made at the same time.

    What needs the answer before: a further page; an app, which a grant names; the others who came from an address,
    which a sign-in names; a folder under its own name, which the list of folders has; and a search of the audit log,
    which is started, looked at with pauses in between, and read. Nothing else does, so a call that waits for another
    without need counts against the bot. A batch takes as long as the slowest call in it, so the calls in it count, and
    the batch itself does not.
    """
    in_a_row = max(_pages(calls), _in_a_row(calls))
    return max(in_a_row * delay_s, _search_s(calls, delay_s))


def _pages(calls: Sequence[Entry]) -> int:
    """How many pages the longest list had."""
    further = Counter(re.sub(r"[?&]\$skiptoken=[^&]*", "", call.path) for call in calls if "$skiptoken=" in call.path)
    return 1 + max(further.values(), default=0)


def _in_a_row(calls: Sequence[Entry]) -> int:
    if any(call.cmdlet == "Get-MailboxFolderStatistics" for call in calls):
        return 3
    return 2 if any("/servicePrincipals/" in call.path or "ipAddress eq" in call.path for call in calls) else 1


def _search_s(calls: Sequence[Entry], delay_s: float) -> float:
    """The longest search of the audit log, with the pauses between the looks at it; 0 without one."""
    parts = [found.groups() for call in calls if (found := _SEARCH.search(call.path))]
    looks = Counter(search_id for search_id, records in parts if not records)
    pages = Counter(search_id for search_id, records in parts if records)
    each = (
        (1 + looks[search_id] + pages[search_id]) * delay_s + sum(LOOK_PAUSES_S[: looks[search_id]])
        for search_id in looks | pages
    )
    return max(each, default=0.0)


def paced_chain_s(calls: Sequence[Entry], delay_s: float) -> float:
    """The same when calls are kept as far apart as Microsoft wants them, beginning with a minute in which none were."""
    risk_calls = sum("/identityProtection/" in call.path for call in calls)
    reports = sum(_is_report(call.path) for call in calls)
    risk_s = max(risk_calls - 1, 0) * RISK_PAUSE_S
    reports_s = max(reports - 1, 0) // REPORTS * REPORTS_PERIOD_S
    return max(chain_s(calls, delay_s), risk_s + delay_s, reports_s + delay_s)


def _is_report(path: str) -> bool:
    return "/auditLogs/" in path or "/reports/" in path


def _covered_s(calls: Sequence[Entry], delay_s: float) -> float:
    """How long at least one of the calls was under way; the journal has the end of each."""
    covered, reached = timedelta(), None
    for end in sorted(call.at for call in calls):
        start = end - timedelta(seconds=delay_s)
        covered += end - (start if reached is None else max(start, reached))
        reached = end
    return covered.total_seconds()


# --- the bot ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _bot(folder: Path) -> AsyncIterator[Job]:
    """Tenant and Teams in this process, the bot in another one, installed everywhere."""
    async with AsyncExitStack() as closing:
        port, database_url = free_port(), f"sqlite:///{folder}/bench.db"
        sandbox = await start_teams(folder, bot_endpoint=f"http://127.0.0.1:{port}/api/messages")
        closing.push_async_callback(sandbox.close)
        session = await closing.enter_async_context(aiohttp.ClientSession())
        more = {"port": port, "database_url": database_url, "verify_interval_seconds": ACTING_S}
        more["alerts"] = json.dumps(UNWATCHED)  # one case alone is measured
        process = await serve(sandbox.settings() | more, folder)
        closing.push_async_callback(stop, process)
        async with asyncio.timeout(PATIENCE_S):
            await sandbox.relay.announce_when_up()
        store = Store(database_url, SystemClock())
        closing.push_async_callback(store.close)
        yield Job(Teams(session, sandbox), sandbox, session, store)


async def serve(settings: dict[str, Any], folder: Path) -> asyncio.subprocess.Process:
    """`app.py serve` in a process of its own, with these settings and its log in `folder`."""
    plain = {f"UNBLOCK_{name.upper()}": str(value) for name, value in settings.items()}
    no_file = folder / "unblock.toml"  # Whoever runs this may have one of their own.
    no_file.touch()
    with (folder / "bot.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "ignore", "app.py", "serve"),
            cwd=Path(__file__).parents[2],
            env={**os.environ, **plain, "UNBLOCK_CONFIG": str(no_file)},
            stderr=log,
        )


async def stop(process: asyncio.subprocess.Process) -> None:
    """Let it end, if it has not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    await process.wait()
