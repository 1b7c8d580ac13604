"""
From nouns to views: what a card shows of a case, decided here once for every language. Pure functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from cards import faces
from cards.diagnosis import cause_lines
from cards.faces import StepState
from cards.news import follow_lines
from cards.prevention import step_form, step_lines
from cards.views import (
    AccessPassView,
    AlertTableView,
    AlertView,
    ApprovalView,
    Button,
    Call,
    CaseListView,
    ChecklistView,
    Choice,
    Choices,
    ChoiceView,
    DryRunView,
    Field,
    Form,
    Group,
    HelpEntry,
    HelpView,
    Line,
    Mark,
    NoticeView,
    Step,
    Tone,
    VerdictPart,
    View,
)
from services.approvals import ON_THEIR_OWN, Viewer, standing_of
from services.cases import (
    CANCELLABLE_STATES,
    LIFTING,
    Action,
    ActionKind,
    ActionState,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Block,
    BlockKind,
    Case,
    CaseKind,
    CaseState,
    Finding,
    SignalState,
    Subject,
    Text,
    UnknownReason,
    Verdict,
    Vote,
    say,
)
from services.tracking import open_items

#: How many reasons of a verdict are shown: all that an on-call reads at night.
MAX_REASONS = 5
#: How many accounts there are to choose from, and how many cases in a list.
MAX_CHOICES = 15
MAX_CASES = 15
#: How many checks that found something have a line each: the heaviest. The rest is named, so that what could not be
#: read is never pushed off the card.
MAX_FOUND_LINES = 8
#: How many checks that could not be read have a line each.
MAX_UNKNOWN_LINES = 2
#: How many boxes a person reads through at night. A card may drop lines when it gets too large, but never a box: one
#: that is not shown would count as not ticked.
MAX_BOXES = 20

_BEFORE_VERDICT = frozenset({CaseState.IDENTIFYING, CaseState.CHOOSING, CaseState.INVESTIGATING})
#: While these last, people read the evidence; afterwards they follow the actions.
_UNDER_REVIEW = _BEFORE_VERDICT | {CaseState.AWAITING_APPROVAL}
#: While these last, the case itself waits for the answer to a question.
_ASKING = frozenset({CaseState.AWAITING_APPROVAL, CaseState.LOCKED})
#: Endings by somebody's word, after which people ask what has been changed already.
_CALLED_OFF = frozenset({CaseState.DENIED, CaseState.CANCELLED})
#: After these answers the case went on, so that a prompt also tells where it is now.
_MORE_TO_TELL = frozenset({ApprovalState.GRANTED, ApprovalState.SUPERSEDED})


# --- the checklist ---------------------------------------------------------------------------------------------------


def checklist(case: Case, *, may_override: bool = False) -> ChecklistView:
    """
    The case as one live list of three steps.

    `may_override` is for the copies in the approvals channel: a locked case then has the Override button there.
    """
    return ChecklistView(
        headline=_headline(case),
        tone=_tone(case),
        needed=_needed(case),
        facts=_facts(case),
        steps=_steps(case, may_override),
        form=_checklist_form(case),
        refresh=_refresh(case) if _moves(case) else None,
    )


def _steps(case: Case, may_override: bool) -> tuple[Step, ...]:
    """The three steps; none when it was clear from the beginning that there is nothing to do."""
    if case.state is CaseState.NOTHING_TO_DO and not case.findings:
        return ()
    if case.kind is CaseKind.CONNECTOR:
        return (_unblock_step(case, may_override),)
    return (_secure_step(case), _unblock_step(case, may_override), _prevent_step(case))


def _headline(case: Case) -> Text:
    if bursts_again(case):
        return say("checklist.headline_burst", who=_who(case))
    if case.kind is CaseKind.CONNECTOR and case.state in (CaseState.CONTAINING, CaseState.CLOSED):
        return say(f"case_state.{case.state.value}.headline.connector", who=_who(case))
    return say(f"case_state.{case.state.value}.headline", who=_who(case))


def _tone(case: Case) -> Tone:
    return Tone.ATTENTION if bursts_again(case) else faces.CASES[case.state].tone


def _who(case: Case) -> str | Text:
    if case.kind is CaseKind.TENANT:
        return say("word.organisation")
    if case.kind is CaseKind.CONNECTOR:
        names = (action.target_name for action in case.actions if action.kind is ActionKind.UNBLOCK_CONNECTOR)
        return say("word.connector", connector=next(names, "") or case.connector_id or case.query)
    return (case.subject.display_name or case.subject.upn) if case.subject else case.query


def bursts_again(case: Case) -> bool:
    """Whether an unblocked account sends so much that somebody should throw the attacker out again, at once."""
    follow = case.follow_up
    return case.state is CaseState.UNBLOCKED and follow is not None and follow.burst_at is not None


def _needed(case: Case) -> tuple[Text, ...]:
    """What is needed now, and why it stands so. An ending says its reason first."""
    approval = case.pending_approval
    next_step = say(f"case_state.{case.state.value}.needed", who=_who(case), requester=case.requester.name)
    if case.state is CaseState.UNBLOCKED and not open_items(case):
        next_step = None
    if case.state in (CaseState.CLOSED, CaseState.CONTAINED):
        next_step = _left_open(case)
    lines = [next_step, case.outcome] if case.is_at_work else [case.outcome, next_step]
    if bursts_again(case):
        lines.insert(0, say("checklist.bursts_again"))
    if case.state in _ASKING and approval:
        lines.append(_waiting_for(case, approval))
    if case.state is CaseState.AWAITING_APPROVAL and approval:
        lines.append(say("checklist.answer_by", until=approval.expires_at))
    if case.found_late:
        labels = tuple(_signal_label(signal_id) for signal_id in case.found_late)
        lines.append(say("checklist.found_late", checks=labels))
    if case.state in _CALLED_OFF:
        lines.append(say(f"checklist.{'something' if case.has_changed_something else 'nothing'}_changed"))
    if case.joined_to:
        lines.append(say("checklist.joined", case=case.joined_to))
    return tuple(line for line in lines if line)


def _waiting_for(case: Case, approval: Approval) -> Text:
    """Who is asked; where several must agree, how many have, and who they are."""
    if approval.needed == 1:
        return say("checklist.waiting_for", who=_awaited(case, approval))
    agreed = standing_of(case, approval).approved_by
    so_far = {"done": len(agreed), "needed": approval.needed, "who": _awaited(case, approval)}
    if not agreed:
        return say("checklist.waiting_for_several", **so_far)
    return say("checklist.waiting_for_more", names=[actor.name for actor in agreed], **so_far)


def _asked(approval: Approval) -> Text | list[str]:
    """The names of those who are asked now, or "the on-call" when they could not be read."""
    return list(approval.asked_names) or say("policy.oncall")


def _awaited(case: Case, approval: Approval) -> Text | list[str]:
    """Those of them who have not approved yet."""
    agreed = {actor.name for actor in standing_of(case, approval).approved_by}
    awaited = [name for name in approval.asked_names if name not in agreed]
    return awaited or (say("word.somebody") if approval.asked_names else say("policy.oncall"))


def _left_open(case: Case) -> Text | None:
    left = len(open_items(case))
    return say("checklist.left_open", n=left) if left else None


def _moves(case: Case) -> bool:
    """Whether the card can still change, so that it is worth asking for it again."""
    return case.is_open or bool(open_items(case))


def _checklist_form(case: Case) -> Form | None:
    buttons = [_refresh(case)] if _moves(case) else []
    if case.state in CANCELLABLE_STATES:
        buttons.append(Button("cancel", say("button.cancel"), {"case": case.case_id}))
    if case.state in _ASKING and case.pending_approval:
        buttons.append(Button("remind", say("button.remind"), {"case": case.case_id}))
    if bursts_again(case):
        buttons.insert(0, Button("contain_again", say("button.contain_again"), {"case": case.case_id}, "destructive"))
    buttons += _following_buttons(case)
    if case.pictures is not None:
        buttons.append(Button("charts", say("button.charts"), {"case": case.case_id}))
    return Form(buttons=tuple(buttons)) if buttons else None


def _following_buttons(case: Case) -> list[Button]:
    """While it is waited for mail: let the user know too, or stop waiting."""
    follow = case.follow_up
    if case.state is not CaseState.UNBLOCKED or follow is None or case.kind is not CaseKind.ACCOUNT:
        return []
    about = {"case": case.case_id}
    tell = [] if follow.tell_user_by or bursts_again(case) else [Button("tell_user", say("button.tell_user"), about)]
    return [*tell, Button("close", say("button.close"), about)]


def _refresh(case: Case) -> Button:
    return Button("refresh", say("button.refresh"), {"case": case.case_id})


# --- who and what ----------------------------------------------------------------------------------------------------


def _facts(case: Case) -> tuple[Text, ...]:
    asked = say("fact.asked", requester=case.requester.name, at=case.opened_at, case=case.case_id)
    because = (case.because,) if case.because else ()
    if case.state in (CaseState.UNBLOCKED, CaseState.CLOSED) and case.block and case.block.since:
        blocked = (say("block.lifted", since=case.block.since), *_block_details(case.block))
    else:
        blocked = (*_block_facts(case.block), *(cause_lines(case.diagnosis) if case.diagnosis else ()))
    account = (say("fact.account", upn=case.subject.upn),) if case.subject else ()
    return (*account, *_subject_facts(case.subject), *_mailbox_facts(case), *blocked, *because, asked)


def _mailbox_facts(case: Case) -> tuple[Text, ...]:
    """That there is no mailbox, once a check has met with that: half of the checks then do not apply."""
    met = any(finding.summary.key == "unreadable.no_mailbox" for finding in case.findings)
    return (say("fact.no_mailbox"),) if met else ()


def _subject_facts(subject: Subject | None) -> tuple[Text, ...]:
    """What it helps to know about the account before deciding over it."""
    if subject is None:
        return ()
    facts = [say("fact.position", position=_position(subject))] if _position(subject) else []
    if subject.is_synced:
        facts.append(say("fact.synced"))
    if subject.account_enabled is False:
        facts.append(say("fact.sign_in_blocked"))
    return tuple(facts)


def _position(subject: Subject) -> str:
    return ", ".join(part for part in (subject.job_title, subject.department) if part)


def _block_facts(block: Block | None) -> tuple[Text, ...]:
    if block is None:
        return ()
    dated = "" if block.since is None else ".since"
    return (say(f"block.{block.kind.value}{dated}", since=block.since), *_block_details(block))


def _block_details(block: Block) -> tuple[Text, ...]:
    details = [block.unreadable] if block.unreadable else []
    if block.blocked_connectors:
        details.append(say("block.connectors", n=len(block.blocked_connectors), names=block.blocked_connectors))
    return tuple(details)


# --- step 1: is it compromised, and the attacker out -----------------------------------------------------------------


def _secure_step(case: Case) -> Step:
    return Step(
        title=say("checklist.step.secure"),
        mark=_secure_mark(case),
        notes=_secure_notes(case),
        verdict=_verdict(case, limit=3 if case.state in _UNDER_REVIEW else 0),
        groups=_groups(
            (None, _signal_lines(case)), (say("checklist.containment"), _action_lines(case.containment, case))
        ),
    )


def _secure_mark(case: Case) -> Mark:
    state = _secure_state(case)
    if state is StepState.DONE and not case.containment:
        # No tick: that nothing was found to secure is no proof that all is well.
        return replace(faces.step_mark(StepState.NOT_NEEDED), word=say("checklist.nothing_to_secure"))
    return faces.step_mark(state)


def _secure_state(case: Case) -> StepState:
    state = faces.CASES[case.state].steps[0]
    if state is StepState.DONE and not case.containment_proven:
        return StepState.OVERRIDDEN if _granted_override(case) else StepState.FAILED
    # Nothing to contain: the only question left is the unblock itself.
    if case.state is CaseState.AWAITING_APPROVAL and not case.containment:
        return StepState.DONE
    return state


def _secure_notes(case: Case) -> tuple[Text, ...]:
    override = _granted_override(case)
    if override is None or case.containment_proven:
        return ()
    by = override.decided_by.name if override.decided_by else say("word.somebody")
    return (say("checklist.overridden", by=by, at=override.decided_at, reason=override.reason),)


def _granted_override(case: Case) -> Approval | None:
    overrides = (a for a in case.approvals if a.purpose is ApprovalPurpose.OVERRIDE)
    return next((a for a in overrides if a.state is ApprovalState.GRANTED), None)


def _signal_lines(case: Case) -> tuple[Line, ...]:
    """
    What was found and what could not be read, a line each; what is clear, and what is still being read, shares a line.

    There are two dozen checks: a line for each would hide the few that matter. Evidence is shown while it is judged.
    """
    findings = _in_reading_order(case.findings)
    found = [f for f in _by_weight(findings) if f.state is SignalState.FOUND]
    told = [_finding_line(f) for f in found[:MAX_FOUND_LINES]]
    also = tuple(_signal_label(f.signal_id) for f in found[MAX_FOUND_LINES:])
    told += _sum_line(replace(faces.signal_mark(SignalState.FOUND), word=say("checklist.also_found")), also)
    told += _unknown_lines([f for f in findings if f.state is SignalState.UNKNOWN])
    if case.state not in _UNDER_REVIEW:
        told = [replace(line, details=()) for line in told]
    clear = tuple(_signal_label(f.signal_id) for f in findings if f.state is SignalState.CLEAR)
    return (
        *told,
        *_sum_line(faces.signal_mark(SignalState.CLEAR), clear),
        *_sum_line(faces.signal_mark(SignalState.PENDING), _pending_labels(case)),
    )


def _by_weight(findings: Sequence[Finding]) -> list[Finding]:
    """The heaviest evidence first; evidence without weight last."""
    return sorted(findings, key=lambda f: -f.weight)


def _unknown_lines(findings: Sequence[Finding]) -> list[Line]:
    """A line for each that could not be read; with many of them, one for each reason."""
    if len(findings) <= MAX_UNKNOWN_LINES:
        return [_finding_line(finding) for finding in findings]
    mark = faces.signal_mark(SignalState.UNKNOWN)
    return [
        Line(replace(mark, word=say("word.listed", items=labels)), say("checklist.unreadable", why=_why(reason)))
        for reason, labels in _by_reason(findings).items()
    ]


def _by_reason(findings: Iterable[Finding]) -> dict[UnknownReason, tuple[Text, ...]]:
    together: dict[UnknownReason, tuple[Text, ...]] = {}
    for finding in findings:
        reason = finding.unknown_reason or UnknownReason.FAULT
        together[reason] = (*together.get(reason, ()), _signal_label(finding.signal_id))
    return together


def _why(reason: UnknownReason) -> Text:
    return say(f"unknown_reason.{reason.value}")


def _pending_labels(case: Case) -> tuple[Text, ...]:
    """The checks that have not come in yet, while any still may."""
    if case.reading_since is None or case.reading_ended_at is not None or case.state is CaseState.IDENTIFYING:
        return ()
    read = {finding.signal_id for finding in case.findings}
    return tuple(_signal_label(signal_id) for signal_id in faces.SIGNALS if signal_id not in read)


def _in_reading_order(findings: Sequence[Finding]) -> list[Finding]:
    order = {signal_id: place for place, signal_id in enumerate(faces.SIGNALS)}
    return sorted(findings, key=lambda finding: order.get(finding.signal_id, len(order)))


def _signal_label(signal_id: str) -> Text:
    return say(f"signal.{signal_id}.label")


def _finding_line(finding: Finding) -> Line:
    return Line(
        mark=faces.signal_mark(finding.state),
        label=_signal_label(finding.signal_id),
        said=None if finding.state is SignalState.PENDING else finding.summary,
        details=finding.evidence,
    )


def _sum_line(mark: Mark, labels: tuple[Text, ...]) -> tuple[Line, ...]:
    """Several lines that all say the same, as one: "Clear – forwarding and password age". None if there are none."""
    if not labels:
        return ()
    return (Line(mark=replace(mark, word=say("word.listed", items=labels)), label=mark.word),)


def _verdict(case: Case, limit: int = MAX_REASONS) -> VerdictPart | None:
    verdict = case.verdict
    if verdict is None:
        return None
    low, tone = verdict.low_completeness, faces.VERDICTS[verdict.label]
    pending = tuple(_signal_label(signal_id) for signal_id in verdict.pending)
    return VerdictPart(
        label=say(f"verdict.{verdict.label.value}"),
        tone=Tone.WARNING if low and tone is Tone.NEUTRAL else tone,
        completeness=say("verdict.completeness", n=verdict.checked, m=verdict.total),
        caution=say("verdict.low_completeness") if low else None,
        pending=say("verdict.pending", checks=pending) if pending else None,
        reasons=_cut(_reasons(case, verdict), verdict, limit),
        score=_score(verdict) if limit else None,
    )


def _reasons(case: Case, verdict: Verdict) -> tuple[Text, ...]:
    """Why the label: each piece of evidence with the points that it added, the heaviest first."""
    said = {finding.signal_id: finding.summary for finding in case.findings}
    cautions = [reason for reason in verdict.reasons if reason not in said.values()]
    parts = [part for part in verdict.breakdown if part.points and part.signal_id in said]
    if not parts:
        return verdict.reasons
    weighed = (say("verdict.reason", points=part.points, reason=said[part.signal_id]) for part in parts)
    return (*cautions, *weighed)


def _cut(reasons: tuple[Text, ...], verdict: Verdict, limit: int) -> tuple[Text, ...]:
    """The first ones, and what the others add together, so that the sum can be followed."""
    hidden = len(reasons) - limit
    if not limit or hidden <= 0 or not verdict.breakdown:
        return reasons[:limit]
    weighed = [part.points for part in verdict.breakdown if part.points]
    return (*reasons[:limit], say("verdict.more_reasons", n=hidden, points=sum(weighed[-hidden:])))


def _score(verdict: Verdict) -> Text | None:
    if not verdict.compromised_from:
        return None
    return say("verdict.score", n=verdict.score, limit=verdict.compromised_from)


# --- actions ---------------------------------------------------------------------------------------------------------


def _action_lines(actions: Iterable[Action], case: Case) -> tuple[Line, ...]:
    """Actions in the checklist: how far each is."""
    return tuple(_action_line(action, case) for action in actions)


def _action_line(action: Action, case: Case) -> Line:
    """How far it is; once it is being taken back, how far that is. What the top of the card says is not said twice."""
    if action.undo_state is None:
        said = None if action.outcome == case.outcome else action.outcome
        return Line(mark=_action_mark(action, case), label=_action_label(action), said=said)
    mark = Mark("↶", say(f"undo_state.{action.undo_state.value}"), faces.action_mark(action.undo_state).colour)
    return Line(mark=mark, label=_action_label(action), said=action.undo_outcome)


def _action_mark(action: Action, case: Case) -> Mark:
    """A proposal is one until it is approved; then it was not started, and in the end not done."""
    mark = faces.action_mark(action.state)
    if action.state is not ActionState.PROPOSED or case.state is CaseState.AWAITING_APPROVAL:
        return mark
    return replace(mark, word=say("action_state.not_started" if case.is_at_work else "action_state.not_done"))


def _proposal_line(number: int, action: Action, purpose: ApprovalPurpose) -> Line:
    """An action on the prompt: what it does to the account, before anybody agrees to it."""
    impact = say(f"impact.{action.impact.value}")
    if purpose is ApprovalPurpose.UNDO:
        return Line(Mark(str(number), impact), _undo_label(action))
    if action.state is not ActionState.PROPOSED:
        return Line(Mark(str(number), faces.action_mark(action.state).word), _action_label(action))
    last = ".last" if action.kind is ActionKind.UNBLOCK and number > 1 else ""
    undo = say("action.can_be_undone" if action.reversible else "action.cannot_be_undone")
    return Line(
        mark=Mark(str(number), say(f"action.impact{'' if action.ticked else '_unticked'}", impact=impact, undo=undo)),
        label=_action_label(action),
        said=say(f"action.{action.kind.value}.effect{last}"),
        warnings=(action.warning,) if action.warning else (),
    )


def _asked_line(number: int, action: Action, approval: Approval) -> Line:
    """An action on a prompt that was answered: its name, and whether it was left out, is enough."""
    left_out = bool(approval.approved) and action.action_id not in approval.approved
    word = say("action_state.skipped") if left_out else say(f"impact.{action.impact.value}")
    return Line(mark=Mark(str(number), word), label=_action_label(action))


def _action_label(action: Action) -> Text:
    return say(f"action.{action.kind.value}.label", target=_target(action))


def _target(action: Action) -> str | Text:
    return action.target_name or say("word.unnamed")


# --- step 2: unblock -------------------------------------------------------------------------------------------------


def _unblock_step(case: Case, may_override: bool) -> Step:
    unblock = tuple(action for action in case.actions if action.kind in LIFTING)
    state = _unblock_state(case)
    return Step(
        title=say("checklist.step.unblock" + (".alone" if case.kind is CaseKind.CONNECTOR else "")),
        mark=_unblock_mark(case, state),
        notes=follow_lines(case),
        groups=_groups((None, _action_lines(unblock, case))),
        form=_override_form(case) if may_override and case.state is CaseState.LOCKED else None,
    )


def _unblock_state(case: Case) -> StepState:
    if case.contain_only and case.verdict is not None and not any(a.kind in LIFTING for a in case.actions):
        return StepState.NOT_NEEDED
    if case.state is CaseState.AWAITING_APPROVAL and not case.containment:
        return StepState.NEEDS_APPROVAL
    return faces.CASES[case.state].steps[1]


def _reasoned(mark: Mark, reason: Text | None) -> Mark:
    """The mark with its reason instead of its word: "Waits for step 1" says more than "Waiting"."""
    return replace(mark, word=reason) if reason else mark


def _why_nothing_to_unblock(case: Case) -> Text:
    ends_by_itself = case.block is not None and case.block.kind is BlockKind.UNTIL_TOMORROW
    return say("checklist.block_ends_by_itself" if ends_by_itself else "checklist.nothing_to_unblock")


def _unblock_mark(case: Case, state: StepState) -> Mark:
    """A locked case names what step 2 waits for; before it got stuck, step 1 as a whole is enough."""
    mark = faces.step_mark(state)
    if case.state is CaseState.UNBLOCKED and case.follow_up and not case.follow_up.first_delivered_at:
        return _reasoned(mark, say("checklist.waiting_for_mail") if case.kind is CaseKind.ACCOUNT else None)
    if state is StepState.NOT_NEEDED:
        return _reasoned(mark, _why_nothing_to_unblock(case) if case.contain_only else None)
    if state is StepState.WAITING:
        return _reasoned(mark, say("checklist.waits_for_secure"))
    if case.state is CaseState.CONTAINING:
        return replace(mark, word=say("checklist.locked_until_secure"), colour="default")
    unproven = _unproven(case)
    locked = case.state is CaseState.LOCKED and unproven
    labels = tuple(_action_label(action) for action in unproven)
    return _reasoned(mark, say("checklist.locked_until", actions=labels) if locked else None)


def _unproven(case: Case) -> tuple[Action, ...]:
    return tuple(action for action in case.containment if not action.is_settled)


def _override_form(case: Case) -> Form | None:
    """Reason and button for the open question whether to override; without such a question there is none."""
    pending = case.pending_approval
    if pending is None or pending.purpose is not ApprovalPurpose.OVERRIDE:
        return None
    return Form(fields=(_override_reason(),), buttons=(_override_button(pending.claim),))


def _override_reason() -> Field:
    return Field(
        input_id="reason",
        label=say("override.reason.label"),
        placeholder=say("override.reason.placeholder"),
        required=True,
        error=say("override.reason.error"),
    )


def _override_button(claim: str) -> Button:
    return Button("override", say("button.override"), {"claim": claim}, style="destructive", sends_inputs=True)


# --- step 3: keep it from happening again ----------------------------------------------------------------------------


def _prevent_step(case: Case) -> Step:
    state = _prevent_state(case)
    return Step(
        title=say("checklist.step.prevent"),
        mark=_reasoned(
            faces.step_mark(state), say("checklist.waits_for_unblock") if state is StepState.WAITING else None
        ),
        groups=_groups((None, step_lines(case))),
        form=step_form(case),
    )


def _prevent_state(case: Case) -> StepState:
    state = faces.CASES[case.state].steps[2]
    if state is StepState.RUNNING and case.prevention:
        return StepState.NEEDS_PERSON if open_items(case) else StepState.DONE
    return state


def _groups(*titled: tuple[Text | None, tuple[Line, ...]]) -> tuple[Group, ...]:
    return tuple(Group(lines=lines, title=title) for title, lines in titled if lines)


# --- the approval prompt ---------------------------------------------------------------------------------------------


def approval_prompt(case: Case, approval: Approval, viewer: Viewer = Viewer.APPROVER, reader: str = "") -> ApprovalView:
    """
    The question to the on-call while it is open, as `viewer` sees it; afterwards how it ended, without buttons.

    `reader` is the object id of the one person who sees it, "" for a card that many look at.
    """
    pending, alone = approval.state is ApprovalState.PENDING, approval.purpose in ON_THEIR_OWN
    verdict = None if alone else _verdict(case, MAX_REASONS if pending else 0)
    asked = _asked_actions(case, approval)
    return ApprovalView(
        headline=_prompt_headline(case, approval),
        tone=verdict.tone if pending and verdict else faces.APPROVALS[approval.state],
        question=_question(case, approval),
        answer=() if pending else _answer(case, approval),
        count=_count(case, approval, viewer, reader) if pending else (),
        asking=_asking(case, approval, viewer) if pending else (),
        cautions=_cautions(case, approval) if pending else (),
        facts=_prompt_facts(case, approval),
        verdict=verdict,
        actions_title=_actions_title(case, approval, viewer),
        actions=tuple(
            _proposal_line(n, a, approval.purpose) if pending else _asked_line(n, a, approval)
            for n, a in enumerate(asked, start=1)
        ),
        unreadable=_unreadable(case) if pending and not alone else (),
        deadline=say(f"approval_prompt.answer_by{_deadline_kind(case, approval)}", until=approval.expires_at)
        if pending
        else None,
        form=_form_for(case, approval, viewer) if pending else _afterwards_form(case, approval),
        refresh=_prompt_refresh(approval) if pending else None,
        notification=_notification(case, approval),
    )


def _count(case: Case, approval: Approval, viewer: Viewer, reader: str) -> tuple[Text, ...]:
    """How many of those who must agree have, for whom it waits, and what the reader has said already."""
    agreed = standing_of(case, approval).approved_by
    lines = [say("approval_prompt.waiting_for", who=_awaited(case, approval))] if viewer is Viewer.REQUESTER else []
    if approval.needed > 1 and agreed:
        names = [actor.name for actor in agreed]
        lines.append(say("approval_prompt.approved_so_far", done=len(agreed), needed=approval.needed, names=names))
    elif approval.needed > 1:
        lines.append(say("approval_prompt.approved_by_none", needed=approval.needed))
    lines += _risk_unread(approval)
    mine = next((vote for vote in approval.votes if reader and _same(vote.by.user_oid, reader)), None)
    if mine is not None and mine.granted:
        lines.append(say("approval_prompt.own_vote", at=mine.at))
    return tuple(lines)


def _risk_unread(approval: Approval) -> list[Text]:
    """Whose approval counts although nobody could look whether their own account is at risk."""
    names = [vote.by.name for vote in approval.votes if vote.granted and vote.risk_unread]
    return [say("approval_prompt.risk_unread", names=names)] if names else []


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


def _asking(case: Case, approval: Approval, viewer: Viewer) -> tuple[Text, ...]:
    """Why it takes so many, who is asked, what stands in the boxes, and what to type instead of pressing."""
    lines = [say("approval_prompt.why_so_many", why=approval.why)] if approval.needed > 1 and approval.why else []
    if viewer is not Viewer.REQUESTER and approval.level == 0:
        lines.append(say("approval_prompt.asks", who=_asked(approval)))
    if approval.level > 0:
        lines.append(say("approval_prompt.escalated", who=_asked(approval)))
    last = _last_choice(approval)
    if viewer is Viewer.APPROVER and last is not None and _offered(case, approval):
        lines.append(say("approval_prompt.boxes_of", who=last.by.name))
    if viewer is Viewer.APPROVER and approval.never is None:
        lines.append(say(f"approval_prompt.by_text{_typed_kind(case, approval)}", typed=approval.typed_id))
    return tuple(lines)


def _typed_kind(case: Case, approval: Approval) -> str:
    """What has to be typed besides the question: nothing, why, or the other word for lifting a lock, and why."""
    if approval.purpose is ApprovalPurpose.OVERRIDE:
        return ".override"
    return ".reason" if case.needs_reason(approval) else ""


def _last_choice(approval: Approval) -> Vote | None:
    """The last answer that counts and that left boxes ticked or not."""
    return next((vote for vote in reversed(approval.votes) if vote.granted and vote.ticked is not None), None)


def _form_for(case: Case, approval: Approval, viewer: Viewer) -> Form | None:
    about = {"case": case.case_id, "prompt": approval.prompt_id}
    remind = Button("remind", say("button.remind"), about)
    if viewer is Viewer.APPROVER:
        form = _prompt_form(case, approval)
        return replace(form, buttons=(*form.buttons, remind))
    if viewer is Viewer.REQUESTER:
        may_cancel = case.state in CANCELLABLE_STATES or approval.purpose in ON_THEIR_OWN
        cancel = (Button("cancel", say("button.cancel"), about),) if may_cancel else ()
        return Form(buttons=(*cancel, remind))
    return Form(buttons=(_prompt_refresh(approval, "button.my_view"),)) if viewer is Viewer.CROWD else None


def _prompt_refresh(approval: Approval, title: str = "button.refresh") -> Button:
    return Button("refresh", say(title), {"case": approval.case_id, "prompt": approval.prompt_id})


def _deadline_kind(case: Case, approval: Approval) -> str:
    """Without an answer an account stays blocked; where none is blocked, everything stays as it is."""
    blocked = any(action.kind is ActionKind.UNBLOCK for action in case.actions)
    return "" if blocked and approval.purpose not in ON_THEIR_OWN else ".undo"


def _actions_title(case: Case, approval: Approval, viewer: Viewer) -> Text:
    if approval.state is not ApprovalState.PENDING or approval.never:
        return say("approval_prompt.actions_asked")
    if viewer is not Viewer.APPROVER:
        return say("approval_prompt.actions_seen")
    boxes = approval.purpose is ApprovalPurpose.REMEDIATION and _boxes(case) is not None
    return say(f"approval_prompt.{approval.purpose.value}.actions" + (".boxes" if boxes else ""))


def outcome(case: Case, prompt_id: str) -> NoticeView:
    """How a question ended, for whoever asked: who said so, when and why."""
    prompt = case.prompt(prompt_id)
    tone, body = faces.APPROVALS[prompt.state], _answer(case, prompt, with_now=False)
    return notice(tone, _prompt_headline(case, prompt), body, (_refresh(case),))


def _prompt_headline(case: Case, approval: Approval) -> Text:
    if approval.state is ApprovalState.PENDING:
        contain = ".contain_only" if _question_kind(case, approval) == ".contain_only" else ""
        return say(f"approval_prompt.{approval.purpose.value}.headline{contain}", who=_who(case))
    decided = f"approval_state.{approval.state.value}.headline{_decided_kind(case, approval)}"
    return say(decided, who=_who(case), by=_decider(approval))


def _decided_kind(case: Case, approval: Approval) -> str:
    """What a yes or no was about, where it was not an unblock."""
    if approval.state not in (ApprovalState.GRANTED, ApprovalState.DENIED):
        return ""
    if approval.purpose in ON_THEIR_OWN:
        return f".{approval.purpose.value}"
    return ".contain_only" if _question_kind(case, approval) == ".contain_only" else ""


def _question(case: Case, approval: Approval) -> Text:
    since = case.block.since if case.block else None
    upn = case.subject.upn if case.subject else case.query
    return say(
        f"approval_prompt.{approval.purpose.value}.question{_question_kind(case, approval)}",
        requester=(approval.asked_by or case.requester).name,
        who=_who(case),
        upn=upn,
        since=say("approval_prompt.since", since=since) if since else say("approval_prompt.since_unknown"),
    )


def _question_kind(case: Case, approval: Approval) -> str:
    """Which of the wordings fits: secure and unblock, secure alone, unblock alone, or a connector."""
    if approval.purpose is not ApprovalPurpose.REMEDIATION:
        return ""
    if case.kind is CaseKind.CONNECTOR:
        return ".connector"
    if not any(action.kind in LIFTING for action in case.actions):
        return ".contain_only"
    return "" if case.containment else ".unblock_only"


def _cautions(case: Case, approval: Approval) -> tuple[Text, ...]:
    """What the one who says yes takes upon themselves: little evidence, or actions that are not proven and why."""
    if approval.purpose is ApprovalPurpose.OVERRIDE:
        unproven = (say("approval_prompt.unproven"), *(_unproven_text(action) for action in _unproven(case)))
        return (*((approval.never,) if approval.never else ()), *unproven)
    cautions = [approval.never] if approval.never else []
    if case.because and approval.purpose is ApprovalPurpose.REMEDIATION:
        cautions.append(case.because)
    if case.needs_reason(approval) and case.verdict:
        cautions.append(say("approval_prompt.little_read", n=case.verdict.checked, m=case.verdict.total))
    if approval.purpose is ApprovalPurpose.REMEDIATION and _has_to_choose_a_method(case):
        cautions.append(say("approval_prompt.choose_method"))
    return tuple(cautions)


def _has_to_choose_a_method(case: Case) -> bool:
    """Whether a sign-in method was added and the log does not say which: the approver knows, or asks the user."""
    methods = [a for a in case.actions if a.kind is ActionKind.REMOVE_AUTH_METHOD and a.state is ActionState.PROPOSED]
    return bool(methods) and not any(action.ticked for action in methods)


def _unproven_text(action: Action) -> Text:
    because = ".because" if action.outcome else ""
    state = faces.action_mark(action.state).word
    return say(
        f"approval_prompt.unproven_action{because}", action=_action_label(action), state=state, why=action.outcome
    )


def _answer(case: Case, approval: Approval, *, with_now: bool = True) -> tuple[Text, ...]:
    """When and why it was answered, and what became of it."""
    lines = [say(f"approval_state.{approval.state.value}.note")]
    called_off = approval.state is ApprovalState.CANCELLED
    if called_off and approval.decided_by and approval.decided_at:
        lines = [say("outcome.cancelled", who=_decider(approval)), say("approval_prompt.ended", at=approval.decided_at)]
    elif approval.decided_by and approval.decided_at:  # what time or news has settled, nobody has decided
        lines = [say("approval_prompt.decided", by=_decider(approval), at=approval.decided_at)]
    elif approval.decided_at:
        with_case = called_off and case.state is CaseState.CANCELLED
        lines = [case.outcome] if with_case and case.outcome else lines  # it names who did
        lines.append(say("approval_prompt.ended", at=approval.decided_at))
    if approval.reason:
        lines.append(say("approval_prompt.reason_given", reason=approval.reason))
    lines += _risk_unread(approval)
    if with_now and approval.state in _MORE_TO_TELL and approval.purpose not in ON_THEIR_OWN:
        lines.append(say("approval_prompt.now", headline=_headline(case)))
    return tuple(lines)


def _decider(approval: Approval) -> str | Text:
    return approval.decided_by.name if approval.decided_by else say("word.somebody")


def _prompt_facts(case: Case, approval: Approval) -> tuple[Text, ...]:
    asked = say("approval_prompt.asked", at=approval.asked_at, case=case.case_id)
    # Other blocks are beside the point where no block is lifted.
    block = _block_details(case.block) if case.block and approval.purpose not in ON_THEIR_OWN else ()
    return (*_subject_facts(case.subject), *_mailbox_facts(case), *block, asked)


def _asked_actions(case: Case, approval: Approval) -> tuple[Action, ...]:
    """What this approval is about: all actions, or for an override the unblock alone."""
    if approval.purpose is ApprovalPurpose.UNDO:
        return tuple(reversed(case.actions_of(approval.about)))
    if approval.purpose is ApprovalPurpose.FIX:
        return case.actions_of(approval.about)
    if approval.purpose is ApprovalPurpose.OVERRIDE:
        return tuple(action for action in case.actions if action.kind in LIFTING)
    return case.actions


def _unreadable(case: Case) -> tuple[Text, ...]:
    """What could not be read, by reason. What is still being read stands with the verdict."""
    unknown = _by_reason(f for f in _in_reading_order(case.findings) if f.state is SignalState.UNKNOWN)
    return tuple(
        say("approval_prompt.unreadable", checks=labels, why=_why(reason)) for reason, labels in unknown.items()
    )


def _prompt_form(case: Case, approval: Approval) -> Form:
    """What an approver can type and press; where nobody may approve, no button that would only be refused."""
    form = _question_form(case, approval)
    if approval.never is None:
        return form
    kept = tuple(
        replace(button, sends_inputs=False) for button in form.buttons if button.verb not in ("approve", "override")
    )
    return Form(buttons=kept)


def _question_form(case: Case, approval: Approval) -> Form:
    claim = {"claim": approval.claim}
    deny = Button("deny", say("button.deny"), claim, style="destructive", sends_inputs=True)
    if approval.purpose is ApprovalPurpose.OVERRIDE:
        # The reason is required here, and a refusal must not hang on it.
        return Form((_override_reason(),), None, (_override_button(approval.claim), replace(deny, sends_inputs=False)))
    if approval.purpose is ApprovalPurpose.UNDO:
        return _undo_form(case, approval, claim, deny)
    boxes = _boxes(case, _last_choice(approval)) if approval.purpose is ApprovalPurpose.REMEDIATION else None
    approve = Button(
        "approve", say("button.approve"), {**claim, **({"boxes": "yes"} if boxes else {})}, "positive", True
    )
    rehearse = Button("dry_run", say("button.dry_run"), {"case": case.case_id, **claim})
    if case.needs_reason(approval):
        return Form((_little_read_reason(),), boxes, (approve, replace(deny, sends_inputs=False), rehearse))
    reason = Field("reason", say("deny.reason.label"), say("deny.reason.placeholder"))
    return Form((reason,), boxes, (approve, deny, rehearse))


def _undo_form(case: Case, approval: Approval, claim: dict[str, str], deny: Button) -> Form:
    """A box for each change: one rule that was the user's own can come back without those of the attacker."""
    last = _last_choice(approval)
    reason = Field("reason", say("deny.reason.label"), say("deny.reason.placeholder"))
    boxes = Choices(
        input_id="actions",
        label=say("approval_prompt.undo.boxes"),
        choices=tuple(Choice(a.action_id, _undo_label(a)) for a in _asked_actions(case, approval)),
        error=say("tick.error"),
        several=True,
        selected=approval.about if last is None else _in_order(last.ticked, approval.about),
        required=False,
    )
    put_back = Button("approve", say("button.undo"), {**claim, "boxes": "yes"}, style="positive", sends_inputs=True)
    rehearse = Button("dry_run", say("button.dry_run"), {"case": case.case_id, **claim})
    return Form((reason,), boxes, (put_back, deny, rehearse))


