"""The floor: aiohttp alone. It checks nothing, believes everything, and does the same as the echo bots."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from tests.benchmarks.echo import CARD_ANSWER


@asynccontextmanager
async def handler(settings: dict[str, str]) -> AsyncIterator[Callable[[web.Request], Awaitable[web.Response]]]:
    """The handler of POST /api/messages."""
    trust = ssl.create_default_context(cafile=settings["ca_bundle"])
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:

        async def handle(request: web.Request) -> web.Response:
            activity = await request.json()
            if activity["type"] == "invoke":
                return web.json_response(CARD_ANSWER)
            where = f"{activity['serviceUrl']}v3/conversations/{activity['conversation']['id']}/activities"
            async with session.post(where, json={"type": "message", "text": activity["text"]}) as posted:
                await posted.read()
            return web.Response()

        yield handle
