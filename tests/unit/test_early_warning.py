"""An account that something points at and that sends too much is told of, within the budget of the message trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.alerts.early_warning import (
    LOOK_FOR_S,
    OFF_FOR,
    EarlyWarning,
    Look,
    Memory,
    pointed_at,
    turns,
)
from services.alerts.model import Alert, AlertKind, Report, Severity, SourceName
from services.alerts.sections import EarlyWarningSettings
from services.alerts.volume import Limits, Volume, limits_of, reasons_of, severity_of, usual_hour, volume_of
from services.cases import CaseState
from services.clients.exchange_models import OutboundPolicy, OutboundRule
from services.clients.graph_models import DirectoryUser, Domain, MessageTrace, RiskyUser
from services.errors import (
    BrokenAnswer,
    LicenceMissing,
    NotFound,
    PermissionMissing,
    Rejected,
    ServiceError,
    Throttled,
    Unavailable,
)
from services.investigation import sent
from services.store import Store, migrate
from tests.fakes.clock import FakeClock
from tests.fakes.given import case
from tests.fakes.people import ALEX, JANE, OLGA, SAM, TENANT

NOW = FakeClock().now()
ON = EarlyWarningSettings(on=True)
INSIDE = frozenset({"contoso.com"})
QUIET = Volume(external_hour=0, internal_hour=0, hour=0, hour_at=None, day=0, usual=0)


def mail(at: datetime, recipients: int, *, domain: str = "fabrikam.com", name: str = "") -> list[MessageTrace]:
    """One message to so many people, as the trace shows it: one row for each."""
    return [
        MessageTrace(
            message_id=name or f"<{at.isoformat()}-{domain}>",
            sender_address=JANE.upn,
            recipient_address=f"person{number}@{domain}",
            received_at=at,
            status="delivered",
        )
        for number in range(recipients)
    ]


def habit(recipients: int, *, hours: int = 40) -> list[MessageTrace]:
    """So many recipients in each of some hours, from two days ago back."""
    return [row for n in range(hours) for row in mail(NOW - timedelta(days=2, hours=n * 2), recipients, name=f"<h{n}>")]


# --- counting --------------------------------------------------------------------------------------------------------


def test_the_busiest_hour_is_counted_inside_and_outside() -> None:
    """Recipients, not messages; only lately, while the day counts whole."""
    rows = [
        *mail(NOW - timedelta(minutes=50), 30),
        *mail(NOW - timedelta(minutes=10), 20),
        *mail(NOW - timedelta(minutes=5), 7, domain="Contoso.com"),
        *mail(NOW - timedelta(hours=5), 400),
    ]

    volume = volume_of(rows, NOW, INSIDE, timedelta(hours=2))

    assert (50, 7, 57, 457) == (volume.external_hour, volume.internal_hour, volume.hour, volume.day)
    assert NOW - timedelta(minutes=50) == volume.hour_at


def test_the_habit_is_what_nine_in_ten_busy_hours_do_not_exceed() -> None:
    """One newsletter in a week is no habit, and what was sent today is none either."""
    messages = sent.messages([*habit(4), *mail(NOW - timedelta(days=3, minutes=1), 500), *mail(NOW, 900)])

    assert 4 == usual_hour(messages, NOW, known_from=NOW - timedelta(days=7))


def test_an_account_that_never_sent_has_a_habit_of_none() -> None:
    """Which is known, unlike that of one whose trace goes back less than two days."""
    assert 0 == usual_hour([], NOW, known_from=NOW - timedelta(days=7))
    assert usual_hour([], NOW, known_from=NOW - timedelta(days=2)) is None


def test_a_trace_that_was_cut_off_tells_no_habit() -> None:
    """The newest five thousand rows are all from today, so nobody can say what was usual."""
    rows = [row for n in range(50) for row in mail(NOW - timedelta(minutes=n), 100, name=f"<{n}>")]

    volume = volume_of(rows, NOW, INSIDE, timedelta(hours=2))

    assert volume.usual is None and 5000 == volume.day


def test_limits_come_from_the_policy_that_applies() -> None:
    """A limit of 0 is the service's own; where a rule speaks of groups the lowest one counts."""
    policies = [
        OutboundPolicy(identity="1", name="Default", is_default=True, external_per_hour=400, internal_per_hour=0),
        OutboundPolicy(identity="2", name="Sales", external_per_hour=100, recipients_per_day=500),
    ]
    of_group = [OutboundRule(policy="Sales", priority=0, sender_groups=("sales@contoso.com",))]

    assert Limits(400, None, 10_000) == limits_of(policies, [], {JANE.upn})
    assert Limits(100, None, 500) == limits_of(policies, of_group, {JANE.upn})


