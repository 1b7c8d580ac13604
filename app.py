"""
The composition root and the command line: reads settings, builds every object once, joins them, starts the server.

`python app.py --help` lists the commands. A setting that cannot be used ends the program with exit code 2 and one line
for each, before anything starts.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import structlog
from aiohttp import web

from services.errors import AuditBroken, BotError, CaseNotFound, SettingsError
from services.settings import Settings, load_settings

if TYPE_CHECKING:
    import aiohttp

    from bot.alert_poster import AlertPoster
    from bot.alert_webhook import AlertWebhook
    from bot.checks import CheckCards
    from bot.connector import Connector, ServiceHosts
    from bot.endpoint import MessagesEndpoint
    from bot.handlers import Handlers
    from bot.health import Health
    from bot.identity import BotTokenValidator
    from bot.presenter import Presenter
    from services.access import Access
    from services.alerts.desk import AlertDesk
    from services.alerts.impressions import Impressions
    from services.alerts.model import Report
    from services.alerts.ports import Source
    from services.alerts.summary import WeeklySummaries
    from services.alerts.watch import Watch
    from services.casework import Casework
    from services.changes import ChangeJobs
    from services.clients.exchange import ExchangeClient
    from services.clients.graph import GraphClient
    from services.clients.http import Sender
    from services.clients.tokens import Tokens
    from services.containment import Containment
    from services.follow_up import FollowUps
    from services.investigation.run import Investigation
    from services.oncall.on_call import OnCall
    from services.ports import Clock
    from services.prevention import Prevention
    from services.remediation import Remediation
    from services.step_up import StepUps
    from services.store import Store
    from services.tracking import Tracking

log = structlog.get_logger()


@dataclass
class Service:
    """The running bot."""

    address: str
    #: Set when another replica is taking our cases over, so that this one must stop.
    lost: asyncio.Event


@asynccontextmanager
async def running(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Service]:
    """
    The whole bot, listening, for as long as the block lasts. Everything is built here, once, and handed down.

    `clock` is the time that cases live by, for tests that own it; tokens and calls live by that of the machine.
    Imports stand here because a command such as `cases` must not wait for the bot SDK to load.
    """
    from bot.connector import Connector, ServiceHosts
    from bot.identity import BotTokenValidator
    from services import durable
    from services.clients.clouds import cloud_of
    from services.clients.http import Sender
    from services.clients.trust import open_session
    from services.clock import SystemClock
    from services.replicas import Replica
    from services.store import Store, migrate

    database_url = settings.database_url.get_secret_value()
    await asyncio.to_thread(migrate, database_url)

    async with AsyncExitStack() as closing:
        machine = SystemClock()
        clock = clock or machine
        store = Store(database_url, clock)
        closing.push_async_callback(store.close)
        replica = Replica(database_url, settings.replica_id)
        closing.push_async_callback(replica.release)
        await replica.claim()
        session = await closing.enter_async_context(open_session(settings.ca_bundle))
        tokens = _tokens(settings)
        closing.callback(tokens.close)
        bot_scope, service_hosts = cloud_of(settings.login_url).bot_scope, ServiceHosts(settings.service_hosts)
        connector = Connector(
            session,
            lambda: tokens.token(bot_scope),
            service_hosts,
            forget=lambda token: tokens.forget(bot_scope, token),
        )
        parts = _parts(settings, store, clock, connector, Sender(session, tokens, machine), session)
        closing.push_async_callback(parts.on_call.close)
        jobs = _jobs(parts)
        step_ups = _step_ups(parts, session)
        alert_poster = _alert_poster(parts, connector)
        handlers, check_cards, alert_desk = _handlers(parts, jobs, connector, step_ups, alert_poster)
        alerting = _alerting(parts, alert_poster, tokens, session)

        validator = BotTokenValidator(settings.bot_openid_url, settings.app_id, session, machine)
        endpoint = _endpoint(settings, connector, handlers, validator, service_hosts)
        health = _health(parts, tokens, bot_scope, validator)

        for job in jobs.all:
            job.take_charge()
        durable.set_up(database_url, settings.replica_id)
        closing.callback(durable.shut_down)
        for job in reversed(jobs.all):  # the first stops first, since it begins the others
            closing.push_async_callback(job.stop)
        durable.launch()
        closing.push_async_callback(parts.presenter.close)
        closing.push_async_callback(alert_poster.close)
        closing.push_async_callback(alert_desk.close)
        closing.push_async_callback(check_cards.close)
        closing.push_async_callback(endpoint.close)
        closing.push_async_callback(alerting.webhook.close)
        address = await closing.enter_async_context(_listening(settings, endpoint, health, step_ups, alerting.webhook))
        await jobs.remediation.take_up_open_cases(settings.replica_id)
        await jobs.changes.take_up()
        await jobs.followers.take_up()
        await parts.presenter.start()
        await alert_poster.start()
        alert_desk.start_looking()
        await closing.enter_async_context(alerting.running())
        lost = asyncio.Event()
        watching = asyncio.create_task(replica.watch(lost.set))
        closing.callback(watching.cancel)
        yield Service(address, lost)


@dataclass(frozen=True)
class Parts:
    """What the remediation and the handlers are both built from."""

    settings: Settings
    store: Store
    clock: Clock
    access: Access
    presenter: Presenter
    sender: Sender
    graph: GraphClient
    exchange: ExchangeClient
    investigation: Investigation
    containment: Containment
    prevention: Prevention
    on_call: OnCall


def _parts(
    settings: Settings,
    store: Store,
    clock: Clock,
    connector: Connector,
    sender: Sender,
    session: aiohttp.ClientSession,
) -> Parts:
    from bot.presenter import Presenter
    from services.access import Access
    from services.approver_health import ApproverHealth
    from services.clients.batch import batched
    from services.clients.exchange import ExchangeClient
    from services.clients.graph import GraphClient
    from services.containment import Containment
    from services.investigation.run import Investigation
    from services.oncall.build import on_call_of
    from services.prevention import Prevention

    graph = GraphClient(batched(sender, settings.graph_url), settings.graph_url)
    exchange = ExchangeClient(sender.send, settings.exchange_url, settings.tenant_id)
    on_call = on_call_of(settings.oncall, graph, session, store, clock)
    access = Access(
        graph,
        tenant_id=settings.tenant_id,
        requesters=settings.requesters,
        policy=settings.approval_policy,
        admins=settings.admins,
        on_call=on_call,
        health=ApproverHealth(graph, exchange),
    )
    presenter = Presenter(
        store=store,
        connector=connector,
        clock=clock,
        language=settings.language,
        approvals_conversation=settings.approvals_conversation,
        alerts_conversation=settings.alerts_conversation,
    )
    return Parts(
        settings=settings,
        store=store,
        clock=clock,
        access=access,
        presenter=presenter,
        sender=sender,
        graph=graph,
        exchange=exchange,
        investigation=Investigation(graph, exchange, clock),
        containment=Containment(graph, exchange, clock, asyncio.sleep),
        prevention=Prevention(graph, exchange, clock),
        on_call=on_call,
    )


@dataclass(frozen=True)
class Alerting:
    """What the bot notices and tells by itself."""

    watch: Watch
    impressions: Impressions
    weekly: WeeklySummaries
    webhook: AlertWebhook

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watching, for as long as the block lasts."""
        loops = [asyncio.create_task(self.watch.run()), asyncio.create_task(self.weekly.run())]
        try:
            yield
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self.impressions.close()


