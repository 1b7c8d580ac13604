"""
Which outbound spam policies apply to an account. Pure.

Source: "Configure outbound spam policies", 2025-02-05: the first rule that fits decides, by priority, 0 first; the
default policy comes last and cannot be switched off. Set-HostedOutboundSpamFilterRule, 2026-08-21: conditions of
different kinds must all hold, of values of one kind one is enough, and exceptions win.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from services.clients.exchange_models import OutboundPolicy, OutboundRule

#: What the service allows to a mailbox in 24 hours, whatever the policies say; a limit of 0 in a policy means this too.
#: Source: "Troubleshoot outbound sending limits", 2026-05-26.
MOST_RECIPIENTS_A_DAY = 10_000


def policies_that_may_apply(
    policies: Iterable[OutboundPolicy], rules: Iterable[OutboundRule], addresses: Collection[str]
) -> tuple[OutboundPolicy, ...]:
    """
    The policy that applies to whoever has these addresses (casefolded), the first one first. There are several when a
    rule speaks of groups, whose members are not known here: one of them is it.
    """
    by_name = {policy.name.casefold(): policy for policy in policies}
    found: list[OutboundPolicy] = []
    for rule in sorted(rules, key=lambda rule: rule.priority if rule.priority is not None else len(by_name)):
        policy, fits = by_name.get((rule.policy or "").casefold()), _fits(rule, addresses)
        if policy is None or fits is False:
            continue
        found.append(policy)
        if fits:
            return tuple(dict.fromkeys(found))
    return tuple(dict.fromkeys([*found, *(policy for policy in by_name.values() if policy.is_default)]))


def _fits(rule: OutboundRule, addresses: Collection[str]) -> bool | None:
    """Whether the rule is for these addresses; None when that depends on a group."""
    if (rule.state or "").casefold() == "disabled":
        return False
    if _any(rule.except_senders, addresses) or _any(rule.except_domains, _domains(addresses)):
        return False
    conditions = [
        _any(wanted, mine)
        for wanted, mine in ((rule.senders, addresses), (rule.sender_domains, _domains(addresses)))
        if wanted
    ]
    if not all(conditions):
        return False
    # A rule without any condition that we can read is for somebody, and who that is we cannot tell.
    return True if conditions and not rule.sender_groups and not rule.except_groups else None


def _any(wanted: Iterable[str], mine: Collection[str]) -> bool:
    return any(name.casefold() in mine for name in wanted)


def _domains(addresses: Iterable[str]) -> frozenset[str]:
    return frozenset(address.rpartition("@")[2] for address in addresses)
