"""The settings of one call of `generate`: the caller's arguments, then the model's own `generation_config`."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from rellm._generate.text_state import text_bytes
from rellm._vocabulary import Vocabulary
from rellm._warn import warn

_DEFAULT_MAX_NEW_TOKENS = 200
_NOT_SERVED = ("return_dict_in_generate", "output_scores", "output_logits", "output_attentions", "output_hidden_states")


@dataclass(frozen=True)
class GenerationSettings:
    """One `GenerationConfig` with all settings of a call, and the arguments that it has no field for.

    Attributes:
        config: a `transformers.GenerationConfig` of this call's own.
        own: the model's own, which fills in the settings that `config` leaves open.
        arguments: further arguments of `generate`.
        budget: `max_new_tokens` of the caller.
    """

    config: Any
    own: Any
    arguments: dict[str, Any]
    budget: int

    @classmethod
    def resolved(
        cls, model: Any, tokenizer: Any, vocabulary: Vocabulary, max_new_tokens: object, arguments: dict[str, Any]
    ) -> GenerationSettings:
        """The settings of a call with these arguments of `generate`.

        Raises:
            ValueError: an argument cannot be served.
        """
        import transformers

        arguments = dict(arguments)
        make: Any = transformers.GenerationConfig  # untyped in transformers
        given = arguments.pop("generation_config", None)
        config = copy.deepcopy(given) if given is not None else make()
        own = model.generation_config
        if arguments.pop("max_length", None) is not None:
            raise ValueError("max_length counts the prompt: pass max_new_tokens instead")
        for name in _NOT_SERVED:
            if arguments.get(name):
                raise ValueError(
                    f"{name} asks for what a Completion does not hold: call model.generate with "
                    "rellm.integrations.transformers.ConstraintLogitsProcessor, which returns it"
                )
        also = arguments.pop("max_new_tokens", None)
        rest = config.update(**arguments)
        for budget in (max_new_tokens, also, config.max_new_tokens, _DEFAULT_MAX_NEW_TOKENS):
            if budget is not None:
                break
        if not isinstance(budget, int) or isinstance(budget, bool) or budget < 1:
            raise ValueError(f"max_new_tokens is {budget!r}: it must be a whole number from 1 on")
        config.token_healing = False  # ours was applied before, and knows where the text begins
        samples = config.do_sample if config.do_sample is not None else own.do_sample
        idle = [name for name in ("temperature", "top_p", "top_k") if arguments.get(name) is not None]
        if idle and not samples:
            warn(f"{', '.join(idle)} does nothing without do_sample=True")
        config.max_new_tokens, config.max_length = budget, None
        eos = config.eos_token_id if config.eos_token_id is not None else own.eos_token_id
        if eos is None:
            eos = list(vocabulary.eos_token_ids)
        config.eos_token_id = sorted({eos} if isinstance(eos, int) else set(eos)) or None
        config.pad_token_id = _padding(config, own, tokenizer, vocabulary)
        for name in ("num_return_sequences", "num_beams"):
            if getattr(config, name) is None:
                setattr(config, name, getattr(own, name))
        return cls(config, own, rest, budget)

    def get(self, name: str) -> Any:
        """A setting: the call's, else the model's own."""
        value = getattr(self.config, name, None)
        return getattr(self.own, name, None) if value is None else value

    def forced_ends(self, prompt_length: int) -> tuple[int, int]:
        """The numbers of tokens that `generate` forces before the text and after the longest one (BART and similar).

        Args:
            prompt_length: how many tokens a row of the decoder has before `generate` writes one.
        """
        # transformers forces the first one where a row has one token, and nowhere else.
        first = self.get("forced_bos_token_id") is not None and prompt_length == 1
        return int(first), int(self.get("forced_eos_token_id") is not None)


def _padding(config: Any, own: Any, tokenizer: Any, vocabulary: Vocabulary) -> int:
    """A padding token that is never text, so that padding cannot be mistaken for more text."""
    for candidate in (config.pad_token_id, own.pad_token_id, getattr(tokenizer, "pad_token_id", None)):
        if isinstance(candidate, int) and not text_bytes(vocabulary, candidate):
            return candidate
    return config.eos_token_id[0] if config.eos_token_id else 0
