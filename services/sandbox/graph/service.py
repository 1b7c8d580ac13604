"""Graph over HTTP: the token, the fault on order, the route, the answer; and `$batch`."""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from aiohttp import web

from services.sandbox.access import TokenCheck, TokenRefused
from services.sandbox.graph import apps, devices, groups, logs, mail, methods, posture, protection, roles, shifts, users
from services.sandbox.graph.core import (
    NOT_LICENSED,
    Answer,
    Call,
    GraphError,
    Json,
    Route,
    bad_request,
    check_limit,
    check_permission,
    error_body,
    new_request_id,
    permission_denied,
)
from services.sandbox.journal import Entry, without_secrets
from services.sandbox.misbehave import ConnectionDropped, Fault, FaultKind
from services.sandbox.state import GRAPH, Tenant

ROUTES: list[Route] = [
    *users.routes.routes,
    *groups.routes.routes,
    *logs.reports.routes,
    *logs.traces.routes,
    *logs.audit.routes,
    *protection.routes.routes,
    *mail.routes.routes,
    *methods.routes.routes,
    *apps.routes.routes,
    *roles.routes.routes,
    *devices.routes.routes,
    *shifts.routes.routes,
    *posture.security.routes,
    *posture.access.routes,
    *posture.directory.routes,
]
MOST_IN_BATCH = 20
MOST_MAILBOX_AT_ONCE = 4
CONTENT_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"


class BrokenJson(Exception):
    """The answer is to be cut off in the middle."""


