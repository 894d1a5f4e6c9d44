"""Real tokenizers for tests: those that packages ship, and ones trained in a second on the project's own text."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parent.parent
_MORE = ["naïve café, Übergröße", "Съешь ещё этих булок", "我能吞下玻璃 日本語 한국어", "🙂🎉👩‍👧 e\u0301 n\u0303"]


def own_text() -> list[str]:
    places = [("python/rellm", "*.py"), ("python/rellm/_generate", "*.py"), (".", "*.md"), ("docs", "*.md")]
    files = [file for folder, name in places for file in sorted((_PROJECT / folder).glob(name))]
    return [file.read_text(encoding="utf-8") for file in files] + _MORE * 20


def _mistral_file(name: str) -> Path:
    import mistral_common

    return Path(mistral_common.__file__).parent / "data" / name


@cache
def tekken() -> Any:
    from mistral_common.tokens.tokenizers.tekken import Tekkenizer

    return Tekkenizer.from_file(_mistral_file("tekken_240911.json"))


@cache
def mistral_sentencepiece(name: str = "mistral_instruct_tokenizer_240323.model.v3") -> Any:
    from mistral_common.tokens.tokenizers.sentencepiece import SentencePieceTokenizer

    return SentencePieceTokenizer(_mistral_file(name))


@cache
def smollm2() -> Any:
    from rellm._demo_model import model_folder
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(model_folder())


@cache
def shared(name: str) -> Any:
    """A tokenizer of a large model, from `shared/data` beside the checkout; skips the test where it is not there."""
    import lzma

    import pytest
    from tokenizers import Tokenizer

    place = Path("shared", "data", "tokenizers", f"{name}.tokenizer.json.xz")
    found = [folder / place for folder in Path(__file__).resolve().parents if (folder / place).is_file()]
    if not found:
        pytest.skip(f"the tokenizer of {name} is not beside this checkout")
    return Tokenizer.from_str(lzma.decompress(found[0].read_bytes()).decode())


@cache
def byte_level() -> Any:
    """GPT-2's kind: byte-level BPE of `tokenizers`."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    _train(tokenizer, trainers.BpeTrainer, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    return tokenizer


@cache
def llama_like(byte_fallback: bool = True) -> Any:
    """Llama's kind: BPE over `▁`, with bytes as `<0x0A>`."""
    from tokenizers import Tokenizer, decoders, models, normalizers, trainers

    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    tokenizer = Tokenizer(models.BPE(byte_fallback=byte_fallback, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(steps if byte_fallback else [steps[0], *steps[2:]])
    # Characters that are rare in the text are left to the bytes.
    _train(tokenizer, trainers.BpeTrainer, special_tokens=["<unk>", "</s>"], limit_alphabet=90)
    state = json.loads(tokenizer.to_str())
    if byte_fallback:
        pieces = state["model"]["vocab"]
        pieces.update({f"<0x{byte:02X}>": len(pieces) + byte for byte in range(256)})
    return Tokenizer.from_str(json.dumps(state))


@cache
def unigram() -> Any:
    """T5's kind: Unigram over `▁`."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    _train(tokenizer, trainers.UnigramTrainer, special_tokens=["<unk>", "</s>"], unk_token="<unk>")
    return tokenizer


@cache
def wordpiece(cleanup: bool = True) -> Any:
    """BERT's kind."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=cleanup)
    _train(tokenizer, trainers.WordPieceTrainer, special_tokens=["[UNK]", "[PAD]", "[SEP]"])
    return tokenizer


@cache
def sentencepiece(kind: str = "unigram", byte_fallback: bool = True) -> Any:
    import io

    import sentencepiece as spm

    model = io.BytesIO()
    lines = [line for text in own_text() for line in text.splitlines() if line.strip()]
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type=kind,
        vocab_size=1500,
        byte_fallback=byte_fallback,
        character_coverage=0.98,
        user_defined_symbols=["<tool>", "  "],
        minloglevel=2,
    )
    return spm.SentencePieceProcessor(model_proto=model.getvalue())


@cache
def tiktoken_encoding() -> Any:
    import tiktoken

    ranks = {bytes([byte]): byte for byte in range(256)}
    for token in (b"th", b"the", b" the", " é".encode(), "日".encode(), "🙂".encode()[:3]):
        ranks[token] = len(ranks) + 5  # with a gap before the merged ones
    pattern = r"\s?\p{L}+|\s?\p{N}+|\s?[^\s\p{L}\p{N}]+|\s+"
    special = {"<|endoftext|>": 300, "<|im_end|>": 301}
    return tiktoken.Encoding("own", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)


def _train(tokenizer: Any, trainer: Any, **settings: Any) -> None:
    tokenizer.train_from_iterator(own_text(), trainer(vocab_size=2500, show_progress=False, **settings))
