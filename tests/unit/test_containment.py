"""The plan follows from the evidence, and a change counts only when it was read again."""

from datetime import timedelta
from typing import Any

import pytest

from services.cases import (
    Action,
    ActionKind,
    ActionState,
    Approval,
    ApprovalState,
    Block,
    BlockKind,
    Case,
    Verdict,
    VerdictLabel,
    plan_hash,
)
from services.clients.exchange_models import Forwarding, Mailbox, parse_recipients
from services.clients.graph_models import DirectoryRole, MailRule
from services.containment import WAITS_S, Containment, propose
from services.errors import NotFound, PermissionMissing, Rejected, Throttled, Unavailable
from tests.fakes.account import NOW, UPN, FakeAccount, app, audit, blocked, grant, look, rule
from tests.fakes.clock import FakeClock

DROP = Forwarding(smtp_address="drop@evil.example", deliver_and_forward=True)
PROVEN, FAILED, WAITING = ActionState.PROVEN, ActionState.FAILED, ActionState.WAITING_FOR_PERSON


def attacked(**values: Any) -> FakeAccount:
    """An account with a visible and a hidden rule, forwarding, and an app, all of the attacker."""
    outside = parse_recipients("drop@evil.example")
    shown, hidden = rule(".", 1, forward_to=outside), rule("sync", 2, hidden=True, delete_message=True)
    return FakeAccount(
        **{
            "rules": (shown, hidden),
            "visible_rules": (MailRule(rule_id=shown.graph_rule_id or "", name="."),),
            "box": Mailbox(upn=UPN, forwarding=DROP),
            "grants": (grant(),),
            "apps": {"app-1": app()},
            "audit_log": (audit("Consent to application", NOW, target="app-1"),),
        }
        | values
    )


async def planned(account: FakeAccount, label: VerdictLabel = VerdictLabel.COMPROMISED, **fields: Any) -> Case:
    """A case with everything found, its plan, and an approval at NOW."""
    case = blocked(**fields)
    for signal_id in ("inbox_rules", "forwarding", "oauth_grants"):
        case = case.with_finding(await look(signal_id, account, case))
    case = case.model_copy(update={"verdict": Verdict(label=label, score=1, completeness=1, checked=8, total=8)})
    case = case.model_copy(update={"actions": propose(case)})
    approval = Approval(
        prompt_id="p",
        claim="c",
        case_id="C1",
        plan_hash=plan_hash(case.actions),
        state=ApprovalState.GRANTED,
        asked_at=NOW,
        expires_at=NOW,
        decided_at=NOW,
    )
    return case.with_approval(approval)


class Sleeps(list):
    """Sleeps that take no time; `then` happens during the one of that number."""

    def __init__(self) -> None:
        super().__init__()
        self.then: dict[int, Any] = {}

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        if len(self) in self.then:
            self.then[len(self)]()


async def carried_out(account: FakeAccount, case: Case, kind: ActionKind, sleeps: Sleeps | None = None) -> Action:
    action = next(a for a in case.actions if a.kind is kind)
    return await containment(account, sleeps).carry_out(case, action)


def containment(account: FakeAccount, sleeps: Sleeps | None = None) -> Containment:
    return Containment(account, account, FakeClock(NOW), sleeps if sleeps is not None else Sleeps())


# --- the plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("label", [VerdictLabel.COMPROMISED, VerdictLabel.SUSPECTED])
async def test_the_attacker_goes_first_and_the_unblock_comes_last(label: VerdictLabel):
    """
    The whole plan, in the order in which it is carried out.
    """
    case = await planned(attacked(), label)

    assert [action.action_id for action in case.actions] == [
        "revoke_sessions",
        "reset_password",
        "disable_rule:1",
        "disable_rule:2",
        "clear_forwarding",
        "revoke_grant:1",
        "unblock",
    ]
    assert [action.target_name for action in case.actions[2:]] == [
        ".",
        "sync",
        "drop@evil.example",
        "Mail Merge",
        UPN,
    ]


async def test_without_evidence_only_the_unblock_is_proposed():
    """
    Nobody's password is reset because they sent a newsletter.
    """
    case = await planned(attacked(), VerdictLabel.NO_EVIDENCE)

    assert [action.kind for action in case.actions] == [ActionKind.UNBLOCK]
    assert case.actions[0].target == {"sender_address": UPN}


async def test_without_a_verdict_the_account_is_secured_first():
    """
    Not knowing is no reason to unblock right away.
    """
    assert ActionKind.REVOKE_SESSIONS in {action.kind for action in propose(blocked())}


