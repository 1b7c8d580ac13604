"""A change counts only when it was read again."""

from datetime import timedelta
from typing import Any

import pytest

from services.cases import Action, ActionKind, ActionState, Case, Subject, VerdictLabel
from services.clients.exchange_models import Mailbox
from services.clients.graph_models import MailRule, RiskyUser
from services.containment import WAITS_S
from services.errors import LicenceMissing, NotFound, PermissionMissing, Rejected, ServiceError, Throttled, Unavailable
from tests.fakes.account import NOW, UPN, FakeAccount
from tests.fakes.attacked import (
    DROP,
    HIDDEN,
    Sleeps,
    attacked,
    carried_out,
    containment,
    found,
    no_effect,
    one,
    ordinary,
    planned,
    raising,
)

PROVEN, FAILED, WAITING = ActionState.PROVEN, ActionState.FAILED, ActionState.WAITING_FOR_PERSON
COMPROMISED = VerdictLabel.COMPROMISED
#: What each kind calls to make its change; a delegate's by its kind.
CHANGES = {
    ActionKind.BLOCK_SIGN_IN: ("set_sign_in",),
    ActionKind.REVOKE_SESSIONS: ("revoke_sessions",),
    ActionKind.RESET_PASSWORD: ("reset_password",),
    ActionKind.REMOVE_AUTH_METHOD: ("remove_auth_method",),
    ActionKind.REMOVE_ROLE: ("remove_role",),
    ActionKind.DISABLE_RULE: ("disable_message_rule", "disable_inbox_rule"),
    ActionKind.CLEAR_FORWARDING: ("clear_forwarding",),
    ActionKind.REVOKE_GRANT: ("revoke_grant",),
    ActionKind.REMOVE_APP_ASSIGNMENT: ("remove_app_assignment",),
    ActionKind.REMOVE_DELEGATE: (
        "remove_mailbox_permission",
        "remove_send_as",
        "set_send_on_behalf",
        "remove_folder_permission",
    ),
    ActionKind.DISABLE_PROTOCOLS: ("set_protocols",),
    ActionKind.CONFIRM_COMPROMISED: ("confirm_compromised",),
}
EVERY = [(kind, which) for kind, methods in CHANGES.items() for which in range(len(methods))]
every_change = pytest.mark.parametrize(("kind", "which"), EVERY)
ADMIN_ONLY = [
    ActionKind.BLOCK_SIGN_IN,
    ActionKind.REVOKE_SESSIONS,
    ActionKind.RESET_PASSWORD,
    ActionKind.REMOVE_AUTH_METHOD,
    ActionKind.REMOVE_ROLE,
]


def synced() -> Subject:
    return FakeAccount().user.subject().model_copy(update={"is_synced": True})


async def carry_out(account: FakeAccount, kind: ActionKind, which: int = 0, case: Case | None = None) -> Action:
    case = case or planned()
    return await containment(account).carry_out(case, one(case, kind, which))


# --- every kind ------------------------------------------------------------------------------------------------------


async def test_everything_is_done_and_proven():
    """
    Each action ends proven, and nothing of the attacker's is left.
    """
    account, case = attacked(), planned()
    done = [await containment(account).carry_out(case, action) for action in case.containment]

    assert {action.state for action in done} == {PROVEN}
    assert not any(r.enabled for r in account.rules) and not account.box.is_forwarding
    assert account.grants == account.assignments == account.roles == account.mailbox_rights == ()
    assert account.send_as_rights == account.folder_rights["Inbox"] == ()
    assert account.box.send_on_behalf == ("megan@contoso.com",)
    assert [method.kind for method in account.methods] == ["password"]
    assert (account.user.account_enabled, account.protocols.imap, account.risky.risk_level) == (False, False, "high")


@every_change
async def test_each_is_one_call_and_a_second_time_changes_nothing(kind: ActionKind, which: int):
    """
    After a restart the same action is looked at, found done, and not done again.
    """
    account, case = attacked(), planned()
    once = await carry_out(account, kind, which, case)
    again = await containment(account).carry_out(case, once)

    assert (once.state, again.state) == (PROVEN, PROVEN)
    assert account.calls[CHANGES[kind][which]] == 1


