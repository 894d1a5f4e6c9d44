"""mistral-common: Tekken, a byte vocabulary behind its special tokens, and sentencepiece."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from rellm._tokenizers import from_sentencepiece
from rellm._tokenizers.from_tiktoken import ranks_content
from rellm._tokenizers.tokenizer_facts import Reading, Tokens


def reading(tokenizer: Any) -> Reading:
    # A MistralTokenizer holds an instruct tokenizer, which holds the tokenizer itself.
    inner = getattr(tokenizer, "instruct_tokenizer", tokenizer)
    inner = getattr(inner, "tokenizer", inner)
    if hasattr(inner, "num_special_tokens") and hasattr(inner, "id_to_byte_piece"):
        return _tekken(inner)
    if hasattr(getattr(inner, "_model", None), "serialized_model_proto"):
        return replace(from_sentencepiece.reading(inner._model), eos_token_ids=[inner.eos_id])
    raise TypeError(f"a tokenizer of mistral-common was expected, not {type(tokenizer).__name__}")


def _tekken(tekken: Any) -> Reading:
    shift: int = tekken.num_special_tokens
    size: int = tekken.n_words
    ranks: dict[bytes, int] = tekken._tekken_token2id_nospecial

    def special() -> dict[str, int]:
        return {tekken.id_to_piece(token): token for token in range(shift)}

    def tokens() -> Tokens:
        table: Tokens = [None] * size
        for data, rank in ranks.items():
            table[shift + rank] = data
        return table

    def content() -> Iterable[bytes]:
        yield repr((shift, size, special())).encode("utf-8", "backslashreplace")
        yield from ranks_content(ranks)

    return Reading(
        state=(shift, size),
        eos_token_ids=[tekken.eos_id],
        content=content,
        tokens=tokens,
        special=special,
        name=lambda token: repr(tekken.id_to_byte_piece(token)),
        encode=lambda text: list(tekken.encode(text, bos=False, eos=False)),
        decode=lambda ids: str(tekken.decode(ids)),
    )
