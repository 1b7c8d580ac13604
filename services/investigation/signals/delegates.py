"""Who else may open the mailbox, send as it, or read and change its folders."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from services.cases import Finding, Text, say
from services.clients.exchange_models import FolderPermission, Mailbox, MailboxPermission, SendAsPermission
from services.clients.graph_models import AuditRecord
from services.errors import ServiceError
from services.investigation.evidence import Evidence, attempted, domain_of
from services.investigation.habits import fold
from services.investigation.records import is_by_the_account, parameters
from services.investigation.table import SignalRow, words
from services.investigation.unreadable import why

#: How many delegates are told one by one.
_TOLD = 6
#: Shorter names stand in too many entries by chance.
_LEAST_NAME = 3
#: The folders that are looked at, by their well-known names.
FOLDERS = ("Inbox", "Calendar")


@dataclass(frozen=True)
class Delegate:
    """Somebody's rights to the mailbox (kinds full_access, send_as, send_on_behalf) or to one folder (folder)."""

    kind: str
    user: str
    rights: tuple[str, ...]
    folder: str = ""

    @property
    def is_everybody(self) -> bool:
        return fold(self.user) in words().delegates.everybody

    @property
    def writes(self) -> bool:
        return bool({fold(right) for right in self.rights} & words().delegates.write)

    @property
    def reads(self) -> bool:
        return self.writes or bool({fold(right) for right in self.rights} & words().delegates.read)


async def look(evidence: Evidence, row: SignalRow) -> Finding:
    """
    Delegates that were added around the block, that are outsiders, or that are everybody.

    Exchange does not say since when somebody is a delegate, and assistants rightly are. The unified audit log tells
    what was added lately; when there are delegates and it cannot be read, their age is unknown and so is the signal.
    A calendar that others may read is ordinary; one that outsiders or everybody may write to is not.
    Source: Get-MailboxPermission, Get-RecipientPermission, Get-MailboxFolderPermission (Exchange PowerShell reference,
    2026-08-21).
    """
    delegates, refusals = await _read(evidence)
    if not delegates and not refusals:
        return row.clear(say("finding.delegates.none"))
    log, outsiders = await asyncio.gather(attempted(evidence.records()), _outsiders(delegates, evidence, row))
    records = () if isinstance(log, ServiceError) else log
    rated = [(d, kinds_of(d, records, outsiders, evidence, row)) for d in delegates]
    bad = [(delegate, kinds) for delegate, kinds in rated if kinds]
    unread = [*refusals, *([log] if isinstance(log, ServiceError) and delegates else [])]
    if bad:
        return _found(bad, unread, row)
    if unread:
        raise unread[0]
    others = tuple(_told(delegate) for delegate in delegates[:_TOLD])
    return row.clear(say("finding.delegates.clear", n=len(delegates)), *others)


# --- judging: pure ---------------------------------------------------------------------------------------------------


def kinds_of(
    delegate: Delegate,
    records: Iterable[AuditRecord],
    outsiders: frozenset[str],
    evidence: Evidence,
    row: SignalRow,
) -> tuple[str, ...]:
    """What speaks against a delegate: names among the row's points."""
    adding = [r for r in records if _adds(r, delegate) and evidence.is_near_start(r.at, row.days("days_around"))]
    by_the_account = [r for r in adding if is_by_the_account(r, evidence)]
    is_outside = fold(delegate.user) in outsiders
    tests = {
        "everybody": delegate.is_everybody,
        "outside": is_outside,
        "unknown_account": not is_outside and fold(delegate.user).startswith("s-1-"),
        "added": bool(by_the_account),
        "added_by_admin": bool(adding) and not by_the_account,
    }
    return tuple(kind for kind, true in tests.items() if true)


def _adds(record: AuditRecord, delegate: Delegate) -> bool:
    """Whether an entry of the log gives rights to this delegate: it names them, in full or before the @."""
    if fold(record.operation) not in words().delegates.added_operations:
        return False
    if fold(record.operation) == "set-mailbox" and "grantsendonbehalfto" not in parameters(record):
        return False
    said = json.dumps(record.data, ensure_ascii=False, default=str).casefold()
    names = {fold(delegate.user), fold(delegate.user).partition("@")[0]}
    return any(len(name) >= _LEAST_NAME and json.dumps(name, ensure_ascii=False)[1:-1] in said for name in names)


def _found(bad: Sequence[tuple[Delegate, tuple[str, ...]]], unread: Sequence[ServiceError], row: SignalRow) -> Finding:
    return row.found(
        row.points_for([kind for _, kinds in bad for kind in kinds]),
        say("finding.delegates.suspicious", n=len(bad)),
        *(text for delegate, kinds in bad[:_TOLD] for text in (_told(delegate), *_why(delegate, kinds))),
        *(say("finding.delegates.unread", why=why(error)) for error in unread[:1]),
        targets=[_target(delegate, kinds) for delegate, kinds in bad],
    )


