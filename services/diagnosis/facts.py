"""What is known when a diagnosis is made: the account, its block, the report, and everything that could be read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cases import Block, BlockKind, CauseKind, Subject, Text, say
from services.clients.exchange_models import BlockedConnector, InboxRule, Mailbox, OutboundPolicy, OutboundRule
from services.clients.graph_models import MessageTrace, SecurityAlert
from services.diagnosis.codes import blocks_of
from services.diagnosis.ndr import Ndr
from services.diagnosis.policies import policies_that_may_apply

#: How many rows of the trace are read at most: enough to know when the window has slid below the limit.
TRACE_LIMIT = 20_000


@dataclass(frozen=True)
class Facts:
    """What was read is None where it could not be, which is never the same as empty."""

    now: datetime
    block: Block | None = None
    subject: Subject | None = None
    ndr: Ndr | None = None
    #: All addresses of the account, casefolded.
    addresses: frozenset[str] = frozenset()
    #: What it has sent in the last 24 hours, a row for each recipient.
    trace: tuple[MessageTrace, ...] | None = None
    policies: tuple[OutboundPolicy, ...] | None = None
    rules: tuple[OutboundRule, ...] | None = None
    connectors: tuple[BlockedConnector, ...] | None = None
    alerts: tuple[SecurityAlert, ...] | None = None
    mailbox: Mailbox | None = None
    inbox_rules: tuple[InboxRule, ...] | None = None
    #: Whether nothing that was asked for is missing.
    all_read: bool = False

    @property
    def block_kind(self) -> BlockKind:
        return self.block.kind if self.block else BlockKind.UNKNOWN

    @property
    def tomorrow(self) -> datetime:
        """The next midnight, UTC."""
        return (self.now + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)

    @property
    def today(self) -> datetime:
        return self.tomorrow - timedelta(days=1)

    @property
    def own_domains(self) -> frozenset[str]:
        return frozenset(address.rpartition("@")[2] for address in self.addresses)

    def code_for(self, kind: CauseKind) -> str | None:
        """The code by which the report tells of such a block; None when it does not."""
        return blocks_of(self.ndr).get(kind) if self.ndr else None

    def reported(self, kind: CauseKind) -> tuple[Text, ...]:
        """What the report says of such a block, as evidence; nothing when it does not."""
        code = self.code_for(kind)
        return () if self.ndr is None or code is None else report_lines(self.ndr, code)

    def sent_since(self, since: datetime) -> list[tuple[datetime, str]]:
        """(when, to whom) of everything sent since then, the oldest first. Nothing when the trace was not read."""
        rows = self.trace or ()
        return sorted(
            (row.received_at, (row.recipient_address or "").casefold())
            for row in rows
            if row.received_at is not None and row.received_at >= since
        )

    @property
    def trace_is_cut_off(self) -> bool:
        return self.trace is not None and len(self.trace) >= TRACE_LIMIT

    def may_apply(self) -> tuple[OutboundPolicy, ...]:
        """The outbound policies one of which is the account's; none when they could not be read."""
        if self.policies is None:
            return ()
        if self.rules is None:  # any of them may be it
            return self.policies
        return policies_that_may_apply(self.policies, self.rules, self.addresses)


def report_lines(ndr: Ndr, code: str) -> tuple[Text, ...]:
    """What the report says, for people to compare with theirs."""
    lines = [say("diagnosis.report.code", code=code) if code else say("diagnosis.report.quota")]
    if ndr.as_number:
        lines.append(say("diagnosis.report.as_number", number=ndr.as_number))
    if ndr.server:
        lines.append(say("diagnosis.report.server", server=ndr.server))
    return tuple(lines)


def is_outside(address: str, own_domains: Collection[str]) -> bool:
    return address.casefold().rpartition("@")[2] not in own_domains
