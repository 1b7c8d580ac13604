"""Graph's users: reading, searching, disabling, resetting the password, revoking sessions; and the deleted."""

from typing import Any

from services.sandbox.graph.core import (
    DIRECTORY,
    Answer,
    Call,
    GraphError,
    Json,
    Routes,
    bad_request,
    collection,
    need_premium,
    not_found,
    parsed_filter,
    permission_denied,
)
from services.sandbox.odata import BadQuery, parse_search
from services.sandbox.state import Person, Tenant, graph_time

routes = Routes(DIRECTORY)
READ = ("User.Read.All", "Directory.Read.All", "User.ReadWrite.All")
DEFAULT_PROPERTIES = (
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
)
#: What plain queries may not do to users, and what needs `ConsistencyLevel: eventual` with `$count=true`.
UNSUPPORTED_OPERATORS = frozenset({"contains"})
ADVANCED_OPERATORS = frozenset({"ne", "not", "endswith"})
SYNCED_TEXT = (
    "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently "
    "undergoing migration."
)


def user_or_404(call: Call) -> Person:
    """The user named in the path by object id or user principal name. Raises: GraphError 404."""
    person = call.tenant.person(call.names["user"])
    if person is None:
        raise not_found(call.names["user"])
    return person


def user_json(tenant: Tenant, person: Person) -> Json:
    """Every property of a user that the sandbox knows."""
    return {
        "id": person.oid,
        "businessPhones": [],
        "displayName": person.display_name,
        "givenName": person.given_name or None,
        "jobTitle": person.job_title,
        "mail": person.mail,
        "mobilePhone": person.mobile_phone,
        "officeLocation": None,
        "preferredLanguage": person.preferred_language,
        "surname": person.surname or None,
        "userPrincipalName": person.upn,
        "accountEnabled": person.account_enabled,
        "userType": person.user_type,
        "proxyAddresses": person.proxy_addresses,
        "otherMails": [],
        "mailNickname": person.upn.partition("@")[0],
        "createdDateTime": graph_time(person.created_at),
        "deletedDateTime": graph_time(person.deleted_at),
        "lastPasswordChangeDateTime": graph_time(person.last_password_change),
        "signInSessionsValidFromDateTime": graph_time(person.sessions_valid_from),
        "refreshTokensValidFromDateTime": graph_time(person.sessions_valid_from),
        # Graph says null, not false, for accounts that never were synchronised.
        "onPremisesSyncEnabled": True if person.synced else None,
        "onPremisesImmutableId": "q83vEjRWeJA=" if person.synced else None,
        "onPremisesLastSyncDateTime": graph_time(person.created_at) if person.synced else None,
        "assignedLicenses": _licences(person),
        "companyName": tenant.name,
        "department": None,
        "usageLocation": "SE",
        "city": None,
        "country": None,
        "postalCode": person.postal_code,
        "identities": [
            {"signInType": "userPrincipalName", "issuer": tenant.initial_domain, "issuerAssignedId": person.upn}
        ],
        "passwordPolicies": None,
        "passwordProfile": None,
        "externalUserState": "Accepted" if person.user_type == "Guest" else None,
        # Filled in when asked for, because it has to be looked up.
        "signInActivity": None,
    }


def _licences(person: Person) -> list[Json]:
    return [{"disabledPlans": [], "skuId": "05e9a617-0261-4cee-bb44-138d3ef5d965"}] if person.licensed else []


def _sign_in_activity(tenant: Tenant, person: Person) -> Json | None:
    mine = [sign_in for sign_in in tenant.sign_ins if sign_in.person_oid == person.oid]
    if not mine:
        return None
    succeeded = [sign_in for sign_in in mine if sign_in.error_code == 0]
    return {
        "lastSignInDateTime": graph_time(mine[0].at),
        "lastSignInRequestId": mine[0].sign_in_id,
        "lastSuccessfulSignInDateTime": graph_time(succeeded[0].at) if succeeded else None,
    }


