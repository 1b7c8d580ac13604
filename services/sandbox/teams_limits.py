"""How Teams refuses: its error bodies, its rate limits, and refusals ordered by a test."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

#: Windows as (requests, seconds), per bot and thread ("Optimize your bot with rate limiting in Teams", 2026-10-08).
SEND_WINDOWS = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))
READ_WINDOWS = ((14, 1.0), (16, 2.0), (120, 30.0), (3600, 3600.0))
#: The whole app in one tenant (same page).
APP_WINDOWS = ((50, 1.0),)
#: About 100 KB, counted in UTF-16 (same documentation, "Agent message size limit").
MAX_MESSAGE_BYTES = 100 * 1024

#: Error code -> HTTP status ("Send and receive messages in Teams", table of status codes).
STATUS_OF_CODE = {
    "BadArgument": 400,
    "BadSyntax": 400,
    "BotNotRegistered": 401,
    "BotDisabledByAdmin": 403,
    "BotNotInConversationRoster": 403,
    "ConversationBlockedByUser": 403,
    "MessageWritesBlocked": 403,
    "InvalidBotApiHost": 403,
    "NotEnoughPermissions": 403,
    "ConversationNotFound": 404,
    "ActivityNotFoundInConversation": 404,
    "MemberNotFoundInConversation": 404,
    "PreconditionFailed": 412,
    "MessageSizeTooBig": 413,
    "Throttled": 429,
    "ServiceError": 500,
    "BadGateway": 502,
    "ServiceUnavailable": 503,
    "GatewayTimeout": 504,
}


class Refusal(Exception):
    """The connector's answer is no; becomes the HTTP answer with Teams' error body."""

    def __init__(self, code: str, message: str = "", *, status: int = 0, retry_after_s: int | None = None) -> None:
        super().__init__(code, message)
        self.code, self.message = code, message or code
        self.status = status or STATUS_OF_CODE[code]
        self.retry_after_s = retry_after_s

    def response(self) -> web.Response:
        """The refusal as HTTP: `{"error": {"code", "message"}}`, with `Retry-After` in whole seconds if known."""
        headers = {} if self.retry_after_s is None else {"Retry-After": str(self.retry_after_s)}
        body = {"error": {"code": self.code, "message": self.message}}
        return web.json_response(body, status=self.status, headers=headers)


class SlidingWindows:
    """Counts what happened lately per key and says how long to wait once a window is full."""

    def __init__(self, windows: tuple[tuple[int, float], ...], clock: Callable[[], float]) -> None:
        self._windows, self._clock = windows, clock
        self._longest_s = max(seconds for _, seconds in windows)
        self._seen: dict[str, deque[float]] = {}

    def take(self, key: str) -> float:
        """Count one request and return 0, or count nothing and return the seconds until there is room."""
        now = self._clock()
        seen = self._seen.setdefault(key, deque())
        while seen and now - seen[0] >= self._longest_s:
            seen.popleft()
        wait_s = max(self._wait_s(seen, now, limit, seconds) for limit, seconds in self._windows)
        if wait_s <= 0:
            seen.append(now)
        return wait_s

    @staticmethod
    def _wait_s(seen: deque[float], now: float, limit: int, seconds: float) -> float:
        return 0.0 if len(seen) < limit else max(0.0, seen[-limit] + seconds - now)


class RateLimits:
    """Teams' limits for one bot. `enabled` turns them off for a test that is in a hurry."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.enabled = True
        self._app = SlidingWindows(APP_WINDOWS, clock)
        self._send = SlidingWindows(SEND_WINDOWS, clock)
        self._create = SlidingWindows(SEND_WINDOWS, clock)
        self._read = SlidingWindows(READ_WINDOWS, clock)

    def check(self, operation: str, conversation_id: str) -> None:
        """Count one request. Raises: Refusal (429 with Retry-After)."""
        if not self.enabled:
            return
        per_thread = {"create": self._create, "read": self._read}.get(operation, self._send)
        wait_s = max(self._app.take("app"), per_thread.take(conversation_id))
        if wait_s > 0:
            raise Refusal("Throttled", "API calls quota exceeded", retry_after_s=max(1, math.ceil(wait_s)))


@dataclass
class Fault:
    """
    One ordered refusal.

    `operation` is create, post, put, delete or read; empty means any. With `lost_answer` the request is carried out and
    only then refused, which is what makes a POST's outcome unknown to the bot. `delay_s` holds the answer back. So many
    fitting requests as `skip` says go through before it strikes.
    """

    code: str
    status: int
    operation: str = ""
    conversation_id: str = ""
    times: int = 1
    retry_after_s: int | None = None
    lost_answer: bool = False
    delay_s: float = 0.0
    skip: int = 0

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> "Fault":
        """Read the fields of the same name from JSON; `status` or `code` is needed, `conversation` is an id."""
        status = int(body.get("status") or STATUS_OF_CODE[body["code"]])
        names = [name for name, number in STATUS_OF_CODE.items() if number == status]
        code = body.get("code") or (names or ["Fault"])[0]
        return cls(
            code=code,
            status=status,
            operation=body.get("operation", ""),
            conversation_id=body.get("conversation", ""),
            times=int(body.get("times", 1)),
            retry_after_s=body.get("retry_after_s"),
            lost_answer=bool(body.get("lost_answer", False)),
            delay_s=float(body.get("delay_s", 0)),
            skip=int(body.get("skip", 0)),
        )

    def fits(self, operation: str, conversation_id: str) -> bool:
        """Whether this fault is meant for the request at hand."""
        return self.operation in {"", operation} and conversation_id.startswith(self.conversation_id)

    def lets_through(self) -> bool:
        """Whether this is one of the requests that go through first; counts it."""
        self.skip -= 1
        return self.skip >= 0

    def refusal(self) -> Refusal:
        """The refusal to answer with."""
        return Refusal(self.code, "Ordered by the sandbox", status=self.status, retry_after_s=self.retry_after_s)


class Faults:
    """The faults still to be played, first in first out."""

    def __init__(self) -> None:
        self._waiting: list[Fault] = []

    def order(self, fault: Fault) -> None:
        """Add one."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    async def take(self, operation: str, conversation_id: str) -> Fault | None:
        """The fault for this request, after its delay; each is used up `times` times."""
        for fault in self._waiting:
            if fault.fits(operation, conversation_id) and not fault.lets_through():
                self._use_up(fault)
                await asyncio.sleep(fault.delay_s)
                return fault
        return None

    def _use_up(self, fault: Fault) -> None:
        fault.times -= 1
        if fault.times <= 0:
            self._waiting.remove(fault)
