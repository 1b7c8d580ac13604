"""Whether the signature in Outlook on the web asks for money or leads elsewhere."""

from __future__ import annotations

import asyncio
import html
import ipaddress
import re

from services.cases import Finding, Text, UnknownReason, say
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted
from services.investigation.table import SignalRow, words

_LINK = re.compile(r"(?:https?://|www\.)([^\s\"'<>/?#:)]+)", re.IGNORECASE)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Words of payment in the signature, or links that hide where they lead.

    Since Outlook keeps signatures in the cloud ("roaming signatures"), this field is often empty or old. Empty says
    nothing and is unknown. Links to other sites are usual in signatures: they are told and do not count.
    Source: Set-MailboxMessageConfiguration (Exchange PowerShell reference, 2026-08-21), the note on roaming signatures.
    """
    read, own_domains = await asyncio.gather(
        attempted(evidence.mailboxes.message_configuration(evidence.subject.upn)), evidence.own_domains()
    )
    if isinstance(read, ServiceError):
        raise read
    text = f"{read.signature_text or ''} {_plain(read.signature_html or '')}".strip()
    if not text:
        return row.unknown(UnknownReason.NOT_APPLICABLE, say("finding.signature.roaming"))
    hosts = list(dict.fromkeys(host.casefold() for host in _LINK.findall(f"{text} {read.signature_html or ''}")))
    kinds = _kinds(text, hosts)
    told = say("finding.signature.reads", text=" ".join((read.signature_text or text).split()))
    if kinds:
        return row.found(row.points_for(list(kinds)), *kinds.values(), told)
    outside = [host for host in hosts if not any(host == d or host.endswith(f".{d}") for d in own_domains)]
    links = (say("finding.signature.links", hosts=outside),) if outside else ()
    return row.clear(say("finding.signature.clear"), *links, say("finding.signature.maybe_old"))


def _kinds(text: str, hosts: list[str]) -> dict[str, Text]:
    found: dict[str, Text] = {}
    hidden = [host for host in hosts if _hides(host)]
    if hidden:
        found["hidden_link"] = say("finding.signature.hidden_link", hosts=hidden)
    folded = text.casefold()
    money = sorted(word for word in words().signature.money if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", folded))
    if money:
        found["money"] = say("finding.signature.money", words=money)
    return found


def _hides(host: str) -> bool:
    """A link shortener, or an address in numbers."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host.removeprefix("www.") in words().signature.shorteners
    return True


def _plain(markup: str) -> str:
    without = re.sub(r"(?is)<(style|script)\b.*?</\1\s*>|<[^>]*>", " ", markup)
    return html.unescape(without)
