"""A tokenizer's vocabulary: bytes by token id, special tokens by name, built once and shared."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Self, TypeAlias

from rellm import _core
from rellm._errors import VocabularyError
from rellm._special_tokens import default_never_text, named_special_tokens, unknown_special_token

NeverText: TypeAlias = Iterable[str | int | re.Pattern[str]]
"""Tokens by content, by id, or by a pattern that matches their content in full."""

_MAGIC = b"rellm vocabulary 3\n"
_SHOWN_NAMES = 8


class Vocabulary:
    """The bytes of each token of a tokenizer. Immutable and thread-safe.

    Args:
        tokens: the bytes of each token, by its id. None is a token that is never text: a special one, or a gap.
        eos_token_ids: the tokens that end a text. They are special, also where they have bytes.
        special_tokens: the ids of special tokens by their names, `{"<|im_end|>": 5}`. They are special, also where
            they have bytes. An EOS token with bytes has these as its name.

    Raises:
        VocabularyError: there is no token, an EOS id or a special token is not one of theirs, or the vocabulary is
            too large.
        TypeError: a token is neither bytes nor None, an id is no whole number, or a name is no string.
    """

    __slots__ = ("__weakref__", "_native", "_never_text", "_special", "fingerprint")

    fingerprint: bytes
    """16 bytes: equal for equal content, the names of special tokens included."""

    def __init__(
        self,
        tokens: Sequence[bytes | None],
        eos_token_ids: int | Iterable[int] | None = None,
        special_tokens: Mapping[str, int] | None = None,
    ) -> None:
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
        special = named_special_tokens(tokens, eos, special_tokens or {})
        for token_id in special.values():
            if tokens[token_id] is not None and token_id not in eos:
                tokens[token_id] = None
        native = _core.Vocabulary(tokens, eos if tokens else [])  # none at all is refused there
        self._fill(native, special, ())

    def _fill(self, native: _core.Vocabulary, special: Mapping[str, int], never_text: Iterable[int]) -> None:
        self._native = native
        self._special = MappingProxyType(dict(sorted(special.items(), key=lambda item: (item[1], item[0]))))
        self._never_text = tuple(sorted(never_text))
        self.fingerprint = bytes(native.fingerprint)
        if self._special:
            names = json.dumps(list(self._special.items())).encode()
            self.fingerprint = _digest(self.fingerprint + names)

    @classmethod
    def from_tokenizer(
        cls,
        tokenizer: Any,
        eos_token_ids: int | Iterable[int] | None = None,
        size: int | None = None,
        never_text: NeverText | None = None,
    ) -> Self:
        """The vocabulary of a tokenizer, from its own model and decoder.

        It is built once a tokenizer and kept with it, and kept on disk for the next process
        (`$XDG_CACHE_HOME/rellm`; set `RELLM_CACHE=0` to do without).

        Args:
            tokenizer: of transformers, tokenizers, tiktoken, sentencepiece or mistral-common.
            eos_token_ids: the tokens that end a text; by default the tokenizer's. A model may have more than its
                tokenizer: they stand in its `generation_config.eos_token_id`.
            size: the number of the model's ids, if they are more or fewer than the tokenizer's.
            never_text: tokens that are no text although the tokenizer does not mark them as special: their content
                (`"<|fim_middle|>"`), their ids, or patterns that match their content in full. By default
                `Vocabulary.default_never_text()`: unused and reserved tokens, markers of roles and of
                fill-in-the-middle, but not `<think>`, `</tool_call>` or `<td>`. A list replaces the default, `[]`
                switches it off; `[*Vocabulary.default_never_text(), "<think>"]` adds to it.

        Raises:
            VocabularyError: the tokens cannot be told in bytes, or `never_text` names a token that is not there; the
                message names the token and says why.
            TypeError: this is not a tokenizer of these libraries.
        """
        from rellm._tokenizers import read

        vocabulary = read(tokenizer, _ids(eos_token_ids), size, never_text)
        if cls is Vocabulary:
            return vocabulary  # type: ignore[return-value]  # one per tokenizer, shared by all callers
        return cls._of(vocabulary._native, vocabulary._special, vocabulary._never_text)

    @staticmethod
    def default_never_text() -> tuple[re.Pattern[str], ...]:
        """Patterns of tokens that `from_tokenizer` treats as special although the tokenizer does not mark them."""
        return default_never_text()

    @classmethod
    def _of(cls, native: _core.Vocabulary, special: Mapping[str, int], never_text: Iterable[int]) -> Self:
        vocabulary = cls.__new__(cls)
        vocabulary._fill(native, special, never_text)
        return vocabulary

    @property
    def eos_token_ids(self) -> list[int]:
        """The tokens that end a text, ascending."""
        return self._native.eos_token_ids

    @property
    def special_tokens(self) -> Mapping[str, int]:
        """The special tokens that have a name: their ids by their content, in the order of the ids."""
        return self._special

    @property
    def never_text(self) -> list[str]:
        """The content of the tokens that `never_text=` made special, in the order of their ids."""
        names = {token_id: name for name, token_id in self._special.items()}
        return [names[token_id] for token_id in self._never_text if token_id in names]

    def special_token_id(self, name: str) -> int:
        """The id of a special token.

        Args:
            name: its content, `"<|im_end|>"`.

        Raises:
            VocabularyError: there is none of this name. The message has the names that are nearest, or says that it
                is an ordinary token.
        """
        if not isinstance(name, str):
            raise TypeError(f"the name of a special token is a string, not {type(name).__name__} {name!r:.60}")
        found = self._special.get(name)
        if found is None:
            raise unknown_special_token(name, self._special, self._native)
        return found

    def special_token_name(self, token_id: int) -> str | None:
        """The name of a special token; None if it has none, or is text. IndexError if the id is out of range."""
        self._native.token_bytes(token_id)
        return next((name for name, known in self._special.items() if known == operator.index(token_id)), None)

    @property
    def memory_bytes(self) -> int:
        """Its memory, in bytes."""
        return self._native.memory_bytes

    def token_bytes(self, token_id: int) -> bytes | None:
        """The bytes of a token; None for a special one. IndexError if the id is out of range."""
        return self._native.token_bytes(token_id)

    def tokens_bytes(self, ids: Iterable[int]) -> bytes:
        """The bytes of a sequence of tokens; special ones have none."""
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
        return (from_stored, (self._to_bytes(),))

    def __repr__(self) -> str:
        parts = [f"{len(self)} tokens", f"eos_token_ids={self.eos_token_ids}"]
        if self._never_text:
            names = self.never_text
            more = f", … {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
            parts.append(f"never_text=[{', '.join(map(repr, names[:_SHOWN_NAMES]))}{more}]")
        return f"<Vocabulary of {', '.join(parts)}>"

    def _to_bytes(self) -> bytes:
        """For a cache on disk: magic, checksum (16 bytes), length of the names (4), names as JSON, the core's bytes."""
        names = json.dumps([list(self._special.items()), self._never_text]).encode()
        body = len(names).to_bytes(4, "little") + names + self._native.to_bytes()
        return _MAGIC + _digest(body) + body


