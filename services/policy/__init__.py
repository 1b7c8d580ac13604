"""
Who must approve what, and in what time: the section `[approvals]` of `unblock.toml`, and what follows from it.

`model` is the section as written, `decisions` what a question needs and how it stands, `hours` when it is reminded of,
escalated and expires, `explaining` the same in words, `problems` what is wrong with it. Nothing here does any I/O: who
is behind a group or on call, and which lists an account is on, is asked elsewhere and handed in.
"""

from services.policy.decisions import Requirement, Standing, Vote, required, standing
from services.policy.explaining import explain
from services.policy.hours import Schedule, is_open, schedule
from services.policy.model import ON_CALL, Policy, ProtectedKind, StepUp, policy_of
from services.policy.problems import problems

__all__ = [
    "ON_CALL",
    "Policy",
    "ProtectedKind",
    "Requirement",
    "Schedule",
    "Standing",
    "StepUp",
    "Vote",
    "explain",
    "is_open",
    "policy_of",
    "problems",
    "required",
    "schedule",
    "standing",
]