@pytest.mark.parametrize(
    ("volume", "limits", "keys"),
    [
        (QUIET, Limits(400, 400, 1000), []),
        ({"external_hour": 199}, Limits(external_per_hour=400), []),
        ({"external_hour": 200}, Limits(external_per_hour=400), ["early_warning.external"]),
        ({"internal_hour": 500}, Limits(internal_per_hour=1000), ["early_warning.internal"]),
        ({"day": 5000}, Limits(), ["early_warning.day"]),
        ({"hour": 50, "usual": 10}, Limits(), ["early_warning.usual"]),
        ({"hour": 49, "usual": 0}, Limits(), []),
        ({"hour": 50, "usual": 11}, Limits(), []),
        ({"hour": 5000, "usual": None}, Limits(), []),
        (
            {"external_hour": 300, "hour": 300, "usual": 3},
            Limits(400),
            ["early_warning.external", "early_warning.usual"],
        ),
    ],
)
def test_a_warning_has_its_reasons(volume: object, limits: Limits, keys: list[str]) -> None:
    """Half of a limit, or five times the habit and fifty recipients at least."""
    seen = volume if isinstance(volume, Volume) else Volume(**{**QUIET.__dict__, **volume})

    assert keys == [reason.key for reason in reasons_of(seen, limits, ON)]


def test_it_is_pressing_close_to_a_limit() -> None:
    """From nine tenths on."""
    near = Volume(**{**QUIET.__dict__, "external_hour": 360})

    assert (Severity.HIGH, Severity.MEDIUM) == (severity_of(near, Limits(400)), severity_of(near, Limits(500)))


# --- taking turns ----------------------------------------------------------------------------------------------------


def test_whoever_waited_longest_comes_first_after_those_warned_of() -> None:
    """Nobody is forgotten, and a warning is followed at once."""
    memory = Memory(
        looks={
            "late": Look(looked_at=NOW - timedelta(minutes=1)),
            "early": Look(looked_at=NOW - timedelta(hours=1)),
            "warned": Look(looked_at=NOW, since=NOW),
        }
    )

    assert ["warned", "never", "early", "late"] == turns(["late", "never", "early"], memory, 9)
    assert ["warned", "never"] == turns(["late", "never", "early"], memory, 2)
    assert ["never"] == turns(["late", "never", "early"], memory, 1)


def test_however_many_are_warned_of_everybody_else_is_looked_at() -> None:
    """By half of the looks at least; with nobody else all are for those with a warning out."""
    looks = {f"warned{n}": Look(looked_at=NOW - timedelta(minutes=9 - n), since=NOW) for n in range(8)}
    memory, others = Memory(looks=looks), [f"other{n}" for n in range(12)]

    chosen = turns(others, memory, 8)

    assert ["warned0", "warned1", "warned2", "warned3"] == chosen[:4]
    assert ["other0", "other1", "other10", "other11"] == chosen[4:]
    assert [f"warned{n}" for n in range(8)] == turns([], memory, 8)


def test_the_memory_forgets_those_whom_nothing_points_at() -> None:
    """But not before their looks have left the budget, nor while they are warned of, which ends with a restriction."""
    old, now = NOW - timedelta(hours=1), NOW
    looks = {"a": Look(looked_at=old), "b": Look(looked_at=now), "c": Look(looked_at=old, since=old)}

    assert {"b", "c"} == set(Memory(looks=looks).pruned([], [], NOW).looks)
    assert {"b"} == set(Memory(looks=looks).pruned([], ["c"], NOW).looks)