def shown_user(call: Call, person: Person) -> Json:
    """A user with the properties asked for, or the default ones. Raises: GraphError 400 for an unknown property."""
    known = user_json(call.tenant, person)
    names = _selected_names(call, known)
    if "signInActivity" in names:
        known["signInActivity"] = _sign_in_activity(call.tenant, person)
    return {name: known[name] for name in names}


def _selected_names(call: Call, known: Json) -> list[str]:
    if not call.query.get("$select"):
        return list(DEFAULT_PROPERTIES)
    spelled = {name.lower(): name for name in known}
    names = []
    for asked in call.query["$select"].split(","):
        name = spelled.get(asked.strip().lower())
        if name is None:
            text = f"Could not find a property named '{asked.strip()}' on type 'microsoft.graph.user'."
            raise bad_request(f"Parsing OData Select and Expand failed: {text}")
        names.append(name)
    if "signInActivity" in names:
        _check_sign_in_activity(call)
    return names


def _check_sign_in_activity(call: Call) -> None:
    need_premium(call)
    if not call.any_role("AuditLog.Read.All"):
        text = "Calling principal does not have required MSGraph permissions AuditLog.Read.All"
        raise GraphError(403, "Authentication_MSGraphPermissionMissing", text)


@routes.add("GET", "users", READ)
def list_users(call: Call) -> Answer:
    """Source: "List users"; pages of 100, at most 999."""
    people = [person for person in call.tenant.people if person.deleted_at is None]
    return _people_page(call, people, "users")


@routes.add("GET", "users/$count", READ)
def count_users(call: Call) -> Answer:
    """The bare number, which Graph gives only for advanced queries."""
    if not call.advanced:
        raise bad_request("$count is not currently supported.", "Request_BadRequest")
    people = [person for person in call.tenant.people if person.deleted_at is None]
    return Answer(200, {"@plain": str(len(_searched(call, people)))})


@routes.add("GET", "directory/deletedItems/microsoft.graph.user", READ)
def list_deleted_users(call: Call) -> Answer:
    """Source: "List deletedItems (directory objects)"."""
    return _people_page(call, [person for person in call.tenant.people if person.deleted_at is not None], "users")


@routes.add("GET", "directory/deletedItems/{user}", READ)
def get_deleted_user(call: Call) -> Answer:
    """Source: "Get deleted item"."""
    for person in call.tenant.people:
        if person.deleted_at is not None and person.oid == call.names["user"].lower():
            shown = {"@odata.type": "#microsoft.graph.user", **shown_user(call, person)}
            return Answer(200, {"@odata.context": call.context("directoryObjects/$entity"), **shown})
    raise not_found(call.names["user"])


def _people_page(call: Call, people: list[Person], what: str) -> Answer:
    found = _searched(call, people)
    shown = [shown_user(call, person) for person in found]
    context = f"{what}({call.query['$select']})" if call.query.get("$select") else what
    return collection(call, shown, context, select=False, count=call.advanced)


def _searched(call: Call, people: list[Person]) -> list[Person]:
    if "$filter" in call.query:
        people = _filtered_people(call, people)
    if "$search" in call.query:
        people = _found_people(call, people)
    if call.query.get("$orderby", "").lower().startswith("displayname"):
        people = sorted(people, key=lambda person: person.display_name.lower())
    return people


def _filtered_people(call: Call, people: list[Person]) -> list[Person]:
    wanted = parsed_filter(call.query["$filter"])
    unsupported = wanted.operators & UNSUPPORTED_OPERATORS
    advanced_only = wanted.operators & ADVANCED_OPERATORS
    counted = call.advanced and call.query.get("$count", "").lower() == "true"
    if unsupported or (advanced_only and not counted):
        raise bad_request("Unsupported Query.", "Request_UnsupportedQuery")
    records = [(person, user_json(call.tenant, person)) for person in people]
    unknown = [name for name in wanted.fields if records and name.split("/")[0] not in records[0][1]]
    if unknown:
        text = f"Could not find a property named '{unknown[0]}' on type 'microsoft.graph.user'."
        raise bad_request(f"Invalid filter clause: {text}", "Request_UnsupportedQuery")
    return [person for person, record in records if wanted.matches(record)]


