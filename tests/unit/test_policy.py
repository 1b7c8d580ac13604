"""The policy of approvals: how many must agree, who is asked, who never counts, and how it is told."""

from __future__ import annotations

import string
import tomllib
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cards.language import Words
from services.cases import Actor, ApprovalPurpose, Impact, VerdictLabel
from services.policy import (
    ON_CALL,
    Policy,
    ProtectedKind,
    Requirement,
    Standing,
    Vote,
    explain,
    policy_of,
    problems,
    required,
    standing,
)

ROOT = Path(__file__).parents[2]
EN, SV = Words("en", strict=True), Words("sv", strict=True)
MONDAY_NOON = datetime(2026, 11, 23, 11, tzinfo=UTC)
SUNDAY = datetime(2026, 11, 22, 11, tzinfo=UTC)
REMEDIATION, OVERRIDE = ApprovalPurpose.REMEDIATION, ApprovalPurpose.OVERRIDE
COMPROMISED, NO_EVIDENCE = VerdictLabel.COMPROMISED, VerdictLabel.NO_EVIDENCE
OFFICE = {"days": ["mon", "tue", "wed", "thu", "fri"], "from": "08:00", "to": "17:00", "time_zone": "Europe/Stockholm"}


def oid(name: str) -> str:
    """An object id for a name, the same each time."""
    return f"00000000-0000-4000-8000-{name.encode().hex():0>12}"


MEGAN, ADELE, LEE, SECOPS, BOSS = map(oid, ("megan", "adele", "lee", "secops", "boss"))
ALEX, JANE = oid("alex"), oid("jane")


def policy(**section: Any) -> Policy:
    """The policy in force for this section; Megan, Adele and Lee are the approvers of the settings."""
    return policy_of(Policy.model_validate(section), approvers=(MEGAN, ADELE, LEE), timeout_minutes=60)


def needed(
    of: Policy,
    *impacts: Impact,
    verdict: VerdictLabel | None = COMPROMISED,
    purpose: ApprovalPurpose = REMEDIATION,
    protected: frozenset[str] = frozenset(),
    at: datetime = MONDAY_NOON,
) -> Requirement:
    return required(of, impacts=impacts, verdict=verdict, purpose=purpose, protected=protected, at=at)


def vote(who: str, granted: bool = True, name: str = "") -> Vote:
    return Vote(by=Actor(user_oid=who, name=name or who, tenant_id="t"), granted=granted, at=MONDAY_NOON)


def after(of: Requirement, *votes: Vote) -> Standing:
    """How it stands when Alex has asked, and it is about Jane."""
    return standing(of, votes, requesters=(ALEX,), subject_oid=JANE)


def people(who: Standing) -> tuple[str, ...]:
    return tuple(actor.user_oid for actor in who.approved_by)


# --- how many --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("impact", "count"), [(Impact.LOW, 1), (Impact.MEDIUM, 1), (Impact.HIGH, 2), (Impact.CRITICAL, 2)]
)
def test_without_a_word_high_and_critical_need_two(impact: Impact, count: int) -> None:
    """
    One approver for low and medium impact, two for the rest, and never who asked.
    """
    requirement = needed(policy(), impact)

    assert (count, False, None) == (requirement.count, requirement.self_allowed, requirement.never)


def test_an_override_needs_two_whatever_the_impact() -> None:
    """
    Lifting the lock is never one person's business by default.
    """
    assert needed(policy(), Impact.LOW, purpose=OVERRIDE).count == 2


@pytest.mark.parametrize("purpose", [ApprovalPurpose.UNDO, ApprovalPurpose.FIX])
def test_an_undo_and_a_fix_need_what_their_impact_needs(purpose: ApprovalPurpose) -> None:
    """
    Taking back a critical change is critical; switching a small setting is not.
    """
    counts = [needed(policy(), impact, purpose=purpose).count for impact in (Impact.LOW, Impact.CRITICAL)]

    assert [1, 2] == counts


def test_the_old_settings_are_the_simplest_policy() -> None:
    """
    Without a section the approvers of the settings are asked all at once.
    """
    simple = policy_of(None, approvers=(MEGAN.upper(), ADELE), timeout_minutes=45)

    assert ((MEGAN, ADELE),) == needed(simple, Impact.LOW).levels
    assert simple.expire_after_minutes == 45


