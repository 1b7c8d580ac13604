"""The section [approvals] of unblock.toml: what may be written, and what is said about what may not."""

from __future__ import annotations

import json
import os
from datetime import time
from pathlib import Path

import pytest

from services.cases import Impact
from services.errors import SettingsError
from services.policy import ON_CALL
from services.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
TENANT = "11111111-2222-3333-4444-555555555555"
MEGAN = "aaaaaaaa-0000-4000-8000-00000000000a"
HOURS = 'days = ["mon"]\nfrom = "08:00"\nto = "17:00"\ntime_zone = "Europe/Stockholm"\n'
OUTSIDE = "[approvals.hours.outside]\nwait = true\n"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory without unblock.toml, and the least that is required."""
    for name in [name for name in os.environ if name.startswith("UNBLOCK_")]:
        monkeypatch.delenv(name)
    for name, value in {"TENANT_ID": TENANT, "APP_ID": TENANT, "APP_SECRET": "s3cret"}.items():
        monkeypatch.setenv(f"UNBLOCK_{name}", value)
    monkeypatch.chdir(tmp_path)


def written(text: str) -> Settings:
    """The settings, with this in unblock.toml."""
    Path("unblock.toml").write_text(text, encoding="utf-8")
    return load_settings()


def test_without_the_section_the_old_settings_are_the_policy() -> None:
    """
    `approvers` and `approval_timeout_minutes` go on to mean what they meant.
    """
    policy = written(f'approvers = ["{MEGAN}"]\napproval_timeout_minutes = 30\n').approval_policy

    assert ((MEGAN,), (), (), 30) == (policy.who, policy.chain, policy.rules, policy.expire_after_minutes)
    assert ((), ()) == (policy.remind_after_minutes, policy.escalate_after_minutes)


def test_without_a_word_nobody_is_an_approver() -> None:
    """
    Neither section nor setting: the list is empty.
    """
    assert () == load_settings().approval_policy.who


def test_the_documented_example_is_read_whole() -> None:
    """
    `docs/approvals.toml` is a section as it stands, and has every key that there is.
    """
    text = (ROOT / "docs/approvals.toml").read_text(encoding="utf-8")
    policy = written(f'public_url = "https://unblock.contoso.com"\n{text}').approval_policy

    assert (ON_CALL,) == policy.who
    assert {"override", "rules", "protected", "hours", "step_up", "chain"} <= policy.model_fields_set
    assert policy.model_fields_set == set(type(policy).model_fields)


def test_the_environment_takes_the_section_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    UNBLOCK_APPROVALS holds what the file would hold, and wins over it.
    """
    monkeypatch.setenv("UNBLOCK_APPROVALS", json.dumps({"rules": [{"impact": "low", "approvers": 2}]}))

    policy = written("[approvals]\nremind_after_minutes = 5\n").approval_policy

    assert (Impact.LOW,) == policy.rules[0].impacts


@pytest.mark.parametrize("clock", ['"08:30"', "08:30:00"])
def test_a_time_of_day_is_text_or_a_time_of_toml(clock: str) -> None:
    """
    Both notations mean the same.
    """
    hours = written("[approvals.hours]\n" + HOURS.replace('"08:00"', clock) + OUTSIDE).approval_policy.hours

    assert time(8, 30) == hours.opens