def _digest(data: bytes) -> bytes:
    from hashlib import blake2b  # here: it takes a third of the time that an import of rellm may take

    return blake2b(data, digest_size=16).digest()


def as_vocabulary(vocab_or_tokenizer: Any) -> Vocabulary:
    """The vocabulary of an argument: itself, or that of a tokenizer."""
    if isinstance(vocab_or_tokenizer, Vocabulary):
        return vocab_or_tokenizer
    return Vocabulary.from_tokenizer(vocab_or_tokenizer)


def from_stored(data: bytes) -> Vocabulary:
    """The vocabulary that `_to_bytes` wrote.

    Raises:
        VocabularyError: the bytes are damaged, or written by another version.
    """
    head = len(_MAGIC) + 16
    body = data[head:]
    if not data.startswith(_MAGIC) or data[len(_MAGIC) : head] != _digest(body):
        raise VocabularyError("this stored vocabulary is damaged or of another version: build it anew")
    end = 4 + int.from_bytes(body[:4], "little")
    try:
        named, never_text = json.loads(body[4:end])
        special = {str(name): operator.index(token_id) for name, token_id in named}
        native = _core.Vocabulary.from_bytes(body[end:])
        known = set(never_text) <= set(special.values())
    except VocabularyError:
        raise
    except (ValueError, TypeError) as error:
        raise VocabularyError(f"this stored vocabulary cannot be read ({error}): build it anew") from None
    if not known or any(not 0 <= token_id < len(native) for token_id in special.values()):
        raise VocabularyError("the names in this stored vocabulary are not those of its tokens: build it anew")
    return Vocabulary._of(native, special, never_text)


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
