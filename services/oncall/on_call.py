"""
Who is on call now, whatever is down: the sources in turn, then the last known answer, then the fallback group.

Unknown is never nobody: an answer that is not fresh says so, with its age, and so does one that names nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

import structlog
from pydantic import ValidationError

from services.cases import Text, Value, say
from services.errors import BrokenAnswer, NotFound, PermissionMissing, Rejected, ServiceError, Throttled, Unavailable
from services.oncall.duty import Duty, Source
from services.oncall.group import GroupSource
from services.ports import Clock

_log = structlog.get_logger(__name__)

#: What the fallback group is called among the sources.
FALLBACK_NAME = "Fallback group"
#: Name under which the last known answer is kept among the choices.
KEPT_AS = "oncall_last"
#: How long an answer is good, and how long one that had to do without its source.
FRESH_FOR, RETRY_AFTER = timedelta(seconds=60), timedelta(seconds=15)
#: How long that of an Entra group is good for a click. Longer, and somebody who was taken out could still approve.
GROUP_FRESH_FOR = timedelta(seconds=5)
#: An older answer is no longer somebody's best guess.
OLDEST_KNOWN = timedelta(hours=24)
#: The same answer is written down again only after this time.
WRITE_EVERY = timedelta(minutes=5)
#: How long one source may take: somebody waits for the answer.
SOURCE_TIMEOUT_S = 6.0
#: How long the fallback group may take when whoever asks had no patience for the sources.
HURRIED_TIMEOUT_S = 2.0


class Choices(Protocol):
    """Where the last known answer is kept; fulfilled by `Store`."""

    async def choose(self, name: str, value: str) -> None: ...

    async def chosen(self, name: str) -> str | None: ...


class Basis(StrEnum):
    """What an answer rests on."""

    SOURCE = "source"
    LAST_KNOWN = "last_known"  # what a source that is down said before
    FALLBACK = "fallback"
    NOBODY = "nobody"


class OnDuty(Value):
    """Who is on call, and how we know."""

    basis: Basis
    #: Entra object ids in lower case, the first to be asked first. Empty only for NOBODY, which has a problem.
    people: tuple[str, ...] = ()
    #: People on duty whom the bot cannot ask, as the sources name them.
    unknown: tuple[str, ...] = ()
    #: Name of the source that said so; "" for NOBODY.
    source: str = ""
    #: When that was read.
    as_of: datetime
    since: datetime | None = None
    until: datetime | None = None
    #: What people should know about this answer; None when it came from the first source that names somebody, and none
    #: before it failed.
    problem: Text | None = None

    @property
    def stale(self) -> bool:
        """Whether this was true once and could not be read again."""
        return self.basis is Basis.LAST_KNOWN

    @property
    def where(self) -> Text:
        """Where the answer comes from, as a sentence."""
        if self.basis is Basis.SOURCE:
            return say("oncall.where.source", source=self.source)
        if self.basis is Basis.LAST_KNOWN:
            return say("oncall.where.last_known", source=self.source, at=self.as_of)
        return say("oncall.where.fallback" if self.basis is Basis.FALLBACK else "oncall.where.nobody")

    @property
    def missing(self) -> Text | None:
        """Who is on duty and cannot be asked, as a sentence; None when there is nobody like that."""
        return say("oncall.unknown", n=len(self.unknown), names=self.unknown) if self.unknown else None


class _Known(Value):
    """The last answer of a source that named somebody."""

    source: str
    as_of: datetime
    duty: Duty

    def may_hold(self, now: datetime) -> bool:
        """Whether it can still be so: not for long, and not after the end that the source itself has told."""
        is_over = self.duty.until is not None and self.duty.until <= now
        return not is_over and now - self.as_of <= OLDEST_KNOWN


@dataclass
class _Asked:
    """What has come of asking, so far."""

    #: Names of the sources that could not be read.
    down: list[str] = field(default_factory=list)
    reasons: list[Text] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    #: Names of the sources that have answered.
    read: list[str] = field(default_factory=list)

    def failed(self, source: Source, error: ServiceError) -> None:
        self.down.append(source.name)
        self.reasons.append(_why(_called(source), error))
        _log.warning("oncall_source_down", source=source.name, failure=type(error).__name__)

    def answered(self, source: Source, duty: Duty) -> None:
        self.read.append(source.name)
        self.unknown += duty.unknown
        if not duty.people:
            self.reasons.append(say("oncall.why.empty", source=_called(source)))

    def broken_off(self, sources: Sequence[Source]) -> _Asked:
        """The same, where those that have not answered yet count as down."""
        now = _Asked([*self.down], [*self.reasons], [*self.unknown], [*self.read])
        for source in sources:
            if source.name not in (*now.down, *now.read):
                now.failed(source, Unavailable(source.name, reason="timeout"))
        return now

    @property
    def all_unknown(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.unknown))


class OnCall:
    """Asks the sources in order. `fallback` is asked last; None only when nobody has set anything up."""

    def __init__(
        self,
        sources: Sequence[Source],
        fallback: Source | None,
        store: Choices,
        clock: Clock,
        timeout_s: float = SOURCE_TIMEOUT_S,
    ) -> None:
        self._sources = tuple(sources)
        self._fallback = fallback
        self._store = store
        self._clock = clock
        self._timeout_s = timeout_s
        self._groups = {source.name for source in (*self._sources, fallback) if isinstance(source, GroupSource)}
        self._answer: OnDuty | None = None
        self._asked_at = clock.now()
        self._kept: _Known | None = None
        self._written: _Known | None = None
        self._asked = _Asked()
        self._asking: asyncio.Task[OnDuty] | None = None

    async def close(self) -> None:
        """Let go of a question that nobody waits for any more."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)

    async def now(self, patience_s: float | None = None) -> OnDuty:
        """
        Who is on call at this moment; at most a minute old, and not from before a hand-over that the source told. Never
        raises for a source.

        The first source that names somebody is right. When none does and one could not be read, what that one said
        last holds for up to 24 hours; when all could be read, nobody is on duty and the fallback group is asked.

        With `patience_s`, because a click waits, sources that have not answered by then count as down for this once.
        They are waited for behind it, and their answer is there for whoever asks next. The members of an Entra group
        are then at most five seconds old.
        """
        if self._answer is not None and self._clock.now() < self._good_until(self._answer, patience_s is not None):
            return self._answer
        if self._asking is None or self._asking.done():
            self._asked = _Asked()
            self._asking = asyncio.create_task(self._ask_and_remember(self._asked))
            self._asking.add_done_callback(_looked_at)
        try:
            async with asyncio.timeout(patience_s):
                return await asyncio.shield(self._asking)
        except TimeoutError:
            return await self._without(self._asked.broken_off(self._sources))

    async def _ask_and_remember(self, asked: _Asked) -> OnDuty:
        now = self._clock.now()
        self._answer, self._asked_at = await self._ask(now, asked), now
        return self._answer

    def _good_until(self, answer: OnDuty, for_click: bool) -> datetime:
        fresh_for = RETRY_AFTER if answer.problem else FRESH_FOR
        if for_click and answer.source in self._groups:
            fresh_for = min(fresh_for, GROUP_FRESH_FOR)
        until = self._asked_at + fresh_for
        # An end that was over when it was told says nothing; it must not make every card ask again.
        return until if answer.until is None or answer.until <= self._asked_at else min(until, answer.until)

    async def _ask(self, now: datetime, asked: _Asked) -> OnDuty:
        for source in self._sources:
            duty = await self._duty_of(source, now, asked, self._timeout_s)
            if duty is not None and duty.people:
                await self._keep(_Known(source=source.name, as_of=now, duty=duty))
                return _by_source(source, duty, asked, now)
        return await self._last_known(asked, now) or await self._from_fallback(asked, now, self._timeout_s)

    async def _without(self, asked: _Asked) -> OnDuty:
        """The answer for whoever cannot wait for the sources."""
        now, within_s = self._clock.now(), min(HURRIED_TIMEOUT_S, self._timeout_s)
        return await self._last_known(asked, now) or await self._from_fallback(asked, now, within_s)

    async def _duty_of(self, source: Source, now: datetime, asked: _Asked, within_s: float) -> Duty | None:
        try:
            async with asyncio.timeout(within_s):
                duty = await source.on_duty(now)
        except ServiceError as error:
            asked.failed(source, error)
            return None
        except TimeoutError:
            asked.failed(source, Unavailable(source.name, reason="timeout"))
            return None
        asked.answered(source, duty)
        return duty

    async def _last_known(self, asked: _Asked, now: datetime) -> OnDuty | None:
        """What a source that is down said last; one that can be read has overruled what it said before."""
        if not asked.down:
            return None
        # Another replica may have heard of a hand-over that this one has not.
        both = [known for known in (self._kept, _read(await self._store.chosen(KEPT_AS))) if known is not None]
        known = max(both, key=lambda known: known.as_of, default=None)
        if known is None or known.source not in asked.down or not known.may_hold(now):
            return None
        return OnDuty(
            basis=Basis.LAST_KNOWN,
            people=known.duty.people,
            unknown=tuple(dict.fromkeys((*known.duty.unknown, *asked.unknown))),
            source=known.source,
            as_of=known.as_of,
            since=known.duty.since,
            until=known.duty.until,
            problem=say("oncall.problem.last_known", reasons=asked.reasons, source=known.source, at=known.as_of),
        )

    async def _from_fallback(self, asked: _Asked, now: datetime, within_s: float) -> OnDuty:
        duty = await self._duty_of(self._fallback, now, asked, within_s) if self._fallback is not None else None
        if self._fallback is None or duty is None or not duty.people:
            return OnDuty(basis=Basis.NOBODY, unknown=asked.all_unknown, as_of=now, problem=self._nobody(asked))
        return OnDuty(
            basis=Basis.FALLBACK,
            people=duty.people,
            unknown=asked.all_unknown,
            source=self._fallback.name,
            as_of=now,
            problem=say("oncall.problem.fallback", reasons=asked.reasons) if asked.reasons else None,
        )

    def _nobody(self, asked: _Asked) -> Text:
        if not self._sources and self._fallback is None:
            return say("oncall.problem.not_set_up")
        return say("oncall.problem.nobody", reasons=asked.reasons)

    async def _keep(self, known: _Known) -> None:
        self._kept, before = known, self._written
        same = before is not None and (before.source, before.duty) == (known.source, known.duty)
        if before is not None and same and known.as_of - before.as_of < WRITE_EVERY:
            return
        self._written = known
        await self._store.choose(KEPT_AS, known.model_dump_json())


