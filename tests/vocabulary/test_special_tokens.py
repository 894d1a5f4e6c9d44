"""Special tokens by name, and tokens that are no text although their tokenizer does not mark them as special."""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import rellm
import tokenizers_at_hand as at_hand

NEVER = [
    *(
        "<unused32>",
        "<unused0>",
        "[unused7]",
        "[UNUSED_TOKEN_145]",
        "<|reserved_special_token_12|>",
        "<|reserved_200000|>",
    ),
    *("<reserved_106>", "<|placeholder3|>", "<｜place▁holder▁no▁12｜>", "<|dummy_5|>", "<SPECIAL_23>", "[control_8]"),
    *("<|fim_prefix|>", "<|fim_middle|>", "<fim_suffix>", "<fim-pad>", "<｜fim▁hole｜>", "<|code_middle|>"),
    *("<|repo_name|>", "<|file_sep|>", "<｜User｜>", "<｜Assistant｜>", "<|user|>", "<|USER_TOKEN|>", "<|im_start|>"),
    *("<|start_header_id|>", "<|eot_id|>", "<start_of_turn>", "<|END_OF_TURN_TOKEN|>", "[INST]", "[/INST]"),
]
TEXT = [
    *(
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<tool_response>",
        "<td>",
        "</td>",
        "<h1>",
        "<user>",
        "[system]",
    ),
    *(
        "<|tool_call|>",
        "<｜tool▁calls▁begin｜>",
        "[TOOL_CALLS]",
        "<assistant>",
        "[0]",
        "<special>",
        "<filename>",
        "   ",
    ),
]


@pytest.fixture
def with_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Iterable[str]], Any]:
    """A tokenizer of GPT-2's kind to which tokens were added that are not marked special."""
    from tokenizers import AddedToken, Tokenizer

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def make(contents: Iterable[str]) -> Any:
        tokenizer = Tokenizer.from_str(at_hand.byte_level().to_str())
        tokenizer.add_tokens([AddedToken(content, special=False) for content in contents])
        return tokenizer

    return make


def test_markers_that_are_no_text_are_special_by_default_and_those_that_people_write_are_not(
    with_added: Callable[[Iterable[str]], Any],
) -> None:
    tokenizer = with_added([*NEVER, *TEXT])
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    wrong = [name for name in NEVER if vocabulary.token_bytes(tokenizer.token_to_id(name)) is not None]
    wrong += [name for name in TEXT if vocabulary.token_bytes(tokenizer.token_to_id(name)) != name.encode()]
    assert wrong == []
    assert vocabulary.never_text == NEVER
    assert all(vocabulary.special_token_id(name) == tokenizer.token_to_id(name) for name in NEVER)


def test_never_text_is_shown_switchable_and_part_of_the_fingerprint(
    with_added: Callable[[Iterable[str]], Any],
) -> None:
    tokenizer = with_added(["<unused1>", "<|fim_middle|>", "<think>"])
    default = rellm.Vocabulary.from_tokenizer(tokenizer)
    off = rellm.Vocabulary.from_tokenizer(tokenizer, never_text=[])
    own = rellm.Vocabulary.from_tokenizer(tokenizer, never_text=["<think>"])
    more = rellm.Vocabulary.from_tokenizer(
        tokenizer, never_text=[*rellm.Vocabulary.default_never_text(), tokenizer.token_to_id("<think>")]
    )
    by_pattern = rellm.Vocabulary.from_tokenizer(tokenizer, never_text=[re.compile(r"<th.*>")])
    assert len({default, off, own, more}) == 4
    assert by_pattern == own
    assert "never_text=['<unused1>', '<|fim_middle|>']" in repr(default)
    assert "never_text" not in repr(off)
    assert own.never_text == ["<think>"]
    assert more.never_text == ["<unused1>", "<|fim_middle|>", "<think>"]
    assert off.token_bytes(tokenizer.token_to_id("<unused1>")) == b"<unused1>"
    for vocabulary in (default, off, own, more):
        again = pickle.loads(pickle.dumps(vocabulary))
        assert (again, again.never_text, again.special_tokens) == (
            vocabulary,
            vocabulary.never_text,
            vocabulary.special_tokens,
        )


