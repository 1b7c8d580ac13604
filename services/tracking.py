"""
Prevention, tracked until done: who takes care of what until when, who ticked what, and what the bot changes for it.

The case of an account tracks what concerns that account, and shows what concerns the whole organisation as it was read
then. The organisation's own items are tracked in one case per tenant that never ends (`CaseKind.TENANT`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol

from services.access import Access
from services.approvals import new_fix
from services.audit import NewEntry, Tag, note
from services.case_ids import new_case_id
from services.cases import (
    Action,
    ActionKind,
    ActionState,
    Actor,
    Approval,
    ApprovalPurpose,
    Case,
    CaseKind,
    CaseState,
    PreventionItem,
    PreventionState,
)
from services.errors import BadDate, BadInput, BadOwner, CheckedByBot, NotAllowed, StaleVersion, WrongState
from services.identification import Identified, SenderList, SubjectDirectory, identify
from services.judging import prompt_entry
from services.policy import Policy
from services.ports import Audience, Clock, News, NewsKind, Notifier
from services.prevention import due, merged
from services.prevention.catalogue import CATALOGUE, Scope
from services.protection import Protection
from services.store import Store

#: How long the question whether to change a setting stays open.
FIX_TIMEOUT = timedelta(hours=24)
#: Further ahead a date is a slip of the pen, or a way never to be reminded.
LATEST_DUE = timedelta(days=2 * 365)
#: Reminders go out on Mondays at this hour, UTC.
REMINDER_HOUR = 7
#: Who stands as requester of the tenant's own case: nobody asked for it, and so everybody else may approve in it.
NOBODY = Actor(user_oid="", name="Unblock", tenant_id="")

#: What a person may say is done: what only people can do, and what the bot could not read.
_FOR_PEOPLE = frozenset({PreventionState.TODO, PreventionState.UNKNOWN, PreventionState.TICKED})


class Readers(Protocol):
    """Who may look at which case; fulfilled by `Casework`."""

    async def may_read(self, who: Actor) -> None: ...

    async def case_for(self, who: Actor, case_id: str) -> Case: ...

    async def last_case_of(self, who: Actor, query: str) -> tuple[Case | None, Identified]: ...


class Checks(Protocol):
    """Fulfilled by `Prevention`."""

    async def check(self, case: Case) -> tuple[PreventionItem, ...]: ...


class Changes(Protocol):
    """Fulfilled by `ChangeJobs`."""

    async def start(self, case_id: str, prompt_id: str) -> None: ...


class Followers(Protocol):
    """Fulfilled by `FollowUps`."""

    async def begin(self, case_id: str) -> None: ...


#: Builds the change for a case as things are now. Raises NothingToFix and ServiceErrors.
Propose = Callable[[ActionKind, Case], Awaitable[Action]]


@dataclass(frozen=True)
class ShowPrevention:
    """The list of an account, or with no `query` that of the whole organisation."""

    by: Actor
    query: str | None = None


@dataclass(frozen=True)
class CheckAgain:
    by: Actor
    case_id: str


@dataclass(frozen=True)
class AssignItems:
    """Somebody takes care of these items from now on; without `owner` whoever says so, without `due_at` as planned."""

    by: Actor
    case_id: str
    item_ids: tuple[str, ...]
    owner: Actor | None = None
    due_at: datetime | None = None


@dataclass(frozen=True)
class AskFix:
    """Let the bot make the change that one item needs."""

    by: Actor
    case_id: str
    item_id: str


class Tracking:
    """The handlers. Every one raises UserErrors that name a text."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        access: Access,
        readers: Readers,
        directory: SubjectDirectory,
        senders: SenderList,
        prevention: Checks,
        propose: Propose,
        changes: Changes,
        followers: Followers,
        policy: Policy,
        protection: Protection,
        notifier: Notifier,
        tenant_id: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._access = access
        self._readers = readers
        self._directory = directory
        self._senders = senders
        self._prevention = prevention
        self._propose = propose
        self._changes = changes
        self._followers = followers
        self._policy = policy
        self._protection = protection
        self._notifier = notifier
        self._tenant_id = tenant_id

    # --- looking ---

    async def show_prevention(self, order: ShowPrevention) -> tuple[Case | None, Identified]:
        """
        The case whose list is asked for, as it was read last: `check_again` brings it up to date. For an account that
        is its newest case, None when it has none; for the organisation its own, made on first use.

        Raises NotAllowed (also for one's own account) and the ServiceErrors of the directory.
        """
        if order.query is not None:
            case, identified = await self._readers.last_case_of(order.by, order.query)
            if case is None or case.prevention:
                return case, identified
            # A later request that came to nothing has no list: owners and ticks stand with the case before it.
            return await self._store.listed_case_of(case.tenant_id, case.about_id or "") or case, identified
        await self._readers.may_read(order.by)
        return await self._tenant_case(order.by), Identified()

    async def _tenant_case(self, who: Actor) -> Case:
        now = self._clock.now()
        new = Case(
            case_id=new_case_id(),
            tenant_id=self._tenant_id,
            kind=CaseKind.TENANT,
            state=CaseState.TRACKING,
            query="",
            requester=NOBODY.model_copy(update={"tenant_id": self._tenant_id}),
            opened_at=now,
            changed_at=now,
        )
        if (known := await self._store.open_case_of(self._tenant_id, new.about_id or "")) is not None:
            return known
        entry = note(Tag.CASE_OPENED, new.case_id, who, kind=new.kind.value)
        try:
            return await self._store.open_case(new, [entry])
        except StaleVersion:  # somebody else asked for it at the same moment
            known = await self._store.open_case_of(self._tenant_id, new.about_id or "")
            if known is None:
                raise
            return known

    async def check_again(self, order: CheckAgain) -> Case:
        """The case with every item read again. Raises NotAllowed, CaseNotFound; what cannot be read is unknown."""
        case = await self._readers.case_for(order.by, order.case_id)
        now = await self._prevention.check(case)

        def keep(case: Case) -> tuple[Case, list[NewEntry]]:
            items = with_defaults(case, merged(case.prevention, now))
            states = {item.item_id: item.state.value for item in items}
            entry = note(Tag.PREVENTION_CHECKED, case.case_id, order.by, items=states)
            return case.model_copy(update={"prevention": items}), [entry]

        case = await self._store.change_case(case.case_id, keep)
        await self._notifier.case_changed(case.case_id)
        await self._remind_from_now_on(case)
        return case

    async def _remind_from_now_on(self, case: Case) -> None:
        """A case at work is followed when its job is done."""
        if not case.is_at_work and next_reminder(case, self._clock.now()) is not None:
            await self._followers.begin(case.case_id)

    # --- taking care ---

    async def owner_named(self, who: Actor, text: str) -> Actor:
        """
        The person whom a text names: by name, address or id.

        Raises BadOwner when nobody or several people fit, or an account that nobody signs in with; the ServiceErrors of
        the directory.
        """
        identified = await identify(text, self._directory, self._senders)
        if identified.candidates:
            raise BadOwner("several", query=text, upns=", ".join(one.upn for one in identified.candidates))
        subject = identified.subject
        if subject is None:
            raise BadOwner("nobody", query=text)
        if identified.refusal is not None or subject.account_enabled is False:
            raise BadOwner("cannot_sign_in", who=subject.display_name or subject.upn)
        return Actor(user_oid=subject.user_oid, name=subject.display_name or subject.upn, tenant_id=self._tenant_id)

    async def assign_items(self, order: AssignItems) -> Case:
        """
        The case with these items in somebody's care. Whoever may read the case may take an item on, or give it to
        somebody who may read it too. Items that are done meanwhile are left alone.

        Raises NotAllowed, CaseNotFound, BadInput, BadDate, BadOwner.
        """
        case = await self._readers.case_for(order.by, order.case_id)
        if not order.item_ids:
            raise BadInput(what="item")
        if order.due_at is not None and not timedelta(0) <= order.due_at - self._clock.now() <= LATEST_DUE:
            raise BadDate
        owner = order.owner or order.by
        await self._check_owner(owner, order.by, case)

        def assign(case: Case) -> tuple[Case, list[NewEntry]]:
            entries = []
            for item in _named(case, order.item_ids):
                until = order.due_at or self._due(item)
                assigned = item.model_copy(update={"owner": owner, "due_at": until})
                if item.is_done or assigned == item:
                    continue
                case = case.with_prevention(assigned)
                details = {"item": item.item_id, "owner": owner.name, "owner_oid": owner.user_oid}
                due_on = until.date().isoformat() if until else ""
                entries.append(note(Tag.PREVENTION_ASSIGNED, case.case_id, order.by, **details, due=due_on))
            return case, entries

        return await self._changed(case.case_id, assign)

    def _due(self, item: PreventionItem) -> datetime | None:
        """The date that it has, unless that is over: a new owner gets the time that the phase gives."""
        now = self._clock.now()
        return item.due_at if item.due_at and item.due_at > now else due(item.item_id, now)

    async def _check_owner(self, owner: Actor, by: Actor, case: Case) -> None:
        """Somebody who may not read the case could neither see what is to be done nor tick it off."""
        if owner.user_oid.casefold() == by.user_oid.casefold():
            return
        if case.is_about(owner.user_oid):
            raise BadOwner("subject", who=owner.name)
        try:
            await self._readers.may_read(owner)
        except NotAllowed as refusal:
            raise BadOwner("may_not_read", who=owner.name) from refusal

    # --- changing ---

    async def ask_fix(self, order: AskFix) -> Case:
        """
        Ask the on-call to let the bot make the change that an open item needs. A question that is open stays.

        Raises NotAllowed (recorded) for all but requesters and admins, WrongState while the case is at work, BadInput,
        NothingToFix when it is so already, and the ServiceErrors met while reading how it is now.
        """
        await self._may_ask(order)
        case = await self._readers.case_for(order.by, order.case_id)
        if case.is_at_work:
            raise WrongState(case_id=case.case_id, state=case.state.value)
        (item,) = _named(case, (order.item_id,))
        if item.fix is None or item.is_done:
            raise BadInput(what=order.item_id)
        fix = await self._propose(item.fix, case)
        protected = await self._protection.kinds_of(case.subject) if case.subject else case.protected

        def ask(case: Case) -> tuple[Case, list[NewEntry]]:
            if open_question(case, fix.kind, self._clock.now()) or _is_running(case, fix):
                return case, []
            fixes = (*(f for f in case.fixes if f.action_id != fix.action_id), fix)
            case = case.model_copy(update={"fixes": fixes, "protected": protected})
            prompt = new_fix(case, fix, order.by, self._policy, at=self._clock.now(), wait=FIX_TIMEOUT)
            asked = note(Tag.FIX_ASKED, case.case_id, order.by, item=order.item_id, kind=fix.kind.value)
            return case.with_approval(prompt), [asked, prompt_entry(case, prompt)]

        case = await self._changed(case.case_id, ask)
        if (prompt := open_question(case, fix.kind, self._clock.now())) is not None:
            await self._changes.start(case.case_id, prompt.prompt_id)
        return case

    async def _may_ask(self, order: AskFix) -> None:
        try:
            await self._access.check_requester(order.by)
        except NotAllowed as refusal:
            try:
                await self._access.check_admin(order.by)
            except NotAllowed:
                details = {"reason": refusal.reason, "item": order.item_id}
                await self._store.record(note(Tag.REQUEST_REFUSED, order.case_id, order.by, **details))
                raise refusal from None

    # --- inside ---

    async def _changed(self, case_id: str, change: Callable[[Case], tuple[Case, list[NewEntry]]]) -> Case:
        before = await self._store.case(case_id)
        case = await self._store.change_case(case_id, change)
        if case.version != before.version:
            await self._notifier.case_changed(case_id)
        return case


