"""What a question needs, and how it stands after the answers so far. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cases import Actor, ApprovalPurpose, Impact, Text, Value, VerdictLabel, Vote, say
from services.policy.fields import NEVER
from services.policy.hours import is_open
from services.policy.model import DEFAULT_COUNTS, Policy, ProtectedKind, Rule, StepUp

#: From the least to the most.
_RANKS = tuple(Impact)


class Requirement(Value):
    """
    How many must agree, and who is asked.

    Says nothing about accounts: guests, other tenants, and approvers whose own account is in trouble are refused when
    they answer, before their vote comes here.
    """

    #: How many different people must agree.
    count: int
    #: Whom to ask first, and whom else level by level: object ids of people or groups, or "oncall". No level is empty.
    levels: tuple[tuple[str, ...], ...]
    #: Whether who asked may be one of them.
    self_allowed: bool = False
    #: Why nobody may approve it, whoever answers.
    never: Text | None = None
    #: What makes it so many, for the card.
    why: tuple[Text, ...] = ()
    #: How long ago the approver may have signed in; None when that does not matter.
    step_up_max_age: timedelta | None = None


class Standing(Value):
    """How a question stands. `missing` is how many more must agree; with a denial it is over."""

    approved_by: tuple[Actor, ...] = ()
    missing: int
    denied_by: Actor | None = None

    @property
    def is_granted(self) -> bool:
        return self.missing == 0 and self.denied_by is None

    @property
    def is_over(self) -> bool:
        return self.missing == 0 or self.denied_by is not None


@dataclass(frozen=True)
class Terms:
    """What one impact needs with one verdict, by the rule or by default."""

    impact: Impact
    count: int
    who: tuple[str, ...]
    self_allowed: bool
    #: Place of the rule in the file, from 0; None for the default.
    rule: int | None


def required(
    policy: Policy,
    *,
    impacts: Iterable[Impact],
    verdict: VerdictLabel | None,
    purpose: ApprovalPurpose,
    protected: Collection[str],
    at: datetime,
) -> Requirement:
    """
    What must be agreed to for a plan with these impacts, asked at `at` (aware).

    The most approvers that any part of the plan needs, asked where its highest impact says. `protected` are the
    `ProtectedKind`s that the account belongs to; a kind that could not be looked up belongs in it. What is not known
    counts as the worst: no impacts at all as critical, no verdict as the one that needs most.
    """
    inside = is_open(policy.hours, at)
    return demanded(policy, impacts=impacts, verdict=verdict, purpose=purpose, protected=protected, inside=inside)


def demanded(
    policy: Policy,
    *,
    impacts: Iterable[Impact],
    verdict: VerdictLabel | None,
    purpose: ApprovalPurpose = ApprovalPurpose.REMEDIATION,
    protected: Collection[str] = (),
    inside: bool = True,
) -> Requirement:
    """The same, told whether it is inside the hours."""
    impacts = frozenset(impacts) or {Impact.CRITICAL}
    parts = [_strictest(policy, impact, verdict) for impact in sorted(impacts, key=_RANKS.index)]
    is_override = purpose is ApprovalPurpose.OVERRIDE
    kinds = tuple(kind for kind in ProtectedKind if kind in protected and policy.protected.of(kind) is not None)
    counts = [part.count for part in parts] + _more(policy, is_override, inside, kinds)
    levels = _levels(policy, parts[-1].who, is_override, inside)
    return Requirement(
        count=max(counts),
        levels=levels,
        self_allowed=all(part.self_allowed for part in parts) and not is_override and not kinds,
        never=_never(policy, kinds, levels),
        why=_why(policy, parts, is_override, inside, kinds),
        step_up_max_age=_step_up(policy, impacts),
    )


def terms_of(policy: Policy, impact: Impact, verdict: VerdictLabel) -> Terms:
    """What the first rule that fits says, and where it says nothing, the default."""
    place, rule = next(
        ((place, rule) for place, rule in enumerate(policy.rules) if rule.fits(impact, verdict)), (None, Rule())
    )
    return Terms(
        impact=impact,
        count=rule.approvers or DEFAULT_COUNTS[impact],
        who=policy.who if rule.who is None else rule.who,
        self_allowed=rule.self_approval,
        rule=place,
    )


def _strictest(policy: Policy, impact: Impact, verdict: VerdictLabel | None) -> Terms:
    """Of several with the same count, the one that does not let who asked approve."""
    verdicts = VerdictLabel if verdict is None else (verdict,)
    terms = [terms_of(policy, impact, verdict) for verdict in verdicts]
    return max(terms, key=lambda terms: (terms.count, not terms.self_allowed))


def _more(policy: Policy, is_override: bool, inside: bool, kinds: Sequence[ProtectedKind]) -> list[int]:
    """How many approvers other things than the impact ask for."""
    guards = [policy.protected.of(kind) for kind in kinds]
    counts = [guard.approvers for guard in guards if guard is not None and guard.approvers != NEVER]
    if is_override:
        counts.append(policy.override.approvers)
    if not inside and policy.hours is not None and policy.hours.outside.approvers is not None:
        counts.append(policy.hours.outside.approvers)
    return counts


def _levels(policy: Policy, who: tuple[str, ...], is_override: bool, inside: bool) -> tuple[tuple[str, ...], ...]:
    chain = policy.chain
    if not inside and policy.hours is not None:
        outside = policy.hours.outside
        who = who if outside.who is None else outside.who
        chain = chain if outside.chain is None else outside.chain
    if is_override and policy.override.who is not None:
        who = policy.override.who  # the few who may lift a lock are the same at any hour
    # A level without people would be a silence in which nobody is asked.
    return tuple(level for level in (who, *chain) if level)


def _never(policy: Policy, kinds: Sequence[ProtectedKind], levels: tuple[tuple[str, ...], ...]) -> Text | None:
    for kind in kinds:
        guard = policy.protected.of(kind)
        if guard is not None and guard.approvers == NEVER:
            return say("policy.never.protected", kind=say(f"policy.kind.{kind.value}"))
    return None if levels else say("policy.never.nobody")


def _why(
    policy: Policy, parts: Sequence[Terms], is_override: bool, inside: bool, kinds: Sequence[ProtectedKind]
) -> tuple[Text, ...]:
    most = max(parts, key=lambda part: (part.count, _RANKS.index(part.impact)))
    why = [say("policy.why.impact", impact=say(f"impact.{most.impact.value}"), count=in_words(most.count))]
    if is_override:
        why.append(say("policy.why.override", count=in_words(policy.override.approvers)))
    for kind in kinds:
        guard = policy.protected.of(kind)
        if guard is not None and guard.approvers != NEVER:
            name = say(f"policy.kind.{kind.value}")
            why.append(say("policy.why.protected", kind=name, count=in_words(guard.approvers)))
    if not inside and policy.hours is not None and (count := policy.hours.outside.approvers) is not None:
        why.append(say("policy.why.outside", count=in_words(count)))
    return tuple(why)


def in_words(count: int) -> Text:
    """ "two different approvers" """
    return say(f"policy.count.{count}")


def _step_up(policy: Policy, impacts: Collection[Impact]) -> timedelta | None:
    if policy.step_up is StepUp.OFF or Impact.CRITICAL not in impacts:
        return None
    return timedelta(minutes=policy.step_up_max_age_minutes)


def standing(
    requirement: Requirement, votes: Iterable[Vote], *, requesters: Collection[str], subject_oid: str | None
) -> Standing:
    """
    How a question stands after these answers, in the order in which they were stored.

    Nobody counts twice, the subject not at all, and who asked only where the requirement lets them. The first denial
    ends it; what comes after the last approval that was needed changes nothing. Object ids in any case of letters.
    """
    barred = set() if requirement.self_allowed else {oid.casefold() for oid in requesters}
    barred |= {subject_oid.casefold()} if subject_oid else set()
    agreed: dict[str, Actor] = {}
    for vote in votes:
        who = vote.by.user_oid.casefold()
        if who in barred:
            continue
        if not vote.granted:
            return _stands(requirement, agreed, denied_by=vote.by)
        agreed.setdefault(who, vote.by)
        if len(agreed) == requirement.count:
            break
    return _stands(requirement, agreed)


def _stands(requirement: Requirement, agreed: dict[str, Actor], denied_by: Actor | None = None) -> Standing:
    missing = requirement.count if requirement.never is not None else requirement.count - len(agreed)
    return Standing(approved_by=tuple(agreed.values()), missing=missing, denied_by=denied_by)