@dataclass(frozen=True)
class Jobs:
    """The durable jobs: the three steps, changes that are asked for one by one, and what comes afterwards."""

    remediation: Remediation
    changes: ChangeJobs
    followers: FollowUps

    @property
    def all(self) -> tuple[Remediation | ChangeJobs | FollowUps, ...]:
        return (self.remediation, self.changes, self.followers)


def _tokens(settings: Settings) -> Tokens:
    from services.clients.tokens import Tokens

    return Tokens(
        tenant_id=settings.tenant_id,
        app_id=settings.app_id,
        login_url=settings.login_url,
        app_type=settings.app_type.value,
        secret=settings.app_secret,
        certificate_path=settings.app_certificate_path,
        ca_bundle=settings.ca_bundle,
    )


def _jobs(parts: Parts) -> Jobs:
    """The jobs, with everything that they work with."""
    from services.changes import ChangeJobs
    from services.containment import propose
    from services.diagnosis import Diagnoses
    from services.follow_up import FollowUps
    from services.investigation.verdict import decide
    from services.protection import ProtectedAccounts
    from services.remediation import Remediation, Timing, Tools
    from services.sent_since import SentSince

    settings, people = parts.settings, (parts.store, parts.presenter, parts.clock)
    followers = FollowUps(*people, SentSince(parts.graph, parts.clock))
    remediation = Remediation(
        Tools(
            store=parts.store,
            clock=parts.clock,
            notifier=parts.presenter,
            access=parts.access,
            directory=parts.graph,
            exchange=parts.exchange,
            investigation=parts.investigation,
            decide=decide,
            propose=propose,
            containment=parts.containment,
            prevention=parts.prevention,
            diagnoses=Diagnoses(parts.graph, parts.exchange, parts.clock),
            followers=followers,
            protection=ProtectedAccounts(settings.approval_policy, parts.graph),
            policy=settings.approval_policy,
            timing=Timing(
                verify_interval_s=settings.verify_interval_seconds,
                verify_timeout_s=settings.verify_timeout_seconds,
                reading_wait_s=settings.reading_wait_seconds,
            ),
        )
    )
    changes = ChangeJobs(*people, parts.access, parts.containment, parts.prevention)
    return Jobs(remediation, changes, followers)