def test_what_the_section_says_wins_over_the_old_settings() -> None:
    """
    `from` and `expire_after_minutes` of the section are the ones that count.
    """
    own = policy(**{"from": [ON_CALL], "expire_after_minutes": 90})

    assert (((ON_CALL,),), 90) == (needed(own, Impact.LOW).levels, own.expire_after_minutes)


def test_a_plan_needs_what_its_hardest_part_needs() -> None:
    """
    The count is the highest of all parts, and the people are those of the highest impact.
    """
    rules = [{"impact": "low", "approvers": 3}, {"impact": "high", "from": [SECOPS]}]
    requirement = needed(policy(rules=rules), Impact.LOW, Impact.HIGH)

    assert (3, ((SECOPS,),)) == (requirement.count, requirement.levels)


def test_the_first_rule_that_fits_counts() -> None:
    """
    What stands further up is what applies.
    """
    rules = [{"impact": "high", "verdict": "no_evidence", "approvers": 4}, {"impact": "high", "approvers": 1}]
    own = policy(rules=rules)

    assert [4, 1] == [needed(own, Impact.HIGH, verdict=verdict).count for verdict in (NO_EVIDENCE, COMPROMISED)]


def test_without_a_verdict_the_strictest_rule_counts() -> None:
    """
    What is not known is never the good news: any verdict may turn out to be the one.
    """
    own = policy(rules=[{"impact": "low", "verdict": "compromised", "approvers": 3}])

    assert [3, 1] == [needed(own, Impact.LOW, verdict=verdict).count for verdict in (None, NO_EVIDENCE)]


def test_without_a_verdict_who_asked_may_not_approve_unless_any_verdict_lets_them() -> None:
    """
    Self-approval that holds for one verdict only does not hold for a verdict that is not there.
    """
    own = policy(rules=[{"impact": "low", "verdict": "compromised", "self_approval": True}])

    assert [True, False] == [needed(own, Impact.LOW, verdict=verdict).self_allowed for verdict in (COMPROMISED, None)]


def test_a_plan_of_unknown_impact_is_critical() -> None:
    """
    No impacts at all are no reason to ask fewer people.
    """
    own = policy(step_up="critical")

    assert needed(own) == needed(own, Impact.CRITICAL)


# --- who may not -----------------------------------------------------------------------------------------------------


def test_nobody_configured_means_nobody_may() -> None:
    """
    Without anybody to ask no vote helps, and the reason is told.
    """
    empty = policy_of(None, approvers=(), timeout_minutes=60)
    requirement = needed(empty, Impact.LOW)

    assert "policy.never.nobody" == requirement.never.key
    assert not after(requirement, vote(MEGAN), vote(ADELE)).is_granted


def test_a_level_without_people_is_passed_over() -> None:
    """
    A rule with nobody in it goes to the next level at once instead of asking nobody.
    """
    own = policy(chain=[[BOSS]], rules=[{"impact": "low", "from": []}])

    assert ((BOSS,),) == needed(own, Impact.LOW).levels


def test_self_approval_is_for_the_low_impact_that_says_so() -> None:
    """
    One part of the plan that is more than low takes it away, and so does an override.
    """
    own = policy(rules=[{"impact": "low", "self_approval": True}])

    assert needed(own, Impact.LOW).self_allowed
    assert not needed(own, Impact.LOW, Impact.MEDIUM).self_allowed
    assert not needed(own, Impact.LOW, purpose=OVERRIDE).self_allowed


def test_who_asked_counts_only_where_that_is_allowed() -> None:
    """
    The same vote of the requester is nothing by default, and enough where the file says so.
    """
    own = policy(rules=[{"impact": "low", "self_approval": True}])

    assert [True, False] == [after(needed(p, Impact.LOW), vote(ALEX)).is_granted for p in (own, policy())]


@pytest.mark.parametrize("kind", ["vip", "service", "break_glass", "admins"])
def test_a_protected_account_needs_two(kind: str) -> None:
    """
    Even for low impact, and without self-approval; other accounts are as before.
    """
    listed = {} if kind == "admins" else {"accounts": [JANE]}
    own = policy(protected={kind: listed}, rules=[{"impact": "low", "self_approval": True}])

    guarded, other = (needed(own, Impact.LOW, protected=kinds) for kinds in (frozenset({kind}), frozenset()))

    assert [(2, False), (1, True)] == [(each.count, each.self_allowed) for each in (guarded, other)]


