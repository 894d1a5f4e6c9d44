"""Makes completions from the final rows of a call, without advancing a matcher again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rellm._constraints.pieces import Pieces
from rellm._engines.compile import CompiledConstraint
from rellm._generate.apply_mask import unpacked
from rellm._generate.completion import Completion, FinishReason
from rellm._generate.request import Request
from rellm._generate.row_masks import RowMasks
from rellm._generate.stop_strings import find_stop
from rellm._generate.text_state import Row, RowStatus, text_bytes

if TYPE_CHECKING:
    from rellm._trace.trace import Trace


def completion_of(
    row: Row,
    compiled: CompiledConstraint | None,
    budget: int,
    *,
    forward_passes: int | None = None,
    trace: Trace | None = None,
    was_steered: bool = False,
) -> Completion:
    """The completion of one row; tokens after its text, such as padding, are ignored.

    Args:
        compiled: the constraint of its matcher.
        budget: the most tokens that the text could have.
        forward_passes: the number of forward passes; None if they were not counted.
        trace: the trace of the constraint's effect, if the caller asked for one.
        was_steered: whether the budget removed tokens from a mask of this text.
    """
    rules = row.rules
    written = row.text_tokens
    data = b"".join(text_bytes(rules.vocabulary, token_id) for token_id in written)
    shown = rules.visible(data)
    cut = find_stop(shown, rules.stops)
    kept = shown if cut < 0 else shown[:cut]
    hidden = len(data) - len(shown)
    reason = _finish_reason(row, budget)
    constraint = None if compiled is None else compiled.constraint
    pieces = Pieces(data) if compiled is None else compiled.pieces(row.matcher)
    is_complete = reason != "length" if row.matcher is None else bool(row.matcher.is_accepting)
    if rules.continued is not None:
        constraint = rules.continued.answer
        pieces = rules.continued.answer_pieces(pieces, is_whole=is_complete)
        is_complete = is_complete and (constraint is not None or reason != "length")
    return Completion(
        text=kept.decode("utf-8", "replace"),
        bytes=kept,
        token_ids=tuple(written if cut < 0 else _wholly_before(written, hidden + cut, rules.vocabulary)),
        finish_reason=reason,
        is_complete=is_complete,
        constraint=constraint,
        uncut=shown.decode("utf-8", "replace"),
        forward_passes=forward_passes,
        trace=trace,
        pieces=pieces,
        was_steered=was_steered or bool(getattr(row.matcher, "was_steered", False)),
    )


def _finish_reason(row: Row, budget: int) -> FinishReason:
    if row.status in (RowStatus.ENDED, RowStatus.FINISHED):
        return "complete"
    # If fewer texts match than the caller asked for, transformers returns a beam that it has given up: it has an EOS
    # token where none is allowed.
    if row.status is RowStatus.STOPPED or row.end_token is not None:
        return "stop"
    return "length" if row.accepted >= budget else "stop"


def _wholly_before(tokens: list[int], cut: int, vocabulary: Any) -> list[int]:
    """The tokens whose bytes end before the byte at `cut`."""
    length = 0
    for i, token_id in enumerate(tokens):
        length += len(text_bytes(vocabulary, token_id))
        if length > cut:
            return tokens[:i]
    return tokens


def trace_of(row: Row, request: Request, compiled: CompiledConstraint | None, masks: RowMasks, prompt: int) -> Trace:
    """The trace of the constraint's effect on a row; the model reads its text once more.

    Args:
        compiled: the constraint of its matcher.
        masks: the masks that it was written under.
        prompt: the number of its prompt.
    """
    from rellm._trace.trace import trace_completion

    rules = row.rules

    def applied(matcher: Any, tokens: list[int], width: int) -> Any:
        """The mask that was applied after `tokens`, one boolean per logit, with run limits and other EOS ids."""
        before = Row(matcher, rules)
        before.tokens, before.accepted = tokens, len(tokens)
        return unpacked(masks.fill([before], width)[0], width)

    prompts = request.prompts
    end = row.end_token
    return trace_completion(
        request.writer.model,
        prompts.input_ids[prompt][prompts.attention_mask[prompt].bool()].tolist(),
        row.text_tokens if end is None else [*row.text_tokens, end],
        compiled,
        vocabulary=request.writer.vocabulary,
        max_new_tokens=request.max_new_tokens,
        eos_token_ids=sorted(rules.eos),
        mask_of=applied,
    )
