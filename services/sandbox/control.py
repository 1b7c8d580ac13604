"""
The control routes under `/_sandbox/`: look at what happened, order faults, flip switches, start over.

They ask for no token: the sandbox listens on loopback and holds no real data. Do not put it anywhere else.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from services.sandbox.campaign import block_connector, block_many, nothing_happened, unblock_by, unblock_connector
from services.sandbox.defender import raise_ordered, update_ordered
from services.sandbox.seed_basics import limit_reason
from services.sandbox.seed_posture import make_strong, put_in_force, set_methods
from services.sandbox.sending import send_mail, strangers
from services.sandbox.state import GRAPH, OutboundPolicy, Person, Tenant

Json = dict[str, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Control:
    """The control routes of one tenant. `start_over` gives a tenant as it was at the start."""

    def __init__(self, tenant: Tenant, start_over: Callable[[], Tenant]) -> None:
        self._tenant, self._start_over = tenant, start_over

    def add_routes(self, app: web.Application) -> None:
        """Serve the control routes."""
        app.router.add_get("/_sandbox/journal", self.show_journal)
        app.router.add_delete("/_sandbox/journal", self.clear_journal)
        app.router.add_post("/_sandbox/reset", self.reset)
        app.router.add_get("/_sandbox/faults", self.show_faults)
        app.router.add_post("/_sandbox/faults", _forgiving(self.order_fault))
        app.router.add_delete("/_sandbox/faults", self.clear_faults)
        app.router.add_get("/_sandbox/state", self.show_state)
        app.router.add_post("/_sandbox/state", _forgiving(self.change_state))
        app.router.add_post("/_sandbox/send", _forgiving(self.send))

    async def show_journal(self, request: web.Request) -> web.StreamResponse:
        """
        `{"requests": [...], "changes": [...]}`, oldest first.

        Filters in the query: service, method, path (any part of it), cmdlet, status; action and target for the changes.
        """
        query, journal = request.query, self._tenant.journal
        requests = journal.requests(
            service=query.get("service", ""),
            method=query.get("method", ""),
            path=query.get("path", ""),
            cmdlet=query.get("cmdlet", ""),
            status=int(query["status"]) if query.get("status", "").isdigit() else None,
        )
        changes = [
            change
            for change in journal.changes
            if query.get("action", "").lower() in change.action.lower()
            and query.get("target", "").lower() in change.target.lower()
        ]
        return web.json_response({"requests": plain(requests), "changes": plain(changes)})

    async def clear_journal(self, request: web.Request) -> web.StreamResponse:
        """Forget all requests and changes; 204."""
        self._tenant.journal.clear()
        return web.Response(status=204)

    async def reset(self, request: web.Request) -> web.StreamResponse:
        """Everything as it was at the start: people, switches, faults, journal; 204."""
        self._tenant.clock.reset()
        fresh = self._start_over()
        fresh.token_generation = self._tenant.token_generation
        self._tenant.become(fresh)
        self._tenant.faults.clear()
        self._tenant.journal.clear()
        return web.Response(status=204)

    async def show_faults(self, request: web.Request) -> web.StreamResponse:
        """The faults on order with what is left of them."""
        return web.json_response(plain(self._tenant.faults.ordered))

    async def order_fault(self, request: web.Request) -> web.StreamResponse:
        """
        Order a fault: `{"match": {...}, "kind": ...}` with `times`, `retry_after_s`, `seconds`, `after`; 201.

        Match by service (login, graph, exchange), method, path_regex, cmdlet. Kinds are those of `misbehave.FaultKind`.
        A source that takes half a minute until the fault is cleared: `{"kind": "slow", "seconds": 30, "times": -1,
        "match": {"path_regex": "messageTraces"}}`; with `{"cmdlet": "Get-InboxRule"}` it is one of Exchange.
        """
        return web.json_response(plain(self._tenant.faults.add(await request.json())), status=201)

    async def clear_faults(self, request: web.Request) -> web.StreamResponse:
        """No more faults; 204."""
        self._tenant.faults.clear()
        return web.Response(status=204)

    async def show_state(self, request: web.Request) -> web.StreamResponse:
        """What the tenant holds now, as far as it is of interest when trying things out."""
        return web.json_response(shown_state(self._tenant))

    async def change_state(self, request: web.Request) -> web.StreamResponse:
        """
        Change the tenant; answers with its state. Keys, all optional:

        `nothing_happened` true (empty lists, no alerts), `block` {"address", "reason", "temporary"}, `block_many`
        (see `campaign.block_many`), `unblock` address or {"address", "by"}, `block_connector` {"name", "reason"},
        `unblock_connector` name, `alert` and `alert_update` (see `defender.raise_ordered` and `update_ordered`),
        `licences` and `switches` and `organisation` {name: value} with the names of `state.Licences`, `state.Switches`
        and `state.OrganisationSettings`, `policies` [names of `seed_posture.READY_POLICIES`], `outbound_policy`
        {"name", name: value}, `score` {control: points}, `posture` "strong", `grant` and `take_away` [permission] (of
        `resource`, Graph unless said), `exchange_role` name, `app` {"may_change_admins"}, `certificate` PEM, `person`
        and `mailbox` {"upn", name: value}, `methods` {"upn", "kinds"}, `advance_s` seconds, `expire_tokens` true,
        `forget_throttling` true.
        """
        changes = await request.json()
        unknown = set(changes) - set(self._changers()) - {"resource"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        for name, change in self._changers().items():
            if name in changes:
                change(changes[name], changes)
        self._tenant.settle()
        return web.json_response(shown_state(self._tenant))

    async def send(self, request: web.Request) -> web.StreamResponse:
        """
        Let an account send now: `{"upn", "recipients", "subject", "messages"}`; answers `{"sent": n, "refused": n}`.

        `recipients` are addresses, or how many strangers (1); `messages` is how many messages to all of these (1).
        """
        order, tenant = await request.json(), self._tenant
        tenant.settle()
        recipients = order.get("recipients", 1)
        receivers = strangers(recipients) if isinstance(recipients, int) else [str(address) for address in recipients]
        subject = str(order.get("subject", "Hello"))
        answers = [send_mail(tenant, order["upn"], receivers, subject) for _ in range(int(order.get("messages", 1)))]
        refused = sum(bool(answer) for answer in answers)
        return web.json_response({"sent": len(answers) - refused, "refused": refused})

    def _changers(self) -> dict[str, Callable[[Any, Json], None]]:
        tenant = self._tenant
        return {
            "nothing_happened": lambda value, _: nothing_happened(tenant) if value else None,
            "block": lambda value, _: self._block(value),
            "block_many": lambda value, _: block_many(tenant, value),
            "unblock": lambda value, _: unblock_by(tenant, value),
            "block_connector": lambda value, _: block_connector(tenant, value),
            "unblock_connector": lambda value, _: unblock_connector(tenant, value),
            "alert": lambda value, _: raise_ordered(tenant, value),
            "alert_update": lambda value, _: update_ordered(tenant, value),
            "licences": lambda value, _: _assign(tenant.licences, value),
            "switches": lambda value, _: _assign(tenant.switches, value),
            "organisation": lambda value, _: _assign(tenant.organisation, value),
            "app": lambda value, _: _assign(tenant.app, value),
            "person": lambda value, _: _assign(self._recipient(value["upn"]), _without_upn(value)),
            "mailbox": lambda value, _: _assign(self._recipient(value["upn"]).mailbox, _without_upn(value)),
            "policies": lambda value, _: put_in_force(tenant, value),
            "outbound_policy": lambda value, _: _assign(self._outbound_policy(value["name"]), value),
            "score": lambda value, _: self._score(value),
            "methods": lambda value, _: set_methods(tenant, self._recipient(value["upn"]), value["kinds"]),
            "posture": lambda value, _: self._posture(value),
            "grant": lambda value, all_: tenant.app.roles[all_.get("resource", GRAPH)].update(value),
            "take_away": lambda value, all_: tenant.app.roles[all_.get("resource", GRAPH)].difference_update(value),
            "exchange_role": lambda value, _: _assign(tenant.app, {"exchange_role": value}),
            "certificate": lambda value, _: self._register_certificate(value),
            "advance_s": lambda value, _: tenant.clock.advance(float(value)),
            "expire_tokens": lambda value, _: _assign(
                tenant, {"token_generation": tenant.token_generation + bool(value)}
            ),
            "forget_throttling": lambda value, _: tenant.limiter.clear(),
        }

    def _block(self, wanted: Json) -> None:
        reason = wanted.get("reason") or limit_reason(2, 801)
        self._tenant.block(wanted["address"], reason, temporary=bool(wanted.get("temporary", False)))
        self._tenant.changed("sender blocked", wanted["address"], by="control")

    def _outbound_policy(self, name: str) -> OutboundPolicy:
        for policy in self._tenant.outbound_policies:
            if policy.name.lower() == name.lower():
                return policy
        raise ValueError(f"there is no policy {name}")

    def _score(self, wanted: Json) -> None:
        controls = {control.name: control for control in self._tenant.score_controls}
        for name, points in wanted.items():
            controls[name].score = float(points)

    def _posture(self, wanted: str) -> None:
        if wanted != "strong":
            raise ValueError("a posture can be made strong; for a weak one start over")
        make_strong(self._tenant)

    def _recipient(self, name: str) -> Person:
        person = self._tenant.recipient(name)
        if person is None:
            raise ValueError(f"nobody is called {name}")
        return person

    def _register_certificate(self, pem: str) -> None:
        certificate = x509.load_pem_x509_certificate(pem.encode())
        self._tenant.app.certificates.append(certificate.public_bytes(Encoding.DER))


def _forgiving(handler: Handler) -> Handler:
    """A handler that answers 400 with one line when the caller's JSON makes no sense."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (ValueError, TypeError, KeyError) as exc:
            return web.json_response({"error": str(exc)}, status=400)

    return handle


