"""Whether suspicious addresses of this account also tried other accounts."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.cases import Finding, Text, say
from services.clients.graph_models import SignIn
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted
from services.investigation.habits import fold, habits_of, is_managed
from services.investigation.places import when
from services.investigation.signals.sign_ins import TRIP_KINDS, Oddity, odd_sign_ins
from services.investigation.signals.sign_ins_background import odd_background_sign_ins
from services.investigation.table import SignalRow, words
from services.investigation.unreadable import why

#: How many other accounts are named.
_NAMED = 3
_LIMIT = 500


@dataclass(frozen=True)
class Address:
    """An address and what others did from there."""

    ip_address: str
    #: Kinds of oddities of this account's own sign-ins from there.
    kinds: frozenset[str]
    #: Accounts that were let in on a device that nobody manages.
    let_in: tuple[str, ...]
    #: Accounts whose password was guessed at.
    tried: tuple[str, ...]
    is_office: bool


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Other accounts that were tried from the addresses of the odd sign-ins, or let in from there.

    An address that this account has long been using, or many accounts day by day, is an office or a network that people
    share: it is no attacker's. Without a suspicious address there is nothing to follow up. When background sign-ins
    cannot be read, their addresses are missing here, so that nothing found is no good news.
    Source: "List signIns", 2023 (filter on ipAddress).
    """
    odd, in_background = await asyncio.gather(odd_sign_ins(evidence), attempted(odd_background_sign_ins(evidence)))
    unread = in_background if isinstance(in_background, ServiceError) else None
    all_odd = [*odd, *(() if isinstance(in_background, ServiceError) else in_background)]
    suspects = await _suspicious(all_odd, evidence, row)
    addresses = await asyncio.gather(*(_asked(ip, kinds, evidence, row) for ip, kinds in suspects))
    rated = [(address, _kinds(address, row)) for address in addresses]
    bad = [(address, kinds) for address, kinds in rated if kinds]
    if bad:
        return _found(bad, unread, row)
    if unread is not None:
        raise unread
    if not addresses:
        return row.clear(say("finding.shared_address.nothing"))
    return row.clear(say("finding.shared_address.clear", n=len(addresses)), *(_seen(address) for address in addresses))


async def _suspicious(odd: Sequence[Oddity], evidence: Evidence, row: SignalRow) -> list[tuple[str, frozenset[str]]]:
    """The addresses of the odd sign-ins, those with the most against them first, without those of habit."""
    read = [*await evidence.sign_ins(), *_or_nothing(await attempted(evidence.background_sign_ins()))]
    odd_ids = {s.sign_in_id for oddity in odd for s in oddity.sign_ins}
    habits = habits_of([s for s in read if s.sign_in_id not in odd_ids], evidence.now)
    kinds: defaultdict[str, set[str]] = defaultdict(set)
    for oddity in odd:
        for sign_in in oddity.sign_ins:
            if sign_in.ip_address and not habits.is_usual_address(sign_in, row.thresholds["habit_days"]):
                kinds[sign_in.ip_address].add(oddity.kind)
    ordered = sorted(kinds.items(), key=lambda item: -len(item[1]))
    return [(address, frozenset(found)) for address, found in ordered[: row.thresholds["addresses"]]]


def _or_nothing(read: tuple[SignIn, ...] | ServiceError) -> tuple[SignIn, ...]:
    return () if isinstance(read, ServiceError) else read


async def _asked(ip_address: str, kinds: frozenset[str], evidence: Evidence, row: SignalRow) -> Address:
    since = evidence.now - row.days("days")
    read = await evidence.directory.sign_ins_from(ip_address, since, limit=_LIMIT)
    others = [s for s in read if _is_somebody_elses(s, evidence)]
    guesses = [s for s in others if s.error_code in words().sign_ins.guess_codes]
    return Address(
        ip_address=ip_address,
        kinds=kinds,
        let_in=_names(s for s in others if s.succeeded and not is_managed(s)),
        tried=_names(guesses),
        is_office=_is_office(others, row),
    )


def _is_somebody_elses(sign_in: SignIn, evidence: Evidence) -> bool:
    """An entry without a user says nothing about anybody."""
    subject = evidence.subject
    if sign_in.user_oid:
        return fold(sign_in.user_oid) != fold(subject.user_oid)
    return fold(sign_in.upn) not in {"", fold(subject.upn)}


def _names(sign_ins: Iterable[SignIn]) -> tuple[str, ...]:
    return tuple(sorted({s.upn or s.user_oid or "?" for s in sign_ins}))


def _is_office(others: Iterable[SignIn], row: SignalRow) -> bool:
    """Many accounts that are let in from there day by day."""
    days: defaultdict[str, set[object]] = defaultdict(set)
    for sign_in in others:
        if sign_in.succeeded and sign_in.at is not None:
            days[fold(sign_in.user_oid or sign_in.upn)].add(when(sign_in).date())
    regulars = [name for name, seen in days.items() if len(seen) >= row.thresholds["office_days"]]
    return len(regulars) >= row.thresholds["office_accounts"]


def _kinds(address: Address, row: SignalRow) -> list[str]:
    """What speaks against an address: names among the row's points."""
    if address.is_office:
        return []
    # Colleagues on the same trip are let in from the same place.
    more_than_a_trip = bool(address.kinds - TRIP_KINDS) or len(address.let_in) >= row.thresholds["many_let_in"]
    tests = {
        "tried": len(address.tried) >= row.thresholds["least_tried"],
        "let_in": bool(address.let_in) and more_than_a_trip,
    }
    return [kind for kind, true in tests.items() if true]


def _found(bad: Sequence[tuple[Address, list[str]]], unread: ServiceError | None, row: SignalRow) -> Finding:
    accounts = {name for address, _ in bad for name in (*address.tried, *address.let_in)}
    notes = () if unread is None else (say("finding.shared_address.background_unread", why=why(unread)),)
    return row.found(
        row.points_for([kind for _, kinds in bad for kind in kinds]),
        say("finding.shared_address.others", n=len(accounts)),
        *(text for address, kinds in bad for text in _told(address, kinds)),
        *notes,
    )


def _told(address: Address, kinds: Sequence[str]) -> list[Text]:
    names = {"tried": address.tried, "let_in": address.let_in}
    return [
        say(f"finding.shared_address.{kind}", ip=address.ip_address, n=len(names[kind]), names=names[kind][:_NAMED])
        for kind in kinds
    ]


def _seen(address: Address) -> Text:
    """Why an address is not held against the account."""
    if address.is_office:
        return say("finding.shared_address.office", ip=address.ip_address)
    return say("finding.shared_address.few", ip=address.ip_address, n=len({*address.let_in, *address.tried}))
