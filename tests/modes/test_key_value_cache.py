"""The loops of our own and the model's cache: what is not certain is left to transformers' own loop, with a warning."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import rellm
import torch
import transformers
from families import FAMILIES, family
from rellm._generate.key_value_cache import KeyValueCache
from vocabularies import vocabulary_of

ACTION = r'\{"action": "[a-z ]{1,12}", "number": [0-9]{1,3}\}'
PROMPTS = ["The capital of", "red green"]


def generator(name: str = "gpt2") -> rellm.Generator:
    of = family(name)
    return rellm.Generator(of.model, of.tokenizer, vocabulary=vocabulary_of(of))


class Silent(transformers.DynamicCache):
    """A cache that cannot say how much it holds."""

    def get_seq_length(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


class Uncropped(transformers.DynamicCache):
    """A cache that says it was cropped, and was not."""

    def crop(self, *args: Any, **kwargs: Any) -> None: ...


class Forgetful(transformers.DynamicCache):
    """A cache that loses its oldest token after twelve."""

    def get_seq_length(self, *args: Any, **kwargs: Any) -> int:
        length = super().get_seq_length(*args, **kwargs)
        return length - (length > 12)


@pytest.mark.parametrize("cache", [Silent, Uncropped, Forgetful])
@pytest.mark.parametrize("sample", [False, True])
def test_a_cache_that_is_not_certain_is_left_to_transformers_with_one_warning(
    cache: Any, sample: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    expected = [generator()(prompt, ACTION, 60, do_sample=sample, forced_text="off") for prompt in PROMPTS]
    several = generator()(PROMPTS, ACTION, 60, do_sample=False, forced_text="off")
    write = generator()
    _give(write.model, cache, monkeypatch)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.manual_seed(3)
        assert [write(prompt, ACTION, 60, do_sample=sample) for prompt in PROMPTS] == expected
        assert write(PROMPTS, ACTION, 60, do_sample=False) == several
    ours = [str(one.message) for one in told if "forced text is written token by token" in str(one.message)]
    assert len(ours) == 1, ours
    assert transformers.__version__ in ours[0]


@pytest.mark.parametrize("cache", [Silent, Uncropped, Forgetful])
def test_a_stream_goes_on_where_it_was(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    expected = generator()(PROMPTS[0], ACTION, 60, do_sample=True, forced_text="off").text
    write = generator()
    _give(write.model, cache, monkeypatch)
    torch.manual_seed(3)
    with pytest.warns(UserWarning, match="token by token"):
        pieces = list(write.stream(PROMPTS[0], ACTION, 60, do_sample=True))
    assert "".join(pieces) == expected
    assert len(pieces) > 5


@pytest.mark.parametrize("cache", [Silent, Uncropped, Forgetful])
def test_a_streamer_is_told_each_token_once(cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    write = generator()
    _give(write.model, cache, monkeypatch)
    told: list[int] = []

    class Streamer:
        ends = 0

        def put(self, value: Any) -> None:
            told.extend(value.flatten().tolist())

        def end(self) -> None:
            self.ends += 1

    streamer = Streamer()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        completion = write(PROMPTS[0], ACTION, 60, do_sample=False, streamer=streamer)
    prompt = write.tokenizer(PROMPTS[0])["input_ids"]
    assert told == [*prompt, *completion.token_ids][: len(told)]
    assert len(told) >= len(prompt) + len(completion.token_ids)
    assert streamer.ends == 1


def test_a_plain_stream_asks_the_model_only_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write = generator()
    _give(write.model, Silent, monkeypatch)
    passes = []
    handle = write.model.register_forward_hook(lambda *_: passes.append(1))
    try:
        stream = write.stream(PROMPTS[0], "[a-f]{30}", 60, do_sample=False)
        with pytest.warns(UserWarning, match="token by token"):
            next(stream)
        after_one = len(passes)
        assert after_one < 4
        stream.close()
        assert len(passes) <= after_one + 1
    finally:
        handle.remove()


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cache_is_found_whatever_its_argument_is_called(name: str) -> None:
    cache = transformers.DynamicCache()
    found = KeyValueCache.of({"attention_mask": torch.ones(1, 3), "a_new_name": cache, "use_cache": True})
    assert found is not None
    assert (found.name, found.cache) == ("a_new_name", cache)


def _give(model: Any, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `generate` prepare such a cache for a loop that is not transformers' own."""
    prepare, write = model._prepare_cache_for_generation, model.generate
    ours = []

    def written(*args: Any, **kwargs: Any) -> Any:
        ours.append(kwargs.get("custom_generate") is not None)
        try:
            return write(*args, **kwargs)
        finally:
            ours.pop()

    def prepared(generation_config: Any, model_kwargs: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        prepare(generation_config, model_kwargs, *args, **kwargs)
        for name, value in model_kwargs.items():
            if ours[-1] and isinstance(value, transformers.DynamicCache):
                model_kwargs[name] = cache(config=model.config)

    monkeypatch.setattr(model, "generate", written)
    monkeypatch.setattr(model, "_prepare_cache_for_generation", prepared)
