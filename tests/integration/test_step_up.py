"""A fresh sign-in before the hardest actions: from the click over the browser to Entra and back to the click."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from services.audit import Tag
from services.sandbox.seed import INES, MEGAN
from services.sandbox.teams_cards import buttons_of
from services.store import Store
from tests.integration.test_main_job import asked, in_a_hurry, keys, quick_world, shown, still_waits
from tests.integration.world import Teams, words

__all__ = ["in_a_hurry", "keys"]

#: One approver for everything, who has to sign in again for what is critical: Ada has an admin role since yesterday.
POLICY = {"rules": [{"approvers": 1}], "step_up": "critical", "step_up_max_age_minutes": 10}


class Browser:
    """Somebody's web browser: keeps cookies, trusts the sandbox, follows links."""

    def __init__(self, teams: Teams, session: aiohttp.ClientSession) -> None:
        self._teams, self._session = teams, session
        self._tls = teams.sandbox.sandbox.keys.client_ssl()

    async def open(self, address: str) -> tuple[int, str, list[str]]:
        """Status and text of the page at the end, and every address on the way to it."""
        async with self._session.get(address, ssl=self._tls) as page:
            way = [str(step.url) for step in (*page.history, page)]
            return page.status, await page.text(), way

    async def without_following(self, address: str) -> aiohttp.ClientResponse:
        async with self._session.get(address, ssl=self._tls, allow_redirects=False) as answer:
            return answer


class House:
    """A bot that asks for fresh sign-ins, and what people do with it."""

    def __init__(self, teams: Teams, store: Store) -> None:
        self.teams, self.store = teams, store

    async def press(self, who: str, verb: str, prompt: str, **more: Any) -> dict[str, Any]:
        """The card that a click is answered with."""
        reply = await self.teams.click(who, verb, activity_id=prompt, **more)
        shown(reply)
        return reply["body"]["value"]

    async def link(self, who: str, prompt: str, **more: Any) -> str:
        """The address of "Sign in again" on the card that an approval is answered with."""
        card = await self.press(who, "approve", prompt, **more)
        (address,) = (b.action["url"] for b in buttons_of(card) if b.action["type"] == "Action.OpenUrl")
        return address

    @asynccontextmanager
    async def browser_of(self, who: str) -> AsyncIterator[Browser]:
        await self.teams.switch(switches={"browser_user": f"{who}@contoso.com"})
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            yield Browser(self.teams, session)

    async def opened(self, who: str, address: str) -> tuple[int, str, list[str]]:
        """What this person sees who opens the link in a browser of their own."""
        async with self.browser_of(who) as browser:
            return await browser.open(address)

    async def tags(self) -> list[str]:
        (case,) = await self.store.cases(limit=1)
        return [entry.tag for entry in await self.store.audit_entries(case.case_id)]


@asynccontextmanager
async def house(keys: Path, folder: Path, *, one_clock: bool = False, **settings: Any) -> AsyncIterator[House]:
    policy = {"approvals": json.dumps(POLICY | settings.pop("policy", {})), "approvers": f"{MEGAN},{INES}"}
    async with quick_world(keys, folder, one_clock=one_clock, **policy, **settings) as teams:
        store = Store(f"sqlite:///{folder}/unblock.db", teams.sandbox.sandbox.tenant.clock)
        try:
            yield House(teams, store)
        finally:
            await store.close()


@pytest.fixture
async def here(keys: Path, tmp_path: Path, in_a_hurry: None) -> AsyncIterator[House]:
    async with house(keys, tmp_path) as opened:
        yield opened


async def test_a_critical_change_is_approved_after_signing_in_again(here: House) -> None:
    """
    Click, sign in, click: only the second click counts, and the trail has all three.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")

    status, page, way = await here.opened("megan", await here.link("megan", prompt))
    assert (200, True) == (status, "Go back to Teams" in page)
    assert "/oauth2/v2.0/authorize?" in way[1] and "prompt=login" in way[1] and "max_age=600" in way[1]
    assert await still_waits(here.teams, prompt)
    await here.press("megan", "approve", prompt)

    await here.teams.card("approvals", "Approved: unblock Ada Quist")
    seen = [tag for tag in await here.tags() if tag in (Tag.SIGN_IN_ASKED, Tag.SIGN_IN_PROVEN, Tag.APPROVAL_GRANTED)]
    assert [Tag.SIGN_IN_ASKED, Tag.SIGN_IN_PROVEN, Tag.APPROVAL_GRANTED] == seen


async def test_without_signing_in_no_click_counts(here: House) -> None:
    """
    However often Megan presses; what she has typed stands on the card that she gets.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")

    for _ in range(3):
        card = await here.press("megan", "approve", prompt, inputs={"reason": "I called her"})

    assert "This change needs a fresh sign-in" in words(card)
    assert "I called her" in json.dumps(card)
    assert await still_waits(here.teams, prompt)


async def test_who_types_in_a_channel_gets_the_link_in_their_own_chat(here: House) -> None:
    """
    Nothing stands in the channel that others could open; after signing in, typing it again counts.
    """
    await asked(here.teams, "ada", "Ada Quist")
    (case,) = await here.store.cases(limit=1)
    yes = f"approve {case.approvals[0].typed_id}"

    await here.teams.say("megan", yes, conversation="approvals")
    await here.teams.card("approvals", "The link is in your own chat with the bot.")
    link = await here.teams.card("megan", "Sign in again first")
    assert "step-up/" not in json.dumps(await here.teams.messages("approvals"))
    (button,) = buttons_of(link["card"])
    await here.opened("megan", button.action["url"])
    await here.teams.say("megan", yes, conversation="approvals")

    await here.teams.card("approvals", "Approved: unblock Ada Quist")


