"""Classes agree with the library on every code point."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import regex
from rellm._dialects import tables


@functools.cache
def everything() -> str:
    return "".join(map(chr, range(0x110000)))


def members(module: Any, pattern: str, flags: int) -> list[tuple[int, int]]:
    """The runs of characters that the library's class matches, one scan over all of them."""
    runs = module.compile(f"(?:{pattern})+", flags).finditer(everything())
    return [(run.start(), run.end() - 1) for run in runs]


RE = [
    *[rf"\{c}" for c in "dDsSwW"],
    ".", "[a-z]", "[^a-z]", r"[\W\d]", "ß", "[ß-ÿ]", "k", "[^k]", "i", "[i-j]", "ſ", "µ", "[α-ω]", "ǅ", "[Ⴀ-Ⴥ]", "Ა",
    "\U00010400", "[\U00010400-\U00010410]", "[\U00010400x]", "[\u0100-\U00010410]", "[^\U00010428\\d]", "\u0345",
    "[Ā-ſ]", "[А-Я]", "K", "[\U0001e900-\U0001e910\\s]", "ﬆ", "İ", "[İı]", "[!-/]", "[\ud7ff-\ue000]",
]  # fmt: skip
REGEX = [
    *[rf"\{c}" for c in "dDsSwWh"],
    ".", "[a-z]", "[^a-z]", r"[\W\d]", "ß", "[ß-ÿ]", "k", "[^k]", "i", "I", "[i-j]", "ſ", "µ", "[α-ω]", "ǅ",
    r"\p{Lu}", r"\P{Lu}", r"[\p{Lu}0]", r"[^\p{Lu}0]", r"[\P{Lu}0]", r"\p{Greek}", r"\p{Assigned}", r"\P{Assigned}",
    r"\p{InBasicLatin}", r"\p{Alphabetic}", r"\p{nv=1/2}", r"\p{L&}", r"\p{Any}", r"[[:alpha:]]", r"[[:^punct:]]",
    r"[[:upper:]a]", r"\p{Script=Cyrillic}", r"\p{WB=MidLetter}", r"\p{Ideographic}", "[İı]", "[\ud7ff-\ue000]",
]  # fmt: skip


@pytest.mark.parametrize("pattern", RE)
@pytest.mark.parametrize("flags", [re.U, re.I, re.A, re.A | re.I], ids=["", "i", "a", "ai"])
def test_re_classes_agree_on_every_code_point(pattern: str, flags: int) -> None:
    ours = tables.re_dialect().character_class(pattern, int(flags))
    assert ours is not None
    assert _without_surrogates(ours) == _without_surrogates(members(re, pattern, flags))


@pytest.mark.parametrize("pattern", REGEX)
@pytest.mark.parametrize("flags", [0, regex.I, regex.A, regex.A | regex.I], ids=["", "i", "a", "ai"])
def test_regex_classes_agree_on_every_code_point(pattern: str, flags: int) -> None:
    outcome = tables.regex_dialect().outcome(pattern, int(flags), {})
    if outcome[0] == "search":
        assert "in ASCII with case ignored" in outcome[1]
        assert flags == regex.A | regex.I
        return
    ours = tables.regex_dialect().character_class(pattern, int(flags))
    assert ours is not None
    assert _without_surrogates(ours) == _without_surrogates(members(regex, pattern, flags))


@pytest.mark.parametrize(
    "pattern",
    [r"[\w--[a-s]]", r"[\w&&[^s]]", r"[[a-z]~~[s-t]]", r"[\p{L}--\p{Lu}]", r"[a[^b-y]]", r"[\p{Lu}&&\p{Latin}]"],
)
@pytest.mark.parametrize("flags", [0, regex.I], ids=["", "i"])
def test_set_operations_agree_on_every_code_point(pattern: str, flags: int) -> None:
    # `(?-f:…)`: without full folding, so that the class alone is seen.
    pattern = f"(?-f:{pattern})"
    ours = tables.regex_dialect().character_class(pattern, int(flags | regex.V1))
    assert ours is not None
    assert _without_surrogates(ours) == _without_surrogates(members(regex, pattern, flags | regex.V1))


def test_single_characters_ignore_case_as_the_libraries_do() -> None:
    """Every character that has another case, in both libraries, alone and in a set."""
    for module, native, step in ((re, tables.re_dialect(), 7), (regex, tables.regex_dialect(), 11)):
        cased = [c for c in everything() if c.lower() != c or c.upper() != c]
        for index in range(0, len(cased), step):
            character = cased[index]
            for pattern in (character, f"[{character}!]"):
                ours = native.character_class(pattern, int(module.I))
                assert ours is not None
                ours = set(_points(ours))
                near = ours | {ord(x) for c in character for v in (c.lower(), c.upper(), c.title()) for x in v}
                compiled = module.compile(pattern, module.I)
                theirs = {c for c in near | set(range(0x250)) if compiled.fullmatch(chr(c))}
                assert ours == theirs, (module.__name__, pattern)


def _points(ranges: list[tuple[int, int]]) -> list[int]:
    return [c for low, high in ranges for c in range(low, high + 1)]


def _without_surrogates(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges as scalar values: no text has a surrogate, so whether one is a member makes no difference."""
    pieces = []
    for low, high in ranges:
        for a, b in ((low, min(high, 0xD7FF)), (max(low, 0xE000), high)):
            if a <= b:
                pieces.append((a, b))
    return pieces
