"""Which protocols without a second factor are open, and whether a suspicious sign-in came through one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from services.cases import Finding, Text, say
from services.clients.exchange_models import CasMailbox
from services.clients.graph_models import SignIn
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted
from services.investigation.habits import fold
from services.investigation.signals.sign_ins import detail, odd_sign_ins
from services.investigation.table import SignalRow, words

_TOLD = 3
#: What people call the protocols that can be shut for one mailbox.
_NAMES: Mapping[str, str] = {"pop": "POP", "imap": "IMAP", "ews": "EWS", "activesync": "ActiveSync"}


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    What is open, and the suspicious sign-ins that used it.

    Exchange leaves POP and IMAP on unless somebody turns them off, so being on is no evidence and the finding is clear.
    Its target says all the same what is on, should an attacker have to be kept out. SMTP AUTH may be left to the
    organisation, which is then not known here.
    Source: Get-CASMailbox (Exchange PowerShell reference, 2026-08-21).
    """
    mailbox, odd = await asyncio.gather(
        evidence.mailboxes.cas_mailbox(evidence.subject.upn), attempted(odd_sign_ins(evidence))
    )
    is_open = open_protocols(mailbox)
    if not is_open:
        return row.clear(say("finding.legacy_protocols.all_off"))
    if isinstance(odd, ServiceError):
        raise odd  # whether an attacker came through one of them cannot be seen
    legacy = _by_legacy_client({s.sign_in_id: s for oddity in odd for s in oddity.sign_ins}.values())
    if legacy:
        clients = sorted({s.client_app or "?" for s in legacy})
        summary = say("finding.legacy_protocols.used", n=len(legacy), clients=clients)
        texts = (*(detail(s) for s in legacy[:_TOLD]), _open_text(is_open))
        return row.found(row.points["used"], summary, *texts, targets=[_target(mailbox)])
    return row.clear(_open_text(is_open)).model_copy(update={"targets": (_target(mailbox),)})


def open_protocols(mailbox: CasMailbox) -> list[str | Text]:
    """The names of those that are on. What Exchange does not say counts as on, for it is on unless turned off."""
    named: list[str | Text] = [name for field, name in _NAMES.items() if getattr(mailbox, field) is not False]
    if mailbox.smtp_auth_disabled is False:
        named.append("SMTP AUTH")
    elif mailbox.smtp_auth_disabled is None:
        named.append(say("finding.legacy_protocols.smtp_by_organization"))
    return named


def _by_legacy_client(sign_ins: Any) -> Sequence[SignIn]:
    legacy = words().sign_ins.legacy_clients
    return [s for s in sign_ins if s.succeeded and fold(s.client_app) in legacy]


def _open_text(is_open: list[str | Text]) -> Text:
    return say("finding.legacy_protocols.open", protocols=is_open)


def _target(mailbox: CasMailbox) -> dict[str, Any]:
    """What is on now, by the names of the client's fields; None for SMTP AUTH leaves it to the organisation."""
    return {field: getattr(mailbox, field) for field in (*_NAMES, "smtp_auth_disabled")}
