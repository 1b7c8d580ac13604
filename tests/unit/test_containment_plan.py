"""The plan follows from the evidence, and the catalogue says what is true of each action."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cards.language import languages, messages
from services.cases import LIFTING, ActionKind, Block, BlockKind, SignalState, Subject, VerdictLabel, plan_hash
from services.containment import CATALOGUE, actions, propose
from services.containment.catalogue import parse_catalogue
from services.containment.hands import _PREPARE, _UNDO
from services.permissions import EXCHANGE_ROLE, GRAPH_PERMISSIONS
from services.prevention.fixes import FIXES
from tests.fakes.account import UPN, FakeAccount, blocked
from tests.fakes.attacked import OPEN, ROLE, TARGETS, found, one, planned

COMPROMISED, SUSPECTED = VerdictLabel.COMPROMISED, VerdictLabel.SUSPECTED
ROW = '[{kind}]\nimpact = "low"\nreversible = false\npermission = "x"\nsource = "y"\n'


def subject(**changes: Any) -> Subject:
    return FakeAccount().user.subject().model_copy(update=changes)


# --- the plan --------------------------------------------------------------------------------------------------------


def test_the_attacker_goes_first_and_the_unblock_comes_last():
    """
    The whole plan, in the order in which it is carried out.
    """
    kinds = [action.kind for action in planned().actions]

    assert kinds == sorted(kinds, key=list(ActionKind).index)
    elsewhere = FIXES | {ActionKind.RESET_PASSWORD_ON_PREMISES, ActionKind.UNBLOCK_CONNECTOR}
    assert set(ActionKind) - set(kinds) == elsewhere
    assert kinds[-1] is ActionKind.UNBLOCK


def test_each_target_goes_by_the_name_that_people_know():
    """
    Rules, methods, roles, apps and delegates are told apart on a card.
    """
    names = [a.target_name for a in planned().actions if ":" in a.action_id]

    assert names == [
        "User Administrator",
        "+31 6 11112222",
        ".",
        "sync",
        "Mail Merge",
        "Sync Tool",
        "eve@contoso.com (FullAccess)",
        "eve@contoso.com (SendAs)",
        "eve@contoso.com (SendOnBehalf)",
        "eve@contoso.com (Inbox: Editor)",
    ]


def test_a_suspected_account_is_secured_and_not_reported_as_compromised():
    """
    Microsoft is told only what is certain.
    """
    kinds = {action.kind for action in planned(SUSPECTED).actions}

    assert {ActionKind.REVOKE_SESSIONS, ActionKind.RESET_PASSWORD, ActionKind.DISABLE_RULE} <= kinds
    assert ActionKind.CONFIRM_COMPROMISED not in kinds


@pytest.mark.parametrize("state", [SignalState.UNKNOWN, SignalState.PENDING])
def test_without_identity_protection_nothing_is_reported_there(state: SignalState):
    """
    A risk state that could not be read means that it is not licensed, or not now.
    """
    case = planned(COMPROMISED, found("risk_state", state=state))

    assert ActionKind.CONFIRM_COMPROMISED not in {action.kind for action in case.actions}


def test_without_evidence_only_the_unblock_is_proposed():
    """
    Nobody's password is reset because they sent a newsletter.
    """
    case = planned(VerdictLabel.NO_EVIDENCE)

    assert [action.kind for action in case.actions] == [ActionKind.UNBLOCK]
    assert case.actions[0].target == {"sender_address": UPN}


def test_without_a_verdict_the_account_is_secured_first():
    """
    Not knowing is no reason to unblock right away.
    """
    assert ActionKind.REVOKE_SESSIONS in {action.kind for action in propose(blocked())}


@pytest.mark.parametrize("kind", [BlockKind.UNTIL_TOMORROW, BlockKind.NONE, BlockKind.UNKNOWN])
def test_only_a_restricted_account_is_to_be_unblocked(kind: BlockKind):
    """
    There is no entry to remove otherwise.
    """
    case = blocked(block=Block(kind=kind, sender_address=UPN))

    assert ActionKind.UNBLOCK not in {action.kind for action in propose(case)}


def test_what_throws_an_attacker_out_cannot_be_left_out():
    """
    Sessions, password, forwarding and the unblock are in; the rest is the approver's choice.
    """
    required = {action.kind for action in planned().actions if not action.optional}

    assert required == {
        ActionKind.REVOKE_SESSIONS,
        ActionKind.RESET_PASSWORD,
        ActionKind.CLEAR_FORWARDING,
        ActionKind.UNBLOCK,
    }


def test_sign_in_is_blocked_only_when_the_approver_says_so():
    """
    It keeps the owner out as well; an account that is blocked already has nothing to choose.
    """
    off = planned(subject=subject(account_enabled=False))

    assert one(planned(), ActionKind.BLOCK_SIGN_IN).ticked is False
    assert ActionKind.BLOCK_SIGN_IN not in {action.kind for action in off.actions}


def test_nobody_needs_to_sign_in_to_a_shared_mailbox():
    """
    So blocking sign-in is in by default there, and the card says why.
    """
    action = one(planned(subject=subject(mailbox_type="SharedMailbox")), ActionKind.BLOCK_SIGN_IN)

    assert (action.ticked, action.optional) == (True, True)
    assert action.warning and action.warning.key == "action.block_sign_in.shared"


def test_a_synced_account_is_reset_on_premises_by_a_person():
    """
    Entra does not own its password, so the bot does not try; the same goes for blocking its sign-in.
    """
    case = planned(subject=subject(is_synced=True))
    block, reset = one(case, ActionKind.BLOCK_SIGN_IN), one(case, ActionKind.RESET_PASSWORD_ON_PREMISES)

    assert ActionKind.RESET_PASSWORD not in {action.kind for action in case.actions}
    assert reset.warning is not None
    assert block.warning and block.warning.key == "action.block_sign_in.synced"


def test_a_rule_that_only_exchange_can_change_carries_the_warning():
    """
    The approver sees what else the change does, where it does it.
    """
    visible, hidden = (a for a in planned().actions if a.kind is ActionKind.DISABLE_RULE)

    assert (visible.target["through"], visible.warning) == ("graph", None)
    assert hidden.target["through"] == "exchange"
    assert hidden.warning and hidden.warning.key == "action.disable_rule.client_rules"


def test_a_rule_that_nobody_lets_us_change_is_left_to_a_person_and_not_forgotten():
    """
    Graph calls it read-only and Exchange could not be read.
    """
    rule = {"name": "x", "identity": None, "graph_rule_id": None, "enabled": True}
    action = one(planned(COMPROMISED, found("inbox_rules", rule)), ActionKind.DISABLE_RULE)

    assert action.target["through"] == "person"
    assert action.warning and action.warning.key == "action.disable_rule.by_hand"


def test_a_rule_that_is_off_is_left_alone():
    """
    There is nothing to turn off.
    """
    off = {**TARGETS["inbox_rules"][0], "enabled": False}

    assert ActionKind.DISABLE_RULE not in {a.kind for a in planned(COMPROMISED, found("inbox_rules", off)).actions}


def test_only_a_role_that_was_assigned_lately_is_in_by_default():
    """
    A role that was always held is offered, whatever the finding came to.
    """
    held = found("admin_roles", {**ROLE, "recent": False}, state=SignalState.UNKNOWN)

    assert one(planned(), ActionKind.REMOVE_ROLE).ticked is True
    assert one(planned(COMPROMISED, held), ActionKind.REMOVE_ROLE).ticked is False


def test_a_method_that_may_be_the_users_own_is_for_the_approver_to_choose():
    """
    It cannot be put back.
    """
    perhaps = found("auth_methods", {**TARGETS["auth_methods"][0], "certain": False})
    action = one(planned(COMPROMISED, perhaps), ActionKind.REMOVE_AUTH_METHOD)

    assert action.ticked is False
    assert action.warning and action.warning.key == "action.remove_auth_method.uncertain"


def test_open_protocols_are_offered_and_used_ones_are_in():
    """
    Being on is no evidence; when all three are off there is nothing to offer.
    """
    is_on = OPEN.model_dump()
    off = {**is_on, "pop": False, "imap": False, "smtp_auth_disabled": True}
    unused = planned(COMPROMISED, found("legacy_protocols", is_on, state=SignalState.CLEAR))
    closed = planned(COMPROMISED, found("legacy_protocols", off, state=SignalState.CLEAR))

    assert one(planned(), ActionKind.DISABLE_PROTOCOLS).ticked is True
    assert one(unused, ActionKind.DISABLE_PROTOCOLS).ticked is False
    assert ActionKind.DISABLE_PROTOCOLS not in {action.kind for action in closed.actions}


def test_without_a_mailbox_nothing_is_proposed_for_one():
    """
    Signals of a mailbox that is not there are not applicable, and nothing follows from them.
    """
    nothing = [found(s, state=SignalState.UNKNOWN) for s in ("inbox_rules", "forwarding", "delegates")]
    kinds = {action.kind for action in planned(COMPROMISED, *nothing).actions}

    assert kinds == {
        ActionKind.BLOCK_SIGN_IN,
        ActionKind.REVOKE_SESSIONS,
        ActionKind.RESET_PASSWORD,
        ActionKind.UNBLOCK,
    }


# --- ids and the hash ------------------------------------------------------------------------------------------------


def test_the_same_evidence_gives_the_same_plan():
    """
    What was approved can be compared with what would run.
    """
    assert plan_hash(planned().actions) == plan_hash(planned().actions)


def test_a_late_finding_leaves_the_ids_of_the_others_alone():
    """
    A rule that turns up in front of another does not take its place.
    """
    late = {"name": "a", "identity": "x\\9", "graph_rule_id": None, "enabled": True}
    before = {action.action_id for action in planned().actions}
    case = planned().with_finding(found("inbox_rules", late, *TARGETS["inbox_rules"]))
    after = {action.action_id for action in propose(case)}

    assert before < after and len(after - before) == 1


def test_what_is_found_twice_is_changed_once():
    """
    Exchange may list a delegate in two entries.
    """
    delegate = TARGETS["delegates"][0]
    case = planned(COMPROMISED, found("delegates", delegate, delegate))

    assert [a.kind for a in case.actions].count(ActionKind.REMOVE_DELEGATE) == 1


# --- the catalogue ---------------------------------------------------------------------------------------------------


def test_every_kind_has_a_row_and_a_file():
    """
    The unblocks have their own module; everything that can be undone says how.
    """
    files = {path.stem for path in Path(actions.__file__).parent.glob("*.py")} - {"__init__"}

    assert files == {kind.value for kind in ActionKind if kind not in LIFTING} == set(_PREPARE)
    assert set(_UNDO) == {kind for kind, entry in CATALOGUE.items() if entry.reversible}


def test_what_an_action_needs_is_what_doctor_checks_and_the_readme_tells():
    """
    A permission of Graph by its name, a cmdlet by its noun.
    """
    needs = [need for entry in CATALOGUE.values() for need in entry.permission.split(", ")]
    graph = {permission.name for permission in GRAPH_PERMISSIONS}
    cmdlets = [need for need in needs if need not in graph]

    assert all("." not in cmdlet and cmdlet.split("-")[1] in EXCHANGE_ROLE.what_for for cmdlet in cmdlets)


@pytest.mark.parametrize(
    "text",
    [
        ROW.format(kind="reset_pasword"),
        ROW.format(kind="unblock") + "ticked = false\n",
        ROW.format(kind="unblock") + "wighted = 1\n",
        ROW.format(kind="unblock").replace("low", "huge"),
        ROW.format(kind="unblock").replace('"y"', '""'),
    ],
)
def test_a_slip_in_the_catalogue_is_refused(text: str):
    """
    Misspelled kinds and names, impossible values, missing sources.
    """
    with pytest.raises(ValidationError):
        parse_catalogue(text)


def test_a_kind_without_a_row_is_refused():
    """
    Nothing is carried out of which nobody has said what it means.
    """
    with pytest.raises(ValueError, match="revoke_sessions"):
        parse_catalogue(ROW.format(kind="unblock"))


def _keys() -> set[str]:
    """Keys that are put together from a kind."""
    keys = {f"action.{kind.value}.{what}" for kind in ActionKind for what in ("label", "effect")}
    keys |= {f"action.{kind.value}.proven" for kind in ActionKind}
    for kind, entry in CATALOGUE.items():
        keys |= {entry.warning} if entry.warning else set()
        keys |= {f"action.{kind.value}.by_hand"} if entry.admins == "person" else set()
        keys |= {f"undo.{kind.value}.{what}" for what in ("label", "proven")} if entry.reversible else set()
        keys |= {f"undo.{kind.value}.by_hand"} if entry.reversible and entry.admins == "person" else set()
    return keys


@pytest.mark.parametrize("language", languages())
def test_every_kind_has_its_words(language: str):
    """
    In each language, for the card, the proof, the undo and the person who has to act.
    """
    assert _keys() - set(messages(language)) == set()
