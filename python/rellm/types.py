"""Constraints for common kinds of text: `rellm.types.integer(ge=0)`, `rellm.types.date()`, `rellm.types.email()`, …

Each function returns a constraint whose text stands for itself (no quotes) and whose value is of the type that the
function names. They combine with others: `"Born: " + rellm.types.date().named("born")`.
"""

from __future__ import annotations

from rellm._constraints.text_types import (
    TextType,
    boolean,
    date,
    datetime,
    duration,
    email,
    hostname,
    integer,
    ipv4,
    ipv6,
    isbn,
    number,
    phone,
    sentence,
    time,
    url,
    uuid,
    word,
)

__all__ = [
    "TextType",
    "boolean",
    "date",
    "datetime",
    "duration",
    "email",
    "hostname",
    "integer",
    "ipv4",
    "ipv6",
    "isbn",
    "number",
    "phone",
    "sentence",
    "time",
    "url",
    "uuid",
    "word",
]
