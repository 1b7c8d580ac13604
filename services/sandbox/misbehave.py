"""Faults on order: which requests go wrong, how, and how often."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """How a request can go wrong."""

    THROTTLE = "throttle"
    THROTTLE_WITHOUT_RETRY_AFTER = "throttle_without_retry_after"
    UNAVAILABLE = "unavailable"
    SLOW = "slow"
    BROKEN_JSON = "broken_json"
    LICENCE = "licence"
    FORBIDDEN = "forbidden"
    DROP_CONNECTION = "drop_connection"


@dataclass(frozen=True)
class Match:
    """Which requests are meant; an empty field means any. `service` is login, graph or exchange."""

    service: str = ""
    method: str = ""
    path_regex: str = ""
    cmdlet: str = ""

    def fits(self, service: str, method: str, path: str, cmdlet: str) -> bool:
        """Whether a request is meant; the path includes the query and is searched without regard to case."""
        return (
            self.service in ("", service)
            and self.method.upper() in ("", method)
            and self.cmdlet.lower() in ("", cmdlet.lower())
            and (not self.path_regex or re.search(self.path_regex, path, re.IGNORECASE) is not None)
        )


@dataclass
class Fault:
    """
    One fault on order. `times` counts down; below zero means for ever.

    With `after` the request is carried out first and only its answer suffers: the change is made, the answer is lost.
    """

    match: Match
    kind: FaultKind
    times: int = 1
    retry_after_s: int = 1
    seconds: float = 1.0
    after: bool = False


@dataclass
class Faults:
    """All faults on order, first come first served."""

    ordered: list[Fault] = field(default_factory=list)

    def add(self, order: dict[str, Any]) -> Fault:
        """Order a fault from its JSON form. Raises: ValueError, TypeError for an unknown kind or field."""
        fields = dict(order)
        match = Match(**fields.pop("match", {}))
        re.compile(match.path_regex)
        fault = Fault(match=match, kind=FaultKind(fields.pop("kind")), **fields)
        self.ordered.append(fault)
        return fault

    def clear(self) -> None:
        """Everything works again."""
        self.ordered.clear()

    def take(self, service: str, method: str, path: str, cmdlet: str = "") -> Fault | None:
        """The fault that strikes this request, counted down, or None."""
        for fault in self.ordered:
            if fault.times != 0 and fault.match.fits(service, method, path, cmdlet):
                fault.times -= 1
                return fault
        return None


class ConnectionDropped(Exception):
    """The answer must not be sent: the connection is cut instead."""
