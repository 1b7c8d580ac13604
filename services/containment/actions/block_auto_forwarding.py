"""Outbound spam policies forbid automatic forwarding to outside, be it by a mailbox or by an inbox rule."""

from __future__ import annotations

from collections.abc import Mapping

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing
from services.errors import BrokenAnswer

OFF = "Off"


async def prepare(work: Work) -> Change:
    """
    Each policy of the plan gets the mode Off. Proven when Exchange shows it so for all of them that still exist.

    Automatic is replaced as well: it means off in most tenants and on in some old ones. Source:
    Set-HostedOutboundSpamFilterPolicy, 2026-08-21.
    """
    now = await _modes(work)
    left = {policy: mode for policy, mode in now.items() if not _same(mode, OFF)}

    async def proof() -> Text | None:
        still = [mode for mode in (await _modes(work)).values() if not _same(mode, OFF)]
        return None if still else say("action.block_auto_forwarding.proven")

    return Change(
        perform=lambda: _set(work, dict.fromkeys(left, OFF)),
        proof=proof,
        # One that is off already may be so because we were stopped after it: the plan knows what it was.
        before={"modes": _wanted(work) | left},
        done_before=None if left else say("action.block_auto_forwarding.proven"),
    )


def undo(work: Work) -> Undo:
    """Each policy as it was. When somebody has set one of them to something else since, all are left alone."""
    before: Mapping[str, str] = work.before["modes"]

    async def look() -> Standing:
        now = await _modes(work)
        if not now:
            return Standing.GONE
        ours = all(_same(mode, OFF) or _same(mode, before[policy]) for policy, mode in now.items())
        return standing(as_before=all(_same(now[policy], before[policy]) for policy in now), as_we_left_it=ours)

    async def put_back() -> None:
        now = await _modes(work)
        await _set(work, {policy: before[policy] for policy in now if not _same(now[policy], before[policy])})

    return Undo(perform=put_back, look=look)


def _wanted(work: Work) -> dict[str, str]:
    """Policy -> the mode that it had when the plan was made."""
    return {str(policy["identity"]): str(policy["was"]) for policy in work.target["policies"]}


async def _modes(work: Work) -> dict[str, str]:
    """Policy -> its mode now, of those in the plan that still exist. What Exchange leaves open is no mode at all."""
    wanted = _wanted(work)
    policies = await work.exchange.outbound_policies()
    if not policies:  # the default policy cannot be deleted, so an empty list says nothing
        raise BrokenAnswer("exchange", what="outbound policies")
    return {policy.identity: policy.auto_forwarding_mode or "" for policy in policies if policy.identity in wanted}


async def _set(work: Work, modes: Mapping[str, str]) -> None:
    for policy, mode in modes.items():
        await work.exchange.set_auto_forwarding(policy, mode)


def _same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()
