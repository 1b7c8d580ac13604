"""What the containment has changed is put back as it was, proven by reading, and never over somebody else's change."""

from typing import Any

import pytest

from services.cases import Action, ActionKind, ActionState, Case, VerdictLabel
from services.clients.exchange_models import Forwarding
from services.clients.graph_models import DirectoryRole
from services.containment import CATALOGUE, WAITS_S, undo_plan
from services.errors import PermissionMissing, Rejected, Unavailable
from services.prevention.fixes import FIXES
from tests.fakes.account import FakeAccount
from tests.fakes.attacked import (
    DROP,
    EVE,
    OPEN,
    ROLE,
    Sleeps,
    attacked,
    containment,
    found,
    no_effect,
    one,
    planned,
    raising,
)

PROVEN, FAILED, WAITING = ActionState.PROVEN, ActionState.FAILED, ActionState.WAITING_FOR_PERSON
#: What each kind calls to put back what was there; a delegate's by its kind.
PUTS_BACK = {
    ActionKind.BLOCK_SIGN_IN: ("set_sign_in",),
    ActionKind.REMOVE_ROLE: ("add_role",),
    ActionKind.DISABLE_RULE: ("enable_message_rule", "enable_inbox_rule"),
    ActionKind.CLEAR_FORWARDING: ("set_forwarding",),
    ActionKind.REVOKE_GRANT: ("restore_grant",),
    ActionKind.REMOVE_APP_ASSIGNMENT: ("restore_app_assignment",),
    ActionKind.REMOVE_DELEGATE: (
        "add_mailbox_permission",
        "add_send_as",
        "set_send_on_behalf",
        "add_folder_permission",
    ),
    ActionKind.DISABLE_PROTOCOLS: ("set_protocols",),
}
EVERY = [(kind, which) for kind, methods in PUTS_BACK.items() for which in range(len(methods))]
every_undo = pytest.mark.parametrize(("kind", "which"), EVERY)


async def contained(account: FakeAccount, case: Case | None = None) -> Case:
    """The case after everything was carried out; counting of calls begins anew."""
    case = case or planned()
    for action in case.containment:
        case = case.with_action(await containment(account).carry_out(case, action))
    account.calls.clear()
    return case


async def undone(account: FakeAccount, case: Case, kind: ActionKind, which: int = 0) -> Action:
    return await containment(account).undo(case, one(case, kind, which))


def key(action: Action) -> str:
    assert action.undo_outcome is not None
    return action.undo_outcome.key


# --- every kind ------------------------------------------------------------------------------------------------------


def test_everything_reversible_is_tried_here():
    """
    A kind that the catalogue calls reversible has to prove it; fixes do so in a file of their own.
    """
    assert set(PUTS_BACK) == {kind for kind, entry in CATALOGUE.items() if entry.reversible} - FIXES


async def test_all_of_it_taken_back_leaves_the_account_as_it_was():
    """
    The last change first; sessions, password and method stay as they are, since nobody can put those back.
    """
    account, before = attacked(), attacked()
    case = await contained(account)
    done = [await containment(account).undo(case, action) for action in undo_plan(case)]

    assert {action.undo_state for action in done} == {PROVEN}
    assert {action.state for action in done} == {PROVEN}
    for what in ("rules", "visible_rules", "protocols", "mailbox_rights", "folder_rights"):
        assert getattr(account, what) == getattr(before, what)
    assert (account.box.forwarding, set(account.box.send_on_behalf)) == (DROP, set(before.box.send_on_behalf))
    assert (account.user.account_enabled, len(account.roles), len(account.assignments)) == (True, 1, 1)
    assert account.grants[0].scopes == before.grants[0].scopes


async def test_the_order_is_that_of_the_plan_turned_round():
    """
    What was done last is taken back first, and only what can be.
    """
    case = await contained(attacked())
    kinds = [action.kind for action in undo_plan(case)]

    assert kinds[0] is ActionKind.DISABLE_PROTOCOLS and kinds[-1] is ActionKind.BLOCK_SIGN_IN
    assert set(kinds) == set(PUTS_BACK)


