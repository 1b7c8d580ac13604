"""
The nouns of the house: a case, what was found, what is proposed, what was decided. Plain frozen values, no I/O.

Everything that is shown later is kept as a `Text` (key and parameters), never as words, so that each reader gets it in
their own language. All moments are aware datetimes in UTC.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Union

from pydantic import BaseModel, ConfigDict, Field

from services.case_ids import code_of
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
    #: Connectors of the tenant that are blocked as well, by name or else by id; unblocking a user does not help those.
    blocked_connectors: tuple[str, ...] = ()
    #: Why the list could not be read, when kind is UNKNOWN.
    unreadable: Text | None = None


class CauseKind(StrEnum):
    """What can keep mail from leaving. See `services.diagnosis` for how each is told apart."""

    RESTRICTED = "restricted"  # on the restricted list until an admin removes it
    UNTIL_TOMORROW = "until_tomorrow"  # the outbound policy restricts until the next day UTC
    RECIPIENT_RATE = "recipient_rate"  # 10,000 recipients within 24 hours (5.1.90)
    CONNECTOR = "connector"  # an inbound connector is blocked (5.7.711)
    TENANT_LIMIT = "tenant_limit"  # the tenant's limit of external recipients (5.7.233)
    TENANT_RESTRICTED = "tenant_restricted"  # the tenant may not send at all (5.7.705, 5.7.750)
    FORWARDING_FORBIDDEN = "forwarding_forbidden"  # the outbound policy forbids external forwarding (5.7.520)
    NONE = "none"  # nothing that we can read blocks it
    OTHER = "other"  # a code that is no block for sending too much


class Certainty(StrEnum):
    SEEN = "seen"  # a list, a setting or a non-delivery report says so
    POSSIBLE = "possible"  # what can be read fits, and does not prove it


class Lifter(StrEnum):
    """Who can lift a block."""

    ADMIN = "admin"  # an admin, through this bot
    TIME = "time"  # nobody: it ends by itself
    MICROSOFT = "microsoft"  # Microsoft Support alone
    SETTING = "setting"  # an admin, by changing a policy
    NOBODY = "nobody"  # there is nothing to lift


class Cause(Value):
    """One thing that keeps mail from leaving: what shows it, who can lift it, and when it ends by itself."""

    kind: CauseKind
    certainty: Certainty = Certainty.SEEN
    lifter: Lifter
    #: When it ends by itself, as far as that is known.
    ends_at: datetime | None = None
    since: datetime | None = None
    evidence: tuple[Text, ...] = ()
    #: Ids of the connectors, for CONNECTOR.
    connectors: tuple[str, ...] = ()
    #: Status code such as "5.1.8", when a non-delivery report was given.
    code: str = ""


class Diagnosis(Value):
    """All causes, the surest first, and what could not be read while looking for them."""

    causes: tuple[Cause, ...] = ()
    unread: tuple[Text, ...] = ()


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
    UNBLOCK_CONNECTOR = "unblock_connector"
    BLOCK_AUTO_FORWARDING = "block_auto_forwarding"  # from here on: what keeps it from happening again
    MAILBOX_AUDIT_ON = "mailbox_audit_on"
    SMTP_AUTH_OFF = "smtp_auth_off"


#: What lifts the block itself; everything else of a plan comes before it.
LIFTING = frozenset({ActionKind.UNBLOCK, ActionKind.UNBLOCK_CONNECTOR})


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
    FIX = "fix"  # one setting that keeps it from happening again


class ApprovalState(StrEnum):
    PENDING = "pending"
    GRANTED = "granted"
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Vote(Value):
    """One person's answer to one question, as it was stored."""

    by: Actor
    granted: bool
    at: datetime
    reason: str = ""
    #: The actions that were left ticked; None for a card without boxes.
    ticked: tuple[str, ...] | None = None
    #: Whether the risk of this person's own account could not be read when they answered.
    risk_unread: bool = False
    #: Whether they were on call when they answered a question that goes to whoever is.
    on_call: bool = False


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
    #: How many different people must agree, and whom to ask: object ids of people or groups, or "oncall", level by
    #: level. Fixed when it was asked; a question of before has no levels and goes to the setting `approvers`.
    needed: int = 1
    levels: tuple[tuple[str, ...], ...] = ()
    #: Whether who asked may be one of them.
    self_allowed: bool = False
    #: Why nobody may approve it, whoever answers.
    never: Text | None = None
    #: What makes it so many, for the card.
    why: tuple[Text, ...] = ()
    #: How long ago an approver may have signed in, in seconds; None when that does not matter.
    step_up_max_age_s: float | None = None
    #: The answers so far, in the order in which they were stored.
    votes: tuple[Vote, ...] = ()
    #: When it is brought back to mind and passed on, and how often that was done.
    remind_at: tuple[datetime, ...] = ()
    escalate_at: tuple[datetime, ...] = ()
    reminded: int = 0
    level: int = 0
    #: The level that it was put before; behind `level` as long as it is on its way there.
    asked_level: int = 0
    #: Object ids, in lower case, of those whom it was put before there.
    asked: tuple[str, ...] = ()
    #: Names of those who are asked at this level; empty when they could not be read.
    asked_names: tuple[str, ...] = ()
    #: When somebody had it brought back to mind last.
    reminded_at: datetime | None = None
    #: Who asked, when it was not the requester of the case.
    asked_by: Actor | None = None
    #: The actions that an undo or a fix is about.
    about: tuple[str, ...] = ()
    #: What was agreed to, when it was granted: the ids of the actions and the hash over exactly those.
    approved: tuple[str, ...] = ()
    approved_hash: str = ""

    @property
    def typed_id(self) -> str:
        """What names this very question in a text, such as "K4P7Z9-3FX"."""
        return f"{self.case_id}-{self.code}"

    @property
    def code(self) -> str:
        return code_of(self.prompt_id)


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
    #: Who takes care of it, and until when; for items that the bot can follow until they are done.
    owner: Actor | None = None
    due_at: datetime | None = None
    #: What doing it would add to the Secure Score, as Microsoft counts it today.
    points: float | None = None
    #: The change that the bot could make for it, with approval.
    fix: ActionKind | None = None
    checked_at: datetime | None = None

    @property
    def is_done(self) -> bool:
        return self.state in (PreventionState.OK, PreventionState.TICKED)


