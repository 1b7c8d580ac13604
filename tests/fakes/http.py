"""A transport that answers what a test wrote down, and a time that only sleeping moves on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from multidict import CIMultiDict

from services.clients.http import Request, Response

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class FakeTime:
    """A clock, a monotonic clock and a sleep that agree with each other."""

    def __init__(self) -> None:
        self.elapsed_s = 0.0
        self.sleeps: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.elapsed_s)

    def monotonic(self) -> float:
        return self.elapsed_s

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.elapsed_s += seconds


@dataclass
class FakeTokens:
    """Tokens numbered as they are renewed."""

    number: int = 1
    forgotten: list[str] = field(default_factory=list)

    async def token(self, scope: str) -> str:
        return f"token-{self.number}"

    def forget(self, scope: str, token: str) -> None:
        self.forgotten.append(token)
        self.number += 1


@dataclass
class Answer:
    """One scripted answer."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def content(self) -> Answer:
        return self

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        yield (
            self.body if isinstance(self.body, bytes) else b"" if self.body is None else json.dumps(self.body).encode()
        )


@dataclass
class Sent:
    """One call as it went out."""

    method: str
    url: str
    headers: Mapping[str, str]
    json: Any


class FakeSession:
    """Stands where aiohttp's session stands; gives its answers in order, and raises those that are exceptions."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.sent: list[Sent] = []

    def request(self, method: str, url: Any, *, json: Any, headers: Any, **_: Any) -> _Exchange:
        self.sent.append(Sent(method, str(url), dict(headers), json))
        return _Exchange(self._answers.pop(0) if self._answers else Answer(body={}))


class _Exchange:
    def __init__(self, answer: Answer | Exception) -> None:
        self._answer = answer

    async def __aenter__(self) -> Answer:
        if isinstance(self._answer, Exception):
            raise self._answer
        self._answer.headers = CIMultiDict(self._answer.headers)
        return self._answer

    async def __aexit__(self, *_: object) -> None:
        return None


class Script:
    """A `Send` that gives bodies in order, for the clients; errors among them are raised."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        self.requests.append(request)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answered(answer, request)


def answered(body: Any, request: Request | None = None) -> Response:
    """A good answer with this body."""
    request = request or Request("graph", "GET", "https://graph.microsoft.com/v1.0/x", "/x", "scope")
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return Response(request, 200, CIMultiDict(), raw)
