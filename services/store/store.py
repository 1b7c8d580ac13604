"""Cases, conversations, posted cards and the audit trail, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit import AuditEntry, NewEntry
from services.cases import (
    OPEN_STATES,
    STATES_AT_WORK,
    ApprovalPurpose,
    ApprovalState,
    Case,
    CaseKind,
    CaseState,
    Value,
)
from services.conversations import CardCopy, Conversation, ConversationKind, CopyState
from services.errors import CaseNotFound, StaleVersion
from services.ports import Clock
from services.sign_in import SIGN_INS_KEPT, SignIn
from services.store import tables
from services.store.alerts import AlertStore
from services.store.engine import Database, put, whole
from services.store.trail import append

#: What a change of a case hands back: the case as it shall be, and what the auditors shall read.
Changed = tuple[Case, Sequence[NewEntry]]

#: The parts of a case that are rows of their own: field of Case, table, key column.
_PARTS = (
    ("findings", tables.findings, "signal_id"),
    ("actions", tables.actions, "action_id"),
    ("approvals", tables.approvals, "prompt_id"),
    ("prevention", tables.prevention, "item_id"),
)
_PART_FIELDS = frozenset(field for field, _, _ in _PARTS)
#: All parts of a case in one question, since cases are read much more often than anything else.
_PARTS_OF_A_CASE = sa.union_all(
    *(
        sa.select(sa.literal(field).label("field"), table.c.position, table.c.document).where(
            table.c.case_id == sa.bindparam("case_id")
        )
        for field, table, _ in _PARTS
    )
).order_by("position")


class Store:
    """Every method is one transaction. Call `close` at the end."""

    def __init__(self, database_url: str, clock: Clock) -> None:
        self._database = Database(database_url)
        self._clock = clock
        #: Alerts, in the same database.
        self.alerts = AlertStore(self._database, clock)

    async def close(self) -> None:
        await self._database.close()

    async def settle(self) -> None:
        """Wait until no transaction is under way, those of cancelled callers included."""
        await self._database.settle()

    @whole
    async def ping(self) -> None:
        """Raises when the database does not answer."""
        async with self._database.reading() as connection:
            await connection.execute(sa.text("SELECT 1"))

    # --- cases ---

    @whole
    async def open_case(self, case: Case, entries: Sequence[NewEntry] = ()) -> Case:
        """A new case. Raises StaleVersion when its account has an open case already, or the id is taken."""
        try:
            async with self._database.writing() as connection:
                await connection.execute(tables.cases.insert().values(_case_row(case)))
                await self._save_parts(connection, None, case)
                await self._append(connection, entries)
        except sa.exc.IntegrityError as exc:
            raise StaleVersion(case_id=case.case_id) from exc
        return case

    @whole
    async def case(self, case_id: str) -> Case:
        """The case, with all its parts as they were at one moment. Raises CaseNotFound."""
        async with self._database.reading(at_one_moment=True) as connection:
            return await self._load(connection, case_id)

    @whole
    async def change_case(self, case_id: str, change: Callable[[Case], Changed]) -> Case:
        """
        Read the case, change it, write it and its audit entries, with nobody in between.

        `change` is pure and may raise; then nothing is written. The version goes up when anything changed.
        Raises CaseNotFound, and StaleVersion when the account has another open case.
        """
        try:
            async with self._database.writing() as connection:
                before = await self._load(connection, case_id, lock=True)
                after, entries = change(before)
                if after != before:
                    after = after.model_copy(update={"version": before.version + 1, "changed_at": self._clock.now()})
                    statement = tables.cases.update().where(tables.cases.c.case_id == case_id)
                    await connection.execute(statement.values(_case_row(after)))
                    await self._save_parts(connection, before, after)
                await self._append(connection, entries)
                return after
        except sa.exc.IntegrityError as exc:
            raise StaleVersion(case_id=case_id) from exc

    @whole
    async def open_case_of(self, tenant_id: str, subject_oid: str) -> Case | None:
        """The one case of this account, connector or tenant (`Case.about_id`) that is under way, if there is one."""
        query = sa.select(tables.cases.c.case_id).where(
            tables.cases.c.tenant_id == tenant_id, tables.cases.c.open_subject_oid == subject_oid
        )
        return await self._first_case(query)

    @whole
    async def last_case_of(self, tenant_id: str, subject_oid: str) -> Case | None:
        """The newest case of this account, open or closed."""
        query = (
            sa.select(tables.cases.c.case_id)
            .where(tables.cases.c.tenant_id == tenant_id, tables.cases.c.subject_oid == subject_oid)
            .order_by(tables.cases.c.opened_at.desc())
            .limit(1)
        )
        return await self._first_case(query)

    @whole
    async def listed_case_of(self, tenant_id: str, about_id: str) -> Case | None:
        """The newest case of this account that has prevention items, open or closed."""
        has_items = sa.exists().where(tables.prevention.c.case_id == tables.cases.c.case_id)
        return await self._first_case(
            sa.select(tables.cases.c.case_id)
            .where(tables.cases.c.tenant_id == tenant_id, tables.cases.c.subject_oid == about_id, has_items)
            .order_by(tables.cases.c.opened_at.desc())
            .limit(1)
        )

    @whole
    async def followed_case_of(self, tenant_id: str, about_id: str) -> Case | None:
        """The newest case that is done and still followed, if there is one."""
        return await self._first_case(
            sa.select(tables.cases.c.case_id)
            .where(
                tables.cases.c.tenant_id == tenant_id,
                tables.cases.c.subject_oid == about_id,
                tables.cases.c.state.in_([state.value for state in OPEN_STATES - STATES_AT_WORK]),
            )
            .order_by(tables.cases.c.opened_at.desc())
            .limit(1)
        )

    @whole
    async def cases_to_follow(self) -> list[str]:
        """Ids of the cases that something will come due for, with nobody at work on them."""
        table = tables.cases
        followed = table.c.state.in_([state.value for state in OPEN_STATES - STATES_AT_WORK])
        to_remind = table.c.document["remind_at"].as_string().is_not(None)
        async with self._database.reading() as connection:
            query = sa.select(table.c.case_id).where(followed | to_remind).order_by(table.c.opened_at)
            return list((await connection.execute(query)).scalars())

    @whole
    async def cases_asked(self, purposes: Collection[ApprovalPurpose]) -> list[str]:
        """Ids of the cases with a question of these purposes that is open or was answered with yes."""
        table = tables.approvals
        purpose = table.c.document["purpose"].as_string()
        asked = table.c.state.in_([ApprovalState.PENDING.value, ApprovalState.GRANTED.value])
        query = sa.select(table.c.case_id).where(asked, purpose.in_([one.value for one in purposes])).distinct()
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    @whole
    async def names_at_work(self, tenant_id: str) -> dict[str, str]:
        """Every name of what a case is at work on (object id, addresses, connector's id, in lower case) -> its case."""
        table = tables.cases
        document = table.c.document
        names = [document[("subject", name)].as_string() for name in ("user_oid", "upn", "mail")]
        query = sa.select(table.c.case_id, *names, document["connector_id"].as_string()).where(
            table.c.tenant_id == tenant_id, table.c.state.in_([state.value for state in STATES_AT_WORK])
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(table.c.opened_at))).all()
        return {name.lower(): case_id for case_id, *known in rows for name in known if name}

    @whole
    async def case_of_claim(self, claim: str) -> tuple[Case, str]:
        """The case and prompt id that a button's claim belongs to. Raises CaseNotFound."""
        query = sa.select(tables.claims.c.case_id, tables.claims.c.prompt_id).where(tables.claims.c.claim == claim)
        async with self._database.reading(at_one_moment=True) as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                raise CaseNotFound(claim="unknown")
            return await self._load(connection, row.case_id), row.prompt_id

    @whole
    async def cases(self, *, at_work: bool = False, limit: int = 20) -> list[Case]:
        """
        The newest cases first, with `at_work` only those under way. Joined ones are left out, since they are other
        cases, and so is the tenant's own list.
        """
        query = sa.select(tables.cases.c.case_id).order_by(tables.cases.c.opened_at.desc()).limit(limit)
        query = query.where(tables.cases.c.state != CaseState.TRACKING.value)
        if at_work:
            query = query.where(tables.cases.c.state.in_([state.value for state in STATES_AT_WORK]))
        async with self._database.reading(at_one_moment=True) as connection:
            ids = (await connection.execute(query)).scalars().all()
            loaded = [await self._load(connection, case_id) for case_id in ids]
        return [case for case in loaded if case.joined_to is None]

    @whole
    async def cases_in(self, case_ids: Collection[str], states: Collection[CaseState]) -> list[str]:
        """Those of these cases that are in one of the states and were not joined with another one, by id."""
        table, found = tables.cases, []
        names = [state.value for state in states]
        joined = table.c.document["joined_to"].as_string().is_not(None)
        async with self._database.reading() as connection:
            for some in _thousands(sorted(case_ids)):
                query = sa.select(table.c.case_id).where(table.c.case_id.in_(some), table.c.state.in_(names), ~joined)
                found += (await connection.execute(query)).scalars()
        return found

    async def _first_case(self, query: sa.Select[Any]) -> Case | None:
        async with self._database.reading(at_one_moment=True) as connection:
            case_id = (await connection.execute(query)).scalar()
            return await self._load(connection, case_id) if case_id else None

    async def _load(self, connection: AsyncConnection, case_id: str, *, lock: bool = False) -> Case:
        query = sa.select(tables.cases).where(tables.cases.c.case_id == case_id)
        row = (await connection.execute(query.with_for_update() if lock else query)).first()
        if row is None:
            raise CaseNotFound(case_id=case_id)
        parts: dict[str, list[Any]] = {field: [] for field in _PART_FIELDS}
        for part in await connection.execute(_PARTS_OF_A_CASE, {"case_id": case_id}):
            parts[part.field].append(part.document)
        return Case.model_validate({**row.document, **parts})

    async def _save_parts(self, connection: AsyncConnection, before: Case | None, after: Case) -> None:
        """Write the parts that differ, each its own row; a part that is gone from the case loses its row."""
        for field, table, key in _PARTS:
            old = {getattr(part, key): (place, part) for place, part in enumerate(getattr(before, field, ()))}
            new = {getattr(part, key): (place, part) for place, part in enumerate(getattr(after, field))}
            changed = [part_id for part_id in new if new[part_id] != old.get(part_id)]
            touched = [part_id for part_id in changed if part_id in old] + [i for i in old if i not in new]
            if touched:
                await connection.execute(
                    table.delete().where(table.c.case_id == after.case_id, table.c[key].in_(touched))
                )
            if changed:
                rows = [_part_row(after.case_id, key, part_id, *new[part_id]) for part_id in changed]
                await connection.execute(table.insert(), rows)
            if table is tables.approvals:
                await self._save_claims(connection, [new[part_id][1] for part_id in new if part_id not in old])

    async def _save_claims(self, connection: AsyncConnection, approvals: Collection[Any]) -> None:
        if approvals:
            rows = [{"claim": a.claim, "case_id": a.case_id, "prompt_id": a.prompt_id} for a in approvals]
            await connection.execute(tables.claims.insert(), rows)

    # --- audit ---

    @whole
    async def record(self, *entries: NewEntry) -> None:
        """Append to the audit trail what belongs to no change of a case."""
        async with self._database.writing() as connection:
            await self._append(connection, entries)

    @whole
    async def audit_entries(self, case_id: str | None = None) -> list[AuditEntry]:
        """All entries in order, or those of one case."""
        query = sa.select(tables.audit).order_by(tables.audit.c.seq)
        if case_id is not None:
            query = query.where(tables.audit.c.case_id == case_id)
        async with self._database.reading() as connection:
            return [AuditEntry.model_validate(row._asdict()) for row in await connection.execute(query)]

    @whole
    async def audit_tagged(self, tags: Collection[str]) -> list[AuditEntry]:
        """All entries with one of these tags, in order."""
        query = sa.select(tables.audit).where(tables.audit.c.tag.in_([str(tag) for tag in tags]))
        async with self._database.reading() as connection:
            rows = await connection.execute(query.order_by(tables.audit.c.seq))
            return [AuditEntry.model_validate(row._asdict()) for row in rows]

    @whole
    async def audit_trail(self) -> tuple[list[AuditEntry], tuple[int, str] | None]:
        """
        All entries in order, and number and hash of the last one as kept apart from them (None while there is none), of
        one moment: read one after the other they would not fit while somebody writes.
        """
        query = sa.select(tables.audit).order_by(tables.audit.c.seq)
        async with self._database.reading(at_one_moment=True) as connection:
            entries = [AuditEntry.model_validate(row._asdict()) for row in await connection.execute(query)]
            head = (await connection.execute(sa.select(tables.audit_head))).first()
            return entries, (head.seq, head.hash) if head else None

    async def _append(self, connection: AsyncConnection, entries: Sequence[NewEntry]) -> None:
        await append(connection, entries, self._clock.now())

    # --- conversations and posted cards ---

    @whole
    async def remember_conversation(self, conversation: Conversation) -> None:
        """Keep where an activity came from; what was known of the same conversation is replaced."""
        row = {
            "conversation_id": conversation.conversation_id,
            "kind": conversation.kind.value,
            "user_oid": conversation.user_oid,
            "active": conversation.active,
            "seen_at": conversation.seen_at,
            "document": conversation.model_dump(mode="json"),
        }
        async with self._database.writing() as connection:
            await connection.execute(put(connection, tables.conversations, row))

    @whole
    async def conversation(self, conversation_id: str) -> Conversation | None:
        table = tables.conversations
        found = await self._conversations(sa.select(table).where(table.c.conversation_id == conversation_id))
        return found[0] if found else None

    @whole
    async def personal_conversations(self, user_oids: Collection[str]) -> list[Conversation]:
        """The active personal chats of these people, newest first."""
        table = tables.conversations
        query = sa.select(table).where(
            table.c.user_oid.in_(list(user_oids)),
            table.c.kind == ConversationKind.PERSONAL.value,
            table.c.active.is_(True),
        )
        return await self._conversations(query.order_by(table.c.seen_at.desc()))

    @whole
    async def channels_of_team(self, tenant_id: str, team_id: str) -> list[Conversation]:
        """The channels of a team that were heard from, active or not."""
        table = tables.conversations
        channels = await self._conversations(sa.select(table).where(table.c.kind == ConversationKind.CHANNEL.value))
        return [one for one in channels if (one.tenant_id, one.team_id) == (tenant_id, team_id)]

    @whole
    async def newest_conversation(self) -> Conversation | None:
        """The conversation that spoke last: its connector address serves for ones that never spoke."""
        found = await self._conversations(
            sa.select(tables.conversations).order_by(tables.conversations.c.seen_at.desc()).limit(1)
        )
        return found[0] if found else None

    async def _conversations(self, query: sa.Select[Any]) -> list[Conversation]:
        async with self._database.reading() as connection:
            return [Conversation.model_validate(row.document) for row in await connection.execute(query)]

    @whole
    async def save_copy(self, copy: CardCopy) -> None:
        """Write a posted card down, or what became of it."""
        row = {**_columns(tables.card_copies, copy), "document": copy.model_dump(mode="json")}
        async with self._database.writing() as connection:
            await connection.execute(put(connection, tables.card_copies, row))

    @whole
    async def copies_of(self, case_id: str) -> list[CardCopy]:
        """Every copy of the case's cards, gone ones included."""
        return await self._copies(tables.card_copies.c.case_id == case_id)

    @whole
    async def copy_at(self, conversation_id: str, activity_id: str) -> CardCopy | None:
        table = tables.card_copies
        found = await self._copies((table.c.conversation_id == conversation_id) & (table.c.activity_id == activity_id))
        return found[0] if found else None

    @whole
    async def cases_with_outdated_copies(self) -> list[str]:
        """Ids of the cases that have a live card that shows an older version than the case is at."""
        copies, cases = tables.card_copies, tables.cases
        query = (
            sa.select(cases.c.case_id)
            .join(copies, copies.c.case_id == cases.c.case_id)
            .where(copies.c.state == CopyState.LIVE.value, copies.c.shown_version < cases.c.version)
            .distinct()
        )
        async with self._database.reading() as connection:
            return list((await connection.execute(query)).scalars())

    async def _copies(self, condition: sa.ColumnElement[bool]) -> list[CardCopy]:
        async with self._database.reading() as connection:
            query = sa.select(tables.card_copies.c.document).where(condition)
            return [CardCopy.model_validate(document) for document in (await connection.execute(query)).scalars()]

    # --- fresh sign-ins of approvers ---

    @whole
    async def ask_sign_in(self, sign_in: SignIn, *entries: NewEntry) -> None:
        """Write down that somebody was asked; what is too old to prove anything is forgotten."""
        table = tables.sign_ins
        async with self._database.writing() as connection:
            await connection.execute(table.delete().where(table.c.asked_at < sign_in.asked_at - SIGN_INS_KEPT))
            await connection.execute(table.insert().values(_sign_in_row(sign_in)))
            await self._append(connection, entries)

    @whole
    async def sign_in(self, state_hash: str) -> SignIn | None:
        query = sa.select(tables.sign_ins.c.document).where(tables.sign_ins.c.state_hash == state_hash)
        async with self._database.reading() as connection:
            document = (await connection.execute(query)).scalar()
        return SignIn.model_validate(document) if document is not None else None

    @whole
    async def use_sign_in(self, state_hash: str) -> bool:
        """Whether this is the first time that somebody comes back with this state; of two at once, one is."""
        table = tables.sign_ins
        unused = (table.c.state_hash == state_hash) & table.c.used.is_(False)
        async with self._database.writing() as connection:
            return (await connection.execute(table.update().where(unused).values(used=True))).rowcount == 1

    @whole
    async def prove_sign_in(self, sign_in: SignIn, *entries: NewEntry) -> None:
        """Keep the proof, on the row of the state that it came with."""
        table, document = tables.sign_ins, sign_in.model_dump(mode="json")
        async with self._database.writing() as connection:
            change = table.update().where(table.c.state_hash == sign_in.state_hash)
            await connection.execute(change.values(used=True, document=document))
            await self._append(connection, entries)

    @whole
    async def sign_ins_of(self, user_oid: str, prompt_id: str) -> list[SignIn]:
        """Each time that this person was asked to sign in for this prompt."""
        table = tables.sign_ins
        query = sa.select(table.c.document).where(table.c.prompt_id == prompt_id, table.c.user_oid == user_oid.lower())
        async with self._database.reading() as connection:
            return [SignIn.model_validate(document) for document in (await connection.execute(query)).scalars()]

    # --- what an admin chose in chat ---

    @whole
    async def choose(self, name: str, value: str, *entries: NewEntry) -> None:
        """Keep a choice, such as the conversation for approvals, with its audit entries."""
        async with self._database.writing() as connection:
            await connection.execute(put(connection, tables.choices, {"name": name, "value": value}))
            await self._append(connection, entries)

    @whole
    async def chosen(self, name: str) -> str | None:
        async with self._database.reading() as connection:
            return (
                await connection.execute(sa.select(tables.choices.c.value).where(tables.choices.c.name == name))
            ).scalar()


