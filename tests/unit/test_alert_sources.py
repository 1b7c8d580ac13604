"""What the lists of Exchange and Microsoft Defender report, and who lifted a block."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.alerts.connectors import BlockedConnectors
from services.alerts.defender import FIRST_LOOK, MOST_ALERTS, MOST_PEOPLE, OVERLAP, Defender, reports_of
from services.alerts.lifting import who_lifted
from services.alerts.merging import Facts, merged
from services.alerts.model import Alert, AlertKind, Report, Severity, SourceName
from services.alerts.ports import Reading
from services.alerts.restricted_list import RestrictedList
from services.clients.exchange import parse_blocked_connector, parse_blocked_sender
from services.clients.graph_activity import parse_alert, parse_alert_loosely, parse_audit_record
from services.clients.graph_models import SecurityAlert
from services.errors import BrokenAnswer
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW

OID = "11111111-0000-4000-8000-000000000001"
USER = {"userAccount": {"userPrincipalName": "Jane@Contoso.example", "azureAdUserId": OID.upper()}}
MAILBOX = {"primaryAddress": "jane.doe@contoso.example", "upn": "jane@contoso.example"}


def alert(title: str = "User restricted from sending email", **fields: Any) -> SecurityAlert:
    plain = {"id": "d1", "title": title, "createdDateTime": "2026-11-24T02:58:00Z", "evidence": [USER, MAILBOX]}
    return parse_alert(plain | fields)


@pytest.mark.parametrize(
    ("title", "kind", "about"),
    [
        ("User restricted from sending email", AlertKind.SENDER_RESTRICTED, "jane@contoso.example"),
        ("USER  RESTRICTED from sending e-mail.", AlertKind.SENDER_RESTRICTED, "jane@contoso.example"),
        ("Email sending limit exceeded", AlertKind.SENDER_SUSPECTED, "jane@contoso.example"),
        ("Suspicious email sending patterns detected", AlertKind.SENDER_SUSPECTED, "jane@contoso.example"),
        ("Suspicious email forwarding activity", AlertKind.SENDER_SUSPECTED, "jane@contoso.example"),
        ("Suspicious connector activity", AlertKind.CONNECTOR_BLOCKED, "connector"),
        ("Suspicious tenant sending patterns observed", AlertKind.EARLY_WARNING, "tenant"),
        ("Tenant restricted from sending email", AlertKind.TENANT_RESTRICTED, "tenant"),
        ("Tenant restricted from sending unprovisioned email", AlertKind.TENANT_RESTRICTED, "tenant"),
    ],
)
def test_titles_are_known_by_their_words(title: str, kind: AlertKind, about: str) -> None:
    """
    How a title is spelled when it is delivered was not verified.
    """
    reports = reports_of(alert(title))

    assert reports is not None
    assert [(kind, about)] == [(report.kind, report.about) for report in reports]


@pytest.mark.parametrize("title", ["Creation of forwarding/redirect rule", "Phish delivered", ""])
def test_other_titles_are_none_of_ours(title: str) -> None:
    """
    They are told apart from an alert of ours that names nobody.
    """
    assert None is reports_of(alert(title))
    assert () == reports_of(alert(evidence=None))


def test_user_and_mailbox_of_one_account_are_one_report() -> None:
    """
    With every name, so that it joins what the restricted list says under any of them.
    """
    (report,) = reports_of(alert(status="resolved", severity="low", lastUpdateDateTime="2026-11-24T03:10:00Z")) or ()

    assert ("jane@contoso.example", OID, ("jane.doe@contoso.example",)) == (report.about, report.oid, report.also)
    assert (True, Severity.HIGH, NOW + timedelta(minutes=10)) == (report.is_over, report.severity, report.told_at)


def test_each_account_of_an_alert_is_a_report_of_its_own() -> None:
    """
    Microsoft joins the blocks of several people into one alert; here each has their own.
    """
    joe = {"userAccount": {"userPrincipalName": "joe@contoso.example"}}
    reports = reports_of(alert(evidence=[USER, joe, MAILBOX])) or ()

    assert {"jane@contoso.example", "joe@contoso.example"} == {report.about for report in reports}


def test_what_links_two_accounts_makes_them_one_wherever_it_stands() -> None:
    """
    The object id comes last here, and says that two addresses are of one account; the order is that of the alert.
    """
    names = [{"upn": "a@contoso.example"}, {"upn": "joe@contoso.example"}, {"upn": "b@contoso.example"}]
    links = [{"userAccount": {"userPrincipalName": f"{name}@contoso.example", "azureAdUserId": OID}} for name in "ba"]
    one, other = reports_of(alert(evidence=[*names, *links])) or ()

    assert ("a@contoso.example", OID, ("b@contoso.example",)) == (one.about, one.oid, one.also)
    assert "joe@contoso.example" == other.about


async def test_an_alert_about_very_many_counts_for_the_first_of_them(clock: FakeClock) -> None:
    """
    Each would get a card of its own.
    """
    many = [{"upn": f"person{n}@contoso.example"} for n in range(MOST_PEOPLE + 20)]
    reading = await Defender(FakeGraph(alert(evidence=many)), clock, 60).read(None)

    assert MOST_PEOPLE == len(reading.reports)
    assert "person0@contoso.example" == reading.reports[0].about


async def test_an_alert_of_the_far_future_began_nobody_knows_when(clock: FakeClock) -> None:
    """
    It is told all the same, and its last word does not outlast all that come after it.
    """
    far = "9999-12-31T23:59:59Z"
    graph = FakeGraph(alert(createdDateTime=far, lastUpdateDateTime=far))
    reading = await Defender(graph, clock, 60).read(None)

    assert [(None, None)] == [(report.since, report.told_at) for report in reading.reports]
    facts = Facts(tenant_id="t", now=clock.now(), new_id=lambda: "A1", list_read_at=clock.now())
    assert 1 == len(merged([], reading, facts))


def test_a_link_that_is_no_page_is_left_out() -> None:
    """
    Whoever sends alerts to us could write anything there.
    """
    for url in ("javascript:alert(1)", "http://contoso.example", None):
        (report,) = reports_of(alert(alertWebUrl=url)) or ()
        assert "" == report.web_url


@pytest.mark.parametrize("evidence", [[None, USER], [{"userAccount": 7}, USER], [3, USER, "x"]])
def test_broken_evidence_hides_nothing_else(evidence: list[Any]) -> None:
    """
    One piece that cannot be read takes neither the alert nor all others with it.
    """
    read = parse_alert_loosely({"id": "d1", "title": "User restricted from sending email", "evidence": evidence})

    assert read is not None
    assert ["jane@contoso.example"] == [report.about for report in reports_of(read) or ()]
    assert None is parse_alert_loosely({"title": "no id"})


class FakeGraph:
    """Answers with these alerts, and remembers since when it was asked."""

    def __init__(self, *alerts: SecurityAlert | None) -> None:
        self.alerts = alerts
        self.since: list[Any] = []
        self.until: list[Any] = []

    async def changed_alerts(self, *, since: Any, until: Any = None, limit: int) -> tuple[SecurityAlert | None, ...]:
        self.since.append(since)
        self.until.append(until)
        return self.alerts[:limit]


async def test_defender_is_read_on_with_an_overlap(clock: FakeClock) -> None:
    """
    An alert may become visible later than it is dated; what is read twice changes nothing.
    """
    graph = FakeGraph(alert(), None)
    defender = Defender(graph, clock, 60)

    first = await defender.read(None)
    await defender.read(first.read_until)

    assert [NOW - FIRST_LOOK, NOW - OVERLAP] == graph.since
    assert (1, (), NOW) == (len(first.reports), first.whole, first.read_until)


async def test_an_answer_that_may_be_cut_off_is_not_taken_for_all(clock: FakeClock) -> None:
    """
    Alerts beyond the end would be lost for ever, so the source counts as not readable.
    """
    with pytest.raises(BrokenAnswer):
        await Defender(FakeGraph(*[None] * MOST_ALERTS), clock, 60).read(None)


async def test_a_flood_of_alerts_is_read_slice_by_slice(clock: FakeClock) -> None:
    """
    Half of the time each, one after the other without a gap, until the present.
    """
    graph = FakeGraph(*[None] * MOST_ALERTS)
    defender = Defender(graph, clock, 60)
    with pytest.raises(BrokenAnswer):
        await defender.read(None)
    graph.alerts = (alert(),)

    first = await defender.read(None)
    second = await defender.read(first.read_until)

    start, half = NOW - FIRST_LOOK, FIRST_LOOK / 2
    assert [start, start, start + half] == graph.since
    assert ([None, start + half, None], NOW) == (graph.until, second.read_until)


class FakeExchange:
    """The two lists."""

    async def blocked_senders(self) -> tuple[Any, ...]:
        reason = "EmailSendingLimitExceeded;ExceedingLimitType=External"
        row = {"SenderAddress": "Jane@Contoso.example", "Reason": reason, "TemporaryBlock": True}
        return (parse_blocked_sender(row | {"CreatedDatetime": "2026-11-24T02:58:00Z"}),)

    async def blocked_connectors(self) -> tuple[Any, ...]:
        row = {"ConnectorId": "AAAA-1", "Reason": "OutboundSpamPercent=91", "CreatedDatetime": "2026-11-24T02:58:00Z"}
        return (parse_blocked_connector(row),)


async def test_the_lists_show_all_there_is() -> None:
    """
    What is missing from them is over, for their own kind alone.
    """
    senders = await RestrictedList(FakeExchange(), 60).read()
    connectors = await BlockedConnectors(FakeExchange(), 60).read()

    (jane,), (relay,) = senders.reports, connectors.reports
    assert ("jane@contoso.example", True, NOW - timedelta(minutes=2)) == (jane.about, jane.temporary, jane.since)
    assert "External" == jane.reason["ExceedingLimitType"]
    assert ("aaaa-1", "91") == (relay.about, relay.reason["OutboundSpamPercent"])
    assert ((AlertKind.SENDER_RESTRICTED,), (AlertKind.CONNECTOR_BLOCKED,)) == (senders.whole, connectors.whole)


def ended() -> Alert:
    report = Report(source=SourceName.RESTRICTED_LIST, kind=AlertKind.SENDER_RESTRICTED, about="jane@x", since=NOW)
    ((alert, _),) = merged([], Reading(reports=(report,)), Facts("t", NOW, lambda: "A1"))
    return alert.model_copy(update={"ended_at": NOW + timedelta(hours=1)})


def record(minutes: float, who: str, **fields: Any) -> Any:
    at = (NOW + timedelta(minutes=minutes)).isoformat()
    plain = {"id": who, "createdDateTime": at, "operation": "Remove-BlockedSenderAddress", "userPrincipalName": who}
    return parse_audit_record(plain | {"objectId": "Jane@x"} | fields)


def test_whoever_lifted_the_block_is_the_last_one_who_ran_the_cmdlet_for_it() -> None:
    """
    Not one who lifted an earlier block, or that of somebody else, or did something else.
    """
    parameters = {"auditData": {"Parameters": [{"Name": "SenderAddress", "Value": "jane@x"}]}}
    others = [
        record(-5, "before@x"),
        record(90, "after@x"),
        record(30, "elsewhere@x", objectId="joe@x"),
        record(31, "reader@x", operation="Get-BlockedSenderAddress"),
    ]

    assert None is who_lifted(ended(), others)
    assert "grace@x" == who_lifted(ended(), [*others, record(20, "early@x"), record(50, "grace@x")])
    assert "grace@x" == who_lifted(ended(), [record(50, "grace@x", objectId=None, **parameters)])


def test_what_is_lifted_shortly_after_a_block_is_another_block() -> None:
    """
    Blocked again and lifted by somebody else minutes later: each end has the name that belongs to it. Only when the log
    has nothing from before the end, what it dates a little later is taken for it.
    """
    first = [record(59, "attacker@x")]
    again = [record(69, "bob@x"), record(72, "carl@x")]

    assert "attacker@x" == who_lifted(ended(), [*again, *first])
    assert "bob@x" == who_lifted(ended(), again)


@pytest.mark.parametrize(
    ("result", "counts"),
    [("False", False), ("Failed", False), ("true", True), ("Succeeded", True), (True, True), (None, True)],
)
def test_who_tried_in_vain_has_lifted_nothing(result: str | bool | None, counts: bool) -> None:
    """
    A cmdlet that failed is in the log like any other; one whose record says nothing of it counts.
    """
    tried = record(50, "eve@x", auditData={"ResultStatus": result})

    assert ("eve@x" if counts else "grace@x") == who_lifted(ended(), [record(20, "grace@x"), tried])
