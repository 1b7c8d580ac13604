"""Each account that stands for a symptom, an attack or an honest look-alike, as a stranger finds it over HTTP."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.sandbox import seed_attacks, seed_symptoms
from services.sandbox.journal import Journal
from services.sandbox.misbehave import Faults
from services.sandbox.seed import contoso
from services.sandbox.seed_attacks import ADA, APRIL, BEA, DELLA, DEVI, EVA, LARS, MONA, PHIL, SUPPORT, VIGGO
from services.sandbox.seed_symptoms import DORA, DROP_ADDRESS, NORA, PAUL, PETRA, ROLF, RUNE, SIGNE
from services.sandbox.state import Clock
from tests.integration.stranger import Stranger, a_stranger_at

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for module in (seed_symptoms, seed_attacks)
    for line in (module.__doc__ or "").splitlines()
    if line.startswith("| ") and not line.startswith(("| name", "| --"))
]
NAMES = [row[0] for row in ROWS]
HONEST = {row[0] for row in ROWS if row[-1].startswith("honest")}


@pytest.fixture(scope="module")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def stranger(key_folder: Path) -> AsyncIterator[Stranger]:
    async with a_stranger_at(key_folder) as stranger:
        stranger.sandbox.tenant.switches.throttling = False
        yield stranger


def hours_ago(hours: float) -> str:
    return (datetime.now(UTC) - timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def all_of(stranger: Stranger, path: str, **more: Any) -> list[dict[str, Any]]:
    """Every item of a collection, page by page."""
    found, url = [], path
    while url:
        answer = await stranger.graph(url, **more)
        assert answer.status == 200, answer.raw
        found += answer.value
        url = answer.json.get("@odata.nextLink", "")
    return found


async def sign_ins(stranger: Stranger, oid: str, hours: float = 30) -> list[dict[str, Any]]:
    return await all_of(
        stranger, f"auditLogs/signIns?$filter=userId eq '{oid}' and createdDateTime ge {hours_ago(hours)}"
    )


async def audits(stranger: Stranger, oid: str) -> list[dict[str, Any]]:
    return await all_of(stranger, f"auditLogs/directoryAudits?$filter=targetResources/any(t: t/id eq '{oid}')")


async def traces(stranger: Stranger, name: str) -> list[dict[str, Any]]:
    condition = f"senderAddress eq '{name}@contoso.com' and receivedDateTime ge {hours_ago(239)}"
    return await all_of(stranger, f"admin/exchange/tracing/messageTraces?$filter={condition}")


async def records(stranger: Stranger, **filters: list[str]) -> list[dict[str, Any]]:
    """What a search of the unified audit log finds."""
    window = {"filterStartDateTime": hours_ago(167), "filterEndDateTime": hours_ago(0)}
    made = await stranger.graph("security/auditLog/queries", "POST", {**window, **filters})
    path = f"security/auditLog/queries/{made.json['id']}"
    while (await stranger.graph(path)).json["status"] != "succeeded":
        pass
    return await all_of(stranger, f"{path}/records")


async def folder(stranger: Stranger, name: str, well_known: str) -> list[dict[str, Any]]:
    return await all_of(stranger, f"users/{name}@contoso.com/mailFolders/{well_known}/messages?$top=100")


# --- all of them --------------------------------------------------------------------------------------------------


def test_every_account_has_one_row_that_says_what_should_come_out() -> None:
    """The tables in the two modules and the accounts that they make are the same."""
    rows = (*seed_symptoms.SYMPTOM_BLOCKS, *seed_attacks.ATTACK_BLOCKS)
    blocked = [address.partition("@")[0] for address, *_ in rows]

    assert NAMES == blocked
    assert {"bella", "rolf", "viggo", "eva"} == HONEST


async def test_all_of_them_are_on_the_restricted_list_and_send_from_their_own_address(stranger: Stranger) -> None:
    """Each has an entry under its name, and can be found by that name."""
    entries = {row["SenderAddress"] for row in (await stranger.cmdlet("Get-BlockedSenderAddress")).value}
    people = await all_of(stranger, "users?$select=userPrincipalName,mail")

    assert {f"{name}@contoso.com" for name in NAMES} <= entries
    assert {f"{name}@contoso.com" for name in NAMES} <= {person["mail"] for person in people}


@pytest.mark.parametrize("name", sorted(set(NAMES) - HONEST))
async def test_the_others_sent_one_subject_to_three_hundred_strangers(stranger: Stranger, name: str) -> None:
    """All within an hour, and nothing like it in the ten days before."""
    sent = [row for row in await traces(stranger, name) if "northwind" in row["recipientAddress"]]
    times = sorted(row["receivedDateTime"] for row in sent)

    assert 300 == len(sent)
    assert 1 == len({row["subject"] for row in sent})
    assert datetime.fromisoformat(times[-1][:19]) - datetime.fromisoformat(times[0][:19]) < timedelta(hours=1)


@pytest.mark.parametrize("name", sorted(HONEST))
async def test_the_honest_send_the_same_every_week_and_are_nowhere_else(stranger: Stranger, name: str) -> None:
    """A week ago they sent to as many, and nobody signed in to them from the attackers' country."""
    by_day = Counter(row["receivedDateTime"][:10] for row in await traces(stranger, name))
    oid = (await stranger.graph(f"users/{name}@contoso.com")).json["id"]

    assert 2 == len(by_day) and 1 == len(set(by_day.values()))
    assert "RO" not in {sign_in["location"]["countryOrRegion"] for sign_in in await sign_ins(stranger, oid, 700)}


