"""
The nouns of the house: a case, what was found, what is proposed, what was decided. Plain frozen values, no I/O.

Everything that is shown later is kept as a `Text` (key and parameters), never as words, so that each reader gets it in
their own language. All moments are aware datetimes in UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Union

from pydantic import BaseModel, ConfigDict, Field

from services.errors import WrongState


class Value(BaseModel):
    """A frozen value that stores itself as JSON; fields that a newer version added are kept out of its way."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Moment(Value):
    """A point in time inside a text's parameters; written out in the reader's language when shown."""

    at: datetime


class Text(Value):
    """Something to be said: the key of a message and its parameters. What people typed goes in `params` unescaped."""

    key: str
    params: dict[str, Param] = Field(default_factory=dict)


Scalar = Union[Text, Moment, bool, int, float, str, None]  # noqa: UP007 - Text is not complete here yet
Param = Union[Scalar, list[Scalar]]  # noqa: UP007
Text.model_rebuild()


def say(key: str, **params: Any) -> Text:
    """A `Text`; a datetime among the parameters becomes a `Moment`."""
    return Text(key=key, params={name: _param(value) for name, value in params.items()})


def _param(value: Any) -> Any:
    if isinstance(value, datetime):
        return Moment(at=value)
    return [_param(item) for item in value] if isinstance(value, (list, tuple)) else value


# --- who and what ----------------------------------------------------------------------------------------------------


class Actor(Value):
    """Who did something, always from a verified token: never from card data."""

    #: Entra object id of the person.
    user_oid: str
    #: Display name at that moment; anybody may rename themselves, so it is shown and never trusted.
    name: str
    tenant_id: str


class Subject(Value):
    """The account that the case is about, as Entra describes it."""

    user_oid: str
    upn: str
    display_name: str
    mail: str | None = None
    account_enabled: bool | None = None
    is_guest: bool = False
    #: True when the account is mastered on-premises, so that its password can only be changed there.
    is_synced: bool = False
    job_title: str | None = None
    department: str | None = None
    password_changed_at: datetime | None = None
    sessions_valid_from: datetime | None = None
    #: UserMailbox, SharedMailbox, ... as Exchange calls it; None when it was not asked, or there is no mailbox.
    mailbox_type: str | None = None

    @property
    def is_shared_mailbox(self) -> bool:
        return (self.mailbox_type or "").casefold() == "sharedmailbox"


class BlockKind(StrEnum):
    """What keeps the account from sending."""

    RESTRICTED = "restricted"  # on the restricted list until somebody removes it
    UNTIL_TOMORROW = "until_tomorrow"  # blocked by the outbound policy until the next day UTC
    NONE = "none"  # nothing was found on any list that we can read
    UNKNOWN = "unknown"  # the list could not be read


class Block(Value):
    """A block and why: `reason` holds the parts of Microsoft's reason string, unknown ones included."""

    kind: BlockKind
    #: Identity of the entry on the list: the UPN for hosted mailboxes, the SMTP address otherwise.
    sender_address: str | None = None
    since: datetime | None = None
    reason_raw: str = ""
    reason: dict[str, str] = Field(default_factory=dict)
    #: Connectors of the tenant that are blocked as well; unblocking a user does not help those.
    blocked_connectors: tuple[str, ...] = ()
    #: Why the list could not be read, when kind is UNKNOWN.
    unreadable: Text | None = None


# --- what was found --------------------------------------------------------------------------------------------------


class SignalState(StrEnum):
    """How one signal ended. Unknown is not clean: it never counts as good news."""

    PENDING = "pending"
    FOUND = "found"
    CLEAR = "clear"
    UNKNOWN = "unknown"


class UnknownReason(StrEnum):
    """Why a signal could not be read."""

    LICENCE = "licence"
    PERMISSION = "permission"
    THROTTLED = "throttled"
    FAULT = "fault"
    NOT_APPLICABLE = "not_applicable"


class Finding(Value):
    """What one signal showed. `weight` is what it adds to the score when found, as rated on this evidence."""

    signal_id: str
    state: SignalState
    summary: Text
    weight: int = 0
    evidence: tuple[Text, ...] = ()
    unknown_reason: UnknownReason | None = None
    #: Machine-readable targets for the plan, such as the ids of the rules or grants that look bad.
    targets: tuple[dict[str, Any], ...] = ()
    read_at: datetime | None = None


class VerdictLabel(StrEnum):
    """The three verdicts. There is no "clean"."""

    COMPROMISED = "compromised"
    SUSPECTED = "suspected"
    NO_EVIDENCE = "no_evidence"


