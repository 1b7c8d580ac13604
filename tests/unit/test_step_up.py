"""A fresh sign-in of the approver: what Entra's answer must say, and that each link is good for one person, once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from services.access import Access
from services.approvals import Approvals, DecideApproval
from services.audit import Tag
from services.cases import Action, ActionKind, Case, CaseState, Impact
from services.clients.openid import Challenge, SignedClaims, authorize_url, parse_keys, verified
from services.errors import BrokenAnswer, PromptOutdated, SignInRefused, StepUpNeeded, Unavailable
from services.policy import Policy
from services.step_up import Expected, Returned, StepUps, check_claims
from services.store import Store
from tests.fakes import given
from tests.fakes.clock import FakeClock
from tests.fakes.given import NOW
from tests.fakes.people import MEGAN, OLGA, TENANT, FakeDirectory, actor
from tests.fakes.policies import policy_for

APP = "22222222-2222-4222-8222-222222222222"
ISSUER = f"https://login.example/{TENANT}/v2.0"
EXPECTED = Expected(APP, TENANT, MEGAN.oid, nonce="n" * 43, max_age_s=600, context="c1")


def seconds(minutes: float = 0) -> int:
    return int((NOW + timedelta(minutes=minutes)).timestamp())


def claims(**other: Any) -> dict[str, Any]:
    """What Entra says of Megan, who has just signed in."""
    said = {"iss": ISSUER, "aud": APP, "tid": TENANT, "oid": MEGAN.oid, "nonce": EXPECTED.nonce, "acrs": ["c1"]}
    return {**said, "exp": seconds(60), "auth_time": seconds(), **other}


def judged(**other: Any) -> Any:
    said = {name: value for name, value in claims(**other).items() if value is not None}
    return check_claims(SignedClaims(ISSUER, said), EXPECTED, NOW)


# --- what is signed ---


def test_a_fresh_sign_in_of_the_right_person_is_a_proof() -> None:
    """
    It is as old as the sign-in; ids are the same in any case of letters.
    """
    assert NOW - timedelta(minutes=9) == judged(auth_time=seconds(-9))
    assert NOW == judged(oid=MEGAN.oid.upper(), tid=TENANT.upper())


def test_a_clock_ahead_of_ours_does_not_make_a_proof_last_longer() -> None:
    """
    A sign-in that seems to be in two minutes counts from now.
    """
    assert NOW == judged(auth_time=seconds(2))


@pytest.mark.parametrize(
    ("claim", "value", "reason"),
    [
        ("iss", "https://login.example/another/v2.0", "not_valid"),
        ("aud", "33333333-3333-4333-8333-333333333333", "not_valid"),
        ("aud", [APP], "not_valid"),
        ("tid", "33333333-3333-4333-8333-333333333333", "not_valid"),
        ("nonce", "m" * 43, "not_valid"),
        ("exp", seconds(-6), "not_valid"),
        ("oid", OLGA.oid, "wrong_person"),
        ("auth_time", seconds(-10), "too_old"),
        ("auth_time", seconds(6), "no_time"),
        ("auth_time", str(seconds()), "no_time"),
        ("auth_time", True, "no_time"),
        ("auth_time", float("nan"), "no_time"),
        ("acrs", ["c2"], "no_context"),
        ("acrs", "c1", "no_context"),
        *((name, None, "not_valid") for name in ("iss", "aud", "tid", "nonce", "exp")),
        ("oid", None, "wrong_person"),
        ("auth_time", None, "no_time"),
        ("acrs", None, "no_context"),
    ],
)
def test_one_wrong_claim_is_enough(claim: str, value: Any, reason: str) -> None:
    """
    Whatever is missing, of another type, or not what was asked for proves nothing.
    """
    with pytest.raises(SignInRefused) as refused:
        judged(**{claim: value})

    assert reason == refused.value.reason


KEY, OTHER_KEY = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))


@pytest.mark.parametrize(
    "token",
    [
        jwt.encode(claims(), OTHER_KEY, "RS256"),
        jwt.encode(claims(), "x" * 64, "HS256"),
        jwt.encode(claims(), None, "none"),
        "no.token.atall",
    ],
    ids=["another key", "a shared secret", "no signature", "no token"],
)
def test_a_signature_that_does_not_hold_is_no_answer(token: str) -> None:
    """
    Only RS256 with the key of the tenant counts.
    """
    assert claims() == verified(jwt.encode(claims(), KEY, "RS256"), KEY.public_key())

    with pytest.raises(BrokenAnswer):
        verified(token, KEY.public_key())


def test_keys_that_cannot_be_used_are_left_out() -> None:
    """
    Another kind, a broken number, no id: the others still work, and a document without keys has none.
    """
    good = {"kid": "a", **_public(KEY)}
    broken = [{"kid": "b", "kty": "EC"}, {"kid": "c", **_public(KEY), "n": "?"}, _public(KEY), {"kid": "d"}, "e"]

    assert ["a"] == list(parse_keys({"keys": [good, *broken]}))
    assert {} == parse_keys({"keys": "none"}) == parse_keys({})


def _public(key: rsa.RSAPrivateKey) -> dict[str, str]:
    return jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)


def test_the_address_asks_for_a_sign_in_of_now() -> None:
    """
    Always a new one, with its time and the context in the token; the PKCE verifier does not leave.
    """
    challenge = Challenge(state="s", nonce="n", verifier="v" * 43, max_age_s=600, context="c1")

    address = authorize_url("https://login.example/t", app_id=APP, redirect_uri="https://b/cb", challenge=challenge)

    query = {name: value for name, (value,) in parse_qs(urlsplit(address).query).items()}
    assert ("login", "600", "code", "S256", "openid profile") == tuple(
        query[name] for name in ("prompt", "max_age", "response_type", "code_challenge_method", "scope")
    )
    assert '{"id_token":{"auth_time":{"essential":true},"acrs":{"essential":true,"value":"c1"}}}' == query["claims"]
    assert "v" * 43 not in address


# --- one link, one person, once ---


class FakeEntra:
    """Signs in whoever `who` says, `minutes` ago, and answers every code."""

    def __init__(self) -> None:
        self.who, self.minutes, self.asked = MEGAN, 0.0, 0
        self.fault: Exception | None = None
        self.challenge: Challenge | None = None

    def authorize_url(self, challenge: Challenge) -> str:
        self.challenge = challenge
        return "https://login.example/"

    async def signed_claims(self, code: str, verifier: str) -> SignedClaims:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        assert self.challenge is not None and verifier == self.challenge.verifier
        said = claims(oid=self.who.oid, nonce=self.challenge.nonce, auth_time=seconds(self.minutes))
        return SignedClaims(ISSUER, said)


class Bench:
    """A question that takes a fresh sign-in of Megan or Olga."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        base = Policy.model_validate({"step_up": "critical", "rules": [{"approvers": 1}]})
        policy = policy_for(MEGAN.oid, OLGA.oid, base=base)
        access = Access(FakeDirectory(), tenant_id=TENANT, requesters=(), policy=policy, admins=())
        self.store, self.clock, self.entra = store, clock, FakeEntra()
        self.approvals = Approvals(store, access, clock)
        self.step_ups = StepUps(store, self.entra, clock, tenant_id=TENANT, app_id=APP)
        role = Action(action_id="role", kind=ActionKind.REMOVE_ROLE, impact=Impact.CRITICAL)
        case = given.case(state=CaseState.AWAITING_APPROVAL, actions=(role,))
        self.case = case.with_approval(given.new_approval(case, given.ApprovalPurpose.REMEDIATION, policy, at=NOW))
        self.prompt = self.case.approvals[0]

    async def approve(self, who=MEGAN, *, granted: bool = True) -> Case:
        return await self.approvals.decide(DecideApproval(self.prompt.claim, actor(who), granted))

    async def link(self, who=MEGAN) -> str:
        return await self.step_ups.ask(actor(who), self.prompt, "sv")

    async def sign_in(self, state: str) -> None:
        begun = await self.step_ups.begin(state)
        await self.step_ups.finish(Returned(state, begun.secret, "code"))

    async def why_not(self, state: str, **returned: str) -> str:
        """The reason for which the browser's return is refused."""
        secret = returned.pop("secret", None)
        with pytest.raises(SignInRefused) as refused:
            begun = await self.step_ups.begin(state)
            values = {"secret": begun.secret if secret is None else secret, "code": "code", **returned}
            await self.step_ups.finish(Returned(state, **values))
        return refused.value.reason

    async def tags(self) -> list[str]:
        return [entry.tag for entry in await self.store.audit_entries("C1")]


