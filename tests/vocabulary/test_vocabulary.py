"""Vocabularies: the bytes of every token, from the tokenizer's own model and decoder."""

from __future__ import annotations

import gc
import os
import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import rellm
import tokenizers_at_hand as at_hand
from rellm._tokenizers import reading_of, verify, vocabulary_cache

TEXTS = ["Hello, world!", "  two  spaces\n\ttabs", "naïve café", "日本語 🙂👩‍👧 e\u0301", "x = {'a': [1.5, -2]}  # ok"]

TOKENIZERS: dict[str, Callable[[], Any]] = {
    "SmolLM2": at_hand.smollm2,
    "SmolLM2's tokenizers.Tokenizer": lambda: at_hand.smollm2().backend_tokenizer,
    "Tekken": at_hand.tekken,
    "Mistral v1": lambda: at_hand.mistral_sentencepiece("tokenizer.model.v1"),
    "Mistral v3": at_hand.mistral_sentencepiece,
    "Mistral v7": lambda: at_hand.mistral_sentencepiece("mistral_instruct_tokenizer_241114.model.v7"),
    "byte-level BPE": at_hand.byte_level,
    "Llama-like BPE": at_hand.llama_like,
    "Llama-like BPE without bytes": lambda: at_hand.llama_like(byte_fallback=False),
    "Unigram": at_hand.unigram,
    "WordPiece": at_hand.wordpiece,
    "WordPiece without cleanup": lambda: at_hand.wordpiece(cleanup=False),
    "sentencepiece Unigram": at_hand.sentencepiece,
    "sentencepiece BPE": lambda: at_hand.sentencepiece("bpe"),
    "sentencepiece without bytes": lambda: at_hand.sentencepiece("unigram", byte_fallback=False),
    "tiktoken": at_hand.tiktoken_encoding,
}
HAVE_EVERY_BYTE = {"SmolLM2": False, "Tekken": True, "Mistral v3": True, "byte-level BPE": True, "tiktoken": True}


