"""Caches vocabularies: in memory with their tokenizer, and on disk by a hash of their content."""

from __future__ import annotations

import hashlib
import re
import weakref
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from rellm import _core, _disk
from rellm._errors import VocabularyError
from rellm._fork import ForkSafeLock
from rellm._special_tokens import checked_never_text, named_special_tokens, tokens_never_text
from rellm._tokenizers.tokenizer_facts import Reading, Tokens
from rellm._tokenizers.verify import check
from rellm._vocabulary import NeverText, Vocabulary, from_stored

# Increase the number when a change of ours reads other bytes from the same tokenizer.
_FORMAT = b"rellm vocabulary 2"
_MOST_BYTES_ON_DISK = 256 << 20
_MOST_A_TOKENIZER = 8

_lock = ForkSafeLock()
_in_memory: dict[int, tuple[weakref.ref[Any], dict[Hashable, Vocabulary]]] = {}


def kept(
    tokenizer: Any, reading: Reading, eos_token_ids: list[int] | None, size: int | None, never_text: NeverText | None
) -> Vocabulary:
    """The vocabulary of a tokenizer, from memory, from disk, or made now."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"size is the number of ids that the model has, not {size!r}")
    wanted = checked_never_text(never_text)
    state = (
        reading.state,
        _spelled(wanted),
        tuple(reading.eos_token_ids if eos_token_ids is None else eos_token_ids),
        size,
    )
    with _lock:
        entry = _in_memory.get(id(tokenizer))
        if entry is not None and entry[0]() is tokenizer and state in entry[1]:
            return entry[1][state]
    vocabulary = _from_disk(reading, eos_token_ids, size, wanted)
    key = id(tokenizer)

    def forget(gone: weakref.ref[Any]) -> None:
        with _lock:
            found = _in_memory.get(key)
            if found is not None and found[0] is gone:
                del _in_memory[key]

    with _lock:
        entry = _in_memory.get(key)
        if entry is None or entry[0]() is not tokenizer:
            try:
                entry = _in_memory[key] = (weakref.ref(tokenizer, forget), {})
            except TypeError:  # older releases of tokenizers allow no weak reference: we cannot see when it is freed
                return vocabulary
        while len(entry[1]) >= _MOST_A_TOKENIZER:
            del entry[1][next(iter(entry[1]))]
        return entry[1].setdefault(state, vocabulary)


def _from_disk(
    reading: Reading, eos_token_ids: list[int] | None, size: int | None, never_text: NeverText
) -> Vocabulary:
    path = _path(reading, eos_token_ids, size, never_text)
    data = None if path is None else _disk.read(path)
    if data is not None:
        try:
            return from_stored(data)
        except VocabularyError:
            pass  # the file is broken: the vocabulary is made again and the file replaced
    vocabulary = _made(reading, eos_token_ids, size, never_text)
    if path is not None:
        _disk.write(path, vocabulary._to_bytes())
        _disk.keep_within(path.parent, _MOST_BYTES_ON_DISK)
    return vocabulary


def _path(reading: Reading, eos_token_ids: list[int] | None, size: int | None, never_text: NeverText) -> Path | None:
    folder = _disk.cache_folder()
    if folder is None:
        return None
    asked = repr((_core.__version__, reading.eos_token_ids, eos_token_ids, size, _spelled(never_text))).encode()
    digest = hashlib.blake2b(digest_size=20)
    for part in (_FORMAT, asked, *reading.content()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return folder / "vocabularies" / f"{digest.hexdigest()}.vocabulary"


def _made(reading: Reading, eos_token_ids: list[int] | None, size: int | None, never_text: NeverText) -> Vocabulary:
    tokens = reading.tokens()
    check(tokens, reading)
    special = reading.special()
    if size is not None:
        del tokens[size:]
        tokens += [None] * (size - len(tokens))
        special = {name: token for name, token in special.items() if token < size}
    never = tokens_never_text(tokens, special, never_text)
    eos = _eos(tokens, reading, eos_token_ids)
    special = {name: token for token, name in never.items()} | named_special_tokens(tokens, eos, special)
    for token in (*never, *special.values()):
        tokens[token] = None
    return Vocabulary._of(_core.Vocabulary(tokens, eos), special, never)


def _eos(tokens: Tokens, reading: Reading, asked: list[int] | None) -> list[int]:
    if asked is None:
        return [token for token in reading.eos_token_ids if 0 <= token < len(tokens)]
    for token in asked:
        if not 0 <= token < len(tokens):
            raise VocabularyError(
                f"eos_token_ids: {token} is not a token, ids go from 0 to {len(tokens) - 1}; "
                "where the model has more ids than its tokenizer, say size="
            )
    return asked


def _spelled(never_text: NeverText) -> tuple[Hashable, ...]:
    """Patterns as source and flags, because `repr` shortens a long pattern."""
    return tuple((item.pattern, item.flags) if isinstance(item, re.Pattern) else item for item in never_text)
