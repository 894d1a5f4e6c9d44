"""Prompts and models as they are: served, or refused with the remedy."""

from __future__ import annotations

import copy
import re
import threading
import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import rellm
import torch
from families import family
from vocabularies import vocabulary_of

TEMPLATE = (
    "{% if tools %}tools:{{ tools | length }} {% endif %}{% if enable_thinking %}think {% endif %}"
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def generator(name: str = "gpt2", model: Any = None, tokenizer: Any = None, **more: Any) -> rellm.Generator:
    of = family(name)
    return rellm.Generator(
        of.model if model is None else model,
        of.tokenizer if tokenizer is None else tokenizer,
        vocabulary=vocabulary_of(of),
        **more,
    )


def prompt_ids(write: rellm.Generator, prompt: Any, **more: Any) -> list[int]:
    """What the model is given."""
    seen: list[Any] = []
    hook = write.model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["input_ids"]), with_kwargs=True
    )
    try:
        write(prompt, "yes|no", 9, **more)
    finally:
        hook.remove()
    found: list[int] = seen[0][0].tolist()
    return found


def test_prompts_may_be_ids_tensors_and_what_a_tokenizer_made() -> None:
    of, write = family("gpt2"), generator()
    ids = of.tokenizer("The capital of")["input_ids"]
    expected = write("The capital of", "[a-f]{5}", 9)
    encoded = of.tokenizer("The capital of", return_tensors="pt")
    for prompt in (ids, tuple(ids), torch.tensor(ids), torch.tensor([ids]), encoded, of.tokenizer("The capital of")):
        assert write(prompt, "[a-f]{5}", 9) == expected
    texts = ["The capital of", "red"]
    several = write(texts, "[a-f]{5}", 9)
    assert write([of.tokenizer(text)["input_ids"] for text in texts], "[a-f]{5}", 9) == several
    for side in ("left", "right"):
        padded = copy.deepcopy(of.tokenizer)
        padded.padding_side = side
        assert write(padded(texts, padding=True, return_tensors="pt"), "[a-f]{5}", 9) == several
    assert write(inputs=encoded, constraint="[a-f]{5}", max_new_tokens=9) == expected
    with pytest.raises(TypeError, match="in place of a prompt"):
        write("a", "yes", inputs=encoded)


def test_a_chat_is_continued_and_its_template_gets_what_it_takes() -> None:
    of = family("llama")
    tokenizer = copy.deepcopy(of.tokenizer)
    tokenizer.chat_template = TEMPLATE
    write = generator("llama", tokenizer=tokenizer)

    def text(messages: Any, **more: Any) -> str:
        return str(tokenizer.decode(prompt_ids(write, messages, **more))).strip()

    asked = [{"role": "user", "content": "hi"}]
    begun = [*asked, {"role": "assistant", "content": "The number is"}]
    assert text(asked).endswith("assistant:")
    assert text(begun).endswith("assistant: The number is")
    assert text(begun, continue_final_message=False).endswith("assistant:")
    assert text(asked, tools=[{"type": "function"}]).startswith("tools:1")
    assert text(asked, enable_thinking=True).startswith("think")
    assert text(asked, chat_template_kwargs={"enable_thinking": True}).startswith("think")


def test_a_rendered_template_gets_no_second_bos() -> None:
    from tokenizers.processors import TemplateProcessing

    of = family("llama")
    tokenizer = copy.deepcopy(of.tokenizer)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", tokenizer.bos_token_id)]
    )
    write = generator("llama", tokenizer=tokenizer)
    bos = tokenizer.bos_token_id
    assert prompt_ids(write, "red green").count(bos) == 1
    assert prompt_ids(write, "<s>red green").count(bos) == 1
    assert prompt_ids(write, "red green", add_special_tokens=False).count(bos) == 0


def test_a_tokenizer_that_another_thread_pads_cuts_no_prompt() -> None:
    of = family("gpt2")
    tokenizer = copy.deepcopy(of.tokenizer)
    write = generator(tokenizer=tokenizer)
    text = "the quick brown fox jumps over the lazy dog " * 4
    expected = of.tokenizer(text)["input_ids"]
    stop = threading.Event()

    def pad() -> None:
        while not stop.is_set():
            tokenizer(["a", "b c d"], padding="max_length", truncation=True, max_length=4)

    other = threading.Thread(target=pad)
    other.start()
    try:
        from rellm._generate.prompts import encode_prompts

        for _ in range(300):
            encoded = encode_prompts([text], True, write._own_tokenizer, write.model, 1)
            assert encoded.input_ids[0].tolist() == expected
    finally:
        stop.set()
        other.join()


def test_a_context_that_is_nearly_full_is_named() -> None:
    write = generator()
    with pytest.raises(rellm.BudgetError, match=r"the prompt has 510 tokens of the context's 512, which leaves 2 of"):
        write([5] * 510, "[xyz]{40}", 200)


