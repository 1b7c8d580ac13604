"""Sign-ins are compared with the account's own habits."""

from datetime import timedelta

import pytest

from services.cases import Case, Finding, SignalState, UnknownReason
from services.clients.graph_models import SignIn
from services.errors import LicenceMissing
from tests.fakes.account import NOW, FakeAccount, blocked, habits, look, sign_in

WRONG_PASSWORD = 50126


async def looked(*sign_ins: SignIn, case: Case | None = None) -> Finding:
    return await look("sign_ins", FakeAccount(sign_in_log=sign_ins), case)


def guesses(count: int, country: str = "NG", ip: str = "203.0.113.9") -> tuple[SignIn, ...]:
    return tuple(
        sign_in(NOW - timedelta(minutes=40, seconds=-n), country, WRONG_PASSWORD, ip_address=ip) for n in range(count)
    )


def texts(finding: Finding) -> set[str]:
    return {text.key.rpartition(".")[2] for text in (finding.summary, *finding.evidence)}


async def test_habits_are_clear():
    """
    Sign-ins as on any day are nothing.
    """
    finding = await looked(*habits())

    assert (finding.state, finding.summary.params["n"]) == (SignalState.CLEAR, 12)


async def test_guessing_that_worked_is_found():
    """
    Many wrong passwords and then a right one, from a place that was never let in before.
    """
    finding = await looked(*habits(), *guesses(12), sign_in(NOW, "NG", ip_address="203.0.113.9"))

    assert finding.summary.key == "finding.sign_ins.guessed"
    assert finding.summary.params["n"] == 12


async def test_guessing_that_did_not_work_is_not_found():
    """
    Everybody's password is guessed at; while only the owner gets in, nothing has happened.
    """
    owner = sign_in(NOW - timedelta(minutes=5))

    assert (await looked(*habits(), *guesses(50), owner)).state is SignalState.CLEAR
    assert (await looked(*habits(), *guesses(50))).state is SignalState.CLEAR


async def test_an_owner_who_mistypes_is_not_found():
    """
    A few wrong passwords before a right one, at the usual place, are a person's fingers.
    """
    wrong = tuple(sign_in(NOW - timedelta(minutes=n), "SE", WRONG_PASSWORD) for n in range(1, 13))

    assert (await looked(*habits(), *wrong, sign_in(NOW))).state is SignalState.CLEAR


async def test_a_country_new_to_the_account_is_found():
    """
    From where it was never signed in to before, with the address and the time.
    """
    finding = await looked(*habits(), sign_in(NOW - timedelta(hours=2), "NG", ip_address="203.0.113.9"))

    assert finding.summary.params["countries"] == ["NG"]
    assert finding.evidence[0].params["ip"] == "203.0.113.9"


@pytest.mark.parametrize(
    "sign_ins",
    [
        (*habits(3), sign_in(NOW, "NG", ip_address="9.9.9.9")),  # too little to call it a habit
        (*habits(), sign_in(NOW - timedelta(days=25), "NO"), sign_in(NOW, "NO")),  # was there before
        (*habits(), sign_in(NOW, "NG", WRONG_PASSWORD)),  # was not let in
        (*habits(), sign_in(NOW, None)),  # Microsoft does not know from where
    ],
)
async def test_no_country_is_new_without_a_habit_to_compare_with(sign_ins: tuple[SignIn, ...]):
    """
    Only a first successful sign-in from a country, after enough others from elsewhere, is told.
    """
    assert (await looked(*sign_ins)).state is SignalState.CLEAR


async def test_two_countries_within_an_hour_are_found():
    """
    Nobody travels that fast, although both countries are usual for this account.
    """
    usual = [sign_in(NOW - timedelta(days=day), "NO" if day % 2 else "SE") for day in range(1, 20)]

    finding = await looked(*usual, sign_in(NOW - timedelta(minutes=30), "NO"), sign_in(NOW, "SE"))

    assert finding.summary.key == "finding.sign_ins.travel"
    assert finding.summary.params["minutes"] == 30


STOCKHOLM = {"city": "Stockholm", "latitude": 59.33, "longitude": 18.07}
LONDON = {"city": "London", "latitude": 51.51, "longitude": -0.13}
SYDNEY = {"city": "Sydney", "latitude": -33.87, "longitude": 151.21}


