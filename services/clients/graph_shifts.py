"""
Teams Shifts in Microsoft Graph: who works when in a team. Pure.

The calls carry no `MS-APP-ACTS-AS`: app-only calls needed that header once and do not any more ("Deprecation of
MS-APP-ACTS-AS header in Shifts Management Microsoft Graph APIs", Microsoft 365 Developer Blog, 2025-06-23).
"""

from __future__ import annotations

from datetime import datetime

from services.clients import odata
from services.clients.graph_calls import Object, Place, build, leaf
from services.clients.http import Request
from services.clients.reading import Wire, part, to_moment, to_text
from services.errors import BrokenAnswer


class PlannedTime(Wire):
    """A shift or a time off of one person, as it was published: from `starts_at`, up to and without `ends_at`."""

    user_oid: str
    starts_at: datetime
    ends_at: datetime
    scheduling_group_id: str = ""

    def covers(self, at: datetime) -> bool:
        return self.starts_at <= at < self.ends_at


def build_shifts(place: Place, team_id: str, since: datetime, until: datetime) -> Request:
    """
    Shifts within a window. Graph filters by where a shift begins and ends, and takes each of the two once only, so
    whoever wants the shifts at a moment asks for a window around it and compares. Source: "List shifts", 2024-09-18.
    """
    names, query = {"team": team_id}, {"$filter": _inside("sharedShift", since, until)}
    path, permission = "/teams/{team}/schedule/shifts", "Schedule.Read.All"
    return build(place, "GET", path, names=names, query=query, permission=permission)


def build_times_off(place: Place, team_id: str, since: datetime, until: datetime) -> Request:
    """Times off within a window. Source: "List timesOff", 2024."""
    names, query = {"team": team_id}, {"$filter": _inside("sharedTimeOff", since, until)}
    path, permission = "/teams/{team}/schedule/timesOff", "Schedule.Read.All"
    return build(place, "GET", path, names=names, query=query, permission=permission)


def _inside(member: str, since: datetime, until: datetime) -> str:
    return f"{member}/startDateTime ge {odata.moment(since)} and {member}/endDateTime le {odata.moment(until)}"


def parse_shift(data: Object) -> PlannedTime | None:
    """
    One shift; None for a draft that was not published, and for one that nobody has.

    Expects {"userId": GUID, "schedulingGroupId": str, "sharedShift": {"startDateTime", "endDateTime"} or null}; what
    stands in `draftShift` is only in a planner's head. Raises: BrokenAnswer for a published one without its times.
    Source: "shift resource type", 2024.
    """
    return _parse(data, "sharedShift")


def parse_time_off(data: Object) -> PlannedTime | None:
    """One time off, as `parse_shift` has it, in `sharedTimeOff`. Source: "timeOff resource type", 2024."""
    return _parse(data, "sharedTimeOff")


def _parse(data: Object, member: str) -> PlannedTime | None:
    shared, user_oid = part(data, member, "graph"), leaf(to_text, data, "userId")
    if not shared or user_oid is None:
        return None
    group = leaf(to_text, data, "schedulingGroupId") or ""
    starts_at, ends_at = _moment(shared, "startDateTime"), _moment(shared, "endDateTime")
    return PlannedTime(user_oid=user_oid.lower(), starts_at=starts_at, ends_at=ends_at, scheduling_group_id=group)


def _moment(shared: Object, name: str) -> datetime:
    moment = leaf(to_moment, shared, name)
    if moment is None:
        raise BrokenAnswer("graph", what=name)
    return moment
