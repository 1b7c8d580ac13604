"""Graph's view of Teams Shifts: the shifts and the times off of a team."""

import re

from services.sandbox.graph.core import (
    DIRECTORY,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    filtered,
)
from services.sandbox.on_call import PlannedTime
from services.sandbox.state import graph_time, stable_uuid

routes = Routes(DIRECTORY)
READ_SCHEDULES = ("Schedule.Read.All", "Schedule.ReadWrite.All")


@routes.add("GET", "teams/{team}/schedule/shifts", READ_SCHEDULES)
def shifts(call: Call) -> Answer:
    """Source: "List shifts"; drafts come too, without the part that was published."""
    return _listed(call, call.tenant.on_call.shifts, "Shift", {"displayName": "Mail", "notes": None, "activities": []})


@routes.add("GET", "teams/{team}/schedule/timesOff", READ_SCHEDULES)
def times_off(call: Call) -> Answer:
    """Source: "List timesOff"."""
    reason = {"timeOffReasonId": f"TOR_{stable_uuid('time off')}"}
    return _listed(call, call.tenant.on_call.times_off, "TimeOff", reason)


def _listed(call: Call, plans: list[PlannedTime], kind: str, more: Json) -> Answer:
    team = call.names["team"].lower()
    if team not in call.tenant.on_call.teams:
        raise GraphError(404, "NotFound", "Schedule was not found.")
    _check_filter(call.query.get("$filter", ""))
    shown = [_plan_json(plan, kind, more) for plan in plans if plan.team_oid == team]
    return collection(call, filtered(call, shown), f"teams('{team}')/schedule", select=False)


def _check_filter(text: str) -> None:
    """Each property may be used once."""
    names = re.findall(r"\b(?:shared|draft)\w+/\w+", text)
    if len(names) != len(set(names)):
        raise bad_request("The $filter parameter does not support the same property more than once.")


def _plan_json(plan: PlannedTime, kind: str, more: Json) -> Json:
    times = {"startDateTime": graph_time(plan.starts_at), "endDateTime": graph_time(plan.ends_at), "theme": "blue"}
    by = {"application": None, "device": None, "user": {"id": plan.person_oid, "displayName": "A planner"}}
    group = {"schedulingGroupId": plan.scheduling_group} if kind == "Shift" else {}
    return {
        "id": plan.plan_id,
        "createdDateTime": graph_time(plan.starts_at, digits=3),
        "lastModifiedDateTime": graph_time(plan.starts_at, digits=3),
        "lastModifiedBy": by,
        "userId": plan.person_oid,
        **group,
        f"shared{kind}": {**times, **more} if plan.shared else None,
        f"draft{kind}": {**times, **more},
    }
