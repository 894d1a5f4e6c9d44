"""Texts in the tokens that the tokenizer itself would write."""

from __future__ import annotations

from typing import Any

import pytest
import rellm
import tokenizers_at_hand
import torch
from rellm import testing
from rellm._generate.canonical import CanonicalTokens
from rellm._generate.text_state import EndRules, Row

TEXTS = [
    "Once upon a time, and 1234 \n\n things.\n\nb   c\n  def x(a):\n\treturn 'it''s' don't\r\n\r\nA\n \n B",
    "B 12345678 3.14159",
    "naïve café 日本語 🙂🎉👩‍👧 e\u0301 x\u00a0y",
    '{"name": "Ada Lovelace", "born": 1815, "tags": ["a-b", "c_d"]}\n```python\nfor i in range(10):\n    print(i)\n',
]


def fast(tokenizer: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="</s>")


TOKENIZERS = {
    "SmolLM2": tokenizers_at_hand.smollm2,
    "GPT-2's kind": lambda: fast(tokenizers_at_hand.byte_level()),
    "Llama's kind": lambda: fast(tokenizers_at_hand.llama_like()),
    "Qwen 3": lambda: fast(tokenizers_at_hand.shared("qwen3")),
    "gpt-oss": lambda: fast(tokenizers_at_hand.shared("gptoss")),
}


def canonical(tokenizer: Any, **options: Any) -> CanonicalTokens:
    return CanonicalTokens(tokenizer, rellm.Vocabulary.from_tokenizer(tokenizer), **options)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in ("Qwen 3", "gpt-oss") else []) for name in TOKENIZERS],
)
def test_every_text_can_be_written_as_the_tokenizer_cuts_it(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    filtered = canonical(tokenizer)
    for text in TEXTS:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        refused = [i for i in range(1, len(ids)) if not filtered.are_canonical(ids[:i], ids[i : i + 1])[0]]
        assert not refused, [tokenizer.decode(ids[max(i - 3, 0) : i + 1]) for i in refused]


# GPT-2's kind is trained on this project's own texts: with some of them one text of six is cut otherwise.
_UNEXPLAINED = pytest.mark.xfail(strict=False, reason="one text of six is cut otherwise; the cause is not known yet")


@pytest.mark.parametrize("name", ["SmolLM2", pytest.param("GPT-2's kind", marks=_UNEXPLAINED)])
def test_whatever_is_drawn_the_text_is_cut_as_the_tokenizer_cuts_it(name: str) -> None:
    tokenizer = TOKENIZERS[name]()
    vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
    letters = [
        i
        for i in range(len(vocabulary))
        # Whole characters: half of one has no canonical continuation but its other half.
        if (data := vocabulary.token_bytes(i) or b"").islower() and data.isascii() and len(data) < 4
    ]
    filtered, random = CanonicalTokens(tokenizer, vocabulary, samples=True), torch.Generator().manual_seed(3)
    row = Row(None, EndRules(frozenset(), vocabulary))
    rows = {}
    for is_filtered in (False, True):
        same = 0
        for _ in range(6):
            ids = tokenizer("A text:", add_special_tokens=False)["input_ids"]
            for _ in range(8):
                scores = torch.full((1, len(vocabulary)), float("-inf"))
                scores[0, letters] = torch.randn(len(letters), generator=random)
                if is_filtered:
                    scores = filtered.restrict(scores, torch.tensor([ids]), [row])
                ids.append(int(torch.multinomial(torch.softmax(scores[0], -1), 1, generator=random)))
            same += tokenizer(tokenizer.decode(ids), add_special_tokens=False)["input_ids"] == ids
        rows[is_filtered] = same
    assert rows[True] == 6
    assert rows[False] < 4


def word_tokenizer() -> Any:
    """Letters and the merges of "hello": a text has many ways, and one is the tokenizer's."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    merges = [("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o")]
    words = [*"helo ", *(a + b for a, b in merges), "lo", "<|end|>"]
    tokenizer = Tokenizer(models.BPE(vocab={word.replace(" ", "Ġ"): i for i, word in enumerate(words)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    made.chat_template = testing.tiny_tokenizer().chat_template
    return made


def spelled(found: Any, tokenizer: Any) -> list[str]:
    return [tokenizer.decode([token]) for token in found.token_ids]


@pytest.mark.parametrize("options", [{}, {"do_sample": True, "temperature": 5.0}, {"num_beams": 2},
                                     {"forced_text": "off"}])  # fmt: skip
def test_a_generator_writes_canonical_tokens(options: Any) -> None:
    tokenizer = word_tokenizer()
    model = testing.scripted_model("", tokenizer)
    of = rellm.Generator(model, tokenizer)
    model.forward = by_preference(model, {"he": 5.0, "lo": 9.0, "hello": 1.0, "h": 6.0, "hell": 2.0})
    prompt = "o "
    wild = of(prompt, rellm.Literal("hello"), 5, forced_text="off")
    assert spelled(wild, tokenizer) != ["hello"]
    found = of(prompt, rellm.Literal("hello"), 5, tokenisation="canonical", **options)
    assert spelled(found, tokenizer) == ["hello"]
    many = of([prompt, "ll"], rellm.Literal("hello"), 5, tokenisation="canonical", **options)
    assert [one.text for one in many] == ["hello", "hello"]


def by_preference(model: Any, wanted: dict[str, float]) -> Any:
    from transformers.modeling_outputs import CausalLMOutput

    row = torch.zeros(model.config.vocab_size)
    for token, data in enumerate(model.written):
        row[token] = wanted.get(data.decode(errors="replace"), 0.0)

    def forward(input_ids: Any, **_: Any) -> Any:
        return CausalLMOutput(logits=row.expand(*input_ids.shape, -1).clone())

    return forward


def test_where_no_token_is_canonical_the_constraint_has_its_way() -> None:
    tokenizer = word_tokenizer()
    of = rellm.Generator(testing.scripted_model("", tokenizer), tokenizer)
    # Behind "hell" the tokenizer would never begin a token with "o".
    found = of("hell", rellm.Literal("o"), 3, tokenisation="canonical")
    assert (found.text, found.is_complete) == ("o", True)


def test_a_wrong_name_is_told() -> None:
    of = testing.scripted_generator("a")
    with pytest.raises(ValueError, match='tokenisation is \'best\': it is "any" or "canonical"'):
        of("x", "a", tokenisation="best")


def test_half_characters_and_special_tokens_are_not_refused() -> None:
    tokenizer = tokenizers_at_hand.smollm2()
    filtered = canonical(tokenizer)
    ids = tokenizer("A 🦩", add_special_tokens=False)["input_ids"]
    assert all(filtered.are_canonical(ids[:i], ids[i : i + 1])[0] for i in range(1, len(ids)))
    assert filtered.are_canonical(ids, [tokenizer.eos_token_id]) == [True]
