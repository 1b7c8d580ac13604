"""Graph's groups, who is in them, and directory roles as memberships."""

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
)
from services.sandbox.graph.users import DEFAULT_PROPERTIES, user_json, user_or_404
from services.sandbox.state import GLOBAL_ADMINISTRATOR, Group, Person, stable_uuid

routes = Routes(DIRECTORY)
READ_MEMBERSHIP = ("GroupMember.Read.All", "Directory.Read.All", "User.Read.All", "Group.Read.All")
READ_GROUP = ("GroupMember.Read.All", "Directory.Read.All", "Group.Read.All")
MOST_CHECKED = 20


def group_json(group: Group, *, typed: bool = True) -> Json:
    """A group, with its type when it stands among directory objects."""
    kind = {"@odata.type": "#microsoft.graph.group"} if typed else {}
    return {
        **kind,
        "id": group.oid,
        "deletedDateTime": None,
        "createdDateTime": "2022-05-04T09:11:52Z",
        "description": None,
        "displayName": group.display_name,
        "groupTypes": [] if group.security_enabled else ["Unified"],
        "mail": group.mail,
        "mailEnabled": group.mail is not None,
        "securityEnabled": group.security_enabled,
        "visibility": None,
    }


def _directory_role(role_definition_id: str) -> Json:
    name = "Global Administrator" if role_definition_id == GLOBAL_ADMINISTRATOR else "Administrator"
    return {
        "@odata.type": "#microsoft.graph.directoryRole",
        "id": stable_uuid("role", role_definition_id),
        "deletedDateTime": None,
        "description": "Can manage parts of the directory.",
        "displayName": name,
        "roleTemplateId": role_definition_id,
    }


def _memberships(call: Call, *, transitive: bool, groups_only: bool) -> Answer:
    person = user_or_404(call)
    found = [group_json(group) for group in call.tenant.groups_of(person.oid, transitive=transitive)]
    if not groups_only:
        found += [_directory_role(role) for role in person.role_definition_ids]
    return collection(call, filtered(call, found), "directoryObjects")


@routes.add("GET", "users/{user}/memberOf", READ_MEMBERSHIP)
def member_of(call: Call) -> Answer:
    """Source: "List a user's direct memberships"; groups and directory roles together."""
    return _memberships(call, transitive=False, groups_only=False)


@routes.add("GET", "users/{user}/transitiveMemberOf", READ_MEMBERSHIP)
def transitive_member_of(call: Call) -> Answer:
    """Source: "List a user's memberships (direct and transitive)"."""
    return _memberships(call, transitive=True, groups_only=False)


@routes.add("GET", "users/{user}/memberOf/microsoft.graph.group", READ_MEMBERSHIP)
def groups_of(call: Call) -> Answer:
    """Direct memberships, cast to groups."""
    return _memberships(call, transitive=False, groups_only=True)


@routes.add("GET", "users/{user}/transitiveMemberOf/microsoft.graph.group", READ_MEMBERSHIP)
def transitive_groups_of(call: Call) -> Answer:
    """All memberships, cast to groups."""
    return _memberships(call, transitive=True, groups_only=True)


@routes.add("POST", "users/{user}/checkMemberGroups", READ_MEMBERSHIP)
def check_member_groups(call: Call) -> Answer:
    """Source: "directoryObject: checkMemberGroups"; transitive, at most 20 ids."""
    return _check(call, "groupIds")


@routes.add("POST", "users/{user}/checkMemberObjects", READ_MEMBERSHIP)
def check_member_objects(call: Call) -> Answer:
    """Source: "directoryObject: checkMemberObjects"; groups and directory roles, at most 20 ids."""
    return _check(call, "ids")


def _check(call: Call, field: str) -> Answer:
    person, asked = user_or_404(call), call.json_body().get(field)
    if not isinstance(asked, list) or not 1 <= len(asked) <= MOST_CHECKED:
        raise bad_request(f"Invalid value specified for property '{field}'.", "Request_BadRequest")
    held = {group.oid for group in call.tenant.groups_of(person.oid, transitive=True)}
    if field == "ids":
        held |= {_directory_role(role)["id"] for role in person.role_definition_ids}
    found = [oid for oid in asked if str(oid).lower() in held]
    return Answer(200, {"@odata.context": call.context("Collection(Edm.String)"), "value": found})


@routes.add("POST", "users/{user}/getMemberGroups", READ_MEMBERSHIP)
def get_member_groups(call: Call) -> Answer:
    """Source: "directoryObject: getMemberGroups"."""
    person, body = user_or_404(call), call.json_body()
    if "securityEnabledOnly" not in body:
        raise bad_request("The parameter 'securityEnabledOnly' is required.", "Request_BadRequest")
    groups = call.tenant.groups_of(person.oid, transitive=True)
    found = [group.oid for group in groups if group.security_enabled or not body["securityEnabledOnly"]]
    return Answer(200, {"@odata.context": call.context("Collection(Edm.String)"), "value": found})


@routes.add("GET", "groups", READ_GROUP)
def list_groups(call: Call) -> Answer:
    """Source: "List groups"."""
    found = [group_json(group, typed=False) for group in call.tenant.groups]
    return collection(call, filtered(call, found), "groups")


@routes.add("GET", "groups/{group}", READ_GROUP)
def get_group(call: Call) -> Answer:
    """Source: "Get group"."""
    body = group_json(_group_or_404(call), typed=False)
    return Answer(200, {"@odata.context": call.context("groups/$entity"), **body})


def _group_or_404(call: Call) -> Group:
    group = call.tenant.group(call.names["group"])
    if group is None:
        raise not_found(call.names["group"])
    return group


def _members(call: Call, group: Group, *, transitive: bool, seen: set[str]) -> list[Json]:
    found = []
    for oid in group.members:
        inner, person = call.tenant.group(oid), call.tenant.person(oid)
        if oid in seen:
            continue
        seen.add(oid)
        if person is not None:
            found.append(_member(call, person))
        elif inner is not None:
            found.append(group_json(inner))
            found += _members(call, inner, transitive=True, seen=seen) if transitive else []
    return found


def _member(call: Call, person: Person) -> Json:
    known = user_json(call.tenant, person)
    return {"@odata.type": "#microsoft.graph.user", **{name: known[name] for name in DEFAULT_PROPERTIES}}


def _member_page(call: Call, *, transitive: bool, kind: str = "") -> Answer:
    found = _members(call, _group_or_404(call), transitive=transitive, seen=set())
    return collection(call, [item for item in found if item["@odata.type"].endswith(kind)], "directoryObjects")


@routes.add("GET", "groups/{group}/members", READ_GROUP)
def members(call: Call) -> Answer:
    """Source: "List group members"; people and groups."""
    return _member_page(call, transitive=False)


@routes.add("GET", "groups/{group}/members/microsoft.graph.user", READ_GROUP)
def user_members(call: Call) -> Answer:
    """Direct members, cast to users."""
    return _member_page(call, transitive=False, kind=".user")


@routes.add("GET", "groups/{group}/transitiveMembers", READ_GROUP)
def transitive_members(call: Call) -> Answer:
    """Source: "List group transitive members"; the groups in between are members too."""
    return _member_page(call, transitive=True)


@routes.add("GET", "groups/{group}/transitiveMembers/microsoft.graph.user", READ_GROUP)
def transitive_user_members(call: Call) -> Answer:
    """All members, cast to users."""
    return _member_page(call, transitive=True, kind=".user")
