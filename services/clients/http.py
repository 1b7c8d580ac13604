"""
One sender for every call to Graph and Exchange: token, time limit, repeats, Retry-After, lanes, log and metrics.

A call is a `Request` (built purely), sent here, and comes back as a `Response` (parsed purely) or as one of the
ServiceErrors of services/errors.py. So the clients hold no network and the network knows no client.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import aiohttp
import structlog
from prometheus_client import Counter, Histogram
from yarl import URL

from services.clients.failures import Refusal, failure_of, is_licence_refusal
from services.clients.lanes import LANES, Lane, LaneLimits
from services.errors import BrokenAnswer, Rejected, ServiceError, Throttled, Unavailable
from services.ports import Clock

_log = structlog.get_logger(__name__)
_CALLS = Counter("unblock_service_calls", "Tries of calls to Microsoft's services.", ["service", "status"])
_SECONDS = Histogram("unblock_service_call_seconds", "Length of a call, waits and repeats included.", ["service"])


@dataclass(frozen=True)
class Request:
    """One call, complete but for its token."""

    #: "graph", "exchange", "pagerduty" or "opsgenie"; names the service in errors, logs and metrics.
    service: str
    method: str
    #: Absolute and encoded: it goes out exactly as it is here.
    url: str = field(repr=False)
    #: The path with its names in braces, or the cmdlet: what logs and errors call this.
    action: str
    #: What the token is asked for.
    scope: str
    #: Which limits it falls under; a key of the sender's lanes.
    lane: str = "directory"
    #: The least permission that the call needs, told when it is missing.
    permission: str = ""
    #: Whether doing it twice leaves what doing it once leaves: reading does, and so does writing a fixed state (PATCH
    #: of a value, DELETE, revoking sessions). What counts or spends something must say False: it is never sent again
    #: after a lost answer, only when it certainly was not accepted (429, no connection).
    safe_to_repeat: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Sent as JSON. May hold a password, so it is never shown.
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    #: Seconds for one try; None for the sender's own.
    timeout_s: float | None = None
    #: How often it is sent at most; None for as often as the sender sends.
    tries: int | None = None
    #: What stands before the token in the header `Authorization`; Microsoft's services all have this.
    token_prefix: str = "Bearer "


@dataclass(frozen=True)
class Response:
    """A good answer (2xx). Header names are in any case."""

    request: Request
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """The body as JSON, None when it is empty. Raises: BrokenAnswer."""
        if not self.body.strip():
            return None
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as exc:
            raise BrokenAnswer(self.request.service, action=self.request.action, what="json") from exc


Send = Callable[[Request], Awaitable[Response]]


class TokenSource(Protocol):
    """What the sender asks for tokens; `services.clients.tokens.Tokens` is the one in use."""

    async def token(self, scope: str) -> str: ...

    def forget(self, scope: str, token: str) -> None: ...


@dataclass(frozen=True)
class Limits:
    """How patient the sender is. All times in seconds."""

    #: One try, from connecting to the last byte.
    timeout_s: float = 10.0
    #: All waits between the tries of one call together; a longer wished wait ends it with Throttled.
    max_wait_s: float = 20.0
    #: Waiting for a turn in a lane.
    max_queue_s: float = 60.0
    max_tries: int = 4
    #: First wait when the service names none; doubled each time and varied by half.
    first_backoff_s: float = 0.8
    max_body_bytes: int = 20_000_000
    lanes: Mapping[str, LaneLimits] = field(default_factory=lambda: LANES)


@dataclass
class _Call:
    """What is remembered between the tries of one call."""

    request: Request
    started: float
    call_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tries: int = 0
    waited_s: float = 0.0
    token_renewed: bool = False


class Sender:
    """Sends calls. One for the process: the lanes that keep us within Microsoft's limits live in it."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        tokens: TokenSource,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        limits: Limits | None = None,
    ) -> None:
        self._session = session
        self._tokens = tokens
        self._clock = clock
        self._sleep = sleep
        self._monotonic = monotonic
        self._jitter = jitter
        self._limits = limits or Limits()
        self._lanes = {name: Lane(lane) for name, lane in self._limits.lanes.items()}

    async def send(self, request: Request) -> Response:
        """
        The answer to a call, when it is a good one.

        Repeats what may be repeated (see `Request.safe_to_repeat`), waits as long as the service asks within
        `Limits.max_wait_s`, renews a refused token once.
        Raises: LicenceMissing, PermissionMissing, NotFound, Rejected, Throttled, Unavailable, BrokenAnswer; for a
        missing token the same with service "entra".
        """
        return await self._settled(_Call(request, self._monotonic()), None)

    async def send_after(self, request: Request, failure: ServiceError) -> Response:
        """The answer to a call that failed inside a batch: sent alone, as the next try after that failure."""
        return await self._settled(_Call(request, self._monotonic(), tries=1), failure)

    def refused(self, request: Request, status: int, headers: Mapping[str, str], body: bytes) -> ServiceError:
        """What an answer that is not a good one means for this call."""
        if status < 400:
            detail = "An answer that leads elsewhere."
            return Rejected(request.service, code=str(status), detail=detail, status=status)
        refusal = Refusal(request.service, request.action, status, headers, body, request.permission)
        return failure_of(refusal, self._clock.now())

    async def _settled(self, call: _Call, failure: ServiceError | None) -> Response:
        try:
            async with self._lanes[call.request.lane].place():
                if failure is not None:
                    await self._wait_or_give_up(call, failure)
                response = await self._send_until_settled(call)
        except ServiceError as exc:
            self._told(call, str(exc.params.get("status", "none")), type(exc).__name__)
            raise
        self._told(call, str(response.status), None)
        return response

    async def _send_until_settled(self, call: _Call) -> Response:
        while True:
            await self._wait_for_turn(call)
            call.tries += 1
            try:
                response = await self._try_once(call)
            except ServiceError as exc:
                _CALLS.labels(call.request.service, _status_class(exc.params.get("status"))).inc()
                await self._wait_or_give_up(call, exc)
                continue
            if response is not None:
                _CALLS.labels(call.request.service, _status_class(response.status)).inc()
                return response

    async def _wait_for_turn(self, call: _Call) -> None:
        turns, now = self._lanes[call.request.lane].turns, self._monotonic()
        wait_s = turns.next_start(now) - now
        if wait_s > self._limits.max_queue_s:
            raise Throttled(call.request.service, wait_s, action=call.request.action)
        turns.take(now)
        if wait_s > 0:
            await self._sleep(wait_s)

    async def _try_once(self, call: _Call) -> Response | None:
        """The answer, or None when the token was refused and a fresh one is to be tried."""
        request = call.request
        token = await self._tokens.token(request.scope)
        status, headers, body = await self._exchange(call, token)
        if 200 <= status < 300:
            return Response(request, status, headers, body)
        if status == 401 and not call.token_renewed and not is_licence_refusal(body):
            call.token_renewed = True
            self._tokens.forget(request.scope, token)
            return None
        raise self.refused(request, status, headers, body)

    async def _exchange(self, call: _Call, token: str) -> tuple[int, Mapping[str, str], bytes]:
        """Bytes out, bytes in. The only place where aiohttp's exceptions become ours."""
        request = call.request
        told: dict[str, Any] = {"action": request.action}
        try:
            async with self._session.request(
                request.method,
                URL(request.url, encoded=True),
                json=request.body,
                headers=self._headers(call, token),
                timeout=aiohttp.ClientTimeout(total=request.timeout_s or self._limits.timeout_s),
                allow_redirects=False,  # a token goes nowhere but to the address that was configured
            ) as answer:
                return answer.status, answer.headers, await self._body(request, answer)
        except aiohttp.ClientConnectorError as exc:
            reason = "certificate" if isinstance(exc, aiohttp.ClientSSLError) else "no_connection"
            raise Unavailable(request.service, reason=reason, reached=False, **told) from exc
        except TimeoutError as exc:
            raise Unavailable(request.service, reason="timeout", **told) from exc
        except aiohttp.ClientPayloadError as exc:
            raise Unavailable(request.service, reason="broken_off", **told) from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise Unavailable(request.service, reason=type(exc).__name__, **told) from exc

    async def _body(self, request: Request, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_chunked(65536):
            body += chunk
            if len(body) > self._limits.max_body_bytes:
                raise BrokenAnswer(request.service, action=request.action, what="too_long")
        return bytes(body)

    def _headers(self, call: _Call, token: str) -> dict[str, str]:
        request = call.request
        ours = {"client-request-id": call.call_id, "Authorization": f"{request.token_prefix}{token}"}
        return {"Accept": "application/json", **request.headers, **ours}

    async def _wait_or_give_up(self, call: _Call, exc: ServiceError) -> None:
        """Wait before the next try, or raise what went wrong."""
        wished_s = exc.params.get("retry_after_s")
        if isinstance(exc, Throttled) and wished_s:
            # Held for everybody in the lane, but no single odd answer may stop it for long.
            held_s = min(float(str(wished_s)), self._limits.max_queue_s)
            self._lanes[call.request.lane].turns.hold(self._monotonic() + held_s)
        most = call.request.tries or self._limits.max_tries
        if not _may_be_repeated(call.request, exc) or call.tries >= most:
            raise exc
        wait_s = self._backoff_s(call.tries) if wished_s is None else float(str(wished_s))
        if call.waited_s + wait_s > self._limits.max_wait_s:
            raise exc
        call.waited_s += wait_s
        await self._sleep(wait_s)

    def _backoff_s(self, tries: int) -> float:
        """0.4 to 1.2 s after the first try, 0.8 to 2.4 s after the second, and so on."""
        return self._limits.first_backoff_s * 2 ** (tries - 1) * (0.5 + self._jitter())

    def _told(self, call: _Call, status: str, failure: str | None) -> None:
        seconds = self._monotonic() - call.started
        _SECONDS.labels(call.request.service).observe(seconds)
        write = _log.info if failure is None else _log.warning
        write(
            "http_call",
            service=call.request.service,
            method=call.request.method,
            path=call.request.action,
            status=status,
            ms=round(seconds * 1000),
            tries=call.tries,
            call_id=call.call_id,
            **({} if failure is None else {"failure": failure}),
        )


def _may_be_repeated(request: Request, exc: ServiceError) -> bool:
    """A throttled call was not accepted and one without a connection never arrived; others must be safe to repeat."""
    if isinstance(exc, Throttled):
        return True
    if not isinstance(exc, Unavailable):
        return False
    return request.safe_to_repeat or exc.params.get("reached") is False


def _status_class(status: object) -> str:
    return f"{status // 100}xx" if isinstance(status, int) else "none"
