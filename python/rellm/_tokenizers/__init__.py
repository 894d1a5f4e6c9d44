"""Vocabularies of tokenizers, one file a library."""

from __future__ import annotations

from typing import Any

from rellm import _core


def read(tokenizer: Any, eos_token_ids: list[int] | None, size: int | None) -> _core.Vocabulary:
    raise TypeError(f"not a tokenizer: {type(tokenizer).__name__}")
