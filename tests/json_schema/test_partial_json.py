"""The value of the beginning of a JSON text."""

from __future__ import annotations

import copy
import json
import random
import time
from typing import Any

import pytest
import random_schemas
from rellm._constraints.json_schema.partial import PartialJson, partial_value
from rellm._generate.stream import TextStream


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("  ", None),
        ("{", {}),
        ('{"na', {}),
        ('{"name"', {}),
        ('{"name": ', {}),
        ('{"name": "Ad', {"name": "Ad"}),
        ('{"name": "Ada", "age": 3', {"name": "Ada"}),
        ('{"name": "Ada", "age": 36,', {"name": "Ada", "age": 36}),
        ("[tru", []),
        ("[true, fal", [True]),
        ("[1, [2, {", [1, [2, {}]]),
        (r'"a\u00', "a"),
        (r'"a\ud83d\ude', "a"),
        (r'"a\ud83d\ude00', "a😀"),
        ("3", None),
        ("no json", None),
        ('```json\n{"a": [1, 2', {"a": [1]}),
        ('{"a": 1}}', {"a": 1}),
    ],
)
def test_unfinished_strings_are_given_and_unfinished_numbers_and_words_are_not(text: str, value: object):
    assert partial_value(text) == value


def test_piece_by_piece_is_the_same_as_at_once_and_ends_with_the_value():
    rng = random.Random(5)
    for _ in range(200):
        value = random_schemas.value(rng, 4)
        text = json.dumps([value], indent=rng.choice([None, 2]), ensure_ascii=rng.random() < 0.5)
        reader = PartialJson()
        for at, character in enumerate(text, start=1):
            reader.feed(character)
            assert reader.value == partial_value(text[:at])
        assert reader.value == [value]


def test_anything_can_be_fed():
    rng = random.Random(6)
    for _ in range(2000):
        partial_value("".join(rng.choice('{}[]",:\\u0d8 1e-.truefalsn\n') for _ in range(rng.randrange(30))))


def test_the_whole_cost_is_linear():
    def seconds(count: int) -> float:
        text = json.dumps([{"id": i, "name": "some words here"} for i in range(count)])
        start = time.process_time()
        reader = PartialJson()
        for at in range(0, len(text), 4):
            reader.feed(text[at : at + 4])
            _ = reader.value
        return time.process_time() - start

    small, large = min(seconds(500) for _ in range(3)), min(seconds(5000) for _ in range(2))
    assert large < 25 * small + 0.05


def test_a_stream_tells_what_is_known_so_far():
    def steps():
        yield from ['{"name": "A', 'da", "age": 3', "6}"]
        return "the completion"

    stream: Any = TextStream(steps(), lambda: None)
    found = []
    for _ in stream:
        found.append(copy.deepcopy(stream.partial_value))
    assert found == [{"name": "A"}, {"name": "Ada"}, {"name": "Ada", "age": 36}]
    assert stream.completion == "the completion"
