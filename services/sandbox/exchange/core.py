"""How a cmdlet is called and answers: parameters, warnings, errors, rows and the type annotations beside them."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from services.sandbox.state import COMPLIANCE, EXCHANGE, Mailbox, Person, Tenant

Row = dict[str, Any]
SERVER = "DB9PR04A07DC004.EURPR04A007.PROD.OUTLOOK.COM"
NOT_FOUND = "Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException"
BAD_ARGUMENT = "System.ArgumentException"


class CmdletError(Exception):
    """A cmdlet failed. `kind` is a .NET exception type, `text` what a person may read."""

    def __init__(self, kind: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.kind, self.text, self.status = kind, text, status


class NotGranted(Exception):
    """The cmdlet is unknown, or not for this caller at all: a 403 whose body is NUL bytes."""


@dataclass
class CmdletCall:
    """One call of a cmdlet; parameter names do not mind their case."""

    tenant: Tenant
    name: str
    parameters: Mapping[str, Any]
    audience: str = EXCHANGE
    warnings: list[str] = field(default_factory=list)

    def given(self, name: str) -> bool:
        """Whether a parameter was passed, even as null."""
        return name.lower() in {key.lower() for key in self.parameters}

    def get(self, name: str, default: Any = None) -> Any:
        """A parameter's value."""
        return next((value for key, value in self.parameters.items() if key.lower() == name.lower()), default)

    def text(self, name: str) -> str:
        """A parameter as text; empty when it is missing or null."""
        value = self.get(name)
        return "" if value is None else str(value)

    def required(self, name: str) -> str:
        """A parameter that must be there. Raises: CmdletError."""
        value = self.text(name)
        if not value:
            text = f"Cannot process command because of one or more missing mandatory parameters: {name}."
            raise CmdletError("System.Management.Automation.ParameterBindingException", text)
        return value

    def switch(self, name: str) -> bool:
        """A switch or a yes/no parameter."""
        return str(self.get(name, False)).lower() in ("true", "$true")

    def time(self, name: str) -> datetime | None:
        """A time parameter, UTC when it has no offset. Raises: CmdletError."""
        text = self.text(name)
        if not text:
            return None
        for read in (datetime.fromisoformat, _american):
            try:
                moment = read(text)
            except ValueError:
                continue
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        raise CmdletError(BAD_ARGUMENT, f"Cannot convert value '{text}' to type 'System.DateTime' for {name}.")

    def mailbox(self, name: str = "Identity") -> tuple[Person, Mailbox]:
        """The person and mailbox a parameter names. Raises: CmdletError (404)."""
        identity = self.required(name)
        person = self.tenant.recipient(identity)
        if person is None or person.mailbox is None:
            raise object_not_found(identity)
        return person, person.mailbox


def _american(text: str) -> datetime:
    return datetime.strptime(text, "%m/%d/%Y %I:%M:%S %p")


def object_not_found(identity: str) -> CmdletError:
    """The error for something that is not there."""
    text = f"The operation couldn't be performed because object '{identity}' couldn't be found on '{SERVER}'."
    return CmdletError(NOT_FOUND, text, 404)


@dataclass(frozen=True)
class Cmdlet:
    """A cmdlet: its parameters in lower case, who may call it, and the service that has it."""

    name: str
    run: Callable[[CmdletCall], list[Row]]
    parameters: frozenset[str]
    writes: bool
    #: A read-only role may call it.
    view_only: bool
    audience: str


class Cmdlets:
    """A set of cmdlets by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Cmdlet] = {}

    def add(
        self, name: str, *parameters: str, view_only: bool | None = None, audience: str = EXCHANGE
    ) -> Callable[[Callable[[CmdletCall], list[Row]]], Callable[[CmdletCall], list[Row]]]:
        """Register a cmdlet under its name with the parameters it knows; everything but Get- and Search- writes."""
        writes = not name.startswith(("Get-", "Search-"))
        readable = not writes if view_only is None else view_only
        known = frozenset({parameter.lower() for parameter in parameters} | {"erroraction", "warningaction", "confirm"})

        def register(run: Callable[[CmdletCall], list[Row]]) -> Callable[[CmdletCall], list[Row]]:
            self.by_name[name.lower()] = Cmdlet(name, run, known, writes, readable, audience)
            return run

        return register


def run_cmdlet(cmdlet: Cmdlet, call: CmdletCall) -> list[Row]:
    """The rows of a cmdlet, annotated; none for one that writes. Raises: CmdletError, NotGranted."""
    _check_audience(cmdlet, call)
    _check_role(cmdlet, call.tenant.app.exchange_role)
    for name in call.parameters:
        if name.lower() not in cmdlet.parameters and "@odata" not in name:
            text = f"A parameter cannot be found that matches parameter name '{name}'."
            raise CmdletError("System.Management.Automation.ParameterBindingException", text)
    rows = cmdlet.run(call)
    return [] if cmdlet.writes else [annotated(row) for row in rows]


def _check_audience(cmdlet: Cmdlet, call: CmdletCall) -> None:
    lenient = call.tenant.switches.protection_alert_on_exchange
    if cmdlet.audience == COMPLIANCE and call.audience != COMPLIANCE and not lenient:
        raise NotGranted


def _check_role(cmdlet: Cmdlet, role: str) -> None:
    full = role in ("Exchange Administrator", "Global Administrator", "Organization Management")
    if full or (role and cmdlet.view_only):
        return
    text = f"The cmdlet '{cmdlet.name}' is not present in the role definition of the current user."
    raise CmdletError("System.Management.Automation.CommandNotFoundException", text, 403)


def annotated(row: Row) -> Row:
    """A row as it goes over the wire: values made plain, and their types beside them under further keys."""
    shown: Row = {}
    for name, value in row.items():
        annotation = _annotation(value)
        if annotation is not None:
            shown[f"{name}@{annotation[0]}.type"] = annotation[1]
        shown[name] = _plain(value)
    return shown


def _annotation(value: Any) -> tuple[str, str] | None:
    if isinstance(value, list):
        return "odata", "#Collection(String)"
    if isinstance(value, uuid.UUID):
        return "data", "System.Guid"
    if isinstance(value, datetime):
        return "data", "System.DateTime"
    if isinstance(value, int) and not isinstance(value, bool):
        return "data", "System.UInt64" if value > 2**31 else "System.Int32"
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value) if isinstance(value, uuid.UUID) else value
