"""The Exchange admin route over HTTP: `InvokeCommand`, its pages, warnings and errors, and its `$batch`."""

import asyncio
import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.sandbox.access import TokenCheck, TokenRefused
from services.sandbox.exchange import blocked, organisation, permissions, recipients, rules, tracing
from services.sandbox.exchange.core import Cmdlet, CmdletCall, CmdletError, NotGranted, Row, run_cmdlet
from services.sandbox.journal import Entry, without_secrets
from services.sandbox.misbehave import ConnectionDropped, Fault, FaultKind
from services.sandbox.odata import BadQuery, page
from services.sandbox.state import COMPLIANCE, EXCHANGE, Tenant

Json = dict[str, Any]
CMDLETS: dict[str, Cmdlet] = {
    **blocked.cmdlets.by_name,
    **recipients.cmdlets.by_name,
    **permissions.cmdlets.by_name,
    **rules.cmdlets.by_name,
    **organisation.cmdlets.by_name,
    **tracing.cmdlets.by_name,
}
MOST_PER_PAGE = 1000
MOST_IN_BATCH = 10
#: The trace cmdlet's own limit; the others have an undocumented one, which is never met here unless ordered as a fault.
TRACE_LIMIT = (100, 300.0)


@dataclass(frozen=True)
class Caller:
    """Who calls: the service the token was issued for, and its app permissions."""

    audience: str
    roles: frozenset[str]


@dataclass(frozen=True)
class Reply:
    """Status, body (JSON, or raw bytes) and headers of one answer."""

    status: int
    body: Json | bytes
    headers: Mapping[str, str]


