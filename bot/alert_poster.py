"""
Alerts on their way to people: a card for each, one digest for many at once, and every posted card kept true.

Fulfils the port `AlertPoster`. An alert is claimed in the database before it is posted, so that only one replica posts
it; the card is written down before the post, so that a restart knows that one may be out there. What Teams refused for
certain is given back and tried again by `sweep`. What nobody knows the end of waits a while before it is posted again:
better twice than never, and whoever presses the lost card meanwhile makes it ours.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

import structlog

from bot.activities import Place
from bot.connector import Connector, CopyGone, PlaceGone, Uncertain
from bot.places import Places, hash_of, post
from cards.alert_digest import digest
from cards.alerts import alert_card
from cards.render import Rendered, render
from cards.views import View
from cards.weekly import weekly
from services.alerts.dealing import case_of, cases_of
from services.alerts.model import TENANT, Alert, AlertCopy, AlertKind, is_in_hand, needs_somebody
from services.alerts.summary import WeeklySummary
from services.audit import NewEntry, Tag, note
from services.cases import Actor
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.errors import AlertNotFound, ServiceError
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: Changes within this time become one edit.
GATHER_S = 0.25
#: How soon a digest is drawn anew, and how seldom while it goes on changing: each edit takes the page that somebody has
#: turned to, or the question that they are about to answer, from under their hand.
DIGEST_EVERY_S, DIGEST_SELDOM_S = 2.0, 30.0
#: From this many alerts within this time on they are told in a digest; what follows within it joins.
DIGEST_WITHIN = timedelta(minutes=1)
#: More rows than this stand in another digest.
MAX_ROWS = 2000
#: How long one post may take, pauses that Teams asks for included. The connector must give up before: what Teams has
#: refused to the end is certain, and what is cut off is not.
POST_LIMIT_S = 25.0
POST_PATIENCE_S = 8.0
#: After this long nobody is posting any more what was begun: longer than POST_LIMIT_S, and than writing it down.
GIVEN_UP_AFTER = timedelta(seconds=40)
#: How long a post of unknown end is waited for before the next one; the last is how long each time from then on. The
#: health of the bot tells meanwhile that nobody knows whether the alert arrived.
PATIENCE = (GIVEN_UP_AFTER, timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30))
#: How long after a refusal the next post is made, doubled by each refusal up to the second one.
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(minutes=5)
#: A digest takes more for so long; a campaign that goes on is told in a new one, which calls again.
DIGEST_OPEN_FOR = timedelta(minutes=5)
SWEEP_EVERY_S = 5.0
#: How many cards are posted at the same time, and how many are edited.
AT_ONCE = 8
#: So loud that they have a card of their own whatever else there is; so does what concerns everybody.
_ALONE = frozenset({AlertKind.HEALTH, AlertKind.TENANT_RESTRICTED})

_POSTING, _LIVE, _GONE, _REFUSED = "posting", "live", "gone", "refused"


class OnCallPeople(Protocol):
    """Who is to be called; fulfilled by `services.alerts.calling.Calling`."""

    async def people(self) -> tuple[Actor, ...]:
        """The on-call, at once; nobody when that is not known. Never raises for a source."""
        ...


@dataclass(frozen=True)
class Subject:
    """What a card is about: one alert, or those of a digest."""

    alert_id: str | None = None
    digest_id: str | None = None

    @property
    def key(self) -> str:
        return f"alert:{self.alert_id}" if self.alert_id else f"digest:{self.digest_id}"


@dataclass
class _OpenDigest:
    """The digest that what comes next belongs to."""

    digest_id: str
    began_at: datetime
    last_at: datetime
    rows: int = 0
    is_closed: bool = False


@dataclass
class _Refused:
    """What Teams refused: when it may be tried again, and how long that was after the refusal."""

    pause: timedelta
    not_before: datetime

    @staticmethod
    def after(before: _Refused | None, now: datetime, asked: timedelta = timedelta(0)) -> _Refused:
        """Each refusal doubles the pause, and what Teams asks for is granted."""
        pause = FIRST_PAUSE if before is None else min(2 * before.pause, LONGEST_PAUSE)
        return _Refused(pause, now + max(pause, min(asked, LONGEST_PAUSE)))


class _TurnLost(Exception):
    """Somebody else took the post over while it waited for its turn."""


class AlertPoster:
    """Posts and edits. `start` and `close` own the background tasks."""

    def __init__(
        self,
        *,
        store: Store,
        connector: Connector,
        clock: Clock,
        language: str,
        on_call: OnCallPeople,
        alerts_conversation: str = "",
        approvals_conversation: str = "",
        digest_from: int = 5,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._alerts = store.alerts
        self._connector = connector
        self._places = Places(store)
        self._clock = clock
        self._language = language
        self._on_call = on_call
        self._settings = ((ALERTS_CONVERSATION, alerts_conversation), (APPROVALS_CONVERSATION, approvals_conversation))
        self._digest_from = digest_from
        self._sleep = sleep
        self._marked: set[str] = set()
        self._marked_digests: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        #: Posts that have begun.
        self._under_way: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._edit_turns = asyncio.Semaphore(AT_ONCE)
        self._to_edit: dict[str, None] = {}
        #: Moments at which alerts were put before people lately.
        self._told: deque[datetime] = deque()
        self._digest: _OpenDigest | None = None
        self._posting: set[str] = set()
        self._closed = False
        #: Subjects of which a card is known to be out there, and when the newest of them was posted.
        self._known: dict[str, datetime] = {}
        self._undelivered: set[str] = set()
        #: Alerts that were refused and are still to be posted, by id.
        self._refused: dict[str, _Refused] = {}
        #: Who is called about an alert, by its id, while it is not posted: the sources are asked once.
        self._called: dict[str, tuple[Actor, ...]] = {}
        #: Ids of rows of copies that were refused, to be used again.
        self._spare: list[str] = []
        #: Subjects with cards that could not be edited, and when they may be tried again.
        self._behind: dict[str, _Refused] = {}

    async def start(self) -> None:
        """Post what waits, bring every card up to date, and keep doing so."""
        in_hand = [alert.alert_id for alert in await self._alerts.alerts() if alert.case_id is not None]
        self._tasks["sweep"] = asyncio.create_task(self._sweep_for_ever())
        await self.alerts_changed(in_hand)  # their cases may have moved while nobody was there to see it

    async def close(self) -> None:
        """
        End what is under way; what is told from now on waits in the database for the next start. A post on its way is
        waited for, POST_LIMIT_S at most: otherwise nobody would know whether it arrived.
        """
        self._closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is marked and nothing is being posted or edited."""
        while waiting := [task for name, task in self._tasks.items() if name != "sweep"]:
            await asyncio.gather(*waiting, return_exceptions=True)

    # --- the port, and what else is told ---

    async def alerts_changed(self, alert_ids: Sequence[str]) -> None:
        if alert_ids:
            self._marked.update(alert_ids)
            self._run("alerts", self._follow_alerts)

    async def case_changed(self, case_id: str) -> None:
        """Cards of alerts say how the case stands that deals with them."""
        await self.alerts_changed([alert.alert_id for alert in await self._alerts.alerts_of_case(case_id)])

    async def adopt(self, subject: Subject, place: Place, activity_id: str, language: str) -> None:
        """Let a message that shows this, and of which nothing is written down, follow from now on."""
        where = (place.conversation_id, activity_id)
        if await self.shows(subject, *where) or await self._store.copy_at(*where) is not None:
            return
        copy = self._new_copy(subject, place.conversation_id, language, ())
        await self._alerts.save_copy(copy.model_copy(update={"activity_id": activity_id, "state": _LIVE}))
        self._known[subject.key] = copy.posted_at
        await self._mark(subject)

    async def shows(self, subject: Subject, conversation_id: str, activity_id: str) -> bool:
        """Whether the message there is a card of this."""
        known = await self._copies(subject)
        return any((copy.conversation_id, copy.activity_id) == (conversation_id, activity_id) for copy in known)

    async def post_weekly(self, summary: WeeklySummary) -> None:
        """Post the summary of a week, once. Raises ServiceError when it cannot be posted now."""
        subject = Subject(digest_id=summary.summary_id)
        if any(copy.state in (_POSTING, _LIVE) or copy.activity_id for copy in await self._copies(subject)):
            return
        for place in await self._open_places():
            copy = self._new_copy(subject, place.conversation_id, self._language, ())
            try:
                await self._post(copy, place, weekly(summary))
                return
            except PlaceGone:
                continue
            except (Uncertain, TimeoutError):
                log.warning("weekly_uncertain", summary_id=summary.summary_id)
                return  # it may be there; a summary is not worth being told twice
        log.warning("weekly_undelivered", summary_id=summary.summary_id)

    # --- the loop ---

    def _run(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if name not in self._tasks and not self._closed:
            self._tasks[name] = asyncio.create_task(self._guarded(name, work))

    async def _guarded(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except Exception as error:  # the outermost loop: the sweep tries again
            log.exception("alert_posting_failed", task=name, error=type(error).__name__)
        finally:
            self._tasks.pop(name, None)

    async def _follow_alerts(self) -> None:
        """Post what is new and edit what is known, until nothing is marked any more."""
        while self._marked:
            marked, self._marked = self._marked, set()
            waiting = await self._alerts.unposted()
            new = [alert for alert in waiting if alert.alert_id in marked]
            await self._post_new([alert for alert in new if self._may_be_posted(alert)])
            self._to_edit.update(dict.fromkeys(sorted(marked.difference(alert.alert_id for alert in new))))
            if self._to_edit:
                self._run("edits", self._follow_edits)
            await self._sleep(GATHER_S)

    async def _follow_edits(self) -> None:
        """Apart from the posts, so that what is new never waits behind many edits."""
        while self._to_edit:
            some = list(self._to_edit)[:AT_ONCE]
            for alert_id in some:
                del self._to_edit[alert_id]
            await asyncio.gather(*map(self._edit_alert, some))

    async def _follow_digest(self, digest_id: str) -> None:
        pause_s = DIGEST_EVERY_S
        while digest_id in self._marked_digests:
            self._marked_digests.discard(digest_id)
            await self._edit(Subject(digest_id=digest_id))
            await self._sleep(pause_s)
            pause_s = min(2 * pause_s, DIGEST_SELDOM_S)

    async def _mark(self, subject: Subject) -> None:
        if subject.alert_id:
            await self.alerts_changed([subject.alert_id])
        elif subject.digest_id:
            digest_id = subject.digest_id
            self._marked_digests.add(digest_id)
            self._run(subject.key, lambda: self._follow_digest(digest_id))

    # --- posting what is new ---

    async def _post_new(self, alerts: Sequence[Alert]) -> None:
        if not alerts:
            return
        if not await self._open_places():
            await self._note_undelivered(alerts, "no_place")
            return
        alone = [alert for alert in alerts if _is_loud(alert) or alert.digest_id is not None]
        others = [alert for alert in alerts if alert not in alone]
        now = self._clock.now()
        while self._told and now - self._told[0] >= DIGEST_WITHIN:
            self._told.popleft()
        await self._close_digest(now)
        goes_on = self._digest is not None and now - self._digest.last_at <= DIGEST_WITHIN
        if others and (goes_on or len(self._told) + len(others) >= self._digest_from):
            await self._post_digest(others, now)
        else:
            alone += others
        await asyncio.gather(*(self._post_alone(alert, now) for alert in alone))

    def _open_digest(self, more: int, now: datetime) -> _OpenDigest | None:
        """The digest that these join, if one was added to within the last minute, is not closed and has room."""
        current = self._digest
        if current is None or current.is_closed or now - current.last_at > DIGEST_WITHIN:
            return None
        return current if current.rows + more <= MAX_ROWS else None

    async def _close_digest(self, now: datetime) -> None:
        """Nothing joins a digest that is old, or in which nothing waits: an edit of it would call nobody."""
        current = self._digest
        if current is None or current.is_closed:
            return
        alerts = await self._alerts.alerts_of_digest(current.digest_id)
        cases = await cases_of(self._store, alerts)
        waits = any(needs_somebody(alert, cases.get(alert.case_id or ""), now) for alert in alerts)
        current.is_closed = not waits or now - current.began_at >= DIGEST_OPEN_FOR

    def _may_be_posted(self, alert: Alert) -> bool:
        refused = self._refused.get(alert.alert_id)
        return refused is None or refused.not_before <= self._clock.now()

    async def _post_alone(self, alert: Alert, now: datetime) -> None:
        """A card of its own. One that is woken from a digest keeps its row there."""
        claimed = await self._claim([alert.alert_id], now, alert.digest_id)
        if claimed:
            if not _is_loud(alert):
                self._told.append(now)
            await self._put_up(Subject(alert_id=alert.alert_id), claimed)

    async def _post_digest(self, alerts: Sequence[Alert], now: datetime) -> None:
        for start in range(0, len(alerts), MAX_ROWS):
            some = alerts[start : start + MAX_ROWS]
            current = self._open_digest(len(some), now) or _OpenDigest(f"D{uuid.uuid4().hex[:12]}", now, now)
            claimed = await self._claim([alert.alert_id for alert in some], now, current.digest_id)
            if not claimed:
                continue
            is_new, self._digest = current.rows == 0, current
            current.last_at, current.rows = now, current.rows + len(claimed)
            subject = Subject(digest_id=current.digest_id)
            await (self._put_up(subject, claimed) if is_new else self._mark(subject))

    async def _claim(self, alert_ids: Collection[str], now: datetime, digest_id: str | None) -> list[Alert]:
        """Those that nobody else is posting: they count as told from now on, and are given back if that fails."""

        def claim(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if not alert.is_open or alert.posted_at is not None or alert.set_aside_at is not None:
                return alert, []
            is_alone = digest_id is None or digest_id == alert.digest_id
            return alert.model_copy(update={"posted_at": now, "digest_id": digest_id, "is_alone": is_alone}), []

        return await self._alerts.change_alerts(alert_ids, claim)

    async def _put_up(self, subject: Subject, alerts: Sequence[Alert]) -> None:
        """The card in the first place that takes it; without any the alerts are given back."""
        self._posting.add(subject.key)
        try:
            problem = await self._try_places(subject, alerts)
        finally:
            self._posting.discard(subject.key)
        if self._digest is not None and self._digest.digest_id == subject.digest_id and subject.key not in self._known:
            self._digest = None  # nothing may join a digest that is perhaps nowhere
        if problem:
            await self._give_back(alerts)
            await self._note_undelivered(alerts, problem)
            return
        for alert in alerts:
            self._refused.pop(alert.alert_id, None)
            self._called.pop(alert.alert_id, None)

    async def _people(self, alerts: Sequence[Alert]) -> tuple[Actor, ...]:
        """Who is called about these; asked anew only when nobody is known, so that refusals do not burden a source."""
        called = next((self._called[alert.alert_id] for alert in alerts if alert.alert_id in self._called), ())
        called = called or await self._on_call.people()
        if called:
            self._called.update((alert.alert_id, called) for alert in alerts)
        return called

    def _pause(self, alerts: Iterable[Alert], error: ServiceError) -> None:
        now = self._clock.now()
        asked = timedelta(seconds=float(error.params.get("retry_after_s") or 0.0))
        for alert in alerts:
            self._refused[alert.alert_id] = _Refused.after(self._refused.get(alert.alert_id), now, asked)

    async def _try_places(self, subject: Subject, alerts: Sequence[Alert]) -> str:
        """Why the card is in no place, for our records; "" when it is there, or may be."""
        called = await self._people(alerts)
        problem = "no_place"
        for place in await self._open_places():
            copy = self._new_copy(subject, place.conversation_id, self._language, called)
            try:
                view, version, until = await self._view(subject, called)
                await self._post(copy.model_copy(update={"shown_until": until}), place, view, version)
            except PlaceGone as error:
                problem = error.code
                continue
            except _TurnLost:
                return ""
            except (Uncertain, TimeoutError) as error:
                log.warning("alert_uncertain", subject=subject.key, error=type(error).__name__)
                return ""
            except ServiceError as error:
                log.warning("alert_undelivered", subject=subject.key, error=str(error))
                self._pause(alerts, error)
                return type(error).__name__
            self._known[subject.key] = self._clock.now()
            await self._mark(subject)  # it may have changed while the card was on its way
            return ""
        return problem

    async def _post(self, copy: AlertCopy, place: Place, view: View, version: int = 0) -> None:
        """
        Write down that a post is under way, post, write down where it is. Raises what the connector raises, and
        _TurnLost when it waited so long for its turn that it was given up.
        """
        await self._alerts.save_copy(copy)
        shown = render(view, copy.language)
        async with self._turns:
            copy = await self._begun_now(copy)
            await self._to_the_end(self._post_now(copy, place, shown, version))

    async def _to_the_end(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry out what must not be cut off in its middle: `close` waits for it."""
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        await asyncio.shield(task)

    async def _post_now(self, copy: AlertCopy, place: Place, shown: Rendered, version: int) -> None:
        try:
            async with asyncio.timeout(POST_LIMIT_S):
                sent = await post(self._connector, place, shown)
        except Uncertain:
            raise
        except ServiceError as error:
            await self._places.mark_gone(place, error)
            await self._alerts.save_copy(copy.model_copy(update={"state": _REFUSED}))
            self._spare.append(copy.copy_id)
            raise
        where = {"conversation_id": sent.conversation_id, "activity_id": sent.activity_id}
        seen = {"state": _LIVE, "shown_hash": hash_of(shown), "shown_version": version}
        await self._alerts.save_copy(copy.model_copy(update={**where, **seen}))

    async def _begun_now(self, copy: AlertCopy) -> AlertCopy:
        """Dated when its turn has come, since whoever takes it over counts from then. Raises _TurnLost."""
        now = self._clock.now()
        if now - copy.posted_at >= GIVEN_UP_AFTER / 2:
            known = await self._copies(Subject(copy.alert_id, copy.digest_id))
            if not any(one.copy_id == copy.copy_id and one.state == _POSTING for one in known):
                raise _TurnLost
        copy = copy.model_copy(update={"posted_at": now})
        await self._alerts.save_copy(copy)
        return copy

    def _new_copy(self, subject: Subject, conversation_id: str, language: str, called: tuple[Actor, ...]) -> AlertCopy:
        return AlertCopy(
            copy_id=self._spare.pop() if self._spare else uuid.uuid4().hex,
            alert_id=subject.alert_id,
            digest_id=subject.digest_id,
            conversation_id=conversation_id,
            language=language,
            called=called,
            posted_at=self._clock.now(),
        )

    async def _give_back(self, alerts: Iterable[Alert], uncertain: Collection[str] = ()) -> None:
        """
        Nobody was told of them: the next sweep tries again. What was claimed anew since it was seen stays with whoever
        claimed it. Of those in `uncertain` it is not known whether they were told, which is counted.
        """
        seen = {alert.alert_id: (alert.posted_at, alert.digest_id) for alert in alerts}

        def give_back(alert: Alert) -> tuple[Alert, Sequence[NewEntry]]:
            if (alert.posted_at, alert.digest_id) != seen[alert.alert_id]:
                return alert, []
            tries = alert.uncertain + (alert.alert_id in uncertain)
            digest_id = alert.digest_id if alert.is_alone else None
            return alert.model_copy(update={"posted_at": None, "digest_id": digest_id, "uncertain": tries}), []

        await self._alerts.change_alerts(seen, give_back)

    async def _note_undelivered(self, alerts: Sequence[Alert], problem: str) -> None:
        """On the record once for each alert, however often it is tried."""
        fresh = [alert for alert in alerts if alert.alert_id not in self._undelivered]
        self._undelivered.update(alert.alert_id for alert in fresh)
        if fresh:
            log.warning("alerts_undelivered", count=len(fresh), problem=problem)
            entries = (
                note(Tag.ALERT_UNDELIVERED, a.case_id, None, alert_id=a.alert_id, about=a.about, problem=problem)
                for a in fresh
            )
            await self._store.record(*entries)

    async def _open_places(self) -> list[Place]:
        """Where alerts go: the conversation for alerts, else the one for approvals; not where the bot was removed."""
        ids = [await self._store.chosen(name) or fallback for name, fallback in self._settings]
        open_ids = [id_ for id_ in dict.fromkeys(ids) if id_ and await self._places.is_open(id_)]
        places = [await self._places.place(id_) for id_ in open_ids]
        return [place for place in places if place is not None]

    # --- keeping true ---

    async def _view(self, subject: Subject, called: Sequence[Actor]) -> tuple[View, int, datetime | None]:
        """
        What the card shows now, and of which version that is; for a digest also until when its alerts were claimed.
        Raises AlertNotFound.
        """
        now = self._clock.now()
        if subject.alert_id:
            alert = await self._alerts.alert(subject.alert_id)
            return alert_card(alert, now, await case_of(self._store, alert), called), alert.version, None
        digest_id = str(subject.digest_id)
        alerts = await self._alerts.alerts_of_digest(digest_id)
        if not alerts:
            raise AlertNotFound(digest_id=digest_id)
        cases = await cases_of(self._store, alerts)
        version = sum(alert.version for alert in alerts)
        until = max((alert.posted_at for alert in alerts if alert.posted_at is not None), default=None)
        return digest(alerts, cases, now, digest_id=digest_id, mentions=called), version, until

    async def _edit_alert(self, alert_id: str) -> None:
        """The card of an alert, and the digest that it stands in."""
        try:
            alert = await self._alerts.alert(alert_id)
        except AlertNotFound:
            return
        if alert.digest_id:
            await self._mark(Subject(digest_id=alert.digest_id))
        await self._edit(Subject(alert_id=alert_id))

    async def _edit(self, subject: Subject) -> None:
        copies = [copy for copy in await self._copies(subject) if copy.state == _LIVE]
        for copy in copies:
            try:
                view, version, until = await self._view(subject, copy.called)
            except AlertNotFound:  # everything in it was given back, or is told elsewhere
                return
            async with self._edit_turns:
                await self._edit_copy(subject, copy, render(view, copy.language), version, until)

    async def _edit_copy(
        self, subject: Subject, copy: AlertCopy, shown: Rendered, version: int, until: datetime | None
    ) -> None:
        if hash_of(shown) != copy.shown_hash:
            try:
                await self._put(copy, shown)
            except CopyGone as error:
                log.warning("alert_copy_given_up", copy_id=copy.copy_id, error=str(error))
                await self._give_up(subject, copy)
                return
            except ServiceError as error:  # also a refusal, such as of our token: the message is still there
                log.warning("alert_edit_failed", copy_id=copy.copy_id, error=str(error))
                self._behind[subject.key] = _Refused.after(self._behind.get(subject.key), self._clock.now())
                return
        self._behind.pop(subject.key, None)
        seen = {"shown_hash": hash_of(shown), "shown_version": version, "shown_until": until}
        if (after := copy.model_copy(update=seen)) != copy:
            await self._alerts.save_copy(after)

    async def _give_up(self, subject: Subject, copy: AlertCopy) -> None:
        """The message is gone. What joined its digest and was never shown on it is told elsewhere."""
        await self._alerts.save_copy(copy.model_copy(update={"state": _GONE}))
        if subject.digest_id is None:
            return
        self._known.pop(subject.key, None)
        if self._digest is not None and self._digest.digest_id == subject.digest_id:
            self._digest = None
        alerts = [alert for alert in await self._alerts.alerts_of_digest(subject.digest_id) if alert.is_open]
        lost = [alert for alert in alerts if alert.posted_at is not None and not await self._is_told(alert, {})]
        if lost:
            log.warning("alerts_posted_again", count=len(lost))
            await self._give_back(lost)
            await self.alerts_changed([alert.alert_id for alert in lost])

    async def _put(self, copy: AlertCopy, shown: Rendered) -> None:
        place = await self._places.place(copy.conversation_id)
        if place is None or copy.activity_id is None:
            raise CopyGone("no_place")
        try:
            await self._connector.update(place, copy.activity_id, shown.card, summary=shown.summary)
        except PlaceGone as error:
            await self._places.mark_gone(place, error)
            raise CopyGone(error.code) from error

    async def _copies(self, subject: Subject) -> list[AlertCopy]:
        if subject.alert_id:
            return await self._alerts.copies_of_alert(subject.alert_id)
        return await self._alerts.copies_of_digest(str(subject.digest_id))

    # --- what was left over ---

    async def sweep(self) -> None:
        """Try again what did not get through, wake what was snoozed, and see to cards that are behind."""
        open_alerts = await self._alerts.alerts()
        await self._wake(open_alerts)
        await self._recover(open_alerts)
        await self.alerts_changed([alert.alert_id for alert in await self._alerts.unposted()])
        outdated = [Subject(copy.alert_id, copy.digest_id) for copy in await self._alerts.outdated_copies()]
        for subject in dict.fromkeys([*outdated, *map(_subject_of, self._behind)]):
            behind = self._behind.get(subject.key)
            if behind is None or behind.not_before <= self._clock.now():
                await self._mark(subject)

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception as error:  # the outermost loop: one bad round must not end all that follow
                log.exception("alert_sweep_failed", error=type(error).__name__)
            await self._sleep(SWEEP_EVERY_S)

    async def _wake(self, open_alerts: Iterable[Alert]) -> None:
        """What was snoozed and still waits for somebody is told once more when its time is over."""
        now = self._clock.now()
        over = [a for a in open_alerts if a.snoozed_until is not None and a.snoozed_until <= now]
        for alert in over:
            again = not is_in_hand(alert, await case_of(self._store, alert))
            await self._alerts.change_alerts([alert.alert_id], lambda alert, again=again: _woken(alert, now, again))
            await self.alerts_changed([alert.alert_id])

    async def _recover(self, open_alerts: Sequence[Alert]) -> None:
        """Give back what was claimed and of which, after a while, no card is known."""
        ids = {alert.alert_id for alert in open_alerts}
        self._refused = {alert_id: one for alert_id, one in self._refused.items() if alert_id in ids}
        self._called = {alert_id: people for alert_id, people in self._called.items() if alert_id in ids}
        now = self._clock.now()
        given_up: set[str] = set()
        for copy in await self._alerts.copies_posting():
            subject = Subject(copy.alert_id, copy.digest_id)
            about = [a for a in open_alerts if subject in (Subject(a.alert_id), Subject(None, a.digest_id))]
            if subject.key not in self._posting and _is_over(copy, about, now):
                await self._alerts.save_copy(copy.model_copy(update={"state": _GONE}))
                given_up.update(alert.alert_id for alert in about)
        lost = await self._lost(open_alerts, now)
        if lost:
            log.warning("alerts_posted_again", count=len(lost))
            await self._give_back(lost, given_up)

    async def _lost(self, alerts: Iterable[Alert], now: datetime) -> list[Alert]:
        """The alerts that count as told, with no card about them that is out there or on its way."""
        digests: dict[str, list[AlertCopy]] = {}
        old = [a for a in alerts if a.posted_at is not None and now - a.posted_at >= GIVEN_UP_AFTER]
        return [alert for alert in old if not await self._is_told(alert, digests)]

    async def _is_told(self, alert: Alert, digests: dict[str, list[AlertCopy]]) -> bool:
        """
        Whether it stands in its digest, or has a card, since it was last to be told. `digests` keeps what is asked once
        for all of a digest.
        """
        if alert.digest_id is not None and not alert.is_alone:
            subject = Subject(digest_id=alert.digest_id)
            if subject.key in self._posting:
                return True
            if alert.digest_id not in digests:
                digests[alert.digest_id] = await self._copies(subject)
            if any(_shows(copy, alert) for copy in digests[alert.digest_id]):
                return True
        return await self._has_card(Subject(alert_id=alert.alert_id), alert.posted_at)

    async def _has_card(self, subject: Subject, since: datetime | None) -> bool:
        """Whether a card of it was posted since then, or is on its way; one from before told of something else."""
        if subject.key in self._posting:
            return True
        known_at = self._known.get(subject.key)
        if known_at is not None and (since is None or known_at >= since):
            return True
        copies = [copy for copy in await self._copies(subject) if since is None or copy.posted_at >= since]
        out = [copy.posted_at for copy in copies if copy.activity_id is not None]
        if out:
            self._known[subject.key] = max(out)
        return bool(out) or any(copy.state == _POSTING for copy in copies)


def _is_over(copy: AlertCopy, about: Collection[Alert], now: datetime) -> bool:
    """Whether nobody waits any longer for the end of this post."""
    tries = min((alert.uncertain for alert in about), default=0)
    return now - copy.posted_at >= PATIENCE[min(tries, len(PATIENCE) - 1)]


def _subject_of(key: str) -> Subject:
    kind, _, id_ = key.partition(":")
    return Subject(alert_id=id_) if kind == "alert" else Subject(digest_id=id_)


def _shows(copy: AlertCopy, alert: Alert) -> bool:
    """Whether the alert stands on this copy of its digest, will, or did before the message was deleted."""
    if copy.state in (_POSTING, _LIVE):
        return True
    until = copy.shown_until
    was_there = copy.activity_id is not None and until is not None and alert.posted_at is not None
    return was_there and alert.posted_at <= until


def _is_loud(alert: Alert) -> bool:
    return alert.kind in _ALONE or alert.about == TENANT


def _woken(alert: Alert, now: datetime, again: bool) -> tuple[Alert, Sequence[NewEntry]]:
    """No longer snoozed; to be told `again`, unless it was told since."""
    if alert.snoozed_until is None or alert.snoozed_until > now:
        return alert, []
    told_since = alert.posted_at is not None and alert.posted_at >= alert.snoozed_until
    awake = {"snoozed_until": None, "snoozed_by": None}
    tell = {"posted_at": None, "uncertain": 0, "waits_since": now} if again and not told_since else {}
    return alert.model_copy(update={**awake, **tell}), []
