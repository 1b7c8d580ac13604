"""Who is on call when sources are down, empty, odd or slow: never nobody, silently."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from cards.language import Words
from services.cases import Text
from services.clients.graph_models import DirectoryUser
from services.errors import BrokenAnswer, NotFound, PermissionMissing, Rejected, ServiceError, Throttled, Unavailable
from services.oncall.accounts import Accounts, Found, owner_of
from services.oncall.duty import Duty
from services.oncall.group import GroupSource
from services.oncall.on_call import FALLBACK_NAME, KEPT_AS, Basis, OnCall
from tests.fakes.clock import FakeClock

MEGAN, ALEX, GRACE = "megan", "alex", "grace"
DOWN = Unavailable("pagerduty", status=503)


class FakeSource:
    """Fulfils `Source`: says what it was told to say, or raises it."""

    def __init__(self, name: str, answer: Duty | ServiceError) -> None:
        self.name = name
        self.answer = answer
        self.asked = 0

    async def on_duty(self, at: datetime) -> Duty:
        self.asked += 1
        await asyncio.sleep(0)
        if isinstance(self.answer, ServiceError):
            raise self.answer
        return self.answer


class HangingSource(FakeSource):
    """Never answers."""

    async def on_duty(self, at: datetime) -> Duty:
        await asyncio.Event().wait()
        raise AssertionError("it never answers")


class LateSource(FakeSource):
    """Answers when the test says so."""

    def __init__(self, name: str, answer: Duty | ServiceError) -> None:
        super().__init__(name, answer)
        self.may_answer = asyncio.Event()

    async def on_duty(self, at: datetime) -> Duty:
        await self.may_answer.wait()
        return await super().on_duty(at)


class FakeChoices:
    """Fulfils `Choices` in memory, as the store does."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.writes = 0

    async def choose(self, name: str, value: str) -> None:
        self.kept[name] = value
        self.writes += 1

    async def chosen(self, name: str) -> str | None:
        return self.kept.get(name)


def on(*people: str, **more: object) -> Duty:
    return Duty(people=people, **more)


def said(text: Text | None) -> str:
    return Words("en", strict=True).t(text) if text else ""


class Scene:
    """PagerDuty, then a rota, then the fallback group."""

    def __init__(self, first: Duty | ServiceError, second: Duty | ServiceError, last: Duty | ServiceError) -> None:
        self.pager, self.rota = FakeSource("PagerDuty", first), FakeSource("Rota", second)
        self.group = FakeSource(FALLBACK_NAME, last)
        self.clock, self.choices = FakeClock(), FakeChoices()
        self.restart()

    def restart(self) -> None:
        """A new process over the same database."""
        self.on_call = OnCall([self.pager, self.rota], self.group, self.choices, self.clock)


async def test_the_first_source_that_names_somebody_is_right() -> None:
    """
    The others are not even asked, and there is nothing to remark.
    """
    scene = Scene(on(MEGAN), on(ALEX), on(GRACE))
    duty = await scene.on_call.now()

    assert ((MEGAN,), "PagerDuty", None, False) == (duty.people, duty.source, duty.problem, duty.stale)
    assert (1, 0, 0) == (scene.pager.asked, scene.rota.asked, scene.group.asked)
    assert "From PagerDuty." == said(duty.where)


async def test_an_empty_source_passes_on_to_the_next() -> None:
    """
    A rota that covers nights alone is no fault by day.
    """
    duty = await Scene(on(), on(ALEX), on(GRACE)).on_call.now()

    assert ((ALEX,), "Rota", None) == (duty.people, duty.source, duty.problem)


async def test_a_source_that_is_down_is_told_beside_the_answer_of_the_next() -> None:
    """
    The answer is fresh, and says that it was not the first choice.
    """
    duty = await Scene(DOWN, on(ALEX), on(GRACE)).on_call.now()

    assert ((ALEX,), Basis.SOURCE) == (duty.people, duty.basis)
    assert "PagerDuty does not answer. The answer comes from Rota instead." == said(duty.problem)


async def test_when_all_are_down_the_last_known_answer_holds_with_its_age() -> None:
    """
    An hour later it is still the best that is known, and nobody takes it for fresh.
    """
    scene = Scene(on(MEGAN), DOWN, on(GRACE))
    read_at = (await scene.on_call.now()).as_of
    scene.pager.answer = DOWN
    scene.clock.advance(hours=1)
    duty = await scene.on_call.now()

    assert ((MEGAN,), True, read_at, "PagerDuty") == (duty.people, duty.stale, duty.as_of, duty.source)
    assert "may be out of date" in said(duty.problem)


