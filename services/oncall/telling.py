"""Who is on call, for somebody who asks: with names, for whoever may read cases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from services.cases import Actor
from services.clients.graph_models import DirectoryUser
from services.errors import ServiceError
from services.oncall.on_call import OnDuty

#: How long the directory may take to name one person: the id will do as well.
NAME_TIMEOUT_S = 5.0


class Readers(Protocol):
    """Who may read; fulfilled by `Casework`."""

    async def may_read(self, who: Actor) -> None: ...


class Directory(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


class Sources(Protocol):
    """Who knows it; fulfilled by `OnCall`."""

    async def now(self) -> OnDuty: ...


@dataclass(frozen=True)
class OnCallTold:
    """The answer, and the names of its people in the same order; an id for one that the directory does not name."""

    duty: OnDuty
    names: tuple[str, ...]


class OnCallAnswers:
    """Answers the question who is on call now."""

    def __init__(self, readers: Readers, sources: Sources, directory: Directory) -> None:
        self._readers = readers
        self._sources = sources
        self._directory = directory

    async def tell(self, who: Actor) -> OnCallTold:
        """Raises NotAllowed for somebody who may not read cases; never for a source or the directory."""
        await self._readers.may_read(who)
        duty = await self._sources.now()
        return OnCallTold(duty, tuple(await asyncio.gather(*map(self._name, duty.people))))

    async def _name(self, oid: str) -> str:
        try:
            async with asyncio.timeout(NAME_TIMEOUT_S):
                person = await self._directory.get_user(oid)
        except (ServiceError, TimeoutError):
            return oid
        return person.display_name or person.upn
