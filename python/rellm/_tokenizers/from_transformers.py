"""transformers: reads the library behind a tokenizer (tokenizers, sentencepiece, mistral-common), or its own code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, TypeAlias

from rellm._errors import VocabularyError
from rellm._tokenizers import from_mistral, from_sentencepiece, from_tokenizers
from rellm._tokenizers.notations import from_byte_level
from rellm._tokenizers.tokenizer_facts import Reading, Tokens

_Piece: TypeAlias = str | bytes


def reading(tokenizer: Any) -> Reading:
    if not hasattr(tokenizer, "convert_ids_to_tokens"):
        inner = getattr(tokenizer, "tokenizer", None)  # a processor of text and images
        if hasattr(inner, "convert_ids_to_tokens"):
            return reading(inner)
        raise TypeError(f"a tokenizer of transformers was expected, not {type(tokenizer).__name__}")
    if type(tokenizer).__name__ == "MistralCommonBackend":
        return from_mistral.reading(tokenizer.tokenizer)
    special = frozenset(tokenizer.all_special_ids)
    eos = tokenizer.eos_token_id
    if getattr(tokenizer, "is_fast", False):
        behind = from_tokenizers.reading(tokenizer.backend_tokenizer, special)
    else:
        behind = _of_python(tokenizer, special)
    return replace(
        behind,
        eos_token_ids=[] if eos is None else [eos] if isinstance(eos, int) else list(eos),
        encode=lambda text: list(tokenizer.encode(text, add_special_tokens=False)),
        decode=lambda ids: str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)),
    )


def _of_python(tokenizer: Any, special: frozenset[int]) -> Reading:
    """A slow tokenizer: Python code that turns ids into pieces and pieces into text."""
    added = tokenizer.added_tokens_decoder
    never_text = special | {token for token, about in added.items() if about.special}

    def pieces() -> list[_Piece | None]:
        size = max(len(tokenizer), 1 + max((*tokenizer.get_vocab().values(), *added), default=-1))
        return [_piece(tokenizer, token) for token in range(size)]

    def specials() -> dict[str, int]:
        names = {name: token for token in never_text if isinstance(name := _piece(tokenizer, token), str)}
        found = pieces()
        if _are_bytes(found):  # the strings among them are tokens that were added to the vocabulary
            names |= {
                piece: token
                for token, piece in enumerate(found)
                if isinstance(piece, str) and piece and token not in added
            }
        return names

    def tokens() -> Tokens:
        found = pieces()
        if _are_bytes(found):
            return _of_bytes(found, {*never_text, *specials().values()})
        ids = [token for token, piece in enumerate(found) if piece is not None and token not in never_text]
        table: Tokens = [None] * len(found)
        for token, data in zip(ids, _bytes_of(tokenizer, [str(found[token]) for token in ids], ids), strict=True):
            table[token] = data
        return table

    def content() -> Iterable[bytes]:
        kind = type(tokenizer)
        yield f"{kind.__module__}.{kind.__qualname__}\0{sorted(never_text)}".encode()
        yield repr(pieces()).encode("utf-8", "backslashreplace")

    return Reading(
        state=(len(tokenizer), never_text),
        eos_token_ids=[],
        content=content,
        tokens=tokens,
        special=specials,
        name=lambda token: repr(tokenizer.convert_ids_to_tokens(token)),
        encode=lambda _: [],
        decode=lambda _: "",
    )


def _piece(tokenizer: Any, token: int) -> _Piece | None:
    try:
        piece: _Piece | None = tokenizer.convert_ids_to_tokens(token)
    except (KeyError, IndexError, ValueError, OverflowError):
        return None  # a gap
    return piece


def _are_bytes(pieces: list[_Piece | None]) -> bool:
    """Whether the pieces of a vocabulary are bytes objects, as in the first Qwen and in GLM-4."""
    return any(isinstance(piece, bytes) for piece in pieces)


def _of_bytes(pieces: list[_Piece | None], special: set[int]) -> Tokens:
    """The bytes of pieces that are bytes; a string among them is an added token, an empty one a gap."""
    return [
        None if token in special or not piece else piece if isinstance(piece, bytes) else piece.encode()
        for token, piece in enumerate(pieces)
    ]


def _bytes_of(tokenizer: Any, pieces: list[str], ids: list[int]) -> list[bytes]:
    if hasattr(getattr(tokenizer, "sp_model", None), "serialized_model_proto"):
        by_piece = _of_sentencepiece(tokenizer.sp_model)
        return [by_piece.get(piece) or piece.encode() for piece in pieces]  # the others are added tokens
    if getattr(tokenizer, "byte_decoder", None):
        return from_byte_level(pieces)
    if getattr(tokenizer, "_utf_vocab_size", None) == 256:  # ByT5: a character below U+0100 is a byte
        added = tokenizer.added_tokens_decoder
        return [
            piece.encode("latin-1") if len(piece) == 1 and token not in added else piece.encode()
            for piece, token in zip(pieces, ids, strict=True)
        ]
    return _between_others(tokenizer, pieces, ids)


def _of_sentencepiece(processor: Any) -> dict[str, bytes]:
    names = processor.id_to_piece(list(range(processor.get_piece_size())))
    found = zip(names, from_sentencepiece.tokens(processor), strict=True)
    return {name: data for name, data in found if data is not None}


def _between_others(tokenizer: Any, pieces: list[str], ids: list[int]) -> list[bytes]:
    """The text that each piece adds between two others, by the tokenizer's own code."""
    pivot = next(
        (piece for piece in pieces if tokenizer.convert_tokens_to_string([piece]) == piece and piece.isalpha()), None
    )
    if pivot is None:
        raise VocabularyError(
            f"{type(tokenizer).__name__}: no token stands for a letter as it is, so that nothing tells what tokens "
            "write; build a rellm.Vocabulary from the bytes of each token"
        )
    after = tokenizer.convert_tokens_to_string([pivot, pivot])[len(pivot) :]
    found = []
    for piece, token in zip(pieces, ids, strict=True):
        text = tokenizer.convert_tokens_to_string([pivot, piece, pivot])
        if not (text.startswith(pivot) and text.endswith(after) and len(text) >= len(pivot) + len(after)):
            raise VocabularyError(
                f"token {token} ({piece!r}) changes what stands beside it: {type(tokenizer).__name__} writes "
                f"{[pivot, piece, pivot]} as {text!r}, so that the token has no bytes of its own"
            )
        found.append(text[len(pivot) : len(text) - len(after)].encode("utf-8", "replace"))
    return found
