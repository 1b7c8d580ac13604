"""Graph's applications in the tenant: service principals, delegated grants, app role assignments."""

from datetime import timedelta
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
    filtered,
    not_found,
)
from services.sandbox.graph.users import user_or_404
from services.sandbox.state import (
    DEFAULT_ACCESS,
    AppRoleAssignment,
    Grant,
    Person,
    ServicePrincipal,
    Tenant,
    graph_time,
    opaque_id,
)

routes = Routes(DIRECTORY)
READ_GRANTS = ("Directory.Read.All", "DelegatedPermissionGrant.ReadWrite.All", "DelegatedPermissionGrant.Read.All")
READ_ASSIGNMENTS = ("Directory.Read.All", "AppRoleAssignment.ReadWrite.All")
READ_APPLICATIONS = ("Application.Read.All", "Directory.Read.All")


def _grant_json(grant: Grant) -> Json:
    return {
        "clientId": grant.client_oid,
        "consentType": "Principal" if grant.principal_oid else "AllPrincipals",
        "id": grant.grant_id,
        "principalId": grant.principal_oid,
        "resourceId": grant.resource_oid,
        "scope": grant.scope,
    }


@routes.add("GET", "oauth2PermissionGrants", READ_GRANTS)
def grants(call: Call) -> Answer:
    """Source: "List oauth2PermissionGrants"; a grant has no date."""
    shown = [_grant_json(grant) for grant in call.tenant.grants]
    return collection(call, filtered(call, shown), "oauth2PermissionGrants", default=100)


@routes.add("GET", "users/{user}/oauth2PermissionGrants", READ_GRANTS)
def grants_of_user(call: Call) -> Answer:
    """Source: "List a user's oauth2PermissionGrants"; grants for everybody are not among them."""
    person = user_or_404(call)
    shown = [_grant_json(grant) for grant in call.tenant.grants if grant.principal_oid == person.oid]
    return collection(call, filtered(call, shown), "oauth2PermissionGrants", default=100)


@routes.add("GET", "oauth2PermissionGrants/{grant}", READ_GRANTS)
def get_grant(call: Call) -> Answer:
    """Source: "Get oAuth2PermissionGrant"."""
    body = _grant_json(_grant_or_404(call))
    return Answer(200, {"@odata.context": call.context("oauth2PermissionGrants/$entity"), **body})


@routes.add("POST", "oauth2PermissionGrants", "DelegatedPermissionGrant.ReadWrite.All")
def create_grant(call: Call) -> Answer:
    """Source: "Create oAuth2PermissionGrant"; 201. What an app, a resource and a person have already is a 409."""
    body = call.json_body()
    client, resource = (_principal(call.tenant, body, name) for name in ("clientId", "resourceId"))
    principal_oid = _granting_person(call, body)
    for grant in call.tenant.grants:
        if (grant.client_oid, grant.resource_oid, grant.principal_oid) == (client.oid, resource.oid, principal_oid):
            raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
    grant_id = opaque_id("grant", client.oid, principal_oid or "everybody")[6:49]
    grant = Grant(grant_id, client.oid, resource.oid, str(body.get("scope") or ""), principal_oid)
    call.tenant.grants.append(grant)
    call.tenant.changed("delegated grant created", f"{principal_oid}: {grant.scope.strip()}")
    shown = {"@odata.context": call.context("oauth2PermissionGrants/$entity"), **_grant_json(grant)}
    return Answer(201, shown)


def _granting_person(call: Call, body: Json) -> str | None:
    """The object id of the person a new grant is for; None for everybody. Raises: GraphError 400."""
    kind, oid = body.get("consentType"), body.get("principalId")
    if kind == "AllPrincipals" and oid is None:
        return None
    person = call.tenant.person(str(oid)) if kind == "Principal" else None
    if person is None:
        raise bad_request("Invalid value specified for property 'principalId' of resource 'OAuth2PermissionGrant'.")
    return person.oid


def _principal(tenant: Tenant, body: Json, name: str) -> ServicePrincipal:
    found = tenant.service_principal(str(body.get(name)))
    if found is None:
        raise not_found(str(body.get(name)))
    return found


@routes.add("DELETE", "oauth2PermissionGrants/{grant}", "DelegatedPermissionGrant.ReadWrite.All")
def delete_grant(call: Call) -> Answer:
    """Source: "Delete oAuth2PermissionGrant"; 204."""
    grant = _grant_or_404(call)
    call.tenant.grants.remove(grant)
    call.tenant.changed("delegated grant revoked", f"{grant.principal_oid}: {grant.scope.strip()}")
    return Answer(204)


def _grant_or_404(call: Call) -> Grant:
    for grant in call.tenant.grants:
        if grant.grant_id == call.names["grant"]:
            return grant
    raise not_found(call.names["grant"])


@routes.add("GET", "users/{user}/appRoleAssignments", READ_ASSIGNMENTS)
def assignments(call: Call) -> Answer:
    """Source: "List appRoleAssignments granted to a user"."""
    person = user_or_404(call)
    mine = [assigned for assigned in call.tenant.app_role_assignments if assigned.principal_oid == person.oid]
    shown = [_assignment_json(call.tenant, person, assigned) for assigned in mine]
    return collection(call, shown, f"users('{person.oid}')/appRoleAssignments")


def _assignment_json(tenant: Tenant, person: Person, assigned: AppRoleAssignment) -> Json:
    resource = tenant.service_principal(assigned.resource_oid)
    return {
        "id": assigned.assignment_id,
        "deletedDateTime": None,
        "appRoleId": assigned.app_role_id,
        "createdDateTime": graph_time(assigned.created_at, digits=7),
        "principalDisplayName": person.display_name,
        "principalId": person.oid,
        "principalType": "User",
        "resourceDisplayName": resource.name if resource else None,
        "resourceId": assigned.resource_oid,
    }


