"""Tokens: real MSAL against a small login server on loopback, with certificates that nobody else trusts."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import jwt
import pytest
import trustme
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from services.clients.tokens import Tokens, read_certificate, refusal
from services.clients.trust import open_session, ssl_context
from services.errors import BrokenAnswer, Rejected, SettingsError, Unavailable

TENANT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
SCOPE = "https://graph.microsoft.com/.default"
SECRET = "a-secret-of-mine"


class Login:
    """Entra, as far as MSAL needs it. `answers` are given first; after them every request is granted."""

    def __init__(self, ca: trustme.CA) -> None:
        self.ca = ca
        self.forms: list[dict[str, str]] = []
        self.answers: list[web.Response] = []
        self.opened: list[Tokens] = []
        app = web.Application()
        app.router.add_get("/{tenant}/v2.0/.well-known/openid-configuration", self._metadata)
        app.router.add_post("/{tenant}/oauth2/v2.0/token", self._token)
        self.server = TestServer(app)

    async def start(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ca.issue_cert("127.0.0.1").configure_cert(context)
        await self.server.start_server(ssl=context)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    async def _metadata(self, request: web.Request) -> web.Response:
        if request.match_info["tenant"] != TENANT:
            return web.json_response({"error": "invalid_tenant"}, status=400)
        authority = f"{self.url}/{TENANT}"
        return web.json_response(
            {
                "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
                "token_endpoint": f"{authority}/oauth2/v2.0/token",
                "issuer": f"{authority}/v2.0",
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        if self.answers:
            return self.answers.pop(0)
        return granted(f"token-{len(self.forms)}")


def granted(token: str, expires_in: int = 3600) -> web.Response:
    return web.json_response({"token_type": "Bearer", "expires_in": expires_in, "access_token": token})


@pytest.fixture
async def login(tmp_path: Path) -> AsyncIterator[Login]:
    server = Login(trustme.CA())
    server.ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    await server.start()
    yield server
    for tokens in server.opened:
        tokens.close()
    await server.server.close()


@pytest.fixture
def ca_file(login: Login, tmp_path: Path) -> Path:
    return tmp_path / "ca.pem"


def tokens_of(login: Login, ca_file: Path | None, **more: object) -> Tokens:
    settings = {"tenant_id": TENANT, "app_id": "app", "login_url": login.url, "ca_bundle": ca_file}
    tokens = Tokens(**{**settings, "secret": SecretStr(SECRET), **more})
    login.opened.append(tokens)
    return tokens


# --- fetching and keeping ---


async def test_a_token_is_fetched_once_for_all_who_ask(login, ca_file):
    """
    Ten callers at once and one later: one request to Entra, with the secret and the scope.
    """
    tokens = tokens_of(login, ca_file)

    found = await asyncio.gather(*[tokens.token(SCOPE) for _ in range(10)])

    assert {"token-1"} == {*found, await tokens.token(SCOPE)}
    assert [(SECRET, SCOPE)] == [(form["client_secret"], form["scope"]) for form in login.forms]


async def test_each_scope_has_its_own_token(login, ca_file):
    """
    A token for Graph is of no use to Exchange.
    """
    tokens = tokens_of(login, ca_file)

    assert await tokens.token(SCOPE) != await tokens.token("https://outlook.office365.com/.default")


async def test_a_refused_token_is_replaced(login, ca_file):
    """
    MSAL keeps tokens of its own; a forgotten one must not come back from there.
    """
    tokens = tokens_of(login, ca_file)
    first = await tokens.token(SCOPE)

    tokens.forget(SCOPE, "some older token")
    assert first == await tokens.token(SCOPE)

    tokens.forget(SCOPE, first)
    assert "token-2" == await tokens.token(SCOPE)


class Counted(Tokens):
    """Tokens whose talk with MSAL is written down by the test."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.asked = 0
        self.trouble: Exception | None = None
        super().__init__(tenant_id=TENANT, app_id="app", secret=SECRET, monotonic=lambda: self.now_s)

    def _ask(self, scope: str) -> dict[str, object]:
        self.asked += 1
        if self.trouble:
            raise self.trouble
        return {"access_token": f"token-{self.asked}", "expires_in": 3600}


