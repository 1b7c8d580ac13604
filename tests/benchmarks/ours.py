"""Our own front door with an echo behind it: endpoint, token check, adapter, connector, joined as in `app.py`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from pydantic import SecretStr

from bot.activities import Incoming
from bot.adapter import Reply, TeamsAdapter, invoke_card, invoke_message
from bot.connector import Connector, Pacer, ServiceHosts
from bot.endpoint import MessagesEndpoint
from bot.identity import BotTokenValidator
from services.clients.clouds import cloud_of
from services.clients.tokens import Tokens
from services.clients.trust import open_session
from services.clock import SystemClock
from tests.benchmarks.echo import CARD

#: The pacer keeps its books as always; for its clock all of this takes days, so it never has to wait.
FASTER_CLOCK = 100_000


class Echo:
    """Says what it hears; answers a click with a card."""

    async def on_message(self, incoming: Incoming, reply: Reply) -> None:
        await reply.say(incoming.text)

    async def on_card_action(self, incoming: Incoming, reply: Reply) -> dict[str, Any]:
        return invoke_card(CARD)

    async def on_installed(self, incoming: Incoming) -> None:
        raise NotImplementedError("nobody installs an echo")

    async def on_removed(self, incoming: Incoming) -> None:
        raise NotImplementedError("nobody removes an echo")


def _fallback(incoming: Incoming) -> dict[str, Any]:
    return invoke_message("Still at work.")


@asynccontextmanager
async def handler(settings: dict[str, str]) -> AsyncIterator[Callable[[web.Request], Awaitable[web.Response]]]:
    """The handler of POST /api/messages."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    ca_bundle, hosts = Path(settings["ca_bundle"]), ServiceHosts([settings["service_hosts"]])
    tokens = Tokens(
        tenant_id=settings["tenant_id"],
        app_id=settings["app_id"],
        login_url=settings["login_url"],
        secret=SecretStr(settings["app_secret"]),
        ca_bundle=ca_bundle,
    )
    scope, loop = cloud_of(settings["login_url"]).bot_scope, asyncio.get_running_loop()
    async with open_session(ca_bundle) as session:
        pacer = Pacer(now=lambda: loop.time() * FASTER_CLOCK)
        connector = Connector(session, lambda: tokens.token(scope), hosts, pacer=pacer)
        endpoint = MessagesEndpoint(
            adapter=TeamsAdapter(connector, Echo(), _fallback),
            validator=BotTokenValidator(settings["bot_openid_url"], settings["app_id"], session, SystemClock()),
            tenant_id=settings["tenant_id"],
            service_hosts=hosts,
            fallback=_fallback,
        )
        yield endpoint.handle
        await endpoint.close()
        tokens.close()