def suspected(about: str = SAM.upn, kind: AlertKind = AlertKind.SENDER_SUSPECTED, oid: str = "") -> Alert:
    report = Report(source=SourceName.DEFENDER, kind=kind, about=about, oid=oid, since=NOW, external_id=f"da-{about}")
    return Alert(
        alert_id=f"A{about}"[:16],
        tenant_id=TENANT,
        kind=kind,
        about=about,
        oid=oid,
        since=NOW,
        noticed_at=NOW,
        severity=Severity.MEDIUM,
        reports=(report,),
    )


def test_three_cheap_signals_point_at_accounts() -> None:
    """An open alert of Defender, a case that was closed within a week, and a risk."""
    closed = {"state": CaseState.CLOSED, "subject": JANE.subject()}
    cases = [
        case("C1", **closed, closed_at=NOW - timedelta(days=6)),
        case("C2", **{**closed, "subject": OLGA.subject()}, closed_at=NOW - timedelta(days=8)),
        case("C3", state=CaseState.INVESTIGATING, subject=OLGA.subject()),
    ]
    risky = [RiskyUser(user_oid=ALEX.oid), RiskyUser(user_oid=OLGA.oid, is_deleted=True)]

    pointed = pointed_at(risky, [suspected(), suspected("x", AlertKind.HEALTH)], cases, NOW)

    keys = ("early_warning.because.suspected", "early_warning.because.case", "early_warning.because.risk")
    assert dict(zip((SAM.upn, JANE.oid, ALEX.oid), keys, strict=True)) == {w: text.key for w, text in pointed.items()}


# --- the source ------------------------------------------------------------------------------------------------------


class Microsoft:
    """Fulfils what the early warning asks of Graph and Exchange, from memory; counts requests to the trace."""

    def __init__(self) -> None:
        self.people: dict[str, DirectoryUser] = {p.oid: p for p in (ALEX, JANE, SAM, OLGA)}
        self.risky: list[RiskyUser] = [RiskyUser(user_oid=JANE.oid, risk_state="atRisk")]
        self.mail: dict[str, list[MessageTrace]] = {}
        self.policy = OutboundPolicy(identity="1", name="Default", is_default=True, external_per_hour=400)
        self.asked: list[str] = []
        self.faults: dict[str, ServiceError] = {}

    def _fault(self, what: str) -> None:
        if what in self.faults:
            raise self.faults[what]

    async def risky_users(self) -> tuple[RiskyUser, ...]:
        self._fault("risk")
        return tuple(self.risky)

    async def get_user(self, id_or_upn: str) -> DirectoryUser:
        found = self.people.get(id_or_upn) or next((p for p in self.people.values() if p.upn == id_or_upn), None)
        if found is None:
            raise NotFound("graph")
        return found

    async def message_traces(
        self, sender_address: str, *, since: datetime, until: datetime, limit: int
    ) -> tuple[MessageTrace, ...]:
        self.asked.append(sender_address)
        self._fault("trace")
        self._fault(sender_address)
        rows = [r for r in self.mail.get(sender_address, []) if r.received_at and since <= r.received_at <= until]
        return tuple(sorted(rows, key=lambda row: row.received_at or NOW, reverse=True)[:limit])

    async def domains(self) -> tuple[Domain, ...]:
        return (Domain(name="contoso.com"),)

    async def outbound_policies(self) -> tuple[OutboundPolicy, ...]:
        self._fault("policies")
        return (self.policy,)

    async def outbound_rules(self) -> tuple[OutboundRule, ...]:
        return ()


@pytest.fixture
def microsoft() -> Microsoft:
    return Microsoft()


@pytest.fixture
async def plain_store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/unblock.db"
    migrate(url)
    store = Store(url, clock)
    yield store
    await store.close()


