"""What else can be changed in the sandbox and put back: roles, apps, methods, delegates, protocols."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.sandbox.graph.methods import ALTERNATE_MOBILE_PHONE, MOBILE_PHONE
from services.sandbox.seed import ALEX, GRACE, INES, JANE
from services.sandbox.seed_attacks import ADA, APRIL, DELLA, DEVI, LARS, MONA, PHIL
from services.sandbox.seed_evidence import MAIL_MERGE_PRO, MICROSOFT_GRAPH
from services.sandbox.seed_symptoms import DROP_ADDRESS
from services.sandbox.state import DEFAULT_ACCESS, EXCHANGE_ADMINISTRATOR, GLOBAL_ADMINISTRATOR
from tests.integration.stranger import Stranger, a_stranger_at

ROLES = "roleManagement/directory/roleAssignments"


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def stranger(key_folder: Path) -> AsyncIterator[Stranger]:
    async with a_stranger_at(key_folder) as stranger:
        yield stranger


# --- Graph --------------------------------------------------------------------------------------------------------


async def test_a_role_is_removed_and_assigned_again_once(stranger: Stranger) -> None:
    """Whoever assigns it twice is told of a conflict."""
    (held,) = (await stranger.graph(f"{ROLES}?$filter=principalId eq '{ADA}'")).value
    removed = await stranger.graph(f"{ROLES}/{held['id']}", "DELETE")
    gone = await stranger.graph(f"{ROLES}/{held['id']}", "DELETE")
    wanted = {"principalId": ADA, "roleDefinitionId": EXCHANGE_ADMINISTRATOR, "directoryScopeId": "/"}
    made = await stranger.graph(ROLES, "POST", wanted)
    again = await stranger.graph(ROLES, "POST", wanted)

    assert [204, 404, 201, 400] == [removed.status, gone.status, made.status, again.status]
    assert again.json["error"]["message"].startswith("A conflicting object")
    assert ADA == (await stranger.graph(f"{ROLES}/{made.json['id']}")).json["principalId"]


async def test_global_administrators_can_be_changed_by_a_privileged_app_alone(stranger: Stranger) -> None:
    """Role, methods, passes, password and sign-in are all refused in the same words until the app holds such a role."""
    (held,) = (await stranger.graph(f"{ROLES}?$filter=principalId eq '{GRACE}'")).value
    profile = {"passwordProfile": {"password": "Correct-Horse-7-Battery"}}
    tries: list[tuple[str, str, Any]] = [
        (f"{ROLES}/{held['id']}", "DELETE", None),
        (f"users/{GRACE}/authentication/phoneMethods/{MOBILE_PHONE}", "DELETE", None),
        (f"users/{GRACE}/authentication/temporaryAccessPassMethods", "POST", {}),
        (f"users/{GRACE}", "PATCH", profile),
        (f"users/{GRACE}", "PATCH", {"accountEnabled": False}),
    ]
    refused = [await stranger.graph(*attempt) for attempt in tries]
    await stranger.control("state", body={"app": {"may_change_admins": True}})
    allowed = [await stranger.graph(*attempt) for attempt in reversed(tries)]

    assert {(403, "Authorization_RequestDenied")} == {(answer.status, answer.code) for answer in refused}
    assert [204, 204, 201, 204, 204] == [answer.status for answer in allowed]


async def test_roles_have_names_when_asked_for(stranger: Stranger) -> None:
    """A definition can be expanded or read, but only one property can be expanded at a time."""
    expanded = (await stranger.graph(f"{ROLES}?$filter=principalId eq '{GRACE}'&$expand=roleDefinition")).value[0]
    read = await stranger.graph(f"roleManagement/directory/roleDefinitions/{GLOBAL_ADMINISTRATOR}")
    both = await stranger.graph(f"{ROLES}?$expand=principal,roleDefinition")

    assert "Global Administrator" == expanded["roleDefinition"]["displayName"] == read.json["displayName"]
    assert 400 == both.status


async def test_an_app_is_taken_from_somebody_and_given_back_once(stranger: Stranger) -> None:
    """The second time it is there already; an assignment in somebody else's name is refused."""
    path = f"users/{APRIL}/appRoleAssignments"
    (held,) = (await stranger.graph(path)).value
    removed = await stranger.graph(f"{path}/{held['id']}", "DELETE")
    body = {"principalId": APRIL, "resourceId": held["resourceId"], "appRoleId": DEFAULT_ACCESS}
    made, again = await stranger.graph(path, "POST", body), await stranger.graph(path, "POST", body)
    other = await stranger.graph(path, "POST", {**body, "principalId": INES})

    assert [204, 201, 400, 400] == [removed.status, made.status, again.status, other.status]
    assert "Permission being assigned already exists on the object" == again.json["error"]["message"]
    assert [held["resourceId"]] == [assigned["resourceId"] for assigned in (await stranger.graph(path)).value]


