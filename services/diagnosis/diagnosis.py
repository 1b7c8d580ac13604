"""
Why mail does not leave: everything that can be read is read at once, and judged by `causes`.

Nothing is changed here. Each read fails alone and is then named as unread; whoever reads the answer knows what it does
not rest on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

import structlog

from services.cases import Block, BlockKind, CauseKind, Diagnosis, Subject, Text, say
from services.clients.exchange_models import BlockedConnector, InboxRule, Mailbox, OutboundPolicy, OutboundRule
from services.clients.graph_models import DirectoryUser, MessageTrace, SecurityAlert
from services.diagnosis.causes import DAY, causes
from services.diagnosis.codes import blocks_of
from services.diagnosis.facts import TRACE_LIMIT, Facts
from services.diagnosis.ndr import Ndr
from services.errors import NotFound, ServiceError
from services.investigation.unreadable import why
from services.ports import Clock

log = structlog.get_logger()
Read = TypeVar("Read")

#: The longest that one read may take, in seconds: somebody waits for the answer.
TIMEOUT_S = 40.0
#: How far back alerts are looked at. A tenant that is restricted for longer has noticed.
ALERT_DAYS = 30
ALERT_LIMIT = 1000


class MailRecords(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`. Every method may raise any ServiceError."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int = ...
    ) -> tuple[MessageTrace, ...]: ...

    async def alerts(
        self, *, since: datetime, service_source: str | None = ..., limit: int = ...
    ) -> tuple[SecurityAlert, ...]: ...


class MailSettings(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`. Every method may raise any ServiceError."""

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]: ...

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]: ...

    async def outbound_rules(self) -> tuple[OutboundRule, ...]: ...

    async def mailbox(self, upn: str) -> Mailbox: ...

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]: ...


class Diagnoses:
    """Says why mail does not leave."""

    def __init__(
        self, graph: MailRecords, exchange: MailSettings, clock: Clock, *, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._graph = graph
        self._exchange = exchange
        self._clock = clock
        self._timeout_s = timeout_s

    async def of_account(self, subject: Subject, block: Block, ndr: Ndr | None = None) -> Diagnosis:
        """
        Everything that keeps this account's mail from leaving, as far as it can be told, and what could not be read.

        `block` is what `services.unblocking.block_of` says. Raises nothing of Microsoft's.
        """
        reads = _Reads(self._timeout_s)
        upn, now = subject.upn, self._clock.now()
        user, trace, policies, rules, connectors, alerts, mailbox, inbox_rules = await asyncio.gather(
            reads.part("account", self._graph.get_user(subject.user_oid)),
            reads.part("trace", self._trace(subject, now)),
            reads.part("policies", self._exchange.outbound_policies()),
            reads.part("policies", self._exchange.outbound_rules()),
            reads.part("connectors", self._exchange.blocked_connectors()),
            reads.part("alerts", self._alerts(now)),
            reads.part("forwarding", _if_there(self._exchange.mailbox(upn))),
            reads.part("forwarding", _if_there(self._exchange.inbox_rules(upn))),
        )
        reads.lack_list(block)
        reads.lack_rest_of_alerts(alerts)
        facts = Facts(
            now=now,
            block=block,
            subject=subject,
            ndr=ndr,
            addresses=user.addresses if user else _known_addresses(subject),
            trace=trace,
            policies=policies,
            rules=rules,
            connectors=connectors,
            alerts=alerts,
            mailbox=mailbox[0] if mailbox else None,
            inbox_rules=inbox_rules[0] if inbox_rules else None,
            all_read=not reads.unread,
        )
        return Diagnosis(causes=causes(facts), unread=reads.unread)

    async def of_report(self, ndr: Ndr) -> Diagnosis:
        """What a report says when it is not known whose it is: only what its code needs is looked at."""
        reads, now, told = _Reads(self._timeout_s), self._clock.now(), blocks_of(ndr)
        connectors = alerts = None
        if CauseKind.CONNECTOR in told:
            connectors = await reads.part("connectors", self._exchange.blocked_connectors())
        if CauseKind.TENANT_RESTRICTED in told:
            alerts = await reads.part("alerts", self._alerts(now))
        facts = Facts(now=now, ndr=ndr, connectors=connectors, alerts=alerts)
        return Diagnosis(causes=causes(facts), unread=reads.unread)

    def _trace(self, subject: Subject, now: datetime) -> Awaitable[tuple[MessageTrace, ...]]:
        """What was sent in the last 24 hours, under the account's address. Source: "List messageTraces", 2025-12."""
        sender = subject.mail or subject.upn
        return self._graph.message_traces(sender, since=now - DAY, until=now, limit=TRACE_LIMIT)

    def _alerts(self, now: datetime) -> Awaitable[tuple[SecurityAlert, ...]]:
        """Of every product, because which one tells of a restricted tenant is not documented."""
        since = now - timedelta(days=ALERT_DAYS)
        return self._graph.alerts(since=since, service_source=None, limit=ALERT_LIMIT)


class _Reads:
    """What could be read, and by name what could not."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._unread: dict[str, Text] = {}

    @property
    def unread(self) -> tuple[Text, ...]:
        return tuple(self._unread.values())

    async def part(self, name: str, reading: Awaitable[Read]) -> Read | None:
        """What was read; None when it could not be, which is then among `unread`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await reading
        except ServiceError as error:
            self._lack(name, why(error))
        except TimeoutError:
            self._lack(name, say("unreadable.timeout", n=round(self._timeout_s)))
        return None

    def lack_list(self, block: Block) -> None:
        if block.kind is BlockKind.UNKNOWN:
            self._lack("list", block.unreadable or say("unreadable.fault"))

    def lack_rest_of_alerts(self, alerts: tuple[SecurityAlert, ...] | None) -> None:
        if alerts is not None and len(alerts) >= ALERT_LIMIT:
            self._unread["alerts"] = say("diagnosis.unread.alerts_cut_off", n=ALERT_LIMIT)

    def _lack(self, name: str, reason: Text) -> None:
        log.info("diagnosis_unread", what=name, why=reason.key)
        self._unread[name] = say(f"diagnosis.unread.{name}", why=reason)


async def _if_there(reading: Awaitable[Read]) -> tuple[Read] | tuple[()]:
    """What Exchange has of a mailbox, in a tuple; an empty one when it hosts no such mailbox: that is an answer."""
    try:
        return (await reading,)
    except NotFound:
        return ()


def _known_addresses(subject: Subject) -> frozenset[str]:
    return frozenset(name.casefold() for name in (subject.upn, subject.mail) if name)
