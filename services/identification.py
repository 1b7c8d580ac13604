"""
Who "jane" is: object id or UPN, then address or alias, then display name. Several hits are a question, none is an
answer.

Every way of looking is tried in this order and the first that finds anybody decides, so that an exact name of one
person never loses against a display name that begins the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from services.cases import Subject, Text, say
from services.clients.exchange_models import BlockedSender
from services.clients.graph_models import DirectoryUser
from services.errors import NotFound, Rejected

#: More candidates than this cannot be told apart on a card; the requester is asked for an address instead.
MAX_CANDIDATES = 10


class SubjectDirectory(Protocol):
    """What is asked of the directory; fulfilled by `GraphClient`."""

    async def by_id_or_upn(self, text: str) -> DirectoryUser | None: ...

    async def by_address(self, text: str) -> tuple[DirectoryUser, ...]: ...

    async def by_name(self, text: str) -> tuple[DirectoryUser, ...]: ...

    async def deleted_users(self, text: str) -> tuple[DirectoryUser, ...]: ...


class SenderList(Protocol):
    """What is asked of the restricted list; fulfilled by `ExchangeClient`."""

    async def blocked_sender(self, address: str) -> BlockedSender | None: ...


@dataclass(frozen=True)
class Identified:
    """One account, or several to choose from, or why it is nobody that can be worked on."""

    subject: Subject | None = None
    candidates: tuple[Subject, ...] = ()
    #: Why there is nobody, or why this account is none to work on.
    refusal: Text | None = None


async def identify(query: str, directory: SubjectDirectory, senders: SenderList) -> Identified:
    """
    The account that `query` names. Raises the ServiceErrors of the directory: an unreadable directory is not "nobody".
    """
    users = await _find(query, directory)
    if not users:
        return Identified(refusal=await _why_nobody(query, directory, senders))
    if len(users) > 1:
        return Identified(candidates=tuple(user.subject() for user in users[:MAX_CANDIDATES]))
    return settled(users[0])


def settled(user: DirectoryUser) -> Identified:
    """One account was found or chosen: it is the subject, unless it is one that cannot be on the list."""
    if user.is_guest:
        return Identified(subject=user.subject(), refusal=say("outcome.guest", name=user.display_name, upn=user.upn))
    return Identified(subject=user.subject())


async def _find(query: str, directory: SubjectDirectory) -> tuple[DirectoryUser, ...]:
    user = await directory.by_id_or_upn(query)
    if user is not None:
        return (user,)
    refusal: Rejected | None = None
    for look in (directory.by_address, directory.by_name):
        try:
            if found := await look(query):
                return found
        except Rejected as error:  # a directory that does not understand this filter may understand the next
            refusal = error
    if refusal is not None:
        raise refusal
    return ()


async def _why_nobody(query: str, directory: SubjectDirectory, senders: SenderList) -> Text:
    try:
        deleted = await directory.deleted_users(query)
    except (NotFound, Rejected):  # no recycle bin, or no such filter for it: it would only have made the answer better
        deleted = ()
    if deleted:
        return say("outcome.deleted", name=deleted[0].display_name, upn=deleted[0].upn)
    # A device or program that sends over a connector is on the list under its address and has no account at all.
    if "@" in query and await senders.blocked_sender(query) is not None:
        return say("outcome.sender_without_account", address=query)
    return say("outcome.nobody", query=query)
