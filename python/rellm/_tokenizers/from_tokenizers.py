"""tokenizers: the model's pieces by id, through the decoder."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rellm._tokenizers.decoder import decode_each
from rellm._tokenizers.tokenizer_facts import Reading, Tokens


def reading(tokenizer: Any, special: Iterable[int] = ()) -> Reading:
    """Reads a `tokenizers.Tokenizer`; `special` are further ids that its wrapper counts as special."""
    added = tokenizer.get_added_tokens_decoder()
    never_text = frozenset(special) | {token for token, about in added.items() if about.special}
    decoder = tokenizer.decoder
    decoder_state: bytes = b"" if decoder is None else decoder.__getstate__()

    def tokens() -> Tokens:
        pieces = _pieces(tokenizer)
        ids = [token for token, piece in enumerate(pieces) if piece is not None and token not in never_text]
        table: Tokens = [None] * len(pieces)
        for token, data in zip(ids, decode_each(decoder, [pieces[token] or "" for token in ids]), strict=True):
            table[token] = data
        return table

    def content() -> Iterable[bytes]:
        yield tokenizer.model.__getstate__()
        yield decoder_state
        yield repr(sorted((token, about.content) for token, about in added.items())).encode("utf-8", "replace")
        yield repr(sorted(never_text)).encode()

    return Reading(
        state=(tokenizer.get_vocab_size(with_added_tokens=True), never_text, decoder_state),
        eos_token_ids=[],
        content=content,
        tokens=tokens,
        special=lambda: {name: token for token in never_text if (name := tokenizer.id_to_token(token))},
        name=lambda token: repr(tokenizer.id_to_token(token)),
        encode=lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids),
        decode=lambda ids: str(tokenizer.decode(ids, skip_special_tokens=False)),
    )


def _pieces(tokenizer: Any) -> list[str | None]:
    """The pieces by id, with None in the gaps. Where an id has two pieces, it is the one that decodes."""
    pieces = list(map(tokenizer.id_to_token, range(tokenizer.get_vocab_size(with_added_tokens=True))))
    if None in pieces:  # there are gaps, so that there may be ids above
        highest = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)
        pieces += map(tokenizer.id_to_token, range(len(pieces), highest + 1))
        while pieces and pieces[-1] is None:
            pieces.pop()
    return pieces
