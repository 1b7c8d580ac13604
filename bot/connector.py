"""
The bot's own client for the Teams connector: post, edit, start a thread, open a chat, list members.

A card travels alone in its activity: Teams splits text and card into two messages and gives no id back, and what has no
id can never be edited. A POST has no key that would make it safe to repeat, so it is repeated only where nothing was
accepted (429, 412, no connection); an edit is a PUT and may be repeated.
Source: "Conversation messages" and "Optimize your bot with rate limiting in Teams" on Microsoft Learn, 2026-11-23.
"""

from __future__ import annotations

import asyncio
import copy
import json
import random
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import aiohttp
import structlog
from yarl import URL

from bot.activities import Place, SentCopy
from services.errors import Rejected, ServiceError, Throttled, Unavailable
from services.urls import is_private

__all__ = [
    "Connector",
    "CopyGone",
    "Member",
    "Pacer",
    "Place",
    "PlaceGone",
    "SentCopy",
    "ServiceHosts",
    "TooLarge",
    "Uncertain",
]

log = structlog.get_logger()

Card = Mapping[str, Any]
Json = dict[str, Any]
Sleep = Callable[[float], Awaitable[object]]

CARD_TYPE = "application/vnd.microsoft.card.adaptive"
TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)
MAX_ATTEMPTS = 5
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 8.0
MAX_MEMBER_PAGES = 40


# --- errors, split by what the caller does ---------------------------------------------------------------------------


class PlaceGone(ServiceError):
    """The bot may not post there any more: stop, until an installation says otherwise. `code` is Teams' word."""

    key = "error.place_gone"

    def __init__(self, code: str) -> None:
        super().__init__("teams", code=code)
        self.code = code


class CopyGone(ServiceError):
    """The message was deleted: post a new card where it is still wanted."""

    key = "error.copy_gone"

    def __init__(self, code: str) -> None:
        super().__init__("teams", code=code)
        self.code = code


class TooLarge(ServiceError):
    """The card is over Teams' limit: send a shorter one."""

    key = "error.message_too_large"

    def __init__(self, code: str) -> None:
        super().__init__("teams", code=code)
        self.code = code


class Uncertain(Unavailable):
    """A POST whose end nobody knows: it may be there already, so look before posting again."""

    def __init__(self, **params: object) -> None:
        super().__init__("teams", maybe_done=True, **params)


_PLACE_GONE = frozenset(
    {
        "BotNotInConversationRoster",
        "ConversationNotFound",
        "ConversationBlockedByUser",
        "MessageWritesBlocked",
        "BotDisabledByAdmin",
    }
)


# --- where our token may go ------------------------------------------------------------------------------------------


class ServiceHosts:
    """
    The hosts that may call themselves a Teams connector.

    An entry is a host and stands for its subdomains too; with ":port" it wants that port, without it any will do. Only
    https (http only to this machine), and no user name, query or fragment. The default is in `services/settings.py`.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = tuple(_host_entry(entry) for entry in entries if entry.strip())

    def allows(self, service_url: str) -> bool:
        """Whether the bot's token may be sent to this address."""
        try:
            url = URL(service_url)
            host, port = (url.host or "").lower(), url.port
        except (ValueError, TypeError):
            return False
        if not is_private(service_url) or url.user or url.password or url.query_string or url.fragment:
            return False
        return any(_fits(host, port, *entry) for entry in self._entries)


def _host_entry(entry: str) -> tuple[str, int | None]:
    host, _, port = entry.strip().lower().rpartition(":")
    name, number = (host, int(port)) if host and port.isdecimal() else (entry.strip().lower(), None)
    return name.strip("[]").removeprefix("."), number


def _fits(host: str, port: int | None, wanted_host: str, wanted_port: int | None) -> bool:
    return wanted_port in (None, port) and (host == wanted_host or host.endswith(f".{wanted_host}"))


# --- pace ------------------------------------------------------------------------------------------------------------

Windows = tuple[tuple[int, float], ...]

#: Calls and seconds. Source: "Optimize your bot with rate limiting in Teams", 2026-10-08, per bot and thread.
SENDING: Windows = ((7, 1.0), (8, 2.0), (60, 30.0), (1800, 3600.0))
READING: Windows = ((14, 1.0), (16, 2.0), (120, 30.0), (3600, 3600.0))
WHOLE_APP: Windows = ((50, 1.0),)