class ScorePart(Value):
    """What one signal has added to the score, and the most that it could have added."""

    signal_id: str
    points: int
    weight: int


class Verdict(Value):
    """The conclusion from all findings, with its breakdown and with how much could be read."""

    label: VerdictLabel
    score: int
    #: Share of the weighted signals that could be read, 0 to 1.
    completeness: float
    checked: int
    total: int
    reasons: tuple[Text, ...] = ()
    #: Signals that could not be read, by name, for the approver to know.
    missing: tuple[str, ...] = ()
    #: Those of them that are still being read, so that the verdict may yet change.
    pending: tuple[str, ...] = ()
    #: How the score came about, the heaviest first.
    breakdown: tuple[ScorePart, ...] = ()
    #: From which score on it would be "compromised", for the reader of the breakdown.
    compromised_from: int = 0
    #: So little could be read that the approver has to say why it is enough.
    low_completeness: bool = False


# --- what is done ----------------------------------------------------------------------------------------------------


class ActionKind(StrEnum):
    """The changes that the bot can make, in the order in which it makes them: the attacker out first, unblock last."""

    BLOCK_SIGN_IN = "block_sign_in"
    REVOKE_SESSIONS = "revoke_sessions"
    REMOVE_ROLE = "remove_role"  # before the password: Microsoft lets no app reset that of an admin
    RESET_PASSWORD = "reset_password"
    RESET_PASSWORD_ON_PREMISES = "reset_password_on_premises"
    REMOVE_AUTH_METHOD = "remove_auth_method"
    DISABLE_RULE = "disable_rule"
    CLEAR_FORWARDING = "clear_forwarding"
    REVOKE_GRANT = "revoke_grant"
    REMOVE_APP_ASSIGNMENT = "remove_app_assignment"
    REMOVE_DELEGATE = "remove_delegate"
    DISABLE_PROTOCOLS = "disable_protocols"
    CONFIRM_COMPROMISED = "confirm_compromised"
    UNBLOCK = "unblock"