async def test_a_consent_is_taken_back_and_restored_as_it_was(stranger: Stranger) -> None:
    """The same scope, space and all; a second one is a conflict."""
    path = f"users/{JANE}/oauth2PermissionGrants"
    held = next(grant for grant in (await stranger.graph(path)).value if grant["clientId"] == MAIL_MERGE_PRO)
    body = {name: value for name, value in held.items() if name != "id"}
    await stranger.graph(f"oauth2PermissionGrants/{held['id']}", "DELETE")
    made = await stranger.graph("oauth2PermissionGrants", "POST", body)
    again = await stranger.graph("oauth2PermissionGrants", "POST", body)
    for_nobody = await stranger.graph("oauth2PermissionGrants", "POST", {**body, "principalId": None})

    assert (201, body["scope"]) == (made.status, made.json["scope"])
    assert (409, "Request_MultipleObjectsWithSameKeyValue") == (again.status, again.code)
    assert 400 == for_nobody.status
    assert held["resourceId"] == MICROSOFT_GRAPH


async def test_a_mobile_number_stays_as_long_as_there_is_an_alternate_one(stranger: Stranger) -> None:
    """Numbers go in this order: the alternate one first."""
    path = f"users/{PHIL}/authentication/phoneMethods"
    early = await stranger.graph(f"{path}/{MOBILE_PHONE}", "DELETE")
    alternate = await stranger.graph(f"{path}/{ALTERNATE_MOBILE_PHONE}", "DELETE")
    late = await stranger.graph(f"{path}/{MOBILE_PHONE}", "DELETE")

    assert [400, 204, 204] == [early.status, alternate.status, late.status]


async def test_a_pass_shows_its_value_once_and_goes_away(stranger: Stranger) -> None:
    """The answer that makes it holds it; reading it does not; the kind's own permission is enough for all of that."""
    await stranger.control("state", body={"take_away": ["UserAuthenticationMethod.ReadWrite.All"]})
    path = f"users/{JANE}/authentication/temporaryAccessPassMethods"
    made = await stranger.graph(path, "POST", {"lifetimeInMinutes": 60, "isUsableOnce": True})
    (read,) = (await stranger.graph(path)).value
    second = await stranger.graph(path, "POST", {})
    removed = await stranger.graph(f"{path}/{made.json['id']}", "DELETE")

    assert 201 == made.status and len(made.json["temporaryAccessPass"]) == 8
    assert read["temporaryAccessPass"] is None and read["isUsableOnce"] is True
    assert [400, 204] == [second.status, removed.status]
    assert made.json["temporaryAccessPass"] not in (await stranger.control("journal", "GET")).raw.decode()


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("RoleManagement.ReadWrite.Directory", "POST", ROLES),
        ("AppRoleAssignment.ReadWrite.All", "POST", f"users/{JANE}/appRoleAssignments"),
        ("DelegatedPermissionGrant.ReadWrite.All", "POST", "oauth2PermissionGrants"),
        ("UserAuthenticationMethod.ReadWrite.All", "DELETE", f"users/{PHIL}/authentication/phoneMethods/x"),
    ],
)
async def test_each_change_has_its_permission(stranger: Stranger, permission: str, method: str, path: str) -> None:
    """Without it the directory refuses before it looks at the request."""
    await stranger.control("state", body={"take_away": [permission]})
    refused = await stranger.graph(path, method, {})

    assert (403, "Authorization_RequestDenied") == (refused.status, refused.code)


