"""Where the end of a JSON text stands, told byte by byte, against the parsed value."""

from __future__ import annotations

import json
import random
from typing import Any

import random_schemas
from rellm._constraints.json_schema.json_place import JsonPlace


def leaves(value: Any, pointer: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        names = [(str(key).replace("~", "~0").replace("/", "~1"), held) for key, held in value.items()]
    elif isinstance(value, list):
        names = [(str(index), held) for index, held in enumerate(value)]
    else:
        return [(pointer, value)]
    return [leaf for name, held in names for leaf in leaves(held, f"{pointer}/{name}")]


def test_every_leaf_is_found_under_its_pointer_and_has_its_bytes():
    rng = random.Random(5)
    for number in range(300):
        value = {"a/b~c": random_schemas.value(rng), "list": [random_schemas.value(rng), '}{\\"][']}
        text = json.dumps(value, ensure_ascii=number % 2 == 0, indent=rng.choice([None, 2]))
        place, spelled = JsonPlace(), {}
        for byte in text.encode():
            for pointer in place.read(bytes([byte])):
                spelled[pointer] = spelled.get(pointer, b"") + bytes([byte])
        # A number is ended by what follows it, which counts as part of it.
        found = [(pointer, json.loads(data.strip(b",]} \n"))) if not data.startswith(b'"') else
                 (pointer, json.loads(data)) for pointer, data in spelled.items()]  # fmt: skip
        assert found == leaves(value)
        assert place.pointer == ""


def test_a_piece_that_holds_several_leaves_names_them_in_order():
    place = JsonPlace()
    assert place.read(b'{"a": [1, "x') == ["/a/0", "/a/1"]
    assert (place.pointer, place.in_string) == ("/a/1", True)
    assert place.read(b'y"], "b') == ["/a/1"]
    assert (place.pointer, place.in_string) == ("", False)
    assert place.read(b'": nu') == ["/b"]
    assert place.read(b"ll}") == ["/b"]


def test_a_fence_is_passed_over():
    place = JsonPlace()
    assert place.read(b'```json\n{"n": 1}\n```') == ["/n"]
