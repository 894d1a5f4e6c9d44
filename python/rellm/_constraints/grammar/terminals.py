"""The texts of terminals, with references, lazy repetitions and lookarounds resolved."""

from __future__ import annotations

import re
from functools import lru_cache

from rellm._constraints.grammar.failures import failure
from rellm._constraints.grammar.patterns import (
    is_char,
    pattern_facts,
    sre,
    taken_apart,
    trailing_class,
    whole_pattern,
)
from rellm._constraints.grammar.rule_tree import (
    ANY_CHAR,
    NEVER,
    Aliased,
    Alt,
    Both,
    Chars,
    Expr,
    Look,
    Loop,
    Note,
    Other,
    Pattern,
    Place,
    Ref,
    RuleSet,
    Seq,
    Text,
    loop,
    rebuild,
    seq,
    size,
    walk,
)

_MAX_INLINED = 2_000

# Terminals of Lark's library that end lazily, and the same shortest texts without laziness.
# tests/grammar/test_terminals.py shows that they are equal.
WITHOUT_LAZINESS: tuple[tuple[Expr, Expr], ...] = (
    (
        Seq((Text('"'), Pattern(".*?"), Pattern(r"(?<!\\)(\\\\)*?"), Text('"'))),
        Pattern(r'"(?:[^"\\\n]|\\[^\n])*"'),
    ),
    (
        Seq((Text("/*"), Pattern(r"(.|\n)*?"), Text("*/"))),
        Pattern(r"/\*(?:[^*]|\*+[^*/])*\*+/"),
    ),
)


class Terminals:
    """The texts of all terminals of a grammar, each computed once."""

    def __init__(self, grammar: RuleSet) -> None:
        self._grammar = grammar
        self._done: dict[str, Expr] = {}
        self._open: list[str] = []

    def body(self, name: str, place: Place) -> Expr:
        """The texts of a terminal, without references to others.

        Raises:
            GrammarError: the terminal is recursive, or larger than 100,000 nodes without references.
        """
        found = self._done.get(name)
        if found is None:
            if name in self._open:
                raise failure(
                    f"the terminal {name} is recursive", place, "write it in lower case, as a rule, or as a repetition"
                )
            self._open.append(name)
            rule = self._grammar.rules[name]
            found = self._flat(rule.body)
            if size(found) > 100_000:
                raise failure(f"the terminal {name} is too large", rule.place, "make parts of it rules")
            self._done[name] = found
            self._open.pop()
        return found

    def lexeme(self, expr: Expr, name: str, place: Place) -> Expr:
        """The texts of a terminal, or of a string or pattern in a rule."""
        tree = _separated(self._flat(expr), name, place)
        shortened = _shortened(tree)
        if shortened is None:
            self._grammar.notes.append(
                Note(
                    place,
                    name,
                    "approximated",
                    f"a lexer would end {name} at its first match; here it may be any text of the pattern, because its "
                    "end depends on what stands around it",
                    "write the repetition without ?, over what it may not contain: [^x]* in place of .*?",
                    "wider",
                )
            )
            return _greedy(tree)
        return shortened

    def _flat(self, expr: Expr) -> Expr:
        if isinstance(expr, Ref) and self._grammar.rules[expr.name].is_terminal:
            return self.body(expr.name, expr.place)
        if isinstance(expr, Aliased):
            return self._flat(expr.body)
        return rebuild(expr, self._flat)


def tail_class(expr: Expr) -> Expr | None:
    """The character class of an unbounded repetition at the end; None if the expression ends otherwise."""
    match expr:
        case Loop(body, _, None) if isinstance(body, Chars) or (isinstance(body, Pattern) and _is_class(body)):
            return body
        case Loop(Alt(parts), _, None) if all(isinstance(part, (Chars, Text, Pattern)) for part in parts):
            return Alt(parts) if all(_is_one_char(part) for part in parts) else None
        case Seq(parts) if parts:
            last = parts[-1]
            return tail_class(last.body if isinstance(last, Loop) and last.maximum == 1 else last)
        case Alt(parts) if parts:
            found = [tail_class(part) for part in parts]
            return found[0] if found[0] is not None and all(one == found[0] for one in found) else None
        case Pattern(source, flags):
            return trailing_class(source, flags)
        case Both(parts):
            return tail_class(parts[0]) if parts else None
        case _:
            return None


def as_ignored(expr: Expr) -> Expr:
    """The expression for one of many ignored pieces in a row: repeating `\\s+` is the same as repeating `\\s`."""
    if isinstance(expr, Loop) and expr.minimum <= 1 and expr.maximum is None:
        return expr.body
    if isinstance(expr, Pattern):
        trailing = trailing_class(expr.source, expr.flags)
        facts = pattern_facts(expr.source, expr.flags)
        if trailing is not None and facts.minimum <= 1 and not facts.looks and _only_trailing(expr):
            return trailing
    return expr


def _only_trailing(pattern: Pattern) -> bool:
    return len(list(sre.parse(pattern.source, pattern.flags))) == 1


def _is_class(pattern: Pattern) -> bool:
    items = list(sre.parse(pattern.source, pattern.flags))
    return len(items) == 1 and is_char(items[0][0])


def _is_one_char_class(expr: Expr) -> bool:
    return all(map(_is_one_char, expr.parts)) if isinstance(expr, Alt) else _is_one_char(expr)


def _is_one_char(expr: Expr) -> bool:
    match expr:
        case Text(text):
            return len(text) == 1
        case Chars():
            return True
        case Pattern():
            return _is_class(expr)
        case _:
            return False