@pytest.mark.parametrize(("later_s", "asked"), [(3299, 1), (3301, 2)])
async def test_a_token_is_renewed_five_minutes_before_its_end(later_s, asked):
    """
    A call that takes its time still ends with a valid token.
    """
    tokens = Counted()
    await tokens.token(SCOPE)

    tokens.now_s = later_s
    await tokens.token(SCOPE)

    assert asked == tokens.asked


async def test_an_old_token_serves_while_entra_is_away():
    """
    Five minutes of Entra being down are not five minutes of the bot being down.
    """
    tokens = Counted()
    await tokens.token(SCOPE)
    tokens.trouble = Unavailable("entra")

    tokens.now_s = 3400
    assert "token-1" == await tokens.token(SCOPE)

    tokens.now_s = 3590
    with pytest.raises(Unavailable):
        await tokens.token(SCOPE)


async def test_one_caller_who_gives_up_does_not_fail_the_others(login, ca_file):
    """
    The request belongs to everybody who waits for it.
    """
    tokens = tokens_of(login, ca_file)
    impatient, patient = asyncio.create_task(tokens.token(SCOPE)), asyncio.create_task(tokens.token(SCOPE))
    await asyncio.sleep(0)

    impatient.cancel()

    assert "token-1" == await patient


# --- refusals ---


async def test_a_refusal_has_entras_code_and_no_secret(login, ca_file):
    """
    The number leads to Microsoft's documentation; trace ids and the secret stay out.
    """
    description = f"AADSTS7000215: Invalid client secret provided: {SECRET}. Trace ID: 1234 Correlation ID: 5678"
    body = {"error": "invalid_client", "error_description": description}
    login.answers = [web.json_response(body, status=401)]

    with pytest.raises(Rejected) as refused:
        await tokens_of(login, ca_file).token(SCOPE)

    assert ("entra", "AADSTS7000215") == (refused.value.service, refused.value.code)
    assert SECRET not in str(refused.value)
    assert "Trace" not in refused.value.detail


async def test_passing_trouble_is_over_with_the_next_try(login, ca_file):
    """
    MSAL would repeat a failed answer from its memory for seconds; the next try is a real one.
    """
    login.answers = [web.Response(status=503)]
    tokens = tokens_of(login, ca_file)

    with pytest.raises(Unavailable):
        await tokens.token(SCOPE)

    assert "token-2" == await tokens.token(SCOPE)


async def test_an_unknown_tenant_is_refused(login, ca_file):
    """
    A mistyped tenant or login address is no passing trouble.
    """
    with pytest.raises(Rejected) as refused:
        await tokens_of(login, ca_file, tenant_id="nobody").token(SCOPE)

    assert "authority" == refused.value.code


async def test_an_answer_that_is_no_json_is_broken(login, ca_file):
    """
    A proxy's web page is not a token.
    """
    login.answers = [web.Response(text="<html>")]

    with pytest.raises(BrokenAnswer):
        await tokens_of(login, ca_file).token(SCOPE)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [({"error": "temporarily_unavailable"}, Unavailable), ({"error": "invalid_scope"}, Rejected), ({}, BrokenAnswer)],
)
def test_words_of_a_refusal_decide_what_it_means(answer, kind):
    """
    Some of Entra's refusals only mean "later".
    """
    assert type(refusal(answer)) is kind


def test_an_app_without_a_credential_cannot_be_built():
    """
    It would fail at its first call otherwise, somewhere far from the setting.
    """
    with pytest.raises(SettingsError):
        Tokens(tenant_id=TENANT, app_id="app")


# --- trust ---


@pytest.mark.parametrize("value", ["other.pem", "missing.pem"])
async def test_our_certificates_beat_the_environment(login, ca_file, tmp_path, monkeypatch, value):
    """
    requests lets REQUESTS_CA_BUNDLE win over a session's own; ours wins over that, even over a file that is not there.
    """
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / value))

    assert "token-1" == await tokens_of(login, ca_file).token(SCOPE)


async def test_a_certificate_that_nobody_vouches_for_is_refused(login):
    """
    Checking is never switched off: without our extra file, this server is a stranger.
    """
    with pytest.raises(Unavailable):
        await tokens_of(login, None).token(SCOPE)


