"""The Teams app: what is in the zip, and what is noticed before Teams would refuse it or get it wrong."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner

from app import main
from bot.grammar import Unknown, parse
from bot.package import NO_ID, SOURCE, package
from services.errors import SettingsError

APP_ID = "11111111-2222-3333-4444-555555555555"
OURS = {
    "name": "Contoso IT",
    "websiteUrl": "https://contoso.com",
    "privacyUrl": "https://contoso.com/privacy",
    "termsOfUseUrl": "https://contoso.com/terms",
}
ROOT = Path(__file__).parents[2]
SCHEMAS = "build/json-schemas/teams"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the manifest folder that a test may spoil."""
    return Path(shutil.copytree(SOURCE, tmp_path / "manifest"))


def spoil(source: Path, name: str, change: Callable[[dict[str, Any]], object]) -> list[str]:
    """The problems after a change to one of the JSON files."""
    content = json.loads((source / name).read_text(encoding="utf-8"))
    change(content)
    (source / name).write_text(json.dumps(content), encoding="utf-8")
    return package(APP_ID, OURS, source).problems()


Run = Callable[..., tuple[Any, list[str]]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`app.py package` in an empty folder without settings; gives the outcome and the zips that are there then."""
    for name in [name for name in os.environ if name.startswith("UNBLOCK_")]:
        monkeypatch.delenv(name)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")

    def call(*arguments: str, **environment: str) -> tuple[Any, list[str]]:
        result = CliRunner().invoke(main, ["package", *arguments], env=environment)
        return result, [str(path) for path in Path().rglob("*.zip")]

    return call


# --- what is in it ---------------------------------------------------------------------------------------------------


def test_the_zip_holds_everything_at_its_root(tmp_path: Path) -> None:
    """
    Manifest, languages and icons lie side by side, and the manifest bears the app's id twice.
    """
    package(APP_ID.upper(), OURS).write(tmp_path / "dist" / "unblock.zip")

    with zipfile.ZipFile(tmp_path / "dist" / "unblock.zip") as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert {"manifest.json", "sv.json", "color.png", "outline.png"} == set(archive.namelist())
    assert (APP_ID, APP_ID) == (manifest["id"], manifest["bots"][0]["botId"])
    assert OURS == manifest["developer"]


def test_the_same_app_is_the_same_file(tmp_path: Path) -> None:
    """
    Two builds of the same content do not differ in a single byte.
    """
    for name in ("one.zip", "two.zip"):
        package(APP_ID, OURS).write(tmp_path / name)

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_what_we_ship_has_no_problems() -> None:
    """
    The manifest in this repository passes our own checks.
    """
    assert [] == package(APP_ID, OURS).problems()


@pytest.mark.parametrize(
    ("name", "schema"),
    [("manifest.json", "MicrosoftTeams.schema.json"), ("sv.json", "MicrosoftTeams.Localization.schema.json")],
)
def test_microsofts_schema_agrees(name: str, schema: str) -> None:
    """
    What we ship is valid against Microsoft's own schema, from its npm package @microsoft/app-manifest.
    """
    built = package(APP_ID, OURS)
    content = built.manifest if name == "manifest.json" else json.loads(built.files[name])
    folder = schema_folder() / f"v{built.manifest['manifestVersion']}"
    checker = jsonschema.Draft4Validator(json.loads((folder / schema).read_text(encoding="utf-8")))

    assert [] == [f"{list(error.path)}: {error.message}" for error in checker.iter_errors(content)]


def schema_folder() -> Path:
    named = os.environ.get("UNBLOCK_TEST_MANIFEST_SCHEMAS")
    folder = Path(named) if named else ROOT / "node_modules/@microsoft/app-manifest" / SCHEMAS
    if not folder.is_dir():
        pytest.skip("npm install @microsoft/app-manifest, and UNBLOCK_TEST_MANIFEST_SCHEMAS names its " + SCHEMAS)
    return folder


@pytest.mark.parametrize("name", ["manifest.json", "sv.json"])
def test_every_command_on_offer_is_understood(name: str) -> None:
    """
    Whoever picks a command from the list of Teams, in either language, is understood by the bot.
    """
    built = package(APP_ID, OURS)
    if name == "manifest.json":
        lists = built.manifest["bots"][0]["commandLists"]
        titles = [command["title"] for commands in lists for command in commands["commands"]]
    else:
        titles = [text for path, text in json.loads(built.files[name]).items() if path.endswith(".title")]

    assert [] == [title for title in titles if isinstance(parse(title), Unknown)]
    assert 20 == len(titles)


# --- what is noticed -------------------------------------------------------------------------------------------------

FIRST = "bots[0].commandLists[0].commands[0].title"
SECOND = "bots[0].commandLists[0].commands[1].title"


def swap(texts: dict[str, Any]) -> None:
    """Two translated titles change places, as when commands were reordered in the manifest alone."""
    texts[FIRST], texts[SECOND] = texts[SECOND], texts[FIRST]


def commands_of(manifest: dict[str, Any], number: int = 0) -> list[dict[str, str]]:
    return manifest["bots"][0]["commandLists"][number]["commands"]


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("manifest.json", lambda m: m.update(manifestVersion="1.22"), "manifestVersion and $schema must both be"),
        ("manifest.json", lambda m: m.update(version="1.0"), "version: '1.0' is not of the form 1.2.3"),
        ("manifest.json", lambda m: m.update(accentColor="blue"), "accentColor must be"),
        ("manifest.json", lambda m: m["name"].update(short="U" * 31), "name.short has 31 characters; 30 are allowed"),
        ("manifest.json", lambda m: m["description"].pop("full"), "description.full is missing"),
        ("manifest.json", lambda m: m["bots"][0]["scopes"].append("copilot"), "each scope of the bot must have"),
        ("manifest.json", lambda m: m["bots"][0]["commandLists"].pop(), "each scope of the bot must have"),
        ("manifest.json", lambda m: commands_of(m).extend(commands_of(m)[:1] * 3), "command list 0 has 13 commands"),
        ("manifest.json", lambda m: commands_of(m)[0].update(title="dance"), "does not understand 'dance'"),
        ("manifest.json", lambda m: commands_of(m)[0].update(title="unblock " + "x" * 30), "32 are allowed"),
        ("manifest.json", lambda m: commands_of(m).reverse(), "is another command than 'help'"),
        ("manifest.json", lambda m: m["localizationInfo"]["additionalLanguages"].clear(), None),
        ("sv.json", swap, f"sv.json: {FIRST}: 'status' is another command than 'unblock'"),
        ("sv.json", lambda t: t.pop(FIRST), f"sv.json: {FIRST} is missing"),
        ("sv.json", lambda t: t.update({"bots[0].commandLists[0].commands[19].title": "hjälp"}), "names nothing in"),
        ("sv.json", lambda t: t.pop("description.short"), "sv.json: description.short is missing"),
        ("sv.json", lambda t: t.update({"name.short": "x" * 31}), "sv.json: name.short has 31 characters"),
    ],
)
def test_what_teams_would_refuse_or_get_wrong_is_said(
    source: Path, name: str, change: Callable[[dict[str, Any]], object], said: str | None
) -> None:
    """
    Lengths, counts, versions and positions are checked here, since Teams tells of them late or never.
    """
    problems = "\n".join(spoil(source, name, change))

    assert (said in problems) if said else problems == ""


def test_a_language_without_its_file_is_said(source: Path) -> None:
    """
    A language that the manifest names must be in the folder.
    """
    (source / "sv.json").unlink()

    assert ["sv.json is missing"] == package(APP_ID, OURS, source).problems()


@pytest.mark.parametrize("content", [b"", b"GIF89a", (SOURCE / "outline.png").read_bytes()[:20]])
def test_icons_of_the_wrong_kind_are_said(source: Path, content: bytes) -> None:
    """
    An icon that is no PNG, or one that is broken off, is noticed.
    """
    (source / "color.png").write_bytes(content)

    assert ["color.png must be a PNG of 192 x 192 pixels"] == package(APP_ID, OURS, source).problems()


def test_an_outline_icon_must_be_transparent(source: Path) -> None:
    """
    Teams lays the outline icon over its own colours, so an opaque one would be a white square.
    """
    content = bytearray((source / "outline.png").read_bytes())
    content[25] = 2  # the colour type "RGB, no alpha"
    (source / "outline.png").write_bytes(content)

    assert ["outline.png must have a transparent background"] == package(APP_ID, OURS, source).problems()


def test_a_privacy_page_must_be_https() -> None:
    """
    Teams takes https addresses only.
    """
    problems = package(APP_ID, {**OURS, "privacyUrl": "http://contoso.com"}).problems()

    assert ["developer.privacyUrl: 'http://contoso.com' is no https:// address"] == problems


@pytest.mark.parametrize("app_id", ["", "contoso", NO_ID, APP_ID + "0"])
def test_an_app_id_that_is_none_is_refused(app_id: str) -> None:
    """
    Neither a name nor the template's zeros pass for an id.
    """
    with pytest.raises(SettingsError):
        package(app_id, OURS)


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_says_what_is_still_an_example(run: Run) -> None:
    """
    Without the developer's own name and pages the zip is built, and each placeholder is named.
    """
    result, files = run("--app-id", APP_ID, "--developer-name", "Contoso IT")

    assert (0, ["dist/unblock.zip"]) == (result.exit_code, files)
    assert "still an example: privacyUrl: https://example.com/privacy" in result.output
    assert "Example organisation" not in result.output


def test_the_command_needs_the_app_id_alone(run: Run) -> None:
    """
    No other setting is asked for, so the app can be uploaded before the bot is set up.
    """
    result, files = run("--out", "app.zip", UNBLOCK_APP_ID=APP_ID)

    assert (0, ["app.zip"]) == (result.exit_code, files)


def test_the_command_finds_the_app_id_in_the_file(run: Run, tmp_path: Path) -> None:
    """
    unblock.toml is looked at too, and only for this one setting.
    """
    (tmp_path / "unblock.toml").write_text(f'app_id = "{APP_ID}"\n')

    result, _ = run(UNBLOCK_CONFIG=str(tmp_path / "unblock.toml"))

    assert 0 == result.exit_code


def test_the_command_says_when_there_is_no_app_id(run: Run) -> None:
    """
    Nothing is written, and the setting is named, as with every bad setting.
    """
    result, files = run()

    assert (2, []) == (result.exit_code, files)
    assert "app_id: is required" in result.output