async def test_saying_no_needs_no_sign_in(here: House) -> None:
    """
    A denial counts at once.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")

    await here.press("megan", "deny", prompt, inputs={"reason": "No"})

    await here.teams.card("approvals", "Denied: Ada Quist stays blocked")


async def test_a_proof_of_somebody_else_does_not_count(here: House) -> None:
    """
    Megan has signed in; Ines presses.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")

    await here.opened("megan", await here.link("megan", prompt))
    card = await here.press("ines", "approve", prompt)

    assert "This change needs a fresh sign-in" in words(card)
    assert await still_waits(here.teams, prompt)


async def test_a_link_that_was_passed_on_proves_nothing(here: House) -> None:
    """
    Ines signs in by Megan's link: neither of them has proven anything, and the link is used up.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")
    link = await here.link("megan", prompt)

    status, page, _ = await here.opened("ines", link)
    assert (400, True) == (status, "another account" in page)
    assert "has been used" in (await here.opened("megan", link))[1]
    await here.press("megan", "approve", prompt)
    await here.press("ines", "approve", prompt)

    assert await still_waits(here.teams, prompt)


async def test_a_sign_in_of_long_ago_is_refused(here: House) -> None:
    """
    An Entra that hands out an old session in spite of everything is not believed.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")
    await here.teams.switch(switches={"sign_in_age_s": 601})

    status, page, _ = await here.opened("megan", await here.link("megan", prompt))

    assert (400, True) == (status, "too old" in page)
    assert await still_waits(here.teams, prompt)
    assert Tag.SIGN_IN_REFUSED in await here.tags()


async def test_an_answer_belongs_to_the_browser_that_asked(here: House) -> None:
    """
    Whoever catches the address with the code cannot use it in another browser; in the right one it still works.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")
    link = await here.link("megan", prompt)

    async with here.browser_of("megan") as browser:
        to_entra = await browser.without_following(link)
        back = (await browser.without_following(to_entra.headers["Location"])).headers["Location"]
        assert "did not end in the browser" in (await here.opened("megan", back))[1]
        assert "Go back to Teams" in (await browser.open(back))[1]
        assert 400 == (await browser.open(back))[0]


async def test_the_pages_give_nothing_away(here: House) -> None:
    """
    They may not be framed, kept or run anything; what comes with the address is not shown; the cookie is the browser's.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")
    link = await here.link("megan", prompt)

    async with here.browser_of("megan") as browser:
        to_entra = await browser.without_following(link)
        strange = await browser.open(str(URL(link).with_path("/step-up/callback").with_query(state="<b>", error="<b>")))

    assert "<b>" not in strange[1] and 400 == strange[0]
    assert ("no-store", "no-referrer") == (to_entra.headers["Cache-Control"], to_entra.headers["Referrer-Policy"])
    assert "frame-ancestors 'none'" in to_entra.headers["Content-Security-Policy"]
    cookie = to_entra.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/step-up" in cookie
    logins = json.dumps((await here.teams.journal(service="login"))["requests"])
    assert URL(to_entra.headers["Location"]).query["state"] not in logins


async def test_the_page_speaks_the_language_of_the_person(here: House) -> None:
    """
    Megan's Teams is Swedish.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")

    _, page, _ = await here.opened("megan", await here.link("megan", prompt, locale="sv-SE"))

    assert '<html lang="sv">' in page and "Gå tillbaka till Teams" in page


async def test_an_authentication_context_has_to_be_satisfied(keys: Path, tmp_path: Path, in_a_hurry: None) -> None:
    """
    With a context in the policy the sign-in must say that it satisfies it.
    """
    async with house(keys, tmp_path, policy={"step_up_context": "c7"}) as here:
        prompt = await asked(here.teams, "ada", "Ada Quist")

        assert "not as strong" in (await here.opened("megan", await here.link("megan", prompt)))[1]
        await here.teams.switch(switches={"auth_contexts": ["c7"]})
        assert "Go back to Teams" in (await here.opened("megan", await here.link("megan", prompt)))[1]


async def test_a_proof_is_over_when_the_sign_in_is_too_old(keys: Path, tmp_path: Path, in_a_hurry: None) -> None:
    """
    Ten minutes later Megan has to sign in once more.
    """
    async with house(keys, tmp_path, one_clock=True) as here:
        prompt = await asked(here.teams, "ada", "Ada Quist")
        await here.opened("megan", await here.link("megan", prompt))
        await here.teams.switch(advance_s=600)

        assert "This change needs a fresh sign-in" in words(await here.press("megan", "approve", prompt))


async def test_entra_that_does_not_answer_is_said_to_be_down(here: House) -> None:
    """
    Nothing is proven, and the page says that it is not the person's fault.
    """
    prompt = await asked(here.teams, "ada", "Ada Quist")
    link = await here.link("megan", prompt)
    await here.teams.fault("drop_connection", {"service": "login", "method": "POST"})

    status, page, _ = await here.opened("megan", link)

    assert (503, True) == (status, "could not be reached" in page)
    assert await still_waits(here.teams, prompt)