@pytest.fixture(params=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return TOKENIZERS[request.param]()


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache on disk and in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("RELLM_CACHE", raising=False)
    monkeypatch.setattr(vocabulary_cache, "_in_memory", {})
    return tmp_path / "rellm" / "vocabularies"


def without_first_spaces(text: str) -> str:
    return text.lstrip(" ")


@pytest.mark.parametrize("text", TEXTS)
def test_the_joined_bytes_are_what_the_tokenizer_decodes(tokenizer: Any, text: str) -> None:
    vocabulary, reading = rellm.Vocabulary.from_tokenizer(tokenizer), reading_of(tokenizer)
    ids = [token for token in reading.encode(text) if vocabulary.token_bytes(token) is not None]
    assert ids
    decoded = reading.decode(ids)
    assert without_first_spaces(vocabulary.tokens_bytes(ids).decode()) == without_first_spaces(decoded)


def test_every_token_alone_is_what_the_tokenizer_adds_after_another_one(tokenizer: Any) -> None:
    vocabulary, reading = rellm.Vocabulary.from_tokenizer(tokenizer), reading_of(tokenizer)
    before = next(token for token in range(len(vocabulary)) if (vocabulary.token_bytes(token) or b"").strip().isalpha())
    start = reading.decode([before])
    tested = 0
    for token in range(0, len(vocabulary), max(1, len(vocabulary) // 3000)):
        data = vocabulary.token_bytes(token)
        if data is None or not verify._is_text(data):
            continue
        assert reading.decode([before, token]) == start + data.decode(), (token, reading.name(token))
        tested += 1
    assert tested > 100


def test_emoji_that_no_token_spells_whole_are_spelled_by_their_bytes() -> None:
    for name, whole in HAVE_EVERY_BYTE.items():
        vocabulary, reading = rellm.Vocabulary.from_tokenizer(TOKENIZERS[name]()), reading_of(TOKENIZERS[name]())
        assert vocabulary.tokens_bytes(reading.encode("🫠𠮷🇺🇳")).decode().strip() == "🫠𠮷🇺🇳", name
        single = {vocabulary.token_bytes(token) for token in range(len(vocabulary))}
        assert all(bytes([byte]) in single for byte in range(256)) is whole, name


def test_smollm2_has_21_bytes_that_no_token_spells() -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(at_hand.smollm2())
    spelled = set().union(*(vocabulary.token_bytes(token) or b"" for token in range(len(vocabulary))))
    assert 256 - len(spelled) == 21
    assert len(vocabulary) == 49_152
    assert vocabulary.eos_token_ids == [2]


def test_special_tokens_are_never_text(tokenizer: Any) -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    for token in vocabulary.eos_token_ids:
        assert vocabulary.token_bytes(token) is None
    inner = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if hasattr(inner, "get_added_tokens_decoder"):
        special = [token for token, about in inner.get_added_tokens_decoder().items() if about.special]
        assert special
        assert all(vocabulary.token_bytes(token) is None for token in special)


@pytest.mark.parametrize("name", ["Mistral v3", "sentencepiece Unigram", "Llama-like BPE"])
def test_the_mark_of_sentencepiece_is_a_space_and_its_bytes_are_bytes(name: str) -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(TOKENIZERS[name]())
    tokens = [vocabulary.token_bytes(token) or b"" for token in range(len(vocabulary))]
    assert not any("▁".encode() in token or token.startswith(b"<0x") for token in tokens)
    assert b"\x0a" in tokens
    assert b"\xf0" in tokens
    assert any(token.startswith(b" ") and token[1:].isalpha() for token in tokens)


def test_tekken_counts_its_special_tokens_first() -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(at_hand.tekken())
    assert len(vocabulary) == 131_072
    assert vocabulary.token_bytes(999) is None
    assert [vocabulary.token_bytes(1000 + byte) for byte in (0, 65, 255)] == [b"\0", b"A", b"\xff"]


def test_the_instruct_tokenizer_of_mistral_common_stands_for_its_inner_one() -> None:
    from mistral_common.tokens.tokenizers.mistral import MistralTokenizer

    outer = MistralTokenizer.v3(is_tekken=True)
    inner = outer.instruct_tokenizer.tokenizer
    assert rellm.Vocabulary.from_tokenizer(outer) == rellm.Vocabulary.from_tokenizer(inner)


# --- transformers ------------------------------------------------------------------------------------------------


def test_a_fast_tokenizer_of_transformers_and_the_one_behind_it_write_the_same() -> None:
    from transformers import PreTrainedTokenizerFast

    inner = at_hand.llama_like()
    outer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="</s>", unk_token="<unk>")
    mine, behind = rellm.Vocabulary.from_tokenizer(outer), rellm.Vocabulary.from_tokenizer(inner)
    assert mine.eos_token_ids == [inner.token_to_id("</s>")]
    assert behind.eos_token_ids == []  # tokenizers knows of no EOS
    assert [mine.token_bytes(token) for token in range(len(mine))] == [
        behind.token_bytes(token) for token in range(len(behind))
    ]


def test_a_slow_tokenizer_of_bytes_is_read() -> None:
    from transformers import ByT5Tokenizer

    vocabulary = rellm.Vocabulary.from_tokenizer(ByT5Tokenizer())
    assert vocabulary.tokens_bytes(ByT5Tokenizer()("né🙂", add_special_tokens=False).input_ids) == "né🙂".encode()
    assert vocabulary.eos_token_ids == [1]


def test_a_slow_tokenizer_over_sentencepiece_is_read(tmp_path: Path) -> None:
    from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

    class Slow(SentencePieceBackend):
        vocab_files_names: ClassVar = {"vocab_file": "spiece.model"}

    file = tmp_path / "spiece.model"
    processor = at_hand.sentencepiece("unigram", byte_fallback=False)
    file.write_bytes(processor.serialized_model_proto())
    slow = Slow(vocab_file=str(file), unk_token="<unk>", eos_token="</s>", bos_token="<s>")
    slow.add_tokens(["<extra>"])
    vocabulary = rellm.Vocabulary.from_tokenizer(slow)
    behind = rellm.Vocabulary.from_tokenizer(processor)
    assert [vocabulary.token_bytes(token) for token in range(len(behind))] == [
        behind.token_bytes(token) for token in range(len(behind))
    ]
    assert vocabulary.token_bytes(slow.convert_tokens_to_ids("<extra>")) == b"<extra>"

    # With bytes in its vocabulary, this kind of tokenizer writes `<0x0A>` as it stands there.
    file.write_bytes(at_hand.sentencepiece().serialized_model_proto())
    slow = Slow(vocab_file=str(file), unk_token="<unk>", eos_token="</s>", bos_token="<s>")
    with pytest.raises(
        rellm.VocabularyError, match=r"\('<0x00>'\) writes b'\\x00' by the tokenizer's model and decoder"
    ):
        rellm.Vocabulary.from_tokenizer(slow)


def test_a_slow_tokenizer_whose_words_end_in_marks_is_refused(tmp_path: Path) -> None:
    from transformers import CTRLTokenizer

    (tmp_path / "vocab.json").write_text('{"a": 0, "b": 1, "a@@": 2, "<unk>": 3}')
    (tmp_path / "merges.txt").write_text("#version\na b\n")
    slow = CTRLTokenizer(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    with pytest.raises(rellm.VocabularyError, match=r"^token 2 \('a@@'\) changes what stands beside it: CTRLTokenizer"):
        rellm.Vocabulary.from_tokenizer(slow)


# --- decoders, added tokens, gaps, sizes --------------------------------------------------------------------------


def of_pieces(pieces: dict[str, int], decoder: Any) -> Any:
    from tokenizers import Tokenizer, models

    tokenizer = Tokenizer(models.WordLevel(pieces, unk_token="<unk>"))
    tokenizer.decoder = decoder
    return tokenizer


def bytes_of(tokenizer: Any) -> list[bytes | None]:
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    return [vocabulary.token_bytes(token) for token in range(len(vocabulary))]


def test_decoders_are_followed_step_by_step() -> None:
    from tokenizers import Regex, decoders

    pieces = {"a": 0, "▁b": 1, "<0xC3>": 2, "<0xA9>": 3, "xx": 4}
    replace, fallback, fuse = decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()
    assert bytes_of(of_pieces(pieces, None)) == [b" a", " ▁b".encode(), b" <0xC3>", b" <0xA9>", b" xx"]
    assert bytes_of(of_pieces(pieces, replace)) == [b"a", b" b", b"<0xC3>", b"<0xA9>", b"xx"]
    assert bytes_of(of_pieces(pieces, decoders.Sequence([replace, fallback, fuse]))) == [
        b"a", b" b", b"\xc3", b"\xa9", b"xx",
    ]  # fmt: skip
    doubled = decoders.Sequence([decoders.Replace(Regex("x{2}"), "y"), replace, fallback])
    assert bytes_of(of_pieces(pieces, doubled))[4] == b"y"
    strip = decoders.Sequence([replace, decoders.Strip("x", 1, 0)])
    assert bytes_of(of_pieces(pieces, strip))[4] == b"x"
    wordpiece = decoders.WordPiece("##", cleanup=True)
    assert bytes_of(of_pieces({"the": 0, "##re": 1, ".": 2, "'s": 3}, wordpiece)) == [b" the", b"re", b".", b"'s"]


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ("BPEDecoder", r"BPEDecoder, ends each word that has '</w>' with a space, but not the last one"),
        ("CTC", r"CTC, looks at several tokens together"),
        ("late Replace", r"the decoder of this tokenizer changes whole texts"),
        ("late Strip", r"Strip after ByteFallback, which would change bytes"),
    ],
)
def test_decoders_under_which_a_token_has_no_bytes_of_its_own_are_refused(decoder: str, message: str) -> None:
    from tokenizers import decoders

    made = {
        "BPEDecoder": lambda: decoders.BPEDecoder(),
        "CTC": lambda: decoders.CTC(),
        "late Replace": lambda: decoders.Sequence([decoders.Fuse(), decoders.Replace("ab", "c")]),
        "late Strip": lambda: decoders.Sequence([decoders.ByteFallback(), decoders.Strip("a", 1, 0)]),
    }[decoder]()
    with pytest.raises(rellm.VocabularyError, match=message):
        rellm.Vocabulary.from_tokenizer(of_pieces({"a": 0, "b</w>": 1, "<0x41>": 2}, made))


def test_a_decoder_that_changes_single_characters_of_whole_texts_is_read() -> None:
    """transformers 5.0 to 5.14 make such a decoder of a GGUF file's tokenizer."""
    from tokenizers import decoders

    late = decoders.Sequence(
        [decoders.ByteFallback(), decoders.Fuse(), decoders.Replace("▁", " "), decoders.ByteLevel()]
    )
    tokenizer = of_pieces({"a": 0, "Ġb": 1, "Ã": 2, "©": 3, "Ċ": 4}, late)
    assert bytes_of(tokenizer) == [b"a", b" b", b"\xc3", b"\xa9", b"\n"]
    assert tokenizer.decode([0, 1, 2, 3]) == "a bé"
    plain = decoders.Sequence([decoders.Fuse(), decoders.Replace("▁", " ")])
    assert bytes_of(of_pieces({"▁a": 0, "b▁": 1}, plain)) == [b" a", b"b "]


def test_added_tokens_are_text_unless_they_are_special() -> None:
    from tokenizers import AddedToken, Tokenizer

    tokenizer = Tokenizer.from_str(at_hand.byte_level().to_str())
    first = tokenizer.get_vocab_size()
    tokenizer.add_tokens(["    ", "日本", AddedToken("<mark>", special=False)])
    tokenizer.add_special_tokens(["<|im_end|>"])
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=first + 3)
    assert [vocabulary.token_bytes(first + n) for n in range(4)] == [b"    ", "日本".encode(), b"<mark>", None]
    assert vocabulary.eos_token_ids == [first + 3]


