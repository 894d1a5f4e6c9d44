"""The ways in which people run Hugging Face models, one function each.

A mode takes a `Case` (a family and an engine that makes logits processors), runs the model, and raises unless every
row is what the constraint says. The same functions run with other libraries' processors, for comparison.
"""

from __future__ import annotations

import contextlib
import copy
import re
import shutil
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from case import LIMIT, Case, Engine, GeneratorCase, Unsupported
from families import HAS_CONTINUOUS_BATCHING, IS_5_0, REAL, family, tiny_bart
from oracle import ANSWER_PATTERN, LANGUAGE, PATTERN, bytes_of

INDUCTOR_FAMILY = "llama"

Mode = Callable[[Case], None]
MODES: dict[str, Mode] = {}


def mode(function: Mode) -> Mode:
    MODES[function.__name__.replace("_", " ")] = function
    return function


@mode
def greedy(case: Case) -> None:
    case.run()


@mode
def sampling_temperature(case: Case) -> None:
    torch.manual_seed(1)
    case.run(do_sample=True, temperature=1.7)


@mode
def sampling_top_k(case: Case) -> None:
    torch.manual_seed(2)
    case.run(do_sample=True, top_k=5)


@mode
def sampling_top_p(case: Case) -> None:
    torch.manual_seed(3)
    case.run(do_sample=True, top_k=0, top_p=0.6)


@mode
def sampling_min_p(case: Case) -> None:
    torch.manual_seed(4)
    case.run(do_sample=True, top_k=0, min_p=0.2)


@mode
def repetition_penalty(case: Case) -> None:
    case.run(repetition_penalty=1.6)


@mode
def batch_padded_left(case: Case) -> None:
    case.run(texts=["The capital of France is", "red", "a number"], side="left")


@mode
def batch_padded_right(case: Case) -> None:
    case.run(texts=["The capital of France is", "red", "a number"], side="right")


@mode
def a_constraint_in_each_row(case: Case) -> None:
    case.run([PATTERN, ANSWER_PATTERN], ["The capital of France is", "yes"])


@mode
def a_row_without_constraint(case: Case) -> None:
    case.run([PATTERN, None, ANSWER_PATTERN], ["The capital of France is", "yes", "no"])


@mode
def several_returns(case: Case) -> None:
    torch.manual_seed(5)
    assert len(case.run(do_sample=True, num_return_sequences=3, temperature=2.0)) == 3


@mode
def several_returns_in_a_batch(case: Case) -> None:
    torch.manual_seed(5)
    rows = case.run(
        [PATTERN, ANSWER_PATTERN], ["The capital", "yes"], do_sample=True, num_return_sequences=3, temperature=2.0
    )
    assert len(rows) == 6


@mode
def beams_4_returned_4(case: Case) -> None:
    rows = case.run(num_beams=4, num_return_sequences=4)
    assert len(rows) == 4


@mode
def beams_in_a_batch(case: Case) -> None:
    rows = case.run([PATTERN, ANSWER_PATTERN], ["The capital of France", "yes"], num_beams=3, num_return_sequences=2)
    assert len(rows) == 4


@mode
def beam_sampling(case: Case) -> None:
    torch.manual_seed(6)
    case.run(num_beams=3, num_return_sequences=3, do_sample=True, top_k=0)


@mode
def beams_given_up(case: Case) -> None:
    # Three answers for five beams: some are at −inf from the first step on, and stay there.
    case.run(ANSWER_PATTERN, num_beams=5, num_return_sequences=2, length_penalty=0.0)
    case.run(ANSWER_PATTERN, num_beams=5, num_return_sequences=2, early_stopping=True, repetition_penalty=1.3)


@mode
def prompt_lookup(case: Case) -> None:
    plain = case.run(texts=["red green blue red green blue red green"])
    assisted = case.run(texts=["red green blue red green blue red green"], prompt_lookup_num_tokens=4)
    assert assisted == plain


@mode
def draft_model(case: Case) -> None:
    plain = case.run()
    assistant = copy.deepcopy(case.model)
    with torch.no_grad():  # it agrees now and then
        for parameter in assistant.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.02 * parameter.abs().mean())
    assert case.run(assistant_model=assistant) == plain
    torch.manual_seed(7)
    case.run(assistant_model=assistant, do_sample=True)


