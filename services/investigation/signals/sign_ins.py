"""How the account was signed in to in the last 30 days, compared with its own habits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import SignIn
from services.investigation.evidence import SIGN_IN_DAYS, SIGN_IN_LIMIT, Evidence
from services.investigation.habits import Habits, habits_of, is_managed
from services.investigation.places import Hop, impossible_hops, place_name, when
from services.investigation.table import SignalRow, table, words

#: What is odd about travellers too.
TRIP_KINDS = frozenset({"new_country", "new_country_managed"})
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

    Graph v1.0 lists interactive sign-ins only; the others are a signal of their own. Without Entra ID P2 the risk of a
    sign-in is "hidden", which is told and is not taken for "none".
    Source: "List signIns", 2023; "signIn resource type".
    """
    read = await evidence.sign_ins()
    if not read:
        return row.unknown(UnknownReason.NOT_APPLICABLE, say("finding.sign_ins.none", n=SIGN_IN_DAYS))
    notes = _notes(read, row)
    odd = oddities(read, evidence.started_at, row)
    if not odd:
        return row.clear(say("finding.sign_ins.clear", n=len(read), days=SIGN_IN_DAYS), *notes)
    points = row.points_for([oddity.kind for oddity in odd])
    return row.found(points, odd[0].text, *(oddity.text for oddity in odd[1:]), *_details(odd), *notes)


async def odd_sign_ins(evidence: Evidence) -> tuple[Oddity, ...]:
    """The same oddities for signals that follow them up. Raises: ServiceError when sign-ins cannot be read."""
    return tuple(oddities(await evidence.sign_ins(), evidence.started_at, table().signals["sign_ins"]))


def oddities(read: Sequence[SignIn], started_at: datetime, row: SignalRow) -> list[Oddity]:
    """What is odd about these sign-ins, the heaviest first. Pure. `started_at` is when the block began."""
    in_order = sorted((s for s in read if s.at is not None), key=when)
    recent_from = started_at - row.days("recent_days")
    habits = habits_of(in_order, recent_from)
    found = (
        _guessed(in_order, habits, row) or _sprayed(in_order, habits, row),
        _risky(read),
        _anonymous(read),
        *_new_countries(in_order, recent_from, row),
        _travel(in_order, habits, row),
        _new_legacy_clients(in_order, recent_from, row),
        _new_machine(in_order, habits, recent_from, row),
    )
    return sorted((o for o in found if o is not None), key=lambda o: -row.points[o.kind])


def _guessed(in_order: Sequence[SignIn], habits: Habits, row: SignalRow) -> Oddity | None:
    """
    Many wrong passwords, then a right one from a place that had never been let in before they began.

    A password that is guessed at from elsewhere all the time, while its owner signs in as ever, is not meant.
    """
    window, least = timedelta(minutes=row.thresholds["guess_minutes"]), row.thresholds["guesses"]
    for success, before in _after_guesses(in_order, window, habits):
        if len(before) >= least and _same_place(success, before):
            return Oddity("guessed", (success,), say("finding.sign_ins.guessed", n=len(before), at=when(success)))
    return None


def _sprayed(in_order: Sequence[SignIn], habits: Habits, row: SignalRow) -> Oddity | None:
    """
    Wrong passwords from many addresses within a day, so that none stands out, then a right one from yet another.

    Only from a country where the account is not usually, because most accounts are guessed at from everywhere.
    """
    if habits.count < row.thresholds["least_history"]:
        return None
    window = timedelta(hours=row.thresholds["spray_hours"])
    for success, before in _after_guesses(in_order, window, habits):
        addresses = {guess.ip_address for guess in before if guess.ip_address}
        enough = len(addresses) >= row.thresholds["spray_addresses"]
        if enough and not habits.is_usual_country(success):
            text = say("finding.sign_ins.sprayed", n=len(before), addresses=len(addresses), at=when(success))
            return Oddity("sprayed", (success,), text)
    return None


def _after_guesses(in_order: Sequence[SignIn], window: timedelta, habits: Habits) -> list[tuple[SignIn, list[SignIn]]]:
    """Each success from a new address on a device that is not the owner's, and the wrong passwords just before it."""
    guesses = [s for s in in_order if s.error_code in words().sign_ins.guess_codes]
    trusted: set[str] = set()
    found = []
    for success in _successes(in_order):
        before = [g for g in guesses if when(success) - window <= when(g) < when(success)]
        if before and success.ip_address not in trusted and not habits.is_own_device(success):
            found.append((success, before))
        if not before and success.ip_address:
            trusted.add(success.ip_address)
    return found


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


def _new_countries(in_order: Sequence[SignIn], recent_from: datetime, row: SignalRow) -> list[Oddity]:
    """
    From a country that the account was never in before; only judged where there is a habit to compare with.

    A device that the organisation manages has most likely travelled with its owner, and so it counts for less.
    """
    first = _first_of_its_kind(in_order, lambda s: s.country, recent_from, row.thresholds["least_history"])
    there = [s for s in _successes(in_order) if s.country in first and when(s) >= recent_from]
    managed = [s for s in there if is_managed(s)]
    strange = [s for s in there if not is_managed(s)]
    return [
        *_from_new_countries("new_country", "unusual", strange),
        *_from_new_countries("new_country_managed", "unusual_managed", managed),
    ]


