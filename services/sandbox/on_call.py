"""Who is on call in this tenant: the plans of Teams Shifts, of PagerDuty and of Opsgenie."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

PAGERDUTY_SCHEDULE, OPSGENIE_SCHEDULE = "PMAIL01", "Mail on call"


@dataclass
class PlannedTime:
    """A shift or a time off of somebody in a team. One that is not shared is a draft that only planners see."""

    plan_id: str
    team_oid: str
    person_oid: str
    starts_at: datetime
    ends_at: datetime
    scheduling_group: str = "TAG_mail"
    shared: bool = True


@dataclass
class Stretch:
    """Somebody's time on call in PagerDuty; a missing end is open. Who was deleted is left as a name."""

    schedule: str
    name: str
    email: str
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    level: int = 1
    deleted: bool = False


@dataclass
class OpsgenieSchedule:
    """A schedule of Opsgenie with those on call now. `forbidden`: the key's team may not see it."""

    name: str
    recipients: list[str] = field(default_factory=list)
    enabled: bool = True
    forbidden: bool = False


@dataclass
class OnCallPlans:
    """Everything that is known about who is on call."""

    shifts: list[PlannedTime] = field(default_factory=list)
    times_off: list[PlannedTime] = field(default_factory=list)
    #: Teams that have a schedule in Shifts; others answer 404.
    teams: list[str] = field(default_factory=list)
    pagerduty: list[Stretch] = field(default_factory=list)
    #: The longest page that PagerDuty gives, whatever is asked for.
    pagerduty_page: int = 100
    opsgenie: list[OpsgenieSchedule] = field(default_factory=list)


def plans_of(team_oid: str, people: dict[str, tuple[str, str]], now: datetime) -> OnCallPlans:
    """
    Megan is on call everywhere: on shift from four hours ago for four more. `people` are (object id, address) by name.

    In Shifts Alex has a draft, Grace is away during her shift, Sam's begins when Megan's ends. PagerDuty has Megan on
    two levels, and somebody who was deleted; after that a gap. Opsgenie has Megan and somebody with no account here.
    """

    def planned(name: str, from_h: float, to_h: float, **more: Any) -> PlannedTime:
        starts_at, ends_at = now + timedelta(hours=from_h), now + timedelta(hours=to_h)
        return PlannedTime(f"SHFT_{name}_{from_h}", team_oid, people[name][0], starts_at, ends_at, **more)

    def stretch(name: str, address: str, level: int = 1, **more: Any) -> Stretch:
        span = (now - timedelta(hours=4), now + timedelta(hours=4))
        return Stretch(PAGERDUTY_SCHEDULE, name, address, *span, level, **more)

    megan = people["megan"][1]
    return OnCallPlans(
        shifts=[
            planned("megan", -4, 4),
            planned("alex", -4, 4, shared=False),
            planned("grace", -2, 6),
            planned("sam", 4, 12),
            planned("ines", -1, 3, scheduling_group="TAG_reception"),
        ],
        times_off=[planned("grace", -48, 48), planned("megan", -4, 4, shared=False)],
        teams=[team_oid],
        pagerduty=[
            stretch("Megan Bowen", megan, 2),
            stretch("Megan Bowen", megan),
            stretch("Carl Gone", "carl@contoso.com", deleted=True),
            Stretch("POTHER1", "Sam Stranger", people["sam"][1]),
        ],
        opsgenie=[OpsgenieSchedule(OPSGENIE_SCHEDULE, [megan, "duty@partner.example"])],
    )
