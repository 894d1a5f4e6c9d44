"""Patterns against whole texts: what the library says, and what rellm says of the same."""

from __future__ import annotations

import re
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import regex
import rellm
from rellm._dialects import tables

DATA = Path(__file__).parents[2] / "testdata" / "dialect.toml"
CASES: list[dict[str, Any]] = tomllib.loads(DATA.read_text(encoding="utf-8"))["case"]
BYTES = rellm.Vocabulary([bytes([byte]) for byte in range(256)] + [None], eos_token_ids=[256])
# Two seconds of matching in the search engine: no test is about this limit.
LIMITS = rellm.Limits(memory_bytes=16 << 20, fuel=50_000_000)

# What the libraries raise for a pattern that they refuse; some of it is not meant to come out.
REFUSALS = (re.error, regex.error, ValueError, OverflowError, RecursionError, TypeError, KeyError, IndexError)


def library(dialect: str, pattern: str, flags: int, lists: Mapping[str, Sequence[str]]) -> Any:
    """The pattern as its own library compiles it; raises one of `REFUSALS`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if dialect == "re":
            return re.compile(pattern, flags)
        return regex.compile(pattern, flags, cache_pattern=False, **lists)


def outcome(
    dialect: str, pattern: str, flags: int = 0, lists: Mapping[str, Sequence[str]] | None = None
) -> tuple[str, str, int | None]:
    """What becomes of it, "automaton", "search", "refused", "unsupported" or "limit"; the message; the position."""
    native = tables.re_dialect() if dialect == "re" else tables.regex_dialect()
    return native.outcome(pattern, flags, lists or {})


def flags_of(dialect: str, names: Sequence[str]) -> Any:
    flags = re.RegexFlag(0) if dialect == "re" else regex.RegexFlag(0)
    for name in names:
        flags |= getattr(re if dialect == "re" else regex, name)
    return flags


@dataclass
class Language:
    """What rellm accepts of a pattern; nothing at all if it is unsatisfiable."""

    compiled: rellm.CompiledConstraint | None

    @classmethod
    def of(
        cls,
        dialect: str,
        pattern: str,
        flags: int,
        lists: Mapping[str, Sequence[str]],
        limits: rellm.Limits = LIMITS,
    ) -> Language:
        constraint = rellm.Regex(pattern, flags, dialect=dialect, **lists)
        try:
            return cls(rellm.compile(constraint, BYTES, limits))
        except rellm.UnsatisfiableError:
            return cls(None)

    @property
    def engine(self) -> str:
        return "automaton" if self.compiled is None else self.compiled.engine

    def accepts(self, text: str) -> bool:
        return self.alive(text)[0]

    def alive(self, text: str) -> tuple[bool, int]:
        """Whether the text matches, and how many of its bytes are accepted one by one."""
        if self.compiled is None:
            return False, 0
        matcher = self.compiled.matcher()
        data = text.encode("utf-8", "surrogatepass")
        for index, byte in enumerate(data):
            if not matcher.allows(byte):
                return False, index
            matcher.advance(byte)
        return matcher.is_accepting, len(data)


def disagreement(language: Language, fullmatch: Callable[[str], Any], texts: Sequence[str]) -> str | None:
    """The first text that one of the two accepts and the other does not, told for people; None if there is none."""
    for text in texts:
        wanted = fullmatch(text) is not None
        if language.accepts(text) != wanted:
            return f"{text!r}: the library {'accepts' if wanted else 'refuses'} it, rellm does not agree"
    return None
