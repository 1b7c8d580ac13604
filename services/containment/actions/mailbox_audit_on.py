"""What is done in mailboxes is recorded: for the whole organisation, for this mailbox, or for both."""

from __future__ import annotations

from collections.abc import Mapping

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing

#: Part -> whether auditing is on there; None when Exchange does not say.
Parts = Mapping[str, bool | None]


async def prepare(work: Work) -> Change:
    """
    Auditing is on in each part of the plan: `organisation` for everybody, `mailbox` for this one. Proven by re-reading.

    While the organisation has it off, Exchange ignores what a mailbox says, so a plan for a mailbox may hold both.
    Source: "Manage mailbox auditing", 2024; Set-OrganizationConfig and Set-Mailbox, 2026-08-21.
    """
    now, was = await _parts(work), work.target["was"]

    async def proof() -> Text | None:
        return say("action.mailbox_audit_on.proven") if all((await _parts(work)).values()) else None

    return Change(
        perform=lambda: _set(work, {part: True for part, on in now.items() if not on}),
        proof=proof,
        # A part that is on already may be so because we were stopped after it: the plan knows what it was.
        before={part: was[part] if on else on for part, on in now.items()},
        done_before=say("action.mailbox_audit_on.proven") if all(now.values()) else None,
    )


def undo(work: Work) -> Undo:
    """Each part as it was; one of which that was not known stays on."""
    before = {part: was for part, was in work.before.items() if was is not None}

    async def look() -> Standing:
        now = await _parts(work)
        ours = all(now[part] in (True, before[part]) for part in before)
        return standing(as_before=all(now[part] == before[part] for part in before), as_we_left_it=ours)

    return Undo(perform=lambda: _set(work, before), look=look)


async def _parts(work: Work) -> dict[str, bool | None]:
    found: dict[str, bool | None] = {}
    if "organisation" in work.target["was"]:
        disabled = (await work.exchange.organization_config()).audit_disabled
        found["organisation"] = None if disabled is None else not disabled
    if "mailbox" in work.target["was"]:
        found["mailbox"] = (await work.exchange.mailbox(work.upn)).audit_enabled
    return found


async def _set(work: Work, parts: Parts) -> None:
    if "organisation" in parts:
        await work.exchange.set_organization_audit(bool(parts["organisation"]))
    if "mailbox" in parts:
        await work.exchange.set_mailbox_audit(work.upn, bool(parts["mailbox"]))
