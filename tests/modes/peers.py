"""The processors of other libraries, for the same matrix; each runs in an environment of its own."""

from __future__ import annotations

from typing import Any

from case import Engine, Unsupported
from families import Family


class Xgrammar(Engine):
    """xgrammar's `contrib.hf.LogitsProcessor`. Its documentation asks for a new one for each call."""

    def __init__(self) -> None:
        super().__init__("xgrammar", checks_masks=False, is_ours=False)

    def processor(self, family: Family, patterns: Any, *, model: Any = None, rows: int = 1, **more: Any) -> Any:
        import xgrammar

        if isinstance(patterns, list) and None in patterns:
            raise Unsupported("it takes no row without a grammar")
        width = (family.model if model is None else model).config.get_text_config().vocab_size
        info = xgrammar.TokenizerInfo.from_huggingface(family.tokenizer, vocab_size=width)
        compiler = xgrammar.GrammarCompiler(info)
        if not isinstance(patterns, list):
            return xgrammar.contrib.hf.LogitsProcessor(compiler.compile_regex(patterns))
        # It wants a grammar for each row, the beams and returns of a prompt included.
        each = [compiler.compile_regex(pattern) for pattern in patterns for _ in range(rows)]
        return xgrammar.contrib.hf.LogitsProcessor(each)


class Outlines(Engine):
    """outlines' processor, on one of its engines."""

    backend = ""

    def __init__(self) -> None:
        super().__init__(f"outlines/{self.backend}", checks_masks=False, is_ours=False)

    def processor(self, family: Family, patterns: Any, *, model: Any = None, rows: int = 1, **more: Any) -> Any:
        import outlines
        from outlines.backends import get_regex_logits_processor

        if isinstance(patterns, list):
            raise Unsupported("it takes one pattern for all rows")
        wrapped = outlines.from_transformers(family.model if model is None else model, family.tokenizer)
        return get_regex_logits_processor(self.backend, wrapped, patterns)

    def ready_again(self, processor: Any) -> None:
        processor.reset()


class OutlinesCore(Outlines):
    """With outlines-core, its default for patterns."""

    backend = "outlines_core"


class OutlinesLlguidance(Outlines):
    """With llguidance."""

    backend = "llguidance"


PEERS = {"xgrammar": Xgrammar, "outlines-core": OutlinesCore, "outlines-llguidance": OutlinesLlguidance}
