"""Delegates, assigned apps, devices, protocols and admin roles: who and what else may get in."""

from datetime import timedelta
from typing import Any

import pytest

from services.cases import Finding, SignalState, UnknownReason
from services.clients.exchange_models import (
    CasMailbox,
    FolderPermission,
    Mailbox,
    MailboxPermission,
    MobileDevice,
    SendAsPermission,
)
from services.clients.graph_models import (
    AppAssignment,
    AuditChange,
    AuditEvent,
    AuditTarget,
    DirectoryRole,
    RegisteredDevice,
)
from services.errors import LicenceMissing, NotFound, PermissionMissing, Unavailable
from services.investigation.apps import known_apps
from services.investigation.table import table
from tests.fakes.account import NOW, OID, UPN, FakeAccount, app, habits, look, record, sign_in

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
OUTSIDER = "drop@evil.example"
GONE = {OUTSIDER: NotFound("graph")}


def points(signal_id: str, *kinds: str) -> int:
    return table().signals[signal_id].points_for(kinds)


def keys(finding: Finding) -> set[str]:
    return {text.key.rpartition(".")[2] for text in (finding.summary, *finding.evidence)}


# --- delegates -------------------------------------------------------------------------------------------------------


def full_access(user: str, **fields: Any) -> MailboxPermission:
    return MailboxPermission(user=user, rights=("FullAccess",), **fields)


def may(user: str, *rights: str) -> FolderPermission:
    return FolderPermission(user=user, rights=rights)


async def delegates(**values: Any) -> Finding:
    folders = {"Inbox": values.pop("inbox", ()), "Calendar": values.pop("calendar", ())}
    return await look("delegates", FakeAccount(folder_rights=folders, people=GONE, **values))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"mailbox_rights": (full_access("NT AUTHORITY\\SELF"),)},
        {"mailbox_rights": (full_access(OUTSIDER, deny=True), full_access(OUTSIDER, inherited=True))},
        {"send_as_rights": (SendAsPermission(trustee="NT AUTHORITY\\SELF", rights=("SendAs",)),)},
        {"send_as_rights": (SendAsPermission(trustee=OUTSIDER, control_type="Deny"),)},
        {"inbox": (may("Default", "None"), may("Anonymous", "None"), may("Default", "FolderVisible"))},
        {"calendar": (may("Default", "LimitedDetails"), may("Anonymous", "AvailabilityOnly"))},
        {"calendar": (may(OUTSIDER, "Reviewer"),)},
    ],
)
async def test_what_every_mailbox_has_is_no_delegate(values: dict):
    """
    Exchange's own entries, denied and inherited rights, and calendars that others may look into.
    """
    finding = await delegates(**values)

    assert (finding.state, finding.summary.key) == (CLEAR, "finding.delegates.none")


async def test_an_assistant_of_long_standing_is_told_and_clear():
    """
    Executives have delegates: inside, and not added in the last days.
    """
    finding = await delegates(
        mailbox_rights=(full_access("megan@contoso.com"),),
        box=Mailbox(upn=UPN, send_on_behalf=("Megan Bowen",)),
        calendar=(may("Megan Bowen", "Editor"),),
    )

    assert (finding.state, finding.targets) == (CLEAR, ())
    assert {"full_access", "send_on_behalf", "folder"} <= keys(finding)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"mailbox_rights": (full_access(OUTSIDER),)}, "full_access"),
        ({"send_as_rights": (SendAsPermission(trustee=OUTSIDER, rights=("SendAs",)),)}, "send_as"),
        ({"box": Mailbox(upn=UPN, send_on_behalf=(OUTSIDER,))}, "send_on_behalf"),
        ({"inbox": (may("ExchangePublishedUser.drop@evil.example", "Reviewer"),)}, "folder"),
        ({"calendar": (may(OUTSIDER, "Editor"),)}, "folder"),
        ({"inbox": (may("Default", "Editor"),)}, "folder"),
        ({"inbox": (may("Anonymous", "ReadItems", "FolderVisible"),)}, "folder"),
    ],
)
async def test_outsiders_and_everybody_are_found_with_a_target(values: dict, kind: str):
    """
    Each way in, with what is needed to close it.
    """
    finding = await delegates(**values)

    assert finding.state is FOUND
    assert finding.targets[0]["kind"] == kind
    assert finding.targets[0]["rights"]


