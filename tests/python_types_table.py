"""The table of Python types in docs/json-schema-report.md, made by writing random texts and reading them back.

python tests/python_types_table.py      prints the table
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import ipaddress
import pathlib
import typing
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple

import pydantic
import typing_extensions
from rellm import JsonSchema
from rellm._engines.sampling import sample

TEXTS = 200


class Color(enum.Enum):
    RED = "red"
    BLUE = 2


class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(ge=1, alias="no")


class Tree(pydantic.BaseModel):
    value: int
    children: list[Tree] = []


class Open(pydantic.BaseModel, extra="allow"):
    name: str


class Cat(pydantic.BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    kind: Literal["dog"]
    name: str


T = typing.TypeVar("T")


class Page(pydantic.BaseModel, typing.Generic[T]):
    items: list[T]
    next: int | None = None


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


class Pair(NamedTuple):
    left: int
    right: str


class Options(typing_extensions.TypedDict, total=False):
    verbose: bool
    depth: typing_extensions.Required[int]


def search(query: str, limit: int = 10) -> None:
    """Searches."""


TYPES: list[tuple[str, Any]] = [
    ("bool", bool),
    ("int", int),
    ("Annotated[int, Field(ge=1, le=9, multiple_of=3)]", Annotated[int, pydantic.Field(ge=1, le=9, multiple_of=3)]),
    ("float", float),
    ("Annotated[float, Field(gt=0, lt=2.5)]", Annotated[float, pydantic.Field(gt=0, lt=2.5)]),
    ("Decimal", Decimal),
    (
        "Annotated[Decimal, Field(max_digits=6, decimal_places=2)]",
        Annotated[Decimal, pydantic.Field(max_digits=6, decimal_places=2)],
    ),
    ("str", str),
    ("Annotated[str, Field(min_length=2, max_length=5)]", Annotated[str, pydantic.Field(min_length=2, max_length=5)]),
    ('Annotated[str, Field(pattern=r"^\\w+-\\d{2}$")]', Annotated[str, pydantic.Field(pattern=r"^\w+-\d{2}$")]),
    ("bytes", bytes),
    ("pydantic.Base64Bytes", pydantic.Base64Bytes),
    ("datetime.date", datetime.date),
    ("datetime.time", datetime.time),
    ("datetime.datetime", datetime.datetime),
    ("pydantic.AwareDatetime", pydantic.AwareDatetime),
    ("pydantic.NaiveDatetime", pydantic.NaiveDatetime),
    ("datetime.timedelta", datetime.timedelta),
    ("uuid.UUID", uuid.UUID),
    ("pathlib.Path", pathlib.Path),
    ("pydantic.HttpUrl", pydantic.HttpUrl),
    ("pydantic.AnyUrl", pydantic.AnyUrl),
    ("ipaddress.IPv4Address", ipaddress.IPv4Address),
    ("ipaddress.IPv6Address", ipaddress.IPv6Address),
    ("ipaddress.IPv4Network", ipaddress.IPv4Network),
    ("Enum", Color),
    ('Literal["a", 1, True, None]', Literal["a", 1, True, None]),
    ("int | str | None", int | str | None),
    ("list[int]", list[int]),
    ("Annotated[list[int], Field(max_length=3)]", Annotated[list[int], pydantic.Field(max_length=3)]),
    ("set[int]", set[int]),
    ("frozenset[str]", frozenset[str]),
    ("tuple[int, str]", tuple[int, str]),
    ("tuple[int, ...]", tuple[int, ...]),
    ("dict[str, float]", dict[str, float]),
    ("dict[int, bool]", dict[int, bool]),
    ("dict[Enum, int]", dict[Color, int]),
    ("BaseModel with an alias", Address),
    ("BaseModel that refers to itself", Tree),
    ('BaseModel with extra="allow"', Open),
    ("generic BaseModel, Page[int]", Page[int]),
    ("union with a discriminator", Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]),
    ("dataclass", Point),
    ("NamedTuple", Pair),
    ("TypedDict", Options),
    ("arguments of a function", search),
    ("Any", Any),
]  # fmt: skip


def row(label: str, python_type: Any) -> tuple[str, int, int]:
    """The line of the table, how many texts were written, and how many of them were read back."""
    constraint = JsonSchema.of(python_type)
    texts = list(sample(constraint, TEXTS, seed=1, length=120))
    read, errors = 0, []
    for text in texts:
        try:
            constraint.parse(text)
            read += 1
        except ValueError as error:
            errors.append(f"{text[:80]}: {error}")
    if errors:
        print(label, *errors[:3], sep="\n  ")
    notes = sorted({entry.why for entry in constraint.report() if entry.status in ("approximated", "not enforced")})
    shortest = min(texts, key=len, default="")
    example = next((text for text in texts if 8 <= len(text) <= 44 and text.isascii()), shortest[:44])
    escaped = example.replace("|", "\\|").replace("`", "'")
    line = f"| `{label.replace('|', chr(92) + '|')}` | `{escaped}` | {read} of {len(texts)} |"
    return line + (f" {'; '.join(notes)} |" if notes else " |"), len(texts), read


def table() -> str:
    """The whole table."""
    head = "| type | a random text | read back | left for the end |\n|---|---|---|---|"
    return "\n".join([head, *(row(label, python_type)[0] for label, python_type in TYPES)])


if __name__ == "__main__":
    print(table())