def test_the_tenant_starts_in_no_time() -> None:
    """Whoever types `make run` does not wait for people to be made up."""
    began = datetime.now(UTC)
    contoso("secret", Clock(), Journal(), Faults())

    assert datetime.now(UTC) - began < timedelta(seconds=1)


# --- symptoms -----------------------------------------------------------------------------------------------------


async def test_dora_lost_what_was_sent_within_ten_minutes(stranger: Stranger) -> None:
    """S1: the audit log names 33 deletions from one strange address, most of them from Sent Items."""
    found = [
        record
        for record in await records(stranger, userPrincipalNameFilters=["dora@contoso.com"])
        if record["operation"] in ("HardDelete", "SoftDelete")
    ]

    assert 33 == len(found)
    assert 28 == sum(record["auditData"]["Folder"]["Path"] == "\\Sent Items" for record in found)
    assert 1 == len({record["clientIp"] for record in found})
    assert DORA == (await stranger.graph("users/dora@contoso.com")).json["id"]


@pytest.mark.parametrize(("name", "copies"), [("simon", 0), ("nora", 30)])
async def test_what_simon_sent_is_in_no_folder_of_his(stranger: Stranger, name: str, copies: int) -> None:
    """S2: of the traced messages none is in Sent or Deleted Items; with others all are, under the same Message-ID."""
    traced = {row["messageId"] for row in await traces(stranger, name) if "northwind" in row["recipientAddress"]}
    kept = {message["internetMessageId"] for message in await folder(stranger, name, "sentitems")}
    kept |= {message["internetMessageId"] for message in await folder(stranger, name, "deleteditems")}

    assert 30 == len(traced)
    assert copies == len(traced & kept)


async def test_rune_has_a_rule_into_a_swedish_folder_and_a_hidden_one(stranger: Stranger) -> None:
    """S3: Graph shows the visible rule with a folder id, Exchange both with the folder's Swedish name."""
    visible = await all_of(stranger, f"users/{RUNE}/mailFolders/inbox/messageRules")
    rules = (await stranger.cmdlet("Get-InboxRule", Mailbox="rune@contoso.com", IncludeHidden=True)).value
    ours = {rule["Name"]: rule for rule in rules if not rule["Name"].startswith(("Junk", "Microsoft"))}
    made = await records(stranger, userPrincipalNameFilters=["rune@contoso.com"], operationFilters=["New-InboxRule"])

    assert ["Uppdatering"] == [rule["displayName"] for rule in visible]
    assert {"Uppdatering", ".."} == set(ours)
    assert ours["Uppdatering"]["MoveToFolder"].endswith(":\\RSS-prenumerationer")
    assert ours[".."]["DeleteMessage"] is True and 2 == len(made)


