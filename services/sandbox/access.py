"""Who is calling: the checks that Graph and Exchange make on an access token before anything else."""

import time
from collections import OrderedDict
from typing import Any

import jwt

from services.sandbox.keys import SandboxKeys
from services.sandbox.state import Tenant

#: Tokens whose signature has been checked already; a client uses one token for an hour.
REMEMBERED_TOKENS = 200


class TokenRefused(Exception):
    """The token cannot be used here; the message says why, in the service's words."""


class TokenCheck:
    """Checks access tokens that this sandbox's login has issued."""

    def __init__(self, tenant: Tenant, keys: SandboxKeys, origin: str) -> None:
        self._tenant, self._keys, self._origin = tenant, keys, origin
        self._checked: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def claims(self, authorization: str | None, audiences: tuple[str, ...]) -> dict[str, Any]:
        """
        The claims of a bearer token that is signed by the login, unexpired, of this tenant and for one of `audiences`.

        Raises: TokenRefused.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused("Access token is empty.")
        claims = self._checked.get(token) or self._verified(token)
        if claims["exp"] <= time.time() or claims["aio"] != str(self._tenant.token_generation):
            raise TokenRefused("Lifetime validation failed, the token is expired.")
        if claims["aud"] not in audiences:
            raise TokenRefused("Access token validation failure. Invalid audience.")
        if claims["tid"] != self._tenant.tenant_id:
            raise TokenRefused("Access token validation failure. Invalid tenant.")
        return claims

    def granted_roles(self, claims: dict[str, Any]) -> frozenset[str]:
        """
        The app permissions of a token that are still granted.

        Stricter than Microsoft, where a token keeps its permissions until it expires: nobody wants to wait for that.
        """
        return frozenset(claims.get("roles", ())) & self._tenant.app.roles.get(claims["aud"], set())

    def _verified(self, token: str) -> dict[str, Any]:
        issuer = issuer_of(self._origin, self._tenant.tenant_id)
        try:
            claims = jwt.decode(
                token,
                self._keys.login_key.public_key,
                algorithms=["RS256"],
                issuer=issuer,
                # Audience and expiry have their own messages above.
                options={"verify_aud": False, "verify_exp": False},
            )
        except jwt.InvalidSignatureError as exc:
            raise TokenRefused("Signature is invalid.") from exc
        except jwt.PyJWTError as exc:
            raise TokenRefused(f"IDX14100: JWT is not well formed. {exc}") from exc
        self._checked[token] = claims
        if len(self._checked) > REMEMBERED_TOKENS:
            self._checked.popitem(last=False)
        return claims


def issuer_of(origin: str, tenant_id: str) -> str:
    """The issuer of the tenant's access tokens."""
    return f"{origin}/{tenant_id}/v2.0"
