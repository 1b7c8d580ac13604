"""
The bot's own health as a source of alerts: what it cannot see, or soon cannot, is told as loudly as a block.

Looked at: sources that fail, the credential that ends, permissions that went missing, conversations that the bot was
removed from, and alerts that reach nobody. All of it together is the whole list of what is wrong, so that what is
mended ends by itself. What could not be looked at leaves its alerts as they are, and is told after three times running.

How soon: a permission shows as missing when the token in use is replaced, which Entra lets live for 60 to 90 minutes
("Access tokens in the Microsoft identity platform", 2025); a call that is refused meanwhile fails its source at once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from pydantic import Field, SecretStr

from services.alerts.model import FAILING_AFTER, Alert, AlertKind, Report, Severity, SourceName, SourceState
from services.alerts.ports import Reading
from services.cases import Text, Value, say
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.clients.graph_models import AppSecret
from services.clients.tokens import read_certificate, roles_of
from services.errors import ServiceError, SettingsError
from services.investigation.unreadable import why
from services.permissions import EXCHANGE_PERMISSION, GRAPH_PERMISSIONS, Permission
from services.ports import Clock
from services.store import Store

#: How long before its end a certificate or secret is told of, and when it becomes pressing.
NOTICE, PRESSING = timedelta(days=30), timedelta(days=7)
#: How often the registration of the app is asked for the end of its secrets.
ASK_EVERY = timedelta(hours=1)
#: How long an alert may take to reach people, with everything that Teams may ask us to wait.
UNDELIVERED_AFTER = timedelta(minutes=10)
#: How long a conversation may be unset: somebody who sets the bot up gets to it.
UNSET_AFTER = timedelta(minutes=15)
#: The name under which the permissions that we had are kept.
PERMISSIONS_SEEN = "permissions_seen"

#: What an alert is about, by kind of trouble; what comes after the colon is its name.
SOURCE, CERTIFICATE, SECRET, PERMISSION = "source:", "certificate:", "secret:", "permission:"
CONVERSATION, DELIVERY, UNCHECKED = "conversation:", "delivery:", "unchecked:"
#: What is said when something of this could not be looked at three times running.
_UNCHECKED = {SECRET: "health.credential_unchecked", PERMISSION: "health.permissions_unchecked"}


def trouble(about: str, what: Text, *, since: datetime | None = None, severity: Severity = Severity.MEDIUM) -> Report:
    """One thing that is wrong with the bot."""
    return Report(
        source=SourceName.HEALTH, kind=AlertKind.HEALTH, about=about, since=since, severity=severity, what=what
    )


# --- what is wrong: pure ---------------------------------------------------------------------------------------------

_SEVERITY = {
    SourceName.RESTRICTED_LIST: Severity.HIGH,
    SourceName.BLOCKED_CONNECTORS: Severity.HIGH,
    "weekly_summary": Severity.LOW,
}


def failing_sources(states: Iterable[SourceState], now: datetime) -> tuple[Report, ...]:
    """Each source that failed three times running or is not read any more, from when it was last read on."""
    return tuple(
        trouble(
            f"{SOURCE}{state.source}",
            _blind(state),
            since=state.last_read_at,
            severity=_SEVERITY.get(state.source, Severity.MEDIUM),
        )
        for state in states
        if state.is_failing(now) and state.source != SourceName.HEALTH
    )


def _blind(state: SourceState) -> Text:
    told = {
        "source": say(f"health.source.{state.source}"),
        "why": state.why or say("unreadable.our_fault"),
        "unseen": say(f"health.unseen.{state.source}"),
    }
    if state.last_read_at is None:
        return say("health.source_never_read", **told)
    return say("health.source_fails", since=state.last_read_at, **told)


def ending(about: str, kind: str, ends_at: datetime, now: datetime) -> tuple[Report, ...]:
    """
    A credential that ends within 30 days, or has ended; `kind` is "certificate" or "secret".

    It is told from a fixed moment on, so that it stays one alert however often it is looked at.
    """
    if ends_at - now > NOTICE:
        return ()
    severity = Severity.HIGH if ends_at - now <= PRESSING else Severity.MEDIUM
    what = say(f"health.{kind}_{'ended' if ends_at <= now else 'ends'}", at=ends_at)
    return (trouble(about, what, since=ends_at - NOTICE, severity=severity),)


def own_secret(secrets: Iterable[AppSecret], secret: str, now: datetime) -> AppSecret | None:
    """
    The entry of the registration that is our secret, as far as its hint (its first three characters) tells; None when
    that cannot be told. Of several the one that ends first: ours may be that one.
    """
    ours = [one for one in secrets if one.ends_at is not None and one.hint and secret.startswith(one.hint)]
    in_force = [one for one in ours if one.ends_at is not None and one.ends_at > now] or ours
    return min(in_force, key=lambda one: one.ends_at or now, default=None)


class PermissionMemory(Value):
    """Which permissions the app has had, and since when those are missing that it has no longer."""

    had: tuple[str, ...] = ()
    missing: dict[str, datetime] = Field(default_factory=dict)

    def looked(self, wanted: Iterable[Permission], granted: Collection[str], now: datetime) -> PermissionMemory:
        """The memory after a look at the permissions of one resource; `wanted` are all of that resource."""
        had, missing = set(self.had), dict(self.missing)
        for permission in wanted:
            if permission.is_among(granted):
                had.add(permission.name)
                missing.pop(permission.name, None)
            elif permission.name in had:
                missing.setdefault(permission.name, now)
        return PermissionMemory(had=tuple(sorted(had)), missing=dict(sorted(missing.items())))


def missing_permissions(memory: PermissionMemory, wanted: Iterable[Permission]) -> tuple[Report, ...]:
    """
    What the app was allowed and is no longer: one report for all that went missing at the same time.

    A permission that it never had is no news; `doctor` tells of those.
    """
    gone: dict[datetime, list[Permission]] = defaultdict(list)
    for permission in wanted:
        if permission.name in memory.missing:
            gone[memory.missing[permission.name]].append(permission)
    return tuple(
        trouble(
            f"{PERMISSION}{since:%Y%m%dT%H%M%SZ}",
            _gone_at_once(permissions),
            since=since,
            severity=Severity.HIGH if any(one.essential for one in permissions) else Severity.MEDIUM,
        )
        for since, permissions in sorted(gone.items())
    )


def _gone_at_once(permissions: Sequence[Permission]) -> Text:
    if len(permissions) == 1:
        return say("health.permission_gone", permission=permissions[0].name, resource=permissions[0].resource)
    return say("health.permissions_gone", permissions=", ".join(f"{one.name} ({one.resource})" for one in permissions))


def late_alerts(unposted: Iterable[Alert], now: datetime) -> frozenset[str]:
    """
    Ids of the alerts that wait for ten minutes to reach people, since they were noticed or are to be told again.

    The alert that says so does not count: it would keep itself open.
    """
    return frozenset(
        alert.alert_id
        for alert in unposted
        if now - _waits_since(alert) >= UNDELIVERED_AFTER and not alert.about.startswith(DELIVERY)
    )


def _waits_since(alert: Alert) -> datetime:
    return max(filter(None, (alert.noticed_at, alert.waits_since, alert.snoozed_until)))


def unchecked(prefixes: Collection[str], problem: ServiceError | SettingsError) -> tuple[Report, ...]:
    """
    That something cannot be looked at. It is of low severity, since the permission may be one that a tenant does
    without: told once, until somebody sets it aside.
    """
    return tuple(
        trouble(f"{UNCHECKED}{prefix[:-1]}", say(_UNCHECKED[prefix], why=why(problem)), severity=Severity.LOW)
        for prefix in prefixes
        if prefix in _UNCHECKED
    )


# --- looking ---------------------------------------------------------------------------------------------------------


class Registrations(Protocol):
    """Fulfilled by `GraphClient`."""

    async def app_secrets(self, app_id: str) -> Sequence[AppSecret]: ...


class TokenSource(Protocol):
    """Fulfilled by `Tokens`."""

    async def token(self, scope: str) -> str: ...


@dataclass(frozen=True)
class Credential:
    """What the app proves itself with: a certificate, else a secret, else (a managed identity) nothing that ends."""

    app_id: str
    certificate_path: Path | None = None
    secret: SecretStr | None = None


class CredentialCheck:
    """
    When our credential ends. The registration is asked once an hour, and again at once until it has failed three times
    running; the end of a certificate is in its file.
    """

    prefixes = (CERTIFICATE, SECRET)

    def __init__(self, credential: Credential, registrations: Registrations, clock: Clock) -> None:
        self._credential = credential
        self._registrations = registrations
        self._clock = clock
        self._asked_at: datetime | None = None
        self._secret: AppSecret | None = None
        self._problem: ServiceError | None = None
        self._failures = 0

    async def look(self) -> Sequence[Report]:
        """Raises ServiceError when the registration cannot be asked, SettingsError for a file that cannot be used."""
        now = self._clock.now()
        if self._credential.certificate_path is not None:
            return ending(f"{CERTIFICATE}app", "certificate", certificate_end(self._credential.certificate_path), now)
        if self._credential.secret is None:
            return ()
        if self._asked_at is None or now - self._asked_at >= ASK_EVERY or 0 < self._failures < FAILING_AFTER:
            await self._ask(self._credential.secret.get_secret_value(), now)
        if self._problem is not None:
            raise self._problem
        if self._secret is None or self._secret.ends_at is None:
            return ()
        return ending(f"{SECRET}app", "secret", self._secret.ends_at, now)

    async def _ask(self, secret: str, now: datetime) -> None:
        self._asked_at, self._problem = now, None
        try:
            self._secret = own_secret(await self._registrations.app_secrets(self._credential.app_id), secret, now)
            self._failures = 0
        except ServiceError as problem:
            self._problem = problem
            self._failures += 1


def certificate_end(path: Path) -> datetime:
    """Until when a certificate of a PEM file is good. Raises SettingsError."""
    pem = read_certificate(path)["public_certificate"]
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


@dataclass(frozen=True)
class PermissionCheck:
    """Whether the permissions that we had are still in our tokens (claim `roles`)."""

    store: Store
    tokens: TokenSource
    clock: Clock
    graph_scope: str
    exchange_scope: str

    prefixes = (PERMISSION,)

    async def look(self) -> Sequence[Report]:
        """Raises ServiceError and SettingsError when there is no token, so that nothing can be told."""
        now, before = self.clock.now(), await self._memory()
        memory = before
        for wanted, scope in ((GRAPH_PERMISSIONS, self.graph_scope), ((EXCHANGE_PERMISSION,), self.exchange_scope)):
            granted = roles_of(await self.tokens.token(scope))
            if granted is not None:  # else it is no token that can be looked into, and so tells nothing
                memory = memory.looked(wanted, granted, now)
        if memory != before:
            await self.store.choose(PERMISSIONS_SEEN, memory.model_dump_json())
        return missing_permissions(memory, (*GRAPH_PERMISSIONS, EXCHANGE_PERMISSION))

    async def _memory(self) -> PermissionMemory:
        kept = await self.store.chosen(PERMISSIONS_SEEN)
        return PermissionMemory.model_validate(json.loads(kept)) if kept else PermissionMemory()


class ConversationCheck:
    """Whether the bot is still in the conversations that questions and alerts go to."""

    prefixes = (CONVERSATION,)

    def __init__(self, store: Store, clock: Clock, *, approvals: str = "", alerts: str = "") -> None:
        self._store = store
        self._clock = clock
        self._settings = {APPROVALS_CONVERSATION: approvals, ALERTS_CONVERSATION: alerts}
        self._began_at = clock.now()

    async def look(self) -> Sequence[Report]:
        chosen = {name: await self._store.chosen(name) or said for name, said in self._settings.items()}
        found = [report for name, id_ in chosen.items() if id_ for report in await self._gone(name, id_)]
        if not chosen[APPROVALS_CONVERSATION] and self._clock.now() - self._began_at >= UNSET_AFTER:
            found.append(trouble(f"{CONVERSATION}{APPROVALS_CONVERSATION}", say("health.approvals_unset")))
        return found

    async def _gone(self, name: str, conversation_id: str) -> tuple[Report, ...]:
        """A conversation that the bot never heard from is not known to be gone; `doctor` tells of that."""
        known = await self._store.conversation(conversation_id.partition(";messageid=")[0])
        if known is None or known.active:
            return ()
        what = say("health.approvals_gone" if name == APPROVALS_CONVERSATION else "health.alerts_gone")
        return (trouble(f"{CONVERSATION}{name}", what, since=known.seen_at, severity=Severity.HIGH),)


@dataclass(frozen=True)
class SourceCheck:
    """Whether the sources can be read; `names` are those that are to be."""

    store: Store
    names: Collection[str]
    clock: Clock

    prefixes = (SOURCE,)

    async def look(self) -> Sequence[Report]:
        states = [state for state in await self.store.alerts.source_states() if state.source in self.names]
        return failing_sources(states, self.clock.now())


@dataclass(frozen=True)
class DeliveryCheck:
    """Whether alerts reach people: what was late at the look before, and is so still, does not."""

    store: Store
    clock: Clock
    _late: set[str] = field(default_factory=set)

    prefixes = (DELIVERY,)

    async def look(self) -> Sequence[Report]:
        now = self.clock.now()
        begun = await self.store.alerts.copies_posting()
        hanging = {copy.copy_id for copy in begun if now - copy.posted_at >= UNDELIVERED_AFTER}
        late = hanging | late_alerts(await self.store.alerts.unposted(), now)
        waiting = len(late & self._late)
        self._late.clear()
        self._late.update(late)
        if not waiting:
            return ()
        return (trouble(f"{DELIVERY}alerts", say("health.undelivered", n=waiting), severity=Severity.HIGH),)


class Check(Protocol):
    """One thing that is looked at."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """What its alerts are about, up to the colon."""
        ...

    async def look(self) -> Sequence[Report]:
        """Everything that is wrong. Raises ServiceError or SettingsError when it cannot be looked at."""
        ...


class Health:
    """Fulfils the port `Source`: everything that is wrong with the bot now."""

    name = SourceName.HEALTH

    def __init__(self, store: Store, checks: Sequence[Check], interval_s: float) -> None:
        self._store = store
        self._checks = checks
        self._failures = [0] * len(checks)
        self.interval_s = interval_s

    async def read(self, since: datetime | None) -> Reading:
        """
        The whole list. Never raises for one thing that cannot be looked at: what was known of it is said again, and
        after three times running that it cannot be.
        """
        found: list[Report] = []
        for place, check in enumerate(self._checks):
            try:
                found += await check.look()
                self._failures[place] = 0
            except (ServiceError, SettingsError) as problem:
                self._failures[place] += 1
                found += await self._known(check.prefixes)
                found += await self._unchecked(check.prefixes, problem, self._failures[place])
        return Reading(reports=tuple(found), whole=(AlertKind.HEALTH,))

    async def _unchecked(
        self, prefixes: Collection[str], problem: ServiceError | SettingsError, failures: int
    ) -> Sequence[Report]:
        """After a restart it counts anew, and says until then what was said before."""
        if failures >= FAILING_AFTER:
            return unchecked(prefixes, problem)
        return await self._known([f"{UNCHECKED}{prefix[:-1]}" for prefix in prefixes])

    async def _known(self, prefixes: Collection[str]) -> list[Report]:
        alerts = [alert for alert in await self._store.alerts.alerts() if alert.kind is AlertKind.HEALTH]
        return [alert.report for alert in alerts if alert.about.startswith(tuple(prefixes))]
