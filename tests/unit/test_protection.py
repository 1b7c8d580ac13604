"""Which kinds of protection an account has."""

from __future__ import annotations

import asyncio

import pytest

from services import protection
from services.clients.graph_models import DirectoryRole
from services.errors import LicenceMissing, PermissionMissing, ServiceError, Unavailable
from services.policy import Policy
from services.protection import ProtectedAccounts
from tests.fakes.people import JANE, OLGA, FakeDirectory, oid

GROUP = oid(901)
EVERYTHING = {
    "vip": {"accounts": [JANE.oid]},
    "service": {"accounts": [OLGA.oid]},
    "break_glass": {"accounts": [GROUP], "approvers": "never"},
    "admins": {"approvers": 2},
}


class Directory(FakeDirectory):
    """People, groups and who holds a directory role."""

    def __init__(self) -> None:
        super().__init__()
        self.admins: set[str] = set()
        self.eligible: set[str] = set()
        self.roles_fault: ServiceError | None = None
        self.eligible_fault: ServiceError | None = None
        self.hangs = False

    async def transitive_roles(self, oid: str) -> tuple[DirectoryRole, ...]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.roles_fault is not None:
            raise self.roles_fault
        role = DirectoryRole.model_validate({"id": "a", "roleDefinitionId": "r", "directoryScopeId": "/"})
        return (role,) if oid in self.admins else ()

    async def may_activate_role(self, oid: str) -> bool:
        if self.eligible_fault is not None:
            raise self.eligible_fault
        return oid in self.eligible


def protected(directory: Directory, lists: dict[str, object]) -> ProtectedAccounts:
    return ProtectedAccounts(Policy.model_validate({"protected": lists}), directory)


async def test_an_account_has_every_kind_whose_list_it_is_on() -> None:
    """
    By name, through a group, and by its role, all at once.
    """
    directory = Directory()
    directory.groups[GROUP], directory.admins = {JANE.oid}, {JANE.oid}

    assert ("vip", "break_glass", "admins") == await protected(directory, EVERYTHING).kinds_of(JANE.subject())


async def test_an_account_on_no_list_has_none() -> None:
    """
    Nor has anybody where the policy has no lists, whatever their roles.
    """
    directory = Directory()
    assert () == await protected(directory, {"vip": {"accounts": [OLGA.oid]}}).kinds_of(JANE.subject())

    directory.admins = {JANE.oid}
    assert () == await protected(directory, {}).kinds_of(JANE.subject())


async def test_who_may_activate_a_role_is_an_admin() -> None:
    """
    Somebody who has the account could activate it too; without the licence for that nobody can.
    """
    directory, lists = Directory(), {"admins": {"approvers": 2}}
    directory.eligible = {JANE.oid}
    assert ("admins",) == await protected(directory, lists).kinds_of(JANE.subject())

    directory.eligible_fault = LicenceMissing("graph")
    assert () == await protected(directory, lists).kinds_of(JANE.subject())

    directory.eligible_fault = PermissionMissing("graph")
    assert ("admins",) == await protected(directory, lists).kinds_of(JANE.subject())


async def test_ids_are_the_same_in_any_case() -> None:
    """
    A list in capitals protects too.
    """
    subject = JANE.subject().model_copy(update={"user_oid": JANE.oid.upper()})

    assert ("vip",) == await protected(Directory(), {"vip": {"accounts": [JANE.oid]}}).kinds_of(subject)


@pytest.mark.parametrize("fault", [Unavailable("graph"), PermissionMissing("graph")], ids=["down", "no permission"])
async def test_what_could_not_be_looked_up_protects(fault: ServiceError) -> None:
    """
    Unknown is not unprotected: groups and roles cannot be read, so all lists with groups and the roles apply.
    """
    directory = Directory()
    directory.fault = directory.roles_fault = fault

    assert ("vip", "service", "break_glass", "admins") == await protected(directory, EVERYTHING).kinds_of(
        JANE.subject()
    )


async def test_a_directory_that_does_not_answer_protects(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The first card does not wait for it.
    """
    monkeypatch.setattr(protection, "TIMEOUT_S", 0.01)
    directory = Directory()
    directory.hangs = True

    assert ("admins",) == await protected(directory, {"admins": {"approvers": 2}}).kinds_of(JANE.subject())