def _undo_label(action: Action) -> Text:
    return say(f"undo.{action.kind.value}.label", target=_target(action))


def _little_read_reason() -> Field:
    return Field(
        input_id="reason",
        label=say("little_read.reason.label"),
        placeholder=say("little_read.reason.placeholder"),
        required=True,
        error=say("override.reason.error"),
    )


def proposed_ticks(case: Case, approval: Approval) -> tuple[str, ...] | None:
    """What is ticked on the card of an open question: what was proposed, or what the last approver left; None without
    boxes."""
    choices = _offered(case, approval)
    return choices.selected if choices else None


def _offered(case: Case, approval: Approval) -> Choices | None:
    return _question_form(case, approval).choices


def _in_order(ticked: Iterable[str] | None, order: Iterable[str]) -> tuple[str, ...]:
    chosen = frozenset(ticked or ())
    return tuple(each for each in order if each in chosen)


def _boxes(case: Case, last: Vote | None = None) -> Choices | None:
    """
    A box for each action that may be left out, ticked as proposed or as the last approver has left them. With very many
    there are none, and the plan is taken as it is.
    """
    optional = [a for a in case.actions if a.optional and a.state is ActionState.PROPOSED]
    if not optional or len(optional) > MAX_BOXES:
        return None
    return Choices(
        input_id="actions",
        label=say("approval_prompt.boxes"),
        choices=tuple(Choice(action.action_id, _action_label(action)) for action in optional),
        error=say("tick.error"),
        several=True,
        selected=tuple(action.action_id for action in optional if action.ticked)
        if last is None
        else _in_order(last.ticked, (action.action_id for action in optional)),
        required=False,
    )


