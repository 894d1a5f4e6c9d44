"""The arguments of a tool as a fragment: each value in the single spelling that a chat template renders."""

from __future__ import annotations

import re
from typing import Any, Final

from rellm._constraints import expression
from rellm._constraints.expression import CLASS, ExpressionContext, Fragment, literal, sequence, union
from rellm._constraints.json_schema.constraint import JsonSchema
from rellm._constraints.json_schema.emission import Emission
from rellm._constraints.json_schema.objects import object_fragment
from rellm._constraints.json_schema.shapes import OBJECT, NumberShape, StringShape
from rellm._constraints.json_schema.spelling import SCALAR, JsonSpelling
from rellm._constraints.json_schema.strings import decoded, string_fragment
from rellm._constraints.tool_calls.argument_style import ArgumentStyle
from rellm._constraints.tool_calls.call_format import CallFormat
from rellm._errors import UnsupportedError

# CPython refuses to parse longer whole numbers (its limit is 4,300 digits).
_SPELLING: Final = JsonSpelling("spaced", max_digits=4_000)
_LEAST_DECIMAL: Final = 1e-4  # smaller ones have an exponent when Python writes them


def arguments_fragment(context: ExpressionContext, schema: JsonSchema, layout: CallFormat) -> Fragment:
    """The texts of the objects of a schema, as the arguments of a call.

    Raises:
        UnsupportedError: a key cannot be written in this format.
    """
    return _ArgumentEmission(context, schema, layout).arguments()


class _ArgumentEmission(Emission):
    """Emits values as a template renders them: fixed white space, canonical escapes, canonical numbers."""

    def __init__(self, context: ExpressionContext, schema: JsonSchema, layout: CallFormat) -> None:
        self._style = layout.arguments
        self._call_format = layout
        self._is_outer = False
        self._layouts_of_style = {
            is_outer: _StyleLayout(context, layout, is_outer=is_outer) for is_outer in (True, False)
        }
        super().__init__(
            schema.front,
            context,
            _SPELLING,
            is_ordered=schema.property_order == "declared",
            is_closed=schema.additional == "closed",
        )

    def arguments(self) -> Fragment:
        """The whole arguments."""
        expansion = self.front.expansion(self.front.root_term())
        self._is_outer = True
        try:
            return union([fragment for shape in expansion.get(OBJECT, ()) for fragment in object_fragment(self, shape)])
        finally:
            self._is_outer = False

    @property
    def layout(self) -> Any:
        return self._layouts_of_style[self._is_outer]

    @property
    def opens_object(self) -> Fragment:
        return literal(self.context, self._style.outer[0] if self._is_outer else "{")

    def inner(self, term: Any) -> Fragment:
        was_outer, self._is_outer = self._is_outer, False
        try:
            return super().inner(term)
        finally:
            self._is_outer = was_outer

    def arranged(self, keys: dict[str, None]) -> dict[str, None]:
        return self._style.arranged(keys)

    def key_end(self, key: str) -> str:
        opened, closed = self._style.outer_key if self._is_outer else self._style.key
        if not opened and not re.fullmatch(r"[^\W\d]\w*" if closed == "=" else r"[^{}\[\]:,\s]+", key):
            raise UnsupportedError(
                f"the argument {key!r} cannot be written in the format {self._call_format.name!r}, whose keys stand "
                "without quotes: rename it"
            )
        return self._style.key_text(key, is_outer=self._is_outer)[1]

    def other_keys(self, keys: Fragment) -> Fragment:
        opened, closed = self._style.outer_key if self._is_outer else self._style.key
        if opened:
            return sequence([expression.spelled(keys), literal(self.context, closed)])
        return sequence([expression.intersection([keys, _NAME]), literal(self.context, closed)])

    def word(self, value: bool | None) -> str:
        return self._style.words[2 if value is None else 0 if value else 1]

    def string(self, shape: StringShape) -> Fragment:
        opened, closed = (self._call_format.literal(self.context, text) for text in self._style.string)
        if self._style.escapes:
            if not shape.is_compared:
                return sequence([opened, expression.repeat(_CHARACTER, shape.low, shape.high), closed])
            if self._style.string == ('"', '"'):
                return string_fragment(self.context, shape, self.front.texts)
            body = expression.spelled(decoded(self.context, shape, self.front.texts))
            return sequence([opened, body, closed])
        anything = expression.repeat(SCALAR, 0, None)
        holds_end = sequence([anything, literal(self.context, self._style.string[1]), anything])
        body = decoded(self.context, shape, self.front.texts)
        return sequence([opened, expression.intersection([body, expression.complement(holds_end)]), closed])

    def _number(self, shape: NumberShape) -> Fragment:
        found = super()._number(shape)
        bounds = [abs(float(bound)) for bound in (shape.low, shape.high) if bound]
        if shape.values is not None or any(bound < _LEAST_DECIMAL for bound in bounds):
            return found
        return expression.intersection([found, _NUMBER])


