"""
Signing people in with OpenID Connect: the address to send a browser to, and the signed claims that a code is good for.

Sources: "Microsoft identity platform and OAuth 2.0 authorization code flow" (2025), "OpenID Connect on the Microsoft
identity platform" (2025), "Optional claims reference" (2026: auth_time, acrs), "Developer guide to Conditional Access
authentication context" (2025).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import RSAAlgorithm
from pydantic import SecretStr

from services.clients.tokens import read_certificate, refusal
from services.errors import BrokenAnswer, ServiceError, Unavailable
from services.ports import Clock
from services.urls import is_private

SCOPE = "openid profile"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LIVES_S = 300
TIMEOUT = aiohttp.ClientTimeout(total=10)
KEYS_LIVE_FOR = timedelta(hours=24)
#: How soon an unknown key id may make us read the keys again.
REREAD_AFTER = timedelta(minutes=1)
#: How soon a failed first reading may be tried again, while there are no keys at all: whoever knocks meanwhile does not
#: wait for another one.
RETRY_AFTER = timedelta(seconds=5)
MAX_DOCUMENT_BYTES = 1_000_000
MIN_KEY_BITS = 2048
#: PyJWT checks the signature alone; what the claims say is for whoever asked to judge, with a reason each.
_SIGNATURE_ONLY = {"verify_signature": True} | dict.fromkeys(
    ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub", "verify_jti"), False
)


@dataclass(frozen=True)
class Challenge:
    """What one sign-in is asked for with."""

    state: str
    nonce: str
    #: The PKCE verifier; only its SHA-256 leaves before the code is exchanged.
    verifier: str
    max_age_s: float
    #: Id of an authentication context that the sign-in has to satisfy, such as c1; "" for none.
    context: str = ""


@dataclass(frozen=True)
class SignedClaims:
    """The claims of an id token whose signature holds, and who should have issued it."""

    issuer: str
    claims: Mapping[str, Any]


@dataclass(frozen=True)
class _Keys:
    issuer: str
    by_id: Mapping[str, RSAPublicKey]
    read_at: datetime


def authorize_url(base: str, *, app_id: str, redirect_uri: str, challenge: Challenge) -> str:
    """
    Where the browser goes to sign in; `base` is the tenant's address at the login service.

    Always a sign-in, even with a session (prompt=login). `auth_time` is a claim that has to be asked for, which is done
    here; the app registration should list it as well. Source: "OpenID Connect Core 1.0", 3.1.2.1 and 5.5.
    """
    query = {
        "client_id": app_id,
        "response_type": "code",
        "response_mode": "query",
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "state": challenge.state,
        "nonce": challenge.nonce,
        "code_challenge": _base64url(hashlib.sha256(challenge.verifier.encode()).digest()),
        "code_challenge_method": "S256",
        "prompt": "login",
        "max_age": str(int(challenge.max_age_s)),
        "claims": json.dumps({"id_token": _wanted_claims(challenge.context)}, separators=(",", ":")),
    }
    return f"{base}/oauth2/v2.0/authorize?{urlencode(query)}"


def _wanted_claims(context: str) -> dict[str, Any]:
    wanted: dict[str, Any] = {"auth_time": {"essential": True}}
    if context:
        wanted["acrs"] = {"essential": True, "value": context}
    return wanted


class TenantKeys:
    """
    The keys that Entra signs the tokens of one tenant with: read when they are needed, kept for 24 hours, kept on when
    a reading fails. An unknown key id makes us read again at most once a minute, so that nobody can drive us to it.
    """

    def __init__(self, session: aiohttp.ClientSession, clock: Clock, *, login_url: str, tenant_id: str) -> None:
        self._session = session
        self._clock = clock
        self._base = f"{login_url.rstrip('/')}/{tenant_id}"
        self._known: _Keys | None = None
        self._tried_at: datetime | None = None
        self._one_reading = asyncio.Lock()

    async def load(self) -> None:
        """See to it that there are keys that are not old. Raises Unavailable, BrokenAnswer: there are none at all."""
        await self._read_if(lambda keys: self._clock.now() - keys.read_at >= KEYS_LIVE_FOR and self._may_read_again())

    async def signed(self, token: str) -> SignedClaims:
        """
        The claims of a token whose signature holds (RS256, by a key of this tenant); everything else is not checked.

        Raises: Unavailable or BrokenAnswer (no keys to check with), BrokenAnswer (no token of this tenant's Entra).
        """
        key_id = _key_id(token)
        await self.load()
        await self._read_if(lambda keys: key_id not in keys.by_id and self._may_read_again())
        keys = self._known
        if keys is None or key_id not in keys.by_id:
            raise BrokenAnswer("entra", what="signing key")
        return SignedClaims(keys.issuer, verified(token, keys.by_id[key_id]))

    def _may_read_again(self) -> bool:
        return self._tried_at is None or self._clock.now() - self._tried_at >= REREAD_AFTER

    async def _read_if(self, wanted: Callable[[_Keys], bool]) -> None:
        """Read the keys when there are none yet, or when those that there are call for it; one reading at a time."""
        async with self._one_reading:
            if self._known is not None and not wanted(self._known):
                return
            if self._known is None and self._tried_at and self._clock.now() - self._tried_at < RETRY_AFTER:
                raise Unavailable("entra", reason="no keys a moment ago")
            try:
                self._tried_at = self._clock.now()
                self._known = await self._fresh()
            except ServiceError:
                if self._known is None:
                    raise  # with older keys a token can still be checked

    async def _fresh(self) -> _Keys:
        metadata = await document(self._session, "GET", f"{self._base}/v2.0/.well-known/openid-configuration")
        issuer, address = metadata.get("issuer"), metadata.get("jwks_uri")
        if not isinstance(issuer, str) or not isinstance(address, str) or not is_private(address):
            raise BrokenAnswer("entra", what="openid configuration")
        return _Keys(issuer, parse_keys(await document(self._session, "GET", address)), self._clock.now())


class OpenId:
    """Signs the people of one tenant in for one app. Its secret goes to the token endpoint and nowhere else."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        clock: Clock,
        *,
        login_url: str,
        tenant_id: str,
        app_id: str,
        redirect_uri: str,
        secret: SecretStr | None = None,
        certificate_path: Path | None = None,
    ) -> None:
        self._session = session
        self._clock = clock
        self._base = f"{login_url.rstrip('/')}/{tenant_id}"
        self._app_id = app_id
        self._redirect_uri = redirect_uri
        self._secret = secret
        self._certificate_path = certificate_path
        self._keys = TenantKeys(session, clock, login_url=login_url, tenant_id=tenant_id)

    def authorize_url(self, challenge: Challenge) -> str:
        """See the function of this name."""
        return authorize_url(self._base, app_id=self._app_id, redirect_uri=self._redirect_uri, challenge=challenge)

    async def signed_claims(self, code: str, verifier: str) -> SignedClaims:
        """
        What the id token says that this code is good for, once; its signature holds, everything else is not checked.

        Not tried twice: a code that reached Entra is spent.
        Raises: Rejected (service "entra"), Unavailable, BrokenAnswer, SettingsError (the certificate).
        """
        await self._keys.load()
        answer = await self._exchange(code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise refusal(answer, self._secret)
        return await self._keys.signed(token)

    async def _exchange(self, code: str, verifier: str) -> Mapping[str, Any]:
        form = {
            "client_id": self._app_id,
            "grant_type": "authorization_code",
            "scope": SCOPE,
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
            **self._credential(),
        }
        return await document(self._session, "POST", f"{self._base}/oauth2/v2.0/token", form)

    def _credential(self) -> dict[str, str]:
        if self._certificate_path is not None:
            assertion = self._assertion(read_certificate(self._certificate_path))
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
        return {"client_secret": self._secret.get_secret_value() if self._secret else ""}

    def _assertion(self, certificate: Mapping[str, str]) -> str:
        """Source: "Microsoft identity platform application authentication certificate credentials", 2025."""
        public = x509.load_pem_x509_certificate(certificate["public_certificate"].encode())
        now = int(self._clock.now().timestamp())
        claims = {
            "aud": f"{self._base}/oauth2/v2.0/token",
            "iss": self._app_id,
            "sub": self._app_id,
            "jti": str(uuid.uuid4()),
            "nbf": now,
            "iat": now,
            "exp": now + ASSERTION_LIVES_S,
        }
        headers = {"x5t#S256": _base64url(public.fingerprint(hashes.SHA256()))}
        return jwt.encode(claims, certificate["private_key"], algorithm="PS256", headers=headers)


async def document(
    session: aiohttp.ClientSession, method: str, url: str, form: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """A JSON object, whatever the status: the token endpoint says no with one. Raises Unavailable, BrokenAnswer."""
    try:
        async with session.request(method, url, data=form, timeout=TIMEOUT, allow_redirects=False) as response:
            body = await _body(response)
    except (aiohttp.ClientError, TimeoutError) as exc:
        raise Unavailable("entra", reason=type(exc).__name__) from exc
    try:
        found = json.loads(body)
    except ValueError as exc:
        raise BrokenAnswer("entra", what="JSON") from exc
    if not isinstance(found, dict):
        raise BrokenAnswer("entra", what="JSON object")
    return found


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    while len(body) <= MAX_DOCUMENT_BYTES and (chunk := await response.content.read(65_536)):
        body += chunk
    return body[:MAX_DOCUMENT_BYTES]


def parse_keys(document: Mapping[str, Any]) -> dict[str, RSAPublicKey]:
    """
    The usable RSA keys of a JSON Web Key Set, by key id; one that cannot be read or is too short is left out.

    Expects {"keys": [{"kid": str, "kty": "RSA", "n": str, "e": str}]}. Source: RFC 7517.
    """
    listed = document.get("keys")
    keys = [key for key in listed if isinstance(key, dict)] if isinstance(listed, list) else []
    found = ((key.get("kid"), _public_key(key)) for key in keys)
    return {key_id: key for key_id, key in found if isinstance(key_id, str) and key is not None}


def _public_key(document: Mapping[str, Any]) -> RSAPublicKey | None:
    if document.get("kty") != "RSA" or document.get("use", "sig") != "sig":
        return None
    try:
        # Only the public numbers are taken, so that a private part in the document can never make it a private key.
        key = RSAAlgorithm.from_jwk({"kty": "RSA", "n": document.get("n"), "e": document.get("e")})
    except (jwt.InvalidKeyError, ValueError, TypeError, AttributeError):
        return None
    return key if isinstance(key, RSAPublicKey) and key.key_size >= MIN_KEY_BITS else None


def _key_id(token: str) -> str:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError) as exc:
        raise BrokenAnswer("entra", what="id token") from exc
    key_id = header.get("kid")
    if header.get("alg") != "RS256" or not isinstance(key_id, str):
        raise BrokenAnswer("entra", what="id token that is not RS256")
    return key_id


def verified(token: str, key: RSAPublicKey) -> Mapping[str, Any]:
    """The claims of a token that was signed with this key. Raises BrokenAnswer when the signature does not hold."""
    try:
        return jwt.decode(token, key, algorithms=["RS256"], options=_SIGNATURE_ONLY)
    except (jwt.InvalidTokenError, ValueError) as exc:
        raise BrokenAnswer("entra", what="signature of the id token") from exc


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
