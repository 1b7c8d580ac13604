"""Graph's applications in the tenant: service principals, delegated grants, app role assignments, role assignments."""

from services.sandbox.graph.core import DIRECTORY, Answer, Call, Json, Routes, collection, filtered, not_found
from services.sandbox.graph.users import DEFAULT_PROPERTIES, user_json, user_or_404
from services.sandbox.state import AppRoleAssignment, Grant, Person, ServicePrincipal, Tenant, graph_time, opaque_id

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
        "appRoleId": "00000000-0000-0000-0000-000000000000",
        "createdDateTime": graph_time(assigned.created_at, digits=7),
        "principalDisplayName": person.display_name,
        "principalId": person.oid,
        "principalType": "User",
        "resourceDisplayName": resource.name if resource else None,
        "resourceId": assigned.resource_oid,
    }


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


@routes.add("GET", "roleManagement/directory/roleAssignments", ("RoleManagement.Read.Directory", "Directory.Read.All"))
def role_assignments(call: Call) -> Answer:
    """Source: "List unifiedRoleAssignments"; `$expand=principal` adds the person."""
    shown = []
    for person in call.tenant.people:
        for role in person.role_definition_ids:
            shown.append(_role_assignment(call, person, role))
    return collection(call, filtered(call, shown), "roleManagement/directory/roleAssignments", select=False)


def _role_assignment(call: Call, person: Person, role: str) -> Json:
    body: Json = {
        "id": opaque_id("role", person.oid, role)[6:41] + "-1",
        "principalId": person.oid,
        "resourceScope": "/",
        "directoryScopeId": "/",
        "roleDefinitionId": role,
    }
    if "principal" in call.query.get("$expand", ""):
        known = user_json(call.tenant, person)
        body["principal"] = {
            "@odata.type": "#microsoft.graph.user",
            **{name: known[name] for name in DEFAULT_PROPERTIES},
        }
    return body