def _from_new_countries(kind: str, text: str, there: Sequence[SignIn]) -> list[Oddity]:
    countries = sorted({s.country or "?" for s in there})
    said = say(f"finding.sign_ins.{text}", n=len(there), countries=countries)
    return [Oddity(kind, tuple(there), said)] if there else []


def _new_legacy_clients(in_order: Sequence[SignIn], recent_from: datetime, row: SignalRow) -> Oddity | None:
    """Through a protocol without second factor that the account did not use before."""
    legacy = words().sign_ins.legacy_clients
    first = _first_of_its_kind(in_order, lambda s: s.client_app, recent_from, row.thresholds["least_history"])
    new = {client for client in first if client.casefold() in legacy}
    there = [s for s in _successes(in_order) if s.client_app in new and when(s) >= recent_from]
    if not there:
        return None
    return Oddity("new_legacy_client", tuple(there), say("finding.sign_ins.legacy", n=len(there), clients=sorted(new)))


def _new_machine(in_order: Sequence[SignIn], habits: Habits, recent_from: datetime, row: SignalRow) -> Oddity | None:
    """From an address and with a kind of program that are both new, on a device that nobody manages: a new computer."""
    if habits.count < row.thresholds["least_history"]:
        return None
    recent = [s for s in _successes(in_order) if when(s) >= recent_from and not habits.is_own_device(s)]
    new = [s for s in recent if not habits.is_usual_address(s, 1) and habits.is_new_kind_of_program(s)]
    return Oddity("new_machine", tuple(new), say("finding.sign_ins.machine", n=len(new))) if new else None


def _first_of_its_kind(
    in_order: Sequence[SignIn], kind_of: Callable[[SignIn], str | None], recent_from: datetime, least_history: int
) -> set[str]:
    """Kinds that were let in for the first time since `recent_from`, after at least so many sign-ins of other kinds."""
    seen: dict[str, int] = {}
    new: set[str] = set()
    for success in _successes(in_order):
        kind = kind_of(success)
        if kind and kind not in seen and sum(seen.values()) >= least_history and when(success) >= recent_from:
            new.add(kind)
        if kind and kind not in new:
            seen[kind] = seen.get(kind, 0) + 1
    return new


def _travel(in_order: Sequence[SignIn], habits: Habits, row: SignalRow) -> Oddity | None:
    """Two places that are too far apart for the time between them."""
    placed = [s for s in _successes(in_order) if s.country or s.latitude is not None]
    hops = impossible_hops(placed, row, habits.is_honest_hop)
    if not hops:
        return None
    return Oddity("travel", (hops[0].one, hops[0].other), travel_text(hops[0]))


def travel_text(hop: Hop) -> Text:
    """Where from, where to, and how fast that would have been."""
    one, other = place_name(hop.one), place_name(hop.other)
    if hop.km is None:
        return say("finding.sign_ins.travel", one=one, other=other, minutes=hop.minutes)
    if hop.minutes == 0:
        return say("finding.sign_ins.travel_at_once", one=one, other=other, km=hop.km)
    km, speed = hop.km, hop.km_per_hour
    return say("finding.sign_ins.travel_fast", one=one, other=other, minutes=hop.minutes, km=km, speed=speed)


def _details(odd: Sequence[Oddity]) -> tuple[Text, ...]:
    """The sign-ins behind all that, each once, newest first."""
    seen = {s.sign_in_id: s for oddity in odd for s in oddity.sign_ins}
    newest = sorted(seen.values(), key=lambda s: s.at.timestamp() if s.at else 0.0, reverse=True)
    return tuple(detail(s) for s in newest[:_TOLD])


def detail(sign_in: SignIn) -> Text:
    """One sign-in: when, from where, with what."""
    place, app = place_name(sign_in), sign_in.client_app or sign_in.app_name or "?"
    return say("finding.sign_ins.detail", at=sign_in.at, ip=sign_in.ip_address or "?", country=place, app=app)


def _notes(read: Sequence[SignIn], row: SignalRow) -> tuple[Text, ...]:
    notes = []
    if any(s.risk_hidden for s in read):
        notes.append(say("finding.sign_ins.risk_hidden"))
    if len(_successes(read)) <= row.thresholds["least_history"]:
        notes.append(say("finding.sign_ins.few", n=len(_successes(read))))
    if len(read) >= SIGN_IN_LIMIT:
        notes.append(say("finding.sign_ins.cut_off", n=SIGN_IN_LIMIT))
    return tuple(notes)


def _successes(sign_ins: Iterable[SignIn]) -> list[SignIn]:
    return [s for s in sign_ins if s.succeeded]


def _level(sign_in: SignIn) -> str:
    return (sign_in.risk_level or sign_in.risk_level_aggregated or "").casefold()


def _settled(sign_in: SignIn) -> bool:
    return (sign_in.risk_state or "").casefold() in words().sign_ins.settled_states
