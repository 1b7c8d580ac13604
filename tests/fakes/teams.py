"""A Teams connector on loopback that writes down what it is sent and answers as it is told."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class Heard:
    """One request as it arrived."""

    method: str
    #: The path as sent, still percent-encoded.
    path: str
    authorization: str | None
    body: Any


@dataclass
class FakeTeams:
    """Answers from `script` in turn, and a success once it is used up. An answer is (status, body, headers)."""

    script: list[tuple[int, Any, dict[str, str]]] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)

    async def start(self) -> None:
        authority = trustme.CA()
        server_ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(server_ssl)
        client_ssl = ssl.create_default_context()
        authority.configure_trust(client_ssl)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._server = TestServer(app, host="127.0.0.1", scheme="https")
        await self._server.start_server(ssl=server_ssl)
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=client_ssl))

    async def stop(self) -> None:
        await self.session.close()
        await self._server.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.port}"

    @property
    def service_url(self) -> str:
        return f"https://{self.host}/emea/"

    def answers(self, status: int, code: str = "", **headers: str) -> None:
        """The next request is answered with this status and error code; "hang_up" as status 0."""
        body = {"error": {"code": code, "message": "..."}} if code else {}
        self.script.append((status, body, {name.replace("_", "-"): value for name, value in headers.items()}))

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else None
        self.heard.append(Heard(request.method, request.raw_path, request.headers.get("Authorization"), body))
        default = {"id": "1700000000001", "activityId": "1700000000002"}
        status, answer, headers = self.script.pop(0) if self.script else (201, default, {})
        if status == 0:
            request.transport.close()
        return web.json_response(answer, status=status or 500, headers=headers)
