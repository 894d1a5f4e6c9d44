"""Finds the members of a character class by running `re` and `regex` on the characters themselves.

A Unicode table of ours could not be exact, because the two libraries differ from each other and from version to
version. A scan of all characters takes milliseconds: Unicode assigns no characters in the planes from 4 on, apart from
the start of plane 14, so one character represents each of these planes, and noncharacters represent themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

Range: TypeAlias = tuple[int, int]
"""The first and the last of some code points that follow each other."""

_PLANE: Final = 0x10000
POINTS: Final = 0x110000
_ONE_BY_ONE: Final = (range(0x40000), range(0xE0000, 0xE1000))
# No plane from 2 on has cased characters, so IGNORECASE can only affect these.
_WITH_CASES: Final = range(0x20000)


@cache
def _asked() -> tuple[str, npt.NDArray[np.uint32]]:
    """The representatives of all characters, as one text, and the first code point of each represented range."""
    parts = [np.arange(_ONE_BY_ONE[0].stop)]
    for first in range(_ONE_BY_ONE[0].stop, POINTS, _PLANE):
        if first == _ONE_BY_ONE[1].start:
            parts.append(np.arange(first, _ONE_BY_ONE[1].stop))
        start = _ONE_BY_ONE[1].stop if first == _ONE_BY_ONE[1].start else first
        parts.append(np.array([start, first + _PLANE - 2, first + _PLANE - 1]))
    starts = np.concatenate([*parts, [POINTS]]).astype("<u4")
    return starts[:-1].tobytes().decode("utf-32-le", "surrogatepass"), starts


def members(repeated: Any) -> list[Range]:
    """The characters that a class matches, as ranges.

    Args:
        repeated: a pattern of `re` or `regex` that matches one or more characters of the class.
    """
    text, starts = _asked()
    return [(int(starts[found.start()]), int(starts[found.end()]) - 1) for found in repeated.finditer(text)]


@cache
def cased() -> str:
    """A superset of the characters that IGNORECASE treats specially in either library."""
    import regex

    text = _asked()[0][: len(_WITH_CASES)]
    return "".join(regex.findall(r"[\p{Cased}\p{CWCM}\p{CWCF}\p{CWL}\p{CWU}\p{CWT}\p{Mn}]", text))


def ignoring_case(plain: Iterable[Range], repeated: Any) -> list[Range]:
    """The members of a class under IGNORECASE, given its `plain` members with case.

    Args:
        plain: its members with case.
        repeated: a pattern that matches one or more characters of the class, with case ignored.
    """
    asked = cased()
    matched = {character for found in repeated.finditer(asked) for character in found.group()}
    changed = difference(plain, points(map(ord, set(asked) - matched)))
    return union([*changed, *points(map(ord, matched))])


@lru_cache(maxsize=1)
def re_cases() -> tuple[dict[int, list[int]], dict[int, list[int]], list[Range]]:
    """The simple lower and upper case of each character where it differs, and the characters with another case."""
    import _sre

    changing = [c for c in _WITH_CASES if (text := chr(c)).lower() != text or text.upper() != text]
    lower = {c: [low] for c in changing if (low := _sre.unicode_tolower(c)) != c}
    # The engine's own upper case is the first character of the full one (`ß` → `S`).
    upper = {c: [up] for c in changing if (up := ord(chr(c).upper()[0])) != c}
    return lower, upper, points(c for c in changing if _sre.unicode_iscased(c))


@lru_cache(maxsize=1)
def regex_cases() -> tuple[dict[int, list[int]], dict[int, list[int]]]:
    """The other cases of characters, and their full case folding where it differs from the character."""
    import regex
    from regex import _regex

    unicode, full = int(regex.UNICODE), int(regex.UNICODE | regex.FULLCASE | regex.IGNORECASE)
    cases: dict[int, list[int]] = {}
    folding: dict[int, list[int]] = {}
    for character in cased():
        point = ord(character)
        others = [c for c in _regex.get_all_cases(unicode, point) if c != point]
        if others:
            cases[point] = others
        folded = _regex.fold_case(full, character)
        if folded != character:
            folding[point] = list(map(ord, folded))
    return cases, folding


def white_space() -> list[Range]:
    """The characters of `str.isspace`, which VERBOSE skips in a pattern."""
    return points(c for c in range(_PLANE) if chr(c).isspace())


def points(found: Iterable[int]) -> list[Range]:
    """Code points as ranges."""
    ordered = sorted(set(found))
    if not ordered:
        return []
    firsts = [ordered[0], *(after for before, after in pairwise(ordered) if after != before + 1)]
    lasts = [*(before for before, after in pairwise(ordered) if after != before + 1), ordered[-1]]
    return list(zip(firsts, lasts, strict=True))


def union(ranges: Iterable[Range]) -> list[Range]:
    """The code points of any of the ranges, in any order."""
    joined: list[Range] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = joined[-1][0], max(last, joined[-1][1])
        else:
            joined.append((first, last))
    return joined


def complement(ranges: Iterable[Range]) -> list[Range]:
    """All other code points; the ranges are in order and apart."""
    return list(_gaps(ranges))


def _gaps(ranges: Iterable[Range]) -> Iterator[Range]:
    start = 0
    for first, last in ranges:
        if start < first:
            yield start, first - 1
        start = last + 1
    if start < POINTS:
        yield start, POINTS - 1


def difference(ranges: Iterable[Range], others: Iterable[Range]) -> list[Range]:
    """The code points of the ranges that are not in the others."""
    return complement(union([*complement(ranges), *others]))