class Turnstile:
    """Hands out the moments at which calls may be made, first come, first served, so that every window holds."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows
        self._moments: deque[float] = deque(maxlen=max(calls for calls, _ in windows))
        self._closed_until = 0.0

    def reserve(self, now: float, patience_s: float) -> float:
        """
        Seconds to wait before the next call; the place in the row is taken with it.

        Raises Throttled, and takes no place, when that would be longer than `patience_s`.
        """
        moment = max([now, self._closed_until, *self._earliest()])
        if moment - now > patience_s:
            raise Throttled("teams", moment - now)
        self._moments.append(moment)
        return moment - now

    def close(self, until: float) -> None:
        """Nobody new passes before this moment."""
        self._closed_until = max(self._closed_until, until)

    def is_idle(self, now: float) -> bool:
        """Whether forgetting this turnstile would make no difference."""
        longest = max(seconds for _, seconds in self._windows)
        return now >= self._closed_until and (not self._moments or now - self._moments[-1] >= longest)

    def _earliest(self) -> list[float]:
        taken = self._moments
        return [taken[-calls] + seconds for calls, seconds in self._windows if len(taken) >= calls]


class Pacer:
    """
    Keeps the app within Teams' limits: per conversation, and 50 calls a second altogether.

    `now` is a monotonic clock in seconds, `sleep` waits for seconds; both can be replaced in tests.
    """

    MAX_IDLE = 1000

    def __init__(self, now: Callable[[], float] | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._sleep = sleep
        self._conversations: dict[tuple[str, Windows], Turnstile] = {}
        self._app = Turnstile(WHOLE_APP)

    async def turn(self, conversation_id: str, windows: Windows = SENDING, *, patience_s: float = 60.0) -> None:
        """Wait until a call about this conversation may be made. Raises Throttled at once when that is too far off."""
        await self._wait(self._turnstile(conversation_id, windows).reserve(self._now(), patience_s))
        # Only now, because a place reserved far ahead would make the whole app wait for one busy conversation.
        await self._wait(self._app.reserve(self._now(), patience_s))

    def hold(self, conversation_id: str, seconds: float, windows: Windows = SENDING) -> None:
        """Teams asked for a pause in this conversation: nobody else runs into it in the meantime."""
        self._turnstile(conversation_id, windows).close(self._now() + seconds)

    async def _wait(self, seconds: float) -> None:
        if seconds > 0:
            await self._sleep(seconds)

    def _turnstile(self, conversation_id: str, windows: Windows) -> Turnstile:
        if len(self._conversations) >= self.MAX_IDLE:
            self._forget_idle()
        return self._conversations.setdefault((conversation_id, windows), Turnstile(windows))

    def _forget_idle(self) -> None:
        now = self._now()
        self._conversations = {key: gate for key, gate in self._conversations.items() if not gate.is_idle(now)}


# --- the client ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in a conversation."""

    #: "29:..." as this bot sees them.
    mri: str
    user_oid: str | None
    name: str
    tenant_id: str | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request to the connector, before it has a token."""

    method: str
    service_url: str
    path: tuple[str, ...]
    #: What the call is paced by: the conversation it is about.
    about: str
    body: Json | None = None
    query: Mapping[str, str] | None = None
    #: Whether doing it twice is the same as doing it once.
    repeatable: bool = True
    windows: Windows = SENDING


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status, JSON object ({} for anything else) and the pause that was asked for, in seconds."""

    status: int
    body: Json
    retry_after_s: float | None = None

    @property
    def code(self) -> str:
        """Teams' own word for what is wrong. It decides, since the status of one code differs between services."""
        error = self.body.get("error")
        code = error.get("code") if isinstance(error, dict) else None
        return code if isinstance(code, str) else ""


