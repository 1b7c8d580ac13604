"""The Temporary Access Pass: who gets one, when, and that nothing of it stays behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from services.access import Access
from services.access_passes import AccessPasses, IssueAccessPass
from services.audit import Tag
from services.cases import ActionState, ApprovalPurpose, ApprovalState, Case, CaseState, Subject, Vote
from services.clients.graph_models import AccessPass, DirectoryUser
from services.errors import NotAllowed, PermissionMissing, Rejected, ServiceError, StepUpNeeded, WrongState
from services.policy import Policy
from services.sign_in import SignIn
from services.store import Store
from tests.databases import prepared_sqlite
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, OLGA, TENANT, FakeDirectory, actor
from tests.fakes.policies import BY_DEFAULT, policy_for

PASS = "Zr7%kQ2u-is-the-pass"


class Issuer:
    """Gives one pass after the other, or refuses."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, bool]] = []
        self.fault: ServiceError | None = None

    async def issue_access_pass(self, oid: str, *, lifetime_minutes: int, usable_once: bool) -> AccessPass:
        self.asked.append((oid, lifetime_minutes, usable_once))
        if self.fault is not None:
            raise self.fault
        return AccessPass(value=SecretStr(PASS))


class World:
    def __init__(self, store: Store) -> None:
        self.store, self.issuer = store, Issuer()
        approvers = (MEGAN.oid, OLGA.oid, ALEX.oid, JANE.oid)
        self.policy, self.clock = policy_for(*approvers), FakeClock()
        self._access = Access(FakeDirectory(), tenant_id=TENANT, requesters=(), policy=self.policy, admins=())
        self.kinds: tuple[str, ...] = ()

    async def kinds_of(self, subject: Subject) -> tuple[str, ...]:
        return self.kinds

    @property
    def passes(self) -> AccessPasses:
        return AccessPasses(self.store, self._access, self.issuer, self, self.policy, self.clock)

    async def ask(self, who: DirectoryUser = MEGAN) -> tuple[Case, AccessPass]:
        return await self.passes.issue_access_pass(IssueAccessPass(actor(who), "C1"))

    async def secured(
        self, state: CaseState = CaseState.UNBLOCKED, action: ActionState = ActionState.PROVEN, **prompt: object
    ) -> Case:
        """A case that Megan has approved."""
        case = given.asked()
        granted = {"state": ApprovalState.GRANTED, "decided_by": actor(MEGAN), "decided_at": given.NOW} | prompt
        for one in case.containment:
            case = case.with_action(one.model_copy(update={"state": action}))
        case = case.with_approval(case.approvals[0].model_copy(update=granted))
        return await self.store.open_case(case.model_copy(update={"state": state}), [])

    async def tags(self) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries()]


@pytest.fixture
async def world(tmp_path: Path):
    url = prepared_sqlite(tmp_path / "unblock.db")
    store = Store(url, FakeClock())
    yield World(store)
    await store.close()


async def test_the_approver_of_the_case_gets_one(world: World) -> None:
    """
    For one sign-in within an hour; that it was asked for and issued is on the record, the pass itself is not.
    """
    case = await world.secured()

    _, issued = await world.passes.issue_access_pass(IssueAccessPass(actor(MEGAN), case.case_id))

    assert (PASS, [(JANE.oid, 60, True)]) == (issued.value.get_secret_value(), world.issuer.asked)
    assert [Tag.ACCESS_PASS_ASKED, Tag.ACCESS_PASS_ISSUED] == await world.tags()
    assert all(PASS not in entry.details for entry in await world.store.audit_entries())
    assert PASS not in repr(issued)


@pytest.mark.parametrize("purpose", [ApprovalPurpose.FIX, ApprovalPurpose.UNDO])
async def test_agreeing_to_one_setting_is_no_claim_to_a_pass(world: World, purpose: ApprovalPurpose) -> None:
    """
    Olga agreed to a fix or an undo, not to what was done to the account.
    """
    case = await world.secured()
    granted = {"prompt_id": "P2", "claim": "c2", "purpose": purpose, "decided_by": actor(OLGA)}
    other = case.approvals[0].model_copy(update=granted)
    await world.store.change_case(case.case_id, lambda case: (case.with_approval(other), []))

    with pytest.raises(NotAllowed):
        await world.passes.issue_access_pass(IssueAccessPass(actor(OLGA), case.case_id))


