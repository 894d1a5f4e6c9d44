"""Errors in grammars: place, reason and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from types import ModuleType

from rellm._constraints.grammar.rule_tree import NOWHERE, Place
from rellm._errors import GrammarError


def failure(what: str, place: Place, remedy: str, source: str = "", module: str = "") -> GrammarError:
    """The error for a place in a grammar's text; `module` is the imported grammar that has it."""
    line, column = place
    where = f" at line {line}, column {column}" if place != NOWHERE else ""
    inside = f" of the imported grammar {module}" if module else ""
    position = offset_of(source, place) if source and place != NOWHERE else None
    return GrammarError(
        f"{what}{where}{inside}: {remedy}",
        pattern=source or None,
        position=position,
        line=line or None,
        column=column or None,
    )


def near_names(name: str, known: Iterable[str]) -> str:
    """A suggestion of similar names, as the end of a sentence."""
    near = difflib.get_close_matches(name, list(known), 3, 0.6)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def require_lark(what: str) -> ModuleType:
    """The module `lark`, or an error that tells how to install it."""
    try:
        import lark
    except ImportError:
        raise ImportError(
            f"{what} needs the package lark: install this package with its extra [grammar], or with `pip install lark`"
        ) from None
    return lark


def offset_of(source: str, place: Place) -> int:
    """The index in the text of a line and column."""
    lines = source.split("\n")
    line = min(place[0], len(lines))
    return sum(len(text) + 1 for text in lines[: line - 1]) + place[1] - 1
