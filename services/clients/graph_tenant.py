"""The tenant in Microsoft Graph: its policies, its Secure Score, its name. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.clients.graph_calls import Object, Place, build, leaf
from services.clients.graph_models import CaPolicy, Domain, ScoredControl, SecureScore, SecureScoreControl
from services.clients.http import Request, Response
from services.clients.reading import clean, part, parts, read, to_flag, to_text
from services.errors import BrokenAnswer


def build_security_defaults(place: Place) -> Request:
    path = "/policies/identitySecurityDefaultsEnforcementPolicy"
    return build(place, "GET", path, permission="Policy.Read.All")


def parse_security_defaults(response: Response) -> bool:
    """Whether security defaults are on. Source: "Get identitySecurityDefaultsEnforcementPolicy", 2025."""
    data = response.json()
    enabled = leaf(to_flag, data, "isEnabled") if isinstance(data, Mapping) else None
    if enabled is None:
        raise BrokenAnswer("graph", what="isEnabled")
    return enabled


def build_conditional_access(place: Place) -> Request:
    return build(place, "GET", "/identity/conditionalAccess/policies", lane="risk", permission="Policy.Read.All")


def parse_ca_policy(data: Object) -> CaPolicy:
    """
    One policy, with the names of all conditions that it has beside who, which app, which client and which risk.

    Conditions that nobody has described yet narrow it as well. Sources: "List policies" of conditional access, 2025;
    "conditionalAccessConditionSet resource type", 2025.
    """
    conditions = part(data, "conditions", "graph")
    others = {name: value for name, value in conditions.items() if name not in _READ_CONDITIONS}
    narrowed_by = sorted(clean(name) for name, value in others.items() if _narrows(value))
    return read(CaPolicy, data, "graph", narrowed_by=tuple(narrowed_by))


#: Conditions that have fields of their own, or are about something other than people (service principals).
_READ_CONDITIONS = frozenset(
    {"users", "applications", "clientAppTypes", "userRiskLevels", "signInRiskLevels", "servicePrincipalRiskLevels"}
)


#: Conditions are at most this deep; whatever is deeper is taken to narrow the policy.
_DEEPEST = 6


def _narrows(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether a condition leaves anything out: one that is empty, or includes all and excludes nothing, does not."""
    if depth == 0:
        return True
    if isinstance(value, Mapping):
        return any(_narrows(inner, depth - 1) for name, inner in value.items() if "@odata" not in name)
    if isinstance(value, list):
        return any(_narrows(inner, depth - 1) for inner in value)
    return value is not None and not (isinstance(value, str) and value.casefold() in ("", "all"))


def build_secure_scores(place: Place, limit: int) -> Request:
    path, query = "/security/secureScores", {"$top": str(limit)}
    return build(place, "GET", path, query=query, lane="alerts", permission="SecurityEvents.Read.All")


def parse_secure_score(data: Object) -> SecureScore:
    """One score with its controls. Source: "List secureScores", 2025."""
    controls = parts(data, "controlScores", "graph")
    return read(SecureScore, data, "graph", controls=tuple(read(ScoredControl, one, "graph") for one in controls))


def build_secure_score_controls(place: Place) -> Request:
    path = "/security/secureScoreControlProfiles"
    return build(place, "GET", path, lane="alerts", permission="SecurityEvents.Read.All")


def parse_secure_score_control(data: Object) -> SecureScoreControl:
    """One control. Source: "List secureScoreControlProfiles", 2025."""
    states = [leaf(to_text, update, "state") for update in parts(data, "controlStateUpdates", "graph")]
    return read(SecureScoreControl, data, "graph", state=states[-1] if states else None)


def build_organisation(place: Place) -> Request:
    return build(place, "GET", "/organization", permission="Directory.Read.All")


def parse_is_synced(data: Object) -> bool:
    """
    Whether accounts come from an on-premises directory; null means never, and no word at all means nothing.

    Raises: BrokenAnswer. Source: "List organizations", 2025.
    """
    synced = leaf(to_flag, data, "onPremisesSyncEnabled")
    if synced is None and data.get("onPremisesSyncEnabled", "") is not None:
        raise BrokenAnswer("graph", what="onPremisesSyncEnabled")
    return synced is True


def build_domains(place: Place) -> Request:
    return build(place, "GET", "/domains", permission="Directory.Read.All")


def parse_domain(data: Object) -> Domain:
    """One domain. Source: "List domains", 2025."""
    return read(Domain, data, "graph")