@mode
def draft_model_of_another_tokenizer(case: Case) -> None:
    if case.family.is_encoder_decoder:
        raise Unsupported("transformers takes no such draft model for it")
    if IS_5_0:
        raise Unsupported("transformers 5.0 fails by itself with a draft model of another tokenizer")
    other = family("llama" if case.family.tokenizer.convert_tokens_to_ids("<s>") is None else "gpt2")
    if other.name == case.family.name:
        other = family("qwen2")
    # The processors are asked about the draft's tokens, too, of which the oracle knows nothing.
    unchecked = case.without_mask_checks()
    plain = case.run()
    for sample in (False, True):
        # Sampling, transformers changes the draft model's embeddings for good, and remembers it by the tokenizer.
        found = unchecked.run(
            assistant_model=copy.deepcopy(other.model),
            tokenizer=case.family.tokenizer,
            assistant_tokenizer=copy.deepcopy(other.tokenizer),
            do_sample=sample,
        )
        assert sample or found == plain


@mode
def used_again(case: Case) -> None:
    processor = case.engine.processor(case.family, PATTERN)
    for texts in (["The capital of"], ["The capital of"], ["a b", "red"], ["The capital of France is Paris"], ["red"]):
        case.run(texts=texts, processor=processor)
        case.engine.ready_again(processor)


@mode
def used_again_after_an_exception(case: Case) -> None:
    class Interrupt:
        def __init__(self) -> None:
            self.calls = 0

        def __call__(self, input_ids: Any, scores: Any) -> Any:
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return scores

    processor = case.engine.processor(case.family, PATTERN)
    with contextlib.suppress(KeyboardInterrupt):
        case.run(processor=processor, before=[Interrupt()])
    case.engine.ready_again(processor)
    case.run(processor=processor)


@mode
def pipeline_with_a_list(case: Case) -> None:
    from transformers import pipeline

    if case.family.is_encoder_decoder:
        raise Unsupported("transformers 5 has no pipeline for it")
    tokenizer = copy.deepcopy(case.family.tokenizer)
    tokenizer.padding_side = "left"
    pipe = pipeline("text-generation", model=case.model, tokenizer=tokenizer)
    texts = ["The capital of", "a", "red green", "blue", "The fox"]
    if isinstance(case, GeneratorCase):
        import rellm

        written = rellm.Generator.from_pipeline(pipe)(texts, PATTERN, LIMIT, do_sample=False)
        assert all(completion.is_complete for completion in written)
        return
    processor = case.engine.processor(case.family, PATTERN)
    out = pipe(
        texts, batch_size=2, logits_processor=[processor], max_new_tokens=LIMIT, do_sample=False, return_full_text=False
    )
    for (answer,) in out:
        assert re.fullmatch(PATTERN, answer["generated_text"].strip()), answer


@mode
def a_list_of_constraints_in_a_pipeline_is_refused(case: Case) -> None:
    from transformers import pipeline

    if case.family.is_encoder_decoder or isinstance(case, GeneratorCase) or not case.engine.is_ours:
        raise Unsupported("there is no such pipeline, or no such list")
    pipe = pipeline("text-generation", model=case.model, tokenizer=case.family.tokenizer)
    processor = case.engine.processor(case.family, [PATTERN, ANSWER_PATTERN])
    with pytest.raises(ValueError, match="a list of constraints in a pipeline"):
        pipe(["a", "b"], batch_size=2, logits_processor=[processor], max_new_tokens=LIMIT)


@mode
def text_iterator_streamer(case: Case) -> None:
    from transformers import TextIteratorStreamer

    streamer = TextIteratorStreamer(
        case.family.tokenizer, skip_prompt=not case.family.is_encoder_decoder, skip_special_tokens=True
    )
    processor = case.engine.processor(case.family, PATTERN)
    failed: list[BaseException] = []

    def write() -> None:
        try:
            case.run(processor=processor, streamer=streamer)
        except BaseException as error:
            failed.append(error)
            streamer.end()

    thread = threading.Thread(target=write)
    thread.start()
    text = "".join(streamer)
    thread.join()
    if failed:
        raise failed[0]
    assert re.fullmatch(PATTERN, text.strip()), text


@mode
def min_new_tokens(case: Case) -> None:
    rows = case.run(min_new_tokens=3, unchecked=case.eos)
    assert len(rows[0]) >= 3


@mode
def bfloat16(case: Case) -> None:
    case.run(model=copy.deepcopy(case.model).to(torch.bfloat16))


@mode
def float16_scores(case: Case) -> None:
    class Half:
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            return scores.half()

    case.run(before=[Half()])


@mode
def wider_logits(case: Case) -> None:
    model = copy.deepcopy(case.model)
    model.resize_token_embeddings(len(case.family.tokenizer) + 70, mean_resizing=False)
    case.run(model=model)


@mode
def narrower_logits(case: Case) -> None:
    width = len(case.family.tokenizer) - 20

    class Narrow:
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            return scores[:, :width].clone()

    case.run(before=[Narrow()], width=width)


