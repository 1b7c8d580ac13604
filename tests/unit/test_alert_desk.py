"""What people can order about alerts, and who may."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.alerts.desk import AlertDesk, SetAside, SnoozeAlert, SnoozeAll, StartAlert, StartAll
from services.alerts.model import Alert, AlertKind, AlertState
from services.audit import Tag
from services.case_ids import new_case_id
from services.cases import Actor, Case, CaseKind, CaseState
from services.casework import CancelCase, OpenCase
from services.clients.exchange_models import BlockedConnector, BlockedSender
from services.clients.graph_models import DirectoryUser
from services.errors import (
    AlertNotFound,
    AlertOver,
    BadDuration,
    BadInput,
    NoOpenAlert,
    NotAllowed,
    PermissionMissing,
    ServiceError,
    SeveralAlerts,
    UserError,
)
from services.store import Store
from tests.fakes import given
from tests.fakes.alerting import FakePoster, alert, campaign, raised
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW
from tests.fakes.people import ALEX, JANE, MEGAN, SAM, TENANT, actor

HOUR = timedelta(hours=1)


class FakeCasework:
    """Alex may ask for cases, Megan may read them, everybody else may nothing."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.opened: list[OpenCase] = []
        self.begun: list[str] = []
        self.cancelled: list[str] = []

    async def open_case(self, order: OpenCase) -> Case:
        if order.by.user_oid != ALEX.oid:
            raise NotAllowed("not_requester")
        self.opened.append(order)
        case = given.case(new_case_id(), requester=order.by, query=order.query, kind=order.kind)
        return await self._store.open_case(case)

    async def begin(self, case_id: str) -> None:
        self.begun.append(case_id)

    async def cancel_case(self, order: CancelCase) -> Case:
        self.cancelled.append(order.case_id)
        return await self._store.case(order.case_id)

    async def may_read(self, who: Actor) -> None:
        if who.user_oid not in (ALEX.oid, MEGAN.oid, JANE.oid):
            raise NotAllowed("not_reader")

    async def may_request(self, who: Actor) -> None:
        if who.user_oid != ALEX.oid:
            raise NotAllowed("not_requester")


class FakeLists:
    """Microsoft's two lists; a fault is raised in place of the first."""

    def __init__(self) -> None:
        self.senders: tuple[BlockedSender, ...] = ()
        self.connectors: tuple[BlockedConnector, ...] = ()
        self.fault: ServiceError | None = None

    async def blocked_senders(self) -> tuple[BlockedSender, ...]:
        if self.fault is not None:
            raise self.fault
        return self.senders

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]:
        return self.connectors


class FakeDirectory:
    """Knows everybody by object id; a fault is raised in place of an answer."""

    def __init__(self) -> None:
        self.fault: ServiceError | None = None

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        if self.fault is not None:
            raise self.fault
        person = next(one for one in (ALEX, JANE, MEGAN, SAM) if one.oid == id_or_upn)
        aliases = (f"{person.upn.partition('@')[0]}.alias@contoso.com",)
        return DirectoryUser.model_validate(
            {"id": person.oid, "userPrincipalName": person.upn, "proxyAddresses": [f"smtp:{a}" for a in aliases]}
        )


