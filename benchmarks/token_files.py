"""Makes the vocabularies of the criterion benches.

    uv run --no-project --with mistral-common,sentencepiece python benchmarks/token_files.py

32k and 131k are real: Mistral's first SentencePiece model and Tekken, both shipped by `mistral-common`. No tokenizer of
262,144 tokens is on PyPI, so 262k is Tekken and as many more tokens, made from it by a fixed rule: a token that begins
with a space, joined to the letters of one that does.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import vocabularies
from comparison.prepare import tekken, tekken_tokens

FOLDER = Path(__file__).resolve().parent.parent / "target" / "benchmarks" / "vocabularies"


def sentencepiece_tokens() -> list[bytes | None]:
    """Token bytes of the 32,000-token SentencePiece model."""
    import mistral_common
    import sentencepiece

    path = Path(mistral_common.__file__).parent / "data" / "tokenizer.model.v1"
    model = sentencepiece.SentencePieceProcessor(model_file=str(path))
    tokens: list[bytes | None] = []
    for i in range(model.get_piece_size()):
        piece = model.id_to_piece(i)
        if model.is_byte(i):
            tokens.append(bytes([int(piece[3:5], 16)]))
        elif model.is_control(i) or model.is_unknown(i):
            tokens.append(None)
        else:
            tokens.append(piece.replace("▁", " ").encode())
    return tokens


def extended(tokens: list[bytes | None], size: int) -> list[bytes | None]:
    """`tokens`, and new ones up to `size`."""
    known = set(tokens)
    words = [t for t in tokens if t and t[:1] == b" " and len(t) > 2]
    more: list[bytes | None] = []
    stride = 7919
    i = 0
    while len(tokens) + len(more) < size:
        joined = words[i % len(words)] + words[(i * stride + i // len(words)) % len(words)][1:]
        if joined not in known:
            known.add(joined)
            more.append(joined)
        i += 1
    return tokens + more


def main() -> None:
    tokens = tekken_tokens(tekken())
    vocabularies.write(FOLDER / "131k.tokens", tokens)
    vocabularies.write(FOLDER / "262k.tokens", extended(tokens, 262_144))
    vocabularies.write(FOLDER / "32k.tokens", sentencepiece_tokens())


if __name__ == "__main__":
    main()