@pytest.mark.parametrize("kind", [BlockKind.UNTIL_TOMORROW, BlockKind.NONE, BlockKind.UNKNOWN])
async def test_only_a_restricted_account_is_to_be_unblocked(kind: BlockKind):
    """
    There is no entry to remove otherwise.
    """
    case = blocked(block=Block(kind=kind, sender_address=UPN))

    assert ActionKind.UNBLOCK not in {action.kind for action in propose(case)}


async def test_a_synced_account_is_reset_on_premises_by_a_person():
    """
    Entra does not own its password, so the bot does not try.
    """
    subject = FakeAccount().user.subject().model_copy(update={"is_synced": True})
    case = await planned(FakeAccount(), subject=subject)

    assert case.actions[1].kind is ActionKind.RESET_PASSWORD_ON_PREMISES
    assert case.actions[1].warning is not None


async def test_only_a_rule_that_goes_through_exchange_carries_the_warning():
    """
    The approver sees what else the change does, where it does it.
    """
    visible, hidden = (a for a in (await planned(attacked())).actions if a.kind is ActionKind.DISABLE_RULE)

    assert (visible.target["through"], visible.warning) == ("graph", None)
    assert (hidden.target["through"], hidden.warning.key) == ("exchange", "action.disable_rule.client_rules")


async def test_a_rule_that_is_off_and_a_grant_for_everybody_are_left_alone():
    """
    There is nothing to turn off, and a tenant-wide consent is not this case's business.
    """
    everyone = grant("app-2", consent_type="AllPrincipals")
    off = rule("x", 3, enabled=False, forward_to=parse_recipients("drop@evil.example"))
    case = await planned(FakeAccount(rules=(off,), tenant_grants=(everyone,), apps={"app-2": app("app-2")}))

    assert {action.kind for action in case.containment} == {ActionKind.REVOKE_SESSIONS, ActionKind.RESET_PASSWORD}


async def test_the_same_evidence_gives_the_same_plan():
    """
    What was approved can be compared with what would run.
    """
    assert plan_hash((await planned(attacked())).actions) == plan_hash((await planned(attacked())).actions)


# --- carrying out ----------------------------------------------------------------------------------------------------

CONTAINMENT = [kind for kind in ActionKind if kind not in (ActionKind.UNBLOCK, ActionKind.RESET_PASSWORD_ON_PREMISES)]


async def test_everything_is_done_and_proven():
    """
    Each action ends proven, and the attacker's rules, forwarding and app are gone.
    """
    account = attacked()
    case = await planned(account)
    done = [await containment(account).carry_out(case, action) for action in case.containment]

    assert {action.state for action in done} == {PROVEN}
    assert not any(r.enabled for r in account.rules)
    assert not account.box.is_forwarding
    assert account.grants == ()
    assert account.calls["disable_message_rule"] == account.calls["disable_inbox_rule"] == 1


@pytest.mark.parametrize("kind", CONTAINMENT)
async def test_a_second_time_changes_nothing(kind: ActionKind):
    """
    After a restart the same action is looked at, found done, and not done again.
    """
    account = attacked()
    case = await planned(account)
    once = await carried_out(account, case, kind)
    calls = account.calls.copy()
    again = await containment(account).carry_out(case, once)

    assert again.state is PROVEN
    changes = ("revoke_sessions", "reset_password", "disable_message_rule", "clear_forwarding", "revoke_grant")
    assert all(account.calls[change] == calls[change] for change in changes)


@pytest.mark.parametrize("kind", CONTAINMENT)
async def test_what_does_not_show_is_not_proven(kind: ActionKind, monkeypatch: pytest.MonkeyPatch):
    """
    A call that went through without effect is a failure, after looking for a minute.
    """
    account, sleeps = attacked(), Sleeps()
    case = await planned(account)
    for name in (
        "revoke_sessions",
        "reset_password",
        "disable_message_rule",
        "disable_inbox_rule",
        "clear_forwarding",
        "revoke_grant",
    ):
        monkeypatch.setattr(account, name, no_effect)
    done = await carried_out(account, case, kind, sleeps)

    assert (done.state, done.outcome.key) == (FAILED, "action.failed.not_proven")
    assert tuple(sleeps) == WAITS_S and sum(sleeps) == 60


async def no_effect(*arguments: Any, **more: Any) -> None:
    return None


