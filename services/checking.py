"""
`check`: the investigation alone, for any account of the tenant, blocked or not. No case, no approval, no change.

The account under check is held in a value of the kind that a case is, because that is what signals read from and what
cards show; it is never stored. On the record stands who has checked whom, and with which verdict.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.audit import Tag, note
from services.cases import Actor, Case, CaseState, Finding, Subject, Verdict
from services.clients.graph_models import DirectoryUser
from services.errors import NotAllowed
from services.identification import Identified, SenderList, SubjectDirectory, identify
from services.ports import Clock
from services.store import Store
from services.unblocking import RestrictedList, block_of


class Directory(SubjectDirectory, Protocol):
    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


class Exchange(RestrictedList, SenderList, Protocol): ...


class Investigation(Protocol):
    async def run(self, case: Case, on_finding: Callable[[Finding], Awaitable[None]]) -> tuple[Finding, ...]: ...


class Readers(Protocol):
    """Who may look at cases may check accounts; fulfilled by `Casework`."""

    async def may_read(self, who: Actor) -> None: ...


@dataclass(frozen=True)
class CheckAccount:
    by: Actor
    query: str


class Checks:
    """Looks at accounts without touching them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        readers: Readers,
        directory: Directory,
        exchange: Exchange,
        investigation: Investigation,
        decide: Callable[[Sequence[Finding]], Verdict],
        tenant_id: str,
    ) -> None:
        self._store = store
        self._clock = clock
        self._readers = readers
        self._directory = directory
        self._exchange = exchange
        self._investigation = investigation
        self._decide = decide
        self._tenant_id = tenant_id

    async def account(self, order: CheckAccount) -> Identified:
        """
        Whom `query` names.

        Raises NotAllowed for whoever may not read cases, and for one's own account: whoever has taken it over would see
        what we know. Raises the ServiceErrors of the directory.
        """
        await self._readers.may_read(order.by)
        identified = await identify(order.query, self._directory, self._exchange)
        if identified.subject is not None and _same(identified.subject, order.by):
            raise NotAllowed("subject")
        return identified

    async def check_account(
        self, order: CheckAccount, subject: Subject, on_change: Callable[[Case], Awaitable[None]]
    ) -> Case:
        """
        The account with a finding for each signal and a verdict. `on_change` is handed what is known so far, each time
        that more is. A signal that cannot be read is a finding too, so this raises nothing of Microsoft's.
        """
        now = self._clock.now()
        checked = Case(
            case_id="",
            tenant_id=self._tenant_id,
            state=CaseState.INVESTIGATING,
            query=order.query,
            requester=order.by,
            opened_at=now,
            changed_at=now,
            reading_since=now,
            subject=subject,
        )
        about = {"user_oid": subject.user_oid, "upn": subject.upn}
        await self._store.record(note(Tag.CHECK_ASKED, None, order.by, **about))
        await on_change(checked)
        checked = checked.model_copy(update={"block": await block_of(subject, self._directory, self._exchange)})

        async def keep(finding: Finding) -> None:
            nonlocal checked
            checked = checked.with_finding(finding)
            await on_change(checked)

        await self._investigation.run(checked, keep)
        verdict = self._decide(checked.findings)
        checked = checked.model_copy(update={"verdict": verdict, "reading_ended_at": self._clock.now()})
        await self._store.record(
            note(
                Tag.CHECK_MADE,
                None,
                order.by,
                **about,
                label=verdict.label.value,
                score=verdict.score,
                completeness=verdict.completeness,
            )
        )
        await on_change(checked)
        return checked


def _same(subject: Subject, who: Actor) -> bool:
    return subject.user_oid.casefold() == who.user_oid.casefold()
