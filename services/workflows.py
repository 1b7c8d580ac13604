"""
What the durable jobs share: steps, changes of a case, news that wakes a waiting job, and an end that lets go.

Each step is written down by DBOS when it ends, so a program that was killed goes on after the last one. A step may run
twice (killed between acting and being written down), therefore every step reads before it acts. What steps find out is
kept in our own tables; a step hands back one small word and never a secret, because DBOS stores what steps return.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import structlog
from dbos import DBOS, StepOptions
from dbos import error as dbos_errors
from sqlalchemy.exc import DBAPIError

from services.access import Access
from services.audit import NewEntry, Tag, note
from services.cases import Approval, ApprovalState, Case, say
from services.ports import Clock, Delivery, Notifier
from services.store import Store

log = structlog.get_logger()

Changed = tuple[Case, Sequence[NewEntry]]
#: Whom a question was put before, as object ids, and how that went.
_Posted = tuple[tuple[str, ...], list[Delivery]]

#: Something happened that the waiting workflow should look at; what, stands in the case.
NEWS = "news"
#: The longest that a job at work goes without looking at its case, should news get lost.
LOOK_EVERY_S = 20.0

#: States of a workflow that will never move again, as DBOS names them.
DEAD = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})

#: A step whose database was away for a moment is run again; all steps read before they act. Other faults are not.
_AGAIN_AFTER_DATABASE_FAULT: StepOptions = {
    "retries_allowed": True,
    "max_attempts": 5,
    "interval_seconds": 1.0,
    "backoff_rate": 2.0,
    "should_retry": lambda error: isinstance(error, DBAPIError),
}


class Workflows:
    """The ground of the jobs; one object of each kind of job per process."""

    def __init__(self, store: Store, notifier: Notifier, clock: Clock) -> None:
        self._store = store
        self._notifier = notifier
        self._clock = clock
        self._running: set[asyncio.Task[Any]] = set()
        self._is_stopped = False

    def take_charge(self) -> None:
        """Be the one that this process's workflows run on. To be called before DBOS is launched and recovers any."""
        self._is_stopped = False

    async def run(self, workflow: Callable[..., Awaitable[Any]], *arguments: str) -> Any:
        """
        A workflow of ours, so that `stop` can end it. One that another job begins while the program ends is let go of
        at once: it would go on after everything that it works with was closed.
        """
        if self._is_stopped:
            raise asyncio.CancelledError
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            return await workflow(*arguments)
        finally:
            self._running.discard(task)

    async def stop(self) -> None:
        """
        Let go of everything that is under way, before the program ends.

        To DBOS this is no different from a killed process: the next start takes the jobs up at their last step.
        """
        self._is_stopped = True
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._store.settle()

    async def send_news(self, workflow_id: str) -> None:
        """Let a waiting job look at once. Repeats do no harm, and nobody waiting is no fault."""
        try:
            await DBOS.send_async(workflow_id, None, topic=NEWS)
        except dbos_errors.DBOSNonExistentWorkflowError:
            log.info("told_before_the_start", workflow_id=workflow_id)  # it reads the case when it begins

    async def wait_for_news(self, seconds: float) -> None:
        await DBOS.recv_async(NEWS, timeout_seconds=seconds)

    async def step(self, name: str, function: Callable[..., Awaitable], *arguments: object):
        return await DBOS.run_step_async({"name": name, **_AGAIN_AFTER_DATABASE_FAULT}, function, *arguments)

    async def change(self, case_id: str, change: Callable[[Case], Changed]) -> Case:
        """The case changed, written down, and on its way to every card."""
        case = await self._store.change_case(case_id, change)
        await self._notifier.case_changed(case_id)
        return case

    def now(self) -> datetime:
        return self._clock.now()