def test_a_context_that_is_nearly_full_names_the_row() -> None:
    write = generator()
    ids = [5] * 509
    with pytest.raises(rellm.BudgetError, match=r"prompt 1 has 509 tokens of the context's 512, which leaves 3 of"):
        write([[5, 6], ids], [None, "[xyz]{40}"], 200)
    with pytest.raises(rellm.BudgetError, match=r"prompt 0 has 2 tokens \(padded to 509, the longest of the batch\)"):
        write([[5, 6], ids], "[xyz]{40}", 200)


def test_models_without_input_embeddings_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    write = generator()

    def nothing(*_: Any) -> Any:
        raise NotImplementedError

    monkeypatch.setattr(type(write.model), "get_input_embeddings", nothing)
    assert write("a", "yes|no", 9).is_complete


def test_offloaded_models_take_their_inputs_where_they_work() -> None:
    from rellm._generate.prompts import device_of

    meta = SimpleNamespace(
        device=torch.device("meta"), _hf_hook=SimpleNamespace(execution_device="cpu"), parameters=lambda: iter(())
    )
    assert device_of(meta) == torch.device("cpu")
    weights = SimpleNamespace(
        device=torch.device("meta"), parameters=lambda: iter([torch.empty(1, device="meta"), torch.empty(1)])
    )
    assert device_of(weights) == torch.device("cpu")


def test_wrappers_are_unwrapped_or_named() -> None:
    of = family("gpt2")
    wrapped = torch.nn.DataParallel(of.model)
    assert generator(model=wrapped)("a", "yes|no", 9).is_complete
    with pytest.raises(TypeError, match="a generate and no generation_config: pass the transformers model"):
        generator(model=SimpleNamespace(generate=print))
    from transformers import pipeline

    pipe = pipeline("text-generation", model=of.model, tokenizer=of.tokenizer)
    with pytest.raises(TypeError, match=r"Generator\.from_pipeline"):
        rellm.Generator(pipe, of.tokenizer)


def test_a_processor_stands_for_its_tokenizer() -> None:
    of = family("gpt2")

    class Processor:
        tokenizer = of.tokenizer

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("texts go to the tokenizer")

    assert rellm.Generator(of.model, Processor())("a", "yes|no", 9).is_complete


@pytest.mark.parametrize("name", ["return_dict_in_generate", "output_scores", "output_logits", "output_attentions"])
def test_what_a_completion_does_not_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} asks for what a Completion does not hold: call model.generate"):
        generator()("a", "yes", 9, **{name: True})


def test_settings_that_do_nothing_are_told() -> None:
    with pytest.warns(UserWarning, match="temperature does nothing without do_sample=True"):
        generator()("a", "yes", 9, temperature=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generator()("a", "yes", 9, temperature=0.3, do_sample=True)


def test_a_bare_processor_names_the_right_call() -> None:
    from rellm.integrations.transformers import ConstraintLogitsProcessor

    of = family("gpt2")
    processor = ConstraintLogitsProcessor("yes", vocabulary_of(of))
    assert processor
    with pytest.raises(TypeError, match=re.escape("pass logits_processor=[processor]")):
        of.model.generate(**of.prompt(), logits_processor=processor, max_new_tokens=4)


@pytest.mark.parametrize("more", [{}, {"num_beams": 1, "min_new_tokens": 20}])
def test_a_streamer_ends_where_an_error_does(more: dict[str, Any]) -> None:
    from transformers import TextIteratorStreamer

    class Fails:
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            if input_ids.shape[1] > 6:
                raise RuntimeError("on purpose")
            return scores

    of = family("gpt2")
    streamer = TextIteratorStreamer(of.tokenizer, timeout=20)
    failed: list[BaseException] = []

    def write() -> None:
        try:
            generator()("The capital of", "[a-f]{30}", 60, streamer=streamer, logits_processor=[Fails()], **more)
        except RuntimeError as error:
            failed.append(error)

    thread = threading.Thread(target=write)
    thread.start()
    list(streamer)
    thread.join()
    assert str(failed[0]) == "on purpose"


def test_sound_goes_in_as_a_processor_made_it() -> None:
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    of = family("gpt2")
    torch.manual_seed(0)
    size = len(of.tokenizer) + 7
    config = WhisperConfig(
        vocab_size=size, d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=8, max_source_positions=20,
        max_target_positions=64, pad_token_id=1, bos_token_id=0, eos_token_id=0, decoder_start_token_id=1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config).eval()
    write = rellm.Generator(model, of.tokenizer, vocabulary=vocabulary_of(of))
    completion = write(
        inputs={"input_features": torch.randn(1, 8, 40)}, constraint="(red|green|blue){2}", max_new_tokens=12
    )
    assert re.fullmatch("(red|green|blue){2}", completion.text)
