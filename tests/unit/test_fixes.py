"""A fix changes exactly what was approved, is proven by reading again, and is put back as it was."""

from typing import Any

import pytest

from services.cases import Action, ActionKind, ActionState, Case, CaseKind, CaseState
from services.clients.exchange_models import CasMailbox, Mailbox, OrganizationConfig, OutboundRule
from services.containment import CATALOGUE, WAITS_S
from services.errors import BadInput, BrokenAnswer, NothingToFix, PermissionMissing, Rejected, Unavailable
from services.prevention.fixes import FIXES, proposed
from tests.fakes.account import UPN, FakeAccount, blocked, outbound
from tests.fakes.attacked import Sleeps, containment, no_effect, raising

PROVEN, FAILED = ActionState.PROVEN, ActionState.FAILED
FORWARDING, AUDIT, SMTP = ActionKind.BLOCK_AUTO_FORWARDING, ActionKind.MAILBOX_AUDIT_ON, ActionKind.SMTP_AUTH_OFF
#: What each fix reads, and what it calls to make its change and to take it back.
CALLS = {
    FORWARDING: ("outbound_policies", "set_auto_forwarding"),
    AUDIT: ("mailbox", "set_mailbox_audit"),
    SMTP: ("cas_mailbox", "set_protocols"),
}
every_fix = pytest.mark.parametrize("kind", list(CALLS))


def lax(**values: Any) -> FakeAccount:
    """Everything that can be fixed is open."""
    return FakeAccount(
        **{
            "outbound": (outbound(auto_forwarding_mode="Automatic"),),
            "box": Mailbox(upn=UPN, audit_enabled=False),
            "organisation": OrganizationConfig(name="contoso.onmicrosoft.com", audit_disabled=False),
            "protocols": CasMailbox(upn=UPN, pop=True, imap=True, smtp_auth_disabled=None),
        }
        | values
    )


def tenant_case() -> Case:
    return blocked(kind=CaseKind.TENANT, state=CaseState.TRACKING, subject=None, block=None)


async def fix(account: FakeAccount, kind: ActionKind, case: Case | None = None) -> Action:
    """The fix as it is proposed for the case, with the counting of calls begun anew."""
    action = await proposed(kind, case or blocked(), account, account)
    account.calls.clear()
    return action


async def done(account: FakeAccount, action: Action, sleeps: Sleeps | None = None) -> Action:
    return await containment(account, sleeps).carry_out(blocked(fixes=(action,)), action)


async def undone(account: FakeAccount, action: Action) -> Action:
    return await containment(account).undo(blocked(fixes=(action,)), action)


def key(action: Action) -> str:
    told = action.undo_outcome or action.outcome
    assert told is not None
    return told.key


# --- every fix -------------------------------------------------------------------------------------------------------


def test_every_fix_is_tried_here():
    """
    Each has to prove what its row in the catalogue says.
    """
    assert set(CALLS) == FIXES


@every_fix
async def test_it_is_one_call_and_a_second_time_changes_nothing(kind: ActionKind):
    """
    After a restart it is looked at and found done; what was there before the first try is kept.
    """
    account = lax()
    action = await fix(account, kind)
    once = await done(account, action)
    again = await done(account, action)

    assert (once.state, again.state, again.before) == (PROVEN, PROVEN, once.before)
    assert account.calls[CALLS[kind][1]] == 1


@every_fix
async def test_it_is_put_back_exactly_and_once(kind: ActionKind):
    """
    Undone, everything is as it was, and a second undo finds nothing to do.
    """
    account, before = lax(), lax()
    once = await done(account, await fix(account, kind))
    back = await undone(account, once)
    calls = account.calls[CALLS[kind][1]]

    assert (back.undo_state, (await undone(account, once)).undo_state) == (PROVEN, PROVEN)
    assert account.calls[CALLS[kind][1]] == calls
    assert (account.outbound, account.box, account.protocols) == (before.outbound, before.box, before.protocols)


@every_fix
async def test_what_does_not_show_is_not_proven(kind: ActionKind, monkeypatch: pytest.MonkeyPatch):
    """
    A call that went through without effect is a failure, after looking for a minute.
    """
    account, sleeps = lax(), Sleeps()
    action = await fix(account, kind)
    monkeypatch.setattr(account, CALLS[kind][1], no_effect)
    failed = await done(account, action, sleeps)

    assert (failed.state, key(failed), tuple(sleeps)) == (FAILED, "action.failed.not_proven", WAITS_S)


@every_fix
async def test_a_lost_answer_is_settled_by_looking(kind: ActionKind, monkeypatch: pytest.MonkeyPatch):
    """
    It had happened, which reading shows.
    """
    account = lax()
    action, made = await fix(account, kind), getattr(account, CALLS[kind][1])

    async def done_but_silent(*arguments: Any, **more: Any) -> None:
        await made(*arguments, **more)
        raise Unavailable("exchange")

    monkeypatch.setattr(account, CALLS[kind][1], done_but_silent)

    assert (await done(account, action)).state is PROVEN


