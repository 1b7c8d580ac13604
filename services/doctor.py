"""
Would the bot do its job here? Real calls to everything it needs, each told as one check; nothing is changed.

A check that could not be made is never good news. It says so, and counts against the whole when the job depends on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol

from cryptography import x509

from services.access import everybody_in
from services.cases import Text
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.clients.clouds import cloud_of, exchange_scope, graph_scope
from services.clients.exchange_models import BlockedSender, InboxRule
from services.clients.graph_calls import Place, as_object, build
from services.clients.graph_models import DirectoryUser
from services.clients.http import Request, Response, Send, TokenSource
from services.clients.reading import part, parts
from services.clients.tokens import read_certificate, roles_of
from services.errors import (
    BrokenAnswer,
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    ServiceError,
    SettingsError,
    Throttled,
    Unavailable,
)
from services.oncall.duty import Source
from services.permissions import (
    EXCHANGE,
    EXCHANGE_PERMISSION,
    EXCHANGE_ROLE,
    GRAPH,
    GRAPH_PERMISSIONS,
    SHIFTS_PERMISSION,
    Permission,
)
from services.policy import ON_CALL, StepUp, explain, problems
from services.ports import Clock
from services.settings import Settings
from services.sign_in import SIGN_IN_CALLBACK
from services.store import Store
from services.store.schema import SchemaState, schema_state

#: How long before its end a certificate is called about to expire.
CERTIFICATE_NOTICE = timedelta(days=30)
#: Of how many people an inbox is looked for, to try the reading of rules on.
_INBOXES_TRIED = 3
_NAMES = {"graph": GRAPH, "exchange": "Exchange Online", "entra": "Entra"}


class Result(StrEnum):
    OK = "ok"
    PROBLEM = "problem"
    UNCHECKED = "could not be checked"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    result: Result
    #: What was found, as a sentence for an administrator.
    found: str
    #: What to do about it, "" when there is nothing to do.
    to_do: str = ""
    #: Whether no account can be unblocked, or no compromised one contained, while this is not in order.
    essential: bool = False

    @property
    def stops_the_job(self) -> bool:
        return self.essential and self.result is not Result.OK


class Directory(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]: ...


class Mailboxes(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`."""

    async def blocked_senders(self) -> tuple[BlockedSender, ...]: ...

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]: ...


