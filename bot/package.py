"""
The Teams app as a zip: manifest with the app's id, languages and icons, all at the root, checked before it is written.

English stands in `manifest/manifest.json` itself, every other language in a file of its own. Its `version` is the one
place for the app's version: raise it when the manifest changes, or Teams keeps the old one.
Sources: Microsoft's manifest schema 1.25 (2026-01) and "Localize your app" of the Teams documentation.
"""

from __future__ import annotations

import json
import os
import re
import struct
import tomllib
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.grammar import Incomplete, Unknown, Verb, parse
from services.errors import SettingsError

SOURCE = Path(__file__).parent.parent / "manifest"
MANIFEST_VERSION = "1.25"
#: Stands in the template where the app's id goes.
NO_ID = "00000000-0000-0000-0000-000000000000"

_GUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_VERSION = re.compile(r"\d+\.\d+\.\d+")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_LANGUAGE_TAG = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8}){0,2}")
#: Longest texts, by their path in the manifest, which is also their key in a language file.
_LONGEST = {"name.short": 30, "name.full": 100, "description.short": 80, "description.full": 4000}
_LONGEST_DEVELOPER_NAME = 32
_DEVELOPER_URLS = ("websiteUrl", "privacyUrl", "termsOfUseUrl")
_MOST_COMMAND_LISTS = 3
_MOST_COMMANDS = 12
#: The schema allows 128; Teams cuts off what is longer than this.
_LONGEST_COMMAND = 32
_LONGEST_COMMAND_DESCRIPTION = 4000
_ICON_SIZES = {"color": 192, "outline": 32}
_PNG = b"\x89PNG\r\n\x1a\n"
#: PNG colour types that have transparency: grey and colour.
_WITH_ALPHA = (4, 6)
#: Of every file in the zip, so that the same content gives the same bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A Teams app that can be written: its manifest, and its other files by name."""

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes] = field(repr=False)

    @property
    def examples(self) -> list[str]:
        """The developer's fields that are still examples, each as "name: value"."""
        developer = self.manifest["developer"]
        return [f"{name}: {value}" for name, value in developer.items() if _is_example(value)]

    def problems(self) -> list[str]:
        """What Teams would refuse, or silently get wrong, as sentences; empty when all is well."""
        return [
            *_problems_of_head(self.manifest),
            *_problems_of_commands(self.manifest),
            *_problems_of_languages(self.manifest, self.files),
            *_problems_of_icons(self.manifest, self.files),
        ]

    def write(self, out: Path) -> None:
        """Write the zip, its folder as well. Equal packages are equal files. Raises OSError."""
        out.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.manifest, ensure_ascii=False, indent=2) + "\n"
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in {"manifest.json": text.encode(), **self.files}.items():
                member = zipfile.ZipInfo(name, _ZIP_DATE)
                member.external_attr = 0o644 << 16  # readable by everybody who unpacks it
                archive.writestr(member, content, zipfile.ZIP_DEFLATED)


def package(app_id: str, developer: Mapping[str, str | None] | None = None, source: Path = SOURCE) -> Package:
    """
    The Teams app of the bot with this app id. `developer` replaces fields of the manifest's `developer` by name.

    Raises SettingsError for an id that is none; what else is wrong is told by `Package.problems`.
    """
    app_id = app_id.strip().lower()
    if not _GUID.fullmatch(app_id) or app_id == NO_ID:
        raise SettingsError(("app_id", "must be the id of the app registration, a GUID"))
    manifest = json.loads((source / "manifest.json").read_text(encoding="utf-8"))
    manifest["id"] = manifest["bots"][0]["botId"] = app_id
    manifest["developer"].update({name: value for name, value in (developer or {}).items() if value})
    named = [*manifest["icons"].values(), *(language["file"] for language in _languages(manifest))]
    return Package(manifest, {name: (source / name).read_bytes() for name in named if (source / name).is_file()})


def configured_app_id() -> str:
    """
    The app id of `unblock.toml`, or of the file that UNBLOCK_CONFIG names; no other setting is looked at.

    Raises SettingsError when there is none.
    """
    path = Path(os.environ.get("UNBLOCK_CONFIG") or "unblock.toml")
    try:
        app_id = tomllib.loads(path.read_text(encoding="utf-8")).get("app_id")
    except FileNotFoundError:
        app_id = None
    except (OSError, ValueError) as exc:
        raise SettingsError((path.name, str(exc))) from exc
    if not isinstance(app_id, str) or not app_id.strip():
        raise SettingsError(("app_id", "is required: name it with --app-id, UNBLOCK_APP_ID or in unblock.toml"))
    return app_id.strip()


# --- checks ----------------------------------------------------------------------------------------------------------


def _is_example(value: str) -> bool:
    host = urlsplit(value).hostname or ""
    return value.startswith("Example ") or host == "example.com" or host.endswith(".example.com")


