"""Which call does a row belong to? Finds the calls of `generate` that a processor serves, by their tokens.

`generate` passes a processor nothing but token ids. Inside `generate` the list of processors that it made for itself
identifies the call; in a user's own loop the tokens do: an open call extends each of its rows by one token that the
row's mask allowed, and all other tokens are the prompt of a new call. Calls with the same tokens are in the same state,
so it does not matter which of them continues first. Neither the address of a tensor nor the order of calls is used.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any

from rellm._errors import RellmError
from rellm._generate.text_state import Row, RowGroup
from rellm._generate.transformers_quirks import is_inside_generate, owner_of_call

if TYPE_CHECKING:
    import torch

_MOST_CALLS = 256  # the most open calls; a call that raised or was cut off stays until more are open


class Call:
    """The rows of one call of `generate`.

    Args:
        prompt: `(rows, length)`, the tokens before the texts.
        groups: for each constraint the rows that share it, or None for rows without one.
        lead: how many tokens of `prompt` `generate` wrote itself and counts as new.
        owner: an object that lives as long as the call; None if there is none.
    """

    def __init__(self, prompt: torch.Tensor, groups: Sequence[RowGroup | None], lead: int, owner: Any) -> None:
        self.prompt = prompt
        self.lead = lead
        self._owner = None if owner is None else weakref.ref(owner)
        self._groups = groups
        self.factor = prompt.shape[0] // len(groups)
        self._last: torch.Tensor | None = None
        self.rows: list[Row | None] = []

    @property
    def length(self) -> int:
        """The number of tokens before the texts."""
        return int(self.prompt.shape[1])

    def parts(self) -> list[list[Row | None]]:
        """The rows, grouped by constraint."""
        return [self.rows[i : i + self.factor] for i in range(0, len(self.rows), self.factor)]

    @property
    def is_over(self) -> bool:
        """Whether no row can go on, or `generate` has returned: then the next tokens are another call's."""
        if self.has_returned:
            return True
        known = [row for row in self.rows if row is not None]
        return bool(known) and not any(row.is_live for row in known)

    @property
    def has_returned(self) -> bool:
        """Whether the `generate` of this call is over."""
        return self._owner is not None and self._owner() is None

    def is_of(self, owner: Any) -> bool:
        """Whether this is the call of that `generate`; None stands for a loop of a user's own."""
        return (None if self._owner is None else self._owner()) is owner

    def steps(self, input_ids: torch.Tensor) -> bool:
        """Whether every row is its former text and one more token that its mask allowed."""
        import torch

        last = self._last
        return (
            last is not None
            and last.shape[0] == input_ids.shape[0]
            and last.shape[1] + 1 == input_ids.shape[1]
            and last.device == input_ids.device
            and bool(torch.equal(input_ids[:, :-1], last))
            and self._may_add(zip(self.rows, input_ids[:, -1].tolist(), strict=True))
        )

    def _may_add(self, steps: Any) -> bool:
        live = [(row, token_id) for row, token_id in steps if row is not None and row.is_live]
        return all(row.may_add(token_id) for row, token_id in live)

    def texts(self, input_ids: torch.Tensor) -> list[list[int]] | None:
        """The tokens after the prompt, if `input_ids` begin with it."""
        import torch

        prompt = self.prompt
        if (
            prompt.shape[0] != input_ids.shape[0]
            or prompt.shape[1] > input_ids.shape[1]
            or prompt.device != input_ids.device
            or not torch.equal(input_ids[:, : prompt.shape[1]], prompt)
        ):
            return None
        found: list[list[int]] = input_ids[:, prompt.shape[1] :].tolist()
        return found

    def extends(
        self, texts: list[list[int]], *, again: bool = False, given_up: bool = False, back: bool = False
    ) -> bool:
        """Whether each text is a row of the previous step and one more token.

        Args:
            again: a text may also be a row of the previous step, unchanged.
            given_up: rows may have taken tokens that their masks forbade.
            back: a text may be rolled back to any prefix of a row before it goes on.
        """
        if not texts[0]:
            return False
        for group, part in zip(self._groups, self._split(texts), strict=True):
            if group is None:
                continue
            known = {tuple(row.tokens): row for row in group.rows}
            for tokens in part:
                parent = known.get(tuple(tokens[:-1]))
                if parent is not None:
                    if not given_up and parent.is_live and not parent.may_add(tokens[-1]):
                        return False
                elif not (again and tuple(tokens) in known) and not (back and group.reaches(tokens)):
                    return False
        return True

    def is_before(self, texts: list[list[int]]) -> bool:
        """Whether each text begins with a row of the previous step."""
        return all(
            group is None or any(tokens[: len(row.tokens)] == row.tokens for row in group.rows)
            for group, part in zip(self._groups, self._split(texts), strict=True)
            for tokens in part
        )

    def _split(self, texts: list[list[int]]) -> list[list[list[int]]]:
        return [texts[i : i + self.factor] for i in range(0, len(texts), self.factor)]

    def push(self, input_ids: torch.Tensor) -> None:
        """Add one token to each row."""
        for row, token_id in zip(self.rows, input_ids[:, -1].tolist(), strict=True):
            if row is not None:
                row.push(token_id)
        self._last = input_ids.clone()  # the caller may overwrite its tensor

    def move(self, texts: list[list[int]], input_ids: torch.Tensor) -> None:
        """Set the texts of the rows."""
        self.rows = [
            row
            for group, part in zip(self._groups, self._split(texts), strict=True)
            for row in ([None] * len(part) if group is None else group.update(part))
        ]
        self._last = input_ids.clone()


