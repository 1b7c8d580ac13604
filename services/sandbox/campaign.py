"""A campaign that takes many accounts at once, and a tenant in which nothing has happened yet."""

from __future__ import annotations

from typing import Any

from services.sandbox.defender import RESTRICTED, raise_alert
from services.sandbox.exchange.blocked import entry_removed
from services.sandbox.seed_basics import adder, limit_reason, spam_reason
from services.sandbox.seed_evidence import cmdlet_record
from services.sandbox.state import BlockedConnector, BlockedSender, Person, Tenant, next_midnight, stable_uuid

Json = dict[str, Any]
#: More than any test asks for; a slip of the pen should not fill the memory.
MOST = 5000
#: Where administrators sit who unblock somebody in the portal.
_PORTAL_IP = "198.51.100.77"


def block_many(tenant: Tenant, wanted: Json) -> list[str]:
    """
    Block `count` accounts, which are made when they are not there yet: "sender0001" with a mailbox, and so on.

    `over_s` spreads the blocks over the coming seconds, `temporary` makes them end at midnight UTC, `prefix` names the
    accounts, `alerts` false leaves Defender silent. Gives the addresses. Raises: ValueError for a number out of reach.
    """
    count, over_s = int(wanted["count"]), float(wanted.get("over_s", 0))
    if not 0 < count <= MOST:
        raise ValueError(f"count must be between 1 and {MOST}")
    people = _people(tenant, str(wanted.get("prefix", "sender")), count)
    for number, person in enumerate(people):
        _block_later(tenant, person, number, over_s * number / count, wanted)
    tenant.changed(f"{count} senders blocked", str(wanted.get("prefix", "sender")), by="control")
    return [person.upn for person in people]


def _people(tenant: Tenant, prefix: str, count: int) -> list[Person]:
    add = adder(tenant, tenant.clock.now())
    known = {person.upn: person for person in tenant.people if person.deleted_at is None}
    made = []
    for number in range(1, count + 1):
        alias = f"{prefix}{number:04}"
        there = known.get(f"{alias}@{tenant.default_domain}")
        made.append(there or add(stable_uuid("campaign", alias), f"{prefix.title()} {number:04}", alias))
    return made


def _block_later(tenant: Tenant, person: Person, number: int, delay_s: float, wanted: Json) -> None:
    temporary, alerts = bool(wanted.get("temporary", False)), bool(wanted.get("alerts", True))
    # Both kinds of reason, so that not everything that came of one campaign looks the same.
    reason = limit_reason(number % 7, 700 + number) if number % 2 else spam_reason(400 + number % 90, 500)

    def block() -> None:
        now = tenant.clock.now()
        ends_at = next_midnight(now) if temporary else None
        tenant.blocked.append(BlockedSender(person.upn, reason, now, now, temporary, ends_at, number % 3))
        if alerts:
            raise_alert(tenant, RESTRICTED, [person.oid])

    tenant.after(delay_s, block)


def unblock_by(tenant: Tenant, wanted: str | Json) -> None:
    """
    Take somebody off the list as an administrator does in the portal: an address, or {"address", "by"}.

    With `by`, the unified audit log has the cmdlet that the portal runs. Raises: ValueError for nobody's name.
    """
    order = {"address": wanted} if isinstance(wanted, str) else wanted
    person = tenant.recipient(order["address"])
    names = {order["address"].lower(), person.upn.lower() if person else ""}
    for entry in [entry for entry in tenant.blocked if entry.address.lower() in names]:
        entry_removed(tenant, entry, by="control")
        _record(tenant, entry, str(order.get("by", "")))


def _record(tenant: Tenant, entry: BlockedSender, name: str) -> None:
    if not name:
        return
    by = tenant.recipient(name)
    if by is None:
        raise ValueError(f"nobody is called {name}")
    parameters = {"SenderAddress": entry.address}
    at, cmdlet = tenant.clock.now(), "Remove-BlockedSenderAddress"
    tenant.audit_records.append(cmdlet_record(by, at, cmdlet, _PORTAL_IP, entry.address, parameters))


def block_connector(tenant: Tenant, wanted: Json) -> None:
    """Block an inbound connector: {"name", "reason"}; its id comes of its name."""
    name = str(wanted["name"])
    reason = str(wanted.get("reason", "SuspiciousActivity;OutboundSpamPercent=91"))
    entry = BlockedConnector(stable_uuid("connector", name), reason, tenant.clock.now(), name)
    tenant.blocked_connectors = [old for old in tenant.blocked_connectors if old.connector_id != entry.connector_id]
    tenant.blocked_connectors.append(entry)
    tenant.changed("connector blocked", name, by="control")


def unblock_connector(tenant: Tenant, name: str) -> None:
    """Take a connector off its list, by name or id."""
    tenant.blocked_connectors = [old for old in tenant.blocked_connectors if name not in (old.name, old.connector_id)]
    tenant.changed("connector unblocked", name, by="control")


def nothing_happened(tenant: Tenant) -> None:
    """Empty lists and no alerts, as in a tenant on a good day: what comes now is new."""
    tenant.blocked, tenant.blocked_connectors, tenant.alerts = [], [], []