def _afterwards_form(case: Case, approval: Approval) -> Form | None:
    """What the one who approved may do next: let the owner back in, once the attacker is out."""
    granted = approval.state is ApprovalState.GRANTED and approval.purpose is ApprovalPurpose.REMEDIATION
    if not granted or not case.is_secured:
        return None
    return Form(buttons=(Button("access_pass", say("button.access_pass"), {"case": case.case_id}),))


def _notification(case: Case, approval: Approval) -> Text:
    headline = _prompt_headline(case, approval)
    alone = approval.purpose in ON_THEIR_OWN
    if approval.state is not ApprovalState.PENDING or case.verdict is None or alone:
        return headline
    verdict = _verdict(case)
    assert verdict is not None, "a question is only asked with a verdict"
    return say(
        "approval_prompt.notification",
        headline=headline,
        verdict=verdict.label,
        completeness=verdict.completeness,
        until=approval.expires_at,
    )


# --- a check: step 1 alone ---


def check(case: Case) -> ChecklistView:
    """What is known of an account that somebody asked about; no case, so nothing to press."""
    done = case.verdict is not None
    verdict = _verdict(case, limit=MAX_REASONS)
    step = Step(
        title=say("check.title"),
        mark=faces.step_mark(StepState.DONE if done else StepState.RUNNING),
        verdict=verdict,
        groups=_groups((None, _signal_lines(case))),
    )
    account = (say("fact.account", upn=case.subject.upn),) if case.subject else ()
    asked = say("check.asked", by=case.requester.name, at=case.opened_at)
    return ChecklistView(
        headline=say("check.headline.done" if done else "check.headline.running", who=_who(case)),
        tone=verdict.tone if verdict else Tone.ACCENT,
        needed=(say("check.done" if done else "check.running", who=_who(case), query=case.query),),
        facts=(*account, *_subject_facts(case.subject), *_mailbox_facts(case), *_block_facts(case.block), asked),
        steps=(step,),
    )