def test_what_is_never_text_is_written_by_no_constraint(with_added: Callable[[Iterable[str]], Any]) -> None:
    tokenizer = with_added(["<|fim_middle|>", "<think>"])
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    matcher = rellm.compile(r"(?s).*", vocabulary).matcher()
    assert not matcher.allows(tokenizer.token_to_id("<|fim_middle|>"))
    assert matcher.allows(tokenizer.token_to_id("<think>"))


@pytest.mark.parametrize(
    ("never_text", "error", "message"),
    [
        (["<thinks>"], rellm.VocabularyError, r"no token is '<thinks>'; did you mean '<think>'"),
        ([10**6], rellm.VocabularyError, r"never_text: 1000000 is not a token, ids go from 0 to"),
        ("<think>", TypeError, r"put it into \[ \]"),
        (False, TypeError, r"\[\] switches it off"),
        ([re.compile(b"<.*>")], TypeError, "never_text takes the content of tokens, their ids, or patterns"),
        ([None], TypeError, "never_text takes the content of tokens, their ids, or patterns"),
    ],
)
def test_a_token_that_is_not_there_is_refused(
    with_added: Callable[[Iterable[str]], Any], never_text: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        rellm.Vocabulary.from_tokenizer(with_added(["<think>"]), never_text=never_text)


def test_special_tokens_have_names_in_every_library() -> None:
    cases = [
        (at_hand.byte_level(), "<|endoftext|>"),
        (at_hand.llama_like(), "</s>"),
        (at_hand.tekken(), "[TOOL_CALLS]"),
        (at_hand.mistral_sentencepiece(), "<unk>"),
        (at_hand.smollm2(), "<|im_end|>"),
    ]
    for tokenizer, name in cases:
        vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
        token_id = vocabulary.special_token_id(name)
        assert vocabulary.special_tokens[name] == token_id
        assert vocabulary.special_token_name(token_id) == name
        assert vocabulary.token_bytes(token_id) is None
        assert all(vocabulary.token_bytes(token_id) is None for token_id in vocabulary.special_tokens.values())


def test_the_names_of_special_tokens_survive_the_cache_on_disk(
    with_added: Callable[[Iterable[str]], Any], tmp_path: Path
) -> None:
    first = rellm.Vocabulary.from_tokenizer(with_added(["<|fim_middle|>"]))
    assert [file.suffix for file in (tmp_path / "rellm" / "vocabularies").iterdir()] == [".vocabulary"]
    second = rellm.Vocabulary.from_tokenizer(with_added(["<|fim_middle|>"]))
    assert second is not first
    assert second.special_tokens == first.special_tokens
    assert second.never_text == ["<|fim_middle|>"]


def test_a_vocabulary_by_hand_names_its_special_tokens() -> None:
    tokens = [b"a", None, b"<end>", b"<mid>"]
    vocabulary = rellm.Vocabulary(tokens, eos_token_ids=[2], special_tokens={"<start>": 1, "<mid>": 3})
    assert dict(vocabulary.special_tokens) == {"<start>": 1, "<end>": 2, "<mid>": 3}
    assert vocabulary.token_bytes(3) is None
    assert vocabulary.special_token_name(0) is None
    assert vocabulary != rellm.Vocabulary([b"a", None, None, None], eos_token_ids=[2])
    with pytest.raises(TypeError):
        vocabulary.special_tokens["<more>"] = 0  # type: ignore[index]
    with pytest.raises(rellm.VocabularyError, match=r"special_tokens: 9 \('<x>'\) is not a token, ids go from 0 to 3"):
        rellm.Vocabulary(tokens, special_tokens={"<x>": 9})
    with pytest.raises(TypeError, match=r"the id of '<x>' is a whole number, not '1'"):
        rellm.Vocabulary(tokens, special_tokens={"<x>": "1"})  # type: ignore[dict-item]
    with pytest.raises(IndexError):
        vocabulary.special_token_name(4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("<|im_ends|>", r"no special token '<|im_ends|>'; did you mean '<|im_end|>'"),
        ("im_end", r"did you mean '<|im_end|>'"),
        ("a", r"'a' is no special token of this vocabulary, but an ordinary one \(id 0\)"),
        ("zzz", r"no special token 'zzz'; it has '<|im_end|>', '<|call|>'"),
    ],
)
def test_the_name_of_no_special_token_is_an_error_with_near_names(name: str, message: str) -> None:
    vocabulary = rellm.Vocabulary([b"a", None, None], special_tokens={"<|im_end|>": 1, "<|call|>": 2})
    with pytest.raises(rellm.VocabularyError, match=message.replace("|", r"\|")):
        vocabulary.special_token_id(name)
    with pytest.raises(rellm.VocabularyError, match="none of its tokens has a name"):
        rellm.Vocabulary([b"b", None]).special_token_id(name)


