"""`Generator`, ReLLM's names and the processor's errors, on tiny random models."""

from __future__ import annotations

import re
from typing import Any

import pytest
import rellm
import torch
from families import FAMILIES, HAS_CONTINUOUS_BATCHING, SAVES_PASSES, family
from rellm.integrations.transformers import ConstraintLogitsProcessor, generate_batch
from vocabularies import vocabulary_of

ACTION = r'\{"action": "[a-z ]{1,12}", "number": [0-9]{1,3}\}'


def generator(name: str = "gpt2") -> rellm.Generator:
    of = family(name)
    return rellm.Generator(of.model, of.tokenizer)


def drained(pieces: Any) -> tuple[list[str], rellm.Completion]:
    found: list[str] = []
    while True:
        try:
            found.append(next(pieces))
        except StopIteration as end:
            return found, end.value


@pytest.mark.skipif(not SAVES_PASSES, reason="this release of transformers is left to its own loop")
@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sample", [False, True])
def test_verified_forced_text_changes_nothing_but_the_passes(name: str, sample: bool) -> None:
    write = generator(name)
    saved = 0
    for prompt in ("The capital of", "red green"):
        for pattern in (ACTION, "(red|green|blue)( (red|green|blue)){2}", r"\d{3}-\d{4}"):
            texts = []
            for mode in ("off", "verified"):
                torch.manual_seed(11)
                texts.append(write(prompt, pattern, 60, do_sample=sample, forced_text=mode))
            off, verified = texts
            assert verified == off
            assert off.forward_passes == len(off.token_ids) + (off.finish_reason == "complete" and _took_end(off))
            saved += off.forward_passes - verified.forward_passes
    assert saved > 0


def _took_end(completion: rellm.Completion) -> bool:
    """Whether a pass was spent on the end-of-sequence token: not where nothing could follow."""
    return completion.forward_passes > len(completion.token_ids)


@pytest.mark.skipif(not SAVES_PASSES, reason="this release of transformers is left to its own loop")
@pytest.mark.parametrize("name", FAMILIES)
def test_text_forced_unasked_is_cut_as_the_tokenizer_cuts_it(name: str) -> None:
    write = generator(name)
    completion = write("The capital of", "The quick brown fox jumps over the lazy dog", 60, forced_text="forced")
    assert completion.text == "The quick brown fox jumps over the lazy dog"
    assert completion.is_complete
    assert completion.forward_passes < len(completion.token_ids)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("mode", ["off", "verified", "forced"])
def test_pieces_of_a_stream_join_to_the_text(name: str, mode: Any) -> None:
    write = generator(name)
    torch.manual_seed(3)
    pieces, completion = drained(write.stream("The capital of", ACTION, 60, do_sample=True, forced_text=mode))
    assert "".join(pieces) == completion.text
    assert len(pieces) > 1
    assert completion.is_complete
    torch.manual_seed(3)
    assert write("The capital of", ACTION, 60, do_sample=True, forced_text=mode) == completion


def test_a_piece_never_splits_a_character() -> None:
    pieces, completion = drained(generator().stream("a", "[日本語😀é]{6}", 40))
    assert "".join(pieces) == completion.text
    assert len(completion.text) == 6
    assert "\ufffd" not in completion.text


@pytest.mark.parametrize("stop", ["number", ["zzz", '", "nu'], '"'])
def test_a_stop_string_cuts_the_text_and_is_never_streamed(stop: Any) -> None:
    write = generator()
    whole = write("The capital of", ACTION, 60).text
    strings = [stop] if isinstance(stop, str) else stop
    expected = whole[: min(whole.index(string) for string in strings if string in whole)]
    pieces, completion = drained(write.stream("The capital of", ACTION, 60, stop=stop))
    assert "".join(pieces) == completion.text == expected
    assert completion.finish_reason == "stop"
    assert not completion.is_complete
    assert write.vocabulary.tokens_bytes(completion.token_ids).decode() in expected


def test_a_stop_string_is_literal_and_may_end_a_whole_match() -> None:
    completion = generator()("a", r"(yes|no)\.\nHuman:", 30, stop=["Human:"])
    assert completion.text in ("yes.\n", "no.\n")
    assert completion.finish_reason == "stop"
    assert completion.is_complete
    assert completion.match is not None
    assert completion.match[1] in ("yes", "no")
    assert generator()("a", "ab|ba", 9, stop=["."]).text in ("ab", "ba")