def test_a_protected_account_can_be_out_of_bounds() -> None:
    """
    "never" is stronger than any number of votes, and says which list it is.
    """
    own = policy(protected={"break_glass": {"accounts": [JANE], "approvers": "never"}})
    requirement = needed(own, Impact.LOW, protected=frozenset({ProtectedKind.BREAK_GLASS}))

    assert EN.plain(requirement.never).startswith("Emergency access accounts are never changed")
    assert not after(requirement, vote(MEGAN), vote(ADELE), vote(LEE)).is_over


def test_a_kind_that_the_file_does_not_protect_changes_nothing() -> None:
    """
    Being an admin matters only to a policy that names admins.
    """
    assert needed(policy(), Impact.LOW) == needed(policy(), Impact.LOW, protected=frozenset({"admins"}))


# --- outside the hours -----------------------------------------------------------------------------------------------


def test_outside_the_hours_others_are_asked_and_more_of_them() -> None:
    """
    On Sunday the people, the chain and the least count are those of `outside`.
    """
    outside = {"approvers": 2, "from": [ON_CALL], "chain": [[BOSS]]}
    own = policy(chain=[[SECOPS]], hours={**OFFICE, "outside": outside})

    inside, sunday = (needed(own, Impact.LOW, at=at) for at in (MONDAY_NOON, SUNDAY))

    assert (1, ((MEGAN, ADELE, LEE), (SECOPS,))) == (inside.count, inside.levels)
    assert (2, ((ON_CALL,), (BOSS,))) == (sunday.count, sunday.levels)


def test_who_may_override_is_the_same_at_any_hour() -> None:
    """
    Whoever is asked on Sunday instead is not asked to lift a lock.
    """
    own = policy(override={"from": [BOSS]}, hours={**OFFICE, "outside": {"from": [ON_CALL]}})

    assert ((BOSS,),) == needed(own, Impact.HIGH, purpose=OVERRIDE, at=SUNDAY).levels
    assert ((ON_CALL,),) == needed(own, Impact.HIGH, at=SUNDAY).levels


def test_outside_the_hours_never_fewer_are_needed() -> None:
    """
    `approvers` of `outside` is the least, so it takes nothing away from high impact.
    """
    own = policy(hours={**OFFICE, "outside": {"approvers": 1}})

    assert needed(own, Impact.HIGH, at=SUNDAY).count == 2


# --- why, and signing in anew ----------------------------------------------------------------------------------------


def test_the_reasons_name_all_that_raises_the_count() -> None:
    """
    Whoever reads the card learns where the number comes from.
    """
    own = policy(protected={"vip": {"accounts": [JANE]}}, hours={**OFFICE, "outside": {"approvers": 3}})
    requirement = needed(own, Impact.LOW, purpose=OVERRIDE, protected=frozenset({"vip"}), at=SUNDAY)

    assert [
        "Low impact: one approver",
        "The account is not secured: two different approvers",
        "VIP accounts: two different approvers",
        "Outside working hours: three different approvers",
    ] == [EN.plain(text) for text in requirement.why]


def test_step_up_is_for_critical_impact_and_off_by_default() -> None:
    """
    Only where the file asks for it does the age of the sign-in matter.
    """
    own = policy(step_up="critical", step_up_max_age_minutes=5)

    assert [timedelta(minutes=5), None] == [
        needed(own, impact).step_up_max_age for impact in (Impact.CRITICAL, Impact.HIGH)
    ]
    assert needed(policy(), Impact.CRITICAL).step_up_max_age is None


# --- how it stands ---------------------------------------------------------------------------------------------------

TWO = needed(policy(), Impact.HIGH)


def test_two_different_people_are_needed() -> None:
    """
    The first leaves one missing; the second makes it so.
    """
    one, both = after(TWO, vote(MEGAN)), after(TWO, vote(MEGAN), vote(ADELE))

    assert ((MEGAN,), 1, False) == (people(one), one.missing, one.is_granted)
    assert ((MEGAN, ADELE), 0, True) == (people(both), both.missing, both.is_granted)


def test_the_same_person_twice_counts_once() -> None:
    """
    Neither a second click nor another spelling of the id makes two people of one.
    """
    assert after(TWO, vote(MEGAN), vote(MEGAN.upper())).missing == 1


