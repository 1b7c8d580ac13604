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
from services.investigation.evidence import Evidence, attempted
from services.investigation.table import SignalRow, words

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
    Apps that may read or send the user's mail and that nobody vouches for, or that were let in recently.

    Consents of a single user are proposed for revocation; those for everybody concern the whole tenant and are only
    told. An app with risky scopes whose publisher cannot be read keeps the signal from being clear.
    Source: "Detect and remediate illicit consent grants", 2023-06-14.
    """
    own, everyone = await asyncio.gather(
        attempted(evidence.directory.oauth_grants(evidence.subject.user_oid)),
        attempted(evidence.directory.oauth_grants_for_everyone()),
    )
    if isinstance(own, ServiceError):
        raise own
    risky = [grant for grant in own if not grant.for_everyone and risky_scopes(grant.scopes)]
    # They are told beside the point, so not being able to read them is no obstacle.
    for_all = [g for g in (() if isinstance(everyone, ServiceError) else everyone) if risky_scopes(g.scopes)]
    consents = await _consents(evidence) if risky else None
    apps = await asyncio.gather(*(_app(grant, consents, evidence) for grant in [*risky, *for_all]))
    return _judge(apps[: len(risky)], apps[len(risky) :], evidence, row)


def _judge(apps: Sequence[App], for_all: Sequence[App], evidence: Evidence, row: SignalRow) -> Finding:
    rated = [(app, kinds_of(app, evidence, row)) for app in apps]
    bad = [(app, kinds) for app, kinds in rated if row.points_for(kinds) >= row.thresholds["suspicious_from"]]
    notes = _told_for_everyone([app for app in for_all if _is_unverified(app, evidence.case.tenant_id)])
    if not bad:
        return _nothing_bad(apps, notes, row)
    return row.found(
        sum(row.points_for(kinds) for _, kinds in bad),
        say("finding.oauth_grants.risky", n=len(bad)),
        *(text for app, kinds in bad[:_TOLD] for text in _told(app, kinds)),
        *notes,
        targets=[_target(app, kinds) for app, kinds in bad],
    )


def _nothing_bad(apps: Iterable[App], notes: tuple[Text, ...], row: SignalRow) -> Finding:
    refusal = next((app.refusal for app in apps if app.refusal and not isinstance(app.refusal, NotFound)), None)
    if refusal is not None:
        raise refusal
    return row.clear(say("finding.oauth_grants.clear"), *notes)


def kinds_of(app: App, evidence: Evidence, row: SignalRow) -> tuple[str, ...]:
    """What speaks against an app: names among the row's points; none for Microsoft's and the tenant's own."""
    if app.principal is not None and _is_trusted(app.principal, evidence.case.tenant_id):
        return ()
    scopes = {scope.casefold() for scope in app.grant.scopes}
    oldest = evidence.now - row.days("recent_days")
    mail = _any_starts_with(scopes, words().oauth.mail_scopes)
    tests = {
        "mail": mail,
        "other_risky": _any_starts_with(scopes, words().oauth.other_risky_scopes),
        "offline_with_mail": mail and "offline_access" in scopes,
        "unverified": _is_unverified(app, evidence.case.tenant_id),
        "recent": any(at is not None and at >= oldest for at in (app.consented_at, _created_at(app))),
        "age_unknown": app.consented_at is None and not app.consents_readable,
    }
    return tuple(kind for kind, true in tests.items() if true)


def risky_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Those scopes that are worth an attacker's while."""
    risky = (*words().oauth.mail_scopes, *words().oauth.other_risky_scopes)
    return tuple(scope for scope in scopes if scope.casefold().startswith(risky))


def _any_starts_with(scopes: Iterable[str], beginnings: tuple[str, ...]) -> bool:
    return any(scope.startswith(beginnings) for scope in scopes)


def _is_trusted(principal: ServicePrincipal, tenant_id: str) -> bool:
    """The tenant's own apps, and Microsoft's: from one of its tenants and published under its name."""
    owner = (principal.owner_tenant_id or "").casefold()
    publisher = (principal.publisher_name or "").casefold()
    by_microsoft = owner in words().oauth.microsoft_tenants and publisher.startswith("microsoft")
    return by_microsoft or (owner != "" and owner == tenant_id.casefold())


def _is_unverified(app: App, tenant_id: str) -> bool:
    """Nobody has verified the publisher, as far as we know; an app that could not be read is not verified either."""
    if app.principal is None:
        return True
    return app.principal.verified_publisher is None and not _is_trusted(app.principal, tenant_id)


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
    return tuple(lines)


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
