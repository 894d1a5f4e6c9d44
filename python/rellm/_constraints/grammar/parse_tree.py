"""Parses a text of a grammar into a `lark.Tree`.

An Earley parser over the original rules (left recursion, empty rules and ambiguity are not special cases) finds the
span of each rule. The tree is then read from the top: the first alternative that spans the text, and the split whose
earlier parts are longer. Trees have Lark's shape: `_names` are left out or inlined, `?rules` with one child too,
strings are left out except below `!rules`, `->` renames.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import regex

from rellm._constraints.grammar.failures import require_lark
from rellm._constraints.grammar.patterns import whole_pattern
from rellm._constraints.grammar.rule_tree import (
    EMPTY,
    Aliased,
    Alt,
    Both,
    Chars,
    Embedded,
    Expr,
    Look,
    Loop,
    Other,
    Ref,
    RuleSet,
    Seq,
    Special,
    Text,
    rebuild,
)
from rellm._constraints.grammar.terminals import Terminals, matches

Symbol: TypeAlias = "str | _Lexeme"
_Span: TypeAlias = tuple[str, int, int]


@dataclass(eq=False, slots=True)
class _Lexeme:
    """A terminal of the parser: its recogniser, and the type of its token.

    `ends_from(text, start)` gives all places where a text of the terminal that begins at `start` may end.
    """

    name: str
    is_kept: bool
    is_string: bool
    ends_from: Callable[[str, int], Iterator[int]]
    ends: dict[int, list[tuple[int, int]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Production:
    symbols: tuple[Symbol, ...]
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    production: int
    dot: int
    origin: int


class TreeParser:
    """A parser for the texts of one grammar; reusable."""

    def __init__(self, grammar: RuleSet) -> None:
        require_lark('value="tree"')
        self._grammar = grammar
        self._terminals = Terminals(grammar)
        self._productions: dict[str, list[_Production]] = {}
        self._lexemes: dict[Expr, _Lexeme] = {}
        self._anonymous = 0
        skip = [self._pattern_of(self._terminals.lexeme(expr, "%ignore", (0, 0))) for expr in grammar.ignored]
        self._skip = re.compile(f"(?:{'|'.join(skip)})*") if skip else None
        for rule in grammar.rules.values():
            if not rule.is_terminal:
                parts = rule.body.parts if isinstance(rule.body, Alt) else (rule.body,)
                self._productions[rule.name] = [self._production(part) for part in parts]
        start = grammar.rules[grammar.start]
        self._productions[":start"] = [
            _Production((self._lexeme(Ref(start.name)) if start.is_terminal else start.name,))
        ]

    def parse(self, text: str) -> Any:
        """The tree of a whole text.

        Raises:
            ValueError: the grammar does not derive the text.
        """
        spans, furthest = self._recognise(text)
        ends = [end for end in spans.get((":start", 0), ()) if end == len(text) or self._skips(text, end, len(text))]
        if not ends:
            shown = text[furthest : furthest + 20]
            raise ValueError(f"the text is none of the grammar's: nothing fits at character {furthest}, {shown!r}")
        found = _run(_Reader(self, text, spans).node(":start", 0, max(ends)))
        children = [child for child in found if child is not None]
        return children[0] if children else None

    def _pattern_of(self, expr: Expr) -> str:
        source = whole_pattern(expr)
        if source is None:
            raise NotImplementedError("a tree needs what is ignored to be a plain regular expression")
        return source

    def _production(self, expr: Expr) -> _Production:
        if isinstance(expr, Aliased):
            return _Production(self._symbols(expr.body), expr.alias)
        return _Production(self._symbols(expr))

    def _symbols(self, expr: Expr) -> tuple[Symbol, ...]:
        if expr == EMPTY:
            return ()
        if isinstance(expr, Seq):
            return tuple(symbol for part in expr.parts for symbol in self._symbols(part))
        if isinstance(expr, Ref) and not self._grammar.rules[expr.name].is_terminal:
            return (expr.name,)
        if isinstance(expr, Alt):
            return (self._inner([self._symbols(part) for part in expr.parts]),)
        if isinstance(expr, Aliased):
            return self._symbols(expr.body)
        if isinstance(expr, Loop):
            once = self._symbols(expr.body)
            if expr.maximum is None:
                name = self._new()
                self._productions[name] = [_Production((name, *once)), _Production(())]
                return once * expr.minimum + (name,)
            more: tuple[Symbol, ...] = ()
            for _ in range(expr.maximum - expr.minimum):
                more = (self._inner([(*once, *more), ()]),)
            return once * expr.minimum + more
        return (self._lexeme(expr),)

    def _inner(self, ways: list[tuple[Symbol, ...]]) -> str:
        name = self._new()
        self._productions[name] = [_Production(way) for way in ways]
        return name

    def _new(self) -> str:
        return f":{len(self._productions)}"

    def _lexeme(self, expr: Expr) -> _Lexeme:
        found = self._lexemes.get(expr)
        if found is None:
            found = self._lexemes[expr] = self._make_lexeme(expr)
        return found

    def _make_lexeme(self, expr: Expr) -> _Lexeme:
        is_string = isinstance(expr, (Text, Chars))
        if isinstance(expr, Ref):
            name = expr.name
        elif isinstance(expr, Text):
            name = self._string_name(expr.text)
        else:
            name = f"__ANON_{self._anonymous}"
            self._anonymous += 1
        if isinstance(expr, (Special, Embedded)):
            raise NotImplementedError("a tree is made of text: this grammar has special tokens or schemas inside")
        # The text is known to match the grammar, so its lookarounds are known to hold.
        body = _without_looks(self._terminals.lexeme(expr, name, (0, 0)))
        return _Lexeme(name, not name.startswith("_"), is_string, _ends_of(body))

    def _string_name(self, text: str) -> str:
        for rule in self._grammar.rules.values():
            if rule.is_terminal and rule.body == Text(text):
                return rule.name
        from lark.load_grammar import _TERMINAL_NAMES

        if len(text) == 1 and text in _TERMINAL_NAMES:
            return str(_TERMINAL_NAMES[text])
        if text.isidentifier() and text.upper() not in self._grammar.rules:
            return text.upper()
        self._anonymous += 1
        return f"__ANON_{self._anonymous - 1}"

    def _skips(self, text: str, start: int, end: int) -> bool:
        return start == end or (self._skip is not None and self._skip.fullmatch(text, start, end) is not None)

    def starts(self, text: str, at: int) -> Iterator[int]:
        """The places where a lexeme may begin, after ignored text."""
        yield at
        if self._skip is not None:
            found = self._skip.match(text, at)
            for start in range(at + 1, found.end() + 1 if found else at + 1):
                if self._skips(text, at, start):
                    yield start

    def lexeme_ends(self, lexeme: _Lexeme, text: str, at: int) -> list[tuple[int, int]]:
        """The spans of a lexeme whose ignored text begins at `at`; longest first."""
        found = lexeme.ends.get(at)
        if found is None:
            by_end: dict[int, int] = {}
            for start in self.starts(text, at):
                for end in lexeme.ends_from(text, start):
                    by_end.setdefault(end, start)
            found = lexeme.ends[at] = sorted(((start, end) for end, start in by_end.items()), key=lambda pair: -pair[1])
        return found

    def _recognise(self, text: str) -> tuple[dict[tuple[Symbol, int], set[int]], int]:
        """Earley's algorithm: the ends of each rule, by the place where it was predicted."""
        for lexeme in self._lexemes.values():
            lexeme.ends.clear()
        spans: dict[tuple[Symbol, int], set[int]] = {}
        waiting: dict[tuple[str, int], list[_Item]] = {}
        columns: list[dict[_Item, None]] = [{} for _ in range(len(text) + 1)]
        columns[0] = {_Item(":start", 0, 0, 0): None}
        furthest = 0
        for at, column in enumerate(columns):
            agenda = list(column)
            predicted: set[str] = set()
            while agenda:
                item = agenda.pop()
                furthest = at
                symbols = self._productions[item.name][item.production].symbols
                if item.dot == len(symbols):
                    spans.setdefault((item.name, item.origin), set()).add(at)
                    advanced = list(waiting.get((item.name, item.origin), ()))
                else:
                    symbol = symbols[item.dot]
                    advanced = []
                    if isinstance(symbol, _Lexeme):
                        for _, end in self.lexeme_ends(symbol, text, at):
                            moved = _Item(item.name, item.production, item.dot + 1, item.origin)
                            if end == at:
                                if moved not in column:
                                    column[moved] = None
                                    agenda.append(moved)
                            else:
                                columns[end].setdefault(moved)
                        continue
                    waiting.setdefault((symbol, at), []).append(item)
                    if symbol not in predicted:
                        predicted.add(symbol)
                        for number in range(len(self._productions[symbol])):
                            new = _Item(symbol, number, 0, at)
                            if new not in column:
                                column[new] = None
                                agenda.append(new)
                    if at in spans.get((symbol, at), ()):
                        advanced = [item]
                for other in advanced:
                    moved = _Item(other.name, other.production, other.dot + 1, other.origin)
                    if moved not in column:
                        column[moved] = None
                        agenda.append(moved)
        return spans, furthest

    def productions(self, name: str) -> list[_Production]:
        """The productions of a rule."""
        return self._productions[name]

    def shape(self, name: str, production: _Production, children: list[Any]) -> list[Any]:
        """The children that a finished rule gives to the one around it."""
        if name.startswith(":"):
            return children
        rule = self._grammar.rules[name]
        kept = [child for child in children if not isinstance(child, tuple)]
        if rule.keep_tokens:
            kept = [child[0] if isinstance(child, tuple) else child for child in children]
        shown = rule.source if rule.generated else name
        if production.alias is None and (shown.startswith("_") or (rule.inline_single and len(kept) == 1)):
            return kept
        import lark

        return [lark.Tree(production.alias or shown, kept)]

    def token(self, lexeme: _Lexeme, text: str, start: int, end: int) -> Any:
        """The token of a span; in a tuple where only a `!rule` keeps it."""
        import lark

        token = lark.Token(lexeme.name, text[start:end], start_pos=start, end_pos=end)
        return (token,) if lexeme.is_string or not lexeme.is_kept else token