# --- after the unblock -----------------------------------------------------------------------------------------------

#: How long Microsoft usually takes until an unblocked account sends again: refusals are to be expected until then.
USUAL_DELAY = timedelta(hours=1)
#: How long Microsoft may take at most.
LONGEST_DELAY = timedelta(hours=24)
#: After this long without any mail nobody waits for it any more.
WATCHED_FOR = timedelta(days=7)


class FollowUp(Value):
    """
    What is seen of the account's mail after the unblock, and when to look next. Kept with the case, so that every
    timer survives a restart.
    """

    unblocked_at: datetime
    next_look_at: datetime
    #: Until when Microsoft will not restrict the account again by itself: the next midnight UTC.
    unguarded_until: datetime
    #: When somebody has to be told that still nothing was delivered.
    escalate_at: datetime
    first_delivered_at: datetime | None = None
    #: The last message that was refused since, and with which code.
    refused_at: datetime | None = None
    refused_code: str = ""
    #: Messages and recipients since the unblock, as far as the trace shows.
    messages: int = 0
    recipients: int = 0
    #: The most recipients within an hour since the unblock, and when that hour began, once it is a burst.
    burst_recipients: int = 0
    burst_at: datetime | None = None
    escalated_at: datetime | None = None
    #: Why the trace could not be read at the last look.
    unread: Text | None = None
    looked_at: datetime | None = None
    #: The user is to be told when mail flows again, at the wish of this person.
    tell_user_by: Actor | None = None
    #: Whether that worked; None before it was tried.
    user_told: bool | None = None


class HourCount(Value):
    """Outbound mail within one hour that begins at `at`."""

    at: datetime
    messages: int
    recipients: int


