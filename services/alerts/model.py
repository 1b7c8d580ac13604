"""
The nouns of alerts: what a source reports, and the alert that all reports about one thing become.

An alert has parts, like a case: it is changed as a whole, and every posted card of it follows.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from pydantic import Field

from services.cases import Actor, Case, CaseState, Finding, Text, Value


class AlertKind(StrEnum):
    """What has happened."""

    SENDER_RESTRICTED = "sender_restricted"  # on the restricted list, or Defender says so
    SENDER_SUSPECTED = "sender_suspected"  # Defender suspects the account; it is not restricted
    CONNECTOR_BLOCKED = "connector_blocked"
    TENANT_RESTRICTED = "tenant_restricted"  # the whole organisation may not send; only Microsoft can help
    EARLY_WARNING = "early_warning"  # sends much more than it used to; Microsoft has not restricted it yet
    HEALTH = "health"  # the bot itself cannot see or do something


class Severity(IntEnum):
    """How bad, in the order in which a list shows it."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3


class AlertState(StrEnum):
    OPEN = "open"
    ENDED = "ended"  # the block is gone, the source works again, ...


class SourceName(StrEnum):
    """Every way in which something is noticed. A new source is one module and one name here."""

    RESTRICTED_LIST = "restricted_list"
    BLOCKED_CONNECTORS = "blocked_connectors"
    DEFENDER = "defender"
    WEBHOOK = "webhook"
    EARLY_WARNING = "early_warning"
    HEALTH = "health"


#: A source that failed this often running counts as failing.
FAILING_AFTER = 3
#: The least for which nobody reads a source before it counts as failing, and the longest that a service may ask for.
LONGEST_PAUSE = timedelta(minutes=5)

#: What a report about the whole organisation is about.
TENANT = "tenant"
#: What a report about a connector is about that does not say which.
UNNAMED_CONNECTOR = "connector"


class Report(Value):
    """
    What one source says of one thing. The same thing reported again is the same report: `external_id` tells, or for a
    source without ids its moment.
    """

    source: SourceName
    kind: AlertKind
    #: What it is about, in lower case: an address, a connector's id, "tenant", or for HEALTH the name of what is wrong.
    about: str
    #: Entra object id of the account, where the source gives one.
    oid: str = ""
    #: Other addresses of the same account, in lower case, where the source gives them.
    also: tuple[str, ...] = ()
    #: What people call it; "" when the source does not say.
    name: str = ""
    #: When it began, in UTC; None when the source does not say.
    since: datetime | None = None
    #: Microsoft's own id of the alert, so that one that is delivered twice is one.
    external_id: str = ""
    #: Microsoft's title or the raw reason of the restricted list.
    title: str = ""
    #: The parts of the reason, unknown ones included, such as ExceedingLimitType: External.
    reason: dict[str, str] = Field(default_factory=dict)
    #: Whether the restriction ends by itself at the next midnight UTC; None when unknown.
    temporary: bool | None = None
    severity: Severity = Severity.MEDIUM
    #: Where Microsoft's portal shows it.
    web_url: str = ""
    #: When the source changed what it says; of two with the same `external_id` the later one counts.
    told_at: datetime | None = None
    #: The source says that it is over (a resolved Defender alert).
    is_over: bool = False
    #: What is to be said about it beside all this (HEALTH, EARLY_WARNING): a sentence by key.
    what: Text | None = None

    @property
    def names(self) -> frozenset[str]:
        """Everything that it may be known by."""
        return frozenset(name.lower() for name in (self.about, self.oid, *self.also) if name)


class Alert(Value):
    """One thing that people should know, whatever number of sources report it."""

    alert_id: str
    tenant_id: str
    kind: AlertKind
    about: str
    oid: str = ""
    #: Other addresses of the account, as the directory has them.
    also: tuple[str, ...] = ()
    name: str = ""
    #: When it began as the best source tells; the moment of noticing while none does.
    since: datetime
    is_since_known: bool = True
    noticed_at: datetime
    state: AlertState = AlertState.OPEN
    severity: Severity
    #: The newest that each source said, of each alert of its own; the one that tells most comes first.
    reports: tuple[Report, ...] = ()
    ended_at: datetime | None = None
    #: How it ended, and by whom as far as known: a sentence by key.
    ended: Text | None = None
    #: Risk state and the three cheapest signals, filled in behind; None before they were read.
    impression: tuple[Finding, ...] | None = None
    #: The case that deals with it.
    case_id: str | None = None
    #: No reminder and no new post until then; the card says so.
    snoozed_until: datetime | None = None
    snoozed_by: Actor | None = None
    #: "Not now": somebody has seen it and leaves it.
    set_aside_by: Actor | None = None
    set_aside_at: datetime | None = None
    #: Who ordered a case for it together with many others, and who has the order in hand since when; None when it is
    #: carried out.
    ordered_by: Actor | None = None
    ordered_at: datetime | None = None
    #: Why the last such order could not be carried out, and whose it was; while it still stands it is tried again.
    not_started: Text | None = None
    not_started_for: Actor | None = None
    #: When it was put before people: as a card of its own, or as a row of a digest.
    posted_at: datetime | None = None
    #: How many readings running did not show it any more.
    missed: int = 0
    #: Since when it waits to be put before people again; None for the first time.
    waits_since: datetime | None = None
    #: How many posts of it nobody knows the end of; each is given longer before it is posted again.
    uncertain: int = 0
    digest_id: str | None = None
    #: Whether it was last put before people as a card of its own; one that is woken keeps its row in the digest, too.
    is_alone: bool = False
    version: int = 1

    @property
    def is_open(self) -> bool:
        return self.state is AlertState.OPEN

    @property
    def is_named(self) -> bool:
        """Whether it says which account or connector it is about."""
        return self.about not in (TENANT, UNNAMED_CONNECTOR)

    @property
    def names(self) -> frozenset[str]:
        """Everything that it is known by: addresses and object id, in lower case."""
        own = {name.lower() for name in (self.about, self.oid, *self.also) if name}
        return frozenset(own.union(*(report.names for report in self.reports)))

    @property
    def report(self) -> Report:
        """The report that tells most: the restricted list before Defender."""
        return min(self.reports, key=lambda report: list(SourceName).index(report.source))