# --- for one pair of eyes, and before anything is done ---


def access_pass(case: Case, value: str, valid_until: datetime | None) -> AccessPassView:
    """The pass, for the approver who asked for it. The card is an answer to a click and is never posted."""
    until = (say("access_pass.valid_until", at=valid_until),) if valid_until else ()
    return AccessPassView(
        headline=say("access_pass.headline", who=_who(case)),
        tone=Tone.WARNING,
        value=value,
        lines=(say("access_pass.once"), *until, say("access_pass.how")),
    )


def dry_run(case: Case, calls: Sequence[tuple[str, tuple[str, ...], Text | None]], *, undo: bool = False) -> DryRunView:
    """Action id, the exact lines of its call, and a note where there is no call; of the plan, or of an undo."""
    named = {action.action_id: action for action in (*case.actions, *case.fixes)}
    label = _undo_label if undo else _action_label
    return DryRunView(
        headline=say("dry_run.headline", who=_who(case)),
        tone=Tone.NEUTRAL,
        intro=say("dry_run.intro" if calls else "dry_run.nothing", case=case.case_id),
        calls=tuple(
            Call(label(named[action_id]), exact, note or _if_ticked(named[action_id]))
            for action_id, exact, note in calls
        ),
    )


def _if_ticked(action: Action) -> Text | None:
    """A proposal that is out of the plan unless somebody ticks it."""
    open_to_choice = action.state is ActionState.PROPOSED and not action.ticked
    return say("dry_run.only_if_ticked") if open_to_choice else None


