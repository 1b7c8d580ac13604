"""Settings: where they come from, and what is said when one cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import SettingsError
from services.settings import Settings, load_settings

TENANT = "11111111-2222-3333-4444-555555555555"
GOOD = {"TENANT_ID": TENANT, "APP_ID": TENANT, "APP_SECRET": "s3cret"}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A working directory without unblock.toml, and the least that is required."""
    import os

    for name in [name for name in os.environ if name.startswith("UNBLOCK_")]:
        monkeypatch.delenv(name)
    for name, value in GOOD.items():
        monkeypatch.setenv(f"UNBLOCK_{name}", value)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_the_public_cloud_and_nobody() -> None:
    """
    Without a word the bot listens on loopback, talks to Microsoft's public cloud and lets nobody do anything.
    """
    settings = load_settings()

    assert ("127.0.0.1", 3978) == (settings.host, settings.port)
    assert ("https://graph.microsoft.com", "sqlite:///unblock.db") == (
        settings.graph_url,
        settings.database_url.get_secret_value(),
    )
    assert ((), (), ()) == (settings.requesters, settings.approvers, settings.admins)


@pytest.mark.parametrize("written", [f"{TENANT}, {TENANT[:-1]}6", f'["{TENANT}", "{TENANT[:-1]}6"]'])
def test_lists_are_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    """
    Both notations mean the same.
    """
    monkeypatch.setenv("UNBLOCK_APPROVERS", written)

    assert (TENANT, f"{TENANT[:-1]}6") == load_settings().approvers


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """
    unblock.toml is read, and a variable of the same name is stronger.
    """
    (tmp_path / "unblock.toml").write_text('language = "sv"\nport = 4000\n')
    monkeypatch.setenv("UNBLOCK_PORT", "5000")

    settings = load_settings()

    assert ("sv", 5000) == (settings.language, settings.port)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("TENANT_ID", "contoso", "tenant_id: must be a GUID"),
        ("PORT", "http", "port: "),
        ("PORT", "70000", "port: "),
        ("APPROVERS", "megan@contoso.com", "approvers: 'megan@contoso.com' is no Entra object id"),
        ("APPROVERS", "[1", "approvers: looks like a JSON list"),
        ("GRAPH_URL", "http://graph.example", "graph_url: must be an https"),
        ("GRAPH_URL", "http://127.0.0.1.example", "graph_url: must be an https"),
        ("LOGIN_URL", "http://127.0.0.1:3980", "login_url: must be an https"),
        ("PUBLIC_URL", "http://unblock.contoso.com", "public_url: must be an https"),
        ("PUBLIC_URL", "https://unblock.contoso.com/?a=b", "public_url: must be an https"),
        ("SERVICE_HOSTS", "https://smba.trafficmanager.net/emea/", "service_hosts: 'https://smba.trafficmanager.net"),
        ("DATABASE_URL", "mysql://x", "database_url: must start with"),
        ("CA_BUNDLE", "/nowhere/ca.pem", "ca_bundle: /nowhere/ca.pem cannot be read"),
        ("LANGUAGE", "fr", "language: must be one of"),
        ("APPROVAL_TIMEOUT_MINUTES", "0", "approval_timeout_minutes: "),
        ("APP_TYPE", "MultiTenant", "app_type: "),
        ("APROVERS", TENANT, "UNBLOCK_APROVERS: is not a setting; did you mean UNBLOCK_APPROVERS?"),
        ("APP_SECRET", "", "app_secret: set app_secret or app_certificate_path"),
    ],
)
def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    """
    Every problem is a line that begins with the name of the setting.
    """
    monkeypatch.setenv(f"UNBLOCK_{name}", value)

    with pytest.raises(SettingsError) as error:
        load_settings()

    assert str(error.value).startswith(said)


@pytest.mark.parametrize("name", ["graph_url", "exchange_url", "bot_openid_url"])
def test_a_service_on_this_machine_needs_no_certificate(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """
    Loopback is nobody's way to listen in; MSAL alone insists on https there too.
    """
    monkeypatch.setenv(f"UNBLOCK_{name.upper()}", "http://127.0.0.1:3980/x/")

    assert "http://127.0.0.1:3980/x" == getattr(load_settings(), name)


def test_a_variable_of_somebody_else_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What is not even nearly a setting may belong to what runs the bot.
    """
    monkeypatch.setenv("UNBLOCK_DEPLOYMENT_COLOUR", "green")

    assert load_settings().port == 3978


def test_every_problem_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Two mistakes are two lines, so nobody mends one after the other.
    """
    monkeypatch.setenv("UNBLOCK_PORT", "x")
    monkeypatch.setenv("UNBLOCK_LANGUAGE", "fr")

    with pytest.raises(SettingsError) as error:
        load_settings()

    assert {"port", "language"} == {setting for setting, _ in error.value.problems}


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """
    A file that is no TOML is a problem of that file.
    """
    (tmp_path / "unblock.toml").write_text("port = \n")

    with pytest.raises(SettingsError) as error:
        load_settings()

    assert str(error.value).startswith("unblock.toml: ")


def test_a_secret_is_not_printed() -> None:
    """
    Neither the settings nor an error show a secret's value.
    """
    assert "s3cret" not in repr(load_settings())


def test_every_setting_has_its_row_in_the_readme() -> None:
    """
    What can be set is written down.
    """
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")

    assert [] == [name for name in Settings.model_fields if f"`{name}`" not in readme]
