"""Starts and stops the sandbox: one HTTPS origin for Microsoft's services, one plain HTTP origin for control."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from services.sandbox.access import TokenCheck
from services.sandbox.control import Control
from services.sandbox.exchange.service import Exchange
from services.sandbox.graph.service import Graph
from services.sandbox.journal import Journal
from services.sandbox.keys import SandboxKeys
from services.sandbox.login import Login
from services.sandbox.misbehave import Faults
from services.sandbox.pagers import Pagers
from services.sandbox.seed import ALEX, MEGAN, contoso
from services.sandbox.state import Clock, Tenant


@dataclass(frozen=True)
class SandboxParts:
    """What an extension gets before the servers start: both applications, not yet frozen, and what they share."""

    https_app: web.Application
    http_app: web.Application
    keys: SandboxKeys
    tenant: Tenant
    journal: Journal
    tokens: TokenCheck
    #: https://host:port, known before anything is served.
    origin: str
    http_origin: str


Extension = Callable[[SandboxParts], None]


class Sandbox:
    """A running sandbox."""

    def __init__(self, parts: SandboxParts, runners: Sequence[web.AppRunner]) -> None:
        self._runners = list(runners)
        self.parts = parts
        self.origin, self.http_origin = parts.origin, parts.http_origin
        self.keys, self.tenant, self.journal = parts.keys, parts.tenant, parts.journal
        self.https_app, self.http_app = parts.https_app, parts.http_app

    def settings(self) -> dict[str, str]:
        """The settings of a bot that lives in this tenant; several values are joined by commas."""
        return {
            "tenant_id": self.tenant.tenant_id,
            "app_id": self.tenant.app.app_id,
            "app_secret": self.tenant.app.secret,
            "app_type": "SingleTenant",
            "graph_url": self.origin,
            "exchange_url": self.origin,
            "login_url": self.origin,
            "bot_openid_url": f"{self.origin}/v1/.well-known/openidconfiguration",
            "ca_bundle": str(self.keys.ca_path),
            "service_hosts": "127.0.0.1",
            "requesters": ALEX,
            "approvers": MEGAN,
            # Two people are at the windows: one of them asks, so one approval has to do.
            "approvals": '{"rules": [{"approvers": 1}], "override": {"approvers": 1}}',
            "admins": ALEX,
        }

    async def close(self) -> None:
        """Stop serving."""
        for runner in reversed(self._runners):
            await runner.cleanup()


async def start_tenant(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    https_port: int = 0,
    http_port: int = 0,
    clock: Clock | None = None,
    extend: Sequence[Extension] = (),
) -> Sandbox:
    """
    A running sandbox; keys are kept in `folder`, the rest in memory. Port 0 takes a free one.

    Each of `extend` may add routes to both applications before they start. Raises: OSError for a port that is taken.
    """
    keys = SandboxKeys.load_or_create(folder)
    clock, journal, faults = clock or Clock(), Journal(), Faults()

    def start_over() -> Tenant:
        return contoso(keys.client_secret, clock, journal, faults)

    tenant = start_over()
    journal.clear()
    listeners = _listen_all(host, (https_port, http_port))
    origin = f"https://{host}:{listeners[0].getsockname()[1]}"
    http_origin = f"http://{host}:{listeners[1].getsockname()[1]}"
    tokens = TokenCheck(tenant, keys, origin)
    parts = SandboxParts(_app(), _app(), keys, tenant, journal, tokens, origin, http_origin)
    for extension in extend:
        extension(parts)
    _add_services(parts, start_over)
    runners = [web.AppRunner(app, access_log=None, shutdown_timeout=1) for app in (parts.https_app, parts.http_app)]
    for runner, listener, ssl in zip(runners, listeners, (keys.server_ssl(), None), strict=True):
        await runner.setup()
        await web.SockSite(runner, listener, ssl_context=ssl).start()
    return Sandbox(parts, runners)


def _app() -> web.Application:
    return web.Application(client_max_size=8 * 1024 * 1024)


def _listen_all(host: str, ports: Sequence[int]) -> list[socket.socket]:
    """A listening socket for each port, or none at all."""
    listeners: list[socket.socket] = []
    try:
        for port in ports:
            listeners.append(_listen(host, port))
    except OSError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; bound early, so that the origin is known before the routes are made."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


def _add_services(parts: SandboxParts, start_over: Callable[[], Tenant]) -> None:
    tenant, origin = parts.tenant, parts.origin
    control = Control(tenant, start_over)
    for app in (parts.https_app, parts.http_app):
        control.add_routes(app)
    Pagers(tenant).add_routes(parts.http_app)
    # Control and extensions come first: the login routes begin with a tenant name, which could be anything.
    Graph(tenant, parts.tokens, origin).add_routes(parts.https_app)
    Exchange(tenant, parts.tokens, origin, _regional(origin)).add_routes(parts.https_app)
    Login(tenant, parts.keys, origin).add_routes(parts.https_app)


def _regional(origin: str) -> str:
    """The same server under its other name, as the regional host of Security & Compliance."""
    return origin.replace("127.0.0.1", "localhost")
