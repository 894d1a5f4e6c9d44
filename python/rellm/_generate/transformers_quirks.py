"""All code that depends on private names of transformers or PEFT, which may change in any release.

Each docstring tells what happens if the name is gone or means something else: always a slower loop or a clear error,
never another text. The table of all such places in the package, with the releases that they were checked on, is
in docs/other-libraries.md, and `make versions` runs the tests on the lowest and the newest release.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

# -- how a forward pass is called ----------------------------------------------------------------------------------

_KNOWN_INPUTS = frozenset(
    {"attention_mask", "use_cache", "logits_to_keep", "output_attentions", "output_hidden_states"}
)


def calls_forward_plainly(model: Any, model_kwargs: Mapping[str, Any]) -> bool:
    """Whether a forward pass takes ids, mask, positions and a cache, and no input that only the model's code knows.

    If transformers renames `prepare_inputs_for_generation`, this is always False, and transformers' own loop writes.
    """
    if bool(model.config.is_encoder_decoder) or not takes_positions(model):
        return False
    extra = {name for name, value in model_kwargs.items() if value is not None and not _is_cache(value)}
    if "position_ids" in extra and _counts_up(model_kwargs["position_ids"]):
        extra.remove("position_ids")  # before 5.6 `generate` passes positions even where they follow from the mask
    # For an output that the caller did not ask for, switched off and absent mean the same.
    extra -= {name for name in ("output_attentions", "output_hidden_states") if model_kwargs.get(name) is True}
    return extra <= _KNOWN_INPUTS and prepares_as_usual(model)


def _counts_up(positions: Any) -> bool:
    """Whether the positions are 0, 1, 2, … of a row without padding."""
    return bool(positions.dim() == 2) and positions[0].tolist() == list(range(positions.shape[1]))


def prepares_as_usual(model: Any) -> bool:
    """Whether the model leaves the inputs of a pass to transformers; a tuned prompt of PEFT's does not."""
    import transformers

    usual = getattr(transformers.GenerationMixin, "prepare_inputs_for_generation", None)
    if usual is None or has_tuned_prompt(model):
        return False
    own = vars(model).get("prepare_inputs_for_generation") if hasattr(model, "__dict__") else None
    if own is not None:  # PEFT replaces the method while it generates
        wrapper = getattr(own, "__self__", None)
        if not is_peft(wrapper) or has_tuned_prompt(wrapper):
            return False
    base = model.get_base_model() if is_peft(model) else model
    return getattr(type(base), "prepare_inputs_for_generation", None) is usual


def takes_positions(model: Any) -> bool:
    """Whether `forward` takes the position of each token, and can return the logits of only the last ones."""
    base = model.get_base_model() if is_peft(model) else model
    return {"position_ids", "logits_to_keep"} <= inspect.signature(base.forward).parameters.keys()


def prepares_inputs_by_length(model: Any) -> bool:
    """Whether the model's own code prepares the inputs of a pass for a given number of new tokens (transformers 5.6
    and later)."""
    import transformers

    prepare = getattr(transformers.GenerationMixin, "prepare_inputs_for_generation", None)
    by_length = prepare is not None and "next_sequence_length" in inspect.signature(prepare).parameters
    return by_length and hasattr(model, "_update_model_kwargs_for_generation")


def _is_cache(value: Any) -> bool:
    import transformers

    return isinstance(value, transformers.Cache)


# -- PEFT ----------------------------------------------------------------------------------------------------------


def is_peft(model: Any) -> bool:
    """Whether the model is wrapped by PEFT; if PEFT's names change, it counts as a model without PEFT."""
    return hasattr(model, "get_base_model") and hasattr(model, "peft_config")


def has_tuned_prompt(model: Any) -> bool:
    """Whether PEFT puts tuned tokens before the prompt. If this is missed, the cache's length shows it."""
    return bool(getattr(getattr(model, "active_peft_config", None), "is_prompt_learning", False))


# -- what a call of `generate` will do -----------------------------------------------------------------------------


def writes_token_by_token(config: Any, own: Any) -> bool:
    """Whether `generate` would run its plain greedy or sampling loop under `config` and the model's `own` one.

    False where the names are gone: then transformers chooses its own loop.
    """
    try:
        from transformers.generation.configuration_utils import GenerationMode

        merged = copy.deepcopy(config)
        merged.update(**own.to_dict(), defaults_only=True)
        merged.update(**own._get_default_generation_params(), defaults_only=True)
        return merged.get_generation_mode(None) in (GenerationMode.GREEDY_SEARCH, GenerationMode.SAMPLE)
    except (ImportError, AttributeError, TypeError):
        return False


def pipeline_arguments(pipeline: Any) -> dict[str, Any]:
    """The arguments that a pipeline was made with; empty where the names are gone."""
    given: dict[str, Any] = {}
    for where in ("_forward_params", "_generate_kwargs"):  # transformers keeps them in one or the other
        given.update(getattr(pipeline, where, None) or {})
    return given


# -- who is calling ------------------------------------------------------------------------------------------------


def in_beam_search() -> bool:
    """Whether the caller is a beam search: transformers discards a beam without an allowed score.

    Only asked before an error is raised; if the name is gone, the error is raised.
    """
    return _frame_of("_beam_search") is not None


def is_inside_generate() -> bool:
    """Whether `generate` of transformers is on the stack; only asked where the tokens do not identify a call."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "generate" and _is_of_generation(frame):
            return True
        frame = frame.f_back
    return False


def owner_of_call() -> Any:
    """An object that lives exactly as long as the calling `generate`: the list of processors that it made.

    None outside of `generate`, or where the name is gone: then the tokens identify the call, or an error is raised.
    PERF: about 5 µs.
    """
    frame: FrameType | None = sys._getframe(1)
    found = None
    while frame is not None:  # the outermost one: assisted decoding calls `generate` inside
        if _is_of_generation(frame):
            processors = frame.f_locals.get("logits_processor")
            if processors is not None and type(processors) is not list:
                found = processors
        frame = frame.f_back
    return found if hasattr(type(found), "__weakref__") else None


def _is_of_generation(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).startswith("transformers.generation.")


def settings_of_call() -> Any:
    """The `GenerationConfig` of the calling `generate`; None outside of one, or where its name is gone."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_of_generation(frame):
            config = frame.f_locals.get("generation_config")
            if hasattr(config, "eos_token_id") and hasattr(config, "max_length"):
                return config
        frame = frame.f_back
    return None


def drafts_in_another_tokenizer() -> bool:
    """Whether the caller is a draft model with another tokenizer (`assistant_tokenizer=`).

    The arguments do not show it. If the name is gone, its drafts are masked as if they were the model's own, and the
    model rejects them. PERF: about 3 µs.
    """
    frame = _frame_of("get_candidates")
    return frame is not None and hasattr(frame.f_locals.get("self"), "assistant_tokenizer")


def in_pipeline() -> bool:
    """Whether the caller is a pipeline, which passes one batch at a time; if the name is gone, the number of rows still
    reveals most mistakes."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if str(frame.f_globals.get("__name__", "")).startswith("transformers.pipelines"):
            return True
        frame = frame.f_back
    return False


def _frame_of(name: str) -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == name:
            return frame
        frame = frame.f_back
    return None
