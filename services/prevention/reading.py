"""What the checks read from. What several of them need is read once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from services.cases import Case, Subject
from services.clients.exchange_models import CasMailbox, Mailbox, OrganizationConfig, OutboundPolicy
from services.clients.graph_models import (
    AuthMethod,
    CaPolicy,
    DirectoryRole,
    Domain,
    MfaRegistration,
    SecureScore,
    SecureScoreControl,
    SecurityAlert,
    SignIn,
)
from services.errors import NotFound, ServiceError
from services.prevention.score import missing_points
from services.prevention.sign_in import SignInRules

Read = TypeVar("Read")

#: How far back an alert is looked for that shows its policy to be on.
ALERT_DAYS = 30
#: How far back sign-ins are looked at that show what is let in.
SIGN_IN_DAYS = 7


class Posture(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`. Every method may raise any ServiceError."""

    async def registration(self, oid: str) -> MfaRegistration: ...

    async def admin_registrations(self) -> tuple[MfaRegistration, ...]: ...

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]: ...

    async def security_defaults_on(self) -> bool: ...

    async def conditional_access_policies(self) -> tuple[CaPolicy, ...]: ...

    async def legacy_sign_ins(self, since: datetime) -> tuple[SignIn, ...]: ...

    async def directory_roles(self, oid: str) -> tuple[DirectoryRole, ...]: ...

    async def role_holders(self, role_id: str) -> tuple[str, ...]: ...

    async def is_synced(self) -> bool: ...

    async def domains(self) -> tuple[Domain, ...]: ...

    async def secure_score(self) -> SecureScore | None: ...

    async def secure_score_controls(self) -> tuple[SecureScoreControl, ...]: ...

    async def alerts(self, *, since: datetime) -> tuple[SecurityAlert, ...]: ...


class MailPosture(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`. Every method may raise any ServiceError."""

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]: ...

    async def audit_config(self) -> bool | None: ...

    async def organization_config(self) -> OrganizationConfig: ...

    async def mailbox(self, upn: str) -> Mailbox: ...

    async def audit_bypassed(self, upn: str) -> bool | None: ...

    async def cas_mailbox(self, upn: str) -> CasMailbox: ...

    async def smtp_auth_off(self) -> bool | None: ...


class Reading:
    """
    The sources of one look at the list. A shared read goes out once, and a check that gives up waiting does not take it
    away from the others.
    """

    def __init__(self, case: Case, graph: Posture, exchange: MailPosture, now: datetime) -> None:
        self.case, self.graph, self.exchange, self.now = case, graph, exchange, now
        self._reads: dict[str, asyncio.Task[Any]] = {}

    @property
    def subject(self) -> Subject:
        """Whose account it is. Raises: NotFound while nobody knows."""
        if self.case.subject is None:
            raise NotFound("graph")
        return self.case.subject

    async def rules(self) -> SignInRules:
        """What is asked of everybody who signs in, as far as it can be read."""
        defaults_on, policies = await asyncio.gather(
            attempted(self._once("defaults", self.graph.security_defaults_on)), attempted(self.policies())
        )
        return SignInRules(defaults_on, policies)

    async def policies(self) -> tuple[CaPolicy, ...]:
        """Slow to ask twice: Microsoft answers one such call a second."""
        return await self._once("policies", self.graph.conditional_access_policies)

    async def organisation(self) -> OrganizationConfig:
        return await self._once("organisation", self.exchange.organization_config)

    async def score(self) -> SecureScore | None:
        return await self._once("score", self.graph.secure_score)

    async def missing_points(self) -> dict[str, float]:
        """What each control of the Secure Score could still add; empty for a tenant that shows neither."""
        controls = self._once("controls", self.graph.secure_score_controls)
        score, known = await asyncio.gather(attempted(self.score()), attempted(controls))
        if isinstance(score, ServiceError) or isinstance(known, ServiceError):
            return {}
        return dict(missing_points(score, known))

    async def alerts(self) -> tuple[SecurityAlert, ...]:
        return await self.graph.alerts(since=self.now - timedelta(days=ALERT_DAYS))

    async def legacy_sign_ins(self) -> tuple[SignIn, ...]:
        return await self.graph.legacy_sign_ins(self.now - timedelta(days=SIGN_IN_DAYS))

    async def _once(self, name: str, read: Callable[[], Awaitable[Read]]) -> Read:
        if name not in self._reads:
            self._reads[name] = asyncio.ensure_future(read())
        return await asyncio.shield(self._reads[name])

    async def close(self) -> None:
        """Stop the reads that nobody waits for any more."""
        for task in self._reads.values():
            task.cancel()
        await asyncio.gather(*self._reads.values(), return_exceptions=True)


async def attempted(reading: Awaitable[Read]) -> Read | ServiceError:
    """What was read, or why it could not be."""
    try:
        return await reading
    except ServiceError as error:
        return error
