"""What the investigation reads from Graph besides the account itself: logs, searches, messages, apps and devices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.clients import graph, graph_activity
from services.clients.graph import GraphClient, Place
from services.errors import BrokenAnswer, NotFound, Rejected, Unavailable
from tests.fakes.http import FakeTime, Script
from tests.unit.test_clients_graph import OID, SINCE, client, filter_of, path_of

PLACE = Place.at("https://graph.microsoft.com")
UPN = "jane@contoso.com"
UNTIL = SINCE + timedelta(days=7)


# --- sign-ins ---


async def test_background_sign_ins_come_from_beta():
    """
    v1.0 tells of interactive ones alone, so the others are asked for where they are, and by their kind.
    """
    sign_ins, script = client({"value": [{"id": "1"}]})

    assert ["1"] == [found.sign_in_id for found in await sign_ins.background_sign_ins(OID, SINCE)]
    assert "/beta/auditLogs/signIns" == path_of(script.requests[0].url)
    assert filter_of(script.requests[0].url).startswith("signInEventTypes/any(t: t eq 'nonInteractiveUser') and userId")
    assert "reports" == script.requests[0].lane


@pytest.mark.parametrize("refusal", [Rejected("graph", code="BadRequest", status=400), NotFound("graph")])
async def test_a_beta_that_has_changed_is_no_empty_list(refusal):
    """
    Whoever asks learns that it cannot be read.
    """
    sign_ins, _ = client(refusal)

    with pytest.raises(type(refusal)):
        await sign_ins.background_sign_ins(OID, SINCE)


async def test_sign_ins_from_an_address_are_anybodys():
    """
    The address is quoted like any other text.
    """
    sign_ins, script = client({"value": []})

    await sign_ins.sign_ins_from("203.0.113.5' or 1 eq 1", SINCE)

    assert "ipAddress eq '203.0.113.5'' or 1 eq 1' and createdDateTime ge 2026-11-17T09:00:00Z" == filter_of(
        script.requests[0].url
    )


# --- the unified audit log ---


class Searches(Script):
    """Graph that runs searches: each is started, is `states` in turn when looked at, and then has records."""

    def __init__(self, *states: str, records: list[dict[str, object]] | None = None, **more: object) -> None:
        super().__init__()
        self.states, self.records, self.more = states, records or [], more
        self.looks: dict[str, int] = {}

    async def __call__(self, request):
        self._answers = [self._answer(request)]
        return await super().__call__(request)

    def _answer(self, request):
        if request.method == "POST":
            return {"id": f"s{len([sent for sent in self.requests if sent.method == 'POST'])}", "status": "notStarted"}
        if request.url.split("?")[0].endswith("/records"):
            return {"value": self.records}
        search = request.url.rsplit("/", 1)[1]
        self.looks[search] = self.looks.get(search, -1) + 1
        return {"id": search, "status": self.states[min(self.looks[search], len(self.states) - 1)], **self.more}


def searching(script: Searches) -> tuple[GraphClient, FakeTime]:
    time = FakeTime()
    return GraphClient(script, sleep=time.sleep), time


async def test_a_search_asks_for_what_was_done_by_and_to_the_account():
    """
    Graph filters by who did it; what others did to the mailbox is found by other searches, at the same time.
    """
    script = Searches("succeeded")
    logs, _ = searching(script)

    await logs.audit_records(UPN, since=SINCE, until=UNTIL)

    bodies = [request.body for request in script.requests if request.method == "POST"]
    assert [[UPN]] == [body["userPrincipalNameFilters"] for body in bodies if "userPrincipalNameFilters" in body]
    assert [[UPN]] == [body["objectIdFilters"] for body in bodies if "objectIdFilters" in body]
    assert [UPN] == [body["keywordFilter"] for body in bodies if "keywordFilter" in body]
    assert {"2026-11-17T09:00:00Z"} == {body["filterStartDateTime"] for body in bodies}


async def test_a_record_that_several_searches_find_is_one():
    """
    They come newest first, whatever order Microsoft chose.
    """
    records = [
        {"id": "old", "createdDateTime": "2026-11-18T09:00:00Z"},
        {"id": "new", "createdDateTime": "2026-11-19T09:00:00Z"},
    ]
    logs, _ = searching(Searches("succeeded", records=records))

    assert ["new", "old"] == [record.record_id for record in await logs.audit_records(UPN, since=SINCE, until=UNTIL)]


async def test_a_search_is_looked_at_less_and_less_often():
    """
    Most take seconds, some take minutes.
    """
    logs, time = searching(Searches("notStarted", "running", "running", "unknownFutureValue", "succeeded"))

    await logs.audit_records(UPN, since=SINCE, until=UNTIL)

    assert [0.5, 1.0, 2.0, 4.0, 8.0] == sorted(set(time.sleeps))


async def test_a_search_that_takes_too_long_is_unavailable():
    """
    No record so far is no record at all: the caller learns that it was still running.
    """
    logs, time = searching(Searches("running"))

    with pytest.raises(Unavailable) as trouble:
        await logs.audit_records(UPN, since=SINCE, until=UNTIL, patience_s=10)

    assert "still_running" == trouble.value.params["reason"]
    assert max(time.sleeps) <= 8


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_a_search_that_came_to_nothing_is_no_good_news(state):
    """
    Its state is the code of the refusal.
    """
    logs, _ = searching(Searches("running", state))

    with pytest.raises(Rejected) as refusal:
        await logs.audit_records(UPN, since=SINCE, until=UNTIL)

    assert state == refusal.value.code


async def test_a_search_that_microsoft_cut_off_is_refused():
    """
    It succeeds and still leaves records out; what was left out might be what matters.
    """
    logs, _ = searching(Searches("succeeded", isRecordCountLimitExceeded=True))

    with pytest.raises(Rejected) as refusal:
        await logs.audit_records(UPN, since=SINCE, until=UNTIL)

    assert "too_many_records" == refusal.value.code


@pytest.mark.parametrize("body", [None, [], {}, {"id": None, "status": "running"}, {"id": "1", "status": {}}])
async def test_an_odd_answer_to_a_search_is_broken(body):
    """
    Without an id there is nothing to look at.
    """
    logs, _ = client(body, body, body)

    with pytest.raises(BrokenAnswer):
        await logs.audit_records(UPN, since=SINCE, until=UNTIL)


def test_a_record_is_read_with_all_that_it_holds():
    """
    The kind decides what is inside, so that stays as it came, but for what cannot be stored.
    """
    record = graph.parse_audit_record(
        {
            "id": "1",
            "createdDateTime": "2026-11-18T09:00:00Z",
            "operation": "New-InboxRule",
            "userPrincipalName": UPN,
            "clientIp": "203.0.113.5:53243",
            "auditData": {"Parameters": [{"Name": "Na\u0000me", "Value": 1}]},
        }
    )

    assert (UPN, "203.0.113.5", "New-InboxRule") == (record.user_upn, record.ip_address, record.operation)
    assert {"Parameters": [{"Name": "Na\ufffdme", "Value": 1}]} == record.data


def test_a_record_with_empty_columns_is_filled_from_inside():
    """
    Columns may be null while the entry itself says it.
    """
    inner = {"UserId": UPN, "ClientIPAddress": "[2001:db8::7]:443"}

    record = graph.parse_audit_record({"id": "1", "userPrincipalName": None, "clientIp": None, "auditData": inner})

    assert (UPN, "2001:db8::7") == (record.user_upn, record.ip_address)


@pytest.mark.parametrize("data", [{"id": "1", "auditData": []}, {"id": "1", "clientIp": {}}, {"auditData": {}}])
def test_a_record_of_another_shape_is_broken(data):
    """
    A container where a value belongs, or no identity.
    """
    with pytest.raises(BrokenAnswer):
        graph.parse_audit_record(data)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("203.0.113.5:1", "203.0.113.5"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:65535", "2001:db8::1"),
        ("somewhere", "somewhere"),
        ("", ""),
    ],
)
def test_addresses_lose_their_port(written, read):
    """
    Exchange writes addresses with and without one, and sign-ins never do.
    """
    assert read == graph_activity.without_port(written)


# --- messages ---


async def test_sent_messages_count_from_when_they_were_sent():
    """
    Graph sorts by what it filters by; in other folders a message counts from its arrival.
    """
    mail, script = client({"value": []}, {"value": []})

    await mail.mail_items(OID, "sentitems", SINCE)
    await mail.mail_items(OID, "deleteditems", SINCE)

    assert ["sentDateTime ge 2026-11-17T09:00:00Z", "receivedDateTime ge 2026-11-17T09:00:00Z"] == [
        filter_of(request.url) for request in script.requests
    ]
    assert "sentDateTime%20desc" in script.requests[0].url
    assert "body" not in script.requests[0].url


def test_everybody_whom_a_message_went_to_is_read():
    """
    To, copy and blind copy; somebody without an address keeps the name.
    """
    item = graph.parse_mail_item(
        {
            "id": "1",
            "internetMessageId": "<a@b>",
            "toRecipients": [{"emailAddress": {"address": "a@x.example"}}],
            "ccRecipients": [{"emailAddress": {"name": "Only a name"}}],
            "bccRecipients": None,
            "sentDateTime": "not a time",
        }
    )

    assert ("a@x.example", "Only a name") == item.recipients
    assert item.sent_at is None


# --- apps, devices, alerts ---


def test_an_app_assignment_is_read():
    """
    Documents have two names for when it was made; a null one is unknown.
    """
    assignment = graph.parse_app_assignment(
        {"id": "1", "creationTimestamp": "2026-11-01T00:00:00Z", "resourceId": "sp"}
    )

    assert datetime(2026, 11, 1, tzinfo=UTC) == assignment.created_at
    assert ("", "sp") == (assignment.app_name, assignment.app_sp_oid)


@pytest.mark.parametrize(
    ("data", "managed"),
    [({"isManaged": "true"}, True), ({"isManaged": 1}, None), ({"isManaged": None}, None), ({}, None)],
)
def test_a_device_without_answers_is_neither_managed_nor_not(data, managed):
    """
    Personal devices have null there.
    """
    device = graph.parse_registered_device({"id": "1", "@odata.type": "#microsoft.graph.device", "new": {}, **data})

    assert managed is device.is_managed


@pytest.mark.parametrize("parse", [graph.parse_app_assignment, graph.parse_registered_device, graph.parse_mail_item])
@pytest.mark.parametrize("data", [{}, {"id": None}, {"id": {}}, {"id": " "}])
def test_what_has_no_identity_is_broken(parse, data):
    """
    It could not be told from others, nor taken away.
    """
    with pytest.raises(BrokenAnswer):
        parse(data)


async def test_alerts_of_every_product_can_be_read():
    """
    Without a product there is no condition on it.
    """
    alerts, script = client({"value": []})

    await alerts.alerts(since=SINCE, service_source=None)

    assert "createdDateTime ge 2026-11-17T09:00:00Z" == filter_of(script.requests[0].url)


# --- the message trace ---


async def test_the_events_of_a_message_are_asked_for_one_recipient():
    """
    Both names stay what they are, whatever is in them: a quote is doubled, a slash does not divide.
    """
    traces, script = client({"value": [{"event": "Fail", "description": "Reason: [{LED=550 5.1.8}]", "new": 1}]})

    (event,) = await traces.message_trace_events("a/b", "o'brien@fabrikam.example")

    asked = "/v1.0/admin/exchange/tracing/messageTraces/a%2Fb/getDetailsByRecipient"
    assert f"{asked}(recipientAddress=%27o%27%27brien%40fabrikam.example%27)" == path_of(script.requests[0].url)
    assert ("Fail", "traces") == (event.event, script.requests[0].lane)


@pytest.mark.parametrize("received", [None, "soon", ""])
async def test_a_row_of_the_trace_without_its_time_is_no_mail_that_was_never_sent(received: str | None):
    """
    Everything is counted by time, so such a row would be missing from every count; Microsoft says it is never null.
    """
    traces, _ = client({"value": [{"status": "delivered", "receivedDateTime": received}]})

    with pytest.raises(BrokenAnswer):
        await traces.message_traces("jane@contoso.com", since=SINCE, until=SINCE)