async def test_a_journey_that_is_too_fast_is_found_with_distance_and_speed():
    """
    By coordinates: Stockholm to Sydney is about 15,600 km, which nobody does in three hours.
    """
    finding = await looked(
        *habits(), sign_in(NOW - timedelta(hours=3), **STOCKHOLM), sign_in(NOW, "AU", ip_address="9.9.9.9", **SYDNEY)
    )

    travel = next(text for text in (finding.summary, *finding.evidence) if text.key.endswith("travel_fast"))
    assert (travel.params["one"], travel.params["other"]) == ("Stockholm, SE", "Sydney, AU")
    assert 15500 < travel.params["km"] < 15700
    assert 5100 < travel.params["speed"] < 5300


LAPTOP = {"device_name": "LAPTOP-7", "is_managed": True}
BROWSER = {"user_agent": "Mozilla/5.0 (Windows NT 10.0) Edg/140"}


@pytest.mark.parametrize(
    ("one", "other", "hours"),
    [
        ({**STOCKHOLM}, {"country": "GB", **LONDON}, 3),  # a flight
        ({**STOCKHOLM}, {"city": "Göteborg", "latitude": 57.71, "longitude": 11.97}, 0.1),  # a misplaced address
        ({**STOCKHOLM, **LAPTOP}, {"country": "AU", **SYDNEY, **LAPTOP}, 0.1),  # a virtual private network
        ({**STOCKHOLM, "is_compliant": True}, {"country": "GB", **LAPTOP}, 0.1),  # phone at home, laptop at work
    ],
)
async def test_honest_journeys_are_not_found(one: dict, other: dict, hours: float):
    """
    Airliners, addresses that are placed wrongly, and far places on devices that the organisation manages.
    """
    finding = await looked(
        *habits(), sign_in(NOW - timedelta(hours=hours), **one), sign_in(NOW, **{"country": "SE", **other})
    )

    assert not any(text.startswith("travel") for text in texts(finding))
    assert finding.weight < 25


async def test_the_same_program_from_two_usual_countries_is_not_found():
    """
    Who works through a virtual private network is in two countries all the time; a stranger's program is not.
    """
    usual = [sign_in(NOW - timedelta(days=day), "NL" if day % 2 else "SE", **BROWSER) for day in range(1, 29)]
    home, away = sign_in(NOW - timedelta(minutes=9), "SE", **BROWSER), sign_in(NOW, "NL", **BROWSER)

    assert (await looked(*usual, home, away)).state is SignalState.CLEAR
    assert "travel" in texts(await looked(*usual, home, away.model_copy(update={"user_agent": "python-requests"})))


async def test_a_trip_with_a_managed_device_counts_for_little():
    """
    A country that is new, on a device that the organisation manages: most likely its owner carried it there.
    """
    finding = await looked(*habits(), sign_in(NOW, "ES", is_managed=True))

    assert finding.summary.key == "finding.sign_ins.unusual_managed"
    assert finding.weight < 25


async def test_slow_guessing_that_worked_is_found():
    """
    Whoever guesses twice an hour to stay unnoticed is noticed all the same.
    """
    slow = [
        sign_in(NOW - timedelta(hours=hours), "NG", WRONG_PASSWORD, ip_address="203.0.113.9") for hours in range(1, 13)
    ]

    finding = await looked(*habits(), *slow, sign_in(NOW, "NG", ip_address="203.0.113.9"))

    assert finding.summary.key == "finding.sign_ins.guessed"


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"ip_address": "203.0.113.9", "operating_system": "Windows10", "browser": "Chrome 120"}, True),
        ({"ip_address": "203.0.113.9", "operating_system": "Windows11", "browser": "Edge 132.1"}, False),
        ({"ip_address": "192.0.2.1", "operating_system": "Windows10", "browser": "Chrome 120"}, False),
        ({"ip_address": "203.0.113.9", "browser": "Chrome 120", "is_managed": True}, False),
        ({"ip_address": "203.0.113.9"}, False),
    ],
)
async def test_a_computer_of_a_new_kind_at_a_new_address_is_found(fields: dict, found: bool):
    """
    In the same country, a new address alone is everyday life, and so is an update of the browser; both at once are not.
    """
    usual = [
        sign_in(NOW - timedelta(days=day), operating_system="Windows11", browser="Edge 131.0") for day in range(1, 28)
    ]

    finding = await looked(*usual, sign_in(NOW, **fields))

    assert (finding.state is SignalState.FOUND) is found
    assert finding.weight < 25