async def test_devices_without_their_permission_are_ids_alone(stranger: Stranger) -> None:
    """Whoever may read users but no devices gets type and id, and null for the rest."""
    await stranger.control("state", body={"take_away": ["Device.Read.All", "Directory.Read.All"]})
    devices = (await stranger.graph(f"users/{DEVI}/registeredDevices")).value

    assert 2 == len(devices)
    assert {"@odata.type", "id"} == {name for device in devices for name, value in device.items() if value is not None}


async def test_messages_are_filtered_and_sorted_by_the_same_property(stranger: Stranger) -> None:
    """Sorting by what is not filtered by is too complex; selected properties come with their tag."""
    path = f"users/{JANE}/mailFolders/sentitems/messages"
    query = "$filter=sentDateTime ge 2020-01-01T00:00:00Z&$select=subject,bccRecipients"
    sorted_ = await stranger.graph(f"{path}?{query}&$orderby=sentDateTime desc")
    complex_ = await stranger.graph(f"{path}?{query}&$orderby=receivedDateTime desc")

    assert {"@odata.etag", "subject", "bccRecipients"} == set(sorted_.value[0])
    assert (400, "InefficientFilter") == (complex_.status, complex_.code)


# --- Exchange -----------------------------------------------------------------------------------------------------


async def test_full_access_and_send_as_warn_when_there_is_nothing_to_do(stranger: Stranger) -> None:
    """Removing twice and adding twice are warnings, not errors."""
    rita = (await stranger.cmdlet("Get-RecipientPermission", Identity=DELLA)).value[-1]["Trustee"]
    opening = {"Identity": DELLA, "User": rita, "AccessRights": ["FullAccess"]}
    sending = {"Identity": DELLA, "Trustee": rita, "AccessRights": ["SendAs"], "Confirm": False}
    for kind, given in (("Mailbox", opening), ("Recipient", sending)):
        calls = [f"{verb}-{kind}Permission" for verb in ("Remove", "Remove", "Add", "Add")]
        answers = [await stranger.cmdlet(name, **given) for name in calls]

        assert [200] * 4 == [answer.status for answer in answers]
        assert [False, True, False, True] == [bool(answer.json["@adminapi.warnings"]) for answer in answers]


async def test_a_folder_is_named_in_the_language_of_the_mailbox(stranger: Stranger) -> None:
    """Statistics translate: the kind of a folder is the same everywhere, its name is not."""
    scoped = await stranger.cmdlet("Get-MailboxFolderStatistics", Identity="jane@contoso.com", FolderScope="Inbox")
    english = await stranger.cmdlet("Get-MailboxFolderPermission", Identity="jane@contoso.com:\\Inbox")
    swedish = await stranger.cmdlet("Get-MailboxFolderPermission", Identity="jane@contoso.com:\\Inkorgen")

    assert ["Inkorgen"] == [folder["Name"] for folder in scoped.value]
    assert (404, 200) == (english.status, swedish.status)
    assert ["Default", "Anonymous"] == [row["User"] for row in swedish.value]


async def test_folder_entries_fail_when_they_are_there_or_not_there(stranger: Stranger) -> None:
    """Unlike mailbox permissions these are errors, and their texts name the user."""
    where = {"Identity": "della@contoso.com:\\Inbox"}
    removed = await stranger.cmdlet("Remove-MailboxFolderPermission", User=DROP_ADDRESS, **where)
    missing = await stranger.cmdlet("Remove-MailboxFolderPermission", User=DROP_ADDRESS, **where)
    added = await stranger.cmdlet("Add-MailboxFolderPermission", User=ALEX, AccessRights=["Editor"], **where)
    again = await stranger.cmdlet("Add-MailboxFolderPermission", User=ALEX, AccessRights=["Owner"], **where)
    everybody = await stranger.cmdlet("Remove-MailboxFolderPermission", User="Default", **where)

    assert [200, 400, 200, 400, 400] == [one.status for one in (removed, missing, added, again, everybody)]
    assert f"There is no existing permission entry found for user: {DROP_ADDRESS}." == missing.cmdlet_text
    assert "An existing permission entry was found for user: Alex Wilber." == again.cmdlet_text


