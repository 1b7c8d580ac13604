"""Approval policies as files of people would have them."""

from __future__ import annotations

from services.policy import Policy, policy_of

#: One approver for everything, as a small organisation may have it.
ONE_APPROVER = Policy.model_validate({"rules": [{"approvers": 1}], "override": {"approvers": 1}})
#: What applies when nobody wrote anything.
BY_DEFAULT = Policy()


def policy_for(*approvers: str, base: Policy = ONE_APPROVER, minutes: float = 60) -> Policy:
    """The policy with these approvers, where it names none itself."""
    return policy_of(base, approvers=approvers, timeout_minutes=minutes)