@pytest.mark.parametrize(
    ("oid", "changed"), [(NORA, ["DisplayName"]), (PAUL, ["Mobile", "PostalCode", "TelephoneNumber"])]
)
async def test_profiles_were_changed_by_the_account_itself_from_elsewhere(
    stranger: Stranger, oid: str, changed: list[str]
) -> None:
    """S4 and S7: one entry of the directory's log with old and new values, as JSON inside strings."""
    (entry,) = [entry for entry in await audits(stranger, oid) if entry["activityDisplayName"] == "Update user"]
    user, properties = entry["initiatedBy"]["user"], entry["targetResources"][0]["modifiedProperties"]
    values = {item["displayName"]: (item["oldValue"], item["newValue"]) for item in properties}

    assert oid == user["id"] and user["ipAddress"].startswith("198.51.100.")
    assert changed == sorted(set(values) - {"Included Updated Properties"})
    assert all(json.loads(old) != json.loads(new) for name, (old, new) in values.items() if name in changed)


async def test_bella_hides_her_readers_from_each_other(stranger: Stranger) -> None:
    """S5: one message to 120 readers, whom her copy names as blind copies; nothing else was changed about her."""
    newest = (await folder(stranger, "bella", "sentitems"))[0]
    bella = (await stranger.graph("users/bella@contoso.com")).json["id"]

    assert 120 == len(newest["bccRecipients"])
    assert ["bella@contoso.com"] == [to["emailAddress"]["address"] for to in newest["toRecipients"]]
    assert [] == await audits(stranger, bella)


async def test_tess_has_scam_subjects_in_two_folders(stranger: Stranger) -> None:
    """S6: what was sent asks for money and passwords, and what came back was deleted."""
    sent = {message["subject"] for message in await folder(stranger, "tess", "sentitems")}
    deleted = {message["subject"] for message in await folder(stranger, "tess", "deleteditems")}

    assert {"Payment overdue", "Your password expires today", "Gift cards for the team, urgent"} <= sent
    assert "Re: Payment overdue" in deleted


async def test_petras_password_was_changed_five_times_in_a_day(stranger: Stranger) -> None:
    """S8: three changes and two resets in the log, the last of them five hours ago."""
    activities = Counter(entry["activityDisplayName"] for entry in await audits(stranger, PETRA))
    changed_at = (await stranger.graph(f"users/{PETRA}?$select=lastPasswordChangeDateTime")).json

    assert {"Change user password": 3, "Reset password (self-service)": 2} == activities
    assert hours_ago(5.1) < changed_at["lastPasswordChangeDateTime"] < hours_ago(4.9)


async def test_frank_keeps_no_copy_of_what_goes_outside(stranger: Stranger) -> None:
    """S9: forwarding of the whole mailbox, the cmdlet that set it, and an alert that somebody has judged."""
    mailbox = (await stranger.cmdlet("Get-Mailbox", Identity="frank@contoso.com")).value[0]
    (record,) = await records(stranger, objectIdFilters=["frank@contoso.com"], operationFilters=["Set-Mailbox"])
    alerts = await all_of(stranger, "security/alerts_v2?$filter=classification eq 'truePositive'")

    assert (f"smtp:{DROP_ADDRESS}", False) == (mailbox["ForwardingSmtpAddress"], mailbox["DeliverToMailboxAndForward"])
    assert record["clientIp"].endswith(":54812")
    assert ["compromisedAccount"] == [alert["determination"] for alert in alerts]


async def test_signatures_are_there_unless_they_roam(stranger: Stranger) -> None:
    """S10: Signe's asks for money on another account; of Rolf's nothing is shown, and a warning says why."""
    signe = (await stranger.cmdlet("Get-MailboxMessageConfiguration", Identity=SIGNE)).value[0]
    rolf = await stranger.cmdlet("Get-MailboxMessageConfiguration", Identity=ROLF)

    assert "bankuppgifter" in signe["SignatureHtml"]
    assert "" == rolf.value[0]["SignatureHtml"] and rolf.json["@adminapi.warnings"]


# --- what attackers leave behind ----------------------------------------------------------------------------------


