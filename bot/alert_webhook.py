"""
POST /api/alerts: other systems hand over the alerts of Microsoft Defender.

A request passes in this order: open at all, size, content type, sender, JSON, shape. What is left is stored and merged
with everything else that is known, and answered within three seconds whatever happens, as Microsoft's own senders
expect it: 202 with counts once it is stored, 503 when that takes longer (the work goes on, and sending it again does no
harm, since the same alert changes nothing). Source: "Receive change notifications through webhooks", 2025.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

import structlog
from aiohttp import web

from bot.endpoint import Refused, read_body
from services.alerts.model import Report
from services.alerts.webhook import BadAlerts, Delivery, Door, NotAdmitted, Reports, read_delivery
from services.errors import ServiceError

log = structlog.get_logger()

PATH = "/api/alerts"
MAX_BODY_BYTES = 1_000_000
READ_WITHIN_S = 1.5
ANSWER_WITHIN_S = 2.7
#: When a sender that was told to come back should.
RETRY_AFTER_S = 10
#: So many reports are merged at a time, so that everybody else gets a turn in between.
PORTION = 250


class AlertWebhook:
    """
    The aiohttp handler. `take` stores and merges reports, and returns when that is done.

    Refusals are answered with {"error": "<code>"}; one about the content says `field` and `problem` as well.
    """

    def __init__(
        self,
        *,
        door: Door,
        tenant_id: str,
        reports_of: Reports,
        take: Callable[[Sequence[Report]], Awaitable[object]],
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._door = door
        self._tenant_id = tenant_id
        self._reports_of = reports_of
        self._take = take
        self._answer_within_s = answer_within_s
        self._under_way: set[asyncio.Task[web.Response]] = set()

    def add_routes(self, application: web.Application) -> None:
        """Without any sender in the settings there is no such route, as for every unknown path."""
        if self._door.settings.is_on:
            application.router.add_post(PATH, self.handle)

    async def close(self, patience_s: float = 10.0) -> None:
        """Let what outlived its answer end, for `patience_s` seconds; then cancel it."""
        if not self._under_way:
            return
        _, late = await asyncio.wait(set(self._under_way), timeout=patience_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def handle(self, request: web.Request) -> web.Response:
        answer_by = asyncio.get_running_loop().time() + self._answer_within_s
        try:
            body = await read_body(request, most_bytes=MAX_BODY_BYTES, within_s=READ_WITHIN_S)
        except Refused as refused:
            return _refusal(refused.status, refused.code, refused.reason)
        task = self._begun(self._answered(request, body))
        await asyncio.wait({task}, timeout=max(answer_by - asyncio.get_running_loop().time(), 0.0))
        if not task.done():
            return _come_back("busy")
        if task.cancelled() or task.exception():
            return _refusal(500, "internal")
        return task.result()

    async def _answered(self, request: web.Request, body: bytes) -> web.Response:
        try:
            sender = await self._door.admit(request.headers, body)
        except NotAdmitted as problem:
            return _refusal(401, "unauthenticated", problem.reason)
        except ServiceError as problem:
            log.warning("alerts_unchecked", error=str(problem))
            return _come_back("keys_unavailable")
        try:
            now = self._door.clock.now()
            delivery = read_delivery(body, tenant_id=self._tenant_id, now=now, reports_of=self._reports_of)
        except BadAlerts as problem:
            return _bad(problem)
        for first in range(0, len(delivery.reports), PORTION):
            await self._take(delivery.reports[first : first + PORTION])
        log.info("alerts_received", sender=sender, received=delivery.received, accepted=delivery.accepted)
        return _told(delivery)

    def _begun(self, work: Coroutine[Any, Any, web.Response]) -> asyncio.Task[web.Response]:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[web.Response]) -> None:
        """Every fault is written down here, whether somebody still waits for the answer or not."""
        self._under_way.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            log.error("alerts_failed", exc_info=fault)


def _told(delivery: Delivery) -> web.Response:
    """202 with counts; 400 when an alert could not be read: it names the first, and the others count all the same."""
    counts = {
        "received": delivery.received,
        "accepted": delivery.accepted,
        "ignored": sum(delivery.ignored.values()),
        "ignored_because": {reason.value: number for reason, number in delivery.ignored.items()},
    }
    return _bad(delivery.problems[0], **counts) if delivery.problems else web.json_response(counts, status=202)


def _bad(problem: BadAlerts, **counts: Any) -> web.Response:
    body = {"error": "bad_alert", "field": problem.field, "problem": problem.problem, **counts}
    log.warning("alerts_refused", code="bad_alert", status=400, field=problem.field)
    return web.json_response(body, status=400)


def _come_back(code: str) -> web.Response:
    log.warning("alerts_refused", code=code, status=503)
    return web.json_response({"error": code}, status=503, headers={"Retry-After": str(RETRY_AFTER_S)})


def _refusal(status: int, code: str, reason: str = "") -> web.Response:
    log.warning("alerts_refused", code=code, status=status, reason=reason)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.json_response({"error": code}, status=status, headers=headers)