@pytest.fixture
async def bench(store: Store, clock: FakeClock) -> Bench:
    bench = Bench(store, clock)
    await store.open_case(bench.case)
    return bench


async def test_an_approval_counts_after_the_sign_in(bench: Bench) -> None:
    """
    The click is turned away, the sign-in is proven, and the next click of the same person counts.
    """
    with pytest.raises(StepUpNeeded):
        await bench.approve()
    await bench.sign_in(await bench.link())

    assert CaseState.CONTAINING == (await bench.approve()).state
    assert [Tag.SIGN_IN_ASKED, Tag.SIGN_IN_PROVEN, Tag.APPROVAL_GRANTED] == await bench.tags()


async def test_saying_no_takes_no_sign_in(bench: Bench) -> None:
    """
    Whoever wants to stop something is not held up.
    """
    assert CaseState.DENIED == (await bench.approve(granted=False)).state


async def test_the_proof_of_one_person_is_not_that_of_another(bench: Bench) -> None:
    """
    Megan has signed in; Olga has to do so herself.
    """
    await bench.sign_in(await bench.link())

    with pytest.raises(StepUpNeeded):
        await bench.approve(OLGA)


async def test_the_proof_for_one_question_is_not_one_for_another(bench: Bench) -> None:
    """
    A new question takes a new sign-in.
    """
    await bench.sign_in(await bench.link())
    other = bench.prompt.model_copy(update={"prompt_id": "P2", "claim": "another"})
    await bench.store.change_case("C1", lambda case: (case.with_approval(other), []))

    with pytest.raises(StepUpNeeded):
        await bench.approvals.decide(DecideApproval("another", actor(MEGAN), True))