@pytest.mark.parametrize("minutes", ["15", "[15]"])
def test_a_moment_alone_needs_no_list(minutes: str) -> None:
    """
    One number is one reminder.
    """
    assert (15.0,) == written(f"[approvals]\nremind_after_minutes = {minutes}\n").approval_policy.remind_after_minutes


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("approvals = 3", "approvals: must be a section of its own"),
        ("[approvals]\nrule = 1", "approvals.rule: is not a setting"),
        ("[approvals]\nwho = []", "approvals.who: is not a setting"),
        ("[approvals]\nrules = 1", "approvals.rules: must be a list"),
        ("[approvals]\nrules = [1]", "approvals.rules#1: must be a section of its own"),
        ('[approvals]\nfrom = ["megan@contoso.com"]', "approvals.from: 'megan@contoso.com' is neither \"oncall\" nor"),
        ("[approvals]\nfrom = 1", "approvals.from: must be a list"),
        ("[approvals]\nfrom = [1]", 'approvals.from: 1 is neither "oncall" nor'),
        ('[approvals]\nchain = ["oncall", "megan"]', "approvals.chain: level 2: 'megan' is neither \"oncall\" nor"),
        ('[approvals]\nchain = "oncall"', "approvals.chain: must be a list of lists"),
        (
            "[[approvals.rules]]\n[[approvals.rules]]\napprovers = 6",
            "approvals.rules#2.approvers: must be a number from",
        ),
        ("[[approvals.rules]]\napprovers = 0", "approvals.rules#1.approvers: must be a number from 1 to 5"),
        ("[[approvals.rules]]\napprovers = true", "approvals.rules#1.approvers: must be a number from 1 to 5"),
        (
            '[[approvals.rules]]\nimpact = "hihg"',
            "approvals.rules#1.impact: 'hihg' is none of: low, medium, high, crit",
        ),
        ("[[approvals.rules]]\nimpact = []", "approvals.rules#1.impact: must name at least one of: low"),
        ('[[approvals.rules]]\nverdict = "clean"', "approvals.rules#1.verdict: 'clean' is none of: compromised, susp"),
        ("[[approvals.rules]]\nself_approval = true", "approvals.rules#1.self_approval: is only for low impact"),
        (
            '[[approvals.rules]]\nimpact = ["low", "medium"]\nself_approval = true',
            "approvals.rules#1.self_approval: is only for low impact",
        ),
        (
            '[[approvals.rules]]\nimpact = "low"\nself_approval = "yes"',
            "approvals.rules#1.self_approval: must be true or false",
        ),
        ("[approvals.override]\nself_approval = true", "approvals.override.self_approval: is never for an override"),
        ('[approvals.override]\napprovers = "never"', "approvals.override.approvers: must be a number from 1 to 5"),
        ("[approvals.protected.vip]\napprovers = 2", "approvals.protected.vip.accounts: is required"),
        ("[approvals.protected.vip]\naccounts = []", "approvals.protected.vip.accounts: must name at least one"),
        ('[approvals.protected.vip]\naccounts = ["oncall"]', "approvals.protected.vip.accounts: 'oncall' is no Entra"),
        (
            '[approvals.protected.admins]\napprovers = "no"',
            "approvals.protected.admins.approvers: must be a number from 1",
        ),
        ("[approvals.protected.admins]\naccounts = []", "approvals.protected.admins.accounts: is not a setting"),
        ("[approvals.protected.ceo]\naccounts = []", "approvals.protected.ceo: is not a setting"),
        ("[approvals.hours]\n" + HOURS, "approvals.hours.outside: is required"),
        ("[approvals.hours]\n" + HOURS + "[approvals.hours.outside]", "approvals.hours.outside: must say what applies"),
        (
            "[approvals.hours]\n" + HOURS + OUTSIDE + "approvers = 2",
            "approvals.hours.outside: wait = true stands alone",
        ),
        (
            "[approvals.hours]\n" + HOURS.replace("Stockholm", "Stokholm") + OUTSIDE,
            "approvals.hours.time_zone: 'Europe/Stokholm' is no time zone",
        ),
        (
            "[approvals.hours]\n" + HOURS.replace('"Europe/Stockholm"', "[1]") + OUTSIDE,
            "approvals.hours.time_zone: [1] is no time zone",
        ),
        (
            "[approvals.hours]\n" + HOURS.replace("17:00", "25:00") + OUTSIDE,
            "approvals.hours.to: must be a time of day",
        ),
        (
            "[approvals.hours]\n" + HOURS.replace('"08:00"', "8") + OUTSIDE,
            "approvals.hours.from: must be a time of day",
        ),
        (
            "[approvals.hours]\n" + HOURS.replace('"mon"', '"monday"') + OUTSIDE,
            "approvals.hours.days: 'monday' is none",
        ),
        ("[approvals]\nremind_after_minutes = [10, 10]", "approvals.remind_after_minutes: must increase, and 10 does"),
        ("[approvals]\nremind_after_minutes = -1", "approvals.remind_after_minutes: must be a number of minutes"),
        ("[approvals]\nremind_after_minutes = nan", "approvals.remind_after_minutes: must be a number of minutes"),
        ("[approvals]\nexpire_after_minutes = inf", "approvals.expire_after_minutes: must be a number of minutes"),
        (
            f"[approvals]\nremind_after_minutes = {list(range(1, 12))}",
            "approvals.remind_after_minutes: must be at most 10 moments",
        ),
        (
            "[approvals]\nremind_after_minutes = 20\nescalate_after_minutes = 10",
            "approvals.escalate_after_minutes: 10 does not come after the first of remind_after_minutes (20)",
        ),
        (
            "[approvals]\nescalate_after_minutes = [10, 30]\nexpire_after_minutes = 30",
            "approvals.expire_after_minutes: 30 does not come after the last of escalate_after_minutes (30)",
        ),
        (
            "[approvals]\nremind_after_minutes = 90",
            "approval_timeout_minutes: 60 does not come after the last of remind_after_minutes (90)",
        ),
        ("[approvals]\nstep_up = true", 'approvals.step_up: must be "off" or "critical"'),
        ('[approvals]\nstep_up = "critical"', "public_url: is required when approvals.step_up is on"),
        (
            'public_url = "https://bot.contoso.com"\n[approvals]\nstep_up = "critical"\nstep_up_context = "mfa"',
            "approvals.step_up_context: 'mfa' is no id of an authentication context",
        ),
        ('[approvals]\nstep_up_context = "c1"', "approvals.step_up_context: means nothing while step_up is off"),
        ("[approvals]\nstep_up_max_age_minutes = 0", "approvals.step_up_max_age_minutes: must be a number of minutes"),
    ],
)
def test_a_bad_section_is_one_line_that_names_the_place(text: str, said: str) -> None:
    """
    Every mistake is one line that begins with where it is.
    """
    with pytest.raises(SettingsError) as error:
        written(text)

    assert len(error.value.problems) == 1
    assert str(error.value).startswith(said)


