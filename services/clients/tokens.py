"""
Tokens of the app from Entra: one MSAL client, cached per scope, fetched once however many ask at the same time.

MSAL is synchronous and keeps connections of its own, so it runs in a thread, one call at a time.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import msal
import requests
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from msal.exceptions import MsalError
from pydantic import SecretStr

from services.clients.clouds import is_known_login
from services.clients.trust import requests_session
from services.errors import BrokenAnswer, Rejected, ServiceError, SettingsError, Unavailable

#: A token is replaced this long before it expires, in seconds.
RENEW_BEFORE_S = 300.0
#: A token is not used at all when less than this is left of it, in seconds.
LAST_USE_S = 30.0
#: Words of Entra that mean "try again", among its refusals.
_PASSING = frozenset({"temporarily_unavailable", "server_error", "request_timeout", "service_unavailable"})


@dataclass(frozen=True)
class _Held:
    """A token and the moment of its end, on the monotonic clock."""

    token: str
    ends_at: float

    def lasts(self, now: float, at_least_s: float) -> bool:
        return self.ends_at - now > at_least_s

    def __repr__(self) -> str:
        return "_Held(token=***)"


class Tokens:
    """The app's tokens, for any scope such as `https://graph.microsoft.com/.default`."""

    def __init__(
        self,
        *,
        tenant_id: str,
        app_id: str,
        login_url: str = "https://login.microsoftonline.com",
        app_type: str = "SingleTenant",
        secret: SecretStr | str | None = None,
        certificate_path: Path | None = None,
        ca_bundle: Path | None = None,
        managed_identity_client_id: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app_id = app_id
        self._login_url = login_url.rstrip("/")
        self._authority = f"{self._login_url}/{tenant_id}"
        self._managed_id = (managed_identity_client_id or app_id) if app_type == "UserAssignedMSI" else None
        self._secret = SecretStr(secret) if isinstance(secret, str) else secret
        self._certificate_path = certificate_path
        self._ca_bundle = ca_bundle
        self._monotonic = monotonic
        self._held: dict[str, _Held] = {}
        self._fetching: dict[str, asyncio.Task[str]] = {}
        self._one_at_a_time = threading.Lock()
        self._http: requests.Session | None = None
        self._app: Any = None
        if self._managed_id is None and self._secret is None and certificate_path is None:
            raise SettingsError(("app_secret", "neither a secret nor a certificate is set"))

    async def token(self, scope: str) -> str:
        """
        A token for the scope, good for five minutes at least (less only while Entra cannot be reached).

        Raises: Rejected (service "entra", code such as AADSTS7000215), Unavailable, BrokenAnswer, SettingsError.
        Source: "Microsoft identity platform and the OAuth 2.0 client credentials flow", 2025.
        """
        held = self._held.get(scope)
        if held and held.lasts(self._monotonic(), RENEW_BEFORE_S):
            return held.token
        task = self._fetching.get(scope)
        if task is None:
            task = self._fetching[scope] = asyncio.create_task(self._renew(scope))
            task.add_done_callback(lambda done: self._fetched(scope, done))
        return await asyncio.shield(task)  # one caller who gives up must not fail the others

    def forget(self, scope: str, token: str) -> None:
        """A service refused this very token: the next one is fetched anew. A newer token stays."""
        held = self._held.get(scope)
        if held and held.token == token:
            del self._held[scope]
            self._app = None  # MSAL keeps the refused token as well, and would hand it out again

    def close(self) -> None:
        """Close the connections to Entra; a later token opens new ones."""
        http, self._http, self._app = self._http, None, None
        if http is not None:
            http.close()

    def _fetched(self, scope: str, task: asyncio.Task[str]) -> None:
        self._fetching.pop(scope, None)
        if not task.cancelled():
            task.exception()  # looked at, or asyncio would complain when every caller has gone

    async def _renew(self, scope: str) -> str:
        try:
            answer = await asyncio.to_thread(self._ask, scope)
        except Unavailable:
            held = self._held.get(scope)
            if held and held.lasts(self._monotonic(), LAST_USE_S):
                return held.token
            raise
        self._held[scope] = held = self._read(answer)
        return held.token

    def _read(self, answer: dict[str, Any]) -> _Held:
        token, lifetime_s = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not isinstance(lifetime_s, (int, float)):
            raise refusal(answer, self._secret)
        return _Held(token, self._monotonic() + float(lifetime_s))

    # --- in the thread ---

    def _ask(self, scope: str) -> dict[str, Any]:
        with self._one_at_a_time:
            try:
                app = self._app or self._build()
                self._app = app
                answer = self._acquire(app, scope)
            except (requests.RequestException, MsalError) as exc:
                self._app = None  # MSAL remembers a failed answer for seconds; the next try is to be a real one
                raise Unavailable("entra", reason=type(exc).__name__, reached=False) from exc
            except ValueError as exc:
                self._app = None
                raise _unusable(exc) from exc
        if not isinstance(answer, dict):
            raise BrokenAnswer("entra", what="token")
        return answer

    def _acquire(self, app: Any, scope: str) -> Any:
        if self._managed_id is not None:
            return app.acquire_token_for_client(resource=scope.removesuffix("/.default"))
        return app.acquire_token_for_client(scopes=[scope])

    def _build(self) -> Any:
        self._http = http = self._http or requests_session(self._ca_bundle)
        if self._managed_id is not None:
            identity = msal.UserAssignedManagedIdentity(client_id=self._managed_id)
            return msal.ManagedIdentityClient(identity, http_client=http)
        return msal.ConfidentialClientApplication(
            self._app_id,
            authority=self._authority,
            client_credential=self._credential(),
            http_client=http,
            instance_discovery=None if is_known_login(self._login_url) else False,
        )

    def _credential(self) -> Any:
        if self._certificate_path is not None:
            return read_certificate(self._certificate_path)
        return self._secret.get_secret_value() if self._secret else None


def read_certificate(path: Path) -> dict[str, str]:
    """
    MSAL's credential from a PEM file that holds an unencrypted private key and its certificate, in any order.

    MSAL names the certificate to Entra by the SHA-256 thumbprint that it takes from it.
    Raises: SettingsError (setting app_certificate_path) when either part is missing, broken or of another pair.
    """
    try:
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(_pem_part(pem, b"PRIVATE KEY"), password=None)
        certificate = x509.load_pem_x509_certificate(_pem_part(pem, b"CERTIFICATE"))
    except (OSError, ValueError, TypeError) as exc:
        problem = f"{path} must be a PEM file with an unencrypted private key and its certificate"
        raise SettingsError(("app_certificate_path", problem)) from exc
    if certificate.public_key() != key.public_key():
        raise SettingsError(("app_certificate_path", f"the certificate in {path} does not belong to the key in it"))
    return {"private_key": _as_pem(key), "public_certificate": _pem_text(certificate)}


def _pem_part(pem: bytes, label: bytes) -> bytes:
    found = re.search(rb"-----BEGIN ([A-Z ]*" + label + rb")-----.+?-----END \1-----", pem, re.DOTALL)
    if found is None:
        raise ValueError("no such part")
    return found.group(0)


def _as_pem(key: Any) -> str:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def _pem_text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def roles_of(token: str) -> frozenset[str] | None:
    """
    The application permissions in a token of our own (claim `roles`); None when it is no token that can be read.

    The signature is not checked: Entra has just given it to us, and nothing is decided by it.
    Source: "Access token claims reference" of the Microsoft identity platform, 2025.
    """
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return None
    roles = claims.get("roles", [])
    return frozenset(map(str, roles)) if isinstance(roles, list) else None


def refusal(answer: dict[str, Any], secret: SecretStr | None = None) -> ServiceError:
    """
    What Entra's refusal means. The code is the AADSTS number if there is one, the OAuth error word otherwise.

    Expects {"error": str, "error_description": str, ...}; the description ends in trace ids, which are left out.
    Source: "Microsoft Entra authentication and authorization error codes", 2025.
    """
    error, description = str(answer.get("error") or ""), str(answer.get("error_description") or "")
    if error in _PASSING:
        return Unavailable("entra", reason=error, reached=False)
    if not error:
        return BrokenAnswer("entra", what="token")
    number = re.search(r"AADSTS\d+", description)
    return Rejected("entra", code=number.group(0) if number else error, detail=_first_sentence(description, secret))


def _first_sentence(description: str, secret: SecretStr | None) -> str:
    text = re.split(r"\s*(?:Trace ID|Correlation ID|\r|\n)", description, maxsplit=1)[0][:300]
    return text.replace(secret.get_secret_value(), "***") if secret and secret.get_secret_value() else text


def _unusable(exc: ValueError) -> ServiceError:
    """MSAL's own complaint: an answer that is no JSON, or a tenant that Entra's address does not know."""
    if isinstance(exc, requests.JSONDecodeError) or type(exc).__name__ == "JSONDecodeError":
        return BrokenAnswer("entra", what="token")
    return Rejected("entra", code="authority", detail="Entra does not know this tenant or this login address.")