class AlertCopy(Value):
    """One posted message about alerts: one alert's card, or a digest of many."""

    copy_id: str
    #: For a card of one alert.
    alert_id: str | None = None
    #: For a digest: the name that its alerts carry in `digest_id`.
    digest_id: str | None = None
    conversation_id: str
    activity_id: str | None = None
    language: str = "en"
    #: "posting" is written down before the post, so that a restart knows that one may be out there; "live"; "gone";
    #: "refused" is one that was never out there, and whose row is used for the next attempt.
    state: str = "posting"
    #: SHA-256 of the card as last posted; an equal one is not posted again.
    shown_hash: str = ""
    #: The alert's version that it shows; for a digest the sum of the versions of its alerts.
    shown_version: int = 0
    #: For a digest: alerts that were put into it until then stood on it when it was last posted.
    shown_until: datetime | None = None
    #: Who was called when it was posted: the same people stay on it.
    called: tuple[Actor, ...] = ()
    posted_at: datetime


class SourceState(Value):
    """How a source is doing. One row for each source in the database, shared by all replicas."""

    source: str
    due_at: datetime
    #: Who reads it now, and until when nobody else does.
    leased_by: str = ""
    leased_until: datetime | None = None
    last_read_at: datetime | None = None
    last_failed_at: datetime | None = None
    #: How many times running it could not be read.
    failures: int = 0
    #: Why, the last time.
    why: Text | None = None
    #: Why it sees nothing although it can be read: the tenant lacks what it needs. None while it sees.
    off: Text | None = None
    #: How often it is to be read; None for what is no source that is read again and again.
    interval_s: float | None = None
    #: Where a source that reads on from a moment goes on.
    read_until: datetime | None = None

    def is_failing(self, now: datetime) -> bool:
        """Whether nothing is seen by it: it failed three times running, or nobody has read it for three intervals."""
        return self.failures >= FAILING_AFTER or self.is_overdue(now)

    def is_overdue(self, now: datetime) -> bool:
        """Whether it was last read longer ago than three intervals and five minutes."""
        if self.interval_s is None or self.last_read_at is None:
            return False
        return now - self.last_read_at > max(timedelta(seconds=3 * self.interval_s), LONGEST_PAUSE)


#: Kinds about which a case can be opened; the other ones only Microsoft or the owner of the bot can do anything about.
STARTABLE = frozenset(
    {AlertKind.SENDER_RESTRICTED, AlertKind.SENDER_SUSPECTED, AlertKind.CONNECTOR_BLOCKED, AlertKind.EARLY_WARNING}
)
#: Endings of a case after which everything is as it was, so that somebody has to begin again.
WITHOUT_RESULT = frozenset(
    {
        CaseState.DENIED,
        CaseState.EXPIRED,
        CaseState.CANCELLED,
        CaseState.NOT_UNBLOCKED,
        CaseState.NOT_CONTAINED,
        CaseState.NOTHING_TO_DO,
    }
)


def is_in_hand(alert: Alert, case: Case | None) -> bool:
    """Whether a case deals with it. One that ended without a result does not; None stands for one that was not read."""
    return alert.case_id is not None and (case is None or case.state not in WITHOUT_RESULT)


def is_snoozed(alert: Alert, now: datetime) -> bool:
    """Whether somebody has put it off until later than now."""
    return alert.snoozed_until is not None and alert.snoozed_until > now


def needs_somebody(alert: Alert, case: Case | None, now: datetime) -> bool:
    """Whether nobody has done anything about it yet."""
    return alert.is_open and not is_in_hand(alert, case) and not is_snoozed(alert, now) and alert.set_aside_by is None


def can_be_started(alert: Alert, case: Case | None) -> bool:
    """Whether a case can be opened about it now."""
    return alert.is_open and alert.kind in STARTABLE and alert.is_named and not is_in_hand(alert, case)
