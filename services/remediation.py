"""
The three steps, durable: 1 investigate and contain, 2 unblock, 3 prevent.

`Remediation.remediate` is the whole job, top to bottom. What makes it durable stands in `services.workflows`; what is
asked for one by one afterwards, in `services.changes`; what happens after the unblock, in `services.follow_up`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from dbos import DBOS, SetWorkflowID

from services.access import Access
from services.approvals import check_still_approved, new_approval, settled_without_decision
from services.audit import NewEntry, Tag, note
from services.cases import (
    Action,
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Block,
    BlockKind,
    Case,
    CaseKind,
    CaseState,
    Diagnosis,
    Finding,
    Pictures,
    PreventionItem,
    Subject,
    Text,
    Verdict,
    say,
)
from services.clients.exchange_models import Mailbox
from services.clients.graph_models import DirectoryUser
from services.containment import connector_plan
from services.durable import WORKFLOW_VERSION
from services.errors import NotAllowed, ServiceError, StaleVersion
from services.follow_up import new_follow_up
from services.identification import Identified, SenderList, SubjectDirectory, identify, settled
from services.judging import Changed, Judge
from services.policy import Policy
from services.ports import Clock, Notifier
from services.prevention import merged
from services.protection import Protection
from services.store import Store
from services.tracking import with_defaults
from services.unblocking import (
    RestrictedList,
    Unblocking,
    block_of,
    find_connector,
    never_confirmed,
    unblock_action,
    why_nothing_to_do,
    why_unreadable,
)
from services.workflows import DEAD, LOOK_EVERY_S, Asking

log = structlog.get_logger()

CHOICE_TIMEOUT = timedelta(hours=1)
LOCK_TIMEOUT = timedelta(hours=24)
#: A change that failed is tried again this often while the case is locked; then it is left to people.
RETRIES_WHILE_LOCKED = 3


class Directory(SubjectDirectory, Protocol):
    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


class Exchange(RestrictedList, SenderList, Protocol):
    async def mailbox(self, upn: str) -> Mailbox: ...


class Investigation(Protocol):
    async def run(
        self,
        case: Case,
        on_finding: Callable[[Finding], Awaitable[None]],
        on_pictures: Callable[[Pictures], Awaitable[None]] | None = None,
    ) -> tuple[Finding, ...]: ...


class Containment(Protocol):
    async def carry_out(self, case: Case, action: Action) -> Action: ...


class Prevention(Protocol):
    async def check(self, case: Case) -> tuple[PreventionItem, ...]: ...


class Diagnoses(Protocol):
    async def of_account(self, subject: Subject, block: Block) -> Diagnosis: ...


class Followers(Protocol):
    """Fulfilled by `FollowUps`."""

    async def begin(self, case_id: str) -> None: ...


@dataclass(frozen=True)
class Timing:
    """How long things may take, in seconds; how long a question stays open, the policy says."""

    verify_interval_s: float
    verify_timeout_s: float
    #: How long the verdict waits for slow signals.
    reading_wait_s: float = 12.0


@dataclass(frozen=True)
class Tools:
    """Everything that the remediation works with, built once in `app.py`."""

    store: Store
    clock: Clock
    notifier: Notifier
    access: Access
    directory: Directory
    exchange: Exchange
    investigation: Investigation
    decide: Callable[[Sequence[Finding]], Verdict]
    propose: Callable[[Case], tuple[Action, ...]]
    containment: Containment
    prevention: Prevention
    diagnoses: Diagnoses
    followers: Followers
    protection: Protection
    policy: Policy
    timing: Timing


class Remediation(Asking):
    """One per process. Cases are started with `start`; clicks and texts reach a waiting case with `tell`."""

    def __init__(self, tools: Tools) -> None:
        super().__init__(tools.store, tools.notifier, tools.clock, tools.access)
        self._tools = tools
        self._unblocking = Unblocking(tools.exchange, tools.clock)
        self._judge = Judge(tools.decide, tools.propose, tools.policy)

    # --- the job -----------------------------------------------------------------------------------------------------

    async def remediate(self, case_id: str) -> str:
        """From the message to the proof; the state in which the case ended."""
        try:
            state = await self._identify(case_id)
            if state == CaseState.INVESTIGATING:
                state = await self._investigate(case_id)
            if state in _BEING_DECIDED:
                state = await self._ask_and_contain(case_id)
            if state == CaseState.UNBLOCKING and await self._unblock(case_id):
                state = await self._verify(case_id)
            if state == CaseState.CONTAINED:
                await self.step("replace_contained", self._replace_followed, case_id)
            if state in _DONE:
                await self._prevent(case_id)
                await self._follow_up(case_id)
        except Exception as error:  # the outermost loop: a case must never be left hanging
            log.exception("remediation_failed", case_id=case_id, error=type(error).__name__)
            await self.step("give_up", self._give_up, case_id)
        return await self.step("end", self._state, case_id)

    async def _identify(self, case_id: str) -> str:
        """Step 1, first half: whose account it is and what blocks it. A connector is asked about at once."""
        found = await self.step("identify", self._find_subject, case_id)
        if found == CaseState.CHOOSING:
            found = await self._wait_while(CaseState.CHOOSING, case_id)
            if found == CaseState.IDENTIFYING:
                found = await self.step("identify_chosen", self._find_subject, case_id)
        return found

    async def _investigate(self, case_id: str) -> str:
        """
        Step 1: is it compromised? Ends with a verdict, a plan and a prompt that is ready to be posted.

        The reading is a workflow of its own: a slow source fills in when it answers, and does not hold the question.
        """
        await self.step("replace_followed", self._replace_followed, case_id)
        with SetWorkflowID(f"{case_id}-reading"):
            await DBOS.start_workflow_async(reading, case_id)
        looks = 0
        while wait_s := await self.step("look:reading", self._reading_may_take, case_id, looks):
            await self.wait_for_news(wait_s)
            looks += 1
        return await self.step("propose", self._conclude, case_id)

    async def _ask_and_contain(self, case_id: str) -> str:
        """The attacker out, as approved; and asked again when something was found that the plan does not have."""
        state: str = CaseState.AWAITING_APPROVAL
        while state == CaseState.AWAITING_APPROVAL:
            state = await self._ask(case_id)
            if state == CaseState.CONTAINING:
                state = await self._contain(case_id)
        return state

    async def _ask(self, case_id: str) -> str:
        """The on-call decides, or time does."""
        await self.step("post_prompt", self._post_prompt, case_id)
        return await self._wait_while(CaseState.AWAITING_APPROVAL, case_id)

    async def _contain(self, case_id: str) -> str:
        """Step 1, second half: the attacker out, each change proven. What is not proven keeps step 2 locked."""
        for action_id in await self.step("plan", self._containment_ids, case_id):
            await self.step(f"contain:{action_id}", self._carry_out, case_id, action_id)
        state = await self.step("lock", self._lock_or_go_on, case_id)
        if state == CaseState.LOCKED:
            await self.step("post_override", self._post_prompt, case_id)
            state = await self._wait_while(CaseState.LOCKED, case_id)
        return state

    async def _unblock(self, case_id: str) -> bool:
        """Step 2: remove exactly that entry from the list."""
        waited_s = 0.0
        while await self.step("unblock", self._remove_entry, case_id) == CaseState.UNBLOCKING:
            if waited_s >= self._tools.timing.verify_timeout_s:
                await self.step("unblock_given_up", self._entry_remains, case_id)
                return False
            await DBOS.sleep_async(self._tools.timing.verify_interval_s)
            waited_s += self._tools.timing.verify_interval_s
        return True

    async def _verify(self, case_id: str) -> str:
        """Step 2, proven: read the list again until the entry is gone."""
        waited_s = 0.0
        while await self.step("verify", self._look_for_entry, case_id) == CaseState.VERIFYING:
            if waited_s >= self._tools.timing.verify_timeout_s:
                if await self.step("send_again", self._send_again, case_id) == CaseState.UNBLOCKING:
                    if await self._unblock(case_id):
                        return await self._verify(case_id)
                return await self.step("verify_given_up", self._entry_remains, case_id)
            await DBOS.sleep_async(self._tools.timing.verify_interval_s)
            waited_s += self._tools.timing.verify_interval_s
        return await self.step("verified", self._state, case_id)

    async def _prevent(self, case_id: str) -> None:
        """Step 3: what keeps it from happening again, checked against the tenant."""
        await self.step("prevent", self._check_prevention, case_id)

    async def _follow_up(self, case_id: str) -> None:
        """From here on the case is watched and reminded of by a workflow of its own, which outlives this one."""
        await self._tools.followers.begin(case_id)

    async def read(self, case_id: str) -> None:
        """
        Read every signal of the case, however long it takes. The cards follow each finding; the job is told of the end,
        and of a question that has to be put anew.
        """
        try:
            await self.step("read_signals", self._read_signals, case_id)
        except Exception as error:  # the outermost loop: what was not read must not be promised for ever
            log.exception("reading_failed", case_id=case_id, error=type(error).__name__)
            await self.step("end_reading", self._end_reading, case_id)
        await self.tell(case_id)

    # --- starting, telling, waiting ----------------------------------------------------------------------------------

    def take_charge(self) -> None:
        global _in_charge
        super().take_charge()
        _in_charge = self

    async def start(self, case_id: str) -> None:
        """Begin with a case that is stored already. Safe to repeat: a case has one workflow, named like it."""
        with SetWorkflowID(case_id):
            await DBOS.start_workflow_async(remediation, case_id)

    async def tell(self, case_id: str) -> None:
        """The case has moved by a click or a text: let its workflow look at once. Repeats do no harm."""
        await self.send_news(case_id)

    async def take_up_open_cases(self, replica_id: str) -> None:
        """
        After a start: cases whose workflow never began, decisions whose news was lost on the way, and cases whose
        workflow has died, which would stay open for ever and hold their account. So would those that this replica had
        under way before it was updated to other steps.
        """
        for case in await self._store.cases(at_work=True, limit=1000):
            status = await DBOS.get_workflow_status_async(case.case_id)
            if status is None:
                await self.start(case.case_id)
            elif status.status in DEAD:
                log.error("workflow_found_dead", case_id=case.case_id, status=status.status)
                await self._give_up(case.case_id)
            elif status.app_version != WORKFLOW_VERSION and status.executor_id == replica_id:
                log.error("workflow_of_another_version", case_id=case.case_id, version=status.app_version)
                await self._give_up(case.case_id, "outcome.updated")
            else:
                await self.tell(case.case_id)

    async def _wait_while(self, state: CaseState, case_id: str) -> str:
        """Wait until the case has left the state, by news or by time; the state that it is in then."""
        looks = 0
        while True:
            seen, wait_s = await self.step(f"look:{state.value}", self._look, case_id, state.value, looks)
            if seen != state:
                return seen
            await self.wait_for_news(min(wait_s, LOOK_EVERY_S))
            looks += 1

    # --- the steps: each reads before it acts ------------------------------------------------------------------------

    async def _find_subject(self, case_id: str) -> str:
        case = await self._store.case(case_id)
        if case.state is not CaseState.IDENTIFYING:
            return case.state
        try:
            await self._tools.access.check_requester(case.requester)
        except NotAllowed as refusal:
            return await self._nothing_to_do(case_id, say(f"refusal.{refusal.reason}"))
        if case.kind is CaseKind.CONNECTOR:
            return await self._find_connector(case)
        try:
            identified = await self._identified(case)
        except ServiceError as error:
            return await self._nothing_to_do(case_id, say("outcome.directory_unreadable", why=why_unreadable(error)))
        if identified.candidates:
            return (await self.change(case_id, lambda case: self._ask_which(case, identified.candidates))).state
        if identified.refusal is not None or identified.subject is None:
            return await self._nothing_to_do(case_id, identified.refusal, identified.subject)
        return await self._diagnose(case, identified.subject)

    async def _identified(self, case: Case) -> Identified:
        if case.subject is not None:  # chosen on the card
            return settled(await self._tools.directory.get_user(case.subject.user_oid))
        return await identify(case.query, self._tools.directory, self._tools.exchange)

    def _ask_which(self, case: Case, candidates: tuple[Subject, ...]) -> tuple[Case, list[NewEntry]]:
        return case.moved(CaseState.CHOOSING, self.now(), candidates=candidates), []

    async def _diagnose(self, case: Case, subject: Subject) -> str:
        if case.was_asked_by(subject.user_oid):
            return await self._nothing_to_do(case.case_id, say("outcome.own_account"), subject)
        running = await self._store.open_case_of(case.tenant_id, subject.user_oid)
        if running is not None and running.case_id != case.case_id:
            return await self._join(case.case_id, running.case_id, subject)
        block, subject = await asyncio.gather(self._block(subject), self._with_mailbox(subject))
        outcome = None if case.contain_only else why_nothing_to_do(block, subject)
        followed = await self._store.followed_case_of(case.tenant_id, subject.user_oid)
        if outcome is not None and block.kind is BlockKind.NONE and followed is not None:
            return await self._join(case.case_id, followed.case_id, subject)
        diagnosis = await self._tools.diagnoses.of_account(subject, block) if outcome else None
        return await self._identified_as(case, subject, block, outcome, diagnosis)

    async def _identified_as(
        self, case: Case, subject: Subject, block: Block, outcome: Text | None, diagnosis: Diagnosis | None
    ) -> str:
        entry = note(
            Tag.CASE_IDENTIFIED, case.case_id, None, upn=subject.upn, user_oid=subject.user_oid, block=block.kind.value
        )
        state, now = CaseState.NOTHING_TO_DO if outcome else CaseState.INVESTIGATING, self.now()
        found = {"subject": subject, "block": block, "outcome": outcome, "candidates": (), "reading_since": now}
        found |= {"diagnosis": diagnosis, "protected": await self._tools.protection.kinds_of(subject)}
        try:
            changed = await self.change(case.case_id, lambda case: (case.moved(state, now, **found), [entry]))
        except StaleVersion:  # another case for the same account was faster
            running = await self._store.open_case_of(case.tenant_id, subject.user_oid)
            return await self._join(case.case_id, running.case_id if running else "", subject)
        return changed.state

    async def _replace_followed(self, case_id: str) -> None:
        """
        An account that was unblocked and is in trouble again: the new case takes over from the followed one. One that
        only contains does so when that is proven; until then, and if nobody approves it, the watch goes on.
        """
        new = await self._store.case(case_id)
        followed = await self._store.followed_case_of(new.tenant_id, new.about_id or "")
        if followed is None or (new.contain_only and new.state is not CaseState.CONTAINED):
            return

        def close(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.state is not CaseState.UNBLOCKED:
                return case, []
            closed = case.moved(CaseState.CLOSED, self.now(), outcome=say("outcome.replaced", case=case_id))
            return closed, [note(Tag.CASE_REPLACED, case.case_id, None, other=case_id)]

        await self.change(followed.case_id, close)

    async def _find_connector(self, case: Case) -> str:
        """The blocked connector that was named, and the question whether to unblock it; nothing to investigate."""
        try:
            connectors = await self._tools.exchange.blocked_connectors()
        except ServiceError as error:
            return await self._nothing_to_do(case.case_id, say("outcome.list_unreadable", why=why_unreadable(error)))
        found = find_connector(case.query, connectors)
        if found is None:
            return await self._nothing_to_do(case.case_id, say("outcome.no_such_connector", query=case.query))
        running = await self._store.open_case_of(case.tenant_id, f"connector:{found.connector_id}")
        if running is not None and running.case_id != case.case_id:
            return await self._nothing_to_do(case.case_id, say("outcome.connector_asked", case=running.case_id))
        asked = case.model_copy(update={"connector_id": found.connector_id})

        def ask(case: Case) -> tuple[Case, list[NewEntry]]:
            planned = case.model_copy(
                update={"connector_id": asked.connector_id, "actions": connector_plan(found), "outcome": None}
            )
            return self._judge.ask(planned, self.now())

        try:
            return (await self.change(case.case_id, ask)).state
        except StaleVersion:  # another case for the same connector was faster
            return await self._nothing_to_do(case.case_id, say("outcome.connector_asked", case=""))

    async def _with_mailbox(self, subject: Subject) -> Subject:
        """The account with what kind of mailbox it has; nobody should sign in to a shared one. Unknown when unread."""
        try:
            mailbox = await self._tools.exchange.mailbox(subject.upn)
        except ServiceError:
            return subject
        return subject.model_copy(update={"mailbox_type": mailbox.recipient_type})

    async def _block(self, subject: Subject) -> Block:
        return await block_of(subject, self._tools.directory, self._tools.exchange)

    async def _join(self, case_id: str, other_id: str, subject: Subject) -> str:
        outcome = say("outcome.joined", case=other_id, upn=subject.upn)
        changed = await self.change(
            case_id,
            lambda case: (
                case.moved(CaseState.NOTHING_TO_DO, self.now(), outcome=outcome, joined_to=other_id),
                [note(Tag.CASE_JOINED, case_id, None, other=other_id)],
            ),
        )
        return changed.state

    async def _nothing_to_do(self, case_id: str, outcome: Text | None, subject: Subject | None = None) -> str:
        changed = await self.change(
            case_id,
            lambda case: (
                case.moved(
                    CaseState.NOTHING_TO_DO,
                    self.now(),
                    outcome=outcome,
                    subject=subject or case.subject,
                    candidates=(),
                ),
                [note(Tag.CASE_ENDED, case_id, None, state=CaseState.NOTHING_TO_DO.value, why=_key(outcome))],
            ),
        )
        return changed.state

    async def _reading_may_take(self, case_id: str, looks: int) -> float:
        """For how many more seconds the verdict may wait for slow signals; 0 when it is time."""
        case = await self._store.case(case_id)
        if case.state is not CaseState.INVESTIGATING or case.reading_ended_at is not None:
            return 0.0
        waited_s = (self.now() - (case.reading_since or case.changed_at)).total_seconds()
        return max(0.0, min(self._tools.timing.reading_wait_s - waited_s, LOOK_EVERY_S))

    async def _read_signals(self, case_id: str) -> None:
        case = await self._store.case(case_id)

        async def keep(finding: Finding) -> None:
            changed = await self._judge_anew(case_id, lambda case: self._judge.add(case, finding, self.now()))
            if _has_unasked(changed):
                await self.tell(case_id)

        async def keep_pictures(pictures: Pictures) -> None:
            await self.change(case_id, lambda case: (case.model_copy(update={"pictures": pictures}), []))

        await self._tools.investigation.run(case, keep, keep_pictures)
        await self._end_reading(case_id)

    async def _end_reading(self, case_id: str) -> None:
        await self._judge_anew(case_id, lambda case: self._judge.end_reading(case, self.now()))

    async def _judge_anew(self, case_id: str, judge: Callable[[Case], Changed]) -> Case:
        """The case changed in a way that may ask again after the verdict, by what protects the account now."""
        case = await self._store.case(case_id)
        if case.subject is None or case.state is CaseState.INVESTIGATING or not case.is_at_work:
            return await self.change(case_id, judge)
        protected = await self._tools.protection.kinds_of(case.subject)
        return await self.change(case_id, lambda case: judge(case.model_copy(update={"protected": protected})))

    async def _conclude(self, case_id: str) -> str:
        return (await self.change(case_id, lambda case: self._judge.conclude(case, self.now()))).state

    async def _post_prompt(self, case_id: str) -> None:
        """Put the open question of the job before people, unless that was done before."""
        for prompt in (await self._store.case(case_id)).pending(*_PURPOSE_OF.values()):
            await self.post(case_id, prompt.prompt_id)

    async def _look(self, case_id: str, state: str, looks: int) -> tuple[str, float]:
        """The state of the case, moved on when its time is up; and for how long it may still wait, in seconds."""
        if state == CaseState.LOCKED and looks > 0:
            await self._try_to_settle_lock(case_id, again=looks <= RETRIES_WHILE_LOCKED)
        case = await self._store.case(case_id)
        if case.state != state:
            return case.state, 0.0
        if _has_unasked(case):
            await self._post_prompt(case_id)
        left_s = (_deadline(case) - self.now()).total_seconds()
        if left_s > 0:
            for prompt in case.pending(*_PURPOSE_OF.values()):
                await self.nudge(case_id, prompt.prompt_id)
            return case.state, left_s
        return (await self.change(case_id, self._expire)).state, 0.0

    def _expire(self, case: Case) -> tuple[Case, list[NewEntry]]:
        if case.state not in (CaseState.CHOOSING, CaseState.AWAITING_APPROVAL, CaseState.LOCKED):
            return case, []
        if _deadline(case) > self.now():  # asked anew since it was looked at
            return case, []
        changed = case.state is CaseState.AWAITING_APPROVAL and case.has_changed_something
        outcome = say("outcome.expired_changed" if changed else f"outcome.expired_{case.state.value}")
        prompts = settled_without_decision(case, ApprovalState.EXPIRED, self.now())
        return prompts.moved(CaseState.EXPIRED, self.now(), outcome=outcome), [
            note(Tag.APPROVAL_EXPIRED, case.case_id, None, state=case.state.value)
        ]

    async def _containment_ids(self, case_id: str) -> list[str]:
        """What is still to be done of it: not what was left out, nor what an earlier round has proven."""
        case = await self._store.case(case_id)
        check_still_approved(case)
        return [action.action_id for action in case.containment if not action.is_settled]

    async def _carry_out(self, case_id: str, action_id: str) -> str:
        """One change, written down before and after."""
        case = await self.change(case_id, lambda case: self._started(case, action_id))
        if case.state not in _ACTING:
            return case.action(action_id).state
        action = await self._tools.containment.carry_out(case, case.action(action_id))
        entry = note(_ACTION_TAGS[action.state], case_id, None, action=action_id, outcome=_key(action.outcome))
        await self.change(case_id, lambda case: (case.with_action(action), [entry]))
        return action.state

    def _started(self, case: Case, action_id: str) -> tuple[Case, list[NewEntry]]:
        if case.state not in _ACTING:  # called off, or settled by somebody, while an earlier action took its time
            return case, []
        check_still_approved(case, action_id)
        action = case.action(action_id)
        running = action.model_copy(update={"state": ActionState.RUNNING})
        return case.with_action(running), [
            note(Tag.ACTION_STARTED, case.case_id, None, action=action_id, kind=action.kind.value, target=action.target)
        ]

    async def _lock_or_go_on(self, case_id: str) -> str:
        def move(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.state is not CaseState.CONTAINING:
                return case, []
            if (more := self._judge.ask_about_more(case, self.now())) is not None:
                return more
            if unblock_action(case) is None:
                return self._contained(case)
            if case.containment_proven:
                return case.moved(CaseState.UNBLOCKING, self.now()), []
            prompt = new_approval(case, ApprovalPurpose.OVERRIDE, self._tools.policy, at=self.now(), wait=LOCK_TIMEOUT)
            locked = case.with_approval(prompt).moved(CaseState.LOCKED, self.now(), outcome=say("outcome.locked"))
            return locked, [note(Tag.CASE_LOCKED, case_id, None, waits_for=_unproven(case))]

        return (await self._judge_anew(case_id, move)).state

    def _contained(self, case: Case) -> tuple[Case, list[NewEntry]]:
        """The end of a case that had nothing to unblock."""
        proven = case.containment_proven
        state = CaseState.CONTAINED if proven else CaseState.NOT_CONTAINED
        outcome = say("outcome.contained") if proven else say("outcome.not_contained", n=len(_unproven(case)))
        entry = note(Tag.CASE_ENDED, case.case_id, None, state=state.value, waits_for=_unproven(case))
        return case.moved(state, self.now(), outcome=outcome), [entry]

    async def _try_to_settle_lock(self, case_id: str, *, again: bool) -> None:
        """
        Look once more at what waits for a person, who may have done it meanwhile, and with `again` try what failed.

        When all is proven the lock opens by itself.
        """
        case = await self._store.case(case_id)
        if case.state is not CaseState.LOCKED:
            return
        for action in case.containment:
            if action.state is ActionState.WAITING_FOR_PERSON:
                await self._look_whether_done(case, action)
            elif again and not action.is_settled:
                await self._carry_out(case_id, action.action_id)
        await self._judge_anew(case_id, self._open_lock)

    async def _look_whether_done(self, case: Case, action: Action) -> None:
        """What waits for a person is only looked at; on the record when it was done."""
        settled = await self._tools.containment.carry_out(case, action)
        entry = note(_ACTION_TAGS[settled.state], case.case_id, None, action=action.action_id)
        entries = [] if settled.state is action.state else [entry]
        await self.change(case.case_id, lambda case: (case.with_action(settled), entries))

    def _open_lock(self, case: Case) -> tuple[Case, list[NewEntry]]:
        if case.state is not CaseState.LOCKED or not case.containment_proven:
            return case, []
        prompts = settled_without_decision(case, ApprovalState.SUPERSEDED, self.now())
        if (more := self._judge.ask_about_more(prompts, self.now())) is not None:
            return more
        return prompts.moved(CaseState.UNBLOCKING, self.now(), outcome=None), [
            note(Tag.ACTION_PROVEN, case.case_id, None, action="all")
        ]

    async def _remove_entry(self, case_id: str) -> str:
        case = await self._store.case(case_id)
        action = unblock_action(case)
        if case.state is not CaseState.UNBLOCKING or action is None:
            return case.state
        done = None if action.state is ActionState.RUNNING else await self._unblocking.look_first(action)
        if done is None:
            # Written down as under way directly before it is sent, so that a restart knows what it does not know.
            begun = await self._begin_unblock(case_id, action.action_id)
            done = await self._unblocking.carry_out(action.model_copy(update={"state": begun}), case.tenant_id)
        return (await self.change(case_id, lambda case: self._after_removal(case, done))).state

    async def _begin_unblock(self, case_id: str, action_id: str) -> ActionState:
        """The state before: of two that run this step at once, after a take-over, only one finds it not begun."""
        before = ActionState.RUNNING

        def begin(case: Case) -> tuple[Case, list[NewEntry]]:
            nonlocal before
            if case.state is CaseState.UNBLOCKING:
                before = case.action(action_id).state
            return (case, []) if before is ActionState.RUNNING else self._started(case, action_id)

        await self.change(case_id, begin)
        return before

    def _after_removal(self, case: Case, done: Action) -> tuple[Case, list[NewEntry]]:
        if case.state is not CaseState.UNBLOCKING:
            return case, []
        entry = note(_ACTION_TAGS[done.state], case.case_id, None, action=done.action_id, outcome=_key(done.outcome))
        case = case.with_action(done)
        if done.state is ActionState.PROPOSED:
            return case, []
        if done.state is ActionState.FAILED:
            return case.moved(CaseState.NOT_UNBLOCKED, self.now(), outcome=done.outcome), [entry]
        return case.moved(CaseState.VERIFYING, self.now(), outcome=None), [entry]

    async def _look_for_entry(self, case_id: str) -> str:
        case = await self._store.case(case_id)
        action = unblock_action(case)
        if case.state is not CaseState.VERIFYING or action is None:
            return case.state
        if not await self._unblocking.is_gone(action):
            return case.state
        rest = await self._block(case.subject) if case.subject else Block(kind=BlockKind.NONE)
        if rest.kind is BlockKind.UNKNOWN:
            return case.state
        return (await self.change(case_id, lambda case: self._after_proof(case, action, rest))).state

    def _after_proof(self, case: Case, action: Action, rest: Block) -> tuple[Case, list[NewEntry]]:
        """The entry is gone. It is an unblock only when nothing else on the list keeps the account from sending."""
        if case.state is not CaseState.VERIFYING:
            return case, []
        proven = action.model_copy(
            update={"state": ActionState.PROVEN, "outcome": say(f"action.{action.kind.value}.proven")}
        )
        case = case.with_action(proven)
        if rest.kind is BlockKind.NONE:
            entry = note(Tag.UNBLOCK_VERIFIED, case.case_id, None, **action.target)
            outcome = say("outcome.connector_unblocked" if case.kind is CaseKind.CONNECTOR else "outcome.unblocked")
            followed = {"follow_up": new_follow_up(self.now()), "outcome": outcome}
            return case.moved(CaseState.UNBLOCKED, self.now(), **followed), [entry]
        outcome = say(f"outcome.another_entry_{rest.kind.value}", address=rest.sender_address)
        entry = note(Tag.UNBLOCK_UNVERIFIED, case.case_id, None, another=rest.sender_address, kind=rest.kind.value)
        return case.moved(CaseState.NOT_UNBLOCKED, self.now(), outcome=outcome), [entry]

    async def _send_again(self, case_id: str) -> str:
        """
        Once, when nobody knows whether the removal arrived and the list has shown for the whole time that it did not.

        That is no guess: an unblock that Exchange has accepted is never sent twice.
        """

        def again(case: Case) -> tuple[Case, list[NewEntry]]:
            action = unblock_action(case)
            if case.state is not CaseState.VERIFYING or action is None or not never_confirmed(action):
                return case, []
            proposed = action.model_copy(update={"state": ActionState.PROPOSED, "before": {"sent_again": True}})
            moved = case.with_action(proposed).moved(CaseState.UNBLOCKING, self.now())
            return moved, [note(Tag.UNBLOCK_UNVERIFIED, case_id, None, state="sending again")]

        return (await self.change(case_id, again)).state

    async def _entry_remains(self, case_id: str) -> str:
        def move(case: Case) -> tuple[Case, list[NewEntry]]:
            if case.state not in (CaseState.UNBLOCKING, CaseState.VERIFYING):
                return case, []
            outcome = say(f"outcome.entry_remains_{case.state.value}")
            return case.moved(CaseState.NOT_UNBLOCKED, self.now(), outcome=outcome), [
                note(Tag.UNBLOCK_UNVERIFIED, case_id, None, state=case.state.value)
            ]

        return (await self.change(case_id, move)).state

    async def _check_prevention(self, case_id: str) -> None:
        case = await self._store.case(case_id)
        if case.subject is None:
            return
        read = await self._tools.prevention.check(case)
        entry = note(Tag.PREVENTION_CHECKED, case_id, None, items={item.item_id: item.state.value for item in read})

        def keep(case: Case) -> tuple[Case, list[NewEntry]]:
            items = with_defaults(case, merged(case.prevention, read))
            return case.model_copy(update={"prevention": items}), [entry]

        await self.change(case_id, keep)

    async def _give_up(self, case_id: str, why: str = "outcome.fault") -> None:
        def move(case: Case) -> tuple[Case, list[NewEntry]]:
            if not case.is_at_work:
                return case, []
            prompts = settled_without_decision(case, ApprovalState.CANCELLED, self.now())
            return prompts.moved(CaseState.NOT_UNBLOCKED, self.now(), outcome=say(why)), [
                note(Tag.CASE_ENDED, case_id, None, state=CaseState.NOT_UNBLOCKED.value, why=why)
            ]

        await self.change(case_id, move)

    async def _state(self, case_id: str) -> str:
        return (await self._store.case(case_id)).state


#: DBOS finds a workflow by its name, so the entry is a function of the module; what it works with is set at start-up.
_in_charge: Remediation | None = None


@DBOS.workflow(name="remediation")
async def remediation(case_id: str) -> str:
    """The workflow that DBOS starts, and takes up again after a restart. Its id is the case's."""
    assert _in_charge is not None, "take_charge() comes before DBOS.launch()"
    return await _in_charge.run(_in_charge.remediate, case_id)


