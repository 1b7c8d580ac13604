"""The sources that look at the bot itself and at what accounts send, from the settings."""

from __future__ import annotations

from services.alerts.early_warning import EarlyWarning
from services.alerts.early_warning import Exchange as Policies
from services.alerts.early_warning import Graph as Mail
from services.alerts.health import (
    ConversationCheck,
    Credential,
    CredentialCheck,
    DeliveryCheck,
    Health,
    PermissionCheck,
    Registrations,
    SourceCheck,
    TokenSource,
)
from services.alerts.model import SourceName
from services.alerts.summary import WEEKLY_SUMMARY
from services.clients.clouds import exchange_scope, graph_scope
from services.ports import Clock
from services.settings import AppType, Settings
from services.store import Store


def early_warning_of(
    settings: Settings, store: Store, clock: Clock, graph: Mail, exchange: Policies
) -> EarlyWarning | None:
    """The early warning; None unless it is switched on."""
    section = settings.alerts.early_warning
    if not section.on or not settings.alerts.watches(SourceName.EARLY_WARNING):
        return None
    return EarlyWarning(store, graph, exchange, clock, section)


def health_of(
    settings: Settings, store: Store, clock: Clock, registrations: Registrations, tokens: TokenSource
) -> Health | None:
    """The bot's look at itself; None when it is switched off."""
    if not settings.alerts.watches(SourceName.HEALTH):
        return None
    checks = [
        SourceCheck(store, read_sources(settings), clock),
        CredentialCheck(_credential(settings), registrations, clock),
        PermissionCheck(store, tokens, clock, graph_scope(settings.graph_url), exchange_scope(settings.exchange_url)),
        ConversationCheck(store, clock, approvals=settings.approvals_conversation, alerts=settings.alerts_conversation),
        DeliveryCheck(store, clock),
    ]
    return Health(store, checks, settings.watch_interval_seconds)


def read_sources(settings: Settings) -> frozenset[str]:
    """
    The names of what is read here, as the database has them: a source that was switched off since leaves its row
    behind, and does not fail.
    """
    off = {SourceName.WEBHOOK.value, *(name.value for name in SourceName if not settings.alerts.watches(name))}
    if not settings.alerts.early_warning.on:
        off.add(SourceName.EARLY_WARNING.value)
    if not settings.alerts.weekly.on:
        off.add(WEEKLY_SUMMARY)
    return frozenset({*(name.value for name in SourceName), WEEKLY_SUMMARY}) - off


def _credential(settings: Settings) -> Credential:
    if settings.app_type is AppType.USER_ASSIGNED_MSI:
        return Credential(settings.app_id)
    return Credential(settings.app_id, settings.app_certificate_path, settings.app_secret)
