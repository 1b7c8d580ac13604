"""Accounts that were blocked, or looked at, without anybody else having been in. Each docstring is the truth."""

from __future__ import annotations

from services.cases import Block, BlockKind
from services.clients.graph_models import OAuthGrant
from services.errors import LicenceMissing, PermissionMissing, Rejected, Throttled, Unavailable
from tests.labelled.account import (
    ACTIVESYNC,
    DESKTOP,
    FACTOR_WANTED,
    MANAGED_LAPTOP,
    OWN_PHONE,
    SMTP,
    WRONG_PASSWORD,
    Account,
)
from tests.labelled.everyday import (
    at_home,
    away,
    machine,
    newcomer,
    office,
    office_worker,
    on_the_phone,
    shared_mailbox,
    signed,
    working_days,
)
from tests.labelled.places import (
    AMSTERDAM,
    BERLIN,
    COPENHAGEN,
    DUBAI,
    FRANKFURT,
    GOTHENBURG,
    HANOI,
    JAKARTA,
    LONDON,
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
    TOKYO,
    somewhere,
)
from tests.labelled.story import Label, Stories
from tests.labelled.world import BUSINESS_BASIC, E3, EVERY_READ, NONE_AT_ALL

HONEST = Stories(Label.HONEST)


@HONEST
def weekly_newsletter() -> Account:
    """Marketing sends the Tuesday letter to more customers every week; this week it was too many."""
    one = office_worker("Lena Orre", "2026-11-24 10:20")
    one.sends("Contoso news, week 47", 24 * 7 + 1.9, messages=24, to_each=50, over=0.5, failed=0.03)
    one.sends("Contoso news, week 48", 1.9, messages=46, to_each=50, over=0.7, failed=0.04)
    one.held_to_be_spam(0.9, spam=1190, mail=2310)
    return one


@HONEST
def payslips_on_the_twenty_fifth() -> Account:
    """Payroll sends everybody a payslip once a month; ten days back there is nothing like it."""
    one = office_worker("Mona Hed", "2026-11-25 13:40", language="sv")
    one.sends("Lönebesked november", 2.0, messages=1050, over=1.2, inside=0.97)
    one.over_the_limit(0.6, external=34, internal=1016)
    return one


@HONEST
def to_london_and_back() -> Account:
    """A salesman flew to London and invited customers from the hotel, on the laptop of the company."""
    one = office_worker("Kalle Sten", "2026-11-19 18:10")
    hotel = somewhere(101, LONDON)
    away(one, 50)
    one.signs_in(office(one), 50, device=MANAGED_LAPTOP)
    one.signs_in(hotel, 28, code=FACTOR_WANTED, device=MANAGED_LAPTOP)
    one.signs_in(hotel, 27.9, device=MANAGED_LAPTOP)
    one.signs_in(hotel, 6, device=MANAGED_LAPTOP, client=DESKTOP)
    one.works_in_background(hotel, 27, times=9, every=2.4, device=MANAGED_LAPTOP)
    one.works_in_background(somewhere(102, LONDON), 20, times=5, every=3, device=OWN_PHONE)
    one.sends("Invitation: Contoso at the fair", 3.0, messages=14, to_each=50, over=0.4, failed=0.02)
    one.over_the_limit(1.9, external=700)
    return one


@HONEST
def a_week_in_tokyo() -> Account:
    """An engineer in Japan: hotel, trains, a phone that roams through Hong Kong's networks and is placed nowhere."""
    one = office_worker("Stina Gren", "2026-11-13 11:30")
    hotel = somewhere(103, TOKYO)
    away(one, 150)
    one.signs_in(office(one), 150, device=MANAGED_LAPTOP)
    for day in range(5):
        one.signs_in(hotel, 24 * day + 4, device=MANAGED_LAPTOP)
        one.signs_in(somewhere(104 + day, None), 24 * day + 8, device=OWN_PHONE, client=DESKTOP)
        one.works_in_background(hotel, 24 * day + 6, times=3, device=MANAGED_LAPTOP)
    one.sends("Measurements and photos", 5.0, messages=12, to_each=45, over=2.5, inside=0.4, failed=0.01)
    one.over_the_limit(1.2, external=330, internal=210)
    return one


