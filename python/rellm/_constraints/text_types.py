"""Common kinds of text as constraints; `rellm.types` is where users find them."""

from __future__ import annotations

import datetime as _datetime
import ipaddress
import uuid as _uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar, Final

from rellm._constraints.base import Constraint
from rellm._constraints.expression import ExpressionContext, Fragment, pattern, union
from rellm._constraints.json_schema.formats import EMAIL, HOSTNAME, IPV4, IPV6, PYTHON_DATE, PYTHON_FORMATS, UUID
from rellm._constraints.json_schema.json_values import exact
from rellm._constraints.json_schema.numbers import number_fragment
from rellm._constraints.json_schema.shapes import NumberShape
from rellm._constraints.pieces import Pieces
from rellm._errors import PatternError, ValueRejectedError

Bound = int | float | Decimal | None
_LABEL: Final = "[0-9A-Za-z](?:[0-9A-Za-z-]{0,30}[0-9A-Za-z])?"
_URL: Final = (
    rf"https?://(?:{_LABEL}\.){{1,4}}[A-Za-z]{{2,12}}(?::[1-9][0-9]{{1,3}})?"
    r"(?:/(?:[0-9A-Za-z._~!$&'()*+,;=:@/-]|%[0-9A-F]{2})*)?(?:\?(?:[0-9A-Za-z._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*)?"
    r"(?:#(?:[0-9A-Za-z._~!$&'()*+,;=:@/?-]|%[0-9A-F]{2})*)?"
)
_CLOCK: Final = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,6})?)?"
_DURATION: Final = PYTHON_FORMATS["duration"]
# A country code and at most 15 digits in all (ITU-T E.164), with single spaces or hyphens between them.
_PHONE: Final = r"\+[1-9][0-9]{0,2}(?:[ -]?[0-9]){4,12}"
_WORD: Final = r"[^\W\d_]+(?:['’-][^\W\d_]+)*"
_SENTENCE: Final = r"[A-Z0-9\"'(À-ÖØ-Þ][^.!?\n\r\u2028\u2029]{0,400}[.!?]"


