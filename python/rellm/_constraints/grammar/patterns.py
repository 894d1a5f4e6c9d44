"""Regular expressions inside a grammar: their properties, and the conversion of patterns with lookarounds to a tree.

A pattern without lookarounds and anchors goes to the core unchanged. Lookarounds and anchors must see the text before
and after the pattern, and a lazy repetition ends according to the text after it, so such patterns are taken apart:
each lookaround becomes a node, and the parts between become patterns of one character each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from rellm._constraints.grammar.rule_tree import (
    ANY_CHAR,
    EMPTY,
    NEVER,
    Alt,
    Chars,
    Expr,
    Look,
    Loop,
    Pattern,
    Seq,
    Text,
    alt,
    loop,
    seq,
)

sre = re._parser
_codes = re._constants
_UNBOUNDED = _codes.MAXREPEAT


@dataclass(frozen=True, slots=True)
class Facts:
    """Properties of a pattern.

    Attributes:
        looks: it has a lookaround or an anchor.
        keeps: it has a group with a backreference or a condition, or one without backtracking (atomic, possessive).
        lazy: it has a lazy repetition of varying length.
        minimum: the least number of characters.
    """

    looks: bool
    keeps: bool
    lazy: bool
    minimum: int


@lru_cache(maxsize=4096)
def pattern_facts(source: str, flags: int) -> Facts:
    """The properties of a pattern, from one walk over its tree."""
    tree = sre.parse(source, flags)
    looks = keeps = lazy = False
    waiting = [tree]
    while waiting:
        for code, value in waiting.pop():
            name = str(code)
            if name in ("ASSERT", "ASSERT_NOT", "AT"):
                looks = True
            elif name in ("GROUPREF", "GROUPREF_EXISTS", "GROUPREF_IGNORE", "ATOMIC_GROUP", "POSSESSIVE_REPEAT"):
                keeps = True
            if name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
                lazy = lazy or (name == "MIN_REPEAT" and value[0] != value[1])
                waiting.append(value[2])
            elif name == "SUBPATTERN":
                waiting.append(value[3])
            elif name == "BRANCH":
                waiting += value[1]
            elif name == "ATOMIC_GROUP":
                waiting.append(value)
    return Facts(looks, keeps, lazy, tree.getwidth()[0])


@lru_cache(maxsize=4096)
def pattern_is_nullable(source: str, flags: int) -> bool:
    """Whether the pattern matches the empty text."""
    return re.compile(source, flags).fullmatch("") is not None


@lru_cache(maxsize=1024)
def trailing_class(source: str, flags: int) -> Pattern | None:
    """The character class of an unbounded repetition at the end of the pattern; None if it ends otherwise."""
    return _trailing(sre.parse(source, flags), flags)


def _trailing(tree: Any, flags: int) -> Pattern | None:
    items = list(tree)
    if not items:
        return None
    code, value = items[-1]
    name = str(code)
    if name == "SUBPATTERN":
        return _trailing(value[3], (flags | value[1]) & ~value[2])
    if name in ("MAX_REPEAT", "POSSESSIVE_REPEAT") and value[1] == _UNBOUNDED:
        body = list(value[2])
        if len(body) == 1 and str(body[0][0]) == "SUBPATTERN":
            body = list(body[0][1][3])
        if len(body) == 1 and is_char(body[0][0]):
            return _leaf(body[0][0], body[0][1], flags)
        return None
    return None


@lru_cache(maxsize=1024)
def taken_apart(source: str, flags: int) -> Expr | None:
    """The pattern as a tree whose lookarounds see the surrounding text, and whose lazy repetitions are marked.

    None if it has a backreference or a part without backtracking, which cannot be taken apart.
    """
    tree = sre.parse(source, flags)
    try:
        return _items(tree, tree.state.flags & ~int(re.U))
    except _NotSeparableError:
        return None


class _NotSeparableError(Exception):
    """A pattern with lookarounds has a backreference, or a repetition without backtracking."""


def _items(tree: Any, flags: int) -> Expr:
    return seq(*(_item(code, value, flags) for code, value in tree))


def _item(code: Any, value: Any, flags: int) -> Expr:
    name = str(code)
    if is_char(code):
        return _leaf(code, value, flags)
    if name == "BRANCH":
        return alt(*(_items(branch, flags) for branch in value[1]))
    if name == "SUBPATTERN":
        return _items(value[3], (flags | value[1]) & ~value[2])
    if name in ("MAX_REPEAT", "MIN_REPEAT"):
        low, high, body = value
        lazy = name == "MIN_REPEAT" and low != high
        return loop(_items(body, flags), low, None if high == _UNBOUNDED else high, lazy=lazy)
    if name in ("ASSERT", "ASSERT_NOT"):
        return Look(_items(value[1], flags), behind=value[0] < 0, negated=name == "ASSERT_NOT")
    if name == "AT":
        return _anchor(str(value), flags)
    raise _NotSeparableError


def _anchor(name: str, flags: int) -> Expr:
    line = Chars(((0, 9), (11, 0x10FFFF)))
    start, end = Look(ANY_CHAR, True, True), Look(ANY_CHAR, False, True)
    if name == "AT_BEGINNING":
        return Look(line, True, True) if flags & re.M else start
    if name == "AT_END":
        if flags & re.M:
            return Look(line, False, True)
        return alt(end, Look(seq(Text("\n"), end)))
    if name == "AT_BEGINNING_STRING":
        return start
    if name == "AT_END_STRING":
        return end
    word = Pattern(r"\w", flags & int(re.A))
    before, after = Look(word, True), Look(word)
    not_before, not_after = Look(word, True, True), Look(word, False, True)
    if name == "AT_BOUNDARY":
        return alt(seq(before, not_after), seq(not_before, after))
    if name == "AT_NON_BOUNDARY":
        return alt(seq(before, after), seq(not_before, not_after))
    raise _NotSeparableError


def is_char(code: Any) -> bool:
    """Whether a node of `re`'s tree is one character."""
    return str(code) in ("LITERAL", "NOT_LITERAL", "ANY", "ANY_ALL", "IN")


