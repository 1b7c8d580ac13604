"""
Step 2: what blocks the account or the connector, removing exactly that entry, and proving that it is gone.

The number of unblocks that Microsoft allows is limited and not published, so an entry is never removed twice on a
guess: each removal is preceded by a look at the list, and one whose answer was lost is followed by looking, not by
repeating. Source: "Remove-BlockedSenderAddress" and "Remove-BlockedConnector" (Exchange PowerShell reference,
2026-08-21), "Remove blocked users from the Restricted entities page" (2026-08-24), "Remove blocked connectors from the
Restricted entities page" (2023-06-14).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from services.cases import LIFTING, Action, ActionKind, ActionState, Block, BlockKind, Case, Subject, Text, say
from services.clients.exchange_models import BlockedConnector, BlockedSender
from services.clients.graph_models import DirectoryUser
from services.errors import LicenceMissing, NotFound, PermissionMissing, Rejected, ServiceError, Throttled, Unavailable
from services.ports import Clock

#: Words in the cmdlet's error that mean that no more unblocks are left. The wording is not documented.
_LIMIT_WORDS = ("limit", "exceeded", "maximum number")


class RestrictedList(Protocol):
    """What is asked of Exchange; fulfilled by `ExchangeClient`."""

    async def blocked_sender(self, address: str) -> BlockedSender | None: ...

    async def blocked_connectors(self) -> tuple[BlockedConnector, ...]: ...

    async def remove_blocked_sender(self, address: str) -> object: ...

    async def remove_blocked_connector(self, connector_id: str) -> object: ...


class UserDirectory(Protocol):
    """What is asked of the directory; fulfilled by `GraphClient`."""

    async def get_user(self, id_or_upn: str) -> DirectoryUser: ...


def why_unreadable(error: ServiceError) -> Text:
    """In plain words, why something could not be read."""
    if isinstance(error, PermissionMissing):
        return say("unreadable.permission")
    if isinstance(error, LicenceMissing):
        return say("unreadable.licence")
    if isinstance(error, Throttled):
        return say("unreadable.throttled")
    if isinstance(error, Rejected) and error.detail:
        return say("unreadable.rejected", detail=error.detail)
    return say("unreadable.fault")


async def diagnose(subject: Subject, addresses: tuple[str, ...], exchange: RestrictedList) -> Block:
    """
    What keeps the account from sending, as far as the lists tell.

    The entry of a hosted mailbox is named by its UPN; the other addresses are tried after it because older entries and
    on-premises senders are named by SMTP address. Never raises: a list that cannot be read is BlockKind.UNKNOWN.
    """
    try:
        entry = await _entry(subject.upn, addresses, exchange)
    except ServiceError as error:
        return Block(kind=BlockKind.UNKNOWN, unreadable=why_unreadable(error))
    connectors = await _blocked_connectors(exchange)
    if entry is None:
        return Block(kind=BlockKind.NONE, blocked_connectors=connectors)
    return Block(
        kind=BlockKind.UNTIL_TOMORROW if entry.temporary else BlockKind.RESTRICTED,
        sender_address=entry.sender_address,
        since=entry.created_at,
        reason_raw=entry.reason_raw,
        reason=dict(entry.reason),
        blocked_connectors=connectors,
    )


async def block_of(subject: Subject, directory: UserDirectory, exchange: RestrictedList) -> Block:
    """What blocks the account, under any of its addresses: the restricted list names some entries by address."""
    try:
        user = await directory.get_user(subject.user_oid)
    except ServiceError as error:
        block = await diagnose(subject, (subject.mail,) if subject.mail else (), exchange)
        # An entry may stand under an address that we do not know, so finding none proves nothing.
        unread = {"kind": BlockKind.UNKNOWN, "unreadable": why_unreadable(error)}
        return block.model_copy(update=unread) if block.kind is BlockKind.NONE else block
    return await diagnose(subject, tuple(sorted(user.addresses)), exchange)


async def _entry(upn: str, addresses: tuple[str, ...], exchange: RestrictedList) -> BlockedSender | None:
    """The entry under any of the addresses; one that stays until it is removed before one that ends by itself."""
    different = {address.casefold(): address for address in (*addresses, upn)}
    names = sorted(different.values(), key=lambda address: address.casefold() != upn.casefold())
    entries = [entry for entry in await asyncio.gather(*map(exchange.blocked_sender, names)) if entry is not None]
    return next((entry for entry in entries if not entry.temporary), entries[0] if entries else None)


async def _blocked_connectors(exchange: RestrictedList) -> tuple[str, ...]:
    """Beside the point for a user, so a list that cannot be read here is no obstacle."""
    try:
        return tuple(each.name or each.connector_id for each in await exchange.blocked_connectors())
    except ServiceError:
        return ()


def why_nothing_to_do(block: Block, subject: Subject) -> Text | None:
    """What else it can be when there is no entry to remove; None when there is one."""
    if block.kind is BlockKind.RESTRICTED:
        return None
    if block.kind is BlockKind.UNKNOWN:
        return say("outcome.list_unreadable", why=block.unreadable)
    if block.kind is BlockKind.UNTIL_TOMORROW:
        return say("outcome.until_tomorrow", upn=subject.upn)
    if block.blocked_connectors:
        return say("outcome.connector", upn=subject.upn, connectors=list(block.blocked_connectors))
    return say("outcome.no_block", upn=subject.upn)


def find_connector(text: str, connectors: Sequence[BlockedConnector]) -> BlockedConnector | None:
    """
    The blocked connector that somebody means: by its id, by its name, or by a part of either that only one has.

    None for no hit and for several: nobody should have to trust a guess with this.
    """
    wanted = text.strip().strip("{}").casefold()
    if not wanted:
        return None
    whole = [connector for connector in connectors if wanted in _names(connector)]
    found = whole or [connector for connector in connectors if any(wanted in name for name in _names(connector))]
    return found[0] if len(found) == 1 else None


def _names(connector: BlockedConnector) -> tuple[str, ...]:
    return tuple(name.casefold() for name in (connector.connector_id, connector.name) if name)


class Unblocking:
    """Removes an entry, of a person or of a connector as the action says, and looks whether it is gone."""

    def __init__(self, exchange: RestrictedList, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock

    async def look_first(self, action: Action) -> Action | None:
        """
        None when the entry is there, so that it can be removed. Else the action without anything being sent: DONE when
        the entry is gone already, PROPOSED as before when the list could not be read.
        """
        try:
            listed = await _IS_LISTED[action.kind](self._exchange, action)
        except ServiceError as error:
            return _not_sent(action, error)
        return None if listed else self._done(action, "gone_already")

    async def carry_out(self, action: Action, tenant_id: str = "") -> Action:
        """
        The action after the removal: DONE when the call went through or its answer was lost, FAILED with the reason,
        PROPOSED as before when nothing was accepted (we were asked to wait, or there was no connection).

        An action that comes in as RUNNING was under way when the program stopped. It may have been sent, so it is not
        sent again; looking at the list decides. `tenant_id` is among what Microsoft Support asks for.
        """
        if action.state is ActionState.RUNNING:
            return self._done(action, "sent_before_restart")
        return await self._remove(action, tenant_id)

    async def _remove(self, action: Action, tenant_id: str) -> Action:
        try:
            await _REMOVE[action.kind](self._exchange, action)
        except NotFound:
            return self._done(action, "gone_already")
        except Throttled as error:
            return _not_sent(action, error)
        except Unavailable as error:
            if error.params.get("reached") is False:  # there was no connection, so it was certainly not sent
                return _not_sent(action, error)
            return self._done(action, "answer_lost")
        except ServiceError as error:
            outcome = self._why_refused(action, error, tenant_id)
            return action.model_copy(update={"state": ActionState.FAILED, "outcome": outcome})
        return self._done(action, "accepted")

    async def is_gone(self, action: Action) -> bool:
        """Whether the entry is off the list. A list that cannot be read is no proof."""
        try:
            return not await _IS_LISTED[action.kind](self._exchange, action)
        except ServiceError:
            return False

    def _why_refused(self, action: Action, error: ServiceError, tenant_id: str) -> Text:
        words = f"action.{action.kind.value}"
        if not isinstance(error, Rejected) or not any(word in error.detail.casefold() for word in _LIMIT_WORDS):
            return say(f"{words}.refused", why=why_unreadable(error))
        told = {"detail": error.detail, "what": _entry_of(action), "at": self._clock.now(), "tenant": tenant_id}
        return say(f"{words}.limit_exceeded", **told)

    def _done(self, action: Action, how: str) -> Action:
        outcome = say(f"action.{action.kind.value}.{how}")
        return action.model_copy(update={"state": ActionState.DONE, "outcome": outcome, "done_at": self._clock.now()})


async def _sender_is_listed(exchange: RestrictedList, action: Action) -> bool:
    return await exchange.blocked_sender(str(action.target["sender_address"])) is not None


async def _connector_is_listed(exchange: RestrictedList, action: Action) -> bool:
    """By the whole list: what Exchange says of an id that is not on it is not documented."""
    wanted = str(action.target["connector_id"]).casefold()
    return any(connector.connector_id.casefold() == wanted for connector in await exchange.blocked_connectors())


_IS_LISTED: Mapping[ActionKind, Callable[[RestrictedList, Action], Awaitable[bool]]] = {
    ActionKind.UNBLOCK: _sender_is_listed,
    ActionKind.UNBLOCK_CONNECTOR: _connector_is_listed,
}
_REMOVE: Mapping[ActionKind, Callable[[RestrictedList, Action], Awaitable[object]]] = {
    ActionKind.UNBLOCK: lambda exchange, a: exchange.remove_blocked_sender(str(a.target["sender_address"])),
    ActionKind.UNBLOCK_CONNECTOR: lambda exchange, a: exchange.remove_blocked_connector(str(a.target["connector_id"])),
}


def _entry_of(action: Action) -> str:
    """The entry as Microsoft Support finds it: its id, after its name when it has one."""
    (entry,) = map(str, action.target.values())
    return f"{action.target_name} ({entry})" if action.target_name not in ("", entry) else entry


def _not_sent(action: Action, error: ServiceError) -> Action:
    outcome = say(f"action.{action.kind.value}.not_sent", why=why_unreadable(error))
    return action.model_copy(update={"state": ActionState.PROPOSED, "outcome": outcome})


def unblock_action(case: Case) -> Action | None:
    """The unblock of the case's plan, of the account or of the connector."""
    return next((action for action in case.actions if action.kind in LIFTING), None)


def never_confirmed(action: Action) -> bool:
    """Whether the removal was sent, perhaps, with no answer; and not sent a second time already."""
    unanswered = tuple(f"action.{action.kind.value}.{how}" for how in ("answer_lost", "sent_before_restart"))
    return action.outcome is not None and action.outcome.key in unanswered and action.before is None
