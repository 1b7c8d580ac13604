"""Accounts that somebody else was in. Each function tells one of them; its docstring is the truth."""

from __future__ import annotations

from services.cases import Block, BlockKind
from services.errors import LicenceMissing, PermissionMissing, Throttled, Unavailable
from tests.labelled.account import (
    ACTIVESYNC,
    DESKTOP,
    EWS,
    FACTOR_REFUSED,
    IMAP,
    LOCKED,
    MANAGED_LAPTOP,
    OWN_PHONE,
    POP,
    SCRIPT,
    SMTP,
    Account,
)
from tests.labelled.everyday import at_home, newcomer, office, office_worker, on_the_phone, shared_mailbox, signed
from tests.labelled.places import (
    ACCRA,
    AMSTERDAM,
    ASHBURN,
    BERLIN,
    BUCHAREST,
    CHICAGO,
    FRANKFURT,
    GOTHENBURG,
    HANOI,
    ISTANBUL,
    JAKARTA,
    JOHANNESBURG,
    LAGOS,
    LONDON,
    LYON,
    MADRID,
    MALMO,
    MOSCOW,
    MUMBAI,
    MUNICH,
    NEW_YORK,
    OSLO,
    PARIS,
    SAO_PAULO,
    STOCKHOLM,
    somewhere,
)
from tests.labelled.story import Label, Stories
from tests.labelled.world import E3, NONE_AT_ALL

COMPROMISED = Stories(Label.COMPROMISED)

#: A computer that nobody in the company has seen.
STRANGER = {"operating_system": "Windows10", "browser": "Chrome 120.0.0", "is_managed": False, "is_compliant": False}


@COMPROMISED
def password_spray_then_imap() -> Account:
    """Guessed from many addresses over two nights until one fitted; then IMAP from there, and thousands of messages."""
    one = office_worker("Anna Lindqvist", "2026-11-24 03:05", language="sv")
    attackers = [somewhere(n, place) for n, place in enumerate((HANOI, JAKARTA, MUMBAI, SAO_PAULO, MOSCOW) * 5, 1)]
    one.guessed(attackers, 11.5, times=64, over=33)
    one.signs_in(attackers[3], 11.2, client=IMAP, device=SCRIPT)
    one.signs_in(attackers[3], 5.0, client=IMAP, device=SCRIPT)
    one.also_tried(attackers[3], ["bo", "cilla", "david", "eva", "frans"], 30)
    one.sends("Your parcel could not be delivered", 1.9, messages=410, to_each=6, over=0.8, failed=0.18, saved=False)
    one.held_to_be_spam(1.0, spam=2210, mail=2460)
    return one


@COMPROMISED
def token_stolen_from_the_laptop() -> Account:
    """Malware took a session token; only background sign-ins from a hosting company show it, and mail sent by Graph."""
    one = office_worker("Marcus Ek", "2026-11-19 20:40", licences=E3)
    attacker = somewhere(30, BUCHAREST)
    one.works_in_background(attacker, 27, times=22, every=1.2, client=DESKTOP, device=SCRIPT)
    one.sends("Marcus Ek shared a file with you", 3.0, messages=620, over=1.5, failed=0.09, saved=False, where=attacker)
    one.over_the_limit(1.4, external=604)
    return one


@COMPROMISED
def consent_to_an_app_that_sends() -> Account:
    """Somebody said yes to an app called Upgrade Security; it sends mail in their name, and nobody ever signed in."""
    one = office_worker("Petra Holm", "2026-11-18 14:20", home=GOTHENBURG)
    one.lets_app("Upgrade Security", "Mail.ReadWrite Mail.Send User.Read offline_access", 1.1, age_days=3)
    one.sends("Secure document for you", 2.6, messages=380, to_each=2, over=2.0, failed=0.12, saved=True)
    one.held_to_be_spam(0.6, spam=390, mail=771)
    return one


@COMPROMISED
def hidden_rule_against_warnings() -> Account:
    """A hidden rule named with a dot deletes what would warn the owner; the sign-in came from Lagos."""
    one = office_worker("Julia Berg", "2026-11-12 06:30")
    attacker = somewhere(31, LAGOS)
    one.signs_in(attacker, 16, device=STRANGER)
    one.rule(".", hidden=True, delete=True, words=("phish", "hacked", "virus", "undeliverable", "did you send"))
    one.record("UpdateInboxRules", 15.6, attacker, ClientInfoString="Client=OWA;Action=ViaProxy")
    one.sends("Re: Outstanding balance", 3.5, messages=700, over=1.1, failed=0.15, known=900)
    one.deletes("HardDelete", 2.0, attacker, times=60, folder="sent", each=10)
    one.folders["sentitems"] = [item for item in one.folders["sentitems"] if item.subject != "Re: Outstanding balance"]
    one.over_the_limit(2.2, external=690)
    return one


