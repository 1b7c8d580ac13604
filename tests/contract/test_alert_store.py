"""The store keeps alerts and sources as it is given them, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import sqlalchemy as sa

from services.alerts.model import Alert, AlertCopy, AlertKind, AlertState, Report, Severity, SourceName, SourceState
from services.audit import Tag, note
from services.cases import say
from services.errors import AlertNotFound, StaleVersion
from services.store import Store
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW
from tests.fakes.people import TENANT

JANE = "jane@contoso.example"


def alert(alert_id: str = "A1", about: str = JANE, **fields: object) -> Alert:
    report = Report(source=SourceName.RESTRICTED_LIST, kind=AlertKind.SENDER_RESTRICTED, about=about, oid="OID-1")
    values = {
        "alert_id": alert_id,
        "tenant_id": TENANT,
        "kind": AlertKind.SENDER_RESTRICTED,
        "about": about,
        "since": NOW,
        "noticed_at": NOW,
        "severity": Severity.HIGH,
        "reports": (report,),
    }
    return Alert.model_validate({**values, **fields})


async def raised(store: Store, *alerts: Alert) -> None:
    names = frozenset[str]().union(*(one.names for one in alerts))
    await store.alerts.merge(TENANT, names, lambda known: [(one, []) for one in alerts])


async def test_an_alert_comes_back_as_it_went_in(store: Store) -> None:
    """
    Every part survives, and what is not there is said to be not there.
    """
    kept = alert(ended=say("alert.ended.by_itself"), impression=(), reports=())
    await raised(store, kept)

    assert kept == await store.alerts.alert("A1")
    with pytest.raises(AlertNotFound):
        await store.alerts.alert("A2")


async def test_a_thing_has_one_open_alert(store: Store) -> None:
    """
    The database itself refuses a second open alert about the same thing; an ended one is no obstacle.
    """
    await raised(store, alert())
    with pytest.raises(sa.exc.IntegrityError):
        await raised(store, alert("A2"))

    await raised(store, alert("A2"), alert(state=AlertState.ENDED))

    assert ["A2"] == [one.alert_id for one in await store.alerts.alerts()]


async def test_a_change_is_written_with_its_audit_entries(store: Store) -> None:
    """
    A change raises the version and its entries stand in the trail; none leaves the version as it is.
    """
    await raised(store, alert())

    entry = note(Tag.ALERT_ENDED, None, None, alert_id="A1")
    await store.alerts.change_alert("A1", lambda one: (one.model_copy(update={"case_id": "C1"}), [entry]))
    await store.alerts.change_alert("A1", lambda one: (one, []))

    changed = await store.alerts.alert("A1")
    assert (2, "C1") == (changed.version, changed.case_id)
    assert [Tag.ALERT_ENDED] == [entry.tag for entry in await store.audit_entries()]
    assert ["A1"] == [one.alert_id for one in await store.alerts.alerts_of_case("C1")]


async def test_changes_at_the_same_time_are_all_kept(store: Store) -> None:
    """
    Ten people who change it at once make ten versions.
    """
    await raised(store, alert())

    def more(one: Alert) -> tuple[Alert, list]:
        return one.model_copy(update={"name": one.name + "x"}), []

    await asyncio.gather(*(store.alerts.change_alert("A1", more) for _ in range(10)))

    assert (11, "x" * 10) == ((await store.alerts.alert("A1")).version, (await store.alerts.alert("A1")).name)


async def test_an_alert_is_found_by_every_name(store: Store) -> None:
    """
    By address, by another address and by object id, whatever the spelling; open ones come first.
    """
    report = Report(source=SourceName.DEFENDER, kind=AlertKind.SENDER_RESTRICTED, about=JANE, oid="AB", also=("j@x",))
    await raised(store, alert(reports=(report,)), alert("A2", state=AlertState.ENDED, since=NOW + timedelta(days=1)))

    for name in ("Jane@Contoso.example", "J@X", "ab"):
        assert "A1" == (await store.alerts.alerts_about(TENANT, name))[0].alert_id
    assert ["A1", "A2"] == [one.alert_id for one in await store.alerts.alerts_about(TENANT, JANE)]


async def test_the_worst_and_newest_come_first(store: Store) -> None:
    """
    A list begins with what matters most, and leaves out what is over unless it is asked for.
    """
    later = NOW + timedelta(minutes=1)
    await raised(
        store,
        alert("A1", "a", severity=Severity.LOW),
        alert("A2", "b"),
        alert("A3", "c", since=later),
        alert("A4", "d", state=AlertState.ENDED),
    )

    assert ["A3", "A2", "A1"] == [one.alert_id for one in await store.alerts.alerts()]
    assert ["A3"] == [one.alert_id for one in await store.alerts.alerts(limit=1)]
    assert 4 == len(await store.alerts.alerts(open_only=False))
    assert {AlertKind.SENDER_RESTRICTED: 3} == await store.alerts.counts()


async def test_what_was_not_posted_is_known(store: Store, clock: FakeClock) -> None:
    """
    Posted, ended, set aside and sleeping alerts need no post; a sleeping one does when its time is over.
    """
    soon = clock.now() + timedelta(hours=1)
    await raised(
        store,
        alert("A1", "a"),
        alert("A2", "b", posted_at=NOW),
        alert("A3", "c", state=AlertState.ENDED),
        alert("A4", "d", set_aside_at=NOW),
        alert("A5", "e", snoozed_until=soon),
    )
    assert ["A1"] == [one.alert_id for one in await store.alerts.unposted()]

    clock.advance(hours=2)
    assert ["A1", "A5"] == [one.alert_id for one in await store.alerts.unposted()]


async def test_every_alert_has_begun_in_one_span_of_time(store: Store) -> None:
    """That of its start, or of its noticing if that came later."""
    hour = timedelta(hours=1)
    some = {"noticed_late": (NOW - hour, NOW), "noticed_early": (NOW, NOW - hour), "before": (NOW - hour, NOW - hour)}
    told = [alert(name, f"{name}@contoso.com", since=s, noticed_at=n) for name, (s, n) in some.items()]
    await raised(store, *told)

    begun = [await store.alerts.alerts_begun(at, at + hour) for at in (NOW - hour, NOW, NOW + hour)]

    assert [["before"], ["noticed_early", "noticed_late"], []] == [[one.alert_id for one in some] for some in begun]


async def test_alerts_of_one_kind_are_told_alone(store: Store) -> None:
    """Such as those about the bot itself."""
    await raised(store, alert("A1"), alert("A2", "secret:app", kind=AlertKind.HEALTH))

    assert ["A2"] == [one.alert_id for one in await store.alerts.alerts(kind=AlertKind.HEALTH)]


async def test_a_merge_sees_what_bears_the_name_and_what_is_open_of_a_kind(store: Store) -> None:
    """
    What bears no name that was asked for is not read, unless all of its kind is wanted; an open alert brings those with
    it that share another of its names. What stays as it was is not told as changed.
    """
    connector, bare = AlertKind.CONNECTOR_BLOCKED, {"reports": ()}
    people = alert("A1", "a", **bare), alert("A2", "b", state=AlertState.ENDED, **bare)
    relays = [
        alert("A3", "c", kind=connector, also=("d",), **bare),
        alert("A4", "e", kind=connector, also=("d",), **bare),
    ]
    await raised(store, *people, *relays)
    seen: list[str] = []

    def look(known: list[Alert]) -> list:
        seen[:] = [one.alert_id for one in known]
        return [(one, []) for one in known]

    expected = [((), (), ""), (["b", "a"], (), "A1 A2"), (["e"], (), "A3 A4"), (["b"], [connector], "A2 A3 A4")]
    for names, kinds, alert_ids in expected:
        assert [] == await store.alerts.merge(TENANT, names, look, kinds=kinds)
        assert alert_ids == " ".join(sorted(seen))


async def test_a_copy_is_outdated_when_its_alerts_have_moved(store: Store) -> None:
    """
    A card shows one version of its alert, and a digest the sum of the versions of its alerts.
    """
    await raised(store, alert("A1", "a"), alert("A2", "b", digest_id="D1"), alert("A3", "c", digest_id="D1"))
    card = AlertCopy(copy_id="K1", alert_id="A1", conversation_id="x", state="live", shown_version=1, posted_at=NOW)
    digest = AlertCopy(copy_id="K2", digest_id="D1", conversation_id="x", state="live", shown_version=2, posted_at=NOW)
    await store.alerts.save_copy(card)
    await store.alerts.save_copy(digest)
    assert [] == await store.alerts.outdated_copies()

    for alert_id in ("A1", "A3"):
        await store.alerts.change_alert(alert_id, lambda one: (one.model_copy(update={"name": "x"}), []))

    assert [card, digest] == await store.alerts.outdated_copies()
    assert ([card], [digest]) == (
        await store.alerts.copies_of_alert("A1"),
        await store.alerts.copies_of_digest("D1"),
    )


async def test_a_source_is_read_by_one_at_a_time(store: Store, clock: FakeClock) -> None:
    """
    Of ten who want it one gets it; a lease runs out, and whoever had it cannot write any more.
    """
    now = clock.now()
    claims = await asyncio.gather(*(store.alerts.claim_source("defender", now, f"r{n}", 45) for n in range(10)))
    (mine,) = [claim for claim in claims if claim]

    later = clock.advance(seconds=45)
    other = await store.alerts.claim_source("defender", later, "another", 45)

    assert other is not None and other.leased_by == "another"
    assert not await store.alerts.release_source(mine)
    with pytest.raises(StaleVersion):
        await store.alerts.merge(TENANT, [], lambda _: [(alert(), [])], done=mine)
    assert [] == await store.alerts.alerts()


async def test_a_source_that_was_given_back_is_read_when_it_is_due(store: Store, clock: FakeClock) -> None:
    """
    How the reading went is kept, and nobody reads before the time.
    """
    now = clock.now()
    mine = await store.alerts.claim_source("defender", now, "r1", 45)
    assert mine is not None
    done = mine.model_copy(update={"due_at": now + timedelta(seconds=60), "failures": 2, "why": say("error.service")})

    assert await store.alerts.release_source(done)

    assert None is await store.alerts.claim_source("defender", now + timedelta(seconds=59), "r2", 45)
    kept = SourceState(source="defender", due_at=done.due_at, failures=2, why=done.why)
    assert [kept] == await store.alerts.source_states()
    assert await store.alerts.claim_source("defender", now + timedelta(seconds=60), "r2", 45)


async def test_a_replica_that_starts_again_has_its_own_lease_back(store: Store, clock: FakeClock) -> None:
    """
    Nobody else has its name, so what it left behind when it died need not run out.
    """
    assert await store.alerts.claim_source("defender", clock.now(), "r1", 45)
    assert None is await store.alerts.claim_source("defender", clock.now(), "r2", 45)
    assert await store.alerts.claim_source("defender", clock.now(), "r1", 45)