def test_prompts_returns_and_constraints_come_back_in_order() -> None:
    write = generator()
    single = write("red", "yes|no", 9)
    assert isinstance(single, rellm.Completion)
    several = write(["The capital of France", "red", "a"], ["yes|no", None, rellm.Choice(["red", "blue"])], 9)
    assert several[0].text in ("yes", "no")
    assert several[1].constraint is None
    assert several[2].text in ("red", "blue")
    torch.manual_seed(0)
    many = write(["a", "b"], "[ab]{4}", 9, num_return_sequences=3, do_sample=True)
    assert [len(each) for each in many] == [3, 3]
    assert all(re.fullmatch("[ab]{4}", completion.text) for each in many for completion in each)
    assert len(write("a", "[ab]{4}", 9, num_return_sequences=2, do_sample=True)) == 2
    alone = [write(prompt, "[a-f]{5}", 9).text for prompt in ("The capital of France", "red")]
    assert [one.text for one in write(["The capital of France", "red"], "[a-f]{5}", 9)] == alone


def test_chat_messages_are_a_prompt_without_a_second_bos() -> None:
    import copy

    of = family("llama")
    tokenizer = copy.deepcopy(of.tokenizer)
    tokenizer.chat_template = "<s>{% for m in messages %}{{ m['content'] }}{% endfor %}"
    write = rellm.Generator(of.model, tokenizer)
    seen: list[Any] = []
    hook = of.model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    try:
        completion = write([{"role": "user", "content": "The capital of"}], "yes|no", 9)
    finally:
        hook.remove()
    assert completion.text in ("yes", "no")
    assert seen[0][0].tolist().count(tokenizer.bos_token_id) == 1
    with pytest.raises(ValueError, match="no chat template"):
        generator()([{"role": "user", "content": "a"}], "yes", 9)


def test_the_callers_own_settings_are_taken() -> None:
    from transformers import GenerationConfig

    write = generator()
    config = GenerationConfig(do_sample=True, temperature=3.0, max_new_tokens=7)
    torch.manual_seed(1)
    first = write("a", "[a-f]{3,90}", generation_config=config)
    assert len(first.token_ids) <= 7
    assert first.is_complete
    assert write("a", "[a-f]{3}", 9, pad_token_id=5, eos_token_id=[0, 1], num_beams=2).is_complete
    with pytest.raises(ValueError, match="max_new_tokens"):
        write("a", "a", max_length=9)
    with pytest.raises(ValueError, match="max_new_tokens"):
        write("a", "a", 0)


def test_a_pipeline_brings_model_tokenizer_and_arguments() -> None:
    from transformers import pipeline

    of = family("gpt2")
    pipe = pipeline("text-generation", model=of.model, tokenizer=of.tokenizer, max_new_tokens=5)
    write = rellm.Generator.from_pipeline(pipe)
    assert len(write("a", "[a-f]{3,90}").token_ids) <= 5
    with pytest.raises(TypeError, match="not a text-generation pipeline"):
        rellm.Generator.from_pipeline(object())


def test_a_list_of_constraints_in_a_pipeline_is_refused() -> None:
    from transformers import pipeline

    of = family("gpt2")
    pipe = pipeline("text-generation", model=of.model, tokenizer=of.tokenizer)
    processor = ConstraintLogitsProcessor(["yes", "no"], vocabulary_of(of))
    with pytest.raises(ValueError, match="a list of constraints in a pipeline"):
        pipe(["a", "b"], batch_size=2, logits_processor=[processor], max_new_tokens=5)


def test_an_empty_prompt_begins_with_bos_and_a_long_one_is_refused() -> None:
    assert generator("llama")("", "yes|no", 9).text in ("yes", "no")
    with pytest.raises(ValueError, match=r"the prompt has \d+ tokens, but the model's context holds 512"):
        generator()("red " * 600, "yes|no", 9)
    near = generator()("a " * 250, r"[a-f]{3,2000}", 400)
    assert near.is_complete
    assert len(near.token_ids) < 400


def test_a_row_without_an_allowed_score_is_a_dead_end() -> None:
    class Nothing:
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            return torch.full_like(scores, float("-inf"))

    with pytest.raises(rellm.DeadEndError, match="nothing can be written after ''") as info:
        generator()("a", "yes|no", 9, logits_processor=[Nothing()])
    assert info.value.text == ""
    with pytest.raises(rellm.DeadEndError, match="min_new_tokens"):
        generator()(["a", "b"], ["yes", "yes no yes no yes no"], 30, min_new_tokens=20)


