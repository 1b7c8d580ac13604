"""The policy in plain words, as `doctor` tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from services.cases import Impact, Text, VerdictLabel, say
from services.policy.decisions import Terms, in_words, terms_of
from services.policy.fields import NEVER, ON_CALL
from services.policy.model import Hours, Policy, ProtectedKind, StepUp


def explain(policy: Policy, names: Mapping[str, str] | None = None) -> tuple[Text, ...]:
    """
    A line for each thing that the policy in force says, the impacts first.

    `names` are those of the people and groups by object id in lower case; an id without a name is shown as it is.
    """
    names = names or {}
    return (
        *(line for impact in Impact for line in _impact(policy, impact, names)),
        *_override(policy, names),
        *_protected(policy),
        *_in_time(policy, names),
        *(_hours(policy.hours, names) if policy.hours else ()),
        *_step_up(policy),
        *_always(policy),
    )


def labelled_terms(policy: Policy, impact: Impact) -> tuple[tuple[Text, Terms], ...]:
    """What this impact needs, once for the verdicts that need the same, with a label such as "High impact"."""
    groups: dict[tuple[int, tuple[str, ...], bool], list[VerdictLabel]] = {}
    for verdict in VerdictLabel:
        terms = terms_of(policy, impact, verdict)
        groups.setdefault((terms.count, terms.who, terms.self_allowed), []).append(verdict)
    return tuple((_label(impact, verdicts), terms_of(policy, impact, verdicts[0])) for verdicts in groups.values())


def _label(impact: Impact, verdicts: Sequence[VerdictLabel]) -> Text:
    name = say(f"impact.{impact.value}")
    if len(verdicts) == len(VerdictLabel):
        return name
    return say("policy.with_verdict", impact=name, verdicts=[say(f"verdict.{verdict.value}") for verdict in verdicts])


def called(people: Sequence[str], names: Mapping[str, str]) -> list[Text | str]:
    """Names of people and groups, and "the on-call"."""
    return [say("policy.oncall") if entry == ON_CALL else names.get(entry, entry) for entry in people]


def _impact(policy: Policy, impact: Impact, names: Mapping[str, str]) -> Iterator[Text]:
    for label, terms in labelled_terms(policy, impact):
        if not terms.who and not any(policy.chain):
            yield say("policy.rule.nobody", rule=label)
            continue
        who = called(terms.who or next(level for level in policy.chain if level), names)
        yield say("policy.rule", rule=label, count=in_words(terms.count), who=who)
        if terms.self_allowed:
            yield say("policy.rule.self", rule=label)


def _override(policy: Policy, names: Mapping[str, str]) -> Iterator[Text]:
    count = in_words(policy.override.approvers)
    if policy.override.who:
        yield say("policy.override.from", count=count, who=called(policy.override.who, names))
    else:
        yield say("policy.override", count=count)


def _protected(policy: Policy) -> Iterator[Text]:
    for kind in ProtectedKind:
        guard, name = policy.protected.of(kind), say(f"policy.kind.{kind.value}")
        if guard is not None and guard.approvers == NEVER:
            yield say("policy.protected.never", kind=name)
        elif guard is not None:
            yield say("policy.protected", kind=name, count=in_words(guard.approvers))


def _in_time(policy: Policy, names: Mapping[str, str]) -> Iterator[Text]:
    if policy.remind_after_minutes:
        yield say("policy.remind", minutes=_numbers(policy.remind_after_minutes))
    for minutes, level in zip(policy.escalate_after_minutes, policy.chain, strict=False):
        if level:
            yield say("policy.escalate", minutes=_number(minutes), who=called(level, names))
    yield say("policy.expire", minutes=_number(policy.expire_after_minutes))


def _hours(hours: Hours, names: Mapping[str, str]) -> Iterator[Text]:
    days = [say(f"policy.day.{day.value}") for day in hours.days]
    opens, closes = f"{hours.opens:%H:%M}", f"{hours.closes:%H:%M}"
    yield say("policy.hours", days=days, opens=opens, closes=closes, zone=hours.time_zone)
    outside = hours.outside
    if outside.wait:
        yield say("policy.outside.wait")
    if outside.approvers is not None:
        yield say("policy.outside.count", count=in_words(outside.approvers))
    if outside.who:
        yield say("policy.outside.from", who=called(outside.who, names))
    for place, level in enumerate(outside.chain or (), start=1):
        yield say("policy.outside.level", level=place, who=called(level, names))
    if outside.chain == ():
        yield say("policy.outside.no_chain")


def _step_up(policy: Policy) -> Iterator[Text]:
    if policy.step_up is StepUp.CRITICAL:
        minutes = _number(policy.step_up_max_age_minutes)
        yield say("policy.step_up", impact=say("impact.critical"), minutes=minutes)
        if policy.step_up_context:
            yield say("policy.step_up.context", context=policy.step_up_context)


def _always(policy: Policy) -> Iterator[Text]:
    if not any(rule.self_approval for rule in policy.rules):
        yield say("policy.always.asker")
    yield say("policy.always.others")


def _numbers(minutes: Sequence[float]) -> list[float]:
    return [_number(moment) for moment in minutes]


def _number(minutes: float) -> float:
    """Whole minutes without a decimal."""
    return int(minutes) if minutes == int(minutes) else minutes
