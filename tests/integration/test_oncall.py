"""The five sources over HTTP, up, down and odd, against the sandbox's Graph, PagerDuty and Opsgenie."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.clients.http import Limits
from services.clients.lanes import LaneLimits
from services.errors import BrokenAnswer, NotFound, PermissionMissing, Rejected, ServiceError, Throttled, Unavailable
from services.oncall import build, paging
from services.oncall.build import on_call_of, source_of
from services.oncall.duty import Duty, Source
from services.oncall.on_call import Basis, OnCall
from services.oncall.settings import OncallSettings
from services.sandbox.on_call import OPSGENIE_SCHEDULE, PAGERDUTY_SCHEDULE, OpsgenieSchedule, PlannedTime, Stretch
from services.sandbox.pagers import OPSGENIE_KEY, PAGERDUTY_KEY
from services.sandbox.seed import ALEX, GRACE, INES, MAIL_RESPONDERS, MEGAN, ON_CALL_TEAM, SAM
from services.sandbox.state import GRAPH
from services.store import Store
from tests.databases import prepared_sqlite
from tests.fakes.sandboxed import Bench, open_bench

NOBODY = "deadbeef-0000-4000-8000-000000000000"
SHIFTS = {"kind": "shifts", "team": ON_CALL_TEAM, "scheduling_group": "TAG_mail"}
GROUP = {"kind": "group", "group": MAIL_RESPONDERS}
PAGERDUTY = {"kind": "pagerduty", "schedules": [PAGERDUTY_SCHEDULE], "key": PAGERDUTY_KEY}
OPSGENIE = {"kind": "opsgenie", "schedule": OPSGENIE_SCHEDULE, "key": OPSGENIE_KEY}
ROTA = {"kind": "rota", "time_zone": "Europe/Stockholm", "hand_over": "08:30", "starts": "2020-01-06"}
QUICK = Limits(timeout_s=0.5, first_backoff_s=0.01, max_tries=2, lanes={paging.LANE: LaneLimits()})


@dataclass
class Pagers:
    """The tenant, and a session for what is outside of it."""

    bench: Bench
    session: aiohttp.ClientSession

    @property
    def plans(self) -> Any:
        return self.bench.sandbox.tenant.on_call

    def settings(self, *sources: dict[str, Any], fallback: str = MAIL_RESPONDERS) -> OncallSettings:
        """The section, with the paging services at the sandbox's own addresses."""
        places = {kind: f"{self.bench.sandbox.http_origin}/_{kind}" for kind in ("pagerduty", "opsgenie")}
        placed = [{**source, **_url(places.get(source["kind"]))} for source in sources]
        return OncallSettings.model_validate({"fallback_group": fallback, "sources": placed})

    def source(self, source: dict[str, Any]) -> Source:
        (settings,) = self.settings(source).sources
        return source_of(settings, self.bench.graph, self.session, self.bench.clock)

    async def duty(self, source: dict[str, Any], in_hours: float = 0) -> Duty:
        return await self.source(source).on_duty(self.bench.clock.now() + timedelta(hours=in_hours))

    def on_call(self, store: Store, *sources: dict[str, Any], **more: Any) -> OnCall:
        settings = self.settings(*sources, **more)
        return on_call_of(settings, self.bench.graph, self.session, store, self.bench.clock)


def _url(url: str | None) -> dict[str, str]:
    return {"url": url} if url else {}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once: the slow part of starting a tenant."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def pagers(keys: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pagers]:
    def quick(key: Any, session: Any, clock: Any) -> Any:
        return paging.sender_for(key, session, clock, QUICK)

    monkeypatch.setattr(build, "sender_for", quick)
    async with open_bench(keys) as bench, aiohttp.ClientSession() as session:
        yield Pagers(bench, session)


@pytest.fixture
async def store(tmp_path: Path, pagers: Pagers) -> AsyncIterator[Store]:
    url = prepared_sqlite(tmp_path / "unblock.db")
    store = Store(url, pagers.bench.clock)
    yield store
    await store.close()


# --- each source, up ---


async def test_a_group_is_read_through_other_groups(pagers: Pagers) -> None:
    """
    Megan is in the on-call team, which is in the group.
    """
    assert (MEGAN,) == (await pagers.duty(GROUP)).people


async def test_a_rota_is_checked_against_the_directory(pagers: Pagers) -> None:
    """
    Who has left is named and not asked.
    """
    duty = await pagers.duty({**ROTA, "turns": [[MEGAN, NOBODY]]})

    assert ((MEGAN,), (NOBODY,)) == (duty.people, duty.unknown)


async def test_who_is_on_shift_now_is_on_duty(pagers: Pagers) -> None:
    """
    Neither a draft, nor a shift of another group, nor one during somebody's time off counts; a draft of a time off
    does not take anybody away.
    """
    duty = await pagers.duty(SHIFTS)

    assert (MEGAN,) == duty.people
    assert duty.since and duty.until and duty.since < pagers.bench.clock.now() < duty.until