def _leaf(code: Any, value: Any, flags: int) -> Pattern:
    name = str(code)
    kept = flags & int(re.I | re.A | re.S)
    if name == "LITERAL":
        return Pattern(_escaped(value), kept)
    if name == "NOT_LITERAL":
        return Pattern(f"[^{_escaped(value)}]", kept)
    if name in ("ANY", "ANY_ALL"):
        return Pattern(".", kept | (int(re.S) if name == "ANY_ALL" else 0))
    inside = "".join(_in_class(*item) for item in value)
    return Pattern(f"[{inside}]", kept)


_CATEGORIES = {"DIGIT": r"\d", "NOT_DIGIT": r"\D", "SPACE": r"\s", "NOT_SPACE": r"\S", "WORD": r"\w", "NOT_WORD": r"\W"}


def _in_class(code: Any, value: Any) -> str:
    name = str(code)
    if name == "NEGATE":
        return "^"
    if name == "LITERAL":
        return _escaped(value)
    if name == "RANGE":
        return f"{_escaped(value[0])}-{_escaped(value[1])}"
    return _CATEGORIES[str(value).removeprefix("CATEGORY_")]


def _escaped(code_point: int) -> str:
    return f"\\U{code_point:08x}"


def whole_pattern(expr: Expr) -> str | None:
    """The expression as one pattern of `re`, if it is made of strings, classes and patterns."""
    match expr:
        case Text(text, ignore_case):
            return f"(?i:{re.escape(text)})" if ignore_case else f"(?:{re.escape(text)})"
        case Chars(ranges):
            return f"[{''.join(f'{_escaped(low)}-{_escaped(high)}' for low, high in ranges)}]"
        case Pattern(source, flags):
            letters = "".join(letter for letter, flag in _LETTERS if flags & flag)
            if pattern_facts(source, flags).keeps:
                return None
            return f"(?{letters}:{source}\n)" if flags & re.X else f"(?{letters}:{source})"
        case Seq(parts) | Alt(parts):
            found = [whole_pattern(part) for part in parts]
            if expr == NEVER or None in found:
                return None
            if expr == EMPTY:
                return "(?:)"
            return f"(?:{('' if isinstance(expr, Seq) else '|').join(str(text) for text in found)})"
        case Loop(body, low, high):
            inner = whole_pattern(body)
            return None if inner is None else f"(?:{inner}){{{low},{'' if high is None else high}}}"
        case _:
            return None


_LETTERS = [("i", re.I), ("m", re.M), ("s", re.S), ("x", re.X), ("a", re.A)]
