"""A recogniser of the fragments that constraints hand to the core, which shares nothing with the core.

It works over the characters of one text, by spans: for a node and a place it finds all places where a text of the node
may end. Rules are solved by iteration to a fixpoint, so left recursion, empty rules, cycles and ambiguity need no care,
and nothing is fast. A text is a string, or a list of characters (`str`) and special tokens (`int`).

`accepts` answers for whole texts, `can_begin` whether any text begins so: exact for trees of literals, classes, rules,
sequences, unions and repetitions; patterns are asked of `regex`'s partial matching; other nodes are refused there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import regex

EMPTY, NOTHING, LITERAL, CHOICE, CLASS, SEQUENCE, UNION, REPEAT, INTERSECTION, COMPLEMENT = range(10)
PATTERN, PART, MARK, RULE, SPECIAL, LOOK, MEMBERS, ITEMS, SPELLED, SEARCHED, AUTOMATON = range(10, 21)

BEYOND = -1  # an "end" behind the end of the text: the node can take all that is left and go on
Symbols = Sequence[Any]


@dataclass(eq=False)
class Node:
    code: int
    numbers: tuple[Any, ...] = ()
    children: tuple[Node, ...] = ()
    extra: Any = None


@dataclass
class Fragments:
    """The trees of one constraint: `ops`, `strings` and the names of the dialects, as the core gets them."""

    ops: Sequence[int]
    strings: Sequence[str]
    dialects: Sequence[str] = ()
    # Matches ECMA patterns, where there are any: (pattern, text, whole) -> bool.
    ecma: Callable[[str, str, bool], bool] | None = None
    rules: list[Node] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._at = 0
        count = self._next()
        self.rules = [self._node() for _ in range(count)]
        self.root = self._node()
        assert self._at == len(self.ops), f"{len(self.ops) - self._at} numbers are left over"
        self._productive: set[int] = set()
        while True:
            before = len(self._productive)
            self._productive |= {i for i, body in enumerate(self.rules) if self.has_text(body)}
            if len(self._productive) == before:
                break

    def accepts(self, text: Symbols) -> bool:
        """Whether the text, from its first to its last symbol, is in the language of the root."""
        return len(text) in _Solver(self, text, 0, len(text), False).ends(self.root, 0)

    def can_begin(self, text: Symbols) -> bool:
        """Whether a text of the language begins with this one."""
        ends = _Solver(self, text, 0, len(text), True).ends(self.root, 0)
        return BEYOND in ends or len(text) in ends

    def has_text(self, node: Node) -> bool:
        """Whether the node has a text at all; only rules, unions and sequences can lack one here."""
        if node.code in (SEQUENCE, MARK, PART):
            return all(map(self.has_text, node.children))
        if node.code == UNION:
            return any(map(self.has_text, node.children))
        if node.code == REPEAT:
            return node.numbers[0] == 0 or self.has_text(node.children[0])
        if node.code == RULE:
            return node.numbers[0] in self._productive
        if node.code in (CHOICE, CLASS, SPECIAL):
            return bool(node.numbers)
        return node.code != NOTHING

    def _next(self) -> int:
        self._at += 1
        return self.ops[self._at - 1]

    def _string(self) -> str:
        return self.strings[self._next()]

    def _nodes(self, count: int) -> tuple[Node, ...]:
        return tuple(self._node() for _ in range(count))

    def _node(self) -> Node:
        code = self._next()
        if code in (EMPTY, NOTHING):
            return Node(code)
        if code == LITERAL:
            return Node(code, (self._string(),))
        if code == CHOICE:
            return Node(code, tuple(self._string() for _ in range(self._next())))
        if code == CLASS:
            return Node(code, tuple((self._next(), self._next()) for _ in range(self._next())))
        if code in (SEQUENCE, UNION, INTERSECTION):
            return Node(code, (), self._nodes(self._next()))
        if code == REPEAT:
            return Node(code, (self._next(), self._next()), self._nodes(1))
        if code in (COMPLEMENT, PART, SEARCHED):
            return Node(code, (), self._nodes(1))
        if code == PATTERN:
            pattern, flags, dialect = self._string(), self._next(), self.dialects[self._next()]
            lists = {}
            for _ in range(self._next()):
                name = self._string()
                lists[name] = [self._string() for _ in range(self._next())]
            return Node(code, (pattern, flags, dialect), extra=self._compiled(pattern, flags, dialect, lists))
        if code in (MARK, SPELLED):
            return Node(code, (self._next(),), self._nodes(1))
        if code == RULE:
            return Node(code, (self._next(),))
        if code == SPECIAL:
            return Node(code, tuple(self._next() for _ in range(self._next())))
        if code == LOOK:
            return Node(code, (self._next(), self._next()), self._nodes(1))
        if code == MEMBERS:
            return self._members()
        if code == ITEMS:
            return self._items()
        if code == AUTOMATON:
            return self._automaton()
        raise AssertionError(f"there is no node of code {code}")

    def _members(self) -> Node:
        low, high, ordered, keys, others, guards = (self._next() for _ in range(6))
        first, between, close = self._nodes(3)
        declared = [(self._string(), self._next(), self._node()) for _ in range(keys)]
        classes = [self._nodes(2) for _ in range(others)]
        clauses = [
            (
                {self._next() for _ in range(self._next())},
                {self._next() for _ in range(self._next())},
            )
            for _ in range(guards)
        ]
        return Node(MEMBERS, (low, high, ordered), (first, between, close), (declared, classes, clauses))

    def _items(self) -> Node:
        low, high, prefix, count = (self._next() for _ in range(4))
        counters = [(self._next(), self._next()) for _ in range(count)]
        first, between, close = self._nodes(3)
        groups = [
            [([self._next() for _ in range(self._next())], self._node()) for _ in range(self._next())]
            for _ in range(prefix + 1)
        ]
        return Node(ITEMS, (low, high), (first, between, close), (counters, groups))

    def _automaton(self) -> Node:
        classes = [[(self._next(), self._next()) for _ in range(self._next())] for _ in range(self._next())]
        states = [(bool(self._next()), [self._next() for _ in classes]) for _ in range(self._next())]
        return Node(AUTOMATON, (), (), (classes, states))

    @staticmethod
    def _compiled(pattern: str, flags: int, dialect: str, lists: dict[str, list[str]]) -> Any:
        if dialect == "re":
            return re.compile(pattern, flags)
        return regex.compile(pattern, flags, **lists) if dialect == "regex" else None

    def matches(self, node: Node, text: Symbols, whole: bool) -> bool:
        """Whether the pattern matches the text in full, or somewhere in it."""
        if not all(isinstance(symbol, str) for symbol in text):
            return False
        joined = "".join(text)
        if node.numbers[2] == "ecma":
            assert self.ecma is not None, "an ECMA pattern needs the argument ecma"
            return self.ecma(node.numbers[0], joined, whole)
        return bool(node.extra.fullmatch(joined) if whole else node.extra.search(joined))


class _Solver:
    """The spans of one text between two places, which are the ends of the enclosing part."""

    def __init__(self, fragments: Fragments, text: Symbols, low: int, high: int, open_end: bool) -> None:
        self._fragments = fragments
        self._text = text
        self._low, self._high = low, high
        self._open_end = open_end  # whether the text may go on behind `high`
        self._table: dict[tuple[Node, int], set[int]] = {}
        self._changed = False
        self._pass: set[tuple[Node, int]] = set()
        self._solvers: dict[tuple[int, int], _Solver] = {}

    def ends(self, node: Node, at: int) -> set[int]:
        """All ends of texts of the node that begin at this place; to a fixpoint."""
        if self._pass:  # asked for in the middle of another question: that of a language of its own
            return _Solver(self._fragments, self._text, self._low, self._high, self._open_end).ends(node, at)
        while True:
            self._changed = False
            found = self._visit(node, at)
            self._pass.clear()
            if not self._changed:
                return found

    def _visit(self, node: Node, at: int) -> set[int]:
        if at == BEYOND:
            return {BEYOND} if self._fragments.has_text(node) else set()
        key = (node, at)
        known = self._table.setdefault(key, set())
        if key in self._pass:
            return known
        self._pass.add(key)
        found = self._find(node, at)
        known = self._table[key]
        if not found <= known:
            self._changed = True
            known |= found
        return known

    def _find(self, node: Node, at: int) -> set[int]:
        code, rest = node.code, self._high - at
        if code == EMPTY:
            return {at}
        if code == NOTHING:
            return set()
        if code in (LITERAL, CHOICE):
            return {end for text in node.numbers for end in self._literal(text, at)}
        if code == CLASS:
            if rest == 0:
                return {BEYOND} if self._open_end and node.numbers else set()
            symbol = self._text[at]
            inside = isinstance(symbol, str) and any(lo <= ord(symbol) <= hi for lo, hi in node.numbers)
            return {at + 1} if inside else set()
        if code == SPECIAL:
            if rest == 0:
                return {BEYOND} if self._open_end and node.numbers else set()
            return {at + 1} if self._text[at] in node.numbers and not isinstance(self._text[at], str) else set()
        if code == SEQUENCE:
            ends = {at}
            for child in node.children:
                ends = {end for start in ends for end in self._visit(child, start)}
            return ends
        if code == UNION:
            return {end for child in node.children for end in self._visit(child, at)}
        if code == REPEAT:
            return self._repeat(node, at)
        if code == RULE:
            return set(self._visit(self._fragments.rules[node.numbers[0]], at))
        if code == MARK:
            return set(self._visit(node.children[0], at))
        return self._language(node, at)

    def _literal(self, text: str, at: int) -> Iterator[int]:
        taken = list(self._text[at : min(at + len(text), self._high)])
        if taken == list(text):
            yield at + len(text)
        elif self._open_end and at + len(text) > self._high and taken == list(text[: len(taken)]):
            yield BEYOND

    def _repeat(self, node: Node, at: int) -> set[int]:
        low, high = node.numbers
        found = {at} if low == 0 else set()
        ends, count, seen = {at}, 0, set()
        while ends and (high == -1 or count < high):
            ends = {end for start in ends for end in self._visit(node.children[0], start)}
            count += 1
            if count >= low:
                found |= ends
            state = (frozenset(ends), min(count, low))
            if state in seen:
                break
            seen.add(state)
        return found

    def _language(self, node: Node, at: int) -> set[int]:
        """Nodes whose texts are decided one by one: languages of their own, and looks at what surrounds them."""
        fragments, code = self._fragments, node.code
        if code == LOOK:
            return {at} if self._look(node, at) != bool(node.numbers[1]) else set()
        if self._open_end:
            assert code == PATTERN, f"can_begin knows nothing of nodes of code {code}"
            return self._pattern_ends(node, at)
        if code in (MEMBERS, ITEMS):
            return self._members(node, at) if code == MEMBERS else self._items(node, at)
        places = range(at, self._high + 1)
        if code == PATTERN:
            return {end for end in places if fragments.matches(node, self._text[at:end], True)}
        if code == SEARCHED:
            return {end for end in places if fragments.matches(node.children[0], self._text[at:end], False)}
        if code == PART:
            return {end for end in places if self._inside(node.children[0], at, end)}
        if code in (INTERSECTION, COMPLEMENT) and not self._looks_around(node):
            ends = [self._visit(child, at) for child in node.children]
            if code == INTERSECTION:
                return set.intersection(*ends)
            return {end for end in places if isinstance(self._text[end - 1] if end > at else "", str)} - ends[0]
        if code == INTERSECTION:
            return set.intersection(*({e for e in places if self._inside(child, at, e)} for child in node.children))
        if code == COMPLEMENT:
            symbols = [end for end in places if all(isinstance(s, str) for s in self._text[at:end])]
            return {end for end in symbols if not self._inside(node.children[0], at, end)}
        if code == SPELLED:
            return {end for end in self._string_ends(at) if self._spells(node, at, end)}
        if code == AUTOMATON:
            return set(self._run(node, at))
        raise AssertionError(code)

    def _looks_around(self, node: Node) -> bool:
        """Whether a node asks where it stands, so that each of its texts has to be looked at alone."""
        return node.code in (LOOK, RULE, SPECIAL) or any(map(self._looks_around, node.children))

    def _inside(self, node: Node, at: int, end: int) -> bool:
        solver = self._solvers.get((at, end))
        if solver is None:
            solver = self._solvers[at, end] = _Solver(self._fragments, self._text, at, end, False)
        return end in solver.ends(node, at)

    def _pattern_ends(self, node: Node, at: int) -> set[int]:
        ends = {end for end in range(at, self._high + 1) if self._fragments.matches(node, self._text[at:end], True)}
        left = self._text[at : self._high]
        if all(isinstance(symbol, str) for symbol in left):
            partial = regex.compile(node.numbers[0], node.numbers[1] & regex.I)
            found = partial.fullmatch("".join(left), partial=True)
            if found is not None and found.partial:
                ends.add(BEYOND)
        return ends

    def _look(self, node: Node, at: int) -> bool:
        child = node.children[0]
        if node.numbers[0] == 0:
            return bool(self._alone(child, at) - {BEYOND})
        return any(at in self._alone(child, start) for start in range(self._low, at + 1))

    def _alone(self, node: Node, at: int) -> set[int]:
        return _Solver(self._fragments, self._text, self._low, self._high, self._open_end).ends(node, at)

    def _spells(self, node: Node, at: int, end: int) -> bool:
        assert node.numbers[0] == 0, "the only spelling is that of JSON strings"
        written = self._text[at:end]
        if not all(isinstance(symbol, str) for symbol in written):
            return False
        try:
            decoded = json.loads(f'"{"".join(written)}"')
        except ValueError:
            return False
        if not isinstance(decoded, str) or json.dumps(decoded, ensure_ascii=False)[1:-1] != "".join(written):
            return False
        return len(decoded) in _Solver(self._fragments, decoded, 0, len(decoded), False).ends(node.children[0], 0)

    def _string_ends(self, at: int) -> Iterator[int]:
        """Where the body of a JSON string that begins here may end."""
        end = at
        yield end
        while end < self._high and self._text[end] != '"':
            end += 2 if self._text[end] == "\\" else 1
            if end <= self._high:
                yield end
            if self._text[end - 1] == "u" and self._text[end - 2] == "\\":
                yield from range(end + 1, min(end + 5, self._high + 1))

    def _run(self, node: Node, at: int) -> Iterator[int]:
        classes, states = node.extra
        state = 0
        for place in range(at, self._high + 1):
            if states[state][0]:
                yield place
            if place == self._high:
                return
            number = ord(self._text[place])
            found = [i for i, ranges in enumerate(classes) if any(lo <= number <= hi for lo, hi in ranges)]
            state = states[state][1][found[0]] if found else -1
            if state == -1:
                return

    def _members(self, node: Node, at: int) -> set[int]:
        low, high, ordered = node.numbers
        first, between, close = node.children
        declared, classes, clauses = node.extra
        found: set[int] = set()
        # Place, numbers of the keys and classes that were seen, how many members, whether one was not declared.
        states = [(at, frozenset[int](), 0, False)]
        seen = set(states)
        while states:
            place, keys, count, others = states.pop()
            complete = all(not required or i in keys for i, (_, required, _) in enumerate(declared))
            guarded = all(not needed <= keys or keys & wanted for needed, wanted in clauses)
            if complete and guarded and count >= low:
                found |= self._visit(close, place)
            if high != -1 and count >= high:
                continue
            following = []
            for start in self._visit(between if count else first, place):
                for i, (key, _, value) in enumerate(declared):
                    if i in keys or (ordered and (others or any(i < other < len(declared) for other in keys))):
                        continue
                    for end in self._literal(key, start):
                        following += [(e, keys | {i}, count + 1, others) for e in self._visit(value, end)]
                for i, (name, value) in enumerate(classes, start=len(declared)):
                    for end in self._visit(name, start):
                        following += [(e, keys | {i}, count + 1, True) for e in self._visit(value, end)]
            for state in following:
                if state not in seen:
                    seen.add(state)
                    states.append(state)
        return found

    def _items(self, node: Node, at: int) -> set[int]:
        low, high = node.numbers
        first, between, close = node.children
        counters, groups = node.extra
        found: set[int] = set()
        states = [(at, 0, (0,) * len(counters))]
        seen = set(states)
        while states:
            place, count, totals = states.pop()
            inside = zip(totals, counters, strict=True)
            if count >= low and all(least <= total for total, (least, _) in inside):
                found |= self._visit(close, place)
            if high != -1 and count >= high:
                continue
            for start in self._visit(between if count else first, place):
                for numbers, item in groups[min(count, len(groups) - 1)]:
                    after = tuple(total + numbers.count(i) for i, total in enumerate(totals))
                    if any(most != -1 and total > most for total, (_, most) in zip(after, counters, strict=True)):
                        continue
                    for end in self._visit(item, start):
                        state = (end, count + 1, after)
                        if state not in seen:
                            seen.add(state)
                            states.append(state)
        return found