@dataclass(frozen=True)
class Entry:
    """An id of the settings, looked up: the people behind it, and how it is called."""

    check: Check
    people: tuple[DirectoryUser, ...] = ()
    called: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it could be looked up, so that having nobody means something."""
        return self.check.result is not Result.UNCHECKED

    @property
    def usable(self) -> frozenset[str]:
        """Object ids of those who count: guests and disabled accounts never may."""
        return frozenset(person.oid for person in self.people if not _bar(person))


@dataclass(frozen=True)
class OnDutyChecks:
    """What the sources of on-call people said, one after the other."""

    entries: tuple[Entry, ...]

    @property
    def checks(self) -> tuple[Check, ...]:
        return tuple(entry.check for entry in self.entries)

    @property
    def is_known(self) -> bool:
        """Whether all could be read; one that could not may name somebody."""
        return all(entry.people or entry.check.result is Result.OK for entry in self.entries)

    @property
    def usable(self) -> frozenset[str]:
        return frozenset[str]().union(*(entry.usable for entry in self.entries))


@dataclass(frozen=True)
class Doctor:
    """Examines one installation. `send` is that of `directory`; `keys_readable` reads the keys of the Bot Framework."""

    settings: Settings
    clock: Clock
    tokens: TokenSource
    directory: Directory
    mailboxes: Mailboxes
    send: Send
    keys_readable: Callable[[], Awaitable[bool]]
    #: The sources of on-call people in their order, the fallback group last.
    on_call: Sequence[Source]
    #: A text in English.
    words: Callable[[Text], str]
    #: More to examine, each of which never raises for what is found to be wrong.
    also: Sequence[Callable[[], Awaitable[Sequence[Check]]]] = ()

    async def examine(self) -> tuple[Check, ...]:
        """Every check, in the order in which they are best mended. Never raises for what is found to be wrong."""
        database, token_checks, keys, permissions, exchange = await asyncio.gather(
            self._database(), self._tokens(), self._keys(), self._permissions(), self._restricted_list()
        )
        lists = await self._lists()
        policy_entries, duty = await self._policy_entries(lists), await self._duty()
        on_duty = duty.entries if ON_CALL in everybody_in(self.settings.approval_policy) else ()
        may_approve = (*lists["approvers"], *policy_entries.values(), *on_duty)
        return (
            Check("settings", Result.OK, "Every setting has a value that can be used."),
            database,
            *self._certificate(),
            *token_checks,
            keys,
            *permissions,
            *await self._signing_in(),
            exchange,
            await self._inbox_rules(lists),
            *(check for name, entries in lists.items() for check in self._list_checks(name, entries, policy_entries)),
            *(entry.check for entry in policy_entries.values()),
            *duty.checks,
            *self._policy(lists, policy_entries, duty),
            four_eyes(lists["requesters"], may_approve),
            await self._conversation(
                "approvals conversation", APPROVALS_CONVERSATION, self.settings.approvals_conversation, database
            ),
            await self._conversation(
                "alerts conversation", ALERTS_CONVERSATION, self.settings.alerts_conversation, database
            ),
            *[check for examined in self.also for check in await examined()],
        )

    # --- this side: database, certificate ---

    async def _database(self) -> Check:
        url = self.settings.database_url.get_secret_value()
        try:
            return _DATABASE[await asyncio.to_thread(schema_state, url)]
        except SettingsError as error:
            return _bad_setting("database", error)

    def _certificate(self) -> Iterable[Check]:
        path = self.settings.app_certificate_path
        if path is None:
            return
        try:
            pem = read_certificate(path)["public_certificate"]
        except SettingsError as error:
            yield _bad_setting("certificate", error)
            return
        ends_at = x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc
        left, day = ends_at - self.clock.now(), f"{ends_at:%Y-%m-%d}"
        renew = "Make a new certificate, upload it to the app registration and set app_certificate_path."
        if left <= timedelta():
            yield Check("certificate", Result.PROBLEM, f"It expired on {day}.", renew, essential=True)
        elif left < CERTIFICATE_NOTICE:
            yield Check("certificate", Result.PROBLEM, f"It expires on {day}, in {left.days} days.", renew)
        else:
            yield Check("certificate", Result.OK, f"It is good until {day}.")

    # --- Entra and the Bot Framework ---

    async def _tokens(self) -> list[Check]:
        scopes = {
            GRAPH: graph_scope(self.settings.graph_url),
            "Exchange Online": exchange_scope(self.settings.exchange_url),
            "the Bot Connector": cloud_of(self.settings.login_url).bot_scope,
        }
        return await asyncio.gather(*(self._token(name, scope) for name, scope in scopes.items()))

    async def _token(self, service: str, scope: str) -> Check:
        name = f"token for {service}"
        try:
            await self.tokens.token(scope)
        except SettingsError as error:
            return _bad_setting(name, error)
        except ServiceError as error:
            return Check(name, Result.PROBLEM, *told(error), essential=True)
        return Check(name, Result.OK, "Entra issued one.")

    async def _keys(self) -> Check:
        name = "keys of the Bot Framework"
        if await self.keys_readable():
            return Check(name, Result.OK, "They were read: what Teams sends can be checked.")
        found = f"{self.settings.bot_openid_url} or the keys that it names cannot be read, so no message is accepted."
        return Check(name, Result.PROBLEM, found, _SEE_NETWORK.format(name="bot_openid_url"), essential=True)

    # --- permissions ---

    async def _permissions(self) -> list[Check]:
        of_graph, of_exchange = await asyncio.gather(
            self._granted(graph_scope(self.settings.graph_url)),
            self._granted(exchange_scope(self.settings.exchange_url)),
        )
        return [
            *(_permission_check(permission, of_graph) for permission in GRAPH_PERMISSIONS if self._uses(permission)),
            _permission_check(EXCHANGE_PERMISSION, of_exchange),
        ]

    def _uses(self, permission: Permission) -> bool:
        """Teams Shifts is read only where the settings name it."""
        return permission.name != SHIFTS_PERMISSION or any(
            source.kind == "shifts" for source in self.settings.oncall.sources
        )

    async def _granted(self, scope: str) -> frozenset[str] | None:
        """The permissions that our own token bears; None when there is no token, or none that can be read."""
        try:
            return roles_of(await self.tokens.token(scope))
        except (ServiceError, SettingsError):  # told by the check of this token
            return None

    # --- signing in again ---

    async def _signing_in(self) -> list[Check]:
        """What the app registration must have for approvers to sign in again, where the policy asks for it."""
        if self.settings.approval_policy.step_up is StepUp.OFF:
            return []
        try:
            app = as_object(await self.send(build_registration(self.settings.graph_url, self.settings.app_id)))
        except (ServiceError, SettingsError) as error:
            found, to_do = told(error)
            return [Check(_SIGNING_IN, Result.UNCHECKED, found, to_do or _registered(self.settings.public_url))]
        return [signing_in_check(app, self.settings.public_url)]

    # --- Exchange ---

    async def _restricted_list(self) -> Check:
        name = "reading the restricted list"
        try:
            found = await self.mailboxes.blocked_senders()
        except PermissionMissing:
            said = f"Exchange refused Get-BlockedSenderAddress. {EXCHANGE_ROLE.without_it}"
            return Check(name, Result.PROBLEM, said, _GIVE_ROLE, essential=True)
        except (ServiceError, SettingsError) as error:
            return Check(name, Result.UNCHECKED, *told(error), essential=True)
        said = f"Get-BlockedSenderAddress was run and answered ({_count(len(found), 'entry', 'entries')})."
        return Check(name, Result.OK, f"{said} Whether an entry may be removed shows only when one is.")

    async def _inbox_rules(self, lists: Mapping[str, Sequence[Entry]]) -> Check:
        """
        Reading rules wants more than a reading role, so it is tried on a person whom the settings name, admins first.

        Source: "Get-InboxRule", 2026-08-21: not available to View-Only Organization Management and Global Reader.
        """
        entries = [*lists["admins"], *lists["approvers"], *lists["requesters"]]
        people = {person.oid: person for entry in entries for person in entry.people if not person.is_guest}
        for person in list(people.values())[:_INBOXES_TRIED]:
            try:
                await self.mailboxes.inbox_rules(person.upn)
            except NotFound:
                continue
            except PermissionMissing:
                said = "Exchange refused Get-InboxRule: no compromised account can be investigated or contained."
                return Check("reading inbox rules", Result.PROBLEM, said, _GIVE_ROLE, essential=True)
            except (ServiceError, SettingsError) as error:
                return Check("reading inbox rules", Result.UNCHECKED, *told(error))
            said = f"Get-InboxRule was run on the mailbox of {_named(person)} and answered; its rules were not kept."
            return Check("reading inbox rules", Result.OK, f"{said} Changing one was not tried.")
        said = "Nobody is named in the settings whose mailbox could be tried."
        return Check("reading inbox rules", Result.UNCHECKED, said)

    # --- people ---

    async def _lists(self) -> dict[str, tuple[Entry, ...]]:
        """The lists of the settings, each id looked up once."""
        lists = {name: getattr(self.settings, name) for name in ("requesters", "approvers", "admins")}
        entries = await asyncio.gather(
            *(self._entry(name, entry) for name, listed in lists.items() for entry in listed)
        )
        remaining = iter(entries)
        return {name: tuple(next(remaining) for _ in listed) for name, listed in lists.items()}

    def _list_checks(self, name: str, entries: Sequence[Entry], of_policy: Mapping[str, Entry]) -> list[Check]:
        if entries:
            return [entry.check for entry in entries]
        if name == "approvers" and (of_policy or ON_CALL in everybody_in(self.settings.approval_policy)):
            return []  # the policy names those who approve
        to_do = f"Set {name} to Entra object ids of people or groups."
        return [Check(name, Result.PROBLEM, f"{_EMPTY[name]}: the list is empty.", to_do, name != "admins")]

    async def _entry(self, name: str, entry: str) -> Entry:
        try:
            person = await self.directory.get_user(entry)
        except NotFound:
            return await self._group(name, entry)
        except (ServiceError, SettingsError) as error:
            return Entry(Check(name, Result.UNCHECKED, *told(error, about=entry)))
        if bar := _bar(person):
            to_do = f"Take {entry} out of {name}, or mend the account."
            check = Check(name, Result.PROBLEM, f"{_named(person)} {bar} and never may.", to_do)
            return Entry(check, (person,), _named(person))
        return Entry(Check(name, Result.OK, _named(person)), (person,), _named(person))

    async def _group(self, name: str, entry: str) -> Entry:
        try:
            called = parse_group_name(await self.send(build_group(self.settings.graph_url, entry)))
            people = await self.directory.group_members(entry)
        except NotFound:
            to_do = f"Take {entry} out of {name}, or correct it: it is neither a person nor a group."
            return Entry(Check(name, Result.PROBLEM, f"{entry} is not in this tenant.", to_do))
        except (ServiceError, SettingsError) as error:
            return Entry(Check(name, Result.UNCHECKED, *told(error, about=entry)))
        usable = sum(not _bar(person) for person in people)
        said = f"the group {called}, with {_count(usable, 'person', 'people')} who may"
        if usable:
            return Entry(Check(name, Result.OK, said), people, called)
        to_do = "Add people to the group; guests and disabled accounts do not count."
        return Entry(Check(name, Result.PROBLEM, said, to_do), people, called)

    # --- the policy, and who is on call ---

    async def _policy_entries(self, lists: Mapping[str, Sequence[Entry]]) -> dict[str, Entry]:
        """Whom the policy names beside the approvers, looked up, by id in lower case."""
        known = {entry.lower() for entry in self.settings.approvers}
        others = [each for each in everybody_in(self.settings.approval_policy) if each not in {ON_CALL, *known}]
        entries = await asyncio.gather(*(self._entry("approvals", each) for each in others))
        return dict(zip(others, entries, strict=True))

    async def _duty(self) -> OnDutyChecks:
        """Each source of on-call people asked for who it is now, and the fallback group."""
        found = await asyncio.gather(*(self._on_duty(source) for source in self.on_call))
        wanted = ON_CALL in everybody_in(self.settings.approval_policy)
        if wanted and not self.on_call:
            to_do = "Add the section oncall, or take oncall out of approvals."
            said = "The policy asks the on-call, and no source says who that is."
            return OnDutyChecks((Entry(Check("on call", Result.PROBLEM, said, to_do)),))
        return OnDutyChecks(tuple(found))

    async def _on_duty(self, source: Source) -> Entry:
        name = f"on call: {source.name}"
        try:
            duty = await source.on_duty(self.clock.now())
            people = await asyncio.gather(*(self.directory.get_user(oid) for oid in duty.people))
        except (ServiceError, SettingsError) as error:
            return Entry(Check(name, Result.PROBLEM, *told(error)))
        until = f", until {duty.until:%Y-%m-%d %H:%M} UTC" if duty.until else ""
        said = f"{_listed(people)}{until}." if people else "It names nobody now."
        if not duty.unknown:
            return Entry(Check(name, Result.OK, said), tuple(people))
        missing = f"On duty without an account here that may be asked: {', '.join(duty.unknown)}."
        to_do = "Give them an account with the same address here, or take them off duty."
        return Entry(Check(name, Result.PROBLEM, f"{said} {missing}", to_do), tuple(people))

    def _policy(
        self, lists: Mapping[str, Sequence[Entry]], of_policy: Mapping[str, Entry], duty: OnDutyChecks
    ) -> Iterable[Check]:
        """The policy in force in plain words, then what would surprise whoever wrote it."""
        policy, name = self.settings.approval_policy, "approval policy"
        approvers = zip((entry.lower() for entry in self.settings.approvers), lists["approvers"], strict=True)
        entries = {**dict(approvers), **of_policy}
        names = {each: entry.called for each, entry in entries.items() if entry.called}
        people = {each: entry.usable for each, entry in entries.items() if entry.is_known}
        if duty.is_known:
            people[ON_CALL] = duty.usable
        yield from (Check(name, Result.OK, self.words(line)) for line in explain(policy, names))
        to_do = "Look at the section approvals."
        yield from (Check(name, Result.PROBLEM, self.words(line), to_do) for line in problems(policy, people))

    # --- Teams ---

    async def _conversation(self, name: str, key: str, of_settings: str, database: Check) -> Check:
        if database is not _DATABASE[SchemaState.CURRENT]:
            return _conversation_check(name, of_settings, None)
        store = Store(self.settings.database_url.get_secret_value(), self.clock)
        try:
            chosen = await store.chosen(key) or of_settings
            known = await store.conversation(chosen.partition(";messageid=")[0]) if chosen else None
        finally:
            await store.close()
        return _conversation_check(name, chosen, known.active if known else None)


# --- judging: pure ---------------------------------------------------------------------------------------------------

_SEE_NETWORK = "Look at {name}, ca_bundle, and the network or proxy between here and there."
_GIVE_ROLE = f"Give the app the Entra role {EXCHANGE_ROLE.name}, or a role group of Exchange that holds the cmdlets."
_EMPTY = {
    "requesters": "Nobody may ask for an unblock",
    "approvers": "Nobody may approve",
    "admins": "Nobody may choose conversations in chat",
}
_DATABASE = {
    SchemaState.ABSENT: Check("database", Result.OK, "It can be used; there is nothing in it yet, `serve` sets it up."),
    SchemaState.OLDER: Check("database", Result.OK, "It is of an earlier version; `serve` brings it up to date."),
    SchemaState.CURRENT: Check("database", Result.OK, "It answers and is up to date."),
    SchemaState.FOREIGN: Check(
        "database",
        Result.PROBLEM,
        "It was made by another version of this program.",
        "Run the newer version, or name another database in database_url.",
        essential=True,
    ),
}
#: What to do about a refusal of Entra, by its number. Source: "Microsoft Entra authentication and authorization error
#: codes", 2025.
_ENTRA = {
    "AADSTS7000215": "Set app_secret to the value of the secret, not to its id.",
    "AADSTS7000222": "The secret has expired: make a new one in the app registration and set app_secret.",
    "AADSTS700016": "app_id names no app of this tenant: look at app_id and tenant_id.",
    "AADSTS90002": "There is no such tenant: look at tenant_id and login_url.",
    "AADSTS700027": "Upload the certificate of app_certificate_path to the app registration.",
    "authority": "Look at tenant_id and login_url.",
}


def _permission_check(permission: Permission, granted: frozenset[str] | None) -> Check:
    name = f"permission {permission.name}"
    if granted is None:
        found = f"There is no token for {permission.resource} that could be looked into."
        return Check(name, Result.UNCHECKED, found, essential=permission.essential)
    if permission.is_among(granted):
        return Check(name, Result.OK, f"Granted, for {permission.what_for}.")
    kind = "Microsoft Graph" if permission.resource == GRAPH else EXCHANGE
    to_do = f"Add it to the app registration as an application permission of {kind}, and give admin consent."
    return Check(name, Result.PROBLEM, f"Not granted. {permission.without_it}", to_do, permission.essential)


def four_eyes(requesters: Sequence[Entry], approvers: Sequence[Entry]) -> Check:
    """Whether everybody who may ask finds somebody else who may approve: one's own word alone is never enough."""
    asking = {person.oid: person for entry in requesters for person in entry.people if not _bar(person)}
    may_approve = frozenset[str]().union(*(entry.usable for entry in approvers))
    alone = [person for oid, person in asking.items() if not may_approve - {oid}]
    to_do = "Set approvers to more people, or to a group."
    if any(entry.check.result is Result.UNCHECKED for entry in (*requesters, *approvers)):
        found = "Not everybody in requesters and approvers could be looked up."
        return Check("somebody to approve", Result.UNCHECKED, found, essential=not may_approve or not asking)
    if not asking or not may_approve:
        found = "There is nobody who could " + ("ask." if not asking else "approve.")
        return Check("somebody to approve", Result.PROBLEM, found, "See requesters and approvers.", essential=True)
    if alone:
        found = f"Nobody could approve what these ask for, as nobody approves their own request: {_listed(alone)}."
        return Check("somebody to approve", Result.PROBLEM, found, to_do, essential=len(alone) == len(asking))
    return Check("somebody to approve", Result.OK, "Whoever asks, somebody else may approve.")


