"""JSON values with the equality of the specification: 1 equals 1.0, and true equals only true."""

from __future__ import annotations

import json
from collections.abc import Hashable
from decimal import Decimal
from fractions import Fraction
from json.encoder import encode_basestring
from typing import Any, TypeAlias

Number: TypeAlias = int | Fraction


def is_number(value: Any) -> bool:
    """Whether this is a number and not a boolean."""
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def exact(value: float | Decimal) -> Number:
    """The exact decimal number of a literal: 0.1 is a tenth. A whole number is an `int`."""
    if isinstance(value, int):
        return value
    fraction = Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return fraction.numerator if fraction.denominator == 1 else fraction


def key_of(value: Any) -> Hashable:
    """A key that is equal exactly for equal JSON values."""
    if isinstance(value, dict):
        return ("object", frozenset((key, key_of(item)) for key, item in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(key_of, value)))
    if is_number(value):
        return ("number", exact(value))
    return (type(value).__name__, value)


def plain_decimal(number: Number) -> str:
    """The digits of a number, without an exponent and without redundant zeros."""
    if isinstance(number, int):
        return str(number)
    digits, scale = scaled(number)
    text = str(abs(digits)).zfill(scale + 1)
    return f"{'-' if digits < 0 else ''}{text[:-scale]}.{text[-scale:]}"


def scaled(number: Number) -> tuple[int, int]:
    """`(m, k)` with `number == m / 10**k` and the least k; k is -1 if no finite decimal equals the number."""
    if isinstance(number, int):
        return number, 0
    rest, twos, fives = number.denominator, 0, 0
    while rest % 2 == 0:
        rest, twos = rest // 2, twos + 1
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest != 1:
        return 0, -1
    scale = max(twos, fives)
    return number.numerator * 10**scale // number.denominator, scale


def text_of(value: Any) -> str:
    """The value as JSON text, characters as they are."""
    if isinstance(value, str):
        return encode_basestring(value)
    return json.dumps(value, ensure_ascii=False)
