"""What is wrong with the bot is told, and stays told until it is mended or known to be mended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr

from bot.health import Health as Probes
from bot.health import count_alerts, count_delays, count_sources
from cards.language import Words
from services.alerts.health import (
    ASK_EVERY,
    NOTICE,
    UNSET_AFTER,
    Check,
    ConversationCheck,
    Credential,
    CredentialCheck,
    DeliveryCheck,
    Health,
    PermissionCheck,
    SourceCheck,
    failing_sources,
    late_alerts,
    own_secret,
    trouble,
)
from services.alerts.model import Alert, AlertCopy, AlertKind, Report, Severity, SourceName, SourceState
from services.cases import say
from services.casework import ALERTS_CONVERSATION, APPROVALS_CONVERSATION
from services.clients.graph_models import AppSecret
from services.conversations import Conversation, ConversationKind
from services.errors import PermissionMissing, ServiceError, Unavailable
from services.permissions import EXCHANGE_PERMISSION, GRAPH_PERMISSIONS
from services.store import Store, migrate
from tests.fakes.clock import FakeClock
from tests.fakes.people import TENANT

NOW = FakeClock().now()
CHANNEL = "19:approvals@thread.tacv2"
ENGLISH = Words("en")


@pytest.fixture
async def plain_store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/unblock.db"
    migrate(url)
    store = Store(url, clock)
    yield store
    await store.close()


def keys(reports: Sequence[Report]) -> list[tuple[str, str]]:
    return [(report.about, report.what.key if report.what else "") for report in reports]


# --- sources ---------------------------------------------------------------------------------------------------------


def state(name: str, failures: int, **fields: object) -> SourceState:
    return SourceState(source=name, due_at=NOW, failures=failures, **fields)


def test_a_source_that_failed_three_times_running_is_told() -> None:
    """From when on nothing is seen, why, and what that means; twice is no news yet."""
    why, read_at = say("unreadable.throttled"), NOW - timedelta(minutes=4)
    states = [state("defender", 2), state("restricted_list", 3, why=why, last_read_at=read_at), state("defender", 7)]

    reports = failing_sources(states, NOW)

    assert [("source:restricted_list", "health.source_fails"), ("source:defender", "health.source_never_read")] == keys(
        reports
    )
    assert (Severity.HIGH, read_at) == (reports[0].severity, reports[0].since)
    assert reports[0].what and why == reports[0].what.params["why"]


def test_a_source_that_nobody_reads_is_told_however_seldom_it_failed() -> None:
    """Three intervals, and at least five minutes; what is read but once a week is not judged by that."""

    def told(interval_s: float | None, minutes: int) -> int:
        read_at = NOW - timedelta(minutes=minutes)
        return len(failing_sources([state("defender", 0, interval_s=interval_s, last_read_at=read_at)], NOW))

    assert [0, 1] == [told(60, 5), told(60, 6)]
    assert [0, 1, 0] == [told(600, 30), told(600, 31), told(None, 10_000)]


def test_every_source_has_words_for_what_is_not_seen() -> None:
    """Those of the settings, and the weekly summary."""
    for name in (*(set(SourceName) - {SourceName.HEALTH}), "weekly_summary"):
        for last in (None, NOW):
            for report in failing_sources([state(name, 3, last_read_at=last)], NOW):
                assert "{" not in ENGLISH.t(report.what) and "health." not in ENGLISH.t(report.what)


async def test_a_source_that_works_again_is_wrong_no_more(plain_store: Store, clock: FakeClock) -> None:
    """The reading shows the whole list of what is wrong, so that what is missing from it has ended."""
    health = Health(plain_store, [SourceCheck(plain_store, {"defender"}, clock)], 60)
    for failures in (3, 0):
        claimed = await plain_store.alerts.claim_source("defender", clock.now(), "r1", 60)
        await plain_store.alerts.release_source(claimed.model_copy(update={"failures": failures}))
        reading = await health.read(None)
        assert (AlertKind.HEALTH,) == reading.whole and bool(failures) == bool(reading.reports)


async def test_a_source_that_was_switched_off_does_not_fail(plain_store: Store, clock: FakeClock) -> None:
    """Its row stays behind in the database, with all its failures."""
    claimed = await plain_store.alerts.claim_source("defender", clock.now(), "r1", 60)
    await plain_store.alerts.release_source(claimed.model_copy(update={"failures": 9}))

    assert () == await SourceCheck(plain_store, {"restricted_list"}, clock).look()


# --- credentials -----------------------------------------------------------------------------------------------------


def certificate(path: Path, ends_at: datetime) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unblock")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ends_at - timedelta(days=365))
        .not_valid_after(ends_at)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + built.public_bytes(Encoding.PEM))
    return path


class Registrations:
    """Fulfils what is asked of the registration of the app."""

    def __init__(self, *secrets: AppSecret, fault: ServiceError | None = None) -> None:
        self.secrets, self.fault, self.asked = secrets, fault, 0

    async def app_secrets(self, app_id: str) -> Sequence[AppSecret]:
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.secrets


@pytest.mark.parametrize(
    ("days", "key", "severity"),
    [
        (31, None, None),
        (30, "health.certificate_ends", Severity.MEDIUM),
        (8, "health.certificate_ends", Severity.MEDIUM),
        (7, "health.certificate_ends", Severity.HIGH),
        (-1, "health.certificate_ended", Severity.HIGH),
    ],
)
async def test_a_certificate_that_ends_is_told_in_time(
    tmp_path: Path, clock: FakeClock, days: int, key: str | None, severity: Severity | None
) -> None:
    """From thirty days before on, and pressing from seven; always since the same moment, so that it is one alert."""
    ends_at = (NOW + timedelta(days=days)).replace(microsecond=0)
    credential = Credential("app", certificate_path=certificate(tmp_path / "app.pem", ends_at), secret=SecretStr("x"))

    found = await CredentialCheck(credential, Registrations(), clock).look()

    assert [(key, severity, ends_at - NOTICE)] * bool(key) == [(r.what.key, r.severity, r.since) for r in found]


def secret(hint: str | None, days: float) -> AppSecret:
    return AppSecret(hint=hint, ends_at=NOW + timedelta(days=days))


async def test_the_end_of_our_secret_is_known_by_its_hint(clock: FakeClock) -> None:
    """The registration shows the first three characters of each; others than ours do not matter."""
    registrations = Registrations(secret("xyz", 2), secret("abc", 20), secret(None, 3))
    check = CredentialCheck(Credential("app", secret=SecretStr("abcdef")), registrations, clock)

    (report,) = await check.look()

    assert ("secret:app", "health.secret_ends", Severity.MEDIUM) == (report.about, report.what.key, report.severity)
    assert "abc" not in report.model_dump_json()


def test_of_several_that_may_be_ours_the_first_to_end_counts() -> None:
    """But one that has ended is none that could be in use."""
    several = [secret("abc", 200), secret("abc", 20), secret("abc", -20)]

    assert several[1] == own_secret(several, "abcdef", NOW)
    assert several[2] == own_secret(several[2:], "abcdef", NOW)
    assert own_secret(several, "other", NOW) is None


async def test_the_registration_is_asked_once_an_hour(clock: FakeClock) -> None:
    """Whether it answers or has not three times running, which is not for good."""
    answers, refuses = Registrations(secret("abc", 300)), Registrations(fault=PermissionMissing("graph"))
    for registrations, first in ((answers, 1), (refuses, 3)):
        check = CredentialCheck(Credential("app", secret=SecretStr("abcdef")), registrations, clock)
        for _ in range(5):
            try:
                await check.look()
            except PermissionMissing:
                assert registrations.fault is not None
        clock.advance(seconds=ASK_EVERY.total_seconds())
        with pytest.raises(PermissionMissing) if registrations.fault else _nothing():
            await check.look()
        assert first + 1 == registrations.asked


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


async def test_a_managed_identity_has_nothing_that_ends(clock: FakeClock) -> None:
    """Nothing is asked."""
    registrations = Registrations(fault=Unavailable("graph"))

    assert () == await CredentialCheck(Credential("app"), registrations, clock).look()


# --- permissions -----------------------------------------------------------------------------------------------------


class Tokens:
    """Hands out tokens with the roles that the test gives to the app."""

    def __init__(self) -> None:
        self.roles = {
            "graph": {permission.name for permission in GRAPH_PERMISSIONS},
            "exchange": {EXCHANGE_PERMISSION.name},
        }
        self.fault: ServiceError | None = None

    async def token(self, scope: str) -> str:
        if self.fault is not None:
            raise self.fault
        return jwt.encode({"roles": sorted(self.roles[scope])}, "k" * 32, algorithm="HS256")


def permissions(store: Store, tokens: Tokens, clock: FakeClock) -> PermissionCheck:
    return PermissionCheck(store, tokens, clock, "graph", "exchange")


async def test_a_permission_that_went_missing_is_told_until_it_is_back(plain_store: Store, clock: FakeClock) -> None:
    """Since when, by whichever replica looks."""
    tokens = Tokens()
    assert [] == keys(await permissions(plain_store, tokens, clock).look())
    tokens.roles["exchange"].clear()
    tokens.roles["graph"].discard("SecurityAlert.Read.All")
    gone_at = clock.advance(minutes=1)
    await permissions(plain_store, tokens, clock).look()
    clock.advance(hours=5)

    reports = await permissions(plain_store, tokens, clock).look()

    (report,) = reports
    assert [(report.about, "health.permissions_gone")] == keys(reports)
    assert (gone_at, Severity.HIGH) == (report.since, report.severity)
    assert all(name in ENGLISH.t(report.what) for name in ("SecurityAlert.Read.All", EXCHANGE_PERMISSION.name))

    tokens.roles["exchange"].add(EXCHANGE_PERMISSION.name)
    assert [(report.about, "health.permission_gone")] == keys(await permissions(plain_store, tokens, clock).look())


async def test_a_permission_that_the_app_never_had_is_no_news(plain_store: Store, clock: FakeClock) -> None:
    """`doctor` tells of those; a wider one in its place is none that is missing."""
    tokens = Tokens()
    tokens.roles["graph"] = {"User.ReadWrite.All", "SecurityAlert.Read.All"}
    await permissions(plain_store, tokens, clock).look()
    tokens.roles["graph"] = {"User.ReadWrite.All", "SecurityAlert.ReadWrite.All"}

    assert [] == keys(await permissions(plain_store, tokens, clock).look())


# --- conversations and delivery --------------------------------------------------------------------------------------


def conversation(active: bool, seen_at: datetime = NOW) -> Conversation:
    return Conversation(
        conversation_id=CHANNEL,
        kind=ConversationKind.CHANNEL,
        service_url="https://smba.trafficmanager.net/emea/",
        tenant_id=TENANT,
        bot_id="28:bot",
        active=active,
        seen_at=seen_at,
    )


async def test_a_channel_that_the_bot_was_removed_from_is_told(plain_store: Store, clock: FakeClock) -> None:
    """Since when, and until it is back; whether by settings or chosen in chat, for a thread in it as well."""
    check = ConversationCheck(plain_store, clock, approvals=CHANNEL)
    await plain_store.choose(ALERTS_CONVERSATION, f"{CHANNEL};messageid=17")
    assert [] == await check.look()

    await plain_store.remember_conversation(conversation(False, NOW + timedelta(minutes=1)))
    reports = await check.look()
    assert ["health.approvals_gone", "health.alerts_gone"] == [report.what.key for report in reports]
    assert {NOW + timedelta(minutes=1)} == {report.since for report in reports}

    await plain_store.remember_conversation(conversation(True, NOW + timedelta(minutes=2)))
    assert [] == await check.look()


async def test_that_no_channel_is_chosen_is_told_after_a_while(plain_store: Store, clock: FakeClock) -> None:
    """Somebody who sets the bot up gets some time for it. Alerts without a channel of their own go to that one."""
    check = ConversationCheck(plain_store, clock)
    assert [] == await check.look()

    clock.advance(seconds=UNSET_AFTER.total_seconds())
    assert [("conversation:approvals_conversation", "health.approvals_unset")] == keys(await check.look())

    await plain_store.choose(APPROVALS_CONVERSATION, CHANNEL)
    assert [] == await check.look()


def alert(about: str = "jane@contoso.com", kind: AlertKind = AlertKind.SENDER_RESTRICTED, **fields: object) -> Alert:
    report = fields.pop("report", Report(source=SourceName.RESTRICTED_LIST, kind=kind, about=about, since=NOW))
    return Alert(
        alert_id=f"A{abs(hash(about))}"[:16],
        tenant_id=TENANT,
        kind=kind,
        about=about,
        since=NOW,
        noticed_at=NOW,
        severity=Severity.HIGH,
        reports=(report,),
        **fields,
    )


async def test_alerts_that_reach_nobody_for_ten_minutes_are_told(plain_store: Store, clock: FakeClock) -> None:
    """Those that were not posted, and those whose post was never confirmed; the alert about it does not count."""
    posted = alert("sam@contoso.com", posted_at=NOW)
    for one in (alert(), posted, alert("delivery:alerts", AlertKind.HEALTH)):
        await plain_store.alerts.merge(TENANT, one.names, lambda known, one=one: [(one, ())])
    begun = AlertCopy(copy_id="c1", alert_id=posted.alert_id, conversation_id=CHANNEL, posted_at=NOW)
    await plain_store.alerts.save_copy(begun)
    check = DeliveryCheck(plain_store, clock)
    clock.advance(minutes=9)
    assert () == await check.look()

    clock.advance(minutes=1)
    assert () == await check.look()
    (report,) = await check.look()

    assert ("delivery:alerts", "health.undelivered", 2) == (report.about, report.what.key, report.what.params["n"])


def test_an_alert_about_delivery_does_not_keep_itself_open() -> None:
    """When only that one is left, nothing is undelivered any more."""
    own = alert("delivery:alerts", AlertKind.HEALTH)

    assert not late_alerts([own], NOW + timedelta(hours=1))


def test_what_is_told_again_is_late_by_when_it_began_to_wait() -> None:
    """An alert of yesterday that was put off until now is not late at once."""
    began = NOW + timedelta(days=1)
    for waits in ({"waits_since": began}, {"snoozed_until": began}):
        assert not late_alerts([alert(**waits)], began + timedelta(minutes=9))
        assert late_alerts([alert(**waits)], began + timedelta(minutes=10))


# --- what cannot be looked at ----------------------------------------------------------------------------------------


class Broken:
    """A check that cannot be made."""

    prefixes = ("permission:",)

    async def look(self) -> Sequence[Report]:
        raise Unavailable("entra")


async def test_what_cannot_be_looked_at_stays_as_it_was(plain_store: Store, clock: FakeClock) -> None:
    """Not knowing whether it is mended is not knowing that it is."""
    known = trouble("permission:user.read.all", say("health.permission_gone", permission="X", resource="Y"), since=NOW)
    other = trouble("source:defender", say("health.undelivered", n=1), since=NOW)
    for report in (known, other):
        one = alert(report.about, AlertKind.HEALTH, report=report)
        await plain_store.alerts.merge(TENANT, one.names, lambda before, one=one: [(one, ())])
    checks: list[Check] = [Broken(), SourceCheck(plain_store, {"defender"}, clock)]

    assert (known,) == (await Health(plain_store, checks, 60).read(None)).reports


@pytest.mark.parametrize("fault", [PermissionMissing("graph", permission="Application.Read.All"), Unavailable("graph")])
async def test_that_the_credential_cannot_be_checked_is_told_after_three_times(
    plain_store: Store, clock: FakeClock, fault: ServiceError
) -> None:
    """Softly, since a tenant may do without that permission; it is over as soon as it can be read."""
    registrations = Registrations(secret("abc", 300), fault=fault)
    check = CredentialCheck(Credential("app", secret=SecretStr("abcdef")), registrations, clock)
    health = Health(plain_store, [check], 60)

    told = []
    for _ in range(5):
        told.append((await health.read(None)).reports)
        clock.advance(minutes=1)

    assert [0, 0, 1, 1, 1] == [len(reports) for reports in told]
    (report,) = told[-1]
    assert ("unchecked:secret", Severity.LOW) == (report.about, report.severity)
    assert all("{" not in Words(language).t(report.what) for language in ("en", "sv"))

    one = alert(report.about, AlertKind.HEALTH, report=report)
    await plain_store.alerts.merge(TENANT, one.names, lambda known: [(one, ())])
    restarted = CredentialCheck(Credential("app", secret=SecretStr("abcdef")), registrations, clock)
    assert (report,) == (await Health(plain_store, [restarted], 60).read(None)).reports

    registrations.fault = None
    clock.advance(seconds=ASK_EVERY.total_seconds())
    assert () == (await health.read(None)).reports


# --- probes ----------------------------------------------------------------------------------------------------------


class TeamsKeys:
    """Teams' signing keys are there."""

    has_keys = True


