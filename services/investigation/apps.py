"""What is known about an app: whether anybody vouches for it, and whether attackers have been seen to use it."""

from __future__ import annotations

import re
import tomllib
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from services.cases import Subject, Text, say
from services.clients.graph_models import ServicePrincipal
from services.investigation.table import words

_FILE = Path(__file__).parent / "known_bad_apps.toml"


class KnownApp(BaseModel):
    """An app of the catalogue."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    app_ids: tuple[str, ...] = ()
    #: Names under which it shows, compared by letters and digits alone.
    names: tuple[str, ...] = Field(min_length=1)
    #: An ordinary product that attackers use as well.
    honest: bool
    source: str = Field(min_length=1)


@lru_cache(maxsize=1)
def known_apps() -> tuple[KnownApp, ...]:
    """The catalogue in `known_bad_apps.toml`. Raises: tomllib.TOMLDecodeError, pydantic.ValidationError."""
    data = tomllib.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(KnownApp.model_validate(app) for app in data["apps"])


def known_as(principal: ServicePrincipal | None, name: str) -> tuple[str, KnownApp] | None:
    """
    The catalogue's entry for an app and the kind of match; None when it is not in there.

    By id: "known_bad", or "known_abused" for an honest product. By name alone: "known_name", for anybody chooses names.
    """
    app_id = _plain(principal.app_id if principal else None)
    by_id = next((app for app in known_apps() if app_id and app_id in map(_plain, app.app_ids)), None)
    if by_id is not None:
        return ("known_abused" if by_id.honest else "known_bad"), by_id
    shown = _plain(name)
    by_name = next((app for app in known_apps() if shown and shown in map(_plain, app.names)), None)
    return ("known_name", by_name) if by_name else None


def known_text(principal: ServicePrincipal | None, name: str) -> tuple[Text, ...]:
    """Who an app is in the catalogue, in words, with where that was reported; nothing for one that is not in there."""
    match = known_as(principal, name)
    if match is None:
        return ()
    kind, app = match
    return (say(f"finding.apps.{kind}", app=name, known=app.name, source=app.source),)


def is_trusted(principal: ServicePrincipal, tenant_id: str) -> bool:
    """The tenant's own apps, and Microsoft's: from one of its tenants and published under its name."""
    owner = (principal.owner_tenant_id or "").casefold()
    publisher = (principal.publisher_name or "").casefold()
    by_microsoft = owner in words().oauth.microsoft_tenants and publisher.startswith("microsoft")
    return by_microsoft or (owner != "" and owner == tenant_id.casefold())


def is_unverified(principal: ServicePrincipal | None, tenant_id: str) -> bool:
    """Nobody has verified the publisher, as far as we know; an app that could not be read is not verified either."""
    if principal is None:
        return True
    return principal.verified_publisher is None and not is_trusted(principal, tenant_id)


def is_odd_name(name: str, subject: Subject) -> bool:
    """Names that say nothing, such as dots or one letter, and those of the account itself, as attackers like them."""
    own = {_plain(subject.display_name), _plain(subject.upn), _plain(subject.upn.partition("@")[0])}
    return len(_plain(name)) <= 1 or _plain(name) in own


def _plain(text: str | None) -> str:
    return re.sub(r"[\W_]", "", text or "").casefold()
