"""Refusals: each says the construct, its position and the remedy, and no place in the sources has another one to give."""

from __future__ import annotations

import ast
import random
import re
import sys
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import rellm

from .texts import BYTES, CASES, REFUSALS, library, outcome

ROOT = Path(__file__).parents[2]
TABLE = tomllib.loads((ROOT / "testdata" / "refusals.toml").read_text(encoding="utf-8"))
REFUSED = [case for case in TABLE["refusal"] if sys.version_info[1] < case.get("until", 99)]

# What only the native part can be asked for: the public `Regex` refuses unknown flags before.
OF_THE_CORE = [
    ("re", 0x40000000, "flags=0x40000000 has a flag that `re` does not know in 'a': pass members of re.RegexFlag"),
    ("regex", 0x40000000, "flags=0x40000000 has a flag that `regex` does not know in 'a': pass members of regex.RegexFlag"),
    ("re", 0, "the named list x= is nothing that `re` knows in 'a': "
     r'write the alternatives out, or say dialect="regex" and use \L<name>'),
]  # fmt: skip

# Places in the sources that no pattern leads to, and why.
UNREACHABLE = {
    "a fuzzy constraint with a test of more than a character": "a guard: the library itself fails on it",
    "of re, which the search engine does not read,": "every operation of the Pythons that there are is read",
    "the nesting": "the core refuses a nesting that deep before",
    "the groups": "a guard: the reading counts groups as the library does",
    "a name": "a guard: the reading numbers names as the library does",
    "a call by name": "the core refuses an unknown name before",
    "a set": "the core refuses an open set before",
    "an open group": "the core refuses an open group before",
    "a quantifier on nothing": "the core refuses it before",
    "a brace": "a guard: the core refuses it before",
    "a backreference to several groups of one name": "the groups of one name have one number",
    "too many groups": "a thousand million of them",
    "a group": "a guard: every extension is read",
    "a flag": "a guard: every flag is read",
}


def name(case: dict[str, Any]) -> str:
    return f"{case['dialect']}: {case['pattern'][:40]} {case.get('flags', '')}"


@pytest.mark.parametrize("case", REFUSED, ids=name)
def test_a_refusal_says_what_where_and_what_to_do(case: dict[str, Any]) -> None:
    pattern, lists = case["pattern"], case.get("lists", {})
    with pytest.raises(rellm.PatternError) as caught:
        rellm.compile(rellm.Regex(pattern, case.get("flags", 0), dialect=case["dialect"], **lists), BYTES)
    error = caught.value
    assert str(error) == case["message"]
    assert isinstance(error, rellm.UnsupportedError) == case.get("unsupported", False)
    assert error.pattern == pattern
    assert error.position == case.get("position")
    assert_complete(error, pattern)


def assert_complete(error: rellm.PatternError, pattern: str) -> None:
    """The construct, its position, unless it is an argument that is named, and the remedy."""
    message = str(error)
    if error.position is None:
        assert re.search(r"\b\w+=", message), message
        assert ": " in message
        return
    assert 0 <= error.position <= len(pattern)
    construct, _, rest = message.partition(f" at position {error.position} of '")
    assert construct
    assert "': " in rest
    assert rest.rpartition("': ")[2]


@pytest.mark.parametrize("case", [case for case in REFUSED if "position" in case], ids=name)
def test_the_library_refuses_the_same_unless_it_is_said_that_only_rellm_does(case: dict[str, Any]) -> None:
    arguments = case["dialect"], case["pattern"], case.get("flags", 0), case.get("lists", {})
    if case.get("unsupported", False):
        library(*arguments)
        return
    with pytest.raises(REFUSALS):
        library(*arguments)


@pytest.mark.parametrize("case", TABLE["reason"], ids=name)
def test_the_search_engine_serves_for_a_reason_with_a_position(case: dict[str, Any]) -> None:
    compiled = rellm.compile(rellm.Regex(case["pattern"], dialect=case["dialect"]), BYTES)
    assert (compiled.engine, compiled.engine_reason) == ("search", case["reason"])
    assert re.search(r" at position \d+$", case["reason"])


