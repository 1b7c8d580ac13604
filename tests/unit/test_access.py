"""Who may do what."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from services.access import MEMBERSHIP_KEPT_S, ON_CALL_PATIENCE_S, Access
from services.approver_health import AccountState
from services.cases import Approval, Vote
from services.clients.graph_models import DirectoryUser
from services.errors import NotAllowed, PermissionMissing, Unavailable
from services.policy import ON_CALL
from tests.fakes import given
from tests.fakes.people import ALEX, DORA, GARY, JANE, MEGAN, OLGA, SAM, TENANT, FakeDirectory, actor, oid
from tests.fakes.policies import policy_for

ON_CALL_GROUP = oid(900)


def access(directory: FakeDirectory, **lists: Any) -> Access:
    values = {"requesters": (ALEX.oid,), "approvers": (MEGAN.oid, ON_CALL_GROUP), "admins": (ALEX.oid,)} | lists
    policy = policy_for(*values.pop("approvers"))
    return Access(directory, tenant_id=TENANT, policy=policy, **values)


async def test_a_listed_approver_may_approve() -> None:
    """
    Megan is on the list and has nothing to do with the case.
    """
    await access(FakeDirectory()).check_approver(actor(MEGAN), given.asked())


async def test_a_member_of_a_listed_group_may_approve() -> None:
    """
    Groups count with their members, as the directory says at that moment.
    """
    directory, moment = FakeDirectory(), [0.0]
    directory.groups[ON_CALL_GROUP] = {SAM.oid}
    gate = access(directory, time=lambda: moment[0])

    await gate.check_approver(actor(SAM), given.asked())

    directory.groups[ON_CALL_GROUP] = set()
    moment[0] = MEMBERSHIP_KEPT_S
    with pytest.raises(NotAllowed):
        await gate.check_approver(actor(SAM), given.asked())


@pytest.mark.parametrize(
    ("who", "reason"),
    [
        (actor(ALEX), "own_request"),
        (actor(JANE), "subject"),
        (actor(SAM), "not_approver"),
        (actor(GARY), "guest"),
        (actor(DORA), "disabled"),
        (actor(MEGAN, tenant_id="99999999-0000-4000-8000-000000000000"), "other_tenant"),
        (actor(MEGAN.model_copy(update={"oid": oid(999)})), "not_in_directory"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_everybody_else_is_refused_with_a_reason(who, reason: str) -> None:
    """
    Requester, subject, stranger, guest, disabled account, other tenant, unknown: each is told why. Lists do not help.
    """
    everybody = tuple(oid(number) for number in range(1, 10))

    with pytest.raises(NotAllowed) as refusal:
        approvers = (MEGAN.oid,) if reason == "not_approver" else everybody
        await access(FakeDirectory(), approvers=approvers).check_approver(who, given.asked())

    assert reason == refusal.value.reason


async def test_nobody_configured_means_nobody_may() -> None:
    """
    An empty list is no open door.
    """
    closed = access(FakeDirectory(), requesters=(), approvers=(), admins=())

    for check in (closed.check_requester, closed.check_admin, closed.check_listed_approver):
        with pytest.raises(NotAllowed) as refusal:
            await check(actor(ALEX))
        assert "nobody_configured" == refusal.value.reason


@pytest.mark.parametrize("fault", [Unavailable("graph"), PermissionMissing("graph")], ids=["down", "no permission"])
async def test_an_unreadable_directory_lets_nobody_in(fault) -> None:
    """
    Unknown is not allowed, not even for somebody who is listed by name: the account may be disabled or a guest.
    """
    directory = FakeDirectory()
    directory.fault = fault

    with pytest.raises(NotAllowed) as refusal:
        await access(directory).check_approver(actor(MEGAN), given.asked())

    assert "cannot_check" == refusal.value.reason


async def test_possible_approvers_are_people_without_those_who_may_not() -> None:
    """
    Groups are resolved; the requester and the subject are left out although the group holds them.
    """
    directory = FakeDirectory()
    directory.groups[ON_CALL_GROUP] = {ALEX.oid, JANE.oid, SAM.oid}

    found = await access(directory).possible_approvers(given.asked())

    assert {MEGAN.oid, SAM.oid} == set(found)


async def test_ids_are_the_same_in_any_case() -> None:
    """
    A directory that spells ids in capitals makes nobody the judge of their own case.
    """
    case = given.asked(requester=actor(ALEX).model_copy(update={"user_oid": "AAAAAAAA-0000-4000-8000-00000000000A"}))
    jane = JANE.subject().model_copy(update={"user_oid": "BBBBBBBB-0000-4000-8000-00000000000B"})
    case = case.model_copy(update={"subject": jane})
    barred = (case.requester.user_oid.lower(), jane.user_oid.lower())

    for oid_ in barred:
        with pytest.raises(NotAllowed) as refusal:
            await access(FakeDirectory()).check_approver(actor(MEGAN.model_copy(update={"oid": oid_})), case)
        assert refusal.value.reason in ("own_request", "subject")


async def test_an_account_of_which_nobody_can_tell_whether_it_is_enabled_does_not_count() -> None:
    """
    Unknown is not enabled.
    """
    directory = FakeDirectory()
    directory.users[MEGAN.oid] = MEGAN.model_copy(update={"account_enabled": None})

    with pytest.raises(NotAllowed) as refusal:
        await access(directory).check_approver(actor(MEGAN), given.asked())
    assert "cannot_check" == refusal.value.reason


async def test_guests_and_disabled_members_of_the_group_are_not_asked() -> None:
    """
    Who could never approve gets no prompt either: it tells about somebody's account.
    """
    directory = FakeDirectory()
    directory.groups[ON_CALL_GROUP] = {GARY.oid, DORA.oid, SAM.oid}

    assert (MEGAN.oid, SAM.oid) == await access(directory).possible_approvers(given.asked())


# --- whom a question was put to ---


def two_levels(level: int = 0, **fields: Any) -> Approval:
    """A prompt that goes to Megan first and then to the group as well."""
    prompt = given.asked().approvals[0]
    return prompt.model_copy(update={"levels": ((MEGAN.oid,), (ON_CALL_GROUP,)), "level": level, **fields})


async def refusal_of(gate: Access, who: DirectoryUser, prompt: Approval) -> str | None:
    """Why this person may not answer; None when they may."""
    try:
        await gate.check_approver(actor(who), given.asked(), prompt)
    except NotAllowed as refusal:
        return refusal.reason
    return None


async def test_a_level_may_answer_once_it_was_asked() -> None:
    """
    Sam of the second level is too early, not a stranger. Who was asked before may still answer.
    """
    directory = FakeDirectory()
    directory.groups[ON_CALL_GROUP] = {SAM.oid}
    gate = access(directory)

    assert (None, "not_asked") == (
        await refusal_of(gate, MEGAN, two_levels()),
        await refusal_of(gate, SAM, two_levels()),
    )
    assert (None, None) == (
        await refusal_of(gate, MEGAN, two_levels(1)),
        await refusal_of(gate, SAM, two_levels(1)),
    )
    assert "not_approver" == await refusal_of(gate, OLGA, two_levels(1))


async def test_whom_the_policy_does_not_name_any_more_does_not_count() -> None:
    """
    Olga was asked, and the policy was changed while the question was open.
    """
    asked_then = two_levels(levels=((OLGA.oid,),))

    assert "not_approver" == await refusal_of(access(FakeDirectory()), OLGA, asked_then)


async def test_those_who_are_asked_are_the_ones_of_the_level() -> None:
    """
    Level by level, not all again.
    """
    directory = FakeDirectory()
    directory.groups[ON_CALL_GROUP] = {SAM.oid, JANE.oid}
    gate = access(directory)

    assert (MEGAN.oid,) == await gate.possible_approvers(given.asked(), two_levels())
    assert (SAM.oid,) == await gate.possible_approvers(given.asked(), two_levels(1))


async def test_self_approval_is_what_the_prompt_says() -> None:
    """
    Alex asked. He may answer where that is allowed and is asked then too; the subject never may.
    """
    gate = access(FakeDirectory(), approvers=(ALEX.oid, JANE.oid))
    levels = ((ALEX.oid, JANE.oid),)
    allowed, forbidden = (two_levels(levels=levels, self_allowed=own) for own in (True, False))

    assert (None, "own_request") == (
        await refusal_of(gate, ALEX, allowed),
        await refusal_of(gate, ALEX, forbidden),
    )
    assert (ALEX.oid,) == await gate.possible_approvers(given.asked(), allowed)
    assert "subject" == await refusal_of(gate, JANE, allowed)


@dataclass
class Rota:
    """Who is on call, as the test says."""

    people: tuple[str, ...]
    patience_s: float | None = None

    async def now(self, patience_s: float | None = None) -> Rota:
        self.patience_s = patience_s
        return self


async def test_on_call_is_whoever_it_is_at_the_click() -> None:
    """
    The prompt says "oncall" and not who that was when it was sent.
    """
    rota = Rota((MEGAN.oid.upper(),))
    gate = access(FakeDirectory(), approvers=(ON_CALL,), on_call=rota)
    prompt = two_levels(levels=((ON_CALL,),))

    assert (None, "not_approver") == (await refusal_of(gate, MEGAN, prompt), await refusal_of(gate, OLGA, prompt))
    rota.people = (OLGA.oid,)
    assert ("not_approver", None) == (await refusal_of(gate, MEGAN, prompt), await refusal_of(gate, OLGA, prompt))
    assert (OLGA.oid,) == await gate.possible_approvers(given.asked(), prompt)


async def test_a_hand_over_takes_away_no_approval() -> None:
    """
    Megan was on call when she approved and Olga is now. What was given as anything else is looked at as ever.
    """
    gate = access(FakeDirectory(), approvers=(ON_CALL,), on_call=Rota((OLGA.oid,)))
    prompt, given_by = two_levels(levels=((ON_CALL,),)), {"by": actor(MEGAN), "granted": True, "at": given.NOW}

    await gate.check_voter(Vote(**given_by, on_call=True), given.asked(), prompt)
    with pytest.raises(NotAllowed):
        await gate.check_voter(Vote(**given_by), given.asked(), prompt)
    assert [True, False] == [await gate.is_on_call(actor(who), prompt) for who in (OLGA, MEGAN)]


@pytest.mark.parametrize("who", [DORA, GARY])
async def test_after_a_hand_over_the_account_must_still_be_one_that_counts(who: DirectoryUser) -> None:
    """
    Disabled meanwhile, or made a guest.
    """
    gate = access(FakeDirectory(), approvers=(ON_CALL,), on_call=Rota((OLGA.oid,)))
    vote = Vote(by=actor(who), granted=True, at=given.NOW, on_call=True)

    with pytest.raises(NotAllowed):
        await gate.check_voter(vote, given.asked(), two_levels(levels=((ON_CALL,),)))


async def test_a_click_waits_for_the_sources_only_so_long() -> None:
    """
    Who is to be asked is looked up with all patience: nobody's screen waits for that.
    """
    rota = Rota((MEGAN.oid,))
    gate, prompt = access(FakeDirectory(), approvers=(ON_CALL,), on_call=rota), two_levels(levels=((ON_CALL,),))

    assert await refusal_of(gate, MEGAN, prompt) is None and ON_CALL_PATIENCE_S == rota.patience_s
    assert await gate.possible_approvers(given.asked(), prompt) and rota.patience_s is None


async def test_an_unknown_on_call_is_not_a_missing_setting() -> None:
    """
    No source says who it is: nobody may answer now, and "nobody is configured" would be untrue.
    """
    gate = access(FakeDirectory(), approvers=(ON_CALL,), on_call=Rota(()))

    assert "cannot_check" == await refusal_of(gate, MEGAN, two_levels(levels=((ON_CALL,),)))


# --- the approver's own account ---


class Health:
    """The trouble of an account, as the test says."""

    def __init__(self, trouble: str | None = None) -> None:
        self.answer = trouble
        self.asked = 0
        self.fault: Exception | None = None

    async def look(self, user: DirectoryUser) -> AccountState:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return AccountState(self.answer)


@pytest.mark.parametrize("trouble", ["risky", "restricted"])
async def test_an_approver_in_trouble_does_not_count(trouble: str) -> None:
    """
    Whoever holds that account may be the attacker.
    """
    assert trouble == await refusal_of(access(FakeDirectory(), health=Health(trouble)), MEGAN, two_levels())


async def test_an_approver_whose_account_cannot_be_read_does_not_count() -> None:
    """
    Unknown is not clean.
    """
    health = Health()
    health.fault = Unavailable("graph")

    assert "cannot_check" == await refusal_of(access(FakeDirectory(), health=health), MEGAN, two_levels())


async def test_a_crowd_of_clicks_asks_about_an_account_once_in_a_while() -> None:
    """
    Microsoft answers one question about risk a second. After the time has passed the account is looked at again.
    """
    health, moment = Health(), [0.0]
    gate = access(FakeDirectory(), health=health, time=lambda: moment[0])

    assert {None} == set(await asyncio.gather(*(refusal_of(gate, MEGAN, two_levels()) for _ in range(20))))
    assert 1 == health.asked
    health.answer, moment[0] = "risky", MEMBERSHIP_KEPT_S
    assert "risky" == await refusal_of(gate, MEGAN, two_levels())


async def test_a_disabled_account_is_seen_at_once() -> None:
    """
    This is not kept: Megan was fine a moment ago.
    """
    directory = FakeDirectory()
    gate = access(directory)
    assert await refusal_of(gate, MEGAN, two_levels()) is None

    directory.users[MEGAN.oid] = MEGAN.model_copy(update={"account_enabled": False})

    assert "disabled" == await refusal_of(gate, MEGAN, two_levels())
