"""
After the job: watch until mail flows again, tell people, and remind of what is still open.

A durable workflow for each case. It has no timers of its own: when what comes due stands in the case (`FollowUp`,
`remind_at`), so nothing is lost by a restart, by an update of the program, or by a clock that a test owns. It ends when
nothing will come due any more, and is begun again when something does.

Why so long: an account sends again "usually within 1 hour, at most 24", and after an unblock Microsoft does not
restrict it again that day. Sources: "Remove blocked users from the Restricted entities page" (2026-08-24), "Configure
outbound spam filtering" (2025-02-05).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import structlog
from dbos import DBOS, SetWorkflowID

from services.audit import NewEntry, Tag, note
from services.cases import (
    LONGEST_DELAY,
    USUAL_DELAY,
    WATCHED_FOR,
    Case,
    CaseKind,
    CaseState,
    FollowUp,
    Text,
    say,
)
from services.durable import WORKFLOW_VERSION
from services.ports import Audience, Clock, Delivery, News, NewsKind, Notifier
from services.sent_since import last_of_day
from services.store import Store
from services.tracking import next_reminder, open_items, reminders
from services.workflows import DEAD, Changed, Workflows

log = structlog.get_logger()

#: The longest that a followed case goes without being looked at, should news get lost.
LONGEST_WAIT_S = 6 * 3600.0
#: How soon people who could not be told are tried again.
TRY_AGAIN_AFTER = timedelta(minutes=2)
#: After a fault of ours, which must not end the watch.
WAIT_AFTER_FAULT_S = 300.0
_SHORTEST_WAIT_S = 1.0


class Trace(Protocol):
    """Fulfilled by `SentSince`."""

    async def look(self, case: Case) -> FollowUp:
        """What is seen of the account's mail since the unblock, and when to look next. Never raises ServiceError."""
        ...


