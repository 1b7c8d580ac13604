"""
Mail that accounts send while the sandbox runs: what gets out, what Microsoft refuses, and what the trace has of it.

An account that is on the restricted list cannot send, nor can one for a while after it was taken off. Source: "Remove
blocked users from the Restricted entities page", 2026-08-24. The words of a refusal are those of the non-delivery
report; how a trace prints them is seen in public code.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from services.sandbox.state import BlockedSender, Message, Tenant, TraceRow, opaque_id, stable_uuid

REFUSED = "550 5.1.8 Access denied, bad outbound sender AS(42004)"
#: What is said of recipients whose address begins with "nobody".
UNKNOWN_RECIPIENT = "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"
#: What an account sends by itself after an unblock (see `Switches.mail_after_unblock`), and how often.
FIRST_SUBJECT, MAILING_SUBJECT = "Back again", "News for everybody"
MESSAGES_BY_ITSELF = 4
EVERY_S = 60.0
MAILING_READERS = 150


def send_mail(
    tenant: Tenant, sender: str, recipients: Sequence[str], subject: str, *, at: datetime | None = None
) -> str:
    """
    Let somebody send one message, now unless told: a row of the trace for each recipient, and a copy in Sent Items.

    `sender` is any name or address of an account, or an address of nobody. What the server says that refuses it
    because of its sender; "" when it gets out.
    """
    person, moment = tenant.recipient(sender), at or tenant.clock.now()
    address = (person.mail or person.upn) if person else sender
    refusal = refusal_of(tenant, sender, moment)
    trace_id = stable_uuid("sent", address, subject, str(moment), str(len(tenant.trace)))
    internet_id = f"<{trace_id.replace('-', '').upper()}@EURP193MB0815.EURP193.PROD.OUTLOOK.COM>"
    for recipient in recipients:
        failure = refusal or (UNKNOWN_RECIPIENT if recipient.startswith("nobody") else "")
        status = _spelled(tenant, "failed" if failure else "delivered")
        row = TraceRow(moment, address, recipient, subject, status, trace_id=trace_id, internet_id=internet_id)
        row.refusal = failure
        tenant.trace.insert(0, row)
    if person is not None and person.mailbox is not None:
        copy_id = opaque_id(person.oid, subject, trace_id)
        copy = Message(copy_id, moment, subject, list(recipients), subject, internet_id=internet_id)
        person.mailbox.messages.setdefault("sentitems", []).insert(0, copy)
    return refusal


def _spelled(tenant: Tenant, status: str) -> str:
    """Graph spells statuses with a capital and without."""
    return status.capitalize() if len(tenant.trace) % 2 else status


def refusal_of(tenant: Tenant, sender: str, at: datetime) -> str:
    """What a server would say to mail from this sender; "" when it would take it."""
    person = tenant.recipient(sender)
    names = {sender.lower(), *({person.upn.lower(), *person.smtp_addresses} if person else ())}
    listed = any(tenant.blocked_sender(name) for name in names)
    waiting = any(tenant.sending_again_at.get(name, at) > at for name in names)
    return REFUSED if listed or waiting else ""


def strangers(number: int) -> list[str]:
    """So many addresses outside."""
    return [f"reader{index}@fabrikam{index % 7}.example" for index in range(number)]


def taken_off_the_list(tenant: Tenant, entry: BlockedSender) -> None:
    """An entry is gone: it takes a while until mail gets out, and who has waited for it then writes."""
    now, delay = tenant.clock.now(), timedelta(seconds=tenant.switches.sending_delay_s)
    tenant.sending_again_at[entry.address.lower()] = now + delay
    if not tenant.switches.mail_after_unblock:
        return
    moments = [
        now + delay / 2,
        *(now + delay + number * timedelta(seconds=EVERY_S) for number in range(MESSAGES_BY_ITSELF)),
    ]
    for moment in moments:
        _plan(tenant, entry.address, ["partner@fabrikam.example"], FIRST_SUBJECT, moment)
    if entry.address.lower() == tenant.switches.burst_after_unblock.lower():
        _plan(tenant, entry.address, strangers(MAILING_READERS), MAILING_SUBJECT, moments[2])


def _plan(tenant: Tenant, sender: str, recipients: Sequence[str], subject: str, at: datetime) -> None:
    """Send at that moment, whenever the tenant is next looked at; not if the account was blocked again meanwhile."""

    def write() -> None:
        if tenant.blocked_sender(sender) is None:
            refused = send_mail(tenant, sender, recipients, subject, at=at)
            tenant.changed("mail refused" if refused else "mail sent", sender, by="user")

    tenant.after((at - tenant.clock.now()).total_seconds(), write)
