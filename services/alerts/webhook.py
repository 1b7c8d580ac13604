"""
Alerts that somebody sends us: whether the sender may, and what the request says. For organisations that route the
alerts of Microsoft Defender through Sentinel, Logic Apps or Power Automate already.

A sender proves itself with an access token of our own tenant's Entra for this app, or with a signature by a secret that
both sides know. Nothing is believed before that. What comes in is as much worth as what Defender says when it is asked
(`services.alerts.defender`), so a forged alert could at most make people look.

Sources: "Access tokens in the Microsoft identity platform" and "Access token claims reference" (2025) for the claims,
"alert resource type" of microsoft.graph.security (2025) for the shape, RFC 2104 for HMAC.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NoReturn, Protocol

from services.alerts.defender import MOST_PEOPLE, is_of_the_future
from services.alerts.model import Report
from services.alerts.sections import WebhookSettings
from services.clients.clouds import cloud_of
from services.clients.graph_activity import parse_alert, parse_alert_loosely
from services.clients.graph_models import SecurityAlert
from services.clients.openid import SignedClaims
from services.errors import BrokenAnswer
from services.ports import Clock

#: How far apart our clock and the sender's may be, and how old a signed request.
CLOCK_SKEW_S = 300
#: The application permission that our app registration may define for senders (its `appRoles`).
APP_ROLE = "Alerts.Write"
TIMESTAMP_HEADER = "X-Unblock-Timestamp"
SIGNATURE_HEADER = "X-Unblock-Signature"
#: Beyond the year 9999; no honest claim is there.
_LATEST_S = 1e12
_MAX_TOKEN_LENGTH = 16_384
#: One request counts for no more accounts than this; twice what a bad campaign brings within a minute.
MOST_REPORTS = 2000
_SECONDS = re.compile(r"\d{1,12}")
_SIGNATURE = re.compile(r"v1=([0-9a-f]{64})", re.IGNORECASE)


class NotAdmitted(Exception):
    """The sender did not prove that it may. `reason` is for our log, never for the sender."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadAlerts(Exception):
    """The request is no alert that we can read. `field` says where, `problem` what is wrong with it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(field, problem)
        self.field = field
        self.problem = problem


# --- who may ---------------------------------------------------------------------------------------------------------


class Keys(Protocol):
    """Fulfilled by `TenantKeys`."""

    async def load(self) -> None: ...

    async def signed(self, token: str) -> SignedClaims: ...


@dataclass(frozen=True)
class Door:
    """Decides who may send us alerts. Nobody may while the settings name no way to prove it."""

    settings: WebhookSettings
    keys: Keys
    clock: Clock
    tenant_id: str
    app_id: str
    login_url: str

    async def admit(self, headers: Mapping[str, str], body: bytes) -> str:
        """
        Who sent this, as a word for our log: the app id, or "signed". Header names are as in aiohttp, in any case.

        Raises NotAdmitted, and ServiceError when there are no keys to check a token with.
        """
        authorization = headers.get("Authorization", "")
        if authorization and self.settings.takes_tokens:
            return await self._by_token(authorization)
        if self.settings.secrets:
            self._check_signature(headers, body)
            return "signed"
        raise NotAdmitted("no token")

    async def _by_token(self, authorization: str) -> str:
        token = _bearer(authorization)
        await self.keys.load()
        try:
            signed = await self.keys.signed(token)
        except BrokenAnswer as problem:
            raise NotAdmitted(f"no token of this tenant: {problem.params.get('what')}") from problem
        check_claims(signed, now=self.clock.now(), tenant_id=self.tenant_id, app_id=self.app_id, login=self.login_url)
        return permitted_caller(signed.claims, self.settings)

    def _check_signature(self, headers: Mapping[str, str], body: bytes) -> None:
        sent_at = headers.get(TIMESTAMP_HEADER, "")
        if not _SECONDS.fullmatch(sent_at):
            raise NotAdmitted("no timestamp")
        if abs(self.clock.now().timestamp() - int(sent_at)) > CLOCK_SKEW_S:
            raise NotAdmitted("the timestamp is not of now")
        found = _SIGNATURE.fullmatch(headers.get(SIGNATURE_HEADER, "").strip())
        if found is None:
            raise NotAdmitted("no signature")
        claimed = found[1].lower()
        keys = [secret.get_secret_value().encode() for secret in self.settings.secrets]
        # All are compared, so that the time taken does not tell which one it was.
        if not any([hmac.compare_digest(signature(key, sent_at, body), claimed) for key in keys]):
            raise NotAdmitted("the signature does not hold")


def signature(key: bytes, timestamp: str, body: bytes) -> str:
    """What the header bears after "v1=": the HMAC-SHA256 of timestamp, a dot, and the body, in hexadecimal."""
    return hmac.new(key, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def check_claims(signed: SignedClaims, *, now: datetime, tenant_id: str, app_id: str, login: str) -> None:
    """
    That the token is of this tenant, for this app, in force, and an app's own. Raises NotAdmitted.

    Entra writes tokens of version 1 or 2, whichever our app registration accepts; issuer and audience differ.
    """
    claims = signed.claims
    if claims.get("iss") not in (signed.issuer, issuer_v1(login, tenant_id)):
        raise NotAdmitted("wrong issuer")
    if _lower(claims.get("tid")) != tenant_id.lower():
        raise NotAdmitted("wrong tenant")
    if _lower(claims.get("aud")) not in (app_id.lower(), f"api://{app_id.lower()}"):
        raise NotAdmitted("wrong audience")
    if now.timestamp() >= _seconds(claims, "exp") + CLOCK_SKEW_S:
        raise NotAdmitted("expired")
    if "nbf" in claims and now.timestamp() < _seconds(claims, "nbf") - CLOCK_SKEW_S:
        raise NotAdmitted("not valid yet")
    # A token that a person got by signing in has scopes; whoever may use an app is not thereby one who raises alerts.
    if claims.get("scp") or claims.get("idtyp", "app") != "app":
        raise NotAdmitted("a person's token")


def permitted_caller(claims: Mapping[str, Any], settings: WebhookSettings) -> str:
    """The app id of the sender. Raises NotAdmitted when it is neither named in the settings nor has the app role."""
    caller = _lower(claims.get("azp") or claims.get("appid"))
    roles = claims.get("roles")
    has_role = settings.app_role and isinstance(roles, list) and APP_ROLE in roles
    if has_role or (caller and caller in settings.callers):
        return caller or "unknown"
    raise NotAdmitted(f"app {caller or 'unknown'} is not among the callers")


def issuer_v1(login_url: str, tenant_id: str) -> str:
    """Who issues tokens of version 1. Source: "Access tokens in the Microsoft identity platform", 2025."""
    host = "sts.chinacloudapi.cn" if cloud_of(login_url).name == "china" else "sts.windows.net"
    return f"https://{host}/{tenant_id}/"


def _bearer(header: str) -> str:
    scheme, _, token = header.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise NotAdmitted("no bearer token")
    if len(token) > _MAX_TOKEN_LENGTH:
        raise NotAdmitted("the token is too long")
    return token.strip()


def _lower(value: Any) -> str:
    return value.lower() if isinstance(value, str) else ""


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    # The comparison also refuses NaN, infinity and numbers too large for a float.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < _LATEST_S:
        raise NotAdmitted(f"no usable {name}")
    return float(value)


# --- what it says: pure ----------------------------------------------------------------------------------------------


class Ignored(StrEnum):
    """Why an alert that can be read is none of ours."""

    OTHER_TITLE = "other_title"  # about something else than blocked mail
    OTHER_TENANT = "other_tenant"
    NOBODY_NAMED = "nobody_named"  # ours by its title, and none of its evidence is an account


#: What a Defender alert reports: None when its title is none of ours, empty when it names nobody.
Reports = Callable[[SecurityAlert], Sequence[Report] | None]


@dataclass(frozen=True)
class Delivery:
    """What one request brought."""

    received: int
    #: What the alerts report; one alert may be about several accounts.
    reports: tuple[Report, ...]
    ignored: Mapping[Ignored, int]
    problems: tuple[BadAlerts, ...]

    @property
    def accepted(self) -> int:
        return self.received - sum(self.ignored.values()) - len(self.problems)


def read_delivery(body: bytes, *, tenant_id: str, now: datetime, reports_of: Reports) -> Delivery:
    """
    The alerts of a body: one alert in the shape of `alerts_v2`, or {"value": [alert, ...]}.

    An alert that cannot be read is told as a problem, and the others count all the same. Fields that are missing or
    null are no problem but for `id` and `title`, without which nobody could tell what it is, or that it came twice, and
    `evidence` of an alert that is ours, without which nobody could tell whom it is about. A piece of evidence that
    cannot be read is a problem only when no other one names an account. Raises BadAlerts when the body as a whole
    cannot be read.
    """
    named = _alerts(_json(body))
    reports: list[Report] = []
    ignored: Counter[Ignored] = Counter()
    problems: list[BadAlerts] = []
    for place, data in named:
        try:
            found = _reports(place, data, tenant_id, now, reports_of)
            if not isinstance(found, Ignored) and len(reports) + len(found) > MOST_REPORTS:
                raise _problem(place, "", f"is beyond {MOST_REPORTS} accounts in one request; send it in another")
        except BadAlerts as problem:
            problems.append(problem)
            continue
        if isinstance(found, Ignored):
            ignored[found] += 1
        else:
            reports += found
    return Delivery(len(named), tuple(reports), dict(ignored), tuple(problems))


def _reports(place: str, data: Any, tenant_id: str, now: datetime, reports_of: Reports) -> Ignored | Sequence[Report]:
    if not isinstance(data, Mapping):
        raise _problem(place, "", "must be an object")
    alert = _alert(place, data)
    theirs = data.get("tenantId")
    if isinstance(theirs, str) and theirs and theirs.lower() != tenant_id.lower():
        return Ignored.OTHER_TENANT
    found = reports_of(alert)
    if found is None:
        return Ignored.OTHER_TITLE
    for field, moment in (("createdDateTime", alert.created_at), ("lastUpdateDateTime", alert.updated_at)):
        if is_of_the_future(moment, now):
            raise _problem(place, field, "is in the future")
    if len(found) > MOST_PEOPLE:
        raise _problem(place, "evidence", f"names more than {MOST_PEOPLE} accounts")
    return found or _nobody_named(place, data)


def _alert(place: str, data: Mapping[str, Any]) -> SecurityAlert:
    """As far as it can be read. Raises BadAlerts when not even what it is and its title can be."""
    alert = parse_alert_loosely(data)
    if alert is not None and alert.title:
        return alert
    try:
        parse_alert({**data, "evidence": []})
    except BrokenAnswer as error:
        field = str(error.params.get("what", "")).removeprefix("SecurityAlert.")
        is_there = data.get(field) not in (None, "")
        raise _problem(place, field, "cannot be read" if is_there else "is required") from error
    raise _problem(place, "title", "is required")


def _nobody_named(place: str, data: Mapping[str, Any]) -> Ignored:
    """An alert of ours about nobody. Raises BadAlerts when that may be because its evidence is elsewhere, or odd."""
    if not data.get("evidence"):
        raise _problem(place, "evidence", "is required")
    try:
        parse_alert(data)
    except BrokenAnswer as error:
        raise _problem(place, "evidence", "cannot be read") from error
    return Ignored.NOBODY_NAMED


def _problem(place: str, field: str, problem: str) -> BadAlerts:
    return BadAlerts(f"{place}{field}".rstrip(".") or "body", problem)


def _alerts(data: Any) -> list[tuple[str, Any]]:
    """Each alert, with what its fields begin with in the words of a problem."""
    if not isinstance(data, Mapping):
        raise BadAlerts("body", "must be a JSON object: an alert, or a list of alerts in value")
    if "value" not in data:
        return [("", data)]
    if not isinstance(data["value"], list):
        raise BadAlerts("value", "must be a list")
    return [(f"value[{number}].", alert) for number, alert in enumerate(data["value"])]


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BadAlerts("body", "is not JSON") from None


def _no_constant(name: str) -> NoReturn:
    """NaN and Infinity are Python's, not JSON's, and PostgreSQL refuses them."""
    raise ValueError(name)