@DBOS.workflow(name="reading")
async def reading(case_id: str) -> None:
    """Reads the signals of a case, beside the job that waits for them only so long."""
    assert _in_charge is not None, "take_charge() comes before DBOS.launch()"
    await _in_charge.run(_in_charge.read, case_id)


#: Being asked about; or, when a step was taken up again after a kill, decided already.
_BEING_DECIDED = frozenset({CaseState.AWAITING_APPROVAL, CaseState.CONTAINING})
_DONE = frozenset({CaseState.UNBLOCKED, CaseState.CONTAINED})

#: States in which changes are made.
_ACTING = frozenset({CaseState.CONTAINING, CaseState.LOCKED, CaseState.UNBLOCKING})

_ACTION_TAGS = {
    ActionState.PROVEN: Tag.ACTION_PROVEN,
    ActionState.DONE: Tag.ACTION_DONE,
    ActionState.FAILED: Tag.ACTION_FAILED,
    ActionState.WAITING_FOR_PERSON: Tag.ACTION_WAITS,
    ActionState.PROPOSED: Tag.ACTION_WAITS,
    ActionState.SKIPPED: Tag.ACTION_SKIPPED,
}


def _has_unasked(case: Case) -> bool:
    return any(prompt.posted_at is None for prompt in case.pending(*_PURPOSE_OF.values()))


def _unproven(case: Case) -> list[str]:
    return [action.action_id for action in case.containment if not action.is_settled]


def _key(text: Text | None) -> str:
    return text.key if text else ""


def _deadline(case: Case) -> datetime:
    """When the case stops waiting in its present state."""
    if case.state is CaseState.CHOOSING:
        return case.opened_at + CHOICE_TIMEOUT
    prompts: list[Approval] = [a for a in case.approvals if a.purpose is _PURPOSE_OF[case.state]]
    return prompts[-1].expires_at


_PURPOSE_OF = {
    CaseState.AWAITING_APPROVAL: ApprovalPurpose.REMEDIATION,
    CaseState.LOCKED: ApprovalPurpose.OVERRIDE,
}