async def test_the_last_known_answer_survives_a_restart() -> None:
    """
    It stands in the database.
    """
    scene = Scene(on(MEGAN, unknown=("carl",)), DOWN, on(GRACE))
    await scene.on_call.now()
    scene.pager.answer = DOWN
    scene.restart()
    duty = await scene.on_call.now()

    assert ((MEGAN,), ("carl",), Basis.LAST_KNOWN) == (duty.people, duty.unknown, duty.basis)


async def test_after_a_day_the_last_known_answer_is_no_longer_used() -> None:
    """
    Then the fallback group is asked, and the reason is told.
    """
    scene = Scene(on(MEGAN), DOWN, on(GRACE))
    await scene.on_call.now()
    scene.pager.answer = DOWN
    scene.clock.advance(hours=24, seconds=1)
    duty = await scene.on_call.now()

    assert ((GRACE,), Basis.FALLBACK) == (duty.people, duty.basis)
    assert "PagerDuty does not answer and Rota does not answer. The fallback group is asked instead." == said(
        duty.problem
    )


async def test_a_source_that_answers_overrules_what_it_said_before() -> None:
    """
    Megan's shift has ended and nobody has the next one: she is not asked because of another source that is down.
    """
    scene = Scene(on(MEGAN), DOWN, on(GRACE))
    await scene.on_call.now()
    scene.pager.answer = on()
    scene.clock.advance(hours=1)

    assert (GRACE,) == (await scene.on_call.now()).people


async def test_when_nobody_is_on_duty_the_fallback_group_is_asked() -> None:
    """
    Both sources could be read, so there is nothing unknown about it.
    """
    duty = await Scene(on(), on(), on(GRACE)).on_call.now()

    assert ((GRACE,), Basis.FALLBACK, False) == (duty.people, duty.basis, duty.stale)
    assert "names nobody" in said(duty.problem)


@pytest.mark.parametrize("last", [on(), NotFound("graph"), DOWN])
async def test_when_the_fallback_fails_too_that_is_a_problem_and_not_nobody(last: Duty | ServiceError) -> None:
    """
    Whoever reads it learns what to do.
    """
    duty = await Scene(DOWN, on(), last).on_call.now()

    assert ((), Basis.NOBODY) == (duty.people, duty.basis)
    assert "call an approver yourself" in said(duty.problem)
    assert "reservgruppen" in Words("sv", strict=True).t(duty.problem)


async def test_nothing_set_up_is_said_as_such() -> None:
    """
    No sources and no fallback group is a gap in the settings.
    """
    duty = await OnCall([], None, FakeChoices(), FakeClock()).now()

    assert "No on-call source is set up" in said(duty.problem)


async def test_people_without_an_account_are_named_whoever_is_asked_instead() -> None:
    """
    PagerDuty knows Carl, Entra does not: the next source answers, and Carl is not forgotten.
    """
    duty = await Scene(on(unknown=("carl@contoso.com",)), on(ALEX), on(GRACE)).on_call.now()

    assert ((ALEX,), ("carl@contoso.com",)) == (duty.people, duty.unknown)
    assert "carl@contoso.com" in said(duty.missing)


async def test_a_source_that_hangs_is_down() -> None:
    """
    Somebody waits for the answer, so it gets only so long.
    """
    slow, rota = HangingSource("Teams Shifts", on()), FakeSource("Rota", on(ALEX))
    duty = await OnCall([slow, rota], None, FakeChoices(), FakeClock(), timeout_s=0.01).now()

    assert (ALEX,) == duty.people
    assert said(duty.problem).startswith("Teams Shifts does not answer.")


# --- whoever cannot wait ---


async def test_a_click_does_not_wait_for_a_slow_source() -> None:
    """
    What it said last holds meanwhile; its answer is there for the next click, and it was asked once.
    """
    pager, choices, clock = LateSource("PagerDuty", on(MEGAN)), FakeChoices(), FakeClock()
    pager.may_answer.set()
    await OnCall([pager], None, choices, clock).now()
    pager.may_answer.clear()
    pager.answer, hurried = on(ALEX), OnCall([pager], FakeSource(FALLBACK_NAME, on(GRACE)), choices, clock)

    meanwhile = await hurried.now(patience_s=0)
    pager.may_answer.set()
    after = await hurried.now()

    assert (Basis.LAST_KNOWN, (MEGAN,)) == (meanwhile.basis, meanwhile.people)
    assert said(meanwhile.problem).startswith("PagerDuty does not answer.")
    assert (Basis.SOURCE, (ALEX,), 2) == (after.basis, after.people, pager.asked)