def test_every_mistake_is_told_at_once() -> None:
    """
    Two mistakes in different rules are two lines.
    """
    with pytest.raises(SettingsError) as error:
        written("[[approvals.rules]]\napprovers = 9\n[[approvals.rules]]\nimpact = 1\n")

    assert ["approvals.rules#1.approvers", "approvals.rules#2.impact"] == [place for place, _ in error.value.problems]


def test_json_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The environment's mistake carries the name of the setting, too.
    """
    monkeypatch.setenv("UNBLOCK_APPROVALS", "{rules")

    with pytest.raises(SettingsError, match="approvals: is not JSON"):
        load_settings()


def test_a_later_expiry_makes_room_for_late_reminders() -> None:
    """
    The old setting is checked only where the section leaves the expiry to it.
    """
    policy = written("[approvals]\nremind_after_minutes = 90\nexpire_after_minutes = 120\n").approval_policy

    assert policy.expire_after_minutes == 120


def test_a_managed_identity_signs_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Step-up with it is refused at the start, not when somebody wants to approve.
    """
    monkeypatch.setenv("UNBLOCK_APP_TYPE", "UserAssignedMSI")

    with pytest.raises(SettingsError) as error:
        written('public_url = "https://bot.contoso.com"\n[approvals]\nstep_up = "critical"\n')

    assert str(error.value).startswith("app_type: a managed identity cannot sign people in")
