"""Graph's sign-in methods of a user, and Temporary Access Passes."""

import secrets

from services.sandbox.graph.core import (
    DIRECTORY,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    permission_denied,
)
from services.sandbox.graph.users import user_or_404
from services.sandbox.state import AuthMethod, Person, graph_time, stable_uuid

routes = Routes(DIRECTORY)
READ = ("UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All")
WRITE = "UserAuthenticationMethod.ReadWrite.All"
WRITE_PASSES = ("UserAuthMethod-TAP.ReadWrite.All", WRITE)
#: Kind of method -> what its own permissions are called, as in `UserAuthMethod-Phone.ReadWrite.All`.
OWN_PERMISSIONS = {
    "phone": "Phone",
    "microsoftAuthenticator": "MicrosoftAuthApp",
    "fido2": "Passkey",
    "softwareOath": "SoftwareOATH",
    "email": "Email",
    "windowsHelloForBusiness": "WindowsHello",
    "platformCredential": "PlatformCred",
    "temporaryAccessPass": "TAP",
}
#: The id of a phone says which of the three it is.
MOBILE_PHONE = "3179e48a-750b-4051-897c-87b9720928f7"
ALTERNATE_MOBILE_PHONE = "b6332ec1-7057-4abe-9331-3d72feddfe41"
#: Path segment -> kind of method.
SEGMENTS = {
    "phonemethods": "phone",
    "microsoftauthenticatormethods": "microsoftAuthenticator",
    "fido2methods": "fido2",
    "softwareoathmethods": "softwareOath",
    "emailmethods": "email",
    "windowshelloforbusinessmethods": "windowsHelloForBusiness",
    "platformcredentialmethods": "platformCredential",
    "temporaryaccesspassmethods": "temporaryAccessPass",
    "passwordmethods": "password",
}


def method_json(method: AuthMethod) -> Json:
    """One method; security keys say `creationDateTime` where others say `createdDateTime`, phones say nothing."""
    body: Json = {"@odata.type": f"#microsoft.graph.{method.kind}AuthenticationMethod", "id": method.method_id}
    if method.kind == "password":
        body["password"] = None
    if method.created_at is not None:
        name = "creationDateTime" if method.kind == "fido2" else "createdDateTime"
        body[name] = graph_time(method.created_at)
    return {**body, **method.extra}


@routes.add("GET", "users/{user}/authentication/methods", READ)
def methods(call: Call) -> Answer:
    """Source: "List authentication methods"; no query options; told apart by `@odata.type`."""
    person = user_or_404(call)
    shown = [method_json(method) for method in person.methods]
    return collection(call, shown, f"users('{person.oid}')/authentication/methods", select=False)


@routes.add("POST", "users/{user}/authentication/temporaryAccessPassMethods", WRITE_PASSES)
def create_pass(call: Call) -> Answer:
    """Source: "Create temporaryAccessPassMethod"; 201, the only answer that ever holds the pass."""
    person, body = user_or_404(call), call.json_body()
    _check_pass_allowed(call, person)
    minutes = body.get("lifetimeInMinutes", 60)
    if not isinstance(minutes, int) or not 10 <= minutes <= 43_200:
        raise bad_request("Lifetime is outside of what the policy allows.")
    now = call.tenant.clock.now()
    extra = {
        "startDateTime": graph_time(now, digits=7),
        "lifetimeInMinutes": minutes,
        "isUsableOnce": bool(body.get("isUsableOnce", False)),
        "isUsable": True,
        "methodUsabilityReason": "EnabledByPolicy",
        "temporaryAccessPass": None,
    }
    method = AuthMethod(stable_uuid("pass", person.oid, str(now)), "temporaryAccessPass", now, extra)
    person.methods.append(method)
    call.tenant.after(minutes * 60, lambda: _expire(person, method))
    call.tenant.changed("temporary access pass created", person.upn)
    context = call.context(f"users('{person.oid}')/authentication/temporaryAccessPassMethods/$entity")
    shown = {**method_json(method), "temporaryAccessPass": secrets.token_urlsafe(7)[:8]}
    return Answer(201, {"@odata.context": context, **shown})


def _check_pass_allowed(call: Call, person: Person) -> None:
    if person.role_definition_ids and not call.tenant.app.may_change_admins:
        raise permission_denied()
    if not call.tenant.switches.temporary_access_pass:
        raise bad_request("Temporary Access Pass is not enabled by policy.")
    if any(method.kind == "temporaryAccessPass" for method in person.methods):
        raise bad_request("User already has a Temporary Access Pass.")


def _expire(person: Person, method: AuthMethod) -> None:
    person.methods = [kept for kept in person.methods if kept is not method]


@routes.add("GET", "users/{user}/authentication/{segment}")
def methods_of_kind(call: Call) -> Answer:
    """Source: "List phoneMethods" and its siblings; each kind has permissions of its own beside the general ones."""
    kind = _kind(call)
    own = OWN_PERMISSIONS.get(kind, "Password")
    if not call.any_role(*READ, f"UserAuthMethod-{own}.Read.All", f"UserAuthMethod-{own}.ReadWrite.All"):
        raise permission_denied()
    person = user_or_404(call)
    shown = [method_json(method) for method in person.methods if method.kind == kind]
    return collection(call, shown, f"users('{person.oid}')/authentication/{call.names['segment']}", select=False)


def _kind(call: Call) -> str:
    kind = SEGMENTS.get(call.names["segment"].lower())
    if kind is None:
        raise bad_request(f"Resource not found for the segment '{call.names['segment']}'.")
    return kind


@routes.add("DELETE", "users/{user}/authentication/{segment}/{method}")
def delete_method(call: Call) -> Answer:
    """
    Source: "Delete phoneAuthenticationMethod" and its siblings; 204. The password cannot be deleted.

    Nobody has an alternate mobile number without a mobile number, so that one stays as long as the other is there.
    """
    kind = _kind(call)
    if kind == "password":
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    if not call.any_role(WRITE, f"UserAuthMethod-{OWN_PERMISSIONS[kind]}.ReadWrite.All"):
        raise permission_denied()
    person = user_or_404(call)
    if person.role_definition_ids and not call.tenant.app.may_change_admins:
        raise permission_denied()
    ids = {method.method_id for method in person.methods}
    if call.names["method"] == MOBILE_PHONE and ALTERNATE_MOBILE_PHONE in ids:
        raise bad_request("The mobile phone cannot be deleted while there is an alternate mobile phone.")
    for method in person.methods:
        if method.kind == kind and method.method_id == call.names["method"]:
            person.methods = [kept for kept in person.methods if kept is not method]
            call.tenant.changed("sign-in method deleted", f"{person.upn}: {kind}")
            return Answer(204)
    raise GraphError(404, "resourceNotFound", f"The method with id {call.names['method']} was not found.")
