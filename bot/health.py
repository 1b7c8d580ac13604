"""`/healthz`: the program is alive. `/readyz`: it could do its work now. `/metrics`: numbers for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from bot.identity import BotTokenValidator
from services.clients.tokens import Tokens
from services.store import Store

log = structlog.get_logger()

#: A probe must answer sooner than its prober gives up.
PROBE_TIMEOUT_S = 5.0


class Health:
    """The three probes. None of them needs a token, and none of them tells more than names of parts."""

    def __init__(self, *, store: Store, tokens: Tokens, scope: str, validator: BotTokenValidator) -> None:
        self._checks: dict[str, Callable[[], Awaitable[object]]] = {
            "database": store.ping,
            "token": lambda: tokens.token(scope),
            "keys": lambda: _keys(validator),
        }

    async def alive(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def ready(self, request: web.Request) -> web.Response:
        """200 when database, our own token and Teams' signing keys are there; else 503 with which is not."""
        results = await asyncio.gather(*(self._passes(name) for name in self._checks))
        parts = dict(zip(self._checks, results, strict=True))
        ready = all(parts.values())
        body = {"status": "ready" if ready else "not ready", "checks": parts}
        return web.json_response(body, status=200 if ready else 503)

    async def metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _passes(self, name: str) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self._checks[name]()
        except Exception as error:  # whatever it is, the answer is "not ready"; the log says why
            log.warning("not_ready", part=name, error=f"{type(error).__name__}: {error}")
            return False
        return True


async def _keys(validator: BotTokenValidator) -> None:
    if not (validator.has_keys or await validator.load_keys()):
        raise LookupError("no signing keys")