def _found_people(call: Call, people: list[Person]) -> list[Person]:
    if not call.advanced:
        text = (
            "Request with $search query parameter only works through MSGraph with a special request header: "
            "'ConsistencyLevel: eventual'"
        )
        raise bad_request(text, "Request_UnsupportedQuery")
    try:
        matches = parse_search(call.query["$search"])
    except BadQuery as exc:
        raise bad_request(str(exc)) from exc
    return [person for person in people if matches(user_json(call.tenant, person))]


@routes.add("GET", "users/{user}", READ)
def get_user(call: Call) -> Answer:
    """Source: "Get a user"."""
    shown = shown_user(call, user_or_404(call))
    names = f"({call.query['$select']})" if call.query.get("$select") else ""
    return Answer(200, {"@odata.context": call.context(f"users{names}/$entity"), **shown})


@routes.add("PATCH", "users/{user}")
def update_user(call: Call) -> Answer:
    """Source: "Update user"; 204. Administrators and synchronised users are refused."""
    person = user_or_404(call)
    changes = call.json_body()
    for name in changes:
        _check_may_change(call, person, name)
    if "accountEnabled" in changes:
        _set_enabled(call, person, changes["accountEnabled"])
    if "passwordProfile" in changes:
        _set_password(call, person, changes["passwordProfile"])
    return Answer(204)


def _check_may_change(call: Call, person: Person, name: str) -> None:
    needs = {
        "accountEnabled": (("User.EnableDisableAccount.All",), READ),
        "passwordProfile": (("User-PasswordProfile.ReadWrite.All",),),
    }.get(name, (("User.ReadWrite.All",),))
    if (
        name in ("accountEnabled", "passwordProfile")
        and person.role_definition_ids
        and not call.tenant.app.may_change_admins
    ):
        raise permission_denied()
    if not all(call.any_role(*need) for need in needs):
        raise permission_denied()
    if name not in ("accountEnabled", "passwordProfile"):
        raise bad_request(f"The sandbox does not keep changes of '{name}'.", "Request_BadRequest")
    if person.synced:
        raise bad_request(SYNCED_TEXT, "Request_BadRequest")


def _set_enabled(call: Call, person: Person, enabled: Any) -> None:
    if not isinstance(enabled, bool):
        raise bad_request("Cannot convert the literal to the expected type 'Edm.Boolean'.")
    person.account_enabled = enabled
    call.tenant.changed("sign-in enabled" if enabled else "sign-in disabled", person.upn)


def _set_password(call: Call, person: Person, profile: Any) -> None:
    if not isinstance(profile, dict):
        raise bad_request("Invalid value specified for property 'passwordProfile' of resource 'User'.")
    if "password" in profile:
        _check_complexity(str(profile["password"]))
        now = call.tenant.clock.now()
        person.last_password_change, person.sessions_valid_from = now, now
    person.force_password_change = bool(profile.get("forceChangePasswordNextSignIn", person.force_password_change))
    call.tenant.changed("password reset", person.upn)


def _check_complexity(password: str) -> None:
    kinds = (str.islower, str.isupper, str.isdigit, lambda letter: not letter.isalnum())
    used = sum(any(kind(letter) for letter in password) for kind in kinds)
    if not 8 <= len(password) <= 256 or used < 3:
        text = (
            "The specified password does not comply with password complexity requirements. "
            "Please provide a different password."
        )
        raise bad_request(text, "Request_BadRequest")


@routes.add("POST", "users/{user}/revokeSignInSessions", ("User.RevokeSessions.All", "User.ReadWrite.All"))
def revoke_sessions(call: Call) -> Answer:
    """Source: "user: revokeSignInSessions"; takes administrators and synchronised users too."""
    person = user_or_404(call)
    person.sessions_valid_from = call.tenant.clock.now()
    call.tenant.changed("sign-in sessions revoked", person.upn)
    return Answer(200, {"@odata.context": call.context("Edm.Boolean"), "value": True})
