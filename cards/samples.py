"""
Every card in every state, from made-up but realistic cases: for previews, for tests, and to try a connection with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from cards import compose, faces, news, prevention
from cards.alert_digest import alert_list, all_snoozed, all_started, digest, restricted, sure_to_start
from cards.alerts import alert_card
from cards.diagnosis import diagnosis
from cards.pictures import pictures
from cards.views import Tone, View
from cards.weekly import weekly
from services.alerts.desk import ListedBlock, OpenAlerts, RestrictedNow
from services.alerts.model import Alert, AlertKind, AlertState, Report, Severity, SourceName, SourceState
from services.alerts.summary import STRETCHES, DayCount, OwnerCount, Stretch, WeeklySummary
from services.approvals import Viewer
from services.cases import (
    Action,
    ActionKind,
    ActionState,
    Actor,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Block,
    BlockKind,
    Case,
    CaseKind,
    CaseState,
    Cause,
    CauseKind,
    Certainty,
    Diagnosis,
    Finding,
    FollowUp,
    HourCount,
    Impact,
    Lifter,
    Pictures,
    PreventionItem,
    PreventionState,
    ScoreMark,
    ScorePart,
    SignalState,
    SignInMark,
    Subject,
    Text,
    UnknownReason,
    Verdict,
    VerdictLabel,
    Vote,
    plan_hash,
    say,
)
from services.ports import Audience, News, NewsKind
from services.prevention.catalogue import CATALOGUE, Scope
from services.tracking import with_defaults

NOW = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)
_TENANT = "8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d1001"
_ALEX = Actor(user_oid="8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d2001", name="Alex Wilber", tenant_id=_TENANT)
_MEGAN = Actor(user_oid="8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d2002", name="Megan Bowen", tenant_id=_TENANT)
_LEE = Actor(user_oid="8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d2003", name="Lee Gu", tenant_id=_TENANT)

JANE = Subject(
    user_oid="8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d3001",
    upn="jane@contoso.com",
    display_name="Jane Doe",
    mail="jane@contoso.com",
    account_enabled=True,
    job_title="Payroll manager",
    department="Finance",
)
_JANES = (
    JANE,
    JANE.model_copy(update={"user_oid": "8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d3002", "upn": "jane.doe@fabrikam.com"}),
    Subject(user_oid="8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d3003", upn="janet@contoso.com", display_name="Janet Schorr"),
)

_HOSTILE = (
    "**[Pay now](https://evil.example)** <at>Megan Bowen</at> ${x} {{DATE(2026)}} _click_ `code`\n# \u202eevil ~~x~~"
)


def _block() -> Block:
    return Block(
        kind=BlockKind.RESTRICTED,
        sender_address=JANE.upn,
        since=NOW - timedelta(hours=1, minutes=17),
        reason_raw="EmailSendingLimitExceeded;ExternalRecipientCountToday=2871;",
        reason={"ExternalRecipientCountToday": "2871"},
    )


def _finding(signal_id: str, state: SignalState, summary: Text, *evidence: Text, **more: object) -> Finding:
    return Finding(signal_id=signal_id, state=state, summary=summary, evidence=evidence, read_at=NOW, **more)


def _compromised_findings() -> tuple[Finding, ...]:
    found, clear, unknown = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
    limit = say("finding.restricted_entry.limit", external=2871, internal=14)
    return (
        _finding("restricted_entry", found, limit, weight=5),
        _finding(
            "risk_state",
            unknown,
            say("unreadable.licence_named", licence="Entra ID P2"),
            unknown_reason=UnknownReason.LICENCE,
        ),
        _finding(
            "sign_ins",
            found,
            say("finding.sign_ins.unusual", n=3, countries=["Nigeria", "Vietnam"]),
            _sign_in(95, "102.89.33.10", "NG"),
            _sign_in(92, "14.161.7.8", "VN"),
            weight=40,
        ),
        _finding(
            "inbox_rules",
            found,
            say("finding.inbox_rules.suspicious", n=2),
            _rule(".", say("finding.inbox_rules.forwards_to", targets=["jane.d0e@outlook.example"])),
            _rule("xx", say("finding.inbox_rules.moves_to", folder="RSS Subscriptions")),
            weight=60,
        ),
        _finding("forwarding", clear, say("finding.forwarding.none")),
        _finding(
            "oauth_grants",
            found,
            say("finding.oauth_grants.risky", n=1),
            say("finding.oauth_grants.detail", app="PDF Viewer Pro", permissions=["Mail.ReadWrite", "Mail.Send"]),
            say("finding.oauth_grants.unverified", app="PDF Viewer Pro"),
            weight=40,
        ),
        _finding(
            "auth_methods", found, say("finding.auth_methods.added", n=1, at=NOW - timedelta(minutes=88)), weight=25
        ),
        _finding("password_age", clear, say("finding.password_age.days", n=412)),
    )


def _method_added() -> Text:
    return say("finding.auth_methods.added", n=1, at=NOW - timedelta(minutes=88))


def _rule(name: str, does: Text) -> Text:
    return say("finding.inbox_rules.rule", rule=name, does=[does, say("finding.inbox_rules.hidden")])


def _sign_in(minutes_ago: int, ip: str, country: str) -> Text:
    at = NOW - timedelta(minutes=minutes_ago)
    return say("finding.sign_ins.detail", at=at, ip=ip, country=country, app="Outlook on the web")


def _compromised_verdict(findings: tuple[Finding, ...], **more: object) -> Verdict:
    found = sorted((f for f in findings if f.state is SignalState.FOUND), key=lambda f: -f.weight)
    filled = {
        "score": sum(finding.weight for finding in found),
        "completeness": 0.93,
        "checked": 23,
        "total": 24,
        "reasons": tuple(finding.summary for finding in found),
        "missing": ("risk_state",),
        "breakdown": tuple(ScorePart(signal_id=f.signal_id, points=f.weight, weight=60) for f in found),
        "compromised_from": 60,
    }
    return Verdict(label=VerdictLabel.COMPROMISED, **{**filled, **more})


def _containment() -> tuple[Action, ...]:
    left_open = {"optional": True, "reversible": True}
    return (
        _action("a1", ActionKind.REVOKE_SESSIONS, JANE.upn, Impact.MEDIUM),
        _action("a2", ActionKind.RESET_PASSWORD, JANE.upn, Impact.HIGH),
        _action(
            "a3",
            ActionKind.DISABLE_RULE,
            ".",
            Impact.LOW,
            warning=say("action.disable_rule.client_rules"),
            **left_open,
        ),
        _action("a4", ActionKind.DISABLE_RULE, "xx", Impact.LOW, **left_open),
        _action("a5", ActionKind.REVOKE_GRANT, "PDF Viewer Pro", Impact.MEDIUM, **left_open),
    )


def _action(action_id: str, kind: ActionKind, target: str, impact: Impact, **more: object) -> Action:
    return Action(action_id=action_id, kind=kind, target={"name": target}, target_name=target, impact=impact, **more)


def _unblock() -> Action:
    return _action("a9", ActionKind.UNBLOCK, JANE.upn, Impact.MEDIUM)


def _case(state: CaseState, **more: object) -> Case:
    base = {
        "case_id": "K4P7Z9",
        "tenant_id": _TENANT,
        "query": "jane",
        "requester": _ALEX,
        "opened_at": NOW - timedelta(minutes=2),
        "changed_at": NOW,
    }
    return Case(state=state, **{**base, **more})


def _known(state: CaseState, **more: object) -> Case:
    """A case whose account is known."""
    return _case(state, **{"subject": JANE, "block": _block(), **more})


def _judged(state: CaseState, **more: object) -> Case:
    """A case with a verdict, a plan and its open question."""
    findings = _compromised_findings()
    actions = (*_containment(), _unblock())
    filled = {
        "findings": findings,
        "verdict": _compromised_verdict(findings),
        "actions": actions,
        "approvals": (_approval(actions),),
    }
    return _known(state, **{**filled, **more})


def _approval(actions: tuple[Action, ...], state: ApprovalState = ApprovalState.PENDING, **more: object) -> Approval:
    base = {
        "prompt_id": "p1",
        "claim": "Zk3vQ0cV8mXnB1tR",
        "case_id": "K4P7Z9",
        "plan_hash": plan_hash(actions),
        "asked_at": NOW,
        "expires_at": NOW + timedelta(hours=1),
    }
    return Approval(state=state, **{**base, **more})


def _granted(actions: tuple[Action, ...]) -> Approval:
    return _approval(actions, ApprovalState.GRANTED, decided_by=_MEGAN, decided_at=NOW + timedelta(minutes=3))


def _progress(*states: ActionState) -> tuple[Action, ...]:
    """The plan with these states, in order; what was re-read says so."""
    actions = (*_containment(), _unblock())
    return tuple(
        action.model_copy(update={"state": state, "outcome": _outcome(action, state)})
        for action, state in zip(actions, states, strict=True)
    )


def _outcome(action: Action, state: ActionState) -> Text | None:
    if state is ActionState.FAILED:
        return say("unreadable.fault")
    if state is not ActionState.PROVEN:
        return None
    if action.kind is ActionKind.RESET_PASSWORD:
        return say("action.reset_password.proven", at=NOW + timedelta(minutes=4))
    known = {ActionKind.DISABLE_RULE: "action.disable_rule.proven", ActionKind.UNBLOCK: "action.unblock.proven"}
    return say(known[action.kind]) if action.kind in known else None


_ALL_PROVEN = (ActionState.PROVEN,) * 6
_ONE_FAILED = (*(ActionState.PROVEN,) * 4, ActionState.FAILED, ActionState.PROPOSED)


def _acting(state: CaseState, *states: ActionState, **more: object) -> Case:
    actions = _progress(*states)
    return _judged(state, **{"actions": actions, "approvals": (_granted(actions),), **more})


def _prevention(ticked: bool = False) -> tuple[PreventionItem, ...]:
    ok, missing, todo = PreventionState.OK, PreventionState.OPEN, PreventionState.TODO
    by_hand = ("warn_contacts", "check_sent_items", "scan_devices", "review_contact_info", "dedicated_admins")
    checked = (
        ("user_mfa", missing, say("prevention.user_mfa.open")),
        ("mfa_everyone", ok, say("prevention.mfa_everyone.defaults")),
        ("outbound_policy", ok, say("prevention.outbound_policy.ok", n=500)),
        ("auto_forwarding", missing, say("prevention.auto_forwarding.open")),
        ("unified_audit", ok, say("prevention.unified_audit.ok")),
        ("mailbox_audit", PreventionState.UNKNOWN, say("unreadable.permission")),
        ("user_smtp_auth", missing, say("prevention.user_smtp_auth.open")),
        ("secure_score", ok, say("prevention.secure_score.value", score=212, max=340)),
        *((item_id, todo, say("prevention.todo")) for item_id in (*by_hand, "phishing_training")),
    )
    items = tuple(
        PreventionItem(
            item_id=i,
            state=state,
            summary=summary,
            checked_at=NOW,
            fix=CATALOGUE[i].fix if state is missing else None,
        )
        for i, state, summary in checked
    )
    owned = with_defaults(_known(CaseState.UNBLOCKED), items)
    return tuple(_ticked(item) for item in owned) if ticked else owned


def _ticked(item: PreventionItem) -> PreventionItem:
    if item.item_id not in ("warn_contacts", "scan_devices"):
        return item
    done = {"state": PreventionState.TICKED, "ticked_by": _ALEX, "ticked_at": NOW + timedelta(hours=2)}
    return item.model_copy(update=done)


# --- cases in every state --------------------------------------------------------------------------------------------


def sample_cases() -> dict[str, Case]:
    """A case in every state, named by the state; a few states in more than one shape."""
    running, proposed = ActionState.RUNNING, ActionState.PROPOSED
    proven = ActionState.PROVEN
    return {
        "identifying": _case(CaseState.IDENTIFYING),
        "choosing": _case(CaseState.CHOOSING, candidates=_JANES),
        "investigating": _known(CaseState.INVESTIGATING, findings=_compromised_findings()[:4], reading_since=NOW),
        "awaiting_approval": _judged(CaseState.AWAITING_APPROVAL),
        "one_of_two": _one_of_two(),
        "awaiting_approval_pending": _still_reading(),
        "awaiting_approval_no_evidence": _no_evidence(),
        "containing": _acting(CaseState.CONTAINING, proven, running, *(proposed,) * 4),
        "locked": _locked(),
        "unblocking": _acting(CaseState.UNBLOCKING, *(proven,) * 5, running),
        "verifying": _acting(CaseState.VERIFYING, *(proven,) * 5, ActionState.DONE),
        "unblocked": _acting(
            CaseState.UNBLOCKED, *_ALL_PROVEN, outcome=say("outcome.unblocked"), prevention=_prevention()
        ),
        "unblocked_ticked": _acting(CaseState.UNBLOCKED, *_ALL_PROVEN, prevention=_prevention(ticked=True)),
        "unblocked_overridden": _overridden(),
        "unblocked_found_late": _acting(CaseState.UNBLOCKED, *_ALL_PROVEN, found_late=("deleted_mail",)),
        "unblocked_put_back": _put_back(),
        "not_unblocked": _acting(
            CaseState.NOT_UNBLOCKED,
            *(*(proven,) * 5, ActionState.FAILED),
            outcome=say("action.unblock.limit_exceeded", detail="limit reached", what=JANE.upn, tenant=_TENANT, at=NOW),
        ),
        "denied": _judged(
            CaseState.DENIED, outcome=say("outcome.denied_because", who="Megan Bowen", reason="Call Jane first")
        ),
        "expired": _judged(CaseState.EXPIRED, outcome=say("outcome.expired_awaiting_approval")),
        "expired_locked": _acting(CaseState.EXPIRED, *_ONE_FAILED, outcome=say("outcome.expired_locked")),
        "cancelled": _judged(CaseState.CANCELLED, outcome=say("outcome.cancelled", who="Alex Wilber")),
        "closed": followed_cases()["closed"],
        "contained": _contained_only(CaseState.CONTAINED, *(proven,) * 5),
        "not_contained": _contained_only(CaseState.NOT_CONTAINED, *_ONE_FAILED[:5]),
        "connector_asked": _connector(CaseState.AWAITING_APPROVAL),
        "connector_closed": _connector(CaseState.CLOSED, proven, outcome=say("outcome.connector_unblocked")),
        "tracking": _organisation(_open_everywhere()),
        "nothing_to_do": _case(CaseState.NOTHING_TO_DO, outcome=say("outcome.nobody", query="jane")),
        "nothing_to_do_until_tomorrow": _known(
            CaseState.NOTHING_TO_DO,
            block=Block(kind=BlockKind.UNTIL_TOMORROW),
            outcome=say("outcome.until_tomorrow", upn=JANE.upn),
        ),
    }


def _contained_only(state: CaseState, *states: ActionState) -> Case:
    """A case that had nothing to unblock."""
    case = _acting(state, *states, ActionState.PROPOSED, contain_only=True, block=Block(kind=BlockKind.NONE))
    outcome = say("outcome.contained") if case.containment_proven else say("outcome.not_contained", n=1)
    return case.model_copy(update={"actions": case.containment, "outcome": outcome, "prevention": _prevention()})


def _connector(state: CaseState, done: ActionState = ActionState.PROPOSED, **more: object) -> Case:
    """A case about a blocked connector, which has no account."""
    unblock = _action("unblock_connector", ActionKind.UNBLOCK_CONNECTOR, "Scanner relay", Impact.HIGH, state=done)
    prompt = _approval((unblock,)) if done is ActionState.PROPOSED else _granted((unblock,))
    about = {"kind": CaseKind.CONNECTOR, "connector_id": "4b7c9a2e-1d3f-4a5b-8c6d-7e8f9a0b1c2d"}
    return _case(state, **about, actions=(unblock,), approvals=(prompt,), query="Scanner relay", **more)


def _no_evidence() -> Case:
    """Nothing found, and little could be read: the verdict must not look like good news."""
    unknown, clear = SignalState.UNKNOWN, SignalState.CLEAR
    unread = ("risk_state", "sign_ins", "inbox_rules", "oauth_grants")
    findings = (
        _finding("restricted_entry", SignalState.FOUND, say("finding.restricted_entry.spam", spam=61, mail=84)),
        *(_finding(s, unknown, say("unreadable.licence"), unknown_reason=UnknownReason.LICENCE) for s in unread[:2]),
        *(_finding(s, unknown, say("unreadable.fault"), unknown_reason=UnknownReason.FAULT) for s in unread[2:]),
        _finding("forwarding", clear, say("finding.forwarding.none")),
        _finding("auth_methods", clear, say("finding.auth_methods.clear")),
        _finding("password_age", clear, say("finding.password_age.days", n=1)),
    )
    verdict = Verdict(
        label=VerdictLabel.NO_EVIDENCE,
        score=5,
        completeness=0.4,
        checked=9,
        total=24,
        missing=unread,
        low_completeness=True,
    )
    actions = (_unblock(),)
    return _known(
        CaseState.AWAITING_APPROVAL,
        findings=findings,
        verdict=verdict,
        actions=actions,
        approvals=(_approval(actions),),
    )


def _still_reading() -> Case:
    """The question is there although two slow sources have not answered yet."""
    pending, findings = ("deleted_mail", "mailbox_audit"), _compromised_findings()
    verdict = _compromised_verdict(findings, checked=21, missing=("risk_state", *pending), pending=pending)
    read = {*faces.SIGNALS} - {"risk_state", *pending} - {finding.signal_id for finding in findings}
    others = (_finding(s, SignalState.CLEAR, say("finding.forwarding.none")) for s in sorted(read))
    return _judged(CaseState.AWAITING_APPROVAL, findings=(*findings, *others), verdict=verdict, reading_since=NOW)


def _put_back() -> Case:
    """Two rules were put back, one of them in vain."""
    case = _acting(CaseState.UNBLOCKED, *_ALL_PROVEN, prevention=_prevention())
    ends = {"a3": (ActionState.FAILED, "undo.failed.changed_since"), "a4": (ActionState.PROVEN, None)}
    for action in case.actions_of(ends):
        state, outcome = ends[action.action_id]
        undone = {"undo_state": state, "undo_outcome": say(outcome) if outcome else None}
        case = case.with_action(action.model_copy(update=undone))
    return case


def _undo_prompt() -> View:
    case = _acting(CaseState.UNBLOCKED, *_ALL_PROVEN, prevention=_prevention())
    asked = {"purpose": ApprovalPurpose.UNDO, "about": ("a3", "a4"), "asked_by": _LEE, "prompt_id": "p3"}
    return compose.approval_prompt(case, _approval(case.actions, **asked))


def _locked() -> Case:
    """One action failed: the question whether to override is open."""
    case = _acting(CaseState.LOCKED, *_ONE_FAILED, outcome=say("outcome.locked"))
    question = _approval(case.actions, prompt_id="p2", claim="Qw8yT2uN5kLsE7hP", purpose=ApprovalPurpose.OVERRIDE)
    return case.with_approval(question)


def _overridden() -> Case:
    actions = _progress(*(*_ONE_FAILED[:5], ActionState.PROVEN))
    override = _approval(
        actions,
        ApprovalState.GRANTED,
        prompt_id="p2",
        purpose=ApprovalPurpose.OVERRIDE,
        decided_by=_LEE,
        decided_at=NOW + timedelta(minutes=20),
        reason="The app was removed by hand in the portal",
    )
    return _judged(
        CaseState.UNBLOCKED,
        actions=actions,
        approvals=(_granted(actions), override),
        prevention=_prevention(),
    )


def hostile_case() -> Case:
    """A case in which everything that outsiders can write tries to be something else than text."""
    findings = tuple(
        _finding(
            signal_id,
            SignalState.FOUND,
            say("finding.forwarding.external", target=_HOSTILE * 20),
            *(_rule("😈" * 200, say("finding.inbox_rules.moves_to", folder=_HOSTILE)),) * 12,
        )
        for signal_id in ("restricted_entry", "sign_ins", "inbox_rules", "forwarding", "oauth_grants")
    )
    actions = (
        *(_action(f"a{n}", ActionKind.DISABLE_RULE, f"{_HOSTILE} {n}", Impact.LOW, optional=n < 20) for n in range(60)),
        _unblock(),
    )
    return _judged(
        CaseState.AWAITING_APPROVAL,
        query=_HOSTILE,
        requester=_ALEX.model_copy(update={"name": _HOSTILE}),
        subject=JANE.model_copy(update={"display_name": _HOSTILE * 30, "job_title": "å" * 5000}),
        findings=findings,
        verdict=_compromised_verdict(findings),
        actions=actions,
        approvals=(_approval(actions),),
    )


# --- cards -----------------------------------------------------------------------------------------------------------


def samples() -> dict[str, View]:
    """Every card in every state, by a name that is fit for a file."""
    return {
        **_checklists(),
        **_prompts(),
        **_small_cards(),
        **_news_cards(),
        **_diagnosis_cards(),
        **_prevention_cards(),
        **_picture_cards(),
        **_alert_cards(),
    }


def _checklists() -> dict[str, View]:
    cases = sample_cases()
    return {
        **{
            f"checklist_{name}": compose.checklist(case)
            for name, case in cases.items()
            if case.kind is not CaseKind.TENANT
        },
        "checklist_locked_may_override": compose.checklist(cases["locked"], may_override=True),
        "checklist_hostile": compose.checklist(hostile_case()),
        "checklist_refused": compose.refusal(say("refusal.own_request"), compose.checklist(cases["awaiting_approval"])),
    }


def _prompts() -> dict[str, View]:
    asked = _judged(CaseState.AWAITING_APPROVAL)
    pending = _approval(asked.actions)
    decided = {"decided_by": _MEGAN, "decided_at": NOW + timedelta(minutes=3)}
    contained = sample_cases()["containing"]
    return {
        "approval_prompt_pending": compose.approval_prompt(asked, pending),
        "approval_prompt_no_evidence": _first_prompt(_no_evidence()),
        "approval_prompt_still_reading": _first_prompt(_still_reading()),
        "approval_prompt_undo": _undo_prompt(),
        "approval_prompt_synced": compose.approval_prompt(_synced(), pending),
        "approval_prompt_override": _override_prompt(),
        "approval_prompt_hostile": _first_prompt(hostile_case()),
        "approval_prompt_granted": compose.approval_prompt(contained, _granted(asked.actions)),
        "approval_prompt_denied": compose.approval_prompt(
            sample_cases()["denied"],
            _approval(asked.actions, ApprovalState.DENIED, reason="Call Jane first", **decided),
        ),
        "approval_prompt_expired": compose.approval_prompt(
            sample_cases()["expired"], _approval(asked.actions, ApprovalState.EXPIRED)
        ),
        "approval_prompt_cancelled": compose.approval_prompt(
            sample_cases()["cancelled"], _approval(asked.actions, ApprovalState.CANCELLED)
        ),
        "approval_prompt_superseded": compose.approval_prompt(
            asked, _approval(asked.actions, ApprovalState.SUPERSEDED)
        ),
        "approval_prompt_sign_in": compose.sign_in_first(
            compose.approval_prompt(asked, pending),
            "https://unblock.contoso.com/step-up/abc",
            ticked=(),
            reason="I called her",
        ),
        "approval_prompt_refused": compose.refusal(say("refusal.own_request"), compose.approval_prompt(asked, pending)),
        **_seen_prompts(),
    }


def _seen_prompts() -> dict[str, View]:
    """An open question that needs two, as each viewer sees it, and on its way from one level to the next."""
    asked = _judged(CaseState.AWAITING_APPROVAL)
    one_of_two = sample_cases()["one_of_two"].approvals[0]
    nobody_yet = one_of_two.model_copy(update={"votes": ()})
    passed_on = nobody_yet.model_copy(update={"level": 1, "asked_names": (_LEE.name, "Grace Hopper")})
    never = nobody_yet.model_copy(
        update={"never": say("policy.never.protected", kind=say("policy.kind.break_glass")), "needed": 1, "why": ()}
    )
    return {
        "approval_prompt_nobody_of_two": compose.approval_prompt(asked, nobody_yet),
        "approval_prompt_one_of_two": compose.approval_prompt(asked, one_of_two, reader=_LEE.user_oid),
        "approval_prompt_own_vote": compose.approval_prompt(asked, one_of_two, reader=_MEGAN.user_oid),
        "approval_prompt_requester": compose.approval_prompt(asked, one_of_two, Viewer.REQUESTER, _ALEX.user_oid),
        "approval_prompt_bystander": compose.approval_prompt(asked, one_of_two, Viewer.BYSTANDER),
        "approval_prompt_crowd": replace(
            compose.approval_prompt(asked, one_of_two, Viewer.CROWD), refresh_for=("29:1alex", "29:1megan")
        ),
        "approval_prompt_escalated": compose.approval_prompt(asked, passed_on),
        "approval_prompt_never": compose.approval_prompt(asked, never),
        "approval_prompt_not_asked": compose.refusal(
            say("refusal.not_asked"), compose.approval_prompt(asked, nobody_yet, Viewer.BYSTANDER)
        ),
        "oncall": compose.notice(
            Tone.NEUTRAL,
            say("notice.oncall", names=(_MEGAN.name, _LEE.name)),
            (
                say("notice.oncall_between", since=NOW - timedelta(hours=9), until=NOW + timedelta(hours=15)),
                say("oncall.where.source", source="PagerDuty"),
            ),
        ),
        "oncall_source_down": compose.notice(
            Tone.WARNING,
            say("notice.oncall", names=(_MEGAN.name,)),
            (
                say("oncall.where.last_known", source="PagerDuty", at=NOW - timedelta(hours=2)),
                say(
                    "oncall.problem.last_known",
                    reasons=[say("oncall.why.silent", source="PagerDuty")],
                    source="PagerDuty",
                    at=NOW - timedelta(hours=2),
                ),
            ),
        ),
    }


def _one_of_two() -> Case:
    """Two must agree, and Megan has, with the boxes as they were proposed."""
    case = _judged(CaseState.AWAITING_APPROVAL)
    why = (say("policy.why.impact", impact=say("impact.high"), count=say("policy.count.2")),)
    levels, asked = (("oncall",), (_LEE.user_oid,)), (_MEGAN.name, _LEE.name)
    needs = {"needed": 2, "levels": levels, "why": why, "asked_names": asked}
    question = case.approvals[0].model_copy(update=needs)
    vote = Vote(by=_MEGAN, granted=True, at=NOW + timedelta(minutes=4), ticked=compose.proposed_ticks(case, question))
    return case.with_approval(question.model_copy(update={"votes": (vote,)}))


def _first_prompt(case: Case) -> View:
    return compose.approval_prompt(case, case.approvals[0])


def _synced() -> Case:
    """An account whose password is on-premises, and a tenant with a blocked connector."""
    actions = (
        _containment()[0],
        _action("a2", ActionKind.RESET_PASSWORD_ON_PREMISES, JANE.upn, Impact.HIGH),
        _action("a3", ActionKind.CLEAR_FORWARDING, "jane.d0e@outlook.example", Impact.LOW, reversible=True),
        _unblock(),
    )
    block = _block().model_copy(update={"blocked_connectors": ("Scanner relay",)})
    subject = JANE.model_copy(update={"is_synced": True})
    return _judged(CaseState.AWAITING_APPROVAL, subject=subject, block=block, actions=actions)


def _override_prompt() -> View:
    locked = _locked()
    return compose.approval_prompt(locked, locked.pending_approval)


def _calls() -> tuple[tuple[str, tuple[str, ...], Text | None], ...]:
    body = '{"passwordProfile": {"forceChangePasswordNextSignIn": true, "password": "(random)"}}'
    cmdlet = "Disable-InboxRule -Mailbox jane@contoso.com -Identity 5134 -Confirm:$false -Force"
    user = f"/v1.0/users/{JANE.user_oid}"
    return (
        ("a1", (f"POST {user}/revokeSignInSessions", "{}"), None),
        ("a2", (f"PATCH {user}", body), None),
        ("a3", (f"POST {cmdlet}",), None),
    )


def _small_cards() -> dict[str, View]:
    cases = sample_cases()
    many = tuple(
        JANE.model_copy(update={"user_oid": f"8f2f4bd0-0f3a-4f0c-9d57-2f6c1a0d4{n:03}", "upn": f"jane{n}@contoso.com"})
        for n in range(40)
    )
    listed = [cases[name] for name in ("awaiting_approval", "containing", "locked", "choosing", "unblocked")]
    crowd = cases["choosing"].model_copy(update={"candidates": many})
    return {
        "check_running": compose.check(cases["investigating"].model_copy(update={"case_id": ""})),
        "check_done": compose.check(cases["awaiting_approval"].model_copy(update={"case_id": ""})),
        "access_pass": compose.access_pass(cases["unblocked"], "Zr7%kQ2u", NOW + timedelta(hours=1)),
        "dry_run": compose.dry_run(cases["awaiting_approval"], _calls()),
        "dry_run_nothing": compose.dry_run(cases["investigating"], ()),
        "choose_account": compose.choose_account(cases["choosing"]),
        "choose_account_many": compose.choose_account(crowd),
        "choose_account_refused": compose.refusal(say("error.not_allowed"), compose.choose_account(cases["choosing"])),
        "notice": compose.notice(Tone.WARNING, say("refusal.headline"), (say("outcome.nobody", query="jane"),)),
        "refusal": compose.refusal(say("error.not_allowed"), None),
        "case_list": compose.case_list(listed, say("case_list.title")),
        "case_list_many": compose.case_list(listed * 8, say("case_list.title")),
        "case_list_empty": compose.case_list((), say("case_list.title")),
        "help_card": compose.help_card(True),
        "help_card_may_not_request": compose.help_card(False),
    }


# --- after the unblock -----------------------------------------------------------------------------------------------

_UNBLOCKED_AT = NOW + timedelta(minutes=5)


def followed_cases() -> dict[str, Case]:
    """An unblocked case at several moments of the day after."""
    known = {"looked_at": NOW + timedelta(minutes=40), "messages": 3, "recipients": 3}
    flows = {**known, "first_delivered_at": NOW + timedelta(minutes=21), "refused_at": NOW + timedelta(minutes=9)}
    refused = {**known, "refused_at": NOW + timedelta(hours=2), "refused_code": "5.1.8"}
    burst = {"messages": 9, "recipients": 214, "burst_recipients": 206, "burst_at": NOW + timedelta(minutes=33)}
    a_day_later = {"looked_at": NOW + timedelta(hours=25), "escalated_at": NOW + timedelta(hours=24, minutes=5)}
    return {
        "waiting": _followed(tell_user_by=_ALEX),
        "expected": _followed(**{**known, "refused_at": NOW + timedelta(minutes=9), "refused_code": "5.1.8"}),
        "flows": _followed(**flows, user_told=True, tell_user_by=_ALEX),
        "refused": _followed(**refused),
        "a_day_refused": _followed(**{**refused, **a_day_later}),
        "a_day_silent": _followed(**a_day_later),
        "a_day_unproven": _followed(**{**known, **a_day_later}),
        "a_day_unread": _followed(**a_day_later, unread=say("unreadable.throttled")),
        "burst": _followed(**{**flows, **burst}),
        "closed": _followed(**flows).moved(
            CaseState.CLOSED, NOW + timedelta(hours=21), outcome=say("outcome.closed_flowing", at=NOW)
        ),
    }


def _followed(**seen: object) -> Case:
    midnight = NOW.replace(hour=0, minute=0) + timedelta(days=1)
    times = {"next_look_at": midnight, "unguarded_until": midnight, "escalate_at": _UNBLOCKED_AT + timedelta(hours=24)}
    follow = FollowUp(unblocked_at=_UNBLOCKED_AT, **{**times, **seen})
    outcome, prevention = say("outcome.unblocked"), _prevention()
    return _acting(CaseState.UNBLOCKED, *_ALL_PROVEN, outcome=outcome, prevention=prevention, follow_up=follow)


def _news_cards() -> dict[str, View]:
    cases = followed_cases()
    kinds = {
        "mail_flows": (NewsKind.MAIL_FLOWS, "flows"),
        "mail_flows_closed": (NewsKind.MAIL_FLOWS, "closed"),
        "still_refused": (NewsKind.STILL_REFUSED, "refused"),
        "nothing_delivered_refused": (NewsKind.NOTHING_DELIVERED, "a_day_refused"),
        "nothing_delivered_silent": (NewsKind.NOTHING_DELIVERED, "a_day_silent"),
        "nothing_delivered_unproven": (NewsKind.NOTHING_DELIVERED, "a_day_unproven"),
        "nothing_delivered_unread": (NewsKind.NOTHING_DELIVERED, "a_day_unread"),
        "burst": (NewsKind.BURST, "burst"),
        "user_can_send": (NewsKind.USER_CAN_SEND, "flows"),
    }
    told = {name: News(news_id=name, kind=kind, audience=Audience.REQUESTER) for name, (kind, _) in kinds.items()}
    return {
        **{f"news_{name}": news.news(cases[case], told[name]) for name, (_, case) in kinds.items()},
        **{f"checklist_followed_{name}": compose.checklist(cases[name]) for name in ("waiting", "expected", "burst")},
    }


# --- prevention ------------------------------------------------------------------------------------------------------


def _prevention_cards() -> dict[str, View]:
    lists = prevention_cases()
    return {
        **{f"prevention_{name}": prevention.board(case) for name, case in lists.items()},
        "prevention_hostile": prevention.board(_hostile_owner(lists["account"])),
        "prevention_wrong_owner": replace(
            prevention.board(lists["account"]), refused=say("bad_owner.nobody", query=_HOSTILE)
        ),
        "prevention_explained": prevention.explained(lists["account"], ("user_mfa", "warn_contacts")),
        "reminder_owner": prevention.reminder(lists["overdue"], _ALEX.user_oid),
        "reminder_nobodys": prevention.reminder(lists["organisation"], ""),
        "reminder_done": prevention.reminder(lists["done"], _ALEX.user_oid),
        "approval_prompt_fix": compose.approval_prompt(lists["fix_asked"], lists["fix_asked"].approvals[0]),
        "checklist_overdue": compose.checklist(lists["overdue"]),
    }


def prevention_cases() -> dict[str, Case]:
    """Cases whose prevention list is looked at."""
    account = _acting(
        CaseState.CLOSED, *_ALL_PROVEN, prevention=_prevention(ticked=True), follow_up=_followed().follow_up
    )
    organisation = _organisation(_open_everywhere())
    everything_done = tuple(item.model_copy(update={"state": PreventionState.OK}) for item in _prevention(ticked=True))
    return {
        "account": account,
        "overdue": account.model_copy(update={"changed_at": NOW + timedelta(days=20)}),
        "done": account.model_copy(update={"prevention": everything_done}),
        "organisation": organisation,
        "organisation_unread": _organisation(()),
        "fix_asked": _fix_asked(organisation),
    }


def _organisation(items: tuple[PreventionItem, ...]) -> Case:
    nobody = Actor(user_oid="", name="Unblock", tenant_id=_TENANT)
    fields = {"case_id": "T7Q2M4", "kind": CaseKind.TENANT, "query": "", "requester": nobody}
    case = _case(CaseState.TRACKING, **fields)
    return case.model_copy(update={"prevention": with_defaults(case, items)})


def _open_everywhere() -> tuple[PreventionItem, ...]:
    """The longest list that there is: everything that concerns the organisation, open, with all that can be said."""
    ids = [item_id for item_id, item in CATALOGUE.items() if item.scope is Scope.TENANT]
    return tuple(_open_item(item_id, place) for place, item_id in enumerate(ids))


#: What the bot says of the items whose text is not simply that they are open.
_READ: Mapping[str, tuple[PreventionState, Text]] = {
    "secure_score": (PreventionState.OPEN, say("prevention.secure_score.value", score=142, max=340)),
    "outbound_policy": (PreventionState.OPEN, say("prevention.outbound_policy.no_limit", policy="Default")),
    "alert_policy": (PreventionState.UNKNOWN, say("prevention.alert_policy.unseen")),
    "federated_accounts": (PreventionState.TODO, say("prevention.federated_accounts.synced")),
    "identity_protection": (PreventionState.UNKNOWN, say("unreadable.licence_named", licence="Entra ID P2")),
}


def _open_item(item_id: str, place: int) -> PreventionItem:
    known = CATALOGUE[item_id]
    plainly = (PreventionState.OPEN, say(f"prevention.{item_id}.open", n=6))
    state, told = (PreventionState.TODO, say("prevention.todo")) if known.is_manual else _READ.get(item_id, plainly)
    return PreventionItem(
        item_id=item_id,
        state=state,
        summary=told,
        owner=_MEGAN if place % 4 == 0 else None,
        points=8.0 if known.controls and state is PreventionState.OPEN else None,
        fix=known.fix,
        checked_at=NOW,
    )


def _fix_asked(organisation: Case) -> Case:
    fix = _action("f1", ActionKind.BLOCK_AUTO_FORWARDING, "Default", Impact.MEDIUM, reversible=True)
    asked = _approval((), purpose=ApprovalPurpose.FIX, about=("f1",), asked_by=_ALEX)
    return organisation.model_copy(update={"fixes": (fix,), "approvals": (asked,)})


def _hostile_owner(case: Case) -> Case:
    """An owner whose name would like to be markup."""
    owner = _ALEX.model_copy(update={"name": _HOSTILE * 3})
    items = tuple(item.model_copy(update={"owner": owner, "ticked_by": owner}) for item in case.prevention)
    return case.model_copy(update={"prevention": items})


# --- why mail does not leave -----------------------------------------------------------------------------------------


def _diagnosis_cards() -> dict[str, View]:
    found = sample_diagnoses()
    cards = {f"diagnosis_{name}": diagnosis(each, JANE) for name, each in found.items()}
    hostile = JANE.model_copy(update={"display_name": _HOSTILE * 3})
    return {
        **cards,
        "diagnosis_of_report": diagnosis(found["recipient_rate"]),
        "diagnosis_hostile": diagnosis(_hostile_diagnosis(), hostile),
    }


def sample_diagnoses() -> dict[str, Diagnosis]:
    """What `why` can come to."""
    reported = (say("diagnosis.report.code", code="5.1.90"), say("diagnosis.report.as_number", number="42004"))
    connector_id = "3f1c9a52-0b7e-4d7a-9c1e-5a2d8e6b4f10"
    connector = Cause(
        kind=CauseKind.CONNECTOR,
        certainty=Certainty.POSSIBLE,
        lifter=Lifter.ADMIN,
        since=NOW - timedelta(days=2),
        connectors=(connector_id,),
        evidence=(say("diagnosis.connector", name=connector_id), say("diagnosis.reason.percent", n=88)),
    )
    no_trace = say("diagnosis.unread.trace", why=say("unreadable.permission_named", permission="X.Read.All"))
    nothing = Cause(kind=CauseKind.NONE, lifter=Lifter.NOBODY)
    causes = {
        "restricted": (_on_the_list(),),
        "until_tomorrow": (_cause(CauseKind.UNTIL_TOMORROW, Lifter.TIME, ends_at=NOW + timedelta(hours=21)),),
        "recipient_rate": (
            _cause(CauseKind.RECIPIENT_RATE, Lifter.TIME, *reported, ends_at=NOW + timedelta(hours=5), code="5.1.90"),
        ),
        "connector": (connector.model_copy(update={"certainty": Certainty.SEEN, "code": "5.7.711"}),),
        "tenant_limit": (_cause(CauseKind.TENANT_LIMIT, Lifter.TIME, code="5.7.233"),),
        "tenant_restricted": (_cause(CauseKind.TENANT_RESTRICTED, Lifter.MICROSOFT, code="5.7.705"), _on_the_list()),
        "forwarding_forbidden": (_cause(CauseKind.FORWARDING_FORBIDDEN, Lifter.SETTING, code="5.7.520"),),
        "other": (_cause(CauseKind.OTHER, Lifter.NOBODY, say("diagnosis.code.recipient"), code="5.1.10"),),
        "banned": (_cause(CauseKind.OTHER, Lifter.MICROSOFT, say("diagnosis.code.banned_sender"), code="5.7.502"),),
        "none": (nothing, connector),
    }
    perhaps = nothing.model_copy(update={"certainty": Certainty.POSSIBLE})
    return {
        **{name: Diagnosis(causes=each) for name, each in causes.items()},
        "unread": Diagnosis(causes=(perhaps,), unread=(no_trace,)),
    }


def _cause(kind: CauseKind, lifter: Lifter, *evidence: Text, **more: object) -> Cause:
    return Cause(kind=kind, lifter=lifter, evidence=evidence, **more)


def _on_the_list() -> Cause:
    reason = (
        say("diagnosis.reason.limit"),
        say("diagnosis.reason.internal", n=3),
        say("diagnosis.reason.external", n=2871),
        say("diagnosis.reason.limit_external"),
        say("diagnosis.reason.other", name="NewKey", value="42"),
    )
    return _cause(CauseKind.RESTRICTED, Lifter.ADMIN, *reason, since=NOW - timedelta(hours=1, minutes=17))


def _hostile_diagnosis() -> Diagnosis:
    line = say("diagnosis.forwarding.rule", rule=_HOSTILE * 4, targets=[_HOSTILE] * 12)
    causes = tuple(_cause(kind, Lifter.ADMIN, *(line,) * 20, connectors=(_HOSTILE,)) for kind in CauseKind)
    return Diagnosis(causes=causes, unread=(say("diagnosis.unread.list", why=_HOSTILE),) * 3)


# --- pictures --------------------------------------------------------------------------------------------------------


def drawn_cases() -> dict[str, Case]:
    """Cases with pictures: the attack on Jane, as much as can be, and with parts that are missing."""
    jane = sample_cases()["unblocked"]
    everything = _pictures(hours=28, days=6)
    unread = Pictures(sent=everything.sent[16:])
    return {
        "jane": jane.model_copy(update={"pictures": everything}),
        "full": jane.model_copy(update={"pictures": _pictures(hours=72, days=30, marks=200)}),
        "not_blocked": jane.model_copy(update={"block": None, "reading_since": NOW, "pictures": _quiet(everything)}),
        "unread": jane.model_copy(update={"pictures": unread}),
        "none": jane,
    }


def _pictures(*, hours: int, days: int, marks: int = 40) -> Pictures:
    """An attack from Nigeria and Vietnam on somebody who writes a few messages a day, and one setting put right."""
    first = NOW.replace(minute=0) - timedelta(hours=25)
    spikes = {22: (402, 1204), 23: (561, 1667)}
    usual = [(0, 0), (1, 1), (2, 3), (0, 0), (3, 5), (1, 2)]
    counts = [spikes.get(n, usual[n % len(usual)] if n < 22 else (0, 0)) for n in range(hours)]
    places = ["SE"] * 7 + ["DK"]
    own = [_mark(NOW - timedelta(hours=4 + n * 24 * days / marks), places[n % len(places)], True) for n in range(marks)]
    attack = [_mark(NOW - timedelta(minutes=95 - n), ("NG", "VN")[n % 2], n in (2, 5)) for n in range(9)]
    scores = [ScoreMark(at=_midnight(n), score=45.1 + (2.2 if n == 0 else 0), maximum=120) for n in range(days)]
    return Pictures(
        sent=tuple(
            HourCount(at=first + timedelta(hours=n), messages=m, recipients=r) for n, (m, r) in enumerate(counts)
        ),
        sign_ins=tuple(sorted((*own, *attack), key=lambda mark: mark.at))[-200:],
        scores=tuple(reversed(scores)),
    )


def _quiet(drawn: Pictures) -> Pictures:
    home = tuple(mark for mark in drawn.sign_ins if mark.country == "SE")
    return Pictures(sent=drawn.sent[2:22], sign_ins=home, scores=drawn.scores[-1:])


def _midnight(days_ago: int) -> datetime:
    return NOW.replace(hour=0, minute=0) - timedelta(days=days_ago)


def _mark(at: datetime, country: str, succeeded: bool) -> SignInMark:
    return SignInMark(at=at, country=country, succeeded=succeeded)


def _picture_cards() -> dict[str, View]:
    return {f"pictures_{name}": pictures(case) for name, case in drawn_cases().items()}


# --- alerts ----------------------------------------------------------------------------------------------------------


def sample_alerts() -> dict[str, Alert]:
    """One alert of each kind, and one about Jane in every state."""
    impression = (
        _finding("risk_state", SignalState.UNKNOWN, say("unreadable.licence_named", licence="Entra ID P2")),
        _finding("inbox_rules", SignalState.FOUND, say("finding.inbox_rules.suspicious", n=2), weight=60),
        _finding("forwarding", SignalState.CLEAR, say("finding.forwarding.none")),
        _finding("password_age", SignalState.CLEAR, say("finding.password_age.days", n=412)),
    )
    jane, later = _alert_about_jane(), NOW + timedelta(minutes=20)
    read = jane.model_copy(update={"impression": impression})
    case = {"case_id": "K4P7Z9"}
    by_case = say("alert.ended.our_case_approved", **case, by=_MEGAN.name)
    return {
        "new": jane,
        "restricted": read,
        "until_tomorrow": _alert(AlertKind.SENDER_RESTRICTED, temporary=True, since=None),
        "reported": _alert(
            AlertKind.SENDER_RESTRICTED, source=SourceName.DEFENDER, title="User restricted from sending"
        ),
        "suspected": _alert(
            AlertKind.SENDER_SUSPECTED, source=SourceName.DEFENDER, title="Suspicious email sending patterns detected"
        ),
        "connector": _alert(
            AlertKind.CONNECTOR_BLOCKED,
            about="3f1c9a52-0b7e-4d7a-9c1e-5a2d8e6b4f10",
            name="Scanner",
            source=SourceName.BLOCKED_CONNECTORS,
        ),
        "tenant": _alert(
            AlertKind.TENANT_RESTRICTED,
            about="tenant",
            name="",
            source=SourceName.DEFENDER,
            title="Tenant restricted from sending email",
        ),
        "early_warning": _alert(
            AlertKind.EARLY_WARNING,
            source=SourceName.EARLY_WARNING,
            severity=Severity.MEDIUM,
            what=say("follow.burst", n=412, at=NOW - timedelta(minutes=50)),
        ),
        "health": _alert(
            AlertKind.HEALTH,
            about="source:restricted_list",
            name="",
            source=SourceName.HEALTH,
            what=say(
                "alert_list.unread_since",
                source=say("health.source.restricted_list"),
                why=say("unreadable.permission"),
                at=NOW - timedelta(minutes=4),
            ),
        ),
        "health_over": _alert(
            AlertKind.HEALTH, about="source:restricted_list", name="", source=SourceName.HEALTH
        ).model_copy(update={"state": AlertState.ENDED, "ended_at": later, "ended": say("alert.ended.works_again")}),
        "in_case": read.model_copy(update=case),
        "case_denied": read.model_copy(update=case),
        "snoozed": read.model_copy(update={"snoozed_until": NOW + timedelta(hours=4), "snoozed_by": _MEGAN}),
        "set_aside": read.model_copy(update={"set_aside_by": _MEGAN, "set_aside_at": NOW}),
        "over": read.model_copy(update={"state": AlertState.ENDED, "ended_at": later, "ended": by_case, **case}),
        "lifted": read.model_copy(
            update={"state": AlertState.ENDED, "ended_at": later, "ended": say("alert.ended.elsewhere")}
        ),
    }


def _alert_about_jane(number: int = 0) -> Alert:
    alert = _alert(AlertKind.SENDER_RESTRICTED, reason={"ExternalRecipientCountToday": "2871"})
    return alert.model_copy(update={"alert_id": f"A{number:05}"})


def _alert(kind: AlertKind, about: str = JANE.upn, name: str = JANE.display_name, **report: object) -> Alert:
    since = NOW - timedelta(minutes=77)
    values = {"source": SourceName.RESTRICTED_LIST, "since": since, "severity": Severity.HIGH, **report}
    told = Report(kind=kind, about=about, name=name, **values)
    return Alert(
        alert_id="A00001",
        tenant_id=_TENANT,
        kind=kind,
        about=about,
        name=name,
        since=told.since or NOW,
        is_since_known=told.since is not None,
        noticed_at=NOW,
        severity=told.severity,
        reports=(told,),
    )


def campaign(size: int) -> tuple[Alert, ...]:
    """Many accounts that were blocked one after the other; some of them are dealt with already."""
    some = [sample_alerts()[name] for name in ("new", "in_case", "over", "snoozed")]
    return tuple(
        some[0 if number % 5 else number % 4].model_copy(
            update={
                "alert_id": f"A{number:05}",
                "about": f"person{number}@contoso.com",
                "name": f"Person {number}",
                "since": NOW - timedelta(seconds=number),
                "digest_id": "D1",
            }
        )
        for number in range(size)
    )


def _alert_cards() -> dict[str, View]:
    alerts, cases = sample_alerts(), sample_cases()
    dealing = {"in_case": cases["awaiting_approval"], "case_denied": cases["denied"]}
    hostile = alerts["restricted"].model_copy(update={"name": _HOSTILE * 3, "about": _HOSTILE})
    people = (_MEGAN, _ALEX.model_copy(update={"name": "<at>Eve</at> [x](https://evil.example)"}))
    return {
        **{f"alert_{name}": alert_card(each, NOW, dealing.get(name), (_MEGAN,)) for name, each in alerts.items()},
        "alert_hostile": alert_card(hostile, NOW, None, people),
        "alert_refused": compose.refusal(say("refusal.not_requester"), alert_card(alerts["restricted"], NOW)),
        **_digest_cards(),
        **_list_cards(alerts),
        **_weekly_cards(),
    }


def _digest_cards() -> dict[str, View]:
    case = {"K4P7Z9": sample_cases()["awaiting_approval"]}
    ended = {"state": AlertState.ENDED, "ended_at": NOW, "ended": sample_alerts()["over"].ended}
    over = tuple(alert.model_copy(update=ended) for alert in campaign(6))
    hostile = tuple(alert.model_copy(update={"name": _HOSTILE * 3, "about": _HOSTILE * 3}) for alert in campaign(12))
    return {
        "alert_digest": digest(campaign(6), case, NOW, digest_id="D1", mentions=(_MEGAN,)),
        "alert_digest_many": digest(campaign(2000), case, NOW, digest_id="D1", mentions=(_MEGAN,)),
        "alert_digest_second_page": digest(campaign(37), case, NOW, digest_id="D1", page=1),
        "alert_digest_last_page": digest(campaign(37), case, NOW, digest_id="D1", page=3),
        "alert_digest_over": digest(over, {}, NOW, digest_id="D1"),
        "alert_digest_hostile": digest(hostile, case, NOW, digest_id="D1"),
        "alert_digest_refused": compose.refusal(
            say("refusal.not_requester"), digest(campaign(6), case, NOW, digest_id="D1")
        ),
        "alert_digest_sure": sure_to_start(37, "D1"),
        "alert_digest_started": all_started(37, "D1"),
        "alert_digest_snoozed": all_snoozed(37, NOW + timedelta(hours=4), "D1"),
    }


def _list_cards(alerts: Mapping[str, Alert]) -> dict[str, View]:
    one_of_each = [alerts[name] for name in ("restricted", "connector", "tenant", "health", "set_aside")]
    well = SourceState(source=SourceName.RESTRICTED_LIST, due_at=NOW, last_read_at=NOW)
    connectors = well.model_copy(update={"source": SourceName.BLOCKED_CONNECTORS})
    failing = well.model_copy(update={"failures": 3, "why": say("unreadable.permission")})
    listed = [ListedBlock(each.about, each.name, since=each.since, alert=each) for each in campaign(12)]
    unknown = ListedBlock("printer@contoso.com", since=None, temporary=True)
    connector = ListedBlock(alerts["connector"].about, "Scanner", is_connector=True, since=NOW)
    no_list = say("restricted.unread", why=say("unreadable.permission"))
    return {
        "alert_list": alert_list(OpenAlerts(tuple(one_of_each), {}, (well, connectors)), NOW),
        "alert_list_none": alert_list(OpenAlerts((), {}, (well, connectors)), NOW),
        "alert_list_blind": alert_list(OpenAlerts((), {}, (failing,)), NOW),
        "restricted": restricted(RestrictedNow(NOW, (unknown, connector, *listed)), 0),
        "restricted_none": restricted(RestrictedNow(NOW)),
        "restricted_unread": restricted(RestrictedNow(NOW, unread=(no_list,))),
    }


def sample_week() -> WeeklySummary:
    """A week with a campaign on its third day."""
    first = NOW.date() - timedelta(days=7)
    counts = (0, 2, 37, 4, 0, 1, 3, 0)
    return WeeklySummary(
        summary_id="weekly-2026-11-24",
        since=NOW - timedelta(days=7),
        until=NOW,
        time_zone="Europe/Stockholm",
        days=tuple(DayCount(day=first + timedelta(days=n), blocks=count) for n, count in enumerate(counts)),
        cases=44,
        verdicts={VerdictLabel.COMPROMISED: 39, VerdictLabel.SUSPECTED: 3, VerdictLabel.NO_EVIDENCE: 1},
        undecided=1,
        times=tuple(
            Stretch(start=start, end=end, n=n, median_s=seconds)
            for (start, end), (n, seconds) in zip(
                STRETCHES, ((47, 48.0), (43, 372.0), (41, 95.0), (41, 1265.0), (30, 2460.0)), strict=True
            )
        ),
        owners=(OwnerCount(owner=_MEGAN, open_items=5, overdue=1), OwnerCount(owner=None, open_items=3)),
        alerts_open=2,
    )


def _weekly_cards() -> dict[str, View]:
    week = sample_week()
    quiet = {"days": tuple(DayCount(day=day.day, blocks=0) for day in week.days), "cases": 0, "undecided": 0}
    nothing = {**quiet, "verdicts": {}, "times": (), "owners": (), "alerts_open": 0}
    unread = say("weekly.unread_source", source=say("health.source.restricted_list"), since=NOW - timedelta(days=1))
    return {
        "weekly": weekly(week),
        "weekly_quiet": weekly(week.model_copy(update=nothing)),
        "weekly_unread": weekly(week.model_copy(update={**nothing, "unread": (unread,)})),
    }