_Steps: TypeAlias = Generator["_Steps", Any, Any]


class _Reader:
    """Reads one derivation from the spans, with generators in place of recursion: texts may be nested deeply."""

    def __init__(self, parser: TreeParser, text: str, spans: dict[tuple[Symbol, int], set[int]]) -> None:
        self._parser = parser
        self._text = text
        self._spans = spans
        self._open: set[_Span] = set()
        self._failed: set[tuple[str, int, int, int, int]] = set()

    def node(self, name: str, start: int, end: int) -> _Steps:
        """The children of a rule over a span, or None where it derives the span only through itself."""
        key = (name, start, end)
        if key in self._open:
            return None
        self._open.add(key)
        try:
            for number, production in enumerate(self._parser.productions(name)):
                children = yield self._split(name, number, production.symbols, 0, start, end)
                if children is not None:
                    return self._parser.shape(name, production, children)
            return None
        finally:
            self._open.discard(key)

    def _split(self, name: str, number: int, symbols: tuple[Symbol, ...], dot: int, start: int, end: int) -> _Steps:
        """The children of the symbols from `dot` on, over a span."""
        if dot == len(symbols):
            return [] if start == end else None
        key = (name, number, dot, start, end)
        if key in self._failed:
            return None
        symbol = symbols[dot]
        is_last = dot + 1 == len(symbols)
        if isinstance(symbol, _Lexeme):
            spans = self._parser.lexeme_ends(symbol, self._text, start)
        else:
            spans = [(start, middle) for middle in sorted(self._spans.get((symbol, start), ()), reverse=True)]
        for begin, middle in spans:
            if middle > end or (is_last and middle != end):
                continue
            rest = yield self._split(name, number, symbols, dot + 1, middle, end)
            if rest is None:
                continue
            if isinstance(symbol, _Lexeme):
                return [self._parser.token(symbol, self._text, begin, middle), *rest]
            own = yield self.node(symbol, start, middle)
            if own is not None:
                return [*own, *rest]
        if not self._open:
            self._failed.add(key)
        return None


