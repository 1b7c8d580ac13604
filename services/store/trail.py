"""Appending to the audit trail, inside the transaction of what is being written down."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.audit import GENESIS, AuditEntry, NewEntry, chained
from services.store import tables
from services.store.engine import lock_audit


async def append(connection: AsyncConnection, entries: Sequence[NewEntry], at: datetime) -> None:
    """Put the entries at the end of the chain, as of that moment. Nobody else appends until the transaction ends."""
    if not entries:
        return
    await lock_audit(connection)
    head = (await connection.execute(sa.select(tables.audit_head))).first()
    seq, previous_hash = (head.seq, head.hash) if head else (0, GENESIS)
    rows: list[AuditEntry] = []
    for entry in entries:
        rows.append(chained(entry, seq=seq + 1, at=at, previous_hash=previous_hash))
        seq, previous_hash = rows[-1].seq, rows[-1].hash
    await connection.execute(tables.audit.insert(), [row.model_dump() for row in rows])
    values = {"only": 1, "seq": seq, "hash": previous_hash}
    change = tables.audit_head.update() if head else tables.audit_head.insert()
    await connection.execute(change.values(values))
