"""
`why`: what keeps mail from leaving, for an account, for a pasted non-delivery report, or both. No case, no change.

On the record stands who has asked about whom, and what came out. The text of the report is kept nowhere.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from services.audit import Tag, note
from services.cases import Actor, Diagnosis, Subject, Text, say
from services.clients.graph_models import DirectoryUser
from services.diagnosis import Diagnoses, Ndr, parse_ndr
from services.errors import NotAllowed, ServiceError
from services.identification import Identified, SenderList, SubjectDirectory, identify
from services.investigation.unreadable import why
from services.store import Store
from services.unblocking import RestrictedList, block_of

#: How many addresses of a report are looked up when it does not say which one is the sender.
_LOOKED_UP = 5


class Directory(SubjectDirectory, Protocol):
    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


class Exchange(RestrictedList, SenderList, Protocol): ...


class Readers(Protocol):
    """Who may look at cases may ask why; fulfilled by `Casework`."""

    async def may_read(self, who: Actor) -> None: ...


@dataclass(frozen=True)
class ExplainBlock:
    """Why does this account's mail not leave? At least one of query and report is given."""

    by: Actor
    query: str = ""
    report: str = ""


@dataclass(frozen=True)
class Explanation:
    """The answer, or whom there is to choose from, or why it is nobody."""

    identified: Identified
    diagnosis: Diagnosis | None = None
    ndr: Ndr | None = None

    @property
    def subject(self) -> Subject | None:
        return self.identified.subject


class Explanations:
    """Answers `why`."""

    def __init__(
        self, *, store: Store, readers: Readers, directory: Directory, exchange: Exchange, diagnoses: Diagnoses
    ) -> None:
        self._store = store
        self._readers = readers
        self._directory = directory
        self._exchange = exchange
        self._diagnoses = diagnoses

    async def explain_block(self, order: ExplainBlock) -> Explanation:
        """
        The diagnosis of the account that is named, or of the one whose report this is, or of the report alone.

        Raises NotAllowed for whoever may not read cases, and for one's own account: whoever has taken it over would see
        what we know. Raises the ServiceErrors of the directory for an account that is named.
        """
        await self._readers.may_read(order.by)
        ndr = parse_ndr(order.report) if order.report else None
        identified, unread = await self._whom(order.query, ndr)
        subject = identified.subject
        if subject is not None and subject.user_oid.casefold() == order.by.user_oid.casefold():
            raise NotAllowed("subject")
        if identified.refusal is not None or identified.candidates:
            return Explanation(identified, ndr=ndr)
        diagnosis = await self._diagnosis(subject, ndr or Ndr())
        diagnosis = diagnosis.model_copy(update={"unread": (*unread, *diagnosis.unread)})
        await self._record(order, subject, diagnosis, ndr)
        return Explanation(identified, diagnosis, ndr)

    async def _diagnosis(self, subject: Subject | None, ndr: Ndr) -> Diagnosis:
        if subject is None:
            return await self._diagnoses.of_report(ndr)
        block = await block_of(subject, self._directory, self._exchange)
        return await self._diagnoses.of_account(subject, block, ndr)

    async def _whom(self, query: str, ndr: Ndr | None) -> tuple[Identified, tuple[Text, ...]]:
        """Who it is about, and what could not be read for that: a report says something without an account too."""
        if query:
            return await identify(query, self._directory, self._exchange), ()
        try:
            return await self._whose(ndr or Ndr()), ()
        except ServiceError as error:
            return Identified(), (say("diagnosis.unread.whose", why=why(error)),)

    async def _whose(self, ndr: Ndr) -> Identified:
        """The account that the report is about: its sender if it names one, else whoever of it is one of ours."""
        addresses = (ndr.sender,) if ndr.sender else ndr.addresses[:_LOOKED_UP]
        found = await asyncio.gather(*(self._one_of_ours(address) for address in addresses))
        ours = {subject.user_oid: subject for subject in found if subject is not None}
        if len(ours) == 1:
            return Identified(subject=next(iter(ours.values())))
        return Identified(candidates=tuple(ours.values()))

    async def _one_of_ours(self, address: str) -> Subject | None:
        user = await self._directory.by_id_or_upn(address)
        users = (user,) if user else await self._directory.by_address(address)
        members = [user for user in users if not user.is_guest]
        return members[0].subject() if len(members) == 1 else None

    async def _record(
        self, order: ExplainBlock, subject: Subject | None, diagnosis: Diagnosis, ndr: Ndr | None
    ) -> None:
        about = {"user_oid": subject.user_oid, "upn": subject.upn} if subject else {}
        told = {
            "causes": [f"{cause.kind.value}:{cause.certainty.value}" for cause in diagnosis.causes],
            "unread": [text.key for text in diagnosis.unread],
            "codes": list(ndr.codes) if ndr else [],
        }
        await self._store.record(note(Tag.DIAGNOSIS_MADE, None, order.by, **about, **told))
