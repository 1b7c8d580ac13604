"""
Each block that can keep mail from leaving, told apart: one function for each, from the facts to a cause or none. Pure.

Sources: "Remove blocked users from the Restricted entities page", 2026-08-24; "Troubleshoot outbound sending limits",
2026-05-26; "Configure outbound spam policies", 2025-02-05; "Remove blocked connectors", 2023-06-14; "Alert policies in
Microsoft 365", 2025-03-21.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from services.cases import BlockKind, Cause, CauseKind, Certainty, Lifter, Text, say
from services.clients.exchange_models import InboxRule, OutboundPolicy
from services.diagnosis.codes import blocks_of, meaning_of
from services.diagnosis.facts import Facts, is_outside, report_lines
from services.diagnosis.policies import MOST_RECIPIENTS_A_DAY
from services.investigation.bursts import busiest_hour

DAY = timedelta(hours=24)
#: Titles of the alerts by which Microsoft says that the tenant may not send, casefolded; they are not translated.
TENANT_ALERTS = ("tenant restricted from sending email", "tenant restricted from sending unprovisioned email")
#: How many places that mail is forwarded to are named.
_NAMED = 5


def causes(facts: Facts) -> tuple[Cause, ...]:
    """
    Everything that was found, what is certain first and what the report tells of before the rest. NONE comes first when
    nothing stops the mail that the account sends itself.
    """
    found = [cause for find in _FINDERS if (cause := find(facts)) is not None]
    found.sort(key=lambda cause: (cause.certainty is not Certainty.SEEN, not cause.code))
    # Without a report, a connector and forwarded copies say nothing about the mail that the account sends itself: they
    # are worth telling only where nothing else is.
    told = [cause for cause in found if cause.kind not in _BESIDE or facts.code_for(cause.kind) is not None]
    return tuple(told) or (_nothing(facts), *found)


_BESIDE = frozenset({CauseKind.CONNECTOR, CauseKind.FORWARDING_FORBIDDEN})


def _nothing(facts: Facts) -> Cause:
    """That nothing was found, which is certain only when everything could be read."""
    certainty = Certainty.SEEN if facts.all_read else Certainty.POSSIBLE
    return Cause(kind=CauseKind.NONE, certainty=certainty, lifter=Lifter.NOBODY)


def other_code(facts: Facts) -> Cause | None:
    """A report whose code is none of the blocks that are told apart here, with what the code is about."""
    if facts.ndr is None or not facts.ndr.codes or blocks_of(facts.ndr):
        return None
    code = facts.ndr.codes[0]
    meaning, lifter = meaning_of(code)
    evidence = (meaning, *report_lines(facts.ndr, code))
    return Cause(kind=CauseKind.OTHER, lifter=lifter, evidence=evidence, code=code)


# --- the account -----------------------------------------------------------------------------------------------------


def restricted(facts: Facts) -> Cause | None:
    """
    On the list until an admin takes it off (5.1.8). A report of it about an account that is not on the list is older
    than the unblock, or the unblock has not arrived everywhere: up to 24 hours, usually one.
    """
    kind, reported = CauseKind.RESTRICTED, facts.reported(CauseKind.RESTRICTED)
    code = facts.code_for(kind) or ""
    if facts.block is not None and facts.block_kind is BlockKind.RESTRICTED:
        evidence = (*reason_lines(facts.block.reason), *reported)
        return Cause(kind=kind, lifter=Lifter.ADMIN, since=facts.block.since, evidence=evidence, code=code)
    if not reported or facts.block_kind is BlockKind.UNTIL_TOMORROW:
        return None
    if facts.block_kind is BlockKind.UNKNOWN:
        return Cause(kind=kind, lifter=Lifter.ADMIN, evidence=reported, code=code)
    evidence = (say("diagnosis.not_listed_now"), *reported)
    return Cause(kind=kind, certainty=Certainty.POSSIBLE, lifter=Lifter.TIME, evidence=evidence, code=code)


def until_tomorrow(facts: Facts) -> Cause | None:
    """
    Restricted by the outbound policy until the next day UTC: an entry that is marked so, or a policy that does this and
    more recipients today than it allows.
    """
    if facts.block_kind is BlockKind.RESTRICTED:
        return None
    kind, reported = CauseKind.UNTIL_TOMORROW, facts.reported(CauseKind.RESTRICTED)
    if facts.block is not None and facts.block_kind is BlockKind.UNTIL_TOMORROW:
        evidence = (*reason_lines(facts.block.reason), *reported)
        code = facts.code_for(CauseKind.RESTRICTED) or ""
        return Cause(
            kind=kind, lifter=Lifter.TIME, since=facts.block.since, ends_at=facts.tomorrow, evidence=evidence, code=code
        )
    exceeded = [line for policy in facts.may_apply() if _blocks_for_today(policy) for line in _exceeded(policy, facts)]
    if not exceeded:
        return None
    certainty = Certainty.POSSIBLE
    return Cause(kind=kind, certainty=certainty, lifter=Lifter.TIME, ends_at=facts.tomorrow, evidence=tuple(exceeded))


def _blocks_for_today(policy: OutboundPolicy) -> bool:
    """The action that policies have unless somebody changes it; one that is not said may be that."""
    return (policy.action or "BlockUserForToday").casefold() == "blockuserfortoday"


def _exceeded(policy: OutboundPolicy, facts: Facts) -> list[Text]:
    """
    The limits of the policy that were passed today, as far as the trace shows. A limit of 0 is the service's own, which
    is told as the recipient rate.
    """
    sent = facts.sent_since(facts.today)
    outside = [is_outside(to, facts.own_domains) for _, to in sent]
    external, _ = busiest_hour([(at, 1) for (at, _), out in zip(sent, outside, strict=True) if out])
    internal, _ = busiest_hour([(at, 1) for (at, _), out in zip(sent, outside, strict=True) if not out])
    counted = (
        ("diagnosis.over.day", len(sent), policy.recipients_per_day),
        ("diagnosis.over.external", external, policy.external_per_hour),
        ("diagnosis.over.internal", internal, policy.internal_per_hour),
    )
    return [
        say(key, n=count, limit=limit, policy=policy.name) for key, count, limit in counted if limit and count > limit
    ]


def recipient_rate(facts: Facts) -> Cause | None:
    """
    The most recipients that the service allows a mailbox in any 24 hours (5.1.90). It ends when enough of them are
    longer ago than that.
    """
    reported, sent = facts.reported(CauseKind.RECIPIENT_RATE), facts.sent_since(facts.now - DAY)
    over = len(sent) >= MOST_RECIPIENTS_A_DAY
    if not reported and not over:
        return None
    return Cause(
        kind=CauseKind.RECIPIENT_RATE,
        certainty=Certainty.SEEN if reported else Certainty.POSSIBLE,
        lifter=Lifter.TIME,
        ends_at=_slid_below([at for at, _ in sent]) if over else None,
        evidence=(*_counted(facts, len(sent)), *reported),
        code=facts.code_for(CauseKind.RECIPIENT_RATE) or "",
    )


def _slid_below(moments: Sequence[datetime]) -> datetime:
    """When fewer than the limit are left of these; expects the oldest first, and at least so many."""
    return moments[-MOST_RECIPIENTS_A_DAY] + DAY


def _counted(facts: Facts, n: int) -> tuple[Text, ...]:
    """What the trace shows. Mail that was sent in another name counts for the limit and is not in it."""
    if facts.trace is None:
        return ()
    if facts.trace_is_cut_off:
        return (say("diagnosis.rate.at_least", n=n),)
    return (say("diagnosis.rate.counted" if n >= MOST_RECIPIENTS_A_DAY else "diagnosis.rate.fewer", n=n),)


def forwarding_forbidden(facts: Facts) -> Cause | None:
    """
    The outbound policy forbids what forwards mail outside (5.7.520). `Automatic` forbids it in most tenants, so only
    `On` rules it out. Source: Set-HostedOutboundSpamFilterPolicy, 2026-08-21.
    """
    kind, reported = CauseKind.FORWARDING_FORBIDDEN, facts.reported(CauseKind.FORWARDING_FORBIDDEN)
    forwards = _forwards_outside(facts)
    modes = {(policy.auto_forwarding_mode or "").casefold() for policy in facts.may_apply()}
    possible = bool(forwards) and modes != {"on"}
    if not reported and not possible:
        return None
    settings = [say(f"diagnosis.forwarding.{mode}") for mode in ("off", "automatic") if mode in modes]
    return Cause(
        kind=kind,
        certainty=Certainty.SEEN if reported else Certainty.POSSIBLE,
        lifter=Lifter.SETTING,
        evidence=(*forwards, *settings, *reported),
        code=facts.code_for(kind) or "",
    )


def _forwards_outside(facts: Facts) -> tuple[Text, ...]:
    """Where mail goes by itself that is not certainly inside."""
    lines: list[Text] = []
    forwarding = facts.mailbox.forwarding if facts.mailbox else None
    for target in (forwarding.smtp_address, forwarding.address) if forwarding else ():
        if target and is_outside(target, facts.own_domains):
            lines.append(say("diagnosis.forwarding.mailbox", target=target))
    for rule in facts.inbox_rules or ():
        if rule.enabled is not False and (targets := _targets_outside(rule, facts)):
            name = rule.name or say("word.unnamed")
            lines.append(say("diagnosis.forwarding.rule", rule=name, targets=targets))
    return tuple(lines[:_NAMED])


def _targets_outside(rule: InboxRule, facts: Facts) -> list[str]:
    return [to.shown for to in rule.forwards_to if to.address is not None and is_outside(to.address, facts.own_domains)]


# --- the tenant ------------------------------------------------------------------------------------------------------


def connector(facts: Facts) -> Cause | None:
    """
    A blocked inbound connector (5.7.711). Without a report it concerns only mail that is sent over it, as programs and
    devices do, so it is possible and no more.
    """
    kind, reported = CauseKind.CONNECTOR, facts.reported(CauseKind.CONNECTOR)
    blocked = facts.connectors or ()
    if not reported and not blocked:
        return None
    told = [
        line
        for one in blocked
        for line in (say("diagnosis.connector", name=one.name or one.connector_id), *reason_lines(one.reason))
    ]
    gone = [say("diagnosis.no_connector")] if facts.connectors == () else []
    return Cause(
        kind=kind,
        certainty=Certainty.SEEN if reported else Certainty.POSSIBLE,
        lifter=Lifter.ADMIN if blocked or facts.connectors is None else Lifter.TIME,
        since=min((one.created_at for one in blocked if one.created_at), default=None),
        evidence=(*told, *gone, *reported),
        connectors=tuple(one.connector_id for one in blocked),
        code=facts.code_for(kind) or "",
    )


def tenant_limit(facts: Facts) -> Cause | None:
    """The tenant's limit of external recipients in 24 hours (5.7.233); no interface we know tells how full it is."""
    reported = facts.reported(CauseKind.TENANT_LIMIT)
    code = facts.code_for(CauseKind.TENANT_LIMIT) or ""
    return Cause(kind=CauseKind.TENANT_LIMIT, lifter=Lifter.TIME, evidence=reported, code=code) if reported else None


