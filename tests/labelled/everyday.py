"""
What an ordinary account looks like before anything happens to it: a month of sign-ins, ten days of mail, old devices.

Every story starts from one of these people, so that an attacker's traces lie among honest ones, as they do in life.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zlib import crc32

from services.clients.exchange_models import FolderPermission, MailboxPermission, MessageConfiguration, SendAsPermission
from tests.labelled.account import DESKTOP, FACTOR_WANTED, MANAGED_LAPTOP, OWN_PHONE, WRONG_PASSWORD, Account
from tests.labelled.places import STOCKHOLM, network
from tests.labelled.world import E5, Address, Licences, Place

SUBJECTS = {
    "en": (
        "Minutes from today",
        "Re: offer for the spring",
        "Lunch on Thursday?",
        "Updated schedule",
        "Re: Re: delivery week 48",
        "Question about the drawing",
        "Invoice 20418",
    ),
    "sv": (
        "Protokoll från i dag",
        "Sv: offert till våren",
        "Lunch på torsdag?",
        "Uppdaterat schema",
        "Sv: Sv: leverans v. 48",
        "Fråga om ritningen",
        "Faktura 20418",
    ),
    "de": (
        "Protokoll von heute",
        "AW: Angebot Frühjahr",
        "Mittagessen am Donnerstag?",
        "Neuer Terminplan",
        "AW: Lieferung KW 48",
        "Rechnung 20418",
    ),
    "fr": (
        "Compte rendu",
        "RE: devis de printemps",
        "Déjeuner jeudi ?",
        "Nouveau planning",
        "RE: livraison semaine 48",
        "Facture 20418",
    ),
}


def office(account: Account) -> Address:
    """Where the account works; colleagues sign in from there too."""
    return network(10 + _number(account) % 90, account.home)


def at_home(account: Account) -> Address:
    return network(101 + _number(account) % 60, account.home)


def on_the_phone(account: Account) -> Address:
    """The mobile operator's address, which is another one every other day."""
    return network(165 + _number(account) % 80, account.home)


def _number(account: Account) -> int:
    return crc32(account.user.upn.encode())


def office_worker(
    name: str,
    at: str,
    *,
    home: Place = STOCKHOLM,
    licences: Licences = E5,
    language: str = "en",
    days: int = 30,
    mails_a_day: int = 9,
    signature: bool = True,
) -> Account:
    """Somebody with a laptop of the company and a phone, on working days at the office and now and then at home."""
    one = Account(name, at, home=home, licences=licences, language=language)
    one.offices[office(one).ip] = 24
    furnish(one, signature=signature)
    for morning in working_days(one, days):
        _works(one, morning)
    for morning in working_days(one, 10):
        _writes(one, morning, mails_a_day)
        _tidies_up(one, morning)
    return one


def furnish(one: Account, *, signature: bool = True) -> None:
    """What was set up when the account was made, long ago."""
    one.has_method("password", None)
    one.has_method("microsoftAuthenticator", 610, "iPhone 13")
    one.has_method("phone", None, "+46 70 *** ** 18")
    one.registers_device("CONTOSO-LT-114", 540, trust_type="AzureAd", is_managed=True, is_compliant=True)
    one.registers_device("iPhone", 610, "IPhone")
    one.synchronises("iPhone 13", 24 * 600)
    one.full_access.append(MailboxPermission(user="NT AUTHORITY\\SELF", rights=("FullAccess", "ReadPermission")))
    one.full_access.append(
        MailboxPermission(user="NAMPRD01\\Organization Management", rights=("FullAccess",), deny=True, inherited=True)
    )
    one.send_as.append(SendAsPermission(trustee="NT AUTHORITY\\SELF", rights=("SendAs",), control_type="Allow"))
    one.shared_folders["inbox"] = [_everybody("inbox", "Default", "None"), _everybody("inbox", "Anonymous", "None")]
    one.shared_folders["calendar"] = [
        _everybody("calendar", "Default", "AvailabilityOnly"),
        _everybody("calendar", "Anonymous", "None"),
    ]
    one.box = one.box.model_copy(
        update={
            "primary_smtp_address": one.user.mail,
            "display_name": one.user.display_name,
            "aliases": one.user.aliases,
            "recipient_type": "UserMailbox",
            "audit_enabled": True,
        }
    )
    every = {"owa": True, "mapi": True, "imap": True, "pop": True, "ews": True, "activesync": True}
    one.cas = one.cas.model_copy(update=every)
    one.messages = signed(f"{one.user.display_name}\nContoso\n+46 8 123 45 00") if signature else MessageConfiguration()
    one.lets_app("Zoom", "User.Read Calendars.Read", 300, publisher="Zoom Video Communications, Inc.")
    one.is_assigned("Contoso Intranet", 500, publisher="Contoso AB")


def signed(text: str) -> MessageConfiguration:
    html = "".join(f"<p>{line}</p>" for line in text.splitlines())
    return MessageConfiguration(signature_text=text, signature_html=html, adds_signature=True)


def _everybody(folder: str, user: str, rights: str) -> FolderPermission:
    return FolderPermission(folder=folder, user=user, rights=(rights,))


def working_days(one: Account, days: int) -> Iterator[datetime]:
    """Seven o'clock, local time, of the working days so far back, the oldest first, as moments before now."""
    today = one.now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(hours=7 - one.home.hours_east)
    for back in range(days, -1, -1):
        morning = today - timedelta(days=back)
        if morning.weekday() < 5:
            yield morning


