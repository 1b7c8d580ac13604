"""How Graph answers: the request and the answer, errors, routes, permissions, licences, limits and pages."""

import math
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from services.sandbox.odata import BadQuery, Filter, page, parse_filter, query_text, write_token
from services.sandbox.state import Tenant, graph_time

Json = dict[str, Any]
Item = TypeVar("Item")
NOT_LICENSED = "Your tenant is not licensed for this feature."


@dataclass(frozen=True)
class Answer:
    """Status, JSON body (None: no content) and extra headers."""

    status: int = 200
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


class GraphError(Exception):
    """Graph says no. `code` and `message` go into the error body; either may be empty, as with Microsoft."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, dict(headers or {})


@dataclass(frozen=True)
class Call:
    """One request to Graph, on its own or inside a batch. `names` are the parts of the path that vary."""

    tenant: Tenant
    origin: str
    version: str
    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any
    roles: frozenset[str]
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def advanced(self) -> bool:
        """Whether the caller asks for the advanced query capabilities of directory objects."""
        return self.headers.get("consistencylevel", "").lower() == "eventual"

    def context(self, what: str) -> str:
        """The OData context URL of an answer."""
        return f"{self.origin}/{self.version}/$metadata#{what}"

    def json_body(self) -> Json:
        """The request body, which must be a JSON object. Raises: GraphError."""
        if not isinstance(self.body, dict):
            raise bad_request("Empty Payload. JSON content expected.")
        return self.body

    def any_role(self, *roles: str) -> bool:
        """Whether the application holds one of these permissions."""
        return bool(self.roles.intersection(roles))


Handler = Callable[[Call], Answer]


@dataclass(frozen=True)
class Limit:
    """A request limit; the window is in seconds. Identity protection never says how long to wait."""

    name: str
    most: int
    window_s: float
    says_retry_after: bool = True


# Source: "Microsoft Graph service-specific throttling limits", and the message trace's own page.
REPORTS = Limit("reports", 5, 10)
IDENTITY_PROTECTION = Limit("identity protection and conditional access", 1, 1, says_retry_after=False)
SECURITY = Limit("alerts and secure score", 150, 60)
MESSAGE_TRACE = Limit("message trace", 100, 300)
DIRECTORY = Limit("directory", 3500, 10)
MAILBOX = Limit("mailbox", 10_000, 600)


@dataclass(frozen=True)
class Route:
    """One operation: who may call it, how often, and what refuses it when a permission is missing."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    needs: tuple[tuple[str, ...], ...]
    limit: Limit
    family: str
    beta_only: bool


class Routes:
    """The operations of one part of Graph; every template is written as `users/{user}/memberOf`."""

    def __init__(self, limit: Limit, family: str = "directory") -> None:
        self.routes: list[Route] = []
        self._limit, self._family = limit, family

    def add(
        self, method: str, template: str, *needs: str | tuple[str, ...], beta_only: bool = False
    ) -> Callable[[Handler], Handler]:
        """Register a handler. Each of `needs` must be granted; a tuple means that one of its members must be."""
        literal = re.sub(r"[.()]", r"\\\g<0>", template)
        pattern = re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", literal), re.IGNORECASE)
        wanted = tuple((need,) if isinstance(need, str) else need for need in needs)

        def register(handler: Handler) -> Handler:
            self.routes.append(Route(method, pattern, handler, wanted, self._limit, self._family, beta_only))
            return handler

        return register


def bad_request(message: str, code: str = "BadRequest") -> GraphError:
    """A 400."""
    return GraphError(400, code, message)


def not_found(what: str) -> GraphError:
    """The 404 of the directory."""
    message = f"Resource '{what}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", message)


def error_body(tenant: Tenant, error: GraphError, request_id: str, client_request_id: str) -> Json:
    """The body of an error answer ("Microsoft Graph error responses and resource types")."""
    stamp = str(graph_time(tenant.clock.now())).removesuffix("Z")
    inner = {"date": stamp, "request-id": request_id, "client-request-id": client_request_id}
    return {"error": {"code": error.code, "message": error.message, "innerError": inner}}