async def test_a_change_that_takes_its_time_is_waited_for():
    """
    Microsoft shows it only at the third look: proven, and no further waiting.
    """
    account, sleeps = attacked(), Sleeps()
    case = await planned(account)
    account.revoke_sessions = no_effect
    moved = account.user.model_copy(update={"sessions_valid_from": NOW + timedelta(seconds=3)})
    sleeps.then[2] = lambda: account.__dict__.update(user=moved)
    done = await carried_out(account, case, ActionKind.REVOKE_SESSIONS, sleeps)

    assert done.state is PROVEN
    assert sleeps == [1.0, 2.0]


async def test_a_lost_answer_is_settled_by_looking():
    """
    No answer means that it may have happened; reading tells, and here it did.
    """
    account = attacked()
    case = await planned(account)

    async def done_but_silent(upn: str) -> None:
        account.box = Mailbox(upn=UPN)
        raise Unavailable("exchange")

    account.clear_forwarding = done_but_silent

    assert (await carried_out(account, case, ActionKind.CLEAR_FORWARDING)).state is PROVEN


async def test_not_being_able_to_look_is_no_proof():
    """
    When the reading fails each time, the action is not proven, and the text says why.
    """
    account = attacked()
    case = await planned(account)

    def fail(name: str) -> None:
        if name == "mailbox" and account.calls["clear_forwarding"]:
            raise Unavailable("exchange")

    account.on_call = fail
    done = await carried_out(account, case, ActionKind.CLEAR_FORWARDING)

    assert done.state is FAILED
    assert done.outcome.params["why"].key == "unreadable.fault"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionMissing("graph", permission="X"), "unreadable.permission_named"),
        (Throttled("graph"), "unreadable.throttled"),
        (Rejected("graph", "X", "not now"), "unreadable.rejected"),
    ],
)
async def test_a_refusal_is_a_failure_in_plain_words(error: Exception, text: str):
    """
    Nothing is raised; the outcome says that it was not done and why.
    """
    account = attacked()
    case = await planned(account)
    account.on_call = lambda name: raise_if(name == "revoke_grant", error)
    done = await carried_out(account, case, ActionKind.REVOKE_GRANT)

    assert (done.state, done.outcome.key) == (FAILED, "action.failed.refused")
    assert done.outcome.params["why"].key == text


def raise_if(true: bool, error: Exception) -> None:
    if true:
        raise error


@pytest.mark.parametrize("kind", CONTAINMENT)
async def test_what_cannot_be_read_before_is_not_changed(kind: ActionKind):
    """
    Reading comes first; blind changes are not made.
    """
    account = attacked()
    case = await planned(account)
    account.on_call = lambda name: raise_if(True, Unavailable("graph"))
    done = await carried_out(account, case, kind)

    assert (done.state, done.outcome.key) == (FAILED, "action.failed.unreadable")
    assert account.passwords == []


async def test_what_was_there_before_is_kept_for_undo():
    """
    Both forwarding fields as they were, also when the program stopped right after clearing them.
    """
    account = attacked()
    case = await planned(account)

    assert (await carried_out(account, case, ActionKind.CLEAR_FORWARDING)).before == DROP.model_dump()
    assert (await carried_out(account, case, ActionKind.CLEAR_FORWARDING)).before == DROP.model_dump()
    assert (await carried_out(account, case, ActionKind.DISABLE_RULE)).before == {"enabled": True}


async def test_a_rule_that_is_gone_is_as_good_as_off():
    """
    Somebody has deleted it meanwhile.
    """
    account = attacked()
    case = await planned(account)
    account.rules = ()
    done = await carried_out(account, case, ActionKind.DISABLE_RULE)

    assert (done.state, done.outcome.key) == (PROVEN, "action.disable_rule.gone")


async def test_graph_not_knowing_the_rule_does_not_prove_it_off():
    """
    Only Exchange's list counts: the rule is still on there.
    """
    account = attacked()
    case = await planned(account)
    account.on_call = lambda name: raise_if(name == "disable_message_rule", NotFound("graph"))

    assert (await carried_out(account, case, ActionKind.DISABLE_RULE)).state is FAILED


async def test_a_rule_that_exchange_could_not_list_is_proven_by_graph():
    """
    The plan was made from what Graph shows, so that is what is read again.
    """
    visible = MailRule(rule_id="r1", name="x", forward_to=("drop@evil.example",))
    account = FakeAccount(rules=PermissionMissing("exchange"), visible_rules=(visible,))
    case = await planned(account)
    account.rules = ()

    assert (await carried_out(account, case, ActionKind.DISABLE_RULE)).state is PROVEN
    assert account.visible_rules[0].enabled is False


