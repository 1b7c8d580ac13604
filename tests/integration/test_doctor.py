"""`app.py doctor` against the sandbox tenant: what it finds, what it advises, and what it must not overlook."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat
from cryptography.x509.oid import NameOID

from app import examine
from services.casework import APPROVALS_CONVERSATION
from services.conversations import Conversation, ConversationKind
from services.doctor import Check, Result, as_lines, roles_of
from services.permissions import GRAPH_PERMISSIONS
from services.sandbox.seed import ALEX, GUEST, MAIL_RESPONDERS, MEGAN, NILS, ON_CALL_TEAM
from services.sandbox.server import Sandbox, start_tenant
from services.sandbox.state import EXCHANGE, GRAPH
from services.settings import Settings
from services.store import Store, migrate
from tests.contract.test_schema import claim_revision
from tests.fakes.clock import FakeClock

ROOT = Path(__file__).parents[2]
NOBODY = "deadbeef-0000-4000-8000-000000000000"
CHANNEL = "19:approvals@thread.tacv2"
#: A section that needs the permission for Teams Shifts, as the environment has it.
ON_SHIFT = json.dumps({"fallback_group": ON_CALL_TEAM, "sources": [{"kind": "shifts", "team": ON_CALL_TEAM}]})


@dataclass
class Found:
    """What the doctor said."""

    checks: tuple[Check, ...]
    by_name: dict[str, list[Check]] = field(init=False)

    def __post_init__(self) -> None:
        self.by_name = {}
        for check in self.checks:
            self.by_name.setdefault(check.name, []).append(check)

    def __getitem__(self, name: str) -> Check:
        """The only check of this name."""
        (check,) = self.by_name[name]
        return check

    @property
    def stopping(self) -> list[str]:
        return [check.name for check in self.checks if check.stops_the_job]

    @property
    def problems(self) -> list[str]:
        return [check.name for check in self.checks if check.result is Result.PROBLEM]


@dataclass
class House:
    """A tenant, and an installation of the bot in it that has not started yet."""

    tenant: Sandbox
    folder: Path

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.folder}/unblock.db"

    def settings(self, **changes: Any) -> dict[str, Any]:
        given = {"database_url": self.database_url, "oncall": ON_SHIFT}
        return {**self.tenant.settings(), **given, **changes}

    async def examined(self, **changes: Any) -> Found:
        return Found(await examine(Settings(**self.settings(**changes))))

    def take_away(self, permission: str, resource: str = GRAPH) -> None:
        self.tenant.tenant.app.roles[resource].discard(permission)

    def fault(self, kind: str, **match: str) -> None:
        self.tenant.tenant.faults.add({"match": match, "kind": kind, "times": -1})


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once: the slow part of starting a tenant."""
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture
async def house(keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    for name in [name for name in os.environ if name.startswith("UNBLOCK_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    tenant = await start_tenant(keys)
    yield House(tenant, tmp_path)
    await tenant.close()


# --- all is well -----------------------------------------------------------------------------------------------------


async def test_a_good_installation_can_do_its_job(house: House) -> None:
    """
    In a tenant that has granted everything, only the approvals conversation is left to choose; that one approver is
    enough for an override, as the sandbox has it, is pointed out.
    """
    found = await house.examined()

    assert ([], ["approval policy", "approvals conversation"]) == (found.stopping, found.problems)
    assert "approvals here" in found["approvals conversation"].to_do
    assert {f"permission {permission.name}" for permission in GRAPH_PERMISSIONS} <= set(found.by_name)


async def test_the_policy_is_explained_with_names(house: House) -> None:
    """
    Two for high impact, from Megan by name, then the responders; that two are needed of one person is a problem.
    """
    section = json.dumps({"chain": [[MAIL_RESPONDERS]], "escalate_after_minutes": [10]})
    said = {check.found: check.result for check in (await house.examined(approvals=section)).by_name["approval policy"]}

    assert said["High impact: two different approvers from Megan Bowen (megan@contoso.com)."] is Result.OK
    assert said["No answer after 10 min: the question also goes to Mail responders."] is Result.OK
    alone = (await house.examined(approvals="{}")).by_name["approval policy"]
    assert "High impact: needs two different approvers, but only 1 person can be asked." in [c.found for c in alone]


async def test_the_sources_of_on_call_people_are_asked(house: House) -> None:
    """
    One that answers says who it is; one that is down is a problem that stops nothing.
    """
    rota = {"kind": "rota", "time_zone": "Europe/Stockholm", "hand_over": "08:30", "starts": "2020-01-06"}
    down = {"kind": "pagerduty", "schedules": ["P1"], "key": "pd-key-of-ours", "url": "http://127.0.0.1:9"}
    section = {"fallback_group": MAIL_RESPONDERS, "sources": [rota | {"turns": [MEGAN]}, down]}
    found = await house.examined(oncall=json.dumps(section))

    assert found["on call: Rota"].found.startswith("Megan Bowen (megan@contoso.com), until 20")
    assert Result.PROBLEM is found["on call: PagerDuty"].result
    assert "pd-key-of-ours" not in str(found.checks) and [] == found.stopping


async def test_a_policy_that_asks_the_on_call_needs_a_source(house: House) -> None:
    """
    Otherwise nobody would be asked, and nobody told.
    """
    found = await house.examined(oncall="{}", approvals='{"rules": [{"from": ["oncall"]}]}')

    assert "no source says who that is" in found["on call"].found


async def test_signing_in_again_is_looked_at_where_the_policy_asks_for_it(house: House) -> None:
    """
    Redirect URI and claim, one after the other; without step-up nobody needs either.
    """
    asks = {"approvals": '{"step_up": "critical"}', "public_url": "https://bot.contoso.com"}
    app, name = house.tenant.tenant.app, "signing in again"

    assert name not in (await house.examined()).by_name
    assert "https://bot.contoso.com/step-up/callback is not" in (await house.examined(**asks))[name].found
    app.redirect_uris.append("https://bot.contoso.com/step-up/callback")
    assert "auth_time" in (await house.examined(**asks))[name].to_do
    app.id_token_claims.append("auth_time")
    assert Result.OK is (await house.examined(**asks))[name].result


async def test_an_app_registration_that_cannot_be_read_is_not_taken_for_right(house: House) -> None:
    """
    What to register is said all the same.
    """
    house.fault("forbidden", path_regex="applications\\(")
    asks = {"approvals": '{"step_up": "critical"}', "public_url": "https://bot.contoso.com"}

    assert Result.UNCHECKED is (await house.examined(**asks))["signing in again"].result


async def test_it_changes_nothing(house: House) -> None:
    """
    The tenant is as before, and no database has been made.
    """
    await house.examined()

    assert [] == list(house.tenant.journal.changes)
    assert [] == list(house.folder.glob("*.db"))


async def test_it_says_how_exchange_was_tried(house: House) -> None:
    """
    Which cmdlets were run, and on whom, and that changing was not tried.
    """
    found = await house.examined()

    assert "Get-BlockedSenderAddress was run" in found["reading the restricted list"].found
    assert "mailbox of Alex Wilber (alex@contoso.com)" in found["reading inbox rules"].found
    assert "Changing one was not tried" in found["reading inbox rules"].found


# --- credentials -----------------------------------------------------------------------------------------------------


async def test_a_wrong_secret_is_told_with_what_to_do(house: House) -> None:
    """
    Entra's number for it becomes advice; what needs a token could not be checked and is not called good.
    """
    found = await house.examined(app_secret="wr0ng-value")

    assert "token for Microsoft Graph" in found.stopping
    assert "Set app_secret to the value of the secret" in found["token for Microsoft Graph"].to_do
    assert Result.UNCHECKED is found["permission User.Read.All"].result
    assert Result.UNCHECKED is found["approvers"].result
    assert "wr0ng-value" not in "\n".join(as_lines(found.checks))


async def test_an_unreachable_login_is_told(house: House) -> None:
    """
    Nobody answers at the address of Entra: that is said, with the setting to look at.
    """
    found = await house.examined(login_url="https://127.0.0.1:9")

    assert "token for the Bot Connector" in found.stopping
    assert "Entra did not answer." == found["token for the Bot Connector"].found
    assert "login_url" in found["token for the Bot Connector"].to_do


async def test_unreadable_keys_of_the_bot_framework_are_told(house: House) -> None:
    """
    Without these keys the bot can accept no message.
    """
    found = await house.examined(bot_openid_url=f"{house.tenant.origin}/nothing/here")

    assert ["keys of the Bot Framework"] == found.stopping


def certificate(folder: Path, days_left: float) -> Path:
    """A PEM file with a key and a certificate that expires so many days from now."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "unblock")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    dated = made.not_valid_before(now - timedelta(days=400)).not_valid_after(now + timedelta(days=days_left))
    signed = dated.sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "bot.pem"
    path.write_bytes(private + signed.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize(
    ("days_left", "result", "stops", "said"),
    [
        (200.5, Result.OK, False, "It is good until"),
        (10.5, Result.PROBLEM, False, "in 10 days"),
        (-1.0, Result.PROBLEM, True, "It expired on"),
    ],
)
async def test_a_certificate_that_ends_soon_is_told(
    house: House, days_left: float, result: Result, stops: bool, said: str
) -> None:
    """
    Thirty days before its end it is a problem, and after its end it stops the job.
    """
    path = certificate(house.folder, days_left)
    house.tenant.tenant.app.certificates.append(
        x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    )

    check = (await house.examined(app_certificate_path=path))["certificate"]

    assert (result, stops) == (check.result, check.stops_the_job)
    assert said in check.found


async def test_a_certificate_without_its_key_is_told(house: House) -> None:
    """
    A file that holds something else is named, as is its setting.
    """
    path = house.folder / "bot.pem"
    path.write_text("not a certificate")

    found = await house.examined(app_certificate_path=path)

    assert "certificate" in found.stopping
    assert found["certificate"].found.startswith("app_certificate_path: ")


# --- permissions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permission", GRAPH_PERMISSIONS, ids=lambda permission: permission.name)
async def test_a_missing_permission_is_told_with_what_it_costs(house: House, permission: Any) -> None:
    """
    Each permission has its line, which says what stops working; only some of them stop the main job.
    """
    for name in (permission.name, *permission.or_instead):
        house.take_away(name)

    found = await house.examined()

    check = found[f"permission {permission.name}"]
    assert (Result.PROBLEM, permission.essential) == (check.result, check.stops_the_job)
    assert permission.without_it in check.found
    assert "admin consent" in check.to_do


async def test_the_permission_for_shifts_is_only_asked_for_where_shifts_are_read(house: House) -> None:
    """
    An administrator is not to grant what nothing needs.
    """
    house.take_away("Schedule.Read.All")

    assert "permission Schedule.Read.All" not in (await house.examined(oncall={})).by_name


async def test_an_app_without_any_permission_is_told(house: House) -> None:
    """
    A token without permissions has no list of them at all, and each is told as missing.
    """
    house.tenant.tenant.app.roles[GRAPH].clear()

    found = await house.examined()

    assert {f"permission {permission.name}" for permission in GRAPH_PERMISSIONS} <= set(found.problems)


async def test_exchange_needs_its_permission(house: House) -> None:
    """
    Without Exchange.ManageAsApp nothing can be unblocked.
    """
    house.take_away("Exchange.ManageAsApp", EXCHANGE)

    found = await house.examined()

    assert {"permission Exchange.ManageAsApp", "reading the restricted list"} <= set(found.stopping)


@pytest.mark.parametrize(
    ("role", "stopping"),
    [("", ["reading the restricted list", "reading inbox rules"]), ("Global Reader", ["reading inbox rules"])],
)
async def test_exchange_needs_a_role_too(house: House, role: str, stopping: list[str]) -> None:
    """
    No role, and nothing can be read; a reading role, and inbox rules cannot.
    """
    house.tenant.tenant.app.exchange_role = role

    found = await house.examined()

    assert stopping == found.stopping
    assert "Exchange Administrator" in found[stopping[-1]].to_do


@pytest.mark.parametrize("token", ["opaque", "a.b.c", ""])
def test_a_token_that_cannot_be_read_says_nothing(token: str) -> None:
    """
    Unreadable is not the same as without permissions.
    """
    assert roles_of(token) is None


# --- people ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "said", "stops"),
    [
        ("requesters", "Nobody may ask for an unblock", True),
        ("approvers", "Nobody may approve", True),
        ("admins", "Nobody may choose", False),
    ],
)
async def test_an_empty_list_is_told(house: House, setting: str, said: str, stops: bool) -> None:
    """
    Empty means nobody, which is said in these words.
    """
    check = (await house.examined(**{setting: ""}))[setting]

    assert (Result.PROBLEM, stops) == (check.result, check.stops_the_job)
    assert said in check.found


async def test_groups_are_named_and_counted(house: House) -> None:
    """
    A group's own groups are looked into as well.
    """
    found = await house.examined(approvers=MAIL_RESPONDERS)

    assert "the group Mail responders, with 1 person who may" == found["approvers"].found
    assert Result.OK is found["somebody to approve"].result


@pytest.mark.parametrize(
    ("entry", "said"), [(NOBODY, f"{NOBODY} is not in this tenant."), (GUEST, "is a guest and never may.")]
)
async def test_an_entry_who_cannot_be_meant_is_told(house: House, entry: str, said: str) -> None:
    """
    An id that is nobody's, and a guest, are problems even among good ones; alone they leave nobody to approve.
    """
    found = await house.examined(approvers=f"{MEGAN},{entry}")
    alone = await house.examined(approvers=entry)

    assert said in found.by_name["approvers"][1].found
    assert ([], ["somebody to approve"]) == (found.stopping, alone.stopping)


async def test_a_disabled_account_does_not_count(house: House) -> None:
    """
    Whoever cannot sign in cannot approve.
    """
    house.tenant.tenant.person(MEGAN).account_enabled = False

    found = await house.examined()

    assert "is a disabled account and never may" in found["approvers"].found
    assert ["somebody to approve"] == found.stopping


async def test_a_requester_who_is_the_only_approver_is_told(house: House) -> None:
    """
    Nobody approves their own request, so a case of Alex would wait for ever.
    """
    found = await house.examined(approvers=ALEX)
    with_another = await house.examined(approvers=ALEX, requesters=f"{ALEX},{MEGAN}")

    assert ["somebody to approve"] == found.stopping
    assert "Alex Wilber" in found["somebody to approve"].found
    assert ([], Result.PROBLEM) == (with_another.stopping, with_another["somebody to approve"].result)


async def test_people_who_cannot_be_looked_up_are_not_called_good(house: House) -> None:
    """
    While Graph is down, whether there is an approver is unknown, and so is whether the job can be done.
    """
    house.fault("unavailable", service="graph")

    found = await house.examined()

    assert Result.UNCHECKED is found["approvers"].result
    assert "Microsoft Graph did not answer." in found["approvers"].found
    assert ["somebody to approve"] == found.stopping


async def test_rules_are_tried_on_somebody_with_a_mailbox(house: House) -> None:
    """
    An admin without a mailbox is passed over; with nobody at all, rules could not be checked.
    """
    passed_over = await house.examined(admins=NILS)
    nobody = await house.examined(admins="", approvers="", requesters="")

    assert "mailbox of Megan Bowen" in passed_over["reading inbox rules"].found
    assert Result.UNCHECKED is nobody["reading inbox rules"].result


# --- database and Teams ----------------------------------------------------------------------------------------------


async def test_the_database_is_looked_at(house: House) -> None:
    """
    One that is up to date is said to be, and one of a version that this program does not know stops it.
    """
    await asyncio.to_thread(migrate, house.database_url)
    assert "up to date" in (await house.examined())["database"].found

    claim_revision(house.database_url, "9999")

    assert ["database"] == (await house.examined()).stopping


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda path: path.write_text("These are not the tables you are looking for." * 40), "file is not a database"),
        (lambda path: None, "no file can be written in the folder"),
    ],
    ids=["another file", "no folder"],
)
async def test_a_database_that_cannot_be_used_is_told(house: House, make: Callable[[Path], object], said: str) -> None:
    """
    A file that is no database, and a folder that is not there.
    """
    path = house.folder / "other.db"
    make(path)
    url = f"sqlite:///{path}" if path.exists() else f"sqlite:///{house.folder}/nowhere/unblock.db"

    check = (await house.examined(database_url=url))["database"]

    assert check.stops_the_job
    assert check.found.startswith("database_url: ") and said in check.found


@pytest.mark.parametrize(
    ("active", "result", "said"),
    [
        (True, Result.OK, "the bot is in it"),
        (False, Result.PROBLEM, "The bot was removed"),
        (None, Result.UNCHECKED, "has not heard from there"),
    ],
)
async def test_the_approvals_conversation_is_looked_at(
    house: House, active: bool | None, result: Result, said: str
) -> None:
    """
    Chosen in chat: the bot is in it, was removed from it, or has never heard from it.
    """
    await asyncio.to_thread(migrate, house.database_url)
    store = Store(house.database_url, FakeClock())
    await store.choose(APPROVALS_CONVERSATION, CHANNEL)
    if active is not None:
        await store.remember_conversation(conversation(active))
    await store.close()

    check = (await house.examined())["approvals conversation"]
    assert result is check.result
    assert said in check.found


def conversation(active: bool) -> Conversation:
    return Conversation(
        conversation_id=CHANNEL,
        kind=ConversationKind.CHANNEL,
        service_url="https://127.0.0.1/",
        tenant_id=NOBODY,
        bot_id="28:bot",
        active=active,
        seen_at=datetime(2026, 11, 24, tzinfo=UTC),
    )


async def test_the_approvals_conversation_may_come_from_the_settings(house: House) -> None:
    """
    Before the first start there is no database to ask, and a setting that is there is not called missing.
    """
    check = (await house.examined(approvals_conversation=CHANNEL))["approvals conversation"]

    assert Result.UNCHECKED is check.result


# --- the command -----------------------------------------------------------------------------------------------------


async def run(*arguments: str, environment: dict[str, Any]) -> tuple[int, str, str]:
    """`app.py doctor` as a process of its own: exit code, output, errors."""
    variables = {f"UNBLOCK_{name.upper()}": str(value) for name, value in environment.items()}
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "app.py"), "doctor", *arguments),
        env={**os.environ, **variables},
        stdout=pipe,
        stderr=pipe,
    )
    output, errors = await process.communicate()
    return process.returncode or 0, output.decode(), errors.decode()


async def test_the_command_prints_a_line_for_each_check(house: House) -> None:
    """
    All is well: exit code 0, nothing but the lines and their sum.
    """
    code, output, errors = await run(environment=house.settings())

    assert (0, "") == (code, errors)
    assert "ok                    approvers: Megan Bowen (megan@contoso.com)" in output
    assert output.rstrip().endswith("The main job can be done.")


async def test_the_command_fails_when_the_job_cannot_be_done(house: House) -> None:
    """
    Exit code 1, and the same for machines.
    """
    code, output, _ = await run("--json", environment=house.settings(approvers=""))
    said = json.loads(output)

    assert (1, False) == (code, said["can_do_its_job"])
    assert ["approvers", "somebody to approve"] == [row["name"] for row in said["checks"] if row["stops_the_job"]]


async def test_the_command_refuses_bad_settings_as_serve_does(house: House) -> None:
    """
    Exit code 2, and one line that names the setting.
    """
    code, output, errors = await run(environment=house.settings(language="fr"))

    assert (2, "", "language: must be one of: en, sv\n") == (code, output, errors)


# --- alerts ----------------------------------------------------------------------------------------------------------


async def test_what_is_watched_is_explained(house: House) -> None:
    """
    Every source and how often, who may send alerts, and when the summary comes; all of it is off or on as it is set.
    """
    plain = await house.examined()
    section = {"off": ["defender"], "webhook": {"app_role": True, "secret": "s" * 40}, "weekly": {"on": False}}
    other = await house.examined(alerts=json.dumps(section))

    assert "Watched every 60 seconds: the restricted list, " in plain["alerts"].found
    assert "Switched off: alerts of Defender." in other["alerts"].found
    assert "Closed" in plain["alert webhook"].found and "It is off" in plain["early warning"].found
    assert (
        "app role Alerts.Write" in other["alert webhook"].found
        and "signed with the secret" in other["alert webhook"].found
    )
    assert "s" * 40 not in str(other.checks)
    assert "The next one is due" in plain["weekly summary"].found and "It is off." == other["weekly summary"].found


async def test_without_the_restricted_list_nothing_is_sure(house: House) -> None:
    """
    It may be left out, and is a problem then.
    """
    found = await house.examined(alerts=json.dumps({"off": ["restricted_list"]}))

    assert Result.PROBLEM is found["alerts"].result and [] == found.stopping


@pytest.mark.parametrize(
    ("days", "result", "said"),
    [(200.0, Result.OK, "good until"), (20.0, Result.PROBLEM, "It ends on")],
)
async def test_a_secret_that_ends_soon_is_told(house: House, days: float, result: Result, said: str) -> None:
    """
    As the app registration has it.
    """
    house.tenant.tenant.app.secret_days = days

    check = (await house.examined())["client secret"]

    assert result is check.result and said in check.found


async def test_an_end_of_the_secret_that_cannot_be_read_is_said(house: House) -> None:
    """
    Nobody is warned of it then.
    """
    for permission in (
        "Application.Read.All",
        "Application.ReadWrite.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ):
        house.take_away(permission)

    check = (await house.examined())["client secret"]

    assert Result.UNCHECKED is check.result and "nobody is warned" in check.found


async def test_the_early_warning_is_tried(house: House) -> None:
    """
    With the message trace of somebody, and the people at risk; without the trace it says that it is off.
    """
    on = {"alerts": json.dumps({"early_warning": {"on": True}})}
    works = await house.examined(**on)
    house.tenant.tenant.licences.p2 = False
    house.take_away("ExchangeMessageTrace.Read.All")
    lacking = await house.examined(**on)

    assert Result.OK is works["early warning"].result and "50% of a limit" in works["early warning"].found
    assert "at risk now" in works["early warning: people at risk"].found
    assert Result.PROBLEM is lacking["early warning"].result and "switches itself off" in lacking["early warning"].found
    assert Result.OK is lacking["early warning: people at risk"].result


async def test_the_alerts_conversation_may_be_left_out(house: House) -> None:
    """
    Alerts go where prompts go then.
    """
    check = (await house.examined())["alerts conversation"]

    assert Result.OK is check.result and "where prompts go" in check.found