def test_a_new_call_is_recognised_by_its_prompt() -> None:
    of = family("gpt2")
    vocabulary = vocabulary_of(of)
    processor = ConstraintLogitsProcessor("(red|green) (red|green)", vocabulary)
    fresh = ConstraintLogitsProcessor("(red|green) (red|green)", vocabulary)
    red, scores = vocabulary_ids(vocabulary, b"red"), torch.zeros(1, len(vocabulary))

    def mask(one: Any, ids: list[int]) -> Any:
        return torch.isfinite(one(torch.tensor([ids]), scores)).nonzero()[:, 1].tolist()

    start = mask(fresh, [7, 8, 9])
    assert mask(processor, [7, 8, 9]) == start
    after = mask(processor, [7, 8, 9, red])
    assert after != start
    assert mask(processor, [7, 8, 9]) == start  # the same prompt again
    assert mask(processor, [5, 6]) == start  # another one
    assert mask(processor, [5, 6, red]) == after
    assert mask(processor, [5, 6, red, 40, 41]) == start  # what was written, and a new question after it
    assert mask(processor, [5, 6, red, 40, 41, red]) == after
    processor.reset()
    assert mask(processor, [5, 6, red, 40, 41, red]) == start
    told = ConstraintLogitsProcessor("(red|green) (red|green)", vocabulary, prompt_length=2)
    assert mask(told, [5, 6, red]) == after


def test_a_processor_fits_itself_to_each_models_width() -> None:
    vocabulary = vocabulary_of(family("gpt2"))
    processor = ConstraintLogitsProcessor("(red|green|blue) 2024", vocabulary)
    ids = torch.tensor([[5, 6, 7]])

    def allowed(width: int) -> list[int]:
        processor.reset()
        return torch.isfinite(processor(ids, torch.zeros(1, width))).nonzero()[:, 1].tolist()

    whole = allowed(len(vocabulary))
    narrow = max(whole)
    assert allowed(narrow) == [token_id for token_id in whole if token_id < narrow]
    assert allowed(len(vocabulary) + 9) == whole


def vocabulary_ids(vocabulary: Any, data: bytes) -> int:
    return next(i for i in range(len(vocabulary)) if vocabulary.token_bytes(i) == data)


def test_memory_does_not_grow_with_the_calls() -> None:
    of = family("gpt2")
    processor = ConstraintLogitsProcessor("[ab]{1,8}", vocabulary_of(of))
    for call in range(50):
        ids = torch.tensor([[5, 6, 10 + call], [7, 8, 10 + call]])
        of.model.generate(ids, attention_mask=torch.ones_like(ids), logits_processor=[processor], max_new_tokens=9)
        known = processor._calls._calls
        assert len(known) <= 2, "calls whose texts are over make way"
        assert all(len(row.tokens) <= 9 for one in known for row in one.rows)


def test_without_an_end_id_the_processor_says_what_to_do_and_the_generator_ends_by_itself() -> None:
    of = family("gpt2")
    bare = rellm.Vocabulary([vocabulary_of(of).token_bytes(i) for i in range(len(vocabulary_of(of)))])
    with pytest.raises(rellm.VocabularyError, match="eos_token_ids"):
        ConstraintLogitsProcessor("yes", bare)
    assert ConstraintLogitsProcessor("yes", bare, eos_token_ids=[0]).eos_token_ids == [0]
    processor = ConstraintLogitsProcessor(["yes", "no"], vocabulary_of(of))
    with pytest.raises(ValueError, match="2 constraints for 3 rows"):
        processor(torch.zeros(3, 4, dtype=torch.long), torch.zeros(3, len(bare)))


def test_complete_re_keeps_the_ancestors_call() -> None:
    import regex

    of = family("gpt2")
    text = rellm.complete_re("The capital", regex.compile(r"\d{2}"), of.tokenizer, of.model)
    assert re.fullmatch(r"\d{2}", text)
    with pytest.raises(rellm.BudgetError):
        rellm.complete_re("a", "x{40}y{40}", of.tokenizer, of.model)
    either = rellm.complete_re("a", [re.compile("YES", re.I), "no", rellm.Literal("may be")], of.tokenizer, of.model, 9)
    assert either.lower() in ("yes", "no", "may be")
    with pytest.raises(rellm.UnsatisfiableError, match="empty list"):
        rellm.complete_re("a", [], of.tokenizer, of.model)
    whole = rellm.complete_re("a", r"\d{2,6}", of.tokenizer, of.model, max_new_tokens=8, stop_after_match=False)
    assert re.fullmatch(r"\d{2,6}", whole)
    first = rellm.complete_re("a", r"[a-f]{2,60}", of.tokenizer, of.model, max_new_tokens=60)
    assert len(first) < 10


