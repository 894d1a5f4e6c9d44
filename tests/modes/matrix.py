"""The ways in which people run Hugging Face models, one function each.

A mode takes a `Case` (a family and an engine that makes logits processors), runs the model, and raises unless every
row is what the constraint says. The same functions run with other libraries' processors, for comparison.
"""

from __future__ import annotations

import contextlib
import copy
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from families import Family, family
from oracle import ANSWER_LANGUAGE, ANSWER_PATTERN, LANGUAGE, PATTERN, MaskChecker, Oracle, bytes_of

LIMIT = 24


@dataclass
class Engine:
    """Something that makes logits processors. This one is rellm's."""

    name: str = "rellm"
    checks_masks: bool = True

    def vocabulary(self, family: Family, **more: Any) -> Any:
        from vocabularies import vocabulary_of

        return vocabulary_of(family, **more)

    def processor(self, family: Family, patterns: str | list[str | None], **more: Any) -> Any:
        from rellm.integrations.transformers import ConstraintLogitsProcessor

        vocabulary = more.pop("vocabulary", None) or self.vocabulary(family)
        return ConstraintLogitsProcessor(patterns, vocabulary, **more)


@dataclass
class Case:
    """One cell's tools."""

    family: Family
    engine: Engine = field(default_factory=Engine)

    @property
    def model(self) -> Any:
        return self.family.model

    @property
    def eos(self) -> list[int]:
        return [self.family.tokenizer.eos_token_id]

    def oracle(self, pattern: str | None, eos: Sequence[int] | None = None, width: int | None = None) -> Oracle | None:
        if pattern is None:
            return None
        language = {PATTERN: LANGUAGE, ANSWER_PATTERN: ANSWER_LANGUAGE}[pattern]
        tokens = bytes_of(self.engine.vocabulary(self.family))
        return Oracle(tokens[:width], self.eos if eos is None else eos, language)

    def prompts(self, texts: Sequence[str], side: str = "left") -> dict[str, torch.Tensor]:
        rows = [self.family.tokenizer(text)["input_ids"] for text in texts]
        longest = max(map(len, rows))
        pad = self.family.tokenizer.pad_token_id
        ids, mask = [], []
        for row in rows:
            gap = longest - len(row)
            ids.append([pad] * gap + row if side == "left" else row + [pad] * gap)
            mask.append([0] * gap + [1] * len(row) if side == "left" else [1] * len(row) + [0] * gap)
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}

    def run(
        self,
        patterns: str | list[str | None] = PATTERN,
        texts: Sequence[str] = ("The capital of",),
        *,
        side: str | None = None,
        processor: Any = None,
        model: Any = None,
        unchecked: Sequence[int] = (),
        eos: Sequence[int] | None = None,
        width: int | None = None,
        before: Sequence[Any] = (),
        **kwargs: Any,
    ) -> list[list[int]]:
        """Generate, check every mask on the way and every row at the end; the rows' tokens."""
        model = self.model if model is None else model
        inputs = self.prompts(texts, side or ("right" if self.family.is_encoder_decoder else "left"))
        processor = self.engine.processor(self.family, patterns) if processor is None else processor
        each = patterns if isinstance(patterns, list) else [patterns] * len(texts)
        oracles = [self.oracle(pattern, eos, width) for pattern in each]
        processors = [*before, processor]
        start = 1 if self.family.is_encoder_decoder else inputs["input_ids"].shape[1]
        if self.engine.checks_masks:
            checker = MaskChecker(oracles, start, unchecked)
            processors.append(checker)
        kwargs.setdefault("max_new_tokens", LIMIT)
        kwargs.setdefault("do_sample", False)
        out = model.generate(**inputs, logits_processor=processors, **kwargs)
        if self.engine.checks_masks:
            assert checker.checked or not any(oracles), "the mask was never asked for"
        rows = [row[start:] for row in getattr(out, "sequences", out).tolist()]
        self.check(rows, each, eos)
        return rows

    def check(self, rows: list[list[int]], patterns: Sequence[str | None], eos: Sequence[int] | None = None) -> None:
        """Every row is a text of its constraint, ended, and after it there is nothing but padding."""
        per = len(rows) // len(patterns)
        over = set(self.eos if eos is None else eos)
        vocabulary = self.engine.vocabulary(self.family)
        for i, row in enumerate(rows):
            pattern = patterns[i // per]
            if pattern is None:
                continue
            ends = [j for j, token_id in enumerate(row) if token_id in over]
            text = row[: ends[0]] if ends else row
            written = vocabulary.tokens_bytes([token_id for token_id in text if token_id < len(vocabulary)]).decode()
            assert re.fullmatch(pattern, written), f"{written!r} does not match {pattern!r}"
            pads = over | {self.family.tokenizer.pad_token_id}
            assert not ends or set(row[ends[0] :]) <= pads, f"something follows the end: {row}"


Mode = Callable[[Case], None]
MODES: dict[str, Mode] = {}


def mode(function: Mode) -> Mode:
    MODES[function.__name__.replace("_", " ")] = function
    return function


class Unsupported(Exception):  # noqa: N818 (it is an outcome, not an error)
    """The family, or transformers itself, has no such mode."""


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
def used_again(case: Case) -> None:
    processor = case.engine.processor(case.family, PATTERN)
    for texts in (["The capital of"], ["The capital of"], ["a b", "red"], ["The capital of France is Paris"], ["red"]):
        case.run(texts=texts, processor=processor)


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
    case.run(processor=processor)


@mode
def pipeline_with_a_list(case: Case) -> None:
    from transformers import pipeline

    if case.family.is_encoder_decoder:
        raise Unsupported("transformers 5 has no pipeline for it")
    tokenizer = copy.deepcopy(case.family.tokenizer)
    tokenizer.padding_side = "left"
    pipe = pipeline("text-generation", model=case.model, tokenizer=tokenizer)
    processor = case.engine.processor(case.family, PATTERN)
    texts = ["The capital of", "a", "red green", "blue", "The fox"]
    out = pipe(
        texts, batch_size=2, logits_processor=[processor], max_new_tokens=LIMIT, do_sample=False, return_full_text=False
    )
    for (answer,) in out:
        assert re.fullmatch(PATTERN, answer["generated_text"].strip()), answer


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
def compiled_forward(case: Case) -> None:
    model = copy.deepcopy(case.model)
    model.forward = torch.compile(model.forward, backend="aot_eager", dynamic=True)
    assert case.run(model=model) == case.run()


@mode
def peft_wrapped(case: Case) -> None:
    peft = pytest.importorskip("peft")
    kind = "SEQ_2_SEQ_LM" if case.family.is_encoder_decoder else "CAUSAL_LM"
    config = peft.LoraConfig(r=2, target_modules="all-linear", task_type=kind)
    case.run(model=peft.get_peft_model(copy.deepcopy(case.model), config).eval())


@mode
def several_end_ids(case: Case) -> None:
    eos = sorted([*case.eos, case.family.tokenizer.pad_token_id])
    processor = case.engine.processor(case.family, PATTERN, eos_token_ids=eos)
    case.run(processor=processor, eos=eos, eos_token_id=eos)


@mode
def stop_strings(case: Case) -> None:
    # Of transformers: they end a row with the token in which they are found, and the row is padded from there on.
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


__all__ = ["MODES", "Case", "Engine", "Unsupported", "family"]