class Office:
    """A desk with everything around it."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock = store, clock
        self.casework, self.poster, self.lists = FakeCasework(store), FakePoster(), FakeLists()
        self.directory = FakeDirectory()
        self.desk = self.another()

    def another(self) -> AlertDesk:
        """That of another replica, or the same one after a restart."""
        return AlertDesk(
            store=self.store,
            clock=self.clock,
            casework=self.casework,
            poster=self.poster,
            lists=self.lists,
            directory=self.directory,
            tenant_id=TENANT,
            sources={"restricted_list"},
        )

    async def kept(self, alert_id: str = "A1") -> Alert:
        return await self.store.alerts.alert(alert_id)

    async def tags(self) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries()]


@pytest.fixture
def office(store: Store, clock: FakeClock) -> Office:
    return Office(store, clock)


def start(who: Any = ALEX, alert_id: str = "A1") -> StartAlert:
    return StartAlert(actor(who), alert_id)


# --- start ---


async def test_start_opens_a_case_with_whoever_pressed_as_requester(office: Office) -> None:
    """It is on the record, the alert has its case, and the card is told."""
    await raised(office.store, alert())
    started = await office.desk.start(start())

    assert (ALEX.oid, "jane@contoso.com", True) == (started.case.requester.user_oid, started.case.query, started.is_new)
    assert started.case.case_id == (await office.kept()).case_id
    assert ([Tag.ALERT_STARTED], ["A1"]) == (await office.tags(), office.poster.told)


async def test_a_second_press_shows_the_same_case(office: Office) -> None:
    """Also to somebody who could not have started it."""
    await raised(office.store, alert())
    first = await office.desk.start(start())
    second = await office.desk.start(start(MEGAN))

    assert (first.case.case_id, False) == (second.case.case_id, second.is_new)
    assert 1 == len(office.casework.opened)


async def test_a_case_that_ended_without_a_result_is_followed_by_another(office: Office) -> None:
    """What was denied may be asked for again."""
    await office.store.open_case(given.case(state=CaseState.DENIED))
    await raised(office.store, alert(case_id="C1"))

    assert (await office.desk.start(start())).is_new
    assert "C1" != (await office.kept()).case_id


@pytest.mark.parametrize("kind", [AlertKind.SENDER_SUSPECTED, AlertKind.EARLY_WARNING])
async def test_an_account_that_still_sends_is_contained(office: Office, kind: AlertKind) -> None:
    """There is nothing to unblock, and the approver learns what led to it."""
    await raised(office.store, alert(kind=kind, title="Suspicious email sending patterns detected"))
    await office.desk.start(start())

    (order,) = office.casework.opened
    assert order.contain_only and order.because is not None
    assert "Suspicious email sending patterns detected" == order.because.params["title"]


async def test_an_account_that_is_stopped_for_the_day_is_contained(office: Office) -> None:
    """That ends without anybody, and an attacker does not: what has to be looked into is the account."""
    await raised(office.store, alert(temporary=True))
    await office.desk.start(start())

    (order,) = office.casework.opened
    assert order.contain_only and order.because is not None
    assert "case.because_until_tomorrow" == order.because.key


async def test_a_connector_gets_a_case_of_its_own_kind(office: Office) -> None:
    """By its id."""
    await raised(office.store, alert(kind=AlertKind.CONNECTOR_BLOCKED, about="3f1c"))
    await office.desk.start(start())

    assert (CaseKind.CONNECTOR, "3f1c") == (office.casework.opened[0].kind, office.casework.opened[0].query)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": AlertKind.HEALTH},
        {"kind": AlertKind.TENANT_RESTRICTED, "about": "tenant"},
        {"kind": AlertKind.EARLY_WARNING, "about": "tenant"},
        {"kind": AlertKind.CONNECTOR_BLOCKED, "about": "connector"},
        {"state": AlertState.ENDED},
    ],
)
async def test_what_no_case_can_help_is_not_started(office: Office, fields: dict[str, Any]) -> None:
    """The bot's own trouble, the whole organisation, something without a name, what is over."""
    await raised(office.store, alert(**fields))

    with pytest.raises(AlertOver):
        await office.desk.start(start())
    assert [] == office.casework.opened


async def test_who_may_not_ask_for_an_unblock_may_not_start(office: Office) -> None:
    """Neither a reader nor a stranger; the alert waits as before."""
    await raised(office.store, alert())
    for who in (MEGAN, SAM):
        with pytest.raises(NotAllowed):
            await office.desk.start(start(who))

    assert (await office.kept()).case_id is None


async def test_who_may_not_start_is_told_before_the_question(office: Office) -> None:
    """Whether to open so many cases is nothing to ask of a reader, who could not open one."""
    await raised(office.store, alert(digest_id="D1"))
    with pytest.raises(NotAllowed) as refusal:
        await office.desk.startable(actor(MEGAN), "D1")

    assert "not_requester" == refusal.value.reason


