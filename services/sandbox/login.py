"""
Entra's side of signing in: discovery document, keys, the token endpoint, and the page on which people sign in.

Source: Learn "OAuth 2.0 client credentials flow on the Microsoft identity platform" and "Certificate credentials"; the
error texts follow the numbered AADSTS codes of "Microsoft Entra authentication and authorization error codes".
"""

import asyncio
import base64
import hashlib
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from services.sandbox.access import issuer_of
from services.sandbox.journal import STRUCK_OUT, Entry, without_secrets
from services.sandbox.keys import SandboxKeys
from services.sandbox.misbehave import Fault, FaultKind
from services.sandbox.sign_in import SignInRefused, SignIns
from services.sandbox.state import BOT_FRAMEWORK, COMPLIANCE, EXCHANGE, GRAPH, Tenant, graph_time

Answer = Callable[[], dict[str, Any]]
RESOURCES = (GRAPH, EXCHANGE, COMPLIANCE, BOT_FRAMEWORK)
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class LoginRefused(Exception):
    """The token endpoint says no. `code` is the OAuth error, `number` the AADSTS number."""

    def __init__(self, code: str, number: int, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.number, self.text, self.status = code, number, text, status


class Login:
    """The login service of one tenant at one origin."""

    def __init__(self, tenant: Tenant, keys: SandboxKeys, origin: str) -> None:
        self._tenant, self._keys, self._origin = tenant, keys, origin
        self._sign_ins = SignIns(tenant, keys, origin)

    def add_routes(self, app: web.Application) -> None:
        """Serve discovery, keys and tokens of the tenant, and the Bot Framework's two key documents."""
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self.discovery)
        app.router.add_get("/{tenant}/discovery/v2.0/keys", self.login_keys)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self.token)
        app.router.add_get("/{tenant}/oauth2/v2.0/authorize", self.authorize)
        app.router.add_get("/v1/.well-known/openidconfiguration", self.bot_discovery)
        app.router.add_get("/v1/.well-known/keys", self.bot_keys)

    async def discovery(self, request: web.Request) -> web.Response:
        """The OpenID Connect discovery document of the tenant."""
        return self._journaled(request, await self._answered(request, self._of_tenant(request, self._discovery)))

    async def login_keys(self, request: web.Request) -> web.Response:
        """The keys that access tokens are signed with."""
        keys = {"keys": [self._keys.login_key.jwk()]}
        return self._journaled(request, await self._answered(request, self._of_tenant(request, lambda: keys)))

    async def bot_discovery(self, request: web.Request) -> web.Response:
        """
        The Bot Framework's OpenID document, whose keys sign what Teams sends to a bot.

        Source: Learn "Authentication with the Bot Connector API".
        """
        body = {
            "issuer": BOT_FRAMEWORK,
            "authorization_endpoint": "https://invalid.botframework.com",
            "jwks_uri": f"{self._origin}/v1/.well-known/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        }
        return self._journaled(request, await self._answered(request, lambda: body))

    async def bot_keys(self, request: web.Request) -> web.Response:
        """The Bot Framework's keys, each endorsed for Teams."""
        key = {**self._keys.bot_service_key.jwk(), "endorsements": ["msteams"]}
        return self._journaled(request, await self._answered(request, lambda: {"keys": [key]}))

    async def token(self, request: web.Request) -> web.Response:
        """An access token for the application, an id token for a person's code, or Entra's refusal."""
        form = {name: str(value) for name, value in (await request.post()).items()}
        response = await self._answered(request, self._of_tenant(request, lambda: self._token(form)))
        codes = dict.fromkeys(form.keys() & {"code", "code_verifier"}, STRUCK_OUT)
        return self._journaled(request, response, without_secrets(form | codes))

    async def authorize(self, request: web.Request) -> web.Response:
        """Sign somebody in and send the browser back, or let somebody be chosen first."""
        return self._journaled(request, self._authorized(request))

    def _authorized(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        try:
            self._check_tenant(request.match_info["tenant"])
            self._sign_ins.check_request(query)
        except (LoginRefused, SignInRefused) as refusal:
            return web.Response(status=400, text=f"AADSTS{refusal.number}: {refusal.text}")
        person = self._sign_ins.who(query)
        if person is None:
            return web.Response(text=self._sign_ins.page(query, request.path), content_type="text/html")
        return web.Response(status=302, headers={"Location": self._sign_ins.answer(query, person)})

    def _id_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        try:
            return self._sign_ins.tokens(form)
        except SignInRefused as refusal:
            raise LoginRefused(refusal.code, refusal.number, refusal.text) from refusal

    def _of_tenant(self, request: web.Request, answer: Answer) -> Answer:
        """The same answer, if the request's path names this tenant."""

        def checked() -> dict[str, Any]:
            self._check_tenant(request.match_info["tenant"])
            return answer()

        return checked

    async def _answered(self, request: web.Request, answer: Answer) -> web.Response:
        fault = self._tenant.faults.take("login", request.method, request.path)
        if fault is not None:
            broken = await _suffer(fault, request)
            if broken is not None:
                return broken
        try:
            return web.json_response(answer(), headers={"Cache-Control": "no-store, no-cache"})
        except LoginRefused as refusal:
            return web.json_response(self._refusal(refusal), status=refusal.status)

    def _check_tenant(self, name: str) -> None:
        tenant = self._tenant
        if name.lower() not in (tenant.tenant_id, tenant.default_domain, tenant.initial_domain):
            raise LoginRefused("invalid_request", 90002, f"Tenant '{name}' not found. Check that it is the right one.")

    def _discovery(self) -> dict[str, Any]:
        base = f"{self._origin}/{self._tenant.tenant_id}"
        return {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": issuer_of(self._origin, self._tenant.tenant_id),
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "claims_supported": [
                "sub",
                "iss",
                "aud",
                "exp",
                "iat",
                "nbf",
                "tid",
                "oid",
                "nonce",
                "auth_time",
                "acrs",
                "ver",
            ],
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
        }

    def _token(self, form: Mapping[str, str]) -> dict[str, Any]:
        _check_grant(form)
        app = self._tenant.app
        if form.get("client_id", "").lower() != app.app_id:
            text = f"Application with identifier '{form.get('client_id', '')}' was not found in the directory."
            raise LoginRefused("unauthorized_client", 700016, text)
        self._check_credential(form)
        if form["grant_type"] == "authorization_code":
            return self._id_token(form)
        resource = _resource_of(form.get("scope", ""))
        lifetime_s = self._tenant.switches.token_lifetime_s
        return {
            "token_type": "Bearer",
            "expires_in": lifetime_s,
            "ext_expires_in": lifetime_s,
            "access_token": self._access_token(resource, lifetime_s),
        }

    def _access_token(self, resource: str, lifetime_s: int) -> str:
        app, now = self._tenant.app, time.time()
        claims: dict[str, Any] = {
            "aud": resource,
            "iss": issuer_of(self._origin, self._tenant.tenant_id),
            # An opaque claim; here it lets the tenant tell the tokens it has declared expired from newer ones.
            "aio": str(self._tenant.token_generation),
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now) + lifetime_s,
            "appid": app.app_id,
            "appidacr": "1",
            "azp": app.app_id,
            "idtyp": "app",
            "tid": self._tenant.tenant_id,
            "uti": uuid.uuid4().hex,
            "ver": "1.0",
        }
        roles = sorted(app.roles.get(resource, ()))
        if roles:
            claims["roles"] = roles
        return self._keys.login_key.sign(claims)

    def _check_credential(self, form: Mapping[str, str]) -> None:
        if form.get("client_assertion"):
            self._check_assertion(form)
        elif not form.get("client_secret"):
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise LoginRefused("invalid_client", 7000218, text, 401)
        elif form["client_secret"] != self._tenant.app.secret:
            text = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{self._tenant.app.app_id}'."
            )
            raise LoginRefused("invalid_client", 7000215, text, 401)

    def _check_assertion(self, form: Mapping[str, str]) -> None:
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise LoginRefused(
                "invalid_request", 900144, "The parameter 'client_assertion_type' is missing or unknown."
            )
        try:
            header = jwt.get_unverified_header(form["client_assertion"])
            certificate = self._certificate(header)
            self._verify_assertion(form["client_assertion"], certificate)
        except jwt.ExpiredSignatureError as exc:
            text = "Client assertion is not within its valid time range."
            raise LoginRefused("invalid_client", 700024, text, 401) from exc
        except jwt.PyJWTError as exc:
            text = f"Client assertion failed signature validation. [Reason - {exc}.]"
            raise LoginRefused("invalid_client", 700027, text, 401) from exc

    def _verify_assertion(self, assertion: str, certificate: x509.Certificate) -> None:
        app_id, public_key = self._tenant.app.app_id, certificate.public_key()
        if not isinstance(public_key, rsa.RSAPublicKey):
            raise jwt.InvalidKeyError("Only RSA certificates can be used")
        endpoint = f"{self._origin}/{self._tenant.tenant_id}/oauth2/v2.0/token"
        claims = jwt.decode(assertion, public_key, algorithms=["RS256", "PS256"], audience=endpoint, issuer=app_id)
        if claims.get("sub") != app_id:
            raise jwt.InvalidTokenError("The subject is not the application")

    def _certificate(self, header: Mapping[str, Any]) -> x509.Certificate:
        for der in self._tenant.app.certificates:
            # Some clients pad the thumbprint, which Entra accepts.
            named = {str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")}
            if named & {_thumbprint(der, "sha1"), _thumbprint(der, "sha256")}:
                return x509.load_der_x509_certificate(der)
        raise jwt.InvalidKeyError("The key was not found")

    def _refusal(self, refusal: LoginRefused) -> dict[str, Any]:
        trace_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
        stamp = str(graph_time(self._tenant.clock.now())).replace("T", " ")
        tail = f"Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {stamp}"
        return {
            "error": refusal.code,
            "error_description": f"AADSTS{refusal.number}: {refusal.text} {tail}",
            "error_codes": [refusal.number],
            "timestamp": stamp,
            "trace_id": trace_id,
            "correlation_id": correlation_id,
            "error_uri": f"{self._origin}/error?code={refusal.number}",
        }

    def _journaled(self, request: web.Request, response: web.Response, parameters: Any = None) -> web.Response:
        entry = Entry(
            at=self._tenant.clock.now(),
            service="login",
            method=request.method,
            path=request.path,
            status=response.status,
            parameters=parameters,
        )
        self._tenant.journal.add(entry)
        return response


def _check_grant(form: Mapping[str, str]) -> None:
    for name in ("grant_type", "client_id"):
        if not form.get(name):
            text = f"The request body must contain the following parameter: '{name}'."
            raise LoginRefused("invalid_request", 900144, text)
    if form["grant_type"] not in ("client_credentials", "authorization_code"):
        text = f"The app requested an unsupported grant type '{form['grant_type']}'."
        raise LoginRefused("unsupported_grant_type", 70003, text)


def _resource_of(scope: str) -> str:
    # Clients add OpenID scopes of their own accord; Entra looks past them here.
    named = [part for part in scope.split() if part not in ("openid", "profile", "offline_access")]
    if len(named) != 1 or not named[0].endswith("/.default"):
        text = f"The provided value for scope {scope} is not valid. It must end with /.default here."
        raise LoginRefused("invalid_scope", 1002012, text)
    resource = named[0].removesuffix("/.default").rstrip("/")
    if resource not in RESOURCES:
        text = f"The resource principal named {resource} was not found in the tenant."
        raise LoginRefused("invalid_resource", 500011, text)
    return resource


def _thumbprint(der: bytes, algorithm: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(algorithm, der).digest()).rstrip(b"=").decode()


async def _suffer(fault: Fault, request: web.Request) -> web.Response | None:
    """What becomes of a login request under a fault; None when it is merely late."""
    if fault.kind is FaultKind.SLOW:
        await asyncio.sleep(fault.seconds)
        return None
    if fault.kind is FaultKind.DROP_CONNECTION:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    if fault.kind is FaultKind.BROKEN_JSON:
        return web.Response(text='{"token_type":"Bearer","expires_', content_type="application/json")
    if fault.kind is FaultKind.FORBIDDEN:
        return web.json_response({"error": "access_denied", "error_description": "AADSTS53003: Blocked."}, status=400)
    throttled = fault.kind in (FaultKind.THROTTLE, FaultKind.THROTTLE_WITHOUT_RETRY_AFTER)
    headers = {"Retry-After": str(fault.retry_after_s)} if fault.kind is FaultKind.THROTTLE else {}
    body = {"error": "temporarily_unavailable", "error_description": "AADSTS90033: A transient error has occurred."}
    return web.json_response(body, status=429 if throttled else 503, headers=headers)
