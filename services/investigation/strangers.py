"""From which addresses the account was used by somebody who may not be its owner."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.clients.graph_models import SignIn
from services.errors import ServiceError
from services.investigation.evidence import Evidence, Read, attempted
from services.investigation.habits import habits_of
from services.investigation.records import plain_address
from services.investigation.signals.sign_ins import Oddity, odd_sign_ins
from services.investigation.signals.sign_ins_background import odd_background_sign_ins
from services.investigation.table import table

#: Points of the oddities from which on an address is worth to be followed up at all: less has an honest explanation.
_LEAST_POINTS = 10


@dataclass(frozen=True)
class Strangers:
    """
    Addresses of odd sign-ins, without those that the account was usually in from.

    `suspicious` are those whose oddities would make an account suspected by themselves. From a `new_place` there is
    less than that, such as a first sign-in from a country: travellers do what they always do, only elsewhere.
    """

    suspicious: frozenset[str] = field(default_factory=frozenset)
    new_places: frozenset[str] = field(default_factory=frozenset)

    def kind_of(self, addresses: Iterable[str | None]) -> str | None:
        """What the worst of these addresses is, as a name among a row's points; None when all are as usual."""
        seen = set(addresses)
        if seen & self.suspicious:
            return "stranger"
        return "new_place" if seen & self.new_places else None


async def strangers_of(evidence: Evidence) -> Strangers:
    """
    Whom to look for in the logs that tell addresses.

    Nobody when sign-ins cannot be read: then nothing gets worse by them, and nothing may be called clear for it.
    """
    interactive, background = await asyncio.gather(
        attempted(odd_sign_ins(evidence)), attempted(odd_background_sign_ins(evidence))
    )
    points = _points(_or_none(interactive), "sign_ins")
    for address, more in _points(_or_none(background), "sign_ins_background").items():
        points[address] += more
    usual = await _usual_addresses(evidence, [*_or_none(interactive), *_or_none(background)])
    odd = {address: total for address, total in points.items() if total >= _LEAST_POINTS and address not in usual}
    suspected_from = table().verdict.suspected_from
    return Strangers(
        suspicious=frozenset(address for address, total in odd.items() if total >= suspected_from),
        new_places=frozenset(address for address, total in odd.items() if total < suspected_from),
    )


def _points(odd: Iterable[Oddity], signal_id: str) -> defaultdict[str, int]:
    """By address, what the oddities of its successful sign-ins weigh, each kind once."""
    row, found = table().signals[signal_id], defaultdict(int)
    for oddity in odd:
        addresses = {plain_address(s.ip_address) for s in oddity.sign_ins if s.succeeded}
        for address in addresses - {None}:
            found[address] += row.points[oddity.kind]
    return found


async def _usual_addresses(evidence: Evidence, odd: Iterable[Oddity]) -> frozenset[str | None]:
    """From where the account was let in on several days without anything odd."""
    odd_ids = {sign_in.sign_in_id for oddity in odd for sign_in in oddity.sign_ins}
    read: tuple[SignIn, ...] = _or_none(await attempted(evidence.sign_ins()))
    habits = habits_of([s for s in read if s.sign_in_id not in odd_ids], evidence.now)
    least = table().signals["shared_address"].thresholds["habit_days"]
    return frozenset(plain_address(address) for address, days in habits.addresses.items() if len(days) >= least)


def _or_none(read: tuple[Read, ...] | ServiceError) -> tuple[Read, ...]:
    return () if isinstance(read, ServiceError) else read