@every_undo
async def test_a_second_time_changes_nothing(kind: ActionKind, which: int):
    """
    It is known, or looked at and found, that all is as it was.
    """
    account = attacked()
    case = await contained(account)
    once = await undone(account, case, kind, which)
    forgotten = await undone(account, case, kind, which)

    assert await containment(account).undo(case, once) == once
    assert (once.undo_state, forgotten.undo_state) == (PROVEN, PROVEN)
    assert account.calls[PUTS_BACK[kind][which]] == 1


@every_undo
async def test_what_does_not_show_is_not_proven(kind: ActionKind, which: int, monkeypatch: pytest.MonkeyPatch):
    """
    After a minute it is a failure with a plain text.
    """
    account, sleeps = attacked(), Sleeps()
    case = await contained(account)
    monkeypatch.setattr(account, PUTS_BACK[kind][which], no_effect)
    done = await containment(account, sleeps).undo(case, one(case, kind, which))

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.not_proven")
    assert tuple(sleeps) == WAITS_S


@every_undo
async def test_a_lost_answer_is_settled_by_looking(kind: ActionKind, which: int, monkeypatch: pytest.MonkeyPatch):
    """
    It had happened.
    """
    account = attacked()
    case = await contained(account)
    made = getattr(account, PUTS_BACK[kind][which])

    async def done_but_silent(*arguments: Any, **more: Any) -> None:
        await made(*arguments, **more)
        raise Unavailable("graph")

    monkeypatch.setattr(account, PUTS_BACK[kind][which], done_but_silent)

    assert (await undone(account, case, kind, which)).undo_state is PROVEN


@every_undo
async def test_a_refusal_is_a_failure_in_plain_words(kind: ActionKind, which: int):
    """
    Nothing is raised, and the containment itself stays proven.
    """
    account = attacked()
    case = await contained(account)
    raising(account, PUTS_BACK[kind][which], Rejected("graph", "X", "not now"))
    done = await undone(account, case, kind, which)

    assert (done.undo_state, key(done), done.state) == (FAILED, "undo.failed.refused", PROVEN)


@every_undo
async def test_what_cannot_be_read_is_not_written(kind: ActionKind, which: int):
    """
    Looking comes first.
    """
    account = attacked()
    case = await contained(account)

    def down(name: str) -> None:
        raise Unavailable("graph")

    account.on_call = down
    done = await undone(account, case, kind, which)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.unreadable")
    assert account.calls[PUTS_BACK[kind][which]] == 0


# --- somebody has changed it since -----------------------------------------------------------------------------------


async def test_forwarding_that_the_user_has_set_since_stays():
    """
    What is there now is neither what we left nor what was there before.
    """
    account = attacked()
    case = await contained(account)
    own = Forwarding(smtp_address="jane@home.example")
    account.box = account.box.model_copy(update={"forwarding": own})
    done = await undone(account, case, ActionKind.CLEAR_FORWARDING)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.changed_since")
    assert account.box.forwarding == own


async def test_a_rule_that_was_deleted_since_cannot_be_put_back():
    """
    It says so rather than claim that it was changed.
    """
    account = attacked()
    case = await contained(account)
    account.rules = ()
    done = await undone(account, case, ActionKind.DISABLE_RULE)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.gone")


async def test_a_consent_that_was_given_anew_stays_as_it_is():
    """
    The user has allowed the app something else since.
    """
    account = attacked()
    case = await contained(account)
    anew = attacked().grants[0].model_copy(update={"grant_id": "other", "scopes": ("User.Read",)})
    account.grants = (anew,)
    done = await undone(account, case, ActionKind.REVOKE_GRANT)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.changed_since")
    assert account.grants == (anew,)


async def test_a_consent_to_another_resource_is_none_of_its_business():
    """
    The same app may do something else elsewhere.
    """
    account = attacked()
    case = await contained(account)
    elsewhere = attacked().grants[0].model_copy(update={"grant_id": "other", "resource_sp_oid": "sharepoint"})
    account.grants = (elsewhere,)

    assert (await undone(account, case, ActionKind.REVOKE_GRANT)).undo_state is PROVEN
    assert len(account.grants) == 2


