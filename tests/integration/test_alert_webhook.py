"""POST /api/alerts over HTTP: real tokens of the sandbox's Entra, real signatures, a real database."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from bot.alert_webhook import PATH, AlertWebhook
from services.alerts.defender import reports_of
from services.alerts.merging import Facts, merged
from services.alerts.model import Report, SourceName
from services.alerts.ports import Reading
from services.alerts.sections import WebhookSettings
from services.alerts.webhook import APP_ROLE, Door, signature
from services.clients.openid import TenantKeys
from services.clients.trust import open_session
from services.clock import SystemClock
from services.sandbox.keys import SigningKey
from services.sandbox.server import Sandbox, start_tenant
from services.store import Store, migrate

SECRET = "a" * 64
LOGIC_APP = "33333333-3333-4333-8333-333333333333"
OTHER_TENANT = "99999999-9999-4999-8999-999999999999"
EVERYTHING = WebhookSettings(callers=(LOGIC_APP,), app_role=True, secret=SecretStr(SECRET))


def alert(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"da-{number}",
        "title": "User restricted from sending email",
        "status": "new",
        "createdDateTime": "2026-11-24T02:58:00Z",
        "evidence": [{"userAccount": {"userPrincipalName": f"user{number}@contoso.com"}}],
        **changes,
    }


@dataclass
class Answer:
    status: int
    body: dict[str, Any]
    after_s: float


@dataclass
class Site:
    """The webhook on a port of its own, and whoever sends to it."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    store: Store
    url: str = ""
    held: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception | None = None

    async def take(self, reports: Sequence[Report]) -> None:
        """As the watch does it: everything in one transaction."""
        await self.held.wait()
        if self.fault is not None:
            raise self.fault
        clock, count = SystemClock(), iter(range(10_000))
        facts = Facts(
            self.sandbox.tenant.tenant_id, clock.now(), lambda: f"A{clock.now().timestamp()}{next(count)}"[-15:]
        )
        names = frozenset[str]().union(*(report.names for report in reports))
        reading = Reading(reports=tuple(reports))
        await self.store.alerts.merge(facts.tenant_id, names, lambda known: merged(known, reading, facts))

    def token(self, key: SigningKey | None = None, **changes: Any) -> str:
        now, tenant_id = int(time.time()), self.sandbox.tenant.tenant_id
        claims = {
            "iss": f"https://sts.windows.net/{tenant_id}/",
            "tid": tenant_id,
            "aud": f"api://{self.sandbox.tenant.app.app_id}",
            "appid": LOGIC_APP,
            "nbf": now - 5,
            "exp": now + 3600,
            **changes,
        }
        return (key or self.sandbox.keys.login_key).sign({k: v for k, v in claims.items() if v is not None})

    async def post(self, content: Any, token: str | None = None, **headers: str) -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        sent = {"Content-Type": "application/json", **headers}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        began = time.monotonic()
        async with self.session.post(self.url, data=body, headers=sent) as got:
            return Answer(got.status, await got.json(), time.monotonic() - began)

    async def post_signed(self, content: Any, *, at: float | None = None, key: str = SECRET) -> Answer:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        stamp = str(int(time.time() if at is None else at))
        return await self.post(
            body,
            None,
            **{"X-Unblock-Timestamp": stamp, "X-Unblock-Signature": f"v1={signature(key.encode(), stamp, body)}"},
        )

    async def known(self) -> list[str]:
        return sorted(alert.about for alert in await self.store.alerts.alerts())


