"""
From what people type and press about alerts to orders, and back to cards: the part of the handlers that is about them.

A press is answered with the card that was pressed as it is now, for whoever pressed; everybody else's copy is edited by
the poster. Which card that was stands in the button's data, and says nothing of who somebody is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta

from bot import grammar
from bot.activities import Incoming
from bot.adapter import Reply
from bot.alert_poster import AlertPoster, Subject
from bot.fields import field_of
from bot.replies import refusal_of, snoozed, which_alert
from cards.alert_digest import SNOOZE_ALL_HOURS, alert_list, all_snoozed, all_started, digest, restricted, sure_to_start
from cards.alerts import alert_card
from cards.render import render
from cards.views import View
from services.alerts.dealing import case_of, cases_of
from services.alerts.desk import AlertDesk, SetAside, SnoozeAlert, SnoozeAll, StartAlert, StartAll
from services.alerts.model import Alert
from services.cases import Actor, Case, say
from services.errors import AlertOver, BadInput, NotAllowed, SeveralAlerts
from services.ports import Clock
from services.store import Store

CommandHandler = Callable[[object, Incoming, Actor, Reply], Awaitable[View | None]]
VerbHandler = Callable[[Incoming, Actor, Reply], Awaitable[View]]
#: Does something with a case where a press came from: posts its card, or its card and lets it begin.
WithCase = Callable[[Case, Incoming], Awaitable[None]]


class AlertTurns:
    """Its tables are parts of those of `Handlers`."""

    def __init__(
        self,
        *,
        desk: AlertDesk,
        poster: AlertPoster,
        store: Store,
        clock: Clock,
        begin: WithCase,
        show: Callable[[Case, Incoming, Actor], Awaitable[None]],
        copy_language: Callable[[Incoming], str],
    ) -> None:
        self._desk = desk
        self._poster = poster
        self._store = store
        self._clock = clock
        self._begin = begin
        self._show = show
        self._copy_language = copy_language
        self.commands: Mapping[type, CommandHandler] = {
            grammar.Alerts: self._alerts,
            grammar.Snooze: self._snooze_by_text,
            grammar.Restricted: self._restricted,
        }
        self.verbs: Mapping[str, VerbHandler] = {
            "alert_start": self._start,
            "alert_start_all": self._start_all,
            "alert_snooze": self._snooze,
            "alert_snooze_all": self._snooze_all,
            "alert_not_now": self._not_now,
            "alert_case": self._case,
            "alert_page": self._turn_page,
            "alerts_page": self._turn_page,
            "restricted_page": self._turn_page,
        }

    # --- commands ---

    async def _alerts(self, command: object, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return alert_list(await self._desk.list_open(who), self._clock.now())

    async def _restricted(self, command: object, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return restricted(await self._desk.restricted_list(who))

    async def _snooze_by_text(self, command: object, incoming: Incoming, who: Actor, reply: Reply) -> View:
        assert isinstance(command, grammar.Snooze), "the table of commands says so"
        order = SnoozeAlert(by=who, target=command.target, lasts=timedelta(minutes=command.minutes))
        try:
            return snoozed(await self._desk.snooze(order))
        except SeveralAlerts as several:
            return which_alert(several)

    # --- verbs ---

    async def _start(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """A case with a card of its own, where it was asked for; a second press shows that it is there."""

        async def start(alert_id: str) -> None:
            started = await self._desk.start(StartAlert(who, alert_id))
            if started.is_new:
                await self._begin(started.case, incoming)

        return await self._on_alert(incoming, who, start)

    async def _snooze(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        lasts = timedelta(hours=_hours(incoming))
        return await self._on_alert(incoming, who, lambda id_: self._desk.snooze(SnoozeAlert(who, lasts, id_)))

    async def _not_now(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._on_alert(incoming, who, lambda id_: self._desk.set_aside(SetAside(who, id_)))

    async def _case(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """The case in a message of its own; the alert stays what it is."""

        async def show(alert_id: str) -> None:
            _, case = await self._desk.alert_for(who, alert_id)
            if case is None:
                raise AlertOver(alert_id=alert_id)
            await self._show(case, incoming, who)

        return await self._on_alert(incoming, who, show)

    async def _start_all(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """Asks first: very many cases would be opened, and as many questions asked."""
        digest_id = field_of(incoming, "digest")
        try:
            if field_of(incoming, "sure", required=False) == "yes":
                count = await self._desk.start_all(StartAll(who, digest_id))
                await self._adopt(incoming, Subject(digest_id=digest_id))
                return all_started(count, digest_id)
            if waiting := await self._desk.startable(who, digest_id):
                return sure_to_start(len(waiting), digest_id)
            raise AlertOver(digest_id=digest_id)
        except NotAllowed as refusal:
            return await self._refused(refusal, incoming, who)
        except AlertOver as over:
            return replace(await self._digest_page(incoming, who), refused=say(over.key))

    async def _snooze_all(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        digest_id = field_of(incoming, "digest")
        lasts = timedelta(hours=SNOOZE_ALL_HOURS)
        try:
            put_off = await self._desk.snooze_all(SnoozeAll(who, digest_id, lasts))
        except NotAllowed as refusal:
            return await self._refused(refusal, incoming, who)
        except AlertOver:
            return replace(await self._digest_page(incoming, who), refused=say("digest.nothing_waits"))
        await self._adopt(incoming, Subject(digest_id=digest_id))
        return all_snoozed(len(put_off), put_off[0].snoozed_until or self._clock.now(), digest_id)

    async def _turn_page(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        view = await self._list_page(incoming, who)
        if incoming.via == "submit":  # which has no answer that a card could be in
            shown = render(view, self._copy_language(incoming))
            await reply.send(shown.card, summary=shown.summary)
        return view

    # --- what they share ---

    async def _on_alert(self, incoming: Incoming, who: Actor, act: Callable[[str], Awaitable[object]]) -> View:
        """The card that was pressed, after the act; why it could not be done stands on it."""
        try:
            await act(field_of(incoming, "alert"))
        except NotAllowed as refusal:
            return await self._refused(refusal, incoming, who)
        except AlertOver as error:
            return replace(await self._as_pressed(incoming, who), refused=say(error.key))
        if _on(incoming) in ("alert", "digest"):
            await self._adopt(incoming, _subject(incoming))
        return await self._as_pressed(incoming, who)

    async def _as_pressed(self, incoming: Incoming, who: Actor) -> View:
        if _on(incoming) != "alert":
            return await self._list_page(incoming, who)
        alert, case = await self._desk.alert_for(who, field_of(incoming, "alert"))
        return alert_card(alert, self._clock.now(), case)

    async def _list_page(self, incoming: Incoming, who: Actor) -> View:
        """The page of whichever list: a digest, everything that is open, or Microsoft's lists, read again."""
        if incoming.verb == "restricted_page" or _on(incoming) == "restricted":
            return restricted(await self._desk.restricted_list(who), _page(incoming))
        if incoming.verb == "alerts_page" or _on(incoming) == "alerts":
            return alert_list(await self._desk.list_open(who), self._clock.now(), _page(incoming))
        return await self._digest_page(incoming, who)

    async def _digest_page(self, incoming: Incoming, who: Actor) -> View:
        digest_id = field_of(incoming, "digest")
        alerts = await self._desk.digest_for(who, digest_id)
        cases = await cases_of(self._store, alerts)
        return digest(alerts, cases, self._clock.now(), digest_id=digest_id, page=_page(incoming))

    async def _refused(self, refusal: NotAllowed, incoming: Incoming, who: Actor) -> View:
        """Why not, on what was pressed: as this person may see it, else as it stands before everybody."""
        try:
            current: View | None = await self._as_pressed(incoming, who)
        except NotAllowed:
            current = await self._as_it_stands(incoming)
        return refusal_of(refusal, current)

    async def _as_it_stands(self, incoming: Incoming) -> View | None:
        """
        The card for somebody who may do nothing: what stands before their eyes anyway, and only if it really does,
        since the ids in a button's data are theirs to choose.
        """
        subject = _subject(incoming)
        if not await self._poster.shows(subject, incoming.conversation_id or "", incoming.reply_to_id or ""):
            return None
        if subject.alert_id:
            alert = await self._store.alerts.alert(subject.alert_id)
            return alert_card(alert, self._clock.now(), await case_of(self._store, alert))
        alerts: list[Alert] = await self._store.alerts.alerts_of_digest(subject.digest_id or "")
        cases = await cases_of(self._store, alerts)
        return digest(alerts, cases, self._clock.now(), digest_id=subject.digest_id or "")

    async def _adopt(self, incoming: Incoming, subject: Subject) -> None:
        """A card of ours that we lost track of, because the answer to its posting was lost, follows again."""
        if incoming.reply_to_id and incoming.via == "execute":
            await self._poster.adopt(subject, incoming.place, incoming.reply_to_id, self._copy_language(incoming))


def _on(incoming: Incoming) -> str:
    """Which kind of card was pressed."""
    return field_of(incoming, "on", required=False)


def _subject(incoming: Incoming) -> Subject:
    """What the card is about that was pressed; nothing for a list that nobody else sees."""
    if _on(incoming) == "alert":
        return Subject(alert_id=field_of(incoming, "alert"))
    return Subject(digest_id=field_of(incoming, "digest", required=False) or None)


def _page(incoming: Incoming) -> int:
    """The number of the page; what is none is the first."""
    page = field_of(incoming, "page", required=False)
    return int(page) if page.isascii() and page.isdigit() and len(page) < 6 else 0


def _hours(incoming: Incoming) -> int:
    """How many hours were chosen. Raises BadInput."""
    hours = field_of(incoming, "hours", required=False) or "4"
    if not (hours.isascii() and hours.isdigit() and len(hours) < 4):
        raise BadInput(what="hours")
    return int(hours)