class _StyleLayout:
    """The texts around keys, items and values in a style."""

    is_strict = False

    def __init__(self, context: ExpressionContext, layout: CallFormat, *, is_outer: bool) -> None:
        style: ArgumentStyle = layout.arguments
        opened = (style.outer_key if is_outer else style.key)[0]
        self.first, self.array_first = literal(context, opened), expression.empty()
        self.between, self.array_between = literal(context, style.comma + opened), literal(context, style.comma)
        self.close = literal(context, style.outer[1] if is_outer else "}")
        self.array_close = literal(context, "]")
        self.colon = expression.empty()  # it stands behind each key


def _char(sign: str) -> Fragment:
    return [CLASS, 1, ord(sign), ord(sign)]


_NAME: Final = sequence(
    [[CLASS, 3, 65, 90, 95, 95, 97, 122], expression.repeat([CLASS, 4, 48, 57, 65, 90, 95, 95, 97, 122], 0, None)]
)
# One character of a string as `json.dumps(…, ensure_ascii=False)` writes it.
_CHARACTER: Final = union(
    [
        [CLASS, 4, 32, 33, 35, 91, 93, 0xD7FF, 0xE000, 0x10FFFF],
        sequence(
            [
                _char("\\"),
                union(
                    [
                        [CLASS, 7, 34, 34, 92, 92, 98, 98, 102, 102, 110, 110, 114, 114, 116, 116],
                        sequence(
                            [
                                *map(_char, "u00"),
                                union(
                                    [
                                        sequence([_char("0"), [CLASS, 3, 48, 55, 98, 98, 101, 102]]),
                                        sequence([_char("1"), [CLASS, 2, 48, 57, 97, 102]]),
                                    ]
                                ),
                            ]
                        ),
                    ]
                ),
            ]
        ),
    ]
)
_DIGIT: Final[Fragment] = [CLASS, 1, 48, 57]
_FIRST: Final[Fragment] = [CLASS, 1, 49, 57]


def _digits(low: int, high: int | None) -> Fragment:
    return expression.repeat(_DIGIT, low, high)


def _significant(before: Fragment, most: int) -> Fragment:
    """`before` and a fraction: one whose last digit is not zero, or the single zero of a whole number."""
    return sequence([before, _char("."), union([_char("0"), sequence([_digits(0, most - 1), _FIRST])])])


# The numbers that Python writes without an exponent, with at most 15 significant digits: doubles keep these distinct.
_MANTISSA: Final = sequence([_FIRST, expression.optional(sequence([_char("."), _digits(0, 13), _FIRST]))])
_EXPONENT: Final = union(
    [
        sequence([_char("-"), _char("0"), [CLASS, 1, 53, 57]]),
        sequence([_char("-"), _FIRST, _DIGIT]),
        sequence([_char("+"), _char("1"), [CLASS, 1, 54, 57]]),
        sequence([_char("+"), [CLASS, 1, 50, 57], _DIGIT]),
    ]
)
_FEW_DIGITS: Final = expression.optional(sequence([_digits(0, 13), _FIRST]))
_POSITIVE: Final = union(
    [
        sequence([_FIRST, _digits(0, None)]),
        *(_significant(sequence([_FIRST, _digits(size - 1, size - 1)]), 15 - size) for size in range(1, 15)),
        sequence([_char("0"), _char("."), expression.repeat(_char("0"), 0, 3), _FIRST, _FEW_DIGITS]),
        sequence([_MANTISSA, _char("e"), _EXPONENT]),
    ]
)
_ZERO: Final = sequence([_char("0"), expression.optional(sequence([_char("."), _char("0")]))])
_NUMBER: Final = union(
    [
        _ZERO,
        sequence([_char("-"), _char("0"), _char("."), _char("0")]),
        sequence([expression.optional(_char("-")), _POSITIVE]),
    ]
)