class Graph:
    """Microsoft Graph for one tenant."""

    def __init__(self, tenant: Tenant, tokens: TokenCheck, origin: str) -> None:
        self._tenant, self._tokens, self._origin = tenant, tokens, origin
        self._mailbox_requests = 0

    def add_routes(self, app: web.Application) -> None:
        """Serve everything under /v1.0 and /beta."""
        app.router.add_route("*", "/{version:v1\\.0|beta}/{path:.*}", self.handle)

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one HTTP request."""
        request_id = new_request_id()
        client_request_id = request.headers.get("client-request-id", request_id)
        version = request.match_info["version"]
        target = request.raw_path.split(f"/{version}/", 1)[1]
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            answer = await self._admitted(request, version, target, headers)
        except GraphError as error:
            answer = self._refusal(error, request_id, client_request_id)
        except ConnectionDropped:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        except BrokenJson:
            return web.Response(text='{"@odata.context":"https://graph', content_type="application/json")
        return _http_response(answer, request_id, client_request_id)

    async def _admitted(self, request: web.Request, version: str, target: str, headers: Mapping[str, str]) -> Answer:
        try:
            claims = self._tokens.claims(request.headers.get("Authorization"), (GRAPH, f"{GRAPH}/"))
        except TokenRefused as refusal:
            self._write_down(request.method, f"/{version}/{target}", 401, None)
            challenge = {"WWW-Authenticate": f'Bearer realm="", authorization_uri="{self._origin}/common"'}
            raise GraphError(401, "InvalidAuthenticationToken", str(refusal), challenge) from refusal
        roles = self._tokens.granted_roles(claims)
        body = _parsed_body(await request.read())
        if target.split("?")[0].strip("/").lower() == "$batch":
            return await self._batch(request.method, version, body, roles)
        return await self._answer(request.method, version, target, headers, body, roles, in_batch=False)

    async def _answer(
        self,
        method: str,
        version: str,
        target: str,
        headers: Mapping[str, str],
        body: Any,
        roles: frozenset[str],
        *,
        in_batch: bool,
    ) -> Answer:
        """One operation, written down with whatever becomes of it."""
        fault = self._tenant.faults.take("graph", method, f"/{version}/{target}")
        status = 500
        try:
            await self._strike(fault, early=True)
            answer = await self._operate(method, version, target, headers, body, roles)
            status = answer.status
            await self._strike(fault, early=False)
            return answer
        except GraphError as error:
            status = error.status
            raise
        except (ConnectionDropped, BrokenJson):
            status = 0
            raise
        finally:
            kind = fault.kind.value if fault else ""
            self._write_down(method, f"/{version}/{target}", status, body, in_batch=in_batch, fault=kind)

    async def _operate(
        self, method: str, version: str, target: str, headers: Mapping[str, str], body: Any, roles: frozenset[str]
    ) -> Answer:
        self._tenant.settle()
        split = urlsplit(target)
        path = _plain_path(split.path)
        route, names = _find(method, version, path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        call = Call(
            self._tenant, self._origin, version, method, split.path.strip("/"), query, headers, body, roles, names
        )
        check_permission(route, call)
        check_limit(route, self._tenant)
        if route.family == "outlook":
            return await self._mailbox_request(route, call)
        await asyncio.sleep(self._tenant.switches.latency_s)
        return route.handler(call)

    async def _mailbox_request(self, route: Route, call: Call) -> Answer:
        """Outlook serves four requests of an application at once and throttles the fifth."""
        if self._tenant.switches.throttling and self._mailbox_requests >= MOST_MAILBOX_AT_ONCE:
            text = "Application is over its MailboxConcurrency limit."
            raise GraphError(429, "ApplicationThrottled", text, {"Retry-After": "1"})
        self._mailbox_requests += 1
        try:
            await asyncio.sleep(self._tenant.switches.latency_s)
            return route.handler(call)
        finally:
            self._mailbox_requests -= 1

    async def _strike(self, fault: Fault | None, *, early: bool) -> None:
        if fault is None or fault.after is early:
            return
        if fault.kind is FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
            return
        if fault.kind is FaultKind.DROP_CONNECTION:
            raise ConnectionDropped
        if fault.kind is FaultKind.BROKEN_JSON:
            raise BrokenJson
        raise _fault_error(fault)

    def _refusal(self, error: GraphError, request_id: str, client_request_id: str) -> Answer:
        return Answer(error.status, error_body(self._tenant, error, request_id, client_request_id), error.headers)

    async def _batch(self, method: str, version: str, body: Any, roles: frozenset[str]) -> Answer:
        """
        Source: "Combine multiple HTTP requests using JSON batching". Answers come in any order.

        Requests run side by side, unless they depend on others; the batch is as slow as its slowest chain.
        """
        started: dict[str, asyncio.Task[Json]] = {}
        for request in _batch_requests(method, body):
            earlier = [started[str(name)] for name in request.get("dependsOn") or []]
            started[str(request["id"])] = asyncio.create_task(self._in_turn(request, earlier, version, roles))
        try:
            finished = await asyncio.gather(*started.values())
        finally:
            for task in started.values():
                task.cancel()
        self._write_down("POST", f"/{version}/$batch", 200, None)
        return Answer(200, {"responses": list(reversed(finished))})

    async def _in_turn(
        self, request: Json, earlier: list[asyncio.Task[Json]], version: str, roles: frozenset[str]
    ) -> Json:
        """One request of a batch, after those that it depends on."""
        for answer in await asyncio.gather(*earlier):
            if answer["status"] >= 400:
                text = "Request failed because a request it depends on has failed."
                error = GraphError(424, "FailedDependency", text)
                return self._inner(request, self._refusal(error, new_request_id(), ""))
        return await self._inner_request(request, version, roles)

    async def _inner_request(self, request: Json, version: str, roles: frozenset[str]) -> Json:
        headers = {str(name).lower(): str(value) for name, value in (request.get("headers") or {}).items()}
        target = str(request.get("url", "")).lstrip("/")
        request_id = new_request_id()
        try:
            if "body" in request and "content-type" not in headers:
                raise bad_request(f"Write request id : {request['id']} does not contain Content-Type header or body.")
            method = str(request.get("method", "")).upper()
            answer = await self._answer(method, version, target, headers, request.get("body"), roles, in_batch=True)
        except GraphError as error:
            answer = self._refusal(error, request_id, request_id)
        except ConnectionDropped:  # between Graph and the service behind it, so the batch itself goes on
            error = GraphError(504, "UnknownError", "")
            answer = self._refusal(error, request_id, request_id)
        return self._inner(request, answer)

    def _inner(self, request: Json, answer: Answer) -> Json:
        headers = {"Cache-Control": "no-cache", **answer.headers}
        shown: Json = {"id": str(request["id"]), "status": answer.status, "headers": headers}
        if answer.body is not None:
            plain = answer.body.get("@plain")
            headers["Content-Type"] = "text/plain" if plain is not None else CONTENT_TYPE
            shown["body"] = base64.b64encode(plain.encode()).decode() if plain is not None else answer.body
        return shown

    def _write_down(
        self, method: str, path: str, status: int, body: Any, *, in_batch: bool = False, fault: str = ""
    ) -> None:
        entry = Entry(
            at=self._tenant.clock.now(),
            service="graph",
            method=method,
            path=unquote(path),
            status=status,
            parameters=without_secrets(body),
            in_batch=in_batch,
            fault=fault,
        )
        self._tenant.journal.add(entry)


def _plain_path(path: str) -> str:
    """`users('x')/memberOf` and `users/x/memberOf` are the same; parts stay quoted, so that they may hold slashes."""
    return re.sub(r"\('([^']*)'\)", r"/\1", re.sub("%27", "'", path)).strip("/")


def _find(method: str, version: str, path: str) -> tuple[Route, dict[str, str]]:
    wrong_method = False
    for route in ROUTES:
        match = route.pattern.fullmatch(path)
        if match is None or (route.beta_only and version != "beta"):
            continue
        if route.method == method:
            return route, {name: unquote(value) for name, value in match.groupdict().items()}
        wrong_method = True
    if wrong_method:
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    raise bad_request(f"Resource not found for the segment '{unquote(path.split('/')[-1])}'.")


def _parsed_body(raw: bytes) -> Any:
    if not raw:
        return None
    try:
        return json.loads(raw)
    except ValueError as exc:
        raise bad_request("Unable to read JSON request payload. Please ensure Content-Type header is set.") from exc


def _batch_requests(method: str, body: Any) -> list[Json]:
    if method != "POST":
        raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
    requests = body.get("requests") if isinstance(body, dict) else None
    if not isinstance(requests, list) or not requests:
        raise bad_request("Invalid batch payload format.")
    if len(requests) > MOST_IN_BATCH:
        raise bad_request(f"Number of batch request steps exceeds the maximum value of {MOST_IN_BATCH}.")
    seen: list[str] = []
    for request in requests:
        if not isinstance(request, dict) or not request.get("id") or str(request["id"]) in seen:
            raise bad_request("Request Ids need to be unique and not empty in a batch.")
        if any(str(earlier) not in seen for earlier in request.get("dependsOn") or []):
            raise bad_request(f"Invalid dependsOn in request {request['id']}.")
        seen.append(str(request["id"]))
    return requests


def _fault_error(fault: Fault) -> GraphError:
    if fault.kind is FaultKind.THROTTLE:
        return GraphError(429, "TooManyRequests", "Too many requests.", {"Retry-After": str(fault.retry_after_s)})
    if fault.kind is FaultKind.THROTTLE_WITHOUT_RETRY_AFTER:
        return GraphError(429, "UnknownError", "")
    if fault.kind is FaultKind.LICENCE:
        return GraphError(403, "Forbidden", NOT_LICENSED)
    if fault.kind is FaultKind.FORBIDDEN:
        return permission_denied()
    return GraphError(503, "ServiceUnavailable", "The service is temporarily unavailable.")


def _http_response(answer: Answer, request_id: str, client_request_id: str) -> web.Response:
    headers = {
        "request-id": request_id,
        "client-request-id": client_request_id,
        "OData-Version": "4.0",
        "Cache-Control": "no-cache",
        **answer.headers,
    }
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    if "@plain" in answer.body:
        return web.Response(status=answer.status, headers=headers, text=answer.body["@plain"])
    headers["Content-Type"] = CONTENT_TYPE
    text = json.dumps(answer.body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(status=answer.status, headers=headers, body=text.encode())