# --- what follows from what: pure ------------------------------------------------------------------------------------


def tracked(case: Case) -> tuple[PreventionItem, ...]:
    """The items that this case follows until they are done; what concerns another scope is only shown."""
    return tuple(item for item in case.prevention if is_tracked(case, item.item_id))


def is_tracked(case: Case, item_id: str) -> bool:
    """An item that the catalogue no longer has belongs to the case that it is in."""
    known = CATALOGUE.get(item_id)
    own = Scope.TENANT if case.kind is CaseKind.TENANT else Scope.ACCOUNT
    return known is None or known.scope is own


def with_defaults(case: Case, items: Sequence[PreventionItem]) -> tuple[PreventionItem, ...]:
    """
    The items, each tracked one that is open with a date, and that of an account with an owner: whoever asked for the
    case. The organisation's items wait for somebody to take them on.
    """
    owner = None if case.kind is CaseKind.TENANT else case.requester

    def dressed(item: PreventionItem) -> PreventionItem:
        if item.is_done or not is_tracked(case, item.item_id):
            return item
        until = item.due_at or due(item.item_id, case.opened_at)
        return item.model_copy(update={"owner": item.owner or owner, "due_at": until})

    return tuple(dressed(item) for item in items)


def end_of_day(text: str) -> datetime | None:
    """The end of a day that is written as ISO 8601 (2026-12-24), in UTC; None for nothing. Raises BadDate."""
    if not text.strip():
        return None
    try:
        day = date.fromisoformat(text.strip())
    except ValueError as exc:
        raise BadDate from exc
    return datetime.combine(day, time(23, 59, 59), tzinfo=UTC)