def test_one_denial_ends_it() -> None:
    """
    Who approves after a denial comes too late.
    """
    denied = after(TWO, vote(MEGAN), vote(ADELE, granted=False), vote(LEE))

    assert ADELE == denied.denied_by.user_oid
    assert (True, False) == (denied.is_over, denied.is_granted)


def test_a_denial_after_the_last_approval_changes_nothing() -> None:
    """
    What is granted is granted; it may be running already.
    """
    assert after(TWO, vote(MEGAN), vote(ADELE), vote(LEE, granted=False)).is_granted


@pytest.mark.parametrize("who", [ALEX, JANE, JANE.upper()])
def test_who_asked_and_whom_it_is_about_cannot_deny_either(who: str) -> None:
    """
    An attacker in Jane's account cannot call off what is done about it.
    """
    assert after(TWO, vote(who, granted=False), vote(MEGAN), vote(ADELE)).is_granted


def test_what_is_needed_survives_being_stored() -> None:
    """
    A requirement comes back from JSON as it was, with its reasons.
    """
    full = needed(policy(step_up="critical"), Impact.CRITICAL)

    assert full == Requirement.model_validate_json(full.model_dump_json())


# --- for every policy ------------------------------------------------------------------------------------------------

some_impacts = st.frozensets(st.sampled_from(Impact), min_size=1)
verdicts = st.sampled_from([*VerdictLabel, None])
kinds = st.frozensets(st.sampled_from(ProtectedKind))
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
counts = st.integers(1, 5)
circumstances = st.fixed_dictionaries(
    {"verdict": verdicts, "purpose": st.sampled_from(ApprovalPurpose), "protected": kinds, "at": moments}
)
guards = st.fixed_dictionaries({"accounts": st.just([JANE]), "approvers": counts | st.just("never")})


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    impacts = draw(st.lists(st.sampled_from([impact.value for impact in Impact]), min_size=1, unique=True))
    rule: dict[str, Any] = {"impact": impacts, "approvers": draw(counts)}
    rule["verdict"] = draw(st.lists(st.sampled_from([label.value for label in VerdictLabel]), min_size=1))
    return {**rule, "self_approval": impacts == ["low"] and draw(st.booleans())}


@st.composite
def policies(draw: st.DrawFn, with_rules: bool = True) -> Policy:
    section: dict[str, Any] = {"protected": draw(st.dictionaries(st.sampled_from(["vip", "service"]), guards))}
    section["hours"] = {**OFFICE, "outside": {"approvers": draw(counts)}}
    section["rules"] = draw(st.lists(rules(), max_size=4)) if with_rules else []
    return policy(**section)


@given(policies(with_rules=False), circumstances)
def test_a_higher_impact_never_needs_fewer_unless_a_rule_says_so(own: Policy, case: dict[str, Any]) -> None:
    """
    Whatever else the file has, without rules the count only rises with the impact.
    """
    needs = [required(own, impacts=(impact,), **case).count for impact in Impact]

    assert all(lower <= higher for lower, higher in pairwise(needs))


@given(policies(), some_impacts, some_impacts, circumstances)
def test_more_in_the_plan_never_needs_fewer(
    own: Policy, some: frozenset[Impact], more: frozenset[Impact], case: dict[str, Any]
) -> None:
    """
    An action that is added can make it harder, never easier, whatever the rules are.
    """
    less, all_of_it = (required(own, impacts=impacts, **case) for impacts in (some, some | more))

    assert less.count <= all_of_it.count
    assert less.self_allowed or not all_of_it.self_allowed


@given(policies(), some_impacts, circumstances)
def test_an_unknown_verdict_never_needs_fewer(own: Policy, impacts: frozenset[Impact], case: dict[str, Any]) -> None:
    """
    A verdict that is not there is at least as hard as each that could be.
    """
    known = required(own, impacts=impacts, **case)
    unknown = required(own, impacts=impacts, **{**case, "verdict": None})

    assert known.count <= unknown.count
    assert known.self_allowed or not unknown.self_allowed


votes = st.lists(st.builds(vote, st.sampled_from([ALEX, JANE, MEGAN, ADELE, LEE, ALEX.upper()]), st.booleans()))


