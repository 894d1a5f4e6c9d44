"""Python types as constraints: what is written, and what comes back."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import pickle
import typing
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import json_suite
import pydantic
import pytest
import rellm
from fragment_oracle import Fragments
from rellm import JsonSchema, ValueRejectedError
from rellm._constraints.conversion import as_constraint
from rellm._constraints.expression import ExpressionContext


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Address(pydantic.BaseModel):
    street: str
    number: int = pydantic.Field(ge=1, le=999)


class Person(pydantic.BaseModel):
    name: str = pydantic.Field(description="The full name", examples=["Ada Lovelace"])
    born: datetime.date
    address: Address | None = None
    colors: list[Color] = []


@dataclasses.dataclass
class Point:
    x: float
    y: float


class Checked(pydantic.BaseModel):
    low: int
    high: int

    @pydantic.model_validator(mode="after")
    def is_ordered(self) -> Checked:
        if self.low > self.high:
            raise ValueError("low is above high")
        return self


def accepts(constraint: Any, *texts: str) -> list[bool]:
    context = ExpressionContext()
    ops = context.operations(as_constraint(constraint).to_expression(context))
    oracle = Fragments(ops, context.strings, context.dialects, json_suite.ecma_matches)
    return [oracle.accepts(text) for text in texts]


def test_a_model_is_written_closed_in_declared_order_and_read_back():
    constraint = JsonSchema.of(Person)
    text = '{"name": "Ada", "born": "1815-12-10", "address": {"street": "S", "number": 7}, "colors": ["red"]}'
    assert accepts(constraint, text) == [True]
    person = constraint.parse(text)
    assert isinstance(person, Person)
    assert person.colors == [Color.RED]
    wrong = [
        '{"born": "1815-12-10", "name": "Ada"}',
        '{"name":"Ada","born":"1815-12-10"}',
        '{"name": "Ada", "born": "1815-02-30"}',
        '{"name": "Ada", "born": "1815-12-10", "extra": 1}',
        '{"name": "Ada", "born": "1815-12-10", "address": {"street": "S", "number": 1000}}',
    ]
    assert accepts(constraint, *wrong) == [False] * len(wrong)


def test_a_type_stands_for_its_constraint():
    assert as_constraint(Person) == JsonSchema.of(Person) == pickle.loads(pickle.dumps(JsonSchema.of(Person)))
    assert as_constraint(Person) != JsonSchema.of(Address)
    assert accepts(list[int], "[1, 2]", "[]", "1") == [True, True, False]
    assert accepts(int | None, "1", "null", "x") == [True, True, False]
    assert isinstance(as_constraint({"type": "integer"}), JsonSchema)
    with pytest.raises(TypeError, match=r"no keyword of JSON Schema"):
        as_constraint({"name": "x"})


@pytest.mark.parametrize(
    ("python_type", "texts", "wrong"),
    [
        (bool, {"true": True, "false": False}, ["True", "1"]),
        (int, {"12": 12, "-3": -3}, ["1.0", "01"]),
        (float, {"1.5": 1.5, "2": 2.0}, ["x", "NaN"]),
        (Decimal, {"1.50": Decimal("1.50")}, ["x"]),
        (datetime.date, {"2024-02-29": datetime.date(2024, 2, 29)}, ["2023-02-29", "0000-01-01"]),
        (uuid.UUID, {"12345678-1234-5678-1234-567812345678": uuid.UUID(int=0x12345678123456781234567812345678)}, ["x"]),
        (Color, {"red": Color.RED}, ['"red"', "RED"]),
        (Literal["a", 1], {"a": "a", "1": 1}, ["b"]),
        (Annotated[int, pydantic.Field(ge=3, le=12)], {"3": 3, "12": 12}, ["2", "13"]),
        (str, {'x "y"\n': 'x "y"\n'}, []),
    ],
)
def test_scalars_are_bare_text(python_type: Any, texts: dict[str, Any], wrong: list[str]):
    constraint = as_constraint(python_type)
    assert accepts(constraint, *texts, *wrong) == [True] * len(texts) + [False] * len(wrong)
    assert {text: constraint.parse(text) for text in texts} == texts
    assert accepts(JsonSchema.of(python_type), json.dumps(next(iter(texts)))) == [
        python_type in (str, Color, datetime.date, uuid.UUID, Literal["a", 1])
    ]


def test_what_only_a_validator_knows_is_told_and_checked_at_the_end():
    constraint = JsonSchema.of(Checked)
    assert accepts(constraint, '{"low": 2, "high": 1}') == [True]
    told = [entry for entry in constraint.report() if entry.status == "not enforced"]
    assert "is_ordered" in str(told)
    with pytest.raises(ValueRejectedError, match="low is above high") as error:
        constraint.parse('{"low": 2, "high": 1}')
    assert error.value.text == '{"low": 2, "high": 1}'
    assert isinstance(error.value.__cause__, pydantic.ValidationError)


def test_the_arguments_of_a_function_are_a_dict():
    def search(query: str, limit: int = 10) -> None:
        """Searches."""

    constraint = JsonSchema.of(search)
    assert accepts(constraint, '{"query": "x"}', '{"query": "x", "limit": 3}', '{"limit": 3}') == [True, True, False]
    assert constraint.parse('{"query": "x"}') == {"query": "x", "limit": 10}


def test_unions_with_a_discriminator_are_told_apart():
    class Cat(pydantic.BaseModel):
        kind: Literal["cat"]
        lives: int

    class Dog(pydantic.BaseModel):
        kind: Literal["dog"]
        name: str

    pet = Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
    yes, no = ['{"kind": "cat", "lives": 9}', '{"kind": "dog", "name": "x"}'], ['{"kind": "cat", "name": "x"}']
    assert accepts(pet, *yes, *no) == [True, True, False]
    assert isinstance(as_constraint(pet).parse(yes[1]), Dog)


def test_keys_that_are_no_strings_are_written_as_they_are_read():
    assert accepts(dict[int, str], '{"1": "a"}', '{"x": "a"}') == [True, False]
    assert accepts(dict[Color, int], '{"red": 1}', '{"blue": 1}') == [True, False]
    assert as_constraint(dict[int, str]).parse('{"1": "a"}') == {1: "a"}


def test_patterns_of_models_are_those_of_their_engine():
    digits = Annotated[str, pydantic.Field(pattern=r"^\d+$")]
    assert accepts(JsonSchema.of(list[digits]), '["12"]', '["٣"]', '["1\\n"]') == [True, True, False]


def test_describe_tells_fields_with_their_types_and_examples():
    words = rellm.describe(Person)
    assert '- "name": a string. The full name For example "Ada Lovelace".' in words
    assert '- "address": an object or null, optional' in words or '- "address":' in words
    assert "red" in rellm.describe(rellm.Choice(["red", "green"]))
    assert rellm.describe(rellm.types.integer(1, 6)) == (
        "Answer with a whole number of at least 1 and at most 6, and nothing else."
    )


@pytest.mark.parametrize(
    ("constraint", "texts", "wrong"),
    [
        (rellm.types.integer(0, 255), {"0": 0, "255": 255}, ["256", "-1", "07"]),
        (rellm.types.number(0, 1), {"0.25": 0.25, "1": 1.0}, ["1.5", "1e0"]),
        (rellm.types.isbn(), {"978-3-16-148410-0": "978-3-16-148410-0"}, ["0306406153", "9783161484101"]),
        (rellm.types.isbn(), {"0306406152": "0306406152"}, ["9773161484100", "-0306406152"]),
        (rellm.types.isbn(), {"080442957X": "080442957X"}, ["X804429570"]),
        (rellm.types.phone(), {"+49 30 123456": "+49 30 123456"}, ["030 123456", "+0 1"]),
        (rellm.types.duration(), {"P1DT2H": datetime.timedelta(days=1, hours=2)}, ["1 day", "P"]),
        (rellm.types.time(), {"09:30": datetime.time(9, 30)}, ["24:00"]),
        (rellm.types.url(), {"https://example.com/a?b#c": "https://example.com/a?b#c"}, ["ftp://x.org", "https://"]),
        (rellm.types.email(), {"a.b@example.org": "a.b@example.org"}, ["a@", "@b"]),
        (rellm.types.sentence(), {"It is so.": "It is so."}, ["no capital.", "Two. Here."]),
    ],
)  # fmt: skip
def test_common_kinds_of_text(constraint: Any, texts: dict[str, Any], wrong: list[str]):
    assert accepts(constraint, *texts, *wrong) == [True] * len(texts) + [False] * len(wrong)
    assert {text: constraint.parse(text) for text in texts} == texts
    assert rellm.Constraint.from_json(constraint.to_json()) == constraint


def test_a_type_without_a_form_in_json_is_a_type_error():
    with pytest.raises(TypeError, match=r"no form in JSON|has no schema"):
        JsonSchema.of(typing.Callable[[int], int])
