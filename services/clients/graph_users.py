"""People in Microsoft Graph: users, their groups and roles, their devices, and changing users. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pydantic import SecretStr

from services.clients import odata
from services.clients.graph_calls import Object, Place, build, leaf
from services.clients.graph_models import DirectoryRole, DirectoryUser, RegisteredDevice
from services.clients.http import Request, Response
from services.clients.reading import read, to_text
from services.errors import BrokenAnswer

FOUND_AT_MOST = 10
_USER_FIELDS = (
    "id,userPrincipalName,displayName,mail,proxyAddresses,otherMails,accountEnabled,userType,onPremisesSyncEnabled,"
    "lastPasswordChangeDateTime,signInSessionsValidFromDateTime,jobTitle,department,createdDateTime"
)
#: Without this, Graph refuses `$search`, `$count` and `endsWith` on directory objects.
_ADVANCED = {"ConsistencyLevel": "eventual"}


def build_get_user(place: Place, id_or_upn: str) -> Request:
    query = {"$select": _USER_FIELDS}
    return build(place, "GET", "/users/{user}", names={"user": id_or_upn}, query=query, permission="User.Read.All")


def parse_user(response: Response) -> DirectoryUser:
    """One user. Source: "Get user", 2025."""
    return read(DirectoryUser, response.json(), "graph")


def build_find_users(place: Place, condition: str) -> Request:
    """Users by a filter that needs no advanced query."""
    query = {"$filter": condition, "$select": _USER_FIELDS, "$top": str(FOUND_AT_MOST)}
    return build(place, "GET", "/users", query=query, permission="User.Read.All")


def build_search_users(place: Place, words: Sequence[str]) -> Request:
    """Users whose display name holds every word. Source: "Use the $search query parameter", 2025."""
    search = " AND ".join(f'"displayName:{word}"' for word in words)
    query = {"$search": search, "$select": _USER_FIELDS, "$top": str(FOUND_AT_MOST), "$count": "true"}
    return build(place, "GET", "/users", query=query, headers=_ADVANCED, permission="User.Read.All")


def build_deleted_users(place: Place, text: str) -> Request:
    """Deleted users; Entra puts the object id before their UPN, so that is looked for from its end."""
    if "@" in text:
        condition = f"mail eq {odata.literal(text)} or endsWith(userPrincipalName,{odata.literal(text)})"
    else:
        condition = f"startsWith(displayName,{odata.literal(text)})"
    query = {"$filter": condition, "$select": _USER_FIELDS, "$top": str(FOUND_AT_MOST), "$count": "true"}
    path = "/directory/deletedItems/microsoft.graph.user"
    return build(place, "GET", path, query=query, headers=_ADVANCED, permission="User.Read.All")


def by_address_filter(text: str) -> str:
    """The filter for a mail address, or for a mailbox nickname when there is no @."""
    quoted = odata.literal(text)
    if "@" not in text:
        return f"mailNickname eq {quoted}"
    proxy = odata.literal(f"smtp:{text}")
    return (
        f"userPrincipalName eq {quoted} or mail eq {quoted} or proxyAddresses/any(p:p eq {proxy})"
        f" or otherMails/any(m:m eq {quoted})"
    )


def exact_name_filter(text: str) -> str:
    return f"displayName eq {odata.literal(text)}"


def name_starts_filter(text: str) -> str:
    quoted = odata.literal(text)
    return f"startsWith(displayName,{quoted}) or startsWith(givenName,{quoted}) or startsWith(surname,{quoted})"


def restored_upn(user: DirectoryUser) -> DirectoryUser:
    """A deleted user with the UPN that they had: Entra puts the object id, without hyphens, before it."""
    return user.model_copy(update={"upn": re.sub(rf"^{user.oid.replace('-', '')}", "", user.upn, flags=re.IGNORECASE)})


def build_set_sign_in(place: Place, oid: str, enabled: bool) -> Request:
    """Safe to repeat: it writes a fixed state. Source: "Update user", 2026-07-04."""
    names, body = {"user": oid}, {"accountEnabled": enabled}
    permission = "User.EnableDisableAccount.All"
    return build(place, "PATCH", "/users/{user}", names=names, body=body, permission=permission)


def build_reset_password(place: Place, oid: str, password: SecretStr, force_change: bool) -> Request:
    """Safe to repeat: the same password once more changes nothing. Source: "Update user", 2026-07-04."""
    profile = {"forceChangePasswordNextSignIn": force_change, "password": password.get_secret_value()}
    names, permission = {"user": oid}, "User-PasswordProfile.ReadWrite.All"
    return build(place, "PATCH", "/users/{user}", names=names, body={"passwordProfile": profile}, permission=permission)


def build_revoke_sessions(place: Place, oid: str) -> Request:
    """Safe to repeat: it only moves the moment from which sessions count. Source: "revokeSignInSessions", 2023."""
    path = "/users/{user}/revokeSignInSessions"
    return build(place, "POST", path, names={"user": oid}, body={}, permission="User.RevokeSessions.All")


# --- groups and roles ------------------------------------------------------------------------------------------------


def build_memberships(place: Place, oid: str, *, groups_only: bool) -> Request:
    path = "/users/{user}/transitiveMemberOf" + ("/microsoft.graph.group" if groups_only else "")
    query = {"$select": "id", "$top": "999"}
    return build(place, "GET", path, names={"user": oid}, query=query, permission="GroupMember.Read.All")


def build_group_members(place: Place, group_id: str) -> Request:
    path, query = "/groups/{group}/transitiveMembers", {"$select": _USER_FIELDS, "$top": "999"}
    return build(place, "GET", path, names={"group": group_id}, query=query, permission="GroupMember.Read.All")


def is_user(data: Object) -> bool:
    """Whether a member is a user; members may be groups, devices and apps as well."""
    kind = data.get("@odata.type")
    return kind.casefold() == "#microsoft.graph.user" if isinstance(kind, str) else "userPrincipalName" in data


def build_directory_roles(place: Place, oid: str) -> Request:
    query = {"$filter": f"principalId eq {odata.literal(oid)}", "$expand": "roleDefinition"}
    path, permission = "/roleManagement/directory/roleAssignments", "RoleManagement.Read.Directory"
    return build(place, "GET", path, query=query, permission=permission)


def build_transitive_roles(place: Place, oid: str) -> Request:
    """
    Roles that are held directly or through a group. Only beta tells of them, and beta may change: not verified.

    Source: "List transitiveRoleAssignments" of beta, 2025: 404 without the header, `$count` and `$filter` are required.
    """
    path, permission = "/roleManagement/directory/transitiveRoleAssignments", "RoleManagement.Read.Directory"
    query = {"$count": "true", "$filter": f"principalId eq {odata.literal(oid)}"}
    return build(place, "GET", path, query=query, headers=_ADVANCED, permission=permission, version="beta")


def build_eligible_holders(place: Place) -> Request:
    """
    Who may activate which role, of the whole tenant, since a group cannot be asked for by its members.

    Source: "List roleEligibilityScheduleInstances", 2024-04-04.
    """
    path, permission = "/roleManagement/directory/roleEligibilityScheduleInstances", "RoleManagement.Read.Directory"
    return build(place, "GET", path, permission=permission)


def build_role_holders(place: Place, role_id: str) -> Request:
    query = {"$filter": f"roleDefinitionId eq {odata.literal(role_id)}"}
    path, permission = "/roleManagement/directory/roleAssignments", "RoleManagement.Read.Directory"
    return build(place, "GET", path, query=query, permission=permission)


def parse_role_holder(data: Object) -> str:
    """Who holds the role: object id of a person, a group or an app. Source: "List unifiedRoleAssignments", 2025."""
    holder = leaf(to_text, data, "principalId")
    if holder is None:
        raise BrokenAnswer("graph", what="principalId")
    return holder


def parse_directory_role(data: Object) -> DirectoryRole:
    """One assignment. Source: "List unifiedRoleAssignments", 2025."""
    return read(DirectoryRole, data, "graph")


def build_remove_role(place: Place, assignment_id: str) -> Request:
    """Safe to repeat: the second time it is gone already. Source: "Delete unifiedRoleAssignment", 2025."""
    path, permission = "/roleManagement/directory/roleAssignments/{assignment}", "RoleManagement.ReadWrite.Directory"
    return build(place, "DELETE", path, names={"assignment": assignment_id}, permission=permission)


def build_add_role(place: Place, oid: str, role_id: str, scope: str) -> Request:
    """Safe to repeat: the same assignment is refused the second time. Source: "Create unifiedRoleAssignment", 2025."""
    body = {
        "@odata.type": "#microsoft.graph.unifiedRoleAssignment",
        "principalId": oid,
        "roleDefinitionId": role_id,
        "directoryScopeId": scope,
    }
    path, permission = "/roleManagement/directory/roleAssignments", "RoleManagement.ReadWrite.Directory"
    return build(place, "POST", path, body=body, permission=permission)


# --- devices ---------------------------------------------------------------------------------------------------------


def build_registered_devices(place: Place, oid: str) -> Request:
    """Without Directory.Read.All the devices come with their ids alone. Source: "List registeredDevices", 2024."""
    path, permission = "/users/{user}/registeredDevices", "Directory.Read.All"
    return build(place, "GET", path, names={"user": oid}, permission=permission)


def parse_registered_device(data: Object) -> RegisteredDevice:
    """One device. Source: "device resource type", 2025."""
    return read(RegisteredDevice, data, "graph")
