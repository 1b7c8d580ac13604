"""POP, IMAP and SMTP AUTH, which know no second factor, are switched off for the mailbox."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import PROTOCOLS_OFF, Change, Standing, Undo, Work, standing

#: The one of them that may be left to the organisation.
_LEFT_OPEN = "smtp_auth_disabled"


async def prepare(work: Work) -> Change:
    """
    Proven when Exchange shows all three off. What each was is kept exactly, "left to the organisation" included.

    Source: Set-CASMailbox, 2026-08-21.
    """
    now = await _protocols(work)

    async def proof() -> Text | None:
        return say("action.disable_protocols.proven") if await _protocols(work) == PROTOCOLS_OFF else None

    return Change(
        perform=lambda: work.exchange.set_protocols(work.upn, PROTOCOLS_OFF),
        proof=proof,
        before=_as_approved(work) if now == PROTOCOLS_OFF else dict(now),
        done_before=say("action.disable_protocols.proven") if now == PROTOCOLS_OFF else None,
    )


def undo(work: Work) -> Undo:
    """Each protocol as it was; one of which that was not known stays off."""
    before = {name: was for name, was in work.before.items() if was is not None or name == _LEFT_OPEN}

    async def look() -> Standing:
        now = await _protocols(work)
        ours = all(now[name] in (PROTOCOLS_OFF[name], before[name]) for name in before)
        return standing(as_before=all(now[name] == before[name] for name in before), as_we_left_it=ours)

    return Undo(perform=lambda: work.exchange.set_protocols(work.upn, before), look=look)


async def _protocols(work: Work) -> dict[str, bool | None]:
    mailbox = await work.exchange.cas_mailbox(work.upn)
    return {"imap": mailbox.imap, "pop": mailbox.pop, "smtp_auth_disabled": mailbox.smtp_auth_disabled}


def _as_approved(work: Work) -> dict[str, bool | None] | None:
    """When all is off already we may have been stopped after it: the plan knows how it was when it was made."""
    was = {name: work.target["was"].get(name) for name in PROTOCOLS_OFF}
    return None if was == PROTOCOLS_OFF else was
