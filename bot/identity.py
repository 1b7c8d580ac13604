"""
Who calls POST /api/messages: only the Bot Connector service may, and it proves so with a signed token.

Source: "Authentication with the Bot Connector API" on Microsoft Learn, read 2026-11-23. The checks of botbuilder are
not used: it accepts everything without an app id, skips checks when fields are missing and blocks the event loop.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import aiohttp
import jwt
import structlog
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm

from services.errors import SettingsError
from services.ports import Clock
from services.urls import is_private

log = structlog.get_logger()

DEFAULT_ISSUER = "https://api.botframework.com"
CLOCK_SKEW_S = 300
#: Beyond the year 9999; no honest claim is there.
LATEST_S = 1e12
KEYS_LIVE_FOR = timedelta(hours=24)
#: How soon an unknown key id may make us read the keys again.
REREAD_AFTER = timedelta(minutes=1)
#: How soon a failed first reading may be tried again, while there are no keys at all.
RETRY_AFTER = timedelta(seconds=5)
FETCH_TIMEOUT = aiohttp.ClientTimeout(total=3)
MAX_DOCUMENT_BYTES = 1_000_000
MAX_TOKEN_LENGTH = 16_384
MIN_KEY_BITS = 2048


class Unauthenticated(Exception):
    """The caller did not prove to be the Bot Connector. `reason` is for our log, never for the caller."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class KeysUnavailable(Exception):
    """The signing keys were never read and cannot be read now: nothing can be checked."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What the accepted token says."""

    issuer: str
    app_id: str
    service_url: str
    #: Seconds since 1970, UTC.
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key of the Bot Connector and the channels that it may speak for."""

    public_key: RSAPublicKey
    endorsements: frozenset[str]


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys by id, with the issuer that they sign for and when they were read."""

    issuer: str
    keys: Mapping[str, SigningKey]
    read_at: datetime


class BotTokenValidator:
    """
    Checks the tokens that the Bot Connector sends. There is no way to switch it off.

    Keys are kept for 24 hours, read again for an unknown key id (at most once a minute, one reading at a time) and kept
    when a reading fails. Raises SettingsError for a missing app id or metadata that would come over plain http.
    """

    def __init__(self, openid_url: str, app_id: str, session: aiohttp.ClientSession, clock: Clock) -> None:
        if not app_id.strip():
            raise SettingsError(("app_id", "is empty: without it no token can be checked"))
        if not is_private(openid_url):
            raise SettingsError(("bot_openid_url", "must begin with https:// (http:// only on this machine)"))
        self._openid_url = openid_url
        self._app_id = app_id.strip()
        self._session = session
        self._clock = clock
        self._known: KeySet | None = None
        self._tried_at: datetime | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def has_keys(self) -> bool:
        """Whether tokens can be checked at the moment."""
        return self._known is not None

    async def load_keys(self) -> bool:
        """Read the keys if there are none; whether there are some now. For the start and the readiness check."""
        if self._known is None and self._may_read(RETRY_AFTER):
            await self._read()
        return self.has_keys

    async def validate(self, authorization_header: str | None, *, channel_id: str, service_url: str) -> Claims:
        """
        The claims of the token in the Authorization header.

        Checked: RS256, a key of the metadata that is endorsed for `channel_id`, signature, issuer, audience (our app
        id), expiry and not-before with 5 minutes of skew, the `serviceurl` claim (equal to `service_url`, a slash at
        the end apart). Raises Unauthenticated for each of these, KeysUnavailable when there are no keys to check with.
        """
        token = _bearer(authorization_header)
        keys, key = await self._signing_key(_key_id(token))
        if channel_id not in key.endorsements:
            raise Unauthenticated("the key is not endorsed for this channel")
        return self._checked(_signed_claims(token, key), keys.issuer, service_url)

    def _checked(self, claims: Mapping[str, Any], issuer: str, service_url: str) -> Claims:
        if claims.get("iss") != issuer:
            raise Unauthenticated("wrong issuer")
        audience = claims.get("aud")
        if not isinstance(audience, str) or audience.lower() != self._app_id.lower():
            raise Unauthenticated("wrong audience")
        expires_at_s = self._in_force(claims)
        claimed = claims.get("serviceurl")
        if not isinstance(claimed, str) or claimed.rstrip("/") != service_url.rstrip("/"):
            raise Unauthenticated("the token is for another service URL")
        return Claims(issuer, self._app_id, claimed, expires_at_s)

    def _in_force(self, claims: Mapping[str, Any]) -> float:
        """The expiry (seconds since 1970) of a token that is neither expired nor early."""
        now = self._clock.now().timestamp()
        expires_at_s = _seconds(claims, "exp")
        if now >= expires_at_s + CLOCK_SKEW_S:
            raise Unauthenticated("expired")
        if "nbf" in claims and now < _seconds(claims, "nbf") - CLOCK_SKEW_S:
            raise Unauthenticated("not valid yet")
        return expires_at_s

    async def _signing_key(self, key_id: str) -> tuple[KeySet, SigningKey]:
        await self._refresh(key_id)
        if self._known is None:
            raise KeysUnavailable
        if key_id not in self._known.keys:
            raise Unauthenticated("signed by an unknown key")
        return self._known, self._known.keys[key_id]

    async def _refresh(self, key_id: str) -> None:
        """Read the keys if they are missing, old, or do not have this one."""
        known = self._known
        if known is None:
            wanted, pause = True, RETRY_AFTER
        else:
            wanted, pause = key_id not in known.keys or self._is_old(known), REREAD_AFTER
        if wanted and (self._reading or self._may_read(pause)):
            await self._read()

    def _is_old(self, known: KeySet) -> bool:
        return self._clock.now() - known.read_at >= KEYS_LIVE_FOR

    def _may_read(self, pause: timedelta) -> bool:
        return self._tried_at is None or self._clock.now() - self._tried_at >= pause

    async def _read(self) -> None:
        """Read the keys once, however many ask for it; a caller that goes away does not stop it for the others."""
        if self._reading is None:
            self._tried_at = self._clock.now()
            self._reading = asyncio.create_task(self._read_now())
            self._reading.add_done_callback(self._reading_ended)
        await asyncio.shield(self._reading)

    def _reading_ended(self, reading: asyncio.Task[None]) -> None:
        self._reading = None

    async def _read_now(self) -> None:
        """Replace the known keys, or keep them when they cannot be read."""
        try:
            metadata = await self._document(self._openid_url)
            jwks_uri = metadata.get("jwks_uri")
            if not isinstance(jwks_uri, str) or not self._may_hold_keys(jwks_uri):
                raise ValueError("jwks_uri is not on https")
            keys = parse_keys(await self._document(jwks_uri))
        except (aiohttp.ClientError, TimeoutError, ValueError) as problem:
            log.warning("bot_keys_unreadable", problem=type(problem).__name__, keys_kept=self.has_keys)
            return
        issuer = metadata.get("issuer", DEFAULT_ISSUER)
        if not keys or not isinstance(issuer, str):
            log.warning("bot_keys_unreadable", problem="no usable key or issuer", keys_kept=self.has_keys)
            return
        self._known = KeySet(issuer, keys, self._clock.now())
        log.info("bot_keys_read", keys=len(keys))

    def _may_hold_keys(self, jwks_uri: str) -> bool:
        """Keys come over https, as their metadata does; only metadata of this machine may name keys of this machine."""
        is_https = jwks_uri.lower().startswith("https://")
        return is_private(jwks_uri) and (is_https or not self._openid_url.lower().startswith("https://"))

    async def _document(self, url: str) -> Mapping[str, Any]:
        """A JSON object from the network. Raises aiohttp.ClientError, TimeoutError or ValueError."""
        async with self._session.get(url, timeout=FETCH_TIMEOUT, allow_redirects=False) as response:
            if response.status != 200:
                raise ValueError(f"HTTP {response.status}")
            body = await response.content.read(MAX_DOCUMENT_BYTES)
            while not response.content.at_eof() and len(body) < MAX_DOCUMENT_BYTES:
                body += await response.content.read(MAX_DOCUMENT_BYTES - len(body))
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        return document