def test_the_special_tokens_of_gpt_oss_are_read() -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(at_hand.shared("gptoss"))
    names = {
        "<|channel|>": 200005,
        "<|start|>": 200006,
        "<|message|>": 200008,
        "<|call|>": 200012,
        "<|return|>": 200002,
    }
    assert {name: vocabulary.special_token_id(name) for name in names} == names
    assert len(vocabulary) == 200019


def test_the_special_tokens_of_qwen3_are_read_and_its_thinking_is_text() -> None:
    vocabulary = rellm.Vocabulary.from_tokenizer(at_hand.shared("qwen3"))
    assert vocabulary.special_token_id("<|im_end|>") == 151645
    assert vocabulary.never_text == [
        *("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>")
    ]
    assert vocabulary.tokens_bytes(range(151657, 151659)) == b"<tool_call></tool_call>"
    assert vocabulary.tokens_bytes(range(151665, 151669)) == b"<tool_response></tool_response><think></think>"


# --- vocabularies that begin words with a space ------------------------------------------------------------------


def test_a_vocabulary_whose_tokens_all_begin_with_a_space_says_so() -> None:
    vocabulary = rellm.Vocabulary([b" Pizza", b" a", b" b", None], [3])
    with pytest.raises(
        rellm.UnsatisfiableError, match=r"all tokens that are text begin with a space.*rellm.Literal\(\" \"\)"
    ):
        rellm.compile(rellm.Choice(["Pizza", "Pasta"]), vocabulary)
    with pytest.raises(rellm.UnsatisfiableError, match=r"Every token of this vocabulary that is text begins with a"):
        rellm.compile("Pasta", vocabulary)
    for remedy in (rellm.Literal(" "), rellm.Literal(" ").optional()):
        matcher = rellm.compile(remedy + rellm.Choice(["Pizza", "Pasta"]), vocabulary).matcher()
        assert matcher.allows(0)


def test_a_word_whose_usual_first_token_has_a_space_is_served_or_tells_how() -> None:
    vocabulary = rellm.Vocabulary([b" Pizza", b"izza", b"x", None], [3])
    with pytest.raises(rellm.UnsatisfiableError, match=r"its tokens begin words with a space, as SentencePiece has it"):
        rellm.compile(rellm.Choice(["Pizza"]), vocabulary)
    with pytest.raises(rellm.UnsatisfiableError, match=r"^(?!.*SentencePiece)"):
        rellm.compile("y", vocabulary)
    served = rellm.Vocabulary.from_tokenizer(at_hand.mistral_sentencepiece())
    matcher = rellm.compile(rellm.Literal(" ").optional() + rellm.Choice(["Pizza"]), served).matcher()
    starts = [served.token_bytes(token) for token in range(len(served)) if matcher.allows(token)]
    assert {b"P", b" P"} <= set(starts)
