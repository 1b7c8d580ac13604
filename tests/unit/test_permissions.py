"""The table of permissions: it names what the code asks for, no more and no less, and the README shows it."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from services.clients import graph
from services.permissions import GRAPH_PERMISSIONS, as_markdown

ROOT = Path(__file__).parents[2]
PERMISSION = re.compile(r'"([A-Z][\w-]+\.(?:Read|ReadWrite|RevokeSessions|EnableDisableAccount)[\w.]*)"')
#: What reads with a permission also works with the one that writes.
INCLUDED = {"MailboxSettings.Read": "MailboxSettings.ReadWrite"}


def permissions_behind(name: str) -> set[str]:
    """The permissions that a method of the Graph client names, in itself or in what it calls."""
    part = getattr(graph.GraphClient, name, None) or getattr(graph, name)
    source = inspect.getsource(part)
    called = re.findall(r"self\.(_?\w+)\(|\b(build_\w+)\(", source)
    inner = {one or other for one, other in called} - {name, "_send"}
    found = set(PERMISSION.findall(source))
    return found.union(
        *(permissions_behind(other) for other in inner if hasattr(graph.GraphClient, other) or hasattr(graph, other))
    )


def methods_in_use() -> set[str]:
    """The methods of the Graph client that the product calls."""
    apart = (ROOT / "services" / "clients", ROOT / "services" / "sandbox")
    files = [path for place in ("services", "bot") for path in (ROOT / place).rglob("*.py")]
    text = "".join(path.read_text(encoding="utf-8") for path in files if not set(apart) & set(path.parents))
    public = {name for name in vars(graph.GraphClient) if not name.startswith("_")}
    return {name for name in public if re.search(rf"(?:directory|graph)\.{name}\b", text)}


def test_the_table_names_exactly_what_the_code_asks_for() -> None:
    """
    A call that is new needs its row, and a row without a call would ask administrators for too much.
    """
    used = set[str]().union(*(permissions_behind(name) for name in methods_in_use()))

    assert {permission.name for permission in GRAPH_PERMISSIONS} == {INCLUDED.get(name, name) for name in used}


def test_wider_permissions_do_as_well() -> None:
    """
    Who has granted the right to write need not grant the right to read.
    """
    (find_people,) = (permission for permission in GRAPH_PERMISSIONS if permission.name == "User.Read.All")

    assert find_people.is_among({"Directory.ReadWrite.All"})
    assert not find_people.is_among({"User.Read", "Mail.Read"})


def test_the_readme_shows_the_table_as_it_is() -> None:
    """
    What the bot must be allowed to do is written down; `python -m services.permissions` prints it.
    """
    assert as_markdown() in (ROOT / "README.md").read_text(encoding="utf-8")