async def test_another_domain_of_the_organisation_is_inside():
    """
    The directory knows the delegate as a member, whatever the address looks like.
    """
    assert (await delegates(mailbox_rights=(full_access("megan@fabrikam.com"),))).state is CLEAR


@pytest.mark.parametrize(("by", "kind"), [(UPN, "added"), ("admin@contoso.com", "added_by_admin")])
async def test_a_delegate_that_was_added_around_the_block_is_found(by: str, kind: str):
    """
    The audit log dates it, and tells whether the account did it itself.
    """
    entry = record("Add-MailboxPermission", user_upn=by, Parameters=[{"Name": "User", "Value": "Lee Gu"}])

    finding = await delegates(mailbox_rights=(full_access("Lee Gu"),), records=(entry,))

    assert finding.targets[0]["suspicions"] == [kind]
    assert finding.weight == points("delegates", kind)


async def test_delegates_of_unknown_age_are_not_clear():
    """
    Without the audit log an assistant may be an attacker's; a mailbox without delegates needs no log.
    """
    refused = PermissionMissing("graph")

    assert (await delegates(records=refused)).state is CLEAR
    with pytest.raises(PermissionMissing):
        await delegates(mailbox_rights=(full_access("megan@contoso.com"),), records=refused)


async def test_what_was_found_says_what_could_not_be_read():
    """
    One list is missing: the rest still counts.
    """
    finding = await delegates(mailbox_rights=(full_access(OUTSIDER),), send_as_rights=Unavailable("exchange"))

    assert finding.evidence[-1].key == "finding.delegates.unread"


# --- assigned apps ---------------------------------------------------------------------------------------------------


def assignment(days_ago: float = 0.1, **fields: Any) -> AppAssignment:
    values = {"app_sp_oid": "app-1", "app_role_id": "role", "created_at": NOW - timedelta(days=days_ago), **fields}
    return AppAssignment(assignment_id="a1", app_name="Mail Merge", **values)


async def assigned(one: AppAssignment, **fields: Any) -> Finding:
    return await look("app_assignments", FakeAccount(assignments=(one,), apps={"app-1": app(**fields)}))


async def test_a_new_app_that_nobody_vouches_for_is_found():
    """
    Assigned around the block, by an unknown publisher; with what is needed to take it away.
    """
    finding = await assigned(assignment())

    assert finding.state is FOUND
    assert {name: finding.targets[0][name] for name in ("assignment_id", "app_sp_oid", "app_role_id", "name")} == {
        "assignment_id": "a1",
        "app_sp_oid": "app-1",
        "app_role_id": "role",
        "name": "Mail Merge",
    }


@pytest.mark.parametrize(
    ("fields", "app_fields"),
    [
        ({"days_ago": 90}, {}),
        ({}, {"verified_publisher": "Fabrikam"}),
        ({"principal_type": "Group"}, {}),
        ({}, {"owner_tenant_id": "11111111-1111-4111-8111-111111111111"}),
    ],
)
async def test_ordinary_assignments_are_clear(fields: dict, app_fields: dict):
    """
    Old ones, verified publishers, what came through a group, and the tenant's own apps.
    """
    assert (await assigned(assignment(**fields), **app_fields)).state is CLEAR


async def test_a_known_bad_app_is_found_however_old_its_assignment_is():
    """
    The catalogue knows it by its id, and the text says from where.
    """
    finding = await assigned(assignment(400), app_id="2ef68ccc-8a4d-42ff-ae88-2d7bb89ad139", name="Backup")

    assert "known_bad" in keys(finding)