@COMPROMISED
def rss_rule_in_swedish() -> Account:
    """Everything that comes in goes to the RSS folder, read already; signed in through an anonymiser in Germany."""
    one = office_worker("Karin Sjö", "2026-11-25 05:10", language="sv", signature=False)
    attacker = somewhere(32, FRANKFURT)
    one.signs_in(attacker, 20, device=STRANGER, risk_level="medium", risk_events=("anonymizedIPAddress",))
    one.at_risk("medium", "anonymizedIPAddress", ago=20, where=attacker)
    one.rule("..", folder="RSS-flöden", read=True)
    one.ran("New-InboxRule", 19.7, attacker, Name="..", MoveToFolder="RSS-flöden", MarkAsRead="True")
    one.sends("Viktigt meddelande om din lön", 4.1, messages=95, to_each=10, over=0.7, inside=0.8, saved=False)
    one.over_the_limit(3.3, external=190, internal=748)
    return one


@COMPROMISED
def rss_rule_in_german() -> Account:
    """A German bookkeeper: mail about invoices is moved to RSS-Feeds while the attacker writes to customers."""
    one = office_worker("Stefan Kraus", "2026-11-20 09:45", home=MUNICH, language="de", licences=E3)
    attacker = somewhere(33, AMSTERDAM)
    one.signs_in(attacker, 44, device=STRANGER)
    one.works_in_background(attacker, 43, times=14, every=2.5)
    one.rule("Rechnungen", folder="RSS-Feeds", words=("rechnung", "zahlung", "iban"), read=True)
    one.sends(("AW: Rechnung", "AW: neue Bankverbindung"), 5.5, messages=210, over=4, saved=True, failed=0.04)
    one.over_the_limit(0.8, external=205)
    return one


@COMPROMISED
def rss_rule_in_french_from_inside_france() -> Account:
    """A French mailbox; the attacker uses an address in Paris, so only the rule and the flood of mail stand out."""
    one = office_worker("Chloé Martin", "2026-11-17 19:15", home=LYON, language="fr", licences=E3)
    attacker = somewhere(34, PARIS)
    one.signs_in(attacker, 9.0, device=STRANGER)
    one.rule("a", folder="Flux RSS", read=True)
    one.ran("New-InboxRule", 8.7, attacker, Name="a", MoveToFolder="Flux RSS")
    one.sends("Document partagé : facture impayée", 2.7, messages=530, over=0.9, failed=0.2, saved=False)
    one.over_the_limit(1.7, external=524)
    return one


@COMPROMISED
def mail_forwarded_and_not_kept() -> Account:
    """The whole mailbox goes to a free mail address and keeps no copy; the attacker signed in from Accra."""
    one = office_worker("Oskar Lund", "2026-11-10 04:00")
    attacker = somewhere(35, ACCRA)
    one.signs_in(attacker, 30, device=STRANGER)
    one.forwards(to="oskar.lund.contoso@freemail.example", keeps_copy=False)
    one.ran("Set-Mailbox", 29.6, attacker, ForwardingSmtpAddress="smtp:oskar.lund.contoso@freemail.example")
    one.alerted("Suspicious email forwarding activity", 28, severity="high")
    one.sends("Purchase order 7731", 2.1, messages=260, to_each=2, over=0.6, failed=0.1)
    one.over_the_limit(1.4, external=512)
    return one


@COMPROMISED
def smtp_from_a_new_country() -> Account:
    """An old password that leaked elsewhere; SMTP from Brazil pours out mail that never touches Sent Items."""
    one = office_worker("Hugo Falk", "2026-11-22 11:25", licences=E3)
    attacker = somewhere(36, SAO_PAULO)
    one.change_user(password_changed_at=one.ago(24 * 1310))
    for hour in (4.0, 3.1, 2.2):
        one.signs_in(attacker, hour, client=SMTP, device=SCRIPT)
    subjects = [f"Congratulations winner {n}" for n in range(9)]
    one.sends(subjects, 3.9, messages=1400, over=2.4, failed=0.31, saved=False, where=attacker)
    one.held_to_be_spam(1.5, spam=1288, mail=1402)
    return one