async def test_all_that_waits_is_snoozed_at_once(office: Office) -> None:
    """By a reader too, and what no case can help with too; not what somebody has done something about, or is it."""
    own, omar, health = (
        alert("A1", MEGAN.upn),
        alert("A2", "omar@contoso.com"),
        alert("A3", "source:x", kind=AlertKind.HEALTH),
    )
    left = alert("A4", "ines@contoso.com", set_aside_by=actor(ALEX), set_aside_at=NOW)
    in_case, over = alert("A5", case_id="C1"), alert("A6", "eve@contoso.com", state=AlertState.ENDED)
    everything = (own, omar, health, left, in_case, over)
    await raised(office.store, *[one.model_copy(update={"digest_id": "D1"}) for one in everything])
    put_off = await office.desk.snooze_all(SnoozeAll(actor(MEGAN), "D1", 4 * HOUR))

    assert {("A2", NOW + 4 * HOUR), ("A3", NOW + 4 * HOUR)} == {(one.alert_id, one.snoozed_until) for one in put_off}
    assert ["A2", "A3"] == sorted(office.poster.told)
    assert [Tag.ALERT_SNOOZED] * 2 == await office.tags()
    with pytest.raises(AlertOver):
        await office.desk.snooze_all(SnoozeAll(actor(MEGAN), "D1", 4 * HOUR))
    with pytest.raises(NotAllowed):
        await office.desk.snooze_all(SnoozeAll(actor(SAM), "D1", 4 * HOUR))


async def test_nobody_handles_an_alert_about_themselves(office: Office) -> None:
    """Whoever has taken the account over would do so; it is not listed for them either."""
    await raised(office.store, alert(oid=ALEX.oid))
    for order in (
        office.desk.start(start()),
        office.desk.snooze(SnoozeAlert(actor(ALEX), HOUR, "A1")),
        office.desk.set_aside(SetAside(actor(ALEX), "A1")),
        office.desk.alert_for(actor(ALEX), "A1"),
    ):
        with pytest.raises(NotAllowed):
            await order

    assert () == (await office.desk.list_open(actor(ALEX))).alerts


@pytest.mark.parametrize("about", [ALEX.upn, ALEX.upn.upper(), "alex.alias@contoso.com"])
async def test_nobody_silences_the_alert_about_their_own_address(office: Office, about: str) -> None:
    """Until the directory was asked an alert knows only an address: it may be anybody's, theirs too."""
    await raised(office.store, alert(about=about.lower(), digest_id="D1"))
    for order in (
        office.desk.start(start()),
        office.desk.snooze(SnoozeAlert(actor(ALEX), HOUR, "A1")),
        office.desk.set_aside(SetAside(actor(ALEX), "A1")),
        office.desk.alert_for(actor(ALEX), "A1"),
    ):
        with pytest.raises(NotAllowed) as refusal:
            await order
        assert "subject" == refusal.value.reason

    assert () == (await office.desk.list_open(actor(ALEX))).alerts
    assert () == await office.desk.startable(actor(ALEX), "D1")
    assert "A1" == (await office.desk.set_aside(SetAside(actor(MEGAN), "A1"))).alert_id


async def test_who_cannot_be_told_from_the_subject_is_refused(office: Office) -> None:
    """The directory is silent. What is about somebody known can be handled all the same, and the list stays whole."""
    office.directory.fault = PermissionMissing("graph")
    await raised(office.store, alert(), alert("A2", "omar@contoso.com", oid="o-2"))
    with pytest.raises(NotAllowed) as refusal:
        await office.desk.snooze(SnoozeAlert(actor(ALEX), HOUR, "A1"))

    assert "subject_unread" == refusal.value.reason
    assert (await office.desk.snooze(SnoozeAlert(actor(ALEX), HOUR, "A2")))[0].snoozed_until is not None
    assert 2 == len((await office.desk.list_open(actor(ALEX))).alerts)


async def test_another_replica_that_was_first_keeps_its_case(office: Office) -> None:
    """The second case is called off before anything of it runs."""
    await office.store.open_case(given.case())
    await raised(office.store, alert())
    opens = office.casework.open_case

    async def meanwhile(order: OpenCase) -> Case:
        await office.store.alerts.change_alert("A1", lambda a: (a.model_copy(update={"case_id": "C1"}), []))
        return await opens(order)

    office.casework.open_case = meanwhile  # type: ignore[method-assign]
    started = await office.desk.start(start())

    assert ("C1", False) == (started.case.case_id, started.is_new)
    assert 1 == len(office.casework.cancelled)


# --- all of a digest ---


