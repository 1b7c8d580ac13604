"""Makes the sources of the section `[oncall]`, and what asks them."""

from __future__ import annotations

from typing import Protocol

import aiohttp

from services.oncall.accounts import Accounts, Directory
from services.oncall.duty import Source
from services.oncall.group import GroupSource
from services.oncall.on_call import FALLBACK_NAME, Choices, OnCall
from services.oncall.opsgenie import OpsgenieSource
from services.oncall.pagerduty import PagerDutySource
from services.oncall.paging import sender_for
from services.oncall.rota import RotaSource
from services.oncall.settings import (
    GroupSettings,
    OncallSettings,
    PagerDutySettings,
    RotaSettings,
    ShiftsSettings,
    SourceSettings,
)
from services.oncall.shifts import Schedules, ShiftsSource
from services.ports import Clock


class Tenant(Directory, Schedules, Protocol):
    """What is asked of Microsoft Graph; fulfilled by `GraphClient`."""


def on_call_of(
    settings: OncallSettings, graph: Tenant, session: aiohttp.ClientSession, store: Choices, clock: Clock
) -> OnCall:
    """Who is on call, by these settings. `clock` is the time by which people are on duty."""
    sources = [source_of(source, graph, session, clock) for source in settings.sources]
    return OnCall(sources, fallback_of(settings, graph), store, clock)


def fallback_of(settings: OncallSettings, graph: Tenant) -> Source | None:
    """The group that is asked when no source has an answer."""
    group = settings.fallback_group
    return GroupSource(FALLBACK_NAME, group, Accounts(graph)) if group else None


def source_of(settings: SourceSettings, graph: Tenant, session: aiohttp.ClientSession, clock: Clock) -> Source:
    accounts = Accounts(graph)
    if isinstance(settings, RotaSettings):
        return RotaSource(settings, accounts)
    if isinstance(settings, GroupSettings):
        return GroupSource(settings.name, settings.group, accounts)
    if isinstance(settings, ShiftsSettings):
        return ShiftsSource(settings, graph, accounts)
    send = sender_for(settings.key, session, clock)
    if isinstance(settings, PagerDutySettings):
        return PagerDutySource(settings, send, accounts)
    return OpsgenieSource(settings, send, accounts)