@COMPROMISED
def neighbour_behind_a_vpn() -> Account:
    """The attacker comes out of a VPN in the victim's own city, adds a phone, and files away replies about money."""
    one = office_worker("Ellen Dahl", "2026-11-13 08:10", language="sv")
    attacker = somewhere(37, STOCKHOLM)
    one.signs_in(attacker, 38, device=STRANGER)
    one.adds_method("phone", 37.5, "+46 76 *** ** 90", attacker)
    one.rule("Arkivera", folder="Arkiv", words=("faktura", "betalning", "bank"), read=True)
    one.ran("New-InboxRule", 37.2, attacker, Name="Arkivera", MoveToFolder="Arkiv", MarkAsRead="True")
    one.works_in_background(attacker, 36, times=20, every=1.7)
    one.sends("Sv: betalningsuppgifter", 2.4, messages=320, over=1.3, failed=0.05, saved=True)
    one.over_the_limit(0.9, external=311)
    return one


@COMPROMISED
def delegate_let_in() -> Account:
    """From a foreign address the mailbox was opened to a colleague's account, which is in the same attacker's hands."""
    one = office_worker("Nora Vik", "2026-11-26 07:55", home=OSLO, licences=E3)
    attacker = somewhere(38, JOHANNESBURG)
    one.signs_in(attacker, 26, device=STRANGER)
    one.lets_in("temp.worker@contoso.com")
    one.lets_send_as("temp.worker@contoso.com")
    one.ran("Add-MailboxPermission", 25.1, attacker, User="temp.worker@contoso.com", AccessRights="FullAccess")
    one.ran("Add-RecipientPermission", 25.0, attacker, Trustee="temp.worker@contoso.com", AccessRights="SendAs")
    one.sends("Quote request", 3.0, messages=450, over=1.2, failed=0.1, saved=False)
    one.over_the_limit(1.8, external=447)
    return one


@COMPROMISED
def second_factor_of_the_attacker() -> Account:
    """A phishing page passed the sign-in on; twenty minutes later there was a telephone number from the US."""
    one = office_worker("Tobias Frisk", "2026-11-11 22:30")
    attacker = somewhere(39, CHICAGO)
    one.signs_in(attacker, 6.4, device=STRANGER, risk_level="high", risk_events=("unfamiliarFeatures",))
    one.at_risk("high", "unfamiliarFeatures", "attackerinTheMiddle", ago=6.3, where=attacker)
    one.adds_method("phone", 6.0, "+1 312 *** **77", attacker)
    one.sends('Tobias Frisk shared "Contract_Nov" with you', 2.4, messages=800, over=0.8, failed=0.08, known=1000)
    one.over_the_limit(1.5, external=801)
    return one


@COMPROMISED
def renamed_to_support() -> Account:
    """The display name became that of a help desk before the mail went out to everybody inside."""
    one = office_worker("Lars Aho", "2026-11-24 15:50", licences=E3)
    attacker = somewhere(40, LAGOS)
    one.signs_in(attacker, 7.0, device=STRANGER)
    one.changes_profile(6.5, where=attacker, DisplayName="IT Help Desk", TelephoneNumber="+1 202 555 0147")
    one.sends("Your mailbox is full: validate now", 1.9, messages=40, to_each=25, over=0.3, inside=0.95, saved=False)
    one.over_the_limit(1.4, external=52, internal=951)
    return one


@COMPROMISED
def sent_mail_wiped() -> Account:
    """Nine hundred messages went out and were erased from Sent Items within the hour, from an address in Istanbul."""
    one = office_worker("Moa Strand", "2026-11-16 06:00", language="sv")
    attacker = somewhere(41, ISTANBUL)
    one.signs_in(attacker, 5.2, device=STRANGER)
    one.sends("Inbjudan: dokument väntar", 4.0, messages=900, over=1.5, failed=0.07, saved=False)
    one.deletes("HardDelete", 2.9, attacker, times=90, over=0.9, folder="sent", each=10)
    one.over_the_limit(2.4, external=888)
    return one