def _problems_of_head(manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest.get("manifestVersion") != MANIFEST_VERSION or f"/v{MANIFEST_VERSION}/" not in manifest["$schema"]:
        yield f"manifestVersion and $schema must both be of {MANIFEST_VERSION}"
    if not _VERSION.fullmatch(manifest["version"]):
        yield f"version: {manifest['version']!r} is not of the form 1.2.3"
    if manifest["bots"][0]["botId"] != manifest["id"] or not _GUID.fullmatch(manifest["id"]):
        yield "id and bots[0].botId must both be the app's id"
    if not _COLOUR.fullmatch(manifest["accentColor"]):
        yield "accentColor must be of the form #5B5FD6"
    yield from _problems_of_developer(manifest["developer"])
    for path, longest in _LONGEST.items():
        yield from _problems_of_text(path, _at(manifest, path), longest)


def _problems_of_developer(developer: Mapping[str, str]) -> Iterator[str]:
    yield from _problems_of_text("developer.name", developer["name"], _LONGEST_DEVELOPER_NAME)
    for name in _DEVELOPER_URLS:
        parts = urlsplit(developer[name])
        if parts.scheme != "https" or not parts.hostname:
            yield f"developer.{name}: {developer[name]!r} is no https:// address"


def _problems_of_text(path: str, text: Any, longest: int) -> Iterator[str]:
    if not isinstance(text, str) or not text.strip():
        yield f"{path} is missing"
    elif len(text) > longest:
        yield f"{path} has {len(text)} characters; {longest} are allowed"


def _problems_of_commands(manifest: Mapping[str, Any]) -> Iterator[str]:
    bot = manifest["bots"][0]
    lists = bot["commandLists"]
    if len(lists) > _MOST_COMMAND_LISTS:
        yield f"there are {len(lists)} command lists; {_MOST_COMMAND_LISTS} are allowed"
    scopes = [scope for commands in lists for scope in commands["scopes"]]
    if sorted(scopes) != sorted(bot["scopes"]):
        yield "each scope of the bot must have exactly one command list"
    for number, commands in enumerate(lists):
        if not 0 < len(commands["commands"]) <= _MOST_COMMANDS:
            yield f"command list {number} has {len(commands['commands'])} commands; 1 to {_MOST_COMMANDS} are allowed"
    for path, text in _command_texts(manifest).items():
        yield from _problems_of_command_text(path, text)


def _problems_of_command_text(path: str, text: Any) -> Iterator[str]:
    is_title = path.endswith(".title")
    yield from _problems_of_text(path, text, _LONGEST_COMMAND if is_title else _LONGEST_COMMAND_DESCRIPTION)
    if is_title and isinstance(text, str) and _verb(text) is None:
        yield f"{path}: the bot does not understand {text!r}"


def _problems_of_languages(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Iterator[str]:
    for language in _languages(manifest):
        tag, name = language["languageTag"], language["file"]
        if not _LANGUAGE_TAG.fullmatch(tag):
            yield f"{tag!r} is no language tag"
        if name not in files:
            yield f"{name} is missing"
            continue
        for problem in _problems_of_language(manifest, json.loads(files[name])):
            yield f"{name}: {problem}"


def _problems_of_language(manifest: Mapping[str, Any], texts: Mapping[str, Any]) -> Iterator[str]:
    """Keys name commands by position, so a list that was reordered would translate the wrong ones unnoticed."""
    commands = _command_texts(manifest)
    for path in sorted(texts.keys() - commands.keys() - _LONGEST.keys() - {"$schema"}):
        yield f"{path} names nothing in the manifest"
    for path, longest in _LONGEST.items():
        yield from _problems_of_text(path, texts.get(path), longest)
    for path, english in commands.items():
        yield from _problems_of_command_text(path, texts.get(path))
        if path.endswith(".title") and path in texts and _verb(texts[path]) != _verb(english):
            yield f"{path}: {texts[path]!r} is another command than {english!r}"


def _problems_of_icons(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Iterator[str]:
    for kind, size in _ICON_SIZES.items():
        name = manifest["icons"][kind]
        width, height, colour_type = _png_header(files.get(name, b""))
        if (width, height) != (size, size):
            yield f"{name} must be a PNG of {size} x {size} pixels"
        elif kind == "outline" and colour_type not in _WITH_ALPHA:
            yield f"{name} must have a transparent background"


def _png_header(content: bytes) -> tuple[int, int, int]:
    """(width, height, colour type) of a PNG; zeros for anything else. Source: PNG specification, "IHDR"."""
    if len(content) < 26 or not content.startswith(_PNG) or content[12:16] != b"IHDR":
        return 0, 0, 0
    width, height, _depth, colour_type = struct.unpack(">IIBB", content[16:26])
    return width, height, colour_type


# --- reading the manifest --------------------------------------------------------------------------------------------


def _at(manifest: Mapping[str, Any], path: str) -> Any:
    value: Any = manifest
    for name in path.split("."):
        value = value.get(name, {})
    return value


def _languages(manifest: Mapping[str, Any]) -> list[Mapping[str, str]]:
    return manifest["localizationInfo"].get("additionalLanguages", [])


def _command_texts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Titles and descriptions of all commands, by the keys that a language file has for them."""
    return {
        f"bots[0].commandLists[{i}].commands[{j}].{part}": command[part]
        for i, commands in enumerate(manifest["bots"][0]["commandLists"])
        for j, command in enumerate(commands["commands"])
        for part in ("title", "description")
    }


def _verb(title: str) -> type | Verb | None:
    """Which command this is, whether it is complete or still wants a name; None when the bot does not know it."""
    command = parse(title)
    if isinstance(command, Unknown):
        return None
    return command.command if isinstance(command, Incomplete) else type(command)
