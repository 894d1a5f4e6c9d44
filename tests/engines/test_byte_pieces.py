"""Tokenizers whose pieces are bytes objects: the first Qwen's and GLM-4's kind, Python code around tiktoken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rellm

pytest.importorskip("transformers")
tiktoken = pytest.importorskip("tiktoken")
from transformers import AddedToken, PreTrainedTokenizer  # noqa: E402

WORDS = [b" the", b"th", b"he", b"\xe6\x97", b"\xe6\x97\xa5", "日本".encode(), b"12", b"\n\n"]
RANKS = {data: rank for rank, data in enumerate([*(bytes([byte]) for byte in range(256)), *WORDS])}
SPECIAL = {"<|endoftext|>": 264, "<|im_start|>": 265, "<|extra_0|>": 266}


class _OfBytes(PreTrainedTokenizer):
    """What both have in common: the ranks are bytes, and pieces go through `convert_tokens_to_string`."""

    def __init__(self, special: dict[str, int], **more: Any) -> None:
        self.encoding = tiktoken.Encoding("tests", pat_str=r"\w+|\W", mergeable_ranks=RANKS, special_tokens=special)
        self.by_id: dict[int, Any] = {rank: data for data, rank in RANKS.items()}
        super().__init__(**more)

    @property
    def vocab_size(self) -> int:
        return self.encoding.n_vocab

    def get_vocab(self) -> dict[Any, int]:
        return {piece: token for token, piece in self.by_id.items()}

    def tokenize(self, text: str, **more: Any) -> list[Any]:
        return [self.by_id[token] for token in self.encoding.encode(text)]

    def _convert_token_to_id(self, piece: Any) -> int:
        return self.get_vocab()[piece]

    def convert_tokens_to_string(self, tokens: list[Any]) -> str:
        return b"".join(t if isinstance(t, bytes) else t.encode() for t in tokens).decode("utf-8", "replace")

    def _decode(self, token_ids: Any, **more: Any) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        return self.convert_tokens_to_string([self.convert_ids_to_tokens(token) for token in ids])


class FirstQwen(_OfBytes):
    """Special tokens stand in a table of its own, and transformers knows of none."""

    def __init__(self, **more: Any) -> None:
        super().__init__(SPECIAL, **more)
        self.by_id |= {token: name for name, token in SPECIAL.items()}

    def __len__(self) -> int:
        return self.encoding.n_vocab

    def convert_tokens_to_ids(self, tokens: Any) -> Any:
        known = self.get_vocab()
        return [known[piece] for piece in tokens] if isinstance(tokens, list) else known.get(tokens)

    def _convert_id_to_token(self, index: int) -> Any:
        return self.by_id[index]


class Glm4(_OfBytes):
    """Special tokens are transformers' added tokens; an id that is nothing is an empty piece."""

    def _convert_id_to_token(self, index: int) -> Any:
        return self.by_id.get(index, "")


@pytest.fixture
def glm4() -> Glm4:
    added = {token: AddedToken(name, special=True, normalized=False) for name, token in SPECIAL.items()}
    added[270] = AddedToken("<think>", special=False, normalized=False)
    return Glm4(SPECIAL, eos_token="<|endoftext|>", added_tokens_decoder=added)


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_pieces_that_are_bytes_are_what_the_tokens_write() -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(FirstQwen(), eos_token_ids=264)
    assert [vocabulary.token_bytes(token) for token in range(264)] == list(RANKS)
    assert dict(vocabulary.special_tokens) == SPECIAL
    assert vocabulary.eos_token_ids == [264]


def test_added_tokens_beside_pieces_of_bytes_are_special_or_text_as_they_say(glm4: Glm4) -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(glm4)
    assert [vocabulary.token_bytes(token) for token in range(264)] == list(RANKS)
    assert dict(vocabulary.special_tokens) == SPECIAL
    assert vocabulary.token_bytes(267) is None
    assert vocabulary.token_bytes(270) == b"<think>"
    assert vocabulary.eos_token_ids == [264]


def test_a_constraint_over_them_is_exact() -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(FirstQwen(), eos_token_ids=264)
    matcher = rellm.compile("日本 the|12", vocabulary).matcher()
    assert matcher.allows(RANKS[b"\xe6\x97"])
    assert not matcher.allows(RANKS[b" the"])
    for token in (RANKS["日本".encode()], RANKS[b" the"]):
        matcher.advance(token)
    assert matcher.is_finished
