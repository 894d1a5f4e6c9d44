"""The rules of a grammar, independent of its format.

Nodes are immutable values without source places, so that equal parts compare equal; places are kept with the rules.
Only `Ref` has a place of its own, because the error for an undefined name needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""

NOWHERE: Final[Place] = (0, 0)


@dataclass(frozen=True, slots=True)
class Text:
    """A string; with `ignore_case`, in any case of its letters."""

    text: str
    ignore_case: bool = False


@dataclass(frozen=True, slots=True)
class Chars:
    """One code point of these inclusive ranges."""

    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression of Python's `re`, with the flags of `re`."""

    source: str
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Ref:
    """A rule or terminal, by name."""

    name: str
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A template with its arguments; gone when templates are expanded."""

    name: str
    arguments: tuple[Expr, ...]
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Seq:
    """One after the other; without parts, the empty text."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Alt:
    """Any of them; without parts, no text."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Loop:
    """Repetition; `maximum` None: unbounded. A lazy one only occurs in a terminal that is not resolved yet."""

    body: Expr
    minimum: int
    maximum: int | None
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Both:
    """The intersection: texts that match all parts."""

    parts: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Other:
    """The complement: all texts except those of the body."""

    body: Expr


@dataclass(frozen=True, slots=True)
class Look:
    """A lookaround: the text after it must (not) begin with the body, or the text before it must (not) end with it."""

    body: Expr
    behind: bool = False
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Special:
    """A special token: by name, or one of these ranges of ids."""

    name: str | None = None
    ids: tuple[tuple[int, int], ...] = ()
    place: Place = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Embedded:
    """Another constraint, embedded as a part."""

    constraint: Any


@dataclass(frozen=True, slots=True)
class Aliased:
    """An alternative whose tree has a name of its own."""

    body: Expr
    alias: str


Expr: TypeAlias = (
    Text | Chars | Pattern | Ref | Call | Seq | Alt | Loop | Both | Other | Look | Special | Embedded | Aliased
)

EMPTY: Final = Seq(())
NEVER: Final = Alt(())
ANY_CHAR: Final = Chars(((0, 0x10FFFF),))


@dataclass(slots=True)
class Rule:
    """A rule or terminal, with its place and the options that shape its tree."""

    name: str
    body: Expr
    place: Place = NOWHERE
    is_terminal: bool = False
    parameters: tuple[str, ...] = ()
    keep_tokens: bool = False
    inline_single: bool = False
    priority: int | None = None
    source: str = ""
    generated: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """An entry of the report, for a place in the grammar."""

    place: Place
    keyword: str
    status: str
    why: str
    remedy: str = ""
    effect: str = ""


@dataclass(slots=True)
class RuleSet:
    """A whole grammar: its rules by name, its start rule, and the ignored texts between lexemes."""

    rules: dict[str, Rule]
    start: str
    ignored: list[Expr] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def seq(*parts: Expr) -> Expr:
    """A sequence in normal form: flat, without empty parts."""
    flat: list[Expr] = []
    for part in parts:
        if part == NEVER:
            return NEVER
        flat += part.parts if isinstance(part, Seq) else (part,)
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))


def alt(*parts: Expr) -> Expr:
    """An alternation in normal form: flat, each alternative once."""
    flat: dict[Expr, None] = {}
    for part in parts:
        for one in part.parts if isinstance(part, Alt) else (part,):
            flat.setdefault(one)
    return next(iter(flat)) if len(flat) == 1 else Alt(tuple(flat))


def loop(body: Expr, minimum: int, maximum: int | None, *, lazy: bool = False) -> Expr:
    """A repetition in normal form."""
    if body == EMPTY or maximum == 0:
        return EMPTY
    if body == NEVER:
        return EMPTY if minimum == 0 else NEVER
    return body if (minimum, maximum) == (1, 1) else Loop(body, minimum, maximum, lazy)


_PARTS: dict[type, Callable[[Any], tuple[Expr, ...]]] = {
    **dict.fromkeys((Seq, Alt, Both), lambda node: node.parts),
    **dict.fromkeys((Loop, Other, Look, Aliased), lambda node: (node.body,)),
    Call: lambda node: node.arguments,
}


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of a node."""
    parts = _PARTS.get(type(expr))
    return () if parts is None else parts(expr)


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and all its descendants, in preorder."""
    waiting = [expr]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(children(node))


def rebuild(expr: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The node with `change` applied to each direct part."""
    match expr:
        case Seq(parts):
            return seq(*map(change, parts))
        case Alt(parts):
            return alt(*map(change, parts))
        case Both(parts):
            return Both(tuple(map(change, parts)))
        case Loop(body, minimum, maximum, lazy):
            return loop(change(body), minimum, maximum, lazy=lazy)
        case Other(body):
            return Other(change(body))
        case Look(body, behind, negated):
            return Look(change(body), behind, negated)
        case Aliased(body, alias):
            return Aliased(change(body), alias)
        case Call(name, arguments, place):
            return Call(name, tuple(map(change, arguments)), place)
        case _:
            return expr


def size(expr: Expr) -> int:
    """The number of nodes of the expression."""
    return sum(1 for _ in walk(expr))