async def test_where_nothing_was_known_a_click_asks_the_fallback_group() -> None:
    """
    And when that one hangs too, it is said: nobody is a problem and not an answer.
    """
    pager, group = HangingSource("PagerDuty", on()), FakeSource(FALLBACK_NAME, on(GRACE))
    reached = OnCall([pager], group, FakeChoices(), FakeClock())
    hanging = HangingSource(FALLBACK_NAME, on())
    unreached = OnCall([pager], hanging, FakeChoices(), FakeClock(), timeout_s=0.01)

    duty, nobody = await reached.now(patience_s=0), await unreached.now(patience_s=0)
    await asyncio.gather(reached.close(), unreached.close())

    assert (Basis.FALLBACK, (GRACE,)) == (duty.basis, duty.people)
    assert Basis.NOBODY is nobody.basis and said(nobody.problem).startswith("PagerDuty does not answer and")


async def test_a_source_that_has_answered_is_not_down_because_the_next_is_slow() -> None:
    """
    The rota says that nobody is on duty, which overrules what it said before.
    """
    rota, pager = FakeSource("Rota", on(MEGAN)), HangingSource("PagerDuty", on())
    clock = FakeClock()
    on_call = OnCall([rota, pager], FakeSource(FALLBACK_NAME, on(GRACE)), FakeChoices(), clock)
    await on_call.now()
    rota.answer = on()
    clock.advance(seconds=60)

    duty = await on_call.now(patience_s=0.01)
    await on_call.close()

    assert (Basis.FALLBACK, (GRACE,)) == (duty.basis, duty.people)


async def test_an_answer_is_good_for_a_minute() -> None:
    """
    Ten cards at once are one question; a minute later it is asked again.
    """
    scene = Scene(on(MEGAN), on(), on())
    await asyncio.gather(*(scene.on_call.now() for _ in range(10)))
    asked_once = scene.pager.asked
    scene.clock.advance(seconds=60)
    await scene.on_call.now()

    assert (1, 2) == (asked_once, scene.pager.asked)


async def test_no_answer_outlives_the_hand_over_that_its_source_told() -> None:
    """
    Megan's shift ends in ten seconds, and then it is Alex, not in a minute.
    """
    scene = Scene(on(), on(), on())
    scene.pager.answer = on(MEGAN, until=scene.clock.now() + timedelta(seconds=10))
    before = await scene.on_call.now()
    scene.pager.answer = on(ALEX)
    scene.clock.advance(seconds=10)

    assert [(MEGAN,), (ALEX,)] == [before.people, (await scene.on_call.now()).people]


async def test_for_a_click_the_members_of_a_group_are_at_most_five_seconds_old() -> None:
    """
    Who was taken out of it may not approve for the rest of the minute; a card need not ask again so soon.
    """
    megan, alex = user(MEGAN, "megan@contoso.com"), user(ALEX, "alex@contoso.com")
    directory, clock = FakeDirectory(megan, alex), FakeClock()
    on_call = OnCall([GroupSource("Team", "team", Accounts(directory))], None, FakeChoices(), clock)
    await on_call.now()
    directory.users = (alex,)
    clock.advance(seconds=5)

    people = [(await on_call.now()).people, (await on_call.now(patience_s=5)).people]

    assert [(MEGAN, ALEX), (ALEX,)] == people


async def test_a_last_known_shift_is_over_when_it_said_it_would_be() -> None:
    """
    PagerDuty is down at the hand-over: the fallback group is asked, and not who was on call before it.
    """
    scene = Scene(on(), DOWN, on(GRACE))
    scene.pager.answer = on(MEGAN, until=scene.clock.now() + timedelta(hours=1))
    await scene.on_call.now()
    scene.pager.answer = DOWN
    scene.clock.advance(hours=1)
    duty = await scene.on_call.now()

    assert ((GRACE,), Basis.FALLBACK) == (duty.people, duty.basis)


async def test_of_two_replicas_the_one_that_heard_last_is_believed() -> None:
    """
    The other one has heard that it is Alex now; this one has only its own older answer in memory.
    """
    scene = Scene(on(MEGAN), DOWN, on(GRACE))
    here = scene.on_call
    await here.now()
    scene.restart()
    scene.clock.advance(minutes=10)
    scene.pager.answer = on(ALEX)
    await scene.on_call.now()
    scene.pager.answer = DOWN
    scene.clock.advance(minutes=2)
    duty = await here.now()

    assert ((ALEX,), Basis.LAST_KNOWN) == (duty.people, duty.basis)


async def test_an_answer_with_a_problem_is_asked_again_sooner() -> None:
    """
    A source that is back is heard within a quarter of a minute.
    """
    scene = Scene(DOWN, on(ALEX), on())
    await scene.on_call.now()
    scene.pager.answer = on(MEGAN)
    scene.clock.advance(seconds=15)

    assert (MEGAN,) == (await scene.on_call.now()).people


