"""
Throwing the attacker out: which changes to propose, and each of them carried out until it is proven by reading again.

Steps run at least once, so every change is looked at before it is made, and each is safe to make twice. A new password
exists inside one function only: it is never returned, logged or stored, because nobody needs to know it.
Source: "Responding to a compromised email account", 2024-06-10; for revoking sessions and consents, which it does not
name: "user: revokeSignInSessions", 2023, and "Detect and remediate illicit consent grants", 2023-06-14.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import SecretStr

from services.cases import (
    Action,
    ActionKind,
    ActionState,
    ApprovalState,
    BlockKind,
    Case,
    Finding,
    Impact,
    SignalState,
    Subject,
    Text,
    VerdictLabel,
    say,
)
from services.clients.exchange_models import Forwarding, InboxRule, Mailbox
from services.clients.graph_models import DirectoryRole, DirectoryUser, MailRule, OAuthGrant
from services.errors import NotFound, PermissionMissing, ServiceError, Unavailable
from services.investigation.unreadable import why
from services.ports import Clock

#: How long to wait before each further look, in seconds; a minute in all.
WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
#: By how much Microsoft's clocks and ours may differ.
CLOCK_SKEW = timedelta(minutes=5)
#: Kinds that Graph refuses to apps when the account holds an admin role; a person with a higher role must do them.
_CLOSED_FOR_ADMINS = frozenset({ActionKind.REVOKE_SESSIONS, ActionKind.RESET_PASSWORD})
_PASSWORD_LENGTH = 32
_PASSWORD_LETTERS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, "!#%+-=?@_")


# --- the catalogue ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """What is true of every action of a kind."""

    impact: Impact
    #: Whether what was there before is kept, so that it can be put back.
    reversible: bool
    #: What our app needs for it: a permission of Graph, or the right to a cmdlet.
    permission: str
    warning: Text | None = None


CATALOGUE: Mapping[ActionKind, Entry] = {
    ActionKind.REVOKE_SESSIONS: Entry(Impact.MEDIUM, False, "User.RevokeSessions.All"),
    ActionKind.RESET_PASSWORD: Entry(
        Impact.HIGH, False, "User-PasswordProfile.ReadWrite.All", say("action.reset_password.warning")
    ),
    ActionKind.RESET_PASSWORD_ON_PREMISES: Entry(
        Impact.HIGH, False, "User.Read.All", say("action.reset_password_on_premises.warning")
    ),
    # The warning about Outlook's own rules belongs only to rules that have to be changed through Exchange.
    ActionKind.DISABLE_RULE: Entry(Impact.LOW, True, "MailboxSettings.ReadWrite, Disable-InboxRule"),
    ActionKind.CLEAR_FORWARDING: Entry(Impact.LOW, True, "Set-Mailbox"),
    ActionKind.REVOKE_GRANT: Entry(Impact.MEDIUM, False, "DelegatedPermissionGrant.ReadWrite.All"),
    ActionKind.UNBLOCK: Entry(Impact.MEDIUM, False, "Remove-BlockedSenderAddress"),
}


# --- proposing: pure -------------------------------------------------------------------------------------------------


def propose(case: Case) -> tuple[Action, ...]:
    """
    The plan for a case with a verdict, in the order in which it is carried out.

    Compromised or suspected: everything that throws an attacker out, then the unblock. No evidence: the unblock alone.
    A case without a verdict is treated as suspected. Targets hold exactly what the change needs, and no secret.
    """
    actions = [] if _is_harmless(case) or case.subject is None else _containment(case, case.subject)
    order = list(ActionKind)
    return tuple(sorted((*actions, *_unblock(case)), key=lambda action: order.index(action.kind)))


def _is_harmless(case: Case) -> bool:
    return case.verdict is not None and case.verdict.label is VerdictLabel.NO_EVIDENCE


def _containment(case: Case, subject: Subject) -> list[Action]:
    account = {"user_oid": subject.user_oid}
    reset = ActionKind.RESET_PASSWORD_ON_PREMISES if subject.is_synced else ActionKind.RESET_PASSWORD
    return [
        _action(ActionKind.REVOKE_SESSIONS, account, subject.upn),
        _action(reset, account, subject.upn),
        *_numbered(ActionKind.DISABLE_RULE, [_rule(t, subject) for t in _targets(case, "inbox_rules") if _is_on(t)]),
        *(_clear_forwarding(t, subject) for t in _targets(case, "forwarding")[:1]),
        *_numbered(ActionKind.REVOKE_GRANT, [_grant(t, subject) for t in _targets(case, "oauth_grants")]),
    ]


def _targets(case: Case, signal_id: str) -> Sequence[Mapping[str, Any]]:
    finding: Finding | None = next((f for f in case.findings if f.signal_id == signal_id), None)
    return finding.targets if finding and finding.state is SignalState.FOUND else ()


def _action(
    kind: ActionKind, target: Mapping[str, Any], name: str, *, action_id: str = "", warning: Text | None = None
) -> Action:
    entry = CATALOGUE[kind]
    return Action(
        action_id=action_id or kind.value,
        kind=kind,
        target=dict(target),
        target_name=name,
        impact=entry.impact,
        reversible=entry.reversible,
        warning=warning or entry.warning,
    )


def _numbered(kind: ActionKind, parts: Sequence[tuple[Mapping[str, Any], str, Text | None]]) -> list[Action]:
    """Several actions of a kind, told apart by number: their targets' names are anybody's choice."""
    return [
        _action(kind, target, name, action_id=f"{kind.value}:{number}", warning=warning)
        for number, (target, name, warning) in enumerate(parts, start=1)
    ]


def _is_on(rule: Mapping[str, Any]) -> bool:
    """A rule that is not known to be off, and that Graph or Exchange can change."""
    return rule["enabled"] is not False and (rule["graph_rule_id"] is not None or rule["identity"] is not None)


def _rule(found: Mapping[str, Any], subject: Subject) -> tuple[Mapping[str, Any], str, Text | None]:
    through_graph = found["graph_rule_id"] is not None
    target = {
        "user_oid": subject.user_oid,
        "upn": subject.upn,
        "through": "graph" if through_graph else "exchange",
        "graph_rule_id": found["graph_rule_id"],
        "identity": found["identity"],
    }
    return target, str(found["name"]), None if through_graph else say("action.disable_rule.client_rules")


def _clear_forwarding(found: Mapping[str, Any], subject: Subject) -> Action:
    target = {"upn": subject.upn, **found}
    return _action(ActionKind.CLEAR_FORWARDING, target, str(found["smtp_address"] or found["address"]))


def _grant(found: Mapping[str, Any], subject: Subject) -> tuple[Mapping[str, Any], str, Text | None]:
    target = {
        "user_oid": subject.user_oid,
        "grant_id": found["grant_id"],
        "client_sp_oid": found["client_sp_oid"],
        "scopes": list(found["scopes"]),
    }
    return target, str(found["name"]), None


def _unblock(case: Case) -> list[Action]:
    block = case.block
    if block is None or block.kind is not BlockKind.RESTRICTED or block.sender_address is None:
        return []
    return [_action(ActionKind.UNBLOCK, {"sender_address": block.sender_address}, block.sender_address)]


# --- carrying out ----------------------------------------------------------------------------------------------------


class AccountChanges(Protocol):
    """What is asked of Graph; fulfilled by `GraphClient`. Every method may raise any ServiceError."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...

    async def revoke_sessions(self, oid: str) -> object: ...

    async def reset_password(self, oid: str, password: SecretStr, *, force_change: bool = True) -> object: ...

    async def message_rules(self, oid: str) -> tuple[MailRule, ...]: ...

    async def disable_message_rule(self, oid: str, rule_id: str) -> object: ...

    async def oauth_grants(self, oid: str) -> tuple[OAuthGrant, ...]: ...

    async def revoke_grant(self, grant_id: str) -> object: ...

    async def directory_roles(self, oid: str) -> tuple[DirectoryRole, ...]: ...