class SignInMark(Value):
    """One sign-in, for the picture of countries over time. `country` is an ISO 3166 code, "" when unknown."""

    at: datetime
    country: str
    succeeded: bool


class ScoreMark(Value):
    """The Secure Score of one day."""

    at: datetime
    score: float
    maximum: float


class Pictures(Value):
    """What is drawn of a case. Empty parts were not read, which is not the same as "nothing happened"."""

    sent: tuple[HourCount, ...] = ()
    sign_ins: tuple[SignInMark, ...] = ()
    scores: tuple[ScoreMark, ...] = ()


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
    UNBLOCKED = "unblocked"  # and followed until mail flows again
    CLOSED = "closed"  # unblocked, and no longer followed
    CONTAINED = "contained"  # the attacker is out; there was nothing to unblock
    NOT_CONTAINED = "not_contained"  # there was nothing to unblock, and not every action is proven
    TRACKING = "tracking"  # the tenant's own list of prevention items; it never ends
    NOT_UNBLOCKED = "not_unblocked"  # it was stopped by a fault, or the entry is still there or could not be removed
    DENIED = "denied"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    NOTHING_TO_DO = "nothing_to_do"  # nobody, or nothing that we could unblock


class CaseKind(StrEnum):
    """What a case is about."""

    ACCOUNT = "account"
    CONNECTOR = "connector"  # a blocked inbound connector; there is no account to investigate
    TENANT = "tenant"  # what the whole tenant does so that it does not happen again


