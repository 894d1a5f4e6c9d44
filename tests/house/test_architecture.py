"""ARCHITECTURE.md is true: each file is in one row of its table, imports keep to their rows, named tests exist."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from import_circles import circles, python_imports, rust_imports

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \| .*? \| (.*?) \|$", PAGE, re.M)
CORE = [
    "syntax",
    "expression",
    "derivative",
    "translate",
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


PYTHON_IMPORTS = python_imports(ROOT / "python/rellm")


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
    for name in sorted(PYTHON_IMPORTS[path.removeprefix("python/")]):
        assert row_of(f"python/{name}") <= row_of(path), f"{path} imports {name}, which is in a later row"
        if "/integrations/" in path:
            library = integration_of(path)
            assert integration_of(name) in (None, library), f"{path}: no integration imports another"


def integration_of(path: str) -> str | None:
    """The library of a file, or of a folder of files, among the integrations."""
    found = re.search(r"/integrations/(\w+)", path)
    return None if found is None or found[1] == "__init__" else found[1]


def rooms_named(source: str) -> set[str]:
    """The rooms of the core that a file of it names."""
    return set(re.findall(r"\bcrate::(\w+)", source)) & set(CORE)


@pytest.mark.parametrize("room", CORE)
def test_a_room_of_the_core_imports_what_its_row_says(room: str) -> None:
    (allowed,) = (may for names, may in ROWS if names == f"`crates/core/src/{room}/`")
    rooms = {name for name in re.findall(r"`([^`]+)`", allowed) if name in CORE} | {room}
    for path in (ROOT / "crates/core/src" / room).rglob("*.rs"):
        more = rooms_named(path.read_text(encoding="utf-8")) - rooms
        assert not more, f"{path.relative_to(ROOT)} imports {', '.join(more)}"


def test_masks_know_nothing_of_patterns() -> None:
    for path in (ROOT / "crates/core/src/mask").rglob("*.rs"):
        assert "syntax::" not in path.read_text(encoding="utf-8"), path.name


def test_what_every_room_of_the_core_uses_imports_no_room() -> None:
    for path in (ROOT / "crates/core/src").glob("*.rs"):
        assert not rooms_named(path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("crate", ["core", "python"])
def test_no_circle_of_imports_in_rust_is_larger_than_two_files(crate: str) -> None:
    found = circles(rust_imports(ROOT / "crates" / crate / "src"))
    assert not found, "\n".join(" -> ".join(circle) for circle in found)


def test_no_circle_of_imports_in_python_is_larger_than_two_files() -> None:
    found = circles(PYTHON_IMPORTS)
    assert not found, "\n".join(" -> ".join(circle) for circle in found)


RUST = {
    "lib.rs": "mod room;\nmod other;",
    "room/mod.rs": "mod a;\nmod b;\npub use b::B;",
    "room/a.rs": "use super::b::{self, B};\n#[cfg(test)]\nmod tests {\n    use crate::other::Other;\n}",
    "room/b.rs": "// use crate::other::Other;\nuse crate::room::a::A;",
    "other.rs": "use crate::room::{\n    B,\n    a::A,\n};",
}
PYTHON = {
    "us/__init__.py": "from us.a import A",
    "us/a.py": "from us import b",
    "us/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import us.c",
    "us/c.py": "import us.a\ndef late() -> None:\n    from us.b import B",
}


def written(folder: Path, files: dict[str, str], more: dict[str, str]) -> Path:
    """`files` below `folder`, with `more` lines at the end of some."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n{more.get(name, '')}\n")
    return folder


@pytest.mark.parametrize(
    ("more", "is_found"),
    [
        ({}, False),
        ({"room/b.rs": "use crate::other::Other;"}, True),
        ({"room/b.rs": "fn b() { crate::other::other(); }"}, True),
        ({"room/b.rs": "pub(crate) use super::super::other as o;"}, True),
    ],
)
def test_a_circle_that_is_put_into_rust_is_found(tmp_path: Path, more: dict[str, str], *, is_found: bool) -> None:
    found = circles(rust_imports(written(tmp_path, RUST, more)))
    assert bool(found) is is_found
    assert all("other.rs" in circle for circle in found)


@pytest.mark.parametrize(
    ("more", "is_found"),
    [({}, False), ({"us/b.py": "from us.c import C"}, True), ({"us/b.py": "import us.c as c"}, True)],
)
def test_a_circle_that_is_put_into_python_is_found(tmp_path: Path, more: dict[str, str], *, is_found: bool) -> None:
    found = circles(python_imports(written(tmp_path, PYTHON, more) / "us"))
    assert [set(circle) for circle in found] == ([{"us/a.py", "us/b.py", "us/c.py"}] if is_found else [])


def test_a_forbidden_import_that_is_put_in_is_found() -> None:
    assert rooms_named("use crate::{codepoints::CodePoints};\nuse crate::syntax::ast::Node;") == {"syntax"}


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


def test_the_walk_from_the_readme_to_the_mask_is_as_it_is_drawn() -> None:
    drawn = PAGE.split("## From the README")[1].split("\n## ")[0]
    steps = re.findall(r"^    (README\.md|_generate/\w+\.py) +(\S.*)$", drawn, re.M)
    assert len(steps) == 6, "a stranger gets there in six files"
    for path, says in steps:
        file = ROOT / path if path == "README.md" else ROOT / "python/rellm" / path
        code = file.read_text(encoding="utf-8")
        for name in re.findall(r"(\w+)\.(\w+): ", says):
            assert f"class {name[0]}" in code, (path, name)
            assert f"def {name[1]}(" in code, (path, name)
        if ": scores" in says:
            assert says.split(": ", 1)[1] in code
    for (_, says), (path, _) in pairwise(steps):
        leads_to = {"_generate/run.py": "Run(request)", "_generate/run_rows.py": "RunProcessor"}.get(path)
        assert leads_to is None or leads_to in says
    making = re.search(r"crates/core/src/\S+\.rs", drawn)
    assert making
    assert "fn make_mask(" in (ROOT / making.group()).read_text(encoding="utf-8")
