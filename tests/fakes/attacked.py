"""An account that an attacker has set up in every way that the containment undoes, and its case."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from services.cases import (
    Action,
    ActionKind,
    Approval,
    ApprovalState,
    Case,
    Finding,
    SignalState,
    Verdict,
    VerdictLabel,
    plan_hash,
    say,
)
from services.clients.exchange_models import (
    CasMailbox,
    FolderPermission,
    Forwarding,
    Mailbox,
    MailboxPermission,
    SendAsPermission,
    parse_recipients,
)
from services.clients.graph_models import AppAssignment, AuthMethod, DirectoryRole, MailRule
from services.containment import Containment, propose
from tests.fakes.account import NOW, UPN, FakeAccount, blocked, grant, rule
from tests.fakes.clock import FakeClock

DROP = Forwarding(smtp_address="drop@evil.example", deliver_and_forward=True)
EVE = "eve@contoso.com"
#: What a mailbox is open to unless somebody closes it.
OPEN = CasMailbox(upn=UPN, pop=True, imap=True, ews=True, activesync=True, smtp_auth_disabled=None)
ROLE = {"assignment_id": "a1", "role_id": "user-administrator", "scope": "/", "role_name": "User Administrator"}
OUTSIDE = parse_recipients("drop@evil.example")
SHOWN, HIDDEN = rule(".", 1, forward_to=OUTSIDE), rule("sync", 2, hidden=True, delete_message=True)
DELEGATES = (
    {"kind": "full_access", "user": EVE, "rights": ["FullAccess"], "folder": None},
    {"kind": "send_as", "user": EVE, "rights": ["SendAs"], "folder": None},
    {"kind": "send_on_behalf", "user": EVE, "rights": [], "folder": None},
    {"kind": "folder", "user": EVE, "rights": ["Editor"], "folder": "Inbox"},
)
TARGETS: Mapping[str, tuple[Mapping[str, Any], ...]] = {
    "inbox_rules": (
        {"name": ".", "identity": SHOWN.identity, "graph_rule_id": SHOWN.graph_rule_id, "enabled": True},
        {"name": "sync", "identity": HIDDEN.identity, "graph_rule_id": None, "enabled": True},
    ),
    "forwarding": (DROP.model_dump(),),
    "oauth_grants": (
        {
            "grant_id": "grant-app-1",
            "client_sp_oid": "app-1",
            "resource_sp_oid": "graph",
            "name": "Mail Merge",
            "scopes": ["Mail.Read", "offline_access"],
        },
    ),
    "app_assignments": ({"assignment_id": "s1", "app_sp_oid": "app-2", "app_role_id": None, "name": "Sync Tool"},),
    "auth_methods": ({"kind": "phone", "method_id": "m2", "label": "+31 6 11112222", "certain": True},),
    "admin_roles": ({**ROLE, "recent": True},),
    "delegates": DELEGATES,
    "legacy_protocols": ({"pop": True, "imap": True, "ews": True, "activesync": True, "smtp_auth_disabled": None},),
    "risk_state": (),
}


def attacked(**values: Any) -> FakeAccount:
    """The account, with everything that TARGETS names."""
    shown = MailRule(rule_id=SHOWN.graph_rule_id or "", name=".", enabled=True)
    return FakeAccount(
        **{
            "rules": (SHOWN, HIDDEN),
            "visible_rules": (shown,),
            "box": Mailbox(upn=UPN, forwarding=DROP, send_on_behalf=(EVE, "megan@contoso.com")),
            "grants": (grant(resource_sp_oid="graph"),),
            "assignments": (AppAssignment(assignment_id="s1", app_sp_oid="app-2"),),
            "methods": (AuthMethod(method_id="m1", kind="password"), AuthMethod(method_id="m2", kind="phone")),
            "roles": (DirectoryRole.model_validate(ROLE),),
            "mailbox_rights": (MailboxPermission(user=EVE, rights=("FullAccess",)),),
            "send_as_rights": (SendAsPermission(trustee=EVE, rights=("SendAs",), control_type="Allow"),),
            "folder_rights": {"Inbox": (FolderPermission(folder="Inbox", user=EVE, rights=("Editor",)),)},
            "protocols": OPEN,
        }
        | values
    )


def ordinary(**values: Any) -> FakeAccount:
    """The same without an admin role, so that a refusal means what it says."""
    return attacked(**{"roles": ()} | values)


def found(signal_id: str, *targets: Mapping[str, Any], state: SignalState = SignalState.FOUND) -> Finding:
    """What a signal came to, as far as the plan cares."""
    return Finding(signal_id=signal_id, state=state, summary=say("x"), targets=tuple(map(dict, targets)))


def planned(label: VerdictLabel = VerdictLabel.COMPROMISED, *findings: Finding, **fields: Any) -> Case:
    """A case with everything found, or with these findings, its plan, and an approval at NOW."""
    case = blocked(**fields)
    for finding in findings or [found(signal_id, *targets) for signal_id, targets in TARGETS.items()]:
        case = case.with_finding(finding)
    verdict = Verdict(label=label, score=1, completeness=1, checked=8, total=8)
    case = case.model_copy(update={"verdict": verdict})
    return approved(case.model_copy(update={"actions": propose(case)}))


def approved(case: Case) -> Case:
    return case.with_approval(
        Approval(
            prompt_id="p",
            claim="c",
            case_id=case.case_id,
            plan_hash=plan_hash(case.actions),
            state=ApprovalState.GRANTED,
            asked_at=NOW,
            expires_at=NOW,
            decided_at=NOW,
        )
    )


def one(case: Case, kind: ActionKind, which: int = 0) -> Action:
    """An action of that kind in the plan."""
    return [action for action in case.actions if action.kind is kind][which]


class Sleeps(list):
    """Sleeps that take no time; `then` happens during the one of that number."""

    def __init__(self) -> None:
        super().__init__()
        self.then: dict[int, Callable[[], Any]] = {}

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        if len(self) in self.then:
            self.then[len(self)]()


def containment(account: FakeAccount, sleeps: Sleeps | None = None) -> Containment:
    return Containment(account, account, FakeClock(NOW), sleeps if sleeps is not None else Sleeps())


async def carried_out(account: FakeAccount, case: Case, kind: ActionKind, sleeps: Sleeps | None = None) -> Action:
    return await containment(account, sleeps).carry_out(case, one(case, kind))


def raising(account: FakeAccount, method: str, error: Exception) -> None:
    """Let one method go wrong from now on."""

    def fail(name: str) -> None:
        if name == method:
            raise error

    account.on_call = fail


async def no_effect(*arguments: Any, **more: Any) -> None:
    return None
