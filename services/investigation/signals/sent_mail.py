"""What the account sent around the start of the block, compared with what it usually sends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from services.cases import Finding, Text, UnknownReason, say
from services.errors import ServiceError
from services.investigation import sent
from services.investigation.evidence import TRACE_DAYS, Evidence, attempted, domain_of
from services.investigation.sent import SentMessage
from services.investigation.strangers import Strangers, strangers_of
from services.investigation.table import SignalRow


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    A burst that is new for this account, or mail that came in from an address with suspicious sign-ins.

    Bulk mailers are blocked as well, so a burst weighs little by itself, and nothing when the days before had one like
    it. Subject, recipients outside and failures are told in any case, because they say what preceded the block.
    Source: "List messageTraces", 2025-12; Sending limits (Exchange Online outbound mail), 2026-05.
    """
    traces, strangers, own_domains = await asyncio.gather(
        attempted(evidence.traces()), strangers_of(evidence), evidence.own_domains()
    )
    if isinstance(traces, ServiceError):
        raise traces
    before, recent = sent.split(sent.messages(traces), evidence)
    kinds = _kinds(before, recent, strangers, row)
    told = _told(recent, own_domains, evidence)
    if kinds:
        texts = [kinds[kind] for kind in sorted(kinds, key=lambda kind: -row.points[kind])]
        return row.found(row.points_for(list(kinds)), *texts, *told)
    unread = sent.gap(traces, evidence)
    if unread is not None:
        return row.unknown(UnknownReason.NOT_APPLICABLE, unread, *told)
    return row.clear(say("finding.sent_mail.clear", n=sent.recipients_of([*before, *recent]), days=TRACE_DAYS), *told)


def _kinds(
    before: Sequence[SentMessage], recent: Sequence[SentMessage], strangers: Strangers, row: SignalRow
) -> dict[str, Text]:
    """Kinds of evidence with a text for each."""
    found: dict[str, Text] = {}
    usual, _ = sent.busiest_hour(before)
    most, at = sent.busiest_hour(recent)
    is_burst = most >= row.thresholds["burst"] and most > usual * row.thresholds["times_usual"]
    from_strangers = [message for message in recent if message.from_ip in strangers.suspicious]
    if from_strangers:
        # The owner may be the one with the odd sign-in, and writes mail from there as from anywhere.
        n, ip = sent.recipients_of(from_strangers), from_strangers[0].from_ip
        kind = "stranger" if is_burst and n >= row.thresholds["burst"] else "used"
        found[kind] = say("finding.sent_mail.stranger", n=n, ip=ip, at=from_strangers[0].at)
    if is_burst:
        found["burst"] = say("finding.sent_mail.burst", n=most, at=at, usual=usual)
        found |= _about_burst(before, recent, row) | _from_new_place(recent, strangers, row)
    return found


def _from_new_place(recent: Sequence[SentMessage], strangers: Strangers, row: SignalRow) -> dict[str, Text]:
    there = [message for message in recent if message.from_ip in strangers.new_places]
    n = sent.recipients_of(there)
    if n < row.thresholds["burst"]:
        return {}
    return {"new_place": say("finding.sent_mail.new_place", n=n, ip=there[0].from_ip)}


def _about_burst(before: Sequence[SentMessage], recent: Sequence[SentMessage], row: SignalRow) -> dict[str, Text]:
    """What makes a burst more than somebody's busy day."""
    found, total = {}, sent.recipients_of(recent)
    subject, n = sent.by_subject(recent).most_common(1)[0]
    is_new = sent.by_subject(before)[subject] == 0
    if is_new and 100 * n >= row.thresholds["same_subject_percent"] * total:
        found["one_subject"] = say("finding.sent_mail.one_subject", n=n, subject=_as_sent(recent, subject))
    failed = sum(message.failed for message in recent)
    if 100 * failed >= row.thresholds["failed_percent"] * total:
        found["failed"] = say("finding.sent_mail.failed", n=failed, total=total)
    return found


def _as_sent(messages: Sequence[SentMessage], bare: str) -> str:
    return next(message.subject for message in messages if sent.bare_subject(message.subject) == bare)


def _told(recent: Sequence[SentMessage], own_domains: frozenset[str], evidence: Evidence) -> tuple[Text, ...]:
    """What is of use whatever it means: who got the mail, and what was the last before the block."""
    if not recent:
        return ()
    total = sent.recipients_of(recent)
    outside = sum(domain_of(address) not in own_domains for message in recent for address in message.recipients)
    texts = [say("finding.sent_mail.outside", n=total, percent=round(100 * outside / total))]
    last = [message for message in recent if message.at <= evidence.started_at]
    if last and evidence.case.block is not None and evidence.case.block.since is not None:
        n, subject = len(last[-1].recipients), last[-1].subject or None
        texts.append(say("finding.sent_mail.last", n=n, subject=subject, at=last[-1].at))
    return tuple(texts)
