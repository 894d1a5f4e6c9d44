"""`Regex`: a regular expression with its flags and dialect, in the meaning of its own library."""

from __future__ import annotations

import pickle
import re
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias
from typing import Literal as OneOf
from weakref import WeakKeyDictionary

import regex

from rellm import _core
from rellm._constraints import expression
from rellm._constraints.base import (
    TextConstraint,
    kind_of,
    sorted_texts,
    text_from_data,
    text_to_data,
    texts_from_data,
    texts_to_data,
)
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.report import Report
from rellm._errors import PatternError, UnsupportedError
from rellm._warn import warn

if TYPE_CHECKING:
    from rellm._vocabulary import Vocabulary

Dialect: TypeAlias = OneOf["re", "regex"]
NamedLists: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]

_FLAGS: typing.Final[dict[str, Any]] = {"re": re.RegexFlag, "regex": regex.RegexFlag}
_INLINE_FLAGS = re.compile(r"\(\?[a-zA-Z01]*-?[a-zA-Z]+[:)]")
# Flags that a group in the middle of a pattern can switch on; `.flags` of the compiled pattern then includes them.
_SWITCHABLE = [regex.I, regex.M, regex.S, regex.X, regex.F, regex.W, regex.A, regex.L]
# Patterns for which `re` may issue a FutureWarning: sets inside sets, operations on sets.
_MAY_WARN = re.compile(r"\[\^?\[|--|&&|~~|\|\|")
# The longest pattern that is compiled by a library only to improve a message.
_LONGEST_LOOK = 20_000
# Constructs that only `regex` has: properties, recursion, calls of groups, names without a P, `\\K`, `\\X`.
_OF_REGEX_ALONE = re.compile(r"\\[pPKXLGhmMR]|\(\?(?:R\)|\d+\)|&|P>|\||<[A-Za-z_]|[a-zA-Z]*[bwferV])")


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Regex(TextConstraint):
    """The strings that a regular expression matches in full, in the meaning of its own library.

    Args:
        pattern: a `str`, or the result of `re.compile` or `regex.compile`. An `re.Pattern` has the meaning of the
            running interpreter's `re`, a `regex.Pattern` that of the installed `regex`.
        flags: members of `re.RegexFlag` or `regex.RegexFlag`, for a `str` only. They also choose the dialect. The same
            number means different things in the two (`re.A` is `regex.V1`), so a bare number needs `dialect=`. Do not
            mix them: Python gives `re.I | regex.V1` the class of the first and the numbers of both, so that it equals
            `re.I | re.A`, and rellm cannot know your intention.
        dialect: "re" or "regex": the dialect of a `str`. By default that of the flags, and "re" without flags.
        **named_lists: the lists behind `\\L<name>` of `regex`.

    Raises:
        PatternError: the pattern is wrong, or flags and dialect contradict each other.
        UnsupportedError: the pattern is bytes, or no engine reads one of its constructs.
        TypeError: an argument is of another type.

    Attributes:
        search_reason: the construct that needs the search engine, `recursion (?R) at position 12`; None if the
            automaton serves the pattern. A pattern for the search engine cannot be a part of a combination.
    """

    kind: ClassVar[str] = "regex"

    pattern: str
    flags: int
    dialect: Dialect
    named_lists: NamedLists
    search_reason: str | None = field(compare=False)

    def __init__(
        self,
        pattern: str | re.Pattern[str] | regex.Pattern[str],
        flags: int = 0,
        dialect: Dialect | None = None,
        **named_lists: Iterable[str],
    ) -> None:
        if dialect not in (None, "re", "regex"):
            raise TypeError(f'dialect is "re" or "regex", not {dialect!r}')
        is_compiled = isinstance(pattern, (re.Pattern, regex.Pattern))
        if isinstance(pattern, (re.Pattern, regex.Pattern)):
            values = _read_compiled(pattern, flags, dialect, named_lists)
        else:
            values = _read_source(pattern, flags, dialect, named_lists)
        for name, value in zip(("pattern", "flags", "dialect", "named_lists"), values, strict=True):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "search_reason", read_pattern(self, is_compiled))
        if isinstance(pattern, str) and self.dialect == "re":
            _let_re_warn(self)

    @property
    def is_verbose(self) -> bool:
        """Whether white space and comments in the pattern are ignored."""
        inline = re.match(r"\(\?[a-zA-Z0-9]*x[a-zA-Z0-9]*\)", self.pattern)
        return bool(self.flags & (re.VERBOSE if self.dialect == "re" else regex.VERBOSE)) or inline is not None

    def to_expression(self, context: ExpressionContext) -> Fragment:
        if self.search_reason is not None:
            raise UnsupportedError(
                f"{self!r:.120} goes to the search engine ({self.search_reason}), which serves a pattern by itself "
                "only: it cannot be part of another constraint",
                pattern=self.pattern,
            )
        if context.vocabulary is not None:
            warn_of_special_tokens(self, context.vocabulary)
        return expression.pattern(context, self.pattern, int(self.flags), self.dialect, self.named_lists)

    def report(self) -> Report:
        from rellm._constraints.lint import lint

        return Report(lint(self.pattern, self.dialect, self.is_verbose))

    def _to_data(self) -> dict[str, Any]:
        return {
            "pattern": text_to_data(self.pattern),
            "dialect": self.dialect,
            "flags": _flag_names(self.flags, self.dialect),
            "named_lists": {name: texts_to_data(texts) for name, texts in self.named_lists},
        }

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Regex:
        dialect = data.pop("dialect")
        if dialect not in _FLAGS:
            raise UnsupportedError(f"this rellm reads no patterns of the dialect {dialect!r:.40}")
        flags = 0
        for name in texts_from_data(data.pop("flags")):
            member = _FLAGS[dialect].__members__.get(name)
            if member is None:
                raise UnsupportedError(
                    f"{dialect} has no flag {name:.40} here: the pattern was written with another version"
                )
            flags |= int(member)
        lists = {name: texts_from_data(texts) for name, texts in data.pop("named_lists").items()}
        pattern = text_from_data(data.pop("pattern"))
        if data:
            raise TypeError(f"a pattern has no field {next(iter(data))!r:.40}")
        return Regex(pattern, flags, dialect, **lists)

    @property
    def library_pattern(self) -> re.Pattern[str] | regex.Pattern[str]:
        """The pattern compiled by its own library, to read groups, for example. Compiled once and cached."""
        return _library_pattern(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return (_regex, (self.pattern, int(self.flags), self.dialect, self.named_lists))

    def __repr__(self) -> str:
        parts = [repr(self.pattern)]
        if self.flags:
            parts.append(_flags_text(self.flags, self.dialect))
        if self.dialect == "regex" and not self.flags:
            parts.append('dialect="regex"')
        parts += [f"{name}={list(texts)!r}" for name, texts in self.named_lists]
        return f"Regex({', '.join(parts)})"


_Values: TypeAlias = tuple[str, int, Dialect, NamedLists]


def _read_source(pattern: Any, flags: Any, dialect: Dialect | None, named_lists: dict[str, Any]) -> _Values:
    if isinstance(pattern, (bytes, bytearray, memoryview)):
        raise _bytes_refused(pattern)
    if not isinstance(pattern, str):
        raise TypeError(
            f"Regex takes a string or a compiled pattern, not {kind_of(pattern)}"
            + (": for one of several strings, use rellm.Choice" if isinstance(pattern, (list, tuple, set)) else "")
        )
    if isinstance(flags, bool) or not isinstance(flags, int):
        raise TypeError(f"flags are members of re.RegexFlag or regex.RegexFlag, not {kind_of(flags)}")
    flags_dialect = _dialect_of_flags(flags)
    if flags_dialect and dialect and flags_dialect != dialect:
        raise PatternError(
            f'{_flags_text(flags, flags_dialect)} is a flag of {flags_dialect}, but dialect="{dialect}": '
            f"use the flags of {dialect}, whose numbers mean other things",
            pattern=pattern,
        )
    if flags and not flags_dialect and not dialect:
        raise PatternError(
            f"flags={flags} is a bare number, and re and regex give it different meanings (re.A is regex.V1): "
            'use members of re.RegexFlag or regex.RegexFlag, or say dialect="re" or dialect="regex"',
            pattern=pattern,
        )
    chosen: Dialect = dialect or flags_dialect or "re"
    unknown = int(flags) & ~_known_flags(chosen)
    if unknown:
        raise PatternError(
            f"flags={int(flags):#x}: {chosen} has no flag {unknown:#x}{_perhaps_of_the_other(unknown, chosen)}",
            pattern=pattern,
        )
    if flags_dialect == "re" and flags & re.DEBUG:
        raise PatternError(
            "re.DEBUG prints while re compiles, and here nothing is printed: leave it out. regex.ASCII is the same "
            "number: with flags of re (re.I | regex.A) write all of them as members of regex",
            pattern=pattern,
        )
    if named_lists and chosen == "re":
        name = next(iter(named_lists))
        raise PatternError(
            f"{name}= is neither an argument of Regex nor a named list: only regex has these. "
            r'For a list behind \L<name>, say dialect="regex"',
            pattern=pattern,
        )
    lists = tuple(sorted((name, sorted_texts(f"the named list {name}", texts)) for name, texts in named_lists.items()))
    return str(pattern), _flags(flags, chosen), chosen, lists


def _read_compiled(
    pattern: re.Pattern[Any] | regex.Pattern[Any], flags: Any, dialect: str | None, named_lists: dict[str, Any]
) -> _Values:
    own: Dialect = "re" if isinstance(pattern, re.Pattern) else "regex"
    source = pattern.pattern
    if isinstance(source, bytes):
        raise _bytes_refused(source)
    if flags:
        raise PatternError(
            "the pattern is compiled and has its flags already: give them to "
            f"{own}.compile, or pass the pattern's source and flags",
            pattern=source,
        )
    if dialect not in (None, own):
        raise PatternError(
            f'the pattern is compiled by {own}, but dialect="{dialect}": pass its source to read it as {dialect}',
            pattern=source,
        )
    if named_lists:
        raise PatternError(
            f"the pattern is compiled, so that {next(iter(named_lists))}= comes too late: give it to {own}.compile",
            pattern=source,
        )
    if isinstance(pattern, re.Pattern):
        # Every str pattern without ASCII has UNICODE, so users do not set it.
        return source, _flags(pattern.flags & ~re.UNICODE, own), own, ()
    lists = {name: tuple(sorted(texts)) for name, texts in pattern.named_lists.items()}
    return source, _flags(_given_flags(pattern, lists), own), own, tuple(sorted(lists.items()))


def _given_flags(pattern: regex.Pattern[str], lists: dict[str, tuple[str, ...]]) -> int:
    """The flags that were passed to `regex.compile`.

    `.flags` also holds those that the text switches on somewhere: `a(?i)b` is a small `a` and any `b`, its flags say
    IGNORECASE, and compiled again with IGNORECASE it would match `AB`. So find the flags with which the text compiles
    to the same pattern; `pickle` shows the code that `regex` has made of it.
    """
    flags: int = pattern.flags & ~(regex.UNICODE | regex.DEBUG)
    if not pattern.flags & regex.VERSION1:
        flags &= ~regex.VERSION0
    if not _INLINE_FLAGS.search(pattern.pattern):
        return flags
    wanted = pickle.dumps(pattern)
    switched = [flag for flag in _SWITCHABLE if flags & flag]
    for count in range(len(switched), -1, -1):
        for dropped in combinations(switched, count):
            candidate = flags & ~sum(dropped)
            try:
                same = pickle.dumps(regex.compile(pattern.pattern, candidate, **lists)) == wanted
            except (regex.error, ValueError):
                continue
            if same:
                return int(candidate)
    inline = _INLINE_FLAGS.search(pattern.pattern)
    position = inline.start() if inline else None
    message = _core.refusal(
        "flags that cannot be told from those that the pattern was compiled with",
        "pass the pattern's source and its flags instead",
        pattern.pattern,
        position,
    )
    raise UnsupportedError(message, pattern=pattern.pattern, position=position)


@lru_cache(maxsize=256)
def _library_pattern(constraint: Regex) -> re.Pattern[str] | regex.Pattern[str]:
    if constraint.dialect == "re":
        return re.compile(constraint.pattern, int(constraint.flags))
    lists = {name: list(texts) for name, texts in constraint.named_lists}
    return regex.compile(constraint.pattern, int(constraint.flags), **lists)


def read_pattern(constraint: Regex, is_compiled: bool) -> str | None:
    """Reads the pattern; returns the construct that needs the search engine, or None for the automaton.

    Raises:
        PatternError: it is wrong.
        UnsupportedError: no engine supports it.
    """
    from rellm._dialects import tables
    from rellm._dialects.library import check_unusual

    native = tables.re_dialect() if constraint.dialect == "re" else tables.regex_dialect()
    outcome, message, position = native.outcome(constraint.pattern, int(constraint.flags), dict(constraint.named_lists))
    if outcome == "refused":
        raise PatternError(message + _perhaps_for_regex(constraint), pattern=constraint.pattern, position=position)
    if outcome == "unsupported":
        raise UnsupportedError(message, pattern=constraint.pattern, position=position)
    if outcome != "limit" and not is_compiled:
        check_unusual(constraint.pattern, int(constraint.flags), constraint.dialect, dict(constraint.named_lists))
    if outcome != "search":
        return None
    construct, at, _ = message.partition(f" at position {position}")
    return construct + at


# For each vocabulary, the pattern that finds the names of its special tokens.
_special_names: WeakKeyDictionary[Vocabulary, re.Pattern[str] | None] = WeakKeyDictionary()


def warn_of_special_tokens(constraint: Regex, vocabulary: Vocabulary) -> None:
    """Warns where a literal text of the pattern is a special token: as text it is spelled in plain characters."""
    try:
        names = _special_names[vocabulary]
    except KeyError:
        known = sorted((name for name in vocabulary.special_tokens if len(name) > 1), key=len, reverse=True)
        names = _special_names[vocabulary] = re.compile("|".join(map(re.escape, known))) if known else None
    if names is None or not names.search(constraint.pattern.replace("\\", "")):
        return
    from rellm._constraints.lint import literal_texts

    for text in literal_texts(constraint.pattern, constraint.dialect, constraint.is_verbose):
        found = names.search(text)
        if found is not None:
            token_id = vocabulary.special_tokens[found[0]]
            warn(
                f"{found[0]!r} in a pattern is text: it is spelled in plain characters, not written as the special "
                f"token {token_id} of this name; for the token, combine patterns with rellm.SpecialToken({found[0]!r})"
            )
            return


def _perhaps_for_regex(constraint: Regex) -> str:
    """A hint for a pattern with constructs that only `regex` has: `\\p{L}`, `(?R)`, `\\K`, `(?<name>…)`.

    The core reads the pattern, because its work is bounded: `regex` itself unrolls counted repetitions in lookbehinds.
    """
    from rellm._dialects import tables

    if constraint.dialect != "re" or not _OF_REGEX_ALONE.search(constraint.pattern):
        return ""
    outcome, _, _ = tables.regex_dialect().outcome(constraint.pattern, 0, {})
    return '; regex reads it: pass dialect="regex"' if outcome in ("automaton", "search") else ""


def _let_re_warn(constraint: Regex) -> None:
    """Passes on the FutureWarning of `re` for a pattern whose meaning may change, such as `[[:alpha:]]`."""
    if len(constraint.pattern) <= _LONGEST_LOOK and _MAY_WARN.search(constraint.pattern):
        re.compile(constraint.pattern, int(constraint.flags))


def _regex(pattern: str, flags: int, dialect: Dialect, named_lists: NamedLists) -> Regex:
    return Regex(pattern, flags, dialect, **dict(named_lists))


@lru_cache(maxsize=256)
def _flags(flags: int, dialect: Dialect) -> int:
    """The flags as enum members, for a readable `repr`, without DEBUG, which only prints."""
    kind = _FLAGS[dialect]
    members: int = kind(int(flags) & ~int(kind.DEBUG))
    return members


def _dialect_of_flags(flags: int) -> Dialect | None:
    if isinstance(flags, re.RegexFlag):
        return "re"
    if isinstance(flags, regex.RegexFlag):
        return "regex"
    return None


@lru_cache(maxsize=2)
def _known_flags(dialect: Dialect) -> int:
    known = 0
    for member in _FLAGS[dialect].__members__.values():
        known |= int(member)
    return known


def _perhaps_of_the_other(unknown: int, dialect: Dialect) -> str:
    other: Dialect = "regex" if dialect == "re" else "re"
    if unknown & ~_known_flags(other):
        return ": leave it out"
    return f"; it is {_flags_text(unknown, other)}: write all flags as members of {other}"


def _flags_text(flags: int, dialect: Dialect) -> str:
    return " | ".join(f"{dialect}.{name}" for name in _flag_names(flags, dialect)) or "0"


def _flag_names(flags: int, dialect: Dialect) -> list[str]:
    names: dict[int, str] = {}
    for name, member in _FLAGS[dialect].__members__.items():
        value = int(member)
        if value and len(name) > len(names.get(value, "")):
            names[value] = name
    return [name for value, name in sorted(names.items()) if flags & value]


def _bytes_refused(pattern: Any) -> UnsupportedError:
    text = bytes(pattern).decode("latin-1")
    return UnsupportedError("a pattern over bytes cannot constrain text: pass the same pattern as str", pattern=text)
