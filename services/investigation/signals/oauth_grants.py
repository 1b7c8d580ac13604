"""What apps may do in the account's name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.cases import Finding, Text, say
from services.clients.graph_models import AuditEvent, OAuthGrant, ServicePrincipal
from services.errors import NotFound, ServiceError
from services.investigation.apps import is_odd_name, is_trusted, is_unverified, known_as, known_text
from services.investigation.evidence import Evidence, attempted
from services.investigation.table import SignalRow, words
from services.investigation.unreadable import why

_TOLD = 4


@dataclass(frozen=True)
class App:
    """A grant, the app behind it, and when somebody consented."""

    grant: OAuthGrant
    #: None when the app is gone, or could not be read: `refusal` tells which.
    principal: ServicePrincipal | None
    refusal: ServiceError | None
    consented_at: datetime | None
    #: Whether the audit log could be read, so that no time means "longer ago than it reaches".
    consents_readable: bool

    @property
    def name(self) -> str:
        return (self.principal.name if self.principal else "") or self.grant.client_sp_oid


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Apps that may read or send the user's mail and that nobody vouches for, that were let in recently, or that
    attackers are known to use.

    Consents of a single user are proposed for revocation; those for everybody concern the whole tenant, so they are
    only told, and they count only for an app of the catalogue. What cannot be read keeps the signal from being clear.
    Source: "Detect and remediate illicit consent grants", 2023-06-14.
    """
    own, everyone, consents = await asyncio.gather(
        attempted(evidence.directory.oauth_grants(evidence.subject.user_oid)),
        attempted(evidence.directory.oauth_grants_for_everyone()),
        _consents(evidence),
    )
    if isinstance(own, ServiceError):
        raise own
    for_all = () if isinstance(everyone, ServiceError) else everyone
    risky = [grant for grant in own if not grant.for_everyone and risky_scopes(grant.scopes)]
    wide = [grant for grant in for_all if risky_scopes(grant.scopes)]
    apps = await asyncio.gather(*(_app(grant, consents, evidence) for grant in [*risky, *wide]))
    refusal = everyone if isinstance(everyone, ServiceError) else None
    return _judge(apps[: len(risky)], apps[len(risky) :], refusal, evidence, row)


def _judge(
    apps: Sequence[App], for_all: Sequence[App], refusal: ServiceError | None, evidence: Evidence, row: SignalRow
) -> Finding:
    bad = _suspicious(apps, evidence, row)
    wide = [(app, kinds) for app, kinds in _suspicious(for_all, evidence, row) if "known_bad" in kinds]
    unverified = [app for app in for_all if is_unverified(app.principal, evidence.case.tenant_id)]
    notes = _told_for_everyone(unverified)
    if refusal is not None:
        notes = (*notes, say("finding.oauth_grants.for_everyone_unread", why=why(refusal)))
    if not bad and not wide:
        return _nothing_bad([*apps, *for_all], refusal, notes, row)
    return row.found(
        sum(row.points_for(kinds) for _, kinds in [*bad, *wide]),
        say("finding.oauth_grants.risky", n=len(bad) + len(wide)),
        *(text for app, kinds in [*bad, *wide][:_TOLD] for text in _told(app, kinds)),
        *notes,
        targets=[_target(app, kinds) for app, kinds in bad],
    )


def _suspicious(apps: Iterable[App], evidence: Evidence, row: SignalRow) -> list[tuple[App, tuple[str, ...]]]:
    rated = [(app, kinds_of(app, evidence, row)) for app in apps]
    return [(app, kinds) for app, kinds in rated if row.points_for(kinds) >= row.thresholds["suspicious_from"]]


def _nothing_bad(apps: Iterable[App], refusal: ServiceError | None, notes: tuple[Text, ...], row: SignalRow) -> Finding:
    unread = (app.refusal for app in apps if app.refusal and not isinstance(app.refusal, NotFound))
    first = next(unread, refusal)
    if first is not None:
        raise first
    return row.clear(say("finding.oauth_grants.clear"), *notes)