@pytest.mark.parametrize("who", [OLGA, ALEX, JANE])
async def test_nobody_else_gets_one(world: World, who) -> None:
    """
    Not another approver, not the requester, and least of all the account itself.
    """
    case = await world.secured()

    with pytest.raises(NotAllowed):
        await world.passes.issue_access_pass(IssueAccessPass(actor(who), case.case_id))

    assert [] == world.issuer.asked


@pytest.mark.parametrize(
    ("state", "action"),
    [
        (CaseState.CONTAINING, ActionState.PROVEN),
        (CaseState.LOCKED, ActionState.FAILED),
        (CaseState.UNBLOCKED, ActionState.FAILED),
    ],
)
async def test_there_is_none_before_the_attacker_is_out(world: World, state: CaseState, action: ActionState) -> None:
    """
    A pass for an account that somebody else is still in would let them stay; an override changes nothing about that.
    """
    case = await world.secured(state, action)

    with pytest.raises(WrongState):
        await world.passes.issue_access_pass(IssueAccessPass(actor(MEGAN), case.case_id))

    assert [] == world.issuer.asked


async def test_a_question_that_took_two_needs_both_and_gives_it_to_either(world: World) -> None:
    """
    Olga was the first of the two who agreed, Megan the second: the case is both of theirs.
    """
    votes = tuple(Vote(by=actor(who), granted=True, at=given.NOW) for who in (OLGA, MEGAN))
    world.policy = policy_for(MEGAN.oid, OLGA.oid, base=BY_DEFAULT)
    await world.secured(needed=2, votes=votes)

    await world.ask(OLGA)

    assert 1 == len(world.issuer.asked)


@pytest.mark.parametrize(("approvers", "why"), [(2, "too_few_approved"), ("never", "never")])
async def test_a_protected_account_takes_as_many_as_it_would_take_now(world: World, approvers, why: str) -> None:
    """
    Megan alone had agreed; meanwhile the account is on the list of the VIPs.
    """
    guard = {"vip": {"accounts": [JANE.oid], "approvers": approvers}}
    policy = Policy.model_validate({"rules": [{"approvers": 1}], "protected": guard})
    world.policy = policy_for(MEGAN.oid, OLGA.oid, base=policy)
    world.kinds = ("vip",)
    await world.secured()

    with pytest.raises(NotAllowed) as refusal:
        await world.ask()

    assert (why, []) == (refusal.value.reason, world.issuer.asked)


async def test_where_the_approval_took_a_fresh_sign_in_so_does_the_pass(world: World) -> None:
    """
    The sign-in of then is over after ten minutes.
    """
    case = await world.secured(step_up_max_age_s=600.0)
    asked = {"case_id": "C1", "prompt_id": case.approvals[0].prompt_id, "by": actor(MEGAN), "max_age_s": 600.0}
    proof = SignIn(state_hash="1", language="en", asked_at=given.NOW, signed_in_at=world.clock.now(), **asked)
    await world.store.ask_sign_in(proof)
    await world.store.prove_sign_in(proof)
    world.clock.advance(minutes=11)

    with pytest.raises(StepUpNeeded):
        await world.ask()

    later = proof.model_copy(update={"state_hash": "2", "signed_in_at": world.clock.now()})
    await world.store.ask_sign_in(later)
    await world.store.prove_sign_in(later)
    await world.ask()
    assert 1 == len(world.issuer.asked)


async def test_a_case_gets_one_pass_an_hour(world: World) -> None:
    """
    One that Microsoft refused does not count.
    """
    await world.secured()
    world.issuer.fault = Rejected("graph", code="policy")
    with pytest.raises(Rejected):
        await world.ask()
    world.issuer.fault = None
    await world.ask()

    with pytest.raises(NotAllowed) as refusal:
        await world.ask()
    world.clock.advance(minutes=60)
    await world.ask()

    assert ("pass_lately", 3) == (refusal.value.reason, len(world.issuer.asked))


@pytest.mark.parametrize("fault", [PermissionMissing("graph"), Rejected("graph", code="policy")])
async def test_a_refusal_of_microsofts_is_on_the_record(world: World, fault: ServiceError) -> None:
    """
    A policy without passes, or an admin's account: said, written down, and not tried again by itself.
    """
    case = await world.secured()
    world.issuer.fault = fault

    with pytest.raises(type(fault)):
        await world.passes.issue_access_pass(IssueAccessPass(actor(MEGAN), case.case_id))

    assert [Tag.ACCESS_PASS_ASKED, Tag.ACCESS_PASS_FAILED] == await world.tags()
    assert 1 == len(world.issuer.asked)