async def test_della_has_four_kinds_of_delegates(stranger: Stranger) -> None:
    """A guest may open the mailbox and send as it, a colleague send on behalf, an outsider edit the Inbox."""
    rights = (await stranger.cmdlet("Get-MailboxPermission", Identity=DELLA)).value[-1]
    sender = (await stranger.cmdlet("Get-RecipientPermission", Identity=DELLA)).value[-1]
    mailbox = (await stranger.cmdlet("Get-Mailbox", Identity=DELLA)).value[0]
    inbox = (await stranger.cmdlet("Get-MailboxFolderPermission", Identity="della@contoso.com:\\Inbox")).value

    assert "#EXT#" in rights["User"] and ["FullAccess"] == rights["AccessRights"]
    assert rights["User"] == sender["Trustee"]
    assert ["Sam Stranger"] == mailbox["GrantSendOnBehalfTo"]
    assert {DROP_ADDRESS: ["Editor"]} == {row["User"]: row["AccessRights"] for row in inbox[2:]}


async def test_dellas_delegates_are_all_in_the_audit_log(stranger: Stranger) -> None:
    """Three cmdlets and what Outlook itself has written down."""
    found = await records(stranger, userPrincipalNameFilters=["della@contoso.com"])

    operations = Counter(record["operation"] for record in found)
    assert {"Add-MailboxPermission", "Add-RecipientPermission", "Set-Mailbox", "AddFolderPermissions"} <= set(
        operations
    )


async def test_april_was_given_an_app_that_nobody_has_verified(stranger: Stranger) -> None:
    """The assignment is of today, and so is the app; the log names the app and her."""
    (assigned,) = await all_of(stranger, f"users/{APRIL}/appRoleAssignments")
    app = (await stranger.graph(f"servicePrincipals/{assigned['resourceId']}")).json
    targets = (await audits(stranger, APRIL))[0]["targetResources"]

    assert assigned["createdDateTime"] > hours_ago(5)
    assert app["verifiedPublisher"]["displayName"] is None and app["createdDateTime"] > hours_ago(5)
    assert [app["id"], APRIL] == [target["id"] for target in targets]


async def test_ada_holds_a_role_since_yesterday(stranger: Stranger) -> None:
    """Not the highest one; the log says when it came and names it."""
    path = f"roleManagement/directory/roleAssignments?$filter=principalId eq '{ADA}'&$expand=roleDefinition"
    (role,) = await all_of(stranger, path)
    (entry,) = [entry for entry in await audits(stranger, ADA) if entry["category"] == "RoleManagement"]
    names = {item["displayName"]: item["newValue"] for item in entry["targetResources"][0]["modifiedProperties"]}

    assert "Exchange Administrator" == role["roleDefinition"]["displayName"]
    assert '"Exchange Administrator"' == names["Role.DisplayName"]
    assert hours_ago(26) < entry["activityDateTime"] < hours_ago(24)


async def test_phils_second_number_has_no_date_but_a_log_entry(stranger: Stranger) -> None:
    """Phones never say when they were added; the log does, and from where."""
    phones = await all_of(stranger, f"users/{PHIL}/authentication/phoneMethods")
    (entry,) = await audits(stranger, PHIL)

    assert ["mobile", "alternateMobile"] == [phone["phoneType"] for phone in phones]
    assert all("createdDateTime" not in phone for phone in phones)
    assert "User registered security info" == entry["activityDisplayName"]


async def test_lars_was_let_in_by_three_old_protocols(stranger: Stranger) -> None:
    """All are open to him, and the sign-ins that worked name each of them."""
    there = [one for one in await sign_ins(stranger, LARS) if one["location"]["countryOrRegion"] == "RO"]
    open_ = (await stranger.cmdlet("Get-CASMailbox", Identity=LARS)).value[0]
    worked = {sign_in["clientAppUsed"] for sign_in in there if sign_in["status"]["errorCode"] == 0}

    assert {"IMAP4", "POP3", "Authenticated SMTP"} == worked
    assert (True, True, None) == (open_["ImapEnabled"], open_["PopEnabled"], open_["SmtpClientAuthenticationDisabled"])


