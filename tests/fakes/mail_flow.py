"""What keeps mail from leaving, as Graph and Exchange tell it, from memory."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

from services.cases import Subject
from services.clients.exchange_models import (
    BlockedConnector,
    Forwarding,
    InboxRule,
    Mailbox,
    OutboundPolicy,
    OutboundRule,
    parse_reason,
    parse_recipients,
)
from services.clients.graph_models import DirectoryUser, MessageTrace, SecurityAlert

NOW = datetime.fromisoformat("2026-11-24T03:00:00+00:00")
UPN = "jane@contoso.com"
JANE = Subject(user_oid="00000003-0000-4000-8000-000000000000", upn=UPN, display_name="Jane Doe", mail=UPN)


class FakeMailFlow:
    """
    Fulfils `MailRecords` and `MailSettings` of the diagnosis. Whatever is an exception is raised; whatever is an event
    is waited for.
    """

    def __init__(self, **values: Any) -> None:
        self.user: Any = DirectoryUser(oid=JANE.user_oid, upn=UPN, mail=UPN, aliases=("jane@contoso.onmicrosoft.com",))
        self.trace: Any = ()
        self.open_alerts: Any = ()
        self.connectors: Any = ()
        self.policies: Any = (policy("Default", is_default=True),)
        self.rules: Any = ()
        self.box: Any = Mailbox(upn=UPN)
        self.inbox: Any = ()
        self.calls: list[str] = []
        self.__dict__.update(values)

    async def _answer(self, name: str, value: Any) -> Any:
        self.calls.append(name)
        if isinstance(value, Exception):
            raise value
        if isinstance(value, asyncio.Event):
            await value.wait()
        return value

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        return await self._answer("user", self.user)

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[MessageTrace, ...]:
        rows = await self._answer("trace", self.trace)
        return tuple(row for row in rows if since <= row.received_at <= until)[:limit]

    async def alerts(
        self, *, since: datetime, service_source: str | None = None, limit: int = 200
    ) -> tuple[SecurityAlert, ...]:
        return await self._answer("alerts", self.open_alerts)

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]:
        return await self._answer("connectors", self.connectors)

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]:
        return await self._answer("policies", self.policies)

    async def outbound_rules(self) -> tuple[OutboundRule, ...]:
        return await self._answer("rules", self.rules)

    async def mailbox(self, upn: str) -> Mailbox:
        return await self._answer("mailbox", self.box)

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]:
        return await self._answer("inbox", self.inbox)


def policy(name: str, **values: Any) -> OutboundPolicy:
    more = {"action": "BlockUserForToday", "auto_forwarding_mode": "Automatic", **values}
    return OutboundPolicy(identity=name, name=name, **more)


def rule_for(name: str, *senders: str, priority: int = 0, **values: Any) -> OutboundRule:
    return OutboundRule(policy=name, state="Enabled", priority=priority, senders=senders, **values)


def mailing(n: int, *, at: datetime, to: str = "elsewhere.example", apart_s: float = 0.1) -> tuple[MessageTrace, ...]:
    """Rows of the trace, one a moment, the newest first as Microsoft has them."""
    rows = [
        MessageTrace(recipient_address=f"r{one}@{to}", received_at=at + timedelta(seconds=apart_s * one))
        for one in range(n)
    ]
    return tuple(reversed(rows))


def forwarding_to(target: str) -> Mailbox:
    return Mailbox(upn=UPN, forwarding=Forwarding(smtp_address=target))


def forwarding_rule(name: str, target: str, *, enabled: bool = True) -> InboxRule:
    return InboxRule(identity=name, name=name, enabled=enabled, redirect_to=parse_recipients(target))


def blocked_connector(connector_id: str = "c1", reason: str = "OutboundSpamPercent=88") -> BlockedConnector:
    parts = parse_reason(reason)
    since = NOW - timedelta(days=2)
    return BlockedConnector(connector_id=connector_id, reason_raw=reason, reason=parts, created_at=since)
