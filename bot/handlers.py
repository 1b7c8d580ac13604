"""
From what people type and press to orders, and from the answers back to cards.

Two tables: one from typed commands to methods, one from card verbs to methods. Each method is short: make the order,
call the casework, choose the view. Errors of people become cards here and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from bot import grammar
from bot.activities import Incoming
from bot.adapter import Reply, invoke_card
from bot.alert_poster import AlertPoster
from bot.alert_turns import AlertTurns
from bot.checks import CheckCards
from bot.fields import field_of
from bot.presenter import PREVENTION_LIST, Presenter, case_view
from bot.replies import (
    access_pass_offer,
    current_card,
    error_notice,
    identity_missing,
    job_under_way,
    no_access_pass,
    no_case_yet,
    nobody_to_check,
    nobody_to_explain,
    not_counted,
    not_in_a_channel,
    not_understood,
    on_call,
    reason_missing,
    refusal_of,
    reminded,
    set_here,
    sign_in_first,
    sign_in_in_chat,
    sign_in_link,
    something_missing,
    undo_asked,
    wrong_input,
)
from bot.step_up import sign_in_address
from cards import compose, prevention, report
from cards.diagnosis import diagnosis
from cards.language import best_language
from cards.pictures import pictures
from cards.render import render
from cards.views import View
from services.access_passes import AccessPasses, IssueAccessPass
from services.alerts.desk import AlertDesk
from services.approvals import Approvals, DecideApproval, Viewer
from services.audit import Tag, note
from services.cases import ActionState, Actor, Approval, ApprovalPurpose, ApprovalState, Case, CaseKind, Text, say
from services.casework import (
    ALERTS_CONVERSATION,
    APPROVALS_CONVERSATION,
    AskUndo,
    CancelCase,
    Casework,
    ChooseAccount,
    CloseCase,
    ContainAgain,
    OpenCase,
    RemindApprovers,
    SetConversation,
    TellUser,
    TickItems,
)
from services.charts import Charts, ShowCharts
from services.checking import CheckAccount, Checks
from services.containment.dry_run import DryRun, PlannedCall
from services.conversations import Conversation, ConversationKind
from services.errors import (
    AlreadyDecided,
    BadDate,
    BadInput,
    BadOwner,
    BotError,
    NoOpenQuestion,
    NotAllowed,
    NotHere,
    NothingToFix,
    PermissionMissing,
    PromptOutdated,
    Rejected,
    RemindedLately,
    StepUpNeeded,
    UserError,
    WrongState,
)
from services.explaining import ExplainBlock, Explanations
from services.oncall.telling import OnCallAnswers
from services.ports import Clock
from services.step_up import StepUps
from services.store import Store
from services.tracking import AskFix, AssignItems, CheckAgain, ShowPrevention, Tracking, end_of_day

log = structlog.get_logger()


class Handlers:
    """Fulfils `bot.adapter.Turns`."""

    def __init__(
        self,
        *,
        casework: Casework,
        approvals: Approvals,
        checks: Checks,
        explanations: Explanations,
        charts: Charts,
        tracking: Tracking,
        passes: AccessPasses,
        dry_run: DryRun,
        on_call: OnCallAnswers,
        alert_desk: AlertDesk,
        alert_poster: AlertPoster,
        presenter: Presenter,
        check_cards: CheckCards,
        store: Store,
        clock: Clock,
        language: str,
        step_ups: StepUps | None = None,
        public_url: str = "",
    ) -> None:
        self._casework = casework
        self._approvals = approvals
        self._checks = checks
        self._explanations = explanations
        self._charts = charts
        self._tracking = tracking
        self._passes = passes
        self._dry_run = dry_run
        self._on_call = on_call
        self._presenter = presenter
        self._check_cards = check_cards
        self._store = store
        self._clock = clock
        self._language = language
        self._step_ups = step_ups
        self._public_url = public_url
        alerts = AlertTurns(
            desk=alert_desk,
            poster=alert_poster,
            store=store,
            clock=clock,
            begin=self._begin,
            show=self._post_again,
            copy_language=self._copy_language,
        )
        self._commands: dict[type, Callable[[Any, Incoming, Actor, Reply], Awaitable[View | None]]] = {
            grammar.Unblock: self._unblock,
            grammar.UnblockConnector: self._unblock_connector,
            grammar.Why: self._why,
            grammar.Check: self._check,
            grammar.Report: self._report,
            grammar.DryRun: self._rehearse,
            grammar.Charts: self._show_charts,
            grammar.Undo: self._undo,
            grammar.Contain: self._contain,
            grammar.Close: self._close_by_text,
            grammar.Prevention: self._prevention,
            grammar.AccessPass: self._offer_access_pass,
            grammar.Status: self._status,
            grammar.Cases: self._cases,
            grammar.ShowCase: self._show_case,
            grammar.Cancel: self._cancel_by_text,
            grammar.Help: self._help,
            grammar.ApprovalsHere: self._approvals_here,
            grammar.AlertsHere: self._alerts_here,
            grammar.Approve: self._approve_by_text,
            grammar.Override: self._approve_by_text,
            grammar.Deny: self._deny_by_text,
            grammar.Remind: self._remind_by_text,
            grammar.WhoIsOnCall: self._who_is_on_call,
            **alerts.commands,
            grammar.Incomplete: self._incomplete,
            grammar.Unknown: self._unknown,
        }
        self._verbs: dict[str, Callable[[Incoming, Actor, Reply], Awaitable[View]]] = {
            "approve": self._approve,
            "deny": self._deny,
            "override": self._approve,
            "start": self._start,
            "unblock_connector": self._unblock_connector_by_button,
            "refresh": self._refresh,
            "choose": self._choose,
            "cancel": self._cancel,
            "close": self._close,
            "tell_user": self._tell_user,
            "contain_again": self._contain_again,
            "tick": self._tick,
            "untick": self._untick,
            "prevention": self._prevention_by_button,
            "prevention_check": self._prevention_check,
            "own": self._own,
            "explain": self._explain,
            "fix": self._fix,
            "dry_run": self._rehearse_by_button,
            "charts": self._show_charts_by_button,
            "access_pass": self._access_pass,
            "remind": self._remind,
            **alerts.verbs,
        }

    # --- what Teams brings ---

    async def on_message(self, incoming: Incoming, reply: Reply) -> None:
        await self._remember(incoming)
        view = await self._answered(incoming, lambda who: self._obey(incoming, who, reply))
        if view is not None:
            shown = render(view, self._language_of(incoming))
            await reply.send(shown.card, summary=shown.summary)

    async def on_card_action(self, incoming: Incoming, reply: Reply) -> dict[str, Any] | None:
        await self._remember(incoming)
        view = await self._answered(incoming, lambda who: self._press(incoming, who, reply))
        assert view is not None
        shown = render(view, self._language_of(incoming))
        if incoming.via == "submit":
            # An Action.Submit has no answer of its own. Edits reach everybody by the presenter; what only concerns the
            # one who pressed, such as a refusal, is said in a message.
            if view.refused is not None or view.template == "notice":
                await reply.send(shown.card, summary=shown.summary)
            return None
        return invoke_card(shown.card)

    async def on_installed(self, incoming: Incoming) -> None:
        await self._remember(incoming)
        await self._remember_team(incoming, active=True)

    async def on_removed(self, incoming: Incoming) -> None:
        if incoming.kind == "channel_deleted":
            await self._forget_channel(incoming)
            return
        await self._remember(incoming, active=False)
        await self._remember_team(incoming, active=False)

    # --- commands ---

    async def _obey(self, incoming: Incoming, who: Actor, reply: Reply) -> View | None:
        command = grammar.parse(incoming.text)
        log.info("command", command=type(command).__name__, user_oid=who.user_oid)
        return await self._commands[type(command)](command, incoming, who, reply)

    async def _unblock(self, command: grammar.Unblock, incoming: Incoming, who: Actor, reply: Reply) -> None:
        await self._begin(await self._casework.open_case(OpenCase(by=who, query=command.target)), incoming)

    async def _unblock_connector(
        self, command: grammar.UnblockConnector, incoming: Incoming, who: Actor, reply: Reply
    ) -> None:
        await self._open_connector(command.target, incoming, who)

    async def _open_connector(self, connector_id: str, incoming: Incoming, who: Actor) -> None:
        order = OpenCase(by=who, query=connector_id, kind=CaseKind.CONNECTOR)
        await self._begin(await self._casework.open_case(order), incoming)

    async def _why(self, command: grammar.Why, incoming: Incoming, who: Actor, reply: Reply) -> View:
        order = ExplainBlock(by=who, query=command.target or "", report=command.report or "")
        explained = await self._explanations.explain_block(order)
        if explained.diagnosis is None:
            return nobody_to_explain(command.target or "", explained.identified)
        return diagnosis(explained.diagnosis, explained.subject)

    async def _contain(self, command: grammar.Contain, incoming: Incoming, who: Actor, reply: Reply) -> None:
        order = OpenCase(by=who, query=command.target, contain_only=True)
        await self._begin(await self._casework.open_case(order), incoming)

    async def _begin(self, case: Case, incoming: Incoming) -> None:
        """The card of a new case where it was asked for, and its job under way."""
        try:
            await self._presenter.post_case(case, incoming.place, self._copy_language(incoming))
        finally:  # the case is stored, so it goes on even if its card could not be posted
            await self._casework.begin(case.case_id)

    async def _status(self, command: grammar.Status, incoming: Incoming, who: Actor, reply: Reply) -> View | None:
        if command.target is None:
            return await self._case_list(who)
        case, identified = await self._casework.last_case_of(who, command.target)
        if case is None:
            return no_case_yet(command.target, identified)
        return await self._post_again(case, incoming, who)

    async def _cases(self, command: grammar.Cases, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._case_list(who)

    async def _case_list(self, who: Actor) -> View:
        return compose.case_list(await self._casework.cases_for(who), say("case_list.title"))

    async def _show_case(self, command: grammar.ShowCase, incoming: Incoming, who: Actor, reply: Reply) -> None:
        await self._post_again(await self._casework.case_for(who, command.case_id), incoming, who)

    async def _post_again(self, case: Case, incoming: Incoming, who: Actor) -> None:
        """One more live copy of the case's card, and of its open questions for somebody who may answer them."""
        language = self._copy_language(incoming)
        await self._presenter.post_case(case, incoming.place, language)
        if case.pending() and await self._casework.may_decide(who, case):
            for prompt in case.pending():
                await self._presenter.post_case(case, incoming.place, language, prompt_id=prompt.prompt_id)

    async def _cancel_by_text(self, command: grammar.Cancel, incoming: Incoming, who: Actor, reply: Reply) -> None:
        case = await self._casework.case_for(who, command.case_id)
        case = await self._casework.cancel_case(CancelCase(by=who, case_id=case.case_id))
        await self._presenter.post_case(case, incoming.place, self._copy_language(incoming))

    async def _close_by_text(self, command: grammar.Close, incoming: Incoming, who: Actor, reply: Reply) -> None:
        case = await self._casework.case_for(who, command.case_id)
        case = await self._casework.close_case(CloseCase(by=who, case_id=case.case_id))
        await self._presenter.post_case(case, incoming.place, self._copy_language(incoming))

    async def _approve_by_text(
        self, command: grammar.Approve | grammar.Override, incoming: Incoming, who: Actor, reply: Reply
    ) -> View | None:
        try:
            return await self._decide_by_text(command, incoming, who)
        except BadInput as bad:
            if bad.params.get("what") != "reason" or not isinstance(command, grammar.Approve):
                raise
            return reason_missing(command, self._language_of(incoming))

    async def _deny_by_text(self, command: grammar.Deny, incoming: Incoming, who: Actor, reply: Reply) -> View | None:
        return await self._decide_by_text(command, incoming, who)

    async def _decide_by_text(self, command: _Decision, incoming: Incoming, who: Actor) -> View | None:
        """
        A question answered as its card would be, with the boxes as they are ticked on it; then its card, which follows
        the case. A text that does not say which question it answers gets that card too, and counts for nothing.
        """
        case, prompt = await self._casework.question_of(who, command.case_id, command.code)
        is_meant = _is_meant(command, prompt)
        if is_meant:
            await self._decide_this(command, incoming, who, case, prompt)
            case, prompt = await self._approvals.prompt_of(prompt.claim)
        else:
            await self._casework.check_may_answer(who, case, prompt)
        await self._presenter.show_question(case, prompt.prompt_id, incoming.place, self._copy_language(incoming))
        is_open = prompt.state is ApprovalState.PENDING
        return not_counted(prompt, self._language_of(incoming)) if is_open and not is_meant else None

    async def _decide_this(
        self, command: _Decision, incoming: Incoming, who: Actor, case: Case, prompt: Approval
    ) -> None:
        granted = not isinstance(command, grammar.Deny)
        ticks = compose.proposed_ticks(case, prompt) if granted else None
        order = DecideApproval(
            claim=prompt.claim,
            by=who,
            granted=granted,
            reason=command.reason,
            ticked=None if ticks is None else tuple(sorted(ticks)),
            message_id=f"{incoming.conversation_id} {incoming.activity_id}" if incoming.activity_id else "",
        )
        try:
            await self._casework.decide_approval(order)
        except (AlreadyDecided, PromptOutdated) as late:
            log.info("late_answer", case_id=case.case_id, user_oid=who.user_oid, why=late.key)

    async def _remind_by_text(self, command: grammar.Remind, incoming: Incoming, who: Actor, reply: Reply) -> View:
        await self._casework.remind_approvers(RemindApprovers(by=who, case_id=command.case_id))
        return reminded()

    async def _who_is_on_call(self, command: grammar.WhoIsOnCall, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return on_call(await self._on_call.tell(who))

    async def _check(self, command: grammar.Check, incoming: Incoming, who: Actor, reply: Reply) -> View | None:
        order = CheckAccount(by=who, query=command.target)
        identified = await self._checks.account(order)
        if identified.subject is None:
            return nobody_to_check(command.target, identified)
        self._check_cards.follow(order, identified.subject, incoming.place, self._copy_language(incoming))
        return None

    async def _report(self, command: grammar.Report, incoming: Incoming, who: Actor, reply: Reply) -> None:
        """The whole evidence, in as many messages as it takes."""
        case = await self._casework.case_for(who, command.case_id)
        entries = await self._store.audit_entries(case.case_id)
        await self._store.record(note(Tag.REPORT_MADE, case.case_id, who, format=command.format))
        for part in report.messages(case, entries, command.format, self._copy_language(incoming)):
            await reply.say(part)

    async def _rehearse(self, command: grammar.DryRun, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._dry_run_of(command.case_id, who)

    async def _dry_run_of(self, case_id: str, who: Actor, prompt: Approval | None = None) -> View:
        """The calls of the plan, or of what an undo would put back."""
        case = await self._casework.case_for(who, case_id)
        undo = prompt is not None and prompt.purpose is ApprovalPurpose.UNDO
        if undo:
            calls = await self._dry_run.undo_calls(case, case.actions_of(prompt.about)[::-1])
        elif prompt is not None and prompt.purpose is ApprovalPurpose.FIX:
            calls = await self._dry_run.calls(case, case.actions_of(prompt.about))
        else:
            calls = await self._dry_run.calls(case, [a for a in case.actions if a.state is not ActionState.SKIPPED])
        await self._store.record(note(Tag.DRY_RUN_SHOWN, case.case_id, who, calls=len(calls)))
        return compose.dry_run(case, [(call.action_id, _exactly(call), call.note) for call in calls], undo=undo)

    async def _show_charts(self, command: grammar.Charts, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return pictures(await self._charts.show_charts(ShowCharts(by=who, case_id=command.case_id)))

    async def _undo(self, command: grammar.Undo, incoming: Incoming, who: Actor, reply: Reply) -> View:
        case = await self._casework.case_for(who, command.case_id)
        await self._casework.ask_undo(AskUndo(by=who, case_id=case.case_id))
        return undo_asked()

    async def _offer_access_pass(
        self, command: grammar.AccessPass, incoming: Incoming, who: Actor, reply: Reply
    ) -> View:
        """The button, since only the answer to a click can be shown without being kept."""
        case = await self._casework.case_for(who, command.case_id)
        if incoming.conversation_kind != "personal":
            raise NotHere
        if not case.is_secured:
            raise WrongState(case_id=case.case_id, state=case.state.value)
        return access_pass_offer(case)

    async def _help(self, command: grammar.Help, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return compose.help_card(await self._casework.is_requester(who))

    async def _approvals_here(self, command: object, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._set_conversation(APPROVALS_CONVERSATION, incoming, who)

    async def _alerts_here(self, command: object, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._set_conversation(ALERTS_CONVERSATION, incoming, who)

    async def _set_conversation(self, name: str, incoming: Incoming, who: Actor) -> View:
        if incoming.conversation_kind == "personal":
            return not_in_a_channel(name)
        conversation_id = incoming.place.channel_root.conversation_id
        await self._casework.set_conversation(SetConversation(by=who, name=name, conversation_id=conversation_id))
        return set_here(name)

    async def _incomplete(self, command: grammar.Incomplete, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return something_missing(command, self._language_of(incoming))

    async def _unknown(self, command: grammar.Unknown, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return not_understood(command, await self._casework.is_requester(who))

    # --- verbs ---

    async def _press(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        handle = self._verbs.get(incoming.verb or "")
        if handle is None:
            raise BadInput(what="verb")
        log.info("card_action", verb=incoming.verb, user_oid=who.user_oid, trigger=incoming.trigger)
        return await handle(incoming, who, reply)

    async def _approve(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._decide(incoming, who, granted=True)

    async def _deny(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._decide(incoming, who, granted=False)

    async def _decide(self, incoming: Incoming, who: Actor, *, granted: bool) -> View:
        claim, reason = field_of(incoming, "claim"), field_of(incoming, "reason", required=incoming.verb == "override")
        order = DecideApproval(claim=claim, by=who, granted=granted, reason=reason, ticked=_ticked(incoming))
        try:
            await self._casework.decide_approval(order)
        except NotAllowed as refusal:
            case, prompt = await self._approvals.prompt_of(claim)
            return refusal_of(refusal, compose.approval_prompt(case, prompt, Viewer.BYSTANDER))
        except (AlreadyDecided, PromptOutdated) as late:
            log.info("late_click", case_id=late.params.get("case_id"), user_oid=who.user_oid, why=late.key)
        case, prompt = await self._approvals.prompt_of(claim)
        await self._adopt(incoming, case, prompt.prompt_id)
        return await self._prompt_as_seen(incoming, who, case, prompt)

    async def _prompt_as_seen(self, incoming: Incoming, who: Actor, case: Case, prompt: Approval) -> View:
        """A question as this person sees it now; Teams goes on showing them a card of their own."""
        viewer = Viewer.BYSTANDER
        if prompt.state is ApprovalState.PENDING:
            viewer = await self._casework.viewer_of(who, case, prompt)
        copy = await self._store.copy_at(incoming.conversation_id or "", incoming.reply_to_id or "")
        view = compose.approval_prompt(case, prompt, viewer, who.user_oid)
        return replace(view, refresh_for=copy.viewers if copy is not None else ())

    async def _adopt(self, incoming: Incoming, case: Case, prompt_id: str | None) -> None:
        """A card of ours that we lost track of, because the answer to its posting was lost, follows its case again."""
        if incoming.reply_to_id and incoming.via == "execute":
            language = self._copy_language(incoming)
            await self._presenter.adopt(case, prompt_id, incoming.place, incoming.reply_to_id, language)

    async def _start(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """The same as typing it: a case with a card of its own."""
        case = await self._casework.open_case(OpenCase(by=who, query=field_of(incoming, "query")))
        await self._begin(case, incoming)
        return job_under_way()

    async def _unblock_connector_by_button(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        await self._open_connector(field_of(incoming, "connector"), incoming, who)
        return job_under_way()

    async def _refresh(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        if prompt_id := field_of(incoming, "prompt", required=False):
            return await self._refresh_prompt(incoming, who, prompt_id)
        case = await self._casework.case_for(who, field_of(incoming, "case"))
        copy = await self._store.copy_at(incoming.conversation_id or "", incoming.reply_to_id or "")
        if copy is None:
            await self._adopt(incoming, case, None)
        elif copy.news is not None:  # "Show the case": in a message of its own, since the news stays what it is
            await self._presenter.post_case(case, incoming.place, self._copy_language(incoming))
        return current_card(case, copy)

    async def _refresh_prompt(self, incoming: Incoming, who: Actor, prompt_id: str) -> View:
        """
        The reader's own view. It is the answer alone: an edit would make Teams ask again, and so on for ever.

        Somebody who may not read cases has the card before their eyes all the same, so they see its harmless form.
        """
        try:
            case = await self._casework.case_for(who, field_of(incoming, "case"))
        except NotAllowed as refusal:
            if refusal.reason not in _ONLY_NOT_LISTED:
                raise
            case = await self._store.case(field_of(incoming, "case"))
        prompt = _prompt_in(case, prompt_id)
        if prompt is None:
            return case_view(await self._casework.case_for(who, case.case_id))
        return await self._prompt_as_seen(incoming, who, case, prompt)

    async def _remind(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        prompt_id = field_of(incoming, "prompt", required=False)
        order = RemindApprovers(by=who, case_id=field_of(incoming, "case"), prompt_id=prompt_id)
        said: Text | None = None
        try:
            case = await self._casework.remind_approvers(order)
        except (RemindedLately, NoOpenQuestion) as error:
            case, said = await self._casework.case_for(who, order.case_id), say(error.key)
        pressed = _prompt_in(case, prompt_id)
        view = await self._prompt_as_seen(incoming, who, case, pressed) if pressed else case_view(case)
        return replace(view, refused=said)

    async def _choose(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        order = ChooseAccount(by=who, case_id=field_of(incoming, "case"), user_oid=field_of(incoming, "account"))
        return case_view(await self._casework.choose_account(order))

    async def _cancel(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        prompt_id = field_of(incoming, "prompt", required=False)
        case = await self._casework.cancel_case(CancelCase(who, field_of(incoming, "case"), prompt_id))
        pressed = _prompt_in(case, prompt_id)
        return compose.approval_prompt(case, pressed, Viewer.BYSTANDER) if pressed else case_view(case)

    async def _close(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return case_view(await self._casework.close_case(CloseCase(by=who, case_id=field_of(incoming, "case"))))

    async def _tell_user(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return case_view(await self._casework.tell_user(TellUser(by=who, case_id=field_of(incoming, "case"))))

    async def _contain_again(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """The new case gets a card of its own; the news that was pressed shows that it is being dealt with."""
        case = await self._casework.contain_again(ContainAgain(by=who, case_id=field_of(incoming, "case")))
        await self._begin(case, incoming)
        return case_view(case)

    async def _rehearse_by_button(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """The calls come in a message of their own: in place of the prompt they would take its buttons away."""
        case, prompt = await self._approvals.prompt_of(field_of(incoming, "claim"))
        view = await self._dry_run_of(case.case_id, who, prompt)
        shown = render(view, self._copy_language(incoming))
        await reply.send(shown.card, summary=shown.summary)
        return await self._prompt_as_seen(incoming, who, case, prompt)

    async def _show_charts_by_button(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """In a message of their own, as the calls of a dry run: the checklist stays where it is, and live."""
        case = await self._charts.show_charts(ShowCharts(by=who, case_id=field_of(incoming, "case")))
        shown = render(pictures(case), self._copy_language(incoming))
        await reply.send(shown.card, summary=shown.summary)
        return case_view(case)

    async def _access_pass(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """
        The pass stands in the answer to the click and nowhere else: not in a message, which Teams would keep, and not
        where others read along.
        """
        if incoming.conversation_kind != "personal" or incoming.via != "execute":
            raise NotHere
        order = IssueAccessPass(by=who, case_id=field_of(incoming, "case"))
        try:
            case, issued = await self._passes.issue_access_pass(order)
        except (PermissionMissing, Rejected) as refusal:
            return no_access_pass(refusal)
        return compose.access_pass(case, issued.value.get_secret_value(), issued.valid_until)

    # --- prevention ---

    async def _prevention(
        self, command: grammar.Prevention, incoming: Incoming, who: Actor, reply: Reply
    ) -> View | None:
        """The list as it was read last, at once and live; then it is read again."""
        order = ShowPrevention(by=who, query=command.target)
        case, identified = await self._tracking.show_prevention(order)
        if case is None:
            return no_case_yet(command.target or "", identified)
        await self._post_list(case, incoming)
        await self._tracking.check_again(CheckAgain(by=who, case_id=case.case_id))
        return None

    async def _post_list(self, case: Case, incoming: Incoming) -> None:
        language = self._copy_language(incoming)
        await self._presenter.post_case(case, incoming.place, language, prompt_id=PREVENTION_LIST)

    async def _prevention_by_button(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """The list comes in a message of its own; the card that was pressed stays what it is."""
        case = await self._casework.case_for(who, field_of(incoming, "case"))
        await self._post_list(case, incoming)
        return await self._as_pressed(incoming, case)

    async def _prevention_check(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._on_list(
            incoming, who, lambda case_id: self._tracking.check_again(CheckAgain(by=who, case_id=case_id))
        )

    async def _tick(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._on_list(incoming, who, lambda case_id: self._ticked(incoming, who, case_id, done=True))

    async def _untick(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._on_list(incoming, who, lambda case_id: self._ticked(incoming, who, case_id, done=False))

    async def _ticked(self, incoming: Incoming, who: Actor, case_id: str, *, done: bool) -> Case:
        order = TickItems(by=who, case_id=case_id, item_ids=_ticked_items(incoming), done=done)
        return await self._casework.tick_items(order)

    async def _own(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        return await self._on_list(incoming, who, lambda case_id: self._assign(incoming, who, case_id))

    async def _explain(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        """Why the ticked items matter and how each is checked, in a message of its own."""

        async def explain(case_id: str) -> Case:
            case = await self._casework.case_for(who, case_id)
            shown = render(prevention.explained(case, _ticked_items(incoming)), self._copy_language(incoming))
            await reply.send(shown.card, summary=shown.summary)
            return case

        return await self._on_list(incoming, who, explain)

    async def _assign(self, incoming: Incoming, who: Actor, case_id: str) -> Case:
        named = field_of(incoming, "owner", required=False)
        owner = who if grammar.means_me(named) else await self._tracking.owner_named(who, named)
        items, due_at = _ticked_items(incoming), end_of_day(field_of(incoming, "due_on", required=False))
        return await self._tracking.assign_items(AssignItems(who, case_id, items, owner, due_at))

    async def _fix(self, incoming: Incoming, who: Actor, reply: Reply) -> View:
        item_id = field_of(incoming, "item")
        return await self._on_list(
            incoming, who, lambda case_id: self._tracking.ask_fix(AskFix(by=who, case_id=case_id, item_id=item_id))
        )

    async def _on_list(self, incoming: Incoming, who: Actor, act: Callable[[str], Awaitable[Case]]) -> View:
        """
        The card that was pressed, after the act. What was wrong with the input is said on it, so that nothing has to be
        looked for again.
        """
        case = await self._casework.case_for(who, field_of(incoming, "case"))
        try:
            return await self._as_pressed(incoming, await act(case.case_id))
        except (BadInput, BadOwner, BadDate, NothingToFix) as error:
            return replace(await self._as_pressed(incoming, case), refused=wrong_input(error))

    async def _as_pressed(self, incoming: Incoming, case: Case) -> View:
        """The card with the button that was pressed, as it is now."""
        copy = await self._store.copy_at(incoming.conversation_id or "", incoming.reply_to_id or "")
        if copy is None and incoming.verb in _LIST_VERBS:
            await self._adopt(incoming, case, PREVENTION_LIST)
            return prevention.board(case)
        return current_card(case, copy)

    # --- errors become cards ---

    async def _answered(self, incoming: Incoming, handle: Callable[[Actor], Awaitable[View | None]]) -> View | None:
        if incoming.actor is None:
            return identity_missing()
        try:
            return await handle(incoming.actor)
        except StepUpNeeded as needed:
            return await self._sign_in_first(needed, incoming, incoming.actor)
        except UserError as error:
            return await self._explained(error, incoming.actor)
        except BotError as error:
            log.warning("turn_failed", error=str(error), user_oid=incoming.actor.user_oid)
            return error_notice(error)
        except Exception as error:  # the outermost loop of a turn: nobody is shown a stack trace
            log.exception("turn_crashed", error=type(error).__name__, user_oid=incoming.actor.user_oid)
            return error_notice(BotError())

    async def _sign_in_first(self, needed: StepUpNeeded, incoming: Incoming, who: Actor) -> View:
        """
        A link for this person to sign in by, good for this question alone. The answer to a click is theirs alone, so it
        is the question once more; a message stays and may be read by others, so it is the link alone, in their chat.
        """
        case = await self._store.case(str(needed.params["case_id"]))
        prompt, address = case.prompt(str(needed.params["prompt_id"])), None
        if self._step_ups is not None:
            state = await self._step_ups.ask(who, prompt, self._language_of(incoming))
            address = sign_in_address(self._public_url, state)
        if incoming.via == "execute":
            reason = field_of(incoming, "reason", required=False)
            return sign_in_first(case, prompt, address, ticked=_ticked(incoming), reason=reason)
        link = sign_in_link(case, address)
        if incoming.conversation_kind == "personal" or address is None:
            return link
        return sign_in_in_chat(sent=await self._presenter.tell_alone(who.user_oid, link))

    async def _explained(self, error: UserError, who: Actor) -> View:
        """A refusal, or a late order with the card as it is now for whoever may read it."""
        if isinstance(error, NotAllowed):
            return refusal_of(error, None)
        case_id = error.params.get("case_id")
        if isinstance(error, WrongState) and isinstance(case_id, str):
            try:
                return compose.refusal(say(error.key), case_view(await self._casework.case_for(who, case_id)))
            except NotAllowed as refusal:
                return refusal_of(refusal, None)
        return error_notice(error)

    # --- places and languages ---

    def _language_of(self, incoming: Incoming) -> str:
        return best_language(incoming.locale, self._language)

    def _copy_language(self, incoming: Incoming) -> str:
        """A card in a channel is read by many: it speaks the language of the settings."""
        return self._language_of(incoming) if incoming.conversation_kind == "personal" else self._language

    async def _remember(self, incoming: Incoming, *, active: bool = True) -> None:
        try:
            place = incoming.place.channel_root
        except ValueError:
            return
        personal, team_id = incoming.conversation_kind == "personal", incoming.team_id
        if team_id is None and incoming.conversation_kind == "channel":
            # Not every activity of a channel names its team.
            known = await self._store.conversation(place.conversation_id)
            team_id = known.team_id if known else None
        conversation = Conversation(
            conversation_id=place.conversation_id,
            kind=ConversationKind(incoming.conversation_kind),
            service_url=place.service_url,
            tenant_id=place.tenant_id,
            bot_id=place.bot_id,
            bot_name=place.bot_name,
            user_oid=incoming.actor.user_oid if personal and incoming.actor else None,
            member_id=incoming.mri if personal else None,
            locale=incoming.locale,
            team_id=team_id,
            active=active,
            seen_at=self._clock.now(),
        )
        await self._store.remember_conversation(conversation)

    async def _remember_team(self, incoming: Incoming, *, active: bool) -> None:
        """The bot comes and goes with a whole team; Teams names one channel of it."""
        if not incoming.team_id or not incoming.tenant_id:
            return
        for channel in await self._store.channels_of_team(incoming.tenant_id, incoming.team_id):
            if channel.active is not active:
                change = {"active": active, "seen_at": self._clock.now()}
                await self._store.remember_conversation(channel.model_copy(update=change))

    async def _forget_channel(self, incoming: Incoming) -> None:
        """A channel that was deleted is none of its team's any more: the team's coming back does not bring it back."""
        known = await self._store.conversation(incoming.channel_id or "")
        if known is not None and known.tenant_id == incoming.tenant_id:
            gone = {"active": False, "team_id": None, "seen_at": self._clock.now()}
            await self._store.remember_conversation(known.model_copy(update=gone))


#: Refusals of people of the tenant whom no list names: nothing is wrong with them.
_ONLY_NOT_LISTED = frozenset({"not_reader", "not_requester", "not_approver", "not_admin", "nobody_configured"})
#: Buttons that stand on the prevention list alone.
_LIST_VERBS = frozenset({"untick", "own", "explain", "fix", "prevention_check"})


#: What can be typed to answer a question.
_Decision = grammar.Approve | grammar.Override | grammar.Deny


def _is_meant(command: _Decision, prompt: Approval) -> bool:
    """
    Whether a text says that it answers this very question. A yes has to name it as its card does, since its plan may be
    another one than that which the person has read; a no does not, since nothing is done after it.
    """
    if isinstance(command, grammar.Deny):
        return command.code in ("", prompt.code)
    return command.code == prompt.code and isinstance(command, grammar.Override) is (
        prompt.purpose is ApprovalPurpose.OVERRIDE
    )


def _ticked(incoming: Incoming) -> tuple[str, ...] | None:
    """Which boxes are ticked, for a card that has boxes; a client leaves the field out when none is."""
    # Sorted, since two people who choose the same may have ticked it in another order.
    return tuple(sorted(_listed(incoming, "actions"))) if incoming.data.get("boxes") else None


def _ticked_items(incoming: Incoming) -> tuple[str, ...]:
    """The prevention items that were ticked. Raises BadInput when none was."""
    items = _listed(incoming, "item")
    if not items:
        raise BadInput(what="item")
    return items


def _prompt_in(case: Case, prompt_id: str) -> Approval | None:
    """The question that a card names, if it is one of this case."""
    return next((asked for asked in case.approvals if asked.prompt_id == prompt_id), None)


def _listed(incoming: Incoming, name: str) -> tuple[str, ...]:
    return tuple(part for part in field_of(incoming, name, required=False).split(",") if part)


def _exactly(call: PlannedCall) -> tuple[str, ...]:
    """What goes over the wire, letter by letter; a cmdlet with its parameters says all that its body would."""
    if not call.method:
        return ()
    body = (json.dumps(call.body),) if call.body is not None and not call.is_cmdlet else ()
    return (f"{call.method} {call.address}", *body)
