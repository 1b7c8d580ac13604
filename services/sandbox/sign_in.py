"""
Entra's side of signing a person in: the authorization endpoint, and the code that the token endpoint takes.

Source: Learn "Microsoft identity platform and OAuth 2.0 authorization code flow" and "ID token claims reference";
OpenID Connect Core 1.0 for prompt, max_age, claims and auth_time; RFC 7636 for the code challenge.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

from services.sandbox.access import issuer_of
from services.sandbox.keys import SandboxKeys
from services.sandbox.state import Person, Tenant

CODE_LIVES = timedelta(minutes=10)
ID_TOKEN_LIVES_S = 3600


class SignInRefused(Exception):
    """The authorization or token endpoint says no. `code` is the OAuth error, `number` the AADSTS number."""

    def __init__(self, code: str, number: int, text: str) -> None:
        super().__init__(text)
        self.code, self.number, self.text = code, number, text


@dataclass(frozen=True)
class Grant:
    """What a code stands for."""

    person: Person
    redirect_uri: str
    challenge: str
    nonce: str
    signed_in_at: datetime
    with_auth_time: bool
    contexts: tuple[str, ...]
    issued_at: datetime


class SignIns:
    """The sign-ins of one tenant. Whoever is said to sit at the browser is signed in without being asked."""

    def __init__(self, tenant: Tenant, keys: SandboxKeys, origin: str) -> None:
        self._tenant, self._keys, self._origin = tenant, keys, origin
        self._codes: dict[str, Grant] = {}
        self._sessions: dict[str, datetime] = {}

    def who(self, query: Mapping[str, str]) -> Person | None:
        """The person that `login_hint` or the switch `browser_user` names; None when somebody has to be chosen."""
        name = query.get("login_hint") or self._tenant.switches.browser_user
        return self._tenant.recipient(name) if name else None

    def check_request(self, query: Mapping[str, str]) -> None:
        """Raises SignInRefused for what Entra shows on a page of its own instead of sending the browser back."""
        if query.get("client_id", "").lower() != self._tenant.app.app_id:
            raise SignInRefused("unauthorized_client", 700016, "The application was not found in the directory.")
        redirect = urlsplit(query.get("redirect_uri", ""))
        if redirect.hostname not in ("127.0.0.1", "localhost") or redirect.fragment:
            text = "The redirect URI specified in the request does not match those configured for the application."
            raise SignInRefused("invalid_request", 50011, text)

    def answer(self, query: Mapping[str, str], person: Person) -> str:
        """The address that the browser goes back to, with a code or an error."""
        state = {"state": query["state"]} if "state" in query else {}
        try:
            back = {"code": self._code(query, person), **state}
        except SignInRefused as refused:
            described = f"AADSTS{refused.number}: {refused.text}"
            back = {"error": refused.code, "error_description": described, **state}
        return f"{query['redirect_uri']}?{urlencode(back)}"

    def _code(self, query: Mapping[str, str], person: Person) -> str:
        if query.get("response_type") != "code" or "openid" not in query.get("scope", "").split():
            raise SignInRefused("invalid_request", 900144, "response_type=code and scope=openid are needed here.")
        if query.get("code_challenge_method") != "S256" or not query.get("code_challenge"):
            raise SignInRefused("invalid_request", 501481, "A code challenge with the method S256 is needed here.")
        if not person.account_enabled:
            raise SignInRefused("access_denied", 50057, "The user account is disabled.")
        code = secrets.token_urlsafe(32)
        wanted = _wanted(query)
        self._codes[code] = Grant(
            person=person,
            redirect_uri=query["redirect_uri"],
            challenge=query["code_challenge"],
            nonce=query.get("nonce", ""),
            signed_in_at=self._signed_in_at(query, person),
            with_auth_time="max_age" in query or "auth_time" in wanted,
            contexts=tuple(each for each in self._tenant.switches.auth_contexts if each == _context(wanted)),
            issued_at=self._tenant.clock.now(),
        )
        return code

    def _signed_in_at(self, query: Mapping[str, str], person: Person) -> datetime:
        """Now when a sign-in was asked for or the last one is too old; else when the session began."""
        now, age_s = self._tenant.clock.now(), self._tenant.switches.sign_in_age_s
        if age_s:
            return now - timedelta(seconds=age_s)
        session = self._sessions.get(person.oid)
        too_old = session is None or now - session > timedelta(seconds=float(query.get("max_age") or "inf"))
        if query.get("prompt") == "login" or session is None or too_old:
            session = self._sessions[person.oid] = now
        return session

    def tokens(self, form: Mapping[str, str]) -> dict[str, Any]:
        """The id token that a code is good for, once."""
        grant = self._codes.pop(form.get("code", ""), None)
        now = self._tenant.clock.now()
        if grant is None or now - grant.issued_at > CODE_LIVES:
            raise SignInRefused("invalid_grant", 70008, "The provided authorization code or refresh token has expired.")
        if form.get("redirect_uri") != grant.redirect_uri:
            raise SignInRefused("invalid_grant", 500112, "The reply address does not match the one of the code.")
        if _challenge(form.get("code_verifier", "")) != grant.challenge:
            raise SignInRefused("invalid_grant", 501481, "The Code_Verifier does not match the code_challenge.")
        token = self._keys.login_key.sign(self._claims(grant, int(now.timestamp())))
        return {"token_type": "Bearer", "scope": "openid profile", "expires_in": ID_TOKEN_LIVES_S, "id_token": token}

    def _claims(self, grant: Grant, now: int) -> dict[str, Any]:
        person, tenant = grant.person, self._tenant
        claims: dict[str, Any] = {
            "aud": tenant.app.app_id,
            "iss": issuer_of(self._origin, tenant.tenant_id),
            "iat": now,
            "nbf": now,
            "exp": now + ID_TOKEN_LIVES_S,
            "name": person.display_name,
            "preferred_username": person.upn,
            "oid": person.oid,
            "sub": hashlib.sha256(f"{tenant.app.app_id} {person.oid}".encode()).hexdigest(),
            "tid": tenant.tenant_id,
            "nonce": grant.nonce,
            "ver": "2.0",
        }
        if grant.with_auth_time:
            claims["auth_time"] = int(grant.signed_in_at.timestamp())
        if grant.contexts:
            claims["acrs"] = list(grant.contexts)
        return claims

    def page(self, query: Mapping[str, str], path: str) -> str:
        """A page on which somebody says who they are: in the sandbox nobody has a password."""
        people = (person for person in self._tenant.people if person.account_enabled and person.upn)
        links = "".join(
            f'<li><a href="{escape(_as(person, query, path))}">{escape(person.display_name)}</a></li>'
            for person in people
        )
        return f"<!doctype html><html lang='en'><title>Sign in</title><h1>Sign in as</h1><ul>{links}</ul></html>"


def _as(person: Person, query: Mapping[str, str], path: str) -> str:
    """The same request, for this person."""
    return f"{path}?{urlencode({**query, 'login_hint': person.upn})}"


def _wanted(query: Mapping[str, str]) -> Mapping[str, Any]:
    """What the `claims` parameter asks of the id token. Source: OpenID Connect Core 1.0, 5.5."""
    try:
        asked = json.loads(query.get("claims") or "{}")
    except ValueError as exc:
        raise SignInRefused("invalid_request", 50000, "The claims parameter is no JSON.") from exc
    return asked.get("id_token") or {}


def _context(wanted: Mapping[str, Any]) -> str:
    return (wanted.get("acrs") or {}).get("value", "")


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