class Impact(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class ActionState(StrEnum):
    """PROVEN is the only good end: the effect was re-read. DONE means that the call went through, no more."""

    PROPOSED = "proposed"
    RUNNING = "running"
    DONE = "done"
    PROVEN = "proven"
    FAILED = "failed"
    SKIPPED = "skipped"
    WAITING_FOR_PERSON = "waiting_for_person"


class Action(Value):
    """One change to one target. What is hashed for the approval is (kind, target), never its progress."""

    action_id: str
    kind: ActionKind
    #: Parameters of the change, exactly as approved.
    target: dict[str, Any] = Field(default_factory=dict)
    #: The target as people know it: the name of the rule, the app, the address.
    target_name: str = ""
    impact: Impact = Impact.MEDIUM
    reversible: bool = False
    #: Whether the approver may leave it out, and whether it is in unless they do.
    optional: bool = False
    ticked: bool = True
    state: ActionState = ActionState.PROPOSED
    #: A warning that the approver must see, such as what else the change does.
    warning: Text | None = None
    #: What the re-reading showed, or why it failed.
    outcome: Text | None = None
    #: What was there before, to be put back by `undo`.
    before: dict[str, Any] | None = None
    done_at: datetime | None = None
    #: How far it is with being taken back; None while nobody asked for that.
    undo_state: ActionState | None = None
    undo_outcome: Text | None = None

    @property
    def can_be_undone(self) -> bool:
        """Whether what was there before is known, and has not been put back yet."""
        done = self.state in (ActionState.PROVEN, ActionState.DONE, ActionState.FAILED)
        return self.reversible and self.before is not None and done and self.undo_state is not ActionState.PROVEN

    @property
    def is_settled(self) -> bool:
        """Proven, or left out by the approver."""
        return self.state in (ActionState.PROVEN, ActionState.SKIPPED)


def plan_hash(actions: tuple[Action, ...]) -> str:
    """SHA-256 (hex) over kinds and targets in order: what was approved is what runs."""
    plan = [(action.action_id, action.kind.value, action.target) for action in actions]
    return hashlib.sha256(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def undo_hash(actions: tuple[Action, ...]) -> str:
    """SHA-256 (hex) over the actions to take back and what each would put back."""
    plan = [(action.action_id, action.kind.value, action.target, action.before) for action in actions]
    return hashlib.sha256(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class ApprovalPurpose(StrEnum):
    REMEDIATION = "remediation"
    OVERRIDE = "override"  # unblock although containment is not proven
    UNDO = "undo"  # put back what the containment has changed


class ApprovalState(StrEnum):
    PENDING = "pending"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Approval(Value):
    """One question to the on-call and its answer. `claim` is the opaque, one-shot id that its buttons carry."""

    prompt_id: str
    claim: str
    case_id: str
    purpose: ApprovalPurpose = ApprovalPurpose.REMEDIATION
    plan_hash: str
    state: ApprovalState = ApprovalState.PENDING
    asked_at: datetime
    expires_at: datetime
    #: When it was put before people; None while it is only written down.
    posted_at: datetime | None = None
    decided_by: Actor | None = None
    decided_at: datetime | None = None
    reason: str = ""
    #: Who asked, when it was not the requester of the case.
    asked_by: Actor | None = None
    #: The actions that an undo is about.
    about: tuple[str, ...] = ()
    #: What was agreed to, when it was granted: the ids of the actions and the hash over exactly those.
    approved: tuple[str, ...] = ()
    approved_hash: str = ""


class PreventionState(StrEnum):
    OK = "ok"
    OPEN = "open"
    UNKNOWN = "unknown"
    TODO = "todo"  # only a person can do it
    TICKED = "ticked"


class PreventionItem(Value):
    """One thing that keeps it from happening again, as read from the tenant or ticked by a person."""

    item_id: str
    state: PreventionState
    summary: Text
    unknown_reason: UnknownReason | None = None
    ticked_by: Actor | None = None
    ticked_at: datetime | None = None


# --- the case --------------------------------------------------------------------------------------------------------


class CaseState(StrEnum):
    """Where a case is. See TRANSITIONS for the moves."""

    IDENTIFYING = "identifying"
    CHOOSING = "choosing"
    INVESTIGATING = "investigating"
    AWAITING_APPROVAL = "awaiting_approval"
    CONTAINING = "containing"
    LOCKED = "locked"  # containment is not proven: step 2 waits for a person
    UNBLOCKING = "unblocking"
    VERIFYING = "verifying"
    UNBLOCKED = "unblocked"
    NOT_UNBLOCKED = "not_unblocked"  # it was stopped by a fault, or the entry is still there or could not be removed
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NOTHING_TO_DO = "nothing_to_do"  # nobody, or nothing that we could unblock


#: The way a case goes. Any open case may also end as NOT_UNBLOCKED, when a fault stops it.
_MOVES: Mapping[CaseState, set[CaseState]] = {
    CaseState.IDENTIFYING: {
        CaseState.CHOOSING,
        CaseState.INVESTIGATING,
        CaseState.NOTHING_TO_DO,
        CaseState.CANCELLED,
    },
    CaseState.CHOOSING: {
        CaseState.IDENTIFYING,
        CaseState.NOTHING_TO_DO,
        CaseState.CANCELLED,
        CaseState.EXPIRED,
    },
    CaseState.INVESTIGATING: {CaseState.AWAITING_APPROVAL, CaseState.CANCELLED},
    CaseState.AWAITING_APPROVAL: {CaseState.CONTAINING, CaseState.DENIED, CaseState.EXPIRED, CaseState.CANCELLED},
    # Back to the question when something was found meanwhile that the approved plan does not have.
    CaseState.CONTAINING: {CaseState.UNBLOCKING, CaseState.LOCKED, CaseState.AWAITING_APPROVAL},
    CaseState.LOCKED: {
        CaseState.UNBLOCKING,
        CaseState.AWAITING_APPROVAL,
        CaseState.EXPIRED,
        CaseState.CANCELLED,
    },
    CaseState.UNBLOCKING: {CaseState.VERIFYING},
    CaseState.VERIFYING: {CaseState.UNBLOCKED, CaseState.UNBLOCKING},
}
TRANSITIONS: Mapping[CaseState, frozenset[CaseState]] = {
    state: frozenset(_MOVES[state] | {CaseState.NOT_UNBLOCKED}) if state in _MOVES else frozenset()
    for state in CaseState
}

#: States in which a second case for the same account would be a double action.
OPEN_STATES = frozenset(state for state, moves in TRANSITIONS.items() if moves)
#: States in which nothing was changed yet, so that the requester may call it off.
CANCELLABLE_STATES = frozenset(state for state, moves in TRANSITIONS.items() if CaseState.CANCELLED in moves)


#: Actions in these states have changed nothing.
_UNTOUCHED = frozenset({ActionState.PROPOSED, ActionState.SKIPPED, ActionState.WAITING_FOR_PERSON})
_NOT_SECURED = frozenset(
    {
        CaseState.IDENTIFYING,
        CaseState.CHOOSING,
        CaseState.INVESTIGATING,
        CaseState.AWAITING_APPROVAL,
        CaseState.CONTAINING,
        CaseState.LOCKED,
    }
)


class Case(Value):
    """One account, from the first message to the proof."""

    case_id: str
    tenant_id: str
    state: CaseState
    #: What the requester typed for the account.
    query: str
    requester: Actor
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None = None
    version: int = 1
    subject: Subject | None = None
    #: Accounts to choose from while the case is CHOOSING.
    candidates: tuple[Subject, ...] = ()
    block: Block | None = None
    findings: tuple[Finding, ...] = ()
    #: While the signals are read, and when all of them had been; a slow one may come in after the verdict.
    reading_since: datetime | None = None
    reading_ended_at: datetime | None = None
    #: Signals that showed something only after the plan was approved.
    found_late: tuple[str, ...] = ()
    verdict: Verdict | None = None
    actions: tuple[Action, ...] = ()
    approvals: tuple[Approval, ...] = ()
    prevention: tuple[PreventionItem, ...] = ()
    #: Why it ended as it did, or what it waits for now.
    outcome: Text | None = None
    #: Set when this case turned out to be another one: the id of that one.
    joined_to: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def pending_approval(self) -> Approval | None:
        return next((a for a in self.approvals if a.state is ApprovalState.PENDING), None)

    def actions_of(self, action_ids: Collection[str]) -> tuple[Action, ...]:
        """The actions with these ids, in the order of the plan."""
        return tuple(action for action in self.actions if action.action_id in action_ids)

    @property
    def containment(self) -> tuple[Action, ...]:
        """Every action but the unblock itself."""
        return tuple(action for action in self.actions if action.kind is not ActionKind.UNBLOCK)

    @property
    def containment_proven(self) -> bool:
        """Whether every action was proven by reading again, but for those that the approver left out."""
        return all(action.is_settled for action in self.containment)

    def needs_reason(self, prompt: Approval) -> bool:
        """Whether saying yes takes a reason: for an override, and where little of the evidence could be read."""
        if prompt.purpose is ApprovalPurpose.OVERRIDE:
            return True
        little = self.verdict is not None and self.verdict.low_completeness
        return prompt.purpose is ApprovalPurpose.REMEDIATION and little

    @property
    def is_secured(self) -> bool:
        """
        Whether the attacker is out as far as is known; otherwise a way in for the owner would help them too. Nothing of
        it may have been taken back, and nothing found since.
        """
        taken_back = any(action.undo_state is not None for action in self.containment)
        proven = bool(self.containment) and self.containment_proven
        return self.state not in _NOT_SECURED and proven and not taken_back and not self.found_late

    @property
    def has_changed_something(self) -> bool:
        """Whether anything was done to the account, or may have been."""
        return any(action.state not in _UNTOUCHED for action in self.actions)

    def is_about(self, user_oid: str) -> bool:
        """Whether this person is the subject. Ids are the same in any case: directories spell them freely."""
        return self.subject is not None and self.subject.user_oid.casefold() == user_oid.casefold()

    def was_asked_by(self, user_oid: str) -> bool:
        return self.requester.user_oid.casefold() == user_oid.casefold()

    def moved(self, state: CaseState, at: datetime, **changes: Any) -> Case:
        """This case in another state. Raises WrongState for a move that TRANSITIONS does not know."""
        if state not in TRANSITIONS[self.state]:
            raise WrongState(case_id=self.case_id, state=self.state.value, wanted=state.value)
        closed_at = None if state in OPEN_STATES else at
        return self.model_copy(update={"state": state, "closed_at": closed_at, **changes})

    def with_finding(self, finding: Finding) -> Case:
        others = tuple(f for f in self.findings if f.signal_id != finding.signal_id)
        return self.model_copy(update={"findings": (*others, finding)})

    def with_action(self, action: Action) -> Case:
        """This case with one action replaced; its place in the order stays."""
        actions = tuple(action if a.action_id == action.action_id else a for a in self.actions)
        return self.model_copy(update={"actions": actions})

    def with_approval(self, approval: Approval) -> Case:
        """This case with one prompt replaced, or added as the newest; the order is that in which they were asked."""
        if all(a.prompt_id != approval.prompt_id for a in self.approvals):
            return self.model_copy(update={"approvals": (*self.approvals, approval)})
        replaced = (approval if a.prompt_id == approval.prompt_id else a for a in self.approvals)
        return self.model_copy(update={"approvals": tuple(replaced)})

    def with_prevention(self, item: PreventionItem) -> Case:
        items = tuple(item if i.item_id == item.item_id else i for i in self.prevention)
        return self.model_copy(update={"prevention": items})