@COMPROMISED
def old_break_in_woken() -> Account:
    """Broken into two months ago: app and forward are old, the attacker's address is a habit by now; today it spams."""
    one = office_worker("Gunnar Blom", "2026-11-23 12:15", licences=E3)
    attacker = somewhere(42, BUCHAREST)
    for day in range(29):
        one.works_in_background(attacker, 24 * day + 5, client=DESKTOP, device=SCRIPT)
    for day in (2, 8, 15, 22, 28):
        one.signs_in(attacker, 24 * day + 3, device=STRANGER)
    one.lets_app("Mail Sync Pro", "Mail.ReadWrite Mail.Send offline_access full_access_as_user", 60, age_days=75)
    one.rule("backup", forward_to=("gblom.backup@freemail.example",))
    one.sends("RE: Payment advice", 2.5, messages=640, over=1.0, failed=0.22, saved=False)
    one.held_to_be_spam(1.2, spam=580, mail=649)
    return one


@COMPROMISED
def attacker_in_the_same_country() -> Account:
    """A residential proxy in Malmö, nothing foreign: a strange device, a rule, and one subject to many."""
    one = office_worker("Sofia Wik", "2026-11-15 21:05", licences=E3, language="sv")
    attacker = somewhere(43, MALMO)
    one.signs_in(attacker, 11, device=STRANGER)
    one.rule("...", delete=True, words=("lösenord", "kapad", "säkerhet", "spam"))
    one.ran("New-InboxRule", 10.8, attacker, Name="...", DeleteMessage="True")
    one.sends("Ny faktura att godkänna", 1.8, messages=570, over=0.7, failed=0.14, saved=False)
    one.over_the_limit(1.0, external=566)
    return one


@COMPROMISED
def small_firm_without_licences() -> Account:
    """Three people, the cheapest licence, no logs and no Defender: a hidden rule, a forward and a flood."""
    one = office_worker("Rita Malm", "2026-11-09 17:30", licences=NONE_AT_ALL)
    one.rule("", hidden=True, delete=True)
    one.forwards(to="rita.malm@mailbox.example")
    one.sends("Your invoice is overdue", 3.0, messages=480, to_each=3, over=1.4, failed=0.25, saved=False)
    one.held_to_be_spam(1.1, spam=1210, mail=1444)
    return one


@COMPROMISED
def nobody_kept_an_audit_log() -> Account:
    """Auditing was off in the tenant and for the mailbox; signed in from India at night, thousands of messages."""
    one = office_worker("Emil Granath", "2026-11-25 04:45", licences=E3)
    attacker = somewhere(44, MUMBAI)
    one.cannot_read(LicenceMissing("graph"), "audit_records")
    one.box = one.box.model_copy(update={"audit_enabled": False})
    one.signs_in(attacker, 4.2, device=STRANGER)
    one.signs_in(attacker, 2.1, client=SMTP, device=SCRIPT)
    one.sends("Verify your account", 2.0, messages=1100, over=1.0, failed=0.3, saved=False, where=attacker)
    one.held_to_be_spam(0.9, spam=1040, mail=1112)
    return one


@COMPROMISED
def exchange_cannot_be_read() -> Account:
    """The bot's role in Exchange is missing; the guessed password and Moscow can be seen all the same."""
    one = office_worker("Wilma Ros", "2026-11-14 10:10")
    attacker = somewhere(45, MOSCOW)
    one.guessed([attacker], 8.2, times=23, over=1.5)
    one.signs_in(attacker, 8.1, client="Other clients; IMAP", device=SCRIPT)
    one.sends("Wire transfer confirmation", 2.3, messages=350, over=0.8, failed=0.2, saved=False)
    one.over_the_limit(1.6, external=344)
    refused = PermissionMissing("exchange")
    one.cannot_read(refused, "inbox_rules", "mailbox", "cas_mailbox", "mailbox_permissions", "send_as_permissions")
    one.cannot_read(refused, "folder_permissions", "mobile_devices", "message_configuration")
    return one


@COMPROMISED
def two_places_at_once() -> Account:
    """Entra ID P1 hides the risk; forty minutes after Stockholm the account was in New York, on a strange machine."""
    one = office_worker("Ida Norén", "2026-11-18 16:40", licences=E3)
    attacker = somewhere(46, NEW_YORK)
    one.signs_in(office(one), 5.5, device=MANAGED_LAPTOP)
    one.signs_in(attacker, 4.8, device=STRANGER)
    one.sends("Proposal for you", 1.6, messages=290, over=0.6, failed=0.09, saved=False)
    one.over_the_limit(1.0, external=287)
    return one