def _step_ups(parts: Parts, session: aiohttp.ClientSession) -> StepUps | None:
    """Fresh sign-ins for the hardest actions; None when the policy does not ask for them."""
    from services.clients.openid import OpenId
    from services.clock import SystemClock
    from services.policy import StepUp
    from services.sign_in import SIGN_IN_CALLBACK
    from services.step_up import StepUps

    settings, policy = parts.settings, parts.settings.approval_policy
    if policy.step_up is StepUp.OFF:
        return None
    provider = OpenId(
        session,
        SystemClock(),
        login_url=settings.login_url,
        tenant_id=settings.tenant_id,
        app_id=settings.app_id,
        redirect_uri=f"{settings.public_url}{SIGN_IN_CALLBACK}",
        secret=settings.app_secret,
        certificate_path=settings.app_certificate_path,
    )
    ids = {"tenant_id": settings.tenant_id, "app_id": settings.app_id}
    return StepUps(parts.store, provider, parts.clock, **ids, context=policy.step_up_context)


def _health(parts: Parts, tokens: Tokens, scope: str, validator: BotTokenValidator) -> Health:
    """The three probes."""
    from bot.health import Health
    from services.alerts.build import read_sources

    sources = read_sources(parts.settings)
    return Health(
        store=parts.store, tokens=tokens, scope=scope, validator=validator, clock=parts.clock, sources=sources
    )


def _alerting(parts: Parts, alert_poster: AlertPoster, tokens: Tokens, session: aiohttp.ClientSession) -> Alerting:
    """The watch with all that it reads, and what comes in and goes out by itself."""
    from services.alerts.build import read_sources
    from services.alerts.impressions import SIGNAL_TIMEOUT_S, SIGNALS, Impressions
    from services.alerts.joining import Joining
    from services.alerts.lifting import Lifters
    from services.alerts.watch import Watch
    from services.investigation.run import SIGNALS as EVERY_SIGNAL
    from services.investigation.run import Investigation

    store, clock, graph, exchange = parts.store, parts.clock, parts.graph, parts.exchange
    cheap = {signal_id: EVERY_SIGNAL[signal_id] for signal_id in SIGNALS}
    investigation = Investigation(graph, exchange, clock, signals=cheap, timeout_s=SIGNAL_TIMEOUT_S)
    impressions = Impressions(store, clock, investigation, graph, exchange, alert_poster.alerts_changed)
    watch = Watch(
        store,
        alert_poster,
        clock,
        _sources(parts, tokens),
        Joining(store),
        reads=read_sources(parts.settings),
        tenant_id=parts.settings.tenant_id,
        holder=parts.settings.replica_id,
        impressions=impressions,
        lifters=Lifters(store, graph, clock),
    )
    return Alerting(watch, impressions, _weekly(parts, alert_poster), _alert_webhook(parts, session, watch.take))


def _sources(parts: Parts, tokens: Tokens) -> list[Source]:
    """Everything that is read for alerts and not switched off."""
    from services.alerts.build import early_warning_of, health_of
    from services.alerts.connectors import BlockedConnectors
    from services.alerts.defender import Defender
    from services.alerts.restricted_list import RestrictedList

    settings, store, clock, graph = parts.settings, parts.store, parts.clock, parts.graph
    every_s = settings.watch_interval_seconds
    sources: list[Source | None] = [
        RestrictedList(parts.exchange, every_s),
        BlockedConnectors(parts.exchange, every_s),
        Defender(graph, clock, every_s),
        early_warning_of(settings, store, clock, graph, parts.exchange),
        health_of(settings, store, clock, graph, tokens),
    ]
    return [source for source in sources if source is not None and settings.alerts.watches(source.name)]


