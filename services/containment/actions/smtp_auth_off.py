"""SMTP AUTH, by which a stolen password alone sends mail, is switched off for the mailbox."""

from __future__ import annotations

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing


async def prepare(work: Work) -> Change:
    """
    Proven when Exchange shows it off for this mailbox. What it was is kept exactly: None is "left to the organisation".

    Source: Set-CASMailbox, 2026-08-21.
    """
    now = await _is_off(work)

    async def proof() -> Text | None:
        return say("action.smtp_auth_off.proven") if await _is_off(work) else None

    return Change(
        perform=lambda: _set(work, True),
        proof=proof,
        # When it is off already we may have been stopped after it: the plan knows how it was when it was made.
        before={"smtp_auth_disabled": work.target["was"] if now else now},
        done_before=say("action.smtp_auth_off.proven") if now else None,
    )


def undo(work: Work) -> Undo:
    """As it was, be it that the organisation decides again."""
    was: bool | None = work.before["smtp_auth_disabled"]

    async def look() -> Standing:
        now = await _is_off(work)
        return standing(as_before=now == was, as_we_left_it=now is True)

    return Undo(perform=lambda: _set(work, was), look=look)


async def _is_off(work: Work) -> bool | None:
    return (await work.exchange.cas_mailbox(work.upn)).smtp_auth_disabled


async def _set(work: Work, off: bool | None) -> None:
    await work.exchange.set_protocols(work.upn, {"smtp_auth_disabled": off})