@COMPROMISED
def only_the_rules_can_be_read() -> Account:
    """No licence, no trace, no audit: what is left is a rule with two dots that sends everything elsewhere."""
    one = office_worker("Sven Alm", "2026-11-20 13:35", licences=NONE_AT_ALL)
    one.rule("..", redirect_to=("collector77@freemail.example",))
    one.cannot_read(PermissionMissing("graph"), "message_traces", "mail_items", "directory_audits")
    one.blocked(2.0, OutboundSpamPercent="88")
    return one


@COMPROMISED
def only_the_alerts_tell() -> Account:
    """Graph is throttled and most sources are silent; Defender has seen a suspicious rule and odd sending."""
    one = office_worker("Fanny Rask", "2026-11-27 02:20")
    one.alerted("Suspicious inbox manipulation rule", 9.0, severity="high")
    one.alerted("Suspicious email sending patterns detected", 2.4, severity="medium")
    one.alerted("Impossible travel activity", 10.0, severity="medium")
    one.cannot_read(Throttled("graph", 30), "sign_ins", "background_sign_ins", "sign_ins_from", "directory_audits")
    one.cannot_read(
        Unavailable("graph"), "audit_records", "message_traces", "mail_items", "risky_user", "risk_detections"
    )
    one.cannot_read(Unavailable("exchange"), "inbox_rules")
    one.over_the_limit(2.0, external=640)
    return one


@COMPROMISED
def app_known_from_many_attacks() -> Account:
    """PerfectData Software was let in at night and copies the mailbox; the sign-ins came from a hosting company."""
    one = office_worker("Klara Boman", "2026-11-21 08:30", licences=E3)
    attacker = somewhere(47, ASHBURN)
    one.signs_in(attacker, 31, device=STRANGER)
    one.lets_app("PerfectData Software", "EWS.AccessAsUser.All offline_access", 1.25, age_days=2, where=attacker)
    one.works_in_background(attacker, 30, times=18, every=1.6, client=EWS, device=SCRIPT)
    one.sends("Klara Boman sent you a document", 2.1, messages=405, over=0.9, failed=0.11, saved=False)
    one.over_the_limit(1.2, external=401)
    return one


@COMPROMISED
def burst_from_the_own_laptop() -> Account:
    """A bot on the victim's own laptop: sign-ins, device and address are their own; at two at night 1,900 go out."""
    one = office_worker("Björn Thor", "2026-11-24 02:05", licences=E3)
    one.sends("Shared document: Q4", 0.95, messages=1900, over=0.42, failed=0.27, saved=False, where=at_home(one))
    one.held_to_be_spam(0.5, spam=1712, mail=1911)
    return one


@COMPROMISED
def shared_mailbox_with_a_password() -> Account:
    """A shared mailbox that nobody should sign in to has a guessed password and sends by SMTP from abroad."""
    one = shared_mailbox("Info", "2026-11-12 05:20", members=("anna@contoso.com", "bo@contoso.com"))
    attackers = [somewhere(48 + n, HANOI) for n in range(4)]
    one.guessed(attackers, 9.0, times=31, over=6)
    one.signs_in(attackers[1], 8.8, client=SMTP, device=SCRIPT)
    one.signs_in(attackers[1], 3.0, client=SMTP, device=SCRIPT)
    one.sends("Final notice", 2.9, messages=760, over=1.1, failed=0.33, saved=False, where=attackers[1])
    one.over_the_limit(1.9, external=751)
    return one


@COMPROMISED
def admin_who_gave_himself_a_role() -> Account:
    """An IT technician's account was taken; the attacker made it Exchange Administrator before anything else."""
    one = office_worker("Jonas Adell", "2026-11-13 23:50")
    attacker = somewhere(52, AMSTERDAM)
    one.holds_role("User Administrator")
    one.signs_in(attacker, 12, device=STRANGER, risk_level="high", risk_events=("maliciousIPAddress",))
    one.at_risk("high", "maliciousIPAddress", "suspiciousBrowser", ago=12, where=attacker)
    one.holds_role("Exchange Administrator", assigned_ago=11.5, where=attacker)
    one.sends("Password expires today", 3.2, messages=70, to_each=12, over=0.5, inside=0.7, failed=0.05, saved=False)
    one.over_the_limit(2.5, external=260, internal=580)
    return one