# --- the small cards -------------------------------------------------------------------------------------------------


def choose_account(case: Case) -> ChoiceView:
    """Several accounts fit: the requester picks one. The values of the choices are Entra object ids."""
    shown = case.candidates[:MAX_CHOICES]
    hidden = len(case.candidates) - len(shown)
    choices = Choices(
        input_id="account",
        label=say("choose_account.label"),
        choices=tuple(Choice(subject.user_oid, _choice_title(subject)) for subject in shown),
        error=say("choose_account.error"),
    )
    return ChoiceView(
        headline=say("choose_account.headline"),
        tone=Tone.ACCENT,
        question=say("choose_account.question", n=len(case.candidates), query=case.query),
        hint=say("choose_account.hint_more", n=hidden) if hidden else say("choose_account.hint"),
        form=Form(
            choices=choices,
            buttons=(
                Button("choose", say("button.choose"), {"case": case.case_id}, style="positive", sends_inputs=True),
                Button("cancel", say("button.cancel"), {"case": case.case_id}),
            ),
        ),
    )


def _choice_title(subject: Subject) -> Text:
    dressed = ".with_position" if _position(subject) else ""
    who, upn = subject.display_name, subject.upn
    return say(f"choose_account.choice{dressed}", who=who, upn=upn, position=_position(subject))


