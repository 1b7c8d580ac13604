"""The people of the tests, and a directory that knows them."""

from __future__ import annotations

from collections.abc import Sequence

from services.cases import Actor
from services.clients.graph_models import DirectoryUser
from services.errors import NotFound, ServiceError

TENANT = "11111111-1111-4111-8111-111111111111"


def oid(number: int) -> str:
    return f"{number:08d}-0000-4000-8000-000000000000"


def person(number: int, name: str, **fields: object) -> DirectoryUser:
    """An ordinary member of the tenant."""
    values = {"account_enabled": True, "user_type": "Member", "display_name": name, **fields}
    return DirectoryUser(oid=oid(number), upn=f"{name.lower()}@contoso.com", **values)


ALEX = person(1, "Alex")
MEGAN = person(2, "Megan")
JANE = person(3, "Jane")
SAM = person(4, "Sam")
GARY = person(5, "Gary", user_type="Guest")
OLGA = person(6, "Olga")
DORA = person(7, "Dora", account_enabled=False)


def actor(user: DirectoryUser, tenant_id: str = TENANT) -> Actor:
    return Actor(user_oid=user.oid, name=user.display_name, tenant_id=tenant_id)


class FakeDirectory:
    """Fulfils what the services ask of the directory, from memory."""

    def __init__(self, *users: DirectoryUser) -> None:
        self.users = {user.oid: user for user in users or (ALEX, MEGAN, JANE, SAM, GARY, OLGA, DORA)}
        self.groups: dict[str, set[str]] = {}
        self.deleted: tuple[DirectoryUser, ...] = ()
        #: Raised by every question while it is set.
        self.fault: ServiceError | None = None

    def _answer(self) -> None:
        if self.fault is not None:
            raise self.fault

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        self._answer()
        found = self.users.get(id_or_upn) or next((u for u in self.users.values() if u.upn == id_or_upn), None)
        if found is None:
            raise NotFound("graph")
        return found

    async def by_id_or_upn(self, text: str) -> DirectoryUser | None:
        try:
            return await self.get_user(text)
        except NotFound:
            return None

    async def by_address(self, text: str) -> tuple[DirectoryUser, ...]:
        self._answer()
        return tuple(user for user in self.users.values() if text.casefold() in user.addresses)

    async def by_name(self, text: str) -> tuple[DirectoryUser, ...]:
        self._answer()
        return tuple(user for user in self.users.values() if text.casefold() in user.display_name.casefold())

    async def deleted_users(self, text: str) -> tuple[DirectoryUser, ...]:
        self._answer()
        return self.deleted

    async def is_member(self, oid: str, group_ids: Sequence[str]) -> frozenset[str]:
        self._answer()
        return frozenset(group for group in group_ids if oid in self.groups.get(group, set()))

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]:
        self._answer()
        if group_id not in self.groups:
            raise NotFound("graph")
        return tuple(self.users[member] for member in sorted(self.groups[group_id]))
