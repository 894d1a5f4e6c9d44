"""sentencepiece: pieces with `▁` for a space, bytes as `<0x0A>`."""

from __future__ import annotations

from typing import Any

from rellm._tokenizers.notations import byte_of
from rellm._tokenizers.tokenizer_facts import Reading, Tokens

SPACE = "▁"


def reading(processor: Any) -> Reading:
    if not hasattr(processor, "serialized_model_proto"):
        raise TypeError(f"a sentencepiece.SentencePieceProcessor was expected, not {type(processor).__name__}")
    eos: int = processor.eos_id()
    return Reading(
        state=processor.get_piece_size(),
        eos_token_ids=[eos] if eos >= 0 else [],
        content=lambda: [processor.serialized_model_proto()],
        tokens=lambda: tokens(processor),
        special=lambda: special(processor),
        name=lambda token: repr(processor.id_to_piece(token)),
        encode=lambda text: list(processor.encode(text)),
        decode=lambda ids: str(processor.decode(ids)),
    )


def special(processor: Any) -> dict[str, int]:
    """The control pieces and the unknown one."""
    ids = list(range(processor.get_piece_size()))
    pieces: list[str] = processor.id_to_piece(ids)
    never_text = zip(processor.is_control(ids), processor.is_unknown(ids), strict=True)
    return {piece: token for token, piece, never in zip(ids, pieces, never_text, strict=True) if any(never)}


def tokens(processor: Any) -> Tokens:
    """The bytes of all pieces. Those of control pieces and of the unknown one are never text."""
    ids = list(range(processor.get_piece_size()))
    pieces: list[str] = processor.id_to_piece(ids)
    never_text = zip(processor.is_control(ids), processor.is_unknown(ids), strict=True)
    is_byte: list[bool] = processor.is_byte(ids)
    return [
        None if any(never) else (byte and byte_of(piece)) or piece.replace(SPACE, " ").encode()
        for piece, byte, never in zip(pieces, is_byte, never_text, strict=True)
    ]
