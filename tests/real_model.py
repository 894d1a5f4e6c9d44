"""The real model of the tests: SmolLM2-135M-Instruct, loaded once."""

from __future__ import annotations

from functools import cache
from typing import Any

from rellm._demo_model import model_folder


@cache
def folder() -> str:
    return str(model_folder())


@cache
def pipeline() -> Any:
    import transformers

    return transformers.pipeline("text-generation", model=folder(), max_new_tokens=200)
