"""Lowers the rules of a grammar to the fragments that the core reads."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from rellm._constraints import expression
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.grammar.check_rules import check_rules
from rellm._constraints.grammar.expand_templates import expand_templates
from rellm._constraints.grammar.left_recursion import eliminate_left_recursion
from rellm._constraints.grammar.lexer_rules import LexerRules
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
    Pattern,
    Place,
    Ref,
    RuleSet,
    Seq,
    Special,
    Text,
    alt,
    loop,
    rebuild,
    seq,
    walk,
)
from rellm._constraints.grammar.terminals import Terminals, as_ignored

START = ":start"


def lower(grammar: RuleSet, *, maximal: bool) -> dict[str, Expr]:
    """Checks a grammar and makes plain rules of it: ignored texts are written out, left recursion is eliminated.

    Args:
        grammar: the rules from a reader; its templates are expanded and its notes are completed in place.
        maximal: whether terminals are restricted to what a lexer would read.

    Returns:
        The rules by name; the one to start with is `START`.

    Raises:
        GrammarError: something is wrong with the rules.
    """
    expand_templates(grammar)
    check_rules(grammar)
    bodies = _Lowering(grammar, maximal).bodies()
    places = {name: rule.place for name, rule in grammar.rules.items()}
    return eliminate_left_recursion(bodies, places)


class _Lowering:
    """Writes out the ignored texts between lexemes, and the texts of the lexemes."""

    def __init__(self, grammar: RuleSet, maximal: bool) -> None:
        self._grammar = grammar
        self._maximal = maximal
        self._terminals = Terminals(grammar)
        self._lexer = LexerRules()
        self._lexemes: dict[Expr, Expr] = {}
        ignored = [as_ignored(self._terminals.lexeme(expr, "%ignore", (0, 0))) for expr in grammar.ignored]
        self._skip = loop(alt(*ignored), 0, None) if ignored else EMPTY

    def bodies(self) -> dict[str, Expr]:
        rules = [rule for rule in self._grammar.rules.values() if not rule.is_terminal]
        start = self._grammar.rules[self._grammar.start]
        for rule in rules:
            for expr in self._lexemes_of(rule.body):
                self._register(expr, rule.place)
        if start.is_terminal:
            self._register(Ref(start.name, start.place), start.place)
        self._lexer.settle()
        if not self._maximal:
            self._grammar.notes += self._lexer.notes()
        found = {rule.name: self._written(rule.body) for rule in rules}
        body = self._written(Ref(start.name)) if start.is_terminal else Ref(start.name)
        return {START: seq(body, self._skip), **found}

    def _register(self, expr: Expr, place: Place) -> None:
        if expr in self._lexemes:
            return
        name = expr.name if isinstance(expr, Ref) else "a pattern"
        if isinstance(expr, Ref):
            place = self._grammar.rules[expr.name].place
        known = isinstance(expr, (Special, Embedded))
        body = expr if known else self._terminals.lexeme(expr, name, place)
        self._lexemes[expr] = body
        if isinstance(body, Text) and not body.ignore_case:
            self._lexer.strings.setdefault(body.text, place)
        elif not known and not isinstance(body, Text):
            self._lexer.terminals.setdefault(self._key(expr), (body, place))

    def _key(self, expr: Expr) -> str:
        return expr.name if isinstance(expr, Ref) else f"/{getattr(expr, 'source', expr)}/"

    def _written(self, expr: Expr) -> Expr:
        if expr in self._lexemes:
            body = self._lexemes[expr]
            if self._maximal and not isinstance(body, (Special, Embedded)):
                body = self._lexer.restricted(body, self._key(expr))
            return seq(self._skip, body)
        if isinstance(expr, Aliased):
            return self._written(expr.body)
        return rebuild(expr, self._written)

    def _lexemes_of(self, body: Expr) -> list[Expr]:
        """The strings, patterns and terminals of a rule's body, none of them inside another."""
        found: list[Expr] = []
        waiting = [body]
        while waiting:
            node = waiting.pop()
            if isinstance(node, (Text, Chars, Pattern, Special, Embedded, Both, Other, Look)) or (
                isinstance(node, Ref) and self._grammar.rules[node.name].is_terminal
            ):
                found.append(node)
            elif isinstance(node, (Seq, Alt)):
                waiting += reversed(node.parts)
            elif isinstance(node, (Loop, Aliased)):
                waiting.append(node.body)
        return found


def to_fragment(bodies: dict[str, Expr], context: ExpressionContext, key: Hashable) -> Fragment:
    """The fragment of lowered rules; `key` distinguishes this grammar's rules from others in the same tree."""
    return _Writer(bodies, context, key).rule(START)


class _Writer:
    def __init__(self, bodies: dict[str, Expr], context: ExpressionContext, key: Hashable) -> None:
        self._bodies = bodies
        self._context = context
        self._key = key
        self._recursive: set[str] | None = None

    def rule(self, name: str) -> Fragment:
        return self._context.rule((self._key, name), lambda: self.fragment(self._bodies[name]))

    def fragment(self, expr: Expr) -> Fragment:
        context = self._context
        match expr:
            case Text(text, ignore_case):
                if ignore_case:
                    import re

                    return expression.pattern(context, re.escape(text), int(re.I))
                return expression.literal(context, text)
            case Chars(ranges):
                return expression.char_class(ranges)
            case Pattern(source, flags):
                return expression.pattern(context, source, flags)
            case Ref(name):
                return self.rule(name)
            case Seq(parts):
                return expression.sequence(map(self.fragment, parts))
            case Alt(parts):
                return expression.union(map(self.fragment, parts))
            case Loop(body, low, high):
                return expression.repeat(self.fragment(body), low, high)
            case Both(parts):
                return expression.intersection([self._language(part) for part in parts])
            case Other(body):
                return expression.complement(self._language(body))
            case Look(body, behind, negated):
                return expression.look(self.fragment(body), behind=behind, negated=negated)
            case Special(name, ids):
                return _special(context, name, ids)
            case Embedded(constraint):
                return expression.part(constraint.to_expression(context))
            case _:
                raise AssertionError(expr)

    def _language(self, expr: Expr) -> Fragment:
        looks = any(isinstance(node, Look) for node in walk(expr))
        return expression.part(self.fragment(expr)) if looks else self.fragment(expr)


def _special(context: Any, name: str | None, ids: tuple[tuple[int, int], ...]) -> Fragment:
    if name is not None:
        return context.special_token(name)  # type: ignore[no-any-return]
    return expression.special([one for low, high in ids for one in range(low, high + 1)])