@every_fix
async def test_what_cannot_be_read_is_not_changed(kind: ActionKind):
    """
    Neither proposed nor made nor taken back.
    """
    account = lax()
    action = await fix(account, kind)
    raising(account, CALLS[kind][0], PermissionMissing("exchange"))
    failed = await done(account, action)

    with pytest.raises(PermissionMissing):
        await proposed(kind, blocked(), account, account)
    assert (failed.state, key(failed)) == (FAILED, "action.failed.unreadable")
    assert account.calls[CALLS[kind][1]] == 0


@every_fix
async def test_a_refusal_is_a_failure_in_plain_words(kind: ActionKind):
    """
    Such as for an organisation that was never customised: Exchange says what to run first.
    """
    account = lax()
    action = await fix(account, kind)
    raising(account, CALLS[kind][1], Rejected("exchange", "X", "First run Enable-OrganizationCustomization."))
    failed = await done(account, action)

    assert (failed.state, key(failed)) == (FAILED, "action.failed.refused")


@every_fix
async def test_what_is_so_already_is_not_proposed(kind: ActionKind):
    """
    There is nothing to approve.
    """
    account = lax()
    await done(account, await fix(account, kind))

    with pytest.raises(NothingToFix):
        await proposed(kind, blocked(), account, account)


@every_fix
async def test_the_same_fix_has_the_same_id_each_time(kind: ActionKind):
    """
    Asked for twice, it is one action; its row says whether it can be undone and what it costs.
    """
    action, again = await fix(lax(), kind), await fix(lax(), kind)

    assert (action, action.reversible, action.impact) == (again, True, CATALOGUE[kind].impact)
    assert action.action_id.startswith(f"{kind.value}:")


@pytest.mark.parametrize("kind", [ActionKind.UNBLOCK, ActionKind.RESET_PASSWORD])
async def test_other_actions_are_no_fixes(kind: ActionKind):
    """
    They have their own ways to an approval.
    """
    with pytest.raises(BadInput):
        await proposed(kind, blocked(), lax(), lax())


# --- automatic forwarding --------------------------------------------------------------------------------------------


def three_policies() -> FakeAccount:
    """The default one, one for Jane and one for Megan; none of them forbids forwarding."""
    names = {"Default": "Automatic", "Jane": "On", "Megan": "On"}
    policies = [
        outbound(name=name, is_default=name == "Default", auto_forwarding_mode=mode, enabled=True)
        for name, mode in names.items()
    ]
    rules = [
        OutboundRule(policy=name, state="Enabled", priority=place, senders=(f"{name.lower()}@contoso.com",))
        for place, name in enumerate(("Jane", "Megan"))
    ]
    return lax(outbound=tuple(policies), outbound_rule_list=tuple(rules))


async def test_for_an_account_the_policy_that_applies_to_it_is_changed():
    """
    The first rule that fits decides; the default policy and those of others stay.
    """
    account = three_policies()
    action = await fix(account, FORWARDING)
    await done(account, action)

    assert action.target == {"policies": [{"identity": "Jane", "name": "Jane", "was": "On"}]}
    assert [policy.auto_forwarding_mode for policy in account.outbound] == ["Automatic", "Off", "On"]


async def test_for_the_tenant_every_policy_in_force_is_changed_and_put_back_to_its_own():
    """
    Automatic and On are different things, and each comes back.
    """
    account = three_policies()
    once = await done(account, await fix(account, FORWARDING, tenant_case()))
    off = {policy.auto_forwarding_mode for policy in account.outbound}
    back = await undone(account, once)

    assert (once.target_name, once.before) == (
        "Default, Jane, Megan",
        {"modes": {"Default": "Automatic", "Jane": "On", "Megan": "On"}},
    )
    assert (off, back.undo_state, account.outbound) == ({"Off"}, PROVEN, three_policies().outbound)


async def test_policies_that_are_off_already_or_not_in_force_are_left_alone():
    """
    Off is what is wanted; a policy that is disabled is for nobody.
    """
    account = lax(
        outbound=(
            outbound(auto_forwarding_mode="Off"),
            outbound(name="Old", is_default=False, enabled=False, auto_forwarding_mode="On"),
        )
    )

    with pytest.raises(NothingToFix):
        await proposed(FORWARDING, tenant_case(), account, account)


@pytest.mark.parametrize("policies", [(), (outbound(auto_forwarding_mode=None),)])
async def test_policies_of_which_nothing_is_known_are_neither_off_nor_changed(policies: Any):
    """
    No policy at all cannot be, and a mode that Exchange does not say could not be put back.
    """
    with pytest.raises(BrokenAnswer):
        await proposed(FORWARDING, tenant_case(), lax(), lax(outbound=policies))


async def test_an_empty_list_later_is_no_proof_that_forwarding_is_off():
    """
    The default policy cannot be deleted, so there is always one.
    """
    account = lax()
    action = await fix(account, FORWARDING)
    account.outbound = ()

    assert (await done(account, action)).state is FAILED


