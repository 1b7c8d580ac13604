"""
Reading the directory in batches: calls that are made at about the same time go out as one POST to `$batch`.

Only reads of the lane "directory", never a write: a read that is sent twice does no harm, so whatever goes wrong with a
batch ends in each of its calls being sent alone, by the rules of the sender. Other lanes have limits by the call, which
a batch does not spare. Source: "Combine multiple HTTP requests using JSON batching", 2025-02-21: twenty calls at most,
answers in any order, each throttled for itself.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
from multidict import CIMultiDict

from services.clients.clouds import graph_root
from services.clients.failures import is_licence_refusal
from services.clients.http import Request, Response, Send
from services.errors import ServiceError, Throttled, Unavailable

_log = structlog.get_logger(__name__)

MOST_IN_BATCH = 20
#: How long the first call waits for others to go with it, in seconds: less than anybody notices, and enough for the
#: calls of signals that begin together.
_GATHER_S = 0.005
#: How long a batch may take, in seconds: it is as slow as the slowest call in it, and the others need not be.
_PATIENCE_S = 3.0


class Sending(Protocol):
    """What batches are sent with; `services.clients.http.Sender` is the one in use."""

    async def send(self, request: Request) -> Response: ...

    async def send_after(self, request: Request, failure: ServiceError) -> Response: ...

    def refused(self, request: Request, status: int, headers: Mapping[str, str], body: bytes) -> ServiceError: ...


#: A good answer, what went wrong with a call, or None for one that must be sent alone.
_Outcome = Response | ServiceError | None


def batched(sender: Sending, graph_url: str) -> Send:
    """A `Send` that reads Graph's directory in batches and sends everything else as the sender does."""
    return Batches(sender, graph_url).send


@dataclass
class _Waiting:
    """A call that waits for its batch."""

    request: Request
    outcome: asyncio.Future[_Outcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def settle(self, outcome: _Outcome) -> None:
        """Tell the caller, unless it has gone away."""
        if not self.outcome.done():
            self.outcome.set_result(outcome)


class Batches:
    """Collects calls for a moment and sends them together."""

    def __init__(
        self, sender: Sending, graph_url: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._sender = sender
        self._root = f"{graph_root(graph_url)}/v1.0"
        self._sleep = sleep
        self._waiting: list[_Waiting] = []
        self._running: set[asyncio.Task[None]] = set()

    async def send(self, request: Request) -> Response:
        """The answer to a call, as the sender would have given it. Raises: what the sender raises."""
        if not self._may_join(request):
            return await self._sender.send(request)
        outcome = await self._joined(request).outcome
        if isinstance(outcome, Response):
            return outcome
        if outcome is None:
            return await self._sender.send(request)
        if isinstance(outcome, (Throttled, Unavailable)):
            return await self._sender.send_after(request, outcome)
        raise outcome

    def _may_join(self, request: Request) -> bool:
        """Further pages go alone: nobody else is at the same place, and they may be large."""
        return (
            request.method == "GET"
            and request.lane == "directory"
            and request.url.startswith(f"{self._root}/")
            and "$skiptoken" not in request.url.casefold().replace("%24", "$")
        )

    def _joined(self, request: Request) -> _Waiting:
        waiting = _Waiting(request)
        self._waiting.append(waiting)
        if len(self._waiting) == MOST_IN_BATCH:
            self._start(self._go(self._taken()))
        elif len(self._waiting) == 1:
            self._start(self._go_soon(waiting))
        return waiting

    def _start(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(self._running.discard)

    async def _go_soon(self, first: _Waiting) -> None:
        await asyncio.sleep(0)
        await self._sleep(_GATHER_S)
        if first in self._waiting:  # otherwise it was full before
            await self._go(self._taken())

    def _taken(self) -> list[_Waiting]:
        taken, self._waiting = self._waiting, []
        return taken

    async def _go(self, batch: list[_Waiting]) -> None:
        """Send a batch; every one in it is settled in the end, whatever happens."""
        outcomes: Sequence[_Outcome] = [None] * len(batch)
        try:
            wanted = [waiting.request for waiting in batch if not waiting.outcome.done()]
            if len(wanted) > 1:
                outcomes = await self._answers([waiting.request for waiting in batch])
        finally:
            for waiting, outcome in zip(batch, outcomes, strict=True):
                waiting.settle(outcome)

    async def _answers(self, requests: Sequence[Request]) -> Sequence[_Outcome]:
        """The outcome of each call, in their order."""
        try:
            response = await self._sender.send(build_batch(self._root, requests))
            parts = parse_batch(response)
        except ServiceError as failure:
            _log.warning("batch_broken", calls=len(requests), failure=type(failure).__name__)
            return [None] * len(requests)
        return [self._outcome(request, parts.get(str(number))) for number, request in enumerate(requests)]

    def _outcome(self, request: Request, answer: Answer | None) -> _Outcome:
        if answer is None or answer.status == 424:  # none of ours depends on another, so this means nothing
            return None
        _log.info("batched_call", service=request.service, path=request.action, status=answer.status)
        if 200 <= answer.status < 300:
            return Response(request, answer.status, answer.headers, answer.body)
        if answer.status == 401 and not is_licence_refusal(answer.body):
            return None  # the sender knows how to renew a token
        return self._sender.refused(request, answer.status, answer.headers, answer.body)


# --- build and parse -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """The answer to one call of a batch, as it would have come alone."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def build_batch(root: str, requests: Sequence[Request]) -> Request:
    """Reads as one call; `root` is the address with its version, which all of them begin with. Safe to repeat."""
    calls = [
        {"id": str(number), "method": "GET", "url": request.url.removeprefix(root), "headers": dict(request.headers)}
        for number, request in enumerate(requests)
    ]
    first = requests[0]
    return Request(
        service=first.service,
        method="POST",
        url=f"{root}/$batch",
        action="/$batch",
        scope=first.scope,
        lane=first.lane,
        body={"requests": calls},
        timeout_s=_PATIENCE_S,
        tries=1,  # each of them is sent alone when this one fails
    )


def parse_batch(response: Response) -> dict[str, Answer]:
    """
    The answers by the ids of their calls. Those that cannot be read, or whose id comes twice, are left out.

    Expects {"responses": [{"id": str, "status": int, "headers": {...}, "body": any}]}; anything else is no answer.
    """
    data = response.json()
    items = data.get("responses") if isinstance(data, Mapping) else None
    found = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    times = Counter(str(item.get("id")) for item in found)
    answers = {str(item.get("id")): _answer(item) for item in found if times[str(item.get("id"))] == 1}
    return {call_id: answer for call_id, answer in answers.items() if answer is not None}


def _answer(item: Mapping[str, Any]) -> Answer | None:
    status, headers = item.get("status"), item.get("headers")
    named = headers.items() if isinstance(headers, Mapping) else ()
    read = CIMultiDict((str(name), str(value)) for name, value in named)
    body = _body(item.get("body"), read.get("Content-Type", "application/json"))
    if not isinstance(status, int) or isinstance(status, bool) or body is None:
        return None
    return Answer(status, read, body)


def _body(body: Any, content_type: str) -> bytes | None:
    """The bytes of a body: JSON stands there as itself, anything else in base64. None when it cannot be read."""
    if body is None:
        return b""
    if "json" in content_type.casefold():
        return json.dumps(body).encode()
    try:
        return base64.b64decode(body, validate=True)
    except (binascii.Error, TypeError, ValueError):
        return None
