"""The vocabulary of each family's tokenizer, built once."""

from __future__ import annotations

import functools
from typing import Any

import rellm
from families import Family, family


def vocabulary_of(of: Family) -> Any:
    return _vocabulary(of.name)


@functools.cache
def _vocabulary(name: str) -> rellm.Vocabulary:
    return rellm.Vocabulary.from_tokenizer(family(name).tokenizer)
