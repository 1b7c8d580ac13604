"""Apps in Microsoft Graph: what they may do for people, whom they were given to, and who they are. Pure."""

from __future__ import annotations

from services.clients.graph_calls import Object, Place, as_object, build
from services.clients.graph_models import AppAssignment, AppSecret, OAuthGrant, ServicePrincipal
from services.clients.http import Request, Response
from services.clients.reading import parts, read


def build_app_secrets(place: Place, app_id: str) -> Request:
    """Source: "Get application", 2025; by the id of the app, which needs no object id."""
    path, query = "/applications(appId='{app}')", {"$select": "passwordCredentials"}
    return build(place, "GET", path, names={"app": app_id}, query=query, permission="Application.Read.All")


def parse_app_secrets(response: Response) -> tuple[AppSecret, ...]:
    """The secrets of one app, which never show the secret itself. Source: "passwordCredential resource type", 2025."""
    found = parts(as_object(response), "passwordCredentials", "graph")
    return tuple(read(AppSecret, secret, "graph") for secret in found)


def build_oauth_grants(place: Place, oid: str) -> Request:
    path = "/users/{user}/oauth2PermissionGrants"
    return build(place, "GET", path, names={"user": oid}, permission="Directory.Read.All")


def build_oauth_grants_for_everyone(place: Place) -> Request:
    query = {"$filter": "consentType eq 'AllPrincipals'"}
    return build(place, "GET", "/oauth2PermissionGrants", query=query, permission="Directory.Read.All")


def parse_oauth_grant(data: Object) -> OAuthGrant:
    """One grant. Source: "List oauth2PermissionGrants", 2025."""
    return read(OAuthGrant, data, "graph")


def build_revoke_grant(place: Place, grant_id: str) -> Request:
    """Safe to repeat: the second time it is gone already. Source: "Delete oAuth2PermissionGrant", 2025."""
    path, permission = "/oauth2PermissionGrants/{grant}", "DelegatedPermissionGrant.ReadWrite.All"
    return build(place, "DELETE", path, names={"grant": grant_id}, permission=permission)


def build_service_principal(place: Place, sp_oid: str) -> Request:
    path = "/servicePrincipals/{app}"
    return build(place, "GET", path, names={"app": sp_oid}, permission="Application.Read.All")


def parse_service_principal(response: Response) -> ServicePrincipal:
    """One app. An unverified publisher comes as null, or as an object full of nulls. Source: "Get servicePrincipal"."""
    return read(ServicePrincipal, response.json(), "graph")


def build_restore_grant(place: Place, grant: OAuthGrant) -> Request:
    """
    Give a grant again, under an id that will be new. Safe to repeat: the same grant is refused the second time.

    Source: "Create oAuth2PermissionGrant", 2025.
    """
    body = {
        "clientId": grant.client_sp_oid,
        "consentType": "AllPrincipals" if grant.for_everyone else "Principal",
        "principalId": None if grant.for_everyone else grant.principal_oid,
        "resourceId": grant.resource_sp_oid,
        "scope": " ".join(grant.scopes),
    }
    permission = "DelegatedPermissionGrant.ReadWrite.All"
    return build(place, "POST", "/oauth2PermissionGrants", body=body, permission=permission)


def build_app_assignments(place: Place, oid: str) -> Request:
    path, permission = "/users/{user}/appRoleAssignments", "Directory.Read.All"
    return build(place, "GET", path, names={"user": oid}, permission=permission)


def parse_app_assignment(data: Object) -> AppAssignment:
    """One assignment. Source: "List appRoleAssignments granted to a user", 2025."""
    return read(AppAssignment, data, "graph")


def build_remove_app_assignment(place: Place, oid: str, assignment_id: str) -> Request:
    """Safe to repeat: the second time it is gone already. Source: "Delete appRoleAssignment", 2025."""
    names, permission = {"user": oid, "assignment": assignment_id}, "AppRoleAssignment.ReadWrite.All"
    return build(place, "DELETE", "/users/{user}/appRoleAssignments/{assignment}", names=names, permission=permission)


def build_restore_app_assignment(place: Place, oid: str, app_sp_oid: str, app_role_id: str) -> Request:
    """Safe to repeat: the same assignment is refused the second time. Source: "Grant an appRoleAssignment", 2025."""
    body = {"principalId": oid, "resourceId": app_sp_oid, "appRoleId": app_role_id}
    path, permission = "/users/{user}/appRoleAssignments", "AppRoleAssignment.ReadWrite.All"
    return build(place, "POST", path, names={"user": oid}, body=body, permission=permission)
