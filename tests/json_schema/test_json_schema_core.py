"""Schemas on the automaton: real ones with their instances, samples that validate, the suite as the oracle reads it."""

from __future__ import annotations

import datetime
import enum
import json
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import json_suite
import pydantic
import pytest
import python_types_table
import rellm
from fragment_oracle import Fragments
from json_suite_table import accepts
from rellm import JsonSchema, JsonSpelling, SchemaError
from rellm._engines.compile import over_single_bytes
from rellm._engines.sampling import sample

GUIDE = Path(__file__).parents[2] / "docs" / "json-schema-report.md"


class Color(enum.Enum):
    RED = "red"
    GREEN = "green"


class Address(pydantic.BaseModel):
    street: str
    code: Annotated[str, pydantic.Field(pattern=r"^[0-9]{5}$")]


class Form(pydantic.BaseModel):
    name: str
    born: datetime.date
    email: Annotated[str, pydantic.Field(json_schema_extra={"format": "email"})]
    age: Annotated[int, pydantic.Field(ge=0, le=130)]
    height: Annotated[float, pydantic.Field(gt=0, lt=3)]
    color: Color
    tags: list[str]
    address: Address | None
    agreed: bool
    when: datetime.datetime


def test_a_hundred_samples_of_a_form_are_all_different_and_all_validate():
    constraint = JsonSchema.of(Form)
    texts = list(sample(constraint, 100, seed=3, length=300))
    assert len(set(texts)) == 100
    assert all(isinstance(constraint.parse(text), Form) for text in texts)


@pytest.mark.parametrize(("label", "python_type"), python_types_table.TYPES)
def test_each_type_of_the_guide_reads_back_all_of_its_texts(label: str, python_type: Any):
    line, written, read = python_types_table.row(label, python_type)
    assert written == read >= 2
    rows = [row.split(" | ")[0] for row in GUIDE.read_text(encoding="utf-8").splitlines() if row.startswith("| `")]
    assert line.split(" | ")[0] in rows


def test_real_schemas_accept_what_is_valid_and_nothing_else_unreported():
    counts: Counter[str] = Counter()
    for row in json_suite.real_schemas():
        constraint = JsonSchema(row["schema"], on_unsupported="report")
        compiled = over_single_bytes(constraint)
        for test in row["tests"]:
            text = json.dumps(test["data"], ensure_ascii=False)
            try:
                is_accepted = accepts(compiled, text)
            except rellm.LimitExceededError:
                counts["limit"] += 1
                continue
            if is_accepted == test["valid"]:
                counts["right"] += 1
            elif is_accepted and not constraint.report().is_exact:
                counts["reported"] += 1
            else:
                counts[f"wrong: {row['name']}"] += 1
    assert not [key for key in counts if key.startswith("wrong")], counts
    assert counts["right"] >= 0.99 * sum(counts.values()), counts


@pytest.mark.parametrize("integers", ["any", "plain"])
def test_the_automaton_reads_the_suite_as_the_recogniser_of_fragments_does(integers: Any):
    compared = 0
    for group in json_suite.groups("draft2020-12"):
        try:
            spelling = JsonSpelling(integers=integers)
            constraint = JsonSchema(group.schema, spelling=spelling, resources=json_suite.remotes())
        except SchemaError:
            continue
        ops, context = constraint.operations()
        oracle = Fragments(ops, context.strings, context.dialects, json_suite.ecma_matches)
        try:
            compiled: Any = over_single_bytes(constraint)
        except rellm.UnsatisfiableError:
            compiled = None
        # One of its two spellings each: the recogniser is slow.
        for text, _ in islice(group.texts, integers == "any", None, 2):
            found = compiled is not None and accepts(compiled, text)
            assert found == oracle.accepts(text), f"{group.file}: {group.description}: {text}"
            compared += 1
    assert compared > 1000
