"""
The pictures of a case over HTTP: read in the tenant, drawn on a card, asked for by typing and by pressing.

Bot and tenant run as in `test_main_job.py`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_main_job import asked, case_id_of, done, in_a_hurry, keys, quick_world
from tests.integration.world import Card, Teams, words

__all__ = ["in_a_hurry", "keys"]


@pytest.fixture
async def teams(keys: Path, tmp_path: Path, in_a_hurry: None) -> AsyncIterator[Teams]:
    async with quick_world(keys, tmp_path, alerts={}) as teams:
        yield teams


async def case_of(teams: Teams, account: str, name: str) -> Card:
    """The checklist of a new case, once its pictures are drawn."""
    await asked(teams, account, name)
    return await teams.card("alex", lambda text: name in text and "Charts" in text)


async def charts(teams: Teams, account: str, name: str) -> Card:
    """The answer to `charts`."""
    case_id = case_id_of(await case_of(teams, account, name))
    await teams.say("alex", f"charts {case_id}")
    return await teams.card("alex", f"{name} in pictures")


def chart(message: Card, kind: str) -> dict[str, Any]:
    """The chart of this kind on a card, without what stands in for it elsewhere."""
    drawn = [element for part in message["card"]["body"] for element in part.get("items", ())]
    return next(element for element in drawn if element["type"] == kind)


async def test_janes_burst_her_strangers_and_the_score_are_drawn(teams: Teams):
    """
    The attack stands out in numbers, in words, and by country, and nothing is changed by looking.
    """
    message = await charts(teams, "jane", "Jane Doe")
    said, before = words(message["card"]), chart(message, "Chart.Line")["data"][0]
    bars = chart(message, "Chart.VerticalBar.Grouped")

    assert max(value["y"] for value in before["values"]) > 100
    assert "recipients in the hour from" in said and "Usual in an hour:" in said
    assert {"Sweden", "Nigeria"} <= {series["legend"] for series in bars["data"]}
    assert "Nigeria: " in said
    assert 47 == chart(message, "Chart.Gauge")["value"]
    assert [] == await done(teams)


async def test_omars_newsletter_is_drawn_without_any_stranger(teams: Teams):
    """
    He was blocked without being compromised: a burst, and sign-ins from his own country.
    """
    message = await charts(teams, "omar", "Omar Said")
    bars = chart(message, "Chart.VerticalBar.Grouped")
    hours = [value["y"] for series in chart(message, "Chart.Line")["data"] for value in series["values"]]

    assert max(hours) >= 30, "sixty at once, on two sides of a full hour at worst"
    assert ["Sweden"] == [series["legend"] for series in bars["data"]]


async def test_the_button_sends_the_pictures_as_a_message_of_their_own(teams: Teams):
    """
    The checklist that was pressed stays a checklist.
    """
    checklist = await case_of(teams, "jane", "Jane Doe")
    pressed = await teams.click("alex", "charts", activity_id=checklist["activity_id"])

    assert "Unblock" in words(pressed["body"]["value"]) and "in pictures" not in words(pressed["body"]["value"])
    await teams.card("alex", "Jane Doe in pictures")


async def test_what_the_tenant_does_not_let_the_bot_read_is_said_and_not_drawn(teams: Teams):
    """
    Without the permission for sign-ins there is no picture of them, and no calm one either.
    """
    await teams.fault("forbidden", {"path_regex": "auditLogs/signIns"}, times=-1)
    message = await charts(teams, "jane", "Jane Doe")

    assert "Chart.VerticalBar.Grouped" not in json.dumps(message["card"])
    assert "? " in words(message["card"])
    assert chart(message, "Chart.Line")["data"]


async def test_the_report_has_the_times_and_the_pictures(teams: Teams):
    """
    How long it took to notice and to ask, in words, at the end of the report.
    """
    case_id = case_id_of(await case_of(teams, "jane", "Jane Doe"))
    texts: list[str] = []
    async with asyncio.timeout(30):
        while not any("Block to request:" in text and "Block to alert: not known" not in text for text in texts):
            await teams.say("alex", f"report {case_id}")  # the alert joins the case within seconds
            await asyncio.sleep(0.5)
            texts = [message.get("text") or "" for message in await teams.messages("alex")]
    assert any("Block to alert: " in text for text in texts)


async def test_only_who_may_read_the_case_sees_its_pictures(teams: Teams):
    """
    Least of all the account itself: whoever has taken it over would read along.
    """
    case_id = case_id_of(await case_of(teams, "jane", "Jane Doe"))
    await teams.say("jane", f"charts {case_id}")

    refused = await teams.card("jane", lambda text: bool(text))
    assert "in pictures" not in words(refused["card"])
