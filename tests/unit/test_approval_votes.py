"""How many have agreed: one vote each, to the same list, by people who may."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from services.access import Access
from services.approvals import Approvals, DecideApproval, decided, new_approval, standing_of
from services.audit import Tag
from services.cases import (
    Action,
    ActionKind,
    Approval,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseState,
    Impact,
    say,
    undo_hash,
)
from services.clients.graph_models import DirectoryUser
from services.errors import AlreadyDecided, BadInput, BotError, NotAllowed
from services.policy import Policy
from services.store import Store, migrate
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, OLGA, SAM, TENANT, FakeDirectory, actor
from tests.fakes.policies import BY_DEFAULT, ONE_APPROVER, policy_for

RULE = Action(
    action_id="rule", kind=ActionKind.DISABLE_RULE, target={"identity": "7"}, impact=Impact.LOW, optional=True
)
EVERYBODY = (ALEX, JANE, MEGAN, OLGA, SAM)


def asked(needed: int = 2, **fields: object) -> Case:
    """A case with a rule that may be left out, whose prompt needs so many."""
    case = given.asked()
    case = case.model_copy(update={"actions": (*case.actions[:-1], RULE, case.actions[-1])})
    prompt = new_approval(case, ApprovalPurpose.REMEDIATION, policy_for(MEGAN.oid, OLGA.oid, SAM.oid), at=given.NOW)
    return case.with_approval(prompt.model_copy(update={"needed": needed, **fields}))


def order(
    case: Case, who: DirectoryUser, *, granted: bool = True, ticked: Sequence[str] | None = None
) -> DecideApproval:
    boxes = None if ticked is None else tuple(ticked)
    return DecideApproval(claim=prompt_of(case).claim, by=actor(who), granted=granted, ticked=boxes)


def prompt_of(case: Case) -> Approval:
    return case.approvals[-1]


def vote(case: Case, who: DirectoryUser, *, fallen: Sequence[str] = (), **more: object) -> Case:
    gone = dict.fromkeys(fallen, "disabled")
    return decided(case, prompt_of(case).prompt_id, order(case, who, **more), given.NOW, gone)[0]


def test_an_approval_that_is_not_the_last_leaves_the_question_open() -> None:
    """
    It is kept with its giver, and the case stays where it is.
    """
    case = vote(asked(), MEGAN)

    assert (CaseState.AWAITING_APPROVAL, ApprovalState.PENDING) == (case.state, prompt_of(case).state)
    assert (1, [actor(MEGAN)]) == (standing_of(case, prompt_of(case)).missing, [v.by for v in prompt_of(case).votes])


def test_the_last_one_that_is_needed_decides() -> None:
    """
    Two different people, in either order.
    """
    for first, second in ((MEGAN, OLGA), (OLGA, MEGAN)):
        case = vote(vote(asked(), first), second)
        assert (CaseState.CONTAINING, ApprovalState.GRANTED) == (case.state, prompt_of(case).state)
        assert actor(second) == prompt_of(case).decided_by


def test_the_same_person_again_changes_nothing() -> None:
    """
    Nor does their id in other letters make two of them.
    """
    once = vote(asked(), MEGAN)
    loud = MEGAN.model_copy(update={"oid": MEGAN.oid.upper()})

    assert once == vote(once, MEGAN)
    assert 1 == len(prompt_of(vote(once, loud)).votes)


def test_other_boxes_are_another_list() -> None:
    """
    Olga leaves the rule out, so Megan's approval is gone; when Megan agrees to that, it is decided.
    """
    case = vote(vote(asked(), MEGAN, ticked=["rule"]), OLGA, ticked=[])
    assert [actor(OLGA)] == [v.by for v in prompt_of(case).votes]

    case = vote(case, MEGAN, ticked=[])
    assert ApprovalState.GRANTED == prompt_of(case).state
    assert "rule" not in prompt_of(case).approved


def test_one_denial_ends_it() -> None:
    """
    Whoever agreed before; the one who denied is the one who decided.
    """
    case = vote(vote(asked(3), MEGAN), OLGA, granted=False)

    assert (CaseState.DENIED, actor(OLGA)) == (case.state, prompt_of(case).decided_by)
    with pytest.raises(AlreadyDecided):
        vote(case, SAM)


def test_an_approval_of_somebody_who_has_fallen_is_taken_out() -> None:
    """
    It takes another one instead.
    """
    case = vote(vote(asked(), MEGAN), OLGA, fallen=[MEGAN.oid])

    assert (ApprovalState.PENDING, [actor(OLGA)]) == (prompt_of(case).state, [v.by for v in prompt_of(case).votes])
    assert ApprovalState.GRANTED == prompt_of(vote(case, SAM)).state


def test_the_record_says_whose_approval_does_not_count_any_more_and_why() -> None:
    """
    With the answer that it was found out with.
    """
    case = vote(asked(), MEGAN)
    prompt_id, why = prompt_of(case).prompt_id, {MEGAN.oid: "disabled", SAM.oid: "risky"}
    _, (entry,) = decided(case, prompt_id, order(case, OLGA), given.NOW, why)

    assert {MEGAN.oid: "disabled"} == entry.details["no_longer_counting"]


def test_what_nobody_may_approve_is_never_granted() -> None:
    """
    However many agree.
    """
    case = asked(1, never=say("policy.never.nobody"))
    for who in (MEGAN, OLGA, SAM):
        case = vote(case, who)

    assert ApprovalState.PENDING == prompt_of(case).state


clicks = st.tuples(
    st.sampled_from(EVERYBODY),
    st.booleans() | st.just(True),
    st.sampled_from([None, (), ("rule",)]),
    st.sampled_from([(), (MEGAN.oid,), (OLGA.oid,)]),
)


@for_all(st.integers(1, 4), st.lists(clicks, max_size=25))
def test_it_is_never_granted_with_fewer_than_are_needed(needed: int, pressed: list) -> None:
    """
    Whatever the order of clicks: a granted prompt has enough different people for the list that was approved, none of
    them the requester or the subject, and it stays as it was decided.
    """
    case = asked(needed)
    for who, granted, ticked, fallen in pressed:
        before = prompt_of(case)
        try:
            case = vote(case, who, granted=granted, ticked=ticked, fallen=fallen)
        except BotError:
            pass
        assert before.state is ApprovalState.PENDING or before == prompt_of(case)
    prompt = prompt_of(case)
    allowed = {v.by.user_oid for v in prompt.votes if v.granted} - {ALEX.oid, JANE.oid}

    if prompt.state is ApprovalState.GRANTED:
        assert len(allowed) >= needed
        assert 1 == len({v.ticked for v in prompt.votes})
        assert CaseState.CONTAINING == case.state
    elif prompt.state is ApprovalState.PENDING:
        assert CaseState.AWAITING_APPROVAL == case.state


@pytest.fixture
async def store(tmp_path, clock: FakeClock):
    url = f"sqlite:///{tmp_path}/unblock.db"
    migrate(url)
    store = Store(url, clock)
    yield store
    await store.close()


def approvals(
    store: Store, clock: FakeClock, directory: FakeDirectory, *listed: DirectoryUser, base: Policy = BY_DEFAULT
) -> Approvals:
    policy = policy_for(*(user.oid for user in listed), base=base)
    return Approvals(store, Access(directory, tenant_id=TENANT, requesters=(), policy=policy, admins=()), clock)


async def test_a_vote_is_on_the_record_with_how_many_are_missing(store: Store, clock: FakeClock) -> None:
    """
    Before the decision and apart from it.
    """
    case = asked(levels=())
    await store.open_case(case)
    gate = approvals(store, clock, FakeDirectory(), MEGAN, OLGA)

    for who in (MEGAN, MEGAN, OLGA):
        await gate.decide(order(case, who))

    assert [Tag.APPROVAL_VOTED, Tag.APPROVAL_GRANTED] == [e.tag for e in await store.audit_entries("C1")]


async def test_an_earlier_approver_is_looked_at_again(store: Store, clock: FakeClock) -> None:
    """
    Megan was disabled after she had agreed, so Olga alone is not enough.
    """
    case, directory = asked(levels=()), FakeDirectory()
    await store.open_case(case)
    gate = approvals(store, clock, directory, MEGAN, OLGA, SAM)
    await gate.decide(order(case, MEGAN))
    directory.users[MEGAN.oid] = MEGAN.model_copy(update={"account_enabled": False})

    case = await gate.decide(order(case, OLGA))

    assert ApprovalState.PENDING == prompt_of(case).state
    assert ApprovalState.GRANTED == prompt_of(await gate.decide(order(case, SAM))).state


async def test_a_policy_that_became_stricter_counts_for_open_questions(store: Store, clock: FakeClock) -> None:
    """
    One was enough when it was asked; by the policy of now it takes two.
    """
    case = asked(needed=1)
    await store.open_case(case)
    gate = approvals(store, clock, FakeDirectory(), MEGAN, OLGA, SAM)

    waiting = await gate.decide(order(case, MEGAN))

    assert (ApprovalState.PENDING, 2) == (prompt_of(waiting).state, prompt_of(waiting).needed)
    assert ApprovalState.GRANTED == prompt_of(await gate.decide(order(case, OLGA))).state


async def test_who_is_not_named_for_this_question_any_more_does_not_count(store: Store, clock: FakeClock) -> None:
    """
    Sam may still lift locks, and was asked about this plan by the policy of then.
    """
    case = asked(levels=((SAM.oid,),))
    await store.open_case(case)
    now = Policy.model_validate({"override": {"from": [SAM.oid]}})
    gate = approvals(store, clock, FakeDirectory(), MEGAN, base=now)

    with pytest.raises(NotAllowed):
        await gate.decide(order(case, SAM))


def test_a_box_that_is_not_on_the_card_is_refused_before_the_vote_is_stored() -> None:
    """
    Not only with the last vote: the earlier ones would stand in the way of those after them.
    """
    with pytest.raises(BadInput):
        vote(asked(), MEGAN, ticked=("another card's",))
    assert prompt_of(vote(asked(), MEGAN, ticked=())).votes


@pytest.mark.parametrize("ticked", [(), ("another card's",)])
def test_an_undo_of_nothing_is_refused_before_the_vote_is_stored(ticked: tuple[str, ...]) -> None:
    """
    Leaving every box empty is no agreement to anything.
    """
    case = asked(purpose=ApprovalPurpose.UNDO, about=(RULE.action_id,), plan_hash=undo_hash((RULE,)))

    with pytest.raises(BadInput):
        vote(case, MEGAN, ticked=ticked)
    assert prompt_of(vote(case, MEGAN, ticked=(RULE.action_id,))).votes


async def test_any_approver_of_the_plan_is_no_second_person_for_its_lock(store: Store, clock: FakeClock) -> None:
    """
    Megan was the first of two who approved the plan; where one is enough for the override, it must be another.
    """
    approved = vote(vote(asked(), MEGAN), OLGA)
    lock = (
        given.locked().approvals[-1].model_copy(update={"levels": (), "expires_at": clock.now() + timedelta(hours=1)})
    )
    case = approved.model_copy(update={"state": CaseState.LOCKED}).with_approval(lock)
    await store.open_case(case)
    gate = approvals(store, clock, FakeDirectory(), MEGAN, OLGA, SAM, base=ONE_APPROVER)

    for who in (MEGAN, OLGA):
        with pytest.raises(NotAllowed) as refusal:
            await gate.decide(DecideApproval(claim=lock.claim, by=actor(who), granted=True, reason="sure"))
        assert "same_approver" == refusal.value.reason
