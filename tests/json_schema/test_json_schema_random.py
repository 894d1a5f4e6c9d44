"""Random schemas and values: the language of a schema is what the `jsonschema` library calls valid."""

from __future__ import annotations

import json
import random
import time

import json_suite
import jsonschema
import pytest
import random_schemas
from fragment_oracle import Fragments
from rellm import JsonSchema, SchemaError

# What is refused, and what a text may not be spelled like: the canonical spelling of a whole number has no point.
_SEED = 20261128


def disagreements(count: int, seed: int) -> tuple[list[str], int]:
    """Pairs of schemas and values on which the two disagree, and the number of pairs that were compared."""
    rng = random.Random(seed)
    found, compared = [], 0
    while compared < count:
        schema = random_schemas.schema(rng)
        values = [random_schemas.value(rng) for _ in range(10)]
        try:
            constraint = JsonSchema(schema)
        except SchemaError as error:
            assert error.keyword in ("oneOf", "anyOf", "allOf", "not", "if", "uniqueItems", "dependentSchemas"), error
            continue
        validator = jsonschema.Draft202012Validator(schema)
        ops, context = constraint.operations()
        oracle = Fragments(ops, context.strings, context.dialects, json_suite.ecma_matches)
        for value in values:
            text = json.dumps(value, ensure_ascii=False, separators=rng.choice([(",", ":"), (", ", ": ")]))
            compared += 1
            if oracle.accepts(text) != validator.is_valid(value):
                found.append(f"{json.dumps(schema)} {text} valid: {validator.is_valid(value)}")
    return found, compared


def test_random_schemas_mean_what_the_validator_says():
    found, compared = disagreements(500, _SEED)
    assert not found
    assert compared >= 500


@pytest.mark.slow
def test_many_random_schemas_mean_what_the_validator_says():
    start = time.process_time()
    found, compared = disagreements(20_000, _SEED + 1)
    print(f"seed {_SEED + 1}: {compared} pairs in {time.process_time() - start:.0f} s of processor time")
    assert not found
