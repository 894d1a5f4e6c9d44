"""A tokenizer's vocabulary: bytes by token id, built once and shared."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from rellm import _core
from rellm._errors import VocabularyError


class Vocabulary:
    """What each token of a tokenizer writes, in bytes. Immutable and thread-safe.

    Args:
        tokens: the bytes of each token, by its id. None is a token that is never text: a special one, or a gap.
        eos_token_ids: the tokens that end a text. They are special, also where they have bytes.

    Raises:
        VocabularyError: there is no token, an EOS id is not one of theirs, or the vocabulary is too large.
        TypeError: a token is neither bytes nor None, or an EOS id is no whole number.
    """

    __slots__ = ("__weakref__", "_native", "fingerprint")

    fingerprint: bytes
    """16 bytes: equal for equal content."""

    def __init__(self, tokens: Sequence[bytes | None], eos_token_ids: int | Iterable[int] | None = None) -> None:
        if not isinstance(tokens, Iterable) or isinstance(tokens, (str, bytes, bytearray, memoryview, Mapping)):
            raise TypeError(f"tokens is a list of the bytes of each token, by its id, not {type(tokens).__name__}")
        tokens = list(tokens)
        eos = _ids(eos_token_ids) or []
        for token_id in eos:
            if tokens and not 0 <= token_id < len(tokens):
                raise VocabularyError(
                    f"eos_token_ids: {token_id} is not a token, ids go from 0 to {len(tokens) - 1}"
                    + ("; give tokens an entry for it, None for a special token" if token_id > 0 else "")
                )
        self._native = _core.Vocabulary(tokens, eos if tokens else [])  # none at all is refused there
        self.fingerprint = bytes(self._native.fingerprint)

    @classmethod
    def from_tokenizer(
        cls, tokenizer: Any, eos_token_ids: int | Iterable[int] | None = None, size: int | None = None
    ) -> Self:
        """The vocabulary of a tokenizer, from its own model and decoder.

        It is built once a tokenizer and kept with it, and kept on disk for the next process
        (`$XDG_CACHE_HOME/rellm`; set `RELLM_CACHE=0` to do without).

        Args:
            tokenizer: of transformers, tokenizers, tiktoken, sentencepiece or mistral-common.
            eos_token_ids: the tokens that end a text; by default the tokenizer's. A model may have more than its
                tokenizer: they stand in its `generation_config.eos_token_id`.
            size: how many ids the model has, where they are more or fewer than the tokenizer's.

        Raises:
            VocabularyError: the tokens cannot be told in bytes; the message names the token and says why.
            TypeError: this is not a tokenizer of these libraries.
        """
        from rellm._tokenizers import read

        return cls._of(read(tokenizer, _ids(eos_token_ids), size))

    @classmethod
    def _of(cls, native: _core.Vocabulary) -> Self:
        vocabulary = cls.__new__(cls)
        vocabulary._native = native
        vocabulary.fingerprint = bytes(native.fingerprint)
        return vocabulary

    @property
    def eos_token_ids(self) -> list[int]:
        """The tokens that end a text, ascending."""
        return self._native.eos_token_ids

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory."""
        return self._native.memory_bytes

    def token_bytes(self, token_id: int) -> bytes | None:
        """What a token writes; None for a special one. IndexError where the id is out of range."""
        return self._native.token_bytes(token_id)

    def tokens_bytes(self, ids: Iterable[int]) -> bytes:
        """What a sequence of tokens writes; special ones write nothing."""
        return self._native.tokens_bytes(ids)

    def __len__(self) -> int:
        return len(self._native)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return (_from_bytes, (self._native.to_bytes(),))

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} tokens, eos_token_ids={self.eos_token_ids}>"


def as_vocabulary(vocab_or_tokenizer: Any) -> Vocabulary:
    """What a user may give where a vocabulary is asked for: a tokenizer stands for its own."""
    if isinstance(vocab_or_tokenizer, Vocabulary):
        return vocab_or_tokenizer
    return Vocabulary.from_tokenizer(vocab_or_tokenizer)


def _from_bytes(data: bytes) -> Vocabulary:
    return Vocabulary._of(_core.Vocabulary.from_bytes(data))


def _ids(eos_token_ids: int | Iterable[int] | None) -> list[int] | None:
    if eos_token_ids is None:
        return None
    is_one = isinstance(eos_token_ids, str) or not isinstance(eos_token_ids, Iterable)
    found: list[Any] = [eos_token_ids] if is_one else list(eos_token_ids)  # type: ignore[arg-type]
    for token_id in found:
        if isinstance(token_id, bool) or not hasattr(token_id, "__index__"):
            raise TypeError(
                f"eos_token_ids: a token id is a whole number, not {token_id!r}"
                + (": a tokenizer's convert_tokens_to_ids tells them" if isinstance(token_id, str) else "")
            )
    return [operator.index(token_id) for token_id in found]