@HONEST
def company_vpn_every_day() -> Account:
    """Part of every day the company's VPN comes out in Amsterdam, so that two countries alternate within minutes."""
    one = office_worker("Pelle Ask", "2026-11-17 15:15", licences=E3)
    tunnel = somewhere(110, AMSTERDAM)
    one.offices[tunnel.ip] = 60
    for morning in working_days(one, 29):
        ago = (one.now - morning).total_seconds() / 3600
        if ago > 3:
            one.signs_in(tunnel, ago - 2.5, device=MANAGED_LAPTOP)
            one.works_in_background(tunnel, ago - 2.7, times=2, every=0.5, device=MANAGED_LAPTOP)
    one.sends("Planned maintenance on Saturday", 2.2, messages=30, to_each=40, over=0.3, inside=0.3, failed=0.02)
    one.over_the_limit(1.7, external=840, internal=360)
    return one


@HONEST
def a_vpn_for_television() -> Account:
    """Since last week a VPN for watching television comes out in New York, now and then, on the company's laptop."""
    one = office_worker("Ebba Lilja", "2026-11-16 20:30", licences=E3)
    tunnel = somewhere(111, NEW_YORK)
    for hours in (121, 73, 25, 1.2):
        one.signs_in(tunnel, hours, device=MANAGED_LAPTOP)
    one.sends("Season tickets for members", 4.5, messages=13, to_each=50, over=0.6, failed=0.05)
    one.over_the_limit(3.6, external=650)
    return one


@HONEST
def assistant_with_many_rules() -> Account:
    """An executive's assistant sorts the executive's mail: rules, delegates, forwarding to a colleague inside."""
    one = office_worker("Gun Edlund", "2026-11-20 14:05", language="sv", mails_a_day=28)
    one.rule("Styrelsen", folder="Styrelsen 2026", senders=("styrelse@contoso.com",))
    one.rule("Resor", folder="Resor", words=("bokning", "hotell", "boarding"), read=True)
    one.rule("Till Pia", forward_to=("pia.ek@contoso.com",), words=("kalender", "möte"))
    one.lets_in("pia.ek@contoso.com")
    one.lets_send_for("pia.ek@contoso.com")
    one.shares("calendar", "pia.ek@contoso.com", "Editor")
    one.sends("Inbjudan: årsmöte och middag", 3.0, messages=11, to_each=50, over=0.5, inside=0.5, failed=0.01)
    one.over_the_limit(1.9, external=270, internal=280)
    return one


@HONEST
def executive_with_two_assistants() -> Account:
    """The chief executive's mailbox is open to two assistants, and forwarded to one of them inside the house."""
    one = office_worker("Axel Wallin", "2026-11-26 09:35")
    for assistant in ("gun.edlund@contoso.com", "pia.ek@contoso.com"):
        one.lets_in(assistant)
        one.lets_send_as(assistant)
        one.shares("calendar", assistant, "Editor")
    one.shares("inbox", "gun.edlund@contoso.com", "Editor")
    one.lets_send_for("gun.edlund@contoso.com", "pia.ek@contoso.com")
    one.forwards(inside="gun.edlund@contoso.com")
    one.sends("A word on the merger", 1.8, messages=21, to_each=50, over=0.2, inside=0.35, failed=0.03)
    one.over_the_limit(1.3, external=680, internal=370)
    return one


@HONEST
def helpdesk_resets_passwords() -> Account:
    """The help desk resets passwords of others all day; their own was changed twice this month, as the rules want."""
    one = office_worker("Robin Ask", "2026-11-18 12:25")
    for hours in (20, 26, 49, 75, 100):
        one.audited("Reset user password", hours, target=f"oid-of-colleague{hours}", where=office(one))
    one.holds_role("Helpdesk Administrator")
    one.changes_password(24 * 21, where=office(one))
    one.changes_password(24 * 9, where=office(one))
    one.sends("Windows 11: what you have to do", 2.5, messages=45, to_each=30, over=0.5, inside=0.99)
    one.over_the_limit(1.8, external=14, internal=1336)
    return one


