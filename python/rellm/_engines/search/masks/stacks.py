"""What may follow a text under a pattern with recursion or fuzzy items: every way to read the text so far, at once.

A way is a place in the program, what errors have cost there, and the stack of calls to return to. The ways of a text
are one state; states and stacks are shared, so that a text of any length costs its last step. Compared with partial
matching this reads each character once, and where a pattern has no anchors and possessive repetitions it is exact.
"""

from __future__ import annotations

from typing import Final

from rellm._engines.search.pattern.program import (
    Begin,
    Char,
    Enter,
    Errors,
    Finish,
    Forbid,
    Leave,
    Program,
    Push,
    Return,
    Split,
    Vector,
)
from rellm._errors import LimitExceededError
from rellm._fork import ForkSafeLock

_FRAME_BYTES: Final = 250
_STATE_BYTES: Final = 600
_WAY_BYTES: Final = 120
# One state more than this many ways has no end that is worth waiting for.
_MOST_WAYS: Final = 50_000


class Frame:
    """A stack of calls: where to go on, and the stack below."""

    __slots__ = ("above", "below", "next")

    def __init__(self, next_: int, below: Frame | None) -> None:
        self.next = next_
        self.below = below
        self.above: dict[int, Frame] = {}


_Way = tuple[int, Vector | None, Frame | None, int, bool]
"""Place, costs, stack, symbols that must not come next, and whether only a last newline may."""


class State:
    """The ways to read a text. Equal sets of ways are the same object, until states are forgotten."""

    __slots__ = ("closed", "is_accepting", "nexts", "ways")

    def __init__(self, ways: tuple[_Way, ...], is_accepting: bool) -> None:
        self.ways = ways
        self.is_accepting = is_accepting
        self.nexts: dict[int, State | None] = {}
        self.closed: int | None = None  # the symbols that lead back to it, once they have been asked for


