"""What the bot notices about senders and about itself, over HTTP: from the tenant to the card in the channel."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.alerts.model import AlertKind
from services.sandbox.defender import RESTRICTED
from services.sandbox.seed import INES
from services.sandbox.state import RiskyUser
from tests.fakes.sandboxed import FAST
from tests.integration.test_main_job import keys
from tests.integration.watched import Watched, until, watched

__all__ = ["keys"]

WRONG, RIGHT = "Unblock cannot do all of its work", "Unblock does this part of its work again"
LOGIC_APP = "33333333-3333-4333-8333-333333333333"
INES_UPN = "ines@contoso.com"
Open = Callable[..., Awaitable[Watched]]


@pytest.fixture
async def opened(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens a watched tenant with these settings: `await opened()`."""
    monkeypatch.setattr("services.clients.http.LANES", FAST)
    async with AsyncExitStack() as closing:

        async def open_one(**settings: Any) -> Watched:
            return await closing.enter_async_context(watched(keys, f"sqlite:///{tmp_path}/unblock.db", **settings))

        yield open_one


async def pass_time(here: Watched, **duration: float) -> None:
    await here.teams.switch(advance_s=timedelta(**duration).total_seconds())


# --- senders ---------------------------------------------------------------------------------------------------------


async def test_a_risky_account_that_sends_far_too_much_is_told_of_before_microsoft_blocks_it(opened: Open) -> None:
    """With what it sends and what is allowed; hours later, when it is calm again, the card says so."""
    here = await opened(alerts={"early_warning": {"on": True}})
    now = here.tenant.clock.now()
    here.tenant.risky_users.append(RiskyUser(INES, "high", "atRisk", "none", now))
    await here.teams.send(INES_UPN, recipients=300, subject="Invoice", messages=1)
    await pass_time(here, minutes=1)

    card = await here.card("Ines", "300 recipients within an hour")
    assert AlertKind.EARLY_WARNING is (await here.alert()).kind
    assert "alert_start" in str(card["card"])

    await pass_time(here, hours=3)
    await until(lambda: _is_over(here))
    assert card["activity_id"] == (await here.card("Ines"))["activity_id"]


async def _is_over(here: Watched) -> bool:
    return not (await here.alerts())


async def test_an_account_that_nothing_points_at_is_not_counted(opened: Open) -> None:
    """However much it sends: nobody's mail is looked at without a reason."""
    here = await opened(alerts={"early_warning": {"on": True}})
    await here.teams.send(INES_UPN, recipients=300, subject="Invoice", messages=1)
    await pass_time(here, minutes=1)
    await here.quiet()

    assert [] == await here.alerts()
    asked = (await here.teams.journal(path="messageTraces"))["requests"]
    assert [] == [request for request in asked if INES_UPN in request["path"]]


async def test_without_the_trace_the_early_warning_is_off_and_not_broken(opened: Open) -> None:
    """No card about a source that fails; but whoever asks for alerts hears that nobody is warned."""
    here = await opened(alerts={"early_warning": {"on": True}})
    await here.teams.switch(take_away=["ExchangeMessageTrace.Read.All"])
    here.tenant.risky_users.append(RiskyUser(INES, "high", "atRisk", "none", here.tenant.clock.now()))
    for _ in range(4):
        await pass_time(here, minutes=1)
        await here.quiet(1)

    states = {state.source: state.failures for state in await here.store.alerts.source_states()}
    assert 0 == states["early_warning"]
    assert "the early warning" in await here.ask("alex", "alerts", "Off")


async def test_a_logic_app_with_a_token_of_the_tenant_raises_an_alert(opened: Open) -> None:
    """Through Entra's keys of the tenant, past every clock, to a card."""
    here = await opened(alerts={"off": ["defender", "restricted_list"], "webhook": {"callers": [LOGIC_APP]}})
    tenant_id, now = here.tenant.tenant_id, int(time.time())
    claims = {"iss": f"https://sts.windows.net/{tenant_id}/", "tid": tenant_id, "appid": LOGIC_APP}
    claims |= {"aud": f"api://{here.tenant.app.app_id}", "exp": now + 600, "nbf": now - 5}
    token = here.teams.sandbox.sandbox.keys.login_key.sign(claims)
    alert = {"id": "la-1", "title": RESTRICTED, "evidence": [{"userAccount": {"userPrincipalName": INES_UPN}}]}

    url, headers = f"{here.settings.public_url}/api/alerts", {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession() as session, session.post(url, json=alert, headers=headers) as answer:
        assert (202, 1) == (answer.status, (await answer.json())["accepted"])

    await here.card(INES_UPN)


# --- the bot itself --------------------------------------------------------------------------------------------------


async def test_a_permission_that_is_taken_away_is_told_and_so_is_its_return(opened: Open) -> None:
    """As soon as a new token shows it."""
    here = await opened()
    await until(lambda: _was_looked_at(here))
    await here.teams.switch(take_away=["Policy.Read.All"], expire_tokens=True)
    card = await here.card(WRONG, "Policy.Read.All")

    await here.teams.switch(grant=["Policy.Read.All"], expire_tokens=True)
    assert card["activity_id"] == (await here.card(RIGHT))["activity_id"]


async def _was_looked_at(here: Watched) -> bool:
    return await here.store.chosen("permissions_seen") is not None


async def test_a_secret_that_ends_soon_is_told(opened: Open) -> None:
    """By what the app registration says of it."""
    here = await opened(started=False)
    here.tenant.app.secret_days = 5
    await here.start()
    await here.teams.sandbox.relay.announce_when_up()

    await here.card(WRONG, "client secret")


# --- the week --------------------------------------------------------------------------------------------------------


async def test_the_summary_of_the_week_is_posted_once(opened: Open) -> None:
    """When its time comes, also after a restart, with the blocks of the week."""
    here = await opened(alerts={"weekly": {"day": "mon", "at": "08:00"}})
    await here.block(INES_UPN)
    await here.card("Ines")
    due = here.settings.alerts.weekly.next_after(here.tenant.clock.now())
    await here.stop()
    await pass_time(here, seconds=(due - here.tenant.clock.now()).total_seconds() + 1)
    await here.start()

    await here.card("1 block")
    await here.stop()
    await here.start()
    await here.quiet()
    states = {state.source: state for state in await here.store.alerts.source_states()}
    assert due + timedelta(days=7) == states["weekly_summary"].due_at
    assert 1 == len([card for card in await here.cards("1 block")])