@HONEST
def tidy_bookkeeper() -> Account:
    """Old rules put invoices and payment reminders into the archive and mark them as read; dunning letters went out."""
    one = office_worker("Barbro Nyström", "2026-11-30 11:00", language="sv", licences=E3)
    one.rule("Fakturor", folder="Arkiv", words=("faktura", "betalning"), read=True)
    one.rule("Banken", folder="Ekonomi", senders=("noreply@bank.example",))
    subjects = [f"Påminnelse: faktura {30411 + n}" for n in range(420)]
    one.sends(subjects, 2.6, messages=420, over=1.3, failed=0.04)
    one.over_the_limit(0.9, external=418)
    return one


@HONEST
def fourth_day_at_work() -> Account:
    """A new colleague introduces herself to all customers on the fourth day; everything about her is new."""
    one = newcomer("Alice Roth", "2026-11-19 13:20", 4)
    one.sends("Hello from your new contact at Contoso", 2.0, messages=12, to_each=50, over=0.4, failed=0.06)
    one.over_the_limit(1.2, external=598)
    return one


@HONEST
def signature_that_roams() -> Account:
    """Outlook keeps the signature in the cloud, so that nobody can check it; offers went to a list of prospects."""
    one = office_worker("Peter Quist", "2026-11-12 15:05", licences=E3, signature=False)
    one.sends("Offer: ten per cent on spare parts", 24 * 5, messages=9, to_each=40, over=0.4, failed=0.07)
    one.sends("Last chance: ten per cent on spare parts", 2.1, messages=18, to_each=40, over=0.6, failed=0.08)
    one.held_to_be_spam(1.1, spam=420, mail=731)
    return one


@HONEST
def password_from_the_first_day() -> Account:
    """A treasurer of an association whose password is nine years old, and who writes to all members."""
    one = office_worker("Yngve Ohlin", "2026-11-15 18:45", licences=BUSINESS_BASIC, mails_a_day=3)
    one.change_user(password_changed_at=one.ago(24 * 365 * 9))
    one.sends("Kallelse till höstmöte", 1.6, messages=26, to_each=25, over=0.5, failed=0.09)
    one.over_the_limit(0.8, external=645)
    return one


@HONEST
def app_of_a_known_publisher() -> Account:
    """A sales tool with a verified publisher was let in last week; it sends the merge that was too long."""
    one = office_worker("Samira Aziz", "2026-11-23 14:15")
    one.lets_app(
        "HubSpot Sales", "Mail.Read Mail.Send offline_access User.Read", 6, publisher="HubSpot, Inc.", where=office(one)
    )
    names = [f"Hi {name}, a quick question" for name in ("Eva", "Bo", "Kim", "Ola", "Siv", "Per", "Liv", "Jan")]
    one.sends(names, 4.0, messages=320, over=3.2, failed=0.05)
    one.over_the_limit(0.7, external=317)
    return one


@HONEST
def new_phone_two_weeks_ago() -> Account:
    """A new phone with a new authenticator, twelve days before the block; the tickets of a theatre were the cause."""
    one = office_worker("Ines Hall", "2026-11-27 16:30")
    one.adds_method("microsoftAuthenticator", 24 * 12, "iPhone 17", at_home(one))
    one.synchronises("iPhone 17", 24 * 12 - 1)
    one.registers_device("iPhone", 12, "IPhone")
    one.sends("Dina biljetter till premiären", 2.4, messages=540, over=1.0, failed=0.02)
    one.over_the_limit(1.3, external=537)
    return one