class Exchange:
    """The admin route for one tenant. `regional_origin` is where Security & Compliance sends its callers first."""

    def __init__(self, tenant: Tenant, tokens: TokenCheck, origin: str, regional_origin: str) -> None:
        self._tenant, self._tokens = tenant, tokens
        self._origin, self._regional_origin = origin, regional_origin

    def add_routes(self, app: web.Application) -> None:
        """Serve the beta route; v1.0 knows the address but not the method."""
        app.router.add_route("*", "/adminapi/{version}/{tenant}/InvokeCommand", self.handle)
        app.router.add_post("/adminapi/beta/{tenant}/$batch", self.batch)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one call of a cmdlet."""
        if request.match_info["version"].lower() != "beta" or request.method != "POST":
            return self._bare(request, 405)
        caller = self._caller(request)
        if caller is None or not self._right_tenant(request):
            challenge = {"WWW-Authenticate": f'Bearer client_id="{EXCHANGE}", error="invalid_token"'}
            return self._bare(request, 401, challenge)
        if caller.audience == COMPLIANCE and request.host == self._origin.partition("//")[2]:
            return self._bare(request, 302, {"Location": f"{self._regional_origin}{request.raw_path}"})
        try:
            reply = await self._reply(request, caller, await request.text())
        except ConnectionDropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return _http_response(reply)

    async def batch(self, request: web.Request) -> web.StreamResponse:
        """Several cmdlets in one request; each answer stands for itself."""
        caller = self._caller(request)
        if caller is None or not self._right_tenant(request):
            return self._bare(request, 401)
        asked = (await request.json()).get("requests", [])
        if len(asked) > MOST_IN_BATCH:
            return _http_response(
                _error_reply(CmdletError("System.ArgumentException", "Too many requests in a batch."), [])
            )
        responses = []
        for inner in asked:
            reply = await self._reply(request, caller, json.dumps(inner.get("body", {})), in_batch=True)
            body = reply.body.decode("latin-1") if isinstance(reply.body, bytes) else reply.body
            responses.append({"id": inner["id"], "status": reply.status, "headers": dict(reply.headers), "body": body})
        return web.json_response({"responses": responses})

    def _caller(self, request: web.Request) -> Caller | None:
        try:
            claims = self._tokens.claims(request.headers.get("Authorization"), (EXCHANGE, COMPLIANCE))
        except TokenRefused:
            return None
        return Caller(str(claims["aud"]), self._tokens.granted_roles(claims))

    def _right_tenant(self, request: web.Request) -> bool:
        tenant = self._tenant
        return request.match_info["tenant"].lower() in (tenant.tenant_id, tenant.default_domain, tenant.initial_domain)

    def _bare(self, request: web.Request, status: int, headers: Mapping[str, str] | None = None) -> web.Response:
        self._write_down(request.path, status, "", None, False, "")
        return web.Response(status=status, headers=headers)

    async def _reply(self, request: web.Request, caller: Caller, text: str, *, in_batch: bool = False) -> Reply:
        name, parameters = _cmdlet_input(text)
        fault = self._tenant.faults.take("exchange", "POST", request.path, name)
        status = 500
        try:
            ordered = await _strike(fault, early=True)
            reply = ordered or await self._invoke(request, caller, name, parameters)
            reply = await _strike(fault, early=False) or reply
            status = reply.status
            return reply
        except ConnectionDropped:
            status = 0
            raise
        finally:
            self._write_down(request.path, status, name, parameters, in_batch, fault.kind.value if fault else "")

    async def _invoke(self, request: web.Request, caller: Caller, name: str, parameters: Json) -> Reply:
        self._tenant.settle()
        await asyncio.sleep(self._tenant.switches.latency_s)
        if "Exchange.ManageAsApp" not in caller.roles:
            return _forbidden()
        call = CmdletCall(self._tenant, name, parameters, caller.audience)
        try:
            if not name:
                raise CmdletError("Microsoft.Exchange.Admin.OData.Core.ODataBadRequestException", "No CmdletInput.")
            _check_anchor(request)
            self._check_trace_limit(name)
            cmdlet = CMDLETS.get(name.lower())
            if cmdlet is None:
                return _forbidden()
            return self._page(request, call, run_cmdlet(cmdlet, call))
        except NotGranted:
            return _forbidden()
        except _Throttled as throttled:
            return _throttled(throttled.wait_s)
        except CmdletError as error:
            return _error_reply(error, call.warnings)

    def _check_trace_limit(self, name: str) -> None:
        if name.lower() == "get-messagetracev2" and self._tenant.switches.throttling:
            wait_s = self._tenant.limiter.wait_s("exchange message trace", *TRACE_LIMIT)
            if wait_s:
                raise _Throttled(wait_s)

    def _page(self, request: web.Request, call: CmdletCall, rows: list[Row]) -> Reply:
        try:
            shown, following = page(rows, request.query.get("$skiptoken"), _page_size(request, call))
        except BadQuery as exc:
            raise CmdletError("System.ArgumentException", str(exc)) from exc
        base = f"{self._origin}/adminapi/beta/{self._tenant.tenant_id}"
        body: Json = {
            "@odata.context": f"{base}/$metadata#Collection(Exchange.GenericHashTable)",
            "adminapi.warnings@odata.type": "#Collection(String)",
            "@adminapi.warnings": call.warnings,
            "value": [_selected(row, request.query.get("$select")) for row in shown],
        }
        if following:
            here = f"{request.scheme}://{request.host}{request.path}"
            body["@odata.nextLink"] = f"{here}?%24skiptoken={following}"
        return Reply(200, body, {"Rate-Limit-Remaining": "14999"})

    def _write_down(self, path: str, status: int, cmdlet: str, parameters: Any, in_batch: bool, fault: str) -> None:
        entry = Entry(
            at=self._tenant.clock.now(),
            service="exchange",
            method="POST",
            path=path,
            status=status,
            cmdlet=cmdlet,
            parameters=without_secrets(parameters),
            in_batch=in_batch,
            fault=fault,
        )
        self._tenant.journal.add(entry)


class _Throttled(Exception):
    def __init__(self, wait_s: float) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


def _cmdlet_input(text: str) -> tuple[str, Json]:
    """The cmdlet's name and parameters; an empty name when the body is not what it should be."""
    try:
        asked = json.loads(text)["CmdletInput"]
        return str(asked["CmdletName"]), dict(asked.get("Parameters") or {})
    except (ValueError, KeyError, TypeError):
        return "", {}