class FollowUps(Workflows):
    """One per process. `begin` for whatever may come due; `tell` when a click or a text has moved the case."""

    def __init__(self, store: Store, notifier: Notifier, clock: Clock, trace: Trace) -> None:
        super().__init__(store, notifier, clock)
        self._trace = trace

    # --- the job ---

    async def follow(self, case_id: str) -> None:
        """Do what is due, wait for what is due next; until nothing is."""
        looks = 0
        while (wait_s := await self._look_or_wait(case_id, looks)) > 0:
            await self.wait_for_news(wait_s)
            looks += 1

    async def _look_or_wait(self, case_id: str, looks: int) -> float:
        try:
            return await self.step("look", self._look, case_id, looks)
        except Exception as error:  # the outermost loop: a case must not go unwatched for one bad look
            log.exception("follow_up_failed", case_id=case_id, error=type(error).__name__)
            return WAIT_AFTER_FAULT_S

    # --- starting and telling ---

    def take_charge(self) -> None:
        global _in_charge
        super().take_charge()
        _in_charge = self

    async def begin(self, case_id: str) -> None:
        """Follow a case from now on. Safe to repeat, also for one whose following has ended."""
        with SetWorkflowID(await _workflow_id(case_id)):
            await DBOS.start_workflow_async(follow_up, case_id)
        await self.tell(case_id)

    async def tell(self, case_id: str) -> None:
        """Look at the case at once. Repeats do no harm."""
        await self.send_news(await _workflow_id(case_id))

    async def take_up(self) -> None:
        """After a start: whatever something will come due for is followed, by whichever version left it."""
        for case_id in await self._store.cases_to_follow():
            await self.begin(case_id)

    # --- the steps: each reads before it acts ---

    async def _look(self, case_id: str, looks: int) -> float:
        """Do what is due now; the seconds until something is due next, 0 when nothing will be."""
        case = await self._store.case(case_id)
        if self._is_to_be_read(case):
            case = await self._read_trace(case)
        case = await self.change(case_id, self._escalated)
        for news in due_news(case):
            case = await self._tell_people(case, news)
        case = await self.change(case_id, self._closed)
        case = await self.change(case_id, self._with_reminder)
        if case.remind_at is not None and case.remind_at <= self.now():
            case = await self._remind(case)
        return self._wait_s(case)

    def _is_to_be_read(self, case: Case) -> bool:
        follow = case.follow_up
        if case.state is not CaseState.UNBLOCKED or case.kind is not CaseKind.ACCOUNT or follow is None:
            return False
        return follow.next_look_at <= self.now()

    async def _read_trace(self, case: Case) -> Case:
        seen = await self._trace.look(case)

        def keep(case: Case) -> Changed:
            before = case.follow_up
            if case.state is not CaseState.UNBLOCKED or before is None:
                return case, []
            own = {"tell_user_by": before.tell_user_by, "escalated_at": before.escalated_at}
            now = seen.model_copy(update={**own, "user_told": before.user_told})
            return case.model_copy(update={"follow_up": now}), _entries(case.case_id, before, now)

        return await self.change(case.case_id, keep)

    def _escalated(self, case: Case) -> Changed:
        """Nothing was delivered for so long that somebody has to look."""
        follow = case.follow_up
        if case.kind is not CaseKind.ACCOUNT or case.state is not CaseState.UNBLOCKED or follow is None:
            return case, []
        looked_since = follow.next_look_at > follow.escalate_at
        if follow.first_delivered_at or follow.escalated_at or self.now() < follow.escalate_at or not looked_since:
            return case, []
        escalated = case.model_copy(update={"follow_up": follow.model_copy(update={"escalated_at": self.now()})})
        return escalated, [note(Tag.CASE_ESCALATED, case.case_id, None, refused=bool(follow.refused_at))]

    async def _tell_people(self, case: Case, news: News) -> Case:
        """Told once. Who cannot be reached is told through the on-call's channel, except the user themselves."""
        deliveries = await self._post(case, news)
        reached = _delivered(deliveries)

        def told(case: Case) -> Changed:
            """Whoever was not reached is tried again at the next look; for the record, the first failure is enough."""
            name = news.news_id if reached or news.audience is Audience.USER else f"{news.news_id}:unreached"
            if name in case.told:
                return case, []
            done = case.model_copy(update={"told": (*case.told, name)})
            if news.audience is Audience.USER and case.follow_up is not None:
                done = done.model_copy(update={"follow_up": case.follow_up.model_copy(update={"user_told": reached})})
            return done, [_news_entry(case.case_id, news, deliveries)]

        return await self.change(case.case_id, told)

    async def _post(self, case: Case, news: News) -> list[Delivery]:
        """Told to whom it is for; where a requester or an owner cannot be reached, to the on-call instead."""
        deliveries = list(await self._notifier.post_news(case.case_id, news))
        if not _delivered(deliveries) and news.audience in (Audience.REQUESTER, Audience.OWNER):
            instead = {"news_id": f"{news.news_id}:instead", "audience": Audience.ON_CALL}
            deliveries += await self._notifier.post_news(case.case_id, news.model_copy(update=instead))
        return deliveries

    async def _remind(self, case: Case) -> Case:
        for news in reminders(case, self.now()):
            deliveries = await self._post(case, news)
            await self._store.record(
                note(Tag.PREVENTION_REMINDED, case.case_id, None, person=news.person, delivered=_delivered(deliveries))
            )
        later = next_reminder(case, self.now())
        return await self.change(case.case_id, lambda case: (case.model_copy(update={"remind_at": later}), []))

    def _with_reminder(self, case: Case) -> Changed:
        """What is open again after all was done is reminded of again."""
        due = next_reminder(case, self.now())
        if case.remind_at is not None and due is not None:
            return case, []
        return case.model_copy(update={"remind_at": due}), []

    def _closed(self, case: Case) -> Changed:
        """
        Followed to its end: mail flows, people know it, and the unguarded day is over without a burst; or a week is. A
        burst stays open to be answered: it may be seen at the very last look of the day.
        """
        follow = case.follow_up
        if case.state is not CaseState.UNBLOCKED or follow is None:
            return case, []
        if case.kind is CaseKind.CONNECTOR:
            return close(case, self.now(), say("outcome.connector_unblocked"))
        is_over = self.now() >= follow.unblocked_at + WATCHED_FOR
        is_told = is_over or not due_news(case)
        if follow.first_delivered_at and (is_over or (_day_is_over(follow) and not follow.burst_at)) and is_told:
            return close(case, self.now(), say("outcome.closed_flowing", at=follow.first_delivered_at))
        return close(case, self.now(), _never_flowed(follow)) if is_over else (case, [])

    def _wait_s(self, case: Case) -> float:
        follow = case.follow_up
        due = [case.remind_at] if case.remind_at else []
        if case.state is CaseState.UNBLOCKED and follow is not None:
            due += [follow.next_look_at, follow.unblocked_at + WATCHED_FOR]
            if follow.first_delivered_at is None and follow.escalated_at is None:
                due.append(follow.escalate_at)
        if due_news(case):
            due.append(self.now() + TRY_AGAIN_AFTER)
        if not due:
            return LONGEST_WAIT_S if case.state is CaseState.TRACKING else 0.0
        left_s = (min(due) - self.now()).total_seconds()
        return max(_SHORTEST_WAIT_S, min(left_s, LONGEST_WAIT_S))


