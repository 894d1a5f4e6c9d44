"""Parts with a token budget of their own (`part.within(max_tokens=n)`).

A token budget does not describe a language, so it is not part of the expression. The constraint is cut at the parts
that have a budget: the text that is being written belongs to a *segment* without such a part inside, and the rest
follows. Each segment has three matchers, which have all read the text since the segment began:

- `own`, of the segment alone: how many tokens are needed to reach its end;
- `ended`, of the segment followed by any text: does a token end the segment?
- `whole`, of the segment followed by the rest: is the token allowed at all?

With `left` tokens in the tightest open budget, a token may come next if the segment's end needs at most `left − 1` more
tokens after it, or if it ends the segment and goes on in the rest. The parts between the end of the segment and the
end of an open part count with their shortest text (a lower bound), so a text that could end within its budget still
can. Where the end of a segment is unambiguous (`FreeText` up to a marker) a text has one reading; elsewhere all
readings are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rellm._constraints.base import Constraint
from rellm._constraints.choice import Literal
from rellm._constraints.combine import AnyOf, Maybe, Named, Repeat, Sequence, Within, has_budget
from rellm._constraints.free_text import FreeText
from rellm._constraints.template import Template
from rellm._errors import TokenRejectedError
from rellm._limits import Limits
from rellm._vocabulary import Vocabulary

_MAX_MASKS = 128  # 16 KB each for a vocabulary of 131,072 tokens
_CHARACTER = 3  # the most tokens that complete a begun character

Mask: TypeAlias = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Close:
    """Marks, in the rest, the end of the part with this budget; budgets are numbered from the outermost part."""

    depth: int


Rest: TypeAlias = tuple[Constraint | Close, ...]


@dataclass(frozen=True, slots=True)
class Stage:
    """A position of a text: the segment that is being written (None: the text is over), the rest, the open budgets."""

    segment: Constraint | None
    rest: Rest
    limits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the text so far."""

    stage: Stage
    used: tuple[int, ...]  # tokens of each open part
    own: Any
    ended: Any
    whole: Any


