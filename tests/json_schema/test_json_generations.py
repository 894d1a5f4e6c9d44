"""Texts of nested models from random scores, at temperatures from 0 to 2, in tight and in wide budgets.

    .venv/bin/python tests/json_schema/test_json_generations.py 3000      so many of them

Every text closes within its budget, and pydantic reads it.
"""

from __future__ import annotations

import datetime
import enum
import sys
import time
from typing import Annotated, Any, Literal

import numpy as np
import pydantic
import rellm
from rellm import JsonSchema, testing
from rellm._generate.token_budget import fill_mask_in_budget, tokens_needed

WORDS = (
    '"name"', '": "', '", "', '": ', "true", "false", "null", '"}', '"]', "},", "]}", ' "', "12", "2024", "-0", ".5",
    "the ", "a", "and ", "é", "日本", "\\n", "\\u00", "[]", "{}", "  ", '{"', '["', ": [", ": {",
)  # fmt: skip


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Address(pydantic.BaseModel):
    street: str
    code: Annotated[str, pydantic.Field(pattern=r"^[0-9]{5}$")]
    lines: list[Annotated[str, pydantic.Field(max_length=12)]] = []


class Person(pydantic.BaseModel):
    name: str
    born: datetime.date
    age: Annotated[int, pydantic.Field(ge=0, le=130)]
    color: Color
    address: Address
    friends: list[Person] = []
    notes: dict[str, float] = {}


class Order(pydantic.BaseModel):
    kind: Literal["order"]
    who: Person | None
    price: Annotated[float, pydantic.Field(gt=0, multiple_of=0.5)]
    paid: bool
    tags: Annotated[list[str], pydantic.Field(min_length=1, max_length=3)]


class Note(pydantic.BaseModel):
    kind: Literal["note"]
    text: str
    when: datetime.datetime


TYPES: list[Any] = [Address, Person, Order, Annotated[Order | Note, pydantic.Field(discriminator="kind")], list[Note]]


def generated(compiled: rellm.CompiledConstraint, budget: int, temperature: float, rng: Any) -> bytes:
    """One text from scores that are random, at every step anew."""
    matcher = compiled.matcher()
    size = len(compiled.vocabulary)
    row = np.zeros((1, (size + 31) // 32), dtype=np.uint32)
    ends = set(compiled.vocabulary.eos_token_ids)
    for left in range(budget, 0, -1):
        if matcher.is_finished:
            break
        row[:] = 0
        fill_mask_in_budget(matcher, row, 0, left)
        allowed = np.flatnonzero(np.unpackbits(row.view(np.uint8), bitorder="little")[:size])
        assert len(allowed)
        scores = rng.normal(size=len(allowed)) * 3
        if temperature == 0:
            token = int(allowed[scores.argmax()])
        else:
            weights = np.exp((scores - scores.max()) / temperature)
            token = int(rng.choice(allowed, p=weights / weights.sum()))
        if token in ends:
            break
        matcher.advance(token)
    assert matcher.is_accepting
    return bytes(matcher.text)


def run(count: int, seed: int = 20261128) -> int:
    """Writes so many texts, and reads each; returns how many bytes they have in all."""
    rng = np.random.default_rng(seed)
    vocabulary = testing.tiny_vocabulary(WORDS)
    constraints = [JsonSchema.of(python_type) for python_type in TYPES]
    compiled = [rellm.compile(constraint, vocabulary) for constraint in constraints]
    least = [tokens_needed(one.matcher()) for one in compiled]
    total = 0
    for number in range(count):
        index = number % len(TYPES)
        budget = (least[index] or 0) + [0, 3, 20, 300][number // len(TYPES) % 4]
        text = generated(compiled[index], budget, [0.0, 0.5, 1.0, 2.0][number // 20 % 4], rng)
        constraints[index].parse(text.decode())
        total += len(text)
    return total


def test_random_scores_never_break_a_text():
    assert run(160) > 160 * 20


if __name__ == "__main__":
    begun = time.process_time()
    wanted = int(sys.argv[1])
    size = run(wanted)
    print(
        f"{wanted} texts, {size} bytes, in {time.process_time() - begun:.0f} s of processor time: all close, all read"
    )