class OpenCalls:
    """All open calls of one processor; thread-safe."""

    def __init__(self) -> None:
        self._calls: list[Call] = []  # the most recently used first
        self._lock = Lock()

    def find(self, input_ids: torch.Tensor, begin: Callable[[Any], Call], *, is_told: bool = False) -> Call:
        """The call of `input_ids`, its rows moved to their tokens.

        Args:
            begin: makes a new call of `input_ids` for an owner.
            is_told: whether the caller passed the length of the prompts, so that any text after the same prompt may be
                a row of the call.

        Raises:
            RellmError: it cannot be told whether this goes on with a call or begins another one.
        """
        owner = owner_of_call()
        with self._lock:
            mine = [call for call in self._calls if call.is_of(owner) and not call.has_returned]
            for call in mine:
                if call.steps(input_ids):
                    call.push(input_ids)
                    return self._first(call)
            found = self._searched(mine, input_ids, is_told, owner)
            if found is not None:
                return self._first(found)
            call = begin(owner)
            call.move(call.texts(input_ids) or [[] for _ in range(input_ids.shape[0])], input_ids)
            self._calls = [one for one in self._calls if not one.is_over][: _MOST_CALLS - 1]
            return self._first(call)

    def _first(self, call: Call) -> Call:
        self._calls = [call, *(one for one in self._calls if one is not call)]
        return call

    def _searched(self, calls: list[Call], input_ids: torch.Tensor, is_told: bool, owner: Any) -> Call | None:
        open_ = [(call, texts) for call in calls if (texts := call.texts(input_ids)) is not None]
        if owner is not None and open_:  # an owner has one call, whose rows are extended, reordered, or rolled back
            call, texts = open_[0]
            call.move(texts, input_ids)
            return call
        open_ = [(call, texts) for call, texts in open_ if texts[0] and not (call.is_over and not is_told)]
        # Prefer a call that goes on by a token: unchanged tokens may belong to another call with the same tokens.
        for again in (False, True):
            for call, texts in open_:
                if call.extends(texts, again=again):
                    call.move(texts, input_ids)
                    return call
        if open_ and (is_told or is_inside_generate()):
            for call, texts in open_:
                if call.extends(texts, again=True, given_up=True, back=True) or (is_told and call.is_before(texts)):
                    if is_told:
                        call.move(texts, input_ids)
                        return call
                    raise RellmError(
                        "it cannot be told whether these tokens go on with a call of generate or begin another one: "
                        "this release of transformers keeps its processors in another place; pass prompt_length= to "
                        "the processor"
                    )
        return None