class Connector:
    """
    Posts and edits messages through the Bot Connector REST API, with our token, at Teams' pace.

    `token` gives a valid access token for https://api.botframework.com and caches it; `forget` is told of one that was
    refused (401), so that the next one is new: a refused call did nothing and is made once more. Every call raises
    PlaceGone, CopyGone, TooLarge, Throttled, Unavailable (nothing happened), Uncertain (a POST that may have happened)
    or Rejected; `service` is always "teams". A call waits at most about `patience_s` for refusals to end.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        token: Callable[[], Awaitable[str]],
        service_hosts: ServiceHosts,
        *,
        pacer: Pacer | None = None,
        sleep: Sleep = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        patience_s: float = 30.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        forget: Callable[[str], None] | None = None,
    ) -> None:
        self._forget = forget
        self._session = session
        self._token = token
        self._service_hosts = service_hosts
        self._pacer = pacer or Pacer()
        self._sleep = sleep
        self._jitter = jitter
        self._patience_s = patience_s
        self._now = now

    async def send(
        self,
        place: Place,
        card: Card | None,
        *,
        summary: str = "",
        text: str | None = None,
        markdown: bool = False,
    ) -> SentCopy:
        """
        Post a card, or a text when `card` is None. `summary` is the line of the notification. A text is shown as it is,
        unless `markdown` says that it was written for that and that nothing in it can act which should not.

        Raises ValueError for a card and a text at once: Teams would post two messages and name neither.
        """
        path = (place.conversation_id, "activities")
        body = message(place, card, summary, text, markdown=markdown)
        call = Call("POST", place.service_url, path, place.conversation_id, body, None, False)
        return SentCopy(place.conversation_id, _sent_id(await self._do(call), "id"))

    async def start_thread(self, place: Place, card: Card, *, summary: str = "") -> SentCopy:
        """Post a card as a new thread in the channel of `place`; the answer's conversation is the new thread."""
        channel = place.channel_root
        body = {
            "isGroup": True,
            "bot": {"id": place.bot_id},
            "tenantId": place.tenant_id,
            "channelData": {"channel": {"id": channel.conversation_id}},
            "activity": message(channel, card, summary, None),
        }
        answer = await self._do(Call("POST", place.service_url, (), channel.conversation_id, body, None, False))
        return SentCopy(_sent_id(answer, "id"), _sent_id(answer, "activityId"))

    def hurried(self, patience_s: float) -> Connector:
        """The same, at the same pace, for a caller who cannot wait so long for refusals to end."""
        other = copy.copy(self)
        other._patience_s = patience_s
        return other

    async def update(self, place: Place, activity_id: str, card: Card, *, summary: str = "") -> None:
        """Replace the bot's own message by this card. Safe to repeat."""
        path = (place.conversation_id, "activities", activity_id)
        body = message(place, card, summary, None) | {"id": activity_id}
        await self._do(Call("PUT", place.service_url, path, place.conversation_id, body))

    async def create_personal(self, service_url: str, tenant_id: str, bot_id: str, member_id: str) -> Place:
        """
        The 1:1 chat with a person (MRI or Entra object id), made if there was none. Posts nothing; safe to repeat.

        Works only where the app is installed for that person, else PlaceGone or Rejected.
        """
        body = {
            "isGroup": False,
            "bot": {"id": bot_id},
            "members": [{"id": member_id}],
            "tenantId": tenant_id,
            "channelData": {"tenant": {"id": tenant_id}},
        }
        answer = await self._do(Call("POST", service_url, (), member_id, body))
        return Place(service_url, _sent_id(answer, "id"), tenant_id, "personal", bot_id)

    async def members(self, place: Place) -> tuple[Member, ...]:
        """Everybody in a conversation; of a channel's thread, everybody in the team."""
        root = place.channel_root.conversation_id
        found: list[Member] = []
        query = {"pageSize": "500"}
        for _ in range(MAX_MEMBER_PAGES):
            call = Call("GET", place.service_url, (root, "pagedmembers"), root, query=query, windows=READING)
            page = await self._do(call)
            found += parse_members(page.body)
            token = page.body.get("continuationToken")
            if not isinstance(token, str) or not token:
                break
            query = {"pageSize": "500", "continuationToken": token}
        return tuple(found)

    async def _do(self, call: Call) -> Answer:
        """The answer to a call, after the repeats that its kind allows."""
        url = self._address(call)
        waited_s = 0.0
        for attempt in range(MAX_ATTEMPTS):
            problem = await self._attempt(call, url)
            if isinstance(problem, Answer):
                return problem
            pause_s = self._pause(problem, attempt)
            if isinstance(problem, Throttled) or _asked_for(problem) is not None:
                self._pacer.hold(call.about, pause_s, call.windows)
            if attempt + 1 == MAX_ATTEMPTS or not _may_repeat(problem) or waited_s + pause_s > self._patience_s:
                break
            log.info("teams_call_repeated", method=call.method, problem=str(problem), pause_s=round(pause_s, 2))
            await self._sleep(pause_s)
            waited_s += pause_s
        raise problem

    def _address(self, call: Call) -> URL:
        """The URL of a call. Raises Rejected before any token is made when its host is not on the list."""
        if not self._service_hosts.allows(call.service_url):
            raise Rejected("teams", "ServiceUrlNotAllowed")
        base = f"{call.service_url.rstrip('/')}/v3/conversations"
        return URL("/".join([base, *map(_segment, call.path)]), encoded=True).update_query(call.query or {})

    async def _attempt(self, call: Call, url: URL) -> Answer | ServiceError:
        """One request: its answer, or what went wrong."""
        await self._pacer.turn(call.about, call.windows, patience_s=self._patience_s)
        try:
            answer = await self._admitted(call, url)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            return Unavailable("teams", problem="no_connection", maybe_done=False)
        except (aiohttp.ClientError, TimeoutError) as problem:
            name = type(problem).__name__
            return Unavailable("teams", problem=name) if call.repeatable else Uncertain(problem=name)
        return refusal(answer, repeatable=call.repeatable) or answer

    async def _admitted(self, call: Call, url: URL) -> Answer:
        """The answer to one request, or to a second one with a new token when the first token was refused."""
        token = await self._token()
        answer = await self._request(call, url, {"Authorization": f"Bearer {token}"})
        if answer.status != 401 or self._forget is None:
            return answer
        self._forget(token)
        return await self._request(call, url, {"Authorization": f"Bearer {await self._token()}"})

    async def _request(self, call: Call, url: URL, headers: Mapping[str, str]) -> Answer:
        # Redirects are not followed: they would carry the token to a host that nobody checked.
        async with self._session.request(
            call.method, url, json=call.body, headers=headers, timeout=TIMEOUT, allow_redirects=False
        ) as response:
            body = await response.read()
            pause_s = retry_after_s(response.headers.get("Retry-After"), self._now())
            return Answer(response.status, _json_object(body), pause_s)

    def _pause(self, problem: ServiceError, attempt: int) -> float:
        """Seconds until the next try: what Teams asked for, else 1, 2, 4, 8, up to a half of it by chance."""
        asked_s = _asked_for(problem)
        if asked_s is not None:
            return asked_s
        return min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S) * (0.5 + 0.5 * self._jitter())


