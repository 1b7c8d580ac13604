"""The store keeps what it is given, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import warnings
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from services.audit import Tag, note, verify
from services.cases import Case, CaseState, Finding, SignalState, say
from services.conversations import CardCopy, Conversation, ConversationKind, CopyState
from services.errors import AuditBroken, CaseNotFound, StaleVersion, WrongState
from services.store import Store, migrate, tables
from services.store.engine import Database, sync_url
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.people import ALEX, JANE, MEGAN, TENANT, actor


def finding(signal_id: str = "sign_ins", **fields: object) -> Finding:
    return Finding(signal_id=signal_id, state=SignalState.FOUND, summary=say("finding.x", n=2, at=given.NOW), **fields)


async def test_a_case_comes_back_as_it_went_in(store: Store) -> None:
    """
    Every part of a case survives, moments and nested texts included.
    """
    case = given.asked().with_finding(finding(evidence=(say("a", names=["x", say("y")]),)))

    await store.open_case(case)

    assert case == await store.case("C1")


async def test_the_audit_trail_can_be_read_by_tag(store: Store) -> None:
    """In order, and nothing else."""
    for tag in (Tag.SOURCE_FAILING, Tag.ALERT_RAISED, Tag.SOURCE_WORKS_AGAIN):
        await store.record(note(tag, source="defender"))

    told = await store.audit_tagged([Tag.SOURCE_FAILING, Tag.SOURCE_WORKS_AGAIN])

    assert [(1, Tag.SOURCE_FAILING), (3, Tag.SOURCE_WORKS_AGAIN)] == [(entry.seq, entry.tag) for entry in told]


async def test_a_change_is_written_with_its_audit_entries(store: Store, clock: FakeClock) -> None:
    """
    A change raises the version, moves changed_at, and its entries stand in the trail.
    """
    await store.open_case(given.case())
    clock.advance(minutes=1)

    await store.change_case("C1", lambda case: (case.with_finding(finding()), [note(Tag.CASE_ENDED, "C1")]))

    changed = await store.case("C1")
    assert (2, clock.now(), (finding(),)) == (changed.version, changed.changed_at, changed.findings)
    assert [Tag.CASE_ENDED] == [entry.tag for entry in await store.audit_entries("C1")]


async def test_a_change_that_changes_nothing_keeps_the_version(store: Store) -> None:
    """
    Nobody is told of news that is none.
    """
    await store.open_case(given.case())

    await store.change_case("C1", lambda case: (case, []))

    assert 1 == (await store.case("C1")).version


async def test_a_change_that_raises_leaves_no_trace(store: Store) -> None:
    """
    A refused move writes neither the case nor the audit trail.
    """
    await store.open_case(given.case())

    with pytest.raises(WrongState):
        await store.change_case(
            "C1", lambda case: (case.moved(CaseState.UNBLOCKED, given.NOW), [note(Tag.CASE_ENDED, "C1")])
        )

    assert (CaseState.IDENTIFYING, []) == ((await store.case("C1")).state, await store.audit_entries())


async def test_changes_at_the_same_time_are_all_kept(store: Store) -> None:
    """
    Twenty findings that arrive at once are twenty findings, and twenty versions.
    """
    await store.open_case(given.case())

    def add(number: int):
        return lambda case: (case.with_finding(finding(f"s{number}")), [note(Tag.CASE_ENDED, "C1", None, n=number)])

    await asyncio.gather(*(store.change_case("C1", add(number)) for number in range(20)))

    case = await store.case("C1")
    assert (20, 21) == (len(case.findings), case.version)
    assert 20 == verify(*await store.audit_trail())


async def test_a_case_is_read_at_one_moment(store: Store) -> None:
    """
    A case is many rows: who reads while somebody writes sees all of a change or nothing of it.
    """
    await store.open_case(given.asked())
    prompt = given.asked().approvals[0]

    async def write(number: int) -> None:
        asked = prompt.model_copy(update={"reason": str(number)})
        fields = {"query": str(number), "approvals": (asked,)}
        await store.change_case("C1", lambda case: (case.model_copy(update=fields), []))

    async def write_all() -> None:
        for number in range(60):
            await write(number)

    await write(0)
    writing = asyncio.create_task(write_all())
    while not writing.done():
        case = await store.case("C1")
        assert case.query == case.approvals[0].reason
    await writing


async def test_an_account_has_one_open_case(store: Store) -> None:
    """
    A second open case for the same account is refused by the database itself; a closed one is no obstacle.
    """
    await store.open_case(given.asked("C1"))

    with pytest.raises(StaleVersion):
        await store.open_case(given.asked("C2"))

    await store.change_case("C1", lambda case: (case.moved(CaseState.CANCELLED, given.NOW), []))
    await store.open_case(given.asked("C2"))
    found = await store.open_case_of(TENANT, JANE.oid)
    assert found is not None and "C2" == found.case_id


async def test_a_claim_leads_to_its_case_and_prompt(store: Store) -> None:
    """
    A button's claim is a pointer; an unknown one leads nowhere.
    """
    case = given.asked()
    await store.open_case(case)
    prompt = case.approvals[0]

    found, prompt_id = await store.case_of_claim(prompt.claim)

    assert (case, prompt.prompt_id) == (found, prompt_id)
    with pytest.raises(CaseNotFound):
        await store.case_of_claim("nonsense")


async def test_an_unknown_case_is_said_to_be_unknown(store: Store) -> None:
    """
    Reading and changing what does not exist raise the same error.
    """
    with pytest.raises(CaseNotFound):
        await store.case("NOPE")
    with pytest.raises(CaseNotFound):
        await store.change_case("NOPE", lambda case: (case, []))


async def test_the_trail_is_read_at_one_moment(store: Store) -> None:
    """
    It can be verified while the bot writes: entries and head are always of the same moment.
    """

    async def write() -> None:
        for number in range(30):
            await store.record(note(Tag.CLICK_REFUSED, None, actor(MEGAN), n=number))

    writing = asyncio.create_task(write())
    while not writing.done():
        verify(*await store.audit_trail())
    await writing

    assert 30 == verify(*await store.audit_trail())


@pytest.mark.parametrize(
    "tamper",
    [
        tables.audit.update().where(tables.audit.c.seq == 2).values(actor_name="Mallory"),
        tables.audit.update().where(tables.audit.c.seq == 2).values(details="{}"),
        tables.audit.delete().where(tables.audit.c.seq == 2),
        tables.audit.delete().where(tables.audit.c.seq == 3),
        tables.audit.update().where(tables.audit.c.seq == 3).values(seq=4),
    ],
    ids=["name changed", "details changed", "middle removed", "end cut off", "moved"],
)
async def test_any_change_of_the_audit_trail_is_found(store: Store, database_url: str, tamper: sa.Executable) -> None:
    """
    Whoever edits the trail in the database is found out.
    """
    await store.record(*(note(Tag.CLICK_REFUSED, None, actor(MEGAN), n=number) for number in range(3)))
    assert 3 == verify(*await store.audit_trail())

    database = Database(database_url)
    async with database.writing() as connection:
        await connection.execute(tamper)
    await database.close()

    with pytest.raises(AuditBroken):
        verify(*await store.audit_trail())


async def test_conversations_are_replaced_and_found_by_person(store: Store) -> None:
    """
    The last activity decides what is known of a conversation; inactive chats are not offered.
    """
    chat = Conversation(
        conversation_id="a:megan",
        kind=ConversationKind.PERSONAL,
        service_url="https://old.example/",
        tenant_id=TENANT,
        bot_id="28:bot",
        user_oid=MEGAN.oid,
        seen_at=given.NOW,
    )
    await store.remember_conversation(chat)
    await store.remember_conversation(chat.model_copy(update={"service_url": "https://new.example/"}))

    assert ["https://new.example/"] == [c.service_url for c in await store.personal_conversations([MEGAN.oid])]

    await store.remember_conversation(chat.model_copy(update={"active": False}))
    assert [] == await store.personal_conversations([MEGAN.oid, ALEX.oid])


async def test_the_channels_of_a_team_are_known_by_it(store: Store) -> None:
    """
    Whether the bot is in them still or not; those of other teams are not among them.
    """
    channel = Conversation(
        conversation_id="19:a@thread.tacv2",
        kind=ConversationKind.CHANNEL,
        service_url="https://smba.example/",
        tenant_id=TENANT,
        bot_id="28:bot",
        team_id="19:team@thread.tacv2",
        seen_at=given.NOW,
    )
    others = [("19:b@thread.tacv2", channel.team_id, False), ("19:c@thread.tacv2", "19:other@thread.tacv2", True)]
    await store.remember_conversation(channel)
    for conversation_id, team_id, active in others:
        change = {"conversation_id": conversation_id, "team_id": team_id, "active": active}
        await store.remember_conversation(channel.model_copy(update=change))

    found = await store.channels_of_team(TENANT, "19:team@thread.tacv2")

    assert {"19:a@thread.tacv2", "19:b@thread.tacv2"} == {one.conversation_id for one in found}


async def test_first_words_from_a_conversation_may_come_twice_at_once(store: Store) -> None:
    """
    Teams tells of one installation by two activities at the same moment, perhaps to two replicas.
    """
    chat = Conversation(
        conversation_id="a:olga",
        kind=ConversationKind.PERSONAL,
        service_url="https://smba.example/",
        tenant_id=TENANT,
        bot_id="28:bot",
        user_oid=MEGAN.oid,
        seen_at=given.NOW,
    )

    await asyncio.gather(*(store.remember_conversation(chat) for _ in range(8)))

    assert 1 == len(await store.personal_conversations([MEGAN.oid]))


async def test_a_copy_that_shows_an_older_version_is_found(store: Store) -> None:
    """
    After a restart the store knows which cards are behind their case.
    """
    await store.open_case(given.case())
    copy = CardCopy(
        copy_id="k1",
        case_id="C1",
        conversation_id="a:alex",
        activity_id="17",
        state=CopyState.LIVE,
        shown_version=1,
        posted_at=given.NOW,
    )
    await store.save_copy(copy)
    assert [] == await store.cases_with_outdated_copies()

    await store.change_case("C1", lambda case: (case.with_finding(finding()), []))

    assert ["C1"] == await store.cases_with_outdated_copies()
    assert copy == await store.copy_at("a:alex", "17")


async def test_what_an_admin_chose_is_kept(store: Store) -> None:
    """
    The last choice counts.
    """
    assert await store.chosen("approvals_conversation") is None

    await store.choose("approvals_conversation", "19:a@thread.tacv2")
    await store.choose("approvals_conversation", "19:b@thread.tacv2", note(Tag.CONVERSATION_SET, None, actor(ALEX)))

    assert "19:b@thread.tacv2" == await store.chosen("approvals_conversation")
    assert 1 == len(await store.audit_entries())


def test_the_migrations_make_exactly_the_tables_of_the_program(empty_database_url: str) -> None:
    """
    A column that is added to the tables without a migration is found here.
    """
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    migrate(empty_database_url)
    migrate(empty_database_url)  # repeating does nothing
    engine = sa.create_engine(sync_url(empty_database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "unblock_schema"})
        difference = compare_metadata(context, tables.metadata)
    engine.dispose()

    assert [] == difference


async def test_newest_cases_come_first_and_joined_ones_not_at_all(store: Store) -> None:
    """
    A case that turned out to be another one is not listed beside it.
    """
    moments = [datetime(2026, 11, 24, hour, tzinfo=UTC) for hour in (1, 2, 3)]
    for number, opened_at in enumerate(moments):
        await store.open_case(given.case(f"C{number}", opened_at=opened_at))

    def join(case: Case):
        return case.moved(CaseState.NOTHING_TO_DO, given.NOW, joined_to="C0"), []

    await store.change_case("C2", join)

    assert ["C1", "C0"] == [case.case_id for case in await store.cases()]
    assert ["C1", "C0"] == [case.case_id for case in await store.cases(at_work=True)]


async def test_callers_cancelled_at_any_point_leave_no_connection_and_no_lock(
    database_url: str, clock: FakeClock
) -> None:
    """
    Whatever was begun ends, so the next writer need not wait; an open connection that is forgotten would warn.
    """
    for turns in range(0, 1_500, 30):
        store = Store(database_url, clock)
        caller = asyncio.create_task(store.record(note(Tag.CLICK_REFUSED, None, actor(MEGAN))))
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(3):
            caller.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(caller, return_exceptions=True)
        await store.settle()
        write_at_once(database_url)
        await store.close()
        del store, caller

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()


def write_at_once(database_url: str) -> None:
    """As somebody who does not wait for a lock."""
    if not database_url.startswith("sqlite"):
        return
    connection = sqlite3.connect(database_url.removeprefix("sqlite:///"), timeout=0, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")
    connection.close()