async def test_passwords_sprayed_from_many_addresses_are_found():
    """
    No address stands out, yet one of them found the password, from a country where the owner never is.
    """
    spray = tuple(
        sign_in(NOW - timedelta(hours=n), "BR", WRONG_PASSWORD, ip_address=f"198.51.100.{n}") for n in range(2, 14)
    )

    worked = await looked(*habits(28), *spray, sign_in(NOW, "VN", ip_address="198.51.100.99"))
    at_home = await looked(*habits(28), *spray, sign_in(NOW, "SE", ip_address="198.51.100.99"))

    assert worked.summary.key == "finding.sign_ins.sprayed"
    assert worked.summary.params["addresses"] == 12
    assert at_home.state is SignalState.CLEAR


async def test_too_few_sign_ins_to_know_the_habits_are_said():
    """
    A newcomer's log is read and shows nothing, and the reader learns that it could not show much.
    """
    assert "few" in texts(await looked(*habits(3)))


async def test_a_protocol_without_mfa_that_is_new_is_found_and_a_usual_one_is_not():
    """
    An old scanner that always sent by SMTP is no evidence; a first IMAP sign-in is.
    """
    scanner = [sign_in(NOW - timedelta(days=day), client_app="Authenticated SMTP") for day in range(1, 20)]

    assert (await looked(*scanner, sign_in(NOW, client_app="Authenticated SMTP"))).state is SignalState.CLEAR
    assert (await looked(*scanner, sign_in(NOW, client_app="IMAP4"))).summary.key == "finding.sign_ins.legacy"


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"risk_level": "high", "risk_state": "atRisk"}, "risky"),
        ({"risk_level": "medium"}, "risky"),
        ({"risk_level_aggregated": "high"}, "risky"),
        ({"risk_events": ("anonymizedIPAddress",)}, "anonymous"),
    ],
)
async def test_risky_sign_ins_that_succeeded_are_found(fields: dict, text: str):
    """
    What Entra holds to be risky counts when somebody was let in.
    """
    assert text in texts(await looked(*habits(), sign_in(NOW, **fields)))
    assert (await looked(*habits(), sign_in(NOW, "SE", WRONG_PASSWORD, **fields))).state is SignalState.CLEAR


async def test_risk_that_was_settled_is_not_found():
    """
    A sign-in that an admin or the user has dealt with is no evidence any more.
    """
    settled = sign_in(NOW, risk_level="high", risk_state="dismissed", risk_events=("anonymizedIPAddress",))

    assert (await looked(*habits(), settled)).state is SignalState.CLEAR


async def test_hidden_risk_is_told_and_not_taken_for_none():
    """
    Without Entra ID P2 the levels are hidden: the finding says that it judged without them.
    """
    finding = await looked(*(s.model_copy(update={"risk_level": "hidden"}) for s in habits()))

    assert finding.evidence[0].key == "finding.sign_ins.risk_hidden"


async def test_an_empty_log_is_unknown():
    """
    No sign-in at all is nothing to judge by, and so no good news.
    """
    finding = await looked()

    assert (finding.state, finding.unknown_reason) == (SignalState.UNKNOWN, UnknownReason.NOT_APPLICABLE)


async def test_a_log_that_was_cut_off_says_so():
    """
    When there are more sign-ins than were read, the reader knows.
    """
    many = tuple(sign_in(NOW - timedelta(minutes=n)) for n in range(1000))

    assert "cut_off" in texts(await looked(*many))


async def test_the_log_of_an_account_that_is_not_blocked_is_judged_from_now():
    """
    Without a block, recent means before now.
    """
    finding = await looked(*habits(), sign_in(NOW, "NG"), case=blocked(block=None))

    assert finding.state is SignalState.FOUND


async def test_no_licence_comes_through():
    """
    Whoever runs the signal turns this into "could not be read: licence".
    """
    with pytest.raises(LicenceMissing):
        await look("sign_ins", FakeAccount(sign_in_log=LicenceMissing("graph")))
