"""How the paging services outside Microsoft are called: each key goes to its own service and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import aiohttp
from pydantic import SecretStr

from services.clients.http import Limits, Request, Response, Send, Sender
from services.clients.lanes import LaneLimits
from services.errors import BrokenAnswer
from services.ports import Clock

LANE = "paging"
#: Somebody waits for the answer, and there are other sources.
LIMITS = Limits(
    timeout_s=4.0,
    max_wait_s=2.0,
    max_queue_s=2.0,
    max_tries=2,
    first_backoff_s=0.3,
    max_body_bytes=2_000_000,
    lanes={LANE: LaneLimits(at_once=4)},
)


class ApiKey:
    """Fulfils `TokenSource` with one key of one service, which cannot be renewed."""

    def __init__(self, key: SecretStr) -> None:
        self._key = key

    async def token(self, scope: str) -> str:
        return self._key.get_secret_value()

    def forget(self, scope: str, token: str) -> None:
        """A key that was refused is tried once more and then told as refused."""


def sender_for(key: SecretStr, session: aiohttp.ClientSession, clock: Clock, limits: Limits = LIMITS) -> Send:
    """A sender that signs with this key; redirects are not followed, so the key does not travel on."""
    return Sender(session, ApiKey(key), clock, limits=limits).send


def build_reading(service: str, url: str, action: str, token_prefix: str, accept: str = "application/json") -> Request:
    """A read of a paging service."""
    headers = {"Accept": accept}
    return Request(service, "GET", url, action, service, lane=LANE, headers=headers, token_prefix=token_prefix)


def as_object(response: Response) -> Mapping[str, Any]:
    """The body as a JSON object. Raises: BrokenAnswer."""
    data = response.json()
    if not isinstance(data, Mapping):
        raise BrokenAnswer(response.request.service, action=response.request.action, what="object")
    return data
