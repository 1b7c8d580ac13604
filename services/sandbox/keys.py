"""The keys of the sandbox: a throw-away certificate authority and two token-signing keys, kept in a folder."""

import base64
import hashlib
import os
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

HOSTS = ("127.0.0.1", "localhost")


class SigningKey:
    """An RSA key that signs JSON Web Tokens (RS256) and shows its public half as a JSON Web Key."""

    def __init__(self, private_key: rsa.RSAPrivateKey) -> None:
        self._private_key = private_key
        self.public_key = private_key.public_key()
        public_bytes = self.public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.key_id = base64.urlsafe_b64encode(hashlib.sha256(public_bytes).digest())[:27].decode()

    def sign(self, claims: dict[str, Any]) -> str:
        """A signed token with these claims; its header names the key as `kid`."""
        return jwt.encode(claims, self._private_key, algorithm="RS256", headers={"kid": self.key_id})

    def jwk(self) -> dict[str, Any]:
        """The public half as a JSON Web Key (RFC 7517)."""
        numbers = self.public_key.public_numbers()
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.key_id,
            "n": _base64url_number(numbers.n),
            "e": _base64url_number(numbers.e),
        }


class SandboxKeys:
    """All keys of one sandbox. `ca_path` is the PEM file that clients must trust, `client_secret` the bot's secret."""

    def __init__(self, folder: Path) -> None:
        self.ca_path = folder / "ca.pem"
        self._server_path = folder / "server.pem"
        self.login_key = SigningKey(_load_rsa(folder / "login.key"))
        self.bot_service_key = SigningKey(_load_rsa(folder / "bot_service.key"))
        self.client_secret = (folder / "client_secret").read_text()

    @classmethod
    def load_or_create(cls, folder: Path) -> "SandboxKeys":
        """The keys kept in `folder`; whatever is missing is made first, readable by the owner alone."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "server.pem").exists():
            _create_certificates(folder)
        _create_missing(folder / "login.key", _new_rsa_pem)
        _create_missing(folder / "bot_service.key", _new_rsa_pem)
        _create_missing(folder / "client_secret", lambda: secrets.token_urlsafe(30).encode())
        return cls(folder)

    def server_ssl(self) -> ssl.SSLContext:
        """A TLS context for a server at 127.0.0.1 or localhost."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._server_path)
        return context

    def client_ssl(self) -> ssl.SSLContext:
        """A TLS context for a client that trusts this sandbox and nobody else."""
        return ssl.create_default_context(cafile=str(self.ca_path))


def _create_certificates(folder: Path) -> None:
    authority = trustme.CA()
    server = authority.issue_cert(*HOSTS)
    _write_private(folder / "ca.pem", authority.cert_pem.bytes())
    _write_private(folder / "server.pem", server.private_key_and_cert_chain_pem.bytes())


def _create_missing(path: Path, make: Callable[[], bytes]) -> None:
    if not path.exists():
        _write_private(path, make())


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _new_rsa_pem() -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_rsa(path: Path) -> rsa.RSAPrivateKey:
    # These keys were made here; checking their mathematics anew would take most of the sandbox's start.
    key = serialization.load_pem_private_key(path.read_bytes(), password=None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise ValueError(f"{path.name} does not hold an RSA key")
    return key


def _base64url_number(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
