"""Fragments of strings: free strings in every valid spelling, restricted strings in the canonical one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

from rellm._constraints.expression import (
    ExpressionContext,
    Fragment,
    choice,
    complement,
    intersection,
    literal,
    pattern,
    repeat,
    searched,
    sequence,
    spelled,
)
from rellm._constraints.json_schema.formats import pattern_of
from rellm._constraints.json_schema.json_values import text_of
from rellm._constraints.json_schema.shapes import StringShape
from rellm._constraints.json_schema.spelling import CHARACTER, SCALAR
from rellm._errors import LimitExceededError, UnsatisfiableError

_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


class Texts:
    """The meaning of patterns and formats in one document.

    Args:
        is_python: for a Python type: a format matches the texts that its type parses, and patterns have the syntax of
            pydantic's engine, Rust's `regex` crate. They are read in the `regex` dialect, which has the same character
            classes, with `$` and `\\z` as the end of the text.
    """

    __slots__ = ("dialect", "is_python")

    def __init__(self, is_python: bool = False) -> None:
        self.is_python = is_python
        self.dialect = "regex" if is_python else "ecma"

    def error(self, source: str) -> str | None:
        """The error of an invalid pattern; None if it is valid."""
        return _pattern_error(self._source(source), self.dialect)

    def is_found(self, source: str, text: str) -> bool:
        """Whether a search for the pattern in the text succeeds."""
        return _finds(self._source(source), self.dialect, text)

    def can_meet(self, one: str, other: str) -> bool:
        """Whether both patterns can be found in one text; True where that takes too long to tell."""
        return _can_meet(self._source(one), self._source(other), self.dialect)

    def has_format(self, name: str, text: str) -> bool:
        """Whether a text has a format."""
        return re.fullmatch(pattern_of(name, self.is_python), text) is not None

    def found(self, context: ExpressionContext, source: str) -> Fragment:
        """The texts in which a pattern is found."""
        return searched(pattern(context, self._source(source), 0, self.dialect))

    def formatted(self, context: ExpressionContext, name: str) -> Fragment:
        """The texts of a format."""
        return pattern(context, pattern_of(name, self.is_python), 0, "ecma")

    def _source(self, source: str) -> str:
        return _from_rust(source) if self.is_python else source


@lru_cache(maxsize=4096)
def _pattern_error(source: str, dialect: str) -> str | None:
    from rellm._dialects.tables import ecma_dialect, regex_dialect

    reader = ecma_dialect() if dialect == "ecma" else regex_dialect()
    outcome, message, _ = reader.outcome(source, 0, {})
    if outcome == "search":
        return f"{message}: the automaton does not hold it"
    return None if outcome == "automaton" else message


@lru_cache(maxsize=4096)
def _from_rust(source: str) -> str:
    """Translates a pattern of Rust's `regex` crate for the `regex` library: only the end of the text differs."""
    found, at, in_class = "", 0, False
    while at < len(source):
        sign = source[at]
        if sign == "\\":
            pair = source[at : at + 2]
            found += r"\Z" if pair == r"\z" and not in_class else pair
            at += 2
            continue
        in_class = sign == "[" or (in_class and sign != "]")
        found += r"\Z" if sign == "$" and not in_class else sign
        at += 1
    return found


def string_fragment(context: ExpressionContext, shape: StringShape, texts: Texts) -> Fragment:
    """The spellings of the strings of a shape, quotes included."""
    quote = literal(context, '"')
    if not shape.is_compared:
        high = shape.high
        return sequence([quote, repeat(CHARACTER, shape.low, high), quote])
    if shape.values is not None and not (shape.patterns or shape.formats or shape.excluded):
        return choice(context, [text_of(value) for value in writable(shape.values)])
    return sequence([quote, spelled(decoded(context, shape, texts)), quote])


def writable(values: frozenset[str]) -> list[str]:
    """The strings that a text can hold, in order."""
    return sorted(value for value in values if not _SURROGATE.search(value))


def decoded(context: ExpressionContext, shape: StringShape, texts: Texts) -> Fragment:
    """The strings of a shape, before they are written as JSON."""
    parts: list[Fragment] = []
    if shape.values is not None:
        parts.append(choice(context, writable(shape.values)))
    elif shape.low or shape.high is not None or not (shape.patterns or shape.formats):
        parts.append(repeat(SCALAR, shape.low, shape.high))
    parts += [texts.found(context, source) for source in shape.patterns]
    parts += [texts.formatted(context, name) for name in shape.formats]
    parts += [complement(decoded(context, excluded, texts)) for excluded in shape.excluded]
    return intersection(parts)


@lru_cache(maxsize=4096)
def _finds(source: str, dialect: str, text: str) -> bool:
    """Whether a pattern is found in a text, as the core reads both."""
    from rellm import _core
    from rellm._dialects.tables import ecma_dialect, regex_dialect
    from rellm._limits import Limits

    context = ExpressionContext()
    ops = context.operations(searched(pattern(context, source, 0, dialect)))
    reader = ecma_dialect() if dialect == "ecma" else regex_dialect()
    return _core.expression_matches(ops, context.strings, [reader], text, Limits().native())


@lru_cache(maxsize=4096)
def _can_meet(one: str, other: str, dialect: str) -> bool:
    """Whether both patterns can be found in one text, as the core reads them."""
    from rellm import _core
    from rellm._dialects.tables import ecma_dialect, regex_dialect
    from rellm._limits import Limits

    context = ExpressionContext()
    both = intersection([searched(pattern(context, source, 0, dialect)) for source in (one, other)])
    reader = ecma_dialect() if dialect == "ecma" else regex_dialect()
    try:
        _core.Constraint.expression(
            context.operations(both), context.strings, [reader], _single_bytes(), Limits().native()
        )
    except UnsatisfiableError:
        return False
    except LimitExceededError:
        return True
    return True


@lru_cache(maxsize=1)
def _single_bytes() -> Any:
    """A vocabulary that spells every text."""
    from rellm import _core

    return _core.Vocabulary([bytes([byte]) for byte in range(256)])
