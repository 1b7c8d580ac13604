"""Whom we trust on TLS, for aiohttp and for MSAL alike: the system's certificates and one extra file of ours."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any
from urllib.request import getproxies

import aiohttp
import requests
from requests.adapters import HTTPAdapter

from services.errors import SettingsError

#: How long MSAL may wait for Entra, in seconds; it sets no limit of its own when it is handed a session.
LOGIN_TIMEOUT_S = 10.0


def ssl_context(ca_bundle: Path | None = None) -> ssl.SSLContext:
    """
    A context that trusts the system's certificates and those in `ca_bundle` (PEM), whatever the environment says.

    SSL_CERT_FILE may replace the system's certificates, as OpenSSL has it; it never takes the extra file away.
    Raises: SettingsError when the file is no certificate.
    """
    context = ssl.create_default_context()
    if ca_bundle is not None:
        try:
            context.load_verify_locations(cafile=str(ca_bundle))
        except (OSError, ssl.SSLError) as exc:
            raise SettingsError(("ca_bundle", f"{ca_bundle} is not a readable PEM file of certificates")) from exc
    return context


def open_session(ca_bundle: Path | None = None) -> aiohttp.ClientSession:
    """The HTTP session of the process: shared connections, our trust, the proxies of the environment. Close it."""
    connector = aiohttp.TCPConnector(ssl=ssl_context(ca_bundle), limit=64)
    # aiohttp asks the environment in a thread for each call, so it is told to only when there is something to find.
    return aiohttp.ClientSession(connector=connector, trust_env=names_proxy(), cookie_jar=aiohttp.DummyCookieJar())


def names_proxy() -> bool:
    """Whether the environment names a proxy, as HTTPS_PROXY does; NO_PROXY alone names none."""
    return any(kind != "no" for kind in getproxies())


def requests_session(ca_bundle: Path | None = None) -> requests.Session:
    """The same trust for MSAL, which speaks through requests."""
    session = requests.Session()
    session.mount("https://", _TrustingAdapter(ssl_context(ca_bundle)))
    session.mount("http://", _TrustingAdapter(None))  # managed identities answer on a local http address
    return session


class _TrustingAdapter(HTTPAdapter):
    """
    requests lets REQUESTS_CA_BUNDLE beat a session's own `verify`, so certificates are given as a TLS context instead.

    Checking stays on always: what callers or the environment say about `verify` is not looked at.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._context = context
        super().__init__(max_retries=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **{**kwargs, **self._tls()})

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, **{**kwargs, **self._tls()})

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Add nothing to the connection: its context holds all that is trusted."""

    def send(self, request: Any, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        kwargs["timeout"] = kwargs.get("timeout") or LOGIN_TIMEOUT_S
        return super().send(request, **{**kwargs, "verify": True})

    def _tls(self) -> dict[str, Any]:
        return {} if self._context is None else {"ssl_context": self._context}
