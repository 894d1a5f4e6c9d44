"""Checks and unwraps the model and the tokenizer of a user, and reads end-of-sequence ids and logits width."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import Any


def with_generate(model: Any) -> Any:
    """The model, or the one inside a wrapper for several devices.

    Raises:
        TypeError: it is not a model; the message says what to pass instead.
    """
    if hasattr(model, "model") and hasattr(model, "tokenizer") and hasattr(model, "preprocess"):
        raise TypeError(
            f"the model is {type(model).__name__}, which has no generate of a model: "
            "a pipeline goes to rellm.Generator.from_pipeline(pipeline)"
        )
    inner = getattr(model, "module", None)  # DataParallel and its kin
    if not hasattr(model, "generate") and hasattr(inner, "generate"):
        model = inner
    if not hasattr(model, "generate"):
        load = repr(model) if isinstance(model, str) else "…"
        raise TypeError(
            f"the model is {type(model).__name__}, which has no generate: pass a transformers model, loaded with "
            f"transformers.AutoModelForCausalLM.from_pretrained({load})"
        )
    if not hasattr(model, "generation_config") or not hasattr(model, "config"):
        raise TypeError(
            f"the model is {type(model).__name__}, which has a generate and no generation_config: pass the "
            "transformers model that it wraps"
        )
    return model


def text_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer, or that of a processor of text and images.

    Raises:
        TypeError: it cannot be called.
    """
    inner = tokenizer if hasattr(tokenizer, "convert_ids_to_tokens") else getattr(tokenizer, "tokenizer", tokenizer)
    if not callable(inner):
        raise TypeError(f"the tokenizer is {type(tokenizer).__name__}: load it with AutoTokenizer.from_pretrained(…)")
    return inner


def unpadded_copy(tokenizer: Any) -> Any:
    """A private copy of a tokenizer, without padding and truncation; the tokenizer itself if it cannot be copied."""
    try:
        own = copy.deepcopy(tokenizer)
    except Exception:  # libraries raise errors of any type
        return tokenizer
    behind = getattr(own, "backend_tokenizer", None)
    for name in ("no_padding", "no_truncation"):
        if hasattr(behind, name):
            getattr(behind, name)()
    return own


def eos_ids(model: Any, tokenizer: Any) -> list[int] | None:
    """All ids that end a text: a model may name more of them than its tokenizer."""
    ids: set[int] = set()
    with suppress(AttributeError):
        named = model.generation_config.eos_token_id
        ids |= {named} if isinstance(named, int) else set(named or ())
    own = getattr(tokenizer, "eos_token_id", None)
    if not ids and isinstance(own, int):
        ids.add(own)
    return sorted(ids) or None


def logits_width(model: Any) -> int | None:
    """The number of logits of the model: tokens with a higher id cannot be written."""
    with suppress(AttributeError):
        size = model.config.get_text_config().vocab_size
        return int(size) if size else None
    return None
