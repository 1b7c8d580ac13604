"""Who may do what."""

from __future__ import annotations

import pytest

from services.access import Access
from services.errors import NotAllowed, PermissionMissing, Unavailable
from tests.fakes import given
from tests.fakes.people import ALEX, DORA, GARY, JANE, MEGAN, SAM, TENANT, FakeDirectory, actor, oid

ON_CALL_GROUP = oid(900)


def access(directory: FakeDirectory, **lists: tuple[str, ...]) -> Access:
    values = {"requesters": (ALEX.oid,), "approvers": (MEGAN.oid, ON_CALL_GROUP), "admins": (ALEX.oid,)} | lists
    return Access(directory, tenant_id=TENANT, **values)


async def test_a_listed_approver_may_approve() -> None:
    """
    Megan is on the list and has nothing to do with the case.
    """
    await access(FakeDirectory()).check_approver(actor(MEGAN), given.asked())


async def test_a_member_of_a_listed_group_may_approve() -> None:
    """
    Groups count with their members, as the directory says at that moment.
    """
    directory = FakeDirectory()
    directory.groups[ON_CALL_GROUP] = {SAM.oid}

    await access(directory).check_approver(actor(SAM), given.asked())

    directory.groups[ON_CALL_GROUP] = set()
    with pytest.raises(NotAllowed):
        await access(directory).check_approver(actor(SAM), given.asked())


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


async def test_guests_and_disabled_members_of_the_group_are_not_asked() -> None:
    """
    Who could never approve gets no prompt either: it tells about somebody's account.
    """
    directory = FakeDirectory()
    directory.groups[ON_CALL_GROUP] = {GARY.oid, DORA.oid, SAM.oid}

    assert (MEGAN.oid, SAM.oid) == await access(directory).possible_approvers(given.asked())
