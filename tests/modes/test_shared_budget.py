"""In JSON no string and no list eats the budget of what still has to be written."""

from __future__ import annotations

from typing import Any

import pytest
import rellm
from rellm import JsonSchema, RunLimits, testing

pytest.importorskip("transformers")


def form(**properties: Any) -> JsonSchema:
    schema = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return JsonSchema(schema, property_order="declared", spelling=rellm.JsonSpelling(whitespace="spaced"))


STRING = {"type": "string"}
LIST = {"type": "array", "items": {"type": "string"}}


def written(constraint: JsonSchema, script: str, budget: int, **options: Any) -> Any:
    completion = testing.scripted_generator(script)("x", constraint, max_new_tokens=budget, **options)
    assert completion.is_complete
    assert len(completion.token_ids) <= budget
    return completion.value


def test_an_endless_string_leaves_the_next_ones_half_of_what_is_left():
    value = written(form(a=STRING, b=STRING, c=STRING), '{"a": "' + "x" * 2000, 500)
    sizes = [len(value[name]) for name in "abc"]
    assert 230 <= sizes[0] <= 260
    assert 100 <= sizes[1] <= 130
    assert sizes[2] > 60  # the last one has all the rest


def test_the_rule_can_be_switched_off():
    value = written(form(a=STRING, b=STRING), '{"a": "' + "x" * 2000, 300, run_limits=RunLimits(share_budget=False))
    assert len(value["a"]) > 250
    assert len(value["b"]) < 20


def test_an_endless_list_is_closed_at_half_of_the_budget():
    script = '{"a": [' + '"item", ' * 200
    value = written(form(a=LIST, b=STRING), script, 400)
    assert 20 <= len(value["a"]) <= 27
    value = written(form(a=LIST, b=STRING), script, 400, run_limits=RunLimits(share_budget=False))
    assert len(value["a"]) > 40


def test_a_string_that_is_the_last_has_the_whole_budget():
    value = written(form(a=STRING), '{"a": "' + "x" * 2000, 300)
    assert len(value["a"]) > 270


def test_what_keeps_to_its_share_is_left_alone():
    text = '{"a": "' + "x" * 60 + '", "b": "y"}'
    completion = testing.scripted_generator(text)("x", form(a=STRING, b=STRING), max_new_tokens=200)
    assert completion.text == text
    assert not completion.was_steered


def test_share_budget_is_a_boolean():
    with pytest.raises(TypeError, match="share_budget is True or False"):
        RunLimits(share_budget=1)  # type: ignore[arg-type]
