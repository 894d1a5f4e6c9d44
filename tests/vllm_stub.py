"""An engine of the stand-in for vLLM in `engine_stubs/`: a manager, requests, and a front end."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rellm import testing
from rellm.integrations.vllm import engine_vocabulary

STUBS = Path(__file__).resolve().parent / "engine_stubs"
WORDS = ["the ", "water", " is", " wet", "yes", "no", "ab", "\n\n", "    "]
SIZE = 320  # more than the tokenizer has: the model's embeddings are padded


@contextmanager
def fresh_vllm() -> Iterator[Any]:
    """The stand-in, newly imported: what was patched before is gone."""

    def drop() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
            del sys.modules[name]
        sys.modules.pop("rellm.integrations.vllm.backend", None)

    drop()
    sys.path.insert(0, str(STUBS))
    try:
        import vllm

        yield vllm
    finally:
        sys.path.remove(str(STUBS))
        drop()


class Engine:
    """Front end and engine core in one, with the tiny tokenizer."""

    def __init__(self, backend: str = "rellm", context: int = 1000, generation_eos: Any = None) -> None:
        from vllm.config import VllmConfig
        from vllm.config.structured_outputs import StructuredOutputsConfig
        from vllm.v1.structured_output import StructuredOutputManager

        engine_vocabulary._known.clear()
        self.tokenizer = testing.tiny_tokenizer(WORDS, ["<think>", "</think>", "<tool_call>", "<|stop|>"])
        self.eos = self.tokenizer.eos_token_id
        self.config: Any = VllmConfig(structured_outputs_config=StructuredOutputsConfig(backend=backend))
        self.config.tokenizer = self.tokenizer
        self.config.model_config = SimpleNamespace(
            max_model_len=context,
            is_diffusion=False,
            get_vocab_size=lambda: SIZE,
            try_get_generation_config=lambda: {} if generation_eos is None else {"eos_token_id": generation_eos},
        )
        self.manager = StructuredOutputManager(self.config)

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def check(self, params: Any) -> None:
        """What the front end does before a request reaches the engine."""
        params._validate_structured_outputs(
            self.config.model_config, self.config.structured_outputs_config, self.tokenizer
        )

    def request(self, prompt_tokens: int = 5, **given: Any) -> Any:
        """A request, checked and with its grammar. Arguments of `SamplingParams`; others are of the constraint."""
        from vllm.sampling_params import SamplingParams, StructuredOutputsParams

        known = set(SamplingParams.__dataclass_fields__)
        params = SamplingParams(
            structured_outputs=StructuredOutputsParams(**{k: v for k, v in given.items() if k not in known}),
            **{k: v for k, v in given.items() if k in known},
        )
        self.check(params)
        request = Request(params, prompt_tokens)
        self.manager.grammar_init(request)
        return request

    def grammar(self, **given: Any) -> Any:
        self.last = self.request(**given)
        return self.last.structured_output_request.grammar


class Request:
    def __init__(self, params: Any, prompt_tokens: int) -> None:
        self.sampling_params = params
        self.max_tokens = params.max_tokens
        self.num_prompt_tokens = prompt_tokens
        self.num_output_tokens = 0
        self.structured_output_request = SimpleNamespace(params=params.structured_outputs, grammar=None)