@given(policies(), some_impacts, circumstances, votes)
def test_who_asked_and_whom_it_is_about_never_make_the_difference(
    own: Policy, impacts: frozenset[Impact], case: dict[str, Any], cast: list[Vote]
) -> None:
    """
    Without their votes a question stands exactly as with them; only self-approval lets who asked in.
    """
    requirement = required(own, impacts=impacts, **case)
    barred = {JANE} if requirement.self_allowed else {ALEX, JANE}

    assert after(requirement, *cast) == after(requirement, *(v for v in cast if v.by.user_oid.lower() not in barred))


@given(policies(), some_impacts, circumstances, votes)
def test_what_is_granted_has_as_many_different_people_as_it_needs(
    own: Policy, impacts: frozenset[Impact], case: dict[str, Any], cast: list[Vote]
) -> None:
    """
    No order of clicks gets by with fewer, and nothing that is never allowed is granted.
    """
    requirement = required(own, impacts=impacts, **case)
    result = after(requirement, *cast)

    assert result.missing >= 0
    if result.is_granted:
        assert requirement.never is None
        assert len({who.lower() for who in people(result)}) == requirement.count


# --- in words --------------------------------------------------------------------------------------------------------


def told(of: Policy, words: Words = EN, **names: str) -> list[str]:
    return [words.plain(line) for line in explain(of, {globals()[name]: called for name, called in names.items()})]


def warned(of: Policy, known: dict[str, frozenset[str]] | None = None) -> list[str]:
    return [EN.plain(line) for line in problems(of, known)]


EXAMPLE = policy_of(
    Policy.model_validate(tomllib.loads((ROOT / "docs/approvals.toml").read_text(encoding="utf-8"))["approvals"]),
    approvers=(),
    timeout_minutes=60,
)


def test_the_default_is_told_in_plain_words() -> None:
    """
    One line for each impact, one for each thing that always holds, and no object id where a name is known.
    """
    simple = policy_of(None, approvers=(SECOPS,), timeout_minutes=60)

    assert [
        "Low impact: one approver from Security operations.",
        "Medium impact: one approver from Security operations.",
        "High impact: two different approvers from Security operations.",
        "Critical impact: two different approvers from Security operations.",
        "Unblocking an account that is not secured: at least two different approvers.",
        "No answer after 60 min: the question expires, and nothing is done.",
        "Whoever asked for it never approves.",
        "The account's owner, guests and people from other organizations never approve.",
    ] == told(simple, SECOPS="Security operations")


def test_verdicts_are_told_apart_only_where_that_matters() -> None:
    """
    A rule for one verdict makes two lines, and the line says which verdict.
    """
    own = policy(**{"from": [ON_CALL]}, rules=[{"impact": "high", "verdict": "no_evidence", "approvers": 3}])

    assert [
        "High impact (Compromised and Suspected): two different approvers from the on-call.",
        "High impact (No evidence found): three different approvers from the on-call.",
    ] == [line for line in told(own) if line.startswith("High")]


@pytest.mark.parametrize("words", [EN, SV], ids=["en", "sv"])
@pytest.mark.parametrize(
    "own",
    [
        EXAMPLE,
        policy(hours={**OFFICE, "outside": {"wait": True}}, override={"from": [ON_CALL]}),
        policy(hours={**OFFICE, "outside": {"chain": []}}),
        policy(**{"from": []}),
    ],
    ids=["example", "wait", "no chain", "nobody"],
)
def test_every_line_has_its_words(own: Policy, words: Words) -> None:
    """
    In both languages, and no line is said twice.
    """
    lines = told(own, words)

    assert len(lines) == len(set(lines)) > 7


@pytest.mark.parametrize("words", [EN, SV], ids=["en", "sv"])
def test_every_reason_has_its_words(words: Words) -> None:
    """
    Whatever is combined, the card can say why, in both languages.
    """
    combined = product(Impact, (REMEDIATION, OVERRIDE), ProtectedKind, (MONDAY_NOON, SUNDAY))
    for impact, purpose, kind, at in combined:
        requirement = needed(EXAMPLE, impact, purpose=purpose, protected=frozenset({kind}), at=at)
        for text in (*requirement.why, *filter(None, [requirement.never])):
            assert words.plain(text)[0] in string.ascii_uppercase


# --- what is probably not meant --------------------------------------------------------------------------------------


