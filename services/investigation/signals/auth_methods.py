"""Whether a way to sign in was added around the time when the block began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from services.cases import Finding, Text, say
from services.clients.graph_models import AuditEvent, AuthMethod
from services.investigation.evidence import Evidence
from services.investigation.table import SignalRow, words

#: How many methods and changes are told one by one.
_TOLD = 4
#: Kinds that have a name in the catalogues.
_NAMED = frozenset(
    {
        "email",
        "externalAuthentication",
        "fido2",
        "hardwareOath",
        "microsoftAuthenticator",
        "phone",
        "platformCredential",
        "softwareOath",
        "temporaryAccessPass",
        "windowsHelloForBusiness",
    }
)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Methods that were added within some days of the block's start.

    Graph gives no age for phones and some others. For those the audit log tells whether anything was registered; when
    it cannot be read either, their age is unknown and so is the signal. The password is a signal of its own.
    Source: "List methods", 2024; Microsoft Entra audit log activities, 2025.
    """
    methods = [m for m in await evidence.directory.auth_methods(evidence.subject.user_oid) if m.kind != "password"]
    start, end = evidence.started_at - row.days("days_around"), evidence.started_at + row.days("days_around")
    added = [m for m in methods if m.created_at is not None and start <= m.created_at <= end]
    if added:
        first = min(m.created_at for m in added if m.created_at)
        summary = say("finding.auth_methods.added", n=len(added), at=first)
        return row.found(row.points["added"], summary, *_told(added))
    if any(m.created_at is None for m in methods):
        registered = _registrations(await evidence.audits(), start, end)
        if registered:
            summary = say("finding.auth_methods.registered", at=registered[0].at)
            return row.found(row.points["added"], summary, *_audited(registered))
    return row.clear(say("finding.auth_methods.clear"))


def _registrations(audits: Iterable[AuditEvent], start: datetime, end: datetime) -> list[AuditEvent]:
    known = words().auth_methods.registered_activities
    events = [a for a in audits if a.activity.casefold() in known and (a.result or "success").casefold() == "success"]
    return sorted((a for a in events if a.at and start <= a.at <= end), key=lambda a: a.at or start)


def _told(methods: Sequence[AuthMethod]) -> tuple[Text, ...]:
    return tuple(
        say("finding.auth_methods.detail", kind=_kind(m), label=m.label or "–", at=m.created_at)
        for m in methods[:_TOLD]
    )


def _kind(method: AuthMethod) -> Text | str:
    """The method in words; one that Microsoft adds later, by its technical name."""
    return say(f"auth_method.{method.kind}") if method.kind in _NAMED else method.kind


def _audited(events: Sequence[AuditEvent]) -> tuple[Text, ...]:
    return tuple(
        say("finding.auth_methods.audited", activity=e.activity, at=e.at, ip=e.by_ip or "?") for e in events[:_TOLD]
    )