async def test_sending_on_behalf_is_a_list_or_a_change_of_one(stranger: Stranger) -> None:
    """Names replace the list, a table adds and removes, null empties it."""
    table = {"@odata.type": "#Exchange.GenericHashTable", "Add": ["ines@contoso.com"], "Remove": ["Sam Stranger"]}
    shown = []
    for value in (table, ["alex@contoso.com"], None):
        await stranger.cmdlet("Set-Mailbox", Identity=DELLA, GrantSendOnBehalfTo=value)
        shown.append((await stranger.cmdlet("Get-Mailbox", Identity=DELLA)).value[0]["GrantSendOnBehalfTo"])

    assert [["Ines Falk"], ["Alex Wilber"], []] == shown


async def test_protocols_close_and_open_one_by_one(stranger: Stranger) -> None:
    """Authenticated SMTP has three states: null gives the matter back to the organisation."""
    shown = []
    for value in (True, None):
        given = {"ImapEnabled": False, "PopEnabled": not value, "SmtpClientAuthenticationDisabled": value}
        await stranger.cmdlet("Set-CASMailbox", Identity=LARS, **given)
        row = (await stranger.cmdlet("Get-CASMailbox", Identity=LARS)).value[0]
        shown.append([row["ImapEnabled"], row["PopEnabled"], row["SmtpClientAuthenticationDisabled"]])

    assert [[False, False, True], [False, True, None]] == shown


async def test_a_phone_stops_synchronising_once(stranger: Stranger) -> None:
    """A partnership that is gone cannot be found any more."""
    phones = (await stranger.cmdlet("Get-MobileDeviceStatistics", Mailbox=MONA)).value
    removed = await stranger.cmdlet("Remove-MobileDevice", Identity=phones[1]["Identity"], Confirm=False)
    again = await stranger.cmdlet("Remove-MobileDevice", Identity=phones[1]["Identity"], Confirm=False)

    assert [200, 404] == [removed.status, again.status]
    assert 1 == len((await stranger.cmdlet("Get-MobileDeviceStatistics", Mailbox=MONA)).value)


async def test_mail_flow_rules_can_be_read(stranger: Stranger) -> None:
    """The organisation has one, a footer, and says when it was changed."""
    (rule,) = (await stranger.cmdlet("Get-TransportRule")).value
    missing = await stranger.cmdlet("Get-TransportRule", Identity="No such rule")

    assert ("Enabled", None) == (rule["State"], rule["RedirectMessageTo"])
    assert 404 == missing.status


# --- one slow source ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("match", "slow"),
    [
        ({"path_regex": "messageTraces"}, "trace"),
        ({"cmdlet": "Get-InboxRule"}, "rules"),
        ({"path_regex": "riskyUsers"}, ""),
    ],
)
async def test_one_source_can_be_made_slow_for_good(stranger: Stranger, match: dict[str, str], slow: str) -> None:
    """As long as the fault stands, only what it names is late."""
    await stranger.cmdlet("Get-BlockedSenderAddress")
    await stranger.graph("organization")
    await stranger.control("faults", body={"match": match, "kind": "slow", "seconds": 30, "times": -1})
    calls = {
        "trace": asyncio.create_task(stranger.graph("admin/exchange/tracing/messageTraces?$top=1")),
        "rules": asyncio.create_task(stranger.cmdlet("Get-InboxRule", Mailbox=JANE)),
    }
    done, waiting = await asyncio.wait(calls.values(), timeout=1.5)
    for late in waiting:
        late.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)

    assert waiting == ({calls[slow]} if slow else set())
    assert all(task.result().status == 200 for task in done)