def _run(steps: _Steps) -> Any:
    """Runs generators that ask for the results of others, without recursion."""
    stack, value = [steps], None
    while stack:
        try:
            stack.append(stack[-1].send(value))
            value = None
        except StopIteration as done:
            stack.pop()
            value = done.value
    return value


def _ends_of(body: Expr) -> Callable[[str, int], Iterator[int]]:
    """The function that finds the ends of a terminal's texts."""
    if isinstance(body, Text) and not body.ignore_case:
        string = body.text

        def string_ends(text: str, start: int) -> Iterator[int]:
            if text.startswith(string, start):
                yield start + len(string)

        return string_ends
    source = whole_pattern(body)
    if source is None:
        return lambda text, start: (end for end in range(start, len(text) + 1) if matches(body, text[start:end]))
    pattern = regex.compile(source)

    def pattern_ends(text: str, start: int) -> Iterator[int]:
        for end in range(start, len(text) + 1):
            found = pattern.fullmatch(text, start, end, partial=True)
            if found is None:
                return
            if not found.partial:
                yield end

    return pattern_ends


def _without_looks(expr: Expr) -> Expr:
    if isinstance(expr, Look):
        return EMPTY
    if isinstance(expr, (Both, Other)):
        return expr
    return rebuild(expr, _without_looks)
