"""Constrained generation in plain transformers: a logits processor for `model.generate`, and continuous batching.

`model.generate_batch(…)` and `cache_implementation="paged"` never call a logits processor, and do not say so. Use
`generate_batch` of this module there.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rellm._errors import RellmError
from rellm._generate.processor import ConstraintLogitsProcessor
from rellm._generate.run_limits import RunLimits
from rellm._generate.text_state import Row, common_length

if TYPE_CHECKING:
    import torch

__all__ = ["ConstraintLogitsProcessor", "generate_batch"]


def generate_batch(
    model: Any,
    inputs: Sequence[Sequence[int]],
    constraint: Any,
    vocab_or_tokenizer: Any,
    *,
    max_new_tokens: int | None = None,
    generation_config: Any = None,
    continuous_batching_config: Any = None,
    eos_token_ids: Sequence[int] | None = None,
    run_limits: RunLimits | None = None,
) -> dict[str, Any]:
    """Continuous batching, with every request inside its constraint.

    Args:
        model: a transformers model.
        inputs: the prompts as token ids.
        constraint: one for all prompts, or a list of one per prompt; None for a prompt without a constraint.
        vocab_or_tokenizer: a `Vocabulary`, or a tokenizer to take it from.
        max_new_tokens: the most tokens a request may write; each closes within them. By default that of
            `generation_config`.
        generation_config: as for `model.generate_batch`; by default the model's own.
        continuous_batching_config: the same; asynchronous batching and CUDA graphs are switched off, because masks
            are made on the host between the steps.
        eos_token_ids: the ids that end a text; by default those of `generation_config`, else the vocabulary's.
        run_limits: limits on runs of whitespace and of one repeated token.

    Returns:
        As `model.generate_batch`: request ids to `GenerationOutput`, in the order of `inputs`, with
        `num_return_sequences` all of a prompt together.

    Raises:
        BudgetError: no match fits into `max_new_tokens`.
        DeadEndError: other settings leave no allowed token.
        RellmError: transformers gave a request up; the message has its reason.
        ImportError: this release of transformers has no continuous batching that takes a processor.
    """
    import torch
    import transformers

    try:
        from transformers import ContinuousBatchingConfig
        from transformers.generation.continuous_batching.utils import WorkloadHints
    except ImportError as error:
        raise ImportError(
            f"generate_batch needs a newer transformers than {transformers.__version__}, whose continuous batching "
            "takes no settings: install a newer one, or call model.generate with ConstraintLogitsProcessor"
        ) from error

    if not inputs:
        return {}
    constraints = list(constraint) if isinstance(constraint, (list, tuple)) else [constraint] * len(inputs)
    if len(constraints) != len(inputs):
        raise ValueError(f"{len(constraints)} constraints for {len(inputs)} prompts: pass one for all, or one a prompt")
    config = copy.deepcopy(generation_config if generation_config is not None else model.generation_config)
    limit = config.max_new_tokens if max_new_tokens is None else max_new_tokens
    if limit is None:
        raise ValueError("no max_new_tokens, neither as an argument nor in the generation_config: say how many")
    named = config.eos_token_id if eos_token_ids is None else list(eos_token_ids)
    processor = ConstraintLogitsProcessor(
        constraints,
        vocab_or_tokenizer,
        max_new_tokens=limit,
        eos_token_ids=None if named is None or named == -1 else ([named] if isinstance(named, int) else named),
        run_limits=run_limits,
    )
    config.eos_token_id = processor.eos_token_ids
    batching = copy.copy(continuous_batching_config) if continuous_batching_config else ContinuousBatchingConfig()
    batching.use_async_batching = False
    batching.use_cuda_graph = False

    hints = WorkloadHints(
        max_prompt_length=max(map(len, inputs)),
        max_generated_length=limit,
        num_requests=len(inputs) * (config.num_return_sequences or 1),
    )
    with torch.no_grad():
        manager = model.init_continuous_batching(config, batching, hints)
        if manager.batch_processor is not None:
            raise RellmError(
                "the model keeps a manager of continuous batching from an earlier call, and processors cannot be added "
                "to it: call model.destroy_cached_continuous_batching_manager() first"
            )
        ids = [f"rellm_{i}" for i in range(len(inputs))]
        ours = _continuous_processor(processor, {name: i for i, name in enumerate(ids)})
        processors = manager.logit_processor
        processors.logits_processor.append(ours)
        processors.tensors_required += 1
        processors.do_processing = True
        results: dict[str, Any] = {}
        wanted = hints.num_requests
        manager.start()
        try:
            for name, prompt in zip(ids, inputs, strict=True):
                manager.add_request(
                    [int(token_id) for token_id in prompt],
                    request_id=name,
                    max_new_tokens=limit,
                    eos_token_id=processor.eos_token_ids,
                )
            while len(results) < wanted:
                result = manager.get_result(timeout=1)
                if result is not None and result.is_finished():
                    results[result.request_id] = result
                elif result is None and not manager.is_running():
                    break
        finally:
            manager.stop(block=True, timeout=30)
            manager.destroy()
    if ours.error is not None:
        raise ours.error
    for name, result in results.items():
        if result.error is not None:
            raise RellmError(f"transformers gave the request {name} up: {result.error}")
    if len(results) < wanted:
        raise RellmError(f"transformers stopped with {len(results)} of {wanted} requests done: see its log")
    return {name: results[name] for name in sorted(results, key=_in_order)}


def _in_order(name: str) -> tuple[int, int]:
    base, _, child = name.partition("__child#")
    return int(base.removeprefix("rellm_")), -1 if not child else int(child)


def _continuous_processor(processor: ConstraintLogitsProcessor, prompts: dict[str, int]) -> Any:
    from transformers.generation.continuous_batching.cb_logits_processors import ContinuousBatchingLogitsProcessor

    class ContinuousConstraint(ContinuousBatchingLogitsProcessor):
        """The same masks, requested one by one.

        `prepare_tensor_args` sees the requests of the next pass with all their tokens; the one number that it may
        send along for each is its place in `_rows`.
        """

        supported_kwargs: dict[str, type] = {}  # noqa: RUF012 (declared so by the base class)
        ignored_kwargs: tuple[str, ...] = ()

        def __init__(self) -> None:
            self.error: BaseException | None = None
            self._by_request: dict[str, Row] = {}
            self._rows: list[Row | None] = []

        def fill_defaults(self, int32_tensor: torch.Tensor) -> None:
            int32_tensor.fill_(-1)

        def prepare_tensor_args(self, requests_with_new_token: list[Any]) -> torch.Tensor:
            import torch

            kept: dict[str, Row] = {}
            self._rows = []
            for future in requests_with_new_token:
                state = future.state
                prompt = prompts.get(state.request_id.partition("__child#")[0])
                if prompt is None:  # a request of the warm-up
                    self._rows.append(None)
                    continue
                tokens = _generated(state)
                row = self._by_request.get(state.request_id) or processor.new_row(prompt)
                if row is not None:
                    row.move_to(tokens, common_length(row.tokens, tokens))
                    kept[state.request_id] = row
                self._rows.append(row)
            self._by_request = kept
            return torch.arange(len(self._rows), dtype=torch.int32)

        def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
            places = tensor_arg[: scores.size(0)].tolist()
            rows = [self._rows[place] if 0 <= place < len(self._rows) else None for place in places]
            try:
                return processor.apply(rows, scores)
            except BaseException as error:  # this runs on a thread of transformers, which would only log it
                self.error = error
                raise

    return ContinuousConstraint()


def _generated(state: Any) -> list[int]:
    """All tokens that a request has written, also before it was preempted and restarted."""
    written: list[int] = list(state.generated_tokens)
    begun = state._true_initial_tokens
    return list(state.initial_tokens[begun:]) + written if begun else written