#: The way a case goes. Any case at work may also end as NOT_UNBLOCKED, when a fault stops it.
_MOVES: Mapping[CaseState, set[CaseState]] = {
    CaseState.IDENTIFYING: {
        CaseState.CHOOSING,
        CaseState.INVESTIGATING,
        CaseState.AWAITING_APPROVAL,  # a connector: there is nothing to investigate
        CaseState.TRACKING,
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
    CaseState.CONTAINING: {
        CaseState.UNBLOCKING,
        CaseState.LOCKED,
        CaseState.AWAITING_APPROVAL,
        CaseState.CONTAINED,
        CaseState.NOT_CONTAINED,
    },
    CaseState.LOCKED: {
        CaseState.UNBLOCKING,
        CaseState.AWAITING_APPROVAL,
        CaseState.EXPIRED,
        CaseState.CANCELLED,
    },
    CaseState.UNBLOCKING: {CaseState.VERIFYING},
    CaseState.VERIFYING: {CaseState.UNBLOCKED, CaseState.UNBLOCKING},
}
#: States in which the job is done and the case is only followed.
_FOLLOWED: Mapping[CaseState, frozenset[CaseState]] = {
    CaseState.UNBLOCKED: frozenset({CaseState.CLOSED}),
    CaseState.TRACKING: frozenset(),
}
TRANSITIONS: Mapping[CaseState, frozenset[CaseState]] = {
    **{state: frozenset[CaseState]() for state in CaseState},
    **_FOLLOWED,
    **{state: frozenset(moves | {CaseState.NOT_UNBLOCKED}) for state, moves in _MOVES.items()},
}

#: States in which the job is under way: a second case for the same account would be a double action.
STATES_AT_WORK = frozenset(_MOVES)
#: Those, and the ones in which the case is followed.
OPEN_STATES = STATES_AT_WORK | frozenset(_FOLLOWED)
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
    kind: CaseKind = CaseKind.ACCOUNT
    #: Throw the attacker out of an account that is not blocked (any more).
    contain_only: bool = False
    #: What led to it, when that was not a block: whoever approves has to know.
    because: Text | None = None
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
    #: The connector that the case is about, by its id in Exchange.
    connector_id: str | None = None
    block: Block | None = None
    #: What else keeps mail from leaving, when it is not (only) the restricted list.
    diagnosis: Diagnosis | None = None
    findings: tuple[Finding, ...] = ()
    #: Kinds of protection that the account has or may have, by the policy; they ask for more approvers. None while that
    #: was not looked up.
    protected: tuple[str, ...] | None = None
    #: While the signals are read, and when all of them had been; a slow one may come in after the verdict.
    reading_since: datetime | None = None
    reading_ended_at: datetime | None = None
    #: Signals that showed something only after the plan was approved.
    found_late: tuple[str, ...] = ()
    verdict: Verdict | None = None
    actions: tuple[Action, ...] = ()
    approvals: tuple[Approval, ...] = ()
    prevention: tuple[PreventionItem, ...] = ()
    #: Changes for prevention items that were asked for, each with its own approval.
    fixes: tuple[Action, ...] = ()
    follow_up: FollowUp | None = None
    #: When the owners of open prevention items are reminded next; None while there is nothing to remind of.
    remind_at: datetime | None = None
    #: News of the case that were told already, by their ids.
    told: tuple[str, ...] = ()
    #: The last messages that were counted as an answer, by their ids: Teams may bring one twice.
    heard: tuple[str, ...] = ()
    #: When the last Temporary Access Pass for the account was asked for; a pass that was refused does not count.
    access_pass_at: datetime | None = None
    pictures: Pictures | None = None
    #: The case that was begun to contain this account again, after a burst.
    again_in: str | None = None
    #: Why it ended as it did, or what it waits for now.
    outcome: Text | None = None
    #: Set when this case turned out to be another one: the id of that one.
    joined_to: str | None = None

    @property
    def is_open(self) -> bool:
        """Not ended: under way, or followed."""
        return self.state in OPEN_STATES

    @property
    def is_at_work(self) -> bool:
        """Whether somebody or something still has to act before the case has its result."""
        return self.state in STATES_AT_WORK

    @property
    def about_id(self) -> str | None:
        """Of which there is only one open case: the account, the connector or the tenant."""
        if self.kind is CaseKind.TENANT:
            return f"tenant:{self.tenant_id}"
        if self.kind is CaseKind.CONNECTOR:
            return f"connector:{self.connector_id}" if self.connector_id else None
        return self.subject.user_oid if self.subject else None

    @property
    def pending_approval(self) -> Approval | None:
        return next((a for a in self.approvals if a.state is ApprovalState.PENDING), None)

    def pending(self, *purposes: ApprovalPurpose) -> tuple[Approval, ...]:
        """The open questions of these purposes, oldest first; all without any."""
        wanted = purposes or tuple(ApprovalPurpose)
        return tuple(a for a in self.approvals if a.state is ApprovalState.PENDING and a.purpose in wanted)

    def prompt(self, prompt_id: str) -> Approval:
        """The question with this id, which must be there."""
        return next(approval for approval in self.approvals if approval.prompt_id == prompt_id)

    def action(self, action_id: str) -> Action:
        """The action or fix with this id, which must be there."""
        return next(action for action in (*self.actions, *self.fixes) if action.action_id == action_id)

    def actions_of(self, action_ids: Collection[str]) -> tuple[Action, ...]:
        """The actions with these ids, in the order of the plan; fixes after them."""
        return tuple(action for action in (*self.actions, *self.fixes) if action.action_id in action_ids)

    @property
    def containment(self) -> tuple[Action, ...]:
        """Every action but the unblock itself."""
        return tuple(action for action in self.actions if action.kind not in LIFTING)

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
        """This case with one action or fix replaced; its place in the order stays."""

        def replaced(actions: tuple[Action, ...]) -> tuple[Action, ...]:
            return tuple(action if a.action_id == action.action_id else a for a in actions)

        return self.model_copy(update={"actions": replaced(self.actions), "fixes": replaced(self.fixes)})

    def with_approval(self, approval: Approval) -> Case:
        """This case with one prompt replaced, or added as the newest; the order is that in which they were asked."""
        if all(a.prompt_id != approval.prompt_id for a in self.approvals):
            return self.model_copy(update={"approvals": (*self.approvals, approval)})
        replaced = (approval if a.prompt_id == approval.prompt_id else a for a in self.approvals)
        return self.model_copy(update={"approvals": tuple(replaced)})

    def with_prevention(self, item: PreventionItem) -> Case:
        items = tuple(item if i.item_id == item.item_id else i for i in self.prevention)
        return self.model_copy(update={"prevention": items})
