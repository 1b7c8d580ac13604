"""An inbox rule is turned off and kept."""

from __future__ import annotations

from collections.abc import Awaitable

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, nothing, standing


async def prepare(work: Work) -> Change:
    """
    Proven when Exchange, which sees hidden rules too, has the rule off or not at all.

    Visible rules are changed through Graph: any change through Exchange deletes the rules that live in the user's
    Outlook. Source: "Update messageRule", 2025; Disable-InboxRule, 2026-08-21.
    """
    enabled = await _is_on(work)

    async def proof() -> Text | None:
        return _proof(await _is_on(work))

    return Change(
        perform=lambda: _set(work, on=False),
        proof=proof,
        # A rule that is gone cannot be turned on again.
        before=None if enabled is None else {"enabled": True},
        done_before=_proof(enabled),
    )


def undo(work: Work) -> Undo:
    """The rule is turned on again. Through Exchange this costs the user's Outlook-only rules once more."""

    async def look() -> Standing:
        enabled = await _is_on(work)
        return Standing.GONE if enabled is None else standing(as_before=enabled, as_we_left_it=not enabled)

    return Undo(perform=lambda: _set(work, on=True), look=look)


def _proof(enabled: bool | None) -> Text | None:
    if enabled:
        return None
    return say("action.disable_rule.gone") if enabled is None else say("action.disable_rule.proven")


def _set(work: Work, *, on: bool) -> Awaitable[object]:
    target = work.target
    if target["through"] == "graph":
        change = work.graph.enable_message_rule if on else work.graph.disable_message_rule
        return change(work.oid, str(target["graph_rule_id"]))
    if target["through"] == "exchange":
        cmdlet = work.exchange.enable_inbox_rule if on else work.exchange.disable_inbox_rule
        return cmdlet(work.upn, str(target["identity"]))
    return nothing()  # neither lets us change it: a person does


async def _is_on(work: Work) -> bool | None:
    """Whether the rule is on; None when it is gone. A rule that Exchange could not list is read from Graph."""
    target = work.target
    if target["identity"] is not None:
        rules = await work.exchange.inbox_rules(work.upn)
        flags = [rule.enabled for rule in rules if rule.identity == target["identity"]]
    else:
        shown = await work.graph.message_rules(work.oid)
        known = target["graph_rule_id"]
        flags = [r.enabled for r in shown if (r.name == target["name"] if known is None else r.rule_id == known)]
    return any(flag is not False for flag in flags) if flags else None
