"""What was changed about the mailbox lately, by the unified audit log: rules, forwarding, permissions, transport."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.cases import Finding, Text, UnknownReason, say
from services.clients.exchange_models import parse_recipients
from services.clients.graph_models import AuditRecord
from services.clients.reading import smtp_address
from services.errors import ServiceError
from services.investigation import records
from services.investigation.evidence import RECORD_DAYS, Evidence, attempted, domain_of
from services.investigation.strangers import Strangers, strangers_of
from services.investigation.table import SignalRow, words

#: How many changes are told one by one, and how many of other people's.
_TOLD, _TOLD_OF_OTHERS = 6, 3
_EMPTY = frozenset({"", "$null", "null"})
_TRUE, _FALSE = frozenset({"true", "$true", "1"}), frozenset({"false", "$false", "0"})


@dataclass(frozen=True)
class Change:
    """One entry that changed something: its kind (a name among the row's points) and what it did, in words."""

    kind: str
    what: Text
    record: AuditRecord
    by_the_account: bool
    from_stranger: bool


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Changes that the account itself made, and everything from an address that had suspicious sign-ins.

    What an admin changed is told and does not count. The log also shows what has been taken back since, which no other
    signal can see. No entry at all proves nothing: see `records.gap`.
    Source: Audit log activities (Exchange admin and mailbox activities), 2025; Manage mailbox auditing, 2025.
    """
    log, strangers, own_domains = await asyncio.gather(
        attempted(evidence.records()), strangers_of(evidence), evidence.own_domains()
    )
    if isinstance(log, ServiceError):
        raise log
    made = [change for record in log if (change := _change(record, own_domains, evidence, strangers)) is not None]
    counted = sorted((c for c in made if c.by_the_account or c.from_stranger), key=lambda c: -row.points[c.kind])
    others = _told_of_others([c for c in made if c not in counted])
    used = _used_by_strangers(log, strangers)
    if counted or used:
        where = strangers.kind_of(records.address_of(change.record) for change in counted)
        kinds = [*(c.kind for c in counted), *([where] if where else []), *(["used"] if used else [])]
        more = (*_told(counted), *used) if counted else used[1:]
        return row.found(row.points_for(kinds), _summary(counted, used), *more, *others)
    unread = await records.gap(log, evidence)
    if unread is not None:
        return row.unknown(UnknownReason.NOT_APPLICABLE, unread, *others)
    return row.clear(say("finding.mailbox_audit.clear", n=len(log), days=RECORD_DAYS), *others, records.lag())


# --- what an entry did: pure -----------------------------------------------------------------------------------------


def _change(
    record: AuditRecord, own_domains: frozenset[str], evidence: Evidence, strangers: Strangers
) -> Change | None:
    """None for an entry that changed nothing of interest, failed, or was made by Exchange itself."""
    if _failed(record) or _by_exchange(record):
        return None
    said = _told_kind(record, own_domains)
    if said is None:
        return None
    return Change(
        *said,
        record=record,
        by_the_account=records.is_by_the_account(record, evidence),
        from_stranger=records.address_of(record) in strangers.suspicious,
    )


def _told_kind(record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text] | None:
    operation, given, table = record.operation.casefold(), records.parameters(record), words().mailbox_audit
    judges: Mapping[frozenset[str], Callable[[Mapping[str, str], AuditRecord, frozenset[str]], tuple[str, Text] | None]]
    judges = {
        table.rules: _rule,
        table.permissions: _permission,
        table.transport: _transport,
        table.mailbox: _mailbox,
        table.protocols: _protocols,
        table.auditing: _auditing,
    }
    judge = next((judge for operations, judge in judges.items() if operation in operations), None)
    return judge(given, record, own_domains) if judge else None


def _rule(given: Mapping[str, str], record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text]:
    name = given.get("name") or given.get("rulename") or record.object_id
    actions = " ".join(value for key, value in given.items() if key in words().mailbox_audit.sends_out)
    outside = _outside(actions, own_domains)
    if outside:
        return "rule_sends_out", say("finding.mailbox_audit.rule_sends_out", name=name, targets=outside)
    if given.get("deletemessage", "").casefold() in _TRUE or _hides(given.get("movetofolder", "")):
        return "rule_hides", say("finding.mailbox_audit.rule_hides", name=name)
    return "rule", say("finding.mailbox_audit.rule", name=name)


def _permission(given: Mapping[str, str], record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text]:
    who = given.get("user") or given.get("trustee") or _member(record)
    return "permission", say("finding.mailbox_audit.permission", who=who, rights=given.get("accessrights"))


def _transport(given: Mapping[str, str], record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text]:
    return "transport", say("finding.mailbox_audit.transport", name=given.get("name") or record.object_id)


def _mailbox(given: Mapping[str, str], record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text] | None:
    targets = [given.get(name, "") for name in ("forwardingsmtpaddress", "forwardingaddress")]
    kept = [smtp_address(target) or target for target in targets if target.strip().casefold() not in _EMPTY]
    if kept and (_outside(" ".join(kept), own_domains) or not any("@" in target for target in kept)):
        return "forwarding", say("finding.mailbox_audit.forwarding", targets=kept)
    on_behalf = given.get("grantsendonbehalfto", "")
    if on_behalf.strip().casefold() not in _EMPTY:
        return "permission", say("finding.mailbox_audit.permission", who=on_behalf, rights="SendOnBehalf")
    return _auditing(given, record, own_domains) if given.get("auditenabled", "").casefold() in _FALSE else None


def _protocols(given: Mapping[str, str], record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text] | None:
    opened = [name for name, value in given.items() if name.endswith("enabled") and value.casefold() in _TRUE]
    if given.get("smtpclientauthenticationdisabled", "").casefold() in _FALSE:
        opened.append("smtp auth")
    return ("protocols", say("finding.mailbox_audit.protocols", names=opened)) if opened else None


def _auditing(given: Mapping[str, str], record: AuditRecord, own_domains: frozenset[str]) -> tuple[str, Text]:
    return "auditing", say("finding.mailbox_audit.auditing")


def _outside(text: str, own_domains: frozenset[str]) -> list[str]:
    recipients = parse_recipients(text.replace("smtp:", " ").replace("SMTP:", " ")) if "@" in text else ()
    addresses = [recipient.address for recipient in recipients if recipient.address]
    return [address for address in addresses if domain_of(address) not in own_domains]


def _hides(folder: str) -> bool:
    place = folder.replace("/", "\\").rstrip("\\").rpartition("\\")[2].rpartition(":")[2].casefold()
    return place in words().folders.hides or place in words().folders.tidies


def _member(record: AuditRecord) -> str | None:
    """To whom a folder was opened, in the form that the mailbox's own client leaves behind."""
    item = records.fields(record).get("Item")
    parent = item.get("ParentFolder") if isinstance(item, Mapping) else None
    member = parent.get("MemberUpn") if isinstance(parent, Mapping) else None
    return str(member) if member else None


def _failed(record: AuditRecord) -> bool:
    return str(records.fields(record).get("ResultStatus", "")).casefold() in ("false", "failed")


def _by_exchange(record: AuditRecord) -> bool:
    return (record.user_upn or "").casefold().startswith("nt authority\\")


# --- saying it -------------------------------------------------------------------------------------------------------


def _used_by_strangers(log: Iterable[AuditRecord], strangers: Strangers) -> tuple[Text, ...]:
    """That mail was read or sent from suspicious addresses: one text for each address and kind."""
    texts = {
        "reads": lambda n, ip: say("finding.mailbox_audit.read_by_stranger", n=n, ip=ip),
        "sends": lambda n, ip: say("finding.mailbox_audit.sent_by_stranger", n=n, ip=ip),
    }
    found = []
    for kind, text in texts.items():
        used = [r for r in log if r.operation.casefold() in getattr(words().mailbox_audit, kind)]
        for ip in sorted(strangers.suspicious & {address for r in used if (address := records.address_of(r))}):
            found.append(text(sum(records.address_of(r) == ip for r in used), ip))
    return tuple(found)


def _summary(counted: Sequence[Change], used: Sequence[Text]) -> Text:
    if not counted:
        return used[0]
    at = min((change.record.at for change in counted if change.record.at), default=None)
    return say("finding.mailbox_audit.changed", n=len(counted), at=at)


def _told(changes: Sequence[Change]) -> tuple[Text, ...]:
    return tuple(
        say("finding.mailbox_audit.detail", what=c.what, at=c.record.at, ip=records.address_of(c.record))
        for c in changes[:_TOLD]
    )


def _told_of_others(changes: Sequence[Change]) -> tuple[Text, ...]:
    return tuple(
        say("finding.mailbox_audit.by_other", what=c.what, at=c.record.at, who=c.record.user_upn)
        for c in changes[:_TOLD_OF_OTHERS]
    )
