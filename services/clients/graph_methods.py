"""How people prove who they are, in Microsoft Graph: sign-in methods and Temporary Access Passes. Pure."""

from __future__ import annotations

from datetime import timedelta

from pydantic import SecretStr

from services.clients.graph_calls import Object, Place, as_object, build, leaf
from services.clients.graph_models import AccessPass, AuthMethod, MfaRegistration
from services.clients.http import Request, Response
from services.clients.reading import read, to_moment, to_text, to_whole
from services.errors import BrokenAnswer, Rejected


def build_auth_methods(place: Place, oid: str) -> Request:
    path, permission = "/users/{user}/authentication/methods", "UserAuthenticationMethod.Read.All"
    return build(place, "GET", path, names={"user": oid}, permission=permission)


def parse_auth_method(data: Object) -> AuthMethod:
    """One method; kinds that we do not know are kept. Source: "List methods", 2024."""
    names = ("displayName", "phoneNumber", "emailAddress", "deviceTag", "model")
    label = next((text for name in names if (text := leaf(to_text, data, name)) is not None), None)
    return read(AuthMethod, data, "graph", label=label)


def build_registration(place: Place, oid: str) -> Request:
    path = "/reports/authenticationMethods/userRegistrationDetails/{user}"
    return build(place, "GET", path, names={"user": oid}, lane="reports", permission="AuditLog.Read.All")


def build_admin_registrations(place: Place) -> Request:
    """Source: "List userRegistrationDetails", 2025."""
    path, query = "/reports/authenticationMethods/userRegistrationDetails", {"$filter": "isAdmin eq true"}
    return build(place, "GET", path, query=query, lane="reports", permission="AuditLog.Read.All")


def parse_registration_row(data: Object) -> MfaRegistration:
    return read(MfaRegistration, data, "graph")


def parse_registration(response: Response) -> MfaRegistration:
    """One row of the report. Source: "Get userRegistrationDetails", 2025."""
    return read(MfaRegistration, response.json(), "graph")


#: Kind of method -> its segment in the path. The password is not among them: it is reset, never removed.
_SEGMENTS = {
    "email": "emailMethods",
    "fido2": "fido2Methods",
    "microsoftAuthenticator": "microsoftAuthenticatorMethods",
    "phone": "phoneMethods",
    "platformCredential": "platformCredentialMethods",
    "softwareOath": "softwareOathMethods",
    "temporaryAccessPass": "temporaryAccessPassMethods",
    "windowsHelloForBusiness": "windowsHelloForBusinessMethods",
}
REMOVABLE_METHODS = frozenset(_SEGMENTS)


def build_remove_auth_method(place: Place, oid: str, kind: str, method_id: str) -> Request:
    """
    Safe to repeat: the second time it is gone already. Raises: Rejected (code no_segment) for a kind that has no path.

    Source: "Delete phoneAuthenticationMethod" and its siblings, 2025; one wider permission stands for one of each kind.
    """
    if kind not in _SEGMENTS:
        raise Rejected("graph", code="no_segment", detail="This kind of sign-in method cannot be removed.")
    names, path = {"user": oid, "method": method_id}, f"/users/{{user}}/authentication/{_SEGMENTS[kind]}/{{method}}"
    return build(place, "DELETE", path, names=names, permission="UserAuthenticationMethod.ReadWrite.All")


def build_access_pass(place: Place, oid: str, lifetime_minutes: int, usable_once: bool) -> Request:
    """Never safe to repeat: the pass is only in the first answer. Source: "Create temporaryAccessPassMethod", 2025."""
    body = {"lifetimeInMinutes": lifetime_minutes, "isUsableOnce": usable_once}
    path, permission = (
        "/users/{user}/authentication/temporaryAccessPassMethods",
        "UserAuthenticationMethod.ReadWrite.All",
    )
    return build(place, "POST", path, names={"user": oid}, body=body, permission=permission, safe_to_repeat=False)


def parse_access_pass(response: Response) -> AccessPass:
    """
    The pass and its end; nobody can read it a second time. Raises: BrokenAnswer, which never shows what came.

    Expects {"temporaryAccessPass": str, "startDateTime": str, "lifetimeInMinutes": int}.
    """
    data = as_object(response)
    value = leaf(to_text, data, "temporaryAccessPass")
    if value is None:
        raise BrokenAnswer("graph", action=response.request.action, what="temporaryAccessPass")
    starts, minutes = leaf(to_moment, data, "startDateTime"), leaf(to_whole, data, "lifetimeInMinutes")
    known = starts is not None and minutes is not None and 0 < minutes <= _LONGEST_PASS_MINUTES
    return AccessPass(value=SecretStr(value), valid_until=starts + timedelta(minutes=minutes) if known else None)


#: Thirty days, by Microsoft's own limit.
_LONGEST_PASS_MINUTES = 43_200
