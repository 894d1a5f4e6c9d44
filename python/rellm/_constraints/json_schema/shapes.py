"""Sets of JSON values of one type, as conjunctions that can be intersected and complemented.

A schema becomes, for each type of JSON, a list of shapes whose union it is. The schemas of properties and items stay
symbolic inside a shape: a *term* is a sorted tuple of signed numbers of schemas, `2 * n` for schema `n` and `2 * n + 1`
for all other values, and means their intersection. `()` is every value, `NOTHING` none. So intersecting two shapes
never expands their children, and recursive schemas are not a special case.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, lcm
from typing import Any, Final, TypeAlias

from rellm._constraints.json_schema.json_values import Number

Term: TypeAlias = tuple[int, ...]
ANYTHING: Final[Term] = ()
NOTHING: Final[Term] = (-1,)

NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT = "null", "boolean", "number", "string", "array", "object"
TYPES: Final = (NULL, BOOLEAN, NUMBER, STRING, ARRAY, OBJECT)


def both(a: Term, b: Term) -> Term:
    """The values of both terms."""
    if not a or a == b:
        return b
    if not b:
        return a
    if a == NOTHING or b == NOTHING:
        return NOTHING
    joined = set(a) | set(b)
    if any(literal ^ 1 in joined for literal in joined):
        return NOTHING
    return tuple(sorted(joined))


class NumberShape:
    """Numbers between bounds; `integer` is True for whole ones only, False for others only."""

    __slots__ = ("high", "high_open", "integer", "low", "low_open", "multiples", "not_multiples", "values")

    def __init__(
        self,
        low: Number | None = None,
        low_open: bool = False,
        high: Number | None = None,
        high_open: bool = False,
        integer: bool | None = None,
        multiples: tuple[Number, ...] = (),
        not_multiples: tuple[Number, ...] = (),
        values: dict[Number, tuple[str, ...]] | None = None,
    ) -> None:
        self.low, self.low_open, self.high, self.high_open = low, low_open, high, high_open
        self.integer, self.multiples, self.not_multiples = integer, multiples, not_multiples
        # Finitely many numbers, each with its further spellings.
        self.values = values

    @property
    def is_free(self) -> bool:
        """Whether every number is in it, or every whole one."""
        return (
            self.low is None
            and self.high is None
            and self.integer is not False
            and not self.multiples
            and not self.not_multiples
            and self.values is None
        )

    def holds(self, number: Number) -> bool:
        """Whether the number satisfies all fields but `values`."""
        if self.low is not None and (number < self.low or (self.low_open and number == self.low)):
            return False
        if self.high is not None and (number > self.high or (self.high_open and number == self.high)):
            return False
        if self.integer is not None and isinstance(number, int) is not self.integer:
            return False
        if any(Fraction(number) % multiple for multiple in self.multiples):
            return False
        return all(Fraction(number) % multiple for multiple in self.not_multiples)

    def meet(self, other: NumberShape) -> NumberShape | None:
        """The numbers of both; None if there are none."""
        if self.integer is not None and other.integer is not None and self.integer is not other.integer:
            return None
        low, low_open = self.low, self.low_open
        if other.low is not None and (low is None or other.low > low or (other.low == low and other.low_open)):
            low, low_open = other.low, other.low_open
        high, high_open = self.high, self.high_open
        if other.high is not None and (high is None or other.high < high or (other.high == high and other.high_open)):
            high, high_open = other.high, other.high_open
        met = NumberShape(
            low,
            low_open,
            high,
            high_open,
            other.integer if self.integer is None else self.integer,
            tuple(dict.fromkeys(self.multiples + other.multiples)),
            tuple(dict.fromkeys(self.not_multiples + other.not_multiples)),
        )
        if self.values is not None or other.values is not None:
            first, second = self.values, other.values
            if first is None:
                first, second = second, first
            assert first is not None
            met.values = {n: s for n, s in first.items() if met.holds(n) and (second is None or n in second)}
        return None if met.is_empty() else met

    def is_empty(self) -> bool:
        """Whether it is obviously empty; False if that is not clear."""
        if self.values is not None:
            return not self.values
        if any(not Fraction(m) % n for m in self.multiples for n in self.not_multiples):
            return True
        if self.integer is False and any(isinstance(m, int) for m in self.multiples):
            return True
        if self.integer is True and 1 in self.not_multiples:
            return True
        low, high = self.low, self.high
        if low is None or high is None:
            return False
        if self.integer:
            first = floor(low) + 1 if self.low_open else ceil(low)
            last = ceil(high) - 1 if self.high_open else floor(high)
            return first > last
        return low > high or (low == high and (self.low_open or self.high_open or self.integer is False))

    def complement(self) -> list[NumberShape]:
        """All other numbers."""
        others = []
        if self.values is not None:
            numbers = sorted(self.values)
            for low, high in pairwise([None, *numbers, None]):
                others.append(NumberShape(low, low is not None, high, high is not None))
            return others
        if self.low is not None:
            others.append(NumberShape(high=self.low, high_open=not self.low_open))
        if self.high is not None:
            others.append(NumberShape(low=self.high, low_open=not self.high_open))
        if self.integer is not None:
            others.append(NumberShape(integer=not self.integer))
        others += [NumberShape(not_multiples=(multiple,)) for multiple in self.multiples]
        others += [NumberShape(multiples=(multiple,)) for multiple in self.not_multiples]
        return others

    def common_multiple(self) -> Number | None:
        """The number that all members are multiples of."""
        if not self.multiples:
            return None
        common = Fraction(self.multiples[0])
        for multiple in self.multiples[1:]:
            other = Fraction(multiple)
            common = Fraction(
                lcm(common.numerator * other.denominator, other.numerator * common.denominator),
                common.denominator * other.denominator,
            )
        return common.numerator if common.denominator == 1 else common


class StringShape:
    """Strings between lengths, in all of `patterns` and `formats`, in none of `excluded`."""

    __slots__ = ("excluded", "formats", "high", "low", "patterns", "values")

    def __init__(
        self,
        low: int = 0,
        high: int | None = None,
        patterns: tuple[str, ...] = (),
        formats: tuple[str, ...] = (),
        values: frozenset[str] | None = None,
        excluded: tuple[StringShape, ...] = (),
    ) -> None:
        self.low, self.high, self.patterns, self.formats = low, high, patterns, formats
        self.values, self.excluded = values, excluded

    @property
    def is_compared(self) -> bool:
        """Whether it restricts more than the length of a string."""
        return bool(self.patterns or self.formats or self.values is not None or self.excluded)

    def meet(self, other: StringShape) -> StringShape | None:
        """The strings of both; None if there are none."""
        low = max(self.low, other.low)
        high = self.high if other.high is None else other.high if self.high is None else min(self.high, other.high)
        if high is not None and low > high:
            return None
        excluded = self.excluded + tuple(shape for shape in other.excluded if shape not in self.excluded)
        values = self.values
        if other.values is not None:
            values = other.values if values is None else values & other.values
        if values is not None:
            values = frozenset(v for v in values if low <= len(v) and (high is None or len(v) <= high))
            for shape in excluded:
                if shape.values is not None and not (shape.patterns or shape.formats or shape.excluded):
                    values -= shape.values
                elif not shape.is_compared:
                    values = frozenset(v for v in values if not shape.holds_length(len(v)))
            if not values:
                return None
        met = StringShape(
            low,
            high,
            tuple(dict.fromkeys(self.patterns + other.patterns)),
            tuple(dict.fromkeys(self.formats + other.formats)),
            values,
            excluded,
        )
        return None if any(met.is_within(shape) for shape in excluded) else met

    def holds_length(self, length: int) -> bool:
        """Whether a string of this length may be in it."""
        return self.low <= length and (self.high is None or length <= self.high)

    def is_within(self, other: StringShape) -> bool:
        """Whether it is obviously a subset of `other`; False if that is not clear."""
        return (
            self.low >= other.low
            and (other.high is None or (self.high is not None and self.high <= other.high))
            and set(other.patterns) <= set(self.patterns)
            and set(other.formats) <= set(self.formats)
            and (other.values is None or (self.values is not None and self.values <= other.values))
            and all(any(mine is its for mine in self.excluded) for its in other.excluded)
        )

    def complement(self) -> list[StringShape]:
        """All other strings."""
        if self.is_compared:
            return [StringShape(excluded=(self,))]
        others = [StringShape(high=self.low - 1)] if self.low else []
        return others + ([StringShape(low=self.high + 1)] if self.high is not None else [])


class Layer:
    """The terms of one schema for the members of an object, or for the items of an array.

    Objects: `named` has the terms of keys, `atoms` those of keys in a language (a pattern that is searched for, or a
    term that the key must be in), `rest` that of all other keys. Arrays: `named` is the tuple of the first items'
    terms.
    """

    __slots__ = ("atoms", "evaluates", "evaluates_rest", "named", "rest")

    def __init__(
        self,
        named: Any,
        rest: Term = ANYTHING,
        atoms: tuple[tuple[str | Term, Term], ...] = (),
        evaluates: bool = False,
        evaluates_rest: bool = False,
    ) -> None:
        self.named, self.rest, self.atoms = named, rest, atoms
        self.evaluates, self.evaluates_rest = evaluates, evaluates_rest


class Contained:
    """Bounds on the number of items, from an index on, that are in a term."""

    __slots__ = ("evaluates", "high", "low", "start", "term")

    def __init__(self, term: Term, low: int, high: int | None = None, start: int = 0, evaluates: bool = False) -> None:
        self.term, self.low, self.high, self.start, self.evaluates = term, low, high, start, evaluates


class ArrayShape:
    """Arrays between lengths whose items satisfy all layers and counts."""

    __slots__ = ("contained", "high", "layers", "low", "repeated", "unique")

    def __init__(
        self,
        low: int = 0,
        high: int | None = None,
        layers: tuple[Layer, ...] = (),
        contained: tuple[Contained, ...] = (),
        unique: Any = None,
        repeated: Any = None,
    ) -> None:
        self.low, self.high, self.layers, self.contained = low, high, layers, contained
        self.unique, self.repeated = unique, repeated  # the schema that wants no two equal items, or two at least

    @property
    def is_free(self) -> bool:
        """Whether every array is in it."""
        return not (self.low or self.layers or self.contained or self.unique or self.repeated) and self.high is None

    def meet(self, other: ArrayShape) -> ArrayShape | None:
        """The arrays of both; None if there are none."""
        low = max(self.low, other.low)
        high = self.high if other.high is None else other.high if self.high is None else min(self.high, other.high)
        unique, repeated = self.unique or other.unique, self.repeated or other.repeated
        if (high is not None and low > high) or (unique and repeated):
            return None
        return ArrayShape(low, high, self.layers + other.layers, self.contained + other.contained, unique, repeated)

    def item(self, index: int) -> Term:
        """The term of the item at this index."""
        term = ANYTHING
        for layer in self.layers:
            term = both(term, layer.named[index] if index < len(layer.named) else layer.rest)
        return term

    def prefix_length(self) -> int:
        """The index from which on all items have the same terms."""
        longest = max((len(layer.named) for layer in self.layers), default=0)
        return max(longest, max((counted.start for counted in self.contained), default=0))


class ObjectShape:
    """Objects between numbers of members that satisfy all layers.

    `clauses`: if all keys of the first set are present, one of the second is. `exists`: some key of the atom, or of a
    layer's `rest` if there is no atom, has a value of the term.
    """

    __slots__ = ("clauses", "exists", "high", "layers", "low", "required")

    def __init__(
        self,
        low: int = 0,
        high: int | None = None,
        layers: tuple[Layer, ...] = (),
        required: tuple[str, ...] = (),
        clauses: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (),
        exists: tuple[tuple[Layer, str | Term | None, Term], ...] = (),
    ) -> None:
        self.low, self.high, self.layers, self.required = low, high, layers, required
        self.clauses, self.exists = clauses, exists

    @property
    def is_free(self) -> bool:
        """Whether every object is in it."""
        return not (self.low or self.layers or self.required or self.clauses or self.exists) and self.high is None

    def meet(self, other: ObjectShape) -> ObjectShape | None:
        """The objects of both; None if there are none."""
        low = max(self.low, other.low)
        high = self.high if other.high is None else other.high if self.high is None else min(self.high, other.high)
        if high is not None and low > high:
            return None
        required = self.required
        if other.required:
            required = tuple(dict.fromkeys(required + other.required)) if required else other.required
        return ObjectShape(
            low, high, self.layers + other.layers, required, self.clauses + other.clauses, self.exists + other.exists
        )


FREE_NULL: Final = True
FREE_BOOLEAN: Final = frozenset((True, False))
FREE_NUMBER: Final = NumberShape()
FREE_STRING: Final = StringShape()
FREE_ARRAY: Final = ArrayShape()
FREE_OBJECT: Final = ObjectShape()
FREE: Final[dict[str, Any]] = {
    NULL: FREE_NULL,
    BOOLEAN: FREE_BOOLEAN,
    NUMBER: FREE_NUMBER,
    STRING: FREE_STRING,
    ARRAY: FREE_ARRAY,
    OBJECT: FREE_OBJECT,
}
# By type, the shapes whose union is the schema. A type without shapes is absent.
Expansion: TypeAlias = dict[str, list[Any]]
EVERYTHING: Final[Expansion] = {kind: [shape] for kind, shape in FREE.items()}


def meet(a: Any, b: Any) -> Any:
    """The values of two shapes of one type; None if there are none."""
    if a is b:
        return a
    if a is True or isinstance(a, frozenset):
        return (a & b) or None
    return a if b is FREE.get(_kind(b)) else b if a is FREE.get(_kind(a)) else a.meet(b)


def _kind(shape: Any) -> str:
    return _KINDS[type(shape)]


_KINDS: Final = {NumberShape: NUMBER, StringShape: STRING, ArrayShape: ARRAY, ObjectShape: OBJECT}