@pytest.fixture
async def site(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> AsyncIterator[Site]:
    sandbox = await start_tenant(tmp_path_factory.mktemp("sandbox"))
    url = f"sqlite:///{tmp_path}/unblock.db"
    migrate(url)
    store = Store(url, SystemClock())
    async with open_session(sandbox.keys.ca_path) as to_entra, aiohttp.ClientSession() as session:
        there = Site(sandbox, session, store)
        there.held.set()
        webhook = opened(there, to_entra, EVERYTHING)
        async with listening(there, webhook):
            yield there
        there.held.set()
        await webhook.close()
    await store.close()
    await sandbox.close()


def opened(site: Site, to_entra: aiohttp.ClientSession, settings: WebhookSettings) -> AlertWebhook:
    tenant = site.sandbox.tenant
    keys = TenantKeys(to_entra, SystemClock(), login_url=site.sandbox.origin, tenant_id=tenant.tenant_id)
    door = Door(settings, keys, SystemClock(), tenant.tenant_id, tenant.app.app_id, site.sandbox.origin)
    of_webhook = partial(reports_of, source=SourceName.WEBHOOK)
    return AlertWebhook(door=door, tenant_id=tenant.tenant_id, reports_of=of_webhook, take=site.take)


class listening:
    """The webhook behind a port."""

    def __init__(self, site: Site, webhook: AlertWebhook) -> None:
        self._site = site
        application = web.Application()
        webhook.add_routes(application)
        self._runner = web.AppRunner(application)

    async def __aenter__(self) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._site.url = f"http://{host}:{port}{PATH}"

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


# --- who gets in -----------------------------------------------------------------------------------------------------


async def test_a_logic_app_raises_an_alert_with_a_token(site: Site) -> None:
    """With one of the tenant's Entra, and is told what became of its alerts."""
    answer = await site.post({"value": [alert(1), alert(2, title="Malware was detected")]}, site.token())

    assert 202 == answer.status
    counts = {"received": 2, "accepted": 1, "ignored": 1, "ignored_because": {"other_title": 1}}
    assert counts == answer.body
    assert ["user1@contoso.com"] == await site.known()


async def test_the_newer_form_of_tokens_and_the_app_role_do_as_well(site: Site) -> None:
    """The issuer is that of the metadata then, the audience the bare app id, and the caller is called azp."""
    issuer = f"{site.sandbox.origin}/{site.sandbox.tenant.tenant_id}/v2.0"
    app_id = site.sandbox.tenant.app.app_id
    stranger = {"iss": issuer, "aud": app_id, "appid": None, "azp": OTHER_TENANT, "roles": [APP_ROLE]}

    assert 202 == (await site.post(alert(), site.token(**stranger))).status


async def test_whoever_signs_raises_an_alert_without_entra(site: Site) -> None:
    """With the secret that both sides know."""
    assert 202 == (await site.post_signed(alert())).status
    assert ["user1@contoso.com"] == await site.known()


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_000_000_000},
        {"tid": OTHER_TENANT},
        {"iss": f"https://sts.windows.net/{OTHER_TENANT}/"},
        {"aud": "https://graph.microsoft.com"},
        {"appid": OTHER_TENANT},
        {"scp": "user_impersonation"},
    ],
    ids=["expired", "another tenant", "another issuer", "for Graph", "another app", "a person's"],
)
async def test_a_token_that_is_not_for_this_is_refused(site: Site, changes: dict[str, Any]) -> None:
    """It is well signed, and the caller learns no more than that it did not get in."""
    answer = await site.post(alert(), site.token(**changes))

    assert (401, {"error": "unauthenticated"}) == (answer.status, answer.body)
    assert [] == await site.known()


async def test_a_forged_token_is_refused(site: Site) -> None:
    """Signed by a key of somebody else, by that of the Bot Framework, or not at all."""
    forger = SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    whole = site.token()
    unsigned = whole.rpartition(".")[0] + "."

    tokens = [site.token(forger), site.token(site.sandbox.keys.bot_service_key), unsigned, "garbage", ""]
    assert [401] * 5 == [(await site.post(alert(), token)).status for token in tokens]
    assert [] == await site.known()


async def test_a_signature_by_another_key_or_of_another_moment_is_refused(site: Site) -> None:
    """Five minutes are the most that clocks may differ by."""
    refused = [
        await site.post_signed(alert(), key="b" * 64),
        await site.post_signed(alert(), at=time.time() - 400),
        await site.post_signed(alert(), at=time.time() + 400),
        await site.post(alert()),
    ]

    assert [401] * 4 == [answer.status for answer in refused]
    assert [] == await site.known()


async def test_without_any_sender_in_the_settings_there_is_no_such_page(site: Site) -> None:
    """As for every unknown path, so that nobody learns that it could be there."""
    async with aiohttp.ClientSession() as to_entra, listening(site, opened(site, to_entra, WebhookSettings())):
        async with site.session.post(site.url, json=alert()) as got:
            assert 404 == got.status


# --- the same again --------------------------------------------------------------------------------------------------