def test_gaps_in_the_ids_are_never_text() -> None:
    from tokenizers import decoders

    tokenizer = of_pieces({"a": 0, "b": 7, "<unk>": 3}, decoders.Fuse())
    assert bytes_of(tokenizer) == [b"a", None, None, b"<unk>", None, None, None, b"b"]
    encoding = rellm.Vocabulary.from_tokenizer(at_hand.tiktoken_encoding())
    assert encoding.token_bytes(258) is None
    assert encoding.token_bytes(262) == b"the"
    assert encoding.eos_token_ids == [300]


def test_two_ids_of_one_text_are_both_allowed() -> None:
    from tokenizers import Tokenizer, decoders, models

    tokenizer = Tokenizer(models.Unigram([("<unk>", 0.0), ("ab", -1.0), ("a", -2.0), ("ab", -3.0)], 0, False))
    tokenizer.decoder = decoders.Metaspace()
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    matcher = rellm.compile(rellm.Literal("ab"), vocabulary).matcher()
    assert [matcher.allows(token) for token in range(4)] == [False, True, False, True]  # after "a" comes no "b"


def test_a_model_may_have_more_ids_than_its_tokenizer_or_fewer() -> None:
    tokenizer = at_hand.byte_level()
    whole = rellm.Vocabulary.from_tokenizer(tokenizer)
    padded = rellm.Vocabulary.from_tokenizer(tokenizer, size=len(whole) + 100, eos_token_ids=[0, len(whole) + 99])
    cut = rellm.Vocabulary.from_tokenizer(tokenizer, size=300)
    assert len(padded) == len(whole) + 100
    assert padded.token_bytes(len(whole) + 5) is None
    assert padded.eos_token_ids == [0, len(whole) + 99]
    assert len(cut) == 300
    assert cut.token_bytes(299) == whole.token_bytes(299)