@lru_cache(maxsize=1)
def _known_shortest() -> dict[Expr, Expr]:
    return {_separated(lazy, "", (0, 0)): plain for lazy, plain in WITHOUT_LAZINESS}


def _shortened(expr: Expr) -> Expr | None:
    """The expression with each lazy repetition as short as the text after it allows; None if that is unclear.

    A lazy repetition ends at the first occurrence of the fixed text after it, so the text up to the end of that
    occurrence has no proper prefix that matches.
    """
    if not any(isinstance(node, Loop) and node.lazy for node in walk(expr)):
        return expr
    if not isinstance(expr, (Seq, Loop)) or (isinstance(expr, Loop) and not expr.lazy):
        if isinstance(expr, (Both, Other, Look)):
            return None
        unclear = False

        def change(part: Expr) -> Expr:
            nonlocal unclear
            found = _shortened(part)
            unclear = unclear or found is None
            return part if found is None else found

        changed = rebuild(expr, change)
        return None if unclear else changed
    parts = expr.parts if isinstance(expr, Seq) else (expr,)
    lazy = [index for index, part in enumerate(parts) if isinstance(part, Loop) and part.lazy]
    if not lazy or any(
        isinstance(node, Loop) and node.lazy for part in parts for node in walk(part) if node is not part
    ):
        inner = [_shortened(part) for part in parts] if not lazy else [None]
        return None if None in inner else seq(*(part for part in inner if part is not None))
    end = lazy[-1] + 1
    while end < len(parts) and minimum_length(parts[end - 1]) == 0:
        end += 1
    if end == lazy[-1] + 1 < len(parts):
        end += 1
    ending = parts[lazy[-1] + 1 : end]
    head, rest = seq(*parts[:end]), seq(*parts[end:])
    plain = _known_shortest().get(head)
    if plain is not None:
        return seq(plain, rest)
    # If a repetition can go on in several ways, their order in the pattern decides which text is found first.
    one_way = all(_is_one_char_class(part.body) for part in parts if isinstance(part, Loop) and part.lazy)
    if not one_way or not _looks_inside(head) or any(minimum_length(part) != maximum_length(part) for part in ending):
        return None
    head = _greedy(head)
    return seq(Both((head, Other(seq(head, loop(ANY_CHAR, 1, None))))), rest)


def _greedy(expr: Expr) -> Expr:
    """The same with greedy repetitions, which match the same texts."""
    if isinstance(expr, Loop):
        return loop(_greedy(expr.body), expr.minimum, expr.maximum)
    return rebuild(expr, _greedy)


def _separated(expr: Expr, name: str, place: Place) -> Expr:
    """The expression with its patterns with lookarounds taken apart."""
    if not isinstance(expr, Pattern):
        return rebuild(expr, lambda part: _separated(part, name, place))
    facts = pattern_facts(expr.source, expr.flags)
    if not facts.looks and not facts.lazy:
        return expr
    found = taken_apart(expr.source, expr.flags)
    if found is None and not facts.looks:
        return expr
    if found is None:
        raise failure(
            f"the pattern /{expr.source}/ of {name} looks around, and also compares a group or does not give back",
            place,
            "write it without one of the two",
        )
    return found


def _looks_inside(expr: Expr) -> bool:
    """Whether no lookaround can see beyond the expression's own text."""
    parts = expr.parts if isinstance(expr, Seq) else (expr,)
    for index, part in enumerate(parts):
        if isinstance(part, Look):
            beside = parts[:index] if part.behind else parts[index + 1 :]
            if sum(map(minimum_length, beside)) < (maximum_length(part.body) or 1 << 30):
                return False
        elif any(isinstance(node, Look) for node in walk(part)):
            return False
    return True


def minimum_length(expr: Expr) -> int:
    """A lower bound on the number of characters of the texts; rules count as 0."""
    match expr:
        case Text(text):
            return len(text)
        case Chars():
            return 1
        case Pattern(source, flags):
            return pattern_facts(source, flags).minimum
        case Seq(parts):
            return sum(map(minimum_length, parts))
        case Alt(parts):
            return min(map(minimum_length, parts), default=0)
        case Loop(body, low, _):
            return low * minimum_length(body)
        case Both(parts):
            return max(map(minimum_length, parts), default=0)
        case _:
            return 0


def maximum_length(expr: Expr) -> int | None:
    """An upper bound on the number of characters of the texts; None where it is unknown."""
    match expr:
        case Text(text):
            return len(text)
        case Chars():
            return 1
        case Pattern():
            return 1 if _is_class(expr) else None
        case Seq(parts) | Alt(parts):
            found = [maximum_length(part) for part in parts]
            if None in found:
                return None
            lengths = [length for length in found if length is not None]
            return sum(lengths) if isinstance(expr, Seq) else max(lengths, default=0)
        case Loop(body, _, high):
            one = maximum_length(body)
            return None if one is None or high is None else one * high
        case Look():
            return 0
        case _:
            return None


def matches(expr: Expr, text: str) -> bool | None:
    """Whether the expression matches the whole text; None if it cannot be written as one pattern."""
    match expr:
        case Both(parts):
            found = [matches(part, text) for part in parts]
            return False if False in found else None if None in found else True
        case Other(body):
            one = matches(body, text)
            return None if one is None else not one
        case _:
            source = whole_pattern(expr)
            return None if source is None or expr == NEVER else re.fullmatch(source, text) is not None
