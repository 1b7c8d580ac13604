"""Which changes to propose for a case. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.cases import (
    Action,
    ActionKind,
    BlockKind,
    Case,
    Finding,
    SignalState,
    Subject,
    Text,
    VerdictLabel,
    say,
)
from services.clients.exchange_models import BlockedConnector
from services.containment.catalogue import new_action
from services.containment.work import PROTOCOLS_OFF

Found = Mapping[str, Any]

#: Rights that a delegate has when the finding names none, by the kind of delegate.
_USUAL_RIGHTS = {
    "full_access": ("FullAccess",),
    "send_as": ("SendAs",),
    "send_on_behalf": ("SendOnBehalf",),
    "folder": ("Editor",),
}
#: How Microsoft calls sign-in methods that have no name of their own; the same in every language.
_METHOD_NAMES = {
    "fido2": "FIDO2",
    "microsoftAuthenticator": "Microsoft Authenticator",
    "softwareOath": "OATH",
    "temporaryAccessPass": "Temporary Access Pass",
    "windowsHelloForBusiness": "Windows Hello for Business",
}


def propose(case: Case) -> tuple[Action, ...]:
    """
    The plan for a case with a verdict, in the order in which it is carried out.

    Compromised or suspected: everything that throws an attacker out, then the unblock. No evidence: the unblock alone.
    A case without a verdict is treated as suspected, and so is one that was opened to contain: somebody has seen what
    the checks may not see. That one has no unblock. Targets hold exactly what the change needs, and no secret. The
    same target always gets the same id, whatever else is in the plan, so that plans can be compared.
    """
    actions = [] if _is_harmless(case) or case.subject is None else _containment(case, case.subject)
    order = list(ActionKind)
    # Two findings may name the same thing: it is changed once.
    once = {action.action_id: action for action in (*actions, *_unblock(case))}
    return tuple(sorted(once.values(), key=lambda action: order.index(action.kind)))


def _is_harmless(case: Case) -> bool:
    return not case.contain_only and case.verdict is not None and case.verdict.label is VerdictLabel.NO_EVIDENCE


def _containment(case: Case, subject: Subject) -> Iterable[Action]:
    yield from _account(subject)
    yield from (_method(found, subject) for found in _targets(case, "auth_methods"))
    yield from (_role(found, subject) for found in _named(case, "admin_roles"))
    yield from (_rule(found, subject) for found in _targets(case, "inbox_rules") if found["enabled"] is not False)
    yield from (_clear_forwarding(found, subject) for found in _targets(case, "forwarding")[:1])
    yield from (_grant(found, subject) for found in _targets(case, "oauth_grants"))
    yield from (_assignment(found, subject) for found in _targets(case, "app_assignments"))
    yield from (_delegate(found, subject) for found in _targets(case, "delegates"))
    yield from _protocols(case, subject)
    if _is_to_be_confirmed(case):
        yield new_action(ActionKind.CONFIRM_COMPROMISED, {"user_oid": subject.user_oid}, subject.upn)


def _targets(case: Case, signal_id: str) -> Sequence[Found]:
    """What a signal holds against the account."""
    finding = _finding(case, signal_id)
    return finding.targets if finding and finding.state is SignalState.FOUND else ()


def _named(case: Case, signal_id: str) -> Sequence[Found]:
    """What a signal names at all, be it no evidence: to be offered, should an attacker have to be kept out."""
    finding = _finding(case, signal_id)
    return finding.targets if finding else ()


def _finding(case: Case, signal_id: str) -> Finding | None:
    return next((finding for finding in case.findings if finding.signal_id == signal_id), None)


# --- the account -----------------------------------------------------------------------------------------------------


def _account(subject: Subject) -> Iterable[Action]:
    account = {"user_oid": subject.user_oid}
    if subject.account_enabled is not False:
        yield _block_sign_in(subject)
    yield new_action(ActionKind.REVOKE_SESSIONS, account, subject.upn)
    reset = ActionKind.RESET_PASSWORD_ON_PREMISES if subject.is_synced else ActionKind.RESET_PASSWORD
    yield new_action(reset, account, subject.upn)


def _block_sign_in(subject: Subject) -> Action:
    """Left to the approver for people; in by default for a shared mailbox, to which nobody should sign in."""
    target = {"user_oid": subject.user_oid, "was_enabled": subject.account_enabled}
    return new_action(ActionKind.BLOCK_SIGN_IN, target, subject.upn, **_sign_in_changes(subject))


def _sign_in_changes(subject: Subject) -> dict[str, Any]:
    if subject.is_synced:
        return {"warning": say("action.block_sign_in.synced")}
    if subject.is_shared_mailbox:
        return {"ticked": True, "warning": say("action.block_sign_in.shared")}
    return {}


def _method(found: Found, subject: Subject) -> Action:
    kind, method_id = str(found["kind"]), str(found["method_id"])
    target = {"user_oid": subject.user_oid, "kind": kind, "method_id": method_id}
    name = str(found.get("label") or _METHOD_NAMES.get(kind, kind))
    action = new_action(ActionKind.REMOVE_AUTH_METHOD, target, name, kind, method_id)
    if found.get("certain") is False:
        # It cannot be put back, so one that may be the user's own is for the approver to choose.
        return action.model_copy(update={"ticked": False, "warning": say("action.remove_auth_method.uncertain")})
    return action


def _role(found: Found, subject: Subject) -> Action:
    """A role that was assigned lately is in unless the approver says otherwise; any other is only offered."""
    scope = str(found.get("scope") or "/")
    target = {
        "user_oid": subject.user_oid,
        "assignment_id": found["assignment_id"],
        "role_id": found["role_id"],
        "scope": scope,
    }
    name = str(found.get("role_name") or found["role_id"])
    return new_action(ActionKind.REMOVE_ROLE, target, name, found["assignment_id"], ticked=bool(found["recent"]))


def _is_to_be_confirmed(case: Case) -> bool:
    """Only on a firm verdict, and only where Identity Protection could be read: otherwise it is not licensed."""
    risk = _finding(case, "risk_state")
    firm = case.verdict is not None and case.verdict.label is VerdictLabel.COMPROMISED
    return firm and risk is not None and risk.state in (SignalState.FOUND, SignalState.CLEAR)


# --- the mailbox and the apps ----------------------------------------------------------------------------------------


def _rule(found: Found, subject: Subject) -> Action:
    target = {
        "user_oid": subject.user_oid,
        "upn": subject.upn,
        "through": _way_to_rule(found),
        "graph_rule_id": found["graph_rule_id"],
        "identity": found["identity"],
        "name": found["name"],
    }
    identity = (found["identity"], found["graph_rule_id"], found["name"])
    return new_action(
        ActionKind.DISABLE_RULE, target, str(found["name"]), *identity, warning=_RULE_WARNINGS[target["through"]]
    )


def _way_to_rule(found: Found) -> str:
    """Graph before Exchange, which costs the user's Outlook-only rules; a person for what neither can change."""
    if found["graph_rule_id"] is not None:
        return "graph"
    return "exchange" if found["identity"] is not None else "person"


