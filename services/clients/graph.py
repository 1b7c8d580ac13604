"""
Microsoft Graph, as far as the bot needs it. Each call is a trio: `build_*` (pure), send, `parse_*` (pure).

Every method may raise any ServiceError with service "graph"; docstrings name only what is special. Times are aware, in
UTC. A list is always complete, or cut off at a stated limit: a page that is missing is an error and never a short list.
Source of paths and permissions: Microsoft's permission reference for Graph, 2026-08-07, and its metadata, 2026-08-20.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import SecretStr

from services.clients import odata
from services.clients.clouds import graph_root, graph_scope
from services.clients.graph_models import (
    AlertUser,
    AuditChange,
    AuditEvent,
    AuditTarget,
    AuthMethod,
    CaPolicy,
    DirectoryRole,
    DirectoryUser,
    MailRule,
    MessageTrace,
    MfaRegistration,
    OAuthGrant,
    RiskDetection,
    RiskyUser,
    ScoredControl,
    SecureScore,
    SecureScoreControl,
    SecurityAlert,
    ServicePrincipal,
    SignIn,
)
from services.clients.http import Request, Response, Send
from services.clients.reading import part, parts, read, to_flag, to_loose_text, to_text
from services.errors import BrokenAnswer, NotFound, Rejected

Item = TypeVar("Item")
Object = Mapping[str, Any]

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
#: What people type is compared up to this length; nothing in a directory is longer.
_LONGEST_NAME = 256
_FOUND_AT_MOST = 10
_USER_FIELDS = (
    "id,userPrincipalName,displayName,mail,proxyAddresses,otherMails,accountEnabled,userType,onPremisesSyncEnabled,"
    "lastPasswordChangeDateTime,signInSessionsValidFromDateTime,jobTitle,department,createdDateTime"
)
#: Without this, Graph refuses `$search`, `$count` and `endsWith` on directory objects.
_ADVANCED = {"ConsistencyLevel": "eventual"}


@dataclass(frozen=True)
class Place:
    """Where Graph is, and what a token for it is called."""

    root: str
    scope: str

    @classmethod
    def at(cls, graph_url: str) -> Place:
        return cls(root=graph_root(graph_url), scope=graph_scope(graph_url))


def build(
    place: Place,
    method: str,
    template: str,
    *,
    permission: str,
    names: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
    **more: Any,
) -> Request:
    """A call: `names` fill the braces of the template, each quoted as one segment; `more` are fields of `Request`."""
    filled = template.format(**{name: odata.segment(value) for name, value in (names or {}).items()})
    url = f"{place.root}/v1.0{filled}{odata.query(query or {})}"
    return Request("graph", method, url, template, place.scope, permission=permission, **more)


# --- users -----------------------------------------------------------------------------------------------------------


def build_get_user(place: Place, id_or_upn: str) -> Request:
    query = {"$select": _USER_FIELDS}
    return build(place, "GET", "/users/{user}", names={"user": id_or_upn}, query=query, permission="User.Read.All")


def parse_user(response: Response) -> DirectoryUser:
    """One user. Source: "Get user", 2025."""
    return read(DirectoryUser, response.json(), "graph")


def build_find_users(place: Place, condition: str) -> Request:
    """Users by a filter that needs no advanced query."""
    query = {"$filter": condition, "$select": _USER_FIELDS, "$top": str(_FOUND_AT_MOST)}
    return build(place, "GET", "/users", query=query, permission="User.Read.All")


def build_search_users(place: Place, words: Sequence[str]) -> Request:
    """Users whose display name holds every word. Source: "Use the $search query parameter", 2025."""
    search = " AND ".join(f'"displayName:{word}"' for word in words)
    query = {"$search": search, "$select": _USER_FIELDS, "$top": str(_FOUND_AT_MOST), "$count": "true"}
    return build(place, "GET", "/users", query=query, headers=_ADVANCED, permission="User.Read.All")


def build_deleted_users(place: Place, text: str) -> Request:
    """Deleted users; Entra puts the object id before their UPN, so that is looked for from its end."""
    if "@" in text:
        condition = f"mail eq {odata.literal(text)} or endsWith(userPrincipalName,{odata.literal(text)})"
    else:
        condition = f"startsWith(displayName,{odata.literal(text)})"
    query = {"$filter": condition, "$select": _USER_FIELDS, "$top": str(_FOUND_AT_MOST), "$count": "true"}
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


# --- risk and sign-ins -----------------------------------------------------------------------------------------------


def build_risky_user(place: Place, oid: str) -> Request:
    path, permission = "/identityProtection/riskyUsers/{user}", "IdentityRiskyUser.Read.All"
    return build(place, "GET", path, names={"user": oid}, lane="risk", permission=permission)


def parse_risky_user(response: Response) -> RiskyUser:
    """One risky user; the documentation prints a list of one, so that is read too. Source: "Get riskyUser", 2022."""
    data = response.json()
    if isinstance(data, Mapping) and isinstance(data.get("value"), list):
        data = next(iter(parts(data, "value", "graph")), None)
    return read(RiskyUser, data, "graph")


def build_risk_detections(place: Place, oid: str) -> Request:
    query = {"$filter": f"userId eq {odata.literal(oid)}", "$top": "500"}
    path, permission = "/identityProtection/riskDetections", "IdentityRiskEvent.Read.All"
    return build(place, "GET", path, query=query, lane="risk", permission=permission)


def parse_risk_detection(data: Object) -> RiskDetection:
    """One detection. Its additionalInfo is a text that holds JSON. Source: "List riskDetections", 2024-10."""
    return read(RiskDetection, data, "graph", info=_additional_info(data.get("additionalInfo")))


def _additional_info(text: Any) -> dict[str, str]:
    try:
        pairs = json.loads(text) if isinstance(text, str) else text
    except (ValueError, RecursionError):
        return {}
    return _pairs(pairs)


def _pairs(items: Any) -> dict[str, str]:
    """[{"Key": ..., "Value": ...}], in any case, as a dict; whatever has another form is left out."""
    found: dict[str, str] = {}
    for item in items if isinstance(items, list) else []:
        if isinstance(item, Mapping):
            lower = {str(name).casefold(): value for name, value in item.items()}
            key = to_loose_text(lower.get("key"))
            if key is not None:
                found[key] = to_loose_text(lower.get("value")) or ""
    return found


def build_sign_ins(place: Place, oid: str, since: datetime, limit: int) -> Request:
    condition = f"userId eq {odata.literal(oid)} and createdDateTime ge {odata.moment(since)}"
    query = {"$filter": condition, "$top": str(min(limit, 1000))}
    return build(place, "GET", "/auditLogs/signIns", query=query, lane="reports", permission="AuditLog.Read.All")


def parse_sign_in(data: Object) -> SignIn:
    """One sign-in. Source: "List signIns", 2023, and "signIn resource type"."""
    return read(SignIn, data, "graph")


def build_directory_audits(
    place: Place, *, since: datetime, oid: str | None, activity: str | None, limit: int
) -> Request:
    conditions = [f"activityDateTime ge {odata.moment(since)}"]
    if oid is not None:
        conditions.append(f"targetResources/any(t:t/id eq {odata.literal(oid)})")
    if activity is not None:
        conditions.append(f"activityDisplayName eq {odata.literal(activity)}")
    query = {"$filter": " and ".join(conditions), "$top": str(min(limit, 1000))}
    path = "/auditLogs/directoryAudits"
    return build(place, "GET", path, query=query, lane="reports", permission="AuditLog.Read.All")


def parse_audit_event(data: Object) -> AuditEvent:
    """One audit entry, with what was changed from what to what. Source: "List directoryAudits", 2023."""
    targets = tuple(_audit_target(target) for target in parts(data, "targetResources", "graph"))
    return read(AuditEvent, data, "graph", targets=targets, details=_pairs(data.get("additionalDetails")))


def _audit_target(data: Object) -> AuditTarget:
    changes = parts(data, "modifiedProperties", "graph")
    return read(AuditTarget, data, "graph", changes=tuple(read(AuditChange, change, "graph") for change in changes))


# --- mailbox ---------------------------------------------------------------------------------------------------------

_RULES = "/users/{user}/mailFolders/inbox/messageRules"


def build_message_rules(place: Place, oid: str) -> Request:
    return build(place, "GET", _RULES, names={"user": oid}, lane="mailbox", permission="MailboxSettings.Read")


def build_set_message_rule(place: Place, oid: str, rule_id: str, enabled: bool) -> Request:
    """Safe to repeat: it writes a fixed state. Source: "Update messageRule", 2025."""
    names, permission = {"user": oid, "rule": rule_id}, "MailboxSettings.ReadWrite"
    path, body = f"{_RULES}/{{rule}}", {"isEnabled": enabled}
    return build(place, "PATCH", path, names=names, body=body, lane="mailbox", permission=permission)


def parse_message_rule(data: Object) -> MailRule:
    """One rule. Actions decide whether it looks harmless, so an odd form of them is refused. Source: "List rules"."""
    actions = part(data, "actions", "graph")
    return read(
        MailRule,
        data,
        "graph",
        forward_to=_recipients(actions, "forwardTo"),
        forward_as_attachment_to=_recipients(actions, "forwardAsAttachmentTo"),
        redirect_to=_recipients(actions, "redirectTo"),
        move_to_folder_id=_leaf(to_text, actions, "moveToFolder"),
        copy_to_folder_id=_leaf(to_text, actions, "copyToFolder"),
        delete=_leaf(to_flag, actions, "delete"),
        permanent_delete=_leaf(to_flag, actions, "permanentDelete"),
        mark_as_read=_leaf(to_flag, actions, "markAsRead"),
        stop_processing=_leaf(to_flag, actions, "stopProcessingRules"),
        conditions=_said(part(data, "conditions", "graph")),
        exceptions=_said(part(data, "exceptions", "graph")),
    )


def _recipients(actions: Object, name: str) -> tuple[str, ...]:
    """Addresses; a recipient without one keeps its name, so that it is never overlooked."""
    found = []
    for recipient in parts(actions, name, "graph"):
        inner = part(recipient, "emailAddress", "graph")
        found.append(_leaf(to_text, inner, "address") or _leaf(to_text, inner, "name") or "?")
    return tuple(found)


def _leaf(convert: Callable[[Any], Item], data: Object, name: str) -> Item:
    try:
        return convert(data.get(name))
    except ValueError:
        raise BrokenAnswer("graph", what=name) from None


def _said(conditions: Object) -> dict[str, Any]:
    """Conditions that say something; Graph sends the others as null, false or empty lists."""
    said = ((name, value) for name, value in conditions.items() if not name.startswith("@"))
    return {name: value for name, value in said if value not in (None, False, [], {}, "")}


# --- apps ------------------------------------------------------------------------------------------------------------


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


# --- how the user proves who they are --------------------------------------------------------------------------------


def build_auth_methods(place: Place, oid: str) -> Request:
    path, permission = "/users/{user}/authentication/methods", "UserAuthenticationMethod.Read.All"
    return build(place, "GET", path, names={"user": oid}, permission=permission)


def parse_auth_method(data: Object) -> AuthMethod:
    """One method; kinds that we do not know are kept. Source: "List methods", 2024."""
    names = ("displayName", "phoneNumber", "emailAddress", "deviceTag", "model")
    label = next((text for name in names if (text := _leaf(to_text, data, name)) is not None), None)
    return read(AuthMethod, data, "graph", label=label)


def build_registration(place: Place, oid: str) -> Request:
    path = "/reports/authenticationMethods/userRegistrationDetails/{user}"
    return build(place, "GET", path, names={"user": oid}, lane="reports", permission="AuditLog.Read.All")


def parse_registration(response: Response) -> MfaRegistration:
    """One row of the report. Source: "Get userRegistrationDetails", 2025."""
    return read(MfaRegistration, response.json(), "graph")


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


def parse_directory_role(data: Object) -> DirectoryRole:
    """One assignment. Source: "List unifiedRoleAssignments", 2025."""
    return read(DirectoryRole, data, "graph")


# --- the tenant ------------------------------------------------------------------------------------------------------


def build_security_defaults(place: Place) -> Request:
    path = "/policies/identitySecurityDefaultsEnforcementPolicy"
    return build(place, "GET", path, permission="Policy.Read.All")


def parse_security_defaults(response: Response) -> bool:
    """Whether security defaults are on. Source: "Get identitySecurityDefaultsEnforcementPolicy", 2025."""
    data = response.json()
    enabled = _leaf(to_flag, data, "isEnabled") if isinstance(data, Mapping) else None
    if enabled is None:
        raise BrokenAnswer("graph", what="isEnabled")
    return enabled


def build_conditional_access(place: Place) -> Request:
    return build(place, "GET", "/identity/conditionalAccess/policies", lane="risk", permission="Policy.Read.All")


def parse_ca_policy(data: Object) -> CaPolicy:
    """One policy. Source: "List policies" of conditional access, 2025."""
    return read(CaPolicy, data, "graph")


def build_secure_score(place: Place) -> Request:
    path, query = "/security/secureScores", {"$top": "1"}
    return build(place, "GET", path, query=query, lane="alerts", permission="SecurityEvents.Read.All")


def parse_secure_score(data: Object) -> SecureScore:
    """One score with its controls. Source: "List secureScores", 2025."""
    controls = parts(data, "controlScores", "graph")
    return read(SecureScore, data, "graph", controls=tuple(read(ScoredControl, one, "graph") for one in controls))


def build_secure_score_controls(place: Place) -> Request:
    path = "/security/secureScoreControlProfiles"
    return build(place, "GET", path, lane="alerts", permission="SecurityEvents.Read.All")


def parse_secure_score_control(data: Object) -> SecureScoreControl:
    """One control. Source: "List secureScoreControlProfiles", 2025."""
    states = [_leaf(to_text, update, "state") for update in parts(data, "controlStateUpdates", "graph")]
    return read(SecureScoreControl, data, "graph", state=states[-1] if states else None)


def build_alerts(place: Place, since: datetime, service_source: str | None, limit: int) -> Request:
    """Alerts by time and product; Graph cannot filter them by title."""
    condition = f"createdDateTime ge {odata.moment(since)}"
    if service_source is not None:
        condition += f" and serviceSource eq {odata.literal(service_source)}"
    query = {"$filter": condition, "$top": str(min(limit, 100))}
    return build(place, "GET", "/security/alerts_v2", query=query, lane="alerts", permission="SecurityAlert.Read.All")


def parse_alert(data: Object) -> SecurityAlert:
    """One alert with the people among its evidence. Source: "List alerts_v2", 2025."""
    users = (_alert_user(evidence) for evidence in parts(data, "evidence", "graph"))
    return read(SecurityAlert, data, "graph", users=tuple(user for user in users if user is not None))


def _alert_user(evidence: Object) -> AlertUser | None:
    account = part(evidence, "userAccount", "graph")
    upn = _leaf(to_text, account, "userPrincipalName") or _leaf(to_text, evidence, "upn")
    address = _leaf(to_text, evidence, "primaryAddress")
    oid = _leaf(to_text, account, "azureAdUserId")
    return AlertUser(oid=oid, upn=upn, address=address) if oid or upn or address else None


def build_message_traces(place: Place, sender: str, since: datetime, until: datetime, limit: int) -> Request:
    condition = (
        f"senderAddress eq {odata.literal(sender)}"
        f" and receivedDateTime ge {odata.moment(since)} and receivedDateTime le {odata.moment(until)}"
    )
    query = {"$filter": condition, "$top": str(min(limit, 5000))}
    path, permission = "/admin/exchange/tracing/messageTraces", "ExchangeMessageTrace.Read.All"
    return build(place, "GET", path, query=query, lane="traces", permission=permission, timeout_s=30.0)


def parse_message_trace(data: Object) -> MessageTrace:
    """One row. Source: "List messageTraces", 2025-12."""
    return read(MessageTrace, data, "graph")


def build_organization(place: Place) -> Request:
    query = {"$select": "id,displayName"}
    return build(place, "GET", "/organization", query=query, permission="Organization.Read.All")


# --- the client ------------------------------------------------------------------------------------------------------


class GraphClient:
    """Graph for the app itself, with no signed-in user."""

    def __init__(self, send: Send, base_url: str = "https://graph.microsoft.com") -> None:
        """`base_url` may end in a slash or a version, and may have a path of a proxy before that."""
        self._send = send
        self._place = Place.at(base_url)

    # users

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        """One user by object id or UPN. Raises: NotFound."""
        return parse_user(await self._send(build_get_user(self._place, id_or_upn)))

    async def by_id_or_upn(self, text: str) -> DirectoryUser | None:
        """The user whose object id or UPN this is; None without a call when it can be neither."""
        text = text.strip()
        if len(text) > _LONGEST_NAME or not ("@" in text or _GUID.fullmatch(text)):
            return None
        try:
            return await self.get_user(text)
        except NotFound:
            return None
        except Rejected as exc:
            if exc.params.get("status") == 400:  # Graph's answer to an id that cannot be one, such as "a@b@c"
                return None
            raise

    async def by_address(self, text: str) -> tuple[DirectoryUser, ...]:
        """Up to ten users who have this mail address in any place, or this nickname when it holds no @."""
        return await self._find(by_address_filter, text)

    async def by_name(self, text: str) -> tuple[DirectoryUser, ...]:
        """Up to ten users by name: called exactly so, else beginning so, else with all these words in their name."""
        for condition in (exact_name_filter, name_starts_filter):
            if found := await self._find(condition, text):
                return found
        words = odata.words(text[:_LONGEST_NAME])
        if not words:
            return ()
        return await self._list(build_search_users(self._place, words), _user, limit=_FOUND_AT_MOST)

    async def deleted_users(self, text: str) -> tuple[DirectoryUser, ...]:
        """Up to ten users in the recycle bin of the directory, with the UPN that they had."""
        text = text.strip()
        if not _may_be_name(text):
            return ()
        found = await self._list(build_deleted_users(self._place, text), _user, limit=_FOUND_AT_MOST)
        restored = (restored_upn(user) for user in found)
        return tuple(user for user in restored if "@" not in text or text.casefold() in user.addresses)

    async def set_sign_in(self, oid: str, enabled: bool) -> None:
        """Allow or block sign-in. Raises: PermissionMissing also for an admin who is above the app."""
        await self._send(build_set_sign_in(self._place, oid, enabled))

    async def reset_password(self, oid: str, password: SecretStr, *, force_change: bool = True) -> None:
        """Set a password. Raises: Rejected for synced users, PermissionMissing for admins above the app."""
        await self._send(build_reset_password(self._place, oid, password, force_change))

    async def revoke_sessions(self, oid: str) -> None:
        """Void all refresh tokens and sessions; takes effect within minutes and shows as `sessions_valid_from`."""
        await self._send(build_revoke_sessions(self._place, oid))

    # risk and sign-ins

    async def risky_user(self, oid: str) -> RiskyUser | None:
        """What Entra ID Protection makes of the user; None when it knows of no risk. Raises: LicenceMissing (P2)."""
        try:
            return parse_risky_user(await self._send(build_risky_user(self._place, oid)))
        except NotFound:
            return None

    async def risk_detections(self, oid: str) -> tuple[RiskDetection, ...]:
        """Everything noticed about the user that is still kept. Raises: LicenceMissing (P1 or P2)."""
        return await self._list(build_risk_detections(self._place, oid), parse_risk_detection)

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        """The latest interactive sign-ins, newest first. Raises: LicenceMissing (P1)."""
        found = await self._list(build_sign_ins(self._place, oid, since, limit), parse_sign_in, limit=limit)
        return tuple(sorted(found, key=lambda sign_in: _newest_first(sign_in.at), reverse=True))

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> tuple[AuditEvent, ...]:
        """The latest changes in the directory, newest first; `oid` is whom or what they were made to."""
        request = build_directory_audits(self._place, since=since, oid=oid, activity=activity, limit=limit)
        found = await self._list(request, parse_audit_event, limit=limit)
        return tuple(sorted(found, key=lambda event: _newest_first(event.at), reverse=True))

    # mailbox

    async def message_rules(self, oid: str) -> tuple[MailRule, ...]:
        """The visible rules of the Inbox. Raises: NotFound when there is no mailbox."""
        return await self._list(build_message_rules(self._place, oid), parse_message_rule)

    async def disable_message_rule(self, oid: str, rule_id: str) -> MailRule:
        """The rule as it is after being switched off."""
        return await self._set_message_rule(oid, rule_id, False)

    async def enable_message_rule(self, oid: str, rule_id: str) -> MailRule:
        """The rule as it is after being switched on again."""
        return await self._set_message_rule(oid, rule_id, True)

    async def _set_message_rule(self, oid: str, rule_id: str, enabled: bool) -> MailRule:
        response = await self._send(build_set_message_rule(self._place, oid, rule_id, enabled))
        return parse_message_rule(_object(response))

    # apps

    async def oauth_grants(self, oid: str) -> tuple[OAuthGrant, ...]:
        """What apps may do in this person's name by their own consent."""
        return await self._list(build_oauth_grants(self._place, oid), parse_oauth_grant)

    async def oauth_grants_for_everyone(self) -> tuple[OAuthGrant, ...]:
        """What apps may do in anybody's name, by an admin's consent."""
        return await self._list(build_oauth_grants_for_everyone(self._place), parse_oauth_grant)

    async def service_principal(self, sp_oid: str) -> ServicePrincipal:
        """The app behind a grant. Raises: NotFound."""
        return parse_service_principal(await self._send(build_service_principal(self._place, sp_oid)))

    async def revoke_grant(self, grant_id: str) -> None:
        """Take a grant away; one that is gone already counts as done."""
        try:
            await self._send(build_revoke_grant(self._place, grant_id))
        except NotFound:
            return

    # how the user proves who they are

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]:
        """The registered methods, the password among them."""
        return await self._list(build_auth_methods(self._place, oid), parse_auth_method)

    async def registration(self, oid: str) -> MfaRegistration:
        """The user's row in the registration report. Raises: NotFound when it has none (yet)."""
        return parse_registration(await self._send(build_registration(self._place, oid)))

    # groups and roles

    async def is_member(self, oid: str, group_ids: Sequence[str]) -> frozenset[str]:
        """Those of `group_ids` that the user is in, through other groups too; casefolded. No ids, no call."""
        wanted = frozenset(group_id.casefold() for group_id in group_ids)
        if not wanted:
            return frozenset()
        return wanted & await self._memberships(oid)

    async def _memberships(self, oid: str) -> frozenset[str]:
        try:
            found = await self._list(build_memberships(self._place, oid, groups_only=True), _id)
        except (NotFound, Rejected):  # some clouds do not know the cast to groups
            found = await self._list(build_memberships(self._place, oid, groups_only=False), _id)
        return frozenset(found)

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]:
        """The users in a group, through other groups too. Raises: NotFound."""
        found = await self._list(build_group_members(self._place, group_id), lambda data: data)
        return tuple(_user(data) for data in found if is_user(data))

    async def directory_roles(self, oid: str) -> tuple[DirectoryRole, ...]:
        """Admin roles that the user holds directly, not those through a group or by activation."""
        return await self._list(build_directory_roles(self._place, oid), parse_directory_role)

    # the tenant

    async def security_defaults_on(self) -> bool:
        return parse_security_defaults(await self._send(build_security_defaults(self._place)))

    async def conditional_access_policies(self) -> tuple[CaPolicy, ...]:
        return await self._list(build_conditional_access(self._place), parse_ca_policy)

    async def secure_score(self) -> SecureScore | None:
        """The latest score; None while the tenant has none."""
        found = await self._list(build_secure_score(self._place), parse_secure_score, limit=1)
        return found[0] if found else None

    async def secure_score_controls(self) -> tuple[SecureScoreControl, ...]:
        return await self._list(build_secure_score_controls(self._place), parse_secure_score_control)

    async def alerts(
        self,
        *,
        since: datetime,
        service_source: str | None = "microsoftDefenderForOffice365",
        limit: int = 200,
    ) -> tuple[SecurityAlert, ...]:
        """Alerts created since then; compare titles yourself. A repeated event may join an old alert instead."""
        request = build_alerts(self._place, since, service_source, limit)
        return await self._list(request, parse_alert, limit=limit)

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[MessageTrace, ...]:
        """What was sent in up to ten days of the last ninety. Raises: PermissionMissing until the tenant is set up."""
        request = build_message_traces(self._place, sender_address, since, until, limit)
        return await self._list(request, parse_message_trace, limit=limit)

    async def organization_name(self) -> str | None:
        """How the tenant calls itself; None when it does not say."""
        found = await self._list(build_organization(self._place), lambda data: _leaf(to_text, data, "displayName"))
        return found[0] if found else None

    # shared

    async def _find(self, condition: Callable[[str], str], text: str) -> tuple[DirectoryUser, ...]:
        text = text.strip()
        if not _may_be_name(text):
            return ()
        return await self._list(build_find_users(self._place, condition(text)), _user, limit=_FOUND_AT_MOST)

    async def _list(
        self, request: Request, parse: Callable[[Object], Item], limit: int | None = None
    ) -> tuple[Item, ...]:
        """All items of all pages, or the first `limit` of them."""
        found: list[Item] = []
        async for page in odata.pages(self._send, request):
            found.extend(parse(data) for data in page)
            if limit is not None and len(found) >= limit:
                break
        return tuple(found[:limit])


def _user(data: Object) -> DirectoryUser:
    return read(DirectoryUser, data, "graph")


def _id(data: Object) -> str:
    """The id of a member; without one it is no group that we could have asked for."""
    return (_leaf(to_text, data, "id") or "").casefold()


def _object(response: Response) -> Object:
    data = response.json()
    if not isinstance(data, Mapping):
        raise BrokenAnswer("graph", action=response.request.action, what="object")
    return data


def _may_be_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME


def _newest_first(at: datetime | None) -> datetime:
    return at or datetime.min.replace(tzinfo=UTC)
