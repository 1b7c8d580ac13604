"""Step 3: what keeps it from happening again, checked against the tenant, and kept until it is done."""

from services.prevention.catalogue import CATALOGUE, Item, Phase, Scope, due
from services.prevention.check import MANUAL, TIMEOUT_S, Prevention
from services.prevention.keeping import merged
from services.prevention.score import GOOD_SCORE_SHARE
from services.prevention.sign_in import GLOBAL_ADMINISTRATOR

__all__ = [
    "CATALOGUE",
    "GLOBAL_ADMINISTRATOR",
    "GOOD_SCORE_SHARE",
    "MANUAL",
    "TIMEOUT_S",
    "Item",
    "Phase",
    "Prevention",
    "Scope",
    "due",
    "merged",
]
