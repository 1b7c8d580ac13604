"""Whom an alert calls: the people on call now, by name."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from services.cases import Actor
from services.clients.graph_models import DirectoryUser
from services.errors import ServiceError
from services.oncall.on_call import OnDuty

log = structlog.get_logger()

#: How long an alert waits to know whom to call: it must reach people whoever that is.
PATIENCE_S = 5.0
#: More people than this are no on-call but a department; they read the channel.
MOST_PEOPLE = 5


class Sources(Protocol):
    """Who knows it; fulfilled by `OnCall`."""

    async def now(self, patience_s: float | None = None) -> OnDuty: ...


class Directory(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


class Calling:
    """Fulfils `bot.alert_poster.OnCallPeople`."""

    def __init__(self, on_call: Sources, directory: Directory, tenant_id: str) -> None:
        self._on_call = on_call
        self._directory = directory
        self._tenant_id = tenant_id

    async def people(self) -> tuple[Actor, ...]:
        """Who is on call, within five seconds; nobody when that, or what they are called, is not known by then."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                duty = await self._on_call.now(PATIENCE_S)
                found = await asyncio.gather(*map(self._named, duty.people[:MOST_PEOPLE]))
        except TimeoutError:
            log.warning("alert_calls_nobody", why="timeout")
            return ()
        return tuple(actor for actor in found if actor is not None)

    async def _named(self, oid: str) -> Actor | None:
        try:
            person = await self._directory.get_user(oid)
        except ServiceError as error:
            log.warning("alert_calls_nobody", why=type(error).__name__)
            return None
        return Actor(user_oid=person.oid, name=person.display_name or person.upn, tenant_id=self._tenant_id)
