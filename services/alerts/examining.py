"""
What `doctor` says about `[alerts]`: what is watched, who may send alerts, and whether the early warning can work here.

Real calls, like every check of the doctor's, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from services.alerts.health import NOTICE, own_secret
from services.alerts.model import SourceName
from services.alerts.sections import WebhookSettings
from services.alerts.webhook import APP_ROLE
from services.clients.graph_models import AppSecret, DirectoryUser, MessageTrace, RiskyUser
from services.doctor import Check, Result, told
from services.errors import LicenceMissing, PermissionMissing, ServiceError, SettingsError
from services.ports import Clock
from services.settings import Settings

#: What each source is called here.
_CALLED = {
    SourceName.RESTRICTED_LIST: "the restricted list",
    SourceName.BLOCKED_CONNECTORS: "blocked connectors",
    SourceName.DEFENDER: "alerts of Defender",
    SourceName.HEALTH: "the bot's own health",
}
_PEOPLE_TRIED = 5


class Graph(Protocol):
    """Fulfilled by `GraphClient`."""

    async def app_secrets(self, app_id: str) -> Sequence[AppSecret]: ...

    async def risky_users(self) -> Sequence[RiskyUser]: ...

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int
    ) -> Sequence[MessageTrace]: ...


class AlertChecks:
    """The checks of one installation. `examine` never raises for what is found to be wrong."""

    def __init__(self, settings: Settings, graph: Graph, clock: Clock) -> None:
        self._settings = settings
        self._graph = graph
        self._clock = clock

    async def examine(self) -> list[Check]:
        """Each thing that `[alerts]` sets, as it is in force."""
        return [
            *await self._client_secret(),
            watched(self._settings),
            webhook_check(self._settings.alerts.senders),
            *await self._early_warning(),
            weekly_check(self._settings, self._clock.now()),
        ]

    async def _client_secret(self) -> list[Check]:
        """When the secret ends; that of a certificate has a check of its own."""
        secret = self._settings.app_secret
        if secret is None or self._settings.app_certificate_path is not None:
            return []
        name, now = "client secret", self._clock.now()
        try:
            ours = own_secret(await self._graph.app_secrets(self._settings.app_id), secret.get_secret_value(), now)
        except (ServiceError, SettingsError) as error:
            found, to_do = told(error)
            return [Check(name, Result.UNCHECKED, f"When it ends is not known, so nobody is warned. {found}", to_do)]
        if ours is None or ours.ends_at is None:
            found = "When it ends is not known, so nobody is warned: the registration shows no secret with its hint."
            return [Check(name, Result.UNCHECKED, found)]
        day = f"{ours.ends_at:%Y-%m-%d}"
        if ours.ends_at - now <= NOTICE:
            to_do = "Make a new secret in the app registration and set app_secret."
            return [Check(name, Result.PROBLEM, f"It ends on {day}.", to_do)]
        return [Check(name, Result.OK, f"It is good until {day}.")]

    async def _early_warning(self) -> list[Check]:
        name, section = "early warning", self._settings.alerts.early_warning
        if not section.on or not self._settings.alerts.watches(SourceName.EARLY_WARNING):
            return [Check(name, Result.OK, "It is off: nobody is warned before Microsoft restricts an account.")]
        return [await self._trace(name), await self._risky(f"{name}: people at risk")]

    async def _trace(self, name: str) -> Check:
        address = await self._somebody()
        if not address:
            return Check(name, Result.UNCHECKED, "Nobody is named in the settings whose mail could be counted.")
        now = self._clock.now()
        try:
            await self._graph.message_traces(address, since=now - timedelta(hours=1), until=now, limit=1)
        except (LicenceMissing, PermissionMissing) as error:
            found, to_do = told(error)
            return Check(name, Result.PROBLEM, f"It switches itself off, as the trace cannot be read. {found}", to_do)
        except (ServiceError, SettingsError) as error:
            return Check(name, Result.UNCHECKED, *told(error))
        section = self._settings.alerts.early_warning
        found = (
            f"The message trace can be read. Warned of from {section.share_of_limit:.0%} of a limit of the outbound"
            f" policy, or {section.times_usual:g} times the usual busy hour and {section.least_recipients} recipients;"
            f" {section.requests} requests in five minutes at most."
        )
        return Check(name, Result.OK, found)

    async def _risky(self, name: str) -> Check:
        try:
            found = await self._graph.risky_users()
        except (LicenceMissing, PermissionMissing) as error:
            said, _ = told(error)
            rest = "Alerts of Defender and cases of the last week still say whose mail is counted."
            return Check(name, Result.OK, f"Not read. {said} {rest}")
        except (ServiceError, SettingsError) as error:
            return Check(name, Result.UNCHECKED, *told(error))
        return Check(name, Result.OK, f"{len(found)} at risk now, whose mail is counted.")

    async def _somebody(self) -> str:
        """The address of one whom the settings name; groups are passed over."""
        named = (*self._settings.admins, *self._settings.approvers, *self._settings.requesters)
        for oid in named[:_PEOPLE_TRIED]:
            try:
                person = await self._graph.get_user(oid)
            except (ServiceError, SettingsError):  # told by the check of this entry
                continue
            return person.mail or person.upn
        return ""


# --- judging: pure ---------------------------------------------------------------------------------------------------


def watched(settings: Settings) -> Check:
    """What is read how often. Leaving out the restricted list leaves the bot without its one sure source."""
    on = [called for name, called in _CALLED.items() if settings.alerts.watches(name)]
    off = [called for name, called in _CALLED.items() if not settings.alerts.watches(name)]
    found = f"Watched every {settings.watch_interval_seconds:g} seconds: {', '.join(on) or 'nothing'}."
    found += f" Switched off: {', '.join(off)}." if off else ""
    if settings.alerts.watches(SourceName.RESTRICTED_LIST):
        return Check("alerts", Result.OK, found)
    return Check("alerts", Result.PROBLEM, found, "Take restricted_list out of alerts.off: no other source is sure.")


def webhook_check(webhook: WebhookSettings) -> Check:
    """Who may post to /api/alerts."""
    ways = []
    if webhook.callers:
        ways.append(f"tokens of {len(webhook.callers)} named app(s)")
    if webhook.app_role:
        ways.append(f"tokens with the app role {APP_ROLE} of this app registration")
    if webhook.secrets:
        ways.append(f"requests signed with the secret{' or the old one' if webhook.old_secret else ''}")
    if not ways:
        return Check("alert webhook", Result.OK, "Closed: alerts.webhook names nobody who may send alerts.")
    return Check("alert webhook", Result.OK, f"POST /api/alerts takes {', and '.join(ways)}.")


def weekly_check(settings: Settings, now: datetime) -> Check:
    weekly = settings.alerts.weekly
    if not weekly.on:
        return Check("weekly summary", Result.OK, "It is off.")
    return Check("weekly summary", Result.OK, f"The next one is due {weekly.next_after(now):%Y-%m-%d %H:%M} UTC.")
