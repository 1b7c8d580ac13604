"""Sign-ins that programs did in the account's name, compared with where and with what its owner signs in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.cases import Finding, Text, UnknownReason, say
from services.clients.graph_models import SignIn
from services.errors import ServiceError
from services.investigation.evidence import SIGN_IN_DAYS, SIGN_IN_LIMIT, Evidence, attempted
from services.investigation.habits import Habits, fold, habits_of, program_of
from services.investigation.places import Hop, impossible_hops, is_near, when
from services.investigation.signals.sign_ins import Oddity, detail, travel_text
from services.investigation.table import SignalRow, table

#: How many sign-ins are told one by one.
_TOLD = 4


@dataclass(frozen=True)
class Both:
    """Background and interactive sign-ins that were let in, oldest first, each with a time."""

    background: tuple[SignIn, ...]
    interactive: tuple[SignIn, ...]

    @property
    def merged(self) -> list[SignIn]:
        return sorted((*self.background, *self.interactive), key=when)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Token use from a country that no person signed in from, or while the person was far away, or by a new program.

    A stolen token leaves nothing but such sign-ins. An address alone says little: phones change theirs all day. They
    are listed by Graph beta only, and neither that call nor its filter is verified against a live tenant.
    Source: "List signIns" (beta, signInEventTypes), 2023.
    """
    read, interactive = await asyncio.gather(attempted(evidence.background_sign_ins()), attempted(evidence.sign_ins()))
    if isinstance(read, ServiceError):
        raise read
    background = [s for s in read if s.is_interactive is not True]
    if not background:
        return row.unknown(UnknownReason.NOT_APPLICABLE, say("finding.sign_ins_background.none", n=SIGN_IN_DAYS))
    both = Both(_let_in(background), _let_in(() if isinstance(interactive, ServiceError) else interactive))
    odd = background_oddities(both, evidence.started_at, row)
    if odd:
        points = row.points_for([oddity.kind for oddity in odd])
        return row.found(points, odd[0].text, *(o.text for o in odd[1:]), *_details(odd), *_notes(read))
    if isinstance(interactive, ServiceError) and not _can_compare(both, evidence.started_at, row):
        raise interactive
    return row.clear(say("finding.sign_ins_background.clear", n=len(background), days=SIGN_IN_DAYS), *_notes(read))


async def odd_background_sign_ins(evidence: Evidence) -> tuple[Oddity, ...]:
    """The same oddities for signals that follow them up. Raises: ServiceError."""
    read, interactive = await asyncio.gather(evidence.background_sign_ins(), evidence.sign_ins())
    both = Both(_let_in([s for s in read if s.is_interactive is not True]), _let_in(interactive))
    return tuple(background_oddities(both, evidence.started_at, table().signals["sign_ins_background"]))


def background_oddities(both: Both, started_at: datetime, row: SignalRow) -> list[Oddity]:
    """What is odd about the background sign-ins, the heaviest first. Pure."""
    habits = _habits(both, started_at, row)
    recent = [s for s in both.background if when(s) >= started_at - row.days("recent_days")]
    found = [_elsewhere(both, recent, habits, row)]
    if _can_compare(both, started_at, row):
        found.append(_new_country(both, recent, habits))
    if habits.count >= row.thresholds["least_history"]:
        found.append(_new_program(both, recent, habits))  # to a newcomer every program is new
    return sorted((o for o in found if o is not None), key=lambda o: -row.points[o.kind])


def _new_country(both: Both, recent: Sequence[SignIn], habits: Habits) -> Oddity | None:
    """From where no person has signed in, not even lately: such a trip is told among the interactive sign-ins."""
    seen = set(habits.countries) | {fold(s.country) for s in both.interactive}
    new = [s for s in recent if s.country and fold(s.country) not in seen and not habits.is_own_device(s)]
    if not new:
        return None
    countries = sorted({s.country or "" for s in new})
    return Oddity("new_country", tuple(new), say("finding.sign_ins_background.new", n=len(new), countries=countries))


def _elsewhere(both: Both, recent: Sequence[SignIn], habits: Habits, row: SignalRow) -> Oddity | None:
    """
    A token was used in one place while the account was busy in another, too far away.

    Only where no person was ever near: the computer that a traveller left running at home renews its tokens, too.
    """
    placed = [s for s in both.merged if s.country or s.latitude is not None]
    lately = {s.sign_in_id for s in recent}
    known = [*both.interactive, *(s for s in both.background if s.sign_in_id not in lately)]
    ours = {s.sign_in_id for s in recent if not any(is_near(s, other, row) for other in known)}
    hops = [hop for hop in impossible_hops(placed, row, habits.is_honest_hop) if _one_of(hop, ours)]
    if not hops:
        return None
    strange = tuple(s for s in (hops[0].one, hops[0].other) if s.sign_in_id in ours)
    return Oddity("elsewhere", strange, say("finding.sign_ins_background.elsewhere", travel=travel_text(hops[0])))


def _one_of(hop: Hop, background_ids: set[str]) -> bool:
    return hop.one.sign_in_id in background_ids or hop.other.sign_in_id in background_ids


def _new_program(both: Both, recent: Sequence[SignIn], habits: Habits) -> Oddity | None:
    """From an address and by a program that are both new: a token that was taken along to another machine."""
    addresses = set(habits.addresses) | {fold(s.ip_address) for s in both.interactive}
    programs = habits.programs | {program_of(s) for s in both.interactive}
    new = [
        s
        for s in recent
        if s.ip_address and fold(s.ip_address) not in addresses and program_of(s) not in {"", *programs}
    ]
    new = [s for s in new if not habits.is_own_device(s)]
    return Oddity("new_program", tuple(new), say("finding.sign_ins_background.program", n=len(new))) if new else None


def _habits(both: Both, started_at: datetime, row: SignalRow) -> Habits:
    return habits_of(both.merged, started_at - row.days("recent_days"))


def _can_compare(both: Both, started_at: datetime, row: SignalRow) -> bool:
    """Whether enough is known of where the owner signs in from, or has long been signed in from."""
    old = [s for s in both.background if when(s) < started_at - row.days("recent_days")]
    return len(both.interactive) + len(old) >= row.thresholds["least_history"]


def _let_in(sign_ins: Sequence[SignIn]) -> tuple[SignIn, ...]:
    return tuple(sorted((s for s in sign_ins if s.succeeded and s.at is not None), key=when))


def _details(odd: Sequence[Oddity]) -> tuple[Text, ...]:
    seen = {s.sign_in_id: s for oddity in odd for s in oddity.sign_ins}
    return tuple(detail(s) for s in sorted(seen.values(), key=when, reverse=True)[:_TOLD])


def _notes(read: Sequence[SignIn]) -> tuple[Text, ...]:
    return (say("finding.sign_ins.cut_off", n=SIGN_IN_LIMIT),) if len(read) >= SIGN_IN_LIMIT else ()