def test_eos_ids_are_the_users_where_they_say_so() -> None:
    tokenizer = at_hand.smollm2()
    several = rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[2, 0, 30])
    assert several.eos_token_ids == [0, 2, 30]
    assert several.token_bytes(30) is None  # an EOS with bytes is special
    assert rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[]).eos_token_ids == []
    with pytest.raises(
        rellm.VocabularyError, match=r"^eos_token_ids: 60000 is not a token, ids go from 0 to 49151; where"
    ):
        rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=60_000)
    with pytest.raises(TypeError, match="a token id is a whole number, not '2'"):
        rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=["2"])  # type: ignore[list-item]


@pytest.mark.parametrize("size", [0, -1, 2.5, True])
def test_a_size_that_is_no_number_of_ids_is_refused(size: Any) -> None:
    with pytest.raises(ValueError, match=f"size is the number of ids that the model has, not {size!r}"):
        rellm.Vocabulary.from_tokenizer(at_hand.byte_level(), size=size)


def test_what_is_no_tokenizer_is_told_apart_from_one() -> None:
    with pytest.raises(
        TypeError, match=r"^not a tokenizer that rellm knows: builtins\.str\. .*; load the tokenizer first: tr"
    ):
        rellm.Vocabulary.from_tokenizer("gpt2")
    with pytest.raises(TypeError, match=r"build a rellm\.Vocabulary from the bytes of each token$"):
        rellm.compile("a", object())