def _told(delegate: Delegate) -> Text:
    if delegate.kind == "folder":
        rights = list(delegate.rights)
        return say("finding.delegates.folder", user=delegate.user, folder=delegate.folder, rights=rights)
    return say(f"finding.delegates.{delegate.kind}", user=delegate.user)


def _why(delegate: Delegate, kinds: Iterable[str]) -> list[Text]:
    return [say(f"finding.delegates.is_{kind}", user=delegate.user) for kind in kinds]


def _target(delegate: Delegate, kinds: Iterable[str]) -> dict[str, Any]:
    return {
        "kind": delegate.kind,
        "user": delegate.user,
        "rights": list(delegate.rights),
        "folder": delegate.folder or None,
        "suspicions": list(kinds),
    }


# --- reading ---------------------------------------------------------------------------------------------------------


async def _read(evidence: Evidence) -> tuple[list[Delegate], list[ServiceError]]:
    """Every delegate that counts, and why something could not be read."""
    upn, mailboxes = evidence.subject.upn, evidence.mailboxes
    permissions, send_as, mailbox, *folders = await asyncio.gather(
        attempted(mailboxes.mailbox_permissions(upn)),
        attempted(mailboxes.send_as_permissions(upn)),
        attempted(evidence.mailbox()),
        *(attempted(mailboxes.folder_permissions(upn, folder)) for folder in FOLDERS),
    )
    answers = (permissions, send_as, mailbox, *folders)
    found = [
        *(() if isinstance(permissions, ServiceError) else _full_access(permissions)),
        *(() if isinstance(send_as, ServiceError) else _send_as(send_as)),
        *(() if isinstance(mailbox, ServiceError) else _on_behalf(mailbox)),
        *(delegate for name, read in zip(FOLDERS, folders, strict=True) for delegate in _in_folder(name, read)),
    ]
    people = [delegate for delegate in found if not _is_exchanges_own(delegate.user)]
    return people, [answer for answer in answers if isinstance(answer, ServiceError)]


def _full_access(permissions: Iterable[MailboxPermission]) -> list[Delegate]:
    real = (p for p in permissions if p.deny is not True and p.inherited is not True and p.rights)
    return [Delegate("full_access", p.user or "?", p.rights) for p in real]


def _send_as(permissions: Iterable[SendAsPermission]) -> list[Delegate]:
    real = (p for p in permissions if fold(p.control_type or "Allow") == "allow" and p.inherited is not True)
    return [Delegate("send_as", p.trustee or "?", p.rights or ("SendAs",)) for p in real]


def _on_behalf(mailbox: Mailbox) -> list[Delegate]:
    return [Delegate("send_on_behalf", name, ("SendOnBehalf",)) for name in mailbox.send_on_behalf]


def _in_folder(folder: str, read: tuple[FolderPermission, ...] | ServiceError) -> list[Delegate]:
    if isinstance(read, ServiceError):
        return []
    entries = [Delegate("folder", p.user or "?", p.rights, folder) for p in read]
    return [delegate for delegate in entries if _counts(delegate)]


def _counts(delegate: Delegate) -> bool:
    """Reading an inbox is much; of a calendar only changing it is, which everybody may otherwise look into."""
    return delegate.writes if delegate.folder == "Calendar" else delegate.reads


def _is_exchanges_own(user: str) -> bool:
    return any(fold(user) == own for own in words().delegates.exchange_own)


async def _outsiders(delegates: Sequence[Delegate], evidence: Evidence, row: SignalRow) -> frozenset[str]:
    """
    Names of delegates that are no members of the organisation.

    A domain that is not the account's own may still be the organisation's, so the directory is asked about a few. What
    it cannot tell counts as outside: too many outsiders make a delegate look worse, never better.
    """
    own_domains = await evidence.own_domains()
    named = sorted({d.user for d in delegates if _may_be_outside(d.user, own_domains)})
    asked = named[: row.thresholds["look_ups"]]
    members = await asyncio.gather(*(_is_member(user, evidence) for user in asked))
    inside = {user for user, member in zip(asked, members, strict=True) if member}
    return frozenset(fold(user) for user in named if user not in inside)


def _may_be_outside(user: str, own_domains: frozenset[str]) -> bool:
    name = fold(user)
    return "#ext#" in name or name.startswith("exchangepublisheduser.") or domain_of(name) not in {"", *own_domains}


async def _is_member(user: str, evidence: Evidence) -> bool:
    if fold(user).startswith("exchangepublisheduser."):
        return False
    read = await attempted(evidence.directory.get_user(user))
    return not isinstance(read, ServiceError) and not read.is_guest