async def test_aiohttp_trusts_the_same_certificates(login, ca_file, monkeypatch):
    """
    One setting for both libraries.
    """
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    async with open_session(ca_file) as session, session.get(f"{login.url}/x") as answer:
        assert 404 == answer.status
    async with open_session() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(f"{login.url}/x")


def test_a_ca_bundle_that_is_none_names_the_setting(tmp_path):
    """
    The admin reads which setting is wrong, at the start.
    """
    (tmp_path / "ca.pem").write_text("no certificate")

    with pytest.raises(SettingsError) as problem:
        ssl_context(tmp_path / "ca.pem")

    assert "ca_bundle" == problem.value.problems[0][0]


# --- certificates of the app ---


def make_certificate(path: Path, key: rsa.RSAPrivateKey, of: rsa.RSAPrivateKey | None = None) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "app")])
    now = datetime.now(UTC)
    certificate = x509.CertificateBuilder(
        name, name, (of or key).public_key(), x509.random_serial_number(), now, now + timedelta(days=1)
    ).sign(key, hashes.SHA256())
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + certificate.public_bytes(serialization.Encoding.PEM))
    return certificate


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


async def test_a_certificate_signs_for_the_app(login, ca_file, tmp_path, key):
    """
    What reaches Entra is a signed statement with the certificate's SHA-256 thumbprint, and no secret.
    """
    certificate = make_certificate(tmp_path / "app.pem", key)

    await tokens_of(login, ca_file, secret=None, certificate_path=tmp_path / "app.pem").token(SCOPE)

    (form,) = login.forms
    statement = form["client_assertion"]
    claims = jwt.decode(
        statement, certificate.public_key(), algorithms=["RS256", "PS256"], options={"verify_aud": False}
    )
    thumbprint = jwt.utils.base64url_encode(certificate.fingerprint(hashes.SHA256())).decode()
    assert "app" == claims["iss"]
    assert thumbprint == jwt.get_unverified_header(statement)["x5t#S256"].rstrip("=")
    assert "client_secret" not in form


def test_key_and_certificate_must_belong_together(tmp_path, key):
    """
    A pair that was mixed up is named at the start, not by a refusal of Entra's.
    """
    make_certificate(tmp_path / "app.pem", key, of=rsa.generate_private_key(65537, 2048))

    with pytest.raises(SettingsError):
        read_certificate(tmp_path / "app.pem")


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"])
def test_half_a_pem_file_names_the_setting(tmp_path, text):
    """
    Key and certificate are both needed.
    """
    (tmp_path / "app.pem").write_text(text)

    with pytest.raises(SettingsError) as problem:
        read_certificate(tmp_path / "app.pem")

    assert "app_certificate_path" == problem.value.problems[0][0]


# --- managed identity ---


async def test_a_managed_identity_asks_its_host(monkeypatch):
    """
    On App Service the host itself hands out the token; we name the resource and whose identity it is.
    """
    asked: list[dict[str, str]] = []

    async def hand_out(request: web.Request) -> web.Response:
        asked.append(dict(request.query))
        ends = int(datetime.now(UTC).timestamp()) + 3600
        return web.json_response({"access_token": "managed", "expires_on": str(ends), "resource": "x"})

    app = web.Application()
    app.router.add_get("/msi/token", hand_out)
    server = TestServer(app)
    await server.start_server()
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{server.port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header")

    tokens = Tokens(tenant_id=TENANT, app_id="identity", app_type="UserAssignedMSI")

    assert "managed" == await tokens.token(SCOPE)
    assert ("https://graph.microsoft.com", "identity") == (asked[0]["resource"], asked[0]["client_id"])
    tokens.close()
    await server.close()


def test_tokens_do_not_show_themselves():
    """
    Nothing that prints the object prints the secret or a token.
    """
    tokens = Counted()
    tokens._held[SCOPE] = tokens._read({"access_token": "bearer-of-mine", "expires_in": 3600})

    shown = repr(vars(tokens)) + json.dumps(str(tokens))
    assert SECRET not in shown
    assert "bearer-of-mine" not in shown
