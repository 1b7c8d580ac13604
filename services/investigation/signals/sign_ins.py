"""How the account was signed in to in the last 30 days, compared with its own habits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import SignIn
from services.investigation.evidence import Evidence
from services.investigation.table import SignalRow, words

#: How many suspicious sign-ins are told one by one.
_TOLD = 5


@dataclass(frozen=True)
class Oddity:
    """One kind of evidence (a name among the row's points), the sign-ins that show it, and a text for it."""

    kind: str
    sign_ins: tuple[SignIn, ...]
    text: Text


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Odd sign-ins: which, from where, when.

    Graph v1.0 lists interactive sign-ins only, and without coordinates in what we read, travel is judged by country.
    Without Entra ID P2 the risk of a sign-in is "hidden", which is told and is not taken for "none".
    Source: "List signIns", 2023; "signIn resource type".
    """
    limit = row.thresholds["limit"]
    read = await evidence.directory.sign_ins(evidence.subject.user_oid, evidence.now - row.days("days"), limit=limit)
    if not read:
        return row.unknown(UnknownReason.NOT_APPLICABLE, say("finding.sign_ins.none", n=row.thresholds["days"]))
    notes = _notes(read, limit)
    odd = oddities(read, evidence.started_at, row)
    if not odd:
        return row.clear(say("finding.sign_ins.clear", n=len(read), days=row.thresholds["days"]), *notes)
    points = row.points_for([oddity.kind for oddity in odd])
    return row.found(points, odd[0].text, *(oddity.text for oddity in odd[1:]), *_details(odd), *notes)


def oddities(read: Sequence[SignIn], started_at: datetime, row: SignalRow) -> list[Oddity]:
    """What is odd about these sign-ins, the heaviest first. Pure. `started_at` is when the block began."""
    in_order = sorted((s for s in read if s.at is not None), key=_at)
    recent_from = started_at - row.days("recent_days")
    found = (
        _guessed(in_order, row),
        _risky(read),
        _anonymous(read),
        _new_countries(in_order, recent_from, row),
        _travel(in_order, row),
        _new_legacy_clients(in_order, recent_from, row),
    )
    return sorted((o for o in found if o is not None), key=lambda o: -row.points[o.kind])


def _guessed(in_order: Sequence[SignIn], row: SignalRow) -> Oddity | None:
    """
    Many wrong passwords, then a right one from a place that had never been let in before they began.

    A password that is guessed at from elsewhere all the time, while its owner signs in as ever, is not meant.
    """
    window, least = timedelta(minutes=row.thresholds["guess_minutes"]), row.thresholds["guesses"]
    guesses = [s for s in in_order if s.error_code in words().sign_ins.guess_codes]
    trusted_places: set[str] = set()
    for success in _successes(in_order):
        before = [g for g in guesses if _at(success) - window <= _at(g) < _at(success)]
        if len(before) >= least and success.ip_address not in trusted_places and _same_place(success, before):
            return Oddity("guessed", (success,), say("finding.sign_ins.guessed", n=len(before), at=_at(success)))
        if not before and success.ip_address:
            trusted_places.add(success.ip_address)
    return None


def _same_place(success: SignIn, guesses: Sequence[SignIn]) -> bool:
    return any(
        (success.ip_address and success.ip_address == guess.ip_address)
        or (success.country and success.country == guess.country)
        for guess in guesses
    )


def _risky(read: Iterable[SignIn]) -> Oddity | None:
    """Sign-ins that Entra held to be risky, that succeeded, and that nobody has declared safe since."""
    risky = [s for s in read if s.succeeded and not _settled(s) and _level(s) in ("medium", "high")]
    return Oddity("risky", tuple(risky), say("finding.sign_ins.risky", n=len(risky))) if risky else None


def _anonymous(read: Iterable[SignIn]) -> Oddity | None:
    """Through an anonymiser, or from an address that Microsoft knows as malicious."""
    bad = words().sign_ins.anonymous_events
    seen = [s for s in read if s.succeeded and not _settled(s) and bad & {event.casefold() for event in s.risk_events}]
    return Oddity("anonymous", tuple(seen), say("finding.sign_ins.anonymous", n=len(seen))) if seen else None


def _new_countries(in_order: Sequence[SignIn], recent_from: datetime, row: SignalRow) -> Oddity | None:
    """From a country that the account was never in before; only judged where there is a habit to compare with."""
    first = _first_of_its_kind(in_order, lambda s: s.country, recent_from, row.thresholds["least_history"])
    if not first:
        return None
    there = [s for s in _successes(in_order) if s.country in first and _at(s) >= recent_from]
    return Oddity("new_country", tuple(there), say("finding.sign_ins.unusual", n=len(there), countries=sorted(first)))


def _new_legacy_clients(in_order: Sequence[SignIn], recent_from: datetime, row: SignalRow) -> Oddity | None:
    """Through a protocol without second factor that the account did not use before."""
    legacy = words().sign_ins.legacy_clients
    first = _first_of_its_kind(in_order, lambda s: s.client_app, recent_from, row.thresholds["least_history"])
    new = {client for client in first if client.casefold() in legacy}
    there = [s for s in _successes(in_order) if s.client_app in new and _at(s) >= recent_from]
    if not there:
        return None
    return Oddity("new_legacy_client", tuple(there), say("finding.sign_ins.legacy", n=len(there), clients=sorted(new)))


def _first_of_its_kind(in_order: Sequence[SignIn], kind_of, recent_from: datetime, least_history: int) -> set[str]:
    """Kinds that were let in for the first time since `recent_from`, after at least so many sign-ins of other kinds."""
    seen: dict[str, int] = {}
    new: set[str] = set()
    for success in _successes(in_order):
        kind = kind_of(success)
        if kind and kind not in seen and sum(seen.values()) >= least_history and _at(success) >= recent_from:
            new.add(kind)
        if kind and kind not in new:
            seen[kind] = seen.get(kind, 0) + 1
    return new


def _travel(in_order: Sequence[SignIn], row: SignalRow) -> Oddity | None:
    """Two countries within an hour."""
    window = timedelta(minutes=row.thresholds["travel_minutes"])
    placed = [s for s in _successes(in_order) if s.country]
    for one, next_one in pairwise(placed):
        if one.country != next_one.country and _at(next_one) - _at(one) <= window:
            minutes = int((_at(next_one) - _at(one)).total_seconds() // 60)
            text = say("finding.sign_ins.travel", one=one.country, other=next_one.country, minutes=minutes)
            return Oddity("travel", (one, next_one), text)
    return None


def _details(odd: Sequence[Oddity]) -> tuple[Text, ...]:
    """The sign-ins behind all that, each once, newest first."""
    seen = {s.sign_in_id: s for oddity in odd for s in oddity.sign_ins}
    newest = sorted(seen.values(), key=lambda s: s.at.timestamp() if s.at else 0.0, reverse=True)
    return tuple(
        say(
            "finding.sign_ins.detail",
            at=s.at,
            ip=s.ip_address,
            country=s.country or "?",
            app=s.client_app or s.app_name,
        )
        for s in newest[:_TOLD]
    )


def _notes(read: Sequence[SignIn], limit: int) -> tuple[Text, ...]:
    notes = []
    if any(s.risk_hidden for s in read):
        notes.append(say("finding.sign_ins.risk_hidden"))
    if len(read) >= limit:
        notes.append(say("finding.sign_ins.cut_off", n=limit))
    return tuple(notes)


def _successes(sign_ins: Iterable[SignIn]) -> list[SignIn]:
    return [s for s in sign_ins if s.succeeded]


def _level(sign_in: SignIn) -> str:
    return (sign_in.risk_level or sign_in.risk_level_aggregated or "").casefold()


def _settled(sign_in: SignIn) -> bool:
    return (sign_in.risk_state or "").casefold() in words().sign_ins.settled_states


def _at(sign_in: SignIn) -> datetime:
    assert sign_in.at is not None, "sign-ins without a time are left out before"
    return sign_in.at