def ticked(case: Case, item_ids: Sequence[str], by: Actor, at: datetime, *, done: bool) -> tuple[Case, list[NewEntry]]:
    """
    The case with these items done by people, who says so and when; or with `done=False` not done after all. All other
    items stay as they are. Raises CheckedByBot, BadInput.
    """
    entries = []
    for item in _named(case, item_ids):
        if not can_be_ticked(item):
            raise CheckedByBot(what=item.item_id)
        if (item.state is PreventionState.TICKED) is not done:
            case = case.with_prevention(_with_tick(item, by, at) if done else _without_tick(item))
            tag = Tag.PREVENTION_TICKED if done else Tag.PREVENTION_UNTICKED
            entries.append(note(tag, case.case_id, by, item=item.item_id))
    return case, entries


def _with_tick(item: PreventionItem, by: Actor, at: datetime) -> PreventionItem:
    return item.model_copy(update={"state": PreventionState.TICKED, "ticked_by": by, "ticked_at": at})


def _without_tick(item: PreventionItem) -> PreventionItem:
    """Back to what it was: not readable, or a person's to do."""
    state = PreventionState.UNKNOWN if item.unknown_reason else PreventionState.TODO
    return item.model_copy(update={"state": state, "ticked_by": None, "ticked_at": None})


