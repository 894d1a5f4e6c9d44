"""Fragments of arrays: first items, all others, counts of items in a schema, and equal items."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rellm._constraints.expression import (
    NOTHING as NO_TEXT,
)
from rellm._constraints.expression import (
    Fragment,
    empty,
    items,
    literal,
    optional,
    repeat,
    sequence,
    union,
)
from rellm._constraints.json_schema.json_values import key_of, plain_decimal
from rellm._constraints.json_schema.shapes import ANYTHING, NOTHING, ArrayShape, Contained, Term, both

if TYPE_CHECKING:
    from rellm._constraints.json_schema.emission import Emission
    from rellm._constraints.json_schema.front_end import FrontEnd

_MAX_VALUES = 256
# One way to write an item: the counters that it increments, and its term.
_Way = tuple[list[int], Term]


def array_fragment(emission: Emission, shape: ArrayShape) -> Iterator[Fragment]:
    """The texts of the arrays of a shape."""
    if shape.high is not None and shape.high <= 1 and shape.repeated:
        return
    if shape.repeated:
        values = _values_of_items(emission.front, shape)
        if values is None:
            _refuse_unique(emission, shape.repeated)
            yield _array(emission, shape, [])
            return
        for value in values:
            twice = Contained(emission.front.constant(value), 2)
            yield _array(emission, shape, [twice])
        return
    if shape.unique and (shape.high is None or shape.high > 1):
        values = _values_of_items(emission.front, shape)
        if values is not None:
            yield _array(emission, shape, [Contained(emission.front.constant(value), 0, 1) for value in values])
            return
        _refuse_unique(emission, shape.unique)
    yield _array(emission, shape, [])


def _refuse_unique(emission: Emission, schema: Any) -> None:
    why = "the items have more values than can be remembered"
    emission.front.unsupported(schema, "uniqueItems", why, "give items an enum, or check it afterwards")


def _array(emission: Emission, shape: ArrayShape, further: list[Contained]) -> Fragment:
    contained = [*shape.contained, *further]
    if contained:
        return _counted(emission, shape, contained, len(further))
    high = shape.high
    length = shape.prefix_length()
    if high is not None:
        length = min(length, high)
    first: list[Fragment] = []
    for index in range(length):
        fragment = emission.inner(shape.item(index))
        if fragment[0] == NO_TEXT:
            high = index
            break
        first.append(fragment)
    others: Fragment = [NO_TEXT]
    if high is None or high > len(first):
        others = emission.inner(shape.item(length))
        if others[0] == NO_TEXT:
            high = len(first)
    if high is not None and shape.low > high:
        return [NO_TEXT]
    return _plain(emission, first, others, shape.low, high)


def _plain(emission: Emission, first: list[Fragment], others: Fragment, low: int, high: int | None) -> Fragment:
    """An array whose items depend only on their index."""
    layout, context = emission.layout, emission.context
    between = layout.array_between
    count = len(first)
    tail = empty()
    if high is None or high > count:
        least, most = max(low - count, 0), None if high is None else high - count
        if count:
            tail = repeat(sequence([between, others]), least, most)
        else:
            more = repeat(sequence([between, others]), max(least - 1, 0), None if most is None else most - 1)
            tail = sequence([others, more])
    for index in range(count - 1, -1, -1):
        here = sequence([first[index], tail]) if index == 0 else sequence([between, first[index], tail])
        tail = here if index < low or index == 0 else optional(here)
    opened = literal(context, "[")
    if high == 0:
        return literal(context, "[]") if layout.is_strict else sequence([opened, layout.array_close])
    if layout.is_strict:
        filled = sequence([opened, layout.array_first, tail, layout.array_close])
        return union([literal(context, "[]"), filled]) if low == 0 else filled
    body = sequence([layout.array_first, tail])
    return sequence([opened, optional(body) if low == 0 else body, layout.array_close])


def _counted(emission: Emission, shape: ArrayShape, contained: list[Contained], single: int) -> Fragment:
    front, layout, context = emission.front, emission.layout, emission.context
    length = max(shape.prefix_length(), max(counted.start for counted in contained))
    groups: list[list[tuple[list[int], Fragment]]] = []
    for index in range(length + 1):
        term = shape.item(index)
        ways = _ways(front, term, index, contained, single)
        written = [(counters, emission.inner(held)) for counters, held in ways]
        groups.append([(counters, fragment) for counters, fragment in written if fragment[0] != NO_TEXT])
    counters = [(counted.low, -1 if counted.high is None else counted.high) for counted in contained]
    low, high = shape.low, -1 if shape.high is None else shape.high
    opened = literal(context, "[")
    between, close = layout.array_between, layout.array_close
    if not layout.is_strict:
        return sequence([opened, items(layout.array_first, between, close, low, high, counters, groups)])
    filled = sequence([opened, items(layout.array_first, between, close, max(low, 1), high, counters, groups)])
    can_be_empty = low == 0 and all(least <= 0 for least, _ in counters)
    return union([literal(context, "[]"), filled]) if can_be_empty else filled


def _ways(front: FrontEnd, term: Term, index: int, contained: list[Contained], single: int) -> list[_Way]:
    """The ways to write one item, by the counted terms that contain it. The last `single` terms are single values."""
    if term == NOTHING:
        return []
    found: list[_Way] = [([], term)]
    first_single = len(contained) - single
    if single:
        found = [([number], both(term, contained[number].term)) for number in range(first_single, len(contained))]
        if single == 1:
            found.append(([], both(term, front.negated(contained[-1].term))))
    for number, counted in enumerate(contained[:first_single]):
        if counted.start > index:
            continue
        outside = front.negated(counted.term)
        found = [
            way
            for counters, held in found
            for way in (([*counters, number], both(held, counted.term)), (counters, both(held, outside)))
        ]
        if len(found) > _MAX_VALUES:
            schema = front.schema_with("contains")
            front.unsupported(schema, "contains", "more than 256 branches", "use fewer contains")
            return [([], term)]
    return [(counters, held) for counters, held in found if not front.term_is_empty(held)]


def _values_of_items(front: FrontEnd, shape: ArrayShape) -> list[Any] | None:
    """All values that an item can have; None if there are infinitely many, or too many."""
    found: dict[Any, Any] = {}
    length = shape.prefix_length()
    last = length + 1 if shape.high is None else min(length + 1, shape.high)
    for index in range(last):
        values = _finite(front, shape.item(index))
        if values is None:
            return None
        found.update({key_of(value): value for value in values})
    return list(found.values()) if len(found) <= _MAX_VALUES else None


def _finite(front: FrontEnd, term: Term) -> list[Any] | None:
    if term == ANYTHING:
        return None
    values: list[Any] = []
    for kind, shapes in front.expansion(term).items():
        for shape in shapes:
            if kind == "null":
                values.append(None)
            elif kind == "boolean":
                values += sorted(shape)
            elif kind == "string" and shape.values is not None:
                values += sorted(shape.values)
            elif kind == "number" and shape.values is not None:
                values += [
                    number if isinstance(number, int) else float(plain_decimal(number)) for number in shape.values
                ]
            elif kind == "array" and shape.high == 0:
                values.append([])
            else:
                return None
    return values
