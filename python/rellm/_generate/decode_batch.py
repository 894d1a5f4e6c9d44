"""Our decoding loop for several rows: each row skips its own forced text.

Rows advance independently. One forward pass reads from each row the token chosen last, and a draft of the forced text
after it. The block is as wide as the widest row; columns that a row does not fill, and rejected drafts, stay in the
key-value cache as holes, which the row's attention mask leaves out. Positions are counted for each row, so a hole takes
no position.

That needs a model that takes positions and attends only by its mask: no sliding windows, no recurrent states, no
distances counted in columns (T5). `NotForBatches` is raised for other models before any token is written, and
`TakePlainLoop` if the length of the cache after a pass is not the number of columns that it was given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from rellm._generate.drafts import RowDrafts
from rellm._generate.key_value_cache import KeyValueCache, NotForBatches

if TYPE_CHECKING:
    import torch


class RowsTurn:
    """A placeholder among a call's logits processors, which calls the processor of the current row."""

    def __init__(self) -> None:
        self._processor: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked: torch.Tensor = self._processor(input_ids, scores)
        return masked

    def of(self, processor: Any, processors: Any) -> Callable[[Any, Any], Any]:
        """The list `processors`, which contains this one, bound to the processor of one row."""

        def process(input_ids: Any, scores: Any) -> Any:
            self._processor = processor
            return processors(input_ids, scores)

        return process


@dataclass
class BatchRow:
    """The state of one text of the batch.

    Attributes:
        processors: called with `(1, length)` ids and `(1, width)` scores, as transformers calls them.
        criteria: called with `(1, length)` ids; whether the text is over.
        drafts: forced text to append or to verify; None for none.
        generator: the row's own random numbers, so that they do not depend on the speed of other rows.
    """

    ids: list[int]
    processors: Callable[[Any, Any], Any]
    criteria: Callable[[Any], bool]
    drafts: RowDrafts | None
    generator: Any = None
    done: bool = False
    pending: list[int] = field(default_factory=list)  # written, but not yet read by the model
    draft: list[int] = field(default_factory=list)


