"""Sign-ins by programs, and what else was done from the addresses of suspicious ones."""

from datetime import timedelta

import pytest

from services.cases import Finding, SignalState, UnknownReason
from services.clients.graph_models import SignIn
from services.errors import LicenceMissing, Rejected
from tests.fakes.account import NOW, FakeAccount, habits, look, sign_in

FOUND, CLEAR, UNKNOWN = SignalState.FOUND, SignalState.CLEAR, SignalState.UNKNOWN
WRONG_PASSWORD = 50126
ATTACKER = "203.0.113.9"
STRANGER = {"ip_address": ATTACKER, "is_interactive": False}
OWNER = {"user_agent": "Outlook", "is_interactive": False}


def background(*more: SignIn) -> tuple[SignIn, ...]:
    """What the owner's programs do from home, and more."""
    usual = (sign_in(NOW - timedelta(days=day, hours=3), **OWNER) for day in range(1, 28))
    return (*usual, *more)


async def looked(*more: SignIn, **values: object) -> Finding:
    return await look("sign_ins_background", FakeAccount(background_log=background(*more), **values))


def texts(finding: Finding) -> set[str]:
    return {text.key.rpartition(".")[2] for text in (finding.summary, *finding.evidence)}


# --- background sign-ins ---------------------------------------------------------------------------------------------


async def test_what_the_owners_programs_do_is_clear():
    """
    Tokens that are renewed from home, by a program of the owner, are nothing.
    """
    assert (await looked()).state is CLEAR


async def test_a_token_that_is_used_abroad_is_found():
    """
    From a country where nobody signed in, with the address and the time.
    """
    finding = await looked(sign_in(NOW - timedelta(hours=8), "NG", **STRANGER))

    assert finding.summary.params["countries"] == ["NG"]
    assert finding.evidence[-1].params["ip"] == ATTACKER


async def test_a_token_that_is_used_abroad_while_its_owner_is_at_home_weighs_more():
    """
    Two places at once: the owner signs in from Sweden and ten minutes later the token from Nigeria.
    """
    at_home = (*habits(), sign_in(NOW - timedelta(minutes=20)))

    finding = await looked(sign_in(NOW - timedelta(minutes=10), "NG", **STRANGER), sign_in_log=at_home)

    assert finding.summary.key == "finding.sign_ins_background.elsewhere"
    assert finding.weight >= 25


@pytest.mark.parametrize(
    "honest",
    [
        {"country": "ES", "is_interactive": False, "is_managed": True},  # the laptop is on holiday too
        {"country": "SE", "ip_address": "192.0.2.77", **OWNER},  # a phone changes its address all day
        {"country": "NG", "error_code": 50173, **STRANGER},  # was not let in
        {"country": "NG", "ip_address": ATTACKER, "is_interactive": True},  # no background sign-in after all
        {"country": None, **STRANGER},  # nobody knows from where
    ],
)
async def test_honest_background_sign_ins_are_clear(honest: dict):
    """
    Managed devices abroad, new addresses at home, and what was not let in.
    """
    assert (await looked(sign_in(NOW - timedelta(hours=8), **honest))).state is CLEAR


async def test_a_country_where_the_owner_signed_in_too_is_no_news():
    """
    A trip is told once, among the interactive sign-ins.
    """
    trip = (*habits(), sign_in(NOW - timedelta(days=1, hours=6), "ES", ip_address="198.51.100.7"))

    assert (await looked(sign_in(NOW - timedelta(hours=8), "ES", **STRANGER), sign_in_log=trip)).state is CLEAR


async def test_a_computer_that_was_left_running_at_home_is_no_second_place():
    """
    Its owner signs in from a holiday, and ten minutes later the computer at home renews a token.
    """
    trip = (*habits(), sign_in(NOW - timedelta(minutes=20), "ES", ip_address="198.51.100.7"))

    assert (await looked(sign_in(NOW - timedelta(minutes=10), "SE", **OWNER), sign_in_log=trip)).state is CLEAR


async def test_a_new_program_at_a_new_address_is_found():
    """
    In the owner's own country, yet by a program that was never there before: the token was taken along.
    """
    finding = await looked(sign_in(NOW, "SE", user_agent="python-requests/2.32", **STRANGER))

    assert (finding.summary.key, finding.weight) == ("finding.sign_ins_background.program", 10)


async def test_background_sign_ins_that_cannot_be_listed_are_unknown():
    """
    The call is Microsoft's beta: a refusal comes through, and an empty log is nothing to judge by.
    """
    with pytest.raises(Rejected):
        await look("sign_ins_background", FakeAccount(background_log=Rejected("graph", "BadRequest", "no")))
    empty = await look("sign_ins_background", FakeAccount(background_log=()))

    assert (empty.state, empty.unknown_reason) == (UNKNOWN, UnknownReason.NOT_APPLICABLE)


