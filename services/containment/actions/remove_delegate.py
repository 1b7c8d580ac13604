"""Somebody else's rights to the mailbox, or to one of its folders, are taken away."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from services.cases import Text, say
from services.containment.work import Change, Standing, Undo, Work, standing


async def prepare(work: Work) -> Change:
    """
    The rights that were approved are removed. Proven when Exchange lists none of them for that user any more.

    Source: Remove-MailboxPermission, Remove-RecipientPermission, Set-Mailbox (GrantSendOnBehalfTo) and
    Remove-MailboxFolderPermission, 2026-08-21.
    """
    wanted = frozenset(map(str, work.target["rights"]))
    held = await _RIGHTS[_kind(work)](work)
    left = _common(held, wanted)

    async def proof() -> Text | None:
        still = _common(await _RIGHTS[_kind(work)](work), wanted)
        return None if still else say("action.remove_delegate.proven")

    return Change(
        perform=lambda: _REMOVE[_kind(work)](work, left),
        proof=proof,
        before={"rights": sorted(_taken(work, held, left) or wanted)},
        done_before=None if left else say("action.remove_delegate.proven"),
    )


def undo(work: Work) -> Undo:
    """The same rights again. Others that the user has got meanwhile stay."""
    rights = frozenset(map(str, work.before["rights"]))

    async def look() -> Standing:
        now = _common(await _RIGHTS[_kind(work)](work), rights)
        return standing(as_before=now == rights, as_we_left_it=not now)

    return Undo(perform=lambda: _ADD[_kind(work)](work, rights), look=look)


def _taken(work: Work, held: frozenset[str], left: frozenset[str]) -> frozenset[str]:
    """
    What a removal takes away, to be put back: in a folder everything that the user has there, since Exchange removes
    whole entries. Nothing when the rights are gone already, perhaps because we were stopped after removing them.
    """
    return held if _kind(work) == "folder" and left else left


def _kind(work: Work) -> str:
    return str(work.target["kind"])


def _user(work: Work) -> str:
    return str(work.target["user"])


def _folder(work: Work) -> str:
    """The path in the mailbox; "" for its root."""
    return str(work.target["folder"] or "")


def _is_user(work: Work, name: str | None) -> bool:
    return (name or "").casefold() == _user(work).casefold()


def _common(held: frozenset[str], wanted: frozenset[str]) -> frozenset[str]:
    """Those of the wanted rights that are held, in our spelling."""
    there = {right.casefold() for right in held}
    return frozenset(right for right in wanted if right.casefold() in there)


# --- the four kinds of delegates -------------------------------------------------------------------------------------


async def _full_access(work: Work) -> frozenset[str]:
    entries = await work.exchange.mailbox_permissions(work.upn)
    own = (entry for entry in entries if _is_user(work, entry.user) and not entry.deny and not entry.inherited)
    return frozenset(right for entry in own for right in entry.rights)


async def _send_as(work: Work) -> frozenset[str]:
    entries = await work.exchange.send_as_permissions(work.upn)
    own = (entry for entry in entries if _is_user(work, entry.trustee) and not entry.inherited)
    allowed = (entry for entry in own if (entry.control_type or "Allow").casefold() == "allow")
    return frozenset(right for entry in allowed for right in entry.rights)


async def _send_on_behalf(work: Work) -> frozenset[str]:
    names = (await work.exchange.mailbox(work.upn)).send_on_behalf
    return frozenset({"SendOnBehalf"}) if any(_is_user(work, name) for name in names) else frozenset()


async def _in_folder(work: Work) -> frozenset[str]:
    entries = await work.exchange.folder_permissions(work.upn, _folder(work))
    own = (entry for entry in entries if _is_user(work, entry.user))
    return frozenset(right for entry in own for right in entry.rights if right.casefold() != "none")


async def _set_on_behalf(work: Work, *, may: bool) -> None:
    """The list is written as a whole, so it is read directly before."""
    names = (await work.exchange.mailbox(work.upn)).send_on_behalf
    others = [name for name in names if not _is_user(work, name)]
    await work.exchange.set_send_on_behalf(work.upn, [*others, _user(work)] if may else others)


_Rights = frozenset[str]
_RIGHTS: Mapping[str, Callable[[Work], Awaitable[_Rights]]] = {
    "full_access": _full_access,
    "send_as": _send_as,
    "send_on_behalf": _send_on_behalf,
    "folder": _in_folder,
}
_REMOVE: Mapping[str, Callable[[Work, _Rights], Awaitable[object]]] = {
    "full_access": lambda w, rights: w.exchange.remove_mailbox_permission(w.upn, _user(w), sorted(rights)),
    "send_as": lambda w, rights: w.exchange.remove_send_as(w.upn, _user(w)),
    "send_on_behalf": lambda w, rights: _set_on_behalf(w, may=False),
    "folder": lambda w, rights: w.exchange.remove_folder_permission(w.upn, _folder(w), _user(w), sorted(rights)),
}
_ADD: Mapping[str, Callable[[Work, _Rights], Awaitable[object]]] = {
    "full_access": lambda w, rights: w.exchange.add_mailbox_permission(w.upn, _user(w), sorted(rights)),
    "send_as": lambda w, rights: w.exchange.add_send_as(w.upn, _user(w)),
    "send_on_behalf": lambda w, rights: _set_on_behalf(w, may=True),
    "folder": lambda w, rights: w.exchange.add_folder_permission(w.upn, _folder(w), _user(w), sorted(rights)),
}
