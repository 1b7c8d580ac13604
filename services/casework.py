"""
What people can order: open a case, choose an account, decide, cancel, tick. One command, one handler, one answer.

*Who* is always an `Actor` from the verified token. A handler writes down, tells the workflow, and hands back the case
as it is now; what goes on after that reaches people through the Notifier.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from services.access import Access
from services.approvals import ON_THEIR_OWN, Approvals, DecideApproval, Viewer, new_undo, settled_without_decision
from services.audit import NewEntry, Tag, note
from services.case_ids import new_case_id
from services.cases import (
    CANCELLABLE_STATES,
    ActionState,
    Actor,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseKind,
    CaseState,
    Subject,
    Text,
    say,
)
from services.changes import ChangeJobs
from services.containment import undo_plan
from services.errors import (
    BadInput,
    NoOpenQuestion,
    NotAllowed,
    NothingToUndo,
    RemindedLately,
    SeveralQuestions,
    StaleVersion,
    WrongState,
)
from services.follow_up import FollowUps, close
from services.identification import Identified, SenderList, SubjectDirectory, identify
from services.judging import prompt_entry
from services.policy import Policy
from services.ports import Clock, Notifier
from services.protection import Protection
from services.remediation import Remediation
from services.store import Store
from services.tracking import ticked

#: The first card is to be there within a second.
QUICK_CHECK_S = 0.5

#: Nobody can have the approvers reminded more often than this.
REMIND_AGAIN_AFTER = timedelta(minutes=5)

#: How long the question whether to take back stays open.
UNDO_TIMEOUT = timedelta(hours=24)

#: Names under which an admin's choices are kept.
APPROVALS_CONVERSATION = "approvals_conversation"
ALERTS_CONVERSATION = "alerts_conversation"


@dataclass(frozen=True)
class OpenCase:
    """`query` names an account; with `contain_only` one that need not be blocked; or a connector."""

    by: Actor
    query: str
    kind: CaseKind = CaseKind.ACCOUNT
    contain_only: bool = False
    because: Text | None = None


@dataclass(frozen=True)
class ContainAgain:
    """Throw the attacker out of the account of a followed case, which sends too much again."""

    by: Actor
    case_id: str


@dataclass(frozen=True)
class CloseCase:
    by: Actor
    case_id: str


@dataclass(frozen=True)
class TellUser:
    """Let the user know as well, when mail flows again."""

    by: Actor
    case_id: str


@dataclass(frozen=True)
class ChooseAccount:
    by: Actor
    case_id: str
    user_oid: str


@dataclass(frozen=True)
class CancelCase:
    """Call the case off, or with the id of an undo's or a fix's question that question alone."""

    by: Actor
    case_id: str
    prompt_id: str = ""


@dataclass(frozen=True)
class RemindApprovers:
    """Bring an open question back to mind now: the one that is named, or else the oldest."""

    by: Actor
    case_id: str
    prompt_id: str = ""


@dataclass(frozen=True)
class AskUndo:
    by: Actor
    case_id: str


@dataclass(frozen=True)
class TickItems:
    """These prevention items were done by people, or with `done=False` were not after all; others stay as they are."""

    by: Actor
    case_id: str
    item_ids: tuple[str, ...]
    done: bool = True


@dataclass(frozen=True)
class SetConversation:
    by: Actor
    #: APPROVALS_CONVERSATION or ALERTS_CONVERSATION.
    name: str
    conversation_id: str


class Casework:
    """The handlers. Every one raises UserErrors that name a text."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        access: Access,
        approvals: Approvals,
        remediation: Remediation,
        changes: ChangeJobs,
        policy: Policy,
        protection: Protection,
        followers: FollowUps,
        notifier: Notifier,
        directory: SubjectDirectory,
        senders: SenderList,
        tenant_id: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._access = access
        self._approvals = approvals
        self._remediation = remediation
        self._changes = changes
        self._policy = policy
        self._protection = protection
        self._followers = followers
        self._notifier = notifier
        self._directory = directory
        self._senders = senders
        self._tenant_id = tenant_id

    # --- orders ---

    async def open_case(self, order: OpenCase) -> Case:
        """
        A new case, stored and not begun: post its card, then call `begin`. Who the account is, the workflow finds out.

        Raises NotAllowed (recorded) for everybody who is not a requester. When the directory is slow, somebody who is
        listed by name need not wait for it: the workflow checks their account before it does anything.
        """
        checking = asyncio.ensure_future(self._only_requesters(order.by, query=order.query))
        done, _ = await asyncio.wait({checking}, timeout=QUICK_CHECK_S)
        if done or not self._access.lists_requester(order.by):
            await checking
        checking.cancel()
        now = self._clock.now()
        case = Case(
            case_id=new_case_id(),
            tenant_id=self._tenant_id,
            kind=order.kind,
            contain_only=order.contain_only,
            because=order.because,
            state=CaseState.IDENTIFYING,
            query=order.query,
            requester=order.by,
            opened_at=now,
            changed_at=now,
        )
        details = {"query": order.query, "kind": order.kind.value, "contain_only": order.contain_only}
        return await self._store.open_case(case, [note(Tag.CASE_OPENED, case.case_id, order.by, **details)])

    async def contain_again(self, order: ContainAgain) -> Case:
        """
        A new case about the same account, stored and not begun, that ends in containment.

        Raises NotAllowed, WrongState when the case has no account or is under way itself, CaseNotFound.
        """
        case = await self.case_for(order.by, order.case_id)
        if case.subject is None or case.is_at_work:
            raise WrongState(case_id=case.case_id, state=case.state.value)
        again = OpenCase(by=order.by, query=case.subject.upn, contain_only=True, because=_why_again(case))
        opened = await self.open_case(again)
        await self._changed(case.case_id, lambda case: (case.model_copy(update={"again_in": opened.case_id}), []))
        return opened

    async def begin(self, case_id: str) -> None:
        """Let the workflow of a stored case run. Safe to repeat."""
        await self._remediation.start(case_id)

    async def choose_account(self, order: ChooseAccount) -> Case:
        """
        A requester says which of several accounts was meant. One that has an open case already is handed over to it.

        Raises NotAllowed (also for one's own account), WrongState, BadInput, CaseNotFound.
        """
        await self._only_requesters(order.by)
        if order.user_oid.casefold() == order.by.user_oid.casefold():
            raise NotAllowed("subject")

        def choose(case: Case) -> tuple[Case, list[NewEntry]]:
            chosen = _candidate(case, order.user_oid)
            if case.subject == chosen:
                return case, []
            moved = case.moved(CaseState.IDENTIFYING, self._clock.now(), subject=chosen, candidates=())
            return moved, [note(Tag.CASE_CHOSEN, case.case_id, order.by, upn=chosen.upn, user_oid=chosen.user_oid)]

        try:
            return await self._changed(order.case_id, choose)
        except StaleVersion:
            return await self._join_running(order)

    async def _join_running(self, order: ChooseAccount) -> Case:
        running = await self._store.open_case_of(self._tenant_id, order.user_oid)

        def join(case: Case) -> tuple[Case, list[NewEntry]]:
            chosen, other = _candidate(case, order.user_oid), running.case_id if running else ""
            outcome = say("outcome.joined", case=other, upn=chosen.upn)
            moved = case.moved(
                CaseState.NOTHING_TO_DO, self._clock.now(), outcome=outcome, joined_to=other or None, candidates=()
            )
            return moved, [note(Tag.CASE_JOINED, case.case_id, order.by, other=other)]

        return await self._changed(order.case_id, join)

    async def decide_approval(self, order: DecideApproval) -> Case:
        """Approve, deny or override. See `Approvals.decide` for what it raises."""
        before, asked = await self._approvals.prompt_of(order.claim)
        case = await self._approvals.decide(order)
        if case.version == before.version:  # a repeated click is no news
            return case
        await self._tell(case)
        prompt = case.prompt(asked.prompt_id)
        if prompt.purpose in ON_THEIR_OWN:
            await self._changes.start(case.case_id, prompt.prompt_id)
        return case

    async def ask_undo(self, order: AskUndo) -> Case:
        """
        Ask the on-call to put back what the containment of a finished case has changed. A question that is open stays.

        Raises NotAllowed, WrongState while the case or a newer one of the account is open, NothingToUndo, CaseNotFound.
        """
        await self._only_requesters(order.by)
        asked = await self._store.case(order.case_id)
        _not_the_subject(order.by, asked)
        newer = await self._store.open_case_of(asked.tenant_id, asked.subject.user_oid) if asked.subject else None
        if newer is not None:
            raise WrongState(case_id=newer.case_id, state=newer.state.value)
        protected = await self._protection.kinds_of(asked.subject) if asked.subject else asked.protected

        def ask(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.is_at_work:
                raise WrongState(case_id=case.case_id, state=case.state.value)
            if any(action.undo_state is ActionState.RUNNING for action in (*case.actions, *case.fixes)):
                raise WrongState(case_id=case.case_id, state=case.state.value)
            if any(asked.expires_at > self._clock.now() for asked in case.pending(ApprovalPurpose.UNDO)):
                return case, []
            case = settled_without_decision(case, ApprovalState.EXPIRED, self._clock.now(), ApprovalPurpose.UNDO)
            undoable = undo_plan(case)
            if not undoable:
                raise NothingToUndo(case_id=case.case_id)
            case = case.model_copy(update={"protected": protected})
            prompt = new_undo(case, undoable, order.by, self._policy, at=self._clock.now(), wait=UNDO_TIMEOUT)
            return case.with_approval(prompt), [prompt_entry(case, prompt)]

        case = await self._changed(order.case_id, ask)
        (prompt,) = case.pending(ApprovalPurpose.UNDO)  # either it was open already or it was just asked
        await self._changes.start(case.case_id, prompt.prompt_id)
        return case

    async def close_case(self, order: CloseCase) -> Case:
        """
        Stop following a case that is done; what is left open is said. Raises NotAllowed, WrongState, CaseNotFound.
        """
        await self._requester_or_approver(order.by, order.case_id)

        def end(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.state is CaseState.CLOSED:
                return case, []
            if case.state is not CaseState.UNBLOCKED:
                raise WrongState(case_id=case.case_id, state=case.state.value)
            closed, entries = close(case, self._clock.now(), say("outcome.closed_by", who=order.by.name))
            return closed, [entry.model_copy(update={"actor": order.by}) for entry in entries]

        return await self._changed(order.case_id, end)

    async def tell_user(self, order: TellUser) -> Case:
        """Wish that the user is told as well when mail flows. Raises NotAllowed, WrongState, CaseNotFound."""
        await self._requester_or_approver(order.by, order.case_id)

        def wish(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.state is not CaseState.UNBLOCKED or case.follow_up is None or case.subject is None:
                raise WrongState(case_id=case.case_id, state=case.state.value)
            if case.follow_up.tell_user_by is not None:
                return case, []
            wished = case.follow_up.model_copy(update={"tell_user_by": order.by})
            entry = note(Tag.USER_TO_BE_TOLD, case.case_id, order.by)
            return case.model_copy(update={"follow_up": wished}), [entry]

        return await self._changed(order.case_id, wish)

    async def cancel_case(self, order: CancelCase) -> Case:
        """
        Call a case off while it waits for somebody. The requester may, and so may whoever could approve it. A question
        that leaves the case where it is is called off alone, also by whoever asked it.

        Raises WrongState while changes are being made and after the end, CaseNotFound, NotAllowed.
        """
        case = await self._store.case(order.case_id)
        for prompt in case.approvals:
            if prompt.prompt_id == order.prompt_id and prompt.purpose in ON_THEIR_OWN:
                return await self._cancel_question(order.by, case, prompt)
        await self._requester_or_approver(order.by, order.case_id)

        def cancel(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.state is CaseState.CANCELLED:
                return case, []
            if case.state not in CANCELLABLE_STATES:
                raise WrongState(case_id=case.case_id, state=case.state.value)
            now = self._clock.now()
            prompts = settled_without_decision(case, ApprovalState.CANCELLED, now)
            moved = prompts.moved(CaseState.CANCELLED, now, outcome=say("outcome.cancelled", who=order.by.name))
            return moved, [note(Tag.CASE_CANCELLED, case.case_id, order.by)]

        return await self._changed(order.case_id, cancel)

    async def _cancel_question(self, by: Actor, case: Case, prompt: Approval) -> Case:
        await self._asker_or_approver(by, case, prompt)

        def cancel(case: Case) -> tuple[Case, list[NewEntry]]:
            asked = case.prompt(prompt.prompt_id)
            if asked.state is not ApprovalState.PENDING:
                return case, []
            over = {"state": ApprovalState.CANCELLED, "decided_at": self._clock.now(), "decided_by": by}
            entry = note(Tag.PROMPT_CANCELLED, case.case_id, by, prompt_id=asked.prompt_id, purpose=asked.purpose.value)
            return case.with_approval(asked.model_copy(update=over)), [entry]

        case = await self._changed(case.case_id, cancel)
        await self._changes.start(case.case_id, prompt.prompt_id)
        return case

    async def remind_approvers(self, order: RemindApprovers) -> Case:
        """
        Put an open question before its approvers once more. The requester may ask for it, whoever asked it, and whoever
        could answer.

        Raises NotAllowed, CaseNotFound, NoOpenQuestion, RemindedLately within five minutes of the last time.
        """
        case = await self.case_for(order.by, order.case_id)  # nobody else learns whether it asks anything
        prompt = _question(case, order.prompt_id)
        await self._asker_or_approver(order.by, case, prompt)
        now = self._clock.now()

        def remind(case: Case) -> tuple[Case, list[NewEntry]]:
            asked = _question(case, prompt.prompt_id)
            if asked.reminded_at is not None and now - asked.reminded_at < REMIND_AGAIN_AFTER:
                raise RemindedLately(case_id=case.case_id)
            entry = note(Tag.PROMPT_REMINDED, case.case_id, order.by, prompt_id=asked.prompt_id)
            return case.with_approval(asked.model_copy(update={"reminded_at": now})), [entry]

        case = await self._store.change_case(case.case_id, remind)
        job = self._changes if prompt.purpose in ON_THEIR_OWN else self._remediation
        await job.remind(case.case_id, prompt.prompt_id)
        return case

    async def tick_items(self, order: TickItems) -> Case:
        """
        Record which of the things that a person's word counts for are done, by whom and when.

        Raises NotAllowed, CaseNotFound, BadInput for an item that is read by the bot or not tracked here.
        """
        await self.case_for(order.by, order.case_id)
        now = self._clock.now()
        case = await self._changed(
            order.case_id, lambda case: ticked(case, order.item_ids, order.by, now, done=order.done)
        )
        if not order.done and not case.is_at_work:  # following it may have ended when all was done
            await self._followers.begin(case.case_id)
        return case

    async def set_conversation(self, order: SetConversation) -> None:
        """Keep where prompts or alerts go. Admins only."""
        await self._access.check_admin(order.by)
        entry = note(Tag.CONVERSATION_SET, None, order.by, name=order.name, conversation_id=order.conversation_id)
        await self._store.choose(order.name, order.conversation_id, entry)

    # --- questions ---

    async def may_read(self, who: Actor) -> None:
        """Requesters, approvers and admins may read cases; raises NotAllowed for everybody else."""
        for check in (self._access.check_requester, self._access.check_admin, self._access.check_listed_approver):
            try:
                return await check(who)
            except NotAllowed as refusal:
                last = refusal
        raise NotAllowed("not_reader") if last.reason == "not_approver" else last

    async def may_request(self, who: Actor) -> None:
        """Raises NotAllowed (recorded) for everybody who is not a requester."""
        await self._only_requesters(who)

    async def is_requester(self, who: Actor) -> bool:
        """Whether to offer the commands that only requesters may use."""
        try:
            await self._access.check_requester(who)
        except NotAllowed:
            return False
        return True

    async def may_decide(self, who: Actor, case: Case) -> bool:
        """Whether this person could answer the case's open question."""
        try:
            await self._access.check_approver(who, case)
        except NotAllowed:
            return False
        return True

    async def viewer_of(self, who: Actor, case: Case, prompt: Approval) -> Viewer:
        """As whom this person sees an open question. Looked up anew, as for a click."""
        try:
            await self._access.check_approver(who, case, prompt)
        except NotAllowed:
            return Viewer.REQUESTER if _asked_for(who, case, prompt) else Viewer.BYSTANDER
        return Viewer.APPROVER

    async def question_of(self, who: Actor, case_id: str, code: str = "") -> tuple[Case, Approval]:
        """
        The question of a case that has this code, be it open or not, or else the one open question, for somebody who
        wants to answer it without its card. Whether they may is checked with the answer.

        Raises CaseNotFound, NotAllowed for who may not read the case, NoOpenQuestion, SeveralQuestions.
        """
        case = await self.case_for(who, case_id)
        asked = [prompt for prompt in case.approvals if prompt.code == code] or case.pending()
        if len(asked) == 1:
            return case, asked[0]
        raise (SeveralQuestions if asked else NoOpenQuestion)(case_id=case.case_id)

    async def check_may_answer(self, who: Actor, case: Case, prompt: Approval) -> None:
        """Raises NotAllowed for who could not answer this question."""
        await self._access.check_approver(who, case, prompt)

    async def case_for(self, who: Actor, case_id: str) -> Case:
        """
        The case, or the one that it joined, for somebody who may read it.

        Never for its subject: whoever has taken the account over would read along. Raises CaseNotFound, NotAllowed.
        """
        await self.may_read(who)
        case = await self._followed(case_id)
        _not_the_subject(who, case)
        return case

    async def cases_for(self, who: Actor) -> list[Case]:
        """The newest cases that are open or got as far as an account, without those about the reader's own."""
        await self.may_read(who)
        cases = await self._store.cases(limit=20)
        return [c for c in cases if (c.about_id is not None or c.is_open) and not c.is_about(who.user_oid)]

    async def last_case_of(self, who: Actor, query: str) -> tuple[Case | None, Identified]:
        """The newest case of the account that `query` names, and who that is."""
        await self.may_read(who)
        identified = await identify(query, self._directory, self._senders)
        if identified.subject is None:
            return None, identified
        case = await self._store.last_case_of(self._tenant_id, identified.subject.user_oid)
        if case is not None:
            _not_the_subject(who, case)
        return case, identified

    # --- inside ---

    async def _followed(self, case_id: str) -> Case:
        """The case, or the one that it joined. Raises CaseNotFound."""
        case = await self._store.case(case_id)
        return await self._store.case(case.joined_to) if case.joined_to else case

    async def _changed(self, case_id: str, change) -> Case:
        before = await self._store.case(case_id)
        case = await self._store.change_case(case_id, change)
        if case.version != before.version:
            await self._tell(case)
        return case

    async def _tell(self, case: Case) -> None:
        """Cards, the job, and whoever follows the case look at it again."""
        await self._notifier.case_changed(case.case_id)
        await self._remediation.tell(case.case_id)
        if not case.is_at_work:
            await self._followers.tell(case.case_id)

    async def _requester_or_approver(self, who: Actor, case_id: str) -> None:
        case = await self._store.case(case_id)
        if case.was_asked_by(who.user_oid):
            _not_the_subject(who, case)
            await self._access.check_requester(who)
        else:
            await self._access.check_approver(who, case)

    async def _asker_or_approver(self, who: Actor, case: Case, prompt: Approval) -> None:
        if _asked_for(who, case, prompt):
            _not_the_subject(who, case)
            await self._access.check_requester(who)
        else:
            await self._access.check_approver(who, case, prompt)

    async def _only_requesters(self, who: Actor, **details: object) -> None:
        try:
            await self._access.check_requester(who)
        except NotAllowed as refusal:
            await self._store.record(note(Tag.REQUEST_REFUSED, None, who, reason=refusal.reason, **details))
            raise


def _question(case: Case, prompt_id: str) -> Approval:
    """The open question with this id, or the oldest one. Raises NoOpenQuestion."""
    for prompt in case.pending():
        if prompt_id in ("", prompt.prompt_id):
            return prompt
    raise NoOpenQuestion(case_id=case.case_id)


def _asked_for(who: Actor, case: Case, prompt: Approval) -> bool:
    """Whether this person asked for the case, or for this very change."""
    asked_by = prompt.asked_by.user_oid if prompt.asked_by else ""
    return case.was_asked_by(who.user_oid) or asked_by.casefold() == who.user_oid.casefold()


def _why_again(case: Case) -> Text | None:
    """The burst after the unblock, which no check of the new case may show."""
    follow = case.follow_up
    if follow is None or follow.burst_at is None:
        return None
    return say("case.because_burst", n=follow.burst_recipients, at=follow.burst_at, case=case.case_id)


def _not_the_subject(who: Actor, case: Case) -> None:
    if case.is_about(who.user_oid):
        raise NotAllowed("subject")


def _candidate(case: Case, user_oid: str) -> Subject:
    if case.state is CaseState.IDENTIFYING and case.subject is not None and case.subject.user_oid == user_oid:
        return case.subject
    if case.state is not CaseState.CHOOSING:
        raise WrongState(case_id=case.case_id, state=case.state.value)
    for candidate in case.candidates:
        if candidate.user_oid == user_oid:
            return candidate
    raise BadInput(what="account")