class BatchDecoder:
    """Writes several texts at a time, from the inputs that `generate` has prepared.

    Args:
        model: as `generate` passes it to its decoding method.
        input_ids: `(rows, length)`, padded on the left.
        rows: one for each; `ids` and `pending` are set here.
    """

    def __init__(
        self, model: Any, input_ids: torch.Tensor, rows: Sequence[BatchRow], generation_config: Any,
        model_kwargs: dict[str, Any],
    ) -> None:  # fmt: skip
        import torch

        cache = KeyValueCache.of(model_kwargs)
        if cache is None or not cache.can_hold_holes:
            raise NotForBatches
        self.forward_passes = 0
        self._model = model
        self._device = input_ids.device
        self._cache = cache
        self._config = generation_config
        self._rows = rows
        mask = model_kwargs.get("attention_mask")
        # transformers omits an attention mask that is all ones.
        self._first_mask = torch.ones_like(input_ids) if mask is None else mask
        self._mask = self._first_mask[:, :0]
        self._positions = [0] * len(rows)
        for row, ids in zip(rows, input_ids.tolist(), strict=True):
            row.ids, row.pending = ids, list(ids)
        cache.begin()

    def run(self) -> list[list[int]]:
        """Writes all texts; returns them with their prompts, each of its own length."""
        import torch

        with torch.no_grad():
            while not all(row.done for row in self._rows):
                self._step()
        return [row.ids for row in self._rows]

    def _step(self) -> None:
        live = [row for row in self._rows if not row.done]
        for row in live:
            self._propose(row)
        live = [row for row in live if not row.done]
        if not live:
            return
        width = _draft_width([len(row.draft) for row in live])
        for row in live:
            row.draft = row.draft[:width]
        logits, kept = self._forward([row.pending + row.draft if not row.done else [] for row in self._rows])
        for number, row in enumerate(self._rows):
            if not row.done:
                first = len(row.pending) - 1 - (self._block - kept)
                self._choose(number, row, logits[number, first : first + len(row.draft) + 1])
        self._drop_trailing_holes()

    def _propose(self, row: BatchRow) -> None:
        if row.drafts is None:
            return
        forced = row.drafts.begin(row.ids)
        for token_id in islice(forced.unasked(), max(self._config.max_length - len(row.ids) - 1, 0)):
            row.pending.append(token_id)
            if self._append(row, token_id):
                return
        row.draft = forced.to_try(self._config.max_length - len(row.ids) - 1)

    def _append(self, row: BatchRow, token_id: int) -> bool:
        row.ids.append(token_id)
        row.done = row.criteria(self._tensor(row.ids))
        return row.done

    def _tensor(self, ids: list[int]) -> torch.Tensor:
        import torch

        return torch.tensor([ids], device=self._device)

    def _choose(self, number: int, row: BatchRow, logits: torch.Tensor) -> None:
        """Accept the row's draft as far as its choices agree; its other columns become holes."""
        fed = len(row.pending)
        for i in range(len(row.draft) + 1):
            scores = row.processors(self._tensor(row.ids), logits[i : i + 1])
            token_id = self._pick(row, scores)
            self._append(row, token_id)
            if row.done or i == len(row.draft) or token_id != row.draft[i]:
                break
            fed += 1
        self._positions[number] += fed
        self._mask[number, self._mask.shape[1] - self._block + fed :] = 0
        row.pending, row.draft = [row.ids[-1]], []

    def _pick(self, row: BatchRow, scores: torch.Tensor) -> int:
        import torch

        if not self._config.do_sample:
            return int(torch.argmax(scores, dim=-1))
        probabilities = torch.nn.functional.softmax(scores, dim=-1)
        return int(torch.multinomial(probabilities, num_samples=1, generator=row.generator))

    # -- the model ---------------------------------------------------------------------------------------------

    def _forward(self, feeds: list[list[int]]) -> tuple[torch.Tensor, int]:
        """The logits of the last columns, and their number; afterwards cache and mask include the whole block."""
        import torch

        self._block = block = max(map(len, feeds))
        kept = block - min(len(row.pending) for row in self._rows if not row.done) + 1
        ids = torch.zeros((len(feeds), block), dtype=torch.long)
        positions = torch.zeros_like(ids)
        mask = torch.zeros_like(ids)
        for number, feed in enumerate(feeds):
            ids[number, : len(feed)] = torch.tensor(feed, dtype=torch.long)
            mask[number, : len(feed)] = 1
            positions[number, : len(feed)] = torch.arange(len(feed)) + self._positions[number]
        if self.forward_passes == 0:  # the prompts, with their padding
            prompt = self._first_mask.shape[1]
            mask[:, :prompt] = self._first_mask.cpu()
            pads = prompt - mask[:, :prompt].sum(dim=1)
            positions = (torch.arange(block) - pads.unsqueeze(1)).clamp(min=0) * mask
            self._positions = [-int(pad) for pad in pads]  # padding is fed, but takes no position
        self._mask = torch.cat([self._mask, mask.to(self._device, self._mask.dtype)], dim=1)
        outputs = self._model(
            input_ids=ids.to(self._device),
            attention_mask=self._mask,
            position_ids=positions.to(self._device),
            use_cache=True,
            logits_to_keep=kept,
            return_dict=True,
            **{self._cache.name: self._cache.cache},
        )
        self.forward_passes += 1
        self._cache.expect(self._mask.shape[1], outputs)
        return outputs.logits.to(copy=True, dtype=torch.float32), kept

    def _drop_trailing_holes(self) -> None:
        used = self._mask.any(dim=0).nonzero()
        holes = self._mask.shape[1] - 1 - int(used[-1])
        self._cache.crop(holes, self._mask.shape[1] - holes)
        if holes:
            self._mask = self._mask[:, :-holes]


def _draft_width(lengths: list[int]) -> int:
    """The width of the drafts in a block: the largest for which drafts fill at least half of the block."""
    return max(
        (width for width in range(max(lengths) + 1) if 2 * sum(min(n, width) for n in lengths) >= width * len(lengths)),
        default=0,
    )