async def test_support_is_a_shared_mailbox_that_one_can_sign_in_to(stranger: Stranger) -> None:
    """Shared mailboxes usually have a disabled account; this one has not, and somebody has used that."""
    mailbox = (await stranger.cmdlet("Get-Mailbox", Identity=SUPPORT)).value[0]
    countries = {sign_in["location"]["countryOrRegion"] for sign_in in await sign_ins(stranger, SUPPORT)}

    assert ("SharedMailbox", False) == (mailbox["RecipientTypeDetails"], mailbox["AccountDisabled"])
    assert {"SE", "RO"} == countries


async def test_mona_and_devi_have_something_new_beside_something_old(stranger: Stranger) -> None:
    """A phone that synchronises since two hours; a computer that nobody manages, registered this morning."""
    phones = (await stranger.cmdlet("Get-MobileDeviceStatistics", Mailbox="mona@contoso.com")).value
    computers = await all_of(stranger, f"users/{DEVI}/registeredDevices")

    assert MONA in phones[0]["Identity"]
    assert [False, True] == [phone["FirstSyncTime"] > hours_ago(3) for phone in phones]
    assert [True, None] == [computer["isManaged"] for computer in computers]
    assert [False, True] == [computer["registrationDateTime"] > hours_ago(7) for computer in computers]


async def test_beas_background_sign_ins_show_in_beta_alone(stranger: Stranger) -> None:
    """v1.0 does not know the filter; what beta shows comes from an address that was tried on three others."""
    condition = f"signInEventTypes/any(t: t eq 'nonInteractiveUser') and userId eq '{BEA}'"
    refused = await stranger.graph(f"auditLogs/signIns?$filter={condition}")
    found = await all_of(stranger, f"auditLogs/signIns?$filter={condition}", version="beta")
    (address,) = {sign_in["ipAddress"] for sign_in in found if sign_in["location"]["countryOrRegion"] == "RO"}
    tried = await all_of(stranger, f"auditLogs/signIns?$filter=ipAddress eq '{address}'")

    assert 400 == refused.status
    assert not any(sign_in["isInteractive"] for sign_in in found)
    assert 4 == len({sign_in["userId"] for sign_in in tried})
    assert 0 not in {sign_in["status"]["errorCode"] for sign_in in tried}


# --- the honest ---------------------------------------------------------------------------------------------------


async def test_viggo_travelled_with_his_laptop_at_a_plausible_speed(stranger: Stranger) -> None:
    """Stockholm and London are hours apart; the computer is managed; one of his addresses is nowhere on the map."""
    found = await sign_ins(stranger, VIGGO, 12)
    places = [sign_in["location"] for sign_in in found]
    left, arrived = found[-1]["createdDateTime"], found[-2]["createdDateTime"]

    assert ["London", "Slough", "London", "Stockholm"] == [place["city"] for place in places]
    assert places[1]["geoCoordinates"]["latitude"] is None and places[0]["geoCoordinates"]["latitude"] == 51.51
    assert {True} == {sign_in["deviceDetail"]["isManaged"] for sign_in in found}
    assert datetime.fromisoformat(arrived) - datetime.fromisoformat(left) > timedelta(hours=3)


async def test_eva_has_delegates_and_rules_that_nobody_made_lately(stranger: Stranger) -> None:
    """All within the organisation, none of it in the audit log, and her alert was false."""
    rights = [row["User"] for row in (await stranger.cmdlet("Get-MailboxPermission", Identity=EVA)).value]
    calendar = (await stranger.cmdlet("Get-MailboxFolderPermission", Identity=f"{EVA}:\\Calendar")).value
    rules = await all_of(stranger, f"users/{EVA}/mailFolders/inbox/messageRules")
    done = {record["operation"] for record in await records(stranger, userPrincipalNameFilters=["eva@contoso.com"])}

    assert "alex@contoso.com" in rights
    assert "Grace Hopp" in {row["User"] for row in calendar}
    assert 3 == len(rules) and {"Send", "MoveToDeletedItems"} == done
    assert 1 == len(await all_of(stranger, "security/alerts_v2?$filter=classification eq 'falsePositive'"))
