"""Runs a request: chooses the decoding loop, and falls back to transformers' own if ours does not fit the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Generator as Stream
from typing import Any

from rellm._errors import DeadEndError
from rellm._generate.completion import Completion
from rellm._generate.decode_batch import BatchDecoder, BatchRow, RowsTurn
from rellm._generate.decode_one import Decoder
from rellm._generate.drafts import RowDrafts
from rellm._generate.in_event_loop import Cancelled
from rellm._generate.key_value_cache import NotForBatches, TakePlainLoop
from rellm._generate.plain_stream import OnceStreamer, PlainSteps
from rellm._generate.random_state import RandomState
from rellm._generate.read_rows import completion_of, trace_of
from rellm._generate.request import Request
from rellm._generate.row_masks import RowMasks
from rellm._generate.run_rows import RunEnd, RunProcessor, RunRows
from rellm._generate.stream import TextPieces, Unseen
from rellm._generate.text_state import Row, text_bytes
from rellm._warn import warn

_MOST_RETREATS = 64  # the most dead ends of the search engine that one call retreats from


class Run:
    """Writes the texts of a request.

    Args:
        request: what to write.
        cancelled: a stopping criterion that another thread may set.
    """

    def __init__(self, request: Request, cancelled: Cancelled | None = None) -> None:
        self.request = request
        self.cancelled = Cancelled() if cancelled is None else cancelled
        self._writer = request.writer
        self._masks = RowMasks(self._writer.vocabulary, request.max_new_tokens, request.run_limits)
        self.unseen = Unseen(request.compiled.compiled[0])
        self._canonical = request.canonical_tokens()
        self._rows = self._new_rows()
        self._forward_passes: int | None = None
        streamer = request.arguments.get("streamer")
        self._streamer = None if streamer is None else OnceStreamer(streamer)

    def _new_rows(self, prompt: int | None = None) -> RunRows:
        """The rows of all prompts, or those of one."""
        request = self.request
        return RunRows(
            request.compiled,
            request.rules,
            only=prompt,
            lead=request.lead,
            start=self._start(),
            is_beam_search=(request.settings.get("num_beams") or 1) > 1,
        )

    def _start(self) -> int | None:
        """The number of tokens before the texts; None if it is known only after the decoder's first pass."""
        request = self.request
        return None if self._writer.has_encoder else request.prompts.input_ids.shape[1] + request.lead

    # -- the whole text ----------------------------------------------------------------------------------------

    def completions(self) -> Any:
        """The completions: one, a list, or a list of lists, by the number of prompts and returns."""
        found, returns = self._completions(), self.request.returns
        if self.request.prompts.is_single:
            return found if returns > 1 else found[0]
        if returns == 1:
            return found
        return [found[i : i + returns] for i in range(0, len(found), returns)]

    def _completions(self) -> list[Completion]:
        random = RandomState(self.request.prompts.input_ids.device)
        try:
            try:
                return self._written()
            except TakePlainLoop as reason:
                self._go_plain(reason)
                random.restore()
                return self._written()
        except BaseException:
            if self._streamer is not None:  # without `end` its reader would wait for ever
                self._streamer.end()
            raise

    def _written(self) -> list[Completion]:
        own_loop = not self._writer.is_plain_only
        if self.request.is_one_row:
            texts = self._out_of_dead_ends(self._one if own_loop else self._plain)
        elif own_loop and self.request.is_batch_of_rows:
            try:
                return self._batch()
            except NotForBatches:
                texts = self._plain()
        else:
            texts = self._plain()
        rows = self._rows.at_texts(texts, final=True)
        return [self._completion(self._rows, row, i // self.request.returns) for i, row in enumerate(rows)]

    def _completion(self, rows: RunRows, row: Row, prompt: int) -> Completion:
        compiled = rows.compiled[prompt if len(rows.compiled) > 1 else 0]
        trace = trace_of(row, self.request, compiled, self._masks, prompt) if self.request.traces else None
        return completion_of(
            row,
            compiled,
            self.request.max_new_tokens,
            forward_passes=self._forward_passes,
            trace=trace,
            was_steered=self._masks.was_steered(row.text_tokens),
        )

    def _out_of_dead_ends(self, write: Callable[[], list[list[int]]]) -> list[list[int]]:
        """The text of a single row, written to its end.

        The search engine may allow a token after which no text matches. If the text has not been read yet, it is
        written again with this token excluded at this place.
        """
        compiled = self.request.compiled.compiled[0]
        searched = compiled is not None and compiled.engine == "search" and self._streamer is None
        for _ in range(_MOST_RETREATS if searched else 0):
            try:
                return write()
            except DeadEndError:
                if not self._masks.exclude_last(self._rows.first):
                    raise
        return write()

    def _go_plain(self, reason: TakePlainLoop) -> None:
        """From now on transformers' own loop writes with this model."""
        import transformers

        self._forward_passes = None
        self._writer.is_plain_only = True
        if self._streamer is not None:
            self._streamer.begin_again()
        if self.request.forced_text != "off":
            warn(
                f"forced text is written token by token with this {type(self._writer.model).__name__}: {reason}. Texts "
                f"are right, and slower; transformers is {transformers.__version__}"
            )

    # -- piece by piece ----------------------------------------------------------------------------------------

    def stream(self) -> Stream[str, None, Completion]:
        """The text of a single row, in pieces of whole characters, and its completion."""
        vocabulary, rules = self._writer.vocabulary, self.request.rules
        pieces = TextPieces(rules.stops)
        text: list[int] = []
        for tokens in self._growing():
            new, text = tokens[len(text) :], tokens
            data = b"".join(text_bytes(vocabulary, token_id) for token_id in new if token_id not in rules.eos)
            piece = pieces.push(self.unseen.behind(data))
            if piece:
                yield piece
        completion = self._completion(self._rows, self._rows.at_texts([text])[0], 0)
        piece = pieces.rest(completion.bytes)
        if piece:
            yield piece
        return completion

    def _growing(self) -> Iterator[list[int]]:
        """Yields the tokens of the text of a single row each time that it has grown."""
        random = RandomState(self.request.prompts.input_ids.device)
        read = 0
        if not self._writer.is_plain_only:
            try:
                decoder = self._decoder(lazily=True)
                while not decoder.done:
                    decoder.step()
                    self._forward_passes = decoder.forward_passes
                    text = decoder.input_ids[0, self._rows.start :].tolist()
                    read = len(text)
                    yield text
                return
            except TakePlainLoop as reason:
                self._go_plain(reason)
                random.restore()
        for row in PlainSteps(lambda wait: self._generate(also=wait)):
            text = row[self._rows.start :]
            if len(text) > read:  # shorter texts were yielded before
                yield text

    # -- the loops ---------------------------------------------------------------------------------------------

    def _plain(self) -> list[list[int]]:
        """The texts, written by transformers' own loop."""
        ids: list[list[int]] = self._generate().tolist()
        return [row[self._rows.start :] for row in ids]

    def _one(self) -> list[list[int]]:
        """The text of a single row, by our own loop."""
        decoder = self._decoder(lazily=False)
        self._forward_passes = decoder.forward_passes
        return [decoder.input_ids[0, self._rows.start :].tolist()]

    def _decoder(self, *, lazily: bool) -> Decoder:
        """The decoder of a single row, as `generate` prepares it; run to its end unless `lazily`."""
        made: list[Decoder] = []

        def decode(model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
                   synced_gpus: bool = False, **model_kwargs: Any) -> Any:  # fmt: skip
            model_kwargs.pop("streamer", None)
            self._rows.begin(input_ids.shape[1] + self.request.lead)
            decoder = Decoder(
                model, input_ids, logits_processor=logits_processor, stopping_criteria=stopping_criteria,
                generation_config=generation_config, model_kwargs=model_kwargs, drafts=self._drafts(self._rows),
                streamer=self._streamer, prefixes=self._writer.prefixes,
            )  # fmt: skip
            made.append(decoder)
            # Wrappers of a model (PEFT, autocast) are active inside `generate`; a stream runs without them.
            while not lazily and not decoder.done:
                decoder.step()
            return decoder.input_ids

        self._generate(custom_generate=decode)
        if not made:  # wrappers such as PEFT may drop `custom_generate`
            raise TakePlainLoop("generate did not hand over its loop")
        return made[0]

    def _batch(self) -> list[Completion]:
        """The rows of a batch, by our loop: each row skips its own forced text.

        Raises:
            NotForBatches: the model cannot skip columns.
        """
        states: list[RunRows] = []
        # Our processor is in the list that `generate` prepares, before those of sampling; but each row has its own.
        turn = RowsTurn()

        def decode(model: Any, input_ids: Any, logits_processor: Any, stopping_criteria: Any, generation_config: Any,
                   synced_gpus: bool = False, **model_kwargs: Any) -> Any:  # fmt: skip
            states.extend(self._new_rows(i // self.request.returns) for i in range(input_ids.shape[0]))
            rows = [self._batch_row(one, input_ids, turn, logits_processor, stopping_criteria) for one in states]
            decoder = BatchDecoder(model, input_ids, rows, generation_config, model_kwargs)
            written = decoder.run()
            self._forward_passes = decoder.forward_passes
            for state, ids in zip(states, written, strict=True):
                state.at_texts([ids[state.start :]])
            return input_ids

        self._generate(instead=turn, custom_generate=decode)
        if not states:  # wrappers such as PEFT may drop `custom_generate`
            raise NotForBatches
        found = []
        for i, state in enumerate(states):
            row = state.first
            assert row is not None, "every row has been shown its text"
            found.append(self._completion(state, row, i // self.request.returns))
        return found

    def _batch_row(
        self, state: RunRows, input_ids: Any, turn: RowsTurn, logits_processor: Any, stopping_criteria: Any
    ) -> BatchRow:
        import torch

        end = RunEnd(state)
        own = None
        if self.request.settings.get("do_sample"):
            own = torch.Generator(device=input_ids.device)
            own.manual_seed(int(torch.randint(2**62, ())))
        return BatchRow(
            ids=[],
            processors=turn.of(RunProcessor(state, self._masks, self._canonical), logits_processor),
            criteria=lambda ids: bool(stopping_criteria(ids, None).all()) or bool(end(ids).all()),
            drafts=self._drafts(state),
            generator=own,
        )

    def _drafts(self, rows: RunRows) -> RowDrafts | None:
        """Forced text to append or to verify in a single row, whose start is known by now."""
        request = self.request
        if request.forced_text == "off" or rows.start is None or rows.compiled[0] is None:
            return None
        return RowDrafts(
            self._writer.forced_text,
            lambda text: rows.at_texts([text])[0],
            rows.start,
            request.max_new_tokens,
            is_unasked=request.forced_text == "forced",
        )

    def _generate(self, *, instead: Any = None, also: Any = None, **more: Any) -> Any:
        """Calls `generate` with our processor and stopping criterion, and returns its result.

        Args:
            instead: a processor in place of ours, for a loop that ends rows by itself.
            also: one more stopping criterion.
        """
        from transformers import LogitsProcessorList, StoppingCriteriaList

        request = self.request
        self._rows.begin(self._start())
        extra = dict(request.arguments)
        if self._streamer is not None:
            extra["streamer"] = self._streamer
        if request.prompts.begins_with_ids:
            extra["input_ids"] = request.prompts.input_ids
            extra.setdefault("attention_mask", request.prompts.attention_mask)
        # The caller's processors run first, so that the mask of ours is final.
        callers = extra.pop("logits_processor", None) or []
        processors = LogitsProcessorList([*callers, RunProcessor(self._rows, self._masks, self._canonical)])
        criteria = StoppingCriteriaList([*(extra.pop("stopping_criteria", None) or []), RunEnd(self._rows)])
        if instead is not None:
            processors, criteria = LogitsProcessorList([instead]), StoppingCriteriaList()
        if also is not None:
            criteria.append(also)
        criteria.append(self.cancelled)
        config = request.settings.config
        if getattr(config, "stop_strings", None) is not None:
            extra.setdefault("tokenizer", self._writer.tokenizer)
        result = self._writer.model.generate(
            generation_config=config, logits_processor=processors, stopping_criteria=criteria, **extra, **more
        )
        return getattr(result, "sequences", result)
