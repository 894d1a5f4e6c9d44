"""The tables of the libraries: shipped, or scanned once and kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from rellm._dialects import tables


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and nothing shipped."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tables, "_shipped", lambda name: None)
    return tmp_path / "rellm"


def test_what_ships_is_what_the_libraries_say() -> None:
    data = Path(tables.__file__).parent / "data"
    for key, scan in ((tables._re_key(), tables._scan_re), (tables._regex_key(), tables._scan_regex)):
        path = data / f"{key}.tables"
        if not path.exists():
            continue
        assert path.read_bytes() == tables._file(key, scan()), "run: python -m rellm._dialects.tables --write"


def test_an_unknown_version_is_scanned_once(cache: Path) -> None:
    scans = []

    def scan() -> bytes:
        scans.append(1)
        return b"sections"

    assert tables._load("re-9.9", scan) == b"sections"
    assert tables._load("re-9.9", scan) == b"sections"
    assert len(scans) == 1
    assert [path.name for path in cache.iterdir()] == ["re-9.9.tables"], "nothing is left beside the file"


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:40] + b"x" + data[41:]]
)
def test_a_damaged_cache_is_scanned_again(cache: Path, damage) -> None:  # type: ignore[no-untyped-def]
    body = bytes(range(100))
    tables._load("re-9.9", lambda: body)
    (path,) = cache.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert tables._load("re-9.9", lambda: body) == body
    assert path.read_bytes() == tables._file("re-9.9", body)


def test_the_tables_of_another_version_are_not_taken(cache: Path) -> None:
    tables._load("re-9.8", lambda: b"old")
    os.replace(cache / "re-9.8.tables", cache / "re-9.9.tables")
    assert tables._load("re-9.9", lambda: b"new") == b"new"


def test_no_disk_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(occupied))
    monkeypatch.setattr(tables, "_shipped", lambda name: None)
    assert tables._load("re-9.9", lambda: b"sections") == b"sections"


def test_without_its_option_the_script_says_what_it_is_for() -> None:
    done = subprocess.run([sys.executable, "-m", "rellm._dialects.tables"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--write" in done.stderr


def test_tables_are_not_kept_where_the_cache_is_turned_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("RELLM_CACHE", "0")
    assert tables._load("a-version-of-its-own", lambda: b"scanned") == b"scanned"
    assert not list(tmp_path.rglob("*"))
    monkeypatch.delenv("RELLM_CACHE")
    assert tables._load("a-version-of-its-own", lambda: b"scanned") == b"scanned"
    assert tables._load("a-version-of-its-own", lambda: b"scanned again") == b"scanned"