def can_be_ticked(item: PreventionItem) -> bool:
    """Whether a person's word counts: for what people do, and for what the bot could not read; never against it."""
    return item.state in _FOR_PEOPLE


def is_overdue(item: PreventionItem, now: datetime) -> bool:
    return not item.is_done and item.due_at is not None and item.due_at < now


def open_items(case: Case) -> tuple[PreventionItem, ...]:
    """What this case still tracks, the earliest date first."""
    left = [item for item in tracked(case) if not item.is_done]
    return tuple(sorted(left, key=lambda item: (item.due_at is None, item.due_at)))


def items_of(case: Case, person_oid: str) -> tuple[PreventionItem, ...]:
    """What is open and in this person's care; with "" what is in nobody's."""
    return tuple(item for item in open_items(case) if _owner_oid(item) == person_oid.casefold())


def reminders(case: Case, now: datetime) -> tuple[News, ...]:
    """
    One reminder for each owner of something open. What nobody has taken on goes to the requester of the case, and for
    the organisation's list to the on-call. Within a week (ISO 8601) each has the same id, so that it is posted once.
    """
    year, week, _ = now.isocalendar()
    owners = {_owner_oid(item): item.owner.user_oid if item.owner else "" for item in open_items(case)}
    nobody = Audience.ON_CALL if case.kind is CaseKind.TENANT else Audience.REQUESTER
    return tuple(
        News(
            news_id=f"reminder:{year}-W{week:02}:{folded}",
            kind=NewsKind.REMINDER,
            audience=Audience.OWNER if owner else nobody,
            person=owner,
        )
        for folded, owner in owners.items()
    )


def next_reminder(case: Case, now: datetime) -> datetime | None:
    """The next Monday at 07:00 UTC after `now`; None when all is done, or nothing was read yet."""
    if not open_items(case):
        return None
    monday = now.replace(hour=REMINDER_HOUR, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    return monday if monday > now else monday + timedelta(days=7)


def open_question(case: Case, kind: ActionKind, now: datetime) -> Approval | None:
    """The question to the on-call about a change of this kind that is still open; None when there is none."""
    asked = (prompt for prompt in case.pending(ApprovalPurpose.FIX) if prompt.expires_at > now)
    return next((p for p in asked if any(fix.kind is kind for fix in case.actions_of(p.about))), None)


def _is_running(case: Case, fix: Action) -> bool:
    """Whether it is being made or taken back at this moment."""
    same = (one for one in case.fixes if one.action_id == fix.action_id)
    return any(ActionState.RUNNING in (one.state, one.undo_state) for one in same)


def _owner_oid(item: PreventionItem) -> str:
    return item.owner.user_oid.casefold() if item.owner else ""


def _named(case: Case, item_ids: Sequence[str]) -> tuple[PreventionItem, ...]:
    """The tracked items with these ids. Raises BadInput for one that the case does not track."""
    items = {item.item_id: item for item in tracked(case)}
    if strange := sorted(set(item_ids) - items.keys()):
        raise BadInput(what=", ".join(strange))
    return tuple(items[item_id] for item_id in dict.fromkeys(item_ids))