def tenant_restricted(facts: Facts) -> Cause | None:
    """The whole tenant may not send (5.7.705, 5.7.708, 5.7.750, or an alert of Defender that nobody has resolved)."""
    kind, reported = CauseKind.TENANT_RESTRICTED, facts.reported(CauseKind.TENANT_RESTRICTED)
    opened = [
        alert
        for alert in facts.alerts or ()
        if alert.title.strip().casefold() in TENANT_ALERTS and (alert.status or "").casefold() != "resolved"
    ]
    if not reported and not opened:
        return None
    told = [say("diagnosis.tenant_alert", title=alert.title, at=alert.created_at or facts.now) for alert in opened]
    return Cause(
        kind=kind,
        lifter=Lifter.MICROSOFT,
        since=min((alert.created_at for alert in opened if alert.created_at), default=None),
        evidence=(*told[:_NAMED], *reported),
        code=facts.code_for(kind) or "",
    )


#: The order in which they are told: first what makes everything below it useless to lift.
_FINDERS: Sequence[Callable[[Facts], Cause | None]] = (
    tenant_restricted,
    restricted,
    until_tomorrow,
    recipient_rate,
    tenant_limit,
    connector,
    forwarding_forbidden,
    other_code,
)


# --- Microsoft's reason ----------------------------------------------------------------------------------------------

