"""Vocabularies of tokenizers: bytes by id, from a tokenizer's own model and decoder.

Each library has one file, which reads its tokenizers into a `Reading` (`tokenizer_facts`) and imports the library only
when it is given such a tokenizer. The tokens of a reading are compared with the tokenizer's own decoding (`verify`);
the vocabulary is kept with the tokenizer and on disk (`vocabulary_cache`).
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rellm._tokenizers.tokenizer_facts import Reading
from rellm._tokenizers.vocabulary_cache import kept
from rellm._vocabulary import NeverText, Vocabulary

# Keys are packages: that of the tokenizer's class, or of one of its bases.
_READERS = {
    "transformers": "rellm._tokenizers.from_transformers",
    "tokenizers": "rellm._tokenizers.from_tokenizers",
    "tiktoken": "rellm._tokenizers.from_tiktoken",
    "sentencepiece": "rellm._tokenizers.from_sentencepiece",
    "mistral_common": "rellm._tokenizers.from_mistral",
}


def read(tokenizer: Any, eos_token_ids: list[int] | None, size: int | None, never_text: NeverText | None) -> Vocabulary:
    """The vocabulary of a tokenizer; made once and kept."""
    return kept(tokenizer, reading_of(tokenizer), eos_token_ids, size, never_text)


def reading_of(tokenizer: Any) -> Reading:
    """The facts of a tokenizer, by the reader of its library."""
    for base in type(tokenizer).__mro__:
        module = _READERS.get(base.__module__.partition(".")[0])
        if module is not None:
            reading: Reading = import_module(module).reading(tokenizer)
            return reading
    raise TypeError(
        f"not a tokenizer that rellm knows: {type(tokenizer).__module__}.{type(tokenizer).__qualname__}. "
        "It reads those of transformers, tokenizers, tiktoken, sentencepiece and mistral-common; "
        + (
            "load the tokenizer first: transformers.AutoTokenizer.from_pretrained(...)"
            if isinstance(tokenizer, str)
            else "for others, build a rellm.Vocabulary from the bytes of each token"
        )
    )