def _looked_at(asking: asyncio.Task[OnDuty]) -> None:
    """What a question raised that nobody waits for any more is no surprise: the next one asks anew."""
    if not asking.cancelled() and (error := asking.exception()) is not None:
        _log.warning("oncall_unanswered", failure=type(error).__name__)


def _by_source(source: Source, duty: Duty, asked: _Asked, now: datetime) -> OnDuty:
    problem = say("oncall.problem.other_source", reasons=asked.reasons, source=source.name) if asked.down else None
    return OnDuty(
        basis=Basis.SOURCE,
        people=duty.people,
        unknown=asked.all_unknown,
        source=source.name,
        as_of=now,
        since=duty.since,
        until=duty.until,
        problem=problem,
    )


def _read(kept: str | None) -> _Known | None:
    """What was kept; None for nothing, and for what another version wrote in a way that this one cannot read."""
    try:
        return _Known.model_validate_json(kept) if kept else None
    except ValidationError:
        return None


def _called(source: Source) -> Text | str:
    """The name of a source in a sentence; that of the fallback group is ours, so it follows the reader's language."""
    return say("oncall.fallback_group") if source.name == FALLBACK_NAME else source.name


def _why(source: Text | str, error: ServiceError) -> Text:
    """Why a source could not be read, in plain words."""
    if isinstance(error, Throttled):
        return say("oncall.why.throttled", source=source)
    if isinstance(error, PermissionMissing) or error.params.get("status") == 401:
        return say("oncall.why.refused", source=source)
    if isinstance(error, NotFound):
        return say("oncall.why.not_found", source=source)
    if isinstance(error, BrokenAnswer):
        return say("oncall.why.broken", source=source)
    if isinstance(error, Rejected):
        return say("oncall.why.rejected", source=source, code=error.code)
    return say("oncall.why.silent", source=source)
