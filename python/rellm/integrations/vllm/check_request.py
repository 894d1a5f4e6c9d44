"""Checks a request in vLLM's front end: an error here becomes a 400 with our message."""

from __future__ import annotations

from typing import Any

from rellm._engines.compile import CompiledConstraint, compile
from rellm._errors import UnsupportedError
from rellm._generate.run_limits import RunLimits
from rellm.integrations.vllm.engine_vocabulary import engine_vocabulary
from rellm.integrations.vllm.request_constraint import request_constraint


def check_request(params: Any, model_config: Any, config: Any, tokenizer: Any) -> None:
    """Check a request as far as it can be checked: with the model's own vocabulary, up to its first mask.

    Args:
        params: its `SamplingParams`.
        model_config: vLLM's configuration of the model.
        config: vLLM's `StructuredOutputsConfig`.
        tokenizer: vLLM's tokenizer of the model, or None.

    Raises:
        RellmError, TypeError, ValueError, ImportError: it cannot be served; the message says why.
    """
    asked = getattr(params.structured_outputs, "_backend", None)
    if asked not in (None, config.backend):
        raise UnsupportedError(
            f"the request names the structured-output backend {asked!r}, and this server has {config.backend!r} only: "
            "leave the name out"
        )
    if getattr(model_config, "is_diffusion", False):
        raise UnsupportedError("structured outputs need a model that writes from left to right, not a diffusion model")
    if tokenizer is None:
        raise UnsupportedError("structured outputs need a tokenizer: start vLLM without skip_tokenizer_init")
    compiled, _ = compile_request(params, model_config, tokenizer)
    matcher: Any = compiled.matcher()
    matcher.mask()
    least = getattr(params, "min_tokens", 0) or 0
    if least > 1 or (least == 1 and matcher.is_accepting):
        shorter = matcher.tokens_to_match(least - 1)
        if shorter is not None:
            raise UnsupportedError(
                f"min_tokens={least}: a text of {shorter} tokens matches, whose end vLLM would then forbid: leave "
                "min_tokens out, and ask for the length in the constraint"
            )


def compile_request(
    params: Any, model_config: Any, tokenizer: Any, size: int | None = None
) -> tuple[CompiledConstraint, RunLimits]:
    """The constraint of a request over the vocabulary in which its stop ids end a text, and its run limits.

    Raises:
        RellmError, TypeError, ValueError, ImportError: as `check_request`.
    """
    asked = request_constraint(params.structured_outputs, params.extra_args)
    stops = {*(params.stop_token_ids or ()), *(getattr(params, "all_stop_token_ids", None) or ())}
    return compile(asked.constraint, engine_vocabulary(tokenizer, model_config, size, stops)), asked.run_limits
