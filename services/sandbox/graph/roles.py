"""Graph's directory roles: their definitions, and who holds which."""

import re

from services.sandbox.graph.core import (
    DIRECTORY,
    Answer,
    Call,
    Json,
    Routes,
    bad_request,
    collection,
    filtered,
    not_found,
    permission_denied,
)
from services.sandbox.graph.groups import group_json
from services.sandbox.graph.users import DEFAULT_PROPERTIES, user_json
from services.sandbox.state import GLOBAL_ADMINISTRATOR, ROLE_NAMES, Group, Person, opaque_id, stable_uuid

routes = Routes(DIRECTORY)
READ = ("RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "Directory.Read.All")
READ_ELIGIBLE = (
    "RoleEligibilitySchedule.Read.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.ReadWrite.Directory",
)
WRITE = "RoleManagement.ReadWrite.Directory"


@routes.add("GET", "roleManagement/directory/roleAssignments", READ)
def role_assignments(call: Call) -> Answer:
    """Source: "List unifiedRoleAssignments"; `$expand=principal` or `$expand=roleDefinition`, one at a time."""
    holders = (*call.tenant.people, *call.tenant.groups)
    shown = [_assignment(call, holder, role) for holder in holders for role in holder.role_definition_ids]
    return collection(call, filtered(call, shown), "roleManagement/directory/roleAssignments", select=False)


@routes.add("GET", "roleManagement/directory/transitiveRoleAssignments", READ, beta_only=True)
def transitive_role_assignments(call: Call) -> Answer:
    """Source: "List transitiveRoleAssignments" of beta; for one principal, and 404 unless it is an advanced query."""
    principal = re.fullmatch(r"principalId eq '([^']+)'", call.query.get("$filter", ""))
    if not call.advanced or call.query.get("$count", "").lower() != "true":
        raise not_found("transitiveRoleAssignments")
    if principal is None:
        raise bad_request("The filter must scope the request to one principalId.", "Request_UnsupportedQuery")
    person = call.tenant.person(principal[1])
    held = [person, *call.tenant.groups_of(person.oid, transitive=True)] if person else []
    shown = [_assignment(call, holder, role) for holder in held for role in holder.role_definition_ids]
    return collection(call, shown, "roleManagement/directory/transitiveRoleAssignments", select=False)


@routes.add("GET", "roleManagement/directory/roleEligibilityScheduleInstances", READ_ELIGIBLE)
def eligible_roles(call: Call) -> Answer:
    """Source: "List roleEligibilityScheduleInstances"; the refusal without Entra ID P2 is observed, not documented."""
    if not call.tenant.licences.p2:
        text = "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license."
        raise bad_request(text, "AadPremiumLicenseRequired")
    holders = (*call.tenant.people, *call.tenant.groups)
    shown = [_eligible(holder, role) for holder in holders for role in holder.eligible_role_ids]
    return collection(call, filtered(call, shown), "roleManagement/directory/roleEligibilityScheduleInstances")


@routes.add("GET", "roleManagement/directory/roleAssignments/{assignment}", READ)
def role_assignment(call: Call) -> Answer:
    """Source: "Get unifiedRoleAssignment"."""
    shown = _assignment(call, *_held(call))
    context = call.context("roleManagement/directory/roleAssignments/$entity")
    return Answer(200, {"@odata.context": context, **shown})


@routes.add("POST", "roleManagement/directory/roleAssignments", WRITE)
def assign_role(call: Call) -> Answer:
    """Source: "Create unifiedRoleAssignment"; 201. What is assigned already is a 400; one scope per role is kept."""
    body = call.json_body()
    person, role = call.tenant.person(str(body.get("principalId"))), str(body.get("roleDefinitionId")).lower()
    scope = body.get("directoryScopeId")
    if person is None or role not in ROLE_NAMES:
        raise not_found(str(body.get("principalId") if person is None else role))
    if not isinstance(scope, str) or not scope.startswith("/"):
        raise bad_request("The directoryScopeId or appScopeId is required.", "Request_BadRequest")
    _check_privilege(call, role)
    if role in person.role_definition_ids:
        text = "A conflicting object with one or more of the specified property values is present in the directory."
        raise bad_request(text, "Request_BadRequest")
    person.role_definition_ids.append(role)
    person.role_scopes[role] = scope
    call.tenant.changed("directory role assigned", f"{person.upn}: {ROLE_NAMES[role]}")
    context = call.context("roleManagement/directory/roleAssignments/$entity")
    return Answer(201, {"@odata.context": context, **_assignment(call, person, role)})


@routes.add("DELETE", "roleManagement/directory/roleAssignments/{assignment}", WRITE)
def remove_role(call: Call) -> Answer:
    """Source: "Delete unifiedRoleAssignment"; 204. Global administrators stay as long as the app is none itself."""
    person, role = _held(call)
    _check_privilege(call, role)
    person.role_definition_ids.remove(role)
    person.role_scopes.pop(role, None)
    call.tenant.changed("directory role removed", f"{person.upn}: {ROLE_NAMES.get(role, role)}")
    return Answer(204)


def _check_privilege(call: Call, role: str) -> None:
    if role == GLOBAL_ADMINISTRATOR and not call.tenant.app.may_change_admins:
        raise permission_denied()


def _held(call: Call) -> tuple[Person, str]:
    """Who holds the role of the assignment that the path names, and that role. Raises: GraphError 404."""
    for person in call.tenant.people:
        for role in person.role_definition_ids:
            if _assignment_id(person, role) == call.names["assignment"]:
                return person, role
    raise not_found(call.names["assignment"])


def _assignment_id(holder: Person | Group, role: str) -> str:
    return opaque_id("role", holder.oid, role)[6:41] + "-1"


def _eligible(holder: Person | Group, role: str) -> Json:
    return {
        "id": _assignment_id(holder, role) + "-e",
        "principalId": holder.oid,
        "roleDefinitionId": role,
        "directoryScopeId": "/",
        "appScopeId": None,
        "startDateTime": "2022-05-04T09:11:52Z",
        "endDateTime": None,
        "memberType": "Direct",
        "roleEligibilityScheduleId": stable_uuid("eligible role", holder.oid, role),
    }


def _assignment(call: Call, holder: Person | Group, role: str) -> Json:
    scope = holder.role_scopes.get(role, "/") if isinstance(holder, Person) else "/"
    body: Json = {
        "id": _assignment_id(holder, role),
        "principalId": holder.oid,
        "resourceScope": scope,
        "directoryScopeId": scope,
        "roleDefinitionId": role,
    }
    wanted = [name for name in call.query.get("$expand", "").split(",") if name]
    if len(wanted) > 1:
        raise bad_request("Only one property can be expanded in a single query.", "Request_BadRequest")
    if wanted[:1] == ["principal"]:
        body["principal"] = _principal(call, holder)
    # A selection of properties may stand in brackets behind the name.
    if wanted and wanted[0].startswith("roleDefinition"):
        body["roleDefinition"] = _definition(role)
    return body


def _principal(call: Call, holder: Person | Group) -> Json:
    if isinstance(holder, Group):
        return group_json(holder)
    known = user_json(call.tenant, holder)
    shown = {name: known[name] for name in DEFAULT_PROPERTIES}
    return {"@odata.type": "#microsoft.graph.user", **shown}


@routes.add("GET", "roleManagement/directory/roleDefinitions", READ)
def role_definitions(call: Call) -> Answer:
    """Source: "List roleDefinitions"."""
    shown = [_definition(role) for role in ROLE_NAMES]
    return collection(call, filtered(call, shown), "roleManagement/directory/roleDefinitions")


@routes.add("GET", "roleManagement/directory/roleDefinitions/{role}", READ)
def role_definition(call: Call) -> Answer:
    """Source: "Get unifiedRoleDefinition"."""
    role = call.names["role"].lower()
    if role not in ROLE_NAMES:
        raise not_found(call.names["role"])
    context = call.context("roleManagement/directory/roleDefinitions/$entity")
    return Answer(200, {"@odata.context": context, **_definition(role)})


def _definition(role: str) -> Json:
    return {
        "id": role,
        "displayName": ROLE_NAMES.get(role),
        "description": None,
        "isBuiltIn": True,
        "isEnabled": True,
        "templateId": role,
        "version": "1",
    }
