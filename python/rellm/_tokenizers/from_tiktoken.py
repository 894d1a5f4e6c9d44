"""tiktoken: an encoding holds its tokens as bytes already."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from rellm._errors import VocabularyError
from rellm._tokenizers.tokenizer_facts import Reading, Tokens


def reading(encoding: Any) -> Reading:
    if not hasattr(encoding, "decode_single_token_bytes"):
        raise TypeError(f"a tiktoken.Encoding was expected, not {type(encoding).__name__}")
    special: dict[str, int] = {name: encoding._special_tokens[name] for name in encoding.special_tokens_set}
    size: int = encoding.max_token_value + 1

    def tokens() -> Tokens:
        ranks: dict[bytes, int] = encoding._mergeable_ranks
        table: Tokens = [None] * size
        for data, rank in ranks.items():
            if table[rank] is not None:
                raise VocabularyError(f"token {rank} is both {table[rank]!r} and {data!r} in {encoding!r}")
            table[rank] = data
        for token in special.values():
            table[token] = None
        return table

    def content() -> Iterable[bytes]:
        yield repr(sorted(special.items())).encode("utf-8", "backslashreplace")
        yield from ranks_content(encoding._mergeable_ranks)

    return Reading(
        state=size,
        eos_token_ids=_eos(encoding),
        content=content,
        tokens=tokens,
        special=lambda: special,
        name=lambda token: repr(encoding.decode_single_token_bytes(token)),
        encode=encoding.encode_ordinary,
        decode=encoding.decode,
    )


def ranks_content(ranks: dict[bytes, int]) -> Iterable[bytes]:
    """Byte tokens and their ranks, cheaply and without ambiguity."""
    yield array("Q", ranks.values()).tobytes()
    yield array("Q", map(len, ranks)).tobytes()
    yield b"".join(ranks)


def _eos(encoding: Any) -> list[int]:
    try:
        return [encoding.eot_token]
    except KeyError:
        return []
