"""Whether `re` answers in time: its backtracking, done with a count of the steps.

`re` has no time limit and holds the interpreter while it matches, so that a pattern that backtracks without end would
stop a whole server. This matcher takes the ways that `re` takes, in its order, within a budget, and some fifty times
as slowly. Where it comes to an end in time, `re` may be asked, which has the last word; where not, the call ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from re import _constants
from typing import Any, Final, TypeAlias

from rellm._engines.search.pattern.alphabet import Ranges
from rellm._engines.search.time_limit import Budget

# Reads the ranges of one item of a tree under some flags.
ClassOf: TypeAlias = Callable[[Any, Any, int], Ranges]
# Where each group was last opened, and what it holds: from where to where.
_Groups: TypeAlias = tuple[tuple[int, int, int], ...]
# How often each loop was entered, and where last.
_Counts: TypeAlias = tuple[tuple[int, int], ...]
_State: TypeAlias = tuple[int, int, _Groups, _Counts]

_CHARACTER, _SPLIT, _JUMP, _OPEN, _CLOSE, _AT, _REFERENCE, _LOOK, _ATOMIC, _IF, _START, _LOOP, _FAIL, _END = range(14)
_UNBOUNDED: Final = 1 << 62
_STEPS_BETWEEN_LOOKS_AT_THE_CLOCK: Final = 512
_MOST_WAYS: Final = 200_000
"""Ways that are still open at once; each holds about a hundred bytes."""
# From Python 3.14 on, `\\B` matches in the empty text.
_IN_NOTHING: Final = re.search(r"\B", "") is not None


class Backtracking:
    """A pattern of `re` as a program for a backtracking machine."""

    def __init__(self, tree: Any, flags: int, class_of: ClassOf) -> None:
        self._class_of = class_of
        self._code: list[tuple[Any, ...]] = []
        self._loops = 0
        self._groups = 0
        self._sequence(tree, flags)
        self._code.append((_END,))

    def matches(self, text: str, budget: Budget) -> bool:
        """Whether the whole text matches, by this machine.

        Raises:
            LimitExceededError: that takes longer than the budget.
        """
        groups: _Groups = ((-1, -1, -1),) * (self._groups + 1)
        run = _Run(self._code, text, budget)
        return run.ends(0, 0, groups, ((0, -1),) * self._loops, whole=True) is not None

    # from the tree to the program

    def _emit(self, *instruction: Any) -> int:
        self._code.append(instruction)
        return len(self._code) - 1

    def _sequence(self, items: Any, flags: int) -> None:
        for op, argument in items:
            name = str(op)
            if name in ("LITERAL", "NOT_LITERAL", "IN", "ANY"):
                self._emit(_CHARACTER, _Members(self._class_of(op, argument, flags)))
            else:
                getattr(self, "_" + name.lower())(argument, flags)

    def _branch(self, argument: Any, flags: int) -> None:
        jumps = []
        branches = argument[1]
        for index, branch in enumerate(branches):
            split = self._emit(_SPLIT, 0, 0) if index + 1 < len(branches) else None
            self._sequence(branch, flags)
            if split is not None:
                jumps.append(self._emit(_JUMP, 0))
                self._code[split] = _SPLIT, split + 1, len(self._code)
        for jump in jumps:
            self._code[jump] = _JUMP, len(self._code)

    def _subpattern(self, argument: Any, flags: int) -> None:
        group, on, off, body = argument
        encodings = int(re.ASCII | re.UNICODE)
        inner = (flags & ~encodings | on if on & encodings else flags | on) & ~off
        if group is None:
            self._sequence(body, inner)
            return
        self._groups = max(self._groups, group)
        self._emit(_OPEN, group)
        self._sequence(body, inner)
        self._emit(_CLOSE, group)

    def _repeat(self, argument: Any, flags: int, lazy: bool) -> None:
        low, high, body = argument
        loop = self._loops
        self._loops += 1
        most = _UNBOUNDED if high is _constants.MAXREPEAT else int(high)
        self._emit(_START, loop)
        head = self._emit(_LOOP)
        self._sequence(body, flags)
        self._emit(_JUMP, head)
        self._code[head] = _LOOP, loop, int(low), most, lazy, head + 1, len(self._code)

    def _max_repeat(self, argument: Any, flags: int) -> None:
        self._repeat(argument, flags, lazy=False)

    def _min_repeat(self, argument: Any, flags: int) -> None:
        self._repeat(argument, flags, lazy=True)

    def _possessive_repeat(self, argument: Any, flags: int) -> None:
        self._inside(_ATOMIC, lambda: self._repeat(argument, flags, lazy=False))

    def _atomic_group(self, argument: Any, flags: int) -> None:
        self._inside(_ATOMIC, lambda: self._sequence(argument, flags))

    def _inside(self, op: int, write: Callable[[], None], *more: Any) -> None:
        start = self._emit(op)
        write()
        self._emit(_END)
        self._code[start] = op, len(self._code), *more

    def _assert(self, argument: Any, flags: int, negated: bool = False) -> None:
        direction, body = argument
        behind = int(body.getwidth()[0]) if direction < 0 else 0
        self._inside(_LOOK, lambda: self._sequence(body, flags), behind, negated)

    def _assert_not(self, argument: Any, flags: int) -> None:
        self._assert(argument, flags, negated=True)

    def _groupref(self, argument: Any, flags: int) -> None:
        self._emit(_REFERENCE, argument)

    def _groupref_exists(self, argument: Any, flags: int) -> None:
        group, yes, no = argument
        test = self._emit(_IF)
        self._sequence(yes, flags)
        jump = self._emit(_JUMP, 0)
        self._code[test] = _IF, group, len(self._code)
        if no is not None:
            self._sequence(no, flags)
        self._code[jump] = _JUMP, len(self._code)

    def _failure(self, argument: Any, flags: int) -> None:
        self._emit(_FAIL)

    def _at(self, argument: Any, flags: int) -> None:
        name = str(argument)
        if "BOUNDARY" in name:
            item = [(_constants.CATEGORY, _constants.CATEGORY_WORD)]
            word = _Members(self._class_of(_constants.IN, item, flags))
            is_wanted = "NON" not in name
            self._emit(_AT, lambda text, at: bool(text or _IN_NOTHING) and _is_boundary(text, at, word) == is_wanted)
        elif name == "AT_BEGINNING" and flags & re.MULTILINE:
            self._emit(_AT, lambda text, at: at == 0 or text[at - 1] == "\n")
        elif name.startswith("AT_BEGINNING"):
            self._emit(_AT, lambda text, at: at == 0)
        elif name == "AT_END" and flags & re.MULTILINE:
            self._emit(_AT, lambda text, at: at == len(text) or text[at] == "\n")
        elif name == "AT_END":
            self._emit(_AT, lambda text, at: at == len(text) or text[at:] == "\n")
        else:
            self._emit(_AT, lambda text, at: at == len(text))


class _Members(dict[str, bool]):
    """Whether a character is in a class, worked out when it is first asked."""

    def __init__(self, ranges: Ranges) -> None:
        super().__init__()
        self._ranges = ranges

    def __missing__(self, character: str) -> bool:
        point = ord(character)
        found = self[character] = any(first <= point <= last for first, last in self._ranges)
        return found


def _is_boundary(text: str, at: int, word: _Members) -> bool:
    before = at > 0 and word[text[at - 1]]
    behind = at < len(text) and word[text[at]]
    return before != behind


class _Run:
    """One match, with the steps that it has taken."""

    def __init__(self, code: list[tuple[Any, ...]], text: str, budget: Budget) -> None:
        self.code = code
        self.text = text
        self.budget = budget
        self.steps = 0

    def ends(self, pc: int, at: int, groups: _Groups, counts: _Counts, whole: bool) -> _State | None:
        """The state at the first end that is reached from here; `whole`: at the end of the text."""
        code, text, length = self.code, self.text, len(self.text)
        open_ways: list[_State] = []
        while True:
            self.steps += 1
            if not self.steps % _STEPS_BETWEEN_LOOKS_AT_THE_CLOCK:
                self.budget.seconds_left()
                if len(open_ways) > _MOST_WAYS:
                    raise self.budget.exceeded()
            instruction = code[pc]
            op = instruction[0]
            alive = True
            if op == _CHARACTER:
                alive = at < length and instruction[1][text[at]]
                at += 1
                pc += 1
            elif op == _SPLIT:
                open_ways.append((instruction[2], at, groups, counts))
                pc = instruction[1]
            elif op == _JUMP:
                pc = instruction[1]
            elif op == _LOOP:
                _, loop, low, high, lazy, body, beyond = instruction
                count, last = counts[loop]
                again = count < low or (count < high and at != last)
                more = (*counts[:loop], (count + 1, at), *counts[loop + 1 :]) if again else counts
                if not again:
                    pc = beyond
                elif count < low:
                    counts, pc = more, body
                elif lazy:
                    open_ways.append((body, at, groups, more))
                    pc = beyond
                else:
                    open_ways.append((beyond, at, groups, counts))
                    counts, pc = more, body
            elif op == _START:
                loop = instruction[1]
                counts = (*counts[:loop], (0, -1), *counts[loop + 1 :])
                pc += 1
            elif op == _OPEN:
                group = instruction[1]
                groups = (*groups[:group], (at, *groups[group][1:]), *groups[group + 1 :])
                pc += 1
            elif op == _CLOSE:
                group = instruction[1]
                begun = groups[group][0]
                groups = (*groups[:group], (begun, begun, at), *groups[group + 1 :])
                pc += 1
            elif op == _AT:
                alive = instruction[1](text, at)
                pc += 1
            elif op == _REFERENCE:
                _, start, end = groups[instruction[1]]
                alive = start >= 0 and text.startswith(text[start:end], at)
                at += end - start
                pc += 1
            elif op == _IF:
                pc = pc + 1 if groups[instruction[1]][1] >= 0 else instruction[2]
            elif op == _LOOK:
                _, beyond, behind, negated = instruction
                found = None if at < behind else self.ends(pc + 1, at - behind, groups, counts, whole=False)
                alive = (found is None) == negated
                if found is not None and not negated:
                    groups = found[2]
                pc = beyond
            elif op == _ATOMIC:
                found = self.ends(pc + 1, at, groups, counts, whole=False)
                alive = found is not None
                if found is not None:
                    _, at, groups, counts = found
                pc = instruction[1]
            elif op == _END:
                if not whole or at == length:
                    return pc, at, groups, counts
                alive = False
            else:
                alive = False
            if not alive:
                if not open_ways:
                    return None
                pc, at, groups, counts = open_ways.pop()