# --- build -----------------------------------------------------------------------------------------------------------


def message(place: Place, card: Card | None, summary: str, text: str | None, *, markdown: bool = False) -> Json:
    """The activity for a card alone or a text alone."""
    if (card is None) == (text is None):
        raise ValueError("a message is either a card or a text")
    activity: Json = {
        "type": "message",
        "from": {"id": place.bot_id, "name": place.bot_name},
        "conversation": {"id": place.conversation_id},
    }
    if summary:
        activity["summary"] = summary
    if card is None:
        # Plain unless it was written as Markdown: what people called things may be in it and must not act.
        return activity | {"text": text, "textFormat": "markdown" if markdown else "plain"}
    return activity | {"attachments": [{"contentType": CARD_TYPE, "content": card}]}


def _segment(value: str) -> str:
    """One part of a path. Raises Rejected for what would climb out of it."""
    if value in ("", ".", ".."):
        raise Rejected("teams", "BadId")
    return quote(value, safe="")


# --- parse -----------------------------------------------------------------------------------------------------------


def refusal(answer: Answer, *, repeatable: bool) -> ServiceError | None:
    """What an answer that is no success means for the caller; None for a success. The code decides, then the status."""
    code, status = answer.code, answer.status
    if 200 <= status < 300:
        return None
    if code in _PLACE_GONE:
        return PlaceGone(code)
    if code == "ActivityNotFoundInConversation":
        return CopyGone(code)
    if code == "MessageSizeTooBig" or status == 413:
        return TooLarge(code or "MessageSizeTooBig")
    if code in ("Throttled", "PreconditionFailed") or status in (412, 429):
        return Throttled("teams", answer.retry_after_s)
    if status >= 500:
        asked = {"status": status, "retry_after_s": answer.retry_after_s}
        return Unavailable("teams", **asked) if repeatable else Uncertain(**asked)
    return Rejected("teams", code, f"HTTP {status}", status=status)


def refuses_us(error: Rejected) -> bool:
    """Whether it is us who were refused, such as for a secret that has ended, and not what we sent."""
    return error.params.get("service") != "teams" or error.params.get("status") in (401, 403)


def _asked_for(problem: ServiceError) -> float | None:
    """The pause in seconds that came with a refusal or with a gateway's 502, 503 or 504."""
    asked_s = problem.params.get("retry_after_s")
    return float(asked_s) if isinstance(asked_s, (int, float)) else None


def _may_repeat(problem: ServiceError) -> bool:
    """Whether trying again is both safe and sensible. A 500 is not: Teams says that it will not get better."""
    if isinstance(problem, Uncertain):
        return False
    return isinstance(problem, (Throttled, Unavailable)) and problem.params.get("status") not in (500, 501)


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header (a number of seconds or an HTTP date); None when it says nothing usable."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), 86_400.0)
    try:
        moment = parsedate_to_datetime(header)
    except (ValueError, TypeError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((aware - now).total_seconds(), 0.0), 86_400.0)


def parse_members(body: Json) -> list[Member]:
    """
    The people of one page.

    Expects {"members": [{"id": str, "aadObjectId" or "objectId": str, "name": str, "tenantId": str}]}; who has no id is
    left out.
    """
    listed = body.get("members")
    people = [person for person in listed if isinstance(person, dict)] if isinstance(listed, list) else []
    return [_member(person) for person in people if _text(person, "id")]


def _member(person: Json) -> Member:
    user_oid = _text(person, "aadObjectId") or _text(person, "objectId")
    return Member(_text(person, "id") or "", user_oid, _text(person, "name") or "", _text(person, "tenantId"))


def _sent_id(answer: Answer, name: str) -> str:
    """An id that a POST gave back. Without one the message is there and cannot be found again: Uncertain."""
    if not (sent_id := _text(answer.body, name)):
        raise Uncertain(problem=f"no {name} in the answer")
    return sent_id


def _text(body: Json, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None


def _json_object(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
