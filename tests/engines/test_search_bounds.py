"""Whatever library is asked, a call ends within `Limits`."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import regex
import rellm
from rellm._engines.search.pattern.languages import language_of
from rellm._engines.search.time_limit import Budget

VOCABULARY = rellm.Vocabulary([*(bytes([byte]) for byte in range(256)), None], eos_token_ids=[256])
# The bar is one second; processor time, since other work may be going on.
_MOST_SECONDS = 1.5


def seconds_of(call: Callable[[], Any]) -> float:
    start = time.process_time()
    try:
        call()
    except rellm.LimitExceededError as error:
        assert error.limit in ("fuel", "nesting", "memory_bytes")
    return time.process_time() - start


@pytest.mark.parametrize("length", [18, 180, 1800])
@pytest.mark.parametrize(
    "pattern",
    [
        r"(?=(.))(?:a?|a|aa)+\1b",
        r"(?=(a))(?:a|a)*\1b",
        r"(?=(a))(?:a*)*\1b",
        r"(?=(.))(?:(?:a|aa)+)+?(?(1)b|c)\1",
        r"(?=(.))(?>(?:a|a)*b)\1|a+",
    ],
)
def test_a_pattern_of_re_that_backtracks_without_end_ends_in_a_typed_error(pattern: str, length: int) -> None:
    compiled = rellm.compile(rellm.Regex(pattern), VOCABULARY)
    assert compiled.engine == "search"
    matcher = compiled.matcher()
    assert seconds_of(lambda: matcher.advance_bytes(b"a" * length)) <= _MOST_SECONDS
    assert seconds_of(lambda: matcher.is_accepting) <= _MOST_SECONDS
    assert seconds_of(matcher.mask) <= _MOST_SECONDS


def test_the_backtracking_machine_takes_the_ways_that_re_takes() -> None:
    rng = random.Random(19)
    atoms = ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\b", r"\B", "^", "$", r"\Z", r"\1", "(?<=a)", "(?<!ab)", "(?m:^)"]

    def some(depth: int = 0) -> str:
        choice = rng.random()
        if depth > 3 or choice < 0.35:
            return rng.choice(atoms)
        inner = some(depth + 1)
        if choice < 0.5:
            return inner + some(depth + 1)
        if choice < 0.6:
            return f"(?:{inner}|{some(depth + 1)})"
        if choice < 0.72:
            return f"({inner})"
        if choice < 0.86:
            return f"(?:{inner})" + rng.choice(["*", "+", "?", "{1,2}", "*?", "+?", "??", "{2}", "*+", "?+"])
        return rng.choice(["(?={})", "(?!{})", "(?>{})", "(?(1){}|b)"]).format(inner)

    texts = ["".join(letters) for length in range(5) for letters in itertools.product("ab", repeat=length)]
    limits = rellm.Limits()
    compared = 0
    while compared < 300:
        pattern = rng.choice(["", "(a|b)", "(a|b)(x?)"]) + some()
        try:
            library = re.compile(pattern)
            machine = language_of(pattern, 0, "re", {}, limits).machine
        except (re.error, rellm.RellmError):
            continue
        assert machine is not None
        compared += 1
        for text in [*texts, "ab\na"]:
            expected = library.fullmatch(text) is not None
            assert machine.matches(text, Budget(10**9, 0)) == expected, (pattern, text)


@pytest.mark.parametrize("count", [400, 4000])
@pytest.mark.parametrize(
    "flags",
    [re.RegexFlag(0), re.I, regex.V0, regex.V0 | regex.I, regex.V1 | regex.I],
    ids=["re", "re.I", "V0", "V0 I", "V1 I"],
)
def test_many_classes_are_asked_about_within_the_fuel(count: int, flags: Any) -> None:
    classes = "".join(rf"[{chr(0x4E00 + 3 * i)}-{chr(0x4E01 + 3 * i)}{chr(0x100 + i)}\d]?" for i in range(count))
    end = r"\X" if isinstance(flags, regex.RegexFlag) else r"(?=(.))(?:a?|a|aa)+\1b"
    constraint = rellm.Regex(classes + end, flags)
    assert seconds_of(lambda: rellm.compile(constraint, VOCABULARY)) <= _MOST_SECONDS


@pytest.mark.parametrize("length", [20_000, 200_000, 1_900_000])
def test_a_long_pattern_is_not_compiled_by_a_library_that_takes_too_long(length: int) -> None:
    part = "ab[c-d](?:e)"
    assert (
        seconds_of(
            lambda: rellm.compile(regex.V0 and rellm.Regex(r"\X" + part * (length // len(part)), regex.V0), VOCABULARY)
        )
        <= 3
    )


def test_a_higher_limit_lets_a_call_take_longer() -> None:
    constraint = rellm.Regex(r"(?=(.))(?:a?|a|aa)+\1b")
    text = b"a" * 15 + b"ab"
    compiled = rellm.compile(constraint, VOCABULARY, rellm.Limits(fuel=2_000_000_000))
    matcher = compiled.matcher()
    matcher.advance_bytes(text)
    assert matcher.is_accepting


def test_fuel_bounds_a_call_and_not_each_of_its_questions() -> None:
    limits = rellm.Limits(fuel=2_500_000)  # a tenth of a second
    matcher = rellm.compile(rellm.Regex(r"(?=(.))(?:a?|a|aa)+\1b"), VOCABULARY, limits).matcher()
    assert seconds_of(lambda: matcher.advance_bytes(b"a" * 400)) <= 0.4