def test_the_example_and_the_default_are_without_fault() -> None:
    """
    Neither what is documented nor what applies without a word is warned about.
    """
    assert ([], []) == (warned(EXAMPLE), warned(policy(), {oid: frozenset({oid}) for oid in (MEGAN, ADELE, LEE)}))


def test_too_few_people_are_told() -> None:
    """
    A rule that needs more people than there are can never be fulfilled.
    """
    simple = policy_of(None, approvers=(SECOPS,), timeout_minutes=60)

    assert [
        "High impact: needs two different approvers, but only 1 person can be asked.",
        "Critical impact: needs two different approvers, but only 1 person can be asked.",
        "Unblocking an account that is not secured: needs two different approvers, but only 1 person can be asked.",
    ] == warned(simple, {SECOPS: frozenset({MEGAN})})


def test_somebody_in_two_groups_is_one_person() -> None:
    """
    People are counted, not places on lists.
    """
    own = policy(**{"from": [SECOPS]}, chain=[[BOSS]], escalate_after_minutes=10)
    both = {SECOPS: frozenset({MEGAN}), BOSS: frozenset({MEGAN})}

    assert any("only 1 person" in line for line in warned(own, both))


def test_what_could_not_be_looked_up_proves_nothing() -> None:
    """
    With one entry unknown there may be enough people, so nothing is claimed.
    """
    own = policy(**{"from": [SECOPS, ON_CALL]})

    assert [] == warned(own, {SECOPS: frozenset({MEGAN})})


def test_protected_accounts_and_the_night_are_looked_at_too() -> None:
    """
    Enough people by day for everybody is not enough at night, or for VIP accounts.
    """
    own = policy(protected={"vip": {"accounts": [JANE], "approvers": 3}}, hours={**OFFICE, "outside": {"from": [BOSS]}})
    lines = warned(
        own, {MEGAN: frozenset({MEGAN}), ADELE: frozenset({ADELE}), LEE: frozenset(), BOSS: frozenset({BOSS})}
    )

    assert "VIP accounts: needs three different approvers, but only 2 people can be asked." in lines
    assert "High impact, outside working hours: needs two different approvers, but only 1 person can be asked." in lines


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"from": []}, "Low impact: nobody can be asked, so nobody may approve it."),
        ({"chain": [[BOSS], []], "escalate_after_minutes": [5, 9]}, "Step 2 of the escalation has nobody in it."),
        (
            {"chain": [[BOSS]], "escalate_after_minutes": [5, 9]},
            "Times for escalation: 2, steps in the chain: 1. At the last times nobody new is asked.",
        ),
        ({"chain": [[BOSS]]}, "Steps in the escalation chain: 1, times for them: 0. The last steps are never asked."),
        (
            {"hours": {**OFFICE, "outside": {"chain": [[BOSS]]}}},
            "Outside working hours, steps in the escalation chain: 1, times for them: 0. The last",
        ),
        (
            {"hours": {**OFFICE, "outside": {"chain": [[]]}}},
            "Outside working hours, step 1 of the escalation has nobody in it.",
        ),
        (
            {"rules": [{"approvers": 2}, {"impact": "low", "approvers": 1}]},
            "Rule 2 never applies: the rules before it cover all that it names.",
        ),
        ({"rules": [{"impact": "high", "approvers": 1}, {"impact": "medium", "approvers": 3}]}, "High impact needs"),
        ({"override": {"approvers": 1}}, "One approver is enough to unblock an account that is not secured."),
    ],
)
def test_what_is_probably_not_meant_is_told(section: dict[str, Any], said: str) -> None:
    """
    Each is a line of its own.
    """
    assert any(line.startswith(said) for line in warned(policy(**section)))


@pytest.mark.parametrize("language", [EN, SV], ids=["en", "sv"])
def test_warnings_have_words_in_both_languages(language: Words) -> None:
    """
    Everything that can be warned about at once is told without a missing word.
    """
    own = policy(
        **{"from": []},
        chain=[[]],
        escalate_after_minutes=[5, 9],
        rules=[{"approvers": 2, "impact": "high"}, {"impact": ["high"]}, {"impact": "medium", "approvers": 5}],
        override={"approvers": 1},
        hours={**OFFICE, "outside": {"chain": [[], [BOSS], []]}},
    )

    lines = [language.plain(line) for line in problems(own, {BOSS: frozenset({BOSS})})]

    assert len(lines) > 8
