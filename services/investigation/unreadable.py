"""Why something could not be read: the reason for machines, and a text for people. Shared by all who read to judge."""

from __future__ import annotations

from services.cases import Text, UnknownReason, say
from services.clients.failures import NOT_SET_UP
from services.errors import BotError, LicenceMissing, NotFound, PermissionMissing, Rejected, Throttled

#: The app of Microsoft's that answers for the message trace, which each tenant has to add once. Source: "List
#: messageTraces", 2025-12.
TRACE_APP_ID = "8bd644d1-64a1-4d4b-ae52-2e0cbf64e373"

_REASONS: tuple[tuple[type[BotError], UnknownReason], ...] = (
    (LicenceMissing, UnknownReason.LICENCE),
    (PermissionMissing, UnknownReason.PERMISSION),
    (Throttled, UnknownReason.THROTTLED),
    (NotFound, UnknownReason.NOT_APPLICABLE),
)


def reason_of(error: BotError) -> UnknownReason:
    """What the error means for a signal; whatever has no reason of its own is a fault."""
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), UnknownReason.FAULT)


def why(error: BotError, licence: str | None = None) -> Text:
    """The same in plain words. `licence` names what is to be bought, when that is known."""
    if isinstance(error, LicenceMissing):
        return say("unreadable.licence_named", licence=licence) if licence else say("unreadable.licence")
    if isinstance(error, PermissionMissing):
        return _why_not_allowed(error)
    if isinstance(error, Throttled):
        return say("unreadable.throttled")
    if isinstance(error, NotFound):
        # What Exchange is asked about one account always hangs on its mailbox.
        return say("unreadable.no_mailbox" if error.service == "exchange" else "unreadable.not_there")
    if isinstance(error, Rejected) and error.detail:
        return say("unreadable.rejected", detail=error.detail)
    return say("unreadable.fault")


def _why_not_allowed(error: PermissionMissing) -> Text:
    if error.params.get("code") == NOT_SET_UP:
        return say("unreadable.trace_not_set_up", app_id=TRACE_APP_ID)
    permission = error.params.get("permission")
    return say("unreadable.permission_named", permission=permission) if permission else say("unreadable.permission")