@HONEST
def new_phone_the_day_before() -> Account:
    """The old phone fell into the lake; since yesterday there is a new one, and a newsletter was planned for today."""
    one = office_worker("Tom Ahl", "2026-11-18 11:50")
    one.adds_method("microsoftAuthenticator", 22, "Pixel 9", at_home(one))
    one.synchronises("Pixel 9", 21.5, "Android 15")
    one.sends("Nyhetsbrev november", 24 * 7 + 1, messages=20, to_each=50, over=0.4, failed=0.03)
    one.sends("Nyhetsbrev november, extra", 1.9, messages=22, to_each=50, over=0.4, failed=0.03)
    one.over_the_limit(1.3, external=1088)
    return one


@HONEST
def administrator_at_work() -> Account:
    """An IT administrator with roles, consents for everybody and changes all over the log, who told all of a move."""
    one = office_worker("Mats Järn", "2026-11-25 09:50")
    one.holds_role("Global Reader")
    one.holds_role("Exchange Administrator")
    for hours in (5, 30, 52, 90):
        one.audited("Update user", hours, target=f"oid-of-colleague{hours}", where=office(one))
        one.ran("Set-Mailbox", hours, office(one), Identity=f"colleague{hours}", AuditEnabled="True")
    one.lets_app(
        "Graph Explorer",
        "User.Read Directory.Read.All Mail.Read",
        90,
        publisher="Microsoft Corporation",
        owner="f8cdef31-a31e-4b4a-93e4-5f571e91255a",
    )
    one.sends("We move to new mail servers", 1.7, messages=60, to_each=30, over=0.5, inside=0.8, failed=0.01)
    one.over_the_limit(1.1, external=355, internal=1420)
    return one


@HONEST
def scanner_in_the_hall() -> Account:
    """A multifunction printer mails scans by SMTP all day, keeps nothing in Sent Items and has no second factor."""
    one = machine("Scanner Hall 2", "2026-11-26 14:10", SMTP, every=2.0, licences=E3)
    for day in range(10):
        subjects = ("Scan from MFP-2204", "Scan from MFP-2204 (2)")
        one.sends(subjects, 24 * day + 5, messages=70, over=8, inside=0.9, saved=False, where=office(one), known=60)
    one.sends("Scan from MFP-2204", 3.0, messages=520, over=1.9, inside=0.2, saved=False, where=office(one))
    one.over_the_limit(1.2, external=412, internal=140)
    return one


@HONEST
def quarterly_statements() -> Account:
    """Four times a year customers get their statement, each under its number; the days before are quiet."""
    one = office_worker("Rakel Sund", "2026-11-30 08:55", home=OSLO)
    subjects = [f"Statement Q4 no. {n}" for n in range(80_000, 81_100)]
    one.sends(subjects, 1.7, messages=1100, over=1.0, failed=0.06)
    one.held_to_be_spam(0.9, spam=310, mail=1102)
    return one


@HONEST
def back_from_parental_leave() -> Account:
    """No sign-in for five weeks, then a new password from the help desk, a new laptop, a greeting to all."""
    one = office_worker("Malin Ros", "2026-11-23 15:45", days=0, mails_a_day=1)
    one.trace_log.clear()
    one.folders["sentitems"].clear()
    one.changes_password(7.5, "Reset user password", by="robin.ask@contoso.com", where=office(one))
    one.signs_in(office(one), 7.3, code=WRONG_PASSWORD, device=MANAGED_LAPTOP)
    one.signs_in(office(one), 7.2, device=MANAGED_LAPTOP)
    one.registers_device("CONTOSO-LT-402", 0.3, trust_type="AzureAd", is_managed=True, is_compliant=True)
    one.sends("Jag är tillbaka!", 2.0, messages=14, to_each=50, over=0.4, inside=0.4, failed=0.12)
    one.over_the_limit(1.2, external=420, internal=280)
    return one


@HONEST
def small_shop_without_licences() -> Account:
    """The cheapest licence, so that hardly anything can be read; the shop writes to its customers once a week."""
    one = office_worker("Sussie Grip", "2026-11-27 07:40", licences=NONE_AT_ALL, mails_a_day=4)
    one.sends("Veckans blommor", 24 * 7 + 1.2, messages=16, to_each=40, over=0.4, failed=0.05)
    one.sends("Veckans blommor", 1.2, messages=18, to_each=40, over=0.4, failed=0.05)
    one.over_the_limit(0.7, external=716)
    return one


