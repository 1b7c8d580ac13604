"""Whether the whole mailbox forwards its mail, and where to."""

from __future__ import annotations

import asyncio

from services.cases import Finding, Text, say
from services.clients.exchange_models import Forwarding
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted, domain_of
from services.investigation.table import SignalRow


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Both forwarding fields of the mailbox.

    An address is inside when its domain is one of the account's own. A recipient of the directory that is named without
    an address may be a contact that leads outside, so it is unclear and is told. Graph does not show forwarding.
    Source: Set-Mailbox (Exchange PowerShell reference, 2026-08-21).
    """
    mailbox, own_domains = await asyncio.gather(attempted(evidence.mailbox()), evidence.own_domains())
    if isinstance(mailbox, ServiceError):
        raise mailbox
    return _judge(mailbox.forwarding, own_domains, row)


def _judge(forwarding: Forwarding, own_domains: frozenset[str], row: SignalRow) -> Finding:
    if not forwarding.is_on:
        return row.clear(say("finding.forwarding.none"))
    where = _where(forwarding, own_domains)
    target = forwarding.smtp_address or forwarding.address
    if where == "inside":
        return row.clear(say("finding.forwarding.inside", target=target))
    kinds = [where] if forwarding.deliver_and_forward is not False else [where, "keeps_no_copy"]
    return row.found(
        row.points_for(kinds),
        say(f"finding.forwarding.{'external' if where == 'outside' else where}", target=target),
        *_notes(forwarding),
        targets=[forwarding.model_dump()],
    )


def _where(forwarding: Forwarding, own_domains: frozenset[str]) -> str:
    """The worst of both fields: outside, unclear, inside."""
    places = [_place(address, own_domains) for address in (forwarding.smtp_address, forwarding.address) if address]
    return next(place for place in ("outside", "unclear", "inside") if place in places)


def _place(address: str, own_domains: frozenset[str]) -> str:
    domain = domain_of(address)
    if not domain:
        return "unclear"
    return "inside" if domain in own_domains else "outside"


def _notes(forwarding: Forwarding) -> tuple[Text, ...]:
    notes = []
    if forwarding.smtp_address and forwarding.address:
        notes.append(say("finding.forwarding.both", smtp=forwarding.smtp_address, recipient=forwarding.address))
    if forwarding.deliver_and_forward is False:
        notes.append(say("finding.forwarding.no_copy"))
    return tuple(notes)