async def test_all_of_a_digest_are_started_each_with_its_own_case(office: Office) -> None:
    """What is over, or in a case, is left alone."""
    many = [one.model_copy(update={"digest_id": "D1"}) for one in campaign(6)]
    await office.store.open_case(given.case())
    many[0] = many[0].model_copy(update={"state": AlertState.ENDED})
    many[1] = many[1].model_copy(update={"case_id": "C1"})
    await raised(office.store, *many)

    assert 4 == await office.desk.start_all(StartAll(actor(ALEX), "D1"))
    await office.desk.settled()
    assert [f"person{n}@contoso.com" for n in (3, 4, 5, 6)] == sorted(order.query for order in office.casework.opened)
    assert 4 == len({*office.casework.begun})
    with pytest.raises(AlertOver):
        await office.desk.start_all(StartAll(actor(ALEX), "D1"))


async def test_one_that_cannot_be_started_stops_none_and_is_tried_again(office: Office) -> None:
    """Whatever the fault is; a second press orders nothing twice."""
    await raised(office.store, *[one.model_copy(update={"digest_id": "D1"}) for one in campaign(5)])
    opens, faults = office.casework.open_case, [None, RuntimeError("the database is gone"), None]

    async def at_first_not(order: OpenCase) -> Case:
        if faults and (fault := faults.pop(0)) is not None:
            raise fault
        return await opens(order)

    office.casework.open_case = at_first_not  # type: ignore[method-assign]
    assert 5 == await office.desk.start_all(StartAll(actor(ALEX), "D1"))
    await office.desk.settled()
    assert 4 == len(office.casework.begun)
    with pytest.raises(AlertOver):
        await office.desk.start_all(StartAll(actor(ALEX), "D1"))

    await office.desk.carry_out_orders()
    assert 4 == len(office.casework.begun)  # whoever took it may be at it still
    office.clock.advance(minutes=2)
    await office.desk.carry_out_orders()
    assert 5 == len({*office.casework.begun}) == len(office.casework.opened)
    assert {None} == {one.ordered_by for one in await office.store.alerts.alerts()}


async def test_an_order_to_start_them_all_outlives_a_restart(office: Office) -> None:
    """It is stored before anything is begun behind the click; of two replicas one goes on with it."""
    await raised(office.store, *[one.model_copy(update={"digest_id": "D1"}) for one in campaign(5)])
    await office.desk.start_all(StartAll(actor(ALEX), "D1"))
    await office.desk.close()
    assert 1 == len(office.casework.begun)

    office.clock.advance(minutes=2)
    await asyncio.gather(office.another().carry_out_orders(), office.another().carry_out_orders())
    assert 5 == len({*office.casework.begun}) == len(office.casework.opened)


async def test_an_order_waits_for_a_directory_that_does_not_answer(office: Office) -> None:
    """Whether somebody may ask was not refused, but not known: it is tried again, and said on the card meanwhile."""
    opens = office.casework.open_case
    await raised(office.store, *[one.model_copy(update={"digest_id": "D1"}) for one in campaign(3)])
    busy = [None, NotAllowed("cannot_check"), NotAllowed("cannot_check")]

    async def sometimes(order: OpenCase) -> Case:
        if busy and (fault := busy.pop(0)) is not None:
            raise fault
        return await opens(order)

    office.casework.open_case = sometimes  # type: ignore[method-assign]
    await office.desk.start_all(StartAll(actor(ALEX), "D1"))
    await office.desk.settled()
    waiting = [one for one in await office.store.alerts.alerts() if one.case_id is None]
    assert [("alert.not_started.unread", actor(ALEX))] * 2 == [
        (one.not_started.key if one.not_started else "", one.ordered_by) for one in waiting
    ]
    assert {one.alert_id for one in waiting} <= {*office.poster.told}

    office.clock.advance(minutes=2)
    await office.desk.carry_out_orders()
    alerts = await office.store.alerts.alerts()
    assert {(None, None, True)} == {(one.not_started, one.ordered_by, one.case_id is not None) for one in alerts}
    assert Tag.ALERT_NOT_STARTED not in await office.tags()


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (NotAllowed("disabled"), "alert.not_started.disabled"),
        (NotAllowed("never"), "alert.not_started.refused"),
        (BadInput(what="query"), "alert.not_started.refused"),
    ],
)
async def test_an_order_that_is_given_up_is_told_and_on_the_record(
    office: Office, refusal: UserError, told: str
) -> None:
    """Whose it was and why; whoever starts it then takes the words away."""
    opens = office.casework.open_case
    await raised(office.store, *[one.model_copy(update={"digest_id": "D1"}) for one in campaign(2)])
    answers = [None, refusal]

    async def at_first(order: OpenCase) -> Case:
        if answers and (fault := answers.pop(0)) is not None:
            raise fault
        return await opens(order)

    office.casework.open_case = at_first  # type: ignore[method-assign]
    await office.desk.start_all(StartAll(actor(ALEX), "D1"))
    await office.desk.settled()
    (left,) = [one for one in await office.store.alerts.alerts() if one.case_id is None]
    assert left.not_started is not None
    assert (told, actor(ALEX), None) == (left.not_started.key, left.not_started_for, left.ordered_by)
    assert Tag.ALERT_NOT_STARTED in await office.tags() and left.alert_id in office.poster.told

    await office.desk.start(start(alert_id=left.alert_id))
    kept = await office.kept(left.alert_id)
    assert (None, None) == (kept.not_started, kept.not_started_for)