@every_change
async def test_what_does_not_show_is_not_proven(kind: ActionKind, which: int, monkeypatch: pytest.MonkeyPatch):
    """
    A call that went through without effect is a failure, after looking for a minute.
    """
    account, case, sleeps = attacked(), planned(), Sleeps()
    monkeypatch.setattr(account, CHANGES[kind][which], no_effect)
    done = await containment(account, sleeps).carry_out(case, one(case, kind, which))

    assert done.state is FAILED
    assert done.outcome and done.outcome.key == "action.failed.not_proven"
    assert tuple(sleeps) == WAITS_S and sum(sleeps) == 60


@every_change
async def test_a_lost_answer_is_settled_by_looking(kind: ActionKind, which: int, monkeypatch: pytest.MonkeyPatch):
    """
    No answer means that it may have happened; reading tells, and here it did.
    """
    account = attacked()
    made = getattr(account, CHANGES[kind][which])

    async def done_but_silent(*arguments: Any, **more: Any) -> None:
        await made(*arguments, **more)
        raise Unavailable("graph")

    monkeypatch.setattr(account, CHANGES[kind][which], done_but_silent)

    assert (await carry_out(account, kind, which)).state is PROVEN


@every_change
async def test_what_cannot_be_read_before_is_not_changed(kind: ActionKind, which: int):
    """
    Reading comes first; blind changes are not made.
    """
    account = attacked()

    def down(name: str) -> None:
        raise Unavailable("graph")

    account.on_call = down
    done = await carry_out(account, kind, which)

    assert done.state is FAILED and done.outcome and done.outcome.key == "action.failed.unreadable"
    assert account.calls[CHANGES[kind][which]] == 0


@pytest.mark.parametrize(("kind", "which"), [pair for pair in EVERY if pair[0] is not ActionKind.REMOVE_ROLE])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionMissing("graph", permission="X"), "unreadable.permission_named"),
        (Throttled("graph"), "unreadable.throttled"),
        (Rejected("graph", "X", "not now"), "unreadable.rejected"),
    ],
)
async def test_a_refusal_is_a_failure_in_plain_words(kind: ActionKind, which: int, error: ServiceError, text: str):
    """
    Nothing is raised; the outcome says that it was not done and why. Here the account is no admin.
    """
    account = ordinary()
    raising(account, CHANGES[kind][which], error)
    done = await carry_out(account, kind, which)

    assert done.state is FAILED and done.outcome
    assert (done.outcome.key, done.outcome.params["why"].key) == ("action.failed.refused", text)


# --- proving ---------------------------------------------------------------------------------------------------------


async def test_a_change_that_takes_its_time_is_waited_for():
    """
    Microsoft shows it only at the third look: proven, and no further waiting.
    """
    account, sleeps = attacked(), Sleeps()
    account.revoke_sessions = no_effect
    moved = account.user.model_copy(update={"sessions_valid_from": NOW + timedelta(seconds=3)})
    sleeps.then[2] = lambda: account.__dict__.update(user=moved)
    done = await carried_out(account, planned(), ActionKind.REVOKE_SESSIONS, sleeps)

    assert done.state is PROVEN
    assert sleeps == [1.0, 2.0]


async def test_not_being_able_to_look_is_no_proof():
    """
    When the reading fails each time, the action is not proven, and the text says why.
    """
    account = attacked()

    def fail(name: str) -> None:
        if name == "mailbox" and account.calls["clear_forwarding"]:
            raise Unavailable("exchange")

    account.on_call = fail
    done = await carry_out(account, ActionKind.CLEAR_FORWARDING)

    assert done.state is FAILED
    assert done.outcome and done.outcome.params["why"].key == "unreadable.fault"


async def test_a_mailbox_that_is_not_there_is_said_plainly():
    """
    The account has none, or no longer.
    """
    account = attacked(box=NotFound("exchange"))
    done = await carry_out(account, ActionKind.CLEAR_FORWARDING)

    assert done.state is FAILED and done.outcome and done.outcome.key == "action.failed.no_mailbox"


