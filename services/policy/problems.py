"""What may be written and is probably not meant: warnings for `doctor`. A file that is wrong never gets here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from services.cases import ApprovalPurpose, Impact, Text, VerdictLabel, say
from services.policy.decisions import Requirement, demanded, in_words, terms_of
from services.policy.explaining import labelled_terms
from services.policy.fields import NEVER
from services.policy.model import Policy, ProtectedKind


def problems(policy: Policy, people: Mapping[str, frozenset[str]] | None = None) -> tuple[Text, ...]:
    """
    One line for each thing that would surprise whoever wrote the policy.

    `people` are those behind each entry (object id in lower case, or "oncall"), as far as they could be looked up: an
    entry that is not in it is not known and proves nothing; one with an empty set is known to have nobody.
    """
    people = people or {}
    return (
        *_unfulfillable(policy, people),
        *_empty_levels(policy, people),
        *_chain_and_moments(policy),
        *_unused_rules(policy),
        *_fewer_for_more(policy),
        *_override_alone(policy),
    )


def _unfulfillable(policy: Policy, people: Mapping[str, frozenset[str]]) -> Iterator[Text]:
    for label, requirement in _requirements(policy):
        known = _known(tuple(entry for level in requirement.levels for entry in level), people)
        if known is not None and not known:
            yield say("policy.rule.nobody", rule=label)
        elif known is not None and len(known) < requirement.count:
            yield say("policy.problem.too_few", rule=label, count=in_words(requirement.count), n=len(known))


def _requirements(policy: Policy) -> Iterator[tuple[Text, Requirement]]:
    """Everything that the policy tells apart, each with its name."""
    for impact in Impact:
        for label, terms in labelled_terms(policy, impact):
            verdict = next(verdict for verdict in VerdictLabel if terms_of(policy, impact, verdict) == terms)
            yield label, demanded(policy, impacts=(impact,), verdict=verdict)
            if policy.hours is not None and not policy.hours.outside.wait:
                outside = demanded(policy, impacts=(impact,), verdict=verdict, inside=False)
                yield say("policy.label.outside", rule=label), outside
    override = demanded(policy, impacts=(Impact.LOW,), verdict=None, purpose=ApprovalPurpose.OVERRIDE)
    yield say("policy.label.override"), override
    for kind in ProtectedKind:
        guard = policy.protected.of(kind)
        if guard is not None and guard.approvers != NEVER:
            yield (
                say(f"policy.kind.{kind.value}"),
                demanded(policy, impacts=(Impact.LOW,), verdict=None, protected=(kind,)),
            )


def _known(entries: tuple[str, ...], people: Mapping[str, frozenset[str]]) -> frozenset[str] | None:
    """Everybody behind these entries; None when one of them is not known."""
    if any(entry not in people for entry in entries):
        return None
    return frozenset().union(*(people[entry] for entry in entries))


def _empty_levels(policy: Policy, people: Mapping[str, frozenset[str]]) -> Iterator[Text]:
    for place, level in enumerate(policy.chain, start=1):
        if _known(level, people) == frozenset():
            yield say("policy.problem.level_empty", level=place)
    for place, level in enumerate((policy.hours and policy.hours.outside.chain) or (), start=1):
        if _known(level, people) == frozenset():
            yield say("policy.problem.outside_level_empty", level=place)


def _chain_and_moments(policy: Policy) -> Iterator[Text]:
    """A moment without a level asks nobody new, and a level without a moment is never asked."""
    times, levels = len(policy.escalate_after_minutes), len(policy.chain)
    if times > levels:
        yield say("policy.problem.chain_short", times=times, levels=levels)
    if times < levels:
        yield say("policy.problem.chain_long", times=times, levels=levels)
    outside = policy.hours.outside.chain if policy.hours else None
    if outside is not None and len(outside) > times:
        yield say("policy.problem.outside_chain_long", times=times, levels=len(outside))


def _unused_rules(policy: Policy) -> Iterator[Text]:
    used = {terms_of(policy, impact, verdict).rule for impact in Impact for verdict in VerdictLabel}
    for place in range(len(policy.rules)):
        if place not in used:
            yield say("policy.problem.rule_unused", rule=place + 1)


def _fewer_for_more(policy: Policy) -> Iterator[Text]:
    counts = {impact: demanded(policy, impacts=(impact,), verdict=None).count for impact in Impact}
    for lower, higher in pairwise(Impact):
        if counts[higher] < counts[lower]:
            names = {"higher": say(f"impact.{higher.value}"), "lower": say(f"impact.{lower.value}")}
            yield say("policy.problem.fewer", **names)


def _override_alone(policy: Policy) -> Iterator[Text]:
    if policy.override.approvers == 1:
        yield say("policy.problem.override_alone")