def hours_ago(one: Account, at: datetime) -> float:
    return (one.now - at) / timedelta(hours=1)


def _works(one: Account, morning: datetime) -> None:
    """A sign-in or two, with a slip of the finger at times, and what laptop and phone do on their own."""
    where = office(one) if one.chance.random() < 0.7 else at_home(one)
    starts = hours_ago(one, morning + timedelta(minutes=one.chance.randint(20, 130)))
    slip = one.chance.random()
    if slip < 0.12:
        _signs_in(one, where, starts + 0.02, WRONG_PASSWORD)
    elif slip < 0.24:
        _signs_in(one, where, starts + 0.02, FACTOR_WANTED)
    _signs_in(one, where, starts)
    if one.chance.random() < 0.4:
        _signs_in(one, where, starts - one.chance.uniform(4, 8), client=DESKTOP)
    for number in range(one.chance.randint(2, 5)):
        phone = number % 3 == 2
        place, device = (on_the_phone(one), OWN_PHONE) if phone else (where, MANAGED_LAPTOP)
        _in_background(one, place, starts - one.chance.uniform(0.2, 11), device)


def _signs_in(one: Account, where: Address, ago: float, code: int = 0, client: str = "Browser") -> None:
    if ago > 0:
        one.signs_in(where, ago, code=code, client=client, device=MANAGED_LAPTOP)


def _in_background(one: Account, where: Address, ago: float, device: Any) -> None:
    if ago > 0:
        one.works_in_background(where, ago, device=device)


def _writes(one: Account, morning: datetime, mails_a_day: int) -> None:
    """A day's mail, some of it inside, hardly any of it to many."""
    for _ in range(max(1, round(one.chance.gauss(mails_a_day, mails_a_day / 4)))):
        ago = hours_ago(one, morning + timedelta(hours=one.chance.uniform(1, 10)))
        if ago > 0:
            subject = one.chance.choice(SUBJECTS[one.language])
            to_each = one.chance.choice((1, 1, 1, 2, 3))
            one.sends(subject, ago, messages=1, to_each=to_each, over=0, inside=0.55, known=160, where=office(one))


def _tidies_up(one: Account, morning: datetime) -> None:
    """Everybody deletes some mail every day, and opens a lot of it."""
    for operation, least, most in (("SoftDelete", 0, 3), ("MoveToDeletedItems", 1, 6), ("HardDelete", 0, 1)):
        ago = hours_ago(one, morning + timedelta(hours=one.chance.uniform(1, 9)))
        if ago > 1:
            one.deletes(operation, ago, office(one), times=one.chance.randint(least, most) or 1)
    ago = hours_ago(one, morning + timedelta(hours=2))
    if ago > 0:
        one.record("MailItemsAccessed", ago, office(one))


def away(one: Account, since: float, until: float = 0.0) -> None:
    """Nobody can be in two places: what this person did at home and at the office in these hours has not happened."""
    start, end = one.ago(since), one.ago(until)
    one.sign_in_log = [s for s in one.sign_in_log if s.at and not start <= s.at <= end]
    one.background_log = [s for s in one.background_log if s.at and not start <= s.at <= end]
    one.record_log = [record for record in one.record_log if record.at and not start <= record.at <= end]


# --- other kinds of accounts -----------------------------------------------------------------------------------------


def newcomer(name: str, at: str, days: int, **more: Any) -> Account:
    """Somebody whose account is so many days old, so that nothing of theirs is older."""
    one = office_worker(name, at, days=days, **more)
    start = one.ago(24 * days)
    one.change_user(created_at=start, password_changed_at=one.ago(24 * days - 1), sessions_valid_from=start)
    one.methods.clear()
    one.devices.clear()
    one.mobiles.clear()
    one.has_method("password", None)
    one.adds_method("microsoftAuthenticator", 24 * days - 2, "iPhone 16", office(one))
    one.registers_device("CONTOSO-LT-377", days - 0.1, trust_type="AzureAd", is_managed=True, is_compliant=True)
    one.synchronises("iPhone 16", 24 * days - 3)
    one.trace_log = [trace for trace in one.trace_log if trace.received_at and trace.received_at >= start]
    one.record_log = [record for record in one.record_log if record.at and record.at >= start]
    return one


def shared_mailbox(name: str, at: str, *, members: Sequence[str], **more: Any) -> Account:
    """A mailbox of several people, who open it with their own accounts; nobody signs in to it."""
    one = Account(name, at, **more)
    furnish(one, signature=False)
    one.methods = [method for method in one.methods if method.kind == "password"]
    one.devices.clear()
    one.mobiles.clear()
    one.grants.clear()
    one.assignments.clear()
    one.box = one.box.model_copy(update={"recipient_type": "SharedMailbox"})
    for member in members:
        one.lets_in(member)
        one.lets_send_as(member)
    return one


def machine(name: str, at: str, client: str, *, every: float = 4.0, **more: Any) -> Account:
    """An account that a device or a program sends with, from the office, day and night."""
    one = shared_mailbox(name, at, members=(), **more)
    one.box = one.box.model_copy(update={"recipient_type": "UserMailbox"})
    one.change_user(password_changed_at=one.ago(24 * 420))
    for number in range(int(24 * 30 / every)):
        one.signs_in(office(one), 0.3 + every * number, client=client, device={"operating_system": ""})
    return one