def _alert_webhook(
    parts: Parts, session: aiohttp.ClientSession, take: Callable[[Sequence[Report]], Awaitable[object]]
) -> AlertWebhook:
    """The door for alerts that other systems send; it opens only where the settings name who may."""
    from functools import partial

    from bot.alert_webhook import AlertWebhook
    from services.alerts.defender import reports_of
    from services.alerts.model import SourceName
    from services.alerts.webhook import Door
    from services.clients.openid import TenantKeys
    from services.clock import SystemClock

    settings, machine = parts.settings, SystemClock()
    keys = TenantKeys(session, machine, login_url=settings.login_url, tenant_id=settings.tenant_id)
    return AlertWebhook(
        door=Door(settings.alerts.senders, keys, machine, settings.tenant_id, settings.app_id, settings.login_url),
        tenant_id=settings.tenant_id,
        reports_of=partial(reports_of, source=SourceName.WEBHOOK),
        take=take,
    )


def _weekly(parts: Parts, alert_poster: AlertPoster) -> WeeklySummaries:
    """What posts the summary of the week when it is due."""
    from services.alerts.build import read_sources
    from services.alerts.summary import WeeklySummaries

    settings = parts.settings
    return WeeklySummaries(
        parts.store,
        alert_poster,
        parts.clock,
        settings.alerts.weekly,
        tenant_id=settings.tenant_id,
        holder=settings.replica_id,
        sources=read_sources(settings),
    )


def _alert_poster(parts: Parts, connector: Connector) -> AlertPoster:
    """What puts alerts before people, and hears of the cases that deal with them."""
    from bot.alert_poster import POST_PATIENCE_S, AlertPoster
    from services.alerts.calling import Calling

    settings = parts.settings
    poster = AlertPoster(
        store=parts.store,
        connector=connector.hurried(POST_PATIENCE_S),
        clock=parts.clock,
        language=settings.language,
        on_call=Calling(parts.on_call, parts.graph, settings.tenant_id),
        alerts_conversation=settings.alerts_conversation,
        approvals_conversation=settings.approvals_conversation,
        digest_from=settings.alerts.digest_from,
    )
    parts.presenter.tell_also(poster.case_changed)
    return poster


def _handlers(
    parts: Parts, jobs: Jobs, connector: Connector, step_ups: StepUps | None, alert_poster: AlertPoster
) -> tuple[Handlers, CheckCards, AlertDesk]:
    """What people type and press, and what answers; what has tasks of its own comes along, to be closed."""
    from bot.checks import CheckCards
    from bot.handlers import Handlers
    from services.access_passes import AccessPasses
    from services.alerts.build import read_sources
    from services.alerts.desk import AlertDesk
    from services.approvals import Approvals
    from services.casework import Casework
    from services.charts import Charts
    from services.checking import Checks
    from services.clients.exchange import ExchangeClient
    from services.clients.graph import GraphClient
    from services.containment.dry_run import DryRun
    from services.diagnosis import Diagnoses
    from services.explaining import Explanations
    from services.investigation.verdict import decide
    from services.oncall.telling import OnCallAnswers
    from services.protection import ProtectedAccounts

    settings = parts.settings
    approvals = Approvals(parts.store, parts.access, parts.clock)
    casework = Casework(
        store=parts.store,
        clock=parts.clock,
        access=parts.access,
        approvals=approvals,
        remediation=jobs.remediation,
        changes=jobs.changes,
        policy=settings.approval_policy,
        protection=ProtectedAccounts(settings.approval_policy, parts.graph),
        followers=jobs.followers,
        notifier=parts.presenter,
        directory=parts.graph,
        senders=parts.exchange,
        tenant_id=settings.tenant_id,
    )
    checks = Checks(
        store=parts.store,
        clock=parts.clock,
        readers=casework,
        directory=parts.graph,
        exchange=parts.exchange,
        investigation=parts.investigation,
        decide=decide,
        tenant_id=settings.tenant_id,
    )
    check_cards = CheckCards(connector, checks)
    alert_desk = AlertDesk(
        store=parts.store,
        clock=parts.clock,
        casework=casework,
        poster=alert_poster,
        lists=parts.exchange,
        sources=read_sources(settings),
        directory=parts.graph,
        tenant_id=settings.tenant_id,
    )
    handlers = Handlers(
        casework=casework,
        approvals=approvals,
        checks=checks,
        explanations=Explanations(
            store=parts.store,
            readers=casework,
            directory=parts.graph,
            exchange=parts.exchange,
            diagnoses=Diagnoses(parts.graph, parts.exchange, parts.clock),
        ),
        charts=Charts(casework, parts.graph),
        tracking=_tracking(parts, jobs, casework),
        passes=AccessPasses(
            parts.store,
            parts.access,
            parts.graph,
            ProtectedAccounts(settings.approval_policy, parts.graph),
            settings.approval_policy,
            parts.clock,
        ),
        dry_run=DryRun(
            parts.sender.send,
            lambda send: GraphClient(send, settings.graph_url),
            lambda send: ExchangeClient(send, settings.exchange_url, settings.tenant_id),
            parts.clock,
        ),
        on_call=OnCallAnswers(casework, parts.on_call, parts.graph),
        alert_desk=alert_desk,
        alert_poster=alert_poster,
        presenter=parts.presenter,
        check_cards=check_cards,
        store=parts.store,
        clock=parts.clock,
        language=settings.language,
        step_ups=step_ups,
        public_url=settings.public_url,
    )
    return handlers, check_cards, alert_desk