@pytest.mark.parametrize(("dialect", "flags", "message"), OF_THE_CORE)
def test_the_core_refuses_arguments_by_name(dialect: str, flags: int, message: str) -> None:
    kind, said, position = outcome(dialect, "a", flags, {} if flags else {"x": ["b"]})
    assert (kind, said, position) == ("refused", message, None)


def test_patterns_that_are_broken_at_random_are_refused_completely() -> None:
    chance = random.Random(5)
    seen = 0
    sources = [(case["pattern"], dialect) for case in CASES for dialect in case["dialects"]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1500):
            pattern, dialect = chance.choice(sources)
            at = chance.randint(0, len(pattern))
            inserted = chance.choice(["", "(", ")", "[", "\\", "*", "{", "(?", "(?<", "-", "(?r)", "(?L)", "\\g<"])
            pattern = pattern[:at] + inserted + pattern[at + chance.randint(0, 2) :]
            try:
                rellm.compile(rellm.Regex(pattern, dialect=dialect), BYTES)  # type: ignore[arg-type]
            except rellm.PatternError as error:
                seen += 1
                assert_complete(error, pattern)
            except (rellm.UnsatisfiableError, rellm.LimitExceededError):
                pass
    assert seen > 300


# --- nothing is refused that has no case


RUST_CALL = re.compile(r"\b(refused|unsupported|refused_argument|not_regular)\(|construct(?:: String)? ?[:=] ")
LITERAL = re.compile(r'r#"(.*?)"#|r?"((?:[^"\\]|\\.)*)"', re.DOTALL)


def first_argument(source: str, at: int) -> str:
    depth, end = 0, at
    while end < len(source) and not (depth == 0 and source[end] in ",;)}"):
        if literal := LITERAL.match(source, end):
            end = literal.end()
            continue
        depth += (source[end] in "([{") - (source[end] in ")]}")
        end += 1
    return source[at:end]


def literals_of_rust() -> Iterator[tuple[str, str]]:
    """Where, and the words of every refusal: those of the first argument, or of the `message` that is given."""
    for path in sorted((ROOT / "crates" / "core" / "src").rglob("*.rs")):
        if path.parent.name not in ("syntax", "re", "regex", "expression", "lazy_dfa") or path.name in (
            "failure.rs",
            "tests.rs",
        ):
            continue
        source = path.read_text(encoding="utf-8").partition("#[cfg(test)]")[0]
        source = "\n".join(re.sub(r"^\s*//.*", "", line) for line in source.splitlines())
        for call in RUST_CALL.finditer(source):
            argument = first_argument(source, call.end())
            if not LITERAL.search(argument) and "message" in argument:
                start = source.rindex("let message", 0, call.start())
                argument = source[start : source.index(";", start)]
            for literal in LITERAL.finditer(argument):
                words = literal[1] if literal[1] is not None else literal[2]
                yield f"{path.name}: {words}", words.replace("\\\\", "\\") if 'r"' not in literal[0] else words


def literals_of_python() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "python" / "rellm" / "_engines" / "search").rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(call, ast.Call) or getattr(call.func, "id", "") not in ("unsupported", "UnreadableError"):
                continue
            argument = call.args[0]
            for part in (argument.body, argument.orelse) if isinstance(argument, ast.IfExp) else (argument,):
                pieces = part.values if isinstance(part, ast.JoinedStr) else [part]
                words = "".join(str(p.value) if isinstance(p, ast.Constant) else "{}" for p in pieces)
                yield f"{path.name}: {words}", words


@pytest.mark.parametrize(("place", "words"), [*literals_of_rust(), *literals_of_python()])
def test_every_refusal_in_the_sources_has_its_case(place: str, words: str) -> None:
    pattern = ".+".join(map(re.escape, re.split(r"\{[^{}…]*\}", words)))
    messages = [case["message"] for case in TABLE["refusal"]] + [case["reason"] for case in TABLE["reason"]]
    messages += [message for _, _, message in OF_THE_CORE]
    # Names the version of the library that is installed: test_misread.py holds its words.
    messages += [r"the set [^\s\S], which the library misreads: regex 2026.11.19 lets it match 'a'"]
    if any(words.endswith(unreachable) for unreachable in UNREACHABLE):
        return
    assert any(re.search(pattern, message) for message in messages), f"add a case to testdata/refusals.toml: {place}"
