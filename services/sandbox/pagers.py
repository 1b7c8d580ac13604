"""
A small PagerDuty and Opsgenie on the plain HTTP origin, under `/_pagerduty` and `/_opsgenie`.

They answer as the two services do: a key that is checked, pages, people who were deleted, schedules on several levels
and with gaps. Whom they put on call stands in `on_call.py`. Faults can be ordered for the services `pagerduty` and
`opsgenie`.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from services.sandbox.journal import Entry
from services.sandbox.misbehave import Fault, FaultKind
from services.sandbox.on_call import OpsgenieSchedule, Stretch
from services.sandbox.state import Tenant

Json = dict[str, Any]

PAGERDUTY_KEY, OPSGENIE_KEY = "sandbox-pagerduty-key", "sandbox-opsgenie-key"


class Refused(Exception):
    """The service says no."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(str(body))
        self.status, self.body = status, body


class Pagers:
    """PagerDuty and Opsgenie for one tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self._tenant = tenant

    def add_routes(self, app: web.Application) -> None:
        """Serve both; their base addresses are `/_pagerduty` and `/_opsgenie`."""
        app.router.add_get("/_pagerduty/oncalls", self.pagerduty)
        app.router.add_get("/_opsgenie/v2/schedules/{schedule}/on-calls", self.opsgenie)

    async def pagerduty(self, request: web.Request) -> web.StreamResponse:
        """Source: "List all of the on-calls", PagerDuty REST API v2."""
        return await self._answer("pagerduty", request, self._on_calls)

    async def opsgenie(self, request: web.Request) -> web.StreamResponse:
        """Source: "Who is On Call API", Opsgenie's documentation."""
        return await self._answer("opsgenie", request, self._recipients)

    async def _answer(
        self, service: str, request: web.Request, operate: Callable[[web.Request], Json]
    ) -> web.StreamResponse:
        fault = self._tenant.faults.take(service, request.method, request.path_qs)
        status, body = 200, {}
        try:
            await _strike(fault)
            body = operate(request)
        except Refused as refusal:
            status, body = refusal.status, refusal.body
        kind = fault.kind.value if fault else ""
        at = self._tenant.clock.now()
        self._tenant.journal.add(Entry(at, service, request.method, request.path_qs, status, fault=kind))
        if kind == FaultKind.DROP_CONNECTION and request.transport is not None:
            request.transport.abort()
        text = json.dumps(body)
        text = text[: len(text) // 2] if kind == FaultKind.BROKEN_JSON else text
        headers = {"Retry-After": str(fault.retry_after_s)} if fault and status == 429 else {}
        return web.Response(status=status, text=text, content_type="application/json", headers=headers)

    def _on_calls(self, request: web.Request) -> Json:
        if request.headers.get("Authorization") != f"Token token={PAGERDUTY_KEY}":
            raise Refused(401, {"error": {"message": "Authentication failed", "code": 2006}})
        query, plans = request.query, self._tenant.on_call
        now = self._tenant.clock.now()
        since, until = _moment(query.get("since"), now), _moment(query.get("until"), now)
        if until < since:
            raise Refused(400, {"error": {"message": "Invalid Input Provided", "code": 2001}})
        wanted = [
            stretch
            for stretch in plans.pagerduty
            if stretch.schedule in query.getall("schedule_ids[]", [stretch.schedule])
            and (stretch.starts_at is None or stretch.starts_at <= until)
            and (stretch.ends_at is None or stretch.ends_at > since)
        ]
        offset, limit = int(query.get("offset", "0")), min(int(query.get("limit", "25")), plans.pagerduty_page)
        with_users = "users" in query.getall("include[]", [])
        shown = [_stretch_json(stretch, with_users) for stretch in wanted[offset : offset + limit]]
        return {"oncalls": shown, "limit": limit, "offset": offset, "more": len(wanted) > offset + limit, "total": None}

    def _recipients(self, request: web.Request) -> Json:
        if request.headers.get("Authorization") != f"GenieKey {OPSGENIE_KEY}":
            raise Refused(401, {"message": "Could not authenticate", "took": 0.0, "requestId": "r-1"})
        wanted, by = request.match_info["schedule"], request.query.get("scheduleIdentifierType", "id")
        for schedule in self._tenant.on_call.opsgenie:
            if wanted == (schedule.name if by == "name" else _opsgenie_id(schedule)):
                return _opsgenie_json(schedule, flat=request.query.get("flat") == "true")
        raise Refused(404, {"message": f"No schedule exists with {by}: [{wanted}]", "took": 0.0, "requestId": "r-2"})


async def _strike(fault: Fault | None) -> None:
    """Raises Refused, or takes its time; what is done to the answer itself is done later."""
    if fault is None or fault.kind in (FaultKind.BROKEN_JSON, FaultKind.DROP_CONNECTION):
        return
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(fault.seconds)
        return
    statuses = {FaultKind.UNAVAILABLE: 503, FaultKind.FORBIDDEN: 403, FaultKind.LICENCE: 402}
    raise Refused(statuses.get(fault.kind, 429), {"message": fault.kind.value})


def _moment(text: str | None, now: datetime) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC) if text else now


def _stretch_json(stretch: Stretch, with_users: bool) -> Json:
    user: Json = {"id": f"P{stretch.name.replace(' ', '').upper()}", "type": "user_reference", "summary": stretch.name}
    if with_users and not stretch.deleted:
        user |= {"type": "user", "name": stretch.name, "email": stretch.email, "role": "limited_user"}
    return {
        "escalation_policy": {"id": f"PPOL{stretch.level}", "type": "escalation_policy_reference", "summary": "Mail"},
        "escalation_level": stretch.level,
        "schedule": {"id": stretch.schedule, "type": "schedule_reference", "summary": "Mail"},
        "user": user,
        "start": _shown(stretch.starts_at),
        "end": _shown(stretch.ends_at),
    }


def _opsgenie_json(schedule: OpsgenieSchedule, *, flat: bool) -> Json:
    if schedule.forbidden:
        raise Refused(403, {"message": "You are not authorized for this schedule.", "code": 40301})
    parent = {"id": _opsgenie_id(schedule), "name": schedule.name, "enabled": schedule.enabled}
    people: Json = {"onCallRecipients": list(schedule.recipients)}
    if not flat:
        people = {"onCallParticipants": [{"name": name, "type": "user"} for name in schedule.recipients]}
    return {"data": {"_parent": parent, **people}, "took": 0.02, "requestId": "r-3"}


def _opsgenie_id(schedule: OpsgenieSchedule) -> str:
    return f"id-{schedule.name.lower().replace(' ', '-')}"


def _shown(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