@mode
def nan_and_infinity_in_the_logits(case: Case) -> None:
    tokens = case.family.tokenizer.convert_ids_to_tokens(range(len(case.family.tokenizer)))
    longer = [token_id for token_id, token in enumerate(tokens) if len(token) > 1 and token_id not in case.eos]
    letters = [tokens.index(letter) for letter in "eg"]

    class Broken:
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            scores = scores.clone()
            scores[:, longer] = float("nan")
            scores[:, letters] = float("inf")
            return scores

    case.run(before=[Broken()], unchecked=longer)
    case.run(before=[Broken()], unchecked=longer, do_sample=True)


@mode
def without_cache(case: Case) -> None:
    assert case.run(use_cache=False) == case.run()


@mode
def static_cache(case: Case) -> None:
    assert case.run(cache_implementation="static") == case.run()


@mode
def prefill_in_chunks(case: Case) -> None:
    if case.family.is_encoder_decoder:
        raise Unsupported("transformers fills no encoder in chunks")
    if IS_5_0:
        raise Unsupported("transformers 5.0 fails by itself to fill a prompt in chunks")
    texts = ["The capital of France is Paris, red green blue"]
    assert case.run(texts=texts, prefill_chunk_size=4) == case.run(texts=texts)


@mode
def compiled_forward(case: Case) -> None:
    model = copy.deepcopy(case.model)
    # The default backend wants a compiler of C++, and takes half a minute a model: one family is enough of it.
    full = case.family.name == INDUCTOR_FAMILY and shutil.which("g++") is not None
    model.forward = torch.compile(model.forward, backend="inductor" if full else "aot_eager", dynamic=True)
    assert case.run(model=model) == case.run()


def _lora(case: Case) -> Any:
    peft = pytest.importorskip("peft")
    torch.manual_seed(8)
    kind = "SEQ_2_SEQ_LM" if case.family.is_encoder_decoder else "CAUSAL_LM"
    config = peft.LoraConfig(r=2, target_modules="all-linear", task_type=kind, init_lora_weights=False)
    return peft.get_peft_model(copy.deepcopy(case.model), config).eval()


def _prompt_tuned(case: Case) -> Any:
    peft = pytest.importorskip("peft")
    torch.manual_seed(9)
    if case.family.is_encoder_decoder:
        raise Unsupported("PEFT tunes its encoder's prompt only")
    config = peft.PromptTuningConfig(num_virtual_tokens=5, task_type="CAUSAL_LM")
    return peft.get_peft_model(copy.deepcopy(case.model), config).eval()


@mode
def peft_wrapped(case: Case) -> None:
    case.run(model=_lora(case))


@mode
def peft_prompt_tuned(case: Case) -> None:
    case.run(model=_prompt_tuned(case))


@mode
def peft_streamed(case: Case) -> None:
    if not isinstance(case, GeneratorCase):
        raise Unsupported("a stream is the Generator's")
    wrapped = [_lora(case)] if case.family.is_encoder_decoder else [_lora(case), _prompt_tuned(case)]
    for model in wrapped:
        generator = case.engine.processor(case.family, PATTERN, model=model)
        text = "".join(generator.stream("The capital of", PATTERN, LIMIT, do_sample=False))
        assert text == generator("The capital of", PATTERN, LIMIT, do_sample=False, forced_text="off").text


@mode
def chat_messages(case: Case) -> None:
    if not isinstance(case, GeneratorCase):
        raise Unsupported("plain generate takes tokens")
    tokenizer = copy.deepcopy(case.family.tokenizer)
    bos = tokenizer.bos_token or ""
    if getattr(tokenizer, "chat_template", None) is None:
        tokenizer.chat_template = bos + "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    import rellm

    seen: list[torch.Tensor] = []
    module = case.model.get_encoder() if case.family.is_encoder_decoder else case.model
    hook = module.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )  # fmt: skip
    try:
        generator = rellm.Generator(case.model, tokenizer, vocabulary=case.engine.vocabulary(case.family))
        completion = generator([{"role": "user", "content": "The capital of"}], PATTERN, LIMIT)
    finally:
        hook.remove()
    assert completion.is_complete
    first = seen[0][0].tolist()
    assert not bos or case.family.name == REAL or first.count(tokenizer.bos_token_id) == 1


@mode
def forced_first_and_last_token(case: Case) -> None:
    # BART and its kin: the first token that is written is a forced BOS (or a language), the last a forced EOS.
    if not case.family.is_encoder_decoder:
        raise Unsupported("of encoder-decoder models")
    bart = case.with_model(tiny_bart(case.family))
    # The forced tokens count for `generate`: two more than the text.
    for more in ({}, {"num_beams": 3, "num_return_sequences": 2}, {"do_sample": True}):
        bart.run(texts=["The capital of", "red"], max_new_tokens=LIMIT, lead=1, **more)