# --- the check ------------------------------------------------------------------------------------------------


def test_a_tokenizer_that_decodes_something_else_is_refused_by_the_name_of_the_token() -> None:
    tokenizer = at_hand.byte_level()
    reading = reading_of(tokenizer)
    tokens = reading.tokens()
    wrong = next(token for token, data in enumerate(tokens) if data == b" the")
    tokens[wrong] = b"the "
    message = (
        rf"^token {wrong} \('Ġthe'\) writes b'the ' by the tokenizer's model and decoder, but the tokenizer decodes"
    )
    with pytest.raises(rellm.VocabularyError, match=message):
        verify.check(tokens, reading)


def test_a_wrong_part_of_a_character_is_found_by_the_samples() -> None:
    reading = reading_of(at_hand.byte_level())
    tokens = reading.tokens()
    swapped = {b"\xf0": b"\xf1", b"\xf1": b"\xf0"}
    tokens = [swapped.get(data, data) if data else data for data in tokens]
    message = (
        r"^tokens .*\('ð'\), .* write b'\\xf1\\x.*' by the tokenizer's model and decoder, but the tokenizer decodes"
    )
    with pytest.raises(rellm.VocabularyError, match=message):
        verify.check(tokens, reading)


# --- made once ------------------------------------------------------------------------------------------------


