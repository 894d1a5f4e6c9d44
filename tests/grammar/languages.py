"""What a grammar means, worked out twice: through rellm's rules and fragments, and without them."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from fragment_oracle import Fragments
from rellm import Grammar
from rellm._constraints.expression import ExpressionContext

TEXTS = ["".join(letters) for length in range(7) for letters in itertools.product("ab", repeat=length)]
Rules = dict[str, list[list[str]]]
"""By name, the ways to write a rule: names of rules, and letters."""


def fragments(grammar: Grammar) -> Fragments:
    """The fragments that the core would get."""
    context = ExpressionContext()
    ops = context.operations(grammar.to_expression(context))
    return Fragments(ops, context.strings, context.dialects)


def as_lark(rules: Rules) -> str:
    """The same rules as a text in Lark's format."""
    return "".join(
        f"{name}: {' | '.join(' '.join(map(_symbol, way)) for way in ways)}\n" for name, ways in rules.items()
    )


def as_gbnf(rules: Rules) -> str:
    """The same rules as a text in GBNF."""
    return as_lark(rules).replace(": ", " ::= ")


def _symbol(symbol: str) -> str:
    return f'"{symbol}"' if symbol in "ab" else symbol


def texts_of(rules: Rules, start: str) -> set[str]:
    """All texts of at most six letters that a rule derives: sets of texts, to a fixpoint."""
    texts: dict[str, set[str]] = {name: set() for name in rules}
    while True:
        before = sum(map(len, texts.values()))
        for name, ways in rules.items():
            for way in ways:
                found = {""}
                for symbol in way:
                    following = texts.get(symbol, {symbol})
                    found = {first + second for first in found for second in following if len(first + second) <= 6}
                texts[name] |= found
        if sum(map(len, texts.values())) == before:
            return texts[start]
