"""Groups that call themselves before they read a character: the `regex` library never ends on them."""

from __future__ import annotations

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


def _collect(node: Node, bodies: dict[int, Node]) -> None:
    """The groups of a pattern."""
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


def recurses_without_reading(tree: Node) -> int | None:
    """The number of a group that can call itself before it reads a character, for the library never ends on that."""
    bodies: dict[int, Node] = {0: tree}
    _collect(tree, bodies)
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
