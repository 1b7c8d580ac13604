"""`/healthz`: the program is alive. `/readyz`: it could do its work now. `/metrics`: numbers for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram, generate_latest

from bot.identity import BotTokenValidator
from services.alerts.model import LONGEST_PAUSE, Alert, AlertKind, Severity, SourceName, SourceState
from services.alerts.summary import BLOCKS
from services.clients.tokens import Tokens
from services.ports import Clock
from services.store import Store

log = structlog.get_logger()

#: A probe must answer sooner than its prober gives up.
PROBE_TIMEOUT_S = 5.0
#: Over which time it is told how long blocks took to become alerts.
DELAYS_OF = timedelta(hours=24)
#: Upper bounds in seconds: the interval is a minute unless somebody chose another, and a block may be hours old when
#: the bot is started.
_DELAY_BUCKETS = (5, 15, 30, 60, 62, 120, 300, 900, 3600, 86_400)


class Blind(Exception):
    """A source of alerts cannot be read."""


class Health:
    """The three probes. None of them needs a token, and none of them tells more than names of parts, and numbers."""

    def __init__(
        self,
        *,
        store: Store,
        tokens: Tokens,
        scope: str,
        validator: BotTokenValidator,
        clock: Clock,
        sources: Collection[str],
    ) -> None:
        """`sources` are the names of those that are read here; others that the database knows do not count."""
        self._store = store
        self._sources = sources
        self._clock = clock
        self._began_at = clock.now()
        self._checks: dict[str, Callable[[], Awaitable[object]]] = {
            "database": store.ping,
            "token": lambda: tokens.token(scope),
            "keys": lambda: _keys(validator),
            "sources": lambda: _see(store, sources, self._began_at, clock.now()),
        }

    async def alive(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """
        200 when database, our own token and Teams' signing keys are there; else 503 with which is not.

        A source of alerts that fails, or that nobody reads, and an open alert about the bot itself make it "degraded",
        still with 200: people can work with the bot all the same, and taking it out of service would only make it
        blinder. "wrong" names what those alerts are about, null when that cannot be read; what is of low severity
        degrades nothing. Alert on the body or `/metrics`.
        """
        results = await asyncio.gather(*(self._passes(name) for name in self._checks))
        parts = dict(zip(self._checks, results, strict=True))
        ready = all(passes for name, passes in parts.items() if name != "sources")
        wrong = await self._wrong()
        parts["health"] = wrong is not None and all(alert.severity is Severity.LOW for alert in wrong)
        status = ("ready" if parts["sources"] and parts["health"] else "degraded") if ready else "not ready"
        named = None if wrong is None else sorted(alert.about for alert in wrong)
        return web.json_response({"status": status, "checks": parts, "wrong": named}, status=200 if ready else 503)

    async def _wrong(self) -> list[Alert] | None:
        """The open alerts about the bot itself; None when they cannot be read."""
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                return await self._store.alerts.alerts(kind=AlertKind.HEALTH)
        except Exception as error:  # whatever it is, the probe is answered; the log says why
            log.warning("not_ready", part="health", error=f"{type(error).__name__}: {error}")
            return None

    async def metrics(self, request: web.Request) -> web.Response:
        """What the program counts by itself, then what the database says about alerts, which all replicas share."""
        body = generate_latest() + generate_latest(await self._of_alerts())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _of_alerts(self) -> CollectorRegistry:
        """
        Made anew each time, so that nothing of it is old. When the database cannot be read there are no numbers about
        alerts but the one that says so: no number is not the number zero.
        """
        registry = CollectorRegistry()
        readable = Gauge("unblock_store_readable", "Whether the database could be read just now.", registry=registry)
        now, alerts = self._clock.now(), self._store.alerts
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                told = (await alerts.source_states(), await alerts.counts(), await alerts.unposted())
                wrong = await alerts.alerts(kind=AlertKind.HEALTH)
                noticed = await alerts.alerts_noticed(now - DELAYS_OF, now + timedelta(seconds=1))
        except Exception as error:  # whatever it is, the scrape is answered; the log says why
            log.warning("alerts_uncounted", error=f"{type(error).__name__}: {error}")
            return registry
        readable.set(1)
        states = _watched(told[0], self._sources, now)
        count_sources(registry, states, _blind(states, self._began_at, now))
        count_alerts(registry, told[1], len(told[2]))
        count_trouble(registry, wrong)
        count_delays(registry, noticed)
        return registry

    async def _passes(self, name: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._checks[name]()
        except Exception as error:  # whatever it is, the answer is "not ready"; the log says why
            log.warning("not_ready", part=name, error=f"{type(error).__name__}: {error}")
            return False
        return True


def count_sources(registry: CollectorRegistry, states: Iterable[SourceState], blind: Collection[str]) -> None:
    """
    When each source was last read (0: never), how often running it has failed since, whether it is failing (`blind` are
    the names of those), and whether it is off for want of a licence or permission.
    """
    labels = ["source"]
    read = Gauge(
        "unblock_source_last_read_timestamp_seconds", "When the source was last read.", labels, registry=registry
    )
    failures = Gauge("unblock_source_failures", "How many times running it failed.", labels, registry=registry)
    failing = Gauge("unblock_source_failing", "1 when it failed three times or is not read.", labels, registry=registry)
    off = Gauge("unblock_source_off", "1 when the tenant lacks what it needs.", labels, registry=registry)
    for state in states:
        failing.labels(state.source).set(state.source in blind)
        read.labels(state.source).set(state.last_read_at.timestamp() if state.last_read_at else 0)
        failures.labels(state.source).set(state.failures)
        off.labels(state.source).set(state.off is not None)


def count_alerts(registry: CollectorRegistry, open_ones: Mapping[AlertKind, int], unposted: int) -> None:
    """How many alerts of each kind are open, zeros included, and how many of them wait to be posted."""
    gauge = Gauge("unblock_alerts_open", "Alerts that are not over.", ["kind"], registry=registry)
    for kind in AlertKind:
        gauge.labels(kind.value).set(open_ones.get(kind, 0))
    Gauge("unblock_alerts_unposted", "Open alerts that reached nobody yet.", registry=registry).set(unposted)


def count_trouble(registry: CollectorRegistry, wrong: Iterable[Alert]) -> None:
    """What is wrong with the bot itself, each by the name that `/readyz` says too."""
    gauge = Gauge("unblock_health_alert", "1 for each open alert about the bot itself.", ["about"], registry=registry)
    for alert in wrong:
        gauge.labels(alert.about).set(1)


def count_delays(registry: CollectorRegistry, noticed: Sequence[Alert]) -> None:
    """How long it took from the start of a block to its alert, over the last day and so falling as well as rising."""
    delays = Histogram(
        "unblock_block_to_alert_seconds",
        "From the start of a block to its alert, of the alerts of the last 24 hours.",
        buckets=_DELAY_BUCKETS,
        registry=registry,
    )
    for alert in noticed:
        if alert.kind in BLOCKS and alert.is_since_known:
            delays.observe(max((alert.noticed_at - alert.since).total_seconds(), 0.0))


async def _see(store: Store, sources: Collection[str], began_at: datetime, now: datetime) -> None:
    blind = _blind(_watched(await store.alerts.source_states(), sources, now), began_at, now)
    if blind:
        raise Blind(", ".join(blind))


def _watched(states: Iterable[SourceState], sources: Collection[str], now: datetime) -> list[SourceState]:
    """How the sources of these names are doing, those included that nobody has begun to read."""
    known = {state.source: state for state in states}
    return [known.get(name) or SourceState(source=name, due_at=now) for name in sorted(sources)]


def _blind(states: Iterable[SourceState], began_at: datetime, now: datetime) -> list[str]:
    """Which sources fail, are not read any more, or were not read even once some minutes after the start."""
    settled = now - began_at > LONGEST_PAUSE
    return [state.source for state in states if state.is_failing(now) or (settled and _is_unread(state))]


def _is_unread(state: SourceState) -> bool:
    """The weekly summary is no source, and is first due after a week."""
    return state.source in list(SourceName) and state.last_read_at is None


async def _keys(validator: BotTokenValidator) -> None:
    if not (validator.has_keys or await validator.load_keys()):
        raise LookupError("no signing keys")
