"""
Every card in every state, from made-up but realistic cases: for previews, for tests, and to try a connection with.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cards import compose, faces
from cards.views import Tone, View
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
    CaseState,
    Finding,
    Impact,
    PreventionItem,
    PreventionState,
    ScorePart,
    SignalState,
    Subject,
    Text,
    UnknownReason,
    Verdict,
    VerdictLabel,
    plan_hash,
    say,
)

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
        ("mfa_everyone", ok, say("prevention.mfa_everyone.ok")),
        ("outbound_policy", ok, say("prevention.outbound_policy.ok", n=500)),
        ("auto_forwarding", missing, say("prevention.auto_forwarding.open")),
        ("unified_audit", ok, say("prevention.unified_audit.ok")),
        ("mailbox_audit", PreventionState.UNKNOWN, say("unreadable.permission")),
        ("secure_score", ok, say("prevention.secure_score.value", score=212, max=340)),
        *((item_id, todo, say("prevention.todo")) for item_id in (*by_hand, "phishing_training")),
    )
    items = tuple(PreventionItem(item_id=i, state=state, summary=summary) for i, state, summary in checked)
    return tuple(_ticked(item) for item in items) if ticked else items


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
            outcome=say("action.unblock.limit_exceeded", detail="limit reached"),
        ),
        "denied": _judged(
            CaseState.DENIED, outcome=say("outcome.denied_because", who="Megan Bowen", reason="Call Jane first")
        ),
        "expired": _judged(CaseState.EXPIRED, outcome=say("outcome.expired_awaiting_approval")),
        "expired_locked": _acting(CaseState.EXPIRED, *_ONE_FAILED, outcome=say("outcome.expired_locked")),
        "cancelled": _judged(CaseState.CANCELLED, outcome=say("outcome.cancelled", who="Alex Wilber")),
        "nothing_to_do": _case(CaseState.NOTHING_TO_DO, outcome=say("outcome.nobody", query="jane")),
        "nothing_to_do_until_tomorrow": _known(
            CaseState.NOTHING_TO_DO,
            block=Block(kind=BlockKind.UNTIL_TOMORROW),
            outcome=say("outcome.until_tomorrow", upn=JANE.upn),
        ),
    }


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
    return {**_checklists(), **_prompts(), **_small_cards()}


def _checklists() -> dict[str, View]:
    cases = sample_cases()
    return {
        **{f"checklist_{name}": compose.checklist(case) for name, case in cases.items()},
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
        "approval_prompt_refused": compose.refusal(say("refusal.own_request"), compose.approval_prompt(asked, pending)),
    }


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