async def test_a_folder_that_is_not_there_is_not_taken_for_a_missing_mailbox():
    """
    Folders get renamed.
    """
    account = attacked()
    raising(account, "folder_permissions", NotFound("exchange"))
    done = await carry_out(account, ActionKind.REMOVE_DELEGATE, 3)

    assert done.state is FAILED and done.outcome and done.outcome.key == "action.failed.no_folder"


# --- what was there before -------------------------------------------------------------------------------------------


async def test_what_was_there_before_is_kept_for_undo():
    """
    Exactly, "left to the organisation" included; and nothing of what cannot be undone.
    """
    account, case = attacked(), planned()
    done = {a.action_id.split(":")[0]: await containment(account).carry_out(case, a) for a in case.containment}
    kept = {name: action.before for name, action in done.items() if action.before is not None}

    assert kept["clear_forwarding"] == DROP.model_dump()
    assert kept["disable_protocols"] == {"imap": True, "pop": True, "smtp_auth_disabled": None}
    assert kept["remove_role"] == {"role_id": "user-administrator", "scope": "/"}
    assert kept["revoke_grant"]["scopes"] == ["Mail.Read", "offline_access"]
    assert set(kept) == {name for name, action in done.items() if action.reversible}


@pytest.mark.parametrize(("kind", "which"), [pair for pair in EVERY if pair[0] not in ADMIN_ONLY[1:4]])
async def test_stopped_right_after_the_change_it_still_knows_what_was_there(kind: ActionKind, which: int):
    """
    The program ended before it could write anything down: the plan says what was there.
    """
    account, case = attacked(), planned()
    before = (await carry_out(account, kind, which, case)).before
    after_restart = (await carry_out(account, kind, which, case)).before

    assert after_restart == before


async def test_a_second_try_keeps_what_was_there_before_the_first():
    """
    The first try may have changed half of it.
    """
    account, case = attacked(), planned()
    tried = one(case, ActionKind.DISABLE_PROTOCOLS).model_copy(update={"before": {"imap": True, "pop": True}})

    assert (await containment(account).carry_out(case, tried)).before == {"imap": True, "pop": True}


async def test_a_folder_entry_is_kept_whole():
    """
    Exchange removes all that a user has in a folder, so all of it is put back.
    """
    account = attacked()
    entry = account.folder_rights["Inbox"][0]
    account.folder_rights["Inbox"] = (entry.model_copy(update={"rights": ("Editor", "FolderOwner")}),)

    assert (await carry_out(account, ActionKind.REMOVE_DELEGATE, 3)).before == {"rights": ["Editor", "FolderOwner"]}


async def test_rights_of_others_stay():
    """
    Only the named user loses them.
    """
    account = attacked()
    megan = account.mailbox_rights[0].model_copy(update={"user": "megan@contoso.com"})
    account.mailbox_rights = (*account.mailbox_rights, megan)

    assert (await carry_out(account, ActionKind.REMOVE_DELEGATE)).state is PROVEN
    assert account.mailbox_rights == (megan,)


# --- rules -----------------------------------------------------------------------------------------------------------


async def test_a_rule_that_is_gone_is_as_good_as_off_and_leaves_nothing_to_undo():
    """
    Somebody has deleted it meanwhile.
    """
    done = await carry_out(attacked(rules=()), ActionKind.DISABLE_RULE)

    assert done.state is PROVEN and done.outcome and done.outcome.key == "action.disable_rule.gone"
    assert done.before is None


async def test_graph_not_knowing_the_rule_does_not_prove_it_off():
    """
    Only Exchange's list counts: the rule is still on there.
    """
    account = attacked()
    raising(account, "disable_message_rule", NotFound("graph"))

    assert (await carry_out(account, ActionKind.DISABLE_RULE)).state is FAILED


async def test_a_rule_that_exchange_could_not_list_is_proven_by_graph():
    """
    The plan was made from what Graph shows, so that is what is read again.
    """
    account = attacked(rules=(), visible_rules=(MailRule(rule_id="r1", name="x"),))
    rule = {"name": "x", "identity": None, "graph_rule_id": "r1", "enabled": True}
    case = planned(COMPROMISED, found("inbox_rules", rule))

    assert (await carry_out(account, ActionKind.DISABLE_RULE, 0, case)).state is PROVEN
    assert account.visible_rules[0].enabled is False


