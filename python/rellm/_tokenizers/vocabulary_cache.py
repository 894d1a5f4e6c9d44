"""Vocabularies that were made before: with their tokenizer in memory, and on disk by their content."""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Hashable
from pathlib import Path
from threading import Lock
from typing import Any

from rellm import _core, _disk
from rellm._errors import VocabularyError
from rellm._tokenizers.tokenizer_facts import Reading, Tokens
from rellm._tokenizers.verify import check

# Raise it when the bytes that are read from the same tokenizer change.
_FORMAT = b"rellm vocabulary 1"
_MOST_BYTES_ON_DISK = 256 << 20
_MOST_A_TOKENIZER = 8

_lock = Lock()
_in_memory: dict[int, tuple[weakref.ref[Any], dict[Hashable, _core.Vocabulary]]] = {}


def kept(tokenizer: Any, reading: Reading, eos_token_ids: list[int] | None, size: int | None) -> _core.Vocabulary:
    """The vocabulary of a tokenizer, from memory, from disk, or made now."""
    if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
        raise ValueError(f"size is the number of ids that the model has, not {size!r}")
    state = (reading.state, tuple(reading.eos_token_ids if eos_token_ids is None else eos_token_ids), size)
    with _lock:
        entry = _in_memory.get(id(tokenizer))
        if entry is not None and entry[0]() is tokenizer and state in entry[1]:
            return entry[1][state]
    vocabulary = _from_disk(reading, eos_token_ids, size)
    key = id(tokenizer)

    def forget(gone: weakref.ref[Any]) -> None:
        with _lock:
            found = _in_memory.get(key)
            if found is not None and found[0] is gone:
                del _in_memory[key]

    with _lock:
        entry = _in_memory.get(key)
        if entry is None or entry[0]() is not tokenizer:
            entry = _in_memory[key] = (weakref.ref(tokenizer, forget), {})
        while len(entry[1]) >= _MOST_A_TOKENIZER:
            del entry[1][next(iter(entry[1]))]
        return entry[1].setdefault(state, vocabulary)


def _from_disk(reading: Reading, eos_token_ids: list[int] | None, size: int | None) -> _core.Vocabulary:
    path = _path(reading, eos_token_ids, size)
    data = None if path is None else _disk.read(path)
    if data is not None:
        try:
            return _core.Vocabulary.from_bytes(data)
        except VocabularyError:
            pass  # not whole: made again, and written over
    vocabulary = _made(reading, eos_token_ids, size)
    if path is not None:
        _disk.write(path, vocabulary.to_bytes())
        _disk.keep_within(path.parent, _MOST_BYTES_ON_DISK)
    return vocabulary


def _path(reading: Reading, eos_token_ids: list[int] | None, size: int | None) -> Path | None:
    folder = _disk.cache_folder()
    if folder is None:
        return None
    asked = repr((_core.__version__, reading.eos_token_ids, eos_token_ids, size)).encode()
    digest = hashlib.blake2b(digest_size=20)
    for part in (_FORMAT, asked, *reading.content()):
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return folder / "vocabularies" / f"{digest.hexdigest()}.vocabulary"


def _made(reading: Reading, eos_token_ids: list[int] | None, size: int | None) -> _core.Vocabulary:
    tokens = reading.tokens()
    check(tokens, reading)
    if size is not None:
        del tokens[size:]
        tokens += [None] * (size - len(tokens))
    return _core.Vocabulary(tokens, _eos(tokens, reading, eos_token_ids))


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
