"""A pattern as a program of small steps over symbols: what its recursion pushes, what its errors cost.

Only patterns made of characters, sequences, alternatives, repetitions, groups, calls of groups and fuzzy items, with
anchors at the edges of the text and possessive repetitions of one character, can be had so; the rest is `None`.
Captures are not kept: nothing in such a pattern looks at them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from rellm._engines.search.pattern.reading import (
    WITHOUT_WIDTH,
    Atom,
    Branch,
    Call,
    Define,
    Fuzzy,
    Group,
    Node,
    Opaque,
    Repeat,
    Sequence,
)

_MOST_NODES: Final = 50_000

Vector = tuple[int, ...]
"""What errors have cost so far, one number for each limit of a fuzzy item."""


@dataclass(frozen=True)
class Errors:
    """The costs of a fuzzy item."""

    most: Vector
    substitution: Vector
    insertion: Vector
    deletion: Vector
    test: int  # symbols that may be substituted and inserted
    none: Vector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "none", (0,) * len(self.most))

    def plus(self, spent: Vector, cost: Vector) -> Vector | None:
        """What is spent after one more error; None if that is too much."""
        total = tuple(map(int.__add__, spent, cost))
        return total if all(a <= b for a, b in zip(total, self.most, strict=True)) else None


class Char(NamedTuple):
    """Reads one symbol of a set (a bit a symbol), or, in a fuzzy item, makes an error."""

    symbols: int
    next: int
    errors: Errors | None


class Split(NamedTuple):
    nexts: tuple[int, ...]


class Push(NamedTuple):
    """Calls a group, to go on at `next`."""

    group: int
    next: int


class Return(NamedTuple):
    """The end of a called group, or of the pattern."""


class Forbid(NamedTuple):
    """The next symbol is none of these: what a possessive repetition has left must not be there."""

    symbols: int
    next: int


class Begin(NamedTuple):
    """Passes at the start of the text only."""

    next: int


class Finish(NamedTuple):
    """Passes if the text ends here, or, if `newline`, after one more newline."""

    newline: bool
    next: int


class Enter(NamedTuple):
    """Begins a fuzzy item."""

    errors: Errors
    next: int


class Leave(NamedTuple):
    """The end of a fuzzy item; symbols may still be inserted here."""

    errors: Errors
    next: int


Step = Char | Split | Push | Return | Forbid | Begin | Finish | Enter | Leave


@dataclass(frozen=True)
class Program:
    steps: list[Step]
    entry: dict[int, int]  # of the pattern (0) and of every called group
    newline: int  # the symbol of "\n", as a bit; 0 if no text can have one


class _CannotError(Exception):
    """Something is not to be had as a program."""


def program_of(tree: Node, symbols_of: Callable[[Atom], int], every: int, newline: int) -> Program | None:
    """The program of a pattern, or None.

    Args:
        tree: the pattern.
        symbols_of: the symbols of an atom, a bit a symbol.
        every: all symbols.
        newline: the bit of the newline's symbol.
    """
    try:
        return _Builder(tree, symbols_of, every, newline).build()
    except (_CannotError, RecursionError):
        return None


class _Builder:
    def __init__(self, tree: Node, symbols_of: Callable[[Atom], int], every: int, newline: int) -> None:
        self.tree = tree
        self.symbols_of = symbols_of
        self.every = every
        self.newline = newline
        self.bodies: dict[int, Node] = {0: tree}
        self.called: set[int] = set()
        collect(tree, self.bodies, self.called)
        self.steps: list[Step] = []

    def build(self) -> Program:
        if not self.called <= self.bodies.keys():
            raise _CannotError
        entry = {}
        for number in sorted(self.called | {0}):
            last = self.add(Return())
            entry[number] = self.node(self.bodies[number], last, None)
        return Program(self.steps, entry, self.newline)

    def add(self, step: Step) -> int:
        if len(self.steps) >= _MOST_NODES:
            raise _CannotError
        self.steps.append(step)
        return len(self.steps) - 1

    def node(self, node: Node, after: int, errors: Errors | None) -> int:
        """Writes `node` so that it goes on at `after`; returns where it begins."""
        match node:
            case Atom():
                return self.add(Char(self.symbols_of(node), after, errors))
            case Sequence(items):
                for item in reversed(items):
                    after = self.node(item, after, errors)
                return after
            case Branch(items):
                return self.add(Split(tuple(self.node(item, after, errors) for item in items)))
            case Group(number, body):
                if number in self.called:
                    if errors:
                        raise _CannotError
                    return self.add(Push(number, after))
                return self.node(body, after, errors)
            case Define():
                return after
            case Call(number):
                if errors:
                    raise _CannotError
                return self.add(Push(number, after))
            case Repeat():
                return self.repeat(node, after, errors)
            case Fuzzy(body, costs, test):
                if errors or not (test is None or isinstance(test, Atom)):
                    raise _CannotError
                limits = costs.limits
                spent = [tuple(cost[kind] for cost, _ in limits) for kind in range(3)]
                readable = self.every if test is None else self.symbols_of(test)
                inner = Errors(tuple(most for _, most in limits), spent[0], spent[1], spent[2], readable)
                return self.add(Enter(inner, self.node(body, self.add(Leave(inner, after)), inner)))
            case Opaque(kind):
                return self.anchor(kind, after, errors)

    def repeat(self, node: Repeat, after: int, errors: Errors | None) -> int:
        body, low, high = node.body, node.low, node.high
        possessive = 0
        if node.possessive:
            if not isinstance(body, Atom) or errors:
                raise _CannotError
            possessive = self.symbols_of(body)
        leave = self.add(Forbid(possessive, after)) if node.possessive else after
        if high is None:
            loop = self.add(Split(()))
            self.steps[loop] = Split((self.node(body, loop, errors), leave))
            at = loop
        else:
            at = after
            for _ in range(high - low):
                # After the last one, a possessive repetition leaves nothing.
                at = self.add(Split((self.node(body, at, errors), leave)))
        for _ in range(low):
            at = self.node(body, at, errors)
        return at

    def anchor(self, kind: str, after: int, errors: Errors | None) -> int:
        if errors:
            raise _CannotError
        match kind:
            case "start of text":
                return self.add(Begin(after))
            case "end of text":
                return self.add(Finish(False, after))
            case "end of text or last line":
                return self.add(Finish(True, after))
        raise _CannotError


def collect(node: Node, bodies: dict[int, Node], called: set[int]) -> None:
    """The groups of a pattern and the numbers of those that are called."""
    pending = [node]
    while pending:
        match pending.pop():
            case Sequence(items) | Branch(items):
                pending += items
            case Repeat(body=body) | Define(body) | Fuzzy(body=body):
                pending.append(body)
            case Group(number, body):
                bodies[number] = body
                pending.append(body)
            case Call(number):
                called.add(number)


def recurses_without_reading(tree: Node) -> int | None:
    """The number of a group that can call itself before it reads a character, for the library never ends on that."""
    bodies: dict[int, Node] = {0: tree}
    collect(tree, bodies, set())
    empty: set[int] = set()  # groups that can match the empty text
    edges: dict[int, set[int]] = {}
    while True:
        before = len(empty)
        for number, body in bodies.items():
            edges[number] = set()
            if _leads(body, empty, edges[number]):
                empty.add(number)
        if len(empty) == before:
            break
    for number in bodies:
        seen: set[int] = set()
        pending = list(edges[number])
        while pending:
            at = pending.pop()
            if at == number:
                return number
            if at not in seen:
                seen.add(at)
                pending += edges.get(at, ())
    return None


def _leads(node: Node, empty: set[int], calls: set[int]) -> bool:
    """Adds what can be called before a character is read; returns whether `node` can match the empty text."""
    match node:
        case Sequence(items):
            return all(_leads(item, empty, calls) for item in items)
        case Branch(items):
            found = [_leads(item, empty, calls) for item in items]  # all of them: calls are collected
            return any(found)
        case Repeat(body, low):
            return _leads(body, empty, calls) or low == 0
        case Group(_, body):
            return _leads(body, empty, calls)
        case Fuzzy(body, costs, _):
            return _leads(body, empty, calls) or all(cost[2] * _shortest(body) <= most for cost, most in costs.limits)
        case Define():
            return True
        case Call(number):
            calls.add(number)
            return number in empty
        case Opaque(kind):
            return kind in WITHOUT_WIDTH
    return False


def _shortest(node: Node) -> int:
    """The least number of characters that `node` reads; a call counts as none."""
    match node:
        case Atom():
            return 1
        case Sequence(items):
            return sum(map(_shortest, items))
        case Branch(items):
            return min(map(_shortest, items))
        case Repeat(body, low):
            return low * _shortest(body)
        case Group(_, body) | Fuzzy(body=body):
            return _shortest(body)
    return 0
