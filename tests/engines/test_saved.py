"""Compiled constraints in files: what is loaded is as warm as what was saved."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pydantic
import pytest
import rellm
from rellm import CompiledConstraint, JsonSchema
from rellm._engines import compile as engine

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "kind": {"enum": ["cat", "dog"]}, "age": {"type": "integer"}},
    "required": ["name", "kind"],
}
TEXT = '{"name": "Tom", "kind": "cat", "age": 7}'


class Pet(pydantic.BaseModel):
    name: str
    age: int


@pytest.fixture
def vocabulary() -> rellm.Vocabulary:
    return rellm.Vocabulary([*(bytes([byte]) for byte in range(256)), b'"name"', b": ", None], eos_token_ids=[258])


def masks(compiled: CompiledConstraint, text: str) -> list[bytes]:
    row = np.zeros((len(compiled.vocabulary) + 31) // 32, dtype=np.uint32)
    matcher, found = compiled.matcher(), []
    for byte in text.encode():
        matcher.fill_mask(row)
        found.append(row.tobytes())
        matcher.advance(byte)
    return found


def test_what_is_loaded_has_the_same_masks_and_the_same_texts(tmp_path: Any, vocabulary: rellm.Vocabulary) -> None:
    compiled = rellm.compile(JsonSchema(SCHEMA), vocabulary, rellm.Limits(fuel=1_000_000))
    assert compiled.warm([TEXT, "[]"]) == 1
    compiled.save(tmp_path / "pet.rellm")
    engine._cache.clear()
    loaded = CompiledConstraint.load(tmp_path / "pet.rellm", vocabulary)
    assert loaded is not compiled
    assert (loaded.constraint, loaded.limits) == (compiled.constraint, compiled.limits)
    assert masks(loaded, TEXT) == masks(compiled, TEXT)
    assert json.loads((tmp_path / "pet.rellm").read_text())["texts"] == [TEXT]


def test_warming_makes_masks_ahead(vocabulary: rellm.Vocabulary) -> None:
    engine._cache.clear()
    compiled = rellm.compile(JsonSchema(SCHEMA), vocabulary)
    cold = compiled.memory_bytes
    assert compiled.warm(count=5) == 5
    warm = compiled.memory_bytes
    assert warm > cold
    assert compiled.warm(count=5) == 5  # the same five texts
    assert compiled.memory_bytes == warm


def test_warming_ends_in_time(vocabulary: rellm.Vocabulary) -> None:
    compiled = rellm.compile(JsonSchema({"type": "array"}), vocabulary)
    begun = time.monotonic()
    assert compiled.warm(count=100_000, seconds=0.2) < 100_000
    assert time.monotonic() - begun < 20


def test_a_python_type_is_given_again(tmp_path: Any, vocabulary: rellm.Vocabulary) -> None:
    compiled = rellm.compile(Pet, vocabulary)
    compiled.warm(['{"name": "Tom", "age": 7}'])
    compiled.save(tmp_path / "pet")
    with pytest.raises(ValueError, match="pass it as constraint="):
        CompiledConstraint.load(tmp_path / "pet", vocabulary)
    assert CompiledConstraint.load(tmp_path / "pet", vocabulary, Pet).constraint == compiled.constraint


def test_a_file_of_another_vocabulary_or_of_something_else_is_refused(
    tmp_path: Any, vocabulary: rellm.Vocabulary
) -> None:
    rellm.compile(JsonSchema(SCHEMA), vocabulary).save(tmp_path / "pet")
    other = rellm.Vocabulary([bytes([byte]) for byte in range(256)], eos_token_ids=[10])
    with pytest.raises(rellm.VocabularyError, match="another vocabulary"):
        CompiledConstraint.load(tmp_path / "pet", other)
    (tmp_path / "wrong").write_text("{}")
    with pytest.raises(ValueError, match=r"wrong is no file that CompiledConstraint\.save wrote"):
        CompiledConstraint.load(tmp_path / "wrong", vocabulary)
