"""
How much an account sends, against its own habit and against the limits of the outbound policy. Pure.

Sources: "Configure outbound spam policies" (2025-02-05), "Troubleshoot outbound sending limits" (2026-05-26).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alerts.model import Severity
from services.alerts.sections import EarlyWarningSettings
from services.cases import Text, say
from services.clients.exchange_models import OutboundPolicy, OutboundRule
from services.clients.graph_models import MessageTrace
from services.diagnosis.policies import MOST_RECIPIENTS_A_DAY, policies_that_may_apply
from services.investigation import bursts, sent
from services.investigation.evidence import domain_of
from services.investigation.sent import SentMessage

#: How far back the account's own habit is read; one page of the trace, the most that Microsoft gives at once.
HABIT, TRACE_LIMIT = timedelta(days=7), 5000
#: What was sent this recently is compared with the habit, and is no part of it.
TODAY = timedelta(days=1)
#: From how much of the time before on there is a habit to speak of.
SHORTEST_HABIT = timedelta(days=2)
#: From which share of a limit on it is pressing.
PRESSING_SHARE = 0.9


@dataclass(frozen=True)
class Limits:
    """What the outbound policy allows to an account: recipients; None for what it leaves to the service."""

    external_per_hour: int | None = None
    internal_per_hour: int | None = None
    per_day: int = MOST_RECIPIENTS_A_DAY


@dataclass(frozen=True)
class Volume:
    """What an account sent lately, in recipients, and what it used to send."""

    external_hour: int
    internal_hour: int
    #: The busiest hour, and when it began.
    hour: int
    hour_at: datetime | None
    day: int
    #: How many a busy hour used to have; None when the trace does not go back far enough to say.
    usual: int | None


def limits_of(policies: Iterable[OutboundPolicy], rules: Iterable[OutboundRule], addresses: Collection[str]) -> Limits:
    """The limits for whoever has these addresses; where several policies may apply, the lowest of each."""
    found = policies_that_may_apply(policies, rules, addresses)
    return Limits(
        external_per_hour=_lowest(policy.external_per_hour for policy in found),
        internal_per_hour=_lowest(policy.internal_per_hour for policy in found),
        per_day=_lowest(policy.recipients_per_day for policy in found) or MOST_RECIPIENTS_A_DAY,
    )


def _lowest(limits: Iterable[int | None]) -> int | None:
    """A limit of 0 is the service's own."""
    return min((limit for limit in limits if limit), default=None)


def volume_of(rows: Sequence[MessageTrace], now: datetime, inside: Collection[str], recent: timedelta) -> Volume:
    """
    What these rows of the trace, newest first and of the last seven days, say about an account; its busiest hour is
    looked for in the time `recent`.

    `inside` are the organisation's mail domains, casefolded. A trace that was cut off at its limit goes back less far,
    and then there may be no habit to compare with.
    """
    messages = sent.messages(rows)
    lately = [message for message in messages if message.at >= now - recent]
    hour, hour_at = sent.busiest_hour(lately)
    return Volume(
        external_hour=_busiest(lately, lambda address: domain_of(address) not in inside),
        internal_hour=_busiest(lately, lambda address: domain_of(address) in inside),
        hour=hour,
        hour_at=hour_at,
        day=sent.recipients_of(message for message in messages if message.at >= now - TODAY),
        usual=usual_hour(messages, now, known_from=_known_from(rows, now)),
    )


def _busiest(messages: Sequence[SentMessage], counts: Callable[[str], bool]) -> int:
    return bursts.busiest_hour([(m.at, sum(map(counts, m.recipients))) for m in messages])[0]


def _known_from(rows: Sequence[MessageTrace], now: datetime) -> datetime:
    oldest = min((row.received_at for row in rows if row.received_at), default=None)
    return oldest if oldest is not None and len(rows) >= TRACE_LIMIT else now - HABIT


def usual_hour(messages: Iterable[SentMessage], now: datetime, *, known_from: datetime) -> int | None:
    """
    How many recipients a busy hour used to have: of the clock hours in which anything was sent, up to a day ago, nine
    in ten had no more. 0 for an account that sent nothing; None when less than two days are known.
    """
    until = now - TODAY
    if until - known_from < SHORTEST_HABIT:
        return None
    hours: dict[datetime, int] = {}
    for message in messages:
        if known_from <= message.at < until:
            hour = message.at.replace(minute=0, second=0, microsecond=0)
            hours[hour] = hours.get(hour, 0) + len(message.recipients)
    counts = sorted(hours.values())
    return counts[math.ceil(0.9 * len(counts)) - 1] if counts else 0


def reasons_of(volume: Volume, limits: Limits, settings: EarlyWarningSettings) -> tuple[Text, ...]:
    """Why this is worth a warning, the policy's limits first; empty when it is not."""
    said = []
    if _is_near(volume.external_hour, limits.external_per_hour, settings):
        said.append(say("early_warning.external", n=volume.external_hour, limit=limits.external_per_hour))
    if _is_near(volume.internal_hour, limits.internal_per_hour, settings):
        said.append(say("early_warning.internal", n=volume.internal_hour, limit=limits.internal_per_hour))
    if _is_near(volume.day, limits.per_day, settings):
        said.append(say("early_warning.day", n=volume.day, limit=limits.per_day))
    if volume.usual is not None and volume.hour >= max(settings.times_usual * volume.usual, settings.least_recipients):
        said.append(say("early_warning.usual", n=volume.hour, usual=volume.usual))
    return tuple(said)


def _is_near(count: int, limit: int | None, settings: EarlyWarningSettings) -> bool:
    return limit is not None and count >= settings.share_of_limit * limit


def severity_of(volume: Volume, limits: Limits) -> Severity:
    pairs = (
        (volume.external_hour, limits.external_per_hour),
        (volume.internal_hour, limits.internal_per_hour),
        (volume.day, limits.per_day),
    )
    pressing = any(limit is not None and count >= PRESSING_SHARE * limit for count, limit in pairs)
    return Severity.HIGH if pressing else Severity.MEDIUM