async def test_without_a_group_every_shift_of_the_team_counts(pagers: Pagers) -> None:
    """
    Ines is at the reception, and on shift.
    """
    assert (MEGAN, INES) == (await pagers.duty({**SHIFTS, "scheduling_group": ""})).people


async def test_when_one_shift_ends_the_next_one_counts(pagers: Pagers) -> None:
    """
    Sam's begins when Megan's ends; after his there is nobody.
    """
    assert [(SAM,), ()] == [(await pagers.duty(SHIFTS, hours)).people for hours in (5, 13)]


async def test_a_long_shift_and_a_long_holiday_are_seen(pagers: Pagers) -> None:
    """
    Graph finds only what lies wholly in a window, so the window is wide.
    """
    now = pagers.bench.clock.now()
    week = PlannedTime("w", ON_CALL_TEAM, ALEX, now - timedelta(hours=40), now + timedelta(hours=30), "TAG_mail")
    leave = PlannedTime("l", ON_CALL_TEAM, MEGAN, now - timedelta(days=60), now + timedelta(days=90))
    pagers.plans.shifts.append(week)
    pagers.plans.times_off.append(leave)

    assert (ALEX,) == (await pagers.duty(SHIFTS)).people


async def test_pagerduty_names_each_person_once_and_the_deleted_by_name(pagers: Pagers) -> None:
    """
    Megan is on two levels of the schedule. Carl was deleted there, so all that is left is what he was called.
    """
    duty = await pagers.duty(PAGERDUTY)

    assert ((MEGAN,), ("Carl Gone",)) == (duty.people, duty.unknown)
    assert duty.since and duty.until and duty.until > pagers.bench.clock.now()


async def test_pagerduty_is_read_to_the_last_page(pagers: Pagers) -> None:
    """
    `more` is followed, and the lowest level comes first whatever page it stands on.
    """
    alex = Stretch(PAGERDUTY_SCHEDULE, "Alex Wilber", "Alex@contoso.com", level=0)
    pagers.plans.pagerduty += [Stretch(PAGERDUTY_SCHEDULE, f"Away {n}", f"away{n}@x.example") for n in range(120)]
    pagers.plans.pagerduty.append(alex)
    duty = await pagers.duty(PAGERDUTY)

    assert ((ALEX, MEGAN), 121) == (duty.people, len(duty.unknown))


async def test_a_gap_in_the_schedule_of_pagerduty_is_nobody(pagers: Pagers) -> None:
    """
    That is an answer. Who comes on call a moment later is not on call yet.
    """
    at = pagers.bench.clock.now() + timedelta(hours=4)
    pagers.plans.pagerduty.append(Stretch(PAGERDUTY_SCHEDULE, "Sam", "sam@contoso.com", at + timedelta(seconds=50)))

    assert Duty() == await pagers.source(PAGERDUTY).on_duty(at)


@pytest.mark.parametrize("by", [{}, {"schedule": "id-mail-on-call", "schedule_by": "id"}])
async def test_opsgenie_names_whom_entra_does_not_know(pagers: Pagers, by: dict[str, str]) -> None:
    """
    By name or by id of the schedule.
    """
    duty = await pagers.duty({**OPSGENIE, **by})

    assert ((MEGAN,), ("duty@partner.example",)) == (duty.people, duty.unknown)


async def test_a_schedule_of_opsgenie_that_is_switched_off_is_nobody(pagers: Pagers) -> None:
    """
    It calls nobody, so nobody of it is asked.
    """
    pagers.plans.opsgenie[0].enabled = False

    assert Duty() == await pagers.duty(OPSGENIE)


async def test_a_name_with_a_slash_is_one_name(pagers: Pagers) -> None:
    """
    It stays one step of the path.
    """
    pagers.plans.opsgenie.append(OpsgenieSchedule("Mail/on call?", ["alex@contoso.com"]))

    assert (ALEX,) == (await pagers.duty({**OPSGENIE, "schedule": "Mail/on call?"})).people


# --- each source, down ---


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("unavailable", Unavailable),
        ("throttle", Throttled),
        ("forbidden", PermissionMissing),
        ("broken_json", BrokenAnswer),
        ("drop_connection", Unavailable),
    ],
)
@pytest.mark.parametrize("source", [GROUP, SHIFTS, PAGERDUTY, OPSGENIE], ids=lambda source: source["kind"])
async def test_a_source_that_cannot_be_read_says_so(
    pagers: Pagers, source: dict[str, Any], kind: str, error: type[ServiceError]
) -> None:
    """
    It is an error and never an empty list.
    """
    service = source["kind"] if source in (PAGERDUTY, OPSGENIE) else "graph"
    pagers.bench.fault(kind, service=service)

    with pytest.raises(error):
        await pagers.duty(source)


