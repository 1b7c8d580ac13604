"""Whether a way to sign in was added around the time when the block began."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from services.cases import Finding, Text, say
from services.clients.graph_models import AuditEvent, AuthMethod
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted
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

#: How the audit log's reasons speak of the kinds for which Graph gives no age.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "phone": ("phone", "sms", "mobile"),
    "email": ("email",),
    "microsoftAuthenticator": ("authenticator app", "notification"),
    "softwareOath": ("code", "oath"),
}


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Methods that were added within some days of the block's start.

    Graph gives no age for phones and some others. For those the audit log tells whether anything was registered; when
    it cannot be read either, their age is unknown and so is the signal. The password is a signal of its own. What a
    newcomer registers in the first days of the account is no evidence.
    Each suspicious method is a target; `certain` says that its own age, and not only the log, speaks against it.
    Source: "List methods", 2024; Microsoft Entra audit log activities, 2025.
    """
    read, user = await asyncio.gather(
        evidence.directory.auth_methods(evidence.subject.user_oid), attempted(evidence.user())
    )
    methods = [method for method in read if method.kind != "password"]
    born_at = None if isinstance(user, ServiceError) else user.created_at
    added = [m for m in methods if _is_suspicious(m.created_at, born_at, evidence, row)]
    if added:
        first = min(m.created_at for m in added if m.created_at)
        targets = [_target(method, certain=True) for method in added]
        summary = say("finding.auth_methods.added", n=len(added), at=first)
        return row.found(row.points["added"], summary, *_told(added), *_left(methods, added), targets=targets)
    ageless = [m for m in methods if m.created_at is None]
    if ageless:
        events = _registrations(await evidence.audits())
        registered = [event for event in events if _is_suspicious(event.at, born_at, evidence, row)]
        if registered:
            return _found_in_the_log(registered, methods, ageless, row)
    return row.clear(say("finding.auth_methods.clear"))


def _found_in_the_log(
    events: Sequence[AuditEvent], methods: Sequence[AuthMethod], ageless: Sequence[AuthMethod], row: SignalRow
) -> Finding:
    """The log says that something was registered; by the words of its reason, or else by age, it was one of these."""
    said = " ".join(f"{event.result_reason or ''} {event.activity}" for event in events).casefold()
    named = [m for m in ageless if any(word in said for word in _WORDS.get(m.kind, ()))] or list(ageless)
    return row.found(
        row.points["added"],
        say("finding.auth_methods.registered", at=events[0].at),
        *_audited(events),
        *_told(named),
        *_left(methods, named),
        targets=[_target(method, certain=False) for method in named],
    )


def _is_suspicious(at: datetime | None, born_at: datetime | None, evidence: Evidence, row: SignalRow) -> bool:
    is_newcomers = at is not None and born_at is not None and at - born_at <= row.days("newcomer_days")
    return evidence.is_near_start(at, row.days("days_around")) and not is_newcomers


def _left(methods: Sequence[AuthMethod], suspicious: Sequence[AuthMethod]) -> tuple[Text, ...]:
    """A word of warning when nothing but the password would be left."""
    return (say("finding.auth_methods.none_left"),) if len(methods) == len(suspicious) else ()


def _target(method: AuthMethod, *, certain: bool) -> dict[str, Any]:
    return {"kind": method.kind, "method_id": method.method_id, "label": method.label, "certain": certain}


def _registrations(audits: Iterable[AuditEvent]) -> list[AuditEvent]:
    """Successful registrations, oldest first."""
    known = words().auth_methods.registered_activities
    events = [a for a in audits if a.activity.casefold() in known and (a.result or "success").casefold() == "success"]
    return sorted((a for a in events if a.at), key=lambda a: a.at.timestamp() if a.at else 0.0)


def _told(methods: Sequence[AuthMethod]) -> tuple[Text, ...]:
    return tuple(
        say("finding.auth_methods.detail", kind=_kind(m), label=m.label or "–", at=m.created_at)
        if m.created_at
        else say("finding.auth_methods.ageless", kind=_kind(m), label=m.label or "–")
        for m in methods[:_TOLD]
    )


def _kind(method: AuthMethod) -> Text | str:
    """The method in words; one that Microsoft adds later, by its technical name."""
    return say(f"auth_method.{method.kind}") if method.kind in _NAMED else method.kind


def _audited(events: Sequence[AuditEvent]) -> tuple[Text, ...]:
    return tuple(
        say("finding.auth_methods.audited", activity=e.activity, at=e.at, ip=e.by_ip or "?") for e in events[:_TOLD]
    )
