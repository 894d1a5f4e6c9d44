"""The cases of testdata/dialect.toml: the library and rellm both do what the table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import rellm

from .texts import BYTES, CASES, REFUSALS, Language, flags_of, library, outcome

EACH = [
    pytest.param(case, dialect, id=f"{dialect}: {case['construct']}: {case['pattern']}")
    for case in CASES
    for dialect in case["dialects"]
]
MATCHING = [each for each in EACH if each.values[0].get("engine", "automaton") in ("automaton", "search")]


def _arguments(case: dict[str, Any], dialect: str) -> tuple[str, str, int, dict[str, list[str]]]:
    return dialect, case["pattern"], int(flags_of(dialect, case.get("flags", ()))), case.get("lists", {})


@pytest.mark.parametrize(("case", "dialect"), EACH)
def test_a_construct_goes_where_the_table_says(case: dict[str, Any], dialect: str) -> None:
    engine = case.get("engine", "automaton")
    kind, message, position = outcome(*_arguments(case, dialect))
    assert kind == engine, message
    if "error" in case:
        assert message == case["error"]
    if "position" in case:
        assert position == case["position"]
    if engine == "refused":
        with pytest.raises(REFUSALS):
            library(*_arguments(case, dialect))
    else:
        library(*_arguments(case, dialect))


@pytest.mark.parametrize(("case", "dialect"), MATCHING)
def test_a_construct_matches_what_the_library_matches(case: dict[str, Any], dialect: str) -> None:
    pattern = library(*_arguments(case, dialect))
    language = Language.of(*_arguments(case, dialect))
    assert language.engine == case.get("engine", "automaton")
    for text in case["matches"]:
        assert pattern.fullmatch(text), f"the library does not match {text!r}"
        assert language.accepts(text), f"rellm does not match {text!r}"
    for text in case["misses"]:
        assert not pattern.fullmatch(text), f"the library matches {text!r}"
        assert not language.accepts(text), f"rellm matches {text!r}"


@pytest.mark.parametrize(("case", "dialect"), [each for each in EACH if each.values[0].get("engine") == "refused"])
def test_a_refusal_is_a_pattern_error_with_a_position(case: dict[str, Any], dialect: str) -> None:
    with pytest.raises(rellm.PatternError) as caught:
        rellm.compile(rellm.Regex(case["pattern"], dialect=dialect), BYTES)
    assert caught.value.position is not None
    assert caught.value.pattern == case["pattern"]
    assert not isinstance(caught.value, rellm.UnsupportedError)


@pytest.mark.parametrize(("case", "dialect"), [each for each in EACH if each.values[0].get("engine") == "unsupported"])
def test_what_no_engine_reads_is_unsupported(case: dict[str, Any], dialect: str) -> None:
    with pytest.raises(rellm.UnsupportedError, match="leave it out"):
        rellm.compile(rellm.Regex(case["pattern"], dialect=dialect), BYTES)


def test_the_page_is_made_from_the_cases() -> None:
    root = Path(__file__).parents[2]
    script = root / "dev" / "dialect.py"
    made = subprocess.run([sys.executable, script], check=True, capture_output=True, encoding="utf-8").stdout
    assert (root / "docs" / "dialect.md").read_text(encoding="utf-8") == made, "run: python dev/dialect.py --write"
