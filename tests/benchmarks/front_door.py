"""Turns per second through POST /api/messages: ours, the bot SDK's default wiring, and aiohttp alone."""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from services.sandbox.server import Sandbox, SandboxParts, start_tenant
from tests.benchmarks.figures import Figure, figure, ratio
from tests.benchmarks.server import own_process

GROUP = "Front door: turns per second, one process, signed token, echo"
NAMES = ("ours", "sdk", "bare")
#: Connections that are kept busy at the same time; the answer to one is awaited before its next request.
CONNECTIONS = 8
BURST_S = 0.5


class FrontDoor:
    """The three servers, ready; each `round` lets everybody show both kinds of turn."""

    def __init__(self, ports: dict[str, int], requests: dict[str, list[bytes]]) -> None:
        self._ports, self._requests = ports, requests
        self._rates: dict[str, dict[str, list[float]]] = {kind: {name: [] for name in ports} for kind in requests}

    async def warm_up(self) -> None:
        """Once, so that keys and tokens are there."""
        for requests in self._requests.values():
            for port in self._ports.values():
                await _burst(port, requests, 0.3)

    async def round(self) -> None:
        """One repetition, one server after the other."""
        for kind, requests in self._requests.items():
            for name, port in self._ports.items():
                self._rates[kind][name].append(await _burst(port, requests, BURST_S))

    def figures(self) -> list[Figure]:
        """Turns per second and ratios over all rounds."""
        return [one for kind, rates in self._rates.items() for one in _figures(kind, rates)]


@asynccontextmanager
async def open_front_door(folder: Path) -> AsyncIterator[FrontDoor]:
    """Messages (each answered by a post to the connector) and card clicks (answered by a card)."""
    async with AsyncExitStack() as closing:
        sandbox = await start_tenant(folder, extend=[_take_replies])
        closing.push_async_callback(sandbox.close)
        started = [await closing.enter_async_context(own_process(name, sandbox.settings())) for name in NAMES]
        kinds = {"message turns": _requests(sandbox, "message"), "card-click turns": _requests(sandbox, "click")}
        yield FrontDoor(dict(zip(NAMES, started, strict=True)), kinds)


def _figures(label: str, rates: dict[str, list[float]]) -> list[Figure]:
    figures = [
        figure(GROUP, f"{label}, ours", rates["ours"], "1/s"),
        figure(GROUP, f"{label}, bot SDK wired by default", rates["sdk"], "1/s"),
        figure(GROUP, f"{label}, aiohttp alone, nothing checked", rates["bare"], "1/s"),
    ]
    return [
        *figures,
        ratio(GROUP, f"{label}, ours / bot SDK", rates["ours"], rates["sdk"]),
        ratio(GROUP, f"{label}, ours / aiohttp alone", rates["ours"], rates["bare"]),
    ]


def _take_replies(parts: SandboxParts) -> None:
    """A connector without Teams' limits, which would be all that is measured."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"id": uuid.uuid4().hex}, status=201)

    # The SDK answers a message by replying to it, which has its own address.
    for path in ("activities", "activities/{activity}"):
        parts.https_app.router.add_post(f"/connector/v3/conversations/{{conversation}}/{path}", take)


# --- requests --------------------------------------------------------------------------------------------------------


def _requests(sandbox: Sandbox, kind: str) -> list[bytes]:
    """One request per connection, each in a conversation of its own, ready to be sent as it is."""
    service_url = f"{sandbox.origin}/connector/"
    now = int(time.time())
    claims = {"iss": "https://api.botframework.com", "aud": sandbox.tenant.app.app_id, "serviceurl": service_url}
    token = sandbox.keys.bot_service_key.sign(claims | {"nbf": now - 300, "exp": now + 3600})
    return [_request(_activity(sandbox, kind, service_url, number), token) for number in range(CONNECTIONS)]


def _activity(sandbox: Sandbox, kind: str, service_url: str, number: int) -> dict[str, Any]:
    tenant_id = sandbox.tenant.tenant_id
    activity = {
        "id": f"17954987717{number:02}",
        "timestamp": "2026-11-24T03:12:00.000Z",
        "channelId": "msteams",
        "serviceUrl": service_url,
        "from": {"id": f"29:person-{number}", "name": "Alex Wilber", "aadObjectId": str(uuid.UUID(int=number + 1))},
        "recipient": {"id": f"28:{sandbox.tenant.app.app_id}", "name": "Unblock"},
        "conversation": {"id": f"a:chat-{number}", "tenantId": tenant_id, "conversationType": "personal"},
        "channelData": {"tenant": {"id": tenant_id}},
        "locale": "en-US",
    }
    if kind == "message":
        return activity | {"type": "message", "text": "unblock jane", "textFormat": "plain"}
    action = {"type": "Action.Execute", "verb": "approve", "data": {"verb": "approve", "claim": "Zk3vQ0cV8mXnB1tR"}}
    value = {"action": action, "trigger": "manual"}
    return activity | {"type": "invoke", "name": "adaptiveCard/action", "value": value, "replyToId": "1795498771700"}


def _request(activity: dict[str, Any], token: str) -> bytes:
    body = json.dumps(activity).encode()
    head = (
        "POST /api/messages HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json; charset=utf-8\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


# --- load ------------------------------------------------------------------------------------------------------------

_LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


async def _burst(port: int, requests: Sequence[bytes], seconds: float) -> float:
    """Answered turns per second. A client of a few lines, because a full one would be slower than what it measures."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    counts = await asyncio.gather(*(_keep_busy(port, request, started + seconds) for request in requests))
    return sum(counts) / (loop.time() - started)


async def _keep_busy(port: int, request: bytes, until: float) -> int:
    """How many answers came on one connection. Raises RuntimeError for an answer that is no success."""
    loop, answered = asyncio.get_running_loop(), 0
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while loop.time() < until:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(found.group(1)) if (found := _LENGTH.search(head)) else 0)
            if not head.startswith(b"HTTP/1.1 20"):
                raise RuntimeError(f"a turn was answered {head[:40]!r} {body[:200]!r}")
            answered += 1
    finally:
        writer.close()
        await writer.wait_closed()
    return answered