@HONEST
def half_of_it_silent() -> Account:
    """Audit, trace and protection do not answer at the moment; what can be read is in order."""
    one = office_worker("Jörgen Fors", "2026-11-12 22:15")
    one.cannot_read(Unavailable("graph"), "audit_records", "message_traces", "mail_items", "directory_audits")
    one.cannot_read(Throttled("graph"), "risky_user", "risk_detections", "alerts")
    one.over_the_limit(1.4, external=560)
    return one


@HONEST
def nothing_can_be_read() -> Account:
    """All consents of the bot have run out, so that it knows nothing but the block."""
    one = office_worker("Sara Vinge", "2026-11-19 05:30")
    one.cannot_read(PermissionMissing("graph"), *EVERY_READ)
    one.over_the_limit(1.0, external=510)
    return one


@HONEST
def teacher_writes_to_parents() -> Account:
    """A teacher mistyped the password a dozen times on the phone, got in at last, and wrote to all parents."""
    one = office_worker("Agneta Fors", "2026-11-24 17:20", licences=E3, language="sv")
    one.guessed([at_home(one)], 3.1, times=12, over=0.3)
    one.signs_in(at_home(one), 3.0, device=OWN_PHONE)
    one.sends("Utflykt på fredag", 1.9, messages=22, to_each=28, over=0.5, inside=0.1, failed=0.05)
    one.over_the_limit(1.2, external=566, internal=50)
    return one


@HONEST
def reply_to_all_of_them() -> Account:
    """Somebody answered to a list of everybody, and so did everybody; the block came from mail inside."""
    one = office_worker("Bengt Ny", "2026-11-17 10:25", licences=E3)
    one.sends("Sv: Sv: Ta bort mig från listan", 1.4, messages=9, to_each=400, over=0.6, inside=1.0)
    one.over_the_limit(0.7, external=0, internal=3600)
    return one


@HONEST
def recruiter_with_a_list() -> Account:
    """A recruiter writes to some hundred candidates every week, each by name, about one and the same opening."""
    one = office_worker("Cecilia Hult", "2026-11-25 16:10", mails_a_day=20)
    for day in (8, 6, 1):
        one.sends("Opportunity at Contoso", 24 * day + 3, messages=160, over=3, failed=0.04)
    one.sends("Opportunity at Contoso", 3.3, messages=430, over=2.6, failed=0.05)
    one.over_the_limit(0.6, external=428)
    return one


@HONEST
def sales_tool_without_copies() -> Account:
    """A sales tool sends the sequences of the week in the name of the seller and keeps no copy in Sent Items."""
    one = office_worker("Viktor Dahl", "2026-11-26 12:40", licences=E3)
    one.lets_app("Outreach", "Mail.ReadWrite Mail.Send offline_access", 210, publisher="Outreach Corporation")
    for day in (7, 6, 3, 2, 1):
        one.sends(("Following up", "Worth a chat?"), 24 * day + 4, messages=90, over=5, failed=0.06, saved=False)
    one.sends(("Following up", "Worth a chat?"), 4.2, messages=310, over=3.4, failed=0.07, saved=False)
    one.over_the_limit(0.7, external=306)
    return one


@HONEST
def invitations_to_a_congress() -> Account:
    """Three thousand invitations to a congress, sent from the laptop in the office by somebody new to that task."""
    one = office_worker("Hanna Kjell", "2026-11-11 13:15")
    one.sends("Inbjudan: Nordiska pumpdagarna", 2.8, messages=62, to_each=50, over=1.4, failed=0.11)
    one.held_to_be_spam(1.2, spam=1650, mail=3105)
    return one


