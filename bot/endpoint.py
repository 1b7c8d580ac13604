"""
The front door: POST /api/messages.

An activity passes in this order: size, content type, JSON, shape, channel, service URL, token, tenant. Up to the token
nothing is believed and nothing is done. Then the turn runs, and the answer goes out in time even when the turn does not
end in time: Teams gives a bot about 10 to 15 seconds and sends an unanswered click again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, Protocol

import structlog
from aiohttp import web

from bot.activities import Incoming, incoming, tenant_ids
from bot.adapter import InvokeOutcome
from bot.connector import ServiceHosts
from bot.identity import BotTokenValidator, Claims, KeysUnavailable, Unauthenticated

log = structlog.get_logger()

MAX_BODY_BYTES = 256 * 1024
READ_TIMEOUT_S = 5.0
CHANNEL = "msteams"


class Refused(Exception):
    """The activity does not get in. `code` goes to the caller, `reason` to the log alone."""

    def __init__(self, status: int, code: str, reason: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.reason = reason


class Adapter(Protocol):
    """Runs a turn."""

    async def process(self, activity: Mapping[str, Any], claims: Claims) -> InvokeOutcome | None: ...


class MessagesEndpoint:
    """
    The aiohttp handler of POST /api/messages.

    `fallback` gives the body for a card action that is still at work after `deadline_s` seconds; the work goes on.
    Every failure is answered with {"error": "<code>"} and nothing else.
    """

    def __init__(
        self,
        *,
        adapter: Adapter,
        validator: BotTokenValidator,
        tenant_id: str,
        service_hosts: ServiceHosts,
        fallback: Callable[[Incoming], dict[str, Any]],
        deadline_s: float = 8.0,
    ) -> None:
        self._adapter = adapter
        self._validator = validator
        self._tenant_id = tenant_id.lower()
        self._service_hosts = service_hosts
        self._fallback = fallback
        self._deadline_s = deadline_s
        self._turns: set[asyncio.Task[InvokeOutcome | None]] = set()

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request: 200 with a body for an invoke, 200 or 202 without one for the rest, else the refusal."""
        answer_by = asyncio.get_running_loop().time() + self._deadline_s
        try:
            activity = parse_activity(await read_body(request))
            claims = await self._admitted(activity, request.headers.get("Authorization"))
        except Refused as refused:
            log.warning("activity_refused", code=refused.code, status=refused.status, reason=refused.reason)
            return _error(refused.status, refused.code)
        return await self._answer(activity, claims, answer_by)

    async def close(self, patience_s: float = 10.0) -> None:
        """Let turns that outlived their answer end, for `patience_s` seconds; then cancel them."""
        if not self._turns:
            return
        _, late = await asyncio.wait(set(self._turns), timeout=patience_s)
        for turn in late:
            turn.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _admitted(self, activity: Mapping[str, Any], authorization: str | None) -> Claims:
        """The claims of an activity that may come in. Raises Refused."""
        service_url = self._checked_origin(activity)
        try:
            claims = await self._validator.validate(authorization, channel_id=CHANNEL, service_url=service_url)
        except Unauthenticated as problem:
            raise Refused(401, "unauthenticated", problem.reason) from problem
        except KeysUnavailable as problem:
            raise Refused(503, "keys_unavailable") from problem
        self._check_tenant(activity)
        return claims

    def _checked_origin(self, activity: Mapping[str, Any]) -> str:
        """The service URL of an activity that says it comes from Teams, by a host that we know."""
        if activity["channelId"] != CHANNEL:
            raise Refused(403, "wrong_channel", activity["channelId"][:40])
        if not self._service_hosts.allows(activity["serviceUrl"]):
            raise Refused(403, "service_url_not_allowed", activity["serviceUrl"][:200])
        return activity["serviceUrl"]

    def _check_tenant(self, activity: Mapping[str, Any]) -> None:
        """The token says nothing about tenants, so the activity must name one, and every one it names must be ours."""
        named = tenant_ids(activity)
        if not named or any(tenant_id != self._tenant_id for tenant_id in named):
            raise Refused(403, "wrong_tenant", ", ".join(named)[:200])

    async def _answer(self, activity: Mapping[str, Any], claims: Claims, answer_by: float) -> web.Response:
        turn = asyncio.create_task(self._adapter.process(activity, claims))
        self._turns.add(turn)
        turn.add_done_callback(self._turn_ended)
        remaining_s = max(answer_by - asyncio.get_running_loop().time(), 0.0)
        ended, _ = await asyncio.wait({turn}, timeout=remaining_s)
        if not ended:
            return self._meanwhile(activity)
        if turn.cancelled() or turn.exception():
            return _error(500, "internal")
        outcome = turn.result()
        return web.json_response(outcome.body, status=outcome.status) if outcome else web.Response(status=200)

    def _meanwhile(self, activity: Mapping[str, Any]) -> web.Response:
        """The answer while the turn is still at work."""
        log.warning("turn_outlived_its_answer", type=activity["type"])
        if activity["type"] != "invoke":
            return web.Response(status=202)
        return web.json_response(self._fallback(incoming(activity)))

    def _turn_ended(self, turn: asyncio.Task[InvokeOutcome | None]) -> None:
        """Every fault of a turn is written down here, whether somebody still waits for its answer or not."""
        self._turns.discard(turn)
        if not turn.cancelled() and (fault := turn.exception()):
            log.error("turn_failed", exc_info=fault)


async def read_body(
    request: web.Request, *, most_bytes: int = MAX_BODY_BYTES, within_s: float = READ_TIMEOUT_S
) -> bytes:
    """The body of a JSON request of at most 256 KB, or so many bytes. Raises Refused (413, 415, 408)."""
    if (request.content_length or 0) > most_bytes:
        raise Refused(413, "too_large")
    if request.content_type != "application/json":
        raise Refused(415, "not_json", request.content_type[:80])
    body = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most_bytes:
                    raise Refused(413, "too_large")
    except TimeoutError as problem:
        raise Refused(408, "too_slow") from problem
    return bytes(body)


def parse_activity(body: bytes) -> dict[str, Any]:
    """The JSON object with the strings `type`, `channelId` and `serviceUrl`. Raises Refused (400)."""
    try:
        activity = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as problem:
        raise Refused(400, "not_json", type(problem).__name__) from problem
    if not isinstance(activity, dict):
        raise Refused(400, "not_an_object")
    for name in ("type", "channelId", "serviceUrl"):
        if not isinstance(activity.get(name), str) or not activity[name]:
            raise Refused(400, "bad_activity", f"{name} is missing")
    return activity


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are Python's, not JSON's, and PostgreSQL refuses them."""
    raise ValueError(name)


def _error(status: int, code: str) -> web.Response:
    return web.json_response({"error": code}, status=status)