def _tracking(parts: Parts, jobs: Jobs, casework: Casework) -> Tracking:
    """The prevention lists."""
    from services.prevention.fixes import proposed
    from services.protection import ProtectedAccounts
    from services.tracking import Tracking

    return Tracking(
        store=parts.store,
        clock=parts.clock,
        access=parts.access,
        readers=casework,
        directory=parts.graph,
        senders=parts.exchange,
        prevention=parts.prevention,
        propose=lambda kind, case: proposed(kind, case, parts.graph, parts.exchange),
        changes=jobs.changes,
        policy=parts.settings.approval_policy,
        protection=ProtectedAccounts(parts.settings.approval_policy, parts.graph),
        followers=jobs.followers,
        notifier=parts.presenter,
        tenant_id=parts.settings.tenant_id,
    )


def _endpoint(
    settings: Settings,
    connector: Connector,
    handlers: Handlers,
    validator: BotTokenValidator,
    service_hosts: ServiceHosts,
) -> MessagesEndpoint:
    """The door for what Teams sends; whoever waits too long for an answer is told that the work goes on."""
    from bot.adapter import TeamsAdapter, invoke_card
    from bot.endpoint import MessagesEndpoint
    from bot.replies import still_working
    from cards.language import best_language
    from cards.render import render

    def fallback(incoming: Any) -> dict[str, Any]:
        return invoke_card(render(still_working(), best_language(incoming.locale, settings.language)).card)

    return MessagesEndpoint(
        adapter=TeamsAdapter(connector, handlers, fallback),
        validator=validator,
        tenant_id=settings.tenant_id,
        service_hosts=service_hosts,
        fallback=fallback,
    )


@asynccontextmanager
async def _listening(
    settings: Settings,
    endpoint: Any,
    health: Any,
    step_ups: StepUps | None = None,
    alert_webhook: AlertWebhook | None = None,
) -> AsyncIterator[str]:
    """The HTTP server; hands out its address, which matters when the port was left to the machine (0)."""
    application = web.Application()
    application.router.add_post("/api/messages", endpoint.handle)
    application.router.add_get("/healthz", health.alive)
    application.router.add_get("/readyz", health.ready)
    application.router.add_get("/metrics", health.metrics)
    if alert_webhook is not None:
        alert_webhook.add_routes(application)
    if step_ups is not None:
        from bot.step_up import StepUpPages

        pages = StepUpPages(step_ups, public_url=settings.public_url, language=settings.language)
        pages.add_routes(application)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        await site.start()
    except OSError as exc:
        await runner.cleanup()
        raise SettingsError(("port", f"cannot listen on {settings.host}:{settings.port}: {exc.strerror}")) from exc
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


# --- the command line ------------------------------------------------------------------------------------------------


def _settings(**overrides: Any) -> Settings:
    try:
        return load_settings(**overrides)
    except SettingsError as error:
        _end_with(error)