@HONEST
def orders_of_the_shop() -> Account:
    """A shared mailbox in whose name the shop's system confirms orders, day and night; a sale doubled them."""
    one = shared_mailbox("Order", "2026-11-27 20:55", members=("ida@contoso.com", "leo@contoso.com"), licences=E3)
    for step in range(90):
        one.signs_in(office(one), 0.4 + 8 * step, client=SMTP, device={"operating_system": ""})
    for day in range(10):
        numbers = [f"Order {2000 + 40 * day + n} confirmed" for n in range(40)]
        one.sends(numbers, 24 * day + 23, messages=120, over=22, failed=0.02, saved=False, where=office(one))
    one.sends(
        [f"Order {9000 + n} confirmed" for n in range(700)], 4.0, messages=700, over=3, saved=False, where=office(one)
    )
    one.over_the_limit(0.9, external=698)
    return one


@HONEST
def journalist_behind_tor() -> Account:
    """A journalist protects sources and often comes through anonymisers; security has looked and dismissed the risk."""
    one = office_worker("Disa Ferm", "2026-11-20 10:45")
    for number, place in enumerate((FRANKFURT, PARIS, AMSTERDAM, COPENHAGEN)):
        where = somewhere(120 + number, place)
        one.signs_in(
            where,
            30 + 130 * number,
            device=MANAGED_LAPTOP,
            risk_level="medium",
            risk_state="dismissed",
            risk_events=("anonymizedIPAddress",),
        )
    one.at_risk("none", "anonymizedIPAddress", ago=30, state="dismissed", where=somewhere(120, FRANKFURT))
    one.sends("Request for comment", 5.0, messages=12, to_each=40, over=3, failed=0.05)
    one.over_the_limit(1.1, external=480)
    return one


@HONEST
def risk_settled_after_a_trip() -> Account:
    """Entra saw risk during a trip to Dubai two weeks ago; an administrator confirmed it safe; now a newsletter."""
    one = office_worker("Roland Ek", "2026-11-24 12:05")
    hotel = somewhere(130, DUBAI)
    away(one, 24 * 15.5, 24 * 12.5)
    one.signs_in(hotel, 24 * 14, device=MANAGED_LAPTOP, risk_level="medium", risk_state="confirmedSafe")
    one.at_risk("none", "unlikelyTravel", ago=24 * 14, state="confirmedSafe", where=hotel)
    one.sends("News from the branch", 24 * 8, messages=15, to_each=50, over=0.5, failed=0.03)
    one.sends("News from the branch", 1.6, messages=17, to_each=50, over=0.5, failed=0.03)
    one.over_the_limit(0.9, external=842)
    return one


@HONEST
def spring_cleaning() -> Account:
    """One evening the owner deleted twelve hundred old messages from the sofa; the block is about a club's letter."""
    one = office_worker("Kerstin Lod", "2026-11-23 21:20")
    one.signs_in(at_home(one), 3.0, device=MANAGED_LAPTOP)
    one.deletes("MoveToDeletedItems", 2.9, at_home(one), times=40, over=1.0, each=20)
    one.deletes("SoftDelete", 1.8, at_home(one), times=20, over=0.3, folder="deleted", each=20)
    one.sends("Choir: concert on Saturday", 4.0, messages=11, to_each=50, over=0.3, failed=0.04)
    one.over_the_limit(3.5, external=545)
    return one


@HONEST
def married_and_renamed() -> Account:
    """A new name after a wedding, changed by the personnel system; the new address was told to every contact."""
    one = office_worker("Linda Svensson", "2026-11-16 13:30")
    one.synced(20, DisplayName="Linda Åberg", Surname="Åberg", MailNickname="linda.aberg")
    one.sends("Jag har en ny adress", 2.3, messages=16, to_each=40, over=0.5, inside=0.2, failed=0.09)
    one.over_the_limit(1.6, external=512, internal=128)
    return one


@HONEST
def password_ran_out() -> Account:
    """The password ran out this morning and was changed as the rules want; a price list went out at noon."""
    one = office_worker("Göran Flod", "2026-11-25 13:05", licences=E3)
    one.signs_in(office(one), 5.6, code=50055, device=MANAGED_LAPTOP)
    one.changes_password(5.5, "Change user password", where=office(one))
    one.signs_in(office(one), 5.4, device=MANAGED_LAPTOP)
    one.signs_in(on_the_phone(one), 5.0, code=WRONG_PASSWORD, device=OWN_PHONE, client=ACTIVESYNC)
    one.sends("Price list 2027", 1.5, messages=15, to_each=50, over=0.3, failed=0.05)
    one.over_the_limit(0.9, external=742)
    return one