async def test_an_assigned_app_that_cannot_be_read_keeps_the_signal_from_being_clear():
    """
    Who publishes it is unknown; an app that is gone does no harm.
    """
    account = FakeAccount(assignments=(assignment(90),), apps={"app-1": Unavailable("graph")})

    with pytest.raises(Unavailable):
        await look("app_assignments", account)
    assert (await look("app_assignments", FakeAccount(assignments=(assignment(90),)))).state is CLEAR


def test_the_catalogue_of_apps_holds_together():
    """
    Every entry has a source, and no id is listed twice.
    """
    ids = [app_id for known in known_apps() for app_id in known.app_ids]

    assert len(ids) == len(set(ids)) > 10
    assert all(known.source and known.names for known in known_apps())


# --- devices ---------------------------------------------------------------------------------------------------------


def device(days_ago: float | None, **fields: Any) -> RegisteredDevice:
    at = None if days_ago is None else NOW - timedelta(days=days_ago)
    return RegisteredDevice(device_oid=f"d{days_ago}", name="DESKTOP-1", registered_at=at, **fields)


STRANGE_LOG = (*habits(28), sign_in(NOW - timedelta(days=10), "NG", ip_address="9.9.9.9", risk_level="high"))


@pytest.mark.parametrize(
    ("one", "log", "kind"),
    [
        (device(1), habits(), "around"),
        (device(1, is_managed=True), habits(), "around_managed"),
        (device(9), STRANGE_LOG, "after_stranger"),
    ],
)
async def test_a_device_that_was_registered_lately_is_told(one: RegisteredDevice, log: tuple, kind: str):
    """
    Around the block, or after a suspicious sign-in; the bot does not remove devices, so there is no target.
    """
    finding = await look("devices", FakeAccount(devices=(one,), sign_in_log=log))

    assert kind in keys(finding)
    assert (finding.weight, finding.targets) == (points("devices", kind), ())


@pytest.mark.parametrize("devices", [(), (device(300),), (device(12),)])
async def test_older_devices_are_clear(devices: tuple[RegisteredDevice, ...]):
    """
    What was registered before anything odd happened.
    """
    assert (await look("devices", FakeAccount(devices=devices, sign_in_log=STRANGE_LOG))).state is CLEAR


async def test_devices_that_cannot_be_dated_are_unknown():
    """
    No date, or a young device of which nobody can say whether a suspicious sign-in came before.
    """
    assert (await look("devices", FakeAccount(devices=(device(None),)))).state is UNKNOWN
    with pytest.raises(LicenceMissing):
        await look("devices", FakeAccount(devices=(device(12),), sign_in_log=LicenceMissing("graph")))


def phone(days_ago: float | None, **fields: Any) -> MobileDevice:
    return MobileDevice(model="iPhone", first_sync_at=days_ago and NOW - timedelta(days=days_ago), **fields)


@pytest.mark.parametrize(
    ("phones", "state"),
    [
        ((), CLEAR),
        ((phone(300),), CLEAR),
        ((phone(1),), FOUND),
        ((phone(1, state="Quarantined"),), CLEAR),
        ((phone(None),), UNKNOWN),
        ((phone(None), phone(1)), FOUND),
    ],
)
async def test_a_phone_that_began_to_sync_around_the_block_is_told(phones: tuple, state: SignalState):
    """
    Older ones and those that Exchange keeps out are nothing; one without a date may be either.
    """
    assert (await look("mobile_devices", FakeAccount(partnerships=phones))).state is state


# --- protocols -------------------------------------------------------------------------------------------------------


def protocols(**fields: Any) -> CasMailbox:
    off = {"pop": False, "imap": False, "ews": False, "activesync": False, "smtp_auth_disabled": True}
    return CasMailbox(upn=UPN, **(off | fields))


IMAP_LOG = (*habits(), sign_in(NOW, "NG", client_app="IMAP4", ip_address="9.9.9.9"))


async def test_an_open_protocol_is_no_evidence_and_is_told_for_the_plan():
    """
    Exchange leaves them on: clear, with what is on as a target.
    """
    finding = await look("legacy_protocols", FakeAccount(protocols=protocols(imap=True, smtp_auth_disabled=None)))

    assert finding.state is CLEAR
    assert "IMAP" in finding.summary.params["protocols"]
    assert finding.targets[0]["imap"] is True
    assert finding.targets[0]["smtp_auth_disabled"] is None