# --- sessions and password -------------------------------------------------------------------------------------------


async def test_sessions_revoked_before_the_approval_are_revoked_again():
    """
    The attacker may have come back since; only a moment after the approval counts.
    """
    account = attacked()
    case = await planned(account)
    account.user = account.user.model_copy(update={"sessions_valid_from": NOW - timedelta(seconds=30)})

    assert (await carried_out(account, case, ActionKind.REVOKE_SESSIONS)).state is PROVEN
    assert account.calls["revoke_sessions"] == 1


async def test_a_password_that_somebody_else_changed_is_reset_all_the_same():
    """
    A change since the approval may be the attacker's: it is no proof of ours.
    """
    account = attacked()
    case = await planned(account)
    account.user = account.user.model_copy(update={"password_changed_at": NOW + timedelta(seconds=20)})
    account.reset_password = moving(account, NOW + timedelta(seconds=40))

    assert (await carried_out(account, case, ActionKind.RESET_PASSWORD)).state is PROVEN
    assert len(account.passwords) == 1


def moving(account: FakeAccount, at):
    async def reset_password(oid, password, *, force_change=True) -> None:
        account.passwords.append(password)
        account.user = account.user.model_copy(update={"password_changed_at": at})

    return reset_password


async def test_the_password_is_strong_different_each_time_and_leaves_no_trace():
    """
    Long, of every kind of character, and in nothing that comes back.
    """
    account = attacked()
    case = await planned(account)
    done = await carried_out(account, case, ActionKind.RESET_PASSWORD)
    await containment(account).carry_out(case, case.actions[1])
    first, second = (password.get_secret_value() for password in account.passwords)

    assert len(first) == 32 and first != second
    assert all(
        any(test(c) for c in first) for test in (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    )
    assert first not in done.model_dump_json() and first not in repr(account.passwords)


async def test_an_admin_account_waits_for_a_person_and_goes_on_when_they_did_it():
    """
    Graph lets no app reset an admin's password. The text says who can; once it was changed, that is proven.
    """
    account = attacked(roles=(DirectoryRole(assignment_id="1", role_id="global"),))
    case = await planned(account)
    account.on_call = lambda name: raise_if(name == "reset_password", PermissionMissing("graph"))
    waiting = await carried_out(account, case, ActionKind.RESET_PASSWORD)
    still_waiting = await containment(account).carry_out(case, waiting)
    account.user = account.user.model_copy(update={"password_changed_at": NOW + timedelta(minutes=9)})
    done = await containment(account).carry_out(case, still_waiting)

    assert (waiting.state, waiting.outcome.key) == (WAITING, "action.reset_password.by_hand")
    assert still_waiting == waiting
    assert account.calls["reset_password"] == 1
    assert done.state is PROVEN


async def test_a_missing_permission_on_an_ordinary_account_is_said():
    """
    The same refusal, but the account holds no role: then it is our permission that is missing.
    """
    account = attacked()
    case = await planned(account)
    account.on_call = lambda name: raise_if(name == "reset_password", PermissionMissing("graph", permission="P"))

    assert (await carried_out(account, case, ActionKind.RESET_PASSWORD)).state is FAILED


async def test_an_on_premises_reset_is_waited_for_and_proven_by_its_time():
    """
    Before the approval does not count, after it does; the bot itself changes nothing.
    """
    subject = FakeAccount().user.subject().model_copy(update={"is_synced": True})
    account = FakeAccount()
    case = await planned(account, subject=subject)
    waiting = await carried_out(account, case, ActionKind.RESET_PASSWORD_ON_PREMISES)
    account.user = account.user.model_copy(update={"password_changed_at": NOW + timedelta(minutes=5)})
    done = await containment(account).carry_out(case, waiting)

    assert waiting.state is WAITING
    assert (done.state, account.passwords) == (PROVEN, [])


async def test_waiting_for_a_person_survives_an_unreadable_moment():
    """
    A look that fails does not turn waiting into failure.
    """
    subject = FakeAccount().user.subject().model_copy(update={"is_synced": True})
    account = FakeAccount()
    case = await planned(account, subject=subject)
    account.user = Unavailable("graph")

    assert (await carried_out(account, case, ActionKind.RESET_PASSWORD_ON_PREMISES)).state is WAITING
