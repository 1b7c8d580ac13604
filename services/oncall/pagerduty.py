"""PagerDuty: whom the final schedule puts on call, by `GET /oncalls`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from pydantic import AliasChoices, AliasPath, Field

from services.clients.http import Request, Response, Send
from services.clients.reading import MaybeMoment, MaybeText, MaybeWhole, Wire, parts, read
from services.errors import BrokenAnswer
from services.oncall.accounts import Accounts
from services.oncall.duty import Duty
from services.oncall.paging import as_object, build_reading
from services.oncall.settings import PagerDutySettings

SERVICE = "pagerduty"
PAGE = 100
#: No schedule has so many people at once; more means a loop.
MAX_PAGES = 10
_ACCEPT = "application/vnd.pagerduty+json;version=2"


class OnCallEntry(Wire):
    """One stretch of time of one person on one level of one escalation policy; an open end is None."""

    level: MaybeWhole = Field(default=None, validation_alias="escalation_level")
    starts_at: MaybeMoment = Field(default=None, validation_alias="start")
    ends_at: MaybeMoment = Field(default=None, validation_alias="end")
    user_id: MaybeText = Field(default=None, validation_alias=AliasPath("user", "id"))
    #: None for somebody who was deleted: then only a reference is left, with a name.
    address: MaybeText = Field(default=None, validation_alias=AliasPath("user", "email"))
    name: MaybeText = Field(
        default=None, validation_alias=AliasChoices(AliasPath("user", "name"), AliasPath("user", "summary"))
    )

    def covers(self, at: datetime) -> bool:
        return (self.starts_at is None or self.starts_at <= at) and (self.ends_at is None or at < self.ends_at)


def build_on_calls(base_url: str, schedules: Sequence[str], at: datetime, offset: int) -> Request:
    """One page of who is on call in the minute from `at`. Source: "List all of the on-calls", PagerDuty REST API v2."""
    query = [
        *(("schedule_ids[]", schedule) for schedule in schedules),
        ("include[]", "users"),
        ("time_zone", "UTC"),
        ("since", _moment(at)),
        ("until", _moment(at + timedelta(minutes=1))),
        ("limit", str(PAGE)),
        ("offset", str(offset)),
    ]
    url = f"{base_url}/oncalls?{urlencode(query)}"
    return build_reading(SERVICE, url, "/oncalls", "Token token=", _ACCEPT)


def parse_on_calls(response: Response) -> tuple[list[OnCallEntry], bool]:
    """
    One page of entries, and whether there are more.

    Expects {"oncalls": [{"escalation_level", "start", "end", "user": {...}}], "more": bool}. Nobody is an answer; no
    list is none. Raises: BrokenAnswer.
    """
    data = as_object(response)
    if not isinstance(data.get("oncalls"), list):
        raise BrokenAnswer(SERVICE, action=response.request.action, what="oncalls")
    return [read(OnCallEntry, entry, SERVICE) for entry in parts(data, "oncalls", SERVICE)], data.get("more") is True


class PagerDutySource:
    """Fulfils `Source`. A schedule on several levels names its people once, those of the lowest level first."""

    def __init__(self, settings: PagerDutySettings, send: Send, accounts: Accounts) -> None:
        self.name = settings.name
        self._settings = settings
        self._send = send
        self._accounts = accounts

    async def on_duty(self, at: datetime) -> Duty:
        entries = [entry for entry in await self._entries(at) if entry.covers(at) and entry.user_id]
        entries.sort(key=lambda entry: entry.level or 0)
        found = await self._accounts.with_addresses([entry.address for entry in entries if entry.address])
        nameless = dict.fromkeys(entry.name or entry.user_id or "" for entry in entries if not entry.address)
        return Duty(
            people=found.people,
            unknown=(*found.unknown, *nameless),
            since=max((entry.starts_at for entry in entries if entry.starts_at), default=None),
            until=min((entry.ends_at for entry in entries if entry.ends_at), default=None),
        )

    async def _entries(self, at: datetime) -> list[OnCallEntry]:
        entries: list[OnCallEntry] = []
        for page in range(MAX_PAGES):
            settings, offset = self._settings, page * PAGE
            request = build_on_calls(settings.base_url, settings.schedules, at, offset)
            found, more = parse_on_calls(await self._send(request))
            entries += found
            if not more:
                return entries
        raise BrokenAnswer(SERVICE, action="/oncalls", what="too_many_pages")


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