async def test_a_rule_that_nobody_lets_us_change_waits_until_a_person_did():
    """
    Nothing is tried; the rule being off is the proof.
    """
    account = attacked(visible_rules=(MailRule(rule_id="r1", name="x", enabled=True, read_only=True),))
    rule = {"name": "x", "identity": None, "graph_rule_id": None, "enabled": True}
    case = planned(COMPROMISED, found("inbox_rules", rule))
    waiting = await carry_out(account, ActionKind.DISABLE_RULE, 0, case)
    account.visible_rules = ()
    done = await containment(account).carry_out(case, waiting)

    assert (waiting.state, done.state) == (WAITING, PROVEN)
    assert account.calls["disable_message_rule"] + account.calls["disable_inbox_rule"] == 0


async def test_a_hidden_rule_is_turned_off_through_exchange():
    """
    Graph does not know it.
    """
    account = attacked()

    assert (await carry_out(account, ActionKind.DISABLE_RULE, 1)).state is PROVEN
    assert [r.enabled for r in account.rules if r.identity == HIDDEN.identity] == [False]


# --- sessions and password -------------------------------------------------------------------------------------------


async def test_sessions_revoked_before_the_approval_are_revoked_again():
    """
    The attacker may have come back since; only a moment after the approval counts.
    """
    account = attacked()
    account.user = account.user.model_copy(update={"sessions_valid_from": NOW - timedelta(seconds=30)})

    assert (await carry_out(account, ActionKind.REVOKE_SESSIONS)).state is PROVEN
    assert account.calls["revoke_sessions"] == 1


async def test_a_password_that_somebody_else_changed_is_reset_all_the_same():
    """
    A change since the approval may be the attacker's: it is no proof of ours.
    """
    account = attacked()
    account.user = account.user.model_copy(update={"password_changed_at": NOW + timedelta(seconds=20)})
    moved = account.user.model_copy(update={"password_changed_at": NOW + timedelta(seconds=40)})

    async def reset_password(oid: str, password: Any, *, force_change: bool = True) -> None:
        account.passwords.append(password)
        account.user = moved

    account.reset_password = reset_password

    assert (await carry_out(account, ActionKind.RESET_PASSWORD)).state is PROVEN
    assert len(account.passwords) == 1


async def test_the_password_is_strong_different_each_time_and_leaves_no_trace():
    """
    Long, of every kind of character, and in nothing that comes back.
    """
    account = attacked()
    done = await carry_out(account, ActionKind.RESET_PASSWORD)
    await carry_out(account, ActionKind.RESET_PASSWORD)
    first, second = (password.get_secret_value() for password in account.passwords)

    assert len(first) == 32 and first != second
    assert all(
        any(test(c) for c in first) for test in (str.islower, str.isupper, str.isdigit, lambda c: not c.isalnum())
    )
    assert first not in done.model_dump_json() and first not in repr(account.passwords)


# --- admins, synced accounts, licences -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ADMIN_ONLY)
async def test_an_admin_account_waits_for_a_person(kind: ActionKind):
    """
    Graph lets no app do this to an admin. The text says who can, it is not tried again, and nothing is kept for undo.
    """
    account, case = attacked(), planned()
    raising(account, CHANGES[kind][0], PermissionMissing("graph", code="Authorization_RequestDenied"))
    waiting = await carry_out(account, kind, 0, case)
    still_waiting = await containment(account).carry_out(case, waiting)

    assert waiting.state is WAITING and waiting.outcome and waiting.outcome.key == f"action.{kind.value}.by_hand"
    assert still_waiting == waiting
    assert (account.calls[CHANGES[kind][0]], waiting.before) == (1, None)


@pytest.mark.parametrize("kind", ADMIN_ONLY)
async def test_what_a_person_did_for_an_admin_is_proven_by_looking(kind: ActionKind):
    """
    The bot goes on by itself; what it did not do it cannot take back.
    """
    account, case = attacked(), planned()
    waiting = one(case, kind).model_copy(update={"state": WAITING})
    later = {"password_changed_at": NOW + timedelta(minutes=9), "sessions_valid_from": NOW + timedelta(minutes=9)}
    account.user = account.user.model_copy(update={"account_enabled": False, **later})
    account.methods, account.roles = (), ()
    done = await containment(account).carry_out(case, waiting)

    assert done.state is PROVEN
    assert not done.can_be_undone


