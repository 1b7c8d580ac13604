"""The exact calls that a plan would make, without making any: the same code, with a sender that only lets reads out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from services.cases import LIFTING, Action, ActionState, Case, Text, Value, say
from services.clients.http import Request, Response, Send
from services.containment.hands import by_hand, prepare, undoing
from services.containment.ports import AccountChanges, MailboxChanges
from services.containment.work import Standing, Work
from services.errors import ServiceError
from services.investigation.unreadable import why
from services.ports import Clock
from services.unblocking import RestrictedList, Unblocking

#: What stands in place of a password, which is made anew each time and shown to nobody.
_RANDOM = "(random)"


class PlannedCall(Value):
    """One call that would be made, or in `note` why there is none."""

    action_id: str
    #: PATCH, POST, DELETE; "" when there is no call.
    method: str = ""
    #: Path and query of Graph; for Exchange the cmdlet with its parameters, as it is written in PowerShell.
    address: str = ""
    #: What is sent, as JSON. Exchange's holds cmdlet and parameters once more, as they go over the wire.
    body: dict[str, Any] | None = None
    note: Text | None = None

    @property
    def is_cmdlet(self) -> bool:
        """Whether it goes to Exchange, so that the address holds what the body holds."""
        return self.body is not None and "CmdletInput" in self.body


class Mailboxes(MailboxChanges, RestrictedList, Protocol):
    """What is asked of Exchange, the unblock included; fulfilled by `ExchangeClient`."""


class DryRun:
    """Built from what really sends and from how clients are made, so that it needs to know no client."""

    def __init__(
        self,
        send: Send,
        graph: Callable[[Send], AccountChanges],
        exchange: Callable[[Send], Mailboxes],
        clock: Clock,
    ) -> None:
        self._send = send
        self._graph = graph
        self._exchange = exchange
        self._clock = clock

    async def calls(self, case: Case, actions: Sequence[Action]) -> tuple[PlannedCall, ...]:
        """
        What carrying these actions out would call now, in their order. An action without a call has a note: nothing to
        do, left to a person, or what could not be read. Changes nothing; never raises ServiceError.
        """
        return _flat(await asyncio.gather(*(self._one(case, action) for action in actions)))

    async def undo_calls(self, case: Case, actions: Sequence[Action]) -> tuple[PlannedCall, ...]:
        """The same for taking these actions back."""
        return _flat(await asyncio.gather(*(self._one_undo(case, action) for action in actions)))

    async def _one(self, case: Case, action: Action) -> list[PlannedCall]:
        recorder = Recorder(self._send)
        if action.kind in LIFTING:
            note = await self._unblock(recorder, action)
        else:
            note = await self._change(self._work(recorder, case, action))
        return _planned(action, recorder, note)

    async def _one_undo(self, case: Case, action: Action) -> list[PlannedCall]:
        recorder = Recorder(self._send)
        note = await self._put_back(self._work(recorder, case, action))
        return _planned(action, recorder, note)

    def _work(self, recorder: Recorder, case: Case, action: Action) -> Work:
        return Work(self._graph(recorder), self._exchange(recorder), case, action, self._clock.now())

    async def _change(self, work: Work) -> Text | None:
        """Why there is no call; None when it was recorded."""
        waits_for = by_hand(work)
        try:
            change = await prepare(work)
            if waits_for is None and change.done_before is None:
                await change.perform()
        except ServiceError as error:
            return waits_for or _unreadable(error)
        return say("dry_run.nothing_to_do") if change.done_before is not None else waits_for

    async def _put_back(self, work: Work) -> Text | None:
        if not work.action.can_be_undone:
            return say("undo.failed.impossible")
        undo = undoing(work)
        try:
            found = await undo.look()
            if found is Standing.AS_WE_LEFT_IT:
                await undo.perform()
        except ServiceError as error:
            return _unreadable(error)
        return None if found is Standing.AS_WE_LEFT_IT else _NO_UNDO[found]

    async def _unblock(self, recorder: Recorder, action: Action) -> Text | None:
        unblocking = Unblocking(self._exchange(recorder), self._clock)
        fresh = action.model_copy(update={"state": ActionState.PROPOSED})
        settled = await unblocking.look_first(fresh)
        if settled is None:
            await unblocking.carry_out(fresh)
            return None
        return say("dry_run.nothing_to_do") if settled.state is ActionState.DONE else settled.outcome


class Recorder:
    """A `Send` that lets reads through and writes everything else down instead of sending it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.written: list[Request] = []

    async def __call__(self, request: Request) -> Response:
        """The real answer to a read; an empty good one to anything else."""
        if _only_reads(request):
            return await self._send(request)
        self.written.append(request)
        return Response(request, 204, {}, b"")


def _only_reads(request: Request) -> bool:
    """A cmdlet is always a POST, and its verb says what it does. Whatever we do not know to be a read is none."""
    return request.method == "GET" or (request.service == "exchange" and request.action.startswith("Get-"))


_NO_UNDO: Mapping[Standing, Text] = {
    Standing.AS_BEFORE: say("dry_run.nothing_to_do"),
    Standing.CHANGED_SINCE: say("undo.failed.changed_since"),
    Standing.GONE: say("undo.failed.gone"),
}


def _unreadable(error: ServiceError) -> Text:
    return say("dry_run.unreadable", why=why(error))


def _flat(parts: Iterable[list[PlannedCall]]) -> tuple[PlannedCall, ...]:
    return tuple(call for part in parts for call in part)


# --- how a call is shown ---------------------------------------------------------------------------------------------


def _planned(action: Action, recorder: Recorder, note: Text | None) -> list[PlannedCall]:
    """What was recorded. An error that came after it is the empty answer's doing and means nothing."""
    if recorder.written:
        return [_shown(action, request) for request in recorder.written]
    return [PlannedCall(action_id=action.action_id, note=note)]


def _shown(action: Action, request: Request) -> PlannedCall:
    body = None if request.body is None else _without_secrets(request.body)
    return PlannedCall(action_id=action.action_id, method=request.method, address=_address(request), body=body)


def _address(request: Request) -> str:
    if request.service == "exchange" and request.body is not None:
        parameters = request.body["CmdletInput"]["Parameters"]
        return " ".join([request.action, *(f"-{name}{_in_powershell(value)}" for name, value in parameters.items())])
    split = urlsplit(request.url)
    return f"{split.path}?{split.query}" if split.query else split.path


def _in_powershell(value: Any) -> str:
    """A parameter's value with what joins it to its name: `:$true` for flags, a space and a quoted text otherwise."""
    if isinstance(value, bool):
        return f":${str(value).lower()}"
    if value is None:
        return " $null"
    items = value if isinstance(value, (list, tuple)) else [value]
    quoted = ("'" + str(item).replace("'", "''") + "'" for item in items)
    return " " + (",".join(quoted) or "@()")


def _without_secrets(value: Any) -> Any:
    """The body with anything under a name with "password" in it left out, but for flags and objects around it."""
    if isinstance(value, Mapping):
        return {name: _RANDOM if _is_secret(name, item) else _without_secrets(item) for name, item in value.items()}
    return [_without_secrets(item) for item in value] if isinstance(value, (list, tuple)) else value


def _is_secret(name: str, value: Any) -> bool:
    return "password" in name.casefold() and isinstance(value, str)
