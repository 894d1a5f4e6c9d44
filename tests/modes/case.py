"""A cell's tools: run a model under a constraint, check every mask on the way and every row at the end."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from families import Family
from oracle import ANSWER_LANGUAGE, ANSWER_PATTERN, LANGUAGE, PATTERN, MaskChecker, Oracle, bytes_of

LIMIT = 24


class Unsupported(Exception):  # noqa: N818 (it is an outcome, not an error)
    """The family, or transformers itself, has no such mode."""


@dataclass
class Engine:
    """Something that makes logits processors. This one is rellm's."""

    name: str = "rellm"
    checks_masks: bool = True
    is_ours: bool = True

    def vocabulary(self, family: Family, **more: Any) -> Any:
        from vocabularies import vocabulary_of

        return vocabulary_of(family, **more)

    def processor(
        self, family: Family, patterns: str | list[str | None], *, model: Any = None, rows: int = 1, **more: Any
    ) -> Any:
        """A processor for `rows` rows a pattern, over the logits of `model`."""
        from rellm.integrations.transformers import ConstraintLogitsProcessor

        return ConstraintLogitsProcessor(patterns, self.vocabulary(family), **more)

    def ready_again(self, processor: Any) -> None:
        """What the library asks for before a processor is used for another call. Of ours: nothing."""