#: DBOS finds a workflow by its name, so the entry is a function of the module; what it works with is set at start-up.
_in_charge: FollowUps | None = None


@DBOS.workflow(name="follow_up")
async def follow_up(case_id: str) -> None:
    """Follows a case until nothing will come due any more."""
    assert _in_charge is not None, "take_charge() comes before DBOS.launch()"
    await _in_charge.run(_in_charge.follow, case_id)


async def _workflow_id(case_id: str) -> str:
    """The following that is under way, or the one to begin when all before it have ended."""
    number = 1
    while True:
        workflow_id = f"{case_id}-follow-{WORKFLOW_VERSION}-{number}"
        status = await DBOS.get_workflow_status_async(workflow_id)
        if status is None or status.status not in DEAD:
            return workflow_id
        number += 1


# --- what follows from what: pure ------------------------------------------------------------------------------------


def new_follow_up(at: datetime) -> FollowUp:
    """The watch that begins with an unblock at this moment."""
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return FollowUp(unblocked_at=at, next_look_at=at, unguarded_until=midnight, escalate_at=at + LONGEST_DELAY)


def due_news(case: Case) -> tuple[News, ...]:
    """What people are to be told of the case and were not yet; nothing that a later event has overtaken."""
    follow = case.follow_up
    if follow is None or case.state is not CaseState.UNBLOCKED:
        return ()
    news = []
    if follow.first_delivered_at:
        news.append(News(news_id="mail_flows", kind=NewsKind.MAIL_FLOWS, audience=Audience.REQUESTER))
        if follow.tell_user_by:
            news.append(News(news_id="user_can_send", kind=NewsKind.USER_CAN_SEND, audience=Audience.USER))
    elif follow.refused_at and follow.refused_at >= follow.unblocked_at + USUAL_DELAY:
        news.append(News(news_id="still_refused", kind=NewsKind.STILL_REFUSED, audience=Audience.REQUESTER))
    if follow.burst_at:
        news += _for_both("burst", NewsKind.BURST)
    if follow.escalated_at and not follow.first_delivered_at:
        news += _for_both("nothing_delivered", NewsKind.NOTHING_DELIVERED)
    return tuple(one for one in news if one.news_id not in case.told)


def _for_both(name: str, kind: NewsKind) -> list[News]:
    return [
        News(news_id=f"{name}:{who.value}", kind=kind, audience=who) for who in (Audience.ON_CALL, Audience.REQUESTER)
    ]


def close(case: Case, at: datetime, outcome: Text) -> Changed:
    """The case, no longer followed; on the record with what was left open."""
    still_open = [item.item_id for item in open_items(case)]
    entry = note(Tag.CASE_CLOSED, case.case_id, None, why=outcome.key, open_items=still_open)
    return case.moved(CaseState.CLOSED, at, outcome=outcome), [entry]


def _day_is_over(follow: FollowUp) -> bool:
    """Whether the day on which Microsoft does not guard the account is over, and was looked at to its end."""
    return follow.looked_at is not None and follow.looked_at >= last_of_day(follow)


def _never_flowed(follow: FollowUp) -> Text:
    if follow.unread is not None:
        return say("outcome.closed_unread", why=follow.unread)
    return say("outcome.closed_still_refused" if follow.refused_at else "outcome.closed_never_seen")


def _entries(case_id: str, before: FollowUp, now: FollowUp) -> list[NewEntry]:
    """What an auditor reads of a look that saw something new."""
    entries = []
    if now.first_delivered_at and not before.first_delivered_at:
        entries.append(note(Tag.MAIL_FLOWS, case_id, None, at=now.first_delivered_at.isoformat()))
    if now.refused_at and not before.refused_at:
        entries.append(note(Tag.MAIL_REFUSED, case_id, None, at=now.refused_at.isoformat(), code=now.refused_code))
    if now.burst_at and not before.burst_at:
        details = {"since": now.burst_at.isoformat(), "recipients": now.burst_recipients}
        entries.append(note(Tag.BURST_SEEN, case_id, None, **details))
    return entries


def _news_entry(case_id: str, news: News, deliveries: list[Delivery]) -> NewEntry:
    tag = Tag.NEWS_SENT if _delivered(deliveries) else Tag.NEWS_UNDELIVERED
    problems = [delivery.problem.key for delivery in deliveries if delivery.problem]
    return note(tag, case_id, None, kind=news.kind.value, audience=news.audience.value, problems=problems)


def _delivered(deliveries: list[Delivery]) -> bool:
    return any(delivery.delivered for delivery in deliveries)
