"""Patterns of Python's `re` in the words of `regex`, so that they can be matched partially.

Only what is equal is put in other words: classes and cases are those that `re` itself has, found by asking it about
every code point. Whether a whole text matches is still asked of `re`. The tree comes from the interpreter's own parser.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Final

import regex

from rellm._dialects import scan
from rellm._dialects.library import compiled
from rellm._engines.search.masks.backtracking import Backtracking
from rellm._engines.search.pattern.alphabet import Alphabet, Ranges
from rellm._engines.search.pattern.languages import FUEL_OF_A_CHARACTER, Language
from rellm._engines.search.pattern.refusals import unsupported
from rellm._engines.search.pattern.rewording import NO_MORE, NO_MORE_BUT_NEWLINE, NO_MORE_ON_LINE, asking
from rellm._engines.search.time_limit import Budget

_REWRITE: Final = 'write the pattern for regex (dialect="regex")'
_ENCODINGS: Final = int(re.ASCII | re.UNICODE)


def language_of_re(pattern: str, flags: int, budget: Budget) -> Language:
    """A pattern of Python's `re`."""
    own = compiled(pattern, flags, "re", {})
    references = _References()
    tree = _parser.parse(pattern, own.flags, references)
    writer = _Writer(pattern, references, budget)
    source = writer.sequence(tree, own.flags)
    budget.charge(len(source) * FUEL_OF_A_CHARACTER["regex"] // 4, "putting the pattern in the words of regex")
    partial = compiled(source, int(regex.VERSION1), "regex", {})
    machine = Backtracking(
        tree, int(own.flags), lambda op, argument, flags: class_ranges(repr((op, argument)), _Atom(op, argument), flags)
    )
    return Language(own, partial, frozenset(writer.kinds), Alphabet(writer.classes), None, machine=machine)


class _References(_parser.State):  # type: ignore[misc]
    """What the parser keeps, and, by group, where each reference to it ends: the tree does not tell."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[int, list[int]] = {}

    def checklookbehindgroup(self, group: int, source: Any) -> None:
        self.ends.setdefault(group, []).append(source.tell())
        super().checklookbehindgroup(group, source)

    def next(self, group: int, pattern: str) -> int:
        """Where the next reference to the group begins, in the order of the tree."""
        ends = self.ends[group]
        end = ends.pop(0) if len(ends) > 1 else ends[0]
        return pattern.rfind("(?" if pattern[end - 1] == ")" else "\\", 0, end)


class _Writer:
    def __init__(self, pattern: str, references: _References, budget: Budget) -> None:
        self.pattern = pattern
        self.budget = budget
        self.references = references
        self.kinds: set[str] = set()
        self.protecting = 0  # how many constructs around match once and for all
        self.in_lookbehind = 0
        self.classes: list[Ranges] = [((10, 10),)]

    def sequence(self, items: Iterable[tuple[Any, Any]], flags: int) -> str:
        return "".join(self.item(op, argument, flags) for op, argument in items)

    def item(self, op: Any, argument: Any, flags: int) -> str:
        name = str(op)
        if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
            return self.character(op, argument, flags)
        method = getattr(self, "_" + name.lower(), None)
        if method is None:
            # Not one of the Pythons that there are: its tree has no places.
            raise unsupported(f"{name} of re, which the search engine does not read,", self.pattern, 0, _REWRITE)
        written: str = method(argument, flags)
        return written

    def character(self, op: Any, argument: Any, flags: int) -> str:
        self.budget.seconds_left()
        ranges = class_ranges(repr((op, argument)), _Atom(op, argument), flags)
        self.classes.append(ranges)
        return _written(ranges)

    def _branch(self, argument: Any, flags: int) -> str:
        return f"(?:{'|'.join(self.sequence(branch, flags) for branch in argument[1])})"

    def _subpattern(self, argument: Any, flags: int) -> str:
        group, on, off, body = argument
        inner = flags & ~_ENCODINGS | on if on & _ENCODINGS else flags | on
        return f"({'' if group else '?:'}{self.sequence(body, inner & ~off)})"

    def _max_repeat(self, argument: Any, flags: int, suffix: str = "") -> str:
        low, high, body = argument
        most = "" if high is _constants.MAXREPEAT else str(high)
        return f"(?:{self.sequence(body, flags)}){{{low},{most}}}{suffix}"

    def _min_repeat(self, argument: Any, flags: int) -> str:
        return self._max_repeat(argument, flags, "?")

    def _possessive_repeat(self, argument: Any, flags: int) -> str:
        self.kinds.add("possessive quantifier")
        self.protecting += 1
        written = self._max_repeat(argument, flags, "+")
        self.protecting -= 1
        return written

    def _atomic_group(self, argument: Any, flags: int) -> str:
        self.kinds.add("atomic group")
        return f"(?>{self.protected(argument, flags)})"

    def protected(self, items: Iterable[tuple[Any, Any]], flags: int) -> str:
        """What is matched once and for all, or must not match."""
        self.protecting += 1
        written = self.sequence(items, flags)
        self.protecting -= 1
        return written

    def _assert(self, argument: Any, flags: int, sign: str = "=") -> str:
        self.kinds.add("lookaround")
        direction, body = argument
        is_behind = direction < 0
        self.in_lookbehind += is_behind
        written = f"(?{'<' if is_behind else ''}{sign}{self.protected(body, flags)})"
        self.in_lookbehind -= is_behind
        return self.asking(written) if is_behind or sign == "!" else written

    def _assert_not(self, argument: Any, flags: int) -> str:
        return self._assert(argument, flags, "!")

    def _failure(self, argument: Any, flags: int) -> str:
        return "(?!)"

    def _groupref(self, argument: Any, flags: int) -> str:
        position = self.references.next(argument, self.pattern)
        self.kinds.add("backreference")
        if self.protecting:
            self.kinds.add("protected comparison")
        if flags & re.IGNORECASE:
            raise unsupported(
                f"a backreference to group {argument} under IGNORECASE that the automaton does not hold",
                self.pattern,
                position,
                f"{_REWRITE}: its letters are other ones here",
            )
        return f"(?:\\g<{argument}>)"

    def _groupref_exists(self, argument: Any, flags: int) -> str:
        self.kinds.add("conditional")
        group, yes, no = argument
        self.references.next(group, self.pattern)
        otherwise = "" if no is None else "|" + self.sequence(no, flags)
        # A branch of its own for `yes`: a bar inside would be read as the conditional's.
        return self.asking(f"(?({group})(?:{self.sequence(yes, flags)}){otherwise})")

    def asking(self, written: str) -> str:
        return written if self.in_lookbehind else asking(written)

    def _at(self, argument: Any, flags: int) -> str:
        name = str(argument)
        if name in ("AT_BOUNDARY", "AT_NON_BOUNDARY"):
            self.kinds.add("boundary")
            word = self.character(_constants.IN, [(_constants.CATEGORY, _constants.CATEGORY_WORD)], flags)
            if name == "AT_BOUNDARY":
                return f"(?:(?<={word})(?!{word})|(?<!{word})(?={word}))"
            return f"(?:(?<={word})(?={word})|(?<!{word})(?!{word}))"
        self.kinds.add("line anchor")
        if name == "AT_END_STRING":
            return NO_MORE
        if name == "AT_END":
            return NO_MORE_ON_LINE if flags & re.MULTILINE else NO_MORE_BUT_NEWLINE
        return self.asking("(?m:^)" if name == "AT_BEGINNING" and flags & re.MULTILINE else r"\A")


class _Atom:
    """One item of a tree, compared by what it says and not by itself, so that scans can be kept."""

    def __init__(self, op: Any, argument: Any) -> None:
        self.op = op
        self.argument = argument

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Atom)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4096)
def class_ranges(key: str, atom: _Atom, flags: int) -> Ranges:
    """What one item matches: what it says, and what `re` answers where case is ignored."""
    flags &= int(re.IGNORECASE | re.ASCII | re.UNICODE | re.DOTALL)
    plain = _plain(atom.op, atom.argument, flags)
    if not flags & re.IGNORECASE or str(atom.op) == "ANY":
        return tuple(plain)
    item = _parser.SubPattern(_parser.State(), [(atom.op, atom.argument)])
    repeated = _compiled((_constants.MAX_REPEAT, (1, _constants.MAXREPEAT, item)), flags)
    return tuple(scan.ignoring_case(plain, repeated))


def _plain(op: Any, argument: Any, flags: int) -> list[scan.Range]:
    """What an item matches where case is not ignored."""
    name = str(op)
    if name == "ANY":
        newline = [] if flags & re.DOTALL else [(10, 10)]
        return scan.complement(newline)
    if name in ("LITERAL", "NOT_LITERAL"):
        single = [(argument, argument)]
        return single if name == "LITERAL" else scan.complement(single)
    if name == "RANGE":
        return [argument]
    if name == "CATEGORY":
        return _category(str(argument), flags & _ENCODINGS)
    items = list(argument)  # IN
    negated = str(items[0][0]) == "NEGATE"
    found = scan.union(part for op, argument in items[negated:] for part in _plain(op, argument, flags))
    return scan.complement(found) if negated else found


@lru_cache(maxsize=64)
def _category(name: str, flags: int) -> list[scan.Range]:
    item = [(_constants.IN, [(_constants.CATEGORY, getattr(_constants, name))])]
    inside = _parser.SubPattern(_parser.State(), item)
    return scan.members(_compiled((_constants.MAX_REPEAT, (1, _constants.MAXREPEAT, inside)), flags))


def _compiled(item: tuple[Any, Any], flags: int) -> re.Pattern[str]:
    state = _parser.State()
    state.flags = flags | (0 if flags & _ENCODINGS else int(re.UNICODE))
    compiled: re.Pattern[str] = _compiler.compile(_parser.SubPattern(state, [item]), state.flags)
    return compiled


def _written(ranges: Ranges) -> str:
    if not ranges:
        return "(?!)"
    if ranges == ((0, 0x10FFFF),):
        return "(?s:.)"
    if len(ranges) <= _SHORT:
        return f"[{_listed(ranges)}]"
    base, added, removed = _nearest(ranges)
    return f"[[{base}{_listed(added)}]--[{_listed(removed)}]]" if removed else f"[{base}{_listed(added)}]"


def _listed(ranges: Iterable[scan.Range]) -> str:
    return "".join(f"\\U{a:08X}" if a == b else f"\\U{a:08X}-\\U{b:08X}" for a, b in ranges)


@lru_cache(maxsize=256)
def _nearest(ranges: Ranges) -> tuple[str, list[scan.Range], list[scan.Range]]:
    """The class of `regex` that a class of `re` is nearest to, and what has to be added and removed.

    `regex` takes 0.1 ms to read a range, and the two differ in a tenth of the ranges of `\\w`.
    """
    ways = []
    for base in ("", *_CLASSES):
        own = scan.members(regex.compile(f"{base}+")) if base else []
        ways.append((base, scan.difference(ranges, own), scan.difference(own, ranges)))
    return min(ways, key=lambda way: len(way[1]) + len(way[2]))


_SHORT: Final = 16
_CLASSES: Final = (r"\w", r"\d", r"\s", r"\W", r"\D", r"\S")
