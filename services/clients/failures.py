"""
What a refusal of Graph or Exchange means, as one of our errors. Pure.

The lines are drawn by what the reader will do: a licence that is missing is no missing consent and no good news, and a
cmdlet's complaint is told in its own words but without the servers and stack traces that come with it.
Sources: "Microsoft Graph error responses and resource types" (2025) and "Microsoft Graph throttling guidance" (2025);
the shapes of licence refusals and all of Exchange's are observed, not documented.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from services.clients.reading import clean
from services.errors import (
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    ServiceError,
    Throttled,
    Unavailable,
)

_LICENCE_CODES = frozenset({"authentication_requestfromnonpremiumtenantorb2ctenant", "aadpremiumlicenserequired"})
_LICENCE_WORDS = (
    "not licensed for this feature",
    "have premium license",
    "account is not provisioned",
    "request not applicable to target tenant",
)
#: How Graph says that nobody ever gave the tenant the app that answers for the message trace, whatever ours may do.
_NOT_SET_UP_WORDS = "service principal-less authentication failed"
#: The code of PermissionMissing then, in place of Graph's, which is the one of a bad token.
NOT_SET_UP = "not_set_up"
_PERMISSION_WORDS = ("not present in the role definition", _NOT_SET_UP_WORDS)
_MISSING_CODES = frozenset(
    {
        "errornonexistentmailbox",
        "erroritemnotfound",
        "mailboxnotenabledforrestapi",
        "request_resourcenotfound",
        "resourcenotfound",
    }
)
_EXCHANGE_SERVER = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.prod\.(?:outlook|exchangelabs|protection\.outlook)\.\w+", re.I)
_LONGEST_DETAIL = 300


@dataclass(frozen=True)
class Refusal:
    """An answer of 400 or above, as it came."""

    service: str
    #: The path template or the cmdlet, for the reader of the error.
    action: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    #: The permission that the call needs, to be named when it is missing.
    permission: str = ""


@dataclass(frozen=True)
class _Said:
    """The parts of an error body that mean something."""

    code: str = ""
    message: str = ""
    #: Exchange's complaints, each "error id|.NET type|words for people".
    details: tuple[str, ...] = ()

    @property
    def everything(self) -> str:
        return " ".join((self.code, self.message, *self.details)).casefold()


def failure_of(refusal: Refusal, now: datetime) -> ServiceError:
    """
    Our error for a refusal. `now` is what an HTTP date in Retry-After is measured against.

    429 -> Throttled; 5xx -> Unavailable (retry_after_s in its params); the rest by what was said: LicenceMissing,
    PermissionMissing, NotFound, Rejected. Never raises, whatever the body holds.
    """
    told = {"action": refusal.action, "status": refusal.status}
    if refusal.status == 429:
        return Throttled(refusal.service, retry_after_s(refusal.headers, now), **told)
    if refusal.status >= 500 or refusal.status == 408:
        return Unavailable(refusal.service, retry_after_s=retry_after_s(refusal.headers, now), **told)
    said = _read(refusal.body)
    if says_licence(said.code, said.message):
        return LicenceMissing(refusal.service, code=said.code, **told)
    if _says_permission(refusal, said):
        code = NOT_SET_UP if _NOT_SET_UP_WORDS in said.everything else said.code
        return PermissionMissing(refusal.service, permission=refusal.permission, code=code, **told)
    if refusal.service == "exchange":
        return _exchange_failure(refusal, said, told)
    if refusal.status in (404, 410) or said.code.casefold() in _MISSING_CODES:
        return NotFound(refusal.service, code=said.code, **told)
    return Rejected(refusal.service, code=said.code or str(refusal.status), detail=_for_people(said.message), **told)


def is_licence_refusal(body: bytes) -> bool:
    """Whether this body says that the tenant has no licence, which a fresh token would not change."""
    said = _read(body)
    return says_licence(said.code, said.message)


def says_licence(code: str, message: str) -> bool:
    """The several ways in which Graph says that a feature was not bought; they come with 401 and with 403."""
    words = message.casefold()
    return code.casefold() in _LICENCE_CODES or any(phrase in words for phrase in _LICENCE_WORDS)


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the Retry-After header, which holds seconds or an HTTP date; None when it is absent or odd."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d+)?", value, re.ASCII):
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return max(0.0, (moment - now).total_seconds())


def _says_permission(refusal: Refusal, said: _Said) -> bool:
    if any(phrase in said.everything for phrase in _PERMISSION_WORDS):
        return True
    # Exchange answers 401 when the app holds no role at all, and 403 with a body of NUL bytes for one cmdlet.
    return refusal.status == 403 or (refusal.status == 401 and refusal.service == "exchange")


def _exchange_failure(refusal: Refusal, said: _Said, told: Mapping[str, Any]) -> ServiceError:
    """Exchange wraps all complaints of cmdlets as 404 "Error executing cmdlet"; only the .NET type tells them apart."""
    for detail in said.details:
        kind, words = _parts(detail)
        if kind == "ManagementObjectNotFoundException":
            return NotFound("exchange", code=kind, **told)
        if words:
            return Rejected("exchange", code=kind or said.code, detail=_for_people(words), **told)
    return Rejected("exchange", code=said.code or str(refusal.status), detail=_for_people(said.message), **told)


def _parts(detail: str) -> tuple[str, str]:
    """(short .NET type, words for people) of "Ex6F9304|Microsoft...Exception|words"; the words may hold bars too."""
    parts = detail.split("|", 2)
    return (parts[1].strip().rsplit(".", 1)[-1], parts[2].strip()) if len(parts) == 3 else ("", detail.strip())


def _for_people(words: str) -> str:
    one_line = " ".join(_EXCHANGE_SERVER.sub("a server", clean(words[: 10 * _LONGEST_DETAIL])).split())
    return one_line if len(one_line) <= _LONGEST_DETAIL else one_line[: _LONGEST_DETAIL - 1] + "…"


def _read(body: bytes) -> _Said:
    try:
        error = _member(json.loads(body), "error")
    except (ValueError, RecursionError):
        return _Said()
    if isinstance(error, str):
        return _Said(code=error)
    details = _member(error, "details")
    return _Said(
        code=_word(_member(error, "code")),
        message=_word(_member(error, "message")),
        details=tuple(_word(_member(detail, "message")) for detail in details) if isinstance(details, list) else (),
    )


def _member(data: Any, name: str) -> Any:
    """A member by its name in any case; services do not agree on `innerError`, `innererror` and the like."""
    if not isinstance(data, dict):
        return None
    return next((value for key, value in data.items() if key.casefold() == name), None)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