#: Key in a reason, casefolded -> what it counts. Neither key nor form is documented: these were seen.
_COUNTS: Mapping[str, str] = {
    "internalrecipientcounttoday": "diagnosis.reason.internal",
    "externalrecipientcounttoday": "diagnosis.reason.external",
    "outboundspamlast24hours": "diagnosis.reason.spam",
    "outboundmaillast24hours": "diagnosis.reason.mail",
    "outboundspampercent": "diagnosis.reason.percent",
    "lastmessagercptcount": "diagnosis.reason.last_recipients",
}
_COUNT_OF: Mapping[str, str] = {
    "external": "diagnosis.reason.external",
    "internal": "diagnosis.reason.internal",
}
_LIMITS: Mapping[str, str] = {
    "external": "diagnosis.reason.limit_external",
    "internal": "diagnosis.reason.limit_internal",
}


_LIMIT = "diagnosis.reason.limit"
_SPAM = frozenset(f"diagnosis.reason.{name}" for name in ("spam", "mail", "percent"))


def reason_lines(reason: Mapping[str, str]) -> tuple[Text, ...]:
    """
    Microsoft's reason, part by part, what it was stopped for first; a part that nobody has seen before is told as it
    stands.
    """
    if not reason:
        return (say("diagnosis.reason.none"),)
    lines = [_reason_line(key, value) for key, value in reason.items()]
    ranks = _ranks({line.key for line in lines})
    return tuple(sorted(lines, key=lambda line: ranks.get(line.key, len(ranks))))


