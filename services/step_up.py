"""
A stronger identity for the hardest actions: the approver signs in again in the browser before their click counts.

The click is answered with an address of our own that holds a one-time state. The browser goes from there to Entra and
comes back with a code; what Entra then signs has to name the very person who clicked, and a sign-in that is fresh. The
proof is kept for that person and that prompt alone. The state is stored as a hash, and what ties the answer to the
browser that asked (nonce and PKCE verifier) is stored nowhere: both come from a secret that only the browser keeps.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from services.audit import NewEntry, Tag, note
from services.cases import Actor, Approval
from services.clients.openid import Challenge, SignedClaims
from services.errors import ServiceError, SignInRefused, Unavailable
from services.ports import Clock
from services.sign_in import SignIn

#: How far Entra's clock and ours may be apart.
CLOCK_SKEW_S = 300
#: What `secrets.token_urlsafe(32)` looks like.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
#: What Entra's `error` may look like; anything else is not written down.
_ERROR_WORD = re.compile(r"[a-z_]{1,40}")


class SignIns(Protocol):
    """Where sign-ins are kept; fulfilled by `Store`."""

    async def ask_sign_in(self, sign_in: SignIn, *entries: NewEntry) -> None: ...

    async def sign_in(self, state_hash: str) -> SignIn | None: ...

    async def use_sign_in(self, state_hash: str) -> bool: ...

    async def prove_sign_in(self, sign_in: SignIn, *entries: NewEntry) -> None: ...

    async def record(self, *entries: NewEntry) -> None: ...


class Provider(Protocol):
    """Who signs people in; fulfilled by `OpenId`."""

    def authorize_url(self, challenge: Challenge) -> str: ...

    async def signed_claims(self, code: str, verifier: str) -> SignedClaims: ...


@dataclass(frozen=True)
class Begun:
    """Where the browser goes now, and the secret that it keeps until it comes back."""

    address: str
    secret: str
    cookie: str


@dataclass(frozen=True)
class Returned:
    """What the browser brings back. Everything in it is from outside; `code` and `secret` must not be logged."""

    state: str
    secret: str = ""
    code: str = ""
    #: Entra's word for why there is no code, such as access_denied.
    error: str = ""


@dataclass(frozen=True)
class Expected:
    """What the claims of a sign-in must say."""

    audience: str
    tenant_id: str
    user_oid: str
    nonce: str
    max_age_s: float
    context: str = ""


class StepUps:
    """Asks for fresh sign-ins and takes the proofs. Whether one is needed, and there, is decided with the approval."""

    def __init__(
        self, store: SignIns, provider: Provider, clock: Clock, *, tenant_id: str, app_id: str, context: str = ""
    ) -> None:
        self._store = store
        self._provider = provider
        self._clock = clock
        self._tenant_id = tenant_id
        self._app_id = app_id
        self._context = context

    async def ask(self, by: Actor, prompt: Approval, language: str) -> str:
        """The one-time state for this person and this prompt. It is good for five minutes and for one sign-in."""
        assert prompt.step_up_max_age_s is not None, "nobody is asked to sign in for a prompt that does not want it"
        state = secrets.token_urlsafe(32)
        asked = SignIn(
            state_hash=_hash(state),
            case_id=prompt.case_id,
            prompt_id=prompt.prompt_id,
            by=by,
            max_age_s=prompt.step_up_max_age_s,
            language=language,
            asked_at=self._clock.now(),
        )
        await self._store.ask_sign_in(asked, note(Tag.SIGN_IN_ASKED, prompt.case_id, by, prompt_id=prompt.prompt_id))
        return state

    async def begin(self, state: str) -> Begun:
        """
        On to Entra. Uses nothing up: programs that look at links before people do must not spoil the sign-in.

        Raises SignInRefused (unknown, expired).
        """
        asked = await self._asked(state)
        secret = secrets.token_urlsafe(32)
        challenge = Challenge(
            state=state,
            nonce=_derived("nonce", secret),
            verifier=_derived("verifier", secret),
            max_age_s=asked.max_age_s,
            context=self._context,
        )
        return Begun(self._provider.authorize_url(challenge), secret, cookie_of(state))

    async def finish(self, returned: Returned) -> SignIn:
        """
        The proof, once the browser is back. The state is used up, whatever comes of it.

        Raises SignInRefused (and records why), Unavailable and other ServiceErrors of Entra.
        """
        asked = await self._asked(returned.state)
        if not _TOKEN.fullmatch(returned.secret):
            raise SignInRefused("other_browser", language=asked.language)
        if not await self._store.use_sign_in(asked.state_hash):
            raise SignInRefused("used", language=asked.language)
        try:
            signed_in_at = await self._signed_in_at(asked, returned)
        except SignInRefused as refused:
            await self._record_refusal(asked, refused.reason, refused.params.get("what"))
            raise SignInRefused(refused.reason, language=asked.language) from refused
        except ServiceError as fault:
            await self._record_refusal(asked, "entra", fault.key)
            if isinstance(fault, Unavailable):
                raise SignInRefused("unavailable", language=asked.language) from fault
            raise SignInRefused("not_valid", language=asked.language) from fault
        proven = asked.model_copy(update={"signed_in_at": signed_in_at})
        details = {"prompt_id": proven.prompt_id, "signed_in_at": signed_in_at, "counts_until": proven.counts_until}
        await self._store.prove_sign_in(proven, note(Tag.SIGN_IN_PROVEN, proven.case_id, proven.by, **details))
        return proven

    async def _asked(self, state: str) -> SignIn:
        asked = await self._store.sign_in(_hash(state)) if _TOKEN.fullmatch(state) else None
        if asked is None:
            raise SignInRefused("unknown")
        if self._clock.now() >= asked.expires_at:
            raise SignInRefused("expired", language=asked.language)
        return asked

    async def _signed_in_at(self, asked: SignIn, returned: Returned) -> datetime:
        if returned.error or not returned.code:
            word = returned.error if _ERROR_WORD.fullmatch(returned.error) else "no code"
            raise SignInRefused("not_signed_in", what=word)
        signed = await self._provider.signed_claims(returned.code, _derived("verifier", returned.secret))
        expected = Expected(
            audience=self._app_id,
            tenant_id=self._tenant_id,
            user_oid=asked.by.user_oid,
            nonce=_derived("nonce", returned.secret),
            max_age_s=asked.max_age_s,
            context=self._context,
        )
        return check_claims(signed, expected, self._clock.now())

    async def _record_refusal(self, asked: SignIn, reason: str, what: object) -> None:
        details = {"prompt_id": asked.prompt_id, "reason": reason, **({"what": what} if what else {})}
        await self._store.record(note(Tag.SIGN_IN_REFUSED, asked.case_id, asked.by, **details))


def check_claims(signed: SignedClaims, expected: Expected, now: datetime) -> datetime:
    """
    When the person signed in, if every claim is as it must be. Pure.

    Expects what is in Microsoft's id tokens: iss, aud, tid, oid and nonce as str, exp and auth_time in seconds since
    1970 (UTC), acrs as a list of str. A claim that is missing or of a wrong type is never taken as good.
    Raises SignInRefused: not_valid (with `what`), wrong_person, no_time, too_old, no_context.
    Source: "ID token claims reference" (2025), "Validate tokens" (2025), OpenID Connect Core 1.0, 3.1.3.7.
    """
    claims = signed.claims
    _must_be("iss", claims.get("iss") == signed.issuer)
    _must_be("aud", _same(claims.get("aud"), expected.audience))
    _must_be("tid", _same(claims.get("tid"), expected.tenant_id))
    _must_be("nonce", _is_secret(claims.get("nonce"), expected.nonce))
    expires_at = _moment(claims, "exp")
    _must_be("exp", expires_at is not None and now < expires_at + timedelta(seconds=CLOCK_SKEW_S))
    if not _same(claims.get("oid"), expected.user_oid):
        raise SignInRefused("wrong_person")
    return _checked_freshness(claims, expected, now)


def _checked_freshness(claims: Mapping[str, Any], expected: Expected, now: datetime) -> datetime:
    signed_in_at = _moment(claims, "auth_time")
    if signed_in_at is None or signed_in_at > now + timedelta(seconds=CLOCK_SKEW_S):
        raise SignInRefused("no_time", what="auth_time")
    if now >= signed_in_at + timedelta(seconds=expected.max_age_s):
        raise SignInRefused("too_old", what="auth_time")
    satisfied = claims.get("acrs")
    if expected.context and not (isinstance(satisfied, list) and expected.context in satisfied):
        raise SignInRefused("no_context", what="acrs")
    return min(signed_in_at, now)  # a clock ahead of ours must not make the proof last longer


def _must_be(claim: str, holds: bool) -> None:
    if not holds:
        raise SignInRefused("not_valid", what=claim)


def _same(claim: object, expected: str) -> bool:
    """Ids are the same in any case of letters."""
    return isinstance(claim, str) and claim.casefold() == expected.casefold()


def _is_secret(claim: object, expected: str) -> bool:
    return isinstance(claim, str) and hmac.compare_digest(claim.encode(), expected.encode())


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """A moment in seconds since 1970; None when it is none. Within the years that a datetime knows."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        return None
    return datetime.fromtimestamp(value, UTC)


def cookie_of(state: str) -> str:
    """The name of the cookie that keeps the browser's secret for this state."""
    return f"sign_in_{_hash(state)[:16]}"


def _hash(state: str) -> str:
    return hashlib.sha256(state.encode()).hexdigest()


def _derived(what: str, secret: str) -> str:
    """43 characters of which nobody learns the secret."""
    digest = hashlib.sha256(f"{what} {secret}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