async def test_times_off_that_cannot_be_read_make_shifts_unreadable(pagers: Pagers) -> None:
    """
    Whether somebody on shift is away would not be known.
    """
    pagers.bench.fault("unavailable", path_regex="timesOff")

    with pytest.raises(Unavailable):
        await pagers.duty(SHIFTS)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ({**SHIFTS, "team": NOBODY}, NotFound),
        ({**GROUP, "group": NOBODY}, NotFound),
        ({**OPSGENIE, "schedule": "Nights"}, NotFound),
        ({**PAGERDUTY, "key": "wrong"}, Rejected),
        ({**OPSGENIE, "key": "wrong"}, Rejected),
    ],
)
async def test_settings_that_name_what_is_not_there_are_an_error(
    pagers: Pagers, source: dict[str, Any], error: type[ServiceError]
) -> None:
    """
    A misspelt schedule or an old key is not an empty one.
    """
    with pytest.raises(error):
        await pagers.duty(source)


async def test_without_its_permission_shifts_cannot_be_read(pagers: Pagers) -> None:
    """
    Other permissions do not make up for it.
    """
    pagers.bench.sandbox.tenant.app.roles[GRAPH].discard("Schedule.Read.All")

    with pytest.raises(PermissionMissing) as refusal:
        await pagers.duty(SHIFTS)

    assert "Schedule.Read.All" == refusal.value.params["permission"]


async def test_pages_without_an_end_are_no_answer(pagers: Pagers) -> None:
    """
    A list that never ends is a fault of the service, and is not read for ever.
    """
    pagers.plans.pagerduty += [Stretch(PAGERDUTY_SCHEDULE, f"Away {n}", f"a{n}@x.example") for n in range(1100)]

    with pytest.raises(BrokenAnswer):
        await pagers.duty(PAGERDUTY)


async def test_a_key_goes_to_its_own_service_alone(pagers: Pagers, caplog: pytest.LogCaptureFixture) -> None:
    """
    Graph sees neither key, and no log or journal has one.
    """
    for source in (PAGERDUTY, OPSGENIE, SHIFTS):
        await pagers.duty(source)
    written = "".join(pagers.bench.journal()) + caplog.text

    assert {"pagerduty", "opsgenie", "graph"} <= {entry.service for entry in pagers.bench.sandbox.journal.requests()}
    assert PAGERDUTY_KEY not in written and OPSGENIE_KEY not in written


async def test_shifts_are_read_without_the_header_of_old(pagers: Pagers) -> None:
    """
    Two reads, one for shifts and one for times off, each with every property once.
    """
    await pagers.duty(SHIFTS)
    paths = [entry.path for entry in pagers.bench.sandbox.journal.requests(path="/schedule/")]

    assert 2 == len(paths)
    assert all(1 == path.count("startDateTime") == path.count("endDateTime") for path in paths)


# --- all together ---


async def test_the_next_source_answers_while_the_first_is_down(pagers: Pagers, store: Store) -> None:
    """
    PagerDuty is down, Shifts knows Megan, and the answer says so.
    """
    pagers.bench.fault("unavailable", service="pagerduty")
    duty = await pagers.on_call(store, PAGERDUTY, SHIFTS).now()

    assert ((MEGAN,), "Teams Shifts", False) == (duty.people, duty.source, duty.stale)
    assert duty.problem is not None


async def test_an_outage_of_everything_leaves_the_last_known_answer(pagers: Pagers, store: Store) -> None:
    """
    Also in a new process, because the database has it.
    """
    before = await pagers.on_call(store, OPSGENIE, fallback=ON_CALL_TEAM).now()
    pagers.bench.fault("unavailable")
    after = await pagers.on_call(store, OPSGENIE, fallback=ON_CALL_TEAM).now()

    assert (Basis.SOURCE, Basis.LAST_KNOWN) == (before.basis, after.basis)
    assert ((MEGAN,), before.as_of, before.unknown) == (after.people, after.as_of, after.unknown)


async def test_an_outage_from_the_start_leaves_the_fallback_group(pagers: Pagers, store: Store) -> None:
    """
    Nothing was known before, so the group in Entra is asked.
    """
    pagers.bench.fault("drop_connection", service="opsgenie")
    duty = await pagers.on_call(store, OPSGENIE).now()

    assert ((MEGAN,), Basis.FALLBACK) == (duty.people, duty.basis)


async def test_without_anything_that_answers_it_is_said_that_nobody_is_known(pagers: Pagers, store: Store) -> None:
    """
    Paging service and directory are both down.
    """
    pagers.bench.fault("unavailable")
    duty = await pagers.on_call(store, PAGERDUTY, SHIFTS).now()

    assert ((), Basis.NOBODY) == (duty.people, duty.basis)
    assert duty.problem is not None and "oncall.problem.nobody" == duty.problem.key


async def test_a_switched_off_account_on_shift_is_named_and_the_next_source_asked(pagers: Pagers, store: Store) -> None:
    """
    Megan cannot approve with an account that is switched off.
    """
    pagers.bench.person("megan").account_enabled = False
    duty = await pagers.on_call(store, SHIFTS, {**ROTA, "turns": [GRACE]}).now()

    assert ((GRACE,), ("Megan Bowen",)) == (duty.people, duty.unknown)