async def test_a_proof_ages(bench: Bench) -> None:
    """
    Ten minutes after the sign-in, not after the click, it is over.
    """
    bench.entra.minutes = -4
    await bench.sign_in(await bench.link())
    bench.clock.advance(minutes=6)

    with pytest.raises(StepUpNeeded):
        await bench.approve()


async def test_a_click_that_cannot_count_asks_for_no_sign_in(bench: Bench) -> None:
    """
    Nobody signs in for a question that has expired.
    """
    bench.clock.advance(minutes=61)

    with pytest.raises(PromptOutdated):
        await bench.approve()


async def test_a_link_works_once(bench: Bench) -> None:
    """
    Opening it uses nothing up, for programs look at links before people do; coming back does.
    """
    state = await bench.link()
    await bench.step_ups.begin(state)
    await bench.sign_in(state)

    assert "used" == await bench.why_not(state)
    assert 1 == bench.entra.asked


async def test_a_link_ends_after_five_minutes(bench: Bench) -> None:
    """
    Neither opening it nor coming back works then.
    """
    state = await bench.link()
    begun = await bench.step_ups.begin(state)
    bench.clock.advance(minutes=5)

    with pytest.raises(SignInRefused, match="expired"):
        await bench.step_ups.finish(Returned(state, begun.secret, "code"))
    assert "expired" == await bench.why_not(state)


@pytest.mark.parametrize("state", ["", "x" * 43, "../../etc", "å" * 43])
async def test_a_link_that_was_never_given_is_not_known(bench: Bench, state: str) -> None:
    """
    Whatever somebody makes up.
    """
    assert "unknown" == await bench.why_not(state)


@pytest.mark.parametrize(
    ("returned", "reason"),
    [
        ({"secret": ""}, "other_browser"),
        ({"code": "", "error": "access_denied"}, "not_signed_in"),
        ({"code": "", "error": "<script>"}, "not_signed_in"),
        ({"code": ""}, "not_signed_in"),
    ],
)
async def test_a_browser_that_brings_no_sign_in_proves_nothing(
    bench: Bench, returned: dict[str, str], reason: str
) -> None:
    """
    Another browser, or one whose owner did not sign in; what it brings is not written down as it is.
    """
    assert reason == await bench.why_not(await bench.link(), **returned)

    assert "<script>" not in str(await bench.store.audit_entries("C1"))
    with pytest.raises(StepUpNeeded):
        await bench.approve()


async def test_a_sign_in_of_somebody_else_is_refused_and_on_the_record(bench: Bench) -> None:
    """
    A link that was passed on proves nothing for anybody, and is used up.
    """
    bench.entra.who = OLGA
    state = await bench.link()

    assert "wrong_person" == await bench.why_not(state)
    assert "used" == await bench.why_not(state)
    assert [Tag.SIGN_IN_ASKED, Tag.SIGN_IN_REFUSED] == await bench.tags()


@pytest.mark.parametrize(
    ("fault", "reason"), [(Unavailable("entra"), "unavailable"), (BrokenAnswer("entra", what="x"), "not_valid")]
)
async def test_without_an_answer_of_entra_nothing_is_proven(bench: Bench, fault: Exception, reason: str) -> None:
    """
    A fault is told as what it is, in the language of the person, and is on the record.
    """
    bench.entra.fault = fault

    assert reason == await bench.why_not(await bench.link())
    assert Tag.SIGN_IN_REFUSED in await bench.tags()


async def test_the_database_holds_nothing_to_go_on_with(bench: Bench) -> None:
    """
    Neither the state of the link nor the secret of the browser is stored, and old rows are forgotten.
    """
    state = await bench.link()
    begun = await bench.step_ups.begin(state)

    (kept,) = await bench.store.sign_ins_of(MEGAN.oid.upper(), bench.prompt.prompt_id)
    assert state not in kept.model_dump_json() and begun.secret not in kept.model_dump_json()
    bench.clock.advance(days=9)
    await bench.link(OLGA)
    assert [] == await bench.store.sign_ins_of(MEGAN.oid, bench.prompt.prompt_id)