def parse_keys(document: Mapping[str, Any]) -> dict[str, SigningKey]:
    """
    The usable RSA keys of a JSON Web Key Set, by key id.

    Expects {"keys": [{"kid": str, "kty": "RSA", "n": str, "e": str, "endorsements": [str, ...]}]}. A key that is no RSA
    key, is shorter than 2048 bits or cannot be read is left out: the others still work.
    """
    listed = document.get("keys")
    keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    readable = ((key.get("kid"), _signing_key(key)) for key in keys)
    return {key_id: key for key_id, key in readable if isinstance(key_id, str) and key is not None}


def _signing_key(document: Mapping[str, Any]) -> SigningKey | None:
    if document.get("kty") != "RSA" or document.get("use", "sig") != "sig":
        return None
    try:
        # Only the public numbers are taken, so that a private part in the document can never make it a private key.
        public_key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": document.get("n"), "e": document.get("e")})
    except (jwt.InvalidKeyError, ValueError, TypeError, AttributeError):
        return None
    endorsements = document.get("endorsements")
    if not isinstance(public_key, RSAPublicKey) or public_key.key_size < MIN_KEY_BITS:
        return None
    return SigningKey(
        public_key,
        frozenset(e for e in endorsements if isinstance(e, str)) if isinstance(endorsements, list) else frozenset(),
    )


def _bearer(header: str | None) -> str:
    scheme, _, token = (header or "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("no bearer token")
    if len(token) > MAX_TOKEN_LENGTH:
        raise Unauthenticated("the token is too long")
    return token.strip()


def _key_id(token: str) -> str:
    """The id of the key that the token says it was signed with; RS256 only."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError) as problem:
        raise Unauthenticated("no readable token") from problem
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise Unauthenticated("not an RS256 token with a key id")
    return key_id


#: PyJWT checks the signature alone; the claims are checked here, by our clock and with a reason each.
_SIGNATURE_ONLY = {"verify_signature": True} | dict.fromkeys(
    ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False
)


def _signed_claims(token: str, key: SigningKey) -> Mapping[str, Any]:
    try:
        return jwt.decode(token, key.public_key, algorithms=["RS256"], options=_SIGNATURE_ONLY)
    except (jwt.InvalidTokenError, ValueError) as problem:
        raise Unauthenticated("the signature does not hold") from problem


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # The comparison also refuses NaN, infinity and numbers too large for a float.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LATEST_S:
        raise Unauthenticated(f"no usable {name}")
    return float(value)
