"""The section `[alerts]` of the settings: what is watched, and how it is told. See `docs/alerts.toml`."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator

from services.alerts.model import SourceName
from services.alerts.sections import EarlyWarningSettings, WebhookSettings, WeeklySettings


def _source_names(value: Any) -> tuple[SourceName, ...]:
    entries = [value] if isinstance(value, str) else value
    known = [name.value for name in SourceName]
    if not isinstance(entries, (list, tuple)) or not all(entry in known for entry in entries):
        raise ValueError(f"must be a list of sources; there are {', '.join(known)}")
    return tuple(dict.fromkeys(SourceName(entry) for entry in entries))


class AlertSettings(BaseModel):
    """`[alerts]`. Everything is watched unless it is switched off here; how often is `watch_interval_seconds`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    #: Sources that are not read, such as "defender" where the tenant has none.
    off: Annotated[tuple[SourceName, ...], PlainValidator(_source_names)] = ()
    #: From so many new alerts within a minute on they are told in one digest instead of a card each.
    digest_from: int = Field(default=5, ge=2, le=50)
    webhook: WebhookSettings = WebhookSettings()
    early_warning: EarlyWarningSettings = EarlyWarningSettings()
    weekly: WeeklySettings = WeeklySettings()

    @property
    def senders(self) -> WebhookSettings:
        """Who may send alerts to us: nobody when that source is switched off."""
        return self.webhook if self.watches(SourceName.WEBHOOK) else WebhookSettings()

    def watches(self, name: SourceName) -> bool:
        """Whether this source is to be read."""
        return name not in self.off
