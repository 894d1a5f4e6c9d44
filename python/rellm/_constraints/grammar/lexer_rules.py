"""Differences from a lexer: reports them, and, for `lexer="maximal"`, restricts the grammar's terminals to avoid them.

A lexer takes the longest prefix that is a terminal, and where a string of the grammar is also a text of a named
terminal (`if` of NAME), it takes the string. As restrictions of sets of strings: a terminal that ends in an unbounded
repetition is not followed by a character that would extend it, and a named terminal is never equal to one of the
strings that it competes with.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rellm._constraints.grammar.rule_tree import (
    Both,
    Expr,
    Look,
    Note,
    Other,
    Place,
    Text,
    alt,
    seq,
)
from rellm._constraints.grammar.terminals import matches, tail_class

_MAX_SHOWN = 5


@dataclass(slots=True)
class LexerRules:
    """The strings and terminals of a grammar, and how they compete.

    Attributes:
        strings: the strings in rules, and those that are a whole terminal, with the place of the first occurrence.
        terminals: the named terminals and patterns that are not strings: their texts and places.
    """

    strings: dict[str, Place] = field(default_factory=dict)
    terminals: dict[str, tuple[Expr, Place]] = field(default_factory=dict)
    _keywords: dict[str, list[str]] = field(default_factory=dict)
    _tails: dict[str, Expr] = field(default_factory=dict)

    def settle(self) -> None:
        """Finds the terminals that match each string."""
        for name, (body, _) in self.terminals.items():
            tail = tail_class(body)
            if tail is not None:
                self._tails[name] = tail
            found = [text for text in self.strings if matches(body, text)]
            if found:
                self._keywords[name] = found

    def restricted(self, expr: Expr, name: str) -> Expr:
        """A terminal or string as a lexer that takes the longest match would read it."""
        if isinstance(expr, Text) and not expr.ignore_case:
            following = self._after_string(expr.text)
            return seq(expr, Look(following, negated=True)) if following is not None else expr
        keywords = self._keywords.get(name, [])
        body = Both((expr, Other(alt(*map(Text, keywords))))) if keywords else expr
        tail = self._tails.get(name)
        return seq(body, Look(tail, negated=True)) if tail is not None else body

    def notes(self) -> list[Note]:
        """The differences from a lexer, for the report."""
        found = []
        for name, texts in self._keywords.items():
            shown = ", ".join(texts[:_MAX_SHOWN]) + (" …" if len(texts) > _MAX_SHOWN else "")
            found.append(
                Note(
                    self.terminals[name][1],
                    name,
                    "approximated",
                    f"{name} may also be one of the strings {shown}, which a lexer would never read as {name}",
                    f'pass lexer="maximal", or write the terminal without them: {name.strip("_")}_: {name} & ~(…)',
                    "wider",
                )
            )
        joined = [text for text in self.strings if self._after_string(text) is not None]
        if joined:
            shown = ", ".join(joined[:_MAX_SHOWN]) + (" …" if len(joined) > _MAX_SHOWN else "")
            found.append(
                Note(
                    self.strings[joined[0]],
                    "strings",
                    "approximated",
                    f"the strings {shown} may be followed at once by what a lexer would read as one longer terminal",
                    'pass lexer="maximal", or require what separates them in the rules',
                    "wider",
                )
            )
        return found

    def _after_string(self, text: str) -> Expr | None:
        """The texts that must not follow a string, because a lexer would read a longer terminal."""
        longer: list[Expr] = [
            Text(other[len(text) :]) for other in self.strings if len(other) > len(text) and other.startswith(text)
        ]
        longer += [self._tails[name] for name, texts in self._keywords.items() if text in texts and name in self._tails]
        return alt(*longer) if longer else None
