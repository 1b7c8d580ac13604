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