_RULE_WARNINGS: Mapping[str, Text | None] = {
    "graph": None,
    "exchange": say("action.disable_rule.client_rules"),
    "person": say("action.disable_rule.by_hand"),
}


def _clear_forwarding(found: Found, subject: Subject) -> Action:
    target = {"upn": subject.upn, **found}
    return new_action(ActionKind.CLEAR_FORWARDING, target, str(found["smtp_address"] or found["address"]))


def _grant(found: Found, subject: Subject) -> Action:
    target = {
        "user_oid": subject.user_oid,
        "grant_id": found["grant_id"],
        "client_sp_oid": found["client_sp_oid"],
        "resource_sp_oid": found.get("resource_sp_oid"),
        "scopes": list(found["scopes"]),
    }
    return new_action(ActionKind.REVOKE_GRANT, target, str(found["name"]), found["grant_id"])


def _assignment(found: Found, subject: Subject) -> Action:
    target = {
        "user_oid": subject.user_oid,
        "assignment_id": found["assignment_id"],
        "app_sp_oid": found["app_sp_oid"],
        "app_role_id": found.get("app_role_id"),
    }
    return new_action(ActionKind.REMOVE_APP_ASSIGNMENT, target, str(found["name"]), found["assignment_id"])


def _delegate(found: Found, subject: Subject) -> Action:
    kind, user, folder = str(found["kind"]), str(found["user"]), found.get("folder")
    rights = [str(right) for right in found.get("rights") or _USUAL_RIGHTS[kind]]
    target = {"upn": subject.upn, "kind": kind, "user": user, "rights": rights, "folder": folder}
    what = ", ".join(rights)
    # Exchange's own words for the rights tell several actions about one person apart.
    name = f"{user} ({folder}: {what})" if kind == "folder" else f"{user} ({what})"
    return new_action(ActionKind.REMOVE_DELEGATE, target, name, kind, user, folder)


def _protocols(case: Case, subject: Subject) -> Iterable[Action]:
    """In by default when the attacker came through one of them; else only offered, when one of them is on."""
    used = bool(_targets(case, "legacy_protocols"))
    for found in _named(case, "legacy_protocols")[:1]:
        was = {name: found.get(name) for name in PROTOCOLS_OFF}
        if was != PROTOCOLS_OFF:
            yield new_action(ActionKind.DISABLE_PROTOCOLS, {"upn": subject.upn, "was": was}, subject.upn, ticked=used)


def _unblock(case: Case) -> list[Action]:
    block = case.block
    if case.contain_only or block is None or block.kind is not BlockKind.RESTRICTED or block.sender_address is None:
        return []
    return [new_action(ActionKind.UNBLOCK, {"sender_address": block.sender_address}, block.sender_address)]


def connector_plan(connector: BlockedConnector) -> tuple[Action, ...]:
    """
    The plan for a blocked connector: letting it send again. Whoever controls the server behind it can then send, so the
    warning asks to secure that first. Source: "Remove blocked connectors from the Restricted entities page",
    2023-06-14.
    """
    target, name = {"connector_id": connector.connector_id}, connector.name or connector.connector_id
    return (new_action(ActionKind.UNBLOCK_CONNECTOR, target, name, connector.connector_id),)
