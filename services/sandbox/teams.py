"""
Azure Bot Service and Teams for the sandbox: what stands between people and the bot, on loopback.

People are two Playground windows (`/playground/{window}/api/messages`) or anybody through `/_sandbox/teams/`; the bot
is reached with signed tokens and answers through `/teams/v3/`, as in Azure. A card posted to a channel is one message,
shown in every window. Use `start_teams`, or hand a `TeamsRelay` to `start_tenant` yourself:

    relay = TeamsRelay()
    sandbox = await start_tenant(folder, extend=[relay.attach])
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from services.sandbox.server import Sandbox, SandboxParts, start_tenant
from services.sandbox.state import Tenant
from services.sandbox.teams_connector import PREFIX, Connector
from services.sandbox.teams_directory import Directory, NotThere, Person
from services.sandbox.teams_headless import INSTALLED_FOR, Headless
from services.sandbox.teams_history import History
from services.sandbox.teams_inbound import BotDoor, BotReply, Composer, PlaygroundMail, wait_until_up
from services.sandbox.teams_limits import Faults, RateLimits
from services.sandbox.teams_windows import Window, Windows

log = logging.getLogger(__name__)

DEFAULT_BOT_ENDPOINT = "http://127.0.0.1:3978/api/messages"


class TeamsRelay:
    """The parts of the stand-in, joined by `attach`."""

    def __init__(self, bot_endpoint: str = DEFAULT_BOT_ENDPOINT) -> None:
        self._bot_endpoint = bot_endpoint
        self.directory: Directory
        self.history: History
        self.windows: Windows
        self.door: BotDoor
        self.limits = RateLimits()
        self.faults = Faults()
        self.headless: Headless
        self._mail: PlaygroundMail

    def attach(self, parts: SandboxParts) -> None:
        """Add all routes to the sandbox's two applications; to be named in `start_tenant(extend=[...])`."""
        tenant = parts.tenant
        self.directory = Directory(tenant.tenant_id, tenant.app.app_id, lambda: list(_people_of(tenant)))
        self.history = History()
        service_url = f"{parts.origin}{PREFIX}/"
        self.door = BotDoor(parts.keys.bot_service_key.sign, self.directory, service_url, self._bot_endpoint)
        windows = [Window(name, self.directory.person(name)) for name in INSTALLED_FOR]
        self.windows = Windows(self.directory, self.history, windows)
        composer = Composer(self.directory, self.history, self.door)
        self.headless = Headless(
            self.directory, self.history, self.windows, composer, self.door, self.limits, self.faults
        )
        self._mail = PlaygroundMail(self.directory, self.history, self.door)
        connector = Connector(
            *(self.directory, self.history, self.windows, self.limits, self.faults), parts.tokens, parts.journal
        )
        parts.https_app.add_routes(connector.routes())
        parts.http_app.add_routes(self.headless.routes())
        parts.http_app.router.add_post("/playground/{window}/api/messages", self._from_playground)
        parts.http_app.on_cleanup.append(self._close)

    def settings(self) -> dict[str, str]:
        """The bot's settings about Teams: where approvals and alerts go."""
        return {
            "approvals_conversation": self.directory.approvals_id,
            "alerts_conversation": self.directory.general_id,
        }

    async def announce_when_up(self) -> int:
        """Wait for the bot, then tell it where it is installed; how many of the events it took."""
        await wait_until_up(self.door)
        return await self.headless.install()

    async def _from_playground(self, request: web.Request) -> web.Response:
        window_name = request.match_info["window"]
        if window_name not in INSTALLED_FOR:
            return web.json_response({"error": f"No window {window_name!r}"}, status=404)
        window = self.windows.named(window_name)
        try:
            activity = self._mail.translate(window, await request.json())
        except NotThere as nowhere:
            log.warning("Window %s: %s", window_name, nowhere)
            return web.json_response({"error": str(nowhere)}, status=404)
        if self.door.told_before(activity):
            return web.Response(status=200)
        message = self._mail.keep(activity)
        if message is not None:
            await self.windows.show(message, except_in=window_name)
        reply = await self.door.deliver(activity)
        self._remember(activity, reply)
        return _as_response(reply)

    def _remember(self, activity: dict[str, Any], reply: BotReply) -> None:
        clicked = self.history.by_id(activity.get("replyToId") or "")
        if clicked is not None and activity["type"] == "invoke":
            clicked.remember_reply(activity["from"]["aadObjectId"], reply.body)

    async def _close(self, _app: web.Application) -> None:
        await self.door.close()
        await self.windows.close()


@dataclass
class TeamsSandbox:
    """A running tenant with Teams; the bot's settings are those of both."""

    sandbox: Sandbox
    relay: TeamsRelay

    @property
    def origin(self) -> str:
        """The https origin: login, Graph, Exchange and the connector."""
        return self.sandbox.origin

    @property
    def http_origin(self) -> str:
        """The plain http origin: control routes and Playground windows."""
        return self.sandbox.http_origin

    def settings(self) -> dict[str, str]:
        """All settings the bot needs to work against this sandbox."""
        return {**self.sandbox.settings(), **self.relay.settings()}

    async def close(self) -> None:
        """Stop everything."""
        await self.sandbox.close()


async def start_teams(
    folder: Path,
    *,
    host: str = "127.0.0.1",
    https_port: int = 0,
    http_port: int = 0,
    bot_endpoint: str = DEFAULT_BOT_ENDPOINT,
) -> TeamsSandbox:
    """Start a tenant with Teams. Port 0 takes a free one; keys are kept in `folder`."""
    relay = TeamsRelay(bot_endpoint)
    sandbox = await start_tenant(folder, host=host, https_port=https_port, http_port=http_port, extend=[relay.attach])
    return TeamsSandbox(sandbox, relay)


def _people_of(tenant: Tenant) -> Iterable[Person]:
    for person in tenant.people:
        if person.deleted_at is None:
            yield Person(
                object_id=person.oid,
                name=person.display_name,
                user_principal_name=person.upn,
                mail=person.mail or "",
                given_name=person.given_name,
                surname=person.surname,
                is_guest=person.user_type == "Guest",
            )


def _as_response(reply: BotReply) -> web.Response:
    if reply.body is None:
        return web.Response(status=reply.status)
    if isinstance(reply.body, str):
        return web.Response(status=reply.status, text=reply.body)
    return web.Response(status=reply.status, text=json.dumps(reply.body), content_type="application/json")