async def test_without_interactive_sign_ins_the_older_background_ones_are_the_habit():
    """
    What is odd against its own past is found; with no past either, nothing is called clear.
    """
    no_licence = LicenceMissing("graph")

    found = await looked(sign_in(NOW - timedelta(hours=8), "NG", **STRANGER), sign_in_log=no_licence)
    account = FakeAccount(background_log=(sign_in(NOW, **OWNER),), sign_in_log=no_licence)

    assert found.state is FOUND
    with pytest.raises(LicenceMissing):
        await look("sign_ins_background", account)


# --- the addresses elsewhere -----------------------------------------------------------------------------------------


def of(user: str, error_code: int = 0, days_ago: float = 0.1, **fields: object) -> SignIn:
    """Somebody else's sign-in from the suspicious address."""
    values = {"user_oid": user, "upn": f"{user}@contoso.com", "ip_address": ATTACKER, **fields}
    made = sign_in(NOW - timedelta(days=days_ago), "NG", error_code, **values)
    return made.model_copy(update={"sign_in_id": f"{user}-{days_ago}"})


async def elsewhere(*others: SignIn, risky: bool = True, **values: object) -> Finding:
    """This account was signed in to from Nigeria; what others did from there."""
    risk = {"risk_level": "high"} if risky else {}
    strange = sign_in(NOW - timedelta(hours=9), "NG", ip_address=ATTACKER, **risk)
    defaults = {"sign_in_log": (*habits(), strange), "address_log": {ATTACKER: (strange, *others)}}
    return await look("shared_address", FakeAccount(**(defaults | values)))


async def test_an_address_that_guessed_at_others_is_found():
    """
    With the address, how many and who.
    """
    finding = await elsewhere(of("a", WRONG_PASSWORD), of("b", WRONG_PASSWORD), of("c", WRONG_PASSWORD))

    assert finding.state is FOUND
    assert finding.evidence[0].params["n"] == 3
    assert finding.evidence[0].params["names"] == ["a@contoso.com", "b@contoso.com", "c@contoso.com"]


async def test_others_who_were_let_in_from_there_count():
    """
    One attacker in two mailboxes.
    """
    assert "let_in" in texts(await elsewhere(of("a")))


@pytest.mark.parametrize(
    "others",
    [
        (),
        (of("a", WRONG_PASSWORD),),  # a colleague who mistypes
        (of("a", is_managed=True), of("b", is_compliant=True)),  # colleagues with managed devices
        tuple(of(name, days_ago=day) for name in "abcdef" for day in (1, 2, 3)),  # an office
    ],
)
async def test_what_many_people_share_is_no_attackers(others: tuple[SignIn, ...]):
    """
    Offices and networks of hotels are seen by many accounts, too.
    """
    assert (await elsewhere(*others)).state is CLEAR


async def test_colleagues_on_the_same_trip_are_no_evidence():
    """
    A new country is all that is odd: then two colleagues who are let in from there are company.
    """
    assert (await elsewhere(of("a"), of("b"), risky=False)).state is CLEAR


async def test_without_a_suspicious_address_nobody_is_asked():
    """
    No address of an ordinary account is followed up.
    """
    account = FakeAccount()

    assert (await look("shared_address", account)).state is CLEAR
    assert account.calls["sign_ins_from"] == 0


async def test_an_address_of_long_habit_is_not_followed_up():
    """
    Where the account is day by day is its office, whatever Entra thinks of one sign-in.
    """
    account = FakeAccount(sign_in_log=(*habits(), sign_in(NOW, risk_level="high")))

    assert (await look("shared_address", account)).state is CLEAR
    assert account.calls["sign_ins_from"] == 0


async def test_addresses_of_background_sign_ins_are_followed_up():
    """
    A stolen token's address that guessed at three other accounts.
    """
    strange = sign_in(NOW - timedelta(hours=8), "NG", **STRANGER)
    tried = tuple(of(name, WRONG_PASSWORD) for name in "abc")

    finding = await elsewhere(sign_in_log=habits(), background_log=background(strange), address_log={ATTACKER: tried})

    assert finding.state is FOUND


async def test_background_addresses_that_cannot_be_read_are_no_good_news():
    """
    What was found is told with a note; nothing found is unknown.
    """
    refused = Rejected("graph", "BadRequest", "no")

    found = await elsewhere(of("a", WRONG_PASSWORD), of("b", WRONG_PASSWORD), background_log=refused)

    assert found.evidence[-1].key == "finding.shared_address.background_unread"
    with pytest.raises(Rejected):
        await elsewhere(background_log=refused)