async def test_a_refusal_to_start_them_all_is_told_at_once(office: Office) -> None:
    """Nothing is begun behind the click."""
    await raised(office.store, *[one.model_copy(update={"digest_id": "D1"}) for one in campaign(5)])

    with pytest.raises(NotAllowed):
        await office.desk.start_all(StartAll(actor(MEGAN), "D1"))
    with pytest.raises(AlertNotFound):
        await office.desk.start_all(StartAll(actor(ALEX), "D2"))
    assert [] == office.casework.begun


# --- snooze, not now ---


@pytest.mark.parametrize("target", ["jane", "jane@contoso.com", "JANE DOE", "doe", "jane@con"])
async def test_an_alert_is_snoozed_by_what_people_call_it(office: Office, target: str) -> None:
    """Address, name, or a part of either; it is on the record until when and by whom."""
    await raised(office.store, alert(name="Jane Doe"), alert("A2", "omar@contoso.com"))
    await office.desk.snooze(SnoozeAlert(actor(MEGAN), 4 * HOUR, target=target))

    kept = await office.kept()
    assert (NOW + 4 * HOUR, actor(MEGAN)) == (kept.snoozed_until, kept.snoozed_by)
    assert ([Tag.ALERT_SNOOZED], ["A1"]) == (await office.tags(), office.poster.told)


@pytest.mark.parametrize("lasts", [timedelta(0), timedelta(hours=-1), timedelta(hours=73), timedelta(days=10_000)])
async def test_no_alert_is_quiet_for_ever(office: Office, lasts: timedelta) -> None:
    """At most over a weekend."""
    await raised(office.store, alert())

    with pytest.raises(BadDuration):
        await office.desk.snooze(SnoozeAlert(actor(MEGAN), lasts, "A1"))


async def test_whom_a_snooze_means_must_be_clear(office: Office) -> None:
    """Several fit, or none that is open."""
    await raised(office.store, alert(), alert("A2", "janet@contoso.com"), alert("A3", "x@y.z", state=AlertState.ENDED))

    with pytest.raises(SeveralAlerts):
        await office.desk.snooze(SnoozeAlert(actor(MEGAN), HOUR, target="jan"))
    for target in ("omar", "x@y.z", " "):
        with pytest.raises(NoOpenAlert):
            await office.desk.snooze(SnoozeAlert(actor(MEGAN), HOUR, target=target))


async def test_a_part_of_an_id_is_nobody(office: Office) -> None:
    """Whom somebody calls Ada is not the account whose object id has these letters in it; the whole id is."""
    oid = "7c2ada91-0000-4000-8000-00000000beef"
    await raised(office.store, alert(about="bob@contoso.com", oid=oid))
    with pytest.raises(NoOpenAlert):
        await office.desk.snooze(SnoozeAlert(actor(MEGAN), HOUR, target="ada"))

    assert 1 == len(await office.desk.snooze(SnoozeAlert(actor(MEGAN), HOUR, target=oid.upper())))


async def test_not_now_keeps_the_first_name(office: Office) -> None:
    """A second press changes nothing; a snooze takes its place."""
    await raised(office.store, alert())
    await office.desk.set_aside(SetAside(actor(MEGAN), "A1"))
    await office.desk.set_aside(SetAside(actor(ALEX), "A1"))
    assert actor(MEGAN) == (await office.kept()).set_aside_by
    assert [Tag.ALERT_SET_ASIDE] == await office.tags()

    await office.desk.snooze(SnoozeAlert(actor(ALEX), HOUR, "A1"))
    assert (await office.kept()).set_aside_by is None


