"""Alerts for tests, and a Teams connector that keeps what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.activities import Place, SentCopy
from bot.connector import Uncertain
from services.alerts.model import Alert, AlertKind, Report, Severity, SourceName
from services.cases import Actor
from services.conversations import Conversation, ConversationKind
from services.errors import ServiceError
from services.store import Store
from tests.fakes.given import NOW
from tests.fakes.people import MEGAN, TENANT, actor

CHANNEL, APPROVALS = "19:alerts@thread.tacv2", "19:approvals@thread.tacv2"


def alert(alert_id: str = "A1", about: str = "jane@contoso.com", **fields: Any) -> Alert:
    """An account on the restricted list since an hour."""
    kind = fields.pop("kind", AlertKind.SENDER_RESTRICTED)
    severity = fields.pop("severity", Severity.HIGH)
    report = Report(
        source=fields.pop("source", SourceName.RESTRICTED_LIST),
        kind=kind,
        about=about,
        oid=fields.pop("oid", ""),
        severity=severity,
        title=fields.pop("title", ""),
        what=fields.pop("what", None),
        temporary=fields.pop("temporary", None),
        web_url=fields.pop("web_url", ""),
        reason=fields.pop("reason", {}),
    )
    values = {
        "alert_id": alert_id,
        "tenant_id": TENANT,
        "kind": kind,
        "about": about,
        "oid": report.oid,
        "since": NOW,
        "noticed_at": NOW,
        "severity": severity,
        "reports": (report,),
    }
    return Alert.model_validate({**values, **fields})


def campaign(count: int, first: int = 1) -> list[Alert]:
    """As many accounts, each blocked."""
    return [alert(f"A{n}", f"person{n}@contoso.com") for n in range(first, first + count)]


async def raised(store: Store, *alerts: Alert) -> list[str]:
    """These alerts are known from now on; their ids."""
    names = frozenset[str]().union(*(one.names for one in alerts))
    await store.alerts.merge(TENANT, names, lambda known: [(one, []) for one in alerts])
    return [one.alert_id for one in alerts]


async def installed(store: Store, *conversation_ids: str, active: bool = True) -> None:
    """The bot is in these channels."""
    for conversation_id in conversation_ids:
        await store.remember_conversation(
            Conversation(
                conversation_id=conversation_id,
                kind=ConversationKind.CHANNEL,
                service_url="https://teams.example/",
                tenant_id=TENANT,
                bot_id="28:bot",
                active=active,
                seen_at=NOW,
            )
        )


@dataclass
class FakeConnector:
    """
    Keeps every card by the id of its message. `faults` are raised in turn, by the next posts or edits; with
    `lose_answers` everything is posted and nobody learns of it; with `gate` or
    `edit_gate` no answer comes before it opens.
    """

    posts: dict[str, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    edits: list[str] = field(default_factory=list)
    post_faults: list[ServiceError | None] = field(default_factory=list)
    edit_faults: list[ServiceError] = field(default_factory=list)
    lose_answers: bool = False
    gate: asyncio.Event | None = None
    edit_gate: asyncio.Event | None = None

    async def start_thread(self, place: Place, card: dict[str, Any], *, summary: str = "") -> SentCopy:
        if self.post_faults and (fault := self.post_faults.pop(0)) is not None:
            raise fault
        activity_id = f"{len(self.posts) + 1}"
        self.posts[activity_id] = (place.conversation_id, card)
        if self.lose_answers:
            raise Uncertain(status=504)
        if self.gate is not None:
            await self.gate.wait()
        return SentCopy(f"{place.conversation_id};messageid={activity_id}", activity_id)

    async def send(self, place: Place, card: dict[str, Any], *, summary: str = "") -> SentCopy:
        return await self.start_thread(place, card, summary=summary)

    async def update(self, place: Place, activity_id: str, card: dict[str, Any], *, summary: str = "") -> None:
        if self.edit_gate is not None:
            await self.edit_gate.wait()
        if self.edit_faults:
            raise self.edit_faults.pop(0)
        self.edits.append(activity_id)
        self.posts[activity_id] = (self.posts[activity_id][0], card)

    @property
    def cards(self) -> list[dict[str, Any]]:
        return [card for _, card in self.posts.values()]

    @property
    def places(self) -> list[str]:
        return [place for place, _ in self.posts.values()]


class FakeOnCall:
    """Megan has the on-call."""

    def __init__(self, *people: Actor) -> None:
        self._people = people or (actor(MEGAN),)

    async def people(self) -> tuple[Actor, ...]:
        return self._people


@dataclass
class FakePoster:
    """Hears of what changed."""

    told: list[str] = field(default_factory=list)

    async def alerts_changed(self, alert_ids: Sequence[str]) -> None:
        self.told += alert_ids


def later(at: datetime, **fields: Any) -> dict[str, Any]:
    """Fields of an alert that was put off until then."""
    return {"snoozed_until": at, "snoozed_by": actor(MEGAN), **fields}
