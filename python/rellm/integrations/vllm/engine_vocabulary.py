"""The vocabulary of a vLLM engine: its tokenizer's bytes, the model's width, and every id that ends a text."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, Final

from rellm._vocabulary import Vocabulary

_MOST: Final = 8
_known: OrderedDict[tuple[int, int, frozenset[int]], tuple[Any, Vocabulary]] = OrderedDict()
_lock = threading.Lock()


def engine_vocabulary(
    tokenizer: Any, model_config: Any, size: int | None = None, stop_token_ids: Iterable[int] = ()
) -> Vocabulary:
    """The vocabulary for which a request is compiled. A few are cached.

    Args:
        tokenizer: vLLM's.
        model_config: vLLM's; the generation configuration of the model may name more ids that end a text.
        size: the number of the model's ids, padding included; by default the configuration's.
        stop_token_ids: further ids that end this request's text: as end-of-sequence tokens they are masked until the
            text matches, and are not text.

    Raises:
        VocabularyError: the bytes of the tokens cannot be determined.
    """
    size = model_config.get_vocab_size() if size is None else size
    stops = frozenset(int(token_id) for token_id in stop_token_ids if 0 <= int(token_id) < size)
    plain = _kept((id(tokenizer), size, frozenset()), tokenizer, lambda: _read(tokenizer, model_config, size))
    more = stops.difference(plain.eos_token_ids)
    if not more:
        return plain
    return _kept((id(tokenizer), size, more), tokenizer, lambda: with_further_ends(plain, more))


def with_further_ends(vocabulary: Vocabulary, token_ids: Iterable[int]) -> Vocabulary:
    """The same vocabulary in which further tokens end a text."""
    tokens = [vocabulary.token_bytes(token_id) for token_id in range(len(vocabulary))]
    return Vocabulary(tokens, [*vocabulary.eos_token_ids, *token_ids], vocabulary.special_tokens)


def _kept(key: tuple[int, int, frozenset[int]], tokenizer: Any, build: Any) -> Vocabulary:
    with _lock:
        found = _known.get(key)
        if found is not None:
            _known.move_to_end(key)
            return found[1]
    vocabulary: Vocabulary = build()
    with _lock:
        _known[key] = tokenizer, vocabulary  # a reference to the tokenizer, so that its `id()` is not reused
        while len(_known) > _MOST:
            _known.popitem(last=False)
    return vocabulary


def _read(tokenizer: Any, model_config: Any, size: int) -> Vocabulary:
    own = getattr(tokenizer, "eos_token_id", None)
    generation = (model_config.try_get_generation_config() or {}).get("eos_token_id")
    ends = {
        int(token_id)
        for given in (own, generation)
        for token_id in (given if isinstance(given, (list, tuple)) else [given])
        if token_id is not None
    }
    # vLLM's wrapper of mistral-common has that library's own tokenizer.
    readable = tokenizer.mistral if getattr(tokenizer, "IS_MISTRAL_TOKENIZER", False) else tokenizer
    return Vocabulary.from_tokenizer(readable, eos_token_ids=sorted(ends) or None, size=size)