def test_a_vocabulary_is_made_once_a_tokenizer(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = at_hand.byte_level()
    first = rellm.Vocabulary.from_tokenizer(tokenizer)
    monkeypatch.setattr(vocabulary_cache, "_made", None)  # would fail
    monkeypatch.setattr(vocabulary_cache, "_path", None)
    assert rellm.Vocabulary.from_tokenizer(tokenizer)._native is first._native


def test_a_tokenizer_that_has_got_more_tokens_is_read_again(cache_folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(at_hand.byte_level().to_str())
    before = rellm.Vocabulary.from_tokenizer(tokenizer)
    tokenizer.add_tokens(["<new>"])
    after = rellm.Vocabulary.from_tokenizer(tokenizer)
    assert (len(after), after.token_bytes(len(before))) == (len(before) + 1, b"<new>")


def test_a_tokenizer_is_not_kept_alive(cache_folder: Path) -> None:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(at_hand.byte_level().to_str())
    rellm.Vocabulary.from_tokenizer(tokenizer)
    assert len(vocabulary_cache._in_memory) == 1
    del tokenizer
    gc.collect()
    assert not vocabulary_cache._in_memory


def forget() -> None:
    vocabulary_cache._in_memory.clear()


def test_the_next_process_takes_the_vocabulary_from_disk(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = at_hand.byte_level()
    first = rellm.Vocabulary.from_tokenizer(tokenizer)
    (file,) = cache_folder.iterdir()
    forget()
    monkeypatch.setattr(vocabulary_cache, "_made", None)  # would fail
    assert rellm.Vocabulary.from_tokenizer(tokenizer) == first
    assert [entry.name for entry in cache_folder.iterdir()] == [file.name]


@pytest.mark.parametrize("damage", ["cut", "empty", "one bit", "something else", "longer"])
def test_a_broken_file_on_disk_is_made_again(cache_folder: Path, damage: str) -> None:
    tokenizer = at_hand.byte_level()
    first = rellm.Vocabulary.from_tokenizer(tokenizer)
    (file,) = cache_folder.iterdir()
    good = file.read_bytes()
    middle = len(good) // 2
    file.write_bytes(
        {
            "cut": good[:middle],
            "empty": b"",
            "one bit": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
            "something else": b"x" * len(good),
            "longer": good + b"\0",
        }[damage]
    )
    forget()
    assert rellm.Vocabulary.from_tokenizer(tokenizer) == first
    assert file.read_bytes() == good


def test_content_names_the_file(cache_folder: Path) -> None:
    from tokenizers import Tokenizer, decoders

    text = at_hand.byte_level().to_str()
    tokenizers = [Tokenizer.from_str(text) for _ in range(3)]
    tokenizers[1].add_special_tokens(["<x>"])
    tokenizers[2].decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Fuse()])
    for tokenizer in tokenizers:
        rellm.Vocabulary.from_tokenizer(tokenizer)
    assert len(list(cache_folder.iterdir())) == 3
    rellm.Vocabulary.from_tokenizer(Tokenizer.from_str(text))
    assert len(list(cache_folder.iterdir())) == 3
    rellm.Vocabulary.from_tokenizer(tokenizers[0], eos_token_ids=[5])
    rellm.Vocabulary.from_tokenizer(tokenizers[0], size=5000)
    assert len(list(cache_folder.iterdir())) == 5


def test_the_folder_stays_within_its_bound(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = at_hand.byte_level()
    rellm.Vocabulary.from_tokenizer(tokenizer)
    (oldest,) = cache_folder.iterdir()
    os.utime(oldest, (1, 1))
    monkeypatch.setattr(vocabulary_cache, "_MOST_BYTES_ON_DISK", 3 * oldest.stat().st_size)
    for token in range(1, 9):
        rellm.Vocabulary.from_tokenizer(tokenizer, eos_token_ids=[token])
        time.sleep(0.01)  # file times are coarse
    left = list(cache_folder.iterdir())
    assert 1 <= len(left) <= 3
    assert oldest not in left


def test_the_cache_can_be_turned_off(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELLM_CACHE", "0")
    assert len(rellm.Vocabulary.from_tokenizer(at_hand.byte_level())) > 1000
    assert not cache_folder.exists()


def test_a_folder_that_cannot_be_written_does_not_matter(
    tmp_path: Path, cache_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(rellm.Vocabulary.from_tokenizer(at_hand.byte_level())) > 1000


def test_threads_that_ask_at_once_get_the_same(cache_folder: Path) -> None:
    tokenizer, found = at_hand.byte_level(), []
    threads = [
        threading.Thread(target=lambda: found.append(rellm.Vocabulary.from_tokenizer(tokenizer))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(vocabulary._native) for vocabulary in found}) == 1


def test_a_vocabulary_of_131072_tokens_is_loaded_faster_than_it_is_made(
    cache_folder: Path,
) -> None:
    tokenizer = at_hand.tekken()

    def seconds(times: int, prepare: Callable[[], None]) -> float:
        best = float("inf")
        for _ in range(times):
            prepare()
            start = time.process_time()
            rellm.Vocabulary.from_tokenizer(tokenizer)
            best = min(best, time.process_time() - start)
        return best

    def forget_all() -> None:
        forget()
        for file in cache_folder.glob("*"):
            file.unlink()

    made, loaded = seconds(3, forget_all), seconds(5, forget)
    print(f"made in {made:.3f} s, loaded in {loaded:.3f} s of CPU")
    assert loaded <= 0.8 * made
    assert rellm.Vocabulary.from_tokenizer(tokenizer).memory_bytes <= 60 << 20


# --- by hand --------------------------------------------------------------------------------------------------


def test_a_vocabulary_by_hand() -> None:
    vocabulary = rellm.Vocabulary([b"a", "é".encode(), None, b"</s>"], eos_token_ids=[3])
    assert len(vocabulary) == 4
    assert vocabulary.eos_token_ids == [3]
    assert vocabulary.tokens_bytes([0, 1, 2, 3, 0]) == "aéa".encode()
    assert repr(vocabulary) == "<Vocabulary of 4 tokens, eos_token_ids=[3]>"
    assert vocabulary == pickle.loads(pickle.dumps(vocabulary))
    assert vocabulary != rellm.Vocabulary([b"a", "é".encode(), None, b"</s>"])
    assert len({vocabulary, rellm.Vocabulary([b"a", "é".encode(), None, b"</s>"], [3])}) == 1
    with pytest.raises(IndexError, match="token id 4 is out of range: this vocabulary has ids from 0 to 3"):
        vocabulary.token_bytes(4)
    with pytest.raises(TypeError, match=r"tokens\[1\]: expected bytes, or None for a special token, not str"):
        rellm.Vocabulary([b"a", "b"])  # type: ignore[list-item]
    with pytest.raises(rellm.VocabularyError):
        rellm.Vocabulary([])


def test_one_eos_id_needs_no_list():
    assert rellm.Vocabulary([b"a", None], eos_token_ids=1) == rellm.Vocabulary([b"a", None], eos_token_ids=[1])


# --- from bytes --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tokens", "eos", "kind", "message"),
    [
        ([b"a"], [7], rellm.VocabularyError,
         "eos_token_ids: 7 is not a token, ids go from 0 to 0; give tokens an entry for it, None for a special token"),
        ([b"a", b"b"], -1, rellm.VocabularyError, "eos_token_ids: -1 is not a token, ids go from 0 to 1"),
        ([], [0], rellm.VocabularyError, "there are no tokens: pass the bytes of each token by id"),
        ([b"a"], "</s>", TypeError,
         "eos_token_ids: a token id is a whole number, not '</s>': a tokenizer's convert_tokens_to_ids tells them"),
        ([b"a"], [0.0], TypeError, "eos_token_ids: a token id is a whole number, not 0.0"),
        ([b"a"], [True], TypeError, "eos_token_ids: a token id is a whole number, not True"),
        ({b"a": 0}, [], TypeError, "tokens is a list of the bytes of each token, by its id, not dict"),
        (b"ab", [], TypeError, "tokens is a list of the bytes of each token, by its id, not bytes"),
        (None, [], TypeError, "tokens is a list of the bytes of each token, by its id, not NoneType"),
    ],
)  # fmt: skip
def test_a_vocabulary_is_what_was_given_or_an_error(tokens: Any, eos: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as raised:
        rellm.Vocabulary(tokens, eos_token_ids=eos)
    assert (type(raised.value), str(raised.value)) == (kind, message)


def test_tokens_and_eos_ids_may_come_from_anything_that_can_be_counted_off() -> None:
    vocabulary = rellm.Vocabulary((token for token in [b"a", None]), eos_token_ids=np.array([1]))
    assert vocabulary == rellm.Vocabulary([b"a", None], 1)
    assert (len(vocabulary), vocabulary.eos_token_ids) == (2, [1])
