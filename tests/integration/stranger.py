"""Somebody who meets the sandbox as one meets Microsoft: real HTTPS, real msal, and no code of the bot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import msal
import requests

from services.sandbox.server import Sandbox, start_tenant

GRAPH = "https://graph.microsoft.com"
EXCHANGE = "https://outlook.office365.com"


@dataclass
class Seen:
    """An answer as the stranger sees it."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def value(self) -> list[dict[str, Any]]:
        return self.json["value"]

    @property
    def code(self) -> str:
        return self.json["error"]["code"]

    @property
    def cmdlet_text(self) -> str:
        return self.json["error"]["details"][0]["message"].rpartition("|")[2]


class Stranger:
    """Calls the sandbox with tokens that msal got."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox, self._session = sandbox, session
        self.tokens: dict[str, str] = {}

    async def graph(
        self, path: str, method: str = "GET", body: Any = None, *, version: str = "v1.0", headers: dict | None = None
    ) -> Seen:
        url = path if path.startswith("https://") else f"{self.sandbox.origin}/{version}/{path}"
        authorization = {"Authorization": f"Bearer {await self.token(GRAPH)}"}
        return await self.send(method, url, body, {**authorization, **(headers or {})})

    async def cmdlet(
        self, name: str, *, prefer: str = "", url: str = "", resource: str = EXCHANGE, **parameters: Any
    ) -> Seen:
        tenant_id = self.sandbox.tenant.tenant_id
        headers = {
            "Authorization": f"Bearer {await self.token(resource)}",
            "X-AnchorMailbox": f"APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{tenant_id}",
            **({"Prefer": prefer} if prefer else {}),
        }
        body = {"CmdletInput": {"CmdletName": name, "Parameters": parameters}}
        address = url or f"{self.sandbox.origin}/adminapi/beta/{tenant_id}/InvokeCommand"
        return await self.send("POST", address, body, headers)

    async def control(self, path: str, method: str = "POST", body: Any = None) -> Seen:
        return await self.send(method, f"{self.sandbox.http_origin}/_sandbox/{path}", body, {})

    async def token(self, resource: str) -> str:
        if resource not in self.tokens:
            answer = await asyncio.to_thread(sign_in, self.sandbox, self.sandbox.settings()["app_secret"], resource)
            self.tokens[resource] = answer["access_token"]
        return self.tokens[resource]

    async def send(self, method: str, url: str, body: Any, headers: dict[str, str]) -> Seen:
        async with self._session.request(method, url, json=body, headers=headers, allow_redirects=False) as response:
            return Seen(response.status, dict(response.headers), await response.read())


def sign_in(sandbox: Sandbox, credential: Any, resource: str) -> dict[str, Any]:
    """What msal answers when the bot signs in with this credential."""
    settings = sandbox.settings()
    with requests.Session() as session:
        session.trust_env, session.verify = False, settings["ca_bundle"]
        application = msal.ConfidentialClientApplication(
            settings["app_id"],
            client_credential=credential,
            authority=f"{settings['login_url']}/{settings['tenant_id']}",
            instance_discovery=False,
            http_client=session,
        )
        return application.acquire_token_for_client([f"{resource}/.default"])


@asynccontextmanager
async def a_stranger_at(key_folder: Path) -> AsyncIterator[Stranger]:
    """A fresh tenant and somebody who calls it; `key_folder` is one that tests share, because making keys is slow."""
    sandbox = await start_tenant(key_folder)
    connector = aiohttp.TCPConnector(ssl=sandbox.keys.client_ssl())
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Stranger(sandbox, session)
    await sandbox.close()
