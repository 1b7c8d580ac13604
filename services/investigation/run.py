"""Reads all signals at once; whatever becomes of one, it ends as a finding."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from importlib import import_module
from typing import Any

import structlog

from services.cases import Case, Finding, Pictures, UnknownReason, say
from services.errors import ServiceError
from services.investigation.evidence import Evidence
from services.investigation.pictures import draw
from services.investigation.ports import Directory, Mailboxes
from services.investigation.table import SignalRow, table
from services.investigation.unreadable import reason_of, why
from services.ports import Clock

log = structlog.get_logger()

Look = Callable[[Evidence, SignalRow], Awaitable[Finding]]

#: The longest that one signal may take, in seconds. A search of the unified audit log takes minutes, and nobody waits
#: for a slow signal: it fills in later.
TIMEOUT_S = 360.0
#: Every signal, by its id, in reading order. A row of `weights.toml` is enough to have its file looked for here.
SIGNALS: Mapping[str, Look] = {
    signal_id: import_module(f"services.investigation.signals.{signal_id}").look for signal_id in table().signals
}


def signal_ids() -> tuple[str, ...]:
    """The signals of an investigation, in reading order."""
    return tuple(SIGNALS)


class Investigation:
    """Reads an account's signals. Changes nothing."""

    def __init__(
        self,
        directory: Directory,
        mailboxes: Mailboxes,
        clock: Clock,
        *,
        signals: Mapping[str, Look] = SIGNALS,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._directory = directory
        self._mailboxes = mailboxes
        self._clock = clock
        self._signals = signals
        self._timeout_s = timeout_s

    async def run(
        self,
        case: Case,
        on_finding: Callable[[Finding], Awaitable[None]],
        on_pictures: Callable[[Pictures], Awaitable[None]] | None = None,
    ) -> tuple[Finding, ...]:
        """
        One finding for each signal that the case has none of yet, in reading order; each is handed to `on_finding` as
        soon as it is there, one at a time. What was read before is not read again: after a containment it would look
        better than it was. `on_pictures` gets what can be drawn of it, once, unless the case has its pictures already.

        No signal raises: what cannot be read is unknown. What the callbacks raise ends the investigation.
        Raises: WrongState for a case whose account is not known.
        """
        evidence = Evidence(case, self._directory, self._mailboxes, self._clock.now())
        known = {finding.signal_id for finding in case.findings}
        wanted = [signal_id for signal_id in self._signals if signal_id not in known]
        looks = [asyncio.ensure_future(self._look(signal_id, evidence)) for signal_id in wanted]
        drawing = [asyncio.ensure_future(self._draw(evidence))] if on_pictures and case.pictures is None else []
        try:
            for next_one in asyncio.as_completed([*looks, *drawing]):
                found = await next_one
                if isinstance(found, Finding):
                    await on_finding(found)
                elif on_pictures:
                    await on_pictures(found)
            return tuple([await look for look in looks])
        finally:
            await _stop([*looks, *drawing])
            await evidence.close()

    async def _draw(self, evidence: Evidence) -> Pictures:
        """What can be drawn; nothing when that takes too long or fails: a picture must not take the signals with it."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await draw(evidence)
        except TimeoutError:
            log.warning("pictures_timed_out", case_id=evidence.case.case_id)
        except Exception as error:
            log.exception("pictures_failed", case_id=evidence.case.case_id, error=type(error).__name__)
        return Pictures()

    async def _look(self, signal_id: str, evidence: Evidence) -> Finding:
        row = table().signals[signal_id]
        try:
            async with asyncio.timeout(self._timeout_s):
                finding = await self._signals[signal_id](evidence, row)
        except ServiceError as error:
            finding = row.unknown(reason_of(error), why(error, row.licence))
        except TimeoutError:
            finding = row.unknown(UnknownReason.FAULT, say("unreadable.timeout", n=round(self._timeout_s)))
        except Exception as error:  # a fault of ours in one signal must not take the others with it
            log.exception("signal_failed", case_id=evidence.case.case_id, signal=signal_id, error=type(error).__name__)
            finding = row.unknown(UnknownReason.FAULT, say("unreadable.our_fault"))
        return finding.model_copy(update={"read_at": self._clock.now()})


async def _stop(looks: list[asyncio.Future[Any]]) -> None:
    for look in looks:
        look.cancel()
    await asyncio.gather(*looks, return_exceptions=True)
