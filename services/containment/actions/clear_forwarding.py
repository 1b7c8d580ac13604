"""The mailbox sends nothing on any more."""

from __future__ import annotations

from services.cases import Text, say
from services.clients.exchange_models import Forwarding
from services.containment.work import Change, Standing, Undo, Work, standing


async def prepare(work: Work) -> Change:
    """
    Both fields are emptied, since ForwardingAddress wins when both are set. Proven when Exchange shows neither.

    Source: Set-Mailbox, 2026-08-21.
    """
    now = await _forwarding(work)

    async def proof() -> Text | None:
        return None if (await _forwarding(work)).is_on else say("action.clear_forwarding.proven")

    return Change(
        perform=lambda: work.exchange.clear_forwarding(work.upn),
        proof=proof,
        # When it is empty already, we may have been stopped after emptying it: what was approved is what was there.
        before=(now if now.is_on else Forwarding.model_validate(work.target)).model_dump(),
        done_before=None if now.is_on else say("action.clear_forwarding.proven"),
    )


def undo(work: Work) -> Undo:
    """Both fields are as they were, and so is whether the mailbox keeps a copy."""
    before = Forwarding.model_validate(work.before)

    async def look() -> Standing:
        now = await _forwarding(work)
        return standing(as_before=_same(now, before), as_we_left_it=not now.is_on)

    return Undo(perform=lambda: work.exchange.set_forwarding(work.upn, before), look=look)


async def _forwarding(work: Work) -> Forwarding:
    return (await work.exchange.mailbox(work.upn)).forwarding


def _same(one: Forwarding, other: Forwarding) -> bool:
    return _parts(one) == _parts(other)


def _parts(forwarding: Forwarding) -> tuple[str, str, bool]:
    smtp, address = forwarding.smtp_address or "", forwarding.address or ""
    return smtp.casefold(), address.casefold(), bool(forwarding.deliver_and_forward)