@dataclass
class Case:
    """One cell's tools."""

    family: Family
    engine: Engine = field(default_factory=Engine)

    @property
    def model(self) -> Any:
        return self.family.model

    @property
    def eos(self) -> list[int]:
        return [self.family.tokenizer.eos_token_id]

    def with_model(self, model: Any) -> Any:
        """The same with another model of the family's tokenizer."""
        return dataclasses.replace(self, family=dataclasses.replace(self.family, model=model))

    def without_mask_checks(self) -> Any:
        """The same, looking at the texts alone."""
        engine = copy.copy(self.engine)
        engine.checks_masks = False
        return dataclasses.replace(self, engine=engine)

    def oracle(self, pattern: str | None, eos: Sequence[int] | None = None, width: int | None = None) -> Oracle | None:
        if pattern is None:
            return None
        language = {PATTERN: LANGUAGE, ANSWER_PATTERN: ANSWER_LANGUAGE}[pattern]
        tokens = bytes_of(self.engine.vocabulary(self.family))
        return Oracle(tokens[:width], self.eos if eos is None else eos, language)

    def prompts(self, texts: Sequence[str], side: str = "left") -> dict[str, torch.Tensor]:
        rows = [self.family.tokenizer(text)["input_ids"] for text in texts]
        longest = max(map(len, rows))
        pad = self.family.tokenizer.pad_token_id
        ids, mask = [], []
        for row in rows:
            gap = longest - len(row)
            ids.append([pad] * gap + row if side == "left" else row + [pad] * gap)
            mask.append([0] * gap + [1] * len(row) if side == "left" else [1] * len(row) + [0] * gap)
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}

    def run(
        self,
        patterns: str | list[str | None] = PATTERN,
        texts: Sequence[str] = ("The capital of",),
        *,
        side: str | None = None,
        processor: Any = None,
        model: Any = None,
        unchecked: Sequence[int] = (),
        eos: Sequence[int] | None = None,
        width: int | None = None,
        before: Sequence[Any] = (),
        lead: int = 0,
        **kwargs: Any,
    ) -> list[list[int]]:
        """Generate, check every mask on the way and every row at the end; the rows' tokens.

        `lead` is the number of tokens that `generate` itself writes before the text.
        """
        model = self.model if model is None else model
        inputs = self.prompts(texts, side or ("right" if self.family.is_encoder_decoder else "left"))
        if processor is None:
            many = kwargs.get("num_beams") or kwargs.get("num_return_sequences", 1)
            processor = self.engine.processor(self.family, patterns, model=model, rows=many)
        each = patterns if isinstance(patterns, list) else [patterns] * len(texts)
        oracles = [self.oracle(pattern, eos, width) for pattern in each]
        processors = [*before, processor]
        start = lead + (1 if self.family.is_encoder_decoder else inputs["input_ids"].shape[1])
        if self.engine.checks_masks:
            checker = MaskChecker(oracles, start, unchecked)
            processors.append(checker)
        kwargs.setdefault("max_new_tokens", LIMIT)
        kwargs.setdefault("do_sample", False)
        out = model.generate(**inputs, logits_processor=processors, **kwargs)
        if self.engine.checks_masks:
            assert checker.checked or not any(oracles), "the mask was never asked for"
        rows = [row[start:] for row in getattr(out, "sequences", out).tolist()]
        self.check(rows, each, eos)
        return rows

    def check(self, rows: list[list[int]], patterns: Sequence[str | None], eos: Sequence[int] | None = None) -> None:
        """Every row is a text of its constraint, ended, and after it there is nothing but padding."""
        per = len(rows) // len(patterns)
        over = set(self.eos if eos is None else eos)
        vocabulary = self.engine.vocabulary(self.family)
        for i, row in enumerate(rows):
            pattern = patterns[i // per]
            if pattern is None:
                continue
            ends = [j for j, token_id in enumerate(row) if token_id in over]
            text = row[: ends[0]] if ends else row
            data = vocabulary.tokens_bytes([token_id for token_id in text if token_id < len(vocabulary)])
            written = data.decode("utf-8", "replace")
            assert re.fullmatch(pattern, written), f"{written!r} does not match {pattern!r}"
            pads = over | {self.family.tokenizer.pad_token_id}
            assert not ends or set(row[ends[0] :]) <= pads, f"something follows the end: {row}"


@dataclass
class GeneratorEngine(Engine):
    """`rellm.Generator`, which brings its own processor."""

    name: str = "Generator"

    def processor(self, family: Family, patterns: Any, *, model: Any = None, rows: int = 1, **more: Any) -> Any:
        import rellm

        vocabulary = self.vocabulary(family)
        return rellm.Generator(family.model if model is None else model, family.tokenizer, vocabulary=vocabulary)


@dataclass
class GeneratorCase(Case):
    """The same tools where `Generator` is called in place of `model.generate`."""

    engine: Engine = field(default_factory=GeneratorEngine)

    def run(
        self,
        patterns: str | list[str | None] = PATTERN,
        texts: Sequence[str] = ("The capital of",),
        *,
        side: str | None = None,
        processor: Any = None,
        model: Any = None,
        unchecked: Sequence[int] = (),
        eos: Sequence[int] | None = None,
        width: int | None = None,
        before: Sequence[Any] = (),
        lead: int = 0,
        **kwargs: Any,
    ) -> list[list[int]]:
        if side == "right":
            raise Unsupported("it pads by itself, on the side that the model wants")
        generator = self.engine.processor(self.family, patterns, model=model) if processor is None else processor
        each = patterns if isinstance(patterns, list) else [patterns] * len(texts)
        start = lead + (1 if self.family.is_encoder_decoder else self.prompts(texts)["input_ids"].shape[1])
        checks: list[MaskChecker] = []

        def checker(constraints: Sequence[Any]) -> MaskChecker:
            """For the rows of these constraints, be they all rows or one row."""
            patterns = [None if one is None else one.constraint.pattern for one in constraints]
            checks.append(MaskChecker([self.oracle(pattern, eos, width) for pattern in patterns], start, unchecked))
            return checks[-1]

        kwargs.setdefault("max_new_tokens", LIMIT)
        kwargs.setdefault("do_sample", False)
        if before:
            kwargs["logits_processor"] = list(before)
        with _checked_by(checker) if self.engine.checks_masks else contextlib.nullcontext():
            found = generator(list(texts), patterns, **kwargs)
        assert any(check.checked for check in checks) or not self.engine.checks_masks, "the mask was never asked for"
        flat = [one for some in found for one in (some if isinstance(some, list) else [some])]
        for completion in flat:
            assert completion.constraint is None or completion.is_complete, completion
        rows = [list(completion.token_ids) for completion in flat]
        self.check(rows, each, eos)
        return rows


@contextlib.contextmanager
def _checked_by(checker: Callable[[Sequence[Any]], MaskChecker]) -> Iterator[None]:
    """Every processor that a `Generator` makes meanwhile has its masks held against the oracle's."""
    import rellm._generate.run as module

    class Checked(module.RunProcessor):
        def __init__(self, rows: Any, *others: Any) -> None:
            super().__init__(rows, *others)
            self._check = checker(rows.compiled)

        def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
            return self._check(input_ids, super().__call__(input_ids, scores))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "RunProcessor", Checked)
        yield
