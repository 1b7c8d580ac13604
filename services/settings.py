"""
Every setting, its default and its check. Each is `UNBLOCK_<NAME>` in the environment and `<name>` in `unblock.toml`.

The environment wins over the file. The file is `unblock.toml` in the working directory, or what `UNBLOCK_CONFIG` names.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from services.alerts.settings import AlertSettings
from services.errors import SettingsError
from services.oncall.settings import OncallSettings
from services.policy.fields import OBJECT_ID
from services.policy.model import Policy, StepUp, policy_of
from services.urls import is_private

#: Hosts that our token may be sent to as `serviceUrl`. Source: OutboundHostValidator of Microsoft's Agents SDK,
#: 2026-08-18.
MICROSOFT_SERVICE_HOSTS = ("botframework.com", "smba.trafficmanager.net", "teams.microsoft.com", "teams.microsoft.us")


class AppType(StrEnum):
    SINGLE_TENANT = "SingleTenant"
    USER_ASSIGNED_MSI = "UserAssignedMSI"


def _as_list(value: Any) -> Any:
    """A JSON list, a comma-separated string or a list of a TOML file; blanks are dropped."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if text.startswith("["):
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            raise ValueError("looks like a JSON list but is not one") from None
        return value
    return [part.strip() for part in text.split(",") if part.strip()]


def _as_section(value: Any) -> Any:
    """A section of a TOML file, or the same as JSON in the environment."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        raise ValueError("is not JSON; a section is easier to write in unblock.toml") from None


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_as_list)]


class Settings(BaseSettings):
    """What the bot is told from outside. Build it with `load_settings`, which turns problems into SettingsError."""

    model_config = SettingsConfigDict(env_prefix="UNBLOCK_", extra="forbid", frozen=True, env_ignore_empty=True)

    #: Address to listen on.
    host: str = "127.0.0.1"
    port: int = Field(default=3978, ge=0, le=65535)
    #: `sqlite:///file` or `postgresql://user:password@host/name`; PostgreSQL for more than one replica.
    database_url: SecretStr = SecretStr("sqlite:///unblock.db")

    #: The app registration.
    tenant_id: str
    app_id: str
    app_type: AppType = AppType.SINGLE_TENANT
    app_secret: SecretStr | None = None
    app_certificate_path: Path | None = None

    #: Microsoft's endpoints and an extra CA file (PEM).
    graph_url: str = "https://graph.microsoft.com"
    exchange_url: str = "https://outlook.office365.com"
    login_url: str = "https://login.microsoftonline.com"
    bot_openid_url: str = "https://login.botframework.com/v1/.well-known/openidconfiguration"
    ca_bundle: Path | None = None
    service_hosts: Names = MICROSOFT_SERVICE_HOSTS

    #: Entra object ids of people or groups; empty means nobody.
    requesters: Names = ()
    approvers: Names = ()
    admins: Names = ()
    #: Who must approve what, and in what time; None is the simplest policy. `approval_policy` is what is in force.
    approvals: Annotated[Policy | None, NoDecode, BeforeValidator(_as_section)] = None

    #: Who is on call, and where the bot learns it; no sources means that nobody is asked who it is.
    oncall: Annotated[OncallSettings, NoDecode, BeforeValidator(_as_section)] = OncallSettings()

    #: What is watched, and how it is told.
    alerts: Annotated[AlertSettings, NoDecode, BeforeValidator(_as_section)] = AlertSettings()

    #: Where browsers reach the bot, such as https://unblock.contoso.com; for signing in again (`step_up`).
    public_url: str = ""

    #: Conversations for prompts and alerts; an admin may also set them in chat.
    approvals_conversation: str = ""
    alerts_conversation: str = ""

    language: str = "en"
    #: How long an approval prompt waits for an answer, in minutes.
    approval_timeout_minutes: float = Field(default=60, gt=0, le=7 * 24 * 60)
    #: How long a verdict waits for slow sources, in seconds; what comes in later is judged then.
    reading_wait_seconds: float = Field(default=12, ge=0, le=600)
    #: How often lists are polled for news, in seconds.
    watch_interval_seconds: float = Field(default=60, gt=0, le=24 * 3600)
    #: How often the restricted list is read again after an unblock, and for how long at most, in seconds.
    verify_interval_seconds: float = Field(default=10, gt=0, le=600)
    verify_timeout_seconds: float = Field(default=300, gt=0, le=3600)
    #: Name of this replica; it takes its own unfinished work up again under the same name.
    replica_id: str = "unblock"

    @field_validator("tenant_id", "app_id")
    @classmethod
    def _must_be_object_id(cls, value: str) -> str:
        if not OBJECT_ID.fullmatch(value.strip()):
            raise ValueError("must be a GUID such as 11111111-2222-3333-4444-555555555555")
        return value.strip().lower()

    @field_validator("requesters", "approvers", "admins")
    @classmethod
    def _must_be_object_ids(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if not OBJECT_ID.fullmatch(entry):
                raise ValueError(f"{entry!r} is no Entra object id; names and addresses are not accepted here")
        return tuple(entry.lower() for entry in value)

    @field_validator("service_hosts")
    @classmethod
    def _must_be_host_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for entry in value:
            if "/" in entry or not entry.strip(" .:"):
                raise ValueError(f"{entry!r} is no host name; write smba.trafficmanager.net, not https://...")
        return value

    @field_validator("graph_url", "exchange_url", "bot_openid_url")
    @classmethod
    def _must_be_private(cls, value: str) -> str:
        if not is_private(value):
            raise ValueError("must be an https:// address (http:// only on this machine)")
        return value.rstrip("/")

    @field_validator("login_url")
    @classmethod
    def _must_be_https(cls, value: str) -> str:
        """MSAL accepts nothing else, on this machine neither."""
        if not value.lower().startswith("https://") or not is_private(value):
            raise ValueError("must be an https:// address")
        return value.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _must_be_reachable(cls, value: str) -> str:
        """
        Whoever can read what goes there could go on with a sign-in; Entra sends nobody back to plain http either.
        """
        if value and (not is_private(value) or "?" in value or "#" in value):
            raise ValueError("must be an https:// address (http:// only on this machine)")
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _must_be_a_known_database(cls, value: SecretStr) -> SecretStr:
        if not value.get_secret_value().startswith(("sqlite:///", "postgresql://", "postgres://")):
            raise ValueError("must start with sqlite:/// or postgresql://")
        return value

    @field_validator("ca_bundle", "app_certificate_path")
    @classmethod
    def _must_be_readable(cls, value: Path | None) -> Path | None:
        if value is not None and not (value.is_file() and os.access(value, os.R_OK)):
            raise ValueError(f"{value} cannot be read")
        return value

    @field_validator("language")
    @classmethod
    def _must_be_shipped(cls, value: str) -> str:
        if value not in ("en", "sv"):
            raise ValueError("must be one of: en, sv")
        return value

    @model_validator(mode="after")
    def _must_have_one_credential(self) -> Settings:
        if self.app_type is AppType.USER_ASSIGNED_MSI:
            return self
        if self.app_secret is None and self.app_certificate_path is None:
            raise ValueError("app_secret: set app_secret or app_certificate_path")
        return self

    @model_validator(mode="after")
    def _must_expire_last(self) -> Settings:
        if self.approvals is None:
            return self
        try:
            self.approvals.check_timeout(self.approval_timeout_minutes)
        except ValueError as exc:
            raise ValueError(f"approval_timeout_minutes: {exc}") from None
        return self

    @model_validator(mode="after")
    def _must_be_able_to_sign_people_in(self) -> Settings:
        if self.approvals is None or self.approvals.step_up is StepUp.OFF:
            return self
        if not self.public_url:
            raise ValueError("public_url: is required when approvals.step_up is on: people sign in again in a browser")
        if self.app_type is AppType.USER_ASSIGNED_MSI:
            raise ValueError(
                "app_type: a managed identity cannot sign people in; with approvals.step_up set SingleTenant and"
                " app_secret or app_certificate_path"
            )
        return self

    @property
    def approval_policy(self) -> Policy:
        """The policy in force, from `[approvals]` and the older settings for what it leaves out."""
        return policy_of(self.approvals, approvers=self.approvers, timeout_minutes=self.approval_timeout_minutes)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())


def _config_file() -> Path:
    return Path(os.environ.get("UNBLOCK_CONFIG") or "unblock.toml")


def load_settings(**overrides: Any) -> Settings:
    """
    The settings, from `overrides`, the environment and the file, in this order.

    Raises SettingsError with every problem, naming each setting; a secret's value is never part of the message.
    """
    named = os.environ.get("UNBLOCK_CONFIG")
    if named and not Path(named).is_file():
        raise SettingsError(("UNBLOCK_CONFIG", f"{named} cannot be read"))
    _refuse_misspelt_variables(os.environ)
    try:
        return Settings(**overrides)
    except ValidationError as exc:
        raise SettingsError(*map(_problem, exc.errors(include_url=False, include_input=False))) from None
    except ValueError as exc:  # tomllib's TOMLDecodeError among them
        raise SettingsError((_config_file().name, str(exc))) from None


def _refuse_misspelt_variables(environ: Mapping[str, str]) -> None:
    """
    A misspelt UNBLOCK_ variable would silently leave a default in force, so one that is nearly a setting is refused.
    Others are none of our business: they may belong to what runs us.
    """
    known = {f"UNBLOCK_{name.upper()}" for name in Settings.model_fields} | {"UNBLOCK_CONFIG"}
    strange = (name for name in environ if name.upper().startswith("UNBLOCK_") and name.upper() not in known)
    meant = {name: difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.9) for name in strange}
    misspelt = [(name, f"is not a setting; did you mean {close[0]}?") for name, close in sorted(meant.items()) if close]
    if misspelt:
        raise SettingsError(*misspelt)


#: What is said instead of pydantic's own words.
_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a setting; see the README for the names",
    "tuple_type": "must be a list",
    "model_type": "must be a section of its own",
    "bool_type": "must be true or false",
}


def _problem(error: ErrorDetails) -> tuple[str, str]:
    message = str(error["msg"]).removeprefix("Value error, ")
    # A check over several settings has no location; it starts its sentence with the name instead.
    name = _where(error["loc"]) if error["loc"] else message.partition(":")[0]
    message = _SENTENCES.get(error["type"], message)
    return name, message.removeprefix(f"{name}: ")


def _where(location: tuple[int | str, ...]) -> str:
    """Such as `approvals.rules#2.approvers`, for the second rule."""
    steps = (f"#{step + 1}" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")