_SIGNING_IN = "signing in again"


def signing_in_check(app: Mapping[str, Any], public_url: str) -> Check:
    """
    Expects {"web": {"redirectUris": [str]}, "optionalClaims": {"idToken": [{"name": str}]} or null}.

    Source: "application resource type" and "optionalClaims resource type", 2025.
    """
    address = f"{public_url}{SIGN_IN_CALLBACK}"
    if address not in (part(app, "web", "graph").get("redirectUris") or ()):
        found = f"{address} is not among the redirect URIs, so Entra lets nobody sign in again and nothing of critical"
        return Check(_SIGNING_IN, Result.PROBLEM, f"{found} impact can be approved.", _registered(public_url))
    claims = parts(part(app, "optionalClaims", "graph"), "idToken", "graph")
    if "auth_time" not in {claim.get("name") for claim in claims}:
        found = "The ID token of the app registration has no optional claim auth_time; Entra may leave it out."
        return Check(_SIGNING_IN, Result.PROBLEM, found, "Add the optional claim auth_time to the ID token.")
    return Check(_SIGNING_IN, Result.OK, f"Entra sends people back to {address}. Nobody was signed in to try it.")


def _registered(public_url: str) -> str:
    return f"Add {public_url}{SIGN_IN_CALLBACK} to the app registration as a redirect URI of the platform Web."