@HONEST
def professor_with_two_employers() -> Account:
    """For years the timetable mail of a part-time professor has gone on to the hospital where she works as well."""
    one = office_worker("Ulla Brink", "2026-11-19 09:15", licences=E3)
    one.rule("Klinik", forward_to=("ulla.brink@hospital.example",), senders=("timetable@contoso.com",))
    one.sends("Reading list for the course", 1.9, messages=11, to_each=48, over=0.3, inside=0.6, failed=0.03)
    one.over_the_limit(1.2, external=211, internal=317)
    return one


@HONEST
def gift_cards_for_everybody() -> Account:
    """The personnel department gives all colleagues a gift card before Christmas and says so to each of them."""
    one = office_worker("Annika Ståhl", "2026-11-30 15:00", language="sv")
    one.sends("Ditt presentkort till jul", 2.1, messages=620, over=0.9, inside=0.96)
    one.over_the_limit(1.2, external=24, internal=596)
    return one


@HONEST
def payment_reminders() -> Account:
    """Eight hundred customers are reminded of their invoices, as every month, from the accounting department."""
    one = office_worker("Jens Huber", "2026-11-16 11:35", home=MUNICH, language="de", licences=E3)
    subjects = [f"Zahlungserinnerung Rechnung {77_000 + n}" for n in range(800)]
    one.sends(subjects, 2.9, messages=800, over=1.6, failed=0.05)
    one.over_the_limit(1.2, external=795)
    return one


@HONEST
def moved_to_berlin() -> Account:
    """Ten days ago an architect moved to the office in Berlin: country, telephone and habits are new ones."""
    one = office_worker("Erik Tall", "2026-11-20 16:50")
    desk, flat = somewhere(140, BERLIN), somewhere(141, BERLIN)
    away(one, 24 * 10)
    one.offices[desk.ip] = 18
    for day in range(1, 10):
        one.signs_in(desk, 24 * day + 8, device=MANAGED_LAPTOP)
        one.works_in_background(flat, 24 * day, times=2, device=OWN_PHONE)
    one.signs_in(desk, 8, device=MANAGED_LAPTOP)
    one.changes_profile(24 * 9, by="anna.hr@contoso.com", TelephoneNumber="+49 30 1234567", City="Berlin")
    one.sends("My new office", 2.2, messages=13, to_each=45, over=0.3, inside=0.3, failed=0.05)
    one.over_the_limit(1.5, external=410, internal=175)
    return one


@HONEST
def only_a_question() -> Account:
    """Nobody is blocked: a careful administrator wants to know whether an ordinary account is in order."""
    one = office_worker("Nina Frid", "2026-11-18 08:05")
    one.block = Block(kind=BlockKind.NONE)
    return one


@HONEST
def sprayed_without_success() -> Account:
    """The whole world tried the account's password for a week and nobody got in; the block is for a party."""
    one = office_worker("Love Hansson", "2026-11-13 15:40")
    world = [somewhere(150 + n, place) for n, place in enumerate((HANOI, JAKARTA, MUMBAI, SAO_PAULO, MOSCOW) * 3)]
    one.guessed(world, 2.0, times=140, over=160)
    one.also_tried(world[0], ["bo", "cilla", "david"], 60)
    one.sends("Välkommen på julfest", 3.0, messages=12, to_each=50, over=0.4, inside=0.4, failed=0.02)
    one.over_the_limit(2.3, external=366, internal=234)
    return one


