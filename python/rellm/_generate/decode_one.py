"""Our decoding loop for one row, greedy or sampling, with drafts.

It is passed to `generate(custom_generate=…)`, which prepares inputs, cache, processors and criteria. After each pass
the length of the cache is checked against the tokens that were fed (`KeyValueCache`); if they differ, `TakePlainLoop`
ends the attempt before a token of that pass is accepted.

Each token is chosen exactly as transformers would choose it: the processors see every prefix once, in order, and one
random number is drawn per token. A draft only sets the number of tokens that one forward pass verifies, so the text is
the same with and without drafts.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

from rellm._generate.drafts import Draft, RowDrafts
from rellm._generate.key_value_cache import KeyValueCache, TakePlainLoop
from rellm._generate.transformers_quirks import calls_forward_plainly, prepares_inputs_by_length

if TYPE_CHECKING:
    import torch


class Decoder:
    """Writes one text; each step is one forward pass.

    Args:
        model: as `generate` passes it to its decoding method.
        input_ids: `(1, length)`.
        prefixes: a `PrefixCache` of texts before this one.
        drafts: forced text to append or to verify; None for none. A draft is accepted as far as the choice from the
            masked scores agrees.
    """

    def __init__(
        self,
        model: Any,
        input_ids: torch.Tensor,
        *,
        logits_processor: Any,
        stopping_criteria: Any,
        generation_config: Any,
        model_kwargs: dict[str, Any],
        drafts: RowDrafts | None,
        streamer: Any = None,
        prefixes: Any = None,
    ) -> None:
        self.model = model
        self.input_ids = input_ids
        self.prompt_length = int(input_ids.shape[1])
        self.done = False
        self.forward_passes = 0
        self._processors = logits_processor
        self._criteria = stopping_criteria
        self._config = generation_config
        self._kwargs = model_kwargs
        self._drafts = drafts
        # Read now, while a wrapper such as PEFT has set it: a stream goes on after `generate` has returned.
        self._prepare_inputs = model.prepare_inputs_for_generation
        self._streamer = streamer
        self._first = True
        self._fed = 0  # the number of tokens in the cache
        self._cache = KeyValueCache.of(model_kwargs)
        self._is_plain = self._cache is not None and calls_forward_plainly(model, model_kwargs)
        if not self._is_plain and not prepares_inputs_by_length(model):
            raise TakePlainLoop("this release prepares the inputs of its passes in another way")
        # Drafts need a cache that can be cropped (a recurrent state cannot), or no cache at all.
        self._can_draft = self._cache is None or self._cache.can_crop
        self._prefixes = prefixes if self._is_plain and self._cache is not None and self._cache.can_hold_holes else None
        if self._prefixes is not None and self._cache is not None:
            found = self._prefixes.take(input_ids[0].tolist())
            if found is not None:
                self._cache.cache, self._fed = found
        if self._cache is not None and self._can_draft:
            self._cache.begin()

    def step(self) -> list[int]:
        """Runs one forward pass; returns its tokens, at least one."""
        import torch

        with torch.no_grad():
            return self._step()

    def _step(self) -> list[int]:
        import torch

        written = self.input_ids[0].tolist()
        room = self._config.max_length - len(written) - 1
        forced = Draft() if self._drafts is None else self._drafts.begin(written)
        emitted: list[int] = []
        for token_id in islice(forced.unasked(), max(room, 0)):
            if self._append(token_id, emitted):
                return self._end(emitted)
        draft = forced.to_try(room - len(emitted)) if self._can_draft else []
        asked = torch.cat([self.input_ids, self.input_ids.new_tensor([draft])], dim=-1) if draft else self.input_ids
        outputs = self._forward(asked, len(draft))
        logits = outputs.logits[:, -len(draft) - 1 :].to(copy=True, dtype=torch.float32, device=self.input_ids.device)
        matched = 0
        for i in range(len(draft) + 1):
            token_id = self._choose(logits[:, i])
            over = self._append(token_id, emitted)
            if over or i == len(draft) or token_id != draft[i]:
                matched = i if i == len(draft) or token_id != draft[i] else i + 1
                self.done = over
                break
        self._keep(outputs, len(emitted), len(draft) - matched)
        return self._end(emitted) if self.done else emitted

    def _choose(self, logits: torch.Tensor) -> int:
        import torch

        scores = self._processors(self.input_ids, logits)
        if self._config.do_sample:
            probabilities = torch.nn.functional.softmax(scores, dim=-1)
            return int(torch.multinomial(probabilities, num_samples=1))
        return int(torch.argmax(scores, dim=-1))

    def _append(self, token_id: int, emitted: list[int]) -> bool:
        """Write one token; whether the text is over with it."""
        import torch

        token = self.input_ids.new_tensor([[token_id]])
        self.input_ids = torch.cat([self.input_ids, token], dim=-1)
        emitted.append(token_id)
        if self._streamer is not None:
            self._streamer.put(token[0].cpu())
        return bool(self._criteria(self.input_ids, None).all())

    def _end(self, emitted: list[int]) -> list[int]:
        self.done = True
        if self._prefixes is not None and self._cache is not None:
            self._prefixes.keep(self.input_ids[0, : self._fed].tolist(), self._cache.cache)
        if self._streamer is not None:
            self._streamer.end()
        return emitted

    # -- the model ---------------------------------------------------------------------------------------------

    def _forward(self, asked: torch.Tensor, drafted: int) -> Any:
        inputs = self._plain_inputs(asked) if self._is_plain else self._prepared_inputs(asked)
        if "logits_to_keep" in inputs or self._is_plain:
            inputs["logits_to_keep"] = drafted + 1
        outputs = self.model(**inputs, return_dict=True)
        self.forward_passes += 1
        self._first = False
        self._fed = asked.shape[1]
        if self._cache is not None:
            self._cache.expect(self._fed, outputs)
        return outputs

    def _plain_inputs(self, asked: torch.Tensor) -> dict[str, Any]:
        """The inputs of an ordinary decoder: the same in every release of transformers."""
        import torch

        assert self._cache is not None
        mask = self._first_mask()
        more = mask.new_ones((1, asked.shape[1] - mask.shape[1]))
        mask = torch.cat([mask, more], dim=-1)
        positions = (mask.long().cumsum(dim=-1) - 1).clamp(min=0)
        return {
            "input_ids": asked[:, self._fed :],
            "attention_mask": mask,
            "position_ids": positions[:, self._fed :],
            "use_cache": True,
            self._cache.name: self._cache.cache,
        }

    def _first_mask(self) -> torch.Tensor:
        import torch

        mask: torch.Tensor | None = self._kwargs.get("attention_mask")
        # transformers omits an attention mask that is all ones.
        return torch.ones_like(self.input_ids[:, : self.prompt_length]) if mask is None else mask

    def _prepared_inputs(self, asked: torch.Tensor) -> dict[str, Any]:
        """The inputs that the model's own code prepares for the text so far, as `generate` would call it."""
        length, encoder_decoder = asked.shape[1], bool(self.model.config.is_encoder_decoder)
        kwargs = _lengthened(self._kwargs, length, encoder_decoder)
        whole = self._first or self._cache is None
        inputs: dict[str, Any] = self._prepare_inputs(
            asked,
            next_sequence_length=None if whole else length - self._fed,
            is_first_iteration=self._first,
            **kwargs,
        )
        ids = inputs.get("decoder_input_ids" if encoder_decoder else "input_ids")
        new = asked[:, 0 if whole else self._fed :]
        if ids is not None and (ids.shape != new.shape or not bool((ids == new).all())):
            raise TakePlainLoop("the model prepares other inputs than the tokens that are new")
        return inputs

    def _keep(self, outputs: Any, new: int, rejected: int) -> None:
        """Crop the cache and extend the inputs to the present text."""
        self._fed -= rejected
        if self._cache is None:  # every pass reads the whole text and keeps nothing of the previous one
            return
        if self._can_draft:
            self._cache.crop(rejected, self._fed)
        if not self._is_plain:
            self._kwargs = self.model._update_model_kwargs_for_generation(
                outputs,
                self._kwargs,
                is_encoder_decoder=bool(self.model.config.is_encoder_decoder),
                num_new_tokens=new,
            )


def _lengthened(model_kwargs: dict[str, Any], length: int, encoder_decoder: bool) -> dict[str, Any]:
    """The inputs that have one entry per token, extended to `length` tokens."""
    import torch

    kwargs = dict(model_kwargs)
    prefix = "decoder_" if encoder_decoder else ""
    mask = kwargs.get(f"{prefix}attention_mask")
    if mask is not None and mask.shape[1] < length:
        kwargs[f"{prefix}attention_mask"] = torch.cat([mask, mask.new_ones((1, length - mask.shape[1]))], dim=-1)
    positions = kwargs.get(f"{prefix}position_ids")
    if positions is not None and positions.shape[-1] < length:
        more = torch.arange(length - positions.shape[-1], dtype=positions.dtype, device=positions.device)
        more = more.view([1] * (positions.dim() - 1) + [-1]) + positions[..., -1:] + 1
        kwargs[f"{prefix}position_ids"] = torch.cat([positions, more], dim=-1)
    types = kwargs.get("token_type_ids")
    if types is not None and types.shape[1] < length:
        kwargs["token_type_ids"] = torch.cat([types, types[:, -1:].repeat(1, length - types.shape[1])], dim=-1)
    return kwargs