@mode
def several_end_ids(case: Case) -> None:
    eos = sorted([*case.eos, case.family.tokenizer.pad_token_id])
    processor = case.engine.processor(case.family, PATTERN, eos_token_ids=eos)
    case.run(processor=processor, eos=eos, eos_token_id=eos)


@mode
def stop_strings(case: Case) -> None:
    # Of transformers: they end a row with the token in which they are found, and the row is padded from there on.
    if isinstance(case, GeneratorCase):
        generator = case.engine.processor(case.family, PATTERN)
        for completion in generator(["The capital of", "red"], PATTERN, LIMIT, stop_strings=[" "], do_sample=False):
            assert completion.is_complete or " " in completion.text
            assert any(whole.startswith(completion.bytes) for whole in LANGUAGE)
        return
    processor = case.engine.processor(case.family, PATTERN)
    inputs = case.prompts(["The capital of", "red"])
    start = 1 if case.family.is_encoder_decoder else inputs["input_ids"].shape[1]
    out = case.model.generate(
        **inputs, logits_processor=[processor], max_new_tokens=LIMIT, do_sample=False,
        stop_strings=[" "], tokenizer=case.family.tokenizer,
    )  # fmt: skip
    vocabulary = case.engine.vocabulary(case.family)
    for row in out[:, start:].tolist():
        text = vocabulary.tokens_bytes([i for i in row if i < len(vocabulary)])
        assert any(whole.startswith(text) for whole in LANGUAGE), text
        assert text in LANGUAGE or b" " in text


@mode
def own_processors_and_criteria(case: Case) -> None:
    from transformers import LogitsProcessorList, StoppingCriteriaList

    vocabulary = bytes_of(case.engine.vocabulary(case.family))
    blue = [token_id for token_id, data in enumerate(vocabulary) if data and b"b" in data]

    class NotBlue:
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            scores = scores.clone()
            scores[:, blue] = float("-inf")
            return scores

    class Count:
        calls = 0

        def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return torch.zeros(len(input_ids), dtype=torch.bool)

    count = Count()
    rows = case.run(
        before=LogitsProcessorList([NotBlue()]), stopping_criteria=StoppingCriteriaList([count]), unchecked=blue
    )
    assert count.calls
    assert b"b" not in case.engine.vocabulary(case.family).tokens_bytes(rows[0][:-1])


@mode
def raw_logits_stay_raw(case: Case) -> None:
    if isinstance(case, GeneratorCase):
        raise Unsupported("it returns texts")
    processor = case.engine.processor(case.family, PATTERN)
    out = case.model.generate(
        **case.prompts(["The capital of"]), logits_processor=[processor], max_new_tokens=LIMIT, do_sample=False,
        return_dict_in_generate=True, output_logits=True, output_scores=True,
    )  # fmt: skip
    assert all(torch.isfinite(logits).all() for logits in out.logits)
    assert not any(torch.isfinite(scores).all() for scores in out.scores)


@mode
def continuous_batching(case: Case) -> None:
    if case.family.is_encoder_decoder:
        raise Unsupported("transformers has no continuous batching for it")
    if isinstance(case, GeneratorCase):
        raise Unsupported("generate_batch of rellm.integrations.transformers does it")
    if not HAS_CONTINUOUS_BATCHING:
        raise Unsupported("this release of transformers has no ContinuousBatchingConfig")
    from transformers import ContinuousBatchingConfig

    texts = ["The capital of", "a", "red green", "The capital of France is Paris"]
    patterns: list[str | None] = [PATTERN, ANSWER_PATTERN, PATTERN, None]
    inputs = [case.family.tokenizer(text)["input_ids"] for text in texts]
    model = copy.deepcopy(case.model)
    # By default transformers takes 60 % of the memory for its cache.
    batching = ContinuousBatchingConfig(num_blocks=16, max_batch_tokens=64)
    if case.engine.name == "rellm":
        from rellm.integrations.transformers import generate_batch

        out = generate_batch(
            model, inputs, patterns, case.engine.vocabulary(case.family), max_new_tokens=LIMIT,
            continuous_batching_config=batching,
        )  # fmt: skip
    else:
        processor = case.engine.processor(case.family, PATTERN)
        patterns = [PATTERN] * len(texts)
        config = copy.deepcopy(model.generation_config)
        config.do_sample = False
        out = model.generate_batch(inputs, config, batching, logits_processor=[processor], max_new_tokens=LIMIT)
    assert len(out) == len(texts)
    case.check([result.generated_tokens for result in out.values()], patterns)


__all__ = ["MODES", "Case", "Engine", "GeneratorCase", "Unsupported", "family"]