@routes.add("POST", "users/{user}/appRoleAssignments", "AppRoleAssignment.ReadWrite.All")
def create_assignment(call: Call) -> Answer:
    """Source: "Grant an appRoleAssignment to a user"; 201. What is assigned already is a 400."""
    person, body, tenant = user_or_404(call), call.json_body(), call.tenant
    if str(body.get("principalId")).lower() != person.oid:
        raise bad_request("Invalid value specified for property 'principalId' of resource 'AppRoleAssignment'.")
    resource, role = _principal(tenant, body, "resourceId"), _app_role(body.get("appRoleId"))
    wanted = (person.oid, resource.oid, role)
    if wanted in [(held.principal_oid, held.resource_oid, held.app_role_id) for held in tenant.app_role_assignments]:
        raise bad_request("Permission being assigned already exists on the object", "Request_BadRequest")
    assignment_id = opaque_id("assignment", *wanted)[6:49]
    assigned = AppRoleAssignment(assignment_id, person.oid, resource.oid, tenant.clock.now(), role)
    tenant.app_role_assignments.append(assigned)
    tenant.changed("app role assignment created", f"{person.upn}: {resource.oid}")
    context = call.context(f"users('{person.oid}')/appRoleAssignments/$entity")
    return Answer(201, {"@odata.context": context, **_assignment_json(tenant, person, assigned)})


def _app_role(asked: Any) -> str:
    """The role asked for. The sandbox's applications have none of their own, so that the default one remains."""
    if asked != DEFAULT_ACCESS:
        raise bad_request("Permission being assigned was not found on application.", "Request_BadRequest")
    return DEFAULT_ACCESS


@routes.add("DELETE", "users/{user}/appRoleAssignments/{assignment}", "AppRoleAssignment.ReadWrite.All")
def delete_assignment(call: Call) -> Answer:
    """Source: "Delete an appRoleAssignment from a user"; 204."""
    person = user_or_404(call)
    for assigned in call.tenant.app_role_assignments:
        if assigned.assignment_id == call.names["assignment"] and assigned.principal_oid == person.oid:
            call.tenant.app_role_assignments.remove(assigned)
            call.tenant.changed("app role assignment removed", f"{person.upn}: {assigned.resource_oid}")
            return Answer(204)
    raise not_found(call.names["assignment"])


def _principal_json(tenant: Tenant, principal: ServicePrincipal) -> Json:
    verified = principal.publisher is not None
    own = principal.publisher == tenant.name
    return {
        "id": principal.oid,
        "deletedDateTime": None,
        "accountEnabled": True,
        "appDisplayName": principal.name,
        "appId": principal.app_id,
        "appOwnerOrganizationId": tenant.tenant_id if own else "f8cdef31-a31e-4b4a-93e4-5f571e91255a",
        "appRoleAssignmentRequired": False,
        "createdDateTime": graph_time(principal.created_at),
        "displayName": principal.name,
        "homepage": principal.homepage,
        "publisherName": principal.publisher,
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg" if own else "AzureADMultipleOrgs",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
        "verifiedPublisher": {
            "displayName": principal.publisher if verified and not own else None,
            "verifiedPublisherId": "2216532" if verified and not own else None,
            "addedDateTime": "2021-04-24T17:49:44Z" if verified and not own else None,
        },
    }


@routes.add("GET", "servicePrincipals", READ_APPLICATIONS)
def service_principals(call: Call) -> Answer:
    """Source: "List servicePrincipals"."""
    shown = [_principal_json(call.tenant, principal) for principal in call.tenant.service_principals]
    return collection(call, filtered(call, shown), "servicePrincipals")


@routes.add("GET", "servicePrincipals/{principal}", READ_APPLICATIONS)
def service_principal(call: Call) -> Answer:
    """Source: "Get servicePrincipal"; by object id."""
    principal = call.tenant.service_principal(call.names["principal"])
    if principal is None:
        raise not_found(call.names["principal"])
    shown = _principal_json(call.tenant, principal)
    names = call.query.get("$select")
    wanted = {name.strip() for name in names.split(",")} if names else set(shown)
    body = {name: value for name, value in shown.items() if name in wanted}
    return Answer(200, {"@odata.context": call.context("servicePrincipals/$entity"), **body})


def _secret_json(tenant: Tenant) -> Json:
    """Source: "passwordCredential resource type"; the secret itself is never shown again."""
    return {
        "customKeyIdentifier": None,
        "displayName": "Unblock",
        "endDateTime": graph_time(tenant.clock.now() + timedelta(days=tenant.app.secret_days)),
        "hint": tenant.app.secret[:3],
        "keyId": opaque_id("secret", tenant.app.app_id),
        "secretText": None,
        "startDateTime": graph_time(tenant.clock.now() - timedelta(days=30)),
    }


@routes.add("GET", "applications(appId='{app}')", READ_APPLICATIONS)
def application(call: Call) -> Answer:
    """Source: "Get application"; by the id of the app, and only what `$select` may want of it here."""
    app = call.tenant.app
    if call.names["app"].lower() != app.app_id:
        raise not_found(call.names["app"])
    claims = [{"name": name, "source": None, "essential": False} for name in app.id_token_claims]
    body = {
        "@odata.context": call.context("applications/$entity"),
        "web": {"redirectUris": app.redirect_uris},
        "optionalClaims": {"idToken": claims, "accessToken": [], "saml2Token": []} if claims else None,
        "passwordCredentials": [_secret_json(call.tenant)],
    }
    return Answer(200, body)