def notice(tone: Tone, title: Text, body: Sequence[Text] = (), buttons: Sequence[Button] = ()) -> NoticeView:
    """A short message, such as "there is nobody of that name"."""
    form = Form(buttons=tuple(buttons)) if buttons else None
    return NoticeView(headline=title, tone=tone, body=tuple(body), form=form)


def case_list(cases: Sequence[Case], title: Text) -> CaseListView:
    """One line per case, in the order given."""
    lines = [_case_line(case) for case in cases[:MAX_CASES]]
    if hidden := len(cases) - len(lines):
        lines.append(more_line(hidden))
    return CaseListView(
        headline=title,
        lines=tuple(lines),
        hint=say("case_list.hint") if cases else say("case_list.empty"),
    )


def _case_line(case: Case) -> Line:
    upn = case.subject.upn if case.subject else None
    return Line(
        mark=faces.case_mark(case.state),
        label=say("case_list.case", who=_who(case), case=case.case_id),
        details=(
            say("case_list.opened", at=case.opened_at, requester=case.requester.name),
            *([say("fact.account", upn=upn)] if upn else []),
        ),
    )


def more_line(hidden: int) -> Line:
    """ "and 3 more": what stands for the lines that were left out."""
    return Line(Mark("⋯", say("word.not_shown")), say("word.others", n=hidden))