def test_complete_re_never_returns_a_partial() -> None:
    class AtOnce:
        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            return torch.ones(len(input_ids), dtype=torch.bool)

    of = family("gpt2")
    with pytest.raises(rellm.IncompleteError) as info:
        rellm.complete_re("a", r"[xyz]{9}\.", of.tokenizer, of.model, 20, stopping_criteria=[AtOnce()])
    assert info.value.text


def test_complete_re_tells_its_steps_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    of = family("t5")
    text = rellm.complete_re("a", r"\d{3}", of.tokenizer, of.model, 9, debug=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "step=1 completion=" in shown.err
    assert repr(text) in shown.err


def test_the_token_filter_and_the_mask_of_the_ancestor() -> None:
    of = family("gpt2")
    tokens = rellm.ReTokenFilter(of.tokenizer)
    allowed = tokens.filter_tokens("re", ["red", "green"])
    assert {tokens.vocabulary.token_bytes(i) for i in allowed} == {b"d"}
    assert tokens.filter_tokens("red", "red") == set(tokens.vocabulary.eos_token_ids)
    assert tokens.filter_tokens("blue", "red") == set()
    assert tokens.is_valid_token(next(iter(allowed)), "re", re.compile("red"))
    assert not tokens.is_valid_token(10**6, "re", re.compile("red"))
    masked = rellm.LogitsMask({3, 5})(torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 8))
    assert torch.isfinite(masked).nonzero()[:, 1].tolist() == [3, 5]
    with pytest.raises(ValueError, match="no token is allowed"):
        rellm.LogitsMask([])


def test_a_trace_comes_with_the_completion_on_request() -> None:
    completion = generator()("The capital of", ACTION, 60, trace=True)
    assert completion.trace.text == completion.text
    assert generator()("The capital of", ACTION, 60).trace is None


@pytest.mark.skipif(HAS_CONTINUOUS_BATCHING, reason="this release of transformers has what it needs")
def test_continuous_batching_names_the_release_that_cannot() -> None:
    of = family("gpt2")
    with pytest.raises(ImportError, match=r"generate_batch needs a newer transformers than 5\."):
        generate_batch(of.model, [[5, 6]], "a", vocabulary_of(of), max_new_tokens=4)


@pytest.mark.skipif(not HAS_CONTINUOUS_BATCHING, reason="this release of transformers has no ContinuousBatchingConfig")
def test_continuous_batching_raises_what_went_wrong() -> None:
    of = family("gpt2")
    with pytest.raises(rellm.BudgetError):
        generate_batch(of.model, [[5, 6]], r"x{50}y{50}", vocabulary_of(of), max_new_tokens=4)
    with pytest.raises(ValueError, match="2 constraints for 1 prompts"):
        generate_batch(of.model, [[5, 6]], ["a", "b"], vocabulary_of(of), max_new_tokens=4)
    assert generate_batch(of.model, [], "a", vocabulary_of(of), max_new_tokens=4) == {}


def test_streams_refuse_what_cannot_be_streamed() -> None:
    with pytest.raises(TypeError, match="one prompt"):
        generator().stream(["a", "b"], "yes", 9)
    with pytest.raises(ValueError, match="beams"):
        generator().stream("a", "yes", 9, num_beams=2)


class _PrefersA:
    """Raises the scores of the tokens that write nothing but "a"."""

    def __init__(self, vocabulary: rellm.Vocabulary) -> None:
        self._ids = [i for i in range(len(vocabulary)) if set(vocabulary.token_bytes(i) or b"-") == {ord("a")}]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        scores = scores.clone()
        scores[:, self._ids] += 1000
        return scores


def test_a_dead_end_of_the_search_engine_is_left_unless_the_text_is_being_read() -> None:
    write = generator()
    pattern = rellm.Regex(r"(?:(?=a{3}bc)a{3}bd|ab)(*PRUNE)", dialect="regex")
    assert rellm.compile(pattern, write.vocabulary).engine == "search"
    prefers = {"logits_processor": [_PrefersA(write.vocabulary)]}
    completion = write("The capital of", pattern, 20, stop_after_match=True, **prefers)
    assert completion.is_complete
    assert completion.text == "ab"
    with pytest.raises(rellm.DeadEndError):
        drained(write.stream("The capital of", pattern, 20, **prefers))


