"""The fuzz targets as plain tests: a moment of random bytes each, and what they have found before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz import targets

# Inputs that broke a promise once, by target; each has its words.
FOUND: list[tuple[str, bytes, str]] = [
    ("rows", b"\x01\x9f", "a table that is no UTF-8 text"),
    (
        "schema",
        b"Jk1m\xd0\xdb\xae\t\xdc\x85IM\x9d.\x86\xb7\xe8\xe6\xed\xc7U\x0b\xa4^b\xf7\xe4#\x9a\xd9'e\xbap\xeb\xf7l\xa3*\xa0*r\xa0\xda>\x82\x90\x99q%`\x07\xc8]\xceW\xcc|\xd5\xb6%\xf9z\xed\xd2\xfd",
        "a report of a type that is a number",
    ),
]


@pytest.mark.parametrize("name", list(targets.TARGETS))
def test_random_bytes_end_in_an_answer_or_a_typed_error(name):
    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.binary(min_size=1, max_size=120))
    def check(data):
        targets.run(name, data)

    check()


@pytest.mark.parametrize(
    ("name", "data"), [(name, data) for name, data, _ in FOUND], ids=[words for *_, words in FOUND]
)
def test_what_was_found_stays_mended(name, data):
    targets.run(name, data)


def test_a_target_that_breaks_is_told(monkeypatch):
    monkeypatch.setitem(targets.TARGETS, "pattern", lambda data: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        targets.run("pattern", b"x")


def test_the_runner_runs_a_target():
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "tests.fuzz.run", "template", "--seconds", "1"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "template: " in done.stdout
    assert "0 broken" in done.stdout