@COMPROMISED
def finance_chief_listened_to() -> Account:
    """Not blocked at all: somebody reads the finance chief's mail and hides what the bank writes, waiting."""
    one = office_worker("Helena Stål", "2026-11-18 09:00")
    attacker = somewhere(53, LAGOS)
    one.block = Block(kind=BlockKind.NONE)
    one.signs_in(attacker, 90, device=STRANGER, risk_level="medium", risk_events=("unfamiliarFeatures",))
    one.works_in_background(attacker, 89, times=40, every=2.1)
    one.rule("bank", folder="Conversation History", senders=("bank.example", "factoring.example"), read=True)
    one.ran("New-InboxRule", 88, attacker, Name="bank", MoveToFolder="Conversation History")
    one.record("MailItemsAccessed", 87, attacker)
    return one


@COMPROMISED
def mail_program_that_copies_all() -> Account:
    """eM Client was let in from abroad and works on in the background from three countries."""
    one = office_worker("Vera Lind", "2026-11-17 11:40", licences=E3)
    first = somewhere(54, ACCRA)
    one.signs_in(first, 52, device=STRANGER)
    one.lets_app("eM Client", "EWS.AccessAsUser.All IMAP.AccessAsUser.All SMTP.Send offline_access", 2.1, where=first)
    for number, place in enumerate((ACCRA, LAGOS, LONDON)):
        one.works_in_background(somewhere(54 + number, place), 50 - number, times=7, every=5, client=EWS)
    one.sends("Re: Order confirmation", 3.1, messages=330, over=2.0, failed=0.08, saved=True)
    one.over_the_limit(0.9, external=326)
    return one


@COMPROMISED
def phone_of_a_stranger() -> Account:
    """At three at night a phone in Jakarta began to fetch the mail by ActiveSync, which asks for no second factor."""
    one = office_worker("Alva Kron", "2026-11-19 06:50", licences=E3)
    attacker = somewhere(58, JAKARTA)
    one.guessed([attacker, somewhere(59, JAKARTA)], 5.2, times=12, over=20)
    one.signs_in(attacker, 4.8, client=ACTIVESYNC, device={"operating_system": "Android"})
    one.synchronises("SM-A125F", 4.8, "Android 11")
    one.sends("Hej, kan du hjälpa mig?", 2.2, messages=250, to_each=2, over=0.9, failed=0.1, saved=True)
    one.over_the_limit(1.3, external=489)
    return one


@COMPROMISED
def computer_of_a_stranger() -> Account:
    """After a phishing page the attacker joined a computer of theirs to the directory, to stay signed in."""
    one = office_worker("Max Öberg", "2026-11-26 18:20")
    attacker = somewhere(60, ASHBURN)
    one.signs_in(attacker, 33, device=STRANGER, risk_level="low", risk_events=("unfamiliarFeatures",))
    one.registers_device("DESKTOP-7K2QJ1", 32 / 24)
    one.audited("Register device", 32, where=attacker)
    one.works_in_background(attacker, 31, times=15, every=2.0, device={"device_name": "DESKTOP-7K2QJ1"})
    one.sends("Missed voice message (0:47)", 2.0, messages=610, over=0.8, failed=0.1, saved=False)
    one.over_the_limit(1.3, external=600)
    return one


@COMPROMISED
def tug_of_war_over_the_password() -> Account:
    """Owner and attacker took the account from each other six times in two days by self-service."""
    one = office_worker("Isak Myr", "2026-11-22 19:30", licences=E3)
    attacker = somewhere(61, LAGOS)
    for number, hours in enumerate((46, 40, 33, 22, 14, 6)):
        where = attacker if number % 2 else at_home(one)
        one.changes_password(hours, "Reset password (self-service)", where=where)
        one.signs_in(where, hours - 0.2, device=STRANGER if number % 2 else MANAGED_LAPTOP)
    one.sends("Help me please", 4.5, messages=240, over=1.5, failed=0.06, known=300, saved=False)
    one.over_the_limit(3.1, external=236)
    return one


@COMPROMISED
def tired_of_being_asked() -> Account:
    """Forty requests for approval in one night, refused until somebody pressed yes at a quarter past four."""
    one = office_worker("Linn Hage", "2026-11-25 07:15")
    attacker = somewhere(62, HANOI)
    one.guessed([attacker], 4.1, times=40, over=5.5, code=FACTOR_REFUSED)
    one.signs_in(attacker, 4.0, device=STRANGER, risk_level="medium")
    one.at_risk("medium", "mcasSuspiciousInboxManipulationRules", "unfamiliarFeatures", ago=4.0, where=attacker)
    one.adds_method("microsoftAuthenticator", 3.7, "SM-S911B", attacker)
    one.sends("Updated payroll form", 1.7, messages=85, to_each=8, over=0.6, inside=0.9, saved=False)
    one.over_the_limit(1.0, external=70, internal=610)
    return one


