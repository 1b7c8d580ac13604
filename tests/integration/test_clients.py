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
    exchange: ExchangeClient
    control: str

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
        exchange=ExchangeClient(sender.send, given["exchange_url"], given["tenant_id"]),
        control=sandbox.http_origin,
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


# --- acting ---


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