def kinds_of(app: App, evidence: Evidence, row: SignalRow) -> tuple[str, ...]:
    """What speaks against an app: names among the row's points; none for Microsoft's and the tenant's own."""
    if app.principal is not None and is_trusted(app.principal, evidence.case.tenant_id):
        return ()
    scopes = {scope.casefold() for scope in app.grant.scopes}
    oldest = evidence.now - row.days("recent_days")
    recent = any(at is not None and at >= oldest for at in (app.consented_at, _created_at(app)))
    known = known_as(app.principal, app.name)
    mail = _any_starts_with(scopes, words().oauth.mail_scopes)
    tests = {
        "mail": mail,
        "other_risky": _any_starts_with(scopes, words().oauth.other_risky_scopes),
        "offline_with_mail": mail and "offline_access" in scopes,
        "unverified": is_unverified(app.principal, evidence.case.tenant_id),
        "recent": recent,
        "age_unknown": app.consented_at is None and not app.consents_readable,
        # A name that says nothing is odd only on an app that is new.
        "odd_name": recent and app.principal is not None and is_odd_name(app.name, evidence.subject),
    }
    return tuple([*(kind for kind, true in tests.items() if true), *([known[0]] if known else [])])


def risky_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Those scopes that are worth an attacker's while."""
    risky = (*words().oauth.mail_scopes, *words().oauth.other_risky_scopes)
    return tuple(scope for scope in scopes if scope.casefold().startswith(risky))


def _any_starts_with(scopes: Iterable[str], beginnings: tuple[str, ...]) -> bool:
    return any(scope.startswith(beginnings) for scope in scopes)


def _created_at(app: App) -> datetime | None:
    return app.principal.created_at if app.principal else None


# --- reading ---------------------------------------------------------------------------------------------------------


async def _consents(evidence: Evidence) -> tuple[AuditEvent, ...] | None:
    """Consents that the account gave, newest first; None when the audit log cannot be read."""
    events = await attempted(evidence.consents())
    if isinstance(events, ServiceError):
        return None
    mine = (event for event in events if event.by_oid == evidence.subject.user_oid)
    return tuple(sorted(mine, key=lambda event: event.at or evidence.now, reverse=True))


async def _app(grant: OAuthGrant, consents: Sequence[AuditEvent] | None, evidence: Evidence) -> App:
    read = await attempted(evidence.app(grant.client_sp_oid))
    times = (c.at for c in consents or () if any(target.oid == grant.client_sp_oid for target in c.targets))
    refused = isinstance(read, ServiceError)
    return App(
        grant=grant,
        principal=None if refused else read,
        refusal=read if refused else None,
        consented_at=next(times, None),
        consents_readable=consents is not None,
    )


# --- telling ---------------------------------------------------------------------------------------------------------


def _told(app: App, kinds: Sequence[str]) -> tuple[Text, ...]:
    lines = [say("finding.oauth_grants.detail", app=app.name, permissions=list(app.grant.scopes))]
    if "unverified" in kinds:
        lines.append(say("finding.oauth_grants.unverified", app=app.name))
    if app.consented_at is not None:
        lines.append(say("finding.oauth_grants.consented", app=app.name, at=app.consented_at))
    if app.grant.for_everyone:
        lines.append(say("finding.oauth_grants.whole_tenant", app=app.name))
    return (*lines, *known_text(app.principal, app.name))


def _told_for_everyone(apps: Sequence[App]) -> tuple[Text, ...]:
    return tuple(
        say("finding.oauth_grants.for_everyone", app=app.name, permissions=list(risky_scopes(app.grant.scopes)))
        for app in apps[:_TOLD]
    )


def _target(app: App, kinds: Sequence[str]) -> Mapping[str, Any]:
    return {
        "grant_id": app.grant.grant_id,
        "client_sp_oid": app.grant.client_sp_oid,
        "name": app.name,
        "scopes": list(app.grant.scopes),
        "suspicions": list(kinds),
    }