class Stacks:
    """The states of a program. Thread-safe: steps are made under a lock, and what is made does not change."""

    def __init__(self, program: Program, symbols: int, memory_bytes: int) -> None:
        self._steps = program.steps
        self._entry = program.entry
        self._newline = program.newline
        self._symbols = symbols
        self._ends = _ending(program)
        self._every = (1 << symbols) - 1
        # Without these, every way that is kept has a way to the end.
        self._is_exact = not any(isinstance(step, Begin | Finish | Forbid) for step in program.steps)
        self._most_bytes = memory_bytes
        self._bytes = 0
        self._states: dict[frozenset[_Way] | tuple[frozenset[_Way], bool], State] = {}
        self._frames: dict[int, Frame] = {}
        self._lock = ForkSafeLock(reentrant=True)
        self.start = self._closure([(self._entry[0], None, None, 0, False)], at_start=True)

    @property
    def memory_bytes(self) -> int:
        """About what states and stacks hold."""
        return self._bytes

    def step(self, state: State, symbol: int) -> State | None:
        """The state after one more symbol; None if nothing can match any more."""
        if symbol in state.nexts:
            return state.nexts[symbol]
        with self._lock:
            if self._bytes > self._most_bytes:
                self._forget()
            found = self._step(state, symbol)
            state.nexts[symbol] = found
            self._bytes += 100
            return found

    def closed(self, state: State) -> int:
        """The symbols that lead from a state to itself."""
        if state.closed is None:
            closed = 0
            for symbol in range(self._symbols):
                if self.step(state, symbol) is state:
                    closed |= 1 << symbol
            state.closed = closed
        return state.closed

    def goes_on(self, state: State) -> bool:
        """Whether the text matches, or some symbol can follow."""
        return (
            self._is_exact
            or state.is_accepting
            or any(self.step(state, symbol) is not None for symbol in range(self._symbols))
        )

    def _forget(self) -> None:
        """Forgets what was interned. States in use stay as they are; they are only not shared any more."""
        for state in self._states.values():
            state.nexts = {}
        self._states.clear()
        self._frames.clear()
        self._bytes = 0

    def _step(self, state: State, symbol: int) -> State | None:
        bit = 1 << symbol
        seeds: list[_Way] = []
        for place, spent, stack, forbidden, is_last in state.ways:
            if forbidden & bit:
                continue
            step = self._steps[place]
            # What read the last newline reads nothing more.
            forbidden = self._every if is_last else 0
            if isinstance(step, Char):
                if step.symbols & bit:
                    seeds.append((step.next, spent, stack, forbidden, is_last))
                errors, after = step.errors, step.next
            else:
                assert isinstance(step, Leave)
                errors, after = step.errors, -1
            if errors is not None and spent is not None and errors.test & bit:
                more = errors.plus(spent, errors.insertion)
                if more is not None:
                    seeds.append((place, more, stack, forbidden, is_last))
                more = errors.plus(spent, errors.substitution)
                if more is not None and after >= 0:
                    seeds.append((after, more, stack, forbidden, is_last))
        return self._closure(seeds, at_start=False) if seeds else None

    def _closure(self, seeds: list[_Way], at_start: bool) -> State | None:
        """The state of what the seeds can do before they read."""
        steps, ends = self._steps, self._ends
        seen: set[_Way] = set()
        ways: list[_Way] = []
        is_accepting = False
        pending = seeds
        every = self._every
        while pending:
            way = pending.pop()
            if way in seen or not ends[way[0]]:
                continue
            seen.add(way)
            if len(seen) > _MOST_WAYS:
                raise LimitExceededError(
                    f"the text can be read in more than {_MOST_WAYS:,} ways: make the pattern less ambiguous",
                    limit="memory_bytes",
                )
            place, spent, stack, forbidden, is_last = way
            step = steps[place]
            match step:
                case Char(symbols, next_, errors):
                    readable = symbols
                    if errors is not None and spent is not None:
                        readable |= errors.test
                        less = errors.plus(spent, errors.deletion)
                        if less is not None:
                            pending.append((next_, less, stack, forbidden, is_last))
                    if readable & ~forbidden & every:
                        ways.append(way)
                case Split(nexts):
                    pending += [(next_, spent, stack, forbidden, is_last) for next_ in nexts]
                case Push(group, next_):
                    # A call at the end returns to where this group returns.
                    above = stack if isinstance(steps[next_], Return) else self._frame(next_, stack)
                    pending.append((self._entry[group], None, above, forbidden, is_last))
                case Return():
                    if stack is None:
                        is_accepting = True
                    else:
                        pending.append((stack.next, None, stack.below, forbidden, is_last))
                case Forbid(symbols, next_):
                    pending.append((next_, spent, stack, forbidden | symbols, is_last))
                case Begin(next_):
                    if at_start:
                        pending.append((next_, spent, stack, forbidden, is_last))
                case Finish(newline, next_):
                    ended = every & ~self._newline if newline else every
                    pending.append((next_, spent, stack, forbidden | ended, True))
                case Enter(errors, next_):
                    pending.append((next_, errors.none, stack, forbidden, is_last))
                case Leave(errors, next_):
                    if errors.test & ~forbidden and spent is not None and errors.plus(spent, errors.insertion):
                        ways.append(way)
                    pending.append((next_, None, stack, forbidden, is_last))
        if not ways and not is_accepting:
            return None
        kept = frozenset(_undominated(ways))
        key = kept, is_accepting
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = State(tuple(kept), is_accepting)
            self._bytes += _STATE_BYTES + _WAY_BYTES * len(kept)
        return state

    def _frame(self, next_: int, below: Frame | None) -> Frame:
        table = self._frames if below is None else below.above
        frame = table.get(next_)
        if frame is None:
            frame = table[next_] = Frame(next_, below)
            self._bytes += _FRAME_BYTES
        return frame


def _undominated(ways: list[_Way]) -> list[_Way]:
    """Without those that have spent more than another in the same place: what they can become, it can, too."""
    best: dict[tuple[int, int, int, bool], list[_Way]] = {}
    kept: list[_Way] = []
    for way in ways:
        place, spent, stack, forbidden, is_last = way
        if spent is None:
            kept.append(way)
        else:
            best.setdefault((place, id(stack), forbidden, is_last), []).append(way)
    for group in best.values():
        if len(group) > 1:
            group = [way for way in group if not any(_less(other[1], way[1]) for other in group)]
        kept += group
    return kept


def _less(a: Vector | None, b: Vector | None) -> bool:
    assert a is not None
    assert b is not None
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _ending(program: Program) -> list[bool]:
    """From which steps the end of the group can be reached."""
    steps = program.steps
    ends = [False] * len(steps)
    changed = True
    while changed:
        changed = False
        for index, step in enumerate(steps):
            if ends[index]:
                continue
            match step:
                case Return():
                    found = True
                case Split(nexts):
                    found = any(ends[next_] for next_ in nexts)
                case Push(group, next_):
                    found = ends[program.entry[group]] and ends[next_]
                case Char(symbols, next_, errors):
                    found = ends[next_] and bool(symbols or _can_skip(errors))
                case _:
                    found = ends[step.next]
            if found:
                ends[index] = changed = True
    return ends


def _can_skip(errors: Errors | None) -> bool:
    return errors is not None and (
        errors.plus(errors.none, errors.deletion) is not None
        or errors.plus(errors.none, errors.substitution) is not None
    )