def _conversation_check(name: str, chosen: str, active: bool | None) -> Check:
    """`active` is None for a conversation that the bot has not heard from."""
    purpose = name.partition(" ")[0]
    choose = f"Add the app to the channel and type there, as one of admins: {purpose} here."
    if not chosen and purpose == "alerts":
        return Check(name, Result.OK, "None is set, so alerts go where prompts go.")
    if not chosen:
        found = "None is set, so prompts go only to those approvers who have a chat with the bot."
        return Check(name, Result.PROBLEM, found, choose)
    if active is False:
        return Check(name, Result.PROBLEM, "The bot was removed from it.", choose)
    if active is None:
        return Check(name, Result.UNCHECKED, "It is set, but the bot has not heard from there yet.", choose)
    return Check(name, Result.OK, "It is set, and the bot is in it.")


def told(error: ServiceError | SettingsError, about: str = "") -> tuple[str, str]:
    """(what happened, what to do) for an administrator; `about` is the id that was asked for."""
    if isinstance(error, SettingsError):
        return str(error), "Correct the setting."
    service = _NAMES.get(error.service, error.service)
    found, to_do = _told_of(error, service)
    return (f"{about}: {found}" if about else found), to_do


def _told_of(error: ServiceError, service: str) -> tuple[str, str]:
    match error:
        case Rejected(code=code, detail=detail):
            return f"{service} refused: {detail or code}", _ENTRA.get(code, "")
        case PermissionMissing():
            permission = error.params.get("permission")
            return f"{service} refused, as the permission {permission} is missing.", "See the checks of permissions."
        case LicenceMissing():
            return f"{service} refused, as the tenant has no licence for this.", ""
        case Throttled():
            return f"{service} asked to wait.", "Try again in a few minutes."
        case Unavailable():
            name = {"graph": "graph_url", "exchange": "exchange_url"}.get(error.service, "login_url")
            return f"{service} did not answer.", _SEE_NETWORK.format(name=name)
        case BrokenAnswer():
            return f"{service} gave an answer that cannot be read.", "Is there a proxy that answers in its place?"
    return f"{service} refused: {error.key}", ""


