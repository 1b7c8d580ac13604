"""What the services say about who is on call, read from their own words, odd ones too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from services.clients.graph import GraphClient
from services.clients.graph_shifts import parse_shift, parse_time_off
from services.clients.http import Sender
from services.errors import BrokenAnswer, Rejected
from services.oncall import opsgenie, pagerduty
from services.oncall.paging import LIMITS, ApiKey, sender_for
from services.oncall.settings import OpsgenieSettings
from services.oncall.shifts import on_shift
from tests.fakes.http import Answer, FakeSession, FakeTime, Script, answered

AT = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
MEGAN = "a1e00000-0000-4000-8000-000000000002"
SHIFT = {
    "id": "SHFT_1",
    "userId": MEGAN.upper(),
    "schedulingGroupId": "TAG_1",
    "sharedShift": {"startDateTime": "2026-11-24T00:00:00Z", "endDateTime": "2026-11-24T08:00:00.000Z"},
    "draftShift": {"startDateTime": "2026-11-25T00:00:00Z", "endDateTime": "2026-11-25T08:00:00Z"},
}


def entry(**more: Any) -> dict[str, Any]:
    user = {"id": "PU1", "type": "user", "name": "Megan Bowen", "email": "megan@contoso.com"}
    return {"escalation_level": 1, "start": None, "end": None, "user": user, **more}


# --- Teams Shifts ---


def test_a_shift_is_what_was_published() -> None:
    """
    What a planner has in mind for tomorrow does not count today.
    """
    shift = parse_shift(SHIFT)

    assert shift is not None
    assert (MEGAN, "TAG_1", True) == (shift.user_oid, shift.scheduling_group_id, shift.covers(AT))
    assert [True, False] == [shift.covers(at) for at in (shift.starts_at, shift.ends_at)]


@pytest.mark.parametrize("more", [{"sharedShift": None}, {"sharedShift": {}}, {"userId": None}])
def test_a_draft_and_a_shift_without_anybody_are_none(more: dict[str, Any]) -> None:
    """
    Nobody works them.
    """
    assert parse_shift({**SHIFT, **more}) is None


@pytest.mark.parametrize("shared", [{"startDateTime": "soon", "endDateTime": None}, "x", {"startDateTime": []}])
def test_a_published_shift_without_its_times_is_no_answer(shared: Any) -> None:
    """
    Whether somebody is on it now could not be known.
    """
    with pytest.raises(BrokenAnswer):
        parse_shift({**SHIFT, "sharedShift": shared})


def test_a_time_off_takes_somebody_from_their_shift_while_it_lasts() -> None:
    """
    Before it and after it they are on shift.
    """
    shift = parse_shift(SHIFT)
    off = parse_time_off(
        {"userId": MEGAN, "sharedTimeOff": {"startDateTime": "2026-11-24T02:00Z", "endDateTime": "2026-11-24T04:00Z"}}
    )

    assert shift is not None and off is not None
    hours = [AT + timedelta(hours=h) for h in (-2, 0, 2)]
    assert [1, 0, 1] == [len(on_shift([shift], [off], at)) for at in hours]


async def test_shifts_are_asked_for_by_a_window_with_each_property_once() -> None:
    """
    Graph takes no more, and no header says whom the app acts as.
    """
    script = Script({"value": [SHIFT, {**SHIFT, "sharedShift": None}]})
    found = await GraphClient(script).shifts("team/1", AT - timedelta(days=1), AT)
    (request,) = script.requests

    assert 1 == len(found)
    assert request.url.startswith("https://graph.microsoft.com/v1.0/teams/team%2F1/schedule/shifts?$filter=")
    assert [
        "sharedShift/startDateTime ge 2026-11-23T03:00:00Z and sharedShift/endDateTime le 2026-11-24T03:00:00Z"
    ] == (parse_qs(urlsplit(request.url).query)["$filter"])
    assert {} == dict(request.headers)


# --- PagerDuty ---


def test_pagerduty_is_asked_about_this_minute_in_its_own_way() -> None:
    """
    Every schedule, users with their addresses, UTC, and the version that we read.
    """
    request = pagerduty.build_on_calls("https://api.pagerduty.com", ["PA", "PB"], AT, 100)
    query = parse_qs(urlsplit(request.url).query)

    assert (["PA", "PB"], ["users"], ["UTC"], ["100"]) == (
        query["schedule_ids[]"],
        query["include[]"],
        query["time_zone"],
        query["offset"],
    )
    assert (["2026-11-24T03:00:00Z"], ["2026-11-24T03:01:00Z"]) == (query["since"], query["until"])
    assert "application/vnd.pagerduty+json;version=2" == request.headers["Accept"]


@pytest.mark.parametrize(
    ("more", "address", "name", "covers"),
    [
        ({}, "megan@contoso.com", "Megan Bowen", True),
        (
            {"start": "2026-11-24T03:00:00Z", "end": "2026-11-24T04:00:00+00:00"},
            "megan@contoso.com",
            "Megan Bowen",
            True,
        ),
        ({"start": "2026-11-24T03:00:30Z"}, "megan@contoso.com", "Megan Bowen", False),
        ({"end": "2026-11-24T03:00:00Z"}, "megan@contoso.com", "Megan Bowen", False),
        ({"user": {"id": "PU9", "type": "user_reference", "summary": "Carl"}}, None, "Carl", True),
        ({"user": None, "escalation_level": "x"}, None, None, True),
        ({"start": "whenever"}, "megan@contoso.com", "Megan Bowen", True),
    ],
)
def test_an_entry_of_pagerduty_is_read(
    more: dict[str, Any], address: str | None, name: str | None, covers: bool
) -> None:
    """
    An open end is open; what cannot be read does not take away somebody whom PagerDuty puts on call.
    """
    (found,), more_pages = pagerduty.parse_on_calls(answered({"oncalls": [entry(**more)], "more": False}))

    assert (address, name, covers, False) == (found.address, found.name, found.covers(AT), more_pages)


@pytest.mark.parametrize("body", [{}, [], {"oncalls": None}, {"oncalls": {}}, {"oncalls": ["x"]}, b"<html>", None])
def test_no_list_of_pagerduty_is_no_answer(body: Any) -> None:
    """
    Only an empty list says that nobody is on call.
    """
    with pytest.raises(BrokenAnswer):
        pagerduty.parse_on_calls(answered(body))


# --- Opsgenie ---


def test_opsgenie_is_asked_by_name_at_a_moment() -> None:
    """
    The plus of the offset is spelled so that it does not become a space.
    """
    settings = OpsgenieSettings(kind="opsgenie", schedule="Mail on call", key=SecretStr("k"), region="eu")

    assert (
        "https://api.eu.opsgenie.com/v2/schedules/Mail%20on%20call/on-calls"
        "?scheduleIdentifierType=name&flat=true&date=2026-11-24T03%3A00%3A00%2B00%3A00"
    ) == opsgenie.build_on_calls(settings, AT).url


@pytest.mark.parametrize(
    ("data", "names"),
    [
        ({"onCallRecipients": ["megan@contoso.com", "", None]}, ("megan@contoso.com",)),
        ({"onCallRecipients": [], "_parent": {"enabled": True}}, ()),
        ({"onCallRecipients": ["megan@contoso.com"], "_parent": {"enabled": False}}, ()),
    ],
)
def test_the_recipients_of_opsgenie_are_read(data: dict[str, Any], names: tuple[str, ...]) -> None:
    """
    Blanks are nobody, and so is a schedule that is switched off.
    """
    assert names == opsgenie.parse_on_calls(answered({"data": data}))


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {"onCallRecipients": None}}, {"data": []}, b"x"])
def test_no_list_of_opsgenie_is_no_answer(body: Any) -> None:
    """
    Also where the answer has another form, as when `flat` was not understood.
    """
    with pytest.raises(BrokenAnswer):
        opsgenie.parse_on_calls(answered(body))


# --- keys ---


async def test_a_key_is_sent_as_its_service_wants_it() -> None:
    """
    PagerDuty's prefix and version, not what Microsoft's services get.
    """
    session, time = FakeSession(Answer(body={"oncalls": []})), FakeTime()
    request = pagerduty.build_on_calls("https://api.pagerduty.com", ["PA"], AT, 0)

    await sender_for(SecretStr("s3cret"), session, time)(request)

    headers = session.sent[0].headers
    assert ("Token token=s3cret", "application/vnd.pagerduty+json;version=2") == (
        headers["Authorization"],
        headers["Accept"],
    )
    assert "s3cret" not in repr(request)


async def test_a_service_that_leads_elsewhere_is_not_followed() -> None:
    """
    The key would go with it.
    """
    session, time = FakeSession(Answer(302, b"", {"Location": "https://elsewhere.example/"})), FakeTime()
    sender = Sender(session, ApiKey(SecretStr("s3cret")), time, time.sleep, time.monotonic, limits=LIMITS)

    with pytest.raises(Rejected):
        await sender.send(pagerduty.build_on_calls("https://api.pagerduty.com", ["PA"], AT, 0))

    assert 1 == len(session.sent)
