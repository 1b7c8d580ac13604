"""
Imports only point right: app -> bot -> cards -> services, without cycles; botbuilder only in bot/.

`python -m tests.arrows` prints each wrong arrow and exits 1; `make lint` runs it.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = {"services": 0, "cards": 1, "bot": 2, "app": 3}
#: The sandbox stands apart: nothing of the product leans on it, and it leans on nothing but plain values.
SANDBOX = "services.sandbox"


def modules() -> dict[str, ast.Module]:
    """Every module of the product by its dotted name."""
    files = [ROOT / "app.py", *(path for top in FLOORS if top != "app" for path in (ROOT / top).rglob("*.py"))]
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}
    return {name: ast.parse(path.read_text(encoding="utf-8")) for path, name in names.items()}


def imports(tree: ast.Module) -> Iterator[str]:
    """What a module imports anywhere in it, with full names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def wrong_arrows() -> list[str]:
    """One line for each import that points the wrong way, and one for a cycle."""
    trees, found = modules(), []
    arrows: dict[str, set[str]] = {name: set() for name in trees}
    for name, tree in trees.items():
        for target in imports(tree):
            found += _problems(name, target)
            if target in trees and target != name and not _is_inside(name, target):
                arrows[name].add(target)
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        found.append("cycle: " + " > ".join(error.args[1]))
    return sorted(set(found))


def _problems(name: str, target: str) -> Iterator[str]:
    here, there = name.partition(".")[0], target.partition(".")[0]
    if there in FLOORS and FLOORS[there] > FLOORS[here]:
        yield f"{name} imports {target}"
    if there in ("botbuilder", "botframework") and here != "bot":
        yield f"{name} imports {target}: only bot/ may"
    if target.startswith(SANDBOX) and not name.startswith(SANDBOX) and here != "app":
        yield f"{name} imports {target}: nothing leans on the sandbox"
    if name.startswith(SANDBOX) and there in FLOORS and not target.startswith(SANDBOX) and target != "services":
        yield f"{name} imports {target}: the sandbox stands apart"


def _is_inside(name: str, target: str) -> bool:
    """A package and what is in it belong together."""
    return target.startswith(f"{name}.") or name.startswith(f"{target}.")


if __name__ == "__main__":
    lines = wrong_arrows()
    print(*lines, sep="\n", end="\n" if lines else "")
    sys.exit(bool(lines))