async def test_protocols_that_an_admin_has_set_since_stay():
    """
    SMTP AUTH is explicitly allowed now, which it was not before.
    """
    account = attacked()
    case = await contained(account)
    account.protocols = OPEN.model_copy(update={"smtp_auth_disabled": False})
    done = await undone(account, case, ActionKind.DISABLE_PROTOCOLS)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.changed_since")


async def test_rights_of_which_some_are_back_are_left_to_people():
    """
    Somebody has given a part of them again, and meant it.
    """
    account = attacked()
    entry = account.folder_rights["Inbox"][0]
    account.folder_rights["Inbox"] = (entry.model_copy(update={"rights": ("Editor", "FolderOwner")}),)
    case = await contained(account)
    account.folder_rights["Inbox"] = (entry,)
    done = await undone(account, case, ActionKind.REMOVE_DELEGATE, 3)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.changed_since")


async def test_others_who_may_send_on_behalf_since_are_kept():
    """
    The list is written as a whole, from what it is now.
    """
    account = attacked()
    case = await contained(account)
    account.box = account.box.model_copy(update={"send_on_behalf": ("new@contoso.com",)})

    assert (await undone(account, case, ActionKind.REMOVE_DELEGATE, 2)).undo_state is PROVEN
    assert account.box.send_on_behalf == ("new@contoso.com", EVE)


async def test_a_failed_action_that_did_half_of_it_can_be_taken_back():
    """
    Only IMAP was switched off; each value is one of ours or of before.
    """
    account, case = attacked(), planned()
    account.set_protocols, put_back = no_effect, account.set_protocols
    failed = await containment(account).carry_out(case, one(case, ActionKind.DISABLE_PROTOCOLS))
    account.set_protocols = put_back
    account.protocols = OPEN.model_copy(update={"imap": False})
    done = await containment(account).undo(case, failed)

    assert (failed.state, done.undo_state) == (FAILED, PROVEN)
    assert account.protocols == OPEN


# --- what cannot be undone -------------------------------------------------------------------------------------------


async def test_what_cannot_be_undone_is_not_tried():
    """
    A password is not put back.
    """
    account = attacked()
    case = await contained(account)
    done = await undone(account, case, ActionKind.RESET_PASSWORD)

    assert (done.undo_state, key(done)) == (FAILED, "undo.failed.impossible")
    assert not account.calls


@pytest.mark.parametrize("kind", [ActionKind.BLOCK_SIGN_IN, ActionKind.REMOVE_ROLE])
async def test_an_admin_is_left_to_a_person(kind: ActionKind):
    """
    The account holds another role meanwhile, and Graph refuses; trying again is safe.
    """
    account = attacked()
    case = await contained(account)
    account.roles = (DirectoryRole.model_validate({**ROLE, "assignment_id": "b", "role_id": "global"}),)
    raising(account, PUTS_BACK[kind][0], PermissionMissing("graph"))
    waiting = await undone(account, case, kind)
    account.on_call = lambda name: None
    done = await containment(account).undo(case, waiting)

    assert (waiting.undo_state, key(waiting)) == (WAITING, f"undo.{kind.value}.by_hand")
    assert done.undo_state is PROVEN


async def test_taken_back_it_is_no_longer_offered():
    """
    The plan of what can be undone grows shorter.
    """
    account = attacked()
    case = await contained(account, planned(VerdictLabel.COMPROMISED, found("forwarding", DROP.model_dump())))
    done = await undone(account, case, ActionKind.CLEAR_FORWARDING)

    assert [action.kind for action in undo_plan(case)] == [ActionKind.CLEAR_FORWARDING, ActionKind.BLOCK_SIGN_IN]
    assert [action.kind for action in undo_plan(case.with_action(done))] == [ActionKind.BLOCK_SIGN_IN]
