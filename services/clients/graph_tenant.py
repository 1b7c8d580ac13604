"""The tenant in Microsoft Graph: its policies, its Secure Score, its name. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from services.clients.graph_calls import Object, Place, build, leaf
from services.clients.graph_models import CaPolicy, ScoredControl, SecureScore, SecureScoreControl
from services.clients.http import Request, Response
from services.clients.reading import parts, read, to_flag, to_text
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
    """One policy. Source: "List policies" of conditional access, 2025."""
    return read(CaPolicy, data, "graph")


def build_secure_score(place: Place) -> Request:
    path, query = "/security/secureScores", {"$top": "1"}
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
