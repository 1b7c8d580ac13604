"""
Posted cards: putting them up and keeping them true. A card is a copy of a case; every copy is edited when the case
moves.

Fulfils the port `Notifier`. News of a case only marks it; a task of its own loads the case, renders each copy and edits
those that look different, so that ten changes in a moment become one edit and nobody who reports news waits for Teams.
What could not be edited stays marked in the database (a copy that shows an older version) and is tried again by
`sweep`, which also brings every card up to date after a restart.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from bot.activities import Place, place_of
from bot.connector import Connector, CopyGone, PlaceGone, refuses_us
from bot.places import Places, hash_of, post, root_of
from cards import compose, prevention
from cards import news as cards_of_news
from cards.language import Words, best_language
from cards.render import Rendered, render
from cards.views import View
from services.approvals import Viewer
from services.cases import Approval, ApprovalPurpose, ApprovalState, Case, CaseKind, CaseState, Text, say
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.conversations import CardCopy, Conversation, CopyState
from services.errors import Rejected, ServiceError
from services.ports import Audience, Clock, Delivery, News, NewsKind
from services.store import Store

log = structlog.get_logger()

#: Changes within this time become one edit; Teams allows seven posts a second in a conversation.
GATHER_S = 0.25
#: An outcome older than this is no news: whoever asked has seen the card by now.
OUTCOME_IS_NEWS = timedelta(hours=1)
#: How often it is tried to tell it, with SWEEP_EVERY_S in between.
OUTCOME_TRIES = 20
#: Teams shows a card of their own to no more people than this, and so lets more see only what is fit for all.
#: Source: "User Specific Views" on Microsoft Learn, 2026-11-23.
MAX_VIEWERS = 60
#: How long Teams may take to say who is in a conversation: the question must not wait for it.
MEMBERS_TIMEOUT_S = 5.0
#: How often copies that could not be edited are tried again.
SWEEP_EVERY_S = 30.0

#: Stands in place of a prompt's id for the copies that show the prevention list of an account's case.
PREVENTION_LIST = "prevention"


class Presenter:
    """Posts and edits. `start` and `close` own the background tasks."""

    def __init__(
        self,
        *,
        store: Store,
        connector: Connector,
        clock: Clock,
        language: str,
        approvals_conversation: str,
        alerts_conversation: str = "",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._connector = connector
        self._places = Places(store)
        self._clock = clock
        self._language = language
        self._approvals_conversation = approvals_conversation
        self._alerts_conversation = alerts_conversation
        self._sleep = sleep
        self._marked: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._listeners: list[Callable[[str], Awaitable[None]]] = []
        #: Outcomes that reached nobody yet, by the id of the news: of which case, and how often it was tried.
        self._untold: dict[str, tuple[str, int]] = {}
        self._is_closed = False

    def tell_also(self, listener: Callable[[str], Awaitable[None]]) -> None:
        """Let somebody know as well when a case changes: whoever has cards of their own that say how it stands."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Bring every card up to date, and keep doing so."""
        self._tasks["sweep"] = asyncio.create_task(self._sweep_for_ever())

    async def close(self) -> None:
        """No edit any more. What moves after this is seen by the sweep of the next start."""
        self._is_closed = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def settled(self) -> None:
        """Wait until nothing is marked and nothing is being edited."""
        while waiting := [task for name, task in self._tasks.items() if name != "sweep"]:
            await asyncio.gather(*waiting, return_exceptions=True)

    # --- the port ---

    async def case_changed(self, case_id: str) -> None:
        if self._is_closed:
            return
        self._marked.add(case_id)
        if case_id not in self._tasks:
            self._tasks[case_id] = asyncio.create_task(self._follow(case_id))

    async def post_prompt(
        self, case_id: str, prompt_id: str, people: Collection[str], *, again: bool = False
    ) -> Sequence[Delivery]:
        case = await self._store.case(case_id)
        live = await self._posted(case_id, prompt_id)
        copies = [] if again else live
        posted = in_chats = {root_of(copy.conversation_id) for copy in copies}
        chats = await self._store.personal_conversations(people)
        await self._show_to(live, people)
        in_channel = await self._post_in_channel(case, prompt_id, posted, people)
        each = [await self._post_in_chat(case, prompt_id, in_chats, chat) for chat in chats]
        heard = {chat.user_oid.lower() for chat, sent in zip(chats, each, strict=True) if sent.delivered}
        is_there = root_of(in_channel.conversation_id) in posted
        if is_there and _asks_more_than(heard, case.prompt(prompt_id), people):
            in_channel = await self._post_in_channel(case, prompt_id, set(), people)  # an edit makes no sound
        return [in_channel, *each]

    async def _show_to(self, copies: Sequence[CardCopy], people: Collection[str]) -> None:
        """Those who are asked from now on see a card of their own too, where it was posted before."""
        known = [chat.member_id for chat in await self._store.personal_conversations(people) if chat.member_id]
        for copy in copies:
            place = await self._places.place(copy.conversation_id)
            more = known if place is not None and place.kind != "personal" else ()
            viewers = tuple(dict.fromkeys((*copy.viewers, *more)))[:MAX_VIEWERS]
            unread_for = copy.readers_unread_for
            if unread_for is not None:
                unread_for = tuple(dict.fromkeys((*unread_for, *people)))
            shown_to = copy.model_copy(update={"viewers": viewers, "readers_unread_for": unread_for})
            if shown_to != copy:
                await self._store.save_copy(shown_to)

    async def _with_readers(self, case: Case, place: Place, people: Collection[str], copy: CardCopy) -> CardCopy:
        """
        The copy of a question with whether very many read along in its conversation, and with Teams' ids of those who
        are to see a card of their own there. While it cannot be told how many there are, they may be many.
        """
        chats = await self._store.personal_conversations([*people, case.requester.user_oid])
        known = {chat.user_oid.lower(): chat.member_id for chat in chats if chat.user_oid and chat.member_id}
        if place.kind == "personal":
            viewers = tuple(chat.member_id for chat in chats if _is_chat(chat, place) and chat.member_id)
            return copy.model_copy(update={"viewers": viewers})
        try:
            async with asyncio.timeout(MEMBERS_TIMEOUT_S):
                members = await self._connector.members(place)
        except (ServiceError, TimeoutError) as error:
            log.warning("members_unread", case_id=case.case_id, error=type(error).__name__)
            members = ()
        known |= {member.user_oid.lower(): member.mri for member in members if member.user_oid}
        wanted = dict.fromkeys(oid.lower() for oid in (case.requester.user_oid, *people))
        found = {
            "crowded": not 0 < len(members) <= MAX_VIEWERS,
            "viewers": tuple(known[oid] for oid in wanted if oid in known)[:MAX_VIEWERS],
            "readers_unread_for": None if members else tuple(people),
        }
        return copy.model_copy(update=found)

    async def _with_readers_at_last(self, case: Case, copy: CardCopy) -> CardCopy:
        """The copy of an open question whose readers could not be read, after one more try."""
        is_open = copy.prompt_id is not None and case.prompt(copy.prompt_id).state is ApprovalState.PENDING
        place = await self._places.place(copy.conversation_id) if is_open else None
        if place is None:
            return copy.model_copy(update={"readers_unread_for": None})
        return await self._with_readers(case, place, copy.readers_unread_for or (), copy)

    async def _posted(self, case_id: str, prompt_id: str) -> list[CardCopy]:
        copies = await self._store.copies_of(case_id)
        return [copy for copy in copies if copy.prompt_id == prompt_id and copy.state is CopyState.LIVE]

    async def post_news(self, case_id: str, news: News) -> Sequence[Delivery]:
        case = await self._store.case(case_id)
        posted = [copy for copy in await self._store.copies_of(case_id) if copy.news and copy.state is CopyState.LIVE]
        if any(copy.news.news_id == news.news_id for copy in posted if copy.news):
            return [Delivery(place=news.audience.value, conversation_id="", delivered=True)]
        if news.audience is Audience.ON_CALL:
            return [await self._news_to_on_call(case, news)]
        person = _person_of(case, news)
        chats = await self._store.personal_conversations([person])
        places = [(place_of(chat), best_language(chat.locale, self._language)) for chat in chats[:1]]
        places = places or await self._new_chat(person) or await self._where_it_was_asked(case, news)
        if not places:
            return [_undelivered("chat", "", say("delivery.no_chat"))]
        return [await self._deliver("chat", case, place, language, news=news) for place, language in places]

    async def _news_to_on_call(self, case: Case, news: News) -> Delivery:
        chosen = await self._store.chosen(ALERTS_CONVERSATION) or self._alerts_conversation
        conversation_id = chosen or await self._store.chosen(APPROVALS_CONVERSATION) or self._approvals_conversation
        place = await self._places.place(conversation_id) if conversation_id else None
        if place is None:
            return _undelivered("channel", conversation_id, say("delivery.no_approvals_conversation"))
        return await self._deliver("channel", case, place, self._language, news=news)

    async def _new_chat(self, person: str) -> list[tuple[Place, str]]:
        """A chat with somebody who never spoke to the bot; works only where the app is installed for them."""
        spoke_last = await self._store.newest_conversation()
        if spoke_last is None or not person:
            return []
        address = (spoke_last.service_url, spoke_last.tenant_id, spoke_last.bot_id, person)
        try:
            return [(await self._connector.create_personal(*address), self._language)]
        except ServiceError as error:
            log.info("no_chat", why=str(error))
            return []

    async def tell_alone(self, person: str, view: View) -> bool:
        """Something for this person alone, in their own chat with the bot; whether it got there. It follows nothing."""
        chats = await self._store.personal_conversations([person])
        places = [(place_of(chat), best_language(chat.locale, self._language)) for chat in chats[:1]]
        for place, language in places or await self._new_chat(person):
            shown = render(view, language)
            try:
                await self._connector.send(place, shown.card, summary=shown.summary)
            except ServiceError as error:
                log.warning("not_told", error=str(error))
                await self._places.mark_gone(place, error)
                return False
            return True
        return False

    async def _where_it_was_asked(self, case: Case, news: News) -> list[tuple[Place, str]]:
        """For the requester: the conversation in which the case was asked for, below its card."""
        if news.audience is not Audience.REQUESTER:
            return []
        asked = [copy for copy in await self._store.copies_of(case.case_id) if not copy.prompt_id and not copy.news]
        place = await self._places.place(asked[0].conversation_id) if asked else None
        return [(place, asked[0].language)] if place else []

    # --- posting ---

    async def post_case(self, case: Case, place: Place, language: str, *, prompt_id: str | None = None) -> CardCopy:
        """
        Put the case's card, or one of its prompts, up in a conversation, where it follows the case.

        Raises what the connector raises.
        """
        copy = await self._post(case, place, language, prompt_id=prompt_id)
        await self.case_changed(case.case_id)  # it may have moved while the card was on its way
        return copy

    async def show_question(self, case: Case, prompt_id: str, place: Place, language: str) -> None:
        """One more copy of a question where somebody typed about it, as text where Teams takes no card."""
        await self._deliver(place.kind, case, place, language, prompt_id=prompt_id)

    async def adopt(self, case: Case, prompt_id: str | None, place: Place, activity_id: str, language: str) -> None:
        """Let a message that shows the case, and of which nothing is written down, follow the case from now on."""
        if await self._store.copy_at(place.conversation_id, activity_id) is not None:
            return
        copy = await self._new_copy(case, prompt_id, place, language, ())
        copy = copy.model_copy(update={"activity_id": activity_id, "state": CopyState.LIVE})
        await self._store.save_copy(copy)
        await self.case_changed(case.case_id)

    async def _post_in_channel(self, case: Case, prompt_id: str, posted: set[str], people: Collection[str]) -> Delivery:
        conversation_id = await self._store.chosen(APPROVALS_CONVERSATION) or self._approvals_conversation
        if not conversation_id:
            return _undelivered("channel", "", say("delivery.no_approvals_conversation"))
        if root_of(conversation_id) in posted:
            return Delivery(place="channel", conversation_id=conversation_id, delivered=True)
        place = await self._places.place(conversation_id)
        if place is None:
            return _undelivered("channel", conversation_id, say("delivery.no_service_url"))
        return await self._deliver("channel", case, place, self._language, prompt_id=prompt_id, people=people)

    async def _post_in_chat(self, case: Case, prompt_id: str, posted: set[str], chat: Conversation) -> Delivery:
        if chat.conversation_id in posted:
            return Delivery(place="chat", conversation_id=chat.conversation_id, delivered=True)
        language = best_language(chat.locale, self._language)
        return await self._deliver("chat", case, place_of(chat), language, prompt_id=prompt_id)

    async def _deliver(
        self,
        kind: str,
        case: Case,
        place: Place,
        language: str,
        *,
        prompt_id: str | None = None,
        news: News | None = None,
        people: Collection[str] = (),
    ) -> Delivery:
        try:
            await self._post(case, place, language, prompt_id=prompt_id, news=news, people=people)
        except ServiceError as error:
            log.warning("card_undelivered", case_id=case.case_id, place=kind, error=str(error))
            await self._places.mark_gone(place, error)
            asked = case.prompt(prompt_id) if _is_question(prompt_id) and prompt_id else None
            if asked is not None and isinstance(error, Rejected) and await self._say_it(case, asked, place, language):
                return Delivery(place=f"{kind} as text", conversation_id=place.conversation_id, delivered=True)
            return _undelivered(kind, place.conversation_id, say("delivery.failed"))
        await self.case_changed(case.case_id)
        return Delivery(place=kind, conversation_id=place.conversation_id, delivered=True)

    async def _say_it(self, case: Case, prompt: Approval, place: Place, language: str) -> bool:
        """The open question as a plain message, where Teams takes no card: it can be answered by typing."""
        if prompt.state is not ApprovalState.PENDING:
            return False
        kind = ".override" if prompt.purpose is ApprovalPurpose.OVERRIDE else ""
        asked = say(
            f"delivery.prompt_as_text{kind}",
            who=case.subject.upn if case.subject else case.query,
            requester=(prompt.asked_by or case.requester).name,
            case=case.case_id,
            typed=prompt.typed_id,
        )
        try:
            await self._connector.send(place, None, text=Words(language).plain(asked))
        except ServiceError as error:
            log.warning("text_undelivered", case_id=case.case_id, error=str(error))
            return False
        return True

    async def _new_copy(
        self,
        case: Case,
        prompt_id: str | None,
        place: Place,
        language: str,
        people: Collection[str],
        news: News | None = None,
    ) -> CardCopy:
        """A copy that is on its way; one of a question with who reads it there. Not written down yet."""
        copy = CardCopy(
            copy_id=uuid.uuid4().hex,
            case_id=case.case_id,
            prompt_id=prompt_id,
            news=news,
            conversation_id=place.conversation_id,
            language=language,
            posted_at=self._clock.now(),
        )
        return await self._with_readers(case, place, people, copy) if _is_question(prompt_id) else copy

    async def _post(
        self,
        case: Case,
        place: Place,
        language: str,
        *,
        prompt_id: str | None = None,
        news: News | None = None,
        people: Collection[str] = (),
    ) -> CardCopy:
        """Write down that a post is under way, post, write down where it is. `people` may answer the prompt."""
        copy = await self._new_copy(case, prompt_id, place, language, people, news)
        await self._store.save_copy(copy)
        shown = render(view_of(case, copy), language)
        sent = await post(self._connector, place, shown)
        copy = copy.model_copy(
            update={
                "conversation_id": sent.conversation_id,
                "activity_id": sent.activity_id,
                "state": CopyState.LIVE,
                "shown_hash": hash_of(shown),
                "shown_version": _version_shown(case, copy),
            }
        )
        await self._store.save_copy(copy)
        return copy

    # --- keeping true ---

    async def sweep(self) -> None:
        """Mark every case that has a card which shows an older version, or an outcome that reached nobody."""
        untold = {case_id for case_id, _ in self._untold.values()}
        for case_id in untold.union(await self._store.cases_with_outdated_copies()):
            await self.case_changed(case_id)

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception as error:  # the outermost loop: one bad round must not end all that follow
                log.exception("sweep_failed", error=type(error).__name__)
            await self._sleep(SWEEP_EVERY_S)

    async def _follow(self, case_id: str) -> None:
        """Edit until the case has stopped moving."""
        try:
            while case_id in self._marked:
                self._marked.discard(case_id)
                await self._bring_up_to_date(case_id)
                for listener in self._listeners:
                    await listener(case_id)
                await self._sleep(GATHER_S)
        except Exception as error:  # the outermost loop: the sweep tries again
            log.exception("follow_failed", case_id=case_id, error=type(error).__name__)
        finally:
            self._marked.discard(case_id)
            self._tasks.pop(case_id, None)

    async def _bring_up_to_date(self, case_id: str) -> None:
        case = await self._store.case(case_id)
        copies = [copy for copy in await self._store.copies_of(case_id) if copy.state is CopyState.LIVE]
        if case.joined_to:
            await self._hand_over(copies, case.joined_to)
            return
        await asyncio.gather(*(self._edit(case, copy) for copy in copies))
        await self._tell_outcomes(case)

    async def _tell_outcomes(self, case: Case) -> None:
        """An edit makes no sound, so whoever asked is told by a message how each question ended."""
        for prompt in case.approvals:
            ended = prompt.decided_at if prompt.state is not ApprovalState.PENDING else None
            if prompt.posted_at is None or ended is None or self._clock.now() - ended > OUTCOME_IS_NEWS:
                continue
            who = (Audience.OWNER, prompt.asked_by.user_oid) if prompt.asked_by else (Audience.REQUESTER, "")
            told = {"news_id": f"decided:{prompt.prompt_id}", "prompt_id": prompt.prompt_id}
            news = News(kind=NewsKind.DECIDED, audience=who[0], person=who[1], **told)
            self._remember_untold(news.news_id, case.case_id, await self.post_news(case.case_id, news))

    def _remember_untold(self, news_id: str, case_id: str, deliveries: Sequence[Delivery]) -> None:
        """What reached nobody is tried again by the sweep, but not for ever."""
        tries = self._untold.pop(news_id, (case_id, 0))[1] + 1
        if not any(delivery.delivered for delivery in deliveries) and tries < OUTCOME_TRIES:
            self._untold[news_id] = (case_id, tries)

    async def _hand_over(self, copies: Sequence[CardCopy], case_id: str) -> None:
        """The case turned out to be another one: its cards become cards of that one."""
        for copy in copies:
            await self._store.save_copy(copy.model_copy(update={"case_id": case_id, "shown_version": 0}))
        await self.case_changed(case_id)

    async def _edit(self, case: Case, copy: CardCopy) -> None:
        if copy.readers_unread_for is not None:
            copy = await self._with_readers_at_last(case, copy)
        shown = render(view_of(case, copy), copy.language)
        if hash_of(shown) != copy.shown_hash:
            try:
                await self._put(copy, shown)
            except ServiceError as error:
                if isinstance(error, CopyGone) or (isinstance(error, Rejected) and not refuses_us(error)):
                    log.warning("copy_given_up", case_id=case.case_id, copy_id=copy.copy_id, error=str(error))
                    await self._store.save_copy(copy.model_copy(update={"state": CopyState.GONE}))
                    return
                log.warning("edit_failed", case_id=case.case_id, copy_id=copy.copy_id, error=str(error))
                return
        if copy.shown_version != case.version:
            update = {"shown_hash": hash_of(shown), "shown_version": _version_shown(case, copy)}
            await self._store.save_copy(copy.model_copy(update=update))

    async def _put(self, copy: CardCopy, shown: Rendered) -> None:
        place = await self._places.place(copy.conversation_id)
        if place is None or copy.activity_id is None:
            raise CopyGone("no_place")
        try:
            await self._connector.update(place, copy.activity_id, shown.card, summary=shown.summary)
        except PlaceGone as error:
            await self._places.mark_gone(place, error)
            raise CopyGone(error.code) from error


