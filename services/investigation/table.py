"""
The numbers and words that the signals work with, from `weights.toml` and `words.toml`: read and checked once.

Adding a signal is a row in `weights.toml` and a file of the row's name in `signals/`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.cases import Finding, SignalState, Text, UnknownReason

_HERE = Path(__file__).parent


class _Checked(BaseModel):
    """A part of a data file: an unknown name in it is a slip of the pen and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class VerdictRow(_Checked):
    """From which score on which verdict is given."""

    compromised_from: int = Field(gt=0)
    suspected_from: int = Field(gt=0)
    #: Share of the weights, 0 to 1.
    least_completeness: float = Field(ge=0, le=1)
    low_completeness: float = Field(ge=0, le=1)
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.suspected_from >= self.compromised_from:
            raise ValueError("suspected_from must be below compromised_from")
        return self


class SignalRow(_Checked):
    """One signal's weight, points and thresholds; and the findings that it may come to."""

    signal_id: str
    #: The most that it can add to the score.
    weight: int = Field(gt=0)
    source: str = Field(min_length=1)
    #: What the tenant must have bought for it to be readable, as Microsoft names it.
    licence: str | None = None
    #: Kind of evidence -> what it adds.
    points: Mapping[str, int] = Field(default_factory=dict)
    thresholds: Mapping[str, int] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        """Points may be 0, for what is told and adds nothing; a threshold of 0 would be no threshold."""
        for name, number in self.points.items():
            if number < 0:
                raise ValueError(f"{self.signal_id}.{name} must not be below 0")
        for name, number in self.thresholds.items():
            if number <= 0:
                raise ValueError(f"{self.signal_id}.{name} must be above 0")
        return self

    def days(self, threshold: str) -> timedelta:
        return timedelta(days=self.thresholds[threshold])

    def points_for(self, kinds: Sequence[str]) -> int:
        """The points of each kind, counted once, up to the weight."""
        return min(self.weight, sum(self.points[kind] for kind in set(kinds)))

    def found(self, points: int, summary: Text, *evidence: Text, targets: Sequence[Mapping[str, Any]] = ()) -> Finding:
        """Evidence, worth this many points."""
        return Finding(
            signal_id=self.signal_id,
            state=SignalState.FOUND,
            summary=summary,
            weight=max(0, min(self.weight, points)),
            evidence=evidence,
            targets=tuple(dict(target) for target in targets),
        )

    def clear(self, summary: Text, *evidence: Text) -> Finding:
        """It was read, and there is nothing."""
        return Finding(signal_id=self.signal_id, state=SignalState.CLEAR, summary=summary, evidence=evidence)

    def unknown(self, reason: UnknownReason, summary: Text, *evidence: Text) -> Finding:
        """It could not be read, or not enough of it to judge."""
        return Finding(
            signal_id=self.signal_id,
            state=SignalState.UNKNOWN,
            summary=summary,
            unknown_reason=reason,
            evidence=evidence,
        )


class Table(_Checked):
    """All rows, in the order of the file."""

    verdict: VerdictRow
    signals: Mapping[str, SignalRow] = Field(min_length=1)

    @property
    def total_weight(self) -> int:
        return sum(row.weight for row in self.signals.values())


def parse_table(text: str) -> Table:
    """The table of a TOML text. Raises: tomllib.TOMLDecodeError, pydantic.ValidationError."""
    data = tomllib.loads(text)
    rows = {name: {"signal_id": name, **row} for name, row in data.get("signals", {}).items()}
    return Table.model_validate({**data, "signals": rows})


@lru_cache(maxsize=1)
def table() -> Table:
    """What is in `weights.toml`."""
    return parse_table((_HERE / "weights.toml").read_text(encoding="utf-8"))


class _Folders(_Checked):
    source: str
    hides: frozenset[str]
    tidies: frozenset[str]


class _Rules(_Checked):
    source: str
    own: tuple[str, ...]
    words: frozenset[str]


class _SignIns(_Checked):
    source: str
    guess_codes: frozenset[int]
    legacy_clients: frozenset[str]
    anonymous_events: frozenset[str]
    settled_states: frozenset[str]


class _OAuth(_Checked):
    source: str
    mail_scopes: tuple[str, ...]
    other_risky_scopes: tuple[str, ...]
    microsoft_tenants: frozenset[str]


class _AuthMethods(_Checked):
    source: str
    registered_activities: frozenset[str]


class _Delegates(_Checked):
    source: str
    exchange_own: tuple[str, ...]
    everybody: frozenset[str]
    write: frozenset[str]
    read: frozenset[str]
    added_operations: frozenset[str]


class _AdminRoles(_Checked):
    source: str
    added_activities: frozenset[str]


class _Passwords(_Checked):
    source: str
    changed_activities: frozenset[str]


class _Profile(_Checked):
    source: str
    changed_activities: frozenset[str]
    kinds: Mapping[str, frozenset[str]]


class _MailboxAudit(_Checked):
    source: str
    deletes: frozenset[str]
    rules: frozenset[str]
    permissions: frozenset[str]
    transport: frozenset[str]
    mailbox: frozenset[str]
    protocols: frozenset[str]
    auditing: frozenset[str]
    reads: frozenset[str]
    sends: frozenset[str]
    sends_out: frozenset[str]
    sent_folders: frozenset[str]


class _Sent(_Checked):
    source: str
    failed_statuses: frozenset[str]


class _Scam(_Checked):
    source: str
    scam: frozenset[str]
    business: frozenset[str]


class _Signature(_Checked):
    source: str
    money: frozenset[str]
    shorteners: frozenset[str]


class _Alerts(_Checked):
    source: str
    block_titles: tuple[str, ...]
    volume_titles: tuple[str, ...]
    harmless: frozenset[str]
    confirmed: frozenset[str]


class Words(_Checked):
    """What the signals compare with. Everything is casefolded, but for the beginnings of the names of rules."""

    folders: _Folders
    rules: _Rules
    sign_ins: _SignIns
    oauth: _OAuth
    auth_methods: _AuthMethods
    delegates: _Delegates
    admin_roles: _AdminRoles
    passwords: _Passwords
    profile: _Profile
    mailbox_audit: _MailboxAudit
    sent: _Sent
    scam: _Scam
    signature: _Signature
    alerts: _Alerts


@lru_cache(maxsize=1)
def words() -> Words:
    """What is in `words.toml`."""
    data = tomllib.loads((_HERE / "words.toml").read_text(encoding="utf-8"))
    return Words.model_validate(_casefolded(data, keep=("own",)))


def _casefolded(value: Any, keep: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {name: item if name in keep else _casefolded(item, keep) for name, item in value.items()}
    if isinstance(value, list):
        return [_casefolded(item, keep) for item in value]
    return value.casefold() if isinstance(value, str) else value
