"""The restricted list: senders and connectors that may not send."""

import uuid
from datetime import datetime, timedelta

from services.sandbox.exchange.core import BAD_ARGUMENT, CmdletCall, CmdletError, Cmdlets, Row, object_not_found
from services.sandbox.sending import taken_off_the_list
from services.sandbox.state import BlockedConnector, BlockedSender, Tenant, stable_uuid

cmdlets = Cmdlets()
LIMIT_REACHED = (
    "You have reached the limit for the number of times that this account can be unblocked. "
    "Contact Microsoft Support to unblock it."
)


@cmdlets.add("Get-BlockedSenderAddress", "SenderAddress", "ResultSize")
def get_blocked_senders(call: CmdletCall) -> list[Row]:
    """
    The restricted list, or one entry of it; an address that is not on it gives nothing.

    The spelling of dates and the type of TemporaryBlock differ from entry to entry: no source settles them.
    """
    wanted = call.text("SenderAddress").lower()
    return [_entry(blocked) for blocked in call.tenant.blocked if wanted in ("", blocked.address.lower())]


def _entry(blocked: BlockedSender) -> Row:
    style = blocked.date_style
    return {
        "SenderAddress": blocked.address,
        "Reason": blocked.reason,
        "CreatedDatetime": _date(blocked.created_at, style),
        "ChangedDatetime": _date(blocked.changed_at, style),
        "TemporaryBlock": str(blocked.temporary) if style == 1 else blocked.temporary,
        "ReleaseAttempts": 0,
    }


def _date(moment: datetime, style: int) -> str:
    if style == 0:
        return moment.strftime("%Y-%m-%dT%H:%M:%S.%f") + "7Z"
    if style == 1:
        twelve = moment.hour % 12 or 12
        half = "AM" if moment.hour < 12 else "PM"
        return f"{moment.month}/{moment.day}/{moment.year} {twelve}:{moment:%M:%S} {half}"
    return moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")


@cmdlets.add("Remove-BlockedSenderAddress", "SenderAddress", "Reason")
def remove_blocked_sender(call: CmdletCall) -> list[Row]:
    """Unblock a sender. The number of unblocks is limited; the entry may go on showing for a while."""
    address, tenant = call.required("SenderAddress"), call.tenant
    blocked = tenant.blocked_sender(address)
    if blocked is None:
        if tenant.switches.unblock_of_unlisted_fails:
            raise object_not_found(address)
        return []
    if tenant.switches.remaining_unblocks <= 0:
        raise CmdletError("Microsoft.Exchange.Hygiene.BlockedSenderLimitException", LIMIT_REACHED)
    if blocked.temporary and not tenant.switches.temporary_block_removable:
        call.warnings.append(f"The temporary block of {address} ends by itself.")
        return []
    tenant.switches.remaining_unblocks -= 1
    tenant.changed("unblock requested", address)
    tenant.after(tenant.switches.unblock_delay_s, lambda: entry_removed(tenant, blocked))
    return []


def entry_removed(tenant: Tenant, blocked: BlockedSender, by: str = "service") -> None:
    """The entry is off the list, and its sender may soon send again."""
    if blocked in tenant.blocked:
        tenant.blocked.remove(blocked)
        tenant.changed("sender unblocked", blocked.address, by=by)
    taken_off_the_list(tenant, blocked)


@cmdlets.add("Get-BlockedConnector", "ConnectorId")
def get_blocked_connectors(call: CmdletCall) -> list[Row]:
    """The blocked inbound connectors."""
    wanted = call.text("ConnectorId").lower()
    return [
        {
            "ConnectorId": uuid.UUID(connector.connector_id),
            "Reason": connector.reason,
            "CreatedDatetime": connector.created_at,
            "ChangedDatetime": connector.created_at + timedelta(minutes=1),
        }
        for connector in call.tenant.blocked_connectors
        if wanted in ("", connector.connector_id)
    ]


@cmdlets.add("Remove-BlockedConnector", "ConnectorId", "Reason")
def remove_blocked_connector(call: CmdletCall) -> list[Row]:
    """Unblock a connector. Whether these unblocks are limited as well is not documented; here they count together."""
    wanted, tenant = _guid(call), call.tenant
    blocked = next((connector for connector in tenant.blocked_connectors if connector.connector_id == wanted), None)
    if blocked is None:
        raise object_not_found(wanted)
    if tenant.switches.remaining_unblocks <= 0:
        raise CmdletError("Microsoft.Exchange.Hygiene.BlockedConnectorLimitException", LIMIT_REACHED)
    tenant.switches.remaining_unblocks -= 1
    tenant.changed("connector unblock requested", wanted)
    tenant.after(tenant.switches.unblock_delay_s, lambda: _connector_unblocked(tenant, blocked))
    return []


def _guid(call: CmdletCall) -> str:
    text = call.required("ConnectorId")
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise CmdletError(BAD_ARGUMENT, f"Cannot convert value '{text}' to type 'System.Guid'.") from None


def _connector_unblocked(tenant: Tenant, blocked: BlockedConnector) -> None:
    if blocked in tenant.blocked_connectors:
        tenant.blocked_connectors.remove(blocked)
        tenant.changed("connector unblocked", blocked.connector_id, by="service")


@cmdlets.add("Get-InboundConnector", "Identity", "ResultSize")
def get_inbound_connectors(call: CmdletCall) -> list[Row]:
    """The inbound connectors: those that are blocked, and an ordinary one."""
    named = [(connector.connector_id, connector.name) for connector in call.tenant.blocked_connectors]
    return [
        {
            "Identity": name,
            "Name": name,
            "Guid": uuid.UUID(guid),
            "Enabled": True,
            "ConnectorType": "OnPremises",
            "SenderDomains": ["smtp:*;1"],
            "RequireTls": True,
        }
        for guid, name in [*named, (stable_uuid("connector", "branch office"), "Branch office")]
    ]