@COMPROMISED
def student_with_job_offers() -> Account:
    """A student's account offers part-time jobs to three thousand fellow students, written in Lagos."""
    one = office_worker("Amir Haddad", "2026-11-14 13:00", mails_a_day=2, licences=E3)
    attacker = somewhere(63, LAGOS)
    one.signs_in(attacker, 28, device=OWN_PHONE)
    one.signs_in(attacker, 5, device=OWN_PHONE)
    one.sends("Part-time job: $500 weekly", 2.8, messages=60, to_each=50, over=1.2, inside=0.98, saved=True)
    one.over_the_limit(1.4, external=61, internal=2939)
    return one


@COMPROMISED
def signature_with_another_account_number() -> Account:
    """Below every message now stand other bank details and a link; signed in through an anonymiser."""
    one = office_worker("Doris Palm", "2026-11-12 14:30")
    attacker = somewhere(64, AMSTERDAM)
    one.signs_in(attacker, 70, device=STRANGER, risk_level="medium", risk_events=("anonymizedIPAddress",))
    one.at_risk("medium", "anonymizedIPAddress", ago=70, where=attacker)
    one.messages = signed(
        "Doris Palm\nNew bank account, please pay to IBAN GB29 NWBK 6016 1331 9268 19\nhttps://contoso-pay.example/verify"
    )
    one.sends(("Invoice 5512", "Invoice 5513", "Payment reminder"), 6, messages=230, over=5, failed=0.03, saved=True)
    one.over_the_limit(0.8, external=226)
    return one


@COMPROMISED
def inbox_open_to_everybody() -> Account:
    """From abroad, everybody was made editor of the inbox, so that any account of the tenant reads it from now on."""
    one = office_worker("Ulf Rehn", "2026-11-20 20:10", licences=E3)
    attacker = somewhere(65, JOHANNESBURG)
    one.signs_in(attacker, 50, device=STRANGER)
    one.shares("inbox", "Default", "Editor")
    item = {"ParentFolder": {"Path": "\\Inbox", "MemberUpn": "Default", "MemberRights": "ReadAny, EditAny"}}
    one.record("AddFolderPermissions", 49.5, attacker, Item=item)
    one.sends("Document for review", 2.9, messages=370, over=1.1, failed=0.1, saved=False)
    one.over_the_limit(1.8, external=366)
    return one


@COMPROMISED
def given_an_app_nobody_knows() -> Account:
    """The account was assigned an unverified app an hour after a sign-in that Entra holds to be risky."""
    one = office_worker("Signe Torn", "2026-11-16 15:25")
    attacker = somewhere(66, SAO_PAULO)
    one.signs_in(attacker, 18, device=STRANGER, risk_level="high", risk_events=("unfamiliarFeatures",))
    one.at_risk("high", "unfamiliarFeatures", ago=18, where=attacker)
    one.is_assigned("Office Doc Viewer", 0.7, age_days=1)
    one.sends("You have a new document", 2.6, messages=440, over=1.0, failed=0.13, saved=False)
    one.over_the_limit(1.6, external=436)
    return one


@COMPROMISED
def password_for_sale() -> Account:
    """Entra ID Protection knows that the password is for sale; a script signed in with it and no second factor."""
    one = office_worker("Rune Falk", "2026-11-11 03:40")
    attacker = somewhere(67, MOSCOW)
    one.at_risk("high", "leakedCredentials", ago=80, where=None)
    one.signs_in(attacker, 6.0, client="Other clients", device=SCRIPT)
    one.signs_in(attacker, 3.0, client="Other clients", device=SCRIPT)
    one.sends("Bitcoin: your device was recorded", 2.4, messages=980, over=0.7, failed=0.4, saved=False, where=attacker)
    one.held_to_be_spam(1.5, spam=961, mail=984)
    return one


@COMPROMISED
def script_over_web_services() -> Account:
    """A script speaks Exchange Web Services from a cloud in Ashburn: it reads for a day, sends, and clears up."""
    one = office_worker("Tove Hell", "2026-11-23 05:55", licences=E3, signature=False)
    attacker = somewhere(68, ASHBURN)
    for hours in (29, 20, 11, 4):
        one.signs_in(attacker, hours, client=EWS, device=SCRIPT)
    one.sends("RE: meeting", 3.0, messages=500, over=1.2, failed=0.12, known=520, saved=False, where=attacker)
    one.deletes("SoftDelete", 2.0, attacker, times=50, over=0.6, folder="sent", each=10)
    one.deletes("HardDelete", 1.8, attacker, times=20, over=0.2, folder="deleted", each=25)
    one.over_the_limit(1.7, external=492)
    return one


