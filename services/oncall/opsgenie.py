"""
Opsgenie: whom a schedule puts on call, by `GET /v2/schedules/{schedule}/on-calls`.

Atlassian ends Opsgenie in April 2027; its successor, Jira Service Management, has an API of its own that is not spoken
here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from services.clients.http import Request, Response, Send
from services.clients.reading import part, to_texts
from services.errors import BrokenAnswer
from services.oncall.accounts import Accounts
from services.oncall.duty import Duty
from services.oncall.paging import as_object, build_reading
from services.oncall.settings import OpsgenieSettings

SERVICE = "opsgenie"
_ACTION = "/v2/schedules/{schedule}/on-calls"


def build_on_calls(settings: OpsgenieSettings, at: datetime) -> Request:
    """Who is on call at `at`. Source: "Who is On Call API", Opsgenie's documentation."""
    moment = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    query = urlencode({"scheduleIdentifierType": settings.schedule_by, "flat": "true", "date": moment})
    url = f"{settings.base_url}/v2/schedules/{quote(settings.schedule, safe='')}/on-calls?{query}"
    return build_reading(SERVICE, url, _ACTION, "GenieKey ")


def parse_on_calls(response: Response) -> tuple[str, ...]:
    """
    The user names of all on call, which are mail addresses.

    Expects {"data": {"_parent": {"enabled": bool}, "onCallRecipients": [str]}}. A schedule that is switched off has
    nobody, and so may one that is on; an answer without the list is none. Raises: BrokenAnswer.
    """
    data = part(as_object(response), "data", SERVICE)
    if part(data, "_parent", SERVICE).get("enabled") is False:
        return ()
    recipients = data.get("onCallRecipients")
    if not isinstance(recipients, list):
        raise BrokenAnswer(SERVICE, action=_ACTION, what="onCallRecipients")
    try:
        return to_texts(recipients)
    except ValueError:
        raise BrokenAnswer(SERVICE, action=_ACTION, what="onCallRecipients") from None


class OpsgenieSource:
    """Fulfils `Source`. Opsgenie does not say since when or until when."""

    def __init__(self, settings: OpsgenieSettings, send: Send, accounts: Accounts) -> None:
        self.name = settings.name
        self._settings = settings
        self._send = send
        self._accounts = accounts

    async def on_duty(self, at: datetime) -> Duty:
        names = parse_on_calls(await self._send(build_on_calls(self._settings, at)))
        found = await self._accounts.with_addresses(names)
        return Duty(people=found.people, unknown=found.unknown)
