"""The two classes that vLLM calls: a backend for an engine, a grammar for a request.

A process that only registers the backend does not import this module.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from vllm.v1.structured_output.backend_types import (
    StructuredOutputBackend,
    StructuredOutputGrammar,
    StructuredOutputOptions,
)

from rellm._constraints import Constraint
from rellm._engines.compile import compile
from rellm._generate.engine_text import EngineText
from rellm.integrations.vllm.check_request import compile_request
from rellm.integrations.vllm.engine_vocabulary import engine_vocabulary
from rellm.integrations.vllm.request_constraint import constraint_of_key, request_constraint

_log = logging.getLogger("rellm")


@dataclass
class RellmBackend(StructuredOutputBackend):  # type: ignore[misc]
    """The backend of an engine: compiles requests, and allocates the buffer of masks."""

    def __post_init__(self) -> None:
        self._model_config = self.vllm_config.model_config
        engine_vocabulary(self.tokenizer, self._model_config, self.vocab_size)  # now, not with the first mask

    def compile_request(self, request: Any) -> RellmGrammar:
        """The grammar of a request, with its budget, run limits and stop ids.

        Raises:
            RellmError, TypeError, ValueError: as the check in the front end, which has seen the request before.
        """
        params = request.sampling_params
        compiled, limits = compile_request(params, self._model_config, self.tokenizer, self.vocab_size)
        transfer = (params.extra_args or {}).get("kv_transfer_params") or {}
        text = EngineText(
            compiled,
            self._budget(request),
            limits,
            # A server that only prefills for another one gets a budget of a single token, too small for most texts.
            is_steered=not (isinstance(transfer, dict) and transfer.get("do_remote_decode")),
        )
        return RellmGrammar(text, ignores_eos=bool(params.ignore_eos), request=request)

    def compile_grammar(
        self,
        request_type: StructuredOutputOptions,
        grammar_spec: Any,
        stop_token_ids: Collection[int] | None = None,
    ) -> RellmGrammar:
        """The grammar of a constraint alone, for beam search."""
        constraint = (
            grammar_spec if isinstance(grammar_spec, Constraint) else constraint_of_key(request_type.name, grammar_spec)
        )
        vocabulary = engine_vocabulary(self.tokenizer, self._model_config, self.vocab_size, stop_token_ids or ())
        return RellmGrammar(EngineText(compile(constraint, vocabulary)))

    def key_of(self, params: Any) -> tuple[Any, Any]:
        """The key that beam search passes to `compile_grammar`, with the fields that vLLM's own key lacks."""
        return StructuredOutputOptions.REGEX, request_constraint(params).constraint

    def allocate_token_bitmask(self, max_num_seqs: int) -> Any:
        """One row of int32 per text, 32 tokens per word, all tokens allowed."""
        import torch

        return torch.full((max_num_seqs, (self.vocab_size + 31) // 32), -1, dtype=torch.int32)

    def destroy(self) -> None:
        """Does nothing: the backend holds no resources."""

    def _budget(self, request: Any) -> int | None:
        most = request.max_tokens
        context = getattr(self._model_config, "max_model_len", None)
        if context is not None:
            room = max(context - request.num_prompt_tokens, 0)
            most = room if most is None else min(most, room)
        return most  # type: ignore[no-any-return]


class RellmGrammar(StructuredOutputGrammar):  # type: ignore[misc]
    """The state of a request's text."""

    def __init__(self, text: EngineText, ignores_eos: bool = False, request: Any = None) -> None:
        self.text = text
        self._goes_on = ignores_eos
        self._request: Any = None if request is None else weakref.ref(request)
        self._told = False

    def accept_tokens(self, request_id: str, tokens: list[int]) -> bool:
        """Take tokens; False, where the constraint does not allow one, ends the request with an error."""
        for token_id in tokens:
            if not self.text.accept(token_id):
                failure = self.text.failure
                if failure is not None and not self._told:
                    self._told = True
                    _log.warning("request %s ends: %s: %s", request_id, type(failure).__name__, failure)
                return False
        return True

    def validate_tokens(self, tokens: list[int]) -> list[int]:
        """The drafts that the masks would allow; a padding of -1 ends the drafts."""
        drafts = tokens[: tokens.index(-1)] if -1 in tokens else tokens
        if not drafts or self.is_terminated():
            return []
        self._count_reasoning()
        return drafts[: self.text.allowed(drafts)]

    def rollback(self, num_tokens: int) -> None:
        """Take back the last tokens."""
        self.text.rollback(num_tokens)

    def fill_bitmask(self, bitmask: Any, batch_index: int) -> None:
        """Write the mask of the next token."""
        self._count_reasoning()
        self.text.fill(bitmask, batch_index)

    def is_terminated(self) -> bool:
        """Whether the text has ended. A request that ignores EOS goes on with EOS alone, not with free text."""
        return self.text.has_ended and not self._goes_on

    def reset(self) -> None:
        """Take everything back."""
        self.text.reset()

    def _count_reasoning(self) -> None:
        """Subtracts the tokens of reasoning, which vLLM does not pass to the grammar, from the budget."""
        request = None if self._request is None else self._request()
        if request is not None:
            self.text.spent = max(self.text.spent, request.num_output_tokens - self.text.length)