class Asking(Workflows):
    """A kind of job that puts questions before the on-call."""

    def __init__(self, store: Store, notifier: Notifier, clock: Clock, access: Access) -> None:
        super().__init__(store, notifier, clock)
        self._access = access

    async def post(self, case_id: str, prompt_id: str) -> None:
        """Put an open question before people, unless that was done before."""
        case = await self._store.case(case_id)
        if case.prompt(prompt_id).state is ApprovalState.PENDING and case.prompt(prompt_id).posted_at is None:
            await self._put(case, prompt_id)

    async def _put(self, case: Case, prompt_id: str, *, again: bool = False) -> Case:
        """
        An open question, put before the level that is to answer it now. When nobody of a level can be reached, the next
        level is asked at once.
        """
        people, deliveries = await self._posted(case, prompt_id, again=again)
        while not _delivered(deliveries) and _can_escalate(case.prompt(prompt_id)):
            case = await self.change(case.case_id, lambda case: _escalated(case, prompt_id, "undeliverable"))
            people, more = await self._posted(case, prompt_id)
            deliveries += more
        put = {"asked_level": case.prompt(prompt_id).level, "asked": people}
        return await self.change(
            case.case_id, lambda case: _after_posting(case, prompt_id, put, deliveries, self.now())
        )

    async def _posted(self, case: Case, prompt_id: str, *, again: bool = False) -> _Posted:
        people = await self._access.named_approvers(case, case.prompt(prompt_id))
        await self.change(case.case_id, lambda case: _asked_by_name(case, prompt_id, tuple(people.values())))
        return tuple(people), list(await self._notifier.post_prompt(case.case_id, prompt_id, people, again=again))

    async def remind(self, case_id: str, prompt_id: str) -> None:
        """Bring an open question back to mind now, at somebody's wish. One that is answered stays as it is."""
        case = await self._store.case(case_id)
        if case.prompt(prompt_id).state is ApprovalState.PENDING:
            await self._put(case, prompt_id, again=True)

    async def nudge(self, case_id: str, prompt_id: str) -> datetime | None:
        """
        Do what is due for an open question: pass it on to the next level, put it before whoever came on call, bring it
        back to mind. The moment at which something is due next, or None.
        """
        case = await self._store.case(case_id)
        prompt = case.prompt(prompt_id)
        if prompt.state is not ApprovalState.PENDING:
            return None
        if _can_escalate(prompt) and (due := _next(prompt.escalate_at, prompt.level)) and due <= self.now():
            case = await self.change(case_id, lambda case: _escalated(case, prompt_id, "no_answer"))
        if await self._has_to_be_put(case, case.prompt(prompt_id)):
            case = await self._put(case, prompt_id)
        if (due := _next(prompt.remind_at, prompt.reminded)) and due <= self.now():
            await self._put(case, prompt_id, again=True)
            case = await self.change(case_id, lambda case: _reminded(case, prompt_id))
        prompt = case.prompt(prompt_id)
        moments = [_next(prompt.remind_at, prompt.reminded)]
        if _can_escalate(prompt):
            moments.append(_next(prompt.escalate_at, prompt.level))
        return min((moment for moment in moments if moment is not None), default=None)

    async def _has_to_be_put(self, case: Case, prompt: Approval) -> bool:
        """Whether there is somebody at its level who was not asked, also because a kill came in between."""
        return prompt.asked_level < prompt.level or await self._access.is_handed_over(case, prompt)


def _next(moments: Sequence[datetime], done: int) -> datetime | None:
    return moments[done] if done < len(moments) else None


def _can_escalate(prompt: Approval) -> bool:
    return prompt.state is ApprovalState.PENDING and prompt.level + 1 < len(prompt.levels)


def _asked_by_name(case: Case, prompt_id: str, names: Sequence[str]) -> Changed:
    """The case with the names of those who are asked now, so that every card can say for whom it waits."""
    prompt = case.prompt(prompt_id)
    known = tuple(name for name in names if name)
    if prompt.state is not ApprovalState.PENDING or prompt.asked_names == known:
        return case, []
    return case.with_approval(prompt.model_copy(update={"asked_names": known})), []


def _escalated(case: Case, prompt_id: str, why: str) -> Changed:
    prompt = case.prompt(prompt_id)
    if prompt.state is not ApprovalState.PENDING or not _can_escalate(prompt):
        return case, []
    level = prompt.level + 1
    entry = note(Tag.PROMPT_ESCALATED, case.case_id, None, prompt_id=prompt_id, level=level, why=why)
    return case.with_approval(prompt.model_copy(update={"level": level})), [entry]


def _reminded(case: Case, prompt_id: str) -> Changed:
    prompt = case.prompt(prompt_id)
    if prompt.state is not ApprovalState.PENDING:
        return case, []
    entry = note(Tag.PROMPT_REMINDED, case.case_id, None, prompt_id=prompt_id, number=prompt.reminded + 1)
    return case.with_approval(prompt.model_copy(update={"reminded": prompt.reminded + 1})), [entry]


def _delivered(deliveries: Sequence[Delivery]) -> bool:
    return any(delivery.delivered for delivery in deliveries)


def _after_posting(
    case: Case, prompt_id: str, put: Mapping[str, Any], deliveries: Sequence[Delivery], at: datetime
) -> Changed:
    """The case with whom the question was put before, and on the record when it was nobody."""
    prompt = case.prompt(prompt_id)
    first = prompt.posted_at is None
    case = case.with_approval(prompt.model_copy(update={"posted_at": prompt.posted_at or at, **put}))
    if _delivered(deliveries):
        return case, []
    problems = [delivery.problem.key if delivery.problem else "" for delivery in deliveries]
    entry = note(
        Tag.PROMPT_UNDELIVERED,
        case.case_id,
        None,
        prompt_id=prompt_id,
        level=put["asked_level"],
        problems=problems,
    )
    # Somebody has the question already; or it is an undo or a fix, and how the case ended stays said.
    if not first or not case.is_at_work:
        return case, [entry]
    return case.model_copy(update={"outcome": say("outcome.prompt_undelivered")}), [entry]
