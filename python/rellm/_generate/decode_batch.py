"""The decoding loop of our own for several rows, each of which jumps over its own forced text.

Rows move at their own speed. One forward pass takes what each row has to say: the token chosen last, and a draft of
what is forced after it. The block is as wide as the widest row; what a row does not fill, and drafts that its choice
did not agree with, stay in the key-value cache as columns that the row's attention mask leaves out. Positions are
counted a row, so a hole is no position.

That needs a model that takes positions and sees no further than its mask: no sliding windows, no recurrent states, no
distances counted in columns (T5). `NotForBatches` says so before anything is written, and `TakePlainLoop` where the
cache does not say after a pass that it holds the columns that it was given.
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
    """Stands among a call's logits processors for that of the row whose turn it is."""

    def __init__(self) -> None:
        self._processor: Any = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        masked: torch.Tensor = self._processor(input_ids, scores)
        return masked

    def of(self, processor: Any, processors: Any) -> Callable[[Any, Any], Any]:
        """`processors`, among them this, for the row of `processor`."""

        def process(input_ids: Any, scores: Any) -> Any:
            self._processor = processor
            return processors(input_ids, scores)

        return process


@dataclass
class BatchRow:
    """One text.

    Attributes:
        processors: called with `(1, length)` ids and `(1, width)` scores, as transformers calls them.
        criteria: called with `(1, length)` ids; whether the text is over.
        drafts: forced text to append or to try; None for none.
        generator: the row's own random numbers, so that they do not depend on how fast other rows are.
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
    """Writes several texts at a time; `generate` has prepared everything.

    Args:
        model: as `generate` hands it to its decoding method.
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
        # transformers leaves a mask out that leaves nothing out.
        self._first_mask = torch.ones_like(input_ids) if mask is None else mask
        self._mask = self._first_mask[:, :0]
        self._positions = [0] * len(rows)
        for row, ids in zip(rows, input_ids.tolist(), strict=True):
            row.ids, row.pending = ids, list(ids)
        cache.begin()

    def run(self) -> list[list[int]]:
        """All texts, prompts included, each as long as it came to be."""
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
        """Take the row's tokens as far as its choices agree with its draft; the rest of its columns become holes."""
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
        """The logits of the last columns, and of how many; the cache and the mask hold all of the block then."""
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
        if self.forward_passes == 0:  # the prompts, with what they were padded with
            prompt = self._first_mask.shape[1]
            mask[:, :prompt] = self._first_mask.cpu()
            pads = prompt - mask[:, :prompt].sum(dim=1)
            positions = (torch.arange(block) - pads.unsqueeze(1)).clamp(min=0) * mask
            self._positions = [-int(pad) for pad in pads]  # the padding is fed, but no position
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
    """How many columns of drafts to try: so many that at least half of the block is drafts, and not holes."""
    return max(
        (width for width in range(max(lengths) + 1) if 2 * sum(min(n, width) for n in lengths) >= width * len(lengths)),
        default=0,
    )
