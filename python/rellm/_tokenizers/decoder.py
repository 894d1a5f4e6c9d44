"""The decoders of `tokenizers`: the bytes that each token of the model adds to a text.

A decoder is applied to all tokens of a text in turn, and it may treat the first token differently: it drops the leading
space there. We read the bytes of a token in the middle of a text; a leading space of the first token is the only
difference that is accepted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from rellm._errors import VocabularyError
from rellm._tokenizers.notations import byte_of, from_byte_level

_Token: TypeAlias = str | bytes
"""Text that later steps decode further, or bytes, which they leave unchanged."""


def decode_each(decoder: Any, pieces: list[str]) -> list[bytes]:
    """The bytes of each piece under a decoder of `tokenizers` (None: it has none)."""
    if decoder is None:
        return [b" " + piece.encode("utf-8", "replace") for piece in pieces]  # tokens are joined by spaces
    tokens: list[_Token] = list(pieces)
    joined = False  # whether the next steps see one joined text instead of tokens
    for step in _steps(json.loads(decoder.__getstate__())):
        if joined:
            tokens = _apply_after_join(step, tokens)
            continue
        tokens, joined = _apply(step, tokens)
    return [token if isinstance(token, bytes) else token.encode("utf-8", "replace") for token in tokens]


def _steps(state: dict[str, Any]) -> list[dict[str, Any]]:
    if state["type"] != "Sequence":
        return [state]
    return [step for inner in state["decoders"] for step in _steps(inner)]


def _apply(step: dict[str, Any], tokens: list[_Token]) -> tuple[list[_Token], bool]:
    kind = step["type"]
    if kind == "ByteLevel":
        return list(from_byte_level(_as_text(tokens, kind))), True
    if kind == "ByteFallback":
        return [(isinstance(token, str) and byte_of(token)) or token for token in tokens], False
    if kind == "Fuse":
        return tokens, True
    if kind == "Metaspace":
        return _each(tokens, lambda token: token.replace(step["replacement"], " ")), False
    if kind == "Replace" and "String" in step["pattern"]:
        old, new = step["pattern"]["String"], step["content"]
        return _each(tokens, lambda token: token.replace(old, new)), False
    if kind == "Strip":
        start, stop = (step["content"] * step[end] for end in ("start", "stop"))
        return _each(_as_text(tokens, kind), lambda token: _stripped(token, start, stop)), False
    if kind in ("Replace", "WordPiece"):
        return _each(_as_text(tokens, kind), _library_step(step)), False
    if kind == "BPEDecoder":
        raise VocabularyError(
            f"the decoder of this tokenizer, BPEDecoder, ends each word that has {step['suffix']!r} with a space, "
            "but not the last one, so that a token has no bytes of its own: only a tokenizer that writes the space "
            "before a word can be constrained"
        )
    raise VocabularyError(
        f"the decoder of this tokenizer, {kind}, looks at several tokens together, so that a token has no bytes of "
        "its own"
    )


def _apply_after_join(step: dict[str, Any], tokens: list[_Token]) -> list[_Token]:
    """Applies a step for joined text token by token: the result is the same for steps on single characters."""
    kind = step["type"]
    if kind in ("Fuse", "ByteFallback"):
        return tokens  # nothing is left to do
    if kind == "ByteLevel":  # transformers 5.0 to 5.14 put it behind a Fuse when they read a GGUF file
        return tokens if any(isinstance(token, bytes) for token in tokens) else list(from_byte_level(tokens))  # type: ignore[arg-type]
    if kind == "Strip" and step["content"] == " " and not step["stop"]:
        return tokens  # the first token's space
    if kind == "Replace" and len(step["pattern"].get("String", "")) == 1:
        old, new = step["pattern"]["String"], step["content"]
        return [
            token.replace(old, new) if isinstance(token, str) else token.replace(old.encode(), new.encode())
            for token in tokens
        ]
    raise VocabularyError(
        f"the decoder of this tokenizer changes whole texts ({json.dumps(step)}), so that a token has no bytes of its "
        "own"
    )


def _each(tokens: list[_Token], change: Callable[[str], str]) -> list[_Token]:
    return [change(token) if isinstance(token, str) else token for token in tokens]


def _as_text(tokens: list[_Token], kind: str) -> list[Any]:
    if not all(isinstance(token, str) for token in tokens):
        raise VocabularyError(f"the decoder of this tokenizer has {kind} after ByteFallback, which would change bytes")
    return tokens


def _stripped(token: str, start: str, stop: str) -> str:
    """Strips characters at both ends: at most as many of each as the strings `start` and `stop` are long."""
    for _ in start:
        token = token.removeprefix(start[0])
    for _ in stop:
        token = token.removesuffix(stop[0])
    return token


def _library_step(step: dict[str, Any]) -> Callable[[str], str]:
    """The library's own step, applied to a token that follows another one."""
    from tokenizers import Regex, decoders

    if step["type"] == "WordPiece":
        wordpiece = decoders.WordPiece(step["prefix"], step["cleanup"])
        return lambda token: wordpiece.decode(["x", token])[1:]
    replace = decoders.Replace(Regex(step["pattern"]["Regex"]), step["content"])
    return lambda token: replace.decode([token])
