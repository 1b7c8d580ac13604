"""The clients against the sandbox tenant: real HTTPS, real tokens, and Microsoft's surprises where we know of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from services.clients.batch import batched
from services.clients.exchange import ExchangeClient
from services.clients.exchange_models import Forwarding
from services.clients.graph import GraphClient
from services.clients.http import Limits, Sender
from services.clients.tokens import Tokens
from services.clients.trust import open_session
from services.errors import (
    BrokenAnswer,
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    Throttled,
    Unavailable,
)

state = pytest.importorskip("services.sandbox.state")
server = pytest.importorskip("services.sandbox.server")
seed = pytest.importorskip("services.sandbox.seed")

JANE, PIA, SVEN, GRACE = "jane@contoso.com", "pia@contoso.com", "sven@contoso.com", "grace@contoso.com"


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class Bench:
    """A running tenant and clients that were built as `app.py` builds them."""

    tenant: object
    settings: dict[str, str]
    session: aiohttp.ClientSession
    graph: GraphClient
    #: The same, reading the directory in batches.
    batched_graph: GraphClient
    exchange: ExchangeClient
    control: str
    sandbox: object

    def journal(self) -> list[object]:
        """The calls that have arrived, oldest first."""
        return list(self.sandbox.journal.requests())

    async def fault(self, **fault: object) -> None:
        async with self.session.post(f"{self.control}/_sandbox/faults", json=fault) as answer:
            assert answer.status < 300, await answer.text()

    async def seen(self, cmdlet: str) -> int:
        """How many calls of a cmdlet have reached Exchange."""
        async with self.session.get(f"{self.control}/_sandbox/journal", params={"cmdlet": cmdlet}) as answer:
            return len((await answer.json())["requests"])

    async def state(self, **changes: object) -> None:
        async with self.session.post(f"{self.control}/_sandbox/state", json=changes) as answer:
            assert answer.status < 300, await answer.text()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once: the slow part of starting a tenant."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def bench(keys: Path) -> AsyncIterator[Bench]:
    sandbox = await server.start_tenant(keys)
    given = sandbox.settings()
    session = open_session(Path(given["ca_bundle"]))
    tokens = tokens_of(given)
    sender = Sender(session, tokens, SystemClock(), limits=Limits(timeout_s=2, first_backoff_s=0.05))
    yield Bench(
        tenant=sandbox.tenant,
        settings=given,
        session=session,
        graph=GraphClient(sender.send, given["graph_url"]),
        batched_graph=GraphClient(batched(sender, given["graph_url"]), given["graph_url"]),
        exchange=ExchangeClient(sender.send, given["exchange_url"], given["tenant_id"]),
        control=sandbox.http_origin,
        sandbox=sandbox,
    )
    tokens.close()
    await session.close()
    await sandbox.close()


def tokens_of(given: dict[str, str]) -> Tokens:
    return Tokens(
        tenant_id=given["tenant_id"],
        app_id=given["app_id"],
        login_url=given["login_url"],
        secret=SecretStr(given["app_secret"]),
        ca_bundle=Path(given["ca_bundle"]),
    )


def week_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=7)


# --- finding people ---


@pytest.mark.parametrize("text", ["pia@contoso.com", "PIA.OBERG@contoso.com", "p.oberg@contoso.com", "pia"])
async def test_somebody_is_found_by_any_of_their_addresses(bench, text):
    """
    UPN, mail, alias and nickname lead to the same person, in any case.
    """
    assert [PIA] == [user.upn for user in await bench.graph.by_address(text)]


async def test_a_name_that_two_people_share_finds_both(bench):
    """
    The caller asks which one is meant.
    """
    assert 2 == len(await bench.graph.by_name("Adele"))
    assert ["Adele Vance"] == [user.display_name for user in await bench.graph.by_name("vance adele")]


async def test_a_guest_is_read_by_their_odd_name(bench):
    """
    `#EXT#` survives the path.
    """
    guest = next(user for user in bench.tenant.people if "#EXT#" in user.upn)

    found = await bench.graph.by_id_or_upn(guest.upn)

    assert found is not None and found.is_guest


async def test_a_deleted_user_is_found_under_their_old_name(bench):
    """
    "There is no dan" would be half the truth.
    """
    assert ["dan@contoso.com"] == [user.upn for user in await bench.graph.deleted_users("dan@contoso.com")]


@pytest.mark.parametrize("text", ["o'hara@contoso.com", "x' or 1 eq 1 or 'x", "a@b@c", "nobody@contoso.com"])
async def test_nobody_is_found_by_what_is_no_name(bench, text):
    """
    Quotes stay text; what Graph cannot take for an id is nobody.
    """
    assert () == await bench.graph.by_address(text)
    assert await bench.graph.by_id_or_upn(text) is None


async def test_membership_reaches_through_nested_groups(bench):
    """
    Megan is a responder by way of another group; Alex is none.
    """
    responders = next(group for group in bench.tenant.groups if group.display_name == "Mail responders")

    assert {responders.oid} == await bench.graph.is_member(seed.MEGAN, [responders.oid])
    assert not await bench.graph.is_member(seed.ALEX, [responders.oid])
    assert seed.MEGAN in [user.oid for user in await bench.graph.group_members(responders.oid)]


# --- looking ---


async def test_a_compromised_account_shows_in_every_source(bench):
    """
    Risk, sign-ins, rules, grants and methods of Jane's are all read.
    """
    jane = await bench.graph.get_user(JANE)

    assert "high" == (await bench.graph.risky_user(jane.oid)).risk_level
    assert {"NG", "SE"} <= {sign_in.country for sign_in in await bench.graph.sign_ins(jane.oid, week_ago())}
    assert any(rule.forwards_to for rule in await bench.graph.message_rules(jane.oid))
    assert any("Mail.ReadWrite" in grant.scopes for grant in await bench.graph.oauth_grants(jane.oid))
    assert "password" in [method.kind for method in await bench.graph.auth_methods(jane.oid)]


async def test_sign_ins_come_newest_first_and_cut_off(bench):
    """
    The latest three of many.
    """
    jane = await bench.graph.get_user(JANE)

    times = [sign_in.at for sign_in in await bench.graph.sign_ins(jane.oid, week_ago(), limit=3)]

    assert 3 == len(times)
    assert times == sorted(times, reverse=True)


async def test_hidden_rules_are_told_from_visible_ones(bench):
    """
    Exchange shows rules that Graph does not; both name the visible ones by the same id.
    """
    jane = await bench.graph.get_user(JANE)

    rules = await bench.exchange.inbox_rules(JANE)

    visible = {rule.graph_rule_id for rule in rules if not rule.hidden}
    assert any(rule.hidden and rule.delete_message for rule in rules)
    assert visible == {rule.rule_id for rule in await bench.graph.message_rules(jane.oid)}


async def test_the_tenant_is_read(bench):
    """
    What the prevention list needs to know.
    """
    policies = await bench.graph.conditional_access_policies()
    outbound = await bench.exchange.outbound_policies()

    assert await bench.graph.security_defaults_on() is False
    assert policies[0].report_only
    assert "Automatic" == next(policy for policy in outbound if policy.is_default).auto_forwarding_mode
    assert await bench.exchange.audit_config() is True
    assert 47 == (await bench.graph.secure_score()).current


async def test_a_burst_of_sign_in_queries_stays_within_the_limit(bench):
    """
    Five at a time are no problem; the lane sees to it that the tenant never has to refuse one.
    """
    jane = await bench.graph.get_user(JANE)

    found = await asyncio.gather(*[bench.graph.sign_ins(jane.oid, week_ago(), limit=1) for _ in range(5)])

    assert 5 == len(found)


async def test_what_apps_do_in_the_background_is_told_apart(bench):
    """
    Bea's tokens were used from elsewhere, by no person; her interactive sign-ins do not show it.
    """
    bea = await bench.graph.get_user("bea@contoso.com")

    hidden = await bench.graph.background_sign_ins(bea.oid, week_ago())

    assert hidden and not any(sign_in.is_interactive for sign_in in hidden)
    assert all(sign_in.is_interactive for sign_in in await bench.graph.sign_ins(bea.oid, week_ago()))


async def test_an_address_shows_whom_else_it_tried(bench):
    """
    The address of Bea's background sign-ins was at other doors.
    """
    bea = await bench.graph.get_user("bea@contoso.com")
    address = (await bench.graph.background_sign_ins(bea.oid, week_ago()))[0].ip_address

    others = {sign_in.user_oid for sign_in in await bench.graph.sign_ins_from(address, week_ago())} - {bea.oid}

    assert 3 == len(others)


async def test_the_audit_log_is_searched_to_its_end(bench):
    """
    Dora's deleted messages are all found, newest first, after some looks at the search.
    """
    bench.tenant.switches.audit_query_polls = 1

    records = await bench.graph.audit_records("dora@contoso.com", since=week_ago(), until=datetime.now(UTC))

    times = [record.at for record in records]
    assert 33 <= sum("Delete" in record.operation for record in records)
    assert times == sorted(times, reverse=True)


async def test_what_others_did_to_a_mailbox_is_found_too(bench):
    """
    The record is under the name of whoever did it, and tells whose mailbox it was.
    """
    record = next(
        record for record in bench.tenant.audit_records if record.upn == JANE and record.operation == "Set-Mailbox"
    )
    record.upn, record.data = "otto@contoso.com", {"MailboxOwnerUPN": JANE}

    found = await bench.graph.audit_records(JANE, since=week_ago(), until=datetime.now(UTC))

    assert "otto@contoso.com" in {record.user_upn for record in found}


async def test_sent_messages_are_read_with_their_recipients(bench):
    """
    Without their text, which needs another permission.
    """
    tess = await bench.graph.get_user("tess@contoso.com")

    sent = await bench.graph.mail_items(tess.oid, "sentitems", week_ago(), limit=5)

    assert 5 == len(sent)
    assert all(item.subject and item.recipients and item.internet_message_id for item in sent)


async def test_apps_devices_and_roles_show_when_they_came(bench):
    """
    Each of these people got one of them lately.
    """
    april, devi, ada = [await bench.graph.get_user(f"{name}@contoso.com") for name in ("april", "devi", "ada")]

    assert all(given.created_at for given in await bench.graph.app_assignments(april.oid))
    assert 2 == len([device for device in await bench.graph.registered_devices(devi.oid) if device.registered_at])
    assert ["Exchange Administrator"] == [role.role_name for role in await bench.graph.directory_roles(ada.oid)]


async def test_everybody_who_may_use_a_mailbox_is_read(bench):
    """
    Della's mailbox has a delegate of each kind.
    """
    mail, upn = bench.exchange, "della@contoso.com"

    assert any("FullAccess" in entry.rights and not entry.inherited for entry in await mail.mailbox_permissions(upn))
    assert any("SELF" not in (entry.trustee or "") for entry in await mail.send_as_permissions(upn))
    assert (await mail.mailbox(upn)).send_on_behalf
    assert {"Default", "Anonymous"} < {entry.user for entry in await mail.folder_permissions(upn, "Inbox")}


async def test_folders_of_a_swedish_mailbox_are_read(bench):
    """
    Lars has no Inbox and no Calendar: his are called Inkorgen and Kalender.
    """
    for folder in ("Inbox", "Calendar", ""):
        entries = await bench.exchange.folder_permissions("lars@contoso.com", folder)

        assert "Default" in {entry.user for entry in entries}


async def test_devices_and_signatures_are_read(bench):
    """
    Mona has two phones; Rolf's signature stands elsewhere, and that is said.
    """
    phones = await bench.exchange.mobile_devices("mona@contoso.com")

    assert 2 == len([phone for phone in phones if phone.first_sync_at])
    assert (await bench.exchange.message_configuration("rolf@contoso.com")).roaming_signatures
    assert (await bench.exchange.message_configuration("signe@contoso.com")).signature_html


# --- acting ---


async def test_a_method_that_was_added_is_removed(bench):
    """
    Twice is as good as once.
    """
    phil = await bench.graph.get_user("phil@contoso.com")
    phones = [method for method in await bench.graph.auth_methods(phil.oid) if method.kind == "phone"]

    for _ in range(2):
        await bench.graph.remove_auth_method(phil.oid, "phone", phones[-1].method_id)

    assert phones[-1].method_id not in [method.method_id for method in await bench.graph.auth_methods(phil.oid)]


async def test_an_app_is_taken_away_and_given_back(bench):
    """
    Giving it twice leaves one of it.
    """
    april = await bench.graph.get_user("april@contoso.com")
    (given,) = [one for one in await bench.graph.app_assignments(april.oid) if one.created_at > week_ago()]

    for _ in range(2):
        await bench.graph.remove_app_assignment(april.oid, given.assignment_id)
    assert given.app_name not in [one.app_name for one in await bench.graph.app_assignments(april.oid)]

    for _ in range(2):
        await bench.graph.restore_app_assignment(april.oid, given.app_sp_oid, given.app_role_id)
    assert 1 == [one.app_name for one in await bench.graph.app_assignments(april.oid)].count(given.app_name)


async def test_a_role_is_taken_away_and_given_back(bench):
    """
    Giving it twice leaves one of it.
    """
    ada = await bench.graph.get_user("ada@contoso.com")
    (role,) = await bench.graph.directory_roles(ada.oid)

    for _ in range(2):
        await bench.graph.remove_role(role.assignment_id)
    assert () == await bench.graph.directory_roles(ada.oid)

    for _ in range(2):
        await bench.graph.add_role(ada.oid, role.role_id, role.scope)
    assert [role.role_id] == [held.role_id for held in await bench.graph.directory_roles(ada.oid)]


async def test_roles_through_groups_and_those_that_can_be_activated_are_read(bench):
    """
    Jane holds none herself; her group does, through another one, and may activate one.
    """
    jane = await bench.graph.get_user(JANE)
    assert () == await bench.graph.transitive_roles(jane.oid)
    assert not await bench.graph.may_activate_role(jane.oid)

    inner, outer = "9b200000-0000-4000-8000-0000000000a1", "9b200000-0000-4000-8000-0000000000a2"
    admins = state.Group(outer, "Administrators", [inner], role_definition_ids=[state.EXCHANGE_ADMINISTRATOR])
    bench.tenant.groups += [state.Group(inner, "Service desk", [jane.oid]), admins]
    assert [state.EXCHANGE_ADMINISTRATOR] == [role.role_id for role in await bench.graph.transitive_roles(jane.oid)]
    assert () == await bench.graph.directory_roles(jane.oid)

    admins.eligible_role_ids = [state.EXCHANGE_ADMINISTRATOR]
    assert await bench.graph.may_activate_role(jane.oid)
    bench.tenant.licences.p2 = False
    with pytest.raises(LicenceMissing):
        await bench.graph.may_activate_role(jane.oid)


async def test_a_grant_is_taken_away_and_given_back(bench):
    """
    Under another id, with the same scopes.
    """
    jane = await bench.graph.get_user(JANE)
    bad = next(grant for grant in await bench.graph.oauth_grants(jane.oid) if "Mail.ReadWrite" in grant.scopes)

    await bench.graph.revoke_grant(bad.grant_id)
    for _ in range(2):
        await bench.graph.restore_grant(bad)

    again = [grant for grant in await bench.graph.oauth_grants(jane.oid) if grant.client_sp_oid == bad.client_sp_oid]
    assert [bad.scopes] == [grant.scopes for grant in again]


async def test_a_compromise_shows_as_risk(bench):
    """
    Proven by reading again.
    """
    phil = await bench.graph.get_user("phil@contoso.com")

    await bench.graph.confirm_compromised(phil.oid)

    assert "confirmedCompromised" == (await bench.graph.risky_user(phil.oid)).risk_state


async def test_a_pass_lets_the_owner_in_once(bench):
    """
    The second one is refused while the first is there.
    """
    jane = await bench.graph.get_user(JANE)

    issued = await bench.graph.issue_access_pass(jane.oid, lifetime_minutes=60, usable_once=True)

    assert issued.value.get_secret_value()
    assert issued.valid_until > datetime.now(UTC) + timedelta(minutes=50)
    with pytest.raises(Rejected):
        await bench.graph.issue_access_pass(jane.oid, lifetime_minutes=60, usable_once=True)


async def test_protocols_are_closed_and_opened_again(bench):
    """
    Each as it was before, SMTP AUTH included.
    """
    lars = "lars@contoso.com"
    before = await bench.exchange.cas_mailbox(lars)

    await bench.exchange.set_protocols(lars, {"imap": False, "pop": False, "smtp_auth_disabled": True})
    closed = await bench.exchange.cas_mailbox(lars)
    assert (False, False, True) == (closed.imap, closed.pop, closed.smtp_auth_disabled)

    restored = {"imap": before.imap, "pop": before.pop, "smtp_auth_disabled": before.smtp_auth_disabled}
    await bench.exchange.set_protocols(lars, restored)
    assert before == await bench.exchange.cas_mailbox(lars)


async def test_delegates_are_taken_away_and_put_back(bench):
    """
    Each twice, by Exchange's own ways of saying that there was nothing to do.
    """
    mail, upn, otto = bench.exchange, "della@contoso.com", "omar@contoso.com"

    for _ in range(2):
        await mail.add_mailbox_permission(upn, otto, ["FullAccess"])
        await mail.add_send_as(upn, otto)
        await mail.add_folder_permission(upn, "Inbox", otto, ["Editor"])
    assert otto in {entry.user for entry in await mail.mailbox_permissions(upn)}
    assert otto in {entry.trustee for entry in await mail.send_as_permissions(upn)}
    assert "Omar Said" in {entry.user for entry in await mail.folder_permissions(upn, "Inbox")}

    for _ in range(2):
        await mail.remove_mailbox_permission(upn, otto, ["FullAccess"])
        await mail.remove_send_as(upn, otto)
        await mail.remove_folder_permission(upn, "Inbox", otto, ["Editor"])
    assert otto not in {entry.user for entry in await mail.mailbox_permissions(upn)}
    assert otto not in {entry.trustee for entry in await mail.send_as_permissions(upn)}
    assert "Omar Said" not in {entry.user for entry in await mail.folder_permissions(upn, "Inbox")}


async def test_sending_on_behalf_is_a_list_of_names(bench):
    """
    Emptied, and filled again with what it said.
    """
    before = (await bench.exchange.mailbox("della@contoso.com")).send_on_behalf

    await bench.exchange.set_send_on_behalf("della@contoso.com", [])
    assert () == (await bench.exchange.mailbox("della@contoso.com")).send_on_behalf

    await bench.exchange.set_send_on_behalf("della@contoso.com", before)
    assert before == (await bench.exchange.mailbox("della@contoso.com")).send_on_behalf


# --- batches ---


async def directory_reads(graph: GraphClient, oid: str) -> list[object]:
    """What an investigation reads of the directory at the same time."""
    reads = [
        graph.get_user(oid),
        graph.oauth_grants(oid),
        graph.app_assignments(oid),
        graph.auth_methods(oid),
        graph.registered_devices(oid),
        graph.directory_roles(oid),
    ]
    return await asyncio.gather(*reads, return_exceptions=True)


def in_batch(bench: Bench) -> list[bool]:
    """Of each call to Graph that has arrived since the account was found, whether it came in a batch."""
    return [entry.in_batch for entry in bench.journal() if entry.service == "graph" and "$batch" not in entry.path][1:]


async def test_reads_at_the_same_time_come_in_one_batch(bench):
    """
    And say what they say alone.
    """
    jane = await bench.graph.get_user(JANE)

    together = await directory_reads(bench.batched_graph, jane.oid)

    assert [True] * 6 == in_batch(bench)
    assert together == await directory_reads(bench.graph, jane.oid)


async def test_a_batch_is_as_slow_as_the_slowest_call_in_it(bench):
    """
    Six calls of half a second each take less than two of them would one after the other.
    """
    jane = await bench.graph.get_user(JANE)
    bench.tenant.switches.latency_s = 0.5

    started = asyncio.get_running_loop().time()
    await directory_reads(bench.batched_graph, jane.oid)

    assert asyncio.get_running_loop().time() - started < 1.5


async def test_a_throttled_call_in_a_batch_is_repeated_alone(bench):
    """
    The five others came with the batch.
    """
    jane = await bench.graph.get_user(JANE)
    await bench.fault(match={"path_regex": "oauth2PermissionGrants"}, kind="throttle", times=1, retry_after_s=1)

    found = await directory_reads(bench.batched_graph, jane.oid)

    assert not any(isinstance(one, Exception) for one in found)
    assert [True] * 6 + [False] == in_batch(bench)


@pytest.mark.parametrize(("kind", "error"), [("forbidden", PermissionMissing), ("licence", LicenceMissing)])
async def test_a_refusal_in_a_batch_is_one_calls_alone(bench, kind, error):
    """
    The others are not told that they lack something.
    """
    jane = await bench.graph.get_user(JANE)
    await bench.fault(match={"path_regex": "registeredDevices"}, kind=kind, times=-1)

    found = await directory_reads(bench.batched_graph, jane.oid)

    assert [error] == [type(one) for one in found if isinstance(one, Exception)]


@pytest.mark.parametrize("kind", ["drop_connection", "broken_json", "unavailable"])
async def test_trouble_within_a_batch_is_not_noticed(bench, kind):
    """
    Whatever becomes of the batch, each of its calls has its answer in the end.
    """
    jane = await bench.graph.get_user(JANE)
    await bench.fault(match={"path_regex": "authentication/methods"}, kind=kind, times=1)

    found = await directory_reads(bench.batched_graph, jane.oid)

    assert not any(isinstance(one, Exception) for one in found)


async def test_an_unblock_takes_the_entry_away_once(bench):
    """
    The entry is gone, and asking again says that it is.
    """
    assert (await bench.exchange.blocked_sender(JANE)).reason["ExceedingLimitType"] == "External"

    await bench.exchange.remove_blocked_sender(JANE)

    assert await bench.exchange.blocked_sender(JANE) is None
    with pytest.raises(NotFound):
        await bench.exchange.remove_blocked_sender(JANE)


async def test_a_mailbox_is_listed_under_its_upn_alone(bench):
    """
    Pia's mail address finds no entry, her UPN does: looking by mail would call her unblocked.
    """
    pia = await bench.graph.get_user(PIA)

    assert await bench.exchange.blocked_sender(pia.mail) is None
    assert await bench.exchange.blocked_sender(pia.upn) is not None


async def test_forwarding_is_cleared_and_put_back(bench):
    """
    Each step is proven by reading again.
    """
    before = (await bench.exchange.mailbox(JANE)).forwarding
    assert before.is_on

    await bench.exchange.clear_forwarding(JANE)
    assert Forwarding(deliver_and_forward=False) == (await bench.exchange.mailbox(JANE)).forwarding

    await bench.exchange.set_forwarding(JANE, before)
    assert before == (await bench.exchange.mailbox(JANE)).forwarding


async def test_a_rule_is_switched_off_and_on(bench):
    """
    By its number, hidden or not.
    """
    bad = next(rule for rule in await bench.exchange.inbox_rules(JANE) if rule.forwards_to)

    await bench.exchange.disable_inbox_rule(JANE, bad.rule_identity)
    assert bad.identity in [rule.identity for rule in await bench.exchange.inbox_rules(JANE) if not rule.enabled]

    await bench.exchange.enable_inbox_rule(JANE, bad.rule_identity)
    assert bad.identity in [rule.identity for rule in await bench.exchange.inbox_rules(JANE) if rule.enabled]


async def test_password_and_sessions_show_their_time(bench):
    """
    Containment is proven by two moments that have moved on.
    """
    jane = await bench.graph.get_user(JANE)

    await bench.graph.reset_password(jane.oid, SecretStr("Quite-Long-And-New-1"))
    await bench.graph.revoke_sessions(jane.oid)

    after = await bench.graph.get_user(JANE)
    assert after.password_changed_at > jane.password_changed_at
    assert after.sessions_valid_from > jane.sessions_valid_from


async def test_a_password_that_is_not_ours_to_set_is_refused_with_the_reason(bench):
    """
    An admin is above the app; a synced user is mastered elsewhere.
    """
    grace, sven = await bench.graph.get_user(GRACE), await bench.graph.get_user(SVEN)

    with pytest.raises(PermissionMissing):
        await bench.graph.reset_password(grace.oid, SecretStr("Quite-Long-And-New-1"))
    with pytest.raises(Rejected):
        await bench.graph.reset_password(sven.oid, SecretStr("Quite-Long-And-New-1"))
    assert sven.is_synced


async def test_a_grant_is_revoked_for_good(bench):
    """
    Twice is as good as once.
    """
    jane = await bench.graph.get_user(JANE)
    bad = next(grant for grant in await bench.graph.oauth_grants(jane.oid) if "Mail.ReadWrite" in grant.scopes)

    await bench.graph.revoke_grant(bad.grant_id)
    await bench.graph.revoke_grant(bad.grant_id)

    assert bad.grant_id not in [grant.grant_id for grant in await bench.graph.oauth_grants(jane.oid)]


# --- trouble ---


@pytest.mark.parametrize("kind", ["throttle", "throttle_without_retry_after", "unavailable", "drop_connection"])
async def test_passing_trouble_is_not_noticed(bench, kind):
    """
    One refusal, and the second try answers.
    """
    await bench.fault(match={"service": "graph"}, kind=kind, times=1, retry_after_s=0)

    assert JANE == (await bench.graph.get_user(JANE)).upn


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unavailable", Unavailable),
        ("broken_json", BrokenAnswer),
        ("licence", LicenceMissing),
        ("forbidden", PermissionMissing),
    ],
)
async def test_lasting_trouble_has_a_name(bench, kind, error):
    """
    Whoever reads the signal learns why it is unknown.
    """
    await bench.fault(match={"service": "graph"}, kind=kind, times=10)

    with pytest.raises(error):
        await bench.graph.get_user(JANE)


async def test_a_licence_that_was_not_bought_is_no_missing_permission(bench):
    """
    Without Entra ID P1 and P2 the logs and the risk are closed, each refusal in words of its own.
    """
    jane = await bench.graph.get_user(JANE)
    await bench.state(licences={"p1": False, "p2": False})

    with pytest.raises(LicenceMissing):
        await bench.graph.risky_user(jane.oid)
    with pytest.raises(LicenceMissing):
        await bench.graph.sign_ins(jane.oid, week_ago())


async def test_a_permission_that_was_not_granted_is_named(bench):
    """
    The admin reads what to consent to.
    """
    jane = await bench.graph.get_user(JANE)
    await bench.state(take_away=["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"])

    with pytest.raises(PermissionMissing) as refusal:
        await bench.graph.risky_user(jane.oid)

    assert "IdentityRiskyUser.Read.All" == refusal.value.params["permission"]


async def test_tokens_that_were_revoked_are_renewed_in_passing(bench):
    """
    Entra may void a token before its time; the call that meets it just takes a little longer.
    """
    await bench.graph.get_user(JANE)
    await bench.state(expire_tokens=True)

    assert JANE == (await bench.graph.get_user(JANE)).upn
    assert await bench.exchange.blocked_sender(JANE) is not None


async def test_a_long_wait_is_handed_to_the_caller(bench):
    """
    The workflow decides what to do with two minutes.
    """
    await bench.fault(match={"service": "exchange"}, kind="throttle", times=1, retry_after_s=120)

    with pytest.raises(Throttled) as refusal:
        await bench.exchange.blocked_senders()

    assert 120 == refusal.value.retry_after_s


@pytest.mark.parametrize("kind", ["unavailable", "drop_connection"])
async def test_a_lost_answer_to_an_unblock_is_not_repeated(bench, kind):
    """
    It may have happened: exactly one call reaches Exchange.
    """
    await bench.fault(match={"cmdlet": "Remove-BlockedSenderAddress"}, kind=kind, times=5)

    with pytest.raises(Unavailable):
        await bench.exchange.remove_blocked_sender(JANE)

    assert 1 == await bench.seen("Remove-BlockedSenderAddress")


async def test_a_cmdlet_without_a_role_is_a_missing_permission(bench):
    """
    403 with NUL bytes is how Exchange says "not yours".
    """
    with pytest.raises(PermissionMissing):
        await bench.exchange.invoke("Get-SomethingElse")


async def test_a_mailbox_that_is_not_there_is_not_found(bench):
    """
    Exchange's wrapper of 404 is opened, and its words about servers stay inside.
    """
    with pytest.raises(NotFound):
        await bench.exchange.mailbox("nils@contoso.com")


async def test_a_wrong_secret_is_entras_refusal(bench):
    """
    Not Graph's fault, and told with Entra's own number.
    """
    given = {**bench.settings, "app_secret": "wrong"}
    tokens = tokens_of(given)

    with pytest.raises(Rejected) as refusal:
        await tokens.token("https://graph.microsoft.com/.default")

    assert refusal.value.code.startswith("AADSTS")
    tokens.close()