async def test_a_protocol_that_a_suspicious_sign_in_used_is_found():
    """
    With the sign-in; the points are few, since the sign-in itself is counted elsewhere.
    """
    finding = await look("legacy_protocols", FakeAccount(protocols=protocols(imap=True), sign_in_log=IMAP_LOG))

    assert (finding.state, finding.summary.params["clients"]) == (FOUND, ["IMAP4"])
    assert "detail" in keys(finding)


async def test_open_protocols_without_sign_ins_to_look_at_are_unknown():
    """
    Whether somebody came through cannot be seen; with everything off there was no way.
    """
    refused = LicenceMissing("graph")

    assert (await look("legacy_protocols", FakeAccount(sign_in_log=refused))).state is CLEAR
    with pytest.raises(LicenceMissing):
        await look("legacy_protocols", FakeAccount(protocols=protocols(pop=True), sign_in_log=refused))


# --- admin roles -----------------------------------------------------------------------------------------------------

EXCHANGE_ADMIN = DirectoryRole(assignment_id="r1", role_id="29232cdf", role_name="Exchange Administrator", scope="/")
HELPDESK = DirectoryRole(assignment_id="r2", role_id="729827e3", role_name="Helpdesk Administrator", scope="/")


def assigned_role(name: str, by: str = OID, days_ago: float = 1, **fields: Any) -> AuditEvent:
    changes = (AuditChange(name="Role.DisplayName", new=f'"{name}"'),)
    values = {"activity": "Add member to role", "result": "success", **fields}
    target = AuditTarget(oid=OID, changes=changes)
    at = NOW - timedelta(days=days_ago)
    return AuditEvent(audit_id=name, at=at, by_oid=by, by_upn="alex@contoso.com", targets=(target,), **values)


async def test_roles_that_are_held_are_told_and_add_nothing():
    """
    Being an admin raises the stakes and is no evidence; each role may be taken away by the plan.
    """
    finding = await look("admin_roles", FakeAccount(roles=(EXCHANGE_ADMIN,)))

    assert (finding.state, finding.weight) == (FOUND, 0)
    assert finding.targets == (
        {
            "assignment_id": "r1",
            "role_id": "29232cdf",
            "role_name": "Exchange Administrator",
            "scope": "/",
            "recent": False,
        },
    )


@pytest.mark.parametrize(("by", "kind"), [(OID, "added_by_itself"), ("alex", "added_by_another")])
async def test_a_role_that_was_assigned_around_the_block_is_found(by: str, kind: str):
    """
    Of the roles held, the log tells which one is new, and whether the account gave it to itself.
    """
    log = (assigned_role("Exchange Administrator", by),)

    finding = await look("admin_roles", FakeAccount(roles=(EXCHANGE_ADMIN, HELPDESK), audit_log=log))

    assert finding.weight == points("admin_roles", kind)
    assert {target["role_name"]: target["recent"] for target in finding.targets} == {
        "Exchange Administrator": True,
        "Helpdesk Administrator": False,
    }


@pytest.mark.parametrize(
    "event",
    [
        assigned_role("x", days_ago=20),
        assigned_role("x", result="failure"),
        assigned_role("x", activity="Add member to role completed (PIM activation)"),
    ],
)
async def test_no_role_and_no_fresh_assignment_is_clear(event: AuditEvent):
    """
    Old assignments, failed ones, and an admin who activates a role for the day.
    """
    assert (await look("admin_roles", FakeAccount(audit_log=(event,)))).state is CLEAR


async def test_roles_of_unknown_age_are_unknown_and_still_told():
    """
    Without the audit log nobody can say since when they are held.
    """
    finding = await look("admin_roles", FakeAccount(roles=(HELPDESK,), audit_log=PermissionMissing("graph")))

    assert (finding.state, finding.unknown_reason) == (UNKNOWN, UnknownReason.PERMISSION)
    assert finding.targets[0]["recent"] is False