def source(store: Store, microsoft: Microsoft, clock: FakeClock, **settings: object) -> EarlyWarning:
    return EarlyWarning(store, microsoft, microsoft, clock, EarlyWarningSettings(on=True, **settings))


async def test_a_risky_account_that_sends_too_much_is_told_of_once(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """With what it sends, why it is looked at, and since when; then it is not told again while it goes on like that."""
    microsoft.mail[JANE.upn] = [*habit(3), *mail(NOW - timedelta(minutes=20), 210)]
    warning = source(plain_store, microsoft, clock)

    (report,) = (await warning.read(None)).reports
    clock.advance(minutes=1)

    assert (AlertKind.EARLY_WARNING, JANE.upn, JANE.oid) == (report.kind, report.about, report.oid)
    assert NOW - timedelta(minutes=20) == report.since and not report.is_over
    assert report.what and "early_warning.because.risk" == report.what.params["because"].key
    assert () == (await warning.read(None)).reports


async def test_it_is_over_when_the_account_is_calm_again(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """The end bears the id of the beginning, also after a restart and though nothing points at the account any more."""
    microsoft.mail[JANE.upn] = mail(NOW - timedelta(minutes=20), 210)
    (begun,) = (await source(plain_store, microsoft, clock).read(None)).reports
    microsoft.risky.clear()
    clock.advance(hours=3)

    (ended,) = (await source(plain_store, microsoft, clock).read(None)).reports

    assert begun.external_id == ended.external_id and ended.is_over
    assert ended.told_at and begun.told_at and ended.told_at > begun.told_at


async def test_a_warning_that_grew_is_told_again_as_the_same(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """Half as much again, or close to a limit."""
    microsoft.mail[JANE.upn] = mail(NOW - timedelta(minutes=20), 210)
    warning = source(plain_store, microsoft, clock)
    (first,) = (await warning.read(None)).reports
    microsoft.mail[JANE.upn] += mail(NOW - timedelta(minutes=1), 160)
    clock.advance(minutes=1)

    (second,) = (await warning.read(None)).reports

    assert (first.external_id, first.since) == (second.external_id, second.since)
    assert (Severity.MEDIUM, Severity.HIGH) == (first.severity, second.severity)


async def test_no_more_than_the_budget_is_asked_in_five_minutes(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """By all replicas together; everybody comes up in turn."""
    people = {f"id-{n:03d}": DirectoryUser(oid=f"id-{n:03d}", upn=f"p{n}@contoso.com") for n in range(100)}
    microsoft.people, microsoft.risky = people, [RiskyUser(user_oid=oid) for oid in people]

    for _ in range(10):  # five minutes, by two replicas that read in turn
        for replica in range(2):
            await source(plain_store, microsoft, clock).read(None)
            clock.advance(seconds=15 + replica)
    assert 40 == len(microsoft.asked) == len(set(microsoft.asked))

    for _ in range(10):
        clock.advance(minutes=1)
        await source(plain_store, microsoft, clock).read(None)
    assert 100 == len(set(microsoft.asked))


async def test_an_account_that_is_restricted_by_now_is_left_alone(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """Nobody needs to be warned of what has happened."""
    restricted = suspected(JANE.upn, AlertKind.SENDER_RESTRICTED, JANE.oid)
    await plain_store.alerts.merge(TENANT, restricted.names, lambda known: [(restricted, ())])
    microsoft.mail[JANE.upn] = mail(NOW - timedelta(minutes=20), 390)

    assert () == (await source(plain_store, microsoft, clock).read(None)).reports
    assert [] == microsoft.asked


@pytest.mark.parametrize("error", [LicenceMissing("graph"), PermissionMissing("graph", permission="X")])
async def test_without_licence_or_permission_it_is_off_and_no_failing_source(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock, error: ServiceError
) -> None:
    """It tries again an hour later, and is on again when it can be."""
    microsoft.faults["trace"] = error
    warning = source(plain_store, microsoft, clock)

    reading = await warning.read(None)
    assert () == reading.reports and reading.off is not None
    clock.advance(minutes=5)
    assert reading == await warning.read(None)
    assert 1 == len(microsoft.asked)

    microsoft.faults.clear()
    clock.advance(seconds=OFF_FOR.total_seconds())
    assert (await warning.read(None)).off is None and 2 == len(microsoft.asked)


async def test_one_account_without_a_licence_does_not_hide_the_others(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """Only when nobody could be looked at is it the tenant that lacks it."""
    microsoft.risky.append(RiskyUser(user_oid=SAM.oid))
    microsoft.faults[JANE.upn] = LicenceMissing("graph")
    microsoft.mail[SAM.upn] = mail(NOW - timedelta(minutes=20), 210)

    reading = await source(plain_store, microsoft, clock).read(None)

    assert ([SAM.upn], None) == ([report.about for report in reading.reports], reading.off)


async def test_without_the_licence_for_risks_the_other_signals_still_point(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """Identity Protection is one pointer of three."""
    microsoft.faults["risk"] = LicenceMissing("graph")
    alert = suspected()
    await plain_store.alerts.merge(TENANT, alert.names, lambda known: [(alert, ())])

    await source(plain_store, microsoft, clock).read(None)

    assert [SAM.upn] == microsoft.asked


@pytest.mark.parametrize("what", ["risk", "trace", "policies"])
async def test_what_cannot_be_read_fails_the_source(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock, what: str
) -> None:
    """So that nobody takes its silence for calm."""
    microsoft.faults[what] = Unavailable("graph")

    with pytest.raises(Unavailable):
        await source(plain_store, microsoft, clock).read(None)


async def test_one_account_that_cannot_be_read_does_not_hide_the_others(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """It has had its turn, and comes up again in the next round."""
    microsoft.risky.append(RiskyUser(user_oid=SAM.oid))
    microsoft.faults[JANE.upn] = BrokenAnswer("graph", what="row")
    microsoft.mail[SAM.upn] = mail(NOW - timedelta(minutes=20), 210)

    reports = (await source(plain_store, microsoft, clock).read(None)).reports

    assert [SAM.upn] == [report.about for report in reports]
    assert {JANE.upn, SAM.upn} == set(microsoft.asked)


async def test_being_asked_to_wait_ends_the_round_without_losing_what_was_seen(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """The rest of the queue comes first next time."""
    microsoft.risky += [RiskyUser(user_oid=SAM.oid), RiskyUser(user_oid=OLGA.oid)]
    microsoft.mail[JANE.upn] = mail(NOW - timedelta(minutes=20), 210)
    microsoft.faults[SAM.upn] = Throttled("graph", 60.0)

    reports = (await source(plain_store, microsoft, clock).read(None)).reports

    assert [JANE.upn] == [report.about for report in reports]
    assert OLGA.upn not in microsoft.asked


async def test_policies_of_an_hour_ago_do_while_they_cannot_be_read(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """They change seldom, and an account that sends too much does not wait."""
    warning = source(plain_store, microsoft, clock)
    await warning.read(None)
    microsoft.faults["policies"] = Rejected("exchange")
    at = clock.advance(hours=2)
    microsoft.mail[JANE.upn] = mail(at - timedelta(minutes=20), 210)

    assert 1 == len((await warning.read(None)).reports)


async def test_a_warning_about_somebody_who_was_deleted_ends(
    plain_store: Store, microsoft: Microsoft, clock: FakeClock
) -> None:
    """Nobody is left who could send."""
    microsoft.mail[JANE.upn] = mail(NOW - timedelta(minutes=20), 210)
    warning = source(plain_store, microsoft, clock)
    (begun,) = (await warning.read(None)).reports
    microsoft.people.clear()
    clock.advance(minutes=1)

    (ended,) = (await warning.read(None)).reports

    assert begun.external_id == ended.external_id and ended.is_over


def test_a_reading_ends_before_the_watch_gives_it_up() -> None:
    """The watch allows thirty seconds."""
    assert LOOK_FOR_S < 30