class MailboxChanges(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`. Every method may raise any ServiceError."""

    async def inbox_rules(self, upn: str) -> tuple[InboxRule, ...]: ...

    async def disable_inbox_rule(self, upn: str, rule_identity: int | str) -> object: ...

    async def mailbox(self, upn: str) -> Mailbox: ...

    async def clear_forwarding(self, upn: str) -> object: ...


@dataclass(frozen=True)
class Change:
    """One change, ready to be made. `proof` reads: the text of the proof, or None when it does not hold (yet)."""

    perform: Callable[[], Awaitable[object]]
    proof: Callable[[], Awaitable[Text | None]]
    #: What was there before.
    before: dict[str, Any] | None = None
    #: The proof that it was done before, so that there is nothing to do.
    done_before: Text | None = None


class Containment:
    """Carries out the actions of a plan, but for the unblock itself, which `services.unblocking` does."""

    def __init__(
        self,
        graph: AccountChanges,
        exchange: MailboxChanges,
        clock: Clock,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._graph = graph
        self._exchange = exchange
        self._clock = clock
        self._sleep = sleep
        self._prepare: Mapping[ActionKind, Callable[[Case, Action], Awaitable[Change]]] = {
            ActionKind.REVOKE_SESSIONS: self._revoke_sessions,
            ActionKind.RESET_PASSWORD: self._reset_password,
            ActionKind.RESET_PASSWORD_ON_PREMISES: self._reset_password_on_premises,
            ActionKind.DISABLE_RULE: self._disable_rule,
            ActionKind.CLEAR_FORWARDING: self._clear_forwarding,
            ActionKind.REVOKE_GRANT: self._revoke_grant,
        }

    async def carry_out(self, case: Case, action: Action) -> Action:
        """
        The action after it was made and read again: PROVEN, FAILED or WAITING_FOR_PERSON, each with its outcome.

        Safe to repeat. An action that waits for a person is only looked at. Proofs are read for up to a minute, because
        Microsoft takes its time to show a change. Never raises ServiceError.
        """
        try:
            change = await self._prepare[action.kind](case, action)
        except ServiceError as error:
            outcome = say("action.failed.unreadable", why=why(error))
            return _waiting(action, outcome) if _is_for_a_person(action) else _failed(action, outcome)
        if change.done_before is not None:
            return self._proven(action, change, change.done_before)
        if _is_for_a_person(action):
            return _waiting(action, say(f"action.{action.kind.value}.by_hand"))
        return await self._make(action, change)

    async def _make(self, action: Action, change: Change) -> Action:
        started = action.model_copy(update={"before": change.before or action.before, "done_at": self._clock.now()})
        try:
            await change.perform()
        except (Unavailable, NotFound):
            pass  # it may have happened, or there is nothing left to change: reading tells
        except PermissionMissing as error:
            return await self._refused(action, error)
        except ServiceError as error:
            return _failed(action, say("action.failed.refused", why=why(error)))
        return await self._read_again(started, change)

    async def _read_again(self, action: Action, change: Change) -> Action:
        last_error: ServiceError | None = None
        for wait_s in (0.0, *WAITS_S):
            if wait_s:
                await self._sleep(wait_s)
            try:
                proof = await change.proof()
            except ServiceError as error:  # being unable to look is no proof, and no failure of the change
                last_error = error
                continue
            last_error = None
            if proof is not None:
                return self._proven(action, change, proof)
        return _failed(
            action, say("action.failed.not_proven", why=why(last_error) if last_error else say("action.no_change_seen"))
        )

    async def _refused(self, action: Action, error: PermissionMissing) -> Action:
        """Graph protects admins from apps with one and the same refusal as for a missing permission."""
        if action.kind in _CLOSED_FOR_ADMINS and await self._is_admin(_oid(action)):
            return _waiting(action, say(f"action.{action.kind.value}.by_hand"))
        return _failed(action, say("action.failed.refused", why=why(error)))

    async def _is_admin(self, user_oid: str) -> bool:
        try:
            return bool(await self._graph.directory_roles(user_oid))
        except ServiceError:
            return False

    def _proven(self, action: Action, change: Change, proof: Text) -> Action:
        done = {"state": ActionState.PROVEN, "outcome": proof, "done_at": action.done_at or self._clock.now()}
        return action.model_copy(update={"before": action.before or change.before, **done})

    # --- one function for each kind: reads, and says how to make the change and how to prove it ---

    async def _revoke_sessions(self, case: Case, action: Action) -> Change:
        """
        Every session ends. Proven when Entra counts sessions only from a moment after the approval.

        Source: "user: revokeSignInSessions", 2023: it sets signInSessionsValidFromDateTime.
        """
        oid, approved_at, now = _oid(action), _approved_at(case), self._clock.now()
        before = (await self._graph.get_user(oid)).sessions_valid_from

        async def proof() -> Text | None:
            at = (await self._graph.get_user(oid)).sessions_valid_from
            moved = at is not None and at != before and at >= now - CLOCK_SKEW
            return say("action.revoke_sessions.proven", at=at) if moved else None

        done = approved_at is not None and before is not None and before >= approved_at
        return Change(
            perform=lambda: self._graph.revoke_sessions(oid),
            proof=proof,
            done_before=say("action.revoke_sessions.proven", at=before) if done else None,
        )

    async def _reset_password(self, case: Case, action: Action) -> Change:
        """
        A password that nobody knows. Proven when the time of the last change has moved.

        A change since the approval is taken for ours only if we made one at that moment, or wait for a person who is to
        make it: anything else may be the attacker's. Source: "Update user", 2026-07-04.
        """
        oid, now = _oid(action), self._clock.now()
        before = (await self._graph.get_user(oid)).password_changed_at

        async def proof() -> Text | None:
            at = (await self._graph.get_user(oid)).password_changed_at
            moved = at is not None and at != before and at >= now - CLOCK_SKEW
            return say("action.reset_password.proven", at=at) if moved else None

        done = _is_awaited(before, case, action)
        return Change(
            perform=lambda: self._set_random_password(oid),
            proof=proof,
            done_before=say("action.reset_password.proven", at=before) if done else None,
        )

    async def _set_random_password(self, oid: str) -> None:
        await self._graph.reset_password(oid, _random_password(), force_change=True)

    async def _reset_password_on_premises(self, case: Case, action: Action) -> Change:
        """Only a person can do this: proven when the password was changed after the approval."""
        changed_at = (await self._graph.get_user(_oid(action))).password_changed_at
        approved_at = _approved_at(case)
        done = approved_at is not None and changed_at is not None and changed_at >= approved_at
        return Change(
            perform=_nothing,
            proof=_no_proof,
            done_before=say("action.reset_password_on_premises.proven", at=changed_at) if done else None,
        )

    async def _disable_rule(self, case: Case, action: Action) -> Change:
        """
        The rule is turned off and kept. Proven when Exchange, which sees hidden rules too, has it off or not at all.

        Visible rules are changed through Graph: any change through Exchange deletes the rules that live in the user's
        Outlook. Source: "Update messageRule", 2025; Disable-InboxRule, 2026-08-21.
        """
        target = action.target
        oid, upn = str(target["user_oid"]), str(target["upn"])

        def perform() -> Awaitable[object]:
            if target["through"] == "graph":
                return self._graph.disable_message_rule(oid, str(target["graph_rule_id"]))
            return self._exchange.disable_inbox_rule(upn, str(target["identity"]))

        async def proof() -> Text | None:
            enabled = await self._rule_is_on(target)
            key = "gone" if enabled is None else "proven"
            return None if enabled else say(f"action.disable_rule.{key}")

        return Change(perform=perform, proof=proof, before={"enabled": True}, done_before=await proof())

    async def _rule_is_on(self, target: Mapping[str, Any]) -> bool | None:
        """Whether the rule is on; None when it is gone. A rule that Exchange could not list is read from Graph."""
        if target["identity"] is None:
            shown = await self._graph.message_rules(str(target["user_oid"]))
            flags = [rule.enabled for rule in shown if rule.rule_id == target["graph_rule_id"]]
        else:
            rules = await self._exchange.inbox_rules(str(target["upn"]))
            flags = [rule.enabled for rule in rules if rule.identity == target["identity"]]
        return flags[0] is not False if flags else None

    async def _clear_forwarding(self, case: Case, action: Action) -> Change:
        """Both fields are emptied, since ForwardingAddress wins when both are set. Source: Set-Mailbox, 2026-08-21."""
        upn = str(action.target["upn"])
        before = (await self._exchange.mailbox(upn)).forwarding

        async def proof() -> Text | None:
            now = (await self._exchange.mailbox(upn)).forwarding
            return None if now.is_on else say("action.clear_forwarding.proven")

        return Change(
            perform=lambda: self._exchange.clear_forwarding(upn),
            proof=proof,
            # When it is empty already, we may have been stopped after emptying it: what was approved is what was there.
            before=(before if before.is_on else Forwarding.model_validate(action.target)).model_dump(),
            done_before=None if before.is_on else say("action.clear_forwarding.proven"),
        )

    async def _revoke_grant(self, case: Case, action: Action) -> Change:
        """The app's consent is deleted. Source: "Delete oAuth2PermissionGrant", 2025."""
        oid, grant_id = _oid(action), str(action.target["grant_id"])

        async def proof() -> Text | None:
            left = await self._graph.oauth_grants(oid)
            return None if any(g.grant_id == grant_id for g in left) else say("action.revoke_grant.proven")

        return Change(perform=lambda: self._graph.revoke_grant(grant_id), proof=proof, done_before=await proof())


# --- small parts -----------------------------------------------------------------------------------------------------


def _random_password() -> SecretStr:
    """32 characters, of every kind that a password policy may ask for."""
    letters = [secrets.choice(kind) for kind in _PASSWORD_LETTERS]
    letters += [secrets.choice("".join(_PASSWORD_LETTERS)) for _ in range(_PASSWORD_LENGTH - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return SecretStr("".join(letters))


def _approved_at(case: Case) -> datetime | None:
    """When somebody last agreed to the plan, to the second: Entra's moments have no fractions to compare with."""
    granted = [a.decided_at for a in case.approvals if a.state is ApprovalState.GRANTED and a.decided_at]
    return max(granted).replace(microsecond=0) if granted else None


def _is_awaited(changed_at: datetime | None, case: Case, action: Action) -> bool:
    """Whether a password change at this moment is the one that this action made or waits for."""
    if changed_at is None:
        return False
    if action.state is ActionState.WAITING_FOR_PERSON:
        approved_at = _approved_at(case)
        return approved_at is not None and changed_at >= approved_at
    return action.done_at is not None and abs(changed_at - action.done_at) <= CLOCK_SKEW


async def _nothing() -> None:
    return None


async def _no_proof() -> Text | None:
    return None


def _is_for_a_person(action: Action) -> bool:
    return action.kind is ActionKind.RESET_PASSWORD_ON_PREMISES or action.state is ActionState.WAITING_FOR_PERSON


def _oid(action: Action) -> str:
    return str(action.target["user_oid"])


def _failed(action: Action, outcome: Text) -> Action:
    return action.model_copy(update={"state": ActionState.FAILED, "outcome": outcome})


def _waiting(action: Action, outcome: Text) -> Action:
    return action.model_copy(update={"state": ActionState.WAITING_FOR_PERSON, "outcome": outcome})
