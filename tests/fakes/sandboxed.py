"""The sandbox tenant with the real clients against it, for tests from our services to HTTP and back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from services.cases import Actor, Approval, ApprovalState, Case, CaseState, Finding, plan_hash
from services.clients.exchange import ExchangeClient
from services.clients.graph import GraphClient
from services.clients.http import Limits, Sender
from services.clients.lanes import LANES, LaneLimits
from services.clients.tokens import Tokens
from services.clients.trust import open_session
from services.clock import SystemClock
from services.containment import propose
from services.investigation.run import Investigation
from services.investigation.verdict import decide
from services.sandbox.server import Sandbox, start_tenant
from services.sandbox.state import Person
from services.unblocking import diagnose

#: As fast as this machine can: the sandbox's own limits are off here.
FAST = {name: LaneLimits(at_once=lane.at_once) for name, lane in LANES.items()}


@dataclass
class Bench:
    """A tenant and clients for it."""

    sandbox: Sandbox
    graph: GraphClient
    exchange: ExchangeClient
    clock: SystemClock

    def person(self, name: str) -> Person:
        found = self.sandbox.tenant.recipient(f"{name}@contoso.com")
        assert found is not None
        return found

    def fault(self, kind: str, times: int = -1, **match: str) -> None:
        """Let requests go wrong from now on; see the sandbox's control route for what can be matched."""
        self.sandbox.tenant.faults.add({"match": match, "kind": kind, "times": times})

    def changes(self) -> list[str]:
        """What was changed in the tenant, in order."""
        return [change.action for change in self.sandbox.journal.changes]

    def journal(self) -> list[str]:
        """Every request and change that the tenant wrote down, spelled out."""
        return [repr(entry) for entry in (*self.sandbox.journal.requests(), *self.sandbox.journal.changes)]

    async def case(self, name: str) -> Case:
        """A case about this person, diagnosed and not yet investigated."""
        user = await self.graph.get_user(f"{name}@contoso.com")
        now = self.clock.now()
        return Case(
            case_id="C1",
            tenant_id=self.sandbox.tenant.tenant_id,
            state=CaseState.INVESTIGATING,
            query=name,
            requester=Actor(user_oid="alex", name="Alex", tenant_id=self.sandbox.tenant.tenant_id),
            opened_at=now,
            changed_at=now,
            subject=user.subject(),
            block=await diagnose(user.subject(), tuple(user.addresses), self.exchange),
        )

    async def investigated(self, name: str, **more: Any) -> Case:
        """The case with its findings, verdict and plan."""
        case = await self.case(name)

        async def nobody(finding: Finding) -> None:
            return None

        findings = await Investigation(self.graph, self.exchange, self.clock, **more).run(case, nobody)
        case = case.model_copy(update={"findings": findings, "verdict": decide(findings)})
        return case.model_copy(update={"actions": propose(case)})

    async def approved(self, name: str) -> Case:
        case = await self.investigated(name)
        return case.with_approval(granted(case, self.clock.now()))


def granted(case: Case, at: datetime) -> Approval:
    return Approval(
        prompt_id="p",
        claim="c",
        case_id=case.case_id,
        plan_hash=plan_hash(case.actions),
        state=ApprovalState.GRANTED,
        asked_at=at,
        expires_at=at,
        decided_at=at,
    )


@asynccontextmanager
async def open_bench(keys: Path) -> AsyncIterator[Bench]:
    """A fresh tenant for one test; `keys` is a folder that tests share, because making keys is slow."""
    sandbox = await start_tenant(keys)
    sandbox.tenant.switches.throttling = False
    given = sandbox.settings()
    ca_bundle = Path(given["ca_bundle"])
    session = open_session(ca_bundle)
    tokens = Tokens(
        tenant_id=given["tenant_id"],
        app_id=given["app_id"],
        login_url=given["login_url"],
        secret=SecretStr(given["app_secret"]),
        ca_bundle=ca_bundle,
    )
    limits = replace(Limits(timeout_s=2, first_backoff_s=0.01, max_tries=2), lanes=FAST)
    sender = Sender(session, tokens, SystemClock(), limits=limits)
    try:
        yield Bench(
            sandbox=sandbox,
            graph=GraphClient(sender.send, given["graph_url"]),
            exchange=ExchangeClient(sender.send, given["exchange_url"], given["tenant_id"]),
            clock=SystemClock(),
        )
    finally:
        tokens.close()
        await session.close()
        await sandbox.close()
