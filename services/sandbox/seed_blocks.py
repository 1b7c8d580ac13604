"""
One account for each way in which mail does not leave beside the restricted list, and entries that are spelled oddly.

Nobody here was attacked. What concerns the whole tenant has no account: a blocked connector stands on its list from the
start, and an alert that the tenant is restricted is a matter of the control route `state` (`alert`).

| name  | what is true                                                      | what `why` should say                |
| ----- | ----------------------------------------------------------------- | ------------------------------------ |
| maud  | an invitation to 10,400 people in the last hours, on no list      | perhaps 5.1.90, and until when       |
| hugo  | 600 recipients today; his policy allows 500, else until tomorrow  | perhaps blocked until tomorrow       |
| fiona | forwards to an address elsewhere; the policy leaves it to others  | no block; forwarding perhaps 5.7.520 |
| ulf   | blocked, for a reason with keys that nobody has seen before       | on the list, the keys as they are    |
| olga  | blocked, without any reason                                       | on the list, no reason given         |
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from services.sandbox.seed_basics import known, mailbox_of
from services.sandbox.seed_evidence import send
from services.sandbox.state import OutboundPolicy, Person, Tenant, next_midnight

MAUD = "a1e00000-0000-4000-8000-000000000041"
HUGO = "a1e00000-0000-4000-8000-000000000042"
FIONA = "a1e00000-0000-4000-8000-000000000043"
ULF = "a1e00000-0000-4000-8000-000000000044"
OLGA = "a1e00000-0000-4000-8000-000000000045"

#: Address, reason as the list has it, and for how many hours it has been there.
ODD_BLOCKS: tuple[tuple[str, str, float], ...] = (
    (
        "ulf@contoso.com",
        "EmailSendingLimitExceeded;ExternalRecipientCountToday=1,043;ExceedingLimitType=Subscription;"
        "ReputationBand:Low;Escalated;",
        6.0,
    ),
    ("olga@contoso.com", "", 11.0),
)
#: How many people one message of Maud's goes to: the most that Exchange takes unless somebody allows more.
_RECIPIENTS = 500


def add_blocked_people(add: Callable[..., Person]) -> None:
    """The accounts themselves."""
    add(MAUD, "Maud Berg", "maud", language="sv-SE", job_title="Conferences")
    add(HUGO, "Hugo Ross", "hugo", job_title="Events")
    add(FIONA, "Fiona Hart", "fiona", job_title="Consultant")
    add(ULF, "Ulf Nord", "ulf", language="sv-SE", job_title="Support")
    add(OLGA, "Olga Lind", "olga", language="sv-SE", job_title="Archive")


def add_block_stories(tenant: Tenant, now: datetime) -> None:
    """What they have sent, and where it goes."""
    _invite_everybody(tenant, known(tenant, MAUD), now)
    _send_today(tenant, known(tenant, HUGO), now)
    mailbox = mailbox_of(known(tenant, FIONA))
    mailbox.forwarding_smtp, mailbox.deliver_and_forward = "smtp:fiona.hart@oldmail.example", True


def _invite_everybody(tenant: Tenant, maud: Person, now: datetime) -> None:
    for number in range(21):
        first, at = _RECIPIENTS * number, now - timedelta(hours=5, minutes=-10 * number)
        guests = [f"guest{first + one}@guests.example" for one in range(min(_RECIPIENTS, 10_400 - first))]
        send(tenant, maud, at, "Autumn conference", [maud.upn], bcc=guests[1:])


def _send_today(tenant: Tenant, hugo: Person, now: datetime) -> None:
    """In the last minutes, but never before midnight: the limit of his policy is one for the day."""
    midnight = next_midnight(now) - timedelta(days=1)
    for number in range(2):
        at = max(midnight, now - timedelta(minutes=20 - number))
        send(
            tenant, hugo, at, f"Programme, part {number + 1}", [f"visitor{one}@visitors.example" for one in range(300)]
        )


def add_block_settings(tenant: Tenant) -> None:
    """Hugo's policy: the action that policies have by default, with a limit of its own."""
    tenant.outbound_policies.append(
        OutboundPolicy(
            "Events",
            is_default=False,
            action="BlockUserForToday",
            auto_forwarding="Off",
            external_per_hour=400,
            internal_per_hour=400,
            per_day=500,
            rule=(1, True, ["hugo@contoso.com"]),
        )
    )
