"""Combinations of constraints: sequences, alternatives, repetitions, optional, named and budgeted parts.

Each part is a language of its own. If the value depends on the bytes of each part, the parts are marked in the
expression tree, and `parse` reads the marks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Final

from rellm._constraints import expression
from rellm._constraints.base import Constraint, TextConstraint, constraint_from_data, kind_of
from rellm._constraints.choice import Literal
from rellm._constraints.conversion import as_part
from rellm._constraints.expression import ExpressionContext, Fragment
from rellm._constraints.pieces import Pieces
from rellm._constraints.report import Report, ReportEntry
from rellm._errors import IncompleteError, LimitExceededError, PatternError, UnsatisfiableError

# Functions recurse over constraints: at this depth they stay far below Python's recursion limit.
MAX_DEPTH: Final = 150
MAX_COUNT: Final = 2**31 - 2


class _Combined(Constraint):
    """Base class of constraints with parts. It bounds the depth of nesting, so that no recursion overflows."""

    __slots__ = ()

    @property
    def children(self) -> tuple[Constraint, ...]:
        """The parts, in the order of the text."""
        raise NotImplementedError

    def parse(self, pieces: Any) -> Any:
        pieces = Pieces.of(pieces)
        if is_text(self):
            return pieces.text
        return self._value(pieces if pieces.is_marked else marked_pieces(self, pieces))

    def _value(self, pieces: Pieces) -> Any:
        raise NotImplementedError

    def report(self) -> Report:
        return Report(
            entry for i, part in enumerate(self.children) for entry in part.report().under(f"/{self._pointer(i)}")
        )

    def _pointer(self, index: int) -> str:
        return f"parts/{index}"


class _OfOneItem(_Combined):
    """A combination of a single constraint."""

    __slots__ = ()

    item: Constraint

    @property
    def children(self) -> tuple[Constraint, ...]:
        return (self.item,)

    def _pointer(self, index: int) -> str:
        return "item"


class _Annotated(_OfOneItem):
    """A constraint with an annotation that changes neither its texts nor its values."""

    __slots__ = ()

    @property
    def library_pattern(self) -> Any:
        """The library pattern of the constraint; None if it is not a pattern."""
        return getattr(self.item, "library_pattern", None)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return self.item.to_expression(context)

    def parse(self, pieces: Any) -> Any:
        return self.item.parse(pieces)


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Sequence(_Combined):
    """Parts one after the other; also written `a + b`.

    Its value is a dict of its named parts, or its text if no part has a name. Named parts inside unnamed sequences,
    optional parts and alternatives belong to the dict too; parts that were not written are None.

    Args:
        *parts: constraints, compiled patterns, and strings, which are exactly that text.

    Raises:
        PatternError: two parts have one name.
        UnsupportedError: a part is a pattern for the search engine.
        TypeError: a part is something else.
    """

    kind: ClassVar[str] = "sequence"

    parts: tuple[Constraint, ...]
    _depth: int = field(compare=False)

    def __init__(self, *parts: Any) -> None:
        _set_parts(self, parts)
        seen: set[str] = set()
        for name in (name for part in self.parts for name in names_of(part)):
            if name in seen:
                raise PatternError(f"two parts of a Sequence are named {name!r}: its value could hold only one of them")
            seen.add(name)

    @property
    def children(self) -> tuple[Constraint, ...]:
        return self.parts

    def to_expression(self, context: ExpressionContext) -> Fragment:
        fragments = []
        for i, part in enumerate(self.parts):
            build = partial(part.to_expression, context)
            fragments.append(context.marked(i, build) if names_of(part) else context.unmarked(build))
        return expression.sequence(fragments)

    def _value(self, pieces: Pieces) -> Any:
        values: dict[str, Any] = dict.fromkeys(names_of(self))
        _collect(self, pieces, values)
        return values

    def _to_data(self) -> dict[str, Any]:
        return {"parts": [part.to_data() for part in self.parts]}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Sequence:
        return Sequence(*map(constraint_from_data, data.pop("parts")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Sequence, self.parts)

    def __repr__(self) -> str:
        return f"Sequence({', '.join(map(repr, self.parts))})"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class AnyOf(_Combined):
    """One of several constraints; also written `a | b`.

    Its value is that of the first option that matches the text.

    Args:
        *options: constraints, compiled patterns, and strings, which are exactly that text.

    Raises:
        UnsatisfiableError: there are no options.
        UnsupportedError: one is a pattern for the search engine.
        TypeError: one is something else.
    """

    kind: ClassVar[str] = "any_of"

    options: tuple[Constraint, ...]
    _depth: int = field(compare=False)

    def __init__(self, *options: Any) -> None:
        if not options:
            raise UnsatisfiableError("AnyOf() has nothing to choose from: give it at least one constraint")
        _set_parts(self, options)

    @property
    def children(self) -> tuple[Constraint, ...]:
        return self.options

    def to_expression(self, context: ExpressionContext) -> Fragment:
        builds = [partial(option.to_expression, context) for option in self.options]
        if is_text(self) and not names_of(self):
            return expression.union(map(context.unmarked, builds))
        return expression.union([context.marked(i, build) for i, build in enumerate(builds)])

    @property
    def library_pattern(self) -> Any:
        """The pattern for `Completion.match`: the first of the patterns among the options that matches."""
        return _FirstMatch(tuple(filter(None, (getattr(option, "library_pattern", None) for option in self.options))))

    def _value(self, pieces: Pieces) -> Any:
        ((index, part),) = pieces.parts
        return self.options[index].parse(part)

    def _pointer(self, index: int) -> str:
        return f"options/{index}"

    def _to_data(self) -> dict[str, Any]:
        return {"options": [option.to_data() for option in self.options]}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> AnyOf:
        return AnyOf(*map(constraint_from_data, data.pop("options")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (AnyOf, self.options)

    def __repr__(self) -> str:
        return f"AnyOf({', '.join(map(repr, self.options))})"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Repeat(_Combined):
    """A constraint repeated; also written `a.repeat(min, max, separator)`. Its value is the list of the items' values.

    Args:
        item: the constraint to repeat; a `str` is exactly that text.
        min: the least number of items.
        max: the greatest number of items; None: unbounded.
        separator: the constraint between two items.

    Raises:
        PatternError: `min` is more than `max`, or one of them is below zero or beyond 2,147,483,646.
        UnsupportedError: the item or the separator is a pattern for the search engine.
        TypeError: an argument is of another type.
    """

    kind: ClassVar[str] = "repeat"

    item: Constraint
    min: int
    max: int | None
    separator: Constraint | None
    _depth: int = field(compare=False)

    def __init__(self, item: Any, min: int = 0, max: int | None = None, separator: Any = None) -> None:
        item = as_part(item, "the item of Repeat")
        if separator is not None:
            separator = as_part(separator, "the separator of Repeat")
        _check_counts(min, max)
        values = (item, min, max, separator, _depth_over((item,) if separator is None else (item, separator)))
        for name, value in zip(("item", "min", "max", "separator", "_depth"), values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def children(self) -> tuple[Constraint, ...]:
        return (self.item,) if self.separator is None else (self.item, self.separator)

    def to_expression(self, context: ExpressionContext) -> Fragment:
        if self.max == 0:
            return expression.empty()
        if self.separator is None:
            return expression.repeat(context.marked(0, partial(self.item.to_expression, context)), self.min, self.max)
        item = partial(self.item.to_expression, context)
        first = context.marked(0, item)
        following = expression.sequence(
            [context.unmarked(partial(self.separator.to_expression, context)), context.marked(0, item)]
        )
        least = self.min - 1 if self.min else 0
        most = None if self.max is None else self.max - 1
        items = expression.sequence([first, expression.repeat(following, least, most)])
        return items if self.min else expression.optional(items)

    def report(self) -> Report:
        entries = list(_Combined.report(self))
        if self.max is None and isinstance(self.item, Literal) and self.item.text.isspace():
            why = f"{self.item.text!r} may be repeated without end, and models get caught in it"
            entries.append(ReportEntry("", "whitespace", "suspicious", why, "give it a max"))
        return Report(entries)

    def _value(self, pieces: Pieces) -> Any:
        return [self.item.parse(part) for part in pieces.labelled(0)]

    def _pointer(self, index: int) -> str:
        return ("item", "separator")[index]

    def _to_data(self) -> dict[str, Any]:
        data = {"item": self.item.to_data(), "min": self.min, "max": self.max}
        return data if self.separator is None else {**data, "separator": self.separator.to_data()}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Repeat:
        separator = data.pop("separator", None)
        if separator is not None:
            separator = constraint_from_data(separator)
        return Repeat(constraint_from_data(data.pop("item")), separator=separator, **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Repeat, (self.item, self.min, self.max, self.separator))

    def __repr__(self) -> str:
        separator = "" if self.separator is None else f", separator={self.separator!r}"
        return f"Repeat({self.item!r}, {self.min}, {self.max}{separator})"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Maybe(_OfOneItem):
    """A constraint or the empty text; also written `a.optional()`. Its value is that of the constraint, or None.

    Args:
        item: the optional constraint; a `str` is exactly that text.

    Raises:
        UnsupportedError: it is a pattern for the search engine.
        TypeError: it is no constraint.
    """

    kind: ClassVar[str] = "maybe"

    item: Constraint
    _depth: int = field(compare=False)

    def __init__(self, item: Any) -> None:
        object.__setattr__(self, "item", as_part(item, "the item of Maybe"))
        object.__setattr__(self, "_depth", _depth_over((self.item,)))

    def to_expression(self, context: ExpressionContext) -> Fragment:
        return expression.optional(context.marked(0, partial(self.item.to_expression, context)))

    def _value(self, pieces: Pieces) -> Any:
        written = pieces.labelled(0)
        return self.item.parse(written[0]) if written else None

    def _to_data(self) -> dict[str, Any]:
        return {"item": self.item.to_data()}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Maybe:
        return Maybe(constraint_from_data(data.pop("item")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Maybe, (self.item,))

    def __repr__(self) -> str:
        return f"Maybe({self.item!r})"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Named(_Annotated):
    """A constraint with a name; also written `a.named("part")`.

    Its value is that of the constraint; the dict of the enclosing sequence has it under the name.

    Args:
        item: the constraint; a `str` is exactly that text.
        name: its name.

    Raises:
        UnsupportedError: it is a pattern for the search engine.
        TypeError: it is no constraint, or the name is no string.
        PatternError: the name is empty.
    """

    kind: ClassVar[str] = "named"

    item: Constraint
    name: str
    _depth: int = field(compare=False)

    def __init__(self, item: Any, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a part is a string, not {kind_of(name)}")
        if not name:
            raise PatternError("the name of a part is empty: give it one, or leave named() out")
        object.__setattr__(self, "item", as_part(item, f"the part named {name!r}"))
        object.__setattr__(self, "name", str(name))
        object.__setattr__(self, "_depth", _depth_over((self.item,)))

    def _to_data(self) -> dict[str, Any]:
        return {"item": self.item.to_data(), "name": self.name}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Named:
        return Named(constraint_from_data(data.pop("item")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Named, (self.item, self.name))

    def __repr__(self) -> str:
        return f"Named({self.item!r}, {self.name!r})"


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Within(_Annotated):
    """A constraint with its own token budget; also written `a.within(max_tokens=n)`.

    Near the end of the budget the mask allows only tokens after which the part can end in time. A token counts for
    every part that has bytes of it, so a marker at the end counts too. Its value is that of the constraint.

    Args:
        item: the constraint; a `str` is exactly that text.
        max_tokens: the most tokens of the part.

    Raises:
        PatternError: `max_tokens` is less than 1.
        UnsupportedError: the item is a pattern for the search engine.
        TypeError: an argument is of another type.
    """

    kind: ClassVar[str] = "within"

    item: Constraint
    max_tokens: int
    _depth: int = field(compare=False)

    def __init__(self, item: Any, max_tokens: int) -> None:
        if isinstance(max_tokens, bool) or not isinstance(max_tokens, int):
            raise TypeError(f"max_tokens is a whole number, not {kind_of(max_tokens)}")
        if max_tokens < 1:
            raise PatternError(f"max_tokens is {max_tokens}: a part takes at least one token")
        object.__setattr__(self, "item", as_part(item, "the item of Within"))
        object.__setattr__(self, "max_tokens", max_tokens)
        object.__setattr__(self, "_depth", _depth_over((self.item,)))

    def _to_data(self) -> dict[str, Any]:
        return {"item": self.item.to_data(), "max_tokens": self.max_tokens}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> Within:
        return Within(constraint_from_data(data.pop("item")), **data)

    def __reduce__(self) -> tuple[Any, ...]:
        return (Within, (self.item, self.max_tokens))

    def __repr__(self) -> str:
        return f"Within({self.item!r}, max_tokens={self.max_tokens})"


@dataclass(frozen=True, slots=True)
class _FirstMatch:
    patterns: tuple[Any, ...]

    def fullmatch(self, text: str) -> Any:
        """The match of the first pattern that matches in full, or None."""
        return next((found for pattern in self.patterns if (found := pattern.fullmatch(text)) is not None), None)


def joined(first: Any, second: Any) -> Sequence:
    """`first + second`: sequences are flattened into one."""
    return Sequence(*_parts(first, Sequence), *_parts(second, Sequence))


def alternatives(first: Any, second: Any) -> AnyOf:
    """`first | second`: alternatives are flattened into one."""
    return AnyOf(*_parts(first, AnyOf), *_parts(second, AnyOf))


def has_budget(constraint: Constraint) -> bool:
    """Whether a part of it has its own token budget."""
    if isinstance(constraint, Within):
        return True
    children = getattr(constraint, "children", ())
    return any(map(has_budget, children))


def with_parts(constraint: Constraint, changed: Callable[[Constraint], Constraint]) -> Constraint:
    """The constraint with `changed` applied to all its parts, recursively."""
    match constraint:
        case Sequence():
            return Sequence(*(with_parts(part, changed) for part in constraint.parts))
        case AnyOf():
            return AnyOf(*(with_parts(part, changed) for part in constraint.options))
        case Repeat():
            separator = None if constraint.separator is None else with_parts(constraint.separator, changed)
            return Repeat(with_parts(constraint.item, changed), constraint.min, constraint.max, separator)
        case Maybe():
            return Maybe(with_parts(constraint.item, changed))
        case Named():
            return Named(with_parts(constraint.item, changed), constraint.name)
        case Within():
            return Within(with_parts(constraint.item, changed), constraint.max_tokens)
    return changed(constraint)


def names_of(constraint: Constraint) -> tuple[str, ...]:
    """The names that this contributes to the dict of an enclosing sequence, without duplicates."""
    if isinstance(constraint, Named):
        return (constraint.name,)
    if isinstance(constraint, (Sequence, AnyOf, Maybe, Within)):
        return tuple(dict.fromkeys(name for part in constraint.children for name in names_of(part)))
    return ()


def is_text(constraint: Constraint) -> bool:
    """Whether the value is always the text."""
    if isinstance(constraint, Sequence):
        return not names_of(constraint)
    if isinstance(constraint, (AnyOf, Named, Within)):
        return all(map(is_text, constraint.children))
    return type(constraint).parse in (Constraint.parse, TextConstraint.parse)


def _collect(constraint: Constraint, pieces: Pieces, values: dict[str, Any]) -> None:
    """Adds the values of the named parts to the dict of the enclosing sequence."""
    if isinstance(constraint, Named):
        values[constraint.name] = constraint.parse(pieces)
    elif isinstance(constraint, Within):
        _collect(constraint.item, pieces, values)
    elif isinstance(constraint, Sequence):
        for index, part in pieces.parts:
            _collect(constraint.parts[index], part, values)
    elif isinstance(constraint, Maybe):
        for part in pieces.labelled(0):
            _collect(constraint.item, part, values)
    elif isinstance(constraint, AnyOf):
        for index, part in pieces.parts:
            _collect(constraint.options[index], part, values)


def marked_pieces(constraint: Constraint, pieces: Pieces) -> Pieces:
    """The pieces of a text that does not come from a matcher, with their parts marked.

    Raises:
        TokenRejectedError: no match begins with this text.
        IncompleteError: the text is only a prefix of a match.
    """
    from rellm._engines.compile import over_single_bytes

    compiled = over_single_bytes(constraint)
    matcher = compiled.matcher()
    matcher.advance_bytes(pieces.data)
    if not matcher.is_accepting:
        raise IncompleteError(f"{pieces.text!r:.80} is not a whole text of {constraint!r:.200}", text=pieces.text)
    return compiled.pieces(matcher)


def _set_parts(constraint: Sequence | AnyOf, parts: tuple[Any, ...]) -> None:
    name = type(constraint).__name__
    if len(parts) == 1 and isinstance(parts[0], (list, tuple)):
        raise TypeError(f"{name} takes its parts one by one, not in a {type(parts[0]).__name__}: {name}(*parts)")
    found = tuple(as_part(part, f"part {i} of {name}") for i, part in enumerate(parts, start=1))
    object.__setattr__(constraint, "parts" if isinstance(constraint, Sequence) else "options", found)
    object.__setattr__(constraint, "_depth", _depth_over(found))


def _parts(value: Any, kind: type[Sequence] | type[AnyOf]) -> Iterator[Any]:
    if isinstance(value, kind):
        yield from value.children
    else:
        yield value


def _depth_over(parts: tuple[Constraint, ...]) -> int:
    depth = 1 + max((getattr(part, "_depth", 0) for part in parts), default=0)
    if depth > MAX_DEPTH:
        raise LimitExceededError(
            f"constraints are nested more than {MAX_DEPTH} deep: put parts that follow each other into one Sequence, "
            "alternatives into one AnyOf",
            limit="nesting",
            allowed=MAX_DEPTH,
        )
    return depth


def _check_counts(least: Any, most: Any) -> None:
    for name, count in (("min", least), ("max", most)):
        if name == "max" and count is None:
            continue
        if isinstance(count, bool) or not isinstance(count, int):
            raise TypeError(f"{name} of Repeat is a whole number, not {kind_of(count)}")
        if not 0 <= count <= MAX_COUNT:
            raise PatternError(f"{name} of Repeat is between 0 and {MAX_COUNT}, not {count}")
    if most is not None and least > most:
        raise PatternError(f"Repeat would need at least {least} and at most {most} items: min must not be above max")