_COMMANDS = (
    "unblock",
    "why",
    "unblock_connector",
    "check",
    "status",
    "cases",
    "case",
    "cancel",
    "report",
    "dry_run",
    "charts",
    "undo",
    "contain",
    "close",
    "prevention",
    "access_pass",
    "help",
    "approve",
    "override",
    "deny",
    "remind",
    "oncall",
    "alerts",
    "snooze",
    "restricted",
    "approvals_here",
    "alerts_here",
)


def help_card(may_request: bool) -> HelpView:
    """Every command, in words that can be typed."""
    return HelpView(
        headline=say("help_card.headline"),
        tone=Tone.ACCENT,
        intro=say("help_card.intro"),
        entries=tuple(HelpEntry(say(f"help_card.{c}.command"), say(f"help_card.{c}.meaning")) for c in _COMMANDS),
        note=None if may_request else say("help_card.may_not_request"),
    )


def refusal(reason: Text, current: View | None) -> View:
    """
    What somebody sees who may not press: the reason, and what is true now without buttons. What can be done about an
    alert several people may do, each a part of it: who may not start it may still put it off.
    """
    if current is None:
        return notice(Tone.WARNING, say("refusal.headline"), (reason,))
    if isinstance(current, (AlertView, AlertTableView)):
        return replace(current, refused=reason, refresh=None)
    silent = replace(current, refused=reason, form=None, refresh=None)
    if isinstance(silent, ChecklistView):
        return replace(silent, steps=tuple(replace(step, form=None) for step in silent.steps))
    return silent


def sign_in_first(current: View, address: str, *, ticked: Sequence[str] | None, reason: str) -> View:
    """
    What somebody sees whose approval takes a fresh sign-in: the question as they have filled it in, so that nothing has
    to be typed or ticked again, with the button that opens the browser before the others.
    """
    form = current.form or Form()
    again = next((button.title for button in form.buttons if button.verb in _AGREEING), say("button.approve"))
    opens = Button("sign_in", say("button.sign_in_again"), style="positive", opens=address)
    filled = replace(
        form,
        fields=tuple(replace(field, value=reason) if field.input_id == "reason" else field for field in form.fields),
        choices=replace(form.choices, selected=tuple(ticked)) if form.choices and ticked is not None else form.choices,
        # Six buttons in a row would cut off their words: what answers stays, the rest is on the card itself.
        buttons=(opens, *(button for button in form.buttons if button.verb in _ANSWERING)),
    )
    return replace(current, refused=say("step_up.needed", button=again), form=filled, refresh=None)


#: Buttons that say yes, or give what only a yes entitles to.
_AGREEING = frozenset({"approve", "override", "access_pass"})
_ANSWERING = _AGREEING | {"deny"}
