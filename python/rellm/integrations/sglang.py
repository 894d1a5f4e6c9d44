"""The grammar backend "rellm" of SGLang. Experimental: never run in SGLang's own engine, which needs a GPU.

SGLang finds `register` by the entry point `sglang.srt.plugins`, and a server asks for the backend by its name:

    python -m sglang.launch_server --model-path MODEL --grammar-backend rellm

Nothing of SGLang is imported with this module, and an installed rellm changes nothing in a server that does not ask.
"""

from __future__ import annotations

import importlib
import logging
from typing import Any

from rellm._constraints import Constraint, Regex
from rellm._engines.compile import CompiledConstraint, compile
from rellm._generate.engine_text import EngineText, failure_of
from rellm._vocabulary import Vocabulary

__all__ = ["register"]

_log = logging.getLogger("rellm")
_BASE = "sglang.srt.constrained.base_grammar_backend"


def register() -> None:
    """Add "rellm" to SGLang's grammar backends; never raises: the log says if this SGLang does not support it."""
    try:
        base = importlib.import_module(_BASE)
        base.register_grammar_backend("rellm", create_backend)
        importlib.import_module("sglang.srt.server_args").add_grammar_backend_choices(["rellm"])
    except Exception as error:  # a plug-in that raises would stop a server that does not ask for it
        _log.warning("rellm is no grammar backend of this SGLang: %s: %s", type(error).__name__, error)


def create_backend(server_args: Any, tokenizer: Any, vocab_size: int, eos_token_ids: Any = None) -> Any:
    """The backend of a server, wrapped for its reasoning parser as SGLang wraps its own backends."""
    backend = backend_class()(tokenizer, vocab_size, eos_token_ids)
    parser = getattr(server_args, "reasoning_parser", None)
    if not parser:
        return backend
    reasoner: Any = importlib.import_module("sglang.srt.constrained.reasoner_grammar_backend")
    reading: Any = importlib.import_module("sglang.srt.parser.reasoning_parser")
    return reasoner.ReasonerGrammarBackend(
        backend,
        reading.ReasoningParser(model_type=parser, stream_reasoning=False, tokenizer=tokenizer),
        tokenizer,
        enable_strict_thinking=bool(getattr(server_args, "enable_strict_thinking", False)),
    )


def backend_class() -> Any:
    """The class of the backend, over SGLang's base class."""
    base: Any = importlib.import_module(_BASE)
    grammar = grammar_class()

    class RellmGrammarBackend(base.BaseGrammarBackend):  # type: ignore[misc]
        def __init__(self, tokenizer: Any, vocab_size: int, eos_token_ids: Any = None) -> None:
            super().__init__()
            ends = [eos_token_ids] if isinstance(eos_token_ids, int) else sorted(eos_token_ids or ())
            self.vocabulary = Vocabulary.from_tokenizer(tokenizer, eos_token_ids=ends or None, size=vocab_size)

        def _made(self, constraint: Any) -> Any:
            try:
                compiled = compile(constraint(), self.vocabulary)
                compiled.matcher().mask()
                return grammar(compiled)
            except Exception as error:  # SGLang answers 400 with this message
                return base.InvalidGrammarObject(f"{error}")

        def dispatch_json(self, key_string: str) -> Any:
            return self._made(lambda: _json(key_string))

        def dispatch_regex(self, key_string: str) -> Any:
            return self._made(lambda: Regex(key_string))

        def dispatch_ebnf(self, key_string: str) -> Any:
            return self._made(lambda: _grammar(key_string))

        def dispatch_structural_tag(self, key_string: str) -> Any:
            return self._made(lambda: _structural_tag(key_string))

    return RellmGrammarBackend


def grammar_class() -> Any:
    """The class of a request's grammar, over SGLang's base class."""
    base: Any = importlib.import_module(_BASE)

    class RellmGrammarObject(base.BaseGrammarObject):  # type: ignore[misc]
        def __init__(self, compiled: CompiledConstraint) -> None:
            super().__init__()
            self.compiled = compiled
            self.text = EngineText(compiled)

        def accept_token(self, token: int) -> None:
            if self.finished:
                return
            if not self.text.accept(token):
                raise ValueError(f"token {token} is not allowed: {failure_of(self.text)}")
            self._finished = self.text.has_ended

        def rollback(self, k: int) -> None:
            self.text.rollback(k)
            self._finished = self.text.has_ended

        def is_terminated(self) -> bool:
            return self.text.has_ended

        def allocate_vocab_mask(self, vocab_size: int, batch_size: int, device: Any) -> Any:
            import torch

            return torch.full((batch_size, (vocab_size + 31) // 32), -1, dtype=torch.int32)

        def fill_vocab_mask(self, vocab_mask: Any, idx: int) -> None:
            self.text.fill(vocab_mask, idx)

        @staticmethod
        def reset_vocab_mask(vocab_mask: Any) -> None:
            vocab_mask.fill_(-1)

        @staticmethod
        def move_vocab_mask(vocab_mask: Any, device: Any) -> Any:
            return vocab_mask.to(device, non_blocking=True)

        @staticmethod
        def apply_vocab_mask(logits: Any, vocab_mask: Any) -> None:
            if logits.device.type == "cpu":
                _apply_on_cpu(logits, vocab_mask)
            else:  # a kernel that SGLang brings along
                importlib.import_module("llguidance.torch").apply_token_bitmask_inplace(logits, vocab_mask)

        def copy(self) -> Any:
            return RellmGrammarObject(self.compiled)

        def try_jump_forward(self, tokenizer: Any) -> tuple[list[int], str] | None:
            """The forced text in whole characters; None where there is a choice or the text may end."""
            forced = bytes(self.text.matcher.forced_bytes()).decode("utf-8", "ignore")
            return ([], forced) if forced else None

        def jump_forward_str_state(self, helper: tuple[list[int], str]) -> tuple[str, int]:
            return helper[1], -1

        def jump_and_retokenize(self, old_output_ids: list[int], new_output_ids: list[int], next_state: int) -> None:
            if not self.text.move_to(new_output_ids):
                raise ValueError(f"the retokenized text is not allowed: {failure_of(self.text)}")
            self._finished = self.text.has_ended

    return RellmGrammarObject


def _apply_on_cpu(logits: Any, vocab_mask: Any) -> None:
    import numpy as np
    import torch

    bits = np.unpackbits(vocab_mask.numpy().view(np.uint8), axis=-1, bitorder="little", count=logits.shape[-1])
    logits.masked_fill_(torch.from_numpy(bits == 0), float("-inf"))


def _json(text: str) -> Constraint:
    from rellm._constraints.json_schema import JsonSchema

    # SGLang's name for any JSON object.
    return JsonSchema('{"type": "object"}' if text == "$$ANY$$" else text, property_order="declared")


def _grammar(text: str) -> Constraint:
    from rellm._constraints.grammar.context_free import Grammar

    return Grammar(text, format="gbnf")


def _structural_tag(text: str) -> Constraint:
    from rellm._constraints.structural_tags import structural_tag

    return structural_tag(text)
