"""Never cut off: within any budget that holds a match there comes one, and where none fits, an error says so first."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import rellm
import torch
from families import Family, family, tiny_bart
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle import Oracle, bytes_of
from rellm._generate.apply_mask import packed_words, unpacked
from rellm._generate.token_budget import fill_mask_in_budget
from rellm.integrations.transformers import ConstraintLogitsProcessor
from vocabularies import vocabulary_of

LETTERS = 'rednogyb {}":,0'


def patterns() -> st.SearchStrategy[str]:
    """Patterns of finite and infinite languages, with branches that take long to end once they are begun."""
    letter = st.sampled_from([re.escape(letter) for letter in LETTERS] + ["[a-f]", "[^x]", r"\d", "é"])
    word = st.lists(letter, min_size=1, max_size=6).map("".join)

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        bounds = st.sampled_from(["*", "+", "?", "{3}", "{2,5}", "{8,9}", "{0,30}", "{12}"])
        return st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, bounds).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        )

    return st.recursive(word, larger, max_leaves=5)


def fewest_tokens(pattern: str, vocabulary: Any, at_most: int) -> int | None:
    """The least number of tokens to a match, by trying all sequences level by level, states merged."""
    compiled = rellm.compile(pattern, vocabulary)
    level, seen = [compiled.matcher()], set()
    for depth in range(at_most + 1):
        if any(matcher.is_accepting for matcher in level):
            return depth
        following = []
        for matcher in level:
            for token_id in np.flatnonzero(unpacked(matcher.mask(), len(vocabulary))).tolist():
                if token_id in vocabulary.eos_token_ids:
                    continue
                after = matcher.copy()
                after.advance(token_id)
                # Equal texts are equal states; equal masks and ways to the end are, for this purpose, too.
                key = after.text
                if key not in seen:
                    seen.add(key)
                    following.append(after)
        level = following
        if len(level) > 3000:
            return depth + 1 if any(matcher.is_accepting for matcher in level) else -1
    return None


FAMILY_NAMES = st.sampled_from(["gpt2", "llama", "t5"])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pattern=patterns(), budget=st.integers(1, 24), name=FAMILY_NAMES, seed=st.integers(0, 2**20), sample=st.booleans()
)
def test_a_text_is_complete_or_no_text_fits(pattern: str, budget: int, name: str, seed: int, sample: bool) -> None:
    of = family(name)
    vocabulary = vocabulary_of(of)
    generator = rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary)
    torch.manual_seed(seed)
    failed: rellm.BudgetError | None = None
    try:
        completion = generator("The capital of", pattern, budget, do_sample=sample)
    except rellm.UnsatisfiableError:
        return  # the vocabulary cannot spell it
    except rellm.BudgetError as error:
        failed = error
    if failed is not None:
        found = fewest_tokens(pattern, vocabulary, budget)
        assert found in (None, -1), f"{found} tokens are enough"
        assert (failed.needed or 0) > budget
        assert str(failed.needed) in str(failed)
        return
    assert completion.is_complete
    assert len(completion.token_ids) <= budget
    assert re.fullmatch(pattern, completion.text)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(pattern=patterns(), budget=st.integers(1, 24), name=FAMILY_NAMES, data=st.data())
def test_whatever_is_chosen_within_the_budget_ends_in_it(
    pattern: str, budget: int, name: str, data: st.DataObject
) -> None:
    vocabulary = vocabulary_of(family(name))
    try:
        matcher = rellm.compile(pattern, vocabulary).matcher()
    except rellm.UnsatisfiableError:
        return
    if matcher.tokens_to_match(budget) is None:
        return
    row = np.zeros((1, packed_words(len(vocabulary))), dtype=np.uint32)
    for written in range(budget):
        way = matcher.longest_way
        assert way is None or matcher.tokens_to_match(way) is not None, "further from its end than any text can be"
        fill_mask_in_budget(matcher, row, 0, budget - written)
        allowed = np.flatnonzero(unpacked(row[0], len(vocabulary))).tolist()
        assert allowed or matcher.is_finished, "a dead end"
        text = [token_id for token_id in allowed if token_id not in vocabulary.eos_token_ids]
        if not text:
            break
        matcher.advance(data.draw(st.sampled_from(text)))
    assert matcher.is_accepting


def test_within_the_budget_the_mask_is_the_exhaustive_one() -> None:
    """The tight end of a budget, where no slack is left: exactly the tokens after which a match still fits."""
    vocabulary = vocabulary_of(family("gpt2"))
    language = frozenset({b"red", b"redgreen", b"{" + b"blue " * 4 + b"}"})
    oracle = Oracle(bytes_of(vocabulary), vocabulary.eos_token_ids, language)
    compiled = rellm.compile(r"red|redgreen|\{(blue ){4}\}", vocabulary)
    for left in range(1, 14):
        matcher = compiled.matcher()
        row = np.zeros((1, packed_words(len(vocabulary))), dtype=np.uint32)
        matcher.fill_mask_within(row, 0, left)
        found = set(np.flatnonzero(unpacked(row[0], len(vocabulary))).tolist())
        assert found == oracle.allowed(b"", left)


def test_a_budget_too_small_is_told_before_the_model_is_asked() -> None:
    of = family("llama")

    class Never:
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("the model was asked")

    generator = rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))
    hook = of.model.register_forward_pre_hook(Never())
    try:
        with pytest.raises(
            rellm.BudgetError, match=r"no match fits into max_new_tokens=3: the shortest takes \d+"
        ) as info:
            generator("a", r"\d{3}-\d{3}-\d{4}", 3)
    finally:
        hook.remove()
    needed = info.value.needed
    assert needed is not None
    assert generator("a", r"\d{3}-\d{3}-\d{4}", needed).is_complete
    with pytest.raises(rellm.BudgetError):
        generator("a", r"\d{3}-\d{3}-\d{4}", needed - 1)


@pytest.mark.parametrize("many", [{"num_beams": 3}, {"num_return_sequences": 3, "do_sample": True}])
def test_a_budget_holds_for_beams_and_returns(many: dict[str, Any]) -> None:
    of = family("qwen2")
    generator = rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))
    found = generator(["The capital", "a b c d"], r'\{"a": "[a-z ]*", "b": "[a-z ]*"\}', 16, **many)
    for completion in [one for each in found for one in (each if isinstance(each, list) else [each])]:
        assert completion.is_complete, completion


@pytest.mark.parametrize("many", [{}, {"num_beams": 3}, {"do_sample": True}])
@pytest.mark.parametrize("forced_text", ["off", "verified", "forced"])
def test_tokens_that_generate_forces_cost_nothing_of_the_budget(forced_text: Any, many: dict[str, Any]) -> None:
    of = family("t5")
    model, vocabulary = tiny_bart(of), vocabulary_of(of)
    generator = rellm.Generator(model, of.tokenizer, vocabulary=vocabulary)
    pattern = r"(red|green|blue) \d{3}-\d{4}"
    with pytest.raises(rellm.BudgetError) as info:
        generator("a", pattern, 1)
    least = info.value.needed
    assert least is not None
    for budget in (least, least + 3):
        for completion in generator(["a", "red green"], pattern, budget, forced_text=forced_text, **many):
            assert completion.is_complete
            assert len(completion.token_ids) <= budget
    single = generator("a", pattern, least, forced_text=forced_text, **many)
    assert single.is_complete
    if not many:
        assert "".join(generator.stream("a", pattern, least, forced_text=forced_text)) == single.text


def test_in_plain_generate_a_forced_first_token_counts() -> None:
    of = family("t5")
    model, vocabulary = tiny_bart(of), vocabulary_of(of)
    pattern = r"(red|green|blue) \d{3}-\d{4}"
    least = rellm.compile(pattern, vocabulary).matcher().tokens_to_match(100)
    assert least is not None
    encoded = of.prompt()
    for budget in (least + 1, least + 4):
        processor = ConstraintLogitsProcessor(pattern, vocabulary, max_new_tokens=budget)
        # One more for the forced EOS.
        out = model.generate(**encoded, logits_processor=[processor], max_new_tokens=budget + 1, do_sample=False)
        written = vocabulary.tokens_bytes(out[0, 2:].tolist()).decode()
        assert re.fullmatch(pattern, written)
    processor = ConstraintLogitsProcessor(pattern, vocabulary, max_new_tokens=least)
    with pytest.raises(rellm.BudgetError, match="less the first token that generate forces"):
        model.generate(**encoded, logits_processor=[processor], max_new_tokens=least + 1, do_sample=False)


def _generator(of: Family) -> rellm.Generator:
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))


def test_runs_of_whitespace_and_repetitions_are_bounded_on_request() -> None:
    class Wants:
        """Scores that prefer one token."""

        def __init__(self, token_id: int) -> None:
            self.token_id = token_id

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            scores = scores.clone()
            scores[:, self.token_id] += 1000
            return scores

    of = family("gpt2")
    vocabulary = vocabulary_of(of)
    tokens = bytes_of(vocabulary)
    space, letter = tokens.index(b" "), tokens.index(b"a")
    generator = _generator(of)
    free = generator("a", r"[a-z\s]{40}", 40, logits_processor=[Wants(space)])
    assert " " * 20 in free.text
    bounded = generator("a", r"[a-z\s]{40}", 40, max_whitespace=2, logits_processor=[Wants(space)])
    assert bounded.is_complete
    assert not re.search(r"\s{3}", bounded.text)
    repeated = generator("a", r"[a-z\s]{40}", 40, max_repetition=3, logits_processor=[Wants(letter)])
    assert repeated.is_complete
    assert not any(len(set(repeated.token_ids[i : i + 4])) == 1 for i in range(len(repeated.token_ids) - 3))
    # Where the constraint leaves nothing else, it wins.
    assert generator("a", r" {9}", 9, max_whitespace=2).text == " " * 9
    for wrong, words in [("1", "str '1'"), (1.0, "float 1.0"), (True, "bool True")]:
        for name in ("max_whitespace", "max_repetition"):
            with pytest.raises(TypeError, match=f"^{name} is a whole number, or None for no bound, not {words}$"):
                generator("a", " {9}", 9, **{name: wrong})


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    pattern=patterns(),
    more=st.sampled_from([0, 0, 1, 5]),
    name=st.sampled_from(["gpt2", "gemma", "t5"]),
    seed=st.integers(0, 2**20),
    forced_text=st.sampled_from(["off", "verified", "forced"]),
    many=st.sampled_from([{}, {"do_sample": True}, {"do_sample": True, "num_return_sequences": 2}, {"num_beams": 3}]),
)
def test_the_least_budget_is_enough_in_every_mode_and_one_less_is_an_error(
    pattern: str, more: int, name: str, seed: int, forced_text: Any, many: dict[str, Any]
) -> None:
    of = family(name)
    generator = _generator(of)
    try:
        least = rellm.compile(pattern, generator.vocabulary).matcher().tokens_to_match(40)
    except rellm.UnsatisfiableError:
        return
    if not least:
        return
    if least > 1:
        with pytest.raises(rellm.BudgetError) as info:
            generator("a", pattern, least - 1, forced_text=forced_text)
        assert info.value.needed == least
    torch.manual_seed(seed)
    found = generator(["a", "The capital of"], pattern, least + more, forced_text=forced_text, **many)
    for completion in [one for some in found for one in (some if isinstance(some, list) else [some])]:
        assert completion.is_complete
        assert len(completion.token_ids) <= least + more
        assert re.fullmatch(pattern, completion.text)
    if "num_return_sequences" not in many and "num_beams" not in many:
        stream = generator.stream("The capital of", pattern, least + more, forced_text=forced_text, **many)
        assert re.fullmatch(pattern, "".join(stream))