def _end_with(error: SettingsError) -> Any:
    click.echo(str(error), err=True)
    sys.exit(2)


def _set_up_logging() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(message)s")
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Unblock: the Teams bot that gets a mailbox sending again, safely."""
    _set_up_logging()


@main.command()
def serve() -> None:
    """Run the bot."""

    async def run() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        async with running(settings) as service:
            log.info("listening", address=service.address)
            waits = [asyncio.create_task(event.wait()) for event in (stop, service.lost)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
            lost = service.lost.is_set()
        log.info("stopped", because="another replica took the cases over" if lost else "asked to")
        sys.exit(int(lost))

    settings = _settings()
    try:
        asyncio.run(run())
    except SettingsError as error:
        _end_with(error)


@main.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path(".sandbox"), help="Where it keeps its keys.")
@click.option("--try", "with_bot", is_flag=True, help="Start the bot and two Teams windows as well.")
@click.option("--https-port", default=3980, show_default=True)
@click.option("--http-port", default=3981, show_default=True)
@click.option("--bot-port", default=3978, show_default=True)
def sandbox(folder: Path, with_bot: bool, https_port: int, http_port: int, bot_port: int) -> None:
    """Run a small Microsoft 365 tenant on this machine, for trying the bot."""
    from services.sandbox.tryout import serve_tenant, try_out

    if with_bot:
        sys.exit(asyncio.run(try_out(folder, bot_port=bot_port, https_port=https_port, http_port=http_port)))
    sys.exit(asyncio.run(serve_tenant(folder, bot_port=bot_port, https_port=https_port, http_port=http_port)))


@main.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), default=Path("dist/unblock.zip"))
@click.option("--app-id", envvar="UNBLOCK_APP_ID", help="Id of the app registration; else that of the settings.")
@click.option("--developer-name", help="Your organisation, as Teams shows it.")
@click.option("--website", help="https:// address of your organisation.")
@click.option("--privacy", help="https:// address of your privacy statement.")
@click.option("--terms", help="https:// address of your terms of use.")
def package(out: Path, app_id: str | None, developer_name: str, website: str, privacy: str, terms: str) -> None:
    """Build the Teams app: a zip to upload in the Teams admin center."""
    from bot.package import configured_app_id
    from bot.package import package as build

    developer = {"name": developer_name, "websiteUrl": website, "privacyUrl": privacy, "termsOfUseUrl": terms}
    try:
        built = build(app_id or configured_app_id(), developer)
    except SettingsError as error:
        _end_with(error)
    if problems := built.problems():
        click.echo("\n".join(problems), err=True)
        sys.exit(1)
    built.write(out)
    for example in built.examples:
        click.echo(f"still an example: {example}")
    if built.examples:
        click.echo("Replace them with --developer-name, --website, --privacy and --terms.")
    click.echo(f"{out}: Unblock {built.manifest['version']} for the app {built.manifest['id']}")


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def doctor(as_json: bool) -> None:
    """Check by real calls whether the bot could do its job here; changes nothing."""
    settings = _settings()
    from services.doctor import as_data, as_lines

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # the checks say it all
    try:
        checks = asyncio.run(examine(settings))
    except SettingsError as error:
        _end_with(error)
    text = json.dumps(as_data(checks), indent=2, ensure_ascii=False) if as_json else "\n".join(as_lines(checks))
    click.echo(text)
    sys.exit(any(check.stops_the_job for check in checks))


async def examine(settings: Settings) -> Any:
    """The checks of `doctor`, with everything built as for `serve` but less patient."""
    from bot.identity import BotTokenValidator
    from cards.language import Words
    from services.alerts.examining import AlertChecks
    from services.clients.exchange import ExchangeClient
    from services.clients.graph import GraphClient
    from services.clients.http import Limits, Sender
    from services.clients.trust import open_session
    from services.clock import SystemClock
    from services.doctor import Doctor
    from services.oncall.build import fallback_of, source_of

    clock = SystemClock()
    tokens = _tokens(settings)
    async with open_session(settings.ca_bundle) as session:
        sender = Sender(session, tokens, clock, limits=Limits(max_wait_s=5, max_tries=2))
        graph = GraphClient(sender.send, settings.graph_url)
        sources = [source_of(source, graph, session, clock) for source in settings.oncall.sources]
        fallback = fallback_of(settings.oncall, graph)
        examination = Doctor(
            settings=settings,
            clock=clock,
            tokens=tokens,
            directory=graph,
            mailboxes=ExchangeClient(sender.send, settings.exchange_url, settings.tenant_id),
            send=sender.send,
            keys_readable=BotTokenValidator(settings.bot_openid_url, settings.app_id, session, clock).load_keys,
            on_call=[*sources, *([fallback] if fallback else [])],
            words=Words("en").plain,
            also=[AlertChecks(settings, graph, clock).examine],
        )
        try:
            return await examination.examine()
        finally:
            tokens.close()


@main.group()
def cases() -> None:
    """Look at cases."""


@cases.command("list")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def list_cases(as_json: bool) -> None:
    """The newest cases."""
    found = asyncio.run(_with_store(lambda store: store.cases(limit=50)))
    if as_json:
        rows = [
            {
                "case_id": case.case_id,
                "state": case.state.value,
                "account": case.subject.upn if case.subject else case.query,
                "opened_at": case.opened_at.isoformat(),
            }
            for case in found
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for case in found:
        account = case.subject.upn if case.subject else case.query
        click.echo(f"{case.case_id}  {case.opened_at:%Y-%m-%d %H:%M} UTC  {case.state.value:18} {account}")


@cases.command("show")
@click.argument("case_id")
@click.option("--json", "as_data", is_flag=True, help="For machines.")
@click.option("--language", default="en", show_default=True, help="en or sv; for people only.")
def show_case(case_id: str, as_data: bool, language: str) -> None:
    """One case with its findings, actions, approvals and story."""
    from cards.report import as_json, as_text

    case, entries = _case_and_entries(case_id)
    if as_data:
        click.echo(json.dumps(as_json(case, entries), indent=2, ensure_ascii=False))
    else:
        click.echo(as_text(case, entries, language))


@cases.command("report")
@click.argument("case_id")
@click.option("--format", "form", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True)
@click.option("--language", type=click.Choice(["en", "sv"]), help="Of the Markdown; else that of the settings.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; else it is printed.")
def report_case(case_id: str, form: str, language: str | None, output: Path | None) -> None:
    """The whole evidence of a case, without secrets."""
    from cards.report import as_json, as_markdown

    case, entries = _case_and_entries(case_id)
    if form == "json":
        text = json.dumps(as_json(case, entries), indent=2, ensure_ascii=False) + "\n"
    else:
        text = as_markdown(case, entries, language or _settings().language)
    if output is None:
        click.echo(text, nl=False)
    else:
        output.write_text(text, encoding="utf-8")


def _case_and_entries(case_id: str) -> tuple[Any, Any]:
    """A case and what the audit trail has about it; says so and ends when there is none of this id."""

    async def read(store: Any) -> tuple[Any, Any]:
        case = await store.case(case_id.upper().removeprefix("#"))
        return case, await store.audit_entries(case.case_id)

    try:
        return asyncio.run(_with_store(read))
    except CaseNotFound:
        click.echo(f"there is no case {case_id}", err=True)
        sys.exit(1)


@main.group()
def audit() -> None:
    """The audit trail."""


@audit.command("verify")
def verify_audit() -> None:
    """Check that no entry of the audit trail was changed, removed or put in."""
    from services.audit import verify

    async def read(store: Any) -> tuple[Any, Any]:
        return await store.audit_trail()

    entries, head = asyncio.run(_with_store(read))
    try:
        click.echo(f"{verify(entries, head)} entries, unbroken")
    except AuditBroken as broken:
        click.echo(f"the trail is broken at entry {broken.params['seq']}", err=True)
        sys.exit(1)


async def _with_store(read: Any) -> Any:
    """Open the database of the settings, read, close it."""
    from services.clock import SystemClock
    from services.store import Store, migrate

    url = _settings().database_url.get_secret_value()
    try:
        await asyncio.to_thread(migrate, url)
    except SettingsError as error:
        _end_with(error)
    store = Store(url, SystemClock())
    try:
        return await read(store)
    finally:
        await store.close()


@main.group()
def cards() -> None:
    """What people see."""


@cards.command("preview")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
def preview_cards(out: Path) -> None:
    """Write every card in every language to OUT, as JSON and as a picture."""
    from bot.preview import preview

    try:
        for path in asyncio.run(preview(out)):
            click.echo(path)
    except BotError as error:
        click.echo(str(error), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
