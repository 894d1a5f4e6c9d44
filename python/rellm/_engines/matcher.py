"""`Matcher`: the state of one text under a constraint, advanced token by token; the same for both engines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from rellm._core import Rejection


@runtime_checkable
class Matcher(Protocol):
    """One text being written under a constraint, token by token.

    A matcher drives a model by hand: ask it for the mask, take the scores of all other tokens away, choose a token,
    and tell the matcher which.

        vocabulary = rellm.Vocabulary.from_tokenizer(tokenizer)
        matcher = rellm.compile(r"[0-9]{4}-[0-9]{2}", vocabulary).matcher()
        while not matcher.is_finished:
            allowed = matcher.mask()                              # bit i % 32 of word i // 32 is token i
            bits = np.unpackbits(allowed.view(np.uint8), bitorder="little")[: len(vocabulary)]
            scores = np.where(bits, model(tokens), -np.inf)
            tokens.append(int(scores.argmax()))
            matcher.advance(tokens[-1])
        matcher.text                                              # b"2026-11"

    Nothing else has to be done for the text to match in full: a token is allowed only if a match can still be reached
    after it, and an end-of-sequence token only where the text matches. `rellm.fill_masks` fills the masks of a batch in
    one call; `fill_mask` writes into an array that is there already.

    The state is the text alone. `rollback` takes tokens back, for beams and rejected drafts; `copy` makes a second
    matcher of the same text; `forced_bytes` gives the text that the constraint forces next, which needs no forward pass
    of the model.

    A matcher is made by `CompiledConstraint.matcher`. It may be used by one thread at a time. The automaton's, the
    search engine's, and any class with these methods are a `Matcher`: `isinstance` asks whether the methods are there.
    """

    @property
    def text(self) -> bytes:
        """The text written so far, without the end-of-sequence token and other special tokens."""
        ...

    @property
    def is_accepting(self) -> bool:
        """Whether the text so far matches in full. It may still be possible to go on."""
        ...

    @property
    def is_finished(self) -> bool:
        """Whether an end-of-sequence token was taken, or the text matches and no token can follow."""
        ...

    def mask(self) -> npt.NDArray[np.uint32]:
        """The tokens that may come next, packed: bit `i % 32` of word `i // 32` is token `i`.

        Returns:
            `ceil(len(vocabulary) / 32)` words.

        Raises:
            LimitExceededError: the work takes more than `Limits` allows. The matcher is unchanged.
            DeadEndError: the search engine's alone: no token may come next, and the text does not match.
        """
        ...

    def fill_mask(self, out: Any, row: int = 0) -> None:
        """Writes the mask into a row of an array.

        Args:
            out: int32 or uint32, numpy or torch on the CPU; one row or several, each of at least
                `ceil(len(vocabulary) / 32)` words. Further words are cleared.
            row: the row.

        Raises:
            TypeError, ValueError, IndexError: the array cannot hold the mask.
            LimitExceededError, DeadEndError: as `mask`.
        """
        ...

    def fill_mask_within(self, out: Any, row: int, tokens_left: int) -> None:
        """Writes the mask of those tokens after which a match can be reached within a budget.

        Args:
            out: as for `fill_mask`.
            row: as for `fill_mask`.
            tokens_left: the tokens that may still be written, the next one included, an end-of-sequence token not.

        Raises:
            TypeError, ValueError, IndexError, LimitExceededError, DeadEndError: as `fill_mask`.
        """
        ...

    def allows(self, token_id: int) -> bool:
        """Whether this token may come next; an id out of range may not."""
        ...

    def advance(self, token_id: int) -> None:
        """Takes a token.

        Raises:
            TokenRejectedError: it is not allowed; `.rejection` says why. The matcher is unchanged.
        """
        ...

    def advance_bytes(self, data: bytes) -> None:
        """Takes bytes of text, which need be no tokens, as one step for `rollback`.

        Raises:
            TokenRejectedError: no match can be reached after them. The matcher is unchanged.
            TypeError: `data` is no bytes.
        """
        ...

    def rollback(self, n: int) -> None:
        """Takes back the last `n` calls of `advance` and `advance_bytes`.

        Raises:
            IndexError: there were fewer. The matcher is unchanged.
            ValueError: `n` is negative.
        """
        ...

    def reset(self) -> None:
        """Takes back everything: the matcher is at the start of a text again."""
        ...

    def copy(self) -> Self:
        """An independent matcher with the same text."""
        ...

    def validate(self, token_ids: Iterable[int]) -> int:
        """How many of these tokens could be taken one after the other. The matcher is unchanged."""
        ...

    def forced_bytes(self) -> bytes:
        """The bytes that the constraint forces next; empty where there is a choice or the text may end."""
        ...

    def shortest_completion(self) -> bytes | None:
        """A short text that leads from here to a match, in bytes that the vocabulary can spell; empty at a match.

        Returns:
            None where the engine does not know one: the search engine never does.
        """
        ...

    def explain(self, token_id: int) -> Rejection | None:
        """Why this token may not come next; None if it may."""
        ...
