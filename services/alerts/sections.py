"""
Sections of `[alerts]` as they are written, each with its defaults and its checks: the webhook, the early warning, and
the weekly summary. See `docs/alerts.toml`.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, SecretStr, model_validator

from services.policy.fields import OBJECT_ID, TimeOfDay, TimeZone, Weekday

#: A shorter secret could be guessed from one signed request. Source: RFC 2104, 3: at least the length of the hash.
SHORTEST_SECRET_BYTES = 32


def _long_secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < SHORTEST_SECRET_BYTES:
        raise ValueError(f"must be at least {SHORTEST_SECRET_BYTES} bytes long, such as 64 random hexadecimal digits")
    return value


def _app_ids(value: object) -> tuple[str, ...]:
    entries = [value] if isinstance(value, str) else value
    if not isinstance(entries, (list, tuple)) or not all(map(_is_id, entries)):
        raise ValueError("must be a list of application (client) ids such as 11111111-2222-3333-4444-555555555555")
    return tuple(dict.fromkeys(entry.lower() for entry in entries))


def _is_id(entry: object) -> bool:
    return isinstance(entry, str) and OBJECT_ID.fullmatch(entry) is not None


LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
AppIds = Annotated[tuple[str, ...], PlainValidator(_app_ids)]


class _Section(BaseModel):
    """Fixed once read, and a key that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class WebhookSettings(_Section):
    """`[alerts.webhook]`: who may post alerts to us. Nobody, while all of it is left out."""

    #: Application ids of callers whose Entra tokens are taken, such as the managed identity of a logic app.
    callers: AppIds = ()
    #: Whether a token with the app role Alerts.Write of our own app registration will do, whoever the caller is.
    app_role: bool = False
    #: For callers without an identity in Entra: the key of the HMAC signature, and the one before while it is changed.
    secret: LongSecret | None = None
    old_secret: LongSecret | None = None

    @property
    def takes_tokens(self) -> bool:
        return self.app_role or bool(self.callers)

    @property
    def secrets(self) -> tuple[SecretStr, ...]:
        return tuple(secret for secret in (self.secret, self.old_secret) if secret is not None)

    @property
    def is_on(self) -> bool:
        return self.takes_tokens or bool(self.secrets)


class EarlyWarningSettings(_Section):
    """`[alerts.early_warning]`: when an account that something points at sends so much that it is worth a look."""

    on: bool = False
    #: From which share of a limit of the outbound policy on.
    share_of_limit: float = Field(default=0.5, gt=0, le=1)
    #: From how many times its own usual busy hour on,
    times_usual: float = Field(default=5, ge=1.5, le=100)
    #: but not below this many recipients within an hour.
    least_recipients: int = Field(default=50, ge=1, le=10_000)
    #: The most requests to the message trace within five minutes; Microsoft allows 100 to everything that we do.
    requests: int = Field(default=40, ge=1, le=80)


class WeeklySettings(_Section):
    """`[alerts.weekly]`: when the summary of the last seven days is posted."""

    on: bool = True
    day: Weekday = Weekday.MON
    at: TimeOfDay = time(8, 0)
    time_zone: TimeZone = "UTC"

    @model_validator(mode="before")
    @classmethod
    def _day_in_any_case(cls, value: object) -> object:
        if isinstance(value, dict) and isinstance(value.get("day"), str):
            return {**value, "day": value["day"].strip().lower()[:3]}
        return value

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def next_after(self, moment: datetime) -> datetime:
        """The first time after `moment` (aware) that the summary is due, in the same zone as `moment`."""
        day = moment.astimezone(self.zone).date()
        day += timedelta(days=(self.day.number - day.weekday()) % 7)
        due = self._on(day)
        return (due if due > moment else self._on(day + timedelta(days=7))).astimezone(moment.tzinfo)

    def _on(self, day: date) -> datetime:
        return datetime.combine(day, self.at, self.zone)