def _thousands(values: Sequence[str]) -> list[Sequence[str]]:
    """The values in lists that fit into one statement."""
    return [values[start : start + 1000] for start in range(0, len(values), 1000)]


def _case_row(case: Case) -> dict[str, Any]:
    about_id = case.about_id
    return {
        "case_id": case.case_id,
        "tenant_id": case.tenant_id,
        "state": case.state.value,
        "subject_oid": about_id,
        "open_subject_oid": about_id if case.is_at_work or case.kind is CaseKind.TENANT else None,
        "requester_oid": case.requester.user_oid,
        "opened_at": case.opened_at,
        "changed_at": case.changed_at,
        "version": case.version,
        "document": case.model_dump(mode="json", exclude=set(_PART_FIELDS)),
    }


def _sign_in_row(sign_in: SignIn) -> dict[str, Any]:
    return {
        "state_hash": sign_in.state_hash,
        "prompt_id": sign_in.prompt_id,
        "user_oid": sign_in.by.user_oid.lower(),
        "asked_at": sign_in.asked_at,
        "used": False,
        "document": sign_in.model_dump(mode="json"),
    }


def _part_row(case_id: str, key: str, part_id: str, place: int, part: Value) -> dict[str, Any]:
    document = part.model_dump(mode="json")
    return {"case_id": case_id, key: part_id, "position": place, "state": document["state"], "document": document}


def _columns(table: sa.Table, value: Value) -> dict[str, Any]:
    plain = value.model_dump(mode="json")
    return {column.name: plain[column.name] for column in table.columns if column.name in plain}