async def test_the_same_delivery_again_changes_nothing(site: Site) -> None:
    """A replay within the five minutes, and the same alert by another way, are the alert that there is."""
    await site.post_signed({"value": [alert(1), alert(2)]})
    before = await site.store.alerts.alerts()

    again = [await site.post_signed({"value": [alert(1), alert(2)]}), await site.post(alert(1), site.token())]

    assert [202, 202] == [answer.status for answer in again]
    assert before == await site.store.alerts.alerts()


async def test_a_hundred_deliveries_at_once_make_one_alert(site: Site) -> None:
    """However many senders tell of it at the same time."""
    answers = await asyncio.gather(*(site.post_signed(alert()) for _ in range(100)))

    assert {202} == {answer.status for answer in answers}
    assert ["user1@contoso.com"] == await site.known()


# --- what is too much, and what is wrong -----------------------------------------------------------------------------


async def test_a_megabyte_is_the_most(site: Site) -> None:
    """With a length that says so, and when the length is not told."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(200):
            yield b" " * 10_000

    told = await site.post(b" " * 1_000_001, site.token())
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {site.token()}"}
    async with site.session.post(site.url, data=endless(), headers=headers) as got:
        untold = got.status

    assert (413, 413) == (told.status, untold)


async def test_nearly_a_megabyte_of_alerts_is_taken_in_time(site: Site) -> None:
    """Within three seconds, all of them."""
    many = [alert(number, description="x" * 1200) for number in range(600)]

    answer = await site.post_signed({"value": many})

    assert (202, 600) == (answer.status, answer.body.get("accepted"))
    assert answer.after_s < 3
    assert 600 == len(await site.known())


async def test_only_json_is_read(site: Site) -> None:
    """A form or a text is refused before anything else."""
    answer = await site.post(b"id=1", site.token(), **{"Content-Type": "application/x-www-form-urlencoded"})

    assert (415, {"error": "not_json"}) == (answer.status, answer.body)


@pytest.mark.parametrize(
    ("content", "field_name"),
    [(b"garbage", "body"), ({"value": 1}, "value"), ({"title": "x"}, "id"), ({"value": [alert(), 7]}, "value[1]")],
)
async def test_what_cannot_be_read_is_told_by_its_field(site: Site, content: Any, field_name: str) -> None:
    """So that whoever builds the sender can mend it."""
    answer = await site.post(content, site.token())

    assert (400, "bad_alert", field_name) == (answer.status, answer.body["error"], answer.body["field"])


async def test_an_alert_about_thousands_is_refused_at_once(site: Site) -> None:
    """Reading it keeps nobody else waiting."""
    people = [{"userAccount": {"azureAdUserId": f"{n:08x}"}} for n in range(3000)]
    answer = await site.post({"value": [alert(evidence=people), alert(2)]}, site.token())

    assert (400, "value[0].evidence", 1) == (answer.status, answer.body["field"], answer.body["accepted"])
    assert 2.5 > answer.after_s


async def test_the_others_of_a_delivery_count_although_one_is_broken(site: Site) -> None:
    """What is readable is not lost for a neighbour."""
    answer = await site.post({"value": [{"id": "x"}, alert()]}, site.token())

    assert (400, 1) == (answer.status, answer.body["accepted"])
    assert ["user1@contoso.com"] == await site.known()


# --- when we are slow or broken --------------------------------------------------------------------------------------


async def test_whoever_cannot_be_answered_in_time_is_asked_to_come_back(site: Site) -> None:
    """The work goes on meanwhile, so that coming back finds it done."""
    site.held.clear()

    answer = await site.post_signed(alert())

    assert (503, {"error": "busy"}) == (answer.status, answer.body)
    assert answer.after_s < 3
    site.held.set()
    async with asyncio.timeout(10):
        while not await site.known():
            await asyncio.sleep(0.01)


async def test_a_fault_of_ours_is_no_success(site: Site) -> None:
    """The sender tries again; what went wrong stays in our log."""
    site.fault = RuntimeError("the database is gone")

    answer = await site.post_signed(alert())

    assert (500, {"error": "internal"}) == (answer.status, answer.body)


async def test_without_keys_a_token_is_not_refused_but_put_off(site: Site) -> None:
    """While Entra cannot be reached nobody knows whether it is good."""
    await site.sandbox.close()

    answer = await site.post(alert(), site.token())

    assert (503, {"error": "keys_unavailable"}) == (answer.status, answer.body)