class Plan:
    """The matchers of all stages of one constraint, compiled when they are first needed."""

    def __init__(self, constraint: Constraint, vocabulary: Vocabulary, limits: Limits) -> None:
        self.constraint = constraint
        self.vocabulary = vocabulary
        self.limits = limits
        self.words = (len(vocabulary) + 31) // 32
        self.eos = np.zeros(self.words, dtype=np.uint32)
        for token in vocabulary.eos_token_ids:
            self.eos[token // 32] |= np.uint32(1 << (token % 32))
        self._needed: dict[Rest, int] = {}
        self._compiled: dict[Constraint, Any] = {}
        self._farthest: dict[Constraint, int | None] = {}
        self._masks: dict[tuple[Any, ...], Mask] = {}
        self.by_bytes: dict[bytes, int] | None = None

    def compiled(self, constraint: Constraint) -> Any:
        """The constraint, compiled; budgets in it do not count."""
        found = self._compiled.get(constraint)
        if found is None:
            from rellm._engines.compile import compile_language

            found = self._compiled[constraint] = compile_language(constraint, self.vocabulary, self.limits)
        return found

    @property
    def memory_bytes(self) -> int:
        """What the compiled languages hold now."""
        return sum(compiled.memory_bytes for compiled in self._compiled.values())

    def language(self, segment: Constraint | None, rest: Rest) -> Any:
        """The compiled language of a segment and the parts that follow it."""
        parts = [part for part in rest if not isinstance(part, Close)]
        if segment is not None:
            parts.insert(0, segment)
        return self.compiled(parts[0] if len(parts) == 1 else Sequence(*parts) if parts else Literal(""))

    def needed(self, rest: Rest) -> int:
        """The least number of tokens that these parts take."""
        found = self._needed.get(rest)
        if found is None:
            from rellm._generate.token_budget import tokens_needed

            parts = any(not isinstance(part, Close) for part in rest)
            found = tokens_needed(self.language(None, rest).matcher()) or 0 if parts else 0
            self._needed[rest] = found
        return found

    def cached(self, readings: list[Reading], left: int | None, make: Callable[[Reading, int | None], Mask]) -> Mask:
        """The masks of these readings together; those of free text are kept, because its states are few."""
        found: Mask | None = None
        for reading in readings:
            key = _state_of(reading)
            mask = None if key is None else self._masks.get((reading.stage, reading.used, key, left))
            if mask is None:
                mask = make(reading, left)
                if key is not None:
                    if len(self._masks) >= _MAX_MASKS:
                        self._masks.clear()
                    self._masks[reading.stage, reading.used, key, left] = mask
            found = mask if found is None else found | mask
        return found if found is not None else np.zeros(self.words, dtype=np.uint32)

    def start(self) -> list[Reading]:
        """The readings of the empty text."""
        return self.enter((self.constraint,), (), ())

    def enter(self, rest: Rest, limits: tuple[int, ...], used: tuple[int, ...]) -> list[Reading]:
        """The readings at the start of the next part, and of the parts after it as long as they can be empty."""
        found: list[Reading] = []
        waiting = [(rest, limits, used)]
        seen: set[tuple[Stage, tuple[int, ...]]] = set()
        while waiting:
            rest, limits, used = waiting.pop()
            for stage, kept in _stages(rest, limits):
                counts = used[:kept] + (0,) * (len(stage.limits) - kept)
                if (stage, counts) in seen:
                    continue
                seen.add((stage, counts))
                whole = self.language(stage.segment, stage.rest).matcher()
                if stage.segment is None:
                    found.append(Reading(stage, counts, None, None, whole))
                    continue
                own = self.compiled(stage.segment).matcher()
                ended = self.compiled(Sequence(stage.segment, FreeText())).matcher()
                found.append(Reading(stage, counts, own, ended, whole))
                if own.is_accepting:
                    waiting.append((stage.rest, stage.limits, counts))
        return found

    def left(self, reading: Reading) -> int | None:
        """How many tokens the segment may still take until its end; None: no part with a budget is open."""
        found = None
        rest = reading.stage.rest
        for depth, (limit, used) in enumerate(zip(reading.stage.limits, reading.used, strict=True)):
            behind = rest[: rest.index(Close(depth))]
            left = limit - used - self.needed(behind)
            found = left if found is None else min(found, left)
        return found

    def is_possible(self, reading: Reading) -> bool:
        """Whether all open parts can still end within their budgets."""
        left = self.left(reading)
        if left is None:
            return True
        return left >= 0 and (reading.own is None or bool(reading.own.matches_within(left)))

    def after(self, reading: Reading, token: int | None, data: bytes) -> list[Reading]:
        """The readings after one more token; `token` None: bytes that count as one."""
        whole = _advanced(reading.whole, token, data)
        if whole is None:
            return []
        if reading.own is None:
            return [Reading(reading.stage, reading.used, None, None, whole)]
        used = tuple(count + 1 for count in reading.used)
        if any(count > limit for count, limit in zip(used, reading.stage.limits, strict=True)):
            return []  # the token holds bytes of all open parts
        found = []
        own = _advanced(reading.own, token, data)
        ended = _advanced(reading.ended, token, data)
        if own is not None:
            accepting = own.is_accepting
            if not accepting or not own.is_finished:
                found.append(Reading(reading.stage, used, own, ended, whole))
            if accepting:
                found += self.enter(reading.stage.rest, reading.stage.limits, used)
        if data and ended is not None and ended.is_accepting:
            found += self._across(reading, data)
        return found

    def _across(self, reading: Reading, data: bytes) -> Iterator[Reading]:
        """The readings of a token that ends the segment somewhere inside and goes on in the rest."""
        own = reading.own.copy()
        for at in range(1, len(data)):
            try:
                own.advance_bytes(data[at - 1 : at])
            except TokenRejectedError:
                return
            if own.is_accepting:
                for following in self.enter(reading.stage.rest, reading.stage.limits, reading.used):
                    yield from self.after(following, None, data[at:])

    def farthest(self, constraint: Constraint) -> int | None:
        """An upper bound on the tokens needed to reach the end of a constraint from anywhere in it; None: unknown."""
        if constraint not in self._farthest:
            self._farthest[constraint] = self._find_farthest(constraint)
        return self._farthest[constraint]

    def _find_farthest(self, constraint: Constraint) -> int | None:
        if isinstance(constraint, FreeText):
            markers = [text for text in constraint.until if isinstance(text, str)]
            if not constraint.until or constraint.exclude:
                return _CHARACTER if constraint.or_end and not constraint.exclude else None
            if len(constraint.until) > 1 or not markers:
                return None if markers else _CHARACTER + 1
            # A marker that cannot overlap with itself is recognised where it is written, after any text.
            marker = markers[0]
            overlaps = any(marker.endswith(marker[:n]) for n in range(1, len(marker)))
            return _CHARACTER + (len(marker.encode()) if overlaps else self.needed((Literal(marker),)))
        if isinstance(constraint, Sequence):
            total = 0
            for part in constraint.parts:
                one = self.farthest(part)
                if one is None:
                    return None
                total += one
            return total
        found: int | None = self.compiled(constraint).matcher().longest_way
        return found

    def opens_tightly(self, rest: Rest) -> bool:
        """Whether a token that continues into the rest could begin a part that then cannot end within its budget."""
        for part, limit in first_budgets(rest):
            farthest = self.farthest(part)
            if farthest is None or farthest >= limit:
                return True
        return False

    def is_free(self, reading: Reading) -> bool:
        """Whether no token of the language can exceed the budget of an open part, or of a part that it opens."""
        left = self.left(reading)
        if left is not None:
            farthest = None if reading.stage.segment is None else self.farthest(reading.stage.segment)
            if farthest is None or farthest >= left:
                return False
        return not self.opens_tightly(reading.stage.rest)


def _stages(rest: Rest, limits: tuple[int, ...]) -> list[tuple[Stage, int]]:
    """The positions at the beginning of the rest, each with the number of open budgets that stay open."""
    found: dict[tuple[Stage, int], None] = {}
    seen: set[tuple[Rest, tuple[int, ...], int]] = set()
    waiting = [(rest, limits, len(limits))]
    while waiting:
        state = waiting.pop()
        if state in seen:
            continue
        seen.add(state)
        rest, limits, kept = state
        if not rest:
            found.setdefault((Stage(None, (), limits), kept))
            continue
        first, behind = rest[0], rest[1:]
        if isinstance(first, Close):
            waiting.append((behind, limits[: first.depth], min(kept, first.depth)))
        elif isinstance(first, Within):
            inner: Rest = (first.item, Close(len(limits)), *behind)
            waiting.append((inner, (*limits, first.max_tokens), kept))
        elif not has_budget(first):
            plain = [first]
            while behind and not isinstance(behind[0], Close) and not has_budget(behind[0]):
                plain.append(behind[0])
                behind = behind[1:]
            segment = plain[0] if len(plain) == 1 else Sequence(*plain)
            found.setdefault((Stage(segment, behind, limits), kept))
        else:
            waiting += [((*parts, *behind), limits, kept) for parts in reversed(_unfolded(first))]
    return list(found)


def _unfolded(constraint: Constraint) -> list[tuple[Constraint, ...]]:
    """The ways in which a constraint with budgets inside can begin, each as a sequence of parts."""
    match constraint:
        case Sequence():
            return [constraint.parts]
        case AnyOf():
            return [(option,) for option in constraint.options]
        case Maybe():
            return [(constraint.item,), ()]
        case Named():
            return [(constraint.item,)]
        case Template():
            return [tuple(part for _, part in constraint.parts())]
        case Repeat():
            return _unfolded_repeat(constraint)
    raise AssertionError(constraint)


def _unfolded_repeat(constraint: Repeat) -> list[tuple[Constraint, ...]]:
    item, least, most, separator = constraint.item, constraint.min, constraint.max, constraint.separator
    if most == 0:
        return [()]
    left = None if most is None else most - 1
    more: tuple[Constraint, ...] = ()
    if left != 0:
        if separator is None:
            more = (Repeat(item, max(least - 1, 0), left),)
        else:
            following = Sequence(separator, Repeat(item, max(least - 1, 1), left, separator))
            more = (following if least > 1 else Maybe(following),)
    return [(item, *more)] if least else [(item, *more), ()]


def _advanced(matcher: Any, token: int | None, data: bytes) -> Any:
    """A copy that has taken a token, or bytes; None where it does not allow it."""
    found = matcher.copy()
    try:
        if data:
            found.advance_bytes(data)
        else:
            found.advance(token)
    except TokenRejectedError:
        return None
    return found


@lru_cache(maxsize=4096)
def first_budgets(rest: Rest) -> tuple[tuple[Constraint, int], ...]:
    """The parts with a budget that a single token of any length can reach in the rest."""
    found = []
    for part in rest:
        if not isinstance(part, Close) and has_budget(part):
            found += list(_budgets_in(part))
    return tuple(found)


def _budgets_in(constraint: Constraint) -> Iterator[tuple[Constraint, int]]:
    if isinstance(constraint, Within):
        yield constraint.item, constraint.max_tokens
    children = (
        [part for _, part in constraint.parts()]
        if isinstance(constraint, Template)
        else getattr(constraint, "children", ())
    )
    for child in children:
        yield from _budgets_in(child)


def _state_of(reading: Reading) -> bytes | None:
    """The state of a free text: its begun marker and its begun character. None for other segments."""
    segment = reading.stage.segment
    if not isinstance(segment, FreeText):
        return None
    texts = [*(text for text in segment.until if isinstance(text, str)), *segment.exclude]
    written: bytes = reading.own.text[-64:]
    begun = b""
    for text in texts:
        data = text.encode()
        if len(data) > 64:
            return None
        size = next((n for n in range(min(len(data), len(written)), 0, -1) if written.endswith(data[:n])), 0)
        begun = max(begun, data[:size], key=len)
    tail = written[-3:]
    while tail and tail[0] & 0xC0 == 0x80:
        tail = tail[1:]
    return begun + b"|" + (tail if _is_begun(tail) else b"")


def _is_begun(tail: bytes) -> bool:
    """Whether these bytes end inside a character."""
    for size in range(1, len(tail) + 1):
        lead = tail[-size]
        if lead & 0xC0 != 0x80:
            return lead >= 0xC0 and size < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4)
    return False
