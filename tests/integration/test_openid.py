"""Exchanging a person's code at the sandbox's token endpoint, with a secret and with a certificate."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from services.clients.openid import Challenge, OpenId
from services.clients.trust import open_session
from services.clock import SystemClock
from services.errors import Rejected, Unavailable
from services.sandbox.keys import SigningKey
from services.sandbox.seed import MEGAN
from services.sandbox.server import Sandbox, start_tenant
from tests.fakes.clock import FakeClock

CHALLENGE = Challenge(state="s" * 43, nonce="n" * 43, verifier="v" * 43, max_age_s=600)
BACK = "http://127.0.0.1:9/step-up/callback"


@dataclass
class Entra:
    """The sandbox's login service, and a client of it."""

    sandbox: Sandbox
    session: aiohttp.ClientSession

    def client(self, *, clock: Any = None, secret: str | None = None, certificate: Path | None = None) -> OpenId:
        app = self.sandbox.tenant.app
        return OpenId(
            self.session,
            clock or SystemClock(),
            login_url=self.sandbox.origin,
            tenant_id=self.sandbox.tenant.tenant_id,
            app_id=app.app_id,
            redirect_uri=BACK,
            secret=None if certificate else SecretStr(secret or app.secret),
            certificate_path=certificate,
        )

    async def code(self, client: OpenId, challenge: Challenge = CHALLENGE) -> str:
        """Megan signs in; the code that her browser is sent back with."""
        self.sandbox.tenant.switches.browser_user = "megan@contoso.com"
        async with self.session.get(client.authorize_url(challenge), allow_redirects=False) as answer:
            (code,) = parse_qs(urlsplit(answer.headers["Location"]).query)["code"]
            return code


@pytest.fixture
async def entra(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Entra]:
    sandbox = await start_tenant(tmp_path_factory.mktemp("sandbox"))
    async with open_session(sandbox.keys.ca_path) as session:
        yield Entra(sandbox, session)
    await sandbox.close()


async def test_a_code_is_good_for_signed_claims_once(entra: Entra) -> None:
    """
    With the secret; a second time it is refused.
    """
    client = entra.client()
    code = await entra.code(client)

    signed = await client.signed_claims(code, CHALLENGE.verifier)

    assert (MEGAN, CHALLENGE.nonce, signed.issuer) == tuple(signed.claims[name] for name in ("oid", "nonce", "iss"))
    with pytest.raises(Rejected, match="AADSTS70008"):
        await client.signed_claims(code, CHALLENGE.verifier)


async def test_a_certificate_does_as_well(entra: Entra, tmp_path: Path) -> None:
    """
    The app proves itself by an assertion, signed with the key of the certificate.
    """
    entra.sandbox.tenant.app.certificates.append(write_certificate(tmp_path / "app.pem"))
    client = entra.client(certificate=tmp_path / "app.pem")

    signed = await client.signed_claims(await entra.code(client), CHALLENGE.verifier)

    assert MEGAN == signed.claims["oid"]


@pytest.mark.parametrize(
    ("secret", "verifier", "code"),
    [("wrong", CHALLENGE.verifier, "AADSTS7000215"), (None, "w" * 43, "AADSTS501481")],
    ids=["another secret", "another verifier"],
)
async def test_whoever_cannot_prove_to_have_asked_gets_nothing(
    entra: Entra, secret: str | None, verifier: str, code: str
) -> None:
    """
    Neither without the app's secret nor without what only the browser that began knows.
    """
    client = entra.client(secret=secret)

    with pytest.raises(Rejected) as refused:
        await client.signed_claims(await entra.code(client), verifier)

    assert code == refused.value.code and "wrong" not in str(refused.value)


async def test_new_keys_of_entra_are_read_once_they_are_used(entra: Entra) -> None:
    """
    A token that is signed by a key that we have not seen makes us read the keys again, at most once a minute.
    """
    clock = FakeClock()
    client = entra.client(clock=clock)
    await client.signed_claims(await entra.code(client), CHALLENGE.verifier)
    entra.sandbox.keys.login_key = SigningKey(rsa.generate_private_key(public_exponent=65537, key_size=2048))

    clock.advance(minutes=1)
    signed = await client.signed_claims(await entra.code(client), CHALLENGE.verifier)

    assert MEGAN == signed.claims["oid"]


async def test_a_login_service_that_is_down_is_no_refusal(entra: Entra) -> None:
    """
    It is told apart, so that people know to try again.
    """
    client = entra.client()
    code = await entra.code(client)
    await entra.sandbox.close()

    with pytest.raises(Unavailable):
        await client.signed_claims(code, CHALLENGE.verifier)


async def test_the_context_is_in_the_token_when_it_is_satisfied(entra: Entra) -> None:
    """
    Only what was asked for and what the sign-in gives.
    """
    client = entra.client()

    async def contexts(wanted: str) -> Any:
        code = await entra.code(client, replace(CHALLENGE, context=wanted))
        return (await client.signed_claims(code, CHALLENGE.verifier)).claims.get("acrs")

    assert (["c1"], None, None) == (await contexts("c1"), await contexts("c7"), await contexts(""))


def write_certificate(path: Path) -> bytes:
    """A key and its certificate in one PEM file; the certificate as DER."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bot")]), datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    return certificate.public_bytes(Encoding.DER)
