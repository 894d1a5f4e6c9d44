"""Parts with a token budget of their own end within it, whatever is chosen, and lose no token that could."""

from __future__ import annotations

import pickle
import random
import re

import numpy as np
import pytest
import regex
import rellm
from rellm import BudgetError, FreeText, PatternError, TokenRejectedError, Vocabulary
from rellm._constraints.base import Constraint
from rellm._constraints.combine import AnyOf, Sequence, Within

TOKENS = [b"a", b"b", b"c", b"ab", b"bc", b"cab", b"bb", None]
EOS = 7
SMALL = Vocabulary(TOKENS, eos_token_ids=[EOS])
PARTS = ["a*b", "(ab|b)*c", "[ab]+", "c", "a?", "(abc)*", "b{2,5}"]


def allowed(matcher) -> set[int]:
    mask = matcher.mask()
    return {token for token in range(len(TOKENS)) if mask[token // 32] >> np.uint32(token % 32) & np.uint32(1)}


def fits(ids: list[int], parts: list[tuple[str, int | None]]) -> bool:
    """Whether the tokens can be split into texts of the parts, each touching at most as many tokens as it may."""
    text = "".join(TOKENS[token].decode() for token in ids)
    owner = [number for number, token in enumerate(ids) for _ in TOKENS[token]]
    places = {0}
    for pattern, budget in parts:
        places = {
            end
            for start in places
            for end in range(start, len(text) + 1)
            if re.fullmatch(pattern, text[start:end]) and (budget is None or len(set(owner[start:end])) <= budget)
        }
    return len(text) in places


def can_fit(ids: list[int], parts: list[tuple[str, int | None]], depth: int) -> bool:
    whole = regex.compile("".join(f"(?:{pattern})" for pattern, _ in parts))
    waiting = [ids]
    while waiting:
        found = waiting.pop(0)
        if fits(found, parts):
            return True
        if len(found) - len(ids) < depth:
            for token in range(7):
                text = "".join(TOKENS[one].decode() for one in [*found, token])
                if whole.fullmatch(text, partial=True):
                    waiting.append([*found, token])
    return False


@pytest.mark.parametrize("seed", range(25))
def test_masks_are_what_can_still_end_in_the_budgets(seed):
    source = random.Random(seed)
    parts = [(source.choice(PARTS), source.choice([None, 1, 2, 3])) for _ in range(source.randint(1, 3))]
    constraint = Sequence(
        *(rellm.Regex(pattern) if n is None else rellm.Regex(pattern).within(max_tokens=n) for pattern, n in parts)
    )
    try:
        compiled = rellm.compile(constraint, SMALL)
    except BudgetError:
        assert not can_fit([], parts, 5)
        return
    if not any(n for _, n in parts):
        return
    for _ in range(3):
        matcher, ids = compiled.matcher(), []
        while len(ids) < 4:
            assert matcher.is_accepting == fits(ids, parts), (parts, ids)
            found = allowed(matcher)
            # Nothing needs more than four further tokens in these parts once it can end at all.
            for token in range(7):
                assert (token in found) == can_fit([*ids, token], parts, 4), (parts, ids, TOKENS[token], found)
            assert (EOS in found) == matcher.is_accepting
            choices = sorted(found - {EOS})
            if not choices:
                break
            token = source.choice(choices)
            matcher.advance(token)
            ids.append(token)


def bytes_vocabulary() -> Vocabulary:
    words = [b"</", b"think", b">", b"</think>", b"yes", b"no", b"ye", b" the", b"hmm", b">y", b"<"]
    return Vocabulary([*(bytes([byte]) for byte in range(256)), *words, None, None], [267], {"<end>": 268})


def test_thinking_ends_in_its_budget_a_thousand_times():
    vocabulary = bytes_vocabulary()
    budget = 12
    compiled = rellm.compile(
        FreeText(until="</think>").within(max_tokens=budget) + rellm.Choice(["yes", "no"]), vocabulary
    )
    source = np.random.default_rng(3)
    steered = 0
    for _ in range(1000):
        matcher = compiled.matcher()
        ids: list[int] = []
        while True:
            bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
            token = int(source.choice(np.flatnonzero(bits)))
            matcher.advance(token)
            if token == 267:
                break
            ids.append(token)
        text = vocabulary.tokens_bytes(ids)
        assert text.endswith((b"</think>yes", b"</think>no"))
        used = next(n for n in range(1, len(ids) + 1) if b"</think>" in vocabulary.tokens_bytes(ids[:n]))
        assert used <= budget
        steered += matcher.was_steered
    assert steered > 900


def random_end(compiled, vocabulary, source, eos: int) -> bytes:
    matcher = compiled.matcher()
    while True:
        bits = np.unpackbits(matcher.mask().view(np.uint8), bitorder="little")
        choices = np.flatnonzero(bits)
        assert len(choices), matcher.text
        token = int(source.choice(choices))
        matcher.advance(token)
        if token == eos:
            return bytes(matcher.text)


@pytest.mark.parametrize(
    "constraint",
    [
        Sequence(Within(FreeText(until="."), 4), Within(FreeText(until="!"), 3)).within(max_tokens=6) + "x",
        Within(rellm.Regex("[a-z]+"), 3).repeat(1, 3, separator=", "),
        Within(rellm.Regex("[a-z]+"), 3).optional() + AnyOf(Within(rellm.Regex("[0-9]{1,9}"), 2), "-"),
        rellm.Template("A {x}\nB {y}", x=Within(FreeText(until=";"), 5), y=Within(rellm.Regex("[ab]{2,}"), 4)),
        Within(rellm.Regex("(ab)+"), 5).named("x") + Within(rellm.Regex("(ba)*"), 4).named("y"),
    ],
)
def test_budgets_nest_repeat_and_stand_in_templates(constraint):
    vocabulary = bytes_vocabulary()
    compiled = rellm.compile(constraint, vocabulary)
    source = np.random.default_rng(1)
    plain = rellm.compile(without_budgets(constraint), vocabulary)
    for _ in range(30):
        text = random_end(compiled, vocabulary, source, 267)
        matcher = plain.matcher()
        matcher.advance_bytes(text)
        assert matcher.is_accepting, text


def without_budgets(constraint: Constraint) -> Constraint:
    if isinstance(constraint, Within):
        return without_budgets(constraint.item)
    if isinstance(constraint, Sequence):
        return Sequence(*map(without_budgets, constraint.parts))
    return constraint


def test_a_matcher_goes_back_copies_and_takes_bytes():
    compiled = rellm.compile(Within(rellm.Regex("[ab]+c"), 3) + rellm.Regex("b*"), SMALL)
    matcher = compiled.matcher()
    start = allowed(matcher)
    matcher.advance_bytes(b"abab")  # two tokens: ab, ab
    assert allowed(matcher) == {TOKENS.index(b"c"), TOKENS.index(b"bc")}
    other = matcher.copy()
    other.advance(TOKENS.index(b"c"))
    assert other.is_accepting
    assert not matcher.is_accepting
    with pytest.raises(TokenRejectedError, match="could not end within its max_tokens"):
        matcher.advance(TOKENS.index(b"a"))
    assert "within its max_tokens" in str(matcher.explain(TOKENS.index(b"a")))
    assert matcher.validate([TOKENS.index(b"bc"), TOKENS.index(b"bb"), EOS, 0]) == 3
    matcher.rollback(1)
    assert allowed(matcher) == start
    other.reset()
    assert allowed(other) == start


def test_a_budget_that_holds_no_text_is_told_when_it_is_compiled():
    with pytest.raises(BudgetError, match=r"takes at least 4 tokens of this vocabulary, and has max_tokens=3"):
        rellm.compile(Within(rellm.Regex("a{4}"), 3) + "b", SMALL)


def test_a_budget_is_a_value():
    constraint = FreeText(until="x").within(max_tokens=3)
    for again in (pickle.loads(pickle.dumps(constraint)), Constraint.from_json(constraint.to_json())):
        assert again == constraint
        assert again != FreeText(until="x").within(max_tokens=4)
    assert repr(constraint) == "Within(FreeText(until='x'), max_tokens=3)"
    with pytest.raises(PatternError, match="at least one token"):
        FreeText().within(max_tokens=0)
    with pytest.raises(TypeError, match="max_tokens is a whole number"):
        FreeText().within(max_tokens=True)


def test_the_value_of_a_part_is_that_of_the_constraint():
    assert FreeText(until="</think>").within(max_tokens=9).parse("hm</think>") == "hm"


def tiny_generator():
    torch = pytest.importorskip("torch")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<eos>"], initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(["the model thinks </think> yes no hm well "] * 50, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<eos>", pad_token="<eos>")
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=256, eos_token_id=0, bos_token_id=0
    )
    return rellm.Generator(GPT2LMHeadModel(config).eval(), tokenizer)


@pytest.mark.parametrize(
    "how", [{}, {"do_sample": True}, {"num_beams": 2}, {"do_sample": True, "num_return_sequences": 2}]
)
def test_a_part_ends_in_its_budget_in_every_mode_of_the_generator(how):
    generator = tiny_generator()
    constraint = FreeText(until="</think>").within(max_tokens=16) + rellm.Choice(["yes", "no"])
    prompts = ["hello", "well"] if how == {"do_sample": True} else "hello"
    written = generator(prompts, constraint, max_new_tokens=60, **how)
    for completion in written if isinstance(written, list) else [written]:
        assert completion.is_complete
        assert completion.text.endswith(("</think>yes", "</think>no"))
        assert len(completion.token_ids) <= 16 + 3
        assert completion.was_steered
