"""Fragments of JSON numbers: bounds by their digits, whole numbers, multiples.

All fragments are cached: they refer to no strings of a context, so all schemas share them.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor, gcd
from typing import Final, TypeAlias

from rellm._constraints.expression import (
    AUTOMATON,
    CLASS,
    Fragment,
    complement,
    intersection,
    optional,
    repeat,
    sequence,
    union,
)
from rellm._constraints.json_schema.json_values import Number, plain_decimal, scaled
from rellm._constraints.json_schema.shapes import NumberShape

MAX_STATES: Final = 10_000
_EMPTY: Final[Fragment] = [0]
_NOTHING: Final[Fragment] = [1]


class TooManyStatesError(Exception):
    """A multiple needs an automaton of more than `MAX_STATES` states."""


def _digit(low: int, high: int) -> Fragment:
    return [CLASS, 1, 48 + low, 48 + high]


def _char(text: str) -> Fragment:
    return [CLASS, 1, ord(text), ord(text)]


_ANY_DIGIT: Final = _digit(0, 9)
_DIGITS: Final = repeat(_ANY_DIGIT, 1, None)
_MINUS: Final = _char("-")
_POINT: Final = _char(".")
_ZEROS: Final = optional(sequence([_POINT, repeat(_digit(0, 0), 1, None)]))
_FRACTION: Final = optional(sequence([_POINT, _DIGITS]))
_NONZERO: Final = sequence([repeat(_digit(0, 0), 0, None), _digit(1, 9), repeat(_ANY_DIGIT, 0, None)])
_SIGN: Final = optional([CLASS, 2, 43, 43, 45, 45])
_E: Final[Fragment] = [CLASS, 2, 69, 69, 101, 101]


# With a bound on digits, a number fits a double: at most so many digits before its point, two in its exponent.
_DOUBLE_DIGITS: Final = 200


@lru_cache(maxsize=64)
def free_number(max_digits: int | None) -> Fragment:
    """Any number, with at most `max_digits` digits in each of its parts."""
    behind = repeat(_ANY_DIGIT, 1, max_digits)
    exponent = optional(
        sequence([_E, _SIGN, repeat(_ANY_DIGIT, 1, None if max_digits is None else min(max_digits, 2))])
    )
    return sequence([_whole(_before_point(max_digits)), optional(sequence([_POINT, behind])), exponent])


def _before_point(max_digits: int | None) -> int | None:
    return None if max_digits is None else min(max_digits, _DOUBLE_DIGITS)


@lru_cache(maxsize=64)
def free_integer(max_digits: int | None, any_spelling: bool) -> Fragment:
    """Any whole number; `any_spelling`: also as 1.0 and 1e2."""
    if not any_spelling:
        return _whole(max_digits)
    return sequence([_whole(max_digits), _ZEROS, optional(sequence([_E, optional(_char("+")), _DIGITS]))])


def _whole(max_digits: int | None) -> Fragment:
    more = repeat(_ANY_DIGIT, 0, None if max_digits is None else max_digits - 1)
    return sequence([optional(_MINUS), union([_digit(0, 0), sequence([_digit(1, 9), more])])])


def number_fragment(shape: NumberShape, *, any_spelling: bool, max_digits: int | None) -> Fragment:
    """The spellings of the numbers of a shape.

    Raises:
        TooManyStatesError: its multiples need too large an automaton.
    """
    if shape.values is not None:
        return _values(shape, any_spelling)
    if shape.is_free:
        return free_integer(max_digits, any_spelling) if shape.integer else free_number(max_digits)
    whole = shape.integer is True
    parts = []
    bounds = (shape.low, shape.low_open, shape.high, shape.high_open)
    if whole:
        parts.append(_integers(*bounds, any_spelling, max_digits))
    elif shape.low is not None or shape.high is not None or shape.integer is None:
        parts.append(_decimals(*bounds, _before_point(max_digits)))
    if shape.integer is False:
        parts.append(sequence([_whole(_before_point(max_digits)), _POINT, _NONZERO]))
    multiple = shape.common_multiple()
    if multiple is not None:
        parts.append(_multiples(multiple))
    parts += [complement(_multiples(multiple)) for multiple in shape.not_multiples]
    return intersection(parts)


def _values(shape: NumberShape, any_spelling: bool) -> Fragment:
    assert shape.values is not None
    ways = []
    for number, written in shape.values.items():
        texts = dict.fromkeys((plain_decimal(number), *(() if shape.integer and not any_spelling else written)))
        for text in texts:
            spelled = sequence(map(_char, text))
            if any_spelling and text.removeprefix("-").isdigit():
                spelled = sequence([spelled, _ZEROS])
            ways.append(spelled)
    return union(ways)


@lru_cache(maxsize=4096)
def _integers(
    low: Number | None, low_open: bool, high: Number | None, high_open: bool, any_spelling: bool, max_digits: int | None
) -> Fragment:
    first = None if low is None else floor(low) + 1 if low_open else ceil(low)
    last = None if high is None else ceil(high) - 1 if high_open else floor(high)
    if first is None and last is None:
        return sequence([_whole(max_digits), _ZEROS]) if any_spelling else _whole(max_digits)
    ways = []
    if first is None or first < 0:
        smallest = 1 if last is None or last >= 0 else -last
        ways.append(sequence([_MINUS, _naturals(smallest, None if first is None else -first, max_digits)]))
    if last is None or last >= 0:
        ways.append(_naturals(max(first or 0, 0), last, max_digits))
    found = union(ways)
    return sequence([found, _ZEROS]) if any_spelling else found


def _naturals(low: int, high: int | None, max_digits: int | None = None) -> Fragment:
    """Natural numbers without leading zeros."""
    if high is not None and low > high:
        return _NOTHING
    ways: list[Fragment] = []
    length = len(str(low))
    if low == 0:
        ways.append(_digit(0, 0))
        low = 1
    if high is None:
        most = None if max_digits is None else max(max_digits - 1, length)
        if low == 10 ** (length - 1):
            ways.append(sequence([_digit(1, 9), repeat(_ANY_DIGIT, length - 1, most)]))
            return union(ways)
        ways.append(sequence([_digit(1, 9), repeat(_ANY_DIGIT, length, most)]))
        high = 10**length - 1
    full: list[int] = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        first, last = max(low, 10 ** (digits - 1)), min(high, 10**digits - 1)
        if first > last:
            continue
        if first == 10 ** (digits - 1) and last == 10**digits - 1:
            full.append(digits)
        else:
            ways.append(_between(str(first), str(last)))
    if full:
        ways.append(sequence([_digit(1, 9), repeat(_ANY_DIGIT, full[0] - 1, full[-1] - 1)]))
    return union(ways)


def _between(low: str, high: str) -> Fragment:
    """The strings of digits between two bounds of the same length."""
    if not low:
        return _EMPTY
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if first == last:
        return sequence([_digit(first, first), _between(low[1:], high[1:])])
    ways = []
    if low[1:].strip("0"):
        ways.append(sequence([_digit(first, first), _between(low[1:], "9" * rest)]))
        first += 1
    upper = None
    if high[1:].strip("9"):
        upper = sequence([_digit(last, last), _between("0" * rest, high[1:])])
        last -= 1
    if first <= last:
        ways.append(sequence([_digit(first, last), repeat(_ANY_DIGIT, rest, rest)]))
    return union([*ways, upper] if upper else ways)


# --- decimals ---
# Digits after the point: whether they may be absent, and the non-empty strings of them.
_Tail: TypeAlias = tuple[bool, Fragment]
_NO_TAIL: Final[_Tail] = (False, _NOTHING)


@lru_cache(maxsize=4096)
def _decimals(
    low: Number | None, low_open: bool, high: Number | None, high_open: bool, max_digits: int | None
) -> Fragment:
    if low is None and high is None:
        return sequence([_whole(max_digits), _FRACTION])
    ways = []
    if high is None or high > 0 or (high == 0 and not high_open):
        if low is None or low < 0:
            ways.append(_magnitudes(0, False, high, high_open, max_digits))
        else:
            ways.append(_magnitudes(low, low_open, high, high_open, max_digits))
    if low is None or low < 0:
        most = None if low is None else -low
        least, least_open = (0, True) if high is None or high >= 0 else (-high, high_open)
        ways.append(sequence([_MINUS, _magnitudes(least, least_open, most, low_open, max_digits)]))
    return union(ways)


def _magnitudes(low: Number, low_open: bool, high: Number | None, high_open: bool, max_digits: int | None) -> Fragment:
    """Numbers without a sign between two bounds."""
    least, least_digits = _parts(low)
    from_least = _at_least(least_digits, low_open)
    if high is None:
        above = sequence([_naturals(least + 1, None, max_digits), _FRACTION])
        return union([sequence([_naturals(least, least), _tail(from_least)]), above])
    most, most_digits = _parts(high)
    if least > most:
        return _NOTHING
    if least == most:
        tail = _tail_between(least_digits, low_open, most_digits, high_open)
        return sequence([_naturals(least, least), _tail(tail)])
    return union(
        [
            sequence([_naturals(least, least), _tail(from_least)]),
            sequence([_naturals(least + 1, most - 1), _FRACTION]),
            sequence([_naturals(most, most), _tail(_at_most(most_digits, high_open))]),
        ]
    )


def _parts(number: Number) -> tuple[int, str]:
    """The whole part, and the digits after the point."""
    before, _, behind = plain_decimal(number).partition(".")
    return int(before), behind


def _tail(tail: _Tail) -> Fragment:
    can_be_empty, digits = tail
    written = sequence([_POINT, digits])
    if written == _NOTHING:
        return _EMPTY if can_be_empty else _NOTHING
    return optional(written) if can_be_empty else written


def _after(digit: Fragment, tail: _Tail) -> Fragment:
    can_be_empty, digits = tail
    more = sequence([digit, digits])
    return union([digit, more]) if can_be_empty else more


def _at_least(digits: str, is_open: bool) -> _Tail:
    if not digits:
        return (False, _NONZERO) if is_open else (True, _DIGITS)
    first = int(digits[0])
    ways = [_after(_digit(first, first), _at_least(digits[1:], is_open))]
    if first < 9:
        ways.append(_after(_digit(first + 1, 9), (True, _DIGITS)))
    return False, union(ways)


def _at_most(digits: str, is_open: bool) -> _Tail:
    if not digits:
        return _NO_TAIL if is_open else (True, repeat(_digit(0, 0), 1, None))
    first = int(digits[0])
    ways = [_after(_digit(first, first), _at_most(digits[1:], is_open))]
    if first > 0:
        ways.append(_after(_digit(0, first - 1), (True, _DIGITS)))
    return True, union(ways)


def _tail_between(low: str, low_open: bool, high: str, high_open: bool) -> _Tail:
    can_be_empty = not low and not low_open and bool(high or not high_open)
    if not low and not high:
        return (can_be_empty, repeat(_digit(0, 0), 1, None)) if can_be_empty else _NO_TAIL
    first, last = int(low[:1] or "0"), int(high[:1] or "0")
    if first > last:
        return _NO_TAIL
    if first == last:
        tail = _tail_between(low[1:], low_open, high[1:], high_open)
        return can_be_empty, _after(_digit(first, first), tail)
    ways = [
        _after(_digit(first, first), _at_least(low[1:], low_open)),
        _after(_digit(last, last), _at_most(high[1:], high_open)),
    ]
    if first + 1 < last:
        ways.append(_after(_digit(first + 1, last - 1), (True, _DIGITS)))
    return can_be_empty, union(ways)


# --- multiples ---


@lru_cache(maxsize=512)
def _multiples(multiple: Number) -> Fragment:
    """The automaton of all decimals without an exponent that are multiples of this number."""
    factor, scale = scaled(multiple)
    if scale < 0:
        return _multiples(Fraction(multiple).numerator)  # no finite decimal divides it otherwise
    zeros = 0
    while factor % 10 == 0:
        factor, zeros = factor // 10, zeros + 1
    if zeros and gcd(factor, 10) != 1:
        factor, zeros = factor * 10**zeros, 0
    if factor * (scale + 2) + zeros > MAX_STATES:
        raise TooManyStatesError
    return automaton(_transitions(factor, scale, zeros), [_ONLY_ZERO, _POINT_ONLY, *_OTHERS, _SIGN_ONLY])


_ONLY_ZERO: Final = [(48, 48)]
_OTHERS: Final = [[(48 + d, 48 + d)] for d in range(1, 10)]
_POINT_ONLY: Final = [(46, 46)]
_SIGN_ONLY: Final = [(45, 45)]


def _transitions(factor: int, scale: int, zeros: int) -> list[tuple[bool, list[int]]]:
    """The transitions of `number * 10**scale` modulo `factor`; states also count trailing zeros of the whole part.

    Classes: 0, the point, 1 to 9, the sign.
    """
    numbers: dict[tuple[int, int, int], int] = {}
    order: list[tuple[int, int, int]] = []

    def state(remainder: int, place: int, run: int) -> int:
        key = (remainder, place, run)
        found = numbers.setdefault(key, len(order) + 2)
        if found == len(order) + 2:
            order.append(key)
        return found

    # Place 0: before the point; 1 .. scale + 1: the number of characters read from the point on, the point included.
    start = [state(0, 0, zeros), -1, *(state(d % factor, 0, 0) for d in range(1, 10))]
    rows: list[tuple[bool, list[int]]] = [(False, [*start, 1]), (False, [*start, -1])]
    for remainder, place, run in order:
        rest = remainder * 10 ** (scale - max(place - 1, 0)) % factor
        is_multiple = rest == 0 and run >= zeros
        targets = [-1] * 12
        if place == 0:
            targets[0] = state(remainder * 10 % factor, 0, min(run + 1, zeros))
            targets[1] = state(remainder, 1, run)
            for digit in range(1, 10):
                targets[1 + digit] = state((remainder * 10 + digit) % factor, 0, 0)
        elif place <= scale and zeros == 0:
            targets[0] = state(remainder * 10 % factor, place + 1, run)
            for digit in range(1, 10):
                targets[1 + digit] = state((remainder * 10 + digit) % factor, place + 1, run)
        elif is_multiple:
            targets[0] = state(remainder, place, run)
        # A point is followed by a digit: the state right after it never accepts.
        rows.append((is_multiple and place != 1, targets))
    return _with_digits_behind_points(rows, order)


def _with_digits_behind_points(
    rows: list[tuple[bool, list[int]]], order: list[tuple[int, int, int]]
) -> list[tuple[bool, list[int]]]:
    """Adds an accepting state for the first zero after a point that only zeros may follow."""
    for number, (_, place, _) in enumerate(order, start=2):
        targets = rows[number][1]
        if place == 1 and targets[0] == number:
            targets[0] = len(rows)
            rows.append((True, [len(rows), *[-1] * 11]))
    return rows


def automaton(rows: list[tuple[bool, list[int]]], classes: Iterable[list[tuple[int, int]]]) -> Fragment:
    """The node of a deterministic table: for each state, whether it accepts, and the next state by class (-1: none)."""
    ranges = list(classes)
    ops = [AUTOMATON, len(ranges)]
    for pairs in ranges:
        ops += [len(pairs), *(bound for pair in pairs for bound in pair)]
    ops.append(len(rows))
    for accepts, targets in rows:
        ops += [int(accepts), *targets]
    return ops
