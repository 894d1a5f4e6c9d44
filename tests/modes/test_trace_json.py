"""The trace of a JSON text: where each token stands, and how sure the model was of each value."""

from __future__ import annotations

import math

import pytest
from rellm import JsonSchema, testing

pytest.importorskip("transformers")

SCHEMA = {
    "type": "object",
    "properties": {"kind": {"const": "cat"}, "age": {"type": "integer"}, "tags": {"type": "array", "maxItems": 2}},
    "required": ["kind", "age", "tags"],
    "additionalProperties": False,
}
TEXT = '{"kind": "cat", "age": 12, "tags": [true, "x"]}'


@pytest.fixture(scope="module")
def completion():
    generator = testing.scripted_generator(TEXT)
    constraint = JsonSchema(SCHEMA, property_order="declared")
    return generator("A cat. ", constraint, trace=True, max_new_tokens=100)


def test_each_token_has_the_path_of_what_it_writes(completion):
    assert completion.text == TEXT
    tokens = completion.trace.tokens
    paths = "".join(f"{token.text}<{token.path}>" for token in tokens if token.text in "c1,xt")
    assert paths == (
        "c</kind>t</kind>,<>1</age>,<>t<>t</tags/0>,</tags/1>x</tags/1>"
    )  # fmt: skip
    assert {pointer for token in tokens for pointer in token.pointers} == {"/kind", "/age", "/tags/0", "/tags/1"}


def test_the_probability_of_a_value_is_the_product_of_its_choices(completion):
    trace = completion.trace
    found = trace.value_probabilities
    assert list(found) == ["/kind", "/age", "/tags/0", "/tags/1"]
    age = [token for token in trace if "/age" in token.pointers]
    assert [token.text for token in age] == ["1", "2", ","]
    assert found["/age"] == pytest.approx(math.exp(sum(token.log_probability_after for token in age)))
    assert all(0 < chance <= 1 for chance in found.values())
    assert found["/kind"] == 1.0 or any(t.choices > 1 for t in trace if "/kind" in t.pointers)


def test_other_constraints_have_no_paths():
    completion = testing.scripted_generator("ab")("x", "[a-z]{2}", trace=True)
    assert all(token.path == "" and token.pointers == () for token in completion.trace)
    assert completion.trace.value_probabilities == {}