async def test_what_is_over_is_neither_snoozed_nor_left(office: Office) -> None:
    """And strangers may do neither with what is open."""
    await raised(office.store, alert(state=AlertState.ENDED), alert("A2", "omar@contoso.com"))

    with pytest.raises(AlertOver):
        await office.desk.snooze(SnoozeAlert(actor(MEGAN), HOUR, "A1"))
    with pytest.raises(AlertOver):
        await office.desk.set_aside(SetAside(actor(MEGAN), "A1"))
    with pytest.raises(NotAllowed):
        await office.desk.snooze(SnoozeAlert(actor(SAM), HOUR, "A2"))
    with pytest.raises(NotAllowed):
        await office.desk.set_aside(SetAside(actor(SAM), "A2"))


# --- lists ---


async def test_what_is_open_is_listed_with_its_cases(office: Office) -> None:
    """For readers; a stranger learns nothing."""
    await office.store.open_case(given.case())
    await raised(office.store, alert(case_id="C1"), alert("A2", "x@contoso.com", state=AlertState.ENDED))
    told = await office.desk.list_open(actor(MEGAN))

    assert (["A1"], ["C1"]) == ([one.alert_id for one in told.alerts], [*told.cases])
    with pytest.raises(NotAllowed):
        await office.desk.list_open(actor(SAM))


async def test_a_source_that_was_switched_off_is_not_missed(office: Office) -> None:
    """Its row stays behind in the database, with all its failures."""
    for name in ("defender", "restricted_list"):
        claimed = await office.store.alerts.claim_source(name, NOW, "r1", 45)
        assert claimed is not None
        await office.store.alerts.release_source(claimed.model_copy(update={"failures": 5}))

    told = await office.desk.list_open(actor(MEGAN))

    assert ["restricted_list"] == [state.source for state in told.sources]


async def test_the_restricted_list_is_read_now_and_knows_our_alerts(office: Office) -> None:
    """Newest first; what we were not told of yet is there all the same."""
    await raised(office.store, alert(name="Jane Doe"))
    at = NOW - HOUR
    office.lists.senders = (
        BlockedSender(sender_address="JANE@contoso.com", created_at=at),
        BlockedSender(sender_address="printer@contoso.com", created_at=NOW, temporary=True),
    )
    office.lists.connectors = (BlockedConnector(connector_id="3f1c", name="Scanner"),)
    told = await office.desk.restricted_list(actor(MEGAN))

    assert ["printer@contoso.com", "JANE@contoso.com", "3f1c"] == [entry.about for entry in told.entries]
    assert [None, "Jane Doe", "Scanner"] == [entry.name or None for entry in told.entries]
    assert [None, "A1", None] == [entry.alert.alert_id if entry.alert else None for entry in told.entries]
    assert () == told.unread


async def test_a_long_restricted_list_is_put_together_at_once(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """A campaign has hit a thousand: neither a search through all for each nor a question for each."""
    await office.store.open_case(given.case(state=CaseState.AWAITING_APPROVAL))
    await raised(office.store, *[one.model_copy(update={"case_id": "C1"}) for one in campaign(300)])
    office.lists.senders = tuple(
        BlockedSender(sender_address=f"person{n}@contoso.com", created_at=NOW) for n in range(1, 301)
    )
    looked, names = [], Alert.names.fget
    monkeypatch.setattr(Alert, "names", property(lambda one: looked.append(1) or names(one)))
    told = await office.desk.restricted_list(actor(MEGAN))

    assert 300 == sum(entry.alert is not None and entry.case is not None for entry in told.entries)
    assert len(looked) <= 600


async def test_a_list_that_cannot_be_read_is_never_nobody(office: Office) -> None:
    """It says why, and what is on the other one is shown."""
    office.lists.fault = PermissionMissing("exchange")
    office.lists.connectors = (BlockedConnector(connector_id="3f1c", name="Scanner"),)
    told = await office.desk.restricted_list(actor(MEGAN))

    assert ["3f1c"] == [entry.about for entry in told.entries]
    assert ["restricted.unread"] == [text.key for text in told.unread]


async def test_strangers_do_not_see_the_restricted_list(office: Office) -> None:
    """Nor is it read for them."""
    office.lists.fault = PermissionMissing("exchange")

    with pytest.raises(NotAllowed):
        await office.desk.restricted_list(actor(SAM))