def _check_anchor(request: web.Request) -> None:
    anchor = request.headers.get("X-AnchorMailbox", "")
    if "@" not in anchor:
        raise CmdletError(
            "Microsoft.Exchange.Admin.RoutingException", "The X-AnchorMailbox header is missing or invalid."
        )


def _page_size(request: web.Request, call: CmdletCall) -> int:
    first_of_all_mailboxes = call.name.lower() == "get-mailbox" and not call.given("Identity")
    if first_of_all_mailboxes and not call.given("ResultSize") and "$skiptoken" not in request.query:
        # The trap: one row, a next link and a warning.
        return 1
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.strip().partition("=")
        if name.lower() == "odata.maxpagesize" and value.isdigit():
            return max(1, min(int(value), MOST_PER_PAGE))
    return MOST_PER_PAGE


def _selected(row: Row, names: str | None) -> Row:
    if not names:
        return row
    wanted = {name.strip().lower() for name in names.split(",")}
    return {key: value for key, value in row.items() if key.partition("@")[0].lower() in wanted}


def _forbidden() -> Reply:
    """What a caller gets for a cmdlet it may not know of: a 403 of NUL bytes."""
    return Reply(403, bytes(64), {"Content-Type": "application/octet-stream"})


def _throttled(wait_s: float) -> Reply:
    headers = {
        "Retry-After": str(math.ceil(wait_s)),
        "Rate-Limit-Remaining": "0",
        "Rate-Limit-Reset": str(math.ceil(wait_s)),
    }
    return Reply(429, {"error": {"code": "TooManyRequests", "message": "Request was throttled."}}, headers)


def _error_reply(error: CmdletError, warnings: list[str]) -> Reply:
    """The wrapper around every failure: the text for people is the last part of `details[0].message`."""
    code = {400: "BadRequest", 403: "Forbidden", 404: "NotFound"}.get(error.status, "InternalServerError")
    number = f"Ex{zlib.crc32(error.kind.encode()) % 0xFFFFFF:06X}"
    stack = "   at Microsoft.Exchange.AdminApi.CommandInvocation.CommandInvocation.InvokeCommand(String cmdlet)"
    inner = {
        "message": "Error executing cmdlet",
        "type": "Microsoft.Exchange.Admin.OData.Core.ODataServiceException",
        "stacktrace": f"{stack}\r\n   on server DB9PR04MB0815.eurprd04.prod.outlook.com",
        "internalexception": {
            "message": f"Exception of type '{error.kind}' was thrown.",
            "type": error.kind,
            "stacktrace": stack,
        },
    }
    body = {
        "error": {
            "code": code,
            "message": "Error executing cmdlet",
            "details": [{"code": "Client", "target": "", "message": f"{number}|{error.kind}|{error.text}"}],
            "innererror": inner,
            "adminapi.warnings@odata.type": "#Collection(String)",
            "@adminapi.warnings": warnings,
        }
    }
    return Reply(error.status, body, {})


async def _strike(fault: Fault | None, *, early: bool) -> Reply | None:
    """What a fault answers in place of the service; None when it only makes it slow, or does not strike now."""
    if fault is None or fault.after is early:
        return None
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind is FaultKind.DROP_CONNECTION:
        raise ConnectionDropped
    if fault.kind is FaultKind.BROKEN_JSON:
        return Reply(200, b'{"@odata.context":"https://outl', {"Content-Type": "application/json"})
    if fault.kind is FaultKind.THROTTLE:
        return _throttled(fault.retry_after_s)
    if fault.kind is FaultKind.THROTTLE_WITHOUT_RETRY_AFTER:
        return Reply(429, {"error": {"code": "TooManyRequests", "message": ""}}, {})
    if fault.kind in (FaultKind.FORBIDDEN, FaultKind.LICENCE):
        return _forbidden()
    return Reply(503, b"The service is unavailable.", {"Content-Type": "text/plain"})


def _http_response(reply: Reply) -> web.Response:
    if isinstance(reply.body, bytes):
        return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))
    headers = {"Content-Type": "application/json; odata.metadata=minimal; charset=utf-8", **reply.headers}
    body = json.dumps(reply.body, ensure_ascii=False, separators=(",", ":")).encode()
    return web.Response(status=reply.status, body=body, headers=headers)
