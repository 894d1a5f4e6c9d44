"""ARCHITECTURE.md is true: each file is in one row of its table, imports keep to their rows, named tests exist."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \| .*? \| (.*?) \|$", PAGE, re.M)
CORE = [
    "syntax",
    "expression",
    "derivative",
    "automaton",
    "vocabulary",
    "mask",
    "lazy_dfa",
    "compile",
    "matcher",
    "batch",
]
SOURCES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in ("crates/core/src", "crates/python/src", "python/rellm")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".rs", ".py")
)


@cache
def patterns(row: int) -> list[str]:
    """The paths of a row: a name without a folder is beside the first."""
    names = re.findall(r"`([^`]+)`", ROWS[row][0])
    folder = names[0].removesuffix("/").rpartition("/")[0]
    return [name if "/" in name.removesuffix("/") else f"{folder}/{name}" for name in names]


@cache
def row_of(path: str) -> int:
    found = [
        row
        for row in range(len(ROWS))
        if any(path.startswith(name) if name.endswith("/") else fnmatch(path, name) for name in patterns(row))
    ]
    assert len(found) == 1, f"{path} is in {len(found)} rows of ARCHITECTURE.md's table: it belongs in one"
    return found[0]


@pytest.mark.parametrize("path", SOURCES)
def test_every_file_is_in_one_row(path: str) -> None:
    row_of(path)


def test_every_row_has_files() -> None:
    assert len(ROWS) > 10
    for row in range(len(ROWS)):
        for name in patterns(row):
            assert any(path.startswith(name) or fnmatch(path, name) for path in SOURCES), name


@pytest.mark.parametrize("path", [path for path in SOURCES if path.endswith(".py")])
def test_no_module_imports_from_a_later_row_when_it_is_imported_itself(path: str) -> None:
    # The core is there for all: its row is before them.
    for module in imported_at_once((ROOT / path).read_text(encoding="utf-8")):
        target = ROOT / "python" / module.replace(".", "/")
        file = next((file for file in (target.with_suffix(".py"), target / "__init__.py") if file.exists()), None)
        if file is not None:
            name = file.relative_to(ROOT).as_posix()
            assert row_of(name) <= row_of(path), f"{path} imports {module}, which is in a later row"
            if "/integrations/" in path:
                assert "/integrations/" not in name, f"{path}: no integration imports another"


def imported_at_once(source: str) -> list[str]:
    """The modules of ours that a module imports outside of functions, and not for the type checker alone."""
    found: list[str] = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.split(".")[0] == "rellm"]


@pytest.mark.parametrize("room", CORE)
def test_a_room_of_the_core_imports_what_its_row_says(room: str) -> None:
    (allowed,) = (may for names, may in ROWS if names == f"`crates/core/src/{room}/`")
    rooms = {name for name in re.findall(r"`([^`]+)`", allowed) if name in CORE} | {room}
    for path in (ROOT / "crates/core/src" / room).rglob("*.rs"):
        for used in re.findall(r"\bcrate::(\w+)", path.read_text(encoding="utf-8")):
            assert used not in CORE or used in rooms, f"{path.relative_to(ROOT)} imports {used}"


def test_what_every_room_of_the_core_uses_imports_no_room() -> None:
    for path in (ROOT / "crates/core/src").glob("*.rs"):
        assert not set(re.findall(r"\bcrate::(\w+)", path.read_text(encoding="utf-8"))) & set(CORE), path.name


def test_the_core_knows_no_python_and_forbids_unsafe_code() -> None:
    assert "pyo3" not in (ROOT / "crates/core/Cargo.toml").read_text(encoding="utf-8")
    assert re.search(r'unsafe_code = "forbid"|forbid\(unsafe_code\)', core_settings())


def core_settings() -> str:
    files = ("Cargo.toml", "crates/core/Cargo.toml", "crates/core/src/lib.rs")
    return "\n".join((ROOT / file).read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`([\w/]+\.(?:py|rs)::\w+)`", PAGE))))
def test_every_test_that_is_named_exists(name: str) -> None:
    file, _, test = name.partition("::")
    kind = "def" if file.endswith(".py") else "fn"
    assert re.search(rf"^\s*(?:async )?{kind} {test}\(", (ROOT / file).read_text(encoding="utf-8"), re.M)


def test_every_promise_is_followed_by_the_tests_that_hold_it() -> None:
    promises = re.split(r"^\d\. \*\*", PAGE.partition("## What must stay true")[2].partition("\n## ")[0], flags=re.M)
    assert len(promises) == 7  # what comes before the first, and six
    for promise in promises[1:]:
        assert "::" in promise.partition("\n\n")[0], promise[:40]
