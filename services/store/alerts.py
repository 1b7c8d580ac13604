"""Alerts, their posted cards, and how the sources are doing, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerts.model import Alert, AlertCopy, AlertKind, AlertState, SourceState
from services.audit import NewEntry
from services.errors import AlertNotFound, StaleVersion
from services.ports import Clock
from services.store import tables
from services.store.engine import Database, insert_once, lock_alerts, put, put_all, whole
from services.store.trail import append

#: What a change of an alert hands back: the alert as it shall be, and what the auditors shall read.
Changed = tuple[Alert, Sequence[NewEntry]]
#: From the alerts that are known to those that are new or changed.
Merge = Callable[[Sequence[Alert]], Sequence[Changed]]

#: Parameters of one statement; SQLite allows 32,766.
_MANY = 5000


class AlertStore:
    """Every method is one transaction. Reached as `Store.alerts`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    # --- alerts ---

    @whole
    async def alert(self, alert_id: str) -> Alert:
        """The alert. Raises AlertNotFound."""
        async with self._database.reading() as connection:
            return await self._load(connection, alert_id)

    @whole
    async def alerts(
        self, *, open_only: bool = True, limit: int | None = None, kind: AlertKind | None = None
    ) -> list[Alert]:
        """Alerts of a kind, or of all; the worst first and among equals the newest; with `open_only` those not over."""
        table = tables.alerts
        query = sa.select(table.c.document).order_by(table.c.severity.desc(), table.c.since.desc(), table.c.alert_id)
        if open_only:
            query = query.where(table.c.state == AlertState.OPEN.value)
        if kind is not None:
            query = query.where(table.c.kind == kind.value)
        return await self._alerts(query.limit(limit))

    @whole
    async def alerts_about(self, tenant_id: str, name: str) -> list[Alert]:
        """Alerts about an address, an object id, a connector's id, ...; open ones first, then the newest."""
        table, names = tables.alerts, tables.alert_names
        query = (
            sa.select(table.c.document)
            .join(names, names.c.alert_id == table.c.alert_id)
            .where(table.c.tenant_id == tenant_id, names.c.name == name.strip().lower())
        )
        return await self._alerts(query.order_by(table.c.open_key.is_(None), table.c.since.desc(), table.c.alert_id))

    @whole
    async def alerts_of_case(self, case_id: str) -> list[Alert]:
        """Alerts that this case deals with, oldest first."""
        table = tables.alerts
        query = sa.select(table.c.document).where(table.c.case_id == case_id).order_by(table.c.noticed_at)
        return await self._alerts(query)

    @whole
    async def alerts_of_digest(self, digest_id: str) -> list[Alert]:
        """The alerts that a digest shows, ended ones included; the worst first and among equals the newest."""
        table = tables.alerts
        query = sa.select(table.c.document).where(table.c.digest_id == digest_id)
        return await self._alerts(query.order_by(table.c.severity.desc(), table.c.since.desc(), table.c.alert_id))

    @whole
    async def alerts_noticed(self, since: datetime, until: datetime) -> list[Alert]:
        """Alerts that were noticed from `since` on and before `until`, oldest first."""
        table = tables.alerts
        query = sa.select(table.c.document).where(table.c.noticed_at >= since, table.c.noticed_at < until)
        return await self._alerts(query.order_by(table.c.noticed_at, table.c.alert_id))

    @whole
    async def alerts_begun(self, since: datetime, until: datetime) -> list[Alert]:
        """
        Alerts of which both the start and the noticing lie before `until`, and the later of them not before `since`;
        by when they were noticed, oldest first. So each is in one span of time, and what was suspected before it began
        is in that of its start.
        """
        table = tables.alerts
        later = sa.or_(table.c.noticed_at >= since, table.c.since >= since)
        query = sa.select(table.c.document).where(table.c.noticed_at < until, table.c.since < until, later)
        return await self._alerts(query.order_by(table.c.noticed_at, table.c.alert_id))

    @whole
    async def alerts_ended(self, since: datetime) -> list[Alert]:
        """Alerts that have ended since then, as far as they were noticed within a month before it; oldest first."""
        table = tables.alerts
        query = sa.select(table.c.document).where(
            table.c.state == AlertState.ENDED.value, table.c.noticed_at >= since - timedelta(days=31)
        )
        ended = await self._alerts(query.order_by(table.c.noticed_at, table.c.alert_id))
        return [alert for alert in ended if alert.ended_at is not None and alert.ended_at >= since]

    @whole
    async def unposted(self) -> list[Alert]:
        """Open alerts that were put before nobody yet and are not to wait, oldest first."""
        table = tables.alerts
        awake = table.c.snoozed_until.is_(None) | (table.c.snoozed_until <= self._clock.now())
        query = sa.select(table.c.document).where(
            table.c.state == AlertState.OPEN.value,
            table.c.posted_at.is_(None),
            table.c.is_set_aside.is_(False),
            awake,
        )
        return await self._alerts(query.order_by(table.c.noticed_at, table.c.alert_id))

    @whole
    async def counts(self) -> dict[AlertKind, int]:
        """How many alerts of each kind are open; kinds without any are left out."""
        table = tables.alerts
        query = sa.select(table.c.kind, sa.func.count()).where(table.c.state == AlertState.OPEN.value)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.group_by(table.c.kind))).all()
        return {AlertKind(kind): number for kind, number in rows}

    @whole
    async def change_alert(self, alert_id: str, change: Callable[[Alert], Changed]) -> Alert:
        """
        Read the alert, change it, write it and its audit entries, with nobody in between.

        `change` is pure and may raise; then nothing is written. The version goes up when anything changed.
        Raises AlertNotFound, and StaleVersion when another open alert is about the same thing.
        """
        try:
            async with self._database.writing() as connection:
                before = await self._load(connection, alert_id, lock=True)
                after, entries = change(before)
                if after != before:
                    after = after.model_copy(update={"version": before.version + 1})
                    await self._save(connection, [after])
                await append(connection, entries, self._clock.now())
                return after
        except sa.exc.IntegrityError as exc:
            raise StaleVersion(alert_id=alert_id) from exc

    @whole
    async def change_alerts(self, alert_ids: Collection[str], change: Callable[[Alert], Changed]) -> list[Alert]:
        """The same for many at once, in one transaction; those that changed."""
        async with self._database.writing() as connection:
            await lock_alerts(connection)
            table = tables.alerts
            known: list[Alert] = []
            for some in _portions(sorted(alert_ids)):
                known += await self._locked(connection, table.c.alert_id.in_(some))
            return await self._write(connection, known, [change(alert) for alert in known])

    @whole
    async def merge(
        self,
        tenant_id: str,
        names: Collection[str],
        merge: Merge,
        *,
        kinds: Collection[AlertKind] = (),
        done: SourceState | None = None,
    ) -> list[Alert]:
        """
        Put reports together with what is known: `merge` gets the alerts, open or ended, that bear one of `names`, the
        open ones that share another name with those, and every open one of `kinds`; it hands back those that are new
        or changed. It is pure and may raise; then nothing is written. The result is those that are now different from
        before, with their versions.

        `done` is the state of the source that was read, to be written with it: its lease ends thereby. Raises
        StaleVersion when the lease had gone to somebody else meanwhile; then nothing is written. Two open alerts about
        the same thing are a fault of `merge`, since nobody else writes alerts at that time, and raise what the database
        raises.
        """
        async with self._database.writing() as connection:
            await lock_alerts(connection)
            if done is not None and not await self._released(connection, done):
                raise StaleVersion(source=done.source)
            known = await self._known(connection, tenant_id, names, kinds)
            return await self._write(connection, known, merge(known))

    async def _write(
        self, connection: AsyncConnection, known: Sequence[Alert], changes: Sequence[Changed]
    ) -> list[Alert]:
        before = {alert.alert_id: alert for alert in known}
        changed = []
        for alert, _ in changes:
            old = before.get(alert.alert_id)
            if alert != old:
                changed.append(alert.model_copy(update={"version": old.version + 1}) if old else alert)
        await self._save(connection, changed)
        await append(connection, [entry for _, entries in changes for entry in entries], self._clock.now())
        return changed

    async def _known(
        self, connection: AsyncConnection, tenant_id: str, names: Collection[str], kinds: Collection[AlertKind]
    ) -> list[Alert]:
        table = tables.alerts
        mine, is_open = table.c.tenant_id == tenant_id, table.c.state == AlertState.OPEN.value
        wanted = is_open & table.c.kind.in_(sorted(kinds))
        known = await self._locked(connection, mine & wanted) if kinds else []
        named = await self._bearing(connection, mine & ~wanted, names)
        also = {name for alert in named if alert.is_open for name in alert.names}.difference(names)
        named += await self._bearing(connection, mine & is_open & ~wanted, also)
        return list({alert.alert_id: alert for alert in known + named}.values())

    async def _bearing(
        self, connection: AsyncConnection, condition: sa.ColumnElement[bool], names: Collection[str]
    ) -> list[Alert]:
        """Those of the alerts that bear one of the names."""
        named, found = tables.alert_names, []
        for some in _portions(sorted(names)):
            ids = sa.select(named.c.alert_id).where(named.c.name.in_(some))
            found += await self._locked(connection, condition & tables.alerts.c.alert_id.in_(ids))
        return found

    async def _locked(self, connection: AsyncConnection, condition: sa.ColumnElement[bool]) -> list[Alert]:
        table = tables.alerts
        query = sa.select(table.c.document).where(condition).order_by(table.c.noticed_at, table.c.alert_id)
        documents = (await connection.execute(query.with_for_update())).scalars()
        return [Alert.model_validate(document) for document in documents]

    async def _save(self, connection: AsyncConnection, alerts: Sequence[Alert]) -> None:
        """Write them whole. Ended ones go first: only then their things are free for new ones."""
        rows = [_alert_row(alert) for alert in sorted(alerts, key=lambda alert: alert.is_open)]
        await put_all(connection, tables.alerts, rows)
        names = [{"alert_id": alert.alert_id, "name": name} for alert in alerts for name in sorted(alert.names)]
        await put_all(connection, tables.alert_names, names)

    async def _load(self, connection: AsyncConnection, alert_id: str, *, lock: bool = False) -> Alert:
        query = sa.select(tables.alerts.c.document).where(tables.alerts.c.alert_id == alert_id)
        document = (await connection.execute(query.with_for_update() if lock else query)).scalar()
        if document is None:
            raise AlertNotFound(alert_id=alert_id)
        return Alert.model_validate(document)

    async def _alerts(self, query: sa.Select[Any]) -> list[Alert]:
        async with self._database.reading() as connection:
            return [Alert.model_validate(document) for document in (await connection.execute(query)).scalars()]

    # --- posted cards ---

    @whole
    async def save_copy(self, copy: AlertCopy) -> None:
        """Write a posted card down, or what became of it."""
        columns = ("copy_id", "alert_id", "digest_id", "conversation_id", "activity_id", "state", "shown_version")
        document = copy.model_dump(mode="json")
        row = {**{name: document[name] for name in columns}, "document": document}
        async with self._database.writing() as connection:
            await connection.execute(put(connection, tables.alert_copies, row))

    @whole
    async def copies_of_alert(self, alert_id: str) -> list[AlertCopy]:
        """Every card of this alert alone, gone ones included."""
        return await self._copies(sa.select(tables.alert_copies).where(tables.alert_copies.c.alert_id == alert_id))

    @whole
    async def copies_of_digest(self, digest_id: str) -> list[AlertCopy]:
        """Every card of this digest, gone ones included."""
        return await self._copies(sa.select(tables.alert_copies).where(tables.alert_copies.c.digest_id == digest_id))

    @whole
    async def copies_posting(self) -> list[AlertCopy]:
        """Cards that were written down before their post, of which nobody knows yet whether they are out there."""
        return await self._copies(sa.select(tables.alert_copies).where(tables.alert_copies.c.state == "posting"))

    @whole
    async def outdated_copies(self) -> list[AlertCopy]:
        """Live cards that show an older state than that of their alert, or of the alerts of their digest."""
        copies, alerts = tables.alert_copies, tables.alerts
        version = sa.select(alerts.c.version).where(alerts.c.alert_id == copies.c.alert_id).scalar_subquery()
        all_versions = (
            sa.select(sa.func.sum(alerts.c.version)).where(alerts.c.digest_id == copies.c.digest_id).scalar_subquery()
        )
        now_at = sa.func.coalesce(version, all_versions, 0)
        outdated = sa.select(copies).where(copies.c.state == "live", copies.c.shown_version < now_at)
        return await self._copies(outdated.order_by(copies.c.copy_id))

    async def _copies(self, query: sa.Select[Any]) -> list[AlertCopy]:
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [AlertCopy.model_validate(row.document) for row in rows]

    # --- sources ---

    @whole
    async def source_states(self) -> list[SourceState]:
        """How every source is doing that was ever read, by name."""
        query = sa.select(tables.alert_sources.c.document).order_by(tables.alert_sources.c.source)
        async with self._database.reading() as connection:
            documents = (await connection.execute(query)).scalars()
            return [SourceState.model_validate(document) for document in documents]

    @whole
    async def claim_source(self, name: str, at: datetime, holder: str, lease_s: float) -> SourceState | None:
        """
        The source, for `holder` alone for `lease_s` seconds from `at` on, when it is due and nobody else has it; else
        None. A source that was never read is due at once. What `holder` left behind when it died is its own again.
        """
        table = tables.alert_sources
        free = table.c.leased_until.is_(None) | (table.c.leased_until <= at) | (table.c.leased_by == holder)
        until = at + timedelta(seconds=lease_s)
        async with self._database.writing() as connection:
            first = SourceState(source=name, due_at=at)
            await connection.execute(insert_once(connection, table, _source_row(first)))
            mine = table.update().where(table.c.source == name, table.c.due_at <= at, free)
            if (await connection.execute(mine.values(leased_by=holder, leased_until=until))).rowcount != 1:
                return None
            query = sa.select(table.c.document).where(table.c.source == name)
            state = SourceState.model_validate((await connection.execute(query)).scalar())
            state = state.model_copy(update={"leased_by": holder, "leased_until": until})
            await connection.execute(table.update().where(table.c.source == name).values(_source_row(state)))
            return state

    @whole
    async def release_source(self, state: SourceState, *entries: NewEntry) -> bool:
        """
        Write down how the reading went and when the next is due, and give the source back. False, with nothing written,
        when the lease of `state` has gone to somebody else meanwhile.
        """
        async with self._database.writing() as connection:
            released = await self._released(connection, state)
            if released:
                await append(connection, entries, self._clock.now())
            return released

    async def _released(self, connection: AsyncConnection, state: SourceState) -> bool:
        table = tables.alert_sources
        free = state.model_copy(update={"leased_by": "", "leased_until": None})
        mine = (table.c.source == state.source) & (table.c.leased_by == state.leased_by)
        same = mine & (table.c.leased_until == state.leased_until)
        return (await connection.execute(table.update().where(same).values(_source_row(free)))).rowcount == 1


def _alert_row(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "tenant_id": alert.tenant_id,
        "kind": alert.kind.value,
        "about": alert.about,
        "open_key": alert.about if alert.is_open else None,
        "state": alert.state.value,
        "severity": int(alert.severity),
        "since": alert.since,
        "noticed_at": alert.noticed_at,
        "posted_at": alert.posted_at,
        "snoozed_until": alert.snoozed_until,
        "is_set_aside": alert.set_aside_at is not None,
        "digest_id": alert.digest_id,
        "case_id": alert.case_id,
        "version": alert.version,
        "document": alert.model_dump(mode="json"),
    }


def _source_row(state: SourceState) -> dict[str, Any]:
    return {
        "source": state.source,
        "due_at": state.due_at,
        "leased_by": state.leased_by,
        "leased_until": state.leased_until,
        "failures": state.failures,
        "document": state.model_dump(mode="json"),
    }


def _portions(values: Iterable[str]) -> Iterator[list[str]]:
    """The values in lists that fit into one statement."""
    every = list(values)
    for start in range(0, len(every), _MANY):
        yield every[start : start + _MANY]