class Probed:
    """The three probes of a bot that is to read the restricted list, and itself."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store, self.clock = store, clock
        tokens, sources = Tokens(), {"restricted_list", "health", "weekly_summary"}
        self.probes = Probes(
            store=store, tokens=tokens, scope="graph", validator=TeamsKeys(), clock=clock, sources=sources
        )

    async def read(self) -> None:
        """Everything is read now."""
        for name in ("restricted_list", "health"):
            claimed = await self.store.alerts.claim_source(name, self.clock.now(), "r1", 60)
            await self.store.alerts.release_source(claimed.model_copy(update={"last_read_at": self.clock.now()}))

    async def ready(self) -> tuple[int, str, list[str]]:
        answer = await self.probes.ready(None)
        said = json.loads(answer.text)
        return answer.status, said["status"], said["wrong"]

    async def metrics(self) -> list[str]:
        return (await self.probes.metrics(None)).body.decode().splitlines()


@pytest.fixture
def probed(plain_store: Store, clock: FakeClock) -> Probed:
    return Probed(plain_store, clock)


async def test_whatever_is_wrong_with_the_bot_is_named_by_both_probes(probed: Probed) -> None:
    """A secret that has ended, a permission, a channel: what is told as an alert is told to machines as well."""
    await probed.read()
    assert (200, "ready", []) == await probed.ready()
    for about in ("secret:app", "conversation:alerts_conversation"):
        one = alert(about, AlertKind.HEALTH, report=trouble(about, say("health.alerts_gone"), severity=Severity.HIGH))
        await probed.store.alerts.merge(TENANT, one.names, lambda known, one=one: [(one, ())])

    assert (200, "degraded", ["conversation:alerts_conversation", "secret:app"]) == await probed.ready()
    told = await probed.metrics()
    assert 'unblock_health_alert{about="secret:app"} 1.0' in told
    assert 'unblock_health_alert{about="conversation:alerts_conversation"} 1.0' in told


async def test_what_is_of_low_severity_is_named_and_degrades_nothing(probed: Probed) -> None:
    """Or a tenant that never granted what is optional would be degraded for good, and nobody would look any more."""
    await probed.read()
    one = alert("unchecked:credential", AlertKind.HEALTH).model_copy(update={"severity": Severity.LOW})
    await probed.store.alerts.merge(TENANT, one.names, lambda known: [(one, ())])

    assert (200, "ready", ["unchecked:credential"]) == await probed.ready()


async def test_a_source_that_nobody_begins_to_read_is_told_some_minutes_after_the_start(
    probed: Probed, clock: FakeClock
) -> None:
    """It has no row, or one that says nothing yet; the weekly summary is first due after a week."""
    await probed.store.alerts.claim_source("restricted_list", clock.now(), "died", 60)
    assert "ready" == (await probed.ready())[1]

    clock.advance(minutes=6)

    assert "degraded" == (await probed.ready())[1]
    failing = [line for line in await probed.metrics() if line.startswith("unblock_source_failing{")]
    assert {
        'unblock_source_failing{source="health"} 1.0',
        'unblock_source_failing{source="restricted_list"} 1.0',
        'unblock_source_failing{source="weekly_summary"} 0.0',
    } == set(failing)
    await probed.read()
    assert "ready" == (await probed.ready())[1]


# --- numbers ---------------------------------------------------------------------------------------------------------


def numbers(count, *values: object) -> str:
    registry = CollectorRegistry()
    count(registry, *values)
    return generate_latest(registry).decode()


def test_the_metrics_tell_how_sources_are_doing() -> None:
    """0 stands for a source that was never read."""
    registry = CollectorRegistry()
    off = state("early_warning", 0, last_read_at=NOW, off=say("unreadable.licence"))
    count_sources(registry, [state("defender", 4), state("restricted_list", 0, last_read_at=NOW), off], {"defender"})

    def sample(name: str, source: str) -> float | None:
        return registry.get_sample_value(name, {"source": source})

    assert 4 == sample("unblock_source_failures", "defender")
    assert [1, 0] == [sample("unblock_source_failing", name) for name in ("defender", "restricted_list")]
    assert [1, 0] == [sample("unblock_source_off", name) for name in ("early_warning", "restricted_list")]
    assert 0 == sample("unblock_source_last_read_timestamp_seconds", "defender")
    assert NOW.timestamp() == sample("unblock_source_last_read_timestamp_seconds", "restricted_list")


def test_the_metrics_count_alerts_by_kind() -> None:
    """Kinds without any are 0, not absent."""
    told = numbers(count_alerts, {AlertKind.HEALTH: 2}, 1)

    assert 'unblock_alerts_open{kind="health"} 2.0' in told and 'kind="sender_restricted"} 0.0' in told
    assert "unblock_alerts_unposted 1.0" in told


def test_the_metrics_tell_how_long_blocks_took_to_be_noticed() -> None:
    """Only blocks whose start is known count."""
    blocks = [
        alert().model_copy(update={"noticed_at": NOW + timedelta(seconds=20)}),
        alert("b").model_copy(update={"noticed_at": NOW + timedelta(minutes=4)}),
        alert("c", is_since_known=False),
        alert("d", AlertKind.HEALTH),
    ]

    told = numbers(count_delays, blocks)

    assert 'unblock_block_to_alert_seconds_bucket{le="30.0"} 1.0' in told
    assert "unblock_block_to_alert_seconds_count 2.0" in told and "unblock_block_to_alert_seconds_sum 260.0" in told