@dataclass(frozen=True, slots=True)
class TextType(Constraint):
    """A common kind of text; made by the functions of `rellm.types`.

    Attributes:
        name: the kind: "integer", "date", …
        low: for numbers, the least value, or None.
        high: for numbers, the greatest value, or None.
    """

    kind: ClassVar[str] = "text_type"

    name: str
    low: Bound = None
    high: Bound = None

    def __post_init__(self) -> None:
        if self.name not in _KINDS:
            raise PatternError(f"there is no kind of text {self.name!r}: one of {', '.join(sorted(_KINDS))}")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PatternError(f"no {self.name} is at least {self.low} and at most {self.high}: exchange the two")

    def to_expression(self, context: ExpressionContext) -> Fragment:
        if self.name in ("integer", "number"):
            low = None if self.low is None else exact(self.low)
            high = None if self.high is None else exact(self.high)
            shape = NumberShape(low, False, high, False, True if self.name == "integer" else None)
            if self.name == "number" and shape.is_free:
                return pattern(context, r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?", 0, "ecma")
            return number_fragment(shape, any_spelling=False, max_digits=4000)
        if self.name == "isbn":
            return union([isbn_fragment(10), isbn_fragment(13)])
        source, dialect = _PATTERNS[self.name]
        return pattern(context, source, 0, dialect)

    def parse(self, pieces: Any) -> Any:
        """The value of the text: an `int`, a `datetime.date`, …; a `str` where Python has no better type."""
        text = Pieces.of(pieces).text
        try:
            return _KINDS[self.name](text)
        except ValueError as error:
            raise ValueRejectedError(f"{text!r:.60} is no {self.name}: {error}", text=text) from error

    def _to_data(self) -> dict[str, Any]:
        return {"name": self.name, "low": _bound_to_data(self.low), "high": _bound_to_data(self.high)}

    @classmethod
    def _from_data(cls, data: dict[str, Any]) -> TextType:
        return cls(data["name"], _bound_from_data(data["low"]), _bound_from_data(data["high"]))


def _bound_to_data(bound: Bound) -> Any:
    return {"decimal": str(bound)} if isinstance(bound, Decimal) else bound


def _bound_from_data(data: Any) -> Bound:
    return Decimal(data["decimal"]) if isinstance(data, dict) else data


def isbn_fragment(length: int) -> Fragment:
    """ISBNs of 10 or 13 digits whose check digit is right; hyphens may stand between digits."""
    from rellm._constraints.json_schema.numbers import automaton

    modulus = 11 if length == 10 else 10
    last_is_x = length == 10
    numbers: dict[tuple[int, int, bool], int] = {}
    order: list[tuple[int, int, bool]] = []

    def state(count: int, total: int, hyphen: bool) -> int:
        key = (count, total, hyphen)
        found = numbers.setdefault(key, len(order))
        if found == len(order):
            order.append(key)
        return found

    state(0, 0, False)
    rows = []
    for count, total, hyphen in order:
        targets = [-1] * 12
        for digit in range(10):
            if count < length and (length == 10 or _is_prefix(count, digit, total)):
                weight = 10 - count if length == 10 else 3 if count % 2 else 1
                targets[digit] = state(count + 1, (total + weight * digit) % modulus, False)
        if last_is_x and count == 9:
            targets[10] = state(10, (total + 10) % modulus, False)
        if 0 < count < length and not hyphen:
            targets[11] = state(count, total, True)
        rows.append((count == length and total == 0, targets))
    return automaton(rows, [*([(48 + digit, 48 + digit)] for digit in range(10)), [(88, 88)], [(45, 45)]])


def _is_prefix(count: int, digit: int, total: int) -> bool:
    """Whether the digit fits the prefix 978 or 979; the sum of the digits so far identifies them."""
    return digit == (9, 7)[count] if count < 2 else digit in (8, 9) if count == 2 else True


def _text(text: str) -> str:
    return text


def _boolean(text: str) -> bool:
    return text == "true"


def _duration(text: str) -> _datetime.timedelta:
    """The value of an ISO 8601 duration in weeks, days, hours, minutes and seconds."""
    units = {"W": "weeks", "D": "days", "H": "hours", "M": "minutes", "S": "seconds"}
    found: dict[str, float] = {}
    number = ""
    for sign in text:
        if sign in units:
            found[units[sign]] = float(number)
            number = ""
        elif sign not in "PT":
            number += sign
    return _datetime.timedelta(**found)


def _datetime_of(text: str) -> _datetime.datetime:
    return _datetime.datetime.fromisoformat(text.upper())


_KINDS: Final[dict[str, Callable[[str], Any]]] = {
    "boolean": _boolean,
    "date": _datetime.date.fromisoformat,
    "datetime": _datetime_of,
    "duration": _duration,
    "email": _text,
    "hostname": _text,
    "integer": int,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "isbn": _text,
    "number": float,
    "phone": _text,
    "sentence": _text,
    "time": _datetime.time.fromisoformat,
    "url": _text,
    "uuid": _uuid.UUID,
    "word": _text,
}
_PATTERNS: Final[dict[str, tuple[str, str]]] = {
    "boolean": ("true|false", "ecma"),
    "date": (PYTHON_DATE, "ecma"),
    "datetime": (PYTHON_FORMATS["date-time"], "ecma"),
    "duration": (_DURATION, "ecma"),
    "email": (EMAIL, "ecma"),
    "hostname": (HOSTNAME, "ecma"),
    "ipv4": (IPV4, "ecma"),
    "ipv6": (IPV6, "ecma"),
    "phone": (_PHONE, "ecma"),
    "sentence": (_SENTENCE, "ecma"),
    "time": (_CLOCK, "ecma"),
    "url": (_URL, "ecma"),
    "uuid": (UUID, "ecma"),
    "word": (_WORD, "re"),
}


def integer(ge: int | None = None, le: int | None = None) -> TextType:
    """A whole number; the value is an `int`.

    Args:
        ge: at least this.
        le: at most this.
    """
    return TextType("integer", ge, le)


def number(ge: Bound = None, le: Bound = None) -> TextType:
    """A decimal number without an exponent; the value is a `float`.

    Args:
        ge: at least this.
        le: at most this.
    """
    return TextType("number", ge, le)


def boolean() -> TextType:
    """`true` or `false`; the value is a `bool`."""
    return TextType("boolean")


def date() -> TextType:
    """A day of the calendar, `2024-02-29`; the value is a `datetime.date`."""
    return TextType("date")


def time() -> TextType:
    """A time of day, `09:30` or `09:30:15.5`; the value is a `datetime.time`."""
    return TextType("time")


def datetime() -> TextType:
    """A date and a time with its offset, `2024-02-29T09:30:00Z`; the value is a `datetime.datetime`."""
    return TextType("datetime")


def duration() -> TextType:
    """A duration of ISO 8601 in weeks, days, hours, minutes, seconds, `P1DT2H`; the value is a `datetime.timedelta`."""
    return TextType("duration")


def email() -> TextType:
    """A mail address (RFC 5321); the value is a `str`."""
    return TextType("email")


def hostname() -> TextType:
    """The name of a host (RFC 1123); the value is a `str`."""
    return TextType("hostname")


def url() -> TextType:
    """A web address that begins with http or https; the value is a `str`."""
    return TextType("url")


def uuid() -> TextType:
    """A UUID; the value is a `uuid.UUID`."""
    return TextType("uuid")


def ipv4() -> TextType:
    """An IPv4 address; the value is an `ipaddress.IPv4Address`."""
    return TextType("ipv4")


def ipv6() -> TextType:
    """An IPv6 address; the value is an `ipaddress.IPv6Address`."""
    return TextType("ipv6")


def isbn() -> TextType:
    """An ISBN of 10 or 13 digits with the right check digit; the value is a `str`."""
    return TextType("isbn")


def phone() -> TextType:
    """An international phone number, `+49 30 123456` (ITU-T E.164); the value is a `str`."""
    return TextType("phone")


def sentence() -> TextType:
    """One sentence in one line: a capital or digit first, a full stop, question or exclamation mark last."""
    return TextType("sentence")


def word() -> TextType:
    """One word of letters, with hyphens and apostrophes inside; the value is a `str`."""
    return TextType("word")
