"""The Secure Score: how it stands, and what each item would add to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from services.cases import PreventionItem, UnknownReason, say
from services.clients.graph_models import SecureScore, SecureScoreControl
from services.prevention.items import in_place, not_in_place, unknown

#: Share of the Secure Score's maximum below which the item stays open. Our judgement: Microsoft names no such line.
GOOD_SCORE_SHARE = 0.7


def secure_score(score: SecureScore | None) -> PreventionItem:
    """The latest score; "in place" from GOOD_SCORE_SHARE on. Source: "secureScore resource type", 2025."""
    if score is None or score.current is None or not score.maximum:
        return unknown("secure_score", UnknownReason.NOT_APPLICABLE, say("prevention.secure_score.none"))
    told = {"score": round(score.current, 1), "max": round(score.maximum, 1)}
    if score.current / score.maximum >= GOOD_SCORE_SHARE:
        return in_place("secure_score", "value", **told)
    return not_in_place("secure_score", "value", **told)


def missing_points(score: SecureScore | None, controls: Sequence[SecureScoreControl]) -> Mapping[str, float]:
    """
    Id of a control in lower case -> what it could still add. Controls that are deprecated, or that the score does not
    count, are not among them: ids change, and a tenant has only what it has paid for.

    Source: "secureScoreControlProfile resource type", 2025.
    """
    scored = {one.name.casefold(): one.score for one in (score.controls if score else ())}
    live = {one.control_id.casefold(): one.max_score for one in controls if not one.deprecated}
    known = {name: (most, scored[name]) for name, most in live.items() if name in scored}
    return {name: max(0.0, most - got) for name, (most, got) in known.items() if most is not None and got is not None}


def points(wanted: Iterable[str], missing: Mapping[str, float]) -> float | None:
    """What these controls could still add together; None where the tenant has none of them."""
    found = [missing[name] for name in map(str.casefold, wanted) if name in missing]
    return round(sum(found), 2) if found else None


def all_scored(wanted: Iterable[str], missing: Mapping[str, float]) -> bool:
    """Whether the tenant has every one of these controls, and nothing is missing for any."""
    return all(missing.get(name.casefold()) == 0 for name in wanted)
