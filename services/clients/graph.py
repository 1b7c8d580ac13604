"""
Microsoft Graph, as far as the bot needs it. Each call is a trio: `build_*` (pure), send, `parse_*` (pure).

The pure parts stand by subject in the graph_*.py modules beside this one. Every method may raise any ServiceError with
service "graph"; docstrings name only what is special. Times are aware, in UTC. A list is always complete, or cut off at
a stated limit: a page that is missing is an error and never a short list.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from services.clients import odata
from services.clients.graph_activity import (
    build_alerts,
    build_audit_search,
    build_audit_search_records,
    build_audit_search_state,
    build_background_sign_ins,
    build_confirm_compromised,
    build_directory_audits,
    build_legacy_sign_ins,
    build_message_trace_events,
    build_message_traces,
    build_risk_detections,
    build_risky_user,
    build_risky_users,
    build_sign_ins,
    build_sign_ins_from,
    parse_alert,
    parse_alert_loosely,
    parse_audit_event,
    parse_audit_record,
    parse_audit_search,
    parse_message_trace,
    parse_one_risky_user,
    parse_risk_detection,
    parse_risky_user,
    parse_sign_in,
    parse_trace_event,
)
from services.clients.graph_apps import (
    build_app_assignments,
    build_app_secrets,
    build_oauth_grants,
    build_oauth_grants_for_everyone,
    build_remove_app_assignment,
    build_restore_app_assignment,
    build_restore_grant,
    build_revoke_grant,
    build_service_principal,
    parse_app_assignment,
    parse_app_secrets,
    parse_oauth_grant,
    parse_service_principal,
)
from services.clients.graph_calls import (
    Item,
    Object,
    Place,
    as_object,
    leaf,
    says_already_there,
)
from services.clients.graph_mail import (
    build_mail_items,
    build_message_rules,
    build_set_message_rule,
    parse_mail_item,
    parse_message_rule,
)
from services.clients.graph_methods import (
    build_access_pass,
    build_admin_registrations,
    build_auth_methods,
    build_registration,
    build_remove_auth_method,
    parse_access_pass,
    parse_auth_method,
    parse_registration,
    parse_registration_row,
)
from services.clients.graph_models import (
    AccessPass,
    AppAssignment,
    AppSecret,
    AuditEvent,
    AuditRecord,
    AuditSearch,
    AuthMethod,
    CaPolicy,
    DirectoryRole,
    DirectoryUser,
    Domain,
    MailItem,
    MailRule,
    MessageTrace,
    MfaRegistration,
    OAuthGrant,
    RegisteredDevice,
    RiskDetection,
    RiskyUser,
    SecureScore,
    SecureScoreControl,
    SecurityAlert,
    ServicePrincipal,
    SignIn,
    TraceEvent,
)
from services.clients.graph_shifts import PlannedTime, build_shifts, build_times_off, parse_shift, parse_time_off
from services.clients.graph_tenant import (
    build_conditional_access,
    build_domains,
    build_organisation,
    build_secure_score_controls,
    build_secure_scores,
    build_security_defaults,
    parse_ca_policy,
    parse_domain,
    parse_is_synced,
    parse_secure_score,
    parse_secure_score_control,
    parse_security_defaults,
)
from services.clients.graph_users import (
    FOUND_AT_MOST,
    build_add_role,
    build_deleted_users,
    build_directory_roles,
    build_eligible_holders,
    build_find_users,
    build_get_user,
    build_group_members,
    build_memberships,
    build_registered_devices,
    build_remove_role,
    build_reset_password,
    build_revoke_sessions,
    build_role_holders,
    build_search_users,
    build_set_sign_in,
    build_transitive_roles,
    by_address_filter,
    exact_name_filter,
    is_user,
    name_starts_filter,
    parse_directory_role,
    parse_registered_device,
    parse_role_holder,
    parse_user,
    restored_upn,
)
from services.clients.http import Request, Send
from services.clients.reading import read, to_text
from services.errors import NotFound, Rejected, Unavailable

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
#: What people type is compared up to this length; nothing in a directory is longer.
_LONGEST_NAME = 256
#: How long a search of the unified audit log may take, and the longest wait between two looks at it; in seconds.
_SEARCH_PATIENCE_S = 300.0
_LONGEST_LOOK_S = 8.0


class GraphClient:
    """Graph for the app itself, with no signed-in user."""

    def __init__(
        self,
        send: Send,
        base_url: str = "https://graph.microsoft.com",
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`base_url` may end in a slash or a version, and may have a path of a proxy before that."""
        self._send = send
        self._place = Place.at(base_url)
        self._sleep = sleep

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
        return await self._list(build_search_users(self._place, words), _user, limit=FOUND_AT_MOST)

    async def deleted_users(self, text: str) -> tuple[DirectoryUser, ...]:
        """Up to ten users in the recycle bin of the directory, with the UPN that they had."""
        text = text.strip()
        if not _may_be_name(text):
            return ()
        found = await self._list(build_deleted_users(self._place, text), _user, limit=FOUND_AT_MOST)
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

    async def risky_users(self) -> tuple[RiskyUser, ...]:
        """Everybody who is at risk now. Raises: LicenceMissing (P2)."""
        return await self._list(build_risky_users(self._place), parse_one_risky_user)

    async def risk_detections(self, oid: str) -> tuple[RiskDetection, ...]:
        """Everything noticed about the user that is still kept. Raises: LicenceMissing (P1 or P2)."""
        return await self._list(build_risk_detections(self._place, oid), parse_risk_detection)

    async def confirm_compromised(self, oid: str) -> None:
        """Tell Entra ID Protection that an attacker has the account; shows as its risk. Raises: LicenceMissing (P2)."""
        await self._send(build_confirm_compromised(self._place, oid))

    async def sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        """The latest interactive sign-ins, newest first. Raises: LicenceMissing (P1)."""
        return await self._sign_ins(build_sign_ins(self._place, oid, since, limit), limit)

    async def background_sign_ins(self, oid: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        """
        The latest sign-ins that apps made without the person, newest first, from Graph's beta.

        Raises: Rejected or NotFound when Graph no longer knows the call, LicenceMissing (P1).
        """
        return await self._sign_ins(build_background_sign_ins(self._place, oid, since, limit), limit)

    async def sign_ins_from(self, ip_address: str, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        """The latest interactive sign-ins of anybody from this address, newest first. Raises: LicenceMissing (P1)."""
        return await self._sign_ins(build_sign_ins_from(self._place, ip_address, since, limit), limit)

    async def legacy_sign_ins(self, since: datetime, limit: int = 200) -> tuple[SignIn, ...]:
        """
        Anybody's successful sign-ins by clients that know no second factor, newest first. Raises: LicenceMissing (P1).

        That Graph takes several clients in one filter is not verified against a live tenant.
        """
        return await self._sign_ins(build_legacy_sign_ins(self._place, since, limit), limit)

    async def _sign_ins(self, request: Request, limit: int) -> tuple[SignIn, ...]:
        found = await self._list(request, parse_sign_in, limit=limit)
        return tuple(sorted(found, key=lambda sign_in: _newest_first(sign_in.at), reverse=True))

    async def directory_audits(
        self, *, since: datetime, oid: str | None = None, activity: str | None = None, limit: int = 200
    ) -> tuple[AuditEvent, ...]:
        """The latest changes in the directory, newest first; `oid` is whom or what they were made to."""
        request = build_directory_audits(self._place, since=since, oid=oid, activity=activity, limit=limit)
        found = await self._list(request, parse_audit_event, limit=limit)
        return tuple(sorted(found, key=lambda event: _newest_first(event.at), reverse=True))

    async def audit_records(
        self,
        upn: str,
        *,
        since: datetime,
        until: datetime,
        limit: int = 1000,
        patience_s: float = _SEARCH_PATIENCE_S,
    ) -> tuple[AuditRecord, ...]:
        """
        What the account did in Exchange and what others did to its mailbox, by the unified audit log; newest first.

        Three searches at once, because Microsoft filters by who did it: the others ask for what a cmdlet changed, and
        for the name in all that records say, where the owner of a mailbox stands (neither verified against a live
        tenant). `limit` is for each of them, and whoever gets that many must not take them for all.
        Records of opened messages (MailItemsAccessed) are not among them. The log lags by up to a day.
        Raises: Unavailable (reason still_running) after `patience_s` of waiting, Rejected with the search's state as
        its code (failed, cancelled), or too_many_records when Microsoft cut the result off.
        """
        filters: tuple[dict[str, Any], ...] = (
            {"userPrincipalNameFilters": [upn]},
            {"objectIdFilters": [upn]},
            {"keywordFilter": upn},
        )
        requests = [build_audit_search(self._place, since, until, **chosen) for chosen in filters]
        searches = [asyncio.ensure_future(self._searched(request, limit, patience_s)) for request in requests]
        try:
            results = await asyncio.gather(*searches)
        finally:
            for search in searches:
                search.cancel()
        found = {record.record_id: record for result in results for record in result}
        return tuple(sorted(found.values(), key=lambda record: _newest_first(record.at), reverse=True))

    async def cmdlets_run(
        self, cmdlets: Sequence[str], *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[AuditRecord, ...]:
        """
        Who ran these cmdlets, by the unified audit log; newest first. The log lags by up to a day.

        Raises: as `audit_records`.
        """
        request = build_audit_search(self._place, since, until, operationFilters=list(cmdlets))
        found = await self._searched(request, limit, _SEARCH_PATIENCE_S)
        return tuple(sorted(found, key=lambda record: _newest_first(record.at), reverse=True))

    async def _searched(self, start: Request, limit: int, patience_s: float) -> tuple[AuditRecord, ...]:
        search = await self._finished(parse_audit_search(await self._send(start)), patience_s)
        if search.is_cut_off:
            raise Rejected("graph", code="too_many_records", detail="The search found too many records.")
        request = build_audit_search_records(self._place, search.search_id, limit)
        return await self._list(request, parse_audit_record, limit=limit)

    async def _finished(self, search: AuditSearch, patience_s: float) -> AuditSearch:
        """The search when it has succeeded; looked at after 0.5 s, 1 s, 2 s and so on."""
        wait_s, waited_s = 0.5, 0.0
        while search.status.casefold() != "succeeded":
            if search.status.casefold() in ("failed", "cancelled"):
                raise Rejected("graph", code=search.status, detail="The search of the audit log came to nothing.")
            if waited_s >= patience_s:
                raise Unavailable("graph", reason="still_running", action="audit search")
            await self._sleep(wait_s)
            waited_s, wait_s = waited_s + wait_s, min(2 * wait_s, _LONGEST_LOOK_S)
            search = parse_audit_search(await self._send(build_audit_search_state(self._place, search.search_id)))
        return search

    # mailbox

    async def mail_items(self, oid: str, folder: str, since: datetime, limit: int = 200) -> tuple[MailItem, ...]:
        """
        The latest messages of a folder, newest first, without their bodies. Raises: NotFound (folder or mailbox).

        `folder` is a well-known name such as sentitems or deleteditems, in any language, or a folder's id.
        """
        request = build_mail_items(self._place, oid, folder, since, limit)
        return await self._list(request, parse_mail_item, limit=limit)

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
        return parse_message_rule(as_object(response))

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

    async def app_secrets(self, app_id: str) -> tuple[AppSecret, ...]:
        """The client secrets of an app registration: when they end, never what they are."""
        return parse_app_secrets(await self._send(build_app_secrets(self._place, app_id)))

    async def revoke_grant(self, grant_id: str) -> None:
        """Take a grant away; one that is gone already counts as done."""
        await self._gone(build_revoke_grant(self._place, grant_id))

    async def restore_grant(self, grant: OAuthGrant) -> None:
        """
        Give a grant that was taken away again, under a new id; one that is there already counts as done.

        An app has one grant for each person and resource: whether its scopes are these is for reading again to tell.
        """
        await self._there(build_restore_grant(self._place, grant))

    async def app_assignments(self, oid: str) -> tuple[AppAssignment, ...]:
        """The apps that the user was given directly, not those through a group."""
        return await self._list(build_app_assignments(self._place, oid), parse_app_assignment)

    async def remove_app_assignment(self, oid: str, assignment_id: str) -> None:
        """Take an app from the user; one that is gone already counts as done."""
        await self._gone(build_remove_app_assignment(self._place, oid, assignment_id))

    async def restore_app_assignment(self, oid: str, app_sp_oid: str, app_role_id: str) -> None:
        """Give the user an app again, under a new id; one that is there already counts as done."""
        await self._there(build_restore_app_assignment(self._place, oid, app_sp_oid, app_role_id))

    # how the user proves who they are

    async def auth_methods(self, oid: str) -> tuple[AuthMethod, ...]:
        """The registered methods, the password among them."""
        return await self._list(build_auth_methods(self._place, oid), parse_auth_method)

    async def remove_auth_method(self, oid: str, kind: str, method_id: str) -> None:
        """
        Remove a registered method; one that is gone already counts as done. `kind` as in `AuthMethod.kind`.

        Raises: Rejected with the code no_segment for the password and other kinds that are not in REMOVABLE_METHODS,
        and with Microsoft's own for the default method; PermissionMissing also for an admin above the app.
        """
        await self._gone(build_remove_auth_method(self._place, oid, kind, method_id))

    async def issue_access_pass(self, oid: str, *, lifetime_minutes: int, usable_once: bool) -> AccessPass:
        """
        A Temporary Access Pass, by which the user gets in and registers methods anew. 10 to 43,200 minutes.

        Never repeated after a lost answer: the pass would be unknown and in the way of the next one.
        Raises: Rejected when the tenant's policy forbids it or the user has one already.
        """
        request = build_access_pass(self._place, oid, lifetime_minutes, usable_once)
        return parse_access_pass(await self._send(request))

    async def registration(self, oid: str) -> MfaRegistration:
        """The user's row in the registration report. Raises: NotFound when it has none (yet)."""
        return parse_registration(await self._send(build_registration(self._place, oid)))

    # groups and roles

    async def admin_registrations(self) -> tuple[MfaRegistration, ...]:
        """Who holds an admin role, and whether they have registered a second factor. Needs Entra ID P1."""
        return await self._list(build_admin_registrations(self._place), parse_registration_row)

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

    async def role_holders(self, role_id: str) -> tuple[str, ...]:
        """Object ids of everybody who holds this admin role directly: people, groups and apps; each once."""
        found = await self._list(build_role_holders(self._place, role_id), parse_role_holder)
        return tuple(dict.fromkeys(found))

    async def directory_roles(self, oid: str) -> tuple[DirectoryRole, ...]:
        """
        Admin roles that the user holds directly.

        Not covered: roles through a group (`transitive_roles`), roles that can be activated (`may_activate_role`), and
        those of Exchange and Defender.
        """
        return await self._list(build_directory_roles(self._place, oid), parse_directory_role)

    async def transitive_roles(self, oid: str) -> tuple[DirectoryRole, ...]:
        """Admin roles that the user holds, directly or through a group, as Graph's beta tells them; without names."""
        return await self._list(build_transitive_roles(self._place, oid), parse_directory_role)

    async def may_activate_role(self, oid: str) -> bool:
        """
        Whether the user may activate an admin role (PIM), in their own right or through a group that they are in.

        Not covered: groups that one may activate being in, and roles of Exchange and Defender. Raises: LicenceMissing.
        """
        found = await self._list(build_eligible_holders(self._place), parse_role_holder)
        eligible = frozenset(holder.casefold() for holder in found)
        return oid.casefold() in eligible or bool(await self.is_member(oid, tuple(eligible)))

    async def remove_role(self, assignment_id: str) -> None:
        """Take an admin role away; one that is gone already counts as done. Raises: as `set_sign_in`."""
        await self._gone(build_remove_role(self._place, assignment_id))

    async def add_role(self, oid: str, role_id: str, scope: str = "/") -> None:
        """Give an admin role again, in a directory scope; one that is there already counts as done."""
        await self._there(build_add_role(self._place, oid, role_id, scope))

    # shifts

    async def shifts(self, team_id: str, since: datetime, until: datetime) -> tuple[PlannedTime, ...]:
        """
        The published shifts of a team in Teams Shifts that lie wholly between two moments, with somebody on each.

        Raises: NotFound for a team that is none or has no schedule.
        """
        return _published(await self._list(build_shifts(self._place, team_id, since, until), parse_shift))

    async def times_off(self, team_id: str, since: datetime, until: datetime) -> tuple[PlannedTime, ...]:
        """The published times off of people in a team, as `shifts` has it."""
        return _published(await self._list(build_times_off(self._place, team_id, since, until), parse_time_off))

    # devices

    async def registered_devices(self, oid: str) -> tuple[RegisteredDevice, ...]:
        """The devices that the user has registered."""
        return await self._list(build_registered_devices(self._place, oid), parse_registered_device)

    # the tenant

    async def security_defaults_on(self) -> bool:
        return parse_security_defaults(await self._send(build_security_defaults(self._place)))

    async def conditional_access_policies(self) -> tuple[CaPolicy, ...]:
        return await self._list(build_conditional_access(self._place), parse_ca_policy)

    async def secure_score(self) -> SecureScore | None:
        """The latest score; None while the tenant has none."""
        found = await self.secure_scores(1)
        return found[0] if found else None

    async def secure_scores(self, limit: int) -> tuple[SecureScore, ...]:
        """The newest scores, one a day, newest first."""
        return await self._list(build_secure_scores(self._place, limit), parse_secure_score, limit=limit)

    async def secure_score_controls(self) -> tuple[SecureScoreControl, ...]:
        return await self._list(build_secure_score_controls(self._place), parse_secure_score_control)

    async def is_synced(self) -> bool:
        """Whether accounts come from an on-premises directory. Raises: NotFound when Graph shows no organisation."""
        found = await self._list(build_organisation(self._place), parse_is_synced)
        if not found:
            raise NotFound("graph")
        return any(found)

    async def domains(self) -> tuple[Domain, ...]:
        """The domains of the tenant. Raises: as `is_synced`, since there is always one."""
        found = await self._list(build_domains(self._place), parse_domain)
        if not found:
            raise NotFound("graph")
        return found

    async def alerts(
        self,
        *,
        since: datetime,
        service_source: str | None = "microsoftDefenderForOffice365",
        limit: int = 200,
    ) -> tuple[SecurityAlert, ...]:
        """
        Alerts created since then, of one product or of all (None); compare titles and people yourself.

        A repeated event may join an old alert instead of making a new one.
        """
        request = build_alerts(self._place, since, service_source, limit)
        return await self._list(request, parse_alert, limit=limit)

    async def changed_alerts(
        self, *, since: datetime, until: datetime | None = None, limit: int
    ) -> tuple[SecurityAlert | None, ...]:
        """
        Alerts of all products that were made or changed since then (and up to `until`, where that is given), each as
        far as it can be read; None for one that cannot.
        """
        request = build_alerts(self._place, since, None, limit, changed=True, until=until)
        return await self._list(request, parse_alert_loosely, limit=limit)

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int = 1000
    ) -> tuple[MessageTrace, ...]:
        """What was sent in up to ten days of the last ninety. Raises: PermissionMissing until the tenant is set up."""
        request = build_message_traces(self._place, sender_address, since, until, limit)
        return await self._list(request, parse_message_trace, limit=limit)

    async def message_trace_events(self, trace_id: str, recipient: str) -> tuple[TraceEvent, ...]:
        """What happened to one message on its way to one recipient; may come later than the trace itself."""
        request = build_message_trace_events(self._place, trace_id, recipient)
        return await self._list(request, parse_trace_event)

    # shared

    async def _gone(self, request: Request) -> None:
        """Delete something that may be gone already."""
        try:
            await self._send(request)
        except NotFound:
            return

    async def _there(self, request: Request) -> None:
        """Make something that may be there already."""
        try:
            await self._send(request)
        except Rejected as refusal:
            if not says_already_there(refusal):
                raise

    async def _find(self, condition: Callable[[str], str], text: str) -> tuple[DirectoryUser, ...]:
        text = text.strip()
        if not _may_be_name(text):
            return ()
        return await self._list(build_find_users(self._place, condition(text)), _user, limit=FOUND_AT_MOST)

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
    return (leaf(to_text, data, "id") or "").casefold()


def _published(found: Sequence[PlannedTime | None]) -> tuple[PlannedTime, ...]:
    return tuple(planned for planned in found if planned is not None)


def _may_be_name(text: str) -> bool:
    return 0 < len(text) <= _LONGEST_NAME


def _newest_first(at: datetime | None) -> datetime:
    return at or datetime.min.replace(tzinfo=UTC)
