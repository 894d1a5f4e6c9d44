"""One text being written under a constraint that the search engine serves."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import numpy as np
import numpy.typing as npt

from rellm._core import Rejection
from rellm._engines.search.masks.row_buffers import row_of
from rellm._engines.search.masks.tokens import becoming, decode
from rellm._engines.search.time_limit import Budget, one_call
from rellm._errors import DeadEndError, TokenRejectedError
from rellm._fork import ForkSafeLock

if TYPE_CHECKING:
    from rellm._engines.search.search_constraint import SearchConstraint


class _Step(NamedTuple):
    """What a call of advance started from."""

    length: int  # of the text
    tail: bytes
    ended: bool


class SearchMatcher:
    """One text being written, with the interface of the automaton's matcher and its weaker promise.

    A mask never loses a token that can still lead to a match, but it may allow one that turns out a dead end. A mask
    for a text that neither matches nor can go on is a `DeadEndError`. To back up out of one, where what was written
    can be taken back: `rollback(1)`, then `exclude(token)` with the token that was taken there, then `mask()` again;
    if that raises, too, back up once more. An exclusion holds at its place in the text until a `rollback` or a
    `reset` goes back behind it.
    """

    def __init__(self, constraint: SearchConstraint) -> None:
        self._constraint = constraint
        self._text = ""
        self._tail = b""
        self._ended = False
        self._steps: list[_Step] = []
        self._excluded: dict[int, frozenset[int]] = {}  # by the number of steps
        # The last mask, as it came from the constraint: what it allows is taken, even if the mask has been forgotten
        # there and a test of the token alone would say otherwise.
        self._known: tuple[str, bytes, npt.NDArray[np.uint32]] | None = None
        self._lock = ForkSafeLock(reentrant=True)

    def _call(self) -> AbstractContextManager[Budget]:
        """One budget for all that a call of this matcher asks."""
        return one_call(int(self._constraint.limits.fuel), len(self._text))

    @property
    def constraint(self) -> SearchConstraint:
        """The constraint that the text is written under."""
        return self._constraint

    @property
    def text(self) -> bytes:
        """What was written so far, without EOS."""
        return self._text.encode() + self._tail

    def mask(self) -> npt.NDArray[np.uint32]:
        """The tokens that may come next: bit `i % 32` of word `i // 32` is token `i`.

        Raises:
            DeadEndError: nothing may come next, and the text does not match.
            LimitExceededError: the tests took longer than `Limits.fuel` allows.
        """
        with self._lock, self._call():
            return self._mask()

    def fill_mask(self, out: Any, row: int = 0) -> None:
        """Writes the mask into a row of an int32 or uint32 array of numpy or torch; further columns are cleared."""
        words = self._constraint.mask_words
        target = row_of(out, row, words)
        mask = self.mask()
        target[:words] = mask
        target[words:] = 0

    def fill_mask_within(self, out: Any, row: int, tokens_left: int) -> None:
        """Writes the mask: how many tokens a match is away is not known to the search engine."""
        self.fill_mask(out, row)

    def _mask(self) -> npt.NDArray[np.uint32]:
        constraint = self._constraint
        if self._ended:
            return constraint.eos_mask.copy()
        known = constraint.mask_after(self._text, self._tail)
        self._known = self._text, self._tail, known
        mask = known.copy()
        for token in self._excluded.get(len(self._steps), ()):
            mask[token >> 5] &= ~np.uint32(1 << (token & 31))
        if self._accepts():
            mask |= constraint.eos_mask & ~self._excluded_eos()
        elif not mask.any():
            raise DeadEndError(
                f'nothing can be written after "{self._shown()}", and it does not match: the search engine cannot see '
                "every dead end before it is reached; generate again, or take back the last token of the matcher and "
                "exclude it",
                text=self._shown(),
            )
        return mask

    def _excluded_eos(self) -> npt.NDArray[np.uint32]:
        row = np.zeros(self._constraint.mask_words, dtype=np.uint32)
        for token in self._excluded.get(len(self._steps), ()):
            row[token >> 5] |= np.uint32(1 << (token & 31))
        return row

    def exclude(self, token_id: int) -> None:
        """Forbids a token here, because what it led to was a dead end."""
        with self._lock, self._call():
            here = len(self._steps)
            self._excluded[here] = self._excluded.get(here, frozenset()) | {operator.index(token_id)}

    def allows(self, token_id: int) -> bool:
        """Whether a token may come next. One that is out of range may not."""
        token = operator.index(token_id)
        with self._lock, self._call():
            return self._allows(token)

    def _allows(self, token: int) -> bool:
        constraint = self._constraint
        if not 0 <= token < constraint.vocabulary_size or token in self._excluded.get(len(self._steps), ()):
            return False
        if token in constraint.eos:
            return self._ended or self._accepts()
        if self._ended:
            return False
        if self._known is not None and self._known[0] is self._text and self._known[1] == self._tail:
            return bool(self._known[2][token >> 5] & np.uint32(1 << (token & 31)))
        return constraint.allows_after(self._text, self._tail, token)

    def advance(self, token_id: int) -> None:
        """Takes a token.

        Raises:
            TokenRejectedError: it is not allowed; its `rejection` says why. The text is as before.
        """
        token = operator.index(token_id)
        with self._lock, self._call():
            if not self._allows(token):
                raise _rejected(self._explain(token))
            self._steps.append(_Step(len(self._text), self._tail, self._ended))
            if token in self._constraint.eos:
                self._ended = True
            else:
                self._write(self._constraint.vocabulary.token_bytes(token) or b"")

    def advance_bytes(self, data: bytes) -> None:
        """Takes bytes, in one step for `rollback`.

        Raises:
            TokenRejectedError: the text cannot go on with them. It is as before.
        """
        if not isinstance(data, (bytes, bytearray)):
            remedy = ": encode it as UTF-8" if isinstance(data, str) else ""
            raise TypeError(f"data: expected bytes, not {type(data).__name__}{remedy}")
        data = bytes(data)
        with self._lock, self._call():
            if self._ended and data:
                raise _rejected(self._rejection(None, data, 0))
            failed_at = self._fails_at(data)
            if failed_at is not None:
                raise _rejected(self._rejection(None, data, failed_at))
            self._steps.append(_Step(len(self._text), self._tail, self._ended))
            self._write(data)

    def _write(self, data: bytes) -> None:
        decoded = decode(self._tail + data)
        assert decoded is not None, "only what was found viable is written"
        self._text += decoded[0]
        self._tail = decoded[1]

    def rollback(self, n: int) -> None:
        """Takes back the last `n` calls of `advance` and `advance_bytes`.

        Raises:
            IndexError: there were not so many.
        """
        n = operator.index(n)
        if n < 0:
            raise ValueError("rollback: n must not be negative")
        with self._lock, self._call():
            if n > len(self._steps):
                raise IndexError(f"cannot take back {n} calls of advance: there were only {len(self._steps)}")
            if n == 0:
                return
            step = self._steps[-n]
            del self._steps[-n:]
            self._text, self._tail, self._ended = self._text[: step.length], step.tail, step.ended
            for place in [place for place in self._excluded if place > len(self._steps)]:
                del self._excluded[place]

    def reset(self) -> None:
        """Goes back to the empty text; nothing is excluded any more."""
        with self._lock, self._call():
            self._text, self._tail, self._ended = "", b"", False
            self._steps.clear()
            self._excluded.clear()

    def copy(self) -> SearchMatcher:
        """Another matcher of the same text."""
        with self._lock, self._call():
            other = SearchMatcher(self._constraint)
            other._text, other._tail, other._ended = self._text, self._tail, self._ended
            other._steps, other._excluded = list(self._steps), dict(self._excluded)
            other._known = self._known
            return other

    __copy__ = copy

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a matcher cannot be pickled: pickle its compiled constraint and the tokens that it has taken, and there "
            "make one with compiled.matcher() and advance it by them"
        )

    def __deepcopy__(self, memo: dict[int, object]) -> SearchMatcher:
        return self.copy()

    def validate(self, token_ids: Iterable[int]) -> int:
        """How many of the tokens would be accepted in a row; the text stays as it is."""
        other = self.copy()
        count = 0
        for token in token_ids:
            try:
                other.advance(token)
            except TokenRejectedError:
                break
            count += 1
        return count

    @property
    def is_accepting(self) -> bool:
        """Whether the text so far matches: decided by the pattern's own library."""
        with self._lock, self._call():
            return self._accepts()

    def _accepts(self) -> bool:
        return not self._tail and self._constraint.matches(self._text)

    @property
    def is_finished(self) -> bool:
        """Whether EOS was taken, or the text matches and no token may follow."""
        with self._lock, self._call():
            return self._ended or (self._accepts() and not self._constraint.mask_after(self._text, self._tail).any())

    def forced_bytes(self) -> bytes:
        """Always empty: the search engine does not look for what must come next."""
        return b""

    def shortest_completion(self) -> None:
        """Always None: the search engine does not know a way to a match."""
        return

    @property
    def longest_way(self) -> None:
        """Always None: the search engine does not know how far a match can be."""
        return

    def tokens_to_match(self, at_most: int) -> None:
        """Always None: the search engine does not know how far a match is."""
        return

    def matches_within(self, at_most: int) -> bool:
        """Always False: the search engine does not know how far a match is."""
        return False

    def next_characters(self) -> list[tuple[int, int]]:
        """Inclusive ranges of the code points that may come next, or that a begun character may become."""
        with self._lock, self._call():
            if self._ended:
                return []
            within = [becoming(self._tail)] if self._tail else None
            return self._constraint.next_characters(self._text, within)

    def explain(self, token_id: int) -> Rejection | None:
        """Why a token may not come next; None if it may."""
        token = operator.index(token_id)
        with self._lock, self._call():
            if self._allows(token):
                return None
            return self._explain(token)

    def _explain(self, token: int) -> Rejection:
        constraint = self._constraint
        data = constraint.vocabulary.token_bytes(token) if 0 <= token < constraint.vocabulary_size else None
        data = b"" if data is None or token in constraint.eos else data
        if token in self._excluded.get(len(self._steps), ()):
            expected = "another token: this one was tried before and led to a dead end"
            return _told(token, data, 0, self._shown(), expected, "which is not text")
        if self._ended or not data:
            return self._rejection(token, data, 0)
        failed_at = self._fails_at(data)
        return self._rejection(token, data, len(data) if failed_at is None else failed_at)

    def _fails_at(self, data: bytes) -> int | None:
        """The index of the first byte of `data` with which the text is not viable any more."""
        for length in range(1, len(data) + 1):
            decoded = decode(self._tail + data[:length])
            if decoded is None or not self._constraint.may_begin(self._text + decoded[0], decoded[1]):
                return length - 1
        return None

    def _rejection(self, token: int | None, data: bytes, failed_at: int) -> Rejection:
        if self._ended:
            expected = "nothing but the end: an EOS token was taken"
        else:
            decoded = decode(self._tail + data[:failed_at])
            text, tail = (self._text + decoded[0], decoded[1]) if decoded else (self._text, self._tail)
            expected = self._constraint.expectation(text, tail)
        return _told(token, data, failed_at, self._shown(), expected, self._nature(token))

    def _nature(self, token: int | None) -> str:
        size = self._constraint.vocabulary_size
        if token is not None and not 0 <= token < size:
            return f"which is not in the vocabulary (ids 0 to {size - 1})"
        return "which ends the text" if token in self._constraint.eos else "which is not text"

    def _shown(self) -> str:
        return self.text.decode("utf-8", "replace")


def _told(token: int | None, data: bytes, failed_at: int, text: str, expected: str, nature: str) -> Rejection:
    """A rejection; `nature` says what a token without bytes is."""
    shown = data.decode("utf-8", "replace")
    if token is None:
        subject = f'"{shown}"'
    elif data:
        subject = f'token {token} ("{shown}")'
    else:
        subject = f"token {token}, {nature},"
    before = text if len(text) <= 40 else "…" + text[-40:]
    where = f", it fails at byte {failed_at}" if 0 < failed_at < len(data) else ""
    message = f'{subject} is not allowed after "{before}"{where}: expected {expected}'
    return Rejection(token, data, failed_at, text, expected, message)


def _rejected(rejection: Rejection) -> TokenRejectedError:
    return TokenRejectedError(rejection.message, rejection=rejection)