def _without_upn(values: Json) -> Json:
    return {name: value for name, value in values.items() if name != "upn"}


def _assign(holder: Any, values: Json) -> None:
    for name, value in values.items():
        if not hasattr(holder, name):
            raise ValueError(f"there is no '{name}' in {type(holder).__name__}")
        setattr(holder, name, value)


def shown_state(tenant: Tenant) -> Json:
    """The parts of the state that one looks at, as JSON."""
    return {
        "now": plain(tenant.clock.now()),
        "tenant_id": tenant.tenant_id,
        "app_id": tenant.app.app_id,
        "roles": {resource: sorted(roles) for resource, roles in tenant.app.roles.items()},
        "exchange_role": tenant.app.exchange_role,
        "licences": plain(tenant.licences),
        "switches": plain(tenant.switches),
        "organisation": plain(tenant.organisation),
        "blocked": plain(tenant.blocked),
        "blocked_connectors": plain(tenant.blocked_connectors),
        "outbound_policies": plain(tenant.outbound_policies),
        "grants": plain(tenant.grants),
        "risky_users": plain(tenant.risky_users),
        "people": [_shown_person(person) for person in tenant.people],
        "groups": plain(tenant.groups),
    }


def _shown_person(person: Person) -> Json:
    mailbox = person.mailbox and _fields(person.mailbox, without=("folders", "messages", "devices"))
    return {**_fields(person, without=("mailbox",)), "mailbox": mailbox}


def _fields(holder: Any, *, without: Collection[str] = ()) -> Json:
    names = [field.name for field in dataclasses.fields(holder) if field.name not in without]
    return {name: plain(getattr(holder, name)) for name in names}


def plain(value: Any) -> Any:
    """Dataclasses, times and collections as plain JSON values; times as UTC with `Z`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return value