@HONEST
def app_that_all_were_given() -> Account:
    """The administrator let an app of a small partner in for everybody; Microsoft never verified its publisher."""
    one = office_worker("Stefan Lo", "2026-11-27 14:35", licences=E3)
    one.is_assigned("Tidrapport", 260)
    sp_oid = one.assignments[-1].app_sp_oid or ""
    scopes = ("User.Read", "Calendars.ReadWrite")
    one.tenant_grants.append(
        OAuthGrant(grant_id="for-all", client_sp_oid=sp_oid, consent_type="AllPrincipals", scopes=scopes)
    )
    one.sends("Kom ihåg tidrapporten", 2.0, messages=24, to_each=40, over=0.3, inside=0.97)
    one.over_the_limit(1.3, external=29, internal=931)
    return one


@HONEST
def signature_with_a_link() -> Account:
    """The signature carries a link to the company and a telephone number, as it should; a survey went out."""
    one = office_worker("Ylva Ström", "2026-11-12 10:50", home=GOTHENBURG)
    one.messages = signed("Ylva Ström\nContoso AB, Göteborg\n+46 31 123 45 67\nhttps://www.contoso.com")
    one.sends("Enkät: vad tycker du om oss?", 1.9, messages=20, to_each=50, over=0.4, failed=0.07)
    one.held_to_be_spam(1.2, spam=640, mail=1004)
    return one


@HONEST
def commuter_over_the_bridge() -> Account:
    """Lives in Malmö, works in Copenhagen: two countries every day, half an hour apart; no licence for protection."""
    one = office_worker("Bo Sund", "2026-11-24 15:05", home=MALMO, licences=E3)
    desk = somewhere(171, COPENHAGEN)
    one.offices[desk.ip] = 40
    for morning in working_days(one, 29):
        ago = (one.now - morning).total_seconds() / 3600
        if ago > 2:
            one.signs_in(desk, ago - 1.9, device=MANAGED_LAPTOP)
    one.sends("Agenda for the annual meeting", 2.1, messages=13, to_each=50, over=0.3, failed=0.03)
    one.over_the_limit(1.5, external=641)
    return one


@HONEST
def logs_cannot_be_searched() -> Account:
    """The audit search is still running after all this time, and the background sign-ins are refused to the app."""
    one = office_worker("Tage Holm", "2026-11-17 23:10", licences=E3)
    one.cannot_read(Unavailable("graph", reason="still_running"), "audit_records")
    one.cannot_read(Rejected("graph", "BadRequest", "Unsupported filter"), "background_sign_ins")
    one.sends("Match program", 3.0, messages=12, to_each=45, over=0.4, failed=0.03)
    one.over_the_limit(2.4, external=534)
    return one


@HONEST
def holiday_in_spain() -> Account:
    """On holiday in Madrid with the own tablet; an automatic list to the members of a golf club went out from there."""
    one = office_worker("Berit Holst", "2026-11-28 12:30", licences=E3)
    flat = somewhere(180, MADRID)
    away(one, 56)
    one.signs_in(flat, 52, device=OWN_PHONE)
    one.signs_in(flat, 5, device=OWN_PHONE)
    one.works_in_background(flat, 50, times=10, every=4, device=OWN_PHONE)
    one.cannot_read(LicenceMissing("graph"), "audit_records")
    one.sends("Golf: startlista", 24 * 7 + 3, messages=8, to_each=50, over=0.3, failed=0.02)
    one.sends("Golf: startlista", 2.6, messages=11, to_each=50, over=0.3, failed=0.02)
    one.over_the_limit(2.0, external=548)
    return one


@HONEST
def doctor_on_call_in_stockholm() -> Account:
    """Works at night, at home, on the hospital's laptop, and wrote to all patients of a study at three o'clock."""
    one = office_worker("Farid Noor", "2026-11-21 03:20", home=STOCKHOLM)
    for night in range(1, 12, 3):
        one.signs_in(at_home(one), 24 * night, device=MANAGED_LAPTOP)
    one.signs_in(at_home(one), 2.1, device=MANAGED_LAPTOP)
    one.sends("Study 2026-14: next visit", 1.4, messages=390, over=0.6, failed=0.04)
    one.over_the_limit(0.8, external=388)
    return one
