"""The processors of other libraries, for the same matrix; each runs in an environment of its own."""

from __future__ import annotations

from typing import Any

from families import Family
from matrix import Engine


class Xgrammar(Engine):
    """xgrammar's `contrib.hf.LogitsProcessor`, made anew for each call as its documentation asks."""

    def __init__(self) -> None:
        super().__init__("xgrammar", checks_masks=False)

    def processor(self, family: Family, patterns: str | list[str | None], **more: Any) -> Any:
        import xgrammar

        info = xgrammar.TokenizerInfo.from_huggingface(family.tokenizer, vocab_size=family.model.config.vocab_size)
        compiler = xgrammar.GrammarCompiler(info)
        if not isinstance(patterns, list):
            return xgrammar.contrib.hf.LogitsProcessor(compiler.compile_regex(patterns))
        return xgrammar.contrib.hf.LogitsProcessor([compiler.compile_regex(pattern) for pattern in patterns])


class OutlinesCore(Engine):
    """outlines' processor on outlines-core."""

    def __init__(self) -> None:
        super().__init__("outlines-core", checks_masks=False)

    def processor(self, family: Family, patterns: str | list[str | None], **more: Any) -> Any:
        import outlines
        from outlines.backends import get_regex_logits_processor

        if isinstance(patterns, list):
            raise TypeError("one pattern only")
        model = outlines.from_transformers(family.model, family.tokenizer)
        return get_regex_logits_processor("outlines_core", model, patterns)


PEERS = {"xgrammar": Xgrammar, "outlines-core": OutlinesCore}