async def test_the_same_answer_is_not_written_every_minute() -> None:
    """
    Its age is kept to within five minutes, and a new answer is written at once.
    """
    scene = Scene(on(MEGAN), on(), on())
    for _ in range(5):
        await scene.on_call.now()
        scene.clock.advance(seconds=60)
    before = scene.choices.writes
    scene.pager.answer = on(ALEX)
    await scene.on_call.now()

    assert (1, 2) == (before, scene.choices.writes)


async def test_what_cannot_be_read_back_is_as_if_it_were_not_there() -> None:
    """
    Another version may have written it in another way.
    """
    scene = Scene(DOWN, DOWN, on(GRACE))
    scene.choices.kept[KEPT_AS] = '{"who": "megan"}'

    assert (GRACE,) == (await scene.on_call.now()).people


@pytest.mark.parametrize("language", ["en", "sv"])
@pytest.mark.parametrize(
    "error",
    [
        DOWN,
        Throttled("graph", 3),
        PermissionMissing("graph", permission="Schedule.Read.All"),
        Rejected("pagerduty", code="401", status=401),
        Rejected("pagerduty", code="400", status=400),
        NotFound("graph"),
        BrokenAnswer("opsgenie", what="json"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_failure_has_its_words(error: ServiceError, language: str) -> None:
    """
    The reader learns which source it was and what is the matter, and no code of ours.
    """
    duty = await Scene(error, on(ALEX), on()).on_call.now()

    assert Words(language, strict=True).t(duty.problem).startswith("PagerDuty ")


# --- accounts ---


def user(oid: str, upn: str, **more: object) -> DirectoryUser:
    return DirectoryUser(oid=oid, upn=upn, **more)


class FakeDirectory:
    """Fulfils `Directory` for a few users; ids that are errors raise."""

    def __init__(self, *users: DirectoryUser, error: ServiceError | None = None) -> None:
        self.users, self.error = users, error

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        if self.error is not None:
            raise self.error
        for one in self.users:
            if one.oid == id_or_upn:
                return one
        raise NotFound("graph")

    async def by_address(self, text: str) -> tuple[DirectoryUser, ...]:
        if self.error is not None:
            raise self.error
        return self.users

    async def group_members(self, group_id: str) -> tuple[DirectoryUser, ...]:
        return self.users


async def test_guests_and_switched_off_accounts_are_named_and_not_asked() -> None:
    """
    They never may approve, so a prompt to them would be a prompt to nobody.
    """
    guest = user("g", "rita_fabrikam.com#EXT#@contoso.com", display_name="Rita")
    off = user("o", "otto@contoso.com", display_name="Otto", account_enabled=False)
    megan = user("M", "megan@contoso.com")

    assert Found(("m",), ("Rita", "Otto")) == await Accounts(FakeDirectory(guest, off, megan)).in_group("x")


async def test_an_id_that_nobody_has_is_named() -> None:
    """
    A rota may hold somebody who has left.
    """
    assert Found(("m",), ("gone",)) == await Accounts(FakeDirectory(user("m", "m@x.org"))).with_ids(["m", "gone"])


async def test_a_directory_that_is_down_does_not_hide_who_is_on_the_rota() -> None:
    """
    Their accounts are looked at again when they click.
    """
    assert Found(("m",)) == await Accounts(FakeDirectory(error=DOWN)).with_ids(["M"])


async def test_a_directory_that_is_down_makes_addresses_unreadable() -> None:
    """
    Nobody can say whose address it is, so the source cannot be used.
    """
    with pytest.raises(Unavailable):
        await Accounts(FakeDirectory(error=DOWN)).with_addresses(["megan@contoso.com"])


async def test_what_is_no_address_is_named() -> None:
    """
    Graph refuses it as a question; that is no fault of the directory.
    """
    refusal = Rejected("graph", code="BadRequest", status=400)

    assert Found((), ("mail team",)) == await Accounts(FakeDirectory(error=refusal)).with_addresses(["mail team"])


def test_an_address_that_somebody_noted_down_proves_nothing() -> None:
    """
    Otherwise anybody who may edit that field could become the on-call.
    """
    impostor = user("i", "sam@contoso.com", other_mails=("megan@contoso.com",))

    assert owner_of("megan@contoso.com", [impostor]) is None


def test_the_upn_comes_before_other_addresses() -> None:
    """
    Who signs in by this name is meant, not who has it as an alias.
    """
    alias = user("a", "alias@contoso.com", aliases=("SMTP:megan@contoso.com",))
    megan = user("m", "Megan@contoso.com")

    assert megan == owner_of("megan@contoso.com ", [alias, megan])


def test_an_address_of_two_is_nobodys() -> None:
    """
    Asking the wrong one would be worse than saying that it is not clear.
    """
    two = [user(oid, f"{oid}@contoso.com", mail="duty@contoso.com") for oid in "ab"]

    assert owner_of("duty@contoso.com", two) is None