@pytest.mark.parametrize("stop", [3, b"x", 2.5])
def test_a_stop_that_is_no_text_is_named(stop: Any) -> None:
    with pytest.raises(TypeError, match=f"^stop is {type(stop).__name__} .*: pass str, or a list of str$"):
        generator()("a", "yes|no", 9, stop=stop)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"content": "a"}], 'message 0: "role" is missing: say who speaks, for instance {"role": "user", …}'),
        ([{"role": "user", "content": "a"}, {"role": 3, "content": "a"}], 'message 1: "role" is int: say who speaks'),
        ([{"role": "user"}], 'message 0: "content" is missing: say what user says'),
        ([{"role": "user", "content": 3}], 'message 0: "content" is int: pass str, or a list of parts'),
        ([{"role": "user", "content": "a"}, "b"], "message 1 is str: chat messages are dicts"),
    ],
)
def test_malformed_chat_messages_say_which_and_what(messages: Any, message: str) -> None:
    import copy

    of = family("gpt2")
    tokenizer = copy.deepcopy(of.tokenizer)
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}{% endfor %}"
    write = rellm.Generator(of.model, tokenizer, vocabulary=vocabulary_of(of))
    with pytest.raises(TypeError, match=re.escape(message)):
        write(messages, "yes|no", 9)


@pytest.mark.parametrize("model", ["gpt2", None, object()])
def test_what_is_no_model_is_named(model: Any) -> None:
    with pytest.raises(TypeError, match=f"the model is {type(model).__name__}, which has no generate: pass a transf"):
        rellm.Generator(model, family("gpt2").tokenizer)


def test_a_prompt_beyond_the_models_embeddings_is_refused() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    of = family("gpt2")
    small = GPT2LMHeadModel(
        GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=100, eos_token_id=0, bos_token_id=0, pad_token_id=1)
    )
    with pytest.raises(
        rellm.VocabularyError, match=r"writes id \d+ for the prompt, but the model's embeddings end at 99"
    ):
        rellm.Generator(small, of.tokenizer)("The capital of", "[a-z]+", 9)


@pytest.mark.parametrize("value", [-1, 1.5, "5", True])
def test_numbers_of_tokens_are_whole_numbers(value: Any) -> None:
    vocabulary = vocabulary_of(family("gpt2"))
    for name in ("max_new_tokens", "prompt_length"):
        with pytest.raises(ValueError, match=f"^{name} is {value!r}: it must be a whole number of tokens, or None$"):
            ConstraintLogitsProcessor("yes", vocabulary, **{name: value})
    with pytest.raises(ValueError, match=f"max_new_tokens is {value!r}: it must be a whole number from 1 on"):
        generator()("a", "yes", value)
    with pytest.raises(TypeError, match=r"eos_token_ids is 3: pass a list, \[3\]"):
        ConstraintLogitsProcessor("yes", vocabulary, eos_token_ids=3)  # type: ignore[arg-type]


def test_negative_counts_are_refused_by_name() -> None:
    import numpy as np

    vocabulary = vocabulary_of(family("gpt2"))
    matcher = rellm.compile("yes|no", vocabulary).matcher()
    out = np.zeros((1, 99), dtype=np.uint32)
    for threads in (-1, 0):
        with pytest.raises(ValueError, match=f"threads is {threads}: it must be at least 1"):
            rellm.fill_masks([matcher], out, threads=threads)
    for ask in (matcher.tokens_to_match, matcher.matches_within, lambda left: matcher.fill_mask_within(out, 0, left)):
        with pytest.raises(ValueError, match="is -1: a number of tokens is not negative"):
            ask(-1)
    assert matcher.matches_within(2**40)


def test_a_beam_that_was_given_up_is_not_said_to_be_complete() -> None:
    """One text exists, and two are asked for."""
    first, second = generator("t5")("The capital of", "g", 5, num_beams=3, num_return_sequences=2)
    assert (first.text, first.is_complete, first.finish_reason) == ("g", True, "complete")
    # Which of the beams without a score transformers hands back is a matter of ties: one is the same text again.
    given_up = (second.text, second.is_complete, second.finish_reason)
    assert given_up in (("", False, "stop"), ("g", True, "complete"))
