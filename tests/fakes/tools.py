"""Fakes of everything that the remediation works with, each small, each recording what was asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

from services.cases import (
    Action,
    ActionKind,
    ActionState,
    Block,
    Case,
    Cause,
    CauseKind,
    Diagnosis,
    Finding,
    FollowUp,
    Lifter,
    PreventionItem,
    PreventionState,
    SignalState,
    Subject,
    Text,
    Verdict,
    VerdictLabel,
    say,
)
from services.clients.exchange_models import BlockedConnector, BlockedSender, Mailbox
from services.errors import ServiceError
from services.ports import Audience, Delivery, News, NewsKind
from services.sent_since import next_look
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import JANE


class FakeExchange:
    """The restricted list. `vanishes_after` reads still show an entry after its removal."""

    def __init__(self, *blocked: str) -> None:
        self.entries = {address: BlockedSender(sender_address=address, reason_raw="") for address in blocked}
        self.connectors: tuple[BlockedConnector, ...] = ()
        self.removed: list[str] = []
        self.vanishes_after = 0
        self.read_fault: ServiceError | None = None
        self.remove_fault: ServiceError | None = None
        #: The fault passes after it was met once.
        self.fails_once = False
        #: The removal works although its answer is a fault.
        self.removes_all_the_same = False

    async def blocked_sender(self, address: str) -> BlockedSender | None:
        if self.read_fault is not None:
            raise self.read_fault
        if address in self.removed:
            if self.vanishes_after <= 0:
                return None
            self.vanishes_after -= 1
        return self.entries.get(address)

    async def mailbox(self, upn: str) -> Mailbox:
        return Mailbox(upn=upn, recipient_type="UserMailbox")

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]:
        return tuple(c for c in self.connectors if c.connector_id not in self.removed or self.remove_fault)

    async def remove_blocked_connector(self, connector_id: str) -> None:
        await self.remove_blocked_sender(connector_id)

    async def remove_blocked_sender(self, address: str) -> None:
        self.removed.append(address)
        fault = self.remove_fault
        if fault is None:
            if self.fails_once:
                self.vanishes_after = 0
            return
        if not self.removes_all_the_same:
            self.vanishes_after = 10**6
        if self.fails_once:
            self.remove_fault = None
        raise fault


class FakeInvestigation:
    """Finds one bad rule."""

    def __init__(self) -> None:
        self.runs = 0

    async def run(self, case: Case, on_finding, on_pictures=None) -> tuple[Finding, ...]:
        self.runs += 1
        finding = Finding(signal_id="inbox_rules", state=SignalState.FOUND, summary=say("finding.x"), weight=40)
        await on_finding(finding)
        return (finding,)


def decide(findings: Sequence[Finding]) -> Verdict:
    return Verdict(label=VerdictLabel.COMPROMISED, score=40, completeness=1.0, checked=1, total=1)


def propose(case: Case) -> tuple[Action, ...]:
    unblock = () if case.contain_only else (ActionKind.UNBLOCK,)
    return tuple(a for a in given.PLAN if a.kind is not ActionKind.UNBLOCK or a.kind in unblock)


class FakeContainment:
    """Every action is proven, unless `ends` says otherwise for its id. A list of ends is used up one by one."""

    def __init__(self) -> None:
        self.carried_out: list[str] = []
        self.undone: list[str] = []
        self.undo_fault: Exception | None = None
        #: Nothing is done before this is set.
        self.waits_for: asyncio.Event | None = None
        self.ends: dict[str, list[ActionState]] = {}

    async def carry_out(self, case: Case, action: Action) -> Action:
        self.carried_out.append(action.action_id)
        if self.waits_for is not None:
            await self.waits_for.wait()
        ends = self.ends.get(action.action_id, [])
        state = ends.pop(0) if ends else ActionState.PROVEN
        before = {"enabled": True} if action.reversible else None
        return action.model_copy(update={"state": state, "outcome": say("action.x"), "before": before})

    async def undo(self, case: Case, action: Action) -> Action:
        if self.undo_fault is not None:
            raise self.undo_fault
        self.undone.append(action.action_id)
        return action.model_copy(update={"undo_state": ActionState.PROVEN, "undo_outcome": say("undo.x")})


class FakePrevention:
    async def check(self, case: Case) -> tuple[PreventionItem, ...]:
        return (
            PreventionItem(item_id="user_mfa", state=PreventionState.OPEN, summary=say("x")),
            PreventionItem(item_id="warn_contacts", state=PreventionState.TODO, summary=say("x")),
        )


class RecordingNotifier:
    """Fulfils the port `Notifier` and remembers what it was told."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.prompts: list[tuple[str, tuple[str, ...]]] = []
        #: News as posted, each once.
        self.news: list[News] = []
        self.reachable = True
        #: A question is posted only when this is set.
        self.waits_for: asyncio.Event | None = None
        #: Whom nobody can reach.
        self.out_of_reach: set[Audience] = set()

    async def case_changed(self, case_id: str) -> None:
        self.changed.append(case_id)

    async def post_prompt(
        self, case_id: str, prompt_id: str, people: Collection[str], *, again: bool = False
    ) -> Sequence[Delivery]:
        if self.waits_for is not None:
            await self.waits_for.wait()
        self.prompts.append((prompt_id, tuple(people)))
        return [Delivery(place="channel", conversation_id="19:a", delivered=self.reachable)]

    async def post_news(self, case_id: str, news: News) -> Sequence[Delivery]:
        if news.audience in self.out_of_reach:
            problem = say("delivery.no_chat")
            return [Delivery(place="chat", conversation_id="", delivered=False, problem=problem)]
        if news not in self.news:
            self.news.append(news)
        return [Delivery(place="chat", conversation_id="a:1", delivered=True)]

    def told(self, *kinds: NewsKind) -> list[tuple[NewsKind, Audience]]:
        """Which news went to whom, in order; all kinds, or these."""
        return [(news.kind, news.audience) for news in self.news if not kinds or news.kind in kinds]


class FakeTrace:
    """What is seen of the mail since the unblock: what the test says, or why it cannot be read."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.looks = 0
        self.shows: dict[str, Any] = {}
        self.unread: Text | None = None

    async def look(self, case: Case) -> FollowUp:
        self.looks += 1
        assert case.follow_up is not None
        now = self._clock.now()
        news = {"unread": self.unread} if self.unread else {"looked_at": now, "unread": None, **self.shows}
        seen = case.follow_up.model_copy(update=news)
        return seen.model_copy(update={"next_look_at": next_look(seen, now)})


class FakeProtection:
    """Nobody is protected unless the test says so."""

    def __init__(self) -> None:
        self.kinds: tuple[str, ...] = ()

    async def kinds_of(self, subject: Subject) -> tuple[str, ...]:
        return self.kinds


class FakeDiagnoses:
    async def of_account(self, subject: Subject, block: Block) -> Diagnosis:
        return Diagnosis(causes=(Cause(kind=CauseKind.NONE, lifter=Lifter.NOBODY),))


def blocked_jane() -> FakeExchange:
    return FakeExchange(JANE.upn)