def check_permission(route: Route, call: Call) -> None:
    """Raises: GraphError 403 in the words of the service behind the route."""
    missing = [need for need in route.needs if not call.roles.intersection(need)]
    if not missing:
        return
    if route.family == "outlook":
        raise GraphError(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
    if route.family == "reports":
        wanted = " ".join(missing[0])
        text = f"Calling principal does not have required MSGraph permissions {wanted}"
        raise GraphError(403, "Authentication_MSGraphPermissionMissing", text)
    raise permission_denied()


def permission_denied() -> GraphError:
    """The directory's 403."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def check_limit(route: Route, tenant: Tenant) -> None:
    """Count the request. Raises: GraphError 429."""
    if not tenant.switches.throttling:
        return
    wait_s = tenant.limiter.wait_s(f"graph {route.limit.name}", route.limit.most, route.limit.window_s)
    if wait_s:
        raise too_many_requests(route.limit, wait_s)


def too_many_requests(limit: Limit, wait_s: float) -> GraphError:
    """A 429; the body differs between services, and some give no Retry-After."""
    headers = {"Retry-After": str(math.ceil(wait_s))} if limit.says_retry_after else {}
    if limit is MESSAGE_TRACE:
        text = "Your recent queries have surpassed the permitted limit, please try again later."
        return GraphError(429, "TooManyRequests", text, headers)
    if limit is REPORTS:
        return GraphError(429, "UnknownError", "", headers)
    return GraphError(429, "TooManyRequests", "Too many requests.", headers)


def need_premium(call: Call, *, second_plan: bool = False) -> None:
    """Raises: GraphError when the tenant lacks Entra ID P1 (`second_plan`: P2), in the words of each feature."""
    licences = call.tenant.licences
    if second_plan and not licences.p2:
        raise GraphError(403, "Forbidden", NOT_LICENSED)
    if not (licences.p1 or licences.p2):
        text = "Neither tenant is B2C or tenant doesn't have premium license"
        raise GraphError(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", text)


def filtered(
    call: Call, items: list[Json], *, allowed: frozenset[str] | None = None, code: str = "BadRequest"
) -> list[Json]:
    """The items that `$filter` lets through. With `allowed`, other properties are refused. Raises: GraphError 400."""
    text = call.query.get("$filter")
    if text is None:
        return items
    wanted = parsed_filter(text)
    refused = [] if allowed is None else sorted(wanted.fields - allowed)
    if refused:
        raise bad_request(
            f"Invalid filter clause: The property '{refused[0]}' cannot be used in the $filter query option.", code
        )
    return [item for item in items if wanted.matches(item)]


def narrowed(call: Call, items: list[Item], name: str, read: Callable[[Item], str]) -> list[Item]:
    """
    The items that can be meant by a `$filter` that demands one value of `name`, to spare the others being spelled out.

    The whole filter is applied afterwards; one with alternatives, negations or functions narrows nothing.
    """
    text = call.query.get("$filter", "")
    if re.search(r"\b(or|not|in)\b", re.sub(r"'[^']*'", "", text), re.IGNORECASE):
        return items
    demanded = re.search(rf"(?<![\w/]){name}\s+eq\s+'([^']*)'(?!')", text, re.IGNORECASE)
    return [item for item in items if read(item).lower() == demanded[1].lower()] if demanded else items


def parsed_filter(text: str) -> Filter:
    """A `$filter`, parsed. Raises: GraphError 400."""
    try:
        return parse_filter(text)
    except BadQuery as exc:
        raise bad_request(str(exc)) from exc


def collection(
    call: Call,
    items: list[Json],
    what: str,
    *,
    default: int = 100,
    most: int = 999,
    select: bool = True,
    count: bool = True,
) -> Answer:
    """
    A page of a collection, with the link to the next one. `what` is the OData context.

    `$top` sets the page size up to `most` (more is a 400), `$select` the properties, `$count` adds the number of all.
    """
    size = _top(call, default, most)
    body: Json = {"@odata.context": call.context(what)}
    if count and call.query.get("$count", "").lower() == "true":
        body["@odata.count"] = len(items)
    token = call.query.get("$skiptoken")
    if call.tenant.switches.empty_first_page and token is None:
        shown, following = _empty_first_page()
    else:
        skipped = items[_number(call.query.get("$skip", "0"), "$skip") :]
        try:
            shown, following = page(skipped, token, size)
        except BadQuery as exc:
            raise bad_request(str(exc)) from exc
    if following:
        body["@odata.nextLink"] = _next_link(call, following)
    names = call.query.get("$select") if select else None
    body["value"] = [selected(item, names) for item in shown] if names else shown
    return Answer(200, body)


def selected(item: Json, names: str) -> Json:
    """The properties `$select` asks for, and the annotations."""
    wanted = {name.strip().lower() for name in names.split(",")}
    return {key: value for key, value in item.items() if key.lower() in wanted or key.startswith("@")}


def _empty_first_page() -> tuple[list[Json], str]:
    return [], write_token(0)


def _next_link(call: Call, token: str) -> str:
    query = {name: value for name, value in call.query.items() if name not in ("$skiptoken", "$skip")}
    return f"{call.origin}/{call.version}/{call.path}?{query_text({**query, '$skiptoken': token})}"


def _top(call: Call, default: int, most: int) -> int:
    text = call.query.get("$top")
    if text is None:
        return default
    top = _number(text, "$top")
    if not 1 <= top <= most:
        raise bad_request(
            f"Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive.", "Request_UnsupportedQuery"
        )
    return top


def _number(text: str, name: str) -> int:
    if not text.isdigit():
        raise bad_request(f"Invalid value '{text}' for {name} query option found.")
    return int(text)


def new_request_id() -> str:
    """A fresh request id."""
    return str(uuid.uuid4())