async def test_a_policy_that_somebody_has_changed_since_is_not_overwritten():
    """
    An admin has allowed forwarding again: that is theirs to decide.
    """
    account = lax(outbound=(outbound(auto_forwarding_mode="Automatic"),))
    once = await done(account, await fix(account, FORWARDING))
    account.outbound = (outbound(auto_forwarding_mode="On"),)
    back = await undone(account, once)

    assert (back.undo_state, key(back)) == (FAILED, "undo.failed.changed_since")
    assert account.outbound[0].auto_forwarding_mode == "On"


async def test_a_policy_that_was_deleted_since_cannot_be_put_back():
    """
    The others are.
    """
    account = three_policies()
    once = await done(account, await fix(account, FORWARDING))
    account.outbound = tuple(policy for policy in account.outbound if policy.name != "Jane")

    assert key(await undone(account, once)) == "undo.failed.gone"


async def test_the_warning_names_who_forwards_now():
    """
    As far as that is a setting of mailboxes; the approver reads it before agreeing.
    """
    account = lax(forwarding=(Mailbox(upn="viggo@contoso.com"), Mailbox(primary_smtp_address="eva@contoso.com")))
    warning = (await fix(account, FORWARDING)).warning

    assert warning is not None and warning.key == "action.block_auto_forwarding.forwarding_now"
    assert warning.params == {"n": 2, "names": ["viggo@contoso.com", "eva@contoso.com"]}


@pytest.mark.parametrize("forwarding", [(), Unavailable("exchange")])
async def test_without_names_the_warning_speaks_of_everybody(forwarding: Any):
    """
    Rules may forward all the same, so nobody is told that it is safe.
    """
    warning = (await fix(lax(forwarding=forwarding), FORWARDING)).warning

    assert warning is not None and warning.key == "action.block_auto_forwarding.warning"


# --- mailbox auditing ------------------------------------------------------------------------------------------------


async def test_an_organisation_without_auditing_is_switched_on_with_the_mailbox():
    """
    Exchange would ignore the mailbox alone, and the approver is told that it is for everybody.
    """
    off = OrganizationConfig(name="contoso.onmicrosoft.com", audit_disabled=True)
    account = lax(organisation=off)
    action = await fix(account, AUDIT)
    once = await done(account, action)
    on = (account.organisation.audit_disabled, account.box.audit_enabled)
    back = await undone(account, once)

    assert action.warning is not None and action.warning.key == "action.mailbox_audit_on.organisation"
    assert (on, once.before) == ((False, True), {"organisation": False, "mailbox": False})
    assert (back.undo_state, account.organisation, account.box.audit_enabled) == (PROVEN, off, False)


async def test_for_the_tenant_no_mailbox_is_touched():
    """
    The setting of the organisation is for all of them.
    """
    account = lax(organisation=OrganizationConfig(name="contoso.onmicrosoft.com", audit_disabled=True))
    action = await fix(account, AUDIT, tenant_case())
    once = await done(account, action)

    assert (once.state, action.target, action.target_name) == (
        PROVEN,
        {"was": {"organisation": False}},
        "contoso.onmicrosoft.com",
    )
    assert (account.calls["mailbox"], account.calls["set_mailbox_audit"]) == (0, 0)


@pytest.mark.parametrize("values", [{"organisation": OrganizationConfig()}, {"box": Mailbox(upn=UPN)}])
async def test_auditing_that_exchange_does_not_tell_of_is_neither_on_nor_off(values: Any):
    """
    Unknown is no reason to change anything.
    """
    with pytest.raises(BrokenAnswer):
        await proposed(AUDIT, blocked(), lax(), lax(**values))


# --- SMTP AUTH -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("was", [None, False])
async def test_smtp_auth_goes_back_to_what_it_was_exactly(was: bool | None):
    """
    Left to the organisation is not the same as allowed; POP and IMAP stay as they are.
    """
    account = lax(protocols=CasMailbox(upn=UPN, pop=True, imap=True, smtp_auth_disabled=was))
    once = await done(account, await fix(account, SMTP))
    off = account.protocols
    await undone(account, once)

    assert (off.smtp_auth_disabled, off.pop, off.imap) == (True, True, True)
    assert account.protocols.smtp_auth_disabled is was


async def test_smtp_auth_that_somebody_has_set_since_stays():
    """
    It was left to the organisation, and is explicitly allowed by now.
    """
    account = lax()
    once = await done(account, await fix(account, SMTP))
    account.protocols = account.protocols.model_copy(update={"smtp_auth_disabled": False})

    assert key(await undone(account, once)) == "undo.failed.changed_since"


async def test_without_an_account_there_is_no_mailbox_to_change():
    """
    The tenant's case has none.
    """
    with pytest.raises(BadInput):
        await proposed(SMTP, tenant_case(), lax(), lax())