def main_reasons(reason: Mapping[str, str], most: int) -> tuple[Text, ...]:
    """
    No more than so many of the lines. A count of what was within its limit is told beside the one that was not, never
    in its place.
    """
    lines = reason_lines(reason)
    keys = {line.key for line in lines}
    missing = {kind for kind, limit in _LIMITS.items() if limit in keys and _COUNT_OF[kind] not in keys}
    harmless = {count for kind, count in _COUNT_OF.items() if missing and kind not in missing}
    return tuple(line for line in lines if line.key not in harmless)[:most]


def _ranks(keys: Collection[str]) -> Mapping[str, int]:
    """The limit that was exceeded, the count that it is about, the other one; what was spam where no limit is named."""
    kinds = [limit for limit in _LIMITS.values() if limit in keys]
    limits = kinds or [_LIMIT] * (_LIMIT in keys)
    counts = [_COUNT_OF["external"], _COUNT_OF["internal"]]
    if kinds == [_LIMITS["internal"]]:
        counts.reverse()
    order = [*limits, *counts, *_SPAM] if limits else [*_SPAM, *counts]
    ranks = {key: rank for rank, key in enumerate(order)}
    first_spam = min(ranks[key] for key in _SPAM)  # among themselves as Microsoft has them
    return {key: first_spam if key in _SPAM else rank for key, rank in ranks.items()}


def _reason_line(key: str, value: str) -> Text:
    name, number = "".join(key.split()).casefold(), _number(value)
    if name in _COUNTS and number is not None:
        return say(_COUNTS[name], n=number)
    if name == "exceedinglimittype" and value.casefold() in _LIMITS:
        return say(_LIMITS[value.casefold()])
    if name == "emailsendinglimitexceeded" and not value:
        return say(_LIMIT)
    if name.endswith("messagetraceid"):
        return say("diagnosis.reason.trace_id", value=value)
    return say("diagnosis.reason.other", name=key, value=value) if value else say("diagnosis.reason.word", name=key)


def _number(value: str) -> int | None:
    """A count, however it is spelled; None when it is no number."""
    whole, _, fraction = value.strip().rstrip("%").replace(",", "").partition(".")
    digits = whole.isascii() and whole.isdigit() and len(whole) <= 9
    return int(whole) if digits and (not fraction or fraction.isdigit()) else None