async def test_once_the_attackers_role_is_gone_the_bot_can_do_it_itself():
    """
    The role that stood in the way was one that the attacker had added, and the plan has removed it.
    """
    account, case = attacked(), planned()
    waiting = one(case, ActionKind.RESET_PASSWORD).model_copy(update={"state": WAITING})
    case = case.with_action(await carry_out(account, ActionKind.REMOVE_ROLE, 0, case))
    done = await containment(account).carry_out(case, waiting)

    assert done.state is PROVEN
    assert len(account.passwords) == 1


async def test_a_refusal_that_outlasts_the_role_goes_on_waiting():
    """
    Microsoft takes a while to notice that the role is gone; a person may still be faster.
    """
    account, case = ordinary(), planned()
    waiting = one(case, ActionKind.RESET_PASSWORD).model_copy(update={"state": WAITING})
    raising(account, "reset_password", PermissionMissing("graph"))

    assert (await containment(account).carry_out(case, waiting)).state is WAITING


async def test_when_roles_cannot_be_read_the_refusal_may_mean_either():
    """
    Unknown is said as unknown: a missing permission, or an admin.
    """
    account = attacked(roles=PermissionMissing("graph"))
    raising(account, "reset_password", PermissionMissing("graph", permission="P"))
    done = await carry_out(account, ActionKind.RESET_PASSWORD)

    assert done.state is FAILED and done.outcome and done.outcome.key == "action.failed.refused_perhaps_admin"


@pytest.mark.parametrize("kind", [ActionKind.RESET_PASSWORD_ON_PREMISES, ActionKind.BLOCK_SIGN_IN])
async def test_a_synced_account_is_changed_on_premises_and_proven_from_here(kind: ActionKind):
    """
    The bot itself changes nothing, and an unreadable moment does not turn waiting into failure.
    """
    account, case = FakeAccount(), planned(subject=synced())
    waiting = await carry_out(account, kind, 0, case)
    user, account.user = account.user, Unavailable("graph")
    unreadable = await containment(account).carry_out(case, waiting)
    changes = {"password_changed_at": NOW + timedelta(minutes=5), "account_enabled": False}
    account.user = user.model_copy(update=changes)
    done = await containment(account).carry_out(case, unreadable)

    assert [waiting.state, unreadable.state, done.state] == [WAITING, WAITING, PROVEN]
    assert (account.passwords, account.calls["set_sign_in"]) == ([], 0)


async def test_a_password_changed_on_premises_before_the_approval_does_not_count():
    """
    It may have been the attacker.
    """
    account = FakeAccount()
    account.user = account.user.model_copy(update={"password_changed_at": NOW - timedelta(minutes=1)})
    case = planned(subject=synced())

    assert (await carry_out(account, ActionKind.RESET_PASSWORD_ON_PREMISES, 0, case)).state is WAITING


@pytest.mark.parametrize("method", ["risky_user", "confirm_compromised"])
async def test_without_a_licence_nobody_is_kept_waiting(method: str):
    """
    Reporting to Identity Protection is left out, with words, and locks nothing.
    """
    account = attacked()
    raising(account, method, LicenceMissing("graph"))
    done = await carry_out(account, ActionKind.CONFIRM_COMPROMISED)

    assert done.state is ActionState.SKIPPED and done.is_settled
    assert done.outcome and done.outcome.params["licence"] == "Microsoft Entra ID P2"


async def test_a_risk_that_is_merely_high_is_not_confirmed():
    """
    Only the state confirmedCompromised is the proof.
    """
    account = attacked(risky=RiskyUser(user_oid="x", risk_level="high", risk_state="atRisk"))
    account.confirm_compromised = no_effect

    assert (await carry_out(account, ActionKind.CONFIRM_COMPROMISED)).state is FAILED


async def test_forwarding_that_somebody_else_cleared_is_done():
    """
    It was looked at first, and there is nothing to do.
    """
    account = attacked(box=Mailbox(upn=UPN))

    assert (await carry_out(account, ActionKind.CLEAR_FORWARDING)).state is PROVEN
    assert account.calls["clear_forwarding"] == 0