def _bad_setting(name: str, error: SettingsError) -> Check:
    return Check(name, Result.PROBLEM, *told(error), essential=True)


def _bar(person: DirectoryUser) -> str:
    """Why this person never may, "" when there is no reason."""
    if person.is_guest:
        return "is a guest"
    return "is a disabled account" if person.account_enabled is False else ""


def _named(person: DirectoryUser) -> str:
    return f"{person.display_name} ({person.upn})" if person.display_name else person.upn


def _listed(people: Iterable[DirectoryUser]) -> str:
    return ", ".join(map(_named, people))


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


# --- one call of its own ---------------------------------------------------------------------------------------------


def build_group(graph_url: str, group_id: str) -> Request:
    query = {"$select": "id,displayName"}
    path, permission = "/groups/{group}", "GroupMember.Read.All"
    return build(Place.at(graph_url), "GET", path, names={"group": group_id}, query=query, permission=permission)


def build_registration(graph_url: str, app_id: str) -> Request:
    """Source: "Get application", 2025."""
    query = {"$select": "web,optionalClaims"}
    path, permission = "/applications(appId='{app}')", "Application.Read.All"
    return build(Place.at(graph_url), "GET", path, names={"app": app_id}, query=query, permission=permission)


def parse_group_name(response: Response) -> str:
    """What a group is called, its id when it has no name. Source: "Get group", 2025."""
    data = response.json()
    if not isinstance(data, Mapping):
        raise BrokenAnswer("graph", action=response.request.action, what="object")
    return str(data.get("displayName") or data.get("id") or "?")


# --- for reading -----------------------------------------------------------------------------------------------------


def as_lines(checks: Sequence[Check]) -> list[str]:
    """One line for each check, and a last one that sums them up."""
    width = max(len(result) for result in Result)
    lines = [f"{check.result:{width}}  {check.name}: {check.found} {check.to_do}".rstrip() for check in checks]
    counts = {result: sum(check.result is result for check in checks) for result in Result}
    stopping = [check.name for check in _causes(checks)]
    verdict = f"The main job cannot be done: {', '.join(stopping)}." if stopping else "The main job can be done."
    return [*lines, "", f"{', '.join(f'{number} {result}' for result, number in counts.items())}. {verdict}"]


def _causes(checks: Sequence[Check]) -> list[Check]:
    """What stops the job: the problems, or what could not be checked when that is all there is."""
    stopping = [check for check in checks if check.stops_the_job]
    return [check for check in stopping if check.result is Result.PROBLEM] or stopping


def as_data(checks: Sequence[Check]) -> dict[str, Any]:
    """The same for machines."""
    rows = [{**asdict(check), "stops_the_job": check.stops_the_job} for check in checks]
    return {"can_do_its_job": not any(check.stops_the_job for check in checks), "checks": rows}
