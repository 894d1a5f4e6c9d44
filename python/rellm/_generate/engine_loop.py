"""Turns the tokens of an in-process engine, llama.cpp or MLX-LM, into pieces of text and a `Completion`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Generator as Steps
from typing import Any

from rellm._engines.compile import CompiledConstraint
from rellm._errors import DeadEndError
from rellm._generate.completion import Completion
from rellm._generate.read_rows import completion_of
from rellm._generate.stream import TextPieces
from rellm._generate.text_state import EndRules, Row, text_bytes


class Stopped:
    """A flag that any thread may set to end a text after the token that is being written."""

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
        tokens: the engine's tokens, an iterator that makes each one on demand.
        compiled: the constraint of the text.
        max_new_tokens: at most so many are read; one that ends the text is not counted.
        stops: strings at which the text is cut.
        stop_after_match: whether the first match ends the text.
        stopped: ends it early.
        taken: called with each token before the engine makes the next one.
        failure: returns the error of the engine's own call of the masks, where an exception does not reach us.

    Yields:
        Pieces of the text, whole characters, without stop strings.

    Returns:
        The completion.

    Raises:
        DeadEndError: the engine chose a token that is not allowed; `.text` is the text written so far.
    """
    vocabulary = compiled.vocabulary
    ends = frozenset(vocabulary.eos_token_ids)
    row = Row(
        compiled.matcher(), EndRules(ends, vocabulary, tuple(stops), stop_after_match, where_nothing_follows=True)
    )
    pieces = TextPieces(stops)
    try:
        while row.is_live and row.accepted < max_new_tokens:
            token_id = next(tokens, None)
            error = failure()
            if error is not None:
                raise error
            if token_id is None:
                break
            if not row.may_add(token_id):
                text = bytes(row.matcher.text).decode("utf-8", "replace")
                raise DeadEndError(
                    f"the engine chose token {token_id}, which the constraint does not allow after {text[-60:]!r}: "
                    "other settings of the call may have taken all allowed tokens away",
                    text=text,
                )
            row.push(token_id)
            taken(token_id)
            piece = "" if token_id in ends else pieces.push(text_bytes(vocabulary, token_id))
            if piece:
                yield piece
            if stopped is not None and stopped.is_set:
                break
    finally:
        close = getattr(tokens, "close", None)
        if close is not None:
            close()
    completion = completion_of(row, compiled, max_new_tokens)
    rest = pieces.rest(completion.bytes)
    if rest:
        yield rest
    return completion


class OneByOne:
    """Base class of a generator for an engine that writes one text at a time; subclasses implement `stream`."""

    stream: Any

    def __call__(self, prompt: Any, constraint: Any, max_new_tokens: int | None = None, **settings: Any) -> Any:
        """Write a text after a prompt that matches the constraint.

        Args:
            prompt: text, a list of chat messages, token ids, or a list of these, which are done one after the other.
            constraint: a constraint, or a list of one a prompt.
            max_new_tokens: the most tokens to write (200 by default); the text closes within them.
            **settings: as of `stream`.

        Returns:
            A `Completion`, or a list of them for a list of prompts.

        Raises:
            BudgetError: no match fits.
            DeadEndError: nothing can be written any more.
        """
        prompts, is_single = prompts_of(prompt)
        constraints = constraints_of(constraint, len(prompts))
        done: list[Completion] = [
            self.stream(one, its, max_new_tokens, **settings).completion
            for one, its in zip(prompts, constraints, strict=True)
        ]
        return done[0] if is_single else done


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