@COMPROMISED
def everything_throttled_but_exchange() -> Account:
    """Graph wants us to wait and Exchange answers: mail goes to an address outside, and a rule hides the replies."""
    one = office_worker("Elin Brandt", "2026-11-10 12:50", home=BERLIN, language="de")
    one.forwards(to="elin.brandt@postfach.example", keeps_copy=False)
    one.rule(",", folder="Notizen", words=("passwort", "gehackt", "spam"))
    one.held_to_be_spam(1.2, spam=700, mail=760)
    one.cannot_read(
        Throttled("graph", 20),
        *("sign_ins", "background_sign_ins", "sign_ins_from", "directory_audits", "audit_records", "message_traces"),
        *("risky_user", "risk_detections", "alerts", "mail_items", "auth_methods"),
    )
    return one


@COMPROMISED
def answers_in_old_conversations() -> Account:
    """Replies with an attachment to people the victim knows: different subjects, no flood, no known place."""
    one = office_worker("Britt Aune", "2026-11-27 10:20", licences=E3)
    attacker = somewhere(69, None)
    one.signs_in(attacker, 22, device=STRANGER)
    one.works_in_background(attacker, 21, times=9, every=2.2)
    one.sends(
        [f"RE: delivery {n}" for n in range(60)], 5.0, messages=185, over=4.1, known=160, failed=0.03, saved=False
    )
    one.alerted("Suspicious email sending patterns detected", 1.5, severity="medium")
    one.over_the_limit(0.9, external=181)
    return one


@COMPROMISED
def newcomer_phished_in_the_first_week() -> Account:
    """Five days in the company, no habits to compare with: a page in the welcome mail was not the company's."""
    one = newcomer("Filip Sand", "2026-11-20 21:40", 5)
    attacker = somewhere(70, ISTANBUL)
    one.signs_in(attacker, 10, device=STRANGER, risk_level="medium", risk_events=("unfamiliarFeatures",))
    one.rule("x", delete=True, words=("security", "helpdesk", "phish"))
    one.ran("New-InboxRule", 9.6, attacker, Name="x", DeleteMessage="True")
    one.sends("Shared with you: bonus list", 2.3, messages=65, to_each=10, over=0.5, inside=0.9, saved=False)
    one.over_the_limit(1.6, external=63, internal=583)
    return one


@COMPROMISED
def pop_from_next_door() -> Account:
    """A password guessed slowly from neighbouring countries; POP fetches the mail, SMTP sends, a few a minute."""
    one = office_worker("Greta Moen", "2026-11-15 09:05", home=GOTHENBURG, licences=E3)
    attackers = [somewhere(71, FRANKFURT), somewhere(72, MADRID), somewhere(73, FRANKFURT)]
    one.guessed(attackers, 60, times=27, over=200)
    one.guessed(attackers[:1], 58, times=2, over=1, code=LOCKED)
    one.signs_in(attackers[0], 57, client=POP, device=SCRIPT)
    one.signs_in(attackers[0], 30, client=SMTP, device=SCRIPT)
    one.sends("Greetings from an old friend", 29, messages=700, over=28, failed=0.21, saved=False, where=attackers[0])
    one.held_to_be_spam(0.9, spam=520, mail=707)
    return one


@COMPROMISED
def phone_company_address() -> Account:
    """The attacker's address is of the same mobile operator; Entra saw an odd token, and a rule was made."""
    one = office_worker("Nils Berge", "2026-11-18 05:15", language="sv")
    attacker = on_the_phone(one)
    one.works_in_background(attacker, 16, times=9, every=1.5, client="Browser", device=STRANGER)
    one.at_risk("high", "anomalousToken", ago=15, where=attacker)
    one.rule("_", folder="Anteckningar", words=("hej", "faktura"), read=True)
    one.ran("New-InboxRule", 14, attacker, Name="_", MoveToFolder="Anteckningar")
    one.sends("Delat dokument", 2.7, messages=300, over=0.9, failed=0.08, saved=False)
    one.over_the_limit(1.7, external=296)
    return one
