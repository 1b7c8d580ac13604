"""The section `[approvals]` as it is written, with its defaults and its checks. See `docs/approvals.toml`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationInfo, field_validator, model_validator

from services.cases import Impact, VerdictLabel
from services.policy.fields import (
    ON_CALL,
    Accounts,
    AuthenticationContext,
    Chain,
    Count,
    CountOrNever,
    Days,
    Impacts,
    Minutes,
    Moments,
    People,
    TimeOfDay,
    TimeZone,
    Verdicts,
)

__all__ = ["DEFAULT_COUNTS", "ON_CALL", "Hours", "Outside", "Policy", "ProtectedKind", "Rule", "StepUp", "policy_of"]

#: How many approvers an impact needs while no rule says otherwise.
DEFAULT_COUNTS: Mapping[Impact, int] = {Impact.LOW: 1, Impact.MEDIUM: 1, Impact.HIGH: 2, Impact.CRITICAL: 2}


class StepUp(StrEnum):
    """For what the approver has to sign in anew."""

    OFF = "off"
    CRITICAL = "critical"


class ProtectedKind(StrEnum):
    """Accounts that need more care than others."""

    VIP = "vip"
    SERVICE = "service"
    BREAK_GLASS = "break_glass"
    ADMINS = "admins"  # whoever holds a directory role


class _Section(BaseModel):
    """Fixed once read, and a key that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Rule(_Section):
    """What some impacts need, with some verdicts or with any. What it leaves out stays as it is by default."""

    impacts: Impacts = Field(default=tuple(Impact), alias="impact")
    verdicts: Verdicts = Field(default=tuple(VerdictLabel), alias="verdict")
    approvers: Count | None = None
    who: People | None = Field(default=None, alias="from")
    #: Whether who asked may be among the approvers.
    self_approval: StrictBool = False

    @field_validator("self_approval")
    @classmethod
    def _only_for_low_impact(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("impacts", (Impact.LOW,)) != (Impact.LOW,):
            raise ValueError('is only for low impact; write impact = "low" in the same rule')
        return value

    def fits(self, impact: Impact, verdict: VerdictLabel) -> bool:
        return impact in self.impacts and verdict in self.verdicts


class Override(_Section):
    """What unblocking needs although containment is not proven, at least."""

    approvers: Count = 2
    who: People | None = Field(default=None, alias="from")
    self_approval: StrictBool = False

    @field_validator("self_approval")
    @classmethod
    def _never(cls, value: bool) -> bool:
        if value:
            raise ValueError("is never for an override")
        return value


class ProtectedAdmins(_Section):
    """What a change to such an account needs at least; "never" leaves it to people."""

    approvers: CountOrNever = 2


class ProtectedAccounts(ProtectedAdmins):
    accounts: Accounts


class Protected(_Section):
    """One entry for each `ProtectedKind`, None where the file has nothing."""

    vip: ProtectedAccounts | None = None
    service: ProtectedAccounts | None = None
    break_glass: ProtectedAccounts | None = None
    admins: ProtectedAdmins | None = None

    def of(self, kind: ProtectedKind) -> ProtectedAdmins | None:
        found: ProtectedAdmins | None = getattr(self, kind.value)
        return found


class Outside(_Section):
    """What applies outside the hours: more approvers, other people, or that the clock stands still."""

    approvers: Count | None = None
    who: People | None = Field(default=None, alias="from")
    chain: Chain | None = None
    wait: StrictBool = False

    @model_validator(mode="after")
    def _must_say_one_thing(self) -> Outside:
        says_more = (self.approvers, self.who, self.chain) != (None, None, None)
        if not self.wait and not says_more:
            raise ValueError("must say what applies: approvers, from, chain, or wait = true")
        if self.wait and says_more:
            raise ValueError("wait = true stands alone, without approvers, from and chain")
        return self


class Hours(_Section):
    """When people are at work. `to` that is not after `from` is on the next day; the same time is all day long."""

    days: Days
    opens: TimeOfDay = Field(alias="from")
    closes: TimeOfDay = Field(alias="to")
    time_zone: TimeZone
    outside: Outside

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)


class Policy(_Section):
    """
    All of `[approvals]`.

    `policy_of` fills in what the file leaves to the settings `approvers` and `approval_timeout_minutes`; as it stands
    in the settings it must not be decided by.
    """

    #: Who is asked first, where no rule says otherwise.
    who: People = Field(default=(), alias="from")
    #: Who is asked as well, level by level, while nobody answers.
    chain: Chain = ()
    #: The first that fits is the one that counts.
    rules: tuple[Rule, ...] = ()
    override: Override = Override()
    protected: Protected = Protected()
    hours: Hours | None = None
    # The next three in this order: each is checked against those above it.
    remind_after_minutes: Moments = ()
    escalate_after_minutes: Moments = ()
    expire_after_minutes: Minutes = 60
    step_up: StepUp = StepUp.OFF
    #: How long ago the approver may have signed in when step-up is asked for.
    step_up_max_age_minutes: Minutes = 10
    #: Id of the authentication context of Conditional Access that this sign-in has to satisfy; "" for none.
    step_up_context: AuthenticationContext = ""

    @field_validator("escalate_after_minutes")
    @classmethod
    def _after_the_first_reminder(cls, value: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        reminders = info.data.get("remind_after_minutes")
        if value and reminders and value[0] <= reminders[0]:
            raise ValueError(f"{value[0]:g} does not come after the first of remind_after_minutes ({reminders[0]:g})")
        return value

    @field_validator("expire_after_minutes")
    @classmethod
    def _after_everything(cls, value: float, info: ValidationInfo) -> float:
        _check_expiry(value, info.data)
        return value

    @field_validator("step_up", mode="before")
    @classmethod
    def _off_or_critical(cls, value: object) -> object:
        if value not in list(StepUp):
            raise ValueError('must be "off" or "critical"')
        return value

    @field_validator("step_up_context")
    @classmethod
    def _only_with_step_up(cls, value: str, info: ValidationInfo) -> str:
        if value and info.data.get("step_up", StepUp.CRITICAL) is StepUp.OFF:
            raise ValueError('means nothing while step_up is off; write step_up = "critical" as well')
        return value

    def check_timeout(self, timeout_minutes: float) -> None:
        """Raises ValueError when the section leaves the expiry to this setting, and it comes too early."""
        if "expire_after_minutes" not in self.model_fields_set:
            _check_expiry(timeout_minutes, self.model_dump(include={"remind_after_minutes", "escalate_after_minutes"}))


def _check_expiry(expiry: float, moments: Mapping[str, Sequence[float]]) -> None:
    for name in ("remind_after_minutes", "escalate_after_minutes"):
        if moments.get(name) and expiry <= moments[name][-1]:
            raise ValueError(f"{expiry:g} does not come after the last of {name} ({moments[name][-1]:g})")


def policy_of(section: Policy | None, *, approvers: Sequence[str], timeout_minutes: float) -> Policy:
    """
    The policy in force. Without a section: `approvers` are asked all at once, and `timeout_minutes` is the expiry.

    What the section itself says wins over these two.
    """
    policy = section or Policy()
    settings = {"who": tuple(dict.fromkeys(oid.lower() for oid in approvers)), "expire_after_minutes": timeout_minutes}
    unsaid = {name: value for name, value in settings.items() if name not in policy.model_fields_set}
    return policy.model_copy(update=unsaid)
