"""Azure Bot Service as the bot sees it: metadata and keys over TLS on loopback, and tokens signed by them."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import jwt
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

APP_ID = "0f6a3c1e-6c55-4a53-9a0c-3f2d8f0b7a11"
TENANT_ID = "5c2f9d64-7a1b-4f0e-8d39-1e6b0a9c4d22"
SERVICE_URL = "https://smba.trafficmanager.net/emea/"
ISSUER = "https://api.botframework.com"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FakeClock:
    """Fulfils the port `Clock`; stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 24, 3, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def pass_(self, **time: float) -> None:
        self.at += timedelta(**time)


def jwk(key_id: str, key: rsa.RSAPrivateKey = KEY, endorsements: object = ("msteams",)) -> dict[str, Any]:
    """The public half of a key as the metadata lists it."""
    numbers = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return {
        "kid": key_id,
        "kty": "RSA",
        "use": "sig",
        "n": numbers["n"],
        "e": numbers["e"],
        "endorsements": endorsements,
    }


@dataclass
class FakeBotService:
    """What it serves can be changed; how often it was asked can be read."""

    clock: FakeClock
    keys: list[dict[str, Any]] = field(default_factory=lambda: [jwk("key-1")])
    metadata: dict[str, Any] = field(default_factory=lambda: {"issuer": ISSUER})
    status: int = 200
    readings: int = 0

    async def start(self) -> None:
        authority = trustme.CA()
        server_ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(server_ssl)
        client_ssl = ssl.create_default_context()
        authority.configure_trust(client_ssl)
        app = web.Application()
        app.add_routes([web.get("/openid", self._openid), web.get("/keys", self._keys)])
        self._server = TestServer(app, host="127.0.0.1", scheme="https")
        await self._server.start_server(ssl=server_ssl)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_ssl))

    async def stop(self) -> None:
        await self.session.close()
        await self._server.close()

    @property
    def openid_url(self) -> str:
        return str(self._server.make_url("/openid"))

    def claims(self, **changed: Any) -> dict[str, Any]:
        """The claims of a good token; a claim changed to None is left out."""
        now = self.clock.now().timestamp()
        good = {"iss": ISSUER, "aud": APP_ID, "serviceurl": SERVICE_URL, "nbf": now - 10, "exp": now + 3600}
        return {name: value for name, value in (good | changed).items() if value is not None}

    def header(self, *, key: rsa.RSAPrivateKey = KEY, key_id: str | None = "key-1", **changed: Any) -> str:
        """An Authorization header with a signed token."""
        headers = {} if key_id is None else {"kid": key_id}
        return "Bearer " + jwt.encode(self.claims(**changed), key, algorithm="RS256", headers=headers)

    async def _openid(self, request: web.Request) -> web.Response:
        self.readings += 1
        document: Mapping[str, Any] = {"jwks_uri": str(self._server.make_url("/keys"))} | self.metadata
        return web.json_response(document, status=self.status)

    async def _keys(self, request: web.Request) -> web.Response:
        return web.json_response({"keys": self.keys}, status=self.status)
