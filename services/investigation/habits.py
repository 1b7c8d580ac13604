"""From where, with what and how an account is usually signed in to. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from services.clients.graph_models import SignIn
from services.investigation.places import when


@dataclass(frozen=True)
class Habits:
    """What an account's successful sign-ins have in common up to some moment. Everything is casefolded."""

    #: How many there were; few are no habit.
    count: int
    #: Country -> days on which somebody signed in from there.
    countries: dict[str, frozenset[date]]
    #: Address -> the same.
    addresses: dict[str, frozenset[date]]
    #: Names of devices that the directory knows.
    devices: frozenset[str]
    #: Program by which, as its user agent, or as system and browser.
    programs: frozenset[str]

    def is_usual_country(self, sign_in: SignIn, least_days: int = 2) -> bool:
        return len(self.countries.get(fold(sign_in.country), ())) >= least_days

    def is_usual_address(self, sign_in: SignIn, least_days: int) -> bool:
        return len(self.addresses.get(fold(sign_in.ip_address), ())) >= least_days

    def is_own_device(self, sign_in: SignIn) -> bool:
        """A device that the organisation manages, or that was used before; neither can be claimed without its key."""
        return is_managed(sign_in) or (fold(sign_in.device_name) in self.devices)

    def knows_program(self, sign_in: SignIn) -> bool:
        return program_of(sign_in) in self.programs

    def is_new_kind_of_program(self, sign_in: SignIn) -> bool:
        """Whether no version of its program was used before; False when Microsoft does not say what it was."""
        kind = without_version(program_of(sign_in))
        return kind != "" and kind not in {without_version(program) for program in self.programs}

    def is_owners(self, sign_in: SignIn) -> bool:
        """On a device of the owner, or by a program and from a country that both belong to the account's habits."""
        return self.is_own_device(sign_in) or (self.knows_program(sign_in) and self.is_usual_country(sign_in))

    def is_honest_hop(self, one: SignIn, other: SignIn) -> bool:
        """
        Whether two far places are explained without an attacker: both are the owner's, as with a laptop behind a
        virtual private network and a phone at home, or the same program in two countries that are both usual.
        """
        if self.is_owners(one) and self.is_owners(other):
            return True
        same_program = program_of(one) != "" and program_of(one) == program_of(other)
        return same_program and self.is_usual_country(one) and self.is_usual_country(other)


def habits_of(sign_ins: Iterable[SignIn], until: datetime) -> Habits:
    """The habits that successful sign-ins show up to a moment; those without a time are left out."""
    past = [s for s in sign_ins if s.succeeded and s.at is not None and s.at < until]
    return Habits(
        count=len(past),
        countries=_days(past, "country"),
        addresses=_days(past, "ip_address"),
        devices=frozenset(fold(s.device_name) for s in past) - {""},
        programs=frozenset(program_of(s) for s in past) - {""},
    )


def _days(sign_ins: Iterable[SignIn], field: str) -> dict[str, frozenset[date]]:
    days: defaultdict[str, set[date]] = defaultdict(set)
    for sign_in in sign_ins:
        days[fold(getattr(sign_in, field))].add(when(sign_in).date())
    return {name: frozenset(seen) for name, seen in days.items() if name}


def is_managed(sign_in: SignIn) -> bool:
    return sign_in.is_managed is True or sign_in.is_compliant is True


def program_of(sign_in: SignIn) -> str:
    """What the sign-in was done with; "" when Microsoft does not say."""
    if sign_in.user_agent:
        return fold(sign_in.user_agent)
    return fold(f"{sign_in.operating_system} {sign_in.browser}") if sign_in.operating_system and sign_in.browser else ""


def without_version(program: str) -> str:
    """The name of a program, so that it stays the same when it is updated."""
    return " ".join(re.sub(r"[\d._]+", " ", program).split())


def fold(text: str | None) -> str:
    return (text or "").strip().casefold()
