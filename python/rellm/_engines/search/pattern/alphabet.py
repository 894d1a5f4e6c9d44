"""The classes of characters that a pattern can tell apart.

A permutation of the characters that keeps every class of a pattern keeps its language, as long as the pattern compares
no character of the text with another one (a backreference does) and no letter folds to several (full case folding
does, for a hundred letters). So one character stands for all of its class, and few tokens stand for a vocabulary.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import cache, lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt
import regex

from rellm._engines.search.pattern.reading import ASCII, FULL_CASE, IGNORE_CASE, Atom, Reading

Ranges = tuple[tuple[int, int], ...]
"""Inclusive ranges of code points, ascending."""

_POINTS: Final = 0x110000
_MOST_ATOMS: Final = 1000
_V1: Final = int(regex.VERSION1)
# What graphemes and the word boundaries of flag WORD look at. What an older library does not know is not looked at.
_PROPERTIES: Final = {
    "grapheme": [
        *(f"\\p{{GCB={v}}}" for v in ("CN", "EX", "PP", "SM", "L", "V", "T", "LV", "LVT", "RI", "ZWJ")),
        *(f"\\p{{InCB={v}}}" for v in ("Linker", "Consonant", "Extend")),
        r"\p{ExtPict}",
        r"\r",
        r"\n",
    ],
    "default word boundary": [
        *(
            f"\\p{{WB={v}}}"
            for v in (
                "DQ",
                "SQ",
                "EX",
                "Extend",
                "FO",
                "HL",
                "KA",
                "LE",
                "MB",
                "ML",
                "MN",
                "NL",
                "NU",
                "RI",
                "WSegSpace",
                "ZWJ",
            )
        ),
        r"\p{ExtPict}",
        r"\r",
        r"\n",
    ],
}


class Alphabet:
    """A partition of the code points into classes, numbered from 0."""

    def __init__(self, classes: Iterable[Ranges]) -> None:
        signature: dict[int, int] = {0: 0, _POINTS: 0}  # a border: the classes that begin or end there
        for index, ranges in enumerate(dict.fromkeys(classes)):
            for first, last in ranges:
                for border in (first, last + 1):
                    signature[border] = signature.get(border, 0) ^ (1 << index)
        borders = sorted(signature)
        numbers: dict[int, int] = {}
        inside, of_piece = 0, []
        for border in borders[:-1]:
            inside ^= signature[border]
            of_piece.append(numbers.setdefault(inside, len(numbers)))
        self._starts = borders[:-1]
        self._of_piece = of_piece
        self.size = len(numbers)
        members: list[list[tuple[int, int]]] = [[] for _ in range(self.size)]
        for first, after, number in zip(borders[:-1], borders[1:], of_piece, strict=True):
            members[number].append((first, after - 1))
        self.members: list[Ranges] = [tuple(ranges) for ranges in members]

    def table(self) -> npt.NDArray[np.uint32]:
        """The class of every code point."""
        lengths = np.diff(np.array([*self._starts, _POINTS]))
        return np.repeat(np.array(self._of_piece, dtype=np.uint32), lengths)

    def class_of(self, character: str) -> int:
        return self._of_piece[bisect_right(self._starts, ord(character)) - 1]


def alphabet_of(reading: Reading, scan: Callable[[Atom], Ranges]) -> Alphabet | None:
    """The classes of what was read, backreferences left aside; `None` if there are too many."""
    if len(reading.atoms) > _MOST_ATOMS:
        return None
    classes: list[Ranges] = [scan(atom) for atom in reading.atoms]
    for atom in reading.atoms:
        if atom.is_property_with_case_ignored:
            # Wherever the library forgets one of the flags, or both, it tells no more characters apart than these do.
            forgotten = ASCII, IGNORE_CASE, ASCII | IGNORE_CASE
            classes += [scan(Atom(atom.source, atom.flags & ~flags)) for flags in forgotten]
    for kind, sources in _PROPERTIES.items():
        if kind in reading.kinds:
            classes += [ranges for source in sources if (ranges := _property(source)) is not None]
    full = [atom for atom in reading.atoms if atom.flags & IGNORE_CASE and atom.flags & (FULL_CASE | _V1)]
    if full:
        classes += [((ord(character), ord(character)),) for character in _folding_apart(full, scan)]
    return Alphabet(classes)


@lru_cache(maxsize=4096)
def scan_regex(atom: Atom) -> Ranges:
    """What one atom of a `regex` pattern matches, by asking the library about every code point."""
    literal = _literal(atom.source)
    if literal is not None and not atom.flags & IGNORE_CASE:
        return ((ord(literal), ord(literal)),)
    compiled = regex.compile(f"(?:{atom.source})+", atom.flags)
    if literal is not None:
        return singles(character for character in {literal, *cased()} if compiled.fullmatch(character))
    return tuple((found.start(), found.end() - 1) for found in compiled.finditer(every_point()))


@lru_cache(maxsize=64)
def _property(source: str) -> Ranges | None:
    try:
        return scan_regex(Atom(source, 0))
    except regex.error:
        return None


def _literal(source: str) -> str | None:
    if len(source) == 1 and source != ".":
        return source
    if len(source) == 2 and source[0] == "\\" and not source[1].isalnum():
        return source[1]
    return None


def singles(characters: Iterable[str]) -> Ranges:
    """Characters as ranges."""
    ranges: list[tuple[int, int]] = []
    for point in sorted(map(ord, characters)):
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1] = (ranges[-1][0], point)
        else:
            ranges.append((point, point))
    return tuple(ranges)


@cache
def every_point() -> str:
    """All code points in order, so that an index is a code point. For surrogates, never in a text, `U+0000` stands."""
    points = np.arange(_POINTS, dtype="<u4")
    points[0xD800:0xE000] = 0
    return points.tobytes().decode("utf-32-le")


@cache
def cased() -> tuple[str, ...]:
    """Every character that has other cases, to either library, and some more."""
    return tuple(regex.findall(r"[\p{Cased}\p{CWCM}\p{CWCF}\p{CWL}\p{CWU}\p{CWT}\p{Mn}]", every_point()))


def _folding_apart(atoms: Iterable[Atom], scan: Callable[[Atom], Ranges]) -> set[str]:
    """The characters that full case folding compares one by one: `ß` with `ss`, for a pattern that has `s` or `[ß]`."""
    compared: set[str] = set()
    several = _folding_to_several()
    for atom in atoms:
        literal = _literal(atom.source)
        if literal is not None:
            compared.update(literal.casefold())
        elif atom.source[0] == "\\" and (atom.source[1] in "xuUN" or atom.source[1].isdigit()):
            compared.update(*(chr(first).casefold() for first, _ in scan(atom)))
        elif atom.source[0] == "[" and (
            atom.source[1] != "^" or "[" in atom.source[1:]
        ):  # negated sets, `.` and properties match one character
            members = scan(atom)
            compared.update(*(c.casefold() for c in several if overlap(members, [(ord(c), ord(c))])))
    compared &= {part for c in several for part in c.casefold()}
    return compared | {c for c in cased() if compared & set(c.casefold())}


@cache
def _folding_to_several() -> frozenset[str]:
    return frozenset(c for c in cased() if len(c.casefold()) > 1)


def overlap(ranges: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The code points that are in both."""
    found, i, j = [], 0, 0
    while i < len(ranges) and j < len(others):
        first, last = max(ranges[i][0], others[j][0]), min(ranges[i][1], others[j][1])
        if first <= last:
            found.append((first, last))
        if ranges[i][1] < others[j][1]:
            i += 1
        else:
            j += 1
    return found


def scan_re(compiled: re.Pattern[str]) -> Ranges:
    """What one atom of an `re` pattern, repeated, matches."""
    return tuple((found.start(), found.end() - 1) for found in compiled.finditer(every_point()))