def view_of(case: Case, copy: CardCopy) -> View:
    """What this copy shows of the case."""
    if copy.news is not None and copy.news.kind is NewsKind.DECIDED:
        return compose.outcome(case, copy.news.prompt_id)
    if copy.news is not None:
        return cards_of_news.news(case, copy.news)
    if copy.prompt_id == PREVENTION_LIST:
        return prevention.board(case)
    if copy.prompt_id is not None:
        viewer = Viewer.CROWD if copy.crowded else Viewer.APPROVER
        return replace(compose.approval_prompt(case, case.prompt(copy.prompt_id), viewer), refresh_for=copy.viewers)
    return case_view(case)


def case_view(case: Case) -> View:
    """The card of a case: the question which account is meant, the organisation's list, or the checklist."""
    if case.kind is CaseKind.TENANT:
        return prevention.board(case)
    return compose.choose_account(case) if case.state is CaseState.CHOOSING else compose.checklist(case)


def _version_shown(case: Case, copy: CardCopy) -> int:
    """The case's version; 0 for a card that has to be looked at again, since it is not known who reads it."""
    return 0 if copy.readers_unread_for is not None else case.version


def _is_question(prompt_id: str | None) -> bool:
    return prompt_id is not None and prompt_id != PREVENTION_LIST


def _is_chat(chat: Conversation, place: Place) -> bool:
    return chat.conversation_id == place.conversation_id


def _asks_more_than(heard: Collection[str], prompt: Approval, people: Collection[str]) -> bool:
    """
    Whether a question is put before somebody who was not asked before and has not heard of it in a chat. Nobody by name
    is a level that could not be read: whoever it is may be in the channel.
    """
    if prompt.posted_at is None:
        return False
    is_passed_on = prompt.asked_level < prompt.level
    asked_before = () if is_passed_on else prompt.asked
    return (is_passed_on and not people) or bool(set(people) - set(asked_before) - set(heard))


def _person_of(case: Case, news: News) -> str:
    """Entra object id of whom the news is for; "" when that is nobody."""
    if news.audience is Audience.USER:
        return case.subject.user_oid if case.subject else ""
    return news.person if news.audience is Audience.OWNER else case.requester.user_oid


def _undelivered(kind: str, conversation_id: str, problem: Text) -> Delivery:
    return Delivery(place=kind, conversation_id=conversation_id, delivered=False, problem=problem)
