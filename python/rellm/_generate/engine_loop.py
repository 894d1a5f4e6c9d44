"""The tokens of an engine of one process, llama.cpp or MLX-LM, into pieces of text and a `Completion`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Steps
from typing import Any

from rellm._engines.compile import CompiledConstraint
from rellm._errors import DeadEndError
from rellm._generate.completion import Completion, FinishReason
from rellm._generate.stop_strings import find_stop
from rellm._generate.stream import TextPieces


class Stopped:
    """Set from any thread, it ends a text after the token that is being written."""

    def __init__(self) -> None:
        self.is_set = False

    def __call__(self) -> None:
        self.is_set = True


def written_text(
    tokens: Iterator[int],
    compiled: CompiledConstraint,
    max_new_tokens: int,
    stops: Sequence[bytes] = (),
    stop_after_match: bool = False,
    stopped: Stopped | None = None,
    taken: Callable[[int], None] = lambda token_id: None,
    failure: Callable[[], BaseException | None] = lambda: None,
) -> Steps[str, None, Completion]:
    """Read an engine's tokens until the text is over.

    Args:
        tokens: the engine's, one after the other; the next is made when it is asked for.
        compiled: what they keep to.
        max_new_tokens: at most so many are read; one that ends the text is not counted.
        stops: strings at which the text is cut.
        stop_after_match: whether the first match ends the text.
        stopped: ends it early.
        taken: is told of each token before the next one is asked for.
        failure: what went wrong in the engine's own call of the masks, where an exception does not reach us.

    Yields:
        Pieces of the text, whole characters, without stop strings.

    Returns:
        The completion.

    Raises:
        DeadEndError: the engine chose a token that is not allowed; `.text` is what was written so far.
    """
    matcher: Any = compiled.matcher()
    ends = frozenset(compiled.vocabulary.eos_token_ids)
    pieces = TextPieces(stops)
    ids: list[int] = []
    reason: FinishReason = "length"
    try:
        while True:
            if matcher.is_finished or (stop_after_match and ids and matcher.is_accepting):
                reason = "complete"
                break
            if len(ids) >= max_new_tokens:
                break
            token_id = next(tokens, None)
            error = failure()
            if error is not None:
                raise error
            if token_id is None:
                break
            before = len(matcher.text)
            if not matcher.allows(token_id):
                text = bytes(matcher.text).decode("utf-8", "replace")
                raise DeadEndError(
                    f"the engine chose token {token_id}, which the constraint does not allow after {text[-60:]!r}: "
                    "other settings of the call may have taken all allowed tokens away",
                    text=text,
                )
            matcher.advance(token_id)
            taken(token_id)
            if token_id in ends and matcher.is_finished:
                reason = "complete"
                break
            ids.append(token_id)
            piece = pieces.push(bytes(matcher.text[before:]))
            if piece:
                yield piece
            if stops and find_stop(bytes(matcher.text), stops) >= 0:
                reason = "stop"
                break
            if stopped is not None and stopped.is_set:
                reason = "stop"
                break
    finally:
        close = getattr(tokens, "close", None)
        if close is not None:
            close()
    data = bytes(matcher.text)
    at = find_stop(data, stops)
    shown = data[:at] if at >= 0 else data
    rest = pieces.rest(shown)
    if rest:
        yield rest
    return Completion(
        text=shown.decode("utf-8", "replace"),
        bytes=shown,
        token_ids=tuple(ids),
        finish_reason=reason,
        is_complete=bool(matcher.is_accepting),
        constraint=compiled.constraint,
        uncut=data.decode("utf-8", "replace"),
        forward_passes=None,
        pieces=compiled.pieces(matcher),
    )


def finished(steps: Steps[str, None, Completion]) -> Completion:
    """The completion of a text, written to its end."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            completion: Completion = end.value
            return completion


def prompts_of(prompt: Any) -> tuple[list[Any], bool]:
    """The prompts of a call, and whether it is a single one: text, chat messages, token ids, or a list of these."""
    if isinstance(prompt, str):
        return [prompt], True
    if not isinstance(prompt, (list, tuple)):
        raise TypeError(f"a prompt is a str, a list of chat messages or of token ids, not {type(prompt).__name__}")
    if not prompt:
        return [], False
    if all(isinstance(item, dict) for item in prompt) or all(isinstance(item, int) for item in prompt):
        return [list(prompt)], True
    return list(prompt), False


def constraints_of(constraint: Any, count: int) -> list[Any]:
    """One constraint a prompt. ValueError: there are more, or fewer."""
    constraints = list(constraint) if isinstance(constraint, (list, tuple)) else [constraint] * count
    if len(constraints) != count:
        raise ValueError(f"{len(constraints)} constraints for {count} prompts: pass one for all, or one a prompt")
    return constraints
