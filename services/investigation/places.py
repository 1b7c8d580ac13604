"""How far apart sign-ins were, and whether somebody could have travelled that fast. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from math import asin, cos, radians, sin, sqrt

from services.clients.graph_models import SignIn
from services.investigation.table import SignalRow

EARTH_RADIUS_KM = 6371.0
#: Two sign-ins at the same moment are treated as a minute apart, so that there is a speed to tell.
_LEAST_MINUTES = 1.0


@dataclass(frozen=True)
class Hop:
    """Two successful sign-ins in a row that were too far apart for the time between them."""

    one: SignIn
    other: SignIn
    minutes: int
    #: None when only the countries are known.
    km: int | None = None
    km_per_hour: int | None = None


def distance_km(one: SignIn, other: SignIn) -> float | None:
    """Along the great circle (haversine formula); None when one of the places is not known."""
    if None in (one.latitude, one.longitude, other.latitude, other.longitude):
        return None
    south, west, north, east = (
        radians(degrees or 0.0) for degrees in (one.latitude, one.longitude, other.latitude, other.longitude)
    )
    half = sin((north - south) / 2) ** 2 + cos(south) * cos(north) * sin((east - west) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(1.0, half)))


def impossible_hops(
    in_order: Iterable[SignIn], row: SignalRow, is_honest: Callable[[SignIn, SignIn], bool]
) -> list[Hop]:
    """
    The hops that nobody can have made, the fastest first. `in_order` is oldest first, all with a time and successful.

    With coordinates: further than `travel_km` at more than `travel_km_per_hour`, which leaves airliners and the
    misplacing of addresses out. Without them: two countries within `travel_minutes`.
    """
    hops = [hop for one, other in pairwise(in_order) if (hop := _hop(one, other, row)) and not is_honest(one, other)]
    return sorted(hops, key=lambda hop: -(hop.km_per_hour or 0))


def _hop(one: SignIn, other: SignIn, row: SignalRow) -> Hop | None:
    minutes = (when(other) - when(one)).total_seconds() / 60
    km = distance_km(one, other)
    if km is None:
        apart = bool(one.country and other.country and one.country.casefold() != other.country.casefold())
        return Hop(one, other, int(minutes)) if apart and minutes <= row.thresholds["travel_minutes"] else None
    speed = km / (max(minutes, _LEAST_MINUTES) / 60)
    if km <= row.thresholds["travel_km"] or speed <= row.thresholds["travel_km_per_hour"]:
        return None
    return Hop(one, other, int(minutes), round(km), round(speed))


def is_near(one: SignIn, other: SignIn, row: SignalRow) -> bool:
    """Whether two places are within `travel_km` of each other; without coordinates, in the same country."""
    km = distance_km(one, other)
    if km is None:
        return (one.country or "").casefold() == (other.country or "").casefold()
    return km <= row.thresholds["travel_km"]


def place_name(sign_in: SignIn) -> str:
    """The city and the country, as far as Microsoft knows them."""
    return ", ".join(part for part in (sign_in.city, sign_in.country) if part) or sign_in.ip_address or "?"


def when(sign_in: SignIn) -> datetime:
    """The time of a sign-in that has one."""
    assert sign_in.at is not None, "sign-ins without a time are left out before"
    return sign_in.at
